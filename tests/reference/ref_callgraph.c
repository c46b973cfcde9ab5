/* SPDX-License-Identifier: MIT */

/* The cut of coalition.json: ten services, blocks of eight, where windows along the path would cut calls
 * of weight 115 or pool the services in the middle twice. */

#include "core/callgraph.h"
#include "lib/callgraph_fixture.h"
#include "lib/vectors.h"

START_TEST(the_least_cut_of_the_vector_is_found_by_search_and_by_the_heuristic)
{
        json_object *file = vectors_load("tests/data/coalition.json");
        json_object *vector = vectors_get(file, "partition"), *edges = vectors_get(vector, "edges");
        size_t n = (size_t)vectors_double(vector, "n"), size_max = (size_t)vectors_double(vector, "cap");
        struct callgraph_fixture f = callgraph_fixture_new(n, json_object_array_length(edges));
        int64_t masks[VECTORS_MAX];

        for (size_t k = 0; k < json_object_array_length(edges); k++) {
                json_object *edge = json_object_array_get_idx(edges, k);

                callgraph_fixture_call(&f, (size_t)json_object_get_int(json_object_array_get_idx(edge, 0)),
                                       (size_t)json_object_get_int(json_object_array_get_idx(edge, 1)),
                                       vectors_number(json_object_array_get_idx(edge, 2)));
        }
        for (int may_search = 0; may_search < 2; may_search++) {
                size_t block[VECTORS_MAX];
                double cut;

                ck_assert_uint_eq(callgraph_partition(f.calls, f.n_calls, n, size_max, may_search, &f.w,
                                                      block, &cut),
                                  vectors_ints(vector, "optimal_masks", masks));
                ck_assert_double_eq(cut, vectors_double(vector, "optimal_cut"));
                ck_assert_double_eq(callgraph_fixture_cut(&f, block), cut);
                for (size_t i = 0; i < n; i++)
                        ck_assert_int_eq(masks[block[i]] >> i & 1, 1);
        }
        callgraph_fixture_done(&f);
        json_object_put(file);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ref_callgraph");
        TCase *t = tcase_create("vectors");

        tcase_add_test(t, the_least_cut_of_the_vector_is_found_by_search_and_by_the_heuristic);
        suite_add_tcase(s, t);
        return testing_run(s);
}
