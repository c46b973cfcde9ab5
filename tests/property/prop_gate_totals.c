/* SPDX-License-Identifier: MIT */

/* The gate on totals: random populations of single players, with a latency target or without, and
 * coalitions. */

#include "core/gate.h"

#include <errno.h>

#include "core/bargain.h"
#include "lib/slo_fixture.h"

#define N_CASES 2000
#define N_MAX 24

static const struct gate_scratch scratch = { .order = (size_t[N_MAX]){ 0 }, .worth = (double[N_MAX]){ 0 } };

struct population {
        size_t n, n_entities;
        double lower[N_MAX], upper[N_MAX], weight[N_MAX], reference[N_MAX];
        size_t entity_of[N_MAX], order[N_MAX];
        struct gain gain[N_MAX], entity_gain[N_MAX];
        bool has_targets;
        double entity_lower[N_MAX], entity_upper[N_MAX], entity_weight[N_MAX], entity_reference[N_MAX];
        double capacity, sum_of_weights;
        struct gate_model single, model;
};

/* Whole levels, as market_round() leaves them; some boxes are empty. Capacity is anything from the
 * corner to more than everybody's upper level. */
static void random_population(struct population *p, struct testing_random *r)
{
        static const int64_t reach[] = { 0, 1, 20, 3000 };
        double low = 0, high = 0;
        bool is_extreme = testing_random_int(r, 0, 3) == 0;

        p->has_targets = testing_random_int(r, 0, 2) > 0;
        p->n = (size_t)testing_random_int(r, 1, N_MAX);
        p->n_entities = (size_t)testing_random_int(r, 1, (int64_t)p->n);
        p->sum_of_weights = 0;
        for (size_t i = 0; i < p->n; i++) {
                p->lower[i] = (double)testing_random_int(r, 0, reach[testing_random_int(r, 0, 3)]);
                p->upper[i] = p->lower[i] + (double)testing_random_int(r, 0, reach[testing_random_int(r, 0, 3)]);
                p->weight[i] = testing_random_int(r, 0, 1) ? (double)testing_random_int(r, 1, 10000)
                                                           : testing_random_double(r, 0.001, 5);
                if (p->has_targets) {
                        struct slo slo = slo_fixture_random(r, is_extreme);

                        gain_init(&p->gain[i], testing_random_int(r, 0, 2) ? &slo : NULL, p->lower[i],
                                  p->upper[i]);
                }
                low += p->lower[i];
                high += p->upper[i];
                p->sum_of_weights += p->weight[i];
                /* every entity has somebody; the first ones are coalitions more often */
                p->entity_of[i] = i < p->n_entities ? i
                                : (size_t)testing_random_int(r, 0, (int64_t)(p->n_entities - 1) / 2);
        }
        switch (testing_random_int(r, 0, 5)) {
        case 0:
                p->capacity = low;
                break;
        case 1:
                p->capacity = high + (double)testing_random_int(r, 0, 100);
                break;
        default:
                p->capacity = (double)testing_random_int(r, (int64_t)low, (int64_t)high);
        }
        ck_assert_int_eq(gate_model_init(&p->single, p->n, p->lower, p->upper, p->weight,
                                         p->has_targets ? p->gain : NULL, p->capacity, p->reference), 0);
        ck_assert_int_eq(gate_model_pool(&p->single, p->entity_of, p->n_entities, p->entity_lower,
                                         p->entity_upper, p->entity_weight, p->entity_gain,
                                         p->entity_reference, &p->model), 0);
}

/* Totals in the box, outside it, above capacity. */
static void random_totals(const struct population *p, struct testing_random *r, double ret[])
{
        for (size_t e = 0; e < p->n_entities; e++)
                switch (testing_random_int(r, 0, 3)) {
                case 0:
                        ret[e] = p->entity_reference[e];
                        break;
                case 1:
                        ret[e] = testing_random_double(r, 0, 2 * p->entity_upper[e] + 10);
                        break;
                default:
                        ret[e] = testing_random_double(r, p->entity_lower[e], p->entity_upper[e]);
                }
}

static double near_zero(const struct population *p)
{
        return 1e-9 * (1 + p->sum_of_weights);
}

static void sum_members(const struct population *p, const double x[], double ret[])
{
        for (size_t e = 0; e < p->n_entities; e++)
                ret[e] = 0;
        for (size_t i = 0; i < p->n; i++)
                ret[p->entity_of[i]] += x[i];
}

