/* SPDX-License-Identifier: MIT */

/* Cutting a component into blocks: the exact search and the heuristic of callgraph_partition(). */

#include "core/callgraph.h"

#include <math.h>
#include <string.h>

/* Gains of refinement are bounded by these, not by luck: passes over all services, and moves in a row
 * that did not lead to a new best. */
#define PASSES_MAX 4
#define MOVES_UPHILL_MAX 64
/* Above so many services only one start is refined, not all three: the other two cost more than the 1 %
 * of the cut that they brought. */
#define STARTS_REFINED_MAX 64
/* Who has more neighbours is no partner for a swap, and its hopes are not renewed whenever one of them
 * moves: a thousand tenants behind one proxy would cost a million steps a pass. */
#define NEIGHBOURS_MAX 64

/* ---- neighbours --------------------------------------------------------------------------------- */

/* Weights become whole numbers, of which any sum is exact: so nothing depends on the order in which
 * calls are added up, and equal cuts are found equal. 2^47 leaves room for 32 of them in the search. */
#define WEIGHT_SUM_BITS 47

/* The neighbours of each service, parallel calls as one: edge[head[i]] .. edge[head[i + 1] - 1]. */
static void list_neighbours(const struct call calls[], size_t n_calls, size_t n,
                            struct callgraph_workspace *w)
{
        size_t *row_of = w->heap, *end = w->place, n_edges = 0, from = 0;
        double weight_max = 0;
        int exponent, bits = 1;

        for (size_t k = 0; k < n_calls; k++)
                weight_max = fmax(weight_max, calls[k].weight);
        (void)frexp(weight_max, &exponent);
        while (bits < 32 && n_calls >> bits > 0)
                bits++;

        memset(w->head, 0, (n + 1) * sizeof *w->head);
        for (size_t k = 0; k < n_calls; k++) {
                w->head[calls[k].caller + 1]++;
                w->head[calls[k].callee + 1]++;
        }
        for (size_t i = 0; i < n; i++)
                w->head[i + 1] += w->head[i];
        memcpy(end, w->head, n * sizeof *end);
        for (size_t k = 0; k < n_calls; k++) {
                size_t a = calls[k].caller, b = calls[k].callee;
                double weight = fmax(1, rint(ldexp(calls[k].weight, WEIGHT_SUM_BITS - bits - exponent)));

                w->edge[end[a]] = b;
                w->edge_weight[end[a]++] = weight;
                w->edge[end[b]] = a;
                w->edge_weight[end[b]++] = weight;
        }

        /* row_of[b]: where b already stands in the row that is being written. */
        for (size_t i = 0; i < n; i++)
                row_of[i] = CALLGRAPH_NONE;
        for (size_t i = 0; i < n; i++) {
                size_t row = n_edges, to = w->head[i + 1];

                for (size_t e = from; e < to; e++) {
                        size_t b = w->edge[e];

                        if (b == i)
                                continue;
                        if (row_of[b] != CALLGRAPH_NONE && row_of[b] >= row) {
                                w->edge_weight[row_of[b]] += w->edge_weight[e];
                                continue;
                        }
                        row_of[b] = n_edges;
                        w->edge[n_edges] = b;
                        w->edge_weight[n_edges++] = w->edge_weight[e];
                }
                from = to;
                w->head[i] = row;
        }
        w->head[n] = n_edges;
}

/* ---- exact -------------------------------------------------------------------------------------- */

size_t callgraph_search_steps(size_t n, size_t size_max)
{
        size_t steps = 1;

        if (n <= size_max || n > CALLGRAPH_EXACT_MAX)
                return 0;
        for (size_t i = 1; i < n; i++)
                steps *= 3;
        return (steps + 1) / 2;
}

/* Inner weight of every subset, one less for each block in units of 1/32; -INFINITY where it may be no
 * block. Service i is bit n - 1 - i: subsets without the first service are then the first half. */
