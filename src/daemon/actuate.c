/* SPDX-License-Identifier: MIT */

#include "daemon/actuate.h"

#include "daemon/burst.h"
#include "daemon/guard.h"
#include "daemon/manager_bus.h"
#include "daemon/release.h"
#include "daemon/sense.h"
#include "daemon/services.h"
#include "util/cleanup.h"
#include "util/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A write costs PID 1 about 2 ms: a tenth of its time, and no more. What is urgent and comes between two
 * rounds has as much once again. */
#define ROUND_WRITES_MAX 50
#define ROUND_SPACING_USEC UINT64_C(1000000)

/* Where there is always more to write than there is time for, the largest changes would keep the small
 * ones waiting for ever: who has waited for so many epochs goes first. */
#define WAITED_EPOCHS_MAX 2

/* Before the first write the values that a unit has are read anew: an administrator's set-property
 * emits no signal, and what is restored later is what is found now. */
enum phase {
        PHASE_LOOK,
        PHASE_SHRINK,
        PHASE_GROW,
};

/* One round of writes. Lives from actuate() until the last reply. */
struct actuation {
        struct daemon *d;
        enum phase phase;
        struct service **units;         /* borrowed: services are not freed while a round is under way */
        struct enforce_transition *transitions;
        int64_t *quota_milli;           /* to write in this phase, -1 = not */
        size_t *order;                  /* scratch */
        struct systemd_setting *settings;
        struct service **written;       /* in the order of settings */
        size_t n_units, n_settings;
        size_t n_written;               /* in all phases so far; of urgent ones since the last full round */
        unsigned n_looking;
        uint64_t start_usec;
        bool is_urgent_only;            /* too soon after the last round for anything else */
};

static void actuation_free(struct actuation *a)
{
        if (!a)
                return;
        free(a->units);
        free(a->transitions);
        free(a->quota_milli);
        free(a->order);
        free(a->settings);
        free(a->written);
        free(a);
}

bool actuate_is_busy(const struct daemon *d)
{
        return d->actuation != NULL;
}

void actuate_cancel(struct daemon *d)
{
        actuation_free(d->actuation);
        d->actuation = NULL;
}

void actuate_forget(struct daemon *d)
{
        d->is_round_due = false;
        d->n_pending = 0;
        if (d->round_timer)
                (void)sd_event_source_set_enabled(d->round_timer, SD_EVENT_OFF);
}

/* ---- what is in force --------------------------------------------------------------------------- */

/* @property: as systemd has it. A unit may go while a round is under way: then there is none. */
static uint64_t in_force(const struct service *s, const struct managed_value *v, uint64_t property)
{
        if (!v->is_ours)
                return property;
        return s->is_refused ? v->read : v->applied;
}

uint64_t actuate_quota_in_force(const struct service *s)
{
        return in_force(s, &s->quota, s->systemd ? s->systemd->quota_usec_per_sec : USEC_UNSET);
}

static unsigned weight_in_force(const struct service *s)
{
        uint64_t w = in_force(s, &s->weight, s->systemd ? s->systemd->cpu_weight : USEC_UNSET);

        return w == USEC_UNSET ? CPU_WEIGHT_DEFAULT : (unsigned)w;
}

static bool wants_weight(const struct daemon *d, const struct service *s)
{
        return s->has_wishes && s->weight.wanted != USEC_UNSET && !s->weight.is_foreign && !s->is_off_limits &&
               enforce_weight_differs(weight_in_force(s), (unsigned)s->weight.wanted,
                                      d->config->min_change);
}

static bool wants_quota(const struct daemon *d, const struct service *s)
{
        return s->config && s->has_decision && s->has_wishes && d->config->enforce != ENFORCE_WEIGHT &&
               s->quota.wanted != actuate_quota_in_force(s);
}

/* What the kernel has now. A value that it does not show (controller off) is no value. */
static void read_back(struct service *s)
{
        struct cgroup_limits limits;

        if (s->reader.dir_fd < 0 || cgroup_reader_limits(&s->reader, &limits) < 0)
                return;
        s->quota.read = limits.quota_usec_per_sec;
        s->weight.read = limits.cpu_weight;
}

