/* SPDX-License-Identifier: MIT */
#include "platform/dropin.h"
#include "platform/give_back.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/model_systemd.h"
#include "lib/testing.h"

static struct model *model;
static struct systemd_manager *manager;
static struct state_file state;
static struct model_unit *web;

static struct {
        unsigned n_each;
        unsigned n_done;
        unsigned n_failed;
        unsigned n_outcomes[3];
        int error;
        char last[64];
} seen;

static void load_state(void)
{
        char directory[4096];
        snprintf(directory, sizeof directory, "%s/run/coalloc", fake_tree_root(model->tree));
        state_file_done(&state);
        ck_assert_int_eq(state_file_load(directory, &state), 0);
}

static void setup(void)
{
        model = model_new(&manager);
        fake_tree_mkdir(model->tree, "run");
        load_state();
        memset(&seen, 0, sizeof seen);
        web = model_add(model, "web.slice", 600000, SYSTEMD_UNSET);
}

static void teardown(void)
{
        state_file_done(&state);
        model_free(model, manager);
}

static void on_set(void *ctx, const struct systemd_setting *setting, int error)
{
        if (error == 0)
                give_back_confirm(&state, setting);
}

static void on_all_set(void *ctx, unsigned n_failed)
{
        *(bool *)ctx = true;
}

static void change_units(const struct systemd_setting settings[], size_t n)
{
        bool is_done = false;
        for (size_t i = 0; i < n; i++)
                ck_assert_int_eq(give_back_prepare(&state, fake_tree_root(model->tree),
                                                   systemd_manager_find(manager, settings[i].unit), &settings[i]), 0);
        ck_assert_int_eq(state_file_save(&state), 0);
        ck_assert_int_eq(systemd_manager_set(manager, settings, n, on_set, on_all_set, &is_done), 0);
        while (!is_done)
                ck_assert_int_gt(sd_event_run(model->event, 0), 0);
}

static void change(struct model_unit *u, uint64_t quota, uint64_t weight)
{
        change_units(&(struct systemd_setting) { .unit = u->name, .set_quota = true, .set_weight = true,
                                                 .quota_usec_per_sec = quota, .cpu_weight = weight }, 1);
}

static void on_each(void *ctx, const char *unit, enum give_back_outcome outcome, int error)
{
        seen.n_each++;
        seen.n_outcomes[outcome]++;
        seen.error = error;
        snprintf(seen.last, sizeof seen.last, "%s", unit);
        /* Restored is what the disk says: whoever reads the file now must see the same. */
        struct state_file disk;
        char directory[4096];
        snprintf(directory, sizeof directory, "%s/run/coalloc", fake_tree_root(model->tree));
        ck_assert_int_eq(state_file_load(directory, &disk), 0);
        ck_assert_int_eq(state_file_find(&disk, unit) != NULL, outcome == GIVE_BACK_FAILED);
        state_file_done(&disk);
}

static void on_done(void *ctx, unsigned n_failed)
{
        seen.n_done++;
        seen.n_failed = n_failed;
        give_back_free(*(struct give_back **)ctx);
}

static void give_back_units(const char *const units[], size_t n_units, bool may_reload)
{
        struct give_back *g;
        memset(&seen, 0, sizeof seen);
        ck_assert_int_eq(give_back_start(&g, manager, &state, fake_tree_root(model->tree), units, n_units,
                                         may_reload, on_each, on_done, &g), 0);
        while (seen.n_done == 0)
                ck_assert_int_gt(sd_event_run(model->event, 0), 0);
        ck_assert_uint_eq(seen.n_failed, seen.n_outcomes[GIVE_BACK_FAILED]);
}

static void give_all_back(void)
{
        give_back_units(NULL, 0, true);
}

static bool has_dropin(const struct model_unit *u, int property)
{
        return fake_tree_exists(model->tree, model_dropin(u, property));
}

/* ---- giving back ------------------------------------------------------------------------------- */

