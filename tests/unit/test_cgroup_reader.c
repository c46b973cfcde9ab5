/* SPDX-License-Identifier: MIT */
#include "platform/cgroup_reader.h"
#include "platform/cgroup_tree.h"
#include "platform/kernel_file.h"
#include "lib/fake_tree.h"
#include "lib/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

static struct fake_tree *tree;

static void set_up(void)
{
        tree = fake_tree_new();
}

static void tear_down(void)
{
        tree = fake_tree_free(tree);
}

static unsigned count_open_descriptors(void)
{
        unsigned n = 0;
        for (int fd = 0; fd < 256; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

/* ---- reading a unit ----------------------------------------------------------------------------- */

START_TEST(a_sample_holds_what_the_files_say_each_time)
{
        struct cgroup_reader r;
        struct unit_counters c;
        struct kernel_bandwidth b;

        fake_tree_unit(tree, "shop.slice/shop-web.slice", &(struct fake_unit) {
                .usage_usec = 5000000, .nr_periods = 100, .nr_throttled = 7,
                .throttled_usec = 300000, .stalled_usec = 1234 });
        ck_assert_int_eq(cgroup_reader_open(fake_tree_mount(tree), "/shop.slice/shop-web.slice", &r), 0);
        ck_assert_int_eq(cgroup_reader_sample(&r, 77, &c), 0);
        ck_assert_uint_eq(c.at_usec, 77);
        ck_assert_uint_eq(c.usage_usec, 5000000);
        ck_assert_uint_eq(c.nr_periods, 100);
        ck_assert_uint_eq(c.nr_throttled, 7);
        ck_assert_uint_eq(c.throttled_usec, 300000);
        ck_assert_uint_eq(c.stalled_usec, 1234);
        ck_assert(c.has_bandwidth);
        ck_assert(c.has_pressure);
        ck_assert_int_eq(cgroup_reader_bandwidth(&r, &b), 0);
        ck_assert_uint_eq(b.nr_periods, 100);
        ck_assert_uint_eq(b.nr_throttled, 7);

        /* Longer text, then shorter: also counters that went backwards are what the file says. */
        fake_tree_unit(tree, "shop.slice/shop-web.slice", &(struct fake_unit) {
                .usage_usec = 123456789012, .stalled_usec = 99999999999 });
        ck_assert_int_eq(cgroup_reader_sample(&r, 78, &c), 0);
        ck_assert_uint_eq(c.usage_usec, 123456789012);
        ck_assert_uint_eq(c.stalled_usec, 99999999999);
        fake_tree_unit(tree, "shop.slice/shop-web.slice", &(struct fake_unit) { .usage_usec = 3 });
        ck_assert_int_eq(cgroup_reader_sample(&r, 79, &c), 0);
        ck_assert_uint_eq(c.usage_usec, 3);
        cgroup_reader_close(&r);
}
END_TEST

START_TEST(a_controller_that_goes_takes_the_bandwidth_counters_and_the_limits_with_it)
{
        struct cgroup_reader r;
        struct unit_counters c;
        struct cgroup_limits l;

        fake_tree_unit(tree, "a.slice", &(struct fake_unit) {
                .usage_usec = 10, .quota_usec_per_sec = 1500000, .cpu_weight = 250 });
        ck_assert_int_eq(cgroup_reader_open(fake_tree_mount(tree), "/a.slice", &r), 0);
        ck_assert_int_eq(cgroup_reader_limits(&r, &l), 0);
        ck_assert(l.has_cpu_controller);
        ck_assert_uint_eq(l.quota_usec_per_sec, 1500000);
        ck_assert_uint_eq(l.period_usec, 100000);
        ck_assert_uint_eq(l.cpu_weight, 250);

        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { .usage_usec = 20, .has_no_controller = true });
        ck_assert_int_eq(cgroup_reader_sample(&r, 1, &c), 0);
        ck_assert_uint_eq(c.usage_usec, 20);
        ck_assert(!c.has_bandwidth);
        ck_assert_int_eq(cgroup_reader_bandwidth(&r, &(struct kernel_bandwidth) { 0 }), -ENODATA);
        ck_assert_int_eq(cgroup_reader_limits(&r, &l), 0);
        ck_assert(!l.has_cpu_controller);
        ck_assert_uint_eq(l.quota_usec_per_sec, UINT64_MAX);
        ck_assert_uint_eq(l.cpu_weight, UINT64_MAX);

        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { .usage_usec = 30 });
        ck_assert_int_eq(cgroup_reader_limits(&r, &l), 0);
        ck_assert(l.has_cpu_controller);
        ck_assert_uint_eq(l.quota_usec_per_sec, UINT64_MAX);
        ck_assert_uint_eq(l.cpu_weight, 100);
        cgroup_reader_close(&r);
}
END_TEST

