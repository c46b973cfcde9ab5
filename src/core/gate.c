/* SPDX-License-Identifier: MIT */

#include "core/gate.h"

#include <errno.h>
#include <float.h>

#include "core/heap.h"

/* A box narrower than this is no box: whole milli cannot bargain over it, and the logarithm of so
 * little would drown everybody else's in rounding. Nor is one without a weight to bargain with. */
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

/* A price is known well enough by this; what is left is divided as if all went straight in between. The
 * margin keeps answers off the ends, whatever was rounded. */
#define RANGE_TOLERANCE 1e-12
#define RANGE_MARGIN 2.5e-13

/* A division is known well enough when its price is known to this, or its sum: what is left changes its
 * utility by the square of that. */
#define BRACKET_TOLERANCE 1e-12

/* Closer to a whole milli than this is rounding of the arithmetic before, not an amount. */
#define WHOLE_TOLERANCE_MILLI 1e-6

/* Differences of latencies that agree so far are equal but for rounding. */
#define COST_TOLERANCE 1e-9

static double box_of(const struct gate_model *m, size_t i)
{
        double box = m->upper_milli[i] - m->lower_milli[i];

        return box >= BOX_MIN_MILLI && m->weight[i] > 0 ? box : 0;
}

static bool has_target(const struct gate_model *m, size_t i)
{
        return m->gain && !gain_is_plain(&m->gain[i]);
}

/* What all together take at t, which is positive: more, the greater it is. */
struct taking {
        double full;                    /* by those who take no more at any t */
        double free;                    /* by the others */
        double rise;                    /* of that, to one of log t */
};

typedef struct taking (*taking_fn)(const void *ctx, double t);

/* Positive ends between which what is taken reaches an amount: no more than it at the low end. */
struct range {
        double low, high;
        double taken_low, taken_high;
};

static bool is_within(const struct range *r, double t)
{
        return t > r->low && t < r->high;
}

/* Narrows a range until it is known well enough. Were everybody free as it is at t, one step would do; that
 * step goes a little too far, so that the last ones close the range from both sides. Where steps fail to
 * halve the distance, the range is halved in the logarithm. */
static void narrow(struct range *r, taking_fn taking, const void *ctx, double amount)
{
        double t = r->low, last_miss = INFINITY;

        for (int k = 0; k < BISECTIONS_MAX; k++) {
                struct taking all = taking(ctx, t);
                double taken = all.full + all.free, miss = fabs(taken - amount);

                if (taken <= amount) {
                        r->low = t;
                        r->taken_low = taken;
                } else {
                        r->high = t;
                        r->taken_high = taken;
                }
                if (r->high - r->low <= RANGE_TOLERANCE * r->high)
                        break;
                t *= pow((amount - all.full) / all.free, all.free / all.rise);
                t *= taken <= amount ? 1 + RANGE_MARGIN : 1 - RANGE_MARGIN;
                if (!is_within(r, t) || miss > last_miss / 2)
                        t = sqrt(r->low) * sqrt(r->high);
                if (!is_within(r, t))
                        break;
                last_miss = miss;
        }
}

/* ---- the solution ------------------------------------------------------------------------------- */

/* The price 1 / theta. */
struct price {
        double theta, log_theta;
};

static struct price price_at(double theta)
{
        return (struct price){ theta, log(theta) };
}

/* What a player takes at a price, and by how many percent that grows when theta grows by one. A target
 * never makes anybody take more. */
static double share_at(const struct gate_model *m, size_t i, struct price price, double hint,
                       double *ret_elasticity)
{
        double wish = m->weight[i] * price.theta, share = fmin(box_of(m, i), wish);

        *ret_elasticity = wish < box_of(m, i) ? 1 : 0;
        if (share <= 0 || !has_target(m, i))
                return share;
        return fmin(share, gain_demand_at(&m->gain[i], -price.log_theta - log(m->weight[i]), hint,
                                          ret_elasticity));
}

/* The search for the price; with it the shares at the price that was tried last, which are where a player
 * with a target looks first at the next. */
struct search {
        const struct gate_model *model;
        double *share;
};

