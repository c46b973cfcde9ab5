/* SPDX-License-Identifier: MIT */

#include "core/callgraph.h"

#include <errno.h>
#include <string.h>

/* ---- scratch ------------------------------------------------------------------------------------ */

/* Hands out pieces of a buffer, or only counts them. */
struct carver {
        char *buffer;                   /* NULL: count */
        size_t used;
};

static void *carve(struct carver *c, size_t n, size_t size)
{
        void *piece = c->buffer ? c->buffer + c->used : NULL;

        c->used += (n * size + sizeof(double) - 1) / sizeof(double) * sizeof(double);
        return piece;
}

#define CARVE(c, pointer, n) ((pointer) = carve(c, n, sizeof *(pointer)))

static size_t carve_workspace(struct callgraph_workspace *w, void *buffer, size_t n, size_t n_calls)
{
        struct carver c = { .buffer = buffer };
        size_t n_subsets = (size_t)1 << (n < CALLGRAPH_EXACT_MAX ? n : CALLGRAPH_EXACT_MAX);

        CARVE(&c, w->head, n + 1);
        CARVE(&c, w->edge, 2 * n_calls);
        CARVE(&c, w->edge_weight, 2 * n_calls);
        CARVE(&c, w->is_closing, n_calls);
        CARVE(&c, w->stack, n);
        CARVE(&c, w->at, n);
        CARVE(&c, w->state, n);
        CARVE(&c, w->component, n);
        CARVE(&c, w->position, n);
        CARVE(&c, w->order, n);
        CARVE(&c, w->first, n + 1);
        CARVE(&c, w->first_call, n + 1);
        CARVE(&c, w->local_calls, n_calls);
        CARVE(&c, w->local_block, n);
        CARVE(&c, w->block, n);
        CARVE(&c, w->size, n);
        CARVE(&c, w->head_of, n);
        CARVE(&c, w->next, n);
        CARVE(&c, w->previous, n);
        CARVE(&c, w->heap, n);
        CARVE(&c, w->place, n);
        CARVE(&c, w->touched, n);
        CARVE(&c, w->moved, n);
        CARVE(&c, w->came_from, n);
        CARVE(&c, w->key, n);
        CARVE(&c, w->toward, n);
        CARVE(&c, w->is_locked, n);
        CARVE(&c, w->inner, n_subsets);
        CARVE(&c, w->best, n_subsets);
        CARVE(&c, w->choice, n_subsets);
        return c.used;
}

size_t callgraph_workspace_size(size_t n, size_t n_calls)
{
        struct callgraph_workspace unused;

        return carve_workspace(&unused, NULL, n, n_calls);
}

void callgraph_workspace_init(struct callgraph_workspace *w, void *buffer, size_t n, size_t n_calls)
{
        (void)carve_workspace(w, buffer, n, n_calls);
}

/* ---- paths -------------------------------------------------------------------------------------- */

enum { NEW, OPEN, DONE };

/* The calls of each service, in the order given: edge[head[i]] .. edge[head[i + 1] - 1]. */
static void list_calls(const struct call calls[], size_t n_calls, size_t n,
                       struct callgraph_workspace *w)
{
        memset(w->head, 0, (n + 1) * sizeof *w->head);
        for (size_t k = 0; k < n_calls; k++)
                w->head[calls[k].caller + 1]++;
        for (size_t i = 0; i < n; i++)
                w->head[i + 1] += w->head[i];
        for (size_t i = 0; i < n; i++)
                w->at[i] = w->head[i];
        for (size_t k = 0; k < n_calls; k++)
                w->edge[w->at[calls[k].caller]++] = k;
}

/* Depth first from one service: a call back into what is still open closes a cycle. */
static void mark_closing_calls(const struct call calls[], size_t root, struct callgraph_workspace *w)
{
        size_t depth = 0;

        if (w->state[root] != NEW)
                return;
        w->state[root] = OPEN;
        w->at[root] = w->head[root];
        w->stack[depth++] = root;
        while (depth > 0) {
                size_t caller = w->stack[depth - 1], k, callee;

                if (w->at[caller] == w->head[caller + 1]) {
                        w->state[caller] = DONE;
                        depth--;
                        continue;
                }
                k = w->edge[w->at[caller]++];
                callee = calls[k].callee;
                if (w->state[callee] == OPEN) {
                        w->is_closing[k] = true;
                } else if (w->state[callee] == NEW) {
                        w->state[callee] = OPEN;
                        w->at[callee] = w->head[callee];
                        w->stack[depth++] = callee;
                }
        }
}

