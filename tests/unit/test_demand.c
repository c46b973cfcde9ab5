/* SPDX-License-Identifier: MIT */

#include "core/demand.h"
#include "core/enforce.h"
#include "core/market.h"
#include "core/waterfill.h"
#include "lib/testing.h"

#include <string.h>

#define EPOCH_USEC 15e6
#define SAMPLES 15

/* ---- one service, fed by hand -------------------------------------------------------------------- */

/* What a service does for an epoch: everything as shares of time but use. */
struct behaviour {
        double use_milli;
        double throttled_ratio;
        double throttled_share;
        double stall;
        bool has_no_bandwidth, has_no_pressure;
};

struct subject {
        struct demand_state state;
        struct unit_counters counters;
        struct demand_context context;
        struct demand_estimate estimate;
};

static struct subject subject_new(void)
{
        return (struct subject) {
                .counters = { .at_usec = 1000, .has_bandwidth = true, .has_pressure = true },
                .context = {
                        .epoch_usec = EPOCH_USEC,
                        .sample_interval_usec = 1e6,
                        .allocation_milli = -1,
                        .quota_milli = INFINITY,
                        .max_milli = INFINITY,
                        .host_idle_share = 0.5,
                },
        };
}

static int second_passes(struct subject *t, const struct behaviour *b, bool had_own_write)
{
        t->counters.at_usec += 1000000;
        t->counters.usage_usec += (uint64_t)(b->use_milli * 1000);
        t->counters.nr_periods += 10;
        t->counters.nr_throttled += (uint64_t)lround(10 * b->throttled_ratio);
        t->counters.throttled_usec += (uint64_t)(b->throttled_share * 1e6);
        t->counters.stalled_usec += (uint64_t)(b->stall * 1e6);
        t->counters.has_bandwidth = !b->has_no_bandwidth;
        t->counters.has_pressure = !b->has_no_pressure;
        return demand_observe(&t->state, &t->counters, had_own_write);
}

/* Ratios are made of whole periods: give multiples of 0.1. */
static const struct demand_estimate *epoch_passes(struct subject *t, const struct behaviour *b)
{
        if (!t->state.has_last)
                (void)demand_observe(&t->state, &t->counters, false);
        for (int i = 0; i < SAMPLES; i++)
                ck_assert_int_eq(second_passes(t, b, false), 0);
        demand_estimate(&t->state, &t->context, &t->estimate);
        return &t->estimate;
}

static void epochs_pass(struct subject *t, const struct behaviour *b, int n)
{
        for (int i = 0; i < n; i++)
                (void)epoch_passes(t, b);
}

#define use(milli) (&(struct behaviour) { .use_milli = (milli), .stall = 0.2 })

START_TEST(need_is_the_load_with_a_margin)
{
        struct subject t = subject_new();
        const struct demand_estimate *e = epoch_passes(&t, use(400));

        ck_assert(e->is_known);
        ck_assert_double_eq_tol(e->use_mean_milli, 400, 1e-6);
        ck_assert_double_eq_tol(e->load_milli, 400, 1e-6);
        ck_assert_double_eq_tol(e->need_milli, 460, 1e-6);
        ck_assert_int_eq(e->reason, DEMAND_LOAD);
        ck_assert_double_eq(e->hardship, 0);
}
END_TEST

START_TEST(load_is_the_peak_of_three_samples_not_of_one)
{
        struct subject t = subject_new();

        (void)demand_observe(&t.state, &t.counters, false);
        for (int i = 0; i < SAMPLES; i++)
                (void)second_passes(&t, use(i == 7 ? 1000 : 100), false);
        demand_estimate(&t.state, &t.context, &t.estimate);
        ck_assert_double_eq_tol(t.estimate.load_milli, 400, 1e-6);

        t = subject_new();
        (void)demand_observe(&t.state, &t.counters, false);
        for (int i = 0; i < SAMPLES; i++)
                (void)second_passes(&t, use(i >= 7 && i <= 9 ? 1000 : 100), false);
        demand_estimate(&t.state, &t.context, &t.estimate);
        ck_assert_double_eq_tol(t.estimate.load_milli, 1000, 1e-6);
        ck_assert_double_eq_tol(t.estimate.use_mean_milli, 280, 1e-6);
}
END_TEST

START_TEST(load_rises_at_once_and_halves_in_thirty_seconds)
{
        struct subject t = subject_new();

        epochs_pass(&t, use(100), 4);
        ck_assert_double_eq_tol(epoch_passes(&t, use(1000))->load_milli, 1000, 1e-6);
        epochs_pass(&t, use(1000), 4);

        /* The first window still holds two old seconds in its peak of three. */
        (void)epoch_passes(&t, use(100));
        (void)epoch_passes(&t, use(100));
        ck_assert_double_le(t.estimate.load_milli, 530);
        ck_assert_double_ge(t.estimate.load_milli, 490);
        epochs_pass(&t, use(100), 8);
        ck_assert_double_eq_tol(t.estimate.load_milli, 100, 1e-6);
}
END_TEST

START_TEST(need_follows_a_load_step_within_two_epochs_both_ways)
{
        struct subject t = subject_new();

        epochs_pass(&t, use(200), 4);
        epochs_pass(&t, use(900), 2);
        ck_assert_double_eq_tol(t.estimate.need_milli, 1.15 * 900, 1e-6);
        epochs_pass(&t, use(200), 2);
        /* Down is slow on purpose: more than half of the way is done. */
        ck_assert_double_le(t.estimate.need_milli, 1.15 * (900 + 200) / 2);
        ck_assert_double_ge(t.estimate.need_milli, 1.15 * 200);
}
END_TEST

START_TEST(load_is_held_while_throttled)
{
        struct subject t = subject_new();
        struct behaviour strangled = { .use_milli = 300, .throttled_ratio = 0.9, .throttled_share = 0.5 };

        epochs_pass(&t, use(1000), 2);
        t.context.quota_milli = t.context.allocation_milli = 300;
        epochs_pass(&t, &strangled, 4);
        /* One minute of a half-life of ten. */
        ck_assert_double_eq_tol(t.estimate.load_milli, 1000 * exp2(-0.1), 1e-3);
        ck_assert_int_eq(t.estimate.reason, DEMAND_THROTTLED);
}
END_TEST

START_TEST(load_is_held_while_short_on_a_full_host)
{
        struct subject t = subject_new();

        epochs_pass(&t, use(1000), 2);
        t.context.allocation_milli = 600;
        t.context.host_idle_share = 0;
        epochs_pass(&t, use(600), 4);
        ck_assert_double_eq_tol(t.estimate.load_milli, 1000 * exp2(-0.1), 1e-3);
        ck_assert(!t.estimate.is_elastic);

        /* The same use with idle CPU to be had is what is wanted. */
        t.context.host_idle_share = 0.3;
        epochs_pass(&t, use(600), 4);
        ck_assert_double_eq_tol(t.estimate.load_milli, 600, 1e-3);
}
END_TEST

START_TEST(a_held_load_does_not_hold_itself)
{
        struct subject t = subject_new();

        epochs_pass(&t, use(1000), 2);
        t.context.allocation_milli = 600;
        t.context.host_idle_share = 0;  /* somebody else's hog keeps the host full */
        epochs_pass(&t, use(600), 2);
        epochs_pass(&t, use(100), 4);
        ck_assert_double_le(t.estimate.load_milli, 260);
}
END_TEST

