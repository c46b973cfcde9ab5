/* SPDX-License-Identifier: MIT */

#include "core/gate.h"

#include <errno.h>

#include "lib/testing.h"

/* Three services share 2000 milli; the solution is (400, 600, 1000). */
static const double lower[] = { 100, 200, 700 }, upper[] = { 1500, 600, 2000 };
static const double weight[] = { 1, 3, 1 };
static double reference[3];
static const struct gate_scratch scratch = { .order = (size_t[3]){ 0 }, .worth = (double[3]){ 0 } };
static int64_t x[3];
static struct gate_model model;
static struct gate_verdict verdict;

static void set_capacity(double capacity)
{
        ck_assert_int_eq(gate_model_init(&model, 3, lower, upper, weight, NULL, capacity, reference), 0);
}

static void setup(void)
{
        set_capacity(2000);
}

static enum verdict judge(const int64_t x_old[], const int64_t x_target[], double step_max)
{
        ck_assert_int_eq(gate_judge(&model, x_old, x_target, step_max, &scratch, x, &verdict), 0);
        return verdict.verdict;
}

static void assert_x(int64_t a, int64_t b, int64_t c)
{
        ck_assert_int_eq(x[0], a);
        ck_assert_int_eq(x[1], b);
        ck_assert_int_eq(x[2], c);
}

START_TEST(the_gate_finds_the_solution_itself)
{
        ck_assert_double_eq_tol(reference[0], 400, 1e-9);
        ck_assert_double_eq_tol(reference[1], 600, 1e-9);
        ck_assert_double_eq_tol(reference[2], 1000, 1e-9);
        ck_assert_double_eq_tol(model.shadow_price, 1 / 300.0, 1e-12);
        ck_assert_double_eq_tol(gate_potential(&model, reference), 0, 1e-12);
}
END_TEST

START_TEST(plans_without_players_or_without_a_box_have_no_potential)
{
        const int64_t at_lower[] = { 100, 200, 700 };

        ck_assert_int_eq(gate_model_init(&model, 0, NULL, NULL, NULL, NULL, 10, NULL), 0);
        ck_assert_int_eq(gate_judge(&model, NULL, NULL, 1, &scratch, NULL, &verdict), 0);
        ck_assert_int_eq(verdict.verdict, VERDICT_APPLY);

        ck_assert_int_eq(gate_model_init(&model, 3, lower, lower, weight, NULL, 1000, reference), 0);
        ck_assert_double_eq(gate_potential_whole(&model, at_lower), 0);
}
END_TEST

START_TEST(nonsense_is_refused)
{
        const double nan_[] = { 1, NAN, 1 }, negative[] = { -1, 1, 1 };
        const double infinite[] = { 1500, INFINITY, 2000 };
        const int64_t good[] = { 400, 600, 1000 }, bad[] = { 400, -1, 1000 };
        struct gate_model untouched = { .n = 42 };

        ck_assert_int_eq(gate_model_init(&untouched, 3, nan_, upper, weight, NULL, 2000, reference), -EINVAL);
        ck_assert_int_eq(gate_model_init(&untouched, 3, negative, upper, weight, NULL, 2000, reference), -EINVAL);
        ck_assert_int_eq(gate_model_init(&untouched, 3, upper, lower, weight, NULL, 9000, reference), -EINVAL);
        ck_assert_int_eq(gate_model_init(&untouched, 3, lower, infinite, weight, NULL, 2000, reference), -EINVAL);
        ck_assert_int_eq(gate_model_init(&untouched, 3, lower, upper, nan_, NULL, 2000, reference), -EINVAL);
        ck_assert_int_eq(gate_model_init(&untouched, 3, lower, upper, weight, NULL, 999, reference), -EINVAL);
        ck_assert_int_eq(gate_model_init(&untouched, 3, lower, upper, weight, NULL, NAN, reference), -EINVAL);
        ck_assert_uint_eq(untouched.n, 42);

        ck_assert_int_eq(gate_judge(&model, good, good, 0, &scratch, x, &verdict), -EINVAL);
        ck_assert_int_eq(gate_judge(&model, good, good, 1.5, &scratch, x, &verdict), -EINVAL);
        ck_assert_int_eq(gate_judge(&model, good, good, NAN, &scratch, x, &verdict), -EINVAL);
        ck_assert_int_eq(gate_judge(&model, bad, good, 1, &scratch, x, &verdict), -EINVAL);
        ck_assert_int_eq(gate_judge(&model, good, bad, 1, &scratch, x, &verdict), -EINVAL);
}
END_TEST

