/* SPDX-License-Identifier: MIT */

/* coalitions: who pools CPU with whom, what that saves, what moved, and whether it holds together. */

#include "client/bus.h"
#include "client/cells.h"
#include "client/client.h"
#include "client/head.h"
#include "util/cleanup.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define INDENT 2
/* CPU that is not worth a sentence, in usec per sec: what words_cpu() shows as nothing. */
#define MOVE_NOTED_USEC_PER_SEC 500
/* Utility (ms) that is shown as something. */
#define UTILITY_NOTED 5e-4
/* Part of the worth that is still to come, from which on it is said. */
#define PENDING_NOTED 0.02

static const struct field coalition_fields[] = {
        { "Id", "id", FIELD_SAME },
        { "Members", "members", FIELD_SAME },
        { "Units", "units", FIELD_SAME },
        { "Active", "active", FIELD_SAME },
        { "Formed", "formed", FIELD_SAME },
        { "Stable", "stable", FIELD_SAME },
        { "Exact", "exact", FIELD_SAME },
        { "Repaired", "repaired", FIELD_SAME },
        { "Value", "value", FIELD_NUMBER },
        { "MaxExcess", "max_excess", FIELD_NUMBER },
        { "Certificate", "certificate", FIELD_NUMBER },
        { "Blocking", "blocking", FIELD_SAME },
        { "Shapley", "shapley", FIELD_NUMBER_LIST },
        { "Imputation", "imputation", FIELD_NUMBER_LIST },
        { "HalfWidth", "half_width", FIELD_NUMBER },
        { "Seed", "seed", FIELD_SAME },
        { "ValuedEpoch", "valued_epoch", FIELD_SAME },
        { "TotalUSecPerSec", "total_milli", FIELD_CPU },
        { "EntitlementUSecPerSec", "entitlement_milli", FIELD_CPU_LIST },
        { "AllocationUSecPerSec", "allocation_milli", FIELD_CPU_LIST },
        { "Price", "price", FIELD_NUMBER },
        { "DivisionBefore", "division_before", FIELD_NUMBER },
        { "DivisionAfter", "division_after", FIELD_NUMBER },
};

/* Utility is milliseconds of latency, weighted by path. */
static const char *saved(char buf[static FORMAT_MAX], double utility)
{
        return isfinite(utility) ? words_latency(buf, fmax(0, utility) * 1e3) : "?";
}

static bool is_valued(struct json_object *k)
{
        uint64_t epoch;

        return json_get_count(k, "ValuedEpoch", &epoch) && epoch > 0;
}

static bool is_blocked(struct json_object *k)
{
        return !json_get_bool(k, "Formed") && json_length(json_get_list(k, "Blocking")) > 0;
}

static size_t n_active(struct json_object *k)
{
        struct json_object *active = json_get_list(k, "Active");
        size_t n = 0;

        for (size_t i = 0; i < json_length(active); i++)
                n += json_object_is_type(json_at(active, i), json_type_boolean) &&
                     json_object_get_boolean(json_at(active, i));
        return n;
}

/* ---- all of them ---------------------------------------------------------------------------------- */

static void state_cell(struct table *t, struct json_object *k)
{
        if (!json_get_bool(k, "Formed"))
                table_cell(t, is_blocked(k) ? TERM_WARN : TERM_DIM, "not formed");
        else if (!is_valued(k))
                table_cell(t, TERM_PLAIN, "formed");
        else if (!json_get_bool(k, "Stable"))
                table_cell(t, TERM_WARN, "unstable");
        else
                table_cell(t, TERM_GOOD, json_get_bool(k, "Repaired") ? "repaired" : "stable");
}

