/* SPDX-License-Identifier: MIT */

/* plan: the allocator as a function. With --samples it decides here, by the same epoch_decide() that
 * the daemon calls; without, it asks the daemon what it decided last. */

#include "client/bus.h"
#include "client/client.h"
#include "client/json.h"
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

/* What the samples do not say is taken from the configuration, its defaults included: the question is
 * then what a daemon with this configuration would decide. */
static void fill_from_config(const struct config *config, double capacity_of_host_milli,
                             struct plan_request *request, double *ret_headroom_milli)
{
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
        *ret_headroom_milli = amount_milli(&config->headroom, capacity_milli);

        for (size_t i = 0; i < request->n_services; i++) {
                struct plan_service *s = &request->services[i];
                ssize_t i_config = config_find_service(config, s->name);
                if (i_config < 0)
                        continue;
                const struct config_service *said = &config->services[i_config];

                fill(&s->floor_milli, amount_milli(&said->floor, capacity_milli));
                fill(&s->baseline_milli, amount_milli(&said->baseline, capacity_milli));
                if (said->max.is_set)
                        fill(&s->max_milli, amount_milli(&said->max, capacity_milli));
                fill(&s->weight, said->weight);
        }
}

static int defaults_from_config(const char *path, struct plan_request *request,
                                double *ret_headroom_milli)
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
        if (r == -ENOMEM)
                return out_of_memory();
        if (r < 0) {
                complain("The configuration %s cannot be used, see above.", path);
                return STATUS_FAILED;
        }
        fill_from_config(config, (double)n_cpus * MILLI_PER_CPU, request, ret_headroom_milli);
        return STATUS_FINE;
}

/* ---- decision ------------------------------------------------------------------------------------ */

static void services_from_request(const struct plan_request *request, struct epoch_service services[])
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
                        .need_milli = s->need_milli,
                        .load_milli = s->load_milli,
                        .is_known = true,
                };
                for (size_t age = 0; age < EPOCH_RECENT; age++)
                        services[i].recent_milli[age] = -1;
                /* Part of a previous allocation makes one: who is not named in it held nothing. */
                if (has_previous)
                        services[i].recent_milli[0] =
                                isnan(s->quota_milli) ? 0 : (int64_t)floor(s->quota_milli);
        }
}

static int answer_text(const struct plan_request *request, const struct epoch_decision decisions[],
                       const struct epoch_outcome *outcome, char **ret)
{
        size_t n = request->n_services;
        _cleanup_free_ struct plan_answer_service *services = calloc(n + 1, sizeof *services);

        if (!services)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                services[i] = (struct plan_answer_service) {
                        .name = request->services[i].name,
                        .market_milli = decisions[i].market_milli,
                        .alloc_milli = decisions[i].alloc_milli,
                        .quota_milli = decisions[i].quota_milli,
                        .cpu_weight = decisions[i].cpu_weight,
                        .is_satisfied = decisions[i].is_satisfied,
                };
        struct plan_answer answer = {
                .tier = outcome->market.tier,
                .scarcity = outcome->market.scarcity,
                .shadow_price = outcome->market.shadow_price,
                .services = services,
                .n_services = n,
                .v_before = outcome->gate.v_before,
                .v_after = outcome->gate.v_after,
                .step = outcome->gate.step,
                .verdict = outcome->gate.verdict,
        };
        return plan_answer_format(&answer, ret);
}

