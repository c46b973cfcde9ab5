/* SPDX-License-Identifier: MIT */
#pragma once

/* The guard: the fast loop between two epochs. Who hits its ceiling is given room at once.
 *
 * A ceiling that has become too small multiplies the p99 of a service long before its p50, its mean or
 * an average of its pressure shows anything (doc/theory.md, "What quotas do"). The kernel's count of
 * throttled periods does: it grows by one for every period (100 ms) at whose end the unit was still
 * throttled. It is read five times a second for every unit with a finite ceiling, and once more a
 * little later where one throttled period was seen, so that the second is not waited for.
 *
 * What a raise may take depends on what ceilings mean in the mode:
 *
 *  both    ceilings are bounds: up to what the rule of the epoch gives for the others' use of the last
 *          seconds. A service is protected by its weight, not by another's ceiling.
 *  quota   the quotas are a partition: their sum stays within the budget. Room is what nobody holds,
 *          then what was lent before, then what units that are quiet hold and do not need.
 *
 * The guard only ever raises who is throttled; it lowers only to make that room. What is right for
 * longer than an epoch is for the epoch to decide. No verdict of the gate is asked for: allocations
 * stay as they are. At most one write a unit in two seconds, because each write refills the budget of
 * the period and hides throttling; a sample that contains an own write says nothing. */

#include "core/model.h"

#define GUARD_POLL_USEC UINT64_C(200000)
/* After a first throttled period: the second one ends within 100 ms. */
#define GUARD_RECHECK_USEC UINT64_C(50000)
/* A write of cpu.max refills the budget: every two seconds, that leaks 5 %. */
#define GUARD_WRITE_INTERVAL_USEC UINT64_C(2000000)
/* Two throttled of the last three periods are an alarm. */
#define GUARD_RECENT_PERIODS 3
#define GUARD_RECENT_THROTTLED 2
/* Periods of a window, and the least that it lasts. The throttled share of the last ten periods tells a
 * strong alarm from a plain one (DEMAND_THROTTLED_BAD), that of a window tells quiet from not
 * (DEMAND_THROTTLED_FINE). */
#define GUARD_WINDOW_PERIODS 10
#define GUARD_WINDOW_USEC UINT64_C(1000000)
/* Quiet windows in a row, a second or more each, before a ceiling may be lowered. */
#define GUARD_QUIET_WINDOWS 5

/* What is remembered of one unit; all zero: nothing. */
struct guard_state {
        uint64_t nr_periods, nr_throttled;      /* at the last reading */
        uint64_t active_usec;                   /* of the last reading that brought a period */
        uint32_t recent;                        /* the last periods, newest in bit 0; 1 = throttled */
        unsigned n_recent;                      /* of them known, up to GUARD_WINDOW_PERIODS */
        unsigned window_periods, window_throttled;      /* of the window under way */
        uint64_t window_usec;                   /* when it began */
        unsigned n_quiet;                       /* quiet windows in a row, up to GUARD_QUIET_WINDOWS */
        bool has_last;
};

enum guard_alarm {
        GUARD_CALM,
        GUARD_SUSPECT,          /* the newest period was throttled: look again after GUARD_RECHECK_USEC */
        GUARD_THROTTLED,        /* raise */
        GUARD_BADLY_THROTTLED,  /* raise strongly */
        _GUARD_ALARM_MAX,
};

/**
 * guard_observe() - take in one reading of the bandwidth counters
 * @had_own_write: the ceiling was written since the last reading: the sample is dropped and periods
 *                 count anew. Quiet windows stay: who was raised was throttled and has none
 *
 * Counters that went backwards (the controller was off in between) start anew as well. A unit whose
 * period timer stopped (idle) shows no new periods: a second without any closes the window, and what
 * was throttled before it is forgotten.
 *
 * How many of the new periods were throttled is known, not which: the newest are taken to be, since
 * it is the present that counts. A reading that brings more than a window's periods came late and
 * tells the share only: it counts as one window of that share.
 *
 * Return: what the last periods say, the same again until there are new ones. Constant time, no
 * allocation.
 */
enum guard_alarm guard_observe(struct guard_state *g, uint64_t now_usec, uint64_t nr_periods,
                               uint64_t nr_throttled, bool had_own_write);

/* May its ceiling be lowered by an epoch? Only after GUARD_QUIET_WINDOWS quiet windows in a row; one
 * that is new, or just raised, is not quiet yet. */
bool guard_may_lower(const struct guard_state *g);

/* What became of a unit's raises over the epochs; all zero: there were none.
 *
 * What is right for longer than an epoch is for the epoch to decide, so it may take a raise back. Were that
 * raised again at the next alarm, which for a batch job is at once, its ceiling would turn twice an epoch
 * for ever. So a raise that an epoch took back is not repeated while the unit asks as it did before: until it
 * uses, for a second, all that it has, though it did not when the raise was taken back (a step of its load),
 * or until GUARD_FORGET_EPOCHS epochs have passed without an alarm. Up to its plan it is raised all the same. */