static bool kernel_agrees(const struct service *s)
{
        bool quota_agrees = !s->quota.is_ours || s->quota.read == s->quota.applied;
        bool weight_agrees = !s->weight.is_ours || s->weight.applied == USEC_UNSET ||
                             s->weight.read == s->weight.applied;

        return quota_agrees && weight_agrees;
}

/* ---- writing ----------------------------------------------------------------------------------- */

static void next_phase(struct actuation *a);

/* Too much for every day; --debug shows it. */
static void log_written(const struct daemon *d, const struct service *s, const char *property,
                        const char *value, const char *reason)
{
        journal_log(LOG_DEBUG,
                    &(struct journal_fields){ .unit = s->unit, .reason = reason, .epoch = d->epoch.epoch },
                    "%s= of %s is %s (%s).", property, s->unit, value, reason);
}

static void on_written(void *userdata, const struct systemd_setting *setting, int error)
{
        struct actuation *a = userdata;
        struct daemon *d = a->d;
        struct service *s = services_find(d, setting->unit);

        if (!s)
                return;
        s->write_done_usec = daemon_clock_usec();
        s->n_epochs_waited = 0;
        if (error < 0) {
                bool was_said = s->write_error == error;

                s->is_unsure = s->has_failed = true;
                s->is_urgent = false;
                s->write_error = error;
                /* Units come and go, and the loss of the bus was told. */
                if (was_said || error == -ESRCH || error == -ECONNRESET)
                        return;
                log_unit_errno(LOG_WARNING, MSG_UNIT_REFUSED, s->unit, error,
                               "Could not change %s; it keeps what it has, every epoch tries again",
                               s->unit);
                return;
        }
        s->write_error = 0;
        s->is_fresh_cgroup = false;
        if (setting->set_quota) {
                uint64_t old = actuate_quota_in_force(s);
                const char *reason = s->is_by_guard ? "guard" : demand_reason_to_string(s->estimate.reason);

                s->quota.applied = setting->quota_usec_per_sec;
                s->quota.is_ours = true;
                if (s->is_by_guard && s->quota.applied > old)
                        guard_raised(d, s, old);
                else if (!s->is_by_guard && s->quota.applied < old)
                        guard_lowered(s, old);
                manager_bus_quota_changed(d, s->unit, old, s->quota.applied, reason);
                log_written(d, s, "CPUQuota", FORMAT_CPU(s->quota.applied), reason);
                s->is_urgent = false;
        }
        if (setting->set_weight) {
                uint64_t old = weight_in_force(s);
                const char *reason = s->is_holder                ? "holder"
                                     : s->decision.is_satisfied  ? "satisfied"
                                                                 : "short";
                char text[24];

                s->weight.applied = setting->cpu_weight;
                s->weight.is_ours = true;
                manager_bus_weight_changed(d, s->unit, old, s->weight.applied, reason);
                (void)snprintf(text, sizeof text, "%" PRIu64, s->weight.applied);
                log_written(d, s, "CPUWeight", text, reason);
        }
        give_back_confirm(&d->state, setting);
}

static void log_refused(struct service *s)
{
        _cleanup_free_ char *remedy = NULL;

        s->is_refusal_logged = true;
        if (!s->burst.is_in_the_way) {
                log_unit(LOG_WARNING, MSG_UNIT_REFUSED, s->unit,
                         "systemd accepted a change of %s, but the kernel has another value; see the journal of PID 1.",
                         s->unit);
                return;
        }
        remedy = burst_remedy(s);
        log_unit(LOG_WARNING, MSG_UNIT_REFUSED, s->unit,
                 "The kernel did not take CPUQuota=%s of %s, because its cpu.max.burst (%" PRIu64 " us a period) is larger than that: %s.",
                 FORMAT_CPU(s->quota.applied), s->unit, s->burst.read_usec, remedy ?: "lower it");
}

