/* SPDX-License-Identifier: MIT */

#include "lib/testing.h"
#include "util/cleanup.h"
#include "util/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <string.h>

#define N_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* Every output starts as this, so that a failure that wrote something is seen. */
#define UNTOUCHED UINT64_C(0xdeadbeef)

static const struct {
        const char *text;
        int result;
        uint64_t usec_on_4_cpus;
} cpu_amounts[] = {
        { "150%", 0, 1500000 },
        { "1.5", 0, 1500000 },
        { "1500m", 0, 1500000 },
        { "25%host", 0, 1000000 },
        { "100%host", 0, 4000000 },
        { "0", 0, 0 },
        { "-0", 0, 0 },
        { "0%", 0, 0 },
        { "20%", 0, 200000 },
        { "33.3333%", 0, 333333 },
        { "0.1%", 0, 1000 },
        { ".5", 0, 500000 },
        { "5.", 0, 5000000 },
        { "0.0000004", 0, 0 },          /* rounded to the nearest microsecond */
        { "0.0000005", 0, 1 },
        { "0.00000000000000000000000000000000001", 0, 0 },
        { "1.00000000000000000000000000000000009", 0, 1000000 },
        { "007%", 0, 70000 },
        { "1000000", 0, CPU_AMOUNT_MAX_USEC_PER_SEC },
        { "1000000.000001", -ERANGE, 0 },
        { "1000001", -ERANGE, 0 },
        { "99999999999999999999999999999999%", -ERANGE, 0 },
        { "100.0001%host", -ERANGE, 0 },
        { "-5%", -ERANGE, 0 },
        { "", -EINVAL, 0 },
        { "%", -EINVAL, 0 },
        { ".", -EINVAL, 0 },
        { "-", -EINVAL, 0 },
        { "+5%", -EINVAL, 0 },
        { "1,5", -EINVAL, 0 },
        { "1e3", -EINVAL, 0 },
        { "0x10", -EINVAL, 0 },
        { "nan", -EINVAL, 0 },
        { "infinity", -EINVAL, 0 },
        { "5 %", -EINVAL, 0 },
        { " 5%", -EINVAL, 0 },
        { "5% ", -EINVAL, 0 },
        { "5%%", -EINVAL, 0 },
        { "5%hosts", -EINVAL, 0 },
        { "5M", -EINVAL, 0 },
        { "1.2.3", -EINVAL, 0 },
};

START_TEST(cpu_amount_reads_every_unit_and_nothing_else)
{
        struct cpu_amount amount = { .micro = UNTOUCHED };
        int r = parse_cpu_amount(cpu_amounts[_i].text, &amount);

        ck_assert_msg(r == cpu_amounts[_i].result, "'%s' gave %d", cpu_amounts[_i].text, r);
        if (r < 0)
                ck_assert_uint_eq(amount.micro, UNTOUCHED);
        else
                ck_assert_msg(cpu_amount_resolve(amount, 4) == cpu_amounts[_i].usec_on_4_cpus,
                              "'%s' gave %llu", cpu_amounts[_i].text,
                              (unsigned long long)cpu_amount_resolve(amount, 4));
}
END_TEST

START_TEST(cpu_amount_of_host_follows_the_number_of_cpus)
{
        struct cpu_amount amount;

        ck_assert_int_eq(parse_cpu_amount("25%host", &amount), 0);
        ck_assert_uint_eq(cpu_amount_resolve(amount, 1), 250000);
        ck_assert_uint_eq(cpu_amount_resolve(amount, 64), 16000000);
        ck_assert_int_eq(parse_cpu_amount("25%", &amount), 0);
        ck_assert_uint_eq(cpu_amount_resolve(amount, 64), 250000);
}
END_TEST

