/* SPDX-License-Identifier: MIT */

/* prices: what CPU costs now, what a request on each path costs, and the same as header lines for
 * proxies. */

#include "client/bus.h"
#include "client/cells.h"
#include "client/client.h"
#include "client/head.h"
#include "util/nearest.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What GetPrices() puts before the name of a path. */
#define PATH_PREFIX "path/"
/* Room for -1.23457e-308. */
#define PRICE_TEXT_MAX 16

static const struct field host_fields[] = {
        { "Epoch", "epoch", FIELD_SAME },
        { "Tier", "tier", FIELD_SAME },
        { "Scarcity", "scarcity", FIELD_NUMBER },
        { "ShadowPrice", "shadow_price", FIELD_NUMBER },
};

static const struct field path_fields[] = {
        { "Name", "name", FIELD_SAME },
        { "Services", "services", FIELD_SAME },
        { "Weight", "weight", FIELD_NUMBER },
        { "Price", "price", FIELD_NUMBER },
        { "Measured", "measured", FIELD_SAME },
        { "CPUMilliseconds", "cpu_ms", FIELD_NUMBER },
        { "LatencyUSec", "latency_ms", FIELD_LATENCY },
        { "LatencyMarketUSec", "latency_market_ms", FIELD_LATENCY },
        { "LatencyTargetUSec", "latency_target_ms", FIELD_TARGET },
};

/* ---- for people ----------------------------------------------------------------------------------- */

static void number_cell(struct table *t, double number)
{
        char text[FORMAT_MAX];

        cell_text(t, TERM_PLAIN, isnan(number) ? "" : words_number(text, number));
}

static int add_row(struct table *t, struct json_object *path)
{
        _cleanup_free_ char *services = json_join(json_get_list(path, "Services"), " ", " ");
        double cpu_ms = json_get_number(path, "CPUMilliseconds");
        uint64_t latency_usec = NONE, target_usec = 0;
        char text[2 * FORMAT_MAX], cpu[FORMAT_MAX];

        if (!services)
                return out_of_memory();
        (void)json_get_count(path, "LatencyUSec", &latency_usec);
        (void)json_get_count(path, "LatencyTargetUSec", &target_usec);
        table_row(t);
        table_cell(t, TERM_BOLD, json_get_text(path, "Name", "?"));
        cell_text(t, TERM_PLAIN, services);
        number_cell(t, json_get_number(path, "Weight"));
        number_cell(t, json_get_number(path, "Price"));
        (void)snprintf(text, sizeof text, "%s%s", words_latency(cpu, cpu_ms * 1e3),
                       json_get_bool(path, "Measured") ? "" : " assumed");
        cell_text(t, TERM_PLAIN, cpu_ms >= 0 ? text : "");
        cell_text(t, style_against_target(latency_usec, target_usec),
                  words_against_target(text, latency_usec, target_usec));
        cell_latency(t, TERM_PLAIN, path, "LatencyMarketUSec");
        return STATUS_FINE;
}

static int print_paths(const struct client *c, struct json_object *paths)
{
        struct table *t = table_new();
        bool has_assumed = false;

        if (!t)
                return out_of_memory();
        table_column(t, "PATH", TABLE_MAY_CUT, 0);
        table_column(t, "SERVICES", TABLE_MAY_CUT, 3);
        table_column(t, "WEIGHT", TABLE_RIGHT, 2);
        table_column(t, "PRICE", TABLE_RIGHT, 0);
        table_column(t, "CPU/REQUEST", TABLE_RIGHT, 0);
        table_column(t, "LATENCY", TABLE_RIGHT, 0);
        table_column(t, "UNPOOLED", TABLE_RIGHT, 1);
        for (size_t i = 0; i < json_length(paths); i++) {
                has_assumed |= !json_get_bool(json_at(paths, i), "Measured");
                if (add_row(t, json_at(paths, i)) != STATUS_FINE) {
                        table_free(t);
                        return STATUS_FAILED;
                }
        }
        int status = cells_print(t, c->has_legend);
        if (status != STATUS_FINE || !c->has_legend)
                return status;
        (void)printf("\n");
        term_say(stdout, TERM_DIM, 0, "PRICE: of one request more a second. LATENCY: modelled, of all services of "
                 "the path; UNPOOLED: the same if every service kept what it is entitled to.%s",
                 has_assumed ? " \"assumed\": not every service of it has reports that count "
                               "requests (coallocctl report-latency --requests=): 1ms for each that has none." : "");
        return STATUS_FINE;
}

static int print_prices(const struct client *c, sd_bus *bus, struct json_object *host, struct json_object *paths)
{
        if (c->has_legend) {
                if (head_tier(host))
                        head_price(host);
                (void)printf("\n");
        }
        if (json_length(paths) == 0)
                return head_no_coalitions(bus);
        return print_paths(c, paths);
}