START_TEST(a_player_without_weight_costs_nothing_between_its_levels)
{
        const double zero[] = { 1, 0, 1 };
        int64_t a[] = { 700, 200, 1100 }, c[] = { 700, 200, 1100 };

        ck_assert_int_eq(gate_model_init(&model, 3, lower, upper, zero, NULL, 2000, reference), 0);
        ck_assert_double_eq(reference[1], 200);
        ck_assert_int_eq(gate_model_init(&model, 3, lower, upper, zero, NULL, 9000, reference), 0);
        c[1] = 600;
        ck_assert_double_eq(gate_potential_whole(&model, a), gate_potential_whole(&model, c));
        c[1] = 199;
        ck_assert_double_gt(gate_potential_whole(&model, c), gate_potential_whole(&model, a));
}
END_TEST

START_TEST(a_right_plan_is_applied_whole)
{
        const int64_t old[] = { 1000, 250, 750 }, plan[] = { 400, 600, 1000 };

        ck_assert_int_eq(judge(old, plan, 1), VERDICT_APPLY);
        assert_x(400, 600, 1000);
        ck_assert_double_eq(verdict.step, 1);
        ck_assert_double_gt(verdict.v_before, 1);
        ck_assert_double_eq_tol(verdict.v_after, 0, 1e-9);

        ck_assert_int_eq(judge(plan, plan, 0.25), VERDICT_APPLY);
        ck_assert_double_eq(verdict.step, 1);
}
END_TEST

START_TEST(a_smaller_first_step_goes_part_of_the_way_and_keeps_the_sum)
{
        const int64_t old[] = { 1001, 251, 748 }, plan[] = { 400, 600, 1000 };

        ck_assert_int_eq(judge(old, plan, 0.5), VERDICT_REDUCED);
        ck_assert_double_eq(verdict.step, 0.5);
        assert_x(700, 426, 874);        /* 700.5, 425.5, 874: the unit goes where V wants it */
        ck_assert_double_lt(verdict.v_after, verdict.v_before / 2);
}
END_TEST

/* Overshooting: the whole step lands as far beyond the solution as the old plan was before it. */
START_TEST(a_plan_that_overshoots_is_shortened)
{
        const int64_t old[] = { 650, 600, 750 }, plan[] = { 150, 600, 1250 };

        ck_assert_int_eq(judge(old, plan, 1), VERDICT_REDUCED);
        ck_assert_double_eq(verdict.step, 0.5);
        assert_x(400, 600, 1000);
        ck_assert_double_lt(verdict.v_after, verdict.v_before);
}
END_TEST

START_TEST(a_plan_away_from_the_solution_is_held)
{
        const int64_t good[] = { 400, 600, 1000 }, bad[] = { 900, 300, 800 };

        ck_assert_int_eq(judge(good, bad, 1), VERDICT_HOLD);
        assert_x(400, 600, 1000);
        ck_assert_double_eq(verdict.step, 0);
        ck_assert_double_eq(verdict.v_after, verdict.v_before);
}
END_TEST

START_TEST(plans_beyond_capacity_or_outside_the_box_are_refused_unheard)
{
        const int64_t old[] = { 900, 300, 800 };
        const int64_t one_too_many[] = { 401, 600, 1000 }, starving[] = { 90, 600, 1000 };

        ck_assert_int_eq(judge(old, one_too_many, 1), VERDICT_REDUCED);
        ck_assert_int_le(x[0] + x[1] + x[2], 2000);
        ck_assert_int_eq(judge(NULL, one_too_many, 1), VERDICT_HOLD);
        ck_assert_int_eq(judge(NULL, starving, 1), VERDICT_HOLD);
        ck_assert(isnan(verdict.v_before));
        ck_assert_int_le(x[0] + x[1] + x[2], 2000);
        assert_x(400, 600, 1000);
}
END_TEST