static void weigh_subsets(size_t n, size_t size_max, struct callgraph_workspace *w)
{
        double weight[CALLGRAPH_EXACT_MAX][CALLGRAPH_EXACT_MAX] = {};
        uint32_t neighbours[CALLGRAPH_EXACT_MAX] = {};
        uint32_t *around = w->choice;   /* neighbours of a subset; free until the search */
        uint32_t n_subsets = UINT32_C(1) << n;

        for (size_t i = 0; i < n; i++)
                for (size_t e = w->head[i]; e < w->head[i + 1]; e++) {
                        size_t a = n - 1 - i, b = n - 1 - w->edge[e];

                        weight[a][b] = 32 * w->edge_weight[e];
                        neighbours[a] |= UINT32_C(1) << b;
                }
        w->inner[0] = 0;
        around[0] = 0;
        for (uint32_t s = 1; s < n_subsets; s++) {
                unsigned low = (unsigned)__builtin_ctz(s);
                uint32_t rest = s & (s - 1);

                w->inner[s] = w->inner[rest];
                for (uint32_t t = rest & neighbours[low]; t != 0; t &= t - 1)
                        w->inner[s] += weight[low][__builtin_ctz(t)];
                around[s] = around[rest] | neighbours[low];
        }
        for (uint32_t s = 1; s < n_subsets; s++) {
                uint32_t reached = s & -s, more;
                size_t size = 0;

                for (uint32_t t = s; t != 0; t &= t - 1)
                        size++;
                /* Grows by whole subsets at a time: few rounds. */
                while ((more = (reached | around[reached]) & s) != reached)
                        reached = more;
                w->inner[s] = reached == s && size <= size_max ? w->inner[s] - 1 : -INFINITY;
        }
}

/* best(S) = max over blocks T of S that contain its first service: inner(T) + best(S without T). */
static void search_subset(uint32_t s, struct callgraph_workspace *w)
{
        uint32_t first = UINT32_C(1) << (31 - __builtin_clz(s)), rest = s ^ first, choice = first;
        const double *inner = w->inner, *best = w->best;
        double value_max = -INFINITY;

        for (uint32_t t = rest;; t = (t - 1) & rest) {
                double value = inner[t | first] + best[rest ^ t];

                if (value > value_max) {
                        value_max = value;
                        choice = t | first;
                }
                if (t == 0)
                        break;
        }
        w->best[s] = value_max;
        w->choice[s] = choice;
}

static void search(size_t n, size_t size_max, struct callgraph_workspace *w, size_t ret_block[])
{
        uint32_t all = (UINT32_C(1) << n) - 1;
        size_t n_blocks = 0;

        weigh_subsets(n, size_max, w);
        w->best[0] = 0;
        /* Whatever the first block is, the first service is in it: only `all` itself has it. */
        for (uint32_t s = 1; s <= all / 2; s++)
                search_subset(s, w);
        search_subset(all, w);
        for (uint32_t s = all; s != 0; s ^= w->choice[s]) {
                for (uint32_t t = w->choice[s]; t != 0; t &= t - 1)
                        ret_block[n - 1 - (size_t)__builtin_ctz(t)] = n_blocks;
                n_blocks++;
        }
}

/* ---- a heap whose entries can be found ------------------------------------------------------------ */

struct heap {
        size_t *entry, *place;          /* place[entry[k]] = k; CALLGRAPH_NONE: not in it */
        const double *key;
        size_t n;
};

/* Largest key first, then the smallest index: a total order. */
static bool is_above(const struct heap *h, size_t a, size_t b)
{
        return h->key[a] > h->key[b] || (h->key[a] == h->key[b] && a < b);
}

static void heap_put(struct heap *h, size_t k, size_t entry)
{
        h->entry[k] = entry;
        h->place[entry] = k;
}

