/* SPDX-License-Identifier: MIT */

#include "daemon/guard.h"

#include "daemon/actuate.h"
#include "daemon/services.h"
#include "util/journal.h"
#include "util/parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names of units that gave room, as many as a line of log should have. */
#define LENDERS_SHOWN 3
#define LENDERS_TEXT_SIZE 1024
/* A poll that comes later than this is late by as much as a period. */
#define TIMER_ACCURACY_USEC 5000

struct guard {
        sd_event_source *poll_timer, *recheck_timer;
        uint64_t next_poll_usec;
        bool is_polling;
        bool is_due;                    /* somebody is to be raised once the round under way has ended */
        char lenders[LENDERS_TEXT_SIZE]; /* of the last raises */

        /* Who takes part in the plan; room for n_allocated of each. */
        struct service **units;
        struct guard_unit *inputs;
        int64_t *quota_milli;
        size_t n_units, n_allocated;
};

/* ---- who is looked at -------------------------------------------------------------------------- */

static bool may_touch(const struct daemon *d)
{
        return d->mode == CONFIG_MODE_ENFORCE && d->config->enforce != ENFORCE_WEIGHT && !d->is_frozen &&
               !d->is_stopping;
}

static bool has_ceiling(const struct service *s)
{
        return s->quota.is_ours && s->quota.applied != USEC_UNSET && s->has_decision &&
               s->reader.stat_fd >= 0 && service_plays(s);
}

/* Reads one unit. Return: is it one that can be guarded? */
static bool poll_unit(struct service *s)
{
        struct kernel_bandwidth now;
        uint64_t now_usec;

        if (cgroup_reader_bandwidth(&s->reader, &now) < 0)
                return false;
        now_usec = daemon_clock_usec();
        if (!s->is_guarded)
                s->guard = (struct guard_state){ 0 };
        s->alarm = guard_observe(&s->guard, now_usec, now.nr_periods, now.nr_throttled,
                                 service_was_written_since(s, s->polled_usec));
        s->polled_usec = now_usec;
        return true;
}

/* ---- raising ----------------------------------------------------------------------------------- */

static int make_room(struct guard *g, size_t n)
{
        struct service **units;
        struct guard_unit *inputs;
        int64_t *quota_milli;

        if (n <= g->n_allocated)
                return 0;
        n += n / 2;
        units = reallocarray(g->units, n, sizeof *units);
        g->units = units ?: g->units;
        inputs = reallocarray(g->inputs, n, sizeof *inputs);
        g->inputs = inputs ?: g->inputs;
        quota_milli = reallocarray(g->quota_milli, n, sizeof *quota_milli);
        g->quota_milli = quota_milli ?: g->quota_milli;
        if (!units || !inputs || !quota_milli)
                return -ENOMEM;
        g->n_allocated = n;
        return 0;
}

/* The largest of the last seconds. What is not known is not lent: its load, as far as that was ever known. */
static double use_milli_of(const struct service *s)
{
        double use_milli = demand_recent_use_milli(&s->demand);

        return use_milli < 0 ? s->estimate.load_milli : use_milli;
}

static void gather(struct daemon *d, struct guard *g)
{
        g->n_units = 0;
        for (size_t i = 0; i < d->n_services; i++) {
                struct service *s = d->services[i];
                bool plays = service_plays(s) && s->has_decision;
                int64_t ceiling_milli = quota_milli_from_usec(actuate_quota_in_force(s));
                double use_milli = use_milli_of(s);

                if (!s->config || !actuate_takes_part(s))
                        continue;
                g->units[g->n_units] = s;
                g->inputs[g->n_units++] = (struct guard_unit){
                        .alarm = s->is_guarded ? s->alarm : GUARD_CALM,
                        .ceiling_milli = ceiling_milli,
                        .planned_milli = s->has_decision ? s->decision.quota_milli : QUOTA_NONE_MILLI,
                        .alloc_milli = s->has_decision && s->decision.alloc_milli > 0 ? s->decision.alloc_milli : 0,
                        .load_milli = s->estimate.load_milli,
                        .keep_milli = guard_keep_milli(s->input.baseline_milli, s->decision.need_milli, use_milli,
                                                       s->has_burst),
                        .use_milli = use_milli,
                        .max_milli = fmin(s->max_milli, s->bound_milli),
                        .may_write = plays && actuate_may_write(s),
                        .is_quiet = s->is_guarded && guard_may_lower(&s->guard),
                        .was_recalled = guard_was_recalled(&s->raises, ceiling_milli, use_milli),
                };
        }
}