START_TEST(throttling_below_five_percent_raises_nothing)
{
        struct subject t = subject_new();
        struct behaviour b = { .use_milli = 400 };

        t.context.quota_milli = t.context.allocation_milli = 500;
        (void)demand_observe(&t.state, &t.counters, false);
        for (int i = 0; i < SAMPLES; i++) {
                b.throttled_ratio = i == 3 ? 0.5 : 0;   /* 5 of 150 periods */
                (void)second_passes(&t, &b, false);
        }
        demand_estimate(&t.state, &t.context, &t.estimate);
        ck_assert_double_eq_tol(t.estimate.throttled_ratio, 5.0 / 150, 1e-9);
        ck_assert_double_eq_tol(t.estimate.need_milli, 460, 1e-6);
        ck_assert_int_eq(t.estimate.reason, DEMAND_LOAD);
}
END_TEST

START_TEST(throttling_raises_need_at_once_and_more_beyond_twenty_percent)
{
        static const struct {
                double ratio, factor;
        } rows[] = { { 0, 1 }, { 0.1, 1 + 0.5 / 3 }, { 0.2, 1.5 }, { 0.6, 1.75 }, { 1, 2 } };

        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct subject t = subject_new();

                t.context.quota_milli = t.context.allocation_milli = 400;
                (void)epoch_passes(&t, &(struct behaviour) { .use_milli = 400,
                                                             .throttled_ratio = rows[i].ratio });
                ck_assert_double_eq_tol(t.estimate.need_milli, 460 * rows[i].factor, 1e-6);
                ck_assert_double_eq_tol(t.estimate.hardship, rows[i].ratio, 1e-9);
        }
}
END_TEST

START_TEST(fewer_than_ten_periods_say_nothing_of_throttling)
{
        struct subject t = subject_new();

        t.context.quota_milli = t.context.allocation_milli = 400;
        (void)demand_observe(&t.state, &t.counters, false);
        for (int i = 0; i < SAMPLES; i++) {
                (void)second_passes(&t, use(400), false);
                t.counters.nr_periods -= 10;    /* the group slept: no periods counted */
                t.state.last.nr_periods = t.counters.nr_periods;
        }
        t.state.n_periods = 9;
        t.state.n_throttled = 9;
        demand_estimate(&t.state, &t.context, &t.estimate);
        ck_assert_double_eq(t.estimate.throttled_ratio, 0);
        ck_assert_int_eq(t.estimate.reason, DEMAND_LOAD);
}
END_TEST

START_TEST(a_sample_with_an_own_write_tells_nothing_of_throttling)
{
        struct subject t = subject_new();
        struct behaviour b = { .use_milli = 400, .stall = 0.1 };

        t.context.quota_milli = t.context.allocation_milli = 500;
        (void)demand_observe(&t.state, &t.counters, false);
        for (int i = 0; i < SAMPLES; i++) {
                b.throttled_ratio = i == 5 ? 1 : 0;
                (void)second_passes(&t, &b, i == 5);
        }
        demand_estimate(&t.state, &t.context, &t.estimate);
        ck_assert_double_eq(t.estimate.throttled_ratio, 0);
        /* ... but its use counts. */
        ck_assert_double_eq_tol(t.estimate.use_mean_milli, 400, 1e-6);
}
END_TEST

/* Throttled for 700 ms of every other second, then raised: as many seconds with a write as without. */
START_TEST(what_was_throttled_before_an_own_write_counts)
{
        struct subject t = subject_new();
        struct behaviour b = { .use_milli = 400, .stall = 0.1 };

        t.context.quota_milli = t.context.allocation_milli = 500;
        (void)demand_observe(&t.state, &t.counters, false);
        for (int i = 0; i < SAMPLES; i++) {
                struct unit_counters until = t.counters;

                until.at_usec += 700000;
                until.nr_periods += 7;
                until.nr_throttled += 7;
                until.throttled_usec += 350000;
                b.throttled_ratio = i % 2 ? 1 : 0;
                b.throttled_share = i % 2 ? 0.5 : 0;
                if (i % 2)
                        demand_observe_until_write(&t.state, &until);
                (void)second_passes(&t, &b, i % 2);
        }
        demand_estimate(&t.state, &t.context, &t.estimate);
        ck_assert_double_eq_tol(t.estimate.throttled_ratio, 49.0 / (80 + 49), 1e-6);
        ck_assert_double_eq_tol(t.estimate.throttled_share, 0.5 * 49 / (80 + 49), 1e-6);
        ck_assert_double_eq_tol(t.estimate.use_mean_milli, 400, 1e-6);
}
END_TEST

START_TEST(a_reading_before_a_write_is_nothing_without_one_before_it)
{
        struct subject t = subject_new();
        struct unit_counters until = t.counters;

        demand_observe_until_write(&t.state, &until);
        ck_assert(!t.state.has_last);
        (void)demand_observe(&t.state, &t.counters, false);
        until.at_usec += 500000;
        until.nr_periods = until.nr_throttled = 5;
        until.has_bandwidth = false;
        demand_observe_until_write(&t.state, &until);
        ck_assert_double_eq(t.state.n_periods, 0);
}
END_TEST

START_TEST(stall_raises_need_only_above_the_own_baseline)
{
        struct subject t = subject_new();
        struct behaviour busy = { .use_milli = 400, .stall = 0.45 };

        epochs_pass(&t, &busy, 8);
        ck_assert_double_eq_tol(t.estimate.stall_baseline, 0.45, 1e-6);
        ck_assert_double_eq_tol(t.estimate.need_milli, 460, 1e-6);

        /* A quarter and five points above is still no news ... */
        busy.stall = 0.60;
        (void)epoch_passes(&t, &busy);
        ck_assert_double_eq_tol(t.estimate.need_milli, 460, 1e-6);
        ck_assert_int_eq(t.estimate.reason, DEMAND_LOAD);
        /* ... more is. */
        busy.stall = 0.90;
        (void)epoch_passes(&t, &busy);
        ck_assert_double_gt(t.estimate.need_milli, 461);
        ck_assert_int_eq(t.estimate.reason, DEMAND_STALLED);
        ck_assert_double_gt(t.estimate.hardship, 0.2);
}
END_TEST

/* 15 to 45 % is what healthy chains show; more threads than CPUs show all of it. */
START_TEST(no_value_of_stall_means_contention_where_it_is_usual)
{
        static const double usual[] = { 0.05, 0.15, 0.45, 0.95 };

        for (int k = 0; k < 4; k++) {
                struct subject t = subject_new();
                struct behaviour b = { .use_milli = 400, .stall = usual[k] };

                t.context.allocation_milli = 500;
                t.context.host_idle_share = 0;
                epochs_pass(&t, &b, 10);
                ck_assert_double_eq_tol(t.estimate.need_milli, DEMAND_MARGIN * 400, 1e-6);
                ck_assert_double_eq(t.estimate.hardship, 0);
                ck_assert_int_eq(t.estimate.reason, DEMAND_LOAD);
        }
}
END_TEST

