/* SPDX-License-Identifier: MIT */
#pragma once

/* A market with its arrays, and random ones that reach every tier. */

#include "core/market.h"
#include "lib/testing.h"

#define MARKET_FIXTURE_MAX 64

struct market_fixture {
        struct player players[MARKET_FIXTURE_MAX];
        double x[MARKET_FIXTURE_MAX];
        int64_t x_whole[MARKET_FIXTURE_MAX];
        struct market_outcome outcome;
        struct market_tier_view view;
        struct market_scratch scratch;

        double lower[MARKET_FIXTURE_MAX], upper[MARKET_FIXTURE_MAX], weight[MARKET_FIXTURE_MAX];
        double rounding_weight[MARKET_FIXTURE_MAX];
        struct gain gain[MARKET_FIXTURE_MAX];
        size_t order[MARKET_FIXTURE_MAX];
        double bound[MARKET_FIXTURE_MAX], share[MARKET_FIXTURE_MAX];
        int64_t bound_milli[MARKET_FIXTURE_MAX], share_milli[MARKET_FIXTURE_MAX];
};

/* The fixture points into itself: initialise it where it stays. */
static inline void market_fixture_init(struct market_fixture *m)
{
        *m = (struct market_fixture){};
        m->view = (struct market_tier_view){ m->lower, m->upper, m->weight, m->gain,
                                              m->rounding_weight };
        m->scratch = (struct market_scratch){ m->order, m->bound, m->share, m->bound_milli,
                                              m->share_milli };
}

static inline int market_fixture_solve(struct market_fixture *m, const struct market_rules *rules,
                                       size_t n)
{
        return market_solve(rules, m->players, n, &m->scratch, &m->view, m->x, &m->outcome);
}

static inline int market_fixture_round(struct market_fixture *m, size_t n)
{
        return market_round(&m->view, &m->outcome, n, &m->scratch, m->x_whole);
}

/* Whole levels and weights; a share of the players is stale. Levels collide often on purpose. */
static inline void market_fixture_random_players(struct market_fixture *m, struct testing_random *r,
                                                 size_t n, double share_stale)
{
        static const int64_t steps[] = { 0, 1, 10, 500, 3000 };

        for (size_t i = 0; i < n; i++) {
                double level[4], below = 0;
                bool is_stale = testing_random_double(r, 0, 1) < share_stale;

                for (int l = 0; l < 4; l++) {
                        below += (double)testing_random_int(r, 0, steps[testing_random_int(r, 0, 4)]);
                        level[l] = below;
                }
                m->players[i] = (struct player){
                        level[0], level[1], level[2], level[3],
                        (double)(testing_random_int(r, 0, 1) ? testing_random_int(r, 1, 5)
                                                             : testing_random_int(r, 1, 10000)),
                        is_stale ? (double)testing_random_int(r, 0, (int64_t)level[3]) : -1,
                };
        }
}

/* A capacity between nothing and more than everybody's maximum, one time in four exactly at a border
 * between tiers. */
static inline struct market_rules market_fixture_random_rules(const struct market_fixture *m,
                                                              struct testing_random *r, size_t n)
{
        double sum[5] = {};
        int64_t rung = testing_random_int(r, 0, 3), capacity;

        for (size_t i = 0; i < n; i++) {
                const struct player *p = &m->players[i];
                double held = p->held_milli;

                sum[1] += held >= 0 ? fmin(p->floor_milli, held) : p->floor_milli;
                sum[2] += held >= 0 ? fmin(p->baseline_milli, held) : p->baseline_milli;
                sum[3] += held >= 0 ? held : p->need_milli;
                sum[4] += held >= 0 ? held : p->max_milli;
        }
        capacity = testing_random_int(r, (int64_t)sum[rung], (int64_t)sum[rung + 1] + (rung == 3) * 100);
        if (testing_random_int(r, 0, 3) == 0)
                capacity = (int64_t)sum[testing_random_int(r, 0, 4)];
        return (struct market_rules){
                .capacity_milli = (double)capacity,
                .spare = (double)testing_random_int(r, 0, 4) / 4,
                .overload = (enum overload_rule)testing_random_int(r, 0, _OVERLOAD_RULE_MAX - 1),
        };
}