START_TEST(a_group_without_pressure_is_sampled_without_it)
{
        struct cgroup_reader r;
        struct unit_counters c;

        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { .usage_usec = 10, .has_no_pressure = true });
        ck_assert_int_eq(cgroup_reader_open(fake_tree_mount(tree), "/a.slice", &r), 0);
        ck_assert_int_eq(r.pressure_fd, -1);
        ck_assert_int_eq(cgroup_reader_sample(&r, 1, &c), 0);
        ck_assert_uint_eq(c.usage_usec, 10);
        ck_assert(!c.has_pressure);
        ck_assert_uint_eq(c.stalled_usec, 0);
        cgroup_reader_close(&r);
}
END_TEST

START_TEST(text_that_makes_no_sense_is_a_fault_and_leaves_the_output_alone)
{
        struct cgroup_reader r;
        struct unit_counters c = { .usage_usec = 42 };
        struct cgroup_limits l = { .period_usec = 42 };

        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { 0 });
        ck_assert_int_eq(cgroup_reader_open(fake_tree_mount(tree), "/a.slice", &r), 0);
        fake_tree_write(tree, "sys/fs/cgroup/a.slice/cpu.stat", "usage_usec many\n");
        ck_assert_int_eq(cgroup_reader_sample(&r, 1, &c), -EBADMSG);
        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { 0 });
        fake_tree_write(tree, "sys/fs/cgroup/a.slice/cpu.pressure", "some\n");
        ck_assert_int_eq(cgroup_reader_sample(&r, 1, &c), -EBADMSG);
        ck_assert_uint_eq(c.usage_usec, 42);

        fake_tree_write(tree, "sys/fs/cgroup/a.slice/cpu.weight", "heavy\n");
        ck_assert_int_eq(cgroup_reader_limits(&r, &l), -EBADMSG);
        fake_tree_write(tree, "sys/fs/cgroup/a.slice/cpu.max", "max\n");
        ck_assert_int_eq(cgroup_reader_limits(&r, &l), -EBADMSG);
        ck_assert_uint_eq(l.period_usec, 42);
        cgroup_reader_close(&r);
}
END_TEST

