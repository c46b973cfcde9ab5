/* SPDX-License-Identifier: MIT */

#include "platform/history_db.h"

#include "lib/fake_tree.h"
#include "lib/testing.h"
#include "platform/history_tables.h"
#include "platform/history_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#define N_SERVICES 3
#define DAY_USEC (UINT64_C(86400) * 1000000)

static struct fake_tree *tree;
static char *path;

static void setup(void)
{
        tree = fake_tree_new();
        ck_assert_int_gt(asprintf(&path, "%s/var/lib/coalloc/" HISTORY_DB_NAME, fake_tree_root(tree)), 0);
        fake_tree_mkdir(tree, "var/lib");
}

static void teardown(void)
{
        free(path);
        tree = fake_tree_free(tree);
}

/* An epoch of some services, its numbers drawn from the generator. */
static struct history_item *epoch_of(bool is_key, uint64_t time_usec, size_t n_services, struct testing_random *random)
{
        struct history_item *item = history_item_new();
        struct history_epoch *e = history_add(item, HISTORY_EPOCHS);

        e->is_key = is_key;
        e->time_usec = time_usec;
        e->n_services = (uint32_t)n_services;
        e->v_before = is_key ? NAN : testing_random_double(random, 0, 9);
        e->v_after = 0.1;
        e->shadow_price = INFINITY;
        e->digest = testing_random_u64(random);
        strcpy(e->mode, "enforce");
        strcpy(e->tier, "congested");
        for (size_t i = 0; i < n_services; i++) {
                struct history_service *s = history_add(item, HISTORY_SERVICES);

                s->position = (uint32_t)i;
                s->came_from = is_key ? HISTORY_NONE : (uint32_t)i;
                s->used_usec = (double)testing_random_int(random, 0, 15000000);
                s->use_peak_milli = testing_random_double(random, 0, 4000);
                s->need_milli = testing_random_double(random, 0, 4000);
                s->load_milli = 1.0 / 3 * (double)i;
                s->alloc_milli = i == 1 ? -1 : testing_random_int(random, 0, 4000);
                s->quota_milli = i == 0 ? INT64_MAX : 1500;
                s->quota_before_milli = i == 0 ? 10 : INT64_MAX;
                s->coalition = i == 2 ? HISTORY_NONE : 0;
                s->slice = 0;
                if (is_key) {
                        struct history_state *state = history_add(item, HISTORY_STATES);

                        state->position = (uint32_t)i;
                        state->max_milli = i == 0 ? INFINITY : 2000;
                        state->credit = -1.0 / 7;
                        state->recent_0_milli = -1;
                        ck_assert_int_gt(asprintf(&state->unit_name, "shop-%zu.slice", i), 0);
                        ck_assert_int_gt(asprintf(&state->service_name, "s%zu", i), 0);
                }
        }
        if (is_key) {
                struct history_frame *f = history_add(item, HISTORY_FRAMES);
                struct history_path *p = history_add(item, HISTORY_PATHS);
                struct history_path_member *m = history_add(item, HISTORY_PATH_MEMBERS);

                f->step_max = 1;
                f->price_hour = NAN;
                p->name = strdup("buy");
                p->weight = 2;
                m->service = (uint32_t)n_services - 1;
        }
        item->graph_number = 7;
        return item;
}

static struct history_db *begin(void)
{
        struct history_db *db = NULL;

        ck_assert_int_eq(history_db_open_for_writing(path, "test", &db), 0);
        return db;
}

static void put(struct history_db *db, struct history_item *item)
{
        ck_assert_int_eq(history_db_put(db, item), 0);
        (void)history_item_free(item);
}

static size_t n_epochs(void)
{
        struct history_rows epochs = { 0 };
        struct history_db *db = NULL;
        size_t n;

        ck_assert_int_eq(history_db_open(path, &db), 0);
        ck_assert_int_eq(history_db_epochs(db, 0, UINT64_MAX, SIZE_MAX, &epochs), 0);
        n = epochs.n;
        history_rows_free(HISTORY_EPOCHS, &epochs);
        (void)history_db_close(db);
        return n;
}

