/* SPDX-License-Identifier: MIT */
#pragma once

/* The Lyapunov gate: no allocation changes unless the potential V falls.
 *
 * For the measurements of this epoch (capacity, levels, weights of the tier) V measures how far an
 * allocation x is from the Nash bargaining solution:
 *
 *      V(x) = sum w_i [L(s*_i) - L(x_i - lower_i)] + rC (sum x - C)+ + rU sum (x_i - upper_i)+
 *                                                  + rL sum (lower_i - x_i)+
 *
 * L is the logarithm or, of a player with a latency target, its gain (slo.h), continued below delta by a
 * parabola, so that V is finite, convex and >= 0 everywhere and 0 at the solution (doc/theory.md, Gate).
 *
 * That is the gate's part on totals: what single players and coalitions hold. How a coalition divides its
 * total is judged by the utility that the division loses against the best one: gate_judge_division().
 * What is shown as V is the sum of both.
 *
 * The gate trusts nobody: it finds its own reference solution s* by its own search on the price, with no
 * code shared with the market but what a target is worth, and it refuses any plan that breaks capacity or
 * a bound whatever its V. It can therefore veto a solver that lies and a rounding that creates CPU. */

#include "core/model.h"
#include "core/slo.h"
#include "core/worth.h"

/* Both sides of a change are judged under the same measurements. Built by gate_model_init(). */
struct gate_model {
        size_t n;
        const double *lower_milli;      /* borrowed */
        const double *upper_milli;
        const double *weight;
        const struct gain *gain;        /* NULL: nobody has a target */
        double *reference_milli;        /* the gate's own x*; borrowed array of n, filled by init */
        double capacity_milli;          /* what the tier may hand out in all */
        double shadow_price;
        double delta_milli;
        double penalty_capacity, penalty_upper, penalty_lower;
};

/**
 * gate_model_init() - the potential of this epoch
 * @model:     filled; borrows the arrays
 * @gain:      what each gains, for just these levels; NULL: nobody has a target
 * @capacity_milli: what may be handed out in all: market_outcome's spendable_milli, rounded down
 * @reference_milli: array of n that the gate fills with its own solution
 *
 * A player without weight, or whose upper level is less than a thousandth of a milli above its lower
 * one, does not bargain: it costs nothing between its levels. Where the lower levels use up all capacity
 * the solution is that corner: the shadow price is infinite, the penalties are finite all the same.
 * Where capacity is no constraint (everybody at the upper level) the price is 0 and an excess of the sum
 * costs a token of 0.001 max w / capacity.
 *
 * Levels and capacity should be whole milli, as market_round() leaves them. With fractions, where the
 * lower levels use up capacity, no whole allocation is near the solution, and what rounding costs may
 * outweigh what a change gains.
 *
 * Cost: O(n) for each price that is tried, some ten; no allocation.
 *
 * Return: 0; -EINVAL if an input is not finite, negative or out of order, if a gain is not valid or not
 * for these levels, or if the lower levels alone exceed capacity. Outputs are untouched on failure.
 */
int gate_model_init(struct gate_model *model, size_t n, const double lower_milli[],
                    const double upper_milli[], const double weight[], const struct gain gain[],
                    double capacity_milli, double reference_milli[]);

/**
 * gate_model_pool() - the same potential over the totals of coalitions
 * @single:     of all players
 * @entity_of:  for each player the entity that it belongs to, below @n_entities: those with the same one
 *              are a coalition, whoever is alone in one stays a single player with its own weight and gain
 * @lower_milli, @upper_milli, @weight, @gain, @reference_milli: arrays of @n_entities, filled and then
 *              borrowed; @gain may be NULL where nobody has a target
 *
 * Levels and solution of a coalition are the sums of its members'. Its potential is that of a plain
 * player with the weight that makes the summed solution its optimum: price times share or, where every
 * member is full, the sum of weights, which is more. So V over entities has its minimum, 0, where V over
 * players has it (doc/theory.md, Gate), and gate_judge() works on entities as on players.
 *
 * Cost: O(n).  Return: 0; -EINVAL if an entity is out of range.
 */
int gate_model_pool(const struct gate_model *single, const size_t entity_of[], size_t n_entities,
                    double lower_milli[], double upper_milli[], double weight[], struct gain gain[],
                    double reference_milli[], struct gate_model *ret);

/* V at a real or a whole allocation. Never negative beyond rounding, never infinite. */
double gate_potential(const struct gate_model *model, const double x_milli[]);
double gate_potential_whole(const struct gate_model *model, const int64_t x_milli[]);

/* What the gate says of one change; v_before is NAN when there was no allocation before. */
struct gate_verdict {
        enum verdict verdict;
        double v_before;
        double v_after;
        double step;                    /* 0 .. 1; 0 = hold */
};

struct gate_scratch {
        size_t *order;                  /* n */
        double *worth;                  /* n */
};

