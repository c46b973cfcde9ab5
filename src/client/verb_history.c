/* SPDX-License-Identifier: MIT */

/* history: epochs that coallocd recorded, of the host or of one service, from the file that it wrote. */

#include "client/cells.h"
#include "client/client.h"
#include "client/json.h"
#include "client/moment.h"
#include "core/model.h"
#include "platform/history_db.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HISTORY_PATH "/var/lib/coalloc/" HISTORY_DB_NAME
/* Epochs without --lines, --since or --until. */
#define LINES_DEFAULT 20
/* A section whose Unit= is a pattern has as many as this of its units looked at. */
#define UNITS_MAX 4096
/* Less than that nobody gained or lost. */
#define CHANGE_NOTED_MILLI 1
#define SCHEMA "coalloc-history/1"

/* Everything the verb works with. */
struct history {
        const struct client *c;
        struct history_db *db;
        struct history_rows epochs;
        uint64_t *units;                /* asked for; NULL: the host */
        size_t n_units;

        struct history_rows before;     /* services of the epoch that was looked at before */
        uint64_t before_id;             /* 0: none */
};

/* Who gained or lost most in an epoch. */
struct change {
        uint64_t unit;                  /* 0: nobody */
        double milli;
};

static void history_done(struct history *h)
{
        history_rows_free(HISTORY_EPOCHS, &h->epochs);
        history_rows_free(HISTORY_SERVICES, &h->before);
        free(h->units);
        (void)history_db_close(h->db);
}
#define _cleanup_history_ _cleanup_(history_done)

static int failed(int r)
{
        if (r == -ENOMEM)
                return out_of_memory();
        if (r == -EBADMSG)
                complain("%s is damaged: what can be read of it, sqlite3 can save (.recover). coallocd puts it aside when it finds out.",
                         HISTORY_PATH);
        else if (r == -EPROTONOSUPPORT)
                complain("%s was written by a newer version of coalloc.", HISTORY_PATH);
        else if (r == -ENOENT)
                complain("Nothing is recorded: coallocd writes %s from its first epoch on, unless HistoryMaxSize=0.",
                         HISTORY_PATH);
        else
                complain("Could not read %s: %s", HISTORY_PATH, strerror(-r));
        return STATUS_FAILED;
}

/* ---- what is read --------------------------------------------------------------------------------- */

static int parse_moment(const char *option, const char *text, uint64_t *usec)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_REALTIME, &now);
        if (!text || moment_parse(text, (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000, usec) == 0)
                return STATUS_FINE;
        complain("%s: \"%s\" is no time such as \"2026-01-31 14:00\", \"14:00\", yesterday or -1h.", option, text);
        return STATUS_USAGE;
}

static int read_epochs(struct history *h)
{
        uint64_t since_usec = 0, until_usec = UINT64_MAX, n_max = SIZE_MAX;
        int status = parse_moment("--since", h->c->since, &since_usec), r;

        if (status == STATUS_FINE)
                status = parse_moment("--until", h->c->until, &until_usec);
        if (status != STATUS_FINE)
                return status;
        if (h->c->lines && parse_unsigned(h->c->lines, 1, 1000000, &n_max) < 0) {
                complain("--lines: \"%s\" is no number from 1 to 1000000.", h->c->lines);
                return STATUS_USAGE;
        }
        if (!h->c->lines && !h->c->since && !h->c->until)
                n_max = LINES_DEFAULT;
        r = history_db_epochs(h->db, since_usec, until_usec, n_max, &h->epochs);
        return r < 0 ? failed(r) : STATUS_FINE;
}

static int find_units(struct history *h, const char *name)
{
        ssize_t n;

        h->units = calloc(UNITS_MAX, sizeof *h->units);
        if (!h->units)
                return out_of_memory();
        n = history_db_find_units(h->db, name, h->units, UNITS_MAX);
        if (n < 0)
                return failed((int)n);
        if (n == 0) {
                complain("No unit or service \"%s\" is in the record.", name);
                return STATUS_FAILED;
        }
        h->n_units = (size_t)n;
        return STATUS_FINE;
}

