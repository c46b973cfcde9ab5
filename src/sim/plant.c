/* SPDX-License-Identifier: MIT */

#include "sim/plant.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "core/waterfill.h"
#include "sim/earliest.h"

/* Two events this close are at the same time and doubles disagree about it: a period then begins, and a
 * thread then ends, before the runtime is used up. Time is exact to 1e-6 us even after an hour. */
#define TIE_USEC 1e-3

/* kernel/sched/psi.c and include/linux/sched/loadavg.h: PSI_FREQ at HZ=250, EXP_10s, FSHIFT. */
#define PSI_PERIOD_USEC 2004000.0
#define PSI_FIXED_ONE 2048u
#define PSI_EXP_10S 1677u

#define NONE SIZE_MAX
/* More than that at one time is a change to the whole host. */
#define CHANGES_MAX 8

/* What ends a stretch of constant rates. Of two at the same time the first one here goes first. */
enum event {
        EVENT_END,                      /* of a thread */
        EVENT_PERIOD,
        EVENT_EMPTY,                    /* of runtime */
};

struct thread {
        double end_usec;                /* in units of group.attained_usec */
        uint32_t tag;
};

/* Time since the last look, by the number of CPUs that had something to run. */
struct psi {
        double *nonidle_usec;           /* [1..n_cpus], each: exactly so many */
        double *waited_usec;            /* of that, without running */
        double *crowded_usec;           /* [j]: one runs, and another waits, on j CPUs */
        unsigned n_touched;
        double some_usec, full_usec;    /* totals */
        double some_before_usec, full_before_usec; /* at the last average */
        unsigned some_avg10, full_avg10; /* fixed point */
};

struct group {
        /* what was declared or written */
        size_t parent;
        unsigned n_threads_max;
        double weight, quota_usec, burst_usec, phase_usec;

        /* who wants to run */
        struct thread *threads;         /* a heap: first to end on top */
        unsigned n_threads;
        unsigned n_runnable;            /* threads, with those below */
        unsigned demand_cpus;           /* that it could run on; of what holds groups, the sum of theirs */
        unsigned demand_below_cpus;     /* that sum, also while it is throttled itself */
        size_t first, next, previous;   /* groups inside, and beside it, with something runnable */

        /* rates, constant since settled_usec */
        double settled_usec;
        double share_cpus;
        double pace;                    /* work done of each thread per time */
        double attained_usec;           /* work done of a thread that ran all along */

        double runtime_usec;
        double next_period_usec;
        bool is_ticking, is_resting, is_throttled;
        enum event next_event;

        double used_usec, throttled_usec;
        uint64_t nr_periods, nr_throttled;
        struct psi psi;
};

struct plant {
        double now_usec;
        double next_average_usec;
        double slowdown, slowdown_from, speed;
        unsigned n_cpus, n_cpus_max;
        size_t n_groups;                /* the root is one more, behind the last */
        bool is_contended;              /* somebody gets less than it could run on */
        size_t changed[CHANGES_MAX];    /* groups, since shares were last made */
        size_t n_changed;
        bool is_all_changed;
        bool is_sharing;                /* all shares are being made: events are entered afterwards */
        struct group *groups;
        struct earliest events;

        /* for sharing */
        double *bound, *weight, *share;
        size_t *order, *member;

        double *event_at_usec, *psi_times;
        uint32_t *winner;
        struct thread *threads;
};

/* ---- threads ------------------------------------------------------------------------------------ */

static bool ends_before(struct thread a, struct thread b)
{
        return a.end_usec != b.end_usec ? a.end_usec < b.end_usec : a.tag < b.tag;
}

static void push_thread(struct group *g, struct thread t)
{
        size_t hole = g->n_threads++;

        while (hole > 0 && ends_before(t, g->threads[(hole - 1) / 2])) {
                g->threads[hole] = g->threads[(hole - 1) / 2];
                hole = (hole - 1) / 2;
        }
        g->threads[hole] = t;
}

