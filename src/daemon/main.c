/* SPDX-License-Identifier: MIT */

#include "daemon/daemon.h"

#include "config.h"

#include "daemon/actuate.h"
#include "daemon/configure.h"
#include "daemon/credits.h"
#include "daemon/decide.h"
#include "daemon/guard.h"
#include "daemon/manager_bus.h"
#include "daemon/record.h"
#include "daemon/release.h"
#include "daemon/sense.h"
#include "daemon/services.h"
#include "util/cleanup.h"
#include "util/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

/* sysexits.h: the configuration is wrong; systemd then does not restart us (RestartPreventExitStatus=). */
#define EXIT_CONFIG 78

/* To read or to give back thousands of units takes longer than a service may, and a slow host makes that
 * minutes. That is no reason to end us half-way: systemd is asked for more time again and again, as long as
 * something gets done at least this often. A daemon-reload, in which nothing is heard of for up to 90 s
 * (SYSTEMD_RELOAD_TIMEOUT_USEC), fits in. */
#define STALLED_USEC (UINT64_C(120) * 1000000)
#define EXTEND_INTERVAL_USEC (UINT64_C(5) * 1000000)
#define STOP_EXTEND_USEC (UINT64_C(20) * 1000000)

enum job {
        JOB_RUN,
        JOB_RESTORE,
};

/* ---- telling systemd --------------------------------------------------------------------------- */

void daemon_notify_status(struct daemon *d)
{
        if (d->config_error)
                (void)sd_notifyf(0, "STATUS=The configuration has errors, the previous one is in force: %s",
                                 d->config_error);
        else if (d->epoch_error[0])
                (void)sd_notifyf(0, "STATUS=%s", d->epoch_error);
        else if (!d->has_outcome)
                (void)sd_notifyf(0, "STATUS=%s: measuring, the first decision comes at the end of the epoch.",
                                 config_mode_to_string(d->mode));
        else
                (void)sd_notifyf(0, "STATUS=%s, %s: %zu services share %s of CPU; V %.4g, %s.",
                                 config_mode_to_string(d->mode),
                                 tier_to_string(d->outcome.market.tier), d->n_players,
                                 FORMAT_CPU((uint64_t)(d->outcome.bargained_milli * USEC_PER_MILLI)),
                                 d->outcome.gate.v_after, verdict_to_string(d->outcome.gate.verdict));
}

int daemon_reload(struct daemon *d)
{
        int r;

        /* Before we are ready, or while we stop, READY=1 would say what is not so. */
        if (!d->is_ready || d->is_stopping)
                return configure_reload(d);
        (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, daemon_now_usec(d));
        r = configure_reload(d);
        (void)sd_notify(0, "READY=1");
        daemon_notify_status(d);
        return r;
}

/* Values to give back, or the daemon-reload after drop-ins that were removed. */
static bool owes_anything(const struct daemon *d)
{
        return d->state.n_records > 0 || d->state.reload_pending;
}

void daemon_got_on(struct daemon *d)
{
        uint64_t now_usec = daemon_now_usec(d);

        d->stop_deadline_usec = now_usec + STALLED_USEC;
        /* A stop asks by itself: on_stop_tick(). */
        if (d->is_ready || d->stop_timer || now_usec < d->next_extension_usec)
                return;
        d->next_extension_usec = now_usec + EXTEND_INTERVAL_USEC;
        (void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64, STALLED_USEC);
}

/* ---- life cycle -------------------------------------------------------------------------------- */

static void start_managing(struct daemon *d)
{
        d->is_ready = true;
        (void)sd_notify(0, "READY=1");
        daemon_notify_status(d);
        log_plain(LOG_INFO, MSG_STARTED, "coallocd %s: mode %s, %zu services declared, %u CPUs.",
                  PACKAGE_VERSION, config_mode_to_string(d->mode), d->config->n_services, d->n_cpus);
}

static void on_leftovers_given_back(void *ctx, unsigned n_failed)
{
        start_managing(ctx);
}

