/* SPDX-License-Identifier: MIT */

#include "core/enforce.h"
#include "lib/testing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define N_MAX 24
#define N_CASES 4000
#define NONE QUOTA_NONE_MILLI

struct bench {
        struct enforce_rules rules;
        struct enforce_service services[N_MAX];
        struct enforce_group groups[N_MAX];
        size_t n, n_groups;
        struct enforce_setting settings[N_MAX];
        unsigned group_weights[N_MAX];
};

static int settle(struct bench *b)
{
        size_t order[N_MAX];
        double weight[N_MAX];
        struct enforce_level levels[N_MAX];
        int64_t bound[N_MAX], share[N_MAX];
        struct enforce_scratch scratch = { order, weight, bound, share, levels };

        return enforce_settings(&b->rules, b->services, b->n, b->groups, b->n_groups, &scratch,
                                b->settings, b->group_weights);
}

/* Allocations as the market makes them: within capacity, never above a Max=, promises below. */
static struct bench random_bench(struct testing_random *r, enum enforce mode)
{
        static const int64_t capacities[] = { 100, 1000, 4000, 64000 };
        int64_t capacity = capacities[testing_random_int(r, 0, 3)];
        int64_t reserve = testing_random_int(r, 0, capacity / 4);
        struct bench b = {
                .rules = {
                        .mode = mode,
                        .capacity_milli = (double)capacity,
                        .bargained_milli = (double)(capacity - reserve),
                        .reserve_milli = (double)reserve,
                        .headroom_milli = testing_random_int(r, 0, 1) ? 0 : testing_random_double(r, 0, 500),
                },
                .n = (size_t)testing_random_int(r, 0, N_MAX),
                .n_groups = (size_t)testing_random_int(r, 1, 6),
        };
        int64_t left = capacity - reserve;

        b.groups[0].parent = ENFORCE_NO_GROUP;
        for (size_t g = 1; g < b.n_groups; g++)
                b.groups[g] = (struct enforce_group) {
                        .parent = (size_t)testing_random_int(r, 0, (int64_t)g - 1),
                        .prior_weight = (unsigned)testing_random_int(r, 1, 200),
                        .may_change = testing_random_int(r, 0, 3) > 0,
                        .busy_unmanaged_weight = (double)(100 * testing_random_int(r, 0, 3)),
                };
        for (size_t i = 0; i < b.n; i++) {
                int64_t alloc = testing_random_int(r, 0, 1 + left / (int64_t)(b.n - i));

                alloc = alloc < left ? alloc : left;
                left -= alloc;
                b.services[i] = (struct enforce_service) {
                        .alloc_milli = alloc,
                        .load_milli = testing_random_double(r, 0, 2.0 * (double)alloc + 20),
                        .protected_milli = testing_random_double(r, 0, (double)alloc),
                        .max_milli = testing_random_int(r, 0, 2) ? INFINITY
                                                                 : (double)alloc + testing_random_double(r, 1, 500),
                        .path_cover = testing_random_int(r, 0, 1) ? INFINITY : testing_random_double(r, 0.8, 1.2),
                        .group = (size_t)testing_random_int(r, 0, (int64_t)b.n_groups - 1),
                };
        }
        return b;
}

