/* SPDX-License-Identifier: MIT */
#pragma once

/* Turns an epoch into its record: what was decided from, and what was decided. Written by a thread of its own
 * (platform/history_writer.h); what does not arrive there is counted, and the epoch goes on.
 *
 * Whoever reruns the record starts from a key, which says everything that is remembered, and then needs only
 * what does not follow from the epoch before: record.c keeps a digest of what should follow, and says it again
 * where it is something else (a unit came back, credits were balanced, the configuration is another one). */

#include "daemon/daemon.h"

/* The record of this run. What goes wrong is said; the daemon works without it. */
void record_start(struct daemon *d);
/* After the configuration changed. */
void record_configure(struct daemon *d);
/* Waits for what is not yet written, for some seconds at most. */
void record_stop(struct daemon *d);

/* An epoch begins. @weight_sum: of all who play. */
void record_begin(struct daemon *d, double weight_sum);
/* The window of a service's samples, before demand_estimate() closes it. */
void record_window(struct daemon *d, struct service *s, const struct demand_context *c);
/* There are other paths or coalitions than an epoch ago. */
void record_new_graph(struct daemon *d);
/* All inputs are there; before epoch_decide(). */
void record_inputs(struct daemon *d, const struct epoch_rules *rules);
/* The end of an epoch. @result: of epoch_decide(), or why it did not come to that. */
void record_epoch(struct daemon *d, int result);

/* Epochs that are not in the record, since the start. */
uint64_t record_n_dropped(const struct daemon *d);
