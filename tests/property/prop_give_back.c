/* SPDX-License-Identifier: MIT */

/* Whatever happened to some units - changes by us, changes by others, restarts, reloads, a crash of
 * ours at any effect on disk or systemd, a crash of the giving back itself - once giving back has come
 * to its end, every property that nobody else touched is what it was before us, in systemd and on the
 * disk; what somebody else set or wrote is there still; and nothing of ours is left. */

#include "platform/give_back.h"

#include <errno.h>
#include <string.h>

#include "lib/model_systemd.h"
#include "lib/testing.h"

enum { N_CASES = 2000, N_UNITS = 4, N_OPERATIONS = 12 };

/* What has to be found in the end. */
struct expectation {
        bool is_foreign;                /* somebody else touched it: we do no more */
        bool has_value;                 /* live has to be @value, and the files have to say so */
        uint64_t value;
        char *dropin;                   /* has to be there byte for byte; NULL = none; malloc'd */
};

struct world {
        struct testing_random random;
        struct model *model;
        struct systemd_manager *manager;
        struct state_file state;
        struct expectation expected[N_UNITS][MODEL_N_PROPERTIES];
        bool is_done;
        unsigned n_failed;
};

static bool one_in(struct world *w, int n)
{
        return testing_random_int(&w->random, 1, n) == 1;
}

static uint64_t random_value(struct world *w, int property)
{
        if (one_in(w, 6))
                return SYSTEMD_UNSET;
        return property == MODEL_QUOTA ? (uint64_t)testing_random_int(&w->random, 1, 400) * 10000
                                       : (uint64_t)testing_random_int(&w->random, 1, 10000);
}

/* What somebody else sets: not what we could take for our own value, since then nobody could tell. */
static uint64_t foreign_value(struct world *w, int i, int property)
{
        struct model_unit *u = &w->model->units[i];
        struct state_record *record = state_file_find(&w->state, u->name);
        const struct state_value *v = !record ? NULL : property == MODEL_QUOTA ? &record->quota : &record->weight;
        uint64_t value;

        do
                value = random_value(w, property);
        while (value == u->live[property] ||
               (v && v->is_ours && (value == v->applied || value == v->intended)));
        return value;
}

static void expect(struct world *w, int i, int p, bool is_foreign, bool has_value, uint64_t value)
{
        struct expectation *e = &w->expected[i][p];
        free(e->dropin);
        *e = (struct expectation) {
                .is_foreign = is_foreign,
                .has_value = has_value,
                .value = value,
                .dropin = fake_tree_read(w->model->tree, model_dropin(&w->model->units[i], p), NULL),
        };
}

static void load_state(struct world *w)
{
        char directory[4096];
        snprintf(directory, sizeof directory, "%s/run/coalloc", fake_tree_root(w->model->tree));
        ck_assert_int_eq(state_file_load(directory, &w->state), 0);
}

static void make_world(struct world *w)
{
        static const char *const types[] = { "slice", "service", "scope" };
        char name[64];

        w->model = model_new(&w->manager);
        w->model->writes_hundredths = one_in(w, 2);
        for (int i = 0; i < N_UNITS; i++) {
                snprintf(name, sizeof name, "u%d.%s", i, types[testing_random_int(&w->random, 0, 2)]);
                struct model_unit *u = model_add(w->model, name, random_value(w, MODEL_QUOTA),
                                                 random_value(w, MODEL_WEIGHT));
                u->is_transient = one_in(w, 4);
                for (int p = 0; p < MODEL_N_PROPERTIES; p++) {
                        if (one_in(w, 3))       /* somebody's runtime drop-in from before us */
                                model_set_property(w->model, u, p, random_value(w, p), true);
                        expect(w, i, p, false, true, u->live[p]);
                }
        }
        fake_tree_mkdir(w->model->tree, "run");
        load_state(w);
}

static void free_world(struct world *w)
{
        for (int i = 0; i < N_UNITS; i++)
                for (int p = 0; p < MODEL_N_PROPERTIES; p++)
                        free(w->expected[i][p].dropin);
        state_file_done(&w->state);
        model_free(w->model, w->manager);
}

static void run_until_done(struct world *w)
{
        w->is_done = false;
        while (!w->is_done)
                ck_assert_int_gt(sd_event_run(w->model->event, 0), 0);
}

static void on_set(void *ctx, const struct systemd_setting *setting, int error)
{
        struct world *w = ctx;
        if (error == 0)
                give_back_confirm(&w->state, setting);
}

