/* SPDX-License-Identifier: MIT */
#include "platform/cgroup_burst.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/kernel_file.h"
#include "platform/kernel_text.h"
#include "util/cleanup.h"

#define FILE_NAME "cpu.max.burst"

int cgroup_burst_read(int dir_fd, struct cgroup_burst *ret)
{
        struct cgroup_burst burst;
        char text[KERNEL_FILE_SIZE];
        struct stat st;
        size_t n;
        int r;

        _cleanup_close_ int fd = openat(dir_fd, FILE_NAME, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        r = kernel_file_read(fd, text, sizeof text, &n);
        if (r == 0)
                r = kernel_text_cpu_burst(text, n, &burst.burst_usec);
        if (r < 0)
                return r == -ENODEV ? -ENOENT : r;      /* went after it was opened */
        burst.inode = st.st_ino;
        *ret = burst;
        return 0;
}

int cgroup_burst_probe(int dir_fd)
{
        _cleanup_close_ int fd = openat(dir_fd, FILE_NAME, O_WRONLY | O_CLOEXEC);

        return fd < 0 ? -errno : 0;
}

int cgroup_burst_write(int dir_fd, uint64_t burst_usec)
{
        char text[24];

        /* O_TRUNC, as a shell has it: nothing to the kernel, but it makes plain files in tests behave. */
        _cleanup_close_ int fd = openat(dir_fd, FILE_NAME, O_WRONLY | O_TRUNC | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        int n = snprintf(text, sizeof text, "%" PRIu64 "\n", burst_usec);
        ssize_t n_written = write(fd, text, (size_t)n);
        if (n_written < 0)
                return -errno;
        return n_written == n ? 0 : -EIO;
}

bool cgroup_burst_is_cut(uint64_t now_usec, uint64_t written_usec)
{
        return written_usec > 0 && now_usec == written_usec / 1000;
}