static struct thread pop_thread(struct group *g)
{
        struct thread top = g->threads[0], last = g->threads[--g->n_threads];
        size_t hole = 0;

        for (size_t child; (child = 2 * hole + 1) < g->n_threads; hole = child) {
                if (child + 1 < g->n_threads && ends_before(g->threads[child + 1], g->threads[child]))
                        child++;
                if (!ends_before(g->threads[child], last))
                        break;
                g->threads[hole] = g->threads[child];
        }
        g->threads[hole] = last;
        return top;
}

/* ---- counters ----------------------------------------------------------------------------------- */

static bool has_quota(const struct group *g)
{
        return isfinite(g->quota_usec);
}

static unsigned least(unsigned a, unsigned b)
{
        return a < b ? a : b;
}

static void count_pressure(struct psi *psi, unsigned n_runnable, unsigned n_cpus, double share_cpus, double usec)
{
        unsigned n_nonidle = least(n_runnable, n_cpus);
        unsigned n_crowded = least(n_runnable - n_nonidle, n_nonidle);
        double running = fmin(share_cpus / n_nonidle, 1);

        psi->nonidle_usec[n_nonidle] += usec;
        psi->waited_usec[n_nonidle] += (1 - running) * usec;
        psi->crowded_usec[n_crowded] += running * usec; /* [0] is never read */
        if (n_nonidle > psi->n_touched)
                psi->n_touched = n_nonidle;
}

/* Brings a group up to now. Before whatever its rates depend on is changed. */
static void settle(struct plant *p, struct group *g)
{
        double usec = p->now_usec - g->settled_usec, used_usec;

        g->settled_usec = p->now_usec;
        if (g->n_runnable == 0 || !(usec > 0))
                return;
        used_usec = g->share_cpus * usec;
        g->used_usec += used_usec;
        g->attained_usec += g->pace * usec;
        if (used_usec > 0)
                g->is_resting = false;
        if (has_quota(g))
                g->runtime_usec = fmax(g->runtime_usec - used_usec, 0);
        if (g->is_throttled)
                g->throttled_usec += least(g->n_runnable, p->n_cpus) * usec;
        count_pressure(&g->psi, g->n_runnable, p->n_cpus, g->share_cpus, usec);
}

static void settle_upwards(struct plant *p, size_t i)
{
        for (; i != NONE; i = p->groups[i].parent)
                settle(p, &p->groups[i]);
}

/* collect_percpu_times(): each CPU counts by the time in which it had something to run. */
static void collect_pressure(struct psi *psi)
{
        double nonidle = 0, waited = 0, crowded = 0, weight = 0, some = 0, full = 0;

        for (unsigned j = psi->n_touched; j > 0; j--) {
                nonidle += psi->nonidle_usec[j];
                waited += psi->waited_usec[j];
                crowded += psi->crowded_usec[j];
                psi->nonidle_usec[j] = psi->waited_usec[j] = psi->crowded_usec[j] = 0;
                weight += nonidle;
                some += (waited + crowded) * nonidle;
                full += waited * nonidle;
        }
        psi->n_touched = 0;
        if (weight > 0) {
                psi->some_usec += some / weight;
                psi->full_usec += full / weight;
        }
}

static unsigned psi_average(unsigned before, double stalled_usec)
{
        unsigned percent = (unsigned)(fmin(stalled_usec, PSI_PERIOD_USEC) * 100 / PSI_PERIOD_USEC);
        unsigned active = percent * PSI_FIXED_ONE;
        unsigned load = before * PSI_EXP_10S + active * (PSI_FIXED_ONE - PSI_EXP_10S);

        if (active >= before)
                load += PSI_FIXED_ONE - 1;
        return load / PSI_FIXED_ONE;
}

/* As the file shows it: two digits, cut. */
static double psi_percent(unsigned average)
{
        return floor((double)average * 100 / PSI_FIXED_ONE) / 100;
}

