/* SPDX-License-Identifier: MIT */

#include "platform/plan_json.h"

#include "util/cleanup.h"
#include "util/nearest.h"
#include "util/number.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Where no load is given: what the daemon would have seen for that need (DEMAND_MARGIN). */
#define NEED_OVER_LOAD 1.15
/* Longest piece of the question that a message repeats. */
#define QUOTED_MAX 40

static void json_put(struct json_object **o)
{
        json_object_put(*o);
}
#define _cleanup_json_ _cleanup_(json_put)

static void tokener_free(struct json_tokener **t)
{
        if (*t)
                json_tokener_free(*t);
}

/* ---- saying what is wrong ------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static int refuse(char **reterr, const char *format, ...)
{
        char *text;
        va_list ap;

        va_start(ap, format);
        int r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return -ENOMEM;
        *reterr = text;
        return -EINVAL;
}

__attribute__((format(printf, 2, 3))) static int warn(struct plan_warnings *w, const char *format,
                                                      ...)
{
        if (w->n_found++ >= PLAN_WARNINGS_MAX)
                return 0;

        va_list ap;
        va_start(ap, format);
        int r = vasprintf(&w->texts[w->n_found - 1], format, ap);
        va_end(ap);
        if (r < 0) {
                w->texts[w->n_found - 1] = NULL;
                return -ENOMEM;
        }
        return 0;
}

void plan_warnings_done(struct plan_warnings *w)
{
        for (size_t i = 0; i < PLAN_WARNINGS_MAX; i++)
                free(w->texts[i]);
        *w = (struct plan_warnings) { 0 };
}

/* A value as it stood in the text, cut where it is long; for one message at a time. */
static const char *quoted(char buf[static QUOTED_MAX + 4], struct json_object *value)
{
        const char *s = json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE);

        if (!s)
                s = "?";
        size_t length = strnlen(s, QUOTED_MAX + 1);
        if (length <= QUOTED_MAX) {
                memcpy(buf, s, length + 1);
                return buf;
        }
        length = QUOTED_MAX;
        while (length > 0 && ((unsigned char)s[length] & 0xc0) == 0x80)
                length--; /* not in the middle of a UTF-8 sequence */
        memcpy(buf, s, length);
        memcpy(buf + length, "...", 4);
        return buf;
}

static const char *type_name(struct json_object *value)
{
        switch (json_object_get_type(value)) {
        case json_type_null:
                return "null";
        case json_type_boolean:
                return "a boolean";
        case json_type_double:
        case json_type_int:
                return "a number";
        case json_type_object:
                return "an object";
        case json_type_array:
                return "a list";
        case json_type_string:
                return "a string";
        }
        return "something else";
}

/* ---- keys ---------------------------------------------------------------------------------------- */

enum {
        MAY_BE_NULL = 1 << 0,           /* null says "none" */
        MUST_BE_POSITIVE = 1 << 1,
        MUST_BE_WHOLE = 1 << 2,
};

/* A key with a number: where it goes and what it may be. Keys with size_t offsets of structures whose
 * member is a double. */
struct number_key {
        const char *name;
        size_t offset;
        double min, max;
        unsigned flags;
};

#define MILLI_KEY(type, member, flags) { #member, offsetof(type, member), 0, PLAN_MILLI_MAX, flags }

