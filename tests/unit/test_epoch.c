/* SPDX-License-Identifier: MIT */

#include "core/epoch.h"
#include "lib/epoch_fixture.h"

#include <errno.h>
#include <string.h>

static void pass(struct epoch_fixture *f, int n_epochs)
{
        for (int i = 0; i < n_epochs; i++)
                epoch_fixture_pass(f);
}

/* ---- what is bargained over ----------------------------------------------------------------------- */

START_TEST(the_larger_of_reserve_and_unmanaged_load_is_kept_back)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 0, 500);
        f.rules.unmanaged_milli = 100;
        pass(&f, 1);
        ck_assert_double_eq(f.outcome.bargained_milli, 3600);
        ck_assert_int_eq(epoch_fixture_sum(&f), 3600);
        f.rules.unmanaged_milli = 1500;
        pass(&f, 1);
        ck_assert_double_eq(f.outcome.bargained_milli, 2500);
        ck_assert_int_eq(epoch_fixture_sum(&f), 2500);
}
END_TEST

START_TEST(what_is_unmanaged_squeezes_nobody_below_the_baseline)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 1000, 3000);
        epoch_fixture_add(&f, 500, 2000);
        f.rules.unmanaged_milli = 3900;
        pass(&f, 1);
        ck_assert_double_eq(f.outcome.bargained_milli, 1500);
        ck_assert_int_eq(f.decisions[0].alloc_milli, 1000);
        ck_assert_int_eq(f.decisions[1].alloc_milli, 500);

        /* A baseline above Max= promises no more than Max=. */
        f.services[0].max_milli = 600;
        ck_assert_double_eq(epoch_bargained_milli(&f.rules, f.services, f.n), 1100);
        /* The reserve is not for sale. */
        f.services[1].baseline_milli = 9000;
        ck_assert_double_eq(epoch_bargained_milli(&f.rules, f.services, f.n), 3600);
        f.rules.capacity_milli = 100;
        ck_assert_double_eq(epoch_bargained_milli(&f.rules, f.services, f.n), 0);
}
END_TEST

/* ---- the ordinary epoch --------------------------------------------------------------------------- */

/* A quota of the whole host is a quota: the kernel hands it out in slices and throttles all the same. */
START_TEST(a_bound_from_above_limits_what_is_given_and_is_nobodys_quota)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 0, 500);
        epoch_fixture_add(&f, 0, 500);
        f.services[0].bound_milli = 700;
        f.services[1].max_milli = 800;
        pass(&f, 1);
        ck_assert_int_eq(f.decisions[0].alloc_milli, 700);
        ck_assert(f.decisions[0].is_satisfied);
        ck_assert_int_eq(f.decisions[0].quota_milli, QUOTA_NONE_MILLI);
        ck_assert_int_eq(f.decisions[1].quota_milli, 800);
}
END_TEST

START_TEST(the_first_plan_is_applied_whole_and_has_no_v_before)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 500, 3000);
        epoch_fixture_add(&f, 500, 3000);
        pass(&f, 1);
        ck_assert_int_eq(f.outcome.gate.verdict, VERDICT_APPLY);
        ck_assert(isnan(f.outcome.gate.v_before));
        ck_assert_int_eq(f.outcome.market.tier, TIER_CONGESTED);
        ck_assert_int_eq(f.decisions[0].alloc_milli, 1800);
        ck_assert_int_eq(f.decisions[1].alloc_milli, 1800);
        ck_assert_uint_eq(f.state.epoch, 1);
}
END_TEST

START_TEST(a_change_of_need_is_followed_in_one_epoch_with_v_falling)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 500, 3000);
        epoch_fixture_add(&f, 500, 3000);
        pass(&f, 1);
        f.services[0].need_milli = 1000;
        f.services[0].load_milli = 870;
        pass(&f, 1);
        ck_assert_int_eq(f.outcome.gate.verdict, VERDICT_APPLY);
        ck_assert_int_eq(f.decisions[0].alloc_milli, 1000);
        ck_assert_int_eq(f.decisions[1].alloc_milli, 2600);
        ck_assert(f.decisions[0].is_satisfied);
        ck_assert_double_lt(f.outcome.record.action, 0);
        ck_assert_double_eq(f.outcome.record.action,
                            f.outcome.gate.v_after - f.outcome.gate.v_before);
        ck_assert_ptr_nonnull(gate_history_at(&f.state.history, 0));
        ck_assert_uint_eq(gate_history_at(&f.state.history, 0)->epoch, 2);
}
END_TEST

