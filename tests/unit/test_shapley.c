/* SPDX-License-Identifier: MIT */

#include "core/shapley.h"

#include <errno.h>

#include "core/random.h"
#include "lib/testing.h"

/* A left glove and two right ones: a pair is worth 1. */
static const double gloves[8] = { 0, 0, 0, 1, 0, 1, 0, 1 };
static double value[COALITION_MEMBERS_MAX];
static double error[COALITION_MEMBERS_MAX];
static struct shapley_sample sample;
static unsigned n_calls;

static double worth_of_gloves(const void *ctx, uint32_t subset)
{
        (void)ctx;
        n_calls++;
        return gloves[subset];
}

/* Everybody adds its own share: no order differs from any other. */
static double worth_of_heads(const void *ctx, uint32_t subset)
{
        double sum = 0;

        (void)ctx;
        for (; subset != 0; subset &= subset - 1)
                sum += 1 + __builtin_ctz(subset);
        return sum;
}

static double worth_that_fails_for_two(const void *ctx, uint32_t subset)
{
        (void)ctx;
        return __builtin_popcount(subset) == 2 ? NAN : 1;
}

static double worth_without_end(const void *ctx, uint32_t subset)
{
        (void)ctx;
        (void)subset;
        return INFINITY;
}

START_TEST(who_is_scarce_is_worth_more)
{
        ck_assert_int_eq(shapley_exact(gloves, 3, value), 0);
        ck_assert_double_eq_tol(value[0], 2 / 3.0, 1e-15);
        ck_assert_double_eq_tol(value[1], 1 / 6.0, 1e-15);
        ck_assert_double_eq_tol(value[2], 1 / 6.0, 1e-15);
}
END_TEST

START_TEST(a_single_member_has_the_whole_worth)
{
        const double worth[] = { 0, 5 };

        ck_assert_int_eq(shapley_exact(worth, 1, value), 0);
        ck_assert_double_eq(value[0], 5);
        ck_assert_int_eq(shapley_estimate(worth_of_heads, NULL, 1, 0, 2, 0, value, NULL, &sample), 0);
        ck_assert_double_eq(value[0], 1);
        ck_assert_double_eq(sample.half_width, 0);
}
END_TEST

START_TEST(bad_input_is_refused_and_nothing_is_written)
{
        const double wrong[] = { 0, 1, INFINITY, 1 };

        value[0] = error[0] = sample.half_width = -7;
        ck_assert_int_eq(shapley_exact(gloves, 0, value), -EINVAL);
        ck_assert_int_eq(shapley_exact(gloves, COALITION_EXACT_MAX + 1, value), -EINVAL);
        ck_assert_int_eq(shapley_exact(wrong, 2, value), -EDOM);
        ck_assert_int_eq(shapley_estimate(worth_of_heads, NULL, 0, 1, 9, 0, value, error, &sample), -EINVAL);
        ck_assert_int_eq(shapley_estimate(worth_of_heads, NULL, COALITION_MEMBERS_MAX + 1, 1, 9, 0, value,
                                          error, &sample), -EINVAL);
        ck_assert_int_eq(shapley_estimate(worth_of_heads, NULL, 3, 1, 1, 0, value, error, &sample), -EINVAL);
        ck_assert_int_eq(shapley_estimate(worth_of_heads, NULL, 3, 1, 9, -1, value, error, &sample), -EINVAL);
        ck_assert_int_eq(shapley_estimate(worth_of_heads, NULL, 3, 1, 9, NAN, value, error, &sample),
                         -EINVAL);
        ck_assert_int_eq(shapley_estimate(worth_that_fails_for_two, NULL, 3, 1, 9, 0, value, error,
                                          &sample), -EDOM);
        ck_assert_int_eq(shapley_estimate(worth_without_end, NULL, 3, 1, 9, 0, value, error, &sample), -EDOM);
        ck_assert_double_eq(value[0], -7);
        ck_assert_double_eq(error[0], -7);
        ck_assert_double_eq(sample.half_width, -7);
}
END_TEST

START_TEST(sampling_stops_when_it_knows_well_enough_but_not_by_chance)
{
        /* no spread at all: known after two pairs, but that is not believed yet */
        ck_assert_int_eq(shapley_estimate(worth_of_heads, NULL, 32, 1, 1000, 1e-9, value, error, &sample), 0);
        ck_assert_uint_eq(sample.n_pairs, 32);
        for (unsigned i = 0; i < 32; i++)
                ck_assert_double_eq(value[i], 1 + i);

        n_calls = 0;
        ck_assert_int_eq(shapley_estimate(worth_of_gloves, NULL, 3, 1, 100000, 0.02, value, error,
                                          &sample), 0);
        ck_assert_double_le(sample.half_width, 0.02);
        ck_assert_uint_gt(sample.n_pairs, 32);
        ck_assert_uint_lt(sample.n_pairs, 5000);
        ck_assert_uint_eq(n_calls, 6 * sample.n_pairs + 1);
        ck_assert_double_eq_tol(value[0], 2 / 3.0, 0.04);
}
END_TEST

START_TEST(without_a_tolerance_the_budget_is_spent)
{
        ck_assert_int_eq(shapley_estimate(worth_of_heads, NULL, 3, 1, 50, 0, value, NULL, &sample), 0);
        ck_assert_uint_eq(sample.n_pairs, 50);
}
END_TEST

/* 2^64 draws on 3 * 2^62 answers: without care every third answer comes up twice as often. */
START_TEST(a_bound_of_any_size_is_kept_without_bias)
{
        const uint64_t bound = UINT64_C(3) << 62;
        unsigned n_thirds = 0;
        struct random r;

        random_init(&r, 7);
        for (int k = 0; k < 3000; k++) {
                uint64_t drawn = random_below(&r, bound);

                ck_assert(drawn < bound);
                n_thirds += drawn % 3 == 0;
        }
        ck_assert_uint_gt(n_thirds, 900);       /* 1500 with the bias */
        ck_assert_uint_lt(n_thirds, 1100);
        for (int k = 0; k < 10; k++)
                ck_assert_uint_eq(random_below(&r, 1), 0);
}
END_TEST

START_TEST(permutations_of_nothing_and_of_one_are_themselves)
{
        unsigned order[1] = { 9 };
        struct random r;

        random_init(&r, 7);
        random_permutation(&r, 0, order);
        ck_assert_uint_eq(order[0], 9);
        random_permutation(&r, 1, order);
        ck_assert_uint_eq(order[0], 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("shapley");
        TCase *tc = tcase_create("shapley");

        tcase_add_test(tc, who_is_scarce_is_worth_more);
        tcase_add_test(tc, a_single_member_has_the_whole_worth);
        tcase_add_test(tc, bad_input_is_refused_and_nothing_is_written);
        tcase_add_test(tc, sampling_stops_when_it_knows_well_enough_but_not_by_chance);
        tcase_add_test(tc, without_a_tolerance_the_budget_is_spent);
        tcase_add_test(tc, a_bound_of_any_size_is_kept_without_bias);
        tcase_add_test(tc, permutations_of_nothing_and_of_one_are_themselves);
        suite_add_tcase(suite, tc);
        return testing_run(suite);
}
