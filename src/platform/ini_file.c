/* SPDX-License-Identifier: MIT */

#include "platform/ini_file.h"

#include "util/cleanup.h"
#include "util/read_all.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <string.h>
#include <sys/stat.h>

/* inih's line buffer holds 200 bytes: a line of 198, a newline and the end. Of a longer line it would
 * parse the rest as a line of its own, which turns the tail of a long comment into a setting. */
#define LINE_MAX_BYTES 198
#define FILE_MAX_BYTES (16u << 20)

/* One file on its way through inih. */
struct reader {
        const struct ini_handler *handler;
        void *user;
        struct diagnostics *diag;
        const char *path;
        const char *data;
        size_t size;
        size_t position;
        unsigned line;
        bool is_waiting;                /* inih has a line of which the handler must hear */
        bool has_section;
        bool is_ignored;                /* inside a section that was refused */
        bool is_out_of_memory;
};

static void finding(struct reader *r, const char *text)
{
        diagnostics_add(r->diag, DIAGNOSTIC_ERROR, r->path, r->line, "%s", text);
}

bool ini_name_is_valid(const char *name)
{
        size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789_.@:-");

        return length > 0 && length <= INI_NAME_MAX && name[length] == '\0';
}

/* A line that starts with '['; read here and not by inih, because only here it is whole. */
static int open_section(struct reader *r, const char *line, size_t length)
{
        const char *end = memchr(line, ']', length);
        char header[INI_SECTION_MAX + 1];

        r->has_section = true;
        r->is_ignored = true;
        if (!end) {
                finding(r, "the section header has no closing ]");
                return 0;
        }
        const char *rest = end + 1, *line_end = line + length;
        while (rest < line_end && (*rest == ' ' || *rest == '\t'))
                rest++;
        if (rest < line_end && *rest != ';' && *rest != '#') {
                finding(r, "text after the ] of a section header would be lost: put it on the next line");
                return 0;
        }
        size_t n_header = (size_t)(end - line) - 1;
        if (n_header > INI_SECTION_MAX) {
                diagnostics_add(r->diag, DIAGNOSTIC_ERROR, r->path, r->line,
                                "the section name is %zu bytes long; at most %d are read", n_header,
                                INI_SECTION_MAX);
                return 0;
        }
        memcpy(header, line + 1, n_header);
        header[n_header] = '\0';

        char kind[INI_SECTION_MAX + 1], name[INI_SECTION_MAX + 1];
        size_t n_kind = strcspn(header, " \t");
        memcpy(kind, header, n_kind);
        kind[n_kind] = '\0';
        const char *name_start = header + n_kind + strspn(header + n_kind, " \t");
        size_t n_name = strlen(name_start);
        while (n_name > 0 && (name_start[n_name - 1] == ' ' || name_start[n_name - 1] == '\t'))
                n_name--;
        memcpy(name, name_start, n_name);
        name[n_name] = '\0';

        int verdict = r->handler->on_section(r->user, r->line, kind, name, header);
        if (verdict < 0)
                return verdict;
        r->is_ignored = verdict > 0;
        return 0;
}

/* inih calls this for every `name = value`; which section that is in is known better here. */
static int on_setting(void *user, const char *section, const char *name, const char *value)
{
        struct reader *r = user;

        if (!value)
                return 1; /* an inih built to allow names alone: still waiting, see next_line() */
        r->is_waiting = false;
        if (!r->has_section) {
                finding(r, "a setting before the first section header");
                return 1;
        }
        if (r->is_ignored || r->is_out_of_memory)
                return 1;
        if (name[0] == '\0') {
                finding(r, "a setting without a name");
                return 1;
        }
        if (r->handler->on_setting(r->user, r->line, name, value) < 0)
                r->is_out_of_memory = true;
        return 1;
}

/* ---- lines -------------------------------------------------------------------------------------- */

