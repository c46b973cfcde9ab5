/* SPDX-License-Identifier: MIT */

#include "daemon/sense.h"

#include "daemon/services.h"
#include "util/journal.h"

#include <errno.h>
#include <string.h>
#include <time.h>

uint64_t daemon_now_usec(struct daemon *d)
{
        uint64_t now_usec;

        if (sd_event_now(d->event, CLOCK_MONOTONIC, &now_usec) < 0)
                return 0;
        return now_usec;
}

uint64_t daemon_clock_usec(void)
{
        struct timespec ts;

        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* A unit may have come back with another cgroup of the same name: that is a new player. */
void sense_open(struct daemon *d, struct service *s)
{
        struct cgroup_reader fresh = CGROUP_READER_CLOSED;
        bool is_same;

        if (!s->systemd || s->systemd->control_group[0] == '\0')
                return;
        if (cgroup_reader_open(d->mount, s->systemd->control_group, &fresh) < 0)
                return;

        is_same = s->reader.dir_fd >= 0 && s->reader.inode == fresh.inode;
        if (is_same) {
                cgroup_reader_close(&fresh);
                return;
        }
        cgroup_reader_close(&s->reader);
        s->reader = fresh;
        s->has_counters = s->is_guarded = false;
        s->is_fresh_cgroup = true;
        demand_restart(&s->demand);
        service_forget_allocation(s);
}

/* One unit. @ret_used_usec: since the last sample. Return: false if that is not known: the first sample,
 * or none. */
static bool sample_service(struct service *s, uint64_t now_usec, uint64_t *ret_used_usec)
{
        bool had_counters = s->has_counters;
        struct unit_counters now;
        int r;

        *ret_used_usec = 0;
        r = cgroup_reader_sample(&s->reader, now_usec, &now);
        if (r == -ENODEV) {
                cgroup_reader_close(&s->reader);
                s->has_counters = false;
        }
        if (r < 0)
                return false;

        if (had_counters && now.usage_usec > s->counters.usage_usec)
                *ret_used_usec = now.usage_usec - s->counters.usage_usec;
        (void)demand_observe(&s->demand, &now, service_was_written_since(s, s->counters.at_usec));
        s->counters = now;
        s->has_counters = true;
        return had_counters;
}

void sense_until_write(struct service *s)
{
        struct unit_counters now;

        /* Without a whole sample before it, or after another write, the interval is lost all the same. */
        if (!s->has_counters || service_was_written_since(s, s->counters.at_usec) ||
            cgroup_reader_sample(&s->reader, daemon_clock_usec(), &now) < 0)
                return;
        demand_observe_until_write(&s->demand, &now);
}

/* @managed_usec: CPU used by all who play. @is_complete: that is known of each of them; while units are
 * being found, or one has just come, their work would be taken for somebody else's. */
static void sample_host(struct daemon *d, uint64_t now_usec, uint64_t managed_usec, bool is_complete)
{
        struct host_counters host;
        uint64_t busy_usec;

        if (host_cpu_sample(&d->host, now_usec, &host) < 0)
                return;
        if (d->has_host_counters && host.busy_usec >= d->host_counters.busy_usec) {
                busy_usec = host.busy_usec - d->host_counters.busy_usec;
                d->unmanaged_counters.at_usec = now_usec;
                if (busy_usec > managed_usec)
                        d->unmanaged_counters.usage_usec += busy_usec - managed_usec;
                if (is_complete)
                        (void)demand_observe(&d->unmanaged, &d->unmanaged_counters, false);
                else
                        demand_skip(&d->unmanaged, &d->unmanaged_counters);
        }
        d->host_counters = host;
        d->has_host_counters = true;
}

void sense_sample(struct daemon *d)
{
        /* Asked of the clock, not of the loop: the loop's "now" is the same for a whole turn, and the
         * time between two readings has to be that of the readings. */
        uint64_t now_usec = daemon_clock_usec(), managed_usec = 0;
        bool is_complete = d->is_listed;

        for (size_t i = 0; i < d->n_services; i++) {
                struct service *s = d->services[i];
                uint64_t used_usec;
                bool is_known;

                if (s->reader.dir_fd < 0)
                        continue;
                is_known = sample_service(s, now_usec, &used_usec);
                if (!service_plays(s))
                        continue;
                managed_usec += used_usec;
                is_complete = is_complete && is_known;
        }
        sample_host(d, now_usec, managed_usec, is_complete);
}

static int on_sample(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct daemon *d = userdata;
        uint64_t interval_usec = d->config->sample_interval_usec;
        uint64_t now_usec = daemon_now_usec(d);

        sense_sample(d);

        /* Absolute times, so that delays do not add up; samples that were missed are not made up for. */
        d->next_sample_usec += interval_usec;
        if (d->next_sample_usec <= now_usec)
                d->next_sample_usec = now_usec + interval_usec;
        (void)sd_event_source_set_time(source, d->next_sample_usec);
        (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

int sense_start(struct daemon *d)
{
        int r;

        d->next_sample_usec = daemon_now_usec(d) + d->config->sample_interval_usec;
        /* Accuracy 0 would mean 250 ms. */
        r = sd_event_add_time(d->event, &d->sample_timer, CLOCK_MONOTONIC, d->next_sample_usec,
                              10000, on_sample, d);
        if (r < 0)
                return r;
        (void)sd_event_source_set_description(d->sample_timer, "sample");
        /* Before anything else that is due: a late sample is a wrong one. */
        return sd_event_source_set_priority(d->sample_timer, SD_EVENT_PRIORITY_IMPORTANT);
}
