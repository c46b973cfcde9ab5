/* SPDX-License-Identifier: MIT */

#include "client/table.h"

#include "util/cleanup.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define COLUMNS_MAX 24
#define GAP 2

struct column {
        const char *title;
        unsigned flags;
        unsigned go_rank;
        size_t width;                   /* of the widest cell, or what is left of it */
        bool is_gone;
};

struct cell {
        char *text;
        enum term_style style;
};

struct table {
        struct column columns[COLUMNS_MAX];
        size_t n_columns;
        size_t indent;
        struct cell *cells;             /* row by row */
        size_t n_cells, n_allocated;
        bool is_out_of_memory;
};

/* How libsmartcols names our styles. */
static const char *const style_colors[_TERM_STYLE_MAX] = {
        [TERM_BOLD] = "bold",   [TERM_DIM] = "darkgray", [TERM_GOOD] = "green",
        [TERM_WARN] = "yellow", [TERM_BAD] = "red",
};

struct table *table_new(void)
{
        return calloc(1, sizeof(struct table));
}

struct table *table_free(struct table *t)
{
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_cells; i++)
                free(t->cells[i].text);
        free(t->cells);
        free(t);
        return NULL;
}

static size_t text_width(const char *text)
{
        wchar_t wide[512];
        size_t n = mbstowcs(wide, text, sizeof wide / sizeof *wide);
        int width;

        if (n == (size_t)-1 || n >= sizeof wide / sizeof *wide)
                return strlen(text);
        width = wcswidth(wide, n);
        return width < 0 ? strlen(text) : (size_t)width;
}

void table_column(struct table *t, const char *title, unsigned flags, unsigned go_rank)
{
        if (t->n_columns == COLUMNS_MAX) {
                t->is_out_of_memory = true;
                return;
        }
        t->columns[t->n_columns++] = (struct column) {
                .title = title,
                .flags = flags,
                .go_rank = go_rank,
                .width = text_width(title),
        };
}

void table_indent(struct table *t, size_t indent)
{
        t->indent = indent;
}

static bool make_room(struct table *t)
{
        if (t->n_cells < t->n_allocated)
                return true;
        size_t n = t->n_allocated ? 2 * t->n_allocated : 64;
        struct cell *cells = reallocarray(t->cells, n, sizeof *cells);
        if (!cells) {
                t->is_out_of_memory = true;
                return false;
        }
        t->cells = cells;
        t->n_allocated = n;
        return true;
}

void table_row(struct table *t)
{
        while (t->n_cells % t->n_columns != 0 && !t->is_out_of_memory)
                table_cell(t, TERM_PLAIN, "");
}

void table_cell(struct table *t, enum term_style style, const char *text)
{
        struct column *column = &t->columns[t->n_cells % t->n_columns];
        char *copy;

        if (t->is_out_of_memory || !make_room(t))
                return;
        copy = strdup(text);
        if (!copy) {
                t->is_out_of_memory = true;
                return;
        }
        t->cells[t->n_cells++] = (struct cell) { copy, style };
        size_t width = text_width(text);
        if (width > column->width)
                column->width = width;
}

/* What a column needs at least: its title and a few letters if it may be cut. */
static size_t least_width(const struct column *c)
{
        size_t title = text_width(c->title);

        if (!(c->flags & TABLE_MAY_CUT))
                return c->width;
        size_t least = title > 12 ? title : 12;
        return c->width < least ? c->width : least;
}

/* Takes columns away until the rest fits. */
static size_t make_fit(struct table *t, size_t width)
{
        size_t n_gone = 0;

        for (;;) {
                struct column *first_to_go = NULL;
                size_t needed = 0;

                for (size_t i = 0; i < t->n_columns; i++) {
                        struct column *c = &t->columns[i];
                        if (c->is_gone)
                                continue;
                        needed += least_width(c) + (needed > 0 ? GAP : 0);
                        if (c->go_rank > 0 && (!first_to_go || c->go_rank > first_to_go->go_rank))
                                first_to_go = c;
                }
                if (needed <= width || !first_to_go)
                        return n_gone;
                first_to_go->is_gone = true;
                n_gone++;
        }
}

/* What still is too wide is taken from the text on the right first: a note says more in its
 * beginning than a name does. */
