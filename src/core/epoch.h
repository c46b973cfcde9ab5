/* SPDX-License-Identifier: MIT */
#pragma once

/* One whole epoch: measurements in, settings out. The only decision the outer layers call; the
 * daemon, `coallocctl plan` and replay share it.
 *
 *      need, load -> prices, credits -> market -> coalitions -> gate -> enforce
 *
 * Pure: what is remembered between epochs is in struct epoch_state and in the fields of
 * struct epoch_service that the caller copies from one epoch's decision to the next. */

#include "core/callgraph.h"
#include "core/coalition.h"
#include "core/demand.h"
#include "core/enforce.h"
#include "core/gate.h"
#include "core/market.h"
#include "core/model.h"
#include "core/price.h"

/* Old allocations are kept this long; the gate rolls back to one of them. */
#define EPOCH_RECENT 4
/* Coalitions that are valued in one epoch, and subsets that they may take together: 20 ms of work. */
#define EPOCH_VALUATIONS_MAX 32
#define EPOCH_NO_COALITION SIZE_MAX

struct epoch_rules {
        double capacity_milli;          /* of the host, steal subtracted */
        double reserve_milli;           /* Reserve= */
        double unmanaged_milli;         /* load of everything unmanaged */
        double headroom_milli;
        double spare;                   /* 0..1 */
        enum overload_rule overload;
        enum enforce enforce;
        bool is_frozen;                 /* by an administrator: hold, whatever is measured */
        double sensitivity_per_ms;      /* Sensitivity= */
        double epsilon;                 /* Epsilon= */
        unsigned max_iterations;        /* MaxIterations= */
        double epoch_sec;
};

struct epoch_service {
        /* configuration */
        double floor_milli;
        double baseline_milli;
        double max_milli;               /* INFINITY: no Max= */
        double bound_milli;             /* what slices around it and its CPUs let it use; INFINITY: no
                                         * bound. Bounds what it is given, and is nobody's quota */
        double weight;
        double target_ms;               /* LatencyTargetSec=; 0: none */
        double elasticity;              /* 0..1 */
        /* measured */
        double need_milli;
        double load_milli;              /* the last one known, 0 if none is */
        double use_milli;               /* mean of the epoch */
        bool has_use;                   /* false: that is not known */
        double hardship;                /* 0..1 */
        bool is_elastic;                /* takes what is spare: its load is no queue's (demand.h) */
        bool is_known;                  /* false: keeps what it has */
        double latency_ms;              /* reported and fresh; 0: none */
        double latency_at_milli;        /* what it held when that was measured */
        double other_ms;                /* of that, spent in services that it calls */
        double cpu_ms;                  /* CPU of one request; 0: not known */
        /* filled by epoch_read_waits() */
        double callees_ms;              /* what those services would take, had each what it needs */
        double reference_ms;            /* what itself would take, had all what they need; 0: not known */
        double target_need_milli;       /* what its targets need; 0: nothing would do, or there is none */
        /* remembered */
        double work_milli_ms;           /* of a request; 0: there was no report yet */
        bool is_work_told;              /* by a report from above its load; else reports have only bounded it */
        bool was_unbounded;             /* no ceiling but its Max=: is_unbounded of the last decision */
        int64_t ceiling_milli;          /* CPUQuota= in force, also where the guard set it; 0: none of ours */
        double part_ms;                 /* of a path's target, without whom it calls; 0: none */
        double credit;                  /* -1..1 */
        int64_t recent_milli[EPOCH_RECENT]; /* allocations, newest first; -1 = had none */
        /* place in the tree of slices */
        size_t group;
};

/* A request path. Its services are in struct epoch_graph. */
struct epoch_path {
        double weight;
        double target_ms;               /* 0: none */
        /* filled by epoch_decide() */
        double price;                   /* of a request: doc/theory.md, Prices */
        double latency_market_ms;       /* modelled, had every service its market allocation */
        double latency_ms;              /* modelled, at the allocations */
        bool is_measured;               /* every service's CPU per request is known; 1 ms is assumed of who has none */
};

/* A coalition: services that share paths. Those whose data are stale stand aside for the epoch. */
struct epoch_coalition {
        size_t first, n;                /* members: graph.members[first] .. [first + n - 1], n >= 2 */
        uint64_t id;                    /* of its members; the caller's, stable over restarts */
        /* remembered; all zero at first. The caller drops it when members change. */
        struct coalition_value value;
        uint32_t valued_active;         /* who took part in that, by position */
        /* filled by epoch_decide() */
        uint32_t active;                /* who takes part in this epoch */
        bool is_formed;                 /* false: its members are single players */
        struct coalition_plan plan;     /* by position among the active */
        int64_t total_milli;            /* what it holds after the gate */
        struct gate_verdict division;   /* D before and after, in utility */
};

/* Who calls whom. NULL instead of a graph: single players only. Indices are of services[]. */
struct epoch_graph {
        struct callgraph_paths paths;
        struct epoch_path *path;        /* paths.n_paths of them */
        struct epoch_coalition *coalitions;
        size_t n_coalitions;
        size_t *members;
};

