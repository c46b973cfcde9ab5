/* SPDX-License-Identifier: MIT */
#pragma once

/* The cgroup tree as a whole: where it is mounted, which controllers a group has, who is in it.
 *
 * For the start, for doctor and for once an epoch; what is sampled every second has descriptors of
 * its own (cgroup_reader.h). The mount comes from libcgroup, which knows the mount tables of both
 * versions. Walking does not: libcgroup walks with fts by path names through its own table, which
 * cannot be kept below a directory and needs the cpu controller to be on. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum cgroup_mode {
        CGROUP_UNIFIED,         /* what we need */
        CGROUP_HYBRID,          /* v1 with a v2 tree beside it: no cpu.max there */
        CGROUP_LEGACY,          /* v1 alone */
        CGROUP_NONE,            /* no cgroups to be seen */
        _CGROUP_MODE_MAX,
};

const char *cgroup_mode_to_string(enum cgroup_mode mode);

/**
 * cgroup_find_mount() - where the cgroup2 tree is
 * @root:      directory that stands for / ("" in production; otherwise no mount table is asked)
 * @ret_mount: malloc'd, free() it: the v2 tree of a unified or hybrid host, NULL without any
 *
 * Call it from one thread only (libcgroup). Cost: about 0.5 ms.
 *
 * Return: 0 whatever the mode; negative errno.
 */
int cgroup_find_mount(const char *root, enum cgroup_mode *ret_mode, char **ret_mount);

/**
 * cgroup_has_controller() - may this group's CPU be controlled?
 * @group: as systemd's ControlGroup property, "" or "/" for the root
 *
 * A group has the controllers that are in its parent's cgroup.subtree_control; the root has what the
 * kernel has and no v1 hierarchy holds.
 *
 * Return: 1 yes, 0 no, -ENOENT if there is no such group, other negative errno.
 */
int cgroup_has_controller(const char *mount, const char *group, const char *controller);

/**
 * cgroup_ceiling() - the most CPU that what is in a group can get together
 * @ret_usec_per_sec: UINT64_MAX if nothing bounds it
 *
 * The least of cpu.max and of the CPUs that cpuset leaves, of the group and of all that hold it: what
 * an administrator put on an ancestor bounds everything below. Cost: about twelve system calls a level.
 *
 * Return: 0; -ENOENT if there is no such group; -EBADMSG; other negative errno.
 */
int cgroup_ceiling(const char *mount, const char *group, uint64_t *ret_usec_per_sec);

struct cgroup_child {
        const char *name;               /* of the directory; valid during the call */
        ino_t inode;
        uint64_t usage_usec;            /* cumulative */
        uint64_t cpu_weight;            /* 0 = idle; UINT64_MAX = no cpu controller here */
};

/* Is a group of this name to be looked at? */
typedef bool (*cgroup_wants_child_fn)(void *ctx, const char *name);
/* Return: 0 to go on; anything else ends the walk and is handed back. */
typedef int (*cgroup_child_fn)(void *ctx, const struct cgroup_child *child);

/**
 * cgroup_each_child() - the groups directly below one, in no particular order
 *
 * Groups that come or go meanwhile may or may not be reported. Cost: nine system calls a child that
 * @wants wants, none for another.
 *
 * Return: 0; what @each returned if not 0; -ENOENT if there is no such group; other negative errno.
 */
int cgroup_each_child(const char *mount, const char *group, cgroup_wants_child_fn wants,
                      cgroup_child_fn each, void *ctx);

/* Return: as above. @group: where it is, as systemd's ControlGroup property; valid during the call. */
typedef int (*cgroup_process_fn)(void *ctx, const char *group, pid_t pid);

/**
 * cgroup_each_process() - the processes of a group and of the groups below it
 *
 * A process of another PID namespace has no number here and is left out. Groups more than 32 levels
 * down, and such as have threads only, are not looked at. Cost: twelve system calls a group.
 *
 * Return: 0; what @each returned if not 0; -ENOENT if there is no such group; other negative errno.
 */
int cgroup_each_process(const char *mount, const char *group, cgroup_process_fn each, void *ctx);

/**
 * cgroup_quota() - cpu.max as it is in force for a group
 * @ret_least_usec_per_sec: the least of its own and of those of the groups that hold it
 * @ret_own_usec_per_sec:   its own
 *
 * Both are UINT64_MAX where there is none. Cost: about twelve system calls a level.
 *
 * Return: 0; -ENOENT if there is no such group; -EBADMSG; other negative errno.
 */
int cgroup_quota(const char *mount, const char *group, uint64_t *ret_least_usec_per_sec,
                 uint64_t *ret_own_usec_per_sec);
