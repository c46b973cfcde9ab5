/* SPDX-License-Identifier: MIT */

/* What an epoch promises where there are coalitions, beside what prop_epoch.c checks of single players. */

#include "core/demand.h"
#include "core/epoch.h"
#include "core/ledger.h"
#include "lib/epoch_fixture.h"

#include <string.h>

#define N_WORLDS 250
#define N_EPOCHS 20

struct met {
        int tiers[_TIER_MAX];
        int n_formed, n_moved, n_targets, n_yielding, n_reduced, n_projected, n_shortened;
};

static void random_service(struct epoch_fixture *f, struct testing_random *r)
{
        double capacity = f->rules.capacity_milli;
        struct epoch_service *s = epoch_fixture_add(f, 0, 0);

        s->baseline_milli = testing_random_int(r, 0, 1) ? 0 : testing_random_double(r, 0, capacity / 6);
        s->floor_milli = testing_random_double(r, 0, s->baseline_milli);
        s->max_milli = testing_random_int(r, 0, 3) ? INFINITY : testing_random_double(r, 1, capacity);
        s->weight = (double)testing_random_int(r, 1, 1000);
        s->target_ms = testing_random_int(r, 0, 2) ? 0 : testing_random_double(r, 1, 500);
        s->elasticity = testing_random_int(r, 0, 3) ? 0 : testing_random_double(r, 0, 1);
}

static void random_measurements(struct epoch_fixture *f, struct testing_random *r)
{
        for (size_t i = 0; i < f->n; i++) {
                struct epoch_service *s = &f->services[i];

                s->is_known = testing_random_int(r, 0, 9) > 0;
                if (!s->is_known || testing_random_int(r, 0, 1))
                        continue;
                s->load_milli = testing_random_double(r, 0, f->rules.capacity_milli * 2 / (double)f->n);
                s->need_milli = 1.15 * s->load_milli;
                s->latency_ms = testing_random_int(r, 0, 1) ? 0 : testing_random_double(r, 0.5, 1000);
                s->latency_at_milli = testing_random_double(r, 0, 2000);
                s->other_ms = testing_random_int(r, 0, 1) ? 0 : testing_random_double(r, 0, s->latency_ms);
                s->cpu_ms = testing_random_int(r, 0, 1) ? 0 : testing_random_double(r, 0.1, 50);
        }
}

/* Disjoint runs of services become coalitions, each on one path or two. */
static void random_world(struct epoch_fixture *f, struct testing_random *r)
{
        size_t n, at = 0;

        epoch_fixture_init(f);
        f->rules.capacity_milli = (double)testing_random_int(r, 500, 8000);
        f->rules.reserve_milli = f->rules.capacity_milli / 10;
        f->rules.spare = testing_random_int(r, 0, 1) ? 1 : testing_random_double(r, 0, 1);
        f->rules.overload = testing_random_int(r, 0, 1) ? OVERLOAD_WEIGHTED : OVERLOAD_PROPORTIONAL;
        n = (size_t)testing_random_int(r, 3, EPOCH_FIXTURE_MAX);
        for (size_t i = 0; i < n; i++)
                random_service(f, r);
        while (at + 2 <= n && f->graph.paths.n_paths + 2 <= EPOCH_FIXTURE_PATHS_MAX) {
                size_t size = (size_t)testing_random_int(r, 2, 8);

                if (size > n - at)
                        size = n - at;
                epoch_fixture_add_path(f, testing_random_double(r, 0.5, 5), at, size)->target_ms =
                        testing_random_int(r, 0, 1) ? 0 : testing_random_double(r, 1, 500);
                if (testing_random_int(r, 0, 1))
                        epoch_fixture_add_path(f, testing_random_double(r, 0.5, 5), at, size / 2 + 1);
                epoch_fixture_add_coalition(f, at, size);
                at += size + (size_t)testing_random_int(r, 0, 2);
        }
}

