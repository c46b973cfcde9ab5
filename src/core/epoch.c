/* SPDX-License-Identifier: MIT */

#include "core/epoch_internal.h"

#include <errno.h>
#include <string.h>

#include "core/ledger.h"

void epoch_state_init(struct epoch_state *s, struct gate_record *records, size_t n_records)
{
        *s = (struct epoch_state) {
                .history = { .records = records, .size = n_records },
        };
        gate_monitor_init(&s->monitor);
        price_memory_init(&s->price);
        for (size_t i = 0; i < EPOCH_RECENT; i++)
                s->recent_hardship[i] = NAN;
}

/* ---- workspace --------------------------------------------------------------------------------- */

/* Hands out pieces of a buffer; with a NULL buffer it only measures. */
struct carver {
        char *base;
        size_t offset;
};

static void *carve(struct carver *c, size_t n, size_t size)
{
        size_t at = (c->offset + 15) & ~(size_t)15;

        c->offset = at + n * size;
        return c->base ? c->base + at : NULL;
}

static size_t workspace_carve(struct epoch_workspace *w, void *buffer, size_t n, size_t n_groups,
                              unsigned n_members_max)
{
        struct carver c = { .base = buffer };
        unsigned n_exact = n_members_max < COALITION_EXACT_MAX ? n_members_max : COALITION_EXACT_MAX;
        size_t n_subsets = n_members_max >= 2 ? (size_t)1 << n_exact : 0;

        *w = (struct epoch_workspace) {
                .n_max = n,
                .n_groups_max = n_groups,
                .n_members_max = n_members_max,
        };
        w->players = carve(&c, n, sizeof *w->players);
        w->x = carve(&c, n, sizeof *w->x);
        w->reference = carve(&c, n, sizeof *w->reference);
        w->target = carve(&c, n, sizeof *w->target);
        w->old = carve(&c, n, sizeof *w->old);
        w->next = carve(&c, n, sizeof *w->next);
        w->need = carve(&c, n, sizeof *w->need);
        w->weight = carve(&c, n, sizeof *w->weight);
        w->importance = carve(&c, n, sizeof *w->importance);
        w->coalition_of = carve(&c, n, sizeof *w->coalition_of);
        w->latency = carve(&c, n, sizeof *w->latency);
        w->slo = carve(&c, n, sizeof *w->slo);
        w->part_ms = carve(&c, n, sizeof *w->part_ms);
        w->entity_of = carve(&c, n, sizeof *w->entity_of);
        w->entity_target = carve(&c, n, sizeof *w->entity_target);
        w->entity_old = carve(&c, n, sizeof *w->entity_old);
        w->entity_next = carve(&c, n, sizeof *w->entity_next);
        w->entity_lower = carve(&c, n, sizeof *w->entity_lower);
        w->entity_upper = carve(&c, n, sizeof *w->entity_upper);
        w->entity_weight = carve(&c, n, sizeof *w->entity_weight);
        w->entity_reference = carve(&c, n, sizeof *w->entity_reference);
        w->entity_sum = carve(&c, n, sizeof *w->entity_sum);
        w->entity_gain = carve(&c, n, sizeof *w->entity_gain);
        w->worth = carve(&c, n_subsets, sizeof *w->worth);
        w->more = carve(&c, n_subsets, sizeof *w->more);
        w->market.order = carve(&c, n, sizeof *w->market.order);
        w->market.bound = carve(&c, n, sizeof *w->market.bound);
        w->market.share = carve(&c, n, sizeof *w->market.share);
        w->market.bound_milli = carve(&c, n, sizeof *w->market.bound_milli);
        w->market.share_milli = carve(&c, n, sizeof *w->market.share_milli);
        w->view.lower_milli = carve(&c, n, sizeof *w->view.lower_milli);
        w->view.upper_milli = carve(&c, n, sizeof *w->view.upper_milli);
        w->view.weight = carve(&c, n, sizeof *w->view.weight);
        w->view.gain = carve(&c, n, sizeof *w->view.gain);
        w->view.rounding_weight = carve(&c, n, sizeof *w->view.rounding_weight);
        w->path_cover = carve(&c, n, sizeof *w->path_cover);
        w->enforce_services = carve(&c, n, sizeof *w->enforce_services);
        w->settings = carve(&c, n, sizeof *w->settings);
        w->enforce.levels = carve(&c, n_groups, sizeof *w->enforce.levels);
        /* Enforcement runs when the market is done: it may use the same scratch. */
        w->enforce.order = w->market.order;
        w->enforce.weight = w->market.bound;
        w->enforce.bound = w->market.bound_milli;
        w->enforce.share = w->market.share_milli;
        return c.offset;
}

