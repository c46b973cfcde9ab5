/* SPDX-License-Identifier: MIT */

#include "util/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A decimal number as mantissa / 10^n_fraction. 15 digits fit a double exactly, so that one division
 * by an exact power of ten (10^22 is the last) gives the correctly rounded value. */
#define MANTISSA_MAX UINT64_C(999999999999999)
#define FRACTION_MAX 18

struct decimal {
        bool is_negative;
        uint64_t mantissa;
        unsigned n_fraction;
};

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
        return c == ' ' || c == '\t';
}

static const uint64_t powers_of_ten[FRACTION_MAX + 1] = {
        UINT64_C(1),
        UINT64_C(10),
        UINT64_C(100),
        UINT64_C(1000),
        UINT64_C(10000),
        UINT64_C(100000),
        UINT64_C(1000000),
        UINT64_C(10000000),
        UINT64_C(100000000),
        UINT64_C(1000000000),
        UINT64_C(10000000000),
        UINT64_C(100000000000),
        UINT64_C(1000000000000),
        UINT64_C(10000000000000),
        UINT64_C(100000000000000),
        UINT64_C(1000000000000000),
        UINT64_C(10000000000000000),
        UINT64_C(100000000000000000),
        UINT64_C(1000000000000000000),
};

/* Reads digits[.digits] or .digits at *s and moves *s behind them. */
static int scan_decimal(const char **s, struct decimal *ret)
{
        struct decimal d = { 0 };
        const char *p = *s;
        bool has_digits = false;
        bool is_too_large = false;

        if (*p == '-') {
                d.is_negative = true;
                p++;
        }
        for (; is_digit(*p); p++) {
                has_digits = true;
                if (d.mantissa > (MANTISSA_MAX - (uint64_t)(*p - '0')) / 10)
                        is_too_large = true;
                else
                        d.mantissa = d.mantissa * 10 + (uint64_t)(*p - '0');
        }
        if (*p == '.') {
                bool is_full = false;
                for (p++; is_digit(*p); p++) {
                        has_digits = true;
                        /* Digits below the 15th significant one change nothing that is shown. */
                        if (is_full || d.n_fraction == FRACTION_MAX ||
                            d.mantissa > (MANTISSA_MAX - (uint64_t)(*p - '0')) / 10) {
                                is_full = true;
                                continue;
                        }
                        d.mantissa = d.mantissa * 10 + (uint64_t)(*p - '0');
                        d.n_fraction++;
                }
        }
        if (!has_digits)
                return -EINVAL;
        *s = p;
        if (is_too_large)
                d.mantissa = MANTISSA_MAX + 1; /* the caller learns it from decimal_scale() */
        *ret = d;
        return 0;
}

/* d * factor, rounded to the nearest whole number, ties up. */
static int decimal_scale(const struct decimal *d, uint64_t factor, uint64_t max, uint64_t *ret)
{
        if (d->mantissa > MANTISSA_MAX || (d->is_negative && d->mantissa > 0))
                return -ERANGE;

        uint64_t divisor = powers_of_ten[d->n_fraction];
        unsigned __int128 product = (unsigned __int128)d->mantissa * factor + divisor / 2;
        product /= divisor;
        if (product > max)
                return -ERANGE;
        *ret = (uint64_t)product;
        return 0;
}

int parse_cpu_amount(const char *s, struct cpu_amount *ret)
{
        struct decimal d;
        struct cpu_amount amount = { 0 };
        uint64_t factor;
        int r;

        r = scan_decimal(&s, &d);
        if (r < 0)
                return r;

        if (strcmp(s, "") == 0) {
                factor = USEC_PER_SEC;
        } else if (strcmp(s, "m") == 0) {
                factor = USEC_PER_SEC / 1000;
        } else if (strcmp(s, "%") == 0) {
                factor = USEC_PER_SEC / 100;
        } else if (strcmp(s, "%host") == 0) {
                factor = USEC_PER_SEC / 100;
                amount.is_of_host = true;
        } else {
                return -EINVAL;
        }

        r = decimal_scale(&d, factor,
                          amount.is_of_host ? USEC_PER_SEC : CPU_AMOUNT_MAX_USEC_PER_SEC,
                          &amount.micro);
        if (r < 0)
                return r;
        *ret = amount;
        return 0;
}

