/* SPDX-License-Identifier: MIT */
#include "platform/cgroup_burst.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fake_tree.h"
#include "lib/testing.h"
#include "platform/cgroup_reader.h"

#define FILE_OF_A "sys/fs/cgroup/a.slice/cpu.max.burst"

static struct fake_tree *tree;
static struct cgroup_reader reader;

static void setup(void)
{
        tree = fake_tree_new();
        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { .quota_usec_per_sec = 500000 });
        ck_assert_int_eq(cgroup_reader_open(fake_tree_mount(tree), "/a.slice", &reader), 0);
}

static void teardown(void)
{
        cgroup_reader_close(&reader);
        tree = fake_tree_free(tree);
}

START_TEST(what_is_written_is_read_through_the_descriptor_that_is_kept)
{
        struct cgroup_burst burst;

        ck_assert_int_eq(cgroup_burst_read(reader.dir_fd, &burst), 0);
        ck_assert_uint_eq(burst.burst_usec, 0);
        ck_assert_int_eq(cgroup_burst_probe(reader.dir_fd), 0);
        ck_assert_int_eq(cgroup_burst_write(reader.dir_fd, 50000), 0);
        ck_assert_int_eq(cgroup_burst_read(reader.dir_fd, &burst), 0);
        ck_assert_uint_eq(burst.burst_usec, 50000);
        ck_assert_int_eq(cgroup_burst_write(reader.dir_fd, 7), 0);
        char *text = fake_tree_read(tree, FILE_OF_A, NULL);
        ck_assert_str_eq(text, "7\n");
        free(text);
}
END_TEST

START_TEST(a_probe_changes_nothing)
{
        struct cgroup_burst burst;

        fake_tree_write(tree, FILE_OF_A, "1234\n");
        ck_assert_int_eq(cgroup_burst_probe(reader.dir_fd), 0);
        ck_assert_int_eq(cgroup_burst_read(reader.dir_fd, &burst), 0);
        ck_assert_uint_eq(burst.burst_usec, 1234);
}
END_TEST

START_TEST(without_the_file_everything_says_so_and_makes_none)
{
        struct cgroup_burst burst = { .burst_usec = 42 };

        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { .has_no_controller = true });
        ck_assert_int_eq(cgroup_burst_read(reader.dir_fd, &burst), -ENOENT);
        ck_assert_int_eq(cgroup_burst_probe(reader.dir_fd), -ENOENT);
        ck_assert_int_eq(cgroup_burst_write(reader.dir_fd, 1), -ENOENT);
        ck_assert_uint_eq(burst.burst_usec, 42);
        ck_assert(!fake_tree_exists(tree, FILE_OF_A));
}
END_TEST

START_TEST(a_file_that_came_back_is_another_one)
{
        struct cgroup_burst before, after;

        ck_assert_int_eq(cgroup_burst_read(reader.dir_fd, &before), 0);
        fake_tree_put_away(tree, FILE_OF_A);
        fake_tree_unit(tree, "a.slice", &(struct fake_unit) { .quota_usec_per_sec = 500000 });
        ck_assert_int_eq(cgroup_burst_read(reader.dir_fd, &after), 0);
        ck_assert_uint_ne(before.inode, after.inode);
}
END_TEST

static const char *const nonsense[] = { "", "5", "max\n", "-1\n", "1 2\n", "1\n2\n", "99999999999999999999\n" };

START_TEST(text_that_no_kernel_writes_is_a_fault)
{
        struct cgroup_burst burst = { .burst_usec = 42 };

        fake_tree_write(tree, FILE_OF_A, "%s", nonsense[_i]);
        ck_assert_int_eq(cgroup_burst_read(reader.dir_fd, &burst), -EBADMSG);
        ck_assert_uint_eq(burst.burst_usec, 42);
}
END_TEST

START_TEST(a_file_that_may_not_be_written_is_told_by_the_probe)
{
        char path[4200];

        if (geteuid() == 0)
                return;         /* root may write everything */
        snprintf(path, sizeof path, "%s/" FILE_OF_A, fake_tree_root(tree));
        ck_assert_int_eq(chmod(path, 0444), 0);
        ck_assert_int_eq(cgroup_burst_probe(reader.dir_fd), -EACCES);
        ck_assert_int_eq(cgroup_burst_write(reader.dir_fd, 1), -EACCES);
}
END_TEST

START_TEST(kernels_before_6_10_cut_a_burst_to_a_thousandth)
{
        ck_assert(cgroup_burst_is_cut(50, 50000));
        ck_assert(cgroup_burst_is_cut(1, 1999));
        ck_assert(!cgroup_burst_is_cut(51, 50000));
        ck_assert(cgroup_burst_is_cut(0, 999));
        ck_assert(!cgroup_burst_is_cut(0, 1000));       /* somebody's 0 is somebody's */
        ck_assert(!cgroup_burst_is_cut(0, 0));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("cgroup_burst");
        TCase *t = tcase_create("cgroup_burst");
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, what_is_written_is_read_through_the_descriptor_that_is_kept);
        tcase_add_test(t, a_probe_changes_nothing);
        tcase_add_test(t, without_the_file_everything_says_so_and_makes_none);
        tcase_add_test(t, a_file_that_came_back_is_another_one);
        tcase_add_loop_test(t, text_that_no_kernel_writes_is_a_fault, 0, sizeof nonsense / sizeof nonsense[0]);
        tcase_add_test(t, a_file_that_may_not_be_written_is_told_by_the_probe);
        tcase_add_test(t, kernels_before_6_10_cut_a_burst_to_a_thousandth);
        suite_add_tcase(suite, t);
        return testing_run(suite);
}
