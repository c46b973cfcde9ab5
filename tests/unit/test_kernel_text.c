/* SPDX-License-Identifier: MIT */
#include "platform/kernel_text.h"
#include "lib/testing.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* The text in a block of exactly its size, so that a sanitizer sees one byte too far. */
static char *exact_copy(const char *text)
{
        size_t n = strlen(text);
        char *copy = malloc(n > 0 ? n : 1);

        ck_assert_ptr_nonnull(copy);
        memcpy(copy, text, n);
        return copy;
}

#define PARSE(function, text, ret)                                      \
        ({                                                              \
                char *_copy = exact_copy(text);                         \
                int _r = function(_copy, strlen(text), ret);            \
                free(_copy);                                            \
                _r;                                                     \
        })

/* Linux 6.1, cpu controller on. */
static const char STAT_6_1[] =
        "usage_usec 81234567\nuser_usec 61234567\nsystem_usec 20000000\n"
        "core_sched.force_idle_usec 0\nnr_periods 1200\nnr_throttled 34\n"
        "throttled_usec 5600000\nnr_bursts 0\nburst_usec 0\n";

START_TEST(cpu_stat_of_every_kernel_gives_the_same_numbers)
{
        static const char *const texts[] = {
                STAT_6_1,
                /* 5.10: no bursts, no forced idle */
                "usage_usec 81234567\nuser_usec 61234567\nsystem_usec 20000000\n"
                "nr_periods 1200\nnr_throttled 34\nthrottled_usec 5600000\n",
                /* 6.18: nice_usec in front of the bandwidth */
                "usage_usec 81234567\nuser_usec 61234567\nsystem_usec 20000000\nnice_usec 7\n"
                "core_sched.force_idle_usec 0\nnr_periods 1200\nnr_throttled 34\n"
                "throttled_usec 5600000\nnr_bursts 0\nburst_usec 0\n",
                /* some day: another order, keys nobody knows, values that are no numbers */
                "burst_usec -\nthrottled_usec 5600000\nnr_throttled 34\nusage_usec_total 1\n"
                "nr_periods 1200\nfuture.key max 7.5 x\nusage_usec 81234567\n",
        };

        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                struct kernel_cpu_stat s;
                ck_assert_int_eq(PARSE(kernel_text_cpu_stat, texts[i], &s), 0);
                ck_assert_uint_eq(s.usage_usec, 81234567);
                ck_assert(s.has_bandwidth);
                ck_assert_uint_eq(s.nr_periods, 1200);
                ck_assert_uint_eq(s.nr_throttled, 34);
                ck_assert_uint_eq(s.throttled_usec, 5600000);

                struct kernel_bandwidth b;
                ck_assert_int_eq(PARSE(kernel_text_bandwidth, texts[i], &b), 0);
                ck_assert_uint_eq(b.nr_periods, 1200);
                ck_assert_uint_eq(b.nr_throttled, 34);
        }
}
END_TEST

START_TEST(cpu_stat_without_the_controller_has_usage_but_no_bandwidth)
{
        struct kernel_cpu_stat s;

        ck_assert_int_eq(PARSE(kernel_text_cpu_stat,
                               "usage_usec 7\nuser_usec 4\nsystem_usec 3\nnice_usec 0\n", &s), 0);
        ck_assert_uint_eq(s.usage_usec, 7);
        ck_assert(!s.has_bandwidth);

        /* Half of the keys is no bandwidth either, and leaves no half of the numbers. */
        ck_assert_int_eq(PARSE(kernel_text_cpu_stat, "usage_usec 7\nnr_periods 5\n", &s), 0);
        ck_assert(!s.has_bandwidth);
        ck_assert_uint_eq(s.nr_periods, 0);
}
END_TEST

