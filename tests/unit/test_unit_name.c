/* SPDX-License-Identifier: MIT */
#include "util/unit_name.h"

#include "lib/testing.h"

#include <string.h>

static const struct {
        const char *name;
        const char *section;    /* NULL = not a name for us */
} rows[] = {
        { "shop-web.slice", "Slice" },
        { "-.slice", "Slice" },
        { "nginx.service", "Service" },
        { "getty@tty1.service", "Service" },
        { "dev-disk-by\\x2duuid.service", "Service" },
        { "run-u7.scope", "Scope" },
        { "a.b:c_d.service", "Service" },
        { "", NULL },
        { ".slice", NULL },
        { "slice", NULL },
        { "web", NULL },
        { "web.target", NULL },
        { "web.slice.", NULL },
        { "web.SLICE", NULL },
        { "@tty1.service", NULL },
        { "../../../etc/cron.d/x.service", NULL },
        { "a/b.slice", NULL },
        { "a b.slice", NULL },
        { "a\nb.slice", NULL },
        { "a\"b.slice", NULL },
        { "a%b.slice", NULL },
        { "\xc3\xa4.slice", NULL },
};

START_TEST(only_names_of_slices_services_and_scopes_are_valid)
{
        ck_assert_msg(unit_name_is_valid(rows[_i].name) == (rows[_i].section != NULL), "%s", rows[_i].name);
        if (rows[_i].section)
                ck_assert_str_eq(unit_name_section(rows[_i].name), rows[_i].section);
}
END_TEST

START_TEST(a_name_longer_than_a_path_component_allows_is_invalid)
{
        char name[300];
        memset(name, 'a', sizeof name);
        strcpy(name + 255 - strlen(".slice"), ".slice");
        ck_assert(unit_name_is_valid(name));

        memset(name, 'a', sizeof name);
        strcpy(name + 256 - strlen(".slice"), ".slice");
        ck_assert(!unit_name_is_valid(name));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("unit_name");
        TCase *t = tcase_create("unit_name");
        tcase_add_loop_test(t, only_names_of_slices_services_and_scopes_are_valid, 0,
                            (int)(sizeof rows / sizeof rows[0]));
        tcase_add_test(t, a_name_longer_than_a_path_component_allows_is_invalid);
        suite_add_tcase(suite, t);
        return testing_run(suite);
}