static int64_t ask(const char *sql)
{
        sqlite3_stmt *s;
        sqlite3 *db;
        int64_t answer;

        ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
        ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
        ck_assert_int_eq(sqlite3_step(s), SQLITE_ROW);
        answer = sqlite3_column_int64(s, 0);
        (void)sqlite3_finalize(s);
        (void)sqlite3_close(db);
        return answer;
}

START_TEST(what_was_written_is_read_bit_for_bit)
{
        struct testing_random random = { 1 }, again = { 1 };
        struct history_rows epochs = { 0 }, services = { 0 }, states = { 0 }, frames = { 0 }, paths = { 0 };
        struct history_item *expected[2];
        struct history_db *db = begin();
        struct history_service one;
        uint64_t unit;
        char *name, *section;

        for (int i = 0; i < 2; i++) {
                put(db, epoch_of(i == 0, 1000 + (uint64_t)i, N_SERVICES, &random));
                expected[i] = epoch_of(i == 0, 1000 + (uint64_t)i, N_SERVICES, &again);
        }
        (void)history_db_close(db);

        ck_assert_int_eq(history_db_open(path, &db), 0);
        ck_assert_int_eq(history_db_epochs(db, 0, UINT64_MAX, 10, &epochs), 0);
        ck_assert_uint_eq(epochs.n, 2);
        for (size_t i = 0; i < 2; i++) {
                const struct history_epoch *e = &((struct history_epoch *)epochs.rows)[i];
                const struct history_epoch *wanted = history_item_epoch(expected[i]);
                const struct history_service *s, *w = expected[i]->tables[HISTORY_SERVICES].rows;

                ck_assert_uint_eq(e->id, i + 1);
                ck_assert_uint_eq(e->time_usec, 1000 + i);
                ck_assert(isnan(e->v_before) == (i == 0) && (i == 0 || e->v_before == wanted->v_before));
                ck_assert(e->v_after == 0.1 && isinf(e->shadow_price));
                ck_assert_uint_eq(e->digest, wanted->digest);
                ck_assert_str_eq(e->tier, "congested");
                ck_assert_int_eq(history_db_read(db, HISTORY_SERVICES, e->id, &services), 0);
                ck_assert_uint_eq(services.n, N_SERVICES);
                s = services.rows;
                for (size_t k = 0; k < N_SERVICES; k++) {
                        ck_assert(s[k].used_usec == w[k].used_usec && s[k].need_milli == w[k].need_milli);
                        ck_assert(s[k].load_milli == w[k].load_milli);
                        ck_assert_int_eq(s[k].alloc_milli, w[k].alloc_milli);
                        ck_assert_int_eq(s[k].quota_milli, w[k].quota_milli);
                        ck_assert_int_eq(s[k].quota_before_milli, w[k].quota_before_milli);
                        ck_assert_uint_eq(s[k].coalition, w[k].coalition);
                }
                history_rows_free(HISTORY_SERVICES, &services);
        }
        ck_assert_int_eq(history_db_read(db, HISTORY_STATES, 1, &states), 0);
        ck_assert_uint_eq(states.n, N_SERVICES);
        ck_assert(isinf(((struct history_state *)states.rows)[0].max_milli));
        ck_assert(((struct history_state *)states.rows)[1].credit == -1.0 / 7);
        ck_assert_int_eq(history_db_read(db, HISTORY_FRAMES, 1, &frames), 0);
        ck_assert_uint_eq(frames.n, 1);
        ck_assert(isnan(((struct history_frame *)frames.rows)->price_hour));
        ck_assert_int_eq(history_db_read(db, HISTORY_PATHS, 1, &paths), 0);
        ck_assert_uint_eq(paths.n, 1);
        ck_assert_str_eq(((struct history_path *)paths.rows)->name, "buy");

        ck_assert_int_eq(history_db_find_units(db, "s2", &unit, 1), 1);
        ck_assert_int_eq(history_db_unit(db, unit, &name, &section), 0);
        ck_assert_str_eq(name, "shop-2.slice");
        ck_assert_int_eq(history_db_service(db, 2, unit, &one), 1);
        ck_assert_uint_eq(one.position, 2);
        ck_assert_int_eq(history_db_service(db, 3, unit, &one), 0);
        ck_assert_int_eq(history_db_find_units(db, "nobody", &unit, 1), 0);

        free(name);
        free(section);
        history_rows_free(HISTORY_EPOCHS, &epochs);
        history_rows_free(HISTORY_STATES, &states);
        history_rows_free(HISTORY_FRAMES, &frames);
        history_rows_free(HISTORY_PATHS, &paths);
        for (int i = 0; i < 2; i++)
                (void)history_item_free(expected[i]);
        (void)history_db_close(db);
}
END_TEST

