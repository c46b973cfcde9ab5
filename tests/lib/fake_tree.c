/* SPDX-License-Identifier: MIT */
#include "lib/fake_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fake_tree {
        char root[PATH_MAX / 4];
        char mount[PATH_MAX / 2];
        bool is_borrowed;
        unsigned n_put_away;
};

static _Noreturn void die(const char *what, const char *path)
{
        fprintf(stderr, "fake_tree: could not %s %s: %s\n", what, path, strerror(errno));
        abort();
}

static void full_path(const struct fake_tree *t, const char *path, char ret[PATH_MAX])
{
        int n = snprintf(ret, PATH_MAX, "%s/%s", t->root, path);
        if (n < 0 || n >= PATH_MAX) {
                errno = ENAMETOOLONG;
                die("name", path);
        }
}

/* Makes the directories of @path up to @end. */
static void make_directories(const char *path, const char *end)
{
        char part[PATH_MAX];

        for (const char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
                const char *stop = slash && slash < end ? slash : end;
                memcpy(part, path, (size_t)(stop - path));
                part[stop - path] = '\0';
                if (mkdir(part, 0755) < 0 && errno != EEXIST)
                        die("make", part);
                if (stop == end)
                        return;
        }
}

struct fake_tree *fake_tree_new(void)
{
        return fake_tree_new_in(NULL);
}

struct fake_tree *fake_tree_new_in(const char *parent)
{
        struct fake_tree *t = calloc(1, sizeof *t);

        if (!t)
                die("allocate", "a tree");
        if (!parent)
                parent = getenv("TMPDIR");
        /* As what it stands for, it is best in memory: no test waits for a disk. */
        if ((!parent || parent[0] != '/') && access("/dev/shm", W_OK | X_OK) == 0)
                parent = "/dev/shm";
        if (!parent || parent[0] != '/')
                parent = "/tmp";
        int n = snprintf(t->root, sizeof t->root, "%s/coalloc-tree-XXXXXX", parent);
        if (n < 0 || (size_t)n >= sizeof t->root || !mkdtemp(t->root))
                die("make a directory in", parent);
        snprintf(t->mount, sizeof t->mount, "%s/sys/fs/cgroup", t->root);

        fake_tree_lay_out(t, &(struct fake_host) { .n_cpus = 4 });
        return t;
}

void fake_tree_lay_out(struct fake_tree *t, const struct fake_host *host)
{
        fake_tree_host(t, host);
        fake_tree_write(t, "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
        fake_tree_write(t, "sys/fs/cgroup/cgroup.subtree_control", "cpu memory pids\n");
        fake_tree_write(t, "sys/fs/cgroup/cpu.stat",
                        "usage_usec 0\nuser_usec 0\nsystem_usec 0\ncore_sched.force_idle_usec 0\n");
}

struct fake_tree *fake_tree_open(const char *root)
{
        struct fake_tree *t = calloc(1, sizeof *t);

        if (!t)
                die("allocate", "a tree");
        int n = snprintf(t->root, sizeof t->root, "%s", root);
        if (n < 0 || (size_t)n >= sizeof t->root)
                die("name", root);
        snprintf(t->mount, sizeof t->mount, "%s/sys/fs/cgroup", t->root);
        t->is_borrowed = true;
        return t;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
        return remove(path);
}

static void remove_all(const char *path)
{
        if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
                die("remove", path);
}

struct fake_tree *fake_tree_free(struct fake_tree *t)
{
        if (!t)
                return NULL;
        if (!t->is_borrowed)
                remove_all(t->root);
        free(t);
        return NULL;
}

const char *fake_tree_root(const struct fake_tree *t)
{
        return t->root;
}

const char *fake_tree_mount(const struct fake_tree *t)
{
        return t->mount;
}

void fake_tree_write(struct fake_tree *t, const char *path, const char *format, ...)
{
        char *text = NULL;
        va_list ap;

        va_start(ap, format);
        int n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0)
                die("format", path);
        fake_tree_write_bytes(t, path, text, (size_t)n);
        free(text);
}