/* A microsecond to some eleven days: below and above every latency. */
#define MS_KEY(type, member) \
        { #member, offsetof(type, member), 0.001, 1e9, MAY_BE_NULL | MUST_BE_POSITIVE }

static const struct number_key request_keys[] = {
        MILLI_KEY(struct plan_request, capacity_milli, 0),
        MILLI_KEY(struct plan_request, reserve_milli, 0),
        { "spare", offsetof(struct plan_request, spare), 0, 1, 0 },
        /* The ranges of MaxCoalitionSize=, Sensitivity=, Epsilon= and MaxIterations=. */
        { "max_coalition_size", offsetof(struct plan_request, max_coalition_size), 1, PLAN_COALITION_MAX,
          MUST_BE_WHOLE },
        { "sensitivity_per_ms", offsetof(struct plan_request, sensitivity_per_ms), 0.001, 10, 0 },
        { "epsilon", offsetof(struct plan_request, epsilon), 0, 1, 0 },
        { "max_iterations", offsetof(struct plan_request, max_iterations), 1, 10000, MUST_BE_WHOLE },
};

static const struct number_key service_keys[] = {
        MILLI_KEY(struct plan_service, floor_milli, 0),
        MILLI_KEY(struct plan_service, baseline_milli, 0),
        MILLI_KEY(struct plan_service, need_milli, 0),
        MILLI_KEY(struct plan_service, max_milli, MAY_BE_NULL | MUST_BE_POSITIVE),
        { "weight", offsetof(struct plan_service, weight), PLAN_WEIGHT_MIN, PLAN_WEIGHT_MAX, 0 },
        MILLI_KEY(struct plan_service, load_milli, 0),
        MS_KEY(struct plan_service, latency_target_ms),
        MS_KEY(struct plan_service, latency_ms),
        { "credit", offsetof(struct plan_service, credit), -1e6, 1e6, 0 },
        MILLI_KEY(struct plan_service, quota_milli, MAY_BE_NULL),
};

static const struct number_key path_keys[] = {
        { "weight", offsetof(struct plan_path, weight), PLAN_WEIGHT_MIN, PLAN_WEIGHT_MAX, 0 },
        MS_KEY(struct plan_path, latency_target_ms),
};

/* Every known key of each object, for "did you mean". */
static const char *const request_names[] = {
        "capacity_milli",     "reserve_milli",      "spare",   "overload_rule",  "enforce",
        "max_coalition_size", "sensitivity_per_ms", "epsilon", "max_iterations", "services",
        "paths"
};
static const char *const service_names[] = {
        "name",       "floor_milli",       "baseline_milli", "need_milli", "max_milli",  "weight",
        "load_milli", "latency_target_ms", "latency_ms",     "credit",     "quota_milli"
};
static const char *const path_names[] = { "name", "services", "weight", "latency_target_ms" };

#define N(array) (sizeof(array) / sizeof((array)[0]))

struct parser {
        struct plan_request *request;
        char **reterr;
        struct plan_warnings *warnings;
};

static int read_number(struct parser *p, const char *where, const struct number_key *key,
                       struct json_object *value, void *base)
{
        char text[QUOTED_MAX + 4], max[NUMBER_TEXT_MAX], min[NUMBER_TEXT_MAX];
        double *slot = (double *)((char *)base + key->offset);

        if (!value && (key->flags & MAY_BE_NULL))
                return 0;
        if (!json_object_is_type(value, json_type_double) &&
            !json_object_is_type(value, json_type_int))
                return refuse(p->reterr, "%s%s: %s is %s, not a number; write it without quotes", where,
                              key->name, quoted(text, value), type_name(value));

        double number = json_object_get_double(value);
        if (!isfinite(number))
                return refuse(p->reterr, "%s%s: %s is not a finite number; the largest is %s", where,
                              key->name, quoted(text, value), format_shortest(max, key->max));
        if (number < 0 && key->min >= 0)
                return refuse(p->reterr, "%s%s: %s is negative; the range is %s to %s", where,
                              key->name, quoted(text, value), format_shortest(min, key->min),
                              format_shortest(max, key->max));
        if ((key->flags & MUST_BE_POSITIVE) && number == 0)
                return refuse(p->reterr, "%s%s: must be more than 0; leave it out if there is none",
                              where, key->name);
        if (number < key->min || number > key->max)
                return refuse(p->reterr, "%s%s: %s is out of range; it is %s to %s%s", where, key->name,
                              quoted(text, value), format_shortest(min, key->min),
                              format_shortest(max, key->max),
                              key->max == PLAN_MILLI_MAX ? " (1000 is one CPU)" : "");
        if ((key->flags & MUST_BE_WHOLE) && number != floor(number))
                return refuse(p->reterr, "%s%s: %s is not a whole number", where, key->name,
                              quoted(text, value));
        *slot = number + 0.0; /* -0 is 0 */
        return 0;
}

/* A name that is to be printed on terminals and to be found again. */
static int read_name(struct parser *p, const char *where, const char *key, struct json_object *value,
                     const char **ret)
{
        char text[QUOTED_MAX + 4];

        if (!json_object_is_type(value, json_type_string))
                return refuse(p->reterr, "%s%s: %s is %s, not a string", where, key, quoted(text, value),
                              type_name(value));

        const char *s = json_object_get_string(value);
        size_t length = (size_t)json_object_get_string_len(value);
        if (length == 0)
                return refuse(p->reterr, "%s%s: is empty; every service and path needs a name", where,
                              key);
        if (length > PLAN_NAME_LENGTH_MAX)
                return refuse(p->reterr, "%s%s: %s has %zu bytes; at most %d are allowed", where, key,
                              quoted(text, value), length, PLAN_NAME_LENGTH_MAX);
        for (size_t i = 0; i < length; i++)
                if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
                        return refuse(p->reterr, "%s%s: %s has a control character in it", where, key,
                                      quoted(text, value));
        *ret = s;
        return 0;
}

static int read_word(struct parser *p, const char *key, struct json_object *value,
                     int (*from_string)(const char *), const char *words, int *ret)
{
        char text[QUOTED_MAX + 4];
        int r = -EINVAL;

        if (json_object_is_type(value, json_type_string))
                r = from_string(json_object_get_string(value));
        if (r < 0)
                return refuse(p->reterr, "%s: %s is none of %s", key, quoted(text, value), words);
        *ret = r;
        return 0;
}

static int warn_unknown(struct parser *p, const char *where, const char *key,
                        const char *const names[], size_t n_names)
{
        const char *near = nearest_name(key, names, n_names);

        if (near)
                return warn(p->warnings, "%s%.*s: unknown key, ignored; did you mean %s?", where,
                            QUOTED_MAX, key, near);
        return warn(p->warnings, "%s%.*s: unknown key, ignored", where, QUOTED_MAX, key);
}

/* Return: index of the key, or -1. */
static int find_number_key(const struct number_key keys[], size_t n, const char *name)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(keys[i].name, name) == 0)
                        return (int)i;
        return -1;
}

