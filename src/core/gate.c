/* SPDX-License-Identifier: MIT */

#include "core/gate.h"

#include <errno.h>
#include <float.h>

#include "core/heap.h"

/* A box narrower than this is no box: whole milli cannot bargain over it, and the logarithm of so
 * little would drown everybody else's in rounding. */
#define BOX_MIN_MILLI 1e-3

/* Sums of doubles are trusted to this, relative to the capacity they are compared with. */
#define SUM_TOLERANCE 1e-9

/* Bisection in the log domain halves the logarithm of a bracket that is never wider than the range
 * of double; 64 halvings leave less than one representable number. */
#define BISECTIONS_MAX 100

/* Armijo: an accepted step realises at least this share of what its length promises. Old and target
 * this close are a matter of rounding; then it is enough that V does not rise. */
#define SUFFICIENT_DECREASE 0.1
#define ROUNDING_MILLI 2
#define HALVINGS_MAX 6
#define POTENTIAL_TOLERANCE 1e-12

static double box_of(const struct gate_model *m, size_t i)
{
        double box = m->upper_milli[i] - m->lower_milli[i];

        return box >= BOX_MIN_MILLI ? box : 0;
}

/* ---- the potential ------------------------------------------------------------------------------ */

static double demand_at(const struct gate_model *m, double theta)
{
        double sum = 0;

        for (size_t i = 0; i < m->n; i++)
                sum += fmin(box_of(m, i), m->weight[i] * theta);
        return sum;
}

/* The theta at which the claimants take the surplus and no more. The answer is bracketed: nobody is
 * full below surplus / all weights unless somebody else gets more, everybody is at max b_i / w_i. */
static double bisect_theta(const struct gate_model *m, double surplus)
{
        double low, high = 0, weight = 0;

        for (size_t i = 0; i < m->n; i++)
                if (box_of(m, i) > 0) {
                        weight += m->weight[i];
                        high = fmax(high, box_of(m, i) / m->weight[i]);
                }
        low = surplus / weight;
        for (int k = 0; k < BISECTIONS_MAX; k++) {
                double middle = sqrt(low) * sqrt(high);

                if (!(middle > low && middle < high))
                        break;
                if (demand_at(m, middle) <= surplus)
                        low = middle;
                else
                        high = middle;
        }
        return low;
}

int gate_model_init(struct gate_model *model, size_t n, const double lower_milli[],
                    const double upper_milli[], const double weight[], double capacity_milli,
                    double reference_milli[])
{
        struct gate_model m = {
                .n = n,
                .lower_milli = lower_milli,
                .upper_milli = upper_milli,
                .weight = weight,
                .reference_milli = reference_milli,
                .capacity_milli = capacity_milli,
                .delta_milli = 1,
        };
        double sum_lower = 0, sum_box = 0, weight_max = 0, surplus, theta, urge = 0;

        if (!(capacity_milli >= 0) || !isfinite(capacity_milli))
                return -EINVAL;
        for (size_t i = 0; i < n; i++) {
                if (!(lower_milli[i] >= 0) || !(upper_milli[i] >= lower_milli[i]) ||
                    !isfinite(upper_milli[i]) || !(weight[i] >= 0) || !isfinite(weight[i]) ||
                    (box_of(&m, i) > 0 && !(weight[i] > 0)))
                        return -EINVAL;
                sum_lower += lower_milli[i];
                sum_box += box_of(&m, i);
                weight_max = fmax(weight_max, weight[i]);
        }
        surplus = capacity_milli - sum_lower;
        if (!isfinite(sum_lower + sum_box) || surplus < -SUM_TOLERANCE * (1 + capacity_milli))
                return -EINVAL;
        weight_max = weight_max > 0 ? weight_max : 1;

        if (sum_box > 0 && surplus <= SUM_TOLERANCE * (1 + capacity_milli)) {
                /* Nothing to bargain over: the solution is the corner, where the price is infinite.
                 * Any penalty above the slope of L at 0, which is 2 / delta, holds it there. */
                double slope = 2 * weight_max / m.delta_milli;

                for (size_t i = 0; i < n; i++)
                        reference_milli[i] = lower_milli[i];
                m.shadow_price = INFINITY;
                m.penalty_capacity = 2 * slope;
                m.penalty_upper = 2 * slope;
                m.penalty_lower = 3 * slope;
                *model = m;
                return 0;
        }

        theta = surplus >= sum_box ? INFINITY : bisect_theta(&m, surplus);
        for (size_t i = 0; i < n; i++) {
                double share = box_of(&m, i) > 0 ? fmin(box_of(&m, i), weight[i] * theta) : 0;

                reference_milli[i] = lower_milli[i] + share;
                if (share > 0) {
                        m.delta_milli = fmin(m.delta_milli, share / 2);
                        urge = fmax(urge, weight[i] / share);
                }
        }

        /* Exact penalties: each exceeds the multiplier of its constraint at the solution, so that
         * leaving the box or the capacity never pays. Where capacity is no constraint at all its
         * multiplier is 0; the small penalty then only keeps V from ignoring an excess. */
        m.shadow_price = 1 / theta;
        m.penalty_capacity = isinf(theta) ? 1e-3 * weight_max / fmax(capacity_milli, 1)
                                          : 2 * m.shadow_price;
        m.penalty_upper = 1.01 * fmax(urge, 1e-6);
        m.penalty_lower = 2 * weight_max / m.delta_milli + m.penalty_capacity;
        *model = m;
        return 0;
}

