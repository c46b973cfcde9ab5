/* SPDX-License-Identifier: MIT */
#pragma once

/* A call graph with its scratch, and random ones that are connected. */

#include "core/callgraph.h"
#include "lib/testing.h"

#include <stdlib.h>
#include <string.h>

struct callgraph_fixture {
        struct callgraph_workspace w;
        void *buffer;
        size_t n_calls;
        struct call *calls;
};

/* Freed with callgraph_fixture_done(). */
static inline struct callgraph_fixture callgraph_fixture_new(size_t n_max, size_t n_calls_max)
{
        struct callgraph_fixture f = {
                .buffer = malloc(callgraph_workspace_size(n_max, n_calls_max)),
                .calls = calloc(n_calls_max, sizeof *f.calls),
        };

        if (!f.buffer || !f.calls)
                abort();
        callgraph_workspace_init(&f.w, f.buffer, n_max, n_calls_max);
        return f;
}

static inline void callgraph_fixture_done(struct callgraph_fixture *f)
{
        free(f->buffer);
        free(f->calls);
}

static inline void callgraph_fixture_call(struct callgraph_fixture *f, size_t caller, size_t callee,
                                          double weight)
{
        f->calls[f->n_calls++] = (struct call){ caller, callee, weight };
}

/* A tree, so that it is connected, and n_more calls besides; weights 1 .. weight_max. */
static inline void callgraph_fixture_random(struct callgraph_fixture *f, struct testing_random *r,
                                            size_t n, size_t n_more, int64_t weight_max)
{
        f->n_calls = 0;
        for (size_t i = 1; i < n; i++)
                callgraph_fixture_call(f, (size_t)testing_random_int(r, 0, (int64_t)i - 1), i,
                                       (double)testing_random_int(r, 1, weight_max));
        for (size_t k = 0; n > 1 && k < n_more; k++) {
                size_t a = (size_t)testing_random_int(r, 0, (int64_t)n - 1);
                size_t b = (size_t)testing_random_int(r, 0, (int64_t)n - 2);

                callgraph_fixture_call(f, a, b + (b >= a), (double)testing_random_int(r, 1, weight_max));
        }
}

static inline double callgraph_fixture_cut(const struct callgraph_fixture *f, const size_t block[])
{
        double cut = 0;

        for (size_t k = 0; k < f->n_calls; k++)
                if (block[f->calls[k].caller] != block[f->calls[k].callee])
                        cut += f->calls[k].weight;
        return cut;
}
