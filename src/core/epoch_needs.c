/* SPDX-License-Identifier: MIT */

#include "core/epoch_internal.h"

#include "core/demand.h"

/* Reports give a service its latency model, the model gives its targets a need, and what it then holds shows in
 * its next report. So that nothing runs in a circle, the work of a request follows only from reports that tell
 * it, and needs only from work and loads. */

/* ---- the model of one service ------------------------------------------------------------------ */

double epoch_queueing_milli(const struct epoch_service *s)
{
        return s->is_elastic ? fmin(s->load_milli, s->need_milli) : s->load_milli;
}

/* The queue of a service in overload has grown for as long as that has lasted, and is not gone when it ends: its
 * latency belongs to no amount of CPU, and bounds the work of a request from above. */
static bool was_overloaded(const struct epoch_service *s, const struct latency_model *m)
{
        double least_milli = s->latency_at_milli;

        for (size_t age = 0; age < EPOCH_RECENT; age++)
                if (s->recent_milli[age] >= 0)
                        least_milli = fmin(least_milli, (double)s->recent_milli[age]);
        return least_milli < m->load_milli + m->margin_milli;
}

/* So does the tenth of a latency that is taken for its own where it does little but wait for others. */
static bool is_mostly_waiting(const struct epoch_service *s, const struct latency_model *m)
{
        return s->other_ms > m->other_ms;
}

bool epoch_calibrate(const struct epoch_service *s, struct latency_model *ret, bool *ret_is_told)
{
        struct latency_model m, known;
        bool holds_known = false;

        if (!s->is_known || !(s->latency_ms > 0) ||
            latency_calibrate(epoch_queueing_milli(s), s->other_ms, s->latency_ms, s->latency_at_milli, &m) < 0)
                return false;
        known = m;
        known.work_milli_ms = s->work_milli_ms;
        *ret_is_told = s->is_work_told;
        if (was_overloaded(s, &m))
                holds_known = s->is_work_told || known.work_milli_ms < m.work_milli_ms;
        else if (is_mostly_waiting(s, &m))
                holds_known = known.work_milli_ms < m.work_milli_ms;
        else
                *ret_is_told = true;
        *ret = holds_known && latency_model_is_valid(&known) ? known : m;
        return true;
}

void epoch_remember_work(const struct epoch_service *s, double *ret_work_milli_ms, bool *ret_is_told)
{
        struct latency_model m;

        *ret_work_milli_ms = s->work_milli_ms;
        *ret_is_told = s->is_work_told;
        /* The load of who takes whatever is spare is no queue's. */
        if (!s->is_elastic && epoch_calibrate(s, &m, ret_is_told))
                *ret_work_milli_ms = m.work_milli_ms;
}

/* ---- what demand.c says ------------------------------------------------------------------------- */

/* Above any host; an infinite need would not be finite input. */
#define NEED_MAX_MILLI 1e12

void epoch_take_estimate(struct epoch_service *s, const struct demand_estimate *e)
{
        s->need_milli = fmin(e->need_milli, NEED_MAX_MILLI);
        s->load_milli = e->load_milli;
        s->has_use = e->is_known;
        s->use_milli = e->use_mean_milli;
        s->hardship = e->hardship;
        s->is_elastic = e->is_elastic;
        /* A service that is starting is not stale: its grace is its need. */
        s->is_known = e->is_known || e->reason == DEMAND_STARTING;
}

/* What its load needs may be too little for its target: a queue needs room. */
void epoch_raise_need(struct epoch_service *s, struct demand_estimate *e)
{
        if (!e->is_known || s->target_need_milli <= s->need_milli)
                return;
        s->need_milli = e->need_milli = s->target_need_milli;
        e->reason = DEMAND_LATENCY_TARGET;
}

/* ---- the needs of targets ----------------------------------------------------------------------- */

/* The least CPU that meets its targets; 0 where none does, or it has none. */
static double need_of_targets(const struct epoch_service *s, const struct latency_model *m)
{
        struct slo own = { .target_ms = s->target_ms, .latency = *m };
        struct slo part = { .target_ms = s->part_ms, .latency = *m };
        double need_milli = 0;

        own.latency.other_ms = s->callees_ms;
        part.latency.other_ms = 0;
        if (s->target_ms > 0)
                need_milli = slo_need_milli(&own);
        if (s->part_ms > 0)
                need_milli = fmax(need_milli, slo_need_milli(&part));
        return fmin(need_milli, most_of(s));
}

/* Whom it waits for has been through this. */
static void find_need_of_targets(struct epoch_service *s)
{
        struct latency_model m;
        bool is_told;

        s->reference_ms = s->target_need_milli = 0;
        if (!epoch_calibrate(s, &m, &is_told))
                return;
        if (!s->is_elastic)
                s->target_need_milli = need_of_targets(s, &m);
        m.other_ms = s->callees_ms;
        s->reference_ms = latency_ms(&m, fmax(DEMAND_MARGIN * s->load_milli, s->target_need_milli));
}

void epoch_read_waits(struct epoch_service services[], size_t n, const struct call waits[], size_t n_waits)
{
        for (size_t i = 0; i < n; i++) {
                services[i].other_ms = services[i].callees_ms = 0;
                services[i].reference_ms = NAN;
        }
        for (size_t k = 0; k < n_waits; k++) {
                struct epoch_service *caller = &services[waits[k].caller], *callee = &services[waits[k].callee];

                if (isnan(callee->reference_ms))
                        find_need_of_targets(callee);
                if (caller->latency_ms > 0)
                        caller->other_ms += callee->latency_ms;
                caller->callees_ms += callee->reference_ms;
        }
        for (size_t i = 0; i < n; i++)
                if (isnan(services[i].reference_ms))
                        find_need_of_targets(&services[i]);
}