size_t epoch_workspace_size(size_t n, size_t n_groups, unsigned n_members_max)
{
        struct epoch_workspace w;

        return workspace_carve(&w, NULL, n, n_groups, n_members_max);
}

void epoch_workspace_init(struct epoch_workspace *w, void *buffer, size_t n, size_t n_groups,
                          unsigned n_members_max)
{
        (void)workspace_carve(w, buffer, n, n_groups, n_members_max);
}

/* ---- stages ------------------------------------------------------------------------------------ */

double epoch_bargained_milli(const struct epoch_rules *rules, const struct epoch_service services[],
                             size_t n)
{
        double after_reserve = fmax(0, rules->capacity_milli - rules->reserve_milli);
        double after_unmanaged = fmax(0, rules->capacity_milli -
                                                   fmax(rules->reserve_milli, rules->unmanaged_milli));
        double baselines = 0;

        for (size_t i = 0; i < n; i++)
                baselines += fmin(services[i].baseline_milli, most_of(&services[i]));
        return fmax(after_unmanaged, fmin(after_reserve, baselines));
}

static bool input_is_sane(const struct epoch_run *e)
{
        const struct epoch_rules *r = e->rules;

        if (!isfinite(r->capacity_milli) || r->capacity_milli < 0 || !isfinite(r->reserve_milli) ||
            r->reserve_milli < 0 || !isfinite(r->unmanaged_milli) || r->unmanaged_milli < 0 ||
            !isfinite(r->headroom_milli) || r->headroom_milli < 0 || !(r->spare >= 0 && r->spare <= 1) ||
            !(r->sensitivity_per_ms > 0) || !isfinite(r->sensitivity_per_ms) || !(r->epsilon >= 0) ||
            !isfinite(r->epsilon) || r->max_iterations == 0 || !(r->epoch_sec > 0))
                return false;
        for (size_t i = 0; i < e->n; i++) {
                const struct epoch_service *s = &e->services[i];

                if (!isfinite(s->floor_milli) || s->floor_milli < 0 || !isfinite(s->baseline_milli) ||
                    s->baseline_milli < 0 || !(s->max_milli > 0) || !(s->bound_milli > 0) ||
                    !isfinite(s->weight) || s->weight <= 0 || !isfinite(s->need_milli) ||
                    s->need_milli < 0 || !isfinite(s->load_milli) || s->load_milli < 0 ||
                    !(s->hardship >= 0 && s->hardship <= 1) || !(s->target_ms >= 0) ||
                    !isfinite(s->target_ms) || !(s->elasticity >= 0 && s->elasticity <= 1) ||
                    !(s->latency_ms >= 0) || !isfinite(s->latency_ms) ||
                    !(s->latency_at_milli >= 0) || !isfinite(s->latency_at_milli) ||
                    !(s->other_ms >= 0) || !isfinite(s->other_ms) || !(s->cpu_ms >= 0) ||
                    !isfinite(s->cpu_ms) || !(s->work_milli_ms >= 0) || !isfinite(s->work_milli_ms) || !(fabs(s->credit) <= LEDGER_CREDIT_MAX))
                        return false;
        }
        return true;
}

/* A service as the market sees it: levels in order, max binding all others. */
static struct player player_from(const struct epoch_service *s, double capacity_milli)
{
        double most = most_of(s);
        double u = isfinite(most) ? most : fmax(capacity_milli, s->baseline_milli);
        double d = fmin(s->baseline_milli, u);
        struct player p = {
                .floor_milli = fmin(s->floor_milli, d),
                .baseline_milli = d,
                .need_milli = fmin(fmax(s->need_milli, d), u),
                .max_milli = u,
                .weight = s->weight,
                .held_milli = -1,
        };

        /* Unknown and holding something: that is what it keeps. Unknown and new: its baseline is all
         * that is known of it, and it shares in what is spare. */
        if (!s->is_known && s->recent_milli[0] >= 0)
                p.held_milli = fmin(s->recent_milli[0], u);
        return p;
}