static void update_averages(struct plant *p)
{
        for (size_t i = 0; i <= p->n_groups; i++) {
                struct group *g = &p->groups[i];
                struct psi *psi = &g->psi;

                settle(p, g);
                collect_pressure(psi);
                psi->some_avg10 = psi_average(psi->some_avg10, psi->some_usec - psi->some_before_usec);
                psi->full_avg10 = psi_average(psi->full_avg10, psi->full_usec - psi->full_before_usec);
                psi->some_before_usec = psi->some_usec;
                psi->full_before_usec = psi->full_usec;
        }
}

/* ---- what happens next ---------------------------------------------------------------------------- */

static void schedule(struct plant *p, size_t i)
{
        struct group *g = &p->groups[i];
        double at_usec = INFINITY;

        if (g->n_threads > 0 && g->pace > 0) {
                at_usec = p->now_usec + fmax(g->threads[0].end_usec - g->attained_usec, 0) / g->pace;
                g->next_event = EVENT_END;
        }
        if (g->is_ticking) {
                double empty_usec = g->share_cpus > 0 ? p->now_usec + g->runtime_usec / g->share_cpus : INFINITY;

                if (g->next_period_usec < at_usec) {
                        at_usec = g->next_period_usec;
                        g->next_event = EVENT_PERIOD;
                }
                if (empty_usec < at_usec - TIE_USEC) {
                        at_usec = empty_usec;
                        g->next_event = EVENT_EMPTY;
                }
        }
        if (p->is_sharing)
                p->events.at_usec[i] = at_usec;
        else
                earliest_set(&p->events, i, at_usec);
}

static void start_ticking(struct plant *p, struct group *g)
{
        double n_periods = floor((p->now_usec - g->phase_usec) / PLANT_PERIOD_USEC) + 1;

        g->is_ticking = true;
        g->is_resting = false;
        g->next_period_usec = g->phase_usec + n_periods * PLANT_PERIOD_USEC;
}

static void set_share(struct plant *p, size_t i, double share_cpus)
{
        struct group *g = &p->groups[i];
        double pace = g->n_threads > 0 ? share_cpus / g->n_threads * p->speed : 0;

        if (share_cpus == g->share_cpus && pace == g->pace)
                return;
        settle(p, g);
        g->share_cpus = share_cpus;
        g->pace = pace;
        if (share_cpus > 0 && has_quota(g) && !g->is_ticking)
                start_ticking(p, g);
        schedule(p, i);
}

/* ---- sharing ------------------------------------------------------------------------------------ */

/* What a group got goes to the groups inside it. The depth is that of the tree. */
static void share_inside(struct plant *p, struct group *g)
{
        size_t n = 0;

        if (g->share_cpus < g->demand_below_cpus) {
                double theta;

                for (size_t i = g->first; i != NONE; i = p->groups[i].next) {
                        p->member[n] = i;
                        p->bound[n] = p->groups[i].demand_cpus;
                        p->weight[n++] = p->groups[i].weight;
                }
                /* Cannot fail: bounds and weights were checked when they came in. */
                (void)waterfill_solve(p->bound, p->weight, n, g->share_cpus, p->order, p->share, &theta);
                for (size_t k = 0; k < n; k++)
                        set_share(p, p->member[k], p->share[k]);
        } else {
                for (size_t i = g->first; i != NONE; i = p->groups[i].next)
                        set_share(p, i, p->groups[i].demand_cpus);
        }
        for (size_t i = g->first; i != NONE; i = p->groups[i].next)
                if (p->groups[i].first != NONE)
                        share_inside(p, &p->groups[i]);
}

/* What a group demands has changed; it and those it lies in are settled. */
static void note_change(struct plant *p, size_t i)
{
        if (p->n_changed < CHANGES_MAX)
                p->changed[p->n_changed++] = i;
        else
                p->is_all_changed = true;
}

