/* SPDX-License-Identifier: MIT */
#pragma once

/* Random coalitions: queues of all sizes, some with plenty, some below their load, in narrow boxes and in
 * wide ones. */

#include "core/coalition.h"
#include "lib/testing.h"

static inline struct member coalition_fixture_member(struct testing_random *r)
{
        double load = exp(testing_random_double(r, 3, 7)), held;
        struct member m = {
                .latency = {
                        .load_milli = load,
                        .work_milli_ms = exp(testing_random_double(r, 4, 9)),
                        .other_ms = testing_random_int(r, 0, 1) ? testing_random_double(r, 0, 50) : 0,
                        .margin_milli = latency_margin(load),
                },
                .importance = exp(testing_random_double(r, -1, 3)),
        };

        held = load * testing_random_double(r, 0.7, 2);
        m.entitlement_milli = held;
        m.least_milli = testing_random_int(r, 0, 3) ? fmin(held, load) : held * testing_random_double(r, 0, 1);
        m.most_milli = testing_random_int(r, 0, 3) ? 8000 : held * testing_random_double(r, 1, 2);
        m.most_milli = fmax(m.most_milli, held);
        return m;
}

/* Return: as worth_game_init(), which is 0. */
static inline int coalition_fixture_game(struct testing_random *r, unsigned n, struct worth_game *ret)
{
        struct member members[COALITION_MEMBERS_MAX];

        for (unsigned i = 0; i < n; i++)
                members[i] = coalition_fixture_member(r);
        return worth_game_init(ret, members, n);
}

/* What a division is worth to all members together. */
static inline double coalition_fixture_utility(const struct worth_game *g, const double x_milli[])
{
        double sum = 0;

        for (unsigned i = 0; i < g->n; i++)
                sum += worth_utility_of(&g->members[i], x_milli[i]);
        return sum;
}