static int solve_market(struct epoch_run *e, double bargained_milli, struct market_outcome *ret)
{
        struct epoch_workspace *w = e->w;
        struct market_rules rules = {
                .capacity_milli = bargained_milli,
                .spare = e->rules->spare,
                .overload = e->rules->overload,
                .max_iterations = e->rules->max_iterations,
        };

        return market_solve(&rules, w->players, e->n, &w->market, &w->view, w->x, ret);
}

/* Services that opted in yield to the price that there would be if nobody did. */
static int respond_to_price(struct epoch_run *e, double bargained_milli, struct price_memory *memory)
{
        struct epoch_workspace *w = e->w;
        struct market_outcome without;
        bool is_anybody_elastic = false;
        double weight = 0;
        int r;

        for (size_t i = 0; i < e->n; i++) {
                w->need[i] = w->players[i].need_milli;
                weight += e->services[i].weight;
                is_anybody_elastic = is_anybody_elastic || e->services[i].elasticity > 0;
        }
        if (!is_anybody_elastic || bargained_milli <= 0)
                return 0;
        r = solve_market(e, bargained_milli, &without);
        if (r != 0)
                return r;
        if (!e->is_frozen)
                price_observe(memory, without.shadow_price, without.tier, weight / bargained_milli,
                              e->rules->epoch_sec);
        for (size_t i = 0; i < e->n; i++) {
                struct player *p = &w->players[i];

                if (e->services[i].elasticity > 0 && p->held_milli < 0)
                        p->need_milli = w->need[i] =
                                price_respond(p->need_milli, memory->smooth, memory->hour,
                                              e->services[i].elasticity, p->baseline_milli,
                                              p->max_milli);
        }
        return 0;
}

/* Credits count under contention only, the more the scarcer CPU is. */
static void weigh_by_credit(struct epoch_run *e, double bargained_milli)
{
        struct market_rules rules = { .capacity_milli = bargained_milli };
        double contention = fmin(1, market_scarcity(&rules, e->w->players, e->n));

        for (size_t i = 0; i < e->n; i++)
                e->w->players[i].weight = e->w->weight[i] =
                        ledger_weight(e->services[i].weight, e->services[i].credit, contention);
}

static double weighted_hardship(const struct epoch_service services[], size_t n)
{
        double sum = 0, weight = 0;

        for (size_t i = 0; i < n; i++)
                if (services[i].is_known && !is_newcomer(&services[i])) {
                        sum += services[i].weight * services[i].hardship;
                        weight += services[i].weight;
                }
        return weight > 0 ? sum / weight : 0;
}

/* What the tier promises: baselines where they can be kept, else floors. */
static double protected_level(const struct player *p, enum tier tier)
{
        switch (tier) {
        case TIER_UNCONGESTED:
        case TIER_CONGESTED:
                return p->held_milli >= 0 ? fmin(p->baseline_milli, p->held_milli) : p->baseline_milli;
        case TIER_OVERLOADED:
                return p->held_milli >= 0 ? fmin(p->floor_milli, p->held_milli) : p->floor_milli;
        default:
                return 0;
        }
}

/* What a service had so many epochs ago. It keeps what it has now if it did not exist then, or if
 * nothing is known of it now. */
static int64_t past_of(const struct epoch_service *s, size_t age)
{
        if (s->is_known && s->recent_milli[age] >= 0)
                return s->recent_milli[age];
        return fmax(s->recent_milli[0], 0);
}

/* What those offer who took part an epoch ago; NAN if one of them is gone: hardship is a mean, and who
 * leaves moves it without anybody's fault. */
static double compared_load(const struct epoch_state *state, const struct epoch_service services[],
                            size_t n)
{
        size_t n_compared = 0;
        double sum = 0;

        for (size_t i = 0; i < n; i++)
                if (!is_newcomer(&services[i])) {
                        sum += services[i].load_milli;
                        n_compared++;
                }
        return n_compared == state->n_previous ? sum : NAN;
}

static bool is_in_coalition(const struct epoch_run *e, size_t i)
{
        return e->w->entity_of[i] < e->w->n_formed;
}

/* What a service may not fall below when an old allocation comes back: a coalition's members their floors,
 * since only the sum of their baselines is promised. */
static double protected_in(const struct epoch_run *e, size_t i, enum tier tier)
{
        const struct player *p = &e->w->players[i];
        double level = protected_level(p, tier);

        return is_in_coalition(e, i) ? fmin(level, p->floor_milli) : level;
}

