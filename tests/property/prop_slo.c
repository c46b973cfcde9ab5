/* SPDX-License-Identifier: MIT */

/* Latency targets on random input, absurd steepnesses and targets included: the shape of score and gain,
 * and the bargain among players with and without a target. */

#include "core/bargain.h"
#include "lib/slo_fixture.h"

#define N_CASES 1000
#define N_MAX 24

/* ---- score and gain ----------------------------------------------------------------------------- */

START_TEST(the_score_bends_up_left_of_the_inflection_and_down_right_of_it)
{
        struct testing_random r = { testing_seed() };
        unsigned n_inner = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct slo slo = slo_fixture_random(&r, k % 4 == 0);
                double middle = slo_inflection_milli(&slo), step = middle / 50, last = 0;

                ck_assert(slo_is_valid(&slo) && middle >= 0 && isfinite(middle));
                n_inner += middle > slo.latency.load_milli + slo.latency.margin_milli;
                /* d g / dx, in the logarithm, rises up to there and falls from there on */
                for (int i = 0; i < 100; i++) {
                        double x = middle + (i - 50) * step;
                        double slope = slo_log_score(&slo, x) + log(slo_fixture_log_score_slope(&slo, x));
                        double noise = 1e-9 * fmax(1, fabs(slope));

                        if (isinf(slope))
                                continue;       /* no slope is left that a double could hold */
                        if (i > 0 && i <= 50)
                                ck_assert_double_ge(slope, last - noise);
                        else if (i > 50)
                                ck_assert_double_le(slope, last + noise);
                        last = slope;
                }
        }
        ck_assert_uint_ge(n_inner, N_CASES / 2);
}
END_TEST

START_TEST(a_target_makes_nobody_greedier_and_urge_falls)
{
        struct testing_random r = { testing_seed() };
        unsigned n_chord = 0, n_tangent = 0, n_curve = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct gain g = slo_fixture_random_gain(&r, k % 2);
                double last = INFINITY;

                n_chord += g.tangent_milli > 0 && g.tangent_milli >= g.box_milli;
                n_tangent += g.tangent_milli > 0 && g.tangent_milli < g.box_milli;
                n_curve += g.tangent_milli == 0 && g.box_milli > 0;
                for (int i = -30; i <= 0; i++) {
                        double share = g.box_milli * exp(i / 3.0), log_urge;

                        if (share <= 0)
                                break;
                        log_urge = gain_log_urge(&g, share);
                        ck_assert(isfinite(log_urge));
                        ck_assert_double_le(log_urge, -log(share));
                        if (share < g.tangent_milli)
                                ck_assert_double_eq(gain_urge(&g, share), 1 / share);
                        ck_assert_double_lt(log_urge, last);
                        last = log_urge;
                }
        }
        ck_assert_uint_ge(n_chord, N_CASES / 20);
        ck_assert_uint_ge(n_tangent, N_CASES / 20);
        ck_assert_uint_ge(n_curve, N_CASES / 20);
}
END_TEST

/* Between two shares a concave gain grows by no more than the urge at the lower one promises, and by no
 * less than that at the higher. */
START_TEST(the_gain_is_concave_and_urge_is_its_slope)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct gain g = slo_fixture_random_gain(&r, k % 2);

                for (int i = -60; i < 0; i++) {
                        double a = g.box_milli * exp(i / 6.0), b = g.box_milli * exp((i + 1) / 6.0), rise;
                        double noise = 1e-9 * (1 + fabs(g.z_lower) * 1e-5);

                        if (a <= 0)
                                break;
                        rise = gain_log(&g, b) - gain_log(&g, a);
                        ck_assert_double_le(rise, gain_urge(&g, a) * (b - a) * (1 + 1e-9) + noise);
                        ck_assert_double_ge(rise, gain_urge(&g, b) * (b - a) * (1 - 1e-9) - noise);
                        ck_assert_double_le(gain_log(&g, a), log(a) + noise);
                }
        }
}
END_TEST

START_TEST(demand_is_where_the_urge_is_as_asked_whatever_the_hint)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < 5 * N_CASES; k++) {
                struct gain g = slo_fixture_random_gain(&r, k % 2);
                double share = g.box_milli * slo_fixture_log_uniform(&r, 1e-4, 1), elasticity, found;
                double log_urge = gain_log_urge(&g, share), step;

                if (g.box_milli == 0) {
                        ck_assert_double_eq(slo_fixture_demand(&g, 1e-3, 0), 0);
                        continue;
                }
                found = gain_demand_at(&g, log_urge, 0, &elasticity);
                ck_assert_double_eq_tol(found / share, 1, 1e-8);
                for (int hint = 0; hint < 3; hint++)
                        ck_assert_double_eq_tol(
                                gain_demand_at(&g, log_urge,
                                               g.box_milli * testing_random_double(&r, 0, 1.1), &step) /
                                found, 1, 1e-8);
                if (log_urge > -600)
                        ck_assert_double_eq_tol(slo_fixture_demand(&g, exp(log_urge), found * 1.01) / found, 1, 1e-8);
                ck_assert_double_eq(gain_demand_at(&g, gain_log_urge(&g, g.box_milli) - 1, 0, &step),
                                    g.box_milli);
                ck_assert_double_eq(step, 0);
        }
}
END_TEST

