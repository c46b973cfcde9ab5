/* SPDX-License-Identifier: MIT */
#pragma once

/* Inside of epoch.h: what the stages share. epoch.c leads through them; epoch_coalitions.c holds those
 * that know of paths and coalitions. */

#include "core/epoch.h"

static inline double most_of(const struct epoch_service *s)
{
        return fmin(s->max_milli, s->bound_milli);
}

/* Who comes while everything is held has nothing to hold: it waits, unmanaged. */
static inline bool is_newcomer(const struct epoch_service *s)
{
        return s->recent_milli[0] < 0;
}

/* An epoch under way: what epoch_decide() was given, and its scratch. */
struct epoch_run {
        const struct epoch_rules *rules;
        const struct epoch_service *services;
        size_t n;
        struct epoch_graph *graph;      /* never NULL: an empty one where there is none */
        struct epoch_workspace *w;
        bool has_old;                   /* there is an allocation in force */
        bool is_frozen;
};

/**
 * epoch_read_graph() - who is on which path, and in which coalition
 *
 * Fills w->importance and w->coalition_of.
 * Return: 0; -EINVAL for a graph that names services which are not there, or one of them in two
 * coalitions, or a coalition of another size than the workspace was made for.
 */
int epoch_read_graph(struct epoch_run *e);

/* What its latency model counts as load. Who takes whatever is spare would by its use alone be the longest
 * queue of its coalition, and have what the others hold above theirs. */
double epoch_queueing_milli(const struct epoch_service *s);

/* The model that its report gives, with what earlier reports told of the work of a request. Return: false where
 * no model follows, outputs are untouched then. */
bool epoch_calibrate(const struct epoch_service *s, struct latency_model *ret, bool *ret_is_told);

/* What is known of that work from now on. */
void epoch_remember_work(const struct epoch_service *s, double *ret_work_milli_ms, bool *ret_is_told);

/* Latency models and targets. Fills w->latency, w->part_ms and w->slo, which is valid for everybody. */
void epoch_model_latency(struct epoch_run *e);

/* Plans every coalition at the market's allocation (w->x), values some of them in their turn, and says
 * which are formed. Fills w->entity_of: formed coalitions come first, in order, then single players. */
void epoch_form_coalitions(struct epoch_run *e, struct epoch_state *state, uint64_t epoch,
                           struct epoch_outcome *o);

/* Divides the totals that passed the gate (w->entity_next), and lets the gate judge each division. Fills
 * w->next of all members. Return: 0; negative errno. */
int epoch_divide_coalitions(struct epoch_run *e, double step_max);

/* Settles credits: fills gain, due and credit of all decisions. Coalitions that do not hold just the sum of
 * their entitlements settle nothing. */
void epoch_settle_credits(struct epoch_run *e, struct epoch_decision ret[]);

/* How well the paths of each service are served by w->next. Fills w->path_cover, which is what struct
 * enforce_service says of it. */
void epoch_cover_paths(struct epoch_run *e);

/* Prices and modelled latencies of all paths. */
void epoch_price_paths(struct epoch_run *e, double shadow_price);
