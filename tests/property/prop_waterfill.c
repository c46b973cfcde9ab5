/* SPDX-License-Identifier: MIT */

/* The bargaining solution on random input: Nash's axioms, the KKT conditions, exact whole shares. */

#include "core/waterfill.h"

#include <math.h>

#include "lib/testing.h"
#include "reference/oracle.h"

#define N_CASES 10000
#define N_MAX 24

struct problem {
        size_t n, order[N_MAX];
        double bound[N_MAX], weight[N_MAX], amount, share[N_MAX], theta;
};

static void solve(struct problem *p)
{
        ck_assert_int_eq(waterfill_solve(p->bound, p->weight, p->n, p->amount, p->order, p->share,
                                         &p->theta), 0);
}

static double sum_of(const double a[], size_t n)
{
        double sum = 0;

        for (size_t i = 0; i < n; i++)
                sum += a[i];
        return sum;
}

/* Weights up to 1e6 apart, empty boxes, amounts from nothing to more than all bounds. */
static struct problem random_problem(struct testing_random *r)
{
        struct problem p = { .n = (size_t)testing_random_int(r, 1, N_MAX) };
        double scale = testing_random_int(r, 0, 1) ? 1000 : 1e6;

        for (size_t i = 0; i < p.n; i++) {
                p.bound[i] = testing_random_int(r, 0, 5) ? testing_random_double(r, 0, scale) : 0;
                p.weight[i] = exp(testing_random_double(r, 0, testing_random_int(r, 0, 1) ? 14 : 1));
        }
        p.amount = sum_of(p.bound, p.n) * testing_random_double(r, 0, 1.2);
        if (testing_random_int(r, 0, 9) == 0)
                p.amount = 0;
        return p;
}

static void assert_near(double a, double b, double scale)
{
        ck_assert_double_le(fabs(a - b), 1e-9 * fmax(1, scale));
}

START_TEST(kkt_conditions_hold_to_a_billionth)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct problem p = random_problem(&r);
                double lambda;

                solve(&p);
                assert_near(sum_of(p.share, p.n), fmin(p.amount, sum_of(p.bound, p.n)), p.amount);
                lambda = 1 / p.theta;
                for (size_t i = 0; i < p.n; i++) {
                        double w = p.weight[i];

                        ck_assert_double_ge(p.share[i], 0);
                        ck_assert_double_le(p.share[i], p.bound[i]);
                        if (p.theta == 0)
                                ck_assert_double_eq(p.share[i], 0);
                        else if (p.share[i] < p.bound[i])
                                ck_assert_double_le(fabs(lambda * p.share[i] - w) / w, 1e-9);
                        else
                                ck_assert_double_le((lambda * p.bound[i] - w) / w, 1e-9);
                }
        }
}
END_TEST

/* Pareto and individual rationality are the sum and the signs above; the other axioms: */
START_TEST(nashs_axioms_hold)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct problem p = random_problem(&r), q;
                double factor = testing_random_double(&r, 0.01, 100);
                size_t a = (size_t)testing_random_int(&r, 0, (int64_t)p.n - 1);
                size_t b = (size_t)testing_random_int(&r, 0, (int64_t)p.n - 1);

                /* symmetry: equal players get equal shares */
                p.bound[a] = p.bound[b];
                p.weight[a] = p.weight[b];
                solve(&p);
                ck_assert_double_eq(p.share[a], p.share[b]);

                /* anonymity: reversed players get reversed shares */
                q = p;
                for (size_t i = 0; i < p.n; i++) {
                        q.bound[i] = p.bound[p.n - 1 - i];
                        q.weight[i] = p.weight[p.n - 1 - i];
                }
                solve(&q);
                for (size_t i = 0; i < p.n; i++)
                        assert_near(q.share[i], p.share[p.n - 1 - i], p.amount);

                /* a common unit of CPU does not matter, nor does one of weight */
                q = p;
                for (size_t i = 0; i < p.n; i++)
                        q.bound[i] *= factor;
                q.amount *= factor;
                solve(&q);
                for (size_t i = 0; i < p.n; i++)
                        assert_near(q.share[i], factor * p.share[i], q.amount);
                q = p;
                for (size_t i = 0; i < p.n; i++)
                        q.weight[i] *= factor;
                solve(&q);
                for (size_t i = 0; i < p.n; i++)
                        assert_near(q.share[i], p.share[i], p.amount);

                /* irrelevant alternatives: what nobody chose may be taken away */
                q = p;
                for (size_t i = 0; i < p.n; i++)
                        q.bound[i] -= testing_random_double(&r, 0, 1) * (p.bound[i] - p.share[i]);
                solve(&q);
                for (size_t i = 0; i < p.n; i++)
                        assert_near(q.share[i], p.share[i], p.amount);

                /* consistency: whoever leaves with its share changes nothing for the others */
                q = p;
                q.amount = fmax(p.amount - p.share[a], 0);
                q.bound[a] = 0;
                solve(&q);
                for (size_t i = 0; i < p.n; i++)
                        if (i != a)
                                assert_near(q.share[i], p.share[i], p.amount);

                /* more to share harms nobody */
                q = p;
                q.amount *= testing_random_double(&r, 1, 1.1);
                solve(&q);
                for (size_t i = 0; i < p.n; i++)
                        ck_assert_double_ge(q.share[i], p.share[i] - 1e-9 * fmax(1, p.amount));
        }
}
END_TEST

