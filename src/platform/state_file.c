/* SPDX-License-Identifier: MIT */
#include "platform/state_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/sealed_file.h"
#include "util/cleanup.h"
#include "util/sorted.h"
#include "util/unit_name.h"

#define FILE_NAME "units"

/* The second one has bursts. Where there are none the first is written: an older coallocd reads it. */
#define VERSION_LINE "coalloc-units 1\n"
#define VERSION_LINE_BURST "coalloc-units 2\n"
#define RELOAD_LINE "reload\n"

/* ---- records ---------------------------------------------------------------------------------- */

void state_value_clear(struct state_value *v)
{
        free(v->prior_dropin);
        *v = (struct state_value) { 0 };
}

static void record_done(struct state_record *record)
{
        free(record->unit);
        state_value_clear(&record->quota);
        state_value_clear(&record->weight);
        state_value_clear(&record->burst);
}

static void forget_all(struct state_file *s)
{
        for (size_t i = 0; i < s->n_records; i++)
                record_done(&s->records[i]);
        free(s->records);
        s->records = NULL;
        s->n_records = s->n_allocated = 0;
        s->reload_pending = false;
}

void state_file_done(struct state_file *s)
{
        forget_all(s);
        free(s->directory);
        *s = (struct state_file) { 0 };
}

static int compare_unit(const void *key, const void *element)
{
        return strcmp(key, ((const struct state_record *)element)->unit);
}

static size_t position(const struct state_file *s, const char *unit, bool *ret_is_there)
{
        return sorted_position(unit, s->records, s->n_records, sizeof *s->records, compare_unit, ret_is_there);
}

struct state_record *state_file_find(struct state_file *s, const char *unit)
{
        bool is_there;
        size_t at = position(s, unit, &is_there);
        return is_there ? &s->records[at] : NULL;
}

int state_file_add(struct state_file *s, const char *unit, bool is_transient, struct state_record **ret)
{
        if (!unit_name_is_valid(unit))
                return -EINVAL;

        bool is_there;
        size_t at = position(s, unit, &is_there);
        if (is_there)
                return -EEXIST;

        if (s->n_records == s->n_allocated) {
                size_t n = s->n_allocated ? 2 * s->n_allocated : 16;
                struct state_record *records = reallocarray(s->records, n, sizeof *records);
                if (!records)
                        return -ENOMEM;
                s->records = records;
                s->n_allocated = n;
        }

        char *copy = strdup(unit);
        if (!copy)
                return -ENOMEM;

        struct state_record *record = &s->records[at];
        memmove(record + 1, record, (s->n_records - at) * sizeof *record);
        *record = (struct state_record) { .unit = copy, .is_transient = is_transient };
        s->n_records++;
        s->is_dirty = true;
        *ret = record;
        return 0;
}

void state_file_remove(struct state_file *s, const char *unit)
{
        struct state_record *record = state_file_find(s, unit);
        if (!record)
                return;

        size_t at = (size_t)(record - s->records);
        record_done(record);
        memmove(record, record + 1, (s->n_records - at - 1) * sizeof *record);
        s->n_records--;
        s->is_dirty = true;
}

/* ---- text ------------------------------------------------------------------------------------- */

static void put_value(FILE *f, uint64_t value)
{
        if (value == UINT64_MAX)
                fputs(" unset", f);
        else
                fprintf(f, " %" PRIu64, value);
}

/* Bytes above 127 are not, whether char is signed or not. */
static bool is_plain(char c)
{
        return c >= ' ' && c <= '~';
}

static void put_quoted(FILE *f, const char *text)
{
        fputs(" \"", f);
        for (const char *c = text; *c; c++) {
                if (*c == '\n')
                        fputs("\\n", f);
                else if (*c == '"' || *c == '\\')
                        fprintf(f, "\\%c", *c);
                else if (!is_plain(*c))
                        fprintf(f, "\\x%02x", (unsigned char)*c);
                else
                        fputc(*c, f);
        }
        fputc('"', f);
}

