/* SPDX-License-Identifier: MIT */

/* doctor: is this host fit for coallocd, is coallocd well on it, and if not, what to do.
 *
 * Every check says what was found and, where something is wrong, the next step. It changes nothing. */

#include "client/bus.h"
#include "client/client.h"
#include "client/json.h"
#include "client/term.h"
#include "client/thread_pools.h"
#include "platform/cgroup_tree.h"
#include "platform/config_file.h"
#include "platform/host_cpu.h"
#include "util/bus_names.h"
#include "util/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

/* One for each of the other checks, and of thread pools as many as anybody reads. */
#define CHECKS_MAX 64
#define POOLS_MAX 32
/* Names of a list that are worth reading; the others are counted. */
#define NAMES_MAX 8

enum finding {
        FINDING_FINE,
        FINDING_NOTE,                   /* works, but should be known */
        FINDING_BAD,
        FINDING_UNKNOWN,                /* could not be found out: not a failure of the host */
        _FINDING_MAX,
};

static const char *const finding_names[_FINDING_MAX] = {
        [FINDING_FINE] = "ok", [FINDING_NOTE] = "warning", [FINDING_BAD] = "failed",
        [FINDING_UNKNOWN] = "unknown",
};

static const enum term_style finding_styles[_FINDING_MAX] = {
        [FINDING_FINE] = TERM_GOOD, [FINDING_NOTE] = TERM_WARN, [FINDING_BAD] = TERM_BAD,
        [FINDING_UNKNOWN] = TERM_DIM,
};

struct check {
        const char *name;               /* stable: part of the JSON */
        enum finding finding;
        char *found;
        const char *advice;             /* NULL if there is nothing to do */
        const struct thread_pool *pool; /* NULL but for a finding about one */
};

struct report {
        const char *root;
        struct check checks[CHECKS_MAX];
        size_t n_checks;
        char *mount;                    /* of cgroup2, or NULL */
        sd_bus *bus;                    /* NULL: none */
        struct config *config;          /* NULL: invalid */
        bool is_running;
        struct thread_pools pools;
};

__attribute__((format(printf, 5, 6))) static void found(struct report *r, const char *name,
                                                        enum finding finding, const char *advice,
                                                        const char *format, ...)
{
        char *text = NULL;
        va_list ap;

        if (r->n_checks == CHECKS_MAX)
                return;
        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        r->checks[r->n_checks++] = (struct check) { name, finding, text, advice, NULL };
}

static char *below(const struct report *r, const char *path)
{
        char *full;

        return asprintf(&full, "%s%s", r->root, path) < 0 ? NULL : full;
}

static bool exists(const struct report *r, const char *path)
{
        _cleanup_free_ char *full = below(r, path);

        return full && access(full, F_OK) == 0;
}

/* Is the word one of those in the first line of a file? Return: 1, 0, negative errno. */
static int file_has_word(const char *directory, const char *file, const char *word)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        char line[1024];

        if (asprintf(&path, "%s/%s", directory, file) < 0)
                return -ENOMEM;
        f = fopen(path, "re");
        if (!f)
                return -errno;
        if (!fgets(line, sizeof line, f))
                return 0;
        for (char *saved, *w = strtok_r(line, " \n", &saved); w; w = strtok_r(NULL, " \n", &saved))
                if (strcmp(w, word) == 0)
                        return 1;
        return 0;
}

/* ---- the host ------------------------------------------------------------------------------------ */

static void check_kernel(struct report *r)
{
        struct utsname name;
        unsigned major = 0, minor = 0;

        if (uname(&name) < 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2) {
                found(r, "kernel", FINDING_UNKNOWN, NULL, "The version of the kernel is not known");
                return;
        }
        if (major < 4 || (major == 4 && minor < 15))
                found(r, "kernel", FINDING_BAD, "Use Linux 5.10 or later.",
                      "Linux %s has no CPU controller for cgroup v2", name.release);
        else if (major < 5 || (major == 5 && minor < 10))
                found(r, "kernel", FINDING_NOTE, "coalloc is tested from Linux 5.10 on.", "Linux %s",
                      name.release);
        else
                found(r, "kernel", FINDING_FINE, NULL, "Linux %s", name.release);
}

