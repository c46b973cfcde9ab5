/* SPDX-License-Identifier: MIT */

/* The plant against arithmetic on paper: times and counters of small cases are known to the microsecond. */

#include "sim/plant.h"

#include <errno.h>

#include "lib/testing.h"

#define MS 1000.0
#define TOLERANCE_USEC 0.01

static struct plant *new_plant(unsigned n_cpus, const struct plant_group groups[], size_t n)
{
        struct plant *p;

        ck_assert_int_eq(plant_new(&(struct plant_host){ .n_cpus = n_cpus }, groups, n, &p), 0);
        return p;
}

/* A group at the root, without a quota. */
static struct plant_group leaf(unsigned n_threads)
{
        return (struct plant_group){ .parent = PLANT_ROOT, .n_threads_max = n_threads, .weight = 100,
                                     .quota_usec = INFINITY };
}

static struct plant_group leaf_with_quota(unsigned n_threads, double quota_usec, double burst_usec)
{
        struct plant_group g = leaf(n_threads);

        g.quota_usec = quota_usec;
        g.burst_usec = burst_usec;
        return g;
}

static void start(struct plant *p, size_t group, double work_usec, uint32_t tag)
{
        ck_assert_int_eq(plant_start(p, group, work_usec, tag), 0);
}

/* The next thread to end is this one, then. */
static void expect_end(struct plant *p, uint32_t tag, double at_usec)
{
        uint32_t ended;

        ck_assert(plant_advance(p, 1e12, &ended));
        ck_assert_uint_eq(ended, tag);
        ck_assert_double_eq_tol(plant_now_usec(p), at_usec, TOLERANCE_USEC);
}

static void pass(struct plant *p, double until_usec)
{
        uint32_t ended;

        ck_assert(!plant_advance(p, until_usec, &ended));
        ck_assert_double_eq(plant_now_usec(p), until_usec);
}

static struct plant_counters read_group(struct plant *p, size_t group)
{
        struct plant_counters c;

        plant_read(p, group, &c);
        return c;
}

/* Counters are whole microseconds, cut. */
static void expect_usec(uint64_t counter_usec, double usec)
{
        ck_assert_double_eq_tol((double)counter_usec, usec, 1);
}

/* ---- sharing ------------------------------------------------------------------------------------ */

START_TEST(a_thread_takes_one_cpu_and_no_more)
{
        struct plant_group g = leaf(4);
        struct plant *p = new_plant(4, &g, 1);

        start(p, 0, 30 * MS, 7);
        ck_assert_double_eq(plant_share_cpus(p, 0), 1);
        expect_end(p, 7, 30 * MS);
        ck_assert_double_eq(plant_share_cpus(p, 0), 0);
        expect_usec(read_group(p, 0).unit.usage_usec, 30 * MS);
        plant_free(p);
}
END_TEST

START_TEST(threads_of_a_group_share_its_cpus_equally)
{
        struct plant_group g = leaf(3);
        struct plant *p = new_plant(2, &g, 1);

        start(p, 0, 10 * MS, 1);
        start(p, 0, 20 * MS, 2);
        start(p, 0, 30 * MS, 3);
        expect_end(p, 1, 15 * MS);      /* 2/3 each */
        expect_end(p, 2, 25 * MS);      /* then 1 each */
        expect_end(p, 3, 35 * MS);
        plant_free(p);
}
END_TEST

START_TEST(weights_decide_level_by_level_and_what_one_leaves_goes_to_the_others)
{
        struct plant_group groups[] = { leaf(0), leaf(8), leaf(8), leaf(8), leaf(1) };
        struct plant *p;

        groups[0].weight = 300;         /* holds 1 and 2 */
        groups[1].parent = groups[2].parent = 0;
        groups[1].weight = 20;
        groups[2].weight = 10;
        groups[3].weight = 100;
        groups[4].weight = 10000;       /* one thread: a CPU is all it can take */
        p = new_plant(5, groups, 5);
        for (uint32_t k = 0; k < 8; k++) {
                start(p, 1, INFINITY, k);
                start(p, 2, INFINITY, k);
                start(p, 3, INFINITY, k);
        }
        start(p, 4, INFINITY, 0);
        ck_assert_double_eq_tol(plant_share_cpus(p, 4), 1, 1e-12);
        ck_assert_double_eq_tol(plant_share_cpus(p, 0), 3, 1e-12);
        ck_assert_double_eq_tol(plant_share_cpus(p, 1), 2, 1e-12);
        ck_assert_double_eq_tol(plant_share_cpus(p, 2), 1, 1e-12);
        ck_assert_double_eq_tol(plant_share_cpus(p, 3), 1, 1e-12);

        ck_assert_int_eq(plant_set_weight(p, 3, 900), 0);
        ck_assert_double_eq_tol(plant_share_cpus(p, 0), 1, 1e-12);
        ck_assert_double_eq_tol(plant_share_cpus(p, 3), 3, 1e-12);
        plant_free(p);
}
END_TEST

