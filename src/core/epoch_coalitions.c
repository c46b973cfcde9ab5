/* SPDX-License-Identifier: MIT */

#include "core/epoch_internal.h"

#include <errno.h>

#include "core/demand.h"
#include "core/ledger.h"

/* Subsets that the valuations of one epoch may look at in all: as many as one coalition of
 * COALITION_EXACT_MAX members has, which takes some ten milliseconds. */
#define VALUATION_COST_MAX ((size_t)1 << COALITION_EXACT_MAX)

/* Gains below this share of a coalition's weighted latency are rounding: nobody is credited for them. */
#define SETTLEMENT_NOISE 1e-3

/* A coalition that holds its entitlements but for so much holds them: as near as that the gate may stay
 * where it is for good. */
#define SETTLEMENT_ROUNDING_MILLI 2

static size_t member_of(const struct epoch_graph *g, const struct epoch_coalition *c, unsigned position)
{
        return g->members[c->first + position];
}

/* ---- the graph --------------------------------------------------------------------------------- */

int epoch_read_graph(struct epoch_run *e)
{
        const struct epoch_graph *g = e->graph;
        struct epoch_workspace *w = e->w;

        for (size_t i = 0; i < e->n; i++) {
                w->importance[i] = 0;
                w->coalition_of[i] = EPOCH_NO_COALITION;
        }
        for (size_t p = 0; p < g->paths.n_paths; p++) {
                if (!(g->path[p].weight > 0) || !isfinite(g->path[p].weight) ||
                    !(g->path[p].target_ms >= 0) || !isfinite(g->path[p].target_ms))
                        return -EINVAL;
                for (size_t k = g->paths.first[p]; k < g->paths.first[p + 1]; k++) {
                        if (g->paths.members[k] >= e->n)
                                return -EINVAL;
                        w->importance[g->paths.members[k]] += g->path[p].weight;
                }
        }
        for (size_t c = 0; c < g->n_coalitions; c++) {
                const struct epoch_coalition *coalition = &g->coalitions[c];

                if (coalition->n < 2 || coalition->n > w->n_members_max)
                        return -EINVAL;
                for (unsigned k = 0; k < coalition->n; k++) {
                        size_t i = member_of(g, coalition, k);

                        if (i >= e->n || w->coalition_of[i] != EPOCH_NO_COALITION ||
                            !(w->importance[i] > 0))
                                return -EINVAL;
                        w->coalition_of[i] = c;
                }
        }
        return 0;
}

/* ---- latency ----------------------------------------------------------------------------------- */

static bool is_measured(const struct epoch_service *s)
{
        return s->is_known && s->latency_ms > 0;
}

/* The same work per request for all of whom nothing else is known: the mean of those who are measured. */
static double mean_work(const struct epoch_run *e, const struct epoch_coalition *c)
{
        double sum = 0;
        size_t n_measured = 0;

        for (unsigned k = 0; k < c->n; k++) {
                size_t i = member_of(e->graph, c, k);

                if (is_measured(&e->services[i])) {
                        sum += e->w->latency[i].work_milli_ms;
                        n_measured++;
                }
        }
        return n_measured > 0 ? sum / (double)n_measured : LATENCY_WORK_NOMINAL_MILLI_MS;
}

/* What of a service's latency is its own. */
static double own_latency(const struct latency_model *m, double x_milli)
{
        return latency_ms(m, x_milli) - m->other_ms;
}

/* For the sharing of a path's target: its latency, had it what its load alone makes its need. Not at what
 * it holds: who is fast today would have the stricter target tomorrow, the larger need, and be faster
 * still, until one service held it all. */
static double reference_latency(const struct latency_model *m)
{
        return own_latency(m, DEMAND_MARGIN * m->load_milli);
}

/* A path's target is shared out over its services in proportion to their modelled latency. Who has a
 * stricter target of its own keeps that. */
