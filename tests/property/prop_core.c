/* SPDX-License-Identifier: MIT */

/* Stability on random games: the competitive payoff is never blocked, the certificate bounds every excess
 * of whatever it is given, lies are caught, and what the repair says agrees with linear programming. */

#include "core/coalition.h"
#include "lib/coalition_fixture.h"
#include "reference/lp.h"

#define N_MAX 10

static double worth[1 << COALITION_EXACT_MAX], more[1 << COALITION_EXACT_MAX];

/* The largest excess, by the definition. */
static double worst_excess(unsigned n, const double payoff[], uint32_t *ret_subset)
{
        double worst = -INFINITY;

        for (uint32_t s = 1; s < (1u << n) - 1; s++) {
                double excess = worth[s];

                for (unsigned i = 0; i < n; i++)
                        excess -= s >> i & 1 ? payoff[i] : 0;
                if (excess > worst) {
                        worst = excess;
                        *ret_subset = s;
                }
        }
        return worst;
}

static double sum_of(const double v[], unsigned n)
{
        double sum = 0;

        for (unsigned i = 0; i < n; i++)
                sum += v[i];
        return sum;
}

/* Mostly small games; some in which there are a thousand subsets. */
static unsigned random_size(struct testing_random *r)
{
        return (unsigned)testing_random_int(r, 2, testing_random_int(r, 0, 9) == 0 ? N_MAX : 6);
}

START_TEST(the_competitive_payoff_is_never_blocked)
{
        struct testing_random r = { testing_seed() };
        double worst = 0, worst_certificate = 0;

        for (int k = 0; k < 1000; k++) {
                unsigned n = random_size(&r);
                double payoff[N_MAX], tolerance, excess;
                struct coalition_plan plan;
                struct stability found;
                struct worth_game g;
                uint32_t subset = 0;

                ck_assert_int_eq(coalition_fixture_game(&r, n, &g), 0);
                coalition_plan(&g, 0, &plan);
                ck_assert(plan.is_certified);
                ck_assert_int_eq(worth_all(&g, worth), 0);
                stability_competitive(&g, plan.x_milli, plan.price, payoff);
                excess = worst_excess(n, payoff, &subset);
                tolerance = stability_tolerance(plan.worth);
                ck_assert_double_le(excess, tolerance);
                ck_assert_double_le(excess, plan.certificate + tolerance / 100);
                ck_assert_double_eq_tol(sum_of(payoff, n), plan.worth, tolerance);
                ck_assert_int_eq(stability_check(worth, n, payoff, 0, &found), 0);
                ck_assert(found.is_stable);
                ck_assert_double_eq_tol(found.max_excess, excess, tolerance / 100);
                worst = fmax(worst, excess / tolerance);
                worst_certificate = fmax(worst_certificate, plan.certificate / tolerance);
        }
        fprintf(stderr, "# worst excess %.2g, worst certificate %.2g of the tolerance\n", worst,
                worst_certificate);
}
END_TEST

/* Moves CPU between two members, as far as both boxes go. Returns how much. */
static double misdivide(struct testing_random *r, const struct worth_game *g, double x[])
{
        unsigned from = (unsigned)testing_random_int(r, 0, (int64_t)g->n - 1);
        unsigned to = (from + (unsigned)testing_random_int(r, 1, (int64_t)g->n - 1)) % g->n;
        double room = fmin(x[from] - g->members[from].least_milli, g->members[to].most_milli - x[to]);
        double moved = room * testing_random_double(r, 0, 1);

        x[from] -= moved;
        x[to] += moved;
        return moved;
}

START_TEST(the_certificate_bounds_every_excess_of_whatever_it_is_given)
{
        struct testing_random r = { testing_seed() };
        unsigned n_blocked = 0;

        for (int k = 0; k < 1000; k++) {
                unsigned n = random_size(&r);
                int lie = (int)testing_random_int(&r, 0, 3);
                double payoff[N_MAX], tolerance, excess, realised = 0, certificate;
                struct coalition_plan plan;
                struct worth_game g;
                uint32_t subset = 0;

                ck_assert_int_eq(coalition_fixture_game(&r, n, &g), 0);
                coalition_plan(&g, 0, &plan);
                ck_assert_int_eq(worth_all(&g, worth), 0);
                tolerance = stability_tolerance(plan.worth);
                if (lie & 1)
                        misdivide(&r, &g, plan.x_milli);
                if (lie & 2)
                        plan.price *= exp(testing_random_double(&r, -3, 3));
                if (lie == 0)           /* some of it is wasted */
                        plan.x_milli[0] += (g.members[0].least_milli - plan.x_milli[0]) *
                                           testing_random_double(&r, 0, 1);
                stability_competitive(&g, plan.x_milli, plan.price, payoff);
                for (unsigned i = 0; i < n; i++)
                        realised += worth_utility_of(&g.members[i], plan.x_milli[i]) - g.utility_held[i];
                excess = worst_excess(n, payoff, &subset);
                certificate = stability_certificate(&g, plan.x_milli, plan.price);
                ck_assert_double_ge(certificate, excess - tolerance);
                ck_assert_double_ge(certificate, plan.worth - realised - tolerance);
                n_blocked += excess > tolerance;
        }
        ck_assert_uint_ge(n_blocked, 200);
}
END_TEST

