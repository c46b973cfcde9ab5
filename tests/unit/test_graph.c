/* SPDX-License-Identifier: MIT */

/* From a configuration and the units that play to paths and coalitions. */

#include "daemon/graph.h"

#include "lib/testing.h"

#include <stdlib.h>
#include <string.h>

#define N_MAX 4096

static struct config *config;
static struct graph *graph;
static struct graph_player players[N_MAX];
static char units[N_MAX][32];
static size_t n_players;

static void setup(void)
{
        graph = graph_new();
        ck_assert_ptr_nonnull(graph);
        config = NULL;
}

static void teardown(void)
{
        graph = graph_free(graph);
        config = config_free(config);
}

static void configure(const char *text)
{
        struct diagnostics diag = { 0 };
        char path[] = "/tmp/coalloc-test-XXXXXX";
        int fd = mkstemp(path);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
        config = config_free(config);
        ck_assert_int_eq(config_load_files((const char *[]){ path, NULL }, 4, &config, &diag), 0);
        unlink(path);
        diagnostics_done(&diag);
}

static int by_unit(const void *a, const void *b)
{
        return strcmp(((const struct graph_player *)a)->unit, ((const struct graph_player *)b)->unit);
}

static void add_player(const char *unit)
{
        ssize_t service = config_match_service(config, unit);

        ck_assert_int_ge(service, 0);
        snprintf(units[n_players], sizeof units[n_players], "%s", unit);
        players[n_players] = (struct graph_player){ units[n_players], &config->services[service] };
        n_players++;
}

/* The units that play, without ".slice": "cart web". */
static int update(const char *names)
{
        char text[1024], unit[32], *save, *name;

        n_players = 0;
        snprintf(text, sizeof text, "%s", names);
        for (name = strtok_r(text, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
                snprintf(unit, sizeof unit, "%s.slice", name);
                add_player(unit);
        }
        qsort(players, n_players, sizeof *players, by_unit);
        return graph_update(graph, config, players, n_players);
}

static void write_members(char *to, size_t room, const size_t members[], size_t n)
{
        for (size_t k = 0; k < n; k++) {
                const char *unit = players[members[k]].unit;

                snprintf(to + strlen(to), room - strlen(to), "%s%.*s", k > 0 ? " " : "",
                         (int)(strlen(unit) - strlen(".slice")), unit);
        }
}

/* "checkout: web cart; ..." */
static const char *paths(void)
{
        static char text[4096];
        const struct epoch_graph *g = graph_epoch(graph);

        text[0] = '\0';
        for (size_t p = 0; g && p < g->paths.n_paths; p++) {
                snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s: ", p > 0 ? "; " : "",
                         graph_path_names(graph)[p]);
                write_members(text, sizeof text, g->paths.members + g->paths.first[p],
                              g->paths.first[p + 1] - g->paths.first[p]);
        }
        return text;
}

/* "cart db web; ..." */
static const char *coalitions(void)
{
        static char text[4096];
        const struct epoch_graph *g = graph_epoch(graph);

        text[0] = '\0';
        for (size_t c = 0; g && c < g->n_coalitions; c++) {
                if (c > 0)
                        strcat(text, "; ");
                write_members(text, sizeof text, g->members + g->coalitions[c].first, g->coalitions[c].n);
        }
        return text;
}

/* "web>cart 2, ..." */
static const char *calls(void)
{
        static char text[4096];
        size_t n;
        const struct call *call = graph_calls(graph, &n);

        text[0] = '\0';
        for (size_t k = 0; k < n; k++) {
                if (k > 0)
                        strcat(text, ", ");
                write_members(text, sizeof text, &call[k].caller, 1);
                strcat(text, ">");
                write_members(text, sizeof text, &call[k].callee, 1);
                snprintf(text + strlen(text), sizeof text - strlen(text), " %g", call[k].weight);
        }
        return text;
}

#define SHOP                                                                                       \
        "[Service web]\nUnit=web.slice\nCalls=cart search\n"                                       \
        "[Service cart]\nUnit=cart.slice\nCalls=db\n"                                              \
        "[Service search]\nUnit=search.slice\nCalls=index\n"                                       \
        "[Service db]\nUnit=db.slice\n"                                                            \
        "[Service index]\nUnit=index.slice\n"                                                      \
        "[Service batch]\nUnit=batch.slice\n"

START_TEST(paths_follow_from_calls)
{
        configure(SHOP);
        ck_assert_int_eq(update("web cart search db index batch"), 1);
        ck_assert_str_eq(paths(), "web: web cart db search index");
        ck_assert_str_eq(coalitions(), "cart db index search web");
        ck_assert_str_eq(calls(), "cart>db 1, search>index 1, web>cart 1, web>search 1");
}
END_TEST

