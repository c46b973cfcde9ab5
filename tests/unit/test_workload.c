/* SPDX-License-Identifier: MIT */

/* The workload against queueing theory, and the calibration figures that were taken beforehand.
 *
 * Seeds are fixed: what a test compares with theory is as far from it today as tomorrow. */

#include "sim/workload.h"

#include <errno.h>

#include "lib/testing.h"

#define MS 1000.0
#define SEC 1e6
#define QUEUE_LONG 100000

struct world {
        struct plant *plant;
        struct workload *workload;
};

/* A group a service, on the root, under one quota (in CPUs; INFINITY) and burst. */
static int try_world(struct world *w, unsigned n_cpus, double quota_cpus, double burst_cpus,
                     const struct workload_spec *spec, uint64_t seed)
{
        struct plant_group groups[8];

        for (size_t i = 0; i < spec->n_services; i++)
                groups[i] = (struct plant_group){ PLANT_ROOT, workload_threads(&spec->services[i]), 100,
                                                  quota_cpus * PLANT_PERIOD_USEC, burst_cpus * PLANT_PERIOD_USEC,
                                                  13 * MS };
        ck_assert_int_eq(plant_new(&(struct plant_host){ .n_cpus = n_cpus }, groups, spec->n_services, &w->plant), 0);
        return workload_new(spec, w->plant, seed, &w->workload);
}

static void world_init(struct world *w, unsigned n_cpus, const struct workload_spec *spec, uint64_t seed)
{
        ck_assert_int_eq(try_world(w, n_cpus, INFINITY, 0, spec, seed), 0);
}

static void world_done(struct world *w)
{
        workload_free(w->workload);
        plant_free(w->plant);
}

static struct workload_service service_of(size_t group, unsigned n_threads, double work_usec)
{
        return (struct workload_service){ .group = group, .n_threads = n_threads, .n_queued_max = QUEUE_LONG,
                                          .work_usec = work_usec };
}

/* One service, one path to it. */
struct lone {
        struct workload_service service;
        struct workload_path path;
        struct workload_spec spec;
        double rate_per_sec;
};

static void lone_init(struct lone *l, unsigned n_threads, double work_usec, double rate_per_sec)
{
        *l = (struct lone){ .rate_per_sec = rate_per_sec };
        l->service = service_of(0, n_threads, work_usec);
        l->path = (struct workload_path){ .rates_per_sec = &l->rate_per_sec, .n_rates = 1, .target_usec = INFINITY };
        l->spec = (struct workload_spec){ &l->service, 1, &l->path, 1 };
}

static const struct workload_result *run_lone(struct world *w, const struct lone *l, unsigned n_cpus, double sec)
{
        world_init(w, n_cpus, &l->spec, 1);
        workload_run(w->workload, 30 * SEC);
        workload_forget(w->workload);
        workload_run(w->workload, sec * SEC);
        return workload_result(w->workload, 0);
}

static double quantile_ms(const struct workload_result *r, double share)
{
        return histogram_quantile_usec(&r->latency, share) / MS;
}

static double mean_ms(const struct workload_result *r)
{
        return histogram_mean_usec(&r->latency) / MS;
}

/* ---- theory ------------------------------------------------------------------------------------- */

/* M/M/1: the sojourn time is exponential with mean S / (1 - rho). */
START_TEST(one_thread_is_a_single_server_queue)
{
        struct lone l;
        struct world w;
        const struct workload_result *r;

        lone_init(&l, 1, 5 * MS, 140);
        r = run_lone(&w, &l, 4, 8000);
        ck_assert_double_eq_tol(mean_ms(r), 5 / 0.3, 0.03 * 5 / 0.3);
        ck_assert_double_eq_tol(quantile_ms(r, 0.5), log(2) * 5 / 0.3, 0.03 * 12);
        ck_assert_double_eq_tol(quantile_ms(r, 0.99), log(100) * 5 / 0.3, 0.05 * 77);
        world_done(&w);
}
END_TEST

