/* SPDX-License-Identifier: MIT */
#pragma once

/* Which of n things happens first: a tournament of times.
 *
 * Changing one time costs at most log2 n comparisons, and fewer where the winner stays the same. Of equal
 * times the lowest index wins, so that a run is the same on every machine. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>

struct earliest {
        double *at_usec;                /* n entries; INFINITY: never */
        uint32_t *winner;               /* 2 * n_leaves entries: [1] is the winner of all */
        size_t n_leaves;                /* a power of two >= n */
};

/* Entries of `winner` and of `at_usec` (those behind the last thing never happen) for n things. */
static inline size_t earliest_leaves(size_t n)
{
        size_t leaves = 1;

        while (leaves < n)
                leaves *= 2;
        return leaves;
}

/* After at_usec[] was changed in many places: n comparisons. */
static inline void earliest_rebuild(struct earliest *e)
{
        for (size_t k = e->n_leaves; k-- > 1;) {
                uint32_t a = e->winner[2 * k], b = e->winner[2 * k + 1];

                e->winner[k] = e->at_usec[b] < e->at_usec[a] ? b : a;
        }
}

/* @at_usec: earliest_leaves(n) entries; @winner: twice as many. */
static inline void earliest_init(struct earliest *e, double at_usec[], uint32_t winner[], size_t n)
{
        *e = (struct earliest){ at_usec, winner, earliest_leaves(n) };
        for (size_t i = 0; i < e->n_leaves; i++) {
                at_usec[i] = INFINITY;
                winner[e->n_leaves + i] = (uint32_t)i;
        }
        earliest_rebuild(e);
}

static inline void earliest_set(struct earliest *e, size_t i, double at_usec)
{
        if (e->at_usec[i] == at_usec)
                return;
        e->at_usec[i] = at_usec;
        for (size_t k = (e->n_leaves + i) / 2; k > 0; k /= 2) {
                uint32_t a = e->winner[2 * k], b = e->winner[2 * k + 1];
                uint32_t first = e->at_usec[b] < e->at_usec[a] ? b : a;

                /* Others won here before and do now: nothing above can tell. */
                if (first == e->winner[k] && first != i)
                        return;
                e->winner[k] = first;
        }
}

static inline size_t earliest_first(const struct earliest *e)
{
        return e->n_leaves > 1 ? e->winner[1] : 0;
}