/* Whatever answers: openat2() or, in the test below this one, its stand-in. */
static void check_paths_stay_in_the_tree(void)
{
        static const struct {
                const char *path;
                int error;
        } cases[] = {
                { "/no.slice", -ENOENT },
                { "/a.slice/no.slice", -ENOENT },
                { "/..", -EXDEV },
                { "/a.slice/../../../outside", -EXDEV },
                { "/link.slice", -ELOOP },
                { "/link.slice/inner.slice", -ELOOP },
                { "/a.slice/cpu.stat", -ENOTDIR },
                { "/a.slice/cpu.stat/b.slice", -ENOTDIR },
        };
        static const char *const good[] = { "/a.slice", "a.slice", "//a.slice//", "/a.slice/inner.slice" };
        char outside[4096], link[4096];
        struct cgroup_reader r = CGROUP_READER_CLOSED;

        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { 0 });
        fake_tree_unit(tree, "a.slice/inner.slice", &(struct fake_unit) { 0 });
        fake_tree_write(tree, "outside/cpu.stat", "usage_usec 1\n");
        snprintf(outside, sizeof outside, "%s/outside", fake_tree_root(tree));
        snprintf(link, sizeof link, "%s/link.slice", fake_tree_mount(tree));
        ck_assert_int_eq(symlink(outside, link), 0);

        unsigned n_before = count_open_descriptors();
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                int error = cgroup_reader_open(fake_tree_mount(tree), cases[i].path, &r);
                ck_assert_msg(error == cases[i].error, "%s: %s", cases[i].path, strerror(-error));
                ck_assert_int_eq(r.dir_fd, -1);
        }
        ck_assert_uint_eq(count_open_descriptors(), n_before);

        for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
                ck_assert_int_eq(cgroup_reader_open(fake_tree_mount(tree), good[i], &r), 0);
                cgroup_reader_close(&r);
        }
        /* The root itself, as systemd names it for -.slice. */
        ck_assert_int_eq(cgroup_reader_open(fake_tree_mount(tree), "/", &r), 0);
        cgroup_reader_close(&r);
        ck_assert_int_eq(cgroup_reader_open(fake_tree_mount(tree), "", &r), 0);
        cgroup_reader_close(&r);
        ck_assert_uint_eq(count_open_descriptors(), n_before);
        ck_assert_int_eq(cgroup_reader_open("/nonexistent", "/a.slice", &r), -ENOENT);
}

START_TEST(a_control_group_never_leads_out_of_the_tree)
{
        check_paths_stay_in_the_tree();
}
END_TEST

/* Takes openat2() away from this process, as old kernels and sandboxes do. */
static bool forbid_openat2(int error)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { .len = sizeof code / sizeof code[0], .filter = code };

        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
               prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 &&
               syscall(SYS_openat2, -1, "", NULL, 0) < 0 && errno == error;
}

START_TEST(a_control_group_never_leads_out_where_openat2_is_missing_or_forbidden)
{
        const int error = _i == 0 ? ENOSYS : EPERM;
        int status;

        /* In a child of its own: a filter cannot be taken back. */
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
                if (!forbid_openat2(error))
                        _exit(77);
                check_paths_stay_in_the_tree();
                _exit(0);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
                fprintf(stderr, "# skipped: this kernel takes no seccomp filter\n");
        else
                ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

START_TEST(a_group_made_again_under_the_same_name_has_another_identity)
{
        struct cgroup_reader before, after;

        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { .usage_usec = 10 });
        ck_assert_int_eq(cgroup_reader_open(fake_tree_mount(tree), "/a.slice", &before), 0);
        fake_tree_remove(tree, "sys/fs/cgroup/a.slice");
        ck_assert_int_eq(cgroup_reader_open(fake_tree_mount(tree), "/a.slice", &after), -ENOENT);
        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { .usage_usec = 1 });
        ck_assert_int_eq(cgroup_reader_open(fake_tree_mount(tree), "/a.slice", &after), 0);
        ck_assert(before.inode != after.inode);
        cgroup_reader_close(&before);
        cgroup_reader_close(&after);
}
END_TEST

