/* SPDX-License-Identifier: MIT */
#pragma once

/* Would some members do better on their own? The epsilon-core of a coalition's game.
 *
 *      excess e(S, y) = v(S) - sum_S y_i;      y is stable if no proper non-empty S has e > epsilon
 *
 * The payoff that members are offered is the core point at the competitive price p of their division,
 *
 *      y_i = U_i(x_i) - U_i(e_i) - p (x_i - e_i),
 *
 * what it gains by the division plus what it is credited for the CPU it gives. For concave U its excess is
 * never positive, for any number of members: that is the certificate. Up to COALITION_EXACT_MAX members
 * every subset is looked at all the same, since a solver or a model may be wrong. An instability is
 * repaired by moving credits, never CPU. Source: doc/theory.md, Stability. */

#include "core/worth.h"

/* Verdicts compare utilities of this accuracy. */
static inline double stability_tolerance(double worth)
{
        return 1e-7 * fmax(1, fabs(worth));
}

/* What rounding may make of a sum of this game's utilities or payoffs: differences of large costs, and amounts
 * times a price. Nobody leaves a coalition, and none is called unstable, for less than that. */
double stability_noise(const struct worth_game *g, double price);

/* y of the grand coalition's division. Sums to v(N) where that division is the best one. */
void stability_competitive(const struct worth_game *g, const double x_milli[], double price,
                           double ret_payoff[]);

/**
 * stability_certificate() - a bound on every excess of the competitive payoff, without enumeration
 *
 * Sum over members of what each could gain by choosing its own amount at that price instead of x_i, and
 * the price of what was left over: 0 where (x, price) is the competitive equilibrium. It is the duality
 * gap of the division, so it also bounds by how much the division falls short of v(N).
 *
 * Finds each member's best amount from its latency curve and shares no code with worth_divide(), so that
 * it sees what that got wrong. Cost: O(n).
 *
 * Return: >= 0; INFINITY where x is no division of the entitlements (it creates CPU, or leaves a box) or
 * the price is negative or not finite.
 */
double stability_certificate(const struct worth_game *g, const double x_milli[], double price);

struct stability {
        double max_excess;              /* over all proper non-empty subsets; -INFINITY where n = 1 */
        uint32_t blocking;              /* the subset with that excess, the lowest of equals; 0 if n = 1 */
        bool is_stable;                 /* max_excess <= epsilon + tolerance, and sum y = v(N) within it */
};

/* Looks at every subset. Cost: O(2^n), 4 KiB of stack. Return: 0; -EINVAL if n is 0, above
 * COALITION_EXACT_MAX, or something is not finite. */
int stability_check(const double worth[], unsigned n, const double payoff[], double epsilon,
                    struct stability *ret);

/**
 * stability_repair() - the nearest payoff in the epsilon-core
 * @payoff: in: efficient or not; out: the projection; sum v(N)
 * @scratch: 2^n entries
 * @max_iterations: sweeps over all subsets; of large games fewer, see below
 *
 * Dykstra's projection on the half-spaces of all subsets within sum y = v(N) (Hildreth's method). What
 * moves are credits: their sum is zero (where the payoff was efficient), no CPU moves. Between sweeps the
 * subsets that bind are settled among themselves. It ends when a sweep moves nothing, or after
 * @max_iterations; what it then has is taken if stability_check() finds it stable, else left.
 *
 * Cost: O(2^n) a sweep, and O(n) for each subset that binds. Both together are bounded, whatever
 * @max_iterations is: seven sweeps of 16 members, some sixty of 12, ten milliseconds at most.
 *
 * Return: 0; 1 if it did not get there (the epsilon-core may be empty): payoff untouched; -EINVAL as
 * stability_check().
 */
int stability_repair(const double worth[], unsigned n, double epsilon, unsigned max_iterations,
                     double scratch[], double payoff[]);