START_TEST(the_first_plan_is_applied_at_once_where_it_fits)
{
        const int64_t plan[] = { 400, 600, 1000 };

        ck_assert_int_eq(judge(NULL, plan, 0.25), VERDICT_APPLY);
        ck_assert(isnan(verdict.v_before));
        ck_assert_double_eq(verdict.step, 1);
        assert_x(400, 600, 1000);
}
END_TEST

/* A CPU is unplugged: 2000 becomes 1400, and the plan is nonsense. */
/* A CPU is unplugged: 2000 becomes 1400, and the plan is nonsense. Of 400 above the lower levels the
 * second service, of weight 3, could keep all its 400 only if the others kept 133 each. */
START_TEST(what_is_held_is_fitted_into_a_capacity_that_shrank)
{
        const int64_t old[] = { 500, 600, 900 }, nonsense[] = { 1400, 600, 900 };
        const int64_t short_of_lower[] = { 50, 650, 900 };

        set_capacity(1400);
        ck_assert_int_eq(judge(old, nonsense, 1), VERDICT_HOLD);
        assert_x(180, 440, 780);
        ck_assert_double_lt(verdict.v_after, verdict.v_before);

        ck_assert_int_eq(judge(old, old, 1), VERDICT_HOLD);     /* no plan at all is no excuse */
        assert_x(180, 440, 780);

        /* nobody is given more than it held, nor left above its upper level while others are cut */
        ck_assert_int_eq(judge(short_of_lower, short_of_lower, 1), VERDICT_HOLD);
        assert_x(50, 537, 813);
}
END_TEST

START_TEST(a_potential_is_finite_however_far_off_the_allocation_is)
{
        static const int64_t far[][3] = {
                { 0, 0, 0 }, { INT64_C(1) << 40, 0, 0 }, { 0, 5000, 0 }, { 100, 200, 700 },
        };

        for (size_t k = 0; k < sizeof far / sizeof far[0]; k++) {
                ck_assert(isfinite(gate_potential_whole(&model, far[k])));
                ck_assert_double_gt(gate_potential_whole(&model, far[k]), 0);
        }
        set_capacity(1000);             /* nothing to bargain over: the lower levels are the plan */
        ck_assert(isinf(model.shadow_price));
        ck_assert_double_eq(gate_potential_whole(&model, far[3]), 0);
        ck_assert_double_gt(gate_potential_whole(&model, far[0]), 0);
        set_capacity(9000);             /* more than anybody may have */
        ck_assert_double_eq(model.shadow_price, 0);
        ck_assert_double_eq(reference[2], 2000);
        ck_assert_double_gt(gate_potential_whole(&model, far[3]), 0);
}
END_TEST

/* Levels are real numbers, allocations are not: a need 0.4 milli above its baseline must not make
 * the gate cling to an old plan for ever. */
START_TEST(narrow_boxes_do_not_keep_the_others_from_moving)
{
        const double low[] = { 100.3, 100 }, high[] = { 100.7, 1000 }, w[] = { 100, 1 };
        const double hair[] = { 100.3 + 1e-10, 1000 };
        const int64_t plan[] = { 101, 899 };
        double ref[2];

        for (int k = 0; k < 2; k++) {
                int64_t old[] = { 101, 200 };

                ck_assert_int_eq(gate_model_init(&model, 2, low, k ? hair : high, w, NULL, 1000, ref), 0);
                for (int epoch = 0; epoch < 3; epoch++) {
                        ck_assert_int_eq(gate_judge(&model, old, plan, 1, &scratch, x, &verdict), 0);
                        ck_assert_int_ne(verdict.verdict, VERDICT_HOLD);
                        old[1] = x[1];
                }
                ck_assert_int_eq(x[0], 101);
                ck_assert_int_eq(x[1], 899);
        }
}
END_TEST

/* ---- targets ------------------------------------------------------------------------------------ */

/* Two services alike but for a target that the first meets at a quarter of what they share. */
static const double low2[] = { 200, 200 }, high2[] = { 1200, 1200 }, weight2[] = { 1, 1 };
static struct gain gain2[2];

static void setup_target(void)
{
        struct slo slo = { .latency = latency_from_load(200, 5000), .target_ms = 50, .steepness_per_ms = 0.1 };

        gain_init(&gain2[0], &slo, 200, 1200);
        gain_init(&gain2[1], NULL, 200, 1200);
        ck_assert_int_eq(gate_model_init(&model, 2, low2, high2, weight2, gain2, 1400, reference), 0);
}

