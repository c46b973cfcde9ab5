/* SPDX-License-Identifier: MIT */
#pragma once

/* Part of systemd_manager: calls on their way. At most SYSTEMD_CALLS_IN_FLIGHT_MAX of them are under
 * way at once, the others queue; each has a deadline that stands still while systemd reloads. What a
 * call says and what its end means is its type's business.
 *
 * A call ends exactly once, from the loop: by its reply, by its deadline, by the loss of the bus, or
 * because it could not even be made. Only when the manager dies is it released without an end. */

#include "platform/systemd_manager.h"

#include <sys/queue.h>

struct systemd_call;

struct systemd_call_type {
        /* What to say; an error is the answer. NULL if nothing is to be said at all. */
        int (*make)(struct systemd_call *c, sd_bus *bus, sd_bus_message **ret);
        /* @reply is NULL if systemd did not answer. -ECONNRESET: the bus is lost. */
        void (*end)(struct systemd_call *c, sd_bus_message *reply, int error);
        void (*release)(struct systemd_call *c);        /* NULL: free() */
        uint64_t timeout_usec;                          /* 0: as told by the manager */
};

TAILQ_HEAD(systemd_call_list, systemd_call);

/* The head of what each type allocates. In one of the three lists below, or in the hands of the
 * function that makes, sends or ends it. */
struct systemd_call {
        TAILQ_ENTRY(systemd_call) link;
        struct systemd_call_list *list; /* NULL = in somebody's hands */
        const struct systemd_call_type *type;
        struct systemd_manager *manager;
        sd_bus_slot *slot;              /* in flight */
        uint64_t deadline_usec;
        int error;                      /* in answers */
};

struct systemd_calls {
        struct systemd_call_list queue;
        struct systemd_call_list flight;
        struct systemd_call_list answers; /* known without systemd; told in the next turn */
        size_t n_flight;
        uint64_t timeout_usec;
};

void systemd_calls_init(struct systemd_calls *calls);

/* Zeroed memory for something of @size that begins with a call; NULL if there is none. */
void *systemd_call_new(struct systemd_manager *m, const struct systemd_call_type *type, size_t size);

/* A call in somebody's hands: wait to be sent, be sent now, or be answered by us. */
void systemd_call_queue(struct systemd_call *c);
void systemd_call_send(struct systemd_call *c);
void systemd_call_answer(struct systemd_call *c, int error);

bool systemd_call_is_queued(const struct systemd_call *c);

/* Forgets a call, wherever it is, without an end. An answer finds nobody. */
void systemd_call_drop(struct systemd_call *c);

bool systemd_calls_have_room(struct systemd_manager *m);

/* Sends from the queue what there is room for. */
void systemd_calls_send(struct systemd_manager *m);

/* Ends what has been answered without systemd. */
void systemd_calls_end_answered(struct systemd_manager *m);

/* Answers everything by -ECONNRESET. */
void systemd_calls_lose(struct systemd_manager *m);

/* When the next deadline is over; UINT64_MAX: none. */
uint64_t systemd_calls_next_usec(struct systemd_manager *m);
void systemd_calls_expire(struct systemd_manager *m, uint64_t now_usec);

/* The clock stands still, though not beyond @until_usec; it starts anew for all that is in flight. */
void systemd_calls_hold(struct systemd_manager *m, uint64_t until_usec);
void systemd_calls_resume(struct systemd_manager *m);

/* The manager is dead, but may still be on the stack: nothing in flight calls back any more. */
void systemd_calls_silence(struct systemd_manager *m);
void systemd_calls_free(struct systemd_calls *calls);