static void on_all_set(void *ctx, unsigned n_failed)
{
        ((struct world *)ctx)->is_done = true;
}

/* Our change of one unit, as the daemon makes it: only of what nobody else took over. */
static void change(struct world *w, int i)
{
        struct model_unit *u = &w->model->units[i];
        struct systemd_setting setting = { .unit = u->name };
        if (!u->is_active)
                return;

        for (int p = 0; p < MODEL_N_PROPERTIES; p++) {
                uint64_t value = random_value(w, p);
                if (w->expected[i][p].is_foreign || value == u->live[p] || one_in(w, 3))
                        continue;
                if (p == MODEL_QUOTA) {
                        setting.set_quota = true;
                        setting.quota_usec_per_sec = value;
                } else {
                        setting.set_weight = true;
                        setting.cpu_weight = value;
                }
        }
        if (!setting.set_quota && !setting.set_weight)
                return;

        ck_assert_int_eq(give_back_prepare(&w->state, fake_tree_root(w->model->tree),
                                           systemd_manager_find(w->manager, u->name), &setting), 0);
        if (state_file_save(&w->state) < 0)
                return;
        /* The answer may get lost, with or without the call. */
        w->model->set_error = one_in(w, 8) ? -ETIMEDOUT : 0;
        w->model->set_happens_all_the_same = one_in(w, 2);
        ck_assert_int_eq(systemd_manager_set(w->manager, &setting, 1, on_set, on_all_set, w), 0);
        run_until_done(w);
        w->model->set_error = 0;
        if (one_in(w, 2))
                (void)state_file_save(&w->state);
}

/* Somebody else. */
static void disturb(struct world *w, int i)
{
        struct model_unit *u = &w->model->units[i];
        int p = (int)testing_random_int(&w->random, 0, 1);
        uint64_t value = foreign_value(w, i, p);
        char path[300];

        if (!u->is_loaded)
                return;
        snprintf(path, sizeof path, "%s", model_dropin(u, p));
        switch (testing_random_int(&w->random, 0, 3)) {
        case 0:         /* systemctl set-property --runtime */
                model_set_property(w->model, u, p, value, true);
                expect(w, i, p, true, !u->has_persistent[p], value);
                break;
        case 1:         /* systemctl set-property: goes elsewhere, so that ours below /run has to go */
                if (u->is_transient || w->expected[i][p].is_foreign)
                        break;
                model_set_property(w->model, u, p, value, false);
                w->expected[i][p].is_foreign = true;
                w->expected[i][p].value = value;
                break;
        case 2:         /* an editor; systemd does not know yet */
                fake_tree_remove(w->model->tree, path);
                fake_tree_write(w->model->tree, path, "[Slice]\nCPUQuota=77%%\nCPUWeight=77\n# by hand\n");
                expect(w, i, p, true, false, 0);
                break;
        case 3:         /* rm */
                if (fake_tree_exists(w->model->tree, path)) {
                        fake_tree_remove(w->model->tree, path);
                        expect(w, i, p, true, false, 0);
                }
                break;
        }
}

static void restart(struct world *w, int i)
{
        struct model_unit *u = &w->model->units[i];

        if (!u->is_active) {
                model_start(w->model, u);
                return;
        }
        model_stop(w->model, u, one_in(w, 2));
        if (u->is_transient) {
                /* What comes back under this name is another unit; the daemon drops the record. */
                for (int p = 0; p < MODEL_N_PROPERTIES; p++) {
                        u->own[p] = random_value(w, p);
                        expect(w, i, p, false, true, u->own[p]);
                }
                state_file_remove(&w->state, u->name);
        }
}

static void on_each(void *ctx, const char *unit, enum give_back_outcome outcome, int error)
{
        ck_assert_int_eq(outcome == GIVE_BACK_FAILED, error < 0);
}

static void on_done(void *ctx, unsigned n_failed)
{
        struct world *w = ctx;
        w->is_done = true;
        w->n_failed = n_failed;
}

static void give_everything_back(struct world *w)
{
        struct give_back *g;
        ck_assert_int_eq(give_back_start(&g, w->manager, &w->state, fake_tree_root(w->model->tree), NULL, 0,
                                         true, on_each, on_done, w), 0);
        run_until_done(w);
        give_back_free(g);
}

/* A new process: all that it has is what is on the disk. */
static void start_again(struct world *w)
{
        state_file_done(&w->state);
        load_state(w);
}