static void check_cgroup(struct report *r)
{
        static const char advice[] = "Boot with systemd.unified_cgroup_hierarchy=1 on the kernel command "
                                     "line.";
        enum cgroup_mode mode;
        int error = cgroup_find_mount(r->root, &mode, &r->mount);

        if (error < 0) {
                found(r, "cgroup", FINDING_BAD, advice, "The cgroup mounts cannot be read: %s",
                      strerror(-error));
                return;
        }
        switch (mode) {
        case CGROUP_UNIFIED:
                found(r, "cgroup", FINDING_FINE, NULL, "cgroup v2 at %s", r->mount);
                break;
        case CGROUP_HYBRID:
                found(r, "cgroup", FINDING_BAD, advice,
                      "This host mixes cgroup v1 and v2; its CPU controller is not in v2");
                break;
        case CGROUP_LEGACY:
                found(r, "cgroup", FINDING_BAD, advice, "This host uses cgroup v1");
                break;
        case CGROUP_NONE:
        case _CGROUP_MODE_MAX:
                found(r, "cgroup", FINDING_BAD, "Mount cgroup2 at /sys/fs/cgroup (systemd does).",
                      "No cgroup tree is mounted");
                break;
        }
        if (mode != CGROUP_UNIFIED) {
                free(r->mount);
                r->mount = NULL;
        }
}

static void check_controller(struct report *r)
{
        if (!r->mount)
                return;
        int has = cgroup_has_controller(r->mount, "", "cpu");
        if (has < 0)
                found(r, "controller", FINDING_UNKNOWN, NULL, "cgroup.controllers cannot be read: %s",
                      strerror(-has));
        else if (has == 0)
                found(r, "controller", FINDING_BAD,
                      "Remove cgroup_disable=cpu from the kernel command line; in a container, delegate "
                      "the cpu controller to it.",
                      "The cpu controller is not there");
        else if (file_has_word(r->mount, "cgroup.subtree_control", "cpu") > 0)
                found(r, "controller", FINDING_FINE, NULL, "The cpu controller is on for all top units");
        else
                found(r, "controller", FINDING_FINE, NULL,
                      "The cpu controller is there; systemd turns it on with the first CPUWeight= or "
                      "CPUQuota=");
}

static void check_pressure(struct report *r)
{
        int has = host_cpu_has_pressure(r->root);

        if (has < 0)
                found(r, "pressure", FINDING_UNKNOWN, NULL, "/proc/pressure/cpu: %s", strerror(-has));
        else if (has == 0)
                found(r, "pressure", FINDING_NOTE,
                      "Boot with psi=1 on the kernel command line; until then need is judged by use and "
                      "throttling alone.",
                      "The kernel shows no CPU pressure (PSI)");
        else
                found(r, "pressure", FINDING_FINE, NULL, "The kernel shows CPU pressure (PSI)");
}

static void check_bus(struct report *r)
{
        _cleanup_free_ char *version = NULL;
        int error = sd_bus_open_system(&r->bus);

        if (error < 0) {
                found(r, "bus", FINDING_BAD, "Install and start dbus: systemctl start dbus",
                      "The system bus cannot be reached: %s", strerror(-error));
                return;
        }
        found(r, "bus", FINDING_FINE, NULL, "The system bus answers");

        error = sd_bus_get_property_string(r->bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                           "org.freedesktop.systemd1.Manager", "Version", NULL, &version);
        if (error < 0) {
                found(r, "systemd", FINDING_BAD, "coallocd needs systemd as PID 1.",
                      "systemd does not answer on the bus: %s", strerror(-error));
                return;
        }
        unsigned long number = strtoul(version, NULL, 10);
        if (number > 0 && number < 247)
                found(r, "systemd", FINDING_NOTE, "coalloc is tested from systemd 247 on.", "systemd %s",
                      version);
        else
                found(r, "systemd", FINDING_FINE, NULL, "systemd %s", version);
}

/* ---- coallocd on it ------------------------------------------------------------------------------ */

/* The first of some paths that exists, or NULL. */
static const char *first_existing(const struct report *r, const char *const paths[])
{
        for (size_t i = 0; paths[i]; i++)
                if (exists(r, paths[i]))
                        return paths[i];
        return NULL;
}

