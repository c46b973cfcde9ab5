/* SPDX-License-Identifier: MIT */

#include "client/json.h"

#include "client/client.h"
#include "util/number.h"

#include <math.h>
#include <stdio.h>
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
        struct json_object *member = json_get(o, key);

        if (!json_object_is_type(member, json_type_double) &&
            !json_object_is_type(member, json_type_int))
                return NAN;
        return json_object_get_double(member);
}

bool json_get_bool(struct json_object *o, const char *key)
{
        struct json_object *member = json_get(o, key);

        return json_object_is_type(member, json_type_boolean) && json_object_get_boolean(member);
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
