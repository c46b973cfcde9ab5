/* SPDX-License-Identifier: MIT */

#include "core/stability.h"

#include <errno.h>

#include "lib/testing.h"

/* Each pair of three is worth 900, all together 1000: whatever is agreed, some pair does better. */
static const double no_core[8] = { 0, 0, 0, 900, 0, 900, 900, 1000 };
/* By mask: ab 4, ac 8, bc 6, abc 12. */
static const double game[8] = { 0, 0, 0, 4, 0, 8, 6, 12 };

START_TEST(the_worst_blocking_subset_is_reported_and_not_the_first)
{
        const double payoff[] = { 2, 1, 9 }, modest[] = { 5, 6, 1 };
        struct stability found;

        ck_assert_int_eq(stability_check(game, 3, payoff, 0, &found), 0);
        ck_assert_uint_eq(found.blocking, 3);
        ck_assert_double_eq(found.max_excess, 1);
        ck_assert(!found.is_stable);
        ck_assert_int_eq(stability_check(game, 3, modest, 0, &found), 0);
        ck_assert_uint_eq(found.blocking, 5);   /* ac lacks 2; nobody alone, nor bc, lacks anything */
        ck_assert_double_eq(found.max_excess, 2);
}
END_TEST

START_TEST(a_payoff_in_the_core_is_stable)
{
        const double payoff[] = { 4, 3, 5 };
        struct stability found;

        ck_assert_int_eq(stability_check(game, 3, payoff, 0, &found), 0);
        ck_assert(found.is_stable);
        ck_assert_double_eq(found.max_excess, -1);
        ck_assert_uint_eq(found.blocking, 5);
        ck_assert_int_eq(stability_check(game, 3, payoff, -1, &found), 0);
        ck_assert(found.is_stable);
        ck_assert_int_eq(stability_check(game, 3, payoff, -1.5, &found), 0);
        ck_assert(!found.is_stable);
}
END_TEST

START_TEST(epsilon_is_what_a_subset_may_lack)
{
        const double payoff[] = { 2, 1, 9 };
        struct stability found;

        ck_assert_int_eq(stability_check(game, 3, payoff, 0.99, &found), 0);
        ck_assert(!found.is_stable);
        ck_assert_int_eq(stability_check(game, 3, payoff, 1, &found), 0);
        ck_assert(found.is_stable);
}
END_TEST

START_TEST(a_payoff_that_does_not_add_up_is_never_stable)
{
        const double too_much[] = { 5, 4, 6 }, too_little[] = { 3.9, 3, 5 };
        struct stability found;

        ck_assert_int_eq(stability_check(game, 3, too_much, 0, &found), 0);
        ck_assert(!found.is_stable);
        ck_assert_int_eq(stability_check(game, 3, too_little, 0, &found), 0);
        ck_assert(!found.is_stable);
}
END_TEST

START_TEST(one_member_alone_has_nobody_to_leave)
{
        const double worth[] = { 0, 3 }, payoff[] = { 3 }, wrong[] = { 2 };
        double repaired[] = { 2 }, scratch[2];
        struct stability found;

        ck_assert_int_eq(stability_check(worth, 1, payoff, 0, &found), 0);
        ck_assert(found.is_stable);
        ck_assert(isinf(found.max_excess) && found.max_excess < 0);
        ck_assert_uint_eq(found.blocking, 0);
        ck_assert_int_eq(stability_check(worth, 1, wrong, 0, &found), 0);
        ck_assert(!found.is_stable);
        ck_assert_int_eq(stability_repair(worth, 1, 0, 1, scratch, repaired), 0);
        ck_assert_double_eq(repaired[0], 3);
}
END_TEST

START_TEST(repair_moves_no_more_than_it_must)
{
        double payoff[] = { 2, 1, 9 }, scratch[8];

        ck_assert_int_eq(stability_repair(game, 3, 0, 100, scratch, payoff), 0);
        ck_assert_double_eq_tol(payoff[0], 2.5, 1e-9);  /* ab lacked 1, c pays it */
        ck_assert_double_eq_tol(payoff[1], 1.5, 1e-9);
        ck_assert_double_eq_tol(payoff[2], 8, 1e-9);
}
END_TEST

START_TEST(repair_leaves_what_is_stable_and_makes_it_add_up)
{
        double payoff[] = { 4, 3, 5 }, wrong[] = { 5, 4, 6 }, scratch[8];

        ck_assert_int_eq(stability_repair(game, 3, 0, 100, scratch, payoff), 0);
        ck_assert_double_eq(payoff[0], 4);
        ck_assert_double_eq(payoff[1], 3);
        ck_assert_double_eq(payoff[2], 5);
        ck_assert_int_eq(stability_repair(game, 3, 0, 100, scratch, wrong), 0);
        ck_assert_double_eq_tol(wrong[0], 4, 1e-12);
        ck_assert_double_eq_tol(wrong[2], 5, 1e-12);
}
END_TEST

