/* SPDX-License-Identifier: MIT */

#include "platform/config_file.h"
#include "platform/config_schema.h"
#include "util/nearest.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

/* A backslash in a unit name is systemd's escape (\x2d), not fnmatch's. */
static bool matches(const char *pattern, const char *unit)
{
        return fnmatch(pattern, unit, FNM_NOESCAPE) == 0;
}

static bool matches_any(char *const *patterns, const char *unit)
{
        for (size_t i = 0; patterns && patterns[i]; i++)
                if (matches(patterns[i], unit))
                        return true;
        return false;
}

/* The root of all, PID 1, and ourselves: a quota there would throttle the hand that sets it. */
static bool is_protected(const char *unit)
{
        return strcmp(unit, "-.slice") == 0 || strcmp(unit, "init.scope") == 0 ||
               strcmp(unit, "coallocd.service") == 0;
}

/* The service of a unit that Exclude= does not name. */
static ssize_t match_included(const struct config *c, const char *unit)
{
        ssize_t i = config_index_find(c->service_by_unit, unit);
        if (i >= 0 && !c->services[i].is_pattern)
                return i;
        for (size_t j = 0; j < c->n_patterns; j++)
                if (matches(c->services[c->patterns[j]].unit, unit))
                        return (ssize_t)c->patterns[j];
        return -1;
}

ssize_t config_match_service(const struct config *c, const char *unit)
{
        if (is_protected(unit) || matches_any(c->exclude, unit))
                return -1;
        return match_included(c, unit);
}

bool config_wants(const struct config *c, const char *unit)
{
        if (is_protected(unit) || matches_any(c->exclude, unit))
                return false;
        return match_included(c, unit) >= 0 || matches_any(c->discover, unit);
}

ssize_t config_find_service(const struct config *c, const char *name)
{
        return config_index_find(c->service_by_name, name);
}

/* ---- findings ----------------------------------------------------------------------------------- */

static const struct config_origin *key_origin(enum config_section section,
                                              const struct config_origin key_origins[],
                                              const char *name)
{
        size_t i = 0;

        (void)config_key_find(section, name, &i);
        return &key_origins[i];
}

#define SERVICE_KEY(s, name) key_origin(CONFIG_SERVICE, (s)->key_origins, name)
#define MANAGER_KEY(c, name) key_origin(CONFIG_MANAGER, (c)->key_origins, name)
#define PATH_KEY(p, name) key_origin(CONFIG_PATH, (p)->key_origins, name)

static const char *file_of(const struct config *c, const struct config_origin *origin)
{
        return origin->line > 0 ? c->files[origin->i_file] : NULL;
}

/* Something at the place of a setting. */
#define FINDING(c, diag, severity, origin, ...)                                                    \
        diagnostics_add(diag, severity, file_of(c, origin), (origin)->line, __VA_ARGS__)

/* ---- amounts ------------------------------------------------------------------------------------ */

static uint64_t resolve_amount(const struct config_cpu *cpu, uint64_t if_unset, unsigned n_cpus)
{
        return cpu->is_set ? cpu_amount_resolve(cpu->amount, n_cpus) : if_unset;
}

/* Says that an amount is above a bound; what `above` is called is a setting or "the host". */
static void resolve_one(const struct config *c, struct config_cpu *cpu, uint64_t usec_per_sec,
                        uint64_t bound, const char *bound_name, const char *name,
                        const struct config_origin *origin, bool is_loading,
                        struct diagnostics *diag, int *n_cut)
{
        cpu->usec_per_sec = usec_per_sec;
        if (usec_per_sec <= bound)
                return;
        cpu->usec_per_sec = bound;
        (*n_cut)++;
        if (is_loading)
                FINDING(c, diag, DIAGNOSTIC_ERROR, origin, "%s=: %s is more than %s, %s", name,
                        FORMAT_CPU(usec_per_sec), bound_name, FORMAT_CPU(bound));
        else
                FINDING(c, diag, DIAGNOSTIC_WARNING, origin,
                        "%s=: %s no longer fits under %s; using %s", name, FORMAT_CPU(usec_per_sec),
                        bound_name, FORMAT_CPU(bound));
}

