/* SPDX-License-Identifier: MIT */

#include "core/enforce.h"
#include "core/heap.h"
#include "core/waterfill.h"

#include <errno.h>

static double max_of(double a, double b)
{
        return a > b ? a : b;
}

static double min_of(double a, double b)
{
        return a < b ? a : b;
}

static int64_t step_floor(double milli)
{
        return (int64_t)floor(milli / QUOTA_STEP_MILLI + 1e-9) * QUOTA_STEP_MILLI;
}

static int64_t step_ceil(double milli)
{
        return (int64_t)ceil(milli / QUOTA_STEP_MILLI - 1e-9) * QUOTA_STEP_MILLI;
}

bool enforce_is_satisfied(double alloc_milli, double load_milli)
{
        return load_milli <= alloc_milli * (1 + ENFORCE_SATISFIED_TOLERANCE);
}

double enforce_cover(double alloc_milli, double load_milli)
{
        return load_milli > 0 ? alloc_milli / load_milli : INFINITY;
}

/* From 1 for a service that is clearly short to PHI_MAX for one that is satisfied, linear between. */
static double phi(const struct enforce_service *s)
{
        double ratio = min_of(enforce_cover(s->alloc_milli, s->load_milli), s->path_cover);

        if (ratio >= 1)
                return ENFORCE_PHI_MAX;
        if (ratio <= ENFORCE_PHI_RAMP_START)
                return 1;
        return 1 + (ENFORCE_PHI_MAX - 1) * (ratio - ENFORCE_PHI_RAMP_START) /
                           (1 - ENFORCE_PHI_RAMP_START);
}

static int64_t max_quota(double max_milli)
{
        if (!isfinite(max_milli))
                return QUOTA_NONE_MILLI;
        return max_of(step_floor(max_milli), QUOTA_STEP_MILLI);
}

/* ---- quotas as bounds -------------------------------------------------------------------------- */

/* A satisfied service is protected by its weight; counting its peaks cost a batch job a quarter of its CPU and
 * gained the chain beside it nothing (doc/theory.md, Enforcement). Use of who is short is no measure. */
double enforce_left_free_milli(int64_t alloc_milli, double load_milli, bool has_use, double use_milli)
{
        bool is_measured = has_use && enforce_is_satisfied(alloc_milli, load_milli);
        double taken = is_measured ? ENFORCE_BOUND_SHARE * min_of(use_milli, load_milli) : load_milli;

        return min_of(alloc_milli, taken);
}

double enforce_bound_milli(int64_t alloc_milli, double capacity_milli, double headroom_milli, double others_milli)
{
        return max_of(alloc_milli, capacity_milli - others_milli - headroom_milli);
}

static double left_free_milli(const struct enforce_service *s)
{
        return enforce_left_free_milli(s->alloc_milli, s->load_milli, s->has_use, s->use_milli);
}

static void bound_short_services(const struct enforce_rules *rules,
                                 const struct enforce_service services[], size_t n,
                                 struct enforce_setting ret[])
{
        double all_milli = 0;

        for (size_t i = 0; i < n; i++)
                all_milli += left_free_milli(&services[i]);

        for (size_t i = 0; i < n; i++) {
                const struct enforce_service *s = &services[i];
                double others_milli = all_milli - left_free_milli(s);
                int64_t top = max_quota(s->max_milli), ceiling;

                if (ret[i].is_satisfied ||
                    (s->was_unbounded && s->alloc_milli >= ENFORCE_BOUND_BELOW * s->load_milli)) {
                        ret[i].quota_milli = top;
                        ret[i].is_unbounded = true;
                        continue;
                }
                /* Up: below its allocation a service would be throttled by rounding. */
                ceiling = step_ceil(enforce_bound_milli(s->alloc_milli, rules->capacity_milli,
                                                        rules->headroom_milli, others_milli));
                ceiling = max_of(ceiling, QUOTA_STEP_MILLI);
                if (s->ceiling_milli >= s->alloc_milli && s->ceiling_milli != QUOTA_NONE_MILLI &&
                    fabs((double)(ceiling - s->ceiling_milli)) <= ENFORCE_BOUND_KEEP * (double)s->ceiling_milli)
                        ceiling = s->ceiling_milli;
                ret[i].quota_milli = ceiling < top ? ceiling : top;
        }
}

