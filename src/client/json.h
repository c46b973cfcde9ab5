/* SPDX-License-Identifier: MIT */
#pragma once

/* Small steps with json-c that every verb takes. */

#include "util/cleanup.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

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

/* A list member, or NULL. Borrowed. */
struct json_object *json_get_list(struct json_object *o, const char *key);

/* A count member. Return: false if there is none, or it is no count. */
bool json_get_count(struct json_object *o, const char *key, uint64_t *ret);

/* The same of a value that is at hand. */
double json_number_of(struct json_object *value);
bool json_count_of(struct json_object *value, uint64_t *ret);

/* Elements of a list, 0 of NULL and of what is no list; one of them, NULL, "" or NAN where it is
 * missing or of another type. */
size_t json_length(struct json_object *list);
struct json_object *json_at(struct json_object *list, size_t i);
const char *json_text_at(struct json_object *list, size_t i);
double json_number_at(struct json_object *list, size_t i);

/* "web, cart and db" of a list of text. Return: for free(); NULL: out of memory. */
char *json_join(struct json_object *list, const char *between, const char *before_last);

/* A double for output: shortest round trip; null (NULL) where it is not finite. */
struct json_object *json_number(double number);

/* Prints to standard output: indented for a person at a terminal, one line into a pipe.
 * Return: a STATUS_. */
int json_print(struct json_object *o);