static void check_policy(struct report *r)
{
        static const char *const paths[] = { "/etc/dbus-1/system.d/org.coalloc1.conf",
                                             "/usr/share/dbus-1/system.d/org.coalloc1.conf", NULL };
        const char *path = first_existing(r, paths);

        if (path)
                found(r, "policy", FINDING_FINE, NULL, "D-Bus policy %s", path);
        else if (exists(r, COALLOC_DBUSPOLICYDIR "/org.coalloc1.conf"))
                found(r, "policy", FINDING_NOTE,
                      "Where coallocd is refused its name, copy the file to /etc/dbus-1/system.d.",
                      "D-Bus policy %s/org.coalloc1.conf: not every bus reads that directory",
                      COALLOC_DBUSPOLICYDIR);
        else
                found(r, "policy", FINDING_BAD, "Install coalloc with `make install`, or copy "
                      "org.coalloc1.conf to /etc/dbus-1/system.d.",
                      "No D-Bus policy for org.coalloc1: coallocd may not take its name");
}

static char *unit_file_state(sd_bus *bus)
{
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *state;

        if (!bus || sd_bus_call_method(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                       "org.freedesktop.systemd1.Manager", "GetUnitFileState", NULL,
                                       &reply, "s", "coallocd.service") < 0 ||
            sd_bus_message_read(reply, "s", &state) < 0)
                return NULL;
        return strdup(state);
}

static void check_unit(struct report *r)
{
        static const char *const paths[] = {
                "/etc/systemd/system/coallocd.service", "/run/systemd/system/coallocd.service",
                "/usr/local/lib/systemd/system/coallocd.service",
                "/usr/lib/systemd/system/coallocd.service", "/lib/systemd/system/coallocd.service", NULL
        };
        const char *path = first_existing(r, paths);
        _cleanup_free_ char *state = unit_file_state(r->bus);

        if (!path)
                found(r, "unit", FINDING_BAD, "Install coalloc with `make install`, then "
                      "`systemctl daemon-reload`.", "coallocd.service is not installed");
        else if (!state)
                found(r, "unit", FINDING_FINE, NULL, "%s", path);
        else if (strncmp(state, "enabled", 7) == 0)
                found(r, "unit", FINDING_FINE, NULL, "%s, %s", path, state);
        else
                found(r, "unit", FINDING_NOTE, "To have it at every boot: systemctl enable coallocd",
                      "%s, %s", path, state);
}

static void check_config(struct report *r)
{
        _cleanup_diagnostics_ struct diagnostics findings = { 0 };
        _cleanup_free_ char *main_path = below(r, CONFIG_MAIN_PATH), *dropins = below(r, CONFIG_DROPIN_DIR);
        long n_online = sysconf(_SC_NPROCESSORS_ONLN);

        if (!main_path || !dropins)
                return;
        int error = config_load(main_path, dropins, n_online > 0 ? (unsigned)n_online : 1, &r->config,
                                &findings);
        if (error < 0) {
                const struct diagnostic *first = diagnostics_first_error(&findings);
                _cleanup_free_ char *text = first ? diagnostic_to_string(first) : NULL;
                found(r, "config", FINDING_BAD, "All findings: coallocctl verify", "%s",
                      text ? text : strerror(-error));
        } else if (findings.n_found[DIAGNOSTIC_WARNING] > 0)
                found(r, "config", FINDING_NOTE, "Read them: coallocctl verify",
                      "The configuration is valid, with %zu warning%s",
                      findings.n_found[DIAGNOSTIC_WARNING],
                      findings.n_found[DIAGNOSTIC_WARNING] == 1 ? "" : "s");
        else if (r->config->n_services == 0)
                found(r, "config", FINDING_NOTE, "Add a [Service] section: coalloc.conf(5).",
                      "The configuration is valid, but manages no unit");
        else
                found(r, "config", FINDING_FINE, NULL, "The configuration is valid: %zu service%s",
                      r->config->n_services, r->config->n_services == 1 ? "" : "s");
}

