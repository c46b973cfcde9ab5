/* SPDX-License-Identifier: MIT */
#pragma once

/* The CPU of the host: how much there is, and how much of it is used.
 *
 * Effective CPUs are those online, narrowed by the root cpuset and by a cpu.max on the tree that we
 * can see (a container: a real root has no such file). Steal is CPU that the hypervisor took and is
 * not ours to hand out; it is counted apart, and whoever plans subtracts it. Everything is read anew
 * each time, so that hotplug and a changed limit are seen at the next sample. */

#include "core/model.h"

struct host_cpu {
        int stat_fd;                    /* /proc/stat */
        int online_fd;                  /* /sys/devices/system/cpu/online */
        int pressure_fd;                /* /proc/pressure/cpu; -1 = PSI is off */
        int cpuset_fd;                  /* <mount>/cpuset.cpus.effective; -1 = none */
        int max_fd;                     /* <mount>/cpu.max; -1 = none (a real root) */
        unsigned ticks_per_sec;
};

#define HOST_CPU_CLOSED ((struct host_cpu) { .stat_fd = -1, .online_fd = -1, .pressure_fd = -1, \
                                             .cpuset_fd = -1, .max_fd = -1 })

/* @root: stands for / ("" in production); @mount: the cgroup2 mount, NULL if there is none.
 * Return: 0; negative errno. */
int host_cpu_open(const char *root, const char *mount, struct host_cpu *ret);

/* Leaves a closed one; closing that again does nothing. */
void host_cpu_close(struct host_cpu *h);

/**
 * host_cpu_sample() - counters and capacity now
 * @now_usec: CLOCK_MONOTONIC, stored in the result
 *
 * The tick counters have the kernel's grain, 10 ms nearly everywhere. Cost: up to five system calls;
 * the kernel formats all of /proc/stat for the one line that we take.
 *
 * Return: 0; -EBADMSG for text that makes no sense, such as no CPU at all; other negative errno.
 */
int host_cpu_sample(const struct host_cpu *h, uint64_t now_usec, struct host_counters *ret);

/* CPUs that the host has online: what "25%host" and ranges are measured by. Return: 0; negative errno. */
int host_cpu_count(const struct host_cpu *h, unsigned *ret_n_cpus);

/* Is PSI there? Found out by reading: old kernels have the file but refuse to read it.
 * Return: 1 yes, 0 no, negative errno. */
int host_cpu_has_pressure(const char *root);
