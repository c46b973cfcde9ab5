/* SPDX-License-Identifier: MIT */

/* graph: who calls whom, who pools CPU with whom, and what everybody holds. As a tree of text, for
 * graphviz, or as a picture. */

#include "client/bus.h"
#include "client/cells.h"
#include "client/client.h"
#include "client/head.h"
#include "client/graph.h"
#include "client/graph_svg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Deeper calls are no longer moved to the right. */
#define DEPTH_MAX 24

static const struct field service_fields[] = {
        { "Name", "name", FIELD_SAME },
        { "Unit", "unit", FIELD_SAME },
        { "CoalitionId", "coalition", FIELD_SAME },
        { "EntitlementUSecPerSec", "entitlement_milli", FIELD_CPU },
        { "AllocationUSecPerSec", "alloc_milli", FIELD_CPU },
        { "LatencyModelUSec", "latency_model_ms", FIELD_LATENCY },
        { "LatencyTargetUsedUSec", "latency_target_used_ms", FIELD_TARGET },
};

static const struct field path_fields[] = {
        { "Name", "name", FIELD_SAME },
        { "Services", "services", FIELD_SAME },
        { "LatencyUSec", "latency_ms", FIELD_LATENCY },
        { "LatencyTargetUSec", "latency_target_ms", FIELD_TARGET },
        { "Price", "price", FIELD_NUMBER },
};

static const struct field coalition_fields[] = {
        { "Id", "id", FIELD_SAME },
        { "Members", "members", FIELD_SAME },
        { "Formed", "formed", FIELD_SAME },
};

/* ---- JSON ------------------------------------------------------------------------------------------ */

static bool add_services(struct json_object *top, const struct graph *g)
{
        _cleanup_json_ struct json_object *services = json_object_new_array();

        for (size_t i = 0; services && i < g->n_nodes; i++)
                if (g->nodes[i].service &&
                    json_object_array_add(services, json_object_get(g->nodes[i].service)) < 0)
                        return false;
        return services && fields_add_list(top, "services", service_fields, N_FIELDS(service_fields), services);
}

static bool add_calls(struct json_object *top, const struct graph *g)
{
        struct json_object *calls = json_object_new_array();

        if (!calls || json_object_object_add(top, "calls", calls) < 0)
                return false;
        for (size_t i = 0; i < g->n_edges; i++) {
                struct json_object *o = json_object_new_object();

                if (!o || json_object_array_add(calls, o) < 0 ||
                    json_object_object_add(o, "from", json_object_new_string(g->nodes[g->edges[i].from].name)) < 0 ||
                    json_object_object_add(o, "to", json_object_new_string(g->nodes[g->edges[i].to].name)) < 0)
                        return false;
        }
        return true;
}

static int print_json(const struct graph *g, struct json_object *paths, struct json_object *coalitions)
{
        _cleanup_json_ struct json_object *top = json_object_new_object();

        if (!top || !add_services(top, g) || !add_calls(top, g) ||
            !fields_add_list(top, "paths", path_fields, N_FIELDS(path_fields), paths) ||
            !fields_add_list(top, "coalitions", coalition_fields, N_FIELDS(coalition_fields), coalitions))
                return out_of_memory();
        return json_print(top);
}

/* ---- text ------------------------------------------------------------------------------------------ */

/* A walk through one path. */
struct walk {
        const struct graph *g;
        struct table *t;
        size_t *path_of;                /* per node: the path it is on, plus one */
        size_t *printed_in;             /* the path it was printed in last, plus one */
        struct step {
                size_t node;
                size_t depth;
                bool is_last;
        } *stack;                       /* one for each edge and node */
};

