/* SPDX-License-Identifier: MIT */

#include "core/stability.h"

#include <errno.h>
#include <float.h>

/* A sweep of the repair that moves no payoff by more than this, relative to v(N), was the last: an order of
 * magnitude above what rounding keeps moving. */
#define REPAIR_SETTLED 1e-13

/* Subsets that are settled among themselves between two sweeps, and how often at most. n - 1 suffice for
 * the answer; more bind while it is sought. What does not fit waits for the next sweep. */
#define REPAIR_BINDING_MAX (4 * COALITION_EXACT_MAX)
#define REPAIR_ROUNDS 20

/* A repair looks at so many subsets in all, eight times at all those of 16 members: five milliseconds. A push at a subset that binds costs as much as so many looks in a sweep. */
#define REPAIR_LOOKS_MAX (8u << COALITION_EXACT_MAX)
#define REPAIR_LOOKS_PER_PUSH 4u

/* Sums of amounts agree, and amounts lie in their boxes, up to so much of themselves and a milli. */
#define AMOUNT_ROUNDING 1e-9

/* Roundings that may pile up in a sum over members, each of a term's own size. */
#define ROUNDINGS 16

/* ---- the competitive price ---------------------------------------------------------------------- */

/* U(to) - U(from). Without the time that no CPU shortens: the difference would drown in it. */
static double gain_of(const struct member *m, double from_milli, double to_milli)
{
        struct latency_model own = m->latency;

        own.other_ms = 0;
        return m->importance * (latency_ms(&own, from_milli) - latency_ms(&own, to_milli));
}

double stability_noise(const struct worth_game *g, double price)
{
        double size = 0;

        for (unsigned i = 0; i < g->n; i++)
                size += g->curves[i].held_cost + price * g->members[i].entitlement_milli;
        return ROUNDINGS * DBL_EPSILON * size;
}

void stability_competitive(const struct worth_game *g, const double x_milli[], double price,
                           double ret_payoff[])
{
        for (unsigned i = 0; i < g->n; i++) {
                const struct member *m = &g->members[i];

                ret_payoff[i] = gain_of(m, m->entitlement_milli, x_milli[i]) -
                                price * (x_milli[i] - m->entitlement_milli);
        }
}

/* What the member would take if every milli had that price. */
static double demand_of(const struct member *m, double price)
{
        const struct latency_model *l = &m->latency;
        double worth = m->importance * l->work_milli_ms;

        /* The tangent is the steepest part of the curve: who does not buy there does not buy at all. */
        if (price >= worth / (l->margin_milli * l->margin_milli))
                return m->least_milli;
        return fmin(fmax(l->load_milli + sqrt(worth / price), m->least_milli), m->most_milli);
}

static double rounding_of(double amount_milli)
{
        return AMOUNT_ROUNDING * (1 + fabs(amount_milli));
}

double stability_certificate(const struct worth_game *g, const double x_milli[], double price)
{
        double held = 0, used = 0, gap = 0;

        if (!(price >= 0) || !isfinite(price))
                return INFINITY;
        for (unsigned i = 0; i < g->n; i++) {
                const struct member *m = &g->members[i];
                double best = demand_of(m, price), x = x_milli[i];

                if (!(x >= m->least_milli - rounding_of(m->least_milli)) ||
                    !(x <= m->most_milli + rounding_of(m->most_milli)))
                        return INFINITY;
                held += m->entitlement_milli;
                used += x;
                gap += fmax(gain_of(m, x, best) - price * (best - x), 0);
        }
        if (used > held + rounding_of(held))
                return INFINITY;
        return gap + price * fmax(held - used, 0);
}

/* ---- all subsets -------------------------------------------------------------------------------- */

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
        double tolerance = stability_tolerance(worth[all]);
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

struct repair {
        const double *worth;
        double *multiplier;             /* of each subset: how far it had to be pushed */
        double y[COALITION_EXACT_MAX];
        double epsilon;
        unsigned n;
        uint32_t binding[REPAIR_BINDING_MAX]; /* subsets that bound in the last sweep */
        unsigned n_binding;
};