START_TEST(a_partition_is_whole_percents_within_the_budget)
{
        struct testing_random r = { testing_seed() };
        int n_refused = 0, n_rounded_up = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct bench b = random_bench(&r, ENFORCE_QUOTA);
                int64_t sum = 0, sum_alloc = 0, room, ceil_of_promises = 0;
                int result = settle(&b);

                for (size_t i = 0; i < b.n; i++) {
                        int64_t low = (int64_t)ceil(b.services[i].protected_milli / 10) * 10;

                        sum_alloc += b.services[i].alloc_milli;
                        ceil_of_promises += low > 10 ? low : 10;
                }
                if ((double)(b.n * 10) > b.rules.bargained_milli) {
                        ck_assert_int_eq(result, -ENOSPC);
                        n_refused++;
                        continue;
                }
                ck_assert_int_eq(result, 0);
                room = sum_alloc > (int64_t)b.n * 10 ? sum_alloc : (int64_t)b.n * 10;
                room = room / 10 * 10;
                for (size_t i = 0; i < b.n; i++) {
                        const struct enforce_service *s = &b.services[i];
                        int64_t q = b.settings[i].quota_milli;

                        ck_assert_int_eq(q % QUOTA_STEP_MILLI, 0);
                        ck_assert_int_ge(q, QUOTA_STEP_MILLI);
                        /* Never beyond the allocation rounded up, nor beyond Max=. */
                        ck_assert_int_le(q, s->alloc_milli < 10 ? 10 : (s->alloc_milli + 9) / 10 * 10);
                        if (q > QUOTA_STEP_MILLI)
                                ck_assert_double_le((double)q, s->max_milli);
                        if (ceil_of_promises <= room &&
                            ceil(s->protected_milli / 10) * 10 <= floor(s->max_milli / 10) * 10) {
                                ck_assert_double_ge((double)q, s->protected_milli - 1e-6);
                                n_rounded_up++;
                        }
                        sum += q;
                }
                ck_assert_int_le(sum, room);
                ck_assert_double_le((double)sum, b.rules.bargained_milli);
        }
        ck_assert_int_gt(n_refused, 0);
        ck_assert_int_gt(n_rounded_up, N_CASES);
}
END_TEST

START_TEST(ceilings_never_bind_below_the_allocation_and_never_bind_the_satisfied)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct bench b = random_bench(&r, ENFORCE_BOTH);
                double taken = 0;

                for (size_t i = 0; i < b.n; i++)
                        b.services[i].was_unbounded = testing_random_int(&r, 0, 1);
                ck_assert_int_eq(settle(&b), 0);
                for (size_t i = 0; i < b.n; i++)
                        taken += fmin((double)b.services[i].alloc_milli, b.services[i].load_milli);
                for (size_t i = 0; i < b.n; i++) {
                        const struct enforce_service *s = &b.services[i];
                        double x = (double)s->alloc_milli, q = (double)b.settings[i].quota_milli;
                        double left = b.rules.capacity_milli - b.rules.headroom_milli - taken +
                                      fmin(x, s->load_milli);
                        double top = fmax(floor(s->max_milli / 10) * 10, 10);

                        ck_assert(!b.settings[i].is_satisfied || b.settings[i].is_unbounded);
                        if (!b.settings[i].is_satisfied && b.settings[i].is_unbounded)
                                ck_assert(s->was_unbounded && x >= ENFORCE_BOUND_BELOW * s->load_milli);
                        ck_assert_double_ge(q, fmin(x, top));
                        if (b.settings[i].quota_milli == NONE) {
                                ck_assert(isinf(s->max_milli) && b.settings[i].is_unbounded);
                                continue;
                        }
                        ck_assert_double_le(q, top);
                        if (b.settings[i].is_unbounded) {
                                ck_assert_double_eq(q, top);
                                continue;
                        }
                        ck_assert_double_ge(q, fmin(fmax(x, left), top) - 1e-6);
                        ck_assert_double_lt(q, fmax(fmax(x, left), 1) + 10);
                }
        }
}
END_TEST

/* phi, once more, from the words of the header. */
static double phi_of(const struct enforce_service *s)
{
        double ratio = fmin(s->load_milli > 0 ? (double)s->alloc_milli / s->load_milli : 1, s->path_cover);

        return ratio >= 1 ? 10 : ratio <= 0.9 ? 1 : 1 + 9 * (ratio - 0.9) / 0.1;
}

/* Each weight is within half a unit of the exact one: is w_i : w_j what claim_i : claim_j is? Weights at the kernel's bounds say nothing. */
static bool are_in_proportion(double claim_i, unsigned wi, double claim_j, unsigned wj)
{
        return claim_i * (wj - 0.5) <= claim_j * (wi + 0.5) * (1 + 1e-9) &&
               claim_j * (wi - 0.5) <= claim_i * (wj + 0.5) * (1 + 1e-9);
}

