/* SPDX-License-Identifier: MIT */

#include "daemon/decide.h"

#include "daemon/actuate.h"
#include "daemon/credits.h"
#include "daemon/guard.h"
#include "daemon/manager_bus.h"
#include "daemon/record.h"
#include "daemon/release.h"
#include "daemon/reports.h"
#include "daemon/sense.h"
#include "daemon/services.h"
#include "util/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USEC_PER_MS 1000.0

/* ---- host -------------------------------------------------------------------------------------- */

static void measure_host(struct daemon *d)
{
        const struct host_counters *now = &d->host_counters, *then = &d->epoch_start;
        double total_milli = now->capacity_milli, steal_milli = 0, busy_milli = 0;
        struct demand_context c = {
                .epoch_usec = d->config->epoch_usec,
                .sample_interval_usec = d->config->sample_interval_usec,
                .allocation_milli = -1,
                .quota_milli = INFINITY,
                .max_milli = INFINITY,
        };
        struct demand_estimate unmanaged;

        if (!d->has_host_counters)
                return;
        if (d->has_epoch_start && now->at_usec > then->at_usec) {
                double wall_usec = now->at_usec - then->at_usec;

                if (now->steal_usec > then->steal_usec)
                        steal_milli = (now->steal_usec - then->steal_usec) / wall_usec * MILLI_PER_CPU;
                if (now->busy_usec > then->busy_usec)
                        busy_milli = (now->busy_usec - then->busy_usec) / wall_usec * MILLI_PER_CPU;
        }
        d->epoch_start = *now;
        d->has_epoch_start = true;

        total_milli = fmax(0, total_milli - steal_milli);
        d->host_idle_share = total_milli > 0 ? fmax(0, 1 - busy_milli / total_milli) : 0;
        d->capacity_milli = total_milli;
        if (d->config->capacity.is_set)
                d->capacity_milli = fmin(total_milli, milli_from_usec(d->config->capacity.usec_per_sec));

        demand_estimate(&d->unmanaged, &c, &unmanaged);
        if (unmanaged.is_known)
                demand_track_unmanaged(&d->unmanaged_load, unmanaged.use_mean_milli, d->host_idle_share,
                                       d->config->epoch_usec);
}

/* CPUs came or went: amounts in %host mean something else now. */
static void notice_hotplug(struct daemon *d)
{
        _cleanup_diagnostics_ struct diagnostics findings = { 0 };
        unsigned n_cpus;

        if (host_cpu_count(&d->host, &n_cpus) < 0 || n_cpus == 0 || n_cpus == d->n_cpus)
                return;
        log_plain(LOG_NOTICE, MSG_CPUS_CHANGED, "The host has %u CPUs now (before: %u).", n_cpus,
                  d->n_cpus);
        d->n_cpus = n_cpus;
        (void)config_resolve(d->config, n_cpus, &findings);
        for (size_t i = 0; i < findings.n_items; i++)
                log_plain(LOG_WARNING, MSG_CPUS_CHANGED, "%s", findings.items[i].text);
}

/* ---- the tree of slices ------------------------------------------------------------------------- */

static size_t group_of_slice(struct daemon *d, const char *slice)
{
        struct service *holder;
        size_t parent;

        if (slice[0] == '\0' || strcmp(slice, "-.slice") == 0)
                return 0;
        holder = services_find(d, slice);
        if (!holder || !holder->systemd)
                return 0;
        if (holder->own_group != ENFORCE_NO_GROUP)
                return holder->own_group;

        parent = group_of_slice(d, holder->systemd->slice);
        holder->own_group = d->n_groups++;
        d->groups[holder->own_group] = (struct service_group){ .service = holder };
        d->enforce_groups[holder->own_group] = (struct enforce_group){
                .parent = parent,
                .prior_weight = holder->weight.is_ours || holder->systemd->cpu_weight == SYSTEMD_UNSET
                                        ? CPU_WEIGHT_DEFAULT
                                        : (unsigned)holder->systemd->cpu_weight,
                .may_change = !holder->is_off_limits && !holder->weight.is_foreign &&
                              !holder->is_releasing,
        };
        return holder->own_group;
}

/* A weight of ours may be in force: what was there before it is on record. */
static void correct_prior_weight(struct daemon *d, size_t group)
{
        const struct state_record *r = state_file_find(&d->state, d->groups[group].service->unit);

        if (r && r->weight.is_ours)
                d->enforce_groups[group].prior_weight = r->weight.prior == SYSTEMD_UNSET
                                                                ? CPU_WEIGHT_DEFAULT
                                                                : (unsigned)r->weight.prior;
}

