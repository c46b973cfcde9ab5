/* SPDX-License-Identifier: MIT */
#include "platform/credit_file.h"

#include "lib/fake_tree.h"
#include "lib/testing.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fake_tree *tree;
static const char *directory;

static void setup(void)
{
        tree = fake_tree_new();
        directory = fake_tree_root(tree);
}

static void teardown(void)
{
        tree = fake_tree_free(tree);
}

static const char example[] = "coalloc-credits 1\n"
                              "shop-db.slice -0.04\n"
                              "shop-web.slice 0.04\n"
                              "checksum 0fe72083801c3ea3\n";

/* A body with the seal that belongs to it; for free(). */
static char *with_checksum(const char *body)
{
        uint64_t hash = 0xcbf29ce484222325u;
        char *text = NULL;

        for (const char *c = body; *c; c++)
                hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
        ck_assert_int_gt(asprintf(&text, "%schecksum %016" PRIx64 "\n", body, hash), 0);
        return text;
}

static void assert_put_aside(const char *text, size_t length)
{
        struct credit_file f = { 0 };
        char *kept;
        size_t n_kept;

        fake_tree_write_bytes(tree, "credits", text, length);
        ck_assert_int_eq(credit_file_load(directory, &f), 1);
        ck_assert_uint_eq(f.n_records, 0);
        ck_assert(!fake_tree_exists(tree, "credits"));
        kept = fake_tree_read(tree, "credits.bad", &n_kept);
        ck_assert_uint_eq(n_kept, length);
        ck_assert_mem_eq(kept, text, length);
        free(kept);
}

START_TEST(the_text_is_as_documented)
{
        struct credit_file f = { 0 };
        char *text;
        size_t length;

        ck_assert_int_eq(credit_file_append(&f, "shop-db.slice", -0.04), 0);
        ck_assert_int_eq(credit_file_append(&f, "shop-job.slice", 0), 0);
        ck_assert_int_eq(credit_file_append(&f, "shop-web.slice", 0.04), 0);
        ck_assert_int_eq(credit_file_format(&f, &text, &length), 0);
        ck_assert_str_eq(text, example);
        ck_assert_uint_eq(length, strlen(text));
        free(text);
        credit_file_done(&f);
}
END_TEST

START_TEST(every_double_comes_back_bit_for_bit)
{
        struct testing_random random = { testing_seed() };
        struct credit_file f = { 0 }, again = { 0 };
        char unit[32];

        for (int i = 0; i < 5000; i++) {
                /* Of every magnitude. */
                double credit = ldexp(testing_random_double(&random, -1, 1), -(int)testing_random_int(&random, 0, 80));
                snprintf(unit, sizeof unit, "u%04d.service", i);
                ck_assert_int_eq(credit_file_append(&f, unit, credit), 0);
        }
        ck_assert_int_eq(credit_file_append(&f, "v1.slice", 1), 0);
        ck_assert_int_eq(credit_file_append(&f, "v2.slice", -1), 0);
        ck_assert_int_eq(credit_file_save(&f, directory), 0);
        ck_assert(!fake_tree_exists(tree, "credits.new"));
        ck_assert_int_eq(credit_file_load(directory, &again), 0);
        ck_assert_uint_eq(again.n_records, f.n_records);
        for (size_t i = 0; i < f.n_records; i++) {
                ck_assert_str_eq(again.records[i].unit, f.records[i].unit);
                ck_assert(again.records[i].credit == f.records[i].credit);
                ck_assert(credit_file_find(&again, f.records[i].unit) == f.records[i].credit);
        }
        ck_assert(credit_file_find(&again, "w.slice") == 0);
        credit_file_done(&again);
        credit_file_done(&f);
}
END_TEST

START_TEST(nothing_to_remember_leaves_no_file)
{
        struct credit_file f = { 0 };

        ck_assert_int_eq(credit_file_load(directory, &f), 0);
        ck_assert_uint_eq(f.n_records, 0);
        ck_assert_int_eq(credit_file_append(&f, "a.slice", 0.5), 0);
        ck_assert_int_eq(credit_file_save(&f, directory), 0);
        ck_assert(fake_tree_exists(tree, "credits"));
        credit_file_done(&f);
        ck_assert_int_eq(credit_file_save(&f, directory), 0);
        ck_assert(!fake_tree_exists(tree, "credits"));
}
END_TEST

START_TEST(what_is_no_credit_of_a_unit_is_refused)
{
        struct credit_file f = { 0 };

        ck_assert_int_eq(credit_file_append(&f, "a", 0.5), -EINVAL);
        ck_assert_int_eq(credit_file_append(&f, "../a.slice", 0.5), -EINVAL);
        ck_assert_int_eq(credit_file_append(&f, "a.slice", nextafter(1, 2)), -EINVAL);
        ck_assert_int_eq(credit_file_append(&f, "a.slice", NAN), -EINVAL);
        ck_assert_int_eq(credit_file_append(&f, "a.slice", -INFINITY), -EINVAL);
        ck_assert_int_eq(credit_file_append(&f, "b.slice", 0.5), 0);
        ck_assert_int_eq(credit_file_append(&f, "b.slice", 0.5), -EINVAL);
        ck_assert_int_eq(credit_file_append(&f, "a.slice", 0.5), -EINVAL);
        ck_assert_uint_eq(f.n_records, 1);
        credit_file_done(&f);
}
END_TEST

