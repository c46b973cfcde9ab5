/* SPDX-License-Identifier: MIT */
#pragma once

/* Part of systemd_manager: the connection. Opens it, subscribes, hears systemd's signals and passes
 * them on, notices loss, reload and re-execution, and tries again, ever more slowly. */

#include "platform/systemd_manager.h"

#define SYSTEMD_BUS_MATCHES 5

struct systemd_bus {
        int (*open)(void *ctx, sd_bus **ret); /* NULL: our own */
        void *open_ctx;
        char *address;                  /* of our own opener; NULL = system bus */
        bool is_private;                /* we live on PID 1's private socket */

        sd_bus_slot *matches[SYSTEMD_BUS_MATCHES];
        char *owner;                    /* unique name of systemd; NULL = not known yet */
        bool is_peer;
        bool is_connected;
        bool is_subscribed;
        struct systemd_call *subscribing; /* under way */
        uint64_t backoff_usec;
        /* All UINT64_MAX if they are not to come. */
        uint64_t reconnect_at_usec;
        uint64_t subscribe_at_usec;
        uint64_t reload_ends_at_usec;   /* at the latest */
};

/* Return: 0; -ENOMEM. @b is fit for systemd_bus_free() in either case. */
int systemd_bus_init(struct systemd_bus *b, const char *address,
                     int (*open)(void *ctx, sd_bus **ret), void *open_ctx);

/* Return: 0; -EALREADY; negative errno if no bus can be had. */
int systemd_bus_start(struct systemd_manager *m);

/* Subscribes when it is time to. Return: may calls be sent now? */
bool systemd_bus_turn(struct systemd_manager *m);

/* When systemd_bus_turn() or systemd_bus_expire() has something to do; UINT64_MAX: not before
 * something happens. */
uint64_t systemd_bus_next_usec(struct systemd_manager *m);

/* Reconnects, and ends reloads of which nobody told the end. */
void systemd_bus_expire(struct systemd_manager *m, uint64_t now_usec);

void systemd_bus_close(struct systemd_manager *m);
void systemd_bus_free(struct systemd_bus *b);
