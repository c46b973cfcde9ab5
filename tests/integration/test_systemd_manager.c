/* SPDX-License-Identifier: MIT */

/* The adapter to systemd against a fake one at the other end of a socketpair, on the same loop. */

#include "lib/fake_systemd.h"
#include "lib/fake_tree.h"
#include "lib/testing.h"
#include "lib/testing_loop.h"
#include "platform/systemd_manager.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define UNSET SYSTEMD_UNSET

static sd_event *event;
static struct fake_tree *tree;
static struct fake_systemd *fake;
static struct systemd_manager *manager;
static int errors[4096];
static unsigned n_errors, n_batches, n_failed_in_batch, n_reload_done;

/* What the follower saw. */
static unsigned n_events[SYSTEMD_DISCONNECTED + 1];
static char last_unit[256];
static const char *not_wanted = "";     /* a word; units with it in their name are not wanted */
static int free_at = -1;                /* free the manager at the n-th event */
static bool is_inside_call;

static bool wants(void *ctx, const char *unit)
{
        return *not_wanted == 0 || strstr(unit, not_wanted) == NULL;
}

static void maybe_free(void)
{
        if (free_at >= 0 && free_at-- == 0)
                manager = systemd_manager_free(manager);
}

static void on_event(void *ctx, enum systemd_event e, struct systemd_unit *unit)
{
        ck_assert(!is_inside_call);
        ck_assert_ptr_nonnull(manager);
        n_events[e]++;
        if (unit != NULL)
                snprintf(last_unit, sizeof last_unit, "%s", unit->name);
        maybe_free();
}

static const struct systemd_follower follower = { .wants = wants, .on_event = on_event };

static void on_set(void *ctx, const struct systemd_setting *s, int error)
{
        ck_assert(!is_inside_call);
        ck_assert_ptr_nonnull(manager);
        errors[n_errors++ % 4096] = error;
        maybe_free();
}

static void on_batch(void *ctx, unsigned n_failed)
{
        ck_assert(!is_inside_call);
        n_batches++;
        n_failed_in_batch = n_failed;
        maybe_free();
}

static void on_refreshed(void *ctx, const char *unit, int error)
{
        ck_assert(!is_inside_call);
        errors[n_errors++ % 4096] = error;
        maybe_free();
}

static void on_reloaded(void *ctx, int error)
{
        ck_assert(!is_inside_call);
        errors[n_errors++ % 4096] = error;
        n_reload_done++;
        maybe_free();
}

/* ---- harness ----------------------------------------------------------------------------------- */

static void setup(void)
{
        ck_assert_int_ge(sd_event_new(&event), 0);
        tree = fake_tree_new();
        fake = fake_systemd_new(event, tree);
        ck_assert_int_ge(systemd_manager_new_with_opener(&manager, event, fake_systemd_open, fake,
                                                         &follower), 0);
}

static void teardown(void)
{
        manager = systemd_manager_free(manager);
        fake = fake_systemd_free(fake);
        tree = fake_tree_free(tree);
        event = sd_event_unref(event);
}

static void start(void)
{
        ck_assert_int_eq(systemd_manager_start(manager), 0);
        RUN_UNTIL(event, n_events[SYSTEMD_LISTED] == 1);
}

static void set_quota(const char *unit, uint64_t quota)
{
        struct systemd_setting s = { .unit = unit, .set_quota = true, .quota_usec_per_sec = quota };

        is_inside_call = true;
        ck_assert_int_eq(systemd_manager_set(manager, &s, 1, on_set, on_batch, NULL), 0);
        is_inside_call = false;
}

static struct systemd_unit *must_find(const char *name)
{
        struct systemd_unit *u = systemd_manager_find(manager, name);
        ck_assert_msg(u != NULL, "%s is not followed", name);
        return u;
}

/* Without files, which would be most of the work. */
static void add_many(unsigned n)
{
        fake->tree = NULL;
        for (unsigned i = 0; i < n; i++) {
                char name[64], group[64];
                snprintf(name, sizeof name, "tenant-%u.slice", i);
                snprintf(group, sizeof group, "/tenant.slice/tenant-%u.slice", i);
                fake_systemd_add(fake, name, group);
        }
}

/* ---- finding and following --------------------------------------------------------------------- */

START_TEST(an_active_unit_is_found_with_all_its_properties)
{
        struct fake_systemd_unit *f = fake_systemd_add(fake, "shop-web.slice", "/shop.slice/shop-web.slice");
        f->quota = 330000;
        f->weight = 250;
        f->is_transient = true;
        start();

        struct systemd_unit *u = must_find("shop-web.slice");
        ck_assert_int_eq(u->type, SYSTEMD_SLICE);
        ck_assert_str_eq(u->slice, "shop.slice");
        ck_assert_str_eq(u->control_group, "/shop.slice/shop-web.slice");
        ck_assert(u->is_active);
        ck_assert(u->is_transient);
        ck_assert_uint_eq(u->quota_usec_per_sec, 330000);
        ck_assert_uint_eq(u->cpu_weight, 250);
        ck_assert(sd_id128_equal(u->invocation_id, f->invocation_id));
        ck_assert_uint_eq(n_events[SYSTEMD_CONNECTED], 1);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_FOUND], 1);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_CHANGED], 0);
        ck_assert_uint_eq(n_events[SYSTEMD_RELOADED], 0);
}
END_TEST

START_TEST(slices_services_and_scopes_are_found_and_nothing_else)
{
        fake_systemd_add(fake, "a.slice", "/a.slice");
        fake_systemd_add(fake, "b.service", "/system.slice/b.service");
        fake_systemd_add(fake, "c.scope", "/user.slice/c.scope");
        start();
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_FOUND], 3);
        ck_assert_int_eq(must_find("b.service")->type, SYSTEMD_SERVICE);
        ck_assert_str_eq(must_find("b.service")->slice, "system.slice");
        ck_assert_int_eq(must_find("c.scope")->type, SYSTEMD_SCOPE);
}
END_TEST

START_TEST(an_inactive_unit_is_found_without_being_read)
{
        fake_systemd_add(fake, "idle.service", NULL);
        start();
        struct systemd_unit *u = must_find("idle.service");
        ck_assert(!u->is_active);
        ck_assert_str_eq(u->control_group, "");
        ck_assert_uint_eq(fake->n_get_all, 0);
}
END_TEST

