/* SPDX-License-Identifier: MIT */

#include "core/enforce.h"
#include "core/guard.h"
#include "lib/testing.h"

#include <string.h>

#define N_MAX 8
#define NONE QUOTA_NONE_MILLI

/* ---- observing ------------------------------------------------------------------------------------ */

/* A unit whose counters are read every 200 ms. */
struct watch {
        struct guard_state g;
        uint64_t now_usec, nr_periods, nr_throttled;
};

static struct watch watch_new(void)
{
        struct watch w = { .now_usec = 5000000, .nr_periods = 100, .nr_throttled = 40 };

        ck_assert_int_eq(guard_observe(&w.g, w.now_usec, w.nr_periods, w.nr_throttled, false), GUARD_CALM);
        return w;
}

static enum guard_alarm look_after(struct watch *w, uint64_t usec, unsigned n_periods, unsigned n_throttled)
{
        w->now_usec += usec;
        w->nr_periods += n_periods;
        w->nr_throttled += n_throttled;
        return guard_observe(&w->g, w->now_usec, w->nr_periods, w->nr_throttled, false);
}

static enum guard_alarm poll(struct watch *w, unsigned n_periods, unsigned n_throttled)
{
        return look_after(w, GUARD_POLL_USEC, n_periods, n_throttled);
}

static void stay_calm(struct watch *w, unsigned n_polls)
{
        for (unsigned i = 0; i < n_polls; i++)
                ck_assert_int_eq(poll(w, 2, 0), GUARD_CALM);
}

START_TEST(the_first_reading_says_nothing)
{
        struct guard_state g = { 0 };

        ck_assert_int_eq(guard_observe(&g, 1000000, 5000, 5000, false), GUARD_CALM);
        ck_assert(!guard_may_lower(&g));
}
END_TEST

START_TEST(two_throttled_of_the_last_three_periods_are_an_alarm)
{
        struct watch w = watch_new();

        ck_assert_int_eq(poll(&w, 2, 2), GUARD_THROTTLED);
        ck_assert_int_eq(look_after(&w, 100000, 1, 0), GUARD_THROTTLED);
        ck_assert_int_eq(look_after(&w, 100000, 1, 0), GUARD_CALM);
        ck_assert_int_eq(look_after(&w, 100000, 1, 1), GUARD_SUSPECT);
        ck_assert_int_eq(look_after(&w, 100000, 1, 0), GUARD_CALM);
        ck_assert_int_eq(look_after(&w, 100000, 1, 1), GUARD_THROTTLED);
}
END_TEST

START_TEST(one_throttled_period_is_looked_at_again_until_the_next_has_ended)
{
        struct watch w = watch_new();

        ck_assert_int_eq(poll(&w, 2, 1), GUARD_SUSPECT);
        ck_assert_int_eq(look_after(&w, GUARD_RECHECK_USEC, 0, 0), GUARD_SUSPECT);
        ck_assert_int_eq(look_after(&w, GUARD_RECHECK_USEC, 1, 1), GUARD_THROTTLED);

        w = watch_new();
        ck_assert_int_eq(poll(&w, 2, 1), GUARD_SUSPECT);
        ck_assert_int_eq(look_after(&w, GUARD_RECHECK_USEC, 1, 0), GUARD_CALM);
}
END_TEST

START_TEST(of_several_new_periods_the_newest_are_taken_to_be_throttled)
{
        struct watch w = watch_new();

        ck_assert_int_eq(poll(&w, 8, 1), GUARD_SUSPECT);
        stay_calm(&w, 5);
        ck_assert_int_eq(poll(&w, 8, 2), GUARD_THROTTLED);
}
END_TEST

START_TEST(more_than_a_fifth_of_ten_periods_is_a_strong_alarm)
{
        struct watch w = watch_new();

        /* Ten periods have to be known first. */
        ck_assert_int_eq(poll(&w, 3, 3), GUARD_THROTTLED);
        ck_assert_int_eq(poll(&w, 6, 2), GUARD_THROTTLED);
        ck_assert_int_eq(poll(&w, 1, 1), GUARD_BADLY_THROTTLED);

        w = watch_new();
        stay_calm(&w, 5);
        ck_assert_int_eq(poll(&w, 2, 2), GUARD_THROTTLED);
        ck_assert_int_eq(look_after(&w, 100000, 1, 1), GUARD_BADLY_THROTTLED);
}
END_TEST

