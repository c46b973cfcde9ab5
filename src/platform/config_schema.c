/* SPDX-License-Identifier: MIT */

#include "platform/config_schema.h"
#include "platform/ini_file.h"
#include "util/unit_name.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define MANAGER(field) .section = CONFIG_MANAGER, .offset = offsetof(struct config, field)
#define SERVICE(field) .section = CONFIG_SERVICE, .offset = offsetof(struct config_service, field)
#define PATH(field) .section = CONFIG_PATH, .offset = offsetof(struct config_path, field)
#define DEFAULT(text) .default_text = text
#define RANGE(min, max) .min_text = min, .max_text = max

const struct config_key config_keys[] = {
        { MANAGER(mode), .name = "Mode", .type = CONFIG_TYPE_MODE, DEFAULT("enforce"),
          .doc = "change units, or only say what would be done" },
        { MANAGER(enforce), .name = "Enforce", .type = CONFIG_TYPE_ENFORCE, DEFAULT("both"),
          .doc = "what is written to units: CPUQuota, CPUWeight or both" },
        { MANAGER(spare), .name = "Spare", .type = CONFIG_TYPE_PERCENT, DEFAULT("100%"),
          RANGE("0%", "100%"), .doc = "share of the CPU above all needs that is handed out too" },
        { MANAGER(headroom), .name = "Headroom", .type = CONFIG_TYPE_CPU, DEFAULT("0%"),
          RANGE("0%", "100%host"), .doc = "kept free between a ceiling and what the others use" },
        { MANAGER(burst), .name = "Burst", .type = CONFIG_TYPE_BOOLEAN, DEFAULT("no"),
          .doc = "set cpu.max.burst in step with the quota" },
        { MANAGER(sample_interval_usec), .name = "SampleIntervalSec", .type = CONFIG_TYPE_SPAN,
          DEFAULT("1s"), RANGE("100ms", "1min"), .doc = "time between two measurements" },
        { MANAGER(epoch_usec), .name = "EpochSec", .type = CONFIG_TYPE_SPAN, DEFAULT("15s"),
          RANGE("2s", "1h"), .doc = "time between two decisions" },
        { MANAGER(capacity), .name = "Capacity", .type = CONFIG_TYPE_CPU, DEFAULT("auto"),
          RANGE("1%", "100%host"), .word = "auto", .doc = "CPU of this host that coallocd may count on" },
        { MANAGER(reserve), .name = "Reserve", .type = CONFIG_TYPE_CPU, DEFAULT("10%host"),
          RANGE("0%", "100%host"), .doc = "least CPU that is kept for everything unmanaged" },
        { MANAGER(min_change), .name = "MinChange", .type = CONFIG_TYPE_PERCENT, DEFAULT("2%"),
          RANGE("0%", "100%"), .doc = "a write that changes less than this is skipped" },
        { MANAGER(max_coalition_size), .name = "MaxCoalitionSize", .type = CONFIG_TYPE_UNSIGNED,
          DEFAULT("8"), RANGE("1", "32"), .doc = "most services in one coalition" },
        { MANAGER(sensitivity_per_ms), .name = "Sensitivity", .type = CONFIG_TYPE_DOUBLE,
          DEFAULT("0.1"), RANGE("0.001", "10"),
          .doc = "steepness of the latency target's sigmoid, per ms" },
        { MANAGER(history_size), .name = "HistorySize", .type = CONFIG_TYPE_UNSIGNED,
          DEFAULT("1000"), RANGE("10", "100000"), .doc = "epochs the Lyapunov monitor remembers" },
        { MANAGER(history_max_age_usec), .name = "HistoryMaxAge", .type = CONFIG_TYPE_SPAN,
          DEFAULT("7d"), RANGE("1min", "10y"), .doc = "how long recorded epochs are kept" },
        { MANAGER(history_max_bytes), .name = "HistoryMaxSize", .type = CONFIG_TYPE_SIZE,
          DEFAULT("64M"), RANGE("0", "1T"), .doc = "how large the record of epochs may become; 0: none" },
        { MANAGER(max_iterations), .name = "MaxIterations", .type = CONFIG_TYPE_UNSIGNED,
          DEFAULT("100"), RANGE("1", "10000"),
          .doc = "bound of every iterative solver" },
        { MANAGER(epsilon), .name = "Epsilon", .type = CONFIG_TYPE_DOUBLE, DEFAULT("0"),
          RANGE("0", "1"), .doc = "epsilon of the epsilon-core" },
        { MANAGER(overload), .name = "Overload", .type = CONFIG_TYPE_OVERLOAD,
          DEFAULT("proportional"), .doc = "who yields when baselines do not fit" },
        { MANAGER(discover), .name = "Discover", .type = CONFIG_TYPE_PATTERNS, DEFAULT("*.slice"),
          .doc = "units without a section that are measured and shown, never changed" },
        { MANAGER(exclude), .name = "Exclude", .type = CONFIG_TYPE_PATTERNS,
          DEFAULT("-.slice init.scope coallocd.service"), .doc = "units that are left out of everything" },

        { SERVICE(unit), .name = "Unit", .type = CONFIG_TYPE_UNIT, DEFAULT(""),
          .flags = CONFIG_KEY_REQUIRED, .doc = "the systemd unit, or a pattern of units" },
        { SERVICE(baseline), .name = "Baseline", .type = CONFIG_TYPE_CPU, DEFAULT("0%"),
          RANGE("0%", "100%host"), .doc = "what the service is promised" },
        { SERVICE(floor), .name = "Floor", .type = CONFIG_TYPE_CPU, DEFAULT("0%"),
          RANGE("0%", "100%host"), .doc = "what it keeps even when baselines do not fit" },
        { SERVICE(max), .name = "Max", .type = CONFIG_TYPE_CPU, DEFAULT("infinity"),
          RANGE("1%", "100%host"), .word = "infinity", .doc = "what it never gets more than" },
        { SERVICE(weight), .name = "Weight", .type = CONFIG_TYPE_UNSIGNED, DEFAULT("100"),
          RANGE("1", "10000"), .doc = "importance in the bargain" },
        { SERVICE(latency_target_usec), .name = "LatencyTargetSec", .type = CONFIG_TYPE_SPAN,
          DEFAULT(""), RANGE("1ms", "1h"), .doc = "response time that is wanted" },
        { SERVICE(calls), .name = "Calls", .type = CONFIG_TYPE_NAMES, DEFAULT(""),
          .doc = "services that it calls" },
        { SERVICE(elasticity), .name = "Elasticity", .type = CONFIG_TYPE_DOUBLE, DEFAULT("0"),
          RANGE("0", "1"), .doc = "how much its demand yields to the price" },

        { PATH(services), .name = "Services", .type = CONFIG_TYPE_NAMES, DEFAULT(""),
          .flags = CONFIG_KEY_REQUIRED, .doc = "services that a request passes through" },
        { PATH(latency_target_usec), .name = "LatencyTargetSec", .type = CONFIG_TYPE_SPAN,
          DEFAULT(""), RANGE("1ms", "1h"), .doc = "response time that is wanted over all" },
        { PATH(weight), .name = "Weight", .type = CONFIG_TYPE_UNSIGNED, DEFAULT("1"),
          RANGE("1", "10000"), .doc = "importance among paths" },
};

