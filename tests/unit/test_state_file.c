/* SPDX-License-Identifier: MIT */
#include "platform/state_file.h"

#include "lib/fake_tree.h"
#include "lib/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

/* One of two buffers that take turns. */
static const char *path_of(const char *name)
{
        static char buffers[2][4096];
        static unsigned turn;
        char *path = buffers[turn++ % 2];
        snprintf(path, sizeof buffers[0], "%s/%s", directory, name);
        return path;
}

static struct state_record *add(struct state_file *s, const char *unit)
{
        struct state_record *record = NULL;
        ck_assert_int_eq(state_file_add(s, unit, false, &record), 0);
        return record;
}

static void fill(struct state_file *s)
{
        struct state_record *record = add(s, "shop-web.slice");
        record->quota = (struct state_value) { .is_ours = true, .prior = UINT64_MAX, .applied = 500000, .intended = 300000 };
        record->weight = (struct state_value) { .is_ours = true, .prior = 80, .applied = 0, .intended = 10000,
                                                .prior_dropin = strdup("# \"quoted\"\\\n[Slice]\n\tCPUWeight=80\n\x01\xc3\xa4\x7f") };
        record = add(s, "run-u7.scope");
        record->is_transient = true;
        record->weight = (struct state_value) { .is_ours = true, .prior = UINT64_MAX, .applied = UINT64_MAX, .intended = 1,
                                                .prior_dropin = strdup("") };
        add(s, "-.slice");
}

static void assert_same_value(const struct state_value *a, const struct state_value *b)
{
        ck_assert_int_eq(a->is_ours, b->is_ours);
        ck_assert_uint_eq(a->prior, b->prior);
        ck_assert_uint_eq(a->applied, b->applied);
        ck_assert_uint_eq(a->intended, b->intended);
        ck_assert_pstr_eq(a->prior_dropin, b->prior_dropin);
}

static void assert_same(const struct state_file *a, const struct state_file *b)
{
        ck_assert_uint_eq(a->n_records, b->n_records);
        ck_assert_int_eq(a->reload_pending, b->reload_pending);
        for (size_t i = 0; i < a->n_records; i++) {
                ck_assert_str_eq(a->records[i].unit, b->records[i].unit);
                ck_assert_int_eq(a->records[i].is_transient, b->records[i].is_transient);
                assert_same_value(&a->records[i].quota, &b->records[i].quota);
                assert_same_value(&a->records[i].weight, &b->records[i].weight);
                assert_same_value(&a->records[i].burst, &b->records[i].burst);
        }
}

START_TEST(what_was_saved_is_loaded_again)
{
        struct state_file s, again;
        ck_assert_int_eq(state_file_load(directory, &s), 0);
        fill(&s);
        s.reload_pending = true;
        ck_assert_int_eq(state_file_save(&s), 0);
        ck_assert(!s.is_dirty);
        ck_assert(!fake_tree_exists(tree, "units.new"));

        ck_assert_int_eq(state_file_load(directory, &again), 0);
        assert_same(&s, &again);
        ck_assert(!again.is_dirty);
        state_file_done(&again);
        state_file_done(&s);
}
END_TEST

START_TEST(the_text_is_as_documented)
{
        struct state_file s = { 0 };
        char *text;
        size_t length;

        fill(&s);
        s.reload_pending = true;
        ck_assert_int_eq(state_file_format(&s, &text, &length), 0);
        ck_assert_str_eq(text,
                         "coalloc-units 1\n"
                         "reload\n"
                         "unit -.slice\n"
                         "unit run-u7.scope transient\n"
                         "weight unset unset 1 \"\"\n"
                         "unit shop-web.slice\n"
                         "quota unset 500000 300000\n"
                         "weight 80 0 10000 \"# \\\"quoted\\\"\\\\\\n[Slice]\\n\\x09CPUWeight=80\\n\\x01\\xc3\\xa4\\x7f\"\n"
                         "checksum 39f71e80e6733db9\n");
        ck_assert_uint_eq(length, strlen(text));
        free(text);
        state_file_done(&s);
}
END_TEST

#define BODY_2 "coalloc-units 2\nunit a.slice\nquota 1 2 3\nburst 0 50000 30000\n"

