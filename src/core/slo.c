/* SPDX-License-Identifier: MIT */

#include "core/slo.h"

/* Newton's steps are that few; the rest is bisection, which needs about as many as a double has bits. */
#define STEPS_MAX 64

/* A Newton step from so near (in the logarithm) leaves an error of its square: rounding. */
#define NEAR_LOG 1e-7

/* log(1 + e^z), without overflow and exact for small and large z. */
static double softplus(double z)
{
        return fmax(z, 0) + log1p(exp(-fabs(z)));
}

/* ---- score -------------------------------------------------------------------------------------- */

bool slo_is_valid(const struct slo *slo)
{
        if (slo->target_ms == 0)
                return true;
        return slo->target_ms > 0 && slo->steepness_per_ms > 0 && latency_model_is_valid(&slo->latency) &&
               isfinite(slo->steepness_per_ms * (latency_ms(&slo->latency, 0) + slo->target_ms)) &&
               isfinite(slo->steepness_per_ms * latency_slope(&slo->latency, 0));
}

/* By how much the target is missed, in units of 1 / steepness. */
static double lateness(const struct slo *slo, double x_milli)
{
        return slo->steepness_per_ms * (latency_ms(&slo->latency, x_milli) - slo->target_ms);
}

double slo_log_score(const struct slo *slo, double x_milli)
{
        return -softplus(lateness(slo, x_milli));
}

/* On the curve the second derivative has the sign of q tanh((q - m) / 2) - 2, where q is the latency
 * that is this service's own and m what the target leaves for it, both in units of 1 / steepness. It
 * grows with q, from below 0 at max(m, 2) to above 0 two units later. */
double slo_inflection_milli(const struct slo *slo)
{
        const struct latency_model *l = &slo->latency;
        double m = slo->steepness_per_ms * (slo->target_ms - l->other_ms), own_ms;
        double low = fmax(m, 2), high = low + 2, q = low + fmin(4 / low, 1);

        for (int i = 0; i < STEPS_MAX; i++) {
                double t = tanh((q - m) / 2), excess = q * t - 2;
                double next = q - excess / (t + q / 2 * (1 - t * t));

                if (excess >= 0)
                        high = q;
                else
                        low = q;
                if (!(next >= low && next <= high))
                        next = low + (high - low) / 2;
                if (fabs(next - q) <= 1e-15 * q)
                        break;
                q = next;
        }
        own_ms = q / slo->steepness_per_ms;
        if (own_ms <= l->work_milli_ms / l->margin_milli)
                return l->load_milli + l->work_milli_ms / own_ms;
        /* The whole curve is concave. The line left of it bends with the sigmoid alone: at the target. */
        return fmin(latency_milli_for(l, slo->target_ms), l->load_milli + l->margin_milli);
}

double slo_need_milli(const struct slo *slo)
{
        double need = latency_milli_for(&slo->latency, SLO_TARGET_MARGIN * slo->target_ms);

        return isfinite(need) ? need : 0;
}

/* ---- gain --------------------------------------------------------------------------------------- */

/* Everything below that is about a gain with a target is in terms of
 *
 *      z(x) = steepness (T(x) - target),     fall(s) = z(d) - z(d + s) >= 0
 *
 * in which g = 1 / (1 + e^z) and
 *
 *      g(d + s) - g(d) = (1 - g(d)) g(d + s) (1 - e^-fall)
 *      slope of its log = steepness |T'| (1 - g(d + s)) / ((1 - g(d)) (1 - e^-fall))
 *
 * Neither takes a difference of two almost equal scores. */

/* From d to d + s, without the difference of two almost equal latencies. */
static double fall_of(const struct gain *g, double share)
{
        const struct latency_model *l = &g->slo.latency;
        double from = g->lower_milli - l->load_milli, to = from + share, margin = l->margin_milli;
        double scale = g->slo.steepness_per_ms * l->work_milli_ms;

        if (from >= margin)
                return scale / from * (share / to);
        if (to <= margin)
                return scale / margin * (share / margin);
        return scale / margin * ((margin - from) / margin + (to - margin) / to);
}

/* Of the score itself, not of its envelope: log of the urge, and by how much that falls per milli. */
static double log_urge_of_score(const struct gain *g, double share, double *ret_decay)
{
        const struct latency_model *l = &g->slo.latency;
        double fall = fall_of(g, share), z = lateness(&g->slo, g->lower_milli + share);
        double y = g->lower_milli - l->load_milli + share;
        double rate = -g->slo.steepness_per_ms * latency_slope(l, g->lower_milli + share);
        double part = -expm1(-fall), less = exp(-fabs(z));
        double score = z > 0 ? less / (1 + less) : 1 / (1 + less);
        double shift = z > 0 ? 0 : g->z_lower >= 0 ? z : -fall;

        *ret_decay = (y > l->margin_milli ? 2 / y : 0) + rate * (score + (1 - part) / part);
        /* (1 - g) / (1 - g(d)) is e^shift times a quotient between 1/2 and 2. */
        return log(rate * (1 + exp(-fabs(g->z_lower))) / ((1 + less) * part)) + shift;
}

