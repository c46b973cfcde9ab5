/* SPDX-License-Identifier: MIT */
#pragma once

/* Inside of gate.h: what its rooms share. gate_model.c has the solution and the potential, gate.c the
 * verdict on totals, gate_division.c that on divisions, gate_history.c the memory over epochs. */

#include "core/gate.h"

/* A box narrower than this is no box: whole milli cannot bargain over it, and the logarithm of so
 * little would drown everybody else's in rounding. Nor is one without a weight to bargain with. */
#define BOX_MIN_MILLI 1e-3

/* Sums of doubles are trusted to this, relative to the capacity they are compared with. */
#define SUM_TOLERANCE 1e-9

/* Bisection in the log domain halves the logarithm of a bracket that is never wider than the range
 * of double; 64 halvings leave less than one representable number. */
#define BISECTIONS_MAX 100

/* Potentials closer than this, relative to their size, are equal but for rounding. */
#define POTENTIAL_TOLERANCE 1e-12

/* Keeps answers off the ends of a range, whatever was rounded; less than the tolerance of gate_narrow(). */
#define RANGE_MARGIN 2.5e-13

/* What a player can bargain for. */
static inline double box_of(const struct gate_model *m, size_t i)
{
        double box = m->upper_milli[i] - m->lower_milli[i];

        return box >= BOX_MIN_MILLI && m->weight[i] > 0 ? box : 0;
}

/* What all together take at t, which is positive: more, the greater it is. */
struct taking {
        double full;                    /* by those who take no more at any t */
        double free;                    /* by the others */
        double rise;                    /* of that, to one of log t */
};

typedef struct taking (*taking_fn)(const void *ctx, double t);

/* Positive ends between which what is taken reaches an amount: no more than it at the low end. */
struct range {
        double low, high;
        double taken_low, taken_high;
};

/* Narrows a range until it is known well enough. Were everybody free as it is at t, one step would do; that
 * step goes a little too far, so that the last ones close the range from both sides. Where steps fail to
 * halve the distance, the range is halved in the logarithm. */
void gate_narrow(struct range *r, taking_fn taking, const void *ctx, double amount);

/* What one player contributes to V: its loss of the Nash product and the penalties of its box. */
double gate_potential_of(const struct gate_model *m, size_t i, double x);

/* The longest of all moves so far. */
static inline int64_t longer(int64_t distance, int64_t move)
{
        move = move < 0 ? -move : move;
        return move > distance ? move : distance;
}

/* A change under judgement, of totals or of a division. */
struct change {
        /* Makes the candidate of one step. Returns its potential; INFINITY if it is infeasible, or if
         * rounding makes it the old allocation again although the target is not. */
        double (*try_step)(const void *ctx, double step, int64_t ret_x[]);
        const void *ctx;
        double v_before;
        double tolerance;
        int64_t distance_milli;         /* the longest move between old and target */
};

/* Returns the step that passes, and leaves its candidate in ret_x; 0 if none does. */
double gate_backtrack(const struct change *c, double step_max, int64_t ret_x[], double *ret_v);

static inline struct gate_verdict verdict_of(double step, double v_before, double v_after)
{
        return (struct gate_verdict){
                .verdict = step == 1 ? VERDICT_APPLY : step > 0 ? VERDICT_REDUCED : VERDICT_HOLD,
                .v_before = v_before,
                .v_after = v_after,
                .step = step,
        };
}