START_TEST(bandwidth_alone_is_read_no_further_than_needed_and_told_apart_from_none)
{
        struct kernel_bandwidth b = { .nr_periods = 42 };

        ck_assert_int_eq(PARSE(kernel_text_bandwidth, "nr_periods -1\nnr_throttled 3\ncut of", &b), 0);
        ck_assert_uint_eq(b.nr_periods, UINT32_MAX);
        ck_assert_uint_eq(b.nr_throttled, 3);

        b.nr_periods = 42;
        ck_assert_int_eq(PARSE(kernel_text_bandwidth, "", &b), -ENODATA);
        ck_assert_int_eq(PARSE(kernel_text_bandwidth, "usage_usec 7\nuser_usec 4\n", &b), -ENODATA);
        ck_assert_int_eq(PARSE(kernel_text_bandwidth, "usage_usec 7\nnr_periods 5\n", &b), -ENODATA);
        ck_assert_int_eq(PARSE(kernel_text_bandwidth, "nr_periods 5\nnr_throttled 1", &b), -EBADMSG);
        ck_assert_int_eq(PARSE(kernel_text_bandwidth, "nr_periods x\nnr_throttled 1\n", &b), -EBADMSG);
        ck_assert_int_eq(PARSE(kernel_text_bandwidth, "nr_periods 5\nnr_throttled 1 \n", &b), -EBADMSG);
        ck_assert_uint_eq(b.nr_periods, 42);
}
END_TEST

START_TEST(period_counters_run_on_when_the_kernels_int_turns_negative)
{
        struct kernel_cpu_stat before, after;

        ck_assert_int_eq(PARSE(kernel_text_cpu_stat,
                               "usage_usec 1\nnr_periods 2147483647\nnr_throttled 2147483640\n"
                               "throttled_usec 9\n", &before), 0);
        ck_assert_int_eq(PARSE(kernel_text_cpu_stat,
                               "usage_usec 1\nnr_periods -2147483648\nnr_throttled -1\n"
                               "throttled_usec 9\n", &after), 0);
        ck_assert_uint_eq(after.nr_periods - before.nr_periods, 1);
        ck_assert_uint_eq(after.nr_throttled, UINT32_MAX);
}
END_TEST

START_TEST(the_largest_number_is_read_and_one_more_is_refused)
{
        struct kernel_cpu_stat s = { .usage_usec = 42 };

        ck_assert_int_eq(PARSE(kernel_text_cpu_stat, "usage_usec 18446744073709551616\n", &s), -EBADMSG);
        ck_assert_int_eq(PARSE(kernel_text_cpu_stat, "usage_usec 99999999999999999999\n", &s), -EBADMSG);
        ck_assert_int_eq(PARSE(kernel_text_cpu_stat, "usage_usec 184467440737095516150\n", &s), -EBADMSG);
        ck_assert_uint_eq(s.usage_usec, 42);
        ck_assert_int_eq(PARSE(kernel_text_cpu_stat, "usage_usec 18446744073709551615\n", &s), 0);
        ck_assert_uint_eq(s.usage_usec, UINT64_MAX);
}
END_TEST

START_TEST(cpu_stat_that_no_kernel_writes_is_refused_and_leaves_the_output_alone)
{
        static const char *const texts[] = {
                "", "\n", "usage_usec 12", "usage_usec\n", "usage_usec \n", "usage_usec x\n",
                "usage_usec -1\n", "usage_usec +1\n", "usage_usec 1.5\n", "usage_usec  1\n",
                "usage_usec 1 \n", "usage_usec 0x10\n", " usage_usec 1\n", "user_usec 5\n",
                "usage_usec 1\n\n", "usage_usec 1\nnr_periods -2147483649\n",
                "usage_usec 1\nnr_periods -0\n", "usage_usec 1\nnr_throttled --1\n",
                "usage_usec 1\nthrottled_usec -5\n", "usage_usec 1\nlonely\n",
                "usage_usec 1\nkey \n", "usage_usec 1\nuser_usec 5",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
        };

        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                struct kernel_cpu_stat s = { .usage_usec = 42 };
                ck_assert_msg(PARSE(kernel_text_cpu_stat, texts[i], &s) == -EBADMSG,
                              "accepted \"%s\"", texts[i]);
                ck_assert_uint_eq(s.usage_usec, 42);
        }
}
END_TEST

START_TEST(no_cut_of_a_text_gives_other_numbers_than_the_whole)
{
        struct kernel_cpu_stat s;
        const size_t n = strlen(STAT_6_1);

        for (size_t cut = 0; cut <= n; cut++) {
                char *copy = malloc(cut > 0 ? cut : 1);
                memcpy(copy, STAT_6_1, cut);
                int r = kernel_text_cpu_stat(copy, cut, &s);
                ck_assert_int_eq(r, cut > 0 && STAT_6_1[cut - 1] == '\n' ? 0 : -EBADMSG);
                if (r == 0) {
                        ck_assert_uint_eq(s.usage_usec, 81234567);
                        ck_assert(!s.has_bandwidth || s.throttled_usec == 5600000);
                }
                free(copy);
        }
}
END_TEST

