/* SPDX-License-Identifier: MIT */

/* The guard and the epoch on one host: what the one gives the other must not take back, and so on for ever. Each
 * test runs worlds (lib/plant.h) with the guard as it is, and with the obvious one that it is not. */

#include "lib/plant.h"

#define N_WORLDS 12
#define CAPACITY_MILLI 4000.0
#define N_SETTLING 12
#define N_WATCHED 40

/* A move of so much of a ceiling is one. */
#define NOTABLE 0.1

/* The guard as it would be the obvious way. */
enum obvious {
        AS_IT_IS = 0,
        FORGETS = 1,            /* what was taken back */
        LENDS_TO_THE_BRIM = 2,  /* what quotas may sum to, and not what was bargained over */
        DROPS_WHOLE_SAMPLES = 4, /* that contain a write of its own */
};

static void plant_init_obvious(struct plant *p, enum enforce mode, uint64_t seed, unsigned way)
{
        plant_init(p, mode, CAPACITY_MILLI, seed);
        p->has_guard = true;
        p->forgets_recalls = way & FORGETS;
        p->lends_to_the_brim = way & LENDS_TO_THE_BRIM;
        p->drops_before_write = way & DROPS_WHOLE_SAMPLES;
}

/* What the ceilings of some worlds did: the sum and the worst of them. */
struct course {
        unsigned n_raises, n_raises_most;       /* of the guard; of one service at most */
        int n_turns, n_turns_most;
        unsigned n_services;
};

static void course_say(const struct course *c, const char *world, const char *who)
{
        fprintf(stderr, "# %s, %s: %.2f turns of a ceiling, %d at most, and %.2f raises, %u at most\n", world, who,
                (double)c->n_turns / c->n_services, c->n_turns_most, (double)c->n_raises / c->n_services,
                c->n_raises_most);
}

static void watch_anew(struct plant *p)
{
        for (size_t i = 0; i < p->f.n; i++) {
                p->s[i].n_raises = 0;
                p->s[i].raised_usec = 0;
                p->s[i].ceiling = (struct plant_track){ .share = NOTABLE };
        }
}

static void course_note(struct course *c, const struct plant *p)
{
        for (size_t i = 0; i < p->f.n; i++) {
                const struct plant_service *s = &p->s[i];

                c->n_services++;
                c->n_raises += s->n_raises;
                c->n_turns += s->ceiling.n_flips;
                c->n_raises_most = s->n_raises > c->n_raises_most ? s->n_raises : c->n_raises_most;
                c->n_turns_most = s->ceiling.n_flips > c->n_turns_most ? s->ceiling.n_flips : c->n_turns_most;
        }
}

/* Some services, all of which together offer between a little and too much, and up to two jobs that take what they
 * get. */
static void build_world(struct plant *p, struct testing_random *r)
{
        int n = (int)testing_random_int(r, 1, 4), n_hogs = (int)testing_random_int(r, 0, 2);
        double total_milli = testing_random_double(r, 0.3, 1.2) * CAPACITY_MILLI;

        for (int i = 0; i < n; i++) {
                double weight = testing_random_int(r, 0, 1) ? 100 : testing_random_double(r, 10, 1000);

                (void)plant_add(p, total_milli / n * testing_random_double(r, 0.3, 1.7), weight);
                p->f.services[i].baseline_milli = testing_random_int(r, 0, 1) * testing_random_double(r, 0, 500);
        }
        for (int i = 0; i < n_hogs; i++)
                (void)plant_add_hog(p, testing_random_double(r, 10, 200));
        p->f.rules.spare = testing_random_int(r, 0, 1) ? 1 : testing_random_double(r, 0, 1);
        p->unmanaged.offered_milli = testing_random_int(r, 0, 1) * testing_random_double(r, 0, 1000);
}

/* Steady load. @ret_start: of the epochs before. */
static struct course run_steady(enum enforce mode, unsigned way, struct course *ret_start)
{
        struct testing_random r = { testing_seed() };
        struct course c = { 0 };

        *ret_start = (struct course){ 0 };
        for (int k = 0; k < N_WORLDS; k++) {
                static struct plant p;

                plant_init_obvious(&p, mode, testing_random_u64(&r), way);
                build_world(&p, &r);
                watch_anew(&p);
                plant_epochs(&p, N_SETTLING);
                course_note(ret_start, &p);
                watch_anew(&p);
                plant_epochs(&p, N_WATCHED);
                course_note(&c, &p);
        }
        return c;
}

/* A service that comes and goes within an epoch, beside jobs that take what it leaves. */
static struct course run_pulses(unsigned way)
{
        struct testing_random r = { testing_seed() };
        struct course c = { 0 };