START_TEST(an_active_unit_gets_its_values_back_and_loses_our_drop_ins)
{
        change(web, 300000, 50);
        ck_assert(has_dropin(web, MODEL_QUOTA) && has_dropin(web, MODEL_WEIGHT));
        give_all_back();

        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_RESTORED], 1);
        ck_assert_str_eq(seen.last, "web.slice");
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 600000);
        ck_assert_uint_eq(web->live[MODEL_WEIGHT], SYSTEMD_UNSET);
        ck_assert(!fake_tree_exists(model->tree, "run/systemd/system.control/web.slice.d"));
        ck_assert(!fake_tree_exists(model->tree, "run/coalloc/units"));
        ck_assert_uint_eq(model->n_sets, 2);    /* ours, and one call for both properties */
        ck_assert_uint_eq(model->n_reloads, 1);
}
END_TEST

START_TEST(nothing_to_give_back_ends_at_once_and_reloads_nothing)
{
        give_all_back();
        ck_assert_uint_eq(seen.n_each, 0);
        ck_assert_uint_eq(model->n_reloads, 0);
        ck_assert_uint_eq(model->n_sets, 0);
}
END_TEST

START_TEST(a_drop_in_that_was_there_before_us_gets_its_old_text)
{
        const char *by_hand = "# by hand\n[Slice]\nCPUQuota=40%\n";
        fake_tree_write(model->tree, model_dropin(web, MODEL_QUOTA), "%s", by_hand);
        model_reload(model);
        change(web, 300000, 50);
        give_all_back();

        char *text = fake_tree_read(model->tree, model_dropin(web, MODEL_QUOTA), NULL);
        ck_assert_pstr_eq(text, by_hand);
        free(text);
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 400000);
        ck_assert(!has_dropin(web, MODEL_WEIGHT));

        struct stat st;
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", fake_tree_root(model->tree), model_dropin(web, MODEL_QUOTA));
        ck_assert_int_eq(stat(path, &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0644);
}
END_TEST

START_TEST(without_a_change_on_disk_nothing_is_reloaded)
{
        /* Somebody's `set-property --runtime`: setting the prior value writes the same text again. */
        model_set_property(model, web, MODEL_QUOTA, 400000, true);
        change_units(&(struct systemd_setting) { .unit = web->name, .set_quota = true, .quota_usec_per_sec = 300000 }, 1);
        give_all_back();
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 400000);
        ck_assert(has_dropin(web, MODEL_QUOTA));
        ck_assert_uint_eq(model->n_reloads, 0);
        ck_assert(!fake_tree_exists(model->tree, "run/coalloc/units"));
}
END_TEST

START_TEST(a_quota_that_somebody_changed_is_left_while_the_weight_is_given_back)
{
        change(web, 300000, 50);
        model_set_property(model, web, MODEL_QUOTA, 700000, true);
        give_all_back();

        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_FOREIGN], 1);
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 700000);
        ck_assert(has_dropin(web, MODEL_QUOTA));
        ck_assert_uint_eq(web->live[MODEL_WEIGHT], SYSTEMD_UNSET);
        ck_assert(!has_dropin(web, MODEL_WEIGHT));
}
END_TEST

START_TEST(a_persistent_change_of_somebody_stays_and_our_drop_in_goes)
{
        change(web, 300000, 50);
        model_set_property(model, web, MODEL_QUOTA, 700000, false);
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_FOREIGN], 1);
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 700000);
        ck_assert(!has_dropin(web, MODEL_QUOTA));
}
END_TEST

START_TEST(a_drop_in_that_reads_like_ours_but_may_be_somebodys_stays)
{
        /* Up to 255, 30.5 % and 30 % are the same text. */
        change(web, 300000, 50);
        model_set_property(model, web, MODEL_QUOTA, 305000, true);
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_FOREIGN], 1);
        ck_assert(has_dropin(web, MODEL_QUOTA));
}
END_TEST

