/* SPDX-License-Identifier: MIT */

#include "reference/lp.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NIL 1e-9

struct tableau {
        size_t m, n;                    /* rows; columns, without the m artificial ones */
        /* last row: reduced costs; last column: b */
        double t[LP_ROWS_MAX + 1][LP_COLUMNS_MAX + LP_ROWS_MAX + 1];
        size_t basis[LP_ROWS_MAX];
};

static void pivot(struct tableau *s, size_t row, size_t column)
{
        size_t width = s->n + s->m + 1;
        double p = s->t[row][column];

        for (size_t j = 0; j < width; j++)
                s->t[row][j] /= p;
        for (size_t i = 0; i <= s->m; i++) {
                double factor = s->t[i][column];

                if (i == row || factor == 0)
                        continue;
                for (size_t j = 0; j < width; j++)
                        s->t[i][j] -= factor * s->t[row][j];
                s->t[i][column] = 0;
        }
        s->basis[row] = column;
}

/* Sets the reduced costs of objective c (artificial columns: artificial_cost) for the basis at hand. */
static void price_out(struct tableau *s, const double c[], double artificial_cost)
{
        size_t width = s->n + s->m + 1;

        for (size_t j = 0; j < width; j++)
                s->t[s->m][j] = j < s->n ? (c ? -c[j] : 0) : j + 1 < width ? -artificial_cost : 0;
        for (size_t i = 0; i < s->m; i++) {
                double factor = s->t[s->m][s->basis[i]];

                for (size_t j = 0; j < width; j++)
                        s->t[s->m][j] -= factor * s->t[i][j];
        }
}

/* Bland: the first column that improves, the row of the first basic variable among equals. */
static int improve(struct tableau *s)
{
        size_t last = s->n + s->m;

        for (;;) {
                size_t column = 0, row = s->m;

                while (column < s->n && s->t[s->m][column] >= -NIL)
                        column++;
                if (column == s->n)
                        return 0;
                for (size_t i = 0; i < s->m; i++) {
                        double ratio, least;

                        if (s->t[i][column] <= NIL)
                                continue;
                        if (row == s->m) {
                                row = i;
                                continue;
                        }
                        ratio = s->t[i][last] / s->t[i][column];
                        least = s->t[row][last] / s->t[row][column];
                        if (ratio < least - NIL || (ratio <= least + NIL && s->basis[i] < s->basis[row]))
                                row = i;
                }
                if (row == s->m)
                        return 2;
                pivot(s, row, column);
        }
}

int lp_solve(struct lp *lp)
{
        struct tableau s = { .m = lp->n_rows, .n = lp->n_columns };
        size_t last = s.n + s.m;

        for (size_t i = 0; i < s.m; i++) {
                memcpy(s.t[i], lp->a[i], s.n * sizeof s.t[i][0]);
                s.t[i][s.n + i] = 1;
                s.t[i][last] = lp->b[i];
                s.basis[i] = s.n + i;
        }
        price_out(&s, NULL, -1);
        if (improve(&s) != 0 || s.t[s.m][last] < -NIL)
                return 1;
        for (size_t i = 0; i < s.m; i++)        /* what is still artificial leaves at level 0 */
                for (size_t j = 0; j < s.n && s.basis[i] >= s.n; j++)
                        if (fabs(s.t[i][j]) > NIL)
                                pivot(&s, i, j);
        price_out(&s, lp->c, 0);
        if (improve(&s) != 0)
                return 2;
        memset(lp->x, 0, sizeof lp->x);
        for (size_t i = 0; i < s.m; i++) {
                if (s.basis[i] < s.n)
                        lp->x[s.basis[i]] = s.t[i][last];
                lp->price[i] = s.t[s.m][s.n + i];
        }
        lp->best = s.t[s.m][last];
        return 0;
}

/* Subsets whose payoff is held, linearly independent; the grand coalition is the first. */
struct held {
        unsigned n;                     /* players */
        unsigned n_held;
        uint32_t subset[LP_PLAYERS_MAX];
        double payoff[LP_PLAYERS_MAX];
        double echelon[LP_PLAYERS_MAX][LP_PLAYERS_MAX];
        unsigned leading[LP_PLAYERS_MAX];
};

