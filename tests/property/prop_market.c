/* SPDX-License-Identifier: MIT */

/* The market on random input: sums and floors, continuity over the borders of the tiers, the Lipschitz
 * bounds of Theorem 2, no dependence on order, whole allocations that keep what was promised. */

#include "core/market.h"
#include "lib/market_fixture.h"
#include "lib/slo_fixture.h"

#define N_CASES 10000
#define N_MAX 24

static size_t random_market(struct market_fixture *m, struct testing_random *r,
                            struct market_rules *ret_rules)
{
        size_t n = (size_t)testing_random_int(r, 1, N_MAX);

        market_fixture_init(m);
        market_fixture_random_players(m, r, n, 0.15);
        *ret_rules = market_fixture_random_rules(m, r, n);
        return n;
}

static void solve(struct market_fixture *m, const struct market_rules *rules, size_t n)
{
        ck_assert_int_eq(market_fixture_solve(m, rules, n), 0);
        ck_assert_int_eq(market_fixture_round(m, n), 0);
}

START_TEST(sum_stays_within_capacity_and_nothing_is_left_that_somebody_may_have)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct market_fixture m;
                struct market_rules rules;
                size_t n = random_market(&m, &r, &rules);
                int64_t sum_whole = 0;
                double sum = 0;

                solve(&m, &rules, n);
                for (size_t i = 0; i < n; i++) {
                        sum += m.x[i];
                        sum_whole += m.x_whole[i];
                        ck_assert_double_ge(m.x[i], m.lower[i]);
                        ck_assert_double_le(m.x[i], m.upper[i]);
                        /* levels are whole here, so that the whole allocation keeps them exactly */
                        ck_assert_double_ge((double)m.x_whole[i], m.lower[i]);
                        ck_assert_double_le((double)m.x_whole[i], m.upper[i]);
                }
                ck_assert_double_eq_tol(sum, m.outcome.total_milli, 1e-9 * fmax(1, sum));
                ck_assert_int_eq(sum_whole, (int64_t)floor(m.outcome.total_milli));
                ck_assert_double_le(m.outcome.total_milli, rules.capacity_milli);
                if (m.outcome.tier != TIER_UNCONGESTED)
                        ck_assert_double_eq(m.outcome.total_milli, rules.capacity_milli);
                ck_assert_double_ge(m.outcome.scarcity, 0);
                ck_assert_double_le(m.outcome.scarcity, 2);
        }
}
END_TEST

START_TEST(every_tier_keeps_its_promises)
{
        struct testing_random r = { testing_seed() };
        unsigned seen[_TIER_MAX] = {};

        for (int k = 0; k < N_CASES; k++) {
                struct market_fixture m;
                struct market_rules rules;
                size_t n = random_market(&m, &r, &rules);

                solve(&m, &rules, n);
                seen[m.outcome.tier]++;
                for (size_t i = 0; i < n; i++) {
                        const struct player *p = &m.players[i];
                        double held = p->held_milli >= 0 ? p->held_milli : INFINITY;

                        if (m.outcome.tier >= TIER_OVERLOADED)
                                ck_assert_double_ge(m.x[i], fmin(p->floor_milli, held));
                        if (m.outcome.tier >= TIER_CONGESTED)
                                ck_assert_double_ge(m.x[i], fmin(p->baseline_milli, held));
                        else
                                ck_assert_double_le(m.x[i], p->baseline_milli);
                        if (m.outcome.tier == TIER_UNCONGESTED)
                                ck_assert_double_ge(m.x[i], fmin(p->need_milli, held));
                        ck_assert_double_le(m.x[i], fmin(p->max_milli, held));
                }
                /* A stale player keeps what it holds before others exceed their baselines. */
                for (size_t i = 0; i < n; i++)
                        for (size_t j = 0; j < n; j++)
                                if (m.players[i].held_milli >= 0 && m.players[j].held_milli < 0 &&
                                    m.x[j] > m.players[j].baseline_milli)
                                        ck_assert_double_eq(m.x[i], m.players[i].held_milli);
        }
        for (int t = 0; t < _TIER_MAX; t++)
                ck_assert_uint_ge(seen[t], N_CASES / 20);
}
END_TEST

