/* SPDX-License-Identifier: MIT */
#pragma once

/* What the bus calls a thing and what our JSON calls it: one table a kind of thing, one place for
 * both names. test_documents.sh holds the tables against coallocctl(1). */

#include "client/json.h"

#include <stddef.h>
#include <stdint.h>

/* systemd's "none", and ours. */
#define NONE UINT64_MAX

enum field_type {
        FIELD_SAME,                     /* text, booleans, counts and lists of text, as they are */
        FIELD_CPU,                      /* usec per sec -> milli; NONE -> null */
        FIELD_CPU_LIST,                 /* the same, many */
        FIELD_SPAN,                     /* usec -> sec; NONE -> null */
        FIELD_LATENCY,                  /* usec -> ms; NONE -> null */
        FIELD_TARGET,                   /* usec -> ms; 0 -> null */
        FIELD_OPTIONAL,                 /* count; NONE -> null */
        FIELD_NUMBER,                   /* double; what is not finite -> null */
        FIELD_NUMBER_LIST,              /* the same, many */
};

struct field {
        const char *bus_name;
        const char *json_name;
        enum field_type type;
};

/**
 * fields_to_json() - what the daemon said of one thing, under our names and in our units
 *
 * What it did not say, and what has another type than it should, is null.
 *
 * Return: for json_object_put(); NULL: out of memory.
 */
struct json_object *fields_to_json(const struct field fields[], size_t n, struct json_object *o);

/**
 * fields_add_list() - the same for a list of things, added to @top as @key
 *
 * Return: false: out of memory.
 */
bool fields_add_list(struct json_object *top, const char *key, const struct field fields[], size_t n,
                     struct json_object *list);

/* Prints an object with such a list alone. Return: a STATUS_. */
int fields_print_list(const char *key, const struct field fields[], size_t n, struct json_object *list);

#define N_FIELDS(fields) (sizeof(fields) / sizeof *(fields))
