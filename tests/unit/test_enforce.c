/* SPDX-License-Identifier: MIT */

#include "core/enforce.h"
#include "lib/testing.h"

#include <errno.h>

#define N_MAX 8
#define NONE QUOTA_NONE_MILLI

/* A host of four CPUs, ten percent reserved, every service in the root. */
struct bench {
        struct enforce_rules rules;
        struct enforce_service services[N_MAX];
        struct enforce_group groups[N_MAX];
        size_t n, n_groups;
        struct enforce_setting settings[N_MAX];
        unsigned group_weights[N_MAX];
};

static struct bench bench_new(enum enforce mode)
{
        return (struct bench) {
                .rules = { .mode = mode, .capacity_milli = 4000, .bargained_milli = 3600,
                           .reserve_milli = 400 },
                .groups = { { .parent = ENFORCE_NO_GROUP } },
                .n_groups = 1,
        };
}

static struct enforce_service *add(struct bench *b, int64_t alloc_milli, double load_milli)
{
        b->services[b->n] = (struct enforce_service) {
                .alloc_milli = alloc_milli,
                .load_milli = load_milli,
                .max_milli = INFINITY,
                .path_cover = INFINITY,
        };
        return &b->services[b->n++];
}

static void uses(struct enforce_service *s, double use_milli)
{
        s->has_use = true;
        s->use_milli = use_milli;
}

static size_t add_group(struct bench *b, size_t parent)
{
        b->groups[b->n_groups] = (struct enforce_group) { .parent = parent, .may_change = true };
        return b->n_groups++;
}

static int settle(struct bench *b)
{
        size_t order[N_MAX];
        double weight[N_MAX];
        struct enforce_level levels[N_MAX];
        int64_t bound[N_MAX], share[N_MAX];
        struct enforce_scratch scratch = { order, weight, bound, share, levels };

        return enforce_settings(&b->rules, b->services, b->n, b->groups, b->n_groups, &scratch,
                                b->settings, b->group_weights);
}

static void settles(struct bench *b)
{
        ck_assert_int_eq(settle(b), 0);
}

static int64_t sum_of_quotas(const struct bench *b)
{
        int64_t sum = 0;

        for (size_t i = 0; i < b->n; i++)
                sum += b->settings[i].quota_milli;
        return sum;
}

/* ---- satisfied and short -------------------------------------------------------------------------- */

START_TEST(satisfied_is_judged_on_load_with_a_millionth_of_slack)
{
        ck_assert(enforce_is_satisfied(1000, 1000));
        ck_assert(enforce_is_satisfied(1000, 1000.0009));
        ck_assert(!enforce_is_satisfied(1000, 1000.0011));
        ck_assert(enforce_is_satisfied(0, 0));
        ck_assert(!enforce_is_satisfied(0, 1));
}
END_TEST

START_TEST(a_satisfied_service_has_its_max_as_only_ceiling)
{
        struct bench b = bench_new(ENFORCE_BOTH);

        add(&b, 800, 700);
        add(&b, 500, 500)->max_milli = 1234;
        add(&b, 900, 2000);
        settles(&b);
        ck_assert(b.settings[0].is_satisfied);
        ck_assert_int_eq(b.settings[0].quota_milli, NONE);
        ck_assert_int_eq(b.settings[1].quota_milli, 1230);      /* Max= rounds down */
}
END_TEST

START_TEST(a_short_service_is_bounded_by_what_the_others_leave)
{
        struct bench b = bench_new(ENFORCE_BOTH);

        add(&b, 800, 700);      /* takes 700 */
        add(&b, 900, 2000);     /* short: 4000 - 700 - 600 = 2700 */
        add(&b, 600, 1000);     /* short: 4000 - 700 - 900 = 2400 */
        settles(&b);
        ck_assert(!b.settings[1].is_satisfied);
        ck_assert_int_eq(b.settings[1].quota_milli, 2700);
        ck_assert_int_eq(b.settings[2].quota_milli, 2400);

        b.rules.headroom_milli = 255;
        settles(&b);
        ck_assert_int_eq(b.settings[1].quota_milli, 2450);      /* 2445, in whole percents, up */
        ck_assert_int_eq(b.settings[0].quota_milli, NONE);

        b.services[1].max_milli = 1500;
        settles(&b);
        ck_assert_int_eq(b.settings[1].quota_milli, 1500);
}
END_TEST

START_TEST(a_ceiling_leaves_half_the_mean_use_of_who_is_satisfied_and_the_load_of_who_is_short)
{
        struct bench b = bench_new(ENFORCE_BOTH);

        uses(add(&b, 800, 700), 500);
        uses(add(&b, 900, 2000), 300);
        add(&b, 600, 1000);
        settles(&b);
        ck_assert_int_eq(b.settings[1].quota_milli, 4000 - 250 - 600);
        ck_assert_int_eq(b.settings[2].quota_milli, 4000 - 250 - 900);
        /* Who uses nothing leaves all; it is not unknown. */
        b.services[0].use_milli = 0;
        settles(&b);
        ck_assert_int_eq(b.settings[1].quota_milli, 4000 - 600);
        /* More than its load is noise of sampling. */
        b.services[0].use_milli = 5000;
        settles(&b);
        ck_assert_int_eq(b.settings[1].quota_milli, 4000 - 350 - 600);
}
END_TEST