static void share_out_target(struct epoch_run *e, size_t p)
{
        const struct callgraph_paths *paths = &e->graph->paths;
        struct epoch_workspace *w = e->w;
        double sum = 0;

        for (size_t k = paths->first[p]; k < paths->first[p + 1]; k++)
                sum += reference_latency(&w->latency[paths->members[k]]);
        for (size_t k = paths->first[p]; k < paths->first[p + 1]; k++) {
                size_t i = paths->members[k];
                double part_ms = e->graph->path[p].target_ms * reference_latency(&w->latency[i]) / sum;
                double target_ms = w->latency[i].other_ms + part_ms;

                if (!is_measured(&e->services[i]) || !(part_ms > 0) || !isfinite(part_ms))
                        continue;
                if (w->part_ms[i] <= 0 || part_ms < w->part_ms[i])
                        w->part_ms[i] = part_ms;
                target_ms = e->services[i].callees_ms + part_ms;
                if (w->slo[i].target_ms <= 0 || target_ms < w->slo[i].target_ms)
                        w->slo[i].target_ms = target_ms;
        }
}

void epoch_model_latency(struct epoch_run *e)
{
        struct epoch_workspace *w = e->w;

        for (size_t i = 0; i < e->n; i++) {
                const struct epoch_service *s = &e->services[i];
                bool is_told;

                w->slo[i] = (struct slo){ .steepness_per_ms = e->rules->sensitivity_per_ms };
                w->part_ms[i] = 0;
                /* What is out of all proportion is no measurement. */
                if (epoch_calibrate(s, &w->latency[i], &is_told))
                        w->slo[i].target_ms = s->target_ms;
                else
                        w->latency[i] = latency_from_load(epoch_queueing_milli(s), LATENCY_WORK_NOMINAL_MILLI_MS);
        }
        for (size_t c = 0; c < e->graph->n_coalitions; c++) {
                const struct epoch_coalition *coalition = &e->graph->coalitions[c];
                double work = mean_work(e, coalition);

                for (unsigned k = 0; k < coalition->n; k++) {
                        size_t i = member_of(e->graph, coalition, k);

                        if (!is_measured(&e->services[i]))
                                w->latency[i] = latency_from_load(epoch_queueing_milli(&e->services[i]), work);
                }
        }
        for (size_t p = 0; p < e->graph->paths.n_paths; p++)
                if (e->graph->path[p].target_ms > 0)
                        share_out_target(e, p);
        for (size_t i = 0; i < e->n; i++) {
                w->slo[i].latency = w->latency[i];
                w->slo[i].latency.other_ms = e->services[i].callees_ms;
                /* What no arithmetic can score says nothing: not a reason to decide nothing for anybody. */
                if (!slo_is_valid(&w->slo[i]))
                        w->slo[i].target_ms = 0;
        }
}

/* ---- forming ----------------------------------------------------------------------------------- */

/* Nobody gives away what its own load needs: below its load the model is a straight line, which would
 * starve whoever is cheapest to starve, and with it every path that it is on. Nor what meets its own target:
 * who declared one did not mean it to be missed for the others' sake. The target of a path binds nobody
 * here, its latency is what the division makes shorter. */
static double least_of(const struct epoch_run *e, size_t i)
{
        const struct epoch_service *s = &e->services[i];
        double least = fmax(e->w->players[i].floor_milli, epoch_queueing_milli(s)), meets_target;

        if (!(s->target_ms > 0) || !is_measured(s) || s->is_elastic)
                return least;
        meets_target = latency_milli_for(&e->w->slo[i].latency, s->target_ms);
        return isfinite(meets_target) ? fmax(least, meets_target) : least;
}

static struct member member_from(const struct epoch_run *e, size_t i)
{
        double entitlement = e->w->x[i];

        return (struct member){
                .latency = e->w->latency[i],
                .importance = e->w->importance[i],
                .entitlement_milli = entitlement,
                .least_milli = fmin(entitlement, least_of(e, i)),
                .most_milli = fmax(entitlement, e->w->players[i].max_milli),
        };
}

static bool takes_part(const struct epoch_coalition *c, unsigned position)
{
        return (c->active & UINT32_C(1) << position) != 0;
}

/* Who is not known keeps what it has, alone. */
static uint32_t active_of(const struct epoch_run *e, const struct epoch_coalition *c)
{
        uint32_t active = 0;

        for (unsigned k = 0; k < c->n; k++) {
                const struct epoch_service *s = &e->services[member_of(e->graph, c, k)];

                if (s->is_known && !(e->is_frozen && is_newcomer(s)))
                        active |= UINT32_C(1) << k;
        }
        return active;
}