START_TEST(pressure_totals_are_read_by_key_with_and_without_a_full_line)
{
        struct kernel_pressure p;

        ck_assert_int_eq(PARSE(kernel_text_pressure,
                               "some avg10=0.65 avg60=0.70 avg300=0.20 total=3327333\n"
                               "full avg10=0.00 avg60=0.00 avg300=0.00 total=17\n", &p), 0);
        ck_assert_uint_eq(p.some_usec, 3327333);
        ck_assert(p.has_full);
        ck_assert_uint_eq(p.full_usec, 17);

        /* 5.10 */
        ck_assert_int_eq(PARSE(kernel_text_pressure,
                               "some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n", &p), 0);
        ck_assert_uint_eq(p.some_usec, 5);
        ck_assert(!p.has_full);

        /* another order, more fields, another line */
        ck_assert_int_eq(PARSE(kernel_text_pressure,
                               "most total=1\nsome subtotal=9 total=6 avg10=0.00 avg900=1\n", &p), 0);
        ck_assert_uint_eq(p.some_usec, 6);
}
END_TEST

START_TEST(pressure_that_no_kernel_writes_is_refused)
{
        static const char *const texts[] = {
                "", "\n", "some\n", "some \n", "some avg10=0.00\n", "some total=\n", "some total=1",
                "some total=-1\n", "some total=1x\n", "some subtotal=1\n", "some total=1.0\n",
                "some total=18446744073709551616\n", "full avg10=0.00 total=5\n",
                "some total=1\nfull total=x\n", "some total=1\nfull tot",
        };

        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                struct kernel_pressure p = { .some_usec = 42 };
                ck_assert_msg(PARSE(kernel_text_pressure, texts[i], &p) == -EBADMSG,
                              "accepted \"%s\"", texts[i]);
                ck_assert_uint_eq(p.some_usec, 42);
        }
}
END_TEST

START_TEST(cpu_max_is_read_as_quota_per_period)
{
        struct kernel_cpu_max m;

        ck_assert_int_eq(PARSE(kernel_text_cpu_max, "max 100000\n", &m), 0);
        ck_assert_uint_eq(m.quota_usec, KERNEL_CPU_MAX_NONE);
        ck_assert_uint_eq(kernel_cpu_max_usec_per_sec(&m), UINT64_MAX);

        ck_assert_int_eq(PARSE(kernel_text_cpu_max, "150000 100000\n", &m), 0);
        ck_assert_uint_eq(m.quota_usec, 150000);
        ck_assert_uint_eq(m.period_usec, 100000);
        ck_assert_uint_eq(kernel_cpu_max_usec_per_sec(&m), 1500000);

        /* systemd stretches the period for less than one percent */
        ck_assert_int_eq(PARSE(kernel_text_cpu_max, "1000 200000\n", &m), 0);
        ck_assert_uint_eq(kernel_cpu_max_usec_per_sec(&m), 5000);

        ck_assert_int_eq(PARSE(kernel_text_cpu_max, "1 3\n", &m), 0);
        ck_assert_uint_eq(kernel_cpu_max_usec_per_sec(&m), 333333);
        ck_assert_int_eq(PARSE(kernel_text_cpu_max, "18446744073709551614 1\n", &m), 0);
        ck_assert_uint_eq(kernel_cpu_max_usec_per_sec(&m), UINT64_MAX - 1);
}
END_TEST

START_TEST(cpu_max_that_no_kernel_writes_is_refused)
{
        static const char *const texts[] = {
                "", "\n", "max\n", "max 100000", "max 0\n", "100000\n", "-1 100000\n", "max100000\n",
                "maximum 100000\n", "100000 100000 100000\n", "max  100000\n", "100000 100000 \n",
                "18446744073709551615 100000\n", "100000 100000\n100000 100000\n", "100000 max\n",
        };

        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                struct kernel_cpu_max m = { .quota_usec = 42 };
                ck_assert_msg(PARSE(kernel_text_cpu_max, texts[i], &m) == -EBADMSG,
                              "accepted \"%s\"", texts[i]);
                ck_assert_uint_eq(m.quota_usec, 42);
        }
}
END_TEST