const size_t n_config_keys = sizeof config_keys / sizeof config_keys[0];

static_assert(sizeof config_keys / sizeof config_keys[0] ==
                      CONFIG_MANAGER_KEYS + CONFIG_SERVICE_KEYS + CONFIG_PATH_KEYS,
              "key_origins[] have one entry a key");

static const char *const section_names[_CONFIG_SECTION_MAX] = {
        [CONFIG_MANAGER] = "Manager",
        [CONFIG_SERVICE] = "Service",
        [CONFIG_PATH] = "Path",
};

static const char *const mode_names[_CONFIG_MODE_MAX] = {
        [CONFIG_MODE_ENFORCE] = "enforce",
        [CONFIG_MODE_OBSERVE] = "observe",
};

const char *config_section_to_string(enum config_section s)
{
        return (unsigned)s < _CONFIG_SECTION_MAX ? section_names[s] : "unknown";
}

const char *config_mode_to_string(enum config_mode m)
{
        return (unsigned)m < _CONFIG_MODE_MAX ? mode_names[m] : "unknown";
}

int config_mode_from_string(const char *s)
{
        for (int i = 0; i < _CONFIG_MODE_MAX; i++)
                if (strcmp(mode_names[i], s) == 0)
                        return i;
        return -EINVAL;
}

