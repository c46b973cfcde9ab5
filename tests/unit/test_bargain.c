/* SPDX-License-Identifier: MIT */

#include "core/bargain.h"

#include <errno.h>

#include "core/waterfill.h"
#include "lib/testing.h"

#define N 3

static const struct slo slo = {
        .latency = { .load_milli = 150, .work_milli_ms = 20000, .other_ms = 5, .margin_milli = 10 },
        .target_ms = 80,
        .steepness_per_ms = 0.1,
};

static struct gain gain[N];
static double weight[N], bound[N], share[N], price;
static size_t order[N];

static int solve(double amount, unsigned max_iterations)
{
        return bargain_solve(gain, weight, N, amount, max_iterations, bound, order, share, &price);
}

static void setup(void)
{
        gain_init(&gain[0], &slo, 100, 2000);
        gain_init(&gain[1], NULL, 100, 2000);
        gain_init(&gain[2], NULL, 100, 300);
        for (size_t i = 0; i < N; i++)
                weight[i] = 1;
}

START_TEST(once_a_target_is_met_the_others_get_more)
{
        double with;

        ck_assert_int_eq(solve(1500, 100), 0);
        ck_assert_double_eq_tol(share[0] + share[1] + share[2], 1500, 1e-9);
        ck_assert_double_ge(slo.target_ms, latency_ms(&slo.latency, 100 + share[0]));
        ck_assert_double_gt(share[1], share[0]);
        ck_assert_double_eq(share[2], 200);
        ck_assert_double_eq_tol(price, 1 / share[1], 1e-9);
        ck_assert_double_eq_tol(gain_urge(&gain[0], share[0]), price, 1e-9);

        with = share[0];
        gain_init(&gain[0], NULL, 100, 2000);
        ck_assert_int_eq(solve(1500, 100), 0);
        ck_assert_double_eq_tol(share[0], 650, 1e-9);
        ck_assert_double_lt(with, share[0]);
}
END_TEST

START_TEST(below_the_tangent_point_everybody_is_plain)
{
        ck_assert_int_eq(solve(600, 1), 0);     /* the first price is that of plain players */
        for (size_t i = 0; i < N; i++)
                ck_assert_double_eq_tol(share[i], 200, 1e-9);
        ck_assert_double_eq_tol(price, 1 / 200.0, 1e-12);
}
END_TEST

START_TEST(without_targets_the_answer_is_that_of_water_filling_to_the_last_bit)
{
        double expected[N], theta;

        gain_init(&gain[0], NULL, 0, 777);
        weight[0] = 0.3;
        weight[1] = 7;
        for (size_t i = 0; i < N; i++)
                bound[i] = gain[i].box_milli;
        ck_assert_int_eq(waterfill_solve(bound, weight, N, 1234.5, order, expected, &theta), 0);
        ck_assert_int_eq(solve(1234.5, 1), 0);
        for (size_t i = 0; i < N; i++)
                ck_assert(share[i] == expected[i]);
        ck_assert(price == 1 / theta);
}
END_TEST

START_TEST(price_is_infinite_where_there_is_nothing_and_zero_where_there_is_plenty)
{
        ck_assert_int_eq(solve(0, 100), 0);
        ck_assert(isinf(price));
        ck_assert_double_eq(share[0] + share[1] + share[2], 0);
        ck_assert_int_eq(solve(5000, 100), 0);
        ck_assert_double_eq(price, 0);
        ck_assert_double_eq(share[0], 1900);
}
END_TEST

START_TEST(who_has_no_weight_gets_what_the_others_leave)
{
        weight[1] = 0;
        ck_assert_int_eq(solve(1500, 100), 0);
        ck_assert_double_eq(share[1], 0);
        ck_assert_int_eq(solve(2200, 100), 0);
        ck_assert_double_eq(share[0], 1900);
        ck_assert_double_eq_tol(share[1], 100, 1e-9);
}
END_TEST

START_TEST(too_few_iterations_are_told_and_leave_the_price_alone)
{
        price = 42;
        ck_assert_int_eq(solve(1500, 1), BARGAIN_NOT_CONVERGED);
        ck_assert_double_eq(price, 42);
}
END_TEST

START_TEST(input_that_is_none_is_refused)
{
        price = 42;
        ck_assert_int_eq(solve(-1, 100), -EINVAL);
        ck_assert_int_eq(solve(NAN, 100), -EINVAL);
        weight[0] = -1;
        ck_assert_int_eq(solve(100, 100), -EINVAL);
        weight[0] = 1;
        gain[1].box_milli = NAN;
        ck_assert_int_eq(solve(100, 100), -EINVAL);
        ck_assert_double_eq(price, 42);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("bargain");
        TCase *t = tcase_create("bargain");

        tcase_add_checked_fixture(t, setup, NULL);
        tcase_add_test(t, once_a_target_is_met_the_others_get_more);
        tcase_add_test(t, below_the_tangent_point_everybody_is_plain);
        tcase_add_test(t, without_targets_the_answer_is_that_of_water_filling_to_the_last_bit);
        tcase_add_test(t, price_is_infinite_where_there_is_nothing_and_zero_where_there_is_plenty);
        tcase_add_test(t, who_has_no_weight_gets_what_the_others_leave);
        tcase_add_test(t, too_few_iterations_are_told_and_leave_the_price_alone);
        tcase_add_test(t, input_that_is_none_is_refused);
        suite_add_tcase(s, t);
        return testing_run(s);
}
