/* SPDX-License-Identifier: MIT */
#pragma once

/* Part of systemd_manager: what becomes of one unit: its states, its readings and who waits for them,
 * and how many services are starting in each slice. Tells the follower. */

#include "platform/systemd_message.h"
#include "platform/systemd_table.h"

struct systemd_units {
        struct systemd_table table;
        size_t n_counted;               /* services that count in n_starting of slices */
        size_t n_awaited;               /* readings that SYSTEMD_LISTED waits for */
        bool has_stale;                 /* a reading failed since a listing was last put off for it */
};

/* A followed unit, or NULL. */
struct systemd_entry *systemd_units_find(struct systemd_manager *m, const char *name);

/* Finds it in the table or adds it as a unit that is down. Return: 0; -EINVAL: not a type that we
 * follow; -ENOMEM. */
int systemd_units_ensure(struct systemd_manager *m, const char *name, struct systemd_entry **ret);

/* Asks the follower again whether he wants it. */
void systemd_units_ask(struct systemd_manager *m, struct systemd_entry *e);

/* What a listing says. With @read_again what is up is read however well it is known. */
void systemd_units_take_listed(struct systemd_manager *m, struct systemd_entry *e,
                               enum systemd_state state, bool read_again);

/* What a signal says of a unit that may be unknown. */
void systemd_units_take_change(struct systemd_manager *m, const char *name,
                               const struct systemd_properties *p);

/* It is no longer loaded. */
void systemd_units_remove(struct systemd_manager *m, struct systemd_entry *e);

/* What systemd_manager_refresh() is for a unit that is followed and not down. */
int systemd_units_refresh(struct systemd_manager *m, struct systemd_entry *e,
                          void (*done)(void *ctx, const char *unit, int error), void *ctx);
