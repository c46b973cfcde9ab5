/* SPDX-License-Identifier: MIT */

/* Giving back through the real adapter, with a fake systemd at the other end of a socketpair. */

#include "lib/fake_systemd.h"
#include "lib/fake_tree.h"
#include "lib/testing.h"
#include "platform/give_back.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define UNSET SYSTEMD_UNSET
#define PATIENCE_USEC (5 * UINT64_C(1000000))

static sd_event *event;
static struct fake_tree *tree;
static struct fake_systemd *fake;
static struct systemd_manager *manager;
static struct state_file state;
static struct give_back *giving;
static unsigned n_listed, n_batches, n_done, n_failed, n_outcomes[3];
static int last_error;

static bool wants(void *ctx, const char *unit)
{
        return true;
}

static void on_event(void *ctx, enum systemd_event e, struct systemd_unit *unit)
{
        n_listed += e == SYSTEMD_LISTED;
}

static const struct systemd_follower follower = { .wants = wants, .on_event = on_event };

static uint64_t now(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Lets the loop run until the condition holds. */
#define RUN_UNTIL(condition)                                                            \
        do {                                                                            \
                uint64_t give_up_usec = now() + PATIENCE_USEC;                          \
                while (!(condition)) {                                                  \
                        ck_assert_msg(now() < give_up_usec, "waited for " #condition);  \
                        ck_assert_int_ge(sd_event_run(event, 10000), 0);                \
                }                                                                       \
        } while (0)

static void load_state(void)
{
        char directory[4096];
        snprintf(directory, sizeof directory, "%s/run/coalloc", fake_tree_root(tree));
        state_file_done(&state);
        ck_assert_int_eq(state_file_load(directory, &state), 0);
}

static void setup(void)
{
        ck_assert_int_ge(sd_event_new(&event), 0);
        tree = fake_tree_new();
        fake = fake_systemd_new(event, tree);
        fake_systemd_add(fake, "shop.slice", "/shop.slice");
        fake_systemd_add(fake, "shop-web.slice", "/shop.slice/shop-web.slice");
        fake_systemd_add(fake, "db.service", "/system.slice/db.service");
        fake_systemd_find(fake, "shop-web.slice")->own_quota = 600000;
        fake_systemd_reload_begin(fake);
        fake_systemd_reload_end(fake);
        ck_assert_int_ge(systemd_manager_new_with_opener(&manager, event, fake_systemd_open, fake, &follower), 0);
        ck_assert_int_ge(systemd_manager_start(manager), 0);
        RUN_UNTIL(n_listed > 0);
        fake_tree_mkdir(tree, "run");
        load_state();
}

static void teardown(void)
{
        manager = systemd_manager_free(manager);
        giving = give_back_free(giving);
        fake = fake_systemd_free(fake);
        state_file_done(&state);
        tree = fake_tree_free(tree);
        event = sd_event_unref(event);
}

static void on_set(void *ctx, const struct systemd_setting *setting, int error)
{
        ck_assert_int_eq(error, 0);
        give_back_confirm(&state, setting);
}

static void on_batch(void *ctx, unsigned n)
{
        n_batches++;
}

static void change(const char *unit, uint64_t quota, uint64_t weight)
{
        struct systemd_setting setting = { .unit = unit, .set_quota = true, .set_weight = true,
                                           .quota_usec_per_sec = quota, .cpu_weight = weight };
        n_batches = 0;
        ck_assert_int_eq(give_back_prepare(&state, fake_tree_root(tree), systemd_manager_find(manager, unit), &setting), 0);
        ck_assert_int_eq(state_file_save(&state), 0);
        ck_assert_int_eq(systemd_manager_set(manager, &setting, 1, on_set, on_batch, NULL), 0);
        RUN_UNTIL(n_batches == 1);
}

static void on_each(void *ctx, const char *unit, enum give_back_outcome outcome, int error)
{
        n_outcomes[outcome]++;
        if (error < 0)
                last_error = error;
}

static void on_done(void *ctx, unsigned n)
{
        n_done++;
        n_failed = n;
}

static void start_giving_back(void)
{
        giving = give_back_free(giving);
        n_done = 0;
        memset(n_outcomes, 0, sizeof n_outcomes);
        ck_assert_int_eq(give_back_start(&giving, manager, &state, fake_tree_root(tree), NULL, 0, true,
                                         on_each, on_done, NULL), 0);
}

static void give_back(void)
{
        start_giving_back();
        RUN_UNTIL(n_done == 1);
}

static void assert_file(const char *path, const char *expected)
{
        char *text = fake_tree_read(tree, path, NULL);
        ck_assert_pstr_eq(text, expected);
        free(text);
}

START_TEST(cgroup_files_and_drop_ins_are_as_before)
{
        change("shop-web.slice", 300000, 50);
        change("db.service", 1000000, 10000);
        assert_file("sys/fs/cgroup/shop.slice/shop-web.slice/cpu.max", "30000 100000\n");
        ck_assert(fake_tree_exists(tree, "run/systemd/system.control/shop-web.slice.d/50-CPUQuota.conf"));
        give_back();

        ck_assert_uint_eq(n_outcomes[GIVE_BACK_RESTORED], 2);
        assert_file("sys/fs/cgroup/shop.slice/shop-web.slice/cpu.max", "60000 100000\n");
        assert_file("sys/fs/cgroup/shop.slice/shop-web.slice/cpu.weight", "100\n");
        ck_assert(!fake_tree_exists(tree, "run/systemd/system.control/shop-web.slice.d"));
        ck_assert(!fake_tree_exists(tree, "run/systemd/system.control/db.service.d"));
        ck_assert(!fake_tree_exists(tree, "run/coalloc/units"));
        ck_assert_uint_eq(fake_systemd_find(fake, "shop-web.slice")->quota, 600000);
        ck_assert_uint_eq(fake_systemd_find(fake, "db.service")->quota, UNSET);
        ck_assert_uint_eq(fake_systemd_find(fake, "db.service")->weight, UNSET);
        ck_assert_uint_eq(fake->n_reload, 1);
}
END_TEST

START_TEST(a_foreign_quota_stays_and_the_weight_goes_back)
{
        change("shop-web.slice", 300000, 50);
        fake_systemd_set_foreign(fake, "shop-web.slice", 700000);
        give_back();
        ck_assert_uint_eq(n_outcomes[GIVE_BACK_FOREIGN], 1);
        ck_assert_uint_eq(fake_systemd_find(fake, "shop-web.slice")->quota, 700000);
        ck_assert_uint_eq(fake_systemd_find(fake, "shop-web.slice")->weight, UNSET);
        ck_assert(fake_tree_exists(tree, "run/systemd/system.control/shop-web.slice.d/50-CPUQuota.conf"));
        ck_assert(!fake_tree_exists(tree, "run/systemd/system.control/shop-web.slice.d/50-CPUWeight.conf"));
}
END_TEST

START_TEST(a_stopped_unit_is_not_set_and_has_its_own_value_after_the_reload)
{
        change("db.service", 1000000, 50);
        fake_systemd_set_state(fake, "db.service", "inactive", "dead");
        RUN_UNTIL(!systemd_manager_find(manager, "db.service") || !systemd_manager_find(manager, "db.service")->is_active);
        unsigned n_set = fake->n_set;
        give_back();
        ck_assert_uint_eq(n_outcomes[GIVE_BACK_RESTORED], 1);
        ck_assert_uint_eq(fake->n_set, n_set);
        ck_assert(!fake_tree_exists(tree, "run/systemd/system.control/db.service.d"));
        ck_assert_uint_eq(fake_systemd_find(fake, "db.service")->quota, UNSET);
}
END_TEST

START_TEST(an_unloaded_unit_loses_its_drop_in)
{
        change("db.service", 1000000, 50);
        fake_systemd_unload(fake, "db.service");
        RUN_UNTIL(!systemd_manager_find(manager, "db.service"));
        give_back();
        ck_assert_uint_eq(n_outcomes[GIVE_BACK_RESTORED], 1);
        ck_assert(!fake_tree_exists(tree, "run/systemd/system.control/db.service.d"));
}
END_TEST

START_TEST(a_bus_that_is_lost_on_the_way_keeps_the_records_for_the_next_run)
{
        change("shop-web.slice", 300000, 50);
        change("db.service", 1000000, 50);
        fake->holds_replies = true;
        start_giving_back();
        RUN_UNTIL(fake->n_held > 0);
        fake->holds_replies = false;
        fake_systemd_drop(fake);
        RUN_UNTIL(n_done == 1);
        ck_assert_uint_eq(n_failed, 2);
        load_state();
        ck_assert_uint_eq(state.n_records, 2);

        n_listed = 0;
        RUN_UNTIL(n_listed > 0);        /* connected again */
        give_back();
        ck_assert_uint_eq(n_outcomes[GIVE_BACK_RESTORED], 2);
        ck_assert_uint_eq(fake_systemd_find(fake, "shop-web.slice")->quota, 600000);
        ck_assert(!fake_tree_exists(tree, "run/coalloc/units"));
}
END_TEST

START_TEST(a_refusal_of_systemd_is_reported_and_the_record_kept)
{
        change("shop-web.slice", 300000, 50);
        snprintf(fake->fail_member, sizeof fake->fail_member, "SetUnitProperties");
        snprintf(fake->fail_error, sizeof fake->fail_error, "org.freedesktop.DBus.Error.AccessDenied");
        give_back();
        ck_assert_uint_eq(n_outcomes[GIVE_BACK_FAILED], 1);
        ck_assert_int_eq(last_error, -EACCES);
        ck_assert(fake_tree_exists(tree, "run/systemd/system.control/shop-web.slice.d/50-CPUQuota.conf"));
        load_state();
        ck_assert_ptr_nonnull(state_file_find(&state, "shop-web.slice"));
}
END_TEST

START_TEST(after_the_manager_is_freed_nothing_is_called_any_more)
{
        change("shop-web.slice", 300000, 50);
        fake->holds_replies = true;
        start_giving_back();
        RUN_UNTIL(fake->n_held > 0);
        manager = systemd_manager_free(manager);
        giving = give_back_free(giving);
        for (int i = 0; i < 10; i++)
                ck_assert_int_ge(sd_event_run(event, 0), 0);
        ck_assert_uint_eq(n_done, 0);
        ck_assert_uint_eq(n_outcomes[GIVE_BACK_FAILED], 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("give_back");
        TCase *t = tcase_create("give_back");
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, cgroup_files_and_drop_ins_are_as_before);
        tcase_add_test(t, a_foreign_quota_stays_and_the_weight_goes_back);
        tcase_add_test(t, a_stopped_unit_is_not_set_and_has_its_own_value_after_the_reload);
        tcase_add_test(t, an_unloaded_unit_loses_its_drop_in);
        tcase_add_test(t, a_bus_that_is_lost_on_the_way_keeps_the_records_for_the_next_run);
        tcase_add_test(t, a_refusal_of_systemd_is_reported_and_the_record_kept);
        tcase_add_test(t, after_the_manager_is_freed_nothing_is_called_any_more);
        suite_add_tcase(suite, t);
        return testing_run(suite);
}