/* To be called when the key of an entry changed. */
static void heap_settle(struct heap *h, size_t entry)
{
        size_t k = h->place[entry];

        for (; k > 0 && is_above(h, entry, h->entry[(k - 1) / 2]); k = (k - 1) / 2)
                heap_put(h, k, h->entry[(k - 1) / 2]);
        for (size_t child; (child = 2 * k + 1) < h->n; k = child) {
                if (child + 1 < h->n && is_above(h, h->entry[child + 1], h->entry[child]))
                        child++;
                if (!is_above(h, h->entry[child], entry))
                        break;
                heap_put(h, k, h->entry[child]);
        }
        heap_put(h, k, entry);
}

static void heap_add(struct heap *h, size_t entry)
{
        heap_put(h, h->n++, entry);
        heap_settle(h, entry);
}

static void heap_remove(struct heap *h, size_t entry)
{
        size_t k = h->place[entry], last = h->entry[--h->n];

        h->place[entry] = CALLGRAPH_NONE;
        if (last == entry)
                return;
        heap_put(h, k, last);
        heap_settle(h, last);
}

/* ---- blocks under way ----------------------------------------------------------------------------- */

struct cut {
        struct callgraph_workspace *w;
        size_t n, size_max;
        struct heap heap;
};

static bool is_hub(const struct cut *c, size_t i)
{
        return c->w->head[i + 1] - c->w->head[i] > NEIGHBOURS_MAX;
}

static void link_service(struct cut *c, size_t i, size_t block)
{
        struct callgraph_workspace *w = c->w;
        size_t head = w->head_of[block];

        w->block[i] = block;
        w->next[i] = head;
        w->previous[i] = CALLGRAPH_NONE;
        if (head != CALLGRAPH_NONE)
                w->previous[head] = i;
        w->head_of[block] = i;
        w->size[block]++;
}

static void move_service(struct cut *c, size_t i, size_t block)
{
        struct callgraph_workspace *w = c->w;

        if (w->next[i] != CALLGRAPH_NONE)
                w->previous[w->next[i]] = w->previous[i];
        if (w->previous[i] != CALLGRAPH_NONE)
                w->next[w->previous[i]] = w->next[i];
        else
                w->head_of[w->block[i]] = w->next[i];
        w->size[w->block[i]]--;
        link_service(c, i, block);
}

/* Every service into the block that `block_of` says, or one of its own where it is NULL. */
static void place_services(struct cut *c, const size_t block_of[])
{
        for (size_t i = 0; i < c->n; i++) {
                c->w->head_of[i] = CALLGRAPH_NONE;
                c->w->size[i] = 0;
                c->w->toward[i] = 0;
        }
        for (size_t i = 0; i < c->n; i++)
                link_service(c, i, block_of ? block_of[i] : i);
}

/* Weight between a service and each block that it has neighbours in: toward[] of touched[0 .. result - 1].
 * The caller zeroes them again. */
static size_t look_around(struct cut *c, size_t i, size_t n_touched)
{
        struct callgraph_workspace *w = c->w;

        for (size_t e = w->head[i]; e < w->head[i + 1]; e++) {
                size_t b = w->block[w->edge[e]];

                /* Weights are at least 1. */
                if (w->toward[b] == 0)
                        w->touched[n_touched++] = b;
                w->toward[b] += w->edge_weight[e];
        }
        return n_touched;
}

static void forget_around(struct cut *c, size_t n_touched)
{
        for (size_t t = 0; t < n_touched; t++)
                c->w->toward[c->w->touched[t]] = 0;
}

/* ---- merging -------------------------------------------------------------------------------------- */

/* The block that this one is best merged with; -INFINITY and NONE where none fits. */
static double best_merge(struct cut *c, size_t block, bool by_size, size_t *ret_other)
{
        struct callgraph_workspace *w = c->w;
        size_t n_touched = 0, best = CALLGRAPH_NONE;
        double gain = -INFINITY;

        for (size_t i = w->head_of[block]; i != CALLGRAPH_NONE; i = w->next[i])
                n_touched = look_around(c, i, n_touched);
        for (size_t t = 0; t < n_touched; t++) {
                size_t other = w->touched[t];
                double g = w->toward[other];

                if (other == block || w->size[block] + w->size[other] > c->size_max)
                        continue;
                if (by_size)
                        g /= (double)(w->size[block] * w->size[other]);
                if (g > gain || (g == gain && other < best)) {
                        gain = g;
                        best = other;
                }
        }
        forget_around(c, n_touched);
        *ret_other = best;
        return gain;
}

