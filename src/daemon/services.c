/* SPDX-License-Identifier: MIT */

#include "daemon/services.h"

#include "daemon/actuate.h"
#include "daemon/burst.h"
#include "daemon/credits.h"
#include "daemon/manager_bus.h"
#include "daemon/release.h"
#include "daemon/sense.h"
#include "util/cleanup.h"
#include "util/journal.h"
#include "util/sorted.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What must keep running for systemd and us to work: the weight of a slice that holds one of these
 * is never touched. */
static const char *const guardians[] = {
        "dbus.service",
        "dbus-broker.service",
        "systemd-journald.service",
        "coallocd.service",
};

static bool is_guardian(const char *unit)
{
        for (size_t i = 0; i < sizeof guardians / sizeof *guardians; i++)
                if (strcmp(guardians[i], unit) == 0)
                        return true;
        return false;
}

/* ---- the table --------------------------------------------------------------------------------- */

static int compare_unit(const void *key, const void *element)
{
        return strcmp(key, (*(struct service *const *)element)->unit);
}

static size_t position_of(const struct daemon *d, const char *unit, bool *ret_found)
{
        return sorted_position(unit, d->services, d->n_services, sizeof *d->services, compare_unit, ret_found);
}

struct service *services_find(struct daemon *d, const char *unit)
{
        bool found;
        size_t at = position_of(d, unit, &found);

        return found ? d->services[at] : NULL;
}

struct service *services_find_by_any_name(struct daemon *d, const char *name)
{
        struct service *s = services_find(d, name);

        for (size_t i = 0; !s && i < d->n_services; i++)
                if (d->services[i]->config && strcmp(d->services[i]->name, name) == 0)
                        s = d->services[i];
        return s;
}

void service_forget_allocation(struct service *s)
{
        s->has_decision = s->has_wishes = false;
        s->quota.wanted = s->weight.wanted = USEC_UNSET;
        for (size_t i = 0; i < EPOCH_RECENT; i++)
                s->recent_milli[i] = -1;
        /* A latency means something beside what was held then. */
        s->report = (struct latency_report){ 0 };
        s->raises = (struct guard_memory){ 0 };
}

static void service_free(struct service *s)
{
        cgroup_reader_close(&s->reader);
        free(s->unit);
        free(s);
}

static struct service *add(struct daemon *d, const char *unit)
{
        struct managed_value unset = { .wanted = USEC_UNSET, .applied = USEC_UNSET, .read = USEC_UNSET };
        bool found;
        size_t at = position_of(d, unit, &found);
        struct service *s;

        if (found)
                return d->services[at];
        if (d->n_services == d->n_services_allocated) {
                size_t n = d->n_services_allocated ? 2 * d->n_services_allocated : 64;
                struct service **bigger = reallocarray(d->services, n, sizeof *bigger);

                if (!bigger)
                        return NULL;
                d->services = bigger;
                d->n_services_allocated = n;
        }
        s = calloc(1, sizeof *s);
        if (!s)
                return NULL;
        s->d = d;
        s->unit = strdup(unit);
        if (!s->unit) {
                free(s);
                return NULL;
        }
        s->reader = CGROUP_READER_CLOSED;
        s->quota = s->weight = unset;
        burst_forget(s);
        s->group = s->own_group = ENFORCE_NO_GROUP;
        s->max_milli = s->bound_milli = INFINITY;
        service_forget_allocation(s);
        credits_adopt(d, s);

        memmove(d->services + at + 1, d->services + at, (d->n_services - at) * sizeof *d->services);
        d->services[at] = s;
        d->n_services++;
        return s;
}

static void drop(struct daemon *d, struct service *s)
{
        bool found;
        size_t at = position_of(d, s->unit, &found);

        memmove(d->services + at, d->services + at + 1,
                (d->n_services - at - 1) * sizeof *d->services);
        d->n_services--;
        service_free(s);
}

void services_detach(struct daemon *d)
{
        for (size_t i = 0; i < d->n_services; i++)
                d->services[i]->systemd = NULL;
}

void services_free(struct daemon *d)
{
        for (size_t i = 0; i < d->n_services; i++)
                service_free(d->services[i]);
        free(d->services);
        d->services = NULL;
        d->n_services = d->n_services_allocated = 0;
}