/* M/M/2: Erlang's C formula. */
START_TEST(two_threads_are_a_queue_of_two_servers)
{
        double rho = 0.85, waits = 2 * rho * rho / (1 + rho);
        struct lone l;
        struct world w;

        lone_init(&l, 2, 5 * MS, 2 * rho / 0.005);
        ck_assert_double_eq_tol(mean_ms(run_lone(&w, &l, 8, 4000)), 5 + waits * 5 / (2 * (1 - rho)), 0.03 * 18);
        world_done(&w);
}
END_TEST

/* M/G/1 with processor sharing: the mean is S / (1 - rho), whatever the work looks like. */
START_TEST(threads_that_share_a_cpu_wait_as_processor_sharing_says_whatever_the_work_looks_like)
{
        for (int shape = 0; shape < _WORK_SHAPE_MAX; shape++) {
                struct lone l;
                struct world w;

                lone_init(&l, 400, 5 * MS, 120);
                l.service.shape = (enum work_shape)shape;
                l.service.work_variation = 2;
                ck_assert_double_eq_tol(mean_ms(run_lone(&w, &l, 1, 4000)), 5 / 0.4, 0.04 * 5 / 0.4);
                world_done(&w);
        }
}
END_TEST

/* M/M/1/K at rho = 1: each of the K + 1 states is as likely. */
START_TEST(a_full_queue_rejects_as_often_as_theory_says)
{
        struct lone l;
        struct world w;
        const struct workload_result *r;

        lone_init(&l, 1, 5 * MS, 200);
        l.service.n_queued_max = 4;
        r = run_lone(&w, &l, 1, 5000);
        ck_assert_double_eq_tol((double)r->n_rejected / (double)r->n_arrived, 1.0 / 6, 0.005);
        ck_assert_uint_le(r->n_done + r->n_rejected, r->n_arrived);
        ck_assert_uint_ge(r->n_done + r->n_rejected + 5, r->n_arrived);
        world_done(&w);
}
END_TEST

/* Jackson: a chain of queues is as if each were alone. */
START_TEST(a_chain_takes_as_long_as_its_links)
{
        struct workload_service services[] = { service_of(0, 400, 2 * MS), service_of(1, 1, 5 * MS), service_of(2, 1, 4 * MS) };
        struct workload_call calls[] = { { 0, 1, 1, false }, { 1, 2, 1, true } };
        double rate_per_sec = 100;
        struct workload_path paths[] = {
                { .entry = 0, .calls = calls, .n_calls = 1, .rates_per_sec = &rate_per_sec, .n_rates = 1, .target_usec = INFINITY },
        };
        struct workload_spec spec = { services, 2, paths, 1 };
        struct world w;

        world_init(&w, 400, &spec, 1);
        workload_run(w.workload, 5000 * SEC);
        ck_assert_double_eq_tol(mean_ms(workload_result(w.workload, 0)), 2 + 5 / 0.5, 0.03 * 12);
        world_done(&w);

        /* What is called asynchronously takes CPU, and none of the request's time. */
        spec.n_services = 3;
        paths[0].n_calls = 2;
        world_init(&w, 400, &spec, 1);
        workload_run(w.workload, 5000 * SEC);
        ck_assert_double_eq_tol(mean_ms(workload_result(w.workload, 0)), 2 + 5 / 0.5, 0.03 * 12);
        struct plant_counters c;
        plant_read(w.plant, 2, &c);
        ck_assert_double_eq_tol((double)c.unit.usage_usec / (5000 * SEC), 0.4, 0.01);
        world_done(&w);
}
END_TEST

/* ---- calls -------------------------------------------------------------------------------------- */