START_TEST(a_burst_is_kept_and_makes_the_second_version)
{
        struct state_file s = { 0 }, again = { 0 };
        struct state_record *record;
        char *text;
        size_t length;

        ck_assert_int_eq(state_file_add(&s, "a.slice", false, &record), 0);
        record->quota = (struct state_value) { .is_ours = true, .prior = 1, .applied = 2, .intended = 3 };
        record->burst = (struct state_value) { .is_ours = true, .prior = 0, .applied = 50000, .intended = 30000 };
        ck_assert_int_eq(state_file_format(&s, &text, &length), 0);
        ck_assert_int_eq(strncmp(text, BODY_2, strlen(BODY_2)), 0);
        ck_assert_int_eq(state_file_parse(&again, text, length), 0);
        assert_same(&s, &again);
        free(text);
        /* Without the burst it is what older versions read. */
        state_value_clear(&record->burst);
        ck_assert_int_eq(state_file_format(&s, &text, &length), 0);
        ck_assert_int_eq(strncmp(text, "coalloc-units 1\nunit a.slice\nquota 1 2 3\nchecksum ", 49), 0);
        ck_assert_int_eq(state_file_parse(&again, text, length), 0);
        assert_same(&s, &again);
        free(text);
        state_file_done(&again);
        state_file_done(&s);
}
END_TEST

START_TEST(records_are_found_in_any_order_of_adding)
{
        struct testing_random random = { testing_seed() };
        struct state_file s = { 0 };
        bool is_there[500] = { 0 };
        size_t n_there = 0;
        char name[64];

        for (int i = 0; i < 5000; i++) {
                int64_t k = testing_random_int(&random, 0, 499);
                struct state_record *record = NULL;
                snprintf(name, sizeof name, "u%lld.service", (long long)k);
                if (testing_random_int(&random, 0, 2) == 0) {
                        state_file_remove(&s, name);
                        n_there -= is_there[k];
                        is_there[k] = false;
                } else {
                        ck_assert_int_eq(state_file_add(&s, name, false, &record), is_there[k] ? -EEXIST : 0);
                        n_there += !is_there[k];
                        is_there[k] = true;
                }
                ck_assert_uint_eq(s.n_records, n_there);
        }
        for (int k = 0; k < 500; k++) {
                snprintf(name, sizeof name, "u%d.service", k);
                struct state_record *record = state_file_find(&s, name);
                ck_assert_int_eq(record != NULL, is_there[k]);
                if (record)
                        ck_assert_str_eq(record->unit, name);
        }
        state_file_done(&s);
}
END_TEST

START_TEST(a_name_that_is_no_unit_is_refused)
{
        struct state_file s = { 0 };
        struct state_record *record = NULL;
        ck_assert_int_eq(state_file_add(&s, "../../etc/x.service", false, &record), -EINVAL);
        ck_assert_ptr_null(record);
        ck_assert_uint_eq(s.n_records, 0);
}
END_TEST

START_TEST(nothing_to_remember_leaves_no_file)
{
        struct state_file s;
        ck_assert_int_eq(state_file_load(directory, &s), 0);
        add(&s, "a.slice");
        ck_assert_int_eq(state_file_save(&s), 0);
        ck_assert(fake_tree_exists(tree, "units"));
        state_file_remove(&s, "a.slice");
        ck_assert_int_eq(state_file_save(&s), 0);
        ck_assert(!fake_tree_exists(tree, "units"));

        s.is_dirty = true;      /* no file to remove is not an error */
        ck_assert_int_eq(state_file_save(&s), 0);

        s.reload_pending = s.is_dirty = true;   /* a debt is something to remember */
        ck_assert_int_eq(state_file_save(&s), 0);
        state_file_done(&s);
        ck_assert_int_eq(state_file_load(directory, &s), 0);
        ck_assert(s.reload_pending);
        state_file_done(&s);
}
END_TEST

START_TEST(an_unchanged_state_is_not_written)
{
        struct state_file s;
        ck_assert_int_eq(state_file_load(directory, &s), 0);
        add(&s, "a.slice");
        ck_assert_int_eq(state_file_save(&s), 0);
        ck_assert_int_eq(unlink(path_of("units")), 0);
        ck_assert_int_eq(state_file_save(&s), 0);
        ck_assert(!fake_tree_exists(tree, "units"));
        state_file_done(&s);
}
END_TEST

START_TEST(a_missing_directory_is_created)
{
        struct state_file s;
        char *below = strdup(path_of("run-coalloc"));
        ck_assert_int_eq(state_file_load(below, &s), 0);
        ck_assert_uint_eq(s.n_records, 0);
        ck_assert(fake_tree_exists(tree, "run-coalloc"));
        state_file_done(&s);
        free(below);
}
END_TEST