uint64_t cpu_amount_resolve(struct cpu_amount amount, unsigned n_cpus)
{
        return amount.is_of_host ? amount.micro * n_cpus : amount.micro;
}

/* systemd.time(7). A month is 30.44 days and a year 365.25, as there. */
static const struct {
        const char *suffix;
        uint64_t usec;
} span_units[] = {
        { "seconds", USEC_PER_SEC },
        { "second", USEC_PER_SEC },
        { "sec", USEC_PER_SEC },
        { "s", USEC_PER_SEC },
        { "minutes", 60 * USEC_PER_SEC },
        { "minute", 60 * USEC_PER_SEC },
        { "min", 60 * USEC_PER_SEC },
        { "months", 2629800 * USEC_PER_SEC },
        { "month", 2629800 * USEC_PER_SEC },
        { "M", 2629800 * USEC_PER_SEC },
        { "msec", 1000 },
        { "ms", 1000 },
        { "m", 60 * USEC_PER_SEC },
        { "hours", 3600 * USEC_PER_SEC },
        { "hour", 3600 * USEC_PER_SEC },
        { "hr", 3600 * USEC_PER_SEC },
        { "h", 3600 * USEC_PER_SEC },
        { "days", 86400 * USEC_PER_SEC },
        { "day", 86400 * USEC_PER_SEC },
        { "d", 86400 * USEC_PER_SEC },
        { "weeks", 604800 * USEC_PER_SEC },
        { "week", 604800 * USEC_PER_SEC },
        { "w", 604800 * USEC_PER_SEC },
        { "years", 31557600 * USEC_PER_SEC },
        { "year", 31557600 * USEC_PER_SEC },
        { "y", 31557600 * USEC_PER_SEC },
        { "usec", 1 },
        { "us", 1 },
        { "\u00b5s", 1 },       /* micro sign */
        { "\u03bcs", 1 },       /* Greek letter mu */
};

/* The unit at *s, which is moved behind it; no unit means seconds. 0 = not a unit. */
static uint64_t scan_span_unit(const char **s)
{
        size_t length = strcspn(*s, " \t0123456789.-");

        if (length == 0)
                return USEC_PER_SEC;
        for (size_t i = 0; i < sizeof span_units / sizeof span_units[0]; i++)
                if (strlen(span_units[i].suffix) == length &&
                    memcmp(span_units[i].suffix, *s, length) == 0) {
                        *s += length;
                        return span_units[i].usec;
                }
        return 0;
}

int parse_span(const char *s, uint64_t *ret_usec)
{
        uint64_t total = 0;
        bool is_out_of_range = false;

        if (strcmp(s, "infinity") == 0)
                return -ERANGE;
        if (is_space(*s))
                return -EINVAL;

        do {
                struct decimal d;
                uint64_t part;
                int r;

                r = scan_decimal(&s, &d);
                if (r < 0)
                        return r;
                const char *behind_number = s;
                while (is_space(*s))
                        s++;
                const char *unit = s;
                uint64_t factor = scan_span_unit(&s);
                if (factor == 0)
                        return -EINVAL;
                /* A number without a unit ends the text: "1 30" is not a way to write 31 seconds. */
                if (s == unit && (*s || s != behind_number))
                        return -EINVAL;
                r = decimal_scale(&d, factor, SPAN_MAX_USEC, &part);
                if (r < 0)
                        is_out_of_range = true; /* keep reading: garbage behind it is worse */
                else
                        total += part;
                if (total > SPAN_MAX_USEC) {
                        is_out_of_range = true;
                        total = 0;
                }
                const char *behind_unit = s;
                while (is_space(*s))
                        s++;
                if (s != behind_unit && *s == '\0')
                        return -EINVAL;
        } while (*s);

        if (is_out_of_range)
                return -ERANGE;
        *ret_usec = total;
        return 0;
}

