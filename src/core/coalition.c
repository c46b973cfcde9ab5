/* SPDX-License-Identifier: MIT */

#include "core/coalition.h"

#include <errno.h>

/* Worths asked for by a sampled valuation: 200 pairs of orders of 32 members, some milliseconds. */
#define SAMPLED_WORTHS 12800

static uint32_t all_members(const struct worth_game *g)
{
        return UINT32_MAX >> (32 - g->n);
}

static unsigned pairs_of(unsigned n)
{
        return SAMPLED_WORTHS / (2 * n);
}

void coalition_plan(const struct worth_game *g, double epsilon, struct coalition_plan *ret)
{
        double pool = 0;

        for (unsigned i = 0; i < g->n; i++)
                pool += g->members[i].entitlement_milli;
        /* Never too small a pool: entitlements are not below least levels. */
        (void)worth_divide(g, all_members(g), pool, ret->x_milli, &ret->price);
        ret->worth = worth_of(g, all_members(g));
        ret->certificate = stability_certificate(g, ret->x_milli, ret->price);
        ret->is_certified = ret->certificate <=
                            epsilon + stability_tolerance(ret->worth) + stability_noise(g, ret->price);
}

/* Every subset is looked at. A division that creates CPU is no division, whatever its payoffs are. */
static int enumerate(const struct worth_game *g, double certificate, double epsilon, double noise,
                     unsigned max_iterations, struct coalition_scratch *scratch,
                     struct coalition_value *v)
{
        struct stability found;
        bool is_division = isfinite(certificate), is_best;
        double sum = 0;
        int r;

        r = worth_all(g, scratch->worth);
        if (r < 0)
                return r;
        r = shapley_exact(scratch->worth, g->n, v->shapley);
        if (r < 0)
                return r;
        v->worth = scratch->worth[all_members(g)];
        v->is_exact = true;
        for (unsigned i = 0; i < g->n; i++)
                sum += v->imputation[i];
        is_best = fabs(sum - v->worth) <= stability_tolerance(v->worth) + noise;
        for (unsigned i = 0; i < g->n && is_best; i++)  /* rounding, nobody's more than another's */
                v->imputation[i] += (v->worth - sum) / g->n;
        r = stability_check(scratch->worth, g->n, v->imputation, epsilon, &found);
        if (r < 0)
                return -EDOM;           /* a plan with amounts or a price that are none */
        if (found.max_excess > epsilon + stability_tolerance(v->worth)) {
                v->blocking = found.blocking;
                if (is_division && is_best &&
                    stability_repair(scratch->worth, g->n, epsilon, max_iterations, scratch->more,
                                     v->imputation) == 0) {
                        v->is_repaired = true;
                        r = stability_check(scratch->worth, g->n, v->imputation, epsilon, &found);
                        if (r < 0)
                                return -EDOM;
                }
        }
        v->max_excess = found.max_excess;
        v->is_stable = is_division && found.is_stable;
        return 0;
}

static double worth_of_subset(const void *ctx, uint32_t subset)
{
        return worth_of(ctx, subset);
}

/* Too many subsets: what can be known without looking at them. */
static int sample(const struct worth_game *g, double certificate, double epsilon, uint64_t seed,
                  struct coalition_value *v)
{
        struct shapley_sample sampled;
        int r;

        r = shapley_estimate(worth_of_subset, g, g->n, seed, pairs_of(g->n), 0, v->shapley, NULL,
                             &sampled);
        if (r < 0)
                return r;
        v->half_width = sampled.half_width;
        v->worth = worth_of(g, all_members(g));
        v->max_excess = certificate;
        v->is_stable = v->max_excess <= epsilon + stability_tolerance(v->worth);
        return 0;
}

int coalition_assess(const struct worth_game *g, const struct coalition_plan *plan, double epsilon,
                     unsigned max_iterations, uint64_t epoch, uint64_t seed,
                     struct coalition_scratch *scratch, struct coalition_value *ret)
{
        double certificate = stability_certificate(g, plan->x_milli, plan->price);
        double noise = stability_noise(g, plan->price);
        struct coalition_value v = { .epoch = epoch, .seed = seed };
        int r;

        stability_competitive(g, plan->x_milli, plan->price, v.imputation);
        if (g->n <= COALITION_EXACT_MAX)
                r = enumerate(g, certificate, epsilon + noise, noise, max_iterations, scratch, &v);
        else
                r = sample(g, certificate, epsilon + noise, seed, &v);
        if (r < 0)
                return r;
        *ret = v;
        return 0;
}

size_t coalition_cost(unsigned n)
{
        return n <= COALITION_EXACT_MAX ? (size_t)1 << n : 2 * (size_t)n * pairs_of(n);
}
