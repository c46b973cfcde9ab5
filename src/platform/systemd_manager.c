/* SPDX-License-Identifier: MIT */
#include "platform/systemd_manager.h"

#include "util/unit_name.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define DESTINATION "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define UNIT_PREFIX "/org/freedesktop/systemd1/unit"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"
#define UNIT_INTERFACE "org.freedesktop.systemd1.Unit"

#define SYSTEM_BUS_ADDRESS "unix:path=/run/dbus/system_bus_socket"
#define PRIVATE_ADDRESS "unix:path=/run/systemd/private"

#define USEC_PER_MSEC UINT64_C(1000)
#define BACKOFF_MIN_USEC (100 * USEC_PER_MSEC)
#define BACKOFF_MAX_USEC (5000 * USEC_PER_MSEC)

/* Listings for the sake of new units are taken this far apart: a thousand units that come and go
 * in a second cost ten listings, not a thousand. */
#define LIST_INTERVAL_USEC (100 * USEC_PER_MSEC)

/* A unit that could not be read is tried again after this long. */
#define RETRY_INTERVAL_USEC (1000 * USEC_PER_MSEC)

/* PID 1 matches every loaded unit with every pattern; beyond this many names it is cheaper for
 * everybody to list all slices, services and scopes. */
#define NAMES_MAX 16

/* Timers share wake-ups within this. sd-event would take 0 for 250 ms. */
#define TIMER_ACCURACY_USEC (5 * USEC_PER_MSEC)

#define UNIT_NAME_SIZE (UNIT_NAME_LENGTH_MAX + 1)

enum unit_state {
        STATE_DOWN,             /* inactive, failed, or waiting to be restarted */
        STATE_STARTING,
        STATE_UP,
        STATE_RELOADING,
        STATE_STOPPING,
};

enum call_kind {
        CALL_SUBSCRIBE,
        CALL_LIST_ALL,          /* every slice, service and scope */
        CALL_LIST_NAMES,        /* those that UnitNew named */
        CALL_READ,              /* all properties of a wanted unit */
        CALL_READ_SLICE,        /* where a starting service that nobody wants lives */
        CALL_SET,
        CALL_RELOAD,
        CALL_NONE,              /* an answer that was known at once */
};

struct waiter {
        struct waiter *next;
        void (*done)(void *ctx, const char *unit, int error);
        void *ctx;
        bool is_armed;          /* the reading under way was sent after the wish */
};

/* A loaded unit, wanted or not. */
struct entry {
        struct systemd_unit unit;       /* its strings are owned here */
        struct entry *next_in_bucket;
        uint32_t hash;
        char *slice;                    /* NULL = not known */
        char *control_group;
        enum unit_state state;
        struct call *read;              /* queued or in flight; at most one */
        struct waiter *waiters;
        uint64_t listed;                /* number of the last full listing that named it */
        bool is_wanted;
        bool is_reported;
        bool is_awaited;                /* SYSTEMD_LISTED waits for its reading */
        bool is_stale;                  /* its reading failed */
        bool read_again;                /* somebody wished so while the reading was in flight */
        bool is_counted;                /* in n_starting of its slice and those around it */
};

struct batch {
        TAILQ_ENTRY(batch) link;
        systemd_setting_done_fn each;
        systemd_batch_done_fn done;
        void *ctx;
        size_t n_left;
        unsigned n_failed;
        struct systemd_setting settings[];      /* their names follow behind the last one */
};

TAILQ_HEAD(calls, call);
TAILQ_HEAD(batches, batch);

/* Every call is in one of the manager's three lists, or in the hands of the function that ends it. */
struct call {
        TAILQ_ENTRY(call) link;
        struct calls *list;             /* NULL = in somebody's hands */
        struct systemd_manager *manager;
        enum call_kind kind;
        sd_bus_slot *slot;              /* in flight */
        uint64_t deadline_usec;
        int error;                      /* in answers */
        struct entry *entry;            /* CALL_READ*; NULL once the unit is gone */
        struct batch *batch;            /* CALL_SET, or CALL_NONE for an empty batch */
        size_t i_setting;
        void (*reload_done)(void *ctx, int error);
        void (*refresh_done)(void *ctx, const char *unit, int error);
        void *ctx;
        char unit[];                    /* CALL_NONE for a refusal to refresh */
};

enum {
        MATCH_CONNECTED,
        MATCH_DISCONNECTED,
        MATCH_OWNER,
        MATCH_MANAGER,
        MATCH_PROPERTIES,
        _MATCH_MAX,
};

struct systemd_manager {
        unsigned n_refs;                /* ours and one for each callback on the stack */
        bool is_dead;

        struct systemd_follower follower;
        sd_event *event;
        sd_event_source *turn;          /* sends what can be sent, tells what is to be told */
        sd_event_source *timer;         /* for whatever is due next */
        int (*open)(void *ctx, sd_bus **ret);
        void *open_ctx;
        char *address;                  /* of our own opener; NULL = system bus */
        bool is_private;                /* we live on PID 1's private socket */
        uint64_t timeout_usec;

        sd_bus *bus;
        sd_bus_slot *matches[_MATCH_MAX];
        char *owner;                    /* unique name of systemd; NULL = not known yet */
        bool is_peer;
        bool is_connected;
        bool is_subscribed;
        uint64_t backoff_usec;
        uint64_t reconnect_at_usec;     /* 0 = not waiting */

        bool is_reloading;
        uint64_t reloading_until_usec;

        bool want_subscribe;
        uint64_t subscribe_at_usec;
        bool want_list;
        bool want_list_now;             /* not for new units' sake: no waiting */
        bool want_read_all;
        bool want_ask_all;
        uint64_t list_at_usec;
        char *names[NAMES_MAX];         /* what UnitNew named since the last listing */
        size_t n_names;
        struct call *listing;           /* in flight */
        bool listing_read_all;
        bool listing_ask_all;
        uint64_t n_listings;
        size_t n_awaited;
        bool announce_listed;
        bool announce_reloaded;

        struct entry **buckets;
        size_t n_buckets;               /* a power of two */
        size_t n_entries;
        size_t n_counted;

        struct calls queue;
        struct calls flight;
        struct calls answers;
        size_t n_flight;
        struct batches batches;
};

/* ---- lifetime ---------------------------------------------------------------------------------- */

static void call_put(struct calls *list, struct call *c)
{
        TAILQ_INSERT_TAIL(list, c, link);
        c->list = list;
}

static struct call *call_take(struct call *c)
{
        TAILQ_REMOVE(c->list, c, link);
        c->list = NULL;
        return c;
}

static void call_free(struct call *c)
{
        sd_bus_slot_unref(c->slot);
        free(c);
}

static void entry_free(struct entry *e)
{
        for (struct waiter *w = e->waiters; w != NULL;) {
                struct waiter *next = w->next;
                free(w);
                w = next;
        }
        free((char *)e->unit.name);
        free(e->slice);
        free(e->control_group);
        free(e);
}

static void calls_free(struct calls *list)
{
        struct call *c;

        while ((c = TAILQ_FIRST(list)) != NULL)
                call_free(call_take(c));
}

static void manager_close_bus(struct systemd_manager *m)
{
        for (unsigned i = 0; i < _MATCH_MAX; i++)
                m->matches[i] = sd_bus_slot_unref(m->matches[i]);
        if (m->bus != NULL) {
                sd_bus_detach_event(m->bus);
                m->bus = sd_bus_close_unref(m->bus);
        }
        free(m->owner);
        m->owner = NULL;
}

static void manager_ref(struct systemd_manager *m)
{
        m->n_refs++;
}

static void manager_unref(struct systemd_manager *m)
{
        if (--m->n_refs > 0)
                return;

        calls_free(&m->queue);
        calls_free(&m->flight);
        calls_free(&m->answers);
        for (struct batch *b; (b = TAILQ_FIRST(&m->batches)) != NULL;) {
                TAILQ_REMOVE(&m->batches, b, link);
                free(b);
        }
        for (size_t i = 0; i < m->n_buckets; i++)
                for (struct entry *e = m->buckets[i]; e != NULL;) {
                        struct entry *next = e->next_in_bucket;
                        entry_free(e);
                        e = next;
                }
        free(m->buckets);
        for (size_t i = 0; i < m->n_names; i++)
                free(m->names[i]);
        sd_event_source_unref(m->turn);
        sd_event_source_unref(m->timer);
        sd_event_unref(m->event);
        free(m->address);
        free(m);
}