static int64_t in_force(const struct epoch_service *s)
{
        return s->recent_milli[0] > 0 ? s->recent_milli[0] : 0;
}

static double most_of(const struct epoch_fixture *f, const struct epoch_service *s)
{
        return fmin(s->max_milli, fmax(f->rules.capacity_milli, s->baseline_milli));
}

static void check_coalition(const struct epoch_fixture *f, const struct epoch_coalition *c, struct met *met)
{
        const struct epoch_outcome *o = &f->outcome;
        double promised = 0, at_stake = 1;
        int64_t total = 0, moved = 0;
        size_t n_active = 0;

        for (size_t k = 0; k < c->n; k++) {
                size_t i = f->members[c->first + k];
                const struct epoch_service *s = &f->services[i];
                const struct epoch_decision *d = &f->decisions[i];
                double floor_milli = fmin(s->floor_milli, most_of(f, s));

                if (!(c->active & UINT32_C(1) << k))
                        continue;
                n_active++;
                total += d->alloc_milli;
                at_stake += d->importance * latency_ms(&d->latency, (double)d->alloc_milli);
                moved += llabs(d->alloc_milli - d->entitlement_milli);
                promised += fmin(s->baseline_milli, most_of(f, s));
                if (o->gate.verdict != VERDICT_APPLY)
                        continue;
                if (o->market.tier != TIER_STARVED)
                        ck_assert_double_ge((double)d->alloc_milli, floor(floor_milli) - 1);
                ck_assert_double_le((double)d->alloc_milli, ceil(most_of(f, s)) + 1);
        }
        ck_assert_uint_ge(n_active, 2);
        ck_assert_int_eq(total, c->total_milli);
        if (!isnan(c->division.v_before))
                ck_assert_double_le(c->division.v_after,
                                    c->division.v_before + 1e-9 * at_stake);
        ck_assert_double_ge(c->division.v_after, -1e-9 * at_stake);
        ck_assert_double_ge(c->plan.worth, -1e-9);
        if (c->division.verdict == VERDICT_REDUCED) {
                ck_assert_int_eq(o->gate.verdict, VERDICT_REDUCED);
                ck_assert_double_le(o->gate.step, c->division.step);
                met->n_shortened++;
        }
        if (o->gate.verdict == VERDICT_APPLY) {
                int64_t entitled = 0;

                for (size_t k = 0; k < c->n; k++)
                        if (c->active & UINT32_C(1) << k)
                                entitled += f->decisions[f->members[c->first + k]].entitlement_milli;
                ck_assert_int_eq(total, entitled);
                if (o->market.tier == TIER_CONGESTED || o->market.tier == TIER_UNCONGESTED)
                        ck_assert_double_ge((double)total, floor(promised) - (double)n_active);
        }
        met->n_formed++;
        met->n_moved += moved > 2;
}

