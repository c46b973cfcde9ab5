/* SPDX-License-Identifier: MIT */

#include "reference/oracle.h"

#include <assert.h>
#include <math.h>

/* The full claimants, as a bit mask, the surplus of the others and their weight. */
struct split {
        uint32_t full;
        int64_t rest;
        int64_t weight;
};

static struct split split_of(const int64_t bound[], const int64_t weight[], size_t n, int64_t amount)
{
        assert(n <= ORACLE_MAX);
        for (uint32_t full = 0; full < UINT32_C(1) << n; full++) {
                struct split s = { full, amount, 0 };
                bool holds = true;

                for (size_t i = 0; i < n; i++)
                        if (full >> i & 1)
                                s.rest -= bound[i];
                        else
                                s.weight += weight[i];
                if (s.weight == 0) {
                        if (s.rest >= 0)
                                return s;
                        continue;
                }
                /* theta = rest / weight: full ones want no more, the others are below their bound. */
                for (size_t i = 0; i < n && holds; i++)
                        holds = full >> i & 1 ? bound[i] * s.weight <= weight[i] * s.rest
                                              : bound[i] * s.weight > weight[i] * s.rest;
                if (holds && s.rest >= 0)
                        return s;
        }
        assert(!"the KKT conditions always have a solution");
        return (struct split){};
}

double oracle_waterfill(const int64_t bound[], const int64_t weight[], size_t n, int64_t amount,
                        double ret_share[])
{
        struct split s = split_of(bound, weight, n, amount);

        for (size_t i = 0; i < n; i++)
                ret_share[i] = s.full >> i & 1 ? (double)bound[i]
                                               : (double)(weight[i] * s.rest) / (double)s.weight;
        return s.weight == 0 ? INFINITY : (double)s.rest / (double)s.weight;
}

/* Claimants of weight 0 are served last, as equals. */
static size_t take_class(const int64_t bound[], const int64_t weight[], size_t n, bool is_weighted,
                         size_t index[], int64_t b[], int64_t w[])
{
        size_t n_taken = 0;

        for (size_t i = 0; i < n; i++)
                if ((weight[i] > 0) == is_weighted) {
                        index[n_taken] = i;
                        b[n_taken] = bound[i];
                        w[n_taken++] = is_weighted ? weight[i] : 1;
                }
        return n_taken;
}

void oracle_webster(const int64_t bound[], const int64_t weight[], size_t n, int64_t amount,
                    int64_t ret_share[])
{
        for (size_t i = 0; i < n; i++)
                ret_share[i] = 0;
        for (; amount > 0; amount--) {
                size_t best = n;

                for (size_t i = 0; i < n; i++) {
                        if (ret_share[i] == bound[i])
                                continue;
                        if (best == n ||
                            weight[i] * (2 * ret_share[best] + 1) >
                                    weight[best] * (2 * ret_share[i] + 1) ||
                            (weight[i] == 0 && weight[best] == 0 &&
                             ret_share[i] < ret_share[best]))
                                best = i;
                }
                if (best == n)
                        return;
                ret_share[best]++;
        }
}

void oracle_hamilton(const int64_t bound[], const int64_t weight[], size_t n, int64_t amount,
                     int64_t ret_share[])
{
        for (int pass = 0; pass < 2; pass++) {
                int64_t b[ORACLE_MAX], w[ORACLE_MAX], remainder[ORACLE_MAX];
                size_t index[ORACLE_MAX];
                size_t n_class = take_class(bound, weight, n, pass == 0, index, b, w);
                struct split s = split_of(b, w, n_class, amount);

                for (size_t k = 0; k < n_class; k++) {
                        bool is_full = s.full >> k & 1;

                        ret_share[index[k]] = is_full ? b[k] : w[k] * s.rest / s.weight;
                        remainder[k] = is_full ? 0 : w[k] * s.rest % s.weight;
                        amount -= ret_share[index[k]];
                }
                while (s.weight > 0 && amount > 0) {
                        size_t best = 0;

                        for (size_t k = 1; k < n_class; k++)
                                if (remainder[k] > remainder[best])
                                        best = k;
                        ret_share[index[best]]++;
                        remainder[best] = 0;
                        amount--;
                }
        }
}

enum tier oracle_market(int64_t capacity, int spare_percent, enum overload_rule overload,
                        const struct player players[], size_t n, double ret_x[])
{
        enum { FLOOR, BASELINE, HELD, NEED, MAX, N_RUNGS };
        static const enum tier tiers[] = { TIER_STARVED, TIER_OVERLOADED, TIER_CONGESTED,
                                           TIER_CONGESTED, TIER_UNCONGESTED };
        int64_t rung[N_RUNGS][ORACLE_MAX];
        int64_t rest = 100 * capacity;          /* hundredths, so that spare is exact */
        enum tier tier = TIER_STARVED;

        for (size_t i = 0; i < n; i++) {
                const struct player *p = &players[i];
                int64_t levels[] = { (int64_t)p->floor_milli, (int64_t)p->baseline_milli,
                                     (int64_t)p->baseline_milli, (int64_t)p->need_milli,
                                     (int64_t)p->max_milli };
                int64_t held = (int64_t)p->held_milli, below = 0;

                for (int r = 0; r < N_RUNGS; r++) {
                        int64_t level = 100 * levels[r];

                        if (p->held_milli >= 0 && (r >= HELD || level > 100 * held))
                                level = 100 * held;
                        rung[r][i] = level - below;
                        below = level;
                }
                ret_x[i] = 0;
        }

        for (int r = 0; r < N_RUNGS; r++) {
                int64_t b[ORACLE_MAX], w[ORACLE_MAX], sum = 0;
                double share[ORACLE_MAX];
                size_t index[ORACLE_MAX], n_rung = 0;

                for (size_t i = 0; i < n; i++) {
                        sum += rung[r][i];
                        if (rung[r][i] == 0)
                                continue;
                        index[n_rung] = i;
                        b[n_rung] = rung[r][i];
                        w[n_rung++] = r <= BASELINE && overload == OVERLOAD_PROPORTIONAL
                                              ? rung[r][i] : (int64_t)players[i].weight;
                }
                tier = tiers[r];
                if (r == MAX)
                        rest = rest / 100 * spare_percent;
                oracle_waterfill(b, w, n_rung, rest < sum ? rest : sum, share);
                for (size_t k = 0; k < n_rung; k++)
                        ret_x[index[k]] += share[k] / 100;
                if (rest < sum)
                        break;
                rest -= sum;
        }
        return tier;
}
