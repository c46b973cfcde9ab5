/* SPDX-License-Identifier: MIT */

#include "util/journal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#define MESSAGE_SIZE 2048
#define FIELD_SIZE 512
#define FIELDS_MAX 10

static int max_priority = LOG_INFO;

void journal_set_max_priority(int priority)
{
        max_priority = priority;
}

/* $JOURNAL_STREAM names device and inode of the stream that systemd connected us to: only if that is
 * still our standard error does the journal get the message anyway, and then it shall have the
 * fields as well. */
static bool stderr_is_journal(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        struct stat st;
        uintmax_t dev, ino;

        if (!stream || sscanf(stream, "%ju:%ju", &dev, &ino) != 2)
                return false;
        if (fstat(STDERR_FILENO, &st) < 0)
                return false;
        return (uintmax_t)st.st_dev == dev && (uintmax_t)st.st_ino == ino;
}

struct field_list {
        char text[FIELDS_MAX][FIELD_SIZE];
        struct iovec iov[FIELDS_MAX + 1];
        int n;
};

static void add_field(struct field_list *l, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

static void add_field(struct field_list *l, const char *format, ...)
{
        va_list ap;

        if (l->n == FIELDS_MAX)
                return;
        va_start(ap, format);
        (void)vsnprintf(l->text[l->n], FIELD_SIZE, format, ap);
        va_end(ap);
        l->iov[l->n] = (struct iovec){ .iov_base = l->text[l->n],
                                       .iov_len = strlen(l->text[l->n]) };
        l->n++;
}

int journal_log(int priority, const struct journal_fields *f, const char *format, ...)
{
        char message[MESSAGE_SIZE] = "MESSAGE=";
        size_t prefix = strlen(message);
        struct field_list l = { .n = 0 };
        va_list ap;

        if (priority > max_priority)
                return f->error;

        va_start(ap, format);
        (void)vsnprintf(message + prefix, sizeof message - prefix, format, ap);
        va_end(ap);

        if (!stderr_is_journal()) {
                (void)fprintf(stderr, "coallocd: %s%s%s\n", message + prefix,
                              f->error < 0 ? ": " : "", f->error < 0 ? strerror(-f->error) : "");
                return f->error;
        }
        if (f->error < 0) {
                size_t used = strlen(message);

                (void)snprintf(message + used, sizeof message - used, ": %s", strerror(-f->error));
        }

        add_field(&l, "PRIORITY=%i", priority);
        add_field(&l, "SYSLOG_IDENTIFIER=coallocd");
        if (f->message_id)
                add_field(&l, "MESSAGE_ID=%s", f->message_id);
        if (f->unit)
                add_field(&l, "COALLOC_UNIT=%s", f->unit);
        if (f->reason)
                add_field(&l, "COALLOC_REASON=%s", f->reason);
        if (f->epoch)
                add_field(&l, "COALLOC_EPOCH=%" PRIu64, f->epoch);
        if (f->quota_usec_per_sec)
                add_field(&l, "COALLOC_QUOTA_USEC_PER_SEC=%" PRIu64, f->quota_usec_per_sec);
        if (f->previous_usec_per_sec)
                add_field(&l, "COALLOC_PREVIOUS_USEC_PER_SEC=%" PRIu64, f->previous_usec_per_sec);
        if (f->error < 0)
                add_field(&l, "ERRNO=%i", -f->error);
        l.iov[l.n] = (struct iovec){ .iov_base = message, .iov_len = strlen(message) };
        (void)sd_journal_sendv(l.iov, l.n + 1);
        return f->error;
}
