/* SPDX-License-Identifier: MIT */

#include "util/diagnostic.h"
#include "util/cleanup.h"

#include <stdarg.h>
#include <string.h>

static const char *const severity_prefixes[_DIAGNOSTIC_SEVERITY_MAX] = {
        [DIAGNOSTIC_ERROR] = "",
        [DIAGNOSTIC_WARNING] = "warning: ",
        [DIAGNOSTIC_NOTICE] = "notice: ",
};

void diagnostics_add(struct diagnostics *d, enum diagnostic_severity severity, const char *file,
                     unsigned line, const char *format, ...)
{
        _cleanup_free_ char *text = NULL, *file_copy = NULL;
        va_list ap;

        d->n_found[severity]++;
        if (d->n_items == DIAGNOSTICS_MAX)
                return;

        va_start(ap, format);
        int r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                return;
        }
        for (char *p = text; *p; p++)
                if (*p < ' ' || *p > '~')
                        *p = '?';

        if (file) {
                file_copy = strdup(file);
                if (!file_copy)
                        return;
        }
        struct diagnostic *items = reallocarray(d->items, d->n_items + 1, sizeof *items);
        if (!items)
                return;
        d->items = items;
        d->items[d->n_items++] = (struct diagnostic){
                .severity = severity,
                .file = TAKE_PTR(file_copy),
                .line = line,
                .text = TAKE_PTR(text),
        };
}

void diagnostics_done(struct diagnostics *d)
{
        for (size_t i = 0; i < d->n_items; i++) {
                free(d->items[i].file);
                free(d->items[i].text);
        }
        free(d->items);
        *d = (struct diagnostics){ 0 };
}

char *diagnostic_to_string(const struct diagnostic *d)
{
        const char *prefix = severity_prefixes[d->severity];
        char *s;
        int r;

        if (!d->file)
                r = asprintf(&s, "%s%s", prefix, d->text);
        else if (d->line == 0)
                r = asprintf(&s, "%s: %s%s", d->file, prefix, d->text);
        else
                r = asprintf(&s, "%s:%u: %s%s", d->file, d->line, prefix, d->text);
        return r < 0 ? NULL : s;
}

void diagnostics_print(const struct diagnostics *d, FILE *f)
{
        size_t n_found = 0;

        for (size_t i = 0; i < d->n_items; i++) {
                _cleanup_free_ char *s = diagnostic_to_string(&d->items[i]);
                if (s)
                        fprintf(f, "%s\n", s);
        }
        for (int i = 0; i < _DIAGNOSTIC_SEVERITY_MAX; i++)
                n_found += d->n_found[i];
        if (n_found > d->n_items)
                fprintf(f, "(and %zu more)\n", n_found - d->n_items);
}

const struct diagnostic *diagnostics_first_error(const struct diagnostics *d)
{
        for (size_t i = 0; i < d->n_items; i++)
                if (d->items[i].severity == DIAGNOSTIC_ERROR)
                        return &d->items[i];
        return NULL;
}
