/* SPDX-License-Identifier: MIT */

#include "core/worth.h"

#include <assert.h>
#include <errno.h>
#include <float.h>

#define FOR_EACH_MEMBER(i, subset)                                                                 \
        for (uint32_t rest_ = (subset), i; rest_ != 0 && (i = (uint32_t)__builtin_ctz(rest_), true);   \
             rest_ &= rest_ - 1)

static uint32_t all_members(const struct worth_game *g)
{
        return UINT32_MAX >> (32 - g->n);
}

/* ---- the members -------------------------------------------------------------------------------- */

/* What x costs in weighted latency, without the part that no CPU shortens: it would only blur the
 * differences. */
static double cost_of(const struct member *m, double x_milli)
{
        struct latency_model own = m->latency;

        own.other_ms = 0;
        return m->importance * latency_ms(&own, x_milli);
}

static bool member_is_valid(const struct member *m)
{
        return latency_model_is_valid(&m->latency) && isfinite(m->importance) && m->importance > 0 &&
               m->least_milli >= 0 && m->least_milli <= m->entitlement_milli &&
               m->entitlement_milli <= m->most_milli && isfinite(m->most_milli);
}

static struct worth_curve curve_of(const struct member *m)
{
        const struct latency_model *l = &m->latency;
        double bend = l->load_milli + l->margin_milli;  /* where the tangent ends */
        double worth = m->importance * l->work_milli_ms;
        struct worth_curve c = {
                .root = sqrt(worth),
                .tangent_slope = worth / (l->margin_milli * l->margin_milli),
                .least_cost = cost_of(m, m->least_milli),
                .most_cost = cost_of(m, m->most_milli),
                .held_cost = cost_of(m, m->entitlement_milli),
        };

        if (m->least_milli < bend) {
                c.start_reach = l->margin_milli / c.root;
                c.jump_milli = fmin(m->most_milli, bend) - m->least_milli;
        } else {
                c.start_reach = (m->least_milli - l->load_milli) / c.root;
        }
        c.end_reach = c.start_reach;
        if (m->most_milli > bend)
                c.end_reach = fmax(c.start_reach, (m->most_milli - l->load_milli) / c.root);
        return c;
}

static bool curve_is_valid(const struct worth_curve *c)
{
        return c->root > 0 && isfinite(c->tangent_slope) && c->start_reach > 0 &&
               isfinite(c->end_reach) && isfinite(c->least_cost) && isfinite(c->held_cost);
}

static void add_breakpoint(struct worth_game *g, double reach, double amount_step, double slope_step,
                           uint32_t member)
{
        unsigned at = g->n_breakpoints++;

        /* By insertion: few and stable, so that a start stays before its own end. */
        for (; at > 0 && g->breakpoints[at - 1].reach > reach; at--)
                g->breakpoints[at] = g->breakpoints[at - 1];
        g->breakpoints[at] = (struct worth_breakpoint){ reach, amount_step, slope_step, member };
}

int worth_game_init(struct worth_game *ret, const struct member members[], unsigned n)
{
        struct worth_curve curves[COALITION_MEMBERS_MAX];

        if (n == 0 || n > COALITION_MEMBERS_MAX)
                return -EINVAL;
        for (unsigned i = 0; i < n; i++) {
                if (!member_is_valid(&members[i]))
                        return -EINVAL;
                curves[i] = curve_of(&members[i]);
                if (!curve_is_valid(&curves[i]))        /* importance or work out of all proportion */
                        return -EINVAL;
        }

        ret->n = n;
        ret->n_breakpoints = 0;
        for (unsigned i = 0; i < n; i++) {
                const struct member *m = &members[i];
                const struct worth_curve *c = &curves[i];
                double load = m->latency.load_milli;
                uint32_t bit = UINT32_C(1) << i;

                ret->members[i] = *m;
                ret->curves[i] = *c;
                ret->utility_held[i] = worth_utility_of(m, m->entitlement_milli);
                if (c->end_reach > c->start_reach) {
                        add_breakpoint(ret, c->start_reach, load - m->least_milli, c->root, bit);
                        add_breakpoint(ret, c->end_reach, m->most_milli - load, -c->root, bit);
                } else if (m->most_milli > m->least_milli) {
                        add_breakpoint(ret, c->start_reach, m->most_milli - m->least_milli, 0, bit);
                }
        }
        return 0;
}

