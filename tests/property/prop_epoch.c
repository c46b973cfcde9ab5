/* SPDX-License-Identifier: MIT */

#include "core/epoch.h"
#include "lib/epoch_fixture.h"

#include <errno.h>
#include <string.h>

#define N_WORLDS 300
#define N_EPOCHS 25

/* What a sequence of epochs ran into, so that a test that never met its subject fails. */
struct met {
        int tiers[_TIER_MAX], verdicts[_VERDICT_MAX];
        int n_unknown, n_frozen, n_rolled_back, n_refused, n_projected;
};

static void random_service(struct epoch_fixture *f, struct testing_random *r, size_t i)
{
        double capacity = f->rules.capacity_milli;
        struct epoch_service *s = &f->services[i];

        *s = (struct epoch_service) {
                .baseline_milli = testing_random_int(r, 0, 1) ? 0 : floor(testing_random_double(r, 0, capacity / 4)),
                .max_milli = testing_random_int(r, 0, 2) ? INFINITY : testing_random_double(r, 1, capacity),
                .bound_milli = testing_random_int(r, 0, 3) ? INFINITY : testing_random_double(r, 1, capacity),
                .weight = (double)testing_random_int(r, 1, 1000),
                .is_known = true,
                .recent_milli = { -1, -1, -1, -1 },
                .group = (size_t)testing_random_int(r, 0, (int64_t)f->n_groups - 1),
        };
        s->floor_milli = testing_random_double(r, 0, s->baseline_milli);
}

static void random_measurements(struct epoch_fixture *f, struct testing_random *r, double share_unknown)
{
        for (size_t i = 0; i < f->n; i++) {
                struct epoch_service *s = &f->services[i];

                s->is_known = testing_random_double(r, 0, 1) >= share_unknown;
                if (!s->is_known) {
                        s->need_milli = s->baseline_milli;
                        continue;
                }
                if (testing_random_int(r, 0, 1))
                        continue;       /* half of them go on as they were */
                s->load_milli = testing_random_double(r, 0, f->rules.capacity_milli * 2 / (double)f->n);
                s->need_milli = 1.15 * s->load_milli;
                s->hardship = testing_random_int(r, 0, 3) ? 0 : testing_random_double(r, 0, 1);
        }
}

static void random_change(struct epoch_fixture *f, struct testing_random *r)
{
        static const double capacities[] = { 200, 2000, 4000, 8000 };

        switch (testing_random_int(r, 0, 9)) {
        case 0:                         /* a unit stops */
                if (f->n > 1) {
                        size_t gone = (size_t)testing_random_int(r, 0, (int64_t)f->n - 1);

                        memmove(&f->services[gone], &f->services[gone + 1],
                                (f->n - gone - 1) * sizeof f->services[0]);
                        f->n--;
                }
                break;
        case 1:                         /* a unit starts */
                if (f->n < EPOCH_FIXTURE_MAX)
                        random_service(f, r, f->n++);
                break;
        case 2:                         /* CPUs come or go */
                f->rules.capacity_milli = capacities[testing_random_int(r, 0, 3)];
                f->rules.reserve_milli = f->rules.capacity_milli / 10;
                break;
        case 3:
                f->rules.unmanaged_milli = testing_random_double(r, 0, f->rules.capacity_milli * 1.2);
                break;
        default:
                break;
        }
}

static void random_world(struct epoch_fixture *f, struct testing_random *r)
{
        epoch_fixture_init(f);
        f->n_groups = (size_t)testing_random_int(r, 1, EPOCH_FIXTURE_GROUPS_MAX);
        for (size_t g = 1; g < f->n_groups; g++)
                f->groups[g] = (struct enforce_group) {
                        .parent = (size_t)testing_random_int(r, 0, (int64_t)g - 1),
                        .prior_weight = 100,
                        .may_change = true,
                };
        f->rules.spare = testing_random_int(r, 0, 1) ? 1 : testing_random_double(r, 0, 1);
        f->rules.overload = testing_random_int(r, 0, 1) ? OVERLOAD_WEIGHTED : OVERLOAD_PROPORTIONAL;
        f->rules.enforce = (enum enforce)testing_random_int(r, 0, _ENFORCE_MAX - 1);
        f->n = (size_t)testing_random_int(r, 1, EPOCH_FIXTURE_MAX);
        for (size_t i = 0; i < f->n; i++)
                random_service(f, r, i);
}

static int64_t in_force(const struct epoch_service *s)
{
        return s->recent_milli[0] > 0 ? s->recent_milli[0] : 0;
}

