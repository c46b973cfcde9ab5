/* SPDX-License-Identifier: MIT */
#pragma once

/* Part of systemd_manager: the units that systemd has loaded, by name, wanted or not. Knows names and
 * states; no bus, no follower. */

#include "platform/systemd_manager.h"
#include "util/unit_name.h"

#include <sys/queue.h>

#define SYSTEMD_NAME_SIZE (UNIT_NAME_LENGTH_MAX + 1)

enum systemd_state {
        SYSTEMD_DOWN,                   /* inactive, failed, or waiting to be restarted */
        SYSTEMD_STARTING,
        SYSTEMD_UP,
        SYSTEMD_RELOADING,
        SYSTEMD_STOPPING,
};

/* Who asked for a reading by systemd_manager_refresh(). */
struct systemd_waiter {
        STAILQ_ENTRY(systemd_waiter) link;
        void (*done)(void *ctx, const char *unit, int error);
        void *ctx;
};

STAILQ_HEAD(systemd_waiters, systemd_waiter);

struct systemd_entry {
        struct systemd_unit unit;       /* its strings are owned here */
        struct systemd_entry *next_in_bucket;
        uint32_t hash;

        /* Kept by systemd_units.c. */
        char *slice;                    /* NULL = not known */
        char *control_group;
        enum systemd_state state;
        struct systemd_reading *reading; /* queued or in flight; at most one */
        struct systemd_waiters waiters; /* for a reading that was not sent yet */
        struct systemd_waiters served;  /* by the reading in flight: it was sent after the wish */
        bool is_wanted;
        bool is_reported;
        bool is_stale;                  /* its reading failed */
        bool is_counted;                /* in n_starting of its slice and those around it */

        uint64_t listed;                /* systemd_listing.c: the last full listing that named it */
};

struct systemd_table {
        struct systemd_entry **buckets;
        size_t n_buckets;               /* a power of two */
        size_t n_entries;
};

/* Is the name of a type that we follow? */
bool systemd_type_of(const char *name, enum systemd_unit_type *ret);

/* "a-b.slice" -> "a.slice" -> "-.slice" -> false. In place. */
bool systemd_slice_to_parent(char name[static SYSTEMD_NAME_SIZE]);

/* Is @inner the slice @outer or somewhere inside it? */
bool systemd_slice_contains(const char *outer, const char *inner);

/* Of ActiveState and SubState; @sub may be NULL. */
enum systemd_state systemd_state_from_string(const char *active, const char *sub);

struct systemd_entry *systemd_table_find(const struct systemd_table *t, const char *name);

/* Adds a unit that is down and not in the table yet. Return: 0; -EINVAL: not a type that we follow;
 * -ENOMEM. */
int systemd_table_add(struct systemd_table *t, const char *name, struct systemd_entry **ret);

/* Takes it out; the caller frees it by systemd_entry_free(). */
void systemd_table_take(struct systemd_table *t, struct systemd_entry *e);

/* Goes through the table, from NULL to NULL. @e must be in it still. */
struct systemd_entry *systemd_table_next(const struct systemd_table *t, const struct systemd_entry *e);

void systemd_entry_free(struct systemd_entry *e);
void systemd_table_free(struct systemd_table *t);