START_TEST(a_ceiling_stays_where_it_is_for_small_changes_of_the_others_use)
{
        struct bench b = bench_new(ENFORCE_BOTH);
        struct enforce_service *s = add(&b, 900, 2000);

        uses(add(&b, 1200, 1100), 1000);
        s->ceiling_milli = 3200;                /* 3500 now: 9 % more */
        settles(&b);
        ck_assert_int_eq(b.settings[0].quota_milli, 3200);
        s->ceiling_milli = 3100;                /* 13 % more */
        settles(&b);
        ck_assert_int_eq(b.settings[0].quota_milli, 3500);
        s->ceiling_milli = QUOTA_NONE_MILLI;
        settles(&b);
        ck_assert_int_eq(b.settings[0].quota_milli, 3500);
        /* Never below the allocation, nor above Max=. */
        s->alloc_milli = 3490;
        s->load_milli = 4000;
        s->ceiling_milli = 3480;
        settles(&b);
        ck_assert_int_ge(b.settings[0].quota_milli, 3490);
        s->max_milli = 3000;
        s->alloc_milli = 900;
        s->ceiling_milli = 3500;
        settles(&b);
        ck_assert_int_eq(b.settings[0].quota_milli, 3000);
}
END_TEST

START_TEST(a_ceiling_is_never_below_the_allocation)
{
        struct bench b = bench_new(ENFORCE_BOTH);

        b.rules.headroom_milli = 4000;
        add(&b, 2000, 3000);
        add(&b, 1601, 1700);
        settles(&b);
        ck_assert_int_eq(b.settings[0].quota_milli, 2000);
        ck_assert_int_eq(b.settings[1].quota_milli, 1610);
}
END_TEST

START_TEST(who_had_no_ceiling_gets_one_only_when_clearly_short)
{
        struct bench b = bench_new(ENFORCE_BOTH);
        struct enforce_service *s = add(&b, 900, 950);

        add(&b, 700, 500);
        settles(&b);
        ck_assert_int_eq(b.settings[0].quota_milli, 3500);
        ck_assert(!b.settings[0].is_unbounded);

        s->was_unbounded = true;
        settles(&b);
        ck_assert_int_eq(b.settings[0].quota_milli, QUOTA_NONE_MILLI);
        ck_assert(b.settings[0].is_unbounded);
        ck_assert(!b.settings[0].is_satisfied);
        s->max_milli = 1200;
        settles(&b);
        ck_assert_int_eq(b.settings[0].quota_milli, 1200);

        s->load_milli = 900 / ENFORCE_BOUND_BELOW + 1;
        s->max_milli = INFINITY;
        settles(&b);
        ck_assert_int_eq(b.settings[0].quota_milli, 3500);
        ck_assert(!b.settings[0].is_unbounded);

        /* And what it has got it keeps until it is satisfied. */
        s->was_unbounded = false;
        s->load_milli = 901;
        settles(&b);
        ck_assert_int_eq(b.settings[0].quota_milli, 3500);
        s->load_milli = 900;
        settles(&b);
        ck_assert_int_eq(b.settings[0].quota_milli, QUOTA_NONE_MILLI);
}
END_TEST

START_TEST(nobody_short_means_no_ceilings)
{
        struct bench b = bench_new(ENFORCE_BOTH);

        add(&b, 1200, 1000);
        add(&b, 2400, 2100);
        add(&b, 0, 0);
        settles(&b);
        for (size_t i = 0; i < b.n; i++)
                ck_assert_int_eq(b.settings[i].quota_milli, NONE);
}
END_TEST

START_TEST(a_lone_batch_job_may_use_the_whole_host)
{
        struct bench b = bench_new(ENFORCE_BOTH);

        add(&b, 3600, 4000);
        settles(&b);
        ck_assert(!b.settings[0].is_satisfied);
        ck_assert_int_eq(b.settings[0].quota_milli, 4000);
}
END_TEST

/* ---- weights -------------------------------------------------------------------------------------- */

START_TEST(weights_are_shares_of_the_mean_times_phi)
{
        struct bench b = bench_new(ENFORCE_WEIGHT);

        add(&b, 600, 2000);     /* short, phi 1; mean x is 1200 */
        add(&b, 1800, 2000);    /* at 0.9 still 1 */
        add(&b, 1200, 1200);    /* satisfied: 10 */
        settles(&b);
        ck_assert_uint_eq(b.settings[0].cpu_weight, 50);
        ck_assert_uint_eq(b.settings[1].cpu_weight, 150);
        ck_assert_uint_eq(b.settings[2].cpu_weight, 1000);
        for (size_t i = 0; i < b.n; i++)
                ck_assert_int_eq(b.settings[i].quota_milli, NONE);
        ck_assert_uint_eq(b.group_weights[0], 0);
}
END_TEST