struct systemd_manager *systemd_manager_free(struct systemd_manager *m)
{
        if (m == NULL)
                return NULL;

        /* We may be inside one of our own callbacks: what these still hold goes with the last
         * reference, everything that could call back goes now. */
        m->is_dead = true;
        struct call *c;
        TAILQ_FOREACH(c, &m->flight, link)
                c->slot = sd_bus_slot_unref(c->slot);
        manager_close_bus(m);
        if (m->turn != NULL)
                (void)sd_event_source_set_enabled(m->turn, SD_EVENT_OFF);
        if (m->timer != NULL)
                (void)sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
        manager_unref(m);
        return NULL;
}

static void request_turn(struct systemd_manager *m)
{
        if (!m->is_dead)
                (void)sd_event_source_set_enabled(m->turn, SD_EVENT_ONESHOT);
}

static uint64_t now_usec(struct systemd_manager *m)
{
        uint64_t now = 0;

        (void)sd_event_now(m->event, CLOCK_MONOTONIC, &now);
        return now;
}

static void emit(struct systemd_manager *m, enum systemd_event event, struct entry *e)
{
        if (!m->is_dead)
                m->follower.on_event(m->follower.ctx, event, e != NULL ? &e->unit : NULL);
}

static void emit_changed(struct systemd_manager *m, struct entry *e)
{
        if (e->is_reported)
                emit(m, SYSTEMD_UNIT_CHANGED, e);
}

/* ---- names ------------------------------------------------------------------------------------- */

static bool ends_with(const char *s, const char *suffix)
{
        size_t n = strlen(s), n_suffix = strlen(suffix);

        return n > n_suffix && memcmp(s + n - n_suffix, suffix, n_suffix) == 0;
}

/* Return: 1 if the name is of a type that we follow; 0. */
static int unit_type(const char *name, enum systemd_unit_type *ret)
{
        static const char *const suffixes[_SYSTEMD_UNIT_TYPE_MAX] = {
                [SYSTEMD_SLICE] = ".slice",
                [SYSTEMD_SERVICE] = ".service",
                [SYSTEMD_SCOPE] = ".scope",
        };

        if (!unit_name_is_valid(name))
                return 0;
        for (unsigned i = 0; i < _SYSTEMD_UNIT_TYPE_MAX; i++)
                if (ends_with(name, suffixes[i])) {
                        *ret = (enum systemd_unit_type)i;
                        return 1;
                }
        return 0;
}

/* "a-b.slice" -> "a.slice" -> "-.slice" -> false. In place. */
static bool slice_to_parent(char name[static UNIT_NAME_SIZE])
{
        if (!ends_with(name, ".slice") || strcmp(name, "-.slice") == 0)
                return false;
        char *dash = strrchr(name, '-');
        if (dash != NULL && dash != name)
                strcpy(dash, ".slice");
        else
                strcpy(name, "-.slice");
        return true;
}

/* Is @inner the slice @outer or somewhere inside it? */
static bool slice_contains(const char *outer, const char *inner)
{
        char name[UNIT_NAME_SIZE];

        if (strlen(inner) >= sizeof name)
                return false;
        strcpy(name, inner);
        do
                if (strcmp(name, outer) == 0)
                        return true;
        while (slice_to_parent(name));
        return false;
}

static enum unit_state state_from_string(const char *active, const char *sub)
{
        /* Between two attempts systemd calls the service "activating" although nothing runs: a
         * service that crashes for ever would count as starting up for ever. */
        if (strcmp(active, "activating") == 0)
                return sub != NULL && strncmp(sub, "auto-restart", strlen("auto-restart")) == 0
                               ? STATE_DOWN
                               : STATE_STARTING;
        if (strcmp(active, "active") == 0)
                return STATE_UP;
        /* 257 has "refreshing" beside it; "maintenance" is a unit that is up and being cleaned. */
        if (strcmp(active, "reloading") == 0 || strcmp(active, "refreshing") == 0 ||
            strcmp(active, "maintenance") == 0)
                return STATE_RELOADING;
        if (strcmp(active, "deactivating") == 0)
                return STATE_STOPPING;
        return STATE_DOWN;
}

/* ---- table of units ---------------------------------------------------------------------------- */

/* FNV-1a: names come from root, nobody gains from collisions. */
static uint32_t name_hash(const char *name)
{
        uint32_t h = 2166136261u;

        for (; *name != 0; name++)
                h = (h ^ (unsigned char)*name) * 16777619u;
        return h;
}

static struct entry *table_find(struct systemd_manager *m, const char *name)
{
        if (m->n_buckets == 0)
                return NULL;
        uint32_t h = name_hash(name);
        for (struct entry *e = m->buckets[h & (m->n_buckets - 1)]; e != NULL; e = e->next_in_bucket)
                if (e->hash == h && strcmp(e->unit.name, name) == 0)
                        return e;
        return NULL;
}

static int table_grow(struct systemd_manager *m)
{
        size_t n = m->n_buckets == 0 ? 64 : m->n_buckets * 2;
        struct entry **buckets = calloc(n, sizeof *buckets);

        if (buckets == NULL)
                return -ENOMEM;
        for (size_t i = 0; i < m->n_buckets; i++)
                for (struct entry *e = m->buckets[i]; e != NULL;) {
                        struct entry *next = e->next_in_bucket;
                        e->next_in_bucket = buckets[e->hash & (n - 1)];
                        buckets[e->hash & (n - 1)] = e;
                        e = next;
                }
        free(m->buckets);
        m->buckets = buckets;
        m->n_buckets = n;
        return 0;
}

static int table_add(struct systemd_manager *m, const char *name, struct entry **ret)
{
        enum systemd_unit_type type;

        if (unit_type(name, &type) == 0)
                return -EINVAL;
        if (m->n_entries >= m->n_buckets && table_grow(m) < 0)
                return -ENOMEM;

        struct entry *e = calloc(1, sizeof *e);
        if (e == NULL)
                return -ENOMEM;
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
        e->is_wanted = m->follower.wants(m->follower.ctx, name);
        e->hash = name_hash(name);

        struct entry **bucket = &m->buckets[e->hash & (m->n_buckets - 1)];
        e->next_in_bucket = *bucket;
        *bucket = e;
        m->n_entries++;

        /* A slice may come to our knowledge after the services that start in it. */
        if (type == SYSTEMD_SLICE && m->n_counted > 0)
                for (size_t i = 0; i < m->n_buckets; i++)
                        for (struct entry *s = m->buckets[i]; s != NULL; s = s->next_in_bucket)
                                if (s->is_counted && slice_contains(name, s->slice))
                                        e->unit.n_starting++;
        *ret = e;
        return 0;
}

static int table_ensure(struct systemd_manager *m, const char *name, struct entry **ret)
{
        struct entry *e = table_find(m, name);

        if (e == NULL)
                return table_add(m, name, ret);
        *ret = e;
        return 0;
}

/* ---- services that start ----------------------------------------------------------------------- */

static void count_starting(struct systemd_manager *m, const char *slice, bool is_up)
{
        char name[UNIT_NAME_SIZE];

        if (strlen(slice) >= sizeof name)
                return;
        strcpy(name, slice);
        do {
                struct entry *e = table_find(m, name);
                if (e == NULL)
                        continue;
                if (is_up)
                        e->unit.n_starting++;
                else if (e->unit.n_starting > 0)
                        e->unit.n_starting--;
                emit_changed(m, e);
        } while (!m->is_dead && slice_to_parent(name));
}

/* Brings the counts of the slices in line with the state of one service. */
static void entry_count(struct systemd_manager *m, struct entry *e)
{
        bool counts = e->unit.type == SYSTEMD_SERVICE && e->state == STATE_STARTING &&
                      e->slice != NULL;

        if (counts == e->is_counted)
                return;
        e->is_counted = counts;
        if (counts)
                m->n_counted++;
        else
                m->n_counted--;
        count_starting(m, e->slice, counts);
}