START_TEST(a_gain_that_moved_is_the_gain_that_would_be_made_there)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct gain moved = slo_fixture_random_gain(&r, k % 2), made;
                const struct slo slo = moved.slo;
                double lower = moved.lower_milli + (double)testing_random_int(&r, 0, 1);
                double upper = fmax(moved.lower_milli + moved.box_milli * testing_random_double(&r, 0.5, 2),
                                    lower);

                gain_move(&moved, lower, upper);
                gain_init(&made, &slo, lower, upper);
                ck_assert_double_eq(moved.lower_milli, made.lower_milli);
                ck_assert_double_eq(moved.box_milli, made.box_milli);
                ck_assert_double_eq(moved.z_lower, made.z_lower);
                ck_assert_double_le(fabs(moved.tangent_milli - made.tangent_milli), 1e-9 * made.tangent_milli);
                ck_assert_double_le(fabs(moved.log_rise_per_milli - made.log_rise_per_milli),
                                    1e-9 * (1 + fabs(made.log_rise_per_milli)));
        }
}
END_TEST

/* ---- bargain ------------------------------------------------------------------------------------ */

struct bargain {
        struct gain gain[N_MAX];
        double weight[N_MAX], share[N_MAX], amount, price;
        size_t n;
};

static int solve(struct bargain *b, unsigned max_iterations)
{
        double bound[N_MAX];
        size_t order[N_MAX];

        return bargain_solve(b->gain, b->weight, b->n, b->amount, max_iterations, bound, order, b->share,
                             &b->price);
}

static struct bargain random_bargain(struct testing_random *r, bool is_extreme)
{
        struct bargain b = { .n = (size_t)testing_random_int(r, 1, N_MAX) };
        double boxes = 0;

        for (size_t i = 0; i < b.n; i++) {
                b.gain[i] = slo_fixture_random_gain(r, is_extreme);
                if (testing_random_int(r, 0, 2) == 0)
                        gain_init(&b.gain[i], NULL, 0, b.gain[i].box_milli);
                b.weight[i] = slo_fixture_log_uniform(r, 0.1, 1e4);
                boxes += b.gain[i].box_milli;
        }
        b.amount = boxes * (testing_random_int(r, 0, 9) ? testing_random_double(r, 0, 1.02)
                                                        : slo_fixture_log_uniform(r, 1e-9, 1));
        return b;
}

START_TEST(shares_add_up_and_everybody_between_its_bounds_has_the_same_marginal_gain)
{
        struct testing_random r = { testing_seed() };
        double worst = 0;

        for (int k = 0; k < 2 * N_CASES; k++) {
                struct bargain b = random_bargain(&r, k % 2);
                double sum = 0, boxes = 0;

                ck_assert_int_eq(solve(&b, 100), 0);
                for (size_t i = 0; i < b.n; i++) {
                        double box = b.gain[i].box_milli, log_marginal;

                        ck_assert(b.share[i] >= 0 && b.share[i] <= box);
                        sum += b.share[i];
                        boxes += box;
                        if (box == 0 || b.price == 0 || isinf(b.price))
                                continue;
                        log_marginal = log(b.weight[i]) + gain_log_urge(&b.gain[i], b.share[i]);
                        if (log_marginal < -600)
                                continue;       /* the price has left the range of doubles */
                        /* In shares: how far from where the price would have it. A slope that falls
                         * tenfold within a unit of rounding has no better answer. */
                        if (b.share[i] < box) {
                                double wanted = slo_fixture_demand(&b.gain[i], b.price / b.weight[i], 0);

                                worst = fmax(worst, fabs(wanted - b.share[i]) / fmax(1, b.amount));
                        } else {
                                ck_assert_double_ge(log_marginal, log(b.price) - 1e-6);
                        }
                }
                ck_assert_double_eq_tol(sum, fmin(b.amount, boxes), 1e-9 * (1 + b.amount));
        }
        fprintf(stderr, "# worst distance from the optimality conditions: %.2g of the amount\n", worst);
        ck_assert_double_le(worst, 1e-8);
}
END_TEST