void daemon_ready(struct daemon *d)
{
        int r = services_reassign(d);

        if (r < 0)
                log_errno(LOG_ERR, MSG_EPOCH_FAILED, r, "Could not build the table of services");
        if (!owes_anything(d)) {
                start_managing(d);
                return;
        }
        /* Whoever ran before us did not get to the end: first everybody gets back what is theirs. */
        log_plain(LOG_NOTICE, MSG_UNIT_GIVEN_BACK,
                  "%zu units were left changed by a run that ended early; giving them back first.",
                  d->state.n_records);
        r = release_units(d, NULL, 0, true, on_leftovers_given_back, d);
        if (r < 0)
                start_managing(d);
}

static void on_all_given_back(void *ctx, unsigned n_failed)
{
        struct daemon *d = ctx;

        log_plain(n_failed > 0 ? LOG_WARNING : LOG_INFO, MSG_STOPPED,
                  n_failed > 0 ? "Stopped; some units could not be given back, see above."
                               : "Stopped; every unit is as it was.");
        (void)sd_event_exit(d->event, n_failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static int on_stop_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct daemon *d = userdata;

        if (daemon_now_usec(d) > d->stop_deadline_usec) {
                log_plain(LOG_ERR, MSG_UNIT_NOT_GIVEN_BACK,
                          "Giving back does not get on; \"coallocd --restore\" or the next start goes on.");
                return sd_event_exit(d->event, EXIT_FAILURE);
        }
        (void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64, STOP_EXTEND_USEC);
        (void)sd_event_source_set_time_relative(source, EXTEND_INTERVAL_USEC);
        (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

static void give_everything_back(struct daemon *d)
{
        int r;

        if (!owes_anything(d) && !d->release) {
                on_all_given_back(d, 0);
                return;
        }
        r = release_units(d, NULL, 0, true, on_all_given_back, d);
        if (r < 0)
                (void)sd_event_exit(d->event, EXIT_FAILURE);
}

/* At shutdown nothing is restored: /run, where all of it is, goes away with the system. */
static int on_system_state(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct daemon *d = userdata;
        const char *state = "";

        if (!sd_bus_message_is_method_error(m, NULL))
                (void)sd_bus_message_read(m, "v", "s", &state);
        if (strcmp(state, "stopping") == 0) {
                log_plain(LOG_INFO, MSG_STOPPED, "The system is shutting down; nothing needs to be given back.");
                return sd_event_exit(d->event, EXIT_SUCCESS);
        }
        give_everything_back(d);
        return 0;
}

static void ask_system_state(struct daemon *d)
{
        sd_bus *bus = systemd_manager_bus(d->systemd);
        int r = -ENOTCONN;

        if (bus)
                r = sd_bus_call_method_async(bus, NULL,
                                             sd_bus_is_bus_client(bus) > 0 ? "org.freedesktop.systemd1" : NULL,
                                             "/org/freedesktop/systemd1", "org.freedesktop.DBus.Properties",
                                             "Get", on_system_state, d, "ss",
                                             "org.freedesktop.systemd1.Manager", "SystemState");
        if (r < 0)
                give_everything_back(d);
}

static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        struct daemon *d = userdata;

        if (d->is_stopping)
                return 0;
        d->is_stopping = true;
        credits_save(d);
        (void)sd_notify(0, "STOPPING=1\nSTATUS=Giving back what every unit had.");
        daemon_got_on(d);
        (void)sd_event_add_time_relative(d->event, &d->stop_timer, CLOCK_MONOTONIC, EXTEND_INTERVAL_USEC,
                                         10000, on_stop_tick, d);
        ask_system_state(d);
        return 0;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        struct daemon *d = userdata;

        if (!d->is_stopping)
                (void)daemon_reload(d);
        return 0;
}

static int add_signals(struct daemon *d)
{
        sigset_t set;
        int r;

        /* Blocked before sd-event takes them: SD_EVENT_SIGNAL_PROCMASK is newer than systemd 249. */
        if (sigemptyset(&set) < 0 || sigaddset(&set, SIGTERM) < 0 || sigaddset(&set, SIGINT) < 0 ||
            sigaddset(&set, SIGHUP) < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        r = sd_event_add_signal(d->event, NULL, SIGTERM, on_terminate, d);
        if (r < 0)
                return r;
        r = sd_event_add_signal(d->event, NULL, SIGINT, on_terminate, d);
        if (r < 0)
                return r;
        return sd_event_add_signal(d->event, NULL, SIGHUP, on_hangup, d);
}

/* ---- start ------------------------------------------------------------------------------------- */

static char *read_own_control_group(const char *root)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        char line[4096];

        if (asprintf(&path, "%s/proc/self/cgroup", root) < 0)
                return NULL;
        f = fopen(path, "re");
        while (f && fgets(line, sizeof line, f)) {
                line[strcspn(line, "\n")] = '\0';
                if (strncmp(line, "0::", 3) == 0)
                        return strdup(line + 3);
        }
        return NULL;
}

static int check_host(struct daemon *d)
{
        enum cgroup_mode mode = CGROUP_NONE;
        int r;

        r = cgroup_find_mount(d->root, &mode, &d->mount);
        if (r < 0)
                return log_errno(LOG_ERR, MSG_HOST_UNFIT, r, "Could not find out how cgroups are mounted");
        if (mode != CGROUP_UNIFIED) {
                log_plain(LOG_ERR, MSG_HOST_UNFIT,
                          "The cgroup hierarchy of this host is %s, coalloc needs the unified one (v2): boot with systemd.unified_cgroup_hierarchy=1. coallocctl doctor tells more.",
                          cgroup_mode_to_string(mode));
                return -EOPNOTSUPP;
        }
        r = host_cpu_open(d->root, d->mount, &d->host);
        if (r < 0) {
                log_errno(LOG_ERR, MSG_HOST_UNFIT, r, "Could not read the CPUs of this host");
                return r;
        }
        r = host_cpu_count(&d->host, &d->n_cpus);
        if (r < 0) {
                log_errno(LOG_ERR, MSG_HOST_UNFIT, r, "Could not count the CPUs of this host");
                return r;
        }
        d->has_pressure = host_cpu_has_pressure(d->root) > 0;
        if (!d->has_pressure)
                log_plain(LOG_WARNING, MSG_HOST_UNFIT,
                          "The kernel shows no pressure (PSI): contention is judged by throttling and use alone. Boot with psi=1 for better decisions.");
        return 0;
}

/* Two daemons, or --restore beside a running one, would take each other's records for leftovers. A file
 * that nobody else can open: whoever could open it could hold the lock, and keep us from giving back. */
static int lock_directory(struct daemon *d)
{
        _cleanup_free_ char *path = NULL;

        if (mkdir(d->runtime_dir, 0755) < 0 && errno != EEXIST)
                return log_errno(LOG_ERR, MSG_STATE_UNUSABLE, -errno, "Could not make %s", d->runtime_dir);
        if (asprintf(&path, "%s/.lock", d->runtime_dir) < 0)
                return -ENOMEM;
        d->lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
        if (d->lock_fd < 0)
                return log_errno(LOG_ERR, MSG_STATE_UNUSABLE, -errno, "Could not open %s", path);
        if (flock(d->lock_fd, LOCK_EX | LOCK_NB) == 0)
                return 0;
        if (errno != EWOULDBLOCK)
                return log_errno(LOG_ERR, MSG_STATE_UNUSABLE, -errno, "Could not lock %s", path);
        log_plain(LOG_ERR, MSG_STATE_UNUSABLE,
                  "Another coallocd is at work with %s. \"coallocctl restore\" asks it to give everything back.",
                  d->runtime_dir);
        return -EWOULDBLOCK;
}

static int load_state(struct daemon *d)
{
        const char *directory = getenv("RUNTIME_DIRECTORY");
        int r;

        if (directory && d->root[0] == '\0')
                d->runtime_dir = strdup(directory);
        else if (asprintf(&d->runtime_dir, "%s/run/coalloc", d->root) < 0)
                d->runtime_dir = NULL;
        if (!d->runtime_dir)
                return -ENOMEM;
        r = lock_directory(d);
        if (r < 0)
                return r;
        r = state_file_load(d->runtime_dir, &d->state);
        if (r < 0) {
                log_errno(LOG_ERR, MSG_STATE_UNUSABLE, r,
                          "Could not read what units had before us from %s", d->runtime_dir);
                return r;
        }
        if (r > 0)
                log_plain(LOG_ERR, MSG_STATE_DAMAGED,
                          "The record of what units had before us was damaged and is kept as %s/units.bad; check the units by hand (systemctl show -p CPUQuotaPerSecUSec -p CPUWeight).",
                          d->runtime_dir);
        return 0;
}

static void daemon_done(struct daemon *d)
{
        manager_bus_free(d);
        services_detach(d);
        /* It calls back as long as it lives: only then may those be freed that it would call. */
        (void)systemd_manager_free(d->systemd);
        release_free(d);
        actuate_cancel(d);
        services_free(d);
        (void)sd_event_source_unref(d->sample_timer);
        (void)sd_event_source_unref(d->epoch_timer);
        (void)sd_event_source_unref(d->round_timer);
        guard_free(d);
        (void)sd_event_source_unref(d->stop_timer);
        (void)sd_event_unref(d->event);
        host_cpu_close(&d->host);
        state_file_done(&d->state);
        if (d->lock_fd >= 0)
                (void)close(d->lock_fd);
        decide_free(d);
        record_stop(d);
        credits_free(d);
        (void)config_free(d->config);
        free(d->config_error);
        free(d->mount);
        free(d->runtime_dir);
        free(d->own_control_group);
}

static int run(struct daemon *d)
{
        static const struct systemd_follower follower = {
                .wants = services_want,
                .on_event = services_on_event,
        };
        struct systemd_follower f = follower;
        int r;

        r = check_host(d);
        if (r < 0)
                return EXIT_FAILURE;
        r = configure_load(d);
        if (r == -EINVAL)
                return EXIT_CONFIG;
        if (r < 0)
                return EXIT_FAILURE;
        r = load_state(d);
        if (r < 0)
                return EXIT_FAILURE;
        credits_load(d);
        d->own_control_group = read_own_control_group(d->root);

        r = add_signals(d);
        if (r < 0) {
                log_errno(LOG_ERR, MSG_HOST_UNFIT, r, "Could not set up signals");
                return EXIT_FAILURE;
        }
        r = services_reassign(d);
        if (r < 0)
                return EXIT_FAILURE;
        f.ctx = d;
        r = systemd_manager_new(&d->systemd, d->event, NULL, &f);
        if (r >= 0)
                r = systemd_manager_start(d->systemd);
        if (r < 0) {
                log_errno(LOG_ERR, MSG_BUS_LOST, r, "Could not reach systemd over D-Bus");
                return EXIT_FAILURE;
        }
        if (d->publish_address) {
                r = manager_bus_publish(d, d->publish_address);
                if (r < 0) {
                        log_errno(LOG_ERR, MSG_NOT_PUBLISHED, r, "Could not publish on %s", d->publish_address);
                        return EXIT_FAILURE;
                }
        }
        /* Behind add_signals(): what is blocked here stays blocked in its thread. */
        record_start(d);
        r = sense_start(d);
        if (r >= 0)
                r = guard_start(d);
        if (r >= 0)
                r = decide_start(d);
        if (r >= 0)
                r = sd_event_set_watchdog(d->event, true);
        if (r < 0) {
                log_errno(LOG_ERR, MSG_HOST_UNFIT, r, "Could not set up timers");
                return EXIT_FAILURE;
        }
        return sd_event_loop(d->event);
}

/* ---- coallocd --restore ------------------------------------------------------------------------ */

static bool restore_wants(void *ctx, const char *unit)
{
        struct daemon *d = ctx;

        return state_file_find(&d->state, unit) != NULL;
}

static void restore_on_event(void *ctx, enum systemd_event event, struct systemd_unit *unit)
{
        struct daemon *d = ctx;

        if (event == SYSTEMD_UNIT_FOUND)
                daemon_got_on(d);
        if (event != SYSTEMD_LISTED || d->has_listed_once)
                return;
        d->has_listed_once = true;
        ask_system_state(d);
}

static int restore(struct daemon *d)
{
        struct systemd_follower f = { .wants = restore_wants, .on_event = restore_on_event, .ctx = d };
        int r;

        r = load_state(d);
        if (r < 0)
                return EXIT_FAILURE;
        if (!owes_anything(d))
                return EXIT_SUCCESS;
        r = systemd_manager_new(&d->systemd, d->event, NULL, &f);
        if (r >= 0)
                r = systemd_manager_start(d->systemd);
        if (r < 0) {
                log_errno(LOG_ERR, MSG_UNIT_NOT_GIVEN_BACK, r,
                          "Could not reach systemd to give back %zu units", d->state.n_records);
                return EXIT_FAILURE;
        }
        daemon_got_on(d);
        r = sd_event_add_time_relative(d->event, &d->stop_timer, CLOCK_MONOTONIC, EXTEND_INTERVAL_USEC, 10000,
                                       on_stop_tick, d);
        if (r < 0)
                return EXIT_FAILURE;
        return sd_event_loop(d->event);
}

/* ---- command line ------------------------------------------------------------------------------ */

static void help(void)
{
        printf("coallocd [OPTIONS...]\n\n"
               "Divides the CPU of this host among systemd units by Nash bargaining.\n\n"
               "  -h --help             Show this help\n"
               "     --version          Show the version\n"
               "     --config=FILE      Read FILE instead of %s\n"
               "                        (and FILE.d/ instead of its drop-ins)\n"
               "     --observe          Measure, decide and show, but never write\n"
               "     --restore          Give every unit back what it had, and exit\n"
               "     --publish=ADDRESS  Publish org.coalloc1 on that bus\n"
               "     --debug            Log every value that is written, too\n"
               "     --root=DIR         Look for /sys, /proc, /run and /etc below DIR (for tests)\n\n"
               "See coallocd(8), coalloc.conf(5), coallocctl(1).\n",
               CONFIG_MAIN_PATH);
}

static int parse_arguments(int argc, char *argv[], struct daemon *d, enum job *ret_job)
{
        enum {
                ARG_VERSION = 256,
                ARG_CONFIG,
                ARG_OBSERVE,
                ARG_RESTORE,
                ARG_PUBLISH,
                ARG_DEBUG,
                ARG_ROOT,
        };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, ARG_VERSION },
                { "config", required_argument, NULL, ARG_CONFIG },
                { "observe", no_argument, NULL, ARG_OBSERVE },
                { "restore", no_argument, NULL, ARG_RESTORE },
                { "publish", required_argument, NULL, ARG_PUBLISH },
                { "debug", no_argument, NULL, ARG_DEBUG },
                { "root", required_argument, NULL, ARG_ROOT },
                { 0 },
        };
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help();
                        return 0;
                case ARG_VERSION:
                        printf("coallocd %s\n", PACKAGE_VERSION);
                        return 0;
                case ARG_CONFIG:
                        d->config_path = optarg;
                        break;
                case ARG_OBSERVE:
                        d->observe_only = true;
                        break;
                case ARG_RESTORE:
                        *ret_job = JOB_RESTORE;
                        break;
                case ARG_PUBLISH:
                        d->publish_address = optarg;
                        break;
                case ARG_DEBUG:
                        journal_set_max_priority(LOG_DEBUG);
                        break;
                case ARG_ROOT:
                        d->root = optarg;
                        break;
                default:
                        return -EINVAL;
                }
        if (optind < argc) {
                fprintf(stderr, "coallocd: takes no arguments, only options: %s\n", argv[optind]);
                return -EINVAL;
        }
        return 1;
}

