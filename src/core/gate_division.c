/* SPDX-License-Identifier: MIT */

#include "core/gate_internal.h"

#include <errno.h>

/* A division is known well enough when its price is known to this, or its sum: what is left changes its
 * utility by the square of that. */
#define BRACKET_TOLERANCE 1e-12

/* Closer to a whole milli than this is rounding of the arithmetic before, not an amount. */
#define WHOLE_TOLERANCE_MILLI 1e-6

/* Differences of latencies that agree so far are equal but for rounding. */
#define COST_TOLERANCE 1e-9

/* How a coalition divides a total. What it costs is the weighted latency of its members; the part that
 * no CPU shortens is the same for every division and is left out, where it would only blur differences. */
struct division {
        unsigned n;
        int64_t total_milli;
        double pool_milli;              /* the total, as far as the boxes hold it unwidened */
        int64_t least_milli[COALITION_MEMBERS_MAX]; /* the boxes, widened to whole milli */
        int64_t most_milli[COALITION_MEMBERS_MAX];
        struct latency_model latency[COALITION_MEMBERS_MAX];
        double importance[COALITION_MEMBERS_MAX];
        double root[COALITION_MEMBERS_MAX];     /* what it takes above its load, by reach */
        double border[COALITION_MEMBERS_MAX];   /* the reach from which it takes anything: see divided_at() */
        double best_milli[COALITION_MEMBERS_MAX];
        double best_ms[COALITION_MEMBERS_MAX];  /* latencies there */
        double best_cost;
        const double *x_target;
        int64_t old_milli[COALITION_MEMBERS_MAX];
        int64_t distance_milli;
};

static int division_init(struct division *d, const struct worth_game *g, int64_t total_milli)
{
        double total = (double)total_milli, least = 0, most = 0;
        int64_t whole_least = 0, whole_most = 0;

        d->n = g->n;
        d->total_milli = total_milli;
        for (unsigned i = 0; i < g->n; i++) {
                const struct member *m = &g->members[i];

                d->latency[i] = m->latency;
                d->latency[i].other_ms = 0;
                d->importance[i] = m->importance;
                /* Nobody can hold more than the total; and all fits an int64_t then. */
                d->least_milli[i] = (int64_t)fmin(floor(m->least_milli), total + 1);
                d->most_milli[i] = (int64_t)fmin(ceil(m->most_milli), total);
                whole_least += d->least_milli[i];
                whole_most += d->most_milli[i];
                least += m->least_milli;
                most += m->most_milli;
        }
        if (total_milli < 0 || whole_least > total_milli || whole_most < total_milli)
                return -ERANGE;
        d->pool_milli = fmin(fmax(total, least), most);
        return 0;
}

/* What the members take together where utility has the price 1 / reach^2 per milli. Below its border a
 * member's latency falls in a straight line: there it takes nothing or all, whichever that is worth. */
static double divided_at(const struct division *d, double reach, double ret_x[])
{
        double sum = 0;

        for (unsigned i = 0; i < d->n; i++) {
                double wanted = reach >= d->border[i] ? d->latency[i].load_milli + reach * d->root[i] : 0;

                ret_x[i] = fmin(fmax(wanted, (double)d->least_milli[i]), (double)d->most_milli[i]);
                sum += ret_x[i];
        }
        return sum;
}

/* Where the sum reaches the total: at or above low, below or at high. */
struct bracket {
        double low, high, sum_low, sum_high;
        double total;
};

static void tighten(struct bracket *b, const struct division *d, double reach)
{
        double x[COALITION_MEMBERS_MAX], sum;

        if (!(reach > b->low && reach < b->high))
                return;
        sum = divided_at(d, reach, x);
        if (sum <= b->total) {
                b->low = reach;
                b->sum_low = sum;
        } else {
                b->high = reach;
                b->sum_high = sum;
        }
}

static bool is_tight(const struct bracket *b)
{
        return b->high - b->low <= BRACKET_TOLERANCE * b->high ||
               b->total - b->sum_low <= BRACKET_TOLERANCE * b->total ||
               b->sum_high - b->total <= BRACKET_TOLERANCE * b->total;
}

