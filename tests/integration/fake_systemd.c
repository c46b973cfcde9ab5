/* SPDX-License-Identifier: MIT */

/* The fake systemd as a program: on a bus, with a tree of files, told what to do over the same bus.
 *
 *   fake_systemd --address ADDRESS --root DIRECTORY [--cpus N] [--live] [--unit NAME[=CGROUP]]...
 *
 * Lays out an idle host of N CPUs (4) in the directory, loads the units (active in their cgroup, or
 * inactive without one), takes the names org.freedesktop.systemd1 and test.FakeSystemd, then prints
 * "ready". --live lets loads run with the clock; otherwise RunLoad() lets time pass. Ends on SIGTERM,
 * and with its parent.
 *
 *   busctl --address=ADDRESS introspect test.FakeSystemd /test/FakeSystemd
 */

#include "lib/fake_systemd.h"
#include "lib/fake_tree.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define LIVE_INTERVAL_USEC 100000

static _Noreturn void die(const char *what, int r)
{
        fprintf(stderr, "fake_systemd: %s: %s\n", what, strerror(r < 0 ? -r : r));
        exit(EXIT_FAILURE);
}

/* ---- methods ----------------------------------------------------------------------------------- */

/* Reads arguments, and answers for the caller if there is no such unit. */
#define READ(m, ...)                                            \
        do {                                                    \
                int read_r = sd_bus_message_read(m, __VA_ARGS__); \
                if (read_r < 0)                                 \
                        return read_r;                          \
        } while (0)

#define KNOWN(f, name, reterr)                                                                  \
        do {                                                                                    \
                if (fake_systemd_find(f, name) == NULL)                                         \
                        return sd_bus_error_setf(reterr, "org.freedesktop.systemd1.NoSuchUnit", \
                                                 "There is no unit %s here.", name);            \
        } while (0)

static int done(sd_bus_message *m)
{
        return sd_bus_reply_method_return(m, NULL);
}

static int method_add_unit(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        const char *name, *control_group;

        READ(m, "ss", &name, &control_group);
        fake_systemd_add(userdata, name, *control_group != 0 ? control_group : NULL);
        return done(m);
}

static int method_set_active(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        const char *name;
        int is_active;

        READ(m, "sb", &name, &is_active);
        KNOWN(userdata, name, reterr);
        fake_systemd_set_state(userdata, name, is_active ? "active" : "inactive",
                               is_active ? "running" : "dead");
        return done(m);
}

static int method_set_state(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        const char *name, *active, *sub;

        READ(m, "sss", &name, &active, &sub);
        KNOWN(userdata, name, reterr);
        fake_systemd_set_state(userdata, name, active, sub);
        return done(m);
}

static int method_set_transient(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        const char *name;
        int is_transient;

        READ(m, "sb", &name, &is_transient);
        KNOWN(userdata, name, reterr);
        fake_systemd_find(userdata, name)->is_transient = is_transient != 0;
        return done(m);
}

static int method_restart(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        const char *name;

        READ(m, "s", &name);
        KNOWN(userdata, name, reterr);
        fake_systemd_restart(userdata, name);
        return done(m);
}

static int method_unload(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        const char *name;

        READ(m, "s", &name);
        KNOWN(userdata, name, reterr);
        fake_systemd_unload(userdata, name);
        return done(m);
}

static int method_set_foreign(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        const char *name;
        uint64_t quota;

        READ(m, "st", &name, &quota);
        KNOWN(userdata, name, reterr);
        fake_systemd_set_foreign(userdata, name, quota);
        return done(m);
}

static int method_set_own(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        const char *name;
        uint64_t quota, weight;

        READ(m, "stt", &name, &quota, &weight);
        KNOWN(userdata, name, reterr);
        fake_systemd_set_own(userdata, name, quota, weight);
        return done(m);
}

static int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        fake_systemd_reload_begin(userdata);
        fake_systemd_reload_end(userdata);
        return done(m);
}

