/* SPDX-License-Identifier: MIT */

#include "daemon/bus_services.h"

#include "daemon/bus_append.h"
#include "daemon/coalitions.h"
#include "daemon/reports.h"
#include "daemon/services.h"
#include "util/bus_names.h"
#include "util/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- facts ------------------------------------------------------------------------------------- */

/* What is published of one service; ListServices and the service objects share it. */
struct service_facts {
        const char *key;
        char type;                      /* s, b, t, u, d */
        const char *text;
        uint64_t number;
        double real;
};

#define FACTS_MAX 48

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
        bool is_member = s->has_decision && s->decision.coalition != EPOCH_NO_COALITION;
        /* Of others there is a model, too, but nothing in it is theirs. */
        bool has_model = s->has_decision && s->decision.alloc_milli >= 0 &&
                         (s->input.latency_ms > 0 || s->decision.importance > 0);
        size_t n = 0;

#define TEXT(k, v) f[n++] = (struct service_facts){ .key = (k), .type = 's', .text = (v) }
#define FLAG(k, v) f[n++] = (struct service_facts){ .key = (k), .type = 'b', .number = (v) }
#define USEC(k, v) f[n++] = (struct service_facts){ .key = (k), .type = 't', .number = (v) }
#define REAL(k, v) f[n++] = (struct service_facts){ .key = (k), .type = 'd', .real = (v) }
        TEXT("Name", s->name);
        TEXT("Unit", s->unit);
        TEXT("State", service_state(d, s));
        TEXT("Note", note);
        TEXT("CoalitionId", coalition_id(d, s));
        TEXT("NeedReason", demand_reason_to_string(e->reason));
        FLAG("Managed", c != NULL);
        FLAG("Active", s->systemd && s->systemd->is_active);
        FLAG("Satisfied", s->has_decision && s->decision.is_satisfied);
        FLAG("Elastic", e->is_elastic);
        USEC("UseUSecPerSec", bus_usec_from_milli(e->use_mean_milli));
        USEC("LoadUSecPerSec", bus_usec_from_milli(e->load_milli));
        USEC("NeedUSecPerSec", bus_usec_from_milli(e->need_milli));
        USEC("FloorUSecPerSec", c ? c->floor.usec_per_sec : 0);
        USEC("BaselineUSecPerSec", c ? c->baseline.usec_per_sec : 0);
        USEC("MaxUSecPerSec", c && c->max.is_set ? c->max.usec_per_sec : USEC_UNSET);
        USEC("AllocationUSecPerSec", s->has_decision && s->decision.alloc_milli >= 0
                                             ? bus_usec_from_milli(s->decision.alloc_milli)
                                             : USEC_UNSET);
        USEC("QuotaWantedUSecPerSec", asked_quota(d, s));
        USEC("QuotaAppliedUSecPerSec", s->quota.applied);
        USEC("QuotaReadUSecPerSec", s->quota.read);
        USEC("BurstUSec", s->burst.read_usec);
        FLAG("BurstInStep", s->has_burst);
        USEC("CPUWeightWanted", asked_weight(d, s));
        USEC("CPUWeightApplied", s->weight.applied);
        USEC("CPUWeightRead", s->weight.read);
        f[n++] = (struct service_facts){ .key = "Weight", .type = 'u', .number = c ? c->weight : 0 };
        REAL("MarketMilli", s->has_decision ? s->decision.market_milli : 0);
        REAL("ThrottledRatio", e->throttled_ratio);
        USEC("GuardRaises", s->n_raises);
        REAL("Pressure", e->stall_share);
        REAL("Contention", e->contention);
        REAL("Confidence", e->confidence);
        USEC("EntitlementUSecPerSec", is_member ? bus_usec_from_milli(s->decision.entitlement_milli) : USEC_UNSET);
        USEC("LatencyTargetUSec", c ? c->latency_target_usec : 0);
        USEC("LatencyTargetUsedUSec", s->has_decision ? bus_usec_from_ms(s->decision.target_ms) : 0);
        USEC("LatencyUSec", report_exists(s) ? bus_usec_from_ms(s->report.seconds_p99 * 1000) : USEC_UNSET);
        USEC("LatencyAgeUSec", report_age_usec(s));
        FLAG("LatencyStale", report_exists(s) && !report_is_fresh(s));
        USEC("LatencyModelUSec", has_model ? bus_usec_from_ms(latency_ms(&s->decision.latency,
                                                                         s->decision.alloc_milli))
                                           : USEC_UNSET);
        REAL("Credit", s->credit);
        REAL("Importance", s->has_decision ? s->decision.importance : 0);
        REAL("BargainWeight", s->has_decision ? s->decision.weight : 0);
        REAL("Elasticity", c ? c->elasticity : 0);
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
                return bus_append_variant(m, f->key, "s", f->text);
        case 'b':
                return bus_append_variant(m, f->key, "b", (int)f->number);
        case 't':
                return bus_append_variant(m, f->key, "t", f->number);
        case 'u':
                return bus_append_variant(m, f->key, "u", (uint32_t)f->number);
        default:
                return bus_append_variant(m, f->key, "d", f->real);
        }
}

