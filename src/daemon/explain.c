/* SPDX-License-Identifier: MIT */

#include "daemon/explain.h"

#include "daemon/services.h"
#include "platform/plan_json.h"
#include "util/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

/* CPU as people write it, to a tenth of a percent: "150%". */
#define CPU(milli) FORMAT_CPU((uint64_t)llround(milli) * USEC_PER_MILLI)

/* "CPUQuota=40%", or that there is none. */
#define QUOTA(usec_per_sec) quota_text((char[FORMAT_MAX + 16]){ 0 }, (usec_per_sec))

static const char *quota_text(char buf[static FORMAT_MAX + 16], uint64_t usec_per_sec)
{
        if (usec_per_sec == USEC_UNSET)
                return "no CPUQuota=";
        (void)snprintf(buf, FORMAT_MAX + 16, "CPUQuota=%s", FORMAT_CPU(usec_per_sec));
        return buf;
}

static void say(json_object *sentences, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(json_object *sentences, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r >= 0)
                (void)json_object_array_add(sentences, json_object_new_string(text));
}

static void put_double(json_object *o, const char *key, double v)
{
        (void)json_object_object_add(o, key, isfinite(v) ? json_object_new_double(v) : NULL);
}

static void put_int(json_object *o, const char *key, int64_t v)
{
        (void)json_object_object_add(o, key, json_object_new_int64(v));
}

static void put_text(json_object *o, const char *key, const char *v)
{
        (void)json_object_object_add(o, key, json_object_new_string(v));
}

/* ---- sentences --------------------------------------------------------------------------------- */

static void say_demand(json_object *out, const struct service *s)
{
        const struct demand_estimate *e = &s->estimate;

        if (!e->is_known) {
                say(out, "There are not enough measurements yet: nothing is concluded from them, and it keeps what it has.");
                return;
        }
        say(out, "It used %s on average in the last epoch, %s at its peak; that makes an offered load of %s.",
            CPU(e->use_mean_milli), CPU(e->use_peak_milli), CPU(e->load_milli));
        if (e->throttled_ratio > 0)
                say(out, "Its quota throttled it in %.0f%% of the periods (%.1f%% of the time); up to 5%% is harmless.",
                    100 * e->throttled_ratio, 100 * e->throttled_share);
        say(out, "It waited for CPU %.1f%% of the time beside throttling; for this service %.1f%% is usual.",
            100 * e->contention, 100 * e->stall_baseline);

        switch (e->reason) {
        case DEMAND_STARTING:
                say(out, "It is starting up: until it is up, its need is taken to be its fair share, %s.",
                    CPU(e->need_milli));
                break;
        case DEMAND_BASELINE:
                say(out, "Its load is below its baseline, so its need is the baseline, %s (Baseline=).",
                    CPU(e->need_milli));
                break;
        case DEMAND_THROTTLED:
                say(out, "Because it was throttled, its need is raised above load and margin to %s.",
                    CPU(e->need_milli));
                break;
        case DEMAND_STALLED:
                say(out, "Because it waited more than usual, its need is raised (by at most 15%%) to %s.",
                    CPU(e->need_milli));
                break;
        case DEMAND_ELASTIC:
                say(out, "It takes whatever CPU is spare on a full host; such use proves no need, so its need is its baseline, %s.",
                    CPU(e->need_milli));
                break;
        case DEMAND_AT_MAX:
                say(out, "It wants more than it may have; its need is cut to %s (Max=, or a quota set by an administrator).",
                    CPU(e->need_milli));
                break;
        default:
                say(out, "Its need is the load with a margin of 15%%: %s.", CPU(e->need_milli));
                break;
        }
}

static void say_market(json_object *out, struct daemon *d, const struct service *s)
{
        const struct epoch_outcome *o = &d->outcome;

        say(out, "The host has %s; what is unmanaged uses %s and %s is reserved (Reserve=), so %s is bargained over.",
            CPU(d->capacity_milli), CPU(d->unmanaged_load_milli),
            FORMAT_CPU(d->config->reserve.usec_per_sec), CPU(o->bargained_milli));
        switch (o->market.tier) {
        case TIER_UNCONGESTED:
                say(out, "That covers everybody's need (uncongested): everyone gets it, and Spare= shares out the rest by weight.");
                break;
        case TIER_CONGESTED:
                say(out, "That covers every baseline but not every need (congested): what is above the baselines is divided by Nash bargaining.");
                break;
        case TIER_OVERLOADED:
                say(out, "That does not cover the baselines (overloaded): they are scaled down (Overload=%s), nobody falls below its floor.",
                    overload_rule_to_string(d->config->overload));
                break;
        default:
                say(out, "That does not even cover the floors (starved): they are scaled down.");
                break;
        }
        say(out, "The bargain gives it %s, with weight %u.", CPU(s->decision.market_milli),
            s->config->weight);
}

