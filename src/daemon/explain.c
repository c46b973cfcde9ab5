/* SPDX-License-Identifier: MIT */

#include "daemon/explain.h"

#include "core/ledger.h"
#include "daemon/burst.h"
#include "daemon/coalitions.h"
#include "daemon/reports.h"
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

/* Smaller credits, and shares of what a coalition gains (ms), are nothing to tell people of. */
#define CREDIT_NOTED 5e-4
#define GAIN_NOTED_MS 5e-4

/* A time as people write it, to four digits or so: "12.3ms", "1.53s". */
#define MS(ms) ms_text((char[FORMAT_MAX]){ 0 }, (ms))

static const char *ms_text(char buf[static FORMAT_MAX], double ms)
{
        if (!isfinite(ms))
                (void)snprintf(buf, FORMAT_MAX, "unbounded");
        else if (ms < 1000)
                (void)snprintf(buf, FORMAT_MAX, "%.1fms", ms);
        else
                (void)snprintf(buf, FORMAT_MAX, "%.2fs", ms / 1000);
        return buf;
}

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
        case DEMAND_LATENCY_TARGET:
                say(out, "Its use alone would prove less need, but it answered in %s while it held %s, and its target is %s: with %s, by the model, it answers in nine tenths of that, so that is its need.",
                    MS(s->input.latency_ms), CPU(s->input.latency_at_milli), MS(s->decision.target_ms),
                    CPU(e->need_milli));
                if (s->input.callees_ms > 0 && s->input.target_ms > 0)
                        say(out, "That counts on %s in the services that it calls, which is what they take at their own needs.",
                            MS(s->input.callees_ms));
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

static void say_weight(json_object *out, const struct service *s)
{
        double change = s->decision.weight / s->config->weight - 1;

        if (fabs(s->input.credit) < CREDIT_NOTED)
                say(out, "It bargains with its weight, %u (Weight=); it has no credit%s.", s->config->weight,
                    s->input.credit == 0 ? "" : " to speak of");
        else if (fabs(change) < 5e-5)
                say(out, "It bargains with its weight, %u (Weight=); its credit of %+.3f counts only while CPU is scarce, the more the scarcer.",
                    s->config->weight, s->input.credit);
        else
                say(out, "Its weight is %u (Weight=); its credit of %+.3f, for what it %s in its coalition before, makes that %.2f (%+.1f%%).",
                    s->config->weight, s->input.credit, s->input.credit > 0 ? "gave" : "got",
                    s->decision.weight, 100 * change);
}

/* The exact answer of the market, and what made it that. */
static void say_share(json_object *out, struct daemon *d, const struct service *s)
{
        const struct market_outcome *m = &d->outcome.market;
        double above_milli = s->decision.market_milli - s->input.baseline_milli;

        if (m->tier != TIER_CONGESTED || !isfinite(m->shadow_price) || m->shadow_price <= 0) {
                say(out, "The bargain gives it %s.", CPU(s->decision.market_milli));
                return;
        }
        say(out, "CPU above the baselines has a price: one milli-CPU more would be worth %.4g to everybody who is short.",
            m->shadow_price);
        if (s->decision.market_milli >= s->decision.need_milli * (1 - 1e-9))
                say(out, "At that price it can have all that it asks for: the bargain gives it %s.",
                    CPU(s->decision.market_milli));
        else if (s->decision.target_ms > 0)
                say(out, "The bargain gives it %s: so much is worth that price to it beside its latency target of %s.",
                    CPU(s->decision.market_milli), MS(s->decision.target_ms));
        else
                say(out, "The bargain gives it %s: %s more than its baseline, which is its weight divided by that price.",
                    CPU(s->decision.market_milli), CPU(fmax(0, above_milli)));
}