/* The solution maximises the Nash product: no transfer between two players raises it. */
START_TEST(no_transfer_raises_the_nash_product)
{
        struct testing_random r = { testing_seed() };
        unsigned n_tried = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct problem p = random_problem(&r);
                size_t a = (size_t)testing_random_int(&r, 0, (int64_t)p.n - 1);
                size_t b = (size_t)testing_random_int(&r, 0, (int64_t)p.n - 1);
                double step, gain;

                solve(&p);
                step = testing_random_double(&r, 0, 1) * fmin(p.share[a], p.bound[b] - p.share[b]);
                if (a == b || !(step > 0) || !(p.share[b] > 0))
                        continue;
                gain = p.weight[b] * log1p(step / p.share[b]) + p.weight[a] * log1p(-step / p.share[a]);
                ck_assert_double_le(gain, 1e-9 * (p.weight[a] + p.weight[b]));
                n_tried++;
        }
        ck_assert_uint_ge(n_tried, N_CASES / 10);
}
END_TEST

/* Small weights make ties, which is where one unit at a time and all at once could differ. */
START_TEST(whole_shares_equal_those_handed_out_one_by_one)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                int64_t bound[N_MAX], weight[N_MAX], share[N_MAX], expected[N_MAX];
                double weight_real[N_MAX];
                size_t order[N_MAX], n = (size_t)testing_random_int(&r, 1, N_MAX);
                int64_t weight_max = testing_random_int(&r, 0, 1) ? 6 : 1 << 20;
                int64_t amount = testing_random_int(&r, 0, 40 * (int64_t)n);

                for (size_t i = 0; i < n; i++) {
                        bound[i] = testing_random_int(&r, 0, 60);
                        weight[i] = testing_random_int(&r, testing_random_int(&r, 0, 8) != 0, weight_max);
                        weight_real[i] = (double)weight[i];
                }
                oracle_webster(bound, weight, n, amount, expected);
                ck_assert_int_eq(waterfill_round(bound, weight_real, n, amount, order, share), 0);
                for (size_t i = 0; i < n; i++)
                        ck_assert_int_eq(share[i], expected[i]);
        }
}
END_TEST

/* Real weights too, and amounts of millions: the sum is exact and one unit more harms nobody. */
START_TEST(whole_shares_are_exact_in_sum_and_monotone)
{
        struct testing_random r = { testing_seed() };
        double max_deviation = 0;

        for (int k = 0; k < N_CASES; k++) {
                int64_t bound[N_MAX], share[2][N_MAX], total = 0, amount;
                int64_t scale = testing_random_int(&r, 0, 1) ? 100 : 10000000;
                double weight[N_MAX], bound_real[N_MAX], real[N_MAX], theta;
                size_t order[N_MAX], n = (size_t)testing_random_int(&r, 1, N_MAX);

                for (size_t i = 0; i < n; i++) {
                        bound[i] = testing_random_int(&r, 0, scale);
                        bound_real[i] = (double)bound[i];
                        weight[i] = exp(testing_random_double(&r, 0, 8));
                        total += bound[i];
                }
                amount = testing_random_int(&r, 0, total + 10);
                for (int more = 0; more < 2; more++) {
                        int64_t sum = 0, expected = amount + more < total ? amount + more : total;

                        ck_assert_int_eq(waterfill_round(bound, weight, n, amount + more, order,
                                                         share[more]), 0);
                        for (size_t i = 0; i < n; i++)
                                sum += share[more][i];
                        ck_assert_int_eq(sum, expected);
                }
                ck_assert_int_eq(waterfill_solve(bound_real, weight, n, (double)amount, order, real,
                                                 &theta), 0);
                for (size_t i = 0; i < n; i++) {
                        ck_assert_int_ge(share[0][i], 0);
                        ck_assert_int_ge(share[1][i], share[0][i]);
                        ck_assert_int_le(share[1][i], bound[i]);
                        max_deviation = fmax(max_deviation, fabs((double)share[0][i] - real[i]));
                }
        }
        fprintf(stderr, "# largest distance from the real share %.3f\n", max_deviation);
        /* Webster leaves the quota where many small claimants round the same way; half a unit for each
         * of them is the most. */
        ck_assert_double_lt(max_deviation, 0.5 * N_MAX);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("prop_waterfill");
        TCase *t = tcase_create("properties");

        tcase_add_test(t, kkt_conditions_hold_to_a_billionth);
        tcase_add_test(t, nashs_axioms_hold);
        tcase_add_test(t, no_transfer_raises_the_nash_product);
        tcase_add_test(t, whole_shares_equal_those_handed_out_one_by_one);
        tcase_add_test(t, whole_shares_are_exact_in_sum_and_monotone);
        suite_add_tcase(s, t);
        return testing_run(s);
}
