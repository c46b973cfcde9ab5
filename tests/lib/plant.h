/* SPDX-License-Identifier: MIT */
#pragma once

/* A host under control, honest about what the kernel shows and what it hides: services with requests that come
 * at random, the fair scheduler, ceilings per period of 100 ms, and the counters that are read of them.
 *
 *  usage           what ran; what is offered shows nowhere
 *  nr_throttled    periods in which the ceiling was reached with work left
 *  PSI some        time in which somebody waited: for a CPU, and while throttled, because a throttled task stays
 *                  runnable; and a share of the time even in health
 *
 * Epochs are decided as the daemon does: demand_observe() each second, demand_estimate(), epoch_decide() with what
 * enforce makes of it. A test may put another estimator in between. With has_guard the guard watches between them,
 * and every write goes the way it goes in the daemon: shrinks before growths, none twice in two seconds. */

#include "core/demand.h"
#include "core/guard.h"
#include "core/waterfill.h"
#include "lib/epoch_fixture.h"

#define PLANT_MAX 8
#define PLANT_PERIODS_PER_SEC 10
#define PLANT_EPOCH_SEC 15
/* CPU of one request: 5 ms, so that arrivals in a period vary as those of real services do. */
#define PLANT_REQUEST_MILLI 50.0 /* over a period of 100 ms */
/* Who is not served for so long goes away. */
#define PLANT_PATIENCE_SEC 2.0

/* ---- what is watched ------------------------------------------------------------------------------ */

/* How a quantity moves: turns that are larger than a share of it, and its extremes. */
struct plant_track {
        double share;                   /* a smaller move is none */
        double at, low, high, sum;
        int direction, n_flips, n;
};

static inline void plant_watch(struct plant_track *t, double now)
{
        if (t->n++ == 0) {
                t->at = t->low = t->high = t->sum = now;
                return;
        }
        t->low = fmin(t->low, now);
        t->high = fmax(t->high, now);
        t->sum += now;
        if (fabs(now - t->at) <= t->share * fmax(t->at, 1))
                return;
        t->n_flips += t->direction != 0 && (now > t->at ? 1 : -1) != t->direction;
        t->direction = now > t->at ? 1 : -1;
        t->at = now;
}

static inline double plant_mean(const struct plant_track *t)
{
        return t->sum / t->n;
}

/* ---- the world ------------------------------------------------------------------------------------ */

struct plant_service {
        double offered_milli;
        bool is_hog;                    /* always has more to do */
        unsigned on_sec, off_sec;       /* offers that only by turns; 0: all the time */
        double healthy_stall;           /* share of time, alone on the host */
        /* the world's */
        double queue_milli;             /* of work left, in milli over a period */
        double quota_milli;             /* INFINITY: none */
        double weight;
        struct unit_counters counters;
        bool was_written;
        double use_milli;               /* mean of the last epoch */
        /* the controller's */
        struct demand_state demand;
        struct demand_estimate estimate;
        double need_milli, load_milli;  /* what the estimator made of it */
        /* with a guard */
        struct guard_state guard;
        struct guard_memory memory;
        enum guard_alarm alarm;
        int64_t wanted_milli;
        uint64_t written_usec;          /* 0: never */
        bool is_urgent, was_written_since_poll;
        struct plant_track ceiling;     /* after each write */
        unsigned n_raises;              /* by the guard */
        uint64_t raised_usec;           /* the first of them; 0: none */
};

struct plant {
        struct epoch_fixture f;
        struct testing_random random;
        struct plant_service s[PLANT_MAX];      /* in step with f.services */
        struct plant_service unmanaged;
        struct demand_unmanaged unmanaged_load;
        double idle_share;
        /* Replaces what was estimated of a service; NULL: nothing does. */
        void (*estimator)(struct plant *, size_t i);
        bool holds_unmanaged;           /* load of what is unmanaged, as the daemon does */
        bool has_guard;
        /* The guard as it would be the obvious way. */
        bool forgets_recalls, lends_to_the_brim, drops_before_write;
        uint64_t now_usec;
};

