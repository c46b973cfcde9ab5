/* SPDX-License-Identifier: MIT */
#pragma once

/* A host that decides epoch after epoch, as the daemon does: what was decided becomes what is in
 * force. Its workspace is exactly as large as promised, so that the address sanitizer sees a byte
 * too many. */

#include "core/epoch.h"
#include "lib/testing.h"

#define EPOCH_FIXTURE_MAX 24
#define EPOCH_FIXTURE_GROUPS_MAX 4
#define EPOCH_FIXTURE_HISTORY 16
#define EPOCH_FIXTURE_PATHS_MAX 8

struct epoch_fixture {
        struct epoch_state state;
        struct gate_record records[EPOCH_FIXTURE_HISTORY];
        struct epoch_rules rules;
        struct epoch_service services[EPOCH_FIXTURE_MAX];
        struct enforce_group groups[EPOCH_FIXTURE_GROUPS_MAX];
        size_t n, n_groups;

        struct epoch_graph graph;
        size_t path_first[EPOCH_FIXTURE_PATHS_MAX + 1];
        size_t path_members[EPOCH_FIXTURE_PATHS_MAX * EPOCH_FIXTURE_MAX];
        struct epoch_path paths[EPOCH_FIXTURE_PATHS_MAX];
        struct epoch_coalition coalitions[EPOCH_FIXTURE_PATHS_MAX];
        size_t members[EPOCH_FIXTURE_MAX];
        size_t n_members;

        struct epoch_decision decisions[EPOCH_FIXTURE_MAX];
        unsigned group_weights[EPOCH_FIXTURE_GROUPS_MAX];
        struct epoch_outcome outcome;
};

/* Four CPUs, a tenth reserved. Points into itself: initialise it where it stays. */
static inline void epoch_fixture_init(struct epoch_fixture *f)
{
        *f = (struct epoch_fixture){
                .rules = {
                        .capacity_milli = 4000,
                        .reserve_milli = 400,
                        .spare = 1,
                        .sensitivity_per_ms = 0.1,
                        .max_iterations = 100,
                        .epoch_sec = 15,
                },
                .groups = { { .parent = ENFORCE_NO_GROUP } },
                .n_groups = 1,
        };
        f->graph = (struct epoch_graph){
                .paths = { .first = f->path_first, .members = f->path_members },
                .path = f->paths,
                .coalitions = f->coalitions,
                .members = f->members,
        };
        epoch_state_init(&f->state, f->records, EPOCH_FIXTURE_HISTORY);
}

static inline struct epoch_service *epoch_fixture_add(struct epoch_fixture *f, double baseline_milli,
                                                      double need_milli)
{
        f->services[f->n] = (struct epoch_service){
                .baseline_milli = baseline_milli,
                .need_milli = need_milli,
                .load_milli = need_milli / 1.15,
                .max_milli = INFINITY,
                .bound_milli = INFINITY,
                .weight = 100,
                .is_known = true,
                .recent_milli = { -1, -1, -1, -1 },
        };
        return &f->services[f->n++];
}

/* A path through the services first .. first + n - 1. */
static inline struct epoch_path *epoch_fixture_add_path(struct epoch_fixture *f, double weight,
                                                        size_t first, size_t n)
{
        size_t p = f->graph.paths.n_paths++;

        f->path_first[p + 1] = f->path_first[p] + n;
        for (size_t k = 0; k < n; k++)
                f->path_members[f->path_first[p] + k] = first + k;
        f->paths[p] = (struct epoch_path){ .weight = weight };
        return &f->paths[p];
}

/* A coalition of the same. */
static inline struct epoch_coalition *epoch_fixture_add_coalition(struct epoch_fixture *f, size_t first,
                                                                  size_t n)
{
        struct epoch_coalition *c = &f->coalitions[f->graph.n_coalitions++];

        *c = (struct epoch_coalition){ .first = f->n_members, .n = n, .id = first + 1 };
        for (size_t k = 0; k < n; k++)
                f->members[f->n_members++] = first + k;
        return c;
}

/* Decides without taking the decision over. Not inlined: GCC 12 with the sanitizers then takes the
 * fixture's arrays for empty and warns of reading beyond them. */
static __attribute__((noinline, unused)) int epoch_fixture_decide(struct epoch_fixture *f)
{
        void *buffer = malloc(epoch_workspace_size(f->n, f->n_groups, EPOCH_FIXTURE_MAX));
        struct epoch_workspace w;
        int r;

        ck_assert_ptr_nonnull(buffer);
        epoch_workspace_init(&w, buffer, f->n, f->n_groups, EPOCH_FIXTURE_MAX);
        r = epoch_decide(&f->state, &f->rules, f->services, f->n, &f->graph, f->groups, f->n_groups, &w,
                         f->decisions, f->group_weights, &f->outcome);
        free(buffer);
        return r;
}

static inline void epoch_fixture_take_over(struct epoch_fixture *f)
{
        for (size_t i = 0; i < f->n; i++) {
                struct epoch_service *s = &f->services[i];

                for (size_t age = EPOCH_RECENT - 1; age > 0; age--)
                        s->recent_milli[age] = s->recent_milli[age - 1];
                s->recent_milli[0] = f->decisions[i].alloc_milli;
                s->credit = f->decisions[i].credit;
                s->work_milli_ms = f->decisions[i].work_milli_ms;
                s->is_work_told = f->decisions[i].is_work_told;
                s->was_unbounded = f->decisions[i].is_unbounded;
                s->ceiling_milli = f->decisions[i].quota_milli;
                s->part_ms = f->decisions[i].part_ms;
        }
}

static inline void epoch_fixture_pass(struct epoch_fixture *f)
{
        ck_assert_int_eq(epoch_fixture_decide(f), 0);
        epoch_fixture_take_over(f);
}

static inline int64_t epoch_fixture_sum(const struct epoch_fixture *f)
{
        int64_t sum = 0;

        for (size_t i = 0; i < f->n; i++)
                sum += f->decisions[i].alloc_milli > 0 ? f->decisions[i].alloc_milli : 0;
        return sum;
}