START_TEST(phi_climbs_from_one_to_ten_without_a_jump)
{
        unsigned before = 0;

        /* Of two equal allocations the weight is 100 phi. */
        for (int load = 1300; load >= 900; load--) {
                struct bench b = bench_new(ENFORCE_WEIGHT);
                unsigned w;

                add(&b, 1000, load);
                add(&b, 1000, 5000);
                settles(&b);
                w = b.settings[0].cpu_weight;
                if (load > 1112)
                        ck_assert_uint_eq(w, 100);
                if (load <= 1000)
                        ck_assert_uint_eq(w, 1000);
                if (before > 0) {
                        ck_assert_uint_ge(w, before);
                        ck_assert_uint_le(w - before, 10);      /* 90 an hundredth of x / load */
                }
                before = w;
        }
        {
                struct bench b = bench_new(ENFORCE_WEIGHT);

                add(&b, 950, 1000);     /* half of the ramp: 5.5; mean 975 */
                add(&b, 1000, 5000);
                settles(&b);
                ck_assert_uint_eq(b.settings[0].cpu_weight, 536);
                ck_assert_uint_eq(b.settings[1].cpu_weight, 103);
        }
}
END_TEST

START_TEST(who_is_covered_on_a_short_path_is_protected_no_better_than_the_path)
{
        struct bench b = bench_new(ENFORCE_WEIGHT);

        add(&b, 1000, 900);
        add(&b, 1000, 900)->path_cover = 0.5;
        add(&b, 1000, 900)->path_cover = 0.95;
        add(&b, 1000, 900)->path_cover = 1.2;
        add(&b, 1000, 2000)->path_cover = 0.95; /* no path is better served than its shortest */
        settles(&b);
        ck_assert_uint_eq(b.settings[0].cpu_weight, 1000);
        ck_assert_uint_eq(b.settings[1].cpu_weight, 100);
        ck_assert_uint_eq(b.settings[2].cpu_weight, 550);
        ck_assert_uint_eq(b.settings[3].cpu_weight, 1000);
        ck_assert_uint_eq(b.settings[4].cpu_weight, 100);
        ck_assert(b.settings[1].is_satisfied);
}
END_TEST

START_TEST(weights_stay_within_what_the_kernel_takes)
{
        struct bench b = bench_new(ENFORCE_WEIGHT);

        add(&b, 0, 0);
        add(&b, 3600, 100);
        for (int i = 0; i < 6; i++)
                add(&b, 0, 500);
        settles(&b);
        ck_assert_uint_eq(b.settings[0].cpu_weight, 1);
        ck_assert_uint_eq(b.settings[1].cpu_weight, 8000);      /* 100 * 8 * 10 */
        ck_assert_uint_eq(b.settings[2].cpu_weight, 1);

        b = bench_new(ENFORCE_WEIGHT);
        add(&b, 0, 0);
        settles(&b);
        ck_assert_uint_eq(b.settings[0].cpu_weight, 1);
}
END_TEST

START_TEST(busy_unmanaged_siblings_do_not_dilute_an_allocation)
{
        struct bench b = bench_new(ENFORCE_WEIGHT);

        /* Three unmanaged siblings of weight 100 are busy; 400 milli are reserved for them. */
        b.groups[0].busy_unmanaged_weight = 300;
        add(&b, 600, 2000);
        add(&b, 1200, 2000);
        settles(&b);
        ck_assert_uint_eq(b.settings[0].cpu_weight, 450);       /* 300 * 600 / 400 */
        ck_assert_uint_eq(b.settings[1].cpu_weight, 900);

        b.groups[0].busy_unmanaged_weight = 10;                 /* too light to matter */
        settles(&b);
        ck_assert_uint_eq(b.settings[0].cpu_weight, 67);
        ck_assert_uint_eq(b.settings[1].cpu_weight, 133);

        b.groups[0].busy_unmanaged_weight = 300;
        b.rules.reserve_milli = 0;                              /* nothing was promised to them */
        settles(&b);
        ck_assert_uint_eq(b.settings[0].cpu_weight, 67);
}
END_TEST

START_TEST(what_a_slice_claims_for_those_served_first_takes_no_more_of_the_reserve)
{
        struct bench b = bench_new(ENFORCE_WEIGHT);
        size_t shop = add_group(&b, 0);

        /* shop: 500 come first and 100 are short, so it claims 5100 for 600. As two to the reserve's one it could
         * take all of that while only the short run. */
        b.rules.reserve_milli = 400;
        b.groups[0].busy_unmanaged_weight = 300;
        add(&b, 500, 400)->group = shop;
        add(&b, 100, 2000)->group = shop;
        settles(&b);
        ck_assert_uint_eq(b.group_weights[shop], 850);          /* 100, the mean, times 5100 / 600 */
        b.groups[0].busy_unmanaged_weight = 2000;
        settles(&b);
        ck_assert_uint_eq(b.group_weights[shop], 3000);         /* 2000 * 600 / 400, and no more */
        add(&b, 100, 2000);                                     /* short, beside shop: as much for its 100 */
        settles(&b);
        ck_assert_uint_eq(b.settings[2].cpu_weight, 500);
}
END_TEST