START_TEST(a_failed_load_leaves_the_output_untouched)
{
        struct state_file s = { .n_records = 77 };
        fake_tree_write_bytes(tree, "file", "", 0);
        ck_assert_int_eq(state_file_load(path_of("file"), &s), -ENOTDIR);
        ck_assert_int_eq(state_file_load(path_of("a/b/c"), &s), -ENOENT);
        ck_assert_uint_eq(s.n_records, 77);
}
END_TEST

static void assert_put_aside(const char *text, size_t length)
{
        struct state_file s;
        size_t n_kept;

        fake_tree_write_bytes(tree, "units", text, length);
        ck_assert_int_eq(state_file_load(directory, &s), 1);
        ck_assert_uint_eq(s.n_records, 0);
        ck_assert(!s.reload_pending);
        ck_assert(!fake_tree_exists(tree, "units"));
        char *kept = fake_tree_read(tree, "units.bad", &n_kept);
        ck_assert_ptr_nonnull(kept);
        ck_assert_uint_eq(n_kept, length);
        ck_assert_mem_eq(kept, text, length);
        free(kept);
        state_file_done(&s);
}

START_TEST(a_file_cut_at_any_byte_is_put_aside)
{
        struct state_file s = { 0 };
        char *text;
        size_t length;

        fill(&s);
        ck_assert_int_eq(state_file_format(&s, &text, &length), 0);
        for (size_t n = 0; n < length; n++)
                assert_put_aside(text, n);
        free(text);
        state_file_done(&s);
}
END_TEST

START_TEST(no_changed_byte_goes_unseen)
{
        struct state_file s = { 0 }, parsed = { 0 };
        char *text;
        size_t length;

        fill(&s);
        ck_assert_int_eq(state_file_format(&s, &text, &length), 0);
        for (size_t at = 0; at < length; at++)
                for (int change = 1; change < 256; change++) {
                        text[at] ^= (char)change;
                        ck_assert_int_eq(state_file_parse(&parsed, text, length), -EBADMSG);
                        text[at] ^= (char)change;
                }
        ck_assert_int_eq(state_file_parse(&parsed, text, length), 0);
        assert_same(&s, &parsed);
        state_file_done(&parsed);
        free(text);
        state_file_done(&s);
}
END_TEST

/* The checksum of a body, as the format defines it: written here a second time on purpose. */
static char *with_checksum(const char *body)
{
        uint64_t hash = 14695981039346656037u;
        for (const char *c = body; *c; c++) {
                hash ^= (unsigned char)*c;
                hash *= 1099511628211u;
        }
        char *text;
        ck_assert_int_gt(asprintf(&text, "%schecksum %016llx\n", body, (unsigned long long)hash), 0);
        return text;
}

/* Bodies with a right checksum that are wrong all the same. */
static const char *const wrong_bodies[] = {
        "",
        "\n",
        "coalloc-units 2\n",
        "coalloc-units 1",
        "coalloc-units 1\nreload\nreload\n",
        "coalloc-units 1\nunit\n",
        "coalloc-units 1\nunit \n",
        "coalloc-units 1\nunit a.slice",
        "coalloc-units 1\nunit a.slice \n",
        "coalloc-units 1\nunit a.slice transient \n",
        "coalloc-units 1\nunit a.slice lasting\n",
        "coalloc-units 1\nunit ../../etc/x.service\n",
        "coalloc-units 1\nunit a.target\n",
        "coalloc-units 1\nunit a.slice\nunit a.slice\n",
        "coalloc-units 1\nunit b.slice\nunit a.slice\n",
        "coalloc-units 1\nquota 1 2 3\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 3 4\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 -3\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 +3\n",
        "coalloc-units 1\nunit a.slice\nquota 1  2 3\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 03\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 0x3\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 18446744073709551615\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 18446744073709551616\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 99999999999999999999999999\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 3 \"\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 3 \"a\\\"\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 3 \"a\\q\"\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 3 \"a\\x0\"\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 3 \"a\\x00\"\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 3 \"a\\x41\"\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 3 \"a\tb\"\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 3 \"a\" \n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 3 \"a\" \"b\"\n",
        "coalloc-units 1\nunit a.slice\nquota 1 2 3\nquota 1 2 3\n",
        "coalloc-units 1\nunit a.slice\nweight 1 2 3\nquota 1 2 3\n",
        "coalloc-units 1\nunit a.slice\nweight 1 2 3\nweight 1 2 3\n",
        "coalloc-units 1\nunit a.slice\nshares 1 2 3\n",
        "coalloc-units 1\n\nunit a.slice\n",
        /* A first version has no burst, a second has one at least; always numbers, behind the others. */
        "coalloc-units 1\nunit a.slice\nburst 0 50000 30000\n",
        "coalloc-units 2\nunit a.slice\nquota 1 2 3\n",
        "coalloc-units 3\nunit a.slice\nburst 0 50000 30000\n",
        "coalloc-units 2\nunit a.slice\nburst unset 50000 30000\n",
        "coalloc-units 2\nunit a.slice\nburst 0 50000 unset\n",
        "coalloc-units 2\nunit a.slice\nburst 0 50000 30000 \"\"\n",
        "coalloc-units 2\nunit a.slice\nburst 0 50000 30000\nquota 1 2 3\n",
};

