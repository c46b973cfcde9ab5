/* SPDX-License-Identifier: MIT */
#include "platform/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/read_all.h"
#include "util/sorted.h"
#include "util/unit_name.h"

#define FILE_NAME "units"
#define FILE_NAME_NEW "units.new"
#define FILE_NAME_BAD "units.bad"

#define VERSION_LINE "coalloc-units 1\n"
#define RELOAD_LINE "reload\n"
#define CHECKSUM_KEY "checksum "
#define CHECKSUM_LINE_LENGTH (sizeof CHECKSUM_KEY - 1 + 16 + 1)

static uint64_t checksum(const char *text, size_t length)
{
        uint64_t hash = 0xcbf29ce484222325u;
        for (size_t i = 0; i < length; i++)
                hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
        return hash;
}

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

int state_file_format(const struct state_file *s, char **ret_text, size_t *ret_length)
{
        char *text = NULL;
        size_t length;
        FILE *f = open_memstream(&text, &length);
        if (!f)
                return -errno;

        fputs(VERSION_LINE, f);
        if (s->reload_pending)
                fputs(RELOAD_LINE, f);
        for (size_t i = 0; i < s->n_records; i++) {
                const struct state_record *record = &s->records[i];
                fprintf(f, "unit %s%s\n", record->unit, record->is_transient ? " transient" : "");
                put_property(f, "quota", &record->quota);
                put_property(f, "weight", &record->weight);
        }

        bool has_failed = fflush(f) != 0 || ferror(f);
        if (!has_failed) {
                fprintf(f, CHECKSUM_KEY "%016" PRIx64 "\n", checksum(text, length));
                has_failed = ferror(f);
        }
        if (fclose(f) != 0 || has_failed) {
                free(text);
                return -ENOMEM;
        }
        *ret_text = text;
        *ret_length = length;
        return 0;
}

/* What is left to read. Bytes, not a string: a NUL is just another wrong byte. */
struct cursor {
        const char *at;
        const char *end;
};

static bool take(struct cursor *c, const char *literal)
{
        size_t length = strlen(literal);
        if ((size_t)(c->end - c->at) < length || memcmp(c->at, literal, length) != 0)
                return false;
        c->at += length;
        return true;
}

