/* SPDX-License-Identifier: MIT */

#include "daemon/record.h"

#include "config.h"

#include "daemon/reports.h"
#include "daemon/services.h"
#include "platform/history_db.h"
#include "platform/history_writer.h"
#include "util/cleanup.h"
#include "util/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define USEC_PER_MS 1000.0
/* What a stop waits for the disk. */
#define STOP_PATIENCE_USEC (UINT64_C(3) * 1000000)

struct record {
        struct history_writer *writer;
        char *path;

        /* the epoch under way */
        struct history_item *item;      /* NULL: none, or it is lost */
        struct service **owners;        /* of its services' rows */
        size_t n_owners_allocated;
        double weight_sum;
        bool has_inputs;
        bool has_new_graph;

        /* over epochs */
        uint64_t attempt;
        uint64_t graph_number;
        uint64_t frame_follows;         /* digest */
        uint64_t n_writes_before;
        unsigned n_since_key;
        bool must_be_key;

        /* told */
        int error;
        bool has_told_behind;
};

/* ---- life ------------------------------------------------------------------------------------------ */

void record_start(struct daemon *d)
{
        struct record *rec = calloc(1, sizeof *rec);
        int r = -ENOMEM;

        if (rec && d->state_dir && asprintf(&rec->path, "%s/%s", d->state_dir, HISTORY_DB_NAME) < 0)
                rec->path = NULL;
        /* Rows of an epoch live for milliseconds: their memory is to go back to the kernel, and not to become heap of
         * the same size, which it does once glibc has seen such a block freed. */
        (void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
        if (rec && rec->path)
                r = history_writer_new(rec->path, PACKAGE_VERSION, &rec->writer);
        if (r < 0) {
                log_errno(LOG_WARNING, MSG_HISTORY_FAILED, r, "Epochs are not recorded");
                if (rec)
                        free(rec->path);
                free(rec);
                return;
        }
        d->record = rec;
        record_configure(d);
}

void record_configure(struct daemon *d)
{
        if (d->record)
                history_writer_bound(d->record->writer, d->config->history_max_age_usec,
                                     d->config->history_max_bytes);
}

void record_stop(struct daemon *d)
{
        struct record *rec = d->record;

        if (!rec)
                return;
        (void)history_writer_free(rec->writer, STOP_PATIENCE_USEC);
        (void)history_item_free(rec->item);
        free(rec->owners);
        free(rec->path);
        free(rec);
        d->record = NULL;
}

static void drop(struct record *rec)
{
        if (rec->item)
                history_writer_count_dropped(rec->writer);
        rec->item = history_item_free(rec->item);
        rec->must_be_key = true;
}

uint64_t record_n_dropped(const struct daemon *d)
{
        return d->record ? history_writer_n_dropped(d->record->writer) : 0;
}

/* ---- what the writer says --------------------------------------------------------------------------- */

static void tell_error(struct record *rec, const struct history_news *news)
{
        if (news->error == -EPROTONOSUPPORT)
                log_plain(LOG_WARNING, MSG_HISTORY_FAILED,
                          "%s was written by a newer version of coallocd and is left alone: epochs are not recorded. Move it away to begin a new one.",
                          rec->path);
        else if (news->error == -EBUSY)
                log_plain(LOG_WARNING, MSG_HISTORY_FAILED,
                          "Another process holds %s: epochs wait, and are lost if it does so for long.", rec->path);
        else if (news->error < 0)
                log_errno(LOG_WARNING, MSG_HISTORY_FAILED, news->error,
                          "Could not write %s; epochs are missing in the record until it can be written", rec->path);
        else
                log_plain(LOG_INFO, MSG_HISTORY_FAILED, "%s is written again; %" PRIu64 " epochs are missing so far.",
                          rec->path, news->n_dropped);
}

/* Return: is a key wanted? */
static bool take_news(struct record *rec)
{
        struct history_news news;

        history_writer_news(rec->writer, &news);
        if (news.put_aside) {
                log_plain(LOG_WARNING, MSG_HISTORY_DAMAGED,
                          "The record of epochs was damaged: it is kept as %s, and a new one was begun.",
                          news.put_aside);
                free(news.put_aside);
        }
        if (news.error != rec->error)
                tell_error(rec, &news);
        rec->error = news.error;
        return news.needs_key;
}

/* ---- an epoch: before the estimates ------------------------------------------------------------------ */

void record_begin(struct daemon *d, double weight_sum)
{
        struct record *rec = d->record;
        size_t n = d->n_services;

        if (!rec)
                return;
        if (rec->item)
                drop(rec);      /* the epoch before did not come to an end */
        rec->has_inputs = false;
        if (d->config->history_max_bytes == 0) {
                rec->must_be_key = true;
                return;
        }
        rec->weight_sum = weight_sum;
        if (n > rec->n_owners_allocated) {
                size_t more = n + n / 2 + 16;
                struct service **owners = reallocarray(rec->owners, more, sizeof *owners);

                if (!owners)
                        return;
                rec->owners = owners;
                rec->n_owners_allocated = more;
        }
        rec->item = history_item_new();
}

void record_window(struct daemon *d, struct service *s, const struct demand_context *c)
{
        const struct demand_state *state = &s->demand;
        struct record *rec = d->record;
        struct history_service *row;

        if (!rec || !rec->item)
                return;
        s->recorded.load_milli = state->load_milli;
        s->recorded.stall_baseline = state->stall_baseline;
        s->recorded.throttle_raise = state->throttle_raise;
        s->recorded.believed_usec = state->believed_usec;
        s->recorded.n_estimates = state->n_estimates;
        s->recorded.n_missing = state->n_missing;
        s->recorded.n_unproven = state->n_unproven;
        s->recorded.has_stall_baseline = state->has_stall_baseline;
        s->recorded.is_elastic = state->is_elastic;

        if (rec->item->tables[HISTORY_SERVICES].n == 0 &&
            history_reserve(rec->item, HISTORY_SERVICES, d->n_services) < 0) {
                drop(rec);
                return;
        }
        row = history_add(rec->item, HISTORY_SERVICES);
        if (!row) {
                drop(rec);
                return;
        }
        rec->owners[rec->item->tables[HISTORY_SERVICES].n - 1] = s;
        *row = (struct history_service){
                .n_samples = state->n_samples,
                .has_pressure = state->has_pressure,
                .wall_usec = state->wall_usec,
                .used_usec = state->used_usec,
                .stalled_usec = state->stalled_usec,
                .use_peak_milli = state->use_peak_milli,
                .throttled_usec = state->throttled_usec,
                .bandwidth_wall_usec = state->bandwidth_wall_usec,
                .n_periods = state->n_periods,
                .n_throttled = state->n_throttled,
                .quota_before_milli = s->quota.is_ours ? quota_milli_from_usec(s->quota.applied)
                                                       : QUOTA_NONE_MILLI,
                .is_starting = c->is_starting,
                .is_called = c->is_called,
        };
}

void record_new_graph(struct daemon *d)
{
        if (!d->record)
                return;
        d->record->graph_number++;
        d->record->has_new_graph = true;
}

/* ---- what is remembered ------------------------------------------------------------------------------ */

/* FNV-1a over whole words, 64 bit: the rows are made of them. */
static uint64_t digest(const void *bytes, size_t n)
{
        uint64_t h = UINT64_C(0xcbf29ce484222325), word;
        const char *p = bytes;

        for (; n >= sizeof word; n -= sizeof word, p += sizeof word) {
                memcpy(&word, p, sizeof word);
                h = (h ^ word) * UINT64_C(0x100000001b3);
                h ^= h >> 32;
        }
        return h;
}

static void state_of(const struct service *s, struct history_state *ret)
{
        memset(ret, 0, sizeof *ret);
        ret->floor_milli = milli_from_usec(s->config->floor.usec_per_sec);
        ret->baseline_milli = milli_from_usec(s->config->baseline.usec_per_sec);
        ret->max_milli = s->max_milli;
        ret->bound_milli = s->bound_milli;
        ret->weight = s->config->weight;
        ret->target_ms = s->config->latency_target_usec / USEC_PER_MS;
        ret->elasticity = s->config->elasticity;
        ret->recent_0_milli = s->recent_milli[0];
        ret->recent_1_milli = s->recent_milli[1];
        ret->recent_2_milli = s->recent_milli[2];
        ret->recent_3_milli = s->recent_milli[3];
        if (s->has_decision) {
                ret->work_milli_ms = s->decision.work_milli_ms;
                ret->is_work_told = s->decision.is_work_told;
                ret->was_unbounded = s->decision.is_unbounded;
                ret->part_ms = s->decision.part_ms;
        }
        ret->credit = s->credit;
}

static void learned_before(const struct recorded *before, struct history_state *ret)
{
        ret->load_milli = before->load_milli;
        ret->stall_baseline = before->stall_baseline;
        ret->throttle_raise = before->throttle_raise;
        ret->believed_usec = before->believed_usec;
        ret->n_estimates = before->n_estimates;
        ret->n_missing = before->n_missing;
        ret->n_unproven = before->n_unproven;
        ret->has_stall_baseline = before->has_stall_baseline;
        ret->is_elastic = before->is_elastic;
}

static void learned_now(const struct demand_state *now, struct history_state *ret)
{
        ret->load_milli = now->load_milli;
        ret->stall_baseline = now->stall_baseline;
        ret->throttle_raise = now->throttle_raise;
        ret->believed_usec = now->believed_usec;
        ret->n_estimates = now->n_estimates;
        ret->n_missing = now->n_missing;
        ret->n_unproven = now->n_unproven;
        ret->has_stall_baseline = now->has_stall_baseline;
        ret->is_elastic = now->is_elastic;
}

static void set_word(char ret[static HISTORY_WORD_MAX], const char *word)
{
        (void)snprintf(ret, HISTORY_WORD_MAX, "%s", word);
}

static void frame_of(const struct epoch_state *state, struct history_frame *ret)
{
        const struct gate_record *last = gate_history_at(&state->history, 0);

        memset(ret, 0, sizeof *ret);
        ret->state_epoch = state->epoch;
        ret->n_previous = (uint32_t)state->n_previous;
        ret->step_max = state->monitor.step_max;
        ret->hardship_previous = state->monitor.hardship_previous;
        ret->load_previous_milli = state->monitor.load_previous_milli;
        ret->n_wrong = state->monitor.n_wrong;
        ret->n_frozen_left = state->monitor.n_frozen_left;
        ret->recent_hardship_0 = state->recent_hardship[0];
        ret->recent_hardship_1 = state->recent_hardship[1];
        ret->recent_hardship_2 = state->recent_hardship[2];
        ret->recent_hardship_3 = state->recent_hardship[3];
        ret->price_smooth = state->price.smooth;
        ret->price_hour = state->price.hour;
        ret->next_valued = (uint32_t)state->next_valued;
        if (!last)
                return;
        ret->has_last = true;
        ret->last_v_before = last->v_before;
        ret->last_v_after = last->v_after;
        ret->last_action = last->action;
        ret->last_workload = last->workload;
        ret->last_step = last->step;
        ret->last_hardship = last->hardship;
        ret->last_scarcity = last->scarcity;
        set_word(ret->last_tier, tier_to_string(last->tier));
        set_word(ret->last_verdict, verdict_to_string(last->verdict));
}

/* ---- an epoch: inputs ---------------------------------------------------------------------------------- */

/* Some had a window and then do not play after all. Return: false if somebody plays of whom there is none. */
static bool keep_players(struct daemon *d)
{
        struct history_rows *rows = &d->record->item->tables[HISTORY_SERVICES];
        struct history_service *services = rows->rows;
        size_t from = 0;

        for (size_t i = 0; i < d->n_players; i++) {
                const struct service *s = d->players[i];
                uint32_t came_from = s->recorded.attempt == d->record->attempt - 1 ? s->recorded.position
                                                                                   : HISTORY_NONE;

                while (from < rows->n && d->record->owners[from] != s)
                        from++;
                if (from == rows->n)
                        return false;
                services[i] = services[from++];
                services[i].position = (uint32_t)i;
                services[i].came_from = came_from;
                services[i].latency_ms = d->inputs[i].latency_ms;
                services[i].latency_at_milli = d->inputs[i].latency_at_milli;
                services[i].cpu_ms = d->inputs[i].cpu_ms;
                services[i].ceiling_milli = d->inputs[i].ceiling_milli;
                services[i].slice = (uint32_t)d->inputs[i].group;
        }
        rows->n = d->n_players;
        return true;
}

static int add_states(struct daemon *d, bool is_key)
{
        struct history_item *item = d->record->item;
        struct history_service *services = item->tables[HISTORY_SERVICES].rows;

        if (is_key && history_reserve(item, HISTORY_STATES, d->n_players) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < d->n_players; i++) {
                const struct service *s = d->players[i];
                struct history_state state, *row;

                state_of(s, &state);
                learned_before(&s->recorded, &state);
                if (!is_key && services[i].came_from != HISTORY_NONE && digest(&state, sizeof state) == s->recorded.follows)
                        continue;
                row = history_add(item, HISTORY_STATES);
                if (!row)
                        return -ENOMEM;
                *row = state;
                row->position = (uint32_t)i;
                row->unit_name = strdup(s->unit);
                row->service_name = strdup(s->config->name);
                services[i].came_from = HISTORY_NONE;
                if (!row->unit_name || !row->service_name)
                        return -ENOMEM;
        }
        return 0;
}

static int add_slices(struct daemon *d)
{
        for (size_t g = 0; g < d->n_groups; g++) {
                const struct enforce_group *group = &d->enforce_groups[g];
                struct history_slice *row = history_add(d->record->item, HISTORY_SLICES);

                if (!row)
                        return -ENOMEM;
                *row = (struct history_slice){
                        .slice = (uint32_t)g,
                        .name = strdup(g == 0 ? "-.slice" : d->groups[g].service->unit),
                        .parent = group->parent == ENFORCE_NO_GROUP ? HISTORY_NONE : (uint32_t)group->parent,
                        .prior_weight = group->prior_weight,
                        .may_change = group->may_change,
                        .busy_unmanaged_weight = group->busy_unmanaged_weight,
                };
                if (!row->name)
                        return -ENOMEM;
        }
        return 0;
}

static int add_paths(struct daemon *d, const struct epoch_graph *graph)
{
        const char *const *names = graph_path_names(d->calls);
        struct history_item *item = d->record->item;

        for (size_t p = 0; p < graph->paths.n_paths; p++) {
                struct history_path *path = history_add(item, HISTORY_PATHS);

                if (!path)
                        return -ENOMEM;
                *path = (struct history_path){
                        .path = (uint32_t)p,
                        .name = strdup(names[p]),
                        .weight = graph->path[p].weight,
                        .target_ms = graph->path[p].target_ms,
                };
                if (!path->name)
                        return -ENOMEM;
                for (size_t k = graph->paths.first[p]; k < graph->paths.first[p + 1]; k++) {
                        struct history_path_member *m = history_add(item, HISTORY_PATH_MEMBERS);

                        if (!m)
                                return -ENOMEM;
                        *m = (struct history_path_member){
                                .path = (uint32_t)p,
                                .position = (uint32_t)(k - graph->paths.first[p]),
                                .service = (uint32_t)graph->paths.members[k],
                        };
                }
        }
        return 0;
}

static int add_coalition_members(struct history_item *item, const struct epoch_graph *graph)
{
        for (size_t c = 0; c < graph->n_coalitions; c++)
                for (size_t k = 0; k < graph->coalitions[c].n; k++) {
                        struct history_coalition_member *m = history_add(item, HISTORY_COALITION_MEMBERS);

                        if (!m)
                                return -ENOMEM;
                        *m = (struct history_coalition_member){
                                .coalition = (uint32_t)c,
                                .position = (uint32_t)k,
                                .id = graph->coalitions[c].id,
                                .service = (uint32_t)graph->members[graph->coalitions[c].first + k],
                        };
                }
        return 0;
}

static int add_waits(struct daemon *d)
{
        size_t n_waits;
        const struct call *waits = graph_waits(d->calls, &n_waits);

        for (size_t i = 0; i < n_waits; i++) {
                struct history_wait *w = history_add(d->record->item, HISTORY_WAITS);

                if (!w)
                        return -ENOMEM;
                *w = (struct history_wait){
                        .position = (uint32_t)i,
                        .caller_service = (uint32_t)waits[i].caller,
                        .callee_service = (uint32_t)waits[i].callee,
                        .weight = waits[i].weight,
                };
        }
        return 0;
}

static int add_value(struct history_item *item, const struct epoch_coalition *coalition, size_t c)
{
        const struct coalition_value *v = &coalition->value;
        struct history_value *row = history_add(item, HISTORY_VALUES);
        uint32_t position = 0;

        if (!row)
                return -ENOMEM;
        *row = (struct history_value){
                .coalition = (uint32_t)c,
                .value_epoch = v->epoch,
                .seed = v->seed,
                .worth = v->worth,
                .max_excess = v->max_excess,
                .half_width = v->half_width,
                .blocking = v->blocking,
                .valued_active = coalition->valued_active,
                .is_stable = v->is_stable,
                .is_exact = v->is_exact,
                .is_repaired = v->is_repaired,
        };
        /* By position among those who took part. */
        for (uint32_t bits = coalition->valued_active; bits; bits &= bits - 1, position++) {
                struct history_value_member *m = history_add(item, HISTORY_VALUE_MEMBERS);

                if (!m)
                        return -ENOMEM;
                *m = (struct history_value_member){
                        .coalition = (uint32_t)c,
                        .position = position,
                        .shapley = v->shapley[position],
                        .imputation = v->imputation[position],
                };
        }
        return 0;
}

static int add_graph(struct daemon *d, const struct epoch_graph *graph)
{
        struct history_item *item = d->record->item;
        int r = add_paths(d, graph);

        if (r == 0)
                r = add_coalition_members(item, graph);
        if (r == 0)
                r = add_waits(d);
        for (size_t c = 0; c < graph->n_coalitions && r == 0; c++)
                if (graph->coalitions[c].value.epoch > 0)
                        r = add_value(item, &graph->coalitions[c], c);
        return r;
}

static int add_host(struct daemon *d, const struct epoch_rules *rules, bool is_key)
{
        struct record *rec = d->record;
        struct history_epoch *e = history_add(rec->item, HISTORY_EPOCHS);
        struct timespec now;

        if (!e)
                return -ENOMEM;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        *e = (struct history_epoch){
                .time_usec = (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000,
                .is_key = is_key,
                .n_services = (uint32_t)d->n_players,
                .n_writes = (uint32_t)(d->n_writes - rec->n_writes_before),
                .epoch_usec = d->config->epoch_usec,
                .sample_interval_usec = d->config->sample_interval_usec,
                .capacity_milli = rules->capacity_milli,
                .reserve_milli = rules->reserve_milli,
                .unmanaged_milli = rules->unmanaged_milli,
                .headroom_milli = rules->headroom_milli,
                .spare = rules->spare,
                .is_frozen = rules->is_frozen,
                .sensitivity_per_ms = rules->sensitivity_per_ms,
                .epsilon = rules->epsilon,
                .max_iterations = rules->max_iterations,
                .max_coalition_size = d->config->max_coalition_size,
                .host_idle_share = d->host_idle_share,
                .weight_sum = rec->weight_sum,
        };
        set_word(e->mode, config_mode_to_string(d->mode));
        set_word(e->overload, overload_rule_to_string(rules->overload));
        set_word(e->enforce, enforce_to_string(rules->enforce));
        return 0;
}

void record_inputs(struct daemon *d, const struct epoch_rules *rules)
{
        const struct epoch_graph *graph = graph_epoch(d->calls);
        struct record *rec = d->record;
        struct history_frame frame, *row;
        bool wants_key, is_key;
        int r = 0;

        if (!rec)
                return;
        wants_key = take_news(rec);
        if (!rec->item)
                return;
        rec->attempt++;
        frame_of(&d->epoch, &frame);
        is_key = wants_key || rec->must_be_key || rec->n_since_key + 1 >= HISTORY_KEY_EPOCHS ||
                 digest(&frame, sizeof frame) != rec->frame_follows;
        if (!keep_players(d)) {
                drop(rec);
                return;
        }
        if (is_key) {
                row = history_add(rec->item, HISTORY_FRAMES);
                r = row ? 0 : -ENOMEM;
                if (row)
                        *row = frame;
        }
        if (r == 0)
                r = add_host(d, rules, is_key);
        if (r == 0)
                r = add_states(d, is_key);
        if (r == 0)
                r = add_slices(d);
        if (r == 0 && graph) {
                rec->item->graph_number = rec->graph_number;
                if (is_key || rec->has_new_graph)
                        r = add_graph(d, graph);
        }
        if (r < 0) {
                drop(rec);
                return;
        }
        rec->has_inputs = true;
}

/* ---- an epoch: what came of it ------------------------------------------------------------------------- */

static void fill_services(struct daemon *d)
{
        struct history_service *rows = d->record->item->tables[HISTORY_SERVICES].rows;

        for (size_t i = 0; i < d->n_players; i++) {
                const struct epoch_decision *decision = &d->decisions[i];

                rows[i].alloc_milli = decision->alloc_milli;
                rows[i].quota_milli = decision->quota_milli;
                rows[i].cpu_weight = decision->cpu_weight;
                rows[i].coalition = decision->coalition == EPOCH_NO_COALITION ? HISTORY_NONE
                                                                              : (uint32_t)decision->coalition;
                rows[i].credit = decision->credit;
                rows[i].is_satisfied = decision->is_satisfied;
                rows[i].is_unbounded = decision->is_unbounded;
        }
}

static int fill_coalitions(struct daemon *d)
{
        const struct epoch_graph *graph = graph_epoch(d->calls);

        for (size_t c = 0; graph && c < graph->n_coalitions; c++) {
                const struct epoch_coalition *coalition = &graph->coalitions[c];
                struct history_coalition *row = history_add(d->record->item, HISTORY_COALITIONS);

                if (!row)
                        return -ENOMEM;
                *row = (struct history_coalition){
                        .coalition = (uint32_t)c,
                        .is_formed = coalition->is_formed,
                        .active = coalition->active,
                        .total_milli = coalition->total_milli,
                        .worth = coalition->plan.worth,
                        .price = coalition->plan.price,
                        .v_before = coalition->division.v_before,
                        .v_after = coalition->division.v_after,
                };
        }
        return 0;
}

static void fill_outcome(struct daemon *d)
{
        struct history_epoch *e = history_item_epoch(d->record->item);
        const struct epoch_outcome *o = &d->outcome;
        struct history_slice *slices = d->record->item->tables[HISTORY_SLICES].rows;
        double allocated_milli = 0;

        for (size_t i = 0; i < d->n_players; i++)
                allocated_milli += fmax(0, (double)d->decisions[i].alloc_milli);
        for (size_t g = 0; g < d->n_groups; g++)
                slices[g].cpu_weight = d->group_weights[g];
        set_word(e->tier, tier_to_string(o->market.tier));
        set_word(e->verdict, verdict_to_string(o->gate.verdict));
        e->step = o->gate.step;
        e->v_before = o->gate.v_before;
        e->v_after = o->gate.v_after;
        e->v_market = o->v_market;
        e->v_division = o->v_division;
        e->scarcity = o->market.scarcity;
        e->shadow_price = o->market.shadow_price;
        e->bargained_milli = o->bargained_milli;
        e->allocated_milli = allocated_milli;
        e->hardship = o->hardship;
        e->is_held = o->is_frozen;
        e->is_rolled_back = o->is_rolled_back;
        e->n_formed = (uint32_t)o->n_formed;
        e->n_valued = (uint32_t)o->n_valued;
        e->digest = epoch_digest(d->decisions, d->n_players, d->group_weights, d->n_groups, o);
}

/* What whoever reruns the record has now: only what is something else in the next epoch is said again. */
static void remember_what_follows(struct daemon *d)
{
        struct record *rec = d->record;
        struct history_frame frame;

        frame_of(&d->epoch, &frame);
        rec->frame_follows = digest(&frame, sizeof frame);
        for (size_t i = 0; i < d->n_players; i++) {
                struct service *s = d->players[i];
                struct history_state state;

                state_of(s, &state);
                learned_now(&s->demand, &state);
                s->recorded.follows = digest(&state, sizeof state);
                s->recorded.attempt = rec->attempt;
                s->recorded.position = (uint32_t)i;
        }
}

void record_epoch(struct daemon *d, int result)
{
        struct record *rec = d->record;
        struct history_service *rows;
        int r = 0;

        if (!rec)
                return;
        if (!rec->item || !rec->has_inputs) {
                drop(rec);
                return;
        }
        history_item_epoch(rec->item)->error = result;
        rows = rec->item->tables[HISTORY_SERVICES].rows;
        for (size_t i = 0; i < d->n_players; i++) {
                rows[i].need_milli = d->inputs[i].need_milli;
                rows[i].load_milli = d->inputs[i].load_milli;
        }
        if (result == 0) {
                fill_services(d);
                fill_outcome(d);
                r = fill_coalitions(d);
        }
        if (r < 0) {
                drop(rec);
                return;
        }
        remember_what_follows(d);
        rec->n_since_key = history_item_epoch(rec->item)->is_key ? 0 : rec->n_since_key + 1;
        rec->n_writes_before = d->n_writes;
        rec->must_be_key = rec->has_new_graph = rec->has_inputs = false;
        r = history_writer_put(rec->writer, TAKE_PTR(rec->item));
        if (r == 0)
                return;
        rec->must_be_key = true;
        if (!rec->has_told_behind)
                log_plain(LOG_WARNING, MSG_HISTORY_FAILED,
                          "The disk does not keep up: epochs are missing in %s (HistoryDropped counts them).",
                          rec->path);
        rec->has_told_behind = true;
}