/* Its weight follows from the decision. */
static bool is_weighed(void *userdata, const char *unit)
{
        const struct service *s = services_find(userdata, unit);

        return s && (s->group != ENFORCE_NO_GROUP || s->own_group != ENFORCE_NO_GROUP);
}

static void build_groups(struct daemon *d)
{
        for (size_t i = 0; i < d->n_services; i++)
                d->services[i]->own_group = d->services[i]->group = ENFORCE_NO_GROUP;
        d->groups[0] = (struct service_group){ 0 };
        d->enforce_groups[0] = (struct enforce_group){ .parent = ENFORCE_NO_GROUP };
        d->n_groups = 1;

        for (size_t i = 0; i < d->n_services; i++)
                if (service_plays(d->services[i]))
                        d->services[i]->group = group_of_slice(d, d->services[i]->systemd->slice);
        for (size_t g = 1; g < d->n_groups; g++)
                correct_prior_weight(d, g);

        siblings_begin(&d->siblings, daemon_now_usec(d));
        for (size_t g = 0; g < d->n_groups; g++)
                /* What cannot be read is not busy: the group is about to vanish. */
                (void)siblings_busy_weight(&d->siblings, d->mount,
                                           g == 0 ? "" : d->groups[g].service->systemd->control_group,
                                           is_weighed, d, &d->enforce_groups[g].busy_unmanaged_weight);
}

/* The ceiling that is its own. */
static double max_of(struct daemon *d, const struct service *s)
{
        if (s->config->max.is_set)
                return milli_from_usec(s->config->max.usec_per_sec);
        /* Who has no Max= keeps the quota of its own unit file as one. */
        if (service_prior_quota(d, s) != USEC_UNSET)
                return milli_from_usec(service_prior_quota(d, s));
        return INFINITY;
}

/* What bounds everybody in a group, read once for neighbours in the table, who mostly share it. */
struct holder {
        char control_group[PATH_MAX];
        uint64_t ceiling_usec_per_sec;
};

static uint64_t ceiling_of_holder(const struct daemon *d, const char *control_group, struct holder *last)
{
        const char *slash = strrchr(control_group, '/');
        size_t length = slash ? (size_t)(slash - control_group) : 0;

        if (length >= sizeof last->control_group)
                return UINT64_MAX;
        if (strncmp(last->control_group, control_group, length) == 0 && last->control_group[length] == '\0')
                return last->ceiling_usec_per_sec;
        memcpy(last->control_group, control_group, length);
        last->control_group[length] = '\0';
        if (cgroup_ceiling(d->mount, last->control_group, &last->ceiling_usec_per_sec) < 0)
                last->ceiling_usec_per_sec = UINT64_MAX;
        return last->ceiling_usec_per_sec;
}

/* An administrator's quota on a slice around it, or the CPUs that it may run on. Read from the kernel:
 * systemd tells nobody when they change. */
static double bound_of(const struct daemon *d, const struct service *s, struct holder *last)
{
        uint64_t cpus_usec_per_sec, ceiling_usec_per_sec;

        if (s->reader.dir_fd < 0 || cgroup_cpus(s->reader.dir_fd, &cpus_usec_per_sec) < 0)
                return INFINITY;
        ceiling_usec_per_sec = ceiling_of_holder(d, s->systemd->control_group, last);
        if (cpus_usec_per_sec < ceiling_usec_per_sec)
                ceiling_usec_per_sec = cpus_usec_per_sec;
        return ceiling_usec_per_sec == UINT64_MAX ? INFINITY : milli_from_usec(ceiling_usec_per_sec);
}

/* ---- an epoch ---------------------------------------------------------------------------------- */

static int make_room(struct daemon *d)
{
        size_t n = d->n_services, needed;

        if (n > d->n_players_allocated) {
                size_t more = n + n / 2 + 16;
                void *p;

#define GROW(field, count)                                                                         \
        do {                                                                                       \
                p = reallocarray(d->field, (count), sizeof *d->field);                             \
                if (!p)                                                                            \
                        return -ENOMEM;                                                            \
                d->field = p;                                                                      \
        } while (0)
                GROW(players, more);
                GROW(graph_players, more);
                GROW(inputs, more);
                GROW(decisions, more);
                GROW(groups, more + 1);
                GROW(enforce_groups, more + 1);
                GROW(group_weights, more + 1);
#undef GROW
                d->n_players_allocated = more;
        }
        needed = epoch_workspace_size(d->n_players_allocated, d->n_players_allocated + 1,
                                      d->config->max_coalition_size);
        if (needed > d->workspace_size) {
                void *bigger = realloc(d->workspace_buffer, needed);

                if (!bigger)
                        return -ENOMEM;
                d->workspace_buffer = bigger;
                d->workspace_size = needed;
        }
        return 0;
}