START_TEST(settings_follow_the_mode)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 500, 900);
        epoch_fixture_add(&f, 500, 5000);
        f.rules.enforce = ENFORCE_BOTH;
        pass(&f, 1);
        ck_assert_int_eq(f.decisions[0].quota_milli, QUOTA_NONE_MILLI);
        ck_assert_int_ne(f.decisions[1].quota_milli, QUOTA_NONE_MILLI);
        ck_assert_uint_gt(f.decisions[0].cpu_weight, 0);
        f.rules.enforce = ENFORCE_QUOTA;
        pass(&f, 1);
        ck_assert_int_eq(f.decisions[0].quota_milli + f.decisions[1].quota_milli, 3600);
        ck_assert_uint_eq(f.decisions[0].cpu_weight, 0);
        f.rules.enforce = ENFORCE_WEIGHT;
        pass(&f, 1);
        ck_assert_int_eq(f.decisions[1].quota_milli, QUOTA_NONE_MILLI);
        ck_assert_uint_gt(f.decisions[1].cpu_weight, 0);
}
END_TEST

START_TEST(levels_out_of_order_are_brought_into_order_from_above)
{
        struct epoch_fixture f;
        struct epoch_service *s;

        epoch_fixture_init(&f);
        s = epoch_fixture_add(&f, 900, 100);
        s->floor_milli = 2000;
        s->max_milli = 700;
        f.rules.spare = 0;
        pass(&f, 1);
        ck_assert_int_eq(f.decisions[0].alloc_milli, 700);
}
END_TEST

START_TEST(no_services_are_fine)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        pass(&f, 3);
        ck_assert_uint_eq(f.state.epoch, 3);
}
END_TEST

/* ---- what is not known ---------------------------------------------------------------------------- */

START_TEST(an_unknown_service_keeps_what_it_has_and_the_others_play_on)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 500, 2000);
        epoch_fixture_add(&f, 500, 2000);
        epoch_fixture_add(&f, 0, 300);
        pass(&f, 1);
        int64_t held = f.decisions[0].alloc_milli;

        f.services[0].is_known = false;
        f.services[0].need_milli = 500;         /* as the estimator reports what it does not know */
        f.services[1].need_milli = 900;
        pass(&f, 4);
        ck_assert_int_eq(f.decisions[0].alloc_milli, held);
        ck_assert_int_ne(f.decisions[1].alloc_milli, held);
        ck_assert_int_eq(epoch_fixture_sum(&f), 3600);
}
END_TEST

START_TEST(an_unknown_service_keeps_the_settings_of_its_last_known_load)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 500, 900);
        epoch_fixture_add(&f, 500, 6000);
        pass(&f, 1);
        int64_t quota = f.decisions[1].quota_milli;

        ck_assert_int_ne(quota, QUOTA_NONE_MILLI);
        f.services[1].is_known = false;
        f.services[1].need_milli = 500;
        pass(&f, 1);
        ck_assert_int_eq(f.decisions[1].quota_milli, quota);
        ck_assert(!f.decisions[1].is_satisfied);
}
END_TEST

START_TEST(the_hardship_of_the_unknown_does_not_count)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 0, 100)->hardship = 0.3;
        epoch_fixture_add(&f, 0, 100)->hardship = 0.9;
        f.services[0].weight = 300;
        pass(&f, 1);            /* newcomers: no allocation of ours did that to them */
        ck_assert_double_eq(f.outcome.hardship, 0);
        ck_assert_int_eq(epoch_fixture_decide(&f), 0);
        ck_assert_double_eq_tol(f.outcome.hardship, 0.45, 1e-12);
        f.services[1].is_known = false;
        ck_assert_int_eq(epoch_fixture_decide(&f), 0);
        ck_assert_double_eq_tol(f.outcome.hardship, 0.3, 1e-12);
}
END_TEST