START_TEST(a_unit_that_nobody_wants_is_neither_read_nor_reported)
{
        not_wanted = "other";
        fake_systemd_add(fake, "other.service", "/system.slice/other.service");
        start();
        ck_assert_ptr_null(systemd_manager_find(manager, "other.service"));
        fake_systemd_restart(fake, "other.service");
        testing_run_until_quiet(event);
        ck_assert_uint_eq(fake->n_get_all, 0);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_FOUND], 0);
}
END_TEST

START_TEST(a_unit_that_appears_later_is_found)
{
        start();
        fake_systemd_add(fake, "new.service", "/system.slice/new.service");
        RUN_UNTIL(event, n_events[SYSTEMD_UNIT_FOUND] == 1);
        ck_assert_str_eq(must_find("new.service")->control_group, "/system.slice/new.service");
}
END_TEST

START_TEST(a_unit_that_appears_inactive_is_found_by_a_listing)
{
        start();
        fake_systemd_add(fake, "new.service", NULL);
        RUN_UNTIL(event, n_events[SYSTEMD_UNIT_FOUND] == 1);
        ck_assert_uint_eq(fake->n_get_all, 0);
}
END_TEST

START_TEST(a_unit_that_was_active_before_its_unitnew_is_found)
{
        /* systemd-run: the first signal of all says only that the unit is there. */
        start();
        struct fake_systemd_unit *f = fake_systemd_add(fake, "run.service", NULL);
        f->active_state = "active";
        RUN_UNTIL(event, n_events[SYSTEMD_UNIT_FOUND] == 1);
        ck_assert(must_find("run.service")->is_active);
}
END_TEST

START_TEST(a_unit_that_stops_is_followed_until_it_is_unloaded)
{
        fake_systemd_add(fake, "web.service", "/system.slice/web.service");
        start();
        struct systemd_unit *u = must_find("web.service");
        u->userdata = fake;

        fake_systemd_set_state(fake, "web.service", "inactive", "dead");
        RUN_UNTIL(event, n_events[SYSTEMD_UNIT_CHANGED] == 1);
        ck_assert(!u->is_active);
        ck_assert_str_eq(u->control_group, "");

        fake_systemd_find(fake, "web.service")->control_group[1] = 'S';
        fake_systemd_set_state(fake, "web.service", "active", "running");
        RUN_UNTIL(event, n_events[SYSTEMD_UNIT_CHANGED] == 2);
        ck_assert(u->is_active);
        ck_assert_str_eq(u->control_group, "/System.slice/web.service");
        ck_assert_ptr_eq(u->userdata, fake);

        fake_systemd_unload(fake, "web.service");
        RUN_UNTIL(event, n_events[SYSTEMD_UNIT_LOST] == 1);
        ck_assert_ptr_null(systemd_manager_find(manager, "web.service"));
}
END_TEST

START_TEST(a_restart_too_fast_to_be_seen_is_told_by_its_invocation)
{
        fake_systemd_add(fake, "web.service", "/system.slice/web.service");
        start();
        sd_id128_t before = must_find("web.service")->invocation_id;
        fake_systemd_restart(fake, "web.service");
        RUN_UNTIL(event, n_events[SYSTEMD_UNIT_CHANGED] == 1);
        ck_assert(!sd_id128_equal(before, must_find("web.service")->invocation_id));
}
END_TEST

START_TEST(a_unit_that_reloads_its_configuration_is_not_read_again)
{
        fake_systemd_add(fake, "web.service", "/system.slice/web.service");
        start();
        unsigned n = fake->n_get_all;
        fake_systemd_set_state(fake, "web.service", "reloading", "running");
        fake_systemd_set_state(fake, "web.service", "active", "running");
        testing_run_until_quiet(event);
        ck_assert_uint_eq(fake->n_get_all, n);
        ck_assert(must_find("web.service")->is_active);
}
END_TEST

START_TEST(a_unit_that_goes_while_it_is_read_is_not_read_for_ever)
{
        /* The reading loads it again, which looks like a new unit. */
        start();
        fake_systemd_add(fake, "ghost.slice", "/ghost.slice");
        fake_systemd_unload(fake, "ghost.slice");
        fake_systemd_set_state(fake, "ghost.slice", "active", "running");
        fake_systemd_unload(fake, "ghost.slice");
        testing_run_until_quiet(event);
        unsigned n_list = fake->n_list;
        fake_systemd_add(fake, "marker.service", NULL);
        RUN_UNTIL(event, systemd_manager_find(manager, "marker.service") != NULL);
        ck_assert_uint_le(fake->n_list, n_list + 2);
        ck_assert_uint_le(fake->n_get_all, 2);
        ck_assert_ptr_null(systemd_manager_find(manager, "ghost.slice"));
}
END_TEST

START_TEST(a_listing_answers_for_what_signals_did_not_tell)
{
        fake_systemd_add(fake, "a.slice", "/a.slice");
        fake_systemd_add(fake, "b.slice", "/b.slice");
        start();
        fake_systemd_find(fake, "a.slice")->is_loaded = false;
        systemd_manager_relist(manager);
        RUN_UNTIL(event, n_events[SYSTEMD_LISTED] == 2);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_LOST], 1);
        ck_assert_str_eq(last_unit, "a.slice");
}
END_TEST

START_TEST(relist_asks_again_who_is_wanted)
{
        not_wanted = "b";
        fake_systemd_add(fake, "a.slice", "/a.slice");
        fake_systemd_add(fake, "b.slice", "/b.slice");
        start();
        must_find("a.slice")->userdata = fake;
        not_wanted = "a";
        systemd_manager_relist(manager);
        RUN_UNTIL(event, n_events[SYSTEMD_LISTED] == 2);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_FOUND], 2);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_LOST], 1);
        ck_assert_ptr_null(systemd_manager_find(manager, "a.slice"));
        ck_assert(must_find("b.slice")->is_active);

        not_wanted = "";
        systemd_manager_relist(manager);
        RUN_UNTIL(event, n_events[SYSTEMD_LISTED] == 3);
        ck_assert_ptr_null(must_find("a.slice")->userdata);
}
END_TEST