/* Sums of the allocations below every group. */
static void allocations_of(const struct bench *b, double alloc[])
{
        for (size_t g = 0; g < b->n_groups; g++)
                alloc[g] = 0;
        for (size_t i = 0; i < b->n; i++)
                alloc[b->services[i].group] += (double)b->services[i].alloc_milli;
        for (size_t g = b->n_groups; g-- > 1;)
                alloc[b->groups[g].parent] += alloc[g];
}

START_TEST(siblings_share_in_proportion_to_their_claims)
{
        struct testing_random r = { testing_seed() };
        int n_compared = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct bench b = random_bench(&r, ENFORCE_WEIGHT);
                double alloc[N_MAX];

                ck_assert_int_eq(settle(&b), 0);
                for (size_t i = 0; i < b.n; i++) {
                        double claim_i = (double)b.services[i].alloc_milli * phi_of(&b.services[i]);
                        unsigned wi = b.settings[i].cpu_weight;

                        ck_assert_uint_ge(wi, CPU_WEIGHT_MIN);
                        ck_assert_uint_le(wi, CPU_WEIGHT_MAX);
                        for (size_t j = 0; j < i; j++) {
                                double claim_j = (double)b.services[j].alloc_milli * phi_of(&b.services[j]);
                                unsigned wj = b.settings[j].cpu_weight;

                                if (b.services[i].group != b.services[j].group || wi <= 1 || wj <= 1 ||
                                    wi >= CPU_WEIGHT_MAX || wj >= CPU_WEIGHT_MAX)
                                        continue;
                                ck_assert(are_in_proportion(claim_i, wi, claim_j, wj));
                                n_compared++;
                        }
                        if (b.rules.reserve_milli > 0 && wi < CPU_WEIGHT_MAX)
                                ck_assert_double_ge(wi + 0.5,
                                                    b.groups[b.services[i].group].busy_unmanaged_weight *
                                                            (double)b.services[i].alloc_milli /
                                                            b.rules.reserve_milli);
                }
                allocations_of(&b, alloc);
                for (size_t g = 1; g < b.n_groups; g++)
                        if (b.groups[g].may_change) {
                                size_t parent = b.groups[g].parent;

                                ck_assert_uint_ge(b.group_weights[g], b.groups[g].prior_weight);
                                if (b.rules.reserve_milli > 0 && b.group_weights[g] < CPU_WEIGHT_MAX)
                                        ck_assert_double_ge(b.group_weights[g] + 0.5,
                                                            b.groups[parent].busy_unmanaged_weight * alloc[g] /
                                                                    b.rules.reserve_milli);
                        } else
                                ck_assert_uint_eq(b.group_weights[g], 0);
        }
        ck_assert_int_gt(n_compared, N_CASES);
}
END_TEST

static bool is_within_bounds(unsigned weight)
{
        return weight > CPU_WEIGHT_MIN && weight < CPU_WEIGHT_MAX;
}

/* Sums of the claims below every group. */
static void claims_of(const struct bench *b, double claim[])
{
        for (size_t g = 0; g < b->n_groups; g++)
                claim[g] = 0;
        for (size_t i = 0; i < b->n; i++)
                claim[b->services[i].group] += (double)b->services[i].alloc_milli * phi_of(&b->services[i]);
        for (size_t g = b->n_groups; g-- > 1;)
                claim[b->groups[g].parent] += claim[g];
}