static int by_unit(const void *a, const void *b)
{
        const struct history_service *x = a, *y = b;

        return (x->unit > y->unit) - (x->unit < y->unit);
}

/* Compares with the epoch before it, which is kept from the last call where that is the one. */
static int find_change(struct history *h, const struct history_epoch *e, struct change *ret)
{
        struct history_rows now = { 0 };
        const struct history_service *services, *before;
        int r = 0;

        *ret = (struct change){ 0 };
        if (h->before_id != e->id - 1) {
                history_rows_free(HISTORY_SERVICES, &h->before);
                r = history_db_read(h->db, HISTORY_SERVICES, e->id - 1, &h->before);
                if (r == 0 && h->before.n > 1)
                        qsort(h->before.rows, h->before.n, sizeof *before, by_unit);
        }
        if (r == 0)
                r = history_db_read(h->db, HISTORY_SERVICES, e->id, &now);
        if (r < 0)
                return r;
        if (now.n > 1)
                qsort(now.rows, now.n, sizeof *services, by_unit);
        services = now.rows;
        before = h->before.rows;
        for (size_t i = 0, k = 0; i < now.n && h->before.n > 0 && e->error == 0; i++) {
                double old_milli = 0, milli;

                while (k < h->before.n && before[k].unit < services[i].unit)
                        k++;
                if (k < h->before.n && before[k].unit == services[i].unit)
                        old_milli = fmax(0, (double)before[k].alloc_milli);
                milli = fmax(0, (double)services[i].alloc_milli) - old_milli;
                if (fabs(milli) >= CHANGE_NOTED_MILLI && fabs(milli) > fabs(ret->milli))
                        *ret = (struct change){ services[i].unit, milli };
        }
        history_rows_free(HISTORY_SERVICES, &h->before);
        h->before = now;
        h->before_id = e->id;
        return 0;
}

/* What a person calls it: the section, or the unit where a pattern stands for many. Return: 0; negative errno. */
static int name_of(struct history *h, uint64_t unit, bool wants_unit, char **ret)
{
        _cleanup_free_ char *name = NULL, *service = NULL;
        int r = history_db_unit(h->db, unit, &name, &service);

        if (r == -ENOENT) {
                *ret = strdup("?");
                return *ret ? 0 : -ENOMEM;
        }
        if (r < 0)
                return r;
        *ret = wants_unit || !*service ? TAKE_PTR(name) : TAKE_PTR(service);
        return 0;
}

static double share(double part, double whole)
{
        return whole > 0 ? part / whole : NAN;
}

static double used_milli(const struct history_service *s)
{
        return share(s->used_usec, s->wall_usec) * MILLI_PER_CPU;
}

/* ---- tables ---------------------------------------------------------------------------------------- */

static void number_cell(struct table *t, double number)
{
        char text[FORMAT_MAX];

        cell_text(t, TERM_PLAIN, isnan(number) ? "" : words_number(text, number));
}

static void cpu_cell(struct table *t, enum term_style style, double milli)
{
        char text[FORMAT_MAX];

        cell_text(t, style, isfinite(milli) ? words_cpu(text, milli) : "");
}

static void share_cell(struct table *t, double part)
{
        char text[FORMAT_MAX];

        cell_text(t, TERM_PLAIN, isfinite(part) ? words_share(text, part) : "");
}

static enum term_style style_of_tier(const char *tier)
{
        return strcmp(tier, "uncongested") == 0 ? TERM_GOOD : strcmp(tier, "congested") == 0 ? TERM_PLAIN : TERM_WARN;
}

static const char *gate_text(const struct history_epoch *e)
{
        if (e->error != 0)
                return e->error > 0 ? "not solved" : "failed";
        return e->is_rolled_back ? "rolled back" : e->is_frozen ? "frozen" : e->verdict;
}

