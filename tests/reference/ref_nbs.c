/* SPDX-License-Identifier: MIT */

/* Weighted Nash bargaining: every case of nbs.json through the solver of the product. */

#include "core/waterfill.h"
#include "lib/vectors.h"

static void check_case(json_object *c, double tol)
{
        double d[VECTORS_MAX], u[VECTORS_MAX], w[VECTORS_MAX], x[VECTORS_MAX];
        double bound[VECTORS_MAX], share[VECTORS_MAX], theta, amount, sum = 0;
        size_t order[VECTORS_MAX];
        const char *name = vectors_text(c, "name");
        size_t n = vectors_doubles(c, "d", d);
        json_object *capped = vectors_get(c, "capped");

        ck_assert_uint_eq(vectors_doubles(c, "u", u), n);
        ck_assert_uint_eq(vectors_doubles(c, "w", w), n);
        ck_assert_uint_eq(vectors_doubles(c, "x", x), n);
        amount = vectors_double(c, "C");
        for (size_t i = 0; i < n; i++) {
                amount -= d[i];
                bound[i] = u[i] - d[i];
        }

        ck_assert_int_eq(waterfill_solve(bound, w, n, amount, order, share, &theta), 0);
        for (size_t i = 0; i < n; i++) {
                vectors_assert_near(d[i] + share[i], x[i], tol, name);
                ck_assert_int_eq(share[i] == bound[i],
                                 json_object_get_boolean(json_object_array_get_idx(capped, i)));
                sum += d[i] + share[i];
        }
        vectors_assert_near(sum, vectors_double(c, "sum_x"), tol, name);
        vectors_assert_near(theta, vectors_double(c, "theta"), tol, name);
        vectors_assert_near(1 / theta, vectors_double(c, "lam"), tol, name);
}

START_TEST(every_vector_of_nbs_is_met)
{
        json_object *file = vectors_load("tests/data/nbs.json"), *cases = vectors_get(file, "cases");

        ck_assert_uint_eq(json_object_array_length(cases), 59);
        for (size_t k = 0; k < 59; k++)
                check_case(json_object_array_get_idx(cases, k), vectors_double(file, "tol"));
        json_object_put(file);
}
END_TEST

/* The project this one grew out of handed the surplus out twice. */
START_TEST(surplus_is_not_handed_out_twice)
{
        json_object *cases = vectors_load("tests/data/coallocator_nbs_bugs.json");
        size_t n_checked = 0;

        for (size_t k = 0; k < json_object_array_length(cases); k++) {
                json_object *c = json_object_array_get_idx(cases, k);
                json_object *agents = vectors_get(c, "agents");
                double bound[VECTORS_MAX], w[VECTORS_MAX], d[VECTORS_MAX], share[VECTORS_MAX];
                double correct[VECTORS_MAX], theta, amount = vectors_double(c, "capacity");
                size_t order[VECTORS_MAX], n = json_object_array_length(agents);

                if (vectors_get(c, "correct") == NULL)  /* overload: see ref_market.c */
                        continue;
                ck_assert_uint_eq(vectors_doubles(c, "correct", correct), n);
                for (size_t i = 0; i < n; i++) {
                        json_object *agent = json_object_array_get_idx(agents, i);

                        d[i] = vectors_double(agent, "d");
                        w[i] = vectors_double(agent, "w");
                        bound[i] = vectors_double(agent, "u") - d[i];
                        amount -= d[i];
                }
                ck_assert_int_eq(waterfill_solve(bound, w, n, amount, order, share, &theta), 0);
                for (size_t i = 0; i < n; i++)
                        vectors_assert_near(d[i] + share[i], correct[i], 1e-9,
                                            vectors_text(c, "name"));
                n_checked++;
        }
        ck_assert_uint_eq(n_checked, 4);
        json_object_put(cases);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ref_nbs");
        TCase *t = tcase_create("vectors");

        tcase_add_test(t, every_vector_of_nbs_is_met);
        tcase_add_test(t, surplus_is_not_handed_out_twice);
        suite_add_tcase(s, t);
        return testing_run(s);
}