/* A border inside the bracket, or else the middle of the bracket. */
static double border_within(const struct bracket *b, const struct division *d)
{
        for (unsigned i = 0; i < d->n; i++)
                if (d->border[i] > b->low && d->border[i] < b->high)
                        return d->border[i];
        return (b->low + b->high) / 2;
}

/* The gate's own best division. The price is bracketed, by secants and by borders or halves in turn: the
 * sum jumps at borders and is a chain of few straight lines else, on each of which a secant hits. Where
 * the sum jumps over the total, every division between the two ends of the jump is as good. */
static void find_best_division(struct division *d)
{
        double x_low[COALITION_MEMBERS_MAX], x_high[COALITION_MEMBERS_MAX], part;
        struct bracket b = { .total = (double)d->total_milli };

        for (unsigned i = 0; i < d->n; i++) {
                const struct latency_model *l = &d->latency[i];

                d->root[i] = sqrt(d->importance[i] * l->work_milli_ms);
                d->border[i] = l->margin_milli / d->root[i];
                b.high = fmax(b.high, fmax(((double)d->most_milli[i] - l->load_milli) / d->root[i],
                                           d->border[i]));
        }
        b.high *= 1 + SUM_TOLERANCE;    /* where all are full, whatever was rounded */
        b.sum_low = divided_at(d, b.low, x_low);
        b.sum_high = divided_at(d, b.high, x_high);
        for (int k = 0; k < BISECTIONS_MAX && !is_tight(&b); k++) {
                double border;

                tighten(&b, d, b.low + (b.high - b.low) * ((b.total - b.sum_low) / (b.sum_high - b.sum_low)));
                border = border_within(&b, d);
                tighten(&b, d, border);
                if (border == b.high)   /* does it jump over the total? */
                        tighten(&b, d, border * (1 - BRACKET_TOLERANCE / 2));
        }
        (void)divided_at(d, b.low, x_low);
        (void)divided_at(d, b.high, x_high);
        part = b.sum_high > b.sum_low ? (b.total - b.sum_low) / (b.sum_high - b.sum_low) : 0;
        d->best_cost = 0;
        for (unsigned i = 0; i < d->n; i++) {
                d->best_milli[i] = x_low[i] + part * (x_high[i] - x_low[i]);
                d->best_ms[i] = latency_ms(&d->latency[i], d->best_milli[i]);
                d->best_cost += d->importance[i] * d->best_ms[i];
        }
}

/* D: what this division loses against the best. Convex, and never negative but for what was rounded. */
static double lost_by(const struct division *d, const int64_t x[])
{
        double lost = 0;

        for (unsigned i = 0; i < d->n; i++)
                lost += d->importance[i] * (latency_ms(&d->latency[i], (double)x[i]) - d->best_ms[i]);
        return fmax(lost, 0);
}

/* Does it hold just the total, everybody within its box? One milli is the slack of rounding. NAN is
 * nowhere. */
static bool is_division(const struct division *d, const double x_milli[])
{
        double sum = 0, tolerance = SUM_TOLERANCE * (1 + (double)d->total_milli);

        for (unsigned i = 0; i < d->n; i++) {
                if (!(x_milli[i] >= (double)d->least_milli[i] - 1 && x_milli[i] <= (double)d->most_milli[i] + 1))
                        return false;
                sum += x_milli[i];
        }
        return fabs(sum - (double)d->total_milli) <= tolerance || fabs(sum - d->pool_milli) <= tolerance;
}

/* What one unit more, or less, adds to the cost; INFINITY at the end of the box. */
static double cost_of_unit(const struct division *d, unsigned i, int64_t x, int64_t unit)
{
        const struct latency_model *l = &d->latency[i];

        if (x == (unit > 0 ? d->most_milli[i] : d->least_milli[i]))
                return INFINITY;
        return d->importance[i] * (latency_ms(l, (double)(x + unit)) - latency_ms(l, (double)x));
}

/* Is one cheaper than the other, or as cheap and due to who has lost more (or won less) by rounding so far?
 * All along a straight line every unit costs the same. */
