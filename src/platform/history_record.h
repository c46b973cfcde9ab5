/* SPDX-License-Identifier: MIT */
#pragma once

/* The record of epochs as plain rows, one struct a table. doc/history.md says what each column means;
 * history_tables.c lists them in order. No column of another module's type: what is written today has to be
 * read by the versions of tomorrow.
 *
 * An epoch with is_key set begins anew: with everything that is remembered from one epoch to the next, so
 * that whoever reruns the record may start there. In all others that is written of those services only for
 * which it is not what follows from the epoch before. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_NONE UINT32_MAX         /* of an index */
#define HISTORY_WORD_MAX 16

/* One epoch: the rules of the decision, the host, and what came of it. */
struct history_epoch {
        uint64_t id;                    /* filled by the writer, like run and graph; ascending */
        uint64_t run;
        uint64_t graph;                 /* 0: no paths */
        uint64_t time_usec;             /* CLOCK_REALTIME */
        bool is_key;
        int64_t error;                  /* of epoch_decide(); the outputs of others than 0 mean nothing */
        char mode[HISTORY_WORD_MAX];
        uint32_t n_services;
        uint32_t n_writes;              /* that were sent since the epoch before */

        /* inputs */
        uint64_t epoch_usec, sample_interval_usec;
        double capacity_milli, reserve_milli, unmanaged_milli, headroom_milli, spare;
        char overload[HISTORY_WORD_MAX], enforce[HISTORY_WORD_MAX];
        bool is_frozen;
        double sensitivity_per_ms, epsilon;
        uint32_t max_iterations, max_coalition_size;
        double host_idle_share, weight_sum;

        /* outputs */
        char tier[HISTORY_WORD_MAX], verdict[HISTORY_WORD_MAX];
        double step, v_before, v_after, v_market, v_division;
        double scarcity, shadow_price, bargained_milli, allocated_milli, hardship;
        bool is_held, is_rolled_back;
        uint32_t n_formed, n_valued;
        uint64_t digest;                /* of all decisions: epoch_digest() */
};

/* One service in one epoch. */
struct history_service {
        uint64_t epoch;
        uint64_t unit;                  /* filled by the writer */
        uint32_t position;              /* in the order of names: the place of its row */

        /* inputs: what its samples add up to, and what else its need depends on */
        uint32_t n_samples;
        bool has_pressure;
        double wall_usec, used_usec, stalled_usec, use_peak_milli;
        double throttled_usec, bandwidth_wall_usec, n_periods, n_throttled;
        int64_t quota_before_milli;     /* in force, INT64_MAX: none */
        bool is_starting, is_called;
        int64_t ceiling_milli;          /* that enforcement counts with; INT64_MAX: none, 0: none of ours */
        double latency_ms, latency_at_milli, cpu_ms;
        uint32_t slice;

        /* outputs */
        double need_milli, load_milli;
        int64_t alloc_milli, quota_milli;
        uint32_t cpu_weight, coalition;
        double credit;
        bool is_satisfied, is_unbounded;

        /* not a column: its position in the epoch before; HISTORY_NONE: its state tells its name */
        uint32_t came_from;
};

/* What is configured for a service, and remembered of it before the epoch. */
struct history_state {
        uint64_t epoch;
        uint64_t unit;
        double floor_milli, baseline_milli, max_milli, bound_milli, weight, target_ms, elasticity;
        int64_t recent_0_milli, recent_1_milli, recent_2_milli, recent_3_milli;
        double work_milli_ms;
        bool is_work_told, was_unbounded;
        double part_ms, credit;
        double load_milli, stall_baseline, throttle_raise, believed_usec;
        uint32_t n_estimates, n_missing, n_unproven;
        bool has_stall_baseline, is_elastic;

        /* not columns: where its service's row is, and what the table of units says of it */
        uint32_t position;
        char *unit_name, *service_name;
};