/* A gate with two threads before a service of 10 ms that would have room for a hundred. */
START_TEST(a_synchronous_call_keeps_the_callers_thread_and_an_asynchronous_one_does_not)
{
        for (int is_async = 0; is_async < 2; is_async++) {
                struct workload_service services[] = { service_of(0, 2, 1), service_of(1, 100, 10 * MS) };
                struct workload_call call = { 0, 1, 1, is_async };
                double rate_per_sec = 1000, n_served;
                struct workload_path path = { .entry = 0, .calls = &call, .n_calls = 1, .rates_per_sec = &rate_per_sec,
                                              .n_rates = 1, .target_usec = INFINITY };
                struct workload_spec spec = { services, 2, &path, 1 };
                struct workload_service_result result;
                struct world w;

                services[0].shape = services[1].shape = WORK_FIXED;
                services[0].n_queued_max = 10;
                world_init(&w, 200, &spec, 1);
                workload_run(w.workload, 100 * SEC);
                workload_service_result(w.workload, 1, &result);
                n_served = (double)result.n_served;
                ck_assert_double_eq_tol(n_served / 100, is_async ? 1000 : 200, 10);
                world_done(&w);
        }
}
END_TEST

START_TEST(calls_go_out_at_once_and_the_last_answer_counts)
{
        struct workload_service services[] = { service_of(0, 50, 1 * MS), service_of(1, 50, 20 * MS),
                                               service_of(2, 50, 30 * MS) };
        struct workload_call calls[] = { { 0, 1, 1, false }, { 0, 2, 0.25, false } };
        double rate_per_sec = 40;
        struct workload_path path = { .entry = 0, .calls = calls, .n_calls = 2, .rates_per_sec = &rate_per_sec,
                                      .n_rates = 1, .target_usec = 25 * MS };
        struct workload_spec spec = { services, 3, &path, 1 };
        struct world w;
        const struct workload_result *r;

        for (size_t i = 0; i < 3; i++)
                services[i].shape = WORK_FIXED;
        world_init(&w, 200, &spec, 1);
        workload_run(w.workload, 1000 * SEC);
        r = workload_result(w.workload, 0);
        ck_assert_double_eq_tol(quantile_ms(r, 0.5), 21, 0.2);
        ck_assert_double_eq_tol(quantile_ms(r, 0.99), 31, 0.3);
        ck_assert_double_eq_tol((double)r->n_late / (double)r->n_done, 0.25, 0.01);
        world_done(&w);
}
END_TEST

START_TEST(a_rejected_call_fails_the_request_unless_nobody_waits_for_it)
{
        for (int is_async = 0; is_async < 2; is_async++) {
                struct workload_service services[] = { service_of(0, 50, 1 * MS), service_of(1, 1, 50 * MS) };
                struct workload_call call = { 0, 1, 1, is_async };
                double rate_per_sec = 40;
                struct workload_path path = { .entry = 0, .calls = &call, .n_calls = 1, .rates_per_sec = &rate_per_sec,
                                              .n_rates = 1, .target_usec = INFINITY };
                struct workload_spec spec = { services, 2, &path, 1 };
                struct workload_service_result result;
                struct world w;
                const struct workload_result *r;

                services[1].n_queued_max = 0;
                world_init(&w, 100, &spec, 1);
                workload_run(w.workload, 1000 * SEC);
                r = workload_result(w.workload, 0);
                workload_service_result(w.workload, 1, &result);
                /* Erlang's B formula: a = 2, one server. */
                ck_assert_double_eq_tol((double)result.n_rejected / (double)r->n_arrived, 2.0 / 3, 0.02);
                ck_assert_uint_eq(r->n_rejected, is_async ? 0 : result.n_rejected);
                world_done(&w);
        }
}
END_TEST

