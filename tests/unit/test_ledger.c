/* SPDX-License-Identifier: MIT */

#include "core/ledger.h"

#include <errno.h>

#include "lib/testing.h"

START_TEST(a_credit_halves_in_an_hour_of_default_epochs)
{
        ck_assert_double_eq_tol(pow(ledger_decay(), LEDGER_HALF_LIFE_EPOCHS), 0.5, 1e-12);
}
END_TEST

START_TEST(who_gave_more_than_it_got_is_credited)
{
        const double due[] = { 5, 3, 2 }, realised[] = { 2, 5, 3 };
        double credit[] = { 0, 0, 0 };

        ck_assert_int_eq(ledger_settle(due, realised, 3, 10, credit), 0);
        ck_assert_double_eq_tol(credit[0], 0.3, 1e-15);
        ck_assert_double_eq_tol(credit[1], -0.2, 1e-15);
        ck_assert_double_eq_tol(credit[2], -0.1, 1e-15);
}
END_TEST

START_TEST(dues_are_scaled_to_what_was_realised)
{
        const double due[] = { 6, 4 }, realised[] = { 1, 4 };
        double credit[] = { 0, 0 };

        ck_assert_int_eq(ledger_settle(due, realised, 2, 10, credit), 0);
        ck_assert_double_eq_tol(credit[0], 0.2, 1e-15);
        ck_assert_double_eq_tol(credit[1], -0.2, 1e-15);
}
END_TEST

START_TEST(credits_only_decay_while_nothing_is_gained)
{
        const double nothing[] = { 0, 0 }, loss[] = { -3, 1 }, due[] = { 1, 1 }, debt[] = { -1, 0 };
        const double gain[] = { 1, 0 };
        double credit[] = { 0.5, -0.5 }, decay = ledger_decay();

        ck_assert_int_eq(ledger_settle(due, nothing, 2, 1, credit), 0);
        ck_assert_int_eq(ledger_settle(due, loss, 2, 1, credit), 0);
        ck_assert_int_eq(ledger_settle(debt, gain, 2, 1, credit), 0);
        ck_assert_int_eq(ledger_settle(due, gain, 2, INFINITY, credit), 0);
        ck_assert_double_eq_tol(credit[0], 0.5 * pow(decay, 4), 1e-15);
        ck_assert_double_eq_tol(credit[1], -0.5 * pow(decay, 4), 1e-15);
        ck_assert_int_eq(ledger_settle(NULL, NULL, 0, 1, NULL), 0);
}
END_TEST

START_TEST(a_coalition_takes_no_credit_from_services_outside)
{
        const double due[] = { 9, 1 }, realised[] = { 0, 10 };
        double credit[] = { 0.9, 0.3 }, decay = ledger_decay();

        ck_assert_int_eq(ledger_settle(due, realised, 2, 10, credit), 0);
        ck_assert_double_eq(credit[0], 1);      /* at the bound; the other pays no more than that */
        ck_assert_double_eq_tol(credit[1], 1.2 * decay - 1, 1e-15);
}
END_TEST

START_TEST(what_is_not_a_number_changes_nothing)
{
        const double due[] = { 1, 1 }, realised[] = { 2, 0 }, wrong[] = { 1, NAN };
        const double endless[] = { INFINITY, 1 };
        double credit[] = { 0.25, -0.25 }, odd[] = { NAN, 0 };

        ck_assert_int_eq(ledger_settle(wrong, realised, 2, 1, credit), -EINVAL);
        ck_assert_int_eq(ledger_settle(due, endless, 2, 1, credit), -EINVAL);
        ck_assert_int_eq(ledger_settle(due, realised, 2, 0, credit), -EINVAL);
        ck_assert_int_eq(ledger_settle(due, realised, 2, -1, credit), -EINVAL);
        ck_assert_int_eq(ledger_settle(due, realised, 2, NAN, credit), -EINVAL);
        ck_assert_int_eq(ledger_settle(due, realised, 2, 5e-324, credit), -EINVAL);
        ck_assert_int_eq(ledger_settle(due, realised, 2, 1, odd), -EINVAL);
        ck_assert_double_eq(credit[0], 0.25);
        ck_assert_double_eq(credit[1], -0.25);
        ck_assert_double_eq(odd[1], 0);
}
END_TEST

