/* SPDX-License-Identifier: MIT */
#pragma once

/* cgroup v2 files of one unit, read through descriptors that stay open.
 *
 * Sampling is one pread() a file: no allocation, no path walk, no formatting. A descriptor of a
 * removed cgroup answers ENODEV and never revives; the reader then says -ENODEV and is to be closed.
 * Where the tree is and who is in it: cgroup_tree.h. */

#include "core/model.h"
#include "platform/kernel_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

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
 * @control_group: as systemd's ControlGroup property; must stay below the mount and hold no symlink
 *
 * Keeps three descriptors, all close-on-exec. A kernel without PSI, or with PSI off for this group,
 * is no error.
 *
 * Return: 0; -ENOENT if there is no such cgroup (any more); -EXDEV or -ELOOP for a path that leaves
 * the mount; negative errno.
 */
int cgroup_reader_open(const char *mount, const char *control_group, struct cgroup_reader *ret);

/* Leaves a closed reader; closing that again does nothing. */
void cgroup_reader_close(struct cgroup_reader *r);

/**
 * cgroup_reader_sample() - cpu.stat and cpu.pressure now
 * @now_usec: CLOCK_MONOTONIC, stored in the result
 *
 * nr_periods and nr_throttled count modulo 2^32 (see kernel_text.h). Pressure that is switched off
 * meanwhile (cgroup.pressure) is reported as not there. Cost: two system calls.
 *
 * Return: 0; -ENODEV when the cgroup is gone; -EBADMSG when the kernel's text makes no sense; other
 * negative errno.
 */
int cgroup_reader_sample(const struct cgroup_reader *r, uint64_t now_usec, struct unit_counters *ret);

/* How often its quota was hit: cpu.stat and no more of it than that. Cost: one system call.
 * Return: 0; -ENODATA without the cpu controller; -ENODEV when the cgroup is gone; -EBADMSG; other
 * negative errno. */
int cgroup_reader_bandwidth(const struct cgroup_reader *r, struct kernel_bandwidth *ret);

/* What is in force for this cgroup. */
struct cgroup_limits {
        uint64_t quota_usec_per_sec;    /* UINT64_MAX = max, or no cpu controller here */
        uint64_t quota_usec;            /* the same of a period, as the kernel has it */
        uint64_t period_usec;           /* 0 without the controller */
        uint64_t cpu_weight;            /* 0 = cpu.idle is set; UINT64_MAX = no cpu controller here */
        bool has_cpu_controller;        /* the root shows none either: it cannot be limited */
};

/**
 * cgroup_reader_limits() - cpu.max and cpu.weight now
 *
 * For reading back after a change, not for every second: opens and closes both files, because they
 * come and go with the controller.
 *
 * Return: 0; -ENODEV when the cgroup is gone; -EBADMSG; other negative errno.
 */
int cgroup_reader_limits(const struct cgroup_reader *r, struct cgroup_limits *ret);

/* The CPUs that cpuset leaves a group (@dir_fd: its directory, of a reader or another), in usec of CPU
 * per second; UINT64_MAX if nothing bounds it. What bounds the groups around it: cgroup_ceiling(). Cost:
 * one system call where the cpuset controller is off, three where it is on. Return: 0; -EBADMSG; other
 * negative errno. */
int cgroup_cpus(int dir_fd, uint64_t *ret_usec_per_sec);