static int add_epoch(struct history *h, struct table *t, const struct history_epoch *e)
{
        _cleanup_free_ char *name = NULL;
        char text[MOMENT_TEXT_MAX], change_text[FORMAT_MAX], most[512] = "";
        struct change change;
        int r = find_change(h, e, &change);

        if (r == 0 && change.unit > 0)
                r = name_of(h, change.unit, false, &name);
        if (r < 0)
                return r;
        if (name)
                (void)snprintf(most, sizeof most, "%s %s", name, words_cpu_change(change_text, change.milli));
        table_row(t);
        table_cell(t, TERM_PLAIN, moment_format(text, e->time_usec));
        cell_text(t, TERM_PLAIN, e->mode);
        cell_text(t, style_of_tier(e->tier), e->error == 0 ? e->tier : "");
        number_cell(t, e->error == 0 ? e->scarcity : NAN);
        cpu_cell(t, TERM_PLAIN, e->error == 0 ? e->allocated_milli : NAN);
        number_cell(t, e->error == 0 ? e->v_before : NAN);
        number_cell(t, e->error == 0 ? e->v_after : NAN);
        cell_text(t, e->error != 0 || e->is_rolled_back ? TERM_WARN : TERM_PLAIN, gate_text(e));
        (void)snprintf(change_text, sizeof change_text, "%" PRIu32, e->n_writes);
        cell_text(t, TERM_PLAIN, change_text);
        cell_text(t, TERM_PLAIN, most);
        return 0;
}

/* Ends with the table: @r is what filling it came to. */
static int print_and_explain(const struct history *h, struct table *t, int r, const char *legend)
{
        int status;

        if (r < 0) {
                table_free(t);
                return failed(r);
        }
        status = cells_print(t, h->c->has_legend);
        if (status == STATUS_FINE && h->c->has_legend) {
                (void)printf("\n");
                term_say(stdout, TERM_DIM, 0, "%s", legend);
        }
        return status;
}

static int print_host(struct history *h)
{
        const struct history_epoch *epochs = h->epochs.rows;
        struct table *t = table_new();
        int r = 0;

        if (!t)
                return out_of_memory();
        table_column(t, "TIME", 0, 0);
        table_column(t, "MODE", 0, 6);
        table_column(t, "TIER", 0, 0);
        table_column(t, "SCARCITY", TABLE_RIGHT, 5);
        table_column(t, "GIVEN", TABLE_RIGHT, 4);
        table_column(t, "V BEFORE", TABLE_RIGHT, 3);
        table_column(t, "V AFTER", TABLE_RIGHT, 0);
        table_column(t, "GATE", 0, 2);
        table_column(t, "WRITES", TABLE_RIGHT, 1);
        table_column(t, "MOST CHANGED", TABLE_MAY_CUT, 0);
        for (size_t i = 0; i < h->epochs.n && r >= 0; i++)
                r = add_epoch(h, t, &epochs[i]);
        return print_and_explain(h, t, r, "V: how far allocations were from the bargain, 0 is there; the gate lets "
                                          "nothing pass that makes it larger. WRITES: to systemd since the epoch "
                                          "before. MOST CHANGED: who was given most more or less than an epoch ago.");
}

static int add_service(struct history *h, struct table *t, const struct history_epoch *e, const struct history_service *s)
{
        _cleanup_free_ char *name = NULL;
        char text[MOMENT_TEXT_MAX], credit[FORMAT_MAX];
        bool is_short = e->error == 0 && !s->is_satisfied;
        int r = name_of(h, s->unit, true, &name);

        if (r < 0)
                return r;
        table_row(t);
        table_cell(t, TERM_PLAIN, moment_format(text, e->time_usec));
        cell_text(t, TERM_BOLD, name);
        cpu_cell(t, TERM_PLAIN, used_milli(s));
        cpu_cell(t, TERM_PLAIN, s->need_milli);
        cpu_cell(t, is_short ? TERM_WARN : TERM_PLAIN,
                 e->error == 0 && s->alloc_milli >= 0 ? (double)s->alloc_milli : NAN);
        cpu_cell(t, TERM_PLAIN, e->error == 0 && s->quota_milli != QUOTA_NONE_MILLI ? (double)s->quota_milli : NAN);
        (void)snprintf(credit, sizeof credit, "%" PRIu32, s->cpu_weight);
        cell_text(t, TERM_PLAIN, e->error == 0 && s->cpu_weight > 0 ? credit : "");
        share_cell(t, share(s->n_throttled, s->n_periods));
        share_cell(t, s->has_pressure ? share(s->stalled_usec, s->wall_usec) : NAN);
        cell_text(t, TERM_PLAIN, e->error == 0 ? words_credit(credit, s->credit) : "");
        return 0;
}

