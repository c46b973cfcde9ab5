/* SPDX-License-Identifier: MIT */

/* price.json: the price of a path, what services with a fixed price take, and the response to a price.
 * Where the file lets a response raise demand, here it does not: it only ever lowers. */

#include "core/market.h"
#include "core/price.h"
#include "core/waterfill.h"
#include "lib/vectors.h"

START_TEST(the_price_of_a_path_is_that_of_its_cpu)
{
        json_object *file = vectors_load("tests/data/price.json");
        json_object *vector = vectors_get(file, "path_price"), *domains = vectors_get(vector, "lam");
        json_object *paths = vectors_get(vector, "paths");

        for (size_t p = 0; p < json_object_array_length(paths); p++) {
                json_object *path = json_object_array_get_idx(paths, p), *hops = vectors_get(path, "hops");
                double price = 0;

                /* The file has two hosts; the price of a path over both is the sum. */
                json_object_object_foreach(domains, domain, lambda) {
                        double visits[VECTORS_MAX], cpu_ms[VECTORS_MAX];
                        size_t n = 0;

                        for (size_t h = 0; h < json_object_array_length(hops); h++) {
                                json_object *hop = json_object_array_get_idx(hops, h);

                                if (strcmp(vectors_text(hop, "dom"), domain) != 0)
                                        continue;
                                visits[n] = vectors_double(hop, "visits");
                                cpu_ms[n++] = vectors_double(hop, "cpu_ms");
                        }
                        price += price_of_path(vectors_number(lambda), visits, cpu_ms, n);
                }
                vectors_assert_near(price, vectors_double(path, "price"), 1e-12,
                                    vectors_text(path, "name"));
        }
        json_object_put(file);
}
END_TEST

START_TEST(the_response_follows_the_vectors_and_never_raises)
{
        json_object *file = vectors_load("tests/data/price.json");
        json_object *cases = vectors_get(file, "demand_response");
        size_t n_cases = json_object_array_length(cases), n_lowered = 0;

        ck_assert_uint_ge(n_cases, 30);
        for (size_t k = 0; k < n_cases; k++) {
                json_object *c = json_object_array_get_idx(cases, k);
                double need = vectors_double(c, "demand"), expected = vectors_double(c, "out");
                double actual = price_respond(need, vectors_double(c, "price"), vectors_double(c, "ref"),
                                              vectors_double(c, "elasticity"), vectors_double(c, "lo"),
                                              vectors_double(c, "hi"));

                vectors_assert_near(actual, fmin(expected, need), 1e-12, "demand_response");
                n_lowered += expected < need;
        }
        ck_assert_uint_ge(n_lowered, 5);
        json_object_put(file);
}
END_TEST

/* With the price known nobody needs the others: d + min(b, w / lambda). */
START_TEST(a_service_takes_at_a_price_what_the_market_would_give_it)
{
        json_object *file = vectors_load("tests/data/price.json");
        json_object *cases = vectors_get(file, "best_response");

        for (size_t k = 0; k < json_object_array_length(cases); k++) {
                json_object *c = json_object_array_get_idx(cases, k);
                double d = vectors_double(c, "d"), u = vectors_double(c, "u"), w = vectors_double(c, "w");
                double lambda = vectors_double(c, "lam"), x = vectors_double(c, "x");
                /* A market in which another service has all the same leaves it that share. */
                double bound[2] = { u - d, INFINITY }, weight[2] = { w, 1 }, share[2], theta;
                size_t order[2];

                if (lambda == 0) {
                        ck_assert_double_eq(x, u);
                        continue;
                }
                ck_assert_int_eq(waterfill_solve(bound, weight, 2, fmin(u - d, w / lambda) + 1 / lambda,
                                                 order, share, &theta), 0);
                vectors_assert_near(d + share[0], x, 1e-9, "x");
                vectors_assert_near(1 / theta, lambda, 1e-9, "lambda");
        }
        json_object_put(file);
}
END_TEST

START_TEST(the_shadow_price_of_every_market_is_that_of_the_vectors)
{
        json_object *file = vectors_load("tests/data/price.json");
        json_object *cases = vectors_get(file, "cases");

        ck_assert_uint_eq(json_object_array_length(cases), 20);
        for (size_t k = 0; k < json_object_array_length(cases); k++) {
                json_object *c = json_object_array_get_idx(cases, k);
                double d[VECTORS_MAX], u[VECTORS_MAX], w[VECTORS_MAX], expected[VECTORS_MAX];
                double lower[VECTORS_MAX], upper[VECTORS_MAX], view_weight[VECTORS_MAX], x[VECTORS_MAX];
                double bound[VECTORS_MAX], share[VECTORS_MAX], rounding_weight[VECTORS_MAX];
                struct gain gain[VECTORS_MAX];
                int64_t bound_milli[VECTORS_MAX], share_milli[VECTORS_MAX];
                size_t order[VECTORS_MAX], n = vectors_doubles(c, "d", d);
                struct market_rules rules = { .capacity_milli = vectors_double(c, "C"), .spare = 1 };
                struct market_scratch scratch = { order, bound, share, bound_milli, share_milli };
                struct market_tier_view view = { lower, upper, view_weight, gain, rounding_weight };
                struct player players[VECTORS_MAX];
                struct market_outcome outcome;

                vectors_doubles(c, "u", u);
                vectors_doubles(c, "w", w);
                vectors_doubles(c, "x", expected);
                /* The file's upper level is the need: above it there is no price. */
                for (size_t i = 0; i < n; i++)
                        players[i] = (struct player){ 0, d[i], u[i], u[i], w[i], -1 };
                ck_assert_int_eq(market_solve(&rules, players, n, &scratch, &view, x, &outcome), 0);
                vectors_assert_near(outcome.shadow_price, vectors_double(c, "lam"), 1e-12, "lam");
                for (size_t i = 0; i < n; i++)
                        vectors_assert_near(x[i], expected[i], 1e-9, "x");
        }
        json_object_put(file);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ref_price");
        TCase *t = tcase_create("vectors");

        tcase_add_test(t, the_price_of_a_path_is_that_of_its_cpu);
        tcase_add_test(t, the_response_follows_the_vectors_and_never_raises);
        tcase_add_test(t, a_service_takes_at_a_price_what_the_market_would_give_it);
        tcase_add_test(t, the_shadow_price_of_every_market_is_that_of_the_vectors);
        suite_add_tcase(s, t);
        return testing_run(s);
}
