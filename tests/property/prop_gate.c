/* SPDX-License-Identifier: MIT */

/* The gate on random markets: the potential has its minimum where the market has its solution, no
 * accepted change raises it, and a plan that is wrong does not pass. */

#include "core/gate.h"
#include "lib/market_fixture.h"

#define N_CASES 10000
#define N_MAX 16

static const struct gate_scratch scratch = { .order = (size_t[N_MAX]){ 0 }, .worth = (double[N_MAX]){ 0 } };

struct fixture {
        struct market_fixture market;
        struct market_rules rules;
        struct gate_model model;
        size_t n;
        double reference[MARKET_FIXTURE_MAX];
};

static void solve(struct fixture *f)
{
        struct market_fixture *m = &f->market;

        ck_assert_int_eq(market_fixture_solve(m, &f->rules, f->n), 0);
        ck_assert_int_eq(market_fixture_round(m, f->n), 0);
        ck_assert_int_eq(gate_model_init(&f->model, f->n, m->lower, m->upper, m->weight, NULL,
                                         floor(m->outcome.spendable_milli), f->reference), 0);
}

static void random_fixture(struct fixture *f, struct testing_random *r)
{
        f->n = (size_t)testing_random_int(r, 1, N_MAX);
        market_fixture_init(&f->market);
        market_fixture_random_players(&f->market, r, f->n, 0.15);
        if (testing_random_int(r, 0, 1))        /* levels in fractions of a milli */
                for (size_t i = 0; i < f->n; i++) {
                        struct player *p = &f->market.players[i];

                        p->floor_milli *= 0.937;
                        p->baseline_milli *= 0.951;
                        p->need_milli *= 0.973;
                        p->max_milli *= 0.991;
                }
        f->rules = market_fixture_random_rules(&f->market, r, f->n);
        solve(f);
}

/* Any allocation at all: within the box, outside it, above capacity. */
static void random_allocation(const struct fixture *f, struct testing_random *r, double ret[])
{
        for (size_t i = 0; i < f->n; i++) {
                double low = f->market.lower[i], high = f->market.upper[i];

                switch (testing_random_int(r, 0, 3)) {
                case 0:
                        ret[i] = f->reference[i];
                        break;
                case 1:
                        ret[i] = testing_random_double(r, 0, 2 * high + 10);
                        break;
                default:
                        ret[i] = testing_random_double(r, low, high);
                }
        }
}

static double near_zero(const struct fixture *f)
{
        double scale = 1;

        for (size_t i = 0; i < f->n; i++)
                scale += f->market.weight[i];
        return 1e-9 * scale;
}

START_TEST(the_gate_and_the_market_agree_without_sharing_code)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct fixture f;

                random_fixture(&f, &r);
                ck_assert_int_eq(market_fixture_solve(&f.market, &f.rules, f.n), 0);
                ck_assert_int_eq(gate_model_init(&f.model, f.n, f.market.lower, f.market.upper,
                                                 f.market.weight, NULL, f.market.outcome.spendable_milli,
                                                 f.reference), 0);
                for (size_t i = 0; i < f.n; i++)
                        ck_assert_double_eq_tol(f.reference[i], f.market.x[i],
                                                1e-9 * fmax(1, f.rules.capacity_milli));
                /* what is above all needs is published without a price, but the gate has one */
                if (f.market.outcome.tier != TIER_UNCONGESTED && isfinite(f.model.shadow_price) &&
                    isfinite(f.market.outcome.shadow_price))
                        ck_assert_double_eq_tol(f.model.shadow_price, f.market.outcome.shadow_price,
                                                1e-9 * fmax(1, f.model.shadow_price));
        }
}
END_TEST

START_TEST(the_potential_is_finite_never_negative_and_zero_at_the_solution)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct fixture f;
                double x[N_MAX], v;

                random_fixture(&f, &r);
                ck_assert_double_le(fabs(gate_potential(&f.model, f.reference)), near_zero(&f));
                random_allocation(&f, &r, x);
                v = gate_potential(&f.model, x);
                ck_assert(isfinite(v));
                ck_assert_double_ge(v, -near_zero(&f));
        }
}
END_TEST

/* Theorem 9: V(x + s (x* - x)) <= (1 - s) V(x), also from infeasible x. */
START_TEST(a_step_towards_the_solution_lowers_the_potential_by_its_length)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct fixture f;
                double x[N_MAX], y[N_MAX], v, s = testing_random_double(&r, 0, 1);

                random_fixture(&f, &r);
                random_allocation(&f, &r, x);
                v = gate_potential(&f.model, x);
                for (size_t i = 0; i < f.n; i++)
                        y[i] = x[i] + s * (f.reference[i] - x[i]);
                ck_assert_double_le(gate_potential(&f.model, y), (1 - s) * v + near_zero(&f) + 1e-9 * v);
        }
}
END_TEST

