/* SPDX-License-Identifier: MIT */

#include "core/price.h"

/* The price of one epoch jumps with every need; of some four it says what is lasting. */
#define SMOOTH_EPOCHS 4.0
#define HOUR_SEC 3600.0

/* A sample counts as no more than this many times the mean, or a natural price where that is larger: a
 * price has no upper bound, and one epoch at the border of a tier would otherwise be the mean of an
 * hour. What is really dear is still learned: a mean that is fed four times itself grows e^3-fold in an
 * hour. */
#define SAMPLE_MAX_MEANS 4.0

void price_memory_init(struct price_memory *m)
{
        m->smooth = m->hour = NAN;
}

static void follow(double *mean, double sample, double share)
{
        *mean = isnan(*mean) ? sample : *mean + share * (sample - *mean);
}

void price_observe(struct price_memory *m, double price, enum tier tier, double scale,
                   double epoch_sec)
{
        double sample_max = SAMPLE_MAX_MEANS * fmax(m->hour, scale);    /* fmax() passes a NAN over */
        bool is_comparable = tier >= TIER_CONGESTED;

        if (isnan(price))
                return;
        /* Below the baselines the price has another unit. Just above it is infinite: there it counts as
         * the most there is, so nothing jumps at that border. */
        follow(&m->smooth, is_comparable ? fmin(price, sample_max) : sample_max, 1 / SMOOTH_EPOCHS);
        if (is_comparable)
                follow(&m->hour, fmin(price, sample_max), -expm1(-epoch_sec / HOUR_SEC));
}

double price_response(double price, double reference, double elasticity)
{
        /* Nothing to compare with, or nothing to yield to. */
        if (!(price > 0) || isnan(reference))
                return 1;
        return fmax(PRICE_FACTOR_MIN, fmin(1, pow(reference / price, elasticity)));
}

double price_respond(double need_milli, double price, double reference, double elasticity,
                     double lower_milli, double upper_milli)
{
        double need = need_milli * price_response(price, reference, elasticity);

        return fmin(need_milli, fmax(lower_milli, fmin(need, upper_milli)));
}

double price_of_path(double price, const double visits[], const double cpu_ms[], size_t n)
{
        double sum_ms = 0;

        for (size_t i = 0; i < n; i++)
                sum_ms += visits[i] * cpu_ms[i];
        /* What costs no CPU is free, also where CPU is infinitely dear. */
        return sum_ms > 0 ? price * sum_ms : 0;
}