static unsigned size_of(uint32_t subset)
{
        unsigned n = 0;

        for (; subset != 0; subset &= subset - 1)
                n++;
        return n;
}

/* Projects on the half-space of one subset, whose payoff is sum. Returns by how much that moves its
 * members, of equal parts. */
static double push(struct repair *p, uint32_t subset, double sum)
{
        double lacks = p->worth[subset] - p->epsilon - sum;
        double size, moved;

        if (lacks <= 0 && p->multiplier[subset] <= 0)
                return 0;
        size = size_of(subset);
        /* Over the squared length of the subset's normal within the plane sum y = v(N). */
        moved = fmax(lacks / (size * (1 - size / p->n)), -p->multiplier[subset]);
        p->multiplier[subset] += moved;
        for (unsigned i = 0; i < p->n; i++)
                p->y[i] += moved * ((subset >> i & 1) - size / p->n);
        return moved;
}

static double payoff_of(const struct repair *p, uint32_t subset)
{
        double sum = 0;

        for (; subset != 0; subset &= subset - 1)
                sum += p->y[__builtin_ctz(subset)];
        return sum;
}

/* One sweep over all proper subsets. Returns the longest move. In the order of the Gray code each subset
 * differs by one member from the one before, so that its payoff costs one addition. */
static double sweep(struct repair *p)
{
        const uint32_t all = (1u << p->n) - 1;
        uint32_t subset = 0;
        double sum = 0, longest = 0;

        p->n_binding = 0;
        for (uint32_t k = 1; k <= all; k++) {
                unsigned i_changed = (unsigned)__builtin_ctz(k);
                double moved;

                subset ^= 1u << i_changed;
                sum += subset >> i_changed & 1 ? p->y[i_changed] : -p->y[i_changed];
                if (subset == all)
                        continue;
                moved = push(p, subset, sum);
                if (moved != 0)
                        sum = payoff_of(p, subset);
                longest = fmax(longest, fabs(moved));
                if (p->multiplier[subset] > 0 && p->n_binding < REPAIR_BINDING_MAX)
                        p->binding[p->n_binding++] = subset;
        }
        return longest;
}

/* Between two sweeps, those that bind among themselves: a few subsets instead of all, over and over. In
 * narrow cores the same few pass a payoff on to each other for hundreds of rounds. Returns how many pushes
 * it took. */
static uint32_t settle_binding(struct repair *p, double settled)
{
        uint32_t n_pushes = 0;

        for (unsigned k = 0; k < REPAIR_ROUNDS; k++) {
                double longest = 0;

                for (unsigned j = 0; j < p->n_binding; j++)
                        longest = fmax(longest, fabs(push(p, p->binding[j], payoff_of(p, p->binding[j]))));
                n_pushes += p->n_binding;
                if (longest <= settled)
                        break;
        }
        return n_pushes;
}

int stability_repair(const double worth[], unsigned n, double epsilon, unsigned max_iterations,
                     double scratch[], double payoff[])
{
        struct repair p = { .worth = worth, .multiplier = scratch, .epsilon = epsilon, .n = n };
        uint32_t all, n_looks = 0;
        double settled;
        int r = check_input(worth, n, payoff, epsilon);

        if (r < 0)
                return r;
        all = (1u << n) - 1;
        settled = REPAIR_SETTLED * fmax(1, fabs(worth[all]));
        for (uint32_t s = 0; s <= all; s++)
                scratch[s] = 0;
        for (unsigned i = 0; i < n; i++)
                p.y[i] = payoff[i];
        make_efficient(p.y, n, worth[all]);
        for (unsigned k = 0; k < max_iterations && n_looks < REPAIR_LOOKS_MAX && sweep(&p) > settled; k++) {
                n_looks += all + REPAIR_LOOKS_PER_PUSH * settle_binding(&p, settled);
                make_efficient(p.y, n, worth[all]);     /* what rounding left */
        }
        if (!find_worst(worth, n, p.y, epsilon).is_stable)
                return 1;
        for (unsigned i = 0; i < n; i++)
                payoff[i] = p.y[i];
        return 0;
}
