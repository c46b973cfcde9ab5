/* SPDX-License-Identifier: MIT */

/* Latency, score, envelope and the bargain with latency targets: every case of slo.json. What the product
 * does not solve, the bargain over the scores themselves instead of their envelopes, is solved here by
 * nested bisection, on the product's score. */

#include "core/bargain.h"
#include "lib/slo_fixture.h"
#include "lib/vectors.h"

#define N_MAX 8

static struct slo slo_of(json_object *agent)
{
        if (json_object_object_get(agent, "tau") == NULL)
                return (struct slo){};
        return (struct slo){
                .latency = {
                        .load_milli = vectors_double(agent, "a"),
                        .work_milli_ms = vectors_double(agent, "c"),
                        .other_ms = vectors_double(agent, "L0"),
                        .margin_milli = vectors_double(agent, "y0"),
                },
                .target_ms = vectors_double(agent, "tau"),
                .steepness_per_ms = vectors_double(agent, "k"),
        };
}

struct game {
        const char *name;
        size_t n;
        double amount, tol_x, tol_price;
        struct slo slo[N_MAX];
        double lower[N_MAX], upper[N_MAX], weight[N_MAX], x[N_MAX], latency[N_MAX], score[N_MAX];
        double price;
};

static struct game game_of(json_object *file, json_object *c)
{
        struct game g = {
                .name = vectors_text(c, "name"),
                .tol_x = vectors_double(file, "tol_x"),
                .tol_price = vectors_double(file, "tol_lambda_rel"),
                .price = vectors_double(c, "lam"),
        };
        json_object *agents = vectors_get(c, "agents");

        g.n = json_object_array_length(agents);
        ck_assert_uint_le(g.n, N_MAX);
        g.amount = vectors_double(c, "C");
        for (size_t i = 0; i < g.n; i++) {
                json_object *agent = json_object_array_get_idx(agents, i);
                json_object *latency = json_object_array_get_idx(vectors_get(c, "latency"), i);

                g.slo[i] = slo_of(agent);
                ck_assert(slo_is_valid(&g.slo[i]));
                g.lower[i] = vectors_double(agent, "d");
                g.upper[i] = vectors_double(agent, "u");
                g.weight[i] = vectors_double(agent, "w");
                g.amount -= g.lower[i];
                g.x[i] = vectors_number(json_object_array_get_idx(vectors_get(c, "x"), i));
                if (g.slo[i].target_ms > 0) {
                        g.latency[i] = vectors_number(latency);
                        g.score[i] = vectors_number(json_object_array_get_idx(vectors_get(c, "g"), i));
                }
        }
        return g;
}

static void check_solution(const struct game *g, const double x[], double price)
{
        for (size_t i = 0; i < g->n; i++) {
                ck_assert_msg(fabs(x[i] - g->x[i]) <= g->tol_x, "%s: x[%zu] is %.12g, expected %.12g",
                              g->name, i, x[i], g->x[i]);
                if (g->slo[i].target_ms <= 0)
                        continue;
                vectors_assert_near(latency_ms(&g->slo[i].latency, x[i]), g->latency[i], 1e-5, g->name);
                ck_assert_double_eq_tol(exp(slo_log_score(&g->slo[i], x[i])), g->score[i], 1e-6);
        }
        ck_assert_msg(price == g->price || fabs(price / g->price - 1) <= g->tol_price,
                      "%s: price is %.12g, expected %.12g", g->name, price, g->price);
}

/* ---- functions ---------------------------------------------------------------------------------- */

/* Slope of log(g(x) - g(d)) as the definition has it. */
static double raw_urge(const struct slo *slo, double d, double x)
{
        return slo_fixture_log_score_slope(slo, x) / -expm1(slo_log_score(slo, d) - slo_log_score(slo, x));
}

START_TEST(the_functions_take_the_sampled_values)
{
        json_object *file = vectors_load("tests/data/slo.json");
        json_object *samples = vectors_get(file, "function_samples");
        json_object *params = vectors_get(samples, "params"), *rows = vectors_get(samples, "rows");
        struct slo slo = slo_of(params);
        double d = vectors_double(params, "d");
        struct gain gain;

        gain_init(&gain, &slo, d, vectors_double(params, "u"));
        ck_assert_uint_eq(json_object_array_length(rows), 12);
        for (size_t k = 0; k < 12; k++) {
                json_object *row = json_object_array_get_idx(rows, k);
                double x = vectors_double(row, "x"), slope = vectors_double(row, "dlog_g");
                double latency_slope_expected = vectors_double(row, "dT");

                vectors_assert_near(latency_ms(&slo.latency, x), vectors_double(row, "latency_ms"), 1e-12, "T");
                ck_assert_double_eq_tol(latency_slope(&slo.latency, x) / latency_slope_expected, 1, 1e-12);
                ck_assert_double_eq_tol(exp(slo_log_score(&slo, x)), vectors_double(row, "g"), 1e-12);
                vectors_assert_near(slo_log_score(&slo, x), vectors_double(row, "log_g"), 1e-12, "log g");
                ck_assert_double_eq_tol(slo_fixture_log_score_slope(&slo, x) / slope, 1, 1e-12);
                if (vectors_get(row, "psi") == NULL)
                        continue;
                ck_assert_double_eq_tol(raw_urge(&slo, d, x) / vectors_double(row, "psi"), 1, 1e-12);
                ck_assert_double_eq_tol(gain_urge(&gain, x - d) /
                                        fmin(vectors_double(row, "psi"), 1 / (x - d)), 1, 1e-12);
        }
        json_object_put(file);
}
END_TEST