const struct config_key *config_key_find(enum config_section section, const char *name,
                                         size_t *ret_i_in_section)
{
        size_t i_in_section = 0;

        for (size_t i = 0; i < n_config_keys; i++) {
                if (config_keys[i].section != section)
                        continue;
                if (strcmp(config_keys[i].name, name) == 0) {
                        *ret_i_in_section = i_in_section;
                        return &config_keys[i];
                }
                i_in_section++;
        }
        return NULL;
}

/* ---- names -------------------------------------------------------------------------------------- */

bool config_unit_is_pattern(const char *text)
{
        return strpbrk(text, "*?[") != NULL;
}

/* Why a text is no unit (or pattern of units) that can be managed, or NULL if it is one. */
static const char *unit_problem(const char *text)
{
        /* What systemd allows in a unit name, and what fnmatch() adds to it. */
        static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                      ":-_.\\@*?[]!";
        bool is_pattern = config_unit_is_pattern(text);
        const char *dot = strrchr(text, '.');

        if (strlen(text) > UNIT_NAME_LENGTH_MAX)
                return "is longer than a unit name can be (255 bytes)";
        if (text[strspn(text, allowed)] != '\0' || (!is_pattern && strpbrk(text, "]!")))
                return "has a character that no unit name has";
        if (!unit_name_section(text))
                return "does not end in .slice, .service or .scope";
        if (dot == text)
                return "has nothing before its suffix";
        if (is_pattern)
                return NULL;

        const char *at = strchr(text, '@');
        if (at == text)
                return "starts with an @";
        if (at && at + 1 == dot)
                return "is a template: name an instance of it, or a pattern with @*";
        if (strcmp(dot, ".slice") == 0) {
                if (at)
                        return "is not a slice name: a slice has no instances";
                if (strcmp(text, "-.slice") != 0 &&
                    (text[0] == '-' || dot[-1] == '-' || strstr(text, "--")))
                        return "is not a slice name: its dashes separate the slices it lies in";
        }
        return NULL;
}

/* ---- lists and indices -------------------------------------------------------------------------- */

static size_t list_length(char *const *list)
{
        size_t n = 0;

        while (list && list[n])
                n++;
        return n;
}

char **config_list_free(char **list)
{
        for (size_t i = 0; list && list[i]; i++)
                free(list[i]);
        free(list);
        return NULL;
}
DEFINE_CLEANUP(char **, config_list_free)

static size_t hash(const char *name)
{
        uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

        for (; *name; name++)
                h = (h ^ (unsigned char)*name) * 0x100000001b3u;
        return (size_t)(h ^ (h >> 32));
}

static void index_put(struct config_index *index, const char *name, size_t i)
{
        size_t slot = hash(name) & (index->n_slots - 1);

        while (index->slots[slot].name)
                slot = (slot + 1) & (index->n_slots - 1);
        index->slots[slot].name = name;
        index->slots[slot].i = i;
        index->n_used++;
}

int config_index_add(struct config_index **index, const char *name, size_t i)
{
        if (!*index) {
                *index = calloc(1, sizeof **index);
                if (!*index)
                        return -ENOMEM;
        }
        struct config_index *old = *index;
        if (2 * (old->n_used + 1) > old->n_slots) {
                struct config_index grown = { .n_slots = old->n_slots > 0 ? 2 * old->n_slots : 16 };

                grown.slots = calloc(grown.n_slots, sizeof *grown.slots);
                if (!grown.slots)
                        return -ENOMEM;
                for (size_t slot = 0; slot < old->n_slots; slot++)
                        if (old->slots[slot].name)
                                index_put(&grown, old->slots[slot].name, old->slots[slot].i);
                free(old->slots);
                *old = grown;
        }
        index_put(old, name, i);
        return 0;
}

ssize_t config_index_find(const struct config_index *index, const char *name)
{
        if (!index || index->n_slots == 0)
                return -1;
        for (size_t slot = hash(name) & (index->n_slots - 1); index->slots[slot].name;
             slot = (slot + 1) & (index->n_slots - 1))
                if (strcmp(index->slots[slot].name, name) == 0)
                        return (ssize_t)index->slots[slot].i;
        return -1;
}

