/* SPDX-License-Identifier: MIT */
#include "client/thread_pools.h"

#include "platform/cgroup_tree.h"
#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

/* Ends a walk that is complete enough. */
#define ENOUGH 1

struct search {
        const char *root, *mount;
        const struct config *config;
        struct thread_pools found;
        const char *group;              /* whose children are listed */

        /* The unit that is looked at. */
        const char *unit;
        bool may_get_ceiling;
        uint64_t max_usec_per_sec;      /* Max= */
};

static bool ends_with(const char *text, const char *end)
{
        size_t n = strlen(text), n_end = strlen(end);

        return n > n_end && strcmp(text + n - n_end, end) == 0;
}

/* How many CPUs a quota is worth at most. */
static uint64_t cpus_of(uint64_t quota_usec_per_sec)
{
        return quota_usec_per_sec / 1000000 + (quota_usec_per_sec % 1000000 > 0);
}

/* Does this process count CPUs that it has not, or may it come to that? */
static bool is_mistaken(const struct search *s, const struct process_runtime *p, bool is_own_quota,
                        unsigned n_counted, uint64_t ceiling_usec_per_sec)
{
        if (p->is_fixed || n_counted == 0)
                return false;
        /* The least that Go takes is two, by its own choice. */
        uint64_t n_may = cpus_of(ceiling_usec_per_sec);
        if (n_counted > (p->kind == PROCESS_RUNTIME_GO && p->heeds_quota && n_may < 2 ? 2 : n_may))
                return true;
        /* What the unit's own cgroup gets will be seen, if what sees it is in that cgroup. */
        if (p->follows_quota && is_own_quota)
                return false;
        return s->may_get_ceiling && n_counted > 1;
}

/* Return: where processes like this one of the unit are counted; NULL: out of memory. */
static struct thread_pool *find_pool(struct search *s, const struct process_runtime *p)
{
        for (size_t i = s->found.n_pools; i-- > 0;) {
                struct thread_pool *pool = &s->found.pools[i];

                if (strcmp(pool->unit, s->unit) != 0)
                        break;
                if (pool->kind == p->kind && pool->heeds_quota == p->heeds_quota &&
                    strcmp(pool->version, p->version) == 0)
                        return pool;
        }

        struct thread_pool *larger = reallocarray(s->found.pools, s->found.n_pools + 1, sizeof *larger);
        char *unit = strdup(s->unit);
        if (larger)
                s->found.pools = larger;
        if (!larger || !unit) {
                free(unit);
                return NULL;
        }
        struct thread_pool *pool = &s->found.pools[s->found.n_pools++];
        *pool = (struct thread_pool) {
                .unit = unit,
                .is_slice = ends_with(unit, ".slice"),
                .kind = p->kind,
                .heeds_quota = p->heeds_quota,
                .ceiling_usec_per_sec = s->max_usec_per_sec,
        };
        memcpy(pool->version, p->version, sizeof pool->version);
        return pool;
}

static int look_at_process(void *ctx, const char *group, pid_t pid)
{
        struct search *s = ctx;
        struct process_runtime p;
        uint64_t ceiling_usec_per_sec, own_usec_per_sec;

        if (s->found.n_processes + s->found.n_refused == THREAD_POOLS_PROCESSES_MAX) {
                s->found.is_cut = true;
                return ENOUGH;
        }
        int r = process_runtime_read(s->root, pid, &p);
        if (r == -EACCES || r == -EPERM) {
                s->found.n_refused++;
                return 0;
        }
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        s->found.n_processes++;
        if (p.kind == PROCESS_RUNTIME_NONE)
                return 0;
        if (cgroup_quota(s->mount, group, &ceiling_usec_per_sec, &own_usec_per_sec) < 0)
                return 0; /* gone meanwhile */

        const char *name = strrchr(group, '/');
        bool is_own_quota = strcmp(name ? name + 1 : group, s->unit) == 0;
        unsigned n_counted = process_runtime_count(&p, own_usec_per_sec);
        /* It counted once, at its start: where we move quotas, what holds now says nothing of then. */
        if (p.kind == PROCESS_RUNTIME_JAVA && s->config->enforce != ENFORCE_WEIGHT)
                n_counted = p.n_cpus;
        if (!is_mistaken(s, &p, is_own_quota, n_counted, ceiling_usec_per_sec))
                return 0;

        struct thread_pool *pool = find_pool(s, &p);
        if (!pool)
                return -ENOMEM;
        pool->n_processes++;
        if (n_counted > pool->n_threads)
                pool->n_threads = n_counted;
        if (ceiling_usec_per_sec <= pool->ceiling_usec_per_sec && ceiling_usec_per_sec != UINT64_MAX) {
                pool->ceiling_usec_per_sec = ceiling_usec_per_sec;
                pool->is_in_force = true;
        }
        return 0;
}

static int look_at_unit(struct search *s, const char *group, const char *unit,
                        const struct config_service *service)
{
        uint64_t ceiling_usec_per_sec, own_usec_per_sec;

        s->unit = unit;
        s->max_usec_per_sec = service->max.is_set && s->config->enforce != ENFORCE_WEIGHT
                                      ? service->max.usec_per_sec : UINT64_MAX;
        s->may_get_ceiling = s->config->enforce == ENFORCE_QUOTA || s->max_usec_per_sec != UINT64_MAX;

        int r = cgroup_quota(s->mount, group, &ceiling_usec_per_sec, &own_usec_per_sec);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (!s->may_get_ceiling && ceiling_usec_per_sec == UINT64_MAX)
                return 0;
        s->found.n_units++;
        r = cgroup_each_process(s->mount, group, look_at_process, s);
        return r == -ENOENT ? 0 : r;
}

/* Units are where systemd puts them: in slices, and slices in slices. What lies in a service is its own
 * affair, be it the units of a user's systemd. */
static bool wants_child(void *ctx, const char *name)
{
        const struct search *s = ctx;

        return ends_with(name, ".slice") || config_match_service(s->config, name) >= 0;
}

static int look_at_child(void *ctx, const struct cgroup_child *child)
{
        struct search *s = ctx;
        const char *above = s->group;
        _cleanup_free_ char *group = NULL;
        int r = 0;

        if (asprintf(&group, "%s/%s", above, child->name) < 0)
                return -ENOMEM;
        ssize_t i = config_match_service(s->config, child->name);
        if (i >= 0)
                r = look_at_unit(s, group, child->name, &s->config->services[i]);
        if (r == 0 && ends_with(child->name, ".slice")) {
                s->group = group;
                r = cgroup_each_child(s->mount, group, wants_child, look_at_child, s);
                s->group = above;
        }
        return r == -ENOENT ? 0 : r;
}

int thread_pools_find(const char *root, const char *mount, const struct config *config,
                      struct thread_pools *ret)
{
        struct search s = { .root = root, .mount = mount, .config = config, .group = "" };

        int r = cgroup_each_child(mount, "", wants_child, look_at_child, &s);
        if (r < 0) {
                thread_pools_done(&s.found);
                return r;
        }
        *ret = s.found;
        return 0;
}

void thread_pools_done(struct thread_pools *p)
{
        for (size_t i = 0; i < p->n_pools; i++)
                free(p->pools[i].unit);
        free(p->pools);
        *p = (struct thread_pools) { 0 };
}
