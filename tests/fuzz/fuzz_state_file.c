/* SPDX-License-Identifier: MIT */

/* state_file_parse() on any bytes, once as they are and once with a checksum that vouches for them:
 * what it takes must be what it would have written, byte for byte. */

#include "fuzz/sealed.h"
#include "platform/state_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, size_t length)
{
        struct state_file s = { 0 };
        char *again;
        size_t n_again;

        if (state_file_parse(&s, text, length) < 0) {
                if (s.n_records != 0 || s.records || s.reload_pending)
                        abort();        /* untouched on failure */
                return;
        }
        for (size_t i = 0; i < s.n_records; i++)
                if (state_file_find(&s, s.records[i].unit) != &s.records[i] || strchr(s.records[i].unit, '/'))
                        abort();
        if (state_file_format(&s, &again, &n_again) < 0 || n_again != length ||
            memcmp(again, text, length) != 0)
                abort();
        free(again);
        state_file_done(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        sealed_try(data, size, check);
        return 0;
}