/* Services that nobody calls come first: a cycle that is entered from outside then closes where it was
 * entered, whatever the order of the services in it. */
static void find_closing_calls(const struct call calls[], size_t n_calls, size_t n,
                               struct callgraph_workspace *w)
{
        bool *is_called = w->is_locked;

        memset(w->is_closing, 0, n_calls * sizeof *w->is_closing);
        memset(w->state, NEW, n * sizeof *w->state);
        memset(is_called, 0, n * sizeof *is_called);
        for (size_t k = 0; k < n_calls; k++)
                is_called[calls[k].callee] = true;
        for (size_t i = 0; i < n; i++)
                if (!is_called[i])
                        mark_closing_calls(calls, i, w);
        for (size_t i = 0; i < n; i++)
                mark_closing_calls(calls, i, w);
}

/* Everything that a service reaches is appended as a path. Return: 0; 1 if there is no room for it. */
static int append_path(const struct call calls[], size_t root, struct callgraph_workspace *w,
                       size_t seen_on[], struct callgraph_paths *ret)
{
        size_t n_members = ret->first[ret->n_paths], depth = 0, path = ret->n_paths;

        if (ret->n_paths == ret->n_paths_max || n_members == ret->n_members_max)
                return 1;
        ret->members[n_members++] = root;
        seen_on[root] = path;
        w->at[root] = w->head[root];
        w->stack[depth++] = root;
        while (depth > 0) {
                size_t caller = w->stack[depth - 1], k, callee;

                if (w->at[caller] == w->head[caller + 1]) {
                        depth--;
                        continue;
                }
                k = w->edge[w->at[caller]++];
                callee = calls[k].callee;
                if (w->is_closing[k] || seen_on[callee] == path)
                        continue;
                if (n_members == ret->n_members_max)
                        return 1;
                ret->members[n_members++] = callee;
                seen_on[callee] = path;
                w->at[callee] = w->head[callee];
                w->stack[depth++] = callee;
        }
        ret->first[++ret->n_paths] = n_members;
        return 0;
}

int callgraph_find_paths(const struct call calls[], size_t n_calls, size_t n,
                         struct callgraph_workspace *w, struct callgraph_paths *ret)
{
        enum { IS_CALLED = 1, CALLS = 2, ROOT = CALLS };
        size_t *seen_on = w->position;

        for (size_t k = 0; k < n_calls; k++)
                if (calls[k].caller >= n || calls[k].callee >= n)
                        return -EINVAL;

        list_calls(calls, n_calls, n, w);
        find_closing_calls(calls, n_calls, n, w);

        memset(w->state, 0, n * sizeof *w->state);
        for (size_t k = 0; k < n_calls; k++)
                if (!w->is_closing[k]) {
                        w->state[calls[k].callee] |= IS_CALLED;
                        w->state[calls[k].caller] |= CALLS;
                }
        for (size_t i = 0; i < n; i++)
                seen_on[i] = CALLGRAPH_NONE;

        ret->n_paths = 0;
        ret->first[0] = 0;
        for (size_t i = 0; i < n; i++)
                if (w->state[i] == ROOT && append_path(calls, i, w, seen_on, ret) > 0)
                        return 1;
        return 0;
}

/* ---- who waits for whom -------------------------------------------------------------------------- */

/* A walk that finds cycles (R. E. Tarjan, Depth-first search and linear graph algorithms, 1972). */
struct walk {
        const struct call *calls;
        struct callgraph_workspace *w;
        size_t *number;                 /* in which a service was met, from 1; 0: not yet */
        size_t *low;                    /* the least number that it reaches while that is open */
        size_t *open;                   /* services whose cycle is not complete */
        size_t *cycle;                  /* of each service that is done with; else CALLGRAPH_NONE */
        size_t n_met, n_open, n_done;   /* w->order has who is done with, callees first */
};

