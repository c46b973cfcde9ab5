/* SPDX-License-Identifier: MIT */

#include "platform/history_tables.h"

#include "util/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMN(type, field) { #field, HISTORY_##type, offsetof(struct ROW, field) }

static const struct history_column epoch_columns[] = {
#define ROW history_epoch
        COLUMN(U64, id),
        COLUMN(U64, run),
        COLUMN(U64, graph),
        COLUMN(U64, time_usec),
        COLUMN(BOOL, is_key),
        COLUMN(I64, error),
        COLUMN(WORD, mode),
        COLUMN(U32, n_services),
        COLUMN(U32, n_writes),
        COLUMN(U64, epoch_usec),
        COLUMN(U64, sample_interval_usec),
        COLUMN(REAL, capacity_milli),
        COLUMN(REAL, reserve_milli),
        COLUMN(REAL, unmanaged_milli),
        COLUMN(REAL, headroom_milli),
        COLUMN(REAL, spare),
        COLUMN(WORD, overload),
        COLUMN(WORD, enforce),
        COLUMN(BOOL, is_frozen),
        COLUMN(REAL, sensitivity_per_ms),
        COLUMN(REAL, epsilon),
        COLUMN(U32, max_iterations),
        COLUMN(U32, max_coalition_size),
        COLUMN(REAL, host_idle_share),
        COLUMN(REAL, weight_sum),
        COLUMN(WORD, tier),
        COLUMN(WORD, verdict),
        COLUMN(REAL, step),
        COLUMN(REAL, v_before),
        COLUMN(REAL, v_after),
        COLUMN(REAL, v_market),
        COLUMN(REAL, v_division),
        COLUMN(REAL, scarcity),
        COLUMN(REAL, shadow_price),
        COLUMN(REAL, bargained_milli),
        COLUMN(REAL, allocated_milli),
        COLUMN(REAL, hardship),
        COLUMN(BOOL, is_held),
        COLUMN(BOOL, is_rolled_back),
        COLUMN(U32, n_formed),
        COLUMN(U32, n_valued),
        COLUMN(U64, digest),
#undef ROW
};

static const struct history_column service_columns[] = {
#define ROW history_service
        COLUMN(U64, epoch),
        COLUMN(U64, unit),
        COLUMN(U32, position),
        COLUMN(U32, n_samples),
        COLUMN(BOOL, has_pressure),
        COLUMN(REAL, wall_usec),
        COLUMN(REAL, used_usec),
        COLUMN(REAL, stalled_usec),
        COLUMN(REAL, use_peak_milli),
        COLUMN(REAL, throttled_usec),
        COLUMN(REAL, bandwidth_wall_usec),
        COLUMN(REAL, n_periods),
        COLUMN(REAL, n_throttled),
        COLUMN(MILLI, quota_before_milli),
        COLUMN(BOOL, is_starting),
        COLUMN(BOOL, is_called),
        COLUMN(MILLI, ceiling_milli),
        COLUMN(REAL, latency_ms),
        COLUMN(REAL, latency_at_milli),
        COLUMN(REAL, cpu_ms),
        COLUMN(INDEX, slice),
        COLUMN(REAL, need_milli),
        COLUMN(REAL, load_milli),
        COLUMN(I64, alloc_milli),
        COLUMN(MILLI, quota_milli),
        COLUMN(U32, cpu_weight),
        COLUMN(INDEX, coalition),
        COLUMN(REAL, credit),
        COLUMN(BOOL, is_satisfied),
        COLUMN(BOOL, is_unbounded),
#undef ROW
};

static const struct history_column state_columns[] = {
#define ROW history_state
        COLUMN(U64, epoch),
        COLUMN(U64, unit),
        COLUMN(REAL, floor_milli),
        COLUMN(REAL, baseline_milli),
        COLUMN(REAL, max_milli),
        COLUMN(REAL, bound_milli),
        COLUMN(REAL, weight),
        COLUMN(REAL, target_ms),
        COLUMN(REAL, elasticity),
        COLUMN(I64, recent_0_milli),
        COLUMN(I64, recent_1_milli),
        COLUMN(I64, recent_2_milli),
        COLUMN(I64, recent_3_milli),
        COLUMN(REAL, work_milli_ms),
        COLUMN(BOOL, is_work_told),
        COLUMN(BOOL, was_unbounded),
        COLUMN(REAL, part_ms),
        COLUMN(REAL, credit),
        COLUMN(REAL, load_milli),
        COLUMN(REAL, stall_baseline),
        COLUMN(REAL, throttle_raise),
        COLUMN(REAL, believed_usec),
        COLUMN(U32, n_estimates),
        COLUMN(U32, n_missing),
        COLUMN(U32, n_unproven),
        COLUMN(BOOL, has_stall_baseline),
        COLUMN(BOOL, is_elastic),
#undef ROW
};