START_TEST(somebodys_drop_in_for_the_prior_value_stays)
{
        change(web, 300000, 50);
        model_set_property(model, web, MODEL_QUOTA, 600000, true);
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_FOREIGN], 1);
        ck_assert(has_dropin(web, MODEL_QUOTA));
}
END_TEST

START_TEST(somebodys_drop_in_for_the_prior_value_stays_after_a_crash_before_our_change)
{
        struct systemd_setting setting = { .unit = web->name, .set_quota = true, .quota_usec_per_sec = 300000 };
        ck_assert_int_eq(give_back_prepare(&state, fake_tree_root(model->tree),
                                           systemd_manager_find(manager, web->name), &setting), 0);
        ck_assert_int_eq(state_file_save(&state), 0);
        model_set_property(model, web, MODEL_QUOTA, 600000, true);
        load_state();
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_FOREIGN], 1);
        ck_assert(has_dropin(web, MODEL_QUOTA));
}
END_TEST

START_TEST(who_comes_between_setting_and_unlinking_keeps_the_drop_in)
{
        change(web, 300000, 50);
        model->changed_after_set = "web.slice";
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_FOREIGN], 1);
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 990000);
        ck_assert(has_dropin(web, MODEL_QUOTA));
        ck_assert(!has_dropin(web, MODEL_WEIGHT));
}
END_TEST

START_TEST(whatever_the_moment_of_a_crash_restored_is_what_the_disk_says)
{
        unsigned n = 0;
        bool has_ended;

        do {    /* on_each() compares with the disk */
                change(web, 300000, 50);
                model_world_ends_in(++n);
                give_all_back();
                ck_assert_uint_eq(seen.n_each, 1);
                has_ended = model_new_world();
                load_state();
                give_all_back();
                ck_assert_uint_eq(seen.n_failed, 0);
                ck_assert_uint_eq(web->live[MODEL_QUOTA], 600000);
                ck_assert(!fake_tree_exists(model->tree, "run/systemd/system.control/web.slice.d"));
                ck_assert(!fake_tree_exists(model->tree, "run/coalloc/units"));
        } while (has_ended);
        ck_assert_uint_gt(n, 8);
}
END_TEST

START_TEST(a_value_cut_off_by_a_reload_is_still_ours)
{
        change(web, 337777, 50);
        model_reload(model);
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 330000);
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_RESTORED], 1);
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 600000);
}
END_TEST

START_TEST(an_inactive_unit_loses_its_drop_in_and_the_reload_does_the_rest)
{
        change(web, 300000, 50);
        model_stop(model, web, false);
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_RESTORED], 1);
        ck_assert_uint_eq(model->n_sets, 1);    /* ours: setting it would leave a cgroup behind */
        ck_assert_uint_eq(model->n_reloads, 1);
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 600000);
        ck_assert(!has_dropin(web, MODEL_QUOTA));
}
END_TEST

START_TEST(without_leave_to_reload_an_inactive_unit_is_not_called_restored)
{
        change(web, 300000, 50);
        model_stop(model, web, false);
        for (int i = 0; i < 2; i++) {   /* nor by the next run, which finds no drop-in any more */
                give_back_units(NULL, 0, false);
                ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_FAILED], 1);
                ck_assert_int_eq(seen.error, -EAGAIN);
                ck_assert(!has_dropin(web, MODEL_QUOTA));
                load_state();
                ck_assert(state.reload_pending);
        }
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_RESTORED], 1);
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 600000);
}
END_TEST

START_TEST(a_reload_that_is_owed_is_done_by_the_next_run)
{
        change(web, 300000, 50);
        give_back_units(NULL, 0, false);
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_RESTORED], 1);
        ck_assert_uint_eq(model->n_reloads, 0);
        load_state();
        ck_assert(state.reload_pending);
        give_all_back();
        ck_assert_uint_eq(seen.n_each, 0);
        ck_assert_uint_eq(model->n_reloads, 1);
        ck_assert(!fake_tree_exists(model->tree, "run/coalloc/units"));
}
END_TEST