/* Does a change to this group concern nobody but it and those it lies in? */
static bool is_local(const struct plant *p, size_t i)
{
        if (p->groups[i].n_threads_max == 0)
                return false;
        for (i = p->groups[i].parent; i != p->n_groups; i = p->groups[i].parent)
                if (p->groups[i].is_throttled)
                        return false;
        return true;
}

/* New shares after what has changed. Once before time passes: often a thread ends and others start because
 * of it, all at the same time. */
static void share(struct plant *p)
{
        struct group *root = &p->groups[p->n_groups];
        bool is_contended = root->demand_below_cpus > p->n_cpus;
        bool concerns_all = p->is_all_changed || is_contended || p->is_contended;
        double speed;

        if (p->n_changed == 0 && !p->is_all_changed)
                return;
        settle(p, root);
        root->share_cpus = least(root->demand_below_cpus, p->n_cpus);
        speed = 1 - p->slowdown * fmax(root->share_cpus / p->n_cpus - p->slowdown_from, 0);
        concerns_all |= speed != p->speed;
        p->speed = speed;
        p->is_contended = is_contended;
        for (size_t k = 0; k < p->n_changed && !concerns_all; k++)
                concerns_all = !is_local(p, p->changed[k]);
        if (concerns_all) {
                /* So many events move that the tournament is held anew. */
                p->is_sharing = true;
                share_inside(p, root);
                p->is_sharing = false;
                earliest_rebuild(&p->events);
        }
        for (size_t k = 0; k < p->n_changed && !concerns_all; k++)
                for (size_t i = p->changed[k]; i != p->n_groups; i = p->groups[i].parent)
                        set_share(p, i, p->groups[i].demand_cpus);
        p->n_changed = 0;
        p->is_all_changed = false;
}

/* Recomputes what a group may run on, and tells those that it lies in. */
static void update_demand(struct plant *p, size_t i)
{
        for (; i != p->n_groups; i = p->groups[i].parent) {
                struct group *g = &p->groups[i], *parent = &p->groups[g->parent];
                unsigned before = g->demand_cpus;

                g->demand_cpus = g->is_throttled ? 0 : g->demand_below_cpus + least(g->n_threads, p->n_cpus);
                if (g->demand_cpus == before)
                        return;
                parent->demand_below_cpus += g->demand_cpus - before;
        }
}

/* Enters a group into the list of its parent, or takes it out, so that it is there while it has something
 * runnable. */
static void relink(struct plant *p, size_t i)
{
        struct group *g = &p->groups[i], *parent = &p->groups[g->parent];

        if (g->n_runnable > 0) {
                g->previous = NONE;
                g->next = parent->first;
                if (parent->first != NONE)
                        p->groups[parent->first].previous = i;
                parent->first = i;
                return;
        }
        if (g->next != NONE)
                p->groups[g->next].previous = g->previous;
        if (g->previous != NONE)
                p->groups[g->previous].next = g->next;
        else
                parent->first = g->next;
}

/* So many threads more (or, negative, fewer) are runnable in a group that was settled upwards. */
static void change_runnable(struct plant *p, size_t i_changed, int n_more)
{
        for (size_t i = i_changed; i != NONE; i = p->groups[i].parent) {
                struct group *g = &p->groups[i];
                bool was_empty = g->n_runnable == 0;

                g->n_runnable += (unsigned)n_more;
                if (i != p->n_groups && was_empty != (g->n_runnable == 0))
                        relink(p, i);
                if (g->n_runnable == 0)
                        set_share(p, i, 0);
        }
        update_demand(p, i_changed);
        note_change(p, i_changed);
        schedule(p, i_changed);
}

/* ---- bandwidth ------------------------------------------------------------------------------------ */

/* __refill_cfs_bandwidth_runtime() */
static void refill(struct group *g)
{
        g->runtime_usec = fmin(g->runtime_usec + g->quota_usec, g->quota_usec + g->burst_usec);
}