/* Those who take part, and as whom. Returns how many. */
static unsigned members_of(const struct epoch_run *e, const struct epoch_coalition *c, size_t ret_index[],
                           struct member ret[])
{
        unsigned n = 0;

        for (unsigned k = 0; k < c->n; k++)
                if (takes_part(c, k)) {
                        ret_index[n] = member_of(e->graph, c, k);
                        ret[n] = member_from(e, ret_index[n]);
                        n++;
                }
        return n;
}

/* Ready to play. False where too few take part, or where one of them is out of all proportion: the
 * coalition is then not formed, and everybody else bargains as ever. */
static bool game_of(const struct epoch_run *e, const struct epoch_coalition *c, struct worth_game *ret)
{
        size_t index[COALITION_MEMBERS_MAX];
        struct member members[COALITION_MEMBERS_MAX];
        unsigned n = members_of(e, c, index, members);

        return n >= 2 && worth_game_init(ret, members, n) == 0;
}

static bool is_valued(const struct epoch_coalition *c)
{
        return c->value.epoch > 0 && c->valued_active == c->active;
}

static void value_in_turn(struct epoch_run *e, struct epoch_state *state, uint64_t epoch,
                         struct epoch_outcome *o)
{
        struct coalition_scratch scratch = { .worth = e->w->worth, .more = e->w->more };
        size_t n_coalitions = e->graph->n_coalitions, cost = 0, n_looked_at = 0;

        for (; n_looked_at < n_coalitions && o->n_valued < EPOCH_VALUATIONS_MAX; n_looked_at++) {
                struct epoch_coalition *c =
                        &e->graph->coalitions[(state->next_valued + n_looked_at) % n_coalitions];
                struct worth_game game;
                size_t cost_of_this;

                if (!game_of(e, c, &game))
                        continue;
                cost_of_this = coalition_cost(game.n);
                if (cost > 0 && cost + cost_of_this > VALUATION_COST_MAX)
                        break;
                cost += cost_of_this;
                if (coalition_assess(&game, &c->plan, e->rules->epsilon, e->rules->max_iterations, epoch,
                                     c->id ^ epoch, &scratch, &c->value) < 0) {
                        c->plan.is_certified = false;   /* sums that overflow */
                        continue;
                }
                c->valued_active = c->active;
                o->n_valued++;
        }
        if (n_coalitions > 0)
                state->next_valued = (state->next_valued + n_looked_at) % n_coalitions;
}

void epoch_form_coalitions(struct epoch_run *e, struct epoch_state *state, uint64_t epoch,
                           struct epoch_outcome *o)
{
        struct epoch_workspace *w = e->w;

        for (size_t c = 0; c < e->graph->n_coalitions; c++) {
                struct epoch_coalition *coalition = &e->graph->coalitions[c];
                struct worth_game game;

                coalition->active = active_of(e, coalition);
                coalition->plan = (struct coalition_plan){ 0 };
                if (game_of(e, coalition, &game))
                        coalition_plan(&game, e->rules->epsilon, &coalition->plan);
        }
        value_in_turn(e, state, epoch, o);

        for (size_t i = 0; i < e->n; i++)
                w->entity_of[i] = SIZE_MAX;
        w->n_entities = 0;
        for (size_t c = 0; c < e->graph->n_coalitions; c++) {
                struct epoch_coalition *coalition = &e->graph->coalitions[c];

                coalition->is_formed = coalition->plan.is_certified &&
                                       (!is_valued(coalition) || coalition->value.is_stable);
                if (!coalition->is_formed)
                        continue;
                for (unsigned k = 0; k < coalition->n; k++)
                        if (takes_part(coalition, k))
                                w->entity_of[member_of(e->graph, coalition, k)] = w->n_entities;
                w->n_entities++;
        }
        o->n_formed = w->n_formed = w->n_entities;
        for (size_t i = 0; i < e->n; i++)
                if (w->entity_of[i] == SIZE_MAX)
                        w->entity_of[i] = w->n_entities++;
}

/* ---- dividing ---------------------------------------------------------------------------------- */

