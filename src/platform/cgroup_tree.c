/* SPDX-License-Identifier: MIT */
#include "platform/cgroup_tree.h"
#include "platform/cgroup_reader.h"
#include "platform/kernel_file.h"
#include "platform/kernel_text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

const char *cgroup_mode_to_string(enum cgroup_mode mode)
{
        static const char *const names[] = {
                [CGROUP_UNIFIED] = "unified",
                [CGROUP_HYBRID] = "hybrid",
                [CGROUP_LEGACY] = "legacy",
                [CGROUP_NONE] = "none",
        };
        return mode >= 0 && mode < _CGROUP_MODE_MAX ? names[mode] : "unknown";
}

static bool is_cgroup2(const char *path)
{
        struct statfs fs;
        return statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* Where libcgroup has the cpu controller, or NULL. malloc'd. */
static char *ask_libcgroup(void)
{
        char *mount = NULL;

        /* Both may fail on a host that we can serve, such as one whose /proc/cgroups is gone. */
        if (cgroup_init() != 0 || cgroup_get_subsys_mount_point("cpu", &mount) != 0)
                return NULL;
        return mount;
}

static int find_real_mount(enum cgroup_mode *ret_mode, char **ret_mount)
{
        static const char usual[] = "/sys/fs/cgroup", beside[] = "/sys/fs/cgroup/unified";
        char *mount = ask_libcgroup();

        if (mount && is_cgroup2(mount)) {
                *ret_mode = CGROUP_UNIFIED;
                *ret_mount = mount;
                return 0;
        }
        bool has_v1_cpu = mount;
        free(mount);

        const char *found = is_cgroup2(usual) ? usual : is_cgroup2(beside) ? beside : NULL;
        if (found && !(mount = strdup(found)))
                return -ENOMEM;
        *ret_mode = found == usual ? CGROUP_UNIFIED
                  : found          ? CGROUP_HYBRID
                  : has_v1_cpu     ? CGROUP_LEGACY : CGROUP_NONE;
        *ret_mount = found ? mount : NULL;
        return 0;
}

/* <root><path> if <root><path><probe> exists. Return: 1, 0, or negative errno. */
static int probe_path(const char *root, const char *path, const char *probe, char **ret)
{
        char *full = NULL;

        int n = asprintf(&full, "%s%s%s", root, path, probe);
        if (n < 0)
                return -ENOMEM;
        if (access(full, F_OK) < 0) {
                free(full);
                return 0;
        }
        full[(size_t)n - strlen(probe)] = '\0';
        *ret = full;
        return 1;
}

int cgroup_find_mount(const char *root, enum cgroup_mode *ret_mode, char **ret_mount)
{
        static const struct {
                const char *path, *probe;
                enum cgroup_mode mode;
        } places[] = {
                { "/sys/fs/cgroup", "/cgroup.controllers", CGROUP_UNIFIED },
                { "/sys/fs/cgroup/unified", "/cgroup.controllers", CGROUP_HYBRID },
                { "/sys/fs/cgroup", "/cpu", CGROUP_LEGACY },
        };

        if (!*root)
                return find_real_mount(ret_mode, ret_mount);

        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
                char *mount = NULL;
                int r = probe_path(root, places[i].path, places[i].probe, &mount);
                if (r < 0)
                        return r;
                if (r == 0)
                        continue;
                if (places[i].mode == CGROUP_LEGACY) {
                        free(mount);
                        mount = NULL;
                }
                *ret_mode = places[i].mode;
                *ret_mount = mount;
                return 0;
        }
        *ret_mode = CGROUP_NONE;
        *ret_mount = NULL;
        return 0;
}

