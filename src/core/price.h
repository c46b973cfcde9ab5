/* SPDX-License-Identifier: MIT */
#pragma once

/* Prices: what CPU costs now, what a request costs, and how services yield to it.
 *
 * The shadow price is the market's (market.h); a request on a path costs the price times the CPU it takes
 * on all services of the path. Services that opt in (Elasticity=) lower their need when the price is above
 * its mean of the last hour.
 *
 * The price that services yield to is the one that there would be if nobody yielded. With the price that
 * their own yielding makes, a host at the border of two tiers would swing for ever: they yield, the price
 * falls to 0, they return. Source: doc/theory.md, Prices. */

#include "core/model.h"

#define PRICE_FACTOR_MIN 0.8            /* at most a fifth an epoch */

struct price_memory {
        double smooth;                  /* moving average over a few epochs; NAN = none yet */
        double hour;                    /* mean of about an hour; NAN = none yet */
};

void price_memory_init(struct price_memory *m);

/**
 * price_observe() - take in the price of an epoch
 * @price:      per milli; INFINITY and the prices of the lower tiers count as at most a multiple of the
 *              mean: they have other units and no upper bound
 * @tier:       the tier that it belongs to
 * @scale:      a natural price of this host: sum of weights over capacity, > 0
 * @epoch_sec:  length of the epoch
 */
void price_observe(struct price_memory *m, double price, enum tier tier, double scale,
                   double epoch_sec);

/* The factor on need, PRICE_FACTOR_MIN .. 1: clamp((hour / smooth)^elasticity), 1 at price 0. */
double price_response(double price, double reference, double elasticity);

/* Need after the response: within [lower, upper], never above need. */
double price_respond(double need_milli, double price, double reference, double elasticity,
                     double lower_milli, double upper_milli);

/* What a request on a path costs: price times the sum of its CPU-ms on every service. */
double price_of_path(double price, const double visits[], const double cpu_ms[], size_t n);
