/* SPDX-License-Identifier: MIT */

#include "core/epoch.h"
#include "core/ledger.h"
#include "lib/epoch_fixture.h"

#include <errno.h>
#include <string.h>

/* A path of three services and one service outside, short of CPU: the first of the path holds more than its
 * load takes, the others queue. */
static void crowded_path(struct epoch_fixture *f)
{
        epoch_fixture_init(f);
        epoch_fixture_add(f, 900, 900)->load_milli = 300;
        epoch_fixture_add(f, 300, 900);
        epoch_fixture_add(f, 300, 900);
        epoch_fixture_add(f, 500, 3000);
        epoch_fixture_add_path(f, 1, 0, 3);
        epoch_fixture_add_coalition(f, 0, 3);
}

static double path_latency(const struct epoch_fixture *f)
{
        return f->paths[0].latency_ms;
}

START_TEST(members_pool_what_they_hold_and_their_path_gets_faster)
{
        struct epoch_fixture f;
        int64_t sum = 0, entitled = 0;

        crowded_path(&f);
        epoch_fixture_pass(&f);
        ck_assert_uint_eq(f.outcome.n_formed, 1);
        ck_assert(f.coalitions[0].is_formed);
        ck_assert_double_lt(path_latency(&f), f.paths[0].latency_market_ms);
        for (size_t i = 0; i < 3; i++) {
                ck_assert_uint_eq(f.decisions[i].coalition, 0);
                sum += f.decisions[i].alloc_milli;
                entitled += f.decisions[i].entitlement_milli;
        }
        ck_assert_int_eq(sum, entitled);
        ck_assert_int_eq(sum, f.coalitions[0].total_milli);
        ck_assert_int_lt(f.decisions[0].alloc_milli, f.decisions[0].entitlement_milli);
        ck_assert_int_gt(f.decisions[1].alloc_milli, f.decisions[1].entitlement_milli);
        ck_assert_uint_eq(f.decisions[3].coalition, EPOCH_NO_COALITION);
        ck_assert_int_ge(f.decisions[3].alloc_milli, 500);
}
END_TEST

/* Of loads alone Kleinrock's rule is left: what everybody gets above its load is in proportion to the
 * square root of its work, here the same for all, times its importance. */
START_TEST(loads_alone_are_divided_by_the_square_root_rule)
{
        struct epoch_fixture f;
        double spare[3];

        crowded_path(&f);
        f.services[1].load_milli = 200;
        f.services[2].load_milli = 100;
        epoch_fixture_add_path(&f, 3, 2, 1);    /* importance of the last: 1 + 3 */
        epoch_fixture_pass(&f);
        for (size_t i = 0; i < 3; i++)
                spare[i] = (double)f.decisions[i].alloc_milli - f.services[i].load_milli;
        ck_assert_double_eq(f.decisions[2].importance, 4);
        ck_assert_double_eq_tol(spare[0], spare[1], 2);
        ck_assert_double_eq_tol(spare[2], 2 * spare[0], 4);
}
END_TEST

START_TEST(nobody_gives_what_its_own_load_needs)
{
        struct epoch_fixture f;

        crowded_path(&f);
        f.services[0].load_milli = 850;
        f.services[1].load_milli = f.services[2].load_milli = 2000;
        epoch_fixture_pass(&f);
        ck_assert_int_ge(f.decisions[0].alloc_milli, 850);
}
END_TEST

/* A batch job on a path would swallow whatever CPU its neighbours hold. */
START_TEST(who_takes_what_is_spare_takes_nothing_that_a_queue_needs)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 0, 690);
        epoch_fixture_add(&f, 0, 690);
        epoch_fixture_add(&f, 100, 100)->load_milli = 3000;
        f.services[2].is_elastic = true;
        epoch_fixture_add(&f, 0, 1500);
        epoch_fixture_add_path(&f, 1, 0, 3);
        epoch_fixture_add_coalition(&f, 0, 3);
        epoch_fixture_pass(&f);
        for (size_t i = 0; i < 3; i++)          /* above what each of them needs at all */
                ck_assert_double_eq_tol((double)f.decisions[i].alloc_milli - (i < 2 ? 600 : 100),
                                        (double)f.coalitions[0].total_milli / 3 - 1300 / 3.0, 1);
}
END_TEST

/* Of a path of low weight the tier that needs least is covered; as if it were alone it would be served before
 * everybody, and nobody would wait less. */
