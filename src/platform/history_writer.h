/* SPDX-License-Identifier: MIT */
#pragma once

/* The thread that writes the record, so that no disk is ever waited for by whoever decides. It owns the
 * file; everybody else hands over items and asks how it went. */

#include "platform/history_record.h"

#include <stdbool.h>
#include <stdint.h>

/* Epochs that may wait to be written. At a thousand services one takes some 250 KB. */
#define HISTORY_QUEUE_MAX 4

/* Since the last time somebody asked. */
struct history_news {
        uint64_t n_dropped;             /* since the start: epochs that are not in the record */
        bool needs_key;                 /* what follows the last epoch that was written is not wanted: a key is */
        int error;                      /* why the last write failed; 0: it did not */
        char *put_aside;                /* a damaged record is kept under this name; for free() */
};

struct history_writer;

/**
 * history_writer_new() - start the thread
 * @path, @version: as history_db_open_for_writing(); copied
 *
 * Signals that the caller has blocked stay blocked in it.
 *
 * Return: 0; negative errno.
 */
int history_writer_new(const char *path, const char *version, struct history_writer **ret);

/* How much is kept; counts from the next epoch on. */
void history_writer_bound(struct history_writer *w, uint64_t max_age_usec, uint64_t max_size_bytes);

/* Hands an epoch over; never waits. Return: 0; -EAGAIN if so many wait that this one was dropped: the next one has
 * to be a key. It is the writer's in either case. */
int history_writer_put(struct history_writer *w, struct history_item *item);

/* One that could not even be made; the next one has to be a key. */
void history_writer_count_dropped(struct history_writer *w);

void history_writer_news(struct history_writer *w, struct history_news *ret);
/* Of these, the only number that anybody may ask for at any time. */
uint64_t history_writer_n_dropped(struct history_writer *w);

/* Writes what waits, and ends; waits for @patience_usec at most. A disk that does not answer by then keeps what
 * belongs to the thread. Takes NULL; returns NULL. */
struct history_writer *history_writer_free(struct history_writer *w, uint64_t patience_usec);