START_TEST(a_late_reading_tells_the_share_only)
{
        struct watch w = watch_new();

        ck_assert_int_eq(look_after(&w, 10000000, 100, 4), GUARD_CALM);
        ck_assert_int_eq(look_after(&w, 10000000, 100, 10), GUARD_SUSPECT);
        ck_assert_int_eq(look_after(&w, 10000000, 100, 20), GUARD_THROTTLED);
        ck_assert_int_eq(look_after(&w, 10000000, 100, 30), GUARD_BADLY_THROTTLED);
        ck_assert_int_eq(look_after(&w, 10000000, UINT32_MAX, 0), GUARD_CALM);
        /* More throttled than periods: no kernel says so. */
        ck_assert_int_eq(look_after(&w, 10000000, 100, 1000), GUARD_BADLY_THROTTLED);
}
END_TEST

START_TEST(a_sample_that_contains_an_own_write_says_nothing)
{
        struct watch w = watch_new();

        stay_calm(&w, 40);
        ck_assert(guard_may_lower(&w.g));
        ck_assert_int_eq(poll(&w, 2, 1), GUARD_SUSPECT);
        w.nr_periods += 2;
        w.nr_throttled += 2;
        ck_assert_int_eq(guard_observe(&w.g, w.now_usec += GUARD_POLL_USEC, w.nr_periods, w.nr_throttled, true),
                         GUARD_CALM);
        /* What was throttled before the write is no first of two. */
        ck_assert_int_eq(poll(&w, 2, 1), GUARD_SUSPECT);
}
END_TEST

START_TEST(an_own_write_ends_the_quiet_only_of_who_was_throttled_before_it)
{
        struct watch w = watch_new();

        stay_calm(&w, 26);
        ck_assert_int_eq(guard_observe(&w.g, w.now_usec += 1000, w.nr_periods, w.nr_throttled, true), GUARD_CALM);
        ck_assert(guard_may_lower(&w.g));
        stay_calm(&w, 25);
        ck_assert(guard_may_lower(&w.g));

        ck_assert_int_eq(poll(&w, 2, 1), GUARD_SUSPECT);
        ck_assert_int_eq(guard_observe(&w.g, w.now_usec += 1000, w.nr_periods, w.nr_throttled, true), GUARD_CALM);
        ck_assert(!guard_may_lower(&w.g));
}
END_TEST

START_TEST(counters_that_went_backwards_start_anew)
{
        struct watch w = watch_new();

        ck_assert_int_eq(poll(&w, 2, 1), GUARD_SUSPECT);
        w.nr_periods = 3;
        w.nr_throttled = 3;
        ck_assert_int_eq(poll(&w, 0, 0), GUARD_CALM);
        ck_assert_int_eq(poll(&w, 2, 1), GUARD_SUSPECT);
        ck_assert_int_eq(poll(&w, 2, 1), GUARD_THROTTLED);
        /* One alone is enough: both restart together. */
        w.nr_throttled = 0;
        ck_assert_int_eq(poll(&w, 2, 0), GUARD_CALM);
}
END_TEST

START_TEST(five_quiet_windows_of_ten_periods_allow_lowering)
{
        struct watch w = watch_new();

        stay_calm(&w, 24);
        ck_assert(!guard_may_lower(&w.g));
        stay_calm(&w, 1);
        ck_assert(guard_may_lower(&w.g));
        stay_calm(&w, 100);
        ck_assert(guard_may_lower(&w.g));
}
END_TEST

START_TEST(an_alarm_ends_the_quiet_at_once_and_one_throttled_period_with_its_window)
{
        struct watch w = watch_new();

        stay_calm(&w, 25);
        ck_assert_int_eq(poll(&w, 2, 1), GUARD_SUSPECT);
        ck_assert(guard_may_lower(&w.g));
        stay_calm(&w, 4);
        ck_assert(!guard_may_lower(&w.g));

        w = watch_new();
        stay_calm(&w, 25);
        ck_assert_int_eq(poll(&w, 2, 2), GUARD_THROTTLED);
        ck_assert(!guard_may_lower(&w.g));
}
END_TEST

