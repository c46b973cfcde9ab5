/* SPDX-License-Identifier: MIT */

/* Whole units: Webster is what the product uses; largest remainder stands here only to show what it
 * would do wrong. */

#include "core/waterfill.h"
#include "lib/vectors.h"
#include "reference/oracle.h"

START_TEST(every_vector_of_webster_is_met)
{
        json_object *file = vectors_load("tests/data/nbs_int.json");
        json_object *cases = vectors_get(file, "cases");
        double max_deviation = 0;

        ck_assert_uint_eq(json_object_array_length(cases), 31);
        for (size_t k = 0; k < 31; k++) {
                json_object *c = json_object_array_get_idx(cases, k);
                int64_t b[VECTORS_MAX], webster[VECTORS_MAX], share[VECTORS_MAX], sum = 0;
                double w[VECTORS_MAX], continuous[VECTORS_MAX], real[VECTORS_MAX], theta;
                double bound[VECTORS_MAX], amount = vectors_double(c, "R");
                size_t order[VECTORS_MAX], n = vectors_ints(c, "b", b);

                vectors_doubles(c, "w", w);
                vectors_doubles(c, "continuous", continuous);
                vectors_ints(c, "webster", webster);
                ck_assert_int_eq(waterfill_round(b, w, n, (int64_t)amount, order, share), 0);
                for (size_t i = 0; i < n; i++)
                        bound[i] = (double)b[i];
                ck_assert_int_eq(waterfill_solve(bound, w, n, amount, order, real, &theta), 0);
                for (size_t i = 0; i < n; i++) {
                        ck_assert_msg(share[i] == webster[i], "%s: share %zu",
                                      vectors_text(c, "name"), i);
                        vectors_assert_near(real[i], continuous[i], 1e-9, vectors_text(c, "name"));
                        max_deviation = fmax(max_deviation, fabs((double)share[i] - real[i]));
                        sum += share[i];
                }
                ck_assert_int_eq(sum, (int64_t)vectors_double(c, "sum"));
        }
        ck_assert_double_le(max_deviation, vectors_double(file, "webster_max_abs_dev"));
        json_object_put(file);
}
END_TEST

START_TEST(every_vector_of_hamilton_is_met_by_the_reference)
{
        json_object *file = vectors_load("tests/data/nbs_int.json");
        json_object *cases = vectors_get(file, "cases");

        for (size_t k = 0; k < json_object_array_length(cases); k++) {
                json_object *c = json_object_array_get_idx(cases, k);
                int64_t b[VECTORS_MAX], w[VECTORS_MAX], hamilton[VECTORS_MAX], share[VECTORS_MAX];
                size_t n = vectors_ints(c, "b", b);

                vectors_ints(c, "w", w);
                vectors_ints(c, "hamilton", hamilton);
                oracle_hamilton(b, w, n, (int64_t)vectors_double(c, "R"), share);
                for (size_t i = 0; i < n; i++)
                        ck_assert_msg(share[i] == hamilton[i], "%s: share %zu",
                                      vectors_text(c, "name"), i);
        }
        json_object_put(file);
}
END_TEST

/* The Alabama paradox: one unit more to share out, one unit less for the third. */
START_TEST(webster_is_monotone_where_largest_remainder_is_not)
{
        const int64_t b[] = { 100, 100, 100 }, w_whole[] = { 6, 6, 2 };
        const double w[] = { 6, 6, 2 };
        int64_t less[3], more[3];
        size_t order[3];

        oracle_hamilton(b, w_whole, 3, 10, less);
        oracle_hamilton(b, w_whole, 3, 11, more);
        ck_assert_int_lt(more[2], less[2]);

        ck_assert_int_eq(waterfill_round(b, w, 3, 10, order, less), 0);
        ck_assert_int_eq(waterfill_round(b, w, 3, 11, order, more), 0);
        for (int i = 0; i < 3; i++)
                ck_assert_int_ge(more[i], less[i]);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ref_nbs_int");
        TCase *t = tcase_create("vectors");

        tcase_add_test(t, every_vector_of_webster_is_met);
        tcase_add_test(t, every_vector_of_hamilton_is_met_by_the_reference);
        tcase_add_test(t, webster_is_monotone_where_largest_remainder_is_not);
        suite_add_tcase(s, t);
        return testing_run(s);
}