START_TEST(repair_says_that_it_cannot_where_the_core_is_empty)
{
        double payoff[] = { 400, 300, 300 }, scratch[8];

        ck_assert_int_eq(stability_repair(no_core, 3, 0, 1000, scratch, payoff), 1);
        ck_assert_double_eq(payoff[0], 400);
        ck_assert_int_eq(stability_repair(no_core, 3, 233, 1000, scratch, payoff), 1);
        ck_assert_double_eq(payoff[0], 400);
        /* With an epsilon of (3 * 900 - 2 * 1000) / 3 there is exactly one. */
        ck_assert_int_eq(stability_repair(no_core, 3, 700 / 3.0, 1000, scratch, payoff), 0);
        for (int i = 0; i < 3; i++)
                ck_assert_double_eq_tol(payoff[i], 1000 / 3.0, 1e-3);
}
END_TEST

START_TEST(repair_ends_after_the_iterations_it_is_allowed)
{
        double payoff[] = { 12, 0, 0 }, scratch[8];

        ck_assert_int_eq(stability_repair(game, 3, 0, 0, scratch, payoff), 1);
        ck_assert_double_eq(payoff[0], 12);
        ck_assert_int_eq(stability_repair(game, 3, 0, 100, scratch, payoff), 0);
}
END_TEST

/* Every majority is worth all there is: a thousand sweeps would take a second, a million a quarter of an hour. */
START_TEST(repair_of_a_large_game_gives_up_soon_whatever_it_is_allowed)
{
        static double majority[1 << COALITION_EXACT_MAX], scratch[1 << COALITION_EXACT_MAX];

        for (unsigned n = 4; n <= COALITION_EXACT_MAX; n += 4) {
                double payoff[COALITION_EXACT_MAX] = { 1000 };

                for (uint32_t s = 0; s < 1u << n; s++)
                        majority[s] = 2 * (unsigned)__builtin_popcount(s) > n ? 1000 : 0;
                ck_assert_int_eq(stability_repair(majority, n, 0, 1000000, scratch, payoff), 1);
                ck_assert_double_eq(payoff[0], 1000);
        }
}
END_TEST

START_TEST(sizes_and_numbers_that_mean_nothing_are_refused)
{
        static double large[1 << COALITION_EXACT_MAX], scratch[1 << COALITION_EXACT_MAX];
        const double odd[4] = { 0, 0, NAN, 1 }, worth[4] = { 0, 0, 0, 1 };
        double payoff[COALITION_EXACT_MAX + 1] = {}, endless[] = { INFINITY, 0 };
        struct stability found = { .blocking = 77 };

        ck_assert_int_eq(stability_check(worth, 0, payoff, 0, &found), -EINVAL);
        ck_assert_int_eq(stability_check(large, COALITION_EXACT_MAX + 1, payoff, 0, &found), -EINVAL);
        ck_assert_int_eq(stability_check(odd, 2, payoff, 0, &found), -EINVAL);
        ck_assert_int_eq(stability_check(worth, 2, endless, 0, &found), -EINVAL);
        ck_assert_int_eq(stability_check(worth, 2, payoff, NAN, &found), -EINVAL);
        ck_assert_uint_eq(found.blocking, 77);
        ck_assert_int_eq(stability_repair(worth, 0, 0, 1, scratch, payoff), -EINVAL);
        ck_assert_int_eq(stability_repair(odd, 2, 0, 1, scratch, payoff), -EINVAL);

        ck_assert_int_eq(stability_check(large, COALITION_EXACT_MAX, payoff, 0, &found), 0);
        ck_assert(found.is_stable);
        large[0x8001] = 1;              /* first and last */
        ck_assert_int_eq(stability_check(large, COALITION_EXACT_MAX, payoff, 0, &found), 0);
        ck_assert_uint_eq(found.blocking, 0x8001);
        large[0xffff] = 1;
        ck_assert_int_eq(stability_repair(large, COALITION_EXACT_MAX, 0, 100, scratch, payoff), 0);
        ck_assert_double_eq_tol(payoff[0] + payoff[15], 1, 1e-6);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("stability");
        TCase *t = tcase_create("core");

        tcase_add_test(t, the_worst_blocking_subset_is_reported_and_not_the_first);
        tcase_add_test(t, a_payoff_in_the_core_is_stable);
        tcase_add_test(t, epsilon_is_what_a_subset_may_lack);
        tcase_add_test(t, a_payoff_that_does_not_add_up_is_never_stable);
        tcase_add_test(t, one_member_alone_has_nobody_to_leave);
        tcase_add_test(t, repair_moves_no_more_than_it_must);
        tcase_add_test(t, repair_leaves_what_is_stable_and_makes_it_add_up);
        tcase_add_test(t, repair_says_that_it_cannot_where_the_core_is_empty);
        tcase_add_test(t, repair_ends_after_the_iterations_it_is_allowed);
        tcase_add_test(t, repair_of_a_large_game_gives_up_soon_whatever_it_is_allowed);
        tcase_add_test(t, sizes_and_numbers_that_mean_nothing_are_refused);
        suite_add_tcase(s, t);
        return testing_run(s);
}
