/* SPDX-License-Identifier: MIT */

#include "sim/sim.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "core/random.h"

/* What is known of a service beside the plant. */
struct service {
        struct scenario_setting setting; /* last written, in force or on its way */
        struct scenario_setting in_force;
        bool writes_bandwidth, writes_weight;
        double written_at_usec;         /* INFINITY: nothing is on its way */
        double read_factor;             /* of the truth; NAN: nothing can be read */
        uint64_t used_usec;             /* truth at the last look */
        double read_usec;               /* what was said of it */
};

/* An event begins or ends. */
struct moment {
        double at_usec;
        size_t event;
        bool is_end;
};

struct sim {
        const struct scenario *scenario;
        struct plant *plant;
        struct workload *workload;
        struct service *services;
        struct moment *moments;
        size_t n_moments, next_moment;
};

/* ---- reading ------------------------------------------------------------------------------------ */

/* A lie grows with the truth, so that it goes on from where the last one ended, and never runs backwards
 * unless the cgroup is a new one. */
static void look(struct sim *sim, size_t i, struct unit_counters *ret)
{
        struct service *s = &sim->services[i];
        struct plant_counters c;

        plant_read(sim->plant, sim->scenario->services[i].load.group, &c);
        *ret = c.unit;
        if (c.unit.usage_usec < s->used_usec)
                s->used_usec = 0, s->read_usec = 0;
        s->read_usec += (double)(c.unit.usage_usec - s->used_usec) * (isnan(s->read_factor) ? 1 : s->read_factor);
        s->used_usec = c.unit.usage_usec;
        ret->usage_usec = (uint64_t)s->read_usec;
}

int sim_read(struct sim *sim, size_t service, struct unit_counters *ret)
{
        struct unit_counters c;

        look(sim, service, &c);
        if (isnan(sim->services[service].read_factor))
                return -ENODATA;
        *ret = c;
        return 0;
}

void sim_read_host(struct sim *sim, struct host_counters *ret)
{
        plant_read_host(sim->plant, ret);
}

/* ---- writing ------------------------------------------------------------------------------------ */

int sim_write(struct sim *sim, size_t service, const struct scenario_setting *setting)
{
        struct service *s = &sim->services[service];
        struct scenario_setting next = s->setting;

        if (!isnan(setting->quota_usec))
                next.quota_usec = setting->quota_usec;
        if (!isnan(setting->burst_usec))
                next.burst_usec = setting->burst_usec;
        if (setting->weight > 0)
                next.weight = setting->weight;
        if (next.quota_usec < PLANT_QUOTA_MIN_USEC || !(next.burst_usec >= 0) || next.burst_usec > next.quota_usec ||
            isinf(next.burst_usec) || next.weight < CPU_WEIGHT_MIN || next.weight > CPU_WEIGHT_MAX)
                return -EINVAL;
        s->setting = next;
        s->writes_bandwidth |= !isnan(setting->quota_usec) || !isnan(setting->burst_usec);
        s->writes_weight |= setting->weight > 0;
        /* What is on its way is not overtaken: both arrive with the first. */
        if (isinf(s->written_at_usec))
                s->written_at_usec = plant_now_usec(sim->plant) + sim->scenario->write_delay_usec;
        return 0;
}

static void arrive(struct sim *sim, size_t i)
{
        struct service *s = &sim->services[i];
        size_t group = sim->scenario->services[i].load.group;

        if (s->writes_bandwidth)
                (void)plant_set_bandwidth(sim->plant, group, s->setting.quota_usec, s->setting.burst_usec);
        if (s->writes_weight)
                (void)plant_set_weight(sim->plant, group, s->setting.weight);
        s->in_force = s->setting;
        s->writes_bandwidth = s->writes_weight = false;
        s->written_at_usec = INFINITY;
}

struct scenario_setting sim_setting(const struct sim *sim, size_t service)
{
        return sim->services[service].in_force;
}

/* ---- events ------------------------------------------------------------------------------------- */

static void happen(struct sim *sim, const struct moment *m)
{
        const struct scenario_event *e = &sim->scenario->events[m->event];
        struct unit_counters c;

        switch (e->effect) {
        case SCENARIO_SET: {
                struct scenario_setting back = sim->scenario->services[e->service].setting;

                /* At its end only what it changed goes back to what was declared. */
                if (isnan(e->setting.quota_usec))
                        back.quota_usec = NAN;
                if (isnan(e->setting.burst_usec))
                        back.burst_usec = NAN;
                if (e->setting.weight == 0)
                        back.weight = 0;
                /* A policy may have left a burst that the kernel now takes no quota below: then nothing happens. */
                (void)sim_write(sim, e->service, m->is_end ? &back : &e->setting);
                break;
        }
        case SCENARIO_CPUS:
                (void)plant_set_cpus(sim->plant, m->is_end ? sim->scenario->n_cpus : e->n_cpus);
                break;
        case SCENARIO_RESTART:
                if (m->is_end)
                        workload_start(sim->workload, e->service);
                else
                        workload_stop(sim->workload, e->service);
                break;
        case SCENARIO_READ:
                look(sim, e->service, &c); /* what was used so far was read as before */
                sim->services[e->service].read_factor = m->is_end ? 1 : e->read_factor;
                break;
        }
}