START_TEST(the_gate_and_the_bargain_agree_without_sharing_code)
{
        struct testing_random r = { testing_seed() };
        double worst = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct population p;
                double bound[N_MAX], share[N_MAX], price, amount, sum = 0, at[N_MAX];

                random_population(&p, &r);
                if (!p.has_targets)
                        continue;
                amount = p.capacity;
                for (size_t i = 0; i < p.n; i++)
                        amount -= p.lower[i];
                ck_assert_int_eq(bargain_solve(p.gain, p.weight, p.n, amount, 100, bound, p.order, share,
                                               &price), 0);
                for (size_t i = 0; i < p.n; i++) {
                        at[i] = p.lower[i] + share[i];
                        sum += p.reference[i];
                }
                ck_assert_double_le(sum, p.capacity * (1 + 1e-12));
                worst = fmax(worst, fabs(gate_potential(&p.single, at)) / near_zero(&p));
        }
        fprintf(stderr, "# potential of the bargain's own solution: at most %.2g of what counts as zero\n", worst);
        ck_assert_double_le(worst, 1);
}
END_TEST

START_TEST(pooling_sums_what_members_have_and_leaves_who_is_alone_as_it_was)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct population p;
                double lower[N_MAX], upper[N_MAX], reference[N_MAX];
                size_t n_members[N_MAX] = {};

                random_population(&p, &r);
                sum_members(&p, p.lower, lower);
                sum_members(&p, p.upper, upper);
                sum_members(&p, p.reference, reference);
                for (size_t i = 0; i < p.n; i++)
                        n_members[p.entity_of[i]]++;
                for (size_t e = 0; e < p.n_entities; e++) {
                        ck_assert_double_eq(p.entity_lower[e], lower[e]);
                        ck_assert_double_eq(p.entity_upper[e], upper[e]);
                        ck_assert_double_eq(p.entity_reference[e], reference[e]);
                }
                for (size_t i = 0; i < p.n; i++)
                        if (n_members[p.entity_of[i]] == 1) {
                                size_t e = p.entity_of[i];

                                ck_assert_double_eq(p.entity_weight[e], p.weight[i]);
                                if (p.has_targets)
                                        ck_assert_mem_eq(&p.entity_gain[e], &p.gain[i], sizeof p.gain[i]);
                        }
        }
}
END_TEST

START_TEST(the_potential_of_totals_is_zero_at_the_summed_solution_and_nowhere_less)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct population p;

                random_population(&p, &r);
                ck_assert_double_le(fabs(gate_potential(&p.model, p.entity_reference)), near_zero(&p));
                for (int j = 0; j < 4; j++) {
                        double x[N_MAX], v;

                        random_totals(&p, &r, x);
                        v = gate_potential(&p.model, x);
                        ck_assert(isfinite(v));
                        ck_assert_double_ge(v, -near_zero(&p));
                }
        }
}
END_TEST

START_TEST(the_potential_of_totals_is_convex)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct population p;
                double x[N_MAX], y[N_MAX], z[N_MAX], s = testing_random_double(&r, 0, 1), vx, vy;

                random_population(&p, &r);
                random_totals(&p, &r, x);
                random_totals(&p, &r, y);
                vx = gate_potential(&p.model, x);
                vy = gate_potential(&p.model, y);
                for (size_t e = 0; e < p.n_entities; e++)
                        z[e] = x[e] + s * (y[e] - x[e]);
                ck_assert_double_le(gate_potential(&p.model, z),
                                    (1 - s) * vx + s * vy + near_zero(&p) + 1e-9 * (vx + vy));

                for (size_t e = 0; e < p.n_entities; e++)
                        z[e] = x[e] + s * (p.entity_reference[e] - x[e]);
                ck_assert_double_le(gate_potential(&p.model, z), (1 - s) * vx + near_zero(&p) + 1e-9 * vx);
        }
}
END_TEST

