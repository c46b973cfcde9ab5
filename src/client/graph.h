/* SPDX-License-Identifier: MIT */
#pragma once

/* Who calls whom, as the daemon lists it: services and the calls between them, ready to be drawn. */

#include "client/json.h"

#include <stddef.h>

#define GRAPH_NONE SIZE_MAX

struct graph_node {
        const char *name;               /* borrowed */
        struct json_object *service;    /* borrowed; NULL for a name that no list of services has */
        size_t coalition;               /* place in the list of coalitions, or GRAPH_NONE */
        size_t layer;                   /* no call but a closing one goes to the left */
};

struct graph_edge {
        size_t from, to;
        bool is_closing;                /* of a cycle */
};

struct graph {
        struct graph_node *nodes;
        size_t n_nodes, n_layers;
        struct graph_edge *edges;       /* by caller */
        size_t n_edges;
        size_t *first_edge;             /* of each node; n_nodes + 1 entries */
        struct json_object *node_by_name;
};

/**
 * graph_new() - from what ListServices(), ListPaths() and ListCoalitions() said
 *
 * Calls are those of Calls=; where a path has a service that none of those before it calls, the one
 * just before does. Services without a path, a call and a coalition are nodes, too, if they are
 * managed. Cost: linear, up to hashing.
 *
 * The lists have to live as long as the graph. Return: NULL: out of memory.
 */
struct graph *graph_new(struct json_object *services, struct json_object *paths,
                        struct json_object *coalitions);
/* Takes NULL; returns NULL. */
struct graph *graph_free(struct graph *g);

DEFINE_CLEANUP(struct graph *, graph_free)
#define _cleanup_graph_ _cleanup_(graph_free_p)

/* The node of a name, or GRAPH_NONE. */
size_t graph_find(const struct graph *g, const char *name);

