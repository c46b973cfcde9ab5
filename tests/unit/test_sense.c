/* SPDX-License-Identifier: MIT */

#include "daemon/sense.h"

#include "daemon/services.h"
#include "lib/fake_tree.h"
#include "lib/testing.h"

#include <stdlib.h>
#include <string.h>

#define SEC UINT64_C(1000000)
#define N_SERVICES 50

/* ---- everybody who allocates is counted -------------------------------------------------------- */

/* Volatile: the compiler believes of strdup() that it changes nothing of ours. */
static volatile unsigned long n_allocations;

#if defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

#ifdef HAS_SANITIZER
void __sanitizer_malloc_hook(const volatile void *ptr, size_t size);
void __sanitizer_malloc_hook(const volatile void *ptr, size_t size)
{
        n_allocations++;
}
#else
/* Ours come before those of glibc, for libraries too. What they hand out is glibc's own: free() need not
 * know. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

void *malloc(size_t size)
{
        n_allocations++;
        return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
        n_allocations++;
        return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
        n_allocations++;
        return __libc_realloc(p, size);
}
#endif

/* ---- a daemon of which only the table is there --------------------------------------------------- */

static struct fake_tree *tree;
static struct daemon d;
static struct service table[N_SERVICES], *services[N_SERVICES];
static struct systemd_unit units[N_SERVICES];
static char groups[N_SERVICES][32];
static bool plays;

/* The table's business (services.c). */
bool service_plays(const struct service *s)
{
        return plays;
}

void service_forget_allocation(struct service *s)
{
        s->has_decision = false;
}

static void use(size_t i, uint64_t usage_usec)
{
        fake_tree_unit(tree, groups[i] + 1, &(struct fake_unit){ .usage_usec = usage_usec });
}

static void setup(void)
{
        tree = fake_tree_new();
        fake_tree_host(tree, &(struct fake_host){ .n_cpus = 4 });
        plays = true;
        d = (struct daemon){ .mount = (char *)fake_tree_mount(tree), .services = services, .n_services = N_SERVICES };
        for (size_t i = 0; i < N_SERVICES; i++) {
                snprintf(groups[i], sizeof groups[i], "/u%zu.slice", i);
                use(i, 0);
                units[i] = (struct systemd_unit){ .control_group = groups[i], .is_active = true };
                table[i] = (struct service){ .d = &d, .systemd = &units[i], .reader = CGROUP_READER_CLOSED };
                services[i] = &table[i];
                sense_open(&d, &table[i]);
                ck_assert_int_ge(table[i].reader.dir_fd, 0);
        }
        ck_assert_int_eq(host_cpu_open(fake_tree_root(tree), d.mount, &d.host), 0);
}

static void teardown(void)
{
        for (size_t i = 0; i < N_SERVICES; i++)
                cgroup_reader_close(&table[i].reader);
        host_cpu_close(&d.host);
        fake_tree_free(tree);
}

START_TEST(the_counter_sees_who_allocates)
{
        unsigned long before = n_allocations;
        char *volatile copy = strdup("seen inside the library, too");

        ck_assert_uint_gt(n_allocations, before);
        free(copy);
}
END_TEST

START_TEST(a_thousand_samples_allocate_nothing)
{
        unsigned long before;

        sense_sample(&d);
        before = n_allocations;
        for (unsigned i = 0; i < 1000; i++)
                sense_sample(&d);
        ck_assert_uint_eq(n_allocations, before);
        ck_assert(table[N_SERVICES - 1].has_counters);
        ck_assert(d.has_host_counters);
}
END_TEST

START_TEST(what_is_used_by_nobody_who_plays_is_unmanaged)
{
        sense_sample(&d);
        use(7, 2 * SEC);
        use(8, SEC);
        fake_tree_host(tree, &(struct fake_host){ .n_cpus = 4, .busy_usec = 5 * SEC });
        sense_sample(&d);
        ck_assert_uint_eq(d.unmanaged_counters.usage_usec, 2 * SEC);

        plays = false;
        use(7, 3 * SEC);
        fake_tree_host(tree, &(struct fake_host){ .n_cpus = 4, .busy_usec = 6 * SEC });
        sense_sample(&d);
        ck_assert_uint_eq(d.unmanaged_counters.usage_usec, 3 * SEC);
}
END_TEST

START_TEST(a_unit_that_makes_no_sense_keeps_nobody_from_being_sampled)
{
        sense_sample(&d);
        fake_tree_unit(tree, groups[3] + 1, &(struct fake_unit){ .is_garbled = true });
        use(3 + 1, SEC);
        sense_sample(&d);
        ck_assert_uint_eq(table[3].counters.usage_usec, 0);
        ck_assert_uint_eq(table[3 + 1].counters.usage_usec, SEC);
}
END_TEST

START_TEST(the_same_cgroup_is_the_same_player_and_another_is_not)
{
        int fd = table[0].reader.dir_fd;

        sense_sample(&d);
        sense_open(&d, &table[0]);
        ck_assert_int_eq(table[0].reader.dir_fd, fd);
        ck_assert(table[0].has_counters);

        /* The directory is there still while another of its name is made: no inode is used twice. */
        table[0].has_decision = true;
        units[0].control_group = groups[1];
        sense_open(&d, &table[0]);
        ck_assert(!table[0].has_counters);
        ck_assert(table[0].is_fresh_cgroup);
        ck_assert(!table[0].has_decision);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("sense");
        TCase *c = tcase_create("sense");

        tcase_add_checked_fixture(c, setup, teardown);
        tcase_add_test(c, the_counter_sees_who_allocates);
        tcase_add_test(c, a_thousand_samples_allocate_nothing);
        tcase_add_test(c, what_is_used_by_nobody_who_plays_is_unmanaged);
        tcase_add_test(c, a_unit_that_makes_no_sense_keeps_nobody_from_being_sampled);
        tcase_add_test(c, the_same_cgroup_is_the_same_player_and_another_is_not);
        suite_add_tcase(s, c);
        return testing_run(s);
}
