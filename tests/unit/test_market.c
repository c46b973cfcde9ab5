/* SPDX-License-Identifier: MIT */

#include "core/market.h"

#include <errno.h>

#include "lib/market_fixture.h"

static struct market_fixture m;

static void setup(void)
{
        market_fixture_init(&m);
        m.players[0] = (struct player){ 10, 200, 400, 1000, 1, -1 };
        m.players[1] = (struct player){ 10, 300, 600, 800, 2, -1 };
}

static void solve(double capacity, double spare)
{
        struct market_rules rules = { capacity, spare, OVERLOAD_PROPORTIONAL };

        ck_assert_int_eq(market_fixture_solve(&m, &rules, 2), 0);
        ck_assert_int_eq(market_fixture_round(&m, 2), 0);
}

START_TEST(an_empty_market_is_uncongested_and_free)
{
        struct market_rules rules = { 1000, 1, OVERLOAD_PROPORTIONAL };

        ck_assert_int_eq(market_fixture_solve(&m, &rules, 0), 0);
        ck_assert_int_eq(m.outcome.tier, TIER_UNCONGESTED);
        ck_assert_double_eq(m.outcome.scarcity, 0);
        ck_assert_double_eq(m.outcome.shadow_price, 0);
        ck_assert_double_eq(m.outcome.total_milli, 0);
        ck_assert_double_eq(m.outcome.spendable_milli, 1000);
        ck_assert_int_eq(market_fixture_round(&m, 0), 0);
}
END_TEST

START_TEST(the_tier_is_where_capacity_runs_out)
{
        solve(19, 1);
        ck_assert_int_eq(m.outcome.tier, TIER_STARVED);
        solve(20, 1);
        ck_assert_int_eq(m.outcome.tier, TIER_OVERLOADED);
        solve(500, 1);
        ck_assert_int_eq(m.outcome.tier, TIER_CONGESTED);
        solve(1000, 1);
        ck_assert_int_eq(m.outcome.tier, TIER_UNCONGESTED);
}
END_TEST

START_TEST(the_view_shows_what_was_bargained_over)
{
        solve(700, 1);
        ck_assert_double_eq(m.view.lower_milli[0], 200);
        ck_assert_double_eq(m.view.upper_milli[1], 600);
        ck_assert_double_eq(m.view.weight[1], 2);
        ck_assert_double_eq_tol(m.x[0], 200 + 200 / 3.0, 1e-9);
        ck_assert_double_eq_tol(m.outcome.shadow_price, 3 / 200.0, 1e-12);
        ck_assert_double_eq(m.outcome.spendable_milli, 700);

        solve(260, 1);          /* half of what lies between floor and baseline */
        ck_assert_double_eq(m.view.lower_milli[1], 10);
        ck_assert_double_eq(m.view.upper_milli[1], 300);
        ck_assert_double_eq(m.view.weight[1], 290);
        ck_assert_double_eq_tol(m.x[1], 155, 1e-9);
}
END_TEST

START_TEST(price_is_infinite_where_a_tier_starts_and_zero_where_needs_are_met)
{
        solve(500, 1);
        ck_assert(isinf(m.outcome.shadow_price));
        solve(1000, 1);         /* every need is met: what is spare has no price */
        ck_assert_double_eq(m.outcome.shadow_price, 0);
        solve(1800, 1);
        ck_assert_double_eq(m.outcome.shadow_price, 0);
        solve(1000, 0);         /* nothing above the needs is for sale */
        ck_assert_double_eq(m.outcome.shadow_price, 0);
}
END_TEST

START_TEST(spare_decides_how_much_is_handed_out_above_the_needs)
{
        solve(1200, 0);
        ck_assert_double_eq(m.outcome.total_milli, 1000);
        ck_assert_double_eq(m.outcome.spendable_milli, 1000);
        ck_assert_double_eq(m.view.upper_milli[0], 400);
        solve(1200, 0.5);
        ck_assert_double_eq(m.outcome.total_milli, 1100);
        ck_assert_int_eq(m.x_whole[0] + m.x_whole[1], 1100);
        solve(4000, 1);
        ck_assert_double_eq(m.outcome.total_milli, 1800);
        ck_assert_double_eq(m.outcome.spendable_milli, 4000);
}
END_TEST

