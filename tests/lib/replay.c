/* SPDX-License-Identifier: MIT */

#include "lib/replay.h"

#include "core/demand.h"
#include "core/epoch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_RECORDS 4

/* A service as it leaves an epoch. */
struct carried {
        uint64_t unit;
        struct history_state state;
};

struct replay {
        bool has_begun;
        struct epoch_state state;
        struct gate_record records[N_RECORDS];
        struct carried *carried;        /* of the epoch before */
        size_t n_carried;

        uint64_t graph_id;
        struct epoch_graph graph;
        struct call *waits;
        size_t n_waits;
};

/* The tables of one epoch, and what is made of them. */
struct epoch_data {
        const struct history_epoch *row;
        struct history_rows tables[_HISTORY_TABLE_MAX];
        size_t n, n_groups;
        struct carried *carried;
        struct epoch_service *services;
        struct demand_state *demand;
        struct demand_estimate *estimates;
        struct enforce_group *groups;
        struct epoch_decision *decisions;
        unsigned *group_weights;
        void *workspace;
};

#define ROWS(d, table, type) ((struct type *)(d)->tables[table].rows)

static void free_graph(struct replay *r)
{
        free(r->graph.paths.first);
        free(r->graph.paths.members);
        free(r->graph.path);
        free(r->graph.coalitions);
        free(r->graph.members);
        free(r->waits);
        r->graph = (struct epoch_graph){ 0 };
        r->waits = NULL;
        r->n_waits = 0;
        r->graph_id = 0;
}

struct replay *replay_new(void)
{
        return calloc(1, sizeof(struct replay));
}

struct replay *replay_free(struct replay *r)
{
        if (!r)
                return NULL;
        free_graph(r);
        free(r->carried);
        free(r);
        return NULL;
}

/* ---- reading ----------------------------------------------------------------------------------------- */

static ssize_t position_of(const struct epoch_data *d, uint64_t unit)
{
        for (size_t i = 0; i < d->n; i++)
                if (ROWS(d, HISTORY_SERVICES, history_service)[i].unit == unit)
                        return (ssize_t)i;
        return -1;
}

static int read_paths(struct replay *r, const struct epoch_data *d, struct history_rows *paths,
                      struct history_rows *members)
{
        const struct history_path *path = paths->rows;
        const struct history_path_member *member = members->rows;
        size_t k = 0;

        r->graph.paths.first = calloc(paths->n + 1, sizeof(size_t));
        r->graph.paths.members = calloc(members->n + 1, sizeof(size_t));
        r->graph.path = calloc(paths->n + 1, sizeof *r->graph.path);
        if (!r->graph.paths.first || !r->graph.paths.members || !r->graph.path)
                return -ENOMEM;
        r->graph.paths.n_paths = paths->n;
        for (size_t p = 0; p < paths->n; p++) {
                r->graph.path[p] = (struct epoch_path){ .weight = path[p].weight, .target_ms = path[p].target_ms };
                for (; k < members->n && member[k].path == p; k++) {
                        ssize_t i = position_of(d, member[k].unit);

                        if (i < 0)
                                return -EBADMSG;
                        r->graph.paths.members[k] = (size_t)i;
                }
                r->graph.paths.first[p + 1] = k;
        }
        return k == members->n ? 0 : -EBADMSG;
}

static int read_coalitions(struct replay *r, const struct epoch_data *d, struct history_rows *members)
{
        const struct history_coalition_member *m = members->rows;

        r->graph.coalitions = calloc(members->n + 1, sizeof *r->graph.coalitions);
        r->graph.members = calloc(members->n + 1, sizeof(size_t));
        if (!r->graph.coalitions || !r->graph.members)
                return -ENOMEM;
        for (size_t k = 0; k < members->n; k++) {
                ssize_t i = position_of(d, m[k].unit);

                if (i < 0 || m[k].coalition > r->graph.n_coalitions)
                        return -EBADMSG;
                if (m[k].coalition == r->graph.n_coalitions)
                        r->graph.coalitions[r->graph.n_coalitions++] =
                                (struct epoch_coalition){ .first = k, .id = m[k].id };
                r->graph.coalitions[m[k].coalition].n++;
                r->graph.members[k] = (size_t)i;
        }
        return 0;
}

