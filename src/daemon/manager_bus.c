/* SPDX-License-Identifier: MIT */

#include "daemon/manager_bus.h"

#include "config.h"

#include "daemon/actuate.h"
#include "daemon/authorise.h"
#include "daemon/configure.h"
#include "daemon/explain.h"
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
};

/* ---- properties of the manager ----------------------------------------------------------------- */

/* Whole usec from the doubles of the decision; nothing negative ever leaves it. */
static uint64_t usec_of(double milli)
{
        if (!isfinite(milli))
                return USEC_UNSET;
        return milli > 0 ? (uint64_t)llround(milli * USEC_PER_MILLI) : 0;
}

static uint64_t allocated_usec(const struct daemon *d)
{
        double sum_milli = 0;

        for (size_t i = 0; i < d->n_services; i++)
                if (d->services[i]->has_decision && d->services[i]->decision.alloc_milli > 0)
                        sum_milli += d->services[i]->decision.alloc_milli;
        return usec_of(sum_milli);
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
                return sd_bus_message_append(reply, "t", usec_of(d->capacity_milli));
        if (strcmp(property, "BargainedUSecPerSec") == 0)
                return sd_bus_message_append(reply, "t", usec_of(o->bargained_milli));
        if (strcmp(property, "AllocatedUSecPerSec") == 0)
                return sd_bus_message_append(reply, "t", allocated_usec(d));
        if (strcmp(property, "UnmanagedUSecPerSec") == 0)
                return sd_bus_message_append(reply, "t", usec_of(d->unmanaged_load_milli));
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
        if (strcmp(property, "Frozen") == 0)
                return sd_bus_message_append(reply, "b", (int)d->is_frozen);
        if (strcmp(property, "ConfigError") == 0)
                return sd_bus_message_append(reply, "s", d->config_error ?: "");
        if (strcmp(property, "PressureAvailable") == 0)
                return sd_bus_message_append(reply, "b", (int)d->has_pressure);
        return -ENOENT;
}

/* ---- services ---------------------------------------------------------------------------------- */

static int append_variant(sd_bus_message *m, const char *key, const char *type, ...)
{
        va_list ap;
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", key);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'v', type);
        if (r < 0)
                return r;
        va_start(ap, type);
        r = sd_bus_message_appendv(m, type, ap);
        va_end(ap);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(m);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(m);
}

/* What is published of one service; ListServices and the service objects share it. */
struct service_facts {
        const char *key;
        char type;                      /* s, b, t, u, d */
        const char *text;
        uint64_t number;
        double real;
};

#define FACTS_MAX 32

/* What is asked of systemd: a change that is not worth a write is not asked for. */
static uint64_t asked_quota(const struct daemon *d, const struct service *s)
{
        const struct managed_value *v = &s->quota;

        if (v->is_ours && v->wanted != USEC_UNSET &&
            !enforce_quota_differs(quota_milli_from_usec(v->applied), quota_milli_from_usec(v->wanted),
                                   d->config->min_change))
                return v->applied;
        return v->wanted;
}

static uint64_t asked_weight(const struct daemon *d, const struct service *s)
{
        const struct managed_value *v = &s->weight;

        if (v->is_ours && v->applied != USEC_UNSET && v->wanted != USEC_UNSET &&
            !enforce_weight_differs((unsigned)v->applied, (unsigned)v->wanted, d->config->min_change))
                return v->applied;
        return v->wanted;
}