/* L(reference) - L(share), L the logarithm continued by its second-order expansion below delta. The
 * difference is formed before the logarithm: near the solution the two would cancel. */
static double log_loss(double reference, double share, double delta)
{
        double r;

        if (reference < delta)          /* the corner, where every reference share is 0 */
                return log_loss(delta, share, delta) - 1.5;
        if (share >= delta)
                return -log1p((share - reference) / reference);
        r = (share - delta) / delta;
        return log(reference / delta) - r + r * r / 2;
}

static double potential(const struct gate_model *m, const double x[], const int64_t x_whole[])
{
        double v = 0, sum = 0, above = 0, below = 0;

        for (size_t i = 0; i < m->n; i++) {
                double xi = x ? x[i] : (double)x_whole[i];

                if (box_of(m, i) > 0)
                        v += m->weight[i] * log_loss(m->reference_milli[i] - m->lower_milli[i],
                                                     xi - m->lower_milli[i], m->delta_milli);
                sum += xi;
                above += fmax(xi - m->upper_milli[i], 0);
                below += fmax(m->lower_milli[i] - xi, 0);
        }
        return v + m->penalty_capacity * fmax(sum - m->capacity_milli, 0) +
               m->penalty_upper * above + m->penalty_lower * below;
}

double gate_potential(const struct gate_model *model, const double x_milli[])
{
        return potential(model, x_milli, NULL);
}

double gate_potential_whole(const struct gate_model *model, const int64_t x_milli[])
{
        return potential(model, NULL, x_milli);
}

/* ---- the verdict -------------------------------------------------------------------------------- */

static int64_t sum_of(const int64_t x[], size_t n)
{
        int64_t sum = 0;

        for (size_t i = 0; i < n; i++)
                sum += x[i];
        return sum;
}

/* What no potential can excuse. An old allocation that already breaks a rule (a CPU was unplugged,
 * a baseline was raised) may be improved step by step; one unit is the slack of rounding. */
