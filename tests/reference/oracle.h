/* SPDX-License-Identifier: MIT */
#pragma once

/* Slow solvers that are right by inspection, on whole numbers, sharing no code with the product. */

#include <stddef.h>
#include <stdint.h>

#include "core/model.h"

#define ORACLE_MAX 12           /* claimants: every subset is tried */

/* Exactly one set of full claimants satisfies the KKT conditions of weighted water-filling; tries
 * them all with exact arithmetic. Bounds, weights and amount are whole, below 2^20; weights > 0. The
 * shares are the exact rationals rounded once. Returns theta, INFINITY if all are full. */
double oracle_waterfill(const int64_t bound[], const int64_t weight[], size_t n, int64_t amount,
                        double ret_share[]);

/* Webster by definition: the next unit to the greatest w / (2s + 1), lowest index first. */
void oracle_webster(const int64_t bound[], const int64_t weight[], size_t n, int64_t amount,
                    int64_t ret_share[]);

/* Largest remainder on the exact solution, ties to the lowest index; weight 0 takes what is left. */
void oracle_hamilton(const int64_t bound[], const int64_t weight[], size_t n, int64_t amount,
                     int64_t ret_share[]);

/* The market, rung by rung: each level of everybody is filled from what the one below left. spare is
 * the share of what is above all needs, spare_percent / 100. Returns the tier. */
enum tier oracle_market(int64_t capacity, int spare_percent, enum overload_rule overload,
                        const struct player players[], size_t n, double ret_x[]);
