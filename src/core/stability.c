/* SPDX-License-Identifier: MIT */

#include "core/stability.h"

#include <errno.h>

/* A sweep of the repair that moves no payoff by more than this, relative to v(N), was the last: an order of
 * magnitude above what rounding keeps moving. */
#define REPAIR_SETTLED 1e-13

/* Subsets are halved into low and high positions, so that the payoff of a subset is the sum of two
 * entries: no rounding adds up on the way through all of them, and two pages of stack are enough. */
#define HALF (COALITION_EXACT_MAX / 2)

struct subset_sums {
        double low[1 << HALF], high[1 << HALF];
};

static void subset_sums_init(struct subset_sums *s, const double payoff[], unsigned n)
{
        double *part[] = { s->low, s->high };

        for (unsigned half = 0; half < 2; half++) {
                part[half][0] = 0;
                for (unsigned bit = 0; bit < HALF; bit++) {
                        unsigned i = half * HALF + bit;
                        double y = i < n ? payoff[i] : 0;

                        for (uint32_t k = 0; k < 1u << bit; k++)
                                part[half][(1u << bit) + k] = part[half][k] + y;
                }
        }
}

static double subset_sum(const struct subset_sums *s, uint32_t subset)
{
        return s->low[subset & ((1u << HALF) - 1)] + s->high[subset >> HALF];
}

static double tolerance_of(double worth)
{
        return STABILITY_TOLERANCE * fmax(1, fabs(worth));
}

static int check_input(const double worth[], unsigned n, const double payoff[], double epsilon)
{
        if (n == 0 || n > COALITION_EXACT_MAX || !isfinite(epsilon))
                return -EINVAL;
        for (uint32_t s = 0; s < 1u << n; s++)
                if (!isfinite(worth[s]))
                        return -EINVAL;
        for (unsigned i = 0; i < n; i++)
                if (!isfinite(payoff[i]))
                        return -EINVAL;
        return 0;
}

/* The check proper, of input that was looked at. */
static struct stability find_worst(const double worth[], unsigned n, const double payoff[],
                                   double epsilon)
{
        const uint32_t all = (1u << n) - 1;
        struct stability found = { .max_excess = -INFINITY };
        double tolerance = tolerance_of(worth[all]);
        struct subset_sums sums;

        subset_sums_init(&sums, payoff, n);
        for (uint32_t s = 1; s < all; s++) {
                double excess = worth[s] - subset_sum(&sums, s);

                if (excess > found.max_excess) {
                        found.max_excess = excess;
                        found.blocking = s;
                }
        }
        found.is_stable = found.max_excess <= epsilon + tolerance &&
                          fabs(worth[all] - subset_sum(&sums, all)) <= tolerance;
        return found;
}

int stability_check(const double worth[], unsigned n, const double payoff[], double epsilon,
                    struct stability *ret)
{
        int r = check_input(worth, n, payoff, epsilon);

        if (r < 0)
                return r;
        *ret = find_worst(worth, n, payoff, epsilon);
        return 0;
}

/* Makes sum y = v(N), everybody by the same amount: the projection on the efficient payoffs. */
static void make_efficient(double payoff[], unsigned n, double worth)
{
        double sum = 0;

        for (unsigned i = 0; i < n; i++)
                sum += payoff[i];
        for (unsigned i = 0; i < n; i++)
                payoff[i] += (worth - sum) / n;
}

/* One sweep over all proper subsets. Returns the longest move, by the largest change of a payoff. In the
 * order of the Gray code each subset differs by one member from the one before, so that its payoff costs
 * one addition. */
static double sweep(const double worth[], unsigned n, double epsilon, double multiplier[], double y[])
{
        const uint32_t all = (1u << n) - 1;
        uint32_t subset = 0;
        unsigned size = 0;
        double sum = 0, longest = 0;

        for (uint32_t k = 1; k <= all; k++) {
                unsigned i_changed = (unsigned)__builtin_ctz(k);
                double push, norm, moved;

                subset ^= 1u << i_changed;
                if (subset >> i_changed & 1) {
                        size++;
                        sum += y[i_changed];
                } else {
                        size--;
                        sum -= y[i_changed];
                }
                if (subset == all)
                        continue;
                push = worth[subset] - epsilon - sum;
                if (push <= 0 && multiplier[subset] <= 0)
                        continue;
                /* Squared length of the subset's normal within the plane sum y = v(N). */
                norm = size * (1 - (double)size / n);
                moved = fmax(push / norm, -multiplier[subset]);
                multiplier[subset] += moved;
                for (unsigned i = 0; i < n; i++)
                        y[i] += moved * ((subset >> i & 1) - (double)size / n);
                sum += moved * norm;
                longest = fmax(longest, fabs(moved));
        }
        return longest;
}

int stability_repair(const double worth[], unsigned n, double epsilon, unsigned max_iterations,
                     double scratch[], double payoff[])
{
        const uint32_t all = n <= COALITION_EXACT_MAX ? (1u << n) - 1 : 0;
        double y[COALITION_EXACT_MAX];
        int r = check_input(worth, n, payoff, epsilon);

        if (r < 0)
                return r;
        for (uint32_t s = 0; s <= all; s++)
                scratch[s] = 0;
        for (unsigned i = 0; i < n; i++)
                y[i] = payoff[i];
        make_efficient(y, n, worth[all]);
        for (unsigned k = 0; k < max_iterations; k++) {
                double longest = sweep(worth, n, epsilon, scratch, y);

                make_efficient(y, n, worth[all]);       /* what rounding left */
                if (longest <= REPAIR_SETTLED * fmax(1, fabs(worth[all])))
                        break;
        }
        if (!find_worst(worth, n, y, epsilon).is_stable)
                return 1;
        for (unsigned i = 0; i < n; i++)
                payoff[i] = y[i];
        return 0;
}
