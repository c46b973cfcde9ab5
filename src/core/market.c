/* SPDX-License-Identifier: MIT */

#include "core/market.h"

#include <errno.h>

#include "core/bargain.h"
#include "core/waterfill.h"

/* Whole allocations are exact doubles below this; more CPU than that does not exist. */
#define TOTAL_MAX_MILLI 0x1p53

/* Steep targets that are well met have prices next to nothing; products with less than this would leave
 * the normal doubles, on which exact rounding rests. */
#define PRICE_LEAST 1e-280

/* The rungs of everybody's ladder, lowest first. */
enum level {
        LEVEL_NOTHING,
        LEVEL_FLOOR,
        LEVEL_BASELINE,
        LEVEL_HELD,             /* what a stale player keeps; the baseline of everybody else */
        LEVEL_NEED,
        LEVEL_MAX,
        _LEVEL_MAX,
};

static double level_of(const struct player *p, enum level level)
{
        bool is_stale = p->held_milli >= 0;

        switch (level) {
        case LEVEL_FLOOR:
                return is_stale ? fmin(p->floor_milli, p->held_milli) : p->floor_milli;
        case LEVEL_BASELINE:
                return is_stale ? fmin(p->baseline_milli, p->held_milli) : p->baseline_milli;
        case LEVEL_HELD:
                return is_stale ? p->held_milli : p->baseline_milli;
        case LEVEL_NEED:
                return is_stale ? p->held_milli : p->need_milli;
        case LEVEL_MAX:
                return is_stale ? p->held_milli : p->max_milli;
        default:
                return 0;
        }
}

static bool player_is_valid(const struct player *p)
{
        return p->floor_milli >= 0 && p->floor_milli <= p->baseline_milli &&
               p->baseline_milli <= p->need_milli && p->need_milli <= p->max_milli &&
               isfinite(p->max_milli) && p->weight > 0 && isfinite(p->weight) &&
               isfinite(p->held_milli) && (!p->slo || slo_is_valid(p->slo));
}

/* Proportional scaling is the bargaining solution whose weights are the claims themselves. */
static double weight_at(const struct player *p, enum level lower, enum overload_rule overload)
{
        if (lower >= LEVEL_BASELINE || overload == OVERLOAD_WEIGHTED)
                return p->weight;
        return level_of(p, lower + 1) - level_of(p, lower);
}

static enum tier tier_above(enum level lower)
{
        switch (lower) {
        case LEVEL_NOTHING:
                return TIER_STARVED;
        case LEVEL_FLOOR:
                return TIER_OVERLOADED;
        case LEVEL_NEED:
                return TIER_UNCONGESTED;
        default:
                return TIER_CONGESTED;
        }
}

static void sum_levels(const struct player players[], size_t n, double ret_sum[])
{
        for (size_t i = 0; i < n; i++)
                for (enum level l = LEVEL_FLOOR; l < _LEVEL_MAX; l++)
                        ret_sum[l] += level_of(&players[i], l);
}

static double scarcity_of(double capacity, const double sum[])
{
        if (capacity >= sum[LEVEL_NEED])
                return 0;
        if (capacity >= sum[LEVEL_BASELINE])    /* so the two sums differ */
                return (sum[LEVEL_NEED] - capacity) / (sum[LEVEL_NEED] - sum[LEVEL_BASELINE]);
        return 1 + (sum[LEVEL_BASELINE] - capacity) / sum[LEVEL_BASELINE];
}

double market_scarcity(const struct market_rules *rules, const struct player players[], size_t n)
{
        double sum[_LEVEL_MAX] = {};

        sum_levels(players, n, sum);
        return scarcity_of(rules->capacity_milli, sum);
}

/* Plain shares are w / price. Whoever has a target gets less than that, by what its target releases;
 * who is at its bound anyway has a weight that takes it there, for no gain is greedier than a plain one. */
static double rounding_weight(const struct gain *gain, double weight, double share, double price)
{
        double like_plain = share * fmax(price, PRICE_LEAST);

        if (gain_is_plain(gain) || share >= gain->box_milli || !(like_plain > 0) || isinf(like_plain))
                return weight;
        return like_plain;
}

int market_solve(const struct market_rules *rules, const struct player players[], size_t n,
                 struct market_scratch *scratch, struct market_tier_view *view, double ret_x[],
                 struct market_outcome *ret)
{
        double sum[_LEVEL_MAX] = {}, spendable, total, price;
        double capacity = rules->capacity_milli;
        enum level lower = LEVEL_NOTHING, upper;
        int r;

