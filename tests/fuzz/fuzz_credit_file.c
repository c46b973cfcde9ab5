/* SPDX-License-Identifier: MIT */

/* credit_file_parse() on any bytes, once as they are and once with a checksum that vouches for them:
 * what it takes must be credits, and what it would have written, byte for byte. */

#include "fuzz/sealed.h"
#include "platform/credit_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, size_t length)
{
        struct credit_file f = { 0 };
        char *again;
        size_t n_again;

        if (credit_file_parse(&f, text, length) < 0) {
                if (f.n_records != 0 || f.records)
                        abort();        /* untouched on failure */
                return;
        }
        for (size_t i = 0; i < f.n_records; i++)
                if (!(fabs(f.records[i].credit) <= CREDIT_FILE_MAX) || strchr(f.records[i].unit, '/') ||
                    credit_file_find(&f, f.records[i].unit) != f.records[i].credit)
                        abort();
        if (credit_file_format(&f, &again, &n_again) < 0 || n_again != length || memcmp(again, text, length) != 0)
                abort();
        free(again);
        credit_file_done(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        sealed_try(data, size, check);
        return 0;
}