/* ---- freezing ------------------------------------------------------------------------------------- */

START_TEST(frozen_holds_whatever_is_measured)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        f.rules.spare = 0;              /* so that less need means less to hand out */
        epoch_fixture_add(&f, 500, 2000);
        epoch_fixture_add(&f, 500, 1000);
        pass(&f, 1);
        f.rules.is_frozen = true;
        f.services[0].need_milli = 600;
        f.services[1].need_milli = 700;
        pass(&f, 3);
        ck_assert(f.outcome.is_frozen);
        ck_assert_int_eq(f.outcome.gate.verdict, VERDICT_HOLD);
        ck_assert_int_eq(f.decisions[0].alloc_milli, 2000);
        ck_assert_int_eq(f.decisions[1].alloc_milli, 1000);
        f.rules.is_frozen = false;
        pass(&f, 1);
        ck_assert_int_eq(f.decisions[0].alloc_milli, 600);
}
END_TEST

START_TEST(frozen_still_fits_a_capacity_that_shrank)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 500, 3000);
        epoch_fixture_add(&f, 500, 3000);
        pass(&f, 1);
        f.rules.is_frozen = true;
        f.rules.capacity_milli = 2000;
        pass(&f, 1);
        ck_assert_int_le(epoch_fixture_sum(&f), 1600);
        ck_assert_int_ge(epoch_fixture_sum(&f), 1598);
        ck_assert_int_ge(f.decisions[0].alloc_milli, 500);
}
END_TEST

START_TEST(who_comes_during_a_freeze_waits_and_disturbs_nobody)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        f.rules.enforce = ENFORCE_QUOTA;
        epoch_fixture_add(&f, 500, 3000);
        epoch_fixture_add(&f, 500, 2000);
        pass(&f, 1);
        int64_t quota = f.decisions[0].quota_milli;

        f.rules.is_frozen = true;
        epoch_fixture_add(&f, 800, 1000);
        pass(&f, 2);
        ck_assert_int_eq(f.decisions[2].alloc_milli, -1);
        ck_assert_int_eq(f.decisions[2].quota_milli, QUOTA_NONE_MILLI);
        ck_assert_uint_eq(f.decisions[2].cpu_weight, 0);
        ck_assert_int_eq(f.decisions[0].quota_milli, quota);

        f.rules.is_frozen = false;
        pass(&f, 1);
        ck_assert_int_ge(f.decisions[2].alloc_milli, 800);
}
END_TEST

START_TEST(a_freeze_gives_nothing_to_a_host_of_newcomers)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        f.rules.is_frozen = true;
        epoch_fixture_add(&f, 500, 1000);
        pass(&f, 2);
        ck_assert_int_eq(f.decisions[0].alloc_milli, -1);
        ck_assert(f.outcome.is_frozen);
}
END_TEST

/* ---- a model that lies ---------------------------------------------------------------------------- */

/* With a step below one, the same measurements let V fall epoch after epoch: the model promises good
 * each time. Meanwhile what is measured gets worse each time. Returns before the epoch in which the
 * third harm is seen. */
static void lie_three_times(struct epoch_fixture *f)
{
        epoch_fixture_init(f);
        f->rules.spare = 0;
        epoch_fixture_add(f, 100, 3000);
        epoch_fixture_add(f, 100, 600);
        pass(f, 1);
        /* Claims change places, and the way there is made in steps. */
        f->services[0].need_milli = 600;
        f->services[1].need_milli = 3000;
        f->state.monitor.step_max = 0.25;
        pass(f, 2);             /* the change of claims was the world's doing, what follows is ours */
        for (int i = 1; i <= 2; i++) {
                f->services[0].hardship = 0.1 * i;
                pass(f, 1);
                ck_assert(!f->outcome.is_frozen);
                ck_assert_double_lt(f->outcome.record.action, 0);
        }
        f->services[0].hardship = 0.3;
}

