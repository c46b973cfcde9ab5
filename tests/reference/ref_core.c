/* SPDX-License-Identifier: MIT */

/* The core: every case of core.json, and random games against linear programming. */

#include "core/stability.h"
#include "lib/vectors.h"
#include "reference/lp.h"

#define N_SUBSETS (1 << LP_PLAYERS_MAX)

START_TEST(worst_subset_and_verdict_of_every_vector_are_met)
{
        json_object *file = vectors_load("tests/data/core.json");
        json_object *cases = vectors_get(file, "cases");
        double tol = vectors_double(file, "tol");

        ck_assert_uint_eq(json_object_array_length(cases), 30);
        for (size_t k = 0; k < 30; k++) {
                json_object *c = json_object_array_get_idx(cases, k);
                double worth[VECTORS_MAX], payoff[VECTORS_MAX];
                unsigned n = (unsigned)vectors_double(c, "n");
                struct stability found;

                ck_assert_uint_eq(vectors_doubles(c, "v", worth), 1u << n);
                ck_assert_uint_eq(vectors_doubles(c, "x", payoff), n);
                ck_assert_int_eq(stability_check(worth, n, payoff, 0, &found), 0);
                vectors_assert_near(found.max_excess, vectors_double(c, "max_excess"), tol, "max_excess");
                ck_assert_uint_eq(found.blocking, (uint32_t)vectors_double(c, "worst_mask"));
                ck_assert_int_eq(found.is_stable, json_object_get_boolean(vectors_get(c, "in_core")));
        }
        json_object_put(file);
}
END_TEST

START_TEST(repair_finds_the_projection_of_every_vector)
{
        json_object *file = vectors_load("tests/data/core.json");
        json_object *cases = vectors_get(file, "cases");
        double tol = vectors_double(file, "tol"), scratch[N_SUBSETS];

        for (size_t k = 0; k < json_object_array_length(cases); k++) {
                json_object *c = json_object_array_get_idx(cases, k);
                double worth[VECTORS_MAX], payoff[VECTORS_MAX], expected[VECTORS_MAX];
                double epsilon = vectors_double(c, "projection_eps");
                unsigned n = (unsigned)vectors_double(c, "n");

                vectors_doubles(c, "v", worth);
                vectors_doubles(c, "x", payoff);
                vectors_doubles(c, "projection", expected);
                ck_assert_int_eq(stability_repair(worth, n, epsilon, 100000, scratch, payoff), 0);
                for (unsigned i = 0; i < n; i++)
                        vectors_assert_near(payoff[i], expected[i], tol, "projection");
        }
        json_object_put(file);
}
END_TEST

/* The reference itself: what is asserted with it below holds as far as it is right. */
START_TEST(least_core_and_nucleolus_of_every_vector_are_met_by_linear_programming)
{
        json_object *file = vectors_load("tests/data/core.json");
        json_object *cases = vectors_get(file, "cases");
        double tol = vectors_double(file, "tol");

        for (size_t k = 0; k < json_object_array_length(cases); k++) {
                json_object *c = json_object_array_get_idx(cases, k);
                double worth[VECTORS_MAX], payoff[VECTORS_MAX], expected[VECTORS_MAX];
                unsigned n = (unsigned)vectors_double(c, "n");

                vectors_doubles(c, "v", worth);
                vectors_doubles(c, "nucleolus", expected);
                vectors_assert_near(lp_least_core(worth, n, payoff), vectors_double(c, "least_core_eps"),
                                    tol, "least core");
                lp_nucleolus(worth, n, payoff);
                for (unsigned i = 0; i < n; i++)
                        vectors_assert_near(payoff[i], expected[i], tol, "nucleolus");
        }
        json_object_put(file);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ref_core");
        TCase *t = tcase_create("vectors");

        tcase_add_test(t, worst_subset_and_verdict_of_every_vector_are_met);
        tcase_add_test(t, repair_finds_the_projection_of_every_vector);
        tcase_add_test(t, least_core_and_nucleolus_of_every_vector_are_met_by_linear_programming);
        suite_add_tcase(s, t);
        return testing_run(s);
}
