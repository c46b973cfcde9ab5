/* SPDX-License-Identifier: MIT */
#pragma once

/* Table cells of what the daemon says. "-" where it does not say, or says that there is none. */

#include "client/fields.h"
#include "client/table.h"
#include "client/words.h"

/* CPU that the bus counts in usec per sec: "135%". */
void cell_cpu(struct table *t, struct json_object *o, const char *bus_name);

/* The same of a value that is at hand. */
void cell_cpu_value(struct table *t, struct json_object *usec_per_sec);

/* A time in usec: "42ms"; NONE is none. */
void cell_latency(struct table *t, enum term_style style, struct json_object *o, const char *bus_name);

/* A text, "-" for an empty one. */
void cell_text(struct table *t, enum term_style style, const char *text);

/* A latency (NONE: none) against a target (0: none), as one text; "" if there is neither. */
char *words_against_target(char buf[static 2 * FORMAT_MAX], uint64_t latency_usec, uint64_t target_usec);
enum term_style style_against_target(uint64_t latency_usec, uint64_t target_usec);

/* Prints and frees. Return: a STATUS_; what went wrong has been said. */
int cells_print(struct table *t, bool has_legend);