/* The promised sum of everybody's entity, at an old allocation. */
static bool keeps_promised_sums(const struct epoch_run *e, enum tier tier, size_t age)
{
        double *missing = e->w->entity_sum;

        for (size_t k = 0; k < e->w->n_entities; k++)
                missing[k] = 0;
        for (size_t i = 0; i < e->n; i++)
                missing[e->w->entity_of[i]] += floor(protected_level(&e->w->players[i], tier)) -
                                               (double)past_of(&e->services[i], age);
        for (size_t i = 0; i < e->n; i++)
                if (is_in_coalition(e, i) && missing[e->w->entity_of[i]] > 0)
                        return false;
        return true;
}

/* The least harmful of the remembered allocations, if it is still possible: within what is bargained
 * over, nobody below what is promised nor above its maximum. Needs are not asked: they are part of
 * the model that was wrong. */
static bool find_better_past(const struct epoch_run *e, const struct epoch_state *state, enum tier tier,
                             double bargained_milli, double hardship, int64_t ret_x[])
{
        double best = hardship;
        size_t best_age = EPOCH_RECENT;

        /* recent_milli[0] is in force now and led to the hardship just measured; what an allocation
         * led to was measured one epoch after it was decided. */
        for (size_t age = 1; age < EPOCH_RECENT; age++) {
                double sum = 0;
                bool is_possible = true;

                if (!(state->recent_hardship[age - 1] < best))
                        continue;
                for (size_t i = 0; i < e->n && is_possible; i++) {
                        int64_t x = past_of(&e->services[i], age);

                        sum += x;
                        is_possible = is_newcomer(&e->services[i]) ||
                                      (x >= floor(protected_in(e, i, tier)) &&
                                       x <= ceil(e->w->players[i].max_milli));
                }
                if (is_possible && sum <= bargained_milli && keeps_promised_sums(e, tier, age)) {
                        best = state->recent_hardship[age - 1];
                        best_age = age;
                }
        }
        if (best_age == EPOCH_RECENT)
                return false;
        for (size_t i = 0; i < e->n; i++)
                ret_x[i] = past_of(&e->services[i], best_age);
        return true;
}

/* ---- the gate ---------------------------------------------------------------------------------- */

static void sum_entities(const struct epoch_run *e, const int64_t x[], int64_t ret_sum[])
{
        for (size_t k = 0; k < e->w->n_entities; k++)
                ret_sum[k] = 0;
        for (size_t i = 0; i < e->n; i++)
                ret_sum[e->w->entity_of[i]] += x[i];
}

/* One verdict of the totals' and of every division's. V is the sum of their potentials. */
static void add_divisions(const struct epoch_run *e, struct epoch_outcome *o)
{
        bool is_changed = o->gate.verdict != VERDICT_HOLD;

        o->v_market = o->gate.v_after;
        for (size_t c = 0; c < e->graph->n_coalitions; c++) {
                const struct epoch_coalition *coalition = &e->graph->coalitions[c];
                const struct gate_verdict *v = &coalition->division;

                if (!coalition->is_formed)
                        continue;
                o->gate.v_before += v->v_before;
                o->gate.v_after += v->v_after;
                o->v_division += v->v_after;
                if (e->is_frozen)
                        continue;
                if (v->verdict != VERDICT_HOLD)
                        is_changed = true;
                if (v->verdict != o->gate.verdict || v->verdict == VERDICT_REDUCED) {
                        o->gate.verdict = VERDICT_REDUCED;
                        o->gate.step = o->gate.step > 0 && v->step > 0 ? fmin(o->gate.step, v->step)
                                                                       : fmax(o->gate.step, v->step);
                }
        }
        if (!is_changed)
                o->gate.verdict = VERDICT_HOLD;
}

/* Totals first, then how coalitions divide theirs. */
static int judge(struct epoch_run *e, const struct epoch_state *state, double step_max,
                 enum gate_advice advice, struct epoch_outcome *o)
{
        struct epoch_workspace *w = e->w;
        /* The market is done with it. */
        struct gate_scratch scratch = { .order = w->market.order, .worth = w->market.share };
        struct gate_model model, single, whole;
        int r;

