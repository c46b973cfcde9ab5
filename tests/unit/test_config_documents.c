/* SPDX-License-Identifier: MIT */

/* The manual page and the shipped file must say what the schema says: every key, in its order, with
 * its default and its range, and no other key. */

#include "lib/testing.h"
#include "platform/config_file.h"
#include "util/cleanup.h"

#include <ctype.h>
#include <string.h>

#define LINES_MAX 1000

static char *lines[LINES_MAX];
static size_t n_lines;

/* Reads a file of the source tree into lines[], without line ends. */
static void read_lines(const char *name)
{
        _cleanup_fclose_ FILE *f = fopen(testing_source_path(name), "re");
        _cleanup_free_ char *line = NULL;
        size_t room = 0;
        ssize_t length;

        ck_assert_msg(f != NULL, "cannot read %s", testing_source_path(name));
        while ((length = getline(&line, &room, f)) >= 0) {
                ck_assert_uint_lt(n_lines, LINES_MAX);
                if (length > 0 && line[length - 1] == '\n')
                        line[length - 1] = '\0';
                lines[n_lines++] = TAKE_PTR(line);
                room = 0;
        }
}

static void forget_lines(void)
{
        for (size_t i = 0; i < n_lines; i++)
                free(lines[i]);
        n_lines = 0;
}

static void remove_all(char *s, const char *what)
{
        for (char *p = s; (p = strstr(p, what));)
                memmove(p, p + strlen(what), strlen(p + strlen(what)) + 1);
}

static const char *const manual_sections[_CONFIG_SECTION_MAX] = {
        [CONFIG_MANAGER] = ".SS [Manager]",
        [CONFIG_SERVICE] = ".SS [Service NAME]",
        [CONFIG_PATH] = ".SS [Path NAME]",
};

/* What the page says of one key: from its .TP to the next one or the next heading. */
struct entry {
        char name[64];
        size_t begin;
        size_t end;
};

static size_t find_entries(enum config_section section, struct entry entries[static 64])
{
        size_t n = 0, i = 0;

        while (i < n_lines && strcmp(lines[i], manual_sections[section]) != 0)
                i++;
        ck_assert_msg(i < n_lines, "no %s", manual_sections[section]);
        for (i++; i < n_lines && strncmp(lines[i], ".S", 2) != 0; i++) {
                if (strcmp(lines[i], ".TP") != 0) {
                        if (n > 0)
                                entries[n - 1].end = i + 1;
                        continue;
                }
                ck_assert_uint_lt(n, 64);
                ck_assert_msg(sscanf(lines[i + 1], ".B %62[^=]=", entries[n].name) == 1,
                              "line %zu: no key after .TP", i + 2);
                entries[n].begin = i;
                entries[n].end = i + 1;
                n++;
        }
        return n;
}

static bool entry_has(const struct entry *e, const char *text)
{
        for (size_t i = e->begin; i < e->end; i++)
                if (strcmp(lines[i], text) == 0)
                        return true;
        return false;
}

START_TEST(manual_page_agrees_with_the_schema)
{
        struct entry entries[64];
        size_t n_entries, n = 0;

        read_lines("doc/coalloc.conf.5");
        for (size_t i = 0; i < n_lines; i++)
                remove_all(lines[i], "\\"); /* only escapes of dashes stand in these lines */
        n_entries = find_entries((enum config_section)_i, entries);
        for (size_t i = 0; i < n_config_keys; i++) {
                const struct config_key *key = &config_keys[i];
                char expected[256];

                if (key->section != (enum config_section)_i)
                        continue;
                ck_assert_msg(n < n_entries, "%s= is missing", key->name);
                ck_assert_str_eq(entries[n].name, key->name);
                if (key->flags & CONFIG_KEY_REQUIRED) {
                        strcpy(expected, "Required.");
                } else {
                        int length = snprintf(expected, sizeof expected, "Default: %s.",
                                              key->default_text[0] ? key->default_text : "none");
                        if (key->min_text)
                                snprintf(expected + length, sizeof expected - (size_t)length,
                                         " Range: %s to %s%s%s.", key->min_text, key->max_text,
                                         key->word ? ", or " : "", key->word ? key->word : "");
                }
                ck_assert_msg(entry_has(&entries[n], expected), "%s=: no line '%s'", key->name,
                              expected);
                n++;
        }
        ck_assert_msg(n == n_entries, "%s= is no setting", entries[n].name);
        forget_lines();
}
END_TEST

