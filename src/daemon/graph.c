/* SPDX-License-Identifier: MIT */

#include "daemon/graph.h"

#include "util/journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE CALLGRAPH_NONE

struct graph {
        uint64_t signature;
        bool is_built;
        bool is_limited;                /* there are more paths than were looked at: was said */

        struct epoch_graph epoch;
        char **path_names;
        struct call *calls;
        size_t n_calls;
        struct call *waits;             /* of the calls */
        size_t n_waits;

        /* coalitions */
        size_t size_max;                /* 1: none */
        size_t *block;                  /* of each player */
        size_t n_blocks;
        size_t n_final, n_components;   /* that have their best cut */
};

/* ---- life --------------------------------------------------------------------------------------- */

struct graph *graph_new(void)
{
        return calloc(1, sizeof(struct graph));
}

static void clear(struct graph *g)
{
        for (size_t p = 0; p < g->epoch.paths.n_paths; p++)
                free(g->path_names[p]);
        free(g->path_names);
        free(g->epoch.paths.first);
        free(g->epoch.paths.members);
        free(g->epoch.path);
        free(g->epoch.coalitions);
        free(g->epoch.members);
        free(g->calls);
        free(g->waits);
        free(g->block);
        *g = (struct graph){ 0 };
}

struct graph *graph_free(struct graph *g)
{
        if (!g)
                return NULL;
        clear(g);
        free(g);
        return NULL;
}

struct epoch_graph *graph_epoch(struct graph *g)
{
        return g->epoch.paths.n_paths > 0 ? &g->epoch : NULL;
}

const char *const *graph_path_names(const struct graph *g)
{
        return (const char *const *)g->path_names;
}

const struct call *graph_calls(const struct graph *g, size_t *ret_n_calls)
{
        *ret_n_calls = g->n_calls;
        return g->calls;
}

const struct call *graph_waits(const struct graph *g, size_t *ret_n_waits)
{
        *ret_n_waits = g->n_waits;
        return g->waits;
}

/* ---- has anything changed? ------------------------------------------------------------------------ */

/* FNV-1a, 64 bit. */
#define HASH_INIT UINT64_C(0xcbf29ce484222325)

static uint64_t hash_bytes(uint64_t h, const void *bytes, size_t n)
{
        const unsigned char *p = bytes;

        for (size_t i = 0; i < n; i++)
                h = (h ^ p[i]) * UINT64_C(0x100000001b3);
        return h;
}

/* With its end, so that "ab", "c" is not "a", "bc". */
static uint64_t hash_text(uint64_t h, const char *text)
{
        return hash_bytes(h, text, strlen(text) + 1);
}

static uint64_t hash_list(uint64_t h, char *const *names)
{
        for (; names && *names; names++)
                h = hash_text(h, *names);
        return hash_text(h, "");
}

/* By content, not by address: a new configuration may come to lie where the old one was. */
static uint64_t signature_of(const struct config *c, const struct graph_player players[], size_t n)
{
        uint64_t h = hash_bytes(HASH_INIT, &c->max_coalition_size, sizeof c->max_coalition_size);

        for (size_t i = 0; i < c->n_services; i++) {
                h = hash_text(h, c->services[i].name);
                h = hash_text(h, c->services[i].unit);
                h = hash_list(h, c->services[i].calls);
        }
        for (size_t p = 0; p < c->n_paths; p++) {
                h = hash_text(h, c->paths[p].name);
                h = hash_list(h, c->paths[p].services);
                h = hash_bytes(h, &c->paths[p].weight, sizeof c->paths[p].weight);
                h = hash_bytes(h, &c->paths[p].latency_target_usec, sizeof c->paths[p].latency_target_usec);
        }
        for (size_t i = 0; i < n; i++) {
                size_t service = (size_t)(players[i].config - c->services);

                h = hash_text(h, players[i].unit);
                h = hash_bytes(h, &service, sizeof service);
        }
        return h;
}

/* ---- players by service --------------------------------------------------------------------------- */

/* What stands in a unit's name where the wildcards are in the pattern; of a plain service nothing. */
struct star {
        const char *text;
        size_t length;
        size_t player;
};

static struct star star_of(const char *pattern, const char *unit, size_t player)
{
        size_t before = strcspn(pattern, "*?["), length = strlen(unit), after = 0;

        for (const char *end = pattern + strlen(pattern); end > pattern && !strchr("*?]", end[-1]); end--)
                after++;
        /* The unit matches, so the two do not overlap; where it does not, nothing is lost. */
        if (before + after > length)
                before = after = 0;
        return (struct star){ unit + before, length - before - after, player };
}

