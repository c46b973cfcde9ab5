/* SPDX-License-Identifier: MIT */

/* status: the host and every service in one screen, readable at three in the morning. Everything
 * shown comes from the daemon; nothing is computed here but text. */

#include "client/bus.h"
#include "client/cells.h"
#include "client/client.h"
#include "client/head.h"
#include "platform/config_file.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- fields -------------------------------------------------------------------------------------- */

static const struct field host_fields[] = {
        { "Version", "version", FIELD_SAME },
        { "Mode", "mode", FIELD_SAME },
        { "Enforce", "enforce", FIELD_SAME },
        { "Tier", "tier", FIELD_SAME },
        { "CapacityUSecPerSec", "capacity_milli", FIELD_CPU },
        { "BargainedUSecPerSec", "bargained_milli", FIELD_CPU },
        { "AllocatedUSecPerSec", "allocated_milli", FIELD_CPU },
        { "UnmanagedUSecPerSec", "unmanaged_milli", FIELD_CPU },
        { "Scarcity", "scarcity", FIELD_NUMBER },
        { "ShadowPrice", "shadow_price", FIELD_NUMBER },
        { "Potential", "potential", FIELD_NUMBER },
        { "PotentialTrend", "potential_trend", FIELD_NUMBER },
        { "StepSize", "step_size", FIELD_NUMBER },
        { "Verdict", "verdict", FIELD_SAME },
        { "Hold", "hold", FIELD_SAME },
        { "Epoch", "epoch", FIELD_SAME },
        { "EpochUSec", "epoch_sec", FIELD_SPAN },
        { "Frozen", "frozen", FIELD_SAME },
        { "ConfigError", "config_error", FIELD_SAME },
        { "EpochError", "epoch_error", FIELD_SAME },
        { "PendingWrites", "pending_writes", FIELD_SAME },
        { "GuardRaises", "guard_raises", FIELD_SAME },
        { "PressureAvailable", "pressure_available", FIELD_SAME },
};

static const struct field service_fields[] = {
        { "Name", "name", FIELD_SAME },
        { "Unit", "unit", FIELD_SAME },
        { "Managed", "managed", FIELD_SAME },
        { "Active", "active", FIELD_SAME },
        { "State", "state", FIELD_SAME },
        { "Note", "note", FIELD_SAME },
        { "CoalitionId", "coalition", FIELD_SAME },
        { "UseUSecPerSec", "use_milli", FIELD_CPU },
        { "LoadUSecPerSec", "load_milli", FIELD_CPU },
        { "NeedUSecPerSec", "need_milli", FIELD_CPU },
        { "NeedReason", "need_reason", FIELD_SAME },
        { "FloorUSecPerSec", "floor_milli", FIELD_CPU },
        { "BaselineUSecPerSec", "baseline_milli", FIELD_CPU },
        { "MaxUSecPerSec", "max_milli", FIELD_CPU },
        { "Weight", "weight", FIELD_SAME },
        { "AllocationUSecPerSec", "alloc_milli", FIELD_CPU },
        { "QuotaWantedUSecPerSec", "quota_wanted_milli", FIELD_CPU },
        { "QuotaAppliedUSecPerSec", "quota_applied_milli", FIELD_CPU },
        { "QuotaReadUSecPerSec", "quota_read_milli", FIELD_CPU },
        { "BurstUSec", "burst_ms", FIELD_LATENCY },
        { "BurstInStep", "burst_in_step", FIELD_SAME },
        { "CPUWeightWanted", "cpu_weight_wanted", FIELD_OPTIONAL },
        { "CPUWeightApplied", "cpu_weight_applied", FIELD_OPTIONAL },
        { "CPUWeightRead", "cpu_weight_read", FIELD_OPTIONAL },
        { "ThrottledRatio", "throttled_ratio", FIELD_NUMBER },
        { "GuardRaises", "guard_raises", FIELD_SAME },
        { "Pressure", "pressure", FIELD_NUMBER },
        { "Contention", "contention", FIELD_NUMBER },
        { "Confidence", "confidence", FIELD_NUMBER },
        { "Satisfied", "satisfied", FIELD_SAME },
        { "Elastic", "elastic", FIELD_SAME },
        { "Calls", "calls", FIELD_SAME },
        { "Credit", "credit", FIELD_NUMBER },
        { "Importance", "importance", FIELD_NUMBER },
        { "EntitlementUSecPerSec", "entitlement_milli", FIELD_CPU },
        { "BargainWeight", "bargain_weight", FIELD_NUMBER },
        { "LatencyTargetUSec", "latency_target_ms", FIELD_TARGET },
        { "LatencyTargetUsedUSec", "latency_target_used_ms", FIELD_TARGET },
        { "LatencyUSec", "latency_ms", FIELD_LATENCY },
        { "LatencyStale", "latency_stale", FIELD_SAME },
        { "LatencyAgeUSec", "latency_age_sec", FIELD_SPAN },
        { "LatencyModelUSec", "latency_model_ms", FIELD_LATENCY },
        { "Elasticity", "elasticity", FIELD_NUMBER },
};

