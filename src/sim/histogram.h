/* SPDX-License-Identifier: MIT */
#pragma once

/* How long requests took: counts in buckets that are 1/64 of an octave wide, so that a percentile is right
 * to 0.8 %, in a fixed piece of memory however long the run. */

#include <stdint.h>

#define HISTOGRAM_PER_OCTAVE 64
#define HISTOGRAM_OCTAVES 36            /* 1 us to 19 hours */
#define HISTOGRAM_BUCKETS (HISTOGRAM_PER_OCTAVE * HISTOGRAM_OCTAVES)

struct histogram {
        uint64_t n;
        double sum_usec;
        uint64_t counts[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, double usec);

/* The shortest time that at least @share (0..1) of all took no longer than (nearest rank), to the middle of its bucket;
 * NAN of nothing. */
double histogram_quantile_usec(const struct histogram *h, double share);

/* NAN of nothing. */
double histogram_mean_usec(const struct histogram *h);
