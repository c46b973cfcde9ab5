/* SPDX-License-Identifier: MIT */

#include "daemon/daemon.h"

#include "util/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One request to give units back; served one at a time, and never beside a round of writes. */
struct release {
        struct daemon *d;
        struct give_back *give_back;    /* NULL while it waits */
        char **units;                   /* NULL: everything on record */
        size_t n_units;
        release_done_fn done;
        void *ctx;
        struct release *next;
};

static void request_free(struct release *r)
{
        (void)give_back_free(r->give_back);
        for (size_t i = 0; i < r->n_units; i++)
                free(r->units[i]);
        free(r->units);
        free(r);
}

void release_free(struct daemon *d)
{
        while (d->release) {
                struct release *r = d->release;

                d->release = r->next;
                request_free(r);
        }
}

static void mark(struct daemon *d, const struct release *r, bool is_releasing)
{
        for (size_t i = 0; i < d->n_services; i++) {
                struct service *s = d->services[i];

                if (!r->units) {
                        s->is_releasing = is_releasing;
                        continue;
                }
                for (size_t k = 0; k < r->n_units; k++)
                        if (strcmp(r->units[k], s->unit) == 0)
                                s->is_releasing = is_releasing;
        }
}

static void on_each(void *ctx, const char *unit, enum give_back_outcome outcome, int error)
{
        struct release *r = ctx;
        struct service *s = services_find(r->d, unit);

        switch (outcome) {
        case GIVE_BACK_RESTORED:
                log_unit(LOG_INFO, MSG_UNIT_GIVEN_BACK, unit, "Gave back %s as it was.", unit);
                break;
        case GIVE_BACK_FOREIGN:
                log_unit(LOG_NOTICE, MSG_UNIT_GIVEN_BACK, unit,
                         "%s was changed by someone else meanwhile: their value stays.", unit);
                break;
        case GIVE_BACK_FAILED:
                log_unit_errno(LOG_WARNING, MSG_UNIT_NOT_GIVEN_BACK, unit, error,
                               "Could not give back %s; the next start of coallocd or \"coallocd --restore\" tries again",
                               unit);
                return;
        }
        if (s) {
                s->quota.is_ours = s->weight.is_ours = false;
                s->quota.wanted = s->quota.applied = USEC_UNSET;
                s->weight.wanted = s->weight.applied = USEC_UNSET;
                s->is_refused = false;
        }
}

static void on_done(void *ctx, unsigned n_failed)
{
        struct release *r = ctx;
        struct daemon *d = r->d;

        d->release = r->next;
        mark(d, r, false);
        if (r->done)
                r->done(r->ctx, n_failed);
        request_free(r);
        release_kick(d);
}

void release_kick(struct daemon *d)
{
        struct release *r = d->release;
        int error;

        if (!r || r->give_back || actuate_is_busy(d))
                return;
        error = give_back_start(&r->give_back, d->systemd, &d->state, d->root,
                                (const char *const *)r->units, r->n_units, true, on_each, on_done, r);
        if (error < 0) {
                log_errno(LOG_WARNING, MSG_UNIT_NOT_GIVEN_BACK, error,
                          "Could not start giving back; the next start tries again");
                on_done(r, 1);
        }
}

int release_units(struct daemon *d, const char *const units[], size_t n, release_done_fn done, void *ctx)
{
        struct release *r = calloc(1, sizeof *r), **tail;

        if (!r)
                return -ENOMEM;
        *r = (struct release){ .d = d, .done = done, .ctx = ctx };
        if (units) {
                r->units = calloc(n + 1, sizeof *r->units);
                if (!r->units)
                        goto no_memory;
                for (; r->n_units < n; r->n_units++) {
                        r->units[r->n_units] = strdup(units[r->n_units]);
                        if (!r->units[r->n_units])
                                goto no_memory;
                }
        }
        mark(d, r, true);
        for (tail = &d->release; *tail; tail = &(*tail)->next)
                ;
        *tail = r;
        release_kick(d);
        return 0;

no_memory:
        request_free(r);
        return -ENOMEM;
}
