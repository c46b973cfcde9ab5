/* SPDX-License-Identifier: MIT */

#include "sim/scenario.h"

#include "platform/ini_file.h"
#include "util/nearest.h"
#include "util/parse.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Bounds on hostile input. */
#define OBJECTS_MAX 10000
#define RATES_MAX 100000
#define COPIES_TIMES_SERVICES_MAX 10000

/* ---- the keys ----------------------------------------------------------------------------------- */

enum section {
        HOST,
        SLICE,
        SERVICE,
        PATH,
        EVENT,
        _SECTION_MAX,
};

static const char *const section_names[_SECTION_MAX] = { "Host", "Slice", "Service", "Path", "Event" };

enum type {
        COUNT,                          /* a whole number */
        NUMBER,
        PERCENT,                        /* 1 is 100% */
        READING,                        /* the same, or "missing": NAN */
        SPAN,                           /* usec */
        CPU,                            /* of a second, or of the host; as text until the host is known */
        NAME,
        CALLS,
        TRACE,
        SHAPE,
        BOOLEAN,
};

enum key {
        HOST_CPUS, HOST_DURATION, HOST_WARMUP, HOST_WRITE_DELAY, HOST_COPIES,
        SLICE_SLICE, SLICE_QUOTA, SLICE_BURST, SLICE_WEIGHT,
        SERVICE_SLICE, SERVICE_QUOTA, SERVICE_BURST, SERVICE_WEIGHT, SERVICE_THREADS, SERVICE_QUEUE, SERVICE_WORK,
        SERVICE_SHAPE, SERVICE_VARIATION, SERVICE_HOGS, SERVICE_START_WORK,
        PATH_ENTRY, PATH_CALLS, PATH_RATE, PATH_TRACE, PATH_TRACE_SCALE, PATH_TARGET,
        EVENT_AT, EVENT_FOR, EVENT_OVER, EVENT_SERVICE, EVENT_PATH, EVENT_RATE, EVENT_WORK, EVENT_QUOTA, EVENT_BURST,
        EVENT_WEIGHT, EVENT_CPUS, EVENT_RESTART, EVENT_READS,
        _KEY_MAX,
};

/* What a setting is where it is not set; or that there is no such thing. */
#define REQUIRED NAN
#define US 1.0
#define MS 1e3
#define SEC 1e6

static const struct {
        enum section section;
        enum type type;
        const char *name;
        double otherwise, min, max;
        const char *range;              /* as people write it */
} keys[_KEY_MAX] = {
        [HOST_CPUS] = { HOST, COUNT, "Cpus", REQUIRED, 1, 1024, "1 to 1024" },
        [HOST_DURATION] = { HOST, SPAN, "Duration", 600 * SEC, SEC, 86400 * SEC, "1s to 24h" },
        [HOST_WARMUP] = { HOST, SPAN, "Warmup", 60 * SEC, 0, 86400 * SEC, "0 to 24h" },
        [HOST_WRITE_DELAY] = { HOST, SPAN, "WriteDelay", 20 * MS, 0, 10 * SEC, "0 to 10s" },
        [HOST_COPIES] = { HOST, COUNT, "Copies", 1, 1, 1000, "1 to 1000" },
        [SLICE_SLICE] = { SLICE, NAME, "Slice" },
        [SLICE_QUOTA] = { SLICE, CPU, "Quota" },
        [SLICE_BURST] = { SLICE, CPU, "Burst" },
        [SLICE_WEIGHT] = { SLICE, COUNT, "Weight", CPU_WEIGHT_DEFAULT, CPU_WEIGHT_MIN, CPU_WEIGHT_MAX, "1 to 10000" },
        [SERVICE_SLICE] = { SERVICE, NAME, "Slice" },
        [SERVICE_QUOTA] = { SERVICE, CPU, "Quota" },
        [SERVICE_BURST] = { SERVICE, CPU, "Burst" },
        [SERVICE_WEIGHT] = { SERVICE, COUNT, "Weight", CPU_WEIGHT_DEFAULT, CPU_WEIGHT_MIN, CPU_WEIGHT_MAX, "1 to 10000" },
        [SERVICE_THREADS] = { SERVICE, COUNT, "Threads", 16, 1, 4096, "1 to 4096" },
        [SERVICE_QUEUE] = { SERVICE, COUNT, "Queue", 1000, 0, 100000, "0 to 100000" },
        [SERVICE_WORK] = { SERVICE, SPAN, "Work", MS, US, 3600 * SEC, "1us to 1h" },
        [SERVICE_SHAPE] = { SERVICE, SHAPE, "WorkShape", WORK_LOGNORMAL },
        [SERVICE_VARIATION] = { SERVICE, NUMBER, "WorkVariation", 1, 0, 20, "0 to 20" },
        [SERVICE_HOGS] = { SERVICE, COUNT, "Hogs", 0, 0, 4096, "0 to 4096" },
        [SERVICE_START_WORK] = { SERVICE, SPAN, "StartWork", 0, 0, 3600 * SEC, "0 to 1h" },
        [PATH_ENTRY] = { PATH, NAME, "Entry", REQUIRED },
        [PATH_CALLS] = { PATH, CALLS, "Calls" },
        [PATH_RATE] = { PATH, NUMBER, "Rate", 0, 0, 1e6, "0 to 1000000" },
        [PATH_TRACE] = { PATH, TRACE, "Trace" },
        [PATH_TRACE_SCALE] = { PATH, PERCENT, "TraceScale", 1, 0, 100, "0% to 10000%" },
        [PATH_TARGET] = { PATH, SPAN, "LatencyTargetSec", INFINITY, MS, 3600 * SEC, "1ms to 1h" },
        [EVENT_AT] = { EVENT, SPAN, "At", REQUIRED, 0, 86400 * SEC, "0 to 24h" },
        [EVENT_FOR] = { EVENT, SPAN, "For", INFINITY, MS, 86400 * SEC, "1ms to 24h" },
        [EVENT_OVER] = { EVENT, SPAN, "Over", 0, 0, 86400 * SEC, "0 to 24h" },
        [EVENT_SERVICE] = { EVENT, NAME, "Service" },
        [EVENT_PATH] = { EVENT, NAME, "Path" },
        [EVENT_RATE] = { EVENT, PERCENT, "Rate", 1, 0, 1000, "0% to 100000%" },
        [EVENT_WORK] = { EVENT, PERCENT, "Work", 1, 0, 1000, "0% to 100000%" },
        [EVENT_QUOTA] = { EVENT, CPU, "Quota" },
        [EVENT_BURST] = { EVENT, CPU, "Burst" },
        [EVENT_WEIGHT] = { EVENT, COUNT, "Weight", 0, CPU_WEIGHT_MIN, CPU_WEIGHT_MAX, "1 to 10000" },
        [EVENT_CPUS] = { EVENT, COUNT, "Cpus", 0, 1, 1024, "1 to 1024" },
        [EVENT_RESTART] = { EVENT, BOOLEAN, "Restart", 0 },
        [EVENT_READS] = { EVENT, READING, "Reads", 1, 0, 100, "0% to 10000%, or missing" },
};