/* Takes over @slice, which is malloc'd or NULL. */
static void entry_set_slice(struct systemd_manager *m, struct entry *e, char *slice)
{
        if (e->is_counted && (slice == NULL || strcmp(slice, e->slice) != 0)) {
                e->is_counted = false;
                m->n_counted--;
                count_starting(m, e->slice, false);
        }
        free(e->slice);
        e->slice = slice;
        e->unit.slice = slice != NULL ? slice : "";
        if (!m->is_dead)
                entry_count(m, e);
}

/* ---- calls ------------------------------------------------------------------------------------- */

static int call_new(struct systemd_manager *m, enum call_kind kind, const char *unit, struct call **ret)
{
        size_t n = unit != NULL ? strlen(unit) + 1 : 1;
        struct call *c = calloc(1, sizeof *c + n);

        if (c == NULL)
                return -ENOMEM;
        c->manager = m;
        c->kind = kind;
        if (unit != NULL)
                memcpy(c->unit, unit, n);
        *ret = c;
        return 0;
}

static void entry_unawait(struct systemd_manager *m, struct entry *e)
{
        if (!e->is_awaited)
                return;
        e->is_awaited = false;
        m->n_awaited--;
        request_turn(m);
}

/* Answers the wishes to refresh; with @all also those for a reading that was not sent yet, which
 * only a unit may ask for that systemd_manager_refresh() refuses by now. */
static void entry_answer(struct systemd_manager *m, struct entry *e, int error, bool all)
{
        struct waiter **p = &e->waiters;

        while (*p != NULL) {
                struct waiter *w = *p;
                if (!all && !w->is_armed) {
                        p = &w->next;
                        continue;
                }
                *p = w->next;
                w->done(w->ctx, e->unit.name, error);
                free(w);
                if (m->is_dead)
                        return;
                /* done() may have put a new wish in front. Starting over ends: the armed ones only
                 * get fewer, and with @all the unit refuses new wishes. */
                p = &e->waiters;
        }
}

static void entry_drop_read(struct systemd_manager *m, struct entry *e)
{
        struct call *c = e->read;

        if (c == NULL)
                return;
        e->read = NULL;
        e->read_again = false;
        c->entry = NULL;
        if (c->list == &m->queue)
                call_free(call_take(c));
        entry_unawait(m, e);
}

static void entry_want_read(struct systemd_manager *m, struct entry *e)
{
        struct call *c;

        /* Replies and signals come in the order in which they were made: what a signal tells, a
         * reply that is still to come knows. */
        if (e->read != NULL)
                return;
        if (call_new(m, e->is_wanted ? CALL_READ : CALL_READ_SLICE, NULL, &c) < 0) {
                e->is_stale = true;
                return;
        }
        c->entry = e;
        e->read = c;
        call_put(&m->queue, c);
        request_turn(m);
}

static void entry_await_read(struct systemd_manager *m, struct entry *e)
{
        entry_want_read(m, e);
        if (e->read != NULL && !e->is_awaited) {
                e->is_awaited = true;
                m->n_awaited++;
        }
}

/* Unlinks and frees, after telling. */
static void entry_remove(struct systemd_manager *m, struct entry *e)
{
        struct entry **p = &m->buckets[e->hash & (m->n_buckets - 1)];

        while (*p != e)
                p = &(*p)->next_in_bucket;
        *p = e->next_in_bucket;
        m->n_entries--;

        entry_drop_read(m, e);
        entry_unawait(m, e);
        e->state = STATE_DOWN;
        e->unit.is_active = false;
        e->unit.control_group = "";
        entry_count(m, e);
        if (!m->is_dead)
                entry_answer(m, e, -ESRCH, true);
        if (e->is_reported)
                emit(m, SYSTEMD_UNIT_LOST, e);
        entry_free(e);
}

static void entry_set_state(struct systemd_manager *m, struct entry *e, enum unit_state state)
{
        enum unit_state before = e->state;
        bool is_changed = false;

        if (state == before)
                return;
        e->state = state;

        if (e->unit.type != SYSTEMD_SLICE) {
                unsigned n_starting = state == STATE_STARTING;
                is_changed = n_starting != e->unit.n_starting;
                e->unit.n_starting = n_starting;
        }

        if (state == STATE_DOWN) {
                if (e->read != NULL && e->read->list == &m->queue)
                        entry_drop_read(m, e);
                is_changed = is_changed || e->unit.is_active;
                e->unit.is_active = false;
                e->unit.control_group = "";
                e->unit.invocation_id = SD_ID128_NULL;
                entry_count(m, e);
                /* It may live elsewhere when it starts again. */
                if (!e->is_wanted && !m->is_dead)
                        entry_set_slice(m, e, NULL);
                if (!m->is_dead && e->read == NULL)
                        entry_answer(m, e, -ESRCH, true);
        } else if (e->is_wanted) {
                if (state == STATE_STARTING || (state == STATE_UP && before != STATE_RELOADING) ||
                    before == STATE_DOWN)
                        entry_want_read(m, e);
                entry_count(m, e);
        } else if (e->unit.type == SYSTEMD_SERVICE) {
                if (state == STATE_STARTING && e->slice == NULL)
                        entry_want_read(m, e);
                entry_count(m, e);
        }

        if (is_changed)
                emit_changed(m, e);
}

static void entry_report(struct systemd_manager *m, struct entry *e)
{
        if (!e->is_wanted || e->is_reported)
                return;
        e->is_reported = true;
        emit(m, SYSTEMD_UNIT_FOUND, e);
}

/* ---- properties -------------------------------------------------------------------------------- */

/* What GetAll and PropertiesChanged say; strings live in the message. */
struct properties {
        const char *active_state;
        const char *sub_state;
        const char *control_group;
        const char *slice;
        sd_id128_t invocation_id;
        uint64_t quota_usec_per_sec;
        uint64_t cpu_weight;
        int is_transient;
        bool has_invocation_id;
};

static int read_invocation_id(sd_bus_message *reply, struct properties *p)
{
        const void *bytes;
        size_t n;
        int r;

        r = sd_bus_message_enter_container(reply, 'v', "ay");
        if (r < 0)
                return r;
        r = sd_bus_message_read_array(reply, 'y', &bytes, &n);
        if (r < 0)
                return r;
        if (n == sizeof p->invocation_id) {
                memcpy(&p->invocation_id, bytes, n);
                p->has_invocation_id = true;
        }
        return sd_bus_message_exit_container(reply);
}

/* Reads an a{sv}. Unknown keys are skipped; a wrong type is -ENXIO. */
static int read_properties(sd_bus_message *reply, struct properties *p)
{
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                const char *key;

                r = sd_bus_message_read_basic(reply, 's', &key);
                if (r < 0)
                        return r;
                if (strcmp(key, "ActiveState") == 0)
                        r = sd_bus_message_read(reply, "v", "s", &p->active_state);
                else if (strcmp(key, "SubState") == 0)
                        r = sd_bus_message_read(reply, "v", "s", &p->sub_state);
                else if (strcmp(key, "ControlGroup") == 0)
                        r = sd_bus_message_read(reply, "v", "s", &p->control_group);
                else if (strcmp(key, "Slice") == 0)
                        r = sd_bus_message_read(reply, "v", "s", &p->slice);
                else if (strcmp(key, "CPUQuotaPerSecUSec") == 0)
                        r = sd_bus_message_read(reply, "v", "t", &p->quota_usec_per_sec);
                else if (strcmp(key, "CPUWeight") == 0)
                        r = sd_bus_message_read(reply, "v", "t", &p->cpu_weight);
                else if (strcmp(key, "Transient") == 0)
                        r = sd_bus_message_read(reply, "v", "b", &p->is_transient);
                else if (strcmp(key, "InvocationID") == 0)
                        r = read_invocation_id(reply, p);
                else
                        r = sd_bus_message_skip(reply, "v");
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(reply);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(reply);
}