static int by_text(const void *a, const void *b)
{
        const struct star *x = a, *y = b;
        size_t length = x->length < y->length ? x->length : y->length;
        int order = memcmp(x->text, y->text, length);

        if (order != 0)
                return order;
        return (x->length > y->length) - (x->length < y->length);
}

/* All that is only needed while a graph is being built. */
struct builder {
        const struct config *config;
        const struct graph_player *players;
        size_t n;

        struct star *stars;             /* of the players of patterns, sorted by text */
        size_t n_stars;
        size_t *star;                   /* n: number of the star text; NONE for a plain service */
        const struct star **text;       /* n: of each number */
        size_t *first;                  /* n_services + 1: the players of each service, by star text */
        size_t *players_of;             /* n */

        /* the path that is being laid out */
        size_t *position;               /* n_services: on this path, or NONE */
        size_t *stand_in;               /* n_services, by position: who takes its calls */
        size_t *path_stars;             /* n */
        size_t *star_seen;              /* n: the last path that has it */

        /* so far */
        struct graph *graph;
        size_t n_members, n_members_allocated;
        size_t n_paths_allocated, n_calls_allocated;
        bool is_limited;
};

static void builder_done(struct builder *b)
{
        free(b->stars);
        free(b->star);
        free(b->text);
        free(b->first);
        free(b->players_of);
        free(b->position);
        free(b->stand_in);
        free(b->path_stars);
        free(b->star_seen);
}

static size_t service_of(const struct builder *b, size_t player)
{
        return (size_t)(b->players[player].config - b->config->services);
}

static void list_players(struct builder *b)
{
        size_t n_texts = 0, n_services = b->config->n_services;

        for (size_t i = 0; i < b->n; i++) {
                const struct graph_player *p = &b->players[i];

                b->star[i] = NONE;
                if (p->config->is_pattern)
                        b->stars[b->n_stars++] = star_of(p->config->unit, p->unit, i);
                b->first[service_of(b, i) + 1]++;
        }
        for (size_t s = 0; s < n_services; s++)
                b->first[s + 1] += b->first[s];

        if (b->n_stars > 1)
                qsort(b->stars, b->n_stars, sizeof *b->stars, by_text);
        for (size_t k = 0; k < b->n_stars; k++) {
                if (k == 0 || by_text(&b->stars[k - 1], &b->stars[k]) != 0)
                        b->text[n_texts++] = &b->stars[k];
                b->star[b->stars[k].player] = n_texts - 1;
        }

        /* `position` as the place of the next: patterns in the order of their star texts. */
        memcpy(b->position, b->first, n_services * sizeof *b->position);
        for (size_t i = 0; i < b->n; i++)
                if (b->star[i] == NONE)
                        b->players_of[b->position[service_of(b, i)]++] = i;
        for (size_t k = 0; k < b->n_stars; k++)
                b->players_of[b->position[service_of(b, b->stars[k].player)]++] = b->stars[k].player;
}