static void assert_as_expected(struct world *w, int i_case)
{
        ck_assert_uint_eq(w->state.n_records, 0);
        ck_assert(!w->state.reload_pending);
        ck_assert(!fake_tree_exists(w->model->tree, "run/coalloc/units"));

        for (int i = 0; i < N_UNITS; i++) {
                struct model_unit *u = &w->model->units[i];
                struct expectation *e = w->expected[i];
                char path[300];

                for (int p = 0; p < MODEL_N_PROPERTIES; p++) {
                        char *dropin = fake_tree_read(w->model->tree, model_dropin(u, p), NULL);
                        bool is_same = dropin && e[p].dropin ? strcmp(dropin, e[p].dropin) == 0 : dropin == e[p].dropin;
                        ck_assert_msg(is_same, "case %d: %s is\n%sinstead of\n%s", i_case, model_dropin(u, p), dropin, e[p].dropin);
                        free(dropin);
                        if (!e[p].has_value)
                                continue;
                        uint64_t of_files = model_value_of_files(w->model, u, p);
                        ck_assert_msg(of_files == e[p].value, "case %d: files of %s say %ju instead of %ju", i_case,
                                      u->name, (uintmax_t)of_files, (uintmax_t)e[p].value);
                        ck_assert_msg(!u->is_loaded || u->live[p] == e[p].value, "case %d: %s has %ju instead of %ju",
                                      i_case, u->name, (uintmax_t)u->live[p], (uintmax_t)e[p].value);
                }
                /* No empty directory, no half-written file. */
                snprintf(path, sizeof path, "%s", model_dropin(u, 0));
                strrchr(path, '/')[1] = '\0';
                if (!e[0].dropin && !e[1].dropin && !e[0].is_foreign && !e[1].is_foreign)
                        ck_assert_msg(!fake_tree_exists(w->model->tree, path), "case %d: %s is left", i_case, path);
                for (int p = 0; p < MODEL_N_PROPERTIES; p++) {
                        snprintf(path, sizeof path, "%s", model_dropin(u, p));
                        char *name = strrchr(path, '/') + 1;
                        memmove(name + 1, name, strlen(name) + 1);
                        *name = '.';
                        strcat(path, ".coalloc");
                        ck_assert_msg(!fake_tree_exists(w->model->tree, path), "case %d: %s is left", i_case, path);
                }
        }
}

START_TEST(everything_is_given_back_whatever_happened)
{
        uint64_t seed = testing_seed();
        unsigned n_crashes = 0, n_crashes_of_giving_back = 0, n_reloads = 0, n_sets = 0;

        for (int i_case = 0; i_case < N_CASES; i_case++) {
                struct world w = { .random = { seed + (uint64_t)i_case * 7919 } };
                make_world(&w);

                for (int k = 0; k < N_OPERATIONS; k++) {
                        int i = (int)testing_random_int(&w.random, 0, N_UNITS - 1);
                        switch (testing_random_int(&w.random, 0, 9)) {
                        case 0:
                                disturb(&w, i);
                                break;
                        case 1:
                                restart(&w, i);
                                break;
                        case 2:
                                model_reload(w.model);
                                break;
                        case 3: /* a crash somewhere in a change; the next start gives back, then goes on */
                                model_world_ends_in((unsigned)testing_random_int(&w.random, 1, 4));
                                change(&w, i);
                                n_crashes += model_new_world();
                                start_again(&w);
                                give_everything_back(&w);
                                break;
                        default:
                                change(&w, i);
                                break;
                        }
                }

                if (one_in(&w, 2))
                        start_again(&w);
                /* Crashes of the giving back, ever later, until one comes to its end. */
                for (unsigned n = (unsigned)testing_random_int(&w.random, 1, 40);; n += 1 + n / 4) {
                        model_world_ends_in(n);
                        give_everything_back(&w);
                        if (!model_new_world())
                                break;
                        n_crashes_of_giving_back++;
                        start_again(&w);
                }
                ck_assert_uint_eq(w.n_failed, 0);
                assert_as_expected(&w, i_case);

                n_sets += w.model->n_sets;
                n_reloads += w.model->n_reloads;
                free_world(&w);
        }
        /* It was worth something only if all of this came about. */
        ck_assert_uint_gt(n_sets, N_CASES);
        ck_assert_uint_gt(n_reloads, N_CASES / 4);
        ck_assert_uint_gt(n_crashes, N_CASES / 10);
        ck_assert_uint_gt(n_crashes_of_giving_back, N_CASES / 4);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("give_back");
        TCase *t = tcase_create("give_back");
        tcase_add_test(t, everything_is_given_back_whatever_happened);
        suite_add_tcase(suite, t);
        return testing_run(suite);
}
