/* SPDX-License-Identifier: MIT */
#include "platform/cgroup_reader.h"
#include "platform/kernel_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Kernels say in three ways that there is no PSI: no file (psi=0 since 6.1), a file that refuses to
 * be read (before), and for cgroup.pressure=0 a kept descriptor that answers like a removed file. */
static bool says_no_pressure(int error)
{
        return error == -ENOENT || error == -EOPNOTSUPP || error == -ENODEV;
}

/* Return: 0 with a descriptor or -1; negative errno. */
static int open_pressure(int dir_fd, int *ret_fd)
{
        char text[KERNEL_FILE_SIZE];
        size_t n;

        int fd = openat(dir_fd, "cpu.pressure", O_RDONLY | O_CLOEXEC);
        int r = fd < 0 ? -errno : kernel_file_read(fd, text, sizeof text, &n);
        if (r < 0) {
                if (fd >= 0)
                        (void)close(fd);
                if (!says_no_pressure(r))
                        return r;
                fd = -1;
        }
        *ret_fd = fd;
        return 0;
}

int cgroup_reader_open(const char *mount, const char *control_group, struct cgroup_reader *ret)
{
        struct cgroup_reader reader = CGROUP_READER_CLOSED;
        struct stat st;
        int r;

        int mount_fd = open(mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (mount_fd < 0)
                return -errno;
        r = kernel_file_open_beneath(mount_fd, control_group, &reader.dir_fd, &st);
        (void)close(mount_fd);
        if (r == 0) {
                reader.inode = st.st_ino;
                reader.stat_fd = openat(reader.dir_fd, "cpu.stat", O_RDONLY | O_CLOEXEC);
                r = reader.stat_fd < 0 ? -errno : open_pressure(reader.dir_fd, &reader.pressure_fd);
        }
        if (r < 0) {
                cgroup_reader_close(&reader);
                return r == -ENODEV ? -ENOENT : r;
        }
        *ret = reader;
        return 0;
}

static int close_fd(int fd)
{
        if (fd >= 0)
                (void)close(fd);
        return -1;
}

void cgroup_reader_close(struct cgroup_reader *r)
{
        r->dir_fd = close_fd(r->dir_fd);
        r->stat_fd = close_fd(r->stat_fd);
        r->pressure_fd = close_fd(r->pressure_fd);
}

int cgroup_reader_sample(const struct cgroup_reader *r, uint64_t now_usec, struct unit_counters *ret)
{
        char text[KERNEL_FILE_SIZE];
        struct kernel_cpu_stat cpu_stat;
        struct kernel_pressure pressure = { 0 };
        bool has_pressure = false;
        size_t n;
        int error;

        error = kernel_file_read(r->stat_fd, text, sizeof text, &n);
        if (error == 0)
                error = kernel_text_cpu_stat(text, n, &cpu_stat);
        if (error < 0)
                return error;

        if (r->pressure_fd >= 0) {
                error = kernel_file_read(r->pressure_fd, text, sizeof text, &n);
                if (error == 0) {
                        error = kernel_text_pressure(text, n, &pressure);
                        has_pressure = error == 0;
                }
                /* cpu.stat was there a moment ago. If the cgroup went just now, the next sample says so. */
                if (error < 0 && !says_no_pressure(error))
                        return error;
        }

        *ret = (struct unit_counters) {
                .at_usec = now_usec,
                .usage_usec = cpu_stat.usage_usec,
                .nr_periods = cpu_stat.nr_periods,
                .nr_throttled = cpu_stat.nr_throttled,
                .throttled_usec = cpu_stat.throttled_usec,
                .stalled_usec = pressure.some_usec,
                .has_bandwidth = cpu_stat.has_bandwidth,
                .has_pressure = has_pressure,
        };
        return 0;
}

int cgroup_reader_bandwidth(const struct cgroup_reader *r, struct kernel_bandwidth *ret)
{
        char text[KERNEL_FILE_SIZE];
        size_t n;
        int error;

        error = kernel_file_read(r->stat_fd, text, sizeof text, &n);
        return error < 0 ? error : kernel_text_bandwidth(text, n, ret);
}

int cgroup_reader_limits(const struct cgroup_reader *r, struct cgroup_limits *ret)
{
        char text[KERNEL_FILE_SIZE];
        struct cgroup_limits limits = {
                .quota_usec_per_sec = UINT64_MAX,
                .quota_usec = UINT64_MAX,
                .cpu_weight = UINT64_MAX,
        };
        struct kernel_cpu_max max;
        size_t n;
        int error;

        error = kernel_file_read_at(r->dir_fd, "cpu.max", text, sizeof text, &n);
        if (error == -ENOENT) {
                /* No controller, or no cgroup any more? In a removed directory nothing is found;
                 * only the kept descriptor can tell. */
                error = kernel_file_read(r->stat_fd, text, sizeof text, &n);
                if (error == 0)
                        *ret = limits;
                return error;
        }
        if (error == 0)
                error = kernel_text_cpu_max(text, n, &max);
        if (error == 0)
                error = kernel_file_read_at(r->dir_fd, "cpu.weight", text, sizeof text, &n);
        if (error == 0)
                error = kernel_text_cpu_weight(text, n, &limits.cpu_weight);
        if (error < 0)
                return error;

        limits.quota_usec_per_sec = kernel_cpu_max_usec_per_sec(&max);
        limits.quota_usec = max.quota_usec;
        limits.period_usec = max.period_usec;
        limits.has_cpu_controller = true;
        *ret = limits;
        return 0;
}

int cgroup_cpus(int dir_fd, uint64_t *ret_usec_per_sec)
{
        char text[KERNEL_FILE_SIZE];
        unsigned n_cpus = 0;
        size_t n;
        int r;

        r = kernel_file_read_at(dir_fd, "cpuset.cpus.effective", text, sizeof text, &n);
        if (r == 0)
                r = kernel_text_cpu_list(text, n, &n_cpus);
        if (r < 0 && r != -ENOENT)
                return r;
        /* No CPU at all is what a broken partition shows; its tasks run on the parent's. */
        *ret_usec_per_sec = n_cpus > 0 ? (uint64_t)n_cpus * 1000000 : UINT64_MAX;
        return 0;
}
