/* SPDX-License-Identifier: MIT */

#include "core/gate_internal.h"

#include <errno.h>
#include <float.h>

#include "core/heap.h"

/* Armijo: an accepted step realises at least this share of what its length promises. Old and target
 * this close are a matter of rounding; then it is enough that V does not rise. */
#define SUFFICIENT_DECREASE 0.1
#define ROUNDING_MILLI 2
#define HALVINGS_MAX 6

static int64_t sum_of(const int64_t x[], size_t n)
{
        int64_t sum = 0;

        for (size_t i = 0; i < n; i++)
                sum += x[i];
        return sum;
}

/* What no potential can excuse. An old allocation may be outside a box that has moved since, and then
 * be improved step by step; one milli is the slack of rounding. */
static bool is_feasible(const struct gate_model *m, const int64_t x_old[], const int64_t x[])
{
        if ((double)sum_of(x, m->n) > m->capacity_milli)
                return false;
        for (size_t i = 0; i < m->n; i++) {
                double lower = m->lower_milli[i], upper = m->upper_milli[i];
                double below_old = x_old ? fmax(lower - (double)x_old[i], 0) : 0;
                double above_old = x_old ? fmax((double)x_old[i] - upper, 0) : 0;

                if (lower - (double)x[i] > below_old + 1 || (double)x[i] - upper > above_old + 1)
                        return false;
        }
        return true;
}

/* Where a change starts from: the old allocation or, where a CPU was unplugged, what of it still fits.
 * Then everybody keeps what it held of its lower level, and those who hold most above it for their
 * share of the solution are cut, all to the same multiple of theirs. Nobody is cut below its share, so
 * that each of these units is worth less than the capacity it exceeds, and V falls here already. */
struct start {
        const struct gate_model *model;
        const int64_t *x_old;           /* NULL: start at the reference */
        bool is_cut;
        double scale;                   /* of the cut: the multiple of the shares that is kept */
        double sum;
};

/* What a player held of its box, and what it is measured by when that is to be cut: its share of the
 * solution, its weight where the solution is the corner. */
static double held_of(const struct start *s, size_t i)
{
        return fmax(fmin((double)s->x_old[i] - s->model->lower_milli[i], box_of(s->model, i)), 0);
}

static double measure_of(const struct gate_model *m, size_t i)
{
        return isinf(m->shadow_price) ? m->weight[i] : m->reference_milli[i] - m->lower_milli[i];
}

static double cut_at(const struct start *s, size_t i, double scale)
{
        return fmin(held_of(s, i), measure_of(s->model, i) * scale);
}

static double start_of(const struct start *s, size_t i)
{
        const struct gate_model *m = s->model;

        if (!s->x_old)
                return m->reference_milli[i];
        if (!s->is_cut)
                return (double)s->x_old[i];
        return fmin((double)s->x_old[i], m->lower_milli[i]) + cut_at(s, i, s->scale);
}

static struct taking kept_at(const void *ctx, double scale)
{
        const struct start *s = ctx;
        struct taking all = {};

        for (size_t i = 0; i < s->model->n; i++) {
                double kept = cut_at(s, i, scale);

                if (kept < held_of(s, i))
                        all.free += kept;
                else
                        all.full += kept;
        }
        all.rise = all.free;
        return all;
}

static struct start start_init(const struct gate_model *m, const int64_t x_old[])
{
        struct start s = { .model = m, .x_old = x_old };
        double kept = 0, held = 0, measure = 0, scale_max = 0, surplus;

        for (size_t i = 0; i < m->n; i++)
                s.sum += start_of(&s, i);
        if (!x_old || s.sum <= m->capacity_milli) {
                s.sum = fmin(s.sum, m->capacity_milli);
                return s;
        }

        s.is_cut = true;
        for (size_t i = 0; i < m->n; i++) {
                kept += fmin((double)x_old[i], m->lower_milli[i]);
                held += held_of(&s, i);
                measure += held_of(&s, i) > 0 ? measure_of(m, i) : 0;
                if (held_of(&s, i) > 0)
                        scale_max = fmax(scale_max, held_of(&s, i) / measure_of(m, i));
        }
        surplus = m->capacity_milli - kept;
        if (surplus >= held) {
                s.scale = DBL_MAX;      /* times 0 it is 0, which INFINITY is not */
        } else if (surplus > 0) {
                struct range r = { .low = surplus / measure * (1 - RANGE_MARGIN),
                                   .high = fmin(scale_max, DBL_MAX) };

                gate_narrow(&r, kept_at, &s, surplus);
                s.scale = r.low;
        }
        s.sum = fmin(kept + held, m->capacity_milli);
        return s;
}

/* A real allocation that is about to be made whole. */
struct rounding {
        const struct start *start;
        const int64_t *x_target;
        double step;                    /* 0: stay at the start */
        const struct gate_scratch *scratch;
};

static double real_of(const struct rounding *r, size_t i)
{
        double start = start_of(r->start, i);

        return r->step > 0 ? start + r->step * ((double)r->x_target[i] - start) : start;
}

/* By how much one unit more would lower V. */
static double worth_of_unit(const struct rounding *r, size_t i)
{
        double whole = floor(real_of(r, i));

        return gate_potential_of(r->start->model, i, whole) -
               gate_potential_of(r->start->model, i, whole + 1);
}

static bool unit_is_worth_more(const void *ctx, size_t a, size_t b)
{
        const double *worth = ctx;

        return worth[a] != worth[b] ? worth[a] > worth[b] : a < b;
}

