/* SPDX-License-Identifier: MIT */
#pragma once

/* Giving back: every unit gets the value that it had before us. One way for all occasions: stop,
 * --restore after a crash, the next start, a unit dropped from the configuration, observe mode.
 *
 * A value is restored only where it is still ours: the live value is the one last applied or the one
 * intended, and the drop-in is byte for byte what systemd writes for one of the two. Anything else
 * belongs to somebody else by now: it is left alone and reported. Restored means: the prior value is
 * set, a drop-in that did not exist before is unlinked, one that did exist has its old content; at
 * the end one daemon-reload if something was unlinked or rewritten. A unit that is no longer loaded
 * only loses its drop-in; its record is dropped when nothing of ours is left. */

#include "platform/state_file.h"
#include "platform/systemd_manager.h"

enum give_back_outcome {
        GIVE_BACK_RESTORED,
        GIVE_BACK_FOREIGN,              /* somebody else's now: left alone, record dropped */
        GIVE_BACK_FAILED,               /* record kept: the next start tries again */
};

struct give_back;

/* each() once a unit, then done(); both from the event loop. @reterr: negative errno for FAILED. */
typedef void (*give_back_each_fn)(void *ctx, const char *unit, enum give_back_outcome outcome, int error);
typedef void (*give_back_done_fn)(void *ctx, unsigned n_failed);

/**
 * give_back_start() - give back units
 * @root:  directory that stands for / ("" in production)
 * @units: names, or NULL for every record in @state; copied
 *
 * Keeps @manager and @state, which must outlive it. The state file is saved as records go. Ends by
 * calling done(), after which the object is to be freed with give_back_free().
 *
 * Return: 0; negative errno.
 */
int give_back_start(struct give_back **ret, struct systemd_manager *manager, struct state_file *state,
                    const char *root, const char *const units[], size_t n_units, bool may_reload,
                    give_back_each_fn each, give_back_done_fn done, void *ctx);

/* Takes NULL; cancels; returns NULL. */
struct give_back *give_back_free(struct give_back *g);

/* The drop-in of one property of a unit: its path below @root (malloc'd). */
int dropin_path(const char *root, const char *unit, bool is_transient, const char *property, char **ret);

/* Would systemd have written exactly this text for this value? @property: "CPUQuota" or "CPUWeight". */
bool dropin_is_ours(const char *text, const char *unit, const char *property, uint64_t value);