struct config_index *config_index_free(struct config_index *index)
{
        if (index)
                free(index->slots);
        free(index);
        return NULL;
}

/* ---- values ------------------------------------------------------------------------------------- */

/* What such a value looks like, for "is not ...". */
static const char *type_example(enum config_type type)
{
        switch (type) {
        case CONFIG_TYPE_MODE:
                return "enforce or observe";
        case CONFIG_TYPE_ENFORCE:
                return "both, quota or weight";
        case CONFIG_TYPE_OVERLOAD:
                return "proportional or weighted";
        case CONFIG_TYPE_BOOLEAN:
                return "yes or no";
        case CONFIG_TYPE_UNSIGNED:
                return "a whole number";
        case CONFIG_TYPE_DOUBLE:
                return "a number such as 0.5";
        case CONFIG_TYPE_PERCENT:
                return "a percentage such as 25%";
        case CONFIG_TYPE_CPU:
                return "a CPU amount such as 150%, 1.5, 1500m or 25%host";
        case CONFIG_TYPE_SPAN:
                return "a time span such as 15s, 250ms or 1min 30s";
        case CONFIG_TYPE_SIZE:
                return "a size such as 64M or 1G";
        case CONFIG_TYPE_UNIT:
        case CONFIG_TYPE_PATTERNS:
                return "a unit";
        case CONFIG_TYPE_NAMES:
                return "a service name";
        }
        return "known";
}

/* Any value that is not a list or a unit, without its range. */
union scalar {
        int word;
        bool boolean;
        uint64_t number;
        double real;
        struct config_cpu cpu;
};

static int parse_scalar(const struct config_key *key, const char *text, unsigned n_cpus,
                        union scalar *ret)
{
        int r;

        switch (key->type) {
        case CONFIG_TYPE_MODE:
                r = config_mode_from_string(text);
                break;
        case CONFIG_TYPE_ENFORCE:
                r = enforce_from_string(text);
                break;
        case CONFIG_TYPE_OVERLOAD:
                r = overload_rule_from_string(text);
                break;
        case CONFIG_TYPE_BOOLEAN:
                return parse_boolean(text, &ret->boolean);
        case CONFIG_TYPE_UNSIGNED:
                return parse_unsigned(text, 0, UINT64_MAX, &ret->number);
        case CONFIG_TYPE_DOUBLE:
                return parse_double(text, -INFINITY, INFINITY, &ret->real);
        case CONFIG_TYPE_PERCENT:
                return parse_percent(text, &ret->real);
        case CONFIG_TYPE_SPAN:
                return parse_span(text, &ret->number);
        case CONFIG_TYPE_SIZE:
                return parse_size(text, &ret->number);
        case CONFIG_TYPE_CPU: {
                struct config_cpu cpu = { 0 };

                if (!key->word || strcmp(text, key->word) != 0) {
                        r = parse_cpu_amount(text, &cpu.amount);
                        if (r < 0)
                                return r;
                        cpu.is_set = true;
                        cpu.usec_per_sec = cpu_amount_resolve(cpu.amount, n_cpus);
                }
                ret->cpu = cpu;
                return 0;
        }
        default:
                return -EINVAL;
        }
        if (r < 0)
                return r;
        ret->word = r;
        return 0;
}

/* < 0, 0, > 0: below, equal, above. */
static int scalar_compare(enum config_type type, const union scalar *a, const union scalar *b)
{
        switch (type) {
        case CONFIG_TYPE_DOUBLE:
        case CONFIG_TYPE_PERCENT:
                return (a->real > b->real) - (a->real < b->real);
        case CONFIG_TYPE_CPU:
                return (a->cpu.usec_per_sec > b->cpu.usec_per_sec) -
                       (a->cpu.usec_per_sec < b->cpu.usec_per_sec);
        default:
                return (a->number > b->number) - (a->number < b->number);
        }
}

/* Parses and compares with the range. Return: 0; -EINVAL; -ERANGE with *ret_side -1 or 1. */
static int parse_in_range(const struct config_key *key, const char *text, unsigned n_cpus,
                          union scalar *ret, int *ret_side)
{
        union scalar scalar, bound;
        int r;