START_TEST(closing_twice_or_closing_what_was_never_open_is_fine)
{
        struct cgroup_reader r = CGROUP_READER_CLOSED;
        unsigned n_before = count_open_descriptors();

        cgroup_reader_close(&r);
        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { 0 });
        ck_assert_int_eq(cgroup_reader_open(fake_tree_mount(tree), "/a.slice", &r), 0);
        ck_assert_int_eq(fcntl(r.dir_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        ck_assert_int_eq(fcntl(r.stat_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        ck_assert_int_eq(fcntl(r.pressure_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        cgroup_reader_close(&r);
        cgroup_reader_close(&r);
        ck_assert_uint_eq(count_open_descriptors(), n_before);
}
END_TEST

/* ---- the tree ----------------------------------------------------------------------------------- */

START_TEST(the_mode_of_the_hierarchy_is_told_apart)
{
        enum cgroup_mode mode;
        char *mount = NULL;

        ck_assert_int_eq(cgroup_find_mount(fake_tree_root(tree), &mode, &mount), 0);
        ck_assert_int_eq(mode, CGROUP_UNIFIED);
        ck_assert_str_eq(mount, fake_tree_mount(tree));
        free(mount);

        fake_tree_remove(tree, "sys/fs/cgroup");
        fake_tree_mkdir(tree, "sys/fs/cgroup/cpu");
        fake_tree_write(tree, "sys/fs/cgroup/unified/cgroup.controllers", "\n");
        ck_assert_int_eq(cgroup_find_mount(fake_tree_root(tree), &mode, &mount), 0);
        ck_assert_int_eq(mode, CGROUP_HYBRID);
        ck_assert_int_eq(strncmp(mount, fake_tree_mount(tree), strlen(fake_tree_mount(tree))), 0);
        ck_assert_str_eq(mount + strlen(fake_tree_mount(tree)), "/unified");
        free(mount);

        fake_tree_remove(tree, "sys/fs/cgroup/unified");
        ck_assert_int_eq(cgroup_find_mount(fake_tree_root(tree), &mode, &mount), 0);
        ck_assert_int_eq(mode, CGROUP_LEGACY);
        ck_assert_ptr_null(mount);

        fake_tree_remove(tree, "sys/fs/cgroup");
        ck_assert_int_eq(cgroup_find_mount(fake_tree_root(tree), &mode, &mount), 0);
        ck_assert_int_eq(mode, CGROUP_NONE);
        ck_assert_ptr_null(mount);
        ck_assert_str_eq(cgroup_mode_to_string(CGROUP_HYBRID), "hybrid");
}
END_TEST

START_TEST(controllers_are_asked_of_the_group_itself)
{
        fake_tree_unit(tree, "on.slice", &(struct fake_unit) { 0 });
        fake_tree_unit(tree, "off.slice", &(struct fake_unit) { .has_no_controller = true });
        ck_assert_int_eq(cgroup_has_controller(fake_tree_mount(tree), "", "cpu"), 1);
        ck_assert_int_eq(cgroup_has_controller(fake_tree_mount(tree), "/", "rdma"), 0);
        ck_assert_int_eq(cgroup_has_controller(fake_tree_mount(tree), "/on.slice", "cpu"), 1);
        ck_assert_int_eq(cgroup_has_controller(fake_tree_mount(tree), "/off.slice", "cpu"), 0);
        ck_assert_int_eq(cgroup_has_controller(fake_tree_mount(tree), "/no.slice", "cpu"), -ENOENT);
}
END_TEST

START_TEST(what_is_in_a_group_is_bounded_by_it_and_by_all_that_hold_it)
{
        const char *mount = fake_tree_mount(tree);
        uint64_t ceiling_usec_per_sec = 42;

        fake_tree_remove(tree, "sys/fs/cgroup/cpuset.cpus.effective");
        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { 0 });
        fake_tree_unit(tree, "a.slice/b.slice", &(struct fake_unit) { .quota_usec_per_sec = 2500000 });
        ck_assert_int_eq(cgroup_ceiling(mount, "/a.slice", &ceiling_usec_per_sec), 0);
        ck_assert_uint_eq(ceiling_usec_per_sec, UINT64_MAX);
        ck_assert_int_eq(cgroup_ceiling(mount, "/a.slice/b.slice", &ceiling_usec_per_sec), 0);
        ck_assert_uint_eq(ceiling_usec_per_sec, 2500000);

        /* The least of all levels, wherever it is. */
        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { .quota_usec_per_sec = 1200000 });
        ck_assert_int_eq(cgroup_ceiling(mount, "a.slice//b.slice/", &ceiling_usec_per_sec), 0);
        ck_assert_uint_eq(ceiling_usec_per_sec, 1200000);

        fake_tree_write(tree, "sys/fs/cgroup/cpuset.cpus.effective", "0-7\n");
        fake_tree_write(tree, "sys/fs/cgroup/a.slice/b.slice/cpuset.cpus.effective", "5\n");
        ck_assert_int_eq(cgroup_ceiling(mount, "/a.slice/b.slice", &ceiling_usec_per_sec), 0);
        ck_assert_uint_eq(ceiling_usec_per_sec, 1000000);
        ck_assert_int_eq(cgroup_ceiling(mount, "/", &ceiling_usec_per_sec), 0);
        ck_assert_uint_eq(ceiling_usec_per_sec, 8000000);

        ck_assert_int_eq(cgroup_ceiling(mount, "/a.slice/no.slice", &ceiling_usec_per_sec), -ENOENT);
        fake_tree_write(tree, "sys/fs/cgroup/a.slice/cpu.max", "\n");
        ck_assert_int_eq(cgroup_ceiling(mount, "/a.slice/b.slice", &ceiling_usec_per_sec), -EBADMSG);
        ck_assert_uint_eq(ceiling_usec_per_sec, 8000000);
}
END_TEST

START_TEST(cpuset_bounds_a_group_by_cpus)
{
        struct cgroup_reader r;
        uint64_t bound_usec_per_sec = 42;

        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { 0 });
        ck_assert_int_eq(cgroup_reader_open(fake_tree_mount(tree), "/a.slice", &r), 0);
        ck_assert_int_eq(cgroup_cpus(r.dir_fd, &bound_usec_per_sec), 0);
        ck_assert_uint_eq(bound_usec_per_sec, UINT64_MAX);
        fake_tree_write(tree, "sys/fs/cgroup/a.slice/cpuset.cpus.effective", "0,2-3\n");
        ck_assert_int_eq(cgroup_cpus(r.dir_fd, &bound_usec_per_sec), 0);
        ck_assert_uint_eq(bound_usec_per_sec, 3000000);
        fake_tree_write(tree, "sys/fs/cgroup/a.slice/cpuset.cpus.effective", "\n");
        ck_assert_int_eq(cgroup_cpus(r.dir_fd, &bound_usec_per_sec), 0);
        ck_assert_uint_eq(bound_usec_per_sec, UINT64_MAX);
        fake_tree_write(tree, "sys/fs/cgroup/a.slice/cpuset.cpus.effective", "three\n");
        ck_assert_int_eq(cgroup_cpus(r.dir_fd, &bound_usec_per_sec), -EBADMSG);
        ck_assert_uint_eq(bound_usec_per_sec, UINT64_MAX);
        cgroup_reader_close(&r);
}
END_TEST

START_TEST(the_quota_in_force_is_the_least_from_the_root_down)
{
        const char *mount = fake_tree_mount(tree);
        uint64_t least = 42, own = 42;

        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { .quota_usec_per_sec = 1200000 });
        fake_tree_unit(tree, "a.slice/b.slice", &(struct fake_unit) { .quota_usec_per_sec = 2500000 });
        fake_tree_unit(tree, "c.slice", &(struct fake_unit) { .has_no_controller = true });
        ck_assert_int_eq(cgroup_quota(mount, "/a.slice/b.slice", &least, &own), 0);
        ck_assert_uint_eq(least, 1200000);
        ck_assert_uint_eq(own, 2500000);
        ck_assert_int_eq(cgroup_quota(mount, "/a.slice", &least, &own), 0);
        ck_assert_uint_eq(least, 1200000);
        ck_assert_uint_eq(own, 1200000);
        ck_assert_int_eq(cgroup_quota(mount, "/c.slice", &least, &own), 0);
        ck_assert_uint_eq(least, UINT64_MAX);
        ck_assert_uint_eq(own, UINT64_MAX);
        ck_assert_int_eq(cgroup_quota(mount, "/no.slice", &least, &own), -ENOENT);
}
END_TEST

struct processes {
        char text[256];
        int answer;
};

static int on_process(void *ctx, const char *group, pid_t pid)
{
        struct processes *p = ctx;
        size_t n = strlen(p->text);

        (void)snprintf(p->text + n, sizeof p->text - n, "%s:%d ", group, (int)pid);
        return p->answer;
}

START_TEST(processes_are_those_of_the_group_and_of_all_below)
{
        const char *mount = fake_tree_mount(tree);
        struct processes p = { 0 };

        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { 0 });
        fake_tree_unit(tree, "a.slice/b.service", &(struct fake_unit) { 0 });
        fake_tree_unit(tree, "a.slice/b.service/deep", &(struct fake_unit) { 0 });
        fake_tree_write(tree, "sys/fs/cgroup/a.slice/cgroup.procs", "%s", "");
        /* 0 is a process of a namespace that we are not in. */
        fake_tree_write(tree, "sys/fs/cgroup/a.slice/b.service/cgroup.procs", "12\n0\n-3\nx\n99999999999\n13\n");
        fake_tree_write(tree, "sys/fs/cgroup/a.slice/b.service/deep/cgroup.procs", "2147483647\n");

        ck_assert_int_eq(cgroup_each_process(mount, "/a.slice", on_process, &p), 0);
        ck_assert_str_eq(p.text, "/a.slice/b.service:12 /a.slice/b.service:13 "
                                 "/a.slice/b.service/deep:2147483647 ");

        p = (struct processes) { .answer = 7 };
        ck_assert_int_eq(cgroup_each_process(mount, "/a.slice", on_process, &p), 7);
        ck_assert_str_eq(p.text, "/a.slice/b.service:12 ");
        ck_assert_int_eq(cgroup_each_process(mount, "/no.slice", on_process, &p), -ENOENT);
}
END_TEST

