/* SPDX-License-Identifier: MIT */

#include "client/graph.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* A growing list of calls, each once. */
struct calls {
        struct graph_edge *edges;
        size_t n, n_allocated;
        struct json_object *seen;       /* "from to" */
};

size_t graph_find(const struct graph *g, const char *name)
{
        uint64_t i;

        return json_get_count(g->node_by_name, name, &i) ? (size_t)i : GRAPH_NONE;
}

/* Room for one more has been made. */
static bool add_node(struct graph *g, const char *name, struct json_object *service)
{
        struct json_object *i = json_object_new_uint64(g->n_nodes);

        if (!*name || json_get(g->node_by_name, name)) {
                json_object_put(i);
                return true;
        }
        if (!i || json_object_object_add(g->node_by_name, name, i) < 0) {
                json_object_put(i);
                return false;
        }
        g->nodes[g->n_nodes++] = (struct graph_node) { .name = name, .service = service, .coalition = GRAPH_NONE };
        return true;
}

/* Managed services in their order, then whom only a path names. */
static bool find_nodes(struct graph *g, struct json_object *services, struct json_object *paths)
{
        size_t n_max = json_length(services);

        for (size_t i = 0; i < json_length(paths); i++)
                n_max += json_length(json_get_list(json_at(paths, i), "Services"));
        g->nodes = calloc(n_max + 1, sizeof *g->nodes);
        if (!g->nodes)
                return false;
        for (size_t i = 0; i < json_length(services); i++) {
                struct json_object *s = json_at(services, i);

                if (json_get_bool(s, "Managed") && !add_node(g, json_get_text(s, "Name", ""), s))
                        return false;
        }
        for (size_t i = 0; i < json_length(paths); i++) {
                struct json_object *members = json_get_list(json_at(paths, i), "Services");

                for (size_t k = 0; k < json_length(members); k++)
                        if (!add_node(g, json_text_at(members, k), NULL))
                                return false;
        }
        return true;
}

static void find_coalitions(struct graph *g, struct json_object *coalitions)
{
        for (size_t i = 0; i < json_length(coalitions); i++) {
                struct json_object *members = json_get_list(json_at(coalitions, i), "Members");

                for (size_t k = 0; k < json_length(members); k++) {
                        size_t node = graph_find(g, json_text_at(members, k));

                        if (node != GRAPH_NONE)
                                g->nodes[node].coalition = i;
                }
        }
}

static bool add_call(struct calls *c, size_t from, size_t to)
{
        char key[64];

        if (from == GRAPH_NONE || to == GRAPH_NONE || from == to)
                return true;
        (void)snprintf(key, sizeof key, "%zu %zu", from, to);
        if (json_object_object_get_ex(c->seen, key, NULL))
                return true;
        if (c->n == c->n_allocated) {
                size_t n = c->n_allocated ? 2 * c->n_allocated : 64;
                struct graph_edge *edges = reallocarray(c->edges, n, sizeof *edges);

                if (!edges)
                        return false;
                c->edges = edges;
                c->n_allocated = n;
        }
        if (json_object_object_add(c->seen, key, NULL) < 0)
                return false;
        c->edges[c->n++] = (struct graph_edge) { .from = from, .to = to };
        return true;
}

/* Sorts calls by caller and takes them over; may be called again with more. */
static bool take_calls(struct graph *g, const struct calls *c)
{
        size_t *first = calloc(g->n_nodes + 2, sizeof *first);
        struct graph_edge *edges = calloc(c->n + 1, sizeof *edges);

        if (!first || !edges) {
                free(first);
                free(edges);
                return false;
        }
        for (size_t i = 0; i < c->n; i++)
                first[c->edges[i].from + 2]++;
        for (size_t i = 2; i < g->n_nodes + 2; i++)
                first[i] += first[i - 1];
        for (size_t i = 0; i < c->n; i++)
                edges[first[c->edges[i].from + 1]++] = c->edges[i];
        free(g->edges);
        free(g->first_edge);
        g->edges = edges;
        g->n_edges = c->n;
        g->first_edge = first;
        return true;
}

static bool add_declared(const struct graph *g, struct calls *c)
{
        for (size_t i = 0; i < g->n_nodes; i++) {
                struct json_object *callees = json_get_list(g->nodes[i].service, "Calls");

                for (size_t k = 0; k < json_length(callees); k++)
                        if (!add_call(c, i, graph_find(g, json_text_at(callees, k))))
                                return false;
        }
        return true;
}

