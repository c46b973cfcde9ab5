/* SPDX-License-Identifier: MIT */

/* Coalitions of random members: what theory promises of v, that no other division is better, and that
 * neither order nor rounding changes what matters. */

#include "core/worth.h"

#include <string.h>

#include "lib/testing.h"

#define N_CASES 600
#define N_MAX 7                 /* where all subsets are looked at */

/* Members of every kind: measured or not, held at or below their load, unable to move, equal to another. */
static struct member random_member(struct testing_random *r)
{
        double load = (double)testing_random_int(r, 0, 3000);
        double low = testing_random_double(r, 0, 2), high = testing_random_double(r, 0, 3);
        struct member m = {
                .latency = latency_from_load(load, LATENCY_WORK_NOMINAL_MILLI_MS),
                .importance = (double)testing_random_int(r, 1, 5),
                .least_milli = load * fmin(low, 1),
                .most_milli = load * fmax(low, high) + (double)testing_random_int(r, 0, 1000),
        };

        if (testing_random_int(r, 0, 1) == 0) {
                m.latency.work_milli_ms = exp(testing_random_double(r, 0, 12));
                m.latency.other_ms = testing_random_double(r, 0, 100);
                m.importance = exp(testing_random_double(r, -5, 5));
        }
        switch (testing_random_int(r, 0, 9)) {
        case 0:
                m.most_milli = m.least_milli;
                break;
        case 1:
                m.least_milli = 0;
                break;
        case 2:
                m.least_milli = m.most_milli * testing_random_double(r, 0, 1);
                break;
        }
        m.entitlement_milli = m.least_milli +
                              (m.most_milli - m.least_milli) * testing_random_double(r, 0, 1);
        m.entitlement_milli = fmin(m.entitlement_milli, m.most_milli);
        return m;
}

static void random_game(struct testing_random *r, unsigned n, struct worth_game *ret)
{
        struct member members[COALITION_MEMBERS_MAX];

        for (unsigned i = 0; i < n; i++)
                members[i] = i > 0 && testing_random_int(r, 0, 4) == 0 ? members[i - 1] : random_member(r);
        ck_assert_int_eq(worth_game_init(ret, members, n), 0);
}

static uint32_t everybody(const struct worth_game *g)
{
        return UINT32_MAX >> (32 - g->n);
}

static double pool_of(const struct worth_game *g)
{
        double pool = 0;

        for (unsigned i = 0; i < g->n; i++)
                pool += g->members[i].entitlement_milli;
        return pool;
}

/* Anything between all least levels and all most levels, sometimes just that. */
static double random_pool(struct testing_random *r, const struct worth_game *g)
{
        double least = 0, most = 0, share = testing_random_double(r, -0.1, 1.1);

        for (unsigned i = 0; i < g->n; i++) {
                least += g->members[i].least_milli;
                most += g->members[i].most_milli;
        }
        return least + (most - least) * fmin(fmax(share, 0), 1);
}

/* Rounding of a sum of utilities is relative to the largest of them. */
static double scale_of(const struct worth_game *g)
{
        double scale = 1;

        for (unsigned i = 0; i < g->n; i++)
                scale += g->curves[i].least_cost;
        return scale;
}

/* F without the time that no CPU shortens. */
static double gain_of(const struct worth_game *g, const double x[])
{
        double gain = 0;

        for (unsigned i = 0; i < g->n; i++) {
                struct member m = g->members[i];

                m.latency.other_ms = 0;
                gain += worth_utility_of(&m, x[i]) - worth_utility_of(&m, m.entitlement_milli);
        }
        return gain;
}

