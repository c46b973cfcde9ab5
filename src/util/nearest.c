/* SPDX-License-Identifier: MIT */

#include "util/nearest.h"

#include <string.h>

#define EDITS_MAX 3

static char lower(char c)
{
        return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
        unsigned m = a < b ? a : b;
        return m < c ? m : c;
}

unsigned edit_distance(const char *a, const char *b)
{
        size_t n = strnlen(a, NEAREST_LENGTH_MAX), m = strnlen(b, NEAREST_LENGTH_MAX);
        unsigned rows[3][NEAREST_LENGTH_MAX + 1];
        unsigned *before = rows[0], *previous = rows[1], *current = rows[2];

        for (size_t j = 0; j <= m; j++)
                previous[j] = (unsigned)j;
        for (size_t i = 1; i <= n; i++) {
                current[0] = (unsigned)i;
                for (size_t j = 1; j <= m; j++) {
                        unsigned cost = lower(a[i - 1]) != lower(b[j - 1]);
                        current[j] = min3(previous[j] + 1, current[j - 1] + 1,
                                          previous[j - 1] + cost);
                        if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                            lower(a[i - 2]) == lower(b[j - 1]) && before[j - 2] + 1 < current[j])
                                current[j] = before[j - 2] + 1;
                }
                unsigned *t = before;
                before = previous;
                previous = current;
                current = t;
        }
        return previous[m];
}

const char *nearest_name(const char *name, const char *const names[], size_t n)
{
        const char *best = NULL;
        unsigned best_distance = EDITS_MAX + 1;

        for (size_t i = 0; i < n; i++) {
                if (!names[i])
                        continue;
                size_t a = strnlen(name, NEAREST_LENGTH_MAX);
                size_t b = strnlen(names[i], NEAREST_LENGTH_MAX);
                size_t longer = a > b ? a : b;
                if ((a > b ? a - b : b - a) >= best_distance)
                        continue; /* the lengths alone are too far apart: spares the quadratic part */
                unsigned d = edit_distance(name, names[i]);
                if (d < best_distance && 3 * (size_t)d <= longer) {
                        best = names[i];
                        best_distance = d;
                }
        }
        return best;
}