/* Does the kernel have cpu.max.burst? Where no unit has the cpu controller yet, its version tells. */
static bool kernel_has_burst(const struct report *r)
{
        DIR *d = r->mount ? opendir(r->mount) : NULL;
        unsigned major = 0, minor = 0;
        int has_burst = -1;
        struct utsname name;

        for (struct dirent *e; d && has_burst < 0 && (e = readdir(d));) {
                _cleanup_free_ char *max = NULL, *burst = NULL;

                if (e->d_type != DT_DIR || e->d_name[0] == '.')
                        continue;
                if (asprintf(&max, "%s/%s/cpu.max", r->mount, e->d_name) < 0 || access(max, F_OK) < 0 ||
                    asprintf(&burst, "%s.burst", max) < 0)
                        continue;
                has_burst = access(burst, F_OK) == 0;
        }
        if (d)
                (void)closedir(d);
        if (has_burst >= 0)
                return has_burst;
        return uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
               (major > 5 || (major == 5 && minor >= 14));
}

static void check_burst(struct report *r)
{
        int is_protected = 0;

        if (!r->config || !r->config->burst)
                return;
        if (!kernel_has_burst(r)) {
                found(r, "burst", FINDING_NOTE, "It takes Linux 5.14; quotas are set without bursts until then.",
                      "Burst=yes, but this kernel has no cpu.max.burst");
                return;
        }
        int error = !r->bus ? -ENOTCONN
                            : sd_bus_get_property_trivial(r->bus, "org.freedesktop.systemd1",
                                                          "/org/freedesktop/systemd1/unit/coallocd_2eservice",
                                                          "org.freedesktop.systemd1.Service",
                                                          "ProtectControlGroups", NULL, 'b', &is_protected);
        if (error < 0)
                found(r, "burst", FINDING_UNKNOWN, NULL,
                      "Burst=yes, but whether coallocd.service may write cgroups is not known: %s",
                      strerror(-error));
        else if (is_protected)
                found(r, "burst", FINDING_NOTE,
                      "systemctl edit coallocd, add ProtectControlGroups=no below [Service], then systemctl "
                      "restart coallocd.",
                      "Burst=yes, but ProtectControlGroups=yes of coallocd.service keeps it from writing "
                      "cpu.max.burst: quotas are set without bursts");
        else
                found(r, "burst", FINDING_FINE, NULL, "Burst=yes, and cpu.max.burst can be written");
}

/* Looks without starting it: the name would be activated by a call. */
static void check_daemon(struct report *r)
{
        _cleanup_free_ char *version = NULL;

        if (!r->bus)
                return;
        int has_owner = sd_bus_get_name_creds(r->bus, COALLOC_BUS_NAME, 0, NULL);
        if (has_owner == -ENXIO) {
                found(r, "daemon", FINDING_NOTE, "Start it: systemctl start coallocd",
                      "coallocd is not running");
                return;
        }
        int error = sd_bus_get_property_string(r->bus, COALLOC_BUS_NAME, COALLOC_PATH,
                                               COALLOC_INTERFACE, "Version", NULL, &version);
        if (error < 0) {
                found(r, "daemon", FINDING_BAD, "What it says: journalctl -u coallocd -n 50",
                      "coallocd runs but does not answer: %s", strerror(-error));
                return;
        }
        r->is_running = true;
        found(r, "daemon", FINDING_FINE, NULL, "coallocd %s answers", version);
}

static void check_records(struct report *r)
{
        if (r->is_running || !exists(r, "/run/coalloc/units"))
                return;
        found(r, "records", FINDING_BAD, "Give them back: coallocd --restore (or start coallocd, which "
              "does it first).",
              "Units still have values of a coallocd that is not running: /run/coalloc/units");
}

