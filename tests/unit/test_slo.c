/* SPDX-License-Identifier: MIT */

#include "lib/slo_fixture.h"

static const struct slo slo = {
        .latency = { .load_milli = 150, .work_milli_ms = 20000, .other_ms = 5, .margin_milli = 10 },
        .target_ms = 80,
        .steepness_per_ms = 0.1,
};

START_TEST(a_service_at_its_target_scores_one_half)
{
        double at_target = latency_milli_for(&slo.latency, 80);

        ck_assert_double_eq_tol(exp(slo_log_score(&slo, at_target)), 0.5, 1e-12);
        ck_assert_double_eq_tol(exp(slo_log_score(&slo, 1e9)), 1 / (1 + exp(-7.5)), 1e-6);
        ck_assert_double_eq_tol(slo_log_score(&slo, 0), -0.1 * (34005 - 80), 1e-9);
}
END_TEST

START_TEST(the_need_of_a_target_meets_nine_tenths_of_it)
{
        struct slo hopeless = slo;

        ck_assert_double_eq_tol(latency_ms(&slo.latency, slo_need_milli(&slo)), 72, 1e-9);
        hopeless.latency.other_ms = 75;
        ck_assert_double_eq(slo_need_milli(&hopeless), 0);
}
END_TEST

START_TEST(the_sigmoid_is_convex_before_it_is_concave)
{
        double middle = slo_inflection_milli(&slo);
        double left = exp(slo_log_score(&slo, middle - 60)), at_left = exp(slo_log_score(&slo, middle - 30)),
               at = exp(slo_log_score(&slo, middle)), at_right = exp(slo_log_score(&slo, middle + 30)),
               right = exp(slo_log_score(&slo, middle + 60));

        ck_assert_double_lt(at_left, (left + at) / 2);
        ck_assert_double_gt(at_right, (at + right) / 2);
}
END_TEST

/* Where the queue's own curve is concave throughout, the tangent below it bends at the target. */
START_TEST(the_inflection_may_lie_in_the_line_below_the_curve)
{
        struct slo easy = slo;

        easy.latency.work_milli_ms = 100;       /* 10 ms at the margin, far below the target */
        ck_assert_double_eq_tol(latency_ms(&easy.latency, slo_inflection_milli(&easy)), 80, 1e-9);
        easy.target_ms = 1e6;                   /* met without any CPU */
        ck_assert_double_eq(slo_inflection_milli(&easy), 0);
        easy.target_ms = 14;
        easy.steepness_per_ms = 1e-3;           /* 15 ms at the margin: late on all of the line */
        ck_assert_double_eq_tol(slo_inflection_milli(&easy), 160, 1e-9);
}
END_TEST

START_TEST(without_a_target_the_gain_is_the_logarithm)
{
        const struct slo none = { .steepness_per_ms = 0.1 };
        const struct slo *plain[] = { NULL, &none };

        for (int k = 0; k < 2; k++) {
                struct gain g;

                gain_init(&g, plain[k], 100, 300);
                ck_assert(gain_is_plain(&g));
                ck_assert_double_eq(gain_urge(&g, 50), 1 / 50.0);
                ck_assert_double_eq(gain_log(&g, 50), log(50));
                ck_assert_double_eq_tol(slo_fixture_demand(&g, 0.02, 0), 50, 1e-9);
                ck_assert_double_eq(slo_fixture_demand(&g, 0.001, 0), 200);
                ck_assert_double_eq(slo_fixture_demand(&g, INFINITY, 0), 0);
                ck_assert_double_eq(slo_fixture_demand(&g, 0, 0), 200);
        }
}
END_TEST

START_TEST(with_a_target_urge_is_plain_up_to_the_tangent_point_and_falls_away_behind_it)
{
        struct gain g;

        gain_init(&g, &slo, 100, 2000);
        ck_assert_double_eq_tol(g.tangent_milli, 396.28770948763685, 1e-6);
        ck_assert_double_eq(gain_urge(&g, 396), 1 / 396.0);
        ck_assert_double_eq(gain_log(&g, 396), log(396));
        ck_assert_double_eq_tol(gain_urge(&g, 397) * 397, 1, 0.02);
        ck_assert_double_lt(gain_urge(&g, 700) * 700, 0.1);
        ck_assert_double_eq_tol(gain_log(&g, 396.4), log(396.4), 1e-6);
        ck_assert(isinf(gain_log(&g, 0)));
}
END_TEST

START_TEST(a_target_out_of_reach_leaves_a_plain_player)
{
        struct gain g;

        gain_init(&g, &slo, 100, 250);
        ck_assert_double_eq(g.tangent_milli, 150);
        ck_assert_double_eq(gain_urge(&g, 150), 1 / 150.0);
        ck_assert_double_eq_tol(slo_fixture_demand(&g, 0.01, 0), 100, 1e-9);
        ck_assert_double_eq(slo_fixture_demand(&g, 0.001, 0), 150);
}
END_TEST

START_TEST(a_target_that_the_baseline_meets_asks_for_little)
{
        struct gain g;

        gain_init(&g, &slo, 1000, 3000);
        ck_assert_double_eq(g.tangent_milli, 0);
        ck_assert_double_eq_tol(gain_urge(&g, 1e-3) * 1e-3, 1, 1e-3);
        ck_assert_double_lt(gain_urge(&g, 2000), 0.2 / 2000);
        ck_assert_double_lt(slo_fixture_demand(&g, 2e-4, 0), 1500);      /* plain: all of it */
        ck_assert_double_eq(slo_fixture_demand(&g, 0, 0), 2000);
}
END_TEST

START_TEST(targets_that_a_double_cannot_hold_are_told_from_valid_ones)
{
        static const double wrong[][2] = { { -1, 0.1 }, { NAN, 0.1 }, { INFINITY, 0.1 }, { 80, 0 },
                                           { 80, -1 },  { 80, NAN },  { 80, INFINITY },  { 80, 1e306 } };
        struct slo s = slo;

        ck_assert(slo_is_valid(&s));
        for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
                s.target_ms = wrong[k][0];
                s.steepness_per_ms = wrong[k][1];
                ck_assert_msg(!slo_is_valid(&s), "row %zu", k);
        }
        s = slo;
        s.latency.margin_milli = 0;
        ck_assert(!slo_is_valid(&s));
        s.target_ms = 0;                        /* none, so nothing else counts */
        ck_assert(slo_is_valid(&s));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("slo");
        TCase *t = tcase_create("slo");

        tcase_add_test(t, a_service_at_its_target_scores_one_half);
        tcase_add_test(t, the_need_of_a_target_meets_nine_tenths_of_it);
        tcase_add_test(t, the_sigmoid_is_convex_before_it_is_concave);
        tcase_add_test(t, the_inflection_may_lie_in_the_line_below_the_curve);
        tcase_add_test(t, without_a_target_the_gain_is_the_logarithm);
        tcase_add_test(t, with_a_target_urge_is_plain_up_to_the_tangent_point_and_falls_away_behind_it);
        tcase_add_test(t, a_target_out_of_reach_leaves_a_plain_player);
        tcase_add_test(t, a_target_that_the_baseline_meets_asks_for_little);
        tcase_add_test(t, targets_that_a_double_cannot_hold_are_told_from_valid_ones);
        suite_add_tcase(s, t);
        return testing_run(s);
}
