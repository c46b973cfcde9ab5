/* SPDX-License-Identifier: MIT */
#pragma once

/* The allocator as a function, in JSON: the question (`coallocctl plan --samples`) and the answer
 * (that verb, and the daemon's Plan() method).
 *
 * A question is hostile input: it is read whole or refused with one sentence that names the place,
 * the key, the value and the way out. A question is read in two steps, so that a configuration can
 * stand between them:
 *
 *      plan_request_parse()     what the text says; what it does not say is NAN, or -1
 *      (the caller may fill in what is missing)
 *      plan_request_complete()  defaults, and the order of the levels
 *
 * Wraps json-c. Never looks at the locale. */

#include "core/model.h"

/* A million CPUs: above every host, and far below where whole milli lose their exactness. */
#define PLAN_MILLI_MAX 1e9
#define PLAN_WEIGHT_MIN 1e-3
#define PLAN_WEIGHT_MAX 1e6
#define PLAN_NAME_LENGTH_MAX 255
#define PLAN_COALITION_MAX 32
#define PLAN_CREDIT_MAX 1.0
/* Warnings that are kept; those above are only counted. */
#define PLAN_WARNINGS_MAX 20
/* Objects and arrays within each other. The format itself needs four. */
#define PLAN_DEPTH_MAX 16

struct plan_service {
        char *name;
        double floor_milli;
        double baseline_milli;
        double need_milli;
        double max_milli;               /* NAN when parsed: not said; INFINITY when complete: no Max= */
        double weight;
        double load_milli;
        double latency_target_ms;       /* NAN: none */
        double latency_ms;              /* measured while it held quota_milli; NAN: not measured */
        double credit;                  /* -1..1 */
        double quota_milli;             /* previous allocation, or NAN */
};

/* One point makes a model only where both of its coordinates are known. */
static inline bool plan_service_is_measured(const struct plan_service *s)
{
        return !isnan(s->latency_ms) && !isnan(s->quota_milli);
}

struct plan_path {
        char *name;
        size_t *services;               /* indices into the request's services; owned */
        size_t n_services;
        double weight;
        double latency_target_ms;       /* NAN: none */
};

struct plan_request {
        double capacity_milli;
        double reserve_milli;
        double spare;
        int overload_rule;              /* enum overload_rule, or -1: not said */
        int enforce;                    /* enum enforce, or -1: not said */
        double max_coalition_size;      /* whole, 1 .. PLAN_COALITION_MAX */
        double sensitivity_per_ms;
        double epsilon;
        double max_iterations;          /* whole */
        struct plan_service *services;
        size_t n_services;
        struct plan_path *paths;        /* NULL: not said */
        size_t n_paths;
};

struct plan_warnings {
        char *texts[PLAN_WARNINGS_MAX]; /* owned */
        size_t n_found;                 /* those not kept included */
};

void plan_warnings_done(struct plan_warnings *w);

/**
 * plan_request_parse() - read a question
 * @text:     @size bytes, not necessarily ended by a NUL
 * @ret:      for plan_request_free(); untouched on failure
 * @reterr:   on -EINVAL what is wrong, one sentence without the file's name; for free()
 * @warnings: what has no effect: unknown keys, latencies that cannot be used
 *
 * Cost: O(size + n log n).
 *
 * Return: 0; -EINVAL for text that is no valid question; -ENOMEM.
 */
int plan_request_parse(const char *text, size_t size, struct plan_request **ret, char **reterr,
                       struct plan_warnings *warnings);

/**
 * plan_request_complete() - defaults of what nobody said, and the order floor <= baseline <= max
 *
 * Defaults: reserve 0, spare 1, proportional, both, coalitions of at most 8, sensitivity 0.1 per ms,
 * epsilon 0, 100 iterations; floor 0, baseline 0, need = baseline, no Max=, weight 100,
 * load = need / 1.15, credit 0; weight of a path 1. A missing capacity is an error: it cannot be guessed.
 *
 * Return: 0; -EINVAL with @reterr as above; -ENOMEM.
 */
int plan_request_complete(struct plan_request *request, char **reterr);

/* Adds a path of at least one service, for a caller who knows more than the text says.
 * Return: 0; -ENOMEM. */
int plan_request_add_path(struct plan_request *request, const char *name, const size_t services[],
                          size_t n_services, double weight, double latency_target_ms);

/* Takes NULL; returns NULL. */
struct plan_request *plan_request_free(struct plan_request *request);

struct plan_answer_service {
        const char *name;
        double market_milli;
        int64_t alloc_milli;            /* < 0: null, none yet */
        int64_t quota_milli;            /* QUOTA_NONE_MILLI: null */
        unsigned cpu_weight;            /* 0: null */
        bool is_satisfied;
        const char *coalition;          /* its id; NULL: null, in none */
        double credit;                  /* after settling */
        double latency_target_ms;       /* that it bargained with: its own, or its part of a path's; 0: null */
        double latency_model_ms;        /* modelled, at its allocation; 0: null, it was never measured */
};

/* A coalition goes by the name of its first member. */
struct plan_answer_coalition {
        const size_t *members;          /* indices into the names of the answer */
        size_t n_members;               /* 1 .. 32 */
        bool is_formed;                 /* false: its members act as single players */
        double price;                   /* of its CPU; NAN: null */
        bool is_valued;                 /* false: what follows is not known, null */
        double worth;
        bool is_stable;
        double max_excess;
        uint32_t blocking;              /* by position in the members; said only where it is not stable */
        const double *shapley;          /* n_members, in their order */
        const double *imputation;       /* the same */
};

struct plan_answer {
        enum tier tier;
        double scarcity;
        double shadow_price;            /* INFINITY: null */
        const struct plan_answer_service *services;
        size_t n_services;
        const struct plan_answer_coalition *coalitions;
        size_t n_coalitions;
        const char *const *names;       /* of members */
        double v_before;                /* NAN: null */
        double v_after;
        double step;
        enum verdict verdict;
};

/**
 * plan_answer_format() - the answer as JSON text, on one line
 * @ret: for free()
 *
 * Return: 0; -ENOMEM.
 */
int plan_answer_format(const struct plan_answer *answer, char **ret);