static void check_epoch(const struct epoch_fixture *f, struct met *met)
{
        const struct epoch_outcome *o = &f->outcome;
        bool has_old = false;
        double credits = 0, credits_before = 0, at_stake = 0;
        int64_t sum_in_force = 0;

        met->tiers[o->market.tier]++;
        met->n_reduced += o->gate.verdict == VERDICT_REDUCED;
        for (size_t i = 0; i < f->n; i++) {
                const struct epoch_service *s = &f->services[i];
                const struct epoch_decision *d = &f->decisions[i];

                has_old = has_old || s->recent_milli[0] >= 0;
                sum_in_force += in_force(s);
                credits += d->credit;
                if (d->coalition != EPOCH_NO_COALITION)
                        at_stake += d->importance * latency_ms(&d->latency, fmax((double)d->alloc_milli, 0));
                credits_before += s->credit;
                ck_assert_double_le(fabs(d->credit), LEDGER_CREDIT_MAX);
                ck_assert_double_le(fabs(d->weight / s->weight - 1), LEDGER_WEIGHT_SWING + 1e-12);
                ck_assert_double_le(d->need_milli, fmax(s->need_milli, s->baseline_milli) + 1e-9);
                ck_assert_double_ge(d->need_milli + 1e-9,
                                    PRICE_FACTOR_MIN * fmin(s->need_milli, most_of(f, s)));
                met->n_targets += d->target_ms > 0;
                met->n_yielding += d->need_milli < fmin(s->need_milli, most_of(f, s)) - 1e-9;
        }
        met->n_projected += (double)sum_in_force > o->bargained_milli;
        ck_assert_double_eq_tol(credits, ledger_decay() * credits_before, 1e-9);
        ck_assert_double_le((double)epoch_fixture_sum(f), o->bargained_milli);
        ck_assert(isfinite(o->gate.v_after));
        if (has_old && o->gate.verdict != VERDICT_HOLD)
                ck_assert_double_le(o->gate.v_after,
                                    o->gate.v_before + 1e-9 * (1 + fabs(o->gate.v_before)) +
                                            1e-12 * at_stake);
        ck_assert_double_eq_tol(o->v_market + o->v_division, o->gate.v_after,
                                1e-9 * (1 + fabs(o->gate.v_after)));
        for (size_t c = 0; c < f->graph.n_coalitions; c++)
                if (f->coalitions[c].is_formed && !o->is_frozen)
                        check_coalition(f, &f->coalitions[c], met);
        for (size_t p = 0; p < f->graph.paths.n_paths; p++)
                ck_assert(f->paths[p].price >= 0 && f->paths[p].latency_ms >= 0);
}

START_TEST(promises_hold_with_coalitions_through_any_sequence_of_epochs)
{
        struct testing_random r = { testing_seed() };
        struct met met = { 0 };

        for (int k = 0; k < N_WORLDS; k++) {
                struct epoch_fixture f;

                random_world(&f, &r);
                for (int epoch = 0; epoch < N_EPOCHS; epoch++) {
                        if (testing_random_int(&r, 0, 5) == 0) {
                                f.rules.capacity_milli *= testing_random_double(&r, 0.5, 1.6);
                                f.rules.reserve_milli = f.rules.capacity_milli / 10;
                        }
                        random_measurements(&f, &r);
                        f.rules.is_frozen = testing_random_int(&r, 0, 19) == 0;
                        if (testing_random_int(&r, 0, 2) == 0)
                                f.state.monitor.step_max = testing_random_double(&r, 0.02, 1);
                        ck_assert_int_eq(epoch_fixture_decide(&f), 0);
                        check_epoch(&f, &met);
                        epoch_fixture_take_over(&f);
                }
        }
        for (int tier = TIER_OVERLOADED; tier < _TIER_MAX; tier++)
                ck_assert_int_gt(met.tiers[tier], 50);
        ck_assert_int_gt(met.n_formed, 3000);
        ck_assert_int_gt(met.n_moved, 1000);
        ck_assert_int_gt(met.n_targets, 1000);
        ck_assert_int_gt(met.n_yielding, 100);
        ck_assert_int_gt(met.n_projected, 50);
        ck_assert_int_gt(met.n_shortened, 200);
}
END_TEST

START_TEST(steady_measurements_settle_and_stay_with_coalitions)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_WORLDS; k++) {
                struct epoch_fixture f;
                int64_t settled[EPOCH_FIXTURE_MAX];

                random_world(&f, &r);
                random_measurements(&f, &r);
                for (size_t i = 0; i < f.n; i++) {
                        f.services[i].is_known = true;
                        f.services[i].elasticity = 0;
                        f.services[i].target_ms = 0;
                }
                for (size_t p = 0; p < f.graph.paths.n_paths; p++)
                        f.paths[p].target_ms = 0;
                for (int epoch = 0; epoch < 3; epoch++) {
                        epoch_fixture_pass(&f);
                        for (size_t i = 0; i < f.n; i++)
                                f.services[i].credit = 0;
                }
                for (size_t i = 0; i < f.n; i++)
                        settled[i] = f.decisions[i].alloc_milli;
                for (int epoch = 0; epoch < 4; epoch++) {
                        epoch_fixture_pass(&f);
                        for (size_t i = 0; i < f.n; i++) {
                                f.services[i].credit = 0;
                                ck_assert_int_eq(f.decisions[i].alloc_milli, settled[i]);
                        }
                }
        }
}
END_TEST