static int read_waits(struct replay *r, const struct epoch_data *d, struct history_rows *waits)
{
        const struct history_wait *w = waits->rows;

        r->waits = calloc(waits->n + 1, sizeof *r->waits);
        if (!r->waits)
                return -ENOMEM;
        for (size_t k = 0; k < waits->n; k++) {
                ssize_t caller = position_of(d, w[k].caller), callee = position_of(d, w[k].callee);

                if (caller < 0 || callee < 0)
                        return -EBADMSG;
                r->waits[r->n_waits++] = (struct call){ (size_t)caller, (size_t)callee, w[k].weight };
        }
        return 0;
}

static int read_graph(struct replay *r, struct history_db *db, const struct epoch_data *d)
{
        static const enum history_table tables[] = { HISTORY_PATHS, HISTORY_PATH_MEMBERS, HISTORY_COALITION_MEMBERS,
                                                     HISTORY_WAITS };
        struct history_rows rows[4] = { 0 };
        int e = 0;

        free_graph(r);
        r->graph_id = d->row->graph;
        if (r->graph_id == 0)
                return 0;
        for (size_t k = 0; k < 4 && e == 0; k++)
                e = history_db_read(db, tables[k], r->graph_id, &rows[k]);
        if (e == 0)
                e = read_paths(r, d, &rows[0], &rows[1]);
        if (e == 0)
                e = read_coalitions(r, d, &rows[2]);
        if (e == 0)
                e = read_waits(r, d, &rows[3]);
        for (size_t k = 0; k < 4; k++)
                history_rows_free(tables[k], &rows[k]);
        return e;
}

static int read_values(struct replay *r, const struct epoch_data *d)
{
        const struct history_value *v = ROWS(d, HISTORY_VALUES, history_value);
        const struct history_value_member *m = ROWS(d, HISTORY_VALUE_MEMBERS, history_value_member);

        for (size_t c = 0; c < r->graph.n_coalitions; c++) {
                r->graph.coalitions[c].value = (struct coalition_value){ 0 };
                r->graph.coalitions[c].valued_active = 0;
        }
        for (size_t k = 0; k < d->tables[HISTORY_VALUES].n; k++) {
                struct epoch_coalition *c;

                if (v[k].coalition >= r->graph.n_coalitions)
                        return -EBADMSG;
                c = &r->graph.coalitions[v[k].coalition];
                c->valued_active = v[k].valued_active;
                c->value = (struct coalition_value){
                        .epoch = v[k].value_epoch,
                        .seed = v[k].seed,
                        .worth = v[k].worth,
                        .max_excess = v[k].max_excess,
                        .half_width = v[k].half_width,
                        .blocking = v[k].blocking,
                        .is_stable = v[k].is_stable,
                        .is_exact = v[k].is_exact,
                        .is_repaired = v[k].is_repaired,
                };
        }
        for (size_t k = 0; k < d->tables[HISTORY_VALUE_MEMBERS].n; k++) {
                if (m[k].coalition >= r->graph.n_coalitions || m[k].position >= COALITION_MEMBERS_MAX)
                        return -EBADMSG;
                r->graph.coalitions[m[k].coalition].value.shapley[m[k].position] = m[k].shapley;
                r->graph.coalitions[m[k].coalition].value.imputation[m[k].position] = m[k].imputation;
        }
        return 0;
}

static enum tier tier_from_string(const char *word)
{
        for (int t = 0; t < _TIER_MAX; t++)
                if (strcmp(tier_to_string((enum tier)t), word) == 0)
                        return (enum tier)t;
        return TIER_STARVED;
}

static enum verdict verdict_from_string(const char *word)
{
        for (int v = 0; v < _VERDICT_MAX; v++)
                if (strcmp(verdict_to_string((enum verdict)v), word) == 0)
                        return (enum verdict)v;
        return VERDICT_HOLD;
}

static int read_frame(struct replay *r, const struct epoch_data *d)
{
        const struct history_frame *f = ROWS(d, HISTORY_FRAMES, history_frame);

        if (d->tables[HISTORY_FRAMES].n != 1)
                return -EBADMSG;
        epoch_state_init(&r->state, r->records, N_RECORDS);
        r->state.epoch = f->state_epoch;
        r->state.n_previous = f->n_previous;
        r->state.monitor = (struct gate_monitor){
                .step_max = f->step_max,
                .hardship_previous = f->hardship_previous,
                .load_previous_milli = f->load_previous_milli,
                .n_wrong = f->n_wrong,
                .n_frozen_left = f->n_frozen_left,
        };
        r->state.recent_hardship[0] = f->recent_hardship_0;
        r->state.recent_hardship[1] = f->recent_hardship_1;
        r->state.recent_hardship[2] = f->recent_hardship_2;
        r->state.recent_hardship[3] = f->recent_hardship_3;
        r->state.price = (struct price_memory){ .smooth = f->price_smooth, .hour = f->price_hour };
        r->state.next_valued = f->next_valued;
        if (f->has_last)
                gate_history_push(&r->state.history, &(struct gate_record){
                        .epoch = f->state_epoch,
                        .v_before = f->last_v_before,
                        .v_after = f->last_v_after,
                        .action = f->last_action,
                        .workload = f->last_workload,
                        .step = f->last_step,
                        .hardship = f->last_hardship,
                        .scarcity = f->last_scarcity,
                        .tier = tier_from_string(f->last_tier),
                        .verdict = verdict_from_string(f->last_verdict),
                });
        return 0;
}

