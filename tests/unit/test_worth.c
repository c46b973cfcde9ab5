/* SPDX-License-Identifier: MIT */

#include "core/worth.h"

#include <errno.h>

#include "lib/coalition_fixture.h"

/* Three members that begin at 100, 200 and 300 milli of load and weigh 1, 4 and 9. */
static struct member members[COALITION_MEMBERS_MAX];
static struct worth_game g;
static double x[COALITION_MEMBERS_MAX];

static struct member member_of(double load, double importance, double least, double held, double most)
{
        return (struct member){ { load, 1000, 0, 10 }, importance, held, least, most };
}

static void prepare(unsigned n)
{
        ck_assert_int_eq(worth_game_init(&g, members, n), 0);
}

static void setup(void)
{
        for (unsigned i = 0; i < COALITION_MEMBERS_MAX; i++)
                members[i] = member_of(100, 1, 100, 200, 4000);
        members[1] = member_of(200, 4, 200, 300, 4000);
        members[2] = member_of(300, 9, 300, 400, 4000);
        prepare(3);
}

START_TEST(what_lies_above_the_loads_is_divided_by_the_square_roots)
{
        double price;

        ck_assert_int_eq(worth_divide(&g, 7, 1200, x, &price), 0);
        ck_assert_double_eq_tol(x[0], 200, 1e-9);       /* 600 as 1 : 2 : 3 */
        ck_assert_double_eq_tol(x[1], 400, 1e-9);
        ck_assert_double_eq_tol(x[2], 600, 1e-9);
        ck_assert_double_eq_tol(price, 1000 / (100.0 * 100), 1e-12);
}
END_TEST

START_TEST(a_division_leaves_those_outside_the_subset_alone)
{
        x[1] = -1;
        ck_assert_int_eq(worth_divide(&g, 5, 800, x, NULL), 0);
        ck_assert_double_eq_tol(x[0], 200, 1e-9);
        ck_assert_double_eq(x[1], -1);
        ck_assert_double_eq_tol(x[2], 600, 1e-9);
}
END_TEST

START_TEST(nobody_gets_more_than_it_may_and_the_others_get_the_rest)
{
        members[2].most_milli = 450;
        prepare(3);
        ck_assert_int_eq(worth_divide(&g, 7, 1200, x, NULL), 0);
        ck_assert_double_eq(x[2], 450);
        ck_assert_double_eq_tol(x[0], 250, 1e-9);       /* 450 as 1 : 2 */
        ck_assert_double_eq_tol(x[1], 500, 1e-9);
}
END_TEST

START_TEST(a_pool_above_all_maxima_is_cut_and_has_no_price)
{
        double price = -1;

        ck_assert_int_eq(worth_divide(&g, 7, 1e6, x, &price), 0);
        for (unsigned i = 0; i < 3; i++)
                ck_assert_double_eq(x[i], 4000);
        ck_assert_double_eq(price, 0);
}
END_TEST

START_TEST(a_pool_below_the_least_levels_is_shared_in_their_proportion)
{
        ck_assert_int_eq(worth_divide(&g, 7, 300, x, NULL), 1);
        ck_assert_double_eq_tol(x[0], 50, 1e-12);
        ck_assert_double_eq_tol(x[1], 100, 1e-12);
        ck_assert_double_eq_tol(x[2], 150, 1e-12);
        ck_assert_int_eq(worth_divide(&g, 7, -5, x, NULL), 1);
        ck_assert_double_eq(x[2], 0);
        ck_assert_int_eq(worth_divide(&g, 7, 600, x, NULL), 0);
        ck_assert_double_eq(x[2], 300);
}
END_TEST

START_TEST(without_a_least_level_an_empty_pool_is_no_shortage)
{
        for (unsigned i = 0; i < 3; i++)
                members[i].least_milli = 0;
        prepare(3);
        ck_assert_int_eq(worth_divide(&g, 7, -5, x, NULL), 0);
        for (unsigned i = 0; i < 3; i++)
                ck_assert_double_eq(x[i], 0);
}
END_TEST

START_TEST(on_the_tangent_the_more_important_comes_first)
{
        double price;

        ck_assert_int_eq(worth_divide(&g, 7, 605, x, &price), 0);
        ck_assert_double_eq(x[0], 100);
        ck_assert_double_eq(x[1], 200);
        ck_assert_double_eq_tol(x[2], 305, 1e-9);
        ck_assert_double_eq_tol(price, 9 * 1000 / 100.0, 1e-9);
}
END_TEST