/* log(g(d + s) - g(d)) - log(1 - g(d)). */
static double log_rise(const struct gain *g, double share)
{
        return log(-expm1(-fall_of(g, share))) + slo_log_score(&g->slo, g->lower_milli + share);
}

/* Where the line from (d, g(d)) touches g: there the urges of both are the same. On its left, down to
 * the inflection, the score's urge exceeds 1/s, on its right it is less. */
static double find_tangent(const struct gain *g)
{
        double low = slo_inflection_milli(&g->slo) - g->lower_milli, high = g->box_milli, share, decay;

        if (low <= 0)
                return 0;
        if (low >= high || log_urge_of_score(g, high, &decay) >= -log(high))
                return high;
        share = fmin(1.5 * low, high);
        for (int i = 0; i < STEPS_MAX; i++) {
                double excess = log_urge_of_score(g, share, &decay) + log(share);
                double next = share * exp(excess / (share * decay - 1));

                if (excess >= 0)
                        low = share;
                else
                        high = share;
                if (!(next >= low && next <= high))
                        next = low + (high - low) / 2;
                if (fabs(next - share) <= 1e-14 * share)
                        break;
                share = next;
        }
        return share;
}

void gain_init(struct gain *ret, const struct slo *slo, double lower_milli, double upper_milli)
{
        struct gain *g = ret;

        *g = (struct gain){ .lower_milli = lower_milli, .box_milli = upper_milli - lower_milli };
        if (!slo || slo->target_ms <= 0)
                return;

        g->slo = *slo;
        g->z_lower = lateness(slo, lower_milli);
        g->tangent_milli = find_tangent(g);
        /* Where there is no chord, g rises from d like s g'(d). */
        g->log_rise_per_milli = g->tangent_milli > 0
                ? log_rise(g, g->tangent_milli) - log(g->tangent_milli)
                : log(-slo->steepness_per_ms * latency_slope(&slo->latency, lower_milli)) +
                  slo_log_score(slo, lower_milli);
}

void gain_move(struct gain *g, double lower_milli, double upper_milli)
{
        const struct slo slo = g->slo;
        double box = upper_milli - lower_milli;

        /* Where the chord ends before the box does, it ends there in every box. */
        if (lower_milli == g->lower_milli && (gain_is_plain(g) || g->tangent_milli < fmin(g->box_milli, box)))
                g->box_milli = box;
        else
                gain_init(g, &slo, lower_milli, upper_milli);
}

static bool is_like_plain(const struct gain *g, double share)
{
        return gain_is_plain(g) || share <= g->tangent_milli;
}

double gain_log_urge(const struct gain *g, double share_milli)
{
        double like_plain = -log(share_milli), decay;

        if (is_like_plain(g, share_milli))
                return like_plain;
        return fmin(like_plain, log_urge_of_score(g, share_milli, &decay));
}

double gain_urge(const struct gain *g, double share_milli)
{
        return is_like_plain(g, share_milli) ? 1 / share_milli : exp(gain_log_urge(g, share_milli));
}

double gain_log(const struct gain *g, double share_milli)
{
        if (is_like_plain(g, share_milli))
                return log(share_milli);
        return log_rise(g, share_milli) - g->log_rise_per_milli;
}

double gain_demand_at(const struct gain *g, double log_urge, double hint_milli, double *ret_elasticity)
{
        /* What it would ask for without a target; with one it is never more. */
        double wish = exp(-log_urge);
        double low = g->tangent_milli, high = fmin(g->box_milli, wish), share;
        double last_excess = INFINITY;
        bool is_high_known = false;

        if (is_like_plain(g, high)) {
                *ret_elasticity = wish < g->box_milli ? 1 : 0;
                return high;
        }

        share = hint_milli > low && hint_milli < high ? hint_milli : high;
        *ret_elasticity = 1;
        for (int i = 0; i < STEPS_MAX; i++) {
                double decay, excess = log_urge_of_score(g, share, &decay) - log_urge, next;

                if (excess >= 0 && share >= high && !is_high_known) {
                        *ret_elasticity = share < g->box_milli ? 1 : 0;
                        return share;
                }
                if (excess >= 0) {
                        low = share;
                } else {
                        high = share;
                        is_high_known = true;
                }
                /* In logarithms of both, where a plain gain is a straight line. */
                *ret_elasticity = 1 / (share * decay);
                next = share * exp(excess * *ret_elasticity);
                if (fabs(excess) <= NEAR_LOG)
                        return fmin(fmax(next, low), high);
                if (next >= high && !is_high_known)
                        next = high;
                else if (!(next > low && next < high) || fabs(excess) > fabs(last_excess) / 2)
                        next = low > 0 ? sqrt(low) * sqrt(high) : high / 16;
                if (next == share)
                        break;
                last_excess = excess;
                share = next;
        }
        return share;
}
