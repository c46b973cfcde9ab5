/* SPDX-License-Identifier: MIT */

#include "sim/sim.h"

#include <errno.h>
#include <string.h>

#include "lib/testing.h"

#define SEC 1e6

static struct scenario *load(const char *text)
{
        char path[] = "/tmp/coalloc-sim-XXXXXX";
        struct diagnostics diag = { 0 };
        struct scenario *s = NULL;
        int fd = mkstemp(path), r;

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
        r = scenario_load(path, &s, &diag);
        unlink(path);
        diagnostics_print(&diag, stderr);
        ck_assert_int_eq(r, 0);
        diagnostics_done(&diag);
        return s;
}

static struct sim *play(const struct scenario *s)
{
        struct sim *sim;

        ck_assert_int_eq(sim_new(s, 1, 0, &sim), 0);
        return sim;
}

static double read_use_sec(struct sim *sim, size_t service)
{
        struct unit_counters c;

        ck_assert_int_eq(sim_read(sim, service, &c), 0);
        return (double)c.usage_usec / SEC;
}

#define HOG "[Host]\nCpus=2\nWriteDelay=20ms\n[Service hog]\nHogs=2\n"

START_TEST(what_is_written_is_in_force_after_the_delay)
{
        struct scenario *s = load(HOG "[Service other]\nHogs=2\n");
        struct sim *sim = play(s);

        sim_run(sim, 1 * SEC);
        ck_assert_int_eq(sim_write(sim, 0, &(struct scenario_setting){ 20e3, NAN, 0 }), 0);
        sim_run(sim, 1.019 * SEC);
        ck_assert(isinf(sim_setting(sim, 0).quota_usec));
        ck_assert_double_eq(plant_share_cpus(sim_plant(sim), 0), 1);
        sim_run(sim, 1.021 * SEC);
        ck_assert_double_eq(sim_setting(sim, 0).quota_usec, 20e3);
        ck_assert_int_eq(sim_write(sim, 1, &(struct scenario_setting){ NAN, NAN, 900 }), 0);
        sim_run(sim, 11 * SEC);
        ck_assert_uint_eq(sim_setting(sim, 1).weight, 900);
        ck_assert_double_eq_tol(read_use_sec(sim, 0), 1 + 10 * 0.2, 0.05);
        sim_free(sim);
        scenario_free(s);
}
END_TEST

START_TEST(what_the_kernel_would_not_take_is_refused)
{
        struct scenario *s = load(HOG);
        struct sim *sim = play(s);

        ck_assert_int_eq(sim_write(sim, 0, &(struct scenario_setting){ 999, NAN, 0 }), -EINVAL);
        ck_assert_int_eq(sim_write(sim, 0, &(struct scenario_setting){ 20e3, 30e3, 0 }), -EINVAL);
        ck_assert_int_eq(sim_write(sim, 0, &(struct scenario_setting){ NAN, NAN, 10001 }), -EINVAL);
        ck_assert_int_eq(sim_write(sim, 0, &(struct scenario_setting){ 40e3, 30e3, 0 }), 0);
        ck_assert_int_eq(sim_write(sim, 0, &(struct scenario_setting){ 20e3, NAN, 0 }), -EINVAL); /* below the burst */
        sim_free(sim);
        scenario_free(s);
}
END_TEST

START_TEST(settings_come_and_go_with_their_event)
{
        struct scenario *s = load(HOG "Weight=300\n[Event e]\nService=hog\nAt=10s\nFor=10s\nQuota=50%\nWeight=20\n");
        struct sim *sim = play(s);

        sim_run(sim, 9.9 * SEC);
        ck_assert(isinf(sim_setting(sim, 0).quota_usec));
        sim_run(sim, 15 * SEC);
        ck_assert_double_eq(sim_setting(sim, 0).quota_usec, 50e3);
        ck_assert_uint_eq(sim_setting(sim, 0).weight, 20);
        sim_run(sim, 30 * SEC);
        ck_assert(isinf(sim_setting(sim, 0).quota_usec));
        ck_assert_uint_eq(sim_setting(sim, 0).weight, 300);
        ck_assert_double_eq_tol(read_use_sec(sim, 0), 2 * 20 + 0.5 * 10, 0.2);
        sim_free(sim);
        scenario_free(s);
}
END_TEST

START_TEST(cpus_go_and_come_back)
{
        struct scenario *s = load(HOG "[Event e]\nAt=10s\nFor=10s\nCpus=1\n");
        struct sim *sim = play(s);
        struct host_counters host;

        sim_run(sim, 15 * SEC);
        sim_read_host(sim, &host);
        ck_assert_double_eq(host.capacity_milli, 1000);
        sim_run(sim, 30 * SEC);
        sim_read_host(sim, &host);
        ck_assert_double_eq(host.capacity_milli, 2000);
        ck_assert_double_eq_tol((double)host.busy_usec, 50 * SEC, 10);
        sim_free(sim);
        scenario_free(s);
}
END_TEST

START_TEST(counters_lie_and_go_missing_without_running_backwards)
{
        struct scenario *s = load(HOG "[Event low]\nService=hog\nAt=10s\nFor=10s\nReads=10%\n"
                                      "[Event gone]\nService=hog\nAt=30s\nFor=10s\nReads=missing\n");
        struct sim *sim = play(s);
        struct unit_counters c;

        sim_run(sim, 20 * SEC);
        ck_assert_double_eq_tol(read_use_sec(sim, 0), 20 + 2, 1e-5);
        sim_run(sim, 29 * SEC);
        ck_assert_double_eq_tol(read_use_sec(sim, 0), 20 + 2 + 18, 1e-5);
        sim_run(sim, 35 * SEC);
        ck_assert_int_eq(sim_read(sim, 0, &c), -ENODATA);
        sim_run(sim, 41 * SEC);
        ck_assert_double_eq_tol(read_use_sec(sim, 0), 20 + 2 + 42, 1e-5);
        sim_free(sim);
        scenario_free(s);
}
END_TEST

START_TEST(a_restart_is_a_new_cgroup_and_takes_as_long_as_it_says)
{
        struct scenario *s = load("[Host]\nCpus=2\n[Service web]\nWork=1ms\nStartWork=2s\n[Path p]\nEntry=web\nRate=100\n"
                                  "[Event e]\nService=web\nAt=10s\nFor=3s\nRestart=yes\n");
        struct sim *sim = play(s);
        const struct workload_result *r;

        sim_run(sim, 12.9 * SEC);
        ck_assert_double_eq(read_use_sec(sim, 0), 0);
        sim_run(sim, 30 * SEC);
        r = workload_result(sim_workload(sim), 0);
        ck_assert_double_eq_tol((double)r->n_rejected, 500, 90);
        ck_assert_double_eq_tol(read_use_sec(sim, 0), 2 + 1.5, 0.3);
        sim_free(sim);
        scenario_free(s);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("sim");
        TCase *t = tcase_create("sim");

        tcase_add_test(t, what_is_written_is_in_force_after_the_delay);
        tcase_add_test(t, what_the_kernel_would_not_take_is_refused);
        tcase_add_test(t, settings_come_and_go_with_their_event);
        tcase_add_test(t, cpus_go_and_come_back);
        tcase_add_test(t, counters_lie_and_go_missing_without_running_backwards);
        tcase_add_test(t, a_restart_is_a_new_cgroup_and_takes_as_long_as_it_says);
        suite_add_tcase(s, t);
        return testing_run(s);
}
