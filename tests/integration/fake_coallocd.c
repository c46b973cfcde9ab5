/* SPDX-License-Identifier: MIT */

/* Not coallocd: the same face on the bus with answers that never change, so that what coallocctl
 * makes of them can be compared byte for byte.
 *
 *      fake_coallocd [observe|hostile|huge|old|undecided|failing|veto|rolled-back|game|starting|unpooled]
 *
 * game: five services of two coalitions on three paths beside one of no coalition. The first coalition
 * is formed; in the second two services gain more by themselves; a third has members that do not run.
 *
 * Prints "ready" when the name is taken, ends with the bus. */

#include "util/cleanup.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>

#define NONE UINT64_MAX

static struct {
        const char *mode;
        bool is_hostile;                /* odd answers */
        bool is_huge;                   /* more than anybody wants to see */
        bool has_game;
        bool has_no_coalitions;         /* only paths */
        bool is_frozen;
        const char *config_error;
        const char *epoch_error;
        const char *hold;
        const char *tier;
        double trend;
        uint64_t n_pending;
} fake = { .mode = "enforce", .config_error = "", .epoch_error = "", .hold = "", .tier = "congested",
           .trend = -0.5 };

struct fake_service {
        const char *name, *unit, *state, *note;
        int is_managed;
        uint64_t use, need, baseline, alloc;
        uint64_t quota[3], weight[3];
        double throttled, pressure;
        const char *coalition, *calls[4];
        double credit, bargain_weight;
        uint64_t entitlement, target, latency, latency_age, model;
        int is_stale;
};

static const struct fake_service services[] = {
        { "web", "shop-web.slice", "managed", "", 1, 783000, 900000, 200000, 1200000,
          { NONE, NONE, NONE }, { 1500, 1500, 1500 }, 0.0, 0.12 },
        { "batch", "batch.slice", "managed", "elastic", 1, 2410000, 0, 0, 400000,
          { 1400000, 1400000, 1400000 }, { 17, 17, 17 }, 0.31, 0.62 },
        { "db", "shop-db.slice", "refused", "the kernel did not take it", 1, 42000, 100000, 100000, 500000,
          { 500000, 500000, 900000 }, { 600, 500, 500 }, 0.0, 0.0 },
        { "mail", "mail.slice", "inactive", "", 1, 0, 0, 50000, NONE,
          { NONE, NONE, NONE }, { NONE, NONE, NONE }, 0.0, 0.0 },
        { "", "user.slice", "observed", "", 0, 120000, 0, 0, NONE,
          { NONE, NONE, NONE }, { NONE, NONE, NONE }, 0.0, 0.05 },
};

static const struct fake_service game_services[] = {
        { "web", "shop-web.slice", "managed", "", 1, 483000, 560000, 200000, 900000,
          { NONE, NONE, NONE }, { 1500, 1500, 1500 }, 0.0, 0.12,
          "web", { "cart", "db" }, -0.31, 97.5, 700000, 80000, 42000, 3000000, 38200, 0 },
        { "cart", "shop-cart.slice", "managed", "", 1, 310000, 360000, 100000, 500000,
          { NONE, NONE, NONE }, { 900, 900, 900 }, 0.0, 0.03,
          "web", { "db" }, 0.2, 101.6, 600000, 0, 80000, 61000000, 9100, 1 },
        { "db", "shop-db.slice", "managed", "", 1, 205000, 240000, 100000, 400000,
          { NONE, NONE, NONE }, { 600, 600, 600 }, 0.0, 0.0,
          "web", { NULL }, 0.11, 100.9, 500000, 20000, 24500, 3000000, 24500, 0 },
        { "mail", "mail.slice", "managed", "", 1, 90000, 104000, 50000, 120000,
          { NONE, NONE, NONE }, { 200, 200, 200 }, 0.0, 0.0,
          "mail", { "spam" }, 0, 100, 120000, 0, NONE, NONE, 33300, 0 },
        { "spam", "spam.slice", "managed", "", 1, 52000, 60000, 0, 60000,
          { NONE, NONE, NONE }, { 100, 100, 100 }, 0.0, 0.21,
          "mail", { "av" }, 0, 100, 60000, 0, NONE, NONE, 125000, 0 },
        { "av", "av.slice", "managed", "", 1, 30000, 34500, 0, 60000,
          { NONE, NONE, NONE }, { 100, 100, 100 }, 0.0, 0.0,
          "mail", { NULL }, 0, 100, 60000, 0, NONE, NONE, 33300, 0 },
        { "batch", "batch.slice", "managed", "elastic", 1, 1410000, 0, 0, 160000,
          { 1400000, 1400000, 1400000 }, { 17, 17, 17 }, 0.31, 0.62,
          "", { NULL }, 0, 10, 160000, 0, NONE, NONE, NONE, 0 },
};