START_TEST(a_text_that_we_would_not_have_written_is_put_aside)
{
        char *text = with_checksum(wrong_bodies[_i]);
        assert_put_aside(text, strlen(text));
        free(text);
}
END_TEST

START_TEST(a_right_text_written_by_hand_is_read)
{
        struct state_file s = { 0 };
        char *text = with_checksum("coalloc-units 1\nunit a.slice\nquota 1 2 18446744073709551614 \"\\\\\"\nunit b.slice\n");
        ck_assert_int_eq(state_file_parse(&s, text, strlen(text)), 0);
        ck_assert_uint_eq(s.n_records, 2);
        ck_assert_uint_eq(s.records[0].quota.intended, UINT64_MAX - 1);
        ck_assert_str_eq(s.records[0].quota.prior_dropin, "\\");
        ck_assert(!s.records[1].quota.is_ours);
        free(text);
        state_file_done(&s);
}
END_TEST

START_TEST(a_unit_name_of_absurd_length_is_put_aside)
{
        char *body = malloc(1 << 20);
        strcpy(body, "coalloc-units 1\nunit ");
        memset(body + strlen("coalloc-units 1\nunit "), 'a', 1000000);
        strcpy(body + strlen("coalloc-units 1\nunit ") + 1000000, ".slice\n");
        char *text = with_checksum(body);
        assert_put_aside(text, strlen(text));
        free(text);
        free(body);
}
END_TEST

START_TEST(something_else_under_our_name_is_put_aside)
{
        struct state_file s;
        const char *path = path_of("units");

        ck_assert_int_eq(mkfifo(path, 0600), 0);
        ck_assert_int_eq(state_file_load(directory, &s), 1);
        state_file_done(&s);

        /* A link is not followed, wherever it leads. */
        ck_assert_int_eq(symlink("/etc/passwd", path_of("units")), 0);
        ck_assert_int_eq(state_file_load(directory, &s), 1);
        state_file_done(&s);

        /* Absurdly large: refused by its size, before a byte is read. */
        int fd = open(path_of("units"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(ftruncate(fd, (off_t)STATE_FILE_SIZE_MAX * 1000), 0);
        close(fd);
        ck_assert_int_eq(state_file_load(directory, &s), 1);
        state_file_done(&s);
}
END_TEST

START_TEST(a_full_disk_leaves_the_old_file_and_the_change_unsaved)
{
        struct state_file s, again;
        char *before, *after;

        ck_assert_int_eq(state_file_load(directory, &s), 0);
        fill(&s);
        ck_assert_int_eq(state_file_save(&s), 0);
        before = fake_tree_read(tree, "units", NULL);

        /* Every length at which the disk can be full. */
        signal(SIGXFSZ, SIG_IGN);
        struct rlimit saved, limit;
        ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &saved), 0);
        add(&s, "new.service");
        for (size_t n = 0; n < strlen(before); n += 7) {
                limit = (struct rlimit) { .rlim_cur = n, .rlim_max = saved.rlim_max };
                ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
                int r = state_file_save(&s);
                ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &saved), 0);
                ck_assert_int_eq(r, -EFBIG);
                ck_assert(s.is_dirty);
                after = fake_tree_read(tree, "units", NULL);
                ck_assert_str_eq(after, before);
                free(after);
                ck_assert(!fake_tree_exists(tree, "units.new"));
        }

        ck_assert_int_eq(state_file_save(&s), 0);
        ck_assert_int_eq(state_file_load(directory, &again), 0);
        assert_same(&s, &again);
        state_file_done(&again);
        state_file_done(&s);
        free(before);
}
END_TEST

START_TEST(a_directory_that_went_away_is_an_error)
{
        struct state_file s;
        char *below = strdup(path_of("gone"));
        ck_assert_int_eq(state_file_load(below, &s), 0);
        ck_assert_int_eq(rmdir(below), 0);
        add(&s, "a.slice");
        ck_assert_int_eq(state_file_save(&s), -ENOENT);
        ck_assert(s.is_dirty);
        state_file_done(&s);
        free(below);
}
END_TEST