/* Whole steps: an estimator that takes one service for ever smaller, while that one suffers. */
START_TEST(an_estimator_that_lies_is_found_out_with_whole_steps)
{
        static const double lie_milli[] = { 2400, 1800, 1200 };
        struct epoch_fixture f;
        int64_t honest;

        epoch_fixture_init(&f);
        f.rules.spare = 0;
        epoch_fixture_add(&f, 0, 2000);
        epoch_fixture_add(&f, 0, 4000);
        f.services[0].need_milli = 3000;
        pass(&f, 2);
        honest = f.decisions[0].alloc_milli;
        for (int i = 0; i < 3; i++) {
                ck_assert(!f.outcome.is_rolled_back);
                f.services[0].need_milli = lie_milli[i] / 2;
                pass(&f, 1);
                ck_assert_double_lt(f.outcome.record.action, 0);
                ck_assert_double_eq(f.outcome.gate.step, 1);
                f.services[0].hardship += 0.2;
        }
        pass(&f, 1);
        ck_assert(f.outcome.is_rolled_back);
        ck_assert_int_eq(f.decisions[0].alloc_milli, honest);
}
END_TEST

START_TEST(hardship_that_moves_because_services_come_and_go_is_nobodys_fault)
{
        struct epoch_fixture f;

        epoch_fixture_init(&f);
        for (int i = 0; i < 8; i++)
                epoch_fixture_add(&f, 0, 1000);
        pass(&f, 1);
        f.services[0].hardship = 1;
        /* Those without hardship leave one by one: the mean rises, and allocations change. */
        while (f.n > 2) {
                f.n--;
                pass(&f, 1);
                ck_assert(!f.outcome.is_frozen);
        }
}
END_TEST

START_TEST(a_lying_model_is_rolled_back_to_an_allocation_that_hurt_less)
{
        struct epoch_fixture f;
        int64_t before_the_lie[2], last[2];

        lie_three_times(&f);
        /* Oldest of the four: it led to the epoch before the first harm. */
        for (int i = 0; i < 2; i++) {
                before_the_lie[i] = f.services[i].recent_milli[EPOCH_RECENT - 1];
                last[i] = f.services[i].recent_milli[0];
        }
        ck_assert_int_ne(before_the_lie[0], last[0]);
        double step_max = f.state.monitor.step_max;

        pass(&f, 1);
        ck_assert(f.outcome.is_rolled_back);
        ck_assert(f.outcome.is_frozen);
        ck_assert_int_eq(f.outcome.gate.verdict, VERDICT_HOLD);
        ck_assert_int_eq(f.decisions[0].alloc_milli, before_the_lie[0]);
        ck_assert_int_eq(f.decisions[1].alloc_milli, before_the_lie[1]);
        ck_assert_double_lt(f.state.monitor.step_max, step_max);

        /* Frozen there for a while, then free again. */
        for (int i = 0; i < GATE_FREEZE_EPOCHS; i++) {
                pass(&f, 1);
                ck_assert(f.outcome.is_frozen);
                ck_assert_int_eq(f.decisions[0].alloc_milli, before_the_lie[0]);
        }
        pass(&f, 1);
        ck_assert(!f.outcome.is_frozen);
        ck_assert_int_ne(f.decisions[0].alloc_milli, before_the_lie[0]);
}
END_TEST

START_TEST(without_a_better_past_a_lying_model_is_only_frozen)
{
        struct epoch_fixture f;

        lie_three_times(&f);
        for (size_t i = 0; i < EPOCH_RECENT; i++)
                f.state.recent_hardship[i] = 0.5;
        int64_t held = f.services[0].recent_milli[0];

        pass(&f, 1);
        ck_assert(f.outcome.is_frozen);
        ck_assert(!f.outcome.is_rolled_back);
        ck_assert_int_eq(f.decisions[0].alloc_milli, held);
}
END_TEST

