/* SPDX-License-Identifier: MIT */

#include "core/coalition.h"

#include <errno.h>
#include <string.h>

#include "lib/coalition_fixture.h"

static double worth[1 << COALITION_EXACT_MAX], more[1 << COALITION_EXACT_MAX];
static struct coalition_scratch scratch = { worth, more };
static struct worth_game g;
static struct coalition_plan plan;
static struct coalition_value v;

static struct member member_of(double load, double importance, double held)
{
        return (struct member){ { load, 1000, 0, 10 }, importance, held, load, 4000 };
}

/* Two of the same load and weight; the first holds 300 milli above it, the second 100. */
static void setup_pair(void)
{
        struct member pair[] = { member_of(200, 1, 500), member_of(200, 1, 300) };

        ck_assert_int_eq(worth_game_init(&g, pair, 2), 0);
        coalition_plan(&g, 0, &plan);
}

static void setup_many(unsigned n)
{
        struct testing_random r = { 7 };

        ck_assert_int_eq(coalition_fixture_game(&r, n, &g), 0);
        coalition_plan(&g, 0, &plan);
}

static int assess(double epsilon)
{
        return coalition_assess(&g, &plan, epsilon, 100, 12, 34, &scratch, &v);
}

START_TEST(equals_divide_equally_and_the_giver_is_paid)
{
        double saved = 10 - 1000 / 200.0, lost = 1000 / 200.0 - 1000 / 300.0, price = 1000 / (200.0 * 200);

        setup_pair();
        ck_assert_double_eq_tol(plan.x_milli[0], 400, 1e-9);
        ck_assert_double_eq_tol(plan.x_milli[1], 400, 1e-9);
        ck_assert_double_eq_tol(plan.price, price, 1e-12);
        ck_assert_double_eq_tol(plan.worth, saved - lost, 1e-12);
        ck_assert_double_eq_tol(plan.certificate, 0, 1e-12);
        ck_assert(plan.is_certified);

        ck_assert_int_eq(assess(0), 0);
        ck_assert(v.is_stable && v.is_exact && !v.is_repaired);
        ck_assert_uint_eq(v.epoch, 12);
        ck_assert_uint_eq(v.seed, 34);
        ck_assert_uint_eq(v.blocking, 0);
        ck_assert_double_eq(v.half_width, 0);
        ck_assert_double_eq_tol(v.imputation[0], 100 * price - lost, 1e-12);
        ck_assert_double_eq_tol(v.imputation[1], saved - 100 * price, 1e-12);
        ck_assert_double_eq_tol(v.shapley[0], v.worth / 2, 1e-12);
        ck_assert_double_eq_tol(v.worth, plan.worth, 1e-12);
        ck_assert_double_eq_tol(v.max_excess, -fmin(v.imputation[0], v.imputation[1]), 1e-12);
}
END_TEST

START_TEST(a_wrong_price_is_repaired_by_credits_alone)
{
        setup_pair();
        plan.price = 0;         /* who gives is paid nothing and had better stay alone */
        ck_assert_int_eq(assess(0), 0);
        ck_assert(v.is_stable && v.is_repaired);
        ck_assert_uint_eq(v.blocking, 1);
        ck_assert_double_eq_tol(v.max_excess, 0, 1e-6);
        ck_assert_double_eq_tol(v.imputation[0], 0, 1e-6);
        ck_assert_double_eq_tol(v.imputation[0] + v.imputation[1], v.worth, 1e-12);

        ck_assert_int_eq(coalition_assess(&g, &plan, 0, 0, 1, 1, &scratch, &v), 0);
        ck_assert(!v.is_stable && !v.is_repaired);      /* no iterations, no repair */
        ck_assert_uint_eq(v.blocking, 1);
        ck_assert_int_eq(assess(5), 0);                 /* a large epsilon forgives */
        ck_assert(v.is_stable && !v.is_repaired);
        ck_assert_uint_eq(v.blocking, 0);
}
END_TEST

START_TEST(a_division_that_is_not_the_best_is_neither_stable_nor_repaired)
{
        setup_pair();
        plan.x_milli[0] -= 50;
        plan.x_milli[1] += 50;
        ck_assert_int_eq(assess(0), 0);
        ck_assert(!v.is_stable && !v.is_repaired);
        ck_assert_double_gt(stability_certificate(&g, plan.x_milli, plan.price), 0.1);
}
END_TEST

/* At the right price a milli too much looks harmless to first order. It is not. */
START_TEST(a_division_that_creates_cpu_is_not_stable)
{
        setup_pair();
        plan.x_milli[0] += 0.001;
        ck_assert(isinf(stability_certificate(&g, plan.x_milli, plan.price)));
        ck_assert_int_eq(assess(0), 0);
        ck_assert(!v.is_stable && !v.is_repaired);
}
END_TEST

