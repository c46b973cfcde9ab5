/* SPDX-License-Identifier: MIT */
#pragma once

/* A systemd manager for tests: answers org.freedesktop.systemd1 on a socketpair or on a bus.
 *
 * It does what the real one (252) does where that matters to us, the unpleasant things first: reading
 * the object of an unloaded unit loads and unloads it again, SetUnitProperties on an inactive unit
 * succeeds with a storm of signals and leaves an empty cgroup behind, drop-ins keep whole percents
 * only, a reload takes values from files, an error while writing cpu.max is nobody's business. With a
 * tree it writes cgroup files and drop-ins as the real one does.
 *
 * A helper that fails prints why and aborts. */

#include "lib/fake_tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <systemd/sd-id128.h>

#define FAKE_SYSTEMD_UNSET UINT64_MAX

struct fake_systemd_unit {
        struct fake_systemd_unit *next;
        char name[256];
        char slice[256];
        char control_group[512];        /* when it has one */
        const char *active_state;
        const char *sub_state;
        sd_id128_t invocation_id;
        bool is_loaded;
        bool is_transient;
        uint64_t own_quota;             /* of its unit file */
        uint64_t own_weight;
        uint64_t quota;                 /* in force */
        uint64_t weight;
        char *quota_text;               /* of the drop-in, NULL = there is none */
        char *weight_text;
        struct fake_unit counters;      /* what its cgroup files show */
        unsigned n_set;                 /* SetUnitProperties carried out; the test may reset it */
        uint64_t set_usec;              /* when that was last; 0: never */
        double load_cpus;               /* what it would use if it were alone and unbounded */
};

struct fake_systemd {
        sd_event *event;
        struct fake_tree *tree;         /* NULL = no files. Borrowed */
        struct fake_systemd_unit *units;
        struct fake_host host;          /* its CPUs bound what all loads get; 0 = no bound */
        sd_bus *buses[8];
        unsigned n_buses;
        sd_event_source *delay_timer;
        char *subscribers;              /* ":1.5 :1.7 " */

        /* Faults. */
        bool refuses_connections;
        bool is_lying;                  /* SetUnitProperties: success, cpu.max and cpu.weight stay */
        bool holds_replies;             /* until fake_systemd_release(): for ever, if never */
        uint64_t delay_usec;            /* of each reply */
        char fail_member[64];           /* this method ... */
        char fail_error[128];           /* ... ends with this error; "" = none */
        char fail_unit[256];            /* only where its first argument is this; "" = always */
        char vanishes[256];             /* this unit is gone, file and all, when SetUnitProperties
                                         * for it arrives */
        char system_state[32];          /* "" = none is told */

        /* After each SetUnitProperties that was carried out. */
        void (*on_set)(void *ctx, const struct fake_systemd_unit *u, bool has_quota, bool has_weight);
        void *on_set_ctx;

        /* What happened. */
        unsigned n_calls;
        unsigned n_subscribe;
        unsigned n_list;
        unsigned n_get_all;
        unsigned n_get;
        unsigned n_set;
        unsigned n_reload;
        unsigned n_refused;             /* by the kernel, for a burst above the quota */
        unsigned n_held;
        unsigned n_held_max;            /* most calls that were without an answer at one time */

        struct fake_systemd_held *held;         /* replies */
        struct fake_systemd_held *waiting;      /* calls, while reloading */
        uint64_t next_invocation;
        bool is_reloading;
        sd_bus_message *reload_call;
        bool reload_is_manual;          /* the test says when a reload ends */
};

struct fake_systemd *fake_systemd_new(sd_event *event, struct fake_tree *tree);
struct fake_systemd *fake_systemd_free(struct fake_systemd *f);

/* As systemd_manager_new_with_opener() wants it: a bus to us over a socketpair, not started. */
int fake_systemd_open(void *f, sd_bus **ret);
/* Answers on a bus, under the name of systemd. Takes over a reference. */
void fake_systemd_join(struct fake_systemd *f, sd_bus *bus);
/* Closes all connections. */
void fake_systemd_drop(struct fake_systemd *f);

/* A loaded unit; @control_group NULL = inactive, otherwise active in that one. */
struct fake_systemd_unit *fake_systemd_add(struct fake_systemd *f, const char *name,
                                           const char *control_group);
struct fake_systemd_unit *fake_systemd_find(struct fake_systemd *f, const char *name);
/* With PropertiesChanged, and the cgroup made and removed. */
void fake_systemd_set_state(struct fake_systemd *f, const char *name, const char *active,
                            const char *sub);
/* Down and up so fast that nobody sees it but by another invocation. */
void fake_systemd_restart(struct fake_systemd *f, const char *name);
/* UnitRemoved; with its cgroup. */
void fake_systemd_unload(struct fake_systemd *f, const char *name);
/* UnitNew and UnitRemoved of an inactive unit that nobody asked for. */
void fake_systemd_flash(struct fake_systemd *f, const char *name);
/* As somebody's systemctl set-property --runtime. */
void fake_systemd_set_foreign(struct fake_systemd *f, const char *name, uint64_t quota_usec_per_sec);

/* What its unit file says, in force at once. */
void fake_systemd_set_own(struct fake_systemd *f, const char *name, uint64_t quota_usec_per_sec,
                          uint64_t weight);

/* The name is given up and taken again, all subscriptions are forgotten: daemon-reexec. */
void fake_systemd_reexec(struct fake_systemd *f);

/* daemon-reload: all values anew from files. */
void fake_systemd_reload_begin(struct fake_systemd *f);
void fake_systemd_reload_end(struct fake_systemd *f);

/* Sends what was held back, @n replies at most; 0 = all. */
void fake_systemd_release(struct fake_systemd *f, unsigned n);

/* Writes the counters of the unit's cgroup. */
void fake_systemd_show(struct fake_systemd *f, struct fake_systemd_unit *u);
/* Lets time pass: every unit uses its load, bounded by its quota (which counts as throttling) and by
 * its share, by weight, of the host's CPUs (which counts as pressure, as throttling does). Slices do
 * not sum up what is inside them: load belongs to leaves. */
void fake_systemd_run_load(struct fake_systemd *f, uint64_t usec);