START_TEST(a_target_that_is_met_releases_cpu)
{
        double share = reference[0] - 200;

        ck_assert_double_eq_tol(reference[0] + reference[1], 1400, 1e-9);
        ck_assert_double_gt(share, 100);
        ck_assert_double_lt(share, 400);        /* 500 without a target */
        ck_assert_double_eq_tol(gain_urge(&gain2[0], share) * (1000 - share), 1, 1e-9);
        ck_assert_double_eq_tol(model.shadow_price * (1000 - share), 1, 1e-9);
        ck_assert_double_eq_tol(gate_potential(&model, reference), 0, 1e-12);
}
END_TEST

START_TEST(a_plan_that_ignores_a_target_is_vetoed)
{
        const int64_t even[] = { 700, 700 };
        int64_t right[] = { (int64_t)reference[0], 1400 - (int64_t)reference[0] };

        ck_assert_int_eq(judge(even, right, 1), VERDICT_APPLY);
        ck_assert_int_eq(judge(right, even, 1), VERDICT_HOLD);
        ck_assert_double_gt(gate_potential_whole(&model, even), 0);
}
END_TEST

START_TEST(the_potential_of_a_target_is_smooth_and_finite_outside_the_box)
{
        static const double at[] = { -1000, 0, 200, 200.5, 201, 700, 1200, 1300, 9000 };

        for (size_t k = 0; k < sizeof at / sizeof at[0]; k++) {
                const double h = 1e-4;
                double v[3];

                for (int i = 0; i < 3; i++) {
                        double y[] = { at[k] + (i - 1) * h, 100 };      /* capacity is no matter */

                        v[i] = gate_potential(&model, y);
                        ck_assert(isfinite(v[i]));
                }
                ck_assert_double_ge(v[0] - 2 * v[1] + v[2], -1e-9);
                if (at[k] > 200 && at[k] < 1200)        /* no kink but those of the penalties */
                        ck_assert_double_le(v[0] - 2 * v[1] + v[2], 1e-6);
        }
}
END_TEST

START_TEST(a_gain_for_other_levels_is_refused)
{
        ck_assert_int_eq(gate_model_init(&model, 2, low2, upper, weight2, gain2, 1400, reference), -EINVAL);
        gain2[0].slo.steepness_per_ms = NAN;
        ck_assert_int_eq(gate_model_init(&model, 2, low2, high2, weight2, gain2, 1400, reference), -EINVAL);
}
END_TEST

/* ---- totals ------------------------------------------------------------------------------------- */

/* The first two pool: together they hold 1000 of the 2000, 700 of them above their lower levels. */
START_TEST(a_coalition_bargains_with_the_weight_that_makes_its_sum_the_solution)
{
        static const size_t entity_of[] = { 1, 1, 0 };
        const int64_t right[] = { 1000, 1000 }, wrong[] = { 900, 1100 };
        double low[2], high[2], w[2], ref[2];
        struct gate_model pooled;

        ck_assert_int_eq(gate_model_pool(&model, entity_of, 2, low, high, w, NULL, ref, &pooled), 0);
        ck_assert_double_eq(low[1], 300);
        ck_assert_double_eq(high[1], 2100);
        ck_assert_double_eq_tol(ref[1], 1000, 1e-9);
        ck_assert_double_eq_tol(w[1], 700 / 300.0, 1e-9);       /* less than 1 + 3: the second is full */
        ck_assert_double_eq(w[0], 1);
        ck_assert_double_eq_tol(gate_potential_whole(&pooled, right), 0, 1e-9);

        ck_assert_int_eq(gate_judge(&pooled, right, wrong, 1, &scratch, x, &verdict), 0);
        ck_assert_int_eq(verdict.verdict, VERDICT_HOLD);
        ck_assert_int_eq(gate_judge(&pooled, wrong, right, 1, &scratch, x, &verdict), 0);
        ck_assert_int_eq(verdict.verdict, VERDICT_APPLY);
}
END_TEST

