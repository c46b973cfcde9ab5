/* SPDX-License-Identifier: MIT */
#pragma once

/* Random latency targets: ordinary ones, and such that reach every corner of the model; and what tests ask
 * of them. */

#include "core/slo.h"
#include "lib/testing.h"

static inline double slo_fixture_log_uniform(struct testing_random *r, double low, double high)
{
        return exp(testing_random_double(r, log(low), log(high)));
}

static inline struct slo slo_fixture_random(struct testing_random *r, bool is_extreme)
{
        struct slo slo = { .latency = latency_from_load(testing_random_double(r, 0, 1000), 1) };

        if (!is_extreme) {
                slo.target_ms = testing_random_double(r, 20, 400);
                slo.steepness_per_ms = testing_random_int(r, 0, 1) ? 0.1 : 0.05;
                slo.latency.other_ms = testing_random_double(r, 0, 0.5) * slo.target_ms;
                slo.latency.work_milli_ms = slo_fixture_log_uniform(r, 1e3, 1e5);
                return slo;
        }
        slo.target_ms = slo_fixture_log_uniform(r, 1e-3, 1e7);
        slo.steepness_per_ms = slo_fixture_log_uniform(r, 1e-9, 1e9);
        slo.latency.other_ms = testing_random_int(r, 0, 2) * testing_random_double(r, 0, 1) * slo.target_ms;
        slo.latency.work_milli_ms = slo_fixture_log_uniform(r, 1e-3, 1e9);
        return slo;
}

/* A gain over a box that starts below, at, or beyond what the load needs; sometimes it is empty. */
static inline struct gain slo_fixture_random_gain(struct testing_random *r, bool is_extreme)
{
        struct slo slo = slo_fixture_random(r, is_extreme);
        double lower = testing_random_int(r, 0, 3) * testing_random_double(r, 0, 500);
        double box = testing_random_int(r, 0, 9) == 0 ? 0 : slo_fixture_log_uniform(r, 0.1, 4000);
        struct gain gain;

        gain_init(&gain, &slo, lower, lower + box);
        return gain;
}

/* d log g / dx, per milli. */
static inline double slo_fixture_log_score_slope(const struct slo *slo, double x_milli)
{
        return slo->steepness_per_ms * latency_slope(&slo->latency, x_milli) * expm1(slo_log_score(slo, x_milli));
}

/* What a gain asks for at an urge, not its logarithm. */
static inline double slo_fixture_demand(const struct gain *g, double urge_per_milli, double hint_milli)
{
        double elasticity;

        return gain_demand_at(g, log(urge_per_milli), hint_milli, &elasticity);
}
