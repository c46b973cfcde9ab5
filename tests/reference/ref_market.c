/* SPDX-License-Identifier: MIT */

/* The tiered market: every case of market.json, the wrong numbers of the project this one grew out
 * of, and random markets against the exact oracle. */

#include "core/market.h"
#include "lib/market_fixture.h"
#include "lib/vectors.h"
#include "reference/oracle.h"

static enum overload_rule overload_of(json_object *c)
{
        const char *rule = vectors_text(c, "overload_rule");

        if (strcmp(rule, "prop") == 0)
                return OVERLOAD_PROPORTIONAL;
        ck_assert_str_eq(rule, "weights");
        return OVERLOAD_WEIGHTED;
}

static void check_case(json_object *c, double tol)
{
        double floor_[VECTORS_MAX], d[VECTORS_MAX], n_[VECTORS_MAX], u[VECTORS_MAX], w[VECTORS_MAX];
        double x[VECTORS_MAX], sum = 0;
        const char *name = vectors_text(c, "name");
        size_t n = vectors_doubles(c, "floor", floor_);
        struct market_rules rules = { vectors_double(c, "C"), vectors_double(c, "headroom"),
                                      overload_of(c) };
        struct market_fixture m;

        vectors_doubles(c, "baseline", d);
        vectors_doubles(c, "need", n_);
        vectors_doubles(c, "max", u);
        vectors_doubles(c, "w", w);
        ck_assert_uint_eq(vectors_doubles(c, "x", x), n);
        market_fixture_init(&m);
        for (size_t i = 0; i < n; i++)
                m.players[i] = (struct player){ floor_[i], d[i], n_[i], u[i], w[i], -1 };

        ck_assert_int_eq(market_fixture_solve(&m, &rules, n), 0);
        for (size_t i = 0; i < n; i++) {
                vectors_assert_near(m.x[i], x[i], tol, name);
                sum += m.x[i];
        }
        vectors_assert_near(sum, vectors_double(c, "sum_x"), tol, name);
        vectors_assert_near(m.outcome.total_milli, vectors_double(c, "sum_x"), tol, name);
        vectors_assert_near(m.outcome.scarcity, vectors_double(c, "scarcity"), tol, name);
        ck_assert_str_eq(tier_to_string(m.outcome.tier), vectors_text(c, "mode"));
}

START_TEST(every_vector_of_market_is_met)
{
        json_object *file = vectors_load("tests/data/market.json");
        json_object *cases = vectors_get(file, "cases");

        ck_assert_uint_eq(json_object_array_length(cases), 92);
        for (size_t k = 0; k < 92; k++)
                check_case(json_object_array_get_idx(cases, k), vectors_double(file, "tol"));
        json_object_put(file);
}
END_TEST

/* There, overload gave one service more than its baseline, or all of them more than the host has. */
START_TEST(overload_gives_nobody_more_than_its_baseline_nor_all_more_than_capacity)
{
        json_object *cases = vectors_load("tests/data/coallocator_nbs_bugs.json");
        size_t n_checked = 0;

        for (size_t k = 0; k < json_object_array_length(cases); k++) {
                json_object *c = json_object_array_get_idx(cases, k);
                json_object *agents = vectors_get(c, "agents");
                size_t n = json_object_array_length(agents);
                double sum = 0, capacity = vectors_double(c, "capacity");
                struct market_fixture m;

                if (vectors_get(c, "correct") != NULL)  /* see ref_nbs.c */
                        continue;
                market_fixture_init(&m);
                for (size_t i = 0; i < n; i++) {
                        json_object *agent = json_object_array_get_idx(agents, i);
                        double d = vectors_double(agent, "d"), u = vectors_double(agent, "u");

                        m.players[i] = (struct player){ 10, d, d, u, vectors_double(agent, "w"), -1 };
                }
                for (int rule = 0; rule < _OVERLOAD_RULE_MAX; rule++) {
                        struct market_rules rules = { capacity, 1, (enum overload_rule)rule };

                        ck_assert_int_eq(market_fixture_solve(&m, &rules, n), 0);
                        sum = 0;
                        for (size_t i = 0; i < n; i++) {
                                ck_assert_double_le(m.x[i], m.players[i].baseline_milli);
                                sum += m.x[i];
                        }
                        vectors_assert_near(sum, capacity, 1e-9, vectors_text(c, "name"));
                }
                n_checked++;
        }
        ck_assert_uint_eq(n_checked, 2);
        json_object_put(cases);
}
END_TEST