static inline void plant_init(struct plant *p, enum enforce enforce, double capacity_milli, uint64_t seed)
{
        *p = (struct plant){ .random = { seed }, .holds_unmanaged = true };
        epoch_fixture_init(&p->f);
        p->f.rules.enforce = enforce;
        p->f.rules.capacity_milli = capacity_milli;
        p->f.rules.reserve_milli = capacity_milli / 10;
        p->unmanaged = (struct plant_service){ .weight = 100, .quota_milli = INFINITY, .healthy_stall = 0.1 };
}

static inline struct plant_service *plant_add(struct plant *p, double offered_milli, double weight)
{
        size_t i = p->f.n;

        epoch_fixture_add(&p->f, 0, 0)->weight = weight;
        p->s[i] = (struct plant_service){
                .offered_milli = offered_milli,
                .healthy_stall = 0.2,
                .quota_milli = INFINITY,
                .wanted_milli = QUOTA_NONE_MILLI,
                .weight = 100,
                .counters = { .at_usec = 1, .has_bandwidth = true, .has_pressure = true },
        };
        (void)demand_observe(&p->s[i].demand, &p->s[i].counters, false);
        return &p->s[i];
}

static inline struct plant_service *plant_add_hog(struct plant *p, double weight)
{
        struct plant_service *s = plant_add(p, 0, weight);

        s->is_hog = true;
        s->healthy_stall = 0.9;
        return s;
}

/* Knuth's; means are small. */
static inline double plant_arrivals(struct testing_random *r, double mean)
{
        double limit = exp(-mean), product = testing_random_double(r, 0, 1);
        int n = 0;

        while (product > limit) {
                product *= testing_random_double(r, 0, 1);
                n++;
        }
        return n;
}

static inline void plant_arrive(struct plant *p, struct plant_service *s)
{
        bool is_off = s->off_sec > 0 && p->now_usec / 1000000 % (s->on_sec + s->off_sec) >= s->on_sec;
        double offered_milli = is_off ? 0 : s->offered_milli;
        double most_milli = s->offered_milli * PLANT_PATIENCE_SEC * PLANT_PERIODS_PER_SEC;

        if (s->is_hog) {
                s->queue_milli = 10 * p->f.rules.capacity_milli;
                return;
        }
        s->queue_milli += PLANT_REQUEST_MILLI * plant_arrivals(&p->random, offered_milli / PLANT_REQUEST_MILLI);
        s->queue_milli = fmin(s->queue_milli, fmax(most_milli, PLANT_REQUEST_MILLI));
}

/* What ran for a period becomes counters. @busy_share: of the host. */
static inline void plant_account(struct plant *p, struct plant_service *s, double ran_milli, double busy_share)
{
        const double period_usec = 1e6 / PLANT_PERIODS_PER_SEC;
        double left_milli = s->queue_milli - ran_milli, throttled = 0, waiting;
        bool is_throttled = left_milli > 1e-9 && ran_milli >= s->quota_milli - 1e-9;

        /* It runs on all CPUs until the ceiling is reached, and waits for the rest of the period. */
        if (is_throttled)
                throttled = fmax(0, 1 - s->quota_milli / fmin(s->queue_milli, p->f.rules.capacity_milli));
        waiting = left_milli > 1e-9 && !is_throttled ? 1 : s->healthy_stall * (0.5 + 0.5 * busy_share);
        s->queue_milli = left_milli;
        s->use_milli += ran_milli / (PLANT_PERIODS_PER_SEC * PLANT_EPOCH_SEC);
        s->counters.usage_usec += (uint64_t)lround(ran_milli * USEC_PER_MILLI / PLANT_PERIODS_PER_SEC);
        s->counters.stalled_usec += (uint64_t)lround((throttled + (1 - throttled) * waiting) * period_usec);
        s->counters.at_usec += (uint64_t)period_usec;
        if (isfinite(s->quota_milli)) {
                s->counters.nr_periods++;
                s->counters.nr_throttled += is_throttled;
                s->counters.throttled_usec += (uint64_t)lround(throttled * period_usec);
        }
}