static int resolve(struct config *c, unsigned n_cpus, bool is_loading, struct diagnostics *diag)
{
        uint64_t host = (uint64_t)n_cpus * USEC_PER_SEC;
        int n_cut = 0;

        c->n_cpus = n_cpus;
        resolve_one(c, &c->capacity, resolve_amount(&c->capacity, host, n_cpus), host, "the host",
                    "Capacity", MANAGER_KEY(c, "Capacity"), is_loading, diag, &n_cut);
        resolve_one(c, &c->headroom, resolve_amount(&c->headroom, 0, n_cpus), host, "the host",
                    "Headroom", MANAGER_KEY(c, "Headroom"), is_loading, diag, &n_cut);

        /* A default reserve of 10%host above a small Capacity= is the fault of the latter. */
        const struct config_origin *reserve = MANAGER_KEY(c, "Reserve");
        if (reserve->line == 0)
                reserve = MANAGER_KEY(c, "Capacity");
        resolve_one(c, &c->reserve, resolve_amount(&c->reserve, 0, n_cpus),
                    c->capacity.usec_per_sec, "Capacity=", "Reserve", reserve, is_loading, diag,
                    &n_cut);

        for (size_t i = 0; i < c->n_services; i++) {
                struct config_service *s = &c->services[i];
                const struct config_origin *floor = SERVICE_KEY(s, "Floor");
                const struct config_origin *baseline = SERVICE_KEY(s, "Baseline");
                const struct config_origin *max = SERVICE_KEY(s, "Max");

                /* One finding an error: a refused amount is not compared with the others. */
                if (floor->is_refused || baseline->is_refused || max->is_refused)
                        continue;
                resolve_one(c, &s->max, resolve_amount(&s->max, host, n_cpus), host, "the host",
                            "Max", max, is_loading, diag, &n_cut);
                resolve_one(c, &s->baseline, resolve_amount(&s->baseline, 0, n_cpus),
                            s->max.usec_per_sec, s->max.is_set ? "Max=" : "the host", "Baseline",
                            baseline, is_loading, diag, &n_cut);
                resolve_one(c, &s->floor, resolve_amount(&s->floor, 0, n_cpus),
                            s->baseline.usec_per_sec,
                            baseline->line > 0 ? "Baseline=" : "Baseline= (not set)", "Floor",
                            floor, is_loading, diag, &n_cut);
        }
        return n_cut > 0 ? 1 : 0;
}

int config_resolve(struct config *c, unsigned n_cpus, struct diagnostics *diag)
{
        return resolve(c, n_cpus, false, diag);
}

/* ---- services ----------------------------------------------------------------------------------- */

/* The slice that `a-b-c.slice` lies in is `a-b.slice`: cuts the name in place. Slices of one part lie
 * in the root slice, which nobody manages. */
static bool cut_to_parent_slice(char *unit)
{
        char *dash = strrchr(unit, '-');

        if (!dash || dash == unit)
                return false;
        strcpy(dash, ".slice");
        return true;
}

static void check_nesting(const struct config *c, struct diagnostics *diag, size_t i_service)
{
        const struct config_service *s = &c->services[i_service];
        const char *suffix = strrchr(s->unit, '.');
        char ancestor[256];

        if (s->is_pattern || strcmp(suffix, ".slice") != 0)
                return;
        strcpy(ancestor, s->unit); /* a valid unit name has at most 255 bytes */
        while (cut_to_parent_slice(ancestor)) {
                ssize_t i_outer = config_match_service(c, ancestor);

                if (i_outer < 0)
                        continue;
                const struct config_service *outer = &c->services[i_outer];
                const struct config_origin *at = SERVICE_KEY(outer, "Unit");
                FINDING(c, diag, DIAGNOSTIC_ERROR, SERVICE_KEY(s, "Unit"),
                        "Unit=: %s lies inside %s, which is the unit of [Service %s] (%s:%u)",
                        s->unit, ancestor, outer->name, file_of(c, at), at->line);
                return;
        }
}