/* Return: 0; negative errno of epoch_decide() and -ENOMEM. */
static int decide(const struct plan_request *request, double headroom_milli, char **ret)
{
        size_t n = request->n_services;
        _cleanup_free_ struct epoch_service *services = calloc(n + 1, sizeof *services);
        _cleanup_free_ struct epoch_decision *decisions = calloc(n + 1, sizeof *decisions);
        _cleanup_free_ void *buffer = malloc(epoch_workspace_size(n, 1, 0) + 1);
        /* One slice holds them all: what weights among different slices come to, only a host shows. */
        const struct enforce_group root = { .parent = ENFORCE_NO_GROUP,
                                            .prior_weight = CPU_WEIGHT_DEFAULT };
        struct gate_record record;
        struct epoch_state state;
        struct epoch_workspace workspace;
        struct epoch_outcome outcome;
        unsigned group_weight;

        if (!services || !decisions || !buffer)
                return -ENOMEM;

        services_from_request(request, services);
        struct epoch_rules rules = {
                .capacity_milli = request->capacity_milli,
                .reserve_milli = request->reserve_milli,
                .headroom_milli = headroom_milli,
                .spare = request->spare,
                .overload = (enum overload_rule)request->overload_rule,
                .enforce = (enum enforce)request->enforce,
                .sensitivity_per_ms = 0.1,
                .max_iterations = 100,
                .epoch_sec = 15,
        };
        epoch_state_init(&state, &record, 1);
        epoch_workspace_init(&workspace, buffer, n, 1, 0);
        int r = epoch_decide(&state, &rules, services, n, NULL, &root, 1, &workspace, decisions,
                             &group_weight, &outcome);
        if (r < 0)
                return r;
        return answer_text(request, decisions, &outcome, ret);
}

static int plan_samples(const struct client *c, struct json_object **ret)
{
        const char *file = strcmp(c->samples_path, "-") == 0 ? "<stdin>" : c->samples_path;
        _cleanup_free_ char *text = NULL, *problem = NULL, *answer = NULL;
        _cleanup_(plan_warnings_done) struct plan_warnings warnings = { 0 };
        _cleanup_(request_free_p) struct plan_request *request = NULL;
        double headroom_milli = 0;
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
                int status = defaults_from_config(c->config_path, request, &headroom_milli);
                if (status != STATUS_FINE)
                        return status;
        }
        if (r >= 0)
                r = plan_request_complete(request, &problem);
        if (r >= 0)
                r = decide(request, headroom_milli, &answer);
        if (r == -ENOMEM)
                return out_of_memory();
        if (r == -ENOSPC) {
                complain("%s: enforce: quotas are whole percents, and %zu service%s more than there are "
                         "percents to give; raise capacity_milli, or use \"both\" or \"weight\".",
                         file, request->n_services, request->n_services == 1 ? " is" : "s are");
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

static int print_answer(const struct client *c, struct json_object *answer)
{
        struct json_object *services = json_get(answer, "services");
        struct table *t = table_new();
        char text[FORMAT_MAX];

        if (!t)
                return out_of_memory();
        if (c->has_legend)
                print_head(answer);
        table_column(t, "SERVICE", TABLE_MAY_CUT, 0);
        table_column(t, "MARKET", TABLE_RIGHT, 1);
        table_column(t, "ALLOCATION", TABLE_RIGHT, 0);
        table_column(t, "QUOTA", TABLE_RIGHT, 0);
        table_column(t, "WEIGHT", TABLE_RIGHT, 0);
        table_column(t, "SATISFIED", 0, 2);
        size_t n = json_object_is_type(services, json_type_array) ? json_object_array_length(services) : 0;
        for (size_t i = 0; i < n; i++) {
                struct json_object *s = json_object_array_get_idx(services, i);
                double weight = json_get_number(s, "cpu_weight");
                bool is_satisfied = json_get_bool(s, "satisfied");

                table_row(t);
                table_cell(t, TERM_PLAIN, json_get_text(s, "name", "?"));
                cpu_cell(t, s, "market_milli", "-");
                cpu_cell(t, s, "alloc_milli", "-");
                cpu_cell(t, s, "quota_milli", "none");
                if (!isnan(weight))
                        (void)snprintf(text, sizeof text, "%.0f", weight);
                table_cell(t, TERM_PLAIN, isnan(weight) ? "-" : text);
                table_cell(t, is_satisfied ? TERM_PLAIN : TERM_WARN, is_satisfied ? "yes" : "no");
        }
        int r = table_print(t, c->has_legend, term_width());
        table_free(t);
        return r == -ENOMEM ? out_of_memory() : r < 0 ? STATUS_FAILED : STATUS_FINE;
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
