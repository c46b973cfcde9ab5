/* SPDX-License-Identifier: MIT */

#include "daemon/coalitions.h"

#include <string.h>

#include "util/sorted.h"

const struct epoch_graph *coalitions_graph(const struct daemon *d)
{
        return d->graph;
}

const struct service *coalition_member(const struct daemon *d, const struct epoch_coalition *c,
                                       size_t position)
{
        return d->players[d->graph->members[c->first + position]];
}

const struct epoch_coalition *coalition_of(const struct daemon *d, const struct service *s)
{
        const struct epoch_coalition *c;

        if (!d->graph || !s->has_decision || s->decision.coalition >= d->graph->n_coalitions)
                return NULL;
        c = &d->graph->coalitions[s->decision.coalition];
        /* A service that has not played since then counts by an older graph. */
        for (size_t i = 0; i < c->n; i++)
                if (coalition_member(d, c, i) == s)
                        return c;
        return NULL;
}

const char *coalition_name(const struct daemon *d, const struct epoch_coalition *c)
{
        return coalition_member(d, c, 0)->name;
}

const char *coalition_id(const struct daemon *d, const struct service *s)
{
        const struct epoch_coalition *c = coalition_of(d, s);

        return c ? coalition_name(d, c) : "";
}

void coalition_find(const struct epoch_coalition *c, struct coalition_findings *ret)
{
        const struct coalition_value *v = &c->value;
        unsigned n_valued = 0;

        *ret = (struct coalition_findings){ 0 };
        for (size_t i = 0; i < c->n; i++) {
                if (!(c->valued_active >> i & 1))
                        continue;
                ret->shapley[i] = v->shapley[n_valued];
                ret->imputation[i] = v->imputation[n_valued];
                ret->blocking |= (v->blocking >> n_valued & 1) << i;
                n_valued++;
        }
}

static int compare_player(const void *key, const void *element)
{
        return strcmp(key, (*(struct service *const *)element)->unit);
}

/* Before the first call of a caller: no call is equal to the key. */
static int compare_caller(const void *key, const void *element)
{
        return *(const size_t *)key <= ((const struct call *)element)->caller ? -1 : 1;
}

size_t calls_of(const struct daemon *d, const struct service *s, const struct call **ret)
{
        const struct call *calls;
        size_t n_calls, caller, first, last;
        bool is_player, unused;

        if (!d->graph)
                return 0;
        caller = sorted_position(s->unit, d->players, d->n_players, sizeof *d->players, compare_player,
                                 &is_player);
        if (!is_player)
                return 0;
        calls = graph_calls(d->calls, &n_calls);
        first = sorted_position(&caller, calls, n_calls, sizeof *calls, compare_caller, &unused);
        for (last = first; last < n_calls && calls[last].caller == caller; last++)
                ;
        *ret = &calls[first];
        return last - first;
}

const char *path_name(const struct daemon *d, size_t i_path)
{
        return graph_path_names(d->calls)[i_path];
}

double path_cpu_ms(const struct daemon *d, size_t i_path)
{
        const struct callgraph_paths *paths = &d->graph->paths;
        double sum = 0;

        for (size_t k = paths->first[i_path]; k < paths->first[i_path + 1]; k++) {
                double cpu_ms = d->inputs[paths->members[k]].cpu_ms;

                sum += cpu_ms > 0 ? cpu_ms : 1;
        }
        return sum;
}