static int entry_take_properties(struct systemd_manager *m, struct entry *e, sd_bus_message *reply)
{
        struct properties p = {
                .quota_usec_per_sec = SYSTEMD_UNSET,
                .cpu_weight = SYSTEMD_UNSET,
        };
        char *slice, *control_group;
        int r;

        r = read_properties(reply, &p);
        if (r < 0)
                return r;
        if (p.active_state == NULL || p.control_group == NULL)
                return -EBADMSG;

        enum unit_state state = state_from_string(p.active_state, p.sub_state);
        if (state == STATE_DOWN) {
                entry_set_state(m, e, state);
                return 0;
        }

        slice = strdup(p.slice != NULL ? p.slice : "");
        control_group = strdup(p.control_group);
        if (slice == NULL || control_group == NULL) {
                free(slice);
                free(control_group);
                return -ENOMEM;
        }

        bool is_changed = !e->unit.is_active || strcmp(e->unit.control_group, control_group) != 0 ||
                          strcmp(e->unit.slice, slice) != 0 ||
                          !sd_id128_equal(e->unit.invocation_id, p.invocation_id);
        free(e->control_group);
        e->control_group = control_group;
        e->unit.control_group = control_group;
        e->unit.invocation_id = p.invocation_id;
        e->unit.is_active = true;
        e->unit.is_transient = p.is_transient != 0;
        e->unit.quota_usec_per_sec = p.quota_usec_per_sec;
        e->unit.cpu_weight = p.cpu_weight;

        /* Not by entry_set_state(): a state that moved on before its signal has just been read. */
        unsigned n_starting = e->unit.n_starting;
        e->state = state;
        if (e->unit.type != SYSTEMD_SLICE)
                e->unit.n_starting = state == STATE_STARTING;
        is_changed = is_changed || n_starting != e->unit.n_starting;
        entry_set_slice(m, e, slice);
        if (m->is_dead)
                return 0;
        entry_count(m, e);
        if (is_changed && !m->is_dead)
                emit_changed(m, e);
        return 0;
}

/* ---- ends of calls ----------------------------------------------------------------------------- */

static int errno_from_message(sd_bus_message *reply)
{
        /* Of systemd's own error names libsystemd knows nothing (they would all be EIO). */
        static const struct {
                const char *name;
                int error;
        } names[] = {
                { "org.freedesktop.systemd1.NoSuchUnit", -ESRCH },
                { "org.freedesktop.systemd1.UnitMasked", -ERFKILL },
                { "org.freedesktop.systemd1.BadUnitSetting", -ENOEXEC },
                { "org.freedesktop.DBus.Error.UnknownObject", -ESRCH },
                { "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", -EACCES },
                { "org.freedesktop.DBus.Error.AccessDenied", -EACCES },
                { "org.freedesktop.DBus.Error.AuthFailed", -EACCES },
                { "org.freedesktop.DBus.Error.NoReply", -ETIMEDOUT },
                { "org.freedesktop.DBus.Error.Timeout", -ETIMEDOUT },
        };
        const sd_bus_error *e = sd_bus_message_get_error(reply);

        if (e == NULL)
                return 0;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
                if (sd_bus_error_has_name(e, names[i].name))
                        return names[i].error;
        int error = sd_bus_message_get_errno(reply);
        return error > 0 ? -error : -EIO;
}

static void request_list(struct systemd_manager *m)
{
        m->want_list = true;
        request_turn(m);
}

static void request_list_now(struct systemd_manager *m)
{
        m->want_list_now = true;
        m->want_read_all = true;
        request_list(m);
}

static void request_subscribe(struct systemd_manager *m)
{
        m->is_subscribed = false;
        m->want_subscribe = true;
        m->subscribe_at_usec = 0;
        request_turn(m);
}

static void retry_later(struct systemd_manager *m)
{
        m->want_list = true;
        m->list_at_usec = now_usec(m) + RETRY_INTERVAL_USEC;
        request_turn(m);
}

static void subscribe_end(struct systemd_manager *m, sd_bus_message *reply, int error)
{
        if (error < 0 &&
            !(reply != NULL &&
              sd_bus_message_is_method_error(reply, "org.freedesktop.systemd1.AlreadySubscribed"))) {
                /* No systemd on this bus yet, or it is too busy to answer. */
                m->want_subscribe = true;
                m->subscribe_at_usec = now_usec(m) + m->backoff_usec;
                m->backoff_usec = m->backoff_usec * 2 < BACKOFF_MAX_USEC ? m->backoff_usec * 2
                                                                         : BACKOFF_MAX_USEC;
                return;
        }

        const char *sender = sd_bus_message_get_sender(reply);
        if (!m->is_peer && sender != NULL) {
                char *owner = strdup(sender);
                if (owner == NULL)
                        return;
                free(m->owner);
                m->owner = owner;
        }
        m->is_subscribed = true;
        m->backoff_usec = BACKOFF_MIN_USEC;
        request_list_now(m);
}

static int listing_take_row(struct systemd_manager *m, const char *name, const char *load,
                            const char *active, const char *sub)
{
        enum unit_state state = state_from_string(active, sub);
        enum systemd_unit_type type;
        struct entry *e;
        int r;

        if (unit_type(name, &type) == 0)
                return 0;
        /* Somebody's After= mentions it, and that is all there is of it. */
        if (strcmp(load, "not-found") == 0 && state == STATE_DOWN)
                return 0;
        r = table_ensure(m, name, &e);
        if (r < 0)
                return r;
        e->listed = m->n_listings;

        if (m->listing_ask_all) {
                bool is_wanted = m->follower.wants(m->follower.ctx, name);
                if (is_wanted != e->is_wanted) {
                        bool was_reported = e->is_reported;
                        entry_drop_read(m, e);
                        e->is_wanted = is_wanted;
                        e->is_stale = true;
                        e->is_reported = false;
                        entry_answer(m, e, -ESRCH, true);
                        if (was_reported)
                                emit(m, SYSTEMD_UNIT_LOST, e);
                        e->unit.userdata = NULL;
                        if (m->is_dead)
                                return 0;
                }
        }

        bool is_stale = e->is_stale || m->listing_read_all;
        e->is_stale = false;
        entry_set_state(m, e, state);
        if (m->is_dead)
                return 0;
        if (state == STATE_DOWN)
                entry_report(m, e);
        else if (e->is_wanted) {
                if (is_stale || e->read != NULL)
                        entry_await_read(m, e);
        } else if (state == STATE_STARTING && e->unit.type == SYSTEMD_SERVICE && e->slice == NULL)
                entry_await_read(m, e);
        return 0;
}

static void table_remove_unlisted(struct systemd_manager *m)
{
        for (size_t i = 0; i < m->n_buckets; i++)
                for (struct entry *e = m->buckets[i]; e != NULL;) {
                        struct entry *next = e->next_in_bucket;
                        if (e->listed != m->n_listings)
                                entry_remove(m, e);
                        if (m->is_dead)
                                return;
                        e = next;
                }
}

static int listing_take(struct systemd_manager *m, sd_bus_message *reply)
{
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        if (r < 0)
                return r;
        for (;;) {
                const char *name, *load, *active, *sub;

                r = sd_bus_message_read(reply, "(ssssssouso)", &name, NULL, &load, &active, &sub,
                                        NULL, NULL, NULL, NULL, NULL);
                if (r < 0)
                        return r;
                if (r == 0)
                        return 0;
                r = listing_take_row(m, name, load, active, sub);
                if (r < 0 || m->is_dead)
                        return r;
        }
}

static void listing_end(struct systemd_manager *m, struct call *c, sd_bus_message *reply, int error)
{
        m->listing = NULL;
        if (error == 0) {
                if (c->kind == CALL_LIST_ALL)
                        m->n_listings++;
                error = listing_take(m, reply);
                if (m->is_dead)
                        return;
                if (error == 0 && c->kind == CALL_LIST_ALL)
                        table_remove_unlisted(m);
                if (m->is_dead)
                        return;
        }
        if (error < 0) {
                m->want_read_all = m->want_read_all || m->listing_read_all;
                m->want_ask_all = m->want_ask_all || m->listing_ask_all;
                m->want_list_now = false;
                retry_later(m);
        } else if (m->listing_read_all)
                m->announce_listed = true;
}

