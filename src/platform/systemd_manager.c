/* SPDX-License-Identifier: MIT */
#include "platform/systemd_manager.h"

#include "platform/systemd_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Timers share wake-ups within this. sd-event would take 0 for 250 ms. */
#define TIMER_ACCURACY_USEC (5 * UINT64_C(1000))

/* ---- lifetime ---------------------------------------------------------------------------------- */

void systemd_ref(struct systemd_manager *m)
{
        m->n_refs++;
}

void systemd_unref(struct systemd_manager *m)
{
        if (--m->n_refs > 0)
                return;

        systemd_calls_free(&m->calls);
        systemd_table_free(&m->units.table);
        systemd_listing_lose(m);
        systemd_bus_free(&m->link);
        sd_event_source_unref(m->turn);
        sd_event_source_unref(m->timer);
        sd_event_unref(m->event);
        free(m);
}

struct systemd_manager *systemd_manager_free(struct systemd_manager *m)
{
        if (m == NULL)
                return NULL;

        /* We may be inside one of our own callbacks: what these still hold goes with the last
         * reference, everything that could call back goes now. */
        m->is_dead = true;
        systemd_calls_silence(m);
        systemd_bus_close(m);
        if (m->turn != NULL)
                (void)sd_event_source_set_enabled(m->turn, SD_EVENT_OFF);
        if (m->timer != NULL)
                (void)sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
        systemd_unref(m);
        return NULL;
}

/* ---- the loop ---------------------------------------------------------------------------------- */

uint64_t systemd_now_usec(struct systemd_manager *m)
{
        uint64_t now = 0;

        (void)sd_event_now(m->event, CLOCK_MONOTONIC, &now);
        return now;
}

void systemd_request_turn(struct systemd_manager *m)
{
        if (!m->is_dead)
                (void)sd_event_source_set_enabled(m->turn, SD_EVENT_ONESHOT);
}

bool systemd_wants(struct systemd_manager *m, const char *unit)
{
        return !m->is_dead && m->follower.wants(m->follower.ctx, unit);
}

void systemd_emit(struct systemd_manager *m, enum systemd_event event, struct systemd_unit *unit)
{
        if (!m->is_dead)
                m->follower.on_event(m->follower.ctx, event, unit);
}

