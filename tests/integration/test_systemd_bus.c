/* SPDX-License-Identifier: MIT */

/* The adapter to systemd on a real bus: what a socketpair does not have is names, owners of names,
 * matches, a limit on pending replies, and strangers. */

#include "lib/fake_systemd.h"
#include "lib/private_bus.h"
#include "lib/testing.h"
#include "lib/testing_loop.h"
#include "platform/systemd_manager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct private_bus *bus;
static sd_event *event;
static struct fake_systemd *fake;
static struct systemd_manager *manager;
static unsigned n_events[SYSTEMD_DISCONNECTED + 1];
static int last_error;
static unsigned n_batches, n_failed_in_batch;

static bool wants(void *ctx, const char *unit)
{
        return true;
}

static void on_event(void *ctx, enum systemd_event e, struct systemd_unit *unit)
{
        n_events[e]++;
}

static const struct systemd_follower follower = { .wants = wants, .on_event = on_event };

static void on_set(void *ctx, const struct systemd_setting *s, int error)
{
        last_error = error;
}

static void on_batch(void *ctx, unsigned n_failed)
{
        n_batches++;
        n_failed_in_batch = n_failed;
}

static void setup(void)
{
        bus = private_bus_new();
        ck_assert_int_ge(sd_event_new(&event), 0);
        fake = fake_systemd_new(event, NULL);
        ck_assert_int_eq(systemd_manager_new(&manager, event, private_bus_address(bus), &follower), 0);
}

static void teardown(void)
{
        manager = systemd_manager_free(manager);
        fake = fake_systemd_free(fake);
        event = sd_event_unref(event);
        bus = private_bus_free(bus);
}

static void join(void)
{
        fake_systemd_join(fake, private_bus_connect(bus));
}

static void start(void)
{
        join();
        ck_assert_int_eq(systemd_manager_start(manager), 0);
        RUN_UNTIL(event, n_events[SYSTEMD_LISTED] == 1);
}

static void set_quota(const char *unit, uint64_t quota)
{
        struct systemd_setting s = { .unit = unit, .set_quota = true, .quota_usec_per_sec = quota };

        ck_assert_int_eq(systemd_manager_set(manager, &s, 1, on_set, on_batch, NULL), 0);
}

START_TEST(units_are_found_followed_and_set_on_a_bus)
{
        fake_systemd_add(fake, "web.service", "/system.slice/web.service");
        start();
        ck_assert_uint_eq(n_events[SYSTEMD_CONNECTED], 1);
        ck_assert(sd_bus_is_bus_client(systemd_manager_bus(manager)) > 0);
        ck_assert(systemd_manager_find(manager, "web.service")->is_active);

        set_quota("web.service", 440000);
        RUN_UNTIL(event, n_batches == 1);
        ck_assert_int_eq(last_error, 0);
        ck_assert_uint_eq(fake_systemd_find(fake, "web.service")->quota, 440000);

        fake_systemd_add(fake, "new.service", "/system.slice/new.service");
        RUN_UNTIL(event, n_events[SYSTEMD_UNIT_FOUND] == 2);
        fake_systemd_set_state(fake, "web.service", "failed", "failed");
        RUN_UNTIL(event, n_events[SYSTEMD_UNIT_CHANGED] == 1);
        fake_systemd_unload(fake, "web.service");
        RUN_UNTIL(event, n_events[SYSTEMD_UNIT_LOST] == 1);
}
END_TEST

START_TEST(the_system_bus_is_where_the_environment_says)
{
        ck_assert_int_eq(setenv("DBUS_SYSTEM_BUS_ADDRESS", private_bus_address(bus), 1), 0);
        manager = systemd_manager_free(manager);
        ck_assert_int_eq(systemd_manager_new(&manager, event, NULL, &follower), 0);
        fake_systemd_add(fake, "web.service", "/system.slice/web.service");
        start();
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_FOUND], 1);
        ck_assert_int_eq(unsetenv("DBUS_SYSTEM_BUS_ADDRESS"), 0);
}
END_TEST

