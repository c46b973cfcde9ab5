/* SPDX-License-Identifier: MIT */
#pragma once

/* Weighted Nash bargaining among players with and without latency targets.
 *
 *      maximise sum w_i gain_i(s_i)   subject to   sum s_i <= amount,  0 <= s_i <= box_i
 *
 * Where nobody has a target this is waterfill.h, exactly. Else all share one price lambda with
 * w_i urge_i(s_i) = lambda, found by a bracketed search. Source: doc/theory.md, SLO utility. */

#include <stddef.h>

#include "core/slo.h"

enum bargain_result {
        BARGAIN_SOLVED,
        BARGAIN_NOT_CONVERGED,          /* within the iterations allowed: the caller holds */
};

/**
 * bargain_solve() - share out an amount
 * @gain:       n gains; boxes >= 0, finite where there is a target
 * @weight:     n weights, >= 0; who has none gets what the others leave, as in waterfill_solve()
 * @max_iterations: of the search for the price (MaxIterations=), >= 1
 * @bound:      scratch, n
 * @order:      scratch, n
 * @ret_share:  n shares; of no meaning where the result is not 0
 * @ret_price:  lambda, per milli: INFINITY where amount is 0 and somebody wants some, 0 where everybody
 *              is at its bound; untouched where the result is not 0
 *
 * |sum s - amount| <= 1e-9 (1 + amount), then the rest is spread over those who are not at a bound.
 * Cost: O(n log n) without targets; O(n) times some ten with.
 *
 * Return: 0; BARGAIN_NOT_CONVERGED; -EINVAL as waterfill_solve().
 */
int bargain_solve(const struct gain gain[], const double weight[], size_t n, double amount,
                  unsigned max_iterations, double bound[], size_t order[], double ret_share[],
                  double *ret_price);
