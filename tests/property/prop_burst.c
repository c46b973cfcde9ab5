/* SPDX-License-Identifier: MIT */

/* Bursts around rounds of writes on a kernel that refuses as the real one does: quotas go up and down
 * and away at random, units restart, and we crash at any effect. Nothing that we do is ever refused,
 * after the first round of an epoch every finite quota of ours has a burst equal to it, after a later one
 * those that it wrote, and once everything is given back every burst is what it was before us, and every
 * quota with it. */

#include "daemon/burst.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/model_systemd.h"
#include "lib/testing.h"

enum { N_CASES = 500, N_UNITS = 3, N_ROUNDS = 8 };

struct world {
        struct testing_random random;
        struct model *model;
        struct daemon d;
        struct config config;
        struct config_service section;
        struct service services[N_UNITS];
        struct service *table[N_UNITS];
        uint64_t burst_before[N_UNITS];         /* UINT64_MAX: there was none */
        uint64_t n_rounds;
        bool is_in_step[N_UNITS];               /* nothing happened since a round looked at it */
        bool may_be_lost[N_UNITS];              /* without Burst=yes it goes with the controller */
        bool is_done;
        unsigned n_failed;
};

static bool one_in(struct world *w, int n)
{
        return testing_random_int(&w->random, 1, n) == 1;
}

static uint64_t random_quota(struct world *w)
{
        return one_in(w, 4) ? SYSTEMD_UNSET : (uint64_t)testing_random_int(&w->random, 1, 400) * 10000;
}

/* A process: all that it has is what is on the disk. */
static void begin_process(struct world *w)
{
        char directory[4096];

        snprintf(directory, sizeof directory, "%s/run/coalloc", fake_tree_root(w->model->tree));
        ck_assert_int_eq(state_file_load(directory, &w->d.state), 0);
        w->d.config = &w->config;
        w->d.services = w->table;
        w->d.n_services = N_UNITS;
        for (int i = 0; i < N_UNITS; i++) {
                struct service *s = w->table[i] = &w->services[i];
                *s = (struct service) {
                        .d = &w->d,
                        .unit = w->model->units[i].name,
                        .config = &w->section,
                        .reader = CGROUP_READER_CLOSED,
                        .quota = { .wanted = USEC_UNSET, .applied = USEC_UNSET, .read = USEC_UNSET },
                };
                burst_forget(s);
        }
}

static void end_process(struct world *w)
{
        for (int i = 0; i < N_UNITS; i++)
                cgroup_reader_close(&w->services[i].reader);
        state_file_done(&w->d.state);
        w->d = (struct daemon) { .systemd = w->d.systemd, .mount = w->d.mount };
}

static void open_readers(struct world *w)
{
        for (int i = 0; i < N_UNITS; i++) {
                struct service *s = &w->services[i];
                s->systemd = systemd_manager_find(w->d.systemd, s->unit);
                cgroup_reader_close(&s->reader);
                ck_assert_int_eq(cgroup_reader_open(w->d.mount, s->systemd->control_group, &s->reader), 0);
        }
}

static void make_world(struct world *w)
{
        char name[64];

        w->model = model_new(&w->d.systemd);
        w->model->has_kernel = true;
        w->model->cuts_bursts = one_in(w, 2);
        w->config.burst = true;
        w->d.mount = (char *)fake_tree_mount(w->model->tree);   /* only read */
        for (int i = 0; i < N_UNITS; i++) {
                snprintf(name, sizeof name, "u%d.slice", i);
                struct model_unit *u = model_add(w->model, name, random_quota(w),
                                                 one_in(w, 2) ? SYSTEMD_UNSET : 100);
                uint64_t quota_usec = model_cpu_max(w->model, u);
                w->burst_before[i] = model_burst(w->model, u);
                if (w->burst_before[i] == 0 && one_in(w, 2)) {
                        w->burst_before[i] = (uint64_t)testing_random_int(&w->random, 1000, 50000);
                        if (w->burst_before[i] > quota_usec)
                                w->burst_before[i] = quota_usec;
                        model_set_burst(w->model, u, w->burst_before[i]);
                }
        }
        fake_tree_mkdir(w->model->tree, "run");
        begin_process(w);
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

        if (error < 0)
                return;
        for (int i = 0; i < N_UNITS; i++)
                if (strcmp(w->services[i].unit, setting->unit) == 0) {
                        w->services[i].quota.applied = setting->quota_usec_per_sec;
                        w->services[i].quota.is_ours = true;
                }
        give_back_confirm(&w->d.state, setting);
}