START_TEST(who_is_covered_on_a_short_path_is_not_served_before_others)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 0, 1000);                         /* in demand, and covered */
        epoch_fixture_add(&f, 0, 6000)->load_milli = 5000;      /* the shortest of a path */
        epoch_fixture_add(&f, 0, 200)->load_milli = 170;        /* covered, on that path only */
        epoch_fixture_add(&f, 0, 230)->load_milli = 200;        /* covered, on that path and on one that is */
        epoch_fixture_add_path(&f, 1, 1, 3);
        epoch_fixture_add_path(&f, 1, 3, 1);
        epoch_fixture_pass(&f);
        for (size_t i = 0; i < 4; i++)
                ck_assert_int_eq(f.decisions[i].is_satisfied, i != 1);
        ck_assert(isinf(f.decisions[0].path_cover));
        ck_assert_double_lt(f.decisions[1].path_cover, 0.9);
        ck_assert_double_eq(f.decisions[2].path_cover, f.decisions[1].path_cover);
        ck_assert_double_ge(f.decisions[3].path_cover, 1);
        /* By CPU of theirs the weights of who is served first are ten times the others'. */
        for (size_t i = 0; i < 4; i++)
                ck_assert_double_eq_tol((double)f.decisions[i].cpu_weight / (double)f.decisions[i].alloc_milli,
                                        (i == 0 || i == 3 ? 10 : 1) * (double)f.decisions[1].cpu_weight /
                                                (double)f.decisions[1].alloc_milli,
                                        0.05);
}
END_TEST

START_TEST(an_unknown_member_keeps_what_it_has_and_stands_aside)
{
        struct epoch_fixture f;
        int64_t held;

        crowded_path(&f);
        epoch_fixture_pass(&f);
        held = f.decisions[1].alloc_milli;
        f.services[1].is_known = false;
        epoch_fixture_pass(&f);
        ck_assert_int_eq(f.decisions[1].alloc_milli, held);
        ck_assert_uint_eq(f.coalitions[0].active, 5);
        ck_assert(f.coalitions[0].is_formed);
        f.services[2].is_known = false;
        epoch_fixture_pass(&f);
        ck_assert(!f.coalitions[0].is_formed);
        ck_assert_uint_eq(f.outcome.n_formed, 0);
}
END_TEST

/* Importances that cannot be multiplied by a latency, or only one by one. */
START_TEST(a_coalition_out_of_all_proportion_is_not_formed_and_harms_nobody_else)
{
        static const double weight[] = { 1.7e308, 1e308, 8e305, 3e306, 1e307 };

        for (size_t k = 0; k < sizeof weight / sizeof weight[0]; k++) {
                struct epoch_fixture f;

                crowded_path(&f);
                f.paths[0].weight = weight[k];
                epoch_fixture_add(&f, 900, 900)->load_milli = 300;
                epoch_fixture_add(&f, 300, 900);
                epoch_fixture_add_path(&f, 1, 4, 2);
                epoch_fixture_add_coalition(&f, 4, 2);
                for (int epoch = 0; epoch < 2; epoch++) {
                        epoch_fixture_pass(&f);
                        ck_assert(!f.coalitions[0].is_formed);
                        ck_assert(f.coalitions[1].is_formed);
                        ck_assert_uint_gt(f.coalitions[1].value.epoch, 0);
                        for (size_t i = 0; i < 3; i++)
                                ck_assert_int_eq(f.decisions[i].alloc_milli, f.decisions[i].entitlement_milli);
                }
        }
}
END_TEST

START_TEST(frozen_coalitions_hold)
{
        struct epoch_fixture f;
        int64_t held[4];

        crowded_path(&f);
        epoch_fixture_pass(&f);
        for (size_t i = 0; i < 4; i++)
                held[i] = f.decisions[i].alloc_milli;
        f.rules.is_frozen = true;
        f.services[1].load_milli = 50;
        f.services[3].need_milli = 600;
        epoch_fixture_pass(&f);
        for (size_t i = 0; i < 4; i++)
                ck_assert_int_eq(f.decisions[i].alloc_milli, held[i]);
        ck_assert_int_eq(f.outcome.gate.verdict, VERDICT_HOLD);
}
END_TEST

START_TEST(who_gives_earns_credit_and_who_gets_spends_it)
{
        struct epoch_fixture f;
        double sum = 0;

        crowded_path(&f);
        for (int epoch = 0; epoch < 10; epoch++) {
                double before = f.services[0].credit;

                epoch_fixture_pass(&f);
                ck_assert_double_gt(f.services[0].credit, before);
        }
        ck_assert_double_lt(f.services[1].credit, 0);
        ck_assert_double_eq(f.services[3].credit, 0);
        ck_assert_double_lt(f.decisions[0].gain, 0);
        ck_assert_double_ge(f.decisions[0].due, 0);
        for (size_t i = 0; i < 4; i++)
                sum += f.services[i].credit;
        ck_assert_double_eq_tol(sum, 0, 1e-9);
}
END_TEST