struct fake_coalition {
        const char *members[4];
        int active[3], is_formed, is_stable, is_exact, is_repaired;
        double value, max_excess, certificate;
        const char *blocking[3];
        double shapley[3], imputation[3], half_width;
        uint64_t seed, valued_epoch, total, entitlement[3], allocation[3];
        double price, division_before, division_after;
};

static const struct fake_coalition coalitions[] = {
        { { "web", "cart", "db" }, { 1, 1, 1 }, 1, 1, 1, 0, 12.4, -0.8, -1e-12, { NULL }, { 6.1, 3.9, 2.4 },
          { 5, 4.5, 2.9 }, 0, UINT64_C(18446744073709551557), 42, 1800000, { 700000, 600000, 500000 },
          { 900000, 500000, 400000 }, 0.012, 12.4, 3.1 },
        { { "mail", "spam", "av" }, { 1, 1, 1 }, 0, 0, 1, 0, 3.1, 0.8, -1e-12, { "mail", "av" },
          { 1.2, 1.1, 0.8 }, { 1, 1, 1.1 }, 0, 7, 41, 240000, { 120000, 60000, 60000 },
          { 120000, 60000, 60000 }, 0, 0, 0 },
        { { "api", "cache", "queue" }, { 1, 0, 0 }, 0, 0, 0, 0, 0, 0, 0, { NULL }, { 0 }, { 0 }, 0, 0, 0,
          50000, { 50000, NONE, NONE }, { 50000, NONE, NONE }, 0, 0, 0 },
};

struct fake_path {
        const char *name, *services[4];
        double weight, price;
        int is_measured;
        uint64_t target, market, latency;
        double cpu_ms;
};

static const struct fake_path paths[] = {
        { "checkout", { "web", "cart", "db" }, 2, 0.0360125, 1, 60000, 84200, 71800, 15.2 },
        { "browse", { "web", "db" }, 1, 0.0123456789, 1, 0, 71100, 62700, 5.21 },
        { "inbound", { "mail", "spam", "av" }, 1, 0.0071, 0, 0, 191600, 191600, 3 },
};

#define N(array) (sizeof(array) / sizeof *(array))

static int append(sd_bus_message *m, const char *key, const char *type, ...)
{
        va_list ap;

        int r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', key);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', type);
        va_start(ap, type);
        if (r >= 0)
                r = sd_bus_message_appendv(m, type, ap);
        va_end(ap);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* A list of @n numbers of eight bytes each. */
