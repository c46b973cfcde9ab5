/* SPDX-License-Identifier: MIT */
#pragma once

/* systemd as coalloc sees it: finds units, follows them, changes two of their properties.
 *
 * Asynchronous throughout: every call returns at once, replies arrive through sd-event. Matches are
 * installed before Subscribe and Subscribe before the listing, so no unit is missed; the listing is
 * taken again after daemon-reload, re-execution of PID 1 and loss of the bus. Without a system bus
 * PID 1's private socket serves (at shutdown, and for --restore).
 *
 * An inactive unit is never read: reading the object of a unit that was unloaded meanwhile loads it
 * again, with UnitNew and UnitRemoved on the way, and whoever reads on UnitNew then loops for ever.
 * What is new is looked up in listings, at most ten a second however many units come and go.
 *
 * Signals count only from the owner of org.freedesktop.systemd1: anybody may send us one. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <systemd/sd-id128.h>

/* systemd's own value for "no quota" and "no weight set". */
#define SYSTEMD_UNSET UINT64_MAX

/* dbus-daemon's system bus allows 128 pending replies a connection; others use ours too. */
#define SYSTEMD_CALLS_IN_FLIGHT_MAX 64

/* A PID 1 that is well answers in milliseconds; one that is busy (64 calls of ours before this one, a host
 * without CPU to spare) takes seconds, and an answer given up is a unit that is not given back. During a
 * reload the clock stands still. */
#define SYSTEMD_CALL_TIMEOUT_USEC (20 * UINT64_C(1000000))

/* A reload of thousands of units with generators on a slow disk; also the bound on Reloading(true)
 * without a Reloading(false). */
#define SYSTEMD_RELOAD_TIMEOUT_USEC (90 * UINT64_C(1000000))

enum systemd_unit_type {
        SYSTEMD_SLICE,
        SYSTEMD_SERVICE,
        SYSTEMD_SCOPE,
        _SYSTEMD_UNIT_TYPE_MAX,
};

/* One loaded unit. Owned by the manager, valid until its SYSTEMD_UNIT_LOST event has returned.
 * Until a unit has been active all but name and type are at their empty values; while it is inactive
 * slice, is_transient, quota and weight are those of its last activity. */
struct systemd_unit {
        const char *name;
        enum systemd_unit_type type;
        const char *slice;              /* name of the slice that holds it; "" for -.slice */
        const char *control_group;      /* relative to the cgroup2 mount; "" = none */
        sd_id128_t invocation_id;       /* another one after a restart, with another cgroup */
        bool is_active;                 /* may have processes: up, on the way up or down */
        bool is_transient;              /* its drop-ins live in /run/systemd/transient */
        unsigned n_starting;            /* services on their way up in it (or the unit itself) */
        uint64_t quota_usec_per_sec;    /* CPUQuotaPerSecUSec as last read, or SYSTEMD_UNSET */
        uint64_t cpu_weight;            /* CPUWeight as last read, or SYSTEMD_UNSET */
        void *userdata;                 /* the follower's own; kept over a loss of the bus */
};

enum systemd_event {
        SYSTEMD_CONNECTED,      /* a (new) bus is there: add objects, request names; unit is NULL */
        SYSTEMD_UNIT_FOUND,     /* properties are complete */
        SYSTEMD_UNIT_CHANGED,   /* active state, invocation, cgroup, slice or n_starting differ */
        SYSTEMD_UNIT_LOST,      /* no longer loaded, or no longer wanted; the pointer dies after this */
        SYSTEMD_LISTED,         /* every unit loaded at connect, reload or relist has been reported */
        SYSTEMD_RELOADED,       /* after LISTED: daemon-reload or re-execution is over, every unit has
                                 * been read again; values may have been undone */
        SYSTEMD_DISCONNECTED,   /* the bus is lost; reconnection is under way */
};

/* Who listens. wants() is asked once for each loaded unit (again by systemd_manager_relist()); only
 * wanted units are read and reported. Both are called from the event loop only; on_event() may call
 * anything here, systemd_manager_free() too. */
struct systemd_follower {
        bool (*wants)(void *ctx, const char *unit);
        void (*on_event)(void *ctx, enum systemd_event event, struct systemd_unit *unit);
        void *ctx;
};

struct systemd_manager;