START_TEST(a_reload_that_fails_keeps_the_record_of_an_inactive_unit)
{
        change(web, 300000, 50);
        model_stop(model, web, false);
        model->reload_error = -ETIMEDOUT;
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_FAILED], 1);
        ck_assert_int_eq(seen.error, -ETIMEDOUT);
        ck_assert_ptr_nonnull(state_file_find(&state, "web.slice"));
        ck_assert(state.reload_pending);
}
END_TEST

START_TEST(a_unit_that_is_not_loaded_loses_its_drop_in_only)
{
        change(web, 300000, 50);
        model_stop(model, web, true);
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_RESTORED], 1);
        ck_assert(!has_dropin(web, MODEL_QUOTA));
        ck_assert_uint_eq(model->n_sets, 1);
        model_start(model, web);
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 600000);
}
END_TEST

START_TEST(a_unit_that_stops_while_it_is_given_back_is_restored_all_the_same)
{
        change(web, 300000, 50);
        model->stops_before_set = "web.slice";
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_RESTORED], 1);
        ck_assert(!has_dropin(web, MODEL_QUOTA));
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 600000);
}
END_TEST

START_TEST(a_new_transient_unit_under_an_old_name_is_left_alone_and_nobody_is_blamed)
{
        web->is_transient = true;
        change(web, 300000, 50);
        model_stop(model, web, true);
        web->own[MODEL_QUOTA] = 900000;
        model_start(model, web);
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_RESTORED], 1);
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 900000);
        ck_assert_uint_eq(model->n_sets, 1);
        ck_assert_uint_eq(model->n_reloads, 0);
}
END_TEST

START_TEST(a_lost_answer_keeps_the_record_and_the_next_run_ends_it)
{
        change(web, 300000, 50);
        for (int happens = 0; happens <= 1; happens++) {
                model->set_error = -ETIMEDOUT;
                model->set_happens_all_the_same = happens;
                give_all_back();
                ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_FAILED], 1);
                ck_assert_int_eq(seen.error, -ETIMEDOUT);
                ck_assert(has_dropin(web, MODEL_QUOTA));
                load_state();
        }
        model->set_error = 0;
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_RESTORED], 1);
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 600000);
        ck_assert(!has_dropin(web, MODEL_QUOTA));
}
END_TEST

START_TEST(a_unit_that_cannot_be_read_is_not_touched)
{
        change(web, 300000, 50);
        model->refresh_error = -ETIMEDOUT;
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_FAILED], 1);
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 300000);
        ck_assert(has_dropin(web, MODEL_QUOTA));
}
END_TEST

START_TEST(a_lost_bus_keeps_every_record)
{
        change(web, 300000, 50);
        change(model_add(model, "db.slice", SYSTEMD_UNSET, SYSTEMD_UNSET), 300000, 50);
        model->loses_bus_after_look = true;
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_FAILED], 2);
        ck_assert_int_eq(seen.error, -ENOTCONN);
        load_state();
        ck_assert_uint_eq(state.n_records, 2);

        struct give_back *g = NULL;
        ck_assert_int_eq(give_back_start(&g, manager, &state, "", NULL, 0, true, on_each, on_done, &g), -ENOTCONN);
        ck_assert_ptr_null(g);
}
END_TEST

START_TEST(a_state_file_that_cannot_be_written_stops_before_any_change)
{
        change(web, 300000, 50);
        /* A directory under the name of the new file cannot be opened for writing, root or not. */
        fake_tree_mkdir(model->tree, "run/coalloc/units.new");
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_FAILED], 1);
        ck_assert_uint_eq(model->n_sets, 1);
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 300000);
        ck_assert(has_dropin(web, MODEL_QUOTA));
        ck_assert_ptr_nonnull(state_file_find(&state, "web.slice"));
}
END_TEST