static void read_end(struct systemd_manager *m, struct call *c, sd_bus_message *reply, int error)
{
        struct entry *e = c->entry;

        if (e == NULL)
                return;
        e->read = NULL;
        entry_unawait(m, e);

        if (error == 0 && c->kind == CALL_READ) {
                error = entry_take_properties(m, e, reply);
                if (m->is_dead)
                        return;
                if (error == 0)
                        entry_report(m, e);
        } else if (error == 0) {
                const char *slice;
                error = sd_bus_message_read(reply, "v", "s", &slice);
                if (error >= 0) {
                        char *copy = strdup(slice);
                        error = copy != NULL ? 0 : -ENOMEM;
                        if (copy != NULL)
                                entry_set_slice(m, e, copy);
                }
        }
        if (m->is_dead)
                return;

        if (error == -ESRCH) {
                entry_remove(m, e);
                return;
        }
        if (error < 0 && error != -ECONNRESET) {
                e->is_stale = true;
                retry_later(m);
        }

        /* After the state was taken: a unit that went down meanwhile has no new reading to wait for. */
        bool read_again = e->read_again && e->state != STATE_DOWN && m->bus != NULL;
        e->read_again = false;
        if (read_again)
                entry_want_read(m, e);
        entry_answer(m, e, e->state == STATE_DOWN ? -ESRCH : error,
                     e->state == STATE_DOWN || m->bus == NULL);
}

static void set_end(struct systemd_manager *m, struct call *c, int error)
{
        struct batch *b = c->batch;

        if (c->kind == CALL_SET) {
                struct systemd_setting *s = &b->settings[c->i_setting];
                struct entry *e = table_find(m, s->unit);
                if (error == 0 && e != NULL) {
                        if (s->set_quota)
                                e->unit.quota_usec_per_sec = s->quota_usec_per_sec;
                        if (s->set_weight)
                                e->unit.cpu_weight = s->cpu_weight;
                }
                if (error < 0)
                        b->n_failed++;
                if (b->each != NULL)
                        b->each(b->ctx, s, error);
                if (m->is_dead || --b->n_left > 0)
                        return;
        }
        if (b->done != NULL)
                b->done(b->ctx, b->n_failed);
        if (m->is_dead)
                return;
        TAILQ_REMOVE(&m->batches, b, link);
        free(b);
}

/* Ends a call that is in none of the lists any more, and frees it. */
static void call_end(struct call *c, sd_bus_message *reply, int error)
{
        struct systemd_manager *m = c->manager;

        switch (c->kind) {
        case CALL_SUBSCRIBE:
                subscribe_end(m, reply, error);
                break;
        case CALL_LIST_ALL:
        case CALL_LIST_NAMES:
                listing_end(m, c, reply, error);
                break;
        case CALL_READ:
        case CALL_READ_SLICE:
                read_end(m, c, reply, error);
                break;
        case CALL_SET:
                set_end(m, c, error);
                break;
        case CALL_RELOAD:
                if (c->reload_done != NULL)
                        c->reload_done(c->ctx, error);
                break;
        case CALL_NONE:
                if (c->batch != NULL)
                        set_end(m, c, error);
                else
                        c->refresh_done(c->ctx, c->unit, error);
                break;
        }
        call_free(c);
}

/* Ends what has been answered without systemd. New answers, made by the callbacks of these, wait
 * for the next turn: the loop goes round in between. */
static void answers_end(struct systemd_manager *m)
{
        struct call *last = TAILQ_LAST(&m->answers, calls), *c;

        if (last == NULL)
                return;
        do {
                c = call_take(TAILQ_FIRST(&m->answers));
                bool is_last = c == last;
                call_end(c, NULL, c->error);
                if (is_last)
                        break;
        } while (!m->is_dead && !TAILQ_EMPTY(&m->answers));
        if (!m->is_dead && !TAILQ_EMPTY(&m->answers))
                request_turn(m);
}

static void call_answer(struct systemd_manager *m, struct call *c, int error)
{
        c->error = error;
        call_put(&m->answers, c);
        request_turn(m);
}

/* ---- losing the bus ---------------------------------------------------------------------------- */

static void backoff(struct systemd_manager *m)
{
        m->reconnect_at_usec = now_usec(m) + m->backoff_usec;
        m->backoff_usec = m->backoff_usec * 2 < BACKOFF_MAX_USEC ? m->backoff_usec * 2
                                                                 : BACKOFF_MAX_USEC;
        request_turn(m);
}

static void manager_lose_bus(struct systemd_manager *m)
{
        struct calls *lists[] = { &m->flight, &m->queue };
        bool was_connected = m->is_connected;
        struct call *c;

        if (m->bus == NULL)
                return;
        manager_close_bus(m);
        m->is_connected = false;
        m->is_subscribed = false;
        m->is_reloading = false;
        m->want_subscribe = false;
        m->want_list = m->want_list_now = m->want_read_all = false;
        m->announce_listed = m->announce_reloaded = false;
        m->listing = NULL;
        for (size_t i = 0; i < m->n_names; i++)
                free(m->names[i]);
        m->n_names = 0;

        for (unsigned i = 0; i < sizeof lists / sizeof lists[0]; i++)
                while ((c = TAILQ_FIRST(lists[i])) != NULL) {
                        call_take(c);
                        c->slot = sd_bus_slot_unref(c->slot);
                        if (c->kind == CALL_SUBSCRIBE || c->kind == CALL_LIST_ALL ||
                            c->kind == CALL_LIST_NAMES)
                                call_free(c);
                        else
                                call_answer(m, c, -ECONNRESET);
                }
        m->n_flight = 0;
        backoff(m);
        answers_end(m);
        if (was_connected && !m->is_dead)
                emit(m, SYSTEMD_DISCONNECTED, NULL);
}

/* ---- sending ----------------------------------------------------------------------------------- */

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *reterr)
{
        struct call *c = userdata;
        struct systemd_manager *m = c->manager;

        manager_ref(m);
        if (sd_bus_is_open(m->bus) <= 0)
                /* Not systemd's answer: the library ends what is open on a dead connection. */
                manager_lose_bus(m);
        else {
                call_take(c);
                m->n_flight--;
                call_end(c, reply, errno_from_message(reply));
                request_turn(m);
        }
        manager_unref(m);
        return 0;
}

static int message_new(struct systemd_manager *m, sd_bus_message **ret, const char *path,
                       const char *interface, const char *member)
{
        sd_bus_message *call = NULL;
        int r;

        r = sd_bus_message_new_method_call(m->bus, &call, m->is_peer ? NULL : DESTINATION, path,
                                           interface, member);
        if (r < 0)
                return r;
        /* Where systemd is absent the bus must not look for something to start in its place. */
        r = sd_bus_message_set_auto_start(call, 0);
        if (r < 0) {
                sd_bus_message_unref(call);
                return r;
        }
        *ret = call;
        return 0;
}