START_TEST(the_stall_baseline_rises_slowly_and_a_throttled_unit_teaches_it_nothing)
{
        struct subject t = subject_new();
        struct behaviour throttled = { .use_milli = 400, .stall = 0.9, .throttled_ratio = 0.1, .throttled_share = 0.1 };

        epochs_pass(&t, use(400), 4);
        epochs_pass(&t, &throttled, 40);
        ck_assert_double_eq_tol(t.estimate.stall_baseline, 0.2, 1e-6);
        ck_assert_double_eq_tol(t.estimate.hardship, 0.1, 1e-6);
        (void)epoch_passes(&t, &(struct behaviour){ .use_milli = 400, .stall = 0.9 });
        ck_assert_double_gt(t.estimate.stall_baseline, 0.2);
        ck_assert_double_le(t.estimate.stall_baseline, 0.2 + 0.02);
}
END_TEST

START_TEST(stall_raises_need_by_at_most_fifteen_percent)
{
        struct subject t = subject_new();

        epochs_pass(&t, &(struct behaviour) { .use_milli = 400, .stall = 0.0 }, 4);
        (void)epoch_passes(&t, &(struct behaviour) { .use_milli = 400, .stall = 1.0 });
        ck_assert_double_eq_tol(t.estimate.need_milli, 460 * 1.15, 1e-6);
}
END_TEST

START_TEST(stall_that_never_ends_stops_being_news)
{
        struct subject t = subject_new();

        epochs_pass(&t, &(struct behaviour) { .use_milli = 400, .stall = 0.1 }, 4);
        epochs_pass(&t, &(struct behaviour) { .use_milli = 400, .stall = 0.6 }, 8);
        ck_assert_int_eq(t.estimate.reason, DEMAND_STALLED);
        epochs_pass(&t, &(struct behaviour) { .use_milli = 400, .stall = 0.6 }, 240);
        ck_assert_int_eq(t.estimate.reason, DEMAND_LOAD);
        ck_assert_double_eq(t.estimate.hardship, 0);
}
END_TEST

START_TEST(time_throttled_is_not_contention)
{
        struct subject t = subject_new();

        epochs_pass(&t, &(struct behaviour) { .use_milli = 400, .stall = 0.1 }, 4);
        t.context.quota_milli = t.context.allocation_milli = 300;
        (void)epoch_passes(&t, &(struct behaviour) { .use_milli = 300, .throttled_ratio = 0.3,
                                                     .throttled_share = 0.4, .stall = 0.5 });
        ck_assert_double_eq_tol(t.estimate.contention, 0.1, 1e-6);
        ck_assert_double_eq_tol(t.estimate.hardship, 0.3, 1e-9);
        /* The stall of a throttled service is not learned from either. */
        ck_assert_double_eq_tol(t.estimate.stall_baseline, 0.1, 1e-6);

        /* Throttled time is summed over CPUs and may outrun the clock. */
        (void)epoch_passes(&t, &(struct behaviour) { .use_milli = 300, .throttled_ratio = 0.3,
                                                     .throttled_share = 1.9, .stall = 0.5 });
        ck_assert_double_eq(t.estimate.throttled_share, 1);
        ck_assert_double_eq(t.estimate.contention, 0);
}
END_TEST

START_TEST(counters_that_go_backwards_cost_one_interval)
{
        struct subject t = subject_new();

        (void)demand_observe(&t.state, &t.counters, false);
        for (int i = 0; i < 7; i++)
                ck_assert_int_eq(second_passes(&t, use(400), false), 0);
        t.counters.usage_usec = 0;
        t.counters.at_usec += 1000000;
        ck_assert_int_eq(demand_observe(&t.state, &t.counters, false), 1);
        for (int i = 0; i < 7; i++)
                ck_assert_int_eq(second_passes(&t, use(400), false), 0);
        demand_estimate(&t.state, &t.context, &t.estimate);
        ck_assert(t.estimate.is_known);
        ck_assert_double_eq_tol(t.estimate.use_mean_milli, 400, 1e-6);
        ck_assert_double_eq_tol(t.estimate.load_milli, 400, 1e-6);
}
END_TEST

START_TEST(a_clock_that_stands_still_is_dropped)
{
        struct subject t = subject_new();

        (void)demand_observe(&t.state, &t.counters, false);
        t.counters.usage_usec += 5000;
        ck_assert_int_eq(demand_observe(&t.state, &t.counters, false), 1);
        ck_assert_uint_eq(t.state.n_samples, 0);
}
END_TEST

START_TEST(throttle_counters_that_start_again_cost_their_interval_only)
{
        struct subject t = subject_new();

        t.context.quota_milli = t.context.allocation_milli = 500;
        t.counters.nr_periods = 5000;
        t.counters.nr_throttled = 5000;
        (void)demand_observe(&t.state, &t.counters, false);
        (void)second_passes(&t, use(400), false);
        /* The controller was switched off and on. */
        t.counters.nr_periods = t.counters.nr_throttled = t.counters.throttled_usec = 0;
        for (int i = 0; i < SAMPLES; i++)
                ck_assert_int_eq(second_passes(&t, use(400), false), 0);
        demand_estimate(&t.state, &t.context, &t.estimate);
        ck_assert_double_eq(t.estimate.throttled_ratio, 0);
        ck_assert_double_eq_tol(t.estimate.use_mean_milli, 400, 1e-6);
}
END_TEST

START_TEST(without_bandwidth_and_pressure_keys_use_still_counts)
{
        struct subject t = subject_new();
        struct behaviour bare = { .use_milli = 400, .throttled_ratio = 1, .throttled_share = 1,
                                  .stall = 1, .has_no_bandwidth = true, .has_no_pressure = true };

        t.counters.has_bandwidth = t.counters.has_pressure = false;
        epochs_pass(&t, &bare, 3);
        ck_assert(t.estimate.is_known);
        ck_assert_double_eq_tol(t.estimate.need_milli, 460, 1e-6);
        ck_assert_double_eq(t.estimate.throttled_ratio, 0);
        ck_assert_double_eq(t.estimate.stall_share, 0);
        ck_assert_double_eq(t.estimate.hardship, 0);
        ck_assert(!t.state.has_stall_baseline);
}
END_TEST

START_TEST(too_few_samples_are_unknown_and_need_is_the_baseline)
{
        struct subject t = subject_new();

        t.context.baseline_milli = 200;
        epochs_pass(&t, use(700), 2);
        for (int i = 0; i < 4; i++)
                (void)second_passes(&t, use(700), false);
        demand_estimate(&t.state, &t.context, &t.estimate);
        ck_assert(!t.estimate.is_known);
        ck_assert_int_eq(t.estimate.reason, DEMAND_UNKNOWN);
        ck_assert_double_eq(t.estimate.need_milli, 200);
        ck_assert_double_eq(t.estimate.confidence, 0);
        ck_assert_double_eq_tol(t.estimate.load_milli, 700, 1e-6);
        ck_assert_uint_eq(t.state.n_missing, 1);

        for (int i = 0; i < 5; i++)
                (void)second_passes(&t, use(700), false);
        demand_estimate(&t.state, &t.context, &t.estimate);
        ck_assert(t.estimate.is_known);
        ck_assert_uint_eq(t.state.n_missing, 0);
}
END_TEST

START_TEST(confidence_grows_with_epochs_and_falls_with_lost_samples)
{
        struct subject t = subject_new();
        double first = epoch_passes(&t, use(100))->confidence, later;

        epochs_pass(&t, use(100), 5);
        later = t.estimate.confidence;
        ck_assert_double_eq_tol(first, 0.5, 1e-9);
        ck_assert_double_gt(later, 0.9);
        ck_assert_double_le(later, 1);
        for (int i = 0; i < 8; i++)
                (void)second_passes(&t, use(100), false);
        demand_estimate(&t.state, &t.context, &t.estimate);
        ck_assert_double_lt(t.estimate.confidence, 0.6);
}
END_TEST

