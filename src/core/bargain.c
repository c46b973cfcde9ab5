/* SPDX-License-Identifier: MIT */

#include "core/bargain.h"

#include <errno.h>

#include "core/waterfill.h"

/* How near the sum of the shares has to come to the amount before the rest is spread. */
#define SUM_TOLERANCE 1e-9

/* And how near the price: spreading is a last step of Newton's, its error the square of this. */
#define PRICE_TOLERANCE 1e-6

/* What all players together ask for at a price. */
struct response {
        double total;
        double free;                    /* of that, by those who are not at a bound */
        double slope;                   /* - d total / d log price */
};

static bool takes_part(const struct gain *g, double weight)
{
        return weight > 0 && g->box_milli > 0;
}

/* Shares serve as hints and are replaced; yielding[] says by how much each falls per unit of log price. */
static struct response respond(const struct gain gain[], const double weight[], size_t n, double log_price,
                               double share[], double yielding[])
{
        struct response all = {};

        for (size_t i = 0; i < n; i++) {
                double elasticity;

                if (!takes_part(&gain[i], weight[i]))
                        continue;
                share[i] = gain_demand_at(&gain[i], log_price - log(weight[i]), share[i], &elasticity);
                yielding[i] = share[i] * elasticity;
                all.total += share[i];
                all.slope += yielding[i];
                if (elasticity > 0)
                        all.free += share[i];
        }
        return all;
}

/* The price at which everybody is at its bound. */
static double log_price_of_plenty(const struct gain gain[], const double weight[], size_t n)
{
        double least = INFINITY;

        for (size_t i = 0; i < n; i++)
                if (takes_part(&gain[i], weight[i]))
                        least = fmin(least, log(weight[i]) + gain_log_urge(&gain[i], gain[i].box_milli));
        return least;
}

/* Finds the price at which the shares add up to the amount, between the price of plenty and the one that
 * there would be without targets: who has a target never asks for more than who has none. */
static int find_price(const struct gain gain[], const double weight[], size_t n, double amount,
                      unsigned max_iterations, double log_price, double yielding[], double share[],
                      double *ret_price)
{
        double low = log_price_of_plenty(gain, weight, n), high = log_price, last_miss = INFINITY;
        struct response all;
        double miss;
        bool is_near;

        for (unsigned i = 1;; i++) {
                double room, next;

                all = respond(gain, weight, n, log_price, share, yielding);
                miss = all.total - amount;
                is_near = fabs(miss) <= SUM_TOLERANCE * (1 + amount);
                if (i >= max_iterations || (is_near && fabs(miss) <= PRICE_TOLERANCE * all.slope))
                        break;
                if (miss > 0)
                        low = log_price;
                else
                        high = log_price;

                /* The free ones share the room that the others leave. Were none of them near a target, one
                 * step would do: their shares go with one over the price. */
                room = amount - (all.total - all.free);
                next = log_price + all.free / all.slope * log(all.free / room);
                if (!(next > low && next < high) || fabs(miss) > fabs(last_miss) / 2)
                        next = low + (high - low) / 2;
                if (!(next > low && next < high))
                        break;
                last_miss = miss;
                log_price = next;
        }
        if (!is_near)
                return BARGAIN_NOT_CONVERGED;

        if (all.slope > 0) {
                log_price += miss / all.slope;
                for (size_t i = 0; i < n; i++)
                        if (takes_part(&gain[i], weight[i]))
                                share[i] = fmin(fmax(share[i] - miss * (yielding[i] / all.slope), 0),
                                                gain[i].box_milli);
        }
        *ret_price = exp(log_price);
        return 0;
}

int bargain_solve(const struct gain gain[], const double weight[], size_t n, double amount,
                  unsigned max_iterations, double bound[], size_t order[], double ret_share[],
                  double *ret_price)
{
        bool has_target = false;
        double theta;
        int r;

        for (size_t i = 0; i < n; i++) {
                bound[i] = gain[i].box_milli;
                if (!gain_is_plain(&gain[i]) && takes_part(&gain[i], weight[i]))
                        has_target = true;
        }
        r = waterfill_solve(bound, weight, n, amount, order, ret_share, &theta);
        if (r < 0)
                return r;
        if (!has_target || theta <= 0 || isinf(theta)) {
                *ret_price = theta > 0 ? 1 / theta : INFINITY;
                return 0;
        }
        /* The bounds are in the gains: their array is free from here on. */
        return find_price(gain, weight, n, amount, max_iterations, -log(theta), bound, ret_share, ret_price);
}