START_TEST(relist_reads_only_what_was_not_wanted_before)
{
        not_wanted = "b";
        add_many(30);
        fake_systemd_add(fake, "b.slice", "/b.slice");
        start();
        unsigned n_get_all = fake->n_get_all;
        not_wanted = "";
        systemd_manager_relist(manager);
        RUN_UNTIL(event, n_events[SYSTEMD_LISTED] == 2);
        ck_assert(must_find("b.slice")->is_active);
        ck_assert_uint_eq(fake->n_get_all, n_get_all + 1);
}
END_TEST

START_TEST(a_failed_reading_is_tried_again)
{
        fake_systemd_add(fake, "web.service", "/system.slice/web.service");
        strcpy(fake->fail_member, "GetAll");
        strcpy(fake->fail_error, SD_BUS_ERROR_LIMITS_EXCEEDED);
        start();
        ck_assert_ptr_null(systemd_manager_find(manager, "web.service"));
        fake->fail_error[0] = 0;
        RUN_UNTIL(event, n_events[SYSTEMD_UNIT_FOUND] == 1);
        ck_assert_uint_eq(n_events[SYSTEMD_LISTED], 1);
}
END_TEST

/* ---- services that start ----------------------------------------------------------------------- */

START_TEST(a_starting_service_counts_in_every_slice_around_it)
{
        not_wanted = ".service";
        fake_systemd_add(fake, "shop.slice", "/shop.slice");
        fake_systemd_add(fake, "shop-web.slice", "/shop.slice/shop-web.slice");
        fake_systemd_add(fake, "shop-db.slice", "/shop.slice/shop-db.slice");
        fake_systemd_add(fake, "nginx.service", "/shop.slice/shop-web.slice/nginx.service");
        fake_systemd_set_state(fake, "nginx.service", "inactive", "dead");
        start();
        ck_assert_uint_eq(must_find("shop.slice")->n_starting, 0);

        fake_systemd_set_state(fake, "nginx.service", "activating", "start");
        RUN_UNTIL(event, must_find("shop.slice")->n_starting == 1);
        ck_assert_uint_eq(must_find("shop-web.slice")->n_starting, 1);
        ck_assert_uint_eq(must_find("shop-db.slice")->n_starting, 0);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_CHANGED], 2);
        ck_assert_uint_eq(fake->n_get, 1);

        fake_systemd_set_state(fake, "nginx.service", "active", "running");
        RUN_UNTIL(event, must_find("shop.slice")->n_starting == 0);
        ck_assert_uint_eq(must_find("shop-web.slice")->n_starting, 0);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_CHANGED], 4);
}
END_TEST

START_TEST(a_service_that_starts_during_the_listing_counts)
{
        not_wanted = ".service";
        fake_systemd_add(fake, "nginx.service", "/shop.slice/shop-web.slice/nginx.service");
        fake_systemd_set_state(fake, "nginx.service", "activating", "start");
        fake_systemd_add(fake, "shop.slice", "/shop.slice");
        start();
        ck_assert_uint_eq(must_find("shop.slice")->n_starting, 1);

        /* A slice that comes after. */
        fake_systemd_add(fake, "shop-web.slice", "/shop.slice/shop-web.slice");
        RUN_UNTIL(event, systemd_manager_find(manager, "shop-web.slice") != NULL);
        ck_assert_uint_eq(must_find("shop-web.slice")->n_starting, 1);

        fake_systemd_unload(fake, "nginx.service");
        RUN_UNTIL(event, must_find("shop.slice")->n_starting == 0);
        ck_assert_uint_eq(must_find("shop-web.slice")->n_starting, 0);
}
END_TEST

START_TEST(a_service_that_moved_since_its_slice_was_read_counts_where_it_is)
{
        not_wanted = ".service";
        fake_systemd_add(fake, "a.slice", "/a.slice");
        fake_systemd_add(fake, "b.slice", "/b.slice");
        struct fake_systemd_unit *f = fake_systemd_add(fake, "web.service", "/a.slice/web.service");
        fake_systemd_set_state(fake, "web.service", "inactive", "dead");
        start();

        /* The answer comes when it is down again. */
        fake->holds_replies = true;
        fake_systemd_set_state(fake, "web.service", "activating", "start");
        testing_run_until_quiet(event);
        ck_assert_uint_eq(fake->n_held, 1);
        fake_systemd_set_state(fake, "web.service", "failed", "failed");
        testing_run_until_quiet(event);
        fake->holds_replies = false;
        fake_systemd_release(fake, 0);
        testing_run_until_quiet(event);

        strcpy(f->slice, "b.slice");
        fake_systemd_set_state(fake, "web.service", "activating", "start");
        RUN_UNTIL(event, must_find("b.slice")->n_starting == 1);
        ck_assert_uint_eq(must_find("a.slice")->n_starting, 0);
}
END_TEST

START_TEST(a_followed_service_that_starts_says_so_itself)
{
        fake_systemd_add(fake, "web.service", "/shop.slice/web.service");
        fake_systemd_add(fake, "shop.slice", "/shop.slice");
        start();
        fake_systemd_set_state(fake, "web.service", "activating", "start");
        RUN_UNTIL(event, must_find("shop.slice")->n_starting == 1);
        ck_assert_uint_eq(must_find("web.service")->n_starting, 1);
        ck_assert(must_find("web.service")->is_active);
        fake_systemd_set_state(fake, "web.service", "active", "running");
        RUN_UNTIL(event, must_find("shop.slice")->n_starting == 0);
        ck_assert_uint_eq(must_find("web.service")->n_starting, 0);
}
END_TEST

START_TEST(a_service_that_waits_for_its_restart_is_not_starting)
{
        fake_systemd_add(fake, "web.service", "/shop.slice/web.service");
        fake_systemd_add(fake, "shop.slice", "/shop.slice");
        start();
        fake_systemd_set_state(fake, "web.service", "activating", "start");
        RUN_UNTIL(event, must_find("shop.slice")->n_starting == 1);
        fake_systemd_set_state(fake, "web.service", "activating", "auto-restart");
        RUN_UNTIL(event, must_find("shop.slice")->n_starting == 0);
        ck_assert(!must_find("web.service")->is_active);
}
END_TEST

/* ---- many -------------------------------------------------------------------------------------- */