static int64_t sum_in_force(const struct epoch_fixture *f)
{
        int64_t sum = 0;

        for (size_t i = 0; i < f->n; i++)
                sum += in_force(&f->services[i]);
        return sum;
}

static bool is_one_of_the_last_four(const struct epoch_fixture *f)
{
        for (int age = 1; age < EPOCH_RECENT; age++) {
                bool is_same = true;

                for (size_t i = 0; i < f->n && is_same; i++) {
                        const struct epoch_service *s = &f->services[i];
                        int64_t then = s->is_known && s->recent_milli[age] >= 0 ? s->recent_milli[age]
                                                                                : in_force(s);

                        is_same = s->recent_milli[0] < 0 || f->decisions[i].alloc_milli == then;
                }
                if (is_same)
                        return true;
        }
        return false;
}

/* Everything that product and gate promise of one epoch. Call before the decision is taken over. */
static void check_epoch(const struct epoch_fixture *f, struct met *met)
{
        const struct epoch_outcome *o = &f->outcome;
        int64_t sum = epoch_fixture_sum(f), sum_quota = 0;
        bool has_old = false, is_projected = false;

        met->tiers[o->market.tier]++;
        met->verdicts[o->gate.verdict]++;
        met->n_frozen += o->is_frozen;
        met->n_rolled_back += o->is_rolled_back;

        ck_assert_double_le((double)sum, o->bargained_milli);
        for (size_t i = 0; i < f->n; i++)
                has_old = has_old || f->services[i].recent_milli[0] >= 0;
        is_projected = (double)sum_in_force(f) > o->bargained_milli;
        met->n_projected += is_projected;

        if (o->gate.verdict != VERDICT_HOLD && has_old)
                ck_assert_double_le(o->gate.v_after, o->gate.v_before + 1e-9 * (1 + o->gate.v_before));
        ck_assert_double_ge(o->gate.v_after, -1e-6);
        ck_assert(isfinite(o->gate.v_after));

        for (size_t i = 0; i < f->n; i++) {
                const struct epoch_service *s = &f->services[i];
                const struct epoch_decision *d = &f->decisions[i];
                double u = fmax(f->rules.capacity_milli, s->baseline_milli);
                double promised;

                u = fmin(u, fmin(s->max_milli, s->bound_milli));
                if (o->is_frozen && s->recent_milli[0] < 0) {
                        ck_assert_int_eq(d->alloc_milli, -1);
                        ck_assert_int_eq(d->quota_milli, QUOTA_NONE_MILLI);
                        ck_assert_uint_eq(d->cpu_weight, 0);
                        continue;
                }
                ck_assert_int_ge(d->alloc_milli, 0);
                if (d->quota_milli != QUOTA_NONE_MILLI) {
                        ck_assert_int_eq(d->quota_milli % QUOTA_STEP_MILLI, 0);
                        ck_assert_int_ge(d->quota_milli, QUOTA_STEP_MILLI);
                        sum_quota += d->quota_milli;
                }
                ck_assert_int_eq(d->cpu_weight == 0, f->rules.enforce == ENFORCE_QUOTA);

                /* Frozen holds, unless there is less to hold. */
                if (o->is_frozen && !o->is_rolled_back && !is_projected)
                        ck_assert_int_eq(d->alloc_milli, in_force(s));
                /* The unknown keep what they have. */
                if (!s->is_known && s->recent_milli[0] >= 0 && o->gate.verdict == VERDICT_APPLY &&
                    (o->market.tier == TIER_CONGESTED || o->market.tier == TIER_UNCONGESTED) &&
                    (double)s->recent_milli[0] <= u) {
                        double held = 0;

                        for (size_t j = 0; j < f->n; j++)
                                held += !f->services[j].is_known && f->services[j].recent_milli[0] >= 0
                                                ? (double)f->services[j].recent_milli[0]
                                                : fmin(f->services[j].baseline_milli,
                                                       fmin(f->services[j].max_milli,
                                                            f->services[j].bound_milli));
                        /* Unless all that is held and promised is more than there is. */
                        if (ceil(held) + (double)f->n <= o->bargained_milli) {
                                ck_assert_int_eq(d->alloc_milli, s->recent_milli[0]);
                                met->n_unknown++;
                        }
                }
                /* Baselines and floors, as the tier promises; a step on the way there does not go
                 * further down than it was; a unit of rounding. */
                promised = o->market.tier == TIER_OVERLOADED ? fmin(s->floor_milli, fmin(s->baseline_milli, u))
                           : o->market.tier == TIER_STARVED  ? 0
                                                             : fmin(s->baseline_milli, u);
                if (!s->is_known && s->recent_milli[0] >= 0)
                        promised = fmin(promised, in_force(s));
                if (o->gate.verdict != VERDICT_APPLY)
                        promised = fmin(promised, in_force(s));
                ck_assert_double_ge((double)d->alloc_milli, floor(promised) - 1);
                if (o->gate.verdict == VERDICT_APPLY)
                        ck_assert_double_le((double)d->alloc_milli, ceil(u) + 1);
        }
        if (f->rules.enforce == ENFORCE_QUOTA)
                ck_assert_double_le((double)sum_quota, f->rules.capacity_milli - f->rules.reserve_milli);
        if (o->is_rolled_back) {
                ck_assert(o->is_frozen);
                ck_assert(is_one_of_the_last_four(f));
        }
}

