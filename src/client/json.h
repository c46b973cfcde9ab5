/* SPDX-License-Identifier: MIT */
#pragma once

/* Small steps with json-c that every verb takes. */

#include "util/cleanup.h"

#include <json-c/json.h>
#include <stdbool.h>

static inline void json_put_p(struct json_object **o)
{
        json_object_put(*o);
}
#define _cleanup_json_ _cleanup_(json_put_p)

/* A member, or NULL if there is none or it is null. Borrowed. */
struct json_object *json_get(struct json_object *o, const char *key);

/* A string member, or @otherwise. Borrowed. */
const char *json_get_text(struct json_object *o, const char *key, const char *otherwise);

/* A number member, or NAN. */
double json_get_number(struct json_object *o, const char *key);

bool json_get_bool(struct json_object *o, const char *key);

/* A double for output: shortest round trip; null (NULL) where it is not finite. */
struct json_object *json_number(double number);

/* Prints to standard output: indented for a person at a terminal, one line into a pipe.
 * Return: a STATUS_. */
int json_print(struct json_object *o);