static void worth_cell(struct table *t, struct json_object *k)
{
        char text[2 * FORMAT_MAX], worth[FORMAT_MAX];

        if (!is_valued(k)) {
                table_cell(t, TERM_DIM, "not valued yet");
                return;
        }
        (void)snprintf(text, sizeof text, "%s %s", json_get_bool(k, "Formed") ? "saves" : "could save",
                       saved(worth, json_get_number(k, "Value")));
        table_cell(t, TERM_PLAIN, text);
}

static int blocking_cell(struct table *t, struct json_object *k)
{
        _cleanup_free_ char *names = NULL, *text = NULL;
        char worth[FORMAT_MAX];

        if (!is_blocked(k)) {
                table_cell(t, TERM_PLAIN, "");
                return STATUS_FINE;
        }
        names = json_join(json_get_list(k, "Blocking"), " ", " ");
        if (!names || asprintf(&text, "%s: %s more", names, saved(worth, json_get_number(k, "MaxExcess"))) < 0) {
                text = NULL;
                return out_of_memory();
        }
        table_cell(t, TERM_WARN, text);
        return STATUS_FINE;
}

static int print_table(const struct client *c, struct json_object *coalitions)
{
        struct table *t = table_new();
        bool with_blocking = false;

        if (!t)
                return out_of_memory();
        for (size_t i = 0; i < json_length(coalitions); i++)
                with_blocking |= is_blocked(json_at(coalitions, i));
        table_column(t, "COALITION", TABLE_MAY_CUT, 0);
        table_column(t, "MEMBERS", TABLE_MAY_CUT, 1);
        table_column(t, "STATE", 0, 0);
        table_column(t, "WORTH", 0, 0);
        table_column(t, "CPU", TABLE_RIGHT, 2);
        if (with_blocking)
                table_column(t, "WORST SUBSET", TABLE_MAY_CUT, 3);
        for (size_t i = 0; i < json_length(coalitions); i++) {
                struct json_object *k = json_at(coalitions, i);
                _cleanup_free_ char *members = json_join(json_get_list(k, "Members"), " ", " ");

                table_row(t);
                table_cell(t, TERM_BOLD, json_get_text(k, "Id", "?"));
                cell_text(t, TERM_PLAIN, members ?: "");
                state_cell(t, k);
                worth_cell(t, k);
                cell_cpu(t, k, "TotalUSecPerSec");
                if (with_blocking && blocking_cell(t, k) != STATUS_FINE) {
                        table_free(t);
                        return STATUS_FAILED;
                }
        }
        return cells_print(t, c->has_legend);
}

/* ---- one of them ---------------------------------------------------------------------------------- */

/* What a member got from the others, usec per sec; NAN: not known. */
static double moved(struct json_object *k, size_t i)
{
        uint64_t entitled, held;

        if (!json_count_of(json_at(json_get_list(k, "EntitlementUSecPerSec"), i), &entitled) ||
            !json_count_of(json_at(json_get_list(k, "AllocationUSecPerSec"), i), &held) ||
            entitled == NONE || held == NONE)
                return NAN;
        return (double)held - (double)entitled;
}

/* "cart gave 10% and db 5.0%": the members that moved to one side; "" if none did. */
static bool side_text(struct json_object *k, double sign, const char *verb, char **ret)
{
        struct json_object *members = json_get_list(k, "Members");
        size_t size, n = 0, n_said = 0;
        FILE *f = open_memstream(ret, &size);
        char text[FORMAT_MAX];

        if (!f)
                return false;
        for (size_t i = 0; i < json_length(members); i++)
                n += sign * moved(k, i) >= MOVE_NOTED_USEC_PER_SEC;
        for (size_t i = 0; i < json_length(members) && n_said < n; i++) {
                double usec_per_sec = sign * moved(k, i);

                if (!(usec_per_sec >= MOVE_NOTED_USEC_PER_SEC))
                        continue;
                n_said++;
                (void)fprintf(f, "%s%s%s%s %s", n_said == 1 ? "" : n_said == n ? " and " : ", ",
                              json_text_at(members, i), n_said == 1 ? " " : "", n_said == 1 ? verb : "",
                              words_cpu(text, usec_per_sec / 1e3));
        }
        return fclose(f) == 0;
}

