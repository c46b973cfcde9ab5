/* SPDX-License-Identifier: MIT */

#include "core/shapley.h"

#include <errno.h>
#include <string.h>

#include "core/random.h"

/* Two-sided 95 % of the normal distribution, which means of pairs approach. */
#define NORMAL_95 1.96
/* Of fewer pairs the spread is not known well enough to stop by it. */
#define PAIRS_MIN_TO_STOP 32

int shapley_exact(const double worth[], unsigned n, double ret_value[])
{
        double weight[COALITION_EXACT_MAX];     /* of joining a subset of so many */
        double value[COALITION_EXACT_MAX] = { 0 };
        uint32_t n_subsets;

        if (n == 0 || n > COALITION_EXACT_MAX)
                return -EINVAL;
        n_subsets = UINT32_C(1) << n;
        for (uint32_t s = 0; s < n_subsets; s++)
                if (!isfinite(worth[s]))
                        return -EDOM;

        /* |S|! (n - |S| - 1)! / n!, from one size to the next */
        weight[0] = 1.0 / n;
        for (unsigned size = 1; size < n; size++)
                weight[size] = weight[size - 1] * size / (n - size);

        for (uint32_t s = 0; s < n_subsets - 1; s++) {
                unsigned size = 0;

                for (uint32_t in = s; in != 0; in &= in - 1)
                        size++;
                for (uint32_t out = ~s & (n_subsets - 1); out != 0; out &= out - 1)
                        value[__builtin_ctz(out)] += weight[size] * (worth[s | (out & -out)] - worth[s]);
        }
        memcpy(ret_value, value, n * sizeof value[0]);
        return 0;
}

/* What everybody adds when they arrive in that order, added to the sums. */
static int add_order(shapley_worth_fn worth, const void *ctx, const unsigned order[], unsigned n,
                     bool is_reversed, double sum[])
{
        uint32_t present = 0;
        double before = 0;

        for (unsigned k = 0; k < n; k++) {
                unsigned i = order[is_reversed ? n - 1 - k : k];
                double after;

                present |= UINT32_C(1) << i;
                after = worth(ctx, present);
                if (!isfinite(after))
                        return -EDOM;
                sum[i] += after - before;
                before = after;
        }
        return 0;
}

int shapley_estimate(shapley_worth_fn worth, const void *ctx, unsigned n, uint64_t seed,
                     unsigned pairs_max, double tolerance, double ret_value[], double ret_error[],
                     struct shapley_sample *ret)
{
        double mean[COALITION_MEMBERS_MAX] = { 0 }, spread[COALITION_MEMBERS_MAX] = { 0 };
        double error[COALITION_MEMBERS_MAX], rest, half_width = INFINITY;
        unsigned order[COALITION_MEMBERS_MAX], n_pairs = 0;
        struct random random;

        if (n == 0 || n > COALITION_MEMBERS_MAX || pairs_max < 2 || !(tolerance >= 0))
                return -EINVAL;
        rest = worth(ctx, UINT32_MAX >> (32 - n));
        if (!isfinite(rest))
                return -EDOM;

        random_init(&random, seed);
        while (n_pairs < pairs_max &&
               !(tolerance > 0 && n_pairs >= PAIRS_MIN_TO_STOP && half_width <= tolerance)) {
                double sum[COALITION_MEMBERS_MAX] = { 0 };
                int r;

                /* Who comes late in one order comes early in the other: their errors cancel in part. */
                random_permutation(&random, n, order);
                r = add_order(worth, ctx, order, n, false, sum);
                if (r >= 0)
                        r = add_order(worth, ctx, order, n, true, sum);
                if (r < 0)
                        return r;

                /* Mean and sum of squares about it, of pairs: within a pair nothing is independent. */
                n_pairs++;
                half_width = 0;
                for (unsigned i = 0; i < n; i++) {
                        double pair = sum[i] / 2, step = pair - mean[i];

                        mean[i] += step / n_pairs;
                        spread[i] += step * (pair - mean[i]);
                        error[i] = n_pairs > 1 ? sqrt(spread[i] / (n_pairs - 1) / n_pairs) : INFINITY;
                        half_width = fmax(half_width, NORMAL_95 * error[i]);
                }
        }

        /* Each order hands out v(N), so what is missing is rounding: nobody's more than another's. */
        for (unsigned i = 0; i < n; i++)
                rest -= mean[i];
        for (unsigned i = 0; i < n; i++) {
                ret_value[i] = mean[i] + rest / n;
                if (ret_error)
                        ret_error[i] = error[i];
        }
        *ret = (struct shapley_sample){ half_width, n_pairs };
        return 0;
}
