/* SPDX-License-Identifier: MIT */

#include "daemon/configure.h"

#include "daemon/actuate.h"
#include "daemon/credits.h"
#include "daemon/decide.h"
#include "daemon/record.h"
#include "daemon/release.h"
#include "daemon/services.h"
#include "util/cleanup.h"
#include "util/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-daemon.h>

static int priority_of(enum diagnostic_severity s)
{
        return s == DIAGNOSTIC_ERROR ? LOG_ERR : s == DIAGNOSTIC_WARNING ? LOG_WARNING : LOG_INFO;
}

static void log_findings(const struct diagnostics *findings, const char *id)
{
        for (size_t i = 0; i < findings->n_items; i++) {
                _cleanup_free_ char *text = diagnostic_to_string(&findings->items[i]);

                if (text)
                        log_plain(priority_of(findings->items[i].severity), id, "%s", text);
        }
}

static void remember_error(struct daemon *d, const struct diagnostics *findings)
{
        const struct diagnostic *first = diagnostics_first_error(findings);

        free(d->config_error);
        d->config_error = first ? diagnostic_to_string(first) : NULL;
}

static int resize_history(struct daemon *d, size_t size)
{
        struct gate_record *records;

        if (d->records && d->epoch.history.size == size)
                return 0;
        records = calloc(size, sizeof *records);
        if (!records)
                return -ENOMEM;
        free(d->records);
        d->records = records;
        /* The gate starts with an empty memory: what it remembered was cut to another length. */
        d->epoch.history = (struct gate_history){ .records = records, .size = size };
        return 0;
}

int configure_load(struct daemon *d)
{
        _cleanup_diagnostics_ struct diagnostics findings = { 0 };
        int r;

        r = config_load(d->config_path, d->config_dropin_dir, d->n_cpus, &d->config, &findings);
        log_findings(&findings, r < 0 ? MSG_CONFIG_REJECTED : MSG_CONFIG_LOADED);
        if (r < 0)
                return r;
        d->mode = d->observe_only ? CONFIG_MODE_OBSERVE : d->config->mode;
        d->records = calloc(d->config->history_size, sizeof *d->records);
        if (!d->records)
                return -ENOMEM;
        epoch_state_init(&d->epoch, d->records, d->config->history_size);
        return 0;
}

int configure_reload(struct daemon *d)
{
        _cleanup_diagnostics_ struct diagnostics findings = { 0 };
        struct config *fresh = NULL, *old = d->config;
        bool enforce_changed, mode_changed;
        int r;

        r = config_load(d->config_path, d->config_dropin_dir, d->n_cpus, &fresh, &findings);
        if (r == 0)
                r = resize_history(d, fresh->history_size);
        log_findings(&findings, r < 0 ? MSG_CONFIG_REJECTED : MSG_CONFIG_LOADED);
        remember_error(d, &findings);
        if (r < 0) {
                (void)config_free(fresh);
                log_plain(LOG_ERR, MSG_CONFIG_REJECTED,
                          "The configuration was not reloaded; the previous one stays in force.");
                return r;
        }

        enforce_changed = fresh->enforce != old->enforce;
        mode_changed = fresh->mode != old->mode;
        d->config = fresh;
        (void)services_reassign(d);
        if (old->epoch_usec != fresh->epoch_usec)
                decide_restart_clock(d);
        (void)config_free(old);
        record_configure(d);

        if (mode_changed && !d->observe_only)
                (void)configure_set_mode(d, fresh->mode, NULL, NULL);
        /* Whichever property is no longer set goes back to what it was; the other one follows anew. A
         * round that is under way may be about to write the first records. */
        if (enforce_changed && (d->state.n_records > 0 || actuate_is_busy(d))) {
                r = release_units(d, NULL, 0, true, NULL, NULL);
                if (r < 0)
                        log_errno(LOG_WARNING, MSG_UNIT_NOT_GIVEN_BACK, r,
                                  "Could not give back what units had before Enforce= changed");
        } else
                release_strays(d, true);
        credits_save(d);
        log_plain(LOG_INFO, MSG_CONFIG_LOADED, "Configuration reloaded: %zu services and %zu [Path] sections.",
                  d->config->n_services, d->config->n_paths);
        return 0;
}

int configure_set_mode(struct daemon *d, enum config_mode mode, release_done_fn done, void *ctx)
{
        bool changed = d->mode != mode;

        if (mode == CONFIG_MODE_ENFORCE && d->observe_only)
                return -EPERM;
        d->mode = mode;
        if (changed)
                log_plain(LOG_NOTICE, MSG_MODE_CHANGED, "Mode is %s now%s.", config_mode_to_string(mode),
                          mode == CONFIG_MODE_OBSERVE ? ": every unit gets back what it had" : "");
        if (mode == CONFIG_MODE_OBSERVE)
                return release_units(d, NULL, 0, true, done, ctx);
        if (done)
                done(ctx, 0);
        return 0;
}