static int print_json(struct json_object *host, struct json_object *paths)
{
        _cleanup_json_ struct json_object *top = fields_to_json(host_fields, N_FIELDS(host_fields), host);

        if (!top || !fields_add_list(top, "paths", path_fields, N_FIELDS(path_fields), paths))
                return out_of_memory();
        return json_print(top);
}

/* ---- for proxies ---------------------------------------------------------------------------------- */

/* May it stand in a header without quotes? RFC 9110, 5.6.2. */
static bool is_token(const char *name)
{
        return *name && !name[strspn(name, "!#$%&'*+-.^_`|~0123456789"
                                     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")];
}

static bool has_control(const char *name)
{
        for (; *name; name++)
                if ((unsigned char)*name < ' ' || *name == '\177')
                        return true;
        return false;
}

/* Return: -EBADMSG for what would be no header line, or one of the daemon's choosing. */
static int print_header(const char *name, double price)
{
        char text[PRICE_TEXT_MAX];

        if (isnan(price) || has_control(name))
                return -EBADMSG;
        /* %g leaves out zeros at the end: the shortest decimal with the same six digits. */
        (void)snprintf(text, sizeof text, "%.6g", price);
        (void)printf("X-Price-CPU: %s; path=", text);
        if (is_token(name)) {
                (void)printf("%s\n", name);
                return 0;
        }
        (void)putchar('"');
        for (; *name; name++)
                (void)printf(*name == '"' || *name == '\\' ? "\\%c" : "%c", *name);
        (void)printf("\"\n");
        return 0;
}

static int unknown_path(struct json_object *prices, const char *name)
{
        _cleanup_free_ const char **names = calloc((size_t)json_object_object_length(prices) + 1, sizeof *names);
        size_t n = 0;

        if (!names)
                return out_of_memory();
        json_object_object_foreach(prices, key, value) {
                (void)value;
                if (strncmp(key, PATH_PREFIX, strlen(PATH_PREFIX)) == 0)
                        names[n++] = key + strlen(PATH_PREFIX);
        }
        const char *near = nearest_name(name, names, n);
        if (near)
                complain("There is no path \"%s\"; did you mean \"%s\"?", name, near);
        else
                complain("There is no path \"%s\".", name);
        (void)fprintf(stderr, "`coallocctl prices` lists the paths.\n");
        return STATUS_FAILED;
}

/* Some paths, in the order of the arguments: all or, if one is unknown, none. */
static int print_some_headers(struct json_object *prices, char *names[], int n_names)
{
        int r = 0;

        for (int pass = 0; pass < 2; pass++)
                for (int i = 0; i < n_names && r >= 0; i++) {
                        _cleanup_free_ char *key = NULL;

                        if (asprintf(&key, PATH_PREFIX "%s", names[i]) < 0) {
                                key = NULL;
                                return out_of_memory();
                        }
                        if (pass == 0 && !json_get(prices, key))
                                return unknown_path(prices, names[i]);
                        if (pass == 1)
                                r = print_header(names[i], json_get_number(prices, key));
                }
        return r < 0 ? bus_bad_answer("GetPrices", r) : STATUS_FINE;
}

static int print_all_headers(struct json_object *prices)
{
        bool has_path = false;

        json_object_object_foreach(prices, key, price) {
                if (strncmp(key, PATH_PREFIX, strlen(PATH_PREFIX)) != 0)
                        continue;
                int r = print_header(key + strlen(PATH_PREFIX), json_number_of(price));
                if (r < 0)
                        return bus_bad_answer("GetPrices", r);
                has_path = true;
        }
        if (!has_path)
                remark("There is no path, so there is no price of one: Calls= and [Path] in coalloc.conf(5).");
        return STATUS_FINE;
}

int verb_prices(const struct client *c, char *args[], int n_args)
{
        _cleanup_json_ struct json_object *host = NULL, *paths = NULL, *prices = NULL;
        _cleanup_bus_ sd_bus *bus = NULL;

        if (n_args > 0 && !c->want_header) {
                complain("Paths are named with --header: coallocctl prices --header %s", args[0]);
                return STATUS_USAGE;
        }
        if (c->want_header && c->want_json) {
                complain("--header and --json exclude each other: header lines are text.");
                return STATUS_USAGE;
        }
        int status = bus_open(c, &bus);
        if (status != STATUS_FINE)
                return status;
        if (c->want_header) {
                status = bus_call_numbers(bus, &prices, "GetPrices");
                if (status != STATUS_FINE)
                        return status;
                return n_args > 0 ? print_some_headers(prices, args, n_args) : print_all_headers(prices);
        }
        status = bus_get_properties(bus, &host);
        if (status == STATUS_FINE)
                status = bus_call_list(bus, &paths, "ListPaths");
        if (status != STATUS_FINE)
                return status;
        return c->want_json ? print_json(host, paths) : print_prices(c, bus, host, paths);
}