START_TEST(groups_nested_without_end_are_not_followed_for_ever)
{
        char group[1024] = "", path[1200];
        struct processes p = { 0 };

        for (unsigned i = 0; i < 100; i++) {
                size_t n = strlen(group);
                (void)snprintf(group + n, sizeof group - n, "%sd", n > 0 ? "/" : "");
                fake_tree_unit(tree, group, &(struct fake_unit) { 0 });
                (void)snprintf(path, sizeof path, "sys/fs/cgroup/%s/cgroup.procs", group);
                fake_tree_write(tree, path, "%u\n", i == 99 ? 1 : 0);
        }
        ck_assert_int_eq(cgroup_each_process(fake_tree_mount(tree), "/d", on_process, &p), 0);
        ck_assert_str_eq(p.text, "");
}
END_TEST

struct seen {
        const char *not_wanted;
        unsigned n;
        uint64_t usage_sum_usec, weight_sum;
        bool has_without_controller;
        int answer;
};

static bool wants_child(void *ctx, const char *name)
{
        const struct seen *seen = ctx;

        return !seen->not_wanted || strcmp(name, seen->not_wanted) != 0;
}

static int on_child(void *ctx, const struct cgroup_child *child)
{
        struct seen *seen = ctx;

        seen->n++;
        seen->usage_sum_usec += child->usage_usec;
        ck_assert_uint_ne(child->inode, 0);
        if (child->cpu_weight == UINT64_MAX) {
                ck_assert_str_eq(child->name, "off.slice");
                seen->has_without_controller = true;
        } else {
                seen->weight_sum += child->cpu_weight;
        }
        return seen->answer;
}

