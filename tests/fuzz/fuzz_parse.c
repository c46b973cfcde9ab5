/* SPDX-License-Identifier: MIT */

/* Every parser of values on any text: a value in its range, or an error and nothing written; and
 * what was read is the same after writing and reading it again. */

#include "util/cleanup.h"
#include "util/parse.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = strndup((const char *)data, size);
        struct cpu_amount amount = { .micro = 77 }, again;
        uint64_t number = 77, number_again;
        double real = -77;
        bool boolean;
        int r;

        assert(text);
        r = parse_cpu_amount(text, &amount);
        assert(r == 0 || r == -EINVAL || r == -ERANGE);
        if (r == 0) {
                assert(amount.micro <=
                       (amount.is_of_host ? USEC_PER_SEC : CPU_AMOUNT_MAX_USEC_PER_SEC));
                if (!amount.is_of_host) {
                        assert(parse_cpu_amount(FORMAT_CPU(amount.micro), &again) == 0);
                        assert(again.micro == amount.micro);
                }
        } else {
                assert(amount.micro == 77);
        }

        r = parse_span(text, &number);
        if (r == 0) {
                assert(number <= SPAN_MAX_USEC);
                assert(parse_span(FORMAT_SPAN(number), &number_again) == 0);
                assert(number_again == number);
        } else {
                assert(number == 77);
        }

        number = 77;
        r = parse_unsigned(text, 5, 50, &number);
        assert(r == 0 ? number >= 5 && number <= 50 : number == 77);

        r = parse_double(text, -2, 3.5, &real);
        assert(r == 0 ? real >= -2 && real <= 3.5 : real == -77);

        real = -77;
        r = parse_percent(text, &real);
        assert(r == 0 ? real >= 0 && isfinite(real) : real == -77);

        (void)parse_boolean(text, &boolean);
        return 0;
}
