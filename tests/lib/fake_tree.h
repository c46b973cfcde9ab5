/* SPDX-License-Identifier: MIT */
#pragma once

/* A directory that stands for / in tests: /proc, /sys and the cgroup2 tree as plain files.
 *
 * Files are rewritten in place, so that descriptors kept by the code under test see the new text, as
 * they do in the kernel. What plain files cannot show: a descriptor of a removed file goes on reading
 * the old text, where the kernel answers ENODEV.
 *
 * A helper that fails prints why and aborts: a test that goes on without its tree proves nothing. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_tree;

/* A host of four idle CPUs with PSI and an empty unified hierarchy. Remove with fake_tree_free(). */
struct fake_tree *fake_tree_new(void);
/* The same below @parent, NULL for $TMPDIR or /tmp. */
struct fake_tree *fake_tree_new_in(const char *parent);

/* A tree in a directory that is there already and stays: nothing is written, nor removed at the end. */
struct fake_tree *fake_tree_open(const char *root);

struct fake_host;

/* Lays out what fake_tree_new() does, for a host of one's own. */
void fake_tree_lay_out(struct fake_tree *t, const struct fake_host *host);

/* Removes everything; takes NULL; returns NULL. */
struct fake_tree *fake_tree_free(struct fake_tree *t);

/* The directory, without a trailing slash: the `root` argument of the adapters. Borrowed. */
const char *fake_tree_root(const struct fake_tree *t);

/* Where the cgroup2 tree is mounted in it. Borrowed. */
const char *fake_tree_mount(const struct fake_tree *t);

/* Writes a file, with the directories above it. @path: relative to the root. */
void fake_tree_write(struct fake_tree *t, const char *path, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* The same with bytes that are no text. */
void fake_tree_write_bytes(struct fake_tree *t, const char *path, const void *data, size_t length);

/* The content, malloc'd, with a NUL behind; NULL if there is no such file. @ret_length may be NULL. */
char *fake_tree_read(const struct fake_tree *t, const char *path, size_t *ret_length);

/* Is there anything under this name, be it a link to nowhere? */
bool fake_tree_exists(const struct fake_tree *t, const char *path);

void fake_tree_mkdir(struct fake_tree *t, const char *path);

/* Removes a file, or a directory with all that is in it; fine if there is none. */
void fake_tree_remove(struct fake_tree *t, const char *path);

/* The same, but its inode number stays taken: what comes in its place is seen to be another one. */
void fake_tree_put_away(struct fake_tree *t, const char *path);

/* The host: /proc/stat, /proc/pressure/cpu and both lists of CPUs. Ticks are taken as 10 ms. */
struct fake_host {
        unsigned n_cpus;
        uint64_t busy_usec;
        uint64_t steal_usec;
        uint64_t stalled_usec;
        bool has_no_pressure;           /* a kernel booted with psi=0 */
};

void fake_tree_host(struct fake_tree *t, const struct fake_host *host);

/* One cgroup: cpu.stat, cpu.pressure and, with the controller, cpu.max, cpu.weight and cpu.max.burst. Zeros
 * mean what a fresh cgroup shows: no quota, weight 100. A burst that is there stays, whoever wrote it. */
struct fake_unit {
        uint64_t usage_usec;
        uint64_t nr_periods;
        uint64_t nr_throttled;
        uint64_t throttled_usec;
        uint64_t stalled_usec;
        uint64_t quota_usec_per_sec;    /* 0 = max */
        uint64_t cpu_weight;            /* 0 = 100 */
        bool has_no_controller;         /* cpu is not in the parent's cgroup.subtree_control */
        bool has_no_burst;              /* a kernel before 5.14 */
        bool has_no_pressure;
        bool is_garbled;                /* cpu.stat makes no sense */
};

/* @group: relative to the mount, such as "shop.slice/shop-web.slice". */
void fake_tree_unit(struct fake_tree *t, const char *group, const struct fake_unit *unit);
/* Only what counts by itself: cpu.stat and cpu.pressure. */
void fake_tree_counters(struct fake_tree *t, const char *group, const struct fake_unit *unit);