static const char *const shape_names[_WORK_SHAPE_MAX] = {
        [WORK_EXPONENTIAL] = "exponential",
        [WORK_LOGNORMAL] = "lognormal",
        [WORK_FIXED] = "fixed",
};

static const char *example_of(enum type type)
{
        switch (type) {
        case COUNT:
                return "a whole number";
        case NUMBER:
                return "a number such as 12.5";
        case PERCENT:
                return "a percentage such as 150%";
        case READING:
                return "a percentage such as 150%, nor missing";
        case SPAN:
                return "a time span such as 15s, 250ms or 1min 30s";
        case CPU:
                return "a CPU amount such as 150%, 1.5, 1500m or 25%host, nor infinity";
        case SHAPE:
                return "exponential, lognormal or fixed";
        case BOOLEAN:
                return "yes or no";
        default:
                return "a name: 1 to 41 letters, digits and _.@:-";
        }
}

/* ---- what was written --------------------------------------------------------------------------- */

struct value {
        unsigned line;                  /* 0: nowhere */
        double number;
        char *text;                     /* of what is no number; owned */
};

struct object {
        enum section section;
        char *name;                     /* "" of [Host] */
        unsigned line;
        struct value values[_KEY_MAX];
};

struct loader {
        const char *file;
        struct diagnostics *diag;
        struct object *objects;
        size_t n_objects;
        struct scenario *scenario;
};

#define COMPLAIN(l, line, ...) diagnostics_add((l)->diag, DIAGNOSTIC_ERROR, (l)->file, (line), __VA_ARGS__)

static struct object *find_object(const struct loader *l, enum section section, const char *name)
{
        for (size_t i = 0; i < l->n_objects; i++)
                if (l->objects[i].section == section && strcmp(l->objects[i].name, name) == 0)
                        return &l->objects[i];
        return NULL;
}

static int on_section(void *user, unsigned line, const char *kind, const char *name, const char *header)
{
        struct loader *l = user;
        enum section section = HOST;

        while (section < _SECTION_MAX && strcmp(kind, section_names[section]) != 0)
                section++;
        if (section == _SECTION_MAX) {
                const char *near = nearest_name(kind, section_names, _SECTION_MAX);

                COMPLAIN(l, line, "unknown section [%s]%s%s%s", header, near ? "; did you mean " : "",
                         near ? near : "", near ? "?" : "");
                return 1;
        }
        if (section == HOST ? name[0] != '\0' : !ini_name_is_valid(name)) {
                COMPLAIN(l, line, section == HOST ? "[%s]: the host has no name: write [Host]"
                                                  : "[%s]: a name has 1 to 41 letters, digits and _.@:-", header);
                return 1;
        }
        struct object *before = find_object(l, section, name);
        if (before) {
                COMPLAIN(l, line, "[%s] is already on line %u: put all its settings there", header, before->line);
                return 1;
        }
        if (l->n_objects == OBJECTS_MAX) {
                COMPLAIN(l, line, "more than %d sections", OBJECTS_MAX);
                return 1;
        }
        struct object *grown = reallocarray(l->objects, l->n_objects + 1, sizeof *grown);
        if (!grown)
                return -ENOMEM;
        l->objects = grown;
        grown[l->n_objects] = (struct object){ .section = section, .name = strdup(name), .line = line };
        if (!grown[l->n_objects].name)
                return -ENOMEM;
        l->n_objects++;
        return 0;
}