static int print_moves(struct json_object *k)
{
        _cleanup_free_ char *givers = NULL, *takers = NULL;

        if (!side_text(k, -1, "gave", &givers) || !side_text(k, 1, "got", &takers))
                return out_of_memory();
        if (*givers || *takers)
                term_say(stdout, TERM_PLAIN, INDENT, "%s%s%s.", givers, *givers && *takers ? "; " : "", takers);
        else
                term_say(stdout, TERM_PLAIN, INDENT, "Nothing moved: each holds what it is entitled to.");
        return STATUS_FINE;
}

static int print_members(const struct client *c, struct json_object *k)
{
        struct json_object *members = json_get_list(k, "Members"), *shapley = json_get_list(k, "Shapley");
        struct json_object *active = json_get_list(k, "Active");
        struct table *t = table_new();
        char text[FORMAT_MAX];

        if (!t)
                return out_of_memory();
        table_indent(t, INDENT);
        table_column(t, "MEMBER", TABLE_MAY_CUT, 0);
        table_column(t, "ENTITLED", TABLE_RIGHT, 0);
        table_column(t, "HOLDS", TABLE_RIGHT, 0);
        table_column(t, "MOVED", TABLE_RIGHT, 0);
        table_column(t, "FAIR SHARE", TABLE_RIGHT, 1);
        for (size_t i = 0; i < json_length(members); i++) {
                double change = moved(k, i);
                bool is_active = !json_at(active, i) || json_object_get_boolean(json_at(active, i));

                table_row(t);
                table_cell(t, is_active ? TERM_PLAIN : TERM_DIM, json_text_at(members, i));
                cell_cpu_value(t, json_at(json_get_list(k, "EntitlementUSecPerSec"), i));
                cell_cpu_value(t, json_at(json_get_list(k, "AllocationUSecPerSec"), i));
                cell_text(t, change < 0 ? TERM_WARN : TERM_PLAIN,
                          isnan(change) ? "" : words_cpu_change(text, change / 1e3));
                cell_text(t, TERM_PLAIN, is_valued(k) && is_active ? saved(text, json_number_at(shapley, i)) : "");
        }
        return cells_print(t, c->has_legend);
}

static void print_certainty(struct json_object *k)
{
        double excess = json_get_number(k, "MaxExcess"), half_width = json_get_number(k, "HalfWidth");
        uint64_t epoch = 0, seed = 0;
        char text[FORMAT_MAX];

        (void)json_get_count(k, "ValuedEpoch", &epoch);
        (void)json_get_count(k, "Seed", &seed);
        if (!is_valued(k)) {
                term_say(stdout, TERM_DIM, INDENT, "Its subsets are compared in one of the next epochs; until then "
                         "the price at which it trades vouches for it.");
                return;
        }
        if (!json_get_bool(k, "Exact"))
                term_say(stdout, TERM_DIM, INDENT, "It has too many members to compare every subset: the price at "
                         "which it trades proves that none could save more by itself. Fair shares are sampled, "
                         "to %s either way with 95%% confidence (epoch %" PRIu64 ", seed %" PRIu64 ").",
                         saved(text, half_width), epoch, seed);
        else if (excess >= UTILITY_NOTED)
                term_say(stdout, TERM_DIM, INDENT, "Every subset was compared in epoch %" PRIu64 ": the one that "
                         "comes closest to leaving could save %s more by itself%s.", epoch, saved(text, excess),
                         json_get_bool(k, "Stable") ? ", which Epsilon= allows" : "");
        else
                term_say(stdout, TERM_DIM, INDENT, "Every subset was compared in epoch %" PRIu64 ": none could save "
                         "more by itself.", epoch);
        if (json_get_bool(k, "Repaired"))
                term_say(stdout, TERM_DIM, INDENT, "For that, credits were moved among its members; no CPU was.");
}