/* There, one milli less capacity gave each of two services 375 more; and weights did nothing. */
START_TEST(one_milli_of_capacity_moves_allocations_by_no_more_than_one_milli)
{
        json_object *file = vectors_load("tests/data/coallocator_market_jump.json");
        json_object *steps = vectors_get(file, "jump_at_mode_boundary");
        double previous = NAN;
        struct market_fixture m;

        market_fixture_init(&m);
        for (size_t i = 0; i < 2; i++)
                m.players[i] = (struct player){ 10, 100, 575, 2000, 1, -1 };
        for (size_t k = 0; k < json_object_array_length(steps); k++) {
                json_object *step = json_object_array_get_idx(steps, k);
                struct market_rules rules = { vectors_double(step, "C"), 0, OVERLOAD_PROPORTIONAL };

                ck_assert_int_eq(market_fixture_solve(&m, &rules, 2), 0);
                ck_assert_double_eq_tol(m.x[0], m.x[1], 1e-9);
                ck_assert(isnan(previous) || fabs(m.x[0] - previous) <= 1);
                ck_assert_double_eq_tol(m.x[0], 575, 1e-9);
                previous = m.x[0];
        }

        /* Across the border itself, which lies at 1150 here. */
        for (double c = 1160; c >= 1140; c--) {
                struct market_rules rules = { c, 1, OVERLOAD_PROPORTIONAL };

                ck_assert_int_eq(market_fixture_solve(&m, &rules, 2), 0);
                ck_assert_double_eq_tol(m.x[0], c / 2, 1e-9);
        }

        m.players[0].weight = 1000;
        m.players[0].need_milli = m.players[1].need_milli = 1500;
        struct market_rules rules = { 1500, 0, OVERLOAD_PROPORTIONAL };
        ck_assert_int_eq(market_fixture_solve(&m, &rules, 2), 0);
        ck_assert_double_eq_tol(m.x[0], 100 + 1300 * 1000 / 1001.0, 1e-9);
        json_object_put(file);
}
END_TEST

START_TEST(random_markets_agree_with_the_exact_oracle)
{
        struct testing_random r = { testing_seed() };
        unsigned seen[_TIER_MAX] = {};

        for (int k = 0; k < 4000; k++) {
                size_t n = (size_t)testing_random_int(&r, 0, 7);
                struct market_fixture m;
                struct market_rules rules;
                int spare = (int)testing_random_int(&r, 0, 4) * 25;
                double x[MARKET_FIXTURE_MAX];
                enum tier tier;

                market_fixture_init(&m);
                market_fixture_random_players(&m, &r, n, 0.2);
                rules = market_fixture_random_rules(&m, &r, n);
                rules.spare = spare / 100.0;
                ck_assert_int_eq(market_fixture_solve(&m, &rules, n), 0);
                tier = oracle_market((int64_t)rules.capacity_milli, spare, rules.overload,
                                     m.players, n, x);
                ck_assert_int_eq(m.outcome.tier, tier);
                seen[tier]++;
                for (size_t i = 0; i < n; i++)
                        ck_assert_double_eq_tol(m.x[i], x[i], 1e-9 * fmax(1, x[i]));
        }
        for (int t = 0; t < _TIER_MAX; t++)
                ck_assert_uint_ge(seen[t], 200);        /* or the generator tests nothing */
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ref_market");
        TCase *t = tcase_create("vectors");

        tcase_add_test(t, every_vector_of_market_is_met);
        tcase_add_test(t, overload_gives_nobody_more_than_its_baseline_nor_all_more_than_capacity);
        tcase_add_test(t, one_milli_of_capacity_moves_allocations_by_no_more_than_one_milli);
        tcase_add_test(t, random_markets_agree_with_the_exact_oracle);
        suite_add_tcase(s, t);
        return testing_run(s);
}
