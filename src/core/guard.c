/* SPDX-License-Identifier: MIT */

#include "core/guard.h"
#include "core/demand.h"
#include "core/enforce.h"

/* Wishes: a plain and a strong step, as the share of throttled periods asks for (doc/theory.md). */
#define RAISE 1.2
#define RAISE_BADLY 1.5
/* Smallest raise that is worth a write; the larger one where room is a guess from the others' use. */
#define RAISE_MIN 1.05
#define RAISE_MIN_BOTH 1.25
/* Beyond any host; keeps sums of whole percents within an int64_t. */
#define STEPS_MAX (INT64_C(1) << 40)

static int64_t max_of(int64_t a, int64_t b)
{
        return a > b ? a : b;
}

static int64_t min_of(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

/* ---- what the counters say ---------------------------------------------------------------------- */

static void start_anew(struct guard_state *g, uint64_t now_usec, uint64_t nr_periods, uint64_t nr_throttled)
{
        *g = (struct guard_state) {
                .nr_periods = nr_periods,
                .nr_throttled = nr_throttled,
                .active_usec = now_usec,
                .window_usec = now_usec,
                .has_last = true,
        };
}

static unsigned n_throttled_recently(const struct guard_state *g, unsigned n_periods)
{
        unsigned n = 0;

        for (unsigned i = 0; i < n_periods; i++)
                n += g->recent >> i & 1;
        return n;
}

static enum guard_alarm alarm_now(const struct guard_state *g)
{
        bool is_badly = g->n_recent == GUARD_WINDOW_PERIODS &&
                        n_throttled_recently(g, GUARD_WINDOW_PERIODS) >
                                DEMAND_THROTTLED_BAD * GUARD_WINDOW_PERIODS;

        if (n_throttled_recently(g, GUARD_RECENT_PERIODS) >= GUARD_RECENT_THROTTLED)
                return is_badly ? GUARD_BADLY_THROTTLED : GUARD_THROTTLED;
        return g->recent & 1 ? GUARD_SUSPECT : GUARD_CALM;
}

static bool is_window_bad(const struct guard_state *g)
{
        return g->window_throttled > DEMAND_THROTTLED_FINE * g->window_periods;
}

static void close_window(struct guard_state *g, uint64_t now_usec)
{
        bool is_full = g->window_periods >= GUARD_WINDOW_PERIODS;
        bool is_idle = now_usec - g->active_usec >= GUARD_WINDOW_USEC;

        if (now_usec - g->window_usec < GUARD_WINDOW_USEC || !(is_full || is_idle))
                return;
        if (is_window_bad(g))
                g->n_quiet = 0;
        else if (g->n_quiet < GUARD_QUIET_WINDOWS)
                g->n_quiet++;
        if (is_idle)
                g->recent = g->n_recent = 0;
        g->window_periods = g->window_throttled = 0;
        g->window_usec = now_usec;
}

enum guard_alarm guard_observe(struct guard_state *g, uint64_t now_usec, uint64_t nr_periods,
                               uint64_t nr_throttled, bool had_own_write)
{
        enum guard_alarm alarm;
        uint64_t n_new, n_new_throttled;

        if (!g->has_last || had_own_write || nr_periods < g->nr_periods || nr_throttled < g->nr_throttled) {
                /* A lender that stays quiet can lend again after GUARD_WRITE_INTERVAL_USEC. */
                unsigned n_quiet = had_own_write && !is_window_bad(g) ? g->n_quiet : 0;

                start_anew(g, now_usec, nr_periods, nr_throttled);
                g->n_quiet = n_quiet;
                return GUARD_CALM;
        }
        n_new = nr_periods - g->nr_periods;
        n_new_throttled = nr_throttled - g->nr_throttled;
        if (n_new_throttled > n_new)
                n_new_throttled = n_new;
        if (n_new > GUARD_WINDOW_PERIODS) {
                n_new_throttled = (uint64_t)lround((double)n_new_throttled / (double)n_new * GUARD_WINDOW_PERIODS);
                n_new = GUARD_WINDOW_PERIODS;
        }
        g->nr_periods = nr_periods;
        g->nr_throttled = nr_throttled;

        if (n_new > 0)
                g->active_usec = now_usec;
        g->recent = g->recent << n_new | ((UINT32_C(1) << n_new_throttled) - 1);
        g->n_recent = (unsigned)min_of(g->n_recent + (int64_t)n_new, GUARD_WINDOW_PERIODS);
        g->window_periods += (unsigned)n_new;
        g->window_throttled += (unsigned)n_new_throttled;
        close_window(g, now_usec);

        alarm = alarm_now(g);
        if (alarm >= GUARD_THROTTLED)
                g->n_quiet = 0;
        return alarm;
}

bool guard_may_lower(const struct guard_state *g)
{
        return g->n_quiet >= GUARD_QUIET_WINDOWS;
}

/* ---- what became of raises ------------------------------------------------------------------------ */

void guard_note_raise(struct guard_memory *m, int64_t from_milli, int64_t to_milli)
{
        *m = (struct guard_memory) {
                .raised_milli = to_milli,
                .before_milli = m->raised_milli > 0 ? m->before_milli : from_milli,
                .has_alarm = true,
        };
}

static bool is_full(int64_t ceiling_milli, double use_milli)
{
        return use_milli >= GUARD_FULL_USE * (double)ceiling_milli;
}

void guard_note_lowering(struct guard_memory *m, int64_t from_milli, int64_t to_milli, double use_milli)
{
        if (m->raised_milli == 0)
                return;
        if (m->raised_milli - to_milli > to_milli - m->before_milli) {
                m->is_recalled = true;
                m->was_full = is_full(from_milli, use_milli);
                m->n_calm_epochs = 0;
        }
        m->raised_milli = 0;
}

void guard_note_alarm(struct guard_memory *m)
{
        m->has_alarm = true;
}

void guard_note_epoch(struct guard_memory *m)
{
        m->n_calm_epochs = m->has_alarm ? 0 : m->n_calm_epochs + 1;
        m->has_alarm = false;
        if (m->n_calm_epochs >= GUARD_FORGET_EPOCHS)
                *m = (struct guard_memory) { .raised_milli = m->raised_milli };
}

bool guard_was_recalled(const struct guard_memory *m, int64_t ceiling_milli, double use_milli)
{
        return m->is_recalled && (m->was_full || !is_full(ceiling_milli, use_milli));
}

double guard_keep_milli(double baseline_milli, double need_milli, double use_milli, bool has_burst)
{
        double parked_milli = use_milli * (has_burst ? GUARD_PARKING_BURST : GUARD_PARKING);

        return fmax(parked_milli, fmax(baseline_milli, need_milli));
}

/* ---- whole percents ----------------------------------------------------------------------------- */

static int64_t steps_within(double milli)
{
        double steps = floor(milli / QUOTA_STEP_MILLI + 1e-9);

        if (!(steps > 0))
                return 0;
        return steps < STEPS_MAX ? (int64_t)steps : STEPS_MAX;
}

static int64_t steps_around(double milli)
{
        double steps = ceil(milli / QUOTA_STEP_MILLI - 1e-9);

        if (!(steps > 0))
                return 0;
        return steps < STEPS_MAX ? (int64_t)steps : STEPS_MAX;
}

static bool wants_raise(const struct guard_unit *u)
{
        return u->alarm >= GUARD_THROTTLED && u->may_write && u->ceiling_milli != QUOTA_NONE_MILLI;
}

/* ---- ceilings as bounds ------------------------------------------------------------------------- */

/* What the last seconds show beyond the load that the epoch knew is load; use of who is throttled is no measure. */
static double left_free_milli(const struct guard_unit *u)
{
        double load_milli = fmax(u->load_milli, u->use_milli);

        return fmax(0, enforce_left_free_milli(u->alloc_milli, load_milli, u->alarm < GUARD_THROTTLED, u->use_milli));
}

static size_t raise_bounds(const struct guard_rules *rules, const struct guard_unit units[], size_t n,
                           int64_t ret_quota_milli[])
{
        double all_milli = 0;
        size_t n_raised = 0;

        for (size_t i = 0; i < n; i++)
                all_milli += left_free_milli(&units[i]);

        for (size_t i = 0; i < n; i++) {
                const struct guard_unit *u = &units[i];
                double bound_milli = enforce_bound_milli(u->alloc_milli, rules->capacity_milli,
                                                         rules->headroom_milli, all_milli - left_free_milli(u));
                int64_t quota_milli;

                if (u->was_recalled && u->planned_milli != QUOTA_NONE_MILLI)
                        bound_milli = fmin(bound_milli, (double)u->planned_milli);
                quota_milli = steps_within(fmin(u->max_milli, bound_milli)) * QUOTA_STEP_MILLI;
                if (!wants_raise(u) || (double)quota_milli < RAISE_MIN_BOTH * (double)u->ceiling_milli)
                        continue;
                ret_quota_milli[i] = quota_milli;
                n_raised++;
        }
        return n_raised;
}

/* ---- quotas as a partition ---------------------------------------------------------------------- */

/* What one unit asks for and what may be taken of it, in whole percents; also the sums of these. */
struct stake {
        int64_t counted;        /* its ceiling rounded up: the sum is never taken to be too small */
        int64_t held;           /* rounded down: a raise costs, and a loan brings, what it says */
        int64_t claim;          /* what a throttled unit lacks to its plan */
        int64_t due;            /* wished for, of the claim */
        int64_t beyond;         /* wished for, above the plan */
        int64_t lent;           /* above the plan and not needed */
        int64_t spare;          /* within the plan and not needed */
        int64_t borrowed;       /* above the plan and needed */
};

static struct stake stake_of(const struct guard_unit *u)
{
        bool has_plan = u->planned_milli != QUOTA_NONE_MILLI;
        int64_t above_plan, not_needed;
        struct stake s = { 0 };

        if (u->ceiling_milli == QUOTA_NONE_MILLI)
                return s;
        s.counted = steps_around((double)u->ceiling_milli);
        s.held = steps_within((double)u->ceiling_milli);
        if (has_plan && u->alarm >= GUARD_THROTTLED)
                s.claim = max_of(steps_within(fmin((double)u->planned_milli, u->max_milli)) - s.held, 0);
        if (!u->may_write)
                return s;

        /* What protects rounds up, what is claimed rounds down: no percent is fought over. */
        above_plan = has_plan ? max_of(s.held - max_of(steps_around((double)u->planned_milli), 1), 0) : 0;
        if (wants_raise(u)) {
                double factor = u->alarm == GUARD_BADLY_THROTTLED ? RAISE_BADLY : RAISE;
                int64_t wish = max_of(steps_around((double)u->ceiling_milli * factor), s.held + 1);
                int64_t raise = max_of(min_of(wish, steps_within(u->max_milli)) - s.held, 0);

                s.due = min_of(raise, s.claim);
                s.beyond = u->was_recalled ? 0 : raise - s.due;
        } else if (u->alarm == GUARD_CALM) {
                not_needed = max_of(s.held - max_of(steps_around(u->keep_milli), 1), 0);
                s.lent = min_of(not_needed, above_plan);
                s.spare = u->is_quiet ? not_needed - s.lent : 0;
        }
        s.borrowed = above_plan - s.lent;
        return s;
}

/* An amount that is shared out in proportion to shares whose sum is known, whole and exact. */
struct division {
        int64_t amount, sum;    /* not yet shared out; amount <= sum */
};

/* Everybody's part is within its share, and nothing is left in the end: what is left never exceeds
 * the shares that are still to come. */
static int64_t part_of(struct division *d, int64_t share)
{
        int64_t part;

        if (share == 0)
                return 0;
        part = llround((double)share * ((double)d->amount / (double)d->sum));
        part = max_of(min_of(part, min_of(share, d->amount)), d->amount - (d->sum - share));
        d->amount -= part;
        d->sum -= share;
        return part;
}

static size_t shift_quotas(const struct guard_rules *rules, const struct guard_unit units[], size_t n,
                           int64_t ret_quota_milli[])
{
        struct division due, beyond, lent, spare, borrowed;
        struct stake all = { 0 };
        int64_t nobodys, room, missing = 0;
        size_t n_raised = 0;

        for (size_t i = 0; i < n; i++) {
                struct stake s = stake_of(&units[i]);

                all.counted += s.counted;
                all.claim += s.claim;
                all.due += s.due;
                all.beyond += s.beyond;
                all.lent += s.lent;
                all.spare += s.spare;
                all.borrowed += s.borrowed;
        }
        nobodys = max_of(steps_within(rules->budget_milli) - all.counted, 0);
        room = nobodys + all.lent + all.spare;
        due = (struct division) { min_of(all.due, room + all.borrowed), all.due };
        /* What is still to be claimed is not given away now, to be taken back in two seconds. */
        beyond = (struct division) { min_of(all.beyond, max_of(room - all.claim, 0)), all.beyond };

        for (size_t i = 0; i < n; i++) {
                struct stake s = stake_of(&units[i]);
                int64_t quota = s.held + part_of(&due, s.due) + part_of(&beyond, s.beyond);
                int64_t quota_milli = quota * QUOTA_STEP_MILLI;

                if (quota == s.held || (double)quota_milli < RAISE_MIN * (double)units[i].ceiling_milli)
                        continue;
                ret_quota_milli[i] = quota_milli;
                missing += quota - s.held;
                n_raised++;
        }

        /* Borrowed room is only reached when nothing was given beyond what is due. */
        missing = max_of(missing - nobodys, 0);
        lent = (struct division) { min_of(missing, all.lent), all.lent };
        missing -= lent.amount;
        spare = (struct division) { min_of(missing, all.spare), all.spare };
        missing -= spare.amount;
        borrowed = (struct division) { missing, all.borrowed };
        for (size_t i = 0; i < n; i++) {
                struct stake s = stake_of(&units[i]);
                int64_t taken = part_of(&lent, s.lent) + part_of(&spare, s.spare) +
                                part_of(&borrowed, s.borrowed);

                if (taken > 0)
                        ret_quota_milli[i] = (s.held - taken) * QUOTA_STEP_MILLI;
        }
        return n_raised;
}

size_t guard_plan(const struct guard_rules *rules, const struct guard_unit units[], size_t n,
                  int64_t ret_quota_milli[])
{
        for (size_t i = 0; i < n; i++)
                ret_quota_milli[i] = -1;
        switch (rules->mode) {
        case ENFORCE_BOTH:
                return raise_bounds(rules, units, n, ret_quota_milli);
        case ENFORCE_QUOTA:
                return shift_quotas(rules, units, n, ret_quota_milli);
        default:
                return 0;
        }
}

const char *guard_alarm_to_string(enum guard_alarm a)
{
        static const char *const names[_GUARD_ALARM_MAX] = {
                [GUARD_CALM] = "calm",
                [GUARD_SUSPECT] = "suspect",
                [GUARD_THROTTLED] = "throttled",
                [GUARD_BADLY_THROTTLED] = "badly-throttled",
        };

        return a < _GUARD_ALARM_MAX ? names[a] : "unknown";
}
