/* SPDX-License-Identifier: MIT */
#include "platform/systemd_calls.h"

#include "platform/systemd_internal.h"

#include <errno.h>
#include <stdlib.h>

void systemd_calls_init(struct systemd_calls *calls)
{
        TAILQ_INIT(&calls->queue);
        TAILQ_INIT(&calls->flight);
        TAILQ_INIT(&calls->answers);
        calls->timeout_usec = SYSTEMD_CALL_TIMEOUT_USEC;
}

static struct systemd_call *take(struct systemd_call *c)
{
        struct systemd_calls *calls = &c->manager->calls;

        if (c->list == &calls->flight)
                calls->n_flight--;
        TAILQ_REMOVE(c->list, c, link);
        c->list = NULL;
        return c;
}

static void put(struct systemd_call_list *list, struct systemd_call *c)
{
        TAILQ_INSERT_TAIL(list, c, link);
        c->list = list;
}

static void release(struct systemd_call *c)
{
        sd_bus_slot_unref(c->slot);
        if (c->type->release != NULL)
                c->type->release(c);
        else
                free(c);
}

static void end(struct systemd_call *c, sd_bus_message *reply, int error)
{
        c->type->end(c, reply, error);
        release(c);
}

void *systemd_call_new(struct systemd_manager *m, const struct systemd_call_type *type, size_t size)
{
        struct systemd_call *c = calloc(1, size);

        if (c == NULL)
                return NULL;
        c->type = type;
        c->manager = m;
        return c;
}

void systemd_call_queue(struct systemd_call *c)
{
        put(&c->manager->calls.queue, c);
        systemd_request_turn(c->manager);
}

void systemd_call_answer(struct systemd_call *c, int error)
{
        c->error = error;
        put(&c->manager->calls.answers, c);
        systemd_request_turn(c->manager);
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *reterr)
{
        struct systemd_call *c = userdata;
        struct systemd_manager *m = c->manager;

        /* Not systemd's answer: the library ends what is open on a dead connection, before it says
         * that the connection is dead. We wait for that. */
        if (sd_bus_is_open(m->bus) <= 0)
                return 0;
        systemd_ref(m);
        end(take(c), reply, systemd_message_errno(reply));
        systemd_request_turn(m);
        systemd_unref(m);
        return 0;
}

void systemd_call_send(struct systemd_call *c)
{
        struct systemd_manager *m = c->manager;
        sd_bus_message *message = NULL;
        int r;

        r = c->type->make(c, m->bus, &message);
        /* Deadlines are kept here and not in the library: there they could not be moved while
         * systemd reloads. */
        if (r >= 0)
                r = sd_bus_call_async(m->bus, &c->slot, message, on_reply, c, UINT64_MAX);
        sd_bus_message_unref(message);
        if (r < 0) {
                systemd_call_answer(c, r == -ENOTCONN ? -ECONNRESET : r);
                return;
        }
        c->deadline_usec = systemd_now_usec(m) + (c->type->timeout_usec > 0 ? c->type->timeout_usec
                                                                            : m->calls.timeout_usec);
        put(&m->calls.flight, c);
        m->calls.n_flight++;
}

bool systemd_call_is_queued(const struct systemd_call *c)
{
        return c->list == &c->manager->calls.queue;
}

void systemd_call_drop(struct systemd_call *c)
{
        release(take(c));
}

bool systemd_calls_have_room(struct systemd_manager *m)
{
        return m->calls.n_flight < SYSTEMD_CALLS_IN_FLIGHT_MAX;
}

void systemd_calls_send(struct systemd_manager *m)
{
        struct systemd_call *c;

        while (systemd_calls_have_room(m) && (c = TAILQ_FIRST(&m->calls.queue)) != NULL)
                systemd_call_send(take(c));
}

void systemd_calls_end_answered(struct systemd_manager *m)
{
        struct systemd_call *last = TAILQ_LAST(&m->calls.answers, systemd_call_list), *c;

        /* New answers, made by those who hear of these, wait for the next turn: the loop goes round
         * in between. */
        for (bool is_last = last == NULL; !is_last && !m->is_dead;) {
                c = take(TAILQ_FIRST(&m->calls.answers));
                is_last = c == last;
                end(c, NULL, c->error);
        }
}

/* Answers what is due in @list at @now_usec. */
static void answer_due(struct systemd_call_list *list, uint64_t now_usec, int error)
{
        struct systemd_call *next;

        for (struct systemd_call *c = TAILQ_FIRST(list); c != NULL; c = next) {
                next = TAILQ_NEXT(c, link);
                if (now_usec < c->deadline_usec)
                        continue;
                take(c);
                /* A late answer finds nobody. */
                c->slot = sd_bus_slot_unref(c->slot);
                systemd_call_answer(c, error);
        }
}

void systemd_calls_expire(struct systemd_manager *m, uint64_t now_usec)
{
        answer_due(&m->calls.flight, now_usec, -ETIMEDOUT);
}

void systemd_calls_lose(struct systemd_manager *m)
{
        answer_due(&m->calls.flight, UINT64_MAX, -ECONNRESET);
        answer_due(&m->calls.queue, UINT64_MAX, -ECONNRESET);
}

uint64_t systemd_calls_next_usec(struct systemd_manager *m)
{
        uint64_t next = UINT64_MAX;
        struct systemd_call *c;

        TAILQ_FOREACH(c, &m->calls.flight, link)
                if (c->deadline_usec < next)
                        next = c->deadline_usec;
        return next;
}

void systemd_calls_hold(struct systemd_manager *m, uint64_t until_usec)
{
        struct systemd_call *c;

        TAILQ_FOREACH(c, &m->calls.flight, link)
                if (c->deadline_usec < until_usec)
                        c->deadline_usec = until_usec;
}

void systemd_calls_resume(struct systemd_manager *m)
{
        uint64_t deadline_usec = systemd_now_usec(m) + m->calls.timeout_usec;
        struct systemd_call *c;

        TAILQ_FOREACH(c, &m->calls.flight, link)
                if (c->type->timeout_usec == 0)
                        c->deadline_usec = deadline_usec;
}

void systemd_calls_silence(struct systemd_manager *m)
{
        struct systemd_call *c;

        TAILQ_FOREACH(c, &m->calls.flight, link)
                c->slot = sd_bus_slot_unref(c->slot);
}

void systemd_calls_free(struct systemd_calls *calls)
{
        struct systemd_call_list *lists[] = { &calls->queue, &calls->flight, &calls->answers };
        struct systemd_call *c;

        for (unsigned i = 0; i < sizeof lists / sizeof lists[0]; i++)
                while ((c = TAILQ_FIRST(lists[i])) != NULL)
                        systemd_call_drop(c);
}
