/* SPDX-License-Identifier: MIT */

#include "sim/histogram.h"

#include <math.h>
#include <stddef.h>

void histogram_add(struct histogram *h, double usec)
{
        int octave;
        /* 0.5 <= mantissa < 1; what is shorter than the first bucket or longer than the last counts there. */
        double mantissa = frexp(fmax(usec, 1), &octave);
        size_t i = (size_t)(octave - 1) * HISTOGRAM_PER_OCTAVE + (size_t)((2 * mantissa - 1) * HISTOGRAM_PER_OCTAVE);

        h->n++;
        h->sum_usec += usec;
        h->counts[i < HISTOGRAM_BUCKETS ? i : HISTOGRAM_BUCKETS - 1]++;
}

double histogram_quantile_usec(const struct histogram *h, double share)
{
        uint64_t rank = (uint64_t)ceil(share * (double)h->n), seen = 0;

        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
                seen += h->counts[i];
                if (seen > 0 && seen >= rank)
                        return ldexp(1 + ((double)(i % HISTOGRAM_PER_OCTAVE) + 0.5) / HISTOGRAM_PER_OCTAVE,
                                     (int)(i / HISTOGRAM_PER_OCTAVE));
        }
        return NAN;
}

double histogram_mean_usec(const struct histogram *h)
{
        return h->n > 0 ? h->sum_usec / (double)h->n : NAN;
}
