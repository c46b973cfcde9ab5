/* SPDX-License-Identifier: MIT */
#pragma once

/* The running daemon: the state that its modules share, and who does what. Every module takes a
 * `struct daemon`; there are no globals.
 *
 *   main           options, life cycle
 *   services       the table of units: found, changed, lost; which slices hold managed units
 *   sense          every second: counters into the demand estimators
 *   decide         every epoch: estimates -> epoch_decide() -> what is wanted of every unit
 *   graph          every epoch: paths and coalitions of those who play
 *   siblings       every epoch: who else is busy beside our units
 *   graph          every epoch: who calls whom: paths and coalitions
 *   actuate        from wanted to in force: save, shrink, read back, grow, read back
 *   guard          five times a second: who hits its ceiling is given room at once
 *   burst          cpu.max.burst in step with the quotas that are in force
 *   release        giving back, one batch at a time
 *   configure      loading and reloading the configuration
 *   manager_bus    org.coalloc1 on D-Bus
 *   reports        latencies that services report
 *   credits        who gave and who got, kept over restarts
 *   record         every epoch, for the history: its inputs and what came of it
 *   explain        a decision in sentences and as JSON
 *
 * Nothing blocks: D-Bus calls are asynchronous, files are /proc, /sys and /run. The sampling path
 * (sense.c) neither allocates nor formats nor talks to the bus. */

#include "core/demand.h"
#include "core/epoch.h"
#include "core/guard.h"
#include "daemon/graph.h"
#include "daemon/siblings.h"
#include "platform/cgroup_reader.h"
#include "platform/cgroup_tree.h"
#include "platform/config_file.h"
#include "platform/credit_file.h"
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

/* cpu.max.burst of a service, in microseconds a period. What we made of it is in the state file. */
struct burst {
        uint64_t read_usec;             /* USEC_UNSET: there is none, or it did not matter */
        ino_t file, cgroup;             /* identities, when it was last seen as ours; 0: never */
        bool is_foreign;                /* somebody else changed it: theirs until adopted */
        bool is_in_the_way;             /* it is why the kernel refused the quota */
        int error;                      /* why it cannot be set, of the last attempt */
};

/* The last latency that was reported of a service; all zero: none was. */
struct latency_report {
        double seconds_p99;
        uint32_t requests;              /* since the report before; 0: not told */
        uint64_t counted;               /* requests since since_usec, of which no rate was made yet */
        uint64_t since_usec;
        double requests_per_sec;        /* 0: not known */
        uint64_t at_usec;               /* CLOCK_MONOTONIC */
        int64_t at_milli;               /* the allocation in force then; -1: none was */
};

/* A ceiling that the guard raised; all zero: none was. */
struct guard_raise {
        uint64_t at_usec;               /* CLOCK_MONOTONIC */
        uint64_t from, to;              /* usec per second */
        double throttled_share;         /* of the last periods, at most GUARD_WINDOW_PERIODS, 0..1 */
};

/* What the record has of a service: what need not be said again. */
struct recorded {
        uint64_t attempt;               /* the last epoch that it was in; 0: none */
        uint32_t position;              /* in that one */
        uint64_t follows;               /* digest of what was remembered after that */
        /* of its demand, before this epoch's estimate */
        double load_milli, stall_baseline, throttle_raise, believed_usec;
        unsigned n_estimates, n_missing, n_unproven;
        bool has_stall_baseline, is_elastic;
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
        bool is_called;                 /* by others, in the last epoch */
        struct demand_estimate estimate;
        struct epoch_service input;     /* what was decided from */
        struct epoch_decision decision;
        bool has_decision;
        struct recorded recorded;
        int64_t recent_milli[EPOCH_RECENT];
        struct latency_report report;
        double credit, credit_before;   /* after the last decision, and before it */

        struct managed_value quota;     /* usec per second */
        struct managed_value weight;    /* CPUWeight */
        struct guard_state guard;
        enum guard_alarm alarm;         /* of the last poll */
        bool is_guarded;                /* it is polled, and its ceiling can be raised */
        uint64_t polled_usec;
        struct guard_raise raise;       /* the last one */
        struct guard_memory raises;     /* which of them an epoch took back */
        uint64_t n_raises;              /* since the unit is known */
        uint64_t raise_epoch;           /* in which that was */

        struct burst burst;
        bool has_burst;                 /* its burst equals its quota: a ceiling may be nearer to the use */
        double max_milli, bound_milli;  /* as in struct epoch_service */
        uint64_t write_sent_usec;       /* CLOCK_MONOTONIC of the last write; 0: none yet */
        uint64_t write_done_usec;       /* of its reply; USEC_UNSET: it is under way */
        bool has_wishes;                /* the wanted values are to be written: decided, and not given back since */
        bool has_failed;                /* the last write or look did: tried again in the next epoch */
        bool is_urgent;                 /* the guard wants it written */
        bool is_by_guard;               /* it did, when the write under way was sent */
        bool is_pending;                /* a write of it waits for its turn */
        unsigned n_epochs_waited;       /* in a row */
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
        int lock_fd;                    /* in runtime_dir: one daemon at a time */
        char *own_control_group;
        bool observe_only;              /* --observe */
        bool has_pressure;