static bool unit_is_better(double cost, double debt, double than_cost, double than_debt)
{
        double tie = COST_TOLERANCE * fabs(than_cost);

        return cost < than_cost - tie ||
               (cost <= than_cost + tie && debt > than_debt + WHOLE_TOLERANCE_MILLI);
}

/* Rounds down, then gives or takes what is left of the total one unit at a time, where that costs least:
 * a handful of units and members. The boxes hold the total, so that somebody always has room. */
static void round_division(const struct division *d, const double x_milli[], int64_t ret_x[])
{
        int64_t left = d->total_milli, unit;
        double cost[COALITION_MEMBERS_MAX], debt[COALITION_MEMBERS_MAX];

        for (unsigned i = 0; i < d->n; i++) {
                double whole = floor(x_milli[i] + WHOLE_TOLERANCE_MILLI);

                whole = fmin(fmax(whole, (double)d->least_milli[i]), (double)d->most_milli[i]);
                ret_x[i] = (int64_t)whole;
                left -= ret_x[i];
        }
        if (left == 0)
                return;
        unit = left > 0 ? 1 : -1;
        for (unsigned i = 0; i < d->n; i++) {
                cost[i] = cost_of_unit(d, i, ret_x[i], unit);
                debt[i] = (double)unit * (x_milli[i] - (double)ret_x[i]);
        }
        for (; left != 0; left -= unit) {
                unsigned best = 0;

                for (unsigned i = 1; i < d->n; i++)
                        if (isinf(cost[best]) || unit_is_better(cost[i], debt[i], cost[best], debt[best]))
                                best = i;
                ret_x[best] += unit;
                cost[best] = cost_of_unit(d, best, ret_x[best], unit);
                debt[best]--;
        }
}

static double try_division(const void *ctx, double step, int64_t ret_x[])
{
        const struct division *d = ctx;
        double x[COALITION_MEMBERS_MAX];
        bool is_move = false;

        for (unsigned i = 0; i < d->n; i++) {
                double old = (double)d->old_milli[i];

                x[i] = step < 1 ? old + step * (d->x_target[i] - old) : d->x_target[i];
        }
        round_division(d, x, ret_x);
        for (unsigned i = 0; i < d->n; i++)
                is_move |= ret_x[i] != d->old_milli[i];
        return is_move || d->distance_milli == 0 ? lost_by(d, ret_x) : INFINITY;
}

int gate_judge_division(const struct worth_game *g, const double x_old[], const double x_target[],
                        int64_t total_milli, double step_max, int64_t ret_x[], struct gate_verdict *ret)
{
        struct division d = { .x_target = x_target };
        double v_before, v, step = 0;
        bool is_fine;
        int r;

        if (!(step_max > 0 && step_max <= 1))
                return -EINVAL;
        r = division_init(&d, g, total_milli);
        if (r < 0)
                return r;
        if (x_old && !is_division(&d, x_old))
                return -EINVAL;
        find_best_division(&d);
        is_fine = is_division(&d, x_target);

        if (!x_old) {
                round_division(&d, is_fine ? x_target : d.best_milli, ret_x);
                *ret = verdict_of(is_fine ? 1 : 0, NAN, lost_by(&d, ret_x));
                return 0;
        }

        round_division(&d, x_old, d.old_milli);
        v_before = v = lost_by(&d, d.old_milli);
        if (is_fine) {
                round_division(&d, x_target, ret_x);
                for (unsigned i = 0; i < d.n; i++)
                        d.distance_milli = longer(d.distance_milli, ret_x[i] - d.old_milli[i]);
                step = gate_backtrack(&(struct change){
                        .try_step = try_division,
                        .ctx = &d,
                        .v_before = v_before,
                        .tolerance = POTENTIAL_TOLERANCE * d.best_cost,
                        .distance_milli = d.distance_milli,
                }, step_max, ret_x, &v);
        }
        for (unsigned i = 0; i < d.n && step == 0; i++)
                ret_x[i] = d.old_milli[i];
        *ret = verdict_of(step, v_before, v);
        return 0;
}
