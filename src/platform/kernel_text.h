/* SPDX-License-Identifier: MIT */
#pragma once

/* The kernel's text files about CPU, turned into numbers.
 *
 * Pure functions of a buffer: no allocation, no locale, nothing read beyond the length given, and the
 * text need not end in NUL. Files are read by key: unknown keys and extra fields are skipped, since
 * every kernel release adds some; keys that not every kernel shows have a has_ flag.
 *
 * Every line must end in a newline, as the kernel writes it. A text that does not was cut, and a cut
 * "usage_usec 1234" would be a smaller number that looks right.
 *
 * All return 0, or -EBADMSG for text that no kernel writes; ret_ outputs are untouched then. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL_CPU_MAX_NONE UINT64_MAX  /* cpu.max says "max" */

/* cpu.stat of a cgroup. */
struct kernel_cpu_stat {
        uint64_t usage_usec;
        uint64_t nr_periods;            /* counts modulo 2^32: the kernel keeps an int */
        uint64_t nr_throttled;          /* likewise */
        uint64_t throttled_usec;
        bool has_bandwidth;             /* the last three were there: only with the cpu controller */
};

/* Of these, what tells whether a quota is hit: counts modulo 2^32 as well. */
struct kernel_bandwidth {
        uint64_t nr_periods;
        uint64_t nr_throttled;
};

/* cpu.pressure or /proc/pressure/cpu. Only the totals: the averages move every 2 s, these at once. */
struct kernel_pressure {
        uint64_t some_usec;
        uint64_t full_usec;             /* 0 without has_full */
        bool has_full;                  /* cgroups show it since 5.13 */
};

struct kernel_cpu_max {
        uint64_t quota_usec;            /* a period, or KERNEL_CPU_MAX_NONE */
        uint64_t period_usec;           /* never 0 */
};

/* The first line of /proc/stat: all CPUs together, in ticks of sysconf(_SC_CLK_TCK). */
struct kernel_proc_stat {
        uint64_t busy_ticks;            /* user, nice, system, irq, softirq; guests count as user */
        uint64_t steal_ticks;           /* the hypervisor ran somebody else; 0 before 2.6.11 */
};

int kernel_text_cpu_stat(const char *text, size_t length, struct kernel_cpu_stat *ret);
/* The same text, read no further than needed: this is done five times a second. Also -ENODATA: the
 * kernel shows no such counters. */
int kernel_text_bandwidth(const char *text, size_t length, struct kernel_bandwidth *ret);
int kernel_text_pressure(const char *text, size_t length, struct kernel_pressure *ret);
int kernel_text_cpu_max(const char *text, size_t length, struct kernel_cpu_max *ret);

/* 1..10000, or 0 for a cgroup with cpu.idle set. */
int kernel_text_cpu_weight(const char *text, size_t length, uint64_t *ret_weight);

/* cpu.max.burst: microseconds a period. */
int kernel_text_cpu_burst(const char *text, size_t length, uint64_t *ret_burst_usec);

/* How many CPUs a list such as "0-3,5" names. An empty line is 0 CPUs. */
int kernel_text_cpu_list(const char *text, size_t length, unsigned *ret_n_cpus);

/* Looks at the first line only: hand in the beginning of the file. */
int kernel_text_proc_stat(const char *text, size_t length, struct kernel_proc_stat *ret);

/* Is @word one of the words of a line such as cgroup.controllers? */
bool kernel_text_has_word(const char *text, size_t length, const char *word);

/* Quota as systemd counts it: microseconds of CPU per second, rounded to the nearest. UINT64_MAX
 * means none; a quota beyond what 64 bits hold is as good as none, but stays below that. */
uint64_t kernel_cpu_max_usec_per_sec(const struct kernel_cpu_max *max);
