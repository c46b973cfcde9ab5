/* SPDX-License-Identifier: MIT */
#include "platform/cgroup_tree.h"
#include "platform/host_cpu.h"
#include "lib/fake_tree.h"
#include "lib/testing.h"

#include <errno.h>
#include <string.h>
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

static struct host_cpu open_fake(void)
{
        struct host_cpu h;
        ck_assert_int_eq(host_cpu_open(fake_tree_root(tree), fake_tree_mount(tree), &h), 0);
        return h;
}

START_TEST(a_sample_counts_busy_and_steal_apart)
{
        struct host_counters c;

        fake_tree_host(tree, &(struct fake_host) {
                .n_cpus = 4, .busy_usec = 90000000, .steal_usec = 5000000, .stalled_usec = 77 });
        struct host_cpu h = open_fake();
        h.ticks_per_sec = 100;
        ck_assert_int_eq(host_cpu_sample(&h, 12, &c), 0);
        ck_assert_uint_eq(c.at_usec, 12);
        ck_assert_uint_eq(c.busy_usec, 90000000);
        ck_assert_uint_eq(c.steal_usec, 5000000);
        ck_assert(c.has_pressure);
        ck_assert_uint_eq(c.stalled_usec, 77);
        ck_assert_double_eq(c.capacity_milli, 4000);

        /* Other grains of the tick, also one that does not divide a second. */
        h.ticks_per_sec = 1024;
        ck_assert_int_eq(host_cpu_sample(&h, 12, &c), 0);
        ck_assert_uint_eq(c.busy_usec, 9000 * 1000000ull / 1024);
        host_cpu_close(&h);
}
END_TEST

START_TEST(hotplug_is_seen_at_the_next_sample)
{
        static const struct {
                const char *online;
                double milli;
                unsigned n_cpus;
        } cases[] = {
                { "0-3", 4000, 4 }, { "0,2-3", 3000, 3 }, { "0", 1000, 1 }, { "0-7", 8000, 8 },
                { "0-2047", 2048000, 2048 },
        };
        struct host_counters c;
        unsigned n_cpus;

        fake_tree_remove(tree, "sys/fs/cgroup/cpuset.cpus.effective");
        struct host_cpu h = open_fake();
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                fake_tree_write(tree, "sys/devices/system/cpu/online", "%s\n", cases[i].online);
                ck_assert_int_eq(host_cpu_sample(&h, 1, &c), 0);
                ck_assert_double_eq(c.capacity_milli, cases[i].milli);
                ck_assert_int_eq(host_cpu_count(&h, &n_cpus), 0);
                ck_assert_uint_eq(n_cpus, cases[i].n_cpus);
        }
        host_cpu_close(&h);
}
END_TEST

START_TEST(the_longest_list_of_cpus_is_counted)
{
        char list[32 * 1024];
        unsigned n_cpus;
        size_t n = 0;

        for (unsigned cpu = 0; cpu < 8192; cpu += 2)
                n += (size_t)snprintf(list + n, sizeof list - n, "%s%u", cpu > 0 ? "," : "", cpu);
        fake_tree_write(tree, "sys/devices/system/cpu/online", "%s\n", list);
        struct host_cpu h = open_fake();
        ck_assert_int_eq(host_cpu_count(&h, &n_cpus), 0);
        ck_assert_uint_eq(n_cpus, 4096);
        host_cpu_close(&h);
}
END_TEST

START_TEST(capacity_is_the_least_of_online_cpuset_and_our_own_limit)
{
        struct host_counters c;
        unsigned n_cpus;

        fake_tree_write(tree, "sys/fs/cgroup/cpuset.cpus.effective", "1-2\n");
        struct host_cpu h = open_fake();
        ck_assert_int_eq(h.max_fd, -1);
        ck_assert_int_eq(host_cpu_sample(&h, 1, &c), 0);
        ck_assert_double_eq(c.capacity_milli, 2000);
        /* The host stays as large as it is. */
        ck_assert_int_eq(host_cpu_count(&h, &n_cpus), 0);
        ck_assert_uint_eq(n_cpus, 4);
        host_cpu_close(&h);

        /* In a container the root that we see has a limit. */
        fake_tree_write(tree, "sys/fs/cgroup/cpu.max", "max 100000\n");
        h = open_fake();
        ck_assert_int_eq(host_cpu_sample(&h, 1, &c), 0);
        ck_assert_double_eq(c.capacity_milli, 2000);
        fake_tree_write(tree, "sys/fs/cgroup/cpu.max", "150000 100000\n");
        ck_assert_int_eq(host_cpu_sample(&h, 1, &c), 0);
        ck_assert_double_eq(c.capacity_milli, 1500);
        fake_tree_write(tree, "sys/fs/cgroup/cpu.max", "950000 100000\n");
        ck_assert_int_eq(host_cpu_sample(&h, 1, &c), 0);
        ck_assert_double_eq(c.capacity_milli, 2000);
        host_cpu_close(&h);
}
END_TEST