#define GUARD_FORGET_EPOCHS 4
/* Of its ceiling: what counts as all. */
#define GUARD_FULL_USE 0.9
struct guard_memory {
        int64_t raised_milli;           /* by one raise or several, since the last time an epoch lowered it; 0: none */
        int64_t before_milli;           /* the ceiling before the first of these */
        bool is_recalled;
        bool was_full;                  /* it used what it had then */
        bool has_alarm;                 /* since the last epoch */
        unsigned n_calm_epochs;
};

/* The guard's raise is in force. */
void guard_note_raise(struct guard_memory *m, int64_t from_milli, int64_t to_milli);
/* An epoch's lower ceiling is in force: takes a raise back if it is nearer to what was before it. @use_milli: as in
 * struct guard_unit. */
void guard_note_lowering(struct guard_memory *m, int64_t from_milli, int64_t to_milli, double use_milli);
void guard_note_alarm(struct guard_memory *m);
void guard_note_epoch(struct guard_memory *m);
/* Is a raise above its plan to be denied now? @ceiling_milli: in force. */
bool guard_was_recalled(const struct guard_memory *m, int64_t ceiling_milli, double use_milli);

/* One unit that plays, at the moment of an alarm. */
struct guard_unit {
        enum guard_alarm alarm;
        int64_t ceiling_milli;          /* in force; QUOTA_NONE_MILLI = none */
        int64_t planned_milli;          /* what the last epoch wanted for it: above it, it borrows;
                                         * QUOTA_NONE_MILLI = no plan: nothing borrowed, nothing due */
        int64_t alloc_milli;            /* x */
        double load_milli;              /* that the last epoch knew */
        double keep_milli;              /* what it may not be asked to lend: baseline, need, the parking
                                         * factor times its recent use (guard_keep_milli()) */
        double use_milli;               /* the largest of the last seconds: an average would lag
                                         * behind a step just when somebody asks for its room */
        double max_milli;               /* INFINITY: no Max= */
        bool may_write;                 /* not written for GUARD_WRITE_INTERVAL_USEC, ours, active */
        bool is_quiet;                  /* guard_may_lower() */
        bool was_recalled;              /* guard_was_recalled(): nothing above its plan for now */
};

struct guard_rules {
        enum enforce mode;
        double capacity_milli;          /* of the host, reserve included */
        double budget_milli;            /* ENFORCE_QUOTA: what was bargained over. Not all that quotas may sum to:
                                         * where more than the reserve is in use by what is unmanaged, the
                                         * difference is nobody's to lend */
        double headroom_milli;
};

/* What a unit needs to stay unharmed: what it was promised, what it needs, and its recent use times
 * 1.4 where cpu.max.burst is in step with its quota (@has_burst), times 2 where not: less harms, also
 * on an idle host (as measured; doc/theory.md, "What quotas do"). */
#define GUARD_PARKING 2.0
#define GUARD_PARKING_BURST 1.4
double guard_keep_milli(double baseline_milli, double need_milli, double use_milli, bool has_burst);

/**
 * guard_plan() - the ceilings to write now
 * @ret_quota_milli: n entries, the value to write or -1. Values below the one in force are to be in
 *                   force before any above is written (enforce_next_writes() sees to that).
 *
 * In whole percents of a CPU. With ENFORCE_QUOTA the sum of all finite ceilings after the writes is at
 * most the larger of the budget and the sum before. A raise too small to matter is none: at least 5 %
 * and one percent of a CPU (ENFORCE_BOTH: a quarter, or noise in the others' use would move ceilings
 * all the time).
 *
 * ENFORCE_QUOTA. A unit wishes for 1.2 times its ceiling, 1.5 times when badly throttled. Up to its plan
 * that is *due* and comes first; the rest, which a unit whose raise was taken back is denied, comes out of
 * what is left when everything is set aside that throttled units still lack to their plans, or it would be
 * taken back two seconds later. In shortage
 * everybody gets the same share of its wish. Room is taken in this order:
 *
 *      nobody's        the budget less all finite ceilings in force
 *      lent            what calm borrowers hold above their plan and do not need (keep_milli)
 *      spare           what quiet units hold and do not need
 *      borrowed        for what is due only: what anybody holds above its plan
 *
 * So nobody is lowered below what it needs except down to its plan, and who is throttled only for
 * somebody that is below its plan: two that need the same CPU cannot take it from each other in turns.
 *
 * Cost: O(n), no allocation.
 *
 * Return: number of units to raise (not counting those lowered for it).
 */
size_t guard_plan(const struct guard_rules *rules, const struct guard_unit units[], size_t n,
                  int64_t ret_quota_milli[]);

const char *guard_alarm_to_string(enum guard_alarm a);
