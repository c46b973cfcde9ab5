/* SPDX-License-Identifier: MIT */
#pragma once

/* The terminal: how wide, and whether it may be coloured. */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TERM_WIDTH_UNLIMITED ((size_t)-1)
#define TERM_WIDTH_MIN 40

enum term_style {
        TERM_PLAIN,
        TERM_BOLD,
        TERM_DIM,
        TERM_GOOD,
        TERM_WARN,
        TERM_BAD,
        _TERM_STYLE_MAX,
};

/* Colour only on a terminal, never with NO_COLOR or TERM=dumb. */
bool term_has_color(FILE *f);

/* Columns of standard output: what COLUMNS= says, else the terminal's; unlimited into a pipe. */
size_t term_width(void);

/* The escape sequence that begins a style, "" where there is no colour; and the one that ends it. */
const char *term_on(FILE *f, enum term_style style);
const char *term_off(FILE *f);

/* Prints words within the width, lines after the first indented. */
void term_wrap(FILE *f, const char *text, size_t width, size_t first_column, size_t indent);

/* The same, formatted, in a style, as wide as the terminal; the first line begins where the cursor is. */
__attribute__((format(printf, 5, 0))) void term_vsay(FILE *f, enum term_style style, size_t first_column,
                                                     size_t indent, const char *format, va_list ap);

/* A paragraph, all of it indented. */
__attribute__((format(printf, 4, 5))) void term_say(FILE *f, enum term_style style, size_t indent,
                                                    const char *format, ...);
