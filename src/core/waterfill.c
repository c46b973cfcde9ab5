/* SPDX-License-Identifier: MIT */

#include "core/waterfill.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>

#include "core/heap.h"

/* Beyond this neither a bound nor an amount of whole units may go: products with weights below 2^21
 * then fit the 53 bits of a double, and sums of 2^31 of them fit an int64_t. */
#define WHOLE_MAX (INT64_C(1) << 31)

/* Weight 0 stands for "after everybody else", and among themselves such claimants are equal. */
static double weight_of(const double weight[], size_t i)
{
        return weight[i] > 0 ? weight[i] : 1;
}

/* ---- where the amount runs out ------------------------------------------------------------------ */

/* Bounds are real in one solver and whole in the other. */
struct claimants {
        const double *bound;
        const int64_t *bound_whole;     /* where bound is NULL */
        const double *weight;
};

static double bound_of(const struct claimants *c, size_t i)
{
        return c->bound ? c->bound[i] : (double)c->bound_whole[i];
}

/* Claimants that can take something, those with a weight first. Returns how many there are in all. */
static size_t list_claimants(const struct claimants *c, size_t n, size_t order[],
                             size_t *ret_n_weighted)
{
        size_t n_listed = 0;

        for (int pass = 0; pass < 2; pass++) {
                for (size_t i = 0; i < n; i++)
                        if ((c->weight[i] > 0) == (pass == 0) && bound_of(c, i) > 0)
                                order[n_listed++] = i;
                if (pass == 0)
                        *ret_n_weighted = n_listed;
        }
        return n_listed;
}

/* Claimant i is full from theta = b_i / w_i on. */
static bool fills_later(const void *ctx, size_t a, size_t b)
{
        const struct claimants *c = ctx;
        double theta_a = bound_of(c, a) / weight_of(c->weight, a);
        double theta_b = bound_of(c, b) / weight_of(c->weight, b);

        return theta_a != theta_b ? theta_a > theta_b : a > b;
}

/* Of the claimants in order, sorted by when they are full: how many are. Being full is monotone in that
 * order, so that a few sums decide; each is made afresh, for the reason given below. */
