/* SPDX-License-Identifier: MIT */

#include "client/plan_graph.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Some 2 ns each. */
#define SEARCH_STEPS_MAX ((size_t)250000000)
/* Room for paths that follow from calls: what the daemon has, too. */
#define MEMBERSHIPS_MAX(n_services) (16 * (n_services) + 16384)

static_assert(PLAN_COALITION_MAX == COALITION_MEMBERS_MAX, "the question's range is that of the core");

/* What is needed while a graph is made. */
struct builder {
        const struct plan_request *request;
        struct plan_graph *graph;
        struct call *calls;
        size_t n_calls;
};

static void builder_done(struct builder *b)
{
        free(b->calls);
}

struct plan_graph *plan_graph_free(struct plan_graph *g)
{
        if (!g)
                return NULL;
        free(g->epoch.paths.first);
        free(g->epoch.paths.members);
        free(g->epoch.path);
        free(g->epoch.coalitions);
        free(g->epoch.members);
        free(g->waits);
        free(g);
        return NULL;
}

/* ---- paths --------------------------------------------------------------------------------------- */

static int allocate_paths(struct epoch_graph *g, size_t n_paths, size_t n_members)
{
        g->paths = (struct callgraph_paths) {
                .first = calloc(n_paths + 1, sizeof *g->paths.first),
                .members = calloc(n_members + 1, sizeof *g->paths.members),
                .n_paths_max = n_paths,
                .n_members_max = n_members,
        };
        g->path = calloc(n_paths + 1, sizeof *g->path);
        return g->paths.first && g->paths.members && g->path ? 0 : -ENOMEM;
}

/* Paths as they are said, everybody once on each, and the calls along them. */
static int take_paths(struct builder *b)
{
        const struct plan_request *request = b->request;
        struct epoch_graph *g = &b->graph->epoch;
        _cleanup_free_ size_t *last_path = calloc(request->n_services + 1, sizeof *last_path);
        size_t n_members = 0;

        for (size_t p = 0; p < request->n_paths; p++)
                n_members += request->paths[p].n_services;
        b->calls = calloc(n_members + 1, sizeof *b->calls);
        if (!last_path || !b->calls)
                return -ENOMEM;
        int r = allocate_paths(g, request->n_paths, n_members);
        if (r < 0)
                return r;

        n_members = 0;
        for (size_t p = 0; p < request->n_paths; p++) {
                const struct plan_path *path = &request->paths[p];

                g->path[p] = (struct epoch_path) {
                        .weight = path->weight,
                        .target_ms = isnan(path->latency_target_ms) ? 0 : path->latency_target_ms,
                };
                for (size_t k = 0; k < path->n_services; k++) {
                        size_t i = path->services[k];

                        if (k > 0 && path->services[k - 1] != i)
                                b->calls[b->n_calls++] =
                                        (struct call) { path->services[k - 1], i, path->weight };
                        if (last_path[i] == p + 1)
                                continue;
                        last_path[i] = p + 1;
                        g->paths.members[n_members++] = i;
                }
                g->paths.first[p + 1] = n_members;
        }
        g->paths.n_paths = request->n_paths;
        return 0;
}

/* A call counts once for each path that it is on: a path has all that its services reach. */
static void weigh_calls(struct builder *b, size_t n_paths_of[])
{
        const struct callgraph_paths *paths = &b->graph->epoch.paths;
        size_t n_kept = 0;

        for (size_t k = 0; k < paths->first[paths->n_paths]; k++)
                n_paths_of[paths->members[k]]++;
        for (size_t k = 0; k < b->n_calls; k++) {
                struct call call = b->calls[k];

                call.weight = (double)n_paths_of[call.caller];
                if (call.weight > 0)
                        b->calls[n_kept++] = call;
        }
        b->n_calls = n_kept;
}