/* ---- names, sorted ------------------------------------------------------------------------------- */

struct named {
        const char *name;
        size_t index;
};

static int compare_named(const void *a, const void *b)
{
        const struct named *x = a, *y = b;
        int r = strcmp(x->name, y->name);

        return r != 0 ? r : (x->index > y->index) - (x->index < y->index);
}

static int compare_name(const void *key, const void *element)
{
        return strcmp(key, ((const struct named *)element)->name);
}

/* All services by name; says which two share one. @ret is for free(), NULL if there are none. */
static int sort_names(struct parser *p, struct named **ret)
{
        const struct plan_request *request = p->request;
        _cleanup_free_ struct named *names = NULL;

        if (request->n_services == 0) {
                *ret = NULL;
                return 0;
        }
        names = calloc(request->n_services, sizeof *names);
        if (!names)
                return -ENOMEM;
        for (size_t i = 0; i < request->n_services; i++)
                names[i] = (struct named) { request->services[i].name, i };
        qsort(names, request->n_services, sizeof *names, compare_named);
        for (size_t i = 1; i < request->n_services; i++)
                if (strcmp(names[i - 1].name, names[i].name) == 0)
                        return refuse(p->reterr,
                                      "services[%zu].name: \"%s\" is the name of services[%zu] "
                                      "already; every service needs one of its own",
                                      names[i].index, names[i].name, names[i - 1].index);
        *ret = TAKE_PTR(names);
        return 0;
}

/* ---- services and paths -------------------------------------------------------------------------- */

/* Other ledgers count in other units. What is beyond ours weighs no more than the most there is. */
static int bound_credit(struct parser *p, const char *where, struct plan_service *s)
{
        char said[NUMBER_TEXT_MAX];

        if (isnan(s->credit) || fabs(s->credit) <= PLAN_CREDIT_MAX)
                return 0;
        (void)format_shortest(said, s->credit);
        s->credit = copysign(PLAN_CREDIT_MAX, s->credit);
        return warn(p->warnings, "%scredit: %s is beyond what a credit can be; taken as %+.0f", where, said,
                    s->credit);
}

static int read_service(struct parser *p, size_t index, struct json_object *value,
                        struct plan_service *s)
{
        char text[QUOTED_MAX + 4];
        char where[QUOTED_MAX + 64];
        struct json_object *name_value;
        const char *name;
        int r;

        *s = (struct plan_service) {
                .floor_milli = NAN, .baseline_milli = NAN, .need_milli = NAN, .max_milli = NAN,
                .weight = NAN, .load_milli = NAN, .latency_target_ms = NAN, .latency_ms = NAN,
                .credit = NAN, .quota_milli = NAN,
        };
        if (!json_object_is_type(value, json_type_object))
                return refuse(p->reterr,
                              "services[%zu]: %s is %s, not an object like {\"name\":\"web\"}", index,
                              quoted(text, value), type_name(value));

        (void)snprintf(where, sizeof where, "services[%zu].", index);
        if (!json_object_object_get_ex(value, "name", &name_value))
                return refuse(p->reterr, "%sname: missing; every service needs one", where);
        r = read_name(p, where, "name", name_value, &name);
        if (r < 0)
                return r;
        s->name = strdup(name);
        if (!s->name)
                return -ENOMEM;