static void say_gate(json_object *out, struct daemon *d, const struct service *s)
{
        const struct gate_verdict *g = &d->outcome.gate;

        if (s->decision.alloc_milli < 0) {
                say(out, "Allocations are frozen, and it came later: it waits without one.");
                return;
        }
        if (!isfinite(g->v_before))
                say(out, "There was no allocation before, so the gate let the first one pass.");
        else
                say(out, "The gate says %s (step %.2g): V would go from %.6g to %.6g.",
                    verdict_to_string(g->verdict), g->step, g->v_before, g->v_after);
        say(out, "It holds %s from this epoch on.", CPU(s->decision.alloc_milli));
}

static void say_setting(json_object *out, struct daemon *d, const struct service *s)
{
        bool covered = s->decision.is_satisfied;

        if (d->config->enforce == ENFORCE_QUOTA)
                say(out, "With Enforce=quota its CPUQuota= is that allocation in whole percents: %s.",
                    FORMAT_CPU(s->quota.wanted));
        else if (d->config->enforce == ENFORCE_BOTH && covered)
                say(out, "Its load is covered, so it is never throttled by coalloc: %s%s.",
                    s->quota.wanted == USEC_UNSET ? "no CPUQuota=" : "CPUQuota= is its Max=, ",
                    s->quota.wanted == USEC_UNSET ? "" : FORMAT_CPU(s->quota.wanted));
        else if (d->config->enforce == ENFORCE_BOTH)
                say(out, "Its load is not covered: it may use what the others leave, CPUQuota=%s.",
                    FORMAT_CPU(s->quota.wanted));
        if (s->weight.wanted != USEC_UNSET)
                say(out, "Its CPUWeight= is %" PRIu64 "%s.", s->weight.wanted,
                    covered ? ", ahead of services that are short" : "");

        if (d->mode == CONFIG_MODE_OBSERVE)
                say(out, "Nothing of this is written: the mode is observe.");
        else if (s->quota.is_ours || s->weight.is_ours)
                say(out, "In force: %s, CPUWeight=%" PRIu64 "; the kernel has %s and %" PRIu64 ".",
                    QUOTA(s->quota.is_ours ? s->quota.applied : s->systemd->quota_usec_per_sec),
                    s->weight.is_ours ? s->weight.applied : CPU_WEIGHT_DEFAULT, QUOTA(s->quota.read),
                    s->weight.read == USEC_UNSET ? CPU_WEIGHT_DEFAULT : s->weight.read);
}

/* ---- JSON -------------------------------------------------------------------------------------- */

static json_object *inputs_of(struct daemon *d, const struct service *s)
{
        const struct demand_estimate *e = &s->estimate;
        json_object *o = json_object_new_object();

        put_double(o, "use_milli", e->use_mean_milli);
        put_double(o, "use_peak_milli", e->use_peak_milli);
        put_double(o, "load_milli", e->load_milli);
        put_double(o, "need_milli", e->need_milli);
        put_text(o, "need_reason", demand_reason_to_string(e->reason));
        put_double(o, "confidence", e->confidence);
        put_double(o, "throttled_ratio", e->throttled_ratio);
        put_double(o, "pressure", e->stall_share);
        put_double(o, "contention", e->contention);
        put_double(o, "contention_baseline", e->stall_baseline);
        if (s->config) {
                put_double(o, "floor_milli", milli_from_usec(s->config->floor.usec_per_sec));
                put_double(o, "baseline_milli", milli_from_usec(s->config->baseline.usec_per_sec));
                put_double(o, "max_milli", s->config->max.is_set
                                                   ? milli_from_usec(s->config->max.usec_per_sec)
                                                   : INFINITY);
                put_int(o, "weight", s->config->weight);
        }
        put_double(o, "capacity_milli", d->capacity_milli);
        put_double(o, "unmanaged_milli", d->unmanaged_load_milli);
        put_double(o, "bargained_milli", d->outcome.bargained_milli);
        return o;
}