START_TEST(the_bus_never_refuses_one_call_too_many)
{
        static struct systemd_setting settings[500];
        static char names[500][64];

        for (unsigned i = 0; i < 500; i++) {
                snprintf(names[i], sizeof names[i], "tenant-%u.slice", i);
                fake_systemd_add(fake, names[i], "/tenant.slice");
                settings[i] = (struct systemd_setting) {
                        .unit = names[i], .set_weight = true, .cpu_weight = 1 + i,
                };
        }
        fake->delay_usec = 1000;
        start();
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_FOUND], 500);
        ck_assert_int_eq(systemd_manager_set(manager, settings, 500, on_set, on_batch, NULL), 0);
        RUN_UNTIL(event, n_batches == 1);
        ck_assert_uint_eq(n_failed_in_batch, 0);
        ck_assert_uint_eq(fake_systemd_find(fake, "tenant-499.slice")->weight, 500);
        ck_assert_uint_eq(fake->n_held_max, SYSTEMD_CALLS_IN_FLIGHT_MAX);
}
END_TEST

START_TEST(a_systemd_that_comes_late_is_found)
{
        fake_systemd_add(fake, "web.service", "/system.slice/web.service");
        ck_assert_int_eq(systemd_manager_start(manager), 0);
        RUN_UNTIL(event, n_events[SYSTEMD_CONNECTED] == 1);
        join();
        RUN_UNTIL(event, n_events[SYSTEMD_LISTED] == 1);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_FOUND], 1);
}
END_TEST

START_TEST(reexecution_of_systemd_ends_with_everything_read_again)
{
        fake_systemd_add(fake, "gone.service", "/system.slice/gone.service");
        fake_systemd_add(fake, "web.service", "/system.slice/web.service");
        start();
        struct systemd_unit *u = systemd_manager_find(manager, "web.service");
        u->userdata = fake;

        fake_systemd_reload_begin(fake);
        testing_run_until_quiet(event);
        fake_systemd_drop(fake);
        fake->is_reloading = false;
        set_quota("web.service", 20000);
        fake_systemd_find(fake, "gone.service")->is_loaded = false;
        fake_systemd_find(fake, "web.service")->weight = 300;
        join();
        RUN_UNTIL(event, n_events[SYSTEMD_RELOADED] == 1 && n_batches == 1);
        ck_assert_int_eq(last_error, 0);
        ck_assert_uint_eq(n_events[SYSTEMD_DISCONNECTED], 0);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_LOST], 1);
        ck_assert_ptr_eq(systemd_manager_find(manager, "web.service"), u);
        ck_assert_ptr_eq(u->userdata, fake);
        ck_assert_uint_eq(u->cpu_weight, 300);
        ck_assert_uint_eq(u->quota_usec_per_sec, 20000);

        /* Signals of the new one count. */
        fake_systemd_unload(fake, "web.service");
        RUN_UNTIL(event, n_events[SYSTEMD_UNIT_LOST] == 2);
}
END_TEST

START_TEST(a_systemd_that_dies_during_a_call_answers_with_a_timeout)
{
        fake_systemd_add(fake, "web.service", "/system.slice/web.service");
        start();
        fake->holds_replies = true;
        set_quota("web.service", 20000);
        RUN_UNTIL(event, fake->n_held == 1);
        fake_systemd_drop(fake);
        RUN_UNTIL(event, n_batches == 1);
        ck_assert_int_eq(last_error, -ETIMEDOUT);
}
END_TEST

START_TEST(a_bus_that_restarts_is_found_again)
{
        fake_systemd_add(fake, "web.service", "/system.slice/web.service");
        start();
        struct systemd_unit *u = systemd_manager_find(manager, "web.service");
        u->userdata = fake;
        fake_systemd_drop(fake);
        private_bus_restart(bus);
        RUN_UNTIL(event, n_events[SYSTEMD_DISCONNECTED] == 1);
        join();
        RUN_UNTIL(event, n_events[SYSTEMD_LISTED] == 2);
        ck_assert_uint_eq(n_events[SYSTEMD_CONNECTED], 2);
        ck_assert_ptr_eq(systemd_manager_find(manager, "web.service"), u);
        ck_assert_ptr_eq(u->userdata, fake);
}
END_TEST