START_TEST(the_order_of_players_does_not_matter)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct market_fixture m, shuffled;
                struct market_rules rules;
                size_t n = random_market(&m, &r, &rules), place[N_MAX];

                for (size_t i = 0; i < n; i++) {
                        size_t j = (size_t)testing_random_int(&r, 0, (int64_t)i);

                        place[i] = i;
                        place[i] = place[j];
                        place[j] = i;
                }
                market_fixture_init(&shuffled);
                for (size_t i = 0; i < n; i++)
                        shuffled.players[place[i]] = m.players[i];
                solve(&m, &rules, n);
                solve(&shuffled, &rules, n);
                ck_assert_int_eq(m.outcome.tier, shuffled.outcome.tier);
                for (size_t i = 0; i < n; i++) {
                        ck_assert_double_eq_tol(m.x[i], shuffled.x[place[i]], 1e-9 * fmax(1, m.x[i]));
                        /* ties between whole units go by index: claims that tie may swap one */
                        ck_assert_int_le(llabs(m.x_whole[i] - shuffled.x_whole[place[i]]), 1);
                }
        }
}
END_TEST

/* Theorem 2: in l1, 1 per milli of capacity and 2 per milli of a baseline, need or maximum, across
 * tiers as well. */
START_TEST(allocations_follow_their_inputs_at_the_rate_of_theorem_2)
{
        struct testing_random r = { testing_seed() };
        double worst[4] = {};

        for (int k = 0; k < N_CASES; k++) {
                struct market_fixture m, moved;
                struct market_rules rules, rules_moved;
                size_t n = random_market(&m, &r, &rules);
                struct player *p = &moved.players[testing_random_int(&r, 0, (int64_t)n - 1)];
                double step = exp(testing_random_double(&r, -3, 5)), change = 0;
                int what = (int)testing_random_int(&r, 0, 3);

                market_fixture_init(&moved);
                for (size_t i = 0; i < n; i++)
                        moved.players[i] = m.players[i];
                rules_moved = rules;
                if (what == 1)
                        step = fmin(step, p->need_milli - p->baseline_milli);
                if (what == 2)
                        step = fmin(step, p->max_milli - p->need_milli);
                if (step < 1e-3)
                        continue;
                *(what == 0 ? &rules_moved.capacity_milli : what == 1 ? &p->baseline_milli
                  : what == 2 ? &p->need_milli : &p->max_milli) += step;
                solve(&m, &rules, n);
                solve(&moved, &rules_moved, n);
                for (size_t i = 0; i < n; i++)
                        change += fabs(moved.x[i] - m.x[i]);
                worst[what] = fmax(worst[what], change / step);
                ck_assert_double_le(change, (what == 0 ? 1 : 2) * step + 1e-6);
                for (size_t i = 0; i < n && what == 0; i++) {   /* more capacity harms nobody */
                        ck_assert_double_ge(moved.x[i], m.x[i] - 1e-9 * fmax(1, m.x[i]));
                        ck_assert_int_ge(moved.x_whole[i], m.x_whole[i]);
                }
        }
        fprintf(stderr, "# worst rates: capacity %.6f baseline %.6f need %.6f max %.6f\n", worst[0],
                worst[1], worst[2], worst[3]);
        ck_assert_double_ge(worst[0], 0.999);   /* the bounds are reached, or nothing was tried */
        ck_assert_double_ge(worst[1], 1.5);
        ck_assert_double_ge(worst[2], 1.5);
        ck_assert_double_ge(worst[3], 1.5);
}
END_TEST