START_TEST(siblings_keep_their_lead_over_a_slice_that_keeps_its_weight)
{
        struct bench b = bench_new(ENFORCE_WEIGHT);
        size_t shop = add_group(&b, 0), inner = add_group(&b, shop), other = add_group(&b, shop);

        b.groups[inner].prior_weight = b.groups[other].prior_weight = 100;
        add(&b, 500, 400)->group = inner;
        add(&b, 20, 2000)->group = other;
        settles(&b);
        ck_assert_uint_eq(b.group_weights[other], 100);         /* its claim would be 8 */
        ck_assert_uint_eq(b.group_weights[inner], 10000);       /* 250 times that is more than there is */
        b.services[1].alloc_milli = 100;
        settles(&b);
        ck_assert_uint_eq(b.group_weights[inner], 5000);
        b.groups[shop].busy_unmanaged_weight = 100;             /* not over others' heads */
        settles(&b);
        ck_assert_uint_eq(b.group_weights[inner], 1667);
        b.groups[shop].busy_unmanaged_weight = 0;
        b.groups[other].may_change = false;                     /* whose weight is not ours to keep */
        settles(&b);
        ck_assert_uint_eq(b.group_weights[inner], 1667);
}
END_TEST

START_TEST(weights_are_computed_level_by_level)
{
        struct bench b = bench_new(ENFORCE_WEIGHT);
        size_t shop = add_group(&b, 0), inner = add_group(&b, shop);

        add(&b, 600, 2000);                     /* in the root, beside shop.slice */
        add(&b, 900, 2000)->group = shop;
        add(&b, 100, 2000)->group = inner;
        add(&b, 200, 2000)->group = inner;
        settles(&b);
        /* root: 600 and shop's 1200, mean 900; shop: 900 and inner's 300, mean 600; inner: mean 150 */
        ck_assert_uint_eq(b.settings[0].cpu_weight, 67);
        ck_assert_uint_eq(b.group_weights[shop], 133);
        ck_assert_uint_eq(b.settings[1].cpu_weight, 150);
        ck_assert_uint_eq(b.group_weights[inner], 50);
        ck_assert_uint_eq(b.settings[2].cpu_weight, 67);
        ck_assert_uint_eq(b.settings[3].cpu_weight, 133);
        ck_assert_uint_eq(b.group_weights[0], 0);
}
END_TEST

START_TEST(a_satisfied_member_lifts_the_slice_that_holds_it)
{
        struct bench b = bench_new(ENFORCE_WEIGHT);
        size_t shop = add_group(&b, 0);

        add(&b, 1000, 3000);                    /* the hog, claim 1000 */
        add(&b, 400, 300)->group = shop;        /* claim 4000 */
        add(&b, 600, 3000)->group = shop;       /* claim 600 */
        settles(&b);
        ck_assert_uint_eq(b.settings[0].cpu_weight, 100);
        ck_assert_uint_eq(b.group_weights[shop], 460);
        ck_assert_uint_eq(b.settings[1].cpu_weight, 800);
        ck_assert_uint_eq(b.settings[2].cpu_weight, 120);
}
END_TEST

START_TEST(a_slice_is_never_lowered_below_what_it_had)
{
        struct bench b = bench_new(ENFORCE_WEIGHT);
        size_t small = add_group(&b, 0), large = add_group(&b, 0);

        b.groups[small].prior_weight = 80;
        b.groups[large].prior_weight = 80;
        add(&b, 100, 2000)->group = small;
        add(&b, 1900, 5000)->group = large;
        settles(&b);
        ck_assert_uint_eq(b.group_weights[small], 80);          /* would be 10 */
        ck_assert_uint_eq(b.group_weights[large], 1520);        /* 19 times as much, not 190 */
}
END_TEST

START_TEST(a_slice_that_may_not_change_is_left_alone)
{
        struct bench b = bench_new(ENFORCE_WEIGHT);
        size_t system = add_group(&b, 0);

        b.groups[system].may_change = false;
        add(&b, 100, 2000)->group = system;
        add(&b, 900, 2000);
        settles(&b);
        ck_assert_uint_eq(b.group_weights[system], 0);
        ck_assert_uint_eq(b.settings[0].cpu_weight, 100);
        ck_assert_uint_eq(b.settings[1].cpu_weight, 180);
}
END_TEST