static void print_node(const struct walk *w, const struct step *step, const bool is_last[], bool is_repeated)
{
        const struct graph_node *node = &w->g->nodes[step->node];
        bool is_utf8 = words_has_utf8();
        char text[4 * DEPTH_MAX * 3 + 256];
        size_t length = 0;

        for (size_t i = 0; i + 1 < step->depth; i++)
                length += (size_t)snprintf(text + length, sizeof text - length, "%s",
                                           is_last[i + 1] ? "   " : is_utf8 ? "\u2502  " : "|  ");
        (void)snprintf(text + length, sizeof text - length, "%s%.200s%s",
                       step->depth == 0 ? "" : is_utf8 ? step->is_last ? "\u2514\u2500 " : "\u251c\u2500 "
                                                       : step->is_last ? "`- " : "|- ",
                       node->name, is_repeated ? " (see above)" : "");
        table_row(w->t);
        table_cell(w->t, TERM_PLAIN, text);
        cell_text(w->t, TERM_PLAIN, json_get_text(node->service, "CoalitionId", ""));
        cell_cpu(w->t, node->service, "AllocationUSecPerSec");
        cell_latency(w->t, TERM_PLAIN, node->service, "LatencyModelUSec");
}

/* Everything that a node reaches within its path, callees below their callers, each once in full. */
static void print_tree(struct walk *w, size_t root, size_t mark)
{
        bool is_last[DEPTH_MAX + 1] = { false };
        size_t n = 0;

        w->stack[n++] = (struct step) { root, 1, true };
        while (n > 0) {
                struct step step = w->stack[--n];
                bool is_repeated = w->printed_in[step.node] == mark;
                size_t n_children = 0;

                is_last[step.depth] = step.is_last;
                print_node(w, &step, is_last, is_repeated);
                if (is_repeated)
                        continue;
                w->printed_in[step.node] = mark;
                /* Backwards, as the last one put there is the first one taken. */
                for (size_t e = w->g->first_edge[step.node + 1]; e > w->g->first_edge[step.node]; e--) {
                        size_t callee = w->g->edges[e - 1].to;

                        if (w->path_of[callee] == mark)
                                w->stack[n++] = (struct step) {
                                        callee, step.depth < DEPTH_MAX ? step.depth + 1 : DEPTH_MAX,
                                        n_children++ == 0,
                                };
                }
        }
}

static void print_path(struct walk *w, struct json_object *path, size_t mark)
{
        struct json_object *members = json_get_list(path, "Services");
        uint64_t latency_usec = NONE, target_usec = 0;
        char text[2 * FORMAT_MAX];

        (void)json_get_count(path, "LatencyUSec", &latency_usec);
        (void)json_get_count(path, "LatencyTargetUSec", &target_usec);
        table_row(w->t);
        table_cell(w->t, TERM_BOLD, json_get_text(path, "Name", "?"));
        table_cell(w->t, TERM_PLAIN, "");
        table_cell(w->t, TERM_PLAIN, "");
        table_cell(w->t, style_against_target(latency_usec, target_usec),
                   words_against_target(text, latency_usec, target_usec));
        for (size_t k = 0; k < json_length(members); k++) {
                size_t node = graph_find(w->g, json_text_at(members, k));

                if (node != GRAPH_NONE)
                        w->path_of[node] = mark;
        }
        for (size_t k = 0; k < json_length(members); k++) {
                size_t node = graph_find(w->g, json_text_at(members, k));

                if (node != GRAPH_NONE && w->printed_in[node] != mark)
                        print_tree(w, node, mark);
        }
}

static void print_rest(struct walk *w)
{
        const char *title = "(no path)";

        for (size_t i = 0; i < w->g->n_nodes; i++) {
                if (w->printed_in[i] > 0)
                        continue;
                if (title) {
                        table_row(w->t);
                        table_cell(w->t, TERM_DIM, title);
                        table_row(w->t);
                        title = NULL;
                }
                print_node(w, &(struct step) { i, 0, true }, NULL, false);
        }
}

static int print_text(const struct client *c, const struct graph *g, struct json_object *paths)
{
        _cleanup_free_ size_t *path_of = calloc(g->n_nodes + 1, sizeof *path_of);
        _cleanup_free_ size_t *printed_in = calloc(g->n_nodes + 1, sizeof *printed_in);
        _cleanup_free_ struct step *stack = calloc(g->n_nodes + g->n_edges + 1, sizeof *stack);
        struct walk w = { .g = g, .path_of = path_of, .printed_in = printed_in, .stack = stack };

        w.t = path_of && printed_in && stack ? table_new() : NULL;
        if (!w.t)
                return out_of_memory();
        table_column(w.t, "PATH", TABLE_MAY_CUT, 0);
        table_column(w.t, "COALITION", TABLE_MAY_CUT, 1);
        table_column(w.t, "ALLOC", TABLE_RIGHT, 0);
        table_column(w.t, "LATENCY", TABLE_RIGHT, 0);
        for (size_t i = 0; i < json_length(paths); i++)
                print_path(&w, json_at(paths, i), i + 1);
        print_rest(&w);
        return cells_print(w.t, c->has_legend);
}