START_TEST(a_file_cut_at_any_byte_is_put_aside)
{
        for (size_t n = 0; n < strlen(example); n++)
                assert_put_aside(example, n);
}
END_TEST

START_TEST(no_changed_byte_goes_unseen)
{
        for (size_t i = 0; i < strlen(example); i++)
                for (int bit = 0; bit < 8; bit++) {
                        char text[sizeof example];
                        memcpy(text, example, sizeof example);
                        text[i] ^= (char)(1 << bit);
                        assert_put_aside(text, strlen(example));
                }
}
END_TEST

static const char *const wrong_bodies[] = {
        "",
        "coalloc-credits 2\n",
        "coalloc-units 1\n",
        "coalloc-credits 1\na.slice\n",
        "coalloc-credits 1\na.slice \n",
        "coalloc-credits 1\na.slice 0\n",
        "coalloc-credits 1\na.slice -0\n",
        "coalloc-credits 1\na.slice 0.50\n",
        "coalloc-credits 1\na.slice .5\n",
        "coalloc-credits 1\na.slice +0.5\n",
        "coalloc-credits 1\na.slice 0,5\n",
        "coalloc-credits 1\na.slice  0.5\n",
        "coalloc-credits 1\na.slice 0.5 \n",
        "coalloc-credits 1\na.slice 0.5",
        "coalloc-credits 1\na.slice 0.5\n\n",
        "coalloc-credits 1\na.slice 0x1p-1\n",
        "coalloc-credits 1\na.slice nan\n",
        "coalloc-credits 1\na.slice inf\n",
        "coalloc-credits 1\na.slice 1.0000000000000002\n",
        "coalloc-credits 1\na.slice -2\n",
        "coalloc-credits 1\na.slice 0.3333333333333333333333333333333333\n",
        "coalloc-credits 1\na.slice 0.00000000000000000000000000000000000000001\n",
        "coalloc-credits 1\nb.slice 0.5\na.slice -0.5\n",
        "coalloc-credits 1\na.slice 0.5\na.slice -0.5\n",
        "coalloc-credits 1\n../a.slice 0.5\n",
        "coalloc-credits 1\nweb 0.5\n",
};

START_TEST(a_text_that_we_would_not_have_written_is_put_aside)
{
        char *text = with_checksum(wrong_bodies[_i]);

        assert_put_aside(text, strlen(text));
        free(text);
}
END_TEST

START_TEST(something_else_under_our_name_is_put_aside)
{
        struct credit_file f = { 0 };
        char path[4096];

        snprintf(path, sizeof path, "%s/credits", directory);
        ck_assert_int_eq(mkfifo(path, 0600), 0);
        ck_assert_int_eq(credit_file_load(directory, &f), 1);
        ck_assert_int_eq(symlink("/etc/passwd", path), 0);
        ck_assert_int_eq(credit_file_load(directory, &f), 1);
        fake_tree_write(tree, "credits", "x");
        ck_assert_int_eq(truncate(path, (off_t)CREDIT_FILE_SIZE_MAX * 100), 0);
        ck_assert_int_eq(credit_file_load(directory, &f), 1);
        ck_assert_uint_eq(f.n_records, 0);
}
END_TEST

START_TEST(a_directory_is_made_and_its_loss_is_an_error)
{
        struct credit_file f = { 0 };
        char below[4096];

        snprintf(below, sizeof below, "%s/lib", directory);
        ck_assert_int_eq(credit_file_load(below, &f), 0);
        ck_assert_int_eq(credit_file_append(&f, "a.slice", 0.5), 0);
        ck_assert_int_eq(credit_file_save(&f, below), 0);
        snprintf(below, sizeof below, "%s/gone", directory);
        ck_assert_int_eq(credit_file_save(&f, below), -ENOENT);
        credit_file_done(&f);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("credit_file");
        TCase *t = tcase_create("credit_file");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, the_text_is_as_documented);
        tcase_add_test(t, every_double_comes_back_bit_for_bit);
        tcase_add_test(t, nothing_to_remember_leaves_no_file);
        tcase_add_test(t, what_is_no_credit_of_a_unit_is_refused);
        tcase_add_test(t, a_file_cut_at_any_byte_is_put_aside);
        tcase_add_test(t, no_changed_byte_goes_unseen);
        tcase_add_loop_test(t, a_text_that_we_would_not_have_written_is_put_aside, 0,
                            (int)(sizeof wrong_bodies / sizeof wrong_bodies[0]));
        tcase_add_test(t, something_else_under_our_name_is_put_aside);
        tcase_add_test(t, a_directory_is_made_and_its_loss_is_an_error);
        suite_add_tcase(suite, t);
        return testing_run(suite);
}