START_TEST(slices_share_with_their_siblings_in_proportion_to_the_claims_below_them)
{
        struct testing_random r = { testing_seed() };
        int n_compared = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct bench b = random_bench(&r, ENFORCE_WEIGHT);
                double claim[N_MAX];

                ck_assert_int_eq(settle(&b), 0);
                claims_of(&b, claim);
                for (size_t g = 1; g < b.n_groups; g++) {
                        unsigned w = b.group_weights[g];

                        if (!is_within_bounds(w) || w == b.groups[g].prior_weight)
                                continue;
                        for (size_t h = 1; h < g; h++) {
                                unsigned other = b.group_weights[h];

                                if (b.groups[h].parent != b.groups[g].parent || !is_within_bounds(other) ||
                                    other == b.groups[h].prior_weight)
                                        continue;
                                ck_assert(are_in_proportion(claim[g], w, claim[h], other));
                                n_compared++;
                        }
                        for (size_t i = 0; i < b.n; i++) {
                                double own = (double)b.services[i].alloc_milli * phi_of(&b.services[i]);

                                if (b.services[i].group != b.groups[g].parent ||
                                    !is_within_bounds(b.settings[i].cpu_weight))
                                        continue;
                                ck_assert(are_in_proportion(claim[g], w, own, b.settings[i].cpu_weight));
                                n_compared++;
                        }
                }
        }
        ck_assert_int_gt(n_compared, N_CASES);
}
END_TEST

/* What the kernel makes of the weights, all of them busy: a child's share of its slice times the slice's
 * share of its own. */
START_TEST(shares_multiplied_down_the_tree_are_proportional_to_the_claims)
{
        struct testing_random r = { testing_seed() };
        int n_compared = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct bench b = random_bench(&r, ENFORCE_WEIGHT);
                double claim[N_MAX], sum[N_MAX] = { 0 }, error = 0;
                bool is_comparable = true;

                for (size_t g = 1; g < b.n_groups; g++) {
                        b.groups[g].may_change = true;
                        b.groups[g].prior_weight = 1;
                }
                ck_assert_int_eq(settle(&b), 0);
                claims_of(&b, claim);
                for (size_t i = 0; i < b.n; i++) {
                        if (b.services[i].alloc_milli == 0)
                                continue;
                        sum[b.services[i].group] += b.settings[i].cpu_weight;
                        is_comparable &= is_within_bounds(b.settings[i].cpu_weight);
                        error = fmax(error, 0.5 / (b.settings[i].cpu_weight - 0.5));
                }
                for (size_t g = 1; g < b.n_groups; g++) {
                        if (!(claim[g] > 0))
                                continue;
                        sum[b.groups[g].parent] += b.group_weights[g];
                        is_comparable &= is_within_bounds(b.group_weights[g]);
                        error = fmax(error, 0.5 / (b.group_weights[g] - 0.5));
                }
                if (!is_comparable || error > 0.02)
                        continue;
                for (size_t i = 0; i < b.n; i++) {
                        double own = (double)b.services[i].alloc_milli * phi_of(&b.services[i]), share;
                        int n_levels = 1;

                        if (b.services[i].alloc_milli == 0)
                                continue;
                        share = b.settings[i].cpu_weight / sum[b.services[i].group];
                        for (size_t g = b.services[i].group; g > 0; g = b.groups[g].parent, n_levels++)
                                share *= b.group_weights[g] / sum[b.groups[g].parent];
                        /* Each level rounds one weight above and one sum below the line. */
                        ck_assert_double_le(share, own / claim[0] * pow((1 + error) / (1 - error), n_levels));
                        ck_assert_double_ge(share, own / claim[0] * pow((1 - error) / (1 + error), n_levels));
                        n_compared++;
                }
        }
        ck_assert_int_gt(n_compared, N_CASES / 10);
}
END_TEST

/* More for one, the others as they were. Promises are whole percents here: where all of them fit only
 * just, rounding them up can cost others (doc/theory.md). */
static struct bench with_whole_promises(struct testing_random *r, enum enforce mode)
{
        struct bench b = random_bench(r, mode);

        for (size_t i = 0; i < b.n; i++)
                b.services[i].protected_milli = floor(b.services[i].protected_milli / 10) * 10;
        return b;
}

