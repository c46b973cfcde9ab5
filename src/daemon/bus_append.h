/* SPDX-License-Identifier: MIT */
#pragma once

/* What the objects of org.coalloc1 share: numbers as they go over the bus, and dictionaries. */

#include <stdint.h>

#include <systemd/sd-bus.h>

/* Whole usec per second from the doubles of the decision; nothing negative ever leaves it, and what is not
 * finite is "none", UINT64_MAX. */
uint64_t bus_usec_from_milli(double milli);
/* The same for times. */
uint64_t bus_usec_from_ms(double ms);

/* One entry of an a{sv}. Return: 0 or more; negative errno. */
int bus_append_variant(sd_bus_message *m, const char *key, const char *type, ...);
