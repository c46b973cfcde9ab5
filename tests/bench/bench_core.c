/* SPDX-License-Identifier: MIT */

/* How long the decisions take and how they grow with the number of services. A table, no verdict:
 * times belong to the machine that measured them.
 *
 *      make bench */

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/bargain.h"
#include "core/callgraph.h"
#include "core/coalition.h"
#include "core/epoch.h"
#include "core/gate.h"
#include "core/market.h"
#include "core/waterfill.h"
#include "lib/callgraph_fixture.h"
#include "lib/testing.h"

#define N_MAX 10000
#define N_RUNS 31
#define N_MEMBERS 8             /* of a coalition: MaxCoalitionSize= */

static struct {
        struct player players[N_MAX];
        double bound[N_MAX], weight[N_MAX], share[N_MAX], lower[N_MAX], upper[N_MAX], view_weight[N_MAX];
        double rounding_weight[N_MAX];
        struct gain view_gain[N_MAX], kinds[3][N_MAX];   /* nobody, every second, everybody has a target */
        struct slo slo[N_MAX];
        double x[N_MAX], reference[N_MAX], scratch_bound[N_MAX], scratch_share[N_MAX];
        int64_t bound_milli[N_MAX], share_milli[N_MAX], whole[N_MAX], old[N_MAX], next[N_MAX];
        int64_t bound_whole[N_MAX], share_whole[N_MAX];
        size_t order[N_MAX];
        double amount, capacity;
        struct market_outcome outcome;
        struct gate_model model, pooled, targets;
        struct gain gain[N_MAX];
        double step;
        size_t entity_of[N_MAX];
        double entity_lower[N_MAX], entity_upper[N_MAX], entity_weight[N_MAX], entity_reference[N_MAX];
        struct coalition {
                struct worth_game game;
                double old[N_MEMBERS], plan[N_MEMBERS];
                int64_t total_milli;
        } coalitions[N_MAX / N_MEMBERS];

        struct epoch_state epoch;
        struct gate_record records[1000];
        struct epoch_service services[N_MAX];
        struct epoch_decision decisions[N_MAX];
        struct latency_model served_by[N_MAX];  /* how the services of an epoch really behave */
        struct epoch_coalition epoch_coalitions[N_MAX / N_MEMBERS];
        struct epoch_path paths[N_MAX / N_MEMBERS];
        size_t path_first[N_MAX / N_MEMBERS + 1], on_path[N_MAX];
        struct epoch_workspace workspace;
        void *workspace_buffer;

        struct worth_game game;
        double worth[1 << COALITION_EXACT_MAX], more[1 << COALITION_EXACT_MAX];
        double value[COALITION_MEMBERS_MAX], payoff[COALITION_MEMBERS_MAX];
        struct coalition_plan plan;
        double division[COALITION_MEMBERS_MAX];
} b;

static struct market_scratch scratch = { b.order, b.scratch_bound, b.scratch_share, b.bound_milli,
                                         b.share_milli };
static const struct gate_scratch gate_scratch = { b.order, b.scratch_share };
static struct market_tier_view view = { b.lower, b.upper, b.view_weight, b.view_gain,
                                        b.rounding_weight };

/* Neighbours share a path and a coalition. */
static void prepare_graph(size_t n)
{
        for (size_t c = 0; c < n / N_MEMBERS; c++) {
                b.paths[c] = (struct epoch_path){ .weight = 1 + (double)(c % 3) };
                b.epoch_coalitions[c] = (struct epoch_coalition){ .first = c * N_MEMBERS, .n = N_MEMBERS, .id = c };
                b.path_first[c + 1] = (c + 1) * N_MEMBERS;
        }
        for (size_t i = 0; i < n; i++)
                b.on_path[i] = i;
}

static void prepare_epoch(size_t n, struct testing_random *r)
{
        epoch_state_init(&b.epoch, b.records, sizeof b.records / sizeof b.records[0]);
        b.workspace_buffer = realloc(b.workspace_buffer, epoch_workspace_size(n, 1, N_MEMBERS));
        if (!b.workspace_buffer)
                exit(EXIT_FAILURE);
        epoch_workspace_init(&b.workspace, b.workspace_buffer, n, 1, N_MEMBERS);
        for (size_t i = 0; i < n; i++) {
                b.served_by[i] = latency_from_load(b.players[i].need_milli / 2,
                                                   testing_random_double(r, 100, 1e5));
                b.services[i] = (struct epoch_service){
                        .floor_milli = b.players[i].floor_milli,
                        .baseline_milli = b.players[i].baseline_milli,
                        .max_milli = b.players[i].max_milli,
                        .bound_milli = INFINITY,
                        .weight = b.players[i].weight,
                        .need_milli = b.players[i].need_milli,
                        .load_milli = b.served_by[i].load_milli,
                        .is_known = true,
                        .recent_milli = { -1, -1, -1, -1 },
                };
        }
        prepare_graph(n);
}

