/* SPDX-License-Identifier: MIT */

#include "platform/history_writer.h"

#include "platform/history_db.h"
#include "util/cleanup.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of SQLite, deep as it may call; the default of 8 MiB would count as reserved memory. */
#define STACK_BYTES (512 * 1024)
/* Until a file that somebody else holds is tried again, and between steps of trimming. */
#define RETRY_USEC 1000000
#define TRIM_PAUSE_USEC 20000
/* Steps of trimming after an epoch: 4 epochs each, so what lies above the bounds shrinks a hundred times faster
 * than it grows. */
#define TRIM_STEPS_MAX 100

struct history_writer {
        /* the thread's alone */
        struct history_db *db;
        char *path, *version;

        pthread_t thread;
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        /* under the mutex */
        struct history_item *queue[HISTORY_QUEUE_MAX];
        size_t n_queued;
        uint64_t max_age_usec, max_size_bytes;
        struct history_news news;
        bool is_stopping;
};

static struct timespec after(clockid_t clock, uint64_t usec)
{
        struct timespec ts;

        (void)clock_gettime(clock, &ts);
        usec += (uint64_t)ts.tv_nsec / 1000;
        ts.tv_sec += (time_t)(usec / 1000000);
        ts.tv_nsec = (long)(usec % 1000000) * 1000;
        return ts;
}

/* ---- the thread -------------------------------------------------------------------------------------- */

/* Return: false if it is time to end. */
static bool pause_for(struct history_writer *w, uint64_t usec, bool until_queued)
{
        struct timespec until = after(CLOCK_MONOTONIC, usec);
        bool is_stopping;
        int r = 0;

        (void)pthread_mutex_lock(&w->mutex);
        while (!w->is_stopping && !(until_queued && w->n_queued > 0) && r != ETIMEDOUT)
                r = pthread_cond_timedwait(&w->changed, &w->mutex, &until);
        is_stopping = w->is_stopping;
        (void)pthread_mutex_unlock(&w->mutex);
        return !is_stopping;
}

/* The first one that waits stays in the queue until it is written, so that it counts. NULL: the end. */
static struct history_item *next_item(struct history_writer *w)
{
        struct history_item *item;

        (void)pthread_mutex_lock(&w->mutex);
        while (w->n_queued == 0 && !w->is_stopping)
                (void)pthread_cond_wait(&w->changed, &w->mutex);
        item = w->n_queued > 0 ? w->queue[0] : NULL;
        (void)pthread_mutex_unlock(&w->mutex);
        return item;
}

static void finish_item(struct history_writer *w, int r)
{
        struct history_item *item;

        (void)pthread_mutex_lock(&w->mutex);
        item = w->queue[0];
        w->n_queued--;
        memmove(w->queue, w->queue + 1, w->n_queued * sizeof w->queue[0]);
        if (r == 0 && history_item_epoch(item)->is_key)
                w->news.needs_key = false;
        if (r < 0) {
                w->news.needs_key = true;
                w->news.n_dropped++;
        }
        /* What follows from an earlier failure is no news. */
        if (r != -ESTALE)
                w->news.error = r;
        (void)pthread_mutex_unlock(&w->mutex);
        (void)history_item_free(item);
}

static void tell(struct history_writer *w, int error)
{
        (void)pthread_mutex_lock(&w->mutex);
        w->news.error = error;
        (void)pthread_mutex_unlock(&w->mutex);
}

static int open_record(struct history_writer *w)
{
        char *name = NULL;
        int r = history_db_open_for_writing(w->path, w->version, &w->db);

        if (r != -EBADMSG)
                return r;
        r = history_db_put_aside(w->path, &name);
        if (r < 0)
                return r;
        (void)pthread_mutex_lock(&w->mutex);
        free(w->news.put_aside);
        w->news.put_aside = name;
        (void)pthread_mutex_unlock(&w->mutex);
        return history_db_open_for_writing(w->path, w->version, &w->db);
}

static int write_item(struct history_writer *w, struct history_item *item)
{
        int r = 0;

        for (int i = 0; i < 2; i++) {
                r = w->db ? 0 : open_record(w);
                if (r < 0)
                        return r;
                r = history_db_put(w->db, item);
                /* Damaged, or somebody took it away: a new one is begun at once. */
                if (r != -EBADMSG && r != -EXDEV)
                        return r;
                w->db = history_db_close(w->db);
        }
        return r;
}

