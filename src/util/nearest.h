/* SPDX-License-Identifier: MIT */
#pragma once

/* "Did you mean": the known name that is closest to a mistyped one. */

#include <stddef.h>

/* Names longer than this are compared by their beginning only, so that the cost stays bounded. */
#define NEAREST_LENGTH_MAX 63

/**
 * edit_distance() - insertions, deletions, replacements and swaps of neighbours between two names
 *
 * ASCII letters are compared without case: a wrong capital is what people mistype most.
 * Cost: O(length a * length b), at most NEAREST_LENGTH_MAX squared; no allocation.
 */
unsigned edit_distance(const char *a, const char *b);

/**
 * nearest_name() - the best of a list, if one is near enough to be meant
 * @names: @n names; NULL entries are skipped
 *
 * Near enough: at most a third of the longer name is different, and no more than three edits.
 *
 * Return: one of @names, or NULL.
 */
const char *nearest_name(const char *name, const char *const names[], size_t n);
