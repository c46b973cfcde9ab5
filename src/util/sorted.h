/* SPDX-License-Identifier: MIT */
#pragma once

/* Where something is in a sorted array, or would have to be: what bsearch() does not say. */

#include <stdbool.h>
#include <stddef.h>

/* As for bsearch(): < 0 if the key comes before the element, 0 if it is the element, > 0 if after. */
typedef int (*sorted_compare_fn)(const void *key, const void *element);

/**
 * sorted_position() - find an element, or the place to insert it at
 * @array:     @n elements of @size bytes, ascending; may be NULL if @n is 0
 * @ret_found: is the element at the position that is returned?
 *
 * Cost: O(log n) comparisons, no allocation.
 *
 * Return: 0..n.
 */
size_t sorted_position(const void *key, const void *array, size_t n, size_t size,
                       sorted_compare_fn compare, bool *ret_found);