START_TEST(a_coalition_of_the_full_bargains_with_the_sum_of_weights)
{
        static const size_t entity_of[] = { 0, 0, 0 };
        double low, high, w, ref;
        struct gate_model pooled;

        set_capacity(9000);
        ck_assert_int_eq(gate_model_pool(&model, entity_of, 1, &low, &high, &w, NULL, &ref, &pooled), 0);
        ck_assert_double_eq(w, 5);
        ck_assert_double_eq(ref, 4100);
        set_capacity(1000);             /* the corner */
        ck_assert_int_eq(gate_model_pool(&model, entity_of, 1, &low, &high, &w, NULL, &ref, &pooled), 0);
        ck_assert_double_eq(w, 5);
        ck_assert_double_eq(gate_potential(&pooled, &ref), 0);
}
END_TEST

/* ---- divisions ---------------------------------------------------------------------------------- */

/* Two members with loads of 100 and 300 milli; the second matters four times as much. Of 1000 milli 600
 * are above the loads: by Kleinrock's rule 200 and 400. */
static struct worth_game game;
static const double best[] = { 300, 700 };

static void setup_division(void)
{
        struct member members[] = {
                { latency_from_load(100, 1000), 1, 500, 100, 900 },
                { latency_from_load(300, 1000), 4, 500, 300, 900 },
        };

        ck_assert_int_eq(worth_game_init(&game, members, 2), 0);
}

static int divide(const double x_old[], const double x_target[], double step_max)
{
        return gate_judge_division(&game, x_old, x_target, 1000, step_max, x, &verdict);
}

START_TEST(a_right_division_is_applied)
{
        static const double old[] = { 500, 500 };

        ck_assert_int_eq(divide(old, best, 1), 0);
        ck_assert_int_eq(verdict.verdict, VERDICT_APPLY);
        ck_assert_int_eq(x[0], 300);
        ck_assert_int_eq(x[1], 700);
        /* 1000 / 400 + 4000 / 200 less 1000 / 200 + 4000 / 400 */
        ck_assert_double_eq_tol(verdict.v_before, 22.5 - 15, 1e-9);
        ck_assert_double_eq_tol(verdict.v_after, 0, 1e-9);

        ck_assert_int_eq(divide(old, best, 0.5), 0);
        ck_assert_int_eq(verdict.verdict, VERDICT_REDUCED);
        ck_assert_int_eq(x[0], 400);
        ck_assert_int_eq(divide(NULL, best, 0.5), 0);
        ck_assert_int_eq(verdict.verdict, VERDICT_APPLY);
        ck_assert_int_eq(x[0], 300);
        ck_assert(isnan(verdict.v_before));
}
END_TEST

START_TEST(a_division_to_the_wrong_member_is_held)
{
        static const double wrong[] = { 400, 600 }, beyond[] = { 100, 900 }, old[] = { 500, 500 };

        ck_assert_int_eq(divide(best, wrong, 1), 0);
        ck_assert_int_eq(verdict.verdict, VERDICT_HOLD);
        ck_assert_int_eq(x[0], 300);
        ck_assert_double_eq(verdict.v_after, verdict.v_before);

        ck_assert_int_eq(divide(old, beyond, 1), 0);    /* the right way, twice as far */
        ck_assert_int_eq(verdict.verdict, VERDICT_REDUCED);
        ck_assert_int_eq(x[0], 300);
}
END_TEST

START_TEST(a_division_of_more_or_less_than_the_total_or_out_of_the_box_is_held)
{
        static const double old[] = { 500, 500 };
        static const double bad[][2] = {
                { 300, 701 }, { 300, 699 }, { 300.5, 700 }, { 98, 902 }, { NAN, 700 }, { -INFINITY, INFINITY },
        };

        for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
                ck_assert_int_eq(divide(old, bad[k], 1), 0);
                ck_assert_int_eq(verdict.verdict, VERDICT_HOLD);
                ck_assert_int_eq(x[0], 500);
                ck_assert_int_eq(divide(NULL, bad[k], 1), 0);
                ck_assert_int_eq(verdict.verdict, VERDICT_HOLD);
                ck_assert_int_eq(x[0], 300);    /* the gate's own */
        }
}
END_TEST

START_TEST(fractions_are_rounded_with_the_total_kept)
{
        static const double old[] = { 500.4, 499.6 }, plan[] = { 300.5, 699.5 };

        ck_assert_int_eq(divide(old, old, 1), 0);
        ck_assert_int_eq(verdict.verdict, VERDICT_APPLY);
        ck_assert_int_eq(x[0], 500);
        ck_assert_int_eq(divide(old, plan, 1), 0);
        ck_assert_int_eq(x[0], 300);
        ck_assert_int_eq(x[1], 700);
}
END_TEST