static const struct {
        const char *text;
        int result;
        uint64_t usec;
} spans[] = {
        { "15s", 0, 15000000 },
        { "15", 0, 15000000 },
        { "15 s", 0, 15000000 },
        { "1.5", 0, 1500000 },
        { "250ms", 0, 250000 },
        { "0.25s", 0, 250000 },
        { "1min 30s", 0, 90000000 },
        { "1min30s", 0, 90000000 },
        { "1min 30", 0, 90000000 },
        { "1 min 30 sec", 0, 90000000 },
        { "1.5h", 0, UINT64_C(5400000000) },
        { "2m", 0, 120000000 },
        { "1M", 0, UINT64_C(2629800000000) },
        { "1d 2hours 3minutes 4seconds 5msec 6usec", 0, UINT64_C(93784005006) },
        { "1w", 0, UINT64_C(604800000000) },
        { "1y", 0, UINT64_C(31557600000000) },
        { "7us", 0, 7 },
        { "7\u00b5s", 0, 7 },
        { "7\u03bcs", 0, 7 },
        { "0.4us", 0, 0 },
        { "0", 0, 0 },
        { "100y", 0, SPAN_MAX_USEC },
        { "100y 1us", -ERANGE, 0 },
        { "101y", -ERANGE, 0 },
        { "99y 99y 99y", -ERANGE, 0 },
        { "999999999999999999999999", -ERANGE, 0 },
        { "-1s", -ERANGE, 0 },
        { "5s -1s", -ERANGE, 0 },
        { "infinity", -ERANGE, 0 },
        { "", -EINVAL, 0 },
        { "s", -EINVAL, 0 },
        { "1 30", -EINVAL, 0 },
        { "1.2.3", -EINVAL, 0 },
        { "15 ", -EINVAL, 0 },
        { "15s ", -EINVAL, 0 },
        { " 15s", -EINVAL, 0 },
        { "15S", -EINVAL, 0 },
        { "15 parsecs", -EINVAL, 0 },
        { "1e3s", -EINVAL, 0 },
        { "101y x", -EINVAL, 0 },       /* garbage is worse than too much */
        { "soon", -EINVAL, 0 },
};

START_TEST(span_reads_what_systemd_reads)
{
        uint64_t usec = UNTOUCHED;
        int r = parse_span(spans[_i].text, &usec);

        ck_assert_msg(r == spans[_i].result, "'%s' gave %d", spans[_i].text, r);
        ck_assert_msg(usec == (r < 0 ? UNTOUCHED : spans[_i].usec), "'%s' gave %llu",
                      spans[_i].text, (unsigned long long)usec);
}
END_TEST

START_TEST(percent_needs_its_sign)
{
        double fraction = -7;

        ck_assert_int_eq(parse_percent("12.5%", &fraction), 0);
        ck_assert(fraction == 0.125);
        ck_assert_int_eq(parse_percent("0%", &fraction), 0);
        ck_assert(fraction == 0);
        ck_assert_int_eq(parse_percent("2%", &fraction), 0);
        ck_assert(fraction == 0.02);
        fraction = -7;
        ck_assert_int_eq(parse_percent("1", &fraction), -EINVAL);
        ck_assert_int_eq(parse_percent("", &fraction), -EINVAL);
        ck_assert_int_eq(parse_percent("1%host", &fraction), -EINVAL);
        ck_assert_int_eq(parse_percent("-1%", &fraction), -ERANGE);
        ck_assert_int_eq(parse_percent("1000000000000000%", &fraction), -ERANGE);
        ck_assert(fraction == -7);
}
END_TEST

START_TEST(boolean_reads_the_words_of_systemd)
{
        static const char *const yes[] = { "1", "yes", "Y", "true", "T", "ON" };
        static const char *const no[] = { "0", "no", "N", "False", "f", "off" };
        static const char *const neither[] = { "", "2", "yes ", "enabled", "-1", "o" };
        bool b;

        for (int i = 0; i < N_OF(yes); i++) {
                b = false;
                ck_assert_int_eq(parse_boolean(yes[i], &b), 0);
                ck_assert(b);
                ck_assert_int_eq(parse_boolean(no[i], &b), 0);
                ck_assert(!b);
                ck_assert_int_eq(parse_boolean(neither[i], &b), -EINVAL);
                ck_assert(!b);
        }
}
END_TEST