START_TEST(a_host_without_pressure_or_cgroup2_is_still_measured)
{
        struct host_counters c;
        struct host_cpu h;

        ck_assert_int_eq(host_cpu_has_pressure(fake_tree_root(tree)), 1);
        fake_tree_host(tree, &(struct fake_host) { .n_cpus = 2, .has_no_pressure = true });
        ck_assert_int_eq(host_cpu_has_pressure(fake_tree_root(tree)), 0);
        ck_assert_int_eq(host_cpu_open(fake_tree_root(tree), NULL, &h), 0);
        ck_assert_int_eq(h.pressure_fd, -1);
        ck_assert_int_eq(h.cpuset_fd, -1);
        ck_assert_int_eq(host_cpu_sample(&h, 1, &c), 0);
        ck_assert(!c.has_pressure);
        ck_assert_double_eq(c.capacity_milli, 2000);
        host_cpu_close(&h);
}
END_TEST

START_TEST(text_that_makes_no_sense_is_a_fault_and_leaves_the_output_alone)
{
        static const struct {
                const char *path, *text;
        } cases[] = {
                { "proc/stat", "cpu  1 2\n" },
                { "proc/stat", "" },
                { "proc/stat", "cpu  18446744073709551615 0 0 0\n" },   /* no tick fits into usec */
                { "sys/devices/system/cpu/online", "\n" },
                { "sys/devices/system/cpu/online", "0-\n" },
                { "sys/fs/cgroup/cpuset.cpus.effective", "\n" },
                { "sys/fs/cgroup/cpu.max", "lots\n" },
                { "proc/pressure/cpu", "none\n" },
        };

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct host_counters c = { .at_usec = 42 };

                fake_tree_host(tree, &(struct fake_host) { .n_cpus = 4 });
                fake_tree_write(tree, "sys/fs/cgroup/cpu.max", "max 100000\n");
                struct host_cpu h = open_fake();
                ck_assert_int_eq(host_cpu_sample(&h, 1, &c), 0);
                c.at_usec = 42;
                fake_tree_write(tree, cases[i].path, "%s", cases[i].text);
                ck_assert_msg(host_cpu_sample(&h, 1, &c) == -EBADMSG, "%s: \"%s\"",
                              cases[i].path, cases[i].text);
                ck_assert_uint_eq(c.at_usec, 42);
                host_cpu_close(&h);
        }
}
END_TEST

START_TEST(a_host_without_its_files_is_refused)
{
        struct host_cpu h = HOST_CPU_CLOSED;

        host_cpu_close(&h);
        fake_tree_remove(tree, "sys/devices/system/cpu/online");
        ck_assert_int_eq(host_cpu_open(fake_tree_root(tree), fake_tree_mount(tree), &h), -ENOENT);
        ck_assert_int_eq(h.stat_fd, -1);
        ck_assert_int_eq(host_cpu_open("/nonexistent", NULL, &h), -ENOENT);
}
END_TEST

START_TEST(the_real_host_has_the_cpus_that_libc_counts)
{
        enum cgroup_mode mode;
        char *mount = NULL;
        struct host_counters a, b;
        struct host_cpu h;
        unsigned n_cpus;

        ck_assert_int_eq(cgroup_find_mount("", &mode, &mount), 0);
        ck_assert_int_eq(host_cpu_open("", mount, &h), 0);
        free(mount);
        ck_assert_int_eq(host_cpu_count(&h, &n_cpus), 0);
        ck_assert_int_eq((long)n_cpus, sysconf(_SC_NPROCESSORS_ONLN));
        ck_assert_int_eq(host_cpu_sample(&h, 1, &a), 0);
        ck_assert(a.capacity_milli > 0 && a.capacity_milli <= n_cpus * 1000.0);
        ck_assert_uint_gt(a.busy_usec, 0);
        ck_assert_int_eq(host_cpu_sample(&h, 2, &b), 0);
        ck_assert_uint_ge(b.busy_usec, a.busy_usec);
        ck_assert_int_eq(a.has_pressure, host_cpu_has_pressure("") == 1);
        host_cpu_close(&h);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("host_cpu");
        TCase *t = tcase_create("host_cpu");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_test(t, a_sample_counts_busy_and_steal_apart);
        tcase_add_test(t, hotplug_is_seen_at_the_next_sample);
        tcase_add_test(t, the_longest_list_of_cpus_is_counted);
        tcase_add_test(t, capacity_is_the_least_of_online_cpuset_and_our_own_limit);
        tcase_add_test(t, a_host_without_pressure_or_cgroup2_is_still_measured);
        tcase_add_test(t, text_that_makes_no_sense_is_a_fault_and_leaves_the_output_alone);
        tcase_add_test(t, a_host_without_its_files_is_refused);
        suite_add_tcase(s, t);

        TCase *real = tcase_create("real_host");
        tcase_add_test(real, the_real_host_has_the_cpus_that_libc_counts);
        suite_add_tcase(s, real);
        return testing_run(s);
}
