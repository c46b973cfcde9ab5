/* SPDX-License-Identifier: MIT */
#pragma once

/* Heaps of indices, in place: core allocates nothing and libc's qsort() may allocate.
 *
 * `above(ctx, a, b)` says whether index a belongs nearer the top than index b. It has to be a strict
 * total order (break ties by index) for results to be the same everywhere. Everything here is
 * inline so that the compiler sees through the pointer. */

#include <stdbool.h>
#include <stddef.h>

typedef bool (*heap_above_fn)(const void *ctx, size_t a, size_t b);

/* Moves the entry at `hole` down to where it belongs. Descends to a leaf first and climbs back: the
 * entry nearly always came from the bottom, so this takes half the comparisons. */
static inline void heap_sift(size_t heap[], size_t n, size_t hole, heap_above_fn above,
                             const void *ctx)
{
        size_t top = hole, entry = heap[hole];

        for (size_t child; (child = 2 * hole + 1) < n; hole = child) {
                if (child + 1 < n && above(ctx, heap[child + 1], heap[child]))
                        child++;
                heap[hole] = heap[child];
        }
        while (hole > top && above(ctx, entry, heap[(hole - 1) / 2])) {
                heap[hole] = heap[(hole - 1) / 2];
                hole = (hole - 1) / 2;
        }
        heap[hole] = entry;
}

static inline void heap_build(size_t heap[], size_t n, heap_above_fn above, const void *ctx)
{
        for (size_t i = n / 2; i-- > 0;)
                heap_sift(heap, n, i, above, ctx);
}

/* Sorts so that what belongs to the top comes last. O(n log n) whatever the input. */
static inline void heap_sort(size_t heap[], size_t n, heap_above_fn above, const void *ctx)
{
        heap_build(heap, n, above, ctx);
        for (size_t end = n; end > 1;) {
                size_t top = heap[0];

                end--;
                heap[0] = heap[end];
                heap_sift(heap, end, 0, above, ctx);
                heap[end] = top;
        }
}
