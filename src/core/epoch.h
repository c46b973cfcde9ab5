/* SPDX-License-Identifier: MIT */
#pragma once

/* One whole epoch: measurements in, settings out. The only decision the outer layers call; the
 * daemon, `coallocctl plan` and replay share it.
 *
 *      need, load -> market -> gate -> enforce
 *
 * Pure: what is remembered between epochs is in struct epoch_state and in the fields of
 * struct epoch_service that the caller copies from one epoch's decision to the next. */

#include "core/enforce.h"
#include "core/gate.h"
#include "core/market.h"
#include "core/model.h"

/* Old allocations are kept this long; the gate rolls back to one of them. */
#define EPOCH_RECENT 4

struct epoch_rules {
        double capacity_milli;          /* of the host, steal subtracted */
        double reserve_milli;           /* Reserve= */
        double unmanaged_milli;         /* load of everything unmanaged */
        double headroom_milli;
        double spare;                   /* 0..1 */
        enum overload_rule overload;
        enum enforce enforce;
        bool is_frozen;                 /* by an administrator: hold, whatever is measured */
};

struct epoch_service {
        /* configuration */
        double floor_milli;
        double baseline_milli;
        double max_milli;               /* INFINITY: no Max= */
        double bound_milli;             /* what slices around it and its CPUs let it use; INFINITY: no
                                         * bound. Bounds what it is given, and is nobody's quota */
        double weight;
        /* measured */
        double need_milli;
        double load_milli;              /* the last one known, 0 if none is */
        double hardship;                /* 0..1 */
        bool is_known;                  /* false: keeps what it has */
        /* remembered */
        int64_t recent_milli[EPOCH_RECENT]; /* allocations, newest first; -1 = had none */
        /* place in the tree of slices */
        size_t group;
};

struct epoch_decision {
        double market_milli;            /* the market's exact answer */
        int64_t alloc_milli;            /* after the gate: what holds from now on; -1 = none: it came
                                         * during a freeze and waits */
        int64_t quota_milli;            /* QUOTA_NONE_MILLI = none */
        unsigned cpu_weight;            /* 0 = not ours to set */
        bool is_satisfied;
};

struct epoch_outcome {
        struct market_outcome market;
        struct gate_verdict gate;
        struct gate_record record;
        double bargained_milli;         /* capacity minus the larger of reserve and unmanaged load */
        double hardship;
        bool is_frozen;                 /* by the gate or by an administrator */
        bool is_rolled_back;
};

struct epoch_state {
        uint64_t epoch;                 /* counts up by one a call */
        size_t n_previous;              /* services that had an allocation after the last epoch */
        struct gate_monitor monitor;
        struct gate_history history;    /* storage owned by the caller */
        double recent_hardship[EPOCH_RECENT];
};

void epoch_state_init(struct epoch_state *s, struct gate_record *records, size_t n_records);

/* Scratch for n services and n_groups slices, carved out of one buffer of the caller's. */
struct epoch_workspace {
        size_t n_max, n_groups_max;
        struct player *players;
        double *x;
        double *reference;
        int64_t *target, *old, *next;
        struct market_scratch market;
        struct market_tier_view view;
        struct enforce_scratch enforce;
        struct enforce_service *enforce_services;
        struct enforce_setting *settings;
};

size_t epoch_workspace_size(size_t n, size_t n_groups);
/* @buffer: epoch_workspace_size() bytes, aligned for any type; the workspace borrows it. */
void epoch_workspace_init(struct epoch_workspace *w, void *buffer, size_t n, size_t n_groups);

/* The CPU that is bargained over. What is unmanaged may squeeze the services down to their baselines,
 * no further: else a greedy process outside every section could take what was promised. */
double epoch_bargained_milli(const struct epoch_rules *rules, const struct epoch_service services[],
                             size_t n);

/**
 * epoch_decide() - the decision of one epoch
 * @ret:              n decisions
 * @ret_group_weight: n_groups weights, 0 = leave alone
 * @ret_outcome:      tier, prices, verdict
 *
 * Levels that are out of order are brought into order from above (max binds need, baseline, floor).
 * Cost: O(n log n) time, no allocation.
 *
 * Return: 0; -EINVAL for input that is not finite; -ENOSPC as enforce_settings(). On failure the state
 * is as before and the caller holds what is in force.
 */
int epoch_decide(struct epoch_state *state, const struct epoch_rules *rules,
                 const struct epoch_service services[], size_t n,
                 const struct enforce_group groups[], size_t n_groups, struct epoch_workspace *w,
                 struct epoch_decision ret[], unsigned ret_group_weight[],
                 struct epoch_outcome *ret_outcome);