START_TEST(cpu_weight_is_read_within_the_kernels_range)
{
        static const struct {
                const char *text;
                int result;
                uint64_t weight;
        } cases[] = {
                { "100\n", 0, 100 },   { "1\n", 0, 1 },         { "10000\n", 0, 10000 },
                { "0\n", 0, 0 },       { "10001\n", -EBADMSG }, { "100", -EBADMSG },
                { "\n", -EBADMSG },    { "", -EBADMSG },        { "-1\n", -EBADMSG },
                { "1 2\n", -EBADMSG }, { "idle\n", -EBADMSG },  { "1\n2\n", -EBADMSG },
        };

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                uint64_t weight = 4242;
                ck_assert_msg(PARSE(kernel_text_cpu_weight, cases[i].text, &weight) == cases[i].result,
                              "\"%s\"", cases[i].text);
                ck_assert_uint_eq(weight, cases[i].result == 0 ? cases[i].weight : 4242);
        }
}
END_TEST

START_TEST(cpu_lists_are_counted_also_beyond_1024_cpus)
{
        static const struct {
                const char *text;
                int result;
                unsigned n_cpus;
        } cases[] = {
                { "0\n", 0, 1 },
                { "0-3\n", 0, 4 },
                { "0-3,5\n", 0, 5 },
                { "0,2-4,8-8\n", 0, 5 },
                { "\n", 0, 0 },
                { "0-8191\n", 0, 8192 },
                { "0-1023,1100,2048-4095\n", 0, 3073 },
                { "1048575\n", 0, 1 },
                { "", -EBADMSG },
                { "0-3", -EBADMSG },
                { "0-\n", -EBADMSG },
                { "-3\n", -EBADMSG },
                { "3-0\n", -EBADMSG },
                { "0,0\n", -EBADMSG },
                { "0-3,2\n", -EBADMSG },
                { "5,1\n", -EBADMSG },
                { "0,\n", -EBADMSG },
                { ",0\n", -EBADMSG },
                { "0,,1\n", -EBADMSG },
                { "0 1\n", -EBADMSG },
                { "0-3:1/2\n", -EBADMSG },
                { "0-4294967295\n", -EBADMSG },
                { "1048576\n", -EBADMSG },
                { "0-18446744073709551616\n", -EBADMSG },
        };

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                unsigned n_cpus = 4242;
                ck_assert_msg(PARSE(kernel_text_cpu_list, cases[i].text, &n_cpus) == cases[i].result,
                              "\"%s\"", cases[i].text);
                ck_assert_uint_eq(n_cpus, cases[i].result == 0 ? cases[i].n_cpus : 4242);
        }
}
END_TEST

START_TEST(proc_stat_keeps_steal_apart_and_counts_guests_once)
{
        struct kernel_proc_stat s;

        /* user nice system idle iowait irq softirq steal guest guest_nice */
        ck_assert_int_eq(PARSE(kernel_text_proc_stat,
                               "cpu  1000 200 30 99999 7777 4 5 600 900 100\ncpu0 1 1 1 1", &s), 0);
        ck_assert_uint_eq(s.busy_ticks, 1239);
        ck_assert_uint_eq(s.steal_ticks, 600);

        /* more fields than we know; and so few that there is no steal */
        ck_assert_int_eq(PARSE(kernel_text_proc_stat, "cpu  1 2 3 4 5 6 7 8 9 10 11 12\n", &s), 0);
        ck_assert_uint_eq(s.steal_ticks, 8);
        ck_assert_int_eq(PARSE(kernel_text_proc_stat, "cpu  1 2 3 4\n", &s), 0);
        ck_assert_uint_eq(s.busy_ticks, 6);
        ck_assert_uint_eq(s.steal_ticks, 0);
}
END_TEST

