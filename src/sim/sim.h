/* SPDX-License-Identifier: MIT */
#pragma once

/* A scenario being played: what a daemon would see of it, and what it could do.
 *
 * Whoever decides (an administrator's settings that never change, or a policy once a second) calls sim_run() up to
 * the next decision, sim_read() as a daemon reads counters, and sim_write(), which takes as long as it takes
 * systemd. What happens to the scenario meanwhile happens by itself. */

#include "sim/scenario.h"

struct sim;

/**
 * sim_new() - a scenario at time 0
 * @s:        outlives it
 * @slowdown: beta of the plant, from SIM_SLOWDOWN_FROM of its CPUs on
 *
 * Return: 0; -EINVAL: the scenario is not one that scenario_load() made; -ENOMEM.
 */
int sim_new(const struct scenario *s, uint64_t seed, double slowdown, struct sim **ret);
/* Takes NULL; returns NULL. */
struct sim *sim_free(struct sim *sim);
DEFINE_CLEANUP(struct sim *, sim_free)
#define _cleanup_sim_ _cleanup_(sim_free_p)

/* From where on a busy host works more slowly; fixed before anything was measured with it. */
#define SIM_SLOWDOWN_FROM 0.7

/* Lets time pass, with its events. */
void sim_run(struct sim *sim, double until_usec);

/**
 * sim_read() - the counters of a service, as a daemon reads them
 *
 * An event may have them lie about its use, or be missing.
 *
 * Return: 0; -ENODATA.
 */
int sim_read(struct sim *sim, size_t service, struct unit_counters *ret);
void sim_read_host(struct sim *sim, struct host_counters *ret);

/**
 * sim_write() - settings for a service, in force after WriteDelay=
 * @setting: quota NAN, burst NAN, weight 0: stays as it is
 *
 * A quota or a burst is one write and refills the budget, whether or not it changes; so it is on a real kernel.
 *
 * Return: 0; -EINVAL: the kernel would not take it.
 */
int sim_write(struct sim *sim, size_t service, const struct scenario_setting *setting);
/* What is in force. */
struct scenario_setting sim_setting(const struct sim *sim, size_t service);

/* For results: the truth. */
struct plant *sim_plant(struct sim *sim);
struct workload *sim_workload(struct sim *sim);