START_TEST(a_starting_service_has_its_grace_until_its_state_ends_it)
{
        struct subject t = subject_new();

        t.context.is_starting = true;
        t.context.grace_milli = 500;
        demand_estimate(&t.state, &t.context, &t.estimate);
        ck_assert(!t.estimate.is_known);
        ck_assert_int_eq(t.estimate.reason, DEMAND_STARTING);
        ck_assert_double_eq(t.estimate.need_milli, 500);

        (void)epoch_passes(&t, use(100));
        ck_assert(t.estimate.is_known);
        ck_assert_int_eq(t.estimate.reason, DEMAND_STARTING);
        ck_assert_double_eq(t.estimate.need_milli, 500);

        /* Grace is a floor, no ceiling. */
        (void)epoch_passes(&t, use(800));
        ck_assert_double_eq_tol(t.estimate.need_milli, 920, 1e-6);
        ck_assert_int_eq(t.estimate.reason, DEMAND_LOAD);

        t.context.is_starting = false;
        epochs_pass(&t, use(100), 20);
        ck_assert_double_eq_tol(t.estimate.need_milli, 115, 1e-3);
}
END_TEST

START_TEST(need_stays_between_baseline_and_max)
{
        struct subject t = subject_new();

        t.context.baseline_milli = 300;
        t.context.max_milli = 1000;
        ck_assert_double_eq(epoch_passes(&t, use(100))->need_milli, 300);
        ck_assert_int_eq(t.estimate.reason, DEMAND_BASELINE);
        ck_assert_double_eq(epoch_passes(&t, use(950))->need_milli, 1000);
        ck_assert_int_eq(t.estimate.reason, DEMAND_AT_MAX);
}
END_TEST

START_TEST(a_restart_keeps_the_load_but_not_the_confidence)
{
        struct subject t = subject_new();

        epochs_pass(&t, use(600), 6);
        demand_restart(&t.state);
        t.counters = (struct unit_counters) { .at_usec = t.counters.at_usec, .has_pressure = true };
        ck_assert_int_eq(demand_observe(&t.state, &t.counters, false), 0);
        (void)epoch_passes(&t, use(50));
        ck_assert_double_eq_tol(t.estimate.load_milli, 600 * exp2(-0.5), 1e-3);
        ck_assert_double_eq_tol(t.estimate.confidence, 0.5, 1e-9);
}
END_TEST

START_TEST(a_peak_rises_at_once_and_decays_by_half_lives)
{
        ck_assert_double_eq(demand_track_peak(100, 300, false, 15e6), 300);
        ck_assert_double_eq_tol(demand_track_peak(400, 0, false, 30e6), 200, 1e-9);
        ck_assert_double_eq_tol(demand_track_peak(400, 0, true, 600e6), 200, 1e-9);
        ck_assert_double_eq(demand_track_peak(400, 390, true, 0), 400);
}
END_TEST

START_TEST(unmanaged_load_is_what_two_epochs_have_in_common)
{
        struct demand_unmanaged u = { 0 };

        /* Our own start, beside a batch job that keeps the host full. */
        demand_track_unmanaged(&u, 645, 0, 15e6);
        ck_assert_double_eq(u.load_milli, 0);
        demand_track_unmanaged(&u, 60, 0, 15e6);
        ck_assert_double_eq(u.load_milli, 60);
        demand_track_unmanaged(&u, 400, 0, 15e6);
        ck_assert_double_eq_tol(u.load_milli, 60, 1e-9);
        demand_track_unmanaged(&u, 380, 0, 15e6);
        ck_assert_double_eq(u.load_milli, 380);
        /* Squeezed by a full host, it is held; with idle CPU it is not. */
        demand_track_unmanaged(&u, 50, 0, 600e6);
        ck_assert_double_eq_tol(u.load_milli, 190, 1e-9);
        demand_track_unmanaged(&u, 50, 0.5, 30e6);
        ck_assert_double_eq_tol(u.load_milli, 95, 1e-9);
}
END_TEST

START_TEST(an_interval_that_is_skipped_counts_for_nothing)
{
        struct demand_state s = { 0 };
        struct unit_counters c = { .at_usec = 1000000 };

        ck_assert_int_eq(demand_observe(&s, &c, false), 0);
        c = (struct unit_counters) { .at_usec = 2000000, .usage_usec = 900000 };
        demand_skip(&s, &c);
        ck_assert_double_eq(s.used_usec, 0);
        c = (struct unit_counters) { .at_usec = 3000000, .usage_usec = 1000000 };
        ck_assert_int_eq(demand_observe(&s, &c, false), 0);
        ck_assert_double_eq(s.used_usec, 100000);
        ck_assert_double_eq(s.wall_usec, 1000000);
}
END_TEST

START_TEST(every_reason_has_a_word_of_its_own)
{
        for (int a = 0; a < _DEMAND_REASON_MAX; a++)
                for (int b = 0; b < a; b++)
                        ck_assert_str_ne(demand_reason_to_string(a), demand_reason_to_string(b));
        ck_assert_str_eq(demand_reason_to_string(DEMAND_AT_MAX), "at-max");
        ck_assert_str_eq(demand_reason_to_string(DEMAND_LATENCY_TARGET), "latency-target");
        ck_assert_str_eq(demand_reason_to_string(_DEMAND_REASON_MAX), "unknown");
}
END_TEST

/* ---- what use above the allocation proves --------------------------------------------------------- */

/* A service that learned its stall on an idle host and now takes more than it was given. */
static struct subject taker(double stall_learned)
{
        struct subject t = subject_new();

        t.context.baseline_milli = 100;
        epochs_pass(&t, &(struct behaviour) { .use_milli = 400, .stall = stall_learned }, 8);
        t.context.allocation_milli = 500;
        t.context.host_idle_share = 0;
        return t;
}

START_TEST(what_merely_soaks_up_spare_cpu_is_elastic)
{
        struct subject t = taker(0.3);

        /* The market has one epoch to answer. */
        (void)epoch_passes(&t, &(struct behaviour) { .use_milli = 1500, .stall = 0.3 });
        ck_assert(!t.estimate.is_elastic);
        ck_assert_double_eq_tol(t.estimate.need_milli, 1725, 1e-6);
        t.context.allocation_milli = 900;
        (void)epoch_passes(&t, &(struct behaviour) { .use_milli = 1500, .stall = 0.3 });
        ck_assert(t.estimate.is_elastic);
        ck_assert_int_eq(t.estimate.reason, DEMAND_ELASTIC);
        ck_assert_double_eq(t.estimate.need_milli, 100);
        ck_assert_double_eq(t.estimate.hardship, 0);
        ck_assert_double_eq_tol(t.estimate.load_milli, 1500, 1e-6);
}
END_TEST

START_TEST(who_is_called_works_for_who_waits_and_is_never_elastic)
{
        struct subject t = taker(0.3);
        struct behaviour soaks = { .use_milli = 1500, .stall = 0.3 };

        epochs_pass(&t, &soaks, 2);
        ck_assert(t.estimate.is_elastic);
        t.context.is_called = true;
        for (int hour = 0; hour < 2; hour++)
                for (int i = 0; i < 240; i++)
                        ck_assert(!epoch_passes(&t, &soaks)->is_elastic);
        ck_assert_double_eq_tol(t.estimate.need_milli, 1725, 1e-6);
        t.context.is_called = false;
        epochs_pass(&t, &soaks, 2);
        ck_assert(t.estimate.is_elastic);
}
END_TEST