static int append_calls(sd_bus_message *m, const struct daemon *d, const struct service *s)
{
        const struct call *calls;
        size_t n_calls = calls_of(d, s, &calls);
        int r;

        r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t k = 0; r >= 0 && k < n_calls; k++)
                r = sd_bus_message_append(m, "s", d->players[calls[k].callee]->name);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_calls_entry(sd_bus_message *m, const struct daemon *d, const struct service *s)
{
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Calls");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = append_calls(m, d, s);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

bool bus_shows(const struct daemon *d, const struct service *s)
{
        return s->config || config_wants(d->config, s->unit);
}

int bus_list_services(sd_bus_message *m, void *userdata, sd_bus_error *error)
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

                if (!bus_shows(d, s))
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
                r = append_calls_entry(reply, d, s);
                if (r < 0)
                        return r;
                r = sd_bus_message_close_container(reply);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

/* ---- one object a service ---------------------------------------------------------------------- */

int bus_find_service(sd_bus *bus, const char *path, const char *interface, void *userdata,
                        void **ret_found, sd_bus_error *error)
{
        struct daemon *d = userdata;
        _cleanup_free_ char *unit = NULL;
        int r;

        r = sd_bus_path_decode(path, COALLOC_SERVICE_PATH_PREFIX, &unit);
        if (r <= 0)
                return r;
        *ret_found = services_find(d, unit);
        return *ret_found && bus_shows(d, *ret_found);
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

static int get_calls(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const struct service *s = userdata;

        return append_calls(reply, s->d, s);
}

#define FACT(name, type) SD_BUS_PROPERTY(name, type, get_service_property, 0, 0)

const sd_bus_vtable bus_service_vtable[] = {
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
        FACT("BurstUSec", "t"),
        FACT("BurstInStep", "b"),
        FACT("CPUWeightWanted", "t"),
        FACT("CPUWeightApplied", "t"),
        FACT("CPUWeightRead", "t"),
        FACT("Weight", "u"),
        FACT("MarketMilli", "d"),
        FACT("ThrottledRatio", "d"),
        FACT("GuardRaises", "t"),
        FACT("Pressure", "d"),
        FACT("Contention", "d"),
        FACT("Confidence", "d"),
        FACT("EntitlementUSecPerSec", "t"),
        FACT("LatencyTargetUSec", "t"),
        FACT("LatencyTargetUsedUSec", "t"),
        FACT("LatencyUSec", "t"),
        FACT("LatencyAgeUSec", "t"),
        FACT("LatencyStale", "b"),
        FACT("LatencyModelUSec", "t"),
        FACT("Credit", "d"),
        FACT("Importance", "d"),
        FACT("BargainWeight", "d"),
        FACT("Elasticity", "d"),
        SD_BUS_PROPERTY("Calls", "as", get_calls, 0, 0),
        SD_BUS_VTABLE_END,
};

int bus_enumerate_services(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                              sd_bus_error *error)
{
        struct daemon *d = userdata;
        char **nodes = calloc(d->n_services + 1, sizeof *nodes);
        size_t n = 0;
        int r;

        if (!nodes)
                return -ENOMEM;
        for (size_t i = 0; i < d->n_services; i++) {
                if (!bus_shows(d, d->services[i]))
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