static void set_throttled(struct plant *p, size_t i, bool is_throttled)
{
        if (p->groups[i].is_throttled == is_throttled)
                return;
        p->groups[i].is_throttled = is_throttled;
        update_demand(p, i);
        note_change(p, i);
}

/* do_sched_cfs_period_timer() */
static void begin_period(struct plant *p, size_t i)
{
        struct group *g = &p->groups[i];

        settle_upwards(p, i);
        g->nr_periods++;
        refill(g);
        if (g->is_resting && !g->is_throttled) {
                g->is_ticking = false;
        } else if (g->is_throttled) {
                g->nr_throttled++;
                g->is_resting = false;
                g->next_period_usec += PLANT_PERIOD_USEC;
                set_throttled(p, i, false);
        } else {
                g->is_resting = true;
                g->next_period_usec += PLANT_PERIOD_USEC;
        }
        schedule(p, i);
}

static void run_empty(struct plant *p, size_t i)
{
        settle_upwards(p, i);
        p->groups[i].runtime_usec = 0;
        set_throttled(p, i, true);
        schedule(p, i);
}

static uint32_t end_thread(struct plant *p, size_t i)
{
        struct group *g = &p->groups[i];
        struct thread t;

        settle_upwards(p, i);
        t = pop_thread(g);
        g->attained_usec = g->n_threads > 0 ? t.end_usec : 0;
        change_runnable(p, i, -1);
        return t.tag;
}

/* ---- the interface -------------------------------------------------------------------------------- */

double plant_now_usec(const struct plant *p)
{
        return p->now_usec;
}

int plant_start(struct plant *p, size_t group, double work_usec, uint32_t tag)
{
        struct group *g = &p->groups[group];

        if (!(work_usec > 0) || g->n_threads_max == 0)
                return -EINVAL;
        if (g->n_threads == g->n_threads_max)
                return -EBUSY;
        settle_upwards(p, group);
        push_thread(g, (struct thread){ g->attained_usec + work_usec, tag });
        change_runnable(p, group, 1);
        return 0;
}

bool plant_advance(struct plant *p, double until_usec, uint32_t *ret_tag)
{
        for (;;) {
                size_t i;
                double at_usec;

                share(p);
                i = earliest_first(&p->events);
                at_usec = p->events.at_usec[i];
                if (p->next_average_usec <= fmin(at_usec, until_usec)) {
                        p->now_usec = p->next_average_usec;
                        p->next_average_usec += PSI_PERIOD_USEC;
                        update_averages(p);
                        continue;
                }
                if (at_usec > until_usec) {
                        p->now_usec = fmax(p->now_usec, until_usec);
                        return false;
                }
                p->now_usec = fmax(p->now_usec, at_usec);
                switch (p->groups[i].next_event) {
                case EVENT_END:
                        *ret_tag = end_thread(p, i);
                        return true;
                case EVENT_PERIOD:
                        begin_period(p, i);
                        break;
                case EVENT_EMPTY:
                        run_empty(p, i);
                        break;
                }
        }
}

static bool is_bandwidth(double quota_usec, double burst_usec)
{
        return quota_usec >= PLANT_QUOTA_MIN_USEC && burst_usec >= 0 && burst_usec <= quota_usec &&
               isfinite(burst_usec);
}

/* tg_set_cfs_bandwidth() */
int plant_set_bandwidth(struct plant *p, size_t group, double quota_usec, double burst_usec)
{
        struct group *g = &p->groups[group];

        if (!is_bandwidth(quota_usec, burst_usec))
                return -EINVAL;
        settle_upwards(p, group);
        if (!has_quota(g))
                g->runtime_usec = 0;
        g->quota_usec = quota_usec;
        g->burst_usec = burst_usec;
        if (has_quota(g)) {
                refill(g);
                if (!g->is_ticking)
                        start_ticking(p, g);
        } else {
                g->is_ticking = false;
        }
        set_throttled(p, group, false);
        schedule(p, group);
        return 0;
}