struct epoch_decision {
        double need_milli;              /* what it bargained for: its need, less what it yields to the price */
        double weight;                  /* that it bargained with: Weight= and credit */
        double target_ms;               /* that it bargained with: its own, or its part of a path's; 0: none */
        double part_ms;                 /* its smallest part of a path's target, which may be no stricter than
                                         * its own; 0: none. The caller carries it to the next epoch */
        double work_milli_ms;           /* these two as in struct epoch_service; carried likewise */
        bool is_work_told;
        double market_milli;            /* the market's exact answer */
        size_t coalition;               /* index, or EPOCH_NO_COALITION */
        int64_t entitlement_milli;      /* what it brings into its coalition, in whole milli */
        double importance;              /* sum of the weights of the paths through it; 0: on no path */
        double path_cover;              /* as in struct enforce_service */
        struct latency_model latency;   /* used for it; work 0: none was needed */
        double gain;                    /* U(alloc) - U(entitlement), in the utility of its coalition; 0 where
                                         * nothing is settled */
        double due;                     /* Shapley value, scaled to the sum of the gains */
        double credit;                  /* after settling; the caller carries it to the next epoch */
        int64_t alloc_milli;            /* after the gate: what holds from now on; -1 = none: it came
                                         * during a freeze and waits */
        int64_t quota_milli;            /* QUOTA_NONE_MILLI = none */
        unsigned cpu_weight;            /* 0 = not ours to set */
        bool is_satisfied;
        bool is_unbounded;              /* as in struct enforce_setting; carried to the next epoch */
};

struct epoch_outcome {
        struct market_outcome market;
        struct gate_verdict gate;
        struct gate_record record;
        double bargained_milli;         /* capacity minus the larger of reserve and unmanaged load */
        double hardship;
        bool is_frozen;                 /* by the gate or by an administrator */
        bool is_rolled_back;
        double v_market, v_division;    /* the two parts of V after the change */
        size_t n_formed;                /* coalitions that were formed */
        size_t n_valued;                /* in this epoch */
};

struct epoch_state {
        uint64_t epoch;                 /* counts up by one a call */
        size_t n_previous;              /* services that had an allocation after the last epoch */
        struct gate_monitor monitor;
        struct gate_history history;    /* storage owned by the caller */
        double recent_hardship[EPOCH_RECENT];
        struct price_memory price;
        size_t next_valued;             /* the coalition whose turn it is */
};

void epoch_state_init(struct epoch_state *s, struct gate_record *records, size_t n_records);

/* Scratch for n services, n_groups slices and coalitions of at most n_members_max, carved out of one
 * buffer of the caller's. Of no meaning outside. */
struct epoch_workspace {
        size_t n_max, n_groups_max;
        unsigned n_members_max;
        struct player *players;
        double *x;
        double *reference;
        int64_t *target, *old, *next;
        double *need, *weight;          /* bargained for and with */
        double *importance;
        size_t *coalition_of;
        struct latency_model *latency;
        struct slo *slo;
        double *part_ms;
        /* players of the gate: formed coalitions, then single services */
        size_t n_entities, n_formed;
        size_t *entity_of;
        int64_t *entity_target, *entity_old, *entity_next;
        double *entity_lower, *entity_upper, *entity_weight, *entity_reference, *entity_sum;
        struct gain *entity_gain;
        double *worth, *more;           /* of one coalition's subsets */
        struct market_scratch market;
        struct market_tier_view view;
        struct enforce_scratch enforce;
        double *path_cover;
        struct enforce_service *enforce_services;
        struct enforce_setting *settings;
};

size_t epoch_workspace_size(size_t n, size_t n_groups, unsigned n_members_max);
/* @buffer: epoch_workspace_size() bytes, aligned for any type; the workspace borrows it. */
void epoch_workspace_init(struct epoch_workspace *w, void *buffer, size_t n, size_t n_groups,
                          unsigned n_members_max);

/* The CPU that is bargained over. What is unmanaged may squeeze the services down to their baselines,
 * no further: else a greedy process outside every section could take what was promised. */
double epoch_bargained_milli(const struct epoch_rules *rules, const struct epoch_service services[],
                             size_t n);

/* What an estimate says of a service: its measured fields but for reports. */
void epoch_take_estimate(struct epoch_service *s, const struct demand_estimate *e);

/* Its targets may need more than its load does: takes the larger of the two, where the load is known. After
 * epoch_read_waits(). */
void epoch_raise_need(struct epoch_service *s, struct demand_estimate *e);

/**
 * epoch_read_waits() - what follows from who waits for whom, and what latency targets need
 * @services: all that is configured, measured and remembered is there; filled are other_ms and those fields that
 *            say so
 * @waits:    of callgraph_waits()
 *
 * A target, a service's own or its part of a path's, needs the CPU at which the model meets nine tenths of it.
 * Nothing in that follows from what anybody holds, only from loads and from the work of a request, or
 * needs and allocations would chase each other (doc/theory.md, The closed loop): so who has a target that includes
 * its callees' time counts on what they take at their needs. need_milli stays what it was: taking the larger of
 * the two is the caller's, for whom a need may be given. Cost: O(n + n_waits), no allocation.
 */
void epoch_read_waits(struct epoch_service services[], size_t n, const struct call waits[], size_t n_waits);

/**
 * epoch_decide() - the decision of one epoch
 * @graph:            paths and coalitions, or NULL; outcomes are left in it
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
                 const struct epoch_service services[], size_t n, struct epoch_graph *graph,
                 const struct enforce_group groups[], size_t n_groups, struct epoch_workspace *w,
                 struct epoch_decision ret[], unsigned ret_group_weight[],
                 struct epoch_outcome *ret_outcome);

/* A number that two decisions share if and (but for one chance in 2^64) only if they are the same, bit for bit; of
 * zero the sign does not count. Of all decisions, weights of slices, and the outcome. */
uint64_t epoch_digest(const struct epoch_decision decisions[], size_t n, const unsigned group_weight[],
                      size_t n_groups, const struct epoch_outcome *outcome);