static void check_foreign(struct report *r)
{
        _cleanup_json_ struct json_object *services = NULL;
        _cleanup_message_ sd_bus_message *reply = NULL;
        char names[512] = "";
        size_t n = 0, length = 0;

        if (!r->is_running ||
            sd_bus_call_method(r->bus, COALLOC_BUS_NAME, COALLOC_PATH, COALLOC_INTERFACE,
                               "ListServices", NULL, &reply, NULL) < 0 ||
            bus_read_list(reply, &services) < 0)
                return;
        for (size_t i = 0; i < json_length(services); i++) {
                struct json_object *o = json_at(services, i);

                if (strcmp(json_get_text(o, "State", ""), "foreign") == 0 && n++ < NAMES_MAX &&
                    length < sizeof names)
                        length += (size_t)snprintf(names + length, sizeof names - length, " %s",
                                                   json_get_text(o, "Unit", "?"));
        }
        if (n > 0)
                found(r, "foreign", FINDING_NOTE, "To manage them again: coallocctl adopt UNIT",
                      "%zu unit%s left alone, because somebody else changed the quota:%s", n,
                      n == 1 ? " is" : "s are", names);
}

/* ---- siblings ------------------------------------------------------------------------------------ */

/* Directory of the slice that holds a unit, below the mount: "a-b.slice" is in "a.slice". */
static void parent_of_slice(const char *unit, char ret[static 1024])
{
        size_t length = 0;

        ret[0] = '\0';
        for (const char *dash = strchr(unit, '-'); dash && length < 512; dash = strchr(dash + 1, '-'))
                length += (size_t)snprintf(ret + length, 1024 - length, "/%.*s.slice",
                                           (int)(dash - unit < 200 ? dash - unit : 200), unit);
}

/* Who gets the cpu controller when @unit does. Return: their number, their names in @names. */
static size_t list_siblings(const char *directory, const char *unit, char *names, size_t size)
{
        DIR *d = opendir(directory);
        size_t n = 0, length = 0;

        names[0] = '\0';
        if (!d)
                return 0;
        for (struct dirent *e; (e = readdir(d));) {
                size_t l = strlen(e->d_name);
                bool is_unit = e->d_type == DT_DIR && l > 6 &&
                               (strcmp(e->d_name + l - 6, ".slice") == 0 ||
                                strcmp(e->d_name + l - 6, ".scope") == 0 ||
                                (l > 8 && strcmp(e->d_name + l - 8, ".service") == 0));
                if (!is_unit || strcmp(e->d_name, unit) == 0)
                        continue;
                if (n++ < NAMES_MAX && length < size)
                        length += (size_t)snprintf(names + length, size - length, " %s", e->d_name);
        }
        (void)closedir(d);
        return n;
}

static void check_siblings(struct report *r)
{
        if (!r->mount || !r->config)
                return;
        for (size_t i = 0; i < r->config->n_services; i++) {
                const char *unit = r->config->services[i].unit;
                _cleanup_free_ char *directory = NULL;
                char parent[1024], names[1024];

                if (r->config->services[i].is_pattern)
                        continue;
                if (strlen(unit) > 6 && strcmp(unit + strlen(unit) - 6, ".slice") == 0)
                        parent_of_slice(unit, parent);
                else
                        (void)snprintf(parent, sizeof parent, "/system.slice");
                if (asprintf(&directory, "%s%s", r->mount, parent) < 0)
                        return;
                if (file_has_word(directory, "cgroup.subtree_control", "cpu") != 0)
                        continue; /* on already, or nothing to be seen */
                size_t n = list_siblings(directory, unit, names, sizeof names);
                if (n == 0)
                        continue;
                found(r, "siblings", FINDING_NOTE,
                      "To keep them out of it, put the managed units into a slice of their own, such as "
                      "managed.slice with managed-web.slice in it.",
                      "The first setting on %s turns the cpu controller on for %zu more:%s%s", unit, n,
                      names, n > NAMES_MAX ? " ..." : "");
                return; /* one is enough to make the point; the remedy is the same for all */
        }
}

/* ---- thread pools -------------------------------------------------------------------------------- */

/* "Java in 2 processes", "Go 1.22.3 in 1 process" */
static char *name_pool(const struct thread_pool *p)
{
        static const char *const names[_PROCESS_RUNTIME_MAX] = {
                [PROCESS_RUNTIME_NONE] = "", [PROCESS_RUNTIME_JAVA] = "Java", [PROCESS_RUNTIME_GO] = "Go",
                [PROCESS_RUNTIME_OPENMP] = "OpenMP",
        };
        char *text;

        return asprintf(&text, "%s%s%s in %u process%s", names[p->kind], *p->version ? " " : "", p->version,
                        p->n_processes, p->n_processes == 1 ? "" : "es") < 0 ? NULL : text;
}

