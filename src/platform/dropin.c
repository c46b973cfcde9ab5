/* SPDX-License-Identifier: MIT */
#include "platform/dropin.h"

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
#include "util/unit_name.h"

/* systemd's own first lines, the same in every version from 229 to 257. */
#define HEADER                                                                                     \
        "# This is a drop-in unit file extension, created via \"systemctl set-property\"\n"        \
        "# or an equivalent operation. Do not edit.\n"

/* One percent of a CPU, and the hundredth of it: in microseconds per second. */
#define USEC_PER_PERCENT 10000
#define USEC_PER_PERMYRIAD 100

int dropin_path(const char *root, const char *unit, bool is_transient, const char *property, char **ret)
{
        char *path;

        if (!unit_name_is_valid(unit))
                return -EINVAL;
        if (asprintf(&path, "%s/run/systemd/%s/%s.d/50-%s.conf", root,
                     is_transient ? "transient" : "system.control", unit, property) < 0)
                return -ENOMEM;
        *ret = path;
        return 0;
}

int dropin_read(const char *path, char **ret)
{
        /* systemd replaces the file by renaming: a link or a FIFO here is somebody's handiwork. */
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return errno == ELOOP ? -EBADMSG : errno == ENOTDIR ? -ENOENT : -errno;

        struct stat st;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADMSG;

        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = read_all(fd, DROPIN_SIZE_MAX, &text, &size);
        if (r < 0)
                return r == -EFBIG ? -EBADMSG : r;
        if (memchr(text, '\0', size))
                return -EBADMSG;
        *ret = TAKE_PTR(text);
        return 0;
}

bool dropin_is_ours(const char *text, const char *unit, const char *property, uint64_t value)
{
        char start[256], setting[64];
        const char *section = unit_name_section(unit);
        if (!section)
                return false;

        int n = snprintf(start, sizeof start, HEADER "[%s]\n%s=", section, property);
        if (n < 0 || (size_t)n >= sizeof start || strncmp(text, start, (size_t)n) != 0)
                return false;
        text += n;

        if (value == UINT64_MAX)
                return strcmp(text, "\n") == 0;

        if (strcmp(property, "CPUQuota") != 0) {
                if (value == 0)         /* cpu.idle, since 252 */
                        return strcmp(text, "idle\n") == 0;
                snprintf(setting, sizeof setting, "%" PRIu64 "\n", value);
                return strcmp(text, setting) == 0;
        }

        snprintf(setting, sizeof setting, "%" PRIu64 "%%\n", value / USEC_PER_PERCENT);
        if (strcmp(text, setting) == 0)
                return true;
        snprintf(setting, sizeof setting, "%" PRIu64 ".%02" PRIu64 "%%\n", value / USEC_PER_PERCENT,
                 value % USEC_PER_PERCENT / USEC_PER_PERMYRIAD);
        return strcmp(text, setting) == 0;
}

static int write_text(const char *path, const char *text)
{
        if (unlink(path) < 0 && errno != ENOENT)        /* a leftover of a crash */
                return -errno;
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return -errno;
        if (fchmod(fd, 0644) < 0)       /* as systemd's: our umask is not its */
                return -errno;

        size_t length = strlen(text);
        while (length > 0) {
                ssize_t n = write(fd, text, length);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                text += n;
                length -= (size_t)n;
        }
        return 0;
}

int dropin_replace(const char *path, const char *text)
{
        const char *name = strrchr(path, '/') + 1;
        _cleanup_free_ char *directory = strndup(path, (size_t)(name - path));
        _cleanup_free_ char *new_path = NULL;
        if (!directory)
                return -ENOMEM;

        if (!text) {
                if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
                        return -errno;
                (void)rmdir(directory);         /* stays if somebody else has files in it */
                return 0;
        }

        /* Hidden and without .conf: systemd reads neither. Not synced: /run does not outlive a crash
         * of the machine anyway. */
        if (asprintf(&new_path, "%s.%s.coalloc", directory, name) < 0)
                return -ENOMEM;
        int r = write_text(new_path, text);
        if (r == 0 && rename(new_path, path) < 0)
                r = -errno;
        if (r < 0)
                (void)unlink(new_path);
        return r;
}