static void put_property(FILE *f, const char *key, const struct state_value *v)
{
        if (!v->is_ours)
                return;
        fputs(key, f);
        put_value(f, v->prior);
        put_value(f, v->applied);
        put_value(f, v->intended);
        if (v->prior_dropin)
                put_quoted(f, v->prior_dropin);
        fputc('\n', f);
}

static bool has_burst(const struct state_file *s)
{
        for (size_t i = 0; i < s->n_records; i++)
                if (s->records[i].burst.is_ours)
                        return true;
        return false;
}

int state_file_format(const struct state_file *s, char **ret_text, size_t *ret_length)
{
        char *text = NULL;
        size_t length;
        FILE *f = open_memstream(&text, &length);
        if (!f)
                return -errno;

        fputs(has_burst(s) ? VERSION_LINE_BURST : VERSION_LINE, f);
        if (s->reload_pending)
                fputs(RELOAD_LINE, f);
        for (size_t i = 0; i < s->n_records; i++) {
                const struct state_record *record = &s->records[i];
                fprintf(f, "unit %s%s\n", record->unit, record->is_transient ? " transient" : "");
                put_property(f, "quota", &record->quota);
                put_property(f, "weight", &record->weight);
                put_property(f, "burst", &record->burst);
        }

        int r = sealed_text_finish(f, &text, &length);
        if (r < 0)
                return r;
        *ret_text = text;
        *ret_length = length;
        return 0;
}

/* Exactly what put_value() writes: no sign, no leading zero, nothing that would not be written so. */
static bool take_value(struct cursor *c, uint64_t *ret)
{
        uint64_t value = 0;
        const char *first;

        if (!cursor_take(c, " "))
                return false;
        if (cursor_take(c, "unset")) {
                *ret = UINT64_MAX;
                return true;
        }
        first = c->at;
        for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
                unsigned digit = (unsigned)(*c->at - '0');
                if (__builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, digit, &value))
                        return false;
        }
        if (c->at == first || (*first == '0' && c->at - first > 1) || value == UINT64_MAX)
                return false;
        *ret = value;
        return true;
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return -1;
}

/* After the opening quote. Return: 0; -EBADMSG; -ENOMEM. */
static int take_quoted(struct cursor *c, char **ret)
{
        const char *close = c->at;
        while (close < c->end && *close != '"')
                close += *close == '\\' ? 2 : 1;
        if (close >= c->end)
                return -EBADMSG;

        char *text = malloc((size_t)(close - c->at) + 1), *to = text;
        if (!text)
                return -ENOMEM;

        while (c->at < close) {
                char byte = *c->at++;
                if (byte == '\\') {
                        char kind = *c->at++;
                        if (kind == 'n') {
                                byte = '\n';
                        } else if (kind == '"' || kind == '\\') {
                                byte = kind;
                        } else if (kind == 'x' && close - c->at >= 2 && hex_digit(c->at[0]) >= 0 &&
                                   hex_digit(c->at[1]) >= 0) {
                                byte = (char)(hex_digit(c->at[0]) * 16 + hex_digit(c->at[1]));
                                c->at += 2;
                                if (byte == '\0' || byte == '\n' || is_plain(byte))
                                        goto bad;       /* we would not have escaped it so */
                        } else {
                                goto bad;
                        }
                } else if (!is_plain(byte)) {
                        goto bad;
                }
                *to++ = byte;
        }
        *to = '\0';
        c->at = close + 1;
        *ret = text;
        return 0;

bad:
        free(text);
        return -EBADMSG;
}

/* After the key. Return: 0; -EBADMSG; -ENOMEM. */
static int take_property(struct cursor *c, struct state_value *ret)
{
        struct state_value v = { .is_ours = true };

        if (!take_value(c, &v.prior) || !take_value(c, &v.applied) || !take_value(c, &v.intended))
                return -EBADMSG;
        if (cursor_take(c, " \"")) {
                int r = take_quoted(c, &v.prior_dropin);
                if (r < 0)
                        return r;
        }
        if (!cursor_take(c, "\n")) {
                free(v.prior_dropin);
                return -EBADMSG;
        }
        *ret = v;
        return 0;
}

