/* SPDX-License-Identifier: MIT */
#pragma once

/* What a coalition is worth, and how it divides what it holds.
 *
 * Members bring entitlements e_i (this epoch's market allocation) and divide their sum so that the
 * weighted latency of the paths through them is least. Utility of a member: U_i(x) = -importance_i T_i(x).
 *
 *      v(S) = max { sum_S U_i(x_i) : sum_S x_i <= sum_S e_i, least_i <= x_i <= most_i } - sum_S U_i(e_i)
 *
 * v is zero-normalised, monotone, superadditive and totally balanced (a market game: Shapley, Shubik
 * 1969). For loads alone the division is Kleinrock's square-root rule: x_i - load_i in proportion to
 * sqrt(importance_i work_i). It is found exactly, by a sweep over the prices at which a member reaches
 * the end of a piece of its latency curve; nothing iterates. Source: doc/theory.md, Worth. */

#include "core/latency.h"

#define COALITION_MEMBERS_MAX 32
/* Up to so many members all subsets are enumerated. */
#define COALITION_EXACT_MAX 16

struct member {
        struct latency_model latency;
        double importance;              /* sum of the weights of the paths through it, > 0 */
        double entitlement_milli;       /* e; least <= e <= most */
        double least_milli;             /* m */
        double most_milli;              /* u; finite */
};

/* What a member takes as CPU gets cheaper. Instead of the price p we count reach = 1 / sqrt(p): beyond the
 * margin a member takes load + root * reach, which is linear, so that sums over members are two numbers. */
struct worth_curve {
        double root;                    /* sqrt(importance * work) */
        double start_reach;             /* below: the least level. Here the member takes `jump` at once, */
        double end_reach;               /* then more and more, and from here on the most level */
        double jump_milli;              /* on the tangent all CPU has the same worth */
        double tangent_slope;           /* that worth, utility per milli */
        double least_cost, most_cost;   /* importance * (T - other) at these levels: other cancels out */
        double held_cost;               /* the same at the entitlement */
};

/* A coalition made ready: the ends of the pieces of all members in the order of reach. Plain data, 6 KiB. */
#define WORTH_BREAKPOINTS_PER_MEMBER 2
struct worth_game {
        unsigned n;
        unsigned n_breakpoints;
        struct member members[COALITION_MEMBERS_MAX];
        struct worth_curve curves[COALITION_MEMBERS_MAX];
        double utility_held[COALITION_MEMBERS_MAX]; /* U_i(e_i) */
        struct worth_breakpoint {
                double reach;
                double amount_step;     /* from here on the member takes amount + slope * reach, */
                double slope_step;      /* changed by so much */
                uint32_t member;        /* its bit */
        } breakpoints[WORTH_BREAKPOINTS_PER_MEMBER * COALITION_MEMBERS_MAX];
};

/* Return: 0; -EINVAL if n is 0 or above COALITION_MEMBERS_MAX or a member is not finite or out of order. */
int worth_game_init(struct worth_game *ret, const struct member members[], unsigned n);

/**
 * worth_divide() - the best division of a pool among a subset
 * @subset:     bit mask of members, not 0
 * @pool_milli: what to divide; cut to what the boxes can take; where it is less than the sum of least
 *              levels everybody gets its least level in proportion, and the result is 1
 * @ret_x:      entries of members in the subset, milli; others untouched
 * @ret_price:  dU/dpool, >= 0, in utility per milli; may be NULL
 *
 * Cost: O(n).  Return: 0; 1 if the pool is too small for the least levels.
 */
int worth_divide(const struct worth_game *g, uint32_t subset, double pool_milli, double ret_x[],
                 double *ret_price);

/* v(subset) at the entitlements, >= 0. Cost: O(n). */
double worth_of(const struct worth_game *g, uint32_t subset);

/**
 * worth_all() - v of every subset
 * @ret_worth: 2^n entries by bit mask; 0 for the empty one and for single members
 *
 * Cost: O(n 2^n).  Return: 0; -E2BIG for more than COALITION_EXACT_MAX members.
 */
int worth_all(const struct worth_game *g, double ret_worth[]);

/* U_i of one member. */
double worth_utility_of(const struct member *m, double x_milli);

/**
 * worth_carry() - an old division carried to a new total and into this epoch's boxes
 *
 * The nearest division in the Euclidean sense: x_i = clamp(old_i + nu, least_i, most_i) with the sum
 * @pool_milli, cut as in worth_divide(). What the gate compares a new division with. Cost: O(n^2).
 */
void worth_carry(const struct worth_game *g, const double old_milli[], double pool_milli,
                 double ret_x[]);
