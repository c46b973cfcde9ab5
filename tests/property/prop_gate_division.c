/* SPDX-License-Identifier: MIT */

/* The gate on divisions: random coalitions, honest plans and lies. */

#include "core/gate.h"
#include "lib/coalition_fixture.h"

#define N_CASES 1500
#define N_MAX 8

struct coalition {
        struct worth_game game;
        unsigned n;
        int64_t total;
        double old[N_MAX];      /* carried into the boxes */
        double plan[N_MAX];     /* the honest one */
        double cost;            /* weighted latency of that: the scale of rounding errors */
};

static uint32_t all_of(const struct coalition *c)
{
        return (UINT32_C(1) << c->n) - 1;
}

/* Loads from nothing to more than the total, importances and works over six orders of magnitude, boxes
 * whole or not, old shapes that fit or do not. */
static void random_coalition(struct coalition *c, struct testing_random *r)
{
        struct member members[N_MAX];
        double old[N_MAX], total = 0;
        bool is_whole = testing_random_int(r, 0, 1);

        c->n = (unsigned)testing_random_int(r, 1, N_MAX);
        for (unsigned i = 0; i < c->n; i++) {
                double load = testing_random_int(r, 0, 3) ? testing_random_double(r, 0, 2000) : 0;
                double held = testing_random_double(r, 0, 3000);
                struct member *m = &members[i];

                *m = (struct member){
                        .latency = latency_from_load(load, pow(10, testing_random_double(r, 1, 6))),
                        .importance = pow(10, testing_random_double(r, -2, 3)),
                        .entitlement_milli = floor(held),
                        .least_milli = fmin(floor(held), load * testing_random_double(r, 0, 1)),
                        .most_milli = ceil(held) + testing_random_double(r, 0, 3000),
                };
                m->latency.other_ms = testing_random_double(r, 0, 100);
                if (is_whole) {
                        m->least_milli = floor(m->least_milli);
                        m->most_milli = ceil(m->most_milli);
                }
                total += m->entitlement_milli;
                old[i] = testing_random_int(r, 0, 3) ? testing_random_double(r, 0, 4000) : m->entitlement_milli;
        }
        c->total = (int64_t)total;
        ck_assert_int_eq(worth_game_init(&c->game, members, c->n), 0);
        ck_assert_int_eq(worth_divide(&c->game, all_of(c), total, c->plan, NULL), 0);
        worth_carry(&c->game, old, total, c->old);
        c->cost = fabs(coalition_fixture_utility(&c->game, c->plan));
}

static void judge(const struct coalition *c, const double old[], const double plan[], double step_max,
                     int64_t ret_x[], struct gate_verdict *ret)
{
        int64_t sum = 0;

        ck_assert_int_eq(gate_judge_division(&c->game, old, plan, c->total, step_max, ret_x, ret), 0);
        for (unsigned i = 0; i < c->n; i++) {
                sum += ret_x[i];
                ck_assert_double_ge((double)ret_x[i], floor(c->game.members[i].least_milli));
                ck_assert_double_le((double)ret_x[i], ceil(c->game.members[i].most_milli));
        }
        ck_assert_int_eq(sum, c->total);
}

static double utility_of(const struct coalition *c, const int64_t x[])
{
        double real[N_MAX];

        for (unsigned i = 0; i < c->n; i++)
                real[i] = (double)x[i];
        return coalition_fixture_utility(&c->game, real);
}

/* Any whole division of the total. */
static void random_division(const struct coalition *c, struct testing_random *r, double ret[])
{
        struct gate_verdict verdict;
        int64_t x[N_MAX];
        double wanted[N_MAX], carried[N_MAX];

        for (unsigned i = 0; i < c->n; i++)
                wanted[i] = testing_random_double(r, c->game.members[i].least_milli, c->game.members[i].most_milli);
        worth_carry(&c->game, wanted, (double)c->total, carried);
        judge(c, NULL, carried, 1, x, &verdict);
        for (unsigned i = 0; i < c->n; i++)
                ret[i] = (double)x[i];
}

