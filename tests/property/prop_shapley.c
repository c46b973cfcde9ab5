/* SPDX-License-Identifier: MIT */

/* Shapley's axioms on random games, and what an estimate may claim. */

#include "core/shapley.h"

#include <string.h>

#include "core/random.h"
#include "lib/testing.h"

#define N_CASES 400
#define N_MAX 9

static unsigned random_worth(struct testing_random *r, unsigned n_least, double ret[1 << N_MAX])
{
        unsigned n = (unsigned)testing_random_int(r, n_least, N_MAX);

        ret[0] = 0;
        for (uint32_t s = 1; s < 1u << n; s++)
                ret[s] = testing_random_double(r, -20, 100);
        return n;
}

static double worth_from_table(const void *ctx, uint32_t subset)
{
        return ((const double *)ctx)[subset];
}

START_TEST(all_of_the_worth_is_handed_out_and_no_more)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                double worth[1 << N_MAX], value[N_MAX], sum = 0, sum_estimated = 0;
                unsigned n = random_worth(&r, 1, worth);
                struct shapley_sample sample;

                ck_assert_int_eq(shapley_exact(worth, n, value), 0);
                for (unsigned i = 0; i < n; i++)
                        sum += value[i];
                ck_assert_double_eq_tol(sum, worth[(1u << n) - 1], 1e-11);

                ck_assert_int_eq(shapley_estimate(worth_from_table, worth, n, (uint64_t)k, 5, 0, value, NULL,
                                                  &sample), 0);
                for (unsigned i = 0; i < n; i++)
                        sum_estimated += value[i];
                ck_assert_double_eq_tol(sum_estimated, worth[(1u << n) - 1], 1e-12);
        }
}
END_TEST

static uint32_t swapped(uint32_t s, unsigned i, unsigned j)
{
        uint32_t differ = (s >> i ^ s >> j) & 1;

        return s ^ (differ << i | differ << j);
}

START_TEST(members_that_add_the_same_get_the_same)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                double worth[1 << N_MAX], value[N_MAX];
                unsigned n = random_worth(&r, 2, worth);
                unsigned i = (unsigned)testing_random_int(&r, 0, n - 2), j = n - 1;

                for (uint32_t s = 0; s < 1u << n; s++)
                        worth[swapped(s, i, j)] = worth[s];
                ck_assert_int_eq(shapley_exact(worth, n, value), 0);
                ck_assert_double_eq_tol(value[i], value[j], 1e-12);
        }
}
END_TEST

START_TEST(who_adds_nothing_gets_nothing)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                double worth[1 << N_MAX], value[N_MAX];
                unsigned n = random_worth(&r, 1, worth), null = (unsigned)testing_random_int(&r, 0, n - 1);
                struct shapley_sample sample;

                for (uint32_t s = 0; s < 1u << n; s++)
                        worth[s | 1u << null] = worth[s & ~(1u << null)];
                ck_assert_int_eq(shapley_exact(worth, n, value), 0);
                ck_assert_double_eq(value[null], 0);
                ck_assert_int_eq(shapley_estimate(worth_from_table, worth, n, (uint64_t)k, 5, 0, value, NULL,
                                                  &sample), 0);
                ck_assert_double_eq_tol(value[null], 0, 1e-12);
        }
}
END_TEST

START_TEST(the_value_of_a_sum_is_the_sum_of_the_values)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                double worth[1 << N_MAX], more[1 << N_MAX], sum[1 << N_MAX];
                double value[N_MAX], value_more[N_MAX], value_sum[N_MAX];
                unsigned n = random_worth(&r, 1, worth);

                for (uint32_t s = 0; s < 1u << n; s++) {
                        more[s] = s == 0 ? 0 : testing_random_double(&r, 0, 1000);
                        sum[s] = worth[s] + more[s];
                }
                ck_assert_int_eq(shapley_exact(worth, n, value), 0);
                ck_assert_int_eq(shapley_exact(more, n, value_more), 0);
                ck_assert_int_eq(shapley_exact(sum, n, value_sum), 0);
                for (unsigned i = 0; i < n; i++)
                        ck_assert_double_eq_tol(value_sum[i], value[i] + value_more[i], 1e-10);
        }
}
END_TEST