/* ---- slices ------------------------------------------------------------------------------------ */

static bool is_root_slice(const char *slice)
{
        return slice[0] == '\0' || strcmp(slice, "-.slice") == 0;
}

/* The slice around a slice follows from its name: a-b.slice is in a.slice. */
static bool parent_slice(const char *slice, char ret[static 256])
{
        size_t length = strlen(slice);
        const char *dash;

        if (length >= 256)
                return false;
        memmove(ret, slice, length + 1);
        dash = strrchr(ret, '-');
        if (!dash || dash == ret)
                return false;
        strcpy(ret + (dash - ret), ".slice");
        return true;
}

/* Weights are set level by level, so the slices around a managed unit have to be followed as well. */
static void follow_holders(struct daemon *d, const struct service *s)
{
        char slice[256];
        bool is_new = false;

        if (!s->systemd || strlen(s->systemd->slice) >= sizeof slice)
                return;
        strcpy(slice, s->systemd->slice);
        while (!is_root_slice(slice)) {
                struct service *holder = services_find(d, slice);

                if (!holder) {
                        holder = add(d, slice);
                        if (!holder)
                                return;
                        holder->name = holder->unit;
                        is_new = true;
                }
                holder->is_holder = true;
                if (!parent_slice(slice, slice))
                        break;
        }
        if (is_new && d->systemd)
                systemd_manager_relist(d->systemd);
}

static bool holds(const char *slice_group, const char *control_group)
{
        size_t length = strlen(slice_group);

        return length > 0 && strncmp(control_group, slice_group, length) == 0 &&
               (control_group[length] == '/' || control_group[length] == '\0');
}

static void find_off_limits(struct daemon *d)
{
        for (size_t i = 0; i < d->n_services; i++) {
                struct service *s = d->services[i];

                s->is_off_limits = false;
                if (!s->systemd || (!s->is_holder && !s->config))
                        continue;
                if (d->own_control_group)
                        s->is_off_limits = holds(s->systemd->control_group, d->own_control_group);
                for (size_t j = 0; j < sizeof guardians / sizeof *guardians; j++) {
                        const struct service *g = services_find(d, guardians[j]);

                        if (g && g->systemd)
                                s->is_off_limits |= holds(s->systemd->control_group,
                                                          g->systemd->control_group);
                }
        }
}

/* ---- who belongs where ------------------------------------------------------------------------- */

static void assign(struct daemon *d, struct service *s)
{
        ssize_t i = config_match_service(d->config, s->unit);

        s->config = i >= 0 ? &d->config->services[i] : NULL;
        s->name = s->config && !s->config->is_pattern ? s->config->name : s->unit;
}

static void log_managed(const struct daemon *d, const struct service *s)
{
        if (s->config && s->systemd && s->systemd->is_active)
                log_unit(LOG_INFO, MSG_UNIT_MANAGED, s->unit, "%s %s as service %s.",
                         d->mode == CONFIG_MODE_ENFORCE ? "Managing" : "Observing", s->unit, s->name);
}

int services_reassign(struct daemon *d)
{
        int r = 0;

        /* Units that are declared by name are shown even while systemd does not know them. */
        for (size_t i = 0; i < d->config->n_services && r == 0; i++) {
                const struct config_service *c = &d->config->services[i];

                if (!c->is_pattern && !add(d, c->unit))
                        r = -ENOMEM;
        }
        /* Whatever failed: nobody may go on pointing into a configuration that is about to be freed. */
        for (size_t i = 0; i < d->n_services; i++) {
                struct service *s = d->services[i];

                assign(d, s);
                if (s->config)
                        continue;
                /* Measured at most: what was decided for it no longer holds. */
                service_forget_allocation(s);
                s->quota.is_foreign = s->weight.is_foreign = s->burst.is_foreign = false;
        }
        services_find_roles(d);
        if (d->systemd && systemd_manager_bus(d->systemd))
                systemd_manager_relist(d->systemd);
        return r;
}

bool services_want(void *userdata, const char *unit)
{
        struct daemon *d = userdata;
        const struct service *s = services_find(d, unit);

        return config_wants(d->config, unit) || (s && s->is_holder) || is_guardian(unit) ||
               state_file_find(&d->state, unit);
}

/* ---- events ------------------------------------------------------------------------------------ */