/* What two milli are worth to a service: levels are real, allocations whole. */
static double worth_of_rounding(const struct epoch_decision *d)
{
        double x = fmax((double)(d->alloc_milli < d->entitlement_milli ? d->alloc_milli : d->entitlement_milli) - 2, 0);

        return -2 * d->importance * latency_slope(&d->latency, x);
}

/* By the model, at the market's own totals. */
START_TEST(a_divided_coalition_is_no_worse_than_an_undivided_one)
{
        struct testing_random r = { testing_seed() };
        int n_better = 0;

        for (int k = 0; k < N_WORLDS; k++) {
                struct epoch_fixture f;

                random_world(&f, &r);
                random_measurements(&f, &r);
                ck_assert_int_eq(epoch_fixture_decide(&f), 0);
                for (size_t c = 0; c < f.graph.n_coalitions; c++) {
                        double gain = 0, at_stake = 0, rounding = 0;

                        if (!f.coalitions[c].is_formed)
                                continue;
                        for (size_t i = 0; i < f.n; i++)
                                if (f.decisions[i].coalition == c && f.services[i].is_known) {
                                        const struct epoch_decision *d = &f.decisions[i];

                                        gain += d->importance *
                                                (latency_ms(&d->latency, (double)d->entitlement_milli) -
                                                 latency_ms(&d->latency, (double)d->alloc_milli));
                                        at_stake += d->importance *
                                                    latency_ms(&d->latency, (double)d->entitlement_milli);
                                        rounding += worth_of_rounding(d);
                                }
                        ck_assert_double_ge(gain, -rounding);
                        n_better += gain > 1e-6 * at_stake;
                }
        }
        ck_assert_int_gt(n_better, 100);
}
END_TEST

/* Services, paths and members in another order: the same decision, but for a unit where two are equal. Members
 * that gain the same by a milli may have any of them get it: there it is the gain that is the same. */
START_TEST(the_order_of_services_and_paths_does_not_matter)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_WORLDS; k++) {
                struct epoch_fixture f, other;
                size_t place[EPOCH_FIXTURE_MAX];

                random_world(&f, &r);
                random_measurements(&f, &r);
                epoch_fixture_init(&other);
                other.rules = f.rules;
                other.n = f.n;
                for (size_t i = 0; i < f.n; i++)
                        place[i] = f.n - 1 - i;
                for (size_t i = 0; i < f.n; i++)
                        other.services[place[i]] = f.services[i];
                for (size_t p = f.graph.paths.n_paths; p-- > 0;) {
                        size_t n = f.path_first[p + 1] - f.path_first[p];
                        size_t last = place[f.path_members[f.path_first[p + 1] - 1]];

                        epoch_fixture_add_path(&other, f.paths[p].weight, last, n)->target_ms =
                                f.paths[p].target_ms;
                }
                for (size_t c = f.graph.n_coalitions; c-- > 0;) {
                        const struct epoch_coalition *x = &f.coalitions[c];

                        epoch_fixture_add_coalition(&other, place[f.members[x->first + x->n - 1]], x->n);
                }
                ck_assert_int_eq(epoch_fixture_decide(&f), 0);
                ck_assert_int_eq(epoch_fixture_decide(&other), 0);
                ck_assert_uint_eq(f.outcome.n_formed, other.outcome.n_formed);
                for (size_t i = 0; i < f.n; i++) {
                        const struct epoch_decision *a = &f.decisions[i], *b = &other.decisions[place[i]];

                        ck_assert_double_eq_tol(a->market_milli, b->market_milli,
                                                1e-5 * (1 + a->market_milli));
                        if (a->coalition == EPOCH_NO_COALITION)
                                ck_assert_int_le(llabs(a->alloc_milli - b->alloc_milli), 2);
                }
                for (size_t c = 0; c < f.graph.n_coalitions; c++) {
                        const struct epoch_coalition *x = &f.coalitions[c];
                        const struct epoch_coalition *y = &other.coalitions[f.graph.n_coalitions - 1 - c];

                        ck_assert_int_le(llabs(x->total_milli - y->total_milli), 2);
                        ck_assert_double_eq_tol(x->plan.worth, y->plan.worth, 1e-4 * (1 + x->plan.worth));
                }
        }
}
END_TEST

