/* SPDX-License-Identifier: MIT */
#pragma once

/* Burst=yes: cpu.max.burst of every unit that has a finite quota of ours equals that quota.
 *
 * The kernel takes no quota below the burst and no burst above the quota, and systemd logs a refusal
 * to its own journal only. So a round of writes calls burst_prepare() for each change before the
 * records are saved, burst_lower() before the changes are sent, and burst_keep() when all are in
 * force: that one brings bursts to what they should be, once an epoch those too that a new cgroup or the
 * kernel reset. What a burst was before us is on disk before the first write, and goes back with the quota.
 *
 * A burst that cannot be had (an old kernel, a read-only hierarchy) is told once, and the quotas go on
 * without. One that somebody else changed is theirs, and the quotas go on as far as it lets them. */

#include "daemon/daemon.h"

/* Before @setting of @s: notes in the state file what the burst is about to be. */
void burst_prepare(struct daemon *d, struct service *s, const struct systemd_setting *setting);
/* Lowers the bursts that would be in the way of what burst_prepare() was told. The state is saved. */
void burst_lower(struct daemon *d, struct service *const units[], size_t n);
/* After a round: bursts to what they should be. Saves the state before it writes. In the first round of an
 * epoch these are all, later those of the units that were written since @round_start_usec: a thousand writes
 * are twenty rounds a second apart. Cost: ten system calls for each unit that has a burst of ours, or a quota of
 * ours with Burst=yes. */
void burst_keep(struct daemon *d, uint64_t round_start_usec);

/* The kernel refused the quota of a unit: is_in_the_way says whether that is why. */
void burst_suspect(struct service *s);
/* What to do about that, for people: malloc'd; NULL without memory. */
char *burst_remedy(const struct service *s);
/* Is its quota somebody else's, and the kernel still has another (which it refused theirs for)? */
bool burst_left_behind(const struct service *s);
/* The unit was given back because its quota is somebody else's: where our burst was what kept the kernel from taking
 * theirs, says what to type. */
void burst_gave_way(struct service *s);
/* The unit was given back, or is not there any more. */
void burst_forget(struct service *s);