/* Seconds to the next epoch, or NAN. Another host's clock says nothing about ours. */
static double next_epoch_sec(const struct client *c, struct json_object *host)
{
        struct timespec now;
        uint64_t at_usec;

        if (c->host || !json_get_count(host, "NextEpochUSec", &at_usec) || at_usec == 0)
                return NAN;
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return fmax(0, (double)at_usec / 1e6 - ((double)now.tv_sec + (double)now.tv_nsec / 1e9));
}

static int print_json(const struct client *c, struct json_object *host, struct json_object *services)
{
        _cleanup_json_ struct json_object *top = fields_to_json(host_fields, N_FIELDS(host_fields), host);

        if (!top || json_object_object_add(top, "next_epoch_sec",
                                           json_number(next_epoch_sec(c, host))) < 0 ||
            !fields_add_list(top, "services", service_fields, N_FIELDS(service_fields), services))
                return out_of_memory();
        return json_print(top);
}

/* ---- the host ------------------------------------------------------------------------------------ */

static const char *host_cpu(char buf[static FORMAT_MAX], struct json_object *host, const char *name)
{
        uint64_t usec_per_sec;

        if (!json_get_count(host, name, &usec_per_sec) || usec_per_sec == NONE)
                return "-";
        return words_cpu(buf, (double)usec_per_sec / 1e3);
}

static void print_cpu(struct json_object *host)
{
        char capacity[FORMAT_MAX], bargained[FORMAT_MAX], allocated[FORMAT_MAX], unmanaged[FORMAT_MAX];

        head_line("CPU", TERM_PLAIN, "%s in all; %s to be shared out, %s allocated; the rest is kept "
                   "for what is not managed, which wants %s",
                   host_cpu(capacity, host, "CapacityUSecPerSec"),
                   host_cpu(bargained, host, "BargainedUSecPerSec"),
                   host_cpu(allocated, host, "AllocatedUSecPerSec"),
                   host_cpu(unmanaged, host, "UnmanagedUSecPerSec"));
}

/* How far the last decision is from the bargaining solution, and what the gate made of it. */
static void print_gate(struct json_object *host)
{
        const char *verdict = json_get_text(host, "Verdict", ""), *hold = json_get_text(host, "Hold", "");
        double trend = json_get_number(host, "PotentialTrend");
        /* A daemon that does not say why it holds still says that it does. */
        const char *what = *words_hold(hold) ? words_hold(hold) : words_verdict(verdict);
        bool is_holding = *hold || strcmp(verdict, "hold") == 0;
        char potential[FORMAT_MAX], difference[FORMAT_MAX], change[64] = "";

        /* Of V between epochs, most is the work of changing needs: no word that blames or praises. */
        if (trend == 0)
                (void)snprintf(change, sizeof change, ", unchanged since the last epoch");
        else if (!isnan(trend))
                (void)snprintf(change, sizeof change, ", %s%s since the last epoch", trend > 0 ? "+" : "",
                               words_number(difference, trend));
        head_line("Gate", is_holding ? TERM_WARN : TERM_PLAIN, "V %s (0 is the bargaining solution)%s%s%s",
                   words_number(potential, json_get_number(host, "Potential")), change,
                   *what ? "; " : "", what);
}

