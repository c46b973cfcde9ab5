/* SPDX-License-Identifier: MIT */

#include "platform/history_db.h"

#include "platform/history_tables.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#define PAGE_BYTES 4096
/* Epochs that one step of trimming removes: a few milliseconds at a thousand services. */
#define TRIM_EPOCHS 4
/* Pages that one step of shrinking the file moves. */
#define VACUUM_PAGES "64"
/* No epoch of ours has as many rows of a table. */
#define ROWS_MAX 1000000
/* Longest text or row that is read: names are far shorter. */
#define LENGTH_MAX 65536

static const char units_statement[] =
        "CREATE TABLE units (id INTEGER PRIMARY KEY, unit TEXT, service TEXT, seen INTEGER, "
        "UNIQUE (unit, service))";
static const char runs_statement[] =
        "CREATE TABLE runs (id INTEGER PRIMARY KEY, time_usec INTEGER, version TEXT)";

struct history_db {
        sqlite3 *sqlite;
        char *path;
        sqlite3_stmt *select[_HISTORY_TABLE_MAX], *select_service;

        /* writing */
        sqlite3_stmt *insert[_HISTORY_TABLE_MAX];
        sqlite3_stmt *find_unit, *add_unit, *see_unit, *begin, *commit;
        dev_t device;
        ino_t inode;
        uint64_t run, last_epoch, last_graph, graph_number;
        bool needs_key;
        int n_log_pages;
        uint64_t *unit_of, *unit_of_next; /* by position, of the last epoch and of the one under way */
        size_t n_positions, n_positions_next;
};

/* ---- errors ---------------------------------------------------------------------------------------- */

static int error_from(int code)
{
        switch (code & 0xff) {
        case SQLITE_OK:
        case SQLITE_DONE:
        case SQLITE_ROW:
                return 0;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_PROTOCOL:
                return -EBUSY;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_FORMAT:
        /* What does not fit the schema that we just compared, or repeats a key: it is not what we wrote. */
        case SQLITE_CONSTRAINT:
        case SQLITE_MISMATCH:
        case SQLITE_SCHEMA:
        case SQLITE_TOOBIG:
        case SQLITE_ERROR:
                return -EBADMSG;
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_AUTH:
                return -EROFS;
        default:
                return -EIO;
        }
}

static int error_of(struct history_db *db, int code)
{
        int r = error_from(code), system = sqlite3_system_errno(db->sqlite);

        if ((r == -EIO || r == -EROFS) && system == ENOSPC)
                return -ENOSPC;
        /* A page that is not there: the file is shorter than it says. */
        if (code == SQLITE_IOERR_SHORT_READ)
                return -EBADMSG;
        if (r == -EIO && (code & 0xff) == SQLITE_CANTOPEN && system > 0)
                return -system;
        return r;
}

static int run(struct history_db *db, const char *sql)
{
        return error_of(db, sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL));
}

static int prepare(struct history_db *db, const char *sql, sqlite3_stmt **ret)
{
        return error_of(db, sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL));
}

static void statement_done(sqlite3_stmt **s)
{
        (void)sqlite3_finalize(*s);
}
#define _cleanup_statement_ _cleanup_(statement_done)

/* Steps a statement that returns nothing, and makes it ready for the next time. */
static int step(struct history_db *db, sqlite3_stmt *s)
{
        int r = error_of(db, sqlite3_step(s));

        (void)sqlite3_reset(s);
        return r;
}

/* One number that a statement answers; @otherwise where it answers none. */
static int ask(struct history_db *db, const char *sql, int64_t otherwise, int64_t *ret)
{
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r = prepare(db, sql, &s), code;

        if (r < 0)
                return r;
        code = sqlite3_step(s);
        r = error_of(db, code);
        if (r == 0)
                *ret = code == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL ? sqlite3_column_int64(s, 0)
                                                                                     : otherwise;
        return r;
}

/* ---- the schema ------------------------------------------------------------------------------------ */

/* The statement is the one that we would make: a view or a generated column of that name would run what
 * somebody else wrote. */
static int compare_statement(struct history_db *db, sqlite3_stmt *find, const char *name, const char *expected)
{
        const char *text;
        int r, code;

        (void)sqlite3_bind_text(find, 1, name, -1, SQLITE_STATIC);
        code = sqlite3_step(find);
        r = error_of(db, code);
        if (r == 0) {
                text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(find, 0) : NULL;
                r = text && strcmp(text, expected) == 0 ? 0 : -EBADMSG;
        }
        (void)sqlite3_reset(find);
        return r;
}