static void make_narrow(struct table *t, size_t width)
{
        size_t needed = 0;

        for (size_t i = 0; i < t->n_columns; i++)
                if (!t->columns[i].is_gone)
                        needed += t->columns[i].width + (needed > 0 ? GAP : 0);
        for (size_t i = t->n_columns; i > 0 && needed > width; i--) {
                struct column *c = &t->columns[i - 1];
                size_t spare = c->width - least_width(c), excess = needed - width;

                if (c->is_gone)
                        continue;
                c->width -= spare < excess ? spare : excess;
                needed -= spare < excess ? spare : excess;
        }
}

/* Cuts a text to a width, with dots where something is missing. */
static void cut(char *text, size_t width)
{
        char *end = text;
        size_t used = 0;

        if (text_width(text) <= width)
                return;
        while (*end && used + 1 + strlen("...") <= width) {
                int length = mblen(end, MB_CUR_MAX);
                end += length > 0 ? length : 1;
                used++;
        }
        /* What was cut off was longer than the dots are wide, so there is room for them. */
        if (strlen(end) >= strlen("..."))
                memcpy(end, "...", sizeof "...");
}

static void print_gone(const struct table *t, size_t n_gone)
{
        const char *comma = "";

        (void)printf("%*s%s%zu column%s did not fit: ", (int)t->indent, "", term_on(stdout, TERM_DIM),
                     n_gone, n_gone == 1 ? "" : "s");
        for (size_t i = 0; i < t->n_columns; i++)
                if (t->columns[i].is_gone) {
                        (void)printf("%s%s", comma, t->columns[i].title);
                        comma = ", ";
                }
        (void)printf("%s\n", term_off(stdout));
}

static void unref(struct libscols_table **s)
{
        scols_unref_table(*s);
}

static int fill_row(const struct table *t, struct libscols_table *s, size_t i_first)
{
        struct libscols_line *line = scols_table_new_line(s, NULL);
        size_t i_shown = 0;

        if (!line)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_columns; i++) {
                const struct cell *cell = &t->cells[i_first + i];
                if (t->columns[i].is_gone)
                        continue;
                cut(cell->text, t->columns[i].width);
                int r = scols_line_set_data(line, i_shown, cell->text);
                if (r < 0)
                        return r;
                if (style_colors[cell->style]) {
                        r = scols_cell_set_color(scols_line_get_cell(line, i_shown),
                                                 style_colors[cell->style]);
                        if (r < 0)
                                return r;
                }
                i_shown++;
        }
        return 0;
}

/* An empty cell at the end of a line is padded by libsmartcols: nobody wants to copy that. */
static int print_trimmed(struct libscols_table *s, size_t indent)
{
        _cleanup_free_ char *text = NULL;
        int r = scols_print_table_to_string(s, &text);

        if (r < 0)
                return r;
        for (const char *line = text; *line;) {
                size_t length = strcspn(line, "\n"), used = length;

                while (used > 0 && line[used - 1] == ' ')
                        used--;
                (void)printf("%*s%.*s\n", (int)indent, "", (int)used, line);
                line += length + (line[length] == '\n');
        }
        return 0;
}

int table_print(struct table *t, bool has_legend, size_t width)
{
        _cleanup_(unref) struct libscols_table *s = NULL;
        int r;

        table_row(t);
        if (t->is_out_of_memory)
                return -ENOMEM;
        if (width != TERM_WIDTH_UNLIMITED)
                width = width > t->indent ? width - t->indent : 0;
        size_t n_gone = make_fit(t, width);
        make_narrow(t, width);

        scols_init_debug(0);
        s = scols_new_table();
        if (!s)
                return -ENOMEM;
        r = scols_table_set_column_separator(s, "  ");
        if (r < 0)
                return r;
        scols_table_enable_noheadings(s, !has_legend);
        scols_table_enable_colors(s, term_has_color(stdout));
        /* It fits by now, or nothing can make it fit. */
        scols_table_set_termforce(s, SCOLS_TERMFORCE_NEVER);

        for (size_t i = 0; i < t->n_columns; i++) {
                const struct column *c = &t->columns[i];
                int flags = c->flags & TABLE_RIGHT ? SCOLS_FL_RIGHT : 0;
                if (!c->is_gone && !scols_table_new_column(s, c->title, (double)c->width, flags))
                        return -ENOMEM;
        }
        for (size_t i = 0; i + t->n_columns <= t->n_cells; i += t->n_columns) {
                r = fill_row(t, s, i);
                if (r < 0)
                        return r;
        }
        r = print_trimmed(s, t->indent);
        if (r < 0)
                return r;
        if (n_gone > 0 && has_legend)
                print_gone(t, n_gone);
        return 0;
}
