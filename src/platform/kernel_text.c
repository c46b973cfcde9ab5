/* SPDX-License-Identifier: MIT */
#include "platform/kernel_text.h"

#include <errno.h>
#include <string.h>

#define USEC_PER_SEC UINT64_C(1000000)

/* No kernel is built for more CPUs than this, by far (NR_CPUS is at most 8192); the bound keeps a
 * damaged list from naming four billion. */
#define CPU_NUMBER_MAX (UINT64_C(1) << 20)

/* Reads decimal digits at *at, moves *at behind them. No sign, no blanks, no overflow. */
static bool take_number(const char **at, const char *end, uint64_t *ret)
{
        const char *p = *at;
        uint64_t n = 0;

        while (p < end && *p >= '0' && *p <= '9') {
                uint64_t digit = (uint64_t)(*p - '0');
                if (n > UINT64_MAX / 10 || (n == UINT64_MAX / 10 && digit > UINT64_MAX % 10))
                        return false;
                n = n * 10 + digit;
                p++;
        }
        if (p == *at)
                return false;
        *at = p;
        *ret = n;
        return true;
}

static bool take_byte(const char **at, const char *end, char byte)
{
        if (*at >= end || **at != byte)
                return false;
        ++*at;
        return true;
}

/* Inlined with a literal this is one or two comparisons of words. */
static inline bool take_prefix(const char **at, const char *end, const char *prefix)
{
        size_t n = strlen(prefix);

        if ((size_t)(end - *at) < n || memcmp(*at, prefix, n) != 0)
                return false;
        *at += n;
        return true;
}

/* A number that fills the line. */
static bool is_number(const char *at, const char *eol, uint64_t *ret)
{
        uint64_t n;

        if (!take_number(&at, eol, &n) || at != eol)
                return false;
        *ret = n;
        return true;
}

/* The kernel keeps nr_periods and nr_throttled in an int and prints them with %d: after 2^31 periods
 * (6.8 years of 100 ms) they turn negative and go on counting up. Modulo 2^32 they just go on. */
static bool is_wrapping_number(const char *at, const char *eol, uint64_t *ret)
{
        bool is_negative = take_byte(&at, eol, '-');
        uint64_t n;

        if (!is_number(at, eol, &n))
                return false;
        if (is_negative) {
                if (n == 0 || n > UINT64_C(1) << 31)
                        return false;
                n = (UINT64_C(1) << 32) - n;
        }
        *ret = n;
        return true;
}

int kernel_text_cpu_stat(const char *text, size_t length, struct kernel_cpu_stat *ret)
{
        enum { USAGE = 1, PERIODS = 2, THROTTLED = 4, THROTTLED_USEC = 8 };
        const char *at = text, *end = text + length;
        struct kernel_cpu_stat stat = { 0 };
        unsigned seen = 0;

        while (at < end) {
                const char *eol = memchr(at, '\n', (size_t)(end - at));
                if (!eol)
                        return -EBADMSG;

                bool is_good = true;
                if (take_prefix(&at, eol, "usage_usec ")) {
                        is_good = is_number(at, eol, &stat.usage_usec);
                        seen |= USAGE;
                } else if (take_prefix(&at, eol, "nr_periods ")) {
                        is_good = is_wrapping_number(at, eol, &stat.nr_periods);
                        seen |= PERIODS;
                } else if (take_prefix(&at, eol, "nr_throttled ")) {
                        is_good = is_wrapping_number(at, eol, &stat.nr_throttled);
                        seen |= THROTTLED;
                } else if (take_prefix(&at, eol, "throttled_usec ")) {
                        is_good = is_number(at, eol, &stat.throttled_usec);
                        seen |= THROTTLED_USEC;
                } else {
                        /* Somebody else's key, but still a key and a value. */
                        const char *blank = memchr(at, ' ', (size_t)(eol - at));
                        is_good = blank && blank > at && blank + 1 < eol;
                }
                if (!is_good)
                        return -EBADMSG;
                at = eol + 1;
        }

        /* Every cgroup of every kernel since 4.15 shows the usage, the root included; without it
         * there is nothing to measure by. */
        if (!(seen & USAGE))
                return -EBADMSG;
        stat.has_bandwidth = (seen & (PERIODS | THROTTLED | THROTTLED_USEC)) ==
                             (PERIODS | THROTTLED | THROTTLED_USEC);
        if (!stat.has_bandwidth)
                stat.nr_periods = stat.nr_throttled = stat.throttled_usec = 0;
        *ret = stat;
        return 0;
}