static struct taking shares_at(const void *ctx, double theta)
{
        const struct search *s = ctx;
        struct price price = price_at(theta);
        struct taking all = {};

        for (size_t i = 0; i < s->model->n; i++) {
                double elasticity, share = share_at(s->model, i, price, s->share[i], &elasticity);

                s->share[i] = share;
                if (elasticity > 0)
                        all.free += share;
                else
                        all.full += share;
                all.rise += elasticity * share;
        }
        return all;
}

/* The theta, one over the price, at which all together take the surplus and no more, and their shares; the
 * surplus is positive and less than the sum of boxes. The answer is bracketed: by the surplus over all
 * weights, since nobody takes more than weight times theta, and by that at which the last box is full. */
static double find_theta(const struct gate_model *m, double surplus, double share[])
{
        struct range r = { 0 };
        double weight = 0, part;
        struct price low, high;

        for (size_t i = 0; i < m->n; i++) {
                double box = box_of(m, i);

                share[i] = 0;
                if (box <= 0)
                        continue;
                weight += m->weight[i];
                r.taken_high += box;
                r.high = fmax(r.high, has_target(m, i)
                                      ? exp(-gain_log_urge(&m->gain[i], box) - log(m->weight[i]))
                                      : box / m->weight[i]);
        }
        r.low = surplus / weight * (1 - RANGE_MARGIN);
        r.high = fmin(r.high * (1 + RANGE_MARGIN), DBL_MAX);
        narrow(&r, shares_at, &(struct search){ m, share }, surplus);

        /* The urge of a steep target may fall so fast that all it takes lies between two neighbouring
         * numbers: what is left goes to those who take more at the next price. */
        low = price_at(r.low);
        high = price_at(r.high);
        part = r.taken_high > r.taken_low ? (surplus - r.taken_low) / (r.taken_high - r.taken_low) : 0;
        for (size_t i = 0; i < m->n; i++) {
                double elasticity, at_low = share_at(m, i, low, share[i], &elasticity);

                share[i] = at_low + part * (share_at(m, i, high, at_low, &elasticity) - at_low);
        }
        return r.low;
}

/* Exact penalties: each exceeds the multiplier of its constraint at the solution, so that leaving the
 * box or the capacity never pays. The urge of a player with a target is at most that of one without.
 * Where capacity is no constraint at all its multiplier is 0; the small penalty then only keeps V from
 * ignoring an excess. */
static void set_penalties(struct gate_model *m)
{
        double weight_max = 0, urge = 0, slope;

        m->delta_milli = 1;
        for (size_t i = 0; i < m->n; i++) {
                double share = m->reference_milli[i] - m->lower_milli[i];

                weight_max = fmax(weight_max, m->weight[i]);
                if (box_of(m, i) > 0 && share > 0) {
                        m->delta_milli = fmin(m->delta_milli, share / 2);
                        urge = fmax(urge, m->weight[i] / share);
                }
        }
        weight_max = weight_max > 0 ? weight_max : 1;
        slope = 2 * weight_max / m->delta_milli;        /* the steepest inside the box: at the lower level */

        if (isinf(m->shadow_price)) {
                m->penalty_capacity = 2 * slope;
                m->penalty_upper = 2 * slope;
                m->penalty_lower = 3 * slope;
                return;
        }
        m->penalty_capacity = m->shadow_price > 0 ? 2 * m->shadow_price
                                                  : 1e-3 * weight_max / fmax(m->capacity_milli, 1);
        m->penalty_upper = 1.01 * fmax(urge, 1e-6);
        m->penalty_lower = slope + m->penalty_capacity;
}

