/* SPDX-License-Identifier: MIT */
#pragma once

/* The running daemon, and who does what in it. Every file below takes a `struct daemon`; there are
 * no globals.
 *
 *   main.c         options, life cycle
 *   services.c     the table of units: found, changed, lost; which slices hold managed units
 *   sense.c        every second: counters into the demand estimators
 *   decide.c       every epoch: estimates -> epoch_decide() -> what is wanted of every unit
 *   actuate.c      from wanted to in force: save, shrink, read back, grow, read back
 *   release.c      giving back, one batch at a time
 *   configure.c    loading and reloading the configuration
 *   manager_bus.c  org.coalloc1 on D-Bus
 *   explain.c      a decision in sentences and as JSON
 *
 * Nothing blocks: D-Bus calls are asynchronous, files are /proc, /sys and /run. The sampling path
 * (sense.c) neither allocates nor formats nor talks to the bus. */

#include "core/demand.h"
#include "core/epoch.h"
#include "platform/cgroup_reader.h"
#include "platform/cgroup_tree.h"
#include "platform/config_file.h"
#include "platform/give_back.h"
#include "platform/host_cpu.h"
#include "platform/state_file.h"
#include "platform/systemd_manager.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#define USEC_UNSET UINT64_MAX
/* Epochs without data after which a unit is given back. */
#define STALE_EPOCHS_MAX 4

/* One property on its way: what we want, what we asked for and saw confirmed, what the kernel says. */
struct managed_value {
        uint64_t wanted;                /* USEC_UNSET: no value of ours */
        uint64_t applied;
        uint64_t read;                  /* from the cgroup file */
        bool is_ours;                   /* applied holds and is to be given back */
        bool is_foreign;                /* somebody else changed it: theirs until adopted */
};

/* Everything about one followed unit. */
struct service {
        struct daemon *d;
        char *unit;
        const char *name;               /* of its [Service] section, or the unit; borrowed */
        const struct config_service *config;    /* NULL: measured only */
        struct systemd_unit *systemd;   /* NULL while systemd has not loaded it */

        struct cgroup_reader reader;
        struct unit_counters counters;  /* last sample */
        bool has_counters;

        struct demand_state demand;
        struct demand_estimate estimate;
        struct epoch_decision decision;
        bool has_decision;
        int64_t recent_milli[EPOCH_RECENT];

        struct managed_value quota;     /* usec per second */
        struct managed_value weight;    /* CPUWeight */
        double max_milli, bound_milli;  /* as in struct epoch_service */
        bool was_written;               /* in this round: a write refills the budget, one is enough */
        bool had_own_write;             /* since the last sample */
        bool is_unsure;                 /* what systemd has is to be read before the next write */
        bool is_refused;                /* the kernel has another value than the one last applied */
        bool is_refusal_logged;
        bool is_checking;               /* a foreign change is suspected, the reply is under way */
        bool may_have_fallen_back;      /* a daemon-reload came before that suspicion */
        bool is_fresh_cgroup;           /* nothing was written since the cgroup is a new one */
        bool is_releasing;
        int write_error, release_error; /* of the last attempt: said once, not every epoch */
        unsigned n_epochs_idle;         /* in a row, in which it took no part */

        size_t group;                   /* where its siblings are: index into daemon.groups */
        size_t own_group;               /* the group that it is (a slice holding managed units), or NO_GROUP */
        bool is_holder;                 /* a slice that holds managed units */
        bool is_off_limits;             /* holds coallocd, dbus or journald: never touched */
        bool is_nested;                 /* lies inside another managed unit */
};

/* A slice that holds managed units, in step with daemon.enforce_groups. */
struct service_group {
        struct service *service;        /* NULL: the root */
};

struct daemon {
        /* fixed at start */
        const char *root;               /* stands for / ("" in production) */
        const char *config_path;
        const char *config_dropin_dir;
        char *mount;                    /* of cgroup2 */
        char *runtime_dir;              /* /run/coalloc */
        int lock_fd;                    /* of runtime_dir: one daemon at a time */
        char *own_control_group;
        bool observe_only;              /* --observe */
        bool has_pressure;

