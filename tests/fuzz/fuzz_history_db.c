/* SPDX-License-Identifier: MIT */

/* The reader of the record on any file: it may refuse it, or call it damaged halfway through; it may not crash, hang,
 * nor hand out rows whose texts are not there. */

#include "platform/history_db.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a record with more the first ones tell enough. */
#define EPOCHS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const struct history_rows *rows, enum history_table table)
{
        for (size_t i = 0; i < rows->n; i++) {
                if (table == HISTORY_SLICES && strlen(((struct history_slice *)rows->rows)[i].name) > 1 << 20)
                        abort();
                if (table == HISTORY_PATHS && strlen(((struct history_path *)rows->rows)[i].name) > 1 << 20)
                        abort();
                if (table == HISTORY_FRAMES &&
                    strnlen(((struct history_frame *)rows->rows)[i].last_tier, HISTORY_WORD_MAX) == HISTORY_WORD_MAX)
                        abort();
        }
}

static void read_epoch(struct history_db *db, const struct history_epoch *e)
{
        for (enum history_table t = HISTORY_SERVICES; t < _HISTORY_TABLE_MAX; t++) {
                struct history_rows rows = { 0 };

                if (history_db_read(db, t, t < HISTORY_PATHS ? e->id : e->graph, &rows) < 0)
                        continue;
                look_at(&rows, t);
                for (size_t i = 0; t == HISTORY_SERVICES && i < rows.n; i++) {
                        const struct history_service *s = &((struct history_service *)rows.rows)[i];
                        struct history_service again;
                        char *unit, *service;

                        if (history_db_unit(db, s->unit, &unit, &service) == 0) {
                                free(unit);
                                free(service);
                        }
                        (void)history_db_service(db, e->id, s->unit, &again);
                }
                history_rows_free(t, &rows);
        }
}

static void read_record(const char *path)
{
        struct history_rows epochs = { 0 };
        struct history_db *db = NULL;
        uint64_t units[4];

        if (history_db_open(path, &db) < 0) {
                if (db)
                        abort();        /* untouched on failure */
                return;
        }
        if (history_db_epochs(db, 0, UINT64_MAX, EPOCHS_MAX, &epochs) == 0)
                for (size_t i = 0; i < epochs.n; i++) {
                        const struct history_epoch *e = &((struct history_epoch *)epochs.rows)[i];

                        if (strnlen(e->tier, HISTORY_WORD_MAX) == HISTORY_WORD_MAX)
                                abort();
                        read_epoch(db, e);
                }
        (void)history_db_find_units(db, "web", units, 4);
        history_rows_free(HISTORY_EPOCHS, &epochs);
        (void)history_db_close(db);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *directory = getenv("TMPDIR");
        char path[4096], beside[4104];
        int fd;

        snprintf(path, sizeof path, "%s/coalloc-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : directory ?: "/tmp");
        fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0)
                abort();
        if (write(fd, data, size) != (ssize_t)size)
                abort();
        (void)close(fd);
        read_record(path);
        (void)unlink(path);
        snprintf(beside, sizeof beside, "%s-wal", path);
        (void)unlink(beside);
        snprintf(beside, sizeof beside, "%s-shm", path);
        (void)unlink(beside);
        return 0;
}
