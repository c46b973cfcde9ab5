/* SPDX-License-Identifier: MIT */
#pragma once

/* Who else is busy beside the units that we manage. CPUWeight= only compares siblings, so what a weight
 * of ours means depends on the weights of its busy siblings that are not ours: slices, services and
 * scopes that nobody declared. They are read once an epoch, straight from the cgroup tree. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What is remembered of one sibling from epoch to epoch. */
struct sibling {
        ino_t inode;
        uint64_t usage_usec;
};

struct siblings {
        struct sibling *before, *now;   /* `before` is sorted by inode */
        size_t n_before, n_now, n_before_allocated, n_now_allocated;
        uint64_t before_usec, now_usec; /* CLOCK_MONOTONIC of the readings */
};

typedef bool (*sibling_is_ours_fn)(void *ctx, const char *unit);

/* A new epoch: what was read in the last one becomes the past. */
void siblings_begin(struct siblings *s, uint64_t now_usec);

/**
 * siblings_busy_weight() - sum of the weights of busy members of a group that are not ours
 * @group:   as systemd's ControlGroup property, "" for the root
 * @is_ours: is this unit's weight set by us?
 *
 * Busy is who used more than 1 % of a CPU since the last epoch; in the first epoch nobody is known to
 * be. Cost: some system calls a member.
 *
 * Return: 0; -ENOMEM; negative errno if the group cannot be read.
 */
int siblings_busy_weight(struct siblings *s, const char *mount, const char *group,
                         sibling_is_ours_fn is_ours, void *ctx, double *ret_weight);

void siblings_done(struct siblings *s);