START_TEST(children_are_the_groups_directly_below)
{
        struct seen seen = { 0 };

        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { .usage_usec = 1, .cpu_weight = 10 });
        fake_tree_unit(tree, "b.slice", &(struct fake_unit) { .usage_usec = 20, .cpu_weight = 200 });
        fake_tree_unit(tree, "b.slice/c.slice", &(struct fake_unit) { .usage_usec = 4000, .cpu_weight = 7000 });
        fake_tree_unit(tree, "off.slice", &(struct fake_unit) { .usage_usec = 300, .has_no_controller = true });
        fake_tree_mkdir(tree, "sys/fs/cgroup/going.slice");    /* its files went already */

        ck_assert_int_eq(cgroup_each_child(fake_tree_mount(tree), "", wants_child, on_child, &seen), 0);
        ck_assert_uint_eq(seen.n, 3);
        ck_assert_uint_eq(seen.usage_sum_usec, 321);
        ck_assert_uint_eq(seen.weight_sum, 210);
        ck_assert(seen.has_without_controller);

        seen = (struct seen) { 0 };
        ck_assert_int_eq(cgroup_each_child(fake_tree_mount(tree), "/b.slice", wants_child, on_child, &seen), 0);
        ck_assert_uint_eq(seen.n, 1);
        ck_assert_uint_eq(seen.weight_sum, 7000);

        seen = (struct seen) { .not_wanted = "b.slice" };
        ck_assert_int_eq(cgroup_each_child(fake_tree_mount(tree), "", wants_child, on_child, &seen), 0);
        ck_assert_uint_eq(seen.n, 2);
        ck_assert_uint_eq(seen.usage_sum_usec, 301);

        seen = (struct seen) { .answer = 5 };
        ck_assert_int_eq(cgroup_each_child(fake_tree_mount(tree), "", wants_child, on_child, &seen), 5);
        ck_assert_uint_eq(seen.n, 1);
        ck_assert_int_eq(cgroup_each_child(fake_tree_mount(tree), "/no.slice", wants_child, on_child, &seen), -ENOENT);
}
END_TEST