/* One period. Return: what ran of it all. */
static inline double plant_period(struct plant *p)
{
        double bound[PLANT_MAX + 1], weight[PLANT_MAX + 1], share[PLANT_MAX + 1], theta, busy = 0;
        size_t order[PLANT_MAX + 1], n = p->f.n;

        for (size_t i = 0; i <= n; i++) {
                struct plant_service *s = i < n ? &p->s[i] : &p->unmanaged;

                plant_arrive(p, s);
                bound[i] = fmin(s->queue_milli, s->quota_milli);
                weight[i] = s->weight;
        }
        ck_assert_int_eq(waterfill_solve(bound, weight, n + 1, p->f.rules.capacity_milli, order, share, &theta), 0);
        for (size_t i = 0; i <= n; i++)
                busy += share[i];
        for (size_t i = 0; i <= n; i++)
                plant_account(p, i < n ? &p->s[i] : &p->unmanaged, share[i], busy / p->f.rules.capacity_milli);
        return busy;
}

static inline void plant_estimate(struct plant *p, size_t i)
{
        struct plant_service *s = &p->s[i];
        const struct epoch_service *e = &p->f.services[i];
        const struct epoch_rules *rules = &p->f.rules;
        double weight_sum = 0;
        struct demand_context c = {
                .epoch_usec = PLANT_EPOCH_SEC * 1e6,
                .sample_interval_usec = 1e6,
                .allocation_milli = (double)e->recent_milli[0],
                .quota_milli = s->quota_milli,
                .quota_is_share = p->has_guard && rules->enforce == ENFORCE_QUOTA,
                .baseline_milli = e->baseline_milli,
                .max_milli = e->max_milli,
                .host_idle_share = p->idle_share,
                .is_starting = s->demand.n_estimates == 0 && e->recent_milli[0] < 0,
        };

        for (size_t k = 0; k < p->f.n; k++)
                weight_sum += p->f.services[k].weight;
        c.grace_milli = (rules->capacity_milli - rules->reserve_milli) * e->weight / weight_sum;
        demand_estimate(&s->demand, &c, &s->estimate);
        ck_assert(s->estimate.is_known);
        s->need_milli = s->estimate.need_milli;
        s->load_milli = s->estimate.load_milli;
        if (p->estimator)
                p->estimator(p, i);
}

/* ---- the guard, and the way of a write ---------------------------------------------------------------- */

static inline int64_t plant_ceiling(const struct plant_service *s)
{
        return isfinite(s->quota_milli) ? (int64_t)s->quota_milli : QUOTA_NONE_MILLI;
}

static inline bool plant_may_write(const struct plant *p, const struct plant_service *s)
{
        return s->written_usec == 0 || p->now_usec - s->written_usec >= GUARD_WRITE_INTERVAL_USEC;
}

static inline double plant_budget_milli(const struct plant *p)
{
        double left_milli = p->f.rules.capacity_milli - p->f.rules.reserve_milli;

        return p->f.rules.enforce == ENFORCE_QUOTA ? left_milli : INFINITY;
}

static inline void plant_write(struct plant *p, struct plant_service *s, int64_t quota_milli)
{
        double was_milli = s->quota_milli;

        if (!s->was_written && !p->drops_before_write)
                demand_observe_until_write(&s->demand, &s->counters);
        s->quota_milli = quota_milli == QUOTA_NONE_MILLI ? INFINITY : (double)quota_milli;
        plant_watch(&s->ceiling, fmin(s->quota_milli, 2 * p->f.rules.capacity_milli));
        if (s->is_urgent && s->quota_milli > was_milli) {
                if (s->n_raises++ == 0)
                        s->raised_usec = p->now_usec;
                guard_note_raise(&s->memory, (int64_t)was_milli, quota_milli);
        } else if (!s->is_urgent && s->quota_milli < was_milli && isfinite(was_milli)) {
                guard_note_lowering(&s->memory, (int64_t)was_milli, quota_milli, demand_recent_use_milli(&s->demand));
        }
        s->is_urgent = false;
        s->written_usec = p->now_usec;
        s->was_written = s->was_written_since_poll = true;
}