START_TEST(only_the_named_units_are_given_back)
{
        struct model_unit *db = model_add(model, "db.slice", SYSTEMD_UNSET, SYSTEMD_UNSET);
        const char *const names[] = { "web.slice", "unknown.slice", "web.slice" };
        change(web, 300000, 50);
        change(db, 200000, 20);
        give_back_units(names, 3, true);
        ck_assert_uint_eq(seen.n_each, 2);
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_RESTORED], 2);
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 600000);
        ck_assert_uint_eq(db->live[MODEL_QUOTA], 200000);
        ck_assert_ptr_nonnull(state_file_find(&state, "db.slice"));
        ck_assert_ptr_null(state_file_find(&state, "web.slice"));
}
END_TEST

START_TEST(many_units_are_given_back_in_batches_with_one_reload)
{
        char name[64];
        for (int i = 0; i < 150; i++) {
                snprintf(name, sizeof name, "u%03d.service", i);
                change(model_add(model, name, (uint64_t)(i + 1) * 10000, SYSTEMD_UNSET), 5000000, 70);
        }
        model->n_in_flight_max = 0;
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_RESTORED], 150);
        ck_assert_uint_eq(model->n_reloads, 1);
        ck_assert_uint_le(model->n_in_flight_max, SYSTEMD_CALLS_IN_FLIGHT_MAX + 1);     /* and the end of the batch */
        for (int i = 0; i < 150; i++)
                ck_assert_uint_eq(model->units[1 + i].live[MODEL_QUOTA], (uint64_t)(i + 1) * 10000);
}
END_TEST

START_TEST(units_that_nobody_follows_are_restored_by_their_files_and_the_reload)
{
        change(web, 300000, 50);
        model->is_followed_by_nobody = true;
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_RESTORED], 1);
        ck_assert_uint_eq(web->live[MODEL_QUOTA], 600000);
}
END_TEST

START_TEST(a_link_or_a_directory_in_place_of_our_drop_in_is_somebodys)
{
        change(web, 300000, 50);
        char target[4096], path[4096];
        snprintf(path, sizeof path, "%s/%s", fake_tree_root(model->tree), model_dropin(web, MODEL_QUOTA));
        snprintf(target, sizeof target, "%s/elsewhere", fake_tree_root(model->tree));
        ck_assert_int_eq(rename(path, target), 0);
        ck_assert_int_eq(symlink(target, path), 0);
        fake_tree_remove(model->tree, model_dropin(web, MODEL_WEIGHT));
        fake_tree_mkdir(model->tree, model_dropin(web, MODEL_WEIGHT));
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_FOREIGN], 1);
        ck_assert(fake_tree_exists(model->tree, "elsewhere"));
        ck_assert(has_dropin(web, MODEL_QUOTA) && has_dropin(web, MODEL_WEIGHT));
}
END_TEST

/* ---- before a change --------------------------------------------------------------------------- */

START_TEST(the_first_change_notes_what_was_there_and_later_ones_do_not)
{
        model_set_property(model, web, MODEL_WEIGHT, 80, true);
        change(web, 300000, 50);
        change(web, 200000, 60);
        struct state_record *record = state_file_find(&state, "web.slice");
        ck_assert_uint_eq(record->quota.prior, 600000);
        ck_assert_uint_eq(record->quota.applied, 200000);
        ck_assert_uint_eq(record->quota.intended, 200000);
        ck_assert_ptr_null(record->quota.prior_dropin);
        ck_assert_uint_eq(record->weight.prior, 80);
        ck_assert_str_eq(record->weight.prior_dropin, model_text(model, web, MODEL_WEIGHT, 80));
}
END_TEST

START_TEST(a_drop_in_that_cannot_be_kept_forbids_the_change)
{
        struct systemd_setting setting = { .unit = web->name, .set_quota = true, .set_weight = true,
                                           .quota_usec_per_sec = 300000, .cpu_weight = 50 };
        model_set_property(model, web, MODEL_QUOTA, 400000, true);
        fake_tree_write_bytes(model->tree, model_dropin(web, MODEL_WEIGHT), "[Slice]\0", 8);
        ck_assert_int_eq(give_back_prepare(&state, fake_tree_root(model->tree),
                                           systemd_manager_find(manager, web->name), &setting), -EBADMSG);
        ck_assert_uint_eq(state.n_records, 0);
        ck_assert(!state.is_dirty);
}
END_TEST