START_TEST(a_stale_player_keeps_what_it_holds_before_anybody_gets_more_than_its_baseline)
{
        m.players[0].held_milli = 350;
        solve(700, 1);
        ck_assert_double_eq(m.x[0], 350);
        ck_assert_double_eq(m.x[1], 350);
        solve(5000, 1);         /* and wants no more */
        ck_assert_double_eq(m.x[0], 350);
        solve(600, 1);          /* the baseline of others comes first */
        ck_assert_double_eq_tol(m.x[0], 300, 1e-9);
        ck_assert_double_eq_tol(m.x[1], 300, 1e-9);
        ck_assert_int_eq(m.outcome.tier, TIER_CONGESTED);

        m.players[0].held_milli = 50;
        solve(700, 1);
        ck_assert_double_eq(m.x[0], 50);
        m.players[0].held_milli = 0;
        solve(700, 1);
        ck_assert_double_eq(m.x[0], 0);
}
END_TEST

START_TEST(whole_allocations_keep_promises_and_the_sum)
{
        m.players[0] = (struct player){ 10, 100.5, 400, 1000, 1, -1 };
        m.players[1] = (struct player){ 10, 100.5, 400, 1000, 1, -1 };
        solve(300.7, 1);
        ck_assert_int_ge(m.x_whole[0], 101);
        ck_assert_int_eq(m.x_whole[0] + m.x_whole[1], 300);

        solve(201, 1);          /* 101 + 101 would be one too many */
        ck_assert_int_eq(m.x_whole[0], 101);
        ck_assert_int_eq(m.x_whole[1], 100);
}
END_TEST

START_TEST(absurd_maxima_do_no_harm)
{
        m.players[0].max_milli = 1e300;
        solve(1500, 1);
        ck_assert_int_eq(m.x_whole[0] + m.x_whole[1], 1500);
        struct market_rules rules = { 1e300, 1, OVERLOAD_PROPORTIONAL };
        ck_assert_int_eq(market_fixture_solve(&m, &rules, 2), 0);
        ck_assert_int_eq(market_fixture_round(&m, 2), -ERANGE);
}
END_TEST

START_TEST(rules_that_are_not_rules_are_refused)
{
        static const struct market_rules wrong[] = {
                { -1, 1, 0 }, { NAN, 1, 0 }, { INFINITY, 1, 0 }, { 1, -0.1, 0 }, { 1, 1.1, 0 },
                { 1, NAN, 0 }, { 1, 1, _OVERLOAD_RULE_MAX },
        };

        m.outcome.total_milli = 42;
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
                ck_assert_int_eq(market_fixture_solve(&m, &wrong[i], 2), -EINVAL);
        ck_assert_double_eq(m.outcome.total_milli, 42);
}
END_TEST

START_TEST(players_out_of_order_are_refused)
{
        static const struct player wrong[] = {
                { -1, 2, 3, 4, 1, -1 }, { 3, 2, 3, 4, 1, -1 }, { 1, 4, 3, 4, 1, -1 },
                { 1, 2, 5, 4, 1, -1 }, { 1, 2, 3, INFINITY, 1, -1 }, { 1, 2, NAN, 4, 1, -1 },
                { NAN, 2, 3, 4, 1, -1 }, { 1, 2, 3, 4, 0, -1 }, { 1, 2, 3, 4, -1, -1 },
                { 1, 2, 3, 4, INFINITY, -1 }, { 1, 2, 3, 4, 1, INFINITY }, { 1, 2, 3, 4, 1, NAN },
        };
        struct market_rules rules = { 100, 1, OVERLOAD_WEIGHTED };

        m.x[0] = 42;
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
                m.players[1] = wrong[i];
                ck_assert_int_eq(market_fixture_solve(&m, &rules, 2), -EINVAL);
        }
        ck_assert_double_eq(m.x[0], 42);

        m.players[0].max_milli = 1e308;
        m.players[1] = m.players[0];
        ck_assert_int_eq(market_fixture_solve(&m, &rules, 2), -EINVAL);
}
END_TEST