START_TEST(cpus_that_go_are_missed_and_come_back)
{
        struct plant_group groups[] = { leaf(3), leaf(1) };
        struct plant *p = new_plant(4, groups, 2);
        struct host_counters host;

        for (uint32_t k = 0; k < 3; k++)
                start(p, 0, INFINITY, k);
        start(p, 1, INFINITY, 9);
        pass(p, 100 * MS);
        ck_assert_int_eq(plant_set_cpus(p, 1), 0);
        ck_assert_double_eq(plant_share_cpus(p, 0), 0.5);
        pass(p, 200 * MS);
        ck_assert_int_eq(plant_set_cpus(p, 4), 0);
        ck_assert_double_eq(plant_share_cpus(p, 0), 3);
        pass(p, 300 * MS);
        expect_usec(read_group(p, 0).unit.usage_usec, 650 * MS);
        expect_usec(read_group(p, 1).unit.usage_usec, 250 * MS);
        plant_read_host(p, &host);
        expect_usec(host.busy_usec, 900 * MS);
        ck_assert_double_eq(host.capacity_milli, 4000);
        ck_assert_int_eq(plant_set_cpus(p, 0), -EINVAL);
        ck_assert_int_eq(plant_set_cpus(p, 5), -EINVAL);
        plant_free(p);
}
END_TEST

START_TEST(a_busy_host_works_more_slowly_by_what_was_declared)
{
        struct plant_group g = leaf(2);
        struct plant *p;

        ck_assert_int_eq(plant_new(&(struct plant_host){ 2, 0.5, 0.7 }, &g, 1, &p), 0);
        start(p, 0, 100 * MS, 1);
        pass(p, 50 * MS);               /* half of the host: at full speed */
        start(p, 0, 85 * MS, 2);        /* all of it: 1 - 0.5 * 0.3 */
        expect_end(p, 1, 50 * MS + 50 * MS / 0.85);
        expect_end(p, 2, 50 * MS + 50 * MS / 0.85 + 35 * MS);
        /* It is work that slows down, not CPU time. */
        expect_usec(read_group(p, 0).unit.usage_usec, 50 * MS + 100 * MS / 0.85 + 35 * MS);
        plant_free(p);
}
END_TEST

/* ---- bandwidth ---------------------------------------------------------------------------------- */

START_TEST(a_quota_that_is_used_up_stops_the_group_until_the_next_period)
{
        struct plant_group g = leaf_with_quota(1, 20 * MS, 0);
        struct plant *p = new_plant(4, &g, 1);
        struct plant_counters c;

        start(p, 0, 50 * MS, 1);
        pass(p, 30 * MS);
        ck_assert(plant_is_throttled(p, 0));
        expect_end(p, 1, 210 * MS);
        c = read_group(p, 0);
        expect_usec(c.unit.usage_usec, 50 * MS);
        ck_assert_uint_eq(c.unit.nr_periods, 2);
        ck_assert_uint_eq(c.unit.nr_throttled, 2);
        expect_usec(c.unit.throttled_usec, 160 * MS);
        /* The kernel counts our own quota as pressure, some and full. */
        expect_usec(c.unit.stalled_usec, 160 * MS);
        expect_usec(c.fully_stalled_usec, 160 * MS);
        plant_free(p);
}
END_TEST

START_TEST(threads_drain_a_quota_together_and_are_throttled_on_every_cpu)
{
        struct plant_group g = leaf_with_quota(8, 100 * MS, 0);
        struct plant *p = new_plant(4, &g, 1);
        struct plant_counters c;

        for (uint32_t k = 0; k < 8; k++)
                start(p, 0, INFINITY, k);
        pass(p, 1000 * MS);
        c = read_group(p, 0);
        expect_usec(c.unit.usage_usec, 1000 * MS);
        ck_assert_uint_eq(c.unit.nr_throttled, 10);
        expect_usec(c.unit.throttled_usec, 4 * 750 * MS); /* outruns the clock */
        expect_usec(c.unit.stalled_usec, 1000 * MS);      /* two to a CPU: one always waits */
        expect_usec(c.fully_stalled_usec, 750 * MS);
        plant_free(p);
}
END_TEST