static void on_all_set(void *ctx, unsigned n_failed)
{
        ((struct world *)ctx)->is_done = true;
}

/* As actuate() makes it, for some of the units. */
static void make_round(struct world *w)
{
        struct systemd_setting settings[N_UNITS];
        struct service *written[N_UNITS];
        unsigned n_refused = w->model->n_refused;
        size_t n = 0;

        w->n_rounds++;
        w->d.are_bursts_due = !one_in(w, 3);
        for (int i = 0; i < N_UNITS; i++)
                w->is_in_step[i] |= w->d.are_bursts_due;
        open_readers(w);
        for (int i = 0; i < N_UNITS; i++) {
                struct service *s = &w->services[i];
                uint64_t quota = random_quota(w);
                if (quota == s->systemd->quota_usec_per_sec || one_in(w, 3))
                        continue;
                settings[n] = (struct systemd_setting) { .unit = s->unit, .set_quota = true,
                                                         .quota_usec_per_sec = quota };
                if (!w->config.burst && quota == SYSTEMD_UNSET)
                        w->may_be_lost[i] = true;
                ck_assert_int_eq(give_back_prepare(&w->d.state, fake_tree_root(w->model->tree), s->systemd,
                                                   &settings[n]), 0);
                burst_prepare(&w->d, s, &settings[n]);
                s->write_sent_usec = w->n_rounds;
                w->is_in_step[i] = true;
                written[n++] = s;
        }
        if (state_file_save(&w->d.state) < 0)
                return;
        burst_lower(&w->d, written, n);
        ck_assert_int_eq(systemd_manager_set(w->d.systemd, settings, n, on_set, on_all_set, w), 0);
        run_until_done(w);
        burst_keep(&w->d, w->n_rounds);
        (void)state_file_save(&w->d.state);
        /* Without Burst=yes a burst of somebody else may be in the way. */
        if (!w->config.burst)
                w->model->n_refused = n_refused;
}

static void assert_in_step(struct world *w, int i_case)
{
        for (int i = 0; i < N_UNITS; i++) {
                const struct model_unit *u = &w->model->units[i];
                uint64_t max_usec = model_cpu_max(w->model, u), burst_usec = model_burst(w->model, u);
                const struct service *s = &w->services[i];

                if (!s->quota.is_ours || !w->is_in_step[i])
                        continue;
                if (s->quota.applied != USEC_UNSET && w->config.burst)
                        ck_assert_msg(burst_usec == max_usec && s->has_burst,
                                      "case %d: %s has a quota of %ju and a burst of %ju", i_case, u->name,
                                      (uintmax_t)max_usec, (uintmax_t)burst_usec);
                else
                        ck_assert(!s->has_burst);
                /* What is nobody's of ours is cut all the same. */
                if (s->quota.applied == USEC_UNSET && burst_usec != UINT64_MAX && !w->model->cuts_bursts)
                        ck_assert_msg(burst_usec == w->burst_before[i] || burst_usec == 0,
                                      "case %d: %s without quota has a burst of %ju", i_case, u->name,
                                      (uintmax_t)burst_usec);
        }
}

static void restart(struct world *w, int i)
{
        struct model_unit *u = &w->model->units[i];

        /* Whether a cgroup without the controller is a new one nobody sees who was not there. */
        if (model_burst(w->model, u) == UINT64_MAX)
                return;
        model_stop(w->model, u, false);
        model_start(w->model, u);
        w->is_in_step[i] = false;
        /* With the cgroup goes what somebody set in it. */
        if (w->burst_before[i] != UINT64_MAX)
                w->burst_before[i] = 0;
}

static void on_each(void *ctx, const char *unit, enum give_back_outcome outcome, int error)
{
        if (error == 0)
                ck_assert_int_eq(outcome, GIVE_BACK_RESTORED);
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

        ck_assert_int_eq(give_back_start(&g, w->d.systemd, &w->d.state, fake_tree_root(w->model->tree), NULL, 0,
                                         true, on_each, on_done, w), 0);
        run_until_done(w);
        give_back_free(g);
}