START_TEST(who_is_allocated_more_gets_no_lower_quota_and_no_smaller_weight)
{
        static const enum enforce modes[] = { ENFORCE_BOTH, ENFORCE_QUOTA };
        struct testing_random r = { testing_seed() };
        int n_compared = 0;

        for (int k = 0; k < 2 * N_CASES; k++) {
                struct bench b = with_whole_promises(&r, modes[k % 2]), more;
                int64_t promised = 0, sum = 0;
                size_t who;

                if (b.n == 0)
                        continue;
                for (size_t i = 0; i < b.n; i++) {
                        promised += b.services[i].protected_milli > 10 ? (int64_t)b.services[i].protected_milli : 10;
                        sum += b.services[i].alloc_milli;
                }
                more = b;
                who = (size_t)testing_random_int(&r, 0, (int64_t)b.n - 1);
                more.services[who].alloc_milli += testing_random_int(&r, 1, 50);
                if (settle(&b) < 0 || settle(&more) < 0)
                        continue;
                /* Where not even promises and one percent each fit, they give way. */
                if (b.rules.mode == ENFORCE_QUOTA &&
                    (double)promised > fmin((double)sum, b.rules.bargained_milli) - 10)
                        continue;
                n_compared++;
                ck_assert_int_ge(more.settings[who].quota_milli, b.settings[who].quota_milli);
                ck_assert(more.settings[who].is_satisfied || !b.settings[who].is_satisfied);
                for (size_t i = 0; i < b.n; i++) {
                        unsigned wi = b.settings[who].cpu_weight, wj = b.settings[i].cpu_weight;
                        unsigned wi_now = more.settings[who].cpu_weight, wj_now = more.settings[i].cpu_weight;

                        if (i == who)
                                continue;
                        if (b.rules.mode == ENFORCE_BOTH)
                                ck_assert_int_le(more.settings[i].quota_milli, b.settings[i].quota_milli);
                        if (b.rules.mode == ENFORCE_BOTH && b.services[i].group == b.services[who].group &&
                            is_within_bounds(wi) && is_within_bounds(wj) && is_within_bounds(wi_now) &&
                            is_within_bounds(wj_now))
                                ck_assert_double_ge((wi_now + 0.5) * (wj + 0.5), (wi - 0.5) * (wj_now - 0.5));
                }
        }
        ck_assert_int_gt(n_compared, N_CASES);
}
END_TEST

/* phi climbs from 1 to 10 over a tenth of the load: the weight changes at most a hundred times as much
 * as what it is made of. A ceiling follows one to one, but for the switch from short to satisfied. */
START_TEST(a_small_change_of_allocation_or_load_is_a_small_change_of_weights_and_ceilings)
{
        struct testing_random r = { testing_seed() };
        int n_compared = 0, n_switched = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct bench b = random_bench(&r, ENFORCE_BOTH), other;
                double change, change_milli;
                size_t who;

                if (b.n == 0)
                        continue;
                who = (size_t)testing_random_int(&r, 0, (int64_t)b.n - 1);
                if (b.services[who].alloc_milli < 200)
                        continue;
                /* Where phi climbs. */
                b.services[who].load_milli = testing_random_double(&r, 0.99, 1.12) *
                                             (double)b.services[who].alloc_milli;
                other = b;
                if (k % 2) {
                        change_milli = 1;
                        change = 1 / (double)b.services[who].alloc_milli;
                        other.services[who].alloc_milli++;
                } else {
                        change = 1e-3;
                        change_milli = change * b.services[who].load_milli;
                        other.services[who].load_milli += change_milli;
                }
                ck_assert_int_eq(settle(&b), 0);
                ck_assert_int_eq(settle(&other), 0);
                n_switched += b.settings[who].is_satisfied != other.settings[who].is_satisfied;
                for (size_t i = 0; i < b.n; i++) {
                        double w = b.settings[i].cpu_weight, q = (double)b.settings[i].quota_milli;
                        double w_now = other.settings[i].cpu_weight, q_now = (double)other.settings[i].quota_milli;

                        ck_assert_double_le(fabs(w_now - w), 1 + 100 * change * fmax(w, w_now));
                        if (b.settings[i].is_satisfied == other.settings[i].is_satisfied)
                                ck_assert_double_le(fabs(q_now - q), change_milli + 10 + 1e-6);
                        n_compared++;
                }
        }
        ck_assert_int_gt(n_compared, N_CASES);
        ck_assert_int_gt(n_switched, 0);
}
END_TEST