static int message_new_list(struct systemd_manager *m, sd_bus_message **ret, char *const names[],
                            size_t n_names)
{
        static const char *const all[] = { "*.slice", "*.service", "*.scope" };
        sd_bus_message *call = NULL;
        int r;

        /* Patterns find loaded units only; ListUnitsByNames would load what it is asked for. Unit
         * names contain nothing that fnmatch() takes for special. */
        r = message_new(m, &call, MANAGER_PATH, MANAGER_INTERFACE, "ListUnitsByPatterns");
        if (r >= 0)
                r = sd_bus_message_append(call, "as", 0);
        if (r >= 0)
                r = sd_bus_message_open_container(call, 'a', "s");
        for (size_t i = 0; r >= 0 && i < (names != NULL ? n_names : 3); i++)
                r = sd_bus_message_append_basic(call, 's', names != NULL ? names[i] : all[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(call);
        if (r < 0) {
                sd_bus_message_unref(call);
                return r;
        }
        *ret = call;
        return 0;
}

static int message_new_read(struct systemd_manager *m, sd_bus_message **ret, const struct call *c)
{
        sd_bus_message *call = NULL;
        char *path = NULL;
        int r;

        r = sd_bus_path_encode(UNIT_PREFIX, c->entry->unit.name, &path);
        if (r < 0)
                return r;
        r = message_new(m, &call, path, "org.freedesktop.DBus.Properties",
                        c->kind == CALL_READ ? "GetAll" : "Get");
        free(path);
        if (r < 0)
                return r;
        /* "": every interface in one answer. */
        r = c->kind == CALL_READ
                    ? sd_bus_message_append(call, "s", "")
                    : sd_bus_message_append(call, "ss", "org.freedesktop.systemd1.Service", "Slice");
        if (r < 0) {
                sd_bus_message_unref(call);
                return r;
        }
        *ret = call;
        return 0;
}

static int message_new_set(struct systemd_manager *m, sd_bus_message **ret,
                           const struct systemd_setting *s)
{
        sd_bus_message *call = NULL;
        int r;

        r = message_new(m, &call, MANAGER_PATH, MANAGER_INTERFACE, "SetUnitProperties");
        if (r >= 0)
                r = sd_bus_message_append(call, "sb", s->unit, 1);
        if (r >= 0)
                r = sd_bus_message_open_container(call, 'a', "(sv)");
        if (r >= 0 && s->set_quota)
                r = sd_bus_message_append(call, "(sv)", "CPUQuotaPerSecUSec", "t",
                                          s->quota_usec_per_sec);
        if (r >= 0 && s->set_weight)
                r = sd_bus_message_append(call, "(sv)", "CPUWeight", "t", s->cpu_weight);
        if (r >= 0)
                r = sd_bus_message_close_container(call);
        if (r < 0) {
                sd_bus_message_unref(call);
                return r;
        }
        *ret = call;
        return 0;
}

static int call_make_message(struct systemd_manager *m, const struct call *c, sd_bus_message **ret)
{
        const struct systemd_setting *s;
        struct entry *e;

        switch (c->kind) {
        case CALL_SUBSCRIBE:
                return message_new(m, ret, MANAGER_PATH, MANAGER_INTERFACE, "Subscribe");
        case CALL_LIST_ALL:
                return message_new_list(m, ret, NULL, 0);
        case CALL_LIST_NAMES:
                return message_new_list(m, ret, m->names, m->n_names);
        case CALL_READ:
        case CALL_READ_SLICE:
                return message_new_read(m, ret, c);
        case CALL_SET:
                /* Judged now, not when it was asked for: it may have waited for a reload. */
                s = &c->batch->settings[c->i_setting];
                e = table_find(m, s->unit);
                if (e == NULL || !e->is_reported || !e->unit.is_active)
                        return -ESRCH;
                return message_new_set(m, ret, s);
        case CALL_RELOAD:
                return message_new(m, ret, MANAGER_PATH, MANAGER_INTERFACE, "Reload");
        case CALL_NONE:
                break;
        }
        return -EINVAL;
}

/* Sends a call that is in no list. The failure to send is an answer like any other. */
static void call_send(struct systemd_manager *m, struct call *c)
{
        sd_bus_message *message = NULL;
        int r;

        if (c->kind == CALL_READ)
                for (struct waiter *w = c->entry->waiters; w != NULL; w = w->next)
                        w->is_armed = true;
        r = call_make_message(m, c, &message);
        /* Deadlines are kept here and not in the library: there they could not be moved while
         * systemd reloads. */
        if (r >= 0)
                r = sd_bus_call_async(m->bus, &c->slot, message, on_reply, c, UINT64_MAX);
        sd_bus_message_unref(message);
        if (r < 0) {
                call_answer(m, c, r == -ENOTCONN ? -ECONNRESET : r);
                return;
        }
        c->deadline_usec = now_usec(m) + (c->kind == CALL_RELOAD ? SYSTEMD_RELOAD_TIMEOUT_USEC
                                                                 : m->timeout_usec);
        call_put(&m->flight, c);
        m->n_flight++;
}

static void send_subscribe(struct systemd_manager *m)
{
        struct call *c;

        m->want_subscribe = false;
        if (call_new(m, CALL_SUBSCRIBE, NULL, &c) < 0) {
                m->want_subscribe = true;
                m->subscribe_at_usec = now_usec(m) + BACKOFF_MAX_USEC;
                return;
        }
        call_send(m, c);
}

static void send_list(struct systemd_manager *m)
{
        struct call *c;
        enum call_kind kind = m->want_list ? CALL_LIST_ALL : CALL_LIST_NAMES;

        m->list_at_usec = now_usec(m) + LIST_INTERVAL_USEC;
        if (call_new(m, kind, NULL, &c) < 0) {
                retry_later(m);
                return;
        }
        m->listing = c;
        m->listing_read_all = m->want_read_all;
        m->listing_ask_all = m->want_ask_all;
        m->want_list = m->want_list_now = m->want_read_all = m->want_ask_all = false;
        call_send(m, c);
        for (size_t i = 0; i < m->n_names; i++)
                free(m->names[i]);
        m->n_names = 0;
}

static void send_all(struct systemd_manager *m)
{
        uint64_t now = now_usec(m);
        struct call *c;

        if (m->want_subscribe && now >= m->subscribe_at_usec)
                send_subscribe(m);
        if (!m->is_subscribed || m->is_reloading)
                return;
        if ((m->want_list || m->n_names > 0) && m->listing == NULL &&
            (m->want_list_now || now >= m->list_at_usec) &&
            m->n_flight < SYSTEMD_CALLS_IN_FLIGHT_MAX)
                send_list(m);
        while (m->n_flight < SYSTEMD_CALLS_IN_FLIGHT_MAX && (c = TAILQ_FIRST(&m->queue)) != NULL)
                call_send(m, call_take(c));
}

static void announce(struct systemd_manager *m)
{
        /* Not if another full reading is due before: after a reload in the middle of a listing what
         * was read so far may be from before. */
        if (!m->announce_listed || m->n_awaited > 0 || m->is_reloading || !m->is_subscribed ||
            m->want_read_all || (m->listing != NULL && m->listing_read_all))
                return;
        m->announce_listed = false;
        bool is_reloaded = m->announce_reloaded;
        m->announce_reloaded = false;
        emit(m, SYSTEMD_LISTED, NULL);
        if (is_reloaded)
                emit(m, SYSTEMD_RELOADED, NULL);
}

/* ---- time -------------------------------------------------------------------------------------- */

static void arm_timer(struct systemd_manager *m)
{
        uint64_t next = UINT64_MAX;
        struct call *c;

#define SOONER(usec) do { if ((usec) < next) next = (usec); } while (0)
        if (m->bus == NULL && m->reconnect_at_usec > 0)
                SOONER(m->reconnect_at_usec);
        if (m->is_connected && m->want_subscribe)
                SOONER(m->subscribe_at_usec);
        if (m->is_reloading)
                SOONER(m->reloading_until_usec);
        else if (m->is_subscribed && m->listing == NULL && (m->want_list || m->n_names > 0))
                SOONER(m->list_at_usec);
        TAILQ_FOREACH(c, &m->flight, link)
                SOONER(c->deadline_usec);
#undef SOONER

        if (next == UINT64_MAX) {
                (void)sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
                return;
        }
        (void)sd_event_source_set_time(m->timer, next);
        (void)sd_event_source_set_enabled(m->timer, SD_EVENT_ONESHOT);
}

static int on_turn(sd_event_source *s, void *userdata)
{
        struct systemd_manager *m = userdata;

        manager_ref(m);
        answers_end(m);
        if (!m->is_dead && m->is_connected)
                send_all(m);
        if (!m->is_dead)
                announce(m);
        if (!m->is_dead)
                arm_timer(m);
        manager_unref(m);
        return 0;
}

static void begin_reloading(struct systemd_manager *m)
{
        struct call *c;

        m->is_reloading = true;
        m->reloading_until_usec = now_usec(m) + SYSTEMD_RELOAD_TIMEOUT_USEC;
        TAILQ_FOREACH(c, &m->flight, link)
                if (c->deadline_usec < m->reloading_until_usec)
                        c->deadline_usec = m->reloading_until_usec;
        request_turn(m);
}

static void end_reloading(struct systemd_manager *m)
{
        uint64_t deadline = now_usec(m) + m->timeout_usec;
        struct call *c;

        if (m->is_reloading)
                TAILQ_FOREACH(c, &m->flight, link)
                        if (c->kind != CALL_RELOAD)
                                c->deadline_usec = deadline;
        m->is_reloading = false;
        m->announce_reloaded = m->n_listings > 0;
        request_subscribe(m);
}

static int manager_connect(struct systemd_manager *m);

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        struct systemd_manager *m = userdata;
        uint64_t now = now_usec(m);
        struct call *c;

        manager_ref(m);
        if (m->bus == NULL && m->reconnect_at_usec > 0 && now >= m->reconnect_at_usec) {
                m->reconnect_at_usec = 0;
                if (manager_connect(m) < 0)
                        backoff(m);
        }
        if (m->is_reloading && now >= m->reloading_until_usec)
                end_reloading(m);
        for (bool found = true; found && !m->is_dead;) {
                found = false;
                /* From the start each time: the callback of a call may change the list. */
                TAILQ_FOREACH(c, &m->flight, link)
                        if (now >= c->deadline_usec) {
                                call_take(c);
                                m->n_flight--;
                                /* A late answer finds nobody. */
                                c->slot = sd_bus_slot_unref(c->slot);
                                call_end(c, NULL, -ETIMEDOUT);
                                found = true;
                                break;
                        }
        }
        request_turn(m);
        manager_unref(m);
        return 0;
}

/* ---- signals ----------------------------------------------------------------------------------- */

/* On a bus anybody may send us a signal under any interface's name; the library takes it for
 * systemd's because it does not know who owns that name. */
static bool is_from_systemd(struct systemd_manager *m, sd_bus_message *message)
{
        if (m->is_peer)
                return true;
        const char *sender = sd_bus_message_get_sender(message);
        return sender != NULL && m->owner != NULL && strcmp(sender, m->owner) == 0;
}

static int on_connected(sd_bus_message *message, void *userdata, sd_bus_error *reterr)
{
        struct systemd_manager *m = userdata;

        m->is_connected = true;
        request_subscribe(m);
        manager_ref(m);
        emit(m, SYSTEMD_CONNECTED, NULL);
        manager_unref(m);
        return 0;
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *reterr)
{
        struct systemd_manager *m = userdata;

        manager_ref(m);
        manager_lose_bus(m);
        manager_unref(m);
        return 0;
}

static int on_owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *reterr)
{
        struct systemd_manager *m = userdata;
        const char *name, *owner, *sender = sd_bus_message_get_sender(message);
        struct call *c;

        if (sender == NULL || strcmp(sender, "org.freedesktop.DBus") != 0)
                return 0;
        if (sd_bus_message_read(message, "sss", &name, NULL, &owner) < 0 ||
            strcmp(name, DESTINATION) != 0)
                return 0;

        /* Whatever was asked of the old one: the bus answers for it with NoReply. */
        free(m->owner);
        m->owner = NULL;
        m->is_subscribed = false;
        if (*owner == 0)
                return 0;
        TAILQ_FOREACH(c, &m->flight, link)
                if (c->kind == CALL_SUBSCRIBE) {
                        m->n_flight--;
                        call_free(call_take(c));
                        break;
                }
        m->backoff_usec = BACKOFF_MIN_USEC;
        end_reloading(m);
        return 0;
}

