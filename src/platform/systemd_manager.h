/* SPDX-License-Identifier: MIT */
#pragma once

/* systemd as coalloc sees it: finds units, follows them, changes two of their properties.
 *
 * Asynchronous throughout: every call returns at once, replies arrive through sd-event. Matches are
 * installed before Subscribe and Subscribe before the listing, so no unit is missed; the listing is
 * taken again after daemon-reload, re-execution of PID 1 and loss of the bus. Without a system bus
 * PID 1's private socket serves (at shutdown, and for --restore). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

/* systemd's own value for "no quota" and "no weight set". */
#define SYSTEMD_UNSET UINT64_MAX

/* dbus-daemon's system bus allows 128 pending replies a connection; others use ours too. */
#define SYSTEMD_CALLS_IN_FLIGHT_MAX 64

enum systemd_unit_type {
        SYSTEMD_SLICE,
        SYSTEMD_SERVICE,
        SYSTEMD_SCOPE,
        _SYSTEMD_UNIT_TYPE_MAX,
};

/* One loaded unit. Owned by the manager, valid until its SYSTEMD_UNIT_LOST event has returned. */
struct systemd_unit {
        const char *name;
        enum systemd_unit_type type;
        const char *slice;              /* name of the slice that holds it; "" for -.slice */
        const char *control_group;      /* relative to the cgroup2 mount; "" = none */
        bool is_active;
        bool is_transient;              /* its drop-ins live in /run/systemd/transient */
        unsigned n_starting;            /* services on their way up in it (or the unit itself) */
        uint64_t quota_usec_per_sec;    /* CPUQuotaPerSecUSec as last read, or SYSTEMD_UNSET */
        uint64_t cpu_weight;            /* CPUWeight as last read, or SYSTEMD_UNSET */
        void *userdata;                 /* the follower's own */
};

enum systemd_event {
        SYSTEMD_CONNECTED,      /* a (new) bus is there: add objects, request names; unit is NULL */
        SYSTEMD_UNIT_FOUND,     /* properties are complete */
        SYSTEMD_UNIT_CHANGED,   /* active state, cgroup or n_starting differ from before */
        SYSTEMD_UNIT_LOST,      /* no longer loaded; the pointer dies after this */
        SYSTEMD_LISTED,         /* every unit loaded at connect or reload has been reported */
        SYSTEMD_RELOADED,       /* daemon-reload or re-execution is over: values may have been undone */
        SYSTEMD_DISCONNECTED,   /* the bus is lost; reconnection is under way */
};

/* Who listens. wants() is asked once a unit name; only wanted units are read and reported. */
struct systemd_follower {
        bool (*wants)(void *ctx, const char *unit);
        void (*on_event)(void *ctx, enum systemd_event event, struct systemd_unit *unit);
        void *ctx;
};

struct systemd_manager;

/**
 * systemd_manager_new() - a manager that is not connected yet
 * @address: D-Bus address of the bus, or NULL for the system bus (DBUS_SYSTEM_BUS_ADDRESS counts)
 *
 * Return: 0; negative errno.
 */
int systemd_manager_new(struct systemd_manager **ret, sd_event *event, const char *address,
                        const struct systemd_follower *follower);

/* Connects, installs matches, subscribes, lists. Return: 0; negative errno if no bus can be had. */
int systemd_manager_start(struct systemd_manager *m);

/* Takes NULL, cancels what is under way (its callbacks are not called), returns NULL. */
struct systemd_manager *systemd_manager_free(struct systemd_manager *m);

/* The bus in use, or NULL while disconnected. Borrowed. */
sd_bus *systemd_manager_bus(struct systemd_manager *m);

/* A followed unit by name, or NULL. */
struct systemd_unit *systemd_manager_find(struct systemd_manager *m, const char *unit);

/* Asks wants() again for everything systemd has loaded: after the configuration changed. */
int systemd_manager_relist(struct systemd_manager *m);

/* Reads quota, weight and cgroup of a followed unit again; done() with 0 or a negative errno. */
int systemd_manager_refresh(struct systemd_manager *m, const char *unit,
                            void (*done)(void *ctx, const char *unit, int error), void *ctx);

/* One change of one unit; a property whose set_ flag is off is not sent. */
struct systemd_setting {
        const char *unit;
        bool set_quota;
        bool set_weight;
        uint64_t quota_usec_per_sec;    /* or SYSTEMD_UNSET: no quota */
        uint64_t cpu_weight;            /* or SYSTEMD_UNSET */
};

/* Called once a setting with 0 or a negative errno (-ETIMEDOUT: may still be carried out later),
 * and once at the end of the batch. A reply of 0 does not prove that the kernel took the value. */
typedef void (*systemd_setting_done_fn)(void *ctx, const struct systemd_setting *setting, int error);
typedef void (*systemd_batch_done_fn)(void *ctx, unsigned n_failed);

/**
 * systemd_manager_set() - SetUnitProperties, runtime, one call a unit
 * @settings: copied; n may be 0, then done is called from the next loop turn
 *
 * At most SYSTEMD_CALLS_IN_FLIGHT_MAX calls are under way; replies of one connection come in order.
 * Refuses (by each(), -ESRCH) units that are not followed or not active: systemd would leave a ghost
 * cgroup behind. On success the unit's quota and weight as last read are updated.
 *
 * Return: 0; -ENOTCONN without a bus; -ENOMEM.
 */
int systemd_manager_set(struct systemd_manager *m, const struct systemd_setting settings[], size_t n,
                        systemd_setting_done_fn each, systemd_batch_done_fn done, void *ctx);

/* Manager.Reload, as systemctl daemon-reload. */
int systemd_manager_daemon_reload(struct systemd_manager *m, void (*done)(void *ctx, int error),
                                  void *ctx);