/* A reply of success does not prove that the kernel took the value: PID 1 only logs that. */
static void verify_written(struct actuation *a)
{
        for (size_t i = 0; i < a->n_settings; i++) {
                struct service *s = a->written[i];

                if (!s->systemd || !s->systemd->is_active || s->write_error < 0)
                        continue;
                read_back(s);
                s->is_refused = !kernel_agrees(s);
                s->has_failed |= s->is_refused;
                if (!s->is_refused) {
                        s->is_refusal_logged = false;
                        continue;
                }
                burst_suspect(s);
                if (!s->is_refusal_logged)
                        log_refused(s);
        }
}

static void on_batch_done(void *userdata, unsigned n_failed)
{
        struct actuation *a = userdata;

        verify_written(a);
        next_phase(a);
}

/* In a round at all, whenever that is. What failed waits for the next epoch. */
static bool is_writable(const struct service *s)
{
        return s->systemd && s->systemd->is_active && !s->is_checking && !s->is_releasing &&
               !s->quota.is_foreign && !s->has_failed;
}

static uint64_t writable_from_usec(const struct service *s)
{
        return s->write_sent_usec == 0 ? 0 : s->write_sent_usec + GUARD_WRITE_INTERVAL_USEC;
}

bool actuate_may_write(const struct service *s)
{
        return is_writable(s) && writable_from_usec(s) <= daemon_clock_usec();
}

static bool may_write(const struct actuation *a, const struct service *s)
{
        return actuate_may_write(s) && !s->is_unsure && (s->is_urgent || !a->is_urgent_only);
}

double actuate_budget_milli(const struct daemon *d)
{
        double left_milli = d->capacity_milli - milli_from_usec(d->config->reserve.usec_per_sec);

        if (d->config->enforce != ENFORCE_QUOTA)
                return INFINITY;
        return floor(fmax(0, left_milli) / QUOTA_STEP_MILLI) * QUOTA_STEP_MILLI;
}

static struct enforce_transition transition_of(const struct daemon *d, const struct service *s, bool may_write_now)
{
        uint64_t now = actuate_quota_in_force(s);

        return (struct enforce_transition){
                .in_force_milli = quota_milli_from_usec(now),
                .wanted_milli = quota_milli_from_usec(wants_quota(d, s) ? s->quota.wanted : now),
                .may_write = may_write_now,
                .is_urgent = s->is_urgent || s->n_epochs_waited >= WAITED_EPOCHS_MAX,
                /* Throttled a moment ago, and its load is covered: a lower ceiling would throttle it again. */
                .is_restless = s->is_guarded && s->decision.is_satisfied && !guard_may_lower(&s->guard),
        };
}

/* Writes that this phase may make. What comes later in the round gets half of what is left if it has
 * so much to do: shrinks without end must not keep others from growing, nor quotas weights. */
static size_t n_writes_max(const struct actuation *a)
{
        size_t n_left = ROUND_WRITES_MAX - a->n_written, n_later = 0;
        bool has_budget = isfinite(actuate_budget_milli(a->d));

        for (size_t i = 0; i < a->n_units; i++) {
                const struct enforce_transition *t = &a->transitions[i];
                bool is_growth = t->wanted_milli > t->in_force_milli ||
                                 (has_budget && t->in_force_milli == QUOTA_NONE_MILLI);

                if (!t->may_write)
                        continue;
                if (t->wanted_milli == t->in_force_milli)
                        n_later += wants_weight(a->d, a->units[i]);
                else
                        n_later += a->phase == PHASE_SHRINK && is_growth;
        }
        return n_left - (n_later < n_left / 2 ? n_later : n_left / 2);
}

/* What one unit is to get in this phase. One call a unit: the weight goes along with the quota, so it
 * waits for one that is still to come. Return: is it anything? */
static bool setting_of(const struct actuation *a, size_t i, struct systemd_setting *ret)
{
        const struct enforce_transition *t = &a->transitions[i];
        const struct service *s = a->units[i];
        bool has_quota = a->quota_milli[i] >= 0;
        bool will_shrink = t->wanted_milli < t->in_force_milli && !t->is_restless &&
                           enforce_quota_differs(t->in_force_milli, t->wanted_milli, a->d->config->min_change);

        if (!t->may_write)
                return false;
        *ret = (struct systemd_setting){
                .unit = s->unit,
                .set_quota = has_quota,
                .quota_usec_per_sec = usec_from_quota_milli(a->quota_milli[i]),
                .set_weight = wants_weight(a->d, s) && (has_quota || (a->phase == PHASE_GROW && !will_shrink)),
                .cpu_weight = s->weight.wanted,
        };
        return ret->set_quota || ret->set_weight;
}

