/* SPDX-License-Identifier: MIT */

#include "client/json.h"

#include "client/client.h"
#include "util/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct json_object *json_get(struct json_object *o, const char *key)
{
        struct json_object *member;

        return json_object_object_get_ex(o, key, &member) ? member : NULL;
}

const char *json_get_text(struct json_object *o, const char *key, const char *otherwise)
{
        struct json_object *member = json_get(o, key);

        return json_object_is_type(member, json_type_string) ? json_object_get_string(member) :
                                                               otherwise;
}

double json_get_number(struct json_object *o, const char *key)
{
        return json_number_of(json_get(o, key));
}

double json_number_of(struct json_object *value)
{
        if (!json_object_is_type(value, json_type_double) && !json_object_is_type(value, json_type_int))
                return NAN;
        return json_object_get_double(value);
}

bool json_count_of(struct json_object *value, uint64_t *ret)
{
        if (!json_object_is_type(value, json_type_int))
                return false;
        *ret = json_object_get_uint64(value);
        return true;
}

bool json_get_count(struct json_object *o, const char *key, uint64_t *ret)
{
        return json_count_of(json_get(o, key), ret);
}

bool json_get_bool(struct json_object *o, const char *key)
{
        struct json_object *member = json_get(o, key);

        return json_object_is_type(member, json_type_boolean) && json_object_get_boolean(member);
}

struct json_object *json_get_list(struct json_object *o, const char *key)
{
        struct json_object *member = json_get(o, key);

        return json_object_is_type(member, json_type_array) ? member : NULL;
}

size_t json_length(struct json_object *list)
{
        return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

struct json_object *json_at(struct json_object *list, size_t i)
{
        return i < json_length(list) ? json_object_array_get_idx(list, i) : NULL;
}

const char *json_text_at(struct json_object *list, size_t i)
{
        struct json_object *element = json_at(list, i);

        return json_object_is_type(element, json_type_string) ? json_object_get_string(element) : "";
}

double json_number_at(struct json_object *list, size_t i)
{
        return json_number_of(json_at(list, i));
}

char *json_join(struct json_object *list, const char *between, const char *before_last)
{
        size_t n = json_length(list), size;
        char *text = NULL;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        for (size_t i = 0; i < n; i++)
                (void)fprintf(f, "%s%s", i == 0 ? "" : i + 1 == n ? before_last : between,
                              json_text_at(list, i));
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

struct json_object *json_number(double number)
{
        char text[NUMBER_TEXT_MAX];

        return isfinite(number) ? json_object_new_double_s(number, format_shortest(text, number)) : NULL;
}

int json_print(struct json_object *o)
{
        int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

        if (isatty(STDOUT_FILENO) == 1)
                flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
        const char *text = json_object_to_json_string_ext(o, flags);
        if (!text)
                return out_of_memory();
        (void)puts(text);
        return STATUS_FINE;
}