/* ---- drop-ins ---------------------------------------------------------------------------------- */

#define HEADER "# This is a drop-in unit file extension, created via \"systemctl set-property\"\n" \
               "# or an equivalent operation. Do not edit.\n"

static const struct {
        const char *text, *unit, *property;
        uint64_t value;
        bool is_ours;
} texts[] = {
        { HEADER "[Slice]\nCPUQuota=33%\n", "a.slice", "CPUQuota", 330000, true },
        { HEADER "[Slice]\nCPUQuota=33%\n", "a.slice", "CPUQuota", 337777, true },
        { HEADER "[Slice]\nCPUQuota=33.77%\n", "a.slice", "CPUQuota", 337777, true },
        { HEADER "[Slice]\nCPUQuota=33.00%\n", "a.slice", "CPUQuota", 330000, true },
        { HEADER "[Slice]\nCPUQuota=33.7%\n", "a.slice", "CPUQuota", 337000, false },
        { HEADER "[Slice]\nCPUQuota=0%\n", "a.slice", "CPUQuota", 9999, true },
        { HEADER "[Slice]\nCPUQuota=0.05%\n", "a.slice", "CPUQuota", 500, true },
        { HEADER "[Slice]\nCPUQuota=100000000%\n", "a.slice", "CPUQuota", 1000000000000, true },
        { HEADER "[Slice]\nCPUQuota=\n", "a.slice", "CPUQuota", UINT64_MAX, true },
        { HEADER "[Slice]\nCPUQuota=\n", "a.slice", "CPUQuota", 0, false },
        { HEADER "[Slice]\nCPUQuota=34%\n", "a.slice", "CPUQuota", 330000, false },
        { HEADER "[Service]\nCPUQuota=33%\n", "a.slice", "CPUQuota", 330000, false },
        { HEADER "[Service]\nCPUQuota=33%\n", "a.service", "CPUQuota", 330000, true },
        { HEADER "[Scope]\nCPUQuota=33%\n", "a.scope", "CPUQuota", 330000, true },
        { HEADER "[Slice]\nCPUQuota=33%", "a.slice", "CPUQuota", 330000, false },
        { HEADER "[Slice]\nCPUQuota=33%\n\n", "a.slice", "CPUQuota", 330000, false },
        { HEADER "[Slice]\nCPUQuota=33%\nCPUWeight=1\n", "a.slice", "CPUQuota", 330000, false },
        { "[Slice]\nCPUQuota=33%\n", "a.slice", "CPUQuota", 330000, false },
        { "", "a.slice", "CPUQuota", 330000, false },
        { HEADER "[Slice]\nCPUWeight=80\n", "a.slice", "CPUWeight", 80, true },
        { HEADER "[Slice]\nCPUWeight=80\n", "a.slice", "CPUWeight", 8, false },
        { HEADER "[Slice]\nCPUWeight=80\n", "a.slice", "CPUQuota", 80, false },
        { HEADER "[Slice]\nCPUWeight=idle\n", "a.slice", "CPUWeight", 0, true },
        { HEADER "[Slice]\nCPUWeight=\n", "a.slice", "CPUWeight", UINT64_MAX, true },
};

START_TEST(a_text_is_ours_only_if_systemd_would_have_written_it_so)
{
        ck_assert_int_eq(dropin_is_ours(texts[_i].text, texts[_i].unit, texts[_i].property, texts[_i].value),
                         texts[_i].is_ours);
}
END_TEST

