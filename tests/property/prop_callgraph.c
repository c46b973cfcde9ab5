/* SPDX-License-Identifier: MIT */

/* Cuts of random call graphs: the search against every partition there is, the heuristic against the
 * search, and what holds for both. */

#include "core/callgraph.h"
#include "lib/callgraph_fixture.h"

#include <math.h>

#define N_SMALL 7

static struct callgraph_fixture f;

static void set_up(void)
{
        f = callgraph_fixture_new(300, 2000);
}

static void tear_down(void)
{
        callgraph_fixture_done(&f);
}

static double cut_of(size_t n, size_t size_max, bool may_search, size_t ret_block[], size_t *ret_n_blocks)
{
        double cut;

        *ret_n_blocks = callgraph_partition(f.calls, f.n_calls, n, size_max, may_search, &f.w, ret_block,
                                            &cut);
        return cut;
}

static bool is_connected(const size_t block[], size_t n, size_t b)
{
        bool is_reached[300] = {}, is_growing = true;

        for (size_t i = 0; i < n; i++)
                if (block[i] == b) {
                        is_reached[i] = true;
                        break;
                }
        while (is_growing) {
                is_growing = false;
                for (size_t k = 0; k < f.n_calls; k++) {
                        size_t x = f.calls[k].caller, y = f.calls[k].callee;

                        if (block[x] == b && block[y] == b && is_reached[x] != is_reached[y])
                                is_growing = is_reached[x] = is_reached[y] = true;
                }
        }
        for (size_t i = 0; i < n; i++)
                if (block[i] == b && !is_reached[i])
                        return false;
        return true;
}

/* Every service in one block, none too large, each connected, numbered by their first services. */
static void check_blocks(const size_t block[], size_t n, size_t n_blocks, size_t size_max)
{
        size_t n_seen = 0;

        for (size_t i = 0; i < n; i++) {
                ck_assert_uint_le(block[i], n_seen);
                n_seen += block[i] == n_seen;
        }
        ck_assert_uint_eq(n_seen, n_blocks);
        for (size_t b = 0; b < n_blocks; b++) {
                size_t size = 0;

                for (size_t i = 0; i < n; i++)
                        size += block[i] == b;
                ck_assert_uint_le(size, size_max);
                ck_assert(is_connected(block, n, b));
        }
}

/* All partitions of the services from i on, given the blocks of those before. */
static double least_cut(size_t block[], size_t i, size_t n, size_t n_blocks, size_t size_max)
{
        double least = INFINITY;

        if (i == n)
                return callgraph_fixture_cut(&f, block);
        for (size_t b = 0; b <= n_blocks; b++) {
                size_t size = 1;

                for (size_t k = 0; k < i; k++)
                        size += block[k] == b;
                if (size > size_max)
                        continue;
                block[i] = b;
                least = fmin(least, least_cut(block, i + 1, n, n_blocks + (b == n_blocks), size_max));
        }
        return least;
}

START_TEST(the_search_finds_the_least_cut_of_all_partitions)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < 300; k++) {
                size_t n = (size_t)testing_random_int(&r, 2, N_SMALL), n_blocks;
                size_t size_max = (size_t)testing_random_int(&r, 1, (int64_t)n);
                size_t block[N_SMALL], every[N_SMALL];

                callgraph_fixture_random(&f, &r, n, (size_t)testing_random_int(&r, 0, 8), 9);
                ck_assert_double_eq(cut_of(n, size_max, true, block, &n_blocks),
                                    least_cut(every, 0, n, 0, size_max));
                check_blocks(block, n, n_blocks, size_max);
        }
}
END_TEST

START_TEST(the_heuristic_comes_near_the_search)
{
        struct testing_random r = { testing_seed() };
        double sum_ratio = 0, sum_lost = 0, inner, worst = 0;
        int n_cases = 0, n_equal = 0;

        for (int k = 0; k < 150; k++) {
                size_t n = (size_t)testing_random_int(&r, 8, 13), block[CALLGRAPH_EXACT_MAX], n_blocks;
                size_t size_max = (size_t)testing_random_int(&r, 3, 7);
                double exact, heuristic, total = 0;

                callgraph_fixture_random(&f, &r, n, (size_t)testing_random_int(&r, 0, 2 * (int64_t)n), 20);
                for (size_t c = 0; c < f.n_calls; c++)
                        total += f.calls[c].weight;
                exact = cut_of(n, size_max, true, block, &n_blocks);
                heuristic = cut_of(n, size_max, false, block, &n_blocks);
                ck_assert_double_le(exact, heuristic);
                inner = total - exact;
                sum_ratio += heuristic / exact;
                sum_lost += (heuristic - exact) / inner;
                worst = fmax(worst, heuristic / exact);
                n_equal += heuristic == exact;
                n_cases++;
        }
        fprintf(stderr, "# heuristic / least cut: mean %.4f, worst %.3f; the least in %d of %d; inner weight lost %.4f\n",
                sum_ratio / n_cases, worst, n_equal, n_cases, sum_lost / n_cases);
        ck_assert_double_le(sum_ratio / n_cases, 1.05);
}
END_TEST

