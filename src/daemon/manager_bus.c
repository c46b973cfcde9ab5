/* SPDX-License-Identifier: MIT */

#include "daemon/manager_bus.h"

#include "config.h"

#include "daemon/actuate.h"
#include "daemon/authorise.h"
#include "daemon/bus_append.h"
#include "daemon/bus_coalitions.h"
#include "daemon/bus_services.h"
#include "daemon/configure.h"
#include "daemon/explain.h"
#include "daemon/guard.h"
#include "daemon/record.h"
#include "daemon/reports.h"
#include "daemon/services.h"
#include "util/bus_names.h"
#include "util/cleanup.h"
#include "util/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct manager_bus {
        sd_bus *own;                    /* --publish=: a connection of our own; else NULL */
        sd_bus *bus;                    /* where we are published; borrowed from systemd_manager */
        sd_bus_slot *manager_slot, *service_slot, *enumerator_slot, *name_slot;
        struct bus_prices told;
};

/* ---- properties of the manager ----------------------------------------------------------------- */

static uint64_t allocated_usec(const struct daemon *d)
{
        double sum_milli = 0;

        for (size_t i = 0; i < d->n_services; i++)
                if (d->services[i]->has_decision && d->services[i]->decision.alloc_milli > 0)
                        sum_milli += d->services[i]->decision.alloc_milli;
        return bus_usec_from_milli(sum_milli);
}

/* Why allocations are what they were; "" when they are not held. */
static const char *hold_reason(const struct daemon *d)
{
        if (d->is_frozen)
                return "frozen";
        if (!d->has_outcome || d->outcome.gate.verdict != VERDICT_HOLD)
                return "";
        if (d->outcome.is_frozen)
                return d->was_frozen ? "" : "rolled-back";
        return "veto";
}

/* One getter for all: the name decides. */
static int get_property(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *reterr_error)
{
        struct daemon *d = userdata;
        const struct epoch_outcome *o = &d->outcome;
        const struct gate_record *newest = gate_history_at(&d->epoch.history, 0);
        const struct gate_record *before = gate_history_at(&d->epoch.history, 1);

        if (strcmp(property, "Version") == 0)
                return sd_bus_message_append(reply, "s", PACKAGE_VERSION);
        if (strcmp(property, "Mode") == 0)
                return sd_bus_message_append(reply, "s", config_mode_to_string(d->mode));
        if (strcmp(property, "Enforce") == 0)
                return sd_bus_message_append(reply, "s", enforce_to_string(d->config->enforce));
        if (strcmp(property, "Tier") == 0)
                return sd_bus_message_append(reply, "s",
                                             d->has_outcome ? tier_to_string(o->market.tier) : "");
        if (strcmp(property, "CapacityUSecPerSec") == 0)
                return sd_bus_message_append(reply, "t", bus_usec_from_milli(d->capacity_milli));
        if (strcmp(property, "BargainedUSecPerSec") == 0)
                return sd_bus_message_append(reply, "t", bus_usec_from_milli(o->bargained_milli));
        if (strcmp(property, "AllocatedUSecPerSec") == 0)
                return sd_bus_message_append(reply, "t", allocated_usec(d));
        if (strcmp(property, "UnmanagedUSecPerSec") == 0)
                return sd_bus_message_append(reply, "t", bus_usec_from_milli(d->unmanaged_load.load_milli));
        if (strcmp(property, "Scarcity") == 0)
                return sd_bus_message_append(reply, "d", o->market.scarcity);
        if (strcmp(property, "ShadowPrice") == 0)
                return sd_bus_message_append(reply, "d", o->market.shadow_price);
        if (strcmp(property, "Potential") == 0)
                return sd_bus_message_append(reply, "d", newest ? newest->v_after : 0.0);
        if (strcmp(property, "PotentialTrend") == 0)
                return sd_bus_message_append(reply, "d",
                                             newest && before ? newest->v_after - before->v_after : 0.0);
        if (strcmp(property, "StepSize") == 0)
                return sd_bus_message_append(reply, "d", newest ? newest->step : 0.0);
        if (strcmp(property, "Verdict") == 0)
                return sd_bus_message_append(reply, "s", newest ? verdict_to_string(newest->verdict) : "");
        if (strcmp(property, "Epoch") == 0)
                return sd_bus_message_append(reply, "t", d->epoch.epoch);
        if (strcmp(property, "EpochUSec") == 0)
                return sd_bus_message_append(reply, "t", d->config->epoch_usec);
        if (strcmp(property, "NextEpochUSec") == 0)
                return sd_bus_message_append(reply, "t", d->next_epoch_usec);
        if (strcmp(property, "Hold") == 0)
                return sd_bus_message_append(reply, "s", hold_reason(d));
        if (strcmp(property, "EpochError") == 0)
                return sd_bus_message_append(reply, "s", d->epoch_error);
        if (strcmp(property, "PendingWrites") == 0)
                return sd_bus_message_append(reply, "t", (uint64_t)d->n_pending);
        if (strcmp(property, "GuardRaises") == 0)
                return sd_bus_message_append(reply, "t", d->n_raises);
        if (strcmp(property, "HistoryDropped") == 0)
                return sd_bus_message_append(reply, "t", record_n_dropped(d));
        if (strcmp(property, "Frozen") == 0)
                return sd_bus_message_append(reply, "b", (int)d->is_frozen);
        if (strcmp(property, "ConfigError") == 0)
                return sd_bus_message_append(reply, "s", d->config_error ?: "");
        if (strcmp(property, "PressureAvailable") == 0)
                return sd_bus_message_append(reply, "b", (int)d->has_pressure);
        return -ENOENT;
}

