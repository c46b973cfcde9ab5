/* SPDX-License-Identifier: MIT */
#include "platform/kernel_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int kernel_file_read(int fd, char *buffer, size_t size, size_t *ret_length)
{
        ssize_t n;

        do
                n = pread(fd, buffer, size, 0);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        *ret_length = (size_t)n;
        return 0;
}

int kernel_file_read_at(int dir_fd, const char *path, char *buffer, size_t size, size_t *ret_length)
{
        int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        int r = kernel_file_read(fd, buffer, size, ret_length);
        (void)close(fd);
        return r;
}

/* The way without openat2(). Never follows a symlink, never goes up. */
static int walk_beneath(int dir_fd, const char *path, int *ret_fd)
{
        int fd = openat(dir_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;

        while (*path) {
                char name[NAME_MAX + 1];
                size_t n = strcspn(path, "/");
                struct stat st;
                int r = 0, next = -1;

                if (n > NAME_MAX) {
                        (void)close(fd);
                        return -ENAMETOOLONG;
                }
                memcpy(name, path, n);
                name[n] = '\0';
                path += n;
                path += strspn(path, "/");

                /* Without O_DIRECTORY, which would say ENOTDIR of a symlink. */
                if (strcmp(name, "..") == 0)
                        r = -EXDEV;
                else if ((next = openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC)) < 0 ||
                         fstat(next, &st) < 0)
                        r = -errno;
                else if (S_ISLNK(st.st_mode))
                        r = -ELOOP;
                else if (!S_ISDIR(st.st_mode))
                        r = -ENOTDIR;

                (void)close(fd);
                if (r < 0) {
                        if (next >= 0)
                                (void)close(next);
                        return r;
                }
                fd = next;
        }
        *ret_fd = fd;
        return 0;
}

int kernel_file_open_beneath(int dir_fd, const char *path, int *ret_fd, struct stat *ret_stat)
{
        const struct open_how how = {
                .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
        };
        struct stat st;

        path += strspn(path, "/");
        int fd = (int)syscall(SYS_openat2, dir_fd, *path ? path : ".", &how, sizeof how);
        if (fd < 0) {
                /* EAGAIN: something was renamed meanwhile and the kernel cannot vouch for "..". */
                if (errno != ENOSYS && errno != EPERM && errno != EAGAIN)
                        return -errno;
                int r = walk_beneath(dir_fd, path, &fd);
                if (r < 0)
                        return r;
        }
        if (fstat(fd, &st) < 0) {
                int r = -errno;
                (void)close(fd);
                return r;
        }
        *ret_fd = fd;
        *ret_stat = st;
        return 0;
}