/* ---- the real kernel ---------------------------------------------------------------------------- */

/* A cgroup of our own in the real v2 tree, or false with a reason on standard error. */
static bool make_real_group(char **ret_mount, char ret_name[64], char ret_path[4096])
{
        enum cgroup_mode mode;
        char *mount = NULL;

        ck_assert_int_eq(cgroup_find_mount("", &mode, &mount), 0);
        if (!mount) {
                fprintf(stderr, "# skipped: no cgroup2 tree here (%s)\n", cgroup_mode_to_string(mode));
                return false;
        }
        snprintf(ret_name, 64, "coalloc-test-%d", (int)getpid());
        snprintf(ret_path, 4096, "%s/%s", mount, ret_name);
        if (mkdir(ret_path, 0755) < 0) {
                fprintf(stderr, "# skipped: may not make a cgroup in %s: %s\n", mount, strerror(errno));
                free(mount);
                return false;
        }
        *ret_mount = mount;
        return true;
}

START_TEST(a_real_cgroup_is_sampled_and_answers_enodev_once_removed)
{
        char name[64], path[4096], *mount = NULL;
        struct cgroup_reader r, again;
        struct unit_counters c = { 0 };
        struct cgroup_limits l = { 0 };

        if (!make_real_group(&mount, name, path))
                return;
        int opened = cgroup_reader_open(mount, name, &r);
        int sampled = opened == 0 ? cgroup_reader_sample(&r, 5, &c) : -1;
        int limited = opened == 0 ? cgroup_reader_limits(&r, &l) : -1;
        ck_assert_int_eq(rmdir(path), 0);       /* before the assertions, so as to leave nothing */

        ck_assert_int_eq(opened, 0);
        ck_assert_int_eq(sampled, 0);
        ck_assert_int_eq(limited, 0);
        ck_assert_uint_eq(c.at_usec, 5);
        ck_assert_uint_eq(c.usage_usec, 0);
        ck_assert_uint_eq(l.quota_usec_per_sec, UINT64_MAX);

        ck_assert_int_eq(cgroup_reader_sample(&r, 6, &c), -ENODEV);
        ck_assert_int_eq(cgroup_reader_limits(&r, &l), -ENODEV);
        ck_assert_int_eq(cgroup_reader_bandwidth(&r, &(struct kernel_bandwidth) { 0 }), -ENODEV);
        ck_assert_int_eq(cgroup_reader_open(mount, name, &again), -ENOENT);

        /* A new one of the same name does not revive the old descriptors. */
        if (mkdir(path, 0755) == 0) {
                int revived = cgroup_reader_sample(&r, 7, &c);
                opened = cgroup_reader_open(mount, name, &again);
                ck_assert_int_eq(rmdir(path), 0);
                ck_assert_int_eq(revived, -ENODEV);
                ck_assert_int_eq(opened, 0);
                ck_assert(again.inode != r.inode);
                cgroup_reader_close(&again);
        }
        cgroup_reader_close(&r);
        free(mount);
}
END_TEST