static void check_foreign(struct daemon *d, struct service *s);

/* Values that are being written are on disk before they are on the bus. */
static int write_phase(struct actuation *a)
{
        struct daemon *d = a->d;
        size_t n_left;
        int r;

        for (size_t i = 0; i < a->n_units; i++)
                a->transitions[i] = transition_of(d, a->units[i], may_write(a, a->units[i]));
        (void)enforce_next_writes(a->phase == PHASE_SHRINK ? ENFORCE_SHRINK : ENFORCE_GROW, a->transitions,
                                  a->n_units, actuate_budget_milli(d), d->config->min_change,
                                  n_writes_max(a), a->order, a->quota_milli, &n_left);

        a->n_settings = 0;
        /* Quotas first: they were counted. */
        for (int pass = 0; pass < 2; pass++)
                for (size_t i = 0; i < a->n_units && a->n_written < ROUND_WRITES_MAX; i++) {
                        struct service *s = a->units[i];
                        struct systemd_setting *setting = &a->settings[a->n_settings];

                        if (!setting_of(a, i, setting) || setting->set_quota != (pass == 0))
                                continue;
                        /* Not only once an epoch: who lowers a quota by hand gets a unit throttled, and the
                         * guard would undo that at once. */
                        check_foreign(d, s);
                        if (s->is_checking)
                                continue;
                        r = give_back_prepare(&d->state, d->root, s->systemd, setting);
                        if (r == -EBADMSG) {
                                s->has_failed = true;
                                if (s->write_error == r)
                                        continue;
                                s->write_error = r;
                                log_unit(LOG_WARNING, MSG_UNIT_REFUSED, s->unit,
                                         "%s has a runtime drop-in that cannot be kept for later; it is left alone.",
                                         s->unit);
                                continue;
                        }
                        if (r < 0)
                                return r;
                        burst_prepare(d, s, setting);
                        a->written[a->n_settings++] = s;
                        a->n_written++;
                }
        if (a->n_settings == 0)
                return 0;
        r = state_file_save(&d->state);
        if (r < 0)
                return r;
        burst_lower(d, a->written, a->n_settings);
        for (size_t i = 0; i < a->n_settings; i++) {
                sense_until_write(a->written[i]);
                a->written[i]->write_sent_usec = daemon_clock_usec();
                a->written[i]->write_done_usec = USEC_UNSET;
                a->written[i]->is_by_guard = a->written[i]->is_urgent;
        }
        r = systemd_manager_set(d->systemd, a->settings, a->n_settings, on_written, on_batch_done, a);
        if (r >= 0) {
                d->n_writes += a->n_settings;
                return 1;
        }
        for (size_t i = 0; i < a->n_settings; i++)
                a->written[i]->write_done_usec = daemon_clock_usec();
        return r;
}

/* ---- what is left for later ---------------------------------------------------------------------- */

static int on_round_due(sd_event_source *source, uint64_t usec, void *userdata)
{
        actuate(userdata);
        return 0;
}

static void arm_round(struct daemon *d, uint64_t due_usec)
{
        if (!d->round_timer) {
                if (sd_event_add_time(d->event, &d->round_timer, CLOCK_MONOTONIC, due_usec, 10000, on_round_due,
                                      d) < 0)
                        return;         /* the next epoch writes what is left */
                (void)sd_event_source_set_description(d->round_timer, "round");
        }
        (void)sd_event_source_set_time(d->round_timer, due_usec);
        (void)sd_event_source_set_enabled(d->round_timer, SD_EVENT_ONESHOT);
}