/* On half the way to a new total the members hold what the gate left them: that is nobody's gift. */
START_TEST(half_a_step_of_the_total_settles_no_credit)
{
        struct epoch_fixture f;
        double before[4];
        int64_t entitled = 0;

        crowded_path(&f);
        for (int epoch = 0; epoch < 5; epoch++)
                epoch_fixture_pass(&f);
        f.services[3].need_milli = 600;         /* the path gets more */
        f.state.monitor.step_max = 0.25;
        for (size_t i = 0; i < 4; i++)
                before[i] = f.services[i].credit;
        epoch_fixture_pass(&f);
        ck_assert(f.coalitions[0].is_formed);
        ck_assert_int_eq(f.outcome.gate.verdict, VERDICT_REDUCED);
        for (size_t i = 0; i < 3; i++) {
                entitled += f.decisions[i].entitlement_milli;
                ck_assert_double_ne(before[i], 0);
                ck_assert_double_eq(f.services[i].credit, ledger_decay() * before[i]);
                ck_assert_double_eq(f.decisions[i].gain, 0);
        }
        ck_assert_int_lt(f.coalitions[0].total_milli, entitled - 10);

        f.state.monitor.step_max = 1;
        epoch_fixture_pass(&f);
        ck_assert_double_gt(f.services[0].credit, before[0]);
}
END_TEST

/* The two who could trade have the same use for it: v(N) is what is left of differences of large numbers,
 * and what the division gains comes of whole milli. */
START_TEST(rounding_earns_no_credit)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        f.rules.capacity_milli = 53.014;
        f.rules.reserve_milli = 0;
        epoch_fixture_add(&f, 9, 15.042)->weight = 7;
        epoch_fixture_add(&f, 7, 24.587)->weight = 1000;
        epoch_fixture_add(&f, 36.92, 440.161);
        f.services[0].load_milli = 6.846;
        f.services[0].credit = -0.5436;
        f.services[1].load_milli = 28;
        f.services[1].max_milli = 35;
        f.services[2].load_milli = 228.619;
        f.services[0].recent_milli[0] = 0;
        f.services[1].recent_milli[0] = 36;
        f.services[2].recent_milli[0] = 164;
        epoch_fixture_add_path(&f, 1, 0, 3);
        epoch_fixture_add_path(&f, 1, 0, 2);
        epoch_fixture_add_coalition(&f, 0, 3);
        epoch_fixture_pass(&f);
        ck_assert_double_lt(f.coalitions[0].plan.worth, 1e-9);
        ck_assert_double_gt(f.services[0].credit, -0.5436);
        ck_assert_double_lt(f.services[0].credit, -0.542);
        ck_assert_double_eq(f.services[1].credit, 0);
        ck_assert_double_eq(f.services[2].credit, 0);
}
END_TEST

START_TEST(credits_count_under_contention_only)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 0, 1000)->credit = 1;
        epoch_fixture_add(&f, 0, 1000)->credit = -1;
        epoch_fixture_pass(&f);
        ck_assert_double_eq(f.decisions[0].weight, 100);
        ck_assert_int_eq(f.decisions[0].alloc_milli, f.decisions[1].alloc_milli);

        f.services[0].need_milli = f.services[1].need_milli = 4000;
        f.services[0].credit = 1;
        f.services[1].credit = -1;
        epoch_fixture_pass(&f);
        ck_assert_double_gt(f.decisions[0].weight, 100);
        ck_assert_double_le(f.decisions[0].weight, 110);
        ck_assert_double_ge(f.decisions[1].weight, 90);
        ck_assert_int_gt(f.decisions[0].alloc_milli, f.decisions[1].alloc_milli);
        ck_assert_int_eq(epoch_fixture_sum(&f), 3600);
}
END_TEST

/* ---- targets -------------------------------------------------------------------------------------- */

static void measured(struct epoch_service *s, double latency_ms, double at_milli)
{
        s->latency_ms = latency_ms;
        s->latency_at_milli = at_milli;
}