START_TEST(promises_hold_through_any_sequence_of_epochs)
{
        struct testing_random r = { testing_seed() };
        struct met met = { 0 };

        for (int k = 0; k < N_WORLDS; k++) {
                struct epoch_fixture f;

                random_world(&f, &r);
                for (int epoch = 0; epoch < N_EPOCHS; epoch++) {
                        struct epoch_state before = f.state;
                        int result;

                        random_change(&f, &r);
                        random_measurements(&f, &r, 0.15);
                        f.rules.is_frozen = testing_random_int(&r, 0, 19) == 0;
                        result = epoch_fixture_decide(&f);
                        if (result < 0) {
                                ck_assert_int_eq(result, -ENOSPC);
                                ck_assert_int_eq(f.rules.enforce, ENFORCE_QUOTA);
                                ck_assert_double_gt((double)f.n * QUOTA_STEP_MILLI,
                                                    f.rules.capacity_milli - f.rules.reserve_milli - 10);
                                ck_assert_mem_eq(&before, &f.state, sizeof before);
                                met.n_refused++;
                                continue;
                        }
                        check_epoch(&f, &met);
                        ck_assert_uint_eq(f.state.epoch, before.epoch + 1);
                        epoch_fixture_take_over(&f);
                }
        }
        for (int tier = TIER_OVERLOADED; tier < _TIER_MAX; tier++)
                ck_assert_int_gt(met.tiers[tier], 50);
        ck_assert_int_gt(met.tiers[TIER_STARVED], 0);
        ck_assert_int_gt(met.verdicts[VERDICT_APPLY], 1000);
        ck_assert_int_gt(met.n_unknown, 100);
        ck_assert_int_gt(met.n_frozen, 50);
        ck_assert_int_gt(met.n_projected, 50);
        ck_assert_int_gt(met.n_refused, 0);
}
END_TEST

START_TEST(steady_measurements_settle_and_stay)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_WORLDS; k++) {
                struct epoch_fixture f;
                int64_t settled[EPOCH_FIXTURE_MAX];

                random_world(&f, &r);
                f.rules.enforce = ENFORCE_BOTH;
                random_measurements(&f, &r, 0);
                for (int epoch = 0; epoch < 3; epoch++)
                        epoch_fixture_pass(&f);
                for (size_t i = 0; i < f.n; i++)
                        settled[i] = f.decisions[i].alloc_milli;
                for (int epoch = 0; epoch < 5; epoch++) {
                        epoch_fixture_pass(&f);
                        for (size_t i = 0; i < f.n; i++)
                                ck_assert_int_eq(f.decisions[i].alloc_milli, settled[i]);
                        ck_assert_double_le(fabs(f.outcome.record.action), 1e-9 * (1 + f.outcome.gate.v_before));
                }
        }
}
END_TEST

START_TEST(rollback_goes_to_less_hardship_and_freezes)
{
        struct testing_random r = { testing_seed() };
        int n_rolled_back = 0;

        for (int k = 0; k < N_WORLDS; k++) {
                struct epoch_fixture f;
                double hardship = 0;
                struct met met = { 0 };

                random_world(&f, &r);
                f.rules.enforce = ENFORCE_WEIGHT;
                random_measurements(&f, &r, 0);
                for (size_t i = 0; i < f.n; i++)
                        f.services[i].hardship = 0;
                epoch_fixture_pass(&f);
                random_measurements(&f, &r, 0);
                f.state.monitor.step_max = testing_random_double(&r, 0.1, 0.3);
                for (int epoch = 0; epoch < 12; epoch++) {
                        /* Whatever we do makes it worse. */
                        if (epoch >= 2)
                                hardship = fmin(hardship + 0.05, 1);
                        for (size_t i = 0; i < f.n; i++)
                                f.services[i].hardship = hardship;
                        ck_assert_int_eq(epoch_fixture_decide(&f), 0);
                        check_epoch(&f, &met);
                        if (f.outcome.is_rolled_back) {
                                n_rolled_back++;
                                ck_assert_uint_eq(f.state.monitor.n_frozen_left, GATE_FREEZE_EPOCHS);
                        }
                        epoch_fixture_take_over(&f);
                }
        }
        ck_assert_int_gt(n_rolled_back, 50);
}
END_TEST

