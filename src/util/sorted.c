/* SPDX-License-Identifier: MIT */

#include "util/sorted.h"

size_t sorted_position(const void *key, const void *array, size_t n, size_t size,
                       sorted_compare_fn compare, bool *ret_found)
{
        size_t low = 0, high = n;

        *ret_found = false;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = compare(key, (const char *)array + middle * size);

                if (order == 0) {
                        *ret_found = true;
                        return middle;
                }
                if (order > 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}