int gate_model_init(struct gate_model *model, size_t n, const double lower_milli[],
                    const double upper_milli[], const double weight[], const struct gain gain[],
                    double capacity_milli, double reference_milli[])
{
        struct gate_model m = {
                .n = n,
                .lower_milli = lower_milli,
                .upper_milli = upper_milli,
                .weight = weight,
                .gain = gain,
                .reference_milli = reference_milli,
                .capacity_milli = capacity_milli,
        };
        double sum_lower = 0, sum_box = 0, surplus, theta = 0;

        if (!(capacity_milli >= 0) || !isfinite(capacity_milli))
                return -EINVAL;
        for (size_t i = 0; i < n; i++) {
                if (!(lower_milli[i] >= 0) || !(upper_milli[i] >= lower_milli[i]) ||
                    !isfinite(upper_milli[i]) || !(weight[i] >= 0) || !isfinite(weight[i]))
                        return -EINVAL;
                if (has_target(&m, i) && (!slo_is_valid(&gain[i].slo) || gain[i].lower_milli != lower_milli[i] ||
                                          gain[i].box_milli != upper_milli[i] - lower_milli[i]))
                        return -EINVAL;
                sum_lower += lower_milli[i];
                sum_box += box_of(&m, i);
        }
        surplus = capacity_milli - sum_lower;
        if (!isfinite(sum_lower + sum_box) || surplus < -SUM_TOLERANCE * (1 + capacity_milli))
                return -EINVAL;

        for (size_t i = 0; i < n; i++)
                reference_milli[i] = 0;
        if (sum_box <= 0 || surplus >= sum_box) {
                theta = INFINITY;
                for (size_t i = 0; i < n; i++)
                        reference_milli[i] = box_of(&m, i);
        } else if (surplus > SUM_TOLERANCE * (1 + capacity_milli)) {
                theta = find_theta(&m, surplus, reference_milli);
        }                               /* else nothing to bargain over: the solution is the corner */
        for (size_t i = 0; i < n; i++)
                reference_milli[i] += lower_milli[i];
        m.shadow_price = 1 / theta;
        set_penalties(&m);
        *model = m;
        return 0;
}

/* The weight with which a coalition's summed share is its optimum at the price. A coalition whose
 * members are all full wants more at that price: there all their weights are enough, and no less is. */
static double weight_of_coalition(const struct gate_model *m, size_t i, double sum_of_weights)
{
        double share = m->reference_milli[i] - m->lower_milli[i];
        double box = m->upper_milli[i] - m->lower_milli[i];

        if (isinf(m->shadow_price) || share >= box * (1 - SUM_TOLERANCE))
                return sum_of_weights;
        return m->shadow_price * share;
}

int gate_model_pool(const struct gate_model *single, const size_t entity_of[], size_t n_entities,
                    double lower_milli[], double upper_milli[], double weight[], struct gain gain[],
                    double reference_milli[], struct gate_model *ret)
{
        struct gate_model m = *single;

        for (size_t i = 0; i < single->n; i++)
                if (entity_of[i] >= n_entities)
                        return -EINVAL;
        m.n = n_entities;
        m.lower_milli = lower_milli;
        m.upper_milli = upper_milli;
        m.weight = weight;
        m.gain = single->gain ? gain : NULL;
        m.reference_milli = reference_milli;

        for (size_t e = 0; e < n_entities; e++)
                lower_milli[e] = upper_milli[e] = weight[e] = reference_milli[e] = 0;
        for (size_t i = 0; i < single->n; i++) {
                size_t e = entity_of[i];

                lower_milli[e] += single->lower_milli[i];
                upper_milli[e] += single->upper_milli[i];
                reference_milli[e] += single->reference_milli[i];
                weight[e] += box_of(single, i) > 0 ? single->weight[i] : 0;
        }
        for (size_t e = 0; e < n_entities; e++) {
                weight[e] = weight_of_coalition(&m, e, weight[e]);
                if (m.gain)
                        gain_init(&gain[e], NULL, lower_milli[e], upper_milli[e]);
        }
        /* Levels are not negative: where the sums are those of one member it is alone, or all others have
         * nothing to bargain over. */
        for (size_t i = 0; i < single->n; i++) {
                size_t e = entity_of[i];

                if (lower_milli[e] != single->lower_milli[i] || upper_milli[e] != single->upper_milli[i])
                        continue;
                weight[e] = single->weight[i];
                if (m.gain)
                        gain[e] = single->gain[i];
        }
        set_penalties(&m);
        *ret = m;
        return 0;
}