START_TEST(elastic_lasts_until_the_load_fits_or_a_tenth_of_the_host_idles)
{
        struct subject t = taker(0.3);
        struct behaviour soaks = { .use_milli = 1500, .stall = 0.3 };

        epochs_pass(&t, &soaks, 2);
        t.context.host_idle_share = 0.08;       /* full for nobody else, but a latch needs a gap */
        ck_assert(epoch_passes(&t, &soaks)->is_elastic);
        t.context.host_idle_share = 0.12;
        ck_assert(!epoch_passes(&t, &soaks)->is_elastic);
        ck_assert_double_eq_tol(t.estimate.need_milli, 1725, 1e-6);

        t.context.host_idle_share = 0;
        epochs_pass(&t, &soaks, 2);
        ck_assert(t.estimate.is_elastic);
        t.context.allocation_milli = 1600;
        ck_assert(!epoch_passes(&t, &soaks)->is_elastic);
}
END_TEST

START_TEST(queueing_ends_elasticity)
{
        struct subject t = taker(0.1);

        epochs_pass(&t, &(struct behaviour) { .use_milli = 1200, .stall = 0.1 }, 2);
        ck_assert(t.estimate.is_elastic);
        (void)epoch_passes(&t, &(struct behaviour) { .use_milli = 1000, .stall = 0.8 });
        ck_assert(!t.estimate.is_elastic);
        ck_assert_double_ge(t.estimate.need_milli, 1150);
}
END_TEST

START_TEST(a_short_peak_above_the_allocation_is_not_soaking_up)
{
        struct subject t = taker(0.3);

        for (int k = 0; k < 5; k++) {
                for (int i = 0; i < SAMPLES; i++)
                        (void)second_passes(&t, use(i >= 5 && i < 8 ? 1200 : 300), false);
                demand_estimate(&t.state, &t.context, &t.estimate);
                ck_assert(!t.estimate.is_elastic);
                ck_assert_double_ge(t.estimate.load_milli, 1199);
        }
}
END_TEST

START_TEST(queueing_proves_use_above_the_allocation_in_full)
{
        struct subject t = taker(0.1);

        (void)epoch_passes(&t, &(struct behaviour) { .use_milli = 1000, .stall = 0.6 });
        ck_assert(!t.estimate.is_elastic);
        ck_assert_int_eq(t.estimate.reason, DEMAND_STALLED);
        ck_assert_double_ge(t.estimate.need_milli, 1150);
        ck_assert_double_le(t.estimate.need_milli, 1150 * 1.15);
}
END_TEST

START_TEST(queueing_is_not_believed_for_ever)
{
        struct subject t = taker(0.1);
        int n = 0;

        while (!epoch_passes(&t, &(struct behaviour) { .use_milli = 1000, .stall = 0.9 })->is_elastic)
                ck_assert_int_lt(n++, 300);
        ck_assert_int_ge(n, 60);        /* not so short that one of two rivals is dropped by chance */
}
END_TEST

START_TEST(a_partition_that_throttles_is_proof)
{
        struct subject t = taker(0.3);

        t.context.quota_milli = 500;
        (void)epoch_passes(&t, &(struct behaviour) { .use_milli = 520, .throttled_ratio = 1,
                                                     .throttled_share = 0.6, .stall = 0.9 });
        ck_assert(!t.estimate.is_elastic);
        ck_assert_int_eq(t.estimate.reason, DEMAND_THROTTLED);
        ck_assert_double_ge(t.estimate.need_milli, 1150);
        ck_assert_double_eq(t.estimate.hardship, 1);
}
END_TEST

START_TEST(a_ceiling_parked_above_the_allocation_is_no_proof)
{
        struct subject t = taker(0.3);
        struct behaviour bounded = { .use_milli = 900, .throttled_ratio = 1, .throttled_share = 0.5,
                                     .stall = 0.8 };

        t.context.quota_milli = 900;
        epochs_pass(&t, &bounded, 2);
        ck_assert(t.estimate.is_elastic);
        ck_assert_double_eq(t.estimate.need_milli, 100);
        /* CPU that only our ceiling keeps idle is not idle CPU. */
        t.context.host_idle_share = 0.2;
        ck_assert(epoch_passes(&t, &bounded)->is_elastic);
        ck_assert_double_eq(t.estimate.need_milli, 100);
}
END_TEST

START_TEST(use_of_what_was_lent_to_a_throttled_share_is_proof)
{
        struct subject t = taker(0.3);

        /* Throttled at its share; then the guard lends it half as much again, and it uses all of that
         * without being throttled: nothing but the loan tells that from a job that soaks up spare CPU. */
        t.context.quota_is_share = true;
        t.context.quota_milli = 750;
        for (int i = 0; i < 4; i++)
                ck_assert(!epoch_passes(&t, &(struct behaviour) { .use_milli = 740, .stall = 0.3 })->is_elastic);
        ck_assert_double_ge(t.estimate.need_milli, 1.15 * 740 - 1e-6);

        /* Throttled even so: it needs more than that, and is not taken to be full of spare CPU. */
        (void)epoch_passes(&t, &(struct behaviour) { .use_milli = 750, .throttled_ratio = 1,
                                                     .throttled_share = 0.5, .stall = 0.8 });
        ck_assert(!t.estimate.is_elastic);
        ck_assert_int_eq(t.estimate.reason, DEMAND_THROTTLED);
        ck_assert_double_ge(t.estimate.need_milli, 1.9 * 1.15 * 740);

        /* The loan is back, and nobody throttles it: what it takes above its share is spare again. */
        t.context.quota_milli = 500;
        t.state.throttle_raise = 0;
        epochs_pass(&t, &(struct behaviour) { .use_milli = 1000, .stall = 0.3 }, 3);
        ck_assert(t.estimate.is_elastic);
}
END_TEST

START_TEST(the_recent_use_is_the_largest_of_the_last_samples)
{
        struct subject t = subject_new();

        ck_assert_double_lt(demand_recent_use_milli(&t.state), 0);
        (void)demand_observe(&t.state, &t.counters, false);
        ck_assert_double_lt(demand_recent_use_milli(&t.state), 0);
        (void)second_passes(&t, use(700), false);
        (void)second_passes(&t, use(200), false);
        ck_assert_double_eq_tol(demand_recent_use_milli(&t.state), 700, 1e-6);
        (void)second_passes(&t, use(300), true);
        (void)second_passes(&t, use(100), false);
        ck_assert_double_eq_tol(demand_recent_use_milli(&t.state), 300, 1e-6);
}
END_TEST

START_TEST(a_ceiling_that_is_the_maximum_leaves_idle_cpu_idle)
{
        struct subject t = taker(0.3);
        struct behaviour bounded = { .use_milli = 900, .throttled_ratio = 1, .throttled_share = 0.5,
                                     .stall = 0.8 };

        t.context.quota_milli = t.context.max_milli = 900;
        t.context.host_idle_share = 0.5;
        (void)epoch_passes(&t, &bounded);
        ck_assert(!t.estimate.is_elastic);
        ck_assert_double_eq(t.estimate.need_milli, 900);
        ck_assert_int_eq(t.estimate.reason, DEMAND_AT_MAX);
}
END_TEST