/* Everything a stranger could say to confuse us, to us alone and to all. */
static void lie_to(sd_bus *stranger, const char *victim)
{
        static const char manager_interface[] = "org.freedesktop.systemd1.Manager";
        sd_bus_message *m = NULL;

        for (unsigned i = 0; i < 4; i++) {
                switch (i) {
                case 0:
                        ck_assert_int_ge(sd_bus_message_new_signal(stranger, &m, "/org/freedesktop/systemd1",
                                                                   manager_interface, "UnitRemoved"), 0);
                        ck_assert_int_ge(sd_bus_message_append(m, "so", "web.service", "/a"), 0);
                        break;
                case 1:
                        ck_assert_int_ge(sd_bus_message_new_signal(stranger, &m, "/org/freedesktop/systemd1",
                                                                   manager_interface, "Reloading"), 0);
                        ck_assert_int_ge(sd_bus_message_append(m, "b", 1), 0);
                        break;
                case 2:
                        ck_assert_int_ge(sd_bus_message_new_signal(
                                                 stranger, &m,
                                                 "/org/freedesktop/systemd1/unit/web_2eservice",
                                                 "org.freedesktop.DBus.Properties", "PropertiesChanged"), 0);
                        ck_assert_int_ge(sd_bus_message_append(m, "sa{sv}as", "org.freedesktop.systemd1.Unit",
                                                               1, "ActiveState", "s", "inactive", 0), 0);
                        break;
                case 3:
                        ck_assert_int_ge(sd_bus_message_new_signal(stranger, &m, "/org/freedesktop/DBus",
                                                                   "org.freedesktop.DBus",
                                                                   "NameOwnerChanged"), 0);
                        ck_assert_int_ge(sd_bus_message_append(m, "sss", "org.freedesktop.systemd1", "",
                                                               ""), 0);
                        break;
                }
                ck_assert_int_ge(sd_bus_send_to(stranger, m, victim, NULL), 0);
                m = sd_bus_message_unref(m);
        }
}

START_TEST(nobody_but_systemd_is_believed)
{
        const char *victim;

        fake_systemd_add(fake, "web.service", "/system.slice/web.service");
        start();
        sd_bus *stranger = private_bus_connect(bus);
        ck_assert_int_ge(sd_bus_get_unique_name(systemd_manager_bus(manager), &victim), 0);
        lie_to(stranger, victim);
        /* What the stranger asks next is answered after all of this has been passed on; and our call
         * after that is answered by systemd, whom no Reloading holds back. */
        ck_assert_int_ge(sd_bus_call_method(stranger, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                            "org.freedesktop.DBus", "GetId", NULL, NULL, NULL), 0);
        set_quota("web.service", 20000);
        RUN_UNTIL(event, n_batches == 1);
        ck_assert_int_eq(last_error, 0);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_LOST], 0);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_CHANGED], 0);
        ck_assert(systemd_manager_find(manager, "web.service")->is_active);
        sd_bus_flush_close_unref(stranger);
}
END_TEST

/* ---- the fake as a program --------------------------------------------------------------------- */

static pid_t launch_fake(const char *root)
{
        char program[4096], ready[16];
        const char *build = getenv("COALLOC_BUILDDIR");
        int fds[2];

        snprintf(program, sizeof program, "%s/tests/integration/fake_systemd", build != NULL ? build : ".");
        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                if (dup2(fds[1], STDOUT_FILENO) >= 0)
                        execl(program, program, "--address", private_bus_address(bus), "--root", root,
                              "--cpus", "2", "--unit", "shop.slice=/shop.slice", "--unit", "idle.slice",
                              (char *)NULL);
                _exit(127);
        }
        (void)close(fds[1]);
        ck_assert_msg(read(fds[0], ready, sizeof ready) == 6, "%s did not get ready", program);
        (void)close(fds[0]);
        return pid;
}

#define TELL(member, ...)                                                                               \
        ck_assert_int_ge(sd_bus_call_method(control, "test.FakeSystemd", "/test/FakeSystemd",            \
                                            "test.FakeSystemd", member, NULL, NULL, __VA_ARGS__), 0)

static void ck_file(struct fake_tree *tree, const char *path, const char *text)
{
        char *found = fake_tree_read(tree, path, NULL);
        ck_assert_msg(found != NULL, "there is no %s", path);
        ck_assert_str_eq(found, text);
        free(found);
}