/* Any old totals and any plan, right or wrong, feasible or not. */
START_TEST(what_passes_never_raises_the_potential_of_totals)
{
        struct testing_random r = { testing_seed() };
        unsigned n_applied = 0, n_held = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct population p;
                double x[N_MAX];
                int64_t old[N_MAX], plan[N_MAX], next[N_MAX], sum = 0;
                struct gate_verdict verdict;
                bool is_right = testing_random_int(&r, 0, 1);

                random_population(&p, &r);
                random_totals(&p, &r, x);
                for (size_t e = 0; e < p.n_entities; e++)
                        old[e] = (int64_t)x[e];
                random_totals(&p, &r, x);
                for (size_t e = 0; e < p.n_entities; e++)
                        plan[e] = (int64_t)(is_right ? p.entity_reference[e] : x[e]);
                ck_assert_int_eq(gate_judge(&p.model, old, plan, testing_random_double(&r, 0.02, 1), &scratch,
                                            next, &verdict), 0);
                ck_assert_double_le(verdict.v_after, verdict.v_before + 1e-12 * (1 + fabs(verdict.v_before)));
                ck_assert_double_eq(verdict.v_after, gate_potential_whole(&p.model, next));
                for (size_t e = 0; e < p.n_entities; e++)
                        sum += next[e];
                ck_assert_double_le((double)sum, p.capacity);
                n_applied += verdict.verdict != VERDICT_HOLD;
                n_held += verdict.verdict == VERDICT_HOLD;
        }
        fprintf(stderr, "# %u applied, %u held\n", n_applied, n_held);
        ck_assert_uint_ge(n_applied, N_CASES / 3);
        ck_assert_uint_ge(n_held, N_CASES / 10);
}
END_TEST

/* CPU of one total handed to another, away from the solution; and CPU made inside a total. */
START_TEST(a_plan_that_shifts_totals_the_wrong_way_is_vetoed)
{
        struct testing_random r = { testing_seed() };
        unsigned n_shifted = 0, n_created = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct population p;
                int64_t old[N_MAX], plan[N_MAX], next[N_MAX], spare;
                struct gate_verdict verdict;
                size_t a, b;

                random_population(&p, &r);
                spare = (int64_t)p.capacity;
                for (size_t e = 0; e < p.n_entities; e++) {
                        old[e] = (int64_t)p.entity_reference[e];
                        spare -= old[e];
                }
                a = (size_t)testing_random_int(&r, 0, (int64_t)p.n_entities - 1);
                b = (size_t)testing_random_int(&r, 0, (int64_t)p.n_entities - 1);
                for (size_t e = 0; e < p.n_entities; e++)
                        plan[e] = old[e];
                plan[a] -= plan[a] / 3;
                plan[b] += old[a] - plan[a];
                if (a != b && gate_potential_whole(&p.model, plan) >
                    gate_potential_whole(&p.model, old) + near_zero(&p)) {
                        ck_assert_int_eq(gate_judge(&p.model, old, plan, 1, &scratch, next, &verdict), 0);
                        ck_assert_int_ne(verdict.verdict, VERDICT_APPLY);
                        ck_assert_double_le(verdict.v_after, verdict.v_before + near_zero(&p));
                        n_shifted++;
                }

                for (size_t e = 0; e < p.n_entities; e++)
                        plan[e] = old[e];
                plan[a] += spare + 1;
                ck_assert_int_eq(gate_judge(&p.model, NULL, plan, 1, &scratch, next, &verdict), 0);
                ck_assert_int_eq(verdict.verdict, VERDICT_HOLD);
                n_created++;
        }
        fprintf(stderr, "# vetoed: %u shifts, %u units made of nothing\n", n_shifted, n_created);
        ck_assert_uint_ge(n_shifted, N_CASES / 4);
}
END_TEST

START_TEST(an_entity_that_is_not_there_is_refused)
{
        struct testing_random r = { testing_seed() };
        struct population p;
        struct gate_model untouched = { .n = 42 };

        random_population(&p, &r);
        p.entity_of[0] = p.n_entities;
        ck_assert_int_eq(gate_model_pool(&p.single, p.entity_of, p.n_entities, p.entity_lower,
                                         p.entity_upper, p.entity_weight, NULL, p.entity_reference,
                                         &untouched), -EINVAL);
        ck_assert_uint_eq(untouched.n, 42);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("prop_gate_totals");
        TCase *t = tcase_create("properties");

        tcase_add_test(t, the_gate_and_the_bargain_agree_without_sharing_code);
        tcase_add_test(t, pooling_sums_what_members_have_and_leaves_who_is_alone_as_it_was);
        tcase_add_test(t, the_potential_of_totals_is_zero_at_the_summed_solution_and_nowhere_less);
        tcase_add_test(t, the_potential_of_totals_is_convex);
        tcase_add_test(t, what_passes_never_raises_the_potential_of_totals);
        tcase_add_test(t, a_plan_that_shifts_totals_the_wrong_way_is_vetoed);
        tcase_add_test(t, an_entity_that_is_not_there_is_refused);
        suite_add_tcase(s, t);
        return testing_run(s);
}
