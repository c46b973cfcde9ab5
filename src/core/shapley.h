/* SPDX-License-Identifier: MIT */
#pragma once

/* The Shapley value: what each member of a coalition contributed, on average over all orders of arrival.
 * Source: L. S. Shapley, 1953; doc/theory.md, Shapley value. It need not lie in the core and is never
 * said to: it settles credits, the competitive price keeps coalitions together. */

#include "core/worth.h"

/**
 * shapley_exact() - by enumeration of subsets
 * @worth:     v(S), 2^n entries by bit mask; worth[0] must be 0
 * @n:         1 .. COALITION_EXACT_MAX
 * @ret_value: n values
 *
 * Cost: O(n 2^n), no allocation.
 * Return: 0; -EINVAL for n out of range; -EDOM if some worth is not finite. Outputs untouched on failure.
 */
int shapley_exact(const double worth[], unsigned n, double ret_value[]);

/* v of a subset, for sampling. */
typedef double (*shapley_worth_fn)(const void *ctx, uint32_t subset);

struct shapley_sample {
        double half_width;              /* the largest of the members' 95 % confidence intervals */
        unsigned n_pairs;
};

/**
 * shapley_estimate() - by antithetic sampling of orders
 * @n:         1 .. COALITION_MEMBERS_MAX
 * @seed:      the same seed gives the same estimate, bit for bit
 * @pairs_max: orders are drawn in pairs, each with its reverse; at most so many pairs, at least 2
 * @tolerance: stops earlier, from 32 pairs on, once every half-width is at most this; 0: never
 * @ret_value: n values; their sum is v(N)
 * @ret_error: n standard errors, or NULL
 *
 * @ret:       untouched on failure like all outputs
 *
 * Each order hands out v(N) and nothing else, so the sum is exact however few the pairs.
 *
 * Cost: 2 n pairs_max + 1 calls of @worth.
 * Return: 0; -EINVAL for n, @pairs_max or @tolerance out of range; -EDOM if a worth is not finite.
 */
int shapley_estimate(shapley_worth_fn worth, const void *ctx, unsigned n, uint64_t seed,
                     unsigned pairs_max, double tolerance, double ret_value[], double ret_error[],
                     struct shapley_sample *ret);