static size_t facts_of(struct daemon *d, const struct service *s, const char *note,
                       struct service_facts f[static FACTS_MAX])
{
        const struct demand_estimate *e = &s->estimate;
        const struct config_service *c = s->config;
        size_t n = 0;

#define TEXT(k, v) f[n++] = (struct service_facts){ .key = (k), .type = 's', .text = (v) }
#define FLAG(k, v) f[n++] = (struct service_facts){ .key = (k), .type = 'b', .number = (v) }
#define USEC(k, v) f[n++] = (struct service_facts){ .key = (k), .type = 't', .number = (v) }
#define REAL(k, v) f[n++] = (struct service_facts){ .key = (k), .type = 'd', .real = (v) }
        TEXT("Name", s->name);
        TEXT("Unit", s->unit);
        TEXT("State", service_state(d, s));
        TEXT("Note", note);
        TEXT("CoalitionId", "");
        TEXT("NeedReason", demand_reason_to_string(e->reason));
        FLAG("Managed", c != NULL);
        FLAG("Active", s->systemd && s->systemd->is_active);
        FLAG("Satisfied", s->has_decision && s->decision.is_satisfied);
        FLAG("Elastic", e->is_elastic);
        USEC("UseUSecPerSec", usec_of(e->use_mean_milli));
        USEC("LoadUSecPerSec", usec_of(e->load_milli));
        USEC("NeedUSecPerSec", usec_of(e->need_milli));
        USEC("FloorUSecPerSec", c ? c->floor.usec_per_sec : 0);
        USEC("BaselineUSecPerSec", c ? c->baseline.usec_per_sec : 0);
        USEC("MaxUSecPerSec", c && c->max.is_set ? c->max.usec_per_sec : USEC_UNSET);
        USEC("AllocationUSecPerSec", s->has_decision && s->decision.alloc_milli >= 0
                                             ? usec_of(s->decision.alloc_milli)
                                             : USEC_UNSET);
        USEC("QuotaWantedUSecPerSec", asked_quota(d, s));
        USEC("QuotaAppliedUSecPerSec", s->quota.applied);
        USEC("QuotaReadUSecPerSec", s->quota.read);
        USEC("CPUWeightWanted", asked_weight(d, s));
        USEC("CPUWeightApplied", s->weight.applied);
        USEC("CPUWeightRead", s->weight.read);
        f[n++] = (struct service_facts){ .key = "Weight", .type = 'u', .number = c ? c->weight : 0 };
        REAL("MarketMilli", s->has_decision ? s->decision.market_milli : 0);
        REAL("ThrottledRatio", e->throttled_ratio);
        REAL("Pressure", e->stall_share);
        REAL("Contention", e->contention);
        REAL("Confidence", e->confidence);
#undef TEXT
#undef FLAG
#undef USEC
#undef REAL
        return n;
}

static int append_fact(sd_bus_message *m, const struct service_facts *f)
{
        switch (f->type) {
        case 's':
                return append_variant(m, f->key, "s", f->text);
        case 'b':
                return append_variant(m, f->key, "b", (int)f->number);
        case 't':
                return append_variant(m, f->key, "t", f->number);
        case 'u':
                return append_variant(m, f->key, "u", (uint32_t)f->number);
        default:
                return append_variant(m, f->key, "d", f->real);
        }
}

/* Guardians and holders that nobody asked to see stay behind the scenes. */
static bool is_shown(const struct daemon *d, const struct service *s)
{
        return s->config || config_wants(d->config, s->unit);
}

