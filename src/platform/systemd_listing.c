/* SPDX-License-Identifier: MIT */
#include "platform/systemd_listing.h"

#include "platform/systemd_internal.h"

#include <stdlib.h>
#include <string.h>

/* Listings for the sake of new units are taken this far apart: a thousand units that come and go
 * in a second cost ten listings, not a thousand. */
#define INTERVAL_USEC (100 * UINT64_C(1000))

/* A unit that could not be read is tried again after this long. */
#define RETRY_INTERVAL_USEC (1000 * UINT64_C(1000))

enum {
        LIST_ALL = 1,           /* every slice, service and scope; otherwise those that UnitNew named */
        LIST_NOW = 2,           /* not for new units' sake: no waiting */
        LIST_READ = 4,          /* read everything again */
        LIST_ASK = 8,           /* ask the follower again */
};

/* Somebody waits for SYSTEMD_LISTED. */
#define LIST_TOLD (LIST_READ | LIST_ASK)

static void want(struct systemd_manager *m, unsigned what)
{
        m->listing.wanted |= LIST_ALL | what;
        systemd_request_turn(m);
}

static void retry_later(struct systemd_manager *m)
{
        m->listing.wanted &= ~(unsigned)LIST_NOW;
        m->listing.wanted_at_usec = systemd_now_usec(m) + RETRY_INTERVAL_USEC;
        want(m, 0);
}

static void forget_names(struct systemd_listing *l)
{
        while (l->n_names > 0)
                free(l->names[--l->n_names]);
}

/* Return: its index; n_names if it is not there. */
static size_t find_name(const struct systemd_listing *l, const char *name)
{
        size_t i = 0;

        while (i < l->n_names && strcmp(l->names[i], name) != 0)
                i++;
        return i;
}

void systemd_listing_request(struct systemd_manager *m, bool ask)
{
        want(m, LIST_NOW | (ask ? LIST_ASK : LIST_READ));
}

void systemd_listing_note_reload(struct systemd_manager *m)
{
        m->listing.announce_reloaded = m->listing.n_full > 0;
}

void systemd_listing_note_new(struct systemd_manager *m, const char *name)
{
        struct systemd_listing *l = &m->listing;
        enum systemd_unit_type type;

        if (!systemd_type_of(name, &type) || systemd_table_find(&m->units.table, name) != NULL ||
            (l->wanted & LIST_ALL) || find_name(l, name) < l->n_names)
                return;
        char *copy = l->n_names < SYSTEMD_LISTED_NAMES_MAX ? strdup(name) : NULL;
        if (copy == NULL) {
                want(m, 0);
                return;
        }
        l->names[l->n_names++] = copy;
        systemd_request_turn(m);
}

void systemd_listing_note_removed(struct systemd_manager *m, const char *name)
{
        struct systemd_entry *e = systemd_table_find(&m->units.table, name);
        struct systemd_listing *l = &m->listing;
        size_t i = find_name(l, name);

        if (e != NULL)
                systemd_units_remove(m, e);
        else if (i < l->n_names) {
                free(l->names[i]);
                l->names[i] = l->names[--l->n_names];
        }
}

static int take_row(struct systemd_manager *m, const char *name, const char *load,
                    const char *active, const char *sub)
{
        enum systemd_state state = systemd_state_from_string(active, sub);
        enum systemd_unit_type type;
        struct systemd_entry *e;
        int r;

        if (!systemd_type_of(name, &type))
                return 0;
        /* Somebody's After= mentions it, and that is all there is of it. */
        if (strcmp(load, "not-found") == 0 && state == SYSTEMD_DOWN)
                return 0;
        r = systemd_units_ensure(m, name, &e);
        if (r < 0)
                return r;
        e->listed = m->listing.n_full;
        if (m->listing.purpose & LIST_ASK)
                systemd_units_ask(m, e);
        systemd_units_take_listed(m, e, state, m->listing.purpose & LIST_READ);
        return 0;
}

