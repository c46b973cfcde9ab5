/* SPDX-License-Identifier: MIT */

#include "daemon/siblings.h"

#include "lib/fake_tree.h"
#include "lib/testing.h"

#include <string.h>

#define SEC UINT64_C(1000000)

static struct fake_tree *tree;
static struct siblings siblings;

static bool is_ours(void *ctx, const char *unit)
{
        return strcmp(unit, "ours.slice") == 0;
}

static void use(const char *unit, uint64_t usage_usec, uint64_t weight)
{
        fake_tree_unit(tree, unit, &(struct fake_unit){ .usage_usec = usage_usec, .cpu_weight = weight });
}

static double busy_weight(uint64_t now_usec)
{
        double weight = -1;

        siblings_begin(&siblings, now_usec);
        ck_assert_int_eq(siblings_busy_weight(&siblings, fake_tree_mount(tree), "", is_ours, NULL, &weight), 0);
        return weight;
}

static void setup(void)
{
        tree = fake_tree_new();
        fake_tree_host(tree, &(struct fake_host){ .n_cpus = 4 });
        siblings = (struct siblings){ 0 };
}

static void teardown(void)
{
        siblings_done(&siblings);
        fake_tree_free(tree);
}

START_TEST(nobody_is_known_to_be_busy_in_the_first_epoch)
{
        use("busy.slice", 100 * SEC, 300);
        ck_assert_double_eq(busy_weight(10 * SEC), 0);
}
END_TEST

START_TEST(weights_of_the_busy_add_up)
{
        use("a.slice", 0, 300);
        use("b.slice", 0, 50);
        use("lazy.slice", 0, 700);
        (void)busy_weight(10 * SEC);
        use("a.slice", 15 * SEC, 300);
        use("b.slice", SEC, 50);
        use("lazy.slice", SEC / 10, 700);       /* 0.7 % of a CPU */
        ck_assert_double_eq(busy_weight(25 * SEC), 350);
        /* And no longer once they rest. */
        ck_assert_double_eq(busy_weight(40 * SEC), 0);
}
END_TEST

START_TEST(ours_do_not_count)
{
        use("ours.slice", 0, 300);
        use("b.slice", 0, 50);
        (void)busy_weight(10 * SEC);
        use("ours.slice", 15 * SEC, 300);
        use("b.slice", 15 * SEC, 50);
        ck_assert_double_eq(busy_weight(25 * SEC), 50);
}
END_TEST

START_TEST(a_newcomer_and_a_counter_that_went_backwards_are_not_busy)
{
        use("old.slice", 9 * SEC, 100);
        (void)busy_weight(10 * SEC);
        use("old.slice", 0, 100);
        use("new.slice", 9 * SEC, 100);
        ck_assert_double_eq(busy_weight(25 * SEC), 0);
}
END_TEST

START_TEST(many_siblings_are_told_apart)
{
        char unit[32];

        for (unsigned i = 0; i < 200; i++) {
                snprintf(unit, sizeof unit, "u%u.slice", i);
                use(unit, 0, 1 + i);
        }
        (void)busy_weight(10 * SEC);
        use("u7.slice", 5 * SEC, 8);
        use("u190.slice", 5 * SEC, 191);
        ck_assert_double_eq(busy_weight(25 * SEC), 199);
}
END_TEST

START_TEST(a_group_that_is_gone_is_an_error_and_nothing_is_written)
{
        double weight = -1;

        siblings_begin(&siblings, SEC);
        ck_assert_int_lt(siblings_busy_weight(&siblings, fake_tree_mount(tree), "/gone.slice", is_ours, NULL,
                                              &weight), 0);
        ck_assert_double_eq(weight, -1);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("siblings");
        TCase *c = tcase_create("siblings");

        tcase_add_checked_fixture(c, setup, teardown);
        tcase_add_test(c, nobody_is_known_to_be_busy_in_the_first_epoch);
        tcase_add_test(c, weights_of_the_busy_add_up);
        tcase_add_test(c, ours_do_not_count);
        tcase_add_test(c, a_newcomer_and_a_counter_that_went_backwards_are_not_busy);
        tcase_add_test(c, many_siblings_are_told_apart);
        tcase_add_test(c, a_group_that_is_gone_is_an_error_and_nothing_is_written);
        suite_add_tcase(s, c);
        return testing_run(s);
}