/* ---- quotas as a partition --------------------------------------------------------------------- */

/* Whole percents out of allocations: protected levels round up while the sum allows, the rest goes by
 * what is left of the allocations, with the monotone rounding of the market. */
static int partition(const struct enforce_rules *rules, const struct enforce_service services[],
                     size_t n, struct enforce_scratch *scratch, struct enforce_setting ret[])
{
        int64_t total_milli = 0, n_steps, used = 0;
        int r;

        for (size_t i = 0; i < n; i++)
                total_milli += services[i].alloc_milli;
        /* Where little is allocated (Spare=0%, everybody idle) the percent that each must have still
         * comes out of what was bargained over. */
        if (total_milli < (int64_t)n * QUOTA_STEP_MILLI)
                total_milli = (int64_t)n * QUOTA_STEP_MILLI;
        n_steps = step_floor(min_of(total_milli, rules->bargained_milli)) / QUOTA_STEP_MILLI;
        if ((int64_t)n > n_steps)
                return -ENOSPC;

        /* Lower bounds: the protected level, rounded up. Should that be more than there is (many
         * small services), round down, but never below the one percent that systemd can keep. */
        for (int rounding_up = 1; rounding_up >= 0; rounding_up--) {
                used = 0;
                for (size_t i = 0; i < n; i++) {
                        double low_milli = min_of(services[i].protected_milli, services[i].alloc_milli);
                        int64_t low = rounding_up ? step_ceil(low_milli) : step_floor(low_milli);
                        int64_t top = max_quota(services[i].max_milli);

                        /* Max= rounds down, and binds also what was promised. */
                        low = max_of((low < top ? low : top) / QUOTA_STEP_MILLI, 1);
                        ret[i].quota_milli = low;
                        used += low;
                }
                if (used <= n_steps)
                        break;
        }
        if (used > n_steps) {
                /* Even rounded down, the one percent everybody must have is too much for the rest. */
                used = 0;
                for (size_t i = 0; i < n; i++) {
                        ret[i].quota_milli = 1;
                        used++;
                }
        }

        for (size_t i = 0; i < n; i++) {
                double above = (double)services[i].alloc_milli / QUOTA_STEP_MILLI - ret[i].quota_milli;
                int64_t top = max_quota(services[i].max_milli);

                scratch->weight[i] = max_of(above * QUOTA_STEP_MILLI, 0);
                scratch->bound[i] = top == QUOTA_NONE_MILLI
                                            ? n_steps
                                            : max_of(top / QUOTA_STEP_MILLI - ret[i].quota_milli, 0);
                /* Never beyond the allocation rounded up: a quota is the allocation, not a share of
                 * what the others' rounding left over. */
                scratch->bound[i] = min_of(scratch->bound[i], ceil(max_of(above, 0)));
        }
        r = waterfill_round(scratch->bound, scratch->weight, n, n_steps - used, scratch->order,
                            scratch->share);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                ret[i].quota_milli = (ret[i].quota_milli + scratch->share[i]) * QUOTA_STEP_MILLI;
        return 0;
}

/* ---- weights ----------------------------------------------------------------------------------- */

static unsigned whole_weight(double w)
{
        if (!(w > CPU_WEIGHT_MIN))
                return CPU_WEIGHT_MIN;
        if (w >= CPU_WEIGHT_MAX)
                return CPU_WEIGHT_MAX;
        return (unsigned)lround(w);
}

static void enter(struct enforce_level *l, double alloc_milli, double claim)
{
        l->claim += claim;
        l->alloc_milli += alloc_milli;
        l->largest_claim = max_of(l->largest_claim, claim);
        if (alloc_milli > 0)
                l->least_phi = min_of(l->least_phi, claim / alloc_milli);
        l->n_members++;
}