/* Crashes of the giving back, ever later, until one comes to its end. */
static unsigned come_to_the_end(struct world *w)
{
        unsigned n_crashes = 0;

        for (unsigned n = (unsigned)testing_random_int(&w->random, 1, 6);; n++) {
                model_world_ends_in(n);
                give_everything_back(w);
                if (!model_new_world())
                        break;
                n_crashes++;
                end_process(w);
                begin_process(w);
        }
        ck_assert_uint_eq(w->n_failed, 0);
        return n_crashes;
}

static void assert_as_before(struct world *w, int i_case)
{
        for (int i = 0; i < N_UNITS; i++) {
                const struct model_unit *u = &w->model->units[i];
                uint64_t quota_usec = u->own[MODEL_QUOTA] == SYSTEMD_UNSET ? UINT64_MAX : u->own[MODEL_QUOTA] / 10;

                ck_assert_msg(model_cpu_max(w->model, u) == quota_usec, "case %d: %s: quota", i_case, u->name);
                if (!w->model->cuts_bursts && !(w->may_be_lost[i] && model_burst(w->model, u) == 0))
                        ck_assert_msg(model_burst(w->model, u) == w->burst_before[i],
                                      "case %d: burst of %s is %jd, not %jd", i_case, u->name,
                                      (intmax_t)model_burst(w->model, u), (intmax_t)w->burst_before[i]);
        }
        ck_assert_uint_eq(w->d.state.n_records, 0);
        ck_assert(!fake_tree_exists(w->model->tree, "run/coalloc/units"));
}

START_TEST(bursts_follow_quotas_and_nothing_of_ours_is_ever_refused)
{
        uint64_t seed = testing_seed();
        unsigned n_crashes = 0, n_crashes_of_giving_back = 0, n_in_step = 0;

        for (int i_case = 0; i_case < N_CASES; i_case++) {
                static struct world w;
                w = (struct world) { .random = { seed + (uint64_t)i_case * 7919 } };
                make_world(&w);

                for (int k = 0; k < N_ROUNDS; k++)
                        switch (testing_random_int(&w.random, 0, 7)) {
                        case 0: /* a crash somewhere in a round; the next start gives back, then goes on */
                                model_world_ends_in((unsigned)testing_random_int(&w.random, 1, 12));
                                make_round(&w);
                                n_crashes += model_new_world();
                                end_process(&w);
                                begin_process(&w);
                                n_crashes_of_giving_back += come_to_the_end(&w);
                                assert_as_before(&w, i_case);
                                break;
                        case 1:
                                restart(&w, (int)testing_random_int(&w.random, 0, N_UNITS - 1));
                                break;
                        case 2: /* Burst= is changed by a reload, and takes effect with the next epoch */
                                /* (Without it nobody mends what such a kernel does to others' bursts.) */
                                if (!w.model->cuts_bursts)
                                        w.config.burst = !w.config.burst;
                                memset(w.is_in_step, 0, sizeof w.is_in_step);
                                break;
                        default:
                                make_round(&w);
                                assert_in_step(&w, i_case);
                                for (int i = 0; i < N_UNITS; i++)
                                        n_in_step += w.services[i].has_burst;
                                break;
                        }
                n_crashes_of_giving_back += come_to_the_end(&w);
                assert_as_before(&w, i_case);
                ck_assert_msg(w.model->n_refused == 0, "case %d: the kernel refused %u values", i_case,
                              w.model->n_refused);
                end_process(&w);
                model_free(w.model, w.d.systemd);
        }
        /* It was worth something only if all of this came about. */
        ck_assert_uint_gt(n_in_step, N_CASES);
        ck_assert_uint_gt(n_crashes, N_CASES / 4);
        ck_assert_uint_gt(n_crashes_of_giving_back, N_CASES / 4);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("burst");
        TCase *t = tcase_create("burst");
        tcase_add_test(t, bursts_follow_quotas_and_nothing_of_ours_is_ever_refused);
        suite_add_tcase(suite, t);
        return testing_run(suite);
}
