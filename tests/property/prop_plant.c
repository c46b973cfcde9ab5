/* SPDX-License-Identifier: MIT */

/* The plant on random hosts: nothing is lost, shares are those of an independent solver, quotas hold, and
 * neither the step nor the unit of time matters. */

#include "sim/plant.h"

#include "lib/testing.h"

#define N_CASES 100
#define N_EVENTS 300
#define N_MAX 14
#define THREADS_MAX 6
#define MS 1000.0

/* What the test knows of the host without asking it. */
struct world {
        struct testing_random random;
        struct plant_host host;
        struct plant_group groups[N_MAX];
        size_t n;
        unsigned n_cpus;
        unsigned n_runnable[N_MAX];
        struct plant *plant;
};

static struct plant_group random_group(struct testing_random *r, const struct plant_group before[], size_t n,
                                       bool has_quotas)
{
        struct plant_group g = {
                .parent = PLANT_ROOT,
                .n_threads_max = testing_random_int(r, 0, 3) ? THREADS_MAX : 0,
                .weight = (double)testing_random_int(r, 1, testing_random_int(r, 0, 1) ? 10000 : 200),
                .quota_usec = INFINITY,
                .phase_usec = (double)testing_random_int(r, 0, 99999),
        };

        if (n > 0 && testing_random_int(r, 0, 2)) {
                size_t parent = (size_t)testing_random_int(r, 0, (int64_t)n - 1);

                g.parent = before[parent].n_threads_max == 0 ? parent : PLANT_ROOT;
        }
        if (has_quotas && testing_random_int(r, 0, 1)) {
                g.quota_usec = testing_random_double(r, 2, 300) * MS;
                g.burst_usec = testing_random_int(r, 0, 1) ? g.quota_usec * testing_random_double(r, 0, 1) : 0;
        }
        return g;
}

static void build(struct world *w, uint64_t seed, bool has_quotas)
{
        *w = (struct world){ .random = { seed } };
        w->n = (size_t)testing_random_int(&w->random, 1, N_MAX);
        w->host.n_cpus = w->n_cpus = (unsigned)testing_random_int(&w->random, 1, 8);
        w->host.slowdown_from = 0.7;
        w->host.slowdown = testing_random_int(&w->random, 0, 1) ? 0.5 : 0;
        for (size_t i = 0; i < w->n; i++)
                w->groups[i] = random_group(&w->random, w->groups, i, has_quotas);
        ck_assert_int_eq(plant_new(&w->host, w->groups, w->n, &w->plant), 0);
}

static void start_somewhere(struct world *w)
{
        size_t i = (size_t)testing_random_int(&w->random, 0, (int64_t)w->n - 1);
        double work_usec = testing_random_int(&w->random, 0, 9) ? testing_random_double(&w->random, 0.01, 60) * MS
                                                                : 500 * MS;

        if (w->n_runnable[i] == w->groups[i].n_threads_max)
                return;
        ck_assert_int_eq(plant_start(w->plant, i, work_usec, (uint32_t)i), 0);
        w->n_runnable[i]++;
}

static void advance(struct world *w, double by_usec)
{
        uint32_t tag;

        if (plant_advance(w->plant, plant_now_usec(w->plant) + by_usec, &tag))
                w->n_runnable[tag]--;
}

/* Anything that may happen to a host but a write of bandwidth. */
static void disturb(struct world *w)
{
        size_t i = (size_t)testing_random_int(&w->random, 0, (int64_t)w->n - 1);

        switch (testing_random_int(&w->random, 0, 30)) {
        case 0:
                w->groups[i].weight = (double)testing_random_int(&w->random, 1, 10000);
                ck_assert_int_eq(plant_set_weight(w->plant, i, w->groups[i].weight), 0);
                break;
        case 1:
                w->n_cpus = (unsigned)testing_random_int(&w->random, 1, w->host.n_cpus);
                ck_assert_int_eq(plant_set_cpus(w->plant, w->n_cpus), 0);
                break;
        case 2:
                if (w->groups[i].n_threads_max > 0) {
                        plant_restart(w->plant, i);
                        w->n_runnable[i] = 0;
                }
                break;
        default:
                if (testing_random_int(&w->random, 0, 1))
                        start_somewhere(w);
                else
                        advance(w, testing_random_double(&w->random, 0, 40) * MS);
        }
}

/* ---- an independent solver ------------------------------------------------------------------------ */

/* CPUs that each group could run on, those of what holds groups with all inside. Return: of the host. */
static double find_demands(const struct world *w, double demand[])
{
        double all = 0;

        for (size_t i = w->n; i-- > 0;) {
                bool is_throttled = plant_is_throttled(w->plant, i);

                demand[i] = is_throttled ? 0 : fmin(w->n_runnable[i], w->n_cpus);
                for (size_t k = i + 1; k < w->n && !is_throttled; k++)
                        if (w->groups[k].parent == i)
                                demand[i] += demand[k];
                if (w->groups[i].parent == PLANT_ROOT)
                        all += demand[i];
        }
        return all;
}