static int check_schema(struct history_db *db)
{
        _cleanup_statement_ sqlite3_stmt *find = NULL;
        int64_t id, version;
        int r;

        r = ask(db, "PRAGMA application_id", 0, &id);
        if (r == 0 && id != HISTORY_APPLICATION_ID)
                r = -EBADMSG;
        if (r == 0)
                r = ask(db, "PRAGMA user_version", 0, &version);
        if (r < 0)
                return r;
        if (version > HISTORY_VERSION)
                return -EPROTONOSUPPORT;
        if (version != HISTORY_VERSION)
                return -EBADMSG;
        r = prepare(db, "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", &find);
        if (r == 0)
                r = compare_statement(db, find, "units", units_statement);
        if (r == 0)
                r = compare_statement(db, find, "runs", runs_statement);
        for (size_t k = 0; k < _HISTORY_TABLE_MAX && r == 0; k++) {
                _cleanup_free_ char *expected = history_create_statement(&history_tables[k]);

                r = expected ? compare_statement(db, find, history_tables[k].name, expected) : -ENOMEM;
        }
        return r;
}

static int make_schema(struct history_db *db)
{
        char text[128];
        int r = run(db, "BEGIN IMMEDIATE");

        if (r == 0)
                r = run(db, units_statement);
        if (r == 0)
                r = run(db, runs_statement);
        for (size_t k = 0; k < _HISTORY_TABLE_MAX && r == 0; k++) {
                _cleanup_free_ char *statement = history_create_statement(&history_tables[k]);

                r = statement ? run(db, statement) : -ENOMEM;
        }
        (void)snprintf(text, sizeof text, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
                       HISTORY_APPLICATION_ID, HISTORY_VERSION);
        if (r == 0)
                r = run(db, text);
        if (r < 0)
                (void)run(db, "ROLLBACK");
        return r;
}

/* ---- life ------------------------------------------------------------------------------------------ */

struct history_db *history_db_close(struct history_db *db)
{
        if (!db)
                return NULL;
        for (size_t k = 0; k < _HISTORY_TABLE_MAX; k++) {
                (void)sqlite3_finalize(db->insert[k]);
                (void)sqlite3_finalize(db->select[k]);
        }
        (void)sqlite3_finalize(db->select_service);
        (void)sqlite3_finalize(db->find_unit);
        (void)sqlite3_finalize(db->add_unit);
        (void)sqlite3_finalize(db->see_unit);
        (void)sqlite3_finalize(db->begin);
        (void)sqlite3_finalize(db->commit);
        (void)sqlite3_close(db->sqlite);
        free(db->path);
        free(db->unit_of);
        free(db->unit_of_next);
        free(db);
        return NULL;
}

static int open_file(const char *name, int flags, const char *path, struct history_db **ret)
{
        _cleanup_history_db_ struct history_db *db = calloc(1, sizeof *db);
        int code;

        if (!db)
                return -ENOMEM;
        db->path = strdup(path);
        if (!db->path)
                return -ENOMEM;
        code = sqlite3_open_v2(name, &db->sqlite, flags | SQLITE_OPEN_NOMUTEX, NULL);
        if (code != SQLITE_OK)
                return db->sqlite ? error_of(db, code) : -ENOMEM;
        (void)sqlite3_extended_result_codes(db->sqlite, 1);
        /* 120 KiB that would be there for nothing but small allocations. */
        (void)sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
        (void)sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        (void)sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
        (void)sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
        (void)sqlite3_limit(db->sqlite, SQLITE_LIMIT_ATTACHED, 0);
        (void)sqlite3_busy_timeout(db->sqlite, 500);
        *ret = TAKE_PTR(db);
        return 0;
}

/* ---- writing: opening ------------------------------------------------------------------------------- */

/* SQLite as root gives its log the owner of the file, which is root already; the sandbox of coallocd.service
 * ends a process that calls fchown(). */
static int keep_owner(int fd, uid_t uid, gid_t gid)
{
        (void)fd;
        (void)uid;
        (void)gid;
        return 0;
}