static int append_array(sd_bus_message *m, const char *key, char type, const void *array, size_t n)
{
        const char contents[] = { 'a', type, '\0' };

        int r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', key);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', contents);
        if (r >= 0)
                r = sd_bus_message_append_array(m, type, array, 8 * n);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_names(sd_bus_message *m, const char *key, const char *const names[])
{
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', key);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **)names);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* What services say since there are coalitions. */
static int append_game(sd_bus_message *m, const struct fake_service *s)
{
        const struct {
                const char *key;
                uint64_t count;
        } counts[] = {
                { "EntitlementUSecPerSec", s->entitlement }, { "LatencyTargetUSec", s->target },
                { "LatencyTargetUsedUSec", s->target }, { "LatencyUSec", s->latency },
                { "LatencyAgeUSec", s->latency_age }, { "LatencyModelUSec", s->model },
        };
        int r = append(m, "Credit", "d", s->credit);

        for (size_t i = 0; i < N(counts) && r >= 0; i++)
                r = append(m, counts[i].key, "t", counts[i].count);
        if (r >= 0)
                r = append(m, "Importance", "d", 3.0);
        if (r >= 0)
                r = append(m, "BargainWeight", "d", s->bargain_weight);
        if (r >= 0)
                r = append(m, "LatencyStale", "b", s->is_stale);
        if (r >= 0)
                r = append(m, "Elasticity", "d", 0.5);
        return r < 0 ? r : append_names(m, "Calls", s->calls);
}

static int append_service(sd_bus_message *m, const struct fake_service *s)
{
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = append(m, "Unit", "s", s->unit);
        if (r >= 0)
                r = append(m, "FromTheFuture", "a{sv}", 1, "Deep", "t", UINT64_C(7));
        if (r >= 0)
                r = append(m, "Managed", "b", s->is_managed);
        /* A hostile daemon says no more than that: everything else is "-". */
        if (fake.is_hostile || r < 0)
                return r < 0 ? r : sd_bus_message_close_container(m);
        const struct {
                const char *key;
                uint64_t count;
        } counts[] = {
                { "UseUSecPerSec", s->use }, { "LoadUSecPerSec", s->use }, { "NeedUSecPerSec", s->need },
                { "FloorUSecPerSec", 0 }, { "BaselineUSecPerSec", s->baseline }, { "MaxUSecPerSec", NONE },
                { "AllocationUSecPerSec", s->alloc },
                { "QuotaWantedUSecPerSec", s->quota[0] }, { "QuotaAppliedUSecPerSec", s->quota[1] },
                { "QuotaReadUSecPerSec", s->quota[2] }, { "CPUWeightWanted", s->weight[0] },
                { "CPUWeightApplied", s->weight[1] }, { "CPUWeightRead", s->weight[2] },
        };
        for (size_t i = 0; i < N(counts) && r >= 0; i++)
                r = append(m, counts[i].key, "t", counts[i].count);
        if (r >= 0)
                r = append(m, "Name", "s", s->name);
        if (r >= 0)
                r = append(m, "Active", "b", strcmp(s->state, "inactive") != 0);
        if (r >= 0)
                r = append(m, "State", "s", s->state);
        if (r >= 0)
                r = append(m, "Note", "s", s->note);
        if (r >= 0)
                r = append(m, "CoalitionId", "s", s->coalition ? s->coalition : "");
        if (r >= 0)
                r = append(m, "Weight", "u", (uint32_t)100);
        if (r >= 0)
                r = append(m, "ThrottledRatio", "d", s->throttled);
        if (r >= 0)
                r = append(m, "Pressure", "d", s->pressure);
        if (r >= 0)
                r = append(m, "NeedReason", "s", "load");
        if (r >= 0 && fake.has_game)
                r = append_game(m, s);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_coalition(sd_bus_message *m, const struct fake_coalition *k)
{
        static const char *const units[] = { "a.slice", "b.slice", "c.slice", NULL };
        const struct {
                const char *key;
                int is_true;
        } flags[] = {
                { "Formed", k->is_formed }, { "Stable", k->is_stable }, { "Exact", k->is_exact },
                { "Repaired", k->is_repaired },
        };
        const struct {
                const char *key;
                double number;
        } numbers[] = {
                { "Value", k->value }, { "MaxExcess", k->max_excess }, { "Certificate", k->certificate },
                { "HalfWidth", k->half_width }, { "Price", k->price },
                { "DivisionBefore", k->division_before }, { "DivisionAfter", k->division_after },
        };
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = append(m, "Id", "s", k->members[0]);
        if (r >= 0)
                r = append_names(m, "Members", k->members);
        if (r >= 0)
                r = append_names(m, "Units", units);
        if (r >= 0)
                r = append(m, "Active", "ab", 3, k->active[0], k->active[1], k->active[2]);
        for (size_t i = 0; i < N(flags) && r >= 0; i++)
                r = append(m, flags[i].key, "b", flags[i].is_true);
        for (size_t i = 0; i < N(numbers) && r >= 0; i++)
                r = append(m, numbers[i].key, "d", numbers[i].number);
        if (r >= 0)
                r = append_names(m, "Blocking", k->blocking);
        if (r >= 0)
                r = append_array(m, "Shapley", 'd', k->shapley, 3);
        if (r >= 0)
                r = append_array(m, "Imputation", 'd', k->imputation, 3);
        if (r >= 0)
                r = append(m, "Seed", "t", k->seed);
        if (r >= 0)
                r = append(m, "ValuedEpoch", "t", k->valued_epoch);
        if (r >= 0)
                r = append(m, "TotalUSecPerSec", "t", k->total);
        if (r >= 0)
                r = append_array(m, "EntitlementUSecPerSec", 't', k->entitlement, 3);
        if (r >= 0)
                r = append_array(m, "AllocationUSecPerSec", 't', k->allocation, 3);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_path(sd_bus_message *m, const struct fake_path *p)
{
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = append(m, "Name", "s", p->name);
        if (r >= 0)
                r = append_names(m, "Services", p->services);
        if (r >= 0)
                r = append(m, "Weight", "d", p->weight);
        if (r >= 0)
                r = append(m, "Price", "d", p->price);
        if (r >= 0)
                r = append(m, "Measured", "b", p->is_measured);
        if (r >= 0)
                r = append(m, "LatencyTargetUSec", "t", p->target);
        if (r >= 0)
                r = append(m, "LatencyMarketUSec", "t", p->market);
        if (r >= 0)
                r = append(m, "LatencyUSec", "t", p->latency);
        if (r >= 0)
                r = append(m, "CPUMilliseconds", "d", p->cpu_ms);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Nothing, something of another type, and names and numbers that are none. */
static int append_oddities(sd_bus_message *m)
{
        static const char *const odd[] = { "", "<b>&\"'\\", "web", "web", "\033[31m", "nobody", NULL };
        static const double numbers[] = { NAN, INFINITY, -INFINITY, -1, 1e300, 0, 0, 0, 0 };
        static const uint64_t counts[] = { 0, 1, NONE, NONE - 1 };
        static const char *const lists[] = { "Members", "Blocking", "Services", "Calls", "Units" };
        static const char *const reals[] = { "Value", "MaxExcess", "Certificate", "HalfWidth", "Price", "Credit",
                                             "Weight", "BargainWeight", "DivisionAfter", "CPUMilliseconds" };

        int r = sd_bus_message_append(m, "a{sv}", 0);
        if (r >= 0)
                r = sd_bus_message_append(m, "a{sv}", 6, "Id", "t", UINT64_C(7), "Name", "t", UINT64_C(7),
                                          "Members", "s", "web", "Services", "u", 3, "Value", "s", "much",
                                          "Formed", "d", 1.0);
        for (size_t i = 0; i < N(numbers) && r >= 0; i++) {
                r = sd_bus_message_open_container(m, 'a', "{sv}");
                if (r >= 0)
                        r = append(m, "Id", "s", odd[i % 6]);
                if (r >= 0)
                        r = append(m, "Name", "s", odd[i % 6]);
                if (r >= 0)
                        r = append(m, "CoalitionId", "s", odd[(i + 1) % 6]);
                for (size_t k = 0; k < N(lists) && r >= 0; k++)
                        r = append_names(m, lists[k], odd);
                for (size_t k = 0; k < N(reals) && r >= 0; k++)
                        r = append(m, reals[k], "d", numbers[i]);
                if (r >= 0)
                        r = append_array(m, "Shapley", 'd', numbers, N(numbers));
                if (r >= 0)
                        r = append_array(m, "EntitlementUSecPerSec", 't', counts, N(counts));
                if (r >= 0)
                        r = append_array(m, "AllocationUSecPerSec", 't', counts, 2);
                if (r >= 0)
                        r = append_array(m, "Active", 'd', numbers, 3);
                if (r >= 0)
                        r = append(m, "TotalUSecPerSec", "t", counts[i % 4]);
                if (r >= 0)
                        r = append(m, "LatencyUSec", "t", counts[(i + 1) % 4]);
                if (r >= 0)
                        r = append(m, "LatencyTargetUSec", "t", counts[(i + 2) % 4]);
                if (r >= 0)
                        r = append(m, "LatencyModelUSec", "t", counts[(i + 3) % 4]);
                if (r >= 0)
                        r = append(m, "Formed", "b", (int)i & 1);
                if (r >= 0)
                        r = append(m, "Managed", "b", 1);
                if (r >= 0)
                        r = append(m, "ValuedEpoch", "t", (uint64_t)i & 2);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        return r;
}

/* One of everything with very many names in it, each called by the one before. */
#define HUGE_N 20000
static int append_huge(sd_bus_message *m)
{
        static char text[HUGE_N][8];
        static const char *names[HUGE_N + 1];

        for (size_t i = 0; i < HUGE_N; i++) {
                (void)snprintf(text[i], sizeof text[i], "s%zu", i);
                names[i] = text[i];
        }
        int r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append(m, "Id", "s", "huge");
        if (r >= 0)
                r = append(m, "Name", "s", "s0");
        if (r >= 0)
                r = append_names(m, "Members", names);
        if (r >= 0)
                r = append_names(m, "Blocking", names);
        if (r >= 0)
                r = append_names(m, "Services", names);
        if (r >= 0)
                r = append_names(m, "Calls", names);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Whatever is listed: each of @n things by itself. */
static int answer_list(sd_bus_message *call, int (*append_one)(sd_bus_message *m, size_t i), size_t n)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(call, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = append_one(reply, i);
        if (r >= 0 && fake.is_hostile)
                r = append_oddities(reply);
        if (r >= 0 && fake.is_huge)
                r = append_huge(reply);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int service_at(sd_bus_message *m, size_t i)
{
        return append_service(m, fake.has_game ? &game_services[i] : &services[i]);
}

static int coalition_at(sd_bus_message *m, size_t i)
{
        return append_coalition(m, &coalitions[i]);
}

static int path_at(sd_bus_message *m, size_t i)
{
        return append_path(m, &paths[i]);
}

static int list_services(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        return answer_list(call, service_at, fake.has_game ? N(game_services) : N(services));
}

static int list_coalitions(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        return answer_list(call, coalition_at, fake.has_game && !fake.has_no_coalitions ? N(coalitions) : 0);
}

static int list_paths(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        return answer_list(call, path_at, fake.has_game ? N(paths) : 0);
}

static int get_prices(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        if (fake.is_hostile)
                return sd_bus_reply_method_return(call, "a{sd}", 2, "path/a b\"", 1.5, "path/x\nX-Evil: 1", 1.0);
        if (!fake.has_game)
                return sd_bus_reply_method_return(call, "a{sd}", 2, "scarcity", 0.5, "shadow_price", INFINITY);
        return sd_bus_reply_method_return(call, "a{sd}", 5, "scarcity", 0.5, "shadow_price", 0.00237,
                                          "path/checkout", paths[0].price, "path/browse", paths[1].price,
                                          "path/inbound", INFINITY);
}

static int report_latency(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const char *service;
        uint32_t n_requests;
        double latency_sec;
        int r = sd_bus_message_read(call, "sdu", &service, &latency_sec, &n_requests);

        if (r < 0)
                return r;
        if (strcmp(service, "locked") == 0)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "Only root may do that.");
        if (strcmp(service, "web") != 0)
                return sd_bus_error_setf(error, "org.coalloc1.NoSuchService", "There is no service \"%s\".",
                                         service);
        if (latency_sec > 600)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "A latency of %g s is beyond belief.", latency_sec);
        (void)fprintf(stderr, "ReportLatency %s %g %u\n", service, latency_sec, n_requests);
        return sd_bus_reply_method_return(call, "");
}

static int explain(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const char *unit;
        int r = sd_bus_message_read(call, "s", &unit);

        if (r < 0)
                return r;
        if (fake.is_hostile)
                return sd_bus_reply_method_return(call, "s", "{\"sentences\":");
        if (strcmp(unit, "web") != 0 && strcmp(unit, "shop-web.slice") != 0)
                return sd_bus_error_setf(error, "org.coalloc1.NoSuchService",
                                         "There is no unit or service \"%s\".", unit);
        return sd_bus_reply_method_return(call, "s",
                "{\"unit\":\"shop-web.slice\",\"service\":\"web\",\"epoch\":42,\"sentences\":["
                "\"It used 78% and needs 90%: 1.15 times its load.\","
                "\"It got 120%, because the host is uncongested.\"],"
                "\"inputs\":{\"load_milli\":783},\"decision\":{\"alloc_milli\":1200}}");
}

static int plan(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        return sd_bus_reply_method_return(call, "s",
                "{\"tier\":\"congested\",\"scarcity\":0.5,\"shadow_price\":null,\"services\":["
                "{\"name\":\"web\",\"market_milli\":1200.5,\"alloc_milli\":1200,\"quota_milli\":null,"
                "\"cpu_weight\":1500,\"coalition\":null,\"credit\":0,\"satisfied\":true}],\"coalitions\":[],"
                "\"gate\":{\"v_before\":2,\"v_after\":1,\"step\":0.5,\"verdict\":\"reduced\"}}");
}

static int set_mode(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const char *mode;
        int r = sd_bus_message_read(call, "s", &mode);

        if (r < 0)
                return r;
        fake.mode = strcmp(mode, "observe") == 0 ? "observe" : "enforce";
        return sd_bus_reply_method_return(call, "");
}

static int freeze(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        int is_frozen;
        int r = sd_bus_message_read(call, "b", &is_frozen);

        if (r < 0)
                return r;
        fake.is_frozen = is_frozen;
        return sd_bus_reply_method_return(call, "");
}

static int reload(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        fake.config_error = "/etc/coalloc.conf:12: Baseline=: 900% is more than the host's 400%";
        return sd_bus_error_set(error, "org.coalloc1.ConfigInvalid", fake.config_error);
}

static int adopt(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "Only root may do that.");
}

static int restore(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        uint32_t n_failed = strcmp(fake.mode, "observe") == 0 ? 0 : 2;

        fake.mode = "observe";
        return sd_bus_reply_method_return(call, "u", n_failed);
}

static const char *hold(void)
{
        return fake.is_frozen ? "frozen" : fake.hold;
}

static const char *verdict(void)
{
        return *hold() ? "hold" : "apply";
}

static int get(sd_bus *bus, const char *path, const char *interface, const char *property,
               sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const struct {
                const char *name;
                uint64_t count;
        } counts[] = {
                { "CapacityUSecPerSec", 4000000 }, { "BargainedUSecPerSec", 3600000 },
                { "AllocatedUSecPerSec", 2100000 }, { "UnmanagedUSecPerSec", 120000 },
                { "Epoch", 42 }, { "EpochUSec", 15000000 }, { "NextEpochUSec", 0 },
                { "PendingWrites", fake.n_pending }, { "GuardRaises", 7 },
        };
        const struct {
                const char *name;
                double number;
        } numbers[] = {
                { "Scarcity", 0.5 }, { "ShadowPrice", fake.has_game ? 0.00237 : INFINITY }, { "Potential", 0.125 },
                { "PotentialTrend", fake.trend }, { "StepSize", 1 },
        };

        for (size_t i = 0; i < N(counts); i++)
                if (strcmp(property, counts[i].name) == 0)
                        return sd_bus_message_append(reply, "t", counts[i].count);
        for (size_t i = 0; i < N(numbers); i++)
                if (strcmp(property, numbers[i].name) == 0)
                        return sd_bus_message_append(reply, "d", numbers[i].number);
        if (strcmp(property, "Frozen") == 0)
                return sd_bus_message_append(reply, "b", (int)fake.is_frozen);
        if (strcmp(property, "PressureAvailable") == 0)
                return sd_bus_message_append(reply, "b", 1);
        return sd_bus_message_append(reply, "s", strcmp(property, "Version") == 0     ? "0.1.0" :
                                                 strcmp(property, "Mode") == 0        ? fake.mode :
                                                 strcmp(property, "Enforce") == 0     ? "both" :
                                                 strcmp(property, "Tier") == 0        ? fake.tier :
                                                 strcmp(property, "Verdict") == 0     ? verdict() :
                                                 strcmp(property, "EpochError") == 0  ? fake.epoch_error :
                                                 strcmp(property, "Hold") == 0        ? hold() :
                                                                                        fake.config_error);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", get, 0, 0),
        SD_BUS_PROPERTY("Mode", "s", get, 0, 0),
        SD_BUS_PROPERTY("Enforce", "s", get, 0, 0),
        SD_BUS_PROPERTY("Tier", "s", get, 0, 0),
        SD_BUS_PROPERTY("CapacityUSecPerSec", "t", get, 0, 0),
        SD_BUS_PROPERTY("BargainedUSecPerSec", "t", get, 0, 0),
        SD_BUS_PROPERTY("AllocatedUSecPerSec", "t", get, 0, 0),
        SD_BUS_PROPERTY("UnmanagedUSecPerSec", "t", get, 0, 0),
        SD_BUS_PROPERTY("Scarcity", "d", get, 0, 0),
        SD_BUS_PROPERTY("ShadowPrice", "d", get, 0, 0),
        SD_BUS_PROPERTY("Potential", "d", get, 0, 0),
        SD_BUS_PROPERTY("PotentialTrend", "d", get, 0, 0),
        SD_BUS_PROPERTY("StepSize", "d", get, 0, 0),
        SD_BUS_PROPERTY("Verdict", "s", get, 0, 0),
        SD_BUS_PROPERTY("Epoch", "t", get, 0, 0),
        SD_BUS_PROPERTY("EpochUSec", "t", get, 0, 0),
        SD_BUS_PROPERTY("NextEpochUSec", "t", get, 0, 0),
        SD_BUS_PROPERTY("Frozen", "b", get, 0, 0),
        SD_BUS_PROPERTY("ConfigError", "s", get, 0, 0),
        SD_BUS_PROPERTY("PressureAvailable", "b", get, 0, 0),
        SD_BUS_METHOD("ListServices", "", "aa{sv}", list_services, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListCoalitions", "", "aa{sv}", list_coalitions, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListPaths", "", "aa{sv}", list_paths, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetPrices", "", "a{sd}", get_prices, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ReportLatency", "sdu", "", report_latency, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Explain", "s", "s", explain, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Plan", "", "s", plan, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("SetMode", "s", "", set_mode, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Freeze", "b", "", freeze, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Reload", "", "", reload, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Adopt", "s", "", adopt, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Restore", "", "u", restore, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END
};

/* What a daemon of yesterday does not have. */
static const sd_bus_vtable newer_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Hold", "s", get, 0, 0),
        SD_BUS_PROPERTY("EpochError", "s", get, 0, 0),
        SD_BUS_PROPERTY("PendingWrites", "t", get, 0, 0),
        SD_BUS_PROPERTY("GuardRaises", "t", get, 0, 0),
        SD_BUS_VTABLE_END
};

int main(int argc, char *argv[])
{
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;

        const char *how = argc > 1 ? argv[1] : "enforce";
        bool is_old = strcmp(how, "old") == 0;

        fake.is_hostile = strcmp(how, "hostile") == 0;
        fake.is_huge = strcmp(how, "huge") == 0;
        fake.has_no_coalitions = strcmp(how, "unpooled") == 0;
        fake.has_game = strcmp(how, "game") == 0 || fake.has_no_coalitions;
        if (strcmp(how, "observe") == 0)
                fake.mode = "observe";
        if (strcmp(how, "undecided") == 0 || strcmp(how, "starting") == 0)
                fake.tier = "";
        if (strcmp(how, "undecided") == 0 || strcmp(how, "failing") == 0)
                fake.epoch_error = "4 services, but fewer whole percents of CPU to give.";
        if (is_old || strcmp(how, "veto") == 0)
                fake.hold = "veto";
        if (strcmp(how, "veto") == 0)
                fake.trend = 0.25;
        if (strcmp(how, "writing") == 0)
                fake.n_pending = 850;
        if (strcmp(how, "rolled-back") == 0) {
                fake.hold = "rolled-back";
                fake.trend = 0;
        }

        int r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = sd_bus_add_object_vtable(bus, NULL, "/org/coalloc1", "org.coalloc1.Manager", vtable, NULL);
        if (r >= 0 && !is_old)
                r = sd_bus_add_object_vtable(bus, NULL, "/org/coalloc1", "org.coalloc1.Manager",
                                             newer_vtable, NULL);
        if (r >= 0)
                r = sd_bus_request_name(bus, "org.coalloc1", 0);
        if (r < 0) {
                (void)fprintf(stderr, "fake_coallocd: %s\n", strerror(-r));
                return 1;
        }
        (void)puts("ready");
        (void)fflush(stdout);
        while ((r = sd_bus_process(bus, NULL)) >= 0)
                if (r == 0 && sd_bus_wait(bus, UINT64_MAX) < 0)
                        break;
        return 0;
}