START_TEST(the_gate_and_the_solver_agree_on_the_best_division_without_sharing_code)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct coalition c;
                int64_t x[N_MAX];
                struct gate_verdict verdict;
                double best, found;
                bool is_whole = true;

                random_coalition(&c, &r);
                judge(&c, NULL, c.plan, 1, x, &verdict);
                ck_assert_int_eq(verdict.verdict, VERDICT_APPLY);
                ck_assert(isnan(verdict.v_before));
                best = utility_of(&c, x) + verdict.v_after;
                found = coalition_fixture_utility(&c.game, c.plan);
                ck_assert_double_ge(best, found - 1e-9 * c.cost);
                for (unsigned i = 0; i < c.n; i++)
                        is_whole &= floor(c.game.members[i].least_milli) == c.game.members[i].least_milli &&
                                    floor(c.game.members[i].most_milli) == c.game.members[i].most_milli;
                if (is_whole)           /* else the gate's boxes are the wider ones */
                        ck_assert_double_le(best, found + 1e-9 * c.cost);
        }
}
END_TEST

START_TEST(no_division_is_better_than_what_the_gate_takes_for_best)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct coalition c;
                double x[N_MAX];
                int64_t ret_x[N_MAX];
                struct gate_verdict verdict;
                double best;

                random_coalition(&c, &r);
                random_division(&c, &r, x);
                judge(&c, x, c.plan, 1, ret_x, &verdict);
                best = utility_of(&c, ret_x) + verdict.v_after;
                ck_assert_double_ge(verdict.v_before, 0);
                ck_assert_double_le(coalition_fixture_utility(&c.game, x), best + 1e-9 * c.cost);
                ck_assert_double_eq_tol(best - coalition_fixture_utility(&c.game, x), verdict.v_before,
                                        1e-9 * (c.cost + verdict.v_before));
        }
}
END_TEST

START_TEST(what_a_division_loses_is_convex)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct coalition c;
                double x[N_MAX], y[N_MAX], z[N_MAX], s = testing_random_double(&r, 0, 1);
                int64_t ret_x[N_MAX];
                struct gate_verdict of_x, of_y;
                double best, lost, slack;

                random_coalition(&c, &r);
                random_division(&c, &r, x);
                random_division(&c, &r, y);
                judge(&c, x, x, 1, ret_x, &of_x);
                best = utility_of(&c, ret_x) + of_x.v_after;
                judge(&c, y, y, 1, ret_x, &of_y);
                slack = 1e-9 * (c.cost + of_x.v_before + of_y.v_before);
                for (unsigned i = 0; i < c.n; i++)
                        z[i] = x[i] + s * (y[i] - x[i]);
                lost = best - coalition_fixture_utility(&c.game, z);
                ck_assert_double_le(lost, (1 - s) * of_x.v_before + s * of_y.v_before + slack);

                for (unsigned i = 0; i < c.n; i++)
                        z[i] = x[i] + s * (c.plan[i] - x[i]);
                lost = best - coalition_fixture_utility(&c.game, z);
                ck_assert_double_le(lost, (1 - s) * of_x.v_before + s * (best - coalition_fixture_utility(&c.game, c.plan)) +
                                    slack);
        }
}
END_TEST

START_TEST(what_passes_never_loses_more_than_before)
{
        struct testing_random r = { testing_seed() };
        unsigned n_honest = 0, n_honest_held = 0, n_held = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct coalition c;
                double x[N_MAX], step = testing_random_int(&r, 0, 1) ? 1 : testing_random_double(&r, 0.02, 1);
                int64_t ret_x[N_MAX], again[N_MAX];
                struct gate_verdict verdict, settled;

                random_coalition(&c, &r);
                judge(&c, c.old, c.plan, step, ret_x, &verdict);
                ck_assert_double_le(verdict.v_after, verdict.v_before + 1e-12 * c.cost);
                n_honest++;
                n_honest_held += verdict.verdict == VERDICT_HOLD && verdict.v_before > 1e-3 * c.cost;

                for (unsigned i = 0; i < c.n; i++)
                        x[i] = (double)ret_x[i];
                judge(&c, x, x, 1, again, &settled);
                ck_assert_double_eq(settled.v_before, verdict.v_after);
                ck_assert_double_eq(settled.v_after, verdict.v_after);

                random_division(&c, &r, x);
                judge(&c, c.old, x, step, ret_x, &verdict);
                ck_assert_double_le(verdict.v_after, verdict.v_before + 1e-12 * c.cost);
                n_held += verdict.verdict == VERDICT_HOLD;
        }
        fprintf(stderr, "# of %u honest plans %u were held far from the best, of as many random ones %u\n",
                n_honest, n_honest_held, n_held);
        ck_assert_uint_eq(n_honest_held, 0);
        ck_assert_uint_ge(n_held, N_CASES / 10);
}
END_TEST