START_TEST(declared_paths_take_their_place)
{
        configure(SHOP "[Path checkout]\nServices=web cart db\nWeight=2\nLatencyTargetSec=200ms\n"
                       "[Path find]\nServices=web search\n");
        ck_assert_int_eq(update("web cart search db index batch"), 1);
        ck_assert_str_eq(paths(), "checkout: web cart db; find: web search");
        ck_assert_str_eq(coalitions(), "cart db search web");
        ck_assert_str_eq(calls(), "cart>db 2, web>cart 2, web>search 1");
        ck_assert_double_eq(graph_epoch(graph)->path[0].weight, 2);
        ck_assert_double_eq(graph_epoch(graph)->path[0].target_ms, 200);
        ck_assert_double_eq(graph_epoch(graph)->path[1].target_ms, 0);
}
END_TEST

START_TEST(a_service_that_a_path_names_twice_is_on_it_once)
{
        configure(SHOP "[Path there-and-back]\nServices=web cart web\n");
        ck_assert_int_eq(update("web cart"), 1);
        ck_assert_str_eq(paths(), "there-and-back: web cart");
        ck_assert_str_eq(calls(), "cart>web 1, web>cart 1");
}
END_TEST

START_TEST(a_path_goes_on_without_a_service_that_stopped)
{
        configure(SHOP);
        ck_assert_int_eq(update("web search db index batch"), 1);
        ck_assert_str_eq(paths(), "web: web db search index");
        ck_assert_str_eq(coalitions(), "db index search web");
        ck_assert_str_eq(calls(), "search>index 1, web>db 1, web>search 1");

        /* Where it started: the first that is left takes its calls. */
        ck_assert_int_eq(update("cart search db index"), 1);
        ck_assert_str_eq(paths(), "web: cart db search index");
        ck_assert_str_eq(calls(), "cart>db 1, cart>search 1, search>index 1");

        configure(SHOP "[Path checkout]\nServices=web cart db\n");
        ck_assert_int_eq(update("web db"), 1);
        ck_assert_str_eq(coalitions(), "db web");
        ck_assert_int_eq(update("db"), 1);
        ck_assert_str_eq(paths(), "checkout: db");
        ck_assert_str_eq(coalitions(), "");
        ck_assert_int_eq(update("batch"), 1);
        ck_assert_ptr_null(graph_epoch(graph));
}
END_TEST

START_TEST(without_calls_and_paths_there_is_no_graph)
{
        configure("[Service a]\nUnit=a.slice\n[Service b]\nUnit=b.slice\n");
        ck_assert_int_eq(update("a b"), 1);
        ck_assert_ptr_null(graph_epoch(graph));
        ck_assert_int_eq(update("a b"), 0);
        ck_assert_int_eq(update(""), 1);
        ck_assert_ptr_null(graph_epoch(graph));
}
END_TEST

START_TEST(coalitions_of_one_are_none_but_paths_stay)
{
        configure("[Manager]\nMaxCoalitionSize=1\n" SHOP);
        ck_assert_int_eq(update("web cart db"), 1);
        ck_assert_str_eq(paths(), "web: web cart db");
        ck_assert_str_eq(coalitions(), "");
        ck_assert_int_eq(update("web cart db"), 0);
}
END_TEST

START_TEST(what_is_larger_than_allowed_is_cut_where_calls_weigh_least)
{
        configure("[Manager]\nMaxCoalitionSize=2\n" SHOP
                  "[Path a]\nServices=web cart\nWeight=5\n"
                  "[Path b]\nServices=cart db\n"
                  "[Path c]\nServices=db index\nWeight=3\n");
        ck_assert_int_eq(update("web cart db index"), 1);
        ck_assert_str_eq(coalitions(), "cart web; db index");
}
END_TEST

#define TENANTS                                                                                    \
        "[Service proxy]\nUnit=proxy.slice\nCalls=web\n"                                           \
        "[Service web]\nUnit=web_*.slice\nCalls=db\n"                                              \
        "[Service db]\nUnit=db_*.slice\nCalls=store\n"                                             \
        "[Service store]\nUnit=store.slice\n"

START_TEST(each_star_text_is_a_path_of_its_own)
{
        configure(TENANTS "[Path checkout]\nServices=proxy web db store\n");
        ck_assert_int_eq(update("proxy web_acme db_acme web_globex db_globex store"), 1);
        ck_assert_str_eq(paths(), "checkout@acme: proxy web_acme db_acme store; "
                                  "checkout@globex: proxy web_globex db_globex store");
        ck_assert_str_eq(coalitions(), "db_acme db_globex proxy store web_acme web_globex");
        ck_assert_str_eq(calls(), "db_acme>store 1, db_globex>store 1, proxy>web_acme 1, "
                                  "proxy>web_globex 1, web_acme>db_acme 1, web_globex>db_globex 1");
}
END_TEST