/* By bisection on the water level. */
static void check_level(const struct world *w, const double demand[], size_t parent, double amount)
{
        double low = 0, high = 1e3, wanted = 0;

        for (size_t i = 0; i < w->n; i++)
                if (w->groups[i].parent == parent)
                        wanted += demand[i];
        for (int k = 0; k < 70; k++) {
                double middle = (low + high) / 2, sum = 0;

                for (size_t i = 0; i < w->n; i++)
                        if (w->groups[i].parent == parent)
                                sum += fmin(demand[i], w->groups[i].weight * middle);
                if (sum < fmin(amount, wanted))
                        low = middle;
                else
                        high = middle;
        }
        for (size_t i = 0; i < w->n; i++)
                if (w->groups[i].parent == parent) {
                        double share = fmin(demand[i], w->groups[i].weight * high);

                        ck_assert_double_eq_tol(plant_share_cpus(w->plant, i), share, 1e-9);
                        if (w->groups[i].n_threads_max == 0)
                                check_level(w, demand, i, share);
                }
}

START_TEST(shares_are_weighted_max_min_on_every_level_and_nothing_idles_that_could_run)
{
        struct testing_random seeds = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct world w;

                build(&w, testing_random_u64(&seeds), true);
                for (int e = 0; e < N_EVENTS; e++) {
                        double demand[N_MAX], wanted, granted = 0;

                        disturb(&w);
                        wanted = find_demands(&w, demand);
                        check_level(&w, demand, PLANT_ROOT, w.n_cpus);
                        for (size_t i = 0; i < w.n; i++)
                                if (w.groups[i].parent == PLANT_ROOT)
                                        granted += plant_share_cpus(w.plant, i);
                        ck_assert_double_eq_tol(granted, fmin(wanted, w.n_cpus), 1e-9);
                }
                plant_free(w.plant);
        }
}
END_TEST

START_TEST(no_group_uses_more_than_its_quotas_and_its_burst_over_any_periods)
{
        struct testing_random seeds = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                struct world w;
                double used[N_MAX][64];
                size_t n_periods = 0;

                build(&w, testing_random_u64(&seeds), true);
                for (size_t i = 0; i < w.n; i++)
                        w.groups[i].phase_usec = 0; /* so that all grids are this one */
                plant_free(w.plant);
                ck_assert_int_eq(plant_new(&w.host, w.groups, w.n, &w.plant), 0);
                while (n_periods < 64) {
                        double end_usec = (double)(n_periods + 1) * PLANT_PERIOD_USEC;

                        while (plant_now_usec(w.plant) < end_usec) {
                                double left_usec = end_usec - plant_now_usec(w.plant);

                                start_somewhere(&w);
                                advance(&w, fmin(left_usec, testing_random_double(&w.random, 0, 20) * MS));
                        }
                        for (size_t i = 0; i < w.n; i++) {
                                struct plant_counters c;

                                plant_read(w.plant, i, &c);
                                used[i][n_periods] = (double)c.unit.usage_usec;
                                ck_assert_uint_le(c.unit.nr_throttled, c.unit.nr_periods);
                                ck_assert_uint_le(c.fully_stalled_usec, c.unit.stalled_usec + 1);
                                for (size_t from = 0; from < n_periods; from++)
                                        ck_assert_double_le(used[i][n_periods] - used[i][from],
                                                            (double)(n_periods - from) * w.groups[i].quota_usec +
                                                                    w.groups[i].burst_usec + 2);
                        }
                        n_periods++;
                }
                plant_free(w.plant);
        }
}
END_TEST

/* A thread that comes to a full pool: it runs until the pool or the period ends, then a quota a period. */
static double end_on_paper(double start_usec, double work_usec, double quota_usec, double phase_usec)
{
        double next_usec = phase_usec + (floor((start_usec - phase_usec) / PLANT_PERIOD_USEC) + 1) * PLANT_PERIOD_USEC;
        double first_usec = fmin(quota_usec, next_usec - start_usec);

        if (work_usec <= first_usec)
                return start_usec + work_usec;
        work_usec -= first_usec;
        quota_usec = fmin(quota_usec, PLANT_PERIOD_USEC);
        double n_whole = ceil(work_usec / quota_usec) - 1;
        return next_usec + n_whole * PLANT_PERIOD_USEC + work_usec - n_whole * quota_usec;
}

