/* SPDX-License-Identifier: MIT */
#pragma once

/* Credits: who gave more to its coalition than it got, and how that is remembered.
 *
 * Of a coalition's gain every member is due its Shapley value and has its realised gain; the difference
 * is a credit. Differences are shares of what changed hands, settled into a moving average of an hour's
 * half-life, so that a credit lies in [-1, 1] and means "on average over the last hour, so much of what
 * the coalition moved came from (or went to) this service". The sum over all services is zero.
 *
 * Credits turn into bargaining weights, by at most ten percent either way and only under contention.
 * Source: doc/theory.md, Credits. */

#include "core/model.h"

#define LEDGER_CREDIT_MAX 1.0
/* Half-life of a credit, in epochs: an hour at the default EpochSec=. */
#define LEDGER_HALF_LIFE_EPOCHS 240
#define LEDGER_WEIGHT_SWING 0.1

/* What is left of a credit after one epoch: 2^(-1/half-life). */
double ledger_decay(void);

/**
 * ledger_settle() - one epoch of one coalition
 * @due:       n Shapley values, in utility; scaled to the sum of the realised gains, so that what is
 *             settled sums to zero; where that sum is not positive nothing is settled
 * @realised:  n realised gains U_i(x_i) - U_i(e_i)
 * @reference: what one unit of credit is worth, in utility, > 0
 * @credit:    n credits: decayed, settled, and projected so that each lies in [-1, 1] and their sum is
 *             what it was after the decay
 *
 * The sum that is kept is that of this coalition: what its members owe to services outside, or are owed,
 * from coalitions that they were in before, stays as it is, and a sum of zero over all services stays zero.
 *
 * Return: 0; -EINVAL if an input is not finite or the reference is not positive: credits untouched.
 */
int ledger_settle(const double due[], const double realised[], size_t n, double reference,
                  double credit[]);

/**
 * ledger_reference() - the reference that makes credits a moving average
 * @worth: v(N)
 * @noise: in utility, >= 0: gains of this size or less say nothing
 *
 * The larger of v(N) and of what changed hands, half the sum of |due - realised| with the dues scaled as
 * ledger_settle() does, over (1 - decay). So no epoch counts for more than 1 - decay, however little was
 * at stake, and no credit can leave [-1, 1] by what is settled with it.
 *
 * Return: INFINITY (nothing is settled) where both are within the noise, or the sum of the realised gains
 * or of the dues is not positive.
 */
double ledger_reference(double worth, const double due[], const double realised[], size_t n,
                        double noise);

/**
 * ledger_project() - the nearest credits with a given sum, each within [-max, max]
 * @sum: |sum| <= n max; beyond that everybody is at the bound
 *
 * credit_i = clamp(credit_i - nu, -max, max). Used when a service leaves: what it had goes to the others.
 * Exact but for rounding. Cost: O(n), times a few where somebody comes to lie at a bound.
 */
void ledger_project(double credit[], size_t n, double max, double sum);

/* The weight that a credit makes: w (1 + 0.1 contention credit), contention in 0..1. */
double ledger_weight(double weight, double credit, double contention);