/* Is the payoff of a subset fixed by those that are held? If not, what is left of it is in ret. */
static bool is_spanned(const struct held *h, uint32_t subset, double ret[LP_PLAYERS_MAX])
{
        for (unsigned i = 0; i < h->n; i++)
                ret[i] = subset >> i & 1;
        for (unsigned k = 0; k < h->n_held; k++) {
                double factor = ret[h->leading[k]] / h->echelon[k][h->leading[k]];

                for (unsigned i = 0; i < h->n; i++)
                        ret[i] -= factor * h->echelon[k][i];
        }
        for (unsigned i = 0; i < h->n; i++)
                if (fabs(ret[i]) > NIL)
                        return false;
        return true;
}

static void hold(struct held *h, uint32_t subset, double payoff)
{
        double rest[LP_PLAYERS_MAX];
        unsigned largest = 0;

        if (is_spanned(h, subset, rest))
                return;
        for (unsigned i = 1; i < h->n; i++)
                if (fabs(rest[i]) > fabs(rest[largest]))
                        largest = i;
        memcpy(h->echelon[h->n_held], rest, sizeof rest);
        h->leading[h->n_held] = largest;
        h->subset[h->n_held] = subset;
        h->payoff[h->n_held++] = payoff;
}

static void add_column(struct lp *lp, unsigned n, uint32_t subset, double sign, bool is_lambda, double c)
{
        size_t j = lp->n_columns++;

        assert(j < LP_COLUMNS_MAX);
        lp->a[0][j] = is_lambda;
        for (unsigned i = 0; i < n; i++)
                lp->a[i + 1][j] = subset >> i & 1 ? sign : 0;
        lp->c[j] = sign * c;
}

/* min t subject to y(S) + t >= v(S), and y(S) as held: by the dual, whose prices are t and y. Holds what
 * is tight; returns t. */
static double round_of(struct held *h, const double worth[], unsigned n, double ret_payoff[])
{
        struct lp lp = { .n_rows = n + 1, .b = { 1 } };
        uint32_t subset[LP_COLUMNS_MAX];
        double rest[LP_PLAYERS_MAX], t;
        size_t n_lambda;

        for (uint32_t s = 1; s < (1u << n) - 1; s++) {
                if (is_spanned(h, s, rest))
                        continue;
                subset[lp.n_columns] = s;
                add_column(&lp, n, s, 1, true, worth[s]);
        }
        n_lambda = lp.n_columns;
        for (unsigned k = 0; k < h->n_held; k++) {
                add_column(&lp, n, h->subset[k], 1, false, h->payoff[k]);
                add_column(&lp, n, h->subset[k], -1, false, h->payoff[k]);
        }
        if (lp_solve(&lp) != 0)
                abort();                /* always feasible, and bounded by any payoff */
        t = lp.price[0];
        for (unsigned i = 0; i < n; i++)
                ret_payoff[i] = lp.price[i + 1];
        for (size_t j = 0; j < n_lambda; j++)
                if (lp.x[j] > NIL)
                        hold(h, subset[j], worth[subset[j]] - t);
        return t;
}

static struct held grand_coalition(const double worth[], unsigned n)
{
        struct held h = { .n = n };

        assert(n >= 1 && n <= LP_PLAYERS_MAX);
        hold(&h, (1u << n) - 1, worth[(1u << n) - 1]);
        return h;
}

double lp_least_core(const double worth[], unsigned n, double ret_payoff[])
{
        struct held h = grand_coalition(worth, n);

        return round_of(&h, worth, n, ret_payoff);
}

void lp_nucleolus(const double worth[], unsigned n, double ret_payoff[])
{
        struct held h = grand_coalition(worth, n);

        ret_payoff[0] = worth[1];       /* of a single player */
        while (h.n_held < n)
                round_of(&h, worth, n, ret_payoff);
}