START_TEST(a_past_that_no_longer_fits_is_not_gone_back_to)
{
        struct epoch_fixture f;

        /* Capacity went. */
        lie_three_times(&f);
        f.rules.capacity_milli = 2500;
        pass(&f, 1);
        ck_assert(f.outcome.is_frozen);
        ck_assert(!f.outcome.is_rolled_back);
        ck_assert_int_le(epoch_fixture_sum(&f), 2100);

        /* A maximum was lowered: of the three only the one that respects it is left. */
        lie_three_times(&f);
        ck_assert_int_gt(f.services[0].recent_milli[3], f.services[0].recent_milli[1]);
        int64_t fits = f.services[0].recent_milli[1];

        f.services[0].max_milli = (double)fits;
        pass(&f, 1);
        ck_assert(f.outcome.is_rolled_back);
        ck_assert_int_eq(f.decisions[0].alloc_milli, fits);
}
END_TEST

START_TEST(a_newcomer_does_not_bar_the_way_back)
{
        struct epoch_fixture f;

        lie_three_times(&f);
        epoch_fixture_add(&f, 100, 100)->hardship = 0.3;
        pass(&f, 1);
        ck_assert(f.outcome.is_rolled_back);
        ck_assert_int_eq(f.decisions[2].alloc_milli, -1);
}
END_TEST

START_TEST(an_unknown_service_keeps_what_it_has_also_on_the_way_back)
{
        struct epoch_fixture f;

        lie_three_times(&f);
        epoch_fixture_add(&f, 0, 50);
        for (int age = 0; age < EPOCH_RECENT; age++)
                f.services[2].recent_milli[age] = 40 - 10 * age;
        f.services[2].is_known = false;
        f.services[2].need_milli = 0;
        f.state.n_previous = 3; /* it was there all the time */
        f.rules.capacity_milli += 40;
        pass(&f, 1);
        ck_assert(f.outcome.is_rolled_back);
        ck_assert_int_eq(f.decisions[2].alloc_milli, 40);
}
END_TEST

/* ---- failure -------------------------------------------------------------------------------------- */

START_TEST(input_that_makes_no_sense_leaves_the_state_as_it_was)
{
        struct epoch_fixture good, f;

        epoch_fixture_init(&good);
        epoch_fixture_add(&good, 100, 200);
#define REFUSED(assignment)                                                                        \
        do {                                                                                       \
                struct epoch_state before;                                                         \
                f = good;                                                                          \
                f.state.history.records = f.records;                                               \
                f.assignment;                                                                      \
                before = f.state;                                                                  \
                ck_assert_int_eq(epoch_fixture_decide(&f), -EINVAL);                               \
                ck_assert_mem_eq(&before, &f.state, sizeof before);                                \
        } while (0)
        REFUSED(rules.capacity_milli = NAN);
        REFUSED(rules.capacity_milli = -1);
        REFUSED(rules.reserve_milli = INFINITY);
        REFUSED(rules.unmanaged_milli = -1);
        REFUSED(rules.headroom_milli = NAN);
        REFUSED(rules.spare = 1.5);
        REFUSED(rules.spare = NAN);
        REFUSED(services[0].floor_milli = -1);
        REFUSED(services[0].baseline_milli = NAN);
        REFUSED(services[0].max_milli = 0);
        REFUSED(services[0].max_milli = NAN);
        REFUSED(services[0].weight = 0);
        REFUSED(services[0].need_milli = INFINITY);
        REFUSED(services[0].load_milli = -1);
        REFUSED(services[0].hardship = 1.1);
        REFUSED(services[0].hardship = NAN);
        REFUSED(services[0].group = 1);
        REFUSED(groups[0].parent = 0);
#undef REFUSED
}
END_TEST

START_TEST(too_many_services_for_a_partition_leave_the_state_as_it_was)
{
        struct epoch_fixture f;
        struct epoch_state before;

        epoch_fixture_init(&f);
        f.rules.enforce = ENFORCE_QUOTA;
        epoch_fixture_add(&f, 0, 100);
        epoch_fixture_add(&f, 0, 100);
        pass(&f, 2);
        before = f.state;
        f.rules.capacity_milli = 415;
        ck_assert_int_eq(epoch_fixture_decide(&f), -ENOSPC);
        ck_assert_mem_eq(&before, &f.state, sizeof before);
        f.rules.capacity_milli = 4000;
        pass(&f, 1);
        ck_assert_uint_eq(f.state.epoch, 3);
}
END_TEST

