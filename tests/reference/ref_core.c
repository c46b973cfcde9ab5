/* SPDX-License-Identifier: MIT */

/* The core: every case of core.json and of coalition.json. */

#include "core/coalition.h"
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

static void read_game(json_object *c, struct worth_game *ret)
{
        json_object *players = vectors_get(c, "players");
        unsigned n = (unsigned)json_object_array_length(players);
        struct member members[COALITION_MEMBERS_MAX];

        for (unsigned i = 0; i < n; i++) {
                json_object *p = json_object_array_get_idx(players, i);

                members[i] = (struct member){
                        .latency = { vectors_double(p, "a"), vectors_double(p, "c"),
                                     vectors_double(p, "L0"), vectors_double(p, "y0") },
                        .importance = vectors_double(p, "omega"),
                        .entitlement_milli = vectors_double(p, "e"),
                        .least_milli = vectors_double(p, "m"),
                        .most_milli = vectors_double(p, "u"),
                };
        }
        ck_assert_int_eq(worth_game_init(ret, members, n), 0);
}

/* The Shapley value of most of these games is not in the core; the competitive payoff is, always. */
START_TEST(competitive_payoffs_of_the_vectors_are_met_and_in_the_core)
{
        json_object *file = vectors_load("tests/data/coalition.json");
        json_object *cases = vectors_get(file, "cases");
        double tol = vectors_double(file, "tol_rel");
        unsigned n_shapley_blocked = 0;

        ck_assert_uint_eq(json_object_array_length(cases), 20);
        for (size_t k = 0; k < 20; k++) {
                json_object *c = json_object_array_get_idx(cases, k);
                double worth[N_SUBSETS], payoff[VECTORS_MAX], expected[VECTORS_MAX];
                struct coalition_plan plan;
                struct stability found;
                struct worth_game g;

                read_game(c, &g);
                ck_assert_int_eq(worth_all(&g, worth), 0);
                coalition_plan(&g, 0, &plan);
                ck_assert(plan.is_certified);
                vectors_assert_near(plan.price, vectors_double(c, "price"), tol, "price");

                stability_competitive(&g, plan.x_milli, plan.price, payoff);
                ck_assert_uint_eq(vectors_doubles(c, "competitive_core_payoff", expected), g.n);
                for (unsigned i = 0; i < g.n; i++)
                        vectors_assert_near(payoff[i], expected[i], 10 * tol, "competitive payoff");
                ck_assert_int_eq(stability_check(worth, g.n, payoff, 0, &found), 0);
                ck_assert(found.is_stable);
                ck_assert_double_ge(found.max_excess,
                                    lp_least_core(worth, g.n, payoff) - stability_tolerance(plan.worth));

                vectors_assert_near(lp_least_core(worth, g.n, payoff),
                                    vectors_double(c, "least_core_eps"), 10 * tol, "least core");
                lp_nucleolus(worth, g.n, payoff);
                vectors_doubles(c, "nucleolus", expected);
                for (unsigned i = 0; i < g.n; i++)
                        vectors_assert_near(payoff[i], expected[i], 10 * tol, "nucleolus");
                vectors_doubles(c, "shapley", payoff);
                ck_assert_int_eq(stability_check(worth, g.n, payoff, tol * plan.worth, &found), 0);
                n_shapley_blocked += found.max_excess > tol * plan.worth;
        }
        ck_assert_uint_ge(n_shapley_blocked, 1);
        fprintf(stderr, "# Shapley value outside the core in %u of 20\n", n_shapley_blocked);
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
        tcase_add_test(t, competitive_payoffs_of_the_vectors_are_met_and_in_the_core);
        suite_add_tcase(s, t);
        return testing_run(s);
}