/* Everything that can reach each other is a cycle, or a service alone. */
static void close_cycle(struct walk *t, size_t root)
{
        size_t i;

        do {
                i = t->open[--t->n_open];
                t->cycle[i] = root;
                t->w->order[t->n_done++] = i;
        } while (i != root);
}

static void meet(struct walk *t, size_t i, size_t *depth)
{
        t->number[i] = t->low[i] = ++t->n_met;
        t->open[t->n_open++] = i;
        t->w->at[i] = t->w->head[i];
        t->w->stack[(*depth)++] = i;
}

static void walk_from(struct walk *t, size_t root)
{
        struct callgraph_workspace *w = t->w;
        size_t depth = 0;

        meet(t, root, &depth);
        while (depth > 0) {
                size_t i = w->stack[depth - 1], callee;

                if (w->at[i] < w->head[i + 1]) {
                        callee = t->calls[w->edge[w->at[i]++]].callee;
                        if (t->number[callee] == 0)
                                meet(t, callee, &depth);
                        else if (t->cycle[callee] == CALLGRAPH_NONE && t->number[callee] < t->low[i])
                                t->low[i] = t->number[callee];
                        continue;
                }
                if (t->low[i] == t->number[i])
                        close_cycle(t, i);
                depth--;
                if (depth > 0 && t->low[i] < t->low[w->stack[depth - 1]])
                        t->low[w->stack[depth - 1]] = t->low[i];
        }
}

size_t callgraph_waits(const struct call calls[], size_t n_calls, size_t n, struct callgraph_workspace *w,
                       struct call ret[])
{
        struct walk t = {
                .calls = calls, .w = w, .number = w->component, .low = w->size, .open = w->next, .cycle = w->block,
        };
        size_t *seen_by = w->position, n_waits = 0;

        list_calls(calls, n_calls, n, w);
        for (size_t i = 0; i < n; i++) {
                t.number[i] = 0;
                t.cycle[i] = seen_by[i] = CALLGRAPH_NONE;
        }
        for (size_t i = 0; i < n; i++)
                if (t.number[i] == 0)
                        walk_from(&t, i);
        for (size_t k = 0; k < n; k++) {
                size_t caller = w->order[k];

                for (size_t at = w->head[caller]; at < w->head[caller + 1]; at++) {
                        const struct call *call = &calls[w->edge[at]];

                        if (t.cycle[call->callee] == t.cycle[caller] || seen_by[call->callee] == caller)
                                continue;
                        seen_by[call->callee] = caller;
                        ret[n_waits++] = *call;
                }
        }
        return n_waits;
}

/* ---- components --------------------------------------------------------------------------------- */

/* Path halving. */
static size_t root_of(size_t parent[], size_t i)
{
        while (parent[i] != i)
                i = parent[i] = parent[parent[i]];
        return i;
}

size_t callgraph_components(const struct call calls[], size_t n_calls, size_t n,
                            struct callgraph_workspace *w, size_t ret_component[])
{
        size_t *parent = w->stack, *number = w->at, n_components = 0;
        bool *is_in_call = w->is_locked;

        for (size_t i = 0; i < n; i++) {
                parent[i] = i;
                number[i] = CALLGRAPH_NONE;
                is_in_call[i] = false;
        }
        for (size_t k = 0; k < n_calls; k++) {
                size_t a = root_of(parent, calls[k].caller), b = root_of(parent, calls[k].callee);

                /* The smaller index becomes the root. */
                if (a < b)
                        parent[b] = a;
                else
                        parent[a] = b;
                is_in_call[calls[k].caller] = is_in_call[calls[k].callee] = true;
        }
        for (size_t i = 0; i < n; i++) {
                size_t root = root_of(parent, i);

                if (!is_in_call[i]) {
                        ret_component[i] = CALLGRAPH_NONE;
                        continue;
                }
                if (number[root] == CALLGRAPH_NONE)
                        number[root] = n_components++;
                ret_component[i] = number[root];
        }
        return n_components;
}

/* ---- coalitions --------------------------------------------------------------------------------- */

/* Counts become places: first[k] is where the entries of k begin. */
static void sum_up(size_t first[], size_t n)
{
        size_t sum = 0;

        for (size_t k = 0; k <= n; k++) {
                size_t count = first[k];

                first[k] = sum;
                sum += count;
        }
}

