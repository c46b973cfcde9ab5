/* SPDX-License-Identifier: MIT */

#include "core/waterfill.h"

#include <errno.h>
#include <math.h>

#include "lib/testing.h"

START_TEST(nobody_to_share_with_is_fine)
{
        double theta = -1;

        ck_assert_int_eq(waterfill_solve(NULL, NULL, 0, 100, NULL, NULL, &theta), 0);
        ck_assert(isinf(theta));
        ck_assert_int_eq(waterfill_round(NULL, NULL, 0, 100, NULL, NULL), 0);
}
END_TEST

START_TEST(shares_follow_weights_until_a_bound_is_met)
{
        const double bound[] = { 100, INFINITY, INFINITY }, weight[] = { 5, 1, 3 };
        double share[3], theta;
        size_t order[3];

        ck_assert_int_eq(waterfill_solve(bound, weight, 3, 900, order, share, &theta), 0);
        ck_assert_double_eq(theta, 200);
        ck_assert_double_eq(share[0], 100);
        ck_assert_double_eq(share[1], 200);
        ck_assert_double_eq(share[2], 600);
}
END_TEST

START_TEST(weight_zero_gets_what_the_others_leave_in_equal_parts)
{
        const double bound[] = { 100, 5, 1000, 1000 }, weight[] = { 2, 0, 0, 0 };
        const int64_t bound_whole[] = { 100, 5, 1000, 1000 };
        double share[4], theta;
        int64_t share_whole[4];
        size_t order[4];

        ck_assert_int_eq(waterfill_solve(bound, weight, 4, 205, order, share, &theta), 0);
        ck_assert(isinf(theta));
        ck_assert_double_eq(share[0], 100);
        ck_assert_double_eq(share[1], 5);
        ck_assert_double_eq(share[2], 50);
        ck_assert_double_eq(share[3], 50);

        ck_assert_int_eq(waterfill_round(bound_whole, weight, 4, 206, order, share_whole), 0);
        ck_assert_int_eq(share_whole[0], 100);
        ck_assert_int_eq(share_whole[1], 5);
        ck_assert_int_eq(share_whole[2], 51);
        ck_assert_int_eq(share_whole[3], 50);

        ck_assert_int_eq(waterfill_round(bound_whole, weight, 4, 99, order, share_whole), 0);
        ck_assert_int_eq(share_whole[0], 99);
        ck_assert_int_eq(share_whole[2], 0);
}
END_TEST

START_TEST(theta_is_zero_when_there_is_nothing_and_infinite_when_everybody_is_full)
{
        const double bound[] = { 0, 7 }, none[] = { 0, 0 }, weight[] = { 1, 2 };
        double share[2], theta;
        size_t order[2];

        ck_assert_int_eq(waterfill_solve(bound, weight, 2, 0, order, share, &theta), 0);
        ck_assert_double_eq(theta, 0);
        ck_assert_double_eq(share[0] + share[1], 0);
        ck_assert_int_eq(waterfill_solve(bound, weight, 2, 7, order, share, &theta), 0);
        ck_assert(isinf(theta));
        ck_assert_double_eq(share[1], 7);
        ck_assert_int_eq(waterfill_solve(bound, weight, 2, INFINITY, order, share, &theta), 0);
        ck_assert_double_eq(share[1], 7);
        ck_assert_int_eq(waterfill_solve(none, weight, 2, 0, order, share, &theta), 0);
        ck_assert(isinf(theta));
}
END_TEST

START_TEST(nonsense_is_refused_and_leaves_the_outputs_alone)
{
        const double good[] = { 1, 1 }, negative[] = { 1, -1 }, nan_[] = { NAN, 1 };
        const double infinite[] = { 1, INFINITY };
        const int64_t good_whole[] = { 1, 1 }, negative_whole[] = { 1, -1 };
        const int64_t big_whole[] = { 1, INT64_C(1) << 31 };
        double share[2] = { 42, 42 }, theta = 42;
        int64_t share_whole[2] = { 42, 42 };
        size_t order[2];

        ck_assert_int_eq(waterfill_solve(negative, good, 2, 1, order, share, &theta), -EINVAL);
        ck_assert_int_eq(waterfill_solve(nan_, good, 2, 1, order, share, &theta), -EINVAL);
        ck_assert_int_eq(waterfill_solve(good, negative, 2, 1, order, share, &theta), -EINVAL);
        ck_assert_int_eq(waterfill_solve(good, nan_, 2, 1, order, share, &theta), -EINVAL);
        ck_assert_int_eq(waterfill_solve(good, infinite, 2, 1, order, share, &theta), -EINVAL);
        ck_assert_int_eq(waterfill_solve(good, good, 2, -1, order, share, &theta), -EINVAL);
        ck_assert_int_eq(waterfill_solve(good, good, 2, NAN, order, share, &theta), -EINVAL);
        ck_assert_int_eq(waterfill_solve(infinite, good, 2, INFINITY, order, share, &theta), -EINVAL);
        ck_assert_int_eq(waterfill_round(negative_whole, good, 2, 1, order, share_whole), -EINVAL);
        ck_assert_int_eq(waterfill_round(good_whole, nan_, 2, 1, order, share_whole), -EINVAL);
        ck_assert_int_eq(waterfill_round(good_whole, infinite, 2, 1, order, share_whole), -EINVAL);
        ck_assert_int_eq(waterfill_round(good_whole, good, 2, -1, order, share_whole), -EINVAL);
        ck_assert_int_eq(waterfill_round(big_whole, good, 2, 1, order, share_whole), -ERANGE);
        ck_assert_int_eq(waterfill_round(good_whole, good, 2, INT64_C(1) << 31, order, share_whole),
                         -ERANGE);
        ck_assert_double_eq(share[0] + share[1] + theta, 3 * 42);
        ck_assert_int_eq(share_whole[0] + share_whole[1], 2 * 42);
}
END_TEST