int kernel_text_bandwidth(const char *text, size_t length, struct kernel_bandwidth *ret)
{
        const char *at = text, *end = text + length;
        struct kernel_bandwidth bandwidth = { 0 };
        bool has_periods = false, has_throttled = false;

        while (at < end && !(has_periods && has_throttled)) {
                const char *eol = memchr(at, '\n', (size_t)(end - at));
                if (!eol)
                        return -EBADMSG;

                if (take_prefix(&at, eol, "nr_periods ")) {
                        if (!is_wrapping_number(at, eol, &bandwidth.nr_periods))
                                return -EBADMSG;
                        has_periods = true;
                } else if (take_prefix(&at, eol, "nr_throttled ")) {
                        if (!is_wrapping_number(at, eol, &bandwidth.nr_throttled))
                                return -EBADMSG;
                        has_throttled = true;
                }
                at = eol + 1;
        }

        if (!has_periods || !has_throttled)
                return -ENODATA;
        *ret = bandwidth;
        return 0;
}

/* The fields of a PSI line after its name: "avg10=0.65 avg60=0.70 avg300=0.20 total=3327333". */
static bool find_total(const char *at, const char *eol, uint64_t *ret)
{
        while (at < eol) {
                const char *blank = memchr(at, ' ', (size_t)(eol - at));
                const char *field_end = blank ? blank : eol;

                if (take_prefix(&at, field_end, "total="))
                        return is_number(at, field_end, ret);
                at = blank ? blank + 1 : eol;
        }
        return false;
}

int kernel_text_pressure(const char *text, size_t length, struct kernel_pressure *ret)
{
        const char *at = text, *end = text + length;
        struct kernel_pressure pressure = { 0 };
        bool has_some = false;

        while (at < end) {
                const char *eol = memchr(at, '\n', (size_t)(end - at));
                if (!eol)
                        return -EBADMSG;

                if (take_prefix(&at, eol, "some ")) {
                        if (!find_total(at, eol, &pressure.some_usec))
                                return -EBADMSG;
                        has_some = true;
                } else if (take_prefix(&at, eol, "full ")) {
                        if (!find_total(at, eol, &pressure.full_usec))
                                return -EBADMSG;
                        pressure.has_full = true;
                }
                at = eol + 1;
        }

        if (!has_some)
                return -EBADMSG;
        *ret = pressure;
        return 0;
}

/* The only line of a file that has one. */
static bool is_single_line(const char *text, size_t length)
{
        return length > 0 && memchr(text, '\n', length) == text + length - 1;
}

int kernel_text_cpu_max(const char *text, size_t length, struct kernel_cpu_max *ret)
{
        const char *at = text;
        struct kernel_cpu_max max = { .quota_usec = KERNEL_CPU_MAX_NONE };

        if (!is_single_line(text, length))
                return -EBADMSG;
        const char *eol = text + length - 1;

        if (!take_prefix(&at, eol, "max") &&
            (!take_number(&at, eol, &max.quota_usec) || max.quota_usec == KERNEL_CPU_MAX_NONE))
                return -EBADMSG;
        if (!take_byte(&at, eol, ' ') || !is_number(at, eol, &max.period_usec) || max.period_usec == 0)
                return -EBADMSG;
        *ret = max;
        return 0;
}

