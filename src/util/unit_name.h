/* SPDX-License-Identifier: MIT */
#pragma once

/* Names of units, before they become part of a path or of a call: what comes from a file or from
 * somebody else's message is not a name until it was looked at. */

#include <stdbool.h>
#include <stddef.h>

/* systemd's own bound: the name and ".d" must fit into one component of a path. */
#define UNIT_NAME_LENGTH_MAX 255

/**
 * unit_name_is_valid() - is this the full name of a slice, a service or a scope?
 *
 * As systemd judges names (letters, digits and ":-_.\@", at most 255 bytes), narrowed to the three
 * types that have CPU settings we change. No such name has a slash or is "." or "..", so a valid one
 * never leaves the directory that it is appended to.
 */
bool unit_name_is_valid(const char *name);

/* The section of a unit's file that holds its CPU settings: "Slice", "Service" or "Scope"; NULL for
 * any other type. */
const char *unit_name_section(const char *name);