        /* In whole milli, as market_round() left the view. Judged in fractions, where the lower levels use
         * up capacity no whole plan is good, and rounding would decide. */
        r = gate_model_init(&single, e->n, w->view.lower_milli, w->view.upper_milli, w->view.weight,
                            w->view.gain, floor(o->market.spendable_milli), w->reference);
        if (r < 0)
                return r;
        r = gate_model_pool(&single, w->entity_of, w->n_entities, w->entity_lower, w->entity_upper,
                            w->entity_weight, w->entity_gain, w->entity_reference, &model);
        if (r < 0)
                return r;
        sum_entities(e, w->old, w->entity_old);
        sum_entities(e, w->target, w->entity_target);

        if (!e->is_frozen) {
                r = gate_judge(&model, e->has_old ? w->entity_old : NULL, w->entity_target, step_max,
                               &scratch, w->entity_next, &o->gate);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < e->n; i++)
                        w->next[i] = w->entity_next[w->entity_of[i]]; /* of singles; the others follow */
        } else {
                if (advice == GATE_ROLL_BACK && !e->rules->is_frozen)
                        o->is_rolled_back = find_better_past(e, state, o->market.tier, o->bargained_milli,
                                                             o->hardship, w->next);
                /* What is held need not suit the tier, only fit what there is. A way back is the one
                 * change that V does not judge: it is made because V was wrong. */
                whole = single;
                whole.capacity_milli = o->bargained_milli;
                if (!o->is_rolled_back)
                        r = gate_judge(&whole, w->old, w->old, 1, &scratch, w->next, &o->gate);
                if (r < 0)
                        return r;
                sum_entities(e, w->next, w->entity_next);
                o->gate = (struct gate_verdict) {
                        .verdict = VERDICT_HOLD,
                        .v_before = e->has_old ? gate_potential_whole(&model, w->entity_old) : NAN,
                        .v_after = gate_potential_whole(&model, w->entity_next),
                };
        }
        r = epoch_divide_coalitions(e, step_max);
        if (r < 0)
                return r;
        add_divisions(e, o);
        return 0;
}

/* ---- enforcement ------------------------------------------------------------------------------- */

static int enforce_all(struct epoch_run *e, const struct enforce_group groups[], size_t n_groups,
                       const struct epoch_outcome *o, size_t *ret_n_enforced, unsigned ret_group_weight[])
{
        const struct epoch_rules *rules = e->rules;
        struct epoch_workspace *w = e->w;
        size_t n_enforced = 0;
        struct enforce_rules enforce_rules = {
                .mode = rules->enforce,
                .capacity_milli = rules->capacity_milli,
                .bargained_milli = fmax(0, rules->capacity_milli - rules->reserve_milli),
                .reserve_milli = fmax(rules->reserve_milli, rules->unmanaged_milli),
                .headroom_milli = rules->headroom_milli,
        };

        epoch_cover_paths(e);
        for (size_t i = 0; i < e->n; i++) {
                if (e->is_frozen && is_newcomer(&e->services[i]))
                        continue;
                w->enforce_services[n_enforced++] = (struct enforce_service) {
                        .alloc_milli = w->next[i],
                        .load_milli = e->services[i].load_milli,
                        .protected_milli = protected_in(e, i, o->market.tier),
                        .max_milli = e->services[i].max_milli,
                        .group = e->services[i].group,
                        .path_cover = w->path_cover[i],
                        .has_use = e->services[i].has_use,
                        .use_milli = e->services[i].use_milli,
                        .was_unbounded = e->services[i].was_unbounded,
                        .ceiling_milli = e->services[i].ceiling_milli,
                };
        }
        *ret_n_enforced = n_enforced;
        return enforce_settings(&enforce_rules, w->enforce_services, n_enforced, groups, n_groups,
                                &w->enforce, w->settings, ret_group_weight);
}

static struct epoch_decision decision_from(const struct epoch_run *e, size_t i)
{
        const struct epoch_workspace *w = e->w;
        struct epoch_decision d = {
                .need_milli = w->need[i],
                .weight = w->weight[i],
                .target_ms = w->slo[i].target_ms,
                .part_ms = w->part_ms[i],
                .market_milli = w->x[i],
                .coalition = w->coalition_of[i],
                .entitlement_milli = w->target[i],
                .importance = w->importance[i],
                .path_cover = w->path_cover[i],
                .latency = w->latency[i],
                .alloc_milli = w->next[i],
                .quota_milli = QUOTA_NONE_MILLI,
        };