static void print_decision(struct json_object *host)
{
        if (!head_tier(host))
                return;
        print_cpu(host);
        head_price(host);
        print_gate(host);
}

static void print_epoch(const struct client *c, struct json_object *host)
{
        double in_sec = next_epoch_sec(c, host);
        uint64_t epoch = 0, length_usec = 0, n_pending = 0;
        char next[64] = "";

        (void)json_get_count(host, "Epoch", &epoch);
        (void)json_get_count(host, "EpochUSec", &length_usec);
        if (!isnan(in_sec))
                (void)snprintf(next, sizeof next, ", the next in %.0fs", in_sec);
        head_line("Epoch", TERM_PLAIN, "%" PRIu64 ", one every %s%s", epoch, FORMAT_SPAN(length_usec),
                   next);
        if (json_get_count(host, "PendingWrites", &n_pending) && n_pending > 0)
                head_line("Writes", TERM_WARN, "%" PRIu64 " still to come, 50 a second; until then units have what "
                          "they had", n_pending);
}

static void print_host(const struct client *c, struct json_object *host)
{
        const char *mode = json_get_text(host, "Mode", "unknown");
        const char *config_error = json_get_text(host, "ConfigError", "");
        const char *epoch_error = json_get_text(host, "EpochError", "");
        bool is_enforcing = strcmp(mode, "enforce") == 0;

        (void)printf("%s%s%s coallocd %s, %s%s%s\n", term_on(stdout, is_enforcing ? TERM_GOOD : TERM_WARN),
                     words_has_utf8() ? "\u25cf" : "*", term_off(stdout), json_get_text(host, "Version", "?"),
                     term_on(stdout, TERM_BOLD),
                     words_mode(mode, json_get_text(host, "Enforce", "")), term_off(stdout));
        if (*config_error) {
                head_line("Config", TERM_BAD, "%s", config_error);
                head_line("", TERM_BAD, "The last good configuration stays in force. Correct the file, "
                           "`coallocctl verify`, `coallocctl reload`.");
        }
        if (*epoch_error) {
                head_line("Error", TERM_BAD, "%s", epoch_error);
                if (*json_get_text(host, "Tier", ""))
                        head_line("", TERM_BAD, "What follows is the last decision that was made.");
        }
        if (json_get_bool(host, "Frozen"))
                head_line("Frozen", TERM_WARN, "No allocation changes until `coallocctl thaw`.");
        print_decision(host);
        print_epoch(c, host);
        if (json_get(host, "PressureAvailable") && !json_get_bool(host, "PressureAvailable"))
                head_line("Pressure", TERM_WARN, "This kernel shows none, so need is judged by use and "
                           "throttling alone. Boot with psi=1.");
}

/* ---- the services -------------------------------------------------------------------------------- */

static void share_cell(struct table *t, struct json_object *s, const char *name, double bad)
{
        double share = json_get_number(s, name);
        char text[FORMAT_MAX];

        table_cell(t, share >= bad ? TERM_WARN : TERM_PLAIN, isnan(share) ? "-" : words_share(text, share));
}

static const char *setting_text(char buf[static FORMAT_MAX], uint64_t setting, bool is_cpu)
{
        if (setting == NONE)
                return is_cpu ? "none" : "unset";
        if (is_cpu)
                return words_cpu(buf, (double)setting / 1e3);
        (void)snprintf(buf, FORMAT_MAX, "%" PRIu64, setting);
        return buf;
}

/* Asked, applied, read back: one number when they agree; a!=b where they do not; when only observing,
 * what it is and what it would be. */
