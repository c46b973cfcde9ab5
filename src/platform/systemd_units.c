/* SPDX-License-Identifier: MIT */
#include "platform/systemd_units.h"

#include "platform/systemd_internal.h"

#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

struct systemd_reading {
        struct systemd_call call;
        struct systemd_entry *entry;    /* NULL once nobody wants the answer */
        bool is_awaited;                /* SYSTEMD_LISTED waits for it */
};

static void tell_changed(struct systemd_manager *m, struct systemd_entry *e)
{
        if (e->is_reported)
                systemd_emit(m, SYSTEMD_UNIT_CHANGED, &e->unit);
}

static void tell_found(struct systemd_manager *m, struct systemd_entry *e)
{
        if (!e->is_wanted || e->is_reported)
                return;
        e->is_reported = true;
        systemd_emit(m, SYSTEMD_UNIT_FOUND, &e->unit);
}

/* ---- services that start ----------------------------------------------------------------------- */

/* Adds to or takes from all slices around a service; tells of them. */
static void count_in_slices(struct systemd_manager *m, struct systemd_entry *e, bool counts)
{
        char name[SYSTEMD_NAME_SIZE];

        e->is_counted = counts;
        if (counts)
                m->units.n_counted++;
        else
                m->units.n_counted--;

        if (strlen(e->slice) >= sizeof name)
                return;
        strcpy(name, e->slice);
        do {
                struct systemd_entry *slice = systemd_table_find(&m->units.table, name);
                if (slice == NULL)
                        continue;
                if (counts)
                        slice->unit.n_starting++;
                else if (slice->unit.n_starting > 0)
                        slice->unit.n_starting--;
                tell_changed(m, slice);
        } while (systemd_slice_to_parent(name));
}

/* Brings the counts of the slices in line with the state of one service. */
static void count(struct systemd_manager *m, struct systemd_entry *e)
{
        bool counts = e->unit.type == SYSTEMD_SERVICE && e->state == SYSTEMD_STARTING &&
                      e->slice != NULL;

        if (counts != e->is_counted)
                count_in_slices(m, e, counts);
}

/* Takes over @slice, which is malloc'd or NULL. */
static void set_slice(struct systemd_manager *m, struct systemd_entry *e, char *slice)
{
        if (e->is_counted && (slice == NULL || strcmp(slice, e->slice) != 0))
                count_in_slices(m, e, false);
        free(e->slice);
        e->slice = slice;
        e->unit.slice = slice != NULL ? slice : "";
        count(m, e);
}

/* Only where a service lives that is starting matters of one that nobody wants. */
static bool lacks_slice(const struct systemd_entry *e)
{
        return !e->is_wanted && e->unit.type == SYSTEMD_SERVICE && e->state == SYSTEMD_STARTING &&
               e->slice == NULL;
}

/* ---- the table --------------------------------------------------------------------------------- */

struct systemd_entry *systemd_units_find(struct systemd_manager *m, const char *name)
{
        struct systemd_entry *e = systemd_table_find(&m->units.table, name);

        return e != NULL && e->is_reported ? e : NULL;
}

int systemd_units_ensure(struct systemd_manager *m, const char *name, struct systemd_entry **ret)
{
        struct systemd_table *t = &m->units.table;
        struct systemd_entry *e = systemd_table_find(t, name);
        int r;

        if (e == NULL) {
                r = systemd_table_add(t, name, &e);
                if (r < 0)
                        return r;
                e->is_wanted = systemd_wants(m, name);
                /* A slice may come to our knowledge after the services that start in it. */
                if (e->unit.type == SYSTEMD_SLICE && m->units.n_counted > 0)
                        for (struct systemd_entry *s = NULL; (s = systemd_table_next(t, s)) != NULL;)
                                if (s->is_counted && systemd_slice_contains(name, s->slice))
                                        e->unit.n_starting++;
        }
        *ret = e;
        return 0;
}

/* ---- readings ---------------------------------------------------------------------------------- */

static void answer(struct systemd_manager *m, struct systemd_entry *e,
                   struct systemd_waiters *waiters, int error)
{
        struct systemd_waiter *w;

        while (!m->is_dead && (w = STAILQ_FIRST(waiters)) != NULL) {
                STAILQ_REMOVE_HEAD(waiters, link);
                w->done(w->ctx, e->unit.name, error);
                free(w);
        }
}

/* For units that systemd_manager_refresh() refuses by now: it ends. */
static void answer_all(struct systemd_manager *m, struct systemd_entry *e, int error)
{
        answer(m, e, &e->served, error);
        answer(m, e, &e->waiters, error);
}

/* The reading is over, or its answer is nobody's. */
static void part_from_reading(struct systemd_manager *m, struct systemd_reading *r)
{
        r->entry->reading = NULL;
        r->entry = NULL;
        if (r->is_awaited) {
                r->is_awaited = false;
                m->units.n_awaited--;
                systemd_request_turn(m);
        }
}