START_TEST(never_more_than_64_calls_are_in_flight)
{
        static struct systemd_setting settings[1000];
        static char names[1000][64];

        add_many(1000);
        fake->holds_replies = true;
        ck_assert_int_eq(systemd_manager_start(manager), 0);
        testing_run_until_quiet(event);
        while (n_events[SYSTEMD_LISTED] == 0) {
                ck_assert_uint_gt(fake->n_held, 0);
                fake_systemd_release(fake, 1 + fake->n_calls % 64);
                testing_run_until_quiet(event);
        }
        ck_assert_uint_eq(fake->n_held_max, SYSTEMD_CALLS_IN_FLIGHT_MAX);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_FOUND], 1000);
        ck_assert_uint_eq(fake->n_get_all, 1000);

        for (unsigned i = 0; i < 1000; i++) {
                snprintf(names[i], sizeof names[i], "tenant-%u.slice", i);
                settings[i] = (struct systemd_setting) {
                        .unit = names[i], .set_quota = true, .quota_usec_per_sec = 10000 * (i + 1),
                };
                ck_assert_int_eq(systemd_manager_refresh(manager, names[i], on_refreshed, NULL), 0);
        }
        ck_assert_int_eq(systemd_manager_set(manager, settings, 1000, on_set, on_batch, NULL), 0);
        testing_run_until_quiet(event);
        while (n_batches == 0) {
                ck_assert_uint_gt(fake->n_held, 0);
                fake_systemd_release(fake, 1 + fake->n_calls % 64);
                testing_run_until_quiet(event);
        }
        ck_assert_uint_eq(fake->n_held_max, SYSTEMD_CALLS_IN_FLIGHT_MAX);
        ck_assert_uint_eq(n_failed_in_batch, 0);
        ck_assert_uint_eq(n_errors, 2000);
        ck_assert_uint_eq(fake->n_set, 1000);
        ck_assert_uint_eq(fake_systemd_find(fake, "tenant-999.slice")->quota, 10000000);
        ck_assert_uint_eq(must_find("tenant-999.slice")->quota_usec_per_sec, 10000000);
}
END_TEST

START_TEST(a_storm_of_units_that_come_and_go_costs_a_few_listings)
{
        fake->tree = NULL;
        start();
        unsigned n_calls = fake->n_calls;
        uint64_t began_usec = testing_now_usec();
        for (unsigned round = 0; round < 20; round++) {
                /* Now gone before we look, now there for a moment. */
                for (unsigned i = 0; i < 500; i++) {
                        char name[64];
                        snprintf(name, sizeof name, "storm-%u.service", i);
                        if (round % 2 == 0)
                                fake_systemd_flash(fake, name);
                        else
                                fake_systemd_unload(fake, fake_systemd_add(fake, name, NULL)->name);
                        if (i % 100 == round)
                                testing_run_until_quiet(event);
                }
                testing_run_until_quiet(event);
        }
        /* Ten listings a second, whatever comes. */
        uint64_t took_usec = testing_now_usec() - began_usec;
        ck_assert_uint_le(fake->n_calls, n_calls + took_usec / 100000 + 2);
        fake_systemd_add(fake, "calm.service", NULL);
        RUN_UNTIL(event, systemd_manager_find(manager, "calm.service") != NULL);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_FOUND], 1 + n_events[SYSTEMD_UNIT_LOST]);
        ck_assert_uint_eq(fake->n_get_all, 0);
}
END_TEST

START_TEST(five_hundred_units_that_start_at_once_are_all_found)
{
        start();
        add_many(500);
        RUN_UNTIL(event, n_events[SYSTEMD_UNIT_FOUND] == 500);
        ck_assert_uint_eq(fake->n_get_all, 500);
        for (unsigned i = 0; i < 500; i++) {
                char name[64];
                snprintf(name, sizeof name, "tenant-%u.slice", i);
                fake_systemd_unload(fake, name);
        }
        RUN_UNTIL(event, n_events[SYSTEMD_UNIT_LOST] == 500);
}
END_TEST

/* ---- setting ----------------------------------------------------------------------------------- */

START_TEST(quota_and_weight_go_in_one_call)
{
        fake_systemd_add(fake, "web.slice", "/web.slice");
        start();
        struct systemd_setting s = {
                .unit = "web.slice", .set_quota = true, .set_weight = true,
                .quota_usec_per_sec = 337777, .cpu_weight = 42,
        };
        ck_assert_int_eq(systemd_manager_set(manager, &s, 1, on_set, on_batch, NULL), 0);
        RUN_UNTIL(event, n_batches == 1);
        ck_assert_uint_eq(fake->n_set, 1);
        ck_assert_int_eq(errors[0], 0);
        ck_assert_uint_eq(must_find("web.slice")->quota_usec_per_sec, 337777);
        ck_assert_uint_eq(must_find("web.slice")->cpu_weight, 42);
        ck_assert_uint_eq(fake_systemd_find(fake, "web.slice")->quota, 337777);
        ck_assert_uint_eq(fake_systemd_find(fake, "web.slice")->weight, 42);

        char *text = fake_tree_read(tree, "run/systemd/system.control/web.slice.d/50-CPUQuota.conf", NULL);
        ck_assert_str_eq(text, "# This is a drop-in unit file extension, created via \"systemctl set-property\"\n"
                               "# or an equivalent operation. Do not edit.\n[Slice]\nCPUQuota=33%\n");
        free(text);
        text = fake_tree_read(tree, "sys/fs/cgroup/web.slice/cpu.max", NULL);
        ck_assert_str_eq(text, "33777 100000\n");
        free(text);
}
END_TEST

START_TEST(what_is_not_set_is_not_sent)
{
        struct fake_systemd_unit *f = fake_systemd_add(fake, "web.slice", "/web.slice");
        f->weight = 77;
        start();
        set_quota("web.slice", UNSET);
        RUN_UNTIL(event, n_batches == 1);
        ck_assert_int_eq(errors[0], 0);
        ck_assert_uint_eq(f->weight, 77);
        ck_assert_uint_eq(f->quota, UNSET);
        ck_assert_ptr_null(f->weight_text);
}
END_TEST

