/* SPDX-License-Identifier: MIT */
#pragma once

/* Reruns recorded epochs: from what the record says was measured, through demand, need and decision, to what
 * the record says was decided. It carries from epoch to epoch what the daemon carried, and never looks at what
 * is recorded of it but in keys and where the record says it anew. */

#include "platform/history_db.h"

#include <stddef.h>

struct replay;

struct replay *replay_new(void);
/* Takes NULL; returns NULL. */
struct replay *replay_free(struct replay *r);

/**
 * replay_epoch() - rerun the next epoch
 * @reterr: what is not as it was recorded
 *
 * Return: 1 if everything is, bit for bit; 0 if the epoch cannot be rerun, because no key has come yet;
 * -EILSEQ if something is not; other negative errno.
 */
int replay_epoch(struct replay *r, struct history_db *db, const struct history_epoch *e, char reterr[static 256]);
