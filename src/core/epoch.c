/* SPDX-License-Identifier: MIT */

#include "core/epoch.h"

#include <errno.h>
#include <string.h>

static double max_of(double a, double b)
{
        return a > b ? a : b;
}

static double min_of(double a, double b)
{
        return a < b ? a : b;
}

void epoch_state_init(struct epoch_state *s, struct gate_record *records, size_t n_records)
{
        *s = (struct epoch_state) {
                .history = { .records = records, .size = n_records },
        };
        gate_monitor_init(&s->monitor);
        s->price = (struct price_memory){ NAN, NAN };
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
        size_t n_either = n > n_groups ? n : n_groups;

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
        w->market.order = carve(&c, n_either, sizeof *w->market.order);
        w->market.bound = carve(&c, n, sizeof *w->market.bound);
        w->market.share = carve(&c, n, sizeof *w->market.share);
        w->market.bound_milli = carve(&c, n, sizeof *w->market.bound_milli);
        w->market.share_milli = carve(&c, n, sizeof *w->market.share_milli);
        w->view.lower_milli = carve(&c, n, sizeof *w->view.lower_milli);
        w->view.upper_milli = carve(&c, n, sizeof *w->view.upper_milli);
        w->view.weight = carve(&c, n, sizeof *w->view.weight);
        w->view.gain = carve(&c, n, sizeof *w->view.gain);
        w->view.rounding_weight = carve(&c, n, sizeof *w->view.rounding_weight);
        w->enforce_services = carve(&c, n, sizeof *w->enforce_services);
        w->settings = carve(&c, n, sizeof *w->settings);
        w->enforce.group_claim = carve(&c, n_groups, sizeof *w->enforce.group_claim);
        w->enforce.group_alloc = carve(&c, n_groups, sizeof *w->enforce.group_alloc);
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

static double most_of(const struct epoch_service *s)
{
        return min_of(s->max_milli, s->bound_milli);
}

double epoch_bargained_milli(const struct epoch_rules *rules, const struct epoch_service services[],
                             size_t n)
{
        double after_reserve = max_of(0, rules->capacity_milli - rules->reserve_milli);
        double after_unmanaged = max_of(0, rules->capacity_milli -
                                                   max_of(rules->reserve_milli, rules->unmanaged_milli));
        double baselines = 0;

        for (size_t i = 0; i < n; i++)
                baselines += min_of(services[i].baseline_milli, most_of(&services[i]));
        return max_of(after_unmanaged, min_of(after_reserve, baselines));
}

static bool input_is_sane(const struct epoch_rules *r, const struct epoch_service services[], size_t n)
{
        if (!isfinite(r->capacity_milli) || r->capacity_milli < 0 || !isfinite(r->reserve_milli) ||
            r->reserve_milli < 0 || !isfinite(r->unmanaged_milli) || r->unmanaged_milli < 0 ||
            !isfinite(r->headroom_milli) || r->headroom_milli < 0 || !(r->spare >= 0 && r->spare <= 1))
                return false;
        for (size_t i = 0; i < n; i++) {
                const struct epoch_service *s = &services[i];

                if (!isfinite(s->floor_milli) || s->floor_milli < 0 || !isfinite(s->baseline_milli) ||
                    s->baseline_milli < 0 || !(s->max_milli > 0) || !(s->bound_milli > 0) || !isfinite(s->weight) ||
                    s->weight <= 0 || !isfinite(s->need_milli) || s->need_milli < 0 ||
                    !isfinite(s->load_milli) || s->load_milli < 0 ||
                    !(s->hardship >= 0 && s->hardship <= 1))
                        return false;
        }
        return true;
}

/* A service as the market sees it: levels in order, max binding all others. */
static struct player player_from(const struct epoch_service *s, double capacity_milli)
{
        double most = most_of(s);
        double u = isfinite(most) ? most : max_of(capacity_milli, s->baseline_milli);
        double d = min_of(s->baseline_milli, u);
        struct player p = {
                .floor_milli = min_of(s->floor_milli, d),
                .baseline_milli = d,
                .need_milli = min_of(max_of(s->need_milli, d), u),
                .max_milli = u,
                .weight = s->weight,
                .held_milli = -1,
        };

        /* Unknown and holding something: that is what it keeps. Unknown and new: its baseline is all
         * that is known of it, and it shares in what is spare. */
        if (!s->is_known && s->recent_milli[0] >= 0)
                p.held_milli = min_of(s->recent_milli[0], u);
        return p;
}

/* Who comes while everything is held has nothing to hold: it waits, unmanaged. */
static bool is_newcomer(const struct epoch_service *s)
{
        return s->recent_milli[0] < 0;
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
                return p->held_milli >= 0 ? min_of(p->baseline_milli, p->held_milli) : p->baseline_milli;
        case TIER_OVERLOADED:
                return p->held_milli >= 0 ? min_of(p->floor_milli, p->held_milli) : p->floor_milli;
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
        return max_of(s->recent_milli[0], 0);
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

/* The least harmful of the remembered allocations, if it is still possible: within what is bargained
 * over, nobody below what is promised nor above its maximum. Needs are not asked: they are part of
 * the model that was wrong. */
static bool find_better_past(const struct epoch_state *state, const struct epoch_service services[],
                             const struct player players[], size_t n, enum tier tier,
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
                for (size_t i = 0; i < n && is_possible; i++) {
                        int64_t x = past_of(&services[i], age);

                        sum += x;
                        is_possible = is_newcomer(&services[i]) ||
                                      (x >= floor(protected_level(&players[i], tier)) &&
                                       x <= ceil(players[i].max_milli));
                }
                if (is_possible && sum <= bargained_milli) {
                        best = state->recent_hardship[age - 1];
                        best_age = age;
                }
        }
        if (best_age == EPOCH_RECENT)
                return false;
        for (size_t i = 0; i < n; i++)
                ret_x[i] = past_of(&services[i], best_age);
        return true;
}

int epoch_decide(struct epoch_state *state, const struct epoch_rules *rules,
                 const struct epoch_service services[], size_t n, struct epoch_graph *graph,
                 const struct enforce_group groups[], size_t n_groups, struct epoch_workspace *w,
                 struct epoch_decision ret[], unsigned ret_group_weight[],
                 struct epoch_outcome *ret_outcome)
{
        struct epoch_outcome o = { 0 };
        struct epoch_state next = *state;
        struct market_rules market_rules;
        struct enforce_rules enforce_rules;
        struct gate_model model, whole;
        enum gate_advice advice;
        const struct gate_record *last = gate_history_at(&state->history, 0);
        size_t n_enforced = 0;
        bool has_old = false;
        int r;

        (void)graph;
        if (n > w->n_max || n_groups > w->n_groups_max || !input_is_sane(rules, services, n))
                return -EINVAL;

        /* market */
        o.bargained_milli = epoch_bargained_milli(rules, services, n);
        for (size_t i = 0; i < n; i++)
                w->players[i] = player_from(&services[i], rules->capacity_milli);
        market_rules = (struct market_rules) {
                .capacity_milli = o.bargained_milli,
                .spare = rules->spare,
                .overload = rules->overload,
                .max_iterations = rules->max_iterations > 0 ? rules->max_iterations : 100,
        };
        r = market_solve(&market_rules, w->players, n, &w->market, &w->view, w->x, &o.market);
        if (r < 0)
                return r;
        r = market_round(&w->view, &o.market, n, &w->market, w->target);
        if (r < 0)
                return r;

        /* gate: in whole milli, as market_round() left the view. Judged in fractions, where the lower
         * levels use up capacity no whole plan is good, and rounding would decide. */
        r = gate_model_init(&model, n, w->view.lower_milli, w->view.upper_milli, w->view.weight, NULL,
                            floor(o.market.spendable_milli), w->reference);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                has_old = has_old || !is_newcomer(&services[i]);
                w->old[i] = max_of(services[i].recent_milli[0], 0);
        }
        o.hardship = weighted_hardship(services, n);
        advice = gate_monitor_observe(&next.monitor, last, o.hardship, compared_load(state, services, n));
        o.is_frozen = rules->is_frozen || (has_old && advice != GATE_GO);
        if (has_old && advice == GATE_ROLL_BACK && !rules->is_frozen)
                o.is_rolled_back = find_better_past(state, services, w->players, n,
                                                    o.market.tier, o.bargained_milli, o.hardship, w->next);
        if (!o.is_frozen) {
                r = gate_judge(&model, has_old ? w->old : NULL, w->target, next.monitor.step_max,
                               w->market.order, w->next, &o.gate);
                if (r < 0)
                        return r;
        } else {
                /* What is held need not suit the tier, only fit what there is. A way back is the one
                 * change that V does not judge: it is made because V was wrong. */
                whole = model;
                whole.capacity_milli = o.bargained_milli;
                if (!o.is_rolled_back)
                        r = gate_judge(&whole, w->old, w->old, 1, w->market.order, w->next, &o.gate);
                if (r < 0)
                        return r;
                o.gate = (struct gate_verdict) {
                        .verdict = VERDICT_HOLD,
                        .v_before = has_old ? gate_potential_whole(&model, w->old) : NAN,
                        .v_after = gate_potential_whole(&model, w->next),
                };
        }

        /* enforce */
        enforce_rules = (struct enforce_rules) {
                .mode = rules->enforce,
                .capacity_milli = rules->capacity_milli,
                .bargained_milli = max_of(0, rules->capacity_milli - rules->reserve_milli),
                .reserve_milli = max_of(rules->reserve_milli, rules->unmanaged_milli),
                .headroom_milli = rules->headroom_milli,
        };
        for (size_t i = 0; i < n; i++) {
                if (o.is_frozen && is_newcomer(&services[i]))
                        continue;
                w->enforce_services[n_enforced++] = (struct enforce_service) {
                        .alloc_milli = w->next[i],
                        .load_milli = services[i].load_milli,
                        .protected_milli = protected_level(&w->players[i], o.market.tier),
                        .max_milli = services[i].max_milli,
                        .group = services[i].group,
                };
        }
        r = enforce_settings(&enforce_rules, w->enforce_services, n_enforced, groups, n_groups,
                             &w->enforce, w->settings, ret_group_weight);
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
                if (o.is_frozen && is_newcomer(&services[i])) {
                        ret[i] = (struct epoch_decision) {
                                .market_milli = w->x[i],
                                .alloc_milli = -1,
                                .quota_milli = QUOTA_NONE_MILLI,
                                .is_satisfied = enforce_is_satisfied(0, services[i].load_milli),
                        };
                        continue;
                }
                ret[i] = (struct epoch_decision) {
                        .market_milli = w->x[i],
                        .alloc_milli = w->next[i],
                        .quota_milli = w->settings[k].quota_milli,
                        .cpu_weight = w->settings[k].cpu_weight,
                        .is_satisfied = w->settings[k].is_satisfied,
                };
                k++;
        }
        *ret_outcome = o;
        return 0;
}