START_TEST(a_unit_that_is_unknown_or_inactive_is_refused_without_a_call)
{
        fake_systemd_add(fake, "idle.slice", NULL);
        fake_systemd_add(fake, "web.slice", "/web.slice");
        start();
        struct systemd_setting s[] = {
                { .unit = "idle.slice", .set_quota = true, .quota_usec_per_sec = 10000 },
                { .unit = "nobody.slice", .set_quota = true, .quota_usec_per_sec = 10000 },
                { .unit = "web.slice", .set_quota = true, .quota_usec_per_sec = 10000 },
        };
        is_inside_call = true;
        ck_assert_int_eq(systemd_manager_set(manager, s, 3, on_set, on_batch, NULL), 0);
        is_inside_call = false;
        RUN_UNTIL(event, n_batches == 1);
        ck_assert_uint_eq(n_failed_in_batch, 2);
        ck_assert_uint_eq(n_errors, 3);
        ck_assert_uint_eq(fake->n_set, 1);
        ck_assert(!fake_tree_exists(tree, "sys/fs/cgroup/idle.slice"));
        ck_assert(!fake_tree_exists(tree, "sys/fs/cgroup/nobody.slice"));
}
END_TEST

START_TEST(an_empty_batch_ends_from_the_loop)
{
        start();
        is_inside_call = true;
        ck_assert_int_eq(systemd_manager_set(manager, NULL, 0, on_set, on_batch, NULL), 0);
        is_inside_call = false;
        RUN_UNTIL(event, n_batches == 1);
        ck_assert_uint_eq(n_failed_in_batch, 0);
        ck_assert_uint_eq(n_errors, 0);
}
END_TEST

static const struct {
        const char *name;
        int error;
} error_names[] = {
        { "org.freedesktop.systemd1.NoSuchUnit", -ESRCH },
        { "org.freedesktop.systemd1.UnitMasked", -ERFKILL },
        { "org.freedesktop.systemd1.BadUnitSetting", -ENOEXEC },
        { SD_BUS_ERROR_UNKNOWN_OBJECT, -ESRCH },
        { SD_BUS_ERROR_ACCESS_DENIED, -EACCES },
        { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, -EACCES },
        { SD_BUS_ERROR_NO_REPLY, -ETIMEDOUT },
        { SD_BUS_ERROR_INVALID_ARGS, -EINVAL },
        { "System.Error.ENXIO", -ENXIO },
        { "com.example.NobodyKnowsThis", -EIO },
};

START_TEST(errors_of_systemd_become_errnos)
{
        fake_systemd_add(fake, "web.slice", "/web.slice");
        start();
        strcpy(fake->fail_member, "SetUnitProperties");
        strcpy(fake->fail_error, error_names[_i].name);
        set_quota("web.slice", 10000);
        RUN_UNTIL(event, n_batches == 1);
        ck_assert_int_eq(errors[0], error_names[_i].error);
        ck_assert_uint_eq(n_failed_in_batch, 1);
        ck_assert_uint_eq(must_find("web.slice")->quota_usec_per_sec, UNSET);
}
END_TEST

START_TEST(a_unit_that_vanishes_before_the_call_arrives_is_not_there)
{
        fake_systemd_add(fake, "web.service", "/system.slice/web.service");
        start();
        strcpy(fake->vanishes, "web.service");
        set_quota("web.service", 10000);
        RUN_UNTIL(event, n_batches == 1 && n_events[SYSTEMD_UNIT_LOST] == 1);
        ck_assert_int_eq(errors[0], -ESRCH);
}
END_TEST

START_TEST(a_call_without_an_answer_times_out_and_a_late_answer_is_nobodys)
{
        fake_systemd_add(fake, "web.slice", "/web.slice");
        start();
        systemd_manager_set_timeout(manager, 20000);
        fake->holds_replies = true;
        set_quota("web.slice", 10000);
        RUN_UNTIL(event, n_batches == 1);
        ck_assert_int_eq(errors[0], -ETIMEDOUT);
        ck_assert_uint_eq(must_find("web.slice")->quota_usec_per_sec, UNSET);
        fake_systemd_release(fake, 0);
        testing_run_until_quiet(event);
        ck_assert_uint_eq(n_errors, 1);
        ck_assert_uint_eq(n_batches, 1);

        fake->holds_replies = false;
        set_quota("web.slice", 20000);
        RUN_UNTIL(event, n_batches == 2);
        ck_assert_int_eq(errors[1], 0);
}
END_TEST

START_TEST(a_success_does_not_prove_that_the_kernel_took_the_value)
{
        fake_systemd_add(fake, "web.slice", "/web.slice");
        start();
        fake->is_lying = true;
        set_quota("web.slice", 10000);
        RUN_UNTIL(event, n_batches == 1);
        ck_assert_int_eq(errors[0], 0);
        ck_assert_uint_eq(must_find("web.slice")->quota_usec_per_sec, 10000);
        char *text = fake_tree_read(tree, "sys/fs/cgroup/web.slice/cpu.max", NULL);
        ck_assert_str_eq(text, "max 100000\n");
        free(text);
}
END_TEST

START_TEST(a_refresh_reads_after_it_was_asked_for)
{
        struct fake_systemd_unit *f = fake_systemd_add(fake, "web.slice", "/web.slice");
        start();
        /* The answer to the first one is on its way when the second is asked for. */
        fake->holds_replies = true;
        ck_assert_int_eq(systemd_manager_refresh(manager, "web.slice", on_refreshed, NULL), 0);
        testing_run_until_quiet(event);
        ck_assert_uint_eq(fake->n_held, 1);
        f->quota = 50000;
        is_inside_call = true;
        ck_assert_int_eq(systemd_manager_refresh(manager, "web.slice", on_refreshed, NULL), 0);
        ck_assert_int_eq(systemd_manager_refresh(manager, "web.slice", on_refreshed, NULL), 0);
        is_inside_call = false;
        fake->holds_replies = false;
        fake_systemd_release(fake, 0);
        RUN_UNTIL(event, n_errors == 1);
        ck_assert_uint_eq(must_find("web.slice")->quota_usec_per_sec, UNSET);
        RUN_UNTIL(event, n_errors == 3);
        ck_assert_uint_eq(must_find("web.slice")->quota_usec_per_sec, 50000);
        ck_assert_int_eq(errors[2], 0);
        ck_assert_uint_eq(fake->n_get_all, 3);
}
END_TEST