/* ---- the closed loop ---------------------------------------------------------------------------- */

#define N_LOOPS 40
#define N_LOOP_EPOCHS 300
#define N_SETTLING_EPOCHS 200
/* Moves of so much are rounding, and what credits shift within a few epochs. */
#define STILL_MILLI 3
#define FLIPS_MAX 40
#define LATE_FLIPS_MAX 10
/* What a third of an hour of credits may shift, of the capacity. */
#define DRIFT_MAX 0.02

/* Services whose latency is what the model says, with a work per request that nobody told. What comes beyond
 * what a service holds queues up, for as long as it takes: then latency is the queue's length. Half of the
 * services on a path call the next, if that one reports, and wait for it. */
struct loop {
        struct epoch_fixture f;
        struct latency_model truth[EPOCH_FIXTURE_MAX];
        double backlog_milli_sec[EPOCH_FIXTURE_MAX];
        double latency_ms[EPOCH_FIXTURE_MAX];
        struct call waits[EPOCH_FIXTURE_MAX * EPOCH_FIXTURE_PATHS_MAX];
        size_t n_waits;
        bool reports[EPOCH_FIXTURE_MAX];
        int64_t moved_to[EPOCH_FIXTURE_MAX];
        int direction[EPOCH_FIXTURE_MAX];
        int n_flips[EPOCH_FIXTURE_MAX], n_late_flips[EPOCH_FIXTURE_MAX];
        int64_t low[EPOCH_FIXTURE_MAX], high[EPOCH_FIXTURE_MAX]; /* once settled */
};

static void random_loop(struct loop *l, struct testing_random *r)
{
        struct epoch_fixture *f = &l->f;

        *l = (struct loop){ 0 };
        random_world(f, r);
        for (size_t i = 0; i < f->n; i++) {
                struct epoch_service *s = &f->services[i];

                s->load_milli = testing_random_double(r, 0, f->rules.capacity_milli * 1.6 / (double)f->n);
                s->elasticity = 0;
                l->truth[i] = latency_from_load(s->load_milli, exp(testing_random_double(r, 5, 11)));
                l->reports[i] = testing_random_int(r, 0, 3) > 0;
                l->low[i] = INT64_MAX;
        }
        /* Services are numbered along their paths, so these are in the order of callgraph_waits(). */
        for (size_t i = f->n - 1; i-- > 0;)
                for (size_t p = 0; p < f->graph.paths.n_paths; p++) {
                        size_t first = f->path_members[f->path_first[p]];

                        if (i < first || i + 1 >= first + f->path_first[p + 1] - f->path_first[p] ||
                            testing_random_int(r, 0, 1) || !l->reports[i + 1])
                                continue;
                        l->waits[l->n_waits++] = (struct call){ i, i + 1, 1 };
                        break;
                }
}

