/* SPDX-License-Identifier: MIT */
#pragma once

/* A table on the terminal, on libsmartcols, that fits.
 *
 * Where the terminal is too narrow, whole columns go first, those that matter least; numbers are
 * never cut. Only then is text cut, in the columns that allow it. What went is said below the table,
 * so that nobody takes a missing column for missing data. */

#include "client/term.h"

enum {
        TABLE_RIGHT = 1 << 0,           /* numbers */
        TABLE_MAY_CUT = 1 << 1,         /* text */
};

struct table;

struct table *table_new(void);
/* Takes NULL; returns NULL. */
struct table *table_free(struct table *t);

/**
 * table_column() - declare the next column
 * @title:   borrowed, in capitals
 * @go_rank: 0 stays; the column with the highest rank goes first
 */
void table_column(struct table *t, const char *title, unsigned flags, unsigned go_rank);

/* Moves the table to the right; the width counts from the left of the terminal all the same. */
void table_indent(struct table *t, size_t indent);

/* Starts a row; cells are then added from the left. Memory that runs out is told by table_print(). */
void table_row(struct table *t);
void table_cell(struct table *t, enum term_style style, const char *text);

/**
 * table_print() - to standard output
 * @width: columns, or TERM_WIDTH_UNLIMITED
 *
 * Return: 0; negative errno.
 */
int table_print(struct table *t, bool has_legend, size_t width);