static void note_new_unit(struct systemd_manager *m, const char *name)
{
        enum systemd_unit_type type;

        if (unit_type(name, &type) == 0 || table_find(m, name) != NULL || m->want_list)
                return;
        for (size_t i = 0; i < m->n_names; i++)
                if (strcmp(m->names[i], name) == 0)
                        return;
        if (m->n_names == NAMES_MAX) {
                request_list(m);
                return;
        }
        char *copy = strdup(name);
        if (copy == NULL) {
                request_list(m);
                return;
        }
        m->names[m->n_names++] = copy;
        request_turn(m);
}

static void note_removed_unit(struct systemd_manager *m, const char *name)
{
        struct entry *e = table_find(m, name);

        if (e != NULL) {
                entry_remove(m, e);
                return;
        }
        for (size_t i = 0; i < m->n_names; i++)
                if (strcmp(m->names[i], name) == 0) {
                        free(m->names[i]);
                        m->names[i] = m->names[--m->n_names];
                        return;
                }
}

/* While it reloads, PID 1 frees every unit and makes it anew, and tells of both, and of states that are
 * not theirs: none of it counts. What became of them is read when it is done. */
static int on_manager_signal(sd_bus_message *message, void *userdata, sd_bus_error *reterr)
{
        struct systemd_manager *m = userdata;
        const char *name;
        int is_begin;

        if (!is_from_systemd(m, message))
                return 0;
        manager_ref(m);
        if (sd_bus_message_is_signal(message, NULL, "UnitNew") > 0) {
                if (!m->is_reloading && sd_bus_message_read(message, "so", &name, NULL) > 0)
                        note_new_unit(m, name);
        } else if (sd_bus_message_is_signal(message, NULL, "UnitRemoved") > 0) {
                if (!m->is_reloading && sd_bus_message_read(message, "so", &name, NULL) > 0)
                        note_removed_unit(m, name);
        } else if (sd_bus_message_is_signal(message, NULL, "Reloading") > 0) {
                if (sd_bus_message_read(message, "b", &is_begin) > 0) {
                        if (is_begin)
                                begin_reloading(m);
                        else
                                end_reloading(m);
                }
        }
        manager_unref(m);
        return 0;
}

static void take_change(struct systemd_manager *m, const char *name, const struct properties *p)
{
        enum unit_state state = state_from_string(p->active_state, p->sub_state);
        struct entry *e = table_find(m, name);

        if (e == NULL) {
                /* What is down and unknown comes and goes: a listing will show it if it stays. */
                if (state == STATE_DOWN || table_add(m, name, &e) < 0)
                        return;
        }
        /* A restart so fast that the state looks as before. */
        bool is_restarted = p->has_invocation_id && e->is_wanted && state != STATE_DOWN &&
                            !sd_id128_equal(p->invocation_id, e->unit.invocation_id);
        entry_set_state(m, e, state);
        if (is_restarted && !m->is_dead)
                entry_want_read(m, e);
}

static int on_properties_changed(sd_bus_message *message, void *userdata, sd_bus_error *reterr)
{
        struct systemd_manager *m = userdata;
        struct properties p = {};
        enum systemd_unit_type type;
        const char *interface;
        char *name = NULL;

        if (!is_from_systemd(m, message) || m->is_reloading)
                return 0;
        if (sd_bus_path_decode(sd_bus_message_get_path(message), UNIT_PREFIX, &name) <= 0)
                return 0;
        if (unit_type(name, &type) > 0 && sd_bus_message_read(message, "s", &interface) > 0 &&
            strcmp(interface, UNIT_INTERFACE) == 0 && read_properties(message, &p) >= 0 &&
            p.active_state != NULL) {
                manager_ref(m);
                take_change(m, name, &p);
                manager_unref(m);
        }
        free(name);
        return 0;
}

/* ---- connecting -------------------------------------------------------------------------------- */

static int add_match(struct systemd_manager *m, unsigned i, const char *match,
                     sd_bus_message_handler_t handler)
{
        /* Without a handler of our own for the answer, the library drops the connection when the
         * bus refuses a match: we then try again, better than to be deaf. */
        return sd_bus_add_match_async(m->bus, &m->matches[i], match, handler, NULL, m);
}

static int bus_prepare(struct systemd_manager *m)
{
        int r;

        r = sd_bus_set_connected_signal(m->bus, 1);
        if (r < 0)
                return r;
        r = add_match(m, MATCH_CONNECTED,
                      "type='signal',interface='org.freedesktop.DBus.Local',member='Connected'",
                      on_connected);
        if (r < 0)
                return r;
        r = add_match(m, MATCH_DISCONNECTED,
                      "type='signal',interface='org.freedesktop.DBus.Local',member='Disconnected'",
                      on_disconnected);
        if (r < 0)
                return r;
        r = sd_bus_start(m->bus);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(m->bus, m->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;

        /* Now, so that the bus installs them before it hears of Subscribe. A peer sends all it has
         * to say, without a name. */
        if (!m->is_peer) {
                r = add_match(m, MATCH_OWNER,
                              "type='signal',sender='org.freedesktop.DBus',"
                              "path='/org/freedesktop/DBus',interface='org.freedesktop.DBus',"
                              "member='NameOwnerChanged',arg0='" DESTINATION "'",
                              on_owner_changed);
                if (r < 0)
                        return r;
        }
        r = add_match(m, MATCH_MANAGER,
                      m->is_peer ? "type='signal',path='" MANAGER_PATH "',"
                                   "interface='" MANAGER_INTERFACE "'"
                                 : "type='signal',sender='" DESTINATION "',path='" MANAGER_PATH "',"
                                   "interface='" MANAGER_INTERFACE "'",
                      on_manager_signal);
        if (r < 0)
                return r;
        return add_match(m, MATCH_PROPERTIES,
                         m->is_peer ? "type='signal',path_namespace='" UNIT_PREFIX "',"
                                      "interface='org.freedesktop.DBus.Properties',"
                                      "member='PropertiesChanged',arg0='" UNIT_INTERFACE "'"
                                    : "type='signal',sender='" DESTINATION "',"
                                      "path_namespace='" UNIT_PREFIX "',"
                                      "interface='org.freedesktop.DBus.Properties',"
                                      "member='PropertiesChanged',arg0='" UNIT_INTERFACE "'",
                         on_properties_changed);
}

/* Takes over @bus. */
static int manager_use_bus(struct systemd_manager *m, sd_bus *bus)
{
        int r;

        m->bus = bus;
        m->is_peer = sd_bus_is_bus_client(bus) <= 0;
        r = bus_prepare(m);
        if (r < 0) {
                manager_close_bus(m);
                return r;
        }
        request_turn(m);
        return 0;
}

static int open_address(const char *address, bool is_bus, sd_bus **ret)
{
        sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, is_bus);
        /* As sd_bus_open_system() has it: who calls a method of ours is known without asking. */
        if (r >= 0)
                r = sd_bus_negotiate_creds(bus, 1, SD_BUS_CREDS_UID | SD_BUS_CREDS_EUID |
                                                           SD_BUS_CREDS_EFFECTIVE_CAPS);
        if (r < 0) {
                sd_bus_unref(bus);
                return r;
        }
        *ret = bus;
        return 0;
}

