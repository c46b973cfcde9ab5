/* SPDX-License-Identifier: MIT */
#pragma once

/* From what is wanted to what is in force.
 *
 * One round an epoch: look (what units have that are to be changed for the first time), shrink, read
 * back, grow, read back. What a unit had and what it is about to get is on disk before it is on the bus.
 * Values that somebody else changed are found here, too: they are theirs. */

#include "daemon/daemon.h"

/* Starts a round; it ends by itself. Does nothing in observe mode, while a round is under way, when nothing
 * differs, or when frozen (unless quotas exceed a capacity that shrank). While units are given back it
 * waits for them: a unit that cannot be given back, tried again every epoch, must not keep all others
 * from their share. */
void actuate(struct daemon *d);
bool actuate_is_busy(const struct daemon *d);
/* Compares what is in force with what we applied; suspects are looked up over the bus.
 * @after_reload: values may have fallen back to what was before us, which is nobody's decision */
void actuate_check_foreign(struct daemon *d, bool after_reload);
/* What somebody else changed is managed again. */
void actuate_adopt(struct daemon *d, struct service *s);
void actuate_cancel(struct daemon *d);