/* Subtracting weights one by one from their sum would leave 0 or less for the last. */
START_TEST(weights_far_apart_do_not_cancel)
{
        const double bound[] = { 10, 10, 1000 }, weight[] = { 1e16, 1e16, 1 };
        double share[3], theta;
        size_t order[3];

        ck_assert_int_eq(waterfill_solve(bound, weight, 3, 120, order, share, &theta), 0);
        ck_assert_double_eq(share[2], 100);
        ck_assert_double_eq(theta, 100);
}
END_TEST

/* Each claimant asks for half of what is left and has the weight for three quarters of it, so that only
 * one at a time turns out to be full. */
START_TEST(claimants_that_fill_one_after_the_other_are_all_found)
{
        enum { N = 100 };
        double bound[N], weight[N], share[N], theta, rest = 1;
        int64_t bound_whole[N], share_whole[N];
        size_t order[N];

        for (int k = 0; k < N; k++) {
                int i = N - 1 - k;      /* the order of claimants is no help */

                bound[i] = k < N - 1 ? rest / 2 : INFINITY;
                weight[i] = ldexp(1, -2 * k);
                rest /= 2;
        }
        ck_assert_int_eq(waterfill_solve(bound, weight, N, 1, order, share, &theta), 0);
        for (int i = 1; i < N; i++)
                ck_assert_double_eq(share[i], bound[i]);
        ck_assert_double_eq(share[0], ldexp(1, 1 - N));
        ck_assert_double_eq(theta, share[0] / weight[0]);

        rest = 1 << 30;
        for (int i = 0; i < 30; i++) {
                bound_whole[i] = (int64_t)(rest /= 2);
                weight[i] = ldexp(1, -2 * i);
        }
        bound_whole[29] = 5;
        ck_assert_int_eq(waterfill_round(bound_whole, weight, 30, 1 << 30, order, share_whole), 0);
        for (int i = 0; i < 29; i++)
                ck_assert_int_eq(share_whole[i], bound_whole[i]);
        ck_assert_int_eq(share_whole[29], 2);
}
END_TEST

/* Of equal claims the first is served first, also where floating point could not tell: the claims
 * 3/9 and 1/3 are equal. */
START_TEST(ties_between_whole_units_go_to_the_lowest_index)
{
        const int64_t bound[] = { 10, 10 };
        const double weight[] = { 1, 3 }, reversed[] = { 3, 1 };
        int64_t share[2];
        size_t order[2];

        ck_assert_int_eq(waterfill_round(bound, weight, 2, 2, order, share), 0);
        ck_assert_int_eq(share[0], 1);
        ck_assert_int_eq(share[1], 1);
        ck_assert_int_eq(waterfill_round(bound, reversed, 2, 2, order, share), 0);
        ck_assert_int_eq(share[0], 2);
        ck_assert_int_eq(share[1], 0);
}
END_TEST

/* 3 * 3002399751580331 is 2^53 + 1, which a double rounds to 2^53: a tie that is none. */
START_TEST(claims_that_differ_by_less_than_a_rounding_are_told_apart)
{
        const int64_t bound[] = { 10, 10 };
        const double weight[] = { 0x1p53, 3002399751580331 };
        int64_t share[2];
        size_t order[2];

        ck_assert_int_eq(waterfill_round(bound, weight, 2, 2, order, share), 0);
        ck_assert_int_eq(share[0], 1);
        ck_assert_int_eq(share[1], 1);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("waterfill");
        TCase *t = tcase_create("waterfill");

        tcase_add_test(t, nobody_to_share_with_is_fine);
        tcase_add_test(t, shares_follow_weights_until_a_bound_is_met);
        tcase_add_test(t, weight_zero_gets_what_the_others_leave_in_equal_parts);
        tcase_add_test(t, theta_is_zero_when_there_is_nothing_and_infinite_when_everybody_is_full);
        tcase_add_test(t, nonsense_is_refused_and_leaves_the_outputs_alone);
        tcase_add_test(t, weights_far_apart_do_not_cancel);
        tcase_add_test(t, claimants_that_fill_one_after_the_other_are_all_found);
        tcase_add_test(t, ties_between_whole_units_go_to_the_lowest_index);
        tcase_add_test(t, claims_that_differ_by_less_than_a_rounding_are_told_apart);
        suite_add_tcase(s, t);
        return testing_run(s);
}