/* ---- the potential ------------------------------------------------------------------------------ */

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

/* The gain of a player with a target, made a concave function of all numbers like L: below delta by the
 * same curvature, above the box by its last slope. */
static double gain_at(const struct gate_model *m, size_t i, double share)
{
        double bent = fmax(share, m->delta_milli), inside = fmin(bent, box_of(m, i));
        double r = (share - bent) / m->delta_milli;

        return gain_log(&m->gain[i], inside) + gain_urge(&m->gain[i], inside) * (share - inside) - r * r / 2;
}

/* What one player contributes: its loss of the Nash product and the penalties of its box. */
static double potential_of(const struct gate_model *m, size_t i, double x)
{
        double lower = m->lower_milli[i];
        double v = m->penalty_upper * fmax(x - m->upper_milli[i], 0) +
                   m->penalty_lower * fmax(lower - x, 0);

        if (box_of(m, i) <= 0)
                return v;
        if (has_target(m, i))
                return v + m->weight[i] * (gain_at(m, i, m->reference_milli[i] - lower) - gain_at(m, i, x - lower));
        return v + m->weight[i] * log_loss(m->reference_milli[i] - lower, x - lower, m->delta_milli);
}

static double potential(const struct gate_model *m, const double x[], const int64_t x_whole[])
{
        double v = 0, sum = 0;

        for (size_t i = 0; i < m->n; i++) {
                double xi = x ? x[i] : (double)x_whole[i];

                v += potential_of(m, i, xi);
                sum += xi;
        }
        return v + m->penalty_capacity * fmax(sum - m->capacity_milli, 0);
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

                narrow(&r, kept_at, &s, surplus);
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

        return potential_of(r->start->model, i, whole) -
               potential_of(r->start->model, i, whole + 1);
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

static int64_t longer(int64_t distance, int64_t move)
{
        move = move < 0 ? -move : move;
        return move > distance ? move : distance;
}

/* A change under judgement, of totals or of a division. */
struct change {
        /* Makes the candidate of one step. Returns its potential; INFINITY if it is infeasible, or if
         * rounding makes it the old allocation again although the target is not. */
        double (*try_step)(const void *ctx, double step, int64_t ret_x[]);
        const void *ctx;
        double v_before;
        double tolerance;
        int64_t distance_milli;         /* the longest move between old and target */
};

/* Returns the step that passes, and leaves its candidate in ret_x; 0 if none does. */
static double backtrack(const struct change *c, double step_max, int64_t ret_x[], double *ret_v)
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

static struct gate_verdict verdict_of(double step, double v_before, double v_after)
{
        return (struct gate_verdict){
                .verdict = step == 1 ? VERDICT_APPLY : step > 0 ? VERDICT_REDUCED : VERDICT_HOLD,
                .v_before = v_before,
                .v_after = v_after,
                .step = step,
        };
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
        step = backtrack(&(struct change){
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

/* ---- division ----------------------------------------------------------------------------------- */

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
                step = backtrack(&(struct change){
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
/* More hardship with this much more load is the world's doing. */
#define LOAD_RISE_MAX 1.05

void gate_monitor_init(struct gate_monitor *m)
{
        *m = (struct gate_monitor){
                .step_max = 1,
                .hardship_previous = NAN,
                .load_previous_milli = NAN,
        };
}

/* Comparisons with NAN, which stands for "not known", are false: what is not known is no harm. */
static bool was_harmed(const struct gate_monitor *m, const struct gate_record *last, double hardship,
                       double load_milli)
{
        return last && hardship - m->hardship_previous > HARM_MIN &&
               last->action < -ACTION_MIN * (1 + fabs(last->v_before)) &&
               load_milli <= m->load_previous_milli * LOAD_RISE_MAX;
}

enum gate_advice gate_monitor_observe(struct gate_monitor *m, const struct gate_record *last,
                                      double hardship, double load_milli)
{
        bool is_harmed = was_harmed(m, last, hardship, load_milli);

        m->hardship_previous = hardship;
        m->load_previous_milli = load_milli;

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