/* Along the tangents every division has the same utility; the one we take depends on nobody's place. */
START_TEST(equal_members_share_a_jump_equally)
{
        for (unsigned i = 0; i < 3; i++)
                members[i] = member_of(100, 1, 100, 200, 4000);
        prepare(3);
        ck_assert_int_eq(worth_divide(&g, 7, 318, x, NULL), 0);
        for (unsigned i = 0; i < 3; i++)
                ck_assert_double_eq_tol(x[i], 106, 1e-12);
        ck_assert_double_eq(x[0], x[1]);
        ck_assert_double_eq(x[0], x[2]);

        members[1].least_milli = 80;            /* a jump three times as long */
        prepare(2);
        ck_assert_int_eq(worth_divide(&g, 3, 200, x, NULL), 0);
        ck_assert_double_eq_tol(x[0], 105, 1e-12);
        ck_assert_double_eq_tol(x[1], 95, 1e-12);
}
END_TEST

START_TEST(a_member_may_be_held_below_its_load)
{
        members[0].most_milli = members[0].entitlement_milli = 100;
        members[0].least_milli = 20;
        members[1].most_milli = 205;
        members[1].least_milli = members[1].entitlement_milli = 150;
        members[2].least_milli = 400;
        prepare(3);
        ck_assert_int_eq(worth_divide(&g, 7, 4705, x, NULL), 0);
        ck_assert_double_eq(x[0], 100);
        ck_assert_double_eq(x[1], 205);
        ck_assert_double_eq(x[2], 4000);

        /* a milli on the tangent is worth 40 to the second, 10 to the first, and 9 less to the third */
        ck_assert_int_eq(worth_divide(&g, 7, 600, x, NULL), 0);
        ck_assert_double_eq(x[0], 20);
        ck_assert_double_eq_tol(x[1], 180, 1e-9);
        ck_assert_double_eq(x[2], 400);
}
END_TEST

START_TEST(a_member_that_may_not_move_keeps_what_it_has)
{
        members[1].least_milli = members[1].most_milli = members[1].entitlement_milli = 333;
        prepare(3);
        ck_assert_int_eq(worth_divide(&g, 7, 1133, x, NULL), 0);
        ck_assert_double_eq(x[1], 333);
        ck_assert_double_eq_tol(x[0], 200, 1e-9);
        ck_assert_double_eq_tol(x[2], 600, 1e-9);
        ck_assert_int_eq(worth_divide(&g, 2, 333, x, NULL), 0);
        ck_assert_double_eq(x[1], 333);
}
END_TEST

START_TEST(worth_is_the_utility_that_trade_adds)
{
        double held[] = { 200, 300, 400 };

        ck_assert_double_eq(worth_of(&g, 0), 0);
        ck_assert_double_eq(worth_of(&g, 2), 0);
        ck_assert_int_eq(worth_divide(&g, 7, 900, x, NULL), 0);
        ck_assert_double_eq_tol(worth_of(&g, 7), coalition_fixture_utility(&g, x) - coalition_fixture_utility(&g, held), 1e-9);
        ck_assert_double_gt(worth_of(&g, 7), 1);
}
END_TEST

/* Time that no CPU shortens is no gain, however long. */
START_TEST(worth_does_not_depend_on_other_time)
{
        double before = worth_of(&g, 7);

        for (unsigned i = 0; i < 3; i++)
                members[i].latency.other_ms = 1e12;
        prepare(3);
        ck_assert_double_eq(worth_of(&g, 7), before);
        ck_assert_double_lt(worth_utility_of(&members[0], 200), -1e12);
}
END_TEST

START_TEST(all_worths_are_those_of_the_subsets_one_by_one)
{
        double worth[8];

        ck_assert_int_eq(worth_all(&g, worth), 0);
        for (uint32_t s = 0; s < 8; s++)
                ck_assert_double_eq(worth[s], worth_of(&g, s));
        prepare(COALITION_EXACT_MAX + 1);
        worth[0] = -1;
        ck_assert_int_eq(worth_all(&g, worth), -E2BIG);
        ck_assert_double_eq(worth[0], -1);
}
END_TEST

START_TEST(thirty_two_members_are_the_most)
{
        ck_assert_int_eq(worth_game_init(&g, members, COALITION_MEMBERS_MAX), 0);
        ck_assert_int_eq(worth_divide(&g, UINT32_MAX, 100 * 100 + 32 * 100, x, NULL), 0);
        ck_assert_int_eq(worth_game_init(&g, members, COALITION_MEMBERS_MAX + 1), -EINVAL);
        ck_assert_int_eq(worth_game_init(&g, members, 0), -EINVAL);
}
END_TEST