        (void)snprintf(where, sizeof where, "services[%zu] (%s).", index, quoted(text, name_value));
        json_object_object_foreach(value, key, member) {
                int i = find_number_key(service_keys, N(service_keys), key);
                if (i >= 0)
                        r = read_number(p, where, &service_keys[i], member, s);
                else if (strcmp(key, "name") != 0)
                        r = warn_unknown(p, where, key, service_names, N(service_names));
                if (r < 0)
                        return r;
        }
        return bound_credit(p, where, s);
}

static int read_services(struct parser *p, struct json_object *list)
{
        struct plan_request *request = p->request;
        char text[QUOTED_MAX + 4];

        if (!json_object_is_type(list, json_type_array))
                return refuse(p->reterr, "services: %s is %s, not a list", quoted(text, list),
                              type_name(list));

        size_t n = json_object_array_length(list);
        request->services = calloc(n ? n : 1, sizeof *request->services);
        if (!request->services)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                request->n_services = i + 1; /* its name may be set when reading it fails */
                int r = read_service(p, i, json_object_array_get_idx(list, i), &request->services[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int no_such_service(struct parser *p, const char *where, size_t i, const char *name)
{
        const struct plan_request *request = p->request;
        _cleanup_free_ const char **names = calloc(request->n_services + 1, sizeof *names);

        if (!names)
                return -ENOMEM;
        for (size_t j = 0; j < request->n_services; j++)
                names[j] = request->services[j].name;
        const char *near = nearest_name(name, names, request->n_services);
        if (near)
                return refuse(p->reterr,
                              "%sservices[%zu]: there is no service \"%s\"; did you mean \"%s\"?",
                              where, i, name, near);
        return refuse(p->reterr, "%sservices[%zu]: there is no service \"%s\"; add it to services", where,
                      i, name);
}

/* The services of a path, as indices. */
static int read_path_services(struct parser *p, const char *where, struct json_object *list,
                              const struct named names[], struct plan_path *path)
{
        char text[QUOTED_MAX + 4];

        if (!json_object_is_type(list, json_type_array))
                return refuse(p->reterr, "%sservices: %s is %s, not a list of names", where,
                              quoted(text, list), type_name(list));

        size_t n = json_object_array_length(list);
        if (n == 0)
                return refuse(p->reterr, "%sservices: is empty; a path leads through one service at least",
                              where);
        path->services = calloc(n, sizeof *path->services);
        if (!path->services)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                struct json_object *member = json_object_array_get_idx(list, i);
                char key[64];
                const char *name;

                (void)snprintf(key, sizeof key, "services[%zu]", i);
                int r = read_name(p, where, key, member, &name);
                if (r < 0)
                        return r;
                const struct named *found = names ? bsearch(name, names, p->request->n_services,
                                                            sizeof *names, compare_name) : NULL;
                if (!found)
                        return no_such_service(p, where, i, name);
                path->services[path->n_services++] = found->index;
        }
        return 0;
}

static int read_path(struct parser *p, size_t index, struct json_object *value,
                     const struct named names[], struct plan_path *path)
{
        char text[QUOTED_MAX + 4];
        char where[64];
        struct json_object *member_name, *member_services;
        const char *name;
        int r;

        *path = (struct plan_path) { .weight = NAN, .latency_target_ms = NAN };
        if (!json_object_is_type(value, json_type_object))
                return refuse(p->reterr, "paths[%zu]: %s is %s, not an object", index,
                              quoted(text, value), type_name(value));
        (void)snprintf(where, sizeof where, "paths[%zu].", index);
        if (!json_object_object_get_ex(value, "name", &member_name))
                return refuse(p->reterr, "%sname: missing; every path needs one", where);
        r = read_name(p, where, "name", member_name, &name);
        if (r < 0)
                return r;
        path->name = strdup(name);
        if (!path->name)
                return -ENOMEM;
        if (!json_object_object_get_ex(value, "services", &member_services))
                return refuse(p->reterr, "%sservices: missing; name the services of the path", where);
        r = read_path_services(p, where, member_services, names, path);
        if (r < 0)
                return r;

        json_object_object_foreach(value, key, member) {
                int i = find_number_key(path_keys, N(path_keys), key);
                if (i >= 0)
                        r = read_number(p, where, &path_keys[i], member, path);
                else if (strcmp(key, "name") != 0 && strcmp(key, "services") != 0)
                        r = warn_unknown(p, where, key, path_names, N(path_names));
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_paths(struct parser *p, struct json_object *list, const struct named names[])
{
        struct plan_request *request = p->request;
        char text[QUOTED_MAX + 4];

        if (!json_object_is_type(list, json_type_array))
                return refuse(p->reterr, "paths: %s is %s, not a list", quoted(text, list),
                              type_name(list));

        size_t n = json_object_array_length(list);
        request->paths = calloc(n ? n : 1, sizeof *request->paths);
        if (!request->paths)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                request->n_paths = i + 1;
                int r = read_path(p, i, json_object_array_get_idx(list, i), names,
                                  &request->paths[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* One warning for all. */
static int warn_uncalibrated(struct parser *p)
{
        size_t n = 0;

        for (size_t i = 0; i < p->request->n_services; i++) {
                const struct plan_service *s = &p->request->services[i];
                n += !isnan(s->latency_ms) && !plan_service_is_measured(s);
        }
        if (n == 0)
                return 0;
        return warn(p->warnings, "latency_ms (of %zu service%s): without quota_milli, the CPU held when it "
                    "was measured, it says nothing about CPU; load and need alone decide", n,
                    n == 1 ? "" : "s");
}

static int read_request(struct parser *p, struct json_object *top)
{
        _cleanup_free_ struct named *names = NULL;
        struct json_object *list, *paths;
        char text[QUOTED_MAX + 4];
        int r;

        if (!json_object_is_type(top, json_type_object))
                return refuse(p->reterr, "%s is %s; the question is an object like "
                              "{\"capacity_milli\":4000,\"services\":[{\"name\":\"web\"}]}",
                              quoted(text, top), type_name(top));
        if (!json_object_object_get_ex(top, "services", &list))
                return refuse(p->reterr, "services: missing; write \"services\":[] if there are none");

        json_object_object_foreach(top, key, member) {
                int i = find_number_key(request_keys, N(request_keys), key);
                r = 0;
                if (i >= 0)
                        r = read_number(p, "", &request_keys[i], member, p->request);
                else if (strcmp(key, "overload_rule") == 0)
                        r = read_word(p, key, member, overload_rule_from_string,
                                      "\"proportional\", \"weighted\"", &p->request->overload_rule);
                else if (strcmp(key, "enforce") == 0)
                        r = read_word(p, key, member, enforce_from_string,
                                      "\"both\", \"quota\", \"weight\"", &p->request->enforce);
                else if (strcmp(key, "services") != 0 && strcmp(key, "paths") != 0)
                        r = warn_unknown(p, "", key, request_names, N(request_names));
                if (r < 0)
                        return r;
        }

        r = read_services(p, list);
        if (r < 0)
                return r;
        r = sort_names(p, &names);
        if (r < 0)
                return r;
        if (json_object_object_get_ex(top, "paths", &paths)) {
                r = read_paths(p, paths, names);
                if (r < 0)
                        return r;
        }
        return warn_uncalibrated(p);
}

/* ---- text ---------------------------------------------------------------------------------------- */

/* Where a byte stands, as editors count. */
static void position(const char *text, size_t offset, size_t *ret_line, size_t *ret_column)
{
        size_t line = 1, column = 1;

        for (size_t i = 0; i < offset; i++)
                if (text[i] == '\n') {
                        line++;
                        column = 1;
                } else if (((unsigned char)text[i] & 0xc0) != 0x80)
                        column++;
        *ret_line = line;
        *ret_column = column;
}

static int parse_text(const char *text, size_t size, struct json_object **ret, char **reterr)
{
        _cleanup_(tokener_free) struct json_tokener *tokener = json_tokener_new_ex(PLAN_DEPTH_MAX);
        size_t line, column;

        if (!tokener)
                return -ENOMEM;
        /* What trails is found below, where the message can say so. */
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS |
                                                JSON_TOKENER_VALIDATE_UTF8);
        if (size > INT_MAX / 2)
                return refuse(reterr, "%zu bytes are too many; at most %d are read", size, INT_MAX / 2);

        _cleanup_json_ struct json_object *top = json_tokener_parse_ex(tokener, text, (int)size);
        enum json_tokener_error error = json_tokener_get_error(tokener);
        size_t end = json_tokener_get_parse_end(tokener);
        if (error == json_tokener_continue && end >= size) {
                /* A bare number at the very end is complete only when something follows it. */
                top = json_tokener_parse_ex(tokener, "\n", 1);
                error = json_tokener_get_error(tokener);
                end = size;
        }
        if (error == json_tokener_success) {
                while (end < size && strchr(" \t\r\n", text[end]) && text[end] != '\0')
                        end++;
                if (end < size) {
                        position(text, end, &line, &column);
                        return refuse(reterr, "line %zu, column %zu: something follows the end of the JSON "
                                      "text; there must be one object", line, column);
                }
                *ret = TAKE_PTR(top);
                return 0;
        }

        position(text, end < size ? end : size, &line, &column);
        if (error == json_tokener_continue)
                return refuse(reterr, "line %zu, column %zu: the JSON text ends too early", line, column);
        if (error == json_tokener_error_depth)
                return refuse(reterr, "line %zu, column %zu: nested more than %d deep", line, column,
                              PLAN_DEPTH_MAX);
        return refuse(reterr, "line %zu, column %zu: not valid JSON: %s", line, column,
                      json_tokener_error_desc(error));
}

struct plan_request *plan_request_free(struct plan_request *request)
{
        if (!request)
                return NULL;
        for (size_t i = 0; i < request->n_services; i++)
                free(request->services[i].name);
        free(request->services);
        for (size_t i = 0; i < request->n_paths; i++) {
                free(request->paths[i].name);
                free(request->paths[i].services);
        }
        free(request->paths);
        free(request);
        return NULL;
}

static void request_free_p(struct plan_request **request)
{
        plan_request_free(*request);
}

int plan_request_parse(const char *text, size_t size, struct plan_request **ret, char **reterr,
                       struct plan_warnings *warnings)
{
        _cleanup_json_ struct json_object *top = NULL;
        _cleanup_(request_free_p) struct plan_request *request = NULL;
        int r;

        r = parse_text(text, size, &top, reterr);
        if (r < 0)
                return r;
        request = calloc(1, sizeof *request);
        if (!request)
                return -ENOMEM;
        request->capacity_milli = request->reserve_milli = request->spare = NAN;
        request->overload_rule = request->enforce = -1;
        request->max_coalition_size = request->sensitivity_per_ms = NAN;
        request->epsilon = request->max_iterations = NAN;

        struct parser p = { .request = request, .reterr = reterr, .warnings = warnings };
        r = read_request(&p, top);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(request);
        return 0;
}

int plan_request_add_path(struct plan_request *request, const char *name, const size_t services[],
                          size_t n_services, double weight, double latency_target_ms)
{
        struct plan_path *paths = reallocarray(request->paths, request->n_paths + 1, sizeof *paths);

        if (!paths)
                return -ENOMEM;
        request->paths = paths;
        struct plan_path *path = &paths[request->n_paths];
        *path = (struct plan_path) {
                .name = strdup(name),
                .services = calloc(n_services, sizeof *services),
                .n_services = n_services,
                .weight = weight,
                .latency_target_ms = latency_target_ms,
        };
        request->n_paths++; /* what it has is freed with the request */
        if (!path->name || !path->services)
                return -ENOMEM;
        memcpy(path->services, services, n_services * sizeof *services);
        return 0;
}

/* ---- defaults ------------------------------------------------------------------------------------ */

static double otherwise(double said, double fallback)
{
        return isnan(said) ? fallback : said;
}

static int complete_service(struct plan_service *s, size_t index, char **reterr)
{
        char a[NUMBER_TEXT_MAX], b[NUMBER_TEXT_MAX];

        s->floor_milli = otherwise(s->floor_milli, 0);
        s->baseline_milli = otherwise(s->baseline_milli, 0);
        s->max_milli = otherwise(s->max_milli, INFINITY);
        if (s->floor_milli > s->baseline_milli)
                return refuse(reterr, "services[%zu] (\"%s\").floor_milli: %s is above baseline_milli (%s); "
                              "lower the floor or raise the baseline", index, s->name,
                              format_shortest(a, s->floor_milli), format_shortest(b, s->baseline_milli));
        if (s->baseline_milli > s->max_milli)
                return refuse(reterr, "services[%zu] (\"%s\").baseline_milli: %s is above max_milli (%s); "
                              "lower the baseline or raise max_milli", index, s->name,
                              format_shortest(a, s->baseline_milli), format_shortest(b, s->max_milli));
        s->need_milli = otherwise(s->need_milli, s->baseline_milli);
        s->weight = otherwise(s->weight, CPU_WEIGHT_DEFAULT);
        s->load_milli = otherwise(s->load_milli, s->need_milli / NEED_OVER_LOAD);
        s->credit = otherwise(s->credit, 0);
        return 0;
}

int plan_request_complete(struct plan_request *request, char **reterr)
{
        char a[NUMBER_TEXT_MAX], b[NUMBER_TEXT_MAX];

        if (isnan(request->capacity_milli))
                return refuse(reterr, "capacity_milli: missing; say how much CPU the host has (4000 is four "
                              "CPUs), or set Capacity= in a file named by --config");
        request->reserve_milli = otherwise(request->reserve_milli, 0);
        if (request->reserve_milli > request->capacity_milli)
                return refuse(reterr, "reserve_milli: %s is more than capacity_milli (%s)",
                              format_shortest(a, request->reserve_milli),
                              format_shortest(b, request->capacity_milli));
        request->spare = otherwise(request->spare, 1);
        if (request->overload_rule < 0)
                request->overload_rule = OVERLOAD_PROPORTIONAL;
        if (request->enforce < 0)
                request->enforce = ENFORCE_BOTH;
        request->max_coalition_size = otherwise(request->max_coalition_size, 8);
        request->sensitivity_per_ms = otherwise(request->sensitivity_per_ms, 0.1);
        request->epsilon = otherwise(request->epsilon, 0);
        request->max_iterations = otherwise(request->max_iterations, 100);
        for (size_t i = 0; i < request->n_services; i++) {
                int r = complete_service(&request->services[i], i, reterr);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < request->n_paths; i++)
                request->paths[i].weight = otherwise(request->paths[i].weight, 1);
        return 0;
}

/* ---- the answer ---------------------------------------------------------------------------------- */

/* Adds a member and hands it over; @member NULL means no memory, unless it is to be null. */
static int add(struct json_object *o, const char *key, struct json_object *member)
{
        if (!member)
                return -ENOMEM;
        if (json_object_object_add(o, key, member) < 0) {
                json_object_put(member);
                return -ENOMEM;
        }
        return 0;
}

static int add_null(struct json_object *o, const char *key)
{
        return json_object_object_add(o, key, NULL) < 0 ? -ENOMEM : 0;
}

/* What is not finite has no number in JSON: null. */
static int add_number(struct json_object *o, const char *key, double number)
{
        char text[NUMBER_TEXT_MAX];

        if (!isfinite(number))
                return add_null(o, key);
        return add(o, key, json_object_new_double_s(number, format_shortest(text, number)));
}

/* Adds a new list to an object, which owns it from then on. Return: the list, or NULL. */
static struct json_object *add_list(struct json_object *o, const char *key)
{
        struct json_object *list = json_object_new_array();

        return add(o, key, list) < 0 ? NULL : list;
}

/* Appends and hands over. */
static int append(struct json_object *list, struct json_object *member)
{
        if (!member)
                return -ENOMEM;
        if (json_object_array_add(list, member) < 0) {
                json_object_put(member);
                return -ENOMEM;
        }
        return 0;
}

/* Names of those members whose bit is set. */
static int add_members(struct json_object *o, const char *key, const struct plan_answer *answer,
                       const struct plan_answer_coalition *k, uint32_t mask)
{
        struct json_object *list = add_list(o, key);
        int r = list ? 0 : -ENOMEM;

        for (size_t i = 0; i < k->n_members && r >= 0; i++)
                if (mask >> i & 1)
                        r = append(list, json_object_new_string(answer->names[k->members[i]]));
        return r;
}

static int add_values(struct json_object *o, const char *key, const double values[], size_t n)
{
        struct json_object *list = add_list(o, key);
        char text[NUMBER_TEXT_MAX];
        int r = list ? 0 : -ENOMEM;

        for (size_t i = 0; i < n && r >= 0; i++)
                r = append(list, json_object_new_double_s(values[i], format_shortest(text, values[i])));
        return r;
}

static int format_value(const struct plan_answer *answer, const struct plan_answer_coalition *k,
                        struct json_object *o)
{
        static const char *const unknown[] = { "value",    "stable",  "max_excess",
                                               "blocking", "shapley", "imputation" };
        int r = 0;

        if (!k->is_valued) {
                for (size_t i = 0; i < N(unknown) && r >= 0; i++)
                        r = add_null(o, unknown[i]);
                return r;
        }
        r = add_number(o, "value", k->worth);
        if (r >= 0)
                r = add(o, "stable", json_object_new_boolean(k->is_stable));
        if (r >= 0)
                r = add_number(o, "max_excess", k->max_excess);
        if (r >= 0)
                r = add_members(o, "blocking", answer, k, k->is_stable ? 0 : k->blocking);
        if (r >= 0)
                r = add_values(o, "shapley", k->shapley, k->n_members);
        if (r >= 0)
                r = add_values(o, "imputation", k->imputation, k->n_members);
        return r;
}

static int format_coalition(const struct plan_answer *answer, const struct plan_answer_coalition *k,
                            struct json_object *o)
{
        int r = add(o, "id", json_object_new_string(answer->names[k->members[0]]));
        if (r >= 0)
                r = add_members(o, "members", answer, k, UINT32_MAX);
        if (r >= 0)
                r = format_value(answer, k, o);
        if (r >= 0)
                r = add(o, "formed", json_object_new_boolean(k->is_formed));
        if (r >= 0)
                r = add_number(o, "price", k->price);
        return r;
}

static int format_coalitions(const struct plan_answer *answer, struct json_object *list)
{
        for (size_t i = 0; i < answer->n_coalitions; i++) {
                struct json_object *o = json_object_new_object();
                int r = append(list, o);
                if (r >= 0)
                        r = format_coalition(answer, &answer->coalitions[i], o);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int format_service(const struct plan_answer_service *s, struct json_object *o)
{
        int r = add(o, "name", json_object_new_string(s->name));
        if (r >= 0)
                r = add_number(o, "market_milli", s->market_milli);
        if (r >= 0)
                r = s->alloc_milli < 0 ? add_null(o, "alloc_milli") :
                                         add(o, "alloc_milli", json_object_new_int64(s->alloc_milli));
        if (r >= 0)
                r = s->quota_milli == QUOTA_NONE_MILLI ?
                    add_null(o, "quota_milli") :
                    add(o, "quota_milli", json_object_new_int64(s->quota_milli));
        if (r >= 0)
                r = s->cpu_weight == 0 ? add_null(o, "cpu_weight") :
                                         add(o, "cpu_weight", json_object_new_int64(s->cpu_weight));
        if (r >= 0)
                r = s->coalition ? add(o, "coalition", json_object_new_string(s->coalition)) :
                                   add_null(o, "coalition");
        if (r >= 0)
                r = add_number(o, "credit", s->credit);
        if (r >= 0)
                r = add(o, "satisfied", json_object_new_boolean(s->is_satisfied));
        if (r >= 0)
                r = add_number(o, "latency_target_ms", s->latency_target_ms > 0 ? s->latency_target_ms : NAN);
        if (r >= 0)
                r = add_number(o, "latency_model_ms", s->latency_model_ms > 0 ? s->latency_model_ms : NAN);
        return r;
}

static int format_services(const struct plan_answer *answer, struct json_object *list)
{
        for (size_t i = 0; i < answer->n_services; i++) {
                struct json_object *o = json_object_new_object();
                int r = append(list, o);
                if (r >= 0)
                        r = format_service(&answer->services[i], o);
                if (r < 0)
                        return r;
        }
        return 0;
}

int plan_answer_format(const struct plan_answer *answer, char **ret)
{
        _cleanup_json_ struct json_object *top = json_object_new_object();
        struct json_object *services = NULL, *coalitions = NULL, *gate = NULL;
        int r = top ? 0 : -ENOMEM;

        if (r >= 0)
                r = add(top, "tier", json_object_new_string(tier_to_string(answer->tier)));
        if (r >= 0)
                r = add_number(top, "scarcity", answer->scarcity);
        if (r >= 0)
                r = add_number(top, "shadow_price", answer->shadow_price);
        if (r >= 0 && !(services = add_list(top, "services")))
                r = -ENOMEM;
        if (r >= 0)
                r = format_services(answer, services);
        if (r >= 0 && !(coalitions = add_list(top, "coalitions")))
                r = -ENOMEM;
        if (r >= 0)
                r = format_coalitions(answer, coalitions);
        if (r >= 0)
                r = add(top, "gate", gate = json_object_new_object());
        if (r >= 0)
                r = add_number(gate, "v_before", answer->v_before);
        if (r >= 0)
                r = add_number(gate, "v_after", answer->v_after);
        if (r >= 0)
                r = add_number(gate, "step", answer->step);
        if (r >= 0)
                r = add(gate, "verdict", json_object_new_string(verdict_to_string(answer->verdict)));
        if (r < 0)
                return r;

        const char *text = json_object_to_json_string_ext(top, JSON_C_TO_STRING_PLAIN |
                                                               JSON_C_TO_STRING_NOSLASHESCAPE);
        char *copy = text ? strdup(text) : NULL;
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}