/* What waits and may be written now. */
static inline void plant_make_round(struct plant *p)
{
        double budget_milli = plant_budget_milli(p);

        for (int phase = ENFORCE_SHRINK; phase <= ENFORCE_GROW; phase++) {
                struct enforce_transition t[PLANT_MAX] = { 0 };
                int64_t quota_milli[PLANT_MAX];
                size_t order[PLANT_MAX], n_left;

                for (size_t i = 0; i < p->f.n; i++) {
                        const struct plant_service *s = &p->s[i];

                        t[i] = (struct enforce_transition){
                                .in_force_milli = plant_ceiling(s),
                                .wanted_milli = s->wanted_milli,
                                .may_write = plant_may_write(p, s) && p->f.services[i].recent_milli[0] >= 0,
                                .is_urgent = s->is_urgent,
                                .is_restless = isfinite(s->quota_milli) && p->f.decisions[i].is_satisfied &&
                                               !guard_may_lower(&s->guard),
                        };
                }
                (void)enforce_next_writes((enum enforce_phase)phase, t, p->f.n, budget_milli, 0.02, SIZE_MAX, order,
                                          quota_milli, &n_left);
                for (size_t i = 0; i < p->f.n; i++)
                        if (quota_milli[i] >= 0)
                                plant_write(p, &p->s[i], quota_milli[i]);
        }
}

static inline struct guard_unit plant_guard_unit(const struct plant *p, size_t i)
{
        const struct plant_service *s = &p->s[i];
        const struct epoch_service *e = &p->f.services[i];
        const struct epoch_decision *d = &p->f.decisions[i];
        double use_milli = demand_recent_use_milli(&s->demand);

        return (struct guard_unit){
                .alarm = s->alarm,
                .ceiling_milli = plant_ceiling(s),
                .planned_milli = d->quota_milli,
                .alloc_milli = d->alloc_milli,
                .load_milli = s->load_milli,
                .was_recalled = !p->forgets_recalls && guard_was_recalled(&s->memory, plant_ceiling(s), use_milli),
                .keep_milli = guard_keep_milli(e->baseline_milli, d->need_milli, use_milli, false),
                .use_milli = use_milli,
                .max_milli = fmin(e->max_milli, e->bound_milli),
                .may_write = plant_may_write(p, s),
                .is_quiet = guard_may_lower(&s->guard),
        };
}

static inline void plant_raise(struct plant *p)
{
        struct guard_rules rules = {
                .mode = p->f.rules.enforce,
                .capacity_milli = p->f.rules.capacity_milli,
                .budget_milli = fmin(plant_budget_milli(p), p->lends_to_the_brim ? INFINITY : p->f.outcome.bargained_milli),
                .headroom_milli = p->f.rules.headroom_milli,
        };
        struct guard_unit units[PLANT_MAX];
        int64_t quota_milli[PLANT_MAX];

        for (size_t i = 0; i < p->f.n; i++)
                units[i] = plant_guard_unit(p, i);
        if (guard_plan(&rules, units, p->f.n, quota_milli) == 0)
                return;
        for (size_t i = 0; i < p->f.n; i++) {
                if (quota_milli[i] < 0)
                        continue;
                p->s[i].wanted_milli = quota_milli[i];
                p->s[i].is_urgent = true;
        }
        plant_make_round(p);
}

