/* SPDX-License-Identifier: MIT */
#pragma once

/* Linear programs by the textbook, and what cooperative game theory computes with them: slow, dense, for
 * games of a few players. Shares no code with the product, which needs none of it. */

#include <stddef.h>
#include <stdint.h>

#define LP_ROWS_MAX 8
#define LP_COLUMNS_MAX 128
#define LP_PLAYERS_MAX 6

/* Maximise c x subject to a x = b, x >= 0, with b >= 0. */
struct lp {
        size_t n_rows, n_columns;
        double a[LP_ROWS_MAX][LP_COLUMNS_MAX], b[LP_ROWS_MAX], c[LP_COLUMNS_MAX];
        double x[LP_COLUMNS_MAX];       /* the solution */
        double price[LP_ROWS_MAX];      /* and that of the dual */
        double best;
};

/* Simplex method in two phases, Bland's rule: cannot cycle. Return: 0; 1 infeasible; 2 unbounded. */
int lp_solve(struct lp *lp);

/* The least epsilon for which the epsilon-core is not empty, and a payoff in it. */
double lp_least_core(const double worth[], unsigned n, double ret_payoff[]);

/* The (pre)nucleolus: the excesses of a payoff, the largest first, made as small as can be one after the
 * other. One program a round; what is tight in every solution is held from then on. */
void lp_nucleolus(const double worth[], unsigned n, double ret_payoff[]);
