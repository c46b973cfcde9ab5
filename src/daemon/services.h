/* SPDX-License-Identifier: MIT */
#pragma once

/* The table of units: which ones there are, which section each belongs to, and what systemd says of
 * them. systemd_manager reports, this table keeps; a unit stays in it as long as it is loaded, declared by
 * name, or holds managed units. */

#include "daemon/daemon.h"

/* The follower of systemd_manager: `userdata` is the daemon. */
bool services_want(void *userdata, const char *unit);
void services_on_event(void *userdata, enum systemd_event event, struct systemd_unit *unit);

/* By unit name, in O(log n); NULL if it is not followed. */
struct service *services_find(struct daemon *d, const char *unit);
/* By unit, or by the name of a [Service] section. */
struct service *services_find_by_any_name(struct daemon *d, const char *name);

/* After the configuration changed: who belongs to which section now. Return: 0; -ENOMEM. */
int services_reassign(struct daemon *d);
/* Which slices hold managed units, which of them are never touched, and which units only the running
 * tree shows to be inside a managed slice (services, scopes). Once an epoch. */
void services_find_roles(struct daemon *d);
/* Forgets units that are gone and belong to no section; not while writes are under way. */
void services_sweep(struct daemon *d);
/* systemd's side of every unit is about to go. */
void services_detach(struct daemon *d);
void services_free(struct daemon *d);

/* Managed, active, measured, and nobody else's: takes part in the bargaining. A unit whose data fails
 * to come plays on with what it has, for STALE_EPOCHS_MAX epochs. */
bool service_plays(const struct service *s);
/* Has its ceiling another value than the last decision gave it, because the guard raised it? */
bool service_is_raised(const struct service *s);
/* Nothing that was decided for it holds any longer. */
void service_forget_allocation(struct service *s);
/* The quota that the unit had before us, usec per second, or USEC_UNSET. */
uint64_t service_prior_quota(struct daemon *d, const struct service *s);
/* One word for status, and a remark for people (malloc'd; NULL without memory). */
const char *service_state(const struct daemon *d, const struct service *s);
char *service_note(const struct daemon *d, const struct service *s);
