/* SPDX-License-Identifier: MIT */
#pragma once

/* Looking at the paths and coalitions of the last decision: what the bus, explain and the plan tell of
 * them. Indices of members are those of daemon.players. */

#include "daemon/daemon.h"

/* NULL before the first decision, and after an epoch that ended without one. */
const struct epoch_graph *coalitions_graph(const struct daemon *d);

/* The coalition that a service was in, formed or not; NULL: none. */
const struct epoch_coalition *coalition_of(const struct daemon *d, const struct service *s);
const struct service *coalition_member(const struct daemon *d, const struct epoch_coalition *c,
                                       size_t position);
/* The name of its first member. */
const char *coalition_name(const struct daemon *d, const struct epoch_coalition *c);
/* The same for a service; "" if it is in none. */
const char *coalition_id(const struct daemon *d, const struct service *s);

/* What its last valuation found, by position of its members; who did not take part has 0. */
struct coalition_findings {
        uint32_t blocking;
        double shapley[COALITION_MEMBERS_MAX];
        double imputation[COALITION_MEMBERS_MAX];
};

void coalition_find(const struct epoch_coalition *c, struct coalition_findings *ret);

/* The calls that a service makes on the paths of the last decision, side by side; callees are indices into
 * daemon.players. Return: how many. Cost: O(log n). */
size_t calls_of(const struct daemon *d, const struct service *s, const struct call **ret);

const char *path_name(const struct daemon *d, size_t i_path);
/* CPU of one request on all services of a path, ms; 1 ms is assumed of each that has no measurement. */
double path_cpu_ms(const struct daemon *d, size_t i_path);