static void name_lenders(struct guard *g)
{
        size_t n_lenders = 0, used = 0;

        for (size_t i = 0; i < g->n_units; i++) {
                if (g->quota_milli[i] < 0 || g->quota_milli[i] >= g->inputs[i].ceiling_milli)
                        continue;
                if (n_lenders++ < LENDERS_SHOWN)
                        used += (size_t)snprintf(g->lenders + used, sizeof g->lenders - used, "%s%s",
                                                 used > 0 ? ", " : "", g->units[i]->unit);
        }
        if (n_lenders > LENDERS_SHOWN)
                (void)snprintf(g->lenders + used, sizeof g->lenders - used, " and %zu more",
                               n_lenders - LENDERS_SHOWN);
        if (n_lenders == 0)
                (void)snprintf(g->lenders, sizeof g->lenders, "nobody: there was some left");
}

static double throttled_share(const struct guard_state *g)
{
        uint32_t known = (UINT32_C(1) << g->n_recent) - 1;

        return g->n_recent > 0 ? (double)__builtin_popcount(g->recent & known) / g->n_recent : 0;
}

static void raise_throttled(struct daemon *d)
{
        struct guard *g = d->guard;
        struct guard_rules rules = {
                .mode = d->config->enforce,
                .capacity_milli = d->capacity_milli,
                .budget_milli = fmin(actuate_budget_milli(d), d->outcome.bargained_milli),
                .headroom_milli = milli_from_usec(d->config->headroom.usec_per_sec),
        };

        g->is_due = actuate_is_busy(d);
        if (g->is_due || make_room(g, d->n_services) < 0)
                return;
        gather(d, g);
        if (guard_plan(&rules, g->inputs, g->n_units, g->quota_milli) == 0)
                return;
        name_lenders(g);
        for (size_t i = 0; i < g->n_units; i++) {
                struct service *s = g->units[i];

                if (g->quota_milli[i] < 0)
                        continue;
                s->quota.wanted = usec_from_quota_milli(g->quota_milli[i]);
                s->is_urgent = true;
                /* Until the reply: what the counters said when this was decided. */
                s->raise.throttled_share = throttled_share(&s->guard);
        }
        actuate(d);
}

void guard_raised(struct daemon *d, struct service *s, uint64_t from_usec_per_sec)
{
        /* Raises that go on, epoch after epoch, are no news: they are counted, and --debug shows them. */
        int priority = s->n_raises > 0 && d->epoch.epoch <= s->raise_epoch + 1 ? LOG_DEBUG : LOG_INFO;

        s->raise.at_usec = daemon_clock_usec();
        s->raise.from = from_usec_per_sec;
        s->raise.to = s->quota.applied;
        guard_note_raise(&s->raises, quota_milli_from_usec(s->raise.from), quota_milli_from_usec(s->raise.to));
        s->raise_epoch = d->epoch.epoch;
        s->n_raises++;
        d->n_raises++;
        journal_log(priority,
                    &(struct journal_fields){
                            .message_id = MSG_GUARD_RAISED,
                            .unit = s->unit,
                            .reason = "guard",
                            .epoch = d->epoch.epoch,
                            .quota_usec_per_sec = s->raise.to,
                            .previous_usec_per_sec = s->raise.from,
                    },
                    "%s was throttled in %.0f%% of the last periods: CPUQuota= goes from %s to %s at once. Room was taken from %s.",
                    s->unit, 100 * s->raise.throttled_share, FORMAT_CPU(s->raise.from),
                    FORMAT_CPU(s->raise.to), d->guard->lenders);
}

void guard_lowered(struct service *s, uint64_t from_usec_per_sec)
{
        guard_note_lowering(&s->raises, quota_milli_from_usec(from_usec_per_sec),
                            quota_milli_from_usec(s->quota.applied), use_milli_of(s));
}

void guard_epoch_passed(struct daemon *d)
{
        for (size_t i = 0; i < d->n_services; i++)
                guard_note_epoch(&d->services[i]->raises);
        guard_follow(d);
}

void guard_after_round(struct daemon *d)
{
        guard_follow(d);
        if (d->guard->is_due && may_touch(d))
                raise_throttled(d);
        d->guard->is_due = d->guard->is_due && actuate_is_busy(d);
}

