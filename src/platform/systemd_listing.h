/* SPDX-License-Identifier: MIT */
#pragma once

/* Part of systemd_manager: listings, by which what is new is found and what signals did not tell.
 * Wishes gather and are fulfilled together, at most every 100 ms; one listing is under way at a time.
 * Says when everything has been listed and read. */

#include "platform/systemd_manager.h"

/* PID 1 matches every loaded unit with every pattern; beyond this many names it is cheaper for
 * everybody to list all slices, services and scopes. */
#define SYSTEMD_LISTED_NAMES_MAX 16

struct systemd_listing {
        unsigned wanted;                /* LIST_*, or 0 */
        uint64_t wanted_at_usec;
        char *names[SYSTEMD_LISTED_NAMES_MAX]; /* what UnitNew named since the last listing */
        size_t n_names;

        bool is_under_way;
        unsigned purpose;               /* of the one under way: LIST_* */
        uint64_t n_full;

        bool announce_listed;
        bool announce_reloaded;
};

/* A full listing, at once. Without @ask everything is read again; with it the follower is asked again
 * what he wants, and what he did not want before is read. */
void systemd_listing_request(struct systemd_manager *m, bool ask);

/* Says SYSTEMD_RELOADED after the next full listing, unless it is the first. */
void systemd_listing_note_reload(struct systemd_manager *m);

void systemd_listing_note_new(struct systemd_manager *m, const char *name);
void systemd_listing_note_removed(struct systemd_manager *m, const char *name);

/* Sends the listing that is due. When systemd is subscribed to and does not reload. */
void systemd_listing_send(struct systemd_manager *m);

/* Says SYSTEMD_LISTED and SYSTEMD_RELOADED once they are true. Likewise. */
void systemd_listing_announce(struct systemd_manager *m);

/* When systemd_listing_send() has something to do; UINT64_MAX: not before something happens. */
uint64_t systemd_listing_next_usec(struct systemd_manager *m);

/* Forgets what is wanted, but for what the follower asked for: there is no bus any more. */
void systemd_listing_lose(struct systemd_manager *m);
