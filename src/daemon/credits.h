/* SPDX-License-Identifier: MIT */
#pragma once

/* Credits between the epochs and on the disk: /var/lib/coalloc/credits. What they are and how they move
 * is core/ledger.h's; here they are kept, and stay a ledger whose sum is zero while services come and go. */

#include "daemon/daemon.h"

/* What was remembered of an earlier run. Never fails the start: without it everybody begins at zero. */
void credits_load(struct daemon *d);

/* A service new in the table takes over what was remembered of its unit; from the first decision on
 * there is nothing to take over. */
void credits_adopt(const struct daemon *d, struct service *s);

/* Before a decision: what a service had that is gone goes to the others. */
void credits_prepare(struct daemon *d);

/* After a decision: takes the credits of the players over, and writes them every few epochs. Who is declared
 * but does not play keeps its credit, decaying like everybody's. */
void credits_settle(struct daemon *d);

/* Writes what is not written yet: at a reload and at the end. A failure is said once. */
void credits_save(struct daemon *d);
void credits_free(struct daemon *d);