START_TEST(two_paths_meet_at_what_they_share)
{
        struct workload_service services[] = { service_of(0, 100, 1 * MS), service_of(1, 100, 1 * MS), service_of(2, 1, 5 * MS) };
        struct workload_call first = { 0, 2, 1, false }, second = { 1, 2, 1, false };
        double first_rate = 80, second_rate = 20;
        struct workload_path paths[] = {
                { .entry = 0, .calls = &first, .n_calls = 1, .rates_per_sec = &first_rate, .n_rates = 1, .target_usec = INFINITY },
                { .entry = 1, .calls = &second, .n_calls = 1, .rates_per_sec = &second_rate, .n_rates = 1, .target_usec = INFINITY },
        };
        struct workload_spec spec = { services, 3, paths, 2 };
        struct world w;

        world_init(&w, 300, &spec, 1);
        workload_run(w.workload, 5000 * SEC);
        for (size_t i = 0; i < 2; i++)
                ck_assert_double_eq_tol(mean_ms(workload_result(w.workload, i)), 1 + 5 / 0.5, 0.5);
        world_done(&w);
}
END_TEST

START_TEST(a_path_that_calls_in_a_circle_is_refused)
{
        struct workload_service services[] = { service_of(0, 1, 1 * MS), service_of(1, 1, 1 * MS), service_of(2, 1, 1 * MS) };
        struct workload_call calls[] = { { 0, 1, 1, false }, { 1, 2, 0.5, false }, { 0, 2, 1, false }, { 2, 0, 0.1, true } };
        double rate_per_sec = 1;
        struct workload_path path = { .entry = 0, .calls = calls, .n_calls = 4, .rates_per_sec = &rate_per_sec,
                                      .n_rates = 1, .target_usec = INFINITY };
        struct workload_spec spec = { services, 3, &path, 1 };
        struct world w = { 0 };

        ck_assert_int_eq(try_world(&w, 1, INFINITY, 0, &spec, 1), -ELOOP);
        world_done(&w);
        path.n_calls = 3;
        ck_assert_int_eq(try_world(&w, 1, INFINITY, 0, &spec, 1), 0);
        world_done(&w);
        path.entry = 3;
        w.workload = NULL;
        ck_assert_int_eq(try_world(&w, 1, INFINITY, 0, &spec, 1), -EINVAL);
        world_done(&w);
}
END_TEST

/* ---- rates, seeds, seconds -------------------------------------------------------------------------- */

START_TEST(requests_come_at_the_rate_of_each_second)
{
        double rates[] = { 100, 0, 300, 50 };
        struct workload_ramp ramps[] = { { 400 * SEC, 100 * SEC, 600 * SEC, 3 } };
        struct lone l;
        struct world w;
        uint64_t n_before = 0;
        double n[4] = { 0 }, n_ramp = 0, n_high = 0;

        lone_init(&l, 4, 1 * MS, 0);
        l.path.rates_per_sec = rates;
        l.path.n_rates = 4;
        l.path.ramps = ramps;
        l.path.n_ramps = 1;
        world_init(&w, 4, &l.spec, 1);
        for (int second = 0; second < 1000; second++) {
                double n_now;

                workload_run(w.workload, (second + 1) * SEC);
                n_now = (double)(workload_result(w.workload, 0)->n_arrived - n_before);
                n_before = workload_result(w.workload, 0)->n_arrived;
                if (second < 400)
                        n[second % 4] += n_now;
                else if (second < 500)
                        n_ramp += n_now;
                else if (second < 600)
                        n_high += n_now;
        }
        for (int k = 0; k < 4; k++)
                ck_assert_double_le(fabs(n[k] - rates[k] * 100), 4 * sqrt(rates[k] * 100));
        ck_assert_double_eq_tol(n_ramp, 112.5 * 100 * 2, 4 * sqrt(22500));
        ck_assert_double_eq_tol(n_high, 112.5 * 100 * 3, 4 * sqrt(33750));
        world_done(&w);
}
END_TEST