/* The player of a service on the path of that star text; NONE if it does not play. */
static size_t find_player(const struct builder *b, size_t service, size_t star)
{
        size_t low = b->first[service], high = b->first[service + 1];

        if (!b->config->services[service].is_pattern)
                return low < high ? b->players_of[low] : NONE;
        while (low < high) {
                size_t middle = low + (high - low) / 2, player = b->players_of[middle];

                if (b->star[player] == star)
                        return player;
                if (b->star[player] < star)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NONE;
}

/* ---- paths ---------------------------------------------------------------------------------------- */

/* A path as the configuration says it, of services whether they play or not. */
struct outline {
        const char *name;
        double weight, target_ms;
        const size_t *services;         /* each once */
        size_t n_services;
        char *const *list;              /* of a [Path]: each calls the next; NULL: Calls= says who calls whom */
};

static int grow(void *array, size_t *n_allocated, size_t n, size_t size)
{
        void **items = array;
        size_t more = 2 * *n_allocated > n ? 2 * *n_allocated : n;
        void *bigger;

        if (n <= *n_allocated)
                return 0;
        bigger = reallocarray(*items, more, size);
        if (!bigger)
                return -ENOMEM;
        *items = bigger;
        *n_allocated = more;
        return 0;
}

static int add_call(struct builder *b, size_t caller, size_t callee, double weight)
{
        struct graph *g = b->graph;

        /* Who stands in for both ends has nobody to call. */
        if (caller == callee)
                return 0;
        if (g->n_calls == 2 * GRAPH_MEMBERSHIPS_MAX(b->n)) {
                b->is_limited = true;
                return 0;
        }
        if (grow(&g->calls, &b->n_calls_allocated, g->n_calls + 1, sizeof *g->calls) < 0)
                return -ENOMEM;
        g->calls[g->n_calls++] = (struct call){ caller, callee, weight };
        return 0;
}

static int add_calls(struct builder *b, const struct outline *o)
{
        const struct config *c = b->config;

        if (o->list) {
                for (size_t k = 0; o->list[k] && o->list[k + 1]; k++) {
                        size_t from = b->position[config_find_service(c, o->list[k])];
                        size_t to = b->position[config_find_service(c, o->list[k + 1])];

                        if (add_call(b, b->stand_in[from], b->stand_in[to], o->weight) < 0)
                                return -ENOMEM;
                }
                return 0;
        }
        for (size_t k = 0; k < o->n_services; k++) {
                char *const *names = c->services[o->services[k]].calls;

                for (; names && *names; names++) {
                        size_t to = b->position[config_find_service(c, *names)];

                        /* The call that closes a cycle may lead to where this path does not come by. */
                        if (to != NONE && add_call(b, b->stand_in[k], b->stand_in[to], o->weight) < 0)
                                return -ENOMEM;
                }
        }
        return 0;
}

static char *name_path(const char *name, const struct star *star)
{
        char *text;

        if (!star)
                return strdup(name);
        if (asprintf(&text, "%s@%.*s", name, (int)star->length, star->text) < 0)
                return NULL;
        return text;
}

/* Return: how many services of the path play; stand_in[] says who takes the calls of each. */
static size_t cast_path(struct builder *b, const struct outline *o, size_t star)
{
        size_t n_playing = 0, first = NONE, last = NONE;

        for (size_t k = 0; k < o->n_services; k++) {
                size_t player = find_player(b, o->services[k], star);

                if (player != NONE) {
                        last = player;
                        n_playing++;
                }
                if (first == NONE)
                        first = last;
                b->stand_in[k] = last;
        }
        for (size_t k = 0; k < o->n_services && b->stand_in[k] == NONE; k++)
                b->stand_in[k] = first;
        return n_playing;
}

/* Four arrays grow with a path: its members, where they begin, what it is, its name. */
static int make_room(struct builder *b, size_t n_members)
{
        struct epoch_graph *g = &b->graph->epoch;
        size_t n = g->paths.n_paths + 2, more = 2 * n;
        size_t *first;
        struct epoch_path *path;
        char **names;

        if (grow(&g->paths.members, &b->n_members_allocated, b->n_members + n_members,
                 sizeof *g->paths.members) < 0)
                return -ENOMEM;
        if (n <= b->n_paths_allocated)
                return 0;
        first = reallocarray(g->paths.first, more, sizeof *first);
        if (!first)
                return -ENOMEM;
        g->paths.first = first;
        path = reallocarray(g->path, more, sizeof *path);
        if (!path)
                return -ENOMEM;
        g->path = path;
        names = reallocarray(b->graph->path_names, more, sizeof *names);
        if (!names)
                return -ENOMEM;
        b->graph->path_names = names;
        b->n_paths_allocated = more;
        return 0;
}

/* One path of an outline, for one star text, or NONE. */
static int add_path(struct builder *b, const struct outline *o, size_t star)
{
        struct graph *g = b->graph;
        struct callgraph_paths *paths = &g->epoch.paths;
        size_t n = cast_path(b, o, star), p = paths->n_paths;

        if (n == 0)
                return 0;
        if (b->n_members + n > GRAPH_MEMBERSHIPS_MAX(b->n)) {
                b->is_limited = true;
                return 0;
        }
        if (make_room(b, n) < 0)
                return -ENOMEM;
        g->path_names[p] = name_path(o->name, star == NONE ? NULL : b->text[star]);
        if (!g->path_names[p])
                return -ENOMEM;

        g->epoch.path[p] = (struct epoch_path){ .weight = o->weight, .target_ms = o->target_ms };
        paths->first[p] = b->n_members;
        for (size_t k = 0; k < o->n_services; k++) {
                size_t player = find_player(b, o->services[k], star);

                if (player != NONE)
                        paths->members[b->n_members++] = player;
        }
        paths->first[p + 1] = b->n_members;
        paths->n_paths++;
        return add_calls(b, o);
}

static int by_number(const void *a, const void *b)
{
        size_t x = *(const size_t *)a, y = *(const size_t *)b;

        return (x > y) - (x < y);
}

static int add_paths(struct builder *b, const struct outline *o, size_t i_outline)
{
        size_t n_stars = 0;
        bool has_pattern = false;
        int r = 0;

        for (size_t k = 0; k < o->n_services; k++) {
                size_t s = o->services[k];

                b->position[s] = k;
                if (!b->config->services[s].is_pattern)
                        continue;
                has_pattern = true;
                for (size_t i = b->first[s]; i < b->first[s + 1]; i++) {
                        size_t star = b->star[b->players_of[i]];

                        if (b->star_seen[star] != i_outline)
                                b->path_stars[n_stars++] = star;
                        b->star_seen[star] = i_outline;
                }
        }
        if (!has_pattern)
                r = add_path(b, o, NONE);
        if (n_stars > 1)
                qsort(b->path_stars, n_stars, sizeof *b->path_stars, by_number);
        for (size_t k = 0; k < n_stars && r == 0 && !b->is_limited; k++)
                r = add_path(b, o, b->path_stars[k]);
        for (size_t k = 0; k < o->n_services; k++)
                b->position[o->services[k]] = NONE;
        return r;
}

/* ---- paths that are declared ---------------------------------------------------------------------- */

static int add_declared_paths(struct builder *b)
{
        const struct config *c = b->config;
        _cleanup_free_ size_t *services = calloc(c->n_services + 1, sizeof *services);
        int r = 0;

        if (!services)
                return -ENOMEM;
        for (size_t p = 0; p < c->n_paths && r == 0 && !b->is_limited; p++) {
                const struct config_path *path = &c->paths[p];
                struct outline o = {
                        .name = path->name,
                        .weight = path->weight,
                        .target_ms = (double)path->latency_target_usec / 1000,
                        .services = services,
                        .list = path->services,
                };

                for (char *const *name = path->services; *name; name++) {
                        size_t s = (size_t)config_find_service(c, *name);

                        /* add_paths() says the same of positions, and clears them. */
                        if (b->position[s] == NONE) {
                                b->position[s] = o.n_services;
                                services[o.n_services++] = s;
                        }
                }
                r = add_paths(b, &o, p);
        }
        return r;
}

/* ---- paths that follow from Calls= ------------------------------------------------------------------ */

static size_t count_calls(const struct config *c)
{
        size_t n = 0;

        for (size_t i = 0; i < c->n_services; i++)
                for (char *const *name = c->services[i].calls; name && *name; name++)
                        n++;
        return n;
}

static int add_paths_of_calls(struct builder *b)
{
        const struct config *c = b->config;
        size_t n = c->n_services, n_calls = count_calls(c), k = 0;
        struct callgraph_paths paths = {
                .n_paths_max = n,
                .n_members_max = GRAPH_MEMBERSHIPS_MAX(n),
        };
        _cleanup_free_ void *buffer = malloc(callgraph_workspace_size(n, n_calls));
        _cleanup_free_ struct call *calls = calloc(n_calls + 1, sizeof *calls);
        _cleanup_free_ size_t *first = calloc(n + 1, sizeof *first);
        _cleanup_free_ size_t *members = calloc(paths.n_members_max, sizeof *members);
        struct callgraph_workspace w;
        bool are_there_more;
        int r = 0;

        if (n_calls == 0)
                return 0;
        if (!buffer || !calls || !first || !members)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                for (char *const *name = c->services[i].calls; name && *name; name++)
                        calls[k++] = (struct call){ i, (size_t)config_find_service(c, *name), 1 };
        paths.first = first;
        paths.members = members;
        callgraph_workspace_init(&w, buffer, n, n_calls);
        are_there_more = callgraph_find_paths(calls, n_calls, n, &w, &paths) > 0;

        for (size_t p = 0; p < paths.n_paths && r == 0 && !b->is_limited; p++)
                r = add_paths(b,
                              &(struct outline){
                                      .name = c->services[members[first[p]]].name,
                                      .weight = 1,
                                      .services = members + first[p],
                                      .n_services = first[p + 1] - first[p],
                              },
                              p);
        b->is_limited = b->is_limited || are_there_more;
        return r;
}

/* ---- calls once each ------------------------------------------------------------------------------ */

static void sort_calls(const struct call from[], struct call to[], size_t n_calls, size_t n,
                       bool by_caller, size_t next[])
{
        memset(next, 0, (n + 1) * sizeof *next);
        for (size_t k = 0; k < n_calls; k++)
                next[(by_caller ? from[k].caller : from[k].callee) + 1]++;
        for (size_t i = 0; i < n; i++)
                next[i + 1] += next[i];
        for (size_t k = 0; k < n_calls; k++)
                to[next[by_caller ? from[k].caller : from[k].callee]++] = from[k];
}

/* By counting: their number is bounded, but the bound is large. */
static int merge_calls(struct graph *g, size_t n)
{
        _cleanup_free_ struct call *sorted = calloc(g->n_calls + 1, sizeof *sorted);
        _cleanup_free_ size_t *next = calloc(n + 1, sizeof *next);
        size_t n_merged = 0;

        if (!sorted || !next)
                return -ENOMEM;
        sort_calls(g->calls, sorted, g->n_calls, n, false, next);
        sort_calls(sorted, g->calls, g->n_calls, n, true, next);
        for (size_t k = 0; k < g->n_calls; k++) {
                struct call *last = n_merged > 0 ? &g->calls[n_merged - 1] : NULL, *call = &g->calls[k];

                if (last && last->caller == call->caller && last->callee == call->callee)
                        last->weight += call->weight;
                else
                        g->calls[n_merged++] = *call;
        }
        g->n_calls = n_merged;
        return 0;
}

static int find_waits(struct graph *g, size_t n)
{
        _cleanup_free_ void *buffer = malloc(callgraph_workspace_size(n, g->n_calls));
        struct callgraph_workspace w;

        g->waits = calloc(g->n_calls + 1, sizeof *g->waits);
        if (!buffer || !g->waits)
                return -ENOMEM;
        callgraph_workspace_init(&w, buffer, n, g->n_calls);
        g->n_waits = callgraph_waits(g->calls, g->n_calls, n, &w, g->waits);
        return 0;
}

/* ---- coalitions ----------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
        uint64_t x = ((const struct epoch_coalition *)a)->id, y = ((const struct epoch_coalition *)b)->id;

        return (x > y) - (x < y);
}

/* What was found out about a coalition stays with it. `old` is sorted by id. */
static void carry_over(struct epoch_coalition *c, const struct epoch_coalition old[], size_t n_old)
{
        const struct epoch_coalition *past = n_old > 0 ? bsearch(c, old, n_old, sizeof *old, by_id) : NULL;

        if (!past || past->n != c->n)
                return;
        c->value = past->value;
        c->valued_active = past->valued_active;
}

/* Blocks of two and more become coalitions, in the order of their first members. Takes what @old knows. */
static int form_coalitions(struct graph *g, const struct graph_player players[], size_t n,
                           struct epoch_coalition old[], size_t n_old)
{
        _cleanup_free_ size_t *first = calloc(g->n_blocks + 1, sizeof *first);
        _cleanup_free_ size_t *members = calloc(n + 1, sizeof *members);
        _cleanup_free_ struct epoch_coalition *coalitions = calloc(g->n_blocks + 1, sizeof *coalitions);
        size_t n_coalitions = 0, n_members = 0;

        if (!first || !members || !coalitions)
                return -ENOMEM;
        if (n_old > 1)
                qsort(old, n_old, sizeof *old, by_id);
        /* Sizes, then where each begins, NONE for those of one. */
        for (size_t i = 0; i < n; i++)
                if (g->block[i] != NONE)
                        first[g->block[i]]++;
        for (size_t b = 0; b < g->n_blocks; b++) {
                size_t size = first[b];

                first[b] = NONE;
                if (size < 2)
                        continue;
                first[b] = n_members;
                coalitions[n_coalitions++] = (struct epoch_coalition){
                        .first = n_members, .n = size, .id = HASH_INIT,
                };
                n_members += size;
        }
        for (size_t i = 0; i < n; i++)
                if (g->block[i] != NONE && first[g->block[i]] != NONE)
                        members[first[g->block[i]]++] = i;
        for (size_t k = 0; k < n_coalitions; k++) {
                struct epoch_coalition *c = &coalitions[k];

                for (size_t m = 0; m < c->n; m++)
                        c->id = hash_text(c->id, players[members[c->first + m]].unit);
                carry_over(c, old, n_old);
        }
        g->epoch.members = TAKE_PTR(members);
        g->epoch.coalitions = TAKE_PTR(coalitions);
        g->epoch.n_coalitions = n_coalitions;
        return 0;
}

/* Cuts what is too large, as far as it gets in one epoch. */
static int cut_components(struct graph *g, size_t n)
{
        _cleanup_free_ void *buffer = malloc(callgraph_workspace_size(n, g->n_calls));
        struct callgraph_workspace w;

        if (!buffer)
                return -ENOMEM;
        callgraph_workspace_init(&w, buffer, n, g->n_calls);
        g->n_blocks = callgraph_coalitions(g->calls, g->n_calls, n, g->size_max, GRAPH_SEARCH_STEPS_MAX, &w,
                                           &g->n_final, g->block, &g->n_components);
        return 0;
}

/* ---- all of it ------------------------------------------------------------------------------------ */

static int build_paths(struct builder *b)
{
        size_t n_services = b->config->n_services;
        int r;

        b->stars = calloc(b->n + 1, sizeof *b->stars);
        b->star = calloc(b->n + 1, sizeof *b->star);
        b->text = calloc(b->n + 1, sizeof *b->text);
        b->first = calloc(n_services + 1, sizeof *b->first);
        b->players_of = calloc(b->n + 1, sizeof *b->players_of);
        b->position = calloc(n_services + 1, sizeof *b->position);
        b->stand_in = calloc(n_services + 1, sizeof *b->stand_in);
        b->path_stars = calloc(b->n + 1, sizeof *b->path_stars);
        b->star_seen = calloc(b->n + 1, sizeof *b->star_seen);
        if (!b->stars || !b->star || !b->text || !b->first || !b->players_of || !b->position ||
            !b->stand_in || !b->path_stars || !b->star_seen)
                return -ENOMEM;
        list_players(b);
        for (size_t s = 0; s < n_services; s++)
                b->position[s] = NONE;
        for (size_t i = 0; i < b->n; i++)
                b->star_seen[i] = NONE;
        r = b->config->n_paths > 0 ? add_declared_paths(b) : add_paths_of_calls(b);
        if (r >= 0)
                r = merge_calls(b->graph, b->n);
        return r < 0 ? r : find_waits(b->graph, b->n);
}

static int build(struct graph *g, const struct config *config, const struct graph_player players[],
                 size_t n, struct epoch_coalition old[], size_t n_old)
{
        struct builder b = { .config = config, .players = players, .n = n, .graph = g };
        int r = build_paths(&b);

        g->is_limited = b.is_limited;
        builder_done(&b);
        if (r < 0)
                return r;
        g->size_max = config->max_coalition_size < COALITION_MEMBERS_MAX ? config->max_coalition_size
                                                                         : COALITION_MEMBERS_MAX;
        if (g->size_max < 2)
                return 0;
        g->block = calloc(n + 1, sizeof *g->block);
        if (!g->block)
                return -ENOMEM;
        r = cut_components(g, n);
        return r < 0 ? r : form_coalitions(g, players, n, old, n_old);
}

/* Components that wait for their search get it, and their coalitions change. */
static int search_on(struct graph *g, const struct graph_player players[], size_t n)
{
        _cleanup_free_ struct epoch_coalition *old = NULL;
        _cleanup_free_ size_t *old_members = NULL;
        size_t n_old = g->epoch.n_coalitions;
        int r = cut_components(g, n);

        if (r < 0)
                return r;
        old = TAKE_PTR(g->epoch.coalitions);
        old_members = TAKE_PTR(g->epoch.members);
        g->epoch.n_coalitions = 0;
        return form_coalitions(g, players, n, old, n_old);
}

int graph_update(struct graph *g, const struct config *config, const struct graph_player players[],
                 size_t n)
{
        uint64_t signature = signature_of(config, players, n);
        _cleanup_free_ struct epoch_coalition *old = NULL;
        size_t n_old = g->epoch.n_coalitions;
        bool was_limited = g->is_limited;
        int r;

        if (g->is_built && g->signature == signature) {
                if (g->n_final == g->n_components)
                        return 0;
                r = search_on(g, players, n);
        } else {
                old = TAKE_PTR(g->epoch.coalitions);
                clear(g);
                r = build(g, config, players, n, old, n_old);
        }
        if (r < 0) {
                clear(g);
                return r;
        }
        g->is_built = true;
        g->signature = signature;
        if (g->is_limited && !was_limited)
                log_plain(LOG_WARNING, MSG_PATHS_LIMITED,
                          "Too many paths: more than %zu services on all of them together; only the first %zu paths form coalitions and have prices. Declare the paths that matter in [Path] sections.",
                          (size_t)GRAPH_MEMBERSHIPS_MAX(n), g->epoch.paths.n_paths);
        return 1;
}