START_TEST(unsigned_keeps_its_range)
{
        static const char *const malformed[] = { "", "-1", "+1", " 1", "1 ", "0x1", "1.0", "one" };
        uint64_t number = UNTOUCHED;

        ck_assert_int_eq(parse_unsigned("0", 1, 10, &number), -ERANGE);
        ck_assert_int_eq(parse_unsigned("11", 1, 10, &number), -ERANGE);
        ck_assert_int_eq(parse_unsigned("18446744073709551616", 0, UINT64_MAX, &number), -ERANGE);
        for (int i = 0; i < N_OF(malformed); i++)
                ck_assert_int_eq(parse_unsigned(malformed[i], 0, 10, &number), -EINVAL);
        ck_assert_uint_eq(number, UNTOUCHED);
        ck_assert_int_eq(parse_unsigned("1", 1, 10, &number), 0);
        ck_assert_uint_eq(number, 1);
        ck_assert_int_eq(parse_unsigned("0010", 1, 10, &number), 0);
        ck_assert_uint_eq(number, 10);
        ck_assert_int_eq(parse_unsigned("18446744073709551615", 0, UINT64_MAX, &number), 0);
        ck_assert_uint_eq(number, UINT64_MAX);
}
END_TEST

START_TEST(sizes_count_in_powers_of_1024)
{
        static const struct {
                const char *text;
                int result;
                uint64_t bytes;
        } cases[] = {
                { "0", 0, 0 },
                { "4096", 0, 4096 },
                { "1K", 0, 1024 },
                { "64M", 0, UINT64_C(64) << 20 },
                { "3G", 0, UINT64_C(3) << 30 },
                { "1T", 0, UINT64_C(1) << 40 },
                { "8388607T", 0, UINT64_C(8388607) << 40 },
                { "8388608T", -ERANGE, 0 },
                { "99999999999999999999999999999999999999999999999999999999999999999999999", -ERANGE, 0 },
                { "", -EINVAL, 0 },
                { "M", -EINVAL, 0 },
                { "64m", -EINVAL, 0 },
                { "64MB", -EINVAL, 0 },
                { "1.5G", 0, UINT64_C(3) << 29 },
                { "-1", -ERANGE, 0 },
                { " 1", -EINVAL, 0 },
        };

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                uint64_t bytes = 7;

                ck_assert_msg(parse_size(cases[i].text, &bytes) == cases[i].result, "%s", cases[i].text);
                ck_assert_uint_eq(bytes, cases[i].result == 0 ? cases[i].bytes : 7);
        }
}
END_TEST

START_TEST(double_keeps_its_range_and_reads_exactly)
{
        static const char *const malformed[] = { "", ".", "-", "+1", "1e3", "nan", "inf",
                                                 "0x1p3", "1,5", " 1", "1 ", "--1" };
        double number = -7;

        ck_assert_int_eq(parse_double("-0.1", 0, 1, &number), -ERANGE);
        ck_assert_int_eq(parse_double("1.1", 0, 1, &number), -ERANGE);
        ck_assert_int_eq(parse_double("1000000000000000", 0, 1e300, &number), -ERANGE);
        for (int i = 0; i < N_OF(malformed); i++)
                ck_assert_int_eq(parse_double(malformed[i], 0, 10, &number), -EINVAL);
        ck_assert(number == -7);
        ck_assert_int_eq(parse_double("0.1", 0, 1, &number), 0);
        ck_assert(number == 0.1);
        ck_assert_int_eq(parse_double("-2.5", -3, 1, &number), 0);
        ck_assert(number == -2.5);
        ck_assert_int_eq(parse_double("0.333333333333333", 0, 1, &number), 0);
        ck_assert(number == 0.333333333333333);
}
END_TEST