static void arm_timer(struct systemd_manager *m, bool is_open)
{
        const uint64_t due_usec[] = {
                systemd_bus_next_usec(m),
                systemd_calls_next_usec(m),
                is_open ? systemd_listing_next_usec(m) : UINT64_MAX,
        };
        uint64_t next_usec = UINT64_MAX;

        for (unsigned i = 0; i < sizeof due_usec / sizeof due_usec[0]; i++)
                if (due_usec[i] < next_usec)
                        next_usec = due_usec[i];
        (void)sd_event_source_set_time(m->timer, next_usec);
        (void)sd_event_source_set_enabled(m->timer,
                                          next_usec < UINT64_MAX ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static int on_turn(sd_event_source *s, void *userdata)
{
        struct systemd_manager *m = userdata;
        bool is_open;

        systemd_ref(m);
        systemd_calls_end_answered(m);
        is_open = systemd_bus_turn(m);
        if (is_open) {
                systemd_listing_send(m);
                systemd_calls_send(m);
                systemd_listing_announce(m);
        }
        if (!m->is_dead)
                arm_timer(m, is_open);
        systemd_unref(m);
        return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        struct systemd_manager *m = userdata;
        uint64_t now_usec = systemd_now_usec(m);

        systemd_ref(m);
        systemd_bus_expire(m, now_usec);
        systemd_calls_expire(m, now_usec);
        systemd_request_turn(m);
        systemd_unref(m);
        return 0;
}

/* ---- construction ------------------------------------------------------------------------------ */

static int manager_new(struct systemd_manager **ret, sd_event *event, const char *address,
                       int (*open)(void *ctx, sd_bus **ret), void *open_ctx,
                       const struct systemd_follower *follower)
{
        struct systemd_manager *m;
        int r;

        assert(follower->wants != NULL && follower->on_event != NULL);

        m = calloc(1, sizeof *m);
        if (m == NULL)
                return -ENOMEM;
        m->n_refs = 1;
        m->follower = *follower;
        m->event = sd_event_ref(event);
        systemd_calls_init(&m->calls);
        r = systemd_bus_init(&m->link, address, open, open_ctx);
        if (r >= 0)
                r = sd_event_add_defer(event, &m->turn, on_turn, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->turn, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(event, &m->timer, CLOCK_MONOTONIC, UINT64_MAX,
                                      TIMER_ACCURACY_USEC, on_timer, m);
        if (r < 0) {
                systemd_manager_free(m);
                return r;
        }
        *ret = m;
        return 0;
}

int systemd_manager_new(struct systemd_manager **ret, sd_event *event, const char *address,
                        const struct systemd_follower *follower)
{
        return manager_new(ret, event, address, NULL, NULL, follower);
}

int systemd_manager_new_with_opener(struct systemd_manager **ret, sd_event *event,
                                    int (*open)(void *ctx, sd_bus **ret), void *open_ctx,
                                    const struct systemd_follower *follower)
{
        assert(open != NULL);
        return manager_new(ret, event, NULL, open, open_ctx, follower);
}

/* ---- for the caller ---------------------------------------------------------------------------- */

void systemd_manager_set_timeout(struct systemd_manager *m, uint64_t timeout_usec)
{
        m->calls.timeout_usec = timeout_usec;
}

int systemd_manager_start(struct systemd_manager *m)
{
        return systemd_bus_start(m);
}

bool systemd_manager_has_reloaded(const struct systemd_manager *m)
{
        return m->listing.announce_reloaded;
}

sd_bus *systemd_manager_bus(struct systemd_manager *m)
{
        return m->link.is_connected ? m->bus : NULL;
}

struct systemd_unit *systemd_manager_find(struct systemd_manager *m, const char *unit)
{
        struct systemd_entry *e = systemd_units_find(m, unit);

        return e != NULL ? &e->unit : NULL;
}

void systemd_manager_relist(struct systemd_manager *m)
{
        systemd_listing_request(m, true);
}

/* ---- refresh ----------------------------------------------------------------------------------- */

struct refusal {
        struct systemd_call call;
        void (*done)(void *ctx, const char *unit, int error);
        void *ctx;
        char unit[];
};

static void end_refusal(struct systemd_call *c, sd_bus_message *reply, int error)
{
        struct refusal *refusal = (struct refusal *)c;

        refusal->done(refusal->ctx, refusal->unit, error);
}

int systemd_manager_refresh(struct systemd_manager *m, const char *unit,
                            void (*done)(void *ctx, const char *unit, int error), void *ctx)
{
        static const struct systemd_call_type refusal_type = { .end = end_refusal };
        struct systemd_entry *e = systemd_units_find(m, unit);

        if (!m->link.is_connected)
                return -ENOTCONN;
        if (e == NULL || e->state == SYSTEMD_DOWN) {
                struct refusal *refusal = systemd_call_new(m, &refusal_type,
                                                           sizeof *refusal + strlen(unit) + 1);
                if (refusal == NULL)
                        return -ENOMEM;
                refusal->done = done;
                refusal->ctx = ctx;
                strcpy(refusal->unit, unit);
                systemd_call_answer(&refusal->call, -ESRCH);
                return 0;
        }
        return systemd_units_refresh(m, e, done, ctx);
}

/* ---- settings ---------------------------------------------------------------------------------- */

struct setting_call {
        struct systemd_call call;
        struct batch *batch;
        struct systemd_setting setting;
};

/* One piece of memory, which goes with the last of its calls. */
struct batch {
        systemd_setting_done_fn each;
        systemd_batch_done_fn done;
        void *ctx;
        size_t n_left;                  /* calls that were not released yet */
        unsigned n_failed;
        struct setting_call calls[];    /* their units' names follow behind the last one */
};

static int make_setting(struct systemd_call *c, sd_bus *bus, sd_bus_message **ret)
{
        const struct systemd_setting *s = &((struct setting_call *)c)->setting;
        const struct systemd_entry *e = systemd_units_find(c->manager, s->unit);

        /* Judged now, not when it was asked for: it may have waited for a reload. */
        if (e == NULL || !e->unit.is_active)
                return -ESRCH;
        return systemd_message_new_set(bus, ret, s);
}

/* The end of what is in the place of a setting where there is none. */
static void end_no_setting(struct systemd_call *c, sd_bus_message *reply, int error)
{
        struct batch *b = ((struct setting_call *)c)->batch;

        if (b->n_left == 1 && b->done != NULL && !c->manager->is_dead)
                b->done(b->ctx, b->n_failed);
}

static void end_setting(struct systemd_call *c, sd_bus_message *reply, int error)
{
        const struct systemd_setting *s = &((struct setting_call *)c)->setting;
        struct batch *b = ((struct setting_call *)c)->batch;
        struct systemd_entry *e = systemd_table_find(&c->manager->units.table, s->unit);

        if (error < 0)
                b->n_failed++;
        else if (e != NULL) {
                if (s->set_quota)
                        e->unit.quota_usec_per_sec = s->quota_usec_per_sec;
                if (s->set_weight)
                        e->unit.cpu_weight = s->cpu_weight;
        }
        if (b->each != NULL)
                b->each(b->ctx, s, error);
        end_no_setting(c, reply, error);
}

static void release_setting(struct systemd_call *c)
{
        struct batch *b = ((struct setting_call *)c)->batch;

        if (--b->n_left == 0)
                free(b);
}

int systemd_manager_set(struct systemd_manager *m, const struct systemd_setting settings[], size_t n,
                        systemd_setting_done_fn each, systemd_batch_done_fn done, void *ctx)
{
        static const struct systemd_call_type
                setting_type = { .make = make_setting, .end = end_setting, .release = release_setting },
                no_setting_type = { .end = end_no_setting, .release = release_setting };
        size_t n_calls = n > 0 ? n : 1, n_text = 0;

        if (!m->link.is_connected)
                return -ENOTCONN;
        for (size_t i = 0; i < n; i++)
                n_text += strlen(settings[i].unit) + 1;

        struct batch *b = calloc(1, sizeof *b + n_calls * sizeof b->calls[0] + n_text);
        if (b == NULL)
                return -ENOMEM;
        *b = (struct batch) { .each = each, .done = done, .ctx = ctx, .n_left = n_calls };
        for (size_t i = 0; i < n_calls; i++) {
                b->calls[i].call.type = n > 0 ? &setting_type : &no_setting_type;
                b->calls[i].call.manager = m;
                b->calls[i].batch = b;
        }
        if (n == 0)
                systemd_call_answer(&b->calls[0].call, 0);

        char *text = (char *)&b->calls[n_calls];
        for (size_t i = 0; i < n; i++) {
                b->calls[i].setting = settings[i];
                b->calls[i].setting.unit = text;
                text = stpcpy(text, settings[i].unit) + 1;
                systemd_call_queue(&b->calls[i].call);
        }
        return 0;
}

/* ---- daemon-reload ----------------------------------------------------------------------------- */

struct reload {
        struct systemd_call call;
        void (*done)(void *ctx, int error);
        void *ctx;
};

static int make_reload(struct systemd_call *c, sd_bus *bus, sd_bus_message **ret)
{
        return systemd_message_new(bus, ret, "Reload");
}

static void end_reload(struct systemd_call *c, sd_bus_message *reply, int error)
{
        struct reload *reload = (struct reload *)c;

        if (reload->done != NULL)
                reload->done(reload->ctx, error);
}

int systemd_manager_daemon_reload(struct systemd_manager *m, void (*done)(void *ctx, int error),
                                  void *ctx)
{
        static const struct systemd_call_type type = {
                .make = make_reload,
                .end = end_reload,
                .timeout_usec = SYSTEMD_RELOAD_TIMEOUT_USEC,
        };
        struct reload *reload;

        if (!m->link.is_connected)
                return -ENOTCONN;
        reload = systemd_call_new(m, &type, sizeof *reload);
        if (reload == NULL)
                return -ENOMEM;
        reload->done = done;
        reload->ctx = ctx;
        systemd_call_queue(&reload->call);
        return 0;
}