        epoch_remember_work(&e->services[i], &d.work_milli_ms, &d.is_work_told);
        return d;
}

int epoch_decide(struct epoch_state *state, const struct epoch_rules *rules,
                 const struct epoch_service services[], size_t n, struct epoch_graph *graph,
                 const struct enforce_group groups[], size_t n_groups, struct epoch_workspace *w,
                 struct epoch_decision ret[], unsigned ret_group_weight[],
                 struct epoch_outcome *ret_outcome)
{
        struct epoch_graph no_graph = { 0 };
        struct epoch_run e = {
                .rules = rules,
                .services = services,
                .n = n,
                .graph = graph ?: &no_graph,
                .w = w,
        };
        struct epoch_outcome o = { 0 };
        struct epoch_state next = *state;
        const struct gate_record *last = gate_history_at(&state->history, 0);
        enum gate_advice advice;
        size_t n_enforced;
        int r;

        if (n > w->n_max || n_groups > w->n_groups_max || !input_is_sane(&e))
                return -EINVAL;
        r = epoch_read_graph(&e);
        if (r < 0)
                return r;

        /* what is held, and whether anything may change */
        for (size_t i = 0; i < n; i++) {
                e.has_old = e.has_old || !is_newcomer(&services[i]);
                w->old[i] = is_newcomer(&services[i]) ? 0 : services[i].recent_milli[0];
        }
        o.hardship = weighted_hardship(services, n);
        advice = gate_monitor_observe(&next.monitor, last, o.hardship, compared_load(state, services, n));
        o.is_frozen = e.is_frozen = rules->is_frozen || (e.has_old && advice != GATE_GO);

        /* market */
        o.bargained_milli = epoch_bargained_milli(rules, services, n);
        epoch_model_latency(&e);
        for (size_t i = 0; i < n; i++) {
                w->players[i] = player_from(&services[i], rules->capacity_milli);
                if (w->slo[i].target_ms > 0)
                        w->players[i].slo = &w->slo[i];
        }
        r = respond_to_price(&e, o.bargained_milli, &next.price);
        if (r != 0)
                return r;
        weigh_by_credit(&e, o.bargained_milli);
        r = solve_market(&e, o.bargained_milli, &o.market);
        if (r != 0)
                return r;
        r = market_round(&w->view, &o.market, n, &w->market, w->target);
        if (r < 0)
                return r;

        /* coalitions, gate, enforcement */
        epoch_form_coalitions(&e, &next, state->epoch + 1, &o);
        r = judge(&e, state, next.monitor.step_max, advice, &o);
        if (r < 0)
                return r;
        r = enforce_all(&e, groups, n_groups, &o, &n_enforced, ret_group_weight);
        if (r < 0)
                return r;

        /* nothing can fail from here on */
        next.epoch++;
        next.n_previous = n_enforced;
        o.record = (struct gate_record) {
                .epoch = next.epoch,
                .v_before = o.gate.v_before,
                .v_after = o.gate.v_after,
                .action = o.gate.v_after - o.gate.v_before,
                .workload = last ? o.gate.v_before - last->v_after : NAN,
                .step = o.gate.step,
                .hardship = o.hardship,
                .scarcity = o.market.scarcity,
                .tier = o.market.tier,
                .verdict = o.gate.verdict,
        };
        gate_history_push(&next.history, &o.record);
        for (size_t age = EPOCH_RECENT - 1; age > 0; age--)
                next.recent_hardship[age] = next.recent_hardship[age - 1];
        next.recent_hardship[0] = o.hardship;
        *state = next;

        for (size_t i = 0, k = 0; i < n; i++) {
                ret[i] = decision_from(&e, i);
                if (e.is_frozen && is_newcomer(&services[i])) {
                        ret[i].alloc_milli = -1;
                        ret[i].is_satisfied = enforce_is_satisfied(0, services[i].load_milli);
                        continue;
                }
                ret[i].quota_milli = w->settings[k].quota_milli;
                ret[i].cpu_weight = w->settings[k].cpu_weight;
                ret[i].is_satisfied = w->settings[k].is_satisfied;
                ret[i].is_unbounded = w->settings[k].is_unbounded;
                k++;
        }
        epoch_settle_credits(&e, ret);
        epoch_price_paths(&e, o.market.shadow_price);
        *ret_outcome = o;
        return 0;
}