static int check_units(struct config_loader *l)
{
        struct config *c = l->config;

        for (size_t i = 0; i < c->n_services; i++) {
                struct config_service *s = &c->services[i];
                const struct config_origin *at = SERVICE_KEY(s, "Unit");

                if (!s->unit) {
                        if (!at->is_refused)
                                FINDING(c, l->diag, DIAGNOSTIC_ERROR, &s->origin,
                                        "[Service %s] has no Unit=", s->name);
                        continue;
                }
                s->is_pattern = config_unit_is_pattern(s->unit);

                ssize_t i_other = config_index_find(c->service_by_unit, s->unit);
                if (i_other >= 0) {
                        const struct config_service *other = &c->services[i_other];
                        const struct config_origin *other_at = SERVICE_KEY(other, "Unit");
                        FINDING(c, l->diag, DIAGNOSTIC_ERROR, at,
                                "Unit=: %s is already the unit of [Service %s] (%s:%u)", s->unit,
                                other->name, file_of(c, other_at), other_at->line);
                        continue;
                }
                if (config_index_add(&c->service_by_unit, s->unit, i) < 0)
                        return -ENOMEM;
                if (is_protected(s->unit))
                        FINDING(c, l->diag, DIAGNOSTIC_ERROR, at,
                                "Unit=: %s is never managed: a quota there would throttle the host "
                                "or coallocd itself",
                                s->unit);
                else if (matches_any(c->exclude, s->unit))
                        FINDING(c, l->diag, DIAGNOSTIC_ERROR, at, "Unit=: %s is named by Exclude=",
                                s->unit);
                /* Where the daemon finds itself in it, which is where its unit file puts it. */
                else if (strcmp(s->unit, "system.slice") == 0)
                        FINDING(c, l->diag, DIAGNOSTIC_WARNING, at,
                                "Unit=: system.slice holds coallocd, D-Bus and the journal: it is shown "
                                "and never changed; name the services in it");
                if (!s->is_pattern)
                        continue;
                if (c->n_patterns == CONFIG_PATTERNS_MAX) {
                        FINDING(c, l->diag, DIAGNOSTIC_ERROR, at,
                                "Unit=: more than %d services with a pattern",
                                CONFIG_PATTERNS_MAX);
                        continue;
                }
                size_t *patterns = reallocarray(c->patterns, c->n_patterns + 1, sizeof *patterns);
                if (!patterns)
                        return -ENOMEM;
                c->patterns = patterns;
                patterns[c->n_patterns++] = i;
        }
        for (size_t i = 0; i < c->n_services; i++)
                if (c->services[i].unit)
                        check_nesting(c, l->diag, i);
        return 0;
}

/* The service whose name is nearest, for "did you mean". Nobody reads the hundredth guess, and each
 * costs a comparison with every name. */
static const char *nearest_service(const struct config_loader *l, const char *name)
{
        const struct config *c = l->config;
        const char *names[1000];

        if (c->n_services > sizeof names / sizeof names[0] || l->diag->n_items >= 100)
                return NULL;
        for (size_t i = 0; i < c->n_services; i++)
                names[i] = c->services[i].name;
        return nearest_name(name, names, c->n_services);
}

static void check_names(struct config_loader *l, const struct config_origin *at, const char *key,
                        char *const *names)
{
        const struct config *c = l->config;

        for (size_t i = 0; names && names[i]; i++) {
                if (config_find_service(c, names[i]) >= 0)
                        continue;
                const char *near = nearest_service(l, names[i]);
                FINDING(c, l->diag, DIAGNOSTIC_ERROR, at, "%s=: there is no [Service %s]%s%s%s",
                        key, names[i], near ? "; did you mean " : "", near ? near : "",
                        near ? "?" : "");
        }
}

/* Depth-first search with a stack of its own: a chain of 100,000 calls must not exhaust ours. It starts
 * with those whom nobody calls, as callgraph_find_paths() does, so that it names the call that is left
 * out there. */