static bool is_weight(double weight)
{
        return weight > 0 && isfinite(weight);
}

int plant_set_weight(struct plant *p, size_t group, double weight)
{
        if (!is_weight(weight))
                return -EINVAL;
        settle_upwards(p, group);
        p->groups[group].weight = weight;
        p->is_all_changed = true;
        return 0;
}

int plant_set_cpus(struct plant *p, unsigned n_cpus)
{
        if (n_cpus == 0 || n_cpus > p->n_cpus_max)
                return -EINVAL;
        for (size_t i = 0; i <= p->n_groups; i++)
                settle(p, &p->groups[i]);
        p->n_cpus = n_cpus;
        /* From the bottom: what is inside a group stands behind it. */
        for (size_t i = p->n_groups; i-- > 0;)
                update_demand(p, i);
        p->is_all_changed = true;
        return 0;
}

void plant_restart(struct plant *p, size_t group)
{
        struct group *g = &p->groups[group];
        int n_gone = (int)g->n_threads;

        settle_upwards(p, group);
        g->n_threads = 0;
        g->attained_usec = 0;
        g->is_throttled = g->is_ticking = g->is_resting = false;
        g->runtime_usec = has_quota(g) ? g->quota_usec : 0;
        if (n_gone > 0)
                change_runnable(p, group, -n_gone);
        schedule(p, group);
        g->used_usec = g->throttled_usec = 0;
        g->nr_periods = g->nr_throttled = 0;
        collect_pressure(&g->psi); /* empties what was gathered */
        g->psi = (struct psi){
                .nonidle_usec = g->psi.nonidle_usec,
                .waited_usec = g->psi.waited_usec,
                .crowded_usec = g->psi.crowded_usec,
        };
}

void plant_read(struct plant *p, size_t group, struct plant_counters *ret)
{
        struct group *g = &p->groups[group];

        settle(p, g);
        collect_pressure(&g->psi);
        *ret = (struct plant_counters){
                .unit = {
                        .at_usec = (uint64_t)p->now_usec,
                        .usage_usec = (uint64_t)g->used_usec,
                        .nr_periods = g->nr_periods,
                        .nr_throttled = g->nr_throttled,
                        .throttled_usec = (uint64_t)g->throttled_usec,
                        .stalled_usec = (uint64_t)g->psi.some_usec,
                        .has_bandwidth = true,
                        .has_pressure = true,
                },
                .fully_stalled_usec = (uint64_t)g->psi.full_usec,
                .some_avg10_percent = psi_percent(g->psi.some_avg10),
                .full_avg10_percent = psi_percent(g->psi.full_avg10),
        };
}

void plant_read_host(struct plant *p, struct host_counters *ret)
{
        struct plant_counters all;

        plant_read(p, p->n_groups, &all);
        *ret = (struct host_counters){
                .at_usec = all.unit.at_usec,
                .busy_usec = all.unit.usage_usec,
                .stalled_usec = all.unit.stalled_usec,
                .has_pressure = true,
                .capacity_milli = (double)p->n_cpus * MILLI_PER_CPU,
        };
}

double plant_share_cpus(struct plant *p, size_t group)
{
        share(p);
        return p->groups[group].share_cpus;
}

bool plant_is_throttled(const struct plant *p, size_t group)
{
        return p->groups[group].is_throttled;
}

/* ---- construction --------------------------------------------------------------------------------- */

static bool is_valid(const struct plant_host *host, const struct plant_group groups[], size_t n_groups)
{
        if (host->n_cpus == 0 || !(host->slowdown >= 0) || host->slowdown > 1 || !(host->slowdown_from >= 0) ||
            host->slowdown_from > 1 || host->slowdown * (1 - host->slowdown_from) >= 1)
                return false;
        for (size_t i = 0; i < n_groups; i++) {
                const struct plant_group *g = &groups[i];

                if (!is_weight(g->weight) || !is_bandwidth(g->quota_usec, g->burst_usec) || !(g->phase_usec >= 0) ||
                    g->phase_usec >= PLANT_PERIOD_USEC)
                        return false;
                if (g->parent != PLANT_ROOT && (g->parent >= i || groups[g->parent].n_threads_max > 0))
                        return false;
        }
        return true;
}