/* What is reported at the end of an epoch. */
static void measure_loop(struct loop *l)
{
        struct epoch_fixture *f = &l->f;

        for (size_t i = 0; i < f->n; i++) {
                struct epoch_service *s = &f->services[i];
                double x = fmax((double)s->recent_milli[0], 0), *backlog = &l->backlog_milli_sec[i];

                s->need_milli = DEMAND_MARGIN * s->load_milli;
                if (s->recent_milli[0] < 0)
                        continue;
                *backlog = fmax(0, *backlog + (s->load_milli - x) * f->rules.epoch_sec);
                l->latency_ms[i] = fmin(1000 * *backlog / fmax(x, 1), 3600e3) +
                                   latency_ms(&l->truth[i], fmax(x, s->load_milli + l->truth[i].margin_milli));
        }
        for (size_t k = 0; k < l->n_waits; k++)
                l->latency_ms[l->waits[k].caller] += l->latency_ms[l->waits[k].callee];
        for (size_t i = 0; i < f->n; i++)
                if (l->reports[i] && f->services[i].recent_milli[0] >= 0) {
                        f->services[i].latency_at_milli = (double)f->services[i].recent_milli[0];
                        f->services[i].latency_ms = l->latency_ms[i];
                }
}

static void raise_needs(struct loop *l)
{
        struct epoch_fixture *f = &l->f;

        epoch_read_waits(f->services, f->n, l->waits, l->n_waits);
        for (size_t i = 0; i < f->n; i++)
                f->services[i].need_milli = fmax(f->services[i].need_milli, f->services[i].target_need_milli);
}

/* The obvious needs: from what was measured last, of oneself and of whom one waits for, whatever everybody held
 * then. */
static void raise_needs_naively(struct loop *l)
{
        struct epoch_fixture *f = &l->f;

        for (size_t i = 0; i < f->n; i++)
                f->services[i].other_ms = f->services[i].work_milli_ms = 0;
        for (size_t k = 0; k < l->n_waits; k++)
                if (f->services[l->waits[k].caller].latency_ms > 0)
                        f->services[l->waits[k].caller].other_ms += f->services[l->waits[k].callee].latency_ms;
        for (size_t i = 0; i < f->n; i++) {
                struct epoch_service *s = &f->services[i];
                double last_ms = f->decisions[i].target_ms;
                struct slo slo = { .target_ms = s->target_ms, .steepness_per_ms = f->rules.sensitivity_per_ms };

                if (last_ms > 0 && (slo.target_ms <= 0 || last_ms < slo.target_ms))
                        slo.target_ms = last_ms;
                if (slo.target_ms > 0 && s->latency_ms > 0 &&
                    latency_calibrate(s->load_milli, s->other_ms, s->latency_ms, s->latency_at_milli,
                                      &slo.latency) == 0)
                        s->need_milli = fmax(s->need_milli, fmin(slo_need_milli(&slo), s->max_milli));
        }
}

static void watch_loop(struct loop *l, int epoch)
{
        for (size_t i = 0; i < l->f.n; i++) {
                int64_t x = l->f.decisions[i].alloc_milli;
                int direction = x > l->moved_to[i] ? 1 : -1;

                if (epoch >= N_SETTLING_EPOCHS) {
                        l->low[i] = x < l->low[i] ? x : l->low[i];
                        l->high[i] = x > l->high[i] ? x : l->high[i];
                }
                if (llabs(x - l->moved_to[i]) <= STILL_MILLI)
                        continue;
                l->n_flips[i] += direction == -l->direction[i];
                l->n_late_flips[i] += epoch >= N_SETTLING_EPOCHS && direction == -l->direction[i];
                l->direction[i] = direction;
                l->moved_to[i] = x;
        }
}

struct settling {
        int n_targets, n_waits, n_overloaded;
        int most_flips, most_late_flips;
        double widest;                  /* of what moved late, of the capacity */
        int n_swinging, n_drifting;     /* worlds */
};