/* One milli of capacity after the other through all tiers: no jump anywhere, no unit taken back. */
START_TEST(whole_allocations_climb_by_single_units_through_all_tiers)
{
        struct testing_random r = { testing_seed() };
        unsigned seen[_TIER_MAX] = {};

        for (int k = 0; k < 20; k++) {
                struct market_fixture m;
                struct market_rules rules;
                size_t n = random_market(&m, &r, &rules) % 6 + 1;
                int64_t previous[N_MAX] = {};

                market_fixture_random_players(&m, &r, n, 0.15);
                rules.spare = 1;
                for (int64_t c = 0; c < 3000; c++) {
                        int64_t sum = 0;

                        rules.capacity_milli = (double)c;
                        solve(&m, &rules, n);
                        seen[m.outcome.tier]++;
                        for (size_t i = 0; i < n; i++) {
                                ck_assert_int_ge(m.x_whole[i], previous[i]);
                                previous[i] = m.x_whole[i];
                                sum += m.x_whole[i];
                        }
                        ck_assert_int_eq(sum, (int64_t)m.outcome.total_milli);
                }
        }
        for (int t = 0; t < _TIER_MAX; t++)
                ck_assert_uint_ge(seen[t], 1000);
}
END_TEST

/* Real-valued levels: the sum is still exact and nobody leaves its box by more than rounding. */
START_TEST(real_levels_are_rounded_within_the_total)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct market_fixture m;
                struct market_rules rules;
                size_t n = random_market(&m, &r, &rules);
                int64_t sum = 0;

                for (size_t i = 0; i < n; i++) {
                        struct player *p = &m.players[i];

                        p->floor_milli *= 0.937;
                        p->baseline_milli *= 0.951;
                        p->need_milli *= 0.973;
                        p->max_milli *= 0.991;
                }
                rules.capacity_milli += testing_random_double(&r, 0, 1);
                solve(&m, &rules, n);
                for (size_t i = 0; i < n; i++) {
                        sum += m.x_whole[i];
                        ck_assert_double_ge((double)m.x_whole[i], floor(m.lower[i]));
                        ck_assert_double_le((double)m.x_whole[i], ceil(m.upper[i]));
                }
                ck_assert_int_eq(sum, (int64_t)floor(m.outcome.total_milli));
        }
}
END_TEST

/* ---- latency targets ---------------------------------------------------------------------------- */

/* A market with targets that bargains over them, and not at the border of the tier. */
static size_t random_target_market(struct market_fixture *m, struct testing_random *r, bool is_extreme,
                                   struct slo slo[], struct market_rules *ret_rules)
{
        size_t n = (size_t)testing_random_int(r, 2, N_MAX);
        double low = 0, high = 0;

        market_fixture_init(m);
        market_fixture_random_players(m, r, n, 0.15);
        for (size_t i = 0; i < n; i++) {
                struct player *p = &m->players[i];

                slo[i] = slo_fixture_random(r, is_extreme);
                if (testing_random_int(r, 0, 2) > 0)
                        p->slo = &slo[i];
                low += p->held_milli >= 0 ? p->held_milli : p->baseline_milli;
                high += p->held_milli >= 0 ? p->held_milli : p->need_milli;
        }
        *ret_rules = (struct market_rules){
                .capacity_milli = floor(low + (high - low) * testing_random_double(r, 0, 1)),
                .spare = 1,
                .max_iterations = 100,
        };
        return n;
}