static double total_weight(const struct daemon *d)
{
        double sum = 0;

        for (size_t i = 0; i < d->n_services; i++)
                if (service_plays(d->services[i]))
                        sum += d->services[i]->config->weight;
        return sum;
}

static void estimate_all(struct daemon *d)
{
        double weight_sum = total_weight(d);
        double bargained_milli = fmax(0, d->capacity_milli -
                                                 milli_from_usec(d->config->reserve.usec_per_sec));
        /* No path begins so. */
        struct holder holder = { .control_group = "?" };

        record_begin(d, weight_sum);
        for (size_t i = 0; i < d->n_services; i++) {
                struct service *s = d->services[i];
                struct demand_context c = {
                        .epoch_usec = d->config->epoch_usec,
                        .sample_interval_usec = d->config->sample_interval_usec,
                        .allocation_milli = -1,
                        .quota_milli = INFINITY,
                        .max_milli = INFINITY,
                        .host_idle_share = d->host_idle_share,
                };

                if (service_plays(s)) {
                        s->max_milli = max_of(d, s);
                        s->bound_milli = bound_of(d, s, &holder);
                        c.baseline_milli = milli_from_usec(s->config->baseline.usec_per_sec);
                        c.max_milli = fmax(fmin(s->max_milli, s->bound_milli), c.baseline_milli);
                        c.allocation_milli = s->recent_milli[0];
                        c.quota_is_share = d->config->enforce == ENFORCE_QUOTA;
                        if (s->quota.is_ours && s->quota.applied != USEC_UNSET)
                                c.quota_milli = milli_from_usec(s->quota.applied);
                        c.is_called = s->is_called;
                        c.is_starting = s->systemd->n_starting > 0 ||
                                        (s->demand.n_estimates == 0 && s->recent_milli[0] < 0);
                        c.grace_milli = weight_sum > 0 ? bargained_milli * s->config->weight / weight_sum
                                                       : bargained_milli;
                        record_window(d, s, &c);
                }
                /* Also where nothing can be read: so the epochs without data are counted. */
                if (s->systemd && s->systemd->is_active)
                        demand_estimate(&s->demand, &c, &s->estimate);
                else
                        memset(&s->estimate, 0, sizeof s->estimate);
        }
}

static void gather_players(struct daemon *d)
{
        d->n_players = 0;
        for (size_t i = 0; i < d->n_services; i++) {
                struct service *s = d->services[i];
                struct epoch_service *in;

                if (!service_plays(s))
                        continue;
                d->players[d->n_players] = s;
                d->graph_players[d->n_players] = (struct graph_player){ s->unit, s->config };
                in = &d->inputs[d->n_players];
                *in = (struct epoch_service){
                        .floor_milli = milli_from_usec(s->config->floor.usec_per_sec),
                        .baseline_milli = milli_from_usec(s->config->baseline.usec_per_sec),
                        .max_milli = s->max_milli,
                        .bound_milli = s->bound_milli,
                        .weight = s->config->weight,
                        .target_ms = s->config->latency_target_usec / USEC_PER_MS,
                        .elasticity = s->config->elasticity,
                        .latency_ms = report_latency_ms(s),
                        .latency_at_milli = fmax(0, s->report.at_milli),
                        .cpu_ms = report_cpu_ms(s),
                        .work_milli_ms = s->has_decision ? s->decision.work_milli_ms : 0,
                        .is_work_told = s->has_decision && s->decision.is_work_told,
                        .was_unbounded = s->has_decision && s->decision.is_unbounded,
                        .ceiling_milli = s->quota.is_ours ? quota_milli_from_usec(actuate_quota_in_force(s)) : 0,
                        .part_ms = s->has_decision ? s->decision.part_ms : 0,
                        .credit = s->credit,
                        .group = s->group,
                };
                memcpy(in->recent_milli, s->recent_milli, sizeof in->recent_milli);
                epoch_take_estimate(in, &s->estimate);
                d->n_players++;
        }
}

static void find_called(struct daemon *d)
{
        size_t n_calls;
        const struct call *calls = graph_calls(d->calls, &n_calls);

        for (size_t i = 0; i < d->n_services; i++)
                d->services[i]->is_called = false;
        for (size_t k = 0; k < n_calls; k++)
                d->players[calls[k].callee]->is_called = true;
}

static void raise_needs(struct daemon *d)
{
        size_t n_waits;
        const struct call *waits = graph_waits(d->calls, &n_waits);

        epoch_read_waits(d->inputs, d->n_players, waits, n_waits);
        for (size_t i = 0; i < d->n_players; i++)
                epoch_raise_need(&d->inputs[i], &d->players[i]->estimate);
}

