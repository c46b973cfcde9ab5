/* SPDX-License-Identifier: MIT */
#pragma once

/* The CPU of the host: how much there is, and how much of it is used.
 *
 * Effective CPUs are those online, narrowed by the root cpuset and by a cpu.max on the tree that we
 * can see (a container); steal is CPU that the hypervisor took and is not ours to hand out. */

#include "core/model.h"

struct host_cpu {
        int stat_fd;                    /* /proc/stat */
        int online_fd;                  /* /sys/devices/system/cpu/online */
        int pressure_fd;                /* /proc/pressure/cpu; -1 = PSI is off */
        int cpuset_fd;                  /* <mount>/cpuset.cpus.effective; -1 = none */
        int max_fd;                     /* <mount>/cpu.max; -1 = none (a real root) */
        unsigned ticks_per_sec;
};

/* @root: stands for / ("" in production); @mount: the cgroup2 mount. Return: 0; negative errno. */
int host_cpu_open(const char *root, const char *mount, struct host_cpu *ret);
void host_cpu_close(struct host_cpu *h);

/* Reads everything once. Return: 0; negative errno (-EBADMSG: text that makes no sense). */
int host_cpu_sample(const struct host_cpu *h, uint64_t now_usec, struct host_counters *ret);

/* CPUs that the host has online: what "25%host" and ranges are measured by. */
int host_cpu_count(const struct host_cpu *h, unsigned *ret_n_cpus);

/* Is PSI there? Found out by reading: old kernels have the file but refuse to read it.
 * Return: 1 yes, 0 no, negative errno. */
int host_cpu_has_pressure(const char *root);