START_TEST(a_drop_in_is_found_where_systemd_puts_it)
{
        char *path = NULL;
        ck_assert_int_eq(dropin_path("/r", "a-b.slice", false, "CPUQuota", &path), 0);
        ck_assert_str_eq(path, "/r/run/systemd/system.control/a-b.slice.d/50-CPUQuota.conf");
        free(path);
        ck_assert_int_eq(dropin_path("", "run-u1.scope", true, "CPUWeight", &path), 0);
        ck_assert_str_eq(path, "/run/systemd/transient/run-u1.scope.d/50-CPUWeight.conf");
        free(path);
        path = NULL;
        ck_assert_int_eq(dropin_path("", "../../../etc/x.service", false, "CPUQuota", &path), -EINVAL);
        ck_assert_ptr_null(path);
}
END_TEST

/* ---- bursts ------------------------------------------------------------------------------------ */

/* web.slice as burst.c leaves it: a quota and a burst of ours. */
static void change_with_burst(uint64_t prior_usec, uint64_t quota)
{
        struct state_record *record;

        model->has_kernel = true;
        model_set_property(model, web, MODEL_WEIGHT, 100, true);
        model_set_burst(model, web, prior_usec);
        change(web, quota, 50);
        record = state_file_find(&state, "web.slice");
        record->burst = (struct state_value) { .is_ours = true, .prior = prior_usec, .applied = quota / 10,
                                               .intended = quota / 10 };
        model_set_burst(model, web, quota / 10);
        state.is_dirty = true;
        ck_assert_int_eq(state_file_save(&state), 0);
        ck_assert_uint_eq(model_cpu_max(model, web), quota / 10);
        ck_assert_uint_eq(model->n_refused, 0);
}

static const struct {
        uint64_t prior_usec, quota;     /* the quota before was 60 %, 60000 a period */
} burst_cases[] = { { 0, 300000 }, { 20000, 300000 }, { 50000, 300000 }, { 60000, 900000 }, { 0, 4000000 } };

START_TEST(a_burst_comes_back_in_an_order_that_the_kernel_takes)
{
        change_with_burst(burst_cases[_i].prior_usec < burst_cases[_i].quota / 10 ? burst_cases[_i].prior_usec : 0,
                          burst_cases[_i].quota);
        state_file_find(&state, "web.slice")->burst.prior = burst_cases[_i].prior_usec;
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_RESTORED], 1);
        ck_assert_uint_eq(model_cpu_max(model, web), 60000);
        ck_assert_uint_eq(model_burst(model, web), burst_cases[_i].prior_usec);
        ck_assert_uint_eq(model->n_refused, 0);
        ck_assert_uint_eq(state.n_records, 0);
}
END_TEST

START_TEST(a_burst_that_somebody_changed_is_left_while_the_quota_is_given_back)
{
        change_with_burst(0, 300000);
        model_set_burst(model, web, 12345);
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_FOREIGN], 1);
        ck_assert_uint_eq(model_cpu_max(model, web), 60000);
        ck_assert_uint_eq(model_burst(model, web), 12345);
}
END_TEST

START_TEST(a_burst_of_a_new_cgroup_is_nobodys)
{
        change_with_burst(20000, 300000);
        model_set_burst(model, web, 0);
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_RESTORED], 1);
        ck_assert_uint_eq(model_burst(model, web), 0);
}
END_TEST

