/* SPDX-License-Identifier: MIT */
#include "platform/cgroup_tree.h"
#include "platform/cgroup_reader.h"
#include "platform/kernel_file.h"
#include "platform/kernel_text.h"
#include "util/cleanup.h"
#include "util/parse.h"
#include "util/read_all.h"

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

/* cpu.max of one group; UINT64_MAX where it has none. */
static int read_quota(int dir_fd, uint64_t *ret_usec_per_sec)
{
        char text[KERNEL_FILE_SIZE];
        struct kernel_cpu_max max;
        size_t n;

        int r = kernel_file_read_at(dir_fd, "cpu.max", text, sizeof text, &n);
        if (r == 0)
                r = kernel_text_cpu_max(text, n, &max);
        if (r < 0 && r != -ENOENT)
                return r;
        *ret_usec_per_sec = r == 0 ? kernel_cpu_max_usec_per_sec(&max) : UINT64_MAX;
        return 0;
}

/* What bounds a group, from the root down to itself; all in usec per sec, UINT64_MAX = nothing. */
struct bounds {
        uint64_t least_cpus, least_quota, own_quota;
};

static int find_bounds(const char *mount, const char *group, struct bounds *ret)
{
        struct bounds b = { UINT64_MAX, UINT64_MAX, UINT64_MAX };
        char path[PATH_MAX];

        group += strspn(group, "/");
        for (size_t length = 0;;) {
                bool is_last = group[length + strspn(group + length, "/")] == '\0';
                uint64_t cpus;
                int fd, r;

                if (length >= sizeof path)
                        return -ENAMETOOLONG;
                memcpy(path, group, length);
                path[length] = '\0';
                r = open_group(mount, path, &fd);
                if (r < 0)
                        return r;
                r = cgroup_cpus(fd, &cpus);
                if (r == 0)
                        r = read_quota(fd, &b.own_quota);
                (void)close(fd);
                if (r < 0)
                        return r == -ENODEV ? -ENOENT : r;
                if (cpus < b.least_cpus)
                        b.least_cpus = cpus;
                if (b.own_quota < b.least_quota)
                        b.least_quota = b.own_quota;
                if (is_last)
                        break;
                length += strspn(group + length, "/");
                length += strcspn(group + length, "/");
        }
        *ret = b;
        return 0;
}

int cgroup_ceiling(const char *mount, const char *group, uint64_t *ret_usec_per_sec)
{
        struct bounds b;

        int r = find_bounds(mount, group, &b);
        if (r < 0)
                return r;
        *ret_usec_per_sec = b.least_quota < b.least_cpus ? b.least_quota : b.least_cpus;
        return 0;
}

int cgroup_quota(const char *mount, const char *group, uint64_t *ret_least_usec_per_sec,
                 uint64_t *ret_own_usec_per_sec)
{
        struct bounds b;

        int r = find_bounds(mount, group, &b);
        if (r < 0)
                return r;
        *ret_least_usec_per_sec = b.least_quota;
        *ret_own_usec_per_sec = b.own_quota;
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

/* ---- processes ------------------------------------------------------------------------------------- */

/* Deeper than anybody nests; every level holds a descriptor. */
#define LEVELS_MAX 32
/* 100,000 numbers. */
#define PROCS_SIZE_MAX (1024 * 1024)

struct process_walk {
        const char *mount, *group;
        unsigned level;
        cgroup_process_fn each;
        void *ctx;
};

static int walk_processes(const struct process_walk *w);

static bool wants_all(void *ctx, const char *name)
{
        return true;
}

static int walk_child(void *ctx, const struct cgroup_child *child)
{
        const struct process_walk *w = ctx;
        _cleanup_free_ char *group = NULL;

        if (asprintf(&group, "%s/%s", w->group, child->name) < 0)
                return -ENOMEM;
        struct process_walk below = *w;
        below.group = group;
        below.level++;
        int r = below.level < LEVELS_MAX ? walk_processes(&below) : 0;
        return r == -ENOENT ? 0 : r;    /* went while we looked */
}

static int read_processes(const struct process_walk *w, char **ret)
{
        size_t size;
        int path_fd, r;

        r = open_group(w->mount, w->group, &path_fd);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = openat(path_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? -errno : 0;
        (void)close(path_fd);
        return r < 0 ? r : read_all(fd, PROCS_SIZE_MAX, ret, &size);
}

static int walk_processes(const struct process_walk *w)
{
        _cleanup_free_ char *text = NULL;

        int r = read_processes(w, &text);
        if (r == -EOPNOTSUPP)   /* threaded: its processes are listed further up */
                r = 0;
        else if (r < 0)
                return r == -ENODEV ? -ENOENT : r;
        for (char *saved, *word = text ? strtok_r(text, "\n", &saved) : NULL; word;
             word = strtok_r(NULL, "\n", &saved)) {
                uint64_t pid;

                if (parse_unsigned(word, 1, INT32_MAX, &pid) < 0)
                        continue;
                r = w->each(w->ctx, w->group, (pid_t)pid);
                if (r != 0)
                        return r;
        }
        return cgroup_each_child(w->mount, w->group, wants_all, walk_child, (void *)w);
}

int cgroup_each_process(const char *mount, const char *group, cgroup_process_fn each, void *ctx)
{
        return walk_processes(&(struct process_walk) { mount, group, 0, each, ctx });
}