START_TEST(one_throttled_period_in_twenty_is_quiet)
{
        struct watch w = watch_new();

        for (int i = 0; i < 5; i++) {
                ck_assert_int_eq(look_after(&w, 500000, 9, 0), GUARD_CALM);
                ck_assert_int_eq(look_after(&w, 100000, 1, 0), GUARD_CALM);
                ck_assert_int_eq(look_after(&w, 300000, 9, 0), GUARD_CALM);
                ck_assert_int_eq(look_after(&w, 100000, 1, 1), GUARD_SUSPECT);
        }
        ck_assert(guard_may_lower(&w.g));
}
END_TEST

START_TEST(a_second_without_periods_is_a_quiet_window)
{
        struct watch w = watch_new();

        for (int i = 0; i < 24; i++)
                ck_assert_int_eq(poll(&w, 0, 0), GUARD_CALM);
        ck_assert(!guard_may_lower(&w.g));
        ck_assert_int_eq(poll(&w, 0, 0), GUARD_CALM);
        ck_assert(guard_may_lower(&w.g));
}
END_TEST

START_TEST(a_unit_that_wakes_up_rarely_is_judged_on_what_it_ran)
{
        struct watch w = watch_new();

        /* Three periods every two seconds, never throttled. */
        for (int i = 0; i < 6; i++) {
                ck_assert_int_eq(look_after(&w, 1000000, 3, 0), GUARD_CALM);
                ck_assert_int_eq(look_after(&w, 1000000, 0, 0), GUARD_CALM);
        }
        ck_assert(guard_may_lower(&w.g));
        /* The first of them throttled: a third is not quiet. */
        ck_assert_int_eq(look_after(&w, 1000000, 1, 1), GUARD_SUSPECT);
        ck_assert_int_eq(look_after(&w, 200000, 2, 0), GUARD_CALM);
        ck_assert_int_eq(look_after(&w, 1000000, 0, 0), GUARD_CALM);
        ck_assert(!guard_may_lower(&w.g));
}
END_TEST

START_TEST(throttling_before_a_second_of_sleep_is_forgotten)
{
        struct watch w = watch_new();

        ck_assert_int_eq(poll(&w, 3, 2), GUARD_THROTTLED);
        ck_assert_int_eq(look_after(&w, 500000, 0, 0), GUARD_THROTTLED);
        ck_assert_int_eq(look_after(&w, 500000, 0, 0), GUARD_CALM);
        ck_assert_int_eq(poll(&w, 1, 1), GUARD_SUSPECT);
}
END_TEST

/* ---- planning ------------------------------------------------------------------------------------- */

/* Four CPUs of which 3600 are shared out. */
struct bench {
        struct guard_rules rules;
        struct guard_unit units[N_MAX];
        size_t n;
        int64_t quota[N_MAX];
};

static struct bench bench_new(enum enforce mode)
{
        return (struct bench) {
                .rules = { .mode = mode, .capacity_milli = 4000, .budget_milli = 3600 },
        };
}

/* As planned, in use to a quarter, and quiet for long. */
static struct guard_unit *add(struct bench *b, int64_t ceiling_milli)
{
        b->units[b->n] = (struct guard_unit) {
                .ceiling_milli = ceiling_milli,
                .planned_milli = ceiling_milli,
                .alloc_milli = ceiling_milli == NONE ? 1000 : ceiling_milli,
                .load_milli = ceiling_milli == NONE ? 300 : 0.3 * (double)ceiling_milli,
                .use_milli = ceiling_milli == NONE ? 250 : 0.25 * (double)ceiling_milli,
                .keep_milli = ceiling_milli == NONE ? 500 : 0.5 * (double)ceiling_milli,
                .max_milli = INFINITY,
                .may_write = true,
                .is_quiet = true,
        };
        return &b->units[b->n++];
}

static struct guard_unit *add_throttled(struct bench *b, int64_t ceiling_milli)
{
        struct guard_unit *u = add(b, ceiling_milli);

        u->alarm = GUARD_THROTTLED;
        u->use_milli = (double)ceiling_milli;
        u->keep_milli = 2.0 * (double)ceiling_milli;
        u->is_quiet = false;
        return u;
}