/* What is remembered of each service: said here, or carried. */
static int gather_states(struct replay *r, struct epoch_data *d)
{
        const struct history_state *states = ROWS(d, HISTORY_STATES, history_state);

        for (size_t i = 0; i < d->n; i++) {
                struct carried *c = &d->carried[i];
                bool is_found = false;

                c->unit = ROWS(d, HISTORY_SERVICES, history_service)[i].unit;
                for (size_t k = 0; k < d->tables[HISTORY_STATES].n && !is_found; k++)
                        if (states[k].unit == c->unit) {
                                c->state = states[k];
                                is_found = true;
                        }
                for (size_t k = 0; k < r->n_carried && !is_found; k++)
                        if (r->carried[k].unit == c->unit) {
                                c->state = r->carried[k].state;
                                is_found = true;
                        }
                if (!is_found)
                        return -EBADMSG;
        }
        return 0;
}

/* ---- rerunning ---------------------------------------------------------------------------------------- */

static void estimate(const struct epoch_data *d, size_t i)
{
        const struct history_service *row = &ROWS(d, HISTORY_SERVICES, history_service)[i];
        const struct history_state *s = &d->carried[i].state;
        const struct history_epoch *e = d->row;
        double bargained_milli = fmax(0, e->capacity_milli - e->reserve_milli);
        struct demand_state *demand = &d->demand[i];
        struct demand_context c = {
                .epoch_usec = (double)e->epoch_usec,
                .sample_interval_usec = (double)e->sample_interval_usec,
                .allocation_milli = (double)s->recent_0_milli,
                .quota_milli = row->quota_before_milli == QUOTA_NONE_MILLI ? INFINITY
                                                                           : (double)row->quota_before_milli,
                .quota_is_share = enforce_from_string(e->enforce) == ENFORCE_QUOTA,
                .baseline_milli = s->baseline_milli,
                .max_milli = fmax(fmin(s->max_milli, s->bound_milli), s->baseline_milli),
                .grace_milli = e->weight_sum > 0 ? bargained_milli * s->weight / e->weight_sum : bargained_milli,
                .host_idle_share = e->host_idle_share,
                .is_starting = row->is_starting,
                .is_called = row->is_called,
        };

        *demand = (struct demand_state){
                .n_samples = row->n_samples,
                .wall_usec = row->wall_usec,
                .used_usec = row->used_usec,
                .stalled_usec = row->stalled_usec,
                .use_peak_milli = row->use_peak_milli,
                .throttled_usec = row->throttled_usec,
                .bandwidth_wall_usec = row->bandwidth_wall_usec,
                .n_periods = row->n_periods,
                .n_throttled = row->n_throttled,
                .has_pressure = row->has_pressure,
                .load_milli = s->load_milli,
                .stall_baseline = s->stall_baseline,
                .n_estimates = s->n_estimates,
                .n_missing = s->n_missing,
                .throttle_raise = s->throttle_raise,
                .believed_usec = s->believed_usec,
                .n_unproven = s->n_unproven,
                .has_stall_baseline = s->has_stall_baseline,
                .is_elastic = s->is_elastic,
        };
        demand_estimate(demand, &c, &d->estimates[i]);
        d->services[i] = (struct epoch_service){
                .floor_milli = s->floor_milli,
                .baseline_milli = s->baseline_milli,
                .max_milli = s->max_milli,
                .bound_milli = s->bound_milli,
                .weight = s->weight,
                .target_ms = s->target_ms,
                .elasticity = s->elasticity,
                .latency_ms = row->latency_ms,
                .latency_at_milli = row->latency_at_milli,
                .cpu_ms = row->cpu_ms,
                .work_milli_ms = s->work_milli_ms,
                .is_work_told = s->is_work_told,
                .was_unbounded = s->was_unbounded,
                .ceiling_milli = row->ceiling_milli,
                .part_ms = s->part_ms,
                .credit = s->credit,
                .recent_milli = { s->recent_0_milli, s->recent_1_milli, s->recent_2_milli, s->recent_3_milli },
                .group = row->slice,
        };
        epoch_take_estimate(&d->services[i], &d->estimates[i]);
}

