/* SPDX-License-Identifier: MIT */

/* From calls to paths, from paths to coalitions: what people would draw on a whiteboard. */

#include "core/callgraph.h"
#include "lib/callgraph_fixture.h"

#include <errno.h>

#define N_MAX 64

static struct callgraph_fixture f;
static size_t path_first[N_MAX + 1], path_members[256];
static struct callgraph_paths paths;

static void set_up(void)
{
        f = callgraph_fixture_new(N_MAX, 256);
        paths = (struct callgraph_paths){ path_first, path_members, 0, N_MAX, 256 };
}

static void tear_down(void)
{
        callgraph_fixture_done(&f);
}

/* "ab bc": a calls b, b calls c. A digit after them is the weight. */
static void draw(const char *text)
{
        f.n_calls = 0;
        for (const char *s = text; *s;) {
                double weight = 1;
                size_t a = (size_t)(s[0] - 'a'), b = (size_t)(s[1] - 'a');

                s += 2;
                if (*s >= '1' && *s <= '9')
                        weight = *s++ - '0';
                callgraph_fixture_call(&f, a, b, weight);
                if (*s)
                        s++;
        }
}

/* The paths as text: "abc db". */
static const char *found(size_t n)
{
        static char text[1024];
        char *to = text;

        ck_assert_int_eq(callgraph_find_paths(f.calls, f.n_calls, n, &f.w, &paths), 0);
        for (size_t p = 0; p < paths.n_paths; p++) {
                for (size_t k = paths.first[p]; k < paths.first[p + 1]; k++)
                        *to++ = (char)('a' + paths.members[k]);
                *to++ = p + 1 < paths.n_paths ? ' ' : '\0';
        }
        *to = '\0';
        return text;
}

/* Blocks as text, "0" for the first one and "-" for a service in none: "0011-". */
static const char *written(const size_t block[], size_t n)
{
        static char text[N_MAX + 1];

        for (size_t i = 0; i < n; i++)
                text[i] = block[i] == CALLGRAPH_NONE ? '-' : (char)('0' + block[i]);
        text[n] = '\0';
        return text;
}

static const char *cut(size_t n, size_t size_max, bool may_search)
{
        size_t block[N_MAX];
        double weight;

        (void)callgraph_partition(f.calls, f.n_calls, n, size_max, may_search, &f.w, block, &weight);
        ck_assert_double_eq(weight, callgraph_fixture_cut(&f, block));
        return written(block, n);
}

START_TEST(each_service_that_nobody_calls_starts_a_path_of_all_it_reaches)
{
        draw("ab bc dc ce");
        ck_assert_str_eq(found(6), "abce dce");
}
END_TEST

START_TEST(members_stand_in_the_order_in_which_a_request_meets_them)
{
        draw("ac ab cd");
        ck_assert_str_eq(found(4), "acdb");
}
END_TEST

START_TEST(a_service_that_is_reached_twice_is_on_the_path_once)
{
        draw("ab ac bd cd cd");
        ck_assert_str_eq(found(4), "abdc");
}
END_TEST

START_TEST(a_cycle_without_an_entrance_starts_at_its_first_service)
{
        draw("bc ca ab");
        ck_assert_str_eq(found(3), "abc");
}
END_TEST

START_TEST(a_cycle_is_entered_where_somebody_calls_it)
{
        /* a and b call each other, d calls b: the cycle closes at b, though a comes first. */
        draw("ab ba db");
        ck_assert_str_eq(found(4), "dba");
}
END_TEST

START_TEST(a_service_that_calls_itself_is_no_path)
{
        draw("aa bc");
        ck_assert_str_eq(found(3), "bc");
}
END_TEST

START_TEST(without_calls_there_are_no_paths)
{
        draw("");
        ck_assert_str_eq(found(3), "");
        ck_assert_str_eq(found(0), "");
}
END_TEST

START_TEST(where_room_ends_the_first_paths_are_there_and_whole)
{
        draw("ab cd de");
        paths.n_members_max = 4;
        ck_assert_int_eq(callgraph_find_paths(f.calls, f.n_calls, 5, &f.w, &paths), 1);
        ck_assert_uint_eq(paths.n_paths, 1);
        ck_assert_uint_eq(paths.first[1], 2);
        paths.n_members_max = 5;
        ck_assert_int_eq(callgraph_find_paths(f.calls, f.n_calls, 5, &f.w, &paths), 0);
        paths.n_paths_max = 1;
        ck_assert_int_eq(callgraph_find_paths(f.calls, f.n_calls, 5, &f.w, &paths), 1);
        ck_assert_uint_eq(paths.n_paths, 1);
}
END_TEST

