/* SPDX-License-Identifier: MIT */

#include "client/moment.h"

#include "util/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SPAN_TEXT_MAX 64

static int before(uint64_t now_usec, const char *span, uint64_t *ret_usec)
{
        uint64_t span_usec;
        int r = parse_span(span, &span_usec);

        if (r < 0)
                return -EINVAL;
        *ret_usec = span_usec < now_usec ? now_usec - span_usec : 0;
        return 0;
}

/* "2h ago" without what makes it one; false if it does not end so. */
static bool without_ago(const char *text, char ret[static SPAN_TEXT_MAX])
{
        static const char ago[] = " ago";
        size_t length = strlen(text);

        if (length < sizeof ago || length >= SPAN_TEXT_MAX || strcmp(text + length - (sizeof ago - 1), ago) != 0)
                return false;
        memcpy(ret, text, length - (sizeof ago - 1));
        ret[length - (sizeof ago - 1)] = '\0';
        return true;
}

static int usec_of(struct tm *tm, uint64_t *ret_usec)
{
        time_t seconds;

        tm->tm_isdst = -1;
        seconds = mktime(tm);
        if (seconds < 0)
                return -EINVAL;
        *ret_usec = (uint64_t)seconds * USEC_PER_SEC;
        return 0;
}

int moment_parse(const char *text, uint64_t now_usec, uint64_t *ret_usec)
{
        static const char *const formats[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%H:%M:%S", "%H:%M" };
        time_t now = (time_t)(now_usec / USEC_PER_SEC);
        char span[SPAN_TEXT_MAX];
        uint64_t seconds;
        struct tm today, tm;

        if (strcmp(text, "now") == 0) {
                *ret_usec = now_usec;
                return 0;
        }
        if (text[0] == '-')
                return before(now_usec, text + 1, ret_usec);
        if (without_ago(text, span))
                return before(now_usec, span, ret_usec);
        if (text[0] == '@') {
                if (parse_unsigned(text + 1, 0, INT64_MAX / USEC_PER_SEC, &seconds) < 0)
                        return -EINVAL;
                *ret_usec = seconds * USEC_PER_SEC;
                return 0;
        }
        if (!localtime_r(&now, &today))
                return -EINVAL;
        today.tm_hour = today.tm_min = today.tm_sec = 0;
        if (strcmp(text, "today") == 0)
                return usec_of(&today, ret_usec);
        if (strcmp(text, "yesterday") == 0) {
                today.tm_mday--;
                return usec_of(&today, ret_usec);
        }
        for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
                const char *end;

                tm = today;
                end = strptime(text, formats[i], &tm);
                if (end && !*end)
                        return usec_of(&tm, ret_usec);
        }
        return -EINVAL;
}

char *moment_format(char buf[static MOMENT_TEXT_MAX], uint64_t usec)
{
        time_t seconds = (time_t)(usec / USEC_PER_SEC);
        struct tm tm;

        if (!localtime_r(&seconds, &tm) || strftime(buf, MOMENT_TEXT_MAX, "%Y-%m-%d %H:%M:%S", &tm) == 0)
                (void)snprintf(buf, MOMENT_TEXT_MAX, "-");
        return buf;
}