START_TEST(a_target_that_is_met_releases_cpu_to_others)
{
        struct epoch_fixture f;
        int64_t without;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 200, 3000)->load_milli = 800;
        epoch_fixture_add(&f, 200, 3000);
        epoch_fixture_pass(&f);
        without = f.decisions[0].alloc_milli;
        ck_assert_double_eq(f.decisions[0].target_ms, 0);

        f.services[0].target_ms = 100;
        measured(&f.services[0], 20, 1400);
        epoch_fixture_pass(&f);
        ck_assert_double_eq(f.decisions[0].target_ms, 100);
        ck_assert_int_lt(f.decisions[0].alloc_milli, without);
        ck_assert_int_gt(f.decisions[0].alloc_milli, 800);
        ck_assert_double_le(latency_ms(&f.decisions[0].latency, (double)f.decisions[0].alloc_milli), 100);
        ck_assert_int_eq(epoch_fixture_sum(&f), 3600);
}
END_TEST

START_TEST(a_target_without_a_measurement_changes_nothing)
{
        struct epoch_fixture f;
        int64_t without;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 200, 3000);
        epoch_fixture_add(&f, 200, 3000);
        epoch_fixture_pass(&f);
        without = f.decisions[0].alloc_milli;
        f.services[0].target_ms = 100;
        epoch_fixture_pass(&f);
        ck_assert_int_eq(f.decisions[0].alloc_milli, without);
        ck_assert_double_eq(f.decisions[0].target_ms, 0);
}
END_TEST

START_TEST(the_target_of_a_path_is_shared_out_by_modelled_latency)
{
        struct epoch_fixture f;

        crowded_path(&f);
        f.paths[0].target_ms = 100;
        for (size_t i = 0; i < 3; i++) {
                measured(&f.services[i], i == 0 ? 40 : 20, 1000);
                f.services[i].load_milli = 500;
                f.services[i].recent_milli[0] = 1000;
        }
        f.services[1].target_ms = 7;            /* stricter than its part, 25 ms */
        epoch_fixture_pass(&f);
        ck_assert_double_eq_tol(f.decisions[0].target_ms, 50, 1e-9);
        ck_assert_double_eq(f.decisions[1].target_ms, 7);
        ck_assert_double_eq_tol(f.decisions[2].target_ms, 25, 1e-9);
}
END_TEST

/* Else whoever is ahead gets the stricter part, needs more for it, and gets further ahead. */
START_TEST(the_part_of_a_path_target_does_not_follow_what_its_service_holds)
{
        static const int64_t held_milli[] = { 560, 1000, 2500 };
        struct epoch_fixture f;

        for (size_t k = 0; k < 3; k++) {
                crowded_path(&f);
                f.paths[0].target_ms = 100;
                for (size_t i = 0; i < 3; i++) {
                        struct latency_model m = latency_from_load(500, i == 0 ? 20000 : 10000);

                        f.services[i].load_milli = 500;
                        f.services[i].recent_milli[0] = i == 2 ? held_milli[k] : 1000;
                        measured(&f.services[i], latency_ms(&m, (double)f.services[i].recent_milli[0]),
                                 (double)f.services[i].recent_milli[0]);
                }
                epoch_fixture_pass(&f);
                ck_assert_double_eq_tol(f.decisions[0].target_ms, 50, 1e-9);
                ck_assert_double_eq_tol(f.decisions[2].target_ms, 25, 1e-9);
        }
}
END_TEST

START_TEST(nobody_gives_what_its_own_target_needs)
{
        struct epoch_fixture f;
        const struct epoch_decision *d = &f.decisions[0];

        crowded_path(&f);
        measured(&f.services[0], 20, 900);
        f.services[1].load_milli = f.services[2].load_milli = 400;
        epoch_fixture_pass(&f);
        ck_assert_double_gt(latency_ms(&d->latency, (double)d->alloc_milli), 22);

        f.services[0].target_ms = 22;
        epoch_fixture_pass(&f);
        ck_assert_int_lt(d->alloc_milli, d->entitlement_milli);
        ck_assert_double_le(latency_ms(&d->latency, (double)d->alloc_milli), 22.1);

        /* A target that no CPU can meet holds nothing back. */
        f.services[0].other_ms = 18;
        f.services[0].target_ms = 10;
        epoch_fixture_pass(&f);
        ck_assert_int_lt(d->alloc_milli, d->entitlement_milli);
}
END_TEST

START_TEST(time_spent_in_called_services_is_not_put_down_to_the_caller)
{
        struct epoch_fixture f;

        crowded_path(&f);
        measured(&f.services[0], 30, 900);
        f.services[0].other_ms = 20;
        epoch_fixture_pass(&f);
        ck_assert_double_eq_tol(latency_ms(&f.decisions[0].latency, 900), 30, 1e-9);
        ck_assert_double_eq(f.decisions[0].latency.other_ms, 20);
}
END_TEST