/* From claims to weights: an allocation of the level's mean has CPU_WEIGHT_DEFAULT, and more where
 *
 *  - busy members that are not ours would dilute a small weight: ours : theirs is at least allocation : reserve
 *    for everybody. No further: a slice has the claims of those it serves first also while only the short run in
 *    it, and they would keep the CPU from what the reserve is for;
 *  - a slice keeps the weight it had: that would shorten the lead of its siblings. As far as the kernel's range
 *    goes, and not over busy members that are not ours. */
static double scale_of(const struct enforce_level *l, const struct enforce_group *g, double reserve_milli)
{
        double scale = l->alloc_milli > 0 ? CPU_WEIGHT_DEFAULT * (double)l->n_members / l->alloc_milli : 0;

        if (g->busy_unmanaged_weight > 0)
                return reserve_milli > 0 ? max_of(scale, g->busy_unmanaged_weight / (reserve_milli * l->least_phi))
                                         : scale;
        if (l->largest_claim > 0)
                scale = max_of(scale, min_of(l->lift, CPU_WEIGHT_MAX / l->largest_claim));
        return scale;
}

/* Claims of services flow up the tree; each group's members then get weights in proportion to them. */
static void weigh(const struct enforce_rules *rules, const struct enforce_service services[], size_t n,
                  const struct enforce_group groups[], size_t n_groups, struct enforce_scratch *scratch,
                  struct enforce_setting ret[], unsigned ret_group_weight[])
{
        struct enforce_level *levels = scratch->levels;

        for (size_t g = 0; g < n_groups; g++)
                levels[g] = (struct enforce_level){ .least_phi = ENFORCE_PHI_MAX };
        for (size_t i = 0; i < n; i++) {
                double alloc_milli = services[i].alloc_milli;

                scratch->weight[i] = alloc_milli * phi(&services[i]);
                enter(&levels[services[i].group], alloc_milli, scratch->weight[i]);
        }
        for (size_t g = n_groups; g-- > 1;) {
                struct enforce_level *parent = &levels[groups[g].parent];

                enter(parent, levels[g].alloc_milli, levels[g].claim);
                if (groups[g].may_change && levels[g].claim > 0)
                        parent->lift = max_of(parent->lift, groups[g].prior_weight / levels[g].claim);
        }
        for (size_t g = 0; g < n_groups; g++)
                levels[g].scale = scale_of(&levels[g], &groups[g], rules->reserve_milli);

        for (size_t i = 0; i < n; i++)
                ret[i].cpu_weight = whole_weight(scratch->weight[i] * levels[services[i].group].scale);
        ret_group_weight[0] = 0;
        for (size_t g = 1; g < n_groups; g++) {
                unsigned w = whole_weight(levels[g].claim * levels[groups[g].parent].scale);

                if (w < groups[g].prior_weight)
                        w = groups[g].prior_weight;
                ret_group_weight[g] = groups[g].may_change ? w : 0;
        }
}

static bool input_is_sane(const struct enforce_rules *rules, const struct enforce_service services[],
                          size_t n, const struct enforce_group groups[], size_t n_groups)
{
        if (!isfinite(rules->capacity_milli) || rules->capacity_milli < 0 ||
            !isfinite(rules->bargained_milli) || rules->bargained_milli < 0 ||
            !isfinite(rules->reserve_milli) || rules->reserve_milli < 0 ||
            !isfinite(rules->headroom_milli) || rules->headroom_milli < 0 || n_groups == 0)
                return false;
        for (size_t g = 0; g < n_groups; g++)
                if ((g == 0) != (groups[g].parent == ENFORCE_NO_GROUP) ||
                    (g > 0 && groups[g].parent >= g) || !(groups[g].busy_unmanaged_weight >= 0))
                        return false;
        for (size_t i = 0; i < n; i++)
                if (services[i].alloc_milli < 0 || !isfinite(services[i].load_milli) ||
                    services[i].load_milli < 0 || !(services[i].protected_milli >= 0) ||
                    !(services[i].use_milli >= 0) || !(services[i].path_cover >= 0) ||
                    services[i].ceiling_milli < 0 ||
                    !(services[i].max_milli > 0) || services[i].group >= n_groups)
                        return false;
        return true;
}