/* ---- reading methods --------------------------------------------------------------------------- */

static int method_explain(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct daemon *d = userdata;
        _cleanup_free_ char *json = NULL;
        const struct service *s;
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        s = services_find_by_any_name(d, name);
        if (!s || !bus_shows(d, s))
                return sd_bus_error_setf(error, COALLOC_ERROR_NO_SUCH_SERVICE,
                                         "No service or unit \"%s\" is measured; see coallocctl status.", name);
        r = explain_service(d, s, &json);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, "s", json);
}

static int method_plan(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct daemon *d = userdata;
        _cleanup_free_ char *json = NULL;
        int r;

        if (!d->has_outcome)
                return sd_bus_error_setf(error, COALLOC_ERROR_NO_PLAN_YET,
                                         "Nothing is decided before the first epoch is over (EpochSec=).");
        r = explain_plan(d, &json);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, "s", json);
}

/* ---- writing methods: each runs once its sender is authorised ------------------------------------ */

static void reply_when_released(void *ctx, unsigned n_failed)
{
        sd_bus_message *m = ctx;

        (void)sd_bus_reply_method_return(m, "u", (uint32_t)n_failed);
        (void)sd_bus_message_unref(m);
}

static void reply_empty_when_released(void *ctx, unsigned n_failed)
{
        sd_bus_message *m = ctx;

        if (n_failed == 0)
                (void)sd_bus_reply_method_return(m, NULL);
        else
                (void)sd_bus_reply_method_errorf(m, COALLOC_ERROR_NOT_GIVEN_BACK,
                                                 "%u units could not be given back; see the journal.", n_failed);
        (void)sd_bus_message_unref(m);
}

/* Whoever asks now would wait for an answer that cannot come. */
static int refuse_when_stopping(const struct daemon *d, sd_bus_error *error)
{
        if (!d->is_stopping)
                return 0;
        return sd_bus_error_setf(error, COALLOC_ERROR_STOPPING,
                                 "coallocd is stopping and gives everything back.");
}