static void became_inactive(struct service *s)
{
        cgroup_reader_close(&s->reader);
        s->has_counters = s->has_burst = false;
        demand_restart(&s->demand);
        memset(&s->estimate, 0, sizeof s->estimate);
        service_forget_allocation(s);
}

static void on_found(struct daemon *d, struct systemd_unit *unit)
{
        struct service *s = add(d, unit->name);

        if (!s) {
                log_unit_errno(LOG_ERR, MSG_EPOCH_FAILED, unit->name, -ENOMEM,
                               "Could not remember a unit; it is left alone");
                return;
        }
        daemon_got_on(d);
        s->systemd = unit;
        unit->userdata = s;
        assign(d, s);
        if (s->config)
                follow_holders(d, s);
        if (unit->is_active)
                sense_open(d, s);
        log_managed(d, s);
}

static void on_changed(struct daemon *d, struct systemd_unit *unit)
{
        struct service *s = unit->userdata;
        bool was_active;

        if (!s)
                return;
        was_active = s->reader.dir_fd >= 0;
        if (!unit->is_active) {
                if (was_active)
                        became_inactive(s);
                return;
        }
        sense_open(d, s);
        if (was_active)
                return;
        if (s->n_epochs_idle > 1 && state_file_find(&d->state, s->unit)) {
                /* What it had of us is old, and its share has gone to others: it starts without. */
                const char *units[] = { s->unit };

                (void)release_units(d, units, 1, false, NULL, NULL);
        }
        if (s->reader.dir_fd >= 0)
                log_managed(d, s);
}

static void on_lost(struct systemd_unit *unit)
{
        struct service *s = unit->userdata;

        if (!s)
                return;
        became_inactive(s);
        s->systemd = NULL;
}

static void on_listed(struct daemon *d)
{
        d->is_listed = true;
        services_find_roles(d);
        if (!d->has_listed_once) {
                d->has_listed_once = true;
                daemon_ready(d);
        }
}

void services_on_event(void *userdata, enum systemd_event event, struct systemd_unit *unit)
{
        struct daemon *d = userdata;

        switch (event) {
        case SYSTEMD_CONNECTED:
                if (d->has_listed_once)
                        log_plain(LOG_NOTICE, MSG_BUS_BACK, "The system bus is back; units are listed again.");
                /* On the private socket of PID 1 there are no names to be had. */
                if (!d->publish_address && sd_bus_is_bus_client(systemd_manager_bus(d->systemd)) > 0) {
                        int r = manager_bus_attach(d, systemd_manager_bus(d->systemd));

                        if (r < 0)
                                log_errno(LOG_WARNING, MSG_NOT_PUBLISHED, r,
                                          "Could not publish org.coalloc1 (is the D-Bus policy installed? coallocctl doctor); managing goes on");
                }
                break;
        case SYSTEMD_UNIT_FOUND:
                on_found(d, unit);
                break;
        case SYSTEMD_UNIT_CHANGED:
                on_changed(d, unit);
                break;
        case SYSTEMD_UNIT_LOST:
                on_lost(unit);
                break;
        case SYSTEMD_LISTED:
                on_listed(d);
                break;
        case SYSTEMD_RELOADED:
                actuate_check_foreign(d, true);
                break;
        case SYSTEMD_DISCONNECTED:
                d->is_listed = false;
                manager_bus_detach(d);
                log_plain(LOG_WARNING, MSG_BUS_LOST,
                          "Lost the system bus; allocations stay as they are until it is back.");
                break;
        }
}

void services_sweep(struct daemon *d)
{
        for (size_t i = 0; i < d->n_services;) {
                struct service *s = d->services[i];
                bool is_declared = s->config && !s->config->is_pattern;

                if (!s->systemd && !is_declared && !s->is_holder && !s->is_releasing)
                        drop(d, s);
                else
                        i++;
        }
}

/* ---- reading them ------------------------------------------------------------------------------ */

static const struct service *managed_ancestor(struct daemon *d, const struct service *s)
{
        char slice[256];

        if (!s->systemd || strlen(s->systemd->slice) >= sizeof slice)
                return NULL;
        strcpy(slice, s->systemd->slice);
        while (!is_root_slice(slice)) {
                const struct service *holder = services_find(d, slice);

                if (holder && holder->config)
                        return holder;
                if (!parent_slice(slice, slice))
                        break;
        }
        return NULL;
}

