/* SPDX-License-Identifier: MIT */

/* Prices: what is remembered of them, and how services yield. */

#include "core/price.h"
#include "lib/testing.h"

#define EPOCH_SEC 15.0
#define EPOCHS_PER_HOUR 240
#define SCALE 0.1                       /* a natural price */

static struct price_memory after(struct price_memory m, double price, enum tier tier, int n_epochs)
{
        for (int k = 0; k < n_epochs; k++)
                price_observe(&m, price, tier, SCALE, EPOCH_SEC);
        return m;
}

static struct price_memory fresh(void)
{
        struct price_memory m;

        price_memory_init(&m);
        return m;
}

START_TEST(without_a_reference_nobody_yields)
{
        struct price_memory m = fresh();

        ck_assert_double_eq(price_response(m.smooth, m.hour, 1), 1);
        ck_assert_double_eq(price_response(0.1, NAN, 1), 1);
}
END_TEST

START_TEST(the_first_observation_is_the_mean)
{
        struct price_memory m = after(fresh(), 0.2, TIER_CONGESTED, 1);

        ck_assert_double_eq(m.smooth, 0.2);
        ck_assert_double_eq(m.hour, 0.2);
        ck_assert_double_eq(price_response(m.smooth, m.hour, 1), 1);
}
END_TEST

START_TEST(a_lasting_price_becomes_the_mean_within_hours)
{
        struct price_memory m = after(fresh(), 0.1, TIER_CONGESTED, 1);

        m = after(m, 0.3, TIER_CONGESTED, 16);
        ck_assert_double_eq_tol(m.smooth, 0.3, 0.01);
        ck_assert_double_lt(m.hour, 0.12);
        m = after(m, 0.3, TIER_CONGESTED, EPOCHS_PER_HOUR - 16);
        ck_assert_double_eq_tol(m.hour, 0.3 - 0.2 * exp(-1), 1e-9);
        m = after(m, 0.3, TIER_CONGESTED, 4 * EPOCHS_PER_HOUR);
        ck_assert_double_eq_tol(price_response(m.smooth, m.hour, 1), 1, 0.01);
}
END_TEST

START_TEST(an_epoch_at_the_border_of_a_tier_does_not_spoil_the_mean)
{
        struct price_memory m = after(fresh(), 0.1, TIER_CONGESTED, 10);

        m = after(m, INFINITY, TIER_CONGESTED, 1);
        ck_assert_double_lt(m.hour, 0.102);
        ck_assert_double_lt(m.smooth, 0.2);
}
END_TEST

START_TEST(overload_is_no_part_of_the_mean_and_everybody_yields_in_it)
{
        struct price_memory m = after(fresh(), 0.1, TIER_CONGESTED, 10);

        /* There the price has no dimension: 0.01 is as dear as it gets. */
        m = after(m, 0.01, TIER_OVERLOADED, EPOCHS_PER_HOUR);
        ck_assert_double_eq(m.hour, 0.1);
        ck_assert_double_eq(price_response(m.smooth, m.hour, 1), PRICE_FACTOR_MIN);
        /* Five minutes later it is forgotten. */
        m = after(m, 0.1, TIER_CONGESTED, 20);
        ck_assert_double_eq_tol(price_response(m.smooth, m.hour, 1), 1, 0.02);
}
END_TEST

START_TEST(a_daemon_that_starts_in_overload_has_no_mean_yet)
{
        struct price_memory m = after(fresh(), 3, TIER_STARVED, 5);

        ck_assert(isnan(m.hour));
        ck_assert_double_eq(price_response(m.smooth, m.hour, 1), 1);
        m = after(m, 0.1, TIER_CONGESTED, 1);
        ck_assert_double_eq(m.hour, 0.1);
}
END_TEST

