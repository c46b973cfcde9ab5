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
 * never overlap, or the same CPU would be pooled twice. Source: doc/theory.md, Coalitions. */

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

/* Scratch for n services and n_calls calls, carved out of one buffer of the caller's. */
struct callgraph_workspace {
        size_t n_max, n_calls_max;
        size_t *head, *next;            /* adjacency, n + 1 and n_calls */
        size_t *stack, *at, *order;     /* n each */
        size_t *parent;                 /* n */
        uint8_t *state;                 /* n */
        bool *is_closing;               /* n_calls */
        double *weight;                 /* n */
        double *inner, *best;           /* 1 << CALLGRAPH_EXACT_MAX each */
        uint32_t *choice;               /* 1 << CALLGRAPH_EXACT_MAX */
};

size_t callgraph_workspace_size(size_t n, size_t n_calls);
void callgraph_workspace_init(struct callgraph_workspace *w, void *buffer, size_t n, size_t n_calls);

/**
 * callgraph_find_paths() - the paths that follow from calls
 *
 * One path for each service that calls and is not called (closing edges of cycles apart), in the order
 * of the services; its members are in the order in which a request first meets them (depth first,
 * calls in the order given), the first one being where it starts.
 *
 * Return: 0; -ENOSPC if @ret has too little room; -EINVAL for a call of a service that is not there.
 */
int callgraph_find_paths(const struct call calls[], size_t n_calls, size_t n,
                         struct callgraph_workspace *w, struct callgraph_paths *ret);

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
 * @ret_cut:   weight of the calls between blocks
 *
 * n <= size_max: one block. Exact: dynamic programming over subsets, least cut; among equals the fewest
 * blocks. Heuristic: heaviest edges contracted first, then single services and pairs moved while the
 * cut falls (Fiduccia-Mattheyses). The result does not depend on the order of the calls.
 * Cost: O(3^n) exact (n = 16: some 20 ms); O(n_calls log n_calls) times a few passes above.
 *
 * Return: the number of blocks.
 */
size_t callgraph_partition(const struct call calls[], size_t n_calls, size_t n, size_t size_max,
                           bool may_search, struct callgraph_workspace *w, size_t ret_block[],
                           double *ret_cut);