START_TEST(the_same_seed_gives_the_same_bits_and_another_seed_others)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                double worth[1 << N_MAX], value[3][N_MAX] = { { 0 } }, error[3][N_MAX] = { { 0 } };
                unsigned n = random_worth(&r, 5, worth);
                uint64_t seed = testing_random_u64(&r);
                struct shapley_sample sample[3];

                for (unsigned run = 0; run < 3; run++)
                        ck_assert_int_eq(shapley_estimate(worth_from_table, worth, n, seed + (run == 2), 10,
                                                          0, value[run], error[run], &sample[run]), 0);
                ck_assert_mem_eq(value[0], value[1], sizeof value[0]);
                ck_assert_mem_eq(error[0], error[1], sizeof error[0]);
                ck_assert_double_eq(sample[0].half_width, sample[1].half_width);
                ck_assert_mem_ne(value[0], value[2], sizeof value[0]);
        }
}
END_TEST

/* 95 of 100 intervals cover the exact value. Those of one game hang together, hence the wide bounds. */
START_TEST(intervals_cover_the_exact_value_as_often_as_they_say)
{
        struct testing_random r = { testing_seed() };
        unsigned n_covered = 0, n_intervals = 0;

        for (int k = 0; k < N_CASES; k++) {
                double worth[1 << N_MAX], value[N_MAX], estimate[N_MAX], error[N_MAX];
                unsigned n = random_worth(&r, 4, worth);
                struct shapley_sample sample;

                ck_assert_int_eq(shapley_exact(worth, n, value), 0);
                ck_assert_int_eq(shapley_estimate(worth_from_table, worth, n, testing_random_u64(&r), 100, 0,
                                                  estimate, error, &sample), 0);
                for (unsigned i = 0; i < n; i++) {
                        n_covered += fabs(estimate[i] - value[i]) <= 1.96 * error[i];
                        ck_assert_double_le(1.96 * error[i], sample.half_width);
                }
                n_intervals += n;
        }
        ck_assert_double_gt(n_covered, 0.93 * n_intervals);
        ck_assert_double_lt(n_covered, 0.97 * n_intervals);
}
END_TEST

/* All six orders of three equally often. */
START_TEST(permutations_are_uniform)
{
        struct testing_random seed = { testing_seed() };
        unsigned n_orders[27] = { 0 };
        struct random r;

        random_init(&r, testing_random_u64(&seed));
        for (int k = 0; k < 60000; k++) {
                unsigned order[3];

                random_permutation(&r, 3, order);
                n_orders[9 * order[0] + 3 * order[1] + order[2]]++;
        }
        for (unsigned code = 0; code < 27; code++) {
                unsigned a = code / 9, b = code / 3 % 3, c = code % 3;

                if (a == b || b == c || a == c) {
                        ck_assert_uint_eq(n_orders[code], 0);
                } else {        /* 10,000 each; five standard deviations */
                        ck_assert_uint_gt(n_orders[code], 9540);
                        ck_assert_uint_lt(n_orders[code], 10460);
                }
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("shapley");
        TCase *tc = tcase_create("shapley");

        tcase_add_test(tc, all_of_the_worth_is_handed_out_and_no_more);
        tcase_add_test(tc, members_that_add_the_same_get_the_same);
        tcase_add_test(tc, who_adds_nothing_gets_nothing);
        tcase_add_test(tc, the_value_of_a_sum_is_the_sum_of_the_values);
        tcase_add_test(tc, the_same_seed_gives_the_same_bits_and_another_seed_others);
        tcase_add_test(tc, intervals_cover_the_exact_value_as_often_as_they_say);
        tcase_add_test(tc, permutations_are_uniform);
        suite_add_tcase(suite, tc);
        return testing_run(suite);
}