static int decide(struct replay *r, struct epoch_data *d, struct epoch_outcome *ret)
{
        const struct history_epoch *e = d->row;
        struct epoch_rules rules = {
                .capacity_milli = e->capacity_milli,
                .reserve_milli = e->reserve_milli,
                .unmanaged_milli = e->unmanaged_milli,
                .headroom_milli = e->headroom_milli,
                .spare = e->spare,
                .overload = (enum overload_rule)overload_rule_from_string(e->overload),
                .enforce = (enum enforce)enforce_from_string(e->enforce),
                .is_frozen = e->is_frozen,
                .sensitivity_per_ms = e->sensitivity_per_ms,
                .epsilon = e->epsilon,
                .max_iterations = e->max_iterations,
                .epoch_sec = (double)e->epoch_usec / 1e6,
        };
        struct epoch_workspace w;

        epoch_workspace_init(&w, d->workspace, d->n, d->n_groups, e->max_coalition_size);
        return epoch_decide(&r->state, &rules, d->services, d->n, r->graph_id > 0 ? &r->graph : NULL, d->groups,
                            d->n_groups, &w, d->decisions, d->group_weights, ret);
}

static bool same(double a, double b)
{
        return a == b || (isnan(a) && isnan(b));
}

#define DIFFERS(what, wanted, got) \
        (snprintf(reterr, 256, "epoch %" PRIu64 ", %s %zu: recorded %.17g, now %.17g", d->row->id, what, i, \
                  (double)(wanted), (double)(got)), -EILSEQ)

static int compare(const struct epoch_data *d, int result, const struct epoch_outcome *o, char reterr[static 256])
{
        const struct history_service *row = ROWS(d, HISTORY_SERVICES, history_service);
        const struct history_slice *slice = ROWS(d, HISTORY_SLICES, history_slice);
        size_t i = 0;
        uint64_t digest;

        if (result != d->row->error)
                return DIFFERS("result", d->row->error, result);
        for (i = 0; i < d->n; i++) {
                if (!same(row[i].load_milli, d->services[i].load_milli))
                        return DIFFERS("load of service", row[i].load_milli, d->services[i].load_milli);
                if (!same(row[i].need_milli, d->services[i].need_milli))
                        return DIFFERS("need of service", row[i].need_milli, d->services[i].need_milli);
        }
        if (result != 0)
                return 1;
        for (i = 0; i < d->n; i++) {
                if (row[i].alloc_milli != d->decisions[i].alloc_milli)
                        return DIFFERS("allocation of service", row[i].alloc_milli, d->decisions[i].alloc_milli);
                if (row[i].quota_milli != d->decisions[i].quota_milli)
                        return DIFFERS("quota of service", row[i].quota_milli, d->decisions[i].quota_milli);
                if (row[i].cpu_weight != d->decisions[i].cpu_weight)
                        return DIFFERS("weight of service", row[i].cpu_weight, d->decisions[i].cpu_weight);
                if (!same(row[i].credit, d->decisions[i].credit))
                        return DIFFERS("credit of service", row[i].credit, d->decisions[i].credit);
        }
        for (i = 0; i < d->n_groups; i++)
                if (slice[i].cpu_weight != d->group_weights[i])
                        return DIFFERS("weight of slice", slice[i].cpu_weight, d->group_weights[i]);
        i = 0;
        if (!same(d->row->v_after, o->gate.v_after))
                return DIFFERS("V", d->row->v_after, o->gate.v_after);
        digest = epoch_digest(d->decisions, d->n, d->group_weights, d->n_groups, o);
        if (digest != d->row->digest)
                return DIFFERS("digest", d->row->digest, digest);
        return 1;
}

