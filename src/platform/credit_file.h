/* SPDX-License-Identifier: MIT */
#pragma once

/* What services gave to their coalitions and got from them: /var/lib/coalloc/credits.
 *
 *      coalloc-credits 1
 *      shop-db.slice -0.04
 *      shop-web.slice 0.04
 *      checksum 0123456789abcdef
 *
 * A sealed file (sealed_file.h): one that does not fit, or whose credits are no credits, is kept aside
 * as credits.bad and reported; everybody starts at zero then. One line a service whose credit is not
 * zero, in the order of strcmp(). Credits are the shortest decimals that read back as the same double.
 * That their sum is zero is not asked here: units may have gone since. */

#include <stddef.h>

/* A file larger than this is none of ours: 100,000 units with the longest names fit. */
#define CREDIT_FILE_SIZE_MAX (32u * 1024 * 1024)

/* As LEDGER_CREDIT_MAX of the core. */
#define CREDIT_FILE_MAX 1.0

struct credit_record {
        char *unit;                     /* owned */
        double credit;                  /* -1 .. 1, not 0 */
};

/* All zero is an empty one. */
struct credit_file {
        struct credit_record *records;  /* sorted by unit name; owned */
        size_t n_records;
        size_t n_allocated;
};

void credit_file_done(struct credit_file *f);

/**
 * credit_file_load() - what was remembered, or nothing
 * @directory: /var/lib/coalloc; created 0755 if missing
 *
 * Return: 0 (also when there is no file); 1 if an unreadable file was put aside as "credits.bad" and
 * @ret is empty; negative errno if the file could not be read or put aside: @ret untouched.
 */
int credit_file_load(const char *directory, struct credit_file *ret);

/* Removes the file where there is nothing to remember. When it fails, the file that was there is there
 * still. Return: 0; negative errno (-EFBIG: more than CREDIT_FILE_SIZE_MAX). */
int credit_file_save(const struct credit_file *f, const char *directory);

/* Behind all others. Return: 0, also for a credit of zero, which needs no record; -EINVAL for a name that
 * is no unit's or does not come behind the last one, or a credit out of range; -ENOMEM. */
int credit_file_append(struct credit_file *f, const char *unit, double credit);

/* 0 for a unit without a record. O(log n). */
double credit_file_find(const struct credit_file *f, const char *unit);

/* The text of all records, malloc'd, and back: what load and save do between the files. Parsing
 * takes hostile bytes. Return: 0; -EBADMSG for a text that is not exactly as above: @f untouched;
 * -ENOMEM. */
int credit_file_format(const struct credit_file *f, char **ret_text, size_t *ret_length);
int credit_file_parse(struct credit_file *f, const char *text, size_t length);
