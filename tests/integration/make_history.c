/* SPDX-License-Identifier: MIT */

/* make_history FILE: a record of three epochs of two services, the last one without a decision; what
 * test_coallocctl_history.sh reads. */

#include "platform/history_db.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 2026-01-31 12:00:00 UTC. */
#define START_USEC (UINT64_C(1769860800) * 1000000)

static void fill(struct history_item *item, unsigned k)
{
        static const char *const names[] = { "db", "web" };
        struct history_epoch *e = history_add(item, HISTORY_EPOCHS);

        *e = (struct history_epoch){
                .time_usec = START_USEC + 15000000 * (uint64_t)k,
                .is_key = k == 0,
                .error = k == 2 ? 1 : 0,
                .mode = "enforce",
                .n_services = 2,
                .n_writes = 3 * k,
                .capacity_milli = 4000,
                .tier = "congested",
                .verdict = "apply",
                .scarcity = 0.25,
                .v_before = k == 0 ? NAN : 0.5,
                .v_after = 0.125,
                .shadow_price = 0.01,
                .allocated_milli = 3600,
        };
        for (unsigned i = 0; i < 2; i++) {
                struct history_service *s = history_add(item, HISTORY_SERVICES);

                *s = (struct history_service){
                        .position = i,
                        .came_from = k == 0 ? HISTORY_NONE : i,
                        .wall_usec = 15000000,
                        .used_usec = 15000000 * (i + 1),
                        .n_periods = 150,
                        .n_throttled = 15 * i,
                        .has_pressure = i == 1,
                        .stalled_usec = 3000000,
                        .need_milli = 1150 * (i + 1),
                        .load_milli = 1000 * (i + 1),
                        .alloc_milli = i == 0 ? 1600 - 50 * (int64_t)k : 2000 + 100 * (int64_t)k,
                        .quota_milli = i == 0 ? INT64_MAX : 2000,
                        .cpu_weight = 100 * i,
                        .coalition = HISTORY_NONE,
                        .credit = 0.25 * i,
                        .is_satisfied = true,
                };
        }
        for (unsigned i = 0; i < 2 && k == 0; i++) {
                struct history_state *state = history_add(item, HISTORY_STATES);
                char unit[64];

                snprintf(unit, sizeof unit, "shop-%s.slice", names[i]);
                state->position = i;
                state->unit_name = strdup(unit);
                state->service_name = strdup(names[i]);
        }
}

int main(int argc, char *argv[])
{
        struct history_db *db = NULL;
        int r = argc == 2 ? history_db_open_for_writing(argv[1], "test", &db) : -1;

        for (unsigned k = 0; k < 3 && r == 0; k++) {
                struct history_item *item = history_item_new();

                fill(item, k);
                r = history_db_put(db, item);
                (void)history_item_free(item);
        }
        (void)history_db_close(db);
        if (r < 0)
                fprintf(stderr, "make_history: %d\n", r);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