START_TEST(a_belief_outlives_the_ceiling_that_hides_the_stall)
{
        struct subject t = taker(0.1);

        (void)epoch_passes(&t, &(struct behaviour) { .use_milli = 1000, .stall = 0.6 });
        t.context.quota_milli = 1000;
        for (int i = 0; i < 20; i++)
                ck_assert(!epoch_passes(&t, &(struct behaviour) { .use_milli = 1000, .stall = 0.9,
                                                                  .throttled_ratio = 0.5,
                                                                  .throttled_share = 0.4 })->is_elastic);
}
END_TEST

START_TEST(one_busy_thread_on_a_host_with_idle_cpu_is_ordinary_demand)
{
        struct subject t = subject_new();

        t.context.allocation_milli = 200;
        t.context.host_idle_share = 0.4;
        epochs_pass(&t, &(struct behaviour) { .use_milli = 1000 }, 10);
        ck_assert(!t.estimate.is_elastic);
        ck_assert_double_eq_tol(t.estimate.need_milli, 1150, 1e-6);
}
END_TEST

/* ---- closed loops --------------------------------------------------------------------------------- */

/* A host of two CPUs under the fair scheduler: whoever is below its bound shares the rest by weight.
 * Throttling by quota over use as measured (doc/theory.md): 48 % of the periods at 1.18, 23 % at
 * 1.43, 4 % at 2. */

#define CPUS 2
#define CAPACITY_MILLI (CPUS * 1000.0)
#define RESERVE_MILLI (CAPACITY_MILLI / 10)
#define N_MAX 4

struct guest {
        struct subject s;
        double offered_milli;           /* what it would use on an endless host */
        double weight;                  /* Weight= */
        double healthy_stall;           /* with nobody else there */
        bool is_hog;
        /* settings in force */
        double quota_milli;
        unsigned cpu_weight;
        int64_t x_milli;
        double use_milli;
};

struct host {
        struct guest guests[N_MAX];
        size_t n;
        enum enforce enforce;
        double headroom_milli;
        struct testing_random random;
        struct market_outcome market;
        struct enforce_setting settings[N_MAX];
};

static void host_init(struct host *h, enum enforce enforce)
{
        *h = (struct host) { .enforce = enforce, .random = { testing_seed() } };
}

static struct guest *host_add(struct host *h, double offered_milli, double weight, bool is_hog)
{
        struct guest *g = &h->guests[h->n++];

        *g = (struct guest) {
                .s = subject_new(),
                .offered_milli = offered_milli,
                .weight = weight,
                .healthy_stall = is_hog ? 0.95 : 0.2,
                .is_hog = is_hog,
                .quota_milli = INFINITY,
                .cpu_weight = 100,
                .x_milli = -1,
        };
        return g;
}

static double throttled_ratio_at(double quota_over_use)
{
        static const double at[] = { 1.0, 1.18, 1.43, 2.0, 2.3 }, ratio[] = { 1, 0.48, 0.23, 0.04, 0 };

        for (int i = 1; i < 5; i++)
                if (quota_over_use < at[i])
                        return ratio[i] + (ratio[i - 1] - ratio[i]) * (at[i] - quota_over_use) /
                                                  (at[i] - at[i - 1]);
        return 0;
}

/* One second; returns the idle share. */
static double host_runs(struct host *h)
{
        double bound[N_MAX], weight[N_MAX], wanted[N_MAX], share[N_MAX], theta, idle = CAPACITY_MILLI;
        size_t order[N_MAX];

        for (size_t i = 0; i < h->n; i++) {
                struct guest *g = &h->guests[i];

                wanted[i] = g->is_hog ? g->offered_milli
                                      : g->offered_milli * testing_random_double(&h->random, 0.95, 1.05);
                bound[i] = fmin(wanted[i], g->quota_milli);
                weight[i] = g->cpu_weight;
        }
        ck_assert_int_eq(waterfill_solve(bound, weight, h->n, CAPACITY_MILLI, order, share, &theta), 0);
        for (size_t i = 0; i < h->n; i++) {
                struct guest *g = &h->guests[i];
                struct behaviour b = { .use_milli = share[i] };

                idle -= share[i];
                b.throttled_ratio = isinf(g->quota_milli) || share[i] < bound[i]
                                            ? 0
                                            : throttled_ratio_at(g->quota_milli / wanted[i]);
                b.throttled_share = b.throttled_ratio / 2;
                /* Requests that find no CPU queue up, and then somebody always waits. */
                b.stall = fmin(1, (share[i] < 0.99 * wanted[i] ? 0.9 : g->healthy_stall) +
                                          b.throttled_share);
                /* Equal weights make a satisfied service wait for its turn. */
                if (share[i] >= bound[i] && h->n > 1)
                        b.stall = fmin(1, b.stall + 0.05);
                (void)second_passes(&g->s, &b, false);
                g->use_milli = share[i];
        }
        return idle / CAPACITY_MILLI;
}

static void host_decides(struct host *h, double idle_share)
{
        struct player players[N_MAX];
        double x[N_MAX], lower[N_MAX], upper[N_MAX], view_weight[N_MAX], bound[N_MAX], share[N_MAX];
        int64_t whole[N_MAX], bound_milli[N_MAX], share_milli[N_MAX];
        size_t order[N_MAX];
        double rounding_weight[N_MAX];
        struct gain gain[N_MAX];
        unsigned group_weight[1];
        struct enforce_level levels[1];
        struct market_tier_view view = { lower, upper, view_weight, gain, rounding_weight };
        struct market_scratch market_scratch = { order, bound, share, bound_milli, share_milli };
        struct enforce_scratch scratch = { order, share, bound_milli, share_milli, levels };
        struct enforce_service services[N_MAX];
        const struct enforce_group root = { .parent = ENFORCE_NO_GROUP };
        const struct market_rules rules = { .capacity_milli = CAPACITY_MILLI - RESERVE_MILLI, .spare = 1 };
        const struct enforce_rules enforce = {
                .mode = h->enforce,
                .capacity_milli = CAPACITY_MILLI,
                .bargained_milli = CAPACITY_MILLI - RESERVE_MILLI,
                .reserve_milli = RESERVE_MILLI,
                .headroom_milli = h->headroom_milli,
        };

        for (size_t i = 0; i < h->n; i++) {
                struct guest *g = &h->guests[i];

                g->s.context.allocation_milli = g->x_milli;
                g->s.context.quota_milli = g->quota_milli;
                g->s.context.host_idle_share = idle_share;
                demand_estimate(&g->s.state, &g->s.context, &g->s.estimate);
                ck_assert(g->s.estimate.is_known);
                players[i] = (struct player) {
                        .need_milli = fmin(g->s.estimate.need_milli, CAPACITY_MILLI),
                        .max_milli = CAPACITY_MILLI,
                        .weight = g->weight,
                        .held_milli = -1,
                };
        }
        ck_assert_int_eq(market_solve(&rules, players, h->n, &market_scratch, &view, x, &h->market), 0);
        ck_assert_int_eq(market_round(&view, &h->market, h->n, &market_scratch, whole), 0);
        for (size_t i = 0; i < h->n; i++)
                services[i] = (struct enforce_service) {
                        .alloc_milli = whole[i],
                        .load_milli = h->guests[i].s.estimate.load_milli,
                        .max_milli = INFINITY,
                        .path_cover = INFINITY,
                };
        ck_assert_int_eq(enforce_settings(&enforce, services, h->n, &root, 1, &scratch, h->settings,
                                          group_weight), 0);
        for (size_t i = 0; i < h->n; i++) {
                struct guest *g = &h->guests[i];

                g->x_milli = whole[i];
                g->quota_milli = h->settings[i].quota_milli == QUOTA_NONE_MILLI
                                         ? INFINITY
                                         : (double)h->settings[i].quota_milli;
                g->cpu_weight = h->settings[i].cpu_weight ? h->settings[i].cpu_weight : 100;
        }
}

