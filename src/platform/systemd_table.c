/* SPDX-License-Identifier: MIT */
#include "platform/systemd_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define N_BUCKETS_MIN 64

bool systemd_type_of(const char *name, enum systemd_unit_type *ret)
{
        static const char *const suffixes[_SYSTEMD_UNIT_TYPE_MAX] = {
                [SYSTEMD_SLICE] = ".slice",
                [SYSTEMD_SERVICE] = ".service",
                [SYSTEMD_SCOPE] = ".scope",
        };

        if (!unit_name_is_valid(name))
                return false;
        const char *suffix = strrchr(name, '.');
        for (unsigned i = 0; i < _SYSTEMD_UNIT_TYPE_MAX; i++)
                if (strcmp(suffix, suffixes[i]) == 0) {
                        *ret = (enum systemd_unit_type)i;
                        return true;
                }
        return false;
}

bool systemd_slice_to_parent(char name[static SYSTEMD_NAME_SIZE])
{
        const char *suffix = strrchr(name, '.');

        if (suffix == NULL || strcmp(suffix, ".slice") != 0 || strcmp(name, "-.slice") == 0)
                return false;
        char *dash = strrchr(name, '-');
        strcpy(dash != NULL && dash != name ? dash : stpcpy(name, "-"), ".slice");
        return true;
}

bool systemd_slice_contains(const char *outer, const char *inner)
{
        char name[SYSTEMD_NAME_SIZE];

        if (strlen(inner) >= sizeof name)
                return false;
        strcpy(name, inner);
        do
                if (strcmp(name, outer) == 0)
                        return true;
        while (systemd_slice_to_parent(name));
        return false;
}

enum systemd_state systemd_state_from_string(const char *active, const char *sub)
{
        /* Between two attempts systemd calls the service "activating" although nothing runs: a
         * service that crashes for ever would count as starting up for ever. */
        if (strcmp(active, "activating") == 0)
                return sub != NULL && strncmp(sub, "auto-restart", strlen("auto-restart")) == 0
                               ? SYSTEMD_DOWN
                               : SYSTEMD_STARTING;
        if (strcmp(active, "active") == 0)
                return SYSTEMD_UP;
        /* 257 has "refreshing" beside it; "maintenance" is a unit that is up and being cleaned. */
        if (strcmp(active, "reloading") == 0 || strcmp(active, "refreshing") == 0 ||
            strcmp(active, "maintenance") == 0)
                return SYSTEMD_RELOADING;
        if (strcmp(active, "deactivating") == 0)
                return SYSTEMD_STOPPING;
        return SYSTEMD_DOWN;
}

/* FNV-1a: names come from root, nobody gains from collisions. */
static uint32_t hash_of(const char *name)
{
        uint32_t h = 2166136261u;

        for (; *name != 0; name++)
                h = (h ^ (unsigned char)*name) * 16777619u;
        return h;
}

static struct systemd_entry **bucket_of(const struct systemd_table *t, uint32_t hash)
{
        return &t->buckets[hash & (t->n_buckets - 1)];
}

static void insert(struct systemd_table *t, struct systemd_entry *e)
{
        struct systemd_entry **bucket = bucket_of(t, e->hash);

        e->next_in_bucket = *bucket;
        *bucket = e;
        t->n_entries++;
}

static int grow(struct systemd_table *t)
{
        struct systemd_table bigger = {
                .n_buckets = t->n_buckets == 0 ? N_BUCKETS_MIN : t->n_buckets * 2,
        };

        bigger.buckets = calloc(bigger.n_buckets, sizeof bigger.buckets[0]);
        if (bigger.buckets == NULL)
                return -ENOMEM;
        for (struct systemd_entry *e = systemd_table_next(t, NULL), *next; e != NULL; e = next) {
                next = systemd_table_next(t, e);
                insert(&bigger, e);
        }
        free(t->buckets);
        *t = bigger;
        return 0;
}

struct systemd_entry *systemd_table_find(const struct systemd_table *t, const char *name)
{
        if (t->n_buckets == 0)
                return NULL;
        uint32_t hash = hash_of(name);
        for (struct systemd_entry *e = *bucket_of(t, hash); e != NULL; e = e->next_in_bucket)
                if (e->hash == hash && strcmp(e->unit.name, name) == 0)
                        return e;
        return NULL;
}

int systemd_table_add(struct systemd_table *t, const char *name, struct systemd_entry **ret)
{
        enum systemd_unit_type type;

        if (!systemd_type_of(name, &type))
                return -EINVAL;
        if (t->n_entries >= t->n_buckets && grow(t) < 0)
                return -ENOMEM;

        struct systemd_entry *e = calloc(1, sizeof *e);
        if (e == NULL)
                return -ENOMEM;
        STAILQ_INIT(&e->waiters);
        STAILQ_INIT(&e->served);
        e->unit = (struct systemd_unit) {
                .name = strdup(name),
                .type = type,
                .slice = "",
                .control_group = "",
                .quota_usec_per_sec = SYSTEMD_UNSET,
                .cpu_weight = SYSTEMD_UNSET,
        };
        if (e->unit.name == NULL) {
                free(e);
                return -ENOMEM;
        }
        e->hash = hash_of(name);
        insert(t, e);
        *ret = e;
        return 0;
}

void systemd_table_take(struct systemd_table *t, struct systemd_entry *e)
{
        struct systemd_entry **p = bucket_of(t, e->hash);

        while (*p != e)
                p = &(*p)->next_in_bucket;
        *p = e->next_in_bucket;
        t->n_entries--;
}

struct systemd_entry *systemd_table_next(const struct systemd_table *t, const struct systemd_entry *e)
{
        size_t i = 0;

        if (e != NULL) {
                if (e->next_in_bucket != NULL)
                        return e->next_in_bucket;
                i = (e->hash & (t->n_buckets - 1)) + 1;
        }
        for (; i < t->n_buckets; i++)
                if (t->buckets[i] != NULL)
                        return t->buckets[i];
        return NULL;
}

static void waiters_free(struct systemd_waiters *waiters)
{
        struct systemd_waiter *w;

        while ((w = STAILQ_FIRST(waiters)) != NULL) {
                STAILQ_REMOVE_HEAD(waiters, link);
                free(w);
        }
}

void systemd_entry_free(struct systemd_entry *e)
{
        waiters_free(&e->waiters);
        waiters_free(&e->served);
        free((char *)e->unit.name);
        free(e->slice);
        free(e->control_group);
        free(e);
}

void systemd_table_free(struct systemd_table *t)
{
        for (struct systemd_entry *e = systemd_table_next(t, NULL), *next; e != NULL; e = next) {
                next = systemd_table_next(t, e);
                systemd_entry_free(e);
        }
        free(t->buckets);
}
