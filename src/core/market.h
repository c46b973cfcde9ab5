/* SPDX-License-Identifier: MIT */
#pragma once

/* The market: who gets how much of the CPU that is bargained over.
 *
 * Every player brings a ladder of levels 0 <= floor <= baseline <= need <= max. The host fills the
 * ladder from below; the level at which capacity runs out names the tier, and inside that level the
 * weighted Nash bargaining solution (waterfill.h) divides the rest. Because each tier starts exactly
 * where the one below ends, the allocation is continuous in every input, monotone in capacity and
 * Lipschitz (doc/theory.md, Market): no hysteresis is needed at the borders.
 *
 * A stale player (held_milli >= 0) adds one level between baseline and need: it keeps what it holds
 * before anybody's need above the baseline is served, and wants no more than that.
 *
 * A latency target counts where the baselines are kept and the needs are not all met: there a player that
 * has one bargains with slo.h's gain over [baseline, need]. In all other tiers it is like everybody. */

#include "core/model.h"
#include "core/slo.h"

struct market_rules {
        double capacity_milli;          /* what is bargained over, >= 0 */
        double spare;                   /* share of the CPU above all needs that is handed out, 0..1 */
        enum overload_rule overload;
        unsigned max_iterations;        /* of the search for the price among latency targets; else unused */
};

enum market_result {
        MARKET_SOLVED,
        MARKET_NOT_CONVERGED,           /* within max_iterations: the caller holds what is in force */
};

struct market_outcome {
        enum tier tier;
        double scarcity;                /* 0 .. 2; doc/theory.md, Market */
        double shadow_price;            /* per milli, of the tier: INFINITY where it starts, 0 where every
                                         * need is met (what is spare has no price) */
        double total_milli;             /* sum of the allocations, without the rounding of a sum */
        double spendable_milli;         /* what this tier was allowed to hand out in all */
};

/* What the players stood to gain in the tier that capacity reached. The gate judges changes by it:
 * player i bargained over [lower, upper] with that weight and that gain, whose levels are the same.
 * Where nothing above the needs is handed out (spare 0), the uncongested tier has upper = lower. Arrays
 * of n, owned by the caller. */
struct market_tier_view {
        double *lower_milli;
        double *upper_milli;
        double *weight;
        struct gain *gain;
        double *rounding_weight;        /* with which plain water-filling gives the very same shares */
};

struct market_scratch {
        size_t *order;                  /* n */
        double *bound;                  /* n */
        double *share;                  /* n */
        int64_t *bound_milli;           /* n */
        int64_t *share_milli;           /* n */
};

/**
 * market_solve() - allocate capacity to players
 * @rules:    capacity and policy
 * @players:  n players; levels that are out of order are refused, not repaired
 * @n:        number of players; 0 is fine
 * @scratch:  arrays of n
 * @view:     filled with the tier's lower and upper levels, weights and gains
 * @ret_x:    allocations, milli, n entries
 * @ret:      tier, prices
 *
 * Cost: O(n log n) time, no allocation; with latency targets O(n) times some ten more.
 *
 * Return: 0; MARKET_NOT_CONVERGED; -EINVAL if a rule or a player is not finite, negative, out of order,
 * without weight, or has a target that is not valid. @ret_x and @ret are untouched unless 0.
 */
int market_solve(const struct market_rules *rules, const struct player players[], size_t n,
                 struct market_scratch *scratch, struct market_tier_view *view, double ret_x[],
                 struct market_outcome *ret);

/* The scarcity that market_solve() tells for the same levels and capacity. Weights do not matter, nor
 * need they be known yet. Cost: O(n). */
double market_scarcity(const struct market_rules *rules, const struct player players[], size_t n);

/**
 * market_round() - the allocation in whole milli
 *
 * Takes what market_solve() left in @view and @ret: lower levels round up (a promise is a promise),
 * the rest is apportioned by waterfill_round(); the sum is floor(total_milli), never more. Where
 * rounding up the lower levels alone would exceed it, they round down instead. Leaves in @view the
 * whole levels between which it divided: what the gate has to judge the result by.
 *
 * Return: 0; -EINVAL if @view and @outcome do not belong together; -ERANGE if the total is 2^31 milli
 * or more.
 */
int market_round(const struct market_tier_view *view, const struct market_outcome *outcome, size_t n,
                 struct market_scratch *scratch, int64_t ret_x_milli[]);