/* After the key. A burst is always a number, and has no drop-in. */
static int take_burst(struct cursor *c, struct state_value *ret)
{
        int r = take_property(c, ret);

        if (r == 0 && (ret->prior_dropin || ret->prior == UINT64_MAX || ret->applied == UINT64_MAX ||
                       ret->intended == UINT64_MAX))
                r = -EBADMSG;
        return r;
}

/* After "unit ". */
static int take_record(struct cursor *c, struct state_file *s, bool may_have_burst)
{
        char name[UNIT_NAME_LENGTH_MAX + 1];

        if (!cursor_take_unit(c, name))
                return -EBADMSG;
        bool is_transient = cursor_take(c, " transient");
        if (!cursor_take(c, "\n"))
                return -EBADMSG;
        if (s->n_records > 0 && strcmp(s->records[s->n_records - 1].unit, name) >= 0)
                return -EBADMSG;

        struct state_record *record;
        int r = state_file_add(s, name, is_transient, &record);
        if (r < 0)
                return r;
        if (cursor_take(c, "quota"))
                r = take_property(c, &record->quota);
        if (r == 0 && cursor_take(c, "weight"))
                r = take_property(c, &record->weight);
        if (r == 0 && may_have_burst && cursor_take(c, "burst"))
                r = take_burst(c, &record->burst);
        return r;
}

int state_file_parse(struct state_file *s, const char *text, size_t length)
{
        if (length > STATE_FILE_SIZE_MAX)
                return -EBADMSG;

        /* The seal first: what it does not vouch for is not looked at. */
        struct cursor c;
        int r = sealed_text_open(text, length, &c);
        if (r < 0)
                return r;

        struct state_file parsed = { 0 };
        bool may_have_burst = cursor_take(&c, VERSION_LINE_BURST);
        r = may_have_burst || cursor_take(&c, VERSION_LINE) ? 0 : -EBADMSG;
        if (r == 0)
                parsed.reload_pending = cursor_take(&c, RELOAD_LINE);
        while (r == 0 && c.at < c.end)
                r = cursor_take(&c, "unit ") ? take_record(&c, &parsed, may_have_burst) : -EBADMSG;
        if (r == 0 && may_have_burst && !has_burst(&parsed))
                r = -EBADMSG;
        if (r < 0) {
                forget_all(&parsed);
                return r;
        }

        forget_all(s);
        s->records = parsed.records;    /* handed over */
        s->n_records = parsed.n_records;
        s->n_allocated = parsed.n_allocated;
        s->reload_pending = parsed.reload_pending;
        s->is_dirty = false;
        return 0;
}

/* ---- files ------------------------------------------------------------------------------------ */

int state_file_load(const char *directory, struct state_file *ret)
{
        _cleanup_close_ int directory_fd = sealed_file_open_directory(directory);
        if (directory_fd < 0)
                return directory_fd;

        struct state_file s = { .directory = strdup(directory) };
        if (!s.directory)
                return -ENOMEM;

        _cleanup_free_ char *text = NULL;
        size_t length = 0;
        int r = sealed_file_read(directory_fd, FILE_NAME, STATE_FILE_SIZE_MAX, &text, &length);
        if (r == 0)
                r = state_file_parse(&s, text, length);
        if (r == -ENOENT)
                r = 0;
        else if (r == -EBADMSG) {
                r = sealed_file_put_aside(directory_fd, FILE_NAME);
                r = r < 0 ? r : 1;
        }
        if (r < 0) {
                state_file_done(&s);
                return r;
        }
        *ret = s;       /* handed over */
        return r;
}

int state_file_save(struct state_file *s)
{
        if (!s->is_dirty)
                return 0;

        _cleanup_free_ char *text = NULL;
        size_t length = 0;
        if (s->n_records > 0 || s->reload_pending) {
                int r = state_file_format(s, &text, &length);
                if (r < 0)
                        return r;
                if (length > STATE_FILE_SIZE_MAX)       /* we would refuse to read it */
                        return -EFBIG;
        }

        int r = sealed_file_replace(s->directory, FILE_NAME, text, length);
        if (r == 0)
                s->is_dirty = false;
        return r;
}