static int do_set_mode(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct daemon *d = userdata;
        const char *text;
        int mode, r;

        r = refuse_when_stopping(d, error);
        if (r < 0)
                return r;
        r = sd_bus_message_read(m, "s", &text);
        if (r < 0)
                return r;
        mode = config_mode_from_string(text);
        if (mode < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Mode \"%s\" is neither enforce nor observe.", text);
        r = configure_set_mode(d, mode, reply_empty_when_released, sd_bus_message_ref(m));
        if (r < 0) {
                (void)sd_bus_message_unref(m);
                if (r == -EPERM)
                        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                                 "coallocd was started with --observe and never writes.");
                return r;
        }
        return 1;
}

static int do_restore(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        int r = refuse_when_stopping(userdata, error);

        if (r < 0)
                return r;
        r = configure_set_mode(userdata, CONFIG_MODE_OBSERVE, reply_when_released, sd_bus_message_ref(m));
        if (r < 0)
                (void)sd_bus_message_unref(m);
        return r < 0 ? r : 1;
}

static int do_reload(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct daemon *d = userdata;
        int r = refuse_when_stopping(d, error);

        if (r < 0)
                return r;
        r = daemon_reload(d);
        if (r < 0)
                return sd_bus_error_setf(error, COALLOC_ERROR_CONFIG_INVALID, "%s",
                                         d->config_error ?: "out of memory");
        return sd_bus_reply_method_return(m, NULL);
}

static int do_freeze(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct daemon *d = userdata;
        int freeze, r;

        r = sd_bus_message_read(m, "b", &freeze);
        if (r < 0)
                return r;
        if (d->is_frozen != (bool)freeze)
                log_plain(LOG_NOTICE, MSG_MODE_CHANGED, freeze ? "Frozen: allocations stay as they are."
                                                               : "Thawed: allocations follow demand again.");
        d->is_frozen = freeze;
        guard_follow(d);
        return sd_bus_reply_method_return(m, NULL);
}

static int do_adopt(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct daemon *d = userdata;
        struct service *s;
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        s = services_find_by_any_name(d, name);
        if (!s || !(s->config || s->is_holder))
                return sd_bus_error_setf(error, COALLOC_ERROR_NO_SUCH_SERVICE,
                                         "%s has no [Service] section, so it cannot be adopted.", name);
        if (!s->quota.is_foreign && !s->weight.is_foreign && !s->burst.is_foreign)
                return sd_bus_error_setf(error, COALLOC_ERROR_NOT_FOREIGN,
                                         "Nobody else changed %s: there is nothing to adopt.", s->unit);
        actuate_adopt(d, s);
        return sd_bus_reply_method_return(m, NULL);
}

static int do_report_latency(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct daemon *d = userdata;
        struct service *s;
        const char *name;
        double seconds_p99;
        uint32_t requests;

        if (sd_bus_message_read(m, "sdu", &name, &seconds_p99, &requests) < 0)
                return -EBADMSG;
        s = services_find_by_any_name(d, name);
        if (!s || !bus_shows(d, s))
                return sd_bus_error_setf(error, COALLOC_ERROR_NO_SUCH_SERVICE,
                                         "No service or unit \"%s\" is measured; see coallocctl status.", name);
        if (!s->config)
                return sd_bus_error_setf(error, COALLOC_ERROR_NO_SUCH_SERVICE,
                                         "%s has no [Service] section, so its latency decides nothing.", name);
        if (!s->systemd || !s->systemd->is_active)
                return sd_bus_error_setf(error, COALLOC_ERROR_NOT_RUNNING,
                                         "%s is not running, so it has no latency.", s->unit);
        if (report_take(s, seconds_p99, requests) < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "A latency of %g s is none: it has to be between %g s and %g s.",
                                         seconds_p99, REPORT_SECONDS_MIN, REPORT_SECONDS_MAX);
        return sd_bus_reply_method_return(m, NULL);
}

static int method_report_latency(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return authorise(m, COALLOC_ACTION_REPORT_LATENCY, do_report_latency, userdata, error);
}

static int method_set_mode(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return authorise(m, COALLOC_ACTION_CONTROL, do_set_mode, userdata, error);
}