START_TEST(nobody_gets_more_with_a_target_than_without)
{
        struct testing_random r = { testing_seed() };
        unsigned n_less = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct bargain b = random_bargain(&r, k % 4 == 0), plain = b;
                size_t i = (size_t)testing_random_int(&r, 0, (int64_t)b.n - 1);
                double tol = 1e-8 * (1 + b.amount);

                gain_init(&plain.gain[i], NULL, b.gain[i].lower_milli,
                          b.gain[i].lower_milli + b.gain[i].box_milli);
                ck_assert_int_eq(solve(&b, 100), 0);
                ck_assert_int_eq(solve(&plain, 100), 0);
                for (size_t j = 0; j < b.n; j++)
                        if (j == i)
                                ck_assert_double_le(b.share[j], plain.share[j] + tol);
                        else
                                ck_assert_double_ge(b.share[j], plain.share[j] - tol);
                n_less += b.share[i] < 0.99 * plain.share[i];
        }
        ck_assert_uint_ge(n_less, N_CASES / 20);
}
END_TEST

START_TEST(more_to_share_harms_nobody_and_lowers_the_price)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct bargain b = random_bargain(&r, k % 4 == 0), more = b;
                double tol;

                more.amount *= testing_random_double(&r, 1, 1.5);
                tol = 1e-8 * (1 + more.amount);
                ck_assert_int_eq(solve(&b, 100), 0);
                ck_assert_int_eq(solve(&more, 100), 0);
                ck_assert_double_le(more.price, b.price * (1 + 1e-6));
                for (size_t i = 0; i < b.n; i++)
                        ck_assert_double_ge(more.share[i], b.share[i] - tol);
        }
}
END_TEST

START_TEST(neither_order_nor_a_common_factor_of_the_weights_matters)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct bargain b = random_bargain(&r, k % 4 == 0), other = b;
                double factor = slo_fixture_log_uniform(&r, 1e-3, 1e3);

                for (size_t i = 0; i < b.n; i++) {
                        other.gain[i] = b.gain[b.n - 1 - i];
                        other.weight[i] = b.weight[b.n - 1 - i] * factor;
                }
                ck_assert_int_eq(solve(&b, 100), 0);
                ck_assert_int_eq(solve(&other, 100), 0);
                for (size_t i = 0; i < b.n; i++)
                        ck_assert_double_eq_tol(b.share[i], other.share[b.n - 1 - i],
                                                1e-8 * (1 + b.amount));
        }
}
END_TEST

/* What is reported as solved is solved, however few steps were allowed. */
START_TEST(too_few_iterations_are_told)
{
        struct testing_random r = { testing_seed() };
        unsigned n_told = 0, most = 0;
        double needed = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct bargain b = random_bargain(&r, k % 2), full = b;
                unsigned i = 1;

                ck_assert_int_eq(solve(&full, 100), 0);
                for (;; i++) {
                        int result = solve(&b, i);

                        if (result == 0)
                                break;
                        ck_assert_int_eq(result, BARGAIN_NOT_CONVERGED);
                        n_told++;
                }
                needed += i;
                most = i > most ? i : most;
                for (size_t j = 0; j < b.n; j++)
                        ck_assert_double_eq_tol(b.share[j], full.share[j], 1e-6 * (1 + b.amount));
        }
        fprintf(stderr, "# iterations: %.1f on average, %u at most\n", needed / N_CASES, most);
        ck_assert_uint_ge(n_told, N_CASES);
        ck_assert_uint_le(most, 80);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("prop_slo");
        TCase *gain = tcase_create("gain"), *bargain = tcase_create("bargain");

        tcase_add_test(gain, the_score_bends_up_left_of_the_inflection_and_down_right_of_it);
        tcase_add_test(gain, a_target_makes_nobody_greedier_and_urge_falls);
        tcase_add_test(gain, the_gain_is_concave_and_urge_is_its_slope);
        tcase_add_test(gain, demand_is_where_the_urge_is_as_asked_whatever_the_hint);
        tcase_add_test(gain, a_gain_that_moved_is_the_gain_that_would_be_made_there);
        suite_add_tcase(s, gain);

        tcase_add_test(bargain, shares_add_up_and_everybody_between_its_bounds_has_the_same_marginal_gain);
        tcase_add_test(bargain, nobody_gets_more_with_a_target_than_without);
        tcase_add_test(bargain, more_to_share_harms_nobody_and_lowers_the_price);
        tcase_add_test(bargain, neither_order_nor_a_common_factor_of_the_weights_matters);
        tcase_add_test(bargain, too_few_iterations_are_told);
        suite_add_tcase(s, bargain);
        return testing_run(s);
}
