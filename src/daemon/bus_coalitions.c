/* SPDX-License-Identifier: MIT */

#include "daemon/bus_coalitions.h"

#include "daemon/bus_append.h"
#include "daemon/coalitions.h"
#include "util/bus_names.h"
#include "util/cleanup.h"

#include <stdio.h>
#include <stdlib.h>

/* "path/" and the name of a path: 41 bytes at most in a configuration, a unit's where it follows from
 * calls. */
#define PRICE_KEY_MAX 512

/* Passes a failure on; what is appended to a message that failed is never sent. */
#define TRY(expression)                                 \
        do {                                            \
                int try_r_ = (expression);              \
                if (try_r_ < 0)                         \
                        return try_r_;                  \
        } while (0)

/* ---- dictionaries ------------------------------------------------------------------------------ */

static int open_entry(sd_bus_message *m, const char *key, const char *type)
{
        TRY(sd_bus_message_open_container(m, 'e', "sv"));
        TRY(sd_bus_message_append(m, "s", key));
        return sd_bus_message_open_container(m, 'v', type);
}

static int close_entry(sd_bus_message *m)
{
        TRY(sd_bus_message_close_container(m));
        return sd_bus_message_close_container(m);
}

/* One boolean a member: is its bit set. */
static int append_flags(sd_bus_message *m, const char *key, size_t n, uint32_t mask)
{
        TRY(open_entry(m, key, "ab"));
        TRY(sd_bus_message_open_container(m, 'a', "b"));
        for (size_t i = 0; i < n; i++)
                TRY(sd_bus_message_append(m, "b", (int)(mask >> i & 1)));
        TRY(sd_bus_message_close_container(m));
        return close_entry(m);
}

/* An array of numbers; `type` is that of an element. */
static int append_numbers(sd_bus_message *m, const char *key, char type, const void *numbers, size_t size)
{
        const char array_type[] = { 'a', type, '\0' };

        TRY(open_entry(m, key, array_type));
        TRY(sd_bus_message_append_array(m, type, numbers, size));
        return close_entry(m);
}

typedef const char *(*text_of_fn)(const struct service *s);

static const char *name_of(const struct service *s)
{
        return s->name;
}

static const char *unit_of(const struct service *s)
{
        return s->unit;
}

/* Texts of those members whose bit is set. */
static int append_members(sd_bus_message *m, const char *key, const struct daemon *d,
                          const struct epoch_coalition *c, uint32_t mask, text_of_fn text_of)
{
        TRY(open_entry(m, key, "as"));
        TRY(sd_bus_message_open_container(m, 'a', "s"));
        for (size_t i = 0; i < c->n; i++)
                if (mask >> i & 1)
                        TRY(sd_bus_message_append(m, "s", text_of(coalition_member(d, c, i))));
        TRY(sd_bus_message_close_container(m));
        return close_entry(m);
}

/* ---- coalitions -------------------------------------------------------------------------------- */