START_TEST(mode_both_weighs_as_mode_weight_does_and_mode_quota_does_not)
{
        struct bench weight = bench_new(ENFORCE_WEIGHT), both, quota;
        size_t shop = add_group(&weight, 0);

        add(&weight, 900, 2000)->group = shop;
        add(&weight, 1100, 1000);
        both = quota = weight;
        both.rules.mode = ENFORCE_BOTH;
        quota.rules.mode = ENFORCE_QUOTA;
        settles(&weight);
        settles(&both);
        settles(&quota);
        for (size_t i = 0; i < 2; i++) {
                ck_assert_uint_eq(both.settings[i].cpu_weight, weight.settings[i].cpu_weight);
                ck_assert_uint_eq(both.group_weights[i], weight.group_weights[i]);
                ck_assert_uint_eq(quota.settings[i].cpu_weight, 0);
                ck_assert_uint_eq(quota.group_weights[i], 0);
        }
}
END_TEST

/* ---- quotas as a partition ------------------------------------------------------------------------ */

START_TEST(a_partition_hands_out_whole_percents_and_keeps_the_sum)
{
        struct bench b = bench_new(ENFORCE_QUOTA);

        add(&b, 1204, 0);
        add(&b, 1204, 0);
        add(&b, 1192, 0);
        settles(&b);
        ck_assert_int_eq(sum_of_quotas(&b), 3600);
        for (size_t i = 0; i < b.n; i++) {
                ck_assert_int_eq(b.settings[i].quota_milli % 10, 0);
                ck_assert_int_le(llabs(b.settings[i].quota_milli - b.services[i].alloc_milli), 10);
        }
}
END_TEST

START_TEST(a_partition_rounds_promises_up)
{
        struct bench b = bench_new(ENFORCE_QUOTA);

        add(&b, 405, 0)->protected_milli = 401;
        add(&b, 405, 0)->protected_milli = 402;
        add(&b, 2790, 0);
        settles(&b);
        ck_assert_int_eq(b.settings[0].quota_milli, 410);
        ck_assert_int_eq(b.settings[1].quota_milli, 410);
        ck_assert_int_eq(b.settings[2].quota_milli, 2780);

        /* No room to round up: then down, but the sum stays. */
        b.n = 2;
        b.services[0].alloc_milli = b.services[1].alloc_milli = 402;
        settles(&b);
        ck_assert_int_eq(sum_of_quotas(&b), 800);
}
END_TEST

START_TEST(a_partition_respects_max_even_where_it_is_no_whole_percent)
{
        struct bench b = bench_new(ENFORCE_QUOTA);
        struct enforce_service *s = add(&b, 155, 0);

        s->protected_milli = 153;
        s->max_milli = 155;
        add(&b, 1000, 0);
        settles(&b);
        ck_assert_int_eq(b.settings[0].quota_milli, 150);
        ck_assert_int_le(b.settings[1].quota_milli, 1000);
}
END_TEST

START_TEST(everybody_has_at_least_one_percent)
{
        struct bench b = bench_new(ENFORCE_QUOTA);

        add(&b, 0, 0);
        add(&b, 3, 0);
        add(&b, 3597, 0);
        settles(&b);
        ck_assert_int_eq(b.settings[0].quota_milli, 10);
        ck_assert_int_eq(b.settings[1].quota_milli, 10);
        ck_assert_int_eq(b.settings[2].quota_milli, 3580);
}
END_TEST

START_TEST(idle_services_without_an_allocation_still_fit_the_partition)
{
        struct bench b = bench_new(ENFORCE_QUOTA);

        for (int i = 0; i < 5; i++)
                add(&b, 0, 0);
        settles(&b);
        for (size_t i = 0; i < b.n; i++)
                ck_assert_int_eq(b.settings[i].quota_milli, 10);
}
END_TEST

START_TEST(more_services_than_percents_are_refused)
{
        struct bench b = bench_new(ENFORCE_QUOTA);

        b.rules.bargained_milli = 49;
        for (int i = 0; i < 4; i++)
                add(&b, 12, 0);
        settles(&b);
        add(&b, 1, 0);
        ck_assert_int_eq(settle(&b), -ENOSPC);
        b.rules.mode = ENFORCE_BOTH;
        ck_assert_int_eq(settle(&b), 0);
}
END_TEST

START_TEST(allocations_beyond_what_was_bargained_are_cut_in_a_partition)
{
        struct bench b = bench_new(ENFORCE_QUOTA);

        add(&b, 3000, 0);
        add(&b, 3000, 0);
        settles(&b);
        ck_assert_int_eq(sum_of_quotas(&b), 3600);
}
END_TEST