/* At the end of a period: every second one is a poll, and who is suspect is looked at after each. */
static inline void plant_guard(struct plant *p)
{
        bool is_poll = p->now_usec % GUARD_POLL_USEC == 0, has_alarm = false;

        for (size_t i = 0; i < p->f.n; i++) {
                struct plant_service *s = &p->s[i];

                if (!isfinite(s->quota_milli) || !(is_poll || s->alarm == GUARD_SUSPECT))
                        continue;
                s->alarm = guard_observe(&s->guard, p->now_usec, s->counters.nr_periods, s->counters.nr_throttled,
                                         s->was_written_since_poll);
                s->was_written_since_poll = false;
                if (s->alarm < GUARD_THROTTLED)
                        continue;
                guard_note_alarm(&s->memory);
                has_alarm = true;
        }
        if (has_alarm)
                plant_raise(p);
        plant_make_round(p);
}

static inline void plant_apply(struct plant *p)
{
        for (size_t i = 0; i < p->f.n; i++) {
                const struct epoch_decision *d = &p->f.decisions[i];
                struct plant_service *s = &p->s[i];

                if (d->cpu_weight > 0)
                        s->weight = d->cpu_weight;
                s->wanted_milli = d->quota_milli;
                s->is_urgent = false;
                if (p->has_guard)
                        continue;
                s->was_written = enforce_quota_differs(plant_ceiling(s), d->quota_milli, 0.02);
                if (s->was_written)
                        s->quota_milli = d->quota_milli == QUOTA_NONE_MILLI ? INFINITY : (double)d->quota_milli;
        }
        if (p->has_guard)
                plant_make_round(p);
}

/* An epoch of the world, and the decision at its end. */
static inline void plant_epoch(struct plant *p)
{
        double busy = 0;

        for (size_t i = 0; i < p->f.n; i++)
                p->s[i].use_milli = 0;
        p->unmanaged.use_milli = 0;
        for (int second = 0; second < PLANT_EPOCH_SEC; second++) {
                for (int k = 0; k < PLANT_PERIODS_PER_SEC; k++) {
                        busy += plant_period(p);
                        p->now_usec += 1000000 / PLANT_PERIODS_PER_SEC;
                        if (p->has_guard)
                                plant_guard(p);
                }
                for (size_t i = 0; i < p->f.n; i++) {
                        (void)demand_observe(&p->s[i].demand, &p->s[i].counters, p->s[i].was_written);
                        p->s[i].was_written = false;
                }
        }
        p->idle_share = 1 - busy / (p->f.rules.capacity_milli * PLANT_PERIODS_PER_SEC * PLANT_EPOCH_SEC);
        if (p->holds_unmanaged)
                demand_track_unmanaged(&p->unmanaged_load, p->unmanaged.use_milli, p->idle_share,
                                       PLANT_EPOCH_SEC * 1e6);
        else
                p->unmanaged_load.load_milli = p->unmanaged.use_milli;
        p->f.rules.unmanaged_milli = p->unmanaged_load.load_milli;
        p->f.groups[0].busy_unmanaged_weight = p->unmanaged.use_milli > 10 ? p->unmanaged.weight : 0;
        for (size_t i = 0; i < p->f.n; i++) {
                struct epoch_service *e = &p->f.services[i];

                plant_estimate(p, i);
                e->need_milli = p->s[i].need_milli;
                e->load_milli = p->s[i].load_milli;
                e->is_elastic = p->s[i].estimate.is_elastic;
                e->has_use = p->s[i].estimate.is_known;
                e->use_milli = p->s[i].estimate.use_mean_milli;
                e->hardship = p->s[i].estimate.hardship;
                if (p->has_guard) {
                        e->ceiling_milli = isfinite(p->s[i].quota_milli) ? plant_ceiling(&p->s[i]) : 0;
                        guard_note_epoch(&p->s[i].memory);
                }
        }
        epoch_fixture_pass(&p->f);
        plant_apply(p);
}

static inline void plant_epochs(struct plant *p, int n)
{
        for (int i = 0; i < n; i++)
                plant_epoch(p);
}

static inline double plant_alloc(const struct plant *p, size_t i)
{
        return (double)p->f.services[i].recent_milli[0];
}