static int append_coalition(sd_bus_message *m, const struct daemon *d, const struct epoch_coalition *c)
{
        const struct coalition_value *v = &c->value;
        struct coalition_findings found;
        uint64_t entitlement[COALITION_MEMBERS_MAX], allocation[COALITION_MEMBERS_MAX];

        for (size_t i = 0; i < c->n; i++) {
                const struct service *s = coalition_member(d, c, i);

                entitlement[i] = bus_usec_from_milli(s->decision.entitlement_milli);
                allocation[i] = s->decision.alloc_milli >= 0 ? bus_usec_from_milli(s->decision.alloc_milli)
                                                             : USEC_UNSET;
        }
        coalition_find(c, &found);
        TRY(sd_bus_message_open_container(m, 'a', "{sv}"));
        TRY(bus_append_variant(m, "Id", "s", coalition_name(d, c)));
        TRY(append_members(m, "Members", d, c, UINT32_MAX, name_of));
        TRY(append_members(m, "Units", d, c, UINT32_MAX, unit_of));
        TRY(append_flags(m, "Active", c->n, c->active));
        TRY(bus_append_variant(m, "Formed", "b", (int)c->is_formed));
        TRY(bus_append_variant(m, "Stable", "b", (int)v->is_stable));
        TRY(bus_append_variant(m, "Exact", "b", (int)v->is_exact));
        TRY(bus_append_variant(m, "Repaired", "b", (int)v->is_repaired));
        TRY(bus_append_variant(m, "Value", "d", v->worth));
        TRY(bus_append_variant(m, "MaxExcess", "d", v->max_excess));
        TRY(bus_append_variant(m, "Certificate", "d", c->plan.certificate));
        TRY(append_members(m, "Blocking", d, c, v->is_stable ? 0 : found.blocking, name_of));
        TRY(append_numbers(m, "Shapley", 'd', found.shapley, c->n * sizeof *found.shapley));
        TRY(append_numbers(m, "Imputation", 'd', found.imputation, c->n * sizeof *found.imputation));
        TRY(bus_append_variant(m, "HalfWidth", "d", v->half_width));
        TRY(bus_append_variant(m, "Seed", "t", v->seed));
        TRY(bus_append_variant(m, "ValuedEpoch", "t", v->epoch));
        TRY(bus_append_variant(m, "TotalUSecPerSec", "t", bus_usec_from_milli(c->total_milli)));
        TRY(append_numbers(m, "EntitlementUSecPerSec", 't', entitlement, c->n * sizeof *entitlement));
        TRY(append_numbers(m, "AllocationUSecPerSec", 't', allocation, c->n * sizeof *allocation));
        TRY(bus_append_variant(m, "Price", "d", c->plan.price));
        TRY(bus_append_variant(m, "DivisionBefore", "d", c->division.v_before));
        TRY(bus_append_variant(m, "DivisionAfter", "d", c->division.v_after));
        return sd_bus_message_close_container(m);
}

int bus_list_coalitions(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        struct daemon *d = userdata;
        const struct epoch_graph *g = coalitions_graph(d);

        TRY(sd_bus_message_new_method_return(m, &reply));
        TRY(sd_bus_message_open_container(reply, 'a', "a{sv}"));
        for (size_t i = 0; g && i < g->n_coalitions; i++)
                TRY(append_coalition(reply, d, &g->coalitions[i]));
        TRY(sd_bus_message_close_container(reply));
        return sd_bus_send(NULL, reply, NULL);
}

/* ---- paths ------------------------------------------------------------------------------------- */

static int append_path(sd_bus_message *m, const struct daemon *d, const struct epoch_graph *g, size_t i)
{
        const struct epoch_path *p = &g->path[i];

        TRY(sd_bus_message_open_container(m, 'a', "{sv}"));
        TRY(bus_append_variant(m, "Name", "s", path_name(d, i)));
        TRY(open_entry(m, "Services", "as"));
        TRY(sd_bus_message_open_container(m, 'a', "s"));
        for (size_t k = g->paths.first[i]; k < g->paths.first[i + 1]; k++)
                TRY(sd_bus_message_append(m, "s", d->players[g->paths.members[k]]->name));
        TRY(sd_bus_message_close_container(m));
        TRY(close_entry(m));
        TRY(bus_append_variant(m, "Weight", "d", p->weight));
        TRY(bus_append_variant(m, "Price", "d", p->price));
        TRY(bus_append_variant(m, "Measured", "b", (int)p->is_measured));
        TRY(bus_append_variant(m, "LatencyTargetUSec", "t", bus_usec_from_ms(p->target_ms)));
        TRY(bus_append_variant(m, "LatencyMarketUSec", "t", bus_usec_from_ms(p->latency_market_ms)));
        TRY(bus_append_variant(m, "LatencyUSec", "t", bus_usec_from_ms(p->latency_ms)));
        TRY(bus_append_variant(m, "CPUMilliseconds", "d", path_cpu_ms(d, i)));
        return sd_bus_message_close_container(m);
}

