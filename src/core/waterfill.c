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

/* Claimants that can take something, those with a weight first. Returns how many there are in all. */
static size_t list_claimants(const double bound[], const int64_t bound_whole[],
                             const double weight[], size_t n, size_t order[], size_t *ret_n_weighted)
{
        size_t n_listed = 0;

        for (int pass = 0; pass < 2; pass++) {
                for (size_t i = 0; i < n; i++)
                        if ((weight[i] > 0) == (pass == 0) &&
                            (bound ? bound[i] > 0 : bound_whole[i] > 0))
                                order[n_listed++] = i;
                if (pass == 0)
                        *ret_n_weighted = n_listed;
        }
        return n_listed;
}

/* ---- real amounts ------------------------------------------------------------------------------- */

static bool fills_later(const void *ctx, size_t a, size_t b)
{
        const double *threshold = ctx;

        return threshold[a] != threshold[b] ? threshold[a] > threshold[b] : a > b;
}

/* Fills the listed claimants. Returns theta; what is left over goes to ret_rest. */
static double fill(const double bound[], const double weight[], size_t order[], size_t n,
                   double amount, double share[], double *ret_rest)
{
        double rest = amount, sum = 0;

        /* Claimant i is full from theta = b_i / w_i on. */
        for (size_t k = 0; k < n; k++)
                share[order[k]] = bound[order[k]] / weight_of(weight, order[k]);
        heap_sort(order, n, fills_later, share);

        /* The weight of everybody not yet full is summed from the far end. Subtracting the full ones
         * one by one would leave nothing but rounding error where weights differ by 1e6 and more. */
        for (size_t k = n; k-- > 0;) {
                sum += weight_of(weight, order[k]);
                share[order[k]] = sum;
        }

        for (size_t k = 0; k < n; k++) {
                size_t i = order[k];
                double w = weight_of(weight, i), w_rest = share[i];

                if (bound[i] * w_rest > w * rest) {
                        double theta = rest / w_rest;

                        for (; k < n; k++)
                                share[order[k]] = fmin(bound[order[k]],
                                                       weight_of(weight, order[k]) * theta);
                        *ret_rest = 0;
                        return theta;
                }
                share[i] = bound[i];
                rest = fmax(rest - bound[i], 0);
        }
        *ret_rest = rest;
        return INFINITY;
}

int waterfill_solve(const double bound[], const double weight[], size_t n, double amount,
                    size_t order[], double ret_share[], double *ret_theta)
{
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
        n_listed = list_claimants(bound, NULL, weight, n, order, &n_weighted);
        *ret_theta = fill(bound, weight, order, n_weighted, amount, ret_share, &rest);
        (void)fill(bound, weight, order + n_weighted, n_listed - n_weighted, rest, ret_share, &rest);
        return 0;
}

/* ---- whole amounts ------------------------------------------------------------------------------ */

struct apportionment {
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

static bool fills_later_whole(const void *ctx, size_t a, size_t b)
{
        const struct apportionment *ap = ctx;
        int c = compare_products((double)ap->bound[a], weight_of(ap->weight, b),
                                 (double)ap->bound[b], weight_of(ap->weight, a));

        return c != 0 ? c > 0 : a > b;
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
        size_t n_full = n, mark;
        double w_free = 0, theta;

        for (size_t k = 0; k < n; k++)
                total += ap->bound[order[k]];
        if (total <= amount) {
                for (size_t k = 0; k < n; k++)
                        ap->share[order[k]] = ap->bound[order[k]];
                return amount - total;
        }

        /* From the far end, the claimants that are not filled; whole sums make this exact but for
         * w_free, which only ever grows. */
        heap_sort(order, n, fills_later_whole, ap);
        while (n_full > 0) {
                size_t i = order[n_full - 1];

                if (w_free > 0 && (double)(amount - total) * weight_of(ap->weight, i) >=
                                          (double)ap->bound[i] * w_free)
                        break;
                total -= ap->bound[i];
                w_free += weight_of(ap->weight, i);
                n_full--;
        }
        theta = (double)(amount - total) / w_free;

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
        struct apportionment ap = { bound, weight, ret_share };
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
        n_listed = list_claimants(NULL, bound, weight, n, order, &n_weighted);
        rest = apportion(&ap, order, n_weighted, amount);
        (void)apportion(&ap, order + n_weighted, n_listed - n_weighted, rest);
        return 0;
}