START_TEST(a_whole_division_stays_in_spite_of_noise)
{
        static const double old[] = { 499.9999999, 500.0000001 };

        ck_assert_int_eq(divide(NULL, old, 1), 0);
        ck_assert_int_eq(verdict.verdict, VERDICT_APPLY);
        ck_assert_int_eq(x[0], 500);
        ck_assert_int_eq(x[1], 500);
}
END_TEST

/* All along their tangents every milli gains the same, wherever it goes: to whom rounding has cost most, and
 * of two who fare alike to the first. */
START_TEST(units_that_gain_the_same_go_round)
{
        static const double plan[] = { 105.6, 105.7, 105.7 }, alike[] = { 105.5, 105.5 + 1e-12, 105 };
        struct member members[3];

        for (unsigned i = 0; i < 3; i++)
                members[i] = (struct member){ latency_from_load(200, 1000), 1, 105, 100, 200 };
        ck_assert_int_eq(worth_game_init(&game, members, 3), 0);
        ck_assert_int_eq(gate_judge_division(&game, NULL, plan, 317, 1, x, &verdict), 0);
        ck_assert_int_eq(x[0], 105);
        ck_assert_int_eq(x[1], 106);
        ck_assert_int_eq(x[2], 106);
        ck_assert_int_eq(gate_judge_division(&game, NULL, alike, 316, 1, x, &verdict), 0);
        ck_assert_int_eq(x[0], 106);
        ck_assert_int_eq(x[1], 105);
        ck_assert_int_eq(x[2], 105);
}
END_TEST

/* Least levels that are not whole, and a total of all of them rounded down. */
START_TEST(units_are_taken_back_where_the_boxes_were_rounded)
{
        static const double plan[] = { 100.5, 300.5 };
        struct member members[] = {
                { latency_from_load(100, 1000), 1, 100.5, 100.5, 100.5 },
                { latency_from_load(300, 1000), 4, 300.5, 300.5, 300.5 },
        };

        ck_assert_int_eq(worth_game_init(&game, members, 2), 0);
        ck_assert_int_eq(gate_judge_division(&game, NULL, plan, 401, 1, x, &verdict), 0);
        ck_assert_int_eq(x[0] + x[1], 401);
        ck_assert_int_eq(gate_judge_division(&game, NULL, plan, 402, 1, x, &verdict), 0);
        ck_assert_int_eq(x[0], 101);
        ck_assert_int_eq(x[1], 301);
        ck_assert_int_eq(gate_judge_division(&game, NULL, plan, 400, 1, x, &verdict), 0);
        ck_assert_int_eq(x[0], 100);
        ck_assert_int_eq(x[1], 300);
        x[0] = 42;
        ck_assert_int_eq(gate_judge_division(&game, NULL, plan, 399, 1, x, &verdict), -ERANGE);
        ck_assert_int_eq(gate_judge_division(&game, NULL, plan, 403, 1, x, &verdict), -ERANGE);
        ck_assert_int_eq(x[0], 42);
}
END_TEST

START_TEST(a_total_that_the_boxes_cannot_hold_is_out_of_range)
{
        struct gate_verdict before = verdict;
        static const double old[] = { 500, 499 };

        x[0] = 42;
        ck_assert_int_eq(gate_judge_division(&game, NULL, best, 399, 1, x, &verdict), -ERANGE);
        ck_assert_int_eq(gate_judge_division(&game, NULL, best, 1801, 1, x, &verdict), -ERANGE);
        ck_assert_int_eq(gate_judge_division(&game, NULL, best, -1, 1, x, &verdict), -ERANGE);
        ck_assert_int_eq(divide(old, best, 1), -EINVAL);
        ck_assert_int_eq(divide(NULL, best, 0), -EINVAL);
        ck_assert_int_eq(divide(NULL, best, NAN), -EINVAL);
        ck_assert_int_eq(x[0], 42);
        ck_assert_mem_eq(&before, &verdict, sizeof before);
}
END_TEST