static int make_directory_of(const char *path)
{
        _cleanup_free_ char *directory = strdup(path);
        char *slash;

        if (!directory)
                return -ENOMEM;
        slash = strrchr(directory, '/');
        if (!slash || slash == directory)
                return 0;
        *slash = '\0';
        return mkdir(directory, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int on_log_grown(void *userdata, sqlite3 *sqlite, const char *name, int n_pages)
{
        struct history_db *db = userdata;

        (void)sqlite;
        (void)name;
        db->n_log_pages = n_pages;
        return SQLITE_OK;
}

static int prepare_writing(struct history_db *db)
{
        int r = prepare(db, "SELECT id FROM units WHERE unit = ? AND service = ?", &db->find_unit);

        if (r == 0)
                r = prepare(db, "INSERT INTO units (unit, service, seen) VALUES (?, ?, ?)", &db->add_unit);
        if (r == 0)
                r = prepare(db, "UPDATE units SET seen = ?2 WHERE id = ?1", &db->see_unit);
        if (r == 0)
                r = prepare(db, "BEGIN IMMEDIATE", &db->begin);
        if (r == 0)
                r = prepare(db, "COMMIT", &db->commit);
        for (size_t k = 0; k < _HISTORY_TABLE_MAX && r == 0; k++) {
                _cleanup_free_ char *text = NULL;
                size_t length;
                FILE *f = open_memstream(&text, &length);

                if (!f)
                        return -ENOMEM;
                (void)fprintf(f, "INSERT INTO %s VALUES (?", history_tables[k].name);
                for (size_t i = 1; i < history_tables[k].n_columns; i++)
                        (void)fprintf(f, ",?");
                (void)fprintf(f, ")");
                if (fclose(f) != 0)
                        return -ENOMEM;
                r = prepare(db, text, &db->insert[k]);
        }
        return r;
}

static uint64_t now_usec(void)
{
        struct timespec ts;

        (void)clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int begin_run(struct history_db *db, const char *version)
{
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int64_t last_epoch = 0, last_graph = 0;
        int r = prepare(db, "INSERT INTO runs (time_usec, version) VALUES (?, ?)", &s);

        if (r < 0)
                return r;
        (void)sqlite3_bind_int64(s, 1, (sqlite3_int64)now_usec());
        (void)sqlite3_bind_text(s, 2, version, -1, SQLITE_STATIC);
        r = step(db, s);
        if (r < 0)
                return r;
        db->run = (uint64_t)sqlite3_last_insert_rowid(db->sqlite);
        r = ask(db, "SELECT max(id) FROM epochs", 0, &last_epoch);
        /* Not of epochs alone: of the last graph the paths may be all that was not yet trimmed. */
        if (r == 0)
                r = ask(db, "SELECT max(graph) FROM (SELECT max(graph) AS graph FROM epochs UNION ALL SELECT max(graph) FROM paths)",
                        0, &last_graph);
        if (r == 0 && (last_epoch < 0 || last_epoch > INT64_MAX / 2 || last_graph < 0 || last_graph > INT64_MAX / 2))
                r = -EBADMSG;
        db->last_epoch = (uint64_t)last_epoch;
        db->last_graph = (uint64_t)last_graph;
        db->needs_key = true;
        return r;
}

int history_db_open_for_writing(const char *path, const char *version, struct history_db **ret)
{
        _cleanup_history_db_ struct history_db *db = NULL;
        sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
        int64_t n_tables = 0;
        struct stat st;
        int r, keeps_log = 1;

        if (vfs && vfs->iVersion >= 3 && vfs->xSetSystemCall)
                (void)vfs->xSetSystemCall(vfs, "fchown", (sqlite3_syscall_ptr)keep_owner);
        r = make_directory_of(path);
        if (r < 0)
                return r;
        r = open_file(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, path, &db);
        /* Of an existing file these change nothing, and the last one says what is wrong with it. */
        if (r == 0)
                r = run(db, "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA cache_size = -64; "
                            "PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY");
        if (r == 0)
                r = ask(db, "SELECT count(*) FROM sqlite_master", 0, &n_tables);
        if (r < 0)
                return r;
        /* Compared before anything of it is changed: a newer version's file stays as it is. */
        if (n_tables > 0) {
                r = check_schema(db);
                if (r < 0)
                        return r;
        }
        /* NORMAL: a commit does not wait for the disk, only a checkpoint does; nothing is lost but the end. */
        r = run(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 0");
        if (r == 0 && n_tables == 0)
                r = make_schema(db);
        if (r < 0)
                return r;
        /* Without log and index beside it nobody but root could read it while we are not running. */
        (void)sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_PERSIST_WAL, &keeps_log);
        (void)sqlite3_wal_hook(db->sqlite, on_log_grown, db);
        r = begin_run(db, version);
        if (r == 0)
                r = prepare_writing(db);
        if (r < 0)
                return r;
        if (stat(path, &st) < 0)
                return -errno;
        db->device = st.st_dev;
        db->inode = st.st_ino;
        *ret = TAKE_PTR(db);
        return 0;
}

static void remove_put_aside(const char *directory, const char *prefix)
{
        DIR *dir = opendir(directory);
        struct dirent *entry;

        if (!dir)
                return;
        while ((entry = readdir(dir)))
                if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
                        (void)unlinkat(dirfd(dir), entry->d_name, 0);
        (void)closedir(dir);
}

int history_db_put_aside(const char *path, char **ret_name)
{
        _cleanup_free_ char *directory = strdup(path), *prefix = NULL, *name = NULL, *log = NULL, *log_aside = NULL,
                            *index = NULL;
        time_t now = (time_t)(now_usec() / 1000000);
        char stamp[32], *slash;
        struct tm tm;

        if (!directory || !gmtime_r(&now, &tm))
                return -ENOMEM;
        slash = strrchr(directory, '/');
        if (!slash)
                return -EINVAL;
        (void)strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
        if (asprintf(&prefix, "%s.damaged-", slash + 1) < 0)
                prefix = NULL;
        if (asprintf(&name, "%s.damaged-%s", path, stamp) < 0)
                name = NULL;
        if (asprintf(&log, "%s-wal", path) < 0)
                log = NULL;
        if (name && asprintf(&log_aside, "%s-wal", name) < 0)
                log_aside = NULL;
        if (asprintf(&index, "%s-shm", path) < 0)
                index = NULL;
        if (!prefix || !name || !log || !log_aside || !index)
                return -ENOMEM;
        *slash = '\0';
        remove_put_aside(*directory ? directory : "/", prefix);
        if (rename(path, name) < 0)
                return -errno;
        /* The log belongs to it: what is to be saved of it may be in there. The index follows from both. */
        if (rename(log, log_aside) < 0 && errno != ENOENT)
                return -errno;
        if (unlink(index) < 0 && errno != ENOENT)
                return -errno;
        *ret_name = TAKE_PTR(name);
        return 0;
}

/* ---- writing: rows ---------------------------------------------------------------------------------- */

static void bind_field(sqlite3_stmt *s, int i, enum history_type type, const void *field)
{
        switch (type) {
        case HISTORY_BOOL:
                (void)sqlite3_bind_int(s, i, *(const bool *)field);
                break;
        case HISTORY_U32:
                (void)sqlite3_bind_int64(s, i, *(const uint32_t *)field);
                break;
        case HISTORY_INDEX:
                if (*(const uint32_t *)field == HISTORY_NONE)
                        (void)sqlite3_bind_null(s, i);
                else
                        (void)sqlite3_bind_int64(s, i, *(const uint32_t *)field);
                break;
        case HISTORY_U64:
        case HISTORY_I64:
                (void)sqlite3_bind_int64(s, i, *(const int64_t *)field);
                break;
        case HISTORY_MILLI:
                if (*(const int64_t *)field == INT64_MAX)
                        (void)sqlite3_bind_null(s, i);
                else
                        (void)sqlite3_bind_int64(s, i, *(const int64_t *)field);
                break;
        case HISTORY_REAL:
                /* NAN becomes NULL. */
                (void)sqlite3_bind_double(s, i, *(const double *)field);
                break;
        case HISTORY_WORD:
                (void)sqlite3_bind_text(s, i, field, -1, SQLITE_STATIC);
                break;
        case HISTORY_TEXT:
                (void)sqlite3_bind_text(s, i, *(char *const *)field, -1, SQLITE_STATIC);
                break;
        }
}

/* What is out of memory in between is told by the step: a column that is not bound is NULL, and keys may not be. */
static int insert_rows(struct history_db *db, enum history_table table, struct history_rows *rows, uint64_t owner)
{
        const struct history_table_schema *t = &history_tables[table];
        sqlite3_stmt *s = db->insert[table];
        int r = 0;

        for (size_t i = 0; i < rows->n && r == 0; i++) {
                char *row = (char *)rows->rows + i * t->row_size;

                *(uint64_t *)row = owner;
                for (size_t c = 0; c < t->n_columns; c++)
                        bind_field(s, (int)c + 1, t->columns[c].type, row + t->columns[c].offset);
                r = step(db, s);
        }
        (void)sqlite3_clear_bindings(s);
        return r;
}

/* The row of a unit in its table, made where it is missing. */
static int unit_id(struct history_db *db, const char *unit, const char *service, uint64_t epoch, uint64_t *ret)
{
        int r, code;

        (void)sqlite3_bind_text(db->find_unit, 1, unit, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(db->find_unit, 2, service, -1, SQLITE_STATIC);
        code = sqlite3_step(db->find_unit);
        r = error_of(db, code);
        if (r == 0 && code == SQLITE_ROW)
                *ret = (uint64_t)sqlite3_column_int64(db->find_unit, 0);
        (void)sqlite3_reset(db->find_unit);
        if (r < 0)
                return r;
        if (code == SQLITE_ROW) {
                (void)sqlite3_bind_int64(db->see_unit, 1, (sqlite3_int64)*ret);
                (void)sqlite3_bind_int64(db->see_unit, 2, (sqlite3_int64)epoch);
                return step(db, db->see_unit);
        }
        (void)sqlite3_bind_text(db->add_unit, 1, unit, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(db->add_unit, 2, service, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(db->add_unit, 3, (sqlite3_int64)epoch);
        r = step(db, db->add_unit);
        if (r == 0)
                *ret = (uint64_t)sqlite3_last_insert_rowid(db->sqlite);
        return r;
}

/* Who is who: states bring their names, all others are who they were an epoch ago. */
static int name_services(struct history_db *db, struct history_item *item, uint64_t epoch)
{
        struct history_rows *services = &item->tables[HISTORY_SERVICES], *states = &item->tables[HISTORY_STATES];

        free(db->unit_of_next);
        db->n_positions_next = 0;
        db->unit_of_next = calloc(services->n + 1, sizeof *db->unit_of_next);
        if (!db->unit_of_next)
                return -ENOMEM;
        db->n_positions_next = services->n;
        for (size_t i = 0; i < states->n; i++) {
                struct history_state *s = &((struct history_state *)states->rows)[i];
                int r;

                if (s->position >= services->n)
                        return -EINVAL;
                r = unit_id(db, s->unit_name, s->service_name, epoch, &s->unit);
                if (r < 0)
                        return r;
                db->unit_of_next[s->position] = s->unit;
        }
        for (size_t i = 0; i < services->n; i++) {
                struct history_service *s = &((struct history_service *)services->rows)[i];

                if (db->unit_of_next[i] == 0) {
                        if (s->came_from >= db->n_positions)
                                return -EINVAL;
                        db->unit_of_next[i] = db->unit_of[s->came_from];
                }
                s->unit = db->unit_of_next[i];
        }
        return 0;
}

static int unit_at(const struct history_db *db, uint32_t position, uint64_t *ret)
{
        if (position >= db->n_positions_next)
                return -EINVAL;
        *ret = db->unit_of_next[position];
        return 0;
}

static int put_graph(struct history_db *db, struct history_item *item, uint64_t graph)
{
        struct history_rows *members = &item->tables[HISTORY_PATH_MEMBERS], *waits = &item->tables[HISTORY_WAITS];
        struct history_rows *of_coalitions = &item->tables[HISTORY_COALITION_MEMBERS];
        int r = 0;

        for (size_t i = 0; i < members->n && r == 0; i++) {
                struct history_path_member *m = &((struct history_path_member *)members->rows)[i];

                r = unit_at(db, m->service, &m->unit);
        }
        for (size_t i = 0; i < waits->n && r == 0; i++) {
                struct history_wait *w = &((struct history_wait *)waits->rows)[i];

                r = unit_at(db, w->caller_service, &w->caller);
                if (r == 0)
                        r = unit_at(db, w->callee_service, &w->callee);
        }
        for (size_t i = 0; i < of_coalitions->n && r == 0; i++) {
                struct history_coalition_member *m = &((struct history_coalition_member *)of_coalitions->rows)[i];

                r = unit_at(db, m->service, &m->unit);
        }
        for (size_t k = 0; k < _HISTORY_TABLE_MAX && r == 0; k++)
                if (history_tables[k].is_of_graph)
                        r = insert_rows(db, k, &item->tables[k], graph);
        return r;
}

static int put_all(struct history_db *db, struct history_item *item, uint64_t graph)
{
        struct history_epoch *e = history_item_epoch(item);
        int r;

        e->id = db->last_epoch + 1;
        e->run = db->run;
        e->graph = graph;
        r = name_services(db, item, e->id);
        if (r == 0 && graph > db->last_graph)
                r = put_graph(db, item, graph);
        for (size_t k = 0; k < _HISTORY_TABLE_MAX && r == 0; k++)
                if (!history_tables[k].is_of_graph)
                        r = insert_rows(db, k, &item->tables[k], e->id);
        return r;
}

/* Moves what is in the log to its place, after which it is begun anew: by the next epoch, unless a reader still
 * looks at it. Return: 0; -EBUSY if readers have made it too long to go on. */
static int tend_log(struct history_db *db)
{
        uint64_t n_bytes = (uint64_t)db->n_log_pages * PAGE_BYTES;
        int mode = n_bytes < HISTORY_LOG_MAX_BYTES ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_RESTART;

        if (n_bytes < HISTORY_LOG_MAX_BYTES / 2)
                return 0;
        return error_of(db, sqlite3_wal_checkpoint_v2(db->sqlite, NULL, mode, NULL, NULL));
}

static bool is_in_its_place(const struct history_db *db)
{
        struct stat st;

        return stat(db->path, &st) == 0 && st.st_dev == db->device && st.st_ino == db->inode;
}

int history_db_put(struct history_db *db, struct history_item *item)
{
        struct history_epoch *e = history_item_epoch(item);
        uint64_t graph, *unit_of;
        int r;

        if (!e || item->tables[HISTORY_EPOCHS].n != 1)
                return -EINVAL;
        if (!is_in_its_place(db))
                return -EXDEV;
        if (db->needs_key && !e->is_key)
                return -ESTALE;
        r = tend_log(db);
        if (r == 0)
                r = step(db, db->begin);
        if (r < 0)
                return r;
        graph = item->graph_number == 0                  ? 0
                : item->graph_number == db->graph_number ? db->last_graph
                                                     : db->last_graph + 1;
        r = put_all(db, item, graph);
        if (r == 0)
                r = step(db, db->commit);
        if (r < 0) {
                if (!sqlite3_get_autocommit(db->sqlite))
                        (void)run(db, "ROLLBACK");
                /* Whoever tries the same again may; who comes next has nothing to follow. */
                db->needs_key = db->needs_key || r != -EBUSY;
                return r;
        }
        db->needs_key = false;
        db->last_epoch = e->id;
        if (graph > db->last_graph) {
                db->last_graph = graph;
                db->graph_number = item->graph_number;
        }
        unit_of = db->unit_of;
        db->unit_of = db->unit_of_next;
        db->n_positions = db->n_positions_next;
        db->unit_of_next = unit_of;
        return 0;
}

/* ---- bounds ----------------------------------------------------------------------------------------- */

/* The last of the oldest epochs that one step removes; 0: none. */
static int find_cut(struct history_db *db, uint64_t oldest_usec, bool is_too_large, int64_t *ret)
{
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r = prepare(db, "SELECT id, time_usec FROM epochs ORDER BY id LIMIT ?", &s), code;

        *ret = 0;
        if (r < 0)
                return r;
        (void)sqlite3_bind_int(s, 1, TRIM_EPOCHS);
        while ((code = sqlite3_step(s)) == SQLITE_ROW) {
                /* The newest one stays, whatever the bounds are. */
                if (sqlite3_column_int64(s, 0) >= (sqlite3_int64)db->last_epoch ||
                    !(is_too_large || (uint64_t)sqlite3_column_int64(s, 1) < oldest_usec))
                        break;
                *ret = sqlite3_column_int64(s, 0);
        }
        return code == SQLITE_ROW ? 0 : error_of(db, code);
}

static int remove_until(struct history_db *db, int64_t last)
{
        char text[256];
        int r = run(db, "BEGIN IMMEDIATE");

        if (r < 0)
                return r;
        for (size_t k = 0; k < _HISTORY_TABLE_MAX && r == 0; k++) {
                if (history_tables[k].is_of_graph)
                        continue;
                (void)snprintf(text, sizeof text, "DELETE FROM %s WHERE %s <= %" PRId64, history_tables[k].name,
                               history_tables[k].columns[0].name, last);
                r = run(db, text);
        }
        /* Graphs and runs ascend with epochs. */
        for (size_t k = 0; k < _HISTORY_TABLE_MAX && r == 0; k++) {
                if (!history_tables[k].is_of_graph)
                        continue;
                (void)snprintf(text, sizeof text,
                               "DELETE FROM %s WHERE graph < (SELECT min(graph) FROM epochs WHERE graph > 0)",
                               history_tables[k].name);
                r = run(db, text);
        }
        if (r == 0)
                r = run(db, "DELETE FROM runs WHERE id < (SELECT run FROM epochs ORDER BY id LIMIT 1)");
        (void)snprintf(text, sizeof text, "DELETE FROM units WHERE seen < %" PRId64, last - HISTORY_KEY_EPOCHS);
        if (r == 0)
                r = run(db, text);
        if (r == 0)
                r = run(db, "COMMIT");
        if (r < 0 && !sqlite3_get_autocommit(db->sqlite))
                (void)run(db, "ROLLBACK");
        return r;
}

int history_db_trim(struct history_db *db, uint64_t oldest_usec, uint64_t size_max_bytes)
{
        int64_t n_pages = 0, n_free = 0, last = 0;
        int r;

        r = ask(db, "PRAGMA page_count", 0, &n_pages);
        if (r == 0)
                r = ask(db, "PRAGMA freelist_count", 0, &n_free);
        if (r == 0)
                r = find_cut(db, oldest_usec, (uint64_t)(n_pages - n_free) * PAGE_BYTES > size_max_bytes, &last);
        if (r == 0 && last > 0) {
                r = remove_until(db, last);
                return r < 0 ? r : 1;
        }
        /* What is free within the bounds is room for the next epochs. */
        if (r == 0 && n_free > 0 && (uint64_t)n_pages * PAGE_BYTES > size_max_bytes) {
                r = run(db, "PRAGMA incremental_vacuum(" VACUUM_PAGES ")");
                return r < 0 ? r : 1;
        }
        return r;
}

/* ---- reading ---------------------------------------------------------------------------------------- */

/* "file:" and what of the path means something in an URI escaped. */
static char *immutable_uri(const char *path)
{
        char *text = NULL;
        size_t length;
        FILE *f = open_memstream(&text, &length);

        if (!f)
                return NULL;
        (void)fprintf(f, "file:");
        for (const char *c = path; *c; c++)
                if (*c == '%' || *c == '?' || *c == '#')
                        (void)fprintf(f, "%%%02x", (unsigned char)*c);
                else
                        (void)fputc(*c, f);
        (void)fprintf(f, "?immutable=1");
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

static int open_to_read(const char *name, int flags, const char *path, struct history_db **ret)
{
        _cleanup_history_db_ struct history_db *db = NULL;
        int64_t n_tables = 0;
        int r = open_file(name, SQLITE_OPEN_READONLY | flags, path, &db);

        if (r < 0)
                return r;
        (void)sqlite3_limit(db->sqlite, SQLITE_LIMIT_LENGTH, LENGTH_MAX);
        r = run(db, "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY");
        if (r == 0)
                r = ask(db, "SELECT count(*) FROM sqlite_master", 0, &n_tables);
        if (r == 0)
                r = n_tables > 0 ? check_schema(db) : -ENOENT;
        if (r == 0)
                *ret = TAKE_PTR(db);
        return r;
}

int history_db_open(const char *path, struct history_db **ret)
{
        _cleanup_free_ char *uri = NULL, *log = NULL;
        struct stat st;
        int r;

        if (stat(path, &st) < 0)
                return -errno;
        /* A FIFO would keep us waiting. */
        if (!S_ISREG(st.st_mode))
                return -EBADMSG;
        if (access(path, R_OK) < 0)
                return -errno;
        r = open_to_read(path, 0, path, ret);
        if (r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT || r == -ENOMEM || r == -ENOENT)
                return r;
        /* A copy without its log, where we may make none: it is all there is, and nobody changes it. */
        if (asprintf(&log, "%s-wal", path) < 0)
                log = NULL;
        uri = immutable_uri(path);
        if (!log || !uri)
                return -ENOMEM;
        if (access(log, F_OK) == 0)
                return r;
        return open_to_read(uri, SQLITE_OPEN_URI, path, ret);
}

static void read_word(sqlite3_stmt *s, int i, char ret[static HISTORY_WORD_MAX])
{
        const char *text = (const char *)sqlite3_column_text(s, i);

        (void)snprintf(ret, HISTORY_WORD_MAX, "%s", text ?: "");
}

static int read_field(sqlite3_stmt *s, int i, enum history_type type, void *field)
{
        bool is_null = sqlite3_column_type(s, i) == SQLITE_NULL;
        const char *text;

        switch (type) {
        case HISTORY_BOOL:
                *(bool *)field = sqlite3_column_int64(s, i) != 0;
                return 0;
        case HISTORY_U32:
                *(uint32_t *)field = (uint32_t)sqlite3_column_int64(s, i);
                return 0;
        case HISTORY_INDEX:
                *(uint32_t *)field = is_null ? HISTORY_NONE : (uint32_t)sqlite3_column_int64(s, i);
                return 0;
        case HISTORY_U64:
        case HISTORY_I64:
                *(int64_t *)field = sqlite3_column_int64(s, i);
                return 0;
        case HISTORY_MILLI:
                *(int64_t *)field = is_null ? INT64_MAX : sqlite3_column_int64(s, i);
                return 0;
        case HISTORY_REAL:
                *(double *)field = is_null ? NAN : sqlite3_column_double(s, i);
                return 0;
        case HISTORY_WORD:
                read_word(s, i, field);
                return 0;
        case HISTORY_TEXT:
                text = (const char *)sqlite3_column_text(s, i);
                *(char **)field = strdup(text ?: "");
                return *(char **)field ? 0 : -ENOMEM;
        }
        return 0;
}

/* All rows that a bound statement answers. */
static int read_rows(struct history_db *db, sqlite3_stmt *s, enum history_table table, struct history_rows *ret)
{
        const struct history_table_schema *t = &history_tables[table];
        struct history_item *item = history_item_new(); /* it knows how to grow */
        int r = item ? 0 : -ENOMEM, code;

        while (r == 0) {
                char *row;

                code = sqlite3_step(s);
                if (code != SQLITE_ROW) {
                        r = error_of(db, code);
                        break;
                }
                row = item->tables[table].n < ROWS_MAX ? history_add(item, table) : NULL;
                if (!row) {
                        r = item->tables[table].n < ROWS_MAX ? -ENOMEM : -EBADMSG;
                        break;
                }
                for (size_t c = 0; c < t->n_columns && r == 0; c++)
                        r = read_field(s, (int)c, t->columns[c].type, row + t->columns[c].offset);
        }
        if (r == 0) {
                *ret = item->tables[table];
                item->tables[table] = (struct history_rows){ 0 };
        }
        (void)history_item_free(item);
        return r;
}

/* "SELECT a, b FROM t WHERE ...", the columns in the order of the struct. */
static int prepare_select(struct history_db *db, enum history_table table, const char *rest, sqlite3_stmt **ret)
{
        const struct history_table_schema *t = &history_tables[table];
        _cleanup_free_ char *text = NULL;
        size_t length;
        FILE *f = open_memstream(&text, &length);

        if (!f)
                return -ENOMEM;
        (void)fprintf(f, "SELECT ");
        for (size_t i = 0; i < t->n_columns; i++)
                (void)fprintf(f, "%s%s", i > 0 ? ", " : "", t->columns[i].name);
        (void)fprintf(f, " FROM %s %s", t->name, rest);
        if (fclose(f) != 0)
                return -ENOMEM;
        return prepare(db, text, ret);
}

static int by_id(const void *a, const void *b)
{
        const struct history_epoch *x = a, *y = b;

        return (x->id > y->id) - (x->id < y->id);
}

int history_db_epochs(struct history_db *db, uint64_t since_usec, uint64_t until_usec, size_t n_max,
                      struct history_rows *ret)
{
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r = prepare_select(db, HISTORY_EPOCHS,
                               "WHERE time_usec >= ?1 AND time_usec <= ?2 ORDER BY id DESC LIMIT ?3", &s);

        if (r < 0)
                return r;
        (void)sqlite3_bind_int64(s, 1, since_usec > INT64_MAX ? INT64_MAX : (sqlite3_int64)since_usec);
        (void)sqlite3_bind_int64(s, 2, until_usec > INT64_MAX ? INT64_MAX : (sqlite3_int64)until_usec);
        (void)sqlite3_bind_int64(s, 3, n_max > INT64_MAX ? INT64_MAX : (sqlite3_int64)n_max);
        r = read_rows(db, s, HISTORY_EPOCHS, ret);
        if (r == 0 && ret->n > 1)
                qsort(ret->rows, ret->n, sizeof(struct history_epoch), by_id);
        return r;
}

int history_db_read(struct history_db *db, enum history_table table, uint64_t id, struct history_rows *ret)
{
        const struct history_table_schema *t = &history_tables[table];
        char rest[128];
        int r = 0;

        if (!db->select[table]) {
                (void)snprintf(rest, sizeof rest, "WHERE %s = ? ORDER BY %s", t->columns[0].name, t->order);
                r = prepare_select(db, table, rest, &db->select[table]);
                if (r < 0)
                        return r;
        }
        (void)sqlite3_bind_int64(db->select[table], 1, (sqlite3_int64)id);
        r = read_rows(db, db->select[table], table, ret);
        (void)sqlite3_reset(db->select[table]);
        return r;
}

int history_db_service(struct history_db *db, uint64_t epoch, uint64_t unit, struct history_service *ret)
{
        const struct history_table_schema *t = &history_tables[HISTORY_SERVICES];
        int r, code;

        if (!db->select_service) {
                r = prepare_select(db, HISTORY_SERVICES, "WHERE epoch = ?1 AND unit = ?2", &db->select_service);
                if (r < 0)
                        return r;
        }
        (void)sqlite3_bind_int64(db->select_service, 1, (sqlite3_int64)epoch);
        (void)sqlite3_bind_int64(db->select_service, 2, (sqlite3_int64)unit);
        code = sqlite3_step(db->select_service);
        r = error_of(db, code);
        *ret = (struct history_service){ 0 };
        for (size_t c = 0; c < t->n_columns && code == SQLITE_ROW; c++)
                (void)read_field(db->select_service, (int)c, t->columns[c].type, (char *)ret + t->columns[c].offset);
        (void)sqlite3_reset(db->select_service);
        return r < 0 ? r : code == SQLITE_ROW;
}

int history_db_unit(struct history_db *db, uint64_t unit, char **ret_unit, char **ret_service)
{
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        _cleanup_free_ char *name = NULL, *service = NULL;
        int r = prepare(db, "SELECT unit, service FROM units WHERE id = ?", &s), code;

        if (r < 0)
                return r;
        (void)sqlite3_bind_int64(s, 1, (sqlite3_int64)unit);
        code = sqlite3_step(s);
        if (code != SQLITE_ROW)
                return error_of(db, code) ?: -ENOENT;
        r = read_field(s, 0, HISTORY_TEXT, &name);
        if (r == 0)
                r = read_field(s, 1, HISTORY_TEXT, &service);
        if (r < 0)
                return r;
        *ret_unit = TAKE_PTR(name);
        *ret_service = TAKE_PTR(service);
        return 0;
}

ssize_t history_db_find_units(struct history_db *db, const char *name, uint64_t ret[], size_t n_max)
{
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r = prepare(db, "SELECT id FROM units WHERE unit = ?1 OR service = ?1 ORDER BY unit <> ?1, id DESC", &s);
        size_t n = 0;
        int code;

        if (r < 0)
                return r;
        (void)sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
        while (n < n_max && (code = sqlite3_step(s)) == SQLITE_ROW)
                ret[n++] = (uint64_t)sqlite3_column_int64(s, 0);
        r = n < n_max ? error_of(db, code) : 0;
        return r < 0 ? r : (ssize_t)n;
}
