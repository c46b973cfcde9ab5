/* SPDX-License-Identifier: MIT */
#pragma once

/* Between two epochs: who hits its ceiling is given room at once (core/guard.h says what room).
 *
 * A timer that runs only while a ceiling of ours is in force reads two counters of every unit that has
 * one: no allocation, no formatting, no bus. What it finds goes out through actuate(), like everything
 * else. Units without these counters, foreign, frozen, or on their way back are left alone. */

#include "daemon/daemon.h"

int guard_start(struct daemon *d);
void guard_free(struct daemon *d);

/* Ceilings may have come into force, or may be touched again: starts polling if there is cause to. It
 * stops by itself. */
void guard_follow(struct daemon *d);
/* A round of writes has ended: what was found meanwhile is done now. */
void guard_after_round(struct daemon *d);
/* A raise that was asked for is in force: keeps it in mind and says so. */
void guard_raised(struct daemon *d, struct service *s, uint64_t from_usec_per_sec);
/* An epoch's lower ceiling is in force: a raise may have been taken back by it. */
void guard_lowered(struct service *s, uint64_t from_usec_per_sec);
/* An epoch is decided. */
void guard_epoch_passed(struct daemon *d);