/* Merges as long as two connected blocks fit into one, the heaviest connection first; by_size: the
 * heaviest a pair of services. Return: was anything merged? */
static bool merge_blocks(struct cut *c, bool by_size)
{
        struct callgraph_workspace *w = c->w;
        bool is_merged = false;
        size_t other;

        c->heap.n = 0;
        for (size_t b = 0; b < c->n; b++) {
                if (w->size[b] == 0)
                        continue;
                w->key[b] = best_merge(c, b, by_size, &other);
                if (other != CALLGRAPH_NONE)
                        heap_add(&c->heap, b);
                else
                        c->heap.place[b] = CALLGRAPH_NONE;
        }
        while (c->heap.n > 0) {
                size_t b = c->heap.entry[0];
                double key = best_merge(c, b, by_size, &other);

                if (other == CALLGRAPH_NONE) {
                        heap_remove(&c->heap, b);
                        continue;
                }
                /* A key is an upper bound: what grew by a merge is the key of the merged block, and what
                 * no longer fits is found here. */
                if (key != w->key[b]) {
                        w->key[b] = key;
                        heap_settle(&c->heap, b);
                        if (c->heap.entry[0] != b)
                                continue;
                }
                for (size_t i; (i = w->head_of[other]) != CALLGRAPH_NONE;)
                        move_service(c, i, b);
                if (c->heap.place[other] != CALLGRAPH_NONE)
                        heap_remove(&c->heap, other);
                w->key[b] = best_merge(c, b, by_size, &other);
                heap_settle(&c->heap, b);
                is_merged = true;
        }
        return is_merged;
}

/* ---- refining ------------------------------------------------------------------------------------- */

/* What a move would bring at most, were there room. */
static double hoped_gain(struct cut *c, size_t i)
{
        struct callgraph_workspace *w = c->w;
        size_t n_touched = look_around(c, i, 0);
        double own = w->toward[w->block[i]], gain = -INFINITY;

        for (size_t t = 0; t < n_touched; t++)
                if (w->touched[t] != w->block[i])
                        gain = fmax(gain, w->toward[w->touched[t]] - own);
        forget_around(c, n_touched);
        return gain;
}

/* Weight that u would win by going over to `block` while i leaves it. */
static double gain_of_partner(struct cut *c, size_t u, size_t i, size_t block)
{
        struct callgraph_workspace *w = c->w;
        double gain = 0;

        for (size_t e = w->head[u]; e < w->head[u + 1]; e++) {
                size_t v = w->edge[e];

                if (w->block[v] == block)
                        gain += v == i ? -w->edge_weight[e] : w->edge_weight[e];
                else if (w->block[v] == w->block[u])
                        gain -= w->edge_weight[e];
        }
        return gain;
}

struct move {
        double gain;                    /* -INFINITY: there is none */
        size_t to, partner;             /* partner: changes place with it, or NONE */
};

static void consider(struct move *m, double gain, size_t to, size_t partner)
{
        if (gain < m->gain || (gain == m->gain && (to > m->to || (to == m->to && partner > m->partner))))
                return;
        *m = (struct move){ gain, to, partner };
}

static struct move best_move(struct cut *c, size_t i)
{
        struct callgraph_workspace *w = c->w;
        struct move best = { -INFINITY, CALLGRAPH_NONE, CALLGRAPH_NONE };
        size_t n_touched = look_around(c, i, 0), own = w->block[i];

