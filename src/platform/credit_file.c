/* SPDX-License-Identifier: MIT */
#include "platform/credit_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/sealed_file.h"
#include "util/cleanup.h"
#include "util/number.h"
#include "util/sorted.h"
#include "util/unit_name.h"

#define FILE_NAME "credits"
#define VERSION_LINE "coalloc-credits 1\n"

/* ---- records ---------------------------------------------------------------------------------- */

void credit_file_done(struct credit_file *f)
{
        for (size_t i = 0; i < f->n_records; i++)
                free(f->records[i].unit);
        free(f->records);
        *f = (struct credit_file) { 0 };
}

int credit_file_append(struct credit_file *f, const char *unit, double credit)
{
        if (!unit_name_is_valid(unit) || !(fabs(credit) <= CREDIT_FILE_MAX))
                return -EINVAL;
        if (f->n_records > 0 && strcmp(f->records[f->n_records - 1].unit, unit) >= 0)
                return -EINVAL;
        if (credit == 0)
                return 0;

        if (f->n_records == f->n_allocated) {
                size_t n = f->n_allocated ? 2 * f->n_allocated : 16;
                struct credit_record *records = reallocarray(f->records, n, sizeof *records);
                if (!records)
                        return -ENOMEM;
                f->records = records;
                f->n_allocated = n;
        }
        char *copy = strdup(unit);
        if (!copy)
                return -ENOMEM;
        f->records[f->n_records++] = (struct credit_record) { .unit = copy, .credit = credit };
        return 0;
}

static int compare_unit(const void *key, const void *element)
{
        return strcmp(key, ((const struct credit_record *)element)->unit);
}

double credit_file_find(const struct credit_file *f, const char *unit)
{
        bool is_there;
        size_t at = sorted_position(unit, f->records, f->n_records, sizeof *f->records, compare_unit, &is_there);
        return is_there ? f->records[at].credit : 0;
}

/* ---- text ------------------------------------------------------------------------------------- */

int credit_file_format(const struct credit_file *f, char **ret_text, size_t *ret_length)
{
        char *text = NULL, number[NUMBER_TEXT_MAX];
        size_t length;
        FILE *stream = open_memstream(&text, &length);
        if (!stream)
                return -errno;

        fputs(VERSION_LINE, stream);
        for (size_t i = 0; i < f->n_records; i++)
                fprintf(stream, "%s %s\n", f->records[i].unit, format_shortest(number, f->records[i].credit));
        int r = sealed_text_finish(stream, &text, &length);
        if (r < 0)
                return r;
        *ret_text = text;
        *ret_length = length;
        return 0;
}

/* Exactly what format_shortest() writes for a credit. */
static bool take_credit(struct cursor *c, double *ret)
{
        char text[NUMBER_TEXT_MAX], again[NUMBER_TEXT_MAX];
        size_t length = 0;

        for (; c->at < c->end && *c->at != '\n'; c->at++) {
                if (length == sizeof text - 1 || *c->at == '\0')
                        return false;
                text[length++] = *c->at;
        }
        text[length] = '\0';
        double credit = strtod(text, NULL);
        if (!(fabs(credit) <= CREDIT_FILE_MAX) || credit == 0 ||
            strcmp(format_shortest(again, credit), text) != 0)
                return false;
        *ret = credit;
        return true;
}

int credit_file_parse(struct credit_file *f, const char *text, size_t length)
{
        if (length > CREDIT_FILE_SIZE_MAX)
                return -EBADMSG;

        /* The seal first: what it does not vouch for is not looked at. */
        struct cursor c;
        int r = sealed_text_open(text, length, &c);
        if (r < 0)
                return r;

        struct credit_file parsed = { 0 };
        r = cursor_take(&c, VERSION_LINE) ? 0 : -EBADMSG;
        while (r == 0 && c.at < c.end) {
                char unit[UNIT_NAME_LENGTH_MAX + 1];
                double credit;

                if (!cursor_take_unit(&c, unit) || !cursor_take(&c, " ") || !take_credit(&c, &credit) ||
                    !cursor_take(&c, "\n"))
                        r = -EBADMSG;
                else
                        r = credit_file_append(&parsed, unit, credit);
        }
        if (r < 0) {
                credit_file_done(&parsed);
                return r == -EINVAL ? -EBADMSG : r;
        }
        credit_file_done(f);
        *f = parsed;    /* handed over */
        return 0;
}

/* ---- files ------------------------------------------------------------------------------------ */

int credit_file_load(const char *directory, struct credit_file *ret)
{
        _cleanup_close_ int directory_fd = sealed_file_open_directory(directory);
        if (directory_fd < 0)
                return directory_fd;

        struct credit_file f = { 0 };
        _cleanup_free_ char *text = NULL;
        size_t length = 0;
        int r = sealed_file_read(directory_fd, FILE_NAME, CREDIT_FILE_SIZE_MAX, &text, &length);
        if (r == 0)
                r = credit_file_parse(&f, text, length);
        if (r == -ENOENT)
                r = 0;
        else if (r == -EBADMSG) {
                r = sealed_file_put_aside(directory_fd, FILE_NAME);
                r = r < 0 ? r : 1;
        }
        if (r >= 0)
                *ret = f;       /* handed over */
        return r;
}

int credit_file_save(const struct credit_file *f, const char *directory)
{
        _cleanup_free_ char *text = NULL;
        size_t length = 0;

        if (f->n_records > 0) {
                int r = credit_file_format(f, &text, &length);
                if (r < 0)
                        return r;
                if (length > CREDIT_FILE_SIZE_MAX)      /* we would refuse to read it */
                        return -EFBIG;
        }
        return sealed_file_replace(directory, FILE_NAME, text, length);
}