START_TEST(history_keeps_the_newest_records_and_forgets_the_oldest)
{
        struct gate_record records[3];
        struct gate_history h = { .records = records, .size = 3 }, none = {};

        ck_assert_ptr_null(gate_history_at(&h, 0));
        for (uint64_t epoch = 1; epoch <= 5; epoch++)
                gate_history_push(&h, &(struct gate_record){ .epoch = epoch });
        ck_assert_uint_eq(gate_history_at(&h, 0)->epoch, 5);
        ck_assert_uint_eq(gate_history_at(&h, 2)->epoch, 3);
        ck_assert_ptr_null(gate_history_at(&h, 3));

        gate_history_push(&none, &records[0]);
        ck_assert_ptr_null(gate_history_at(&none, 0));
}
END_TEST

/* ---- a model that lies --------------------------------------------------------------------------- */

/* The action promised to lower V by one half, the world stood still. */
static const struct gate_record promising = { .v_before = 2, .v_after = 1, .action = -1 };

START_TEST(three_epochs_of_harm_in_a_row_roll_back_and_freeze)
{
        struct gate_monitor m;
        double hardship = 0;

        gate_monitor_init(&m);
        ck_assert_int_eq(gate_monitor_observe(&m, NULL, hardship, 1000), GATE_GO);
        for (int k = 0; k < GATE_WRONG_EPOCHS_MAX - 1; k++)
                ck_assert_int_eq(gate_monitor_observe(&m, &promising, hardship += 0.05, 1000), GATE_GO);
        ck_assert_int_eq(gate_monitor_observe(&m, &promising, hardship += 0.05, 1000), GATE_ROLL_BACK);
        ck_assert_double_eq(m.step_max, 0.5);
        for (int k = 0; k < GATE_FREEZE_EPOCHS; k++)
                ck_assert_int_eq(gate_monitor_observe(&m, &promising, hardship += 0.05, 1000), GATE_FROZEN);
        ck_assert_int_eq(gate_monitor_observe(&m, &promising, hardship, 1000), GATE_GO);
        ck_assert_double_eq_tol(m.step_max, 0.55, 1e-12);
        for (int k = 0; k < 20; k++)
                (void)gate_monitor_observe(&m, &promising, hardship, 1000);
        ck_assert_double_eq(m.step_max, 1);
}
END_TEST

START_TEST(a_good_epoch_in_between_starts_the_count_again)
{
        struct gate_monitor m;
        double hardship = 0;

        gate_monitor_init(&m);
        (void)gate_monitor_observe(&m, NULL, hardship, 1000);
        for (int k = 0; k < 20; k++) {
                if (k % 3 != 2)
                        hardship += 0.04;
                ck_assert_int_eq(gate_monitor_observe(&m, &promising, hardship, 1000), GATE_GO);
        }
}
END_TEST

START_TEST(harm_that_the_model_is_not_to_blame_for_does_not_count)
{
        const struct gate_record innocent[] = {
                { .v_before = 2, .v_after = 2, .action = 0 },
                { .v_before = 2, .v_after = 1.999, .action = -0.001 },          /* nothing promised */
                { .v_before = NAN, .v_after = 1, .action = NAN, .workload = NAN },
        };

        for (size_t k = 0; k < sizeof innocent / sizeof innocent[0]; k++) {
                struct gate_monitor m;
                double hardship = 0;

                gate_monitor_init(&m);
                for (int epoch = 0; epoch < 10; epoch++)
                        ck_assert_int_eq(gate_monitor_observe(&m, &innocent[k], hardship += 0.05, 1000),
                                         GATE_GO);
        }
}
END_TEST

START_TEST(a_load_that_grows_is_to_blame_itself)
{
        struct gate_monitor m;
        double hardship = 0, load_milli = 1000;

        gate_monitor_init(&m);
        for (int epoch = 0; epoch < 10; epoch++)
                ck_assert_int_eq(gate_monitor_observe(&m, &promising, hardship += 0.05, load_milli *= 1.06),
                                 GATE_GO);
        /* One that stays, or shrinks, is not. */
        for (int epoch = 0; epoch < GATE_WRONG_EPOCHS_MAX - 1; epoch++)
                ck_assert_int_eq(gate_monitor_observe(&m, &promising, hardship += 0.05, load_milli *= 0.9),
                                 GATE_GO);
        ck_assert_int_eq(gate_monitor_observe(&m, &promising, hardship += 0.05, load_milli), GATE_ROLL_BACK);
}
END_TEST

