/* SPDX-License-Identifier: MIT */

#include "daemon/reports.h"

#include <errno.h>

#define MSEC_PER_SEC 1000.0
/* Two reports within milliseconds are no measure of a rate: requests are counted for so long first. */
#define RATE_USEC_MIN USEC_PER_SEC

int report_take(struct service *s, double seconds_p99, uint32_t requests)
{
        struct latency_report *last = &s->report;
        uint64_t now_usec = daemon_now_usec(s->d);
        struct latency_report fresh = {
                .seconds_p99 = seconds_p99,
                .requests = requests,
                .at_usec = now_usec,
                .at_milli = s->recent_milli[0],
        };

        if (!(seconds_p99 >= REPORT_SECONDS_MIN && seconds_p99 <= REPORT_SECONDS_MAX))
                return -EINVAL;
        fresh.since_usec = now_usec;
        /* Requests are those since the report before: without one nobody knows how long they took to come. */
        if (report_exists(s)) {
                fresh.requests_per_sec = last->requests_per_sec;
                fresh.counted = last->counted + requests;
                fresh.since_usec = last->since_usec;
        }
        if (now_usec - fresh.since_usec >= RATE_USEC_MIN) {
                fresh.requests_per_sec = (double)fresh.counted * USEC_PER_SEC / (double)(now_usec - fresh.since_usec);
                fresh.counted = 0;
                fresh.since_usec = now_usec;
        }
        *last = fresh;
        return 0;
}

bool report_exists(const struct service *s)
{
        return s->report.seconds_p99 > 0;
}

uint64_t report_age_usec(const struct service *s)
{
        uint64_t now_usec = daemon_now_usec(s->d);

        if (!report_exists(s))
                return UINT64_MAX;
        return now_usec > s->report.at_usec ? now_usec - s->report.at_usec : 0;
}

bool report_is_fresh(const struct service *s)
{
        return report_exists(s) && report_age_usec(s) <= REPORT_FRESH_EPOCHS * s->d->config->epoch_usec;
}

double report_latency_ms(const struct service *s)
{
        /* What it held is the second half of the measurement. */
        return report_is_fresh(s) && s->report.at_milli >= 0 ? s->report.seconds_p99 * MSEC_PER_SEC : 0;
}

double report_cpu_ms(const struct service *s)
{
        if (!report_is_fresh(s) || !s->estimate.is_known || !(s->report.requests_per_sec > 0))
                return 0;
        /* A milli-CPU is a millisecond of CPU per second. */
        return s->estimate.use_mean_milli / s->report.requests_per_sec;
}