/* Too long without data: what is not known is not guessed. */
static void give_up_stale(struct daemon *d)
{
        for (size_t i = 0; i < d->n_services; i++) {
                struct service *s = d->services[i];

                if (!s->has_decision || s->demand.n_missing < STALE_EPOCHS_MAX)
                        continue;
                log_unit(LOG_WARNING, MSG_UNIT_STALE, s->unit,
                         "No measurements of %s for %u epochs; it is left to itself until there are.",
                         s->unit, s->demand.n_missing);
                service_forget_allocation(s);
        }
}

static void count_idle_epochs(struct daemon *d)
{
        for (size_t i = 0; i < d->n_services; i++) {
                struct service *s = d->services[i];
                bool takes_part = service_plays(s) || s->own_group != ENFORCE_NO_GROUP;

                s->n_epochs_idle = takes_part ? 0 : s->n_epochs_idle + 1;
        }
}

static void take_decision(struct daemon *d)
{
        for (size_t i = 0; i < d->n_services; i++) {
                struct service *s = d->services[i];

                s->has_failed = s->is_urgent = false;
                s->n_epochs_waited = s->is_pending ? s->n_epochs_waited + 1 : 0;
        }
        for (size_t i = 0; i < d->n_players; i++) {
                struct service *s = d->players[i];
                const struct epoch_decision *decision = &d->decisions[i];

                for (size_t k = EPOCH_RECENT - 1; k > 0; k--)
                        s->recent_milli[k] = s->recent_milli[k - 1];
                s->recent_milli[0] = decision->alloc_milli;
                s->input = d->inputs[i];
                s->decision = *decision;
                s->has_decision = s->has_wishes = true;

                s->quota.wanted = d->config->enforce == ENFORCE_WEIGHT
                                          ? USEC_UNSET
                                          : usec_from_quota_milli(decision->quota_milli);
                s->weight.wanted = decision->cpu_weight > 0 ? decision->cpu_weight : USEC_UNSET;
        }
        for (size_t g = 1; g < d->n_groups; g++) {
                struct service *s = d->groups[g].service;

                s->weight.wanted = d->group_weights[g] > 0 ? d->group_weights[g] : USEC_UNSET;
                s->has_wishes = true;
        }
}

static void report_changes(struct daemon *d, enum tier tier_before, bool had_outcome)
{
        const struct epoch_outcome *o = &d->outcome;
        struct journal_fields f = { .message_id = MSG_TIER_CHANGED, .epoch = d->epoch.epoch };
        bool was_held = d->is_held;

        d->is_held = false;
        if (!had_outcome || o->market.tier != tier_before)
                journal_log(LOG_INFO, &f, "The host is %s (scarcity %.2f).",
                            tier_to_string(o->market.tier), o->market.scarcity);
        if (o->is_rolled_back) {
                f.message_id = MSG_GATE_ROLLED_BACK;
                journal_log(LOG_WARNING, &f,
                            "Allocations made things worse three times in a row; back to an earlier one, holding for %u epochs.",
                            GATE_FREEZE_EPOCHS);
        } else if (o->gate.verdict == VERDICT_HOLD && !o->is_frozen && isfinite(o->gate.v_before)) {
                d->is_held = true;
                f.message_id = MSG_GATE_HELD;
                if (!was_held)
                        journal_log(LOG_NOTICE, &f,
                                    "The gate vetoed a change: V would not have fallen from %.6g.",
                                    o->gate.v_before);
        }
}

static void fail_epoch(struct daemon *d, int error)
{
        char text[sizeof d->epoch_error];

        if (error > 0)
                (void)snprintf(text, sizeof text,
                               "The bargain was not solved within %u iterations; everything stays as it is (MaxIterations=).",
                               d->config->max_iterations);
        else if (error == -ENOSPC)
                (void)snprintf(text, sizeof text,
                               "%zu services, but fewer whole percents of CPU to give; everything stays as it is. Use Enforce=both, or fewer services.",
                               d->n_players);
        else
                (void)snprintf(text, sizeof text, "No decision this epoch, everything stays as it is: %s",
                               strerror(-error));
        /* Said once: the same every epoch would drown it. Status goes on saying it. */
        if (strcmp(text, d->epoch_error) != 0)
                log_plain(LOG_ERR, MSG_EPOCH_FAILED, "%s", text);
        memcpy(d->epoch_error, text, sizeof text);
        daemon_notify_status(d);
}