static int allocate(struct plant *p, const struct plant_group groups[])
{
        size_t n = p->n_groups + 1, n_leaves = earliest_leaves(n), n_threads = 0;

        for (size_t i = 0; i < p->n_groups; i++)
                n_threads += groups[i].n_threads_max;
        p->groups = calloc(n, sizeof *p->groups);
        p->event_at_usec = calloc(n_leaves, sizeof *p->event_at_usec);
        p->winner = calloc(2 * n_leaves, sizeof *p->winner);
        p->psi_times = calloc(n * (p->n_cpus + 1), 3 * sizeof *p->psi_times);
        p->threads = calloc(n_threads + 1, sizeof *p->threads);
        p->bound = calloc(n, sizeof *p->bound);
        p->weight = calloc(n, sizeof *p->weight);
        p->share = calloc(n, sizeof *p->share);
        p->order = calloc(n, sizeof *p->order);
        p->member = calloc(n, sizeof *p->member);
        if (!p->groups || !p->event_at_usec || !p->winner || !p->psi_times || !p->threads || !p->bound ||
            !p->weight || !p->share || !p->order || !p->member)
                return -ENOMEM;
        earliest_init(&p->events, p->event_at_usec, p->winner, n);
        return 0;
}

int plant_new(const struct plant_host *host, const struct plant_group groups[], size_t n_groups,
              struct plant **ret)
{
        if (!is_valid(host, groups, n_groups))
                return -EINVAL;

        struct plant *p = calloc(1, sizeof *p);
        if (!p)
                return -ENOMEM;
        p->n_groups = n_groups;
        p->n_cpus = p->n_cpus_max = host->n_cpus;
        p->slowdown = host->slowdown;
        p->slowdown_from = host->slowdown_from;
        p->speed = 1;
        p->next_average_usec = PSI_PERIOD_USEC;
        if (allocate(p, groups) < 0) {
                plant_free(p);
                return -ENOMEM;
        }

        struct thread *threads = p->threads;
        for (size_t i = 0; i <= n_groups; i++) {
                struct group *g = &p->groups[i];
                double *times = p->psi_times + i * 3 * (p->n_cpus + 1);

                *g = (struct group){
                        .parent = NONE,
                        .weight = 1,
                        .quota_usec = INFINITY,
                        .first = NONE,
                        .next = NONE,
                        .previous = NONE,
                        .psi = {
                                .nonidle_usec = times,
                                .waited_usec = times + p->n_cpus + 1,
                                .crowded_usec = times + 2 * (p->n_cpus + 1),
                        },
                };
                if (i == n_groups)
                        break;
                g->parent = groups[i].parent == PLANT_ROOT ? n_groups : groups[i].parent;
                g->n_threads_max = groups[i].n_threads_max;
                g->weight = groups[i].weight;
                g->quota_usec = groups[i].quota_usec;
                g->burst_usec = groups[i].burst_usec;
                g->phase_usec = groups[i].phase_usec;
                g->runtime_usec = has_quota(g) ? g->quota_usec : 0;
                g->threads = threads;
                threads += g->n_threads_max;
        }
        *ret = p;
        return 0;
}

struct plant *plant_free(struct plant *p)
{
        if (!p)
                return NULL;
        free(p->groups);
        free(p->event_at_usec);
        free(p->winner);
        free(p->psi_times);
        free(p->threads);
        free(p->bound);
        free(p->weight);
        free(p->share);
        free(p->order);
        free(p->member);
        free(p);
        return NULL;
}
