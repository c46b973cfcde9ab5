/* SPDX-License-Identifier: MIT */

#include "sim/report.h"

#include "util/number.h"
#include "util/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <string.h>

#define SAMPLE_USEC 1e6
#define MS 1e3

/* ---- measuring ---------------------------------------------------------------------------------- */

/* Sums of one service over the samples since the warm-up. */
struct sums {
        struct plant_counters last;
        double used, periods, throttled_periods, throttled, some, full;
        struct unit_counters last_read;
        bool has_last_read;
        double read_usec, read_wall_usec;
        uint64_t n_unread, n_samples;
};

/* A counter that ran backwards belongs to a new cgroup, which started at 0. */
static double since(uint64_t now, uint64_t before)
{
        return (double)(now >= before ? now - before : now);
}

static void sample(struct sim *sim, size_t group, size_t i, struct sums *s)
{
        struct plant_counters c;
        struct unit_counters read;

        plant_read(sim_plant(sim), group, &c);
        s->used += since(c.unit.usage_usec, s->last.unit.usage_usec);
        s->periods += since(c.unit.nr_periods, s->last.unit.nr_periods);
        s->throttled_periods += since(c.unit.nr_throttled, s->last.unit.nr_throttled);
        s->throttled += since(c.unit.throttled_usec, s->last.unit.throttled_usec);
        s->some += since(c.unit.stalled_usec, s->last.unit.stalled_usec);
        s->full += since(c.fully_stalled_usec, s->last.fully_stalled_usec);
        s->last = c;
        s->n_samples++;
        if (sim_read(sim, i, &read) < 0) {
                s->n_unread++;
                return;
        }
        if (s->has_last_read && read.usage_usec >= s->last_read.usage_usec) {
                s->read_usec += (double)(read.usage_usec - s->last_read.usage_usec);
                s->read_wall_usec += (double)(read.at_usec - s->last_read.at_usec);
        }
        s->last_read = read;
        s->has_last_read = true;
}

static void conclude_path(struct sim *sim, size_t i, struct report_path *ret)
{
        const struct workload_result *r = workload_result(sim_workload(sim), i);

        *ret = (struct report_path){
                .n_arrived = r->n_arrived,
                .n_done = r->n_done,
                .n_rejected = r->n_rejected,
                .n_late = r->n_late,
                .n_seconds_violated = r->n_seconds_violated,
                .mean_ms = histogram_mean_usec(&r->latency) / MS,
                .p50_ms = histogram_quantile_usec(&r->latency, 0.5) / MS,
                .p95_ms = histogram_quantile_usec(&r->latency, 0.95) / MS,
                .p99_ms = histogram_quantile_usec(&r->latency, 0.99) / MS,
                .p999_ms = histogram_quantile_usec(&r->latency, 0.999) / MS,
        };
}

static void conclude_service(struct sim *sim, size_t i, const struct sums *s, double usec, struct report_service *ret)
{
        struct scenario_setting setting = sim_setting(sim, i);
        struct workload_service_result r;

        workload_service_result(sim_workload(sim), i, &r);
        *ret = (struct report_service){
                .use_cpus = s->used / usec,
                .read_cpus = s->read_wall_usec > 0 ? s->read_usec / s->read_wall_usec : NAN,
                .unread_share = (double)s->n_unread / (double)s->n_samples,
                .throttled_periods = s->periods > 0 ? s->throttled_periods / s->periods : NAN,
                .throttled_share = s->throttled / usec,
                .some = s->some / usec,
                .full = s->full / usec,
                .quota_cpus = setting.quota_usec / PLANT_PERIOD_USEC,
                .weight = setting.weight,
                .n_served = r.n_served,
                .n_rejected = r.n_rejected,
        };
}

static void play(struct sim *sim, const struct scenario *s, struct sums *sums, struct report *r)
{
        double usec = s->duration_usec - s->warmup_usec;
        struct host_counters before, after;

        sim_run(sim, s->warmup_usec);
        workload_forget(sim_workload(sim));
        sim_read_host(sim, &before);
        for (size_t i = 0; i < s->n_services; i++)
                sample(sim, s->services[i].load.group, i, &sums[i]);
        for (size_t i = 0; i < s->n_services; i++)
                sums[i] = (struct sums){ .last = sums[i].last, .last_read = sums[i].last_read,
                                         .has_last_read = sums[i].has_last_read };
        for (double at_usec = s->warmup_usec; at_usec < s->duration_usec;) {
                at_usec = fmin(at_usec + SAMPLE_USEC, s->duration_usec);
                sim_run(sim, at_usec);
                for (size_t i = 0; i < s->n_services; i++)
                        sample(sim, s->services[i].load.group, i, &sums[i]);
        }
        sim_read_host(sim, &after);
        r->busy_cpus = (double)(after.busy_usec - before.busy_usec) / usec;
        r->some = (double)(after.stalled_usec - before.stalled_usec) / usec;
        for (size_t i = 0; i < s->n_paths; i++)
                conclude_path(sim, i, &r->paths[i]);
        for (size_t i = 0; i < s->n_services; i++)
                conclude_service(sim, i, &sums[i], usec, &r->services[i]);
}