static int method_list_services(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct daemon *d = userdata;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        struct service_facts facts[FACTS_MAX];
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        if (r < 0)
                return r;
        for (size_t i = 0; i < d->n_services; i++) {
                const struct service *s = d->services[i];
                _cleanup_free_ char *note = NULL;
                size_t n;

                if (!is_shown(d, s))
                        continue;
                note = service_note(d, s);
                n = facts_of(d, s, note ?: "", facts);
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
                if (r < 0)
                        return r;
                for (size_t k = 0; k < n; k++) {
                        r = append_fact(reply, &facts[k]);
                        if (r < 0)
                                return r;
                }
                r = sd_bus_message_close_container(reply);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
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
        if (!s || !is_shown(d, s))
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

static int method_get_prices(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct daemon *d = userdata;

        return sd_bus_reply_method_return(m, "a{sd}", 2, "scarcity", d->outcome.market.scarcity,
                                          "shadow_price", d->outcome.market.shadow_price);
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
        if (!s->quota.is_foreign && !s->weight.is_foreign)
                return sd_bus_error_setf(error, COALLOC_ERROR_NOT_FOREIGN,
                                         "Nobody else changed %s: there is nothing to adopt.", s->unit);
        actuate_adopt(d, s);
        return sd_bus_reply_method_return(m, NULL);
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
        PROPERTY("Hold", "s"),
        PROPERTY("EpochError", "s"),
        PROPERTY("Frozen", "b"),
        PROPERTY("ConfigError", "s"),
        PROPERTY("PressureAvailable", "b"),
        SD_BUS_METHOD_WITH_ARGS("ListServices", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", services),
                                method_list_services, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Explain", SD_BUS_ARGS("s", unit), SD_BUS_RESULT("s", json),
                                method_explain, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Plan", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), method_plan,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetPrices", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sd}", prices),
                                method_get_prices, SD_BUS_VTABLE_UNPRIVILEGED),
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
        SD_BUS_SIGNAL_WITH_ARGS("EpochDone", SD_BUS_ARGS("t", epoch, "s", tier), 0),
        SD_BUS_SIGNAL_WITH_ARGS("QuotaChanged",
                                SD_BUS_ARGS("s", unit, "t", old, "t", new, "s", reason), 0),
        SD_BUS_SIGNAL_WITH_ARGS("WeightChanged",
                                SD_BUS_ARGS("s", unit, "t", old, "t", new, "s", reason), 0),
        SD_BUS_VTABLE_END,
};

/* ---- one object a service ---------------------------------------------------------------------- */

static int find_service(sd_bus *bus, const char *path, const char *interface, void *userdata,
                        void **ret_found, sd_bus_error *error)
{
        struct daemon *d = userdata;
        _cleanup_free_ char *unit = NULL;
        int r;

        r = sd_bus_path_decode(path, COALLOC_SERVICE_PATH_PREFIX, &unit);
        if (r <= 0)
                return r;
        *ret_found = services_find(d, unit);
        return *ret_found && is_shown(d, *ret_found);
}

static int get_service_property(sd_bus *bus, const char *path, const char *interface,
                                const char *property, sd_bus_message *reply, void *userdata,
                                sd_bus_error *error)
{
        const struct service *s = userdata;
        struct daemon *d = s->d;
        struct service_facts facts[FACTS_MAX];
        _cleanup_free_ char *note = service_note(d, s);
        size_t n = facts_of(d, s, note ?: "", facts);

        for (size_t i = 0; i < n; i++) {
                if (strcmp(facts[i].key, property) != 0)
                        continue;
                switch (facts[i].type) {
                case 's':
                        return sd_bus_message_append(reply, "s", facts[i].text);
                case 'b':
                        return sd_bus_message_append(reply, "b", (int)facts[i].number);
                case 't':
                        return sd_bus_message_append(reply, "t", facts[i].number);
                case 'u':
                        return sd_bus_message_append(reply, "u", (uint32_t)facts[i].number);
                default:
                        return sd_bus_message_append(reply, "d", facts[i].real);
                }
        }
        return -ENOENT;
}

#define FACT(name, type) SD_BUS_PROPERTY(name, type, get_service_property, 0, 0)

static const sd_bus_vtable service_vtable[] = {
        SD_BUS_VTABLE_START(0),
        FACT("Name", "s"),
        FACT("Unit", "s"),
        FACT("State", "s"),
        FACT("Note", "s"),
        FACT("CoalitionId", "s"),
        FACT("NeedReason", "s"),
        FACT("Managed", "b"),
        FACT("Active", "b"),
        FACT("Satisfied", "b"),
        FACT("Elastic", "b"),
        FACT("UseUSecPerSec", "t"),
        FACT("LoadUSecPerSec", "t"),
        FACT("NeedUSecPerSec", "t"),
        FACT("FloorUSecPerSec", "t"),
        FACT("BaselineUSecPerSec", "t"),
        FACT("MaxUSecPerSec", "t"),
        FACT("AllocationUSecPerSec", "t"),
        FACT("QuotaWantedUSecPerSec", "t"),
        FACT("QuotaAppliedUSecPerSec", "t"),
        FACT("QuotaReadUSecPerSec", "t"),
        FACT("CPUWeightWanted", "t"),
        FACT("CPUWeightApplied", "t"),
        FACT("CPUWeightRead", "t"),
        FACT("Weight", "u"),
        FACT("MarketMilli", "d"),
        FACT("ThrottledRatio", "d"),
        FACT("Pressure", "d"),
        FACT("Contention", "d"),
        FACT("Confidence", "d"),
        SD_BUS_VTABLE_END,
};

static int enumerate_services(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                              sd_bus_error *error)
{
        struct daemon *d = userdata;
        char **nodes = calloc(d->n_services + 1, sizeof *nodes);
        size_t n = 0;
        int r;

        if (!nodes)
                return -ENOMEM;
        for (size_t i = 0; i < d->n_services; i++) {
                if (!is_shown(d, d->services[i]))
                        continue;
                r = sd_bus_path_encode(COALLOC_SERVICE_PATH_PREFIX, d->services[i]->unit, &nodes[n]);
                if (r < 0) {
                        while (n > 0)
                                free(nodes[--n]);
                        free(nodes);
                        return r;
                }
                n++;
        }
        *ret_nodes = nodes;
        return 1;
}

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
                                       COALLOC_SERVICE_INTERFACE, service_vtable, find_service, d);
        if (r < 0)
                return r;
        r = sd_bus_add_node_enumerator(bus, &b->enumerator_slot, COALLOC_SERVICE_PATH_PREFIX,
                                       enumerate_services, d);
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
        free(d->bus);
        d->bus = NULL;
}

/* ---- signals: whoever listens; nobody waits for them -------------------------------------------- */

void manager_bus_epoch_done(struct daemon *d)
{
        if (d->bus && d->bus->bus)
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