START_TEST(a_refresh_of_what_is_not_active_is_refused_from_the_loop)
{
        fake_systemd_add(fake, "idle.slice", NULL);
        fake_systemd_add(fake, "web.slice", "/web.slice");
        start();
        is_inside_call = true;
        ck_assert_int_eq(systemd_manager_refresh(manager, "idle.slice", on_refreshed, NULL), 0);
        ck_assert_int_eq(systemd_manager_refresh(manager, "nobody.slice", on_refreshed, NULL), 0);
        is_inside_call = false;
        RUN_UNTIL(event, n_errors == 2);
        ck_assert_int_eq(errors[0], -ESRCH);
        ck_assert_int_eq(errors[1], -ESRCH);
        ck_assert_int_eq(systemd_manager_refresh(manager, "web.slice", on_refreshed, NULL), 0);
        fake_systemd_unload(fake, "web.slice");
        RUN_UNTIL(event, n_errors == 3);
        ck_assert_int_eq(errors[2], -ESRCH);
}
END_TEST

/* ---- reload, re-execution ---------------------------------------------------------------------- */

START_TEST(a_reload_ends_with_everything_read_again)
{
        fake_systemd_add(fake, "web.slice", "/web.slice");
        start();
        set_quota("web.slice", 337777);
        RUN_UNTIL(event, n_batches == 1);
        fake_systemd_reload_begin(fake);
        fake_systemd_reload_end(fake);
        RUN_UNTIL(event, n_events[SYSTEMD_RELOADED] == 1);
        ck_assert_uint_eq(n_events[SYSTEMD_LISTED], 2);
        ck_assert_uint_eq(must_find("web.slice")->quota_usec_per_sec, 330000);
        /* PID 1 forgets and makes every unit meanwhile: that is no unit's end. */
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_LOST], 0);
        ck_assert(must_find("web.slice")->is_active);
}
END_TEST

START_TEST(a_reload_in_the_middle_of_a_listing_begins_it_anew)
{
        struct fake_systemd_unit *f = fake_systemd_add(fake, "web.slice", "/web.slice");

        fake->holds_replies = true;
        ck_assert_int_eq(systemd_manager_start(manager), 0);
        while (fake->n_get_all == 0) {
                fake_systemd_release(fake, 0);
                testing_run_until_quiet(event);
        }
        f->own_quota = 70000;
        fake_systemd_reload_begin(fake);
        fake_systemd_reload_end(fake);
        testing_run_until_quiet(event);
        fake_systemd_release(fake, 1);
        testing_run_until_quiet(event);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_FOUND], 1);
        ck_assert_uint_eq(n_events[SYSTEMD_LISTED], 0);
        fake->holds_replies = false;
        fake_systemd_release(fake, 0);
        RUN_UNTIL(event, n_events[SYSTEMD_RELOADED] == 1);
        ck_assert_uint_eq(n_events[SYSTEMD_LISTED], 1);
        ck_assert_uint_eq(must_find("web.slice")->quota_usec_per_sec, 70000);
}
END_TEST

START_TEST(calls_wait_while_systemd_reloads)
{
        fake_systemd_add(fake, "web.slice", "/web.slice");
        start();
        fake_systemd_reload_begin(fake);
        testing_run_until_quiet(event);
        unsigned n_calls = fake->n_calls;
        set_quota("web.slice", 10000);
        ck_assert_int_eq(systemd_manager_refresh(manager, "web.slice", on_refreshed, NULL), 0);
        testing_run_until_quiet(event);
        ck_assert_uint_eq(fake->n_calls, n_calls);
        fake_systemd_reload_end(fake);
        RUN_UNTIL(event, n_batches == 1 && n_errors == 2);
        ck_assert_uint_eq(n_failed_in_batch, 0);
        ck_assert_uint_eq(fake_systemd_find(fake, "web.slice")->quota, 10000);
}
END_TEST

static int on_alarm(sd_event_source *s, uint64_t usec, void *userdata)
{
        *(bool *)userdata = true;
        return 0;
}

START_TEST(the_clock_of_a_call_stands_still_while_systemd_reloads)
{
        sd_event_source *alarm_source;
        bool is_late = false;

        fake_systemd_add(fake, "web.slice", "/web.slice");
        start();
        systemd_manager_set_timeout(manager, 30000);
        fake->reload_is_manual = true;
        ck_assert_int_eq(systemd_manager_daemon_reload(manager, on_reloaded, NULL), 0);
        set_quota("web.slice", 10000);
        ck_assert_int_ge(sd_event_add_time_relative(event, &alarm_source, CLOCK_MONOTONIC, 60000, 1000,
                                                    on_alarm, &is_late), 0);
        RUN_UNTIL(event, is_late);
        ck_assert_uint_eq(n_errors, 0);
        fake_systemd_reload_end(fake);
        RUN_UNTIL(event, n_batches == 1 && n_reload_done == 1);
        ck_assert_int_eq(errors[0], 0);
        ck_assert_int_eq(errors[1], 0);
        sd_event_source_unref(alarm_source);
}
END_TEST

START_TEST(daemon_reload_is_answered_before_everything_is_read_again)
{
        fake_systemd_add(fake, "web.slice", "/web.slice");
        start();
        set_quota("web.slice", 20000);
        RUN_UNTIL(event, n_batches == 1);
        fake_tree_remove(tree, "run/systemd/system.control/web.slice.d/50-CPUQuota.conf");
        ck_assert_int_eq(systemd_manager_daemon_reload(manager, on_reloaded, NULL), 0);
        RUN_UNTIL(event, n_reload_done == 1);
        ck_assert_uint_eq(n_events[SYSTEMD_RELOADED], 0);
        RUN_UNTIL(event, n_events[SYSTEMD_RELOADED] == 1);
        ck_assert_uint_eq(must_find("web.slice")->quota_usec_per_sec, UNSET);
        ck_assert_uint_eq(fake->n_reload, 1);
}
END_TEST

/* ---- loss of the bus --------------------------------------------------------------------------- */