/* Paths that follow from calls. */
static int find_paths(struct builder *b, const struct call calls[], size_t n_calls)
{
        struct epoch_graph *g = &b->graph->epoch;
        size_t n = b->request->n_services;
        _cleanup_free_ void *buffer = malloc(callgraph_workspace_size(n, n_calls) + 1);
        _cleanup_free_ size_t *n_paths_of = calloc(n + 1, sizeof *n_paths_of);
        struct callgraph_workspace w;

        b->calls = calloc(n_calls, sizeof *b->calls);
        if (!buffer || !n_paths_of || !b->calls)
                return -ENOMEM;
        memcpy(b->calls, calls, n_calls * sizeof *calls);
        b->n_calls = n_calls;
        int r = allocate_paths(g, n, MEMBERSHIPS_MAX(n));
        if (r < 0)
                return r;

        callgraph_workspace_init(&w, buffer, n, n_calls);
        r = callgraph_find_paths(calls, n_calls, n, &w, &g->paths);
        if (r < 0)
                return r;
        b->graph->is_cut_short = r > 0;
        for (size_t p = 0; p < g->paths.n_paths; p++)
                g->path[p] = (struct epoch_path) { .weight = 1 };
        weigh_calls(b, n_paths_of);
        return 0;
}

/* ---- coalitions ---------------------------------------------------------------------------------- */

/* The same whatever the order of the members is (FNV-1a, summed up). */
static uint64_t add_to_id(uint64_t id, const char *name)
{
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        for (; *name; name++)
                hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
        return id + hash;
}

/* Blocks of two and more, members in the order of the services. */
static int take_blocks(struct builder *b, const size_t block[], size_t n_blocks)
{
        struct epoch_graph *g = &b->graph->epoch;
        size_t n = b->request->n_services, first = 0;
        _cleanup_free_ size_t *size = calloc(n_blocks + 1, sizeof *size);
        _cleanup_free_ size_t *coalition_of = calloc(n_blocks + 1, sizeof *coalition_of);

        g->members = calloc(n + 1, sizeof *g->members);
        g->coalitions = calloc(n_blocks + 1, sizeof *g->coalitions);
        if (!size || !coalition_of || !g->members || !g->coalitions)
                return -ENOMEM;

        for (size_t i = 0; i < n; i++)
                if (block[i] != CALLGRAPH_NONE)
                        size[block[i]]++;
        for (size_t k = 0; k < n_blocks; k++) {
                coalition_of[k] = g->n_coalitions;
                if (size[k] < 2)
                        continue;
                g->coalitions[g->n_coalitions++].first = first;
                first += size[k];
        }
        for (size_t i = 0; i < n; i++) {
                if (block[i] == CALLGRAPH_NONE || size[block[i]] < 2)
                        continue;
                struct epoch_coalition *k = &g->coalitions[coalition_of[block[i]]];
                g->members[k->first + k->n++] = i;
                k->id = add_to_id(k->id, b->request->services[i].name);
        }
        return 0;
}

static int find_coalitions(struct builder *b)
{
        size_t n = b->request->n_services, n_final = 0, n_components;
        _cleanup_free_ void *buffer = malloc(callgraph_workspace_size(n, b->n_calls) + 1);
        _cleanup_free_ size_t *block = calloc(n + 1, sizeof *block);
        struct callgraph_workspace w;

        if (!buffer || !block)
                return -ENOMEM;
        callgraph_workspace_init(&w, buffer, n, b->n_calls);
        size_t n_blocks = callgraph_coalitions(b->calls, b->n_calls, n,
                                               (size_t)b->request->max_coalition_size, SEARCH_STEPS_MAX,
                                               &w, &n_final, block, &n_components);
        return take_blocks(b, block, n_blocks);
}

/* ---- who waits for whom --------------------------------------------------------------------------- */

static int find_waits(struct builder *b)
{
        struct plan_graph *g = b->graph;
        size_t n = b->request->n_services;
        _cleanup_free_ void *buffer = malloc(callgraph_workspace_size(n, b->n_calls) + 1);
        struct callgraph_workspace w;

        g->waits = calloc(b->n_calls + 1, sizeof *g->waits);
        if (!buffer || !g->waits)
                return -ENOMEM;
        callgraph_workspace_init(&w, buffer, n, b->n_calls);
        g->n_waits = callgraph_waits(b->calls, b->n_calls, n, &w, g->waits);
        return 0;
}

int plan_graph_new(const struct plan_request *request, const struct call calls[], size_t n_calls,
                   struct plan_graph **ret)
{
        _cleanup_plan_graph_ struct plan_graph *graph = calloc(1, sizeof *graph);
        _cleanup_(builder_done) struct builder b = { .request = request, .graph = graph };
        int r;

        if (!graph)
                return -ENOMEM;
        r = n_calls > 0 ? find_paths(&b, calls, n_calls) : take_paths(&b);
        if (r >= 0)
                r = find_coalitions(&b);
        if (r >= 0)
                r = find_waits(&b);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(graph);
        return 0;
}