START_TEST(work_grows_with_its_ramp)
{
        struct workload_ramp ramp = { 100 * SEC, 0, INFINITY, 3 };
        struct lone l;
        struct world w;
        struct plant_counters before, after;

        lone_init(&l, 8, 5 * MS, 40);
        l.service.ramps = &ramp;
        l.service.n_ramps = 1;
        world_init(&w, 8, &l.spec, 1);
        workload_run(w.workload, 100 * SEC);
        plant_read(w.plant, 0, &before);
        workload_run(w.workload, 200 * SEC);
        plant_read(w.plant, 0, &after);
        ck_assert_double_eq_tol((double)before.unit.usage_usec / (100 * SEC), 0.2, 0.02);
        ck_assert_double_eq_tol((double)(after.unit.usage_usec - before.unit.usage_usec) / (100 * SEC), 0.6, 0.06);
        world_done(&w);
}
END_TEST

START_TEST(the_same_seed_brings_the_same_load_to_every_setting)
{
        struct plant_counters c[3];
        uint64_t n_arrived[3];
        double p99_ms[3];

        for (int k = 0; k < 3; k++) {
                struct lone l;
                struct world w;

                lone_init(&l, 8, 5 * MS, 150);
                l.service.shape = WORK_LOGNORMAL;
                l.service.work_variation = 2;
                ck_assert_int_eq(try_world(&w, 4, k == 1 ? 1.3 : INFINITY, 0, &l.spec, k == 2 ? 8 : 7), 0);
                workload_run(w.workload, 100 * SEC);
                n_arrived[k] = workload_result(w.workload, 0)->n_arrived;
                p99_ms[k] = quantile_ms(workload_result(w.workload, 0), 0.99);
                plant_read(w.plant, 0, &c[k]);
                world_done(&w);
        }
        ck_assert_uint_eq(n_arrived[0], n_arrived[1]);
        ck_assert_uint_ne(n_arrived[0], n_arrived[2]);
        ck_assert_double_eq_tol((double)c[0].unit.usage_usec, (double)c[1].unit.usage_usec, 1 * SEC);
        ck_assert_double_gt(p99_ms[1], p99_ms[0]); /* but it is served differently */
        ck_assert_uint_gt(c[1].unit.nr_throttled, 0);
}
END_TEST

/* Fixed work of 10 ms against a target of 5: every second in which something is done, and none else. */
START_TEST(a_second_is_violated_when_a_hundredth_of_it_is_late_or_who_waits_is_not_served)
{
        double rates[] = { 50, 0, 0, 0 };
        struct lone l;
        struct world w;

        lone_init(&l, 8, 10 * MS, 0);
        l.service.shape = WORK_FIXED;
        l.path.rates_per_sec = rates;
        l.path.n_rates = 4;
        l.path.target_usec = 5 * MS;
        world_init(&w, 8, &l.spec, 3);
        workload_run(w.workload, 400 * SEC);
        /* What comes in the last 10 ms of a second is done in the next one. */
        ck_assert_uint_ge(workload_result(w.workload, 0)->n_seconds_violated, 100);
        ck_assert_uint_le(workload_result(w.workload, 0)->n_seconds_violated, 170);
        world_done(&w);

        l.path.target_usec = 15 * MS;
        world_init(&w, 8, &l.spec, 3);
        workload_run(w.workload, 400 * SEC);
        ck_assert_uint_eq(workload_result(w.workload, 0)->n_seconds_violated, 0);
        world_done(&w);

        /* Work of 10 s: seconds pass in which all wait. */
        l.service.work_usec = 10 * SEC;
        l.path.target_usec = 30 * SEC;
        rates[0] = 0.1;
        world_init(&w, 1000, &l.spec, 3);
        workload_run(w.workload, 4000 * SEC);
        ck_assert_uint_gt(workload_result(w.workload, 0)->n_seconds_violated,
                          8 * workload_result(w.workload, 0)->n_done);
        world_done(&w);
}
END_TEST

