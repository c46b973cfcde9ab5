/* SPDX-License-Identifier: MIT */
#pragma once

/* The record in its file: SQLite with a write-ahead log. Tables and units are in doc/history.md. One
 * writer, any number of readers; nobody waits for a reader.
 *
 * An epoch is one transaction: after a crash it is there whole or not at all, and so is everything before
 * it. What a power cut takes is what the kernel had not yet written, the last seconds. */

#include "platform/history_record.h"
#include "util/cleanup.h"

#include <sys/types.h>

#define HISTORY_DB_NAME "history.db"
/* A key comes at the latest after so many epochs. Names of units live on for as long. */
#define HISTORY_KEY_EPOCHS 60
/* Of the write-ahead log, beside the file: it grows further only by one epoch, whatever a reader does. */
#define HISTORY_LOG_MAX_BYTES (UINT64_C(2) << 20)

struct history_db;

struct history_db *history_db_close(struct history_db *db);
DEFINE_CLEANUP(struct history_db *, history_db_close)
#define _cleanup_history_db_ _cleanup_(history_db_close_p)

/* ---- writing ------------------------------------------------------------------------------------- */

/**
 * history_db_open_for_writing() - open the record, or begin one
 * @path:    its directory is made where it is missing
 * @version: of the program, kept with what it writes
 *
 * Return: 0; -EBADMSG if it is damaged, or no such record: history_db_put_aside() makes room for a new one;
 * -EPROTONOSUPPORT if a newer version wrote it: it is left alone; -EBUSY if another process holds it;
 * other negative errno.
 */
int history_db_open_for_writing(const char *path, const char *version, struct history_db **ret);

/* Renames it to PATH.damaged-TIME; one that was put aside earlier goes, or they would fill the disk. Nobody of
 * us may have it open. @ret_name: for free(). Return: 0; negative errno. */
int history_db_put_aside(const char *path, char **ret_name);

/**
 * history_db_put() - write one epoch
 * @item: stays the caller's; the fields that say so are filled
 *
 * Return: 0; -ESTALE if it is no key, and what came before it is not there; -EBUSY if somebody else holds the
 * file, or readers have kept the log from being emptied: try again; -ENOSPC; -EBADMSG if the file is damaged;
 * -EXDEV if it was removed or replaced: open anew; other negative errno. Nothing was written unless 0.
 */
int history_db_put(struct history_db *db, struct history_item *item);

/**
 * history_db_trim() - one small step towards the bounds
 * @oldest_usec:    CLOCK_REALTIME; what is older goes
 * @size_max_bytes: of the file; its log comes on top
 *
 * Return: 1 if there is more to do; 0; negative errno as history_db_put().
 */
int history_db_trim(struct history_db *db, uint64_t oldest_usec, uint64_t size_max_bytes);

/* ---- reading ------------------------------------------------------------------------------------- */

/**
 * history_db_open() - open a record to read it
 *
 * Whoever made the file: nothing in it is run, and only the tables that this version knows are read.
 *
 * Return: 0; -ENOENT, also where its first epoch is yet to come; -EACCES; -EBADMSG if it is damaged, or no such record; -EPROTONOSUPPORT if a newer version
 * wrote it; other negative errno.
 */
int history_db_open(const char *path, struct history_db **ret);

/* Which epochs: from @since_usec to @until_usec inclusive (CLOCK_REALTIME), of these the newest @n_max; both
 * oldest first. Return: 0; negative errno. */
int history_db_epochs(struct history_db *db, uint64_t since_usec, uint64_t until_usec, size_t n_max,
                      struct history_rows *ret);

/**
 * history_db_read() - all rows of one table that belong to an epoch or a graph
 * @id: of the epoch or, for the tables that have one, of the graph
 *
 * Return: 0; -EBADMSG if the file is damaged; other negative errno. @ret is for history_rows_free().
 */
int history_db_read(struct history_db *db, enum history_table table, uint64_t id, struct history_rows *ret);

/* What an epoch says of one unit. Return: 1; 0 if it took no part; negative errno. */
int history_db_service(struct history_db *db, uint64_t epoch, uint64_t unit, struct history_service *ret);

/* A unit, and the section that it belonged to. The texts are for free(). Return: 0; -ENOENT. */
int history_db_unit(struct history_db *db, uint64_t unit, char **ret_unit, char **ret_service);

/* The units of that name, or of the sections of that name. Return: how many there are, at most @n_max; negative
 * errno. */
ssize_t history_db_find_units(struct history_db *db, const char *name, uint64_t ret[], size_t n_max);