static int method_begin_reload(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        fake_systemd_reload_begin(userdata);
        return done(m);
}

static int method_end_reload(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        fake_systemd_reload_end(userdata);
        return done(m);
}

static int method_reexec(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        fake_systemd_reexec(userdata);
        return done(m);
}

static int method_fail(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        struct fake_systemd *f = userdata;
        const char *member, *error;

        READ(m, "ss", &member, &error);
        snprintf(f->fail_member, sizeof f->fail_member, "%s", member);
        snprintf(f->fail_error, sizeof f->fail_error, "%s", error);
        return done(m);
}

static int method_lie(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        struct fake_systemd *f = userdata;
        int is_lying;

        READ(m, "b", &is_lying);
        f->is_lying = is_lying != 0;
        return done(m);
}

static int method_hold(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        struct fake_systemd *f = userdata;
        int holds;

        READ(m, "b", &holds);
        f->holds_replies = holds != 0;
        if (!holds)
                fake_systemd_release(f, 0);
        return done(m);
}

static int method_delay(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        struct fake_systemd *f = userdata;

        READ(m, "t", &f->delay_usec);
        return done(m);
}

static int method_vanish(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        struct fake_systemd *f = userdata;
        const char *name;

        READ(m, "s", &name);
        KNOWN(userdata, name, reterr);
        snprintf(f->vanishes, sizeof f->vanishes, "%s", name);
        return done(m);
}

static int method_set_load(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        const char *name;
        double cpus;

        READ(m, "sd", &name, &cpus);
        KNOWN(userdata, name, reterr);
        fake_systemd_find(userdata, name)->load_cpus = cpus;
        return done(m);
}

static int method_run_load(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        uint64_t usec;

        READ(m, "t", &usec);
        fake_systemd_run_load(userdata, usec);
        return done(m);
}

