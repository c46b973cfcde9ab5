/* SPDX-License-Identifier: MIT */
#pragma once

/* What every libcheck program here shares: a main() for one suite, and a seeded generator. */

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Runs one suite; the TAP driver reads the output (see AM_TESTS_ENVIRONMENT in Makefile.am). */
static inline int testing_run(Suite *suite)
{
        SRunner *runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        int n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* splitmix64: tiny, well mixed, the same everywhere. */
struct testing_random {
        uint64_t state;
};

static inline uint64_t testing_random_u64(struct testing_random *r)
{
        uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

/* Uniform in [low, high]. */
static inline int64_t testing_random_int(struct testing_random *r, int64_t low, int64_t high)
{
        return low + (int64_t)(testing_random_u64(r) % (uint64_t)(high - low + 1));
}

static inline double testing_random_double(struct testing_random *r, double low, double high)
{
        return low + (high - low) * (double)(testing_random_u64(r) >> 11) * 0x1.0p-53;
}

/* The seed of a property test: COALLOC_SEED= replays one, otherwise fixed, so that a red build can
 * be repeated. Printed on standard error, where the TAP driver does not look. */
static inline uint64_t testing_seed(void)
{
        const char *text = getenv("COALLOC_SEED");
        uint64_t seed = text ? strtoull(text, NULL, 0) : 20261121u;
        fprintf(stderr, "# seed %llu (COALLOC_SEED=)\n", (unsigned long long)seed);
        return seed;
}

/* A file of the source tree, for test data. The buffer is static: use the result at once. */
static inline const char *testing_source_path(const char *relative)
{
        static char path[4096];
        const char *top = getenv("COALLOC_SRCDIR");
        snprintf(path, sizeof path, "%s/%s", top ? top : ".", relative);
        return path;
}