/**
 * gate_judge() - let a change pass, shorten it, or hold
 * @model:    this epoch's potential
 * @x_old:    the allocation in force, or NULL if there is none
 * @x_target: the plan, whole milli
 * @step_max: first step tried, (0, 1]
 * @ret_x:    the allocation to use from now on; may alias neither input
 * @ret:      the verdict
 *
 * Armijo backtracking: accepts step s if V(new) <= V(old) - 0.1 s V(old), else halves s, six times at
 * most. When old and target differ by two milli or less for everybody, it is enough that V does not
 * rise. Where no step falls that far but some make V fall, the one with the least V is taken; where
 * none does: hold. A step below one is rounded with its sum kept, units going where they lower V most.
 * Candidates that exceed capacity, or leave the box by more than one milli more than the old allocation
 * did, are refused unheard.
 *
 * Hold means x_old. But where x_old exceeds capacity (a CPU was unplugged), holding and every step
 * start from what of it still fits: everybody keeps what it held of its lower level, the largest
 * holdings above it for their share of the solution are cut, nobody gains. So ret_x never exceeds capacity. Where
 * there is no x_old, the first plan is applied whole or, if it is infeasible, replaced by the gate's
 * own solution; v_before is NAN then.
 *
 * Cost: O(n) a trial, seven trials at most, O(n log n) for each that has to be rounded.
 *
 * Return: 0; -EINVAL if step_max is out of range or an allocation is negative.
 */
int gate_judge(const struct gate_model *model, const int64_t x_old[], const int64_t x_target[],
               double step_max, const struct gate_scratch *scratch, int64_t ret_x[],
               struct gate_verdict *ret);

/**
 * gate_judge_division() - let a coalition divide a total anew, shorten the change, or hold
 * @g:           the coalition: of it only the members are read
 * @x_old:       its old shape, carried into the boxes at the total, or NULL if there is none
 * @x_target:    the plan; both milli, and need not be whole
 * @total_milli: what the coalition holds
 * @step_max:    first step tried, (0, 1]
 * @ret_x:       the division to use from now on: whole milli with just that sum, within the boxes widened
 *               to whole milli
 * @ret:         the verdict; its potentials are D, in utility
 *
 * D(x) = F(best) - F(x) with F the sum of worth_utility_of() and the gate's own best division, found by its own
 * search over the price: of worth.c it trusts nothing. D is convex and never negative. Both sides are
 * judged in whole milli, by the rule of gate_judge(). A plan that holds more or less than the total, or
 * leaves a box by more than a milli, is vetoed unheard.
 *
 * Hold means the old shape, rounded. Where there is none, the first plan is applied whole or, if it is no
 * division of the total, replaced by the gate's own.
 *
 * Cost: O(n) for each price and each trial, no allocation.
 *
 * Return: 0; -EINVAL if step_max is out of range or x_old is no division of the total; -ERANGE if the
 * boxes cannot hold the total.
 */
int gate_judge_division(const struct worth_game *g, const double x_old[], const double x_target[],
                        int64_t total_milli, double step_max, int64_t ret_x[], struct gate_verdict *ret);

/* ---- memory of the gate over epochs ------------------------------------------------------------- */

/* One epoch as the monitor remembers it. */
struct gate_record {
        uint64_t epoch;
        double v_before;                /* V_t(x_{t-1}), under the epoch's own measurements */
        double v_after;                 /* V_t(x_t) */
        double action;                  /* v_after - v_before: what we did; <= 0 */
        double workload;                /* v_before - previous v_after: what the world did */
        double step;
        double hardship;                /* measured: see gate_observe() */
        double scarcity;
        enum tier tier;
        enum verdict verdict;
};

/* Ring of the last `size` records, storage owned by the caller. */
struct gate_history {
        struct gate_record *records;
        size_t size;                    /* HistorySize= */
        size_t n_used;
        size_t next;
};

void gate_history_push(struct gate_history *h, const struct gate_record *r);
/* The record `age` epochs back (0 = the newest), or NULL. */
const struct gate_record *gate_history_at(const struct gate_history *h, size_t age);

/* Three epochs of harm although the model promised good: the model is wrong. */
#define GATE_WRONG_EPOCHS_MAX 3
#define GATE_FREEZE_EPOCHS 4

struct gate_monitor {
        double step_max;                /* 1 at first; halved when the model was wrong */
        double hardship_previous;       /* NAN = not known */
        double load_previous_milli;     /* NAN = not known */
        unsigned n_wrong;               /* consecutive epochs of harm */
        unsigned n_frozen_left;         /* epochs the freeze still lasts */
};

enum gate_advice {
        GATE_GO,                        /* decide as usual */
        GATE_ROLL_BACK,                 /* the model was wrong: go back to a better allocation, freeze */
        GATE_FROZEN,                    /* hold */
};

void gate_monitor_init(struct gate_monitor *m);

/**
 * gate_monitor_observe() - compare what the last change did with what it promised
 * @m:           state
 * @last:        record of the previous epoch, or NULL
 * @hardship:    measured now: weighted mean share of time that services were throttled or stalled
 *               beyond their baseline, 0 .. 1
 *
 * @load_milli:  measured now: what all services together offer
 *
 * Harm counts when hardship rose by more than 0.02 although the last action lowered V noticeably
 * (by more than 0.001 (1 + V)) and load did not rise by more than 5 %. Not V's own workload term tells
 * whether the world is to blame: after a whole step it is as large as the action, whoever was wrong.
 * What is not known (NAN) is no harm. After GATE_WRONG_EPOCHS_MAX epochs of harm in a row: GATE_ROLL_BACK once, with
 * step_max halved but not below 1/64, then GATE_FROZEN for GATE_FREEZE_EPOCHS, then GATE_GO. Recovers
 * step_max by 1.1 an epoch without harm.
 *
 * Return: an enum gate_advice.
 */
enum gate_advice gate_monitor_observe(struct gate_monitor *m, const struct gate_record *last,
                                      double hardship, double load_milli);