static int take_rows(struct systemd_manager *m, sd_bus_message *reply)
{
        const char *name, *load, *active, *sub;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "(ssssssouso)", &name, NULL, &load, &active, &sub,
                                        NULL, NULL, NULL, NULL, NULL)) > 0) {
                r = take_row(m, name, load, active, sub);
                if (r < 0)
                        return r;
        }
        return r;
}

static void remove_unlisted(struct systemd_manager *m)
{
        struct systemd_table *t = &m->units.table;

        for (struct systemd_entry *e = systemd_table_next(t, NULL), *next; e != NULL; e = next) {
                next = systemd_table_next(t, e);
                if (e->listed != m->listing.n_full)
                        systemd_units_remove(m, e);
        }
}

static int make_listing(struct systemd_call *c, sd_bus *bus, sd_bus_message **ret)
{
        const struct systemd_listing *l = &c->manager->listing;

        return systemd_message_new_list(bus, ret, l->names, l->purpose & LIST_ALL ? 0 : l->n_names);
}

static void end_listing(struct systemd_call *c, sd_bus_message *reply, int error)
{
        struct systemd_manager *m = c->manager;
        struct systemd_listing *l = &m->listing;

        l->is_under_way = false;
        if (error == 0) {
                if (l->purpose & LIST_ALL)
                        l->n_full++;
                error = take_rows(m, reply);
                if (error == 0 && (l->purpose & LIST_ALL))
                        remove_unlisted(m);
        }
        if (error < 0) {
                l->wanted |= l->purpose;
                retry_later(m);
        } else if (l->purpose & LIST_TOLD)
                l->announce_listed = true;
}

void systemd_listing_send(struct systemd_manager *m)
{
        static const struct systemd_call_type type = { .make = make_listing, .end = end_listing };
        struct systemd_listing *l = &m->listing;
        uint64_t now_usec = systemd_now_usec(m);
        struct systemd_call *c;

        if (m->units.has_stale && !(l->wanted & LIST_NOW))
                retry_later(m);
        m->units.has_stale = false;
        if (systemd_listing_next_usec(m) > now_usec)
                return;
        c = systemd_call_new(m, &type, sizeof *c);
        if (c == NULL) {
                retry_later(m);
                return;
        }
        l->is_under_way = true;
        l->purpose = l->wanted;
        l->wanted = 0;
        l->wanted_at_usec = now_usec + INTERVAL_USEC;
        systemd_call_send(c);
        forget_names(l);
}

uint64_t systemd_listing_next_usec(struct systemd_manager *m)
{
        const struct systemd_listing *l = &m->listing;

        if (l->is_under_way || (l->wanted == 0 && l->n_names == 0) || !systemd_calls_have_room(m))
                return UINT64_MAX;
        return l->wanted & LIST_NOW ? 0 : l->wanted_at_usec;
}

void systemd_listing_announce(struct systemd_manager *m)
{
        struct systemd_listing *l = &m->listing;

        /* Not if another one is due before: after a reload in the middle of a listing what was read so
         * far may be from before, and what the follower wants by now may not have been read at all. */
        if (!l->announce_listed || m->units.n_awaited > 0 || (l->wanted & LIST_TOLD) ||
            (l->is_under_way && (l->purpose & LIST_TOLD)))
                return;
        bool is_reloaded = l->announce_reloaded;
        l->announce_listed = l->announce_reloaded = false;
        systemd_emit(m, SYSTEMD_LISTED, NULL);
        if (is_reloaded)
                systemd_emit(m, SYSTEMD_RELOADED, NULL);
}

void systemd_listing_lose(struct systemd_manager *m)
{
        struct systemd_listing *l = &m->listing;

        /* What the follower asked for himself outlives the bus. */
        l->wanted &= LIST_ASK;
        l->announce_listed = l->announce_reloaded = false;
        forget_names(l);
}
