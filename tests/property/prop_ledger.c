/* SPDX-License-Identifier: MIT */

/* Credits over a long time: bounded, summing to zero, whoever comes and goes; and what they do to weights. */

#include "core/ledger.h"
#include "lib/testing.h"

#define N_EPOCHS 100000
#define N_MAX 12
#define N_TOGETHER 5

/* What is due to and realised by one coalition: sometimes nothing, sometimes far from each other. */
static void random_gains(struct testing_random *r, size_t n, double due[], double realised[])
{
        double scale = exp(testing_random_double(r, -8, 8)), share, sum = 0;
        double sum_realised = testing_random_int(r, 0, 9) == 0 ? -1 : testing_random_double(r, 0, 1);
        double swing = exp(testing_random_double(r, -3, 4)), mean = 0;

        for (size_t i = 0; i < n; i++) {
                due[i] = testing_random_double(r, 0, 1);
                realised[i] = swing * testing_random_double(r, -1, 1);
                sum += due[i];
                mean += realised[i] / (double)n;
        }
        share = sum_realised * sum / (double)n;
        for (size_t i = 0; i < n; i++) {
                due[i] *= scale;
                realised[i] = scale * (realised[i] - mean + share);
        }
}

START_TEST(credits_stay_bounded_and_sum_to_zero_whoever_comes_and_goes)
{
        struct testing_random r = { testing_seed() };
        double credit[N_MAX] = {}, sum, worst = 0, worst_of_one = 0, largest = 0;
        size_t n = 4;
        unsigned n_came = 0, n_left = 0, n_at_bound = 0, n_failed = 0;

        for (int k = 0; k < N_EPOCHS; k++) {
                int event = (int)testing_random_int(&r, 0, 99);

                if (event == 0 && n < N_MAX) {
                        credit[n++] = 0;
                        n_came++;
                } else if (event == 1 && n > 1) {
                        size_t i = (size_t)testing_random_int(&r, 0, (int64_t)n - 1);

                        credit[i] = credit[--n];
                        ledger_project(credit, n, LEDGER_CREDIT_MAX, 0);
                        n_left++;
                }
                /* Neighbours form coalitions, others in every epoch. */
                for (size_t first = 0, size; first < n; first += size) {
                        double due[N_TOGETHER], realised[N_TOGETHER], reference, was = 0, is = 0;

                        size = (size_t)testing_random_int(&r, 1, N_TOGETHER);
                        size = size < n - first ? size : n - first;
                        random_gains(&r, size, due, realised);
                        reference = ledger_reference(0, due, realised, size, 1e-3);
                        if (testing_random_int(&r, 0, 3) == 0)
                                reference = exp(testing_random_double(&r, -5, 5));
                        for (size_t i = first; i < first + size; i++)
                                was += credit[i] * ledger_decay();
                        n_failed += ledger_settle(due, realised, size, reference, credit + first) != 0;
                        for (size_t i = first; i < first + size; i++)
                                is += credit[i];
                        worst_of_one = fmax(worst_of_one, fabs(is - was));
                }
                sum = 0;
                for (size_t i = 0; i < n; i++) {
                        largest = fmax(largest, fabs(credit[i]));
                        n_at_bound += fabs(credit[i]) == LEDGER_CREDIT_MAX;
                        sum += credit[i];
                }
                worst = fmax(worst, fabs(sum));
        }
        fprintf(stderr, "# worst sum %.3g; %u came, %u left, %u times at the bound\n", worst, n_came,
                n_left, n_at_bound);
        ck_assert_uint_eq(n_failed, 0);
        ck_assert_double_le(largest, LEDGER_CREDIT_MAX);
        ck_assert_double_le(worst, 1e-9);
        ck_assert_double_le(worst_of_one, 1e-12);
        ck_assert_uint_ge(n_left, 500);
        ck_assert_uint_ge(n_at_bound, 1000);    /* or the bound was never tried */
}
END_TEST

/* With its own reference, no credit would leave [-1, 1] even if nobody held it back. */
START_TEST(the_reference_makes_credits_a_moving_average)
{
        struct testing_random r = { testing_seed() };
        double left = 1 - ledger_decay(), largest = 0;

        for (int k = 0; k < 4000; k++) {
                size_t n = (size_t)testing_random_int(&r, 2, N_TOGETHER);
                double due[N_TOGETHER], realised[N_TOGETHER], credit[N_TOGETHER] = {}, reference;

                random_gains(&r, n, due, realised);
                reference = ledger_reference(testing_random_double(&r, 0, 2), due, realised, n, 0);
                ck_assert_int_eq(ledger_settle(due, realised, n, reference, credit), 0);
                for (size_t i = 0; i < n; i++) {
                        ck_assert_double_le(fabs(credit[i]), left * (1 + 1e-12));
                        largest = fmax(largest, fabs(credit[i]) / left);
                }
        }
        ck_assert_double_ge(largest, 0.99);    /* the bound is reached */
}
END_TEST

/* Checked by the variational inequality: nothing in the set is on the other side of the projection. */
START_TEST(projection_is_the_nearest_point)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < 4000; k++) {
                size_t n = (size_t)testing_random_int(&r, 1, N_MAX);
                double from[N_MAX], to[N_MAX], other[N_MAX], sum = 0, sum_to = 0, product = 0;

                for (size_t i = 0; i < n; i++) {
                        from[i] = to[i] = testing_random_double(&r, -3, 3);
                        other[i] = testing_random_double(&r, -1, 1);
                        sum += other[i];
                }
                ledger_project(to, n, 1, sum);
                for (size_t i = 0; i < n; i++) {
                        ck_assert_double_le(fabs(to[i]), 1);
                        sum_to += to[i];
                        product += (from[i] - to[i]) * (other[i] - to[i]);
                }
                ck_assert_double_eq_tol(sum_to, sum, 1e-12);
                ck_assert_double_le(product, 1e-12);
        }
}
END_TEST

START_TEST(weights_stay_within_ten_percent)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < 4000; k++) {
                double weight = exp(testing_random_double(&r, -7, 9));
                double contention = testing_random_double(&r, 0, 1);
                double poor = ledger_weight(weight, testing_random_double(&r, -1, 0), contention);
                double rich = ledger_weight(weight, testing_random_double(&r, 0, 1), contention);

                ck_assert_double_ge(poor, 0.9 * weight * (1 - 1e-15));
                ck_assert_double_le(rich, 1.1 * weight * (1 + 1e-15));
                ck_assert_double_le(poor, rich);
        }
}
END_TEST

int main(void)
{
        Suite *s = suite_create("prop_ledger");
        TCase *t = tcase_create("credits");

        tcase_add_test(t, credits_stay_bounded_and_sum_to_zero_whoever_comes_and_goes);
        tcase_add_test(t, the_reference_makes_credits_a_moving_average);
        tcase_add_test(t, projection_is_the_nearest_point);
        tcase_add_test(t, weights_stay_within_ten_percent);
        suite_add_tcase(s, t);
        return testing_run(s);
}