/* What a broken solver might hand out. */
START_TEST(a_lying_division_is_caught)
{
        struct testing_random r = { testing_seed() };
        unsigned n_misdivided = 0, n_mispriced = 0;

        for (int k = 0; k < 1000; k++) {
                unsigned n = (unsigned)testing_random_int(&r, 2, COALITION_MEMBERS_MAX);
                unsigned i = (unsigned)testing_random_int(&r, 0, (int64_t)n - 1);
                struct coalition_plan plan;
                struct worth_game g;
                double x[COALITION_MEMBERS_MAX], lost, tolerance;

                ck_assert_int_eq(coalition_fixture_game(&r, n, &g), 0);
                coalition_plan(&g, 0, &plan);
                tolerance = stability_tolerance(plan.worth);
                ck_assert_double_le(plan.certificate, tolerance);

                for (unsigned j = 0; j < n; j++)
                        x[j] = plan.x_milli[j];
                x[i] += 1;              /* one milli too much for one of them: created, or out of its box */
                if (plan.price > 0)
                        ck_assert(isinf(stability_certificate(&g, x, plan.price)));
                x[i] = g.members[i].most_milli + 1;
                ck_assert(isinf(stability_certificate(&g, x, 0)));
                x[i] = g.members[i].least_milli - 1;
                ck_assert(isinf(stability_certificate(&g, x, plan.price)));
                x[i] = NAN;
                ck_assert(isinf(stability_certificate(&g, x, plan.price)));
                x[i] = plan.x_milli[i];
                ck_assert(isinf(stability_certificate(&g, x, -1)));
                ck_assert(isinf(stability_certificate(&g, x, NAN)));
                ck_assert(isinf(stability_certificate(&g, x, INFINITY)));

                misdivide(&r, &g, x);
                lost = coalition_fixture_utility(&g, plan.x_milli) - coalition_fixture_utility(&g, x);
                if (lost > 2 * tolerance) {
                        ck_assert_double_gt(stability_certificate(&g, x, plan.price), tolerance);
                        n_misdivided++;
                }
                /* At a higher price somebody would take less. */
                for (unsigned j = 0; j < n; j++) {
                        const struct member *m = &g.members[j];
                        double held = plan.x_milli[j], wanted = fmax(held * 0.9, m->least_milli);
                        double gain = worth_utility_of(m, wanted) - worth_utility_of(m, held) -
                                      2 * plan.price * (wanted - held);

                        if (gain < 2 * tolerance)
                                continue;
                        ck_assert_double_ge(stability_certificate(&g, plan.x_milli, 2 * plan.price),
                                            gain - tolerance);
                        n_mispriced++;
                }
        }
        ck_assert_uint_ge(n_misdivided, 500);
        ck_assert_uint_ge(n_mispriced, 500);
}
END_TEST

/* Worth tables of any kind, in whole numbers; those of superadditive games among them. */
static void random_table(struct testing_random *r, unsigned n)
{
        bool is_superadditive = testing_random_int(r, 0, 1);

        for (uint32_t s = 0; s < 1u << n; s++) {
                worth[s] = (s & (s - 1)) == 0 ? 0 : (double)testing_random_int(r, 0, 12);
                for (uint32_t t = (s - 1) & s; t > 0 && is_superadditive; t = (t - 1) & s)
                        worth[s] = fmax(worth[s], worth[t] + worth[s & ~t]);
        }
}

START_TEST(the_worst_blocking_subset_of_any_table_is_reported)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < 1000; k++) {
                unsigned n = random_size(&r);
                double payoff[N_MAX], excess;
                struct stability found;
                uint32_t subset = 0;

                random_table(&r, n > 6 ? 6 : n);
                for (uint32_t s = 1u << 6; n > 6 && s < 1u << n; s++)
                        worth[s] = (s & (s - 1)) == 0 ? 0 : testing_random_double(&r, 0, 20);
                for (unsigned i = 0; i < n; i++)
                        payoff[i] = testing_random_double(&r, 0, 6);
                excess = worst_excess(n, payoff, &subset);
                ck_assert_int_eq(stability_check(worth, n, payoff, 0, &found), 0);
                ck_assert_double_eq_tol(found.max_excess, excess, 1e-12);
                ck_assert_uint_eq(found.blocking, subset);
        }
}
END_TEST