START_TEST(small_or_unknown_changes_of_hardship_do_not_count)
{
        struct gate_monitor m;

        gate_monitor_init(&m);
        for (int k = 0; k < 10; k++)
                ck_assert_int_eq(gate_monitor_observe(&m, &promising, 0.019 * k, 1000), GATE_GO);
        for (int k = 0; k < 10; k++)
                ck_assert_int_eq(gate_monitor_observe(&m, &promising, k % 2 ? NAN : 0.1 * k, 1000), GATE_GO);
}
END_TEST

START_TEST(the_step_never_shrinks_below_a_sixty_fourth)
{
        struct gate_monitor m;
        double hardship = 0;

        gate_monitor_init(&m);
        for (int k = 0; k < 200; k++)
                (void)gate_monitor_observe(&m, &promising, hardship += 0.05, 1000);
        ck_assert_double_eq(m.step_max, 1.0 / 64);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate");
        TCase *t = tcase_create("gate");

        tcase_add_checked_fixture(t, setup, NULL);
        tcase_add_test(t, the_gate_finds_the_solution_itself);
        tcase_add_test(t, plans_without_players_or_without_a_box_have_no_potential);
        tcase_add_test(t, nonsense_is_refused);
        tcase_add_test(t, a_player_without_weight_costs_nothing_between_its_levels);
        tcase_add_test(t, a_right_plan_is_applied_whole);
        tcase_add_test(t, a_smaller_first_step_goes_part_of_the_way_and_keeps_the_sum);
        tcase_add_test(t, a_plan_that_overshoots_is_shortened);
        tcase_add_test(t, a_plan_away_from_the_solution_is_held);
        tcase_add_test(t, plans_beyond_capacity_or_outside_the_box_are_refused_unheard);
        tcase_add_test(t, the_first_plan_is_applied_at_once_where_it_fits);
        tcase_add_test(t, what_is_held_is_fitted_into_a_capacity_that_shrank);
        tcase_add_test(t, a_potential_is_finite_however_far_off_the_allocation_is);
        tcase_add_test(t, narrow_boxes_do_not_keep_the_others_from_moving);
        tcase_add_test(t, history_keeps_the_newest_records_and_forgets_the_oldest);
        tcase_add_test(t, three_epochs_of_harm_in_a_row_roll_back_and_freeze);
        tcase_add_test(t, a_good_epoch_in_between_starts_the_count_again);
        tcase_add_test(t, harm_that_the_model_is_not_to_blame_for_does_not_count);
        tcase_add_test(t, a_load_that_grows_is_to_blame_itself);
        tcase_add_test(t, small_or_unknown_changes_of_hardship_do_not_count);
        tcase_add_test(t, the_step_never_shrinks_below_a_sixty_fourth);
        tcase_add_test(t, a_coalition_bargains_with_the_weight_that_makes_its_sum_the_solution);
        tcase_add_test(t, a_coalition_of_the_full_bargains_with_the_sum_of_weights);
        suite_add_tcase(s, t);

        t = tcase_create("target");
        tcase_add_checked_fixture(t, setup_target, NULL);
        tcase_add_test(t, a_target_that_is_met_releases_cpu);
        tcase_add_test(t, a_plan_that_ignores_a_target_is_vetoed);
        tcase_add_test(t, the_potential_of_a_target_is_smooth_and_finite_outside_the_box);
        tcase_add_test(t, a_gain_for_other_levels_is_refused);
        suite_add_tcase(s, t);

        t = tcase_create("division");
        tcase_add_checked_fixture(t, setup_division, NULL);
        tcase_add_test(t, a_right_division_is_applied);
        tcase_add_test(t, a_division_to_the_wrong_member_is_held);
        tcase_add_test(t, a_division_of_more_or_less_than_the_total_or_out_of_the_box_is_held);
        tcase_add_test(t, fractions_are_rounded_with_the_total_kept);
        tcase_add_test(t, a_whole_division_stays_in_spite_of_noise);
        tcase_add_test(t, units_that_gain_the_same_go_round);
        tcase_add_test(t, units_are_taken_back_where_the_boxes_were_rounded);
        tcase_add_test(t, a_total_that_the_boxes_cannot_hold_is_out_of_range);
        suite_add_tcase(s, t);
        return testing_run(s);
}
