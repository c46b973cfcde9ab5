/* SPDX-License-Identifier: MIT */
#pragma once

/* A dbus-daemon of one's own, in a temporary directory, on which everybody may do everything: for
 * tests that need what only a bus has (names, owners, matches). */

#include <stdbool.h>

#include <systemd/sd-bus.h>

struct private_bus;

/* Is there a dbus-daemon on this machine at all? */
bool private_bus_is_possible(void);

/* Starts it and waits until it listens; prints why and aborts if it does not. */
struct private_bus *private_bus_new(void);

/* Ends it; takes NULL; returns NULL. */
struct private_bus *private_bus_free(struct private_bus *b);

/* For DBUS_SYSTEM_BUS_ADDRESS. Borrowed. */
const char *private_bus_address(const struct private_bus *b);

/* Ends it and starts it anew on the same address: all connections are lost. */
void private_bus_restart(struct private_bus *b);

/* A connection of one's own, started. */
sd_bus *private_bus_connect(const struct private_bus *b);