START_TEST(a_quota_of_all_that_one_thread_can_use_never_throttles)
{
        struct plant_group g = leaf_with_quota(1, 100 * MS, 0);
        struct plant *p;
        struct plant_counters c;

        g.phase_usec = 33333;
        p = new_plant(2, &g, 1);
        start(p, 0, INFINITY, 0);
        pass(p, 60000 * MS);
        c = read_group(p, 0);
        ck_assert_uint_eq(c.unit.nr_throttled, 0);
        ck_assert_uint_eq(c.unit.throttled_usec, 0);
        expect_usec(c.unit.usage_usec, 60000 * MS);
        plant_free(p);
}
END_TEST

START_TEST(periods_of_a_group_at_rest_are_not_counted)
{
        struct plant_group g = leaf_with_quota(1, 50 * MS, 0);
        struct plant *p = new_plant(1, &g, 1);

        start(p, 0, 10 * MS, 1);
        expect_end(p, 1, 10 * MS);
        pass(p, 5000 * MS);
        /* The one in which it ran, and the one in which the timer found out that nothing did. */
        ck_assert_uint_eq(read_group(p, 0).unit.nr_periods, 2);
        start(p, 0, 10 * MS, 1);
        expect_end(p, 1, 5010 * MS);
        pass(p, 9000 * MS);
        ck_assert_uint_eq(read_group(p, 0).unit.nr_periods, 4);
        plant_free(p);
}
END_TEST

START_TEST(a_burst_is_what_earlier_periods_left_unused)
{
        struct plant_group g = leaf_with_quota(2, 50 * MS, 30 * MS);
        struct plant *p = new_plant(2, &g, 1);

        start(p, 0, 10 * MS, 1);
        expect_end(p, 1, 10 * MS);      /* 40 are left, and 50 come at 100: more than 80 is never kept */
        pass(p, 100 * MS);
        start(p, 0, INFINITY, 1);
        start(p, 0, INFINITY, 2);
        pass(p, 139 * MS);
        ck_assert(!plant_is_throttled(p, 0));
        pass(p, 141 * MS);
        ck_assert(plant_is_throttled(p, 0));
        expect_usec(read_group(p, 0).unit.usage_usec, 90 * MS);
        pass(p, 240 * MS);
        expect_usec(read_group(p, 0).unit.usage_usec, 140 * MS);
        plant_free(p);
}
END_TEST

/* As measured on a real kernel: use over quota is 1 + period / interval. */
START_TEST(every_write_refills_whether_or_not_it_changes_anything)
{
        static const double every_ms[] = { 50, 100, 200, 500, 1000, 5000 };

        for (size_t k = 0; k < sizeof every_ms / sizeof *every_ms; k++) {
                struct plant_group g = leaf_with_quota(4, 30 * MS, 0);
                struct plant *p;

                g.phase_usec = 37 * MS;
                p = new_plant(4, &g, 1);
                for (uint32_t i = 0; i < 4; i++)
                        start(p, 0, INFINITY, i);
                for (double at_ms = every_ms[k]; at_ms <= 60000; at_ms += every_ms[k]) {
                        pass(p, at_ms * MS);
                        ck_assert_int_eq(plant_set_bandwidth(p, 0, 30 * MS, 0), 0);
                }
                ck_assert_double_eq_tol((double)read_group(p, 0).unit.usage_usec / (0.3 * 60000 * MS),
                                        1 + 100 / every_ms[k], 0.004);
                plant_free(p);
        }
}
END_TEST

START_TEST(a_write_wakes_who_was_throttled_and_no_quota_never_throttles)
{
        struct plant_group g = leaf_with_quota(1, 10 * MS, 0);
        struct plant *p = new_plant(1, &g, 1);

        start(p, 0, 100 * MS, 1);
        pass(p, 50 * MS);
        ck_assert(plant_is_throttled(p, 0));
        ck_assert_int_eq(plant_set_bandwidth(p, 0, INFINITY, 0), 0);
        ck_assert(!plant_is_throttled(p, 0));
        expect_end(p, 1, 140 * MS);
        plant_free(p);
}
END_TEST