        if (!(capacity >= 0) || !isfinite(capacity) || !(rules->spare >= 0 && rules->spare <= 1) ||
            (unsigned)rules->overload >= _OVERLOAD_RULE_MAX)
                return -EINVAL;
        for (size_t i = 0; i < n; i++)
                if (!player_is_valid(&players[i]))
                        return -EINVAL;
        sum_levels(players, n, sum);
        if (!isfinite(sum[LEVEL_MAX]))
                return -EINVAL;

        while (lower < LEVEL_NEED && capacity >= sum[lower + 1])
                lower++;
        upper = lower + 1;

        spendable = capacity;
        if (lower == LEVEL_NEED) {
                /* Not S3 + 1 * (C - S3): that may fall short of C by a rounding, and the whole
                 * allocation would then lose a unit. */
                if (rules->spare < 1)
                        spendable = sum[LEVEL_NEED] +
                                    rules->spare * (capacity - sum[LEVEL_NEED]);
                /* Nothing above the needs is on the table. */
                if (rules->spare == 0)
                        upper = LEVEL_NEED;
        }
        total = fmin(spendable, sum[upper]);

        for (size_t i = 0; i < n; i++) {
                view->lower_milli[i] = level_of(&players[i], lower);
                view->upper_milli[i] = level_of(&players[i], upper);
                view->weight[i] = weight_at(&players[i], lower, rules->overload);
                /* On this rung a player whose data are stale has nothing to bargain over. */
                gain_init(&view->gain[i], lower == LEVEL_HELD ? players[i].slo : NULL,
                          view->lower_milli[i], view->upper_milli[i]);
        }
        r = bargain_solve(view->gain, view->weight, n, fmax(total - sum[lower], 0), rules->max_iterations,
                          scratch->bound, scratch->order, scratch->share, &price);
        if (r != 0)
                return r == BARGAIN_NOT_CONVERGED ? MARKET_NOT_CONVERGED : r;

        for (size_t i = 0; i < n; i++) {
                view->rounding_weight[i] = rounding_weight(&view->gain[i], view->weight[i],
                                                           scratch->share[i], price);
                ret_x[i] = fmin(view->lower_milli[i] + scratch->share[i], view->upper_milli[i]);
        }
        *ret = (struct market_outcome){
                .tier = tier_above(lower),
                .scarcity = scarcity_of(capacity, sum),
                .shadow_price = lower == LEVEL_NEED ? 0 : price,
                .total_milli = total,
                .spendable_milli = spendable,
        };
        return 0;
}

int market_round(const struct market_tier_view *view, const struct market_outcome *outcome, size_t n,
                 struct market_scratch *scratch, int64_t ret_x_milli[])
{
        int64_t total, promised = 0;
        bool is_short;
        double sum = 0;
        int r;

        if (!(outcome->total_milli >= 0))
                return -EINVAL;
        if (outcome->total_milli >= TOTAL_MAX_MILLI)
                return -ERANGE;
        total = (int64_t)floor(outcome->total_milli);

        for (size_t i = 0; i < n; i++)
                sum += ceil(view->lower_milli[i]);
        is_short = sum > (double)total;

        for (size_t i = 0; i < n; i++) {
                double lower = is_short ? floor(view->lower_milli[i]) : ceil(view->lower_milli[i]);

                /* Upper levels round up, or the sum could not be reached; nobody can take more than
                 * all there is, which keeps absurd maxima out of the integers. */
                scratch->bound_milli[i] = (int64_t)fmin(ceil(view->upper_milli[i]) - lower,
                                                        (double)total);
                scratch->share_milli[i] = 0;
                promised += (int64_t)lower;
        }
        /* Cannot be where both come from one market_solve(): sums of doubles keep the order of their
         * terms, so the floors of the lower levels add up to no more than their sum, which is no
         * more than the total. */
        if (promised > total)
                return -EINVAL;

        r = waterfill_round(scratch->bound_milli, view->rounding_weight, n, total - promised, scratch->order,
                            scratch->share_milli);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                double *lower = &view->lower_milli[i], *upper = &view->upper_milli[i];

                *lower = is_short ? floor(*lower) : ceil(*lower);
                *upper = ceil(*upper);
                gain_move(&view->gain[i], *lower, *upper);
                ret_x_milli[i] = (int64_t)*lower + scratch->share_milli[i];
        }
        return 0;
}