/* Its queue has grown for who knows how long: the report bounds what a request takes, no more. */
START_TEST(what_a_request_takes_is_learned_above_the_load_and_kept_below_it)
{
        struct epoch_fixture f;
        struct epoch_service *s = &f.services[0];
        double work;

        crowded_path(&f);
        s->load_milli = 400;
        measured(s, 20, 500);
        epoch_fixture_pass(&f);
        work = 20 * (500 - 400);
        ck_assert_double_eq_tol(s->work_milli_ms, work, 1e-9);
        ck_assert(s->is_work_told);

        measured(s, 60000, 390);
        epoch_fixture_pass(&f);
        ck_assert_double_eq_tol(s->work_milli_ms, work, 1e-9);
        ck_assert_double_eq_tol(f.decisions[0].latency.work_milli_ms, work, 1e-9);

        /* A queue is not gone when overload ends. */
        s->recent_milli[0] = 500;
        s->recent_milli[EPOCH_RECENT - 1] = 390;
        measured(s, 60000, 500);
        epoch_fixture_pass(&f);
        ck_assert_double_eq_tol(s->work_milli_ms, work, 1e-9);
        for (size_t age = 0; age < EPOCH_RECENT; age++)
                s->recent_milli[age] = 500;
        measured(s, 30, 500);
        epoch_fixture_pass(&f);
        ck_assert_double_eq_tol(s->work_milli_ms, 1.5 * work, 1e-9);
}
END_TEST

START_TEST(overload_and_waiting_bound_what_a_request_takes_where_nothing_else_is_known)
{
        struct epoch_fixture f;
        struct epoch_service *s = &f.services[0];

        crowded_path(&f);
        s->load_milli = 400;
        measured(s, 1000, 390);
        epoch_fixture_pass(&f);
        ck_assert_double_eq_tol(s->work_milli_ms, 1000 * latency_margin(400), 1e-9);
        ck_assert(!s->is_work_told);
        measured(s, 5000, 390);
        epoch_fixture_pass(&f);
        ck_assert_double_eq_tol(s->work_milli_ms, 1000 * latency_margin(400), 1e-9);

        /* All but 2 of its 50 ms are others': a tenth is the most that may be its own. */
        for (size_t age = 0; age < EPOCH_RECENT; age++)
                s->recent_milli[age] = 500;
        measured(s, 50, 500);
        s->other_ms = 48;
        epoch_fixture_pass(&f);
        ck_assert_double_eq_tol(s->work_milli_ms, 5 * 100, 1e-9);
        for (size_t age = 0; age < EPOCH_RECENT; age++)
                s->recent_milli[age] = 500;
        measured(s, 1000, 500);
        s->other_ms = 998;
        epoch_fixture_pass(&f);
        ck_assert_double_eq_tol(s->work_milli_ms, 5 * 100, 1e-9);
        ck_assert(!s->is_work_told);
}
END_TEST

START_TEST(a_target_needs_the_cpu_at_which_nine_tenths_of_it_are_met)
{
        static const struct call waits[] = { { 0, 1, 1 } };
        struct epoch_fixture f;
        struct epoch_service *s = f.services;

        crowded_path(&f);
        s[0].load_milli = 400;
        measured(&s[0], 50, 500);
        s[0].target_ms = 40;
        epoch_read_waits(s, 2, NULL, 0);
        ck_assert_double_eq_tol(s[0].target_need_milli, 400 + 50 * 100 / 36.0, 1e-9);
        s[0].part_ms = 10;
        epoch_read_waits(s, 2, NULL, 0);
        ck_assert_double_eq_tol(s[0].target_need_milli, 400 + 50 * 100 / 9.0, 1e-9);
        s[0].part_ms = 0;
        s[0].is_elastic = true;
        epoch_read_waits(s, 2, NULL, 0);
        ck_assert_double_eq(s[0].target_need_milli, 0);
        s[0].is_elastic = false;

        /* What it waits for counts as that takes at its need, 1.15 of its load, whatever it held. */
        s[1].load_milli = 200;
        for (int k = 0; k < 2; k++) {
                measured(&s[1], k > 0 ? 15 : 3, k > 0 ? 220 : 300);
                epoch_read_waits(s, 2, waits, 1);
                ck_assert_double_eq_tol(s[1].reference_ms, 10, 1e-9);
                ck_assert_double_eq_tol(s[0].callees_ms, 10, 1e-9);
                ck_assert_double_eq(s[0].other_ms, s[1].latency_ms);
                ck_assert_double_eq_tol(s[0].target_need_milli,
                                        400 + (50 - s[1].latency_ms) * 100 / (36 - 10), 1e-9);
        }
        /* Callees that take all of it at their needs leave nothing to ask for. */
        s[0].target_ms = 11;
        epoch_read_waits(s, 2, waits, 1);
        ck_assert_double_eq(s[0].target_need_milli, 0);
}
END_TEST