START_TEST(span_and_number_choose_the_newest_epochs)
{
        struct testing_random random = { 1 };
        struct history_rows epochs = { 0 };
        struct history_db *db = begin();

        for (uint64_t i = 0; i < 10; i++)
                put(db, epoch_of(i == 0, 100 + i, 1, &random));
        ck_assert_int_eq(history_db_epochs(db, 102, 107, 3, &epochs), 0);
        ck_assert_uint_eq(epochs.n, 3);
        ck_assert_uint_eq(((struct history_epoch *)epochs.rows)[0].time_usec, 105);
        ck_assert_uint_eq(((struct history_epoch *)epochs.rows)[2].time_usec, 107);
        history_rows_free(HISTORY_EPOCHS, &epochs);
        (void)history_db_close(db);
}
END_TEST

START_TEST(services_keep_their_unit_when_positions_move)
{
        struct testing_random random = { 1 };
        struct history_rows services = { 0 };
        struct history_item *item = epoch_of(false, 2, 1, &random);
        struct history_db *db = begin();
        char *unit, *section;

        put(db, epoch_of(true, 1, 3, &random));
        /* The first two are gone. */
        ((struct history_service *)item->tables[HISTORY_SERVICES].rows)->came_from = 2;
        put(db, item);
        ck_assert_int_eq(history_db_read(db, HISTORY_SERVICES, 2, &services), 0);
        ck_assert_int_eq(history_db_unit(db, ((struct history_service *)services.rows)->unit, &unit, &section), 0);
        ck_assert_str_eq(unit, "shop-2.slice");
        free(unit);
        free(section);
        history_rows_free(HISTORY_SERVICES, &services);
        (void)history_db_close(db);
}
END_TEST

START_TEST(run_begins_with_a_key_and_so_does_what_follows_a_gap)
{
        struct testing_random random = { 1 };
        struct history_item *item = epoch_of(false, 1, 1, &random);
        struct history_db *db = begin();

        ck_assert_int_eq(history_db_put(db, item), -ESTALE);
        put(db, epoch_of(true, 1, 1, &random));
        ck_assert_int_eq(history_db_put(db, item), 0);
        (void)history_item_free(item);
        /* It says that it follows an epoch of two services: that one is not there. */
        item = epoch_of(false, 1, 2, &random);
        ck_assert_int_eq(history_db_put(db, item), -EINVAL);
        (void)history_item_free(item);
        item = epoch_of(false, 1, 1, &random);
        ck_assert_int_eq(history_db_put(db, item), -ESTALE);
        (void)history_item_free(item);
        (void)history_db_close(db);
        ck_assert_uint_eq(n_epochs(), 2);
}
END_TEST

static void trim(struct history_db *db, uint64_t oldest_usec, uint64_t size_max_bytes)
{
        unsigned n = 0;

        while (history_db_trim(db, oldest_usec, size_max_bytes) == 1)
                ck_assert_uint_lt(n++, 100000);
}

START_TEST(what_is_too_old_goes_with_all_that_belongs_to_it)
{
        struct testing_random random = { 1 };
        struct history_db *db = begin();

        for (uint64_t i = 0; i < 200; i++)
                put(db, epoch_of(i % 50 == 0, i, N_SERVICES, &random));
        trim(db, 120, UINT64_MAX);
        (void)history_db_close(db);
        ck_assert_uint_eq(n_epochs(), 80);
        ck_assert_int_eq(ask("SELECT min(epoch) FROM services"), 121);
        ck_assert_int_eq(ask("SELECT count(*) FROM states WHERE epoch < 121"), 0);
        ck_assert_int_eq(ask("SELECT count(*) FROM frames"), 1);
        ck_assert_int_eq(ask("SELECT count(*) FROM units"), N_SERVICES);
        ck_assert_int_eq(ask("SELECT count(*) FROM services JOIN units ON services.unit = units.id"), 80 * N_SERVICES);
}
END_TEST