START_TEST(a_slice_that_is_used_up_stops_what_lies_in_it)
{
        struct plant_group groups[] = { leaf_with_quota(0, 40 * MS, 0), leaf(1), leaf_with_quota(1, 90 * MS, 0) };
        struct plant *p;
        struct plant_counters c;

        groups[1].parent = groups[2].parent = 0;
        p = new_plant(4, groups, 3);
        start(p, 1, INFINITY, 1);
        start(p, 2, INFINITY, 2);
        pass(p, 1000 * MS);
        c = read_group(p, 0);
        expect_usec(c.unit.usage_usec, 400 * MS);
        ck_assert_uint_eq(c.unit.nr_throttled, 10);
        expect_usec(c.unit.throttled_usec, 2 * 800 * MS);
        c = read_group(p, 2);
        expect_usec(c.unit.usage_usec, 200 * MS);
        ck_assert_uint_eq(c.unit.nr_throttled, 0); /* its own quota was never reached */
        ck_assert_uint_eq(c.unit.throttled_usec, 0);
        expect_usec(c.fully_stalled_usec, 800 * MS); /* but it could not run all the same */
        ck_assert_uint_eq(c.unit.nr_periods, 10);
        plant_free(p);
}
END_TEST

/* ---- pressure ----------------------------------------------------------------------------------- */

START_TEST(pressure_is_some_while_one_waits_and_full_while_none_runs)
{
        struct plant_group groups[] = { leaf(2), leaf(1) };
        struct plant *p = new_plant(1, groups, 2);
        struct plant_counters c;
        struct host_counters host;

        start(p, 0, INFINITY, 1);
        pass(p, 100 * MS);              /* alone: no pressure */
        start(p, 0, INFINITY, 2);
        pass(p, 200 * MS);              /* one runs, one waits */
        start(p, 1, INFINITY, 3);
        pass(p, 300 * MS);              /* half of the CPU is somebody else's */
        c = read_group(p, 0);
        expect_usec(c.unit.stalled_usec, 200 * MS);
        expect_usec(c.fully_stalled_usec, 50 * MS);
        c = read_group(p, 1);
        expect_usec(c.unit.stalled_usec, 50 * MS);
        expect_usec(c.fully_stalled_usec, 50 * MS);
        plant_read_host(p, &host);
        expect_usec(host.stalled_usec, 200 * MS);
        plant_free(p);
}
END_TEST

/* Two threads on two CPUs get half of each for 100 ms, then one is gone for 300 ms: CPU 0 waits for 50 ms of
 * 400 in which it has something to run, CPU 1 for 50 of 100. */
START_TEST(pressure_of_a_cpu_counts_by_the_time_it_had_something_to_run)
{
        struct plant_group groups[] = { leaf(2), leaf(2) };
        struct plant *p = new_plant(2, groups, 2);

        start(p, 0, INFINITY, 1);
        start(p, 0, 50 * MS, 2);
        start(p, 1, 50 * MS, 3);
        start(p, 1, 50 * MS, 4);
        expect_end(p, 2, 100 * MS);
        expect_end(p, 3, 100 * MS);
        expect_end(p, 4, 100 * MS);
        pass(p, 400 * MS);
        expect_usec(read_group(p, 0).unit.stalled_usec, (50 * MS * 400 + 50 * MS * 100) / 500);
        plant_free(p);
}
END_TEST

/* calc_load() by hand: (0 * 1677 + 204800 * 371 + 2047) / 2048 = 37100, and on from there. */
START_TEST(the_ten_second_average_is_that_of_the_kernel)
{
        static const unsigned fixed_point[] = { 37100, 67480, 92356, 112726, 129406 };
        struct plant_group g = leaf(2);
        struct plant *p = new_plant(1, &g, 1);

        start(p, 0, INFINITY, 1);
        start(p, 0, INFINITY, 2);
        pass(p, 2003 * MS);
        ck_assert_double_eq(read_group(p, 0).some_avg10_percent, 0);
        for (size_t k = 0; k < sizeof fixed_point / sizeof *fixed_point; k++) {
                struct plant_counters c;

                pass(p, (double)(k + 1) * 2004 * MS + 1);
                c = read_group(p, 0);
                ck_assert_double_eq_tol(c.some_avg10_percent, floor(fixed_point[k] / 20.48) / 100, 1e-9);
                ck_assert_double_eq(c.full_avg10_percent, 0);
        }
        plant_free(p);
}
END_TEST

/* ---- the rest ----------------------------------------------------------------------------------- */