static const char *what_it_counts(const struct thread_pool *p)
{
        if (p->kind == PROCESS_RUNTIME_JAVA)
                return p->is_slice ? "sizes its pools once, at its start, by the quota that its own cgroup "
                                     "has then, not the slice"
                                   : "sizes its pools once, at its start, by the quota that holds then";
        if (p->heeds_quota)
                return "follows the quota of its own cgroup, but none above it";
        if (p->kind == PROCESS_RUNTIME_GO && !*p->version)
                return "may count CPUs and ignore quotas";
        return "counts CPUs and ignores quotas";
}

static const char *what_to_do(const struct thread_pool *p)
{
        switch (p->kind) {
        case PROCESS_RUNTIME_JAVA:
                return "Start it with -XX:ActiveProcessorCount=N, or use Enforce=both, which caps no service "
                       "that is satisfied: coalloc.conf(5), THREAD POOLS.";
        case PROCESS_RUNTIME_GO:
                return p->heeds_quota
                               ? "Name its .service in Unit= in place of what holds it, or set GOMAXPROCS=N "
                                 "in its environment: coalloc.conf(5), THREAD POOLS."
                               : "Set GOMAXPROCS=N in its environment, or use Enforce=both, which caps no "
                                 "service that is satisfied: coalloc.conf(5), THREAD POOLS.";
        case PROCESS_RUNTIME_OPENMP:
                return "Set OMP_NUM_THREADS=N in its environment, or use Enforce=both, which caps no service "
                       "that is satisfied: coalloc.conf(5), THREAD POOLS.";
        case PROCESS_RUNTIME_NONE:
        case _PROCESS_RUNTIME_MAX:
                break;
        }
        return NULL;
}

static void found_pool(struct report *r, const struct thread_pool *p)
{
        _cleanup_free_ char *name = name_pool(p), *ceiling = NULL;
        size_t n_before = r->n_checks;

        if (p->ceiling_usec_per_sec != UINT64_MAX &&
            asprintf(&ceiling, "%s %" PRIu64 "%%", p->is_in_force ? "has at most" : "may be held to",
                     p->ceiling_usec_per_sec / 10000) < 0)
                ceiling = NULL;
        found(r, "threads", FINDING_NOTE, what_to_do(p), "%s %s: %s %s: %s%u threads", p->unit,
              ceiling ? ceiling : "may get a ceiling", name ? name : "", what_it_counts(p),
              p->kind == PROCESS_RUNTIME_JAVA ? "up to " : "", p->n_threads);
        if (r->n_checks > n_before)
                r->checks[n_before].pool = p;
}

static void check_threads(struct report *r)
{
        struct thread_pools *p = &r->pools;

        if (!r->mount || !r->config)
                return;
        int error = thread_pools_find(r->root, r->mount, r->config, p);
        if (error < 0) {
                found(r, "threads", FINDING_UNKNOWN, NULL, "The processes of the units cannot be listed: %s",
                      strerror(-error));
                return;
        }
        for (size_t i = 0; i < p->n_pools && i < POOLS_MAX; i++)
                found_pool(r, &p->pools[i]);
        if (p->n_pools > POOLS_MAX)
                found(r, "threads", FINDING_NOTE, NULL, "%zu more of that kind", p->n_pools - POOLS_MAX);
        if (p->n_refused > 0)
                found(r, "threads", FINDING_UNKNOWN, "Run it as root.",
                      "%zu process%s of units with a ceiling could not be looked at: %s count too many CPUs",
                      p->n_refused, p->n_refused == 1 ? "" : "es", p->n_refused == 1 ? "it may" : "they may");
        if (p->is_cut)
                found(r, "threads", FINDING_UNKNOWN, NULL, "Only the first %d processes were looked at",
                      THREAD_POOLS_PROCESSES_MAX);
        if (p->n_units > 0 && p->n_pools == 0 && p->n_refused == 0 && !p->is_cut)
                found(r, "threads", FINDING_FINE, NULL,
                      "No thread pool is sized past a ceiling (%zu process%s looked at)", p->n_processes,
                      p->n_processes == 1 ? "" : "es");
}