void fake_tree_write_bytes(struct fake_tree *t, const char *path, const void *data, size_t length)
{
        char full[PATH_MAX];

        full_path(t, path, full);
        /* The new text first, then its length: a reader between the two may see an old tail, which
         * parsers refuse, but never an empty file. */
        int fd = open(full, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0 && errno == ENOENT) {
                make_directories(full, strrchr(full, '/'));
                fd = open(full, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        }
        if (fd < 0 || pwrite(fd, data, length, 0) != (ssize_t)length || ftruncate(fd, (off_t)length) < 0)
                die("write", full);
        (void)close(fd);
}

char *fake_tree_read(const struct fake_tree *t, const char *path, size_t *ret_length)
{
        char full[PATH_MAX];
        struct stat st;

        full_path(t, path, full);
        int fd = open(full, O_RDONLY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
                return NULL;
        if (fd < 0 || fstat(fd, &st) < 0)
                die("open", full);
        char *data = calloc(1, (size_t)st.st_size + 1);
        if (!data || pread(fd, data, (size_t)st.st_size, 0) != st.st_size)
                die("read", full);
        (void)close(fd);
        if (ret_length)
                *ret_length = (size_t)st.st_size;
        return data;
}

bool fake_tree_exists(const struct fake_tree *t, const char *path)
{
        char full[PATH_MAX];

        full_path(t, path, full);
        return faccessat(AT_FDCWD, full, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void fake_tree_mkdir(struct fake_tree *t, const char *path)
{
        char full[PATH_MAX];

        full_path(t, path, full);
        make_directories(full, full + strlen(full));
}

void fake_tree_remove(struct fake_tree *t, const char *path)
{
        char full[PATH_MAX];

        full_path(t, path, full);
        remove_all(full);
}

void fake_tree_put_away(struct fake_tree *t, const char *path)
{
        char full[PATH_MAX], gone[PATH_MAX];

        full_path(t, path, full);
        full_path(t, "put-away", gone);
        if (mkdir(gone, 0755) < 0 && errno != EEXIST)
                die("make", gone);
        snprintf(gone + strlen(gone), sizeof gone - strlen(gone), "/%u", t->n_put_away++);
        if (renameat2(AT_FDCWD, full, AT_FDCWD, gone, 0) < 0 && errno != ENOENT)
                die("put away", full);
}

void fake_tree_host(struct fake_tree *t, const struct fake_host *host)
{
        const unsigned last = host->n_cpus - 1;
        char list[32];

        if (host->n_cpus < 2)
                snprintf(list, sizeof list, "0");
        else
                snprintf(list, sizeof list, "0-%u", last);
        fake_tree_write(t, "sys/devices/system/cpu/online", "%s\n", list);
        fake_tree_write(t, "sys/fs/cgroup/cpuset.cpus.effective", "%s\n", list);
        fake_tree_write(t, "proc/stat",
                        "cpu  %" PRIu64 " 0 0 0 0 0 0 %" PRIu64 " 0 0\n"
                        "cpu0 %" PRIu64 " 0 0 0 0 0 0 %" PRIu64 " 0 0\n"
                        "intr 0\nctxt 0\nbtime 0\nprocesses 1\n",
                        host->busy_usec / 10000, host->steal_usec / 10000,
                        host->busy_usec / 10000, host->steal_usec / 10000);
        if (host->has_no_pressure)
                fake_tree_remove(t, "proc/pressure");
        else
                fake_tree_write(t, "proc/pressure/cpu",
                                "some avg10=0.00 avg60=0.00 avg300=0.00 total=%" PRIu64 "\n"
                                "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
                                host->stalled_usec);
}

#define UNIT_FILE(name) \
        (snprintf(path, sizeof path, "sys/fs/cgroup/%s/%s", group, name), path)

void fake_tree_counters(struct fake_tree *t, const char *group, const struct fake_unit *unit)
{
        char path[PATH_MAX];

        if (unit->is_garbled)
                fake_tree_write(t, UNIT_FILE("cpu.stat"), "nonsense\n");
        else if (unit->has_no_controller)
                fake_tree_write(t, UNIT_FILE("cpu.stat"),
                                "usage_usec %" PRIu64 "\nuser_usec %" PRIu64 "\nsystem_usec 0\n",
                                unit->usage_usec, unit->usage_usec);
        else
                fake_tree_write(t, UNIT_FILE("cpu.stat"),
                                "usage_usec %" PRIu64 "\nuser_usec %" PRIu64 "\nsystem_usec 0\n"
                                "core_sched.force_idle_usec 0\n"
                                "nr_periods %" PRIu64 "\nnr_throttled %" PRIu64 "\n"
                                "throttled_usec %" PRIu64 "\nnr_bursts 0\nburst_usec 0\n",
                                unit->usage_usec, unit->usage_usec, unit->nr_periods,
                                unit->nr_throttled, unit->throttled_usec);
        if (unit->has_no_pressure)
                fake_tree_remove(t, UNIT_FILE("cpu.pressure"));
        else
                fake_tree_write(t, UNIT_FILE("cpu.pressure"),
                                "some avg10=0.00 avg60=0.00 avg300=0.00 total=%" PRIu64 "\n"
                                "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
                                unit->stalled_usec);
}

void fake_tree_unit(struct fake_tree *t, const char *group, const struct fake_unit *unit)
{
        char path[PATH_MAX];

        if (unit->has_no_controller) {
                fake_tree_remove(t, UNIT_FILE("cpu.max"));
                fake_tree_remove(t, UNIT_FILE("cpu.weight"));
                fake_tree_remove(t, UNIT_FILE("cpu.max.burst"));
        } else {
                if (unit->quota_usec_per_sec == 0)
                        fake_tree_write(t, UNIT_FILE("cpu.max"), "max 100000\n");
                else
                        fake_tree_write(t, UNIT_FILE("cpu.max"), "%" PRIu64 " 100000\n",
                                        unit->quota_usec_per_sec / 10);
                fake_tree_write(t, UNIT_FILE("cpu.weight"), "%" PRIu64 "\n",
                                unit->cpu_weight == 0 ? 100 : unit->cpu_weight);
                if (unit->has_no_burst)
                        fake_tree_remove(t, UNIT_FILE("cpu.max.burst"));
                else if (!fake_tree_exists(t, UNIT_FILE("cpu.max.burst")))
                        fake_tree_write(t, UNIT_FILE("cpu.max.burst"), "0\n");
        }
        fake_tree_write(t, UNIT_FILE("cgroup.controllers"), "%s\n",
                        unit->has_no_controller ? "memory pids" : "cpu memory pids");
        fake_tree_counters(t, group, unit);
}
