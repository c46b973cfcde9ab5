/* SPDX-License-Identifier: MIT */

#include "client/term.h"

#include "client/client.h"
#include "util/cleanup.h"
#include "util/parse.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *const style_sequences[_TERM_STYLE_MAX] = {
        [TERM_PLAIN] = "",
        [TERM_BOLD] = "\033[1m",
        [TERM_DIM] = "\033[2m",
        [TERM_GOOD] = "\033[32m",
        [TERM_WARN] = "\033[33m",
        [TERM_BAD] = "\033[1;31m",
};

bool term_has_color(FILE *f)
{
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

        if (no_color && *no_color)
                return false;
        if (!term || strcmp(term, "dumb") == 0)
                return false;
        return isatty(fileno(f)) == 1;
}

size_t term_width(void)
{
        const char *columns = getenv("COLUMNS");
        struct winsize size;
        uint64_t width;

        if (columns && parse_unsigned(columns, 1, 100000, &width) == 0)
                return width < TERM_WIDTH_MIN ? TERM_WIDTH_MIN : (size_t)width;
        if (isatty(STDOUT_FILENO) != 1)
                return TERM_WIDTH_UNLIMITED;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
                return 80;
        return size.ws_col < TERM_WIDTH_MIN ? TERM_WIDTH_MIN : size.ws_col;
}

const char *term_on(FILE *f, enum term_style style)
{
        return term_has_color(f) ? style_sequences[style] : "";
}

const char *term_off(FILE *f)
{
        return term_has_color(f) ? "\033[0m" : "";
}

void term_wrap(FILE *f, const char *text, size_t width, size_t first_column, size_t indent)
{
        size_t column = first_column;
        bool is_first = true;

        for (;;) {
                text += strspn(text, " \n");
                size_t length = strcspn(text, " \n");
                if (length == 0)
                        break;
                if (!is_first && column + 1 + length > width) {
                        (void)fprintf(f, "\n%*s", (int)indent, "");
                        column = indent;
                } else if (!is_first) {
                        (void)fputc(' ', f);
                        column++;
                }
                is_first = false;
                (void)fwrite(text, 1, length, f);
                column += length;
                text += length;
        }
        (void)fputc('\n', f);
}

void term_vsay(FILE *f, enum term_style style, size_t first_column, size_t indent, const char *format,
               va_list ap)
{
        _cleanup_free_ char *text = NULL;

        if (vasprintf(&text, format, ap) < 0) {
                text = NULL;
                (void)out_of_memory();
                return;
        }
        (void)fputs(term_on(f, style), f);
        term_wrap(f, text, term_width(), first_column, indent);
        (void)fputs(term_off(f), f);
}

void term_say(FILE *f, enum term_style style, size_t indent, const char *format, ...)
{
        va_list ap;

        (void)fprintf(f, "%*s", (int)indent, "");
        va_start(ap, format);
        term_vsay(f, style, indent, indent, format, ap);
        va_end(ap);
}
