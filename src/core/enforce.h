/* SPDX-License-Identifier: MIT */
#pragma once

/* From allocations to CPUQuota= and CPUWeight=.
 *
 *  both    weights protect, quotas bound: a satisfied service has its Max= as only ceiling; a short
 *          one is bounded by what the others leave. Weights: satisfied services come first.
 *  quota   the quotas are the partition: whole percents whose sum never exceeds the allocations'.
 *  weight  as both, without quotas.
 *
 * Why not quotas alone: at 1.3 x use on everybody they made the tail 1.2 x worse than doing nothing,
 * while a low weight on the greedy brought it to 0.4-0.5 x (doc/theory.md, "What quotas do").
 *
 * Weights compare siblings only. The tree of slices that hold managed units is therefore given as
 * groups; every group's members share its CPU in proportion to their claims. */

#include "core/model.h"

#define ENFORCE_NO_GROUP SIZE_MAX
#define ENFORCE_SATISFIED_TOLERANCE 1e-6
/* A satisfied service outweighs a short one of equal allocation by this factor. */
#define ENFORCE_PHI_MAX 10.0
#define ENFORCE_PHI_RAMP_START 0.9      /* allocation / load at which the factor leaves 1 */
/* Who had no ceiling gets one below this allocation / load, and who has one keeps it until satisfied: at one
 * border for both, the noise of a load of 5 % had a ceiling come or go 86 times an hour, and one that is near the
 * load is what multiplies a p99 (doc/theory.md, Enforcement). Short by so little it is held by its weight. */
#define ENFORCE_BOUND_BELOW 0.9
/* A ceiling that is a bound stays where it is unless it would change by more: the others' use is never twice the
 * same, every write costs PID 1 milliseconds, and a bound is not what protects anybody. */
#define ENFORCE_BOUND_KEEP 0.1
/* Of what a satisfied service uses on average, so much is kept free of others' ceilings, in every period of 100 ms.
 * All of it would keep a batch job waiting in each period in which less is used, and it cannot make up for that in
 * the next. */
#define ENFORCE_BOUND_SHARE 0.5
/* A weight that would change by less stays: a tenth decides nothing where a satisfied service outweighs a short one
 * tenfold, and loads are never twice the same. */
#define ENFORCE_WEIGHT_KEEP 0.1

/* A slice that holds managed units. Index 0 is the root; parents come before children. */
struct enforce_group {
        size_t parent;                  /* ENFORCE_NO_GROUP for the root */
        unsigned prior_weight;          /* what it had before us: never lowered below */
        bool may_change;                /* false: the root, and slices holding coallocd, dbus, journald */
        double busy_unmanaged_weight;   /* sum of weights of busy members that are not ours */
};

struct enforce_service {
        int64_t alloc_milli;            /* x after the gate */
        double load_milli;              /* uncensored; 0 if unknown */
        double protected_milli;         /* the level that x may not fall below: rounds up */
        double max_milli;               /* INFINITY: no Max= */
        size_t group;                   /* the slice that holds it */
        /* Requests wait for the shortest service of a path: the others are protected no better than that. This is
         * enforce_cover() of the shortest, on the best served of its paths; INFINITY: it is on none. */
        double path_cover;
        /* ENFORCE_BOTH */
        bool has_use;                   /* false: use is not known, load counts whole */
        double use_milli;               /* mean of the epoch */
        bool was_unbounded;             /* by the last decision it had no ceiling but its Max= */
        int64_t ceiling_milli;          /* in force, also where the guard set it; 0: none of ours */
};

struct enforce_rules {
        enum enforce mode;
        double capacity_milli;          /* of the host, reserve included */
        double bargained_milli;         /* what the allocations may sum to */
        double reserve_milli;           /* the larger of Reserve= and unmanaged load */
        double headroom_milli;
};

struct enforce_setting {
        int64_t quota_milli;            /* QUOTA_NONE_MILLI = none */
        unsigned cpu_weight;            /* 0 = not ours to set */
        bool is_satisfied;
        bool is_unbounded;              /* ENFORCE_BOTH: no ceiling but Max= */
};

/* What is below a group. */
struct enforce_level {
        double claim, alloc_milli;
        double largest_claim, least_phi, lift, scale;
        size_t n_members;
};

struct enforce_scratch {
        size_t *order;                  /* n services */
        double *weight;                 /* n services */
        int64_t *bound, *share;         /* n services */
        struct enforce_level *levels;   /* n groups */
};

/* Is what is offered covered? Judged on load, never on a need that stall inflated. */
bool enforce_is_satisfied(double alloc_milli, double load_milli);

