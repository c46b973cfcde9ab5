/* SPDX-License-Identifier: MIT */
#pragma once

/* What every unit had before us: /run/coalloc/units.
 *
 * One record a unit that we changed, saved before the change: the value it had, the value we last
 * put there and the value we are about to put there. A sealed file (sealed_file.h): one that does not
 * fit is kept aside as units.bad and reported, never guessed at.
 *
 *      coalloc-units 2
 *      reload
 *      unit shop-web.slice
 *      quota unset 500000 300000
 *      weight 80 200 200 "# prior drop-in\n[Slice]\nCPUWeight=80\n"
 *      burst 0 50000 30000
 *      unit run-u7.scope transient
 *      weight unset 50 50
 *      checksum 0123456789abcdef
 *
 * Values are prior, applied, intended, then the drop-in that was there, if one was. Units ascend
 * strictly by strcmp(), so a unit cannot be there twice. A file without bursts begins with
 * "coalloc-units 1", as it did before there were any. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file larger than this is none of ours: 100,000 units with a drop-in of 500 bytes each fit. */
#define STATE_FILE_SIZE_MAX (64u * 1024 * 1024)

/* One property of one unit. UINT64_MAX means unset, as in systemd. */
struct state_value {
        bool is_ours;                   /* we changed it (or are about to): give it back */
        uint64_t prior;                 /* what it had before us */
        uint64_t applied;               /* what we last put there and saw confirmed */
        uint64_t intended;              /* what we are about to put there */
        char *prior_dropin;             /* content of the drop-in file that was there, or NULL; owned */
};

struct state_record {
        char *unit;                     /* owned */
        bool is_transient;
        struct state_value quota;       /* usec per second */
        struct state_value weight;
        struct state_value burst;       /* cpu.max.burst, usec a period; no drop-in */
};

struct state_file {
        char *directory;                /* owned */
        struct state_record *records;   /* sorted by unit name; owned */
        size_t n_records;
        size_t n_allocated;
        bool reload_pending;            /* a drop-in was unlinked or rewritten: systemd is owed a daemon-reload */
        bool is_dirty;                  /* set it after changing a record: it makes state_file_save() write */
};

/**
 * state_file_load() - what was recorded, or nothing
 * @directory: /run/coalloc; created 0755 if missing
 *
 * Return: 0 (also when there is no file); 1 if an unreadable file was put aside as "units.bad" and
 * @ret is empty; negative errno if the file could not be read or put aside.
 */
int state_file_load(const char *directory, struct state_file *ret);
void state_file_done(struct state_file *s);

/* The record of a unit, or NULL. O(log n). The pointer is valid until the next add or remove. */
struct state_record *state_file_find(struct state_file *s, const char *unit);

/* Return: 0; -EEXIST; -EINVAL if this is not a name of a slice, service or scope; -ENOMEM. O(n). */
int state_file_add(struct state_file *s, const char *unit, bool is_transient, struct state_record **ret);
void state_file_remove(struct state_file *s, const char *unit);

/* This property is no longer ours: forgets what it had before. */
void state_value_clear(struct state_value *v);

/**
 * state_file_save() - write if dirty
 *
 * Removes the file when there is nothing to remember. When it returns 0, what is on the disk is what
 * is in memory; otherwise the file that was there is there still, and @s stays dirty.
 *
 * Return: 0; negative errno (-EFBIG: more than STATE_FILE_SIZE_MAX).
 */
int state_file_save(struct state_file *s);

/* The text of all records, malloc'd, and back: what load and save do between the files. Parsing
 * takes hostile bytes. Return: 0; -EBADMSG for a text that is not exactly as above; -ENOMEM. */
int state_file_format(const struct state_file *s, char **ret_text, size_t *ret_length);
int state_file_parse(struct state_file *s, const char *text, size_t length);
