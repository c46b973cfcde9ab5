/* SPDX-License-Identifier: MIT */

#include "core/random.h"

static uint64_t rotate_left(uint64_t x, unsigned k)
{
        return (x << k) | (x >> (64 - k));
}

void random_init(struct random *r, uint64_t seed)
{
        /* splitmix64: seeds that differ in a bit give unrelated states, and never all zeros. */
        for (unsigned k = 0; k < 4; k++) {
                uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));

                z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
                z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
                r->state[k] = z ^ (z >> 31);
        }
}

uint64_t random_next(struct random *r)
{
        uint64_t *s = r->state;
        uint64_t next = rotate_left(s[1] * 5, 7) * 9, t = s[1] << 17;

        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = rotate_left(s[3], 45);
        return next;
}

uint64_t random_below(struct random *r, uint64_t bound)
{
        /* The high half of next * bound is the answer. The low halves below 2^64 mod bound belong to
         * answers that would come up once too often: those draws are repeated. */
        uint64_t surplus = -bound % bound;
        unsigned __int128 product;

        do
                product = (unsigned __int128)random_next(r) * bound;
        while ((uint64_t)product < surplus);
        return (uint64_t)(product >> 64);
}

void random_permutation(struct random *r, unsigned n, unsigned ret[])
{
        for (unsigned i = 0; i < n; i++)
                ret[i] = i;
        for (unsigned i = n; i-- > 1;) {
                unsigned j = (unsigned)random_below(r, i + 1), swap = ret[i];

                ret[i] = ret[j];
                ret[j] = swap;
        }
}
