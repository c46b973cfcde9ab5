/* SPDX-License-Identifier: MIT */
#pragma once

/* From what is wanted to what is in force.
 *
 * One round: look (what units have that are to be changed for the first time), shrink, read back, grow,
 * read back. What a unit had and what it is about to get is on disk before it is on the bus. A unit is
 * written once in two seconds at most (each write refills its budget of the period), and a round is of
 * 50 writes at most (each costs PID 1 milliseconds): what is left follows in rounds a second apart; what
 * the guard asks for goes first, and does not wait for the next one. A new decision replaces the wishes
 * that are left of the one before; who has waited for two goes before larger changes.
 * Values that somebody else changed are found here, too: they are theirs. */

#include "daemon/daemon.h"

/* Starts a round; it ends by itself. Does nothing in observe mode, while a round is under way, when nothing
 * differs, or when frozen (unless quotas exceed a capacity that shrank). While units are given back it
 * waits for them: a unit that cannot be given back, tried again every epoch, must not keep all others
 * from their share. */
void actuate(struct daemon *d);
/* Nothing that was wanted is to be written any more, until the next decision. */
void actuate_forget(struct daemon *d);
/* Its quota counts: it is managed, or was until a moment ago. */
bool actuate_takes_part(const struct service *s);
/* It may be written at this moment. */
bool actuate_may_write(const struct service *s);
/* As systemd and the kernel have it, usec per second. */
uint64_t actuate_quota_in_force(const struct service *s);
/* What the quotas in force may sum to at any instant; INFINITY where they are no partition. */
double actuate_budget_milli(const struct daemon *d);
bool actuate_is_busy(const struct daemon *d);
/* Compares what is in force with what we applied; suspects are looked up over the bus.
 * @after_reload: values may have fallen back to what was before us, which is nobody's decision */
void actuate_check_foreign(struct daemon *d, bool after_reload);
/* What somebody else changed is managed again. */
void actuate_adopt(struct daemon *d, struct service *s);
void actuate_cancel(struct daemon *d);
