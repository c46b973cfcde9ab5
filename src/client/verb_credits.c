/* SPDX-License-Identifier: MIT */

/* credits: who gave more to its coalition than it got, and what that is worth in the next bargain. */

#include "client/bus.h"
#include "client/cells.h"
#include "client/client.h"
#include "client/head.h"
#include "core/ledger.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* To each side of the middle. */
#define BAR_WIDTH 8
/* What a whole side stands for at least: a credit that is shown as 0 has no bar. */
#define BAR_CREDIT_MIN 0.1
/* Less is not shown: what rounding, or a service that left, gave to all. */
#define CREDIT_NOTED 5e-4

static const struct field credit_fields[] = {
        { "Name", "name", FIELD_SAME },
        { "Unit", "unit", FIELD_SAME },
        { "CoalitionId", "coalition", FIELD_SAME },
        { "EntitlementUSecPerSec", "entitlement_milli", FIELD_CPU },
        { "AllocationUSecPerSec", "alloc_milli", FIELD_CPU },
        { "Credit", "credit", FIELD_NUMBER },
        { "Weight", "weight", FIELD_SAME },
        { "BargainWeight", "bargain_weight", FIELD_NUMBER },
};

static bool has_part(struct json_object *s)
{
        return *json_get_text(s, "CoalitionId", "") || fabs(json_get_number(s, "Credit")) >= CREDIT_NOTED;
}

/* "   ----|     " for a debt, "       |++++ " for a credit. */
static char *bar(char buf[static 2 * BAR_WIDTH + 2], double credit, double largest)
{
        long n = isfinite(credit) && largest > 0 ? lround(BAR_WIDTH * credit / largest) : 0;

        (void)memset(buf, ' ', 2 * BAR_WIDTH + 1);
        buf[2 * BAR_WIDTH + 1] = '\0';
        buf[BAR_WIDTH] = '|';
        if (n < 0)
                (void)memset(buf + BAR_WIDTH + n, '-', (size_t)-n);
        else
                (void)memset(buf + BAR_WIDTH + 1, '+', (size_t)n);
        return buf;
}

static void weight_cell(struct table *t, double weight)
{
        char text[FORMAT_MAX] = "";

        /* It has none before the first decision about it. */
        if (isfinite(weight) && weight > 0)
                (void)snprintf(text, sizeof text, "%.1f", weight);
        cell_text(t, TERM_PLAIN, text);
}

static void add_row(struct table *t, struct json_object *s, double largest)
{
        double credit = json_get_number(s, "Credit"), weight = json_get_number(s, "Weight");
        const char *name = json_get_text(s, "Name", "");
        char text[FORMAT_MAX], plot[2 * BAR_WIDTH + 2];
        enum term_style style = credit < 0 ? TERM_WARN : credit > 0 ? TERM_GOOD : TERM_PLAIN;

        table_row(t);
        table_cell(t, TERM_BOLD, *name ? name : json_get_text(s, "Unit", "-"));
        cell_text(t, TERM_PLAIN, json_get_text(s, "CoalitionId", ""));
        cell_cpu(t, s, "EntitlementUSecPerSec");
        cell_cpu(t, s, "AllocationUSecPerSec");
        cell_text(t, style, isfinite(credit) ? words_credit(text, credit) : "");
        table_cell(t, style, bar(plot, credit, largest));
        (void)snprintf(text, sizeof text, "%.0f", weight);
        cell_text(t, TERM_PLAIN, isfinite(weight) ? text : "");
        weight_cell(t, json_get_number(s, "BargainWeight"));
        weight_cell(t, weight * (1 + LEDGER_WEIGHT_SWING * credit));
}

static int print_credits(const struct client *c, sd_bus *bus, struct json_object *services)
{
        struct table *t = table_new();
        double largest = BAR_CREDIT_MIN;
        size_t n = 0;

        if (!t)
                return out_of_memory();
        table_column(t, "SERVICE", TABLE_MAY_CUT, 0);
        table_column(t, "COALITION", TABLE_MAY_CUT, 4);
        table_column(t, "ENTITLED", TABLE_RIGHT, 3);
        table_column(t, "HOLDS", TABLE_RIGHT, 3);
        table_column(t, "CREDIT", TABLE_RIGHT, 0);
        table_column(t, "GOT - | + GAVE", 0, 1);
        table_column(t, "WEIGHT", TABLE_RIGHT, 0);
        table_column(t, "NOW", TABLE_RIGHT, 2);
        table_column(t, "CONTENDED", TABLE_RIGHT, 0);
        for (size_t i = 0; i < json_length(services); i++) {
                double credit = json_get_number(json_at(services, i), "Credit");

                if (isfinite(credit))
                        largest = fmax(largest, fabs(credit));
        }
        for (size_t i = 0; i < json_length(services); i++)
                if (has_part(json_at(services, i))) {
                        add_row(t, json_at(services, i), largest);
                        n++;
                }
        if (n == 0) {
                table_free(t);
                return head_no_coalitions(bus);
        }
        int status = cells_print(t, c->has_legend);
        if (status == STATUS_FINE && c->has_legend) {
                (void)printf("\n");
                term_say(stdout, TERM_DIM, 0, "Credit +0.10: over the last hour, on average, a tenth of what its "
                         "coalition moved came from this service beyond its fair share; minus: went to it. "
                         "CONTENDED: its weight at scarcity 1 and above, at most %.0f%% up or down; NOW: in the "
                         "last decision.", 100 * LEDGER_WEIGHT_SWING);
        }
        return status;
}

int verb_credits(const struct client *c, char *args[], int n_args)
{
        _cleanup_json_ struct json_object *services = NULL, *managed = json_object_new_array();
        _cleanup_bus_ sd_bus *bus = NULL;

        (void)args;
        (void)n_args;
        if (!managed)
                return out_of_memory();
        int status = bus_open(c, &bus);
        if (status == STATUS_FINE)
                status = bus_call_list(bus, &services, "ListServices");
        if (status != STATUS_FINE)
                return status;
        for (size_t i = 0; i < json_length(services); i++) {
                struct json_object *s = json_at(services, i);

                if (json_get_bool(s, "Managed") && json_object_array_add(managed, json_object_get(s)) < 0)
                        return out_of_memory();
        }
        if (c->want_json)
                return fields_print_list("services", credit_fields, N_FIELDS(credit_fields), managed);
        return print_credits(c, bus, managed);
}