/* ---- the division ------------------------------------------------------------------------------- */

/* A place in the sweep over falling prices; it decides what every member takes. */
struct place {
        double reach;           /* 1 / sqrt(price); INFINITY: everybody has its most level */
        double share;           /* how much is made of the jumps at exactly this reach: equal ones alike */
};

static double clamp(double x, double low, double high)
{
        return fmin(fmax(x, low), high);
}

static double sum_of_least(const struct worth_game *g, uint32_t subset)
{
        double sum = 0;

        FOR_EACH_MEMBER(i, subset)
                sum += g->members[i].least_milli;
        return sum;
}

/* The place on the piece that ends at `to`. What members take there is summed anew: sums carried over
 * the sweep hold the rounding errors of members that are long at their most level. */
static struct place place_on_piece(const struct worth_game *g, uint32_t subset, double pool_milli,
                                   double from, double to)
{
        double amount = 0, slope = 0, reach;

        FOR_EACH_MEMBER(i, subset) {
                const struct worth_curve *c = &g->curves[i];
                const struct member *m = &g->members[i];

                if (c->start_reach >= to) {
                        amount += m->least_milli;
                } else if (c->end_reach < to) {
                        amount += m->most_milli;
                } else {
                        amount += m->latency.load_milli;
                        slope += c->root;
                }
        }
        if (!(slope > 0))       /* all at an end: the next milli has the price of the next breakpoint */
                return (struct place){ to, 0 };
        reach = (pool_milli - amount) / slope;
        if (reach >= to)
                return (struct place){ to, 0 };
        return (struct place){ fmax(reach, from), 1 };
}

/* The place at a breakpoint where some jump, and the pool ends within the jump. */
static struct place place_in_jump(const struct worth_game *g, uint32_t subset, double pool_milli,
                                  double reach)
{
        double amount = 0, jump = 0;

        FOR_EACH_MEMBER(i, subset) {
                const struct worth_curve *c = &g->curves[i];
                const struct member *m = &g->members[i];

                if (c->start_reach >= reach)
                        amount += m->least_milli;
                else if (c->end_reach < reach)
                        amount += m->most_milli;
                else
                        amount += m->latency.load_milli + c->root * reach;
                if (c->start_reach == reach)
                        jump += c->jump_milli;
        }
        return (struct place){ reach, jump > 0 ? clamp((pool_milli - amount) / jump, 0, 1) : 0 };
}

/* Where the pool runs out. */
static struct place find_place(const struct worth_game *g, uint32_t subset, double pool_milli)
{
        double amount = sum_of_least(g, subset), slope = 0, from = 0;

        for (unsigned k = 0; k < g->n_breakpoints; k++) {
                const struct worth_breakpoint *b = &g->breakpoints[k];

                if ((b->member & subset) == 0)
                        continue;
                if (pool_milli <= amount + slope * b->reach)
                        return place_on_piece(g, subset, pool_milli, from, b->reach);
                amount += b->amount_step;
                slope += b->slope_step;
                if (pool_milli <= amount + slope * b->reach)
                        return place_in_jump(g, subset, pool_milli, b->reach);
                from = b->reach;
        }
        return (struct place){ INFINITY, 0 };
}

static double taken_at(const struct worth_game *g, unsigned i, struct place p)
{
        const struct worth_curve *c = &g->curves[i];
        const struct member *m = &g->members[i];

        if (p.reach < c->start_reach)
                return m->least_milli;
        if (p.reach == c->start_reach)
                return fmin(m->least_milli + p.share * c->jump_milli, m->most_milli);
        if (p.reach >= c->end_reach)
                return m->most_milli;
        return clamp(m->latency.load_milli + c->root * p.reach, m->least_milli, m->most_milli);
}

/* cost_of() of what is taken there. */
static double cost_at(const struct worth_game *g, unsigned i, struct place p)
{
        const struct worth_curve *c = &g->curves[i];

        if (p.reach < c->start_reach)
                return c->least_cost;
        if (p.reach == c->start_reach)
                return c->least_cost - p.share * c->jump_milli * c->tangent_slope;
        if (p.reach >= c->end_reach)
                return c->most_cost;
        return c->root / p.reach;
}