START_TEST(units_and_their_userdata_live_through_a_loss_of_the_bus)
{
        fake_systemd_add(fake, "gone.slice", "/gone.slice");
        fake_systemd_add(fake, "web.slice", "/web.slice");
        start();
        struct systemd_unit *u = must_find("web.slice");
        u->userdata = fake;
        fake_systemd_drop(fake);
        RUN_UNTIL(event, n_events[SYSTEMD_DISCONNECTED] == 1);
        ck_assert_ptr_null(systemd_manager_bus(manager));
        ck_assert_int_eq(systemd_manager_refresh(manager, "web.slice", on_refreshed, NULL), -ENOTCONN);
        ck_assert_int_eq(systemd_manager_set(manager, NULL, 0, on_set, on_batch, NULL), -ENOTCONN);
        ck_assert_int_eq(systemd_manager_daemon_reload(manager, on_reloaded, NULL), -ENOTCONN);

        fake_systemd_find(fake, "gone.slice")->is_loaded = false;
        fake_systemd_restart(fake, "web.slice");
        RUN_UNTIL(event, n_events[SYSTEMD_LISTED] == 2);
        ck_assert_uint_eq(n_events[SYSTEMD_CONNECTED], 2);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_FOUND], 2);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_CHANGED], 1);
        ck_assert_uint_eq(n_events[SYSTEMD_UNIT_LOST], 1);
        ck_assert_ptr_eq(must_find("web.slice"), u);
        ck_assert_ptr_eq(u->userdata, fake);
        ck_assert_ptr_nonnull(systemd_manager_bus(manager));
}
END_TEST

START_TEST(a_relist_that_the_bus_did_not_live_to_see_is_made_up_for)
{
        fake_systemd_add(fake, "a.slice", "/a.slice");
        fake_systemd_add(fake, "b.slice", "/b.slice");
        start();
        fake->holds_replies = true;
        not_wanted = "a";
        systemd_manager_relist(manager);
        testing_run_until_quiet(event);
        ck_assert_uint_eq(fake->n_held, 1);
        fake_systemd_drop(fake);
        fake->holds_replies = false;
        RUN_UNTIL(event, n_events[SYSTEMD_LISTED] == 2);
        ck_assert_ptr_null(systemd_manager_find(manager, "a.slice"));
        ck_assert(must_find("b.slice")->is_active);
}
END_TEST

START_TEST(a_batch_ends_when_the_bus_is_lost)
{
        struct systemd_setting s[200];
        static char names[200][64];

        add_many(200);
        start();
        fake->holds_replies = true;
        for (unsigned i = 0; i < 200; i++) {
                snprintf(names[i], sizeof names[i], "tenant-%u.slice", i);
                s[i] = (struct systemd_setting) { .unit = names[i], .set_weight = true, .cpu_weight = 50 };
        }
        ck_assert_int_eq(systemd_manager_set(manager, s, 200, on_set, on_batch, NULL), 0);
        ck_assert_int_eq(systemd_manager_refresh(manager, names[0], on_refreshed, NULL), 0);
        ck_assert_int_eq(systemd_manager_daemon_reload(manager, on_reloaded, NULL), 0);
        testing_run_until_quiet(event);
        ck_assert_uint_eq(fake->n_held, SYSTEMD_CALLS_IN_FLIGHT_MAX);
        fake_systemd_drop(fake);
        fake->holds_replies = false;
        RUN_UNTIL(event, n_events[SYSTEMD_DISCONNECTED] == 1);
        ck_assert_uint_eq(n_batches, 1);
        ck_assert_uint_eq(n_failed_in_batch, 200);
        ck_assert_uint_eq(n_errors, 202);
        for (unsigned i = 0; i < 202; i++)
                ck_assert_int_eq(errors[i], -ECONNRESET);
        RUN_UNTIL(event, n_events[SYSTEMD_LISTED] == 2);
}
END_TEST

static unsigned n_opens;

static int open_counting(void *ctx, sd_bus **ret)
{
        n_opens++;
        return fake_systemd_open(ctx, ret);
}

START_TEST(reconnection_waits_longer_each_time)
{
        uint64_t began;

        manager = systemd_manager_free(manager);
        ck_assert_int_ge(systemd_manager_new_with_opener(&manager, event, open_counting, fake, &follower), 0);
        start();
        fake->refuses_connections = true;
        fake_systemd_drop(fake);
        RUN_UNTIL(event, n_events[SYSTEMD_DISCONNECTED] == 1);
        began = testing_now_usec();
        n_opens = 0;
        /* After 0.1 s, 0.3 s, 0.7 s. */
        RUN_UNTIL(event, n_opens == 3);
        ck_assert_uint_ge(testing_now_usec() - began, 690000);
        fake->refuses_connections = false;
        RUN_UNTIL(event, n_events[SYSTEMD_LISTED] == 2);
        ck_assert_uint_eq(n_opens, 4);
}
END_TEST

START_TEST(a_bus_that_cannot_be_had_is_an_error_at_start)
{
        fake->refuses_connections = true;
        ck_assert_int_eq(systemd_manager_start(manager), -ECONNREFUSED);
        ck_assert_ptr_null(systemd_manager_bus(manager));
        testing_run_until_quiet(event);
        manager = systemd_manager_free(manager);
        ck_assert_int_eq(systemd_manager_new(&manager, event, "unix:path=/nonexistent/bus", &follower), 0);
        ck_assert_int_eq(systemd_manager_start(manager), -ENOENT);
}
END_TEST

/* ---- the end ----------------------------------------------------------------------------------- */

/* All that can be going on at once. */
static void make_trouble(void)
{
        struct systemd_setting s[] = {
                { .unit = "tenant-1.slice", .set_quota = true, .quota_usec_per_sec = 10000 },
                { .unit = "nobody.slice", .set_quota = true, .quota_usec_per_sec = 10000 },
                { .unit = "tenant-2.slice", .set_weight = true, .cpu_weight = 10 },
        };

        if (manager == NULL || systemd_manager_bus(manager) == NULL)
                return;
        ck_assert_int_eq(systemd_manager_set(manager, s, 3, on_set, on_batch, NULL), 0);
        ck_assert_int_eq(systemd_manager_set(manager, NULL, 0, on_set, on_batch, NULL), 0);
        ck_assert_int_eq(systemd_manager_refresh(manager, "tenant-3.slice", on_refreshed, NULL), 0);
        ck_assert_int_eq(systemd_manager_refresh(manager, "nobody.slice", on_refreshed, NULL), 0);
        ck_assert_int_eq(systemd_manager_daemon_reload(manager, on_reloaded, NULL), 0);
        systemd_manager_relist(manager);
}