static void plans(struct bench *b, size_t n_raised)
{
        ck_assert_uint_eq(guard_plan(&b->rules, b->units, b->n, b->quota), n_raised);
}

static int64_t sum_after(const struct bench *b)
{
        int64_t sum = 0;

        for (size_t i = 0; i < b->n; i++) {
                int64_t ceiling = b->quota[i] >= 0 ? b->quota[i] : b->units[i].ceiling_milli;

                sum += ceiling == NONE ? 0 : ceiling;
        }
        return sum;
}

START_TEST(a_bound_is_raised_to_what_the_others_leave_now)
{
        struct bench b = bench_new(ENFORCE_BOTH);

        add_throttled(&b, 1000);
        add(&b, NONE)->use_milli = 620;         /* of the 1000 that it may have: half of it is left free */
        add(&b, 2000)->use_milli = 3000;        /* more than it may have: it is short */
        plans(&b, 1);
        ck_assert_int_eq(b.quota[0], 4000 - 310 - 2000);
        ck_assert_int_eq(b.quota[1], -1);
        ck_assert_int_eq(b.quota[2], -1);

        b.rules.headroom_milli = 100;
        plans(&b, 1);
        ck_assert_int_eq(b.quota[0], 4000 - 310 - 2000 - 100);
        b.units[0].max_milli = 1255;
        plans(&b, 1);
        ck_assert_int_eq(b.quota[0], 1250);
}
END_TEST

START_TEST(a_bound_is_not_raised_by_less_than_a_quarter)
{
        struct bench b = bench_new(ENFORCE_BOTH);

        add_throttled(&b, 1000);
        add(&b, NONE)->alloc_milli = 2750;
        b.units[1].load_milli = 5000;
        plans(&b, 1);
        ck_assert_int_eq(b.quota[0], 1250);
        b.units[1].alloc_milli = 2751;
        plans(&b, 0);
        ck_assert_int_eq(b.quota[0], -1);
}
END_TEST

START_TEST(several_bounds_are_raised_at_once)
{
        struct bench b = bench_new(ENFORCE_BOTH);

        add_throttled(&b, 500);
        add_throttled(&b, 500);
        plans(&b, 2);
        ck_assert_int_eq(b.quota[0], 3500);
        ck_assert_int_eq(b.quota[1], 3500);
}
END_TEST

/* The two of them look at the same host within the same seconds. */
START_TEST(a_bound_is_raised_to_what_the_epoch_would_make_it)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < 1000; k++) {
                struct bench b = bench_new(ENFORCE_BOTH);
                struct enforce_service services[4] = { 0 };
                struct enforce_setting settings[4];
                struct enforce_group root = { .parent = ENFORCE_NO_GROUP };
                struct enforce_level level;
                double weight[4];
                int64_t bound[4], share[4];
                size_t order[4];
                unsigned group_weight;
                struct enforce_scratch scratch = { order, weight, bound, share, &level };
                struct enforce_rules rules = { .mode = ENFORCE_BOTH, .capacity_milli = 4000, .reserve_milli = 400 };

                rules.headroom_milli = b.rules.headroom_milli = testing_random_double(&r, 0, 400);
                add_throttled(&b, 10);
                for (size_t i = 0; i < 4; i++) {
                        struct guard_unit *u = i == 0 ? b.units : add(&b, NONE);

                        u->alloc_milli = testing_random_int(&r, 0, 1000);
                        u->load_milli = i == 0 ? 2000 : testing_random_double(&r, 0, 1500);
                        u->use_milli = testing_random_double(&r, 0, u->load_milli);
                        services[i] = (struct enforce_service) {
                                .alloc_milli = u->alloc_milli,
                                .load_milli = u->load_milli,
                                .max_milli = INFINITY,
                                .has_use = true,
                                .use_milli = u->use_milli,
                        };
                }
                ck_assert_int_eq(enforce_settings(&rules, services, 4, &root, 1, &scratch, settings, &group_weight), 0);
                plans(&b, 1);
                /* The one rounds up, the other down. */
                ck_assert_int_le(settings[0].quota_milli - b.quota[0], QUOTA_STEP_MILLI);
                ck_assert_int_ge(settings[0].quota_milli, b.quota[0]);
        }
}
END_TEST