START_TEST(input_that_makes_no_sense_is_refused)
{
        struct bench good = bench_new(ENFORCE_BOTH), b;

        add(&good, 100, 100);
        (void)add_group(&good, 0);
        settles(&good);
#define REFUSED(assignment)                                                                        \
        do {                                                                                       \
                b = good;                                                                          \
                b.assignment;                                                                      \
                ck_assert_int_eq(settle(&b), -EINVAL);                                             \
        } while (0)
        REFUSED(rules.capacity_milli = NAN);
        REFUSED(rules.capacity_milli = -1);
        REFUSED(rules.bargained_milli = INFINITY);
        REFUSED(rules.reserve_milli = -1);
        REFUSED(rules.headroom_milli = NAN);
        REFUSED(services[0].alloc_milli = -1);
        REFUSED(services[0].load_milli = NAN);
        REFUSED(services[0].load_milli = -1);
        REFUSED(services[0].protected_milli = NAN);
        REFUSED(services[0].max_milli = 0);
        REFUSED(services[0].path_cover = NAN);
        REFUSED(services[0].path_cover = -1);
        REFUSED(services[0].group = 2);
        REFUSED(n_groups = 0);
        REFUSED(groups[0].parent = 0);
        REFUSED(groups[1].parent = 1);
        REFUSED(groups[1].parent = ENFORCE_NO_GROUP);
        REFUSED(groups[1].busy_unmanaged_weight = NAN);
#undef REFUSED
}
END_TEST

START_TEST(no_services_are_fine)
{
        static const enum enforce modes[] = { ENFORCE_BOTH, ENFORCE_QUOTA, ENFORCE_WEIGHT };

        for (int i = 0; i < 3; i++) {
                struct bench b = bench_new(modes[i]);

                settles(&b);
        }
}
END_TEST

/* ---- transitions ---------------------------------------------------------------------------------- */

struct way {
        struct enforce_transition t[N_MAX];
        size_t n, n_left;
        int64_t quota[N_MAX];
};

static size_t next_writes(struct way *w, enum enforce_phase phase, double budget_milli, size_t n_writes_max)
{
        size_t order[N_MAX];

        return enforce_next_writes(phase, w->t, w->n, budget_milli, 0.02, n_writes_max, order, w->quota,
                                   &w->n_left);
}

static void step(struct way *w, int64_t in_force, int64_t wanted)
{
        w->t[w->n++] = (struct enforce_transition) {
                .in_force_milli = in_force,
                .wanted_milli = wanted,
                .may_write = true,
        };
}

START_TEST(what_shrinks_goes_first_and_what_grows_goes_second)
{
        struct way w = { 0 };

        step(&w, 2000, 1000);
        step(&w, 1000, 2000);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_SHRINK, 3000, SIZE_MAX), 1);
        ck_assert_int_eq(w.quota[0], 1000);
        ck_assert_int_eq(w.quota[1], -1);

        w.t[0].in_force_milli = 1000;
        ck_assert_uint_eq(next_writes(&w, ENFORCE_GROW, 3000, SIZE_MAX), 1);
        ck_assert_int_eq(w.quota[0], -1);
        ck_assert_int_eq(w.quota[1], 2000);
}
END_TEST

START_TEST(growth_is_cut_to_the_room_that_a_failed_shrink_left)
{
        struct way w = { 0 };

        step(&w, 1555, 1000);   /* did not get through */
        step(&w, 1000, 2000);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_GROW, 3000, SIZE_MAX), 1);
        ck_assert_int_eq(w.quota[1], 1440);
        /* Room for less than MinChange= is not worth a write. */
        w.t[0].in_force_milli = 1985;
        ck_assert_uint_eq(next_writes(&w, ENFORCE_GROW, 3000, SIZE_MAX), 0);
        w.t[0].in_force_milli = 2500;
        ck_assert_uint_eq(next_writes(&w, ENFORCE_GROW, 3000, SIZE_MAX), 0);
}
END_TEST

START_TEST(a_first_quota_waits_for_the_shrinks_where_quotas_have_a_budget)
{
        struct way w = { 0 };

        step(&w, 3000, 2000);
        step(&w, NONE, 1000);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_SHRINK, 3000, SIZE_MAX), 1);
        ck_assert_int_eq(w.quota[1], -1);
        /* The shrink failed: not even a part. */
        w.t[0].in_force_milli = 2500;
        ck_assert_uint_eq(next_writes(&w, ENFORCE_GROW, 3000, SIZE_MAX), 0);
        w.t[0].in_force_milli = 2000;
        ck_assert_uint_eq(next_writes(&w, ENFORCE_GROW, 3000, SIZE_MAX), 1);
        ck_assert_int_eq(w.quota[1], 1000);

        /* Without a budget a first quota is a shrink like any other. */
        ck_assert_uint_eq(next_writes(&w, ENFORCE_SHRINK, INFINITY, SIZE_MAX), 1);
        ck_assert_int_eq(w.quota[1], 1000);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_GROW, INFINITY, SIZE_MAX), 0);
}
END_TEST

START_TEST(a_ceiling_is_lifted_in_the_second_phase)
{
        struct way w = { 0 };

        step(&w, 500, NONE);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_SHRINK, INFINITY, SIZE_MAX), 0);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_GROW, INFINITY, SIZE_MAX), 1);
        ck_assert_int_eq(w.quota[0], NONE);
}
END_TEST