int parse_percent(const char *s, double *ret_fraction)
{
        struct decimal d;
        int r;

        r = scan_decimal(&s, &d);
        if (r < 0)
                return r;
        if (strcmp(s, "%") != 0)
                return -EINVAL;
        if (d.mantissa > MANTISSA_MAX || (d.is_negative && d.mantissa > 0))
                return -ERANGE;
        *ret_fraction = (double)d.mantissa / (100.0 * (double)powers_of_ten[d.n_fraction]);
        return 0;
}

int parse_boolean(const char *s, bool *ret)
{
        static const char *const yes[] = { "1", "yes", "y", "true", "t", "on" };
        static const char *const no[] = { "0", "no", "n", "false", "f", "off" };

        for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
                if (strcasecmp(s, yes[i]) == 0) {
                        *ret = true;
                        return 0;
                }
                if (strcasecmp(s, no[i]) == 0) {
                        *ret = false;
                        return 0;
                }
        }
        return -EINVAL;
}

int parse_unsigned(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
        uint64_t number = 0;
        bool is_too_large = false;

        if (!is_digit(*s))
                return -EINVAL;
        for (; is_digit(*s); s++) {
                uint64_t digit = (uint64_t)(*s - '0');
                if (number > (UINT64_MAX - digit) / 10)
                        is_too_large = true;
                else
                        number = number * 10 + digit;
        }
        if (*s)
                return -EINVAL;
        if (is_too_large || number < min || number > max)
                return -ERANGE;
        *ret = number;
        return 0;
}

int parse_size(const char *s, uint64_t *ret_bytes)
{
        static const char suffixes[] = "KMGT";
        const char *suffix;
        unsigned shift = 0;
        struct decimal d;
        int r;

        r = scan_decimal(&s, &d);
        if (r < 0)
                return r;
        suffix = *s ? strchr(suffixes, *s) : NULL;
        if (suffix) {
                shift = 10 * ((unsigned)(suffix - suffixes) + 1);
                s++;
        }
        if (*s)
                return -EINVAL;
        return decimal_scale(&d, UINT64_C(1) << shift, INT64_MAX, ret_bytes);
}

int parse_double(const char *s, double min, double max, double *ret)
{
        struct decimal d;
        int r;

        r = scan_decimal(&s, &d);
        if (r < 0)
                return r;
        if (*s)
                return -EINVAL;
        if (d.mantissa > MANTISSA_MAX)
                return -ERANGE;
        double number = (double)d.mantissa / (double)powers_of_ten[d.n_fraction];
        if (d.is_negative && d.mantissa > 0)
                number = -number;
        if (number < min || number > max)
                return -ERANGE;
        *ret = number;
        return 0;
}

char *format_cpu(char buf[static FORMAT_MAX], uint64_t usec_per_sec)
{
        if (usec_per_sec == UINT64_MAX)
                return strcpy(buf, "infinity");

        uint64_t whole = usec_per_sec / 10000, fraction = usec_per_sec % 10000;
        int length = snprintf(buf, FORMAT_MAX, "%" PRIu64, whole);
        if (fraction > 0) {
                length += snprintf(buf + length, FORMAT_MAX - (size_t)length, ".%04" PRIu64,
                                   fraction);
                while (buf[length - 1] == '0')
                        length--;
        }
        memcpy(buf + length, "%", 2);
        return buf;
}

char *format_span(char buf[static FORMAT_MAX], uint64_t usec)
{
        static const struct {
                const char *suffix;
                uint64_t usec;
        } units[] = {
                { "d", 86400 * USEC_PER_SEC }, { "h", 3600 * USEC_PER_SEC },
                { "min", 60 * USEC_PER_SEC },  { "s", USEC_PER_SEC },
                { "ms", 1000 },                { "us", 1 },
        };
        int length = 0;

        if (usec == UINT64_MAX)
                return strcpy(buf, "infinity");
        if (usec == 0)
                return strcpy(buf, "0");
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
                if (usec < units[i].usec)
                        continue;
                length += snprintf(buf + length, FORMAT_MAX - (size_t)length, "%s%" PRIu64 "%s",
                                   length > 0 ? " " : "", usec / units[i].usec, units[i].suffix);
                usec %= units[i].usec;
        }
        return buf;
}