START_TEST(patterns_call_their_equals_only)
{
        configure("[Service web]\nUnit=web_*.slice\nCalls=db\n[Service db]\nUnit=db_*.slice\n");
        ck_assert_int_eq(update("web_a db_a web_b db_b web_c"), 1);
        ck_assert_str_eq(paths(), "web@a: web_a db_a; web@b: web_b db_b; web@c: web_c");
        ck_assert_str_eq(coalitions(), "db_a web_a; db_b web_b");
}
END_TEST

START_TEST(a_tenant_without_one_of_the_services_has_its_path_all_the_same)
{
        configure(TENANTS "[Path checkout]\nServices=proxy web db store\n");
        ck_assert_int_eq(update("proxy web_a db_b store"), 1);
        ck_assert_str_eq(paths(), "checkout@a: proxy web_a store; checkout@b: proxy db_b store");
}
END_TEST

START_TEST(a_path_of_tenants_is_none_while_there_is_no_tenant)
{
        configure(TENANTS "[Path checkout]\nServices=proxy web db store\n");
        ck_assert_int_eq(update("proxy store"), 1);
        ck_assert_ptr_null(graph_epoch(graph));
}
END_TEST

START_TEST(the_star_text_is_all_between_the_first_and_the_last_wildcard)
{
        configure("[Service web]\nUnit=web_?-*.slice\nCalls=db\n[Service db]\nUnit=db_*-[a-z]*.slice\n");
        ck_assert_int_eq(update("web_1-acme db_1-acme db_2-acme"), 1);
        ck_assert_str_eq(paths(), "web@1-acme: web_1-acme db_1-acme; web@2-acme: db_2-acme");
}
END_TEST

START_TEST(nothing_is_built_anew_while_nothing_changes)
{
        configure(SHOP);
        ck_assert_int_eq(update("web cart"), 1);
        graph_epoch(graph)->path[0].price = 7;
        ck_assert_int_eq(update("web cart"), 0);
        ck_assert_double_eq(graph_epoch(graph)->path[0].price, 7);
        /* The same text once more, as after a reload that changed nothing. */
        configure(SHOP);
        ck_assert_int_eq(update("web cart"), 0);
        ck_assert_int_eq(update("web cart db"), 1);
        configure(SHOP "[Path checkout]\nServices=web cart db\n");
        ck_assert_int_eq(update("web cart db"), 1);
        configure(SHOP "[Path checkout]\nServices=web cart db\nWeight=2\n");
        ck_assert_int_eq(update("web cart db"), 1);
        configure("[Manager]\nMaxCoalitionSize=2\n" SHOP "[Path checkout]\nServices=web cart db\nWeight=2\n");
        ck_assert_int_eq(update("web cart db"), 1);
}
END_TEST

#define TWO                                                                                        \
        "[Service a]\nUnit=a.slice\nCalls=b\n[Service b]\nUnit=b.slice\n"                          \
        "[Service c]\nUnit=c.slice\nCalls=d\n[Service d]\nUnit=d.slice\nCalls=e\n"                 \
        "[Service e]\nUnit=e.slice\n"

START_TEST(what_was_found_out_stays_with_a_coalition_whose_members_stay)
{
        struct epoch_graph *g;
        uint64_t id;

        configure(TWO);
        ck_assert_int_eq(update("a b c d"), 1);
        g = graph_epoch(graph);
        ck_assert_str_eq(coalitions(), "a b; c d");
        id = g->coalitions[1].id;
        ck_assert_uint_ne(id, g->coalitions[0].id);
        for (size_t c = 0; c < 2; c++) {
                g->coalitions[c].value.epoch = 10 + c;
                g->coalitions[c].value.worth = 3;
                g->coalitions[c].valued_active = 3;
        }
        /* a leaves: the other coalition is the first now. */
        ck_assert_int_eq(update("b c d"), 1);
        g = graph_epoch(graph);
        ck_assert_str_eq(coalitions(), "c d");
        ck_assert_uint_eq(g->coalitions[0].id, id);
        ck_assert_uint_eq(g->coalitions[0].value.epoch, 11);
        ck_assert_uint_eq(g->coalitions[0].valued_active, 3);
        /* e joins: nothing is known of the three. */
        ck_assert_int_eq(update("b c d e"), 1);
        g = graph_epoch(graph);
        ck_assert_str_eq(coalitions(), "c d e");
        ck_assert_uint_ne(g->coalitions[0].id, id);
        ck_assert_uint_eq(g->coalitions[0].value.epoch, 0);
        ck_assert_uint_eq(g->coalitions[0].valued_active, 0);
}
END_TEST

