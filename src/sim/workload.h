/* SPDX-License-Identifier: MIT */
#pragma once

/* What runs on the plant: requests that come, services that work on them and call each other.
 *
 * Requests come as if nobody waited for answers (open loop): a Poisson process whose rate is constant within
 * each second. Each takes a path: it enters one service and goes on from there along the calls of that path.
 * A service has a pool of threads and a queue, first come first served. A visit to it takes a thread, works
 * (CPU time at random), and then makes its calls, all at once. Of those that are synchronous it waits for the
 * answers, and keeps its thread as real services do; then it answers. Whoever finds the queue full, or the service
 * down, is rejected at once, and with it the whole request, unless the call was asynchronous.
 *
 * What a visit costs and whom it calls follows from the seed and the request, not from when it is served: the same
 * seed brings the same load to every setting of the host, so that differences between settings are theirs.
 *
 * Memory is allocated by workload_new() only. Same seed, same results. */

#include "sim/histogram.h"
#include "sim/plant.h"

#include <stddef.h>

enum work_shape {
        WORK_EXPONENTIAL,
        WORK_LOGNORMAL,                 /* heavy-tailed; of the declared variation */
        WORK_FIXED,
        _WORK_SHAPE_MAX,
};

/* A factor that goes from 1 to @factor between from and from + over, stays until it ends, and is 1 again. */
struct workload_ramp {
        double from_usec, over_usec, until_usec;
        double factor;
};

struct workload_service {
        size_t group;                   /* of the plant; must have room for workload_threads() */
        unsigned n_threads;             /* that serve */
        unsigned n_queued_max;
        unsigned n_hogs;                /* threads that always run and serve nobody */
        double work_usec;               /* mean CPU time of a visit */
        enum work_shape shape;
        double work_variation;          /* standard deviation over mean; of WORK_LOGNORMAL */
        double start_work_usec;         /* CPU time, on one thread, before it serves after a restart */
        const struct workload_ramp *ramps; /* of work */
        size_t n_ramps;
};

struct workload_call {
        size_t caller, callee;          /* services */
        double probability;
        bool is_async;
};

struct workload_path {
        size_t entry;                   /* service */
        const struct workload_call *calls; /* no cycles */
        size_t n_calls;
        const double *rates_per_sec;    /* one a second, over again after the last; one alone is constant */
        size_t n_rates;
        const struct workload_ramp *ramps; /* of the rate, by the middle of each second */
        size_t n_ramps;
        double target_usec;             /* INFINITY: none */
};

struct workload_spec {
        const struct workload_service *services;
        size_t n_services;
        const struct workload_path *paths;
        size_t n_paths;
};

/* Threads that a service may have runnable in its group. */
unsigned workload_threads(const struct workload_service *s);

/* What became of the requests of a path, of those that came since workload_forget(). */
struct workload_result {
        uint64_t n_arrived;
        uint64_t n_done;
        uint64_t n_rejected;
        uint64_t n_late;                /* done, above the target */
        uint64_t n_seconds_violated;    /* whose p99 was above the target, or in which nobody was done who waited;
                                         * a rejected request counts as late */
        struct histogram latency;       /* from coming to the answer, of those done */
};

struct workload_service_result {
        uint64_t n_served, n_rejected;
        unsigned n_queued;              /* now */
};

struct workload;

/**
 * workload_new() - services that wait for requests
 * @plant: outlives the workload; its time is the workload's
 *
 * Return: 0; -EINVAL: a number or index out of range; -ELOOP: a path calls in a circle; -ENOMEM.
 */
int workload_new(const struct workload_spec *spec, struct plant *plant, uint64_t seed, struct workload **ret);
/* Takes NULL; returns NULL. */
struct workload *workload_free(struct workload *w);

/* Lets time pass. Cost: that of the plant, O(log n) a request and visit. */
void workload_run(struct workload *w, double until_usec);

/* Results start again; requests that came before are counted nowhere. */
void workload_forget(struct workload *w);

/* A service dies with all that it was doing, and does not come back by itself. Its cgroup goes with it. */
void workload_stop(struct workload *w, size_t service);
/* It comes back: after its start-up work it serves. */
void workload_start(struct workload *w, size_t service);

/* Valid until the workload is freed; brought up to now by the call. */
const struct workload_result *workload_result(struct workload *w, size_t path);
void workload_service_result(const struct workload *w, size_t service, struct workload_service_result *ret);