int report_run(const struct scenario *s, uint64_t seed, double slowdown, struct report *ret)
{
        struct report report = { .slowdown = slowdown };
        _cleanup_free_ struct sums *sums = calloc(s->n_services + 1, sizeof *sums);
        _cleanup_sim_ struct sim *sim = NULL;
        int r = -ENOMEM;

        report.paths = calloc(s->n_paths + 1, sizeof *report.paths);
        report.services = calloc(s->n_services + 1, sizeof *report.services);
        if (sums && report.paths && report.services)
                r = sim_new(s, seed, slowdown, &sim);
        if (r < 0) {
                report_done(&report);
                return r;
        }
        play(sim, s, sums, &report);
        *ret = report;
        return 0;
}

void report_done(struct report *r)
{
        free(r->paths);
        free(r->services);
        *r = (struct report){ 0 };
}

/* ---- for people --------------------------------------------------------------------------------- */

/* Three digits, or a dash for what there is none of. */
static const char *milliseconds(char buf[static 16], double ms)
{
        if (isnan(ms))
                return strcpy(buf, "-");
        (void)snprintf(buf, 16, "%.*f", ms < 9.95 ? 2 : ms < 99.5 ? 1 : 0, ms);
        return buf;
}

/* @digits: behind the point. */
static const char *percent(char buf[static 16], double share, int digits)
{
        if (isnan(share))
                return strcpy(buf, "-");
        (void)snprintf(buf, 16, isinf(share) ? "none" : "%.*f%%", digits, share * 100);
        return buf;
}

static double share_of(uint64_t part, uint64_t whole)
{
        return whole > 0 ? (double)part / (double)whole : NAN;
}

#define BUF ((char[16]){ 0 })

static void print_paths(const struct scenario *s, const struct report *r, int width, FILE *f)
{
        (void)fprintf(f, "%-*s %10s %9s %8s %8s %8s %8s %8s %8s\n", width, "PATH", "REQUESTS", "REJECTED", "p50 ms",
                      "p95 ms", "p99 ms", "p99.9 ms", "LATE", "VIOLATED");
        for (size_t i = 0; i < s->n_paths; i++) {
                const struct report_path *p = &r->paths[i];
                bool has_target = isfinite(s->paths[i].load.target_usec);
                char violated[24] = "-";

                if (has_target)
                        (void)snprintf(violated, sizeof violated, "%" PRIu64 "s", p->n_seconds_violated);
                (void)fprintf(f, "%-*s %10" PRIu64 " %9s %8s %8s %8s %8s %8s %8s\n", width, s->paths[i].name,
                              p->n_arrived, percent(BUF, share_of(p->n_rejected, p->n_arrived), 2),
                              milliseconds(BUF, p->p50_ms), milliseconds(BUF, p->p95_ms), milliseconds(BUF, p->p99_ms),
                              milliseconds(BUF, p->p999_ms),
                              has_target ? percent(BUF, share_of(p->n_late, p->n_done), 2) : "-", violated);
        }
}

static void print_services(const struct scenario *s, const struct report *r, int width, FILE *f)
{
        (void)fprintf(f, "%-*s %8s %8s %8s %7s %10s %10s %6s %6s %9s\n", width, "SERVICE", "USE", "READ", "QUOTA",
                      "WEIGHT", "THROTTLED", "ms/s", "SOME", "FULL", "REJECTED");
        for (size_t i = 0; i < s->n_services; i++) {
                const struct report_service *p = &r->services[i];

                (void)fprintf(f, "%-*s %8s %8s %8s %7u %10s %10.1f %6s %6s %9" PRIu64 "\n", width, s->services[i].name,
                              percent(BUF, p->use_cpus, 1), percent(BUF, p->read_cpus, 1), percent(BUF, p->quota_cpus, 0),
                              p->weight, percent(BUF, p->throttled_periods, 1), p->throttled_share * 1000,
                              percent(BUF, p->some, 1), percent(BUF, p->full, 1), p->n_rejected);
        }
}