/* What would be written if neither the time nor the size of a round were a bound. */
static void look_ahead(struct actuation *a)
{
        struct daemon *d = a->d;
        uint64_t due_usec = UINT64_MAX;
        size_t n_left;

        for (size_t i = 0; i < a->n_units; i++) {
                a->transitions[i] = transition_of(d, a->units[i], is_writable(a->units[i]));
                a->units[i]->is_pending = a->transitions[i].may_write && wants_weight(d, a->units[i]);
        }
        for (enum enforce_phase phase = ENFORCE_SHRINK; phase <= ENFORCE_GROW; phase++) {
                (void)enforce_next_writes(phase, a->transitions, a->n_units, actuate_budget_milli(d),
                                          d->config->min_change, SIZE_MAX, a->order, a->quota_milli, &n_left);
                for (size_t i = 0; i < a->n_units; i++) {
                        if (a->quota_milli[i] < 0)
                                continue;
                        a->transitions[i].in_force_milli = a->quota_milli[i];
                        a->units[i]->is_pending = true;
                }
        }

        d->n_pending = 0;
        for (size_t i = 0; i < a->n_units; i++) {
                if (!a->units[i]->is_pending)
                        continue;
                d->n_pending++;
                if (writable_from_usec(a->units[i]) < due_usec)
                        due_usec = writable_from_usec(a->units[i]);
        }
        d->n_urgent_written = a->is_urgent_only ? a->n_written : 0;
        if (!a->is_urgent_only)
                d->next_round_usec = a->start_usec + ROUND_SPACING_USEC;
        /* What failed as a whole is for the next epoch. */
        if (d->n_pending > 0 && d->last_round_error >= 0)
                arm_round(d, due_usec > d->next_round_usec ? due_usec : d->next_round_usec);
}

static void finish(struct actuation *a)
{
        struct daemon *d = a->d;

        look_ahead(a);
        d->actuation = NULL;
        actuation_free(a);
        release_kick(d);
        guard_after_round(d);
}

static void next_phase(struct actuation *a)
{
        int r = 0;

        while (a->phase < PHASE_GROW) {
                a->phase++;
                r = write_phase(a);
                if (r != 0)
                        break;
        }
        if (r > 0)
                return;
        /* The loss of the bus was told; anything else is told once, not every epoch. */
        if (r < 0 && r != -ENOTCONN && r != a->d->last_round_error)
                log_errno(LOG_ERR, MSG_EPOCH_FAILED, r,
                          "Could not write down in %s what units had before; nothing is changed until that works",
                          a->d->runtime_dir);
        else if (r == 0)
                burst_keep(a->d, a->start_usec);
        a->d->last_round_error = r;
        /* What was applied and is still "intended" only on disk is restored all the same; this is
         * for the next reader. */
        (void)state_file_save(&a->d->state);
        finish(a);
}

/* A change that seemed to fail may have come about. */
static void take_note(struct managed_value *v, const struct state_value *record, uint64_t property)
{
        if (!record->is_ours || (property != record->applied && property != record->intended))
                return;
        v->is_ours = true;
        v->applied = property;
}

static void on_looked(void *userdata, const char *unit, int error)
{
        struct actuation *a = userdata;
        struct service *s = unit ? services_find(a->d, unit) : NULL;

        if (s)
                s->has_failed |= error < 0;
        if (s && error == 0 && s->systemd) {
                const struct state_record *record = state_file_find(&a->d->state, unit);

                s->is_unsure = false;
                if (record) {
                        take_note(&s->quota, &record->quota, s->systemd->quota_usec_per_sec);
                        take_note(&s->weight, &record->weight, s->systemd->cpu_weight);
                }
        }
        if (--a->n_looking == 0)
                next_phase(a);
}

/* A unit that stopped keeps its share for one epoch, in case it is a restart: it counts, but is not
 * written, and the sum of quotas holds the moment it is back. */
bool actuate_takes_part(const struct service *s)
{
        if (!s->systemd)
                return false;
        if (s->is_holder && s->own_group != ENFORCE_NO_GROUP)
                return true;
        if (!s->config)
                return false;
        if (service_plays(s))
                return s->has_decision;
        return s->quota.is_ours && (s->systemd->is_active || s->n_epochs_idle <= 1);
}

