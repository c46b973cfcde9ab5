/* SPDX-License-Identifier: MIT */

/* plan: the allocator as a function. With --samples it decides here, by the same epoch_decide() that
 * the daemon calls; without, it asks the daemon what it decided last. */

#include "client/bus.h"
#include "client/cells.h"
#include "client/client.h"
#include "client/json.h"
#include "client/plan_graph.h"
#include "client/table.h"
#include "client/words.h"
#include "core/epoch.h"
#include "platform/config_file.h"
#include "platform/plan_json.h"
#include "util/cleanup.h"
#include "util/read_all.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A million services take a tenth of this. */
#define SAMPLES_SIZE_MAX ((size_t)512 << 20)
/* EpochSec= where there is no configuration. */
#define EPOCH_SEC_DEFAULT 15
#define USEC_PER_MSEC 1e3

static void request_free_p(struct plan_request **request)
{
        plan_request_free(*request);
}

/* ---- input --------------------------------------------------------------------------------------- */

static int read_samples(const char *path, char **ret, size_t *ret_size)
{
        _cleanup_close_ int opened = -1;
        int fd = STDIN_FILENO;

        if (strcmp(path, "-") != 0) {
                fd = opened = open(path, O_RDONLY | O_CLOEXEC);
                if (fd < 0)
                        return -errno;
        }
        return read_all(fd, SAMPLES_SIZE_MAX, ret, ret_size);
}

/* ---- configuration ------------------------------------------------------------------------------- */

/* An amount against the capacity in question, which may be another host's. */
static double amount_milli(const struct config_cpu *cpu, double capacity_milli)
{
        if (cpu->amount.is_of_host)
                return capacity_milli * (double)cpu->amount.micro / 1e6;
        return (double)cpu->amount.micro / USEC_PER_MILLI;
}

static void fill(double *slot, double fallback)
{
        if (isnan(*slot))
                *slot = fallback;
}

/* What only a configuration can say. */
struct background {
        double headroom_milli;
        double epoch_sec;
        struct call *calls;             /* Calls=, where nobody says paths */
        size_t n_calls;
};

static void background_done(struct background *b)
{
        free(b->calls);
}

/* Services of the configuration that the samples do not have. */
#define NOT_SAMPLED SIZE_MAX

static void fill_service(const struct config_service *said, double capacity_milli, struct plan_service *s)
{
        fill(&s->floor_milli, amount_milli(&said->floor, capacity_milli));
        fill(&s->baseline_milli, amount_milli(&said->baseline, capacity_milli));
        if (said->max.is_set)
                fill(&s->max_milli, amount_milli(&said->max, capacity_milli));
        fill(&s->weight, said->weight);
        if (said->latency_target_usec > 0)
                fill(&s->latency_target_ms, (double)said->latency_target_usec / USEC_PER_MSEC);
}

/* The configuration's paths, as far as they lead through services of the samples.
 * @sample_of: index of each configured service, or NOT_SAMPLED */
static int take_paths(const struct config *config, const size_t sample_of[],
                      struct plan_request *request)
{
        _cleanup_free_ size_t *services = calloc(config->n_services + 1, sizeof *services);