        sd_event *event;
        struct systemd_manager *systemd;
        struct host_cpu host;
        struct state_file state;
        char *state_dir;                /* /var/lib/coalloc, for credits; NULL: they are not kept */
        struct credit_file remembered;  /* of an earlier run, until the first decision */
        bool has_unsaved_credits;
        unsigned n_epochs_unsaved;
        int credit_error;               /* of the last attempt to keep them: said once */
        struct record *record;          /* NULL: nothing is recorded */

        /* configuration in force */
        struct config *config;
        char *config_error;             /* of the last attempt, or NULL */
        enum config_mode mode;          /* Mode=, or what an administrator switched to */
        bool is_frozen, was_frozen;     /* by an administrator: now, and when the last epoch was decided */
        unsigned n_cpus;

        /* the table: sorted by unit name */
        struct service **services;
        size_t n_services, n_services_allocated;

        /* decision */
        struct epoch_state epoch;
        struct gate_record *records;
        struct epoch_outcome outcome;
        bool has_outcome;
        struct graph *calls;            /* who calls whom among the players */
        bool has_new_paths;             /* since prices were last told */
        const struct epoch_graph *graph; /* its paths and coalitions, as the last decision left them; NULL: there
                                         * was none, or no paths */
        bool is_held;                   /* by a veto of the gate, in the last epoch */
        char epoch_error[192];          /* why the last epoch ended without a decision, "" = it did not */
        int last_round_error;           /* of the last round of writes */
        bool has_cut_bursts;            /* the kernel does: cgroup_burst_is_cut() */
        bool are_bursts_due;            /* the next round looks at all of them */
        int burst_error;                /* of the last attempt to write a burst: told once */
        void *workspace_buffer;
        size_t workspace_size;
        struct service **players;       /* the services that play, in the order of `inputs` */
        struct graph_player *graph_players;
        struct epoch_service *inputs;
        struct epoch_decision *decisions;
        size_t n_players, n_players_allocated;
        struct service_group *groups;
        struct enforce_group *enforce_groups;
        unsigned *group_weights;
        size_t n_groups;
        struct siblings siblings;

        /* host */
        struct host_counters host_counters;
        bool has_host_counters;
        struct host_counters epoch_start;       /* at the last epoch */
        bool has_epoch_start;
        struct demand_state unmanaged;
        struct unit_counters unmanaged_counters;
        struct demand_unmanaged unmanaged_load;
        double capacity_milli;          /* steal subtracted, Capacity= applied */
        double host_idle_share;

        /* timers */
        sd_event_source *sample_timer, *epoch_timer, *stop_timer, *round_timer;
        uint64_t next_sample_usec, next_epoch_usec, stop_deadline_usec;
        uint64_t next_extension_usec;   /* before that systemd is not asked again for more time to start */

        /* under way */
        struct actuation *actuation;
        uint64_t next_round_usec;       /* before that only what is urgent is written */
        size_t n_urgent_written;        /* until then */
        size_t n_pending;               /* writes that wait for their turn */
        uint64_t n_writes;              /* sent since the start */
        struct guard *guard;
        uint64_t n_raises;              /* since the start */
        struct release *release;
        bool is_round_due;              /* a round of writes waits for the releases to end */
        bool is_listed;                 /* systemd's units are known */
        bool is_ready;                  /* READY=1 was sent */
        bool is_stopping;
        bool has_listed_once;

        /* bus */
        struct manager_bus *bus;
        const char *publish_address;
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

/* Did a write of ours, from sending to the reply, touch the time since then? Its throttle counters say
 * nothing of that time: a write refills the budget of the period. */
static inline bool service_was_written_since(const struct service *s, uint64_t usec)
{
        /* "Under way" is later than everything. */
        return s->write_sent_usec > 0 && s->write_done_usec >= usec;
}

/* CLOCK_MONOTONIC at the start of this turn of the event loop. */
uint64_t daemon_now_usec(struct daemon *d);
/* CLOCK_MONOTONIC now: what is measured counts from when it was, not from when the turn began. */
uint64_t daemon_clock_usec(void);
/* STATUS= for systemctl status. */
void daemon_notify_status(struct daemon *d);
/* configure_reload() with systemd's reload protocol around it. */
int daemon_reload(struct daemon *d);
/* One more unit was read or given back: whoever waits for a start or a stop waits on. */
void daemon_got_on(struct daemon *d);
/* Called once units are listed: gives leftovers back, then reports READY=1. */
void daemon_ready(struct daemon *d);