int bus_list_paths(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        struct daemon *d = userdata;
        const struct epoch_graph *g = coalitions_graph(d);

        TRY(sd_bus_message_new_method_return(m, &reply));
        TRY(sd_bus_message_open_container(reply, 'a', "a{sv}"));
        for (size_t i = 0; g && i < g->paths.n_paths; i++)
                TRY(append_path(reply, d, g, i));
        TRY(sd_bus_message_close_container(reply));
        return sd_bus_send(NULL, reply, NULL);
}

/* ---- prices ------------------------------------------------------------------------------------ */

static int append_path_prices(sd_bus_message *m, const struct daemon *d, const char *prefix)
{
        const struct epoch_graph *g = coalitions_graph(d);
        char key[PRICE_KEY_MAX];

        for (size_t i = 0; g && i < g->paths.n_paths; i++) {
                (void)snprintf(key, sizeof key, "%s%s", prefix, path_name(d, i));
                TRY(sd_bus_message_append(m, "{sd}", key, g->path[i].price));
        }
        return 0;
}

int bus_get_prices(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const struct daemon *d = userdata;

        TRY(sd_bus_message_new_method_return(m, &reply));
        TRY(sd_bus_message_open_container(reply, 'a', "{sd}"));
        TRY(sd_bus_message_append(reply, "{sd}", "scarcity", d->outcome.market.scarcity));
        TRY(sd_bus_message_append(reply, "{sd}", "shadow_price", d->outcome.market.shadow_price));
        TRY(append_path_prices(reply, d, "path/"));
        TRY(sd_bus_message_close_container(reply));
        return sd_bus_send(NULL, reply, NULL);
}

static bool have_changed(const struct daemon *d, const struct bus_prices *told)
{
        const struct epoch_graph *g = coalitions_graph(d);
        size_t n = g ? g->paths.n_paths : 0;

        if (!told->was_told || d->has_new_paths || told->scarcity != d->outcome.market.scarcity ||
            told->shadow_price != d->outcome.market.shadow_price || told->n_paths != n)
                return true;
        for (size_t i = 0; i < n; i++)
                if (told->paths[i] != g->path[i].price)
                        return true;
        return false;
}

static void remember(struct daemon *d, struct bus_prices *told)
{
        const struct epoch_graph *g = coalitions_graph(d);
        size_t n = g ? g->paths.n_paths : 0;
        double *paths = reallocarray(told->paths, n + 1, sizeof *paths);

        /* Without memory the next epoch tells again: that is no lie. */
        told->was_told = paths != NULL;
        if (!paths)
                return;
        told->paths = paths;
        told->n_paths = n;
        for (size_t i = 0; i < n; i++)
                paths[i] = g->path[i].price;
        told->scarcity = d->outcome.market.scarcity;
        told->shadow_price = d->outcome.market.shadow_price;
        d->has_new_paths = false;
}

static int new_signal(sd_bus *bus, const struct daemon *d, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        TRY(sd_bus_message_new_signal(bus, &m, COALLOC_PATH, COALLOC_INTERFACE, "PricesChanged"));
        TRY(sd_bus_message_append(m, "tdd", d->epoch.epoch, d->outcome.market.shadow_price,
                                  d->outcome.market.scarcity));
        TRY(sd_bus_message_open_container(m, 'a', "{sd}"));
        TRY(append_path_prices(m, d, ""));
        TRY(sd_bus_message_close_container(m));
        *ret = TAKE_PTR(m);
        return 0;
}

void bus_tell_prices(sd_bus *bus, struct daemon *d, struct bus_prices *told)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        if (!have_changed(d, told) || new_signal(bus, d, &m) < 0 || sd_bus_send(bus, m, NULL) < 0)
                return;
        remember(d, told);
}

void bus_prices_done(struct bus_prices *told)
{
        free(told->paths);
        *told = (struct bus_prices){ 0 };
}