/* A load within the box, and a target that is met somewhere around the need. */
static struct slo random_slo(struct testing_random *r, double d, double need)
{
        double work = (need - d + 10) * testing_random_double(r, 5, 50);

        return (struct slo){
                .latency = latency_from_load(need / 1.15, work),
                .target_ms = testing_random_double(r, 20, 400),
                .steepness_per_ms = 0.1,
        };
}

static void prepare_gains(size_t n, struct testing_random *r)
{
        for (size_t i = 0; i < n; i++) {
                double d = b.players[i].baseline_milli, need = b.players[i].need_milli;

                b.slo[i] = random_slo(r, d, need);
                gain_init(&b.kinds[0][i], NULL, d, need);
                gain_init(&b.kinds[1][i], i % 2 ? &b.slo[i] : NULL, d, need);
                gain_init(&b.kinds[2][i], &b.slo[i], d, need);
        }
}

/* Half of all needs above the baselines can be met: the tier that has to bargain. */
static void prepare(size_t n)
{
        struct testing_random r = { 1 };

        b.amount = b.capacity = 0;
        for (size_t i = 0; i < n; i++) {
                double floor_ = (double)testing_random_int(&r, 0, 20);
                double d = floor_ + (double)testing_random_int(&r, 0, 500);
                double need = d + (double)testing_random_int(&r, 0, 2000);

                b.players[i] = (struct player){ floor_, d, need, need + 1000,
                                                (double)testing_random_int(&r, 1, 10000), -1 };
                b.bound_whole[i] = (int64_t)(need - d);
                b.bound[i] = need - d;
                b.weight[i] = b.players[i].weight;
                b.amount += (need - d) / 2;
                b.capacity += (need + d) / 2;
        }
        b.amount = floor(b.amount);
        b.capacity = floor(b.capacity);
        prepare_gains(n, &r);
        prepare_epoch(n, &r);
}

static int run_waterfill_solve(size_t n)
{
        double theta;

        return waterfill_solve(b.bound, b.weight, n, b.amount, b.order, b.share, &theta);
}

static int run_bargain(const struct gain gain[], size_t n)
{
        double price;

        return bargain_solve(gain, b.weight, n, b.amount, 100, b.scratch_bound, b.order, b.share, &price);
}

static int run_bargain_plain(size_t n)
{
        return run_bargain(b.kinds[0], n);
}

static int run_bargain_half(size_t n)
{
        return run_bargain(b.kinds[1], n);
}

static int run_bargain_all(size_t n)
{
        return run_bargain(b.kinds[2], n);
}

static int run_gain_init(size_t n)
{
        for (size_t i = 0; i < n; i++)
                gain_init(&b.view_gain[i], &b.slo[i], b.players[i].baseline_milli, b.players[i].need_milli);
        return 0;
}

static int run_waterfill_round(size_t n)
{
        return waterfill_round(b.bound_whole, b.weight, n, (int64_t)b.amount, b.order, b.share_whole);
}

static int run_market(size_t n)
{
        struct market_rules rules = { b.capacity, 1, OVERLOAD_PROPORTIONAL };
        int r = market_solve(&rules, b.players, n, &scratch, &view, b.x, &b.outcome);

        return r < 0 ? r : market_round(&view, &b.outcome, n, &scratch, b.whole);
}

static int run_gate_model(size_t n)
{
        return gate_model_init(&b.model, n, b.lower, b.upper, b.view_weight, NULL, b.capacity, b.reference);
}

/* Every second player has a target. */
static int run_gate_model_targets(size_t n)
{
        for (size_t i = 0; i < n; i++) {
                struct slo slo = { latency_from_load(b.players[i].need_milli / 1.15, 5000), 50, 0.1 };

                gain_init(&b.gain[i], i % 2 ? &slo : NULL, b.lower[i], b.upper[i]);
        }
        return gate_model_init(&b.targets, n, b.lower, b.upper, b.view_weight, b.gain, b.capacity,
                               b.entity_reference);
}

static int run_gate_judge(size_t n)
{
        struct gate_verdict verdict;

        for (size_t i = 0; i < n; i++)
                b.old[i] = (int64_t)b.lower[i];
        return gate_judge(&b.model, b.old, b.whole, b.step, &gate_scratch, b.next, &verdict);
}