        sd_event *event;
        struct systemd_manager *systemd;
        struct host_cpu host;
        struct state_file state;

        /* configuration in force */
        struct config *config;
        char *config_error;             /* of the last attempt, or NULL */
        enum config_mode mode;          /* Mode=, or what an administrator switched to */
        bool is_frozen;
        unsigned n_cpus;

        /* the table: sorted by unit name */
        struct service **services;
        size_t n_services, n_services_allocated;

        /* decision */
        struct epoch_state epoch;
        struct gate_record *records;
        struct epoch_outcome outcome;
        bool has_outcome;
        bool is_held;                   /* by a veto of the gate, in the last epoch */
        int last_epoch_error;           /* negative errno of the last epoch that failed, 0 = none */
        int last_round_error;           /* of the last round of writes */
        void *workspace_buffer;
        size_t workspace_size;
        struct service **players;       /* the services that play, in the order of `inputs` */
        struct epoch_service *inputs;
        struct epoch_decision *decisions;
        size_t n_players, n_players_allocated;
        struct service_group *groups;
        struct enforce_group *enforce_groups;
        unsigned *group_weights;
        size_t n_groups, n_groups_allocated;

        /* host */
        struct host_counters host_counters;
        bool has_host_counters;
        struct host_counters epoch_start;       /* at the last epoch */
        bool has_epoch_start;
        struct demand_state unmanaged;
        struct unit_counters unmanaged_counters;
        double unmanaged_load_milli;
        double capacity_milli;          /* steal subtracted, Capacity= applied */
        double host_idle_share;

        /* timers */
        sd_event_source *sample_timer, *epoch_timer, *stop_timer;
        uint64_t next_sample_usec, next_epoch_usec, stop_deadline_usec;

        /* under way */
        struct actuation *actuation;
        struct release *release;
        bool is_listed;                 /* systemd's units are known */
        bool is_ready;                  /* READY=1 was sent */
        bool is_stopping;
        bool has_listed_once;

        /* bus */
        struct manager_bus *bus;
        const char *publish_address;

        unsigned n_vetoes, n_foreign, n_refused;        /* since start, for status */
};

static inline double milli_from_usec(uint64_t usec_per_sec)
{
        return (double)usec_per_sec / USEC_PER_MILLI;
}

/* Quotas leave the mathematics here: whole percents, so the product is exact. */
static inline uint64_t usec_from_quota_milli(int64_t milli)
{
        return milli == QUOTA_NONE_MILLI ? USEC_UNSET : (uint64_t)milli * USEC_PER_MILLI;
}

static inline int64_t quota_milli_from_usec(uint64_t usec_per_sec)
{
        return usec_per_sec == USEC_UNSET ? QUOTA_NONE_MILLI
                                          : (int64_t)(usec_per_sec / USEC_PER_MILLI);
}

uint64_t daemon_now_usec(struct daemon *d);

/* ---- services.c -------------------------------------------------------------------------------- */

bool services_want(void *daemon, const char *unit);
void services_on_event(void *daemon, enum systemd_event event, struct systemd_unit *unit);
struct service *services_find(struct daemon *d, const char *unit);
/* By unit, or by the name of a [Service] section. */
struct service *services_find_by_any_name(struct daemon *d, const char *name);
/* After the configuration changed: who belongs to which section now. */
int services_reassign(struct daemon *d);
/* systemd's side of every unit is about to go. */
void services_detach(struct daemon *d);
void services_free(struct daemon *d);
/* Forgets units that are gone and belong to no section; not while writes are under way. */
void services_sweep(struct daemon *d);
/* The quota that the unit had before us, or USEC_UNSET. */
uint64_t service_prior_quota(struct daemon *d, const struct service *s);
/* Which slices hold managed units, which of them are never touched, and which units only the running
 * tree shows to be inside a managed slice (services, scopes). Once an epoch. */