/* ---- the clock --------------------------------------------------------------------------------- */

static void arm(sd_event_source *timer, uint64_t usec)
{
        (void)sd_event_source_set_time(timer, usec);
        (void)sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

/* Who was looked at before is looked at anew when polling starts again. */
static void stop_polling(struct daemon *d)
{
        d->guard->is_polling = d->guard->is_due = false;
        (void)sd_event_source_set_enabled(d->guard->poll_timer, SD_EVENT_OFF);
        (void)sd_event_source_set_enabled(d->guard->recheck_timer, SD_EVENT_OFF);
        for (size_t i = 0; i < d->n_services; i++)
                d->services[i]->is_guarded = false;
}

/* One look at all who have a ceiling, or at those under suspicion alone. */
static void poll_all(struct daemon *d, bool only_suspects)
{
        bool has_alarm = false, has_suspect = false, has_any = false;

        for (size_t i = 0; i < d->n_services; i++) {
                struct service *s = d->services[i];

                if (only_suspects && !(s->is_guarded && s->alarm == GUARD_SUSPECT))
                        continue;
                if (!has_ceiling(s)) {
                        s->is_guarded = false;
                        continue;
                }
                has_any = true;
                s->is_guarded = poll_unit(s);
                if (!s->is_guarded)
                        continue;
                has_suspect |= s->alarm == GUARD_SUSPECT;
                if (s->alarm < GUARD_THROTTLED)
                        continue;
                guard_note_alarm(&s->raises);
                has_alarm = true;
        }
        if (!has_any && !only_suspects) {
                stop_polling(d);
                return;
        }
        if (has_suspect)
                arm(d->guard->recheck_timer, daemon_now_usec(d) + GUARD_RECHECK_USEC);
        if (has_alarm)
                raise_throttled(d);
}

static int on_recheck(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct daemon *d = userdata;

        if (may_touch(d))
                poll_all(d, true);
        return 0;
}

static int on_poll(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct daemon *d = userdata;
        struct guard *g = d->guard;

        if (!may_touch(d)) {
                stop_polling(d);
                return 0;
        }
        poll_all(d, false);
        if (!g->is_polling)
                return 0;
        /* Absolute times; polls that were missed are not made up for. */
        g->next_poll_usec += GUARD_POLL_USEC;
        if (g->next_poll_usec <= daemon_now_usec(d))
                g->next_poll_usec = daemon_now_usec(d) + GUARD_POLL_USEC;
        arm(source, g->next_poll_usec);
        return 0;
}

void guard_follow(struct daemon *d)
{
        struct guard *g = d->guard;
        bool has_any = false;

        if (g->is_polling || !may_touch(d))
                return;
        for (size_t i = 0; i < d->n_services && !has_any; i++)
                has_any = has_ceiling(d->services[i]);
        if (!has_any)
                return;
        g->is_polling = true;
        g->next_poll_usec = daemon_now_usec(d) + GUARD_POLL_USEC;
        arm(g->poll_timer, g->next_poll_usec);
}

static int add_timer(struct daemon *d, sd_event_source **ret, sd_event_time_handler_t handler, const char *name)
{
        int r;

        r = sd_event_add_time(d->event, ret, CLOCK_MONOTONIC, UINT64_MAX, TIMER_ACCURACY_USEC, handler, d);
        if (r < 0)
                return r;
        (void)sd_event_source_set_description(*ret, name);
        /* As sampling: a late look is a late answer. */
        r = sd_event_source_set_priority(*ret, SD_EVENT_PRIORITY_IMPORTANT);
        return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

int guard_start(struct daemon *d)
{
        int r;

        d->guard = calloc(1, sizeof *d->guard);
        if (!d->guard)
                return -ENOMEM;
        r = add_timer(d, &d->guard->poll_timer, on_poll, "guard");
        return r < 0 ? r : add_timer(d, &d->guard->recheck_timer, on_recheck, "guard-recheck");
}

void guard_free(struct daemon *d)
{
        if (!d->guard)
                return;
        (void)sd_event_source_unref(d->guard->poll_timer);
        (void)sd_event_source_unref(d->guard->recheck_timer);
        free(d->guard->units);
        free(d->guard->inputs);
        free(d->guard->quota_milli);
        free(d->guard);
        d->guard = NULL;
}
