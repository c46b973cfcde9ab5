/* SPDX-License-Identifier: MIT */
#pragma once

/* org.coalloc1 on D-Bus: the manager object, one object a service, and signals (org.coalloc1(5)). It
 * publishes what was decided; nothing is computed for a reader. */

#include "daemon/daemon.h"

/* Adds the objects and asks for the name. Return: 0; negative errno. */
int manager_bus_attach(struct daemon *d, sd_bus *bus);
/* The same on a connection of our own to another bus: --publish=. */
int manager_bus_publish(struct daemon *d, const char *address);
/* The bus is gone: its objects are, too. */
void manager_bus_detach(struct daemon *d);
void manager_bus_free(struct daemon *d);

/* Signals; usec per second, UINT64_MAX = none. Nobody waits for whoever listens. */
void manager_bus_epoch_done(struct daemon *d);
void manager_bus_quota_changed(struct daemon *d, const char *unit, uint64_t old, uint64_t new,
                               const char *reason);
void manager_bus_weight_changed(struct daemon *d, const char *unit, uint64_t old, uint64_t new,
                                const char *reason);