/* Boxes for a whole total. Whole, so that an old division that fits is carried as it is and does not creep
 * by roundings. A smaller step, a hold, and the rounding of the market leave totals that were not made for
 * these boxes: then they are widened as far as it takes, everybody's in proportion, and what is above the
 * floors first. */
static void fit_boxes(const struct epoch_run *e, const size_t index[], struct member members[], unsigned n,
                      double total)
{
        double least = 0, most = 0, floors = 0, of_floors = 1, of_rest = 1;

        for (unsigned k = 0; k < n; k++) {
                least += members[k].least_milli;
                most += members[k].most_milli;
                floors += fmin(e->w->players[index[k]].floor_milli, members[k].least_milli);
        }
        if (total < floors) {
                of_floors = total / floors;
                of_rest = 0;
        } else if (total < least) {
                of_rest = (total - floors) / (least - floors);
        }
        for (unsigned k = 0; k < n; k++) {
                struct member *m = &members[k];
                double at_floor = fmin(e->w->players[index[k]].floor_milli, m->least_milli);

                m->least_milli = floor(at_floor * of_floors + (m->least_milli - at_floor) * of_rest);
                m->most_milli = ceil(total > most ? m->most_milli * total / most : m->most_milli);
                m->entitlement_milli = fmin(fmax(m->entitlement_milli, m->least_milli), m->most_milli);
        }
}

static int divide_one(struct epoch_run *e, struct epoch_coalition *c, double step_max)
{
        struct epoch_workspace *w = e->w;
        size_t index[COALITION_MEMBERS_MAX];
        double old[COALITION_MEMBERS_MAX], carried[COALITION_MEMBERS_MAX], best[COALITION_MEMBERS_MAX];
        int64_t next[COALITION_MEMBERS_MAX];
        struct member members[COALITION_MEMBERS_MAX];
        struct worth_game game;
        unsigned n;
        int r;

        n = members_of(e, c, index, members);
        fit_boxes(e, index, members, n, (double)c->total_milli);
        r = worth_game_init(&game, members, n);
        if (r < 0)
                return r;
        for (unsigned k = 0; k < n; k++)
                old[k] = (double)w->old[index[k]];
        worth_carry(&game, old, (double)c->total_milli, carried);
        if (e->is_frozen)
                for (unsigned k = 0; k < n; k++)
                        best[k] = carried[k];
        else
                (void)worth_divide(&game, (uint32_t)((UINT64_C(1) << n) - 1), (double)c->total_milli, best,
                                   NULL);
        r = gate_judge_division(&game, e->has_old ? carried : NULL, best, c->total_milli, step_max, next,
                                &c->division);
        if (r < 0)
                return r;
        /* Frozen, everybody keeps what it holds: V is only printed. */
        for (unsigned k = 0; k < n && !e->is_frozen; k++)
                w->next[index[k]] = next[k];
        return 0;
}