START_TEST(more_than_the_workspace_holds_is_refused)
{
        struct epoch_fixture f;
        struct epoch_workspace w;
        static _Alignas(max_align_t) char buffer[4096];

        epoch_fixture_init(&f);
        epoch_fixture_add(&f, 0, 100);
        epoch_fixture_add(&f, 0, 100);
        ck_assert_uint_le(epoch_workspace_size(1, 1, 0), sizeof buffer);
        epoch_workspace_init(&w, buffer, 1, 1, 0);
        ck_assert_int_eq(epoch_decide(&f.state, &f.rules, f.services, 2, NULL, f.groups, 1, &w, f.decisions,
                                      f.group_weights, &f.outcome), -EINVAL);
        ck_assert_int_eq(epoch_decide(&f.state, &f.rules, f.services, 1, NULL, f.groups, 2, &w, f.decisions,
                                      f.group_weights, &f.outcome), -EINVAL);
        ck_assert_int_eq(epoch_decide(&f.state, &f.rules, f.services, 1, NULL, f.groups, 1, &w, f.decisions,
                                      f.group_weights, &f.outcome), 0);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("epoch");
        TCase *ordinary = tcase_create("ordinary"), *unknown = tcase_create("unknown");
        TCase *frozen = tcase_create("frozen"), *lies = tcase_create("lies");
        TCase *failure = tcase_create("failure");

        tcase_add_test(ordinary, the_larger_of_reserve_and_unmanaged_load_is_kept_back);
        tcase_add_test(ordinary, what_is_unmanaged_squeezes_nobody_below_the_baseline);
        tcase_add_test(ordinary, a_bound_from_above_limits_what_is_given_and_is_nobodys_quota);
        tcase_add_test(ordinary, the_first_plan_is_applied_whole_and_has_no_v_before);
        tcase_add_test(ordinary, a_change_of_need_is_followed_in_one_epoch_with_v_falling);
        tcase_add_test(ordinary, settings_follow_the_mode);
        tcase_add_test(ordinary, levels_out_of_order_are_brought_into_order_from_above);
        tcase_add_test(ordinary, no_services_are_fine);
        suite_add_tcase(s, ordinary);

        tcase_add_test(unknown, an_unknown_service_keeps_what_it_has_and_the_others_play_on);
        tcase_add_test(unknown, an_unknown_service_keeps_the_settings_of_its_last_known_load);
        tcase_add_test(unknown, the_hardship_of_the_unknown_does_not_count);
        suite_add_tcase(s, unknown);

        tcase_add_test(frozen, frozen_holds_whatever_is_measured);
        tcase_add_test(frozen, frozen_still_fits_a_capacity_that_shrank);
        tcase_add_test(frozen, who_comes_during_a_freeze_waits_and_disturbs_nobody);
        tcase_add_test(frozen, a_freeze_gives_nothing_to_a_host_of_newcomers);
        suite_add_tcase(s, frozen);

        tcase_add_test(lies, an_estimator_that_lies_is_found_out_with_whole_steps);
        tcase_add_test(lies, hardship_that_moves_because_services_come_and_go_is_nobodys_fault);
        tcase_add_test(lies, a_lying_model_is_rolled_back_to_an_allocation_that_hurt_less);
        tcase_add_test(lies, without_a_better_past_a_lying_model_is_only_frozen);
        tcase_add_test(lies, a_past_that_no_longer_fits_is_not_gone_back_to);
        tcase_add_test(lies, a_newcomer_does_not_bar_the_way_back);
        tcase_add_test(lies, an_unknown_service_keeps_what_it_has_also_on_the_way_back);
        suite_add_tcase(s, lies);

        tcase_add_test(failure, input_that_makes_no_sense_leaves_the_state_as_it_was);
        tcase_add_test(failure, too_many_services_for_a_partition_leave_the_state_as_it_was);
        tcase_add_test(failure, more_than_the_workspace_holds_is_refused);
        suite_add_tcase(s, failure);
        return s;
}

int main(void)
{
        return testing_run(suite());
}
