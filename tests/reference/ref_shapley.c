/* SPDX-License-Identifier: MIT */

/* Shapley values and the random numbers below them: every case of shapley.json, and the definition
 * itself, which walks through all orders of arrival. */

#include "core/random.h"
#include "core/shapley.h"
#include "lib/vectors.h"

#define N_MAX 10
#define N_BRUTE_MAX 7

static unsigned load_worth(json_object *from, double ret[1 << N_MAX])
{
        json_object *v = vectors_get(from, "v");
        unsigned n = (unsigned)vectors_double(from, "n");

        ck_assert_uint_le(n, N_MAX);
        ck_assert_uint_eq(json_object_array_length(v), 1u << n);
        for (size_t s = 0; s < 1u << n; s++)
                ret[s] = vectors_number(json_object_array_get_idx(v, s));
        return n;
}

START_TEST(every_exact_vector_is_met)
{
        json_object *file = vectors_load("tests/data/shapley.json");
        json_object *cases = vectors_get(file, "exact");
        double worth[1 << N_MAX], expected[VECTORS_MAX], value[N_MAX];

        ck_assert_uint_eq(json_object_array_length(cases), 16);
        for (size_t k = 0; k < 16; k++) {
                json_object *c = json_object_array_get_idx(cases, k);
                unsigned n = load_worth(c, worth);

                ck_assert_uint_eq(vectors_doubles(c, "shapley", expected), n);
                ck_assert_int_eq(shapley_exact(worth, n, value), 0);
                for (unsigned i = 0; i < n; i++)
                        vectors_assert_near(value[i], expected[i], 1e-12, "exact");
        }
        json_object_put(file);
}
END_TEST

/* Adds the marginal contributions of all orders that begin with those present. Returns how many. */
static unsigned add_all_orders(const double worth[], unsigned n, uint32_t present, double sum[])
{
        unsigned n_orders = 0;

        if (present == (1u << n) - 1)
                return 1;
        for (unsigned i = 0; i < n; i++) {
                uint32_t after = present | 1u << i;
                unsigned n_here;

                if (after == present)
                        continue;
                n_here = add_all_orders(worth, n, after, sum);
                sum[i] += n_here * (worth[after] - worth[present]);
                n_orders += n_here;
        }
        return n_orders;
}

START_TEST(it_is_the_mean_over_all_orders_of_arrival)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < 60; k++) {
                unsigned n = 1 + (unsigned)k % N_BRUTE_MAX, n_orders;
                double worth[1 << N_BRUTE_MAX] = { 0 }, value[N_BRUTE_MAX], sum[N_BRUTE_MAX] = { 0 };

                for (uint32_t s = 1; s < 1u << n; s++)
                        worth[s] = testing_random_double(&r, -10, 100);
                n_orders = add_all_orders(worth, n, 0, sum);
                ck_assert_int_eq(shapley_exact(worth, n, value), 0);
                for (unsigned i = 0; i < n; i++)
                        vectors_assert_near(value[i], sum[i] / n_orders, 1e-12, "all orders");
        }
}
END_TEST

static uint64_t u64_of(json_object *text)
{
        return strtoull(json_object_get_string(text), NULL, 10);
}

START_TEST(random_numbers_are_those_of_the_vectors_bit_for_bit)
{
        json_object *file = vectors_load("tests/data/shapley.json");
        json_object *cases = vectors_get(file, "rng");

        ck_assert_uint_eq(json_object_array_length(cases), 4);
        for (size_t k = 0; k < 4; k++) {
                json_object *c = json_object_array_get_idx(cases, k), *list;
                uint64_t seed = u64_of(vectors_get(c, "seed"));
                struct random r;

                random_init(&r, seed);
                list = vectors_get(c, "state");
                for (size_t i = 0; i < 4; i++)
                        ck_assert_uint_eq(r.state[i], u64_of(json_object_array_get_idx(list, i)));
                list = vectors_get(c, "next");
                for (size_t i = 0; i < json_object_array_length(list); i++)
                        ck_assert_uint_eq(random_next(&r), u64_of(json_object_array_get_idx(list, i)));

                random_init(&r, seed);
                list = vectors_get(c, "below10");
                for (size_t i = 0; i < json_object_array_length(list); i++)
                        ck_assert_int_eq((int64_t)random_below(&r, 10),
                                         json_object_get_int64(json_object_array_get_idx(list, i)));

                random_init(&r, seed);
                list = vectors_get(c, "perm8");
                for (size_t i = 0; i < json_object_array_length(list); i++) {
                        json_object *order = json_object_array_get_idx(list, i);
                        unsigned drawn[8];

                        ck_assert_uint_eq(json_object_array_length(order), 8);
                        random_permutation(&r, 8, drawn);
                        for (size_t j = 0; j < 8; j++)
                                ck_assert_int_eq(drawn[j],
                                                 json_object_get_int(json_object_array_get_idx(order, j)));
                }
        }
        json_object_put(file);
}
END_TEST

static double worth_from_table(const void *ctx, uint32_t subset)
{
        return ((const double *)ctx)[subset];
}

START_TEST(estimates_and_their_errors_are_those_of_the_vectors)
{
        json_object *file = vectors_load("tests/data/shapley.json");
        json_object *game = vectors_get(file, "monte_carlo"), *runs = vectors_get(game, "runs");
        double worth[1 << N_MAX], expected[VECTORS_MAX], value[N_MAX], error[N_MAX];
        unsigned n = load_worth(game, worth);

        vectors_doubles(game, "exact", expected);
        ck_assert_int_eq(shapley_exact(worth, n, value), 0);
        for (unsigned i = 0; i < n; i++)
                vectors_assert_near(value[i], expected[i], 1e-12, "exact");

        ck_assert_uint_gt(json_object_array_length(runs), 0);
        for (size_t k = 0; k < json_object_array_length(runs); k++) {
                json_object *run = json_object_array_get_idx(runs, k);
                unsigned n_pairs = (unsigned)vectors_double(run, "pairs");
                struct shapley_sample sample;
                double half_width = 0;

                ck_assert_int_eq(shapley_estimate(worth_from_table, worth, n,
                                                  (uint64_t)vectors_double(run, "seed"), n_pairs, 0, value,
                                                  error, &sample), 0);
                ck_assert_uint_eq(sample.n_pairs, n_pairs);
                vectors_doubles(run, "estimate", expected);
                for (unsigned i = 0; i < n; i++)
                        vectors_assert_near(value[i], expected[i], 1e-12, "estimate");
                vectors_doubles(run, "stderr", expected);
                for (unsigned i = 0; i < n; i++) {
                        vectors_assert_near(error[i], expected[i], 1e-12, "standard error");
                        half_width = fmax(half_width, 1.96 * expected[i]);
                }
                vectors_assert_near(sample.half_width, half_width, 1e-12, "half-width");
        }
        json_object_put(file);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("shapley");
        TCase *tc = tcase_create("shapley");

        tcase_add_test(tc, every_exact_vector_is_met);
        tcase_add_test(tc, it_is_the_mean_over_all_orders_of_arrival);
        tcase_add_test(tc, random_numbers_are_those_of_the_vectors_bit_for_bit);
        tcase_add_test(tc, estimates_and_their_errors_are_those_of_the_vectors);
        suite_add_tcase(suite, tc);
        return testing_run(suite);
}