START_TEST(a_burst_that_cannot_be_written_keeps_its_record_and_no_more)
{
        change_with_burst(0, 300000);
        model->burst_error = -EROFS;
        web->own[MODEL_QUOTA] = 600000;
        give_all_back();
        /* Nothing is set that the kernel would refuse, and refuse in silence. */
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_FAILED], 1);
        ck_assert_int_eq(seen.error, -EROFS);
        ck_assert_ptr_nonnull(state_file_find(&state, "web.slice"));
        ck_assert(state_file_find(&state, "web.slice")->burst.is_ours);
        ck_assert_uint_eq(model->n_refused, 0);

        model->burst_error = 0;
        give_all_back();
        ck_assert_uint_eq(seen.n_outcomes[GIVE_BACK_RESTORED], 1);
        ck_assert_uint_eq(model_cpu_max(model, web), 60000);
        ck_assert_uint_eq(model_burst(model, web), 0);
        ck_assert_uint_eq(state.n_records, 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("give_back");
        TCase *t = tcase_create("give_back");
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, an_active_unit_gets_its_values_back_and_loses_our_drop_ins);
        tcase_add_test(t, nothing_to_give_back_ends_at_once_and_reloads_nothing);
        tcase_add_test(t, a_drop_in_that_was_there_before_us_gets_its_old_text);
        tcase_add_test(t, without_a_change_on_disk_nothing_is_reloaded);
        tcase_add_test(t, a_quota_that_somebody_changed_is_left_while_the_weight_is_given_back);
        tcase_add_test(t, a_persistent_change_of_somebody_stays_and_our_drop_in_goes);
        tcase_add_test(t, a_drop_in_that_reads_like_ours_but_may_be_somebodys_stays);
        tcase_add_test(t, somebodys_drop_in_for_the_prior_value_stays);
        tcase_add_test(t, somebodys_drop_in_for_the_prior_value_stays_after_a_crash_before_our_change);
        tcase_add_test(t, who_comes_between_setting_and_unlinking_keeps_the_drop_in);
        tcase_add_test(t, whatever_the_moment_of_a_crash_restored_is_what_the_disk_says);
        tcase_add_test(t, a_value_cut_off_by_a_reload_is_still_ours);
        tcase_add_test(t, an_inactive_unit_loses_its_drop_in_and_the_reload_does_the_rest);
        tcase_add_test(t, without_leave_to_reload_an_inactive_unit_is_not_called_restored);
        tcase_add_test(t, a_reload_that_is_owed_is_done_by_the_next_run);
        tcase_add_test(t, a_reload_that_fails_keeps_the_record_of_an_inactive_unit);
        tcase_add_test(t, a_unit_that_is_not_loaded_loses_its_drop_in_only);
        tcase_add_test(t, a_unit_that_stops_while_it_is_given_back_is_restored_all_the_same);
        tcase_add_test(t, a_new_transient_unit_under_an_old_name_is_left_alone_and_nobody_is_blamed);
        tcase_add_test(t, a_lost_answer_keeps_the_record_and_the_next_run_ends_it);
        tcase_add_test(t, a_unit_that_cannot_be_read_is_not_touched);
        tcase_add_test(t, a_lost_bus_keeps_every_record);
        tcase_add_test(t, a_state_file_that_cannot_be_written_stops_before_any_change);
        tcase_add_test(t, only_the_named_units_are_given_back);
        tcase_add_test(t, many_units_are_given_back_in_batches_with_one_reload);
        tcase_add_test(t, units_that_nobody_follows_are_restored_by_their_files_and_the_reload);
        tcase_add_test(t, a_link_or_a_directory_in_place_of_our_drop_in_is_somebodys);
        tcase_add_test(t, the_first_change_notes_what_was_there_and_later_ones_do_not);
        tcase_add_test(t, a_drop_in_that_cannot_be_kept_forbids_the_change);
        tcase_add_loop_test(t, a_text_is_ours_only_if_systemd_would_have_written_it_so, 0,
                            (int)(sizeof texts / sizeof texts[0]));
        tcase_add_test(t, a_drop_in_is_found_where_systemd_puts_it);
        tcase_add_loop_test(t, a_burst_comes_back_in_an_order_that_the_kernel_takes, 0,
                            (int)(sizeof burst_cases / sizeof burst_cases[0]));
        tcase_add_test(t, a_burst_that_somebody_changed_is_left_while_the_quota_is_given_back);
        tcase_add_test(t, a_burst_of_a_new_cgroup_is_nobodys);
        tcase_add_test(t, a_burst_that_cannot_be_written_keeps_its_record_and_no_more);
        suite_add_tcase(suite, t);
        return testing_run(suite);
}
