/* SPDX-License-Identifier: MIT */
#pragma once

/* A scenario: a host, its services, what they are asked for and what happens to them, as a file that anybody
 * can write. doc/scenarios.md describes it; the keys are in one table in scenario.c. */

#include "sim/workload.h"
#include "util/cleanup.h"
#include "util/diagnostic.h"

#include <sys/types.h>

#define SCENARIO_NOBODY SIZE_MAX

/* The settings of a cgroup, as cpu.max, cpu.max.burst and cpu.weight hold them. */
struct scenario_setting {
        double quota_usec;              /* per period of 100 ms; INFINITY: none */
        double burst_usec;
        unsigned weight;
};

struct scenario_slice {
        char *name;
        size_t parent;                  /* index of a slice before it, or SCENARIO_NOBODY */
        struct scenario_setting setting;
};

struct scenario_service {
        char *name;
        size_t slice;                   /* or SCENARIO_NOBODY */
        struct scenario_setting setting;
        struct workload_service load;   /* group: slices first, then services, in their order */
};

struct scenario_path {
        char *name;
        struct workload_path load;
};

enum scenario_effect {
        SCENARIO_SET,                   /* what is written to a service's cgroup */
        SCENARIO_CPUS,
        SCENARIO_RESTART,
        SCENARIO_READ,                  /* what a daemon reads of a service's use */
};

/* What happens at one moment; ramps of rates and work are in the loads. */
struct scenario_event {
        double at_usec, until_usec;     /* INFINITY: for good */
        enum scenario_effect effect;
        size_t service;
        struct scenario_setting setting; /* quota NAN, burst NAN, weight 0: as it is */
        unsigned n_cpus;
        double read_factor;             /* of the truth; NAN: nothing can be read */
};

struct scenario {
        char *path;                     /* of the file */
        unsigned n_cpus;
        double duration_usec, warmup_usec;
        double write_delay_usec;        /* from a decision to the kernel */

        struct scenario_slice *slices;
        size_t n_slices;
        struct scenario_service *services;
        size_t n_services;
        struct scenario_path *paths;
        size_t n_paths;
        struct scenario_event *events;
        size_t n_events;
};

/**
 * scenario_load() - read a scenario and the traces that it names
 * @ret:  for scenario_free(); untouched on failure
 * @diag: findings are appended, each with file and line; for diagnostics_done()
 *
 * Return: 0; -EINVAL if there was any error; -ENOMEM.
 */
int scenario_load(const char *path, struct scenario **ret, struct diagnostics *diag);
/* Takes NULL; returns NULL. */
struct scenario *scenario_free(struct scenario *s);
DEFINE_CLEANUP(struct scenario *, scenario_free)
#define _cleanup_scenario_ _cleanup_(scenario_free_p)