/* Coalitions of eight; who is left over stays single. */
static int run_gate_pool(size_t n)
{
        size_t n_coalitions = n / N_MEMBERS;

        for (size_t i = 0; i < n; i++)
                b.entity_of[i] = i / N_MEMBERS < n_coalitions ? i / N_MEMBERS
                                                              : i - n_coalitions * (N_MEMBERS - 1);
        return gate_model_pool(&b.model, b.entity_of, n - n_coalitions * (N_MEMBERS - 1), b.entity_lower,
                               b.entity_upper, b.entity_weight, NULL, b.entity_reference, &b.pooled);
}

/* Totals as the market left them; the old shape is half-way between what each brought and the plan. */
static int prepare_divisions(size_t n)
{
        struct testing_random r = { 2 };

        for (size_t c = 0; c < n / N_MEMBERS; c++) {
                struct coalition *coalition = &b.coalitions[c];
                struct member members[N_MEMBERS];
                uint32_t everybody = (UINT32_C(1) << N_MEMBERS) - 1;
                int k;

                coalition->total_milli = 0;
                for (size_t i = 0; i < N_MEMBERS; i++) {
                        const struct player *p = &b.players[c * N_MEMBERS + i];
                        double held = (double)b.whole[c * N_MEMBERS + i], load = p->need_milli / 1.15;

                        members[i] = (struct member){
                                .latency = latency_from_load(load, testing_random_double(&r, 100, 1e5)),
                                .importance = testing_random_double(&r, 0.1, 10),
                                .entitlement_milli = held,
                                .least_milli = fmin(held, fmax(p->floor_milli, load)),
                                .most_milli = p->max_milli,
                        };
                        coalition->total_milli += (int64_t)held;
                }
                k = worth_game_init(&coalition->game, members, N_MEMBERS);
                if (k < 0 || worth_divide(&coalition->game, everybody, (double)coalition->total_milli,
                                          coalition->plan, NULL) < 0)
                        return -1;
                for (size_t i = 0; i < N_MEMBERS; i++)
                        coalition->old[i] = (members[i].entitlement_milli + coalition->plan[i]) / 2;
        }
        return 0;
}