/* A host whose capacity, needs and weights change every epoch: under the measurements of each epoch V
 * never rises by what the gate lets through, and the sum never exceeds what may be handed out. */
START_TEST(the_potential_never_rises_over_epochs_of_changing_load)
{
        struct testing_random r = { testing_seed() };
        unsigned n_epochs = 0, n_held = 0, n_applied = 0;

        for (int host = 0; host < 100; host++) {
                struct fixture f;
                int64_t old[N_MAX], next[N_MAX];
                struct gate_verdict verdict;

                random_fixture(&f, &r);
                ck_assert_int_eq(gate_judge(&f.model, NULL, f.market.x_whole, 1, &scratch, old, &verdict),
                                 0);
                ck_assert_int_eq(verdict.verdict, VERDICT_APPLY);
                for (int epoch = 0; epoch < 100; epoch++) {
                        double step = testing_random_int(&r, 0, 3) ? 1 : testing_random_double(&r, 0.02, 1);
                        int64_t sum = 0;

                        for (size_t i = 0; i < f.n; i++) {      /* needs drift, seldom jump */
                                struct player *p = &f.market.players[i];
                                double reach = p->max_milli - p->baseline_milli;

                                p->need_milli = testing_random_int(&r, 0, 9)
                                        ? fmin(p->need_milli * testing_random_double(&r, 0.97, 1.03),
                                               p->max_milli)
                                        : p->baseline_milli + reach * testing_random_double(&r, 0, 1);
                                p->need_milli = fmax(p->need_milli, p->baseline_milli);
                        }
                        if (testing_random_int(&r, 0, 9) == 0)
                                f.rules = market_fixture_random_rules(&f.market, &r, f.n);
                        solve(&f);
                        ck_assert_int_eq(gate_judge(&f.model, old, f.market.x_whole, step, &scratch, next,
                                                    &verdict), 0);
                        ck_assert_double_le(verdict.v_after, verdict.v_before +
                                            1e-12 * (1 + fabs(verdict.v_before)));
                        ck_assert_double_eq(verdict.v_before, gate_potential_whole(&f.model, old));
                        ck_assert_double_eq(verdict.v_after, gate_potential_whole(&f.model, next));
                        for (size_t i = 0; i < f.n; i++)
                                sum += next[i];
                        ck_assert_double_le((double)sum, f.market.outcome.spendable_milli);
                        n_epochs++;
                        n_held += verdict.verdict == VERDICT_HOLD;
                        n_applied += verdict.verdict == VERDICT_APPLY;
                        for (size_t i = 0; i < f.n; i++)
                                old[i] = next[i];
                }
        }
        fprintf(stderr, "# %u epochs: %u applied, %u held\n", n_epochs, n_applied, n_held);
        ck_assert_uint_ge(n_applied, n_epochs / 2);     /* right plans pass */
}
END_TEST

/* From wherever it starts, a right plan is reached and not clung to half-way. */
START_TEST(repeating_a_right_plan_arrives_at_it)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES / 10; k++) {
                struct fixture f;
                double x[N_MAX];
                int64_t old[N_MAX], next[N_MAX], distance = 0;
                struct gate_verdict verdict;

                random_fixture(&f, &r);
                random_allocation(&f, &r, x);
                for (size_t i = 0; i < f.n; i++)
                        old[i] = (int64_t)x[i];
                for (int epoch = 0; epoch < 40; epoch++) {
                        ck_assert_int_eq(gate_judge(&f.model, old, f.market.x_whole, 0.5, &scratch, next,
                                                    &verdict), 0);
                        for (size_t i = 0; i < f.n; i++)
                                old[i] = next[i];
                }
                for (size_t i = 0; i < f.n; i++)
                        if (llabs(old[i] - f.market.x_whole[i]) > distance)
                                distance = llabs(old[i] - f.market.x_whole[i]);
                ck_assert_int_le(distance, 4);
        }
}
END_TEST

/* A market whose solver lies, in the three ways that have been seen: shares of two players swapped,
 * the surplus handed out twice, and a rounding that makes CPU out of nothing. */