START_TEST(with_targets_sums_are_exact_and_whole_shares_are_the_real_ones_rounded)
{
        struct testing_random r = { testing_seed() };
        double worst = 0;
        unsigned n_bargained = 0;

        for (int k = 0; k < N_CASES / 10; k++) {
                struct slo slo[N_MAX];
                struct market_fixture m;
                struct market_rules rules;
                size_t n = random_target_market(&m, &r, k % 2, slo, &rules);
                double sum = 0;
                int64_t sum_whole = 0;

                solve(&m, &rules, n);
                n_bargained += m.outcome.tier == TIER_CONGESTED;
                for (size_t i = 0; i < n; i++) {
                        sum += m.x[i];
                        sum_whole += m.x_whole[i];
                        worst = fmax(worst, fabs((double)m.x_whole[i] - m.x[i]));
                        ck_assert_double_ge((double)m.x_whole[i], m.lower[i]);
                        ck_assert_double_le((double)m.x_whole[i], m.upper[i]);
                        ck_assert_double_gt(m.rounding_weight[i], 0);
                        ck_assert_double_le(m.rounding_weight[i], m.weight[i] * (1 + 1e-6));
                }
                ck_assert_double_eq_tol(sum, m.outcome.total_milli, 1e-9 * (1 + sum));
                ck_assert_int_eq(sum_whole, (int64_t)m.outcome.total_milli);
        }
        fprintf(stderr, "# furthest whole allocation from the real one: %.3f milli\n", worst);
        ck_assert_double_lt(worst, 6);  /* as without targets: Webster's method may leave the quota */
        ck_assert_uint_ge(n_bargained, N_CASES / 12);
}
END_TEST

START_TEST(with_targets_more_capacity_harms_nobody_and_moves_no_more_than_itself)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES / 10; k++) {
                struct slo slo[N_MAX];
                struct market_fixture m, moved;
                struct market_rules rules;
                size_t n = random_target_market(&m, &r, k % 2, slo, &rules);
                double step = exp(testing_random_double(&r, -3, 7)), change = 0;

                market_fixture_init(&moved);
                for (size_t i = 0; i < n; i++)
                        moved.players[i] = m.players[i];
                solve(&m, &rules, n);
                rules.capacity_milli += step;
                solve(&moved, &rules, n);
                for (size_t i = 0; i < n; i++) {
                        ck_assert_double_ge(moved.x[i], m.x[i] - 1e-8 * (1 + rules.capacity_milli));
                        change += fabs(moved.x[i] - m.x[i]);
                }
                ck_assert_double_le(change, step + 1e-6);
        }
}
END_TEST

START_TEST(a_player_has_no_more_with_its_target_than_without)
{
        struct testing_random r = { testing_seed() };
        unsigned n_less = 0;

        for (int k = 0; k < N_CASES / 10; k++) {
                struct slo slo[N_MAX];
                struct market_fixture m, plain;
                struct market_rules rules;
                size_t n = random_target_market(&m, &r, k % 2, slo, &rules);
                size_t who = (size_t)testing_random_int(&r, 0, (int64_t)n - 1);

                market_fixture_init(&plain);
                for (size_t i = 0; i < n; i++)
                        plain.players[i] = m.players[i];
                plain.players[who].slo = NULL;
                solve(&m, &rules, n);
                solve(&plain, &rules, n);
                ck_assert_double_le(m.x[who], plain.x[who] + 1e-8 * (1 + rules.capacity_milli));
                n_less += m.x[who] < plain.x[who] - 1;
        }
        ck_assert_uint_ge(n_less, N_CASES / 250);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("prop_market");
        TCase *t = tcase_create("properties");

        tcase_add_test(t, sum_stays_within_capacity_and_nothing_is_left_that_somebody_may_have);
        tcase_add_test(t, every_tier_keeps_its_promises);
        tcase_add_test(t, the_order_of_players_does_not_matter);
        tcase_add_test(t, allocations_follow_their_inputs_at_the_rate_of_theorem_2);
        tcase_add_test(t, whole_allocations_climb_by_single_units_through_all_tiers);
        tcase_add_test(t, real_levels_are_rounded_within_the_total);
        tcase_add_test(t, with_targets_sums_are_exact_and_whole_shares_are_the_real_ones_rounded);
        tcase_add_test(t, with_targets_more_capacity_harms_nobody_and_moves_no_more_than_itself);
        tcase_add_test(t, a_player_has_no_more_with_its_target_than_without);
        suite_add_tcase(s, t);
        return testing_run(s);
}
