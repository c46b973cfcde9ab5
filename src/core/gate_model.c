/* SPDX-License-Identifier: MIT */

#include "core/gate_internal.h"

#include <errno.h>
#include <float.h>

/* A price is known well enough by this; what is left is divided as if all went straight in between. */
#define RANGE_TOLERANCE 1e-12

static bool has_target(const struct gate_model *m, size_t i)
{
        return m->gain && !gain_is_plain(&m->gain[i]);
}

static bool is_within(const struct range *r, double t)
{
        return t > r->low && t < r->high;
}

void gate_narrow(struct range *r, taking_fn taking, const void *ctx, double amount)
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
        gate_narrow(&r, shares_at, &(struct search){ m, share }, surplus);

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

double gate_potential_of(const struct gate_model *m, size_t i, double x)
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

                v += gate_potential_of(m, i, xi);
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