        for (int k = 0; k < 3 * N_WORLDS; k++) {
                static struct plant p;
                struct plant_service *s;

                plant_init_obvious(&p, ENFORCE_BOTH, testing_random_u64(&r), way);
                s = plant_add(&p, testing_random_double(&r, 3000, 3500), 1000);
                s->on_sec = s->off_sec = (unsigned)testing_random_int(&r, 4, 6);
                for (int64_t n = testing_random_int(&r, 1, 2); n > 0; n--)
                        (void)plant_add_hog(&p, 10);
                plant_epochs(&p, N_SETTLING);
                watch_anew(&p);
                plant_epochs(&p, N_WATCHED);
                course_note(&c, &p);
        }
        return c;
}

/* What is unmanaged uses more than the reserve, so quotas could sum to more than was bargained over. */
static struct course run_beside_unmanaged(unsigned way)
{
        struct testing_random r = { testing_seed() };
        struct course c = { 0 };

        for (int k = 0; k < N_WORLDS; k++) {
                static struct plant p;

                plant_init_obvious(&p, ENFORCE_QUOTA, testing_random_u64(&r), way);
                p.unmanaged.offered_milli = testing_random_double(&r, 700, 1000);
                (void)plant_add(&p, testing_random_double(&r, 400, 1000), 1000);
                (void)plant_add_hog(&p, 100);
                plant_epochs(&p, N_SETTLING);
                watch_anew(&p);
                plant_epochs(&p, N_WATCHED);
                course_note(&c, &p);
        }
        return c;
}

/* ---- a step ---------------------------------------------------------------------------------------- */

struct answer {
        unsigned n_steps;               /* well beyond the ceiling */
        double slowest_sec;             /* until the guard's raise */
        double least_served;            /* use / load that is offered, in the end */
};

/* Where all have what they need, one comes to want more than its ceiling, and there is room for that. */
static struct course run_steps(enum enforce mode, struct answer *ret_answer)
{
        struct testing_random r = { testing_seed() };
        struct course c = { 0 };

        *ret_answer = (struct answer){ .least_served = INFINITY };
        for (int k = 0; k < N_WORLDS; k++) {
                static struct plant p;
                struct answer *a = ret_answer;
                uint64_t step_usec;
                bool is_beyond;
                double left_milli;

                plant_init_obvious(&p, mode, testing_random_u64(&r), AS_IT_IS);
                for (int64_t n = testing_random_int(&r, 2, 4); n > 0; n--)
                        (void)plant_add(&p, testing_random_double(&r, 150, 500), 100);
                plant_epochs(&p, N_SETTLING);
                left_milli = 0.8 * p.f.outcome.bargained_milli;
                for (size_t i = 1; i < p.f.n; i++)
                        left_milli -= p.s[i].offered_milli;
                p.s[0].offered_milli = testing_random_double(&r, 0.7, 1) * left_milli;
                watch_anew(&p);
                step_usec = p.now_usec;
                is_beyond = p.s[0].offered_milli > 1.2 * p.s[0].quota_milli;
                plant_epoch(&p);
                if (is_beyond) {
                        double sec = (double)(p.s[0].raised_usec - step_usec) / 1e6;

                        a->n_steps++;
                        a->slowest_sec = fmax(a->slowest_sec, p.s[0].n_raises > 0 ? sec : INFINITY);
                }
                plant_epochs(&p, N_WATCHED);
                course_note(&c, &p);
                a->least_served = fmin(a->least_served, p.s[0].use_milli / p.s[0].offered_milli);
        }
        return c;
}

START_TEST(with_steady_load_guard_and_epoch_do_not_turn_ceilings_by_turns)
{
        static const enum enforce modes[] = { ENFORCE_BOTH, ENFORCE_QUOTA };

        for (int k = 0; k < 2; k++) {
                struct course start, c = run_steady(modes[k], AS_IT_IS, &start);

                course_say(&start, enforce_to_string(modes[k]), "at the start");
                course_say(&c, enforce_to_string(modes[k]), "after");
                /* What turns more often turns with the loads, without the guard. */
                ck_assert_uint_le(start.n_raises_most, 6);
                ck_assert_uint_le(c.n_raises_most, 6);
                ck_assert_uint_le(2 * c.n_raises, c.n_services);
                ck_assert_int_le(c.n_turns, (modes[k] == ENFORCE_BOTH ? 1 : 4) * (int)c.n_services);
        }
}
END_TEST

START_TEST(a_bound_that_an_epoch_took_back_is_not_given_again_at_every_pause_of_the_others)
{
        struct course c = run_pulses(AS_IT_IS), forgetful = run_pulses(FORGETS);

        course_say(&c, "pulses", "as it is");
        course_say(&forgetful, "pulses", "forgets");
        ck_assert_uint_le(c.n_raises_most, 4);
        ck_assert_uint_ge(forgetful.n_raises_most, 10);
}
END_TEST