START_TEST(worth_is_zero_alone_and_grows_with_every_merger)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                double worth[1 << N_MAX], tol;
                struct worth_game g;
                uint32_t all;

                random_game(&r, (unsigned)testing_random_int(&r, 1, k % 10 ? 5 : N_MAX), &g);
                all = everybody(&g);
                tol = 1e-12 * scale_of(&g);
                ck_assert_int_eq(worth_all(&g, worth), 0);
                for (uint32_t s = 0; s <= all; s++) {
                        ck_assert_double_ge(worth[s], 0);
                        if ((s & (s - 1)) == 0)
                                ck_assert_double_eq(worth[s], 0);
                        /* with every part of the rest: superadditive, hence monotone */
                        for (uint32_t rest = all & ~s, t = rest; t != 0; t = (t - 1) & rest)
                                ck_assert_double_ge(worth[s | t], worth[s] + worth[t] - tol);
                }
        }
}
END_TEST

/* A family of subsets with weights, in which every member has weight 1 in all: takes random subsets of
 * those that have some left, until nobody has. */
START_TEST(no_balanced_family_is_worth_more_than_all_together)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                double worth[1 << N_MAX], tol;
                struct worth_game g;

                random_game(&r, (unsigned)testing_random_int(&r, 2, N_MAX), &g);
                tol = 1e-12 * scale_of(&g);
                ck_assert_int_eq(worth_all(&g, worth), 0);
                for (int family = 0; family < 20; family++) {
                        double left[N_MAX], sum = 0;
                        uint32_t support = everybody(&g);

                        for (unsigned i = 0; i < g.n; i++)
                                left[i] = 1;
                        while (support != 0) {
                                uint32_t s = support & (uint32_t)testing_random_u64(&r);
                                double weight = 1;

                                if (s == 0)
                                        continue;
                                for (unsigned i = 0; i < g.n; i++)
                                        if (s >> i & 1)
                                                weight = fmin(weight, left[i]);
                                if (testing_random_int(&r, 0, 1) == 0 && weight > 0.1)
                                        weight *= testing_random_double(&r, 0.1, 1);
                                sum += weight * worth[s];
                                for (unsigned i = 0; i < g.n; i++) {
                                        if (s >> i & 1)
                                                left[i] -= weight;
                                        if (left[i] <= 0)
                                                support &= ~(1u << i);
                                }
                        }
                        ck_assert_double_le(sum, worth[everybody(&g)] + tol);
                }
        }
}
END_TEST

START_TEST(a_division_keeps_its_sum_and_everybody_in_its_box)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < 4 * N_CASES; k++) {
                double x[COALITION_MEMBERS_MAX], pool, sum = 0;
                struct worth_game g;

                random_game(&r, (unsigned)testing_random_int(&r, 1, COALITION_MEMBERS_MAX), &g);
                pool = random_pool(&r, &g);
                ck_assert_int_ge(worth_divide(&g, everybody(&g), pool, x, NULL), 0);
                for (unsigned i = 0; i < g.n; i++) {
                        /* of a pool that is the sum of all least levels but for rounding */
                        ck_assert_double_ge(x[i], g.members[i].least_milli * (1 - 1e-12));
                        ck_assert_double_le(x[i], g.members[i].most_milli);
                        sum += x[i];
                }
                ck_assert_double_eq_tol(sum, pool, 1e-13 * fmax(1, pool));
        }
}
END_TEST

/* Karush, Kuhn, Tucker: for a concave sum that is optimality itself. */
START_TEST(at_the_price_nobody_would_rather_have_another_amount)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < 4 * N_CASES; k++) {
                double x[COALITION_MEMBERS_MAX], price;
                struct worth_game g;

                random_game(&r, (unsigned)testing_random_int(&r, 1, COALITION_MEMBERS_MAX), &g);
                (void)worth_divide(&g, everybody(&g), random_pool(&r, &g), x, &price);
                for (unsigned i = 0; i < g.n; i++) {
                        const struct member *m = &g.members[i];
                        /* slopes just beside: an end of a piece counts as either */
                        double nudge = 1e-9 * fmax(1, x[i]);
                        double below = -m->importance * latency_slope(&m->latency, x[i] - nudge);
                        double above = -m->importance * latency_slope(&m->latency, x[i] + nudge);

                        if (x[i] < m->most_milli - nudge)
                                ck_assert_double_le(above, price * (1 + 1e-9));
                        if (x[i] > m->least_milli + nudge)
                                ck_assert_double_ge(below, price * (1 - 1e-9));
                }
        }
}
END_TEST