int enforce_settings(const struct enforce_rules *rules, const struct enforce_service services[],
                     size_t n, const struct enforce_group groups[], size_t n_groups,
                     struct enforce_scratch *scratch, struct enforce_setting ret[],
                     unsigned ret_group_weight[])
{
        int r;

        if (!input_is_sane(rules, services, n, groups, n_groups))
                return -EINVAL;

        for (size_t i = 0; i < n; i++)
                ret[i] = (struct enforce_setting) {
                        .quota_milli = QUOTA_NONE_MILLI,
                        .is_satisfied = enforce_is_satisfied(services[i].alloc_milli,
                                                             services[i].load_milli),
                };
        for (size_t g = 0; g < n_groups; g++)
                ret_group_weight[g] = 0;

        if (rules->mode == ENFORCE_QUOTA) {
                r = partition(rules, services, n, scratch, ret);
                if (r < 0)
                        return r;
        }
        if (rules->mode == ENFORCE_BOTH)
                bound_short_services(rules, services, n, ret);
        if (rules->mode != ENFORCE_QUOTA)
                weigh(rules, services, n, groups, n_groups, scratch, ret, ret_group_weight);
        return 0;
}

/* ---- the way from one setting to the next ------------------------------------------------------- */

bool enforce_quota_differs(int64_t in_force_milli, int64_t wanted_milli, double min_change)
{
        int64_t distance = in_force_milli > wanted_milli ? in_force_milli - wanted_milli
                                                         : wanted_milli - in_force_milli;

        if (in_force_milli == QUOTA_NONE_MILLI || wanted_milli == QUOTA_NONE_MILLI)
                return in_force_milli != wanted_milli;
        return distance >= QUOTA_STEP_MILLI && distance >= min_change * in_force_milli;
}

/* A first quota adds to the sum of quotas: where that sum has a budget it waits for the shrinks. */
static bool is_growth(const struct enforce_transition *t, bool has_budget)
{
        if (has_budget && t->in_force_milli == QUOTA_NONE_MILLI)
                return t->wanted_milli != QUOTA_NONE_MILLI;
        return t->wanted_milli > t->in_force_milli;
}

static bool is_shrink(const struct enforce_transition *t, bool has_budget)
{
        return t->wanted_milli < t->in_force_milli && !is_growth(t, has_budget);
}

/* What a growth may be set to when there is room for so much more; -1 if nothing fits. */
static int64_t grown_within(const struct enforce_transition *t, double room_milli)
{
        double fits_milli;

        if (t->wanted_milli == QUOTA_NONE_MILLI)
                return QUOTA_NONE_MILLI;
        /* The remainder of somebody else's quota is no start for a unit that had none. */
        if (t->in_force_milli == QUOTA_NONE_MILLI)
                return t->wanted_milli <= room_milli ? t->wanted_milli : -1;
        fits_milli = t->in_force_milli + max_of(room_milli, 0);
        return t->wanted_milli <= fits_milli ? t->wanted_milli : step_floor(fits_milli);
}

static double finite_milli(int64_t quota_milli)
{
        return quota_milli == QUOTA_NONE_MILLI ? 0 : (double)quota_milli;
}

/* A ceiling that is to stay for now. Without one in force nobody is throttled by us. */
static bool is_shy(const struct enforce_transition *t, bool has_budget)
{
        return t->is_restless && t->in_force_milli != QUOTA_NONE_MILLI && is_shrink(t, has_budget);
}

/* How much the budget lacks. */
enum crowd {
        CROWD_NONE,
        CROWD_SMALL,            /* the small shrinks have to be made */
        CROWD_ALL,              /* those of restless units, too */
};