static double sum_in_force_milli(const struct actuation *a)
{
        double sum_milli = 0;

        for (size_t i = 0; i < a->n_units; i++) {
                uint64_t quota = actuate_quota_in_force(a->units[i]);

                if (a->units[i]->config && quota != USEC_UNSET)
                        sum_milli += milli_from_usec(quota);
        }
        return sum_milli;
}

/* First what is urgent, then who has waited longest. */
static int compare_turn(const void *x, const void *y)
{
        const struct service *a = *(struct service *const *)x, *b = *(struct service *const *)y;

        if (a->is_urgent != b->is_urgent)
                return a->is_urgent ? -1 : 1;
        if (a->write_sent_usec != b->write_sent_usec)
                return a->write_sent_usec < b->write_sent_usec ? -1 : 1;
        return strcmp(a->unit, b->unit);
}

static struct actuation *actuation_new(struct daemon *d)
{
        struct actuation *a = calloc(1, sizeof *a);
        size_t n = 0;

        if (!a)
                return NULL;
        a->d = d;
        a->start_usec = daemon_clock_usec();
        a->is_urgent_only = a->start_usec < d->next_round_usec;
        if (a->is_urgent_only)
                a->n_written = d->n_urgent_written;
        for (size_t i = 0; i < d->n_services; i++)
                n += d->services[i]->config || d->services[i]->is_holder;
        a->units = calloc(n + 1, sizeof *a->units);
        a->transitions = calloc(n + 1, sizeof *a->transitions);
        a->quota_milli = calloc(n + 1, sizeof *a->quota_milli);
        a->order = calloc(n + 1, sizeof *a->order);
        a->settings = calloc(ROUND_WRITES_MAX, sizeof *a->settings);
        a->written = calloc(ROUND_WRITES_MAX, sizeof *a->written);
        if (!a->units || !a->transitions || !a->quota_milli || !a->order || !a->settings || !a->written) {
                actuation_free(a);
                return NULL;
        }
        for (size_t i = 0; i < d->n_services; i++)
                if (actuate_takes_part(d->services[i]))
                        a->units[a->n_units++] = d->services[i];
        qsort(a->units, a->n_units, sizeof *a->units, compare_turn);
        return a;
}

/* Asks systemd what they have that are to be changed for the first time. No more of them than can be
 * written: who is not asked about is not written. */
static void look(struct actuation *a)
{
        struct daemon *d = a->d;
        unsigned n_asked = 0;

        a->n_looking = 1;
        for (size_t i = 0; i < a->n_units; i++) {
                struct service *s = a->units[i];

                if (!wants_quota(d, s) && !wants_weight(d, s))
                        continue;
                if (!s->is_unsure && (s->quota.is_ours || !wants_quota(d, s)) &&
                    (s->weight.is_ours || !wants_weight(d, s)))
                        continue;
                s->is_unsure = true;
                if (n_asked == ROUND_WRITES_MAX || s->has_failed || (a->is_urgent_only && !s->is_urgent))
                        continue;
                if (systemd_manager_refresh(d->systemd, s->unit, on_looked, a) < 0)
                        continue;
                a->n_looking++;
                n_asked++;
        }
        on_looked(a, NULL, 0);
}

void actuate(struct daemon *d)
{
        struct actuation *a;

        if (d->mode != CONFIG_MODE_ENFORCE || d->actuation || d->is_stopping || !d->is_ready)
                return;
        d->is_round_due = d->release != NULL;
        if (d->is_round_due)
                return;
        a = actuation_new(d);
        if (!a)
                return;
        /* Frozen is frozen, but for a capacity that shrank: quotas that are a partition follow it. */
        if (d->is_frozen && sum_in_force_milli(a) <= actuate_budget_milli(d)) {
                actuation_free(a);
                return;
        }
        d->actuation = a;
        look(a);
}

/* ---- other people's changes -------------------------------------------------------------------- */

static void surrender(struct daemon *d, struct service *s, struct managed_value *v, const char *property)
{
        const char *units[] = { s->unit };

        v->is_foreign = true;
        service_forget_allocation(s);
        log_unit(LOG_WARNING, MSG_UNIT_FOREIGN, s->unit,
                 "Someone else changed %s= of %s: it is theirs now and is left alone until \"coallocctl adopt %s\".",
                 property, s->unit, s->unit);
        (void)release_units(d, units, 1, false, NULL, NULL);
}

