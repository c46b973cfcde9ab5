/* SPDX-License-Identifier: MIT */

/* status: the host and every service in one screen, readable at three in the morning. Everything
 * shown comes from the daemon; nothing is computed here but text. */

#include "client/bus.h"
#include "client/client.h"
#include "client/json.h"
#include "client/table.h"
#include "client/words.h"
#include "platform/config_file.h"

#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* systemd's "none", and ours. */
#define NONE UINT64_MAX
#define LABEL_WIDTH 10

/* ---- fields -------------------------------------------------------------------------------------- */

enum field_type {
        FIELD_SAME,                     /* text, booleans, counts, as they are */
        FIELD_CPU,                      /* usec per sec -> milli; UINT64_MAX -> null */
        FIELD_SPAN,                     /* usec -> sec */
        FIELD_OPTIONAL,                 /* count; UINT64_MAX -> null */
        FIELD_NUMBER,                   /* double; what is not finite -> null */
};

/* What the bus calls it, what our JSON calls it: one place for both. */
struct field {
        const char *bus_name;
        const char *json_name;
        enum field_type type;
};

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
        { "CPUWeightWanted", "cpu_weight_wanted", FIELD_OPTIONAL },
        { "CPUWeightApplied", "cpu_weight_applied", FIELD_OPTIONAL },
        { "CPUWeightRead", "cpu_weight_read", FIELD_OPTIONAL },
        { "ThrottledRatio", "throttled_ratio", FIELD_NUMBER },
        { "Pressure", "pressure", FIELD_NUMBER },
        { "Contention", "contention", FIELD_NUMBER },
        { "Confidence", "confidence", FIELD_NUMBER },
        { "Satisfied", "satisfied", FIELD_SAME },
        { "Elastic", "elastic", FIELD_SAME },
};

/* A count of the bus. Return: false if the daemon did not say. */
static bool get_count(struct json_object *o, const char *bus_name, uint64_t *ret)
{
        struct json_object *member = json_get(o, bus_name);

        if (!json_object_is_type(member, json_type_int))
                return false;
        *ret = json_object_get_uint64(member);
        return true;
}

static struct json_object *field_to_json(const struct field *f, struct json_object *o)
{
        struct json_object *member = json_get(o, f->bus_name);
        uint64_t count = 0;

        switch (f->type) {
        case FIELD_SAME:
                return json_object_get(member);
        case FIELD_NUMBER:
                return json_number(json_get_number(o, f->bus_name));
        case FIELD_OPTIONAL:
                return get_count(o, f->bus_name, &count) && count != NONE ? json_object_get(member) : NULL;
        case FIELD_CPU:
                return get_count(o, f->bus_name, &count) && count != NONE ?
                       json_number((double)count / 1e3) : NULL;
        case FIELD_SPAN:
                return get_count(o, f->bus_name, &count) ? json_number((double)count / 1e6) : NULL;
        }
        return NULL;
}

static struct json_object *to_json(const struct field fields[], size_t n, struct json_object *o)
{
        struct json_object *out = json_object_new_object();

        for (size_t i = 0; out && i < n; i++)
                if (json_object_object_add(out, fields[i].json_name, field_to_json(&fields[i], o)) < 0) {
                        json_object_put(out);
                        return NULL;
                }
        return out;
}

#define N(array) (sizeof(array) / sizeof *(array))

/* Seconds to the next epoch, or NAN. Another host's clock says nothing about ours. */
static double next_epoch_sec(const struct client *c, struct json_object *host)
{
        struct timespec now;
        uint64_t at_usec;

        if (c->host || !get_count(host, "NextEpochUSec", &at_usec) || at_usec == 0)
                return NAN;
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return fmax(0, (double)at_usec / 1e6 - ((double)now.tv_sec + (double)now.tv_nsec / 1e9));
}

static int print_json(const struct client *c, struct json_object *host, struct json_object *services)
{
        _cleanup_json_ struct json_object *top = to_json(host_fields, N(host_fields), host);
        struct json_object *list = json_object_new_array();

        if (!top || json_object_object_add(top, "next_epoch_sec",
                                           json_number(next_epoch_sec(c, host))) < 0 ||
            !list || json_object_object_add(top, "services", list) < 0)
                return out_of_memory();
        for (size_t i = 0; i < json_object_array_length(services); i++) {
                struct json_object *o = to_json(service_fields, N(service_fields),
                                                json_object_array_get_idx(services, i));
                if (!o || json_object_array_add(list, o) < 0)
                        return out_of_memory();
        }
        return json_print(top);
}

/* ---- the host ------------------------------------------------------------------------------------ */

static void print_label(const char *label)
{
        (void)printf("%*s%s", LABEL_WIDTH - 2, label, *label ? ": " : "  ");
}

__attribute__((format(printf, 3, 4))) static void print_line(const char *label, enum term_style style,
                                                             const char *format, ...)
{
        char text[1024];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(text, sizeof text, format, ap);
        va_end(ap);
        print_label(label);
        (void)fputs(term_on(stdout, style), stdout);
        term_wrap(stdout, text, term_width(), LABEL_WIDTH, LABEL_WIDTH);
        (void)fputs(term_off(stdout), stdout);
}