START_TEST(a_view_that_does_not_belong_to_the_outcome_is_refused)
{
        solve(700, 1);
        m.outcome.total_milli = 300;
        ck_assert_int_eq(market_fixture_round(&m, 2), -EINVAL);
        m.outcome.total_milli = NAN;
        ck_assert_int_eq(market_fixture_round(&m, 2), -EINVAL);
}
END_TEST

/* ---- latency targets ---------------------------------------------------------------------------- */

/* Meets its target of 50 ms with 520 milli: halfway between its baseline and its need. */
static const struct slo target = {
        .latency = { .load_milli = 320, .work_milli_ms = 10000, .margin_milli = 10 },
        .target_ms = 50,
        .steepness_per_ms = 0.1,
};

static void setup_targets(void)
{
        market_fixture_init(&m);
        m.players[0] = (struct player){ 10, 200, 800, 1000, 1, -1, &target };
        m.players[1] = (struct player){ 10, 200, 900, 1000, 1, -1 };
}

static int solve_targets(double capacity, unsigned max_iterations)
{
        struct market_rules rules = { capacity, 1, OVERLOAD_PROPORTIONAL, max_iterations };

        return market_fixture_solve(&m, &rules, 2);
}

START_TEST(a_target_that_is_met_leaves_the_rest_to_others)
{
        ck_assert_int_eq(solve_targets(1400, 100), 0);
        ck_assert_int_eq(m.outcome.tier, TIER_CONGESTED);
        ck_assert_double_eq_tol(m.x[0] + m.x[1], 1400, 1e-9);
        ck_assert_double_lt(latency_ms(&target.latency, m.x[0]), 50);
        ck_assert_double_lt(m.x[0], m.x[1] - 50);
        ck_assert_double_eq_tol(m.outcome.shadow_price, 1 / (m.x[1] - 200), 1e-9);
        ck_assert_double_eq(m.view.rounding_weight[1], 1);
        ck_assert_double_eq_tol(m.view.rounding_weight[0], (m.x[0] - 200) / (m.x[1] - 200), 1e-9);

        ck_assert_int_eq(market_fixture_round(&m, 2), 0);
        ck_assert_int_eq(m.x_whole[0] + m.x_whole[1], 1400);
        for (size_t i = 0; i < 2; i++)
                ck_assert_double_eq_tol((double)m.x_whole[i], m.x[i], 1);
}
END_TEST

START_TEST(a_target_counts_only_between_baselines_and_needs)
{
        static const double capacities[] = { 10, 300, 400, 1700, 1850, 3000 };

        for (size_t k = 0; k < sizeof capacities / sizeof capacities[0]; k++) {
                double with[2];

                setup_targets();
                ck_assert_int_eq(solve_targets(capacities[k], 1), 0);
                with[0] = m.x[0];
                with[1] = m.x[1];
                m.players[0].slo = NULL;
                ck_assert_int_eq(solve_targets(capacities[k], 1), 0);
                ck_assert(m.x[0] == with[0] && m.x[1] == with[1]);
        }
}
END_TEST

START_TEST(a_stale_player_keeps_what_it_holds_whatever_its_target)
{
        m.players[0].held_milli = 650;
        ck_assert_int_eq(solve_targets(1400, 100), 0);
        ck_assert_double_eq(m.x[0], 650);
        ck_assert_double_eq(m.x[1], 750);
        ck_assert_int_eq(solve_targets(600, 1), 0);     /* not even all of that is there */
        ck_assert_double_eq_tol(m.x[0], 400, 1e-9);
}
END_TEST

