/* SPDX-License-Identifier: MIT */
#pragma once

/* Findings about files that people write: what, where, how bad. Collected, not printed, so that a
 * person sees all of them at once and a daemon can log them with fields of their own. */

#include <stddef.h>
#include <stdio.h>

enum diagnostic_severity {
        DIAGNOSTIC_ERROR,               /* the file is not used */
        DIAGNOSTIC_WARNING,             /* probably not what was meant */
        DIAGNOSTIC_NOTICE,              /* worth knowing */
        _DIAGNOSTIC_SEVERITY_MAX,
};

struct diagnostic {
        enum diagnostic_severity severity;
        char *file;                     /* owned; NULL: about no file */
        unsigned line;                  /* 0: about the whole file */
        char *text;                     /* owned; printable ASCII, one line */
};

/* More than a person reads; a hostile file has millions of errors. What is above is only counted. */
#define DIAGNOSTICS_MAX 1000

struct diagnostics {
        struct diagnostic *items;       /* in the order found; owned */
        size_t n_items;
        size_t n_found[_DIAGNOSTIC_SEVERITY_MAX]; /* those not kept included */
};

/* Adds a finding. Bytes of the text that are not printable ASCII become '?': it may quote hostile
 * input, and goes to terminals, the journal and the bus. Without memory the finding is counted all
 * the same, so that an error stays an error. */
void diagnostics_add(struct diagnostics *d, enum diagnostic_severity severity, const char *file,
                     unsigned line, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Frees the items; the structure itself is the caller's and is empty afterwards. */
void diagnostics_done(struct diagnostics *d);
#define _cleanup_diagnostics_ __attribute__((cleanup(diagnostics_done)))

/* `/etc/coalloc.conf:12: Baseline=: 900% is more than the host's 400%`; a warning or a notice says so
 * in front of its text. Return: a new string for free(), or NULL without memory. */
char *diagnostic_to_string(const struct diagnostic *d);

/* Every finding, a line each, and how many were not kept. */
void diagnostics_print(const struct diagnostics *d, FILE *f);

/* The first error, for a status line; NULL if none was kept. */
const struct diagnostic *diagnostics_first_error(const struct diagnostics *d);