static void live(unsigned n_turns)
{
        add_many(70);
        ck_assert_int_eq(systemd_manager_start(manager), 0);
        for (unsigned i = 0; i < n_turns && manager != NULL; i++) {
                switch (i) {
                case 40:
                        make_trouble();
                        break;
                case 60:
                        fake_systemd_add(fake, "new.service", "/tenant.slice/tenant-9.slice/new.service");
                        fake_systemd_set_state(fake, "new.service", "activating", "start");
                        break;
                case 100:
                        fake_systemd_unload(fake, "tenant-4.slice");
                        fake_systemd_restart(fake, "tenant-5.slice");
                        make_trouble();
                        break;
                case 300:
                        make_trouble();
                        fake_systemd_drop(fake);
                        break;
                }
                ck_assert_int_ge(sd_event_run(event, 0), 0);
        }
}

START_TEST(freeing_after_any_turn_of_the_loop_is_clean)
{
        live((unsigned)_i * 7);
}
END_TEST

START_TEST(freeing_from_any_callback_is_clean)
{
        free_at = _i * 11;
        live(500);
        ck_assert_ptr_null(manager);
}
END_TEST

START_TEST(freeing_while_disconnected_is_clean)
{
        fake_systemd_add(fake, "web.slice", "/web.slice");
        start();
        fake->refuses_connections = true;
        fake_systemd_drop(fake);
        RUN_UNTIL(event, n_events[SYSTEMD_DISCONNECTED] == 1);
        manager = systemd_manager_free(manager);
        testing_run_until_quiet(event);
}
END_TEST

START_TEST(freeing_what_was_never_started_is_clean)
{
        manager = systemd_manager_free(manager);
        ck_assert_ptr_null(systemd_manager_free(NULL));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("systemd_manager");
        TCase *c = tcase_create("socketpair");

        tcase_add_checked_fixture(c, setup, teardown);
        tcase_add_test(c, an_active_unit_is_found_with_all_its_properties);
        tcase_add_test(c, slices_services_and_scopes_are_found_and_nothing_else);
        tcase_add_test(c, an_inactive_unit_is_found_without_being_read);
        tcase_add_test(c, a_unit_that_nobody_wants_is_neither_read_nor_reported);
        tcase_add_test(c, a_unit_that_appears_later_is_found);
        tcase_add_test(c, a_unit_that_appears_inactive_is_found_by_a_listing);
        tcase_add_test(c, a_unit_that_was_active_before_its_unitnew_is_found);
        tcase_add_test(c, a_unit_that_stops_is_followed_until_it_is_unloaded);
        tcase_add_test(c, a_restart_too_fast_to_be_seen_is_told_by_its_invocation);
        tcase_add_test(c, a_unit_that_reloads_its_configuration_is_not_read_again);
        tcase_add_test(c, a_unit_that_goes_while_it_is_read_is_not_read_for_ever);
        tcase_add_test(c, a_listing_answers_for_what_signals_did_not_tell);
        tcase_add_test(c, relist_asks_again_who_is_wanted);
        tcase_add_test(c, relist_reads_only_what_was_not_wanted_before);
        tcase_add_test(c, a_failed_reading_is_tried_again);
        tcase_add_test(c, a_starting_service_counts_in_every_slice_around_it);
        tcase_add_test(c, a_service_that_starts_during_the_listing_counts);
        tcase_add_test(c, a_service_that_moved_since_its_slice_was_read_counts_where_it_is);
        tcase_add_test(c, a_followed_service_that_starts_says_so_itself);
        tcase_add_test(c, a_service_that_waits_for_its_restart_is_not_starting);
        tcase_add_test(c, never_more_than_64_calls_are_in_flight);
        tcase_add_test(c, a_storm_of_units_that_come_and_go_costs_a_few_listings);
        tcase_add_test(c, five_hundred_units_that_start_at_once_are_all_found);
        tcase_add_test(c, quota_and_weight_go_in_one_call);
        tcase_add_test(c, what_is_not_set_is_not_sent);
        tcase_add_test(c, a_unit_that_is_unknown_or_inactive_is_refused_without_a_call);
        tcase_add_test(c, an_empty_batch_ends_from_the_loop);
        tcase_add_loop_test(c, errors_of_systemd_become_errnos, 0,
                            sizeof error_names / sizeof error_names[0]);
        tcase_add_test(c, a_unit_that_vanishes_before_the_call_arrives_is_not_there);
        tcase_add_test(c, a_call_without_an_answer_times_out_and_a_late_answer_is_nobodys);
        tcase_add_test(c, a_success_does_not_prove_that_the_kernel_took_the_value);
        tcase_add_test(c, a_refresh_reads_after_it_was_asked_for);
        tcase_add_test(c, a_refresh_of_what_is_not_active_is_refused_from_the_loop);
        tcase_add_test(c, a_reload_ends_with_everything_read_again);
        tcase_add_test(c, a_reload_in_the_middle_of_a_listing_begins_it_anew);
        tcase_add_test(c, calls_wait_while_systemd_reloads);
        tcase_add_test(c, the_clock_of_a_call_stands_still_while_systemd_reloads);
        tcase_add_test(c, daemon_reload_is_answered_before_everything_is_read_again);
        tcase_add_test(c, units_and_their_userdata_live_through_a_loss_of_the_bus);
        tcase_add_test(c, a_relist_that_the_bus_did_not_live_to_see_is_made_up_for);
        tcase_add_test(c, a_batch_ends_when_the_bus_is_lost);
        tcase_add_test(c, reconnection_waits_longer_each_time);
        tcase_add_test(c, a_bus_that_cannot_be_had_is_an_error_at_start);
        tcase_add_loop_test(c, freeing_after_any_turn_of_the_loop_is_clean, 0, 60);
        tcase_add_loop_test(c, freeing_from_any_callback_is_clean, 0, 9);
        tcase_add_test(c, freeing_while_disconnected_is_clean);
        tcase_add_test(c, freeing_what_was_never_started_is_clean);
        suite_add_tcase(s, c);
        return testing_run(s);
}