static void drop_reading(struct systemd_manager *m, struct systemd_entry *e)
{
        struct systemd_reading *r = e->reading;

        if (r == NULL)
                return;
        part_from_reading(m, r);
        if (systemd_call_is_queued(&r->call))
                systemd_call_drop(&r->call);
}

static int make_reading(struct systemd_call *c, sd_bus *bus, sd_bus_message **ret)
{
        struct systemd_entry *e = ((struct systemd_reading *)c)->entry;

        STAILQ_CONCAT(&e->served, &e->waiters);
        return systemd_message_new_read(bus, ret, e->unit.name, e->is_wanted);
}

static void end_reading(struct systemd_call *c, sd_bus_message *reply, int error);

/* Queues a reading unless one is queued or in flight. */
static void want_reading(struct systemd_manager *m, struct systemd_entry *e)
{
        static const struct systemd_call_type type = { .make = make_reading, .end = end_reading };
        struct systemd_reading *r;

        /* Replies and signals come in the order in which they were made: what a signal tells, a
         * reply that is still to come knows. */
        if (e->reading != NULL)
                return;
        r = systemd_call_new(m, &type, sizeof *r);
        if (r == NULL) {
                e->is_stale = m->units.has_stale = true;
                systemd_request_turn(m);
                return;
        }
        r->entry = e;
        e->reading = r;
        systemd_call_queue(&r->call);
}

int systemd_units_refresh(struct systemd_manager *m, struct systemd_entry *e,
                          void (*done)(void *ctx, const char *unit, int error), void *ctx)
{
        struct systemd_waiter *w = malloc(sizeof *w);

        if (w == NULL)
                return -ENOMEM;
        *w = (struct systemd_waiter) { .done = done, .ctx = ctx };
        STAILQ_INSERT_TAIL(&e->waiters, w, link);
        want_reading(m, e);
        return 0;
}

static void read_and_await(struct systemd_manager *m, struct systemd_entry *e)
{
        want_reading(m, e);
        if (e->reading != NULL && !e->reading->is_awaited) {
                e->reading->is_awaited = true;
                m->units.n_awaited++;
        }
}

/* ---- states ------------------------------------------------------------------------------------ */

/* Return: is n_starting another one? */
static bool put_state(struct systemd_entry *e, enum systemd_state state)
{
        unsigned n_starting = state == SYSTEMD_STARTING;

        e->state = state;
        if (e->unit.type == SYSTEMD_SLICE || n_starting == e->unit.n_starting)
                return false;
        e->unit.n_starting = n_starting;
        return true;
}

static void put_down(struct systemd_manager *m, struct systemd_entry *e)
{
        e->unit.is_active = false;
        e->unit.control_group = "";
        e->unit.invocation_id = SD_ID128_NULL;
        count(m, e);
}

static void set_state(struct systemd_manager *m, struct systemd_entry *e, enum systemd_state state)
{
        enum systemd_state before = e->state;
        bool is_changed;

        if (state == before)
                return;
        is_changed = put_state(e, state);

        if (state == SYSTEMD_DOWN) {
                if (e->reading != NULL && systemd_call_is_queued(&e->reading->call))
                        drop_reading(m, e);
                is_changed = is_changed || e->unit.is_active;
                put_down(m, e);
                /* It may live elsewhere when it starts again. */
                if (!e->is_wanted)
                        set_slice(m, e, NULL);
                if (e->reading == NULL)
                        answer_all(m, e, -ESRCH);
        } else {
                bool is_news = before == SYSTEMD_DOWN || state == SYSTEMD_STARTING ||
                               (state == SYSTEMD_UP && before != SYSTEMD_RELOADING);
                if (e->is_wanted ? is_news : lacks_slice(e))
                        want_reading(m, e);
                count(m, e);
        }

        if (is_changed)
                tell_changed(m, e);
}

void systemd_units_remove(struct systemd_manager *m, struct systemd_entry *e)
{
        systemd_table_take(&m->units.table, e);
        drop_reading(m, e);
        e->state = SYSTEMD_DOWN;
        put_down(m, e);
        answer_all(m, e, -ESRCH);
        if (e->is_reported)
                systemd_emit(m, SYSTEMD_UNIT_LOST, &e->unit);
        systemd_entry_free(e);
}

void systemd_units_ask(struct systemd_manager *m, struct systemd_entry *e)
{
        bool is_wanted = systemd_wants(m, e->unit.name), was_reported = e->is_reported;

        if (is_wanted == e->is_wanted)
                return;
        drop_reading(m, e);
        e->is_wanted = is_wanted;
        e->is_stale = true;
        e->is_reported = false;
        answer_all(m, e, -ESRCH);
        if (was_reported)
                systemd_emit(m, SYSTEMD_UNIT_LOST, &e->unit);
        e->unit.userdata = NULL;
}

