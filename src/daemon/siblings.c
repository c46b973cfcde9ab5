/* SPDX-License-Identifier: MIT */

#include "daemon/siblings.h"

#include "core/model.h"
#include "platform/cgroup_tree.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* Use below this is housekeeping. */
#define BUSY_MILLI 10.0

static int by_inode(const void *a, const void *b)
{
        ino_t x = ((const struct sibling *)a)->inode, y = ((const struct sibling *)b)->inode;

        return (x > y) - (x < y);
}

void siblings_begin(struct siblings *s, uint64_t now_usec)
{
        struct siblings past = *s;

        if (s->n_now > 1)
                qsort(s->now, s->n_now, sizeof *s->now, by_inode);
        s->before = past.now;
        s->n_before = past.n_now;
        s->n_before_allocated = past.n_now_allocated;
        s->now = past.before;
        s->n_now = 0;
        s->n_now_allocated = past.n_before_allocated;
        s->before_usec = past.now_usec;
        s->now_usec = now_usec;
}

struct walk {
        struct siblings *siblings;
        sibling_is_ours_fn is_ours;
        void *ctx;
        double weight;
};

static int remember(struct siblings *s, const struct cgroup_child *child)
{
        if (s->n_now == s->n_now_allocated) {
                size_t n = s->n_now_allocated ? 2 * s->n_now_allocated : 32;
                struct sibling *bigger = reallocarray(s->now, n, sizeof *bigger);

                if (!bigger)
                        return -ENOMEM;
                s->now = bigger;
                s->n_now_allocated = n;
        }
        s->now[s->n_now++] = (struct sibling){ .inode = child->inode, .usage_usec = child->usage_usec };
        return 0;
}

static bool is_busy(const struct siblings *s, const struct cgroup_child *child)
{
        const struct sibling key = { .inode = child->inode };
        const struct sibling *past = NULL;

        if (s->n_before > 0)
                past = bsearch(&key, s->before, s->n_before, sizeof key, by_inode);
        if (!past || child->usage_usec < past->usage_usec || s->now_usec <= s->before_usec)
                return false;
        return (double)(child->usage_usec - past->usage_usec) / (double)(s->now_usec - s->before_usec) *
                       MILLI_PER_CPU > BUSY_MILLI;
}

/* Before anything is read: where thousands are ours, a few are not. */
static bool is_not_ours(void *ctx, const char *name)
{
        const struct walk *w = ctx;

        return !w->is_ours(w->ctx, name);
}

static int visit(void *ctx, const struct cgroup_child *child)
{
        struct walk *w = ctx;
        int r = remember(w->siblings, child);

        if (r < 0)
                return r;
        if (is_busy(w->siblings, child))
                w->weight += child->cpu_weight == UINT64_MAX ? CPU_WEIGHT_DEFAULT
                                                             : (double)child->cpu_weight;
        return 0;
}

int siblings_busy_weight(struct siblings *s, const char *mount, const char *group,
                         sibling_is_ours_fn is_ours, void *ctx, double *ret_weight)
{
        struct walk w = { .siblings = s, .is_ours = is_ours, .ctx = ctx };
        int r = cgroup_each_child(mount, group, is_not_ours, visit, &w);

        if (r < 0)
                return r;
        *ret_weight = w.weight;
        return 0;
}

void siblings_done(struct siblings *s)
{
        free(s->before);
        free(s->now);
        *s = (struct siblings){ 0 };
}