static void say_market(json_object *out, struct daemon *d, const struct service *s)
{
        const struct epoch_outcome *o = &d->outcome;

        say(out, "The host has %s; what is unmanaged uses %s and %s is reserved (Reserve=), so %s is bargained over.",
            CPU(d->capacity_milli), CPU(d->unmanaged_load.load_milli),
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
        if (s->decision.need_milli < s->input.need_milli)
                say(out, "CPU costs more than in the last hour on average, and it agreed to yield then (Elasticity=%.2g): it asks for %s instead of %s.",
                    s->config->elasticity, CPU(s->decision.need_milli), CPU(s->input.need_milli));
        say_weight(out, s);
        say_share(out, d, s);
}

/* ---- sentences: latency and coalition --------------------------------------------------------- */

static void say_latency(json_object *out, const struct service *s)
{
        const struct latency_model *m = &s->decision.latency;

        if (report_exists(s))
                say(out, "%s ago it reported a latency of %s (99th percentile)%s.",
                    FORMAT_SPAN(report_age_usec(s) / USEC_PER_SEC * USEC_PER_SEC),
                    MS(s->report.seconds_p99 * 1000),
                    !report_is_fresh(s)      ? "; that is more than three epochs old, stale, and ignored"
                    : s->report.at_milli < 0 ? "; nothing was allocated to it then, so nothing follows from it"
                                             : "");
        if (s->decision.latency.other_ms > 0)
                say(out, "Of that, %s are spent in the services that it calls, as they report%s.",
                    MS(s->decision.latency.other_ms),
                    s->decision.latency.other_ms < s->input.other_ms ? " more than that; a tenth at least is taken to be its own" : "");
        if (s->input.latency_ms > 0 && s->input.work_milli_ms > 0 &&
            m->work_milli_ms == s->input.work_milli_ms)
                say(out, "What a request takes of its CPU is known from earlier reports: this one tells more of a queue, or of others, than of requests.");
        if (s->config->latency_target_usec > 0 && s->input.latency_ms <= 0)
                say(out, "It has a latency target but no fresh report of its latency: it bargains by its load alone (ReportLatency, coallocctl report-latency).");
        if (s->input.latency_ms > 0 || s->decision.importance > 0)
                say(out, "The model of its latency%s: %s at what the bargain gives it, %s at what it holds.",
                    s->input.latency_ms > 0 ? "" : ", which knows its load and nothing else",
                    MS(latency_ms(m, s->decision.market_milli)),
                    MS(latency_ms(m, fmax(0, (double)s->decision.alloc_milli))));
}

/* "web, cart and db"; those whose bit is set. */
static char *members_text(const struct daemon *d, const struct epoch_coalition *c, uint32_t mask)
{
        _cleanup_free_ char *text = NULL;
        unsigned n_left = 0;

        for (size_t i = 0; i < c->n; i++)
                n_left += mask >> i & 1;
        for (size_t i = 0; i < c->n; i++) {
                char *longer;

                if (!(mask >> i & 1))
                        continue;
                n_left--;
                if (asprintf(&longer, "%s%s%s", text ?: "", coalition_member(d, c, i)->name,
                             n_left > 1    ? ", "
                             : n_left == 1 ? " and "
                                           : "") < 0)
                        return NULL;
                free(text);
                text = longer;
        }
        return TAKE_PTR(text);
}

static void say_moves(json_object *out, const struct daemon *d, const struct epoch_coalition *c,
                      const struct service *s)
{
        int64_t moved = s->decision.alloc_milli - s->decision.entitlement_milli;

        if (moved < 0)
                say(out, "It brought %s and holds %s: it gave %s, because there that saves requests more waiting than it costs them here.",
                    CPU(s->decision.entitlement_milli), CPU(s->decision.alloc_milli), CPU(-moved));
        else if (moved > 0)
                say(out, "It brought %s and holds %s: it got %s, because here that saves requests more waiting than it costs them there.",
                    CPU(s->decision.entitlement_milli), CPU(s->decision.alloc_milli), CPU(moved));
        else
                say(out, "It brought %s and keeps that.", CPU(s->decision.entitlement_milli));
        for (size_t i = 0; i < c->n; i++) {
                const struct service *other = coalition_member(d, c, i);
                int64_t change = other->decision.alloc_milli - other->decision.entitlement_milli;

                if (other != s && (c->active >> i & 1) && change != 0)
                        say(out, change < 0 ? "%s brought %s and gave %s of it." : "%s brought %s and got %s more.",
                            other->name, CPU(other->decision.entitlement_milli),
                            CPU(change < 0 ? -change : change));
        }
}

/* Does it serve requests together with others? */
static bool shares_path(const struct daemon *d, const struct service *s)
{
        const struct epoch_graph *g = coalitions_graph(d);

        for (size_t i = 0; g && i < g->paths.n_paths; i++) {
                bool is_on = false;

                for (size_t k = g->paths.first[i]; k < g->paths.first[i + 1]; k++)
                        is_on |= d->players[g->paths.members[k]] == s;
                if (is_on && g->paths.first[i + 1] - g->paths.first[i] > 1)
                        return true;
        }
        return false;
}

static void say_paths(json_object *out, const struct daemon *d, const struct service *s)
{
        const struct epoch_graph *g = coalitions_graph(d);
        double target_ms = s->decision.target_ms;
        bool has_target = false;

        for (size_t i = 0; i < g->paths.n_paths; i++) {
                const struct epoch_path *p = &g->path[i];
                bool is_on = false;

                for (size_t k = g->paths.first[i]; k < g->paths.first[i + 1]; k++)
                        is_on |= d->players[g->paths.members[k]] == s;
                if (!is_on)
                        continue;
                if (!isfinite(p->latency_ms) || !isfinite(p->latency_market_ms))
                        say(out, "It is on path %s.", path_name(d, i));
                else if (fabs(p->latency_ms - p->latency_market_ms) < 0.05)
                        say(out, "It is on path %s, whose modelled latency is %s%s.", path_name(d, i),
                            MS(p->latency_ms), coalition_of(d, s) ? ", with and without the coalition" : "");
                else
                        say(out, "It is on path %s, whose modelled latency is %s; had everybody kept what the bargain gave, it would be %s.",
                            path_name(d, i), MS(p->latency_ms), MS(p->latency_market_ms));
                if (p->target_ms > 0)
                        say(out, "Path %s is to answer in %s, shared out in proportion to the modelled latencies of its services.",
                            path_name(d, i), MS(p->target_ms));
                has_target |= p->target_ms > 0;
        }
        if (!has_target || target_ms <= 0)
                return;
        if (target_ms == s->input.target_ms)
                say(out, "Its own target is stricter than that: %s (LatencyTargetSec=).", MS(target_ms));
        else if (s->input.callees_ms > 0)
                say(out, "Its smallest part is %s; with the %s that the services that it calls take at their own needs that makes a target of %s.",
                    MS(s->decision.part_ms), MS(s->input.callees_ms), MS(target_ms));
        else
                say(out, "Its smallest part, and its target therefore, is %s.", MS(target_ms));
}

static void say_stability(json_object *out, const struct daemon *d, const struct epoch_coalition *c)
{
        const struct coalition_value *v = &c->value;
        _cleanup_free_ char *blocking = NULL;
        struct coalition_findings found;

        coalition_find(c, &found);
        blocking = members_text(d, c, found.blocking);
        if (v->epoch == 0)
                say(out, "Whether some of them would do better on their own is looked at in turn, and was not yet.");
        else if (!v->is_stable)
                say(out, "In epoch %" PRIu64 " %s would have had %.4g to gain on their own (more than Epsilon=%.4g), so the coalition is not stable.",
                    v->epoch, blocking ?: "some of them", v->max_excess, d->config->epsilon);
        else if (v->is_exact)
                say(out, "It is stable: in epoch %" PRIu64 " no group of its members had anything to gain by leaving%s.",
                    v->epoch, v->is_repaired ? ", after credits were moved between them" : "");
        else
                say(out, "It is stable: the price at which its members trade proves that no group gains by leaving (epoch %" PRIu64 ").",
                    v->epoch);
}

static void say_credit(json_object *out, const struct service *s)
{
        const struct epoch_decision *x = &s->decision;

        if (fabs(x->due) >= GAIN_NOTED_MS || fabs(x->gain) >= GAIN_NOTED_MS)
                say(out, "Of what the coalition gains, in milliseconds of latency times the weight of the path, %.2f is due to it by what it contributes (Shapley value), and the division gives it %.2f: the difference goes to its credit.",
                    x->due, x->gain);
        if (fabs(s->credit_before) >= CREDIT_NOTED || fabs(s->credit) >= CREDIT_NOTED)
                say(out, "Its credit goes from %+.4f to %+.4f (-1 to 1, halved in %d epochs); it moves its weight by a tenth at most.",
                    s->credit_before, s->credit, LEDGER_HALF_LIFE_EPOCHS);
}

static void say_coalition(json_object *out, struct daemon *d, const struct service *s)
{
        const struct epoch_coalition *c = coalition_of(d, s);
        _cleanup_free_ char *members = NULL;

        if (!c) {
                if (!shares_path(d, s))
                        say(out, "It shares no request path with another service that runs (Calls=, [Path]): it bargains alone.");
                else if (d->config->max_coalition_size == 1)
                        say(out, "It shares requests with others, but MaxCoalitionSize=1 lets nobody pool CPU: it bargains alone.");
                else
                        say(out, "More services than MaxCoalitionSize=%u share its requests; where they are cut apart it is left over: it bargains alone.",
                            d->config->max_coalition_size);
                if (coalitions_graph(d))
                        say_paths(out, d, s);
                say_credit(out, s);
                return;
        }
        members = members_text(d, c, UINT32_MAX);
        say(out, "It is in a coalition with those it shares requests with: %s.", members ?: "");
        if ((c->active & (c->active - 1)) == 0) {
                say(out, "Less than two of them take part now, so everybody keeps what the bargain gave.");
        } else if (!c->is_formed) {
                if (c->value.epoch > 0 && !c->value.is_stable)
                        say_stability(out, d, c);
                else
                        say(out, "No price was found at which all of them would trade.");
                say(out, "In this epoch the coalition is not formed: everybody keeps what the bargain gave.");
        } else {
                say(out, "Together they hold %s and divide it so that requests on their paths take the least time; that changes nothing for others.",
                    CPU(c->total_milli));
                say_moves(out, d, c, s);
                say_stability(out, d, c);
        }
        say_paths(out, d, s);
        say_credit(out, s);
}

/* ---- sentences: gate and settings -------------------------------------------------------------- */

static void say_gate(json_object *out, struct daemon *d, const struct service *s)
{
        const struct gate_verdict *g = &d->outcome.gate;
        const struct epoch_coalition *c = coalition_of(d, s);

        if (s->decision.alloc_milli < 0) {
                say(out, "Allocations are frozen, and it came later: it waits without one.");
                return;
        }
        if (d->outcome.is_frozen)
                say(out, d->was_frozen ? "Allocations are frozen by an administrator until `coallocctl thaw`: nothing moves."
                                       : "Changes had made things worse, so allocations are held for some epochs: nothing moves.");
        else if (!isfinite(g->v_before))
                say(out, "There was no allocation before, so the gate let the first one pass.");
        else
                say(out, "The gate says %s (step %.2g): V, the distance from the solution, would go from %.6g to %.6g.",
                    verdict_to_string(g->verdict), g->step, g->v_before, g->v_after);
        if (c && c->is_formed && isfinite(c->division.v_before) && !d->outcome.is_frozen)
                say(out, "Inside the coalition it says %s: what the division falls short of the best would go from %.6g to %.6g.",
                    verdict_to_string(c->division.verdict), c->division.v_before, c->division.v_after);
        say(out, "It holds %s from this epoch on, in whole thousandths of a CPU; roundings keep the sum.",
            CPU(s->decision.alloc_milli));
}

static void say_guard(json_object *out, const struct service *s)
{
        const struct guard_raise *g = &s->raise;

        if (s->n_raises == 0)
                return;
        say(out, "%s ago it was throttled in %.0f%% of the last periods, so the guard raised its CPUQuota= from %s to %s at once, between two epochs; %s (%" PRIu64 " raises so far).",
            FORMAT_SPAN((daemon_clock_usec() - g->at_usec) / USEC_PER_SEC * USEC_PER_SEC),
            100 * g->throttled_share, FORMAT_CPU(g->from), FORMAT_CPU(g->to),
            service_is_raised(s)       ? "that is in force"
            : s->raises.is_recalled    ? "an epoch took that back, so it is not repeated while the unit asks as it did then"
                                       : "since then it was set anew",
            s->n_raises);
}

/* cpu.max.burst, where it is asked for or in the way. */
static void say_burst(json_object *out, struct daemon *d, const struct service *s)
{
        _cleanup_free_ char *remedy = NULL;

        if (s->is_refused && s->burst.is_in_the_way) {
                remedy = burst_remedy(s);
                say(out, "The kernel refused that quota because cpu.max.burst was larger: %s.", remedy ?: "lower it");
        } else if (s->has_burst)
                say(out, "Its cpu.max.burst equals its quota, %s a period: what it leaves unused it may use in a later period, so that short peaks are throttled less (Burst=yes).",
                    MS((double)s->burst.read_usec / 1000));
        else if (d->config->burst && s->burst.is_foreign)
                say(out, "Its cpu.max.burst was changed by someone else and is left alone (coallocctl adopt %s).", s->unit);
        else if (d->config->burst && s->quota.is_ours && s->quota.applied != USEC_UNSET)
                say(out, "Its cpu.max.burst is not in step with its quota%s%s (Burst=yes; coallocctl doctor tells what to do).",
                    s->burst.error < 0 ? ": " : "",
                    s->burst.error < 0 ? strerror(-s->burst.error) : "");
}

static void say_setting(json_object *out, struct daemon *d, const struct service *s)
{
        uint64_t quota = usec_from_quota_milli(s->decision.quota_milli);
        bool covered = s->decision.is_satisfied;

        if (d->config->enforce == ENFORCE_QUOTA)
                say(out, "With Enforce=quota its CPUQuota= is that allocation in whole percents: %s.",
                    FORMAT_CPU(quota));
        else if (d->config->enforce == ENFORCE_BOTH && covered)
                say(out, "Its load is covered, so it is never throttled by coalloc: %s%s.",
                    quota == USEC_UNSET ? "no CPUQuota=" : "CPUQuota= is its Max=, ",
                    quota == USEC_UNSET ? "" : FORMAT_CPU(quota));
        else if (d->config->enforce == ENFORCE_BOTH && s->decision.is_unbounded)
                say(out, "Its load is not quite covered, but it had no ceiling and misses less than a tenth: that is left to its weight, %s%s.",
                    quota == USEC_UNSET ? "no CPUQuota=" : "CPUQuota= is its Max=, ",
                    quota == USEC_UNSET ? "" : FORMAT_CPU(quota));
        else if (d->config->enforce == ENFORCE_BOTH)
                say(out, "Its load is not covered: it may use what the others leave, CPUQuota=%s.",
                    FORMAT_CPU(quota));
        say_guard(out, s);
        if (s->weight.wanted != USEC_UNSET)
                say(out, "Its CPUWeight= is %" PRIu64 "%s.", s->weight.wanted,
                    !covered                       ? ""
                    : s->decision.path_cover < 1 ? ": its own load is covered, but not that of its path, and there requests wait for the shortest"
                                                 : ", ahead of services that are short");

        if (d->mode == CONFIG_MODE_OBSERVE)
                say(out, "Nothing of this is written: the mode is observe.");
        else if (s->quota.is_ours || s->weight.is_ours)
                say(out, "In force: %s, CPUWeight=%" PRIu64 "; the kernel has %s and %" PRIu64 ".",
                    QUOTA(s->quota.is_ours ? s->quota.applied : s->systemd->quota_usec_per_sec),
                    s->weight.is_ours ? s->weight.applied : CPU_WEIGHT_DEFAULT, QUOTA(s->quota.read),
                    s->weight.read == USEC_UNSET ? CPU_WEIGHT_DEFAULT : s->weight.read);
        if (d->mode == CONFIG_MODE_ENFORCE)
                say_burst(out, d, s);
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
        put_double(o, "latency_target_ms", s->input.target_ms > 0 ? s->input.target_ms : NAN);
        put_double(o, "latency_ms", report_exists(s) ? s->report.seconds_p99 * 1000 : NAN);
        put_double(o, "latency_age_sec", report_exists(s) ? (double)report_age_usec(s) / USEC_PER_SEC : NAN);
        (void)json_object_object_add(o, "latency_stale",
                                     json_object_new_boolean(report_exists(s) && !report_is_fresh(s)));
        put_double(o, "other_ms", s->input.latency_ms > 0 ? s->decision.latency.other_ms : NAN);
        put_double(o, "cpu_ms", s->input.cpu_ms > 0 ? s->input.cpu_ms : NAN);
        put_double(o, "credit", s->input.credit);
        put_double(o, "capacity_milli", d->capacity_milli);
        put_double(o, "unmanaged_milli", d->unmanaged_load.load_milli);
        put_double(o, "bargained_milli", d->outcome.bargained_milli);
        return o;
}

static json_object *coalition_object(struct daemon *d, const struct service *s)
{
        const struct epoch_coalition *c = coalition_of(d, s);
        json_object *o, *members;

        if (!c)
                return NULL;
        o = json_object_new_object();
        members = json_object_new_array();
        put_text(o, "id", coalition_name(d, c));
        for (size_t i = 0; i < c->n; i++)
                (void)json_object_array_add(members, json_object_new_string(coalition_member(d, c, i)->name));
        (void)json_object_object_add(o, "members", members);
        (void)json_object_object_add(o, "formed", json_object_new_boolean(c->is_formed));
        put_double(o, "total_milli", c->is_formed ? (double)c->total_milli : NAN);
        put_double(o, "entitlement_milli", (double)s->decision.entitlement_milli);
        put_double(o, "importance", s->decision.importance);
        put_double(o, "gain", s->decision.gain);
        put_double(o, "due", s->decision.due);
        (void)json_object_object_add(o, "stable", c->value.epoch > 0
                                                          ? json_object_new_boolean(c->value.is_stable)
                                                          : NULL);
        put_double(o, "max_excess", c->value.epoch > 0 ? c->value.max_excess : NAN);
        put_double(o, "division_before", c->division.v_before);
        put_double(o, "division_after", c->division.v_after);
        return o;
}

static json_object *guard_of(const struct service *s)
{
        json_object *o = json_object_new_object();
        bool has_raise = s->n_raises > 0;

        put_int(o, "raises", (int64_t)s->n_raises);
        put_double(o, "age_sec", has_raise ? (double)(daemon_clock_usec() - s->raise.at_usec) / USEC_PER_SEC : NAN);
        put_double(o, "from_milli", has_raise ? milli_from_usec(s->raise.from) : NAN);
        put_double(o, "to_milli", has_raise ? milli_from_usec(s->raise.to) : NAN);
        put_double(o, "throttled_share", has_raise ? s->raise.throttled_share : NAN);
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
        put_double(o, "need_milli", s->decision.need_milli);
        put_double(o, "weight", s->decision.weight);
        put_double(o, "latency_target_ms", s->decision.target_ms > 0 ? s->decision.target_ms : NAN);
        put_double(o, "market_milli", s->decision.market_milli);
        put_double(o, "latency_model_ms",
                   (s->input.latency_ms > 0 || s->decision.importance > 0) && s->decision.alloc_milli >= 0
                           ? latency_ms(&s->decision.latency, (double)s->decision.alloc_milli)
                           : NAN);
        (void)json_object_object_add(o, "coalition", coalition_object(d, s));
        put_double(o, "credit_before", s->credit_before);
        put_double(o, "credit", s->credit);
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
                if (s->decision.alloc_milli >= 0) {
                        say_latency(sentences, s);
                        say_coalition(sentences, d, s);
                }
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
        (void)json_object_object_add(o, "guard", guard_of(s));

        text = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
        (void)json_object_put(o);
        if (!text)
                return -ENOMEM;
        *ret_json = text;
        return 0;
}

static struct plan_answer_coalition answer_for(const struct epoch_graph *g, const struct epoch_coalition *c,
                                               struct coalition_findings *found)
{
        coalition_find(c, found);
        return (struct plan_answer_coalition){
                .members = g->members + c->first,
                .n_members = c->n,
                .is_formed = c->is_formed,
                .price = c->is_formed ? c->plan.price : NAN,
                .is_valued = c->value.epoch > 0,
                .worth = c->value.worth,
                .is_stable = c->value.is_stable,
                .max_excess = c->value.max_excess,
                .blocking = found->blocking,
                .shapley = found->shapley,
                .imputation = found->imputation,
        };
}

int explain_plan(struct daemon *d, char **ret_json)
{
        _cleanup_free_ struct plan_answer_service *services = NULL;
        _cleanup_free_ struct plan_answer_coalition *coalitions = NULL;
        _cleanup_free_ struct coalition_findings *found = NULL;
        _cleanup_free_ const char **names = NULL;
        const struct epoch_graph *g = coalitions_graph(d);
        const struct epoch_outcome *o = &d->outcome;
        size_t n = 0, n_coalitions = g ? g->n_coalitions : 0, n_names = g ? d->n_players : 0;

        services = calloc(d->n_services + 1, sizeof *services);
        coalitions = calloc(n_coalitions + 1, sizeof *coalitions);
        found = calloc(n_coalitions + 1, sizeof *found);
        names = calloc(n_names + 1, sizeof *names);
        if (!services || !coalitions || !found || !names)
                return -ENOMEM;
        for (size_t i = 0; i < n_names; i++)
                names[i] = d->players[i]->name;
        for (size_t i = 0; i < n_coalitions; i++)
                coalitions[i] = answer_for(g, &g->coalitions[i], &found[i]);
        for (size_t i = 0; i < d->n_services; i++) {
                const struct service *s = d->services[i];
                const struct epoch_coalition *c = coalition_of(d, s);

                if (s->has_decision)
                        services[n++] = (struct plan_answer_service){
                                .name = s->name,
                                .market_milli = s->decision.market_milli,
                                .alloc_milli = s->decision.alloc_milli,
                                .quota_milli = s->decision.quota_milli,
                                .cpu_weight = s->decision.cpu_weight,
                                .is_satisfied = s->decision.is_satisfied,
                                .coalition = c ? coalition_name(d, c) : NULL,
                                .credit = s->credit,
                                .latency_target_ms = s->decision.target_ms,
                                .latency_model_ms = s->input.latency_ms > 0 && s->decision.alloc_milli >= 0 ?
                                                    latency_ms(&s->decision.latency,
                                                               (double)s->decision.alloc_milli) : 0,
                        };
        }
        return plan_answer_format(&(struct plan_answer){
                                          .tier = o->market.tier,
                                          .scarcity = o->market.scarcity,
                                          .shadow_price = o->market.shadow_price,
                                          .services = services,
                                          .n_services = n,
                                          .coalitions = coalitions,
                                          .n_coalitions = n_coalitions,
                                          .names = names,
                                          .v_before = o->gate.v_before,
                                          .v_after = o->gate.v_after,
                                          .step = o->gate.step,
                                          .verdict = o->gate.verdict,
                                  },
                                  ret_json);
}
