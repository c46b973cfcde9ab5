/* SPDX-License-Identifier: MIT */
#pragma once

/* From CPU to latency: what one service's requests take when it holds x.
 *
 * The model is an M/M/1 queue with processor sharing:
 *
 *      T(x) = other + work / (x - load)                for x >= load + margin
 *
 * and its tangent below, so that T is finite, convex, strictly decreasing and once differentiable
 * everywhere. Source and limits: doc/theory.md, Latency. Means add along a path; of percentiles the
 * model says no more than that they are a multiple of the mean. */

#include "core/model.h"

/* Without a measurement: one millisecond of CPU a request, for everybody, so that load alone decides. */
#define LATENCY_WORK_NOMINAL_MILLI_MS 1000.0

struct latency_model {
        double load_milli;              /* offered load, >= 0 */
        double work_milli_ms;           /* CPU work of a request, milli-CPU times ms, > 0 */
        double other_ms;                /* what more CPU does not shorten, >= 0 */
        double margin_milli;            /* where the tangent takes over, > 0 */
};

/* The margin that belongs to a load: max(10, load / 50) milli. */
double latency_margin(double load_milli);

/**
 * latency_calibrate() - the model that gives the measured latency at the CPU held then
 * @load_milli:  offered load
 * @other_ms:    time that is not this service's CPU; where it reaches 90 % of the measured latency it is
 *               taken to be 90 %
 * @measured_ms: > 0
 * @at_milli:    what the service held when it was measured
 *
 * One point, one unknown: work = (measured - other) * max(at - load, margin). Who held less than its
 * load and the margin was overloaded when it was measured: its queue was still growing and the figure
 * belongs to no amount of CPU, so it is taken for that at the margin.
 *
 * Return: 0; -EINVAL if an input is not finite, negative, or the measured latency is 0, or if the model
 * would not be valid. @ret is untouched then.
 */
int latency_calibrate(double load_milli, double other_ms, double measured_ms, double at_milli,
                      struct latency_model *ret);

/* The model of a service whose latency nobody measured: `work_milli_ms` a request, nothing but CPU. As
 * valid as its arguments are. */
struct latency_model latency_from_load(double load_milli, double work_milli_ms);

/* Every part is finite and in its range, and so are latency and slope for every amount >= 0. */
bool latency_model_is_valid(const struct latency_model *m);

double latency_ms(const struct latency_model *m, double x_milli);
/* dT/dx, ms per milli, < 0. */
double latency_slope(const struct latency_model *m, double x_milli);
/* The least CPU at which the model meets a latency; INFINITY if none does. */
double latency_milli_for(const struct latency_model *m, double target_ms);
