/* SPDX-License-Identifier: MIT */
#pragma once

/* A host that is not there: CPUs, cgroups and threads as the kernel schedules and counts them.
 *
 * What is modelled
 *
 *  bandwidth   of every group: quota and burst over periods of 100 ms on a grid of its own phase; runtime is
 *              refilled by the quota at each period, bounded by quota and burst; what runs drains it; when
 *              it is empty, the group and all below it stop until the next period. The period timer starts
 *              when there is something to run and stops after a period in which nothing ran. Every write
 *              refills and unthrottles: on a real kernel, too, use over quota is 1 + period / interval.
 *  sharing     level by level from the root, weighted max-min among what may run; a thread takes one CPU at
 *              most; threads of one group share equally. This is the ideal that a fair scheduler strives for.
 *  slowdown    while more than `slowdown_from` of the CPUs is busy, work is done more slowly by `slowdown`
 *              times the excess: caches, memory and wake-ups, which no model of shares has. It is an
 *              assumption, declared as such: without it weights alone protect perfectly.
 *  counters    cpu.stat and cpu.pressure: see plant_read().
 *
 * What is not: which CPU a thread runs on beyond what PSI needs, slices of 5 ms that CPUs take from the
 * pool, migration, interrupts, steal, preemption granularity.
 *
 * How. Between two events (a thread starts or ends, runtime is used up, a period begins) all rates are
 * constant, so the plant goes from event to event and is exact in time; steps of a millisecond would cost
 * about as much on a busy host, a lot more on an idle one, and round away the milliseconds that requests
 * take. While nobody has to share, an event concerns one group and those it lies in; only then does its
 * cost grow with the number of groups that want to run (not with those that exist).
 *
 * Memory is allocated by plant_new() only. Same calls, same results: no clock, no chance, no I/O. */

#include "core/model.h"

#define PLANT_PERIOD_USEC 100000.0
/* The kernel refuses less. */
#define PLANT_QUOTA_MIN_USEC 1000.0
#define PLANT_ROOT ((size_t)-1)

struct plant;

struct plant_group {
        size_t parent;                  /* index of a group declared before it, or PLANT_ROOT */
        unsigned n_threads_max;         /* 0: holds other groups; else most that are runnable at once */
        double weight;                  /* cpu.weight, > 0 */
        double quota_usec;              /* per period; INFINITY: none */
        double burst_usec;              /* per period, 0..quota */
        double phase_usec;              /* of its periods, 0 <= phase < PLANT_PERIOD_USEC */
};

struct plant_host {
        unsigned n_cpus;                /* >= 1; also the most that plant_set_cpus() takes */
        double slowdown;                /* beta, 0..1 */
        double slowdown_from;           /* share of the CPUs that are busy, 0..1 */
};

/**
 * plant_new() - an idle host at time 0
 * @groups: parents before what they hold
 * @ret:    for plant_free()
 *
 * Return: 0; -EINVAL: a number is out of its range, a group lies in one that has threads; -ENOMEM.
 */
int plant_new(const struct plant_host *host, const struct plant_group groups[], size_t n_groups,
              struct plant **ret);
/* Takes NULL; returns NULL. */
struct plant *plant_free(struct plant *p);

double plant_now_usec(const struct plant *p);

/**
 * plant_start() - a thread of a group becomes runnable
 * @work_usec: CPU time it needs on a host that is not slowed down, > 0; INFINITY: it never ends
 * @tag:       comes back when it has ended
 *
 * Cost: O(log threads of the group) and what sharing costs (above).
 *
 * Return: 0; -EINVAL: no work, or the group has no threads; -EBUSY: all its threads are runnable.
 */
int plant_start(struct plant *p, size_t group, double work_usec, uint32_t tag);

/**
 * plant_advance() - let time pass until a thread ends, at most until a time
 *
 * Return: true if one ended: it is off the CPU, *ret_tag says which, and plant_now_usec() when. False: it
 * is @until_usec (a time that has passed already changes nothing).
 */
bool plant_advance(struct plant *p, double until_usec, uint32_t *ret_tag);

/**
 * plant_set_bandwidth() - write cpu.max and cpu.max.burst
 *
 * As on a real kernel every write refills and unthrottles, whether or not anything changes.
 *
 * Return: 0; -EINVAL: below PLANT_QUOTA_MIN_USEC, or a burst above the quota.
 */
int plant_set_bandwidth(struct plant *p, size_t group, double quota_usec, double burst_usec);
/* Return: 0; -EINVAL: not a weight. */
int plant_set_weight(struct plant *p, size_t group, double weight);
/* CPUs come and go. Return: 0; -EINVAL: none, or more than there were at first. */
int plant_set_cpus(struct plant *p, unsigned n_cpus);
/* A group without anything inside it is removed and made anew: its threads are gone, its counters are 0,
 * what was written to it stays. */
void plant_restart(struct plant *p, size_t group);

struct plant_counters {
        struct unit_counters unit;      /* cpu.stat, and "some" of cpu.pressure */
        uint64_t fully_stalled_usec;    /* "full" */
        double some_avg10_percent, full_avg10_percent;
};

/**
 * plant_read() - what a daemon would read of a group now
 *
 * usage_usec      CPU time, with everything below
 * nr_periods      periods of which the timer ran; not those of a group at rest
 * nr_throttled    those at whose end it was throttled
 * throttled_usec  time throttled, times the CPUs on which it had something to run
 * PSI             per CPU, "some": a thread waits; "full": one waits and none runs, whether for the CPU or
 *                 because of a quota. Totals are the mean over CPUs, each counted by the time in which the
 *                 group had something to run there (kernel: collect_percpu_times()); the averages are made
 *                 every 2.004 s, in whole percent and fixed-point numbers (calc_avgs(), calc_load()).
 *                 The j-th runnable thread stands on the j-th CPU.
 *
 * Reading is an event, as in the kernel: it closes the interval that CPUs are averaged over.
 * Cost: O(CPUs).
 */
void plant_read(struct plant *p, size_t group, struct plant_counters *ret);
void plant_read_host(struct plant *p, struct host_counters *ret);

/* CPUs that a group runs on at this moment: a fluid share. */
double plant_share_cpus(struct plant *p, size_t group);
bool plant_is_throttled(const struct plant *p, size_t group);