START_TEST(a_solver_that_lies_is_vetoed)
{
        struct testing_random r = { testing_seed() };
        unsigned n_swapped = 0, n_doubled = 0, n_created = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct fixture f;
                int64_t plan[N_MAX], ret_x[N_MAX], sum = 0, spendable;
                struct gate_verdict verdict;
                size_t a, b;

                random_fixture(&f, &r);
                const int64_t *good = f.market.x_whole;
                spendable = (int64_t)floor(f.market.outcome.spendable_milli);
                a = (size_t)testing_random_int(&r, 0, (int64_t)f.n - 1);
                b = (size_t)testing_random_int(&r, 0, (int64_t)f.n - 1);

                for (size_t i = 0; i < f.n; i++)
                        plan[i] = good[i];
                plan[a] = good[b];
                plan[b] = good[a];
                if (gate_potential_whole(&f.model, plan) > gate_potential_whole(&f.model, good) + 1) {
                        ck_assert_int_eq(gate_judge(&f.model, good, plan, 1, &scratch, ret_x, &verdict),
                                         0);
                        ck_assert_int_ne(verdict.verdict, VERDICT_APPLY);
                        ck_assert_double_le(verdict.v_after, verdict.v_before + 1e-9);
                        n_swapped++;
                }

                for (size_t i = 0; i < f.n; i++) {
                        plan[i] = (int64_t)fmin(2 * f.market.x[i] - f.market.lower[i],
                                                f.market.upper[i]);
                        sum += plan[i];
                }
                if (sum > spendable) {
                        ck_assert_int_eq(gate_judge(&f.model, good, plan, 1, &scratch, ret_x, &verdict),
                                         0);
                        ck_assert_int_ne(verdict.verdict, VERDICT_APPLY);
                        sum = 0;
                        for (size_t i = 0; i < f.n; i++)
                                sum += ret_x[i];
                        ck_assert_int_le(sum, spendable);
                        n_doubled++;
                }

                if (f.market.outcome.total_milli == f.market.outcome.spendable_milli) {
                        for (size_t i = 0; i < f.n; i++)
                                plan[i] = good[i];
                        plan[a]++;
                        ck_assert_int_eq(gate_judge(&f.model, good, plan, 1, &scratch, ret_x, &verdict),
                                         0);
                        ck_assert_int_eq(verdict.verdict, VERDICT_HOLD);
                        ck_assert_int_eq(gate_judge(&f.model, NULL, plan, 1, &scratch, ret_x, &verdict),
                                         0);
                        ck_assert_int_eq(verdict.verdict, VERDICT_HOLD);
                        n_created++;
                }
        }
        fprintf(stderr, "# vetoed: %u swaps, %u doubled surpluses, %u units made of nothing\n",
                n_swapped, n_doubled, n_created);
        ck_assert_uint_ge(n_swapped, N_CASES / 10);
        ck_assert_uint_ge(n_doubled, N_CASES / 10);
        ck_assert_uint_ge(n_created, N_CASES / 10);
}
END_TEST

/* The model holds that taking CPU from the first service does no harm; the service says otherwise.
 * Its measured hardship is what it lacks. */
START_TEST(a_model_that_lies_is_rolled_back)
{
        struct gate_monitor monitor;
        struct gate_record record;
        const double lower[] = { 0, 0 }, upper[] = { 1000, 1000 }, weight[] = { 1, 9 };
        int64_t x[] = { 500, 500 }, next[2];
        const int64_t needed = 500;
        double reference[2];
        unsigned n_epochs = 0;
        enum gate_advice advice = GATE_GO;

        gate_monitor_init(&monitor);
        monitor.step_max = 0.25;        /* slow enough for harm to show more than twice */
        for (; n_epochs < 10; n_epochs++) {
                double hardship = (double)(needed - x[0]) / (double)needed;
                struct gate_model model;
                struct gate_verdict verdict;

                advice = gate_monitor_observe(&monitor, n_epochs ? &record : NULL, hardship, 1000);
                if (advice != GATE_GO)
                        break;
                const int64_t plan[] = { 100, 900 };
                ck_assert_int_eq(gate_model_init(&model, 2, lower, upper, weight, NULL, 1000, reference), 0);
                ck_assert_int_eq(gate_judge(&model, x, plan, fmin(monitor.step_max, 0.25), &scratch, next,
                                            &verdict), 0);
                ck_assert_double_lt(verdict.v_after, verdict.v_before);
                record = (struct gate_record){
                        .v_before = verdict.v_before,
                        .v_after = verdict.v_after,
                        .action = verdict.v_after - verdict.v_before,
                        .workload = 0,
                };
                x[0] = next[0];
                x[1] = next[1];
        }
        ck_assert_int_eq(advice, GATE_ROLL_BACK);
        ck_assert_uint_eq(n_epochs, GATE_WRONG_EPOCHS_MAX);
        ck_assert_int_gt(x[0], 100);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("prop_gate");
        TCase *t = tcase_create("properties");

        tcase_add_test(t, the_gate_and_the_market_agree_without_sharing_code);
        tcase_add_test(t, the_potential_is_finite_never_negative_and_zero_at_the_solution);
        tcase_add_test(t, a_step_towards_the_solution_lowers_the_potential_by_its_length);
        tcase_add_test(t, the_potential_never_rises_over_epochs_of_changing_load);
        tcase_add_test(t, repeating_a_right_plan_arrives_at_it);
        tcase_add_test(t, a_solver_that_lies_is_vetoed);
        tcase_add_test(t, a_model_that_lies_is_rolled_back);
        suite_add_tcase(s, t);
        return testing_run(s);
}