START_TEST(what_was_taken_back_is_raised_up_to_the_plan_alone)
{
        struct bench b = bench_new(ENFORCE_BOTH);

        add_throttled(&b, 1000)->was_recalled = true;
        plans(&b, 0);
        b.units[0].planned_milli = 1300;
        plans(&b, 1);
        ck_assert_int_eq(b.quota[0], 1300);

        b = bench_new(ENFORCE_QUOTA);
        add_throttled(&b, 1000)->was_recalled = true;
        add_throttled(&b, 1000);
        plans(&b, 1);
        ck_assert_int_eq(b.quota[0], -1);
        ck_assert_int_eq(b.quota[1], 1200);
        b.units[0].planned_milli = 1100;
        plans(&b, 2);
        ck_assert_int_eq(b.quota[0], 1100);
}
END_TEST

START_TEST(who_is_not_alarmed_or_may_not_be_written_is_not_raised)
{
        static const enum enforce modes[] = { ENFORCE_BOTH, ENFORCE_QUOTA, ENFORCE_WEIGHT };

        for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
                struct bench b = bench_new(modes[i]);

                add(&b, 100);
                add(&b, 100)->alarm = GUARD_SUSPECT;
                add_throttled(&b, 100)->may_write = false;
                add_throttled(&b, 100)->ceiling_milli = NONE;
                add_throttled(&b, 100)->max_milli = 100;
                plans(&b, 0);
                for (size_t k = 0; k < b.n; k++)
                        ck_assert_int_eq(b.quota[k], -1);
        }
}
END_TEST

START_TEST(weights_alone_have_nothing_to_guard)
{
        struct bench b = bench_new(ENFORCE_WEIGHT);

        add_throttled(&b, 100);
        plans(&b, 0);
        ck_assert_int_eq(b.quota[0], -1);
}
END_TEST

START_TEST(a_raise_is_a_fifth_and_a_strong_one_a_half)
{
        struct bench b = bench_new(ENFORCE_QUOTA);

        add_throttled(&b, 1000);
        add_throttled(&b, 1000)->alarm = GUARD_BADLY_THROTTLED;
        plans(&b, 2);
        ck_assert_int_eq(b.quota[0], 1200);
        ck_assert_int_eq(b.quota[1], 1500);

        /* In whole percents, one at least, and from one that is none. */
        b = bench_new(ENFORCE_QUOTA);
        add_throttled(&b, 10);
        add_throttled(&b, 333);
        add_throttled(&b, 1000)->max_milli = 1109;
        plans(&b, 3);
        ck_assert_int_eq(b.quota[0], 20);
        ck_assert_int_eq(b.quota[1], 400);
        ck_assert_int_eq(b.quota[2], 1100);
}
END_TEST

START_TEST(what_nobody_holds_is_shared_in_proportion_to_the_wishes)
{
        struct bench b = bench_new(ENFORCE_QUOTA);

        add_throttled(&b, 1000);
        add_throttled(&b, 2000);
        b.units[0].keep_milli = b.units[1].keep_milli = 0;
        plans(&b, 2);                           /* 600 wished for, 600 there */
        ck_assert_int_eq(b.quota[0], 1200);
        ck_assert_int_eq(b.quota[1], 2400);

        b.rules.budget_milli = 3300;
        plans(&b, 2);
        ck_assert_int_eq(b.quota[0], 1100);
        ck_assert_int_eq(b.quota[1], 2200);

        /* A raise of less than a twentieth is none. */
        b.rules.budget_milli = 3120;
        plans(&b, 0);
        ck_assert_int_eq(sum_after(&b), 3000);
        b.rules.budget_milli = 3000;
        plans(&b, 0);
}
END_TEST

START_TEST(what_is_in_force_counts_also_where_it_may_not_be_written)
{
        struct bench b = bench_new(ENFORCE_QUOTA);

        add_throttled(&b, 1000);
        add(&b, 2500)->may_write = false;
        add(&b, NONE)->may_write = false;
        plans(&b, 1);
        ck_assert_int_eq(b.quota[0], 1100);
        ck_assert_int_eq(b.quota[1], -1);
        ck_assert_int_eq(b.quota[2], -1);
}
END_TEST