START_TEST(a_crash_before_the_rename_leaves_the_old_file)
{
        struct state_file s, again;
        ck_assert_int_eq(state_file_load(directory, &s), 0);
        fill(&s);
        ck_assert_int_eq(state_file_save(&s), 0);

        /* What such a crash leaves: a new file of any length, beside the old one. */
        fake_tree_write_bytes(tree, "units.new", "coalloc-un", 10);
        ck_assert_int_eq(state_file_load(directory, &again), 0);
        assert_same(&s, &again);

        add(&again, "next.slice");
        ck_assert_int_eq(state_file_save(&again), 0);
        ck_assert(!fake_tree_exists(tree, "units.new"));
        ck_assert_ptr_nonnull(state_file_find(&again, "next.slice"));
        state_file_done(&again);
        state_file_done(&s);
}
END_TEST

/* A writer that is killed while it saves again and again: whatever the moment, the file that is there
 * is whole and holds the same number in every record. */
START_TEST(a_kill_at_any_moment_leaves_a_whole_file)
{
        enum { N_KILLS = 20, N_UNITS = 40 };

        for (int i = 0; i < N_KILLS; i++) {
                int ready[2];
                ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
                pid_t pid = fork();
                ck_assert_int_ge(pid, 0);
                if (pid == 0) {
                        struct state_file s;
                        if (state_file_load(directory, &s) != 0)
                                _exit(1);
                        for (uint64_t round = 0;; round++) {
                                for (int k = 0; k < N_UNITS; k++) {
                                        char name[32];
                                        struct state_record *record;
                                        snprintf(name, sizeof name, "u%d.slice", k);
                                        record = state_file_find(&s, name);
                                        if (!record && state_file_add(&s, name, false, &record) < 0)
                                                _exit(1);
                                        record->quota = (struct state_value) { .is_ours = true, .intended = round };
                                }
                                s.is_dirty = true;
                                if (state_file_save(&s) < 0)
                                        _exit(1);
                                if (round >= 2 && write(ready[1], "", 1) != 1)
                                        _exit(1);
                        }
                }
                char byte;
                close(ready[1]);
                /* A different number of rounds each time: the kill falls somewhere else. */
                for (int k = 0; k <= i; k++)
                        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
                kill(pid, SIGKILL);
                int status;
                ck_assert_int_eq(waitpid(pid, &status, 0), pid);
                ck_assert(WIFSIGNALED(status));
                close(ready[0]);

                struct state_file s;
                ck_assert_int_eq(state_file_load(directory, &s), 0);
                ck_assert_uint_eq(s.n_records, N_UNITS);
                for (size_t k = 1; k < s.n_records; k++)
                        ck_assert_uint_eq(s.records[k].quota.intended, s.records[0].quota.intended);
                state_file_done(&s);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("state_file");
        TCase *t = tcase_create("state_file");
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, what_was_saved_is_loaded_again);
        tcase_add_test(t, the_text_is_as_documented);
        tcase_add_test(t, a_burst_is_kept_and_makes_the_second_version);
        tcase_add_test(t, records_are_found_in_any_order_of_adding);
        tcase_add_test(t, a_name_that_is_no_unit_is_refused);
        tcase_add_test(t, nothing_to_remember_leaves_no_file);
        tcase_add_test(t, an_unchanged_state_is_not_written);
        tcase_add_test(t, a_missing_directory_is_created);
        tcase_add_test(t, a_failed_load_leaves_the_output_untouched);
        tcase_add_test(t, a_file_cut_at_any_byte_is_put_aside);
        tcase_add_test(t, no_changed_byte_goes_unseen);
        tcase_add_loop_test(t, a_text_that_we_would_not_have_written_is_put_aside, 0,
                            (int)(sizeof wrong_bodies / sizeof wrong_bodies[0]));
        tcase_add_test(t, a_right_text_written_by_hand_is_read);
        tcase_add_test(t, a_unit_name_of_absurd_length_is_put_aside);
        tcase_add_test(t, something_else_under_our_name_is_put_aside);
        tcase_add_test(t, a_full_disk_leaves_the_old_file_and_the_change_unsaved);
        tcase_add_test(t, a_directory_that_went_away_is_an_error);
        tcase_add_test(t, a_crash_before_the_rename_leaves_the_old_file);
        tcase_add_test(t, a_kill_at_any_moment_leaves_a_whole_file);
        suite_add_tcase(suite, t);
        return testing_run(suite);
}
