/* SPDX-License-Identifier: MIT */

/* The ways in which what we set comes back as what we measure. Each is closed in a host that behaves as the kernel
 * does (lib/plant.h), once with the estimator as it is, and once with the obvious one that it is not: that one
 * swings or ratchets in the same world under the same loads, so the test is able to see it. */

#include "lib/plant.h"

#define N_WORLDS 6
#define CAPACITY_MILLI 4000.0
#define N_SETTLING 12
#define N_WATCHED 40

/* A move of so much of a need is one. */
#define NOTABLE 0.1

/* What several worlds came to, the worst of each. */
struct course {
        int most_flips;
        double widest;                  /* high / low */
        double most, least;             /* need / load that is offered, in the mean of the watched epochs */
        double mean_followed;           /* epochs until use was what is offered, over the worlds */
};

static void course_note(struct course *c, const struct plant_track *t, double offered_milli)
{
        double mean = plant_mean(t) / offered_milli;

        c->most_flips = t->n_flips > c->most_flips ? t->n_flips : c->most_flips;
        c->widest = fmax(c->widest, t->high / fmax(t->low, 1));
        c->most = fmax(c->most, mean);
        c->least = c->least == 0 ? mean : fmin(c->least, mean);
}

static void course_say(const struct course *c, const char *path, const char *who)
{
        fprintf(stderr, "# %s, %s: %d turns at most, %.2f between high and low, %.2f to %.2f of what is offered",
                path, who, c->most_flips, c->widest, c->least, c->most);
        if (c->mean_followed > 0)
                fprintf(stderr, ", %.1f epochs to follow", c->mean_followed);
        fprintf(stderr, "\n");
}

/* ---- use, ceiling, use ---------------------------------------------------------------------------- */

/* The obvious need: what was used, and a margin. */
static void need_from_mean_use(struct plant *p, size_t i)
{
        struct plant_service *s = &p->s[i];

        s->load_milli = s->estimate.use_mean_milli;
        s->need_milli = DEMAND_MARGIN * s->estimate.use_mean_milli;
}

/* A raise that ends with the throttling. */
static void raise_without_memory(struct plant *p, size_t i)
{
        struct plant_service *s = &p->s[i];

        s->load_milli = s->estimate.use_mean_milli;
        s->need_milli = DEMAND_MARGIN * s->estimate.use_mean_milli *
                        (s->estimate.throttled_ratio > DEMAND_THROTTLED_FINE ? 1.5 : 1);
}

/* A partition that a hog keeps congested, so that no spare CPU hides the loop. Then the load triples. */
static struct course run_ceiling(void (*estimator)(struct plant *, size_t))
{
        struct testing_random r = { testing_seed() };
        struct course c = { 0 };

        for (int k = 0; k < N_WORLDS; k++) {
                static struct plant p;
                struct plant_track before = { .share = NOTABLE }, after = { .share = NOTABLE };
                double offered = testing_random_double(&r, 250, 500);
                int n_followed = 0;

                plant_init(&p, ENFORCE_QUOTA, CAPACITY_MILLI, testing_random_u64(&r));
                p.estimator = estimator;
                (void)plant_add(&p, offered, 1000);
                (void)plant_add(&p, testing_random_double(&r, 200, 400), 1000);
                (void)plant_add_hog(&p, 100);
                plant_epochs(&p, N_SETTLING);
                for (int i = 0; i < N_WATCHED; i++) {
                        plant_epoch(&p);
                        plant_watch(&before, p.s[0].need_milli);
                }
                course_note(&c, &before, offered);
                p.s[0].offered_milli = 3 * offered;
                do
                        plant_epoch(&p);
                while (++n_followed < N_WATCHED && p.s[0].use_milli < 0.95 * 3 * offered);
                c.mean_followed += (double)n_followed / N_WORLDS;
                plant_epochs(&p, N_SETTLING);
                for (int i = 0; i < N_WATCHED; i++) {
                        plant_epoch(&p);
                        plant_watch(&after, p.s[0].need_milli);
                }
                course_note(&c, &after, 3 * offered);
        }
        return c;
}

/* ---- weight, stall, need -------------------------------------------------------------------------- */

/* Pressure means too little, whatever is usual, for as long as it lasts. */
static void raise_while_stalled(struct plant *p, size_t i)
{
        struct plant_service *s = &p->s[i];
        double last_milli = p->f.services[i].need_milli;

        s->need_milli = s->estimate.stall_share > 0.15
                                ? fmin(fmax(DEMAND_MARGIN * s->load_milli, DEMAND_MARGIN * last_milli), 1e9)
                                : DEMAND_MARGIN * s->load_milli;
}