        for (size_t t = 0; t < n_touched; t++) {
                size_t to = w->touched[t];
                double gain = w->toward[to] - w->toward[own];

                if (to == own)
                        continue;
                if (w->size[to] < c->size_max) {
                        consider(&best, gain, to, CALLGRAPH_NONE);
                        continue;
                }
                for (size_t u = w->head_of[to]; u != CALLGRAPH_NONE; u = w->next[u]) {
                        double both;

                        if (w->is_locked[u] || is_hub(c, u))
                                continue;
                        both = gain + gain_of_partner(c, u, i, own);
                        /* The call between the two is cut before and after: i counted it as won. */
                        for (size_t e = w->head[i]; e < w->head[i + 1]; e++)
                                if (w->edge[e] == u)
                                        both -= w->edge_weight[e];
                        consider(&best, both, to, u);
                }
        }
        forget_around(c, n_touched);
        return best;
}

static void lock_and_move(struct cut *c, size_t i, size_t to, size_t *n_moved)
{
        struct callgraph_workspace *w = c->w;

        w->moved[*n_moved] = i;
        w->came_from[(*n_moved)++] = w->block[i];
        move_service(c, i, to);
        w->is_locked[i] = true;
        if (c->heap.place[i] != CALLGRAPH_NONE)
                heap_remove(&c->heap, i);
}

static void hope_again(struct cut *c, size_t i)
{
        struct callgraph_workspace *w = c->w;

        for (size_t e = w->head[i]; e < w->head[i + 1]; e++) {
                size_t u = w->edge[e];

                if (w->is_locked[u] || is_hub(c, u))
                        continue;
                w->key[u] = hoped_gain(c, u);
                if (c->heap.place[u] == CALLGRAPH_NONE)
                        heap_add(&c->heap, u);
                else
                        heap_settle(&c->heap, u);
        }
}

/* One pass: every service moves at most once, the best move first, also where it is a loss; then
 * everything after the best state is taken back. Return: the inner weight won. */
static double refine(struct cut *c)
{
        struct callgraph_workspace *w = c->w;
        double gain = 0, gain_best = 0;
        size_t n_moved = 0, n_best = 0;

        c->heap.n = 0;
        for (size_t i = 0; i < c->n; i++) {
                w->is_locked[i] = false;
                c->heap.place[i] = CALLGRAPH_NONE;
        }
        for (size_t i = 0; i < c->n; i++) {
                w->key[i] = best_move(c, i).gain;
                if (w->key[i] > -INFINITY)
                        heap_add(&c->heap, i);
        }
        while (c->heap.n > 0 && n_moved - n_best < MOVES_UPHILL_MAX) {
                size_t i = c->heap.entry[0], own = w->block[i];
                struct move m = best_move(c, i);

                if (m.to == CALLGRAPH_NONE) {
                        heap_remove(&c->heap, i);
                        continue;
                }
                if (m.gain < w->key[i]) {
                        w->key[i] = m.gain;
                        heap_settle(&c->heap, i);
                        if (c->heap.entry[0] != i)
                                continue;
                }
                lock_and_move(c, i, m.to, &n_moved);
                if (m.partner != CALLGRAPH_NONE)
                        lock_and_move(c, m.partner, own, &n_moved);
                hope_again(c, i);
                if (m.partner != CALLGRAPH_NONE)
                        hope_again(c, m.partner);
                gain += m.gain;
                if (gain > gain_best) {
                        gain_best = gain;
                        n_best = n_moved;
                }
        }
        while (n_moved > n_best) {
                n_moved--;
                move_service(c, w->moved[n_moved], w->came_from[n_moved]);
        }
        return gain_best;
}

/* Makes every block connected: the parts of one that is not become blocks of their own, each going by a
 * service that is in it. */
