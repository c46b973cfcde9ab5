/* SPDX-License-Identifier: MIT */

/* The kernel's text files, by whoever may have written them. Every parser gets every input: what is
 * a fixture for one is garbage for the others. */

#include "platform/kernel_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): a build with NDEBUG must check too. */
#define CHECK(claim)             \
        do {                     \
                if (!(claim))    \
                        abort(); \
        } while (0)

/* Calls a parser, whose output must be as before when it fails. Evaluates to whether it succeeded. */
#define PARSES(function, text, size, ret)                                       \
        ({                                                                      \
                unsigned char _before[sizeof *(ret)];                           \
                memcpy(_before, ret, sizeof _before);                           \
                int _r = function(text, size, ret);                             \
                CHECK(_r == 0 || _r == -EBADMSG || _r == -ENODATA);                               \
                CHECK(_r == 0 || memcmp(_before, ret, sizeof _before) == 0);    \
                _r == 0;                                                        \
        })

static void check_unknown_key_changes_nothing(const char *text, size_t size,
                                              const struct kernel_cpu_stat *stat)
{
        static const char unknown[] = "some.future_key 18446744073709551616 max\n";
        const size_t n_unknown = sizeof unknown - 1;
        char *longer = malloc(size + n_unknown);
        struct kernel_cpu_stat again;

        CHECK(longer);
        memcpy(longer, text, size);
        memcpy(longer + size, unknown, n_unknown);
        CHECK(kernel_text_cpu_stat(longer, size + n_unknown, &again) == 0);
        CHECK(again.usage_usec == stat->usage_usec && again.nr_periods == stat->nr_periods &&
              again.nr_throttled == stat->nr_throttled &&
              again.throttled_usec == stat->throttled_usec &&
              again.has_bandwidth == stat->has_bandwidth);
        free(longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *text = (const char *)data;
        struct kernel_cpu_stat stat;
        struct kernel_bandwidth bandwidth;
        struct kernel_pressure pressure;
        struct kernel_cpu_max max;
        struct kernel_proc_stat proc_stat;
        unsigned n_cpus = 0x5a5a5a5a;
        uint64_t weight = 0x5a5a5a5a;

        memset(&stat, 0x5a, sizeof stat);
        memset(&bandwidth, 0x5a, sizeof bandwidth);
        memset(&pressure, 0x5a, sizeof pressure);
        memset(&max, 0x5a, sizeof max);
        memset(&proc_stat, 0x5a, sizeof proc_stat);

        if (PARSES(kernel_text_cpu_stat, text, size, &stat)) {
                CHECK(text[size - 1] == '\n');
                CHECK(stat.has_bandwidth || stat.throttled_usec == 0);
                check_unknown_key_changes_nothing(text, size, &stat);
                CHECK(!stat.has_bandwidth || kernel_text_bandwidth(text, size, &bandwidth) == 0);
        }
        if (PARSES(kernel_text_bandwidth, text, size, &bandwidth))
                CHECK(memchr(text, '\n', size));
        if (PARSES(kernel_text_pressure, text, size, &pressure)) {
                CHECK(text[size - 1] == '\n');
                CHECK(pressure.has_full || pressure.full_usec == 0);
        }
        if (PARSES(kernel_text_cpu_max, text, size, &max)) {
                CHECK(max.period_usec > 0);
                CHECK((kernel_cpu_max_usec_per_sec(&max) == UINT64_MAX) ==
                      (max.quota_usec == KERNEL_CPU_MAX_NONE));
        }
        if (PARSES(kernel_text_cpu_weight, text, size, &weight))
                CHECK(weight <= 10000);
        if (PARSES(kernel_text_cpu_list, text, size, &n_cpus))
                CHECK(n_cpus <= 1u << 20);
        if (PARSES(kernel_text_proc_stat, text, size, &proc_stat))
                CHECK(memchr(text, '\n', size));
        (void)kernel_text_has_word(text, size, "cpu");
        return 0;
}