/* Important queues that have long run over cost so much that rounding alone exceeds any fixed tolerance. */
START_TEST(roundings_of_large_costs_are_no_instability)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < 2000; k++) {
                struct member members[8];
                unsigned n = (unsigned)testing_random_int(&r, 2, 8);

                for (unsigned i = 0; i < n; i++) {
                        double load = exp(testing_random_double(&r, 3, 11));
                        double held = load * testing_random_double(&r, 0.01, 1.2);

                        members[i] = (struct member){
                                .latency = latency_from_load(load, exp(testing_random_double(&r, 5, 20))),
                                .importance = exp(testing_random_double(&r, 0, 12)),
                                .entitlement_milli = held,
                                .least_milli = fmin(held, load),
                                .most_milli = 2e5,
                        };
                }
                ck_assert_int_eq(worth_game_init(&g, members, n), 0);
                coalition_plan(&g, 0, &plan);
                ck_assert(plan.is_certified);
                ck_assert_int_eq(assess(0), 0);
                ck_assert(v.is_stable && !v.is_repaired);
                ck_assert_uint_eq(v.blocking, 0);
        }
}
END_TEST

START_TEST(sixteen_members_are_enumerated)
{
        setup_many(COALITION_EXACT_MAX);
        ck_assert_int_eq(assess(0), 0);
        ck_assert(v.is_stable && v.is_exact);
}
END_TEST

START_TEST(more_members_are_certified_and_sampled)
{
        double sum_shapley = 0, sum_imputation = 0;
        struct coalition_value again;

        setup_many(COALITION_MEMBERS_MAX);
        ck_assert_int_eq(coalition_assess(&g, &plan, 0, 100, 12, 34, NULL, &v), 0);
        ck_assert(v.is_stable && !v.is_exact && !v.is_repaired);
        ck_assert_uint_eq(v.blocking, 0);
        ck_assert_double_eq(v.max_excess, plan.certificate);
        ck_assert_double_gt(v.half_width, 0);
        for (unsigned i = 0; i < g.n; i++) {
                sum_shapley += v.shapley[i];
                sum_imputation += v.imputation[i];
        }
        ck_assert_double_eq_tol(sum_shapley, v.worth, 1e-9 * v.worth);
        ck_assert_double_eq_tol(sum_imputation, v.worth, 1e-9 * v.worth);

        ck_assert_int_eq(coalition_assess(&g, &plan, 0, 100, 12, 34, NULL, &again), 0);
        ck_assert_mem_eq(v.shapley, again.shapley, sizeof v.shapley);   /* the seed decides */

        plan.price *= 2;
        ck_assert_int_eq(coalition_assess(&g, &plan, 0, 100, 12, 34, NULL, &v), 0);
        ck_assert(!v.is_stable);
}
END_TEST

START_TEST(a_plan_without_numbers_leaves_the_value_alone)
{
        setup_pair();
        memset(&v, 0x5a, sizeof v);
        plan.price = NAN;
        ck_assert_int_eq(assess(0), -EDOM);
        ck_assert_uint_eq(v.epoch, 0x5a5a5a5a5a5a5a5a);
}
END_TEST

START_TEST(cost_counts_subsets_and_is_bounded_above_the_enumeration)
{
        ck_assert_uint_eq(coalition_cost(2), 4);
        ck_assert_uint_eq(coalition_cost(8), 256);
        ck_assert_uint_eq(coalition_cost(COALITION_EXACT_MAX), 65536);
        for (unsigned n = COALITION_EXACT_MAX + 1; n <= COALITION_MEMBERS_MAX; n++)
                ck_assert_uint_le(coalition_cost(n), 12800);
        ck_assert_uint_eq(coalition_cost(COALITION_MEMBERS_MAX), 12800);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("coalition");
        TCase *t = tcase_create("core");

        tcase_add_test(t, equals_divide_equally_and_the_giver_is_paid);
        tcase_add_test(t, a_wrong_price_is_repaired_by_credits_alone);
        tcase_add_test(t, a_division_that_is_not_the_best_is_neither_stable_nor_repaired);
        tcase_add_test(t, a_division_that_creates_cpu_is_not_stable);
        tcase_add_test(t, roundings_of_large_costs_are_no_instability);
        tcase_add_test(t, sixteen_members_are_enumerated);
        tcase_add_test(t, more_members_are_certified_and_sampled);
        tcase_add_test(t, a_plan_without_numbers_leaves_the_value_alone);
        tcase_add_test(t, cost_counts_subsets_and_is_bounded_above_the_enumeration);
        suite_add_tcase(s, t);
        return testing_run(s);
}