START_TEST(a_job_does_not_borrow_what_an_epoch_takes_back_every_time)
{
        struct course c = run_beside_unmanaged(AS_IT_IS), brimful = run_beside_unmanaged(LENDS_TO_THE_BRIM | FORGETS);

        course_say(&c, "unmanaged", "as it is");
        course_say(&brimful, "unmanaged", "lends to the brim");
        ck_assert_uint_le(c.n_raises_most, 4);
        ck_assert_int_le(c.n_turns_most, N_WATCHED / 2 - 4);
        ck_assert_int_ge(brimful.n_turns_most, N_WATCHED);
}
END_TEST

/* ---- what is read of who is raised ----------------------------------------------------------------- */

struct ratios {
        double read, counted;           /* shares of throttled periods, sums over epochs with a raise */
        unsigned n_epochs;
};

/* A load that outgrows its share epoch after epoch, again and again. */
static struct ratios run_ratios(unsigned way)
{
        struct testing_random r = { testing_seed() };
        struct ratios ratios = { 0 };

        for (int k = 0; k < N_WORLDS; k++) {
                static struct plant p;
                struct plant_service *s;

                plant_init_obvious(&p, ENFORCE_QUOTA, testing_random_u64(&r), way);
                s = plant_add(&p, 200, 100);
                (void)plant_add(&p, testing_random_double(&r, 100, 400), 500);
                plant_epochs(&p, N_SETTLING);
                for (int i = 0; i < N_WATCHED; i++) {
                        struct unit_counters before = s->counters;
                        unsigned n_raises = s->n_raises;

                        s->offered_milli = s->offered_milli > 1200 ? 200 : testing_random_double(&r, 1, 2) * s->offered_milli;
                        plant_epoch(&p);
                        if (s->n_raises == n_raises)
                                continue;
                        ratios.n_epochs++;
                        ratios.read += s->estimate.throttled_ratio;
                        ratios.counted += (double)(s->counters.nr_throttled - before.nr_throttled) /
                                          (double)(s->counters.nr_periods - before.nr_periods);
                }
        }
        return ratios;
}

START_TEST(the_share_of_throttled_periods_of_who_is_raised_is_read_as_it_is)
{
        struct ratios as_it_is = run_ratios(AS_IT_IS), whole = run_ratios(DROPS_WHOLE_SAMPLES);

        fprintf(stderr, "# raised in %u epochs: %.3f of their periods throttled, %.3f read; %.3f read of %.3f without the part of a sample before a write\n",
                as_it_is.n_epochs, as_it_is.counted / as_it_is.n_epochs, as_it_is.read / as_it_is.n_epochs,
                whole.read / whole.n_epochs, whole.counted / whole.n_epochs);
        ck_assert_uint_ge(as_it_is.n_epochs, 100);
        ck_assert_double_ge(as_it_is.read, 0.65 * as_it_is.counted);
        ck_assert_double_le(as_it_is.read, 1.05 * as_it_is.counted);
        ck_assert_double_le(whole.read, 0.5 * whole.counted);
}
END_TEST

START_TEST(a_step_is_answered_before_the_epoch_and_does_not_swing)
{
        static const enum enforce modes[] = { ENFORCE_BOTH, ENFORCE_QUOTA };
        struct answer a;

        for (int k = 0; k < 2; k++) {
                struct course c = run_steps(modes[k], &a);

                course_say(&c, enforce_to_string(modes[k]), "after a step");
                fprintf(stderr, "# %u steps beyond a ceiling, raised after %.1f s at most; %.2f of the load is served in the end at least\n", a.n_steps,
                        a.slowest_sec, a.least_served);
                ck_assert_double_ge(a.least_served, 0.8);
                ck_assert_double_le(a.slowest_sec, 8);
                ck_assert_uint_le(c.n_raises_most, 8);
                ck_assert_int_le(c.n_turns_most, N_WATCHED / 2);
                if (modes[k] == ENFORCE_QUOTA)
                        ck_assert_uint_ge(a.n_steps, N_WORLDS / 2);
        }
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("prop_guard_epochs");
        TCase *t = tcase_create("loops");

        tcase_add_test(t, with_steady_load_guard_and_epoch_do_not_turn_ceilings_by_turns);
        tcase_add_test(t, a_bound_that_an_epoch_took_back_is_not_given_again_at_every_pause_of_the_others);
        tcase_add_test(t, a_job_does_not_borrow_what_an_epoch_takes_back_every_time);
        tcase_add_test(t, a_step_is_answered_before_the_epoch_and_does_not_swing);
        tcase_add_test(t, the_share_of_throttled_periods_of_who_is_raised_is_read_as_it_is);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return testing_run(suite());
}