static void host_epoch(struct host *h)
{
        double idle = 0;

        for (size_t i = 0; i < h->n; i++)
                if (!h->guests[i].s.state.has_last)
                        (void)demand_observe(&h->guests[i].s.state, &h->guests[i].s.counters, false);
        for (int i = 0; i < SAMPLES; i++)
                idle += host_runs(h) / SAMPLES;
        host_decides(h, idle);
}

static void host_epochs(struct host *h, int n)
{
        for (int i = 0; i < n; i++)
                host_epoch(h);
}

static const enum enforce work_conserving[] = { ENFORCE_BOTH, ENFORCE_WEIGHT };

START_TEST(a_hog_beside_a_service_becomes_elastic_and_the_host_uncongested)
{
        static const double web_weights[] = { 100, 1000 };      /* hog 100: equal, and 10 to 1 */
        static const double headrooms[] = { 0, 200 };

        for (int k = 0; k < 8; k++) {
                struct host h;
                struct guest *web, *hog;
                int n_congested = 0;

                host_init(&h, work_conserving[k & 1]);
                h.headroom_milli = headrooms[k >> 2];
                web = host_add(&h, 800, web_weights[(k >> 1) & 1], false);
                hog = host_add(&h, CAPACITY_MILLI, 100, true);
                host_epochs(&h, 6);
                for (int i = 0; i < 34; i++) {
                        host_epoch(&h);
                        n_congested += h.market.tier != TIER_UNCONGESTED;
                        ck_assert(hog->s.estimate.is_elastic);
                        ck_assert_double_eq(hog->s.estimate.need_milli, 0);
                        ck_assert(!web->s.estimate.is_elastic);
                        ck_assert(h.settings[0].is_satisfied);
                        ck_assert_int_eq(h.settings[0].quota_milli, QUOTA_NONE_MILLI);
                        ck_assert_double_ge(web->use_milli, 0.95 * 800);
                }
                ck_assert_int_eq(n_congested, 0);
                /* And the hog has the rest, but for the headroom that was asked for. */
                ck_assert_double_ge(hog->use_milli, 0.85 * (CAPACITY_MILLI - 800 * 1.05) -
                                                            (h.enforce == ENFORCE_BOTH ? h.headroom_milli
                                                                                       : 0));
        }
}
END_TEST

START_TEST(a_hog_that_comes_later_changes_nothing_for_the_service)
{
        for (int k = 0; k < 2; k++) {
                struct host h;
                struct guest *web;

                host_init(&h, work_conserving[k]);
                web = host_add(&h, 1400, 100, false);
                host_epochs(&h, 10);
                (void)host_add(&h, CAPACITY_MILLI, 100, true);
                host_epochs(&h, 6);
                for (int i = 0; i < 24; i++) {
                        host_epoch(&h);
                        ck_assert(h.guests[1].s.estimate.is_elastic);
                        ck_assert(h.settings[0].is_satisfied);
                        ck_assert_double_ge(web->use_milli, 0.94 * 1400);
                }
        }
}
END_TEST

START_TEST(in_a_partition_a_hog_is_given_its_bargain_and_no_more)
{
        static const double web_weights[] = { 100, 1000 };

        for (int k = 0; k < 2; k++) {
                struct host h;
                struct guest *web, *hog;

                host_init(&h, ENFORCE_QUOTA);
                web = host_add(&h, 400, web_weights[k], false);
                hog = host_add(&h, CAPACITY_MILLI, 100, true);
                host_epochs(&h, 10);
                for (int i = 0; i < 30; i++) {
                        host_epoch(&h);
                        ck_assert(!hog->s.estimate.is_elastic);
                        ck_assert_int_eq(h.market.tier, TIER_CONGESTED);
                        ck_assert_double_le(web->quota_milli + hog->quota_milli,
                                            CAPACITY_MILLI - RESERVE_MILLI);
                        ck_assert_double_ge(web->use_milli, 0.95 * 400);
                        ck_assert_double_ge(hog->use_milli, 850);
                }
        }
}
END_TEST

START_TEST(two_equal_services_that_overload_a_host_are_treated_alike)
{
        for (int k = 0; k < 2; k++) {
                struct host h;

                host_init(&h, work_conserving[k]);
                (void)host_add(&h, 700, 100, false);
                (void)host_add(&h, 700, 100, false);
                host_epochs(&h, 10);
                h.guests[0].offered_milli = 1300;
                host_epochs(&h, 2);
                h.guests[1].offered_milli = 1300;
                host_epochs(&h, 4);
                for (int i = 0; i < 60; i++) {
                        host_epoch(&h);
                        ck_assert_int_eq(h.market.tier, TIER_CONGESTED);
                        ck_assert_double_ge(h.guests[0].use_milli, 900);
                        ck_assert_double_ge(h.guests[1].use_milli, 900);
                }
        }
}
END_TEST

START_TEST(of_two_services_in_overload_the_weightier_is_served)
{
        for (int k = 0; k < 2; k++) {
                struct host h;

                host_init(&h, work_conserving[k]);
                (void)host_add(&h, 1000, 1000, false);
                (void)host_add(&h, 1500, 100, false);
                host_epochs(&h, 8);
                for (int i = 0; i < 30; i++) {
                        host_epoch(&h);
                        ck_assert(h.settings[0].is_satisfied);
                        ck_assert_double_ge(h.guests[0].use_milli, 0.94 * 1000);
                        ck_assert_double_ge(h.guests[1].use_milli, 850);
                }
        }
}
END_TEST

/* The widest swing of need, relative to its mean, over the last epochs. */
static double swing_of_need(struct host *h, size_t i, int n_settle, int n_watch, double *ret_mean)
{
        double low = INFINITY, high = 0, sum = 0;

        host_epochs(h, n_settle);
        for (int k = 0; k < n_watch; k++) {
                host_epoch(h);
                low = fmin(low, h->guests[i].s.estimate.need_milli);
                high = fmax(high, h->guests[i].s.estimate.need_milli);
                sum += h->guests[i].s.estimate.need_milli;
        }
        *ret_mean = sum / n_watch;
        return (high - low) / *ret_mean;
}

START_TEST(a_partition_settles_where_throttling_begins_instead_of_swinging)
{
        struct host h;
        double mean, swing;

        /* A third service keeps the partition congested, so that no spare CPU hides the loop. */
        host_init(&h, ENFORCE_QUOTA);
        (void)host_add(&h, 400, 100, false);
        (void)host_add(&h, 300, 100, false);
        (void)host_add(&h, CAPACITY_MILLI, 100, true);
        swing = swing_of_need(&h, 0, 20, 40, &mean);
        ck_assert_double_le(swing, 0.25);
        ck_assert_double_ge(mean, 1.3 * 400);
        ck_assert_double_le(mean, 2.3 * 400);
}
END_TEST