START_TEST(units_that_no_epoch_names_any_longer_are_forgotten)
{
        struct testing_random random = { 1 };
        struct history_db *db = begin();

        put(db, epoch_of(true, 1, 9, &random));
        for (uint64_t i = 2; i < 300; i++)
                put(db, epoch_of(i % 50 == 2, i, 2, &random));
        trim(db, 250, UINT64_MAX);
        (void)history_db_close(db);
        ck_assert_int_eq(ask("SELECT count(*) FROM units"), 2);
}
END_TEST

START_TEST(file_stays_within_its_size_and_shrinks_to_a_smaller_one)
{
        uint64_t sizes[] = { 1 << 20, 256 << 10 };
        struct testing_random random = { 1 };
        struct history_db *db = begin();
        uint64_t time_usec = 0;
        struct stat st;

        for (size_t k = 0; k < 2; k++) {
                for (unsigned i = 0; i < 700; i++) {
                        put(db, epoch_of(i % 60 == 0, time_usec++, 20, &random));
                        trim(db, 0, sizes[k]);
                }
                ck_assert_int_eq(stat(path, &st), 0);
                /* Its log, of which the file knows only when it is emptied. */
                ck_assert_uint_le((uint64_t)st.st_size, sizes[k] + HISTORY_LOG_MAX_BYTES);
        }
        (void)history_db_close(db);
        ck_assert_int_eq(stat(path, &st), 0);
        ck_assert_uint_le((uint64_t)st.st_size, sizes[1] + (64 << 10));
        ck_assert_uint_gt(n_epochs(), 50);
        ck_assert_int_eq(ask("PRAGMA auto_vacuum"), 2);
}
END_TEST

START_TEST(reader_that_never_ends_bounds_the_log_and_then_the_record)
{
        struct testing_random random = { 1 };
        struct history_db *db = begin();
        struct history_item *item;
        char *log = NULL;
        sqlite3 *other;
        struct stat st;
        unsigned n = 0;
        int r;

        put(db, epoch_of(true, 1, 100, &random));
        ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
        ck_assert_int_eq(sqlite3_exec(other, "BEGIN; SELECT * FROM epochs", NULL, NULL, NULL), SQLITE_OK);
        do {
                item = epoch_of(false, 2, 100, &random);
                r = history_db_put(db, item);
                (void)history_item_free(item);
                ck_assert_uint_lt(n++, 10000);
        } while (r == 0);
        ck_assert_int_eq(r, -EBUSY);
        ck_assert_int_gt(asprintf(&log, "%s-wal", path), 0);
        ck_assert_int_eq(stat(log, &st), 0);
        ck_assert_uint_le((uint64_t)st.st_size, HISTORY_LOG_MAX_BYTES + (256 << 10));
        ck_assert_int_eq(sqlite3_close_v2(other), SQLITE_OK);
        put(db, epoch_of(false, 3, 100, &random));
        (void)history_db_close(db);
        free(log);
}
END_TEST

/* ---- damage --------------------------------------------------------------------------------------- */

START_TEST(file_of_somebody_else_is_no_record)
{
        struct history_db *db = NULL;
        sqlite3 *other;

        fake_tree_mkdir(tree, "var/lib/coalloc");
        ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
        ck_assert_int_eq(sqlite3_exec(other, "CREATE TABLE epochs (id)", NULL, NULL, NULL), SQLITE_OK);
        ck_assert_int_eq(sqlite3_close(other), SQLITE_OK);
        ck_assert_int_eq(history_db_open(path, &db), -EBADMSG);
        ck_assert_int_eq(history_db_open_for_writing(path, "test", &db), -EBADMSG);
}
END_TEST

START_TEST(newer_version_is_told_from_damage)
{
        struct history_db *db = begin();

        (void)history_db_close(db);
        sqlite3 *other;
        ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
        ck_assert_int_eq(sqlite3_exec(other, "PRAGMA user_version = 2", NULL, NULL, NULL), SQLITE_OK);
        ck_assert_int_eq(sqlite3_close(other), SQLITE_OK);
        ck_assert_int_eq(history_db_open(path, &db), -EPROTONOSUPPORT);
        ck_assert_int_eq(history_db_open_for_writing(path, "test", &db), -EPROTONOSUPPORT);
}
END_TEST