START_TEST(the_fake_serves_as_a_program_with_a_tree)
{
        struct fake_tree *tree = fake_tree_new();
        pid_t pid = launch_fake(fake_tree_root(tree));
        sd_bus *control = private_bus_connect(bus);
        int status;

        ck_assert_int_eq(systemd_manager_start(manager), 0);
        RUN_UNTIL(event, n_events[SYSTEMD_LISTED] == 1);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_FOUND], 2);
        ck_assert(!systemd_manager_find(manager, "idle.slice")->is_active);

        TELL("AddUnit", "ss", "web.service", "/shop.slice/web.service");
        RUN_UNTIL(event, n_events[SYSTEMD_UNIT_FOUND] == 3);
        set_quota("web.service", 1500000);
        RUN_UNTIL(event, n_batches == 1);
        ck_file(tree, "sys/fs/cgroup/shop.slice/web.service/cpu.max", "150000 100000\n");
        ck_file(tree, "run/systemd/system.control/web.service.d/50-CPUQuota.conf",
                "# This is a drop-in unit file extension, created via \"systemctl set-property\"\n"
                "# or an equivalent operation. Do not edit.\n[Service]\nCPUQuota=150%\n");

        TELL("Fail", "ss", "SetUnitProperties", SD_BUS_ERROR_ACCESS_DENIED);
        set_quota("web.service", 10000);
        RUN_UNTIL(event, n_batches == 2);
        ck_assert_int_eq(last_error, -EACCES);
        TELL("Fail", "ss", "", "");

        TELL("Reexec", NULL);
        RUN_UNTIL(event, n_events[SYSTEMD_RELOADED] == 1);
        TELL("SetActive", "sb", "web.service", 0);
        RUN_UNTIL(event, !systemd_manager_find(manager, "web.service")->is_active);
        ck_assert(!fake_tree_exists(tree, "sys/fs/cgroup/shop.slice/web.service"));

        ck_assert_int_eq(kill(pid, SIGTERM), 0);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
        sd_bus_flush_close_unref(control);
        fake_tree_free(tree);
}
END_TEST

START_TEST(the_fake_shares_its_cpus_by_weight_and_throttles_by_quota)
{
        struct fake_systemd_unit *a = fake_systemd_add(fake, "a.slice", "/a.slice");
        struct fake_systemd_unit *b = fake_systemd_add(fake, "b.slice", "/b.slice");
        struct fake_systemd_unit *c = fake_systemd_add(fake, "c.slice", "/c.slice");

        fake->host.n_cpus = 2;
        a->load_cpus = b->load_cpus = c->load_cpus = 2;
        a->counters.cpu_weight = 300;
        c->counters.quota_usec_per_sec = 400000;
        fake_systemd_run_load(fake, 1000000);
        ck_assert_uint_le((uint64_t)llabs((long long)a->counters.usage_usec - 1200000), 10);
        ck_assert_uint_le((uint64_t)llabs((long long)b->counters.usage_usec - 400000), 10);
        ck_assert_uint_le((uint64_t)llabs((long long)c->counters.usage_usec - 400000), 10);
        ck_assert_uint_eq(c->counters.nr_throttled, 10);
        ck_assert_uint_eq(a->counters.nr_throttled, 0);
        ck_assert_uint_gt(b->counters.stalled_usec, a->counters.stalled_usec);
        ck_assert_uint_gt(fake->host.stalled_usec, 0);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("systemd_bus");
        TCase *c = tcase_create("bus");

        if (!private_bus_is_possible()) {
                puts("1..0 # SKIP there is no dbus-daemon on this machine");
                return EXIT_SUCCESS;
        }
        tcase_add_checked_fixture(c, setup, teardown);
        tcase_add_test(c, units_are_found_followed_and_set_on_a_bus);
        tcase_add_test(c, the_system_bus_is_where_the_environment_says);
        tcase_add_test(c, the_bus_never_refuses_one_call_too_many);
        tcase_add_test(c, a_systemd_that_comes_late_is_found);
        tcase_add_test(c, reexecution_of_systemd_ends_with_everything_read_again);
        tcase_add_test(c, a_systemd_that_dies_during_a_call_answers_with_a_timeout);
        tcase_add_test(c, a_bus_that_restarts_is_found_again);
        tcase_add_test(c, nobody_but_systemd_is_believed);
        tcase_add_test(c, the_fake_serves_as_a_program_with_a_tree);
        tcase_add_test(c, the_fake_shares_its_cpus_by_weight_and_throttles_by_quota);
        suite_add_tcase(s, c);
        return testing_run(s);
}