/* Exactly what put_value() writes: no sign, no leading zero, nothing that would not be written so. */
static bool take_value(struct cursor *c, uint64_t *ret)
{
        uint64_t value = 0;
        const char *first;

        if (!take(c, " "))
                return false;
        if (take(c, "unset")) {
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
        if (take(c, " \"")) {
                int r = take_quoted(c, &v.prior_dropin);
                if (r < 0)
                        return r;
        }
        if (!take(c, "\n")) {
                free(v.prior_dropin);
                return -EBADMSG;
        }
        *ret = v;
        return 0;
}

/* After "unit ". */
static int take_record(struct cursor *c, struct state_file *s)
{
        char name[UNIT_NAME_LENGTH_MAX + 1];
        size_t length = 0;

        for (; c->at < c->end && *c->at != ' ' && *c->at != '\n'; c->at++) {
                if (length == UNIT_NAME_LENGTH_MAX || *c->at == '\0')
                        return -EBADMSG;
                name[length++] = *c->at;
        }
        name[length] = '\0';

        bool is_transient = take(c, " transient");
        if (!take(c, "\n") || !unit_name_is_valid(name))
                return -EBADMSG;
        if (s->n_records > 0 && strcmp(s->records[s->n_records - 1].unit, name) >= 0)
                return -EBADMSG;

        struct state_record *record;
        int r = state_file_add(s, name, is_transient, &record);
        if (r < 0)
                return r;
        if (take(c, "quota"))
                r = take_property(c, &record->quota);
        if (r == 0 && take(c, "weight"))
                r = take_property(c, &record->weight);
        return r;
}

int state_file_parse(struct state_file *s, const char *text, size_t length)
{
        if (length < CHECKSUM_LINE_LENGTH || length > STATE_FILE_SIZE_MAX)
                return -EBADMSG;

        /* The checksum first: what it does not vouch for is not looked at. */
        char expected[CHECKSUM_LINE_LENGTH + 1];
        size_t n_body = length - CHECKSUM_LINE_LENGTH;
        snprintf(expected, sizeof expected, CHECKSUM_KEY "%016" PRIx64 "\n", checksum(text, n_body));
        if (memcmp(text + n_body, expected, CHECKSUM_LINE_LENGTH) != 0)
                return -EBADMSG;

        struct cursor c = { .at = text, .end = text + n_body };
        struct state_file parsed = { 0 };
        int r = take(&c, VERSION_LINE) ? 0 : -EBADMSG;
        if (r == 0)
                parsed.reload_pending = take(&c, RELOAD_LINE);
        while (r == 0 && c.at < c.end)
                r = take(&c, "unit ") ? take_record(&c, &parsed) : -EBADMSG;
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

/* Return: 0; -EBADMSG for something that cannot be our file; negative errno. */
static int read_file(int directory_fd, const char *name, char **ret_text, size_t *ret_length)
{
        /* O_NONBLOCK: a FIFO under this name must not hold up the start. */
        _cleanup_close_ int fd =
                openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return errno == ELOOP ? -EBADMSG : -errno;

        struct stat st;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADMSG;

        int r = read_all(fd, STATE_FILE_SIZE_MAX, ret_text, ret_length);
        return r == -EFBIG ? -EBADMSG : r;
}

int state_file_load(const char *directory, struct state_file *ret)
{
        if (mkdir(directory, 0755) < 0 && errno != EEXIST)
                return -errno;

        _cleanup_close_ int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory_fd < 0)
                return -errno;

        struct state_file s = { .directory = strdup(directory) };
        if (!s.directory)
                return -ENOMEM;

        _cleanup_free_ char *text = NULL;
        size_t length = 0;
        int r = read_file(directory_fd, FILE_NAME, &text, &length);
        if (r == 0)
                r = state_file_parse(&s, text, length);
        if (r == -ENOENT)
                r = 0;
        else if (r == -EBADMSG)
                /* Kept for whoever wants to know; only the latest, so that they cannot pile up. */
                r = renameat(directory_fd, FILE_NAME, directory_fd, FILE_NAME_BAD) < 0 ? -errno : 1;
        if (r < 0) {
                state_file_done(&s);
                return r;
        }
        *ret = s;       /* handed over */
        return r;
}

static int write_all(int fd, const char *text, size_t length)
{
        while (length > 0) {
                ssize_t n = write(fd, text, length);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -EIO;
                text += n;
                length -= (size_t)n;
        }
        return 0;
}

static int replace_file(int directory_fd, const char *text, size_t length)
{
        /* A leftover of a crash may be anything: start from a file of our own. */
        if (unlinkat(directory_fd, FILE_NAME_NEW, 0) < 0 && errno != ENOENT)
                return -errno;
        int fd = openat(directory_fd, FILE_NAME_NEW, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return -errno;

        int r = write_all(fd, text, length);
        if (r == 0 && fsync(fd) < 0)
                r = -errno;
        if (close(fd) < 0 && r == 0)
                r = -errno;
        if (r == 0 && renameat(directory_fd, FILE_NAME_NEW, directory_fd, FILE_NAME) < 0)
                r = -errno;
        if (r < 0)
                (void)unlinkat(directory_fd, FILE_NAME_NEW, 0);
        return r;
}

int state_file_save(struct state_file *s)
{
        if (!s->is_dirty)
                return 0;

        _cleanup_free_ char *text = NULL;
        size_t length = 0;
        bool is_empty = s->n_records == 0 && !s->reload_pending;
        if (!is_empty) {
                int r = state_file_format(s, &text, &length);
                if (r < 0)
                        return r;
                if (length > STATE_FILE_SIZE_MAX)       /* we would refuse to read it */
                        return -EFBIG;
        }

        _cleanup_close_ int directory_fd = open(s->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory_fd < 0)
                return -errno;

        int r = 0;
        if (!is_empty)
                r = replace_file(directory_fd, text, length);
        else if (unlinkat(directory_fd, FILE_NAME, 0) < 0 && errno != ENOENT)
                r = -errno;
        /* The rename is a change of the directory: without this a power cut may undo it. */
        if (r == 0 && fsync(directory_fd) < 0)
                r = -errno;
        if (r == 0)
                s->is_dirty = false;
        return r;
}