START_TEST(repeating_an_honest_plan_arrives_at_it)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES / 10; k++) {
                struct coalition c;
                int64_t x[N_MAX], y[N_MAX];
                struct gate_verdict verdict, whole;

                random_coalition(&c, &r);
                for (int epoch = 0; epoch < 30; epoch++) {
                        judge(&c, c.old, c.plan, 0.5, x, &verdict);
                        for (unsigned i = 0; i < c.n; i++)
                                c.old[i] = (double)x[i];
                }
                judge(&c, NULL, c.plan, 1, y, &whole);
                ck_assert_double_le(verdict.v_after, 1e-2 * c.cost);
                /* A milli or two from the plan: what a step of one half cannot round away. */
                for (unsigned i = 0; i < c.n; i++)
                        c.plan[i] = (double)y[i];
                judge(&c, c.old, c.plan, 1, x, &verdict);
                ck_assert_double_le(verdict.v_after, fmax(whole.v_after, verdict.v_before) + 1e-12 * c.cost);
        }
}
END_TEST

/* Five lies of a solver. In each case the old division is the best there is in whole milli. */
START_TEST(a_solver_that_lies_about_a_division_is_vetoed)
{
        struct testing_random r = { testing_seed() };
        unsigned n_moved = 0, n_model = 0, n_boxes = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct coalition c;
                double good[N_MAX], bad[N_MAX], wrong[N_MAX];
                int64_t x[N_MAX], ret_x[N_MAX];
                struct gate_verdict verdict;
                struct worth_game lie;
                struct member members[N_MAX];
                unsigned a, b;

                random_coalition(&c, &r);
                judge(&c, NULL, c.plan, 1, x, &verdict);
                for (unsigned i = 0; i < c.n; i++)
                        good[i] = (double)x[i];
                a = (unsigned)testing_random_int(&r, 0, c.n - 1);
                b = (unsigned)testing_random_int(&r, 0, c.n - 1);

                /* CPU to the wrong member */
                for (unsigned i = 0; i < c.n; i++)
                        bad[i] = good[i];
                bad[a] = floor(good[a] - (good[a] - c.game.members[a].least_milli) / 2);
                bad[b] += good[a] - bad[a];
                if (a != b && coalition_fixture_utility(&c.game, bad) < coalition_fixture_utility(&c.game, good) - 1e-9 * c.cost) {
                        judge(&c, good, bad, 1, ret_x, &verdict);
                        ck_assert_int_ne(verdict.verdict, VERDICT_APPLY);
                        ck_assert_double_le(verdict.v_after, verdict.v_before + 1e-12 * c.cost);
                        n_moved++;
                }

                /* the best division of a coalition whose importances are others: its price is wrong */
                for (unsigned i = 0; i < c.n; i++) {
                        members[i] = c.game.members[i];
                        members[i].importance *= pow(10, testing_random_double(&r, -2, 2));
                }
                ck_assert_int_eq(worth_game_init(&lie, members, c.n), 0);
                ck_assert_int_eq(worth_divide(&lie, all_of(&c), (double)c.total, wrong, NULL), 0);
                judge(&c, NULL, wrong, 1, ret_x, &verdict);
                if (utility_of(&c, ret_x) < coalition_fixture_utility(&c.game, good) - 1e-9 * c.cost) {
                        judge(&c, good, wrong, 1, ret_x, &verdict);
                        ck_assert_int_ne(verdict.verdict, VERDICT_APPLY);
                        ck_assert_double_le(verdict.v_after, verdict.v_before + 1e-12 * c.cost);
                        n_model++;
                }

                /* CPU made inside the coalition, a unit lost in rounding, no number at all */
                for (int lie_no = 0; lie_no < 3; lie_no++) {
                        static const double unit[] = { 1, -1, NAN };

                        for (unsigned i = 0; i < c.n; i++)
                                bad[i] = good[i];
                        bad[a] += unit[lie_no];
                        judge(&c, c.old, bad, 1, ret_x, &verdict);
                        ck_assert_int_eq(verdict.verdict, VERDICT_HOLD);
                        ck_assert_double_eq(verdict.v_after, verdict.v_before);
                        judge(&c, NULL, bad, 1, ret_x, &verdict);
                        ck_assert_int_eq(verdict.verdict, VERDICT_HOLD);
                }

                /* out of the box */
                for (unsigned i = 0; i < c.n; i++)
                        bad[i] = good[i];
                bad[a] = ceil(c.game.members[a].most_milli) + 2;
                bad[b] -= bad[a] - good[a];
                if (a != b) {
                        judge(&c, c.old, bad, 1, ret_x, &verdict);
                        ck_assert_int_eq(verdict.verdict, VERDICT_HOLD);
                        n_boxes++;
                }
        }
        fprintf(stderr, "# vetoed: %u moves to the wrong member, %u wrong models, %u ways out of the box\n",
                n_moved, n_model, n_boxes);
        ck_assert_uint_ge(n_moved, N_CASES / 4);
        ck_assert_uint_ge(n_model, N_CASES / 4);
        ck_assert_uint_ge(n_boxes, N_CASES / 4);
}
END_TEST

