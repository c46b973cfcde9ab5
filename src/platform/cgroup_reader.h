/* SPDX-License-Identifier: MIT */
#pragma once

/* cgroup v2 files of one unit, read through descriptors that stay open.
 *
 * Sampling is one pread() a file: no allocation, no path walk, no formatting. A descriptor of a
 * removed cgroup answers ENODEV and never revives; the reader then says -ENODEV and is to be closed.
 * Mounts, controllers and the walk over the tree come from libcgroup, at start only. */

#include "core/model.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Where the cgroup2 tree is, and what is missing on this host. */
enum cgroup_mode {
        CGROUP_UNIFIED,         /* what we need */
        CGROUP_HYBRID,          /* v1 with a v2 tree beside it: no cpu.max there */
        CGROUP_LEGACY,
        CGROUP_NONE,
};

/* @root: directory that stands for / ("" in production); ret_mount is malloc'd, free() it. */
int cgroup_find_mount(const char *root, enum cgroup_mode *ret_mode, char **ret_mount);

struct cgroup_reader {
        int dir_fd;                     /* O_PATH; -1 = closed */
        int stat_fd;
        int pressure_fd;                /* -1 = the kernel shows none */
        ino_t inode;                    /* identity: a restarted unit has another one */
};

#define CGROUP_READER_CLOSED ((struct cgroup_reader) { .dir_fd = -1, .stat_fd = -1, .pressure_fd = -1 })

/**
 * cgroup_reader_open() - open the files of one cgroup
 * @mount:         the cgroup2 mount
 * @control_group: as systemd's ControlGroup property; must stay below the mount (openat2 RESOLVE_BENEATH)
 *
 * Return: 0; -ENOENT if there is no such cgroup (any more); negative errno.
 */
int cgroup_reader_open(const char *mount, const char *control_group, struct cgroup_reader *ret);
void cgroup_reader_close(struct cgroup_reader *r);

/**
 * cgroup_reader_sample() - cpu.stat and cpu.pressure now
 * @now_usec: CLOCK_MONOTONIC, stored in the result
 *
 * Return: 0; -ENODEV when the cgroup is gone; -EBADMSG when the kernel's text makes no sense.
 */
int cgroup_reader_sample(const struct cgroup_reader *r, uint64_t now_usec, struct unit_counters *ret);

/* What is in force for this cgroup. */
struct cgroup_limits {
        uint64_t quota_usec_per_sec;    /* UINT64_MAX = max, or no cpu controller here */
        uint64_t period_usec;
        uint64_t cpu_weight;            /* UINT64_MAX = no cpu controller here */
        bool has_cpu_controller;
};

int cgroup_reader_limits(const struct cgroup_reader *r, struct cgroup_limits *ret);
