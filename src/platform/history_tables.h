/* SPDX-License-Identifier: MIT */
#pragma once

/* Inside of history_db.c: which field of a struct is which column, and the text of the schema. */

#include "platform/history_record.h"

/* "coal". Of `PRAGMA application_id`. */
#define HISTORY_APPLICATION_ID 0x636f616c
/* Of `PRAGMA user_version`. Any change of a table is another version. */
#define HISTORY_VERSION 1

enum history_type {
        HISTORY_BOOL,
        HISTORY_U32,
        HISTORY_INDEX,                  /* uint32_t; HISTORY_NONE is NULL */
        HISTORY_U64,                    /* its bits as a signed integer */
        HISTORY_I64,
        HISTORY_MILLI,                  /* int64_t; INT64_MAX is NULL */
        HISTORY_REAL,                   /* NAN is NULL; minus zero loses its sign */
        HISTORY_WORD,                   /* char[HISTORY_WORD_MAX] */
        HISTORY_TEXT,                   /* char *, of the heap */
};

struct history_column {
        const char *name;
        enum history_type type;
        size_t offset;
};

struct history_table_schema {
        const char *name;
        const char *key;                /* PRIMARY KEY */
        const char *order;
        const struct history_column *columns; /* the first one is the epoch or the graph */
        size_t n_columns;
        size_t row_size;
        bool is_of_graph;
};

extern const struct history_table_schema history_tables[_HISTORY_TABLE_MAX];

/* The statement that makes a table, for free(); NULL without memory. */
char *history_create_statement(const struct history_table_schema *t);
