/* SPDX-License-Identifier: MIT */

/* Bankruptcy rules: an estate smaller than the claims. Proportional and constrained equal awards are
 * what OverloadRule= offers and go through the market; equal losses and the Talmud are written out
 * here to keep the vectors honest and for comparison only. */

#include "core/market.h"
#include "lib/market_fixture.h"
#include "lib/vectors.h"

static void divide_by_market(double estate, const double claim[], size_t n, enum overload_rule rule,
                             double ret[])
{
        struct market_rules rules = { estate, 1, rule };
        struct market_fixture m;

        market_fixture_init(&m);
        for (size_t i = 0; i < n; i++)
                m.players[i] = (struct player){ 0, claim[i], claim[i], claim[i], 1, -1 };
        ck_assert_int_eq(market_fixture_solve(&m, &rules, n), 0);
        for (size_t i = 0; i < n; i++)
                ret[i] = m.x[i];
}

/* Everybody loses the same, nobody more than the claim: the losses are awarded equally. */
static void divide_losses_equally(double estate, const double claim[], size_t n, double ret[])
{
        double loss[VECTORS_MAX], sum = 0;

        for (size_t i = 0; i < n; i++)
                sum += claim[i];
        divide_by_market(sum - estate, claim, n, OVERLOAD_WEIGHTED, loss);
        for (size_t i = 0; i < n; i++)
                ret[i] = claim[i] - loss[i];
}

/* Up to half of all claims: equal awards of half claims; beyond: equal losses of half claims. */
static void divide_by_talmud(double estate, const double claim[], size_t n, double ret[])
{
        double half[VECTORS_MAX], sum = 0;

        for (size_t i = 0; i < n; i++) {
                half[i] = claim[i] / 2;
                sum += half[i];
        }
        if (estate <= sum) {
                divide_by_market(estate, half, n, OVERLOAD_WEIGHTED, ret);
                return;
        }
        divide_losses_equally(estate - sum, half, n, ret);
        for (size_t i = 0; i < n; i++)
                ret[i] += half[i];
}

START_TEST(every_vector_of_claims_is_met)
{
        json_object *file = vectors_load("tests/data/claims.json");
        json_object *cases = vectors_get(file, "cases");

        ck_assert_uint_eq(json_object_array_length(cases), 26);
        for (size_t k = 0; k < 26; k++) {
                json_object *c = json_object_array_get_idx(cases, k);
                double claim[VECTORS_MAX], expected[VECTORS_MAX], x[VECTORS_MAX];
                double estate = vectors_double(c, "E");
                size_t n = vectors_doubles(c, "claims", claim);
                static const char *const rules[] = { "proportional", "cea", "cel", "talmud" };

                for (int rule = 0; rule < 4; rule++) {
                        ck_assert_uint_eq(vectors_doubles(c, rules[rule], expected), n);
                        if (rule == 0)
                                divide_by_market(estate, claim, n, OVERLOAD_PROPORTIONAL, x);
                        else if (rule == 1)
                                divide_by_market(estate, claim, n, OVERLOAD_WEIGHTED, x);
                        else if (rule == 2)
                                divide_losses_equally(estate, claim, n, x);
                        else
                                divide_by_talmud(estate, claim, n, x);
                        for (size_t i = 0; i < n; i++)
                                vectors_assert_near(x[i], expected[i], 1e-9, rules[rule]);
                }
        }
        json_object_put(file);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ref_claims");
        TCase *t = tcase_create("vectors");

        tcase_add_test(t, every_vector_of_claims_is_met);
        suite_add_tcase(s, t);
        return testing_run(s);
}