void report_print(const struct scenario *s, const struct report reports[], size_t n, FILE *f)
{
        int width = (int)strlen("SERVICE");

        for (size_t i = 0; i < s->n_services; i++)
                width = (int)fmax(width, (double)strlen(s->services[i].name));
        for (size_t i = 0; i < s->n_paths; i++)
                width = (int)fmax(width, (double)strlen(s->paths[i].name));
        for (size_t i = 0; i < n; i++) {
                const struct report *r = &reports[i];

                (void)fprintf(f, "%sbeta = %g: %s\n%s of %u CPUs busy, pressure %s\n\n", i > 0 ? "\n" : "", r->slowdown,
                              r->slowdown > 0 ? "a host that is busy works more slowly"
                                              : "work takes as long on a busy host as on an idle one",
                              FORMAT_CPU((uint64_t)(r->busy_cpus * 1e3) * 1000), s->n_cpus, percent(BUF, r->some, 1));
                print_paths(s, r, width, f);
                (void)fprintf(f, "\n");
                print_services(s, r, width, f);
        }
}

/* ---- for machines ------------------------------------------------------------------------------- */

static struct json_object *number(double x)
{
        char text[NUMBER_TEXT_MAX];

        return isfinite(x) ? json_object_new_double_s(x, format_shortest(text, x)) : NULL;
}

/* Takes the value over. json-c gives up without memory: told by *ok. */
static void put(struct json_object *o, const char *key, struct json_object *value, bool *ok)
{
        *ok = *ok && json_object_object_add(o, key, value) == 0;
}

static struct json_object *count(uint64_t n)
{
        return json_object_new_int64((int64_t)n);
}

static struct json_object *path_object(const struct scenario_path *path, const struct report_path *p, bool *ok)
{
        struct json_object *o = json_object_new_object();

        put(o, "name", json_object_new_string(path->name), ok);
        put(o, "target_ms", number(path->load.target_usec / MS), ok);
        put(o, "requests", count(p->n_arrived), ok);
        put(o, "done", count(p->n_done), ok);
        put(o, "rejected", count(p->n_rejected), ok);
        put(o, "late", count(p->n_late), ok);
        put(o, "violated_sec", count(p->n_seconds_violated), ok);
        put(o, "mean_ms", number(p->mean_ms), ok);
        put(o, "p50_ms", number(p->p50_ms), ok);
        put(o, "p95_ms", number(p->p95_ms), ok);
        put(o, "p99_ms", number(p->p99_ms), ok);
        put(o, "p999_ms", number(p->p999_ms), ok);
        return o;
}

static struct json_object *service_object(const struct scenario_service *service, const struct report_service *p, bool *ok)
{
        struct json_object *o = json_object_new_object();

        put(o, "name", json_object_new_string(service->name), ok);
        put(o, "use_cpus", number(p->use_cpus), ok);
        put(o, "read_cpus", number(p->read_cpus), ok);
        put(o, "unread_share", number(p->unread_share), ok);
        put(o, "quota_cpus", number(p->quota_cpus), ok);
        put(o, "weight", count(p->weight), ok);
        put(o, "throttled_periods", number(p->throttled_periods), ok);
        put(o, "throttled_share", number(p->throttled_share), ok);
        put(o, "some", number(p->some), ok);
        put(o, "full", number(p->full), ok);
        put(o, "served", count(p->n_served), ok);
        put(o, "rejected", count(p->n_rejected), ok);
        return o;
}

static struct json_object *run_object(const struct scenario *s, const struct report *r, bool *ok)
{
        struct json_object *o = json_object_new_object(), *paths = json_object_new_array(),
                           *services = json_object_new_array();

        put(o, "beta", number(r->slowdown), ok);
        put(o, "busy_cpus", number(r->busy_cpus), ok);
        put(o, "some", number(r->some), ok);
        for (size_t i = 0; i < s->n_paths; i++)
                *ok = *ok && json_object_array_add(paths, path_object(&s->paths[i], &r->paths[i], ok)) == 0;
        for (size_t i = 0; i < s->n_services; i++)
                *ok = *ok && json_object_array_add(services, service_object(&s->services[i], &r->services[i], ok)) == 0;
        put(o, "paths", paths, ok);
        put(o, "services", services, ok);
        return o;
}

int report_print_json(const struct scenario *s, uint64_t seed, const struct report reports[], size_t n, bool is_pretty,
                      FILE *f)
{
        struct json_object *o = json_object_new_object(), *runs = json_object_new_array();
        bool ok = o && runs;
        const char *text;

        put(o, "scenario", json_object_new_string(s->path), &ok);
        put(o, "seed", count(seed), &ok);
        put(o, "cpus", count(s->n_cpus), &ok);
        put(o, "measured_sec", number((s->duration_usec - s->warmup_usec) / 1e6), &ok);
        for (size_t i = 0; i < n; i++)
                ok = ok && json_object_array_add(runs, run_object(s, &reports[i], &ok)) == 0;
        put(o, "runs", runs, &ok);
        text = ok ? json_object_to_json_string_ext(o, is_pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
                                                               : JSON_C_TO_STRING_PLAIN)
                  : NULL;
        if (text)
                (void)fprintf(f, "%s\n", text);
        json_object_put(o);
        return text ? 0 : -ENOMEM;
}