START_TEST(a_latency_out_of_all_proportion_counts_as_none)
{
        struct epoch_fixture f, without;

        crowded_path(&without);
        epoch_fixture_pass(&without);
        crowded_path(&f);
        f.services[1].target_ms = 100;
        measured(&f.services[1], 1e308, 1e9);
        measured(&f.services[3], 1e308, 1e9);
        epoch_fixture_pass(&f);
        for (size_t i = 0; i < f.n; i++)
                ck_assert_int_eq(f.decisions[i].alloc_milli, without.decisions[i].alloc_milli);
        ck_assert_double_eq(f.decisions[3].latency.work_milli_ms, LATENCY_WORK_NOMINAL_MILLI_MS);
}
END_TEST

START_TEST(a_target_out_of_all_proportion_counts_as_none)
{
        struct epoch_fixture f, without;

        crowded_path(&without);
        without.rules.sensitivity_per_ms = 10;
        measured(&without.services[3], 20, 1400);
        crowded_path(&f);
        f.rules.sensitivity_per_ms = 10;
        measured(&f.services[3], 20, 1400);
        f.services[3].target_ms = 1e308;
        epoch_fixture_pass(&without);
        epoch_fixture_pass(&f);
        for (size_t i = 0; i < f.n; i++)
                ck_assert_int_eq(f.decisions[i].alloc_milli, without.decisions[i].alloc_milli);
        ck_assert_double_eq(f.decisions[3].target_ms, 0);
}
END_TEST

START_TEST(too_few_iterations_leave_the_state_as_it_was)
{
        struct epoch_fixture f;
        struct epoch_state before;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 200, 3000)->target_ms = 100;
        epoch_fixture_add(&f, 200, 3000);
        f.services[0].load_milli = 800;
        measured(&f.services[0], 20, 1400);
        epoch_fixture_pass(&f);
        before = f.state;
        f.rules.max_iterations = 1;
        ck_assert_int_gt(epoch_fixture_decide(&f), 0);
        ck_assert_mem_eq(&before, &f.state, sizeof before);
}
END_TEST

/* ---- prices --------------------------------------------------------------------------------------- */

START_TEST(a_request_costs_the_price_of_the_cpu_that_it_takes)
{
        struct epoch_fixture f;

        crowded_path(&f);
        f.services[0].cpu_ms = 2;
        f.services[1].cpu_ms = 3;
        epoch_fixture_pass(&f);
        ck_assert_double_gt(f.outcome.market.shadow_price, 0);
        ck_assert(!f.paths[0].is_measured);
        ck_assert_double_eq_tol(f.paths[0].price, f.outcome.market.shadow_price * (2 + 3 + 1), 1e-12);
        f.services[2].cpu_ms = 5;
        epoch_fixture_pass(&f);
        ck_assert(f.paths[0].is_measured);
        ck_assert_double_eq_tol(f.paths[0].price, f.outcome.market.shadow_price * (2 + 3 + 5), 1e-12);
}
END_TEST

START_TEST(who_opted_in_yields_to_a_price_above_its_mean_and_nobody_else_does)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 100, 2000)->elasticity = 1;
        epoch_fixture_add(&f, 100, 2000);
        for (int epoch = 0; epoch < 40; epoch++)
                epoch_fixture_pass(&f);
        ck_assert_double_eq_tol(f.decisions[0].need_milli, 2000, 20);

        f.rules.capacity_milli = 2000;          /* half the CPUs are gone: the price doubles */
        epoch_fixture_pass(&f);
        ck_assert_double_lt(f.decisions[0].need_milli, 2000);
        ck_assert_double_ge(f.decisions[0].need_milli, 0.8 * 2000 - 1e-9);
        ck_assert_double_eq(f.decisions[1].need_milli, 2000);
}
END_TEST

/* Yielding empties the host, the price falls to nothing, everybody returns: not here. */
START_TEST(yielding_to_the_price_does_not_swing_at_the_border_of_a_tier)
{
        struct epoch_fixture f;
        int n_flips = 0;
        double last = 0, direction = 0;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 100, 1000)->elasticity = 1;
        epoch_fixture_add(&f, 100, 1000)->elasticity = 1;
        for (int epoch = 0; epoch < 40; epoch++)
                epoch_fixture_pass(&f);
        f.services[0].need_milli = f.services[1].need_milli = 1801; /* 3602 of 3600 */
        for (int epoch = 0; epoch < 1000; epoch++) {
                double change;

                epoch_fixture_pass(&f);
                change = f.decisions[0].need_milli - last;
                if (change * direction < -1e-9)
                        n_flips++;
                if (fabs(change) > 1e-9)
                        direction = change;
                last = f.decisions[0].need_milli;
        }
        ck_assert_int_le(n_flips, 2);
}
END_TEST