static bool is_feasible(const struct gate_model *m, const int64_t x_old[], const int64_t x[])
{
        int64_t sum = sum_of(x, m->n);

        if ((double)sum > m->capacity_milli && !(x_old && sum < sum_of(x_old, m->n)))
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

struct rounding {
        const struct gate_model *model;
        const int64_t *x_old, *x_target;        /* both NULL: round the reference */
        double step;
};

static double real_of(const struct rounding *r, size_t i)
{
        if (!r->x_old)
                return r->model->reference_milli[i];
        return (double)r->x_old[i] + r->step * (double)(r->x_target[i] - r->x_old[i]);
}

static bool remainder_is_larger(const void *ctx, size_t a, size_t b)
{
        const struct rounding *r = ctx;
        double rest_a = real_of(r, a) - floor(real_of(r, a));
        double rest_b = real_of(r, b) - floor(real_of(r, b));

        return rest_a != rest_b ? rest_a > rest_b : a < b;
}

/* Rounds down, then gives the units that the sum still has to the largest remainders. */
static void round_keeping_sum(const struct rounding *r, double sum, size_t order[], int64_t ret_x[])
{
        size_t n = r->model->n;
        int64_t left = (int64_t)floor(sum);

        for (size_t i = 0; i < n; i++) {
                ret_x[i] = (int64_t)floor(real_of(r, i));
                left -= ret_x[i];
                order[i] = i;
        }
        heap_build(order, n, remainder_is_larger, r);
        for (size_t n_open = n; left > 0 && n_open > 0; left--) {
                ret_x[order[0]]++;
                order[0] = order[--n_open];
                heap_sift(order, n_open, 0, remainder_is_larger, r);
        }
}

/* The old allocation, or what of it still fits: everybody keeps what it held of its lower level, and
 * what was held above shrinks in proportion. */
static void hold(const struct gate_model *m, const int64_t x_old[], int64_t ret_x[])
{
        double kept = 0, above = 0, factor;

        if ((double)sum_of(x_old, m->n) <= m->capacity_milli) {
                for (size_t i = 0; i < m->n; i++)
                        ret_x[i] = x_old[i];
                return;
        }
        for (size_t i = 0; i < m->n; i++) {
                double lower = fmin((double)x_old[i], m->lower_milli[i]);

                kept += lower;
                above += (double)x_old[i] - lower;
        }
        /* A little less than all there is: the products may round up, the sum must not. */
        factor = above > 0 ? fmax(m->capacity_milli - kept, 0) / above * (1 - 1e-12) : 0;
        for (size_t i = 0; i < m->n; i++) {
                double lower = fmin((double)x_old[i], m->lower_milli[i]);

                ret_x[i] = (int64_t)floor(lower + factor * ((double)x_old[i] - lower));
        }
}

static void judge_first(const struct gate_model *m, const int64_t x_target[], int64_t ret_x[],
                        struct gate_verdict *ret)
{
        bool is_fine = is_feasible(m, NULL, x_target);

        for (size_t i = 0; i < m->n; i++)
                ret_x[i] = is_fine ? x_target[i] : (int64_t)floor(m->reference_milli[i]);
        *ret = (struct gate_verdict){
                .verdict = is_fine ? VERDICT_APPLY : VERDICT_HOLD,
                .v_before = NAN,
                .v_after = gate_potential_whole(m, ret_x),
                .step = is_fine ? 1 : 0,
        };
}

int gate_judge(const struct gate_model *model, const int64_t x_old[], const int64_t x_target[],
               double step_max, size_t order[], int64_t ret_x[], struct gate_verdict *ret)
{
        double v_before, v_whole, promise, step = step_max, sum_old = 0, sum_target = 0;
        int64_t distance = 0;

        if (!(step_max > 0 && step_max <= 1))
                return -EINVAL;
        for (size_t i = 0; i < model->n; i++) {
                if ((x_old && x_old[i] < 0) || x_target[i] < 0)
                        return -EINVAL;
                if (!x_old)
                        continue;
                int64_t change = x_target[i] - x_old[i];

                distance = change > distance ? change : -change > distance ? -change : distance;
                sum_old += (double)x_old[i];
                sum_target += (double)x_target[i];
        }
        if (!x_old) {
                judge_first(model, x_target, ret_x, ret);
                return 0;
        }

        /* In whole milli the best there is has some V left; only what is above it can fall. */
        double sum_reference = 0;
        for (size_t i = 0; i < model->n; i++)
                sum_reference += model->reference_milli[i];
        round_keeping_sum(&(struct rounding){ .model = model }, sum_reference, order, ret_x);
        v_before = gate_potential_whole(model, x_old);
        v_whole = gate_potential_whole(model, ret_x);
        promise = distance > ROUNDING_MILLI ? SUFFICIENT_DECREASE * fmax(v_before - v_whole, 0) : 0;

        for (int k = 0; k <= HALVINGS_MAX; k++, step /= 2) {
                struct rounding r = { model, x_old, x_target, step };
                bool is_move = distance == 0;
                double v;

                round_keeping_sum(&r, sum_old + step * (sum_target - sum_old), order, ret_x);
                for (size_t i = 0; i < model->n && !is_move; i++)
                        is_move = ret_x[i] != x_old[i];
                if (!is_move)           /* rounded to nothing, and shorter steps will be too */
                        break;
                if (!is_feasible(model, x_old, ret_x))
                        continue;
                v = gate_potential_whole(model, ret_x);
                if (v <= v_before - step * promise + POTENTIAL_TOLERANCE * (1 + fabs(v_before))) {
                        *ret = (struct gate_verdict){
                                .verdict = step == 1 || distance == 0 ? VERDICT_APPLY
                                                                      : VERDICT_REDUCED,
                                .v_before = v_before,
                                .v_after = v,
                                .step = distance == 0 ? 1 : step,
                        };
                        return 0;
                }
        }

        hold(model, x_old, ret_x);
        *ret = (struct gate_verdict){
                .verdict = VERDICT_HOLD,
                .v_before = v_before,
                .v_after = gate_potential_whole(model, ret_x),
                .step = 0,
        };
        return 0;
}

/* ---- memory ------------------------------------------------------------------------------------- */

void gate_history_push(struct gate_history *h, const struct gate_record *r)
{
        if (h->size == 0)
                return;
        h->records[h->next] = *r;
        h->next = (h->next + 1) % h->size;
        if (h->n_used < h->size)
                h->n_used++;
}

const struct gate_record *gate_history_at(const struct gate_history *h, size_t age)
{
        return age < h->n_used ? &h->records[(h->next + h->size - 1 - age) % h->size] : NULL;
}

/* Less than a fiftieth of the time is noise of a one-minute measurement. */
#define HARM_MIN 0.02
/* Smaller actions promise nothing that could be disappointed. */
#define ACTION_MIN 1e-3
#define STEP_MAX_MIN (1.0 / 64)
#define STEP_RECOVERY 1.1

void gate_monitor_init(struct gate_monitor *m)
{
        *m = (struct gate_monitor){
                .step_max = 1,
                .hardship_previous = NAN,
                .v_after_previous = NAN,
        };
}

/* Comparisons with NAN, which stands for "not known", are false: what is not known is no harm. */
static bool was_harmed(const struct gate_monitor *m, const struct gate_record *last, double hardship)
{
        return last && hardship - m->hardship_previous > HARM_MIN &&
               last->action < -ACTION_MIN * (1 + fabs(last->v_before)) &&
               fabs(last->workload) < -last->action;
}

enum gate_advice gate_monitor_observe(struct gate_monitor *m, const struct gate_record *last,
                                      double hardship)
{
        bool is_harmed = was_harmed(m, last, hardship);

        m->hardship_previous = hardship;
        m->v_after_previous = last ? last->v_after : NAN;

        if (m->n_frozen_left > 0) {
                m->n_frozen_left--;
                return GATE_FROZEN;
        }
        if (!is_harmed) {
                m->n_wrong = 0;
                m->step_max = fmin(m->step_max * STEP_RECOVERY, 1);
                return GATE_GO;
        }
        if (++m->n_wrong < GATE_WRONG_EPOCHS_MAX)
                return GATE_GO;

        m->n_wrong = 0;
        m->step_max = fmax(m->step_max / 2, STEP_MAX_MIN);
        m->n_frozen_left = GATE_FREEZE_EPOCHS;
        return GATE_ROLL_BACK;
}
