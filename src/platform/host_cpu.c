/* SPDX-License-Identifier: MIT */
#include "platform/host_cpu.h"
#include "platform/kernel_file.h"
#include "platform/kernel_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The line of all CPUs is at most 5 + 10 * 21 bytes; what follows can be a megabyte of interrupts. */
#define PROC_STAT_SIZE 512

/* "0,2,4,...,8190" is the longest list that a kernel with 8192 CPUs can print. */
#define CPU_LIST_SIZE (32 * 1024)

static int open_below(const char *directory, const char *path, int *ret_fd)
{
        char *full = NULL;

        if (asprintf(&full, "%s%s", directory, path) < 0)
                return -ENOMEM;
        int fd = open(full, O_RDONLY | O_CLOEXEC);
        int r = fd < 0 ? -errno : 0;
        free(full);
        if (r == 0)
                *ret_fd = fd;
        return r;
}

/* As open_below(), but that a file which is not there leaves -1. */
static int open_if_there(const char *directory, const char *path, int *ret_fd)
{
        int r = open_below(directory, path, ret_fd);
        return r == -ENOENT ? 0 : r;
}

static int read_pressure(int fd, uint64_t *ret_some_usec)
{
        char text[KERNEL_FILE_SIZE];
        struct kernel_pressure pressure;
        size_t n;

        int r = kernel_file_read(fd, text, sizeof text, &n);
        if (r == 0)
                r = kernel_text_pressure(text, n, &pressure);
        if (r == 0)
                *ret_some_usec = pressure.some_usec;
        return r;
}

/* Return: 1 with a descriptor that can be read; 0 if PSI is off; negative errno. */
static int open_pressure(const char *root, int *ret_fd)
{
        uint64_t some_usec;
        int fd = -1;

        int r = open_if_there(root, "/proc/pressure/cpu", &fd);
        if (r < 0 || fd < 0)
                return r == -EOPNOTSUPP ? 0 : r;
        r = read_pressure(fd, &some_usec);
        if (r < 0) {
                (void)close(fd);
                return r == -EOPNOTSUPP ? 0 : r;
        }
        *ret_fd = fd;
        return 1;
}

int host_cpu_has_pressure(const char *root)
{
        int fd = -1;

        int r = open_pressure(root, &fd);
        if (r > 0)
                (void)close(fd);
        return r;
}

int host_cpu_open(const char *root, const char *mount, struct host_cpu *ret)
{
        struct host_cpu h = HOST_CPU_CLOSED;
        int r;

        long ticks = sysconf(_SC_CLK_TCK);
        h.ticks_per_sec = ticks > 0 ? (unsigned)ticks : 100;

        r = open_below(root, "/proc/stat", &h.stat_fd);
        if (r == 0)
                r = open_below(root, "/sys/devices/system/cpu/online", &h.online_fd);
        if (r == 0 && mount)
                r = open_if_there(mount, "/cpuset.cpus.effective", &h.cpuset_fd);
        if (r == 0 && mount)
                r = open_if_there(mount, "/cpu.max", &h.max_fd);
        if (r == 0)
                r = open_pressure(root, &h.pressure_fd);
        if (r < 0) {
                host_cpu_close(&h);
                return r;
        }
        *ret = h;
        return 0;
}

static int close_fd(int fd)
{
        if (fd >= 0)
                (void)close(fd);
        return -1;
}

void host_cpu_close(struct host_cpu *h)
{
        h->stat_fd = close_fd(h->stat_fd);
        h->online_fd = close_fd(h->online_fd);
        h->pressure_fd = close_fd(h->pressure_fd);
        h->cpuset_fd = close_fd(h->cpuset_fd);
        h->max_fd = close_fd(h->max_fd);
}

static int count_cpus(int fd, unsigned *ret_n_cpus)
{
        char text[CPU_LIST_SIZE];
        unsigned n_cpus;
        size_t n;

        int r = kernel_file_read(fd, text, sizeof text, &n);
        if (r == 0)
                r = kernel_text_cpu_list(text, n, &n_cpus);
        if (r < 0)
                return r;
        if (n_cpus == 0)        /* we run on one */
                return -EBADMSG;
        *ret_n_cpus = n_cpus;
        return 0;
}

int host_cpu_count(const struct host_cpu *h, unsigned *ret_n_cpus)
{
        return count_cpus(h->online_fd, ret_n_cpus);
}

static int read_capacity(const struct host_cpu *h, double *ret_milli)
{
        unsigned n_cpus, n_effective;
        double milli;
        int r;

        r = count_cpus(h->online_fd, &n_cpus);
        if (r < 0)
                return r;
        if (h->cpuset_fd >= 0) {
                r = count_cpus(h->cpuset_fd, &n_effective);
                if (r < 0)
                        return r;
                if (n_effective < n_cpus)
                        n_cpus = n_effective;
        }
        milli = (double)n_cpus * MILLI_PER_CPU;

        if (h->max_fd >= 0) {
                char text[KERNEL_FILE_SIZE];
                struct kernel_cpu_max max;
                size_t n;

                r = kernel_file_read(h->max_fd, text, sizeof text, &n);
                if (r == 0)
                        r = kernel_text_cpu_max(text, n, &max);
                if (r < 0)
                        return r;
                milli = fmin(milli, (double)kernel_cpu_max_usec_per_sec(&max) / USEC_PER_MILLI);
        }
        *ret_milli = milli;
        return 0;
}

static int ticks_to_usec(uint64_t ticks, unsigned ticks_per_sec, uint64_t *ret_usec)
{
        unsigned __int128 usec = (unsigned __int128)ticks * 1000000 / ticks_per_sec;
        if (usec > UINT64_MAX)
                return -EBADMSG;
        *ret_usec = (uint64_t)usec;
        return 0;
}

int host_cpu_sample(const struct host_cpu *h, uint64_t now_usec, struct host_counters *ret)
{
        struct host_counters counters = { .at_usec = now_usec };
        struct kernel_proc_stat proc_stat;
        char text[PROC_STAT_SIZE];
        size_t n;
        int r;

        r = kernel_file_read(h->stat_fd, text, sizeof text, &n);
        if (r == 0)
                r = kernel_text_proc_stat(text, n, &proc_stat);
        if (r == 0)
                r = ticks_to_usec(proc_stat.busy_ticks, h->ticks_per_sec, &counters.busy_usec);
        if (r == 0)
                r = ticks_to_usec(proc_stat.steal_ticks, h->ticks_per_sec, &counters.steal_usec);
        if (r == 0)
                r = read_capacity(h, &counters.capacity_milli);
        if (r == 0 && h->pressure_fd >= 0) {
                r = read_pressure(h->pressure_fd, &counters.stalled_usec);
                counters.has_pressure = r == 0;
        }
        if (r < 0)
                return r;
        *ret = counters;
        return 0;
}
