/* SPDX-License-Identifier: MIT */
#pragma once

/* Reads the expected results in tests/data. Whatever is missing or of the wrong kind fails the test
 * on the spot: a vector that is silently skipped proves nothing. */

#include <json-c/json.h>
#include <math.h>
#include <string.h>

#include "lib/testing.h"

#define VECTORS_MAX 64          /* no case has more players */

/* The whole file; put it with json_object_put(). */
static inline json_object *vectors_load(const char *relative)
{
        json_object *file = json_object_from_file(testing_source_path(relative));

        ck_assert_msg(file != NULL, "%s: %s", relative, json_util_get_last_err());
        return file;
}

static inline json_object *vectors_get(json_object *from, const char *key)
{
        json_object *found = NULL;

        ck_assert_msg(json_object_object_get_ex(from, key, &found), "no key %s", key);
        return found;
}

/* A number; "inf" and null (unbounded) are INFINITY. */
static inline double vectors_number(json_object *o)
{
        if (o == NULL || json_object_is_type(o, json_type_string)) {
                ck_assert(o == NULL || strcmp(json_object_get_string(o), "inf") == 0);
                return INFINITY;
        }
        ck_assert(json_object_is_type(o, json_type_int) ||
                  json_object_is_type(o, json_type_double));
        return json_object_get_double(o);
}

static inline double vectors_double(json_object *from, const char *key)
{
        return vectors_number(vectors_get(from, key));
}

static inline const char *vectors_text(json_object *from, const char *key)
{
        return json_object_get_string(vectors_get(from, key));
}

/* Returns the length of the array. */
static inline size_t vectors_doubles(json_object *from, const char *key, double ret[VECTORS_MAX])
{
        json_object *array = vectors_get(from, key);

        ck_assert(json_object_is_type(array, json_type_array));
        size_t n = json_object_array_length(array);
        ck_assert_uint_le(n, VECTORS_MAX);
        for (size_t i = 0; i < n; i++)
                ret[i] = vectors_number(json_object_array_get_idx(array, i));
        return n;
}

static inline size_t vectors_ints(json_object *from, const char *key, int64_t ret[VECTORS_MAX])
{
        double real[VECTORS_MAX];
        size_t n = vectors_doubles(from, key, real);

        for (size_t i = 0; i < n; i++)
                ret[i] = (int64_t)real[i];
        return n;
}

/* Equal within tol, relative to the expected value where that exceeds one. */
#define vectors_assert_near(actual, expected, tol, what)                                           \
        do {                                                                                       \
                double a_ = (actual), e_ = (expected);                                             \
                ck_assert_msg(a_ == e_ || fabs(a_ - e_) <= (tol) * fmax(1, fabs(e_)),              \
                              "%s: %s is %.17g, expected %.17g", (what), #actual, a_, e_);         \
        } while (0)