static void unknown_key(struct loader *l, unsigned line, enum section section, const char *name)
{
        const char *names[_KEY_MAX];
        size_t n_names = 0;

        for (int k = 0; k < _KEY_MAX; k++)
                if (keys[k].section == section)
                        names[n_names++] = keys[k].name;
        const char *near = nearest_name(name, names, n_names);
        COMPLAIN(l, line, "[%s] has no setting %s=%s%s%s", section_names[section], name, near ? "; did you mean " : "",
                 near ? near : "", near ? "=?" : "");
}

/* The number that a text means. Return: 0; -EINVAL; -ERANGE. */
static int parse_number(enum type type, const char *text, double *ret)
{
        uint64_t whole = 0;
        bool is_true;
        int r;

        switch (type) {
        case COUNT:
                r = parse_unsigned(text, 0, UINT32_MAX, &whole);
                *ret = (double)whole;
                return r;
        case NUMBER:
                return parse_double(text, -INFINITY, INFINITY, ret);
        case READING:
                if (strcmp(text, "missing") == 0) {
                        *ret = NAN;
                        return 0;
                }
                return parse_percent(text, ret);
        case PERCENT:
                return parse_percent(text, ret);
        case SPAN:
                r = parse_span(text, &whole);
                *ret = (double)whole;
                return r;
        case SHAPE:
                for (int k = 0; k < _WORK_SHAPE_MAX; k++)
                        if (strcmp(text, shape_names[k]) == 0) {
                                *ret = k;
                                return 0;
                        }
                return -EINVAL;
        case BOOLEAN:
                r = parse_boolean(text, &is_true);
                *ret = r == 0 && is_true;
                return r;
        case CPU: {
                struct cpu_amount amount;

                return strcmp(text, "infinity") == 0 ? 0 : parse_cpu_amount(text, &amount);
        }
        case NAME:
                return ini_name_is_valid(text) ? 0 : -EINVAL;
        case CALLS:
        case TRACE:
                return 0;
        }
        return -EINVAL;
}

static int on_setting(void *user, unsigned line, const char *name, const char *value)
{
        struct loader *l = user;
        struct object *o = &l->objects[l->n_objects - 1];
        enum key k = 0;
        int r;

        while (k < _KEY_MAX && (keys[k].section != o->section || strcmp(keys[k].name, name) != 0))
                k++;
        if (k == _KEY_MAX) {
                unknown_key(l, line, o->section, name);
                return 0;
        }
        struct value *v = &o->values[k];
        if (v->line > 0 && keys[k].type != CALLS) {
                COMPLAIN(l, line, "%s=: was already set on line %u", name, v->line);
                return 0;
        }
        double number = 0;
        r = parse_number(keys[k].type, value, &number);
        if (r == 0 && keys[k].range && (number < keys[k].min || number > keys[k].max))
                r = -ERANGE;
        if (r == -ERANGE)
                COMPLAIN(l, line, "%s=: %s is out of range: %s", name, value, keys[k].range ? keys[k].range : "");
        else if (r < 0)
                COMPLAIN(l, line, "%s=: \"%s\" is not %s%s", name, value, example_of(keys[k].type),
                         strstr(value, " #") ? " (a comment behind a value starts with \" ;\")" : "");
        if (r < 0) {
                v->line = line; /* so that it is not missed besides */
                return 0;
        }

        char *text;
        if (asprintf(&text, "%s%s%s", v->text ? v->text : "", v->text ? " " : "", value) < 0)
                return -ENOMEM;
        free(v->text);
        *v = (struct value){ line, number, text };
        return 0;
}

/* ---- what it means ------------------------------------------------------------------------------ */

static bool is_set(const struct object *o, enum key k)
{
        return o->values[k].line > 0 && o->values[k].text;
}

static double number_of(const struct object *o, enum key k)
{
        return is_set(o, k) ? o->values[k].number : keys[k].otherwise;
}

/* Index of what a NAME refers to among the objects of its kind, or SCENARIO_NOBODY (which is said, unless the
 * setting is not there). */