static int connect_address(struct systemd_manager *m, const char *address, bool is_bus)
{
        sd_bus *bus = NULL;
        int r;

        r = open_address(address, is_bus, &bus);
        if (r < 0)
                return r;
        return manager_use_bus(m, bus);
}

static int manager_connect(struct systemd_manager *m)
{
        const char *address = m->address;
        sd_bus *bus = NULL;
        int r;

        if (m->open != NULL) {
                r = m->open(m->open_ctx, &bus);
                if (r < 0)
                        return r;
                return manager_use_bus(m, bus);
        }

        if (address == NULL)
                address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
        if (address == NULL)
                address = SYSTEM_BUS_ADDRESS;
        r = connect_address(m, address, true);
        /* Who began on the bus waits for the bus to come back: it has a name there. */
        if (r < 0 && m->address == NULL && m->is_private) {
                int q = connect_address(m, PRIVATE_ADDRESS, false);
                if (q >= 0)
                        return q;
        }
        return r;
}

static int manager_new(struct systemd_manager **ret, sd_event *event, const char *address,
                       int (*open)(void *ctx, sd_bus **ret), void *open_ctx,
                       const struct systemd_follower *follower)
{
        struct systemd_manager *m;
        int r;

        assert(follower->wants != NULL && follower->on_event != NULL);

        m = calloc(1, sizeof *m);
        if (m == NULL)
                return -ENOMEM;
        m->n_refs = 1;
        m->follower = *follower;
        m->open = open;
        m->open_ctx = open_ctx;
        m->event = sd_event_ref(event);
        m->timeout_usec = SYSTEMD_CALL_TIMEOUT_USEC;
        m->backoff_usec = BACKOFF_MIN_USEC;
        TAILQ_INIT(&m->queue);
        TAILQ_INIT(&m->flight);
        TAILQ_INIT(&m->answers);
        TAILQ_INIT(&m->batches);

        if (address != NULL && (m->address = strdup(address)) == NULL) {
                r = -ENOMEM;
                goto fail;
        }
        r = sd_event_add_defer(event, &m->turn, on_turn, m);
        if (r < 0)
                goto fail;
        r = sd_event_source_set_enabled(m->turn, SD_EVENT_OFF);
        if (r < 0)
                goto fail;
        r = sd_event_add_time(event, &m->timer, CLOCK_MONOTONIC, UINT64_MAX, TIMER_ACCURACY_USEC,
                              on_timer, m);
        if (r < 0)
                goto fail;
        *ret = m;
        return 0;
fail:
        systemd_manager_free(m);
        return r;
}

int systemd_manager_new(struct systemd_manager **ret, sd_event *event, const char *address,
                        const struct systemd_follower *follower)
{
        return manager_new(ret, event, address, NULL, NULL, follower);
}

int systemd_manager_new_with_opener(struct systemd_manager **ret, sd_event *event,
                                    int (*open)(void *ctx, sd_bus **ret), void *open_ctx,
                                    const struct systemd_follower *follower)
{
        assert(open != NULL);
        return manager_new(ret, event, NULL, open, open_ctx, follower);
}

void systemd_manager_set_timeout(struct systemd_manager *m, uint64_t timeout_usec)
{
        m->timeout_usec = timeout_usec;
}

int systemd_manager_start(struct systemd_manager *m)
{
        if (m->bus != NULL || m->reconnect_at_usec > 0)
                return -EALREADY;

        /* Which of the two it is is decided here. */
        m->is_private = true;
        int r = manager_connect(m);
        m->is_private = r >= 0 && m->is_peer;
        return r;
}

/* ---- for the caller ---------------------------------------------------------------------------- */

sd_bus *systemd_manager_bus(struct systemd_manager *m)
{
        return m->is_connected ? m->bus : NULL;
}

struct systemd_unit *systemd_manager_find(struct systemd_manager *m, const char *unit)
{
        struct entry *e = table_find(m, unit);

        return e != NULL && e->is_reported ? &e->unit : NULL;
}

void systemd_manager_relist(struct systemd_manager *m)
{
        m->want_ask_all = true;
        request_list_now(m);
}

int systemd_manager_refresh(struct systemd_manager *m, const char *unit,
                            void (*done)(void *ctx, const char *unit, int error), void *ctx)
{
        struct entry *e = table_find(m, unit);
        struct call *c;
        int r;

        if (!m->is_connected)
                return -ENOTCONN;
        if (e == NULL || !e->is_reported || e->state == STATE_DOWN) {
                r = call_new(m, CALL_NONE, unit, &c);
                if (r < 0)
                        return r;
                c->refresh_done = done;
                c->ctx = ctx;
                call_answer(m, c, -ESRCH);
                return 0;
        }

        struct waiter *w = calloc(1, sizeof *w);
        if (w == NULL)
                return -ENOMEM;
        *w = (struct waiter) { .done = done, .ctx = ctx, .next = e->waiters };
        e->waiters = w;
        if (e->read != NULL && e->read->list != &m->queue)
                e->read_again = true;
        entry_want_read(m, e);
        return 0;
}

int systemd_manager_set(struct systemd_manager *m, const struct systemd_setting settings[], size_t n,
                        systemd_setting_done_fn each, systemd_batch_done_fn done, void *ctx)
{
        size_t n_text = 0;
        struct call *c, *first = NULL;
        int r;

        if (!m->is_connected)
                return -ENOTCONN;
        for (size_t i = 0; i < n; i++)
                n_text += strlen(settings[i].unit) + 1;

        struct batch *b = malloc(sizeof *b + n * sizeof b->settings[0] + n_text);
        if (b == NULL)
                return -ENOMEM;
        *b = (struct batch) { .each = each, .done = done, .ctx = ctx, .n_left = n };
        char *text = (char *)&b->settings[n];
        for (size_t i = 0; i < n; i++) {
                b->settings[i] = settings[i];
                b->settings[i].unit = text;
                text = stpcpy(text, settings[i].unit) + 1;
        }

        for (size_t i = 0; i < (n > 0 ? n : 1); i++) {
                r = call_new(m, n > 0 ? CALL_SET : CALL_NONE, NULL, &c);
                if (r < 0) {
                        /* All or nothing: take back those that are at the end of the queue. */
                        while (first != NULL && (c = TAILQ_LAST(first->list, calls)) != first)
                                call_free(call_take(c));
                        if (first != NULL)
                                call_free(call_take(first));
                        free(b);
                        return r;
                }
                c->batch = b;
                c->i_setting = i;
                call_put(n > 0 ? &m->queue : &m->answers, c);
                if (first == NULL)
                        first = c;
        }
        TAILQ_INSERT_TAIL(&m->batches, b, link);
        request_turn(m);
        return 0;
}

int systemd_manager_daemon_reload(struct systemd_manager *m, void (*done)(void *ctx, int error),
                                  void *ctx)
{
        struct call *c;
        int r;

        if (!m->is_connected)
                return -ENOTCONN;
        r = call_new(m, CALL_RELOAD, NULL, &c);
        if (r < 0)
                return r;
        c->reload_done = done;
        c->ctx = ctx;
        call_put(&m->queue, c);
        request_turn(m);
        return 0;
}
