/* SPDX-License-Identifier: MIT */
#pragma once

/* The connection to a running coallocd, and one message for each way in which it can fail.
 *
 * No call starts the daemon: asking for the status of something that does not run must not run it.
 * Every function here that returns a STATUS_ has said what is wrong when that is not STATUS_FINE. */

#include "client/client.h"
#include "client/json.h"

#include <systemd/sd-bus.h>

/* Longest wait for an answer, and for giving back a thousand units. */
#define BUS_PATIENCE_USEC (30 * UINT64_C(1000000))
#define BUS_PATIENCE_RESTORE_USEC (300 * UINT64_C(1000000))

#define _cleanup_bus_ _cleanup_(sd_bus_flush_close_unrefp)
#define _cleanup_message_ _cleanup_(sd_bus_message_unrefp)

/* The system bus of this host, of -H or of -M. */
int bus_open(const struct client *c, sd_bus **ret);

/**
 * bus_call() - call a method of org.coalloc1.Manager
 * @ret_reply: for sd_bus_message_unref(); may be NULL
 * @types:     as sd_bus_message_append(), "" for no arguments
 */
int bus_call(sd_bus *bus, uint64_t patience_usec, const char *method, sd_bus_message **ret_reply,
             const char *types, ...);

/* All properties, as an object with their D-Bus names; for json_object_put(). */
int bus_get_properties(sd_bus *bus, struct json_object **ret);

/* Calls a method that answers with one string of JSON. */
int bus_call_json(sd_bus *bus, struct json_object **ret, const char *method, const char *types, ...);

/**
 * bus_read_list() - an aa{sv} as a list of objects
 *
 * Values of simple types and lists of them; others are skipped, so that a newer daemon may say more.
 * Return: 0; negative errno.
 */
int bus_read_list(sd_bus_message *m, struct json_object **ret);

/* Calls a method that answers with one. */
int bus_call_list(sd_bus *bus, struct json_object **ret, const char *method);

/* Calls a method that answers with a{sd}: an object of numbers. */
int bus_call_numbers(sd_bus *bus, struct json_object **ret, const char *method);

/* Says that the daemon's answer makes no sense. Return: STATUS_FAILED. */
int bus_bad_answer(const char *method, int error);