START_TEST(repair_ends_in_the_epsilon_core_or_says_that_it_cannot)
{
        struct testing_random r = { testing_seed() };
        unsigned n_repaired = 0, n_refused = 0, n_missed = 0;

        for (int k = 0; k < 1000; k++) {
                unsigned n = (unsigned)testing_random_int(&r, 2, 5);
                double epsilon = testing_random_int(&r, 0, 1) ? 0 : testing_random_double(&r, -1, 3);
                double before[N_MAX], after[N_MAX], inside[N_MAX], least, product = 0, total;
                uint32_t subset = 0;
                int verdict;

                random_table(&r, n);
                total = worth[(1u << n) - 1];
                for (unsigned i = 0; i < n; i++)
                        after[i] = before[i] = testing_random_double(&r, -2, 8);
                least = lp_least_core(worth, n, inside);
                verdict = stability_repair(worth, n, epsilon, 100, more, after);
                if (verdict != 0) {
                        ck_assert_int_eq(verdict, 1);
                        for (unsigned i = 0; i < n; i++)
                                ck_assert_double_eq(after[i], before[i]);
                        if (least > epsilon)
                                n_refused++;
                        else
                                n_missed++;     /* there is one, but it is far to go */
                        continue;
                }
                n_repaired++;
                ck_assert_double_le(least, epsilon + 2 * stability_tolerance(total));
                ck_assert_double_le(worst_excess(n, after, &subset),
                                    epsilon + 2 * stability_tolerance(total));
                ck_assert_double_eq_tol(sum_of(after, n), total, 1e-9);
                /* The nearest: nothing in the epsilon-core lies on the other side of it. */
                for (unsigned i = 0; i < n; i++)
                        product += (before[i] - after[i]) * (inside[i] - after[i]);
                ck_assert_double_le(product, 1e-4);
        }
        fprintf(stderr, "# repaired %u, refused %u, given up %u\n", n_repaired, n_refused, n_missed);
        ck_assert_uint_ge(n_repaired, 300);
        ck_assert_uint_ge(n_refused, 300);
        ck_assert_uint_le(n_missed, n_repaired / 50);
}
END_TEST

START_TEST(a_valuation_is_stable_and_repairs_a_wrong_price)
{
        struct testing_random r = { testing_seed() };
        struct coalition_scratch scratch = { worth, more };
        unsigned n_repaired = 0, n_unrepaired = 0;

        for (int k = 0; k < 500; k++) {
                unsigned n = random_size(&r);
                struct coalition_value v;
                struct coalition_plan plan;
                struct worth_game g;
                double tolerance;
                uint32_t subset = 0;

                ck_assert_int_eq(coalition_fixture_game(&r, n, &g), 0);
                coalition_plan(&g, 0, &plan);
                tolerance = stability_tolerance(plan.worth);
                ck_assert_int_eq(coalition_assess(&g, &plan, 0, 100, 1, 0, &scratch, &v), 0);
                ck_assert(v.is_stable && v.is_exact && !v.is_repaired);
                ck_assert_uint_eq(v.blocking, 0);

                plan.price *= testing_random_double(&r, 1.5, 3);
                ck_assert_int_eq(coalition_assess(&g, &plan, 0, 100, 1, 0, &scratch, &v), 0);
                ck_assert_double_eq_tol(sum_of(v.imputation, n), v.worth, 2 * tolerance);
                if (v.is_stable) {
                        ck_assert_double_le(worst_excess(n, v.imputation, &subset), 2 * tolerance);
                        ck_assert_int_eq(v.is_repaired, v.blocking != 0);
                        n_repaired += v.is_repaired;
                } else {
                        ck_assert_uint_ne(v.blocking, 0);
                        n_unrepaired++;
                }
        }
        fprintf(stderr, "# repaired %u, not within 100 sweeps %u\n", n_repaired, n_unrepaired);
        ck_assert_uint_ge(n_repaired, 100);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("prop_core");
        TCase *t = tcase_create("random games");

        tcase_add_test(t, the_competitive_payoff_is_never_blocked);
        tcase_add_test(t, the_certificate_bounds_every_excess_of_whatever_it_is_given);
        tcase_add_test(t, a_lying_division_is_caught);
        tcase_add_test(t, the_worst_blocking_subset_of_any_table_is_reported);
        tcase_add_test(t, repair_ends_in_the_epsilon_core_or_says_that_it_cannot);
        tcase_add_test(t, a_valuation_is_stable_and_repairs_a_wrong_price);
        suite_add_tcase(s, t);
        return testing_run(s);
}
