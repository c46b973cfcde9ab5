/* SPDX-License-Identifier: MIT */

#include "core/latency.h"

#include <errno.h>
#include <float.h>

#include "lib/testing.h"

static const struct latency_model model = {
        .load_milli = 150, .work_milli_ms = 20000, .other_ms = 5, .margin_milli = 10,
};

START_TEST(latency_is_that_of_a_queue_and_of_its_tangent_close_to_saturation)
{
        static const struct {
                double x_milli, latency_ms, slope;
        } rows[] = {
                { 0, 34005, -200 }, { 100, 14005, -200 }, { 150, 4005, -200 }, { 160, 2005, -200 },
                { 170, 1005, -50 }, { 200, 405, -8 },     { 1150, 25, -0.02 },
        };

        for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
                ck_assert_double_eq_tol(latency_ms(&model, rows[k].x_milli), rows[k].latency_ms, 1e-9);
                ck_assert_double_eq_tol(latency_slope(&model, rows[k].x_milli), rows[k].slope, 1e-12);
        }
        ck_assert_double_eq(latency_ms(&model, INFINITY), 5);
        ck_assert_double_eq(latency_margin(0), 10);
        ck_assert_double_eq(latency_margin(500), 10);
        ck_assert_double_eq(latency_margin(4000), 80);
}
END_TEST

START_TEST(latency_falls_and_bends_upwards_everywhere)
{
        double last = INFINITY, last_slope = -INFINITY;

        for (double x = 0; x < 1000; x += 0.25) {
                double t = latency_ms(&model, x), slope = latency_slope(&model, x);

                ck_assert_double_lt(t, last);
                ck_assert_double_ge(slope, last_slope);
                ck_assert_double_lt(slope, 0);
                last = t;
                last_slope = slope;
        }
}
END_TEST

START_TEST(the_amount_for_a_latency_is_the_inverse)
{
        for (double x = 0.5; x < 2000; x += 0.5)
                ck_assert_double_eq_tol(latency_milli_for(&model, latency_ms(&model, x)), x, 1e-6);
        ck_assert(isinf(latency_milli_for(&model, 5)));         /* no CPU shortens what is not CPU */
        ck_assert(isinf(latency_milli_for(&model, 0)));
        ck_assert_double_eq(latency_milli_for(&model, 1e9), 0);
}
END_TEST

START_TEST(a_calibrated_model_gives_what_was_measured)
{
        struct latency_model m;

        ck_assert_int_eq(latency_calibrate(150, 5, 85, 400, &m), 0);
        ck_assert_double_eq(m.work_milli_ms, 20000);
        ck_assert_double_eq(m.other_ms, 5);
        ck_assert_double_eq(m.margin_milli, 10);
        ck_assert_double_eq_tol(latency_ms(&m, 400), 85, 1e-9);

        /* measured while it was overloaded: as if at the margin */
        ck_assert_int_eq(latency_calibrate(1000, 0, 300, 700, &m), 0);
        ck_assert_double_eq_tol(m.work_milli_ms, 300 * 20, 1e-9);
        ck_assert_double_eq_tol(latency_ms(&m, 1020), 300, 1e-9);
}
END_TEST

START_TEST(a_tenth_of_the_measured_latency_stays_the_services_own)
{
        struct latency_model m;

        ck_assert_int_eq(latency_calibrate(100, 95, 100, 200, &m), 0);
        ck_assert_double_eq_tol(m.other_ms, 90, 1e-9);
        ck_assert_double_eq_tol(m.work_milli_ms, 1000, 1e-9);
        ck_assert_int_eq(latency_calibrate(100, 1e9, 100, 200, &m), 0);
        ck_assert_double_eq_tol(latency_ms(&m, 200), 100, 1e-9);
}
END_TEST

START_TEST(measurements_that_are_none_are_refused)
{
        static const double wrong[][4] = {
                { -1, 0, 10, 100 },  { NAN, 0, 10, 100 },      { INFINITY, 0, 10, 100 },
                { 1, -1, 10, 100 },  { 1, NAN, 10, 100 },      { 1, INFINITY, 10, 100 },
                { 1, 0, 0, 100 },    { 1, 0, -1, 100 },        { 1, 0, NAN, 100 },
                { 1, 0, INFINITY, 100 }, { 1, 0, 10, -1 },     { 1, 0, 10, NAN },
                { 1, 0, 10, INFINITY }, { 1, 0, DBL_MAX, 1e9 }, { 1e300, 0, 1e200, 0 },
        };
        struct latency_model m = { .work_milli_ms = 42 };

        for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++)
                ck_assert_msg(latency_calibrate(wrong[k][0], wrong[k][1], wrong[k][2], wrong[k][3],
                                                &m) == -EINVAL, "row %zu", k);
        ck_assert_double_eq(m.work_milli_ms, 42);
}
END_TEST

START_TEST(models_out_of_range_are_told_from_valid_ones)
{
        static const struct latency_model wrong[] = {
                { -1, 1, 0, 10 },       { NAN, 1, 0, 10 },  { 1, 0, 0, 10 },  { 1, -1, 0, 10 },
                { 1, INFINITY, 0, 10 }, { 1, 1, -1, 10 },   { 1, 1, NAN, 10 }, { 1, 1, 0, 0 },
                { 1, 1, 0, INFINITY },  { 1, 1e300, 0, 1e-300 }, { 1e300, 1e10, 0, 1e-3 },
                { INFINITY, 1, 0, 10 }, { 1, 1, INFINITY, 10 },
        };
        struct latency_model m = latency_from_load(200, LATENCY_WORK_NOMINAL_MILLI_MS);

        ck_assert(latency_model_is_valid(&model));
        ck_assert(latency_model_is_valid(&m));
        ck_assert_double_eq(latency_ms(&m, 300), 10);
        for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++)
                ck_assert_msg(!latency_model_is_valid(&wrong[k]), "row %zu", k);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("latency");
        TCase *t = tcase_create("latency");

        tcase_add_test(t, latency_is_that_of_a_queue_and_of_its_tangent_close_to_saturation);
        tcase_add_test(t, latency_falls_and_bends_upwards_everywhere);
        tcase_add_test(t, the_amount_for_a_latency_is_the_inverse);
        tcase_add_test(t, a_calibrated_model_gives_what_was_measured);
        tcase_add_test(t, a_tenth_of_the_measured_latency_stays_the_services_own);
        tcase_add_test(t, measurements_that_are_none_are_refused);
        tcase_add_test(t, models_out_of_range_are_told_from_valid_ones);
        suite_add_tcase(s, t);
        return testing_run(s);
}