static void split_blocks(struct cut *c)
{
        struct callgraph_workspace *w = c->w;
        size_t *part = w->touched;

        for (size_t i = 0; i < c->n; i++)
                part[i] = CALLGRAPH_NONE;
        for (size_t root = 0; root < c->n; root++) {
                size_t depth = 0;

                if (part[root] != CALLGRAPH_NONE)
                        continue;
                part[root] = root;
                w->moved[depth++] = root;
                while (depth > 0) {
                        size_t i = w->moved[--depth];

                        for (size_t e = w->head[i]; e < w->head[i + 1]; e++) {
                                size_t u = w->edge[e];

                                if (part[u] != CALLGRAPH_NONE || w->block[u] != w->block[i])
                                        continue;
                                part[u] = root;
                                w->moved[depth++] = u;
                        }
                }
        }
        /* place_services() links block by block and does not read touched[] while it writes it. */
        place_services(c, part);
}

static void improve(struct cut *c)
{
        for (int k = 0; k < PASSES_MAX; k++) {
                bool is_merged = merge_blocks(c, false);

                if (refine(c) == 0 && !is_merged)
                        break;
        }
        split_blocks(c);
        (void)merge_blocks(c, false);
}

static double inner_weight(const struct cut *c)
{
        const struct callgraph_workspace *w = c->w;
        double inner = 0;

        for (size_t i = 0; i < c->n; i++)
                for (size_t e = w->head[i]; e < w->head[i + 1]; e++)
                        if (w->block[i] == w->block[w->edge[e]])
                                inner += w->edge_weight[e];
        return inner;
}

static void cut_by_heuristic(size_t n, size_t size_max, struct callgraph_workspace *w,
                             size_t ret_block[])
{
        enum { MERGED_BY_SIZE, WINDOWS, MERGED };
        struct cut c = { .w = w, .n = n, .size_max = size_max };
        bool are_all_refined = n <= STARTS_REFINED_MAX;
        double inner_best = -1;

        for (int start = MERGED_BY_SIZE; start <= (are_all_refined ? MERGED : WINDOWS); start++) {
                double inner;

                c.heap = (struct heap){ .entry = w->heap, .place = w->place, .key = w->key };
                for (size_t i = 0; start == WINDOWS && i < n; i++)
                        w->touched[i] = i / size_max;
                place_services(&c, start == WINDOWS ? w->touched : NULL);
                if (start == MERGED_BY_SIZE)
                        (void)merge_blocks(&c, true);
                if (start == MERGED_BY_SIZE || are_all_refined)
                        improve(&c);
                else
                        split_blocks(&c);
                inner = inner_weight(&c);
                if (inner > inner_best) {
                        inner_best = inner;
                        memcpy(ret_block, w->block, n * sizeof *ret_block);
                }
        }
}

/* ---- all of it ------------------------------------------------------------------------------------ */

/* Numbers in the order of first services. */
static size_t number_blocks(size_t block[], size_t n, size_t number[])
{
        size_t n_blocks = 0;

        for (size_t i = 0; i < n; i++)
                number[i] = CALLGRAPH_NONE;
        for (size_t i = 0; i < n; i++) {
                if (number[block[i]] == CALLGRAPH_NONE)
                        number[block[i]] = n_blocks++;
                block[i] = number[block[i]];
        }
        return n_blocks;
}

size_t callgraph_partition(const struct call calls[], size_t n_calls, size_t n, size_t size_max,
                           bool may_search, struct callgraph_workspace *w, size_t ret_block[],
                           double *ret_cut)
{
        size_t n_blocks;

        if (n <= size_max) {
                memset(ret_block, 0, n * sizeof *ret_block);
        } else {
                list_neighbours(calls, n_calls, n, w);
                if (may_search && n <= CALLGRAPH_EXACT_MAX)
                        search(n, size_max, w, ret_block);
                else
                        cut_by_heuristic(n, size_max, w, ret_block);
        }
        n_blocks = number_blocks(ret_block, n, w->size);
        if (ret_cut) {
                *ret_cut = 0;
                for (size_t k = 0; k < n_calls; k++)
                        if (ret_block[calls[k].caller] != ret_block[calls[k].callee])
                                *ret_cut += calls[k].weight;
        }
        return n_blocks;
}