static void run_epoch(struct daemon *d)
{
        struct epoch_workspace w;
        struct epoch_rules rules;
        enum tier tier_before = d->outcome.market.tier;
        bool had_outcome = d->has_outcome;
        int r;

        d->graph = NULL;        /* it counts players, who may go from here on */
        notice_hotplug(d);
        measure_host(d);
        if (!d->has_host_counters || !d->is_listed)
                return;
        if (!actuate_is_busy(d)) {
                actuate_check_foreign(d, false);
                services_sweep(d);
        }
        services_find_roles(d);
        for (size_t i = 0; i < d->n_services; i++)
                if (d->services[i]->reader.dir_fd < 0 && d->services[i]->systemd &&
                    d->services[i]->systemd->is_active)
                        sense_open(d, d->services[i]);

        r = make_room(d);
        if (r < 0)
                goto fail;
        estimate_all(d);
        give_up_stale(d);
        build_groups(d);
        count_idle_epochs(d);
        release_strays(d, false);
        credits_prepare(d);
        gather_players(d);
        r = graph_update(d->calls, d->config, d->graph_players, d->n_players);
        if (r < 0)
                goto fail;
        d->has_new_paths |= r > 0;
        if (r > 0)
                record_new_graph(d);
        find_called(d);
        raise_needs(d);

        rules = (struct epoch_rules){
                .capacity_milli = d->capacity_milli,
                .reserve_milli = milli_from_usec(d->config->reserve.usec_per_sec),
                .unmanaged_milli = d->unmanaged_load.load_milli,
                .headroom_milli = milli_from_usec(d->config->headroom.usec_per_sec),
                .spare = d->config->spare,
                .overload = d->config->overload,
                .enforce = d->config->enforce,
                .is_frozen = d->is_frozen,
                .sensitivity_per_ms = d->config->sensitivity_per_ms,
                .epsilon = d->config->epsilon,
                .max_iterations = d->config->max_iterations,
                .epoch_sec = (double)d->config->epoch_usec / USEC_PER_SEC,
        };
        epoch_workspace_init(&w, d->workspace_buffer, d->n_players_allocated,
                             d->n_players_allocated + 1, d->config->max_coalition_size);
        record_inputs(d, &rules);
        r = epoch_decide(&d->epoch, &rules, d->inputs, d->n_players, graph_epoch(d->calls), d->enforce_groups,
                         d->n_groups, &w, d->decisions, d->group_weights, &d->outcome);
        if (r != 0)
                goto fail;
        d->has_outcome = true;
        d->graph = graph_epoch(d->calls);
        d->was_frozen = d->is_frozen;
        d->epoch_error[0] = '\0';
        take_decision(d);
        credits_settle(d);
        record_epoch(d, 0);
        report_changes(d, tier_before, had_outcome);
        d->are_bursts_due = true;
        actuate(d);
        guard_epoch_passed(d);
        manager_bus_epoch_done(d);
        daemon_notify_status(d);
        return;

fail:
        record_epoch(d, r);
        fail_epoch(d, r);
}

static int on_epoch(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct daemon *d = userdata;
        uint64_t now_usec = daemon_now_usec(d);

        if (!d->is_stopping)
                run_epoch(d);

        d->next_epoch_usec += d->config->epoch_usec;
        if (d->next_epoch_usec <= now_usec)
                d->next_epoch_usec = now_usec + d->config->epoch_usec;
        (void)sd_event_source_set_time(source, d->next_epoch_usec);
        (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

void decide_restart_clock(struct daemon *d)
{
        d->next_epoch_usec = daemon_now_usec(d) + d->config->epoch_usec;
        if (d->epoch_timer) {
                (void)sd_event_source_set_time(d->epoch_timer, d->next_epoch_usec);
                (void)sd_event_source_set_enabled(d->epoch_timer, SD_EVENT_ONESHOT);
        }
}

int decide_start(struct daemon *d)
{
        int r;

        d->calls = graph_new();
        if (!d->calls)
                return -ENOMEM;
        decide_restart_clock(d);
        r = sd_event_add_time(d->event, &d->epoch_timer, CLOCK_MONOTONIC, d->next_epoch_usec, 10000,
                              on_epoch, d);
        if (r < 0)
                return r;
        return sd_event_source_set_description(d->epoch_timer, "epoch");
}

void decide_free(struct daemon *d)
{
        free(d->workspace_buffer);
        d->calls = graph_free(d->calls);
        free(d->players);
        free(d->graph_players);
        free(d->inputs);
        free(d->decisions);
        free(d->groups);
        free(d->enforce_groups);
        free(d->group_weights);
        free(d->records);
        siblings_done(&d->siblings);
}