START_TEST(a_price_that_is_not_a_number_is_not_remembered)
{
        struct price_memory m = after(after(fresh(), 0.1, TIER_CONGESTED, 1), NAN, TIER_CONGESTED, 1);

        ck_assert_double_eq(m.smooth, 0.1);
        ck_assert_double_eq(m.hour, 0.1);
}
END_TEST

START_TEST(a_price_of_zero_makes_nobody_yield)
{
        ck_assert_double_eq(price_response(0, 0, 1), 1);
        ck_assert_double_eq(price_response(0, 0.1, 1), 1);
}
END_TEST

START_TEST(who_did_not_opt_in_does_not_yield)
{
        ck_assert_double_eq(price_response(100, 0.1, 0), 1);
        ck_assert_double_eq(price_response(0.1, 0, 0), 1);
        ck_assert_double_eq(price_response(INFINITY, 0.1, 0), 1);
}
END_TEST

START_TEST(yielding_grows_with_the_price_up_to_a_fifth)
{
        ck_assert_double_eq(price_response(0.1, 0.1, 1), 1);
        ck_assert_double_eq(price_response(0.05, 0.1, 1), 1);
        ck_assert_double_eq_tol(price_response(0.11, 0.1, 1), 1 / 1.1, 1e-12);
        ck_assert_double_eq_tol(price_response(0.11, 0.1, 0.5), 1 / sqrt(1.1), 1e-12);
        ck_assert_double_eq(price_response(0.2, 0.1, 1), PRICE_FACTOR_MIN);
        ck_assert_double_eq(price_response(INFINITY, 0.1, 1), PRICE_FACTOR_MIN);
        ck_assert_double_eq(price_response(0.1, 0, 1), PRICE_FACTOR_MIN);
}
END_TEST

START_TEST(a_need_that_yields_stays_between_its_levels)
{
        ck_assert_double_eq(price_respond(1000, 1, 0.1, 1, 100, 4000), 800);
        ck_assert_double_eq(price_respond(1000, 1, 0.1, 1, 900, 4000), 900);
        ck_assert_double_eq(price_respond(1000, 1, 0.1, 1, 1000, 1000), 1000);
        ck_assert_double_eq(price_respond(1000, 0.05, 0.1, 1, 100, 4000), 1000);
}
END_TEST

START_TEST(what_takes_no_cpu_is_free)
{
        const double visits[] = { 1, 2 }, none[] = { 0, 0 }, cpu_ms[] = { 3, 4 };

        ck_assert_double_eq(price_of_path(INFINITY, visits, none, 2), 0);
        ck_assert_double_eq(price_of_path(INFINITY, visits, cpu_ms, 2), INFINITY);
        ck_assert_double_eq(price_of_path(0.5, visits, cpu_ms, 2), 5.5);
        ck_assert_double_eq(price_of_path(0.5, visits, cpu_ms, 0), 0);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("price");
        TCase *t = tcase_create("price");

        tcase_add_test(t, without_a_reference_nobody_yields);
        tcase_add_test(t, the_first_observation_is_the_mean);
        tcase_add_test(t, a_lasting_price_becomes_the_mean_within_hours);
        tcase_add_test(t, an_epoch_at_the_border_of_a_tier_does_not_spoil_the_mean);
        tcase_add_test(t, overload_is_no_part_of_the_mean_and_everybody_yields_in_it);
        tcase_add_test(t, a_daemon_that_starts_in_overload_has_no_mean_yet);
        tcase_add_test(t, a_price_that_is_not_a_number_is_not_remembered);
        tcase_add_test(t, a_price_of_zero_makes_nobody_yield);
        tcase_add_test(t, who_did_not_opt_in_does_not_yield);
        tcase_add_test(t, yielding_grows_with_the_price_up_to_a_fifth);
        tcase_add_test(t, a_need_that_yields_stays_between_its_levels);
        tcase_add_test(t, what_takes_no_cpu_is_free);
        suite_add_tcase(s, t);
        return testing_run(s);
}