static void trim(struct history_writer *w)
{
        uint64_t max_age_usec, max_size_bytes, now_usec;
        bool may_go_on = true;
        struct timespec ts;
        int r = 1;

        for (unsigned i = 0; i < TRIM_STEPS_MAX && r > 0 && may_go_on; i++) {
                (void)pthread_mutex_lock(&w->mutex);
                max_age_usec = w->max_age_usec;
                max_size_bytes = w->max_size_bytes;
                (void)pthread_mutex_unlock(&w->mutex);
                (void)clock_gettime(CLOCK_REALTIME, &ts);
                now_usec = (uint64_t)ts.tv_sec * 1000000;
                r = history_db_trim(w->db, now_usec > max_age_usec ? now_usec - max_age_usec : 0, max_size_bytes);
                if (r > 0)
                        may_go_on = pause_for(w, TRIM_PAUSE_USEC, true);
        }
        if (r < 0 && r != -EBUSY) {
                tell(w, r);
                /* The next epoch finds out what is to be done. */
                w->db = history_db_close(w->db);
        }
}

static void *run(void *userdata)
{
        struct history_writer *w = userdata;
        struct history_item *item;

        while ((item = next_item(w))) {
                int r = write_item(w, item);

                /* Somebody else's lock ends some day; until then those that come wait, up to the bound. */
                if (r == -EBUSY) {
                        tell(w, r);
                        if (pause_for(w, RETRY_USEC, false))
                                continue;
                }
                finish_item(w, r);
                if (w->db && r == 0)
                        trim(w);
        }
        w->db = history_db_close(w->db);
        return NULL;
}

/* ---- the others' side --------------------------------------------------------------------------------- */

static void free_writer(struct history_writer *w)
{
        for (size_t i = 0; i < w->n_queued; i++)
                (void)history_item_free(w->queue[i]);
        free(w->news.put_aside);
        free(w->path);
        free(w->version);
        (void)pthread_cond_destroy(&w->changed);
        (void)pthread_mutex_destroy(&w->mutex);
        free(w);
}

int history_writer_new(const char *path, const char *version, struct history_writer **ret)
{
        struct history_writer *w = calloc(1, sizeof *w);
        pthread_condattr_t condition;
        pthread_attr_t attributes;
        int r;

        if (!w)
                return -ENOMEM;
        (void)pthread_mutex_init(&w->mutex, NULL);
        (void)pthread_condattr_init(&condition);
        (void)pthread_condattr_setclock(&condition, CLOCK_MONOTONIC);
        (void)pthread_cond_init(&w->changed, &condition);
        (void)pthread_condattr_destroy(&condition);
        w->path = strdup(path);
        w->version = strdup(version);
        w->max_age_usec = w->max_size_bytes = UINT64_MAX;
        w->news.needs_key = true;
        if (!w->path || !w->version) {
                free_writer(w);
                return -ENOMEM;
        }
        (void)pthread_attr_init(&attributes);
        (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
        r = pthread_create(&w->thread, &attributes, run, w);
        (void)pthread_attr_destroy(&attributes);
        if (r != 0) {
                free_writer(w);
                return -r;
        }
        *ret = w;
        return 0;
}

void history_writer_bound(struct history_writer *w, uint64_t max_age_usec, uint64_t max_size_bytes)
{
        (void)pthread_mutex_lock(&w->mutex);
        w->max_age_usec = max_age_usec;
        w->max_size_bytes = max_size_bytes;
        (void)pthread_mutex_unlock(&w->mutex);
}

int history_writer_put(struct history_writer *w, struct history_item *item)
{
        bool is_full;

        (void)pthread_mutex_lock(&w->mutex);
        is_full = w->n_queued == HISTORY_QUEUE_MAX;
        if (is_full) {
                w->news.n_dropped++;
        } else {
                w->queue[w->n_queued++] = item;
                (void)pthread_cond_broadcast(&w->changed);
        }
        (void)pthread_mutex_unlock(&w->mutex);
        if (!is_full)
                return 0;
        (void)history_item_free(item);
        return -EAGAIN;
}

void history_writer_count_dropped(struct history_writer *w)
{
        (void)pthread_mutex_lock(&w->mutex);
        w->news.n_dropped++;
        (void)pthread_mutex_unlock(&w->mutex);
}

void history_writer_news(struct history_writer *w, struct history_news *ret)
{
        (void)pthread_mutex_lock(&w->mutex);
        *ret = w->news;
        w->news.put_aside = NULL;
        (void)pthread_mutex_unlock(&w->mutex);
}

uint64_t history_writer_n_dropped(struct history_writer *w)
{
        uint64_t n;

        (void)pthread_mutex_lock(&w->mutex);
        n = w->news.n_dropped;
        (void)pthread_mutex_unlock(&w->mutex);
        return n;
}

struct history_writer *history_writer_free(struct history_writer *w, uint64_t patience_usec)
{
        struct timespec until;

        if (!w)
                return NULL;
        (void)pthread_mutex_lock(&w->mutex);
        w->is_stopping = true;
        (void)pthread_cond_broadcast(&w->changed);
        (void)pthread_mutex_unlock(&w->mutex);
        until = after(CLOCK_REALTIME, patience_usec);
        if (pthread_timedjoin_np(w->thread, NULL, &until) == 0)
                free_writer(w);
        else
                (void)pthread_detach(w->thread);
        return NULL;
}