START_TEST(numbers_do_not_depend_on_the_locale)
{
        struct cpu_amount amount;
        double number;

        /* Any locale with a decimal comma will do; without one this checks the C locale. */
        if (!setlocale(LC_ALL, "de_DE.UTF-8"))
                (void)setlocale(LC_ALL, "fr_FR.UTF-8");
        ck_assert_int_eq(parse_cpu_amount("1.5", &amount), 0);
        ck_assert_uint_eq(amount.micro, 1500000);
        ck_assert_int_eq(parse_double("1.5", 0, 2, &number), 0);
        ck_assert(number == 1.5);
        ck_assert_str_eq(FORMAT_CPU(125000), "12.5%");
        (void)setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(cpu_is_written_as_a_percentage)
{
        ck_assert_str_eq(FORMAT_CPU(0), "0%");
        ck_assert_str_eq(FORMAT_CPU(1), "0.0001%");
        ck_assert_str_eq(FORMAT_CPU(1500000), "150%");
        ck_assert_str_eq(FORMAT_CPU(125000), "12.5%");
        ck_assert_str_eq(FORMAT_CPU(333333), "33.3333%");
        ck_assert_str_eq(FORMAT_CPU(UINT64_MAX), "infinity");
        ck_assert_str_eq(FORMAT_CPU(UINT64_MAX - 1), "1844674407370955.1614%");
}
END_TEST

START_TEST(span_is_written_in_its_natural_units)
{
        ck_assert_str_eq(FORMAT_SPAN(0), "0");
        ck_assert_str_eq(FORMAT_SPAN(250000), "250ms");
        ck_assert_str_eq(FORMAT_SPAN(15000000), "15s");
        ck_assert_str_eq(FORMAT_SPAN(90000000), "1min 30s");
        ck_assert_str_eq(FORMAT_SPAN(UINT64_C(93784005006)), "1d 2h 3min 4s 5ms 6us");
        ck_assert_str_eq(FORMAT_SPAN(UINT64_MAX), "infinity");
        ck_assert_uint_lt(strlen(FORMAT_SPAN(UINT64_MAX - 1)), FORMAT_MAX);
}
END_TEST

START_TEST(what_is_written_is_read_back_unchanged)
{
        struct testing_random random = { testing_seed() };

        for (int i = 0; i < 20000; i++) {
                /* Spread over all magnitudes. */
                uint64_t usec = testing_random_u64(&random) >> testing_random_int(&random, 13, 63);
                struct cpu_amount amount;
                uint64_t span;

                if (usec <= CPU_AMOUNT_MAX_USEC_PER_SEC) {
                        ck_assert_int_eq(parse_cpu_amount(FORMAT_CPU(usec), &amount), 0);
                        ck_assert_uint_eq(amount.micro, usec);
                }
                if (usec <= SPAN_MAX_USEC) {
                        ck_assert_int_eq(parse_span(FORMAT_SPAN(usec), &span), 0);
                        ck_assert_uint_eq(span, usec);
                }
        }
}
END_TEST

START_TEST(taking_leaves_nothing_to_clean_up)
{
        char *kept;
        int kept_fd;
        {
                _cleanup_free_ char *p = strdup("kept");
                _cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

                ck_assert_int_ge(fd, 0);
                kept = TAKE_PTR(p);
                kept_fd = TAKE_FD(fd);
                ck_assert_ptr_null(p);
                ck_assert_int_eq(fd, -1);
        }
        ck_assert_str_eq(kept, "kept");
        ck_assert_int_ge(fcntl(kept_fd, F_GETFD), 0);
        {
                _cleanup_free_ char *p = kept;
                _cleanup_close_ int fd = kept_fd;

                (void)p;
                (void)fd;
        }
        ck_assert_int_eq(fcntl(kept_fd, F_GETFD), -1);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("parse");
        TCase *tc = tcase_create("parse");

        tcase_add_loop_test(tc, cpu_amount_reads_every_unit_and_nothing_else, 0, N_OF(cpu_amounts));
        tcase_add_test(tc, sizes_count_in_powers_of_1024);
        tcase_add_test(tc, cpu_amount_of_host_follows_the_number_of_cpus);
        tcase_add_loop_test(tc, span_reads_what_systemd_reads, 0, N_OF(spans));
        tcase_add_test(tc, percent_needs_its_sign);
        tcase_add_test(tc, boolean_reads_the_words_of_systemd);
        tcase_add_test(tc, unsigned_keeps_its_range);
        tcase_add_test(tc, double_keeps_its_range_and_reads_exactly);
        tcase_add_test(tc, numbers_do_not_depend_on_the_locale);
        tcase_add_test(tc, cpu_is_written_as_a_percentage);
        tcase_add_test(tc, span_is_written_in_its_natural_units);
        tcase_add_test(tc, what_is_written_is_read_back_unchanged);
        tcase_add_test(tc, taking_leaves_nothing_to_clean_up);
        suite_add_tcase(suite, tc);
        return testing_run(suite);
}