void sim_run(struct sim *sim, double until_usec)
{
        for (;;) {
                double next_usec = until_usec;
                size_t i_service = SCENARIO_NOBODY;

                for (size_t i = 0; i < sim->scenario->n_services; i++)
                        if (sim->services[i].written_at_usec <= next_usec) {
                                next_usec = sim->services[i].written_at_usec;
                                i_service = i;
                        }
                if (sim->next_moment < sim->n_moments && sim->moments[sim->next_moment].at_usec <= next_usec) {
                        workload_run(sim->workload, sim->moments[sim->next_moment].at_usec);
                        happen(sim, &sim->moments[sim->next_moment++]);
                        continue;
                }
                workload_run(sim->workload, next_usec);
                if (i_service == SCENARIO_NOBODY)
                        return;
                arrive(sim, i_service);
        }
}

struct plant *sim_plant(struct sim *sim)
{
        return sim->plant;
}

struct workload *sim_workload(struct sim *sim)
{
        return sim->workload;
}

/* ---- construction --------------------------------------------------------------------------------- */

static int build_plant(struct sim *sim, uint64_t seed, double slowdown)
{
        const struct scenario *s = sim->scenario;
        struct plant_host host = { s->n_cpus, slowdown, SIM_SLOWDOWN_FROM };
        struct plant_group *groups = calloc(s->n_slices + s->n_services, sizeof *groups);
        struct random random;
        int r;

        if (!groups)
                return -ENOMEM;
        random_init(&random, ~seed);    /* another stream than the requests' */
        for (size_t i = 0; i < s->n_slices + s->n_services; i++) {
                bool is_slice = i < s->n_slices;
                const struct scenario_service *service = &s->services[is_slice ? 0 : i - s->n_slices];
                const struct scenario_setting *setting = is_slice ? &s->slices[i].setting : &service->setting;
                size_t parent = is_slice ? s->slices[i].parent : service->slice;

                groups[i] = (struct plant_group){
                        .parent = parent == SCENARIO_NOBODY ? PLANT_ROOT : parent,
                        .n_threads_max = is_slice ? 0 : workload_threads(&service->load),
                        .weight = setting->weight,
                        .quota_usec = setting->quota_usec,
                        .burst_usec = setting->burst_usec,
                        .phase_usec = (double)random_below(&random, (uint64_t)PLANT_PERIOD_USEC),
                };
        }
        r = plant_new(&host, groups, s->n_slices + s->n_services, &sim->plant);
        free(groups);
        return r;
}

static int build_workload(struct sim *sim, uint64_t seed)
{
        const struct scenario *s = sim->scenario;
        struct workload_service *services = calloc(s->n_services + 1, sizeof *services);
        struct workload_path *paths = calloc(s->n_paths + 1, sizeof *paths);
        int r = -ENOMEM;

        if (services && paths) {
                for (size_t i = 0; i < s->n_services; i++)
                        services[i] = s->services[i].load;
                for (size_t i = 0; i < s->n_paths; i++)
                        paths[i] = s->paths[i].load;
                r = workload_new(&(struct workload_spec){ services, s->n_services, paths, s->n_paths }, sim->plant, seed,
                                 &sim->workload);
        }
        free(services);
        free(paths);
        return r;
}

/* By time; at one time first what ends, then in the order of the file. */
static int compare_moments(const void *a, const void *b)
{
        const struct moment *x = a, *y = b;

        if (x->at_usec != y->at_usec)
                return x->at_usec < y->at_usec ? -1 : 1;
        if (x->is_end != y->is_end)
                return x->is_end ? -1 : 1;
        return (x->event > y->event) - (x->event < y->event);
}

int sim_new(const struct scenario *s, uint64_t seed, double slowdown, struct sim **ret)
{
        struct sim *sim = calloc(1, sizeof *sim);
        int r = -ENOMEM;

        if (!sim)
                return -ENOMEM;
        sim->scenario = s;
        sim->services = calloc(s->n_services + 1, sizeof *sim->services);
        sim->moments = calloc(2 * s->n_events + 1, sizeof *sim->moments);
        if (sim->services && sim->moments)
                r = build_plant(sim, seed, slowdown);
        if (r == 0)
                r = build_workload(sim, seed);
        if (r < 0) {
                sim_free(sim);
                return r;
        }
        for (size_t i = 0; i < s->n_services; i++)
                sim->services[i] = (struct service){ .setting = s->services[i].setting,
                                                     .in_force = s->services[i].setting,
                                                     .written_at_usec = INFINITY, .read_factor = 1 };
        for (size_t i = 0; i < s->n_events; i++) {
                sim->moments[sim->n_moments++] = (struct moment){ s->events[i].at_usec, i, false };
                if (isfinite(s->events[i].until_usec))
                        sim->moments[sim->n_moments++] = (struct moment){ s->events[i].until_usec, i, true };
        }
        qsort(sim->moments, sim->n_moments, sizeof *sim->moments, compare_moments);
        *ret = sim;
        return 0;
}

struct sim *sim_free(struct sim *sim)
{
        if (!sim)
                return NULL;
        workload_free(sim->workload);
        plant_free(sim->plant);
        free(sim->services);
        free(sim->moments);
        free(sim);
        return NULL;
}