static int run_gate_divisions(size_t n)
{
        for (size_t c = 0; c < n / N_MEMBERS; c++) {
                struct coalition *coalition = &b.coalitions[c];
                struct gate_verdict verdict;
                int r = gate_judge_division(&coalition->game, coalition->old, coalition->plan,
                                            coalition->total_milli, b.step, &b.next[c * N_MEMBERS], &verdict);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* A whole epoch as the daemon decides it; every time on what the last one left, with needs that moved. */
static int run_epoch(enum enforce enforce, struct epoch_graph *graph, size_t n)
{
        static const struct enforce_group root = { .parent = ENFORCE_NO_GROUP };
        struct epoch_rules rules = { .capacity_milli = b.capacity, .spare = 1, .enforce = enforce,
                                     .sensitivity_per_ms = 0.1, .max_iterations = 100, .epoch_sec = 15 };
        struct epoch_outcome outcome;
        unsigned root_weight;
        int r;

        r = epoch_decide(&b.epoch, &rules, b.services, n, graph, &root, 1, &b.workspace, b.decisions,
                         &root_weight, &outcome);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                struct epoch_service *s = &b.services[i];

                s->recent_milli[0] = b.decisions[i].alloc_milli;
                s->latency_at_milli = (double)b.decisions[i].alloc_milli;
                s->latency_ms = latency_ms(&b.served_by[i], s->latency_at_milli);
                s->need_milli = b.players[i].need_milli * ((i + b.epoch.epoch) % 2 ? 0.9 : 1.0);
        }
        return 0;
}

static int run_epoch_both(size_t n)
{
        return run_epoch(ENFORCE_BOTH, NULL, n);
}

static int run_epoch_quota(size_t n)
{
        return run_epoch(ENFORCE_QUOTA, NULL, n);
}

static int run_epoch_coalitions(size_t n)
{
        return run_epoch(ENFORCE_BOTH, &(struct epoch_graph){
                .paths = { .first = b.path_first, .members = b.on_path, .n_paths = n / N_MEMBERS },
                .path = b.paths,
                .coalitions = b.epoch_coalitions,
                .n_coalitions = n / N_MEMBERS,
                .members = b.on_path,
        }, n);
}

static int run_epoch_targets(size_t n)
{
        for (size_t i = 1; i < n; i += 2)
                b.services[i].target_ms = b.slo[i].target_ms;
        return run_epoch_coalitions(n);
}

/* Services that were measured, at one and a half times their loads. */
static void prepare_coalition(size_t n)
{
        struct testing_random r = { 1 };
        struct member members[COALITION_MEMBERS_MAX];

        for (size_t i = 0; i < n; i++) {
                double load = (double)testing_random_int(&r, 100, 1000);

                members[i] = (struct member){
                        .latency = latency_from_load(load, testing_random_double(&r, 100, 10000)),
                        .importance = (double)testing_random_int(&r, 1, 5),
                        .entitlement_milli = load * testing_random_double(&r, 1, 2),
                        .least_milli = load,
                        .most_milli = 4000,
                };
        }
        if (worth_game_init(&b.game, members, (unsigned)n) < 0)
                exit(EXIT_FAILURE);
}

static int run_worth_divide(size_t n)
{
        return worth_divide(&b.game, UINT32_MAX >> (32 - n), (double)n * 800, b.division, NULL);
}

static int run_worth_all(size_t n)
{
        (void)n;
        return worth_all(&b.game, b.worth);
}

static int run_shapley_exact(size_t n)
{
        return shapley_exact(b.worth, (unsigned)n, b.value);
}

static double worth_of_subset(const void *ctx, uint32_t subset)
{
        return worth_of(ctx, subset);
}

static int run_shapley_estimate(size_t n)
{
        struct shapley_sample sample;

        return shapley_estimate(worth_of_subset, &b.game, (unsigned)n, 1, 100, 0, b.value, NULL, &sample);
}

static int run_coalition_plan(size_t n)
{
        (void)n;
        coalition_plan(&b.game, 0, &b.plan);
        return 0;
}

static int run_stability_check(size_t n)
{
        struct stability found;

        stability_competitive(&b.game, b.plan.x_milli, b.plan.price, b.payoff);
        return stability_check(b.worth, (unsigned)n, b.payoff, 0, &found);
}

static int run_coalition_assess(size_t n)
{
        struct coalition_scratch coalition_scratch = { b.worth, b.more };
        struct coalition_value value;

        (void)run_coalition_plan(n);
        return coalition_assess(&b.game, &b.plan, 0, 100, 1, 1, &coalition_scratch, &value);
}

static int compare_doubles(const void *a, const void *c)
{
        double x = *(const double *)a, y = *(const double *)c;

        return (x > y) - (x < y);
}

/* Median time of one call, in seconds; small ones are repeated until the clock can tell. */
static double median_sec(int (*run)(size_t), size_t n, size_t n_calls)
{
        double sec[N_RUNS];

        for (int k = 0; k < N_RUNS; k++) {
                struct timespec from, to;

                clock_gettime(CLOCK_MONOTONIC, &from);
                for (size_t i = 0; i < n_calls; i++) {
                        int r = run(n);

                        if (r != 0) {
                                fprintf(stderr, "n = %zu: error %d\n", n, r);
                                exit(EXIT_FAILURE);
                        }
                }
                clock_gettime(CLOCK_MONOTONIC, &to);
                sec[k] = ((double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec)) /
                         (double)n_calls;
        }
        qsort(sec, N_RUNS, sizeof sec[0], compare_doubles);
        return sec[N_RUNS / 2];
}

/* Cutting one component into blocks of eight; a call graph with two calls a service. */
static void bench_partition(void)
{
        static const struct {
                size_t n;
                bool may_search;
        } rows[] = { { 12, true }, { 14, true }, { 16, true }, { 16, false }, { 100, false },
                     { 1000, false }, { 10000, false } };
        struct callgraph_fixture f = callgraph_fixture_new(N_MAX, 2 * N_MAX);
        struct testing_random r = { 1 };

        printf("\nCutting a component into blocks of at most 8: median of 5 runs\n\n");
        for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
                size_t n = rows[k].n;
                double sec[5];

                callgraph_fixture_random(&f, &r, n, n, 20);
                for (int run = 0; run < 5; run++) {
                        struct timespec from, to;

                        clock_gettime(CLOCK_MONOTONIC, &from);
                        (void)callgraph_partition(f.calls, f.n_calls, n, 8, rows[k].may_search, &f.w,
                                                  b.order, NULL);
                        clock_gettime(CLOCK_MONOTONIC, &to);
                        sec[run] = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
                }
                qsort(sec, 5, sizeof sec[0], compare_doubles);
                printf("%6zu services, %-9s %9.2f ms\n", n, rows[k].may_search ? "search" : "heuristic",
                       sec[2] * 1e3);
        }
        callgraph_fixture_done(&f);
}