        if (!services)
                return -ENOMEM;
        for (size_t p = 0; p < config->n_paths; p++) {
                const struct config_path *path = &config->paths[p];
                size_t n = 0;

                for (char **name = path->services; name && *name && n < config->n_services; name++) {
                        ssize_t i = config_find_service(config, *name);
                        if (i >= 0 && sample_of[i] != NOT_SAMPLED)
                                services[n++] = sample_of[i];
                }
                if (n == 0)
                        continue;
                double target_ms = path->latency_target_usec > 0 ?
                                   (double)path->latency_target_usec / USEC_PER_MSEC : NAN;
                int r = plan_request_add_path(request, path->name, services, n, path->weight, target_ms);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Calls= among services of the samples. */
static int take_calls(const struct config *config, const size_t sample_of[], struct background *b)
{
        size_t n_max = 0;

        for (size_t i = 0; i < config->n_services; i++)
                for (char **name = config->services[i].calls; name && *name; name++)
                        n_max++;
        b->calls = calloc(n_max + 1, sizeof *b->calls);
        if (!b->calls)
                return -ENOMEM;
        for (size_t i = 0; i < config->n_services; i++)
                for (char **name = config->services[i].calls; name && *name; name++) {
                        ssize_t callee = config_find_service(config, *name);

                        if (callee >= 0 && sample_of[i] != NOT_SAMPLED &&
                            sample_of[callee] != NOT_SAMPLED && (size_t)callee != i)
                                b->calls[b->n_calls++] = (struct call) {
                                        .caller = sample_of[i], .callee = sample_of[callee], .weight = 1,
                                };
                }
        return 0;
}

/* What the samples do not say is taken from the configuration, its defaults included: the question is
 * then what a daemon with this configuration would decide. */
static int fill_from_config(const struct config *config, double capacity_of_host_milli,
                            struct plan_request *request, struct background *b)
{
        _cleanup_free_ size_t *sample_of = calloc(config->n_services + 1, sizeof *sample_of);

        if (!sample_of)
                return -ENOMEM;
        fill(&request->capacity_milli, config->capacity.is_set ?
                                       amount_milli(&config->capacity, capacity_of_host_milli) :
                                       capacity_of_host_milli);
        double capacity_milli = request->capacity_milli;

        fill(&request->reserve_milli, amount_milli(&config->reserve, capacity_milli));
        fill(&request->spare, config->spare);
        if (request->overload_rule < 0)
                request->overload_rule = (int)config->overload;
        if (request->enforce < 0)
                request->enforce = (int)config->enforce;
        fill(&request->max_coalition_size, config->max_coalition_size);
        fill(&request->sensitivity_per_ms, config->sensitivity_per_ms);
        fill(&request->epsilon, config->epsilon);
        fill(&request->max_iterations, config->max_iterations);
        b->headroom_milli = amount_milli(&config->headroom, capacity_milli);
        b->epoch_sec = (double)config->epoch_usec / (double)USEC_PER_SEC;

        for (size_t i = 0; i < config->n_services; i++)
                sample_of[i] = NOT_SAMPLED;
        for (size_t i = 0; i < request->n_services; i++) {
                ssize_t i_config = config_find_service(config, request->services[i].name);
                if (i_config < 0)
                        continue;
                sample_of[i_config] = i;
                fill_service(&config->services[i_config], capacity_milli, &request->services[i]);
        }
        if (request->paths)
                return 0;
        return config->n_paths > 0 ? take_paths(config, sample_of, request) :
                                     take_calls(config, sample_of, b);
}

static int defaults_from_config(const char *path, struct plan_request *request, struct background *b)
{
        _cleanup_diagnostics_ struct diagnostics findings = { 0 };
        _cleanup_config_ struct config *config = NULL;
        const char *const files[] = { path, NULL };
        long n_online = sysconf(_SC_NPROCESSORS_ONLN);
        unsigned n_cpus = n_online > 0 ? (unsigned)n_online : 1;

        if (!isnan(request->capacity_milli))
                n_cpus = (unsigned)fmax(1, ceil(request->capacity_milli / MILLI_PER_CPU));
        int r = config_load_files(files, n_cpus, &config, &findings);
        diagnostics_print(&findings, stderr);
        if (r >= 0)
                r = fill_from_config(config, (double)n_cpus * MILLI_PER_CPU, request, b);
        if (r == -ENOMEM)
                return out_of_memory();
        if (r < 0) {
                complain("The configuration %s cannot be used, see above.", path);
                return STATUS_FAILED;
        }
        return STATUS_FINE;
}

/* ---- decision ------------------------------------------------------------------------------------ */

/* @graph: NULL if nobody is on a path */
static void services_from_request(const struct plan_request *request, const struct plan_graph *graph,
                                  struct epoch_service services[])
{
        bool has_previous = false;

        for (size_t i = 0; i < request->n_services; i++)
                has_previous |= !isnan(request->services[i].quota_milli);
        for (size_t i = 0; i < request->n_services; i++) {
                const struct plan_service *s = &request->services[i];

                services[i] = (struct epoch_service) {
                        .floor_milli = s->floor_milli,
                        .baseline_milli = s->baseline_milli,
                        .max_milli = s->max_milli,
                        .bound_milli = INFINITY,
                        .weight = s->weight,
                        .target_ms = isnan(s->latency_target_ms) ? 0 : s->latency_target_ms,
                        .need_milli = s->need_milli,
                        .load_milli = s->load_milli,
                        .is_known = true,
                        .credit = s->credit,
                };
                if (plan_service_is_measured(s)) {
                        services[i].latency_ms = s->latency_ms;
                        services[i].latency_at_milli = s->quota_milli;
                }
                for (size_t age = 0; age < EPOCH_RECENT; age++)
                        services[i].recent_milli[age] = -1;
                /* Part of a previous allocation makes one: who is not named in it held nothing. */
                if (has_previous)
                        services[i].recent_milli[0] =
                                isnan(s->quota_milli) ? 0 : (int64_t)floor(s->quota_milli);
        }
        if (graph)
                epoch_read_waits(services, request->n_services, graph->waits, graph->n_waits);
}

/* Everybody is known and nothing is frozen: all members take part, so that their values stand in their
 * order. */
static struct plan_answer_coalition coalition_for_answer(const struct epoch_graph *graph,
                                                         const struct epoch_coalition *k)
{
        return (struct plan_answer_coalition) {
                .members = &graph->members[k->first],
                .n_members = k->n,
                .is_formed = k->is_formed,
                .price = k->is_formed ? k->plan.price : NAN,
                .is_valued = k->value.epoch > 0,
                .worth = k->value.worth,
                .is_stable = k->value.is_stable,
                .max_excess = k->value.max_excess,
                .blocking = k->value.blocking,
                .shapley = k->value.shapley,
                .imputation = k->value.imputation,
        };
}

static struct plan_answer_service service_for_answer(const struct plan_request *request,
                                                     const struct epoch_graph *graph, size_t i,
                                                     const struct epoch_decision *d)
{
        const struct plan_service *s = &request->services[i];
        struct plan_answer_service answer = {
                .name = s->name,
                .market_milli = d->market_milli,
                .alloc_milli = d->alloc_milli,
                .quota_milli = d->quota_milli,
                .cpu_weight = d->cpu_weight,
                .is_satisfied = d->is_satisfied,
                .credit = d->credit,
                .latency_target_ms = d->target_ms,
        };

        if (d->coalition != EPOCH_NO_COALITION)
                answer.coalition =
                        request->services[graph->members[graph->coalitions[d->coalition].first]].name;
        if (plan_service_is_measured(s))
                answer.latency_model_ms = latency_ms(&d->latency, (double)d->alloc_milli);
        return answer;
}

static int answer_text(const struct plan_request *request, const struct epoch_graph *graph,
                       const struct epoch_decision decisions[], const struct epoch_outcome *outcome,
                       char **ret)
{
        size_t n = request->n_services, n_coalitions = graph ? graph->n_coalitions : 0;
        _cleanup_free_ struct plan_answer_service *services = calloc(n + 1, sizeof *services);
        _cleanup_free_ const char **names = calloc(n + 1, sizeof *names);
        _cleanup_free_ struct plan_answer_coalition *coalitions = calloc(n_coalitions + 1, sizeof *coalitions);

        if (!services || !names || !coalitions)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                names[i] = request->services[i].name;
                services[i] = service_for_answer(request, graph, i, &decisions[i]);
        }
        for (size_t k = 0; k < n_coalitions; k++)
                coalitions[k] = coalition_for_answer(graph, &graph->coalitions[k]);
        struct plan_answer answer = {
                .tier = outcome->market.tier,
                .scarcity = outcome->market.scarcity,
                .shadow_price = outcome->market.shadow_price,
                .services = services,
                .n_services = n,
                .coalitions = coalitions,
                .n_coalitions = n_coalitions,
                .names = names,
                .v_before = outcome->gate.v_before,
                .v_after = outcome->gate.v_after,
                .step = outcome->gate.step,
                .verdict = outcome->gate.verdict,
        };
        return plan_answer_format(&answer, ret);
}

/* Return: 0; 1 if there was no result within max_iterations; negative errno of epoch_decide(). */
static int decide(const struct plan_request *request, const struct background *b, char **ret)
{
        size_t n = request->n_services;
        unsigned n_members_max = (unsigned)request->max_coalition_size;
        _cleanup_plan_graph_ struct plan_graph *graph = NULL;
        _cleanup_free_ struct epoch_service *services = calloc(n + 1, sizeof *services);
        _cleanup_free_ struct epoch_decision *decisions = calloc(n + 1, sizeof *decisions);
        _cleanup_free_ void *buffer = malloc(epoch_workspace_size(n, 1, n_members_max) + 1);
        /* One slice holds them all: what weights among different slices come to, only a host shows. */
        const struct enforce_group root = { .parent = ENFORCE_NO_GROUP,
                                            .prior_weight = CPU_WEIGHT_DEFAULT };
        struct gate_record record;
        struct epoch_state state;
        struct epoch_workspace workspace;
        struct epoch_outcome outcome;
        unsigned group_weight;
        int r;

        if (!services || !decisions || !buffer)
                return -ENOMEM;

        if (request->n_paths > 0 || b->n_calls > 0) {
                r = plan_graph_new(request, b->calls, b->n_calls, &graph);
                if (r < 0)
                        return r;
                if (graph->is_cut_short)
                        remark("warning: more paths follow from Calls= than are looked at; name those that "
                               "matter in [Path] sections");
        }
        services_from_request(request, graph, services);
        struct epoch_rules rules = {
                .capacity_milli = request->capacity_milli,
                .reserve_milli = request->reserve_milli,
                .headroom_milli = b->headroom_milli,
                .spare = request->spare,
                .overload = (enum overload_rule)request->overload_rule,
                .enforce = (enum enforce)request->enforce,
                .sensitivity_per_ms = request->sensitivity_per_ms,
                .epsilon = request->epsilon,
                .max_iterations = (unsigned)request->max_iterations,
                .epoch_sec = b->epoch_sec,
        };
        epoch_state_init(&state, &record, 1);
        epoch_workspace_init(&workspace, buffer, n, 1, n_members_max);
        r = epoch_decide(&state, &rules, services, n, graph ? &graph->epoch : NULL, &root, 1, &workspace,
                         decisions, &group_weight, &outcome);
        if (r != 0)
                return r;
        return answer_text(request, graph ? &graph->epoch : NULL, decisions, &outcome, ret);
}

static int plan_samples(const struct client *c, struct json_object **ret)
{
        const char *file = strcmp(c->samples_path, "-") == 0 ? "<stdin>" : c->samples_path;
        _cleanup_free_ char *text = NULL, *problem = NULL, *answer = NULL;
        _cleanup_(plan_warnings_done) struct plan_warnings warnings = { 0 };
        _cleanup_(request_free_p) struct plan_request *request = NULL;
        _cleanup_(background_done) struct background background = { .epoch_sec = EPOCH_SEC_DEFAULT };
        size_t size = 0;
        int r;

        r = read_samples(c->samples_path, &text, &size);
        if (r < 0) {
                complain("%s: could not be read: %s", file, strerror(-r));
                return STATUS_FAILED;
        }
        r = plan_request_parse(text, size, &request, &problem, &warnings);
        for (size_t i = 0; i < warnings.n_found && i < PLAN_WARNINGS_MAX; i++)
                remark("%s: warning: %s", file, warnings.texts[i] ? warnings.texts[i] : "?");
        if (warnings.n_found > PLAN_WARNINGS_MAX)
                remark("%s: warning: and %zu more", file, warnings.n_found - PLAN_WARNINGS_MAX);
        if (r >= 0 && c->config_path) {
                int status = defaults_from_config(c->config_path, request, &background);
                if (status != STATUS_FINE)
                        return status;
        }
        if (r >= 0)
                r = plan_request_complete(request, &problem);
        if (r >= 0)
                r = decide(request, &background, &answer);
        if (r == -ENOMEM)
                return out_of_memory();
        if (r == -ENOSPC) {
                complain("%s: enforce: quotas are whole percents, and %zu service%s more than there are "
                         "percents to give; raise capacity_milli, or use \"both\" or \"weight\".",
                         file, request->n_services, request->n_services == 1 ? " is" : "s are");
                return STATUS_FAILED;
        }
        if (r > 0) {
                complain("%s: no bargain was found within max_iterations (%.0f); allow more.", file,
                         request->max_iterations);
                return STATUS_FAILED;
        }
        if (r < 0) {
                complain("%s: %s", file, problem ? problem : strerror(-r));
                return STATUS_FAILED;
        }
        *ret = json_tokener_parse(answer);
        return *ret ? STATUS_FINE : out_of_memory();
}

static int plan_daemon(const struct client *c, struct json_object **ret)
{
        _cleanup_bus_ sd_bus *bus = NULL;

        if (c->config_path) {
                complain("--config needs --samples: a running coallocd has a configuration of its own.");
                return STATUS_USAGE;
        }
        int status = bus_open(c, &bus);
        return status != STATUS_FINE ? status : bus_call_json(bus, ret, "Plan", "");
}

/* ---- output -------------------------------------------------------------------------------------- */

static void cpu_cell(struct table *t, struct json_object *o, const char *key, const char *none)
{
        double milli = json_get_number(o, key);
        char text[FORMAT_MAX];

        table_cell(t, TERM_PLAIN, isnan(milli) ? none : words_cpu(text, milli));
}

static void print_head(struct json_object *answer)
{
        const char *tier = json_get_text(answer, "tier", "unknown");
        struct json_object *gate = json_get(answer, "gate");
        double price = json_get_number(answer, "shadow_price"), before = json_get_number(gate, "v_before");
        const char *verdict = json_get_text(gate, "verdict", "");
        char text[FORMAT_MAX];

        (void)printf(" Tier: %s%s%s; ", term_on(stdout, TERM_BOLD), tier, term_off(stdout));
        (void)printf("scarcity %s, ", words_number(text, json_get_number(answer, "scarcity")));
        (void)printf("price %s per milli-CPU\n", isnan(price) ? "infinite" : words_number(text, price));
        (void)printf("       ");
        term_wrap(stdout, words_tier(tier), term_width(), 7, 7);
        (void)printf(" Gate: %s: %s", verdict, words_verdict(verdict));
        if (!isnan(before)) {
                (void)printf("; V %s", words_number(text, before));
                (void)printf(" -> %s", words_number(text, json_get_number(gate, "v_after")));
        }
        (void)printf("\n\n");
}

/* Columns that are there only where somebody has something to put in. */
struct extras {
        bool has_coalition, has_credit, has_latency;
};

static struct extras find_extras(struct json_object *services)
{
        struct extras found = { 0 };