static void settle_line(struct reader *r)
{
        if (r->is_waiting && !r->is_ignored)
                finding(r, "not a setting: there is no =");
        r->is_waiting = false;
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* inih's fgets(): one physical line a call, so that the count is right on every build of inih.
 * Comments, section headers and refused lines become empty lines; inih never sees what it would
 * misread. Indentation is dropped, because inih takes an indented line for a continuation of the
 * value above. */
static char *next_line(char *buffer, int buffer_size, void *stream)
{
        struct reader *r = stream;

        settle_line(r);
        if (r->position >= r->size || r->is_out_of_memory)
                return NULL;

        const char *line = r->data + r->position;
        const char *newline = memchr(line, '\n', r->size - r->position);
        size_t length = newline ? (size_t)(newline - line) : r->size - r->position;
        r->position += length + (newline ? 1 : 0);
        r->line++;

        if (r->line == 1 && length >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
                line += 3;
                length -= 3;
        }
        bool has_nul = memchr(line, '\0', length) != NULL;
        while (length > 0 && is_blank(*line)) {
                line++;
                length--;
        }
        while (length > 0 && is_blank(line[length - 1]))
                length--;

        strcpy(buffer, "\n");
        if (length == 0 || *line == ';' || *line == '#')
                return buffer;
        if (has_nul) {
                finding(r, "the line has a NUL byte");
                return buffer;
        }
        if (*line == '[') {
                if (open_section(r, line, length) < 0)
                        r->is_out_of_memory = true;
                return buffer;
        }
        size_t limit = LINE_MAX_BYTES < buffer_size - 2 ? LINE_MAX_BYTES : (size_t)buffer_size - 2;
        if (length > limit) {
                diagnostics_add(r->diag, DIAGNOSTIC_ERROR, r->path, r->line,
                                "the line is %zu bytes long, at most %zu are read; list keys may "
                                "repeat: split it",
                                length, limit);
                return buffer;
        }
        memcpy(buffer, line, length);
        strcpy(buffer + length, "\n");
        r->is_waiting = true;
        return buffer;
}

/* ---- files -------------------------------------------------------------------------------------- */

int ini_file_load(const char *path, char **ret, size_t *ret_size, struct diagnostics *diag)
{
        _cleanup_close_ int fd = -1;
        struct stat st;
        int r;

        /* O_NONBLOCK: a FIFO in the drop-in directory must not hang the daemon. */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0 && errno == ENOENT)
                return 2;
        if (fd < 0 || fstat(fd, &st) < 0) {
                diagnostics_add(diag, DIAGNOSTIC_ERROR, path, 0, "cannot be read: %s",
                                strerror(errno));
                return 1;
        }
        if (!S_ISREG(st.st_mode)) {
                diagnostics_add(diag, DIAGNOSTIC_ERROR, path, 0,
                                S_ISDIR(st.st_mode) ? "is a directory, not a file"
                                                    : "is not a regular file");
                return 1;
        }
        r = read_all(fd, FILE_MAX_BYTES, ret, ret_size);
        if (r == -ENOMEM || r == 0)
                return r;
        if (r == -EFBIG)
                diagnostics_add(diag, DIAGNOSTIC_ERROR, path, 0,
                                "is larger than %u MiB, which is no configuration",
                                FILE_MAX_BYTES >> 20);
        else
                diagnostics_add(diag, DIAGNOSTIC_ERROR, path, 0, "cannot be read: %s",
                                strerror(-r));
        return 1;
}

int ini_file_parse(const char *path, const char *data, size_t size, const struct ini_handler *handler,
                   void *user, struct diagnostics *diag)
{
        struct reader reader = { .handler = handler, .user = user, .diag = diag, .path = path, .data = data,
                                 .size = size };
        int r;

        r = ini_parse_stream(next_line, &reader, on_setting, &reader);
        settle_line(&reader);
        if (r == -2 || reader.is_out_of_memory)
                return -ENOMEM;
        /* Its own view of which lines are wrong is not needed, but that it read all of them is: some
         * builds stop at the first error. */
        if (reader.position < reader.size)
                diagnostics_add(diag, DIAGNOSTIC_ERROR, path, reader.line, "the rest of the file was not read");
        return 0;
}
