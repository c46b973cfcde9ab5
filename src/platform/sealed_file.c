/* SPDX-License-Identifier: MIT */
#include "platform/sealed_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/read_all.h"

#define CHECKSUM_KEY "checksum "
#define CHECKSUM_LINE_LENGTH (sizeof CHECKSUM_KEY - 1 + 16 + 1)

static uint64_t checksum(const char *text, size_t length)
{
        uint64_t hash = 0xcbf29ce484222325u;
        for (size_t i = 0; i < length; i++)
                hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
        return hash;
}

/* ---- text ------------------------------------------------------------------------------------- */

int sealed_text_finish(FILE *f, char **text, size_t *length)
{
        bool has_failed = fflush(f) != 0 || ferror(f);
        if (!has_failed) {
                fprintf(f, CHECKSUM_KEY "%016" PRIx64 "\n", checksum(*text, *length));
                has_failed = ferror(f);
        }
        if (fclose(f) != 0 || has_failed) {
                free(*text);
                *text = NULL;
                return -ENOMEM;
        }
        return 0;
}

int sealed_text_open(const char *text, size_t length, struct cursor *ret)
{
        char expected[CHECKSUM_LINE_LENGTH + 1];

        if (length < CHECKSUM_LINE_LENGTH)
                return -EBADMSG;
        size_t n_body = length - CHECKSUM_LINE_LENGTH;
        snprintf(expected, sizeof expected, CHECKSUM_KEY "%016" PRIx64 "\n", checksum(text, n_body));
        if (memcmp(text + n_body, expected, CHECKSUM_LINE_LENGTH) != 0)
                return -EBADMSG;
        *ret = (struct cursor) { .at = text, .end = text + n_body };
        return 0;
}

bool cursor_take(struct cursor *c, const char *literal)
{
        size_t length = strlen(literal);
        if ((size_t)(c->end - c->at) < length || memcmp(c->at, literal, length) != 0)
                return false;
        c->at += length;
        return true;
}

bool cursor_take_unit(struct cursor *c, char ret[static UNIT_NAME_LENGTH_MAX + 1])
{
        size_t length = 0;

        for (; c->at < c->end && *c->at != ' ' && *c->at != '\n'; c->at++) {
                if (length == UNIT_NAME_LENGTH_MAX || *c->at == '\0')
                        return false;
                ret[length++] = *c->at;
        }
        ret[length] = '\0';
        return unit_name_is_valid(ret);
}

/* ---- files ------------------------------------------------------------------------------------ */

int sealed_file_open_directory(const char *directory)
{
        if (mkdir(directory, 0755) < 0 && errno != EEXIST)
                return -errno;
        int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int sealed_file_read(int directory_fd, const char *name, size_t size_max, char **ret_text,
                     size_t *ret_length)
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

        int r = read_all(fd, size_max, ret_text, ret_length);
        return r == -EFBIG ? -EBADMSG : r;
}

int sealed_file_put_aside(int directory_fd, const char *name)
{
        char bad[NAME_MAX + 1];

        snprintf(bad, sizeof bad, "%s.bad", name);
        return renameat(directory_fd, name, directory_fd, bad) < 0 ? -errno : 0;
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

static int write_anew(int directory_fd, const char *name, const char *text, size_t length)
{
        char name_new[NAME_MAX + 1];

        snprintf(name_new, sizeof name_new, "%s.new", name);
        /* A leftover of a crash may be anything: start from a file of our own. */
        if (unlinkat(directory_fd, name_new, 0) < 0 && errno != ENOENT)
                return -errno;
        int fd = openat(directory_fd, name_new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return -errno;

        int r = write_all(fd, text, length);
        if (r == 0 && fsync(fd) < 0)
                r = -errno;
        if (close(fd) < 0 && r == 0)
                r = -errno;
        if (r == 0 && renameat(directory_fd, name_new, directory_fd, name) < 0)
                r = -errno;
        if (r < 0)
                (void)unlinkat(directory_fd, name_new, 0);
        return r;
}

int sealed_file_replace(const char *directory, const char *name, const char *text, size_t length)
{
        _cleanup_close_ int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory_fd < 0)
                return -errno;

        int r = 0;
        if (text)
                r = write_anew(directory_fd, name, text, length);
        else if (unlinkat(directory_fd, name, 0) < 0 && errno != ENOENT)
                r = -errno;
        /* The rename is a change of the directory: without this a power cut may undo it. */
        if (r == 0 && fsync(directory_fd) < 0)
                r = -errno;
        return r;
}
