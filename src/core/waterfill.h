/* SPDX-License-Identifier: MIT */
#pragma once

/* Exact weighted water-filling in a box: the one solver under every tier of the market.
 *
 *      maximise sum w_i log s_i   subject to   sum s_i <= amount,  0 <= s_i <= b_i
 *
 * The solution is s_i = min(b_i, w_i theta); theta = 1/lambda, lambda the shadow price.
 * Source: doc/theory.md, Market (KKT conditions, exact sweep). */

#include <stddef.h>
#include <stdint.h>

/**
 * waterfill_solve() - share out an amount among bounded, weighted claimants
 * @bound:     b_i >= 0, milli; may be INFINITY
 * @weight:    w_i >= 0; claimants of weight 0 receive only what the others leave, in equal parts
 * @n:         number of claimants; 0 is fine
 * @amount:    >= 0, milli
 * @order:     scratch, n entries
 * @ret_share: s_i, n entries; may not alias the inputs
 * @ret_theta: theta in milli per unit of weight; INFINITY when every weighted claimant is at its bound
 *             (also where all their bounds are 0); else 0 when amount is 0
 *
 * sum s = min(amount, sum b) up to rounding of doubles; the result does not depend on the order of
 * the claimants beyond that. Cost: O(n log n) time, no allocation.
 *
 * Return: 0; -EINVAL if some input is negative or NaN, or if an infinite amount meets an infinite
 * bound. Outputs are untouched on failure.
 */
int waterfill_solve(const double bound[], const double weight[], size_t n, double amount,
                    size_t order[], double ret_share[], double *ret_theta);

/**
 * waterfill_round() - the same in whole units, monotone in the amount
 * @bound:     b_i >= 0, whole units
 * @weight:    w_i >= 0; weight 0 receives only what is left, in equal parts
 * @n:         number of claimants
 * @amount:    >= 0, whole units
 * @order:     scratch, n entries
 * @ret_share: s_i, n entries
 *
 * Webster (Sainte-Lague) divisors: the next unit goes to the largest w_i / (2 s_i + 1), ties to the
 * lowest index. sum s = min(amount, sum b) exactly and no s_i falls when the amount grows, so that a
 * control loop does not flap by a unit; largest remainder does not have that property (the
 * Alabama paradox). Comparisons are exact for all weights whose products with 2^32 are
 * normal doubles. Cost: O(n log n) time, no allocation.
 *
 * Return: 0; -EINVAL as above; -ERANGE if amount or a bound is 2^31 or more.
 */
int waterfill_round(const int64_t bound[], const double weight[], size_t n, int64_t amount,
                    size_t order[], int64_t ret_share[]);