/* Two chains of 16, each a search of 20 ms: one an epoch. Until then the heuristic's cut. */
START_TEST(one_large_search_is_made_an_epoch)
{
        char text[8192] = "[Manager]\nMaxCoalitionSize=8\n", names[1024] = "";
        int n_updates = 0;

        for (int chain = 0; chain < 2; chain++)
                for (int i = 0; i < 16; i++) {
                        snprintf(text + strlen(text), sizeof text - strlen(text),
                                 "[Service s%d-%02d]\nUnit=s%d_%02d.slice\n", chain, i, chain, i);
                        if (i < 15)
                                snprintf(text + strlen(text), sizeof text - strlen(text),
                                         "Calls=s%d-%02d\n", chain, i + 1);
                        snprintf(names + strlen(names), sizeof names - strlen(names), "s%d_%02d ", chain, i);
                }
        configure(text);
        ck_assert_int_eq(update(names), 1);
        ck_assert_uint_eq(graph_epoch(graph)->n_coalitions, 4);
        graph_epoch(graph)->coalitions[0].value.epoch = 5;
        while (update(names) == 1)
                n_updates++;
        ck_assert_int_eq(n_updates, 1);
        ck_assert_uint_eq(graph_epoch(graph)->n_coalitions, 4);
        ck_assert_uint_eq(graph_epoch(graph)->coalitions[0].value.epoch, 5);
        for (size_t c = 0; c < 4; c++)
                ck_assert_uint_eq(graph_epoch(graph)->coalitions[c].n, 8);
}
END_TEST

/* 3,000 tenants on each of 40 paths through eight services: more than is looked at. */
START_TEST(where_paths_are_too_many_the_first_ones_count)
{
        char text[8192] = "", unit[32];
        const struct epoch_graph *g;
        size_t n_members;

        for (int s = 0; s < 8; s++)
                snprintf(text + strlen(text), sizeof text - strlen(text), "[Service s%d]\nUnit=s%d.slice\n", s, s);
        strcat(text, "[Service tenant]\nUnit=t_*.slice\n");
        for (int p = 0; p < 40; p++)
                snprintf(text + strlen(text), sizeof text - strlen(text),
                         "[Path p%d]\nServices=tenant s0 s1 s2 s3 s4 s5 s6 s7\n", p);
        configure(text);
        n_players = 0;
        for (int s = 0; s < 8; s++) {
                snprintf(unit, sizeof unit, "s%d.slice", s);
                add_player(unit);
        }
        for (int t = 0; t < 3000; t++) {
                snprintf(unit, sizeof unit, "t_%04d.slice", t);
                add_player(unit);
        }
        ck_assert_int_eq(graph_update(graph, config, players, n_players), 1);
        g = graph_epoch(graph);
        n_members = g->paths.first[g->paths.n_paths];
        ck_assert_uint_le(n_members, GRAPH_MEMBERSHIPS_MAX(n_players));
        ck_assert_uint_gt(n_members + 9, GRAPH_MEMBERSHIPS_MAX(n_players));
        ck_assert_str_eq(graph_path_names(graph)[0], "p0@0000");
        ck_assert_int_eq(graph_update(graph, config, players, n_players), 0);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("graph");
        TCase *t = tcase_create("graph");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, paths_follow_from_calls);
        tcase_add_test(t, declared_paths_take_their_place);
        tcase_add_test(t, a_service_that_a_path_names_twice_is_on_it_once);
        tcase_add_test(t, a_path_goes_on_without_a_service_that_stopped);
        tcase_add_test(t, without_calls_and_paths_there_is_no_graph);
        tcase_add_test(t, coalitions_of_one_are_none_but_paths_stay);
        tcase_add_test(t, what_is_larger_than_allowed_is_cut_where_calls_weigh_least);
        tcase_add_test(t, each_star_text_is_a_path_of_its_own);
        tcase_add_test(t, patterns_call_their_equals_only);
        tcase_add_test(t, a_tenant_without_one_of_the_services_has_its_path_all_the_same);
        tcase_add_test(t, a_path_of_tenants_is_none_while_there_is_no_tenant);
        tcase_add_test(t, the_star_text_is_all_between_the_first_and_the_last_wildcard);
        tcase_add_test(t, nothing_is_built_anew_while_nothing_changes);
        tcase_add_test(t, what_was_found_out_stays_with_a_coalition_whose_members_stay);
        tcase_add_test(t, one_large_search_is_made_an_epoch);
        tcase_add_test(t, where_paths_are_too_many_the_first_ones_count);
        suite_add_tcase(s, t);
        return testing_run(s);
}