START_TEST(a_restart_leaves_settings_and_nothing_else)
{
        struct plant_group groups[] = { leaf_with_quota(2, 10 * MS, 0), leaf(1) };
        struct plant *p = new_plant(1, groups, 2);
        struct plant_counters c;

        start(p, 0, INFINITY, 1);
        start(p, 0, INFINITY, 2);
        start(p, 1, INFINITY, 3);
        pass(p, 3050 * MS);
        ck_assert(plant_is_throttled(p, 0));
        plant_restart(p, 0);
        ck_assert_double_eq(plant_share_cpus(p, 1), 1);
        c = read_group(p, 0);
        ck_assert_uint_eq(c.unit.usage_usec + c.unit.nr_periods + c.unit.nr_throttled + c.unit.throttled_usec +
                                  c.unit.stalled_usec + c.fully_stalled_usec, 0);
        ck_assert_double_eq(c.some_avg10_percent, 0);
        start(p, 0, 20 * MS, 4);        /* 10 of them until 3070, the rest from the next period on */
        expect_end(p, 4, 3120 * MS);
        plant_free(p);
}
END_TEST

START_TEST(nonsense_is_refused)
{
        struct plant_group g = leaf(1), bad[2];
        struct plant *p = NULL;
        const struct plant_host host = { .n_cpus = 1 };

        ck_assert_int_eq(plant_new(&(struct plant_host){ 0 }, &g, 1, &p), -EINVAL);
        ck_assert_int_eq(plant_new(&(struct plant_host){ 1, 1.5, 0.7 }, &g, 1, &p), -EINVAL);
        ck_assert_int_eq(plant_new(&(struct plant_host){ 1, 1, 0 }, &g, 1, &p), -EINVAL); /* would stand still */
        bad[0] = leaf_with_quota(1, 999, 0);
        ck_assert_int_eq(plant_new(&host, bad, 1, &p), -EINVAL);
        bad[0] = leaf_with_quota(1, 5000, 5001);
        ck_assert_int_eq(plant_new(&host, bad, 1, &p), -EINVAL);
        bad[0] = leaf(1);
        bad[0].weight = 0;
        ck_assert_int_eq(plant_new(&host, bad, 1, &p), -EINVAL);
        bad[0] = bad[1] = leaf(1);
        bad[1].parent = 0;              /* in a group of threads */
        ck_assert_int_eq(plant_new(&host, bad, 2, &p), -EINVAL);
        bad[0] = leaf(0);
        bad[0].parent = 0;              /* in itself */
        ck_assert_int_eq(plant_new(&host, bad, 1, &p), -EINVAL);
        ck_assert_ptr_null(p);

        p = new_plant(1, &g, 1);
        ck_assert_int_eq(plant_start(p, 0, 0, 1), -EINVAL);
        ck_assert_int_eq(plant_set_bandwidth(p, 0, 999, 0), -EINVAL);
        ck_assert_int_eq(plant_set_bandwidth(p, 0, 2000, 2001), -EINVAL);
        ck_assert_int_eq(plant_set_weight(p, 0, NAN), -EINVAL);
        start(p, 0, 1, 1);
        ck_assert_int_eq(plant_start(p, 0, 1, 1), -EBUSY);
        plant_free(p);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("plant");
        TCase *t = tcase_create("plant");

        tcase_add_test(t, a_thread_takes_one_cpu_and_no_more);
        tcase_add_test(t, threads_of_a_group_share_its_cpus_equally);
        tcase_add_test(t, weights_decide_level_by_level_and_what_one_leaves_goes_to_the_others);
        tcase_add_test(t, cpus_that_go_are_missed_and_come_back);
        tcase_add_test(t, a_busy_host_works_more_slowly_by_what_was_declared);
        tcase_add_test(t, a_quota_that_is_used_up_stops_the_group_until_the_next_period);
        tcase_add_test(t, threads_drain_a_quota_together_and_are_throttled_on_every_cpu);
        tcase_add_test(t, a_quota_of_all_that_one_thread_can_use_never_throttles);
        tcase_add_test(t, periods_of_a_group_at_rest_are_not_counted);
        tcase_add_test(t, a_burst_is_what_earlier_periods_left_unused);
        tcase_add_test(t, every_write_refills_whether_or_not_it_changes_anything);
        tcase_add_test(t, a_write_wakes_who_was_throttled_and_no_quota_never_throttles);
        tcase_add_test(t, a_slice_that_is_used_up_stops_what_lies_in_it);
        tcase_add_test(t, pressure_is_some_while_one_waits_and_full_while_none_runs);
        tcase_add_test(t, pressure_of_a_cpu_counts_by_the_time_it_had_something_to_run);
        tcase_add_test(t, the_ten_second_average_is_that_of_the_kernel);
        tcase_add_test(t, a_restart_leaves_settings_and_nothing_else);
        tcase_add_test(t, nonsense_is_refused);
        suite_add_tcase(s, t);
        return testing_run(s);
}