static int method_count(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
        struct fake_systemd *f = userdata;

        return sd_bus_reply_method_return(m, "uuuuuu", f->n_subscribe, f->n_list, f->n_get_all, f->n_get,
                                          f->n_set, f->n_reload);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("AddUnit", SD_BUS_ARGS("s", name, "s", control_group), SD_BUS_NO_RESULT,
                                method_add_unit, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetActive", SD_BUS_ARGS("s", name, "b", is_active), SD_BUS_NO_RESULT,
                                method_set_active, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetState", SD_BUS_ARGS("s", name, "s", active, "s", sub),
                                SD_BUS_NO_RESULT, method_set_state, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetTransient", SD_BUS_ARGS("s", name, "b", is_transient),
                                SD_BUS_NO_RESULT, method_set_transient, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Restart", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT, method_restart,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Unload", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT, method_unload,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetForeign", SD_BUS_ARGS("s", name, "t", quota_usec_per_sec),
                                SD_BUS_NO_RESULT, method_set_foreign, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetOwn", SD_BUS_ARGS("s", name, "t", quota_usec_per_sec, "t", weight),
                                SD_BUS_NO_RESULT, method_set_own, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("BeginReload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_begin_reload,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("EndReload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_end_reload,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reexec", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reexec,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Fail", SD_BUS_ARGS("s", member, "s", error), SD_BUS_NO_RESULT,
                                method_fail, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Lie", SD_BUS_ARGS("b", is_lying), SD_BUS_NO_RESULT, method_lie,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Hold", SD_BUS_ARGS("b", holds_replies), SD_BUS_NO_RESULT, method_hold,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Delay", SD_BUS_ARGS("t", usec), SD_BUS_NO_RESULT, method_delay,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Vanish", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT, method_vanish,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetLoad", SD_BUS_ARGS("s", name, "d", cpus), SD_BUS_NO_RESULT,
                                method_set_load, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RunLoad", SD_BUS_ARGS("t", usec), SD_BUS_NO_RESULT, method_run_load,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Count", SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("u", n_subscribe, "u", n_list, "u", n_get_all, "u", n_get,
                                              "u", n_set, "u", n_reload),
                                method_count, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

/* ---- main -------------------------------------------------------------------------------------- */

static int on_live(sd_event_source *s, uint64_t usec, void *userdata)
{
        int r;

        fake_systemd_run_load(userdata, LIVE_INTERVAL_USEC);
        r = sd_event_source_set_time(s, usec + LIVE_INTERVAL_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static void add_unit(struct fake_systemd *f, char *text)
{
        char *equals = strchr(text, '=');

        if (equals != NULL)
                *equals = 0;
        fake_systemd_add(f, text, equals != NULL ? equals + 1 : NULL);
}

int main(int argc, char *argv[])
{
        enum { ARG_ADDRESS = 256, ARG_ROOT, ARG_CPUS, ARG_LIVE, ARG_UNIT };
        static const struct option options[] = {
                { "address", required_argument, NULL, ARG_ADDRESS },
                { "root", required_argument, NULL, ARG_ROOT },
                { "cpus", required_argument, NULL, ARG_CPUS },
                { "live", no_argument, NULL, ARG_LIVE },
                { "unit", required_argument, NULL, ARG_UNIT },
                {},
        };
        const char *address = NULL, *root = NULL;
        struct fake_host host = { .n_cpus = 4 };
        bool is_live = false;
        sd_event *event = NULL;
        sd_bus *bus = NULL;
        sigset_t mask;
        int r;

        for (int c; (c = getopt_long(argc, argv, "", options, NULL)) >= 0;)
                if (c == ARG_ADDRESS)
                        address = optarg;
                else if (c == ARG_ROOT)
                        root = optarg;
                else if (c == ARG_CPUS)
                        host.n_cpus = (unsigned)strtoul(optarg, NULL, 10);
                else if (c == ARG_LIVE)
                        is_live = true;
                else if (c != ARG_UNIT)
                        return 2;
        if (address == NULL || root == NULL || optind != argc || host.n_cpus == 0) {
                fprintf(stderr, "usage: fake_systemd --address ADDRESS --root DIRECTORY [--cpus N] [--live] "
                                "[--unit NAME[=CGROUP]]...\n");
                return 2;
        }
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
                die("prctl", errno);
        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                die("sigprocmask", errno);

        if ((r = sd_event_new(&event)) < 0 || (r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL)) < 0)
                die("event loop", r);
        struct fake_tree *tree = fake_tree_open(root);
        fake_tree_lay_out(tree, &host);
        struct fake_systemd *f = fake_systemd_new(event, tree);
        f->host = host;
        optind = 1;
        for (int c; (c = getopt_long(argc, argv, "", options, NULL)) >= 0;)
                if (c == ARG_UNIT)
                        add_unit(f, optarg);

        if ((r = sd_bus_new(&bus)) < 0 || (r = sd_bus_set_address(bus, address)) < 0 ||
            (r = sd_bus_set_bus_client(bus, 1)) < 0 || (r = sd_bus_start(bus)) < 0)
                die(address, r);
        if ((r = sd_bus_add_object_vtable(bus, NULL, "/test/FakeSystemd", "test.FakeSystemd", vtable, f)) < 0)
                die("vtable", r);
        fake_systemd_join(f, bus);
        if ((r = sd_bus_request_name(bus, "test.FakeSystemd", 0)) < 0)
                die("test.FakeSystemd", r);
        if (is_live) {
                sd_event_source *s = NULL;
                r = sd_event_add_time_relative(event, &s, CLOCK_MONOTONIC, LIVE_INTERVAL_USEC, 1000, on_live, f);
                if (r < 0 || (r = sd_event_source_set_floating(s, 1)) < 0)
                        die("timer", r);
                sd_event_source_unref(s);
        }
        puts("ready");
        (void)fflush(stdout);

        r = sd_event_loop(event);
        fake_systemd_free(f);
        fake_tree_free(tree);
        sd_event_unref(event);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
