/* SPDX-License-Identifier: MIT */

#include "core/ledger.h"

#include <errno.h>
#include <float.h>

/* Steps of the search for nu: half of them halve its bracket, the others (Newton's, exact where nobody
 * comes to a bound or leaves it) nearly always end it after two or three. */
#define PROJECTION_STEPS 100

static double clamp(double v, double low, double high)
{
        return fmin(fmax(v, low), high);
}

double ledger_decay(void)
{
        return exp2(-1.0 / LEDGER_HALF_LIFE_EPOCHS);
}

/* What dues are multiplied by so that they sum to what was realised; 0 where nothing can be settled. */
static double due_scale(const double due[], const double realised[], size_t n)
{
        double sum_due = 0, sum_realised = 0, scale;

        for (size_t i = 0; i < n; i++) {
                sum_due += due[i];
                sum_realised += realised[i];
        }
        if (!(sum_due > 0) || !(sum_realised > 0))
                return 0;
        scale = sum_realised / sum_due;
        return isfinite(scale) ? scale : 0;
}

int ledger_settle(const double due[], const double realised[], size_t n, double reference,
                  double credit[])
{
        double decay = ledger_decay(), scale, sum = 0;

        if (!(reference > 0))
                return -EINVAL;
        for (size_t i = 0; i < n; i++)
                if (!isfinite(due[i]) || !isfinite(realised[i]) || !isfinite(credit[i]))
                        return -EINVAL;
        scale = due_scale(due, realised, n);
        for (size_t i = 0; i < n; i++)
                if (!isfinite((scale * due[i] - realised[i]) / reference))
                        return -EINVAL;

        for (size_t i = 0; i < n; i++) {
                credit[i] *= decay;
                sum += credit[i];
                if (scale > 0)
                        credit[i] += (scale * due[i] - realised[i]) / reference;
        }
        /* Towards the sum there was, not towards zero: after a change of members the coalition's credits
         * may sum to something, which is then owed to, or by, services outside it. */
        ledger_project(credit, n, LEDGER_CREDIT_MAX, sum);
        return 0;
}

double ledger_reference(double worth, const double due[], const double realised[], size_t n,
                        double noise)
{
        double scale = due_scale(due, realised, n), moved = 0;

        if (!(scale > 0))
                return INFINITY;
        for (size_t i = 0; i < n; i++)
                moved += fabs(scale * due[i] - realised[i]) / 2;
        moved = fmax(moved, worth);
        return moved > noise ? moved / (1 - ledger_decay()) : INFINITY;
}

void ledger_project(double credit[], size_t n, double max, double sum)
{
        double low = INFINITY, high = -INFINITY, at = 0, nu, rest, near;
        size_t n_free = 0;

        for (size_t i = 0; i < n; i++) {
                at += credit[i];
                low = fmin(low, credit[i]);
                high = fmax(high, credit[i]);
        }
        if (n == 0)
                return;
        nu = (at - sum) / (double)n;
        if (low - nu < -max || high - nu > max) {
                /* Somebody is at a bound: nu is between "all at the upper" and "all at the lower". */
                low -= max;
                high += max;
                near = DBL_EPSILON * (fabs(low) + fabs(high) + (double)n * max);
                for (int k = 0; k < PROJECTION_STEPS; k++) {
                        at = 0;
                        n_free = 0;
                        for (size_t i = 0; i < n; i++) {
                                double c = clamp(credit[i] - nu, -max, max);

                                at += c;
                                n_free += fabs(c) < max;
                        }
                        if (fabs(at - sum) <= near)
                                break;
                        *(at > sum ? &low : &high) = nu;
                        if (n_free > 0)
                                nu += (at - sum) / (double)n_free;
                        if (k % 2 || n_free == 0 || nu <= low || nu >= high)
                                nu = low + (high - low) / 2;
                }
        }
        n_free = 0;
        at = 0;
        for (size_t i = 0; i < n; i++) {
                credit[i] = clamp(credit[i] - nu, -max, max);
                at += credit[i];
                n_free += fabs(credit[i]) < max;
        }
        /* What the search and rounding left, over those who are not at a bound. */
        rest = n_free > 0 ? (sum - at) / (double)n_free : 0;
        for (size_t i = 0; i < n; i++)
                if (fabs(credit[i]) < max)
                        credit[i] = clamp(credit[i] + rest, -max, max);
}

double ledger_weight(double weight, double credit, double contention)
{
        return weight * (1 + LEDGER_WEIGHT_SWING * clamp(contention, 0, 1) *
                                     clamp(credit / LEDGER_CREDIT_MAX, -1, 1));
}
