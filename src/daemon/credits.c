/* SPDX-License-Identifier: MIT */

#include "daemon/credits.h"

#include "core/ledger.h"
#include "daemon/services.h"
#include "util/cleanup.h"
#include "util/journal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Five minutes at the default EpochSec=, in which a credit decays by 6 %: what a crash may cost. */
#define SAVE_EPOCHS 20
/* The sum of credits is zero up to this. */
#define SUM_TOLERANCE 1e-9

static_assert(CREDIT_FILE_MAX == LEDGER_CREDIT_MAX, "what is settled must be what can be read");

void credits_load(struct daemon *d)
{
        const char *directory = getenv("STATE_DIRECTORY");
        int r;

        if (directory && d->root[0] == '\0')
                d->state_dir = strdup(directory);
        else if (asprintf(&d->state_dir, "%s/var/lib/coalloc", d->root) < 0)
                d->state_dir = NULL;
        r = d->state_dir ? credit_file_load(d->state_dir, &d->remembered) : -ENOMEM;
        if (r < 0) {
                log_errno(LOG_WARNING, MSG_CREDITS_UNUSABLE, r,
                          "Could not read credits from %s; every service starts with none, and credits are lost at the end",
                          d->state_dir ?: "/var/lib/coalloc");
                d->credit_error = r;
        }
        if (r > 0)
                log_plain(LOG_WARNING, MSG_CREDITS_DAMAGED,
                          "%s/credits is damaged or was edited: it is kept as credits.bad, and every service starts without credit.",
                          d->state_dir);
}

void credits_adopt(const struct daemon *d, struct service *s)
{
        s->credit = credit_file_find(&d->remembered, s->unit);
        s->credit_before = s->credit;
}

/* The sum is zero again, with as little change for everybody as possible. */
static void balance(struct daemon *d, size_t n)
{
        _cleanup_free_ double *credit = calloc(n, sizeof *credit);
        size_t k = 0;

        if (!credit)
                return; /* the next epoch tries again */
        for (size_t i = 0; i < d->n_services; i++)
                if (d->services[i]->config)
                        credit[k++] = d->services[i]->credit;
        ledger_project(credit, n, LEDGER_CREDIT_MAX, 0);
        k = 0;
        for (size_t i = 0; i < d->n_services; i++)
                if (d->services[i]->config)
                        d->services[i]->credit = credit[k++];
        d->has_unsaved_credits = true;
}

void credits_prepare(struct daemon *d)
{
        double sum = 0;
        size_t n = 0;

        credit_file_done(&d->remembered);
        for (size_t i = 0; i < d->n_services; i++) {
                struct service *s = d->services[i];

                if (!s->config) {
                        s->credit = 0;
                        continue;
                }
                sum += s->credit;
                n++;
        }
        if (n > 0 && fabs(sum) > SUM_TOLERANCE)
                balance(d, n);
}

void credits_settle(struct daemon *d)
{
        for (size_t i = 0; i < d->n_players; i++) {
                struct service *s = d->players[i];

                s->credit_before = s->credit;
                s->credit = d->decisions[i].credit;
                d->has_unsaved_credits |= s->credit != s->credit_before;
        }
        /* Together with those who play: else the sum would be off, and made up for by everybody. */
        for (size_t i = 0; i < d->n_services; i++) {
                struct service *s = d->services[i];

                if (s->config && s->credit != 0 && !service_plays(s)) {
                        s->credit_before = s->credit;
                        s->credit *= ledger_decay();
                        d->has_unsaved_credits = true;
                }
        }
        if (++d->n_epochs_unsaved >= SAVE_EPOCHS)
                credits_save(d);
}

void credits_save(struct daemon *d)
{
        struct credit_file f = { 0 };
        int r = 0;

        d->n_epochs_unsaved = 0;
        if (!d->has_unsaved_credits || !d->state_dir)
                return;
        /* The table is sorted as the file is. */
        for (size_t i = 0; i < d->n_services && r == 0; i++)
                if (d->services[i]->config)
                        r = credit_file_append(&f, d->services[i]->unit, d->services[i]->credit);
        if (r == 0)
                r = credit_file_save(&f, d->state_dir);
        credit_file_done(&f);
        if (r == 0)
                d->has_unsaved_credits = false;
        else if (r != d->credit_error)
                log_errno(LOG_WARNING, MSG_CREDITS_UNUSABLE, r,
                          "Could not write %s/credits; if coallocd ends now, credits are as they were then",
                          d->state_dir);
        d->credit_error = r;
}

void credits_free(struct daemon *d)
{
        credit_file_done(&d->remembered);
        free(d->state_dir);
}
