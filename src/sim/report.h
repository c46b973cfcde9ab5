/* SPDX-License-Identifier: MIT */
#pragma once

/* What became of a scenario: measured from the end of its warm-up, told as text or JSON. */

#include "sim/sim.h"

#include <stdio.h>

struct report_path {
        uint64_t n_arrived, n_done, n_rejected, n_late, n_seconds_violated;
        double mean_ms, p50_ms, p95_ms, p99_ms, p999_ms; /* NAN: nothing was done */
};

/* CPU in CPUs; shares of time or of periods, 0..1. */
struct report_service {
        double use_cpus;
        double read_cpus;               /* what a daemon that samples every second would think; NAN: it never could */
        double unread_share;            /* of seconds in which it could not */
        double throttled_periods;       /* NAN: it had no periods */
        double throttled_share;         /* summed over CPUs: may be above 1 */
        double some, full;              /* pressure */
        double quota_cpus;              /* at the end; INFINITY: none */
        unsigned weight;
        uint64_t n_served, n_rejected;
};

struct report {
        double slowdown;
        double busy_cpus, some;
        struct report_path *paths;
        struct report_service *services;
};

/**
 * report_run() - play a scenario to its end with the settings that it declares
 * @ret: for report_done(); untouched on failure
 *
 * Return: 0; -ENOMEM; -EINVAL as sim_new().
 */
int report_run(const struct scenario *s, uint64_t seed, double slowdown, struct report *ret);
void report_done(struct report *r);

void report_print(const struct scenario *s, const struct report reports[], size_t n, FILE *f);
/* One line, or indented for people. Return: 0; -ENOMEM. */
int report_print_json(const struct scenario *s, uint64_t seed, const struct report reports[], size_t n, bool is_pretty,
                      FILE *f);