/* Rounds down, then gives the units that the sum still has to where they lower V most, never more than
 * one and only where something was rounded off. That is the best of all roundings with this sum.
 * Largest remainders would not do: half a unit of a service that needs just one more than its baseline
 * is worth more than half a unit of one that has a thousand, and every step would be refused for it. */
static void round_keeping_sum(const struct rounding *r, double sum, int64_t ret_x[])
{
        size_t *order = r->scratch->order, n_open = 0;
        double *worth = r->scratch->worth;
        int64_t left = (int64_t)floor(sum);

        for (size_t i = 0; i < r->start->model->n; i++) {
                double real = real_of(r, i), whole = floor(real);

                ret_x[i] = (int64_t)whole;
                left -= ret_x[i];
                if (real > whole)
                        order[n_open++] = i;
        }
        if (left <= 0)
                return;
        for (size_t k = 0; k < n_open; k++)
                worth[order[k]] = worth_of_unit(r, order[k]);
        heap_build(order, n_open, unit_is_worth_more, worth);
        for (; left > 0 && n_open > 0; left--) {
                ret_x[order[0]]++;
                order[0] = order[--n_open];
                heap_sift(order, n_open, 0, unit_is_worth_more, worth);
        }
}

static void hold(const struct start *start, const struct gate_scratch *scratch, int64_t ret_x[])
{
        round_keeping_sum(&(struct rounding){ .start = start, .scratch = scratch }, start->sum, ret_x);
}

static void judge_first(const struct gate_model *m, const int64_t x_target[],
                        const struct gate_scratch *scratch, int64_t ret_x[], struct gate_verdict *ret)
{
        bool is_fine = is_feasible(m, NULL, x_target);
        struct start start = start_init(m, NULL);

        hold(&start, scratch, ret_x);
        for (size_t i = 0; i < m->n && is_fine; i++)
                ret_x[i] = x_target[i];
        *ret = (struct gate_verdict){
                .verdict = is_fine ? VERDICT_APPLY : VERDICT_HOLD,
                .v_before = NAN,
                .v_after = gate_potential_whole(m, ret_x),
                .step = is_fine ? 1 : 0,
        };
}

double gate_backtrack(const struct change *c, double step_max, int64_t ret_x[], double *ret_v)
{
        double decrease = c->distance_milli > ROUNDING_MILLI ? SUFFICIENT_DECREASE * c->v_before : 0;
        double step = c->distance_milli > 0 ? step_max : 1, step_best = 0, v_best = INFINITY;

        for (int k = 0; k <= HALVINGS_MAX; k++, step /= 2) {
                double v = c->try_step(c->ctx, step, ret_x);

                if (v <= c->v_before - step * decrease + c->tolerance) {
                        *ret_v = v;
                        return step;
                }
                if (v < v_best) {
                        v_best = v;
                        step_best = step;
                }
        }
        /* Levels are real numbers and allocations are not: sometimes rounding leaves a rest in V that no
         * plan can get rid of, and no step falls far enough. Any fall is better than to hold. */
        if (!(v_best < c->v_before - c->tolerance))
                return 0;
        *ret_v = c->try_step(c->ctx, step_best, ret_x);
        return step_best;
}

struct totals {
        const struct start *start;
        const int64_t *x_target;
        const struct gate_scratch *scratch;
};

static double try_totals(const void *ctx, double step, int64_t ret_x[])
{
        const struct totals *t = ctx;
        const struct start *start = t->start;
        const struct gate_model *m = start->model;
        struct rounding r = { start, t->x_target, step, t->scratch };
        bool is_move = false, is_wanted = false;

        /* Not (1 - s) a + s b: where both sums are equal, the sum has to be just that. */
        round_keeping_sum(&r, start->sum + step * ((double)sum_of(t->x_target, m->n) - start->sum), ret_x);
        for (size_t i = 0; i < m->n; i++) {
                is_move |= ret_x[i] != start->x_old[i];
                is_wanted |= t->x_target[i] != start->x_old[i];
        }
        if (is_move != is_wanted || !is_feasible(m, start->x_old, ret_x))
                return INFINITY;
        return gate_potential_whole(m, ret_x);
}

int gate_judge(const struct gate_model *model, const int64_t x_old[], const int64_t x_target[],
               double step_max, const struct gate_scratch *scratch, int64_t ret_x[],
               struct gate_verdict *ret)
{
        double v_before, v, step;
        int64_t distance = 0;
        struct start start;

        if (!(step_max > 0 && step_max <= 1))
                return -EINVAL;
        for (size_t i = 0; i < model->n; i++) {
                if ((x_old && x_old[i] < 0) || x_target[i] < 0)
                        return -EINVAL;
                if (x_old)
                        distance = longer(distance, x_target[i] - x_old[i]);
        }
        if (!x_old) {
                judge_first(model, x_target, scratch, ret_x, ret);
                return 0;
        }

        start = start_init(model, x_old);
        v_before = gate_potential_whole(model, x_old);
        step = gate_backtrack(&(struct change){
                .try_step = try_totals,
                .ctx = &(struct totals){ &start, x_target, scratch },
                .v_before = v_before,
                .tolerance = POTENTIAL_TOLERANCE * (1 + fabs(v_before)),
                .distance_milli = distance,
        }, step_max, ret_x, &v);
        if (step == 0) {
                hold(&start, scratch, ret_x);
                v = gate_potential_whole(model, ret_x);
        }
        *ret = verdict_of(step, v_before, v);
        return 0;
}
