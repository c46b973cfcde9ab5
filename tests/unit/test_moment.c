/* SPDX-License-Identifier: MIT */

#include "client/moment.h"

#include "lib/testing.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* 2026-01-31 12:34:56 UTC. */
#define NOW_SEC UINT64_C(1769862896)
#define NOW_USEC (NOW_SEC * 1000000)

static void setup(void)
{
        (void)setenv("TZ", "UTC", 1);
        tzset();
}

START_TEST(moments_are_read_as_journalctl_reads_them)
{
        static const struct {
                const char *text;
                uint64_t seconds;
        } cases[] = {
                { "now", NOW_SEC },
                { "-1h", NOW_SEC - 3600 },
                { "2h ago", NOW_SEC - 7200 },
                { "1min 30s ago", NOW_SEC - 90 },
                { "@1700000000", 1700000000 },
                { "today", NOW_SEC - 45296 },
                { "yesterday", NOW_SEC - 45296 - 86400 },
                { "06:15", NOW_SEC - 45296 + 22500 },
                { "06:15:01", NOW_SEC - 45296 + 22501 },
                { "2026-01-30", NOW_SEC - 45296 - 86400 },
                { "2026-01-30 00:01", NOW_SEC - 45296 - 86400 + 60 },
                { "2026-01-30 00:01:01", NOW_SEC - 45296 - 86400 + 61 },
                { "-1000y", 0 },
        };

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                uint64_t usec = 1;
                int r = moment_parse(cases[i].text, NOW_USEC, &usec);

                if (cases[i].seconds == 0)
                        ck_assert_msg(r == -EINVAL || usec == 0, "%s", cases[i].text);
                else
                        ck_assert_msg(r == 0 && usec == cases[i].seconds * 1000000, "%s: %d, %llu", cases[i].text, r,
                                      (unsigned long long)usec);
        }
}
END_TEST

START_TEST(what_is_no_moment_is_refused)
{
        static const char *const texts[] = { "", "soon", "25:00", "2026-13-01", "2026-01-30 x", "@", "@-1", "@x", "-", "ago",
                                             " ago", "@99999999999999999999" };

        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                uint64_t usec = 1;

                ck_assert_msg(moment_parse(texts[i], NOW_USEC, &usec) == -EINVAL, "%s", texts[i]);
                ck_assert_uint_eq(usec, 1);
        }
}
END_TEST

START_TEST(moment_is_written_as_it_is_read)
{
        char text[MOMENT_TEXT_MAX];
        uint64_t usec;

        ck_assert_str_eq(moment_format(text, NOW_USEC), "2026-01-31 12:34:56");
        ck_assert_int_eq(moment_parse(text, 0, &usec), 0);
        ck_assert_uint_eq(usec, NOW_USEC);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("moment");
        TCase *t = tcase_create("moment");

        tcase_add_checked_fixture(t, setup, NULL);
        tcase_add_test(t, moments_are_read_as_journalctl_reads_them);
        tcase_add_test(t, what_is_no_moment_is_refused);
        tcase_add_test(t, moment_is_written_as_it_is_read);
        suite_add_tcase(suite, t);
        return testing_run(suite);
}