START_TEST(quiet_units_lend_what_they_do_not_need_in_proportion_to_it)
{
        struct bench b = bench_new(ENFORCE_QUOTA);

        add_throttled(&b, 1000);                /* wishes for 200 more, has nobody's 100 */
        add(&b, 1000)->keep_milli = 400;
        add(&b, 1000)->keep_milli = 800;
        add(&b, 500)->keep_milli = 600;
        plans(&b, 1);
        ck_assert_int_eq(b.quota[0], 1200);
        ck_assert_int_eq(b.quota[1], 920);      /* 600 to spare */
        ck_assert_int_eq(b.quota[2], 980);      /* 200 to spare */
        ck_assert_int_eq(b.quota[3], -1);
        ck_assert_int_eq(sum_after(&b), 3600);

        /* They stop at what they keep. */
        b.units[0].alarm = GUARD_BADLY_THROTTLED;
        b.units[1].keep_milli = 815;
        b.units[2].keep_milli = 905;
        plans(&b, 1);
        ck_assert_int_eq(b.quota[0], 1000 + 100 + 180 + 90);
        ck_assert_int_eq(b.quota[1], 820);
        ck_assert_int_eq(b.quota[2], 910);
}
END_TEST

START_TEST(who_is_not_quiet_or_not_calm_lends_nothing)
{
        struct bench b = bench_new(ENFORCE_QUOTA);

        b.rules.budget_milli = 3000;
        add_throttled(&b, 1000);
        add(&b, 1000)->is_quiet = false;
        add(&b, 1000)->alarm = GUARD_SUSPECT;
        plans(&b, 0);
        ck_assert_int_eq(sum_after(&b), 3000);
}
END_TEST

START_TEST(what_was_lent_and_is_not_needed_is_taken_before_what_was_planned)
{
        struct bench b = bench_new(ENFORCE_QUOTA);

        b.rules.budget_milli = 3000;
        add_throttled(&b, 1000);
        add(&b, 1000)->planned_milli = 600;     /* 400 borrowed; keeps 500 */
        b.units[1].is_quiet = false;
        add(&b, 1000);
        plans(&b, 1);
        ck_assert_int_eq(b.quota[1], 800);
        ck_assert_int_eq(b.quota[2], -1);

        b.units[1].planned_milli = 900;
        plans(&b, 1);
        ck_assert_int_eq(b.quota[0], 1200);
        ck_assert_int_eq(b.quota[1], 900);
        ck_assert_int_eq(b.quota[2], 900);
}
END_TEST

START_TEST(who_is_below_its_plan_gets_back_what_a_throttled_unit_borrowed)
{
        struct bench b = bench_new(ENFORCE_QUOTA);

        b.rules.budget_milli = 2000;
        add_throttled(&b, 500)->planned_milli = 560;
        add_throttled(&b, 1500)->planned_milli = 1000;
        plans(&b, 1);
        ck_assert_int_eq(b.quota[0], 560);      /* up to its plan, not up to its wish */
        ck_assert_int_eq(b.quota[1], 1440);

        /* And the other way round: nobody is below its plan now. */
        b.units[0].ceiling_milli = 560;
        b.units[1].ceiling_milli = 1440;
        plans(&b, 0);

        /* Who borrowed gives no more than that. */
        b.units[0].ceiling_milli = 1000;
        b.units[0].planned_milli = 1400;
        b.units[1].ceiling_milli = 1000;
        b.units[1].planned_milli = 900;
        plans(&b, 1);
        ck_assert_int_eq(b.quota[0], 1100);
        ck_assert_int_eq(b.quota[1], 900);
}
END_TEST

START_TEST(what_is_due_comes_before_what_is_beyond_the_plan)
{
        struct bench b = bench_new(ENFORCE_QUOTA);

        b.rules.budget_milli = 2150;
        add_throttled(&b, 1000);
        add_throttled(&b, 1000)->planned_milli = 1500;
        plans(&b, 1);
        ck_assert_int_eq(b.quota[0], -1);
        ck_assert_int_eq(b.quota[1], 1150);
}
END_TEST

START_TEST(a_sum_that_is_beyond_the_budget_does_not_grow)
{
        struct bench b = bench_new(ENFORCE_QUOTA);

        b.rules.budget_milli = 1000;
        add_throttled(&b, 1000);
        add(&b, 1000);
        plans(&b, 1);
        ck_assert_int_eq(b.quota[0], 1200);
        ck_assert_int_eq(b.quota[1], 800);
}
END_TEST

