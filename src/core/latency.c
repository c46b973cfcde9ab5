/* SPDX-License-Identifier: MIT */

#include "core/latency.h"

#include <errno.h>

/* Right of a border that lies this far above the load the formula holds; left of it the tangent. */
#define MARGIN_LEAST_MILLI 10.0
#define MARGIN_SHARE_OF_LOAD 0.02

/* A measurement that leaves the service less than this share of its latency would have it melt away:
 * clocks of several services never agree that well. */
#define OTHER_SHARE_MAX 0.9

double latency_margin(double load_milli)
{
        return fmax(MARGIN_LEAST_MILLI, MARGIN_SHARE_OF_LOAD * load_milli);
}

int latency_calibrate(double load_milli, double other_ms, double measured_ms, double at_milli,
                      struct latency_model *ret)
{
        struct latency_model m = {
                .load_milli = load_milli,
                .other_ms = fmin(other_ms, OTHER_SHARE_MAX * measured_ms),
                .margin_milli = latency_margin(load_milli),
        };

        if (!(load_milli >= 0) || !(other_ms >= 0) || !isfinite(other_ms) || !(measured_ms > 0) ||
            !(at_milli >= 0) || !isfinite(at_milli))
                return -EINVAL;
        m.work_milli_ms = (measured_ms - m.other_ms) * fmax(at_milli - load_milli, m.margin_milli);
        if (!latency_model_is_valid(&m))
                return -EINVAL;
        *ret = m;
        return 0;
}

struct latency_model latency_from_load(double load_milli, double work_milli_ms)
{
        return (struct latency_model){
                .load_milli = load_milli,
                .work_milli_ms = work_milli_ms,
                .margin_milli = latency_margin(load_milli),
        };
}

bool latency_model_is_valid(const struct latency_model *m)
{
        return m->load_milli >= 0 && isfinite(m->load_milli) && m->work_milli_ms > 0 &&
               isfinite(m->work_milli_ms) && m->other_ms >= 0 && m->margin_milli > 0 &&
               isfinite(m->margin_milli) && isfinite(latency_ms(m, 0)) && isfinite(latency_slope(m, 0));
}

double latency_ms(const struct latency_model *m, double x_milli)
{
        double y = x_milli - m->load_milli, margin = m->margin_milli;

        if (y >= margin)
                return m->other_ms + m->work_milli_ms / y;
        return m->other_ms + m->work_milli_ms / margin * (1 + (margin - y) / margin);
}

double latency_slope(const struct latency_model *m, double x_milli)
{
        double y = fmax(x_milli - m->load_milli, m->margin_milli);

        return -(m->work_milli_ms / y / y);
}

double latency_milli_for(const struct latency_model *m, double target_ms)
{
        double h = target_ms - m->other_ms, at_margin = m->work_milli_ms / m->margin_milli;

        if (!(h > 0))
                return INFINITY;
        if (h <= at_margin)
                return m->load_milli + m->work_milli_ms / h;
        return fmax(m->load_milli + m->margin_milli - (h / at_margin - 1) * m->margin_milli, 0);
}