START_TEST(the_heuristic_keeps_the_limits_and_beats_windows)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < 60; k++) {
                size_t n = (size_t)testing_random_int(&r, 2, 300), block[300], window[300], n_blocks;
                size_t size_max = (size_t)testing_random_int(&r, 1, 32);
                double cut;

                callgraph_fixture_random(&f, &r, n, (size_t)testing_random_int(&r, 0, 4 * (int64_t)n), 50);
                cut = cut_of(n, size_max, false, block, &n_blocks);
                check_blocks(block, n, n_blocks, size_max);
                ck_assert_double_eq(cut, callgraph_fixture_cut(&f, block));
                for (size_t i = 0; i < n; i++)
                        window[i] = i / size_max;
                ck_assert_double_le(cut, callgraph_fixture_cut(&f, window));
        }
}
END_TEST

/* Weights such as 0.1, whose sums depend on the order in which they are added. */
START_TEST(the_order_and_direction_of_calls_do_not_matter)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < 100; k++) {
                size_t n = (size_t)testing_random_int(&r, 2, k % 2 ? 40 : 12), block[40], again[40], n_blocks;
                size_t size_max = (size_t)testing_random_int(&r, 2, 8);

                callgraph_fixture_random(&f, &r, n, 2 * n, 3);
                for (size_t c = 0; c < f.n_calls; c++)
                        f.calls[c].weight *= 0.1;
                (void)cut_of(n, size_max, true, block, &n_blocks);
                for (size_t c = f.n_calls; c > 1; c--) {
                        size_t other = (size_t)testing_random_int(&r, 0, (int64_t)c - 1);
                        struct call swapped = f.calls[other];

                        f.calls[other] = f.calls[c - 1];
                        f.calls[c - 1] = (struct call){ swapped.callee, swapped.caller, swapped.weight };
                }
                (void)cut_of(n, size_max, true, again, &n_blocks);
                ck_assert_mem_eq(block, again, n * sizeof *block);
        }
}
END_TEST

START_TEST(coalitions_never_overlap_and_stay_within_their_component)
{
        struct testing_random r = { testing_seed() };

        for (int k = 0; k < 60; k++) {
                size_t n = (size_t)testing_random_int(&r, 2, 200), n_blocks, n_final = 0, n_components;
                size_t size_max = (size_t)testing_random_int(&r, 1, 8), block[200], component[200];
                size_t size[200] = {}, component_of_block[200];

                f.n_calls = 0;
                for (int64_t c = testing_random_int(&r, 0, (int64_t)n); c > 0; c--)
                        callgraph_fixture_call(&f, (size_t)testing_random_int(&r, 0, (int64_t)n - 1),
                                               (size_t)testing_random_int(&r, 0, (int64_t)n - 1), 1);
                (void)callgraph_components(f.calls, f.n_calls, n, &f.w, component);
                n_blocks = callgraph_coalitions(f.calls, f.n_calls, n, size_max, 100000, &f.w, &n_final,
                                                block, &n_components);
                for (size_t i = 0; i < n; i++) {
                        ck_assert_int_eq(block[i] == CALLGRAPH_NONE, component[i] == CALLGRAPH_NONE);
                        if (block[i] == CALLGRAPH_NONE)
                                continue;
                        ck_assert_uint_lt(block[i], n_blocks);
                        if (size[block[i]]++ == 0)
                                component_of_block[block[i]] = component[i];
                        ck_assert_uint_eq(component_of_block[block[i]], component[i]);
                        ck_assert_uint_le(size[block[i]], size_max);
                }
        }
}
END_TEST

int main(void)
{
        Suite *s = suite_create("prop_callgraph");
        TCase *t = tcase_create("properties");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_test(t, the_search_finds_the_least_cut_of_all_partitions);
        tcase_add_test(t, the_heuristic_comes_near_the_search);
        tcase_add_test(t, the_heuristic_keeps_the_limits_and_beats_windows);
        tcase_add_test(t, the_order_and_direction_of_calls_do_not_matter);
        tcase_add_test(t, coalitions_never_overlap_and_stay_within_their_component);
        suite_add_tcase(s, t);
        return testing_run(s);
}
