/* SPDX-License-Identifier: MIT */
#pragma once

/* The call graph of an epoch: from the configuration and the units that play to the paths and coalitions
 * that epoch_decide() takes. Nothing in here knows the daemon.
 *
 * Paths are those of [Path] sections, or, without any, those that follow from Calls=. Services that do
 * not play are left out of them, and the rest still forms the path. A path with services whose Unit= is
 * a pattern is one path for each text that stands in place of the wildcards ("checkout@acme").
 *
 * Built anew only when something changed; what was found out about a coalition stays with it as long as
 * its members are the same. Source: doc/theory.md, Coalitions. */

#include "core/epoch.h"
#include "platform/config_file.h"
#include "util/cleanup.h"

/* A unit that plays in this epoch. */
struct graph_player {
        const char *unit;
        const struct config_service *config;    /* one of those in the struct config */
};

/* Steps of exact search in one epoch, some 20 ms: one component of 16 services. */
#define GRAPH_SEARCH_STEPS_MAX 7200000

/* What an epoch does with paths is bounded: services on paths, all paths together, and calls on them. With
 * paths of five services that is three paths a service, and always enough for 100 entrances that each reach
 * the same 100 services. Calls at twice that. */
#define GRAPH_MEMBERSHIPS_MAX(n_players) (16 * (n_players) + 16384)

struct graph;

/* Return: an empty graph, for graph_free(); NULL without memory. */
struct graph *graph_new(void);
/* Takes NULL; returns NULL. */
struct graph *graph_free(struct graph *g);
DEFINE_CLEANUP(struct graph *, graph_free)
#define _cleanup_graph_ _cleanup_(graph_free_p)

/**
 * graph_update() - the graph of this epoch
 * @players: n of them, sorted by unit, in the order of epoch_decide()'s services[]
 *
 * Nothing of the arguments is kept. Where nothing changed it costs a hash over the names and continues the
 * search for the best cut of components that are larger than MaxCoalitionSize=, as long as there are any
 * that were cut by the heuristic: GRAPH_SEARCH_STEPS_MAX at a time.
 *
 * Says once in the journal when there are more paths than are looked at.
 *
 * Return: 0 if nothing changed; 1 if there are other paths or coalitions now; -ENOMEM: there are none.
 */
int graph_update(struct graph *g, const struct config *config, const struct graph_player players[],
                 size_t n);

/* Paths and coalitions, with what epoch_decide() left in them; NULL if there is no path. Valid until the
 * next graph_update(). */
struct epoch_graph *graph_epoch(struct graph *g);
/* The names of its paths; as long valid. */
const char *const *graph_path_names(const struct graph *g);
/* Who calls whom, each pair once, with the weight of the paths that the call is on; as long valid. */
const struct call *graph_calls(const struct graph *g, size_t *ret_n_calls);
/* Who waits for whom: callgraph_waits() of these; as long valid. */
const struct call *graph_waits(const struct graph *g, size_t *ret_n_waits);