static int print_formed(const struct client *c, struct json_object *k)
{
        double worth = json_get_number(k, "Value"), pending = json_get_number(k, "DivisionAfter");
        double price = json_get_number(k, "Price");
        char text[FORMAT_MAX], more[FORMAT_MAX];

        if (is_valued(k) && worth < UTILITY_NOTED)
                term_say(stdout, TERM_PLAIN, INDENT, "There is nothing to gain now: no division would make its paths "
                         "faster than what each member is entitled to.");
        else if (is_valued(k))
                term_say(stdout, TERM_PLAIN, INDENT, "Requests on its paths take %s less than if every member kept "
                         "what it is entitled to: modelled, summed over its paths and their Weight=.%s%s%s",
                         saved(text, worth), pending > PENDING_NOTED * worth ? " Of that, " : "",
                         pending > PENDING_NOTED * worth ? saved(more, pending) : "",
                         pending > PENDING_NOTED * worth ? " are still to come: the gate goes in steps." : "");
        int status = print_moves(k);
        if (status == STATUS_FINE)
                status = print_members(c, k);
        if (status != STATUS_FINE)
                return status;
        if (price > 0 && isfinite(price))
                term_say(stdout, TERM_PLAIN, INDENT, "Another 1%% of a CPU for all of them would save %s more.",
                         saved(text, 10 * price));
        print_certainty(k);
        return STATUS_FINE;
}

static int print_blocked(struct json_object *k)
{
        _cleanup_free_ char *names = json_join(json_get_list(k, "Blocking"), ", ", " and ");
        char text[FORMAT_MAX];

        if (!names)
                return out_of_memory();
        term_say(stdout, TERM_WARN, INDENT, "Not formed: each of its members is on its own. These services, "
                 "swapping what they hold among themselves, could save more than the coalition gives them: "
                 "%s, by %s.", names, saved(text, json_get_number(k, "MaxExcess")));
        return STATUS_FINE;
}

static int print_one(const struct client *c, struct json_object *k)
{
        char total[FORMAT_MAX] = "?";
        uint64_t usec_per_sec;

        if (json_get_count(k, "TotalUSecPerSec", &usec_per_sec) && usec_per_sec != NONE)
                (void)words_cpu(total, (double)usec_per_sec / 1e3);
        (void)printf("\n%s%s%s: %zu services, %s of CPU together\n", term_on(stdout, TERM_BOLD),
                     json_get_text(k, "Id", "?"), term_off(stdout), json_length(json_get_list(k, "Members")),
                     total);
        if (json_get_bool(k, "Formed"))
                return print_formed(c, k);
        if (is_blocked(k))
                return print_blocked(k);
        term_say(stdout, TERM_DIM, INDENT, n_active(k) < 2 ?
                 "Not formed: fewer than two of its members run, so there is nobody to share with." :
                 "Not formed: nothing is decided about it yet.");
        return STATUS_FINE;
}

int verb_coalitions(const struct client *c, char *args[], int n_args)
{
        _cleanup_json_ struct json_object *coalitions = NULL;
        _cleanup_bus_ sd_bus *bus = NULL;

        (void)args;
        (void)n_args;
        int status = bus_open(c, &bus);
        if (status == STATUS_FINE)
                status = bus_call_list(bus, &coalitions, "ListCoalitions");
        if (status != STATUS_FINE)
                return status;
        if (c->want_json)
                return fields_print_list("coalitions", coalition_fields, N_FIELDS(coalition_fields), coalitions);
        if (json_length(coalitions) == 0)
                return head_no_coalitions(bus);
        status = print_table(c, coalitions);
        for (size_t i = 0; status == STATUS_FINE && c->has_legend && i < json_length(coalitions); i++)
                status = print_one(c, json_at(coalitions, i));
        return status;
}
