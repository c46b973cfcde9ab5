/* SPDX-License-Identifier: MIT */

/* Credits: the ledger's cases of shapley.json, and the ledger that this one replaces beside it. */

#include "core/ledger.h"
#include "lib/vectors.h"

#define TOLERANCE 1e-12

START_TEST(settling_follows_the_vectors_epoch_by_epoch)
{
        json_object *file = vectors_load("tests/data/shapley.json");
        json_object *epochs = vectors_get(file, "ledger");
        double credit[VECTORS_MAX] = {};

        ck_assert_uint_eq(json_object_array_length(epochs), 6);
        for (size_t k = 0; k < 6; k++) {
                json_object *c = json_object_array_get_idx(epochs, k);
                double due[VECTORS_MAX], realised[VECTORS_MAX], expected[VECTORS_MAX], sum = 0;
                size_t n = vectors_doubles(c, "phi", due);

                vectors_doubles(c, "y", realised);
                vectors_doubles(c, "credits", expected);
                ck_assert_double_eq_tol(ledger_decay(), vectors_double(c, "gamma"), 1e-15);
                ck_assert_double_eq(LEDGER_CREDIT_MAX, vectors_double(c, "B"));
                ck_assert_int_eq(ledger_settle(due, realised, n, vectors_double(c, "vref"), credit), 0);
                for (size_t i = 0; i < n; i++) {
                        vectors_assert_near(credit[i], expected[i], TOLERANCE, "ledger");
                        sum += credit[i];
                }
                ck_assert_double_eq_tol(sum, vectors_double(c, "sum"), TOLERANCE);
        }
        json_object_put(file);
}
END_TEST

START_TEST(projection_follows_the_vectors)
{
        json_object *file = vectors_load("tests/data/shapley.json");
        json_object *cases = vectors_get(file, "ledger_projection");

        ck_assert_uint_eq(json_object_array_length(cases), 5);
        for (size_t k = 0; k < 5; k++) {
                json_object *c = json_object_array_get_idx(cases, k);
                double credit[VECTORS_MAX], expected[VECTORS_MAX];
                size_t n = vectors_doubles(c, "c", credit);

                vectors_doubles(c, "out", expected);
                ledger_project(credit, n, vectors_double(c, "B"), 0);
                for (size_t i = 0; i < n; i++)
                        vectors_assert_near(credit[i], expected[i], TOLERANCE, "projection");
        }
        json_object_put(file);
}
END_TEST

START_TEST(weights_follow_the_vectors)
{
        json_object *file = vectors_load("tests/data/shapley.json");
        json_object *cases = vectors_get(file, "weights");

        ck_assert_uint_eq(json_object_array_length(cases), 15);
        for (size_t k = 0; k < 15; k++) {
                json_object *c = json_object_array_get_idx(cases, k);

                ck_assert_double_eq(LEDGER_WEIGHT_SWING, vectors_double(c, "beta"));
                vectors_assert_near(ledger_weight(vectors_double(c, "w"), vectors_double(c, "credit"),
                                                  vectors_double(c, "contention")),
                                    vectors_double(c, "w_eff"), TOLERANCE, "weight");
        }
        json_object_put(file);
}
END_TEST

/* There, credits had no bound: after 24 hours of the same imbalance they were in the millions. And as
 * factors on allocations, instead of on weights, they handed out CPU that the host did not have. */
START_TEST(a_lasting_imbalance_ends_at_the_bound)
{
        json_object *file = vectors_load("tests/data/shapley.json");
        double expected[VECTORS_MAX], runaway[VECTORS_MAX], credit[2] = {};
        const double due[] = { 0.9, 0.1 }, realised[] = { 0.1, 0.9 };

        vectors_doubles(file, "bounded_ledger_same_horizon", expected);
        vectors_doubles(file, "coallocator_ledger_runaway_5760_epochs", runaway);
        for (int k = 0; k < 5760; k++)
                ck_assert_int_eq(ledger_settle(due, realised, 2, 1, credit), 0);
        for (size_t i = 0; i < 2; i++) {
                vectors_assert_near(credit[i], expected[i], TOLERANCE, "bound");
                ck_assert_double_gt(fabs(runaway[i]), 1e6);
        }
        json_object_put(file);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ref_ledger");
        TCase *t = tcase_create("vectors");

        tcase_add_test(t, settling_follows_the_vectors_epoch_by_epoch);
        tcase_add_test(t, projection_follows_the_vectors);
        tcase_add_test(t, weights_follow_the_vectors);
        tcase_add_test(t, a_lasting_imbalance_ends_at_the_bound);
        suite_add_tcase(s, t);
        return testing_run(s);
}
