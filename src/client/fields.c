/* SPDX-License-Identifier: MIT */

#include "client/fields.h"

#include "client/client.h"

#include <math.h>

/* A count in other units; @none and what is no count -> null. */
static struct json_object *scaled(struct json_object *member, double unit, uint64_t none)
{
        uint64_t count;

        return json_count_of(member, &count) && count != none ? json_number((double)count / unit) : NULL;
}

/* An element of a list, or what is no list. */
static struct json_object *element_to_json(enum field_type type, struct json_object *element)
{
        if (type == FIELD_CPU_LIST)
                return scaled(element, 1e3, NONE);
        /* The only simple value that JSON cannot always say. */
        if (type == FIELD_NUMBER_LIST || json_object_is_type(element, json_type_double))
                return json_number(json_number_of(element));
        return json_object_get(element);
}

static struct json_object *list_to_json(enum field_type type, struct json_object *list)
{
        struct json_object *out = json_object_new_array();

        for (size_t i = 0; out && i < json_length(list); i++)
                if (json_object_array_add(out, element_to_json(type, json_at(list, i))) < 0) {
                        json_object_put(out);
                        return NULL;
                }
        return out;
}

static struct json_object *field_to_json(const struct field *f, struct json_object *o)
{
        struct json_object *member = json_get(o, f->bus_name);
        uint64_t count;

        switch (f->type) {
        case FIELD_SAME:
                return json_object_is_type(member, json_type_array) ? list_to_json(f->type, member) :
                                                                      element_to_json(f->type, member);
        case FIELD_NUMBER:
                return json_number(json_number_of(member));
        case FIELD_OPTIONAL:
                return json_count_of(member, &count) && count != NONE ? json_object_get(member) : NULL;
        case FIELD_CPU:
        case FIELD_LATENCY:
                return scaled(member, 1e3, NONE);
        case FIELD_TARGET:
                return scaled(member, 1e3, 0);
        case FIELD_SPAN:
                return scaled(member, 1e6, NONE);
        case FIELD_CPU_LIST:
        case FIELD_NUMBER_LIST:
                return json_object_is_type(member, json_type_array) ? list_to_json(f->type, member) : NULL;
        }
        return NULL;
}

struct json_object *fields_to_json(const struct field fields[], size_t n, struct json_object *o)
{
        struct json_object *out = json_object_new_object();

        for (size_t i = 0; out && i < n; i++)
                if (json_object_object_add(out, fields[i].json_name, field_to_json(&fields[i], o)) < 0) {
                        json_object_put(out);
                        return NULL;
                }
        return out;
}

bool fields_add_list(struct json_object *top, const char *key, const struct field fields[], size_t n,
                     struct json_object *list)
{
        struct json_object *out = json_object_new_array();

        if (!out || json_object_object_add(top, key, out) < 0)
                return false;
        for (size_t i = 0; i < json_length(list); i++) {
                struct json_object *o = fields_to_json(fields, n, json_object_array_get_idx(list, i));

                if (!o || json_object_array_add(out, o) < 0)
                        return false;
        }
        return true;
}

int fields_print_list(const char *key, const struct field fields[], size_t n, struct json_object *list)
{
        _cleanup_json_ struct json_object *top = json_object_new_object();

        if (!top || !fields_add_list(top, key, fields, n, list))
                return out_of_memory();
        return json_print(top);
}