/* ---- the verb ------------------------------------------------------------------------------------ */

/* What a program can tell from a finding about a thread pool. */
static int add_pool(struct json_object *o, const struct thread_pool *p)
{
        struct json_object *ceiling = NULL;

        if (p->ceiling_usec_per_sec != UINT64_MAX &&
            !(ceiling = json_object_new_int64((int64_t)(p->ceiling_usec_per_sec / 1000))))
                return -ENOMEM;
        if (json_object_object_add(o, "unit", json_object_new_string(p->unit)) < 0 ||
            json_object_object_add(o, "runtime",
                                   json_object_new_string(process_runtime_kind_to_string(p->kind))) < 0 ||
            json_object_object_add(o, "version",
                                   *p->version ? json_object_new_string(p->version) : NULL) < 0 ||
            json_object_object_add(o, "processes", json_object_new_int64(p->n_processes)) < 0 ||
            json_object_object_add(o, "threads", json_object_new_int64(p->n_threads)) < 0 ||
            json_object_object_add(o, "ceiling_milli", ceiling) < 0 ||
            json_object_object_add(o, "in_force", json_object_new_boolean(p->is_in_force)) < 0)
                return -ENOMEM;
        return 0;
}

static int print_json(const struct report *r, bool is_well)
{
        _cleanup_json_ struct json_object *top = json_object_new_object();
        struct json_object *list = json_object_new_array();

        if (!top || !list || json_object_object_add(top, "ok", json_object_new_boolean(is_well)) < 0 ||
            json_object_object_add(top, "checks", list) < 0)
                return out_of_memory();
        for (size_t i = 0; i < r->n_checks; i++) {
                const struct check *c = &r->checks[i];
                struct json_object *o = json_object_new_object();

                if (!o || json_object_array_add(list, o) < 0 ||
                    json_object_object_add(o, "check", json_object_new_string(c->name)) < 0 ||
                    json_object_object_add(o, "result",
                                           json_object_new_string(finding_names[c->finding])) < 0 ||
                    json_object_object_add(o, "found",
                                           json_object_new_string(c->found ? c->found : "")) < 0 ||
                    json_object_object_add(o, "advice",
                                           c->advice ? json_object_new_string(c->advice) : NULL) < 0 ||
                    (c->pool && add_pool(o, c->pool) < 0))
                        return out_of_memory();
        }
        return json_print(top);
}

static void print_text(const struct report *r)
{
        for (size_t i = 0; i < r->n_checks; i++) {
                const struct check *c = &r->checks[i];

                (void)printf("%s%8s%s  ", term_on(stdout, finding_styles[c->finding]),
                             finding_names[c->finding], term_off(stdout));
                term_wrap(stdout, c->found ? c->found : "", term_width(), 10, 10);
                if (c->advice) {
                        (void)printf("%10s-> ", "");
                        term_wrap(stdout, c->advice, term_width(), 13, 13);
                }
        }
}

int verb_doctor(const struct client *c, char *args[], int n_args)
{
        struct report r = { .root = c->root };
        bool is_well = true;

        (void)args;
        (void)n_args;
        check_kernel(&r);
        check_cgroup(&r);
        check_controller(&r);
        check_pressure(&r);
        check_bus(&r);
        check_policy(&r);
        check_unit(&r);
        check_config(&r);
        check_burst(&r);
        check_daemon(&r);
        check_records(&r);
        check_foreign(&r);
        check_siblings(&r);
        check_threads(&r);

        for (size_t i = 0; i < r.n_checks; i++)
                is_well &= r.checks[i].finding != FINDING_BAD;
        int status = STATUS_FINE;
        if (c->want_json)
                status = print_json(&r, is_well);
        else
                print_text(&r);

        for (size_t i = 0; i < r.n_checks; i++)
                free(r.checks[i].found);
        thread_pools_done(&r.pools);
        free(r.mount);
        config_free(r.config);
        sd_bus_flush_close_unref(r.bus);
        return status == STATUS_FINE && !is_well ? STATUS_FAILED : status;
}