        r = parse_scalar(key, text, n_cpus, &scalar);
        if (r == -ERANGE) {
                *ret_side = text[0] == '-' ? -1 : 1;
                return r;
        }
        if (r < 0)
                return r;
        if (key->min_text && !(key->type == CONFIG_TYPE_CPU && !scalar.cpu.is_set)) {
                if (parse_scalar(key, key->min_text, n_cpus, &bound) == 0 &&
                    scalar_compare(key->type, &scalar, &bound) < 0) {
                        *ret_side = -1;
                        return -ERANGE;
                }
                if (parse_scalar(key, key->max_text, n_cpus, &bound) == 0 &&
                    scalar_compare(key->type, &scalar, &bound) > 0) {
                        *ret_side = 1;
                        return -ERANGE;
                }
        }
        *ret = scalar;
        return 0;
}

static void store_scalar(const struct config_key *key, void *object, const union scalar *scalar)
{
        void *field = (char *)object + key->offset;

        switch (key->type) {
        case CONFIG_TYPE_MODE:
                *(enum config_mode *)field = (enum config_mode)scalar->word;
                break;
        case CONFIG_TYPE_ENFORCE:
                *(enum enforce *)field = (enum enforce)scalar->word;
                break;
        case CONFIG_TYPE_OVERLOAD:
                *(enum overload_rule *)field = (enum overload_rule)scalar->word;
                break;
        case CONFIG_TYPE_BOOLEAN:
                *(bool *)field = scalar->boolean;
                break;
        case CONFIG_TYPE_UNSIGNED:
                *(unsigned *)field = (unsigned)scalar->number; /* every range ends below 2^32 */
                break;
        case CONFIG_TYPE_DOUBLE:
        case CONFIG_TYPE_PERCENT:
                *(double *)field = scalar->real;
                break;
        case CONFIG_TYPE_SPAN:
        case CONFIG_TYPE_SIZE:
                *(uint64_t *)field = scalar->number;
                break;
        case CONFIG_TYPE_CPU:
                *(struct config_cpu *)field = scalar->cpu;
                break;
        case CONFIG_TYPE_UNIT:
        case CONFIG_TYPE_PATTERNS:
        case CONFIG_TYPE_NAMES:
                break;
        }
}

static bool is_list(const struct config_key *key)
{
        return key->type == CONFIG_TYPE_PATTERNS || key->type == CONFIG_TYPE_NAMES;
}

/* Appends the words of a text. Return: 0; -ENOMEM; -E2BIG. */
static int list_append_words(char ***list, const char *text)
{
        size_t n = list_length(*list);

        for (;;) {
                text += strspn(text, " \t");
                size_t length = strcspn(text, " \t");
                if (length == 0)
                        return 0;
                if (n == CONFIG_LIST_MAX)
                        return -E2BIG;
                char **grown = reallocarray(*list, n + 2, sizeof *grown);
                if (!grown)
                        return -ENOMEM;
                *list = grown;
                grown[n] = strndup(text, length);
                grown[n + 1] = NULL;
                if (!grown[n])
                        return -ENOMEM;
                n++;
                text += length;
        }
}

/* The default: what the table says, or nothing. */
static int store_default(const struct config_key *key, void *object, unsigned n_cpus)
{
        void *field = (char *)object + key->offset;
        union scalar scalar;
        int r;

        if (key->type == CONFIG_TYPE_UNIT) {
                free(*(char **)field);
                *(char **)field = NULL;
                return 0;
        }
        if (is_list(key)) {
                *(char ***)field = config_list_free(*(char ***)field);
                return list_append_words(field, key->default_text);
        }
        if (key->default_text[0] == '\0') {
                memset(&scalar, 0, sizeof scalar);
        } else {
                /* A default counts CPUs too: 10%host. test_config_file checks that each one fits. */
                r = parse_scalar(key, key->default_text, n_cpus, &scalar);
                if (r < 0)
                        return r;
        }
        store_scalar(key, object, &scalar);
        return 0;
}

int config_set_defaults(enum config_section section, void *object, unsigned n_cpus)
{
        for (size_t i = 0; i < n_config_keys; i++) {
                int r;

                if (config_keys[i].section != section)
                        continue;
                r = store_default(&config_keys[i], object, n_cpus);
                if (r < 0)
                        return r;
        }
        return 0;
}

