/* SPDX-License-Identifier: MIT */

/* What coalitions are worth: every case of coalition.json, computed by a general-purpose optimiser. */

#include "core/shapley.h"
#include "lib/vectors.h"

#define N_CASES 20
#define N_MAX 5

static void init_game(json_object *c, struct worth_game *ret)
{
        json_object *players = vectors_get(c, "players");
        unsigned n = (unsigned)json_object_array_length(players);
        struct member members[N_MAX];

        ck_assert_uint_le(n, N_MAX);
        for (unsigned i = 0; i < n; i++) {
                json_object *p = json_object_array_get_idx(players, i);

                members[i] = (struct member){
                        .latency = { .load_milli = vectors_double(p, "a"),
                                     .work_milli_ms = vectors_double(p, "c"),
                                     .other_ms = vectors_double(p, "L0"),
                                     .margin_milli = vectors_double(p, "y0") },
                        .importance = vectors_double(p, "omega"),
                        .entitlement_milli = vectors_double(p, "e"),
                        .least_milli = vectors_double(p, "m"),
                        .most_milli = vectors_double(p, "u"),
                };
        }
        ck_assert_int_eq(worth_game_init(ret, members, n), 0);
}

/* Their optimiser stops at a tolerance of the objective, so that an amount is known less well than a
 * worth; ours may only be better, by as little. */
static void check_case(json_object *c, double tol, unsigned k)
{
        double expected[VECTORS_MAX], x[N_MAX], value[N_MAX], worth[1 << N_MAX], price, pool = 0, sum = 0;
        struct worth_game g;
        char what[32];

        snprintf(what, sizeof what, "case %u", k);
        init_game(c, &g);
        ck_assert_int_eq(worth_all(&g, worth), 0);
        ck_assert_uint_eq(vectors_doubles(c, "v", expected), 1u << g.n);
        for (uint32_t s = 0; s < 1u << g.n; s++) {
                vectors_assert_near(worth[s], expected[s], tol, what);
                ck_assert_double_ge(worth[s], expected[s] - 1e-9 * fmax(1, expected[s]));
        }

        for (unsigned i = 0; i < g.n; i++)
                pool += g.members[i].entitlement_milli;
        ck_assert_int_eq(worth_divide(&g, (1u << g.n) - 1, pool, x, &price), 0);
        vectors_doubles(c, "grand_x", expected);
        for (unsigned i = 0; i < g.n; i++) {
                vectors_assert_near(x[i], expected[i], tol, what);
                sum += x[i];
        }
        vectors_assert_near(sum, pool, 1e-13, what);
        vectors_assert_near(price, vectors_double(c, "price"), tol, what);

        ck_assert_int_eq(shapley_exact(worth, g.n, value), 0);
        vectors_doubles(c, "shapley", expected);
        for (unsigned i = 0; i < g.n; i++)
                vectors_assert_near(value[i], expected[i], tol, what);
}

START_TEST(every_vector_of_coalition_is_met)
{
        json_object *file = vectors_load("tests/data/coalition.json");
        json_object *cases = vectors_get(file, "cases");

        ck_assert_uint_eq(json_object_array_length(cases), N_CASES);
        for (unsigned k = 0; k < N_CASES; k++)
                check_case(json_object_array_get_idx(cases, k), vectors_double(file, "tol_rel"), k);
        json_object_put(file);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("coalition");
        TCase *tc = tcase_create("coalition");

        tcase_add_test(tc, every_vector_of_coalition_is_met);
        suite_add_tcase(suite, tc);
        return testing_run(suite);
}