/* A slice that holds managed units. */
struct history_slice {
        uint64_t epoch;
        uint32_t slice;                 /* 0: the root */
        char *name;
        uint32_t parent;
        uint32_t prior_weight;
        bool may_change;
        double busy_unmanaged_weight;
        uint32_t cpu_weight;            /* output */
};

/* What the decision remembers of the host before the epoch. */
struct history_frame {
        uint64_t epoch;
        uint64_t state_epoch;
        uint32_t n_previous;
        double step_max, hardship_previous, load_previous_milli;
        uint32_t n_wrong, n_frozen_left;
        double recent_hardship_0, recent_hardship_1, recent_hardship_2, recent_hardship_3;
        double price_smooth, price_hour;
        uint32_t next_valued;
        bool has_last;
        double last_v_before, last_v_after, last_action, last_workload, last_step, last_hardship;
        double last_scarcity;
        char last_tier[HISTORY_WORD_MAX], last_verdict[HISTORY_WORD_MAX];
};

/* What became of a coalition. */
struct history_coalition {
        uint64_t epoch;
        uint32_t coalition;
        bool is_formed;
        uint32_t active;                /* bits, by position */
        int64_t total_milli;
        double worth, price;
        double v_before, v_after;       /* of the division */
};

/* What is remembered of a coalition before the epoch. */
struct history_value {
        uint64_t epoch;
        uint32_t coalition;
        uint64_t value_epoch, seed;
        double worth, max_excess, half_width;
        uint32_t blocking, valued_active;
        bool is_stable, is_exact, is_repaired;
};

struct history_value_member {
        uint64_t epoch;
        uint32_t coalition, position;
        double shapley, imputation;
};

/* Who calls whom: as long as it stays the same, epochs share it. Services are units. */
struct history_path {
        uint64_t graph;
        uint32_t path;
        char *name;
        double weight, target_ms;
};

struct history_path_member {
        uint64_t graph;
        uint32_t path, position;
        uint64_t unit;
        uint32_t service;               /* not a column: position of its row */
};

struct history_wait {
        uint64_t graph;
        uint32_t position;
        uint64_t caller, callee;
        double weight;
        uint32_t caller_service, callee_service; /* not columns */
};

struct history_coalition_member {
        uint64_t graph;
        uint32_t coalition, position;
        uint64_t unit;
        uint64_t id;                    /* of the coalition */
        uint32_t service;               /* not a column */
};

enum history_table {
        HISTORY_EPOCHS,
        HISTORY_SERVICES,
        HISTORY_STATES,
        HISTORY_SLICES,
        HISTORY_FRAMES,
        HISTORY_COALITIONS,
        HISTORY_VALUES,
        HISTORY_VALUE_MEMBERS,
        HISTORY_PATHS,
        HISTORY_PATH_MEMBERS,
        HISTORY_WAITS,
        HISTORY_COALITION_MEMBERS,
        _HISTORY_TABLE_MAX,
};

/* The rows of one table, of its struct. */
struct history_rows {
        void *rows;
        size_t n, n_allocated;
};

/* Everything of one epoch: of HISTORY_EPOCHS one row. */
struct history_item {
        struct history_rows tables[_HISTORY_TABLE_MAX];
        uint64_t graph_number;          /* counts graphs up; 0: there is none. Rows of one that is the same as in
                                         * the epoch before need not be there, unless it is a key */
};

/* Return: NULL without memory. */
struct history_item *history_item_new(void);
/* With every text in it. Takes NULL; returns NULL. */
struct history_item *history_item_free(struct history_item *item);

/* Frees the rows of a table with every text in them, and empties it. */
void history_rows_free(enum history_table table, struct history_rows *rows);

/* A new row, zeroed; NULL without memory. Valid until the next one of the same table. */
void *history_add(struct history_item *item, enum history_table table);
/* Room for so many, and no more: rows are many and short-lived. Return: 0; -ENOMEM. */
int history_reserve(struct history_item *item, enum history_table table, size_t n);

static inline struct history_epoch *history_item_epoch(const struct history_item *item)
{
        return item->tables[HISTORY_EPOCHS].rows;
}