static const struct history_column slice_columns[] = {
#define ROW history_slice
        COLUMN(U64, epoch),
        COLUMN(U32, slice),
        COLUMN(TEXT, name),
        COLUMN(INDEX, parent),
        COLUMN(U32, prior_weight),
        COLUMN(BOOL, may_change),
        COLUMN(REAL, busy_unmanaged_weight),
        COLUMN(U32, cpu_weight),
#undef ROW
};

static const struct history_column frame_columns[] = {
#define ROW history_frame
        COLUMN(U64, epoch),
        COLUMN(U64, state_epoch),
        COLUMN(U32, n_previous),
        COLUMN(REAL, step_max),
        COLUMN(REAL, hardship_previous),
        COLUMN(REAL, load_previous_milli),
        COLUMN(U32, n_wrong),
        COLUMN(U32, n_frozen_left),
        COLUMN(REAL, recent_hardship_0),
        COLUMN(REAL, recent_hardship_1),
        COLUMN(REAL, recent_hardship_2),
        COLUMN(REAL, recent_hardship_3),
        COLUMN(REAL, price_smooth),
        COLUMN(REAL, price_hour),
        COLUMN(U32, next_valued),
        COLUMN(BOOL, has_last),
        COLUMN(REAL, last_v_before),
        COLUMN(REAL, last_v_after),
        COLUMN(REAL, last_action),
        COLUMN(REAL, last_workload),
        COLUMN(REAL, last_step),
        COLUMN(REAL, last_hardship),
        COLUMN(REAL, last_scarcity),
        COLUMN(WORD, last_tier),
        COLUMN(WORD, last_verdict),
#undef ROW
};

static const struct history_column coalition_columns[] = {
#define ROW history_coalition
        COLUMN(U64, epoch),
        COLUMN(U32, coalition),
        COLUMN(BOOL, is_formed),
        COLUMN(U32, active),
        COLUMN(I64, total_milli),
        COLUMN(REAL, worth),
        COLUMN(REAL, price),
        COLUMN(REAL, v_before),
        COLUMN(REAL, v_after),
#undef ROW
};

static const struct history_column value_columns[] = {
#define ROW history_value
        COLUMN(U64, epoch),
        COLUMN(U32, coalition),
        COLUMN(U64, value_epoch),
        COLUMN(U64, seed),
        COLUMN(REAL, worth),
        COLUMN(REAL, max_excess),
        COLUMN(REAL, half_width),
        COLUMN(U32, blocking),
        COLUMN(U32, valued_active),
        COLUMN(BOOL, is_stable),
        COLUMN(BOOL, is_exact),
        COLUMN(BOOL, is_repaired),
#undef ROW
};

static const struct history_column value_member_columns[] = {
#define ROW history_value_member
        COLUMN(U64, epoch),
        COLUMN(U32, coalition),
        COLUMN(U32, position),
        COLUMN(REAL, shapley),
        COLUMN(REAL, imputation),
#undef ROW
};

static const struct history_column path_columns[] = {
#define ROW history_path
        COLUMN(U64, graph),
        COLUMN(U32, path),
        COLUMN(TEXT, name),
        COLUMN(REAL, weight),
        COLUMN(REAL, target_ms),
#undef ROW
};

static const struct history_column path_member_columns[] = {
#define ROW history_path_member
        COLUMN(U64, graph),
        COLUMN(U32, path),
        COLUMN(U32, position),
        COLUMN(U64, unit),
#undef ROW
};

static const struct history_column wait_columns[] = {
#define ROW history_wait
        COLUMN(U64, graph),
        COLUMN(U32, position),
        COLUMN(U64, caller),
        COLUMN(U64, callee),
        COLUMN(REAL, weight),
#undef ROW
};

static const struct history_column coalition_member_columns[] = {
#define ROW history_coalition_member
        COLUMN(U64, graph),
        COLUMN(U32, coalition),
        COLUMN(U32, position),
        COLUMN(U64, unit),
        COLUMN(U64, id),
#undef ROW
};

#define TABLE(list, row) .columns = list, .n_columns = sizeof list / sizeof list[0], .row_size = sizeof(struct row)