START_TEST(pressure_switched_off_in_a_real_cgroup_is_not_taken_for_its_end)
{
        char name[64], path[4096], *mount = NULL;
        struct cgroup_reader r;
        struct unit_counters on, off;

        if (!make_real_group(&mount, name, path))
                return;
        ck_assert_int_eq(cgroup_reader_open(mount, name, &r), 0);
        int error_on = cgroup_reader_sample(&r, 1, &on);
        int fd = openat(r.dir_fd, "cgroup.pressure", O_WRONLY | O_CLOEXEC);
        bool is_off = fd >= 0 && write(fd, "0\n", 2) == 2;
        int error_off = cgroup_reader_sample(&r, 2, &off);
        ck_assert_int_eq(rmdir(path), 0);
        if (fd >= 0)
                close(fd);

        ck_assert_int_eq(error_on, 0);
        ck_assert_int_eq(error_off, 0);
        if (is_off && r.pressure_fd >= 0) {
                ck_assert(on.has_pressure);
                ck_assert(!off.has_pressure);
        } else {
                fprintf(stderr, "# skipped: no cgroup.pressure here\n");
        }
        cgroup_reader_close(&r);
        free(mount);
}
END_TEST

START_TEST(the_real_mount_is_a_cgroup2_tree)
{
        enum cgroup_mode mode;
        char *mount = NULL;
        struct statfs fs;

        ck_assert_int_eq(cgroup_find_mount("", &mode, &mount), 0);
        ck_assert_int_eq(mount != NULL, mode == CGROUP_UNIFIED || mode == CGROUP_HYBRID);
        if (mount) {
                ck_assert_int_eq(statfs(mount, &fs), 0);
                ck_assert(fs.f_type == CGROUP2_SUPER_MAGIC);
                /* By definition of hybrid, v1 has the controller. */
                if (mode == CGROUP_HYBRID)
                        ck_assert_int_eq(cgroup_has_controller(mount, "", "cpu"), 0);
        } else {
                fprintf(stderr, "# skipped: no cgroup2 tree here (%s)\n", cgroup_mode_to_string(mode));
        }
        free(mount);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("cgroup_reader");
        TCase *t = tcase_create("cgroup_reader");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_test(t, a_sample_holds_what_the_files_say_each_time);
        tcase_add_test(t, a_controller_that_goes_takes_the_bandwidth_counters_and_the_limits_with_it);
        tcase_add_test(t, a_group_without_pressure_is_sampled_without_it);
        tcase_add_test(t, text_that_makes_no_sense_is_a_fault_and_leaves_the_output_alone);
        tcase_add_test(t, a_control_group_never_leads_out_of_the_tree);
        tcase_add_loop_test(t, a_control_group_never_leads_out_where_openat2_is_missing_or_forbidden, 0, 2);
        tcase_add_test(t, a_group_made_again_under_the_same_name_has_another_identity);
        tcase_add_test(t, closing_twice_or_closing_what_was_never_open_is_fine);
        tcase_add_test(t, the_mode_of_the_hierarchy_is_told_apart);
        tcase_add_test(t, controllers_are_asked_of_the_group_itself);
        tcase_add_test(t, what_is_in_a_group_is_bounded_by_it_and_by_all_that_hold_it);
        tcase_add_test(t, cpuset_bounds_a_group_by_cpus);
        tcase_add_test(t, children_are_the_groups_directly_below);
        tcase_add_test(t, the_quota_in_force_is_the_least_from_the_root_down);
        tcase_add_test(t, processes_are_those_of_the_group_and_of_all_below);
        tcase_add_test(t, groups_nested_without_end_are_not_followed_for_ever);
        suite_add_tcase(s, t);

        TCase *real = tcase_create("real_kernel");
        tcase_add_test(real, a_real_cgroup_is_sampled_and_answers_enodev_once_removed);
        tcase_add_test(real, pressure_switched_off_in_a_real_cgroup_is_not_taken_for_its_end);
        tcase_add_test(real, the_real_mount_is_a_cgroup2_tree);
        suite_add_tcase(s, real);
        return testing_run(s);
}