static void carry(struct replay *r, struct epoch_data *d, int result)
{
        for (size_t i = 0; i < d->n; i++) {
                struct history_state *s = &d->carried[i].state;
                const struct demand_state *demand = &d->demand[i];
                const struct epoch_decision *decision = &d->decisions[i];

                s->load_milli = demand->load_milli;
                s->stall_baseline = demand->stall_baseline;
                s->n_estimates = demand->n_estimates;
                s->n_missing = demand->n_missing;
                s->throttle_raise = demand->throttle_raise;
                s->believed_usec = demand->believed_usec;
                s->n_unproven = demand->n_unproven;
                s->has_stall_baseline = demand->has_stall_baseline;
                s->is_elastic = demand->is_elastic;
                if (result != 0)
                        continue;
                s->recent_3_milli = s->recent_2_milli;
                s->recent_2_milli = s->recent_1_milli;
                s->recent_1_milli = s->recent_0_milli;
                s->recent_0_milli = decision->alloc_milli;
                s->work_milli_ms = decision->work_milli_ms;
                s->is_work_told = decision->is_work_told;
                s->was_unbounded = decision->is_unbounded;
                s->part_ms = decision->part_ms;
                s->credit = decision->credit;
        }
        free(r->carried);
        r->carried = d->carried;
        r->n_carried = d->n;
        d->carried = NULL;
}

static int prepare(struct replay *r, struct history_db *db, struct epoch_data *d)
{
        int e = 0;

        for (size_t k = HISTORY_EPOCHS + 1; k < HISTORY_PATHS && e == 0; k++)
                e = history_db_read(db, k, d->row->id, &d->tables[k]);
        if (e < 0)
                return e;
        d->n = d->tables[HISTORY_SERVICES].n;
        d->n_groups = d->tables[HISTORY_SLICES].n;
        d->carried = calloc(d->n + 1, sizeof *d->carried);
        d->services = calloc(d->n + 1, sizeof *d->services);
        d->demand = calloc(d->n + 1, sizeof *d->demand);
        d->estimates = calloc(d->n + 1, sizeof *d->estimates);
        d->groups = calloc(d->n_groups + 1, sizeof *d->groups);
        d->decisions = calloc(d->n + 1, sizeof *d->decisions);
        d->group_weights = calloc(d->n_groups + 1, sizeof *d->group_weights);
        d->workspace = malloc(epoch_workspace_size(d->n, d->n_groups, d->row->max_coalition_size));
        if (!d->carried || !d->services || !d->demand || !d->estimates || !d->groups || !d->decisions ||
            !d->group_weights || !d->workspace)
                return -ENOMEM;
        if (d->row->is_key)
                e = read_frame(r, d);
        if (e == 0)
                e = gather_states(r, d);
        if (e == 0 && (d->row->graph != r->graph_id || d->row->is_key)) {
                e = read_graph(r, db, d);
                if (e == 0)
                        e = read_values(r, d);
        }
        for (size_t g = 0; g < d->n_groups && e == 0; g++) {
                const struct history_slice *s = &ROWS(d, HISTORY_SLICES, history_slice)[g];

                d->groups[g] = (struct enforce_group){
                        .parent = s->parent == HISTORY_NONE ? ENFORCE_NO_GROUP : s->parent,
                        .prior_weight = s->prior_weight,
                        .may_change = s->may_change,
                        .busy_unmanaged_weight = s->busy_unmanaged_weight,
                };
        }
        return e;
}

static void data_done(struct epoch_data *d)
{
        for (size_t k = 0; k < _HISTORY_TABLE_MAX; k++)
                history_rows_free(k, &d->tables[k]);
        free(d->carried);
        free(d->services);
        free(d->demand);
        free(d->estimates);
        free(d->groups);
        free(d->decisions);
        free(d->group_weights);
        free(d->workspace);
}

int replay_epoch(struct replay *r, struct history_db *db, const struct history_epoch *e, char reterr[static 256])
{
        struct epoch_data d = { .row = e };
        struct epoch_outcome outcome = { 0 };
        int result, x;

        snprintf(reterr, 256, "epoch %" PRIu64 " cannot be read", e->id);
        if (!r->has_begun && !e->is_key)
                return 0;
        x = prepare(r, db, &d);
        if (x == 0) {
                r->has_begun = true;
                for (size_t i = 0; i < d.n; i++)
                        estimate(&d, i);
                epoch_read_waits(d.services, d.n, r->waits, r->n_waits);
                for (size_t i = 0; i < d.n; i++)
                        epoch_raise_need(&d.services[i], &d.estimates[i]);
                result = decide(r, &d, &outcome);
                x = compare(&d, result, &outcome, reterr);
                carry(r, &d, result);
        }
        data_done(&d);
        return x;
}
