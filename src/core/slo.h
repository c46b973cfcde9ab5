/* SPDX-License-Identifier: MIT */
#pragma once

/* What a latency target is worth: the score of a service that declared one, and what it gains in the
 * bargain.
 *
 *      g(x) = 1 / (1 + exp(k (T(x) - target)))          the score, 0..1: convex, then concave
 *
 * A sigmoid is no concave utility, whatever is said of it; what bargains is the concave envelope of g
 * above the disagreement point d. Its logarithm has the slope
 *
 *      urge(s) = min(1 / s, g'(d + s) / (g(d + s) - g(d)))
 *
 * with s = x - d: never more than that of a service without a target. Declaring one makes nobody
 * greedier; it releases CPU once the target is met. Source, proofs: doc/theory.md, SLO utility.
 * Everything is computed in the log domain: no input overflows. */

#include "core/latency.h"

struct slo {
        struct latency_model latency;
        double target_ms;               /* > 0; 0: no target */
        double steepness_per_ms;        /* k, Sensitivity= */
};

/* No target, or one with a valid model whose score and slope are finite in the logarithm everywhere. */
bool slo_is_valid(const struct slo *slo);

double slo_log_score(const struct slo *slo, double x_milli);

/* Left of it g is convex, right of it concave. May be 0. */
double slo_inflection_milli(const struct slo *slo);

/* The share of the target that planning aims at: at the target itself, every second request is late. */
#define SLO_TARGET_MARGIN 0.9

/* The need that a target makes: the CPU at which the model meets 0.9 of it; 0 where no amount does, since
 * the target then says nothing about CPU. */
double slo_need_milli(const struct slo *slo);

/* A player's gain above its lower level: log(env(g) - g(d)) of an SLO, log(s) without one, each up to a
 * constant that makes the two agree at small s. */
struct gain {
        struct slo slo;                 /* target_ms 0: plain */
        double lower_milli;             /* d */
        double box_milli;               /* upper - lower */
        double z_lower;                 /* steepness (T(d) - target) */
        double tangent_milli;           /* share at which the envelope leaves its chord; box_milli if it
                                         * does not before; 0 if d is right of the inflection */
        double log_rise_per_milli;      /* of the chord, or of g at d; less log(1 - g(d)) */
};

/* A plain gain where slo is NULL or has no target. Else slo is valid and 0 <= lower <= upper, finite. */
void gain_init(struct gain *ret, const struct slo *slo, double lower_milli, double upper_milli);

/* The same target, or none, over other levels. */
void gain_move(struct gain *g, double lower_milli, double upper_milli);

static inline bool gain_is_plain(const struct gain *g)
{
        return g->slo.target_ms <= 0;
}

/* Slope of the gain at a share s > 0, per milli, and its logarithm, which never underflows; strictly
 * decreasing; at most 1/s, and just that up to the tangent point. */
double gain_urge(const struct gain *g, double share_milli);
double gain_log_urge(const struct gain *g, double share_milli);

/* The gain itself: concave; log(s) up to the tangent point, -INFINITY at 0. */
double gain_log(const struct gain *g, double share_milli);

/**
 * gain_demand_at() - the share at which the urge is as given
 * @log_urge:       its logarithm, per milli
 * @hint_milli:     where to look first (the answer at a neighbouring price), or 0
 * @ret_elasticity: by how many percent the share falls when the urge grows by one: 1 for a plain gain, 0
 *                  at the bound
 *
 * The box where the urge is still larger there. Safeguarded Newton steps, two or three evaluations from
 * a good hint, some fifty at worst.
 */
double gain_demand_at(const struct gain *g, double log_urge, double hint_milli, double *ret_elasticity);
