/* SPDX-License-Identifier: MIT */

#include "daemon/release.h"

#include "daemon/actuate.h"
#include "daemon/burst.h"
#include "daemon/services.h"
#include "util/cleanup.h"
#include "util/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One request to give units back; served one at a time, and never beside a round of writes. */
struct release {
        struct daemon *d;
        struct give_back *give_back;    /* NULL while it waits */
        char **units;                   /* NULL: everything on record */
        size_t n_units, n_allocated;
        bool may_reload;
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

static void mark_unit(struct daemon *d, const char *unit)
{
        struct service *s = services_find(d, unit);

        if (s)
                s->is_releasing = true;
}

/* A unit may be in several requests: the flag stands until the last is done. */
static void mark_all(struct daemon *d)
{
        for (size_t i = 0; i < d->n_services; i++)
                d->services[i]->is_releasing = false;
        for (const struct release *r = d->release; r; r = r->next) {
                for (size_t i = 0; !r->units && i < d->n_services; i++)
                        d->services[i]->is_releasing = true;
                for (size_t k = 0; k < r->n_units; k++)
                        mark_unit(d, r->units[k]);
        }
}

static bool is_queued(const struct daemon *d, const char *unit)
{
        for (const struct release *r = d->release; r; r = r->next) {
                if (!r->units)
                        return true;
                for (size_t k = 0; k < r->n_units; k++)
                        if (strcmp(r->units[k], unit) == 0)
                                return true;
        }
        return false;
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
                log_unit(LOG_NOTICE, MSG_UNIT_FOREIGN, unit,
                         "%s was changed by someone else meanwhile: their value stays.", unit);
                break;
        case GIVE_BACK_FAILED:
                if (s && s->release_error == error)
                        return;
                if (s)
                        s->release_error = error;
                log_unit_errno(LOG_WARNING, MSG_UNIT_NOT_GIVEN_BACK, unit, error,
                               "Could not give back %s; it is tried again every epoch, by the next start of coallocd, and by \"coallocd --restore\"",
                               unit);
                return;
        }
        daemon_got_on(r->d);
        if (s) {
                burst_gave_way(s);
                s->quota.is_ours = s->weight.is_ours = false;
                s->quota.wanted = s->quota.applied = USEC_UNSET;
                s->weight.wanted = s->weight.applied = USEC_UNSET;
                s->is_refused = s->is_refusal_logged = s->is_unsure = s->has_wishes = false;
                s->write_error = s->release_error = 0;
                burst_forget(s);
        }
}

static void on_done(void *ctx, unsigned n_failed)
{
        struct release *r = ctx;
        struct daemon *d = r->d;

        d->release = r->next;
        mark_all(d);
        /* What was decided for everybody before everything was given back is no longer to be written. */
        if (!r->units)
                actuate_forget(d);
        if (r->done)
                r->done(r->ctx, n_failed);
        request_free(r);
        release_kick(d);
        if (d->is_round_due && !d->release)
                actuate(d);
}

void release_kick(struct daemon *d)
{
        struct release *r = d->release;
        int error;

        if (!r || r->give_back || actuate_is_busy(d))
                return;
        error = give_back_start(&r->give_back, d->systemd, &d->state, d->root,
                                (const char *const *)r->units, r->n_units, r->may_reload, on_each, on_done, r);
        if (error < 0) {
                /* Without a bus there is nothing to say that was not said when it was lost. */
                if (error != -ENOTCONN || d->is_stopping)
                        log_errno(LOG_WARNING, MSG_UNIT_NOT_GIVEN_BACK, error,
                                  "Could not start giving back; it is tried again");
                on_done(r, 1);
        }
}

/* Is it on record with good reason? A managed unit that stopped is: only a daemon-reload could change
 * what systemd has in memory of it, and that is too much for every stop of a service. It is given back
 * when it starts again, when systemd forgets it, or when we stop. */
static bool is_rightful(const struct daemon *d, const struct service *s, const struct state_record *record,
                        bool may_reload)
{
        if (d->mode != CONFIG_MODE_ENFORCE || !s || !s->systemd)
                return false;
        if (service_plays(s) || (s->own_group != ENFORCE_NO_GROUP && !record->quota.is_ours))
                return true;
        if (!s->systemd->is_active)
                return s->config || !may_reload;
        return s->is_holder && s->n_epochs_idle <= 1;
}

void release_strays(struct daemon *d, bool may_reload)
{
        _cleanup_free_ const char **units = NULL;
        size_t n = 0;
        int r;

        if (d->state.n_records == 0)
                return;
        units = calloc(d->state.n_records, sizeof *units);
        if (!units)
                return;
        for (size_t i = 0; i < d->state.n_records; i++) {
                const struct state_record *record = &d->state.records[i];
                const struct service *s = services_find(d, record->unit);

                if (!is_rightful(d, s, record, may_reload) && !is_queued(d, record->unit))
                        units[n++] = record->unit;
        }
        if (n == 0)
                return;
        r = release_units(d, units, n, may_reload, NULL, NULL);
        if (r < 0)
                log_errno(LOG_WARNING, MSG_UNIT_NOT_GIVEN_BACK, r, "Could not give back %zu units", n);
}

/* Return: 0; -ENOMEM, and nothing was added. */
static int request_add(struct release *r, const char *const units[], size_t n)
{
        size_t n_before = r->n_units, n_all = n_before + n;
        char **bigger;

        /* Doubled, so that units which come one by one are not copied every time. */
        if (!r->units || n_all > r->n_allocated) {
                size_t n_allocated = n_all > 2 * r->n_allocated ? n_all : 2 * r->n_allocated;

                /* Not NULL even for none: that would be everything. */
                bigger = reallocarray(r->units, n_allocated + 1, sizeof *bigger);
                if (!bigger)
                        return -ENOMEM;
                r->units = bigger;
                r->n_allocated = n_allocated;
        }
        for (; r->n_units < n_all; r->n_units++) {
                r->units[r->n_units] = strdup(units[r->n_units - n_before]);
                if (!r->units[r->n_units])
                        break;
        }
        if (r->n_units == n_all)
                return 0;
        while (r->n_units > n_before)
                free(r->units[--r->n_units]);
        return -ENOMEM;
}

int release_units(struct daemon *d, const char *const units[], size_t n, bool may_reload,
                  release_done_fn done, void *ctx)
{
        struct release *r = NULL, **tail;

        for (tail = &d->release; *tail; tail = &(*tail)->next)
                r = *tail;
        /* Hundreds of units that start at once are one request: each has the file of records written
         * twice. */
        if (units && r && r->units && !r->give_back && r->may_reload == may_reload && !r->done && !done) {
                int error = request_add(r, units, n);

                for (size_t k = 0; error == 0 && k < n; k++)
                        mark_unit(d, units[k]);
                return error;
        }

        r = calloc(1, sizeof *r);
        if (!r)
                return -ENOMEM;
        *r = (struct release){ .d = d, .may_reload = may_reload, .done = done, .ctx = ctx };
        if (units && request_add(r, units, n) < 0) {
                request_free(r);
                return -ENOMEM;
        }
        *tail = r;
        mark_all(d);
        release_kick(d);
        return 0;
}