static size_t count_full(const struct claimants *c, const size_t order[], size_t n, double amount)
{
        size_t low = 0, high = n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                double rest = amount, weight = 0;

                for (size_t k = 0; k < middle; k++)
                        rest -= bound_of(c, order[k]);
                for (size_t k = middle; k < n; k++)
                        weight += weight_of(c->weight, order[k]);
                if (bound_of(c, order[middle]) * weight <= weight_of(c->weight, order[middle]) * rest)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

/* So many passes are enough for all but contrived input. */
#define PASSES_MAX 24

/* Finds who is full and moves them to the front of order. Returns theta, INFINITY if all are full.
 *
 * If all shared the amount by weight, whoever then is full will be full in the end, because theta only
 * grows when others are bounded. So each pass takes out those and shares what they leave. Input made
 * for it takes a claimant a pass; what is left after some passes is sorted.
 *
 * The weight of those who are not full is summed anew in each pass. Subtracting the full ones would
 * leave nothing but rounding error where weights differ by 1e6 and more. */
static double find_theta(const struct claimants *c, size_t order[], size_t n, double amount,
                         size_t *ret_n_full, double *ret_rest)
{
        size_t n_full = 0, n_before;
        double rest = amount, weight;

        for (int pass = 0;; pass++) {
                double limit = rest;

                weight = 0;
                for (size_t k = n_full; k < n; k++)
                        weight += weight_of(c->weight, order[k]);

                n_before = n_full;
                if (pass == PASSES_MAX) {
                        heap_sort(order + n_full, n - n_full, fills_later, c);
                        n_full += count_full(c, order + n_full, n - n_full, rest);
                        for (size_t k = n_before; k < n_full; k++)
                                rest = fmax(rest - bound_of(c, order[k]), 0);
                        continue;
                }
                for (size_t k = n_full; k < n; k++) {
                        size_t i = order[k];

                        if (bound_of(c, i) * weight <= weight_of(c->weight, i) * limit) {
                                rest = fmax(rest - bound_of(c, i), 0);
                                order[k] = order[n_full];
                                order[n_full++] = i;
                        }
                }
                if (n_full == n_before)
                        break;
        }
        *ret_n_full = n_full;
        *ret_rest = rest;
        return n_full < n ? rest / weight : INFINITY;
}

/* ---- real amounts ------------------------------------------------------------------------------- */

/* Fills the listed claimants. Returns theta; what is left over goes to ret_rest. */
static double fill(const struct claimants *c, size_t order[], size_t n, double amount, double share[],
                   double *ret_rest)
{
        size_t n_full;
        double theta = find_theta(c, order, n, amount, &n_full, ret_rest);

        for (size_t k = 0; k < n; k++) {
                size_t i = order[k];

                share[i] = k < n_full ? c->bound[i]
                                      : fmin(c->bound[i], weight_of(c->weight, i) * theta);
        }
        if (n_full < n)
                *ret_rest = 0;
        return theta;
}

int waterfill_solve(const double bound[], const double weight[], size_t n, double amount,
                    size_t order[], double ret_share[], double *ret_theta)
{
        struct claimants c = { .bound = bound, .weight = weight };
        size_t n_weighted, n_listed;
        double rest;

        if (!(amount >= 0))
                return -EINVAL;
        for (size_t i = 0; i < n; i++)
                if (!(bound[i] >= 0) || !(weight[i] >= 0) || isinf(weight[i]) ||
                    (isinf(bound[i]) && isinf(amount)))
                        return -EINVAL;

        for (size_t i = 0; i < n; i++)
                ret_share[i] = 0;
        n_listed = list_claimants(&c, n, order, &n_weighted);
        *ret_theta = fill(&c, order, n_weighted, amount, ret_share, &rest);
        (void)fill(&c, order + n_weighted, n_listed - n_weighted, rest, ret_share, &rest);
        return 0;
}

/* ---- whole amounts ------------------------------------------------------------------------------ */

struct apportionment {
        struct claimants claimants;
        const int64_t *bound;
        const double *weight;
        int64_t *share;
};

/* a*b <=> c*d without rounding: where the rounded products agree, what was rounded off decides. A
 * tie that is not seen as one would break monotonicity. */
static int compare_products(double a, double b, double c, double d)
{
        double ab = a * b, cd = c * d;

        if (ab == cd) {
                double ab_rest = fma(a, b, -ab), cd_rest = fma(c, d, -cd);

                return (ab_rest > cd_rest) - (ab_rest < cd_rest);
        }
        return ab > cd ? 1 : -1;
}

/* Webster's order of all units: unit k of claimant i (k = 1, 2, ...) has the claim w_i / (2k - 1);
 * the greater claim goes first, equal claims by index. */
static bool unit_goes_first(const struct apportionment *ap, size_t a, int64_t unit_a, size_t b,
                            int64_t unit_b)
{
        int c = compare_products(weight_of(ap->weight, a), (double)(2 * unit_b - 1),
                                 weight_of(ap->weight, b), (double)(2 * unit_a - 1));

        return c != 0 ? c > 0 : a < b;
}

static bool next_goes_first(const void *ctx, size_t a, size_t b)
{
        const struct apportionment *ap = ctx;

        return unit_goes_first(ap, a, ap->share[a] + 1, b, ap->share[b] + 1);
}

static bool last_goes_last(const void *ctx, size_t a, size_t b)
{
        const struct apportionment *ap = ctx;

        return unit_goes_first(ap, b, ap->share[b], a, ap->share[a]);
}

/* How many units of claimant i go no later than the given unit. Exact: the guess is corrected by the
 * order itself. */
static int64_t units_up_to(const struct apportionment *ap, size_t i, size_t mark, int64_t unit)
{
        double guess = (weight_of(ap->weight, i) / weight_of(ap->weight, mark) *
                                (double)(2 * unit - 1) + 1) / 2;
        int64_t k = guess < (double)ap->bound[i] ? (int64_t)guess : ap->bound[i];

        while (k < ap->bound[i] && !unit_goes_first(ap, mark, unit, i, k + 1))
                k++;
        while (k > 0 && unit_goes_first(ap, mark, unit, i, k))
                k--;
        return k;
}

/* Hands out whole units in Webster's order to the listed claimants; what is left is returned.
 *
 * The continuous solution says where in that order the amount runs out, to within half a unit a
 * claimant. We give everybody exactly what comes before that place, then walk on or back, by a heap,
 * the few units that are missing. */
static int64_t apportion(const struct apportionment *ap, size_t order[], size_t n, int64_t amount)
{
        int64_t total = 0, given = 0, unit;
        size_t n_full, mark;
        double theta, rest;

        for (size_t k = 0; k < n; k++)
                total += ap->bound[order[k]];
        if (total <= amount) {
                for (size_t k = 0; k < n; k++)
                        ap->share[order[k]] = ap->bound[order[k]];
                return amount - total;
        }

        theta = find_theta(&ap->claimants, order, n, (double)amount, &n_full, &rest);
        if (n_full == n)        /* by rounding; theta only says where to look first */
                n_full = 0;

        mark = order[n_full];
        for (size_t k = n_full; k < n; k++)
                if (weight_of(ap->weight, order[k]) > weight_of(ap->weight, mark))
                        mark = order[k];
        unit = (int64_t)fmin(weight_of(ap->weight, mark) * theta + 0.5, (double)WHOLE_MAX);
        unit = unit < 1 ? 1 : unit;
        for (size_t k = 0; k < n; k++) {
                ap->share[order[k]] = units_up_to(ap, order[k], mark, unit);
                given += ap->share[order[k]];
        }

        if (given < amount) {
                size_t n_open = 0;

                for (size_t k = 0; k < n; k++)
                        if (ap->share[order[k]] < ap->bound[order[k]]) {
                                size_t i = order[k];

                                order[k] = order[n_open];
                                order[n_open++] = i;
                        }
                heap_build(order, n_open, next_goes_first, ap);
                for (; given < amount; given++) {
                        if (++ap->share[order[0]] == ap->bound[order[0]])
                                order[0] = order[--n_open];
                        heap_sift(order, n_open, 0, next_goes_first, ap);
                }
        } else if (given > amount) {
                size_t n_holding = 0;

                for (size_t k = 0; k < n; k++)
                        if (ap->share[order[k]] > 0)
                                order[n_holding++] = order[k];
                heap_build(order, n_holding, last_goes_last, ap);
                for (; given > amount; given--) {
                        if (--ap->share[order[0]] == 0)
                                order[0] = order[--n_holding];
                        heap_sift(order, n_holding, 0, last_goes_last, ap);
                }
        }
        return 0;
}

int waterfill_round(const int64_t bound[], const double weight[], size_t n, int64_t amount,
                    size_t order[], int64_t ret_share[])
{
        struct apportionment ap = { { .bound_whole = bound, .weight = weight }, bound, weight, ret_share };
        size_t n_weighted, n_listed;
        int64_t rest;

        if (amount < 0)
                return -EINVAL;
        for (size_t i = 0; i < n; i++)
                if (bound[i] < 0 || !(weight[i] >= 0) || isinf(weight[i]))
                        return -EINVAL;
        if (amount >= WHOLE_MAX)
                return -ERANGE;
        for (size_t i = 0; i < n; i++)
                if (bound[i] >= WHOLE_MAX)
                        return -ERANGE;

        for (size_t i = 0; i < n; i++)
                ret_share[i] = 0;
        n_listed = list_claimants(&ap.claimants, n, order, &n_weighted);
        rest = apportion(&ap, order, n_weighted, amount);
        (void)apportion(&ap, order + n_weighted, n_listed - n_weighted, rest);
        return 0;
}