/* One milli more for one: a percent moves, and with it at most one of each other. */
START_TEST(a_milli_more_moves_a_partition_by_a_percent_each_at_most)
{
        struct testing_random r = { testing_seed() };
        int n_compared = 0;

        for (int k = 0; k < N_CASES; k++) {
                struct bench b = with_whole_promises(&r, ENFORCE_QUOTA), more;
                int64_t promised = 0, sum = 0;
                size_t who;

                if (b.n == 0)
                        continue;
                for (size_t i = 0; i < b.n; i++) {
                        promised += b.services[i].protected_milli > 10 ? (int64_t)b.services[i].protected_milli : 10;
                        sum += b.services[i].alloc_milli;
                }
                who = (size_t)testing_random_int(&r, 0, (int64_t)b.n - 1);
                more = b;
                more.services[who].alloc_milli++;
                if (settle(&b) < 0 || settle(&more) < 0 ||
                    (double)promised > fmin((double)sum, b.rules.bargained_milli) - 10)
                        continue;
                n_compared++;
                for (size_t i = 0; i < b.n; i++)
                        ck_assert_int_le(llabs((long long)(more.settings[i].quota_milli -
                                                           b.settings[i].quota_milli)),
                                         QUOTA_STEP_MILLI);
        }
        ck_assert_int_gt(n_compared, N_CASES / 4);
}
END_TEST

START_TEST(the_order_of_services_does_not_matter)
{
        static const enum enforce modes[] = { ENFORCE_BOTH, ENFORCE_QUOTA, ENFORCE_WEIGHT };
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct bench b = random_bench(&r, modes[k % 3]), other;
                size_t place[N_MAX];
                int result;

                for (size_t i = 0; i < b.n; i++) {
                        size_t j = (size_t)testing_random_int(&r, 0, (int64_t)i);

                        place[i] = place[j];
                        place[j] = i;
                }
                other = b;
                for (size_t i = 0; i < b.n; i++)
                        other.services[place[i]] = b.services[i];
                result = settle(&b);
                ck_assert_int_eq(settle(&other), result);
                for (size_t i = 0; i < b.n && result == 0; i++) {
                        int64_t q = b.settings[i].quota_milli, p = other.settings[place[i]].quota_milli;
                        unsigned wi = b.settings[i].cpu_weight, wp = other.settings[place[i]].cpu_weight;

                        ck_assert_int_eq(b.settings[i].is_satisfied, other.settings[place[i]].is_satisfied);
                        /* A tie of rounding goes by index: a percent, or a unit of weight. */
                        ck_assert_int_le(q > p ? q - p : p - q, b.rules.mode == ENFORCE_QUOTA ? 10 : 0);
                        ck_assert_uint_le(wi > wp ? wi - wp : wp - wi, 1);
                }
        }
}
END_TEST

/* ---- transitions ---------------------------------------------------------------------------------- */

enum fate {
        FATE_DONE,
        FATE_FAILED,
        FATE_LATE,              /* lands at a random later moment */
};

struct unit {
        int64_t in_force, wanted, pending;      /* pending: asked for, not yet landed; -1 = nothing */
};

struct world {
        struct unit units[N_MAX];
        size_t n;
        int64_t budget;
        bool was_within;
};

static int64_t finite_sum(const struct world *w)
{
        int64_t sum = 0;

        for (size_t i = 0; i < w->n; i++)
                sum += w->units[i].in_force == NONE ? 0 : w->units[i].in_force;
        return sum;
}

static void check_instant(struct world *w)
{
        bool is_within = finite_sum(w) <= w->budget;

        ck_assert(is_within || !w->was_within);
        w->was_within = is_within;
}

static void lands(struct world *w, size_t i)
{
        w->units[i].in_force = w->units[i].pending;
        w->units[i].pending = -1;
        check_instant(w);
}