int epoch_divide_coalitions(struct epoch_run *e, double step_max)
{
        size_t entity = 0;

        for (size_t c = 0; c < e->graph->n_coalitions; c++) {
                struct epoch_coalition *coalition = &e->graph->coalitions[c];
                int r;

                coalition->division = (struct gate_verdict){ .verdict = VERDICT_APPLY, .v_before = NAN };
                coalition->total_milli = 0;
                if (!coalition->is_formed)
                        continue;
                coalition->total_milli = e->w->entity_next[entity++];
                r = divide_one(e, coalition, step_max);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- credits ----------------------------------------------------------------------------------- */

static void settle_one(struct epoch_run *e, const struct epoch_coalition *c, struct epoch_decision ret[])
{
        double due[COALITION_MEMBERS_MAX] = {}, realised[COALITION_MEMBERS_MAX] = {};
        double credit[COALITION_MEMBERS_MAX], at_stake = 0, sum_due = 0, sum_realised = 0;
        size_t index[COALITION_MEMBERS_MAX];
        struct member members[COALITION_MEMBERS_MAX];
        unsigned n = members_of(e, c, index, members);
        int64_t entitled = 0;

        for (unsigned k = 0; k < n; k++)
                entitled += e->w->target[index[k]];
        /* The gate took a smaller step, or held: what members lack or have too much then is no gift. */
        if (fabs((double)(c->total_milli - entitled)) > SETTLEMENT_ROUNDING_MILLI)
                return;

        for (unsigned k = 0; k < n; k++) {
                double held = worth_utility_of(&members[k], members[k].entitlement_milli);

                realised[k] = worth_utility_of(&members[k], (double)e->w->next[index[k]]) - held;
                due[k] = c->value.shapley[k];
                credit[k] = e->services[index[k]].credit;
                at_stake += fabs(held);
                sum_due += due[k];
                sum_realised += realised[k];
        }
        /* Dues of next to nothing are shares of rounding errors, and what is realised then comes of whole
         * milli: scaled to each other they would count like any other epoch. */
        if (!(c->plan.worth > SETTLEMENT_NOISE * at_stake))
                sum_due = 0;
        for (unsigned k = 0; k < n; k++) {
                if (sum_realised > 0 && sum_due > 0)
                        due[k] *= sum_realised / sum_due;
                else
                        due[k] = 0;
                ret[index[k]].gain = realised[k];
                ret[index[k]].due = due[k];
        }
        /* What is not finite settles nothing: credits only fade. */
        if (ledger_settle(due, realised, n,
                          ledger_reference(c->plan.worth, due, realised, n, SETTLEMENT_NOISE * at_stake),
                          credit) < 0)
                return;
        for (unsigned k = 0; k < n; k++)
                ret[index[k]].credit = credit[k];
}

void epoch_settle_credits(struct epoch_run *e, struct epoch_decision ret[])
{
        double decay = ledger_decay();

        for (size_t i = 0; i < e->n; i++) {
                ret[i].gain = ret[i].due = 0;
                ret[i].credit = decay * e->services[i].credit;
        }
        for (size_t c = 0; c < e->graph->n_coalitions && !e->is_frozen; c++)
                if (e->graph->coalitions[c].is_formed && is_valued(&e->graph->coalitions[c]))
                        settle_one(e, &e->graph->coalitions[c], ret);
}

/* ---- paths ------------------------------------------------------------------------------------- */

void epoch_cover_paths(struct epoch_run *e)
{
        const struct callgraph_paths *paths = &e->graph->paths;
        double *best = e->w->path_cover;

        for (size_t i = 0; i < e->n; i++)
                best[i] = e->w->importance[i] > 0 ? 0 : INFINITY;
        for (size_t p = 0; p < paths->n_paths; p++) {
                double cover = INFINITY;

                for (size_t k = paths->first[p]; k < paths->first[p + 1]; k++) {
                        size_t i = paths->members[k];

                        cover = fmin(cover, enforce_cover((double)e->w->next[i], e->services[i].load_milli));
                }
                for (size_t k = paths->first[p]; k < paths->first[p + 1]; k++)
                        best[paths->members[k]] = fmax(best[paths->members[k]], cover);
        }
}

/* Where nobody counts requests, a request is taken to cost each service a millisecond of CPU. */
#define CPU_MS_ASSUMED 1.0

void epoch_price_paths(struct epoch_run *e, double shadow_price)
{
        const struct callgraph_paths *paths = &e->graph->paths;
        struct epoch_workspace *w = e->w;
        double *visits = w->market.bound, *cpu_ms = w->market.share;

        for (size_t p = 0; p < paths->n_paths; p++) {
                struct epoch_path *path = &e->graph->path[p];
                size_t n = 0;

                path->is_measured = true;
                path->latency_market_ms = path->latency_ms = 0;
                for (size_t k = paths->first[p]; k < paths->first[p + 1]; k++, n++) {
                        size_t i = paths->members[k];
                        bool is_counted = e->services[i].cpu_ms > 0;

                        visits[n] = 1;
                        cpu_ms[n] = is_counted ? e->services[i].cpu_ms : CPU_MS_ASSUMED;
                        path->is_measured = path->is_measured && is_counted;
                        path->latency_market_ms += own_latency(&w->latency[i], w->x[i]);
                        path->latency_ms += own_latency(&w->latency[i], (double)w->next[i]);
                }
                path->price = price_of_path(shadow_price, visits, cpu_ms, n);
        }
}