START_TEST(inflection_and_tangent_are_where_they_were_sampled)
{
        json_object *file = vectors_load("tests/data/slo.json");
        json_object *cases = vectors_get(file, "inflection");

        ck_assert_uint_eq(json_object_array_length(cases), 12);
        for (size_t k = 0; k < 12; k++) {
                json_object *c = json_object_array_get_idx(cases, k), *params = vectors_get(c, "params");
                struct slo slo = slo_of(params);
                double d = vectors_double(params, "d"), inflection = slo_inflection_milli(&slo);
                struct gain gain;

                gain_init(&gain, &slo, d, vectors_double(params, "u"));
                ck_assert_double_eq_tol(inflection, vectors_double(c, "x_inflection"), 1e-6);
                ck_assert_double_eq_tol(latency_ms(&slo.latency, inflection) - slo.latency.other_ms,
                                        vectors_double(c, "h_star"), 1e-6);
                ck_assert_double_eq_tol(d + gain.tangent_milli, vectors_double(c, "envelope_tangent"), 1e-5);
        }
        json_object_put(file);
}
END_TEST

/* ---- bargains ----------------------------------------------------------------------------------- */

static void check_tangent(const struct gain *gain, json_object *expected, const char *name)
{
        if (expected == NULL)           /* plain, or no chord */
                ck_assert_msg(gain_is_plain(gain) || gain->tangent_milli == 0, "%s", name);
        else if (json_object_is_type(expected, json_type_string))
                ck_assert_double_eq(gain->tangent_milli, gain->box_milli);
        else
                ck_assert_double_eq_tol(gain->lower_milli + gain->tangent_milli,
                                        json_object_get_double(expected), 1e-5);
}

START_TEST(bargains_over_envelopes_are_those_of_the_independent_solver)
{
        json_object *file = vectors_load("tests/data/slo.json");
        json_object *cases = vectors_get(file, "envelope_cases");

        ck_assert_uint_eq(json_object_array_length(cases), 18);
        for (size_t k = 0; k < 18; k++) {
                json_object *c = json_object_array_get_idx(cases, k);
                struct game g = game_of(file, c);
                double bound[N_MAX], x[N_MAX], price, sum = 0;
                size_t order[N_MAX];
                struct gain gain[N_MAX];

                for (size_t i = 0; i < g.n; i++) {
                        gain_init(&gain[i], &g.slo[i], g.lower[i], g.upper[i]);
                        check_tangent(&gain[i], json_object_array_get_idx(vectors_get(c, "tangent"), i),
                                      g.name);
                }
                ck_assert_int_eq(bargain_solve(gain, g.weight, g.n, g.amount, 100, bound, order, x, &price),
                                 0);
                for (size_t i = 0; i < g.n; i++)
                        sum += x[i] += g.lower[i];
                vectors_assert_near(sum, vectors_double(c, "sum_x"), 1e-9, g.name);
                check_solution(&g, x, price);
        }
        json_object_put(file);
}
END_TEST

/* The share at which the urge, of the score itself, is w / price. */
static double raw_demand(const struct game *g, size_t i, double price)
{
        double low = 0, high = g->upper[i] - g->lower[i];

        for (int k = 0; k < 200; k++) {
                double share = (low + high) / 2;
                double urge = g->slo[i].target_ms > 0
                        ? raw_urge(&g->slo[i], g->lower[i], g->lower[i] + share) : 1 / share;

                *(g->weight[i] * urge >= price ? &low : &high) = share;
        }
        return (low + high) / 2;
}

/* A service that cannot meet its target then has a slope without bound and strips the others: why the
 * product bargains over envelopes. */
START_TEST(bargains_over_the_scores_themselves_are_those_of_the_independent_solver)
{
        json_object *file = vectors_load("tests/data/slo.json");
        json_object *cases = vectors_get(file, "cases");

        ck_assert_uint_eq(json_object_array_length(cases), 18);
        for (size_t k = 0; k < 18; k++) {
                json_object *c = json_object_array_get_idx(cases, k);
                struct game g = game_of(file, c);
                double low = log(1e-12), high = log(1e3), x[N_MAX], objective = 0, sum = 0;

                for (size_t i = 0; i < g.n; i++)
                        sum += g.upper[i] - g.lower[i];
                for (int step = 0; step < 100; step++) {
                        double middle = (low + high) / 2, total = 0;

                        for (size_t i = 0; i < g.n; i++)
                                total += raw_demand(&g, i, exp(middle));
                        *(total >= g.amount ? &low : &high) = middle;
                }
                for (size_t i = 0; i < g.n; i++) {
                        x[i] = g.lower[i] + raw_demand(&g, i, exp(low));
                        if (g.slo[i].target_ms > 0)
                                objective += g.weight[i] *
                                             log(exp(slo_log_score(&g.slo[i], x[i])) -
                                                 exp(slo_log_score(&g.slo[i], g.lower[i])));
                        else
                                objective += g.weight[i] * log(x[i] - g.lower[i]);
                }
                check_solution(&g, x, sum <= g.amount ? 0 : exp(low));
                vectors_assert_near(objective, vectors_double(c, "objective"), 1e-7, g.name);
        }
        json_object_put(file);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ref_slo");
        TCase *t = tcase_create("vectors");

        tcase_add_test(t, the_functions_take_the_sampled_values);
        tcase_add_test(t, inflection_and_tangent_are_where_they_were_sampled);
        tcase_add_test(t, bargains_over_envelopes_are_those_of_the_independent_solver);
        tcase_add_test(t, bargains_over_the_scores_themselves_are_those_of_the_independent_solver);
        suite_add_tcase(s, t);
        return testing_run(s);
}