/* One phase: every write lands, fails or is late, in a random order. Returns the number of writes. */
static size_t phase_passes(struct world *w, enum enforce_phase phase, struct testing_random *r,
                           int unreliability)
{
        struct enforce_transition t[N_MAX] = { 0 };
        int64_t quota[N_MAX];
        size_t order[N_MAX], n_writes, n_left;
        size_t n_writes_max = unreliability > 0 && testing_random_int(r, 0, 1)
                                      ? (size_t)testing_random_int(r, 0, N_MAX)
                                      : SIZE_MAX;

        for (size_t i = 0; i < w->n; i++) {
                const struct unit *u = &w->units[i];
                bool unconfirmed = u->pending >= 0;
                int64_t larger = u->pending > u->in_force || u->in_force == NONE ? u->pending : u->in_force;

                t[i] = (struct enforce_transition) {
                        .in_force_milli = unconfirmed ? larger : u->in_force,
                        .wanted_milli = u->wanted,
                        .may_write = !unconfirmed,
                        .is_restless = unreliability > 0 && testing_random_int(r, 0, 3) == 0,
                        .is_urgent = testing_random_int(r, 0, 3) == 0,
                };
        }
        n_writes = enforce_next_writes(phase, t, w->n, (double)w->budget, 0.02, n_writes_max, order, quota,
                                       &n_left);
        ck_assert_uint_le(n_writes, n_writes_max);
        ck_assert(n_left == 0 || n_writes == n_writes_max);
        for (size_t i = 0; i < w->n; i++) {
                size_t j = (size_t)testing_random_int(r, 0, (int64_t)i);

                order[i] = order[j];
                order[j] = i;
        }
        for (size_t k = 0; k < w->n; k++) {
                struct unit *u = &w->units[order[k]];

                if (testing_random_int(r, 0, 9) == 0)   /* a write of long ago arrives in between */
                        for (size_t i = 0; i < w->n; i++)
                                if (w->units[i].pending >= 0 && testing_random_int(r, 0, 1))
                                        lands(w, i);
                if (quota[order[k]] < 0)
                        continue;
                ck_assert(t[order[k]].may_write);
                ck_assert_int_ne(quota[order[k]], t[order[k]].in_force_milli);
                ck_assert_int_eq(quota[order[k]] % QUOTA_STEP_MILLI, 0);
                u->pending = quota[order[k]];
                switch (testing_random_int(r, 0, 99) < unreliability ? testing_random_int(r, 1, 2) : 0) {
                case FATE_DONE:
                        lands(w, order[k]);
                        break;
                case FATE_FAILED:
                        u->pending = -1;
                        break;
                case FATE_LATE:
                        break;
                }
        }
        return n_writes;
}

/* A plan as enforce_settings() makes it: whole percents, each at least one, within the budget. */
static void want_anew(struct world *w, struct testing_random *r)
{
        int64_t left = w->budget / 10;

        for (size_t i = 0; i < w->n; i++) {
                int64_t others = (int64_t)(w->n - i) - 1;
                int64_t share = testing_random_int(r, 1, 1 + (left - others - 1) / (others + 1) * 2);

                share = share < left - others ? share : left - others;
                w->units[i].wanted = 10 * share;
                left -= share;
        }
}

static struct world random_world(struct testing_random *r)
{
        struct world w = {
                .n = (size_t)testing_random_int(r, 1, N_MAX),
                .budget = 10 * testing_random_int(r, 2 * N_MAX, 3200),
        };

        for (size_t i = 0; i < w.n; i++)
                w.units[i] = (struct unit) {
                        .in_force = testing_random_int(r, 0, 2) ? NONE : 10 * testing_random_int(r, 1, 100),
                        .pending = -1,
                };
        w.was_within = finite_sum(&w) <= w.budget;
        return w;
}