/* ---- stability ------------------------------------------------------------------------------------ */

#define MANY 40

/* Forty pairs: more than are valued in one epoch. */
struct crowd {
        struct epoch_state state;
        struct gate_record records[4];
        struct epoch_service services[2 * MANY];
        struct epoch_decision decisions[2 * MANY];
        struct epoch_coalition coalitions[MANY];
        struct epoch_path paths[MANY];
        size_t first[MANY + 1], members[2 * MANY];
        struct epoch_graph graph;
        struct epoch_outcome outcome;
};

static void crowd_init(struct crowd *c)
{
        *c = (struct crowd){
                .graph = {
                        .paths = { .first = c->first, .members = c->members, .n_paths = MANY },
                        .path = c->paths,
                        .coalitions = c->coalitions,
                        .n_coalitions = MANY,
                        .members = c->members,
                },
        };
        epoch_state_init(&c->state, c->records, 4);
        for (size_t i = 0; i < 2 * MANY; i++) {
                c->members[i] = i;
                c->services[i] = (struct epoch_service){
                        .baseline_milli = i % 2 ? 40 : 10,
                        .need_milli = 60,
                        .load_milli = i % 2 ? 10 : 50,
                        .max_milli = INFINITY,
                        .bound_milli = INFINITY,
                        .weight = 100,
                        .is_known = true,
                        .recent_milli = { -1, -1, -1, -1 },
                };
        }
        for (size_t k = 0; k < MANY; k++) {
                c->coalitions[k] = (struct epoch_coalition){ .first = 2 * k, .n = 2, .id = k };
                c->paths[k] = (struct epoch_path){ .weight = 1 };
                c->first[k + 1] = 2 * k + 2;
        }
}

static void crowd_pass(struct crowd *c)
{
        struct epoch_rules rules = {
                .capacity_milli = 4000, .sensitivity_per_ms = 0.1, .max_iterations = 100, .epoch_sec = 15,
        };
        struct enforce_group root = { .parent = ENFORCE_NO_GROUP };
        void *buffer = malloc(epoch_workspace_size(2 * MANY, 1, 2));
        struct epoch_workspace w;
        unsigned root_weight;

        ck_assert_ptr_nonnull(buffer);
        epoch_workspace_init(&w, buffer, 2 * MANY, 1, 2);
        ck_assert_int_eq(epoch_decide(&c->state, &rules, c->services, 2 * MANY, &c->graph, &root, 1, &w,
                                      c->decisions, &root_weight, &c->outcome), 0);
        free(buffer);
        for (size_t i = 0; i < 2 * MANY; i++)
                c->services[i].recent_milli[0] = c->decisions[i].alloc_milli;
}

START_TEST(coalitions_are_valued_in_turn)
{
        static struct crowd c;

        crowd_init(&c);
        crowd_pass(&c);
        ck_assert_uint_eq(c.outcome.n_valued, EPOCH_VALUATIONS_MAX);
        ck_assert_uint_eq(c.coalitions[0].value.epoch, 1);
        ck_assert_uint_eq(c.coalitions[MANY - 1].value.epoch, 0);
        ck_assert_uint_eq(c.outcome.n_formed, MANY);
        crowd_pass(&c);
        ck_assert_uint_eq(c.coalitions[MANY - 1].value.epoch, 2);
        for (size_t k = 0; k < MANY; k++) {
                ck_assert(c.coalitions[k].value.is_stable);
                ck_assert_double_le(c.coalitions[k].value.max_excess, 1e-7);
        }
}
END_TEST

/* By the theorem there is none; a solver or a model that is wrong could make one. */
START_TEST(a_coalition_that_was_found_unstable_is_not_formed)
{
        static struct crowd c;
        struct epoch_coalition *unstable = &c.coalitions[MANY - 1];

        crowd_init(&c);
        unstable->value = (struct coalition_value){ .epoch = 1, .blocking = 2, .max_excess = 3 };
        unstable->valued_active = 3;
        crowd_pass(&c);
        ck_assert(!unstable->is_formed);
        ck_assert_uint_eq(c.outcome.n_formed, MANY - 1);
        ck_assert_int_eq(c.decisions[2 * MANY - 1].alloc_milli, c.decisions[2 * MANY - 1].entitlement_milli);
        crowd_pass(&c);                         /* its turn: found to be stable after all */
        ck_assert(unstable->is_formed);
}
END_TEST