static bool setting_cell(struct table *t, struct json_object *s, const char *const names[3], bool is_cpu,
                         bool is_observing)
{
        uint64_t settings[3], said[3];
        char texts[3][FORMAT_MAX], cell[4 * FORMAT_MAX] = "";
        size_t n = 0, length = 0;

        for (size_t i = 0; i < 3; i++)
                if (json_get_count(s, names[i], &settings[n]))
                        n++;
        if (n == 3 && settings[0] == NONE && settings[1] == NONE) {
                settings[0] = settings[2];      /* nothing of coalloc's: what it is */
                n = 1;
        }
        if (is_observing && n == 3) {
                settings[1] = settings[0];      /* nothing is applied: read now, wanted then */
                settings[0] = settings[2];
                n = 2;
        }
        size_t n_said = 0;
        for (size_t i = 0; i < n; i++)
                if (i == 0 || settings[i] != settings[i - 1])
                        said[n_said++] = settings[i];
        if (n_said == 0 || (n_said == 1 && said[0] == NONE)) {
                table_cell(t, TERM_PLAIN, "-");
                return false;
        }
        for (size_t i = 0; i < n_said; i++)
                length += (size_t)snprintf(cell + length, sizeof cell - length, "%s%s",
                                           i == 0 ? "" : is_observing ? "->" : "!=",
                                           setting_text(texts[i], said[i], is_cpu));
        bool differs = n_said > 1;
        bool is_refused = differs && !is_observing && n == 3 && settings[1] != settings[2];
        table_cell(t, is_refused ? TERM_BAD : differs ? TERM_WARN : TERM_PLAIN, cell);
        return differs;
}

static void note_cell(struct table *t, struct json_object *s)
{
        const char *state = json_get_text(s, "State", ""), *note = json_get_text(s, "Note", "");
        bool is_usual = strcmp(state, "managed") == 0 || strcmp(state, "observed") == 0 || !*state;
        bool is_bad = strcmp(state, "refused") == 0 || strcmp(state, "foreign") == 0 ||
                      strcmp(state, "stale") == 0;
        char text[512];

        (void)snprintf(text, sizeof text, "%s%s%s", is_usual ? "" : state, !is_usual && *note ? ": " : "",
                       note);
        table_cell(t, is_bad ? TERM_WARN : TERM_PLAIN, text);
}

/* What was reported, against what it should be at most. */
static void latency_cell(struct table *t, struct json_object *s)
{
        uint64_t latency_usec = NONE, target_usec = 0;
        char text[2 * FORMAT_MAX], latency[FORMAT_MAX];

        (void)json_get_count(s, "LatencyUSec", &latency_usec);
        (void)json_get_count(s, "LatencyTargetUsedUSec", &target_usec);
        if (json_get_bool(s, "LatencyStale") && latency_usec != NONE) {
                /* It counts for nothing any more, so neither does the target that it missed. */
                (void)snprintf(text, sizeof text, "%s stale", words_latency(latency, (double)latency_usec));
                table_cell(t, TERM_DIM, text);
                return;
        }
        cell_text(t, style_against_target(latency_usec, target_usec),
                  words_against_target(text, latency_usec, target_usec));
}

static void credit_cell(struct table *t, struct json_object *s)
{
        double credit = json_get_number(s, "Credit");
        char text[FORMAT_MAX];

        table_cell(t, TERM_PLAIN, isfinite(credit) ? words_credit(text, credit) : "-");
}

/* Columns for what only some hosts have. */
struct extras {
        bool has_coalition, has_latency;
};

static struct extras find_extras(struct json_object *services)
{
        struct extras found = { 0 };

        for (size_t i = 0; i < json_length(services); i++) {
                struct json_object *s = json_at(services, i);
                uint64_t latency_usec = NONE, target_usec = 0;

                (void)json_get_count(s, "LatencyUSec", &latency_usec);
                (void)json_get_count(s, "LatencyTargetUsedUSec", &target_usec);
                found.has_latency |= latency_usec != NONE || target_usec > 0;
                found.has_coalition |= *json_get_text(s, "CoalitionId", "") != '\0';
        }
        return found;
}