START_TEST(members_that_make_no_sense_are_refused)
{
        static const struct { size_t field; double wrong; } rows[] = {
                { offsetof(struct member, importance), 0 },
                { offsetof(struct member, importance), NAN },
                { offsetof(struct member, importance), 1e308 },
                { offsetof(struct member, importance), INFINITY },
                { offsetof(struct member, entitlement_milli), 99 },     /* below the least level */
                { offsetof(struct member, entitlement_milli), 4001 },
                { offsetof(struct member, entitlement_milli), NAN },
                { offsetof(struct member, least_milli), -1 },
                { offsetof(struct member, least_milli), NAN },
                { offsetof(struct member, most_milli), INFINITY },
                { offsetof(struct member, latency.work_milli_ms), 0 },
                { offsetof(struct member, latency.margin_milli), 0 },
                { offsetof(struct member, latency.load_milli), -1 },
                { offsetof(struct member, latency.other_ms), NAN },
        };

        for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
                struct member wrong[] = { members[0], members[0] };

                *(double *)((char *)&wrong[1] + rows[k].field) = rows[k].wrong;
                g.n = 77;
                ck_assert_msg(worth_game_init(&g, wrong, 2) == -EINVAL, "row %zu", k);
                ck_assert_uint_eq(g.n, 77);
        }
}
END_TEST

START_TEST(an_old_division_moves_by_the_same_amount_for_all_that_can)
{
        double old[] = { 150, 350, 500 };

        worth_carry(&g, old, 1060, x);
        ck_assert_double_eq_tol(x[0], 170, 1e-9);
        ck_assert_double_eq_tol(x[1], 370, 1e-9);
        ck_assert_double_eq_tol(x[2], 520, 1e-9);

        worth_carry(&g, old, 820, x);           /* the first stops at its least level */
        ck_assert_double_eq_tol(x[0], 100, 1e-9);
        ck_assert_double_eq_tol(x[1], 285, 1e-9);
        ck_assert_double_eq_tol(x[2], 435, 1e-9);

        worth_carry(&g, old, 1000, x);
        for (unsigned i = 0; i < 3; i++)
                ck_assert_double_eq(x[i], old[i]);
}
END_TEST

START_TEST(an_old_division_is_carried_to_any_total)
{
        double old[] = { 5, 9000, 1 };

        worth_carry(&g, old, 1e6, x);
        for (unsigned i = 0; i < 3; i++)
                ck_assert_double_eq(x[i], 4000);
        worth_carry(&g, old, 600, x);
        for (unsigned i = 0; i < 3; i++)
                ck_assert_double_eq(x[i], members[i].least_milli);
        worth_carry(&g, old, 60, x);
        for (unsigned i = 0; i < 3; i++)
                ck_assert_double_eq_tol(x[i], members[i].least_milli / 10, 1e-12);
        worth_carry(&g, old, -60, x);
        for (unsigned i = 0; i < 3; i++)
                ck_assert_double_eq(x[i], 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("worth");
        TCase *tc = tcase_create("worth");

        tcase_add_checked_fixture(tc, setup, NULL);
        tcase_add_test(tc, what_lies_above_the_loads_is_divided_by_the_square_roots);
        tcase_add_test(tc, a_division_leaves_those_outside_the_subset_alone);
        tcase_add_test(tc, nobody_gets_more_than_it_may_and_the_others_get_the_rest);
        tcase_add_test(tc, a_pool_above_all_maxima_is_cut_and_has_no_price);
        tcase_add_test(tc, a_pool_below_the_least_levels_is_shared_in_their_proportion);
        tcase_add_test(tc, without_a_least_level_an_empty_pool_is_no_shortage);
        tcase_add_test(tc, on_the_tangent_the_more_important_comes_first);
        tcase_add_test(tc, equal_members_share_a_jump_equally);
        tcase_add_test(tc, a_member_may_be_held_below_its_load);
        tcase_add_test(tc, a_member_that_may_not_move_keeps_what_it_has);
        tcase_add_test(tc, worth_is_the_utility_that_trade_adds);
        tcase_add_test(tc, worth_does_not_depend_on_other_time);
        tcase_add_test(tc, all_worths_are_those_of_the_subsets_one_by_one);
        tcase_add_test(tc, thirty_two_members_are_the_most);
        tcase_add_test(tc, members_that_make_no_sense_are_refused);
        tcase_add_test(tc, an_old_division_moves_by_the_same_amount_for_all_that_can);
        tcase_add_test(tc, an_old_division_is_carried_to_any_total);
        suite_add_tcase(suite, tc);
        return testing_run(suite);
}