/* How much of what is offered is covered; INFINITY without load. */
double enforce_cover(double alloc_milli, double load_milli);

/* ENFORCE_BOTH: what others' ceilings leave free for a service, and the ceiling that follows for one that is short
 * when the others are left @others_milli together. The one rule of the epoch, which goes by the mean use of its
 * seconds, and of the guard, which goes by that of the last few: did they judge differently, the one would take
 * back what the other gave. */
double enforce_left_free_milli(int64_t alloc_milli, double load_milli, bool has_use, double use_milli);
double enforce_bound_milli(int64_t alloc_milli, double capacity_milli, double headroom_milli, double others_milli);

/**
 * enforce_settings() - what to ask systemd for
 * @services, @n:      the services with their allocations
 * @groups, @n_groups: the slices that hold them; at least the root
 * @ret:               n settings
 * @ret_group_weight:  n_groups weights; 0 = leave alone
 *
 * With ENFORCE_QUOTA: the sum of the quotas is at most floor(min(sum x, bargained) / 1 %) whole percents,
 * each at least 1 % (which may make the sum more than sum x, never more than what was bargained over);
 * protected levels round up as long as the sum allows, Max= rounds down.
 * Cost: O(n log n + groups), no allocation.
 *
 * Return: 0; -ENOSPC if there are more services than whole percents to give (ENFORCE_QUOTA);
 * -EINVAL on input that is not finite or out of range. Outputs are scratch on failure.
 */
int enforce_settings(const struct enforce_rules *rules, const struct enforce_service services[],
                     size_t n, const struct enforce_group groups[], size_t n_groups,
                     struct enforce_scratch *scratch, struct enforce_setting ret[],
                     unsigned ret_group_weight[]);

/* One unit on its way from the quota in force to the one wanted. */
struct enforce_transition {
        int64_t in_force_milli;         /* QUOTA_NONE_MILLI = none. While a write is unconfirmed: the
                                         * larger of what was read back and what was asked for */
        int64_t wanted_milli;
        bool may_write;                 /* false: written less than 2 s ago, foreign, inactive */
        bool is_restless;               /* its plan covers its load and yet it was throttled a moment ago
                                         * (guard_may_lower() is false): raise fast, lower slowly */
        bool is_urgent;                 /* of the guard: goes before what an epoch wants */
};

/* Which quotas to write now, out of a transition. */
enum enforce_phase {
        ENFORCE_SHRINK,                 /* first: everything that gets smaller; a first quota is none of
                                         * these where quotas have a budget, since it adds to their sum */
        ENFORCE_GROW,                   /* after every shrink is confirmed, from values in force */
};

/**
 * enforce_next_writes() - pick the writes of one phase
 * @budget_milli: what the quotas in force may sum to at any instant; INFINITY where quotas are no
 *                partition
 * @min_change:   share of a CPU quota below which a change is skipped (0.02)
 * @n_writes_max: at most so many, because each costs PID 1 about 2 ms: the urgent ones first, then the
 *                largest relative changes, ties in the order given
 * @order:        scratch, n entries
 * @ret_quota:    n entries: the value to write, or -1 to leave the unit alone. A growth that does not
 *                fit the budget is cut to what fits, in whole percents.
 * @ret_n_left:   how many more would have been written but for @n_writes_max: call again once these
 *                are confirmed. Room goes by the same order, so nobody is overtaken.
 *
 * A first quota is written whole or, if it does not fit, not yet. A small shrink is skipped, unless
 * the budget cannot hold all that is wanted; a shrink of a restless unit's ceiling is skipped, unless
 * the budget cannot hold it even when all small shrinks are made. Call with ENFORCE_SHRINK, carry the
 * writes out, read back, call with ENFORCE_GROW and the values then in force: once within the
 * budget, the sum of the finite quotas never leaves it, whichever writes failed, are late, or had to wait.
 * Cost: O(n log n), no allocation.
 *
 * Return: number of writes.
 */
size_t enforce_next_writes(enum enforce_phase phase, const struct enforce_transition t[], size_t n,
                           double budget_milli, double min_change, size_t n_writes_max,
                           size_t order[], int64_t ret_quota[], size_t *ret_n_left);

/* Is a change worth a write? Relative change of at least min_change, and of one percent of a CPU or one
 * whole unit of weight; for a weight of at least ENFORCE_WEIGHT_KEEP. */
bool enforce_quota_differs(int64_t in_force_milli, int64_t wanted_milli, double min_change);
bool enforce_weight_differs(unsigned in_force, unsigned wanted, double min_change);
