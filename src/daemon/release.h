/* SPDX-License-Identifier: MIT */
#pragma once

/* Giving back while the daemon runs: requests in a queue, served one at a time by give_back, never
 * beside a round of writes. */

#include "daemon/daemon.h"

typedef void (*release_done_fn)(void *ctx, unsigned n_failed);

/**
 * release_units() - queue units to be given back
 * @units:      names, copied; NULL: everything on record
 * @may_reload: a daemon-reload, which stopped units need and which cleans up after removed drop-ins, is
 *              only for what an administrator asked for: stop, reload, mode
 * @done:       called once, from the event loop; may be NULL
 *
 * Return: 0; -ENOMEM.
 */
int release_units(struct daemon *d, const char *const units[], size_t n, bool may_reload,
                  release_done_fn done, void *ctx);
/* Gives back what is on record but no longer ours to set, for whatever reason: lost, dropped from the
 * configuration, without data, an earlier attempt that failed. */
void release_strays(struct daemon *d, bool may_reload);
/* Starts the next one in the queue, if nothing is in the way. */
void release_kick(struct daemon *d);
void release_free(struct daemon *d);
