/* SPDX-License-Identifier: MIT */
#pragma once

/* One coalition in one epoch: plan a division, certify it, value it.
 *
 * Planning happens every epoch and costs O(n log n). Valuing (all subsets, the core check, Shapley)
 * costs up to 2^n and is done for a few coalitions an epoch in turn; what it found stays until the next
 * turn. */

#include "core/shapley.h"
#include "core/stability.h"

/* What the last valuation found. */
struct coalition_value {
        uint64_t epoch;                 /* of the valuation; 0 = never valued */
        uint64_t seed;                  /* decided the sampling, where there was any */
        double worth;                   /* v(N) */
        double max_excess;              /* of the imputation; a bound on it if not exact */
        uint32_t blocking;              /* who would have gained most by leaving, before a repair; by
                                         * position in the coalition. 0: nobody, or nobody was looked at */
        bool is_stable;
        bool is_exact;                  /* all subsets were looked at; else the certificate, and sampling */
        bool is_repaired;               /* credits had to be moved to make it stable */
        double half_width;              /* 95 % of the sampled Shapley values; 0 if exact */
        double shapley[COALITION_MEMBERS_MAX];
        double imputation[COALITION_MEMBERS_MAX];
};

/* The plan of this epoch. */
struct coalition_plan {
        double x_milli[COALITION_MEMBERS_MAX];  /* best division of the entitlements */
        double price;                   /* dU/dpool */
        double worth;                   /* v(N) at this epoch's entitlements */
        double certificate;             /* bound on every excess */
        bool is_certified;
};

/* For the coalitions that are enumerated. */
struct coalition_scratch {
        double *worth;                  /* 2^n; n <= COALITION_EXACT_MAX */
        double *more;                   /* the same */
};

/* Best division of the entitlements, its worth, its certificate. Cost O(n log n). */
void coalition_plan(const struct worth_game *g, double epsilon, struct coalition_plan *ret);

/**
 * coalition_assess() - the valuation of a plan
 * @max_iterations: of a repair
 * @epoch, @seed:   recorded; the seed decides the sampling where there are too many members to enumerate
 *
 * Stable means: no subset has more than epsilon to gain, if necessary after a repair of the imputation. A
 * division that does not realise v(N), or creates CPU, is not stable, and credits cannot repair it: they
 * would promise what is not there. Of more than COALITION_EXACT_MAX members the certificate alone decides.
 *
 * Return: 0; -EDOM if a worth or a payoff is not finite; outputs untouched on failure.
 */
int coalition_assess(const struct worth_game *g, const struct coalition_plan *plan, double epsilon,
                     unsigned max_iterations, uint64_t epoch, uint64_t seed,
                     struct coalition_scratch *scratch, struct coalition_value *ret);

/* How often a valuation of n members asks for the worth of a subset: its cost. */
size_t coalition_cost(unsigned n);