START_TEST(table_that_would_run_something_is_refused)
{
        static const char *const changes[] = {
                "DROP TABLE epochs; CREATE VIEW epochs AS SELECT 1 AS id",
                "DROP TABLE waits; CREATE TABLE waits (graph INTEGER, position INTEGER, caller INTEGER, callee INTEGER, "
                "weight REAL AS (abs(graph)), PRIMARY KEY (graph, position)) WITHOUT ROWID",
                "DROP TABLE units",
        };

        for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
                struct history_db *db = begin();
                sqlite3 *other;

                (void)history_db_close(db);
                db = NULL;
                ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
                ck_assert_int_eq(sqlite3_exec(other, changes[i], NULL, NULL, NULL), SQLITE_OK);
                ck_assert_int_eq(sqlite3_close(other), SQLITE_OK);
                ck_assert_int_eq(history_db_open(path, &db), -EBADMSG);
                fake_tree_remove(tree, "var/lib/coalloc");
        }
}
END_TEST

START_TEST(only_the_last_damaged_record_is_kept)
{
        char *names[2], *log;

        fake_tree_write(tree, "var/lib/coalloc/history.db.damaged-20200101T000000Z", "old");
        fake_tree_write(tree, "var/lib/coalloc/history.db.damaged-20200101T000000Z-wal", "old");
        for (int i = 0; i < 2; i++) {
                fake_tree_write(tree, "var/lib/coalloc/history.db", "damaged %d", i);
                fake_tree_write(tree, "var/lib/coalloc/history.db-wal", "log");
                fake_tree_write(tree, "var/lib/coalloc/history.db-shm", "index");
                ck_assert_int_eq(history_db_put_aside(path, &names[i]), 0);
                ck_assert(!fake_tree_exists(tree, "var/lib/coalloc/history.db"));
                ck_assert(!fake_tree_exists(tree, "var/lib/coalloc/history.db-wal"));
                ck_assert(!fake_tree_exists(tree, "var/lib/coalloc/history.db-shm"));
        }
        ck_assert(!fake_tree_exists(tree, "var/lib/coalloc/history.db.damaged-20200101T000000Z"));
        ck_assert_int_eq(access(names[1], F_OK), 0);
        ck_assert_int_gt(asprintf(&log, "%s-wal", names[1]), 0);
        ck_assert_int_eq(access(log, F_OK), 0);
        free(log);
        free(names[0]);
        free(names[1]);
}
END_TEST

/* What a crash leaves, and what a disk may: the files cut or changed anywhere. */
static void harm(const char *name, struct testing_random *random)
{
        size_t length;
        char *bytes = fake_tree_read(tree, name, &length);
        size_t at = (size_t)testing_random_int(random, 0, (int64_t)length);

        ck_assert_ptr_nonnull(bytes);
        if (testing_random_int(random, 0, 2) > 0)
                length = at;
        else
                for (size_t i = at; i < length && i < at + 16; i++)
                        bytes[i] = (char)testing_random_u64(random);
        fake_tree_write_bytes(tree, name, bytes, length);
        free(bytes);
}

/* Nothing that the reader finds may be out of bounds, and of an undamaged log's beginning nothing is missing. */
static void read_all_of_it(struct history_db *db)
{
        struct history_rows epochs = { 0 };

        if (history_db_epochs(db, 0, UINT64_MAX, SIZE_MAX, &epochs) < 0)
                return;
        for (size_t i = 0; i < epochs.n; i++)
                for (enum history_table t = HISTORY_SERVICES; t < _HISTORY_TABLE_MAX; t++) {
                        struct history_rows rows = { 0 };

                        if (history_db_read(db, t, ((struct history_epoch *)epochs.rows)[i].id, &rows) == 0)
                                history_rows_free(t, &rows);
                }
        history_rows_free(HISTORY_EPOCHS, &epochs);
}