/* @called_in: per node, the path in which somebody seen so far calls it, plus one. */
static bool add_path(const struct graph *g, struct calls *c, struct json_object *members, size_t i_path,
                     size_t called_in[])
{
        size_t before = GRAPH_NONE;

        for (size_t k = 0; k < json_length(members); k++) {
                size_t node = graph_find(g, json_text_at(members, k));

                if (node == GRAPH_NONE)
                        continue;
                if (called_in[node] != i_path + 1 && !add_call(c, before, node))
                        return false;
                for (size_t e = g->first_edge[node]; e < g->first_edge[node + 1]; e++)
                        called_in[g->edges[e].to] = i_path + 1;
                before = node;
        }
        return true;
}

static bool find_calls(struct graph *g, struct json_object *paths)
{
        _cleanup_json_ struct json_object *seen = json_object_new_object();
        _cleanup_free_ size_t *called_in = calloc(g->n_nodes + 1, sizeof *called_in);
        struct calls c = { .seen = seen };

        bool is_fine = seen && called_in && add_declared(g, &c) && take_calls(g, &c);
        for (size_t i = 0; is_fine && i < json_length(paths); i++)
                is_fine = add_path(g, &c, json_get_list(json_at(paths, i), "Services"), i, called_in);
        is_fine = is_fine && take_calls(g, &c);
        free(c.edges);
        return is_fine;
}

/* Depth first: an edge to a node that is not finished closes a cycle. @ret_order: callers after those
 * whom they call. */
static bool find_cycles(struct graph *g, size_t ret_order[])
{
        enum { NEW, OPEN, FINISHED };
        _cleanup_free_ uint8_t *state = calloc(g->n_nodes + 1, 1);
        _cleanup_free_ size_t *stack = calloc(g->n_nodes + 1, sizeof *stack);
        _cleanup_free_ size_t *next = calloc(g->n_nodes + 1, sizeof *next);
        size_t n_order = 0;

        if (!state || !stack || !next)
                return false;
        for (size_t root = 0; root < g->n_nodes; root++) {
                size_t depth = 0;

                if (state[root] != NEW)
                        continue;
                stack[depth++] = root;
                state[root] = OPEN;
                next[root] = g->first_edge[root];
                while (depth > 0) {
                        size_t node = stack[depth - 1];

                        if (next[node] == g->first_edge[node + 1]) {
                                state[node] = FINISHED;
                                ret_order[n_order++] = node;
                                depth--;
                                continue;
                        }
                        struct graph_edge *edge = &g->edges[next[node]++];
                        edge->is_closing = state[edge->to] == OPEN;
                        if (state[edge->to] == NEW) {
                                state[edge->to] = OPEN;
                                next[edge->to] = g->first_edge[edge->to];
                                stack[depth++] = edge->to;
                        }
                }
        }
        return true;
}

/* As far to the right as the longest way of calls leads. */
static bool find_layers(struct graph *g)
{
        _cleanup_free_ size_t *order = calloc(g->n_nodes + 1, sizeof *order);

        if (!order || !find_cycles(g, order))
                return false;
        for (size_t k = g->n_nodes; k > 0; k--) {
                size_t node = order[k - 1], layer = g->nodes[node].layer;

                for (size_t e = g->first_edge[node]; e < g->first_edge[node + 1]; e++) {
                        struct graph_node *callee = &g->nodes[g->edges[e].to];

                        if (!g->edges[e].is_closing && callee->layer < layer + 1)
                                callee->layer = layer + 1;
                }
                if (layer + 1 > g->n_layers)
                        g->n_layers = layer + 1;
        }
        return true;
}

struct graph *graph_new(struct json_object *services, struct json_object *paths,
                        struct json_object *coalitions)
{
        struct graph *g = calloc(1, sizeof *g);

        if (!g)
                return NULL;
        g->node_by_name = json_object_new_object();
        if (!g->node_by_name || !find_nodes(g, services, paths) || !find_calls(g, paths) || !find_layers(g))
                return graph_free(g);
        find_coalitions(g, coalitions);
        return g;
}

struct graph *graph_free(struct graph *g)
{
        if (!g)
                return NULL;
        free(g->nodes);
        free(g->edges);
        free(g->first_edge);
        json_object_put(g->node_by_name);
        free(g);
        return NULL;
}