START_TEST(proc_stat_that_no_kernel_writes_is_refused)
{
        static const char *const texts[] = {
                "", "\n", "cpu\n", "cpu \n", "cpu  1 2 3\n", "cpu  1 2 3 4", "cpu0 1 2 3 4\n",
                "cpu  1 2 3 x\n", "cpu  1 2 3 4x\n", "cpu  -1 2 3 4\n", "intr 1 2 3 4\n",
                "cpu  18446744073709551615 1 0 0 0 0 0\n", "cpu  18446744073709551616 0 0 0\n",
        };

        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                struct kernel_proc_stat s = { .busy_ticks = 42 };
                ck_assert_msg(PARSE(kernel_text_proc_stat, texts[i], &s) == -EBADMSG,
                              "accepted \"%s\"", texts[i]);
                ck_assert_uint_eq(s.busy_ticks, 42);
        }
}
END_TEST

START_TEST(a_controller_is_found_as_a_whole_word_only)
{
        static const char line[] = "cpuset cpu io memory\n";
        const size_t n = sizeof line - 1;

        ck_assert(kernel_text_has_word(line, n, "cpu"));
        ck_assert(kernel_text_has_word(line, n, "cpuset"));
        ck_assert(kernel_text_has_word(line, n, "memory"));
        ck_assert(kernel_text_has_word(line, n - 1, "memory"));
        ck_assert(!kernel_text_has_word(line, n, "cpus"));
        ck_assert(!kernel_text_has_word(line, n, "set"));
        ck_assert(!kernel_text_has_word(line, n, "mem"));
        ck_assert(!kernel_text_has_word(line, n, ""));
        ck_assert(!kernel_text_has_word("", 0, "cpu"));
        ck_assert(!kernel_text_has_word("cpuset io\n", 10, "cpu"));
}
END_TEST

START_TEST(random_counters_survive_the_way_through_the_text)
{
        struct testing_random random = { .state = testing_seed() };

        for (int i = 0; i < 20000; i++) {
                /* All magnitudes, not only huge ones. */
                uint64_t usage = testing_random_u64(&random) >> testing_random_int(&random, 0, 63);
                int32_t periods = (int32_t)testing_random_u64(&random);
                char text[256];
                struct kernel_cpu_stat s;
                int n = snprintf(text, sizeof text,
                                 "usage_usec %" PRIu64 "\nnr_periods %" PRId32 "\nnr_throttled 0\n"
                                 "throttled_usec %" PRIu64 "\n", usage, periods, usage / 2);

                ck_assert_int_eq(kernel_text_cpu_stat(text, (size_t)n, &s), 0);
                ck_assert_uint_eq(s.usage_usec, usage);
                ck_assert_uint_eq(s.nr_periods, (uint32_t)periods);
                ck_assert_uint_eq(s.throttled_usec, usage / 2);
        }
}
END_TEST

int main(void)
{
        Suite *s = suite_create("kernel_text");
        TCase *t = tcase_create("kernel_text");

        tcase_add_test(t, cpu_stat_of_every_kernel_gives_the_same_numbers);
        tcase_add_test(t, cpu_stat_without_the_controller_has_usage_but_no_bandwidth);
        tcase_add_test(t, bandwidth_alone_is_read_no_further_than_needed_and_told_apart_from_none);
        tcase_add_test(t, period_counters_run_on_when_the_kernels_int_turns_negative);
        tcase_add_test(t, the_largest_number_is_read_and_one_more_is_refused);
        tcase_add_test(t, cpu_stat_that_no_kernel_writes_is_refused_and_leaves_the_output_alone);
        tcase_add_test(t, no_cut_of_a_text_gives_other_numbers_than_the_whole);
        tcase_add_test(t, pressure_totals_are_read_by_key_with_and_without_a_full_line);
        tcase_add_test(t, pressure_that_no_kernel_writes_is_refused);
        tcase_add_test(t, cpu_max_is_read_as_quota_per_period);
        tcase_add_test(t, cpu_max_that_no_kernel_writes_is_refused);
        tcase_add_test(t, cpu_weight_is_read_within_the_kernels_range);
        tcase_add_test(t, cpu_lists_are_counted_also_beyond_1024_cpus);
        tcase_add_test(t, proc_stat_keeps_steal_apart_and_counts_guests_once);
        tcase_add_test(t, proc_stat_that_no_kernel_writes_is_refused);
        tcase_add_test(t, a_controller_is_found_as_a_whole_word_only);
        tcase_add_test(t, random_counters_survive_the_way_through_the_text);
        suite_add_tcase(s, t);
        return testing_run(s);
}