static int check_cycles(struct config_loader *l)
{
        const struct config *c = l->config;
        enum { NEW, OPEN, DONE };
        _cleanup_free_ unsigned char *state = calloc(c->n_services + 1, sizeof *state);
        _cleanup_free_ bool *is_called = calloc(c->n_services + 1, sizeof *is_called);
        _cleanup_free_ size_t *next_call = calloc(c->n_services + 1, sizeof *next_call);
        _cleanup_free_ size_t *stack = calloc(c->n_services + 1, sizeof *stack);

        if (!state || !is_called || !next_call || !stack)
                return -ENOMEM;
        for (size_t i = 0; i < c->n_services; i++)
                for (char *const *name = c->services[i].calls; name && *name; name++) {
                        ssize_t callee = config_find_service(c, *name);

                        if (callee >= 0)
                                is_called[callee] = true;
                }
        for (size_t k = 0; k < 2 * c->n_services; k++) {
                size_t root = k % c->n_services, depth = 0;

                if (state[root] != NEW || (k < c->n_services && is_called[root]))
                        continue;
                state[root] = OPEN;
                stack[depth++] = root;
                while (depth > 0) {
                        size_t caller = stack[depth - 1];
                        const struct config_service *s = &c->services[caller];
                        const char *name = s->calls ? s->calls[next_call[caller]] : NULL;

                        if (!name) {
                                state[caller] = DONE;
                                depth--;
                                continue;
                        }
                        next_call[caller]++;
                        ssize_t callee = config_find_service(c, name);
                        if (callee < 0)
                                continue;
                        if (state[callee] == NEW) {
                                state[callee] = OPEN;
                                stack[depth++] = (size_t)callee;
                        } else if (state[callee] == OPEN) {
                                FINDING(c, l->diag, DIAGNOSTIC_WARNING, SERVICE_KEY(s, "Calls"),
                                        "Calls=: %s calls %s, which closes a cycle", s->name, name);
                        }
                }
        }
        return 0;
}

/* ---- all of it ---------------------------------------------------------------------------------- */

static void check_times(struct config_loader *l)
{
        const struct config *c = l->config;
        const struct config_origin *sample = MANAGER_KEY(c, "SampleIntervalSec");
        const struct config_origin *epoch = MANAGER_KEY(c, "EpochSec");

        if (sample->is_refused || epoch->is_refused)
                return;
        /* A difference of counters needs two samples. */
        if (c->epoch_usec < 2 * c->sample_interval_usec)
                FINDING(c, l->diag, DIAGNOSTIC_ERROR, epoch->line > 0 ? epoch : sample,
                        "EpochSec=: %s is less than twice SampleIntervalSec=, %s",
                        FORMAT_SPAN(c->epoch_usec), FORMAT_SPAN(c->sample_interval_usec));
}

/* Allowed, because a promise may rest on others being idle; but nobody should find out by surprise. */
static void check_sums(struct config_loader *l)
{
        const struct config *c = l->config;
        uint64_t left = c->capacity.usec_per_sec - c->reserve.usec_per_sec;
        uint64_t baselines = 0, floors = 0;
        const struct config_origin *last = NULL;

        for (size_t i = 0; i < c->n_services; i++) {
                if (c->services[i].is_pattern)
                        continue; /* nobody knows how many units it will match */
                baselines += c->services[i].baseline.usec_per_sec;
                floors += c->services[i].floor.usec_per_sec;
                if (SERVICE_KEY(&c->services[i], "Baseline")->line > 0)
                        last = SERVICE_KEY(&c->services[i], "Baseline");
        }
        if (!last || baselines <= left)
                return;
        if (floors > left)
                FINDING(c, l->diag, DIAGNOSTIC_WARNING, last,
                        "the floors add up to %s, more than the %s that Capacity= and Reserve= leave: "
                        "the host can be starved",
                        FORMAT_CPU(floors), FORMAT_CPU(left));
        else
                FINDING(c, l->diag, DIAGNOSTIC_WARNING, last,
                        "the baselines add up to %s, more than the %s that Capacity= and Reserve= "
                        "leave: the host can be overloaded",
                        FORMAT_CPU(baselines), FORMAT_CPU(left));
}

int config_check(struct config_loader *l)
{
        struct config *c = l->config;
        int r;

        (void)resolve(c, l->n_cpus, true, l->diag);
        check_times(l);
        r = check_units(l);
        if (r < 0)
                return r;
        for (size_t i = 0; i < c->n_services; i++)
                check_names(l, SERVICE_KEY(&c->services[i], "Calls"), "Calls", c->services[i].calls);
        for (size_t i = 0; i < c->n_paths; i++) {
                const struct config_path *p = &c->paths[i];
                const struct config_origin *at = PATH_KEY(p, "Services");

                if (!p->services && !at->is_refused)
                        FINDING(c, l->diag, DIAGNOSTIC_ERROR, &p->origin,
                                "[Path %s] has no Services=", p->name);
                check_names(l, at, "Services", p->services);
        }
        r = check_cycles(l);
        if (r < 0)
                return r;
        check_sums(l);
        return 0;
}