START_TEST(a_restart_fails_what_was_under_way_and_rejects_until_it_is_over)
{
        struct workload_service services[] = { service_of(0, 20, 1 * MS), service_of(1, 10, 20 * MS) };
        struct workload_call call = { 0, 1, 1, false };
        double rate_per_sec = 100;
        struct workload_path path = { .entry = 0, .calls = &call, .n_calls = 1, .rates_per_sec = &rate_per_sec,
                                      .n_rates = 1, .target_usec = INFINITY };
        struct workload_spec spec = { services, 2, &path, 1 };
        struct world w;
        uint64_t n_rejected;
        struct plant_counters c;

        services[1].start_work_usec = 3 * SEC;
        world_init(&w, 100, &spec, 1);
        workload_run(w.workload, 100 * SEC);
        ck_assert_uint_eq(workload_result(w.workload, 0)->n_rejected, 0);
        workload_stop(w.workload, 1);
        ck_assert_double_eq(plant_share_cpus(w.plant, 1), 0);
        ck_assert_uint_ge(workload_result(w.workload, 0)->n_rejected, 1);
        workload_run(w.workload, 102 * SEC);
        workload_start(w.workload, 1);
        workload_run(w.workload, 105.01 * SEC);
        n_rejected = workload_result(w.workload, 0)->n_rejected;
        ck_assert_double_eq_tol((double)n_rejected, 500, 4 * sqrt(500)); /* 2 s down, 3 s of start-up work */
        workload_run(w.workload, 200 * SEC);
        ck_assert_uint_eq(workload_result(w.workload, 0)->n_rejected, n_rejected);
        plant_read(w.plant, 1, &c);
        ck_assert_double_eq_tol((double)c.unit.usage_usec, 3 * SEC + 95 * 2 * SEC, 10 * SEC); /* since it is new */

        /* The same to the caller: whom it had asked answers to nobody. */
        workload_stop(w.workload, 0);
        workload_run(w.workload, 201 * SEC);
        workload_start(w.workload, 0);
        workload_run(w.workload, 300 * SEC);
        ck_assert_uint_le(workload_result(w.workload, 0)->n_arrived -
                                  workload_result(w.workload, 0)->n_done - workload_result(w.workload, 0)->n_rejected,
                          30);
        world_done(&w);
}
END_TEST

START_TEST(hogs_take_what_they_get_and_serve_nobody)
{
        struct lone l;
        struct world w;
        struct plant_counters c;

        lone_init(&l, 1, 5 * MS, 0);
        l.service.n_hogs = 3;
        world_init(&w, 4, &l.spec, 1);
        workload_run(w.workload, 10 * SEC);
        plant_read(w.plant, 0, &c);
        ck_assert_double_eq_tol((double)c.unit.usage_usec, 30 * SEC, 1);
        ck_assert(isnan(mean_ms(workload_result(w.workload, 0))));
        world_done(&w);
}
END_TEST

/* ---- calibration -------------------------------------------------------------------------------- */

/* Ten minutes of constant load, exponential work of 5 ms, 32 idle CPUs: figures taken before this plant was
 * written, by a simulation in steps of a millisecond, means of five seeds with their ranges. The figures for as many
 * threads as CPUs of quota are left out: steps round work up, and there Erlang's formula (above) says half. */