/* Moves CPU between two random members, as far as boxes allow; the sum stays. */
static void random_transfer(struct testing_random *r, const struct worth_game *g, double x[])
{
        unsigned from = (unsigned)testing_random_int(r, 0, g->n - 1);
        unsigned to = (unsigned)testing_random_int(r, 0, g->n - 1);
        double most = fmin(x[from] - g->members[from].least_milli, g->members[to].most_milli - x[to]);
        double moved = most * testing_random_double(r, 0, 1);

        x[from] -= moved;
        x[to] += moved;
}

START_TEST(no_other_division_is_better)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES / 6; k++) {
                double best[COALITION_MEMBERS_MAX], x[COALITION_MEMBERS_MAX], gain, tol;
                struct worth_game g;

                random_game(&r, (unsigned)testing_random_int(&r, 2, 16), &g);
                tol = 1e-12 * scale_of(&g);
                (void)worth_divide(&g, everybody(&g), pool_of(&g), best, NULL);
                gain = gain_of(&g, best);
                ck_assert_double_ge(gain, -tol);
                ck_assert_double_eq_tol(worth_of(&g, everybody(&g)), gain, tol);
                for (int division = 0; division < 1000; division++) {
                        if (division % 100 == 0)        /* from none, or a little off the best */
                                for (unsigned i = 0; i < g.n; i++)
                                        x[i] = division % 200 ? best[i] : g.members[i].entitlement_milli;
                        random_transfer(&r, &g, x);
                        ck_assert_double_le(gain_of(&g, x), gain + tol);
                }
        }
}
END_TEST

START_TEST(order_does_not_matter_and_equals_fare_alike)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                double x[COALITION_MEMBERS_MAX], y[COALITION_MEMBERS_MAX], pool, price[2];
                struct member shuffled[COALITION_MEMBERS_MAX];
                unsigned place[COALITION_MEMBERS_MAX];
                struct worth_game g, h;

                random_game(&r, (unsigned)testing_random_int(&r, 2, COALITION_MEMBERS_MAX), &g);
                for (unsigned i = 0; i < g.n; i++) {
                        unsigned j = (unsigned)testing_random_int(&r, 0, i);

                        place[i] = place[j];
                        place[j] = i;
                }
                for (unsigned i = 0; i < g.n; i++)
                        shuffled[i] = g.members[place[i]];
                ck_assert_int_eq(worth_game_init(&h, shuffled, g.n), 0);
                pool = random_pool(&r, &g);
                (void)worth_divide(&g, everybody(&g), pool, x, &price[0]);
                (void)worth_divide(&h, everybody(&h), pool, y, &price[1]);
                if (price[0] > 0 && price[1] > 0)       /* not where the last milli fits by rounding */
                        ck_assert_double_eq_tol(price[0] / price[1], 1, 1e-9);
                for (unsigned i = 0; i < g.n; i++)
                        ck_assert_double_eq_tol(y[i], x[place[i]], 1e-9 * fmax(1, pool));
                for (unsigned i = 1; i < g.n; i++)
                        if (memcmp(&g.members[i], &g.members[i - 1], sizeof(struct member)) == 0)
                                ck_assert_double_eq(x[i], x[i - 1]);
                ck_assert_double_eq_tol(worth_of(&g, everybody(&g)), worth_of(&h, everybody(&h)),
                                        1e-12 * scale_of(&g));
        }
}
END_TEST