static const char *host_cpu(char buf[static FORMAT_MAX], struct json_object *host, const char *name)
{
        uint64_t usec_per_sec;

        if (!get_count(host, name, &usec_per_sec) || usec_per_sec == NONE)
                return "-";
        return words_cpu(buf, (double)usec_per_sec / 1e3);
}

static void print_cpu(struct json_object *host)
{
        char capacity[FORMAT_MAX], bargained[FORMAT_MAX], allocated[FORMAT_MAX], unmanaged[FORMAT_MAX];

        print_line("CPU", TERM_PLAIN, "%s in all; %s to be shared out, %s allocated; the rest is kept "
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
        print_line("Gate", is_holding ? TERM_WARN : TERM_PLAIN, "V %s (0 is the bargaining solution)%s%s%s",
                   words_number(potential, json_get_number(host, "Potential")), change,
                   *what ? "; " : "", what);
}

static void print_decision(struct json_object *host)
{
        const char *tier = json_get_text(host, "Tier", "");
        char scarcity[FORMAT_MAX], price[FORMAT_MAX];

        if (!*tier) {
                print_line("Tier", TERM_DIM, "none yet: %s", *json_get_text(host, "EpochError", "") ?
                           "no epoch has ended with a decision" : "the first epoch is still being measured");
                return;
        }
        print_line("Tier", strcmp(tier, "uncongested") == 0 ? TERM_PLAIN : TERM_WARN, "%s. %s", tier,
                   words_tier(tier));
        print_cpu(host);
        print_line("Price", TERM_PLAIN, "scarcity %s (0 enough for all, 1 baselines only, 2 nothing); one "
                   "more milli-CPU is worth %s",
                   words_number(scarcity, json_get_number(host, "Scarcity")),
                   words_number(price, json_get_number(host, "ShadowPrice")));
        print_gate(host);
}

static void print_epoch(const struct client *c, struct json_object *host)
{
        double in_sec = next_epoch_sec(c, host);
        uint64_t epoch = 0, length_usec = 0;
        char next[64] = "";

        (void)get_count(host, "Epoch", &epoch);
        (void)get_count(host, "EpochUSec", &length_usec);
        if (!isnan(in_sec))
                (void)snprintf(next, sizeof next, ", the next in %.0fs", in_sec);
        print_line("Epoch", TERM_PLAIN, "%" PRIu64 ", one every %s%s", epoch, FORMAT_SPAN(length_usec),
                   next);
}

static void print_host(const struct client *c, struct json_object *host)
{
        const char *mode = json_get_text(host, "Mode", "unknown");
        const char *config_error = json_get_text(host, "ConfigError", "");
        const char *epoch_error = json_get_text(host, "EpochError", "");
        bool is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
        bool is_enforcing = strcmp(mode, "enforce") == 0;

        (void)printf("%s%s%s coallocd %s, %s%s%s\n", term_on(stdout, is_enforcing ? TERM_GOOD : TERM_WARN),
                     is_utf8 ? "\u25cf" : "*", term_off(stdout), json_get_text(host, "Version", "?"),
                     term_on(stdout, TERM_BOLD),
                     words_mode(mode, json_get_text(host, "Enforce", "")), term_off(stdout));
        if (*config_error) {
                print_line("Config", TERM_BAD, "%s", config_error);
                print_line("", TERM_BAD, "The last good configuration stays in force. Correct the file, "
                           "`coallocctl verify`, `coallocctl reload`.");
        }
        if (*epoch_error) {
                print_line("Error", TERM_BAD, "%s", epoch_error);
                if (*json_get_text(host, "Tier", ""))
                        print_line("", TERM_BAD, "What follows is the last decision that was made.");
        }
        if (json_get_bool(host, "Frozen"))
                print_line("Frozen", TERM_WARN, "No allocation changes until `coallocctl thaw`.");
        print_decision(host);
        print_epoch(c, host);
        if (json_get(host, "PressureAvailable") && !json_get_bool(host, "PressureAvailable"))
                print_line("Pressure", TERM_WARN, "This kernel shows none, so need is judged by use and "
                           "throttling alone. Boot with psi=1.");
}

/* ---- the services -------------------------------------------------------------------------------- */

static void cpu_cell(struct table *t, struct json_object *s, const char *name)
{
        uint64_t usec_per_sec;
        char text[FORMAT_MAX];

        if (!get_count(s, name, &usec_per_sec) || usec_per_sec == NONE)
                table_cell(t, TERM_PLAIN, "-");
        else
                table_cell(t, TERM_PLAIN, words_cpu(text, (double)usec_per_sec / 1e3));
}

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
                if (get_count(s, names[i], &settings[n]))
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

static bool has_coalitions(struct json_object *services)
{
        for (size_t i = 0; i < json_object_array_length(services); i++)
                if (*json_get_text(json_object_array_get_idx(services, i), "CoalitionId", ""))
                        return true;
        return false;
}

/* Return: did some setting differ from what was asked? */
static bool add_row(struct table *t, struct json_object *s, bool is_observing, bool with_coalition)
{
        static const char *const quotas[3] = { "QuotaWantedUSecPerSec", "QuotaAppliedUSecPerSec",
                                               "QuotaReadUSecPerSec" };
        static const char *const weights[3] = { "CPUWeightWanted", "CPUWeightApplied", "CPUWeightRead" };
        const char *name = json_get_text(s, "Name", "");
        bool is_managed = json_get_bool(s, "Managed");

        table_row(t);
        table_cell(t, is_managed ? TERM_BOLD : TERM_PLAIN, *name ? name : json_get_text(s, "Unit", "-"));
        table_cell(t, TERM_PLAIN, json_get_text(s, "Unit", "-"));
        if (with_coalition) {
                const char *id = json_get_text(s, "CoalitionId", "");
                table_cell(t, TERM_PLAIN, *id ? id : "-");
        }
        cpu_cell(t, s, "UseUSecPerSec");
        if (is_managed) {
                cpu_cell(t, s, "NeedUSecPerSec");
                cpu_cell(t, s, "BaselineUSecPerSec");
                cpu_cell(t, s, "AllocationUSecPerSec");
        } else
                for (int i = 0; i < 3; i++)
                        table_cell(t, TERM_PLAIN, "-");
        bool differs = setting_cell(t, s, quotas, true, is_observing);
        differs |= setting_cell(t, s, weights, false, is_observing);
        share_cell(t, s, "ThrottledRatio", 0.05);
        share_cell(t, s, "Pressure", 1.1);
        note_cell(t, s);
        return differs;
}

static int print_services(const struct client *c, struct json_object *services, bool is_observing)
{
        bool with_coalition = has_coalitions(services), differs = false;
        size_t n = json_object_array_length(services);
        struct table *t = table_new();

        if (!t)
                return out_of_memory();
        table_column(t, "SERVICE", TABLE_MAY_CUT, 0);
        table_column(t, "UNIT", TABLE_MAY_CUT, 4);
        if (with_coalition)
                table_column(t, "COALITION", 0, 5);
        table_column(t, "USE", TABLE_RIGHT, 0);
        table_column(t, "NEED", TABLE_RIGHT, 0);
        table_column(t, "BASELINE", TABLE_RIGHT, 3);
        table_column(t, "ALLOC", TABLE_RIGHT, 0);
        table_column(t, "QUOTA", TABLE_RIGHT, 0);
        table_column(t, "WEIGHT", TABLE_RIGHT, 0);
        table_column(t, "THROTTLED", TABLE_RIGHT, 2);
        table_column(t, "PRESSURE", TABLE_RIGHT, 6);
        table_column(t, "NOTE", TABLE_MAY_CUT, 0);
        for (int is_managed = 1; is_managed >= 0; is_managed--)
                for (size_t i = 0; i < n; i++) {
                        struct json_object *s = json_object_array_get_idx(services, i);
                        if (json_get_bool(s, "Managed") == (is_managed == 1))
                                differs |= add_row(t, s, is_observing, with_coalition);
                }
        int r = table_print(t, c->has_legend, term_width());
        table_free(t);
        if (r < 0)
                return r == -ENOMEM ? out_of_memory() : STATUS_FAILED;
        if (differs && c->has_legend)
                (void)printf("%s%s%s\n", term_on(stdout, TERM_DIM),
                             is_observing ? "a->b: as it is, and as it would be in mode enforce" :
                                            "a!=b: as asked, as applied, as read back from the kernel",
                             term_off(stdout));
        return STATUS_FINE;
}

/* ---- the verb ------------------------------------------------------------------------------------ */

static int list_services(sd_bus *bus, struct json_object **ret)
{
        _cleanup_json_ struct json_object *list = json_object_new_array();
        _cleanup_message_ sd_bus_message *reply = NULL;
        int r;

        if (!list)
                return out_of_memory();
        int status = bus_call(bus, BUS_PATIENCE_USEC, "ListServices", &reply, "");
        if (status != STATUS_FINE)
                return status;
        r = sd_bus_message_enter_container(reply, 'a', "a{sv}");
        while (r >= 0 && (r = sd_bus_message_at_end(reply, false)) == 0) {
                struct json_object *o = NULL;

                r = bus_read_dict(reply, &o);
                if (r >= 0 && json_object_array_add(list, o) < 0) {
                        json_object_put(o);
                        r = -ENOMEM;
                }
        }
        if (r < 0)
                return bus_bad_answer("ListServices", r);
        *ret = TAKE_PTR(list);
        return STATUS_FINE;
}

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
                status = list_services(bus, &services);
        if (status != STATUS_FINE)
                return status;
        if (c->want_json)
                return print_json(c, host, services);

        if (c->has_legend) {
                print_host(c, host);
                (void)printf("\n");
        }
        if (json_object_array_length(services) == 0) {
                (void)printf("No unit is managed or shown. Add a [Service] section to %s: "
                             "coalloc.conf(5).\n", CONFIG_MAIN_PATH);
                return STATUS_FINE;
        }
        return print_services(c, services, strcmp(json_get_text(host, "Mode", ""), "observe") == 0);
}