START_TEST(calibration_figures_are_met)
{
        static const struct {
                double quota_cpus, rho, burst_cpus;
                double p99_low_ms, p99_high_ms;         /* the range of the five, and a tenth */
                double p999_ms, throttled_share, violated_sec;
        } rows[] = {
                { 2, 0.85, 0, 42, 60, 93, 0.32, 7 },
                { 0.5, 0.70, 0, 81, 150, 243, 0.27, 61 },
                { 0.5, 0.70, 0.5, 21, 33, 88, 0.018, 3 },
                { INFINITY, 0.85, 0, 22, 24, 35, 0, 0 },
        };

        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
                double p99_ms = 0, p999_ms = 0, throttled = 0, violated = 0;

                for (uint64_t seed = 1; seed <= 5; seed++) {
                        struct lone l;
                        struct world w;
                        struct plant_counters c;
                        const struct workload_result *r;

                        lone_init(&l, 8, 5 * MS, rows[k].rho * fmin(rows[k].quota_cpus, 2) / 0.005);
                        l.path.target_usec = 100 * MS;
                        ck_assert_int_eq(try_world(&w, 32, rows[k].quota_cpus, rows[k].burst_cpus, &l.spec, seed), 0);
                        workload_run(w.workload, 600 * SEC);
                        r = workload_result(w.workload, 0);
                        plant_read(w.plant, 0, &c);
                        p99_ms += quantile_ms(r, 0.99) / 5;
                        p999_ms += quantile_ms(r, 0.999) / 5;
                        violated += (double)r->n_seconds_violated / 5;
                        if (c.unit.nr_periods > 0)
                                throttled += (double)c.unit.nr_throttled / (double)c.unit.nr_periods / 5;
                        world_done(&w);
                }
                ck_assert_double_ge(p99_ms, rows[k].p99_low_ms);
                ck_assert_double_le(p99_ms, rows[k].p99_high_ms);
                ck_assert_double_eq_tol(p999_ms, rows[k].p999_ms, 0.25 * rows[k].p999_ms);
                ck_assert_double_eq_tol(throttled, rows[k].throttled_share, 0.02);
                ck_assert_double_eq_tol(violated, rows[k].violated_sec, 3 + 0.35 * rows[k].violated_sec);
        }
}
END_TEST

START_TEST(a_histogram_is_right_to_its_buckets)
{
        static struct histogram h;

        ck_assert(isnan(histogram_quantile_usec(&h, 0.5)));
        ck_assert(isnan(histogram_mean_usec(&h)));
        for (int k = 1; k <= 1000; k++)
                histogram_add(&h, k * 1000.0);
        ck_assert_double_eq(histogram_mean_usec(&h), 500500);
        for (int k = 1; k <= 1000; k++)
                ck_assert_double_eq_tol(histogram_quantile_usec(&h, k / 1000.0), k * 1000.0, 0.008 * k * 1000.0);
        histogram_add(&h, 0);
        histogram_add(&h, 1e30);        /* neither is lost */
        ck_assert_double_eq_tol(histogram_quantile_usec(&h, 0), 1, 0.01);
        ck_assert_double_gt(histogram_quantile_usec(&h, 1), 3600 * SEC);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("workload");
        TCase *t = tcase_create("workload");

        tcase_add_test(t, one_thread_is_a_single_server_queue);
        tcase_add_test(t, two_threads_are_a_queue_of_two_servers);
        tcase_add_test(t, threads_that_share_a_cpu_wait_as_processor_sharing_says_whatever_the_work_looks_like);
        tcase_add_test(t, a_full_queue_rejects_as_often_as_theory_says);
        tcase_add_test(t, a_chain_takes_as_long_as_its_links);
        tcase_add_test(t, a_synchronous_call_keeps_the_callers_thread_and_an_asynchronous_one_does_not);
        tcase_add_test(t, calls_go_out_at_once_and_the_last_answer_counts);
        tcase_add_test(t, a_rejected_call_fails_the_request_unless_nobody_waits_for_it);
        tcase_add_test(t, two_paths_meet_at_what_they_share);
        tcase_add_test(t, a_path_that_calls_in_a_circle_is_refused);
        tcase_add_test(t, requests_come_at_the_rate_of_each_second);
        tcase_add_test(t, work_grows_with_its_ramp);
        tcase_add_test(t, the_same_seed_brings_the_same_load_to_every_setting);
        tcase_add_test(t, a_second_is_violated_when_a_hundredth_of_it_is_late_or_who_waits_is_not_served);
        tcase_add_test(t, a_restart_fails_what_was_under_way_and_rejects_until_it_is_over);
        tcase_add_test(t, hogs_take_what_they_get_and_serve_nobody);
        tcase_add_test(t, calibration_figures_are_met);
        tcase_add_test(t, a_histogram_is_right_to_its_buckets);
        suite_add_tcase(s, t);
        return testing_run(s);
}
