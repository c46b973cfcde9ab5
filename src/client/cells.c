/* SPDX-License-Identifier: MIT */

#include "client/cells.h"

#include "client/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void cell_text(struct table *t, enum term_style style, const char *text)
{
        table_cell(t, style, *text ? text : "-");
}

void cell_cpu_value(struct table *t, struct json_object *value)
{
        uint64_t usec_per_sec;
        char text[FORMAT_MAX] = "";

        if (json_count_of(value, &usec_per_sec) && usec_per_sec != NONE)
                (void)words_cpu(text, (double)usec_per_sec / 1e3);
        cell_text(t, TERM_PLAIN, text);
}

void cell_cpu(struct table *t, struct json_object *o, const char *bus_name)
{
        cell_cpu_value(t, json_get(o, bus_name));
}

void cell_latency(struct table *t, enum term_style style, struct json_object *o, const char *bus_name)
{
        uint64_t usec;
        char text[FORMAT_MAX] = "";

        if (json_get_count(o, bus_name, &usec) && usec != NONE)
                (void)words_latency(text, (double)usec);
        cell_text(t, style, text);
}

char *words_against_target(char buf[static 2 * FORMAT_MAX], uint64_t latency_usec, uint64_t target_usec)
{
        char latency[FORMAT_MAX] = "-", target[FORMAT_MAX];

        *buf = '\0';
        if (latency_usec != NONE)
                (void)words_latency(latency, (double)latency_usec);
        if (target_usec > 0)
                (void)snprintf(buf, 2 * FORMAT_MAX, "%s of %s", latency,
                               words_latency(target, (double)target_usec));
        else if (latency_usec != NONE)
                (void)strcpy(buf, latency);
        return buf;
}

enum term_style style_against_target(uint64_t latency_usec, uint64_t target_usec)
{
        return target_usec > 0 && latency_usec != NONE && latency_usec > target_usec ? TERM_WARN : TERM_PLAIN;
}

int cells_print(struct table *t, bool has_legend)
{
        int r = table_print(t, has_legend, term_width());

        table_free(t);
        if (r == -ENOMEM)
                return out_of_memory();
        if (r < 0) {
                complain("The table could not be printed: %s", strerror(-r));
                return STATUS_FAILED;
        }
        return STATUS_FINE;
}