/* What would be in force if small and shy shrinks were skipped and everything else were done. */
static enum crowd crowd_of(const struct enforce_transition t[], size_t n, double budget_milli,
                           double min_change)
{
        bool has_budget = isfinite(budget_milli);
        double after_milli = 0, small_milli = 0;

        for (size_t i = 0; i < n; i++) {
                double from_milli = finite_milli(t[i].in_force_milli);
                double to_milli = finite_milli(t[i].wanted_milli);

                if (!t[i].may_write || is_shy(&t[i], has_budget))
                        after_milli += from_milli;
                else if (enforce_quota_differs(t[i].in_force_milli, t[i].wanted_milli, min_change))
                        after_milli += to_milli;
                else {
                        after_milli += from_milli;
                        small_milli += max_of(from_milli - to_milli, 0);
                }
        }
        if (after_milli <= budget_milli)
                return CROWD_NONE;
        return after_milli - small_milli <= budget_milli ? CROWD_SMALL : CROWD_ALL;
}

/* Is it for this phase to write? What a growth comes to depends on the room left when its turn comes. */
static bool is_candidate(const struct enforce_transition *t, enum enforce_phase phase, bool has_budget,
                         double min_change, enum crowd crowd)
{
        bool is_small = !enforce_quota_differs(t->in_force_milli, t->wanted_milli, min_change);

        if (!t->may_write)
                return false;
        if (phase == ENFORCE_GROW)
                return is_growth(t, has_budget) && !is_small;
        if (!is_shrink(t, has_budget))
                return false;
        return is_shy(t, has_budget) ? crowd == CROWD_ALL : !is_small || crowd != CROWD_NONE;
}

static double relative_change(const struct enforce_transition *t)
{
        if (t->in_force_milli == QUOTA_NONE_MILLI || t->wanted_milli == QUOTA_NONE_MILLI)
                return INFINITY;
        return fabs((double)t->wanted_milli - (double)t->in_force_milli) / max_of((double)t->in_force_milli, 1);
}

static bool is_after(const void *ctx, size_t a, size_t b)
{
        const struct enforce_transition *t = ctx;
        double change_a = relative_change(&t[a]), change_b = relative_change(&t[b]);

        if (t[a].is_urgent != t[b].is_urgent)
                return t[b].is_urgent;
        return change_a != change_b ? change_a < change_b : a > b;
}

size_t enforce_next_writes(enum enforce_phase phase, const struct enforce_transition t[], size_t n,
                           double budget_milli, double min_change, size_t n_writes_max,
                           size_t order[], int64_t ret_quota[], size_t *ret_n_left)
{
        bool has_budget = isfinite(budget_milli);
        enum crowd crowd = crowd_of(t, n, budget_milli, min_change);
        size_t n_candidates = 0, n_writes = 0, n_left = 0;
        double room_milli = budget_milli;

        for (size_t i = 0; i < n; i++) {
                /* Room is counted from what is in force, not from what was wished for. */
                room_milli -= finite_milli(t[i].in_force_milli);
                ret_quota[i] = -1;
                if (is_candidate(&t[i], phase, has_budget, min_change, crowd))
                        order[n_candidates++] = i;
        }
        heap_sort(order, n_candidates, is_after, t);

        for (size_t k = 0; k < n_candidates; k++) {
                const struct enforce_transition *u = &t[order[k]];
                int64_t to = u->wanted_milli;

                if (phase == ENFORCE_GROW && has_budget) {
                        to = grown_within(u, room_milli);
                        if (to < 0 || !enforce_quota_differs(u->in_force_milli, to, min_change))
                                continue;
                        /* Also where it has to wait: whoever comes after it does not get its room. */
                        room_milli -= finite_milli(to) - finite_milli(u->in_force_milli);
                }
                if (n_writes == n_writes_max) {
                        n_left++;
                        continue;
                }
                ret_quota[order[k]] = to;
                n_writes++;
        }
        *ret_n_left = n_left;
        return n_writes;
}

bool enforce_weight_differs(unsigned in_force, unsigned wanted, double min_change)
{
        unsigned distance = in_force > wanted ? in_force - wanted : wanted - in_force;

        return distance >= 1 && distance >= max_of(min_change, ENFORCE_WEIGHT_KEEP) * in_force;
}