const struct history_table_schema history_tables[_HISTORY_TABLE_MAX] = {
        [HISTORY_EPOCHS] = { "epochs", "id", "id", TABLE(epoch_columns, history_epoch) },
        [HISTORY_SERVICES] = { "services", "epoch, unit", "position",
                               TABLE(service_columns, history_service) },
        [HISTORY_STATES] = { "states", "epoch, unit", "unit", TABLE(state_columns, history_state) },
        [HISTORY_SLICES] = { "slices", "epoch, slice", "slice", TABLE(slice_columns, history_slice) },
        [HISTORY_FRAMES] = { "frames", "epoch", "epoch", TABLE(frame_columns, history_frame) },
        [HISTORY_COALITIONS] = { "coalitions", "epoch, coalition", "coalition",
                                 TABLE(coalition_columns, history_coalition) },
        [HISTORY_VALUES] = { "coalition_values", "epoch, coalition", "coalition",
                             TABLE(value_columns, history_value) },
        [HISTORY_VALUE_MEMBERS] = { "coalition_value_members", "epoch, coalition, position",
                                    "coalition, position",
                                    TABLE(value_member_columns, history_value_member) },
        [HISTORY_PATHS] = { "paths", "graph, path", "path", TABLE(path_columns, history_path), true },
        [HISTORY_PATH_MEMBERS] = { "path_members", "graph, path, position", "path, position",
                                   TABLE(path_member_columns, history_path_member), true },
        [HISTORY_WAITS] = { "waits", "graph, position", "position", TABLE(wait_columns, history_wait), true },
        [HISTORY_COALITION_MEMBERS] = { "coalition_members", "graph, coalition, position",
                                        "coalition, position",
                                        TABLE(coalition_member_columns, history_coalition_member), true },
};

static const char *declared_as(enum history_type type)
{
        switch (type) {
        case HISTORY_REAL:
                return "REAL";
        case HISTORY_WORD:
        case HISTORY_TEXT:
                return "TEXT";
        default:
                return "INTEGER";
        }
}

char *history_create_statement(const struct history_table_schema *t)
{
        char *text = NULL;
        size_t length;
        FILE *f = open_memstream(&text, &length);

        if (!f)
                return NULL;
        (void)fprintf(f, "CREATE TABLE %s (", t->name);
        for (size_t i = 0; i < t->n_columns; i++)
                (void)fprintf(f, "%s %s, ", t->columns[i].name, declared_as(t->columns[i].type));
        /* An INTEGER PRIMARY KEY of its own is the rowid; all others are found by two numbers or three. */
        (void)fprintf(f, "PRIMARY KEY (%s))%s", t->key, t == &history_tables[HISTORY_EPOCHS] ? "" : " WITHOUT ROWID");
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

/* ---- rows ---------------------------------------------------------------------------------------- */

struct history_item *history_item_new(void)
{
        return calloc(1, sizeof(struct history_item));
}

void history_rows_free(enum history_table table, struct history_rows *rows)
{
        const struct history_table_schema *t = &history_tables[table];

        for (size_t i = 0; i < rows->n; i++) {
                char *row = (char *)rows->rows + i * t->row_size;

                for (size_t c = 0; c < t->n_columns; c++)
                        if (t->columns[c].type == HISTORY_TEXT)
                                free(*(char **)(row + t->columns[c].offset));
                if (table == HISTORY_STATES) {
                        free(((struct history_state *)row)->unit_name);
                        free(((struct history_state *)row)->service_name);
                }
        }
        free(rows->rows);
        *rows = (struct history_rows){ 0 };
}

struct history_item *history_item_free(struct history_item *item)
{
        if (!item)
                return NULL;
        for (size_t k = 0; k < _HISTORY_TABLE_MAX; k++)
                history_rows_free(k, &item->tables[k]);
        free(item);
        return NULL;
}

int history_reserve(struct history_item *item, enum history_table table, size_t n)
{
        struct history_rows *rows = &item->tables[table];
        void *more;

        if (n <= rows->n_allocated)
                return 0;
        more = reallocarray(rows->rows, n, history_tables[table].row_size);
        if (!more)
                return -ENOMEM;
        rows->rows = more;
        rows->n_allocated = n;
        return 0;
}

void *history_add(struct history_item *item, enum history_table table)
{
        struct history_rows *rows = &item->tables[table];
        size_t size = history_tables[table].row_size;
        char *row;

        if (rows->n == rows->n_allocated && history_reserve(item, table, rows->n + rows->n / 2 + 4) < 0)
                return NULL;
        row = (char *)rows->rows + rows->n++ * size;
        return memset(row, 0, size);
}