START_TEST(record_that_is_cut_anywhere_is_read_or_put_aside_and_goes_on)
{
        static const char file[] = "var/lib/coalloc/history.db", log[] = "var/lib/coalloc/history.db-wal";
        struct testing_random random = { testing_seed() }, content = { 2 };
        struct history_db *db = begin();
        size_t n_file, n_log, n_whole = 0;
        char *file_bytes, *log_bytes;

        for (uint64_t i = 0; i < 60; i++)
                put(db, epoch_of(i % 20 == 0, i, N_SERVICES, &content));
        /* As a crash leaves them: open. */
        file_bytes = fake_tree_read(tree, file, &n_file);
        log_bytes = fake_tree_read(tree, log, &n_log);
        (void)history_db_close(db);
        ck_assert_uint_gt(n_log, 0);

        for (int i = 0; i < 100; i++) {
                bool is_log = testing_random_int(&random, 0, 1) == 0;
                struct history_item *key;
                int r;

                fake_tree_remove(tree, "var/lib/coalloc");
                fake_tree_write_bytes(tree, file, file_bytes, n_file);
                fake_tree_write_bytes(tree, log, log_bytes, n_log);
                harm(is_log ? log : file, &random);
                db = NULL;
                r = history_db_open(path, &db);
                if (r == 0)
                        read_all_of_it(db);
                /* A log that is cut ends where it was whole: the file before it is never lost for that. */
                n_whole += r == 0;
                db = history_db_close(db);

                key = epoch_of(true, 1000, N_SERVICES, &content);
                for (int attempt = 0; attempt < 2; attempt++) {
                        char *name;

                        r = history_db_open_for_writing(path, "test", &db);
                        if (r == 0)
                                r = history_db_put(db, key);
                        if (r == 0)
                                break;
                        ck_assert_int_eq(r, -EBADMSG);
                        db = history_db_close(db);
                        ck_assert_int_eq(attempt, 0);
                        ck_assert_int_eq(history_db_put_aside(path, &name), 0);
                        free(name);
                }
                ck_assert_int_eq(r, 0);
                (void)history_item_free(key);
                db = history_db_close(db);
        }
        ck_assert_uint_gt(n_whole, 0);
        free(file_bytes);
        free(log_bytes);
}
END_TEST

START_TEST(log_that_is_cut_loses_nothing_but_its_end)
{
        static const char log[] = "var/lib/coalloc/history.db-wal";
        struct testing_random random = { testing_seed() }, content = { 2 };
        struct history_db *db = begin();
        size_t n_log, n_before = SIZE_MAX;
        char *log_bytes, *file_bytes;
        size_t n_file;

        for (uint64_t i = 0; i < 40; i++)
                put(db, epoch_of(i == 0, i, N_SERVICES, &content));
        log_bytes = fake_tree_read(tree, log, &n_log);
        file_bytes = fake_tree_read(tree, "var/lib/coalloc/history.db", &n_file);
        (void)history_db_close(db);
        for (size_t length = n_log;; length = (size_t)testing_random_int(&random, 0, (int64_t)length - 1)) {
                struct history_rows epochs = { 0 };

                fake_tree_remove(tree, "var/lib/coalloc");
                fake_tree_write_bytes(tree, "var/lib/coalloc/history.db", file_bytes, n_file);
                fake_tree_write_bytes(tree, log, log_bytes, length);
                db = NULL;
                if (history_db_open(path, &db) < 0)
                        break; /* nothing is left, not even the tables */
                ck_assert_int_eq(history_db_epochs(db, 0, UINT64_MAX, SIZE_MAX, &epochs), 0);
                ck_assert_uint_le(epochs.n, n_before);
                for (size_t i = 0; i < epochs.n; i++) {
                        struct history_rows services = { 0 };

                        ck_assert_uint_eq(((struct history_epoch *)epochs.rows)[i].id, i + 1);
                        ck_assert_int_eq(history_db_read(db, HISTORY_SERVICES, i + 1, &services), 0);
                        ck_assert_uint_eq(services.n, N_SERVICES);
                        history_rows_free(HISTORY_SERVICES, &services);
                }
                n_before = epochs.n;
                history_rows_free(HISTORY_EPOCHS, &epochs);
                (void)history_db_close(db);
                if (length == 0)
                        break;
        }
        ck_assert_uint_ne(n_before, SIZE_MAX);
        free(log_bytes);
        free(file_bytes);
}
END_TEST