static int open_group(const char *mount, const char *group, int *ret_fd)
{
        struct stat st;

        int mount_fd = open(mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (mount_fd < 0)
                return -errno;
        int r = kernel_file_open_beneath(mount_fd, group, ret_fd, &st);
        (void)close(mount_fd);
        return r;
}

int cgroup_has_controller(const char *mount, const char *group, const char *controller)
{
        char text[KERNEL_FILE_SIZE];
        size_t n;
        int fd;

        int r = open_group(mount, group, &fd);
        if (r < 0)
                return r;
        r = kernel_file_read_at(fd, "cgroup.controllers", text, sizeof text, &n);
        (void)close(fd);
        if (r < 0)
                return r == -ENODEV ? -ENOENT : r;
        return kernel_text_has_word(text, n, controller);
}

/* Lowers *ceiling to what one group's files say. A file that is not there bounds nothing. */
static int lower_ceiling(int dir_fd, uint64_t *ceiling_usec_per_sec)
{
        char text[KERNEL_FILE_SIZE];
        struct kernel_cpu_max max;
        uint64_t bound;
        size_t n;
        int r;

        r = cgroup_cpus(dir_fd, &bound);
        if (r < 0)
                return r;
        r = kernel_file_read_at(dir_fd, "cpu.max", text, sizeof text, &n);
        if (r == 0)
                r = kernel_text_cpu_max(text, n, &max);
        if (r < 0 && r != -ENOENT)
                return r;
        if (r == 0 && kernel_cpu_max_usec_per_sec(&max) < bound)
                bound = kernel_cpu_max_usec_per_sec(&max);
        if (bound < *ceiling_usec_per_sec)
                *ceiling_usec_per_sec = bound;
        return 0;
}

int cgroup_ceiling(const char *mount, const char *group, uint64_t *ret_usec_per_sec)
{
        uint64_t ceiling_usec_per_sec = UINT64_MAX;
        char path[PATH_MAX];

        group += strspn(group, "/");
        for (size_t length = 0;;) {
                bool is_last = group[length + strspn(group + length, "/")] == '\0';
                int fd, r;

                if (length >= sizeof path)
                        return -ENAMETOOLONG;
                memcpy(path, group, length);
                path[length] = '\0';
                r = open_group(mount, path, &fd);
                if (r < 0)
                        return r;
                r = lower_ceiling(fd, &ceiling_usec_per_sec);
                (void)close(fd);
                if (r < 0)
                        return r == -ENODEV ? -ENOENT : r;
                if (is_last)
                        break;
                length += strspn(group + length, "/");
                length += strcspn(group + length, "/");
        }
        *ret_usec_per_sec = ceiling_usec_per_sec;
        return 0;
}

/* Return: 0; -ENOENT or -ENODEV if it is gone by now; other negative errno. */
static int read_child(int dir_fd, const char *name, struct cgroup_child *ret)
{
        char text[KERNEL_FILE_SIZE];
        struct kernel_cpu_stat cpu_stat;
        uint64_t weight = UINT64_MAX;
        struct stat st;
        size_t n;
        int r;

        int fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = fstat(fd, &st) < 0 ? -errno : 0;
        if (r == 0)
                r = kernel_file_read_at(fd, "cpu.stat", text, sizeof text, &n);
        if (r == 0)
                r = kernel_text_cpu_stat(text, n, &cpu_stat);
        if (r == 0) {
                r = kernel_file_read_at(fd, "cpu.weight", text, sizeof text, &n);
                if (r == 0)
                        r = kernel_text_cpu_weight(text, n, &weight);
                else if (r == -ENOENT)
                        r = 0;
        }
        (void)close(fd);
        if (r < 0)
                return r;
        *ret = (struct cgroup_child) {
                .name = name,
                .inode = st.st_ino,
                .usage_usec = cpu_stat.usage_usec,
                .cpu_weight = weight,
        };
        return 0;
}

static bool is_directory(DIR *d, const struct dirent *entry)
{
        struct stat st;

        if (entry->d_name[0] == '.' && (entry->d_name[1] == '\0' || strcmp(entry->d_name, "..") == 0))
                return false;
        if (entry->d_type != DT_UNKNOWN)
                return entry->d_type == DT_DIR;
        return fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

int cgroup_each_child(const char *mount, const char *group, cgroup_wants_child_fn wants,
                      cgroup_child_fn each, void *ctx)
{
        int path_fd, r;

        r = open_group(mount, group, &path_fd);
        if (r < 0)
                return r;
        int fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = fd < 0 ? -errno : 0;
        (void)close(path_fd);
        if (r < 0)
                return r;
        DIR *d = fdopendir(fd); /* takes fd over */
        if (!d) {
                r = -errno;
                (void)close(fd);
                return r;
        }

        do {
                struct cgroup_child child;

                errno = 0;
                const struct dirent *entry = readdir(d);
                if (!entry) {
                        r = -errno;
                        break;
                }
                if (!is_directory(d, entry) || !wants(ctx, entry->d_name))
                        continue;
                r = read_child(dirfd(d), entry->d_name, &child);
                if (r == 0)
                        r = each(ctx, &child);
                else if (r == -ENOENT || r == -ENODEV)
                        r = 0;  /* went while we looked */
        } while (r == 0);
        (void)closedir(d);
        return r;
}