static int bench_services(void)
{
        static const struct {
                const char *name;
                int (*run)(size_t);
                double step;
        } rows[] = {
                { "waterfill_solve", run_waterfill_solve, 1 },
                { "waterfill_round", run_waterfill_round, 1 },
                { "bargain_solve, no targets", run_bargain_plain, 1 },
                { "bargain_solve, every second", run_bargain_half, 1 },
                { "bargain_solve, all", run_bargain_all, 1 },
                { "gain_init", run_gain_init, 1 },
                { "market_solve + market_round", run_market, 1 },
                { "gate_model_init", run_gate_model, 1 },
                { "the same, half with targets", run_gate_model_targets, 1 },
                { "gate_judge, whole step", run_gate_judge, 1 },
                { "gate_judge, half step", run_gate_judge, 0.5 },
                { "gate_model_pool, of 8", run_gate_pool, 1 },
                { "gate_judge_division, of 8", run_gate_divisions, 1 },
                { "the same, half step", run_gate_divisions, 0.5 },
                { "epoch, Enforce=both", run_epoch_both, 1 },
                { "epoch, Enforce=quota", run_epoch_quota, 1 },
                { "epoch, coalitions of 8", run_epoch_coalitions, 1 },
                { "the same, half with targets", run_epoch_targets, 1 },
        };
        static const size_t sizes[] = { 10, 100, 1000, 10000 };
        enum { N_ROWS = sizeof rows / sizeof rows[0], N_SIZES = sizeof sizes / sizeof sizes[0] };
        double sec[N_ROWS][N_SIZES];

        for (int s = 0; s < N_SIZES; s++) {
                prepare(sizes[s]);
                if (run_market(sizes[s]) < 0 || run_gate_model(sizes[s]) < 0 ||
                    prepare_divisions(sizes[s]) < 0)
                        return -1;
                for (int r = 0; r < N_ROWS; r++) {
                        b.step = rows[r].step;
                        sec[r][s] = median_sec(rows[r].run, sizes[s], 1 + 20000 / sizes[s]);
                }
        }

        printf("Decisions: median of %d runs in microseconds; growth is the exponent from 1,000 to 10,000\n"
               "services (n log n: 1.12)\n\n%-28s", N_RUNS, "n =");
        for (int s = 0; s < N_SIZES; s++)
                printf(" %9zu", sizes[s]);
        printf("    growth\n");
        for (int r = 0; r < N_ROWS; r++) {
                printf("%-28s", rows[r].name);
                for (int s = 0; s < N_SIZES; s++)
                        printf(" %9.2f", sec[r][s] * 1e6);
                printf("  %8.2f\n", log10(sec[r][N_SIZES - 1] / sec[r][N_SIZES - 2]));
        }
        return 0;
}

/* What one coalition costs. Sampled: the same number of orders whatever the size. */
static void bench_coalitions(void)
{
        static const struct {
                const char *name;
                int (*run)(size_t);
                bool is_exact;          /* by all subsets */
        } rows[] = {
                { "worth_divide", run_worth_divide, false },
                { "worth_all", run_worth_all, true },
                { "shapley_exact", run_shapley_exact, true },
                { "shapley_estimate, 100 pairs", run_shapley_estimate, false },
                { "coalition_plan", run_coalition_plan, false },
                { "stability_check", run_stability_check, true },
                { "coalition_plan + _assess", run_coalition_assess, false },
        };
        static const size_t sizes[] = { 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32 };
        enum { N_ROWS = sizeof rows / sizeof rows[0], N_SIZES = sizeof sizes / sizeof sizes[0] };

        printf("\nA coalition: median of %d runs in microseconds\n\n%-28s", N_RUNS, "members =");
        for (int s = 0; s < N_SIZES; s++)
                printf(" %8zu", sizes[s]);
        printf("\n");
        for (int r = 0; r < N_ROWS; r++) {
                printf("%-28s", rows[r].name);
                for (int s = 0; s < N_SIZES; s++) {
                        if (rows[r].is_exact && sizes[s] > COALITION_EXACT_MAX) {
                                printf(" %8s", "-");
                                continue;
                        }
                        prepare_coalition(sizes[s]);
                        if (rows[r].is_exact)
                                (void)run_worth_all(sizes[s]);
                        (void)run_coalition_plan(sizes[s]);
                        printf(" %8.2f", 1e6 * median_sec(rows[r].run, sizes[s],
                                                          1 + (2000 >> (sizes[s] / 2))));
                }
                printf("\n");
        }
}

int main(void)
{
        if (bench_services() < 0)
                return EXIT_FAILURE;
        bench_coalitions();
        bench_partition();
        return EXIT_SUCCESS;
}