static struct settling run_loops(bool is_naive)
{
        struct testing_random r = { testing_seed() };
        struct settling met = { 0 };

        for (int k = 0; k < N_LOOPS; k++) {
                static struct loop l;
                bool is_swinging = false, is_drifting = false;

                random_loop(&l, &r);
                for (int epoch = 0; epoch < N_LOOP_EPOCHS; epoch++) {
                        measure_loop(&l);
                        if (is_naive)
                                raise_needs_naively(&l);
                        else
                                raise_needs(&l);
                        epoch_fixture_pass(&l.f);
                        watch_loop(&l, epoch);
                }
                met.n_waits += (int)l.n_waits;
                for (size_t i = 0; i < l.f.n; i++) {
                        double moved = (double)(l.high[i] - l.low[i]) / l.f.rules.capacity_milli;

                        met.n_targets += l.f.decisions[i].target_ms > 0;
                        met.n_overloaded += l.backlog_milli_sec[i] > 0 && l.reports[i];
                        met.most_flips = l.n_flips[i] > met.most_flips ? l.n_flips[i] : met.most_flips;
                        met.most_late_flips = l.n_late_flips[i] > met.most_late_flips ? l.n_late_flips[i]
                                                                                      : met.most_late_flips;
                        met.widest = fmax(met.widest, moved);
                        is_swinging |= l.n_late_flips[i] > LATE_FLIPS_MAX;
                        is_drifting |= moved > DRIFT_MAX;
                }
                met.n_swinging += is_swinging;
                met.n_drifting += is_drifting;
        }
        fprintf(stderr, "# %s: %d targets, %d wait, %d in overload; of %d worlds %d swing; %d turns at most, %d of them "
                        "in the last %d epochs, in which %.2g of the capacity moved; %d worlds drift\n",
                is_naive ? "naive" : "as it is", met.n_targets, met.n_waits, met.n_overloaded, N_LOOPS, met.n_swinging,
                met.most_flips, met.most_late_flips, N_LOOP_EPOCHS - N_SETTLING_EPOCHS, met.widest, met.n_drifting);
        return met;
}

/* Reports follow from allocations, needs from reports, allocations from needs. */
START_TEST(allocations_settle_where_reports_and_needs_follow_from_them)
{
        struct settling met = run_loops(false);

        ck_assert_int_gt(met.n_targets, 2 * N_LOOPS);
        ck_assert_int_gt(met.n_waits, 2 * N_LOOPS);
        ck_assert_int_gt(met.n_overloaded, N_LOOPS);
        ck_assert_int_eq(met.n_swinging, 0);
        ck_assert_int_le(met.most_flips, FLIPS_MAX);
        /* A queue that grew for an hour takes its time to drain: those move on, in one direction. */
        ck_assert_int_le(met.n_drifting, N_LOOPS / 5);
}
END_TEST

/* What the test above is able to see. */
START_TEST(needs_from_what_was_measured_last_swing_for_ever)
{
        struct settling met = run_loops(true);

        ck_assert_int_gt(met.n_swinging, N_LOOPS / 10);
        ck_assert_int_gt(met.most_flips, N_LOOP_EPOCHS / 2);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("prop_coalitions");
        TCase *epochs = tcase_create("epochs");

        tcase_add_test(epochs, promises_hold_with_coalitions_through_any_sequence_of_epochs);
        tcase_add_test(epochs, steady_measurements_settle_and_stay_with_coalitions);
        tcase_add_test(epochs, a_divided_coalition_is_no_worse_than_an_undivided_one);
        tcase_add_test(epochs, the_order_of_services_and_paths_does_not_matter);
        tcase_add_test(epochs, allocations_settle_where_reports_and_needs_follow_from_them);
        tcase_add_test(epochs, needs_from_what_was_measured_last_swing_for_ever);
        suite_add_tcase(s, epochs);
        return s;
}

int main(void)
{
        return testing_run(suite());
}