bool service_plays(const struct service *s)
{
        return s->config && s->systemd && s->systemd->is_active &&
               (s->reader.dir_fd >= 0 || s->recent_milli[0] >= 0) &&
               s->demand.n_missing < STALE_EPOCHS_MAX && !s->quota.is_foreign &&
               !s->weight.is_foreign && !s->is_off_limits && !s->is_nested && !s->is_releasing;
}

bool service_is_raised(const struct service *s)
{
        return s->n_raises > 0 && s->quota.is_ours && s->has_decision && s->quota.applied == s->raise.to &&
               s->quota.applied != usec_from_quota_milli(s->decision.quota_milli);
}

const char *service_state(const struct daemon *d, const struct service *s)
{
        if (!s->config)
                return "observed";
        if (!s->systemd || !s->systemd->is_active)
                return "inactive";
        if (s->quota.is_foreign || s->weight.is_foreign)
                return "foreign";
        if (s->is_off_limits || s->is_nested || s->is_refused)
                return "refused";
        if (s->systemd->n_starting > 0)
                return "starting";
        if (s->demand.n_missing >= STALE_EPOCHS_MAX || (s->demand.n_missing > 0 && s->has_decision))
                return "stale";
        if (!s->estimate.is_known)
                return "unknown";
        return "managed";
}

char *service_note(const struct daemon *d, const struct service *s)
{
        char *note = NULL;
        int r = 0;

        if (!s->config)
                return strdup("");
        if (!s->systemd)
                return strdup("not loaded");
        if (burst_left_behind(s))
                r = asprintf(&note, "CPUQuota= was changed by someone else, but the kernel has not taken it: systemctl set-property --runtime %s CPUQuota=%s",
                             s->unit, FORMAT_CPU(s->systemd->quota_usec_per_sec));
        else if (s->quota.is_foreign || s->weight.is_foreign)
                r = asprintf(&note, "%s was changed by someone else; coallocctl adopt %s",
                             s->quota.is_foreign ? "CPUQuota=" : "CPUWeight=", s->unit);
        else if (s->is_off_limits)
                note = strdup("holds coallocd, D-Bus or the journal: never touched");
        else if (s->is_nested)
                note = strdup("inside another managed unit: left alone");
        else if (s->systemd->is_active && s->demand.n_missing >= STALE_EPOCHS_MAX)
                note = strdup("no measurements: given back until there are");
        else if (s->systemd->is_active && !s->estimate.is_known && s->systemd->n_starting == 0)
                note = strdup("not enough measurements yet");
        else if (s->is_refused && s->burst.is_in_the_way) {
                _cleanup_free_ char *remedy = burst_remedy(s);

                r = asprintf(&note, "the kernel refused the quota, cpu.max.burst is larger: %s", remedy ?: "lower it");
        } else if (s->burst.is_foreign)
                r = asprintf(&note, "cpu.max.burst was changed by someone else; coallocctl adopt %s", s->unit);
        else if (s->is_refused)
                note = strdup("the kernel did not take the last value; see the journal");
        else if (service_is_raised(s))
                note = strdup("raised by the guard");
        else if (s->estimate.is_elastic)
                note = strdup("takes what is spare");
        else if (s->has_decision && !s->decision.is_satisfied)
                note = strdup("short");
        else
                note = strdup("");
        return r < 0 ? NULL : note;
}

uint64_t service_prior_quota(struct daemon *d, const struct service *s)
{
        const struct state_record *r = state_file_find(&d->state, s->unit);

        if (r && r->quota.is_ours)
                return r->quota.prior;
        return s->systemd ? s->systemd->quota_usec_per_sec : USEC_UNSET;
}

void services_find_roles(struct daemon *d)
{
        for (size_t i = 0; i < d->n_services; i++)
                d->services[i]->is_holder = false;
        /* May insert slices on the way: before us, then we come by here twice, or behind. */
        for (size_t i = 0; i < d->n_services; i++)
                if (d->services[i]->config)
                        follow_holders(d, d->services[i]);
        for (size_t i = 0; i < d->n_services; i++)
                d->services[i]->is_nested = d->services[i]->config &&
                                            managed_ancestor(d, d->services[i]);
        find_off_limits(d);
}
