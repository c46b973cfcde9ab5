/* SPDX-License-Identifier: MIT */

#include "util/sorted.h"

#include "lib/testing.h"

static int compare(const void *key, const void *element)
{
        return *(const int *)key - *(const int *)element;
}

static size_t position(int key, const int array[], size_t n, bool *ret_found)
{
        return sorted_position(&key, array, n, sizeof *array, compare, ret_found);
}

START_TEST(position_is_where_it_is_or_would_have_to_be)
{
        static const int array[] = { 10, 20, 30 };
        bool found;

        for (size_t n = 0; n <= 3; n++)
                for (int key = 5; key <= 35; key += 5) {
                        size_t wanted = 0;

                        while (wanted < n && array[wanted] < key)
                                wanted++;
                        ck_assert_uint_eq(position(key, array, n, &found), wanted);
                        ck_assert_int_eq(found, wanted < n && array[wanted] == key);
                }
        ck_assert_uint_eq(position(1, NULL, 0, &found), 0);
        ck_assert(!found);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("sorted");
        TCase *c = tcase_create("sorted");

        tcase_add_test(c, position_is_where_it_is_or_would_have_to_be);
        suite_add_tcase(s, c);
        return testing_run(s);
}