/* Return: did some setting differ from what was asked? */
static bool add_row(struct table *t, struct json_object *s, bool is_observing, const struct extras *extras)
{
        static const char *const quotas[3] = { "QuotaWantedUSecPerSec", "QuotaAppliedUSecPerSec",
                                               "QuotaReadUSecPerSec" };
        static const char *const weights[3] = { "CPUWeightWanted", "CPUWeightApplied", "CPUWeightRead" };
        const char *name = json_get_text(s, "Name", "");
        bool is_managed = json_get_bool(s, "Managed");

        table_row(t);
        table_cell(t, is_managed ? TERM_BOLD : TERM_PLAIN, *name ? name : json_get_text(s, "Unit", "-"));
        table_cell(t, TERM_PLAIN, json_get_text(s, "Unit", "-"));
        if (extras->has_coalition)
                cell_text(t, TERM_PLAIN, json_get_text(s, "CoalitionId", ""));
        cell_cpu(t, s, "UseUSecPerSec");
        if (is_managed) {
                cell_cpu(t, s, "NeedUSecPerSec");
                cell_cpu(t, s, "BaselineUSecPerSec");
                cell_cpu(t, s, "AllocationUSecPerSec");
        } else
                for (int i = 0; i < 3; i++)
                        table_cell(t, TERM_PLAIN, "-");
        bool differs = setting_cell(t, s, quotas, true, is_observing);
        differs |= setting_cell(t, s, weights, false, is_observing);
        if (extras->has_latency)
                latency_cell(t, s);
        if (extras->has_coalition)
                credit_cell(t, s);
        share_cell(t, s, "ThrottledRatio", 0.05);
        share_cell(t, s, "Pressure", 1.1);
        note_cell(t, s);
        return differs;
}

static int print_services(const struct client *c, struct json_object *services, bool is_observing)
{
        struct extras extras = find_extras(services);
        size_t n = json_length(services);
        struct table *t = table_new();
        bool differs = false;

        if (!t)
                return out_of_memory();
        table_column(t, "SERVICE", TABLE_MAY_CUT, 0);
        table_column(t, "UNIT", TABLE_MAY_CUT, 5);
        if (extras.has_coalition)
                table_column(t, "COALITION", TABLE_MAY_CUT, 6);
        table_column(t, "USE", TABLE_RIGHT, 0);
        table_column(t, "NEED", TABLE_RIGHT, 0);
        table_column(t, "BASELINE", TABLE_RIGHT, 4);
        table_column(t, "ALLOC", TABLE_RIGHT, 0);
        table_column(t, "QUOTA", TABLE_RIGHT, 0);
        table_column(t, "WEIGHT", TABLE_RIGHT, 0);
        if (extras.has_latency)
                table_column(t, "LATENCY", TABLE_RIGHT, 2);
        if (extras.has_coalition)
                table_column(t, "CREDIT", TABLE_RIGHT, 7);
        table_column(t, "THROTTLED", TABLE_RIGHT, 3);
        table_column(t, "PRESSURE", TABLE_RIGHT, 8);
        table_column(t, "NOTE", TABLE_MAY_CUT, 0);
        for (int is_managed = 1; is_managed >= 0; is_managed--)
                for (size_t i = 0; i < n; i++) {
                        struct json_object *s = json_at(services, i);
                        if (json_get_bool(s, "Managed") == (is_managed == 1))
                                differs |= add_row(t, s, is_observing, &extras);
                }
        int status = cells_print(t, c->has_legend);
        if (status != STATUS_FINE)
                return status;
        if (differs && c->has_legend)
                (void)printf("%s%s%s\n", term_on(stdout, TERM_DIM),
                             is_observing ? "a->b: as it is, and as it would be in mode enforce" :
                                            "a!=b: as asked, as applied, as read back from the kernel",
                             term_off(stdout));
        return STATUS_FINE;
}

/* ---- the verb ------------------------------------------------------------------------------------ */

int verb_status(const struct client *c, char *args[], int n_args)
{
        _cleanup_json_ struct json_object *host = NULL, *services = NULL;
        _cleanup_bus_ sd_bus *bus = NULL;

        (void)args;
        (void)n_args;
        int status = bus_open(c, &bus);
        if (status == STATUS_FINE)
                status = bus_get_properties(bus, &host);
        if (status == STATUS_FINE)
                status = bus_call_list(bus, &services, "ListServices");
        if (status != STATUS_FINE)
                return status;
        if (c->want_json)
                return print_json(c, host, services);

        if (c->has_legend) {
                print_host(c, host);
                (void)printf("\n");
        }
        if (json_length(services) == 0) {
                (void)printf("No unit is managed or shown. Add a [Service] section to %s: "
                             "coalloc.conf(5).\n", CONFIG_MAIN_PATH);
                return STATUS_FINE;
        }
        return print_services(c, services, strcmp(json_get_text(host, "Mode", ""), "observe") == 0);
}
