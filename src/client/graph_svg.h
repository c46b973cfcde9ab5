/* SPDX-License-Identifier: MIT */
#pragma once

/* A call graph as a picture: callers to the left of those whom they call, a frame around each
 * coalition, the paths in words below. */

#include "client/graph.h"

#define GRAPH_LABEL_MAX 160

/* What a service holds and how long it takes by the model: "90%, 38ms". */
char *graph_label(char buf[static GRAPH_LABEL_MAX], const struct graph_node *node);

/* Colour of the frame of a coalition: filled if it is formed, else of its line. */
const char *graph_color(size_t i_coalition, bool is_fill);

/* To standard output. Return: a STATUS_; what went wrong has been said. */
int graph_print_svg(const struct graph *g, struct json_object *paths, struct json_object *coalitions);