START_TEST(quota_sum_never_exceeds_the_budget_whatever_fails_or_is_late)
{
        struct testing_random r = { testing_seed() };
        int n_within = 0;

        for (int k = 0; k < N_CASES / 4; k++) {
                struct world w = random_world(&r);

                for (int epoch = 0; epoch < 8; epoch++) {
                        want_anew(&w, &r);
                        (void)phase_passes(&w, ENFORCE_SHRINK, &r, 40);
                        (void)phase_passes(&w, ENFORCE_GROW, &r, 40);
                        if (testing_random_int(&r, 0, 9) == 0) {
                                /* A CPU was unplugged. What was asked for under the old budget can
                                 * still arrive; nothing but waiting helps, so it arrives now. */
                                for (size_t i = 0; i < w.n; i++)
                                        if (w.units[i].pending >= 0)
                                                lands(&w, i);
                                w.budget = w.budget * 3 / 40 * 10;
                                w.budget = w.budget > 20 * N_MAX ? w.budget : 20 * N_MAX;
                                w.was_within = finite_sum(&w) <= w.budget;
                        }
                        n_within += w.was_within;
                }
        }
        ck_assert_int_gt(n_within, N_CASES);
}
END_TEST

START_TEST(what_is_wanted_is_reached_when_writes_succeed)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES / 4; k++) {
                struct world w = random_world(&r);

                for (int epoch = 0; epoch < 3; epoch++) {
                        want_anew(&w, &r);
                        (void)phase_passes(&w, ENFORCE_SHRINK, &r, 0);
                        (void)phase_passes(&w, ENFORCE_GROW, &r, 0);
                        ck_assert_int_le(finite_sum(&w), w.budget);
                        for (size_t i = 0; i < w.n; i++) {
                                const struct unit *u = &w.units[i];
                                int64_t distance = u->in_force > u->wanted ? u->in_force - u->wanted
                                                                           : u->wanted - u->in_force;

                                /* All but what is too small to write, or was cut by such. */
                                ck_assert(distance == 0 ||
                                          (double)distance < fmax(10, 0.02 * (double)u->in_force));
                        }
                }
        }
}
END_TEST

START_TEST(nothing_is_written_when_nothing_changes)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < N_CASES / 4; k++) {
                struct world w = random_world(&r);

                want_anew(&w, &r);
                (void)phase_passes(&w, ENFORCE_SHRINK, &r, 0);
                (void)phase_passes(&w, ENFORCE_GROW, &r, 0);
                ck_assert_uint_eq(phase_passes(&w, ENFORCE_SHRINK, &r, 0), 0);
                ck_assert_uint_eq(phase_passes(&w, ENFORCE_GROW, &r, 0), 0);
        }
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("prop_enforce");
        TCase *settings = tcase_create("settings"), *transitions = tcase_create("transitions");

        tcase_add_test(settings, a_partition_is_whole_percents_within_the_budget);
        tcase_add_test(settings, ceilings_never_bind_below_the_allocation_and_never_bind_the_satisfied);
        tcase_add_test(settings, siblings_share_in_proportion_to_their_claims);
        tcase_add_test(settings, slices_share_with_their_siblings_in_proportion_to_the_claims_below_them);
        tcase_add_test(settings, shares_multiplied_down_the_tree_are_proportional_to_the_claims);
        tcase_add_test(settings, who_is_allocated_more_gets_no_lower_quota_and_no_smaller_weight);
        tcase_add_test(settings, a_small_change_of_allocation_or_load_is_a_small_change_of_weights_and_ceilings);
        tcase_add_test(settings, a_milli_more_moves_a_partition_by_a_percent_each_at_most);
        tcase_add_test(settings, the_order_of_services_does_not_matter);
        suite_add_tcase(s, settings);

        tcase_add_test(transitions, quota_sum_never_exceeds_the_budget_whatever_fails_or_is_late);
        tcase_add_test(transitions, what_is_wanted_is_reached_when_writes_succeed);
        tcase_add_test(transitions, nothing_is_written_when_nothing_changes);
        suite_add_tcase(s, transitions);
        return s;
}

int main(void)
{
        return testing_run(suite());
}