START_TEST(the_order_of_services_does_not_matter)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_WORLDS; k++) {
                struct epoch_fixture f, other;
                size_t place[EPOCH_FIXTURE_MAX];
                int result;

                random_world(&f, &r);
                random_measurements(&f, &r, 0);
                for (size_t i = 0; i < f.n; i++) {
                        size_t j = (size_t)testing_random_int(&r, 0, (int64_t)i);

                        place[i] = place[j];
                        place[j] = i;
                }
                /* One epoch each from the same past: a tie of rounding may move one milli. */
                for (size_t i = 0; i < f.n; i++)
                        f.services[i].recent_milli[0] = testing_random_int(&r, 0, 200);
                epoch_fixture_init(&other);
                other.rules = f.rules;
                other.n = f.n;
                other.n_groups = f.n_groups;
                memcpy(other.groups, f.groups, sizeof f.groups);
                for (size_t i = 0; i < f.n; i++)
                        other.services[place[i]] = f.services[i];
                result = epoch_fixture_decide(&f);
                ck_assert_int_eq(epoch_fixture_decide(&other), result);
                if (result < 0)
                        continue;
                ck_assert_int_eq(f.outcome.market.tier, other.outcome.market.tier);
                ck_assert_double_eq_tol(f.outcome.gate.v_after, other.outcome.gate.v_after,
                                        1e-6 * (1 + f.outcome.gate.v_after));
                for (size_t i = 0; i < f.n; i++) {
                        const struct epoch_decision *a = &f.decisions[i], *b = &other.decisions[place[i]];

                        ck_assert_int_le(llabs(a->alloc_milli - b->alloc_milli), 1);
                        ck_assert_double_eq_tol(a->market_milli, b->market_milli, 1e-6);
                }
        }
}
END_TEST

START_TEST(a_workspace_of_exactly_its_size_gives_what_a_large_one_gives)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_WORLDS; k++) {
                struct epoch_fixture f;
                struct epoch_decision exact[EPOCH_FIXTURE_MAX];
                struct epoch_state start;
                struct epoch_workspace w;
                void *buffer;
                int result;

                random_world(&f, &r);
                random_measurements(&f, &r, 0);
                start = f.state;
                result = epoch_fixture_decide(&f);
                if (result < 0)
                        continue;
                memcpy(exact, f.decisions, sizeof exact);

                f.state = start;
                buffer = malloc(epoch_workspace_size(1000, 100, 0));
                ck_assert_ptr_nonnull(buffer);
                epoch_workspace_init(&w, buffer, 1000, 100, 0);
                ck_assert_int_eq(epoch_decide(&f.state, &f.rules, f.services, f.n, NULL, f.groups, f.n_groups, &w,
                                              f.decisions, f.group_weights, &f.outcome), 0);
                free(buffer);
                for (size_t i = 0; i < f.n; i++) {
                        ck_assert_int_eq(exact[i].alloc_milli, f.decisions[i].alloc_milli);
                        ck_assert_int_eq(exact[i].quota_milli, f.decisions[i].quota_milli);
                        ck_assert_uint_eq(exact[i].cpu_weight, f.decisions[i].cpu_weight);
                }
        }
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("prop_epoch");
        TCase *epochs = tcase_create("epochs");

        tcase_add_test(epochs, promises_hold_through_any_sequence_of_epochs);
        tcase_add_test(epochs, steady_measurements_settle_and_stay);
        tcase_add_test(epochs, rollback_goes_to_less_hardship_and_freezes);
        tcase_add_test(epochs, the_order_of_services_does_not_matter);
        tcase_add_test(epochs, a_workspace_of_exactly_its_size_gives_what_a_large_one_gives);
        suite_add_tcase(s, epochs);
        return s;
}

int main(void)
{
        return testing_run(suite());
}