static int print_units(struct history *h)
{
        const struct history_epoch *epochs = h->epochs.rows;
        struct table *t = table_new();
        int r = 0;

        if (!t)
                return out_of_memory();
        table_column(t, "TIME", 0, 0);
        table_column(t, "UNIT", TABLE_MAY_CUT, h->n_units > 1 ? 0 : 5);
        table_column(t, "USED", TABLE_RIGHT, 1);
        table_column(t, "NEED", TABLE_RIGHT, 0);
        table_column(t, "HOLDS", TABLE_RIGHT, 0);
        table_column(t, "QUOTA", TABLE_RIGHT, 0);
        table_column(t, "WEIGHT", TABLE_RIGHT, 3);
        table_column(t, "THROTTLED", TABLE_RIGHT, 0);
        table_column(t, "PRESSURE", TABLE_RIGHT, 2);
        table_column(t, "CREDIT", TABLE_RIGHT, 4);
        for (size_t i = 0; i < h->epochs.n && r >= 0; i++)
                for (size_t k = 0; k < h->n_units && r >= 0; k++) {
                        struct history_service s;

                        r = history_db_service(h->db, epochs[i].id, h->units[k], &s);
                        if (r > 0)
                                r = add_service(h, t, &epochs[i], &s);
                }
        return print_and_explain(h, t, r, "USED, NEED: in that epoch; HOLDS, QUOTA, WEIGHT: decided at its end, "
                                          "\"-\" is none. THROTTLED: of all periods; PRESSURE: time in which some "
                                          "task of it waited for a CPU.");
}

/* ---- JSON ------------------------------------------------------------------------------------------- */

static bool add(struct json_object *o, const char *key, struct json_object *value)
{
        return json_object_object_add(o, key, value) == 0;
}

static bool add_number(struct json_object *o, const char *key, double number)
{
        return add(o, key, json_number(number));
}

static bool add_count(struct json_object *o, const char *key, uint64_t count)
{
        return add(o, key, json_object_new_int64((int64_t)count));
}

static struct json_object *service_to_json(struct history *h, const struct history_epoch *e, const struct history_service *s)
{
        _cleanup_json_ struct json_object *o = json_object_new_object();
        _cleanup_free_ char *unit = NULL, *service = NULL;
        bool is_decided = e->error == 0;

        if (!o || name_of(h, s->unit, true, &unit) < 0 || name_of(h, s->unit, false, &service) < 0)
                return NULL;
        if (!add(o, "unit", json_object_new_string(unit)) || !add(o, "name", json_object_new_string(service)) ||
            !add_number(o, "use_milli", used_milli(s)) || !add_number(o, "need_milli", s->need_milli) ||
            !add_number(o, "load_milli", s->load_milli) ||
            !add(o, "alloc_milli", is_decided && s->alloc_milli >= 0 ? json_object_new_int64(s->alloc_milli) : NULL) ||
            !add(o, "quota_milli", is_decided && s->quota_milli != QUOTA_NONE_MILLI ? json_object_new_int64(s->quota_milli)
                                                                                    : NULL) ||
            !add(o, "cpu_weight", is_decided && s->cpu_weight > 0 ? json_object_new_int64(s->cpu_weight) : NULL) ||
            !add_number(o, "throttled_ratio", share(s->n_throttled, s->n_periods)) ||
            !add_number(o, "pressure", s->has_pressure ? share(s->stalled_usec, s->wall_usec) : NAN) ||
            !add_number(o, "credit", is_decided ? s->credit : NAN) ||
            !add(o, "satisfied", is_decided ? json_object_new_boolean(s->is_satisfied) : NULL))
                return NULL;
        return TAKE_PTR(o);
}

