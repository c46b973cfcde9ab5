/* SPDX-License-Identifier: MIT */

#include "lib/testing.h"
#include "platform/config_file.h"
#include "util/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define N_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* Every test has a directory of its own: the main file "main.conf" and the drop-ins in "d". */
static char directory[64];
static char scratch_path[128];
static struct config *config;
static struct diagnostics diag;

static const char *path_of(const char *name)
{
        snprintf(scratch_path, sizeof scratch_path, "%s/%s", directory, name);
        return scratch_path;
}

static void write_bytes(const char *name, const char *bytes, size_t size)
{
        _cleanup_fclose_ FILE *f = fopen(path_of(name), "we");

        ck_assert_ptr_nonnull(f);
        ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
        ck_assert_int_eq(fflush(f), 0);
}

static void write_text(const char *name, const char *text)
{
        write_bytes(name, text, strlen(text));
}

static void setup(void)
{
        strcpy(directory, "/tmp/coalloc-test-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(directory));
        ck_assert_int_eq(mkdir(path_of("d"), 0700), 0);
}

static void teardown(void)
{
        char command[128];

        config = config_free(config);
        diagnostics_done(&diag);
        snprintf(command, sizeof command, "rm -rf '%s'", directory);
        ck_assert_int_eq(system(command), 0);
}

static int load_on(unsigned n_cpus)
{
        char main_path[128], dropin_dir[128];

        config = config_free(config);
        diagnostics_done(&diag);
        snprintf(main_path, sizeof main_path, "%s/main.conf", directory);
        snprintf(dropin_dir, sizeof dropin_dir, "%s/d", directory);
        return config_load(main_path, dropin_dir, n_cpus, &config, &diag);
}

/* Loads a text as the main file, on four CPUs. */
static int load(const char *text)
{
        write_text("main.conf", text);
        return load_on(4);
}

/* All findings, a line each, without the directory: what a person reads. The buffer is static. */
static const char *findings(void)
{
        static char all[65536];
        size_t n_directory = strlen(directory) + 1;

        all[0] = '\0';
        for (size_t i = 0; i < diag.n_items; i++) {
                _cleanup_free_ char *line = diagnostic_to_string(&diag.items[i]);
                char *p;

                ck_assert_ptr_nonnull(line);
                while ((p = strstr(line, directory)))
                        memmove(p, p + n_directory, strlen(p + n_directory) + 1);
                strcat(strcat(all, line), "\n");
        }
        return all;
}

static void assert_clean(const char *text)
{
        int r = load(text);

        ck_assert_msg(r == 0 && diag.n_items == 0, "returned %d for:\n%s\nfindings:\n%s", r, text,
                      findings());
}

static void assert_findings(int result, const char *text, const char *expected)
{
        int r = load(text);

        ck_assert_msg(strcmp(findings(), expected) == 0, "for:\n%s\nexpected:\n%s\ngot:\n%s", text,
                      expected, findings());
        ck_assert_int_eq(r, result);
        ck_assert((config != NULL) == (result == 0));
}

/* ---- defaults ----------------------------------------------------------------------------------- */

START_TEST(missing_file_means_defaults_and_says_so)
{
        ck_assert_int_eq(load_on(4), 0);
        ck_assert_str_eq(findings(), "main.conf: notice: does not exist; the defaults hold\n");
        ck_assert_uint_eq(config->n_files, 0);
        ck_assert_uint_eq(config->n_services, 0);
}
END_TEST

START_TEST(defaults_are_those_of_the_product)
{
        assert_clean("");
        ck_assert_int_eq(config->mode, CONFIG_MODE_ENFORCE);
        ck_assert_int_eq(config->enforce, ENFORCE_BOTH);
        ck_assert(config->spare == 1);
        ck_assert_uint_eq(config->headroom.usec_per_sec, 0);
        ck_assert(!config->burst);
        ck_assert_uint_eq(config->sample_interval_usec, USEC_PER_SEC);
        ck_assert_uint_eq(config->epoch_usec, 15 * USEC_PER_SEC);
        ck_assert(!config->capacity.is_set);
        ck_assert_uint_eq(config->capacity.usec_per_sec, 4 * USEC_PER_SEC);
        ck_assert(config->reserve.is_set);
        ck_assert_uint_eq(config->reserve.usec_per_sec, 400000);
        ck_assert(config->min_change == 0.02);
        ck_assert_uint_eq(config->max_coalition_size, 8);
        ck_assert(config->sensitivity_per_ms == 0.1);
        ck_assert_uint_eq(config->history_size, 1000);
        ck_assert_uint_eq(config->history_max_age_usec, UINT64_C(7) * 86400 * USEC_PER_SEC);
        ck_assert_uint_eq(config->history_max_bytes, UINT64_C(64) << 20);
        ck_assert_uint_eq(config->max_iterations, 100);
        ck_assert(config->epsilon == 0);
        ck_assert_int_eq(config->overload, OVERLOAD_PROPORTIONAL);
        ck_assert_str_eq(config->discover[0], "*.slice");
        ck_assert_ptr_null(config->discover[1]);
        ck_assert_str_eq(config->exclude[0], "-.slice");
        ck_assert_str_eq(config->exclude[1], "init.scope");
        ck_assert_str_eq(config->exclude[2], "coallocd.service");
        ck_assert_ptr_null(config->exclude[3]);
        ck_assert_uint_eq(config->n_cpus, 4);
}
END_TEST

START_TEST(service_defaults_are_those_of_the_product)
{
        assert_clean("[Service web]\nUnit=web.slice\n");
        const struct config_service *s = &config->services[0];
        ck_assert_str_eq(s->name, "web");
        ck_assert_str_eq(s->unit, "web.slice");
        ck_assert(!s->is_pattern);
        ck_assert_uint_eq(s->floor.usec_per_sec, 0);
        ck_assert_uint_eq(s->baseline.usec_per_sec, 0);
        ck_assert(!s->max.is_set);
        ck_assert_uint_eq(s->max.usec_per_sec, 4 * USEC_PER_SEC);
        ck_assert_uint_eq(s->weight, 100);
        ck_assert_uint_eq(s->latency_target_usec, 0);
        ck_assert_ptr_null(s->calls);
        ck_assert(s->elasticity == 0);
        ck_assert_uint_eq(s->origin.line, 1);
        ck_assert_uint_eq(s->origin.i_file, 0);
}
END_TEST

START_TEST(whole_example_is_read)
{
        ck_assert_int_eq(load("[Manager]\n"
                              "Mode=observe                 ; never writes\n"
                              "Enforce=quota\n"
                              "Spare=50%\nHeadroom=5%host\nBurst=yes\n"
                              "SampleIntervalSec=500ms\nEpochSec=5s\n"
                              "Capacity=350%\nReserve=500m\nMinChange=1%\n"
                              "MaxCoalitionSize=4\nSensitivity=0.2\nHistorySize=50\n"
                              "HistoryMaxAge=1h\nHistoryMaxSize=2M\n"
                              "MaxIterations=7\nEpsilon=0.01\nOverload=weighted\n"
                              "Discover=*.slice *.service\nExclude=user-*.slice\n"
                              "[Service web]\nUnit=shop-web.slice\nBaseline=20%\nFloor=5%\nMax=300%\n"
                              "Weight=200\nLatencyTargetSec=50ms\nCalls=cart search\nElasticity=0.5\n"
                              "[Service cart]\nUnit=shop-cart.slice\n"
                              "[Service search]\nUnit=shop-search.slice\n"
                              "[Path checkout]\nServices=web cart\nLatencyTargetSec=200ms\nWeight=2\n"),
                         0);
        ck_assert_uint_eq(diag.n_found[DIAGNOSTIC_WARNING], 0);
        ck_assert_int_eq(config->mode, CONFIG_MODE_OBSERVE);
        ck_assert_int_eq(config->enforce, ENFORCE_QUOTA);
        ck_assert(config->spare == 0.5);
        ck_assert_uint_eq(config->headroom.usec_per_sec, 200000);
        ck_assert(config->burst);
        ck_assert_uint_eq(config->sample_interval_usec, 500000);
        ck_assert_uint_eq(config->epoch_usec, 5000000);
        ck_assert(config->capacity.is_set);
        ck_assert_uint_eq(config->capacity.usec_per_sec, 3500000);
        ck_assert_uint_eq(config->reserve.usec_per_sec, 500000);
        ck_assert(config->min_change == 0.01);
        ck_assert_uint_eq(config->max_coalition_size, 4);
        ck_assert(config->sensitivity_per_ms == 0.2);
        ck_assert_uint_eq(config->history_size, 50);
        ck_assert_uint_eq(config->history_max_age_usec, 3600 * USEC_PER_SEC);
        ck_assert_uint_eq(config->history_max_bytes, 2 << 20);
        ck_assert_uint_eq(config->max_iterations, 7);
        ck_assert(config->epsilon == 0.01);
        ck_assert_int_eq(config->overload, OVERLOAD_WEIGHTED);
        ck_assert_str_eq(config->discover[1], "*.service");
        ck_assert_str_eq(config->exclude[0], "user-*.slice");
        ck_assert_uint_eq(config->n_services, 3);
        const struct config_service *s = &config->services[0];
        ck_assert_uint_eq(s->baseline.usec_per_sec, 200000);
        ck_assert_uint_eq(s->floor.usec_per_sec, 50000);
        ck_assert(s->max.is_set);
        ck_assert_uint_eq(s->max.usec_per_sec, 3000000);
        ck_assert_uint_eq(s->weight, 200);
        ck_assert_uint_eq(s->latency_target_usec, 50000);
        ck_assert_str_eq(s->calls[0], "cart");
        ck_assert_str_eq(s->calls[1], "search");
        ck_assert_ptr_null(s->calls[2]);
        ck_assert(s->elasticity == 0.5);
        ck_assert_uint_eq(config->n_paths, 1);
        ck_assert_str_eq(config->paths[0].name, "checkout");
        ck_assert_str_eq(config->paths[0].services[1], "cart");
        ck_assert_uint_eq(config->paths[0].latency_target_usec, 200000);
        ck_assert_uint_eq(config->paths[0].weight, 2);
        ck_assert_int_eq((int)config_find_service(config, "search"), 2);
        ck_assert_int_eq((int)config_find_service(config, "nobody"), -1);
}
END_TEST

/* ---- every key, from the schema ----------------------------------------------------------------- */

/* A file that sets one key, with what its section needs to be whole. A path goes through `web`. */
static void load_key(const struct config_key *key, const char *value)
{
        char text[512];

        switch (key->section) {
        case CONFIG_MANAGER:
                /* Whatever the epoch, samples fit; whatever the sample interval, an hour holds two. */
                snprintf(text, sizeof text, "[Manager]\n%s\n%s=%s\n",
                         strcmp(key->name, "EpochSec") == 0            ? "SampleIntervalSec=1s"
                         : strcmp(key->name, "SampleIntervalSec") == 0 ? "EpochSec=1h"
                         : strcmp(key->name, "Capacity") == 0          ? "Reserve=0"
                                                                       : "Mode=enforce",
                         key->name, value);
                break;
        case CONFIG_SERVICE:
                snprintf(text, sizeof text, "[Service web]\n%s\n%s%s=%s\n",
                         strcmp(key->name, "Unit") == 0 ? "Weight=1" : "Unit=web.slice",
                         strcmp(key->name, "Floor") == 0 ? "Baseline=100%host\n" : "", key->name,
                         value);
                break;
        default:
                snprintf(text, sizeof text,
                         "[Service web]\nUnit=web.slice\n[Path p]\n%s\n%s=%s\n",
                         strcmp(key->name, "Services") == 0 ? "Weight=1" : "Services=web", key->name,
                         value);
        }
        write_text("main.conf", text);
        (void)load_on(4);
}

static size_t n_errors(void)
{
        return diag.n_found[DIAGNOSTIC_ERROR];
}

/* The bytes of a field, for comparison with another load of the same type. */
static const void *field_of(const struct config_key *key)
{
        switch (key->section) {
        case CONFIG_MANAGER:
                return (const char *)config + key->offset;
        case CONFIG_SERVICE:
                return (const char *)&config->services[0] + key->offset;
        default:
                return (const char *)&config->paths[0] + key->offset;
        }
}

START_TEST(every_key_accepts_both_ends_of_its_range)
{
        const struct config_key *key = &config_keys[_i];

        if (!key->min_text)
                return;
        load_key(key, key->min_text);
        ck_assert_msg(n_errors() == 0, "%s", findings());
        load_key(key, key->max_text);
        ck_assert_msg(n_errors() == 0 || strcmp(key->name, "Reserve") == 0, "%s", findings());
}
END_TEST

/* A little less or more than a number with a unit: "15s" -> "14.99s", "15.01s"; NULL below 0. */
static const char *nudged(const char *text, double by)
{
        static char nudge[64];
        char *unit;
        double number = strtod(text, &unit);

        if (number + by < 0)
                snprintf(nudge, sizeof nudge, "-0.01%s", unit);
        else
                snprintf(nudge, sizeof nudge, "%.10g%s", number + by, unit);
        return nudge;
}

START_TEST(every_key_refuses_what_is_just_outside_its_range)
{
        const struct config_key *key = &config_keys[_i];
        char expected[256];

        if (!key->min_text)
                return;
        double by = key->type == CONFIG_TYPE_UNSIGNED           ? 1
                    : strcmp(key->min_text, "0.001") == 0 ? 0.0001
                                                                : 0.01;

        load_key(key, nudged(key->min_text, -by));
        ck_assert_msg(n_errors() == 1, "%s=%s: %s", key->name, nudged(key->min_text, -by), findings());
        snprintf(expected, sizeof expected, "%s=: %s is less than %s\n", key->name,
                 nudged(key->min_text, -by), key->min_text);
        ck_assert_msg(strstr(findings(), expected) != NULL, "%s", findings());

        load_key(key, nudged(key->max_text, by));
        ck_assert_msg(n_errors() == 1, "%s=%s: %s", key->name, nudged(key->max_text, by), findings());
        if (strcmp(key->max_text, "100%host") == 0)
                snprintf(expected, sizeof expected, "%s=: %s is more than the host's 400%%\n",
                         key->name, nudged(key->max_text, by));
        else
                snprintf(expected, sizeof expected, "%s=: %s is more than %s\n", key->name,
                         nudged(key->max_text, by), key->max_text);
        ck_assert_msg(strstr(findings(), expected) != NULL, "%s", findings());
        ck_assert_ptr_null(config);
}
END_TEST

START_TEST(every_key_refuses_garbage_and_names_itself_and_its_line)
{
        const struct config_key *key = &config_keys[_i];
        char expected[128];

        load_key(key, "so(me thing");
        snprintf(expected, sizeof expected, "%s=: \"", key->name);
        ck_assert_msg(n_errors() >= 1 && strstr(findings(), expected), "%s", findings());
        ck_assert_uint_gt(diagnostics_first_error(&diag)->line, 2);
        ck_assert_ptr_null(config);
}
END_TEST

START_TEST(every_default_fits_its_own_range)
{
        const struct config_key *key = &config_keys[_i];

        if (key->default_text[0] == '\0')
                return;
        load_key(key, key->default_text);
        ck_assert_msg(n_errors() == 0, "%s", findings());
}
END_TEST

/* Something else than the default that is valid. */
static const char *other_value(const struct config_key *key)
{
        switch (key->type) {
        case CONFIG_TYPE_MODE:
                return "observe";
        case CONFIG_TYPE_ENFORCE:
                return "weight";
        case CONFIG_TYPE_OVERLOAD:
                return "weighted";
        case CONFIG_TYPE_BOOLEAN:
                return "yes";
        default:
                return strcmp(key->default_text, key->max_text) != 0 ? key->max_text : key->min_text;
        }
}

START_TEST(empty_value_means_the_default_again)
{
        const struct config_key *key = &config_keys[_i];
        unsigned char kept[sizeof(struct config_cpu)];
        char twice[256];
        size_t size;

        switch (key->type) {
        case CONFIG_TYPE_UNIT:
        case CONFIG_TYPE_PATTERNS:
        case CONFIG_TYPE_NAMES:
                return;
        case CONFIG_TYPE_BOOLEAN:
                size = sizeof(bool);
                break;
        case CONFIG_TYPE_UNSIGNED:
        case CONFIG_TYPE_MODE:
        case CONFIG_TYPE_ENFORCE:
        case CONFIG_TYPE_OVERLOAD:
                size = sizeof(unsigned);
                break;
        case CONFIG_TYPE_CPU:
                size = offsetof(struct config_cpu, amount); /* usec_per_sec */
                break;
        default:
                size = sizeof(uint64_t);
        }
        load_key(key, "");
        ck_assert_msg(n_errors() == 0, "%s", findings());
        memcpy(kept, field_of(key), size);
        /* Reserve= of the whole host would be an error of its own. */
        const char *other = strcmp(key->name, "Reserve") == 0 ? "0" : other_value(key);
        load_key(key, other);
        ck_assert_msg(n_errors() == 0, "%s", findings());
        /* Max=infinity and Max=400% resolve to the same amount on four CPUs. */
        if (strcmp(key->name, "Max") != 0 && strcmp(key->name, "Capacity") != 0)
                ck_assert_msg(memcmp(kept, field_of(key), size) != 0, "%s", key->name);
        snprintf(twice, sizeof twice, "%s\n%s=", other, key->name);
        load_key(key, twice);
        ck_assert_msg(n_errors() == 0, "%s", findings());
        ck_assert_msg(memcmp(kept, field_of(key), size) == 0, "%s", key->name);
}
END_TEST

/* ---- messages ----------------------------------------------------------------------------------- */

static const struct {
        int result;
        const char *text;
        const char *findings;
} golden[] = {
        { -EINVAL, "[Service a]\nUnit=a.slice\nBaseline=900%\n",
          "main.conf:3: Baseline=: 900% is more than the host's 400%\n" },
        { -EINVAL, "[Manager]\nMode=enforced\n",
          "main.conf:2: Mode=: \"enforced\" is not enforce or observe\n" },
        { -EINVAL, "[Manager]\nEnforce=all\nOverload=fair\nBurst=maybe\n",
          "main.conf:2: Enforce=: \"all\" is not both, quota or weight\n"
          "main.conf:3: Overload=: \"fair\" is not proportional or weighted\n"
          "main.conf:4: Burst=: \"maybe\" is not yes or no\n" },
        { -EINVAL, "[Manager]\nCapacity=lots\n",
          "main.conf:2: Capacity=: \"lots\" is not a CPU amount such as 150%, 1.5, 1500m or 25%host, "
          "nor auto\n" },
        { -EINVAL, "[Manager]\nSpare=1\n",
          "main.conf:2: Spare=: \"1\" is not a percentage such as 25%\n" },
        { -EINVAL, "[Manager]\nEpochSec=infinity\n",
          "main.conf:2: EpochSec=: infinity is more than 1h\n" },
        { -EINVAL, "[Manager]\nEpochSec=soon\n",
          "main.conf:2: EpochSec=: \"soon\" is not a time span such as 15s, 250ms or 1min 30s\n" },
        { -EINVAL, "[Manager]\nHistoryMaxSize=large\n",
          "main.conf:2: HistoryMaxSize=: \"large\" is not a size such as 64M or 1G\n" },
        { -EINVAL, "[Manager]\nReserve=20% # for the rest\n",
          "main.conf:2: Reserve=: \"20% # for the rest\" is not a CPU amount such as 150%, 1.5, 1500m "
          "or 25%host (a comment behind a value starts with \" ;\")\n" },
        { 0, "[Manager]\nHistroySize=10\n",
          "main.conf:2: warning: unknown setting HistroySize= is ignored; did you mean "
          "HistorySize=?\n" },
        { 0, "[Manager]\nmode=observe\n",
          "main.conf:2: warning: unknown setting mode= is ignored; did you mean Mode=?\n" },
        { 0, "[Manager]\nTemperature=10\n",
          "main.conf:2: warning: unknown setting Temperature= is ignored\n" },
        { 0, "[Manager]\nBaseline=10%\n",
          "main.conf:2: warning: Baseline= is ignored: it belongs in [Service NAME]\n" },
        { 0, "[Manger]\nMode=observe\nnonsense\n",
          "main.conf:1: warning: unknown section [Manger] is ignored; did you mean Manager?\n" },
        { 0, "[Wholly different]\n",
          "main.conf:1: warning: unknown section [Wholly different] is ignored\n" },
        { -EINVAL, "Mode=observe\n", "main.conf:1: a setting before the first section header\n" },
        { -EINVAL, "[Manager]\nMode\n", "main.conf:2: not a setting: there is no =\n" },
        { -EINVAL, "[Manager]\nMode ; = observe\n", "main.conf:2: not a setting: there is no =\n" },
        { -EINVAL, "[Manager]\n\n=observe\n", "main.conf:3: a setting without a name\n" },
        { -EINVAL, "[Manager\nMode=observe\n",
          "main.conf:1: the section header has no closing ]\n" },
        { -EINVAL, "[Manager] Mode=observe\n",
          "main.conf:1: text after the ] of a section header would be lost: put it on the next "
          "line\n" },
        { -EINVAL, "[Manager main]\n", "main.conf:1: [Manager] takes no name\n" },
        { -EINVAL, "[Service]\n", "main.conf:1: [Service] needs a name\n" },
        { -EINVAL, "[Service a b]\n",
          "main.conf:1: [Service a b]: a name has 1 to 41 letters, digits and _.@:-\n" },
        { -EINVAL, "[Path aaaaaaaaaabbbbbbbbbbccccccccccddddddddddXY]\n",
          "main.conf:1: [Path aaaaaaaaaabbbbbbbbbbccccccccccddddddddddXY]: a name has 1 to 41 letters, "
          "digits and _.@:-\n" },
        { -EINVAL, "[Service a]\n", "main.conf:1: [Service a] has no Unit=\n" },
        { -EINVAL, "[Service a]\nUnit=\n", "main.conf:1: [Service a] has no Unit=\n" },
        { -EINVAL, "[Service a]\nUnit=a.socket\n",
          "main.conf:2: Unit=: \"a.socket\" does not end in .slice, .service or .scope\n" },
        { -EINVAL, "[Service a]\nUnit=a b.slice\n",
          "main.conf:2: Unit=: \"a b.slice\" has a character that no unit name has\n" },
        { -EINVAL, "[Service a]\nUnit=.slice\n",
          "main.conf:2: Unit=: \".slice\" has nothing before its suffix\n" },
        { -EINVAL, "[Service a]\nUnit=a@.service\n",
          "main.conf:2: Unit=: \"a@.service\" is a template: name an instance of it, or a pattern "
          "with @*\n" },
        { -EINVAL, "[Service a]\nUnit=a--b.slice\n",
          "main.conf:2: Unit=: \"a--b.slice\" is not a slice name: its dashes separate the slices it "
          "lies in\n" },
        { -EINVAL, "[Service a]\nUnit=-.slice\n[Service b]\nUnit=init.scope\n"
                   "[Service c]\nUnit=coallocd.service\n[Manager]\nExclude=x.slice\n",
          "main.conf:2: Unit=: -.slice is never managed: a quota there would throttle the host or "
          "coallocd itself\n"
          "main.conf:4: Unit=: init.scope is never managed: a quota there would throttle the host or "
          "coallocd itself\n"
          "main.conf:6: Unit=: coallocd.service is never managed: a quota there would throttle the "
          "host or coallocd itself\n" },
        { 0, "[Service a]\nUnit=system.slice\n",
          "main.conf:2: warning: Unit=: system.slice holds coallocd, D-Bus and the journal: it is shown "
          "and never changed; name the services in it\n" },
        { -EINVAL, "[Service a]\nUnit=user-1000.slice\n[Manager]\nExclude=user-*.slice\n",
          "main.conf:2: Unit=: user-1000.slice is named by Exclude=\n" },
        { -EINVAL, "[Service a]\nUnit=shop.slice\n[Service b]\nUnit=shop.slice\n",
          "main.conf:4: Unit=: shop.slice is already the unit of [Service a] (main.conf:2)\n" },
        { -EINVAL, "[Service in]\nUnit=shop-web-api.slice\n[Service out]\nUnit=shop.slice\n",
          "main.conf:2: Unit=: shop-web-api.slice lies inside shop.slice, which is the unit of "
          "[Service out] (main.conf:4)\n" },
        { -EINVAL, "[Service in]\nUnit=shop-web-api.slice\n[Service out]\nUnit=shop-*.slice\n",
          "main.conf:2: Unit=: shop-web-api.slice lies inside shop-web.slice, which is the unit of "
          "[Service out] (main.conf:4)\n" },
        { -EINVAL, "[Service a]\nUnit=a.slice\nFloor=50%\nBaseline=20%\n",
          "main.conf:3: Floor=: 50% is more than Baseline=, 20%\n" },
        { -EINVAL, "[Service a]\nUnit=a.slice\nFloor=50%\n",
          "main.conf:3: Floor=: 50% is more than Baseline= (not set), 0%\n" },
        { -EINVAL, "[Service a]\nUnit=a.slice\nBaseline=200%\nMax=150%\n",
          "main.conf:3: Baseline=: 200% is more than Max=, 150%\n" },
        { -EINVAL, "[Service a]\nUnit=a.slice\nCalls=b crat\n[Service cart]\nUnit=cart.slice\n",
          "main.conf:3: Calls=: there is no [Service b]\n"
          "main.conf:3: Calls=: there is no [Service crat]; did you mean cart?\n" },
        { 0, "[Service a]\nUnit=a.slice\nCalls=b\n[Service b]\nUnit=b.slice\nCalls=a b\n",
          "main.conf:6: warning: Calls=: b calls a, which closes a cycle\n"
          "main.conf:6: warning: Calls=: b calls b, which closes a cycle\n" },
        { 0, "[Service a]\nUnit=a.slice\nCalls=b\n[Service b]\nUnit=b.slice\nCalls=a\n"
             "[Service c]\nUnit=c.slice\nCalls=b\n",
          "main.conf:3: warning: Calls=: a calls b, which closes a cycle\n" },
        { -EINVAL, "[Path p]\nServices=web\n",
          "main.conf:2: Services=: there is no [Service web]\n" },
        { -EINVAL, "[Path p]\n", "main.conf:1: [Path p] has no Services=\n" },
        { -EINVAL, "[Manager]\nEpochSec=3s\nSampleIntervalSec=2s\n",
          "main.conf:2: EpochSec=: 3s is less than twice SampleIntervalSec=, 2s\n" },
        { -EINVAL, "[Manager]\nSampleIntervalSec=10s\n",
          "main.conf:2: EpochSec=: 15s is less than twice SampleIntervalSec=, 10s\n" },
        { -EINVAL, "[Manager]\nCapacity=20%\n",
          "main.conf:2: Reserve=: 40% is more than Capacity=, 20%\n" },
        { 0, "[Service a]\nUnit=a.slice\nBaseline=200%\n[Service b]\nUnit=b.slice\nBaseline=160%\n",
          "" },
        { 0, "[Service a]\nUnit=a.slice\nBaseline=200%\n[Service b]\nUnit=b.slice\nBaseline=161%\n",
          "main.conf:6: warning: the baselines add up to 361%, more than the 360% that Capacity= and "
          "Reserve= leave: the host can be overloaded\n" },
        { 0, "[Service a]\nUnit=a.slice\nBaseline=361%\nFloor=361%\n",
          "main.conf:3: warning: the floors add up to 361%, more than the 360% that Capacity= and "
          "Reserve= leave: the host can be starved\n" },
        { 0, "[Service a]\nUnit=a.slice\nWeight=1\nWeight=2\n",
          "main.conf:4: warning: Weight=: was already set on line 3; this one wins\n" },
        { 0, "[Service a]\nUnit=a.slice\n[Manager]\n[Service a]\nWeight=2\n[Manager]\n",
          "main.conf:4: warning: [Service a] was already opened on line 1; the two are merged\n"
          "main.conf:6: warning: [Manager] was already opened on line 3; the two are merged\n" },
};

START_TEST(finding_reads_as_promised)
{
        assert_findings(golden[_i].result, golden[_i].text, golden[_i].findings);
}
END_TEST

START_TEST(all_errors_are_collected_and_nothing_is_returned)
{
        config = NULL;
        assert_findings(-EINVAL,
                        "[Manager]\nMode=x\nSpare=200%\n[Service a]\nWeight=0\nUnit=a\n",
                        "main.conf:2: Mode=: \"x\" is not enforce or observe\n"
                        "main.conf:3: Spare=: 200% is more than 100%\n"
                        "main.conf:5: Weight=: 0 is less than 1\n"
                        "main.conf:6: Unit=: \"a\" does not end in .slice, .service or .scope\n");
}
END_TEST

START_TEST(earlier_findings_of_the_caller_do_not_fail_a_load)
{
        char main_path[128];

        write_text("main.conf", "");
        snprintf(main_path, sizeof main_path, "%s/main.conf", directory);
        diagnostics_add(&diag, DIAGNOSTIC_ERROR, NULL, 0, "an old error");
        ck_assert_int_eq(config_load(main_path, NULL, 4, &config, &diag), 0);
        ck_assert_ptr_nonnull(config);
}
END_TEST

START_TEST(hostile_bytes_do_not_reach_a_terminal)
{
        assert_findings(-EINVAL, "[Manager]\nMode=\033[31m\xff\t\xc3\xa9\n",
                        "main.conf:2: Mode=: \"?[31m????\" is not enforce or observe\n");
}
END_TEST

/* ---- the traps of inih -------------------------------------------------------------------------- */

START_TEST(line_of_198_bytes_is_read_and_one_of_199_is_refused)
{
        char line[201], text[512];

        for (size_t n = 198; n <= 199; n++) {
                memset(line, 'x', sizeof line);
                memcpy(line, "Discover=", 9);
                memcpy(line + n - 6, ".slice", 7);
                snprintf(text, sizeof text, "[Manager]\n%s\nMode=observe\n", line);
                int r = load(text);
                if (n == 198) {
                        ck_assert_int_eq(r, 0);
                        ck_assert_uint_eq(strlen(config->discover[0]), 198 - 9);
                        ck_assert_int_eq(config->mode, CONFIG_MODE_OBSERVE);
                } else {
                        ck_assert_int_eq(r, -EINVAL);
                        ck_assert_str_eq(findings(),
                                         "main.conf:2: the line is 199 bytes long, at most 198 are "
                                         "read; list keys may repeat: split it\n");
                }
        }
}
END_TEST

START_TEST(long_comment_never_becomes_a_setting)
{
        char text[1024];

        for (int shift = 180; shift <= 220; shift++) {
                snprintf(text, sizeof text, "[Manager]\n%c %*s Mode=observe\nEpochSec=20s\n",
                         shift % 2 ? '#' : ';', shift, "");
                assert_clean(text);
                ck_assert_int_eq(config->mode, CONFIG_MODE_ENFORCE);
                ck_assert_uint_eq(config->epoch_usec, 20 * USEC_PER_SEC);
                ck_assert_uint_eq(config->key_origins[6].line, 3);
        }
}
END_TEST

START_TEST(lines_are_counted_physically)
{
        char text[2048];

        snprintf(text, sizeof text, "%s%s%s", "\n; one\r\n\n[Manager]\r\n# ",
                 "0123456789012345678901234567890123456789012345678901234567890123456789"
                 "0123456789012345678901234567890123456789012345678901234567890123456789"
                 "0123456789012345678901234567890123456789012345678901234567890123456789"
                 "0123456789012345678901234567890123456789012345678901234567890123456789",
                 "\nBasline=1\nEpochSec=0");
        assert_findings(-EINVAL, text,
                        "main.conf:6: warning: unknown setting Basline= is ignored\n"
                        "main.conf:7: EpochSec=: 0 is less than 2s\n");
}
END_TEST

START_TEST(byte_order_mark_and_dos_line_ends_are_fine)
{
        assert_clean("\xef\xbb\xbf[Manager]\r\nMode=observe\r\n\r\n[Service a]\r\nUnit=a.slice\r\n");
        ck_assert_int_eq(config->mode, CONFIG_MODE_OBSERVE);
        ck_assert_str_eq(config->services[0].unit, "a.slice");
}
END_TEST

START_TEST(byte_order_mark_elsewhere_is_an_error)
{
        ck_assert_int_eq(load("[Manager]\n\xef\xbb\xbf[Service a]\n"), -EINVAL);
}
END_TEST

START_TEST(nul_byte_is_an_error)
{
        static const char bytes[] = "[Manager]\nMode=observe\0; rest\n; com\0ment\nEpochSec=20s\n";

        write_bytes("main.conf", bytes, sizeof bytes - 1);
        ck_assert_int_eq(load_on(4), -EINVAL);
        ck_assert_str_eq(findings(), "main.conf:2: the line has a NUL byte\n");
}
END_TEST

START_TEST(indented_setting_is_a_setting)
{
        assert_clean("[Manager]\n  Enforce=quota\n\tMode=observe\n   ; comment\n"
                     "  [Service a]\n    Unit=a.slice\n    Weight=7\n");
        ck_assert_int_eq(config->enforce, ENFORCE_QUOTA);
        ck_assert_int_eq(config->mode, CONFIG_MODE_OBSERVE);
        ck_assert_uint_eq(config->services[0].weight, 7);
}
END_TEST

START_TEST(indented_continuation_of_a_list_is_an_error)
{
        assert_findings(-EINVAL, "[Manager]\nExclude=a.slice\n        b.slice\n",
                        "main.conf:3: not a setting: there is no =\n");
}
END_TEST

START_TEST(section_name_of_49_bytes_is_read_and_a_longer_one_refused)
{
        /* "Service " and 41 letters are 49 bytes. */
        assert_clean("[Service aaaaaaaaaabbbbbbbbbbccccccccccddddddddddX]\nUnit=a.slice\n");
        ck_assert_uint_eq(strlen(config->services[0].name), 41);
        assert_findings(-EINVAL, "[Service aaaaaaaaaabbbbbbbbbbccccccccccddddddddddXY]\nUnit=a.slice\n",
                        "main.conf:1: the section name is 50 bytes long; at most 49 are read\n");
}
END_TEST

START_TEST(colon_and_space_around_the_equals_sign_are_accepted)
{
        assert_clean("[Manager]\nMode: observe\nEnforce  =  quota   ; both\n");
        ck_assert_int_eq(config->mode, CONFIG_MODE_OBSERVE);
        ck_assert_int_eq(config->enforce, ENFORCE_QUOTA);
}
END_TEST

START_TEST(last_line_needs_no_line_end)
{
        assert_clean("[Manager]\nMode=observe");
        ck_assert_int_eq(config->mode, CONFIG_MODE_OBSERVE);
}
END_TEST

START_TEST(directory_in_place_of_a_file_is_an_error)
{
        ck_assert_int_eq(mkdir(path_of("main.conf"), 0700), 0);
        ck_assert_int_eq(load_on(4), -EINVAL);
        ck_assert_str_eq(findings(), "main.conf: is a directory, not a file\n");
}
END_TEST

START_TEST(fifo_in_place_of_a_file_is_an_error_and_not_a_hang)
{
        ck_assert_int_eq(mkfifo(path_of("main.conf"), 0600), 0);
        ck_assert_int_eq(load_on(4), -EINVAL);
        ck_assert_str_eq(findings(), "main.conf: is not a regular file\n");
}
END_TEST

START_TEST(file_that_is_too_large_is_an_error)
{
        write_text("main.conf", "");
        ck_assert_int_eq(truncate(path_of("main.conf"), (16 << 20) + 1), 0);
        ck_assert_int_eq(load_on(4), -EINVAL);
        ck_assert_str_eq(findings(), "main.conf: is larger than 16 MiB, which is no configuration\n");
}
END_TEST

/* ---- lists -------------------------------------------------------------------------------------- */

START_TEST(list_keys_append_and_an_empty_one_resets)
{
        assert_clean("[Manager]\nDiscover=a.slice\nDiscover=b.slice  c.slice\n");
        ck_assert_str_eq(config->discover[0], "a.slice"); /* the default is gone */
        ck_assert_str_eq(config->discover[2], "c.slice");
        ck_assert_ptr_null(config->discover[3]);
        assert_clean("[Manager]\nDiscover=a.slice\nDiscover=\nDiscover=d.slice\n");
        ck_assert_str_eq(config->discover[0], "d.slice");
        ck_assert_ptr_null(config->discover[1]);
        assert_clean("[Manager]\nDiscover=\n");
        ck_assert_ptr_null(config->discover);
}
END_TEST

START_TEST(list_longer_than_any_host_needs_is_an_error)
{
        static char text[400000];
        size_t n = (size_t)snprintf(text, sizeof text, "[Manager]\n");

        for (int i = 0; i < 10001; i++)
                n += (size_t)snprintf(text + n, sizeof text - n, "Discover=u%d.slice\n", i);
        ck_assert_int_eq(load(text), -EINVAL);
        ck_assert_str_eq(findings(), "main.conf:10002: Discover=: more than 10000 entries\n");
}
END_TEST

/* ---- drop-ins ----------------------------------------------------------------------------------- */

START_TEST(later_files_win_key_by_key)
{
        write_text("main.conf", "[Manager]\nMode=observe\nEpochSec=20s\nExclude=a.slice\n"
                                "[Service web]\nUnit=web.slice\nWeight=1\nBaseline=10%\n");
        write_text("d/20-b.conf", "[Service web]\nWeight=3\n");
        write_text("d/10-a.conf", "[Manager]\nEpochSec=30s\nExclude=b.slice\n"
                                  "[Service web]\nWeight=2\n[Service db]\nUnit=db.slice\n");
        write_text("d/.hidden.conf", "[Manager]\nEpochSec=40s\n");
        write_text("d/30-c.conf~", "[Manager]\nEpochSec=50s\n");
        write_text("d/.conf", "[Manager]\nEpochSec=50s\n");
        ck_assert_int_eq(load_on(4), 0);
        ck_assert_str_eq(findings(), "");
        ck_assert_int_eq(config->mode, CONFIG_MODE_OBSERVE);
        ck_assert_uint_eq(config->epoch_usec, 30 * USEC_PER_SEC);
        ck_assert_str_eq(config->exclude[0], "a.slice");
        ck_assert_str_eq(config->exclude[1], "b.slice");
        ck_assert_uint_eq(config->n_services, 2);
        ck_assert_uint_eq(config->services[0].weight, 3);
        ck_assert_uint_eq(config->services[0].baseline.usec_per_sec, 100000);
        ck_assert_uint_eq(config->n_files, 3);
        ck_assert_ptr_nonnull(strstr(config->files[1], "/d/10-a.conf"));
        ck_assert_uint_eq(config->services[1].origin.i_file, 1);
        ck_assert_uint_eq(config->services[1].origin.line, 6);
}
END_TEST

START_TEST(findings_name_the_drop_in)
{
        write_text("main.conf", "[Service web]\nUnit=web.slice\nBaseline=10%\n");
        write_text("d/x.conf", "[Service web]\nFloor=20%\n[Service b]\nUnit=web.slice\n");
        ck_assert_int_eq(load_on(4), -EINVAL);
        ck_assert_str_eq(findings(),
                         "d/x.conf:2: Floor=: 20% is more than Baseline=, 10%\n"
                         "d/x.conf:4: Unit=: web.slice is already the unit of [Service web] "
                         "(main.conf:2)\n");
}
END_TEST

START_TEST(broken_link_among_the_drop_ins_is_an_error)
{
        write_text("main.conf", "");
        ck_assert_int_eq(symlink("/nonexistent/coalloc", path_of("d/x.conf")), 0);
        ck_assert_int_eq(load_on(4), -EINVAL);
        ck_assert_str_eq(findings(), "d/x.conf: does not exist\n");
}
END_TEST

START_TEST(missing_drop_in_directory_is_fine)
{
        ck_assert_int_eq(rmdir(path_of("d")), 0);
        assert_clean("");
}
END_TEST

START_TEST(drop_in_directory_that_is_a_file_is_an_error)
{
        ck_assert_int_eq(rmdir(path_of("d")), 0);
        write_text("d", "");
        ck_assert_int_eq(load(""), -EINVAL);
        ck_assert_str_eq(findings(), "d: cannot be read: Not a directory\n");
}
END_TEST

START_TEST(named_files_are_read_in_order_and_must_exist)
{
        char first[128], second[128], third[128];

        write_text("1", "[Service a]\nUnit=a.slice\nWeight=1\n");
        write_text("2", "[Service a]\nWeight=2\n");
        strcpy(first, path_of("1"));
        strcpy(second, path_of("2"));
        strcpy(third, path_of("3"));
        ck_assert_int_eq(config_load_files((const char *[]){ first, second, NULL }, 4, &config, &diag),
                         0);
        ck_assert_uint_eq(config->services[0].weight, 2);
        config = config_free(config);
        ck_assert_int_eq(config_load_files((const char *[]){ first, third, NULL }, 4, &config, &diag),
                         -EINVAL);
        ck_assert_ptr_null(config);
        ck_assert_str_eq(findings(), "3: does not exist\n");
}
END_TEST

/* ---- matching ----------------------------------------------------------------------------------- */

START_TEST(exact_names_win_over_patterns_and_earlier_patterns_over_later)
{
        assert_clean("[Manager]\nExclude=tenant-x.slice\n"
                     "[Service tenants]\nUnit=tenant-*.slice\n"
                     "[Service any]\nUnit=*[abr].slice\n"
                     "[Service vip]\nUnit=tenant-vip.slice\n"
                     "[Service escaped]\nUnit=a\\x2db-*.service\n");
        ck_assert_int_eq((int)config_match_service(config, "tenant-a.slice"), 0);
        ck_assert_int_eq((int)config_match_service(config, "tenant-vip.slice"), 2);
        ck_assert_int_eq((int)config_match_service(config, "other.slice"), 1);
        ck_assert_int_eq((int)config_match_service(config, "a\\x2db-1.service"), 3);
        ck_assert_int_eq((int)config_match_service(config, "ax2db-1.service"), -1);
        ck_assert_int_eq((int)config_match_service(config, "other.service"), -1);
        ck_assert_int_eq((int)config_match_service(config, "tenant-x.slice"), -1);
        ck_assert_int_eq((int)config_match_service(config, "-.slice"), -1);
        ck_assert_int_eq((int)config_match_service(config, ""), -1);
        ck_assert(config->services[0].is_pattern);
        ck_assert(!config->services[2].is_pattern);
}
END_TEST

START_TEST(pattern_itself_is_not_a_unit)
{
        assert_clean("[Service a]\nUnit=[ab].slice\n");
        ck_assert_int_eq((int)config_match_service(config, "[ab].slice"), -1);
        ck_assert_int_eq((int)config_match_service(config, "b.slice"), 0);
}
END_TEST

START_TEST(discovered_units_are_wanted_and_excluded_ones_are_not)
{
        assert_clean("[Manager]\nDiscover=*.slice *.scope\nExclude=user-*.slice\n"
                     "[Service a]\nUnit=a.service\n");
        ck_assert(config_wants(config, "a.service"));
        ck_assert(config_wants(config, "b.slice"));
        ck_assert(!config_wants(config, "b.service"));
        ck_assert(!config_wants(config, "user-1000.slice"));
        /* Whatever Exclude= says. */
        ck_assert(!config_wants(config, "-.slice"));
        ck_assert(!config_wants(config, "init.scope"));
        ck_assert(!config_wants(config, "coallocd.service"));
}
END_TEST

/* ---- hotplug ------------------------------------------------------------------------------------ */

START_TEST(amounts_of_the_host_follow_hotplug)
{
        assert_clean("[Service a]\nUnit=a.slice\nBaseline=25%host\nFloor=10%\n");
        ck_assert_int_eq(config_resolve(config, 8, &diag), 0);
        ck_assert_uint_eq(config->n_cpus, 8);
        ck_assert_uint_eq(config->capacity.usec_per_sec, 8 * USEC_PER_SEC);
        ck_assert_uint_eq(config->reserve.usec_per_sec, 800000);
        ck_assert_uint_eq(config->services[0].baseline.usec_per_sec, 2000000);
        ck_assert_uint_eq(config->services[0].floor.usec_per_sec, 100000);
        ck_assert_uint_eq(config->services[0].max.usec_per_sec, 8 * USEC_PER_SEC);
        ck_assert_uint_eq(diag.n_items, 0);
}
END_TEST

START_TEST(amounts_are_cut_to_a_host_that_shrank_and_grow_again)
{
        assert_clean("[Manager]\nCapacity=300%\nReserve=20%\n"
                     "[Service a]\nUnit=a.slice\nFloor=150%\nBaseline=200%\nMax=350%\n");
        ck_assert_int_eq(config_resolve(config, 1, &diag), 1);
        ck_assert_str_eq(findings(),
                         "main.conf:2: warning: Capacity=: 300% no longer fits under the host; "
                         "using 100%\n"
                         "main.conf:8: warning: Max=: 350% no longer fits under the host; using "
                         "100%\n"
                         "main.conf:7: warning: Baseline=: 200% no longer fits under Max=; "
                         "using 100%\n"
                         "main.conf:6: warning: Floor=: 150% no longer fits under Baseline=; "
                         "using 100%\n");
        ck_assert_uint_eq(config->services[0].floor.usec_per_sec, USEC_PER_SEC);
        diagnostics_done(&diag);
        ck_assert_int_eq(config_resolve(config, 4, &diag), 0);
        ck_assert_uint_eq(config->services[0].floor.usec_per_sec, 1500000);
        ck_assert_uint_eq(config->services[0].max.usec_per_sec, 3500000);
        ck_assert_uint_eq(config->capacity.usec_per_sec, 3000000);
}
END_TEST

/* ---- size --------------------------------------------------------------------------------------- */

START_TEST(findings_are_bounded_and_the_rest_is_counted)
{
        static char text[60000];
        size_t n = (size_t)snprintf(text, sizeof text, "[Manager]\n");
        _cleanup_fclose_ FILE *f = tmpfile();
        char line[128], last[128] = "";

        for (int i = 0; i < 5000; i++)
                n += (size_t)snprintf(text + n, sizeof text - n, "nonsense\n");
        ck_assert_int_eq(load(text), -EINVAL);
        ck_assert_uint_eq(diag.n_items, DIAGNOSTICS_MAX);
        ck_assert_uint_eq(diag.n_found[DIAGNOSTIC_ERROR], 5000);
        ck_assert_ptr_nonnull(f);
        diagnostics_print(&diag, f);
        rewind(f);
        while (fgets(line, sizeof line, f))
                strcpy(last, line);
        ck_assert_str_eq(last, "(and 4000 more)\n");
}
END_TEST

START_TEST(hundred_thousand_services_are_read_and_one_more_is_refused)
{
        static char text[5000000];
        size_t n = 0;

        for (int i = 0; i < 100000; i++)
                n += (size_t)snprintf(text + n, sizeof text - n,
                                      "[Service s%d]\nUnit=u%d.service\nCalls=s%d\n", i, i,
                                      i < 99999 ? i + 1 : i);
        ck_assert_int_eq(load(text), 0);
        ck_assert_uint_eq(config->n_services, 100000);
        ck_assert_int_eq((int)config_match_service(config, "u99999.service"), 99999);
        snprintf(text + n, sizeof text - n, "[Service more]\nUnit=more.service\n");
        ck_assert_int_eq(load(text), -EINVAL);
        ck_assert_str_eq(diagnostics_first_error(&diag)->text,
                         "too many services: at most 100000 are read");
}
END_TEST

START_TEST(freeing_nothing_is_fine)
{
        ck_assert_ptr_null(config_free(NULL));
        diagnostics_done(&diag);
        ck_assert_ptr_null(diagnostics_first_error(&diag));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("config_file");
        TCase *tc = tcase_create("config_file");
        int n_keys = (int)n_config_keys;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, missing_file_means_defaults_and_says_so);
        tcase_add_test(tc, defaults_are_those_of_the_product);
        tcase_add_test(tc, service_defaults_are_those_of_the_product);
        tcase_add_test(tc, whole_example_is_read);
        tcase_add_loop_test(tc, every_key_accepts_both_ends_of_its_range, 0, n_keys);
        tcase_add_loop_test(tc, every_key_refuses_what_is_just_outside_its_range, 0, n_keys);
        tcase_add_loop_test(tc, every_key_refuses_garbage_and_names_itself_and_its_line, 0, n_keys);
        tcase_add_loop_test(tc, every_default_fits_its_own_range, 0, n_keys);
        tcase_add_loop_test(tc, empty_value_means_the_default_again, 0, n_keys);
        tcase_add_loop_test(tc, finding_reads_as_promised, 0, N_OF(golden));
        tcase_add_test(tc, all_errors_are_collected_and_nothing_is_returned);
        tcase_add_test(tc, earlier_findings_of_the_caller_do_not_fail_a_load);
        tcase_add_test(tc, hostile_bytes_do_not_reach_a_terminal);
        tcase_add_test(tc, line_of_198_bytes_is_read_and_one_of_199_is_refused);
        tcase_add_test(tc, long_comment_never_becomes_a_setting);
        tcase_add_test(tc, lines_are_counted_physically);
        tcase_add_test(tc, byte_order_mark_and_dos_line_ends_are_fine);
        tcase_add_test(tc, byte_order_mark_elsewhere_is_an_error);
        tcase_add_test(tc, nul_byte_is_an_error);
        tcase_add_test(tc, indented_setting_is_a_setting);
        tcase_add_test(tc, indented_continuation_of_a_list_is_an_error);
        tcase_add_test(tc, section_name_of_49_bytes_is_read_and_a_longer_one_refused);
        tcase_add_test(tc, colon_and_space_around_the_equals_sign_are_accepted);
        tcase_add_test(tc, last_line_needs_no_line_end);
        tcase_add_test(tc, directory_in_place_of_a_file_is_an_error);
        tcase_add_test(tc, fifo_in_place_of_a_file_is_an_error_and_not_a_hang);
        tcase_add_test(tc, file_that_is_too_large_is_an_error);
        tcase_add_test(tc, list_keys_append_and_an_empty_one_resets);
        tcase_add_test(tc, list_longer_than_any_host_needs_is_an_error);
        tcase_add_test(tc, later_files_win_key_by_key);
        tcase_add_test(tc, findings_name_the_drop_in);
        tcase_add_test(tc, broken_link_among_the_drop_ins_is_an_error);
        tcase_add_test(tc, missing_drop_in_directory_is_fine);
        tcase_add_test(tc, drop_in_directory_that_is_a_file_is_an_error);
        tcase_add_test(tc, named_files_are_read_in_order_and_must_exist);
        tcase_add_test(tc, exact_names_win_over_patterns_and_earlier_patterns_over_later);
        tcase_add_test(tc, pattern_itself_is_not_a_unit);
        tcase_add_test(tc, discovered_units_are_wanted_and_excluded_ones_are_not);
        tcase_add_test(tc, amounts_of_the_host_follow_hotplug);
        tcase_add_test(tc, amounts_are_cut_to_a_host_that_shrank_and_grow_again);
        tcase_add_test(tc, findings_are_bounded_and_the_rest_is_counted);
        tcase_add_test(tc, hundred_thousand_services_are_read_and_one_more_is_refused);
        tcase_add_test(tc, freeing_nothing_is_fine);
        suite_add_tcase(suite, tc);
        return testing_run(suite);
}
