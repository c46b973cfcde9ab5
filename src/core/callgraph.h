/* SPDX-License-Identifier: MIT */
#pragma once

/* Which services serve the same requests: from calls to paths, from paths to coalitions.
 *
 * A path is a set of services with the calls between them. Declared paths are lists, each service
 * calling the next. Without declared paths every service that nobody calls starts one: everything it
 * reaches. In a cycle of calls the closing edge is left out of that search.
 *
 * Services that share a path are connected; a connected component is a coalition, unless it is larger
 * than allowed: then it is cut into blocks so that the weight of the calls that are cut is least. Blocks
 * never overlap, or the same CPU would be pooled twice. Source: doc/theory.md, Coalitions.
 *
 * Weights of calls are finite. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALLGRAPH_NONE SIZE_MAX

/* Up to so many services a component is cut in the best way there is, above by a heuristic. */
#define CALLGRAPH_EXACT_MAX 16

struct call {
        size_t caller, callee;          /* indices of services */
        double weight;                  /* > 0; parallel calls add up */
};

/* Paths as lists in one array: path p is members[first[p]] .. members[first[p + 1] - 1]. */
struct callgraph_paths {
        size_t *first;                  /* n_paths + 1 entries */
        size_t *members;
        size_t n_paths;
        size_t n_paths_max, n_members_max; /* room */
};

/* Scratch for n services and n_calls calls, carved out of one buffer of the caller's. Nothing in it
 * lasts from one call to the next. */
struct callgraph_workspace {
        /* who calls whom, or who is whose neighbour */
        size_t *head;                   /* n + 1 */
        size_t *edge;                   /* 2 n_calls */
        double *edge_weight;            /* 2 n_calls */
        bool *is_closing;               /* n_calls */
        /* walks and components */
        size_t *stack, *at;             /* n each */
        uint8_t *state;                 /* n */
        size_t *component, *position, *order; /* n each */
        size_t *first, *first_call;     /* n + 1 each */
        struct call *local_calls;       /* n_calls */
        size_t *local_block;            /* n */
        /* the heuristic: blocks as lists, a heap, a log of moves */
        size_t *block, *size;           /* n each */
        size_t *head_of, *next, *previous;
        size_t *heap, *place;
        size_t *touched, *moved, *came_from;
        double *key, *toward;
        bool *is_locked;
        /* the search, by subset: 1 << CALLGRAPH_EXACT_MAX each, or less where n is */
        double *inner, *best;
        uint32_t *choice;
};

size_t callgraph_workspace_size(size_t n, size_t n_calls);
/* @buffer: callgraph_workspace_size() bytes, aligned for any type; the workspace borrows it. */
void callgraph_workspace_init(struct callgraph_workspace *w, void *buffer, size_t n, size_t n_calls);

/**
 * callgraph_find_paths() - the paths that follow from calls
 *
 * One path for each service that calls and is not called (closing edges of cycles apart), in the order
 * of the services; its members are in the order in which a request first meets them (depth first,
 * calls in the order given), the first one being where it starts. Where a cycle is entered from outside,
 * the edge that closes it is the one that leads back to where it was entered.
 *
 * Cost: O(n + n_calls) for each path.
 *
 * Return: 0; 1 if the room in @ret is at an end: it then holds the first paths, each of them whole;
 * -EINVAL for a call of a service that is not there.
 */
int callgraph_find_paths(const struct call calls[], size_t n_calls, size_t n,
                         struct callgraph_workspace *w, struct callgraph_paths *ret);

/**
 * callgraph_waits() - the calls whose answer is waited for
 * @ret: n_calls entries, in which those are left that are on no cycle
 *
 * Among services that call each other, directly or by way of others, everybody would wait for himself, and whose
 * time is in whose latency cannot be said. Parallel calls become one. In an order in which the calls of a service
 * come after those of everybody whom it calls: what is summed along them is summed in one pass.
 *
 * Cost: O(n + n_calls).
 *
 * Return: how many there are.
 */
size_t callgraph_waits(const struct call calls[], size_t n_calls, size_t n, struct callgraph_workspace *w,
                       struct call ret[]);

/**
 * callgraph_components() - who is connected
 * @calls:         every pair connects; for a path of k services k - 1 pairs are enough
 * @ret_component: n entries: 0 .. result - 1 in the order of each one's first service, or CALLGRAPH_NONE for
 *                 a service in no call
 *
 * Cost: O(n + n_calls) up to the inverse Ackermann function.
 *
 * Return: the number of components.
 */
size_t callgraph_components(const struct call calls[], size_t n_calls, size_t n,
                            struct callgraph_workspace *w, size_t ret_component[]);

/**
 * callgraph_partition() - cut one component into blocks
 * @calls:     among @n services, which are all of one component
 * @size_max:  most services in a block, >= 1
 * @may_search: exact where n <= CALLGRAPH_EXACT_MAX; false: the heuristic whatever n is
 * @ret_block: n entries, 0 .. result - 1 in the order of each one's first service
 * @ret_cut:   weight of the calls between blocks; may be NULL
 *
 * n <= size_max: one block. Exact: dynamic programming over subsets, least cut. Heuristic: blocks grown
 * by merging, heaviest connection first; then single services moved and pairs swapped, also uphill,
 * keeping the best seen (Fiduccia, Mattheyses 1982; Kernighan, Lin 1970); never worse than windows in the
 * order of the services.
 *
 * Every block is connected: those who share no request have no reason to pool, and the cut is no larger
 * for it. Among equal cuts the search takes the fewest blocks, then the one that keeps the first services
 * together. The result does not depend on the order of the calls: weights are compared as whole numbers
 * of about 1e-8 of the largest.
 *
 * Cost: callgraph_search_steps() exact, some 2 ns each; O(n_calls log n) times a few passes above.
 *
 * Return: the number of blocks.
 */
size_t callgraph_partition(const struct call calls[], size_t n_calls, size_t n, size_t size_max,
                           bool may_search, struct callgraph_workspace *w, size_t ret_block[],
                           double *ret_cut);

/* Steps of the exact search for a component of n services: 3^(n - 1) / 2, 7.2 million for 16; 0 where
 * there is nothing to search. */
size_t callgraph_search_steps(size_t n, size_t size_max);

/**
 * callgraph_coalitions() - the blocks of every component
 * @size_max:  as in callgraph_partition()
 * @steps_max: of all searches together. Components that it does not reach are cut by the heuristic
 *             meanwhile. One search is always made, unless it is 0.
 * @n_final:   in: 0, or the result of an earlier call with the same calls, whose blocks are in @block;
 *             out: components, from the first on, whose blocks are final
 * @block:     n entries, 0 .. result - 1 in the order of each one's first service; CALLGRAPH_NONE for a
 *             service in no call
 * @ret_n_components: all is final when *n_final has reached it
 *
 * A block of one service is no coalition. Source: doc/theory.md, Coalitions.
 *
 * Return: the number of blocks.
 */
size_t callgraph_coalitions(const struct call calls[], size_t n_calls, size_t n, size_t size_max,
                            size_t steps_max, struct callgraph_workspace *w, size_t *n_final,
                            size_t block[], size_t *ret_n_components);