START_TEST(a_call_of_a_service_that_is_not_there_is_refused)
{
        draw("ab bf");
        ck_assert_int_eq(callgraph_find_paths(f.calls, f.n_calls, 3, &f.w, &paths), -EINVAL);
}
END_TEST

START_TEST(components_are_numbered_by_their_first_service)
{
        size_t component[N_MAX];

        draw("fe ec bd");
        ck_assert_uint_eq(callgraph_components(f.calls, f.n_calls, 7, &f.w, component), 2);
        ck_assert_str_eq(written(component, 7), "-0101" "1-");
}
END_TEST

START_TEST(what_fits_into_one_block_is_one)
{
        draw("ab bc cd");
        ck_assert_str_eq(cut(4, 4, true), "0000");
        ck_assert_str_eq(cut(4, 8, false), "0000");
}
END_TEST

START_TEST(the_lightest_call_is_cut)
{
        draw("ab5 bc1 cd5");
        ck_assert_str_eq(cut(4, 3, true), "0011");
        ck_assert_str_eq(cut(4, 3, false), "0011");
}
END_TEST

START_TEST(parallel_calls_add_up_in_both_directions)
{
        draw("ab2 bc1 cb2 bc1");
        ck_assert_str_eq(cut(3, 2, true), "011");
        ck_assert_str_eq(cut(3, 2, false), "011");
}
END_TEST

START_TEST(those_who_share_no_request_are_not_pooled)
{
        /* The leaves b, c, d, e know each other only through a. */
        draw("ab ac ad ae");
        ck_assert_str_eq(cut(5, 2, true), "00123");
        ck_assert_str_eq(cut(5, 2, false), "00123");
}
END_TEST

START_TEST(blocks_of_one_are_possible)
{
        draw("ab bc");
        ck_assert_str_eq(cut(3, 1, true), "012");
        ck_assert_str_eq(cut(3, 1, false), "012");
}
END_TEST

START_TEST(among_equal_cuts_few_blocks_with_the_first_services_together)
{
        draw("ab bc cd de ef");
        ck_assert_str_eq(cut(6, 4, true), "000011");
}
END_TEST

START_TEST(coalitions_leave_out_who_is_in_no_call_and_cut_what_is_too_large)
{
        size_t block[N_MAX], n_final = 0, n_components;

        /* a-b-c-d with a light middle, f-g, and e alone */
        draw("ab5 bc1 cd5 gf");
        ck_assert_uint_eq(callgraph_coalitions(f.calls, f.n_calls, 7, 3, SIZE_MAX, &f.w, &n_final, block,
                                               &n_components), 3);
        ck_assert_str_eq(written(block, 7), "0011-22");
        ck_assert_uint_eq(n_components, 2);
        ck_assert_uint_eq(n_final, 2);
}
END_TEST

START_TEST(what_was_not_searched_is_searched_in_later_calls_and_all_of_it_in_the_end)
{
        size_t block[N_MAX], at_once[N_MAX], n_final = 0, n_components, n = 60;
        struct testing_random r = { testing_seed() };

        /* Six components of ten, interleaved. */
        f.n_calls = 0;
        for (size_t i = 6; i < n; i++)
                callgraph_fixture_call(&f, i - 6 * (size_t)testing_random_int(&r, 1, (int64_t)i / 6), i,
                                       (double)testing_random_int(&r, 1, 9));
        (void)callgraph_coalitions(f.calls, f.n_calls, n, 4, SIZE_MAX, &f.w, &n_final, at_once, &n_components);
        ck_assert_uint_eq(n_final, 6);

        n_final = 0;
        (void)callgraph_coalitions(f.calls, f.n_calls, n, 4, 0, &f.w, &n_final, block, &n_components);
        ck_assert_uint_eq(n_final, 0);
        for (size_t k = 0; k < 3; k++) {
                double before = callgraph_fixture_cut(&f, block);

                (void)callgraph_coalitions(f.calls, f.n_calls, n, 4, 2 * callgraph_search_steps(10, 4), &f.w,
                                           &n_final, block, &n_components);
                ck_assert_uint_eq(n_final, 2 * (k + 1));
                ck_assert_double_le(callgraph_fixture_cut(&f, block), before);
        }
        ck_assert_mem_eq(block, at_once, n * sizeof *block);
}
END_TEST