START_TEST(a_unit_without_a_plan_neither_borrows_nor_is_due_anything)
{
        struct bench b = bench_new(ENFORCE_QUOTA);

        b.rules.budget_milli = 2000;
        add_throttled(&b, 500)->planned_milli = NONE;
        add_throttled(&b, 1500)->planned_milli = 1000;
        plans(&b, 0);
        b.units[0].planned_milli = 600;
        b.units[1].planned_milli = NONE;
        plans(&b, 0);
}
END_TEST

START_TEST(no_units_are_fine_and_numbers_beyond_any_host_do_no_harm)
{
        struct bench b = bench_new(ENFORCE_QUOTA);

        plans(&b, 0);
        add_throttled(&b, NONE - 1);
        add(&b, NONE - 1)->keep_milli = INFINITY;
        add_throttled(&b, 100)->planned_milli = NONE - 1;
        b.rules.budget_milli = INFINITY;
        guard_plan(&b.rules, b.units, b.n, b.quota);
        ck_assert_int_eq(b.quota[0], -1);
        ck_assert_int_eq(b.quota[1], -1);
}
END_TEST

START_TEST(a_unit_keeps_twice_its_use_or_less_with_burst_but_always_what_it_was_promised)
{
        ck_assert_double_eq(guard_keep_milli(0, 0, 500, false), 1000);
        ck_assert_double_eq(guard_keep_milli(0, 0, 500, true), 700);
        ck_assert_double_eq(guard_keep_milli(1200, 0, 500, false), 1200);
        ck_assert_double_eq(guard_keep_milli(200, 1300, 500, false), 1300);
}
END_TEST

/* ---- what became of raises ------------------------------------------------------------------------ */

static struct guard_memory recalled(double use_milli)
{
        struct guard_memory m = { 0 };

        guard_note_raise(&m, 400, 500);
        guard_note_raise(&m, 500, 600);
        guard_note_lowering(&m, 600, 420, use_milli);
        return m;
}

START_TEST(a_raise_that_an_epoch_took_back_is_not_repeated_while_as_much_is_used)
{
        struct guard_memory m = recalled(600);

        /* A job: it used all of it, and does so again. */
        ck_assert(guard_was_recalled(&m, 420, 420));
        for (int i = 0; i < 100; i++) {
                guard_note_alarm(&m);
                guard_note_epoch(&m);
        }
        ck_assert(guard_was_recalled(&m, 420, 420));

        /* A peak of 100 ms: a step of its load is another matter. */
        m = recalled(300);
        ck_assert(guard_was_recalled(&m, 420, 300));
        ck_assert(!guard_was_recalled(&m, 420, 400));
}
END_TEST

START_TEST(four_epochs_without_an_alarm_let_a_recall_be_forgotten)
{
        struct guard_memory m = recalled(600);

        for (int i = 0; i < 3; i++)
                guard_note_epoch(&m);
        ck_assert(guard_was_recalled(&m, 420, 420));
        guard_note_alarm(&m);
        for (int i = 0; i < 4; i++)
                guard_note_epoch(&m);
        ck_assert(guard_was_recalled(&m, 420, 420));
        guard_note_epoch(&m);
        ck_assert(!guard_was_recalled(&m, 420, 420));
}
END_TEST

START_TEST(a_raise_of_which_an_epoch_leaves_most_was_not_taken_back)
{
        struct guard_memory m = { 0 };

        guard_note_raise(&m, 400, 500);
        guard_note_raise(&m, 500, 600);
        guard_note_lowering(&m, 600, 510, 600);
        ck_assert(!guard_was_recalled(&m, 510, 510));
        /* What is lowered later is no raise any more. */
        guard_note_lowering(&m, 510, 100, 600);
        ck_assert(!guard_was_recalled(&m, 100, 100));
        guard_note_raise(&m, 140, 150);
        guard_note_lowering(&m, 150, 140, 150);
        ck_assert(guard_was_recalled(&m, 140, 140));
}
END_TEST