/* Two services that fit, @most_milli each at first, come to want more than there is; what is watched is their need. */
static struct course run_overload(enum enforce enforce, double most_milli, double first_weight,
                                  double second_weight, void (*estimator)(struct plant *, size_t))
{
        struct testing_random r = { testing_seed() };
        struct course c = { 0 };

        for (int k = 0; k < N_WORLDS; k++) {
                static struct plant p;
                struct plant_track need[2] = { { .share = NOTABLE }, { .share = NOTABLE } };

                plant_init(&p, enforce, CAPACITY_MILLI, testing_random_u64(&r));
                p.estimator = estimator;
                (void)plant_add(&p, testing_random_double(&r, 1000, most_milli), first_weight);
                (void)plant_add(&p, testing_random_double(&r, 1000, most_milli), second_weight);
                plant_epochs(&p, N_SETTLING);
                for (size_t i = 0; i < 2; i++)
                        p.s[i].offered_milli = testing_random_double(&r, 2200, 2800);
                plant_epochs(&p, N_SETTLING);
                for (int i = 0; i < N_WATCHED; i++) {
                        plant_epoch(&p);
                        plant_watch(&need[0], p.s[0].need_milli);
                        plant_watch(&need[1], p.s[1].need_milli);
                }
                course_note(&c, &need[0], p.s[0].offered_milli);
                course_note(&c, &need[1], p.s[1].offered_milli);
        }
        return c;
}

/* One of them counts for little. */
static struct course run_stall(enum enforce enforce, void (*estimator)(struct plant *, size_t))
{
        return run_overload(enforce, 1500, 1000, 10, estimator);
}

/* ---- unmanaged load, capacity, pressure, unmanaged load --------------------------------------------- */

/* Beside a job that takes whatever is spare, what is unmanaged comes and goes. */
static struct course run_unmanaged(enum enforce enforce, bool holds_unmanaged)
{
        struct testing_random r = { testing_seed() };
        struct course c = { 0 };

        for (int k = 0; k < N_WORLDS; k++) {
                static struct plant p;
                struct plant_track bargained = { .share = NOTABLE };

                plant_init(&p, enforce, CAPACITY_MILLI, testing_random_u64(&r));
                p.holds_unmanaged = holds_unmanaged;
                (void)plant_add(&p, testing_random_double(&r, 900, 1100), 100);
                (void)plant_add_hog(&p, 10);
                for (int i = 0; i < N_SETTLING + N_WATCHED; i++) {
                        p.unmanaged.offered_milli = testing_random_double(&r, 300, 1500);
                        plant_epoch(&p);
                        if (i >= N_SETTLING)
                                plant_watch(&bargained, p.f.outcome.bargained_milli);
                }
                course_note(&c, &bargained, CAPACITY_MILLI - 1500);
        }
        return c;
}

/* What is unmanaged takes all that our services leave, so our release is its growth. */
static struct course run_unmanaged_hog(enum enforce enforce)
{
        struct testing_random r = { testing_seed() };
        struct course c = { 0 };

        for (int k = 0; k < N_WORLDS; k++) {
                static struct plant p;
                struct plant_track bargained = { .share = NOTABLE };
                double offered = testing_random_double(&r, 800, 1200);

                plant_init(&p, enforce, CAPACITY_MILLI, testing_random_u64(&r));
                (void)plant_add(&p, offered, 100);
                (void)plant_add(&p, testing_random_double(&r, 400, 600), 100);
                p.f.services[0].baseline_milli = 400;
                p.unmanaged.is_hog = true;
                plant_epochs(&p, N_SETTLING);
                for (int i = 0; i < N_WATCHED; i++) {
                        plant_epoch(&p);
                        plant_watch(&bargained, p.f.outcome.bargained_milli);
                }
                course_note(&c, &bargained, offered);
        }
        return c;
}

/* ---- own quota, PSI, need ------------------------------------------------------------------------- */

/* Own throttling is pressure like any other. */
static void raise_by_pressure(struct plant *p, size_t i)
{
        struct plant_service *s = &p->s[i];
        double last_milli = p->f.services[i].need_milli;

        s->need_milli = s->estimate.stall_share > 1.25 * s->healthy_stall + 0.05 ?
                                fmin(DEMAND_MARGIN * fmax(s->load_milli, last_milli), 1e9)
                                : DEMAND_MARGIN * s->load_milli;
}

static struct course run_own_quota(void (*estimator)(struct plant *, size_t))
{
        return run_overload(ENFORCE_QUOTA, 1400, 100, 100, estimator);
}

START_TEST(a_ceiling_derived_from_use_neither_starves_nor_swings)
{
        struct course c = run_ceiling(NULL), naive = run_ceiling(need_from_mean_use);
        struct course forgetful = run_ceiling(raise_without_memory);

        course_say(&c, "ceiling", "as it is");
        course_say(&naive, "ceiling", "need from mean use");
        course_say(&forgetful, "ceiling", "raise without memory");
        ck_assert_double_le(c.mean_followed, 4);
        ck_assert_int_le(c.most_flips, N_WATCHED / 2 - 4);
        ck_assert_double_ge(c.least, 1.15);
        ck_assert_double_le(c.most, 2.3);
        /* Use that a ceiling cuts off cannot show that it does: need follows at the pace of its margin. */
        ck_assert_double_ge(naive.mean_followed, 2 * c.mean_followed);
        ck_assert_int_ge(forgetful.most_flips, N_WATCHED / 2 + 4);
}
END_TEST