int worth_divide(const struct worth_game *g, uint32_t subset, double pool_milli, double ret_x[],
                 double *ret_price)
{
        double least = sum_of_least(g, subset), pool = fmax(pool_milli, 0);
        struct place place;

        assert(subset != 0 && (subset & ~all_members(g)) == 0);

        place = find_place(g, subset, fmax(pool, least));
        FOR_EACH_MEMBER(i, subset)
                ret_x[i] = pool < least ? g->members[i].least_milli * (pool / least)
                                        : taken_at(g, i, place);
        if (ret_price)
                *ret_price = 1 / (place.reach * place.reach);
        return pool < least;
}

/* ---- the worth ---------------------------------------------------------------------------------- */

static double worth_of_pool(const struct worth_game *g, uint32_t subset, double pool_milli)
{
        struct place place;
        double gain = 0;

        if ((subset & (subset - 1)) == 0)       /* nobody to trade with */
                return 0;
        place = find_place(g, subset, pool_milli);
        FOR_EACH_MEMBER(i, subset)
                gain += g->curves[i].held_cost - cost_at(g, i, place);
        return fmax(gain, 0);   /* keeping the entitlements is among the choices: less is rounding */
}

double worth_of(const struct worth_game *g, uint32_t subset)
{
        double pool = 0;

        assert((subset & ~all_members(g)) == 0);

        FOR_EACH_MEMBER(i, subset)
                pool += g->members[i].entitlement_milli;
        return worth_of_pool(g, subset, pool);
}

int worth_all(const struct worth_game *g, double ret_worth[])
{
        uint32_t n_subsets;

        if (g->n > COALITION_EXACT_MAX)
                return -E2BIG;
        n_subsets = UINT32_C(1) << g->n;
        ret_worth[0] = 0;
        for (uint32_t s = 1; s < n_subsets; s++)        /* first the pools, each from a smaller one */
                ret_worth[s] = ret_worth[s & (s - 1)] +
                               g->members[__builtin_ctz(s)].entitlement_milli;
        for (uint32_t s = 1; s < n_subsets; s++)
                ret_worth[s] = worth_of_pool(g, s, ret_worth[s]);
        return 0;
}

double worth_utility_of(const struct member *m, double x_milli)
{
        return -m->importance * latency_ms(&m->latency, x_milli);
}

/* ---- an old division ---------------------------------------------------------------------------- */

static double sum_shifted(const struct worth_game *g, const double old_milli[], double shift)
{
        double sum = 0;

        for (unsigned i = 0; i < g->n; i++)
                sum += clamp(old_milli[i] + shift, g->members[i].least_milli, g->members[i].most_milli);
        return sum;
}

void worth_carry(const struct worth_game *g, const double old_milli[], double pool_milli,
                 double ret_x[])
{
        double least = sum_of_least(g, all_members(g)), pool = fmax(pool_milli, 0), shift;
        double low = -INFINITY, high = INFINITY;        /* the piece of the sum with the answer */
        double fixed = 0, n_free = 0, old_free = 0;

        if (pool < least) {
                for (unsigned i = 0; i < g->n; i++)
                        ret_x[i] = g->members[i].least_milli * (pool / least);
                return;
        }
        for (unsigned i = 0; i < g->n; i++) {
                const double ends[] = { g->members[i].least_milli - old_milli[i],
                                        g->members[i].most_milli - old_milli[i] };

                for (unsigned k = 0; k < 2; k++) {
                        if (ends[k] <= low || ends[k] >= high)
                                continue;
                        if (sum_shifted(g, old_milli, ends[k]) <= pool)
                                low = ends[k];
                        else
                                high = ends[k];
                }
        }
        for (unsigned i = 0; i < g->n; i++) {
                const struct member *m = &g->members[i];

                if (m->most_milli - old_milli[i] <= low) {
                        fixed += m->most_milli;
                } else if (m->least_milli - old_milli[i] >= high) {
                        fixed += m->least_milli;
                } else {
                        n_free++;
                        old_free += old_milli[i];
                }
        }
        /* None is free where all have their most level (or all their least, exactly). */
        shift = n_free > 0 ? clamp((pool - fixed - old_free) / n_free, low, high)
                           : isfinite(low) ? low : high;
        for (unsigned i = 0; i < g->n; i++)
                ret_x[i] = clamp(old_milli[i] + shift, g->members[i].least_milli,
                                 g->members[i].most_milli);
}