        for (size_t i = 0; i < json_length(services); i++) {
                struct json_object *s = json_at(services, i);

                found.has_coalition |= json_get(s, "coalition") != NULL;
                found.has_credit |= json_get_number(s, "credit") != 0;
                found.has_latency |= json_get(s, "latency_model_ms") != NULL;
        }
        return found;
}

static uint64_t usec_of(struct json_object *s, const char *key, uint64_t none)
{
        double ms = json_get_number(s, key);

        return isnan(ms) ? none : (uint64_t)llround(ms * USEC_PER_MSEC);
}

static void latency_cell(struct table *t, struct json_object *s)
{
        uint64_t latency_usec = usec_of(s, "latency_model_ms", NONE);
        uint64_t target_usec = usec_of(s, "latency_target_ms", 0);
        char text[2 * FORMAT_MAX];

        cell_text(t, style_against_target(latency_usec, target_usec),
                  words_against_target(text, latency_usec, target_usec));
}

static void service_row(struct table *t, struct json_object *s, const struct extras *extras)
{
        double weight = json_get_number(s, "cpu_weight");
        bool is_satisfied = json_get_bool(s, "satisfied");
        char text[FORMAT_MAX];

        table_row(t);
        table_cell(t, TERM_PLAIN, json_get_text(s, "name", "?"));
        if (extras->has_coalition)
                cell_text(t, TERM_PLAIN, json_get_text(s, "coalition", ""));
        cpu_cell(t, s, "market_milli", "-");
        cpu_cell(t, s, "alloc_milli", "-");
        cpu_cell(t, s, "quota_milli", "none");
        if (!isnan(weight))
                (void)snprintf(text, sizeof text, "%.0f", weight);
        table_cell(t, TERM_PLAIN, isnan(weight) ? "-" : text);
        if (extras->has_latency)
                latency_cell(t, s);
        /* One epoch moves a credit by less than words_credit() shows. */
        if (extras->has_credit)
                table_cell(t, TERM_PLAIN, words_number(text, json_get_number(s, "credit")));
        table_cell(t, is_satisfied ? TERM_PLAIN : TERM_WARN, is_satisfied ? "yes" : "no");
}

/* What a coalition comes to, in a sentence or two. */
static int print_coalition(struct json_object *k)
{
        _cleanup_free_ char *members = json_join(json_get(k, "members"), ", ", " and ");
        _cleanup_free_ char *blocking = json_join(json_get(k, "blocking"), ", ", " and ");
        bool is_formed = json_get_bool(k, "formed"), is_valued = json_get(k, "stable") != NULL;
        double value_ms = json_get_number(k, "value"), excess_ms = json_get_number(k, "max_excess");
        char text[FORMAT_MAX];

        if (!members || !blocking)
                return out_of_memory();
        if (!is_valued)
                term_say(stdout, TERM_PLAIN, 1, "%s %s. There are more coalitions than one epoch has time to value: "
                         "what this one is worth is not known yet.", members,
                         is_formed ? "divide their CPU among each other" : "act as single services");
        else if (is_formed)
                term_say(stdout, TERM_PLAIN, 1, "%s divide their CPU among each other: that saves %s, weighted and "
                         "summed over their paths. Stable: no part of them could save more by itself.", members,
                         words_latency(text, fmax(0, value_ms) * USEC_PER_MSEC));
        else if (*blocking)
                term_say(stdout, TERM_WARN, 1, "%s act as single services: %s could save %s more by themselves.",
                         members, blocking, words_latency(text, fmax(0, excess_ms) * USEC_PER_MSEC));
        else
                term_say(stdout, TERM_WARN, 1, "%s act as single services: no division of their CPU could be "
                         "shown to be stable.", members);
        return STATUS_FINE;
}

static int print_coalitions(struct json_object *coalitions)
{
        int status = STATUS_FINE;

        if (json_length(coalitions) > 0)
                (void)printf("\n%sCoalitions%s\n", term_on(stdout, TERM_BOLD), term_off(stdout));
        for (size_t i = 0; i < json_length(coalitions) && status == STATUS_FINE; i++)
                status = print_coalition(json_at(coalitions, i));
        return status;
}

static int print_answer(const struct client *c, struct json_object *answer)
{
        struct json_object *services = json_get_list(answer, "services");
        struct extras extras = find_extras(services);
        struct table *t = table_new();

        if (!t)
                return out_of_memory();
        if (c->has_legend)
                print_head(answer);
        table_column(t, "SERVICE", TABLE_MAY_CUT, 0);
        if (extras.has_coalition)
                table_column(t, "COALITION", TABLE_MAY_CUT, 3);
        table_column(t, "MARKET", TABLE_RIGHT, 1);
        table_column(t, "ALLOCATION", TABLE_RIGHT, 0);
        table_column(t, "QUOTA", TABLE_RIGHT, 0);
        table_column(t, "WEIGHT", TABLE_RIGHT, 0);
        if (extras.has_latency)
                table_column(t, "LATENCY", TABLE_RIGHT, 4);
        if (extras.has_credit)
                table_column(t, "CREDIT", TABLE_RIGHT, 5);
        table_column(t, "SATISFIED", 0, 2);
        for (size_t i = 0; i < json_length(services); i++)
                service_row(t, json_at(services, i), &extras);
        int status = cells_print(t, c->has_legend);
        if (status == STATUS_FINE && c->has_legend)
                status = print_coalitions(json_get_list(answer, "coalitions"));
        return status;
}

int verb_plan(const struct client *c, char *args[], int n_args)
{
        _cleanup_json_ struct json_object *answer = NULL;

        if (c->samples_path && (c->host || c->machine)) {
                complain("--samples asks no daemon: --host and --machine do not go with it.");
                return STATUS_USAGE;
        }
        int status = c->samples_path ? plan_samples(c, &answer) : plan_daemon(c, &answer);
        if (status != STATUS_FINE)
                return status;
        return c->want_json ? json_print(answer) : print_answer(c, answer);
}