START_TEST(a_market_without_end_is_told_and_nothing_is_touched)
{
        m.x[0] = 42;
        m.outcome.total_milli = 42;
        ck_assert_int_eq(solve_targets(1400, 1), MARKET_NOT_CONVERGED);
        ck_assert_double_eq(m.x[0], 42);
        ck_assert_double_eq(m.outcome.total_milli, 42);
}
END_TEST

START_TEST(a_target_that_is_none_is_refused)
{
        struct slo wrong = target;

        wrong.steepness_per_ms = NAN;
        m.players[0].slo = &wrong;
        ck_assert_int_eq(solve_targets(1400, 100), -EINVAL);
        wrong.target_ms = 0;            /* no target: nothing else of it counts */
        ck_assert_int_eq(solve_targets(1400, 1), 0);
        ck_assert_double_eq_tol(m.x[0], 700, 1e-9);
}
END_TEST

START_TEST(the_gains_of_the_view_have_the_levels_of_the_view)
{
        m.players[0].baseline_milli = 200.5;
        ck_assert_int_eq(solve_targets(1400, 100), 0);
        ck_assert_double_eq(m.gain[0].lower_milli, 200.5);
        ck_assert_double_eq(m.gain[0].box_milli, 599.5);
        ck_assert(!gain_is_plain(&m.gain[0]) && gain_is_plain(&m.gain[1]));

        ck_assert_int_eq(market_fixture_round(&m, 2), 0);
        ck_assert_double_eq(m.gain[0].lower_milli, 201);
        ck_assert_double_eq(m.gain[0].box_milli, 599);
        ck_assert(!gain_is_plain(&m.gain[0]) && gain_is_plain(&m.gain[1]));
}
END_TEST

START_TEST(scarcity_is_known_before_weights_are)
{
        for (double capacity = 0; capacity < 2500; capacity += 50) {
                struct market_rules rules = { capacity, 1, OVERLOAD_PROPORTIONAL, 100 };
                double early;

                m.players[0].weight = m.players[1].weight = NAN;
                early = market_scarcity(&rules, m.players, 2);
                m.players[0].weight = m.players[1].weight = 1;
                ck_assert_int_eq(market_fixture_solve(&m, &rules, 2), 0);
                ck_assert(early == m.outcome.scarcity);
        }
}
END_TEST

int main(void)
{
        Suite *s = suite_create("market");
        TCase *t = tcase_create("market"), *targets = tcase_create("targets");

        tcase_add_checked_fixture(t, setup, NULL);
        tcase_add_test(t, an_empty_market_is_uncongested_and_free);
        tcase_add_test(t, the_tier_is_where_capacity_runs_out);
        tcase_add_test(t, the_view_shows_what_was_bargained_over);
        tcase_add_test(t, price_is_infinite_where_a_tier_starts_and_zero_where_needs_are_met);
        tcase_add_test(t, spare_decides_how_much_is_handed_out_above_the_needs);
        tcase_add_test(t, a_stale_player_keeps_what_it_holds_before_anybody_gets_more_than_its_baseline);
        tcase_add_test(t, whole_allocations_keep_promises_and_the_sum);
        tcase_add_test(t, absurd_maxima_do_no_harm);
        tcase_add_test(t, rules_that_are_not_rules_are_refused);
        tcase_add_test(t, players_out_of_order_are_refused);
        tcase_add_test(t, a_view_that_does_not_belong_to_the_outcome_is_refused);
        suite_add_tcase(s, t);

        tcase_add_checked_fixture(targets, setup_targets, NULL);
        tcase_add_test(targets, a_target_that_is_met_leaves_the_rest_to_others);
        tcase_add_test(targets, a_target_counts_only_between_baselines_and_needs);
        tcase_add_test(targets, a_stale_player_keeps_what_it_holds_whatever_its_target);
        tcase_add_test(targets, a_market_without_end_is_told_and_nothing_is_touched);
        tcase_add_test(targets, a_target_that_is_none_is_refused);
        tcase_add_test(targets, the_gains_of_the_view_have_the_levels_of_the_view);
        tcase_add_test(targets, scarcity_is_known_before_weights_are);
        suite_add_tcase(s, targets);
        return testing_run(s);
}