int kernel_text_cpu_weight(const char *text, size_t length, uint64_t *ret_weight)
{
        uint64_t weight;

        if (!is_single_line(text, length) || !is_number(text, text + length - 1, &weight) ||
            weight > 10000)
                return -EBADMSG;
        *ret_weight = weight;
        return 0;
}

int kernel_text_cpu_burst(const char *text, size_t length, uint64_t *ret_burst_usec)
{
        uint64_t burst_usec;

        if (!is_single_line(text, length) || !is_number(text, text + length - 1, &burst_usec))
                return -EBADMSG;
        *ret_burst_usec = burst_usec;
        return 0;
}

int kernel_text_cpu_list(const char *text, size_t length, unsigned *ret_n_cpus)
{
        const char *at = text;
        uint64_t n_cpus = 0, next = 0;  /* next: the lowest number that may still come */

        if (!is_single_line(text, length))
                return -EBADMSG;
        const char *eol = text + length - 1;

        while (at < eol) {
                uint64_t first, last;

                if (next > 0 && !take_byte(&at, eol, ','))
                        return -EBADMSG;
                if (!take_number(&at, eol, &first))
                        return -EBADMSG;
                last = first;
                if (take_byte(&at, eol, '-') && !take_number(&at, eol, &last))
                        return -EBADMSG;
                /* Ascending without overlap, as the kernel prints: nothing is counted twice. */
                if (first < next || last < first || last >= CPU_NUMBER_MAX)
                        return -EBADMSG;
                n_cpus += last - first + 1;
                next = last + 1;
        }
        *ret_n_cpus = (unsigned)n_cpus;
        return 0;
}

int kernel_text_proc_stat(const char *text, size_t length, struct kernel_proc_stat *ret)
{
        enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, _N_FIELDS };
        uint64_t ticks[_N_FIELDS] = { 0 }, busy = 0;
        const char *at = text, *eol = length > 0 ? memchr(text, '\n', length) : NULL;
        unsigned n = 0;

        if (!eol || !take_prefix(&at, eol, "cpu "))
                return -EBADMSG;
        /* guest and guest_nice follow: they are part of user and nice already. */
        while (n < _N_FIELDS) {
                while (take_byte(&at, eol, ' '))
                        ;
                if (at == eol)
                        break;
                if (!take_number(&at, eol, &ticks[n]) || (at < eol && *at != ' '))
                        return -EBADMSG;
                n++;
        }
        if (n <= IDLE)
                return -EBADMSG;

        static const unsigned busy_fields[] = { USER, NICE, SYSTEM, IRQ, SOFTIRQ };
        for (size_t i = 0; i < sizeof busy_fields / sizeof busy_fields[0]; i++)
                if (__builtin_add_overflow(busy, ticks[busy_fields[i]], &busy))
                        return -EBADMSG;
        *ret = (struct kernel_proc_stat) { .busy_ticks = busy, .steal_ticks = ticks[STEAL] };
        return 0;
}

bool kernel_text_has_word(const char *text, size_t length, const char *word)
{
        const char *at = text, *end = text + length;
        size_t n = strlen(word);

        while (at < end) {
                const char *word_end = at;
                while (word_end < end && *word_end != ' ' && *word_end != '\n')
                        word_end++;
                if (n > 0 && (size_t)(word_end - at) == n && memcmp(at, word, n) == 0)
                        return true;
                at = word_end + 1;
        }
        return false;
}

uint64_t kernel_cpu_max_usec_per_sec(const struct kernel_cpu_max *max)
{
        if (max->quota_usec == KERNEL_CPU_MAX_NONE)
                return UINT64_MAX;
        unsigned __int128 scaled = (unsigned __int128)max->quota_usec * USEC_PER_SEC;
        unsigned __int128 per_sec = (scaled + max->period_usec / 2) / max->period_usec;
        return per_sec < UINT64_MAX ? (uint64_t)per_sec : UINT64_MAX - 1;
}