START_TEST(one_unit_of_reference_is_what_was_at_stake)
{
        const double due[] = { 6, 4 }, realised[] = { 1, 9 }, moved[] = { -40, 50 };
        double left = 1 - ledger_decay();

        ck_assert_double_eq_tol(ledger_reference(10, due, realised, 2, 0), 10 / left, 1e-9);
        ck_assert_double_eq_tol(ledger_reference(3, due, realised, 2, 0), 5 / left, 1e-9);
        ck_assert_double_eq_tol(ledger_reference(10, due, moved, 2, 0), 46 / left, 1e-9);
}
END_TEST

START_TEST(nothing_is_settled_below_the_noise)
{
        const double due[] = { 6, 4 }, realised[] = { 1, 9 }, loss[] = { -1, 0 };

        ck_assert(isfinite(ledger_reference(10, due, realised, 2, 9.9)));
        ck_assert(isinf(ledger_reference(10, due, realised, 2, 10)));
        ck_assert(isinf(ledger_reference(10, due, loss, 2, 0)));
        ck_assert(isinf(ledger_reference(0, NULL, NULL, 0, 0)));
}
END_TEST

START_TEST(a_service_that_leaves_hands_its_credit_to_the_others)
{
        double others[] = { -0.1, -0.2, 0.9 };  /* it held -0.6: 0.6 of debt to spread */

        ledger_project(others, 3, 1, 0);
        ck_assert_double_eq_tol(others[0], -0.3, 1e-15);
        ck_assert_double_eq_tol(others[1], -0.4, 1e-15);
        ck_assert_double_eq_tol(others[2], 0.7, 1e-15);
}
END_TEST

START_TEST(projection_stops_at_the_bounds)
{
        double credit[] = { 1, 1, -1 }, far[] = { 5, -5 };

        ledger_project(credit, 3, 1, 2);
        ck_assert_double_eq_tol(credit[0], 1, 1e-15);
        ck_assert_double_eq_tol(credit[2], 0, 1e-15);
        ledger_project(far, 2, 1, 2);
        ck_assert_double_eq(far[0] + far[1], 2);
        ledger_project(far, 2, 1, 7);           /* as much as there is room for */
        ck_assert_double_eq(far[0] + far[1], 2);
        ledger_project(NULL, 0, 1, 0);
}
END_TEST

START_TEST(a_credit_is_worth_a_tenth_of_the_weight_and_only_under_contention)
{
        ck_assert_double_eq(ledger_weight(100, 1, 0), 100);
        ck_assert_double_eq_tol(ledger_weight(100, 1, 1), 110, 1e-12);
        ck_assert_double_eq_tol(ledger_weight(100, -1, 0.5), 95, 1e-12);
        ck_assert_double_eq_tol(ledger_weight(100, -7, 3), 90, 1e-12);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ledger");
        TCase *t = tcase_create("core");

        tcase_add_test(t, a_credit_halves_in_an_hour_of_default_epochs);
        tcase_add_test(t, who_gave_more_than_it_got_is_credited);
        tcase_add_test(t, dues_are_scaled_to_what_was_realised);
        tcase_add_test(t, credits_only_decay_while_nothing_is_gained);
        tcase_add_test(t, a_coalition_takes_no_credit_from_services_outside);
        tcase_add_test(t, what_is_not_a_number_changes_nothing);
        tcase_add_test(t, one_unit_of_reference_is_what_was_at_stake);
        tcase_add_test(t, nothing_is_settled_below_the_noise);
        tcase_add_test(t, a_service_that_leaves_hands_its_credit_to_the_others);
        tcase_add_test(t, projection_stops_at_the_bounds);
        tcase_add_test(t, a_credit_is_worth_a_tenth_of_the_weight_and_only_under_contention);
        suite_add_tcase(s, t);
        return testing_run(s);
}