/* Nobody who got a unit more than its share of the plan would rather leave it to another. */
START_TEST(units_left_by_rounding_down_go_where_they_gain_most)
{
        struct testing_random r = { testing_seed() };
        unsigned n_up = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct coalition c;
                int64_t x[N_MAX];
                struct gate_verdict verdict;

                random_coalition(&c, &r);
                judge(&c, NULL, c.plan, 1, x, &verdict);
                for (unsigned i = 0; i < c.n; i++) {
                        const struct member *m = &c.game.members[i];
                        double y = (double)x[i], lost;

                        if (y < fmax(c.plan[i], m->least_milli) + 1e-6) /* not rounded up */
                                continue;
                        n_up++;
                        lost = worth_utility_of(m, y) - worth_utility_of(m, y - 1);
                        for (unsigned j = 0; j < c.n; j++) {
                                double z = (double)x[j];

                                if (i == j || z >= ceil(c.game.members[j].most_milli))
                                        continue;
                                ck_assert_double_le(worth_utility_of(&c.game.members[j], z + 1) -
                                                    worth_utility_of(&c.game.members[j], z),
                                                    lost * (1 + 1e-6) + 1e-12 * c.cost);
                        }
                }
        }
        ck_assert_uint_ge(n_up, N_CASES);
}
END_TEST

/* Equal members with one and the same amount are rounded to amounts that differ by one at most, and in a larger
 * total nobody of them has less. */
START_TEST(equals_are_rounded_alike)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                unsigned n = (unsigned)testing_random_int(&r, 2, N_MAX);
                struct member m = coalition_fixture_member(&r), members[N_MAX];
                int64_t total, last[N_MAX] = { 0 };
                struct worth_game g;

                m.most_milli = fmax(m.most_milli, m.least_milli + 2);
                for (unsigned i = 0; i < n; i++)
                        members[i] = m;
                ck_assert_int_eq(worth_game_init(&g, members, n), 0);
                total = (int64_t)ceil(m.entitlement_milli * n);
                for (int step = 0; step < 3 && (double)total <= m.most_milli * n; step++, total++) {
                        double plan[N_MAX];
                        int64_t x[N_MAX], low = INT64_MAX, high = 0;
                        struct gate_verdict verdict;

                        for (unsigned i = 0; i < n; i++)
                                plan[i] = (double)total / n;
                        ck_assert_int_eq(gate_judge_division(&g, NULL, plan, total, 1, x, &verdict), 0);
                        ck_assert_int_eq(verdict.verdict, VERDICT_APPLY);
                        for (unsigned i = 0; i < n; i++) {
                                low = x[i] < low ? x[i] : low;
                                high = x[i] > high ? x[i] : high;
                                ck_assert_int_ge(x[i], last[i]);
                                last[i] = x[i];
                        }
                        ck_assert_int_le(high - low, 1);
                }
        }
}
END_TEST

int main(void)
{
        Suite *s = suite_create("prop_gate_division");
        TCase *t = tcase_create("properties");

        tcase_add_test(t, the_gate_and_the_solver_agree_on_the_best_division_without_sharing_code);
        tcase_add_test(t, no_division_is_better_than_what_the_gate_takes_for_best);
        tcase_add_test(t, what_a_division_loses_is_convex);
        tcase_add_test(t, what_passes_never_loses_more_than_before);
        tcase_add_test(t, repeating_an_honest_plan_arrives_at_it);
        tcase_add_test(t, a_solver_that_lies_about_a_division_is_vetoed);
        tcase_add_test(t, units_left_by_rounding_down_go_where_they_gain_most);
        tcase_add_test(t, equals_are_rounded_alike);
        suite_add_tcase(s, t);
        return testing_run(s);
}
