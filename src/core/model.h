/* SPDX-License-Identifier: MIT */
#pragma once

/* The vocabulary of the decision: plain data that every layer may share. No functions with effects,
 * no pointers to anything that another layer owns.
 *
 * Units. Inside the mathematics CPU is counted in milli-CPU ("milli"): 1000 is one CPU for one
 * second per second. The world outside counts microseconds of CPU per second; the factor between
 * the two is USEC_PER_MILLI and is applied in exactly one place each way (daemon/loop.c).
 * Allocations are whole milli (int64_t); what is only computed is a double. */

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MILLI_PER_CPU  1000
#define USEC_PER_MILLI 1000     /* microseconds of CPU per second in one milli-CPU */
#define QUOTA_STEP_MILLI 10     /* one percent of a CPU: what systemd up to 255 keeps over a reload */
#define QUOTA_NONE_MILLI INT64_MAX /* "no CPUQuota=" */
#define CPU_WEIGHT_DEFAULT 100
#define CPU_WEIGHT_MIN 1
#define CPU_WEIGHT_MAX 10000

/* Which level of everybody's claims the host can fill: doc/theory.md, Market. */
enum tier {
        TIER_STARVED,           /* C < sum of floors */
        TIER_OVERLOADED,        /* C < sum of baselines */
        TIER_CONGESTED,         /* C < sum of needs */
        TIER_UNCONGESTED,
        _TIER_MAX,
};

enum overload_rule {
        OVERLOAD_PROPORTIONAL,  /* scale what lies between floor and baseline */
        OVERLOAD_WEIGHTED,      /* constrained equal awards with Weight= */
        _OVERLOAD_RULE_MAX,
};

enum enforce {
        ENFORCE_BOTH,           /* weights protect, quotas bound */
        ENFORCE_QUOTA,          /* the quotas are the partition */
        ENFORCE_WEIGHT,         /* weights only */
        _ENFORCE_MAX,
};

enum verdict {
        VERDICT_APPLY,          /* the whole step */
        VERDICT_REDUCED,        /* a smaller step */
        VERDICT_HOLD,           /* the change was vetoed: the old allocation stays */
        _VERDICT_MAX,
};

struct slo;

/* One service as a player of the market. 0 <= floor <= baseline <= need <= max, all finite;
 * weight > 0. A player whose data are stale keeps what it holds: `held_milli` is that amount and its
 * need and max are taken to be the same; a negative `held_milli` says that the data are fresh. */
struct player {
        double floor_milli;
        double baseline_milli;
        double need_milli;
        double max_milli;
        double weight;
        double held_milli;
        const struct slo *slo;          /* borrowed; NULL: no target */
};

/* A reading of one cgroup's counters. All counters are cumulative; a has_ flag that is off says
 * that the kernel did not show these keys. */
struct unit_counters {
        uint64_t at_usec;               /* CLOCK_MONOTONIC at the reading */
        uint64_t usage_usec;            /* cpu.stat */
        uint64_t nr_periods;
        uint64_t nr_throttled;
        uint64_t throttled_usec;        /* summed over CPUs: may outrun the clock */
        uint64_t stalled_usec;          /* cpu.pressure, "some" total */
        bool has_bandwidth;             /* nr_periods, nr_throttled, throttled_usec were there */
        bool has_pressure;              /* stalled_usec was there */
};

/* A reading of the host. */
struct host_counters {
        uint64_t at_usec;
        uint64_t busy_usec;             /* all CPUs, everything but idle, iowait and steal */
        uint64_t steal_usec;            /* all CPUs */
        uint64_t stalled_usec;          /* /proc/pressure/cpu, "some" total */
        bool has_pressure;
        double capacity_milli;          /* effective CPUs, bounded by a limit on ourselves */
};

const char *tier_to_string(enum tier t);
const char *enforce_to_string(enum enforce e);
const char *overload_rule_to_string(enum overload_rule r);
const char *verdict_to_string(enum verdict v);

/* Return: the enum value, or -EINVAL if the text names none. */
int enforce_from_string(const char *s);
int overload_rule_from_string(const char *s);