START_TEST(every_alarm_has_a_name)
{
        for (enum guard_alarm a = GUARD_CALM; a < _GUARD_ALARM_MAX; a++)
                ck_assert_str_ne(guard_alarm_to_string(a), "unknown");
        ck_assert_str_eq(guard_alarm_to_string(_GUARD_ALARM_MAX), "unknown");
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("guard");
        TCase *observing = tcase_create("observing"), *bounds = tcase_create("bounds");
        TCase *partition = tcase_create("partition");

        tcase_add_test(observing, the_first_reading_says_nothing);
        tcase_add_test(observing, two_throttled_of_the_last_three_periods_are_an_alarm);
        tcase_add_test(observing, one_throttled_period_is_looked_at_again_until_the_next_has_ended);
        tcase_add_test(observing, of_several_new_periods_the_newest_are_taken_to_be_throttled);
        tcase_add_test(observing, more_than_a_fifth_of_ten_periods_is_a_strong_alarm);
        tcase_add_test(observing, a_late_reading_tells_the_share_only);
        tcase_add_test(observing, a_sample_that_contains_an_own_write_says_nothing);
        tcase_add_test(observing, an_own_write_ends_the_quiet_only_of_who_was_throttled_before_it);
        tcase_add_test(observing, counters_that_went_backwards_start_anew);
        tcase_add_test(observing, five_quiet_windows_of_ten_periods_allow_lowering);
        tcase_add_test(observing, an_alarm_ends_the_quiet_at_once_and_one_throttled_period_with_its_window);
        tcase_add_test(observing, one_throttled_period_in_twenty_is_quiet);
        tcase_add_test(observing, a_second_without_periods_is_a_quiet_window);
        tcase_add_test(observing, a_unit_that_wakes_up_rarely_is_judged_on_what_it_ran);
        tcase_add_test(observing, throttling_before_a_second_of_sleep_is_forgotten);
        tcase_add_test(observing, every_alarm_has_a_name);
        tcase_add_test(observing, a_raise_that_an_epoch_took_back_is_not_repeated_while_as_much_is_used);
        tcase_add_test(observing, four_epochs_without_an_alarm_let_a_recall_be_forgotten);
        tcase_add_test(observing, a_raise_of_which_an_epoch_leaves_most_was_not_taken_back);
        suite_add_tcase(s, observing);

        tcase_add_test(bounds, a_bound_is_raised_to_what_the_others_leave_now);
        tcase_add_test(bounds, a_bound_is_not_raised_by_less_than_a_quarter);
        tcase_add_test(bounds, several_bounds_are_raised_at_once);
        tcase_add_test(bounds, a_bound_is_raised_to_what_the_epoch_would_make_it);
        tcase_add_test(bounds, what_was_taken_back_is_raised_up_to_the_plan_alone);
        tcase_add_test(bounds, who_is_not_alarmed_or_may_not_be_written_is_not_raised);
        tcase_add_test(bounds, weights_alone_have_nothing_to_guard);
        suite_add_tcase(s, bounds);

        tcase_add_test(partition, a_raise_is_a_fifth_and_a_strong_one_a_half);
        tcase_add_test(partition, what_nobody_holds_is_shared_in_proportion_to_the_wishes);
        tcase_add_test(partition, what_is_in_force_counts_also_where_it_may_not_be_written);
        tcase_add_test(partition, quiet_units_lend_what_they_do_not_need_in_proportion_to_it);
        tcase_add_test(partition, who_is_not_quiet_or_not_calm_lends_nothing);
        tcase_add_test(partition, what_was_lent_and_is_not_needed_is_taken_before_what_was_planned);
        tcase_add_test(partition, who_is_below_its_plan_gets_back_what_a_throttled_unit_borrowed);
        tcase_add_test(partition, what_is_due_comes_before_what_is_beyond_the_plan);
        tcase_add_test(partition, a_sum_that_is_beyond_the_budget_does_not_grow);
        tcase_add_test(partition, a_unit_without_a_plan_neither_borrows_nor_is_due_anything);
        tcase_add_test(partition, no_units_are_fine_and_numbers_beyond_any_host_do_no_harm);
        tcase_add_test(partition, a_unit_keeps_twice_its_use_or_less_with_burst_but_always_what_it_was_promised);
        suite_add_tcase(s, partition);
        return s;
}

int main(void)
{
        return testing_run(suite());
}