START_TEST(unchanged_and_tiny_changes_are_not_written)
{
        struct way w = { 0 };

        step(&w, 1000, 1000);
        step(&w, 1000, 990);
        step(&w, 1000, 1010);
        step(&w, NONE, NONE);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_SHRINK, 4000, SIZE_MAX), 0);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_GROW, 4000, SIZE_MAX), 0);
        /* Two percent of it is enough. */
        w.t[2].wanted_milli = 1020;
        ck_assert_uint_eq(next_writes(&w, ENFORCE_GROW, 4000, SIZE_MAX), 1);
}
END_TEST

START_TEST(a_tiny_shrink_is_made_when_a_growth_needs_its_room)
{
        struct way w = { 0 };

        step(&w, 1000, 990);
        step(&w, 2000, 2010 + 2000);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_SHRINK, 5000, SIZE_MAX), 1);
        ck_assert_int_eq(w.quota[0], 990);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_SHRINK, 6000, SIZE_MAX), 0);
}
END_TEST

START_TEST(a_unit_that_may_not_be_written_keeps_its_room)
{
        struct way w = { 0 };

        step(&w, 2000, 500);
        step(&w, 500, 2000);
        w.t[0].may_write = false;
        ck_assert_uint_eq(next_writes(&w, ENFORCE_SHRINK, 3000, SIZE_MAX), 0);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_GROW, 3000, SIZE_MAX), 1);
        ck_assert_int_eq(w.quota[0], -1);
        ck_assert_int_eq(w.quota[1], 1000);
}
END_TEST

START_TEST(a_restless_unit_is_not_lowered_unless_the_budget_is_crowded)
{
        struct way w = { 0 };

        step(&w, 2000, 1000);
        w.t[0].is_restless = true;
        step(&w, 1000, 990);
        step(&w, 1000, 2000);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_SHRINK, 5000, SIZE_MAX), 0);
        /* The small one is enough. */
        ck_assert_uint_eq(next_writes(&w, ENFORCE_SHRINK, 4990, SIZE_MAX), 1);
        ck_assert_int_eq(w.quota[1], 990);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_SHRINK, 4980, SIZE_MAX), 2);
        ck_assert_int_eq(w.quota[0], 1000);
        /* Bounds have no budget. */
        ck_assert_uint_eq(next_writes(&w, ENFORCE_SHRINK, INFINITY, SIZE_MAX), 0);
}
END_TEST

START_TEST(a_restless_unit_grows_and_gets_a_first_ceiling_like_any_other)
{
        struct way w = { 0 };

        step(&w, 1000, 2000);
        step(&w, NONE, 1000);
        w.t[0].is_restless = w.t[1].is_restless = true;
        ck_assert_uint_eq(next_writes(&w, ENFORCE_GROW, 3000, SIZE_MAX), 2);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_SHRINK, INFINITY, SIZE_MAX), 1);
        ck_assert_int_eq(w.quota[1], 1000);
}
END_TEST

START_TEST(the_urgent_and_then_the_largest_relative_changes_are_written_first)
{
        struct way w = { 0 };

        step(&w, 2000, 1000);
        step(&w, 100, 40);
        step(&w, 3000, 2900);
        step(&w, 1000, 1000);
        w.t[2].is_urgent = true;
        ck_assert_uint_eq(next_writes(&w, ENFORCE_SHRINK, 9000, 1), 1);
        ck_assert_uint_eq(w.n_left, 2);
        ck_assert_int_eq(w.quota[2], 2900);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_SHRINK, 9000, 2), 2);
        ck_assert_uint_eq(w.n_left, 1);
        ck_assert_int_eq(w.quota[1], 40);
        ck_assert_int_eq(w.quota[0], -1);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_SHRINK, 9000, 3), 3);
        ck_assert_uint_eq(w.n_left, 0);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_SHRINK, 9000, 0), 0);
        ck_assert_uint_eq(w.n_left, 3);
}
END_TEST

START_TEST(room_goes_to_the_urgent_first_and_nobody_is_overtaken)
{
        struct way w = { 0 };

        step(&w, 500, 1000);
        step(&w, 1000, 1200);
        w.t[1].is_urgent = true;
        ck_assert_uint_eq(next_writes(&w, ENFORCE_GROW, 1800, 1), 1);
        ck_assert_int_eq(w.quota[0], -1);
        ck_assert_int_eq(w.quota[1], 1200);
        ck_assert_uint_eq(w.n_left, 1);
        ck_assert_uint_eq(next_writes(&w, ENFORCE_GROW, 1800, 2), 2);
        ck_assert_int_eq(w.quota[0], 600);
        /* Nothing is left for it: it does not wait for a write. */
        ck_assert_uint_eq(next_writes(&w, ENFORCE_GROW, 1700, 1), 1);
        ck_assert_uint_eq(w.n_left, 0);
}
END_TEST

