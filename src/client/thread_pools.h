/* SPDX-License-Identifier: MIT */
#pragma once

/* Programs whose runtime sizes thread pools by the CPUs that it counts, in units that have or may get
 * a ceiling which it does not see: it starts more threads than may run, they use the quota up together
 * early in every period, and all of them wait for the next. */

#include "platform/config_file.h"
#include "platform/process_runtime.h"

#include <stddef.h>
#include <stdint.h>

/* Processes that are looked at, of all units together. */
#define THREAD_POOLS_PROCESSES_MAX 1000

/* The processes of one runtime and version in one unit that count wrong, or may do so. */
struct thread_pool {
        char *unit;
        bool is_slice;
        enum process_runtime_kind kind;
        char version[RUNTIME_VERSION_SIZE]; /* "" = not known */
        bool heeds_quota;               /* of its own cgroup */
        unsigned n_processes;
        unsigned n_threads;             /* the most CPUs that one of them counts, or counted */
        uint64_t ceiling_usec_per_sec;  /* in force; else what Max= may bring; UINT64_MAX = to be decided */
        bool is_in_force;
};

struct thread_pools {
        struct thread_pool *pools;      /* in the order found */
        size_t n_pools;
        size_t n_units;                 /* that have or may get a ceiling */
        size_t n_processes;             /* of them, that were looked at */
        size_t n_refused;               /* that only root may look at */
        bool is_cut;                    /* there were more than we look at */
};

/**
 * thread_pools_find() - look at the processes of all managed units
 * @root:  stands for / ("" in production)
 * @mount: the cgroup2 mount
 * @ret:   for thread_pools_done()
 *
 * A unit may get a ceiling with Enforce=quota, or with Max= unless Enforce=weight; it has one where
 * cpu.max of it or above it says so. Processes that were told their number of threads do not count.
 *
 * Return: 0; negative errno.
 */
int thread_pools_find(const char *root, const char *mount, const struct config *config,
                      struct thread_pools *ret);

void thread_pools_done(struct thread_pools *p);