START_TEST(the_stall_that_a_low_weight_makes_does_not_make_need_grow)
{
        static const enum enforce modes[] = { ENFORCE_BOTH, ENFORCE_WEIGHT };

        for (int k = 0; k < 2; k++) {
                struct course c = run_stall(modes[k], NULL), naive = run_stall(modes[k], raise_while_stalled);

                course_say(&c, "stall", "as it is");
                course_say(&naive, "stall", "pressure by its value");
                ck_assert_int_le(c.most_flips, 4);
                ck_assert_double_le(c.most, DEMAND_MARGIN * (1 + DEMAND_STALL_RAISE_MAX) * 1.1);
                ck_assert_double_ge(naive.most, 100);
        }
}
END_TEST

START_TEST(capacity_settles_beside_unmanaged_load_that_is_kept_down)
{
        static const enum enforce modes[] = { ENFORCE_BOTH, ENFORCE_WEIGHT };

        for (int k = 0; k < 2; k++) {
                struct course c = run_unmanaged(modes[k], true), naive = run_unmanaged(modes[k], false);

                course_say(&c, "unmanaged", "as it is");
                course_say(&naive, "unmanaged", "load is use");
                ck_assert_int_le(c.most_flips, 4);
                ck_assert_int_ge(naive.most_flips, N_WATCHED / 4);
        }
}
END_TEST

START_TEST(unmanaged_load_that_grows_into_what_is_left_does_not_ratchet)
{
        for (int mode = 0; mode < _ENFORCE_MAX; mode++) {
                struct course c = run_unmanaged_hog((enum enforce)mode);

                course_say(&c, "unmanaged job", enforce_to_string((enum enforce)mode));
                ck_assert_int_le(c.most_flips, 4);
                ck_assert_double_le(c.widest, 1.15);
                ck_assert_double_ge(c.least, 1);
        }
}
END_TEST

START_TEST(own_throttling_is_no_pressure)
{
        struct course c = run_own_quota(NULL), naive = run_own_quota(raise_by_pressure);

        course_say(&c, "own quota", "as it is");
        course_say(&naive, "own quota", "own throttling as pressure");
        ck_assert_int_le(c.most_flips, 4);
        ck_assert_double_le(c.widest, 1.3);
        ck_assert_double_le(c.most, DEMAND_MARGIN * 2);
        ck_assert_double_ge(naive.most, 50);
}
END_TEST

/* ---- at the border of satisfied ------------------------------------------------------------------- */

#define EPOCHS_AN_HOUR 240

/* How often the ceiling of a service comes or goes in an hour, whose load is what it is given but for five
 * percent of noise. */
static int run_border(struct testing_random *r, double offered_milli, bool is_remembered)
{
        static struct plant p;
        bool had = false;
        int n = 0;

        plant_init(&p, ENFORCE_BOTH, CAPACITY_MILLI, testing_random_u64(r));
        (void)plant_add(&p, offered_milli, 100);
        (void)plant_add(&p, 1000, 100);
        plant_epochs(&p, N_SETTLING);
        p.s[1].offered_milli = 2400;
        for (int i = 0; i < N_SETTLING + EPOCHS_AN_HOUR; i++) {
                bool has;

                p.s[0].offered_milli = offered_milli * testing_random_double(r, 0.95, 1.05);
                if (!is_remembered)
                        p.f.services[0].was_unbounded = false;
                plant_epoch(&p);
                has = p.f.decisions[0].quota_milli != QUOTA_NONE_MILLI;
                if (i >= N_SETTLING)
                        n += has != had;
                had = has;
        }
        return n;
}

START_TEST(the_ceiling_of_a_service_at_the_border_of_its_allocation_does_not_come_and_go)
{
        struct testing_random r = { testing_seed() };
        int most = 0, most_without = 0;

        for (double offered = 1500; offered <= 1950; offered += 50) {
                int n = run_border(&r, offered, true), without = run_border(&r, offered, false);

                most = n > most ? n : most;
                most_without = without > most_without ? without : most_without;
        }
        fprintf(stderr, "# a ceiling came or went %d times an hour at most, %d without memory\n", most, most_without);
        ck_assert_int_le(most, 8);
        ck_assert_int_ge(most_without, 40);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("prop_feedback");
        TCase *t = tcase_create("loops");

        tcase_add_test(t, a_ceiling_derived_from_use_neither_starves_nor_swings);
        tcase_add_test(t, the_stall_that_a_low_weight_makes_does_not_make_need_grow);
        tcase_add_test(t, capacity_settles_beside_unmanaged_load_that_is_kept_down);
        tcase_add_test(t, unmanaged_load_that_grows_into_what_is_left_does_not_ratchet);
        tcase_add_test(t, own_throttling_is_no_pressure);
        tcase_add_test(t, the_ceiling_of_a_service_at_the_border_of_its_allocation_does_not_come_and_go);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return testing_run(suite());
}