START_TEST(weights_differ_by_a_share_and_by_one_whole_unit)
{
        ck_assert(!enforce_weight_differs(100, 100, 0));
        ck_assert(!enforce_weight_differs(100, 109, 0));
        ck_assert(enforce_weight_differs(100, 110, 0));
        ck_assert(!enforce_weight_differs(100, 119, 0.2));
        ck_assert(enforce_weight_differs(100, 80, 0.2));
        ck_assert(enforce_weight_differs(1, 2, 0.02));
        ck_assert(!enforce_weight_differs(10000, 9900, 0.02));
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("enforce");
        TCase *ceilings = tcase_create("ceilings"), *weights = tcase_create("weights");
        TCase *partition = tcase_create("partition"), *transitions = tcase_create("transitions");

        tcase_add_test(ceilings, satisfied_is_judged_on_load_with_a_millionth_of_slack);
        tcase_add_test(ceilings, a_satisfied_service_has_its_max_as_only_ceiling);
        tcase_add_test(ceilings, a_short_service_is_bounded_by_what_the_others_leave);
        tcase_add_test(ceilings, a_ceiling_leaves_half_the_mean_use_of_who_is_satisfied_and_the_load_of_who_is_short);
        tcase_add_test(ceilings, a_ceiling_stays_where_it_is_for_small_changes_of_the_others_use);
        tcase_add_test(ceilings, a_ceiling_is_never_below_the_allocation);
        tcase_add_test(ceilings, who_had_no_ceiling_gets_one_only_when_clearly_short);
        tcase_add_test(ceilings, nobody_short_means_no_ceilings);
        tcase_add_test(ceilings, a_lone_batch_job_may_use_the_whole_host);
        suite_add_tcase(s, ceilings);

        tcase_add_test(weights, weights_are_shares_of_the_mean_times_phi);
        tcase_add_test(weights, phi_climbs_from_one_to_ten_without_a_jump);
        tcase_add_test(weights, who_is_covered_on_a_short_path_is_protected_no_better_than_the_path);
        tcase_add_test(weights, weights_stay_within_what_the_kernel_takes);
        tcase_add_test(weights, busy_unmanaged_siblings_do_not_dilute_an_allocation);
        tcase_add_test(weights, what_a_slice_claims_for_those_served_first_takes_no_more_of_the_reserve);
        tcase_add_test(weights, siblings_keep_their_lead_over_a_slice_that_keeps_its_weight);
        tcase_add_test(weights, weights_are_computed_level_by_level);
        tcase_add_test(weights, a_satisfied_member_lifts_the_slice_that_holds_it);
        tcase_add_test(weights, a_slice_is_never_lowered_below_what_it_had);
        tcase_add_test(weights, a_slice_that_may_not_change_is_left_alone);
        tcase_add_test(weights, mode_both_weighs_as_mode_weight_does_and_mode_quota_does_not);
        suite_add_tcase(s, weights);

        tcase_add_test(partition, a_partition_hands_out_whole_percents_and_keeps_the_sum);
        tcase_add_test(partition, a_partition_rounds_promises_up);
        tcase_add_test(partition, a_partition_respects_max_even_where_it_is_no_whole_percent);
        tcase_add_test(partition, everybody_has_at_least_one_percent);
        tcase_add_test(partition, idle_services_without_an_allocation_still_fit_the_partition);
        tcase_add_test(partition, more_services_than_percents_are_refused);
        tcase_add_test(partition, allocations_beyond_what_was_bargained_are_cut_in_a_partition);
        tcase_add_test(partition, input_that_makes_no_sense_is_refused);
        tcase_add_test(partition, no_services_are_fine);
        suite_add_tcase(s, partition);

        tcase_add_test(transitions, what_shrinks_goes_first_and_what_grows_goes_second);
        tcase_add_test(transitions, growth_is_cut_to_the_room_that_a_failed_shrink_left);
        tcase_add_test(transitions, a_first_quota_waits_for_the_shrinks_where_quotas_have_a_budget);
        tcase_add_test(transitions, a_ceiling_is_lifted_in_the_second_phase);
        tcase_add_test(transitions, unchanged_and_tiny_changes_are_not_written);
        tcase_add_test(transitions, a_tiny_shrink_is_made_when_a_growth_needs_its_room);
        tcase_add_test(transitions, a_unit_that_may_not_be_written_keeps_its_room);
        tcase_add_test(transitions, a_restless_unit_is_not_lowered_unless_the_budget_is_crowded);
        tcase_add_test(transitions, a_restless_unit_grows_and_gets_a_first_ceiling_like_any_other);
        tcase_add_test(transitions, the_urgent_and_then_the_largest_relative_changes_are_written_first);
        tcase_add_test(transitions, room_goes_to_the_urgent_first_and_nobody_is_overtaken);
        tcase_add_test(transitions, weights_differ_by_a_share_and_by_one_whole_unit);
        suite_add_tcase(s, transitions);
        return s;
}

int main(void)
{
        return testing_run(suite());
}