/**
 * systemd_manager_new() - a manager that is not connected yet
 * @address: D-Bus address of the bus, or NULL for the system bus (DBUS_SYSTEM_BUS_ADDRESS counts)
 *           and, where none can be had at start, the private socket of PID 1
 *
 * Return: 0; negative errno.
 */
int systemd_manager_new(struct systemd_manager **ret, sd_event *event, const char *address,
                        const struct systemd_follower *follower);

/**
 * systemd_manager_new_with_opener() - the same on buses that somebody else makes
 * @open: makes a bus that is not started yet; called at start and at each reconnection. A bus that
 *        is no bus client is taken for systemd itself at the other end (socketpair, private socket)
 *
 * Return: 0; negative errno.
 */
int systemd_manager_new_with_opener(struct systemd_manager **ret, sd_event *event,
                                    int (*open)(void *ctx, sd_bus **ret), void *open_ctx,
                                    const struct systemd_follower *follower);

/* How long a call may take, SYSTEMD_CALL_TIMEOUT_USEC unless told. For calls made from now on. */
void systemd_manager_set_timeout(struct systemd_manager *m, uint64_t timeout_usec);

/* Connects, installs matches, subscribes, lists. Return: 0; negative errno if no bus can be had. */
int systemd_manager_start(struct systemd_manager *m);

/* Takes NULL, cancels what is under way (its callbacks are not called), closes the bus, returns NULL.
 * May be called from any callback. */
struct systemd_manager *systemd_manager_free(struct systemd_manager *m);

/* The bus in use, or NULL while disconnected. Borrowed. sd_bus_is_bus_client() tells whether names
 * can be had on it: the private socket of PID 1 has none. */
sd_bus *systemd_manager_bus(struct systemd_manager *m);

/* Has systemd reloaded, and SYSTEMD_RELOADED is still to come? Whatever is read of units until then may
 * have been undone already. */
bool systemd_manager_has_reloaded(const struct systemd_manager *m);

/* A followed unit by name, or NULL. */
struct systemd_unit *systemd_manager_find(struct systemd_manager *m, const char *unit);

/* Asks wants() again for everything systemd has loaded: after the configuration changed. Reads what was
 * not wanted before; SYSTEMD_LISTED says when all is done. Cost: one listing and those readings. */
void systemd_manager_relist(struct systemd_manager *m);

/**
 * systemd_manager_refresh() - read quota, weight and cgroup of a followed unit again
 * @done: called from the loop with 0; -ESRCH: not followed or not active; -ETIMEDOUT; -ECONNRESET
 *
 * The reading starts after the call; several wishes for one unit share one reading.
 *
 * Return: 0; -ENOTCONN without a bus; -ENOMEM.
 */
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

/* Called once a setting with 0 or a negative errno, and once at the end of the batch (not NULL).
 * -ESRCH: no such unit, or not active; -EACCES; -ETIMEDOUT: may still be carried out later;
 * -ECONNRESET: the bus was lost, may have been carried out. A 0 does not prove that the kernel took
 * the value. */
typedef void (*systemd_setting_done_fn)(void *ctx, const struct systemd_setting *setting, int error);
typedef void (*systemd_batch_done_fn)(void *ctx, unsigned n_failed);

/**
 * systemd_manager_set() - SetUnitProperties, runtime, one call a unit
 * @settings: copied; n may be 0, then done is called from the next loop turn
 *
 * At most SYSTEMD_CALLS_IN_FLIGHT_MAX calls are under way; replies of one connection come in order.
 * Refuses (by each(), -ESRCH) units that are not followed or not active: systemd would leave a ghost
 * cgroup behind. On success the unit's quota and weight as last read are updated. Waits while
 * systemd reloads.
 *
 * Return: 0; -ENOTCONN without a bus; -ENOMEM.
 */
int systemd_manager_set(struct systemd_manager *m, const struct systemd_setting settings[], size_t n,
                        systemd_setting_done_fn each, systemd_batch_done_fn done, void *ctx);

/* Manager.Reload, as systemctl daemon-reload; done() when systemd has answered: after the reload, but
 * before SYSTEMD_RELOADED. Return: 0; -ENOTCONN; -ENOMEM. */
int systemd_manager_daemon_reload(struct systemd_manager *m, void (*done)(void *ctx, int error),
                                  void *ctx);