/* Where the configuration is: --config=FILE goes with FILE.d, so that a trial run does not pick up the
 * host's drop-ins. */
static int find_config(struct daemon *d, char **ret_path, char **ret_dropin_dir)
{
        const char *root = d->config_path ? "" : d->root;
        const char *path = d->config_path ?: CONFIG_MAIN_PATH;

        if (asprintf(ret_path, "%s%s", root, path) < 0)
                return -ENOMEM;
        if (asprintf(ret_dropin_dir, "%s.d", *ret_path) < 0)
                return -ENOMEM;
        d->config_path = *ret_path;
        d->config_dropin_dir = *ret_dropin_dir;
        return 0;
}

int main(int argc, char *argv[])
{
        _cleanup_free_ char *config_path = NULL, *dropin_dir = NULL;
        struct daemon d = { .root = "", .lock_fd = -1 };
        enum job job = JOB_RUN;
        int r;

        d.host = HOST_CPU_CLOSED;
        r = parse_arguments(argc, argv, &d, &job);
        if (r <= 0)
                return r < 0 ? 2 : EXIT_SUCCESS;
        (void)umask(0022);

        r = find_config(&d, &config_path, &dropin_dir);
        if (r >= 0)
                r = sd_event_default(&d.event);
        if (r < 0) {
                log_errno(LOG_ERR, MSG_HOST_UNFIT, r, "Could not start");
                return EXIT_FAILURE;
        }
        r = job == JOB_RESTORE ? restore(&d) : run(&d);
        daemon_done(&d);
        return r < 0 ? EXIT_FAILURE : r;
}