/* Is what systemd has now ours? A change of ours that seemed to fail may have come about late. A
 * daemon-reload, or a new start of the unit, can bring back what was there before us (a drop-in of ours
 * that was removed): that is no one's decision about this value, it is put right. */
static bool is_ours_still(struct managed_value *v, uint64_t property, const struct state_value *record,
                          bool may_have_fallen_back)
{
        if (!v->is_ours || property == v->applied)
                return true;
        if (property != record->applied && property != record->intended &&
            !(may_have_fallen_back && property == record->prior))
                return false;
        v->applied = property;
        return true;
}

static void on_suspect_read(void *userdata, const char *unit, int error)
{
        struct daemon *d = userdata;
        struct service *s = services_find(d, unit);
        const struct state_record *record = state_file_find(&d->state, unit);
        const char *units[] = { unit };
        bool may_have_fallen_back;

        if (!s)
                return;
        s->is_checking = false;
        may_have_fallen_back = s->may_have_fallen_back || s->is_fresh_cgroup ||
                               systemd_manager_has_reloaded(d->systemd);
        s->may_have_fallen_back = false;
        if (error < 0 || !record || !s->systemd || !s->systemd->is_active || s->is_releasing)
                return;

        if (!is_ours_still(&s->quota, s->systemd->quota_usec_per_sec, &record->quota, may_have_fallen_back)) {
                if (!s->is_fresh_cgroup)
                        surrender(d, s, &s->quota, "CPUQuota");
                else
                        (void)release_units(d, units, 1, false, NULL, NULL);
        } else if (!is_ours_still(&s->weight, s->systemd->cpu_weight, &record->weight,
                                  may_have_fallen_back)) {
                if (!s->is_fresh_cgroup)
                        surrender(d, s, &s->weight, "CPUWeight");
                else
                        (void)release_units(d, units, 1, false, NULL, NULL);
        } else
                /* systemd is with us: what the kernel has instead is to be overwritten. */
                s->is_refused = !kernel_agrees(s);
}

/* A quota below a burst of ours is refused by the kernel, and PID 1 tells only its journal: cpu.max stays ours while
 * systemd's property is somebody's already. */
static bool is_overwritten_unseen(struct daemon *d, const struct service *s)
{
        const struct state_record *record = state_file_find(&d->state, s->unit);

        return s->quota.is_ours && record && record->burst.is_ours && record->burst.applied > 0 &&
               give_back_quota_is_overwritten(d->root, record);
}

static void check_foreign(struct daemon *d, struct service *s)
{
        struct managed_value quota = s->quota, weight = s->weight;

        if (s->is_checking)
                return;
        read_back(s);
        if (is_overwritten_unseen(d, s) || burst_left_behind(s)) {
                s->is_checking = systemd_manager_refresh(d->systemd, s->unit, on_suspect_read, d) >= 0;
                return;
        }
        if (!(s->quota.is_ours || s->weight.is_ours) || kernel_agrees(s)) {
                s->is_refused = s->may_have_fallen_back = false;
                return;
        }
        /* Still what it was when systemd was asked last: nobody came between. */
        if (s->is_refused && !s->may_have_fallen_back && quota.read == s->quota.read &&
            weight.read == s->weight.read)
                return;
        s->is_checking = systemd_manager_refresh(d->systemd, s->unit, on_suspect_read, d) >= 0;
}

void actuate_check_foreign(struct daemon *d, bool after_reload)
{
        for (size_t i = 0; i < d->n_services; i++) {
                struct service *s = d->services[i];

                if (!s->systemd || !s->systemd->is_active || s->is_releasing)
                        continue;
                s->may_have_fallen_back |= after_reload;
                check_foreign(d, s);
        }
}

void actuate_adopt(struct daemon *d, struct service *s)
{
        s->quota.is_foreign = s->weight.is_foreign = s->burst.is_foreign = false;
        log_unit(LOG_NOTICE, MSG_UNIT_MANAGED, s->unit, "%s is adopted: managed again from the next epoch on.",
                 s->unit);
}
