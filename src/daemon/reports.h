/* SPDX-License-Identifier: MIT */
#pragma once

/* Latencies that services report (ReportLatency() on D-Bus), and what follows from them for the
 * decision. A report counts for three epochs; then it is shown as stale and ignored. */

#include "daemon/daemon.h"

#define REPORT_FRESH_EPOCHS 3
/* No request of anything is faster than a microsecond: what claims to be would drown all others. */
#define REPORT_SECONDS_MIN 1e-6
#define REPORT_SECONDS_MAX 3600.0

/* Return: 0; -EINVAL for a latency that is none: not a number, below a microsecond, above an hour. */
int report_take(struct service *s, double seconds_p99, uint32_t requests);

bool report_exists(const struct service *s);
/* Usec since the last report; UINT64_MAX if there was none. */
uint64_t report_age_usec(const struct service *s);
bool report_is_fresh(const struct service *s);

/* Ms, of a fresh report that was made while an allocation was in force; 0: there is none. */
double report_latency_ms(const struct service *s);
/* CPU of one request, ms, from what the service uses and how many requests it answers; 0: not known. */
double report_cpu_ms(const struct service *s);
