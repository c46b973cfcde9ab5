/* SPDX-License-Identifier: MIT */
#pragma once

/* What every unit had before us: /run/coalloc/units.
 *
 * One record a unit that we changed, saved before the change: the value it had, the value we last
 * put there and the value we are about to put there. Written whole to a temporary file, synced and
 * renamed, so that a crash at any byte leaves the old or the new file. The text format has a version
 * line and a checksum; a file that does not fit is kept aside as .bad and reported, never guessed at. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
};

struct state_file {
        char *path;                     /* owned */
        struct state_record *records;   /* sorted by unit name; owned */
        size_t n_records;
        bool is_dirty;
};

/* Loads the file, or starts empty if there is none. @directory: /run/coalloc, created 0755 if missing.
 * Return: 0; 1 if an unreadable file was put aside; negative errno. */
int state_file_load(const char *directory, struct state_file *ret);
void state_file_done(struct state_file *s);

/* The record of a unit, or NULL. The pointer is valid until the next add or remove. */
struct state_record *state_file_find(struct state_file *s, const char *unit);
int state_file_add(struct state_file *s, const char *unit, bool is_transient, struct state_record **ret);
void state_file_remove(struct state_file *s, const char *unit);

/* Writes if dirty; removes the file when there are no records. Return: 0; negative errno. */
int state_file_save(struct state_file *s);