static json_object *decision_of(struct daemon *d, const struct service *s)
{
        const struct epoch_outcome *out = &d->outcome;
        json_object *o = json_object_new_object();

        if (!s->has_decision)
                return o;
        put_text(o, "tier", tier_to_string(out->market.tier));
        put_double(o, "scarcity", out->market.scarcity);
        put_double(o, "shadow_price", out->market.shadow_price);
        put_double(o, "market_milli", s->decision.market_milli);
        put_double(o, "alloc_milli", s->decision.alloc_milli >= 0 ? s->decision.alloc_milli : NAN);
        put_double(o, "quota_milli", s->decision.quota_milli == QUOTA_NONE_MILLI
                                             ? NAN
                                             : (double)s->decision.quota_milli);
        put_double(o, "cpu_weight", s->decision.cpu_weight > 0 ? s->decision.cpu_weight : NAN);
        (void)json_object_object_add(o, "satisfied", json_object_new_boolean(s->decision.is_satisfied));
        put_text(o, "verdict", verdict_to_string(out->gate.verdict));
        put_double(o, "v_before", out->gate.v_before);
        put_double(o, "v_after", out->gate.v_after);
        put_double(o, "step", out->gate.step);
        return o;
}

int explain_service(struct daemon *d, const struct service *s, char **ret_json)
{
        json_object *o = json_object_new_object(), *sentences = json_object_new_array();
        _cleanup_free_ char *note = service_note(d, s);
        char *text;

        if (!s->config)
                say(sentences, "%s has no [Service] section: it is measured and shown, never changed.", s->unit);
        else if (!s->systemd || !s->systemd->is_active)
                say(sentences, "%s is not running; it takes part again as soon as it does.", s->unit);
        else if (!s->has_decision && service_plays(s))
                say(sentences, "Nothing is decided for %s yet: that happens at the end of the epoch.", s->unit);
        else if (!service_plays(s))
                say(sentences, "%s is left alone: %s.", s->unit, note ?: "");
        if (s->reader.dir_fd >= 0)
                say_demand(sentences, s);
        if (s->has_decision && service_plays(s)) {
                say_market(sentences, d, s);
                say_gate(sentences, d, s);
                if (s->decision.alloc_milli >= 0)
                        say_setting(sentences, d, s);
        }

        put_text(o, "unit", s->unit);
        put_text(o, "service", s->name);
        put_int(o, "epoch", (int64_t)d->epoch.epoch);
        put_text(o, "state", service_state(d, s));
        (void)json_object_object_add(o, "sentences", sentences);
        (void)json_object_object_add(o, "inputs", inputs_of(d, s));
        (void)json_object_object_add(o, "decision", decision_of(d, s));

        text = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
        (void)json_object_put(o);
        if (!text)
                return -ENOMEM;
        *ret_json = text;
        return 0;
}

int explain_plan(struct daemon *d, char **ret_json)
{
        _cleanup_free_ struct plan_answer_service *services = NULL;
        const struct epoch_outcome *o = &d->outcome;
        size_t n = 0;

        services = calloc(d->n_services + 1, sizeof *services);
        if (!services)
                return -ENOMEM;
        for (size_t i = 0; i < d->n_services; i++) {
                const struct service *s = d->services[i];

                if (s->has_decision)
                        services[n++] = (struct plan_answer_service){
                                .name = s->name,
                                .market_milli = s->decision.market_milli,
                                .alloc_milli = s->decision.alloc_milli,
                                .quota_milli = s->decision.quota_milli,
                                .cpu_weight = s->decision.cpu_weight,
                                .is_satisfied = s->decision.is_satisfied,
                        };
        }
        return plan_answer_format(&(struct plan_answer){
                                          .tier = o->market.tier,
                                          .scarcity = o->market.scarcity,
                                          .shadow_price = o->market.shadow_price,
                                          .services = services,
                                          .n_services = n,
                                          .v_before = o->gate.v_before,
                                          .v_after = o->gate.v_after,
                                          .step = o->gate.step,
                                          .verdict = o->gate.verdict,
                                  },
                                  ret_json);
}