START_TEST(a_lone_thread_under_a_quota_ends_when_arithmetic_says)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < 40 * N_CASES; k++) {
                struct plant_group g = {
                        .parent = PLANT_ROOT,
                        .n_threads_max = 1,
                        .weight = 100,
                        .quota_usec = testing_random_double(&r, 1, 130) * MS,
                        .phase_usec = (double)testing_random_int(&r, 0, 99999),
                };
                double start_usec = testing_random_double(&r, 0, 1000) * MS;
                double work_usec = testing_random_double(&r, 0.01, testing_random_int(&r, 0, 1) ? 1000 : 30) * MS;
                struct plant *p;
                uint32_t tag;

                ck_assert_int_eq(plant_new(&(struct plant_host){ .n_cpus = 3 }, &g, 1, &p), 0);
                ck_assert(!plant_advance(p, start_usec, &tag));
                ck_assert_int_eq(plant_start(p, 0, work_usec, 0), 0);
                ck_assert(plant_advance(p, 1e12, &tag));
                ck_assert_double_eq_tol(plant_now_usec(p), end_on_paper(start_usec, work_usec, g.quota_usec, g.phase_usec), 0.01);
                plant_free(p);
        }
}
END_TEST

/* Runs the same load twice, the second time looking at the host every now and then. Bit for bit. */
START_TEST(where_the_caller_stops_to_look_does_not_matter)
{
        struct testing_random seeds = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                uint64_t seed = testing_random_u64(&seeds);
                struct world once, often;
                uint32_t tag_once, tag_often;

                build(&once, seed, true);
                build(&often, seed, true);
                for (int e = 0; e < N_EVENTS; e++) {
                        double until_usec = plant_now_usec(once.plant) + testing_random_double(&seeds, 0, 50) * MS;
                        bool has_ended = false, has_ended_often = false;

                        start_somewhere(&once);
                        start_somewhere(&often);
                        has_ended = plant_advance(once.plant, until_usec, &tag_once);
                        while (!has_ended_often && plant_now_usec(often.plant) < until_usec)
                                has_ended_often = plant_advance(
                                        often.plant, fmin(plant_now_usec(often.plant) + 777, until_usec), &tag_often);
                        ck_assert_int_eq(has_ended, has_ended_often);
                        ck_assert(plant_now_usec(once.plant) == plant_now_usec(often.plant));
                        if (!has_ended)
                                continue;
                        ck_assert_uint_eq(tag_once, tag_often);
                        once.n_runnable[tag_once]--;
                        often.n_runnable[tag_often]--;
                }
                for (size_t i = 0; i < once.n; i++) {
                        struct plant_counters a, b;

                        plant_read(once.plant, i, &a);
                        plant_read(often.plant, i, &b);
                        ck_assert_uint_eq(a.unit.usage_usec, b.unit.usage_usec);
                        ck_assert_uint_eq(a.unit.nr_periods, b.unit.nr_periods);
                        ck_assert_uint_eq(a.unit.throttled_usec, b.unit.throttled_usec);
                        ck_assert_uint_eq(a.unit.stalled_usec, b.unit.stalled_usec);
                }
                plant_free(once.plant);
                plant_free(often.plant);
        }
}
END_TEST

/* Without quotas nothing that runs has a length of its own: four times the work takes four times as long. */
START_TEST(time_has_no_unit_where_there_are_no_quotas)
{
        struct testing_random seeds = { testing_seed() };

        for (int k = 0; k < N_CASES; k++) {
                uint64_t seed = testing_random_u64(&seeds);
                struct world w, slow;
                uint32_t tag, tag_slow;

                build(&w, seed, false);
                build(&slow, seed, false);
                for (int e = 0; e < N_EVENTS; e++) {
                        size_t i = (size_t)testing_random_int(&seeds, 0, (int64_t)w.n - 1);
                        double work_usec = testing_random_double(&seeds, 0.01, 60) * MS;
                        double now_usec = plant_now_usec(w.plant), wait_usec = testing_random_double(&seeds, 0, 10) * MS;
                        int r = plant_start(w.plant, i, work_usec, (uint32_t)i);

                        ck_assert_int_eq(plant_start(slow.plant, i, 4 * work_usec, (uint32_t)i), r);
                        ck_assert_int_eq(plant_advance(w.plant, now_usec + wait_usec, &tag),
                                         plant_advance(slow.plant, 4 * (now_usec + wait_usec), &tag_slow));
                        ck_assert_double_eq_tol(plant_now_usec(slow.plant), 4 * plant_now_usec(w.plant), 1e-3);
                }
                plant_free(w.plant);
                plant_free(slow.plant);
        }
}
END_TEST

int main(void)
{
        Suite *s = suite_create("prop_plant");
        TCase *t = tcase_create("prop_plant");

        tcase_add_test(t, shares_are_weighted_max_min_on_every_level_and_nothing_idles_that_could_run);
        tcase_add_test(t, no_group_uses_more_than_its_quotas_and_its_burst_over_any_periods);
        tcase_add_test(t, a_lone_thread_under_a_quota_ends_when_arithmetic_says);
        tcase_add_test(t, where_the_caller_stops_to_look_does_not_matter);
        tcase_add_test(t, time_has_no_unit_where_there_are_no_quotas);
        suite_add_tcase(s, t);
        return testing_run(s);
}