static struct json_object *epoch_to_json(const struct history_epoch *e)
{
        _cleanup_json_ struct json_object *o = json_object_new_object();
        bool is_decided = e->error == 0;

        if (!o || !add_count(o, "id", e->id) || !add_count(o, "run", e->run) || !add_count(o, "time_usec", e->time_usec) ||
            !add(o, "mode", json_object_new_string(e->mode)) || !add(o, "error", json_object_new_int64(e->error)) ||
            !add(o, "tier", is_decided ? json_object_new_string(e->tier) : NULL) ||
            !add_number(o, "scarcity", is_decided ? e->scarcity : NAN) ||
            !add_number(o, "shadow_price", is_decided ? e->shadow_price : NAN) ||
            !add_number(o, "capacity_milli", e->capacity_milli) ||
            !add_number(o, "allocated_milli", is_decided ? e->allocated_milli : NAN) ||
            !add_number(o, "v_before", is_decided ? e->v_before : NAN) ||
            !add_number(o, "v_after", is_decided ? e->v_after : NAN) ||
            !add(o, "verdict", is_decided ? json_object_new_string(e->verdict) : NULL) ||
            !add(o, "frozen", json_object_new_boolean(e->is_frozen)) ||
            !add(o, "rolled_back", json_object_new_boolean(is_decided && e->is_rolled_back)) ||
            !add_count(o, "writes", e->n_writes))
                return NULL;
        return TAKE_PTR(o);
}

/* Return: 0; negative errno. */
static int add_services(struct history *h, const struct history_epoch *e, struct json_object *o)
{
        struct json_object *list = json_object_new_array();
        struct history_rows rows = { 0 };
        int r = 0;

        if (!list || !add(o, "services", list))
                return -ENOMEM;
        if (h->n_units == 0)
                r = history_db_read(h->db, HISTORY_SERVICES, e->id, &rows);
        for (size_t i = 0; i < rows.n && r == 0; i++)
                if (json_object_array_add(list, service_to_json(h, e, &((struct history_service *)rows.rows)[i])) < 0)
                        r = -ENOMEM;
        for (size_t k = 0; k < h->n_units && r >= 0; k++) {
                struct history_service s;

                r = history_db_service(h->db, e->id, h->units[k], &s);
                if (r > 0 && json_object_array_add(list, service_to_json(h, e, &s)) < 0)
                        r = -ENOMEM;
        }
        history_rows_free(HISTORY_SERVICES, &rows);
        return r < 0 ? r : 0;
}

static int print_json(struct history *h)
{
        _cleanup_json_ struct json_object *top = json_object_new_object();
        struct json_object *list = json_object_new_array();
        const struct history_epoch *epochs = h->epochs.rows;

        if (!top || !add(top, "schema", json_object_new_string(SCHEMA)) || !add(top, "epochs", list))
                return out_of_memory();
        for (size_t i = 0; i < h->epochs.n; i++) {
                struct json_object *o = epoch_to_json(&epochs[i]);
                int r;

                if (!o || json_object_array_add(list, o) < 0)
                        return out_of_memory();
                r = add_services(h, &epochs[i], o);
                if (r < 0)
                        return failed(r);
        }
        return json_print(top);
}

int verb_history(const struct client *c, char *args[], int n_args)
{
        _cleanup_history_ struct history h = { .c = c };
        _cleanup_free_ char *path = NULL;
        int status = STATUS_FINE, r;

        if (asprintf(&path, "%s" HISTORY_PATH, c->root) < 0) {
                path = NULL;
                return out_of_memory();
        }
        r = history_db_open(path, &h.db);
        if (r < 0)
                return failed(r);
        if (n_args > 0)
                status = find_units(&h, args[0]);
        if (status == STATUS_FINE)
                status = read_epochs(&h);
        if (status != STATUS_FINE)
                return status;
        if (c->want_json)
                return print_json(&h);
        if (h.epochs.n == 0) {
                remark("No epochs are recorded in that time.");
                return STATUS_FINE;
        }
        return n_args > 0 ? print_units(&h) : print_host(&h);
}
