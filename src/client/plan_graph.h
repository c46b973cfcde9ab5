/* SPDX-License-Identifier: MIT */
#pragma once

/* Paths and coalitions of a question to plan, ready for epoch_decide(). */

#include "core/epoch.h"
#include "platform/plan_json.h"
#include "util/cleanup.h"

struct plan_graph {
        struct epoch_graph epoch;
        struct call *waits;             /* callgraph_waits() of its calls */
        size_t n_waits;
        bool is_cut_short;              /* there was no room for all paths that follow from Calls= */
};

/**
 * plan_graph_new() - read the graph out of a complete question
 * @calls: who calls whom where the question has no paths (Calls=)
 * @ret:   for plan_graph_free()
 *
 * Cost: that of callgraph_coalitions(), with searches of half a second at most in all.
 *
 * Return: 0; -ENOMEM.
 */
int plan_graph_new(const struct plan_request *request, const struct call calls[], size_t n_calls,
                   struct plan_graph **ret);

/* Takes NULL; returns NULL. */
struct plan_graph *plan_graph_free(struct plan_graph *g);
DEFINE_CLEANUP(struct plan_graph *, plan_graph_free)
#define _cleanup_plan_graph_ _cleanup_(plan_graph_free_p)