/* ---- graphviz -------------------------------------------------------------------------------------- */

static void print_quoted(const char *text)
{
        for (; *text; text++)
                if (*text == '"' || *text == '\\')
                        (void)printf("\\%c", *text);
                else
                        (void)putchar((unsigned char)*text < ' ' ? ' ' : *text);
}

static void print_dot_node(const struct graph_node *node, const char *indent)
{
        char text[GRAPH_LABEL_MAX];

        (void)printf("%s\"", indent);
        print_quoted(node->name);
        (void)printf("\" [label=\"");
        print_quoted(node->name);
        (void)printf("\\n%s\"];\n", graph_label(text, node));
}

static int print_dot(const struct graph *g, struct json_object *coalitions)
{
        (void)printf("digraph coalloc {\n"
                     "        rankdir=LR;\n"
                     "        node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"sans-serif\"];\n"
                     "        edge [color=\"#64748b\"];\n");
        for (size_t k = 0; k < json_length(coalitions); k++) {
                struct json_object *coalition = json_at(coalitions, k);
                bool is_formed = json_get_bool(coalition, "Formed");

                (void)printf("        subgraph cluster_%zu {\n                label=\"coalition ", k);
                print_quoted(json_get_text(coalition, "Id", "?"));
                (void)printf("%s\";\n                fontname=\"sans-serif\";\n                style=\"%s\";\n"
                             "                color=\"%s\";\n", is_formed ? "" : " (not formed)",
                             is_formed ? "rounded,filled" : "rounded,dashed", graph_color(k, is_formed));
                for (size_t i = 0; i < g->n_nodes; i++)
                        if (g->nodes[i].coalition == k)
                                print_dot_node(&g->nodes[i], "                ");
                (void)printf("        }\n");
        }
        for (size_t i = 0; i < g->n_nodes; i++)
                if (g->nodes[i].coalition == GRAPH_NONE)
                        print_dot_node(&g->nodes[i], "        ");
        for (size_t i = 0; i < g->n_edges; i++) {
                (void)printf("        \"");
                print_quoted(g->nodes[g->edges[i].from].name);
                (void)printf("\" -> \"");
                print_quoted(g->nodes[g->edges[i].to].name);
                (void)printf("\"%s;\n", g->edges[i].is_closing ? " [style=dashed, constraint=false]" : "");
        }
        (void)printf("}\n");
        return STATUS_FINE;
}

int verb_graph(const struct client *c, char *args[], int n_args)
{
        _cleanup_json_ struct json_object *services = NULL, *paths = NULL, *coalitions = NULL;
        _cleanup_graph_ struct graph *g = NULL;
        _cleanup_bus_ sd_bus *bus = NULL;

        (void)args;
        (void)n_args;
        if (c->want_dot + c->want_svg + c->want_json > 1) {
                complain("--dot, --svg and --json exclude each other.");
                return STATUS_USAGE;
        }
        int status = bus_open(c, &bus);
        if (status == STATUS_FINE)
                status = bus_call_list(bus, &services, "ListServices");
        if (status == STATUS_FINE)
                status = bus_call_list(bus, &paths, "ListPaths");
        if (status == STATUS_FINE)
                status = bus_call_list(bus, &coalitions, "ListCoalitions");
        if (status != STATUS_FINE)
                return status;
        g = graph_new(services, paths, coalitions);
        if (!g)
                return out_of_memory();
        if (c->want_json)
                return print_json(g, paths, coalitions);
        if (c->want_dot)
                return print_dot(g, coalitions);
        if (c->want_svg)
                return graph_print_svg(g, paths, coalitions);
        if (json_length(paths) == 0)
                return head_no_coalitions(bus);
        return print_text(c, g, paths);
}