static bool is_commented_setting(const char *line)
{
        return line[0] == '#' && (isupper((unsigned char)line[1]) || line[1] == '[');
}

START_TEST(shipped_file_shows_every_default_and_nothing_else)
{
        size_t n = 0;
        int section = -1;

        read_lines("conf/coalloc.conf");
        for (size_t i = 0; i < n_lines; i++) {
                const char *line = is_commented_setting(lines[i]) ? lines[i] + 1 : lines[i];
                char expected[256];

                if (line[0] == '[') {
                        section++;
                        const char *name = config_section_to_string((enum config_section)section);
                        ck_assert_msg(strncmp(line + 1, name, strlen(name)) == 0, "%s", line);
                }
                if (line == lines[i] || line[0] == '[')
                        continue;
                ck_assert_msg(n < n_config_keys, "%s", line);
                ck_assert_int_eq((int)config_keys[n].section, section);
                snprintf(expected, sizeof expected, "%s=%s", config_keys[n].name,
                         config_keys[n].default_text);
                /* What has no default shows an example. */
                if (config_keys[n].flags & CONFIG_KEY_REQUIRED)
                        ck_assert_msg(strncmp(line, expected, strlen(expected)) == 0, "%s", line);
                else
                        ck_assert_str_eq(line, expected);
                n++;
        }
        ck_assert_uint_eq(n, n_config_keys);
        forget_lines();
}
END_TEST

START_TEST(shipped_file_changes_nothing_and_is_valid_when_uncommented)
{
        _cleanup_diagnostics_ struct diagnostics diag = { 0 };
        _cleanup_config_ struct config *shipped = NULL, *uncommented = NULL;
        char path[] = "/tmp/coalloc-test-XXXXXX";
        const char *source = testing_source_path("conf/coalloc.conf");

        ck_assert_int_eq(config_load(source, NULL, 4, &shipped, &diag), 0);
        ck_assert_uint_eq(diag.n_items, 0);
        ck_assert_uint_eq(shipped->n_services, 0);
        for (size_t i = 0; i < CONFIG_MANAGER_KEYS; i++)
                ck_assert_uint_eq(shipped->key_origins[i].line, 0);

        read_lines("conf/coalloc.conf");
        _cleanup_close_ int fd = mkstemp(path);
        ck_assert_int_ge(fd, 0);
        for (size_t i = 0; i < n_lines; i++)
                ck_assert_int_gt(dprintf(fd, "%s\n", lines[i] + is_commented_setting(lines[i])), 0);
        forget_lines();
        int r = config_load(path, NULL, 4, &uncommented, &diag);
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(r, 0);
        ck_assert_uint_eq(diag.n_found[DIAGNOSTIC_WARNING], 0);
        ck_assert_uint_eq(uncommented->n_services, 1);
        ck_assert_uint_eq(uncommented->n_paths, 1);
        ck_assert_uint_eq(uncommented->reserve.usec_per_sec, shipped->reserve.usec_per_sec);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("config_documents");
        TCase *tc = tcase_create("config_documents");

        tcase_add_loop_test(tc, manual_page_agrees_with_the_schema, 0, _CONFIG_SECTION_MAX);
        tcase_add_test(tc, shipped_file_shows_every_default_and_nothing_else);
        tcase_add_test(tc, shipped_file_changes_nothing_and_is_valid_when_uncommented);
        suite_add_tcase(suite, tc);
        return testing_run(suite);
}