/* ---- bad graphs ----------------------------------------------------------------------------------- */

START_TEST(a_graph_that_makes_no_sense_is_refused)
{
        struct epoch_fixture f;
        struct epoch_state before;

        crowded_path(&f);
        before = f.state;
        f.path_members[1] = 4;
        ck_assert_int_eq(epoch_fixture_decide(&f), -EINVAL);
        f.path_members[1] = 1;
        f.members[1] = 0;                       /* one service twice */
        ck_assert_int_eq(epoch_fixture_decide(&f), -EINVAL);
        f.members[1] = 1;
        f.coalitions[0].n = 1;
        ck_assert_int_eq(epoch_fixture_decide(&f), -EINVAL);
        f.coalitions[0].n = 4;
        f.members[3] = 3;                       /* on no path */
        ck_assert_int_eq(epoch_fixture_decide(&f), -EINVAL);
        f.coalitions[0].n = 3;
        f.paths[0].weight = NAN;
        ck_assert_int_eq(epoch_fixture_decide(&f), -EINVAL);
        f.paths[0].weight = 1;
        ck_assert_mem_eq(&before, &f.state, sizeof before);
        ck_assert_int_eq(epoch_fixture_decide(&f), 0);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("epoch_coalitions");
        TCase *division = tcase_create("division"), *targets = tcase_create("targets");
        TCase *prices = tcase_create("prices"), *stability = tcase_create("stability");

        tcase_add_test(division, members_pool_what_they_hold_and_their_path_gets_faster);
        tcase_add_test(division, loads_alone_are_divided_by_the_square_root_rule);
        tcase_add_test(division, nobody_gives_what_its_own_load_needs);
        tcase_add_test(division, who_takes_what_is_spare_takes_nothing_that_a_queue_needs);
        tcase_add_test(division, who_is_covered_on_a_short_path_is_not_served_before_others);
        tcase_add_test(division, an_unknown_member_keeps_what_it_has_and_stands_aside);
        tcase_add_test(division, a_coalition_out_of_all_proportion_is_not_formed_and_harms_nobody_else);
        tcase_add_test(division, frozen_coalitions_hold);
        tcase_add_test(division, who_gives_earns_credit_and_who_gets_spends_it);
        tcase_add_test(division, half_a_step_of_the_total_settles_no_credit);
        tcase_add_test(division, rounding_earns_no_credit);
        tcase_add_test(division, credits_count_under_contention_only);
        suite_add_tcase(s, division);
        tcase_add_test(targets, a_target_that_is_met_releases_cpu_to_others);
        tcase_add_test(targets, a_target_without_a_measurement_changes_nothing);
        tcase_add_test(targets, the_target_of_a_path_is_shared_out_by_modelled_latency);
        tcase_add_test(targets, the_part_of_a_path_target_does_not_follow_what_its_service_holds);
        tcase_add_test(targets, nobody_gives_what_its_own_target_needs);
        tcase_add_test(targets, time_spent_in_called_services_is_not_put_down_to_the_caller);
        tcase_add_test(targets, what_a_request_takes_is_learned_above_the_load_and_kept_below_it);
        tcase_add_test(targets, overload_and_waiting_bound_what_a_request_takes_where_nothing_else_is_known);
        tcase_add_test(targets, a_target_needs_the_cpu_at_which_nine_tenths_of_it_are_met);
        tcase_add_test(targets, a_latency_out_of_all_proportion_counts_as_none);
        tcase_add_test(targets, a_target_out_of_all_proportion_counts_as_none);
        tcase_add_test(targets, too_few_iterations_leave_the_state_as_it_was);
        suite_add_tcase(s, targets);
        tcase_add_test(prices, a_request_costs_the_price_of_the_cpu_that_it_takes);
        tcase_add_test(prices, who_opted_in_yields_to_a_price_above_its_mean_and_nobody_else_does);
        tcase_add_test(prices, yielding_to_the_price_does_not_swing_at_the_border_of_a_tier);
        suite_add_tcase(s, prices);
        tcase_add_test(stability, coalitions_are_valued_in_turn);
        tcase_add_test(stability, a_coalition_that_was_found_unstable_is_not_formed);
        tcase_add_test(stability, a_graph_that_makes_no_sense_is_refused);
        suite_add_tcase(s, stability);
        return s;
}

int main(void)
{
        return testing_run(suite());
}