static int method_restore(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return authorise(m, COALLOC_ACTION_CONTROL, do_restore, userdata, error);
}

static int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return authorise(m, COALLOC_ACTION_CONTROL, do_reload, userdata, error);
}

static int method_freeze(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return authorise(m, COALLOC_ACTION_CONTROL, do_freeze, userdata, error);
}

static int method_adopt(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return authorise(m, COALLOC_ACTION_CONTROL, do_adopt, userdata, error);
}

#define PROPERTY(name, type) SD_BUS_PROPERTY(name, type, get_property, 0, 0)

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Mode", "s"),
        PROPERTY("Enforce", "s"),
        PROPERTY("Tier", "s"),
        PROPERTY("CapacityUSecPerSec", "t"),
        PROPERTY("BargainedUSecPerSec", "t"),
        PROPERTY("AllocatedUSecPerSec", "t"),
        PROPERTY("UnmanagedUSecPerSec", "t"),
        PROPERTY("Scarcity", "d"),
        PROPERTY("ShadowPrice", "d"),
        PROPERTY("Potential", "d"),
        PROPERTY("PotentialTrend", "d"),
        PROPERTY("StepSize", "d"),
        PROPERTY("Verdict", "s"),
        PROPERTY("Epoch", "t"),
        PROPERTY("EpochUSec", "t"),
        PROPERTY("NextEpochUSec", "t"),
        PROPERTY("PendingWrites", "t"),
        PROPERTY("GuardRaises", "t"),
        PROPERTY("HistoryDropped", "t"),
        PROPERTY("Hold", "s"),
        PROPERTY("EpochError", "s"),
        PROPERTY("Frozen", "b"),
        PROPERTY("ConfigError", "s"),
        PROPERTY("PressureAvailable", "b"),
        SD_BUS_METHOD_WITH_ARGS("ListServices", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", services),
                                bus_list_services, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Explain", SD_BUS_ARGS("s", unit), SD_BUS_RESULT("s", json),
                                method_explain, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Plan", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), method_plan,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListCoalitions", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", coalitions),
                                bus_list_coalitions, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListPaths", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", paths),
                                bus_list_paths, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetPrices", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sd}", prices),
                                bus_get_prices, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetMode", SD_BUS_ARGS("s", mode), SD_BUS_NO_RESULT, method_set_mode,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Freeze", SD_BUS_ARGS("b", freeze), SD_BUS_NO_RESULT, method_freeze,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Adopt", SD_BUS_ARGS("s", unit), SD_BUS_NO_RESULT, method_adopt,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Restore", SD_BUS_NO_ARGS, SD_BUS_RESULT("u", n_failed), method_restore,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ReportLatency",
                                SD_BUS_ARGS("s", service, "d", seconds_p99, "u", requests), SD_BUS_NO_RESULT,
                                method_report_latency, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("EpochDone", SD_BUS_ARGS("t", epoch, "s", tier), 0),
        SD_BUS_SIGNAL_WITH_ARGS("PricesChanged",
                                SD_BUS_ARGS("t", epoch, "d", shadow_price, "d", scarcity, "a{sd}", paths), 0),
        SD_BUS_SIGNAL_WITH_ARGS("QuotaChanged",
                                SD_BUS_ARGS("s", unit, "t", old, "t", new, "s", reason), 0),
        SD_BUS_SIGNAL_WITH_ARGS("WeightChanged",
                                SD_BUS_ARGS("s", unit, "t", old, "t", new, "s", reason), 0),
        SD_BUS_VTABLE_END,
};

/* ---- life -------------------------------------------------------------------------------------- */

/* Ours to handle: without a callback sd-bus closes the connection when the name is not to be had. */
static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);
        uint32_t outcome = 0;

        if (!e && sd_bus_message_read(m, "u", &outcome) >= 0 && (outcome == 1 || outcome == 4))
                return 0;       /* we are, or were, the primary owner */
        log_plain(LOG_WARNING, MSG_NOT_PUBLISHED,
                  "Could not publish org.coalloc1: %s (does another coallocd run? is the D-Bus policy installed? coallocctl doctor tells); managing goes on.",
                  e ? e->message : "the name is taken");
        return 0;
}