#define VALUE_ERROR(l, line, key, format, ...)                                                     \
        diagnostics_add((l)->diag, DIAGNOSTIC_ERROR, (l)->file, (line), "%s=: " format,            \
                        (key)->name, __VA_ARGS__)

static int assign_unit(struct config_loader *l, const struct config_key *key, void *object,
                       struct config_origin *origin, const char *value)
{
        char **field = (char **)((char *)object + key->offset);
        const char *problem = unit_problem(value);

        if (problem) {
                VALUE_ERROR(l, origin->line, key, "\"%s\" %s", value, problem);
                origin->is_refused = true;
                return 0;
        }
        char *copy = strdup(value);
        if (!copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}

static int assign_list(struct config_loader *l, const struct config_key *key, void *object,
                       struct config_origin *origin, const char *value)
{
        char ***field = (char ***)((char *)object + key->offset);
        _cleanup_(config_list_free_p) char **words = NULL;
        int r;

        r = list_append_words(&words, value);
        if (r == -ENOMEM)
                return r;
        for (size_t i = 0; words && words[i]; i++) {
                if (key->type == CONFIG_TYPE_NAMES) {
                        if (!ini_name_is_valid(words[i])) {
                                VALUE_ERROR(l, origin->line, key, "\"%s\" is not a service name",
                                            words[i]);
                                origin->is_refused = true;
                        }
                        continue;
                }
                const char *problem = unit_problem(words[i]);
                if (problem) {
                        VALUE_ERROR(l, origin->line, key, "\"%s\" %s", words[i], problem);
                        origin->is_refused = true;
                }
        }
        if (origin->is_refused)
                return 0;
        r = list_append_words(field, value);
        if (r == -E2BIG) {
                VALUE_ERROR(l, origin->line, key, "more than %d entries", CONFIG_LIST_MAX);
                origin->is_refused = true;
                return 0;
        }
        return r;
}

static void assign_scalar(struct config_loader *l, const struct config_key *key, void *object,
                          struct config_origin *origin, const char *value)
{
        union scalar scalar;
        int side = 0;
        int r;

        r = parse_in_range(key, value, l->n_cpus, &scalar, &side);
        if (r == 0) {
                store_scalar(key, object, &scalar);
                return;
        }
        origin->is_refused = true;
        if (r == -ERANGE && side > 0 && strcmp(key->max_text, "100%host") == 0) {
                VALUE_ERROR(l, origin->line, key, "%s is more than the host's %s", value,
                            FORMAT_CPU((uint64_t)l->n_cpus * USEC_PER_SEC));
        } else if (r == -ERANGE) {
                VALUE_ERROR(l, origin->line, key, "%s is %s than %s", value,
                            side < 0 ? "less" : "more", side < 0 ? key->min_text : key->max_text);
        } else {
                VALUE_ERROR(l, origin->line, key, "\"%s\" is not %s%s%s%s", value,
                            type_example(key->type), key->word ? ", nor " : "",
                            key->word ? key->word : "",
                            strstr(value, " #") ? " (a comment behind a value starts with \" ;\")"
                                                : "");
        }
}

int config_assign(struct config_loader *l, const struct config_key *key, void *object,
                  struct config_origin *origin, unsigned line, const char *value)
{
        bool is_first = origin->line == 0;

        if (!is_first && origin->i_file == l->i_file && !is_list(key))
                diagnostics_add(l->diag, DIAGNOSTIC_WARNING, l->file, line,
                                "%s=: was already set on line %u; this one wins", key->name,
                                origin->line);
        *origin = (struct config_origin){ .line = line, .i_file = l->i_file };

        if (is_list(key)) {
                char ***field = (char ***)((char *)object + key->offset);

                if (is_first || value[0] == '\0')
                        *field = config_list_free(*field);
                return assign_list(l, key, object, origin, value);
        }
        if (value[0] == '\0')
                return store_default(key, object, l->n_cpus);
        if (key->type == CONFIG_TYPE_UNIT)
                return assign_unit(l, key, object, origin, value);
        assign_scalar(l, key, object, origin, value);
        return 0;
}