/* ---- the document ----------------------------------------------------------------------------------- */

START_TEST(document_names_every_table_and_column)
{
        const struct history_table_schema *table = &history_tables[_i];
        static char text[1 << 16];
        char wanted[128];
        FILE *f = fopen(testing_source_path("doc/history.md"), "re");

        ck_assert_ptr_nonnull(f);
        text[fread(text, 1, sizeof text - 1, f)] = '\0';
        (void)fclose(f);
        /* As a heading, perhaps with others. */
        ck_assert_ptr_nonnull(strstr(text, table->name));
        const char *section = strstr(text, "\n### ");
        for (; section; section = strstr(section + 1, "\n### ")) {
                const char *end = strchr(section + 1, '\n'), *at = strstr(section, table->name);

                if (at && at < end && (at[-1] == ' ') && strchr(",\n", at[strlen(table->name)]))
                        break;
        }
        ck_assert_msg(section, "no section about %s", table->name);
        char *end = strstr(section + 1, "\n### ");
        if (end)
                *end = '\0';
        for (size_t i = 0; i < table->n_columns; i++) {
                snprintf(wanted, sizeof wanted, "`%s`", table->columns[i].name);
                ck_assert_msg(strstr(section, wanted), "%s.%s is not explained", table->name, table->columns[i].name);
        }
}
END_TEST

/* ---- the thread ----------------------------------------------------------------------------------- */

START_TEST(writer_that_is_held_up_drops_what_does_not_fit_and_never_waits)
{
        struct testing_random random = { 1 };
        struct history_writer *w = NULL;
        struct history_news news;
        struct history_db *db = begin();
        sqlite3 *other;
        unsigned n_dropped = 0;

        (void)history_db_close(db);
        ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
        ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        ck_assert_int_eq(history_writer_new(path, "test", &w), 0);
        for (int i = 0; i < HISTORY_QUEUE_MAX + 3; i++)
                n_dropped += history_writer_put(w, epoch_of(true, 1, 1, &random)) == -EAGAIN;
        ck_assert_uint_eq(n_dropped, 3);
        history_writer_news(w, &news);
        ck_assert_uint_eq(news.n_dropped, 3);
        ck_assert(news.needs_key);
        ck_assert_int_eq(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
        ck_assert_int_eq(sqlite3_close(other), SQLITE_OK);
        ck_assert_ptr_null(history_writer_free(w, UINT64_C(60) * 1000000));
        ck_assert_uint_eq(n_epochs(), HISTORY_QUEUE_MAX);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("history_db");
        TCase *t = tcase_create("history_db");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, what_was_written_is_read_bit_for_bit);
        tcase_add_test(t, span_and_number_choose_the_newest_epochs);
        tcase_add_test(t, services_keep_their_unit_when_positions_move);
        tcase_add_test(t, run_begins_with_a_key_and_so_does_what_follows_a_gap);
        tcase_add_test(t, what_is_too_old_goes_with_all_that_belongs_to_it);
        tcase_add_test(t, units_that_no_epoch_names_any_longer_are_forgotten);
        tcase_add_test(t, file_stays_within_its_size_and_shrinks_to_a_smaller_one);
        tcase_add_test(t, reader_that_never_ends_bounds_the_log_and_then_the_record);
        tcase_add_test(t, file_of_somebody_else_is_no_record);
        tcase_add_test(t, newer_version_is_told_from_damage);
        tcase_add_test(t, table_that_would_run_something_is_refused);
        tcase_add_test(t, only_the_last_damaged_record_is_kept);
        tcase_add_test(t, record_that_is_cut_anywhere_is_read_or_put_aside_and_goes_on);
        tcase_add_test(t, log_that_is_cut_loses_nothing_but_its_end);
        tcase_add_loop_test(t, document_names_every_table_and_column, 0, _HISTORY_TABLE_MAX);
        tcase_add_test(t, writer_that_is_held_up_drops_what_does_not_fit_and_never_waits);
        suite_add_tcase(suite, t);
        return testing_run(suite);
}