START_TEST(one_search_is_made_however_small_the_budget)
{
        size_t block[N_MAX], n_final = 0, n_components;

        draw("ab bc cd ef fg gh");
        (void)callgraph_coalitions(f.calls, f.n_calls, 8, 3, 1, &f.w, &n_final, block, &n_components);
        ck_assert_uint_eq(n_final, 1);
        ck_assert_mem_eq(written(block, 8), "0001", 4);
}
END_TEST

/* Who waits for whom as text: "ab bc". */
static const char *waited(size_t n)
{
        static char text[1024];
        struct call waits[256];
        size_t n_waits = callgraph_waits(f.calls, f.n_calls, n, &f.w, waits);
        char *to = text;

        for (size_t k = 0; k < n_waits; k++) {
                if (k > 0)
                        *to++ = ' ';
                *to++ = (char)('a' + waits[k].caller);
                *to++ = (char)('a' + waits[k].callee);
        }
        *to = '\0';
        return text;
}

START_TEST(who_is_called_stands_before_who_waits_for_him)
{
        draw("ab bc ad dc");
        ck_assert_str_eq(waited(4), "bc dc ab ad");
        draw("dc cb ba");
        ck_assert_str_eq(waited(4), "ba cb dc");
}
END_TEST

START_TEST(nobody_waits_for_himself)
{
        draw("ab bc cb aa");
        ck_assert_str_eq(waited(3), "ab");
        /* Two paths in opposite orders. */
        draw("ba ab");
        ck_assert_str_eq(waited(2), "");
        /* Two cycles that share a service are one; who calls into it and whom it calls are none of it. */
        draw("ab bc cd db ce ec ef ga");
        ck_assert_str_eq(waited(7), "ef ab ga");
}
END_TEST

START_TEST(parallel_calls_are_waited_for_once)
{
        draw("ab2 ab3 bc bc");
        ck_assert_str_eq(waited(3), "bc ab");
        draw("");
        ck_assert_str_eq(waited(3), "");
}
END_TEST

int main(void)
{
        Suite *s = suite_create("callgraph");
        TCase *t = tcase_create("paths");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_test(t, each_service_that_nobody_calls_starts_a_path_of_all_it_reaches);
        tcase_add_test(t, members_stand_in_the_order_in_which_a_request_meets_them);
        tcase_add_test(t, a_service_that_is_reached_twice_is_on_the_path_once);
        tcase_add_test(t, a_cycle_without_an_entrance_starts_at_its_first_service);
        tcase_add_test(t, a_cycle_is_entered_where_somebody_calls_it);
        tcase_add_test(t, a_service_that_calls_itself_is_no_path);
        tcase_add_test(t, without_calls_there_are_no_paths);
        tcase_add_test(t, where_room_ends_the_first_paths_are_there_and_whole);
        tcase_add_test(t, a_call_of_a_service_that_is_not_there_is_refused);
        suite_add_tcase(s, t);

        t = tcase_create("waits");
        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_test(t, who_is_called_stands_before_who_waits_for_him);
        tcase_add_test(t, nobody_waits_for_himself);
        tcase_add_test(t, parallel_calls_are_waited_for_once);
        suite_add_tcase(s, t);

        t = tcase_create("coalitions");
        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_test(t, components_are_numbered_by_their_first_service);
        tcase_add_test(t, what_fits_into_one_block_is_one);
        tcase_add_test(t, the_lightest_call_is_cut);
        tcase_add_test(t, parallel_calls_add_up_in_both_directions);
        tcase_add_test(t, those_who_share_no_request_are_not_pooled);
        tcase_add_test(t, blocks_of_one_are_possible);
        tcase_add_test(t, among_equal_cuts_few_blocks_with_the_first_services_together);
        tcase_add_test(t, coalitions_leave_out_who_is_in_no_call_and_cut_what_is_too_large);
        tcase_add_test(t, what_was_not_searched_is_searched_in_later_calls_and_all_of_it_in_the_end);
        tcase_add_test(t, one_search_is_made_however_small_the_budget);
        suite_add_tcase(s, t);
        return testing_run(s);
}