void services_find_roles(struct daemon *d);
/* Nothing that was decided for it holds any longer. */
void service_forget_allocation(struct service *s);
/* Managed, active, measured, and nobody else's: takes part in the bargaining. A unit whose data fails
 * to come plays on with what it has, for STALE_EPOCHS_MAX epochs. */
bool service_plays(const struct service *s);
/* One word for status, and a remark for people. */
const char *service_state(const struct daemon *d, const struct service *s);
char *service_note(const struct daemon *d, const struct service *s);

/* ---- sense.c ----------------------------------------------------------------------------------- */

int sense_start(struct daemon *d);
void sense_open(struct daemon *d, struct service *s);

/* ---- decide.c ---------------------------------------------------------------------------------- */

int decide_start(struct daemon *d);
/* After EpochSec= changed. */
void decide_restart_clock(struct daemon *d);
void decide_free(struct daemon *d);

/* ---- actuate.c --------------------------------------------------------------------------------- */

/* Brings what is wanted into force; does nothing in observe mode or while a round is under way. */
void actuate(struct daemon *d);
bool actuate_is_busy(const struct daemon *d);
/* Compares what is in force with what we applied; suspects are looked up over the bus. */
void actuate_check_foreign(struct daemon *d, bool after_reload);
void actuate_adopt(struct daemon *d, struct service *s);
void actuate_cancel(struct daemon *d);

/* ---- release.c --------------------------------------------------------------------------------- */

typedef void (*release_done_fn)(void *ctx, unsigned n_failed);

/* Queues units (NULL: everything on record) to be given back; done may be NULL. A daemon-reload, which
 * stopped units need and which cleans up after removed drop-ins, is only for what an administrator
 * asked for: stop, reload, mode. */
int release_units(struct daemon *d, const char *const units[], size_t n, bool may_reload,
                  release_done_fn done, void *ctx);
/* Gives back what is on record but no longer ours to set, for whatever reason: lost, dropped from the
 * configuration, without data, an earlier attempt that failed. */
void release_strays(struct daemon *d, bool may_reload);
/* Starts the next one in the queue, if nothing is in the way. */
void release_kick(struct daemon *d);
void release_free(struct daemon *d);

/* ---- configure.c ------------------------------------------------------------------------------- */

/* First load. Return: 0; -EINVAL with the findings printed. */
int configure_load(struct daemon *d);
/* All or nothing; on failure the old configuration stays and config_error tells why. */
int configure_reload(struct daemon *d);
/* Mode for the rest of this run; observe gives everything back. */
int configure_set_mode(struct daemon *d, enum config_mode mode, release_done_fn done, void *ctx);

/* ---- manager_bus.c ----------------------------------------------------------------------------- */

int manager_bus_attach(struct daemon *d, sd_bus *bus);
/* On a connection of our own to another bus: --publish=. */
int manager_bus_publish(struct daemon *d, const char *address);
/* The bus is gone: its objects are, too. */
void manager_bus_detach(struct daemon *d);
void manager_bus_free(struct daemon *d);
void manager_bus_epoch_done(struct daemon *d);
void manager_bus_quota_changed(struct daemon *d, const char *unit, uint64_t old, uint64_t new,
                               const char *reason);
void manager_bus_weight_changed(struct daemon *d, const char *unit, uint64_t old, uint64_t new,
                                const char *reason);

/* ---- explain.c --------------------------------------------------------------------------------- */

/* JSON text (malloc'd) as documented in org.coalloc1(5). */
int explain_service(struct daemon *d, const struct service *s, char **ret_json);
int explain_plan(struct daemon *d, char **ret_json);

/* ---- main.c ------------------------------------------------------------------------------------ */

void daemon_notify_status(struct daemon *d);
/* With systemd's reload protocol around it. Return: as configure_reload(). */
int daemon_reload(struct daemon *d);
/* Called once units are listed and leftovers are given back. */
void daemon_ready(struct daemon *d);