/* L. Kleinrock, 1964: capacity above the loads is assigned by the square roots of what goes through. */
START_TEST(for_loads_alone_it_is_the_square_root_rule)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                unsigned n = (unsigned)testing_random_int(&r, 1, COALITION_MEMBERS_MAX);
                double x[COALITION_MEMBERS_MAX], pool, loads = 0, roots = 0;
                struct member members[COALITION_MEMBERS_MAX];
                struct worth_game g;

                for (unsigned i = 0; i < n; i++) {
                        double load = testing_random_double(&r, 0, 1000);

                        members[i] = (struct member){
                                latency_from_load(load, LATENCY_WORK_NOMINAL_MILLI_MS),
                                testing_random_double(&r, 1, 9), load, load, 1e6
                        };
                        loads += load;
                        roots += sqrt(members[i].importance);
                }
                ck_assert_int_eq(worth_game_init(&g, members, n), 0);
                /* the margin of the largest load is 20: beyond, even for the smallest root */
                pool = loads + roots * testing_random_double(&r, 20, 1000);
                ck_assert_int_eq(worth_divide(&g, everybody(&g), pool, x, NULL), 0);
                for (unsigned i = 0; i < n; i++)
                        ck_assert_double_eq_tol(x[i], members[i].latency.load_milli +
                                                (pool - loads) * sqrt(members[i].importance) / roots,
                                                1e-9 * x[i]);
        }
}
END_TEST

static double sum_shifted(const struct worth_game *g, const double old[], double shift, double ret_x[])
{
        double sum = 0;

        for (unsigned i = 0; i < g->n; i++) {
                ret_x[i] = fmin(fmax(old[i] + shift, g->members[i].least_milli), g->members[i].most_milli);
                sum += ret_x[i];
        }
        return sum;
}

START_TEST(an_old_division_is_carried_to_the_nearest_that_fits)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                double old[COALITION_MEMBERS_MAX], x[COALITION_MEMBERS_MAX], y[COALITION_MEMBERS_MAX];
                double pool, low = -1e5, high = 1e5, distance = 0, sum = 0;
                struct worth_game g;

                random_game(&r, (unsigned)testing_random_int(&r, 1, COALITION_MEMBERS_MAX), &g);
                for (unsigned i = 0; i < g.n; i++)
                        old[i] = (double)testing_random_int(&r, 0, 5000);
                pool = random_pool(&r, &g);
                worth_carry(&g, old, pool, x);

                for (int halving = 0; halving < 80; halving++) {
                        double middle = (low + high) / 2;

                        *(sum_shifted(&g, old, middle, y) < pool ? &low : &high) = middle;
                }
                (void)sum_shifted(&g, old, high, y);
                for (unsigned i = 0; i < g.n; i++) {
                        ck_assert_double_eq_tol(x[i], y[i], 1e-8);
                        ck_assert_double_ge(x[i], g.members[i].least_milli * (1 - 1e-12));
                        ck_assert_double_le(x[i], g.members[i].most_milli);
                        sum += x[i];
                        distance += (x[i] - old[i]) * (x[i] - old[i]);
                }
                ck_assert_double_eq_tol(sum, pool, 1e-12 * fmax(1, pool));

                for (int division = 0; division < 20; division++) {
                        double here = 0;

                        random_transfer(&r, &g, x);
                        for (unsigned i = 0; i < g.n; i++)
                                here += (x[i] - old[i]) * (x[i] - old[i]);
                        ck_assert_double_ge(here, distance * (1 - 1e-12));
                }
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("worth");
        TCase *tc = tcase_create("worth");

        tcase_add_test(tc, worth_is_zero_alone_and_grows_with_every_merger);
        tcase_add_test(tc, no_balanced_family_is_worth_more_than_all_together);
        tcase_add_test(tc, a_division_keeps_its_sum_and_everybody_in_its_box);
        tcase_add_test(tc, at_the_price_nobody_would_rather_have_another_amount);
        tcase_add_test(tc, no_other_division_is_better);
        tcase_add_test(tc, order_does_not_matter_and_equals_fare_alike);
        tcase_add_test(tc, for_loads_alone_it_is_the_square_root_rule);
        tcase_add_test(tc, an_old_division_is_carried_to_the_nearest_that_fits);
        suite_add_tcase(suite, tc);
        return testing_run(suite);
}