static void drop_slots(struct manager_bus *b)
{
        b->manager_slot = sd_bus_slot_unref(b->manager_slot);
        b->service_slot = sd_bus_slot_unref(b->service_slot);
        b->enumerator_slot = sd_bus_slot_unref(b->enumerator_slot);
        b->name_slot = sd_bus_slot_unref(b->name_slot);
}

int manager_bus_attach(struct daemon *d, sd_bus *bus)
{
        struct manager_bus *b = d->bus;
        int r;

        if (!bus)
                return -ENOTCONN;
        if (!b) {
                b = calloc(1, sizeof *b);
                if (!b)
                        return -ENOMEM;
                d->bus = b;
        }
        drop_slots(b);
        b->bus = bus;

        r = sd_bus_add_object_vtable(bus, &b->manager_slot, COALLOC_PATH, COALLOC_INTERFACE,
                                     manager_vtable, d);
        if (r < 0)
                return r;
        r = sd_bus_add_fallback_vtable(bus, &b->service_slot, COALLOC_SERVICE_PATH_PREFIX,
                                       COALLOC_SERVICE_INTERFACE, bus_service_vtable, bus_find_service, d);
        if (r < 0)
                return r;
        r = sd_bus_add_node_enumerator(bus, &b->enumerator_slot, COALLOC_SERVICE_PATH_PREFIX,
                                       bus_enumerate_services, d);
        if (r < 0)
                return r;
        return sd_bus_request_name_async(bus, &b->name_slot, COALLOC_BUS_NAME, 0, on_name, d);
}

int manager_bus_publish(struct daemon *d, const char *address)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        r = sd_bus_set_address(bus, address);
        if (r < 0)
                return r;
        r = sd_bus_set_bus_client(bus, true);
        if (r < 0)
                return r;
        r = sd_bus_start(bus);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(bus, d->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        r = manager_bus_attach(d, bus);
        if (r < 0)
                return r;
        d->bus->own = TAKE_PTR(bus);
        return 0;
}

void manager_bus_detach(struct daemon *d)
{
        if (!d->bus || d->bus->own)
                return;
        drop_slots(d->bus);
        d->bus->bus = NULL;
}

void manager_bus_free(struct daemon *d)
{
        if (!d->bus)
                return;
        drop_slots(d->bus);
        (void)sd_bus_flush_close_unref(d->bus->own);
        bus_prices_done(&d->bus->told);
        free(d->bus);
        d->bus = NULL;
}

/* ---- signals: whoever listens; nobody waits for them -------------------------------------------- */

void manager_bus_epoch_done(struct daemon *d)
{
        if (!d->bus || !d->bus->bus)
                return;
        bus_tell_prices(d->bus->bus, d, &d->bus->told);
        (void)sd_bus_emit_signal(d->bus->bus, COALLOC_PATH, COALLOC_INTERFACE, "EpochDone", "ts",
                                 d->epoch.epoch, tier_to_string(d->outcome.market.tier));
}

void manager_bus_quota_changed(struct daemon *d, const char *unit, uint64_t old, uint64_t new,
                               const char *reason)
{
        if (d->bus && d->bus->bus)
                (void)sd_bus_emit_signal(d->bus->bus, COALLOC_PATH, COALLOC_INTERFACE, "QuotaChanged",
                                         "stts", unit, old, new, reason);
}

void manager_bus_weight_changed(struct daemon *d, const char *unit, uint64_t old, uint64_t new,
                                const char *reason)
{
        if (d->bus && d->bus->bus)
                (void)sd_bus_emit_signal(d->bus->bus, COALLOC_PATH, COALLOC_INTERFACE, "WeightChanged",
                                         "stts", unit, old, new, reason);
}
