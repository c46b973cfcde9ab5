/* SPDX-License-Identifier: MIT */
#pragma once

/* Part of systemd_manager: what its modules have in common. They stand in this order, and each knows
 * only those before it and what is below:
 *
 *   systemd_table     units by name
 *   systemd_message   what is said and how answers are read
 *   systemd_calls     the queue, deadlines
 *   systemd_units     states, readings, services that start
 *   systemd_listing   finding what is new
 *   systemd_bus       the connection, signals, loss, reload
 *   systemd_manager   lifetime, the loop, the public face
 *
 * Each has its part in the manager.
 *
 * The follower may free the manager from any callback. The memory then lives until the last of our
 * functions on the stack has gone: whoever is called by the loop holds a reference. Until then they
 * may go on with what they do, on state that nobody will see; only nothing leaves any more, and
 * is_dead is looked at where it would: callbacks, calls and turns of the loop. */

#include "platform/systemd_bus.h"
#include "platform/systemd_calls.h"
#include "platform/systemd_listing.h"
#include "platform/systemd_units.h"

struct systemd_manager {
        unsigned n_refs;                /* ours and one for each callback on the stack */
        bool is_dead;

        struct systemd_follower follower;
        sd_event *event;
        sd_event_source *turn;          /* sends what can be sent, tells what is to be told */
        sd_event_source *timer;         /* for whatever is due next */
        sd_bus *bus;                    /* NULL = none */

        struct systemd_bus link;
        struct systemd_listing listing;
        struct systemd_units units;
        struct systemd_calls calls;
};

void systemd_ref(struct systemd_manager *m);
void systemd_unref(struct systemd_manager *m);

uint64_t systemd_now_usec(struct systemd_manager *m);

/* Something is to be sent or told, or is due at another time. */
void systemd_request_turn(struct systemd_manager *m);

/* Does the follower want it? And what he is told; @unit may be NULL. */
bool systemd_wants(struct systemd_manager *m, const char *unit);
void systemd_emit(struct systemd_manager *m, enum systemd_event event, struct systemd_unit *unit);