START_TEST(use_to_ceiling_to_use_and_weight_to_stall_to_need_do_not_ratchet)
{
        for (int k = 0; k < 2; k++) {
                struct host h;
                double mean_early, mean_late, swing;

                host_init(&h, work_conserving[k]);
                (void)host_add(&h, 900, 100, false);
                (void)host_add(&h, 600, 100, false);
                host_epochs(&h, 8);
                (void)host_add(&h, CAPACITY_MILLI, 100, true);
                (void)swing_of_need(&h, 0, 8, 20, &mean_early);
                swing = swing_of_need(&h, 0, 100, 20, &mean_late);
                ck_assert_double_le(swing, 0.1);
                ck_assert_double_eq_tol(mean_late / mean_early, 1, 0.05);
                ck_assert_double_le(mean_late, 900 * 1.05 * 1.15 * 1.15);
        }
}
END_TEST

START_TEST(a_load_step_beside_a_hog_is_followed_within_two_epochs)
{
        for (int k = 0; k < 2; k++) {
                struct host h;
                struct guest *web;

                host_init(&h, work_conserving[k]);
                web = host_add(&h, 200, 100, false);
                (void)host_add(&h, CAPACITY_MILLI, 100, true);
                host_epochs(&h, 12);
                web->offered_milli = 1200;
                host_epochs(&h, 2);
                ck_assert_double_ge(web->s.estimate.need_milli, 1.15 * 1200 * 0.9);
                ck_assert_double_ge(web->x_milli, 1200);
                host_epochs(&h, 6);
                web->offered_milli = 200;
                host_epochs(&h, 2);
                ck_assert_double_le(web->s.estimate.need_milli, 1.15 * (1200 + 200) / 2);
        }
}
END_TEST

START_TEST(a_lone_batch_job_has_the_whole_host)
{
        for (int k = 0; k < 2; k++) {
                struct host h;
                struct guest *hog;

                host_init(&h, work_conserving[k]);
                hog = host_add(&h, CAPACITY_MILLI, 100, true);
                for (int i = 0; i < 20; i++) {
                        host_epoch(&h);
                        ck_assert_double_eq_tol(hog->use_milli, CAPACITY_MILLI, 1e-6);
                }
        }
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("demand");
        TCase *one = tcase_create("one service"), *above = tcase_create("above the allocation");
        TCase *closed = tcase_create("closed loop");

        tcase_add_test(one, need_is_the_load_with_a_margin);
        tcase_add_test(one, load_is_the_peak_of_three_samples_not_of_one);
        tcase_add_test(one, load_rises_at_once_and_halves_in_thirty_seconds);
        tcase_add_test(one, need_follows_a_load_step_within_two_epochs_both_ways);
        tcase_add_test(one, load_is_held_while_throttled);
        tcase_add_test(one, load_is_held_while_short_on_a_full_host);
        tcase_add_test(one, a_held_load_does_not_hold_itself);
        tcase_add_test(one, throttling_below_five_percent_raises_nothing);
        tcase_add_test(one, throttling_raises_need_at_once_and_more_beyond_twenty_percent);
        tcase_add_test(one, fewer_than_ten_periods_say_nothing_of_throttling);
        tcase_add_test(one, a_sample_with_an_own_write_tells_nothing_of_throttling);
        tcase_add_test(one, what_was_throttled_before_an_own_write_counts);
        tcase_add_test(one, a_reading_before_a_write_is_nothing_without_one_before_it);
        tcase_add_test(one, stall_raises_need_only_above_the_own_baseline);
        tcase_add_test(one, no_value_of_stall_means_contention_where_it_is_usual);
        tcase_add_test(one, the_stall_baseline_rises_slowly_and_a_throttled_unit_teaches_it_nothing);
        tcase_add_test(one, stall_raises_need_by_at_most_fifteen_percent);
        tcase_add_test(one, stall_that_never_ends_stops_being_news);
        tcase_add_test(one, time_throttled_is_not_contention);
        tcase_add_test(one, counters_that_go_backwards_cost_one_interval);
        tcase_add_test(one, a_clock_that_stands_still_is_dropped);
        tcase_add_test(one, throttle_counters_that_start_again_cost_their_interval_only);
        tcase_add_test(one, without_bandwidth_and_pressure_keys_use_still_counts);
        tcase_add_test(one, too_few_samples_are_unknown_and_need_is_the_baseline);
        tcase_add_test(one, confidence_grows_with_epochs_and_falls_with_lost_samples);
        tcase_add_test(one, a_starting_service_has_its_grace_until_its_state_ends_it);
        tcase_add_test(one, need_stays_between_baseline_and_max);
        tcase_add_test(one, a_restart_keeps_the_load_but_not_the_confidence);
        tcase_add_test(one, a_peak_rises_at_once_and_decays_by_half_lives);
        tcase_add_test(one, unmanaged_load_is_what_two_epochs_have_in_common);
        tcase_add_test(one, an_interval_that_is_skipped_counts_for_nothing);
        tcase_add_test(one, every_reason_has_a_word_of_its_own);
        suite_add_tcase(s, one);

        tcase_add_test(above, what_merely_soaks_up_spare_cpu_is_elastic);
        tcase_add_test(above, who_is_called_works_for_who_waits_and_is_never_elastic);
        tcase_add_test(above, elastic_lasts_until_the_load_fits_or_a_tenth_of_the_host_idles);
        tcase_add_test(above, queueing_ends_elasticity);
        tcase_add_test(above, a_short_peak_above_the_allocation_is_not_soaking_up);
        tcase_add_test(above, queueing_proves_use_above_the_allocation_in_full);
        tcase_add_test(above, queueing_is_not_believed_for_ever);
        tcase_add_test(above, a_partition_that_throttles_is_proof);
        tcase_add_test(above, a_ceiling_parked_above_the_allocation_is_no_proof);
        tcase_add_test(above, use_of_what_was_lent_to_a_throttled_share_is_proof);
        tcase_add_test(above, the_recent_use_is_the_largest_of_the_last_samples);
        tcase_add_test(above, a_ceiling_that_is_the_maximum_leaves_idle_cpu_idle);
        tcase_add_test(above, a_belief_outlives_the_ceiling_that_hides_the_stall);
        tcase_add_test(above, one_busy_thread_on_a_host_with_idle_cpu_is_ordinary_demand);
        suite_add_tcase(s, above);

        tcase_add_test(closed, a_hog_beside_a_service_becomes_elastic_and_the_host_uncongested);
        tcase_add_test(closed, a_hog_that_comes_later_changes_nothing_for_the_service);
        tcase_add_test(closed, in_a_partition_a_hog_is_given_its_bargain_and_no_more);
        tcase_add_test(closed, two_equal_services_that_overload_a_host_are_treated_alike);
        tcase_add_test(closed, of_two_services_in_overload_the_weightier_is_served);
        tcase_add_test(closed, a_partition_settles_where_throttling_begins_instead_of_swinging);
        tcase_add_test(closed, use_to_ceiling_to_use_and_weight_to_stall_to_need_do_not_ratchet);
        tcase_add_test(closed, a_load_step_beside_a_hog_is_followed_within_two_epochs);
        tcase_add_test(closed, a_lone_batch_job_has_the_whole_host);
        suite_add_tcase(s, closed);
        return s;
}

int main(void)
{
        return testing_run(suite());
}
