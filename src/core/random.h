/* SPDX-License-Identifier: MIT */
#pragma once

/* Seeded randomness: the same seed gives the same numbers on every machine.
 * xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64; bounded by Lemire's method (2019). */

#include <stdint.h>

struct random {
        uint64_t state[4];
};

void random_init(struct random *r, uint64_t seed);
uint64_t random_next(struct random *r);
/* Uniform in 0 .. bound - 1, without bias; bound > 0. */
uint64_t random_below(struct random *r, uint64_t bound);
/* A uniform permutation of 0 .. n - 1 (Fisher-Yates, from the top). */
void random_permutation(struct random *r, unsigned n, unsigned ret[]);