static size_t refer(struct loader *l, unsigned line, enum section section, const char *setting, const char *name)
{
        const char *names[64];
        size_t n_names = 0, i_of_kind = 0;

        for (size_t i = 0; i < l->n_objects; i++) {
                if (l->objects[i].section != section)
                        continue;
                if (strcmp(l->objects[i].name, name) == 0)
                        return i_of_kind;
                if (n_names < sizeof names / sizeof *names)
                        names[n_names++] = l->objects[i].name;
                i_of_kind++;
        }
        const char *near = nearest_name(name, names, n_names);
        COMPLAIN(l, line, "%s=: there is no [%s %s]%s%s%s", setting, section_names[section], name,
                 near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
        return SCENARIO_NOBODY;
}

static size_t refer_key(struct loader *l, const struct object *o, enum key k, enum section section)
{
        if (!is_set(o, k))
                return SCENARIO_NOBODY;
        return refer(l, o->values[k].line, section, keys[k].name, o->values[k].text);
}

/* CPU of a period of 100 ms; @otherwise where nothing was said. */
static double cpu_usec(const struct loader *l, const struct object *o, enum key k, double otherwise)
{
        struct cpu_amount amount;

        if (!is_set(o, k))
                return otherwise;
        if (strcmp(o->values[k].text, "infinity") == 0)
                return INFINITY;
        (void)parse_cpu_amount(o->values[k].text, &amount); /* as when it was read */
        return (double)cpu_amount_resolve(amount, l->scenario->n_cpus) / (double)USEC_PER_SEC * PLANT_PERIOD_USEC;
}

static void check_bandwidth(struct loader *l, const struct object *o, enum key k_quota, enum key k_burst,
                            double quota_usec, double burst_usec)
{
        if (quota_usec < PLANT_QUOTA_MIN_USEC)
                COMPLAIN(l, o->values[k_quota].line, "Quota=: %s is less than 1%%, and the kernel takes no less",
                         o->values[k_quota].text);
        else if (burst_usec > quota_usec && k_burst == k_quota)
                COMPLAIN(l, o->values[k_quota].line, "Quota=: %s is less than the burst, and the kernel takes no less: set Burst= too",
                         o->values[k_quota].text);
        else if (isinf(burst_usec) || burst_usec > quota_usec)
                COMPLAIN(l, o->values[k_burst].line, "Burst=: %s is more than the quota, and the kernel takes no more",
                         o->values[k_burst].text);
}

static struct scenario_setting setting_of(struct loader *l, const struct object *o, enum key k_quota, enum key k_burst,
                                          enum key k_weight)
{
        struct scenario_setting s = {
                .quota_usec = cpu_usec(l, o, k_quota, INFINITY),
                .burst_usec = cpu_usec(l, o, k_burst, 0),
                .weight = (unsigned)number_of(o, k_weight),
        };

        check_bandwidth(l, o, k_quota, k_burst, s.quota_usec, s.burst_usec);
        return s;
}

static void take_host(struct loader *l, const struct object *o)
{
        struct scenario *s = l->scenario;

        s->n_cpus = (unsigned)number_of(o, HOST_CPUS);
        s->duration_usec = number_of(o, HOST_DURATION);
        s->warmup_usec = number_of(o, HOST_WARMUP);
        s->write_delay_usec = number_of(o, HOST_WRITE_DELAY);
        if (s->warmup_usec >= s->duration_usec)
                COMPLAIN(l, is_set(o, HOST_WARMUP) ? o->values[HOST_WARMUP].line : o->line,
                         "Warmup=: nothing is left of the duration: make Duration= longer or Warmup= shorter");
}

static void take_slice(struct loader *l, const struct object *o)
{
        struct scenario *s = l->scenario;
        size_t parent = refer_key(l, o, SLICE_SLICE, SLICE);

        if (parent != SCENARIO_NOBODY && parent >= s->n_slices)
                COMPLAIN(l, o->values[SLICE_SLICE].line, "Slice=: put [Slice %s] above what lies in it",
                         o->values[SLICE_SLICE].text);
        s->slices[s->n_slices++] = (struct scenario_slice){
                .parent = parent,
                .setting = setting_of(l, o, SLICE_QUOTA, SLICE_BURST, SLICE_WEIGHT),
        };
}

static void take_service(struct loader *l, const struct object *o)
{
        struct scenario *s = l->scenario;
        size_t slice = refer_key(l, o, SERVICE_SLICE, SLICE);

        s->services[s->n_services++] = (struct scenario_service){
                .slice = slice,
                .setting = setting_of(l, o, SERVICE_QUOTA, SERVICE_BURST, SERVICE_WEIGHT),
                .load = {
                        .n_threads = (unsigned)number_of(o, SERVICE_THREADS),
                        .n_queued_max = (unsigned)number_of(o, SERVICE_QUEUE),
                        .n_hogs = (unsigned)number_of(o, SERVICE_HOGS),
                        .work_usec = number_of(o, SERVICE_WORK),
                        .shape = (enum work_shape)number_of(o, SERVICE_SHAPE),
                        .work_variation = number_of(o, SERVICE_VARIATION),
                        .start_work_usec = number_of(o, SERVICE_START_WORK),
                },
        };
}

/* Appends one to what is n now. Return: the new one, zeroed; NULL: out of memory. */
static void *append(void **items, size_t *n, size_t size)
{
        char *grown = reallocarray(*items, *n + 1, size);

        if (!grown)
                return NULL;
        *items = grown;
        return memset(grown + (*n)++ * size, 0, size);
}

/* `a>b` (a waits for b's answer), `a>>b` (it does not), with `*25%` behind it: so often. */
static int take_call(struct loader *l, const struct object *o, struct workload_path *path, char *word)
{
        unsigned line = o->values[PATH_CALLS].line;
        char *arrow = strchr(word, '>'), *star = arrow ? strchr(arrow, '*') : NULL;
        struct workload_call call = { .probability = 1 };
        char *callee;

        if (!arrow || (star && parse_percent(star + 1, &call.probability) < 0) || call.probability > 1) {
                COMPLAIN(l, line, "Calls=: \"%s\" is not a call such as web>app, web>>log or web>app*25%%", word);
                return 0;
        }
        call.is_async = arrow[1] == '>';
        callee = arrow + 1 + call.is_async;
        if (star)
                *star = '\0';
        *arrow = '\0';
        call.caller = refer(l, line, SERVICE, "Calls", word);
        call.callee = refer(l, line, SERVICE, "Calls", callee);
        struct workload_call *added = append((void **)&path->calls, &path->n_calls, sizeof call);
        if (!added)
                return -ENOMEM;
        *added = call;
        return 0;
}

static int take_calls(struct loader *l, const struct object *o, struct workload_path *path)
{
        _cleanup_free_ char *words = strdup(o->values[PATH_CALLS].text);
        char *rest;

        if (!words)
                return -ENOMEM;
        for (char *word = strtok_r(words, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest))
                if (take_call(l, o, path, word) < 0)
                        return -ENOMEM;
        return 0;
}

/* A number a line. The name is relative to the scenario. */
static int take_trace(struct loader *l, const struct object *o, struct workload_path *path)
{
        const char *name = o->values[PATH_TRACE].text, *slash = strrchr(l->file, '/');
        _cleanup_free_ char *file = NULL, *data = NULL;
        double *rates = NULL;
        unsigned line = 0;
        size_t size;
        char *rest;
        int r;

        r = asprintf(&file, "%.*s%s", slash && name[0] != '/' ? (int)(slash - l->file) + 1 : 0, l->file, name);
        if (r < 0)
                return -ENOMEM;
        r = ini_file_load(file, &data, &size, l->diag);
        if (r < 0)
                return r;
        if (r == 2)
                COMPLAIN(l, o->values[PATH_TRACE].line, "Trace=: there is no file %s", file);
        if (r > 0)
                return 0;
        path->n_rates = 0;
        for (char *text = strtok_r(data, "\n", &rest); text; text = strtok_r(NULL, "\n", &rest)) {
                double rate;

                line++;
                text[strcspn(text, "\r")] = '\0';
                if (path->n_rates == RATES_MAX || parse_double(text, 0, 1e6, &rate) < 0) {
                        diagnostics_add(l->diag, DIAGNOSTIC_ERROR, file, line,
                                        path->n_rates == RATES_MAX ? "is longer than any run"
                                                                   : "\"%.20s\" is not a rate, 0 to 1000000 requests a second",
                                        text);
                        break;
                }
                double *added = append((void **)&rates, &path->n_rates, sizeof rate);
                if (!added) {
                        free(rates);
                        return -ENOMEM;
                }
                *added = rate * number_of(o, PATH_TRACE_SCALE);
        }
        if (path->n_rates == 0)
                diagnostics_add(l->diag, DIAGNOSTIC_ERROR, file, 0, "has no rates: a number a line, one a second");
        free((void *)path->rates_per_sec);
        path->rates_per_sec = rates;
        return 0;
}

static int take_path(struct loader *l, const struct object *o)
{
        struct workload_path *path = &l->scenario->paths[l->scenario->n_paths++].load;
        double *rate = malloc(sizeof *rate);
        int r = 0;

        if (!rate)
                return -ENOMEM;
        *rate = number_of(o, PATH_RATE);
        *path = (struct workload_path){
                .entry = refer_key(l, o, PATH_ENTRY, SERVICE),
                .rates_per_sec = rate,
                .n_rates = 1,
                .target_usec = number_of(o, PATH_TARGET),
        };
        if (is_set(o, PATH_RATE) == is_set(o, PATH_TRACE))
                COMPLAIN(l, o->line, "[Path %s] needs either Rate= or Trace=", o->name);
        if (is_set(o, PATH_TRACE_SCALE) && !is_set(o, PATH_TRACE))
                COMPLAIN(l, o->values[PATH_TRACE_SCALE].line, "TraceScale=: there is no Trace= to scale");
        if (is_set(o, PATH_CALLS))
                r = take_calls(l, o, path);
        if (r == 0 && is_set(o, PATH_TRACE))
                r = take_trace(l, o, path);
        return r;
}

/* A caller that is no entry and that nobody calls, and calls in a circle. */
static int check_path(struct loader *l, const struct object *o, const struct workload_path *path)
{
        const struct scenario *s = l->scenario;
        unsigned line = o->values[PATH_CALLS].line;

        for (size_t k = 0; k < path->n_calls; k++) {
                bool is_reached = path->calls[k].caller == path->entry;

                for (size_t i = 0; i < path->n_calls && !is_reached; i++)
                        is_reached = path->calls[i].callee == path->calls[k].caller;
                if (!is_reached)
                        COMPLAIN(l, line, "Calls=: no request reaches the caller in call %zu: it is neither Entry= nor called", k + 1);
        }

        /* Whether calls form a circle is the workload's to say: of services without queues, which cost nothing. */
        struct workload_service *services = calloc(s->n_services, sizeof *services);
        struct plant_group group = { PLANT_ROOT, 1, 1, INFINITY, 0, 0 };
        struct plant *plant = NULL;
        struct workload *workload = NULL;
        int r = -ENOMEM;

        for (size_t i = 0; services && i < s->n_services; i++)
                services[i] = (struct workload_service){ .n_threads = 1, .work_usec = 1 };
        if (services && plant_new(&(struct plant_host){ .n_cpus = 1 }, &group, 1, &plant) == 0)
                r = workload_new(&(struct workload_spec){ services, s->n_services, path, 1 }, plant, 0, &workload);
        if (r == -ELOOP)
                COMPLAIN(l, line, "Calls=: the calls form a circle; a request would never end");
        workload_free(workload);
        plant_free(plant);
        free(services);
        return r == -ENOMEM ? r : 0;
}

/* ---- events ------------------------------------------------------------------------------------- */

static int take_ramp(struct loader *l, const struct object *o, enum key k_effect, const struct workload_ramp **ramps,
                     size_t *n_ramps)
{
        double at_usec = number_of(o, EVENT_AT);
        struct workload_ramp *added = append((void **)ramps, n_ramps, sizeof *added);

        if (!added)
                return -ENOMEM;
        *added = (struct workload_ramp){ at_usec, number_of(o, EVENT_OVER), at_usec + number_of(o, EVENT_FOR),
                                         number_of(o, k_effect) };
        if (added->over_usec > number_of(o, EVENT_FOR))
                COMPLAIN(l, o->values[EVENT_OVER].line, "Over=: it is over before it is reached: For= is shorter");
        return 0;
}

static int take_event(struct loader *l, const struct object *o)
{
        static const enum key effects[] = { EVENT_RATE, EVENT_WORK, EVENT_QUOTA, EVENT_BURST, EVENT_WEIGHT, EVENT_CPUS,
                                            EVENT_RESTART, EVENT_READS };
        struct scenario *s = l->scenario;
        size_t service = refer_key(l, o, EVENT_SERVICE, SERVICE), path = refer_key(l, o, EVENT_PATH, PATH);
        bool is_of_cgroup = is_set(o, EVENT_QUOTA) || is_set(o, EVENT_BURST) || is_set(o, EVENT_WEIGHT);
        bool needs_path = is_set(o, EVENT_RATE), needs_nobody = is_set(o, EVENT_CPUS);
        unsigned n_effects = is_of_cgroup;

        for (size_t k = 0; k < sizeof effects / sizeof *effects; k++)
                if (effects[k] != EVENT_QUOTA && effects[k] != EVENT_BURST && effects[k] != EVENT_WEIGHT)
                        n_effects += is_set(o, effects[k]);
        if (n_effects != 1) {
                COMPLAIN(l, o->line, "[Event %s] needs one effect: Rate=, Work=, Cpus=, Restart=, Reads= or settings "
                         "(Quota=, Burst=, Weight=)", o->name);
                return 0;
        }
        if (is_set(o, EVENT_PATH) != needs_path || is_set(o, EVENT_SERVICE) != (!needs_path && !needs_nobody)) {
                COMPLAIN(l, o->line, "[Event %s] %s", o->name,
                         needs_path ? "changes a rate: it needs Path=, and no Service="
                         : needs_nobody ? "changes the host: it needs neither Service= nor Path="
                                        : "changes a service: it needs Service=, and no Path=");
                return 0;
        }
        if ((service == SCENARIO_NOBODY && is_set(o, EVENT_SERVICE)) || (path == SCENARIO_NOBODY && needs_path))
                return 0;
        if (is_set(o, EVENT_OVER) && !needs_path && !is_set(o, EVENT_WORK))
                COMPLAIN(l, o->values[EVENT_OVER].line, "Over=: only Rate= and Work= change little by little");
        if (needs_path)
                return take_ramp(l, o, EVENT_RATE, &s->paths[path].load.ramps, &s->paths[path].load.n_ramps);
        if (is_set(o, EVENT_WORK))
                return take_ramp(l, o, EVENT_WORK, &s->services[service].load.ramps, &s->services[service].load.n_ramps);

        struct scenario_event *e = &s->events[s->n_events++];
        *e = (struct scenario_event){
                .at_usec = number_of(o, EVENT_AT),
                .until_usec = number_of(o, EVENT_AT) + number_of(o, EVENT_FOR),
                .effect = needs_nobody               ? SCENARIO_CPUS
                          : is_set(o, EVENT_RESTART) ? SCENARIO_RESTART
                          : is_set(o, EVENT_READS)   ? SCENARIO_READ
                                                     : SCENARIO_SET,
                .service = service,
                .setting = { cpu_usec(l, o, EVENT_QUOTA, NAN), cpu_usec(l, o, EVENT_BURST, NAN),
                             (unsigned)number_of(o, EVENT_WEIGHT) },
                .n_cpus = (unsigned)number_of(o, EVENT_CPUS),
                .read_factor = number_of(o, EVENT_READS),
        };
        if (e->effect == SCENARIO_CPUS && e->n_cpus > s->n_cpus)
                COMPLAIN(l, o->values[EVENT_CPUS].line, "Cpus=: the host has only %u; more can only come back", s->n_cpus);
        if (e->effect == SCENARIO_RESTART && isinf(e->until_usec))
                COMPLAIN(l, o->line, "[Event %s] needs For=: how long the service is down", o->name);
        if (e->effect == SCENARIO_SET) {
                const struct scenario_setting *own = &s->services[service].setting;

                check_bandwidth(l, o, EVENT_QUOTA, is_set(o, EVENT_BURST) ? EVENT_BURST : EVENT_QUOTA,
                                isnan(e->setting.quota_usec) ? own->quota_usec : e->setting.quota_usec,
                                isnan(e->setting.burst_usec) ? own->burst_usec : e->setting.burst_usec);
        }
        return 0;
}

/* ---- copies ------------------------------------------------------------------------------------- */

static void *copy_of(const void *items, size_t n, size_t size)
{
        void *copy = malloc(n * size + 1);

        return copy && n > 0 ? memcpy(copy, items, n * size) : copy;
}

/* Copy number @i of what the n first of its kind are; number 0 stays what it is but for its name. */
static int name_copy(char **name, const char *original, size_t i, size_t n_copies)
{
        if (n_copies == 1)
                *name = strdup(original);
        else if (asprintf(name, "%s.%zu", original, i + 1) < 0)
                *name = NULL;
        return *name ? 0 : -ENOMEM;
}

static int copy_path(struct workload_path *p, size_t offset)
{
        p->entry += offset;
        p->rates_per_sec = copy_of(p->rates_per_sec, p->n_rates, sizeof *p->rates_per_sec);
        p->ramps = copy_of(p->ramps, p->n_ramps, sizeof *p->ramps);
        struct workload_call *calls = copy_of(p->calls, p->n_calls, sizeof *calls);
        for (size_t k = 0; calls && k < p->n_calls; k++) {
                calls[k].caller += offset;
                calls[k].callee += offset;
        }
        p->calls = calls;
        return p->rates_per_sec && p->ramps && calls ? 0 : -ENOMEM;
}

/* Room was made for all copies. */
static int make_copies(struct loader *l, size_t n_copies)
{
        struct scenario *s = l->scenario;
        size_t n_slices = s->n_slices, n_services = s->n_services, n_paths = s->n_paths, n_events = s->n_events;

        for (size_t i = 1; i < n_copies; i++) {
                for (size_t k = 0; k < n_slices; k++) {
                        struct scenario_slice *c = &s->slices[s->n_slices++];

                        *c = s->slices[k];
                        c->parent += c->parent == SCENARIO_NOBODY ? 0 : i * n_slices;
                }
                for (size_t k = 0; k < n_services; k++) {
                        struct scenario_service *c = &s->services[s->n_services++];

                        *c = s->services[k];
                        c->slice += c->slice == SCENARIO_NOBODY ? 0 : i * n_slices;
                        c->load.ramps = copy_of(c->load.ramps, c->load.n_ramps, sizeof *c->load.ramps);
                        if (!c->load.ramps)
                                return -ENOMEM;
                }
                for (size_t k = 0; k < n_paths; k++) {
                        struct scenario_path *c = &s->paths[s->n_paths++];

                        *c = s->paths[k];
                        if (copy_path(&c->load, i * n_services) < 0)
                                return -ENOMEM;
                }
                for (size_t k = 0; k < n_events; k++)
                        if (s->events[k].effect != SCENARIO_CPUS) {
                                s->events[s->n_events] = s->events[k];
                                s->events[s->n_events++].service += i * n_services;
                        }
        }

        size_t counts[_SECTION_MAX] = { 0 };
        for (size_t i = 0; i < l->n_objects; i++) {
                const struct object *o = &l->objects[i];
                size_t k = counts[o->section]++;

                for (size_t c = 0; c < n_copies; c++) {
                        char **name = o->section == SLICE     ? &s->slices[c * n_slices + k].name
                                      : o->section == SERVICE ? &s->services[c * n_services + k].name
                                      : o->section == PATH    ? &s->paths[c * n_paths + k].name
                                                              : NULL;

                        if (name && name_copy(name, o->name, c, n_copies) < 0)
                                return -ENOMEM;
                }
        }
        for (size_t i = 0; i < s->n_services; i++)
                s->services[i].load.group = s->n_slices + i;
        return 0;
}

/* ---- all of it ---------------------------------------------------------------------------------- */

static void check_required(struct loader *l)
{
        for (size_t i = 0; i < l->n_objects; i++)
                for (int k = 0; k < _KEY_MAX; k++) {
                        const struct object *o = &l->objects[i];

                        if (keys[k].section == o->section && isnan(keys[k].otherwise) && o->values[k].line == 0)
                                COMPLAIN(l, o->line, "[%s%s%s] needs %s=", section_names[o->section],
                                         o->name[0] ? " " : "", o->name, keys[k].name);
                }
}

static int take_all(struct loader *l, size_t n_copies)
{
        struct scenario *s = l->scenario;
        size_t n_room = l->n_objects * n_copies;
        int r = 0;

        s->slices = calloc(n_room, sizeof *s->slices);
        s->services = calloc(n_room, sizeof *s->services);
        s->paths = calloc(n_room, sizeof *s->paths);
        s->events = calloc(n_room, sizeof *s->events);
        if (!s->slices || !s->services || !s->paths || !s->events)
                return -ENOMEM;
        /* Events and paths name what may stand below them. */
        for (enum section section = SLICE; section < _SECTION_MAX && r == 0; section++)
                for (size_t i = 0; i < l->n_objects && r == 0; i++) {
                        const struct object *o = &l->objects[i];

                        if (o->section != section)
                                continue;
                        if (section == SLICE)
                                take_slice(l, o);
                        else if (section == SERVICE)
                                take_service(l, o);
                        else
                                r = section == PATH ? take_path(l, o) : take_event(l, o);
                }
        return r;
}

static int check_paths(struct loader *l)
{
        size_t i_path = 0;
        int r = 0;

        for (size_t i = 0; i < l->n_objects && r == 0; i++)
                if (l->objects[i].section == PATH)
                        r = check_path(l, &l->objects[i], &l->scenario->paths[i_path++].load);
        return r;
}

static int build(struct loader *l, size_t n_errors_before)
{
        const struct object *host = find_object(l, HOST, "");
        size_t n_copies;
        int r;

        check_required(l);
        if (!host)
                COMPLAIN(l, 0, "there is no [Host]: it says at least Cpus=");
        else
                take_host(l, host);
        if (l->diag->n_found[DIAGNOSTIC_ERROR] > n_errors_before)
                return -EINVAL;
        n_copies = (size_t)number_of(host, HOST_COPIES);
        if (n_copies * l->n_objects > COPIES_TIMES_SERVICES_MAX) {
                COMPLAIN(l, host->values[HOST_COPIES].line, "Copies=: more than %d sections in all", COPIES_TIMES_SERVICES_MAX);
                return -EINVAL;
        }
        r = take_all(l, n_copies);
        if (r == 0 && l->scenario->n_services == 0)
                COMPLAIN(l, 0, "there is no [Service]");
        if (r == 0 && l->diag->n_found[DIAGNOSTIC_ERROR] == n_errors_before)
                r = check_paths(l);
        if (r == 0 && l->diag->n_found[DIAGNOSTIC_ERROR] > n_errors_before)
                r = -EINVAL;
        if (r == 0)
                r = make_copies(l, n_copies);
        return r;
}

int scenario_load(const char *path, struct scenario **ret, struct diagnostics *diag)
{
        static const struct ini_handler handler = { .on_section = on_section, .on_setting = on_setting };
        size_t n_errors_before = diag->n_found[DIAGNOSTIC_ERROR], size;
        struct loader l = { .file = path, .diag = diag };
        _cleanup_free_ char *data = NULL;
        int r;

        r = ini_file_load(path, &data, &size, diag);
        if (r == 2)
                diagnostics_add(diag, DIAGNOSTIC_ERROR, path, 0, "does not exist");
        if (r != 0)
                return r < 0 ? r : -EINVAL;
        l.scenario = calloc(1, sizeof *l.scenario);
        if (!l.scenario)
                return -ENOMEM;
        l.scenario->path = strdup(path);
        r = l.scenario->path ? ini_file_parse(path, data, size, &handler, &l, diag) : -ENOMEM;
        if (r == 0)
                r = build(&l, n_errors_before);
        for (size_t i = 0; i < l.n_objects; i++) {
                free(l.objects[i].name);
                for (int k = 0; k < _KEY_MAX; k++)
                        free(l.objects[i].values[k].text);
        }
        free(l.objects);
        if (r < 0)
                scenario_free(l.scenario);
        else
                *ret = l.scenario;
        return r;
}

struct scenario *scenario_free(struct scenario *s)
{
        if (!s)
                return NULL;
        for (size_t i = 0; i < s->n_slices; i++)
                free(s->slices[i].name);
        for (size_t i = 0; i < s->n_services; i++) {
                free(s->services[i].name);
                free((void *)s->services[i].load.ramps);
        }
        for (size_t i = 0; i < s->n_paths; i++) {
                free(s->paths[i].name);
                free((void *)s->paths[i].load.rates_per_sec);
                free((void *)s->paths[i].load.calls);
                free((void *)s->paths[i].load.ramps);
        }
        free(s->slices);
        free(s->services);
        free(s->paths);
        free(s->events);
        free(s->path);
        free(s);
        return NULL;
}