/* Services and calls sorted by component; in each, services are numbered anew in their order. */
static void sort_by_component(const struct call calls[], size_t n_calls, size_t n,
                              size_t n_components, struct callgraph_workspace *w)
{
        size_t *next = w->at;

        memset(w->first, 0, (n_components + 1) * sizeof *w->first);
        memset(w->first_call, 0, (n_components + 1) * sizeof *w->first_call);
        for (size_t i = 0; i < n; i++)
                if (w->component[i] != CALLGRAPH_NONE)
                        w->first[w->component[i]]++;
        for (size_t k = 0; k < n_calls; k++)
                w->first_call[w->component[calls[k].caller]]++;
        sum_up(w->first, n_components);
        sum_up(w->first_call, n_components);

        memcpy(next, w->first, n_components * sizeof *next);
        for (size_t i = 0; i < n; i++) {
                size_t c = w->component[i];

                if (c == CALLGRAPH_NONE)
                        continue;
                w->position[i] = next[c] - w->first[c];
                w->order[next[c]++] = i;
        }
        memcpy(next, w->first_call, n_components * sizeof *next);
        for (size_t k = 0; k < n_calls; k++) {
                const struct call *call = &calls[k];

                w->local_calls[next[w->component[call->caller]]++] = (struct call){
                        w->position[call->caller], w->position[call->callee], call->weight,
                };
        }
}

/* Blocks are numbered in the order of their first services; until then each goes by that service. */
static size_t number_blocks(size_t block[], size_t n, size_t number[])
{
        size_t n_blocks = 0;

        for (size_t i = 0; i < n; i++) {
                if (block[i] == i)
                        number[i] = n_blocks++;
                if (block[i] != CALLGRAPH_NONE)
                        block[i] = number[block[i]];
        }
        return n_blocks;
}

static void name_blocks_by_first(size_t block[], size_t n, size_t first_of[])
{
        for (size_t i = 0; i < n; i++)
                first_of[i] = CALLGRAPH_NONE;
        for (size_t i = 0; i < n; i++) {
                if (block[i] == CALLGRAPH_NONE)
                        continue;
                if (first_of[block[i]] == CALLGRAPH_NONE)
                        first_of[block[i]] = i;
                block[i] = first_of[block[i]];
        }
}

size_t callgraph_coalitions(const struct call calls[], size_t n_calls, size_t n, size_t size_max,
                            size_t steps_max, struct callgraph_workspace *w, size_t *n_final,
                            size_t block[], size_t *ret_n_components)
{
        bool is_first_time = *n_final == 0, is_reached = true;
        size_t n_components, n_steps = 0;

        n_components = callgraph_components(calls, n_calls, n, w, w->component);
        sort_by_component(calls, n_calls, n, n_components, w);
        if (is_first_time)
                for (size_t i = 0; i < n; i++)
                        block[i] = CALLGRAPH_NONE;
        else
                name_blocks_by_first(block, n, w->at);

        for (size_t c = *n_final; c < n_components; c++) {
                const size_t *services = w->order + w->first[c];
                size_t n_services = w->first[c + 1] - w->first[c];
                size_t steps = callgraph_search_steps(n_services, size_max);
                bool may_search = false;

                if (is_reached && steps > 0) {
                        is_reached = steps_max > 0 && (n_steps == 0 || n_steps + steps <= steps_max);
                        may_search = is_reached;
                        n_steps += steps;
                }
                *n_final += is_reached;
                if (!is_first_time && !may_search)
                        continue;
                (void)callgraph_partition(w->local_calls + w->first_call[c],
                                          w->first_call[c + 1] - w->first_call[c], n_services,
                                          size_max, may_search, w, w->local_block, NULL);
                /* `at` is free again: the first service of each block. */
                for (size_t i = 0; i < n_services; i++)
                        w->at[i] = CALLGRAPH_NONE;
                for (size_t i = 0; i < n_services; i++) {
                        size_t *first = &w->at[w->local_block[i]];

                        if (*first == CALLGRAPH_NONE)
                                *first = services[i];
                        block[services[i]] = *first;
                }
        }
        *ret_n_components = n_components;
        return number_blocks(block, n, w->at);
}