/* ---- news -------------------------------------------------------------------------------------- */

void systemd_units_take_listed(struct systemd_manager *m, struct systemd_entry *e,
                               enum systemd_state state, bool read_again)
{
        bool is_stale = e->is_stale || read_again;

        e->is_stale = false;
        set_state(m, e, state);
        if (state == SYSTEMD_DOWN)
                tell_found(m, e);
        else if (e->is_wanted ? is_stale || e->reading != NULL : lacks_slice(e))
                read_and_await(m, e);
}

void systemd_units_take_change(struct systemd_manager *m, const char *name,
                               const struct systemd_properties *p)
{
        enum systemd_state state = systemd_state_from_string(p->active_state, p->sub_state);
        struct systemd_entry *e;

        /* What is down and unknown comes and goes: a listing will show it if it stays. */
        if (state == SYSTEMD_DOWN && systemd_table_find(&m->units.table, name) == NULL)
                return;
        if (systemd_units_ensure(m, name, &e) < 0)
                return;
        /* A restart so fast that the state looks as before. */
        bool is_restarted = p->has_invocation_id && e->is_wanted && state != SYSTEMD_DOWN &&
                            !sd_id128_equal(p->invocation_id, e->unit.invocation_id);
        set_state(m, e, state);
        if (is_restarted)
                want_reading(m, e);
}

static int take_properties(struct systemd_manager *m, struct systemd_entry *e, sd_bus_message *reply)
{
        struct systemd_properties p = {
                .quota_usec_per_sec = SYSTEMD_UNSET,
                .cpu_weight = SYSTEMD_UNSET,
        };
        _cleanup_free_ char *slice = NULL, *control_group = NULL;
        int r;

        r = systemd_message_read_properties(reply, &p);
        if (r < 0)
                return r;
        if (p.active_state == NULL || p.control_group == NULL)
                return -EBADMSG;

        enum systemd_state state = systemd_state_from_string(p.active_state, p.sub_state);
        if (state == SYSTEMD_DOWN) {
                set_state(m, e, state);
                return 0;
        }

        slice = strdup(p.slice != NULL ? p.slice : "");
        control_group = strdup(p.control_group);
        if (slice == NULL || control_group == NULL)
                return -ENOMEM;

        bool is_changed = !e->unit.is_active || strcmp(e->unit.control_group, control_group) != 0 ||
                          strcmp(e->unit.slice, slice) != 0 ||
                          !sd_id128_equal(e->unit.invocation_id, p.invocation_id);
        free(e->control_group);
        e->unit.control_group = e->control_group = TAKE_PTR(control_group);
        e->unit.invocation_id = p.invocation_id;
        e->unit.is_active = true;
        e->unit.is_transient = p.is_transient != 0;
        e->unit.quota_usec_per_sec = p.quota_usec_per_sec;
        e->unit.cpu_weight = p.cpu_weight;

        /* Not by set_state(): a state that moved on before its signal has just been read. */
        is_changed = put_state(e, state) || is_changed;
        set_slice(m, e, TAKE_PTR(slice));
        if (is_changed)
                tell_changed(m, e);
        return 0;
}

static int take_slice(struct systemd_manager *m, struct systemd_entry *e, sd_bus_message *reply)
{
        const char *slice;
        int r;

        /* Down again before we knew: it may live elsewhere when it starts again. */
        if (e->state == SYSTEMD_DOWN)
                return 0;
        r = sd_bus_message_read(reply, "v", "s", &slice);
        if (r < 0)
                return r;
        char *copy = strdup(slice);
        if (copy == NULL)
                return -ENOMEM;
        set_slice(m, e, copy);
        return 0;
}

static void end_reading(struct systemd_call *c, sd_bus_message *reply, int error)
{
        struct systemd_manager *m = c->manager;
        struct systemd_entry *e = ((struct systemd_reading *)c)->entry;

        if (e == NULL)
                return;
        part_from_reading(m, e->reading);
        if (error == 0)
                error = e->is_wanted ? take_properties(m, e, reply) : take_slice(m, e, reply);
        if (error == 0)
                tell_found(m, e);
        else if (error == -ESRCH) {
                systemd_units_remove(m, e);
                return;
        } else if (error != -ECONNRESET)
                e->is_stale = m->units.has_stale = true;

        /* Judged after the state was taken: it may have gone down meanwhile. */
        if (e->state == SYSTEMD_DOWN)
                answer_all(m, e, -ESRCH);
        else if (m->bus == NULL)
                answer_all(m, e, error);
        else {
                /* Who wished while the reading was in flight wants another one. */
                if (!STAILQ_EMPTY(&e->waiters))
                        want_reading(m, e);
                answer(m, e, &e->served, error);
        }
}
