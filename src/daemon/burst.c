/* SPDX-License-Identifier: MIT */

#include "daemon/burst.h"

#include "platform/cgroup_burst.h"
#include "util/cleanup.h"
#include "util/journal.h"
#include "util/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What the kernel has. */
struct found {
        struct cgroup_limits limits;
        struct cgroup_burst burst;
        bool has_burst;
};

static uint64_t min_of(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

/* Of one period, rounded down as systemd does; USEC_UNSET without a quota. */
static uint64_t of_period(uint64_t quota_usec_per_sec, uint64_t period_usec)
{
        if (quota_usec_per_sec == USEC_UNSET)
                return USEC_UNSET;
        return (uint64_t)((unsigned __int128)quota_usec_per_sec * period_usec / USEC_PER_SEC);
}

/* ---- telling ----------------------------------------------------------------------------------- */

/* A reason mostly holds for all units alike: it is told with the first of them. */
static void tell(struct daemon *d, struct service *s, int error)
{
        bool was_said = s->burst.error == error || d->burst_error == error;

        s->burst.error = error;
        if (was_said || error == 0)
                return;
        d->burst_error = error;
        switch (error) {
        case -ENOENT:
                log_unit(LOG_WARNING, MSG_BURST_FAILED, s->unit,
                         "Burst=yes, but the kernel has no cpu.max.burst for %s (it takes Linux 5.14): quotas are set without bursts.",
                         s->unit);
                break;
        case -EROFS:
                log_unit(LOG_WARNING, MSG_BURST_FAILED, s->unit,
                         "Burst=yes, but cpu.max.burst of %s is read-only for coallocd: quotas are set without bursts. \"systemctl edit coallocd\", add ProtectControlGroups=no below [Service], then \"systemctl restart coallocd\".",
                         s->unit);
                break;
        default:
                log_unit_errno(LOG_WARNING, MSG_BURST_FAILED, s->unit, error,
                               "Burst=yes, but cpu.max.burst of %s could not be set; its quota is in force without, every epoch tries again",
                               s->unit);
                break;
        }
}

/* ---- what there is, and whose it is ------------------------------------------------------------ */

/* Return: 0; negative errno: nothing to be found out now, the cgroup has just gone. */
static int look(struct service *s, struct found *ret)
{
        struct found found = { 0 };
        int r;

        if (s->reader.dir_fd < 0)
                return -ENODEV;
        r = cgroup_reader_limits(&s->reader, &found.limits);
        if (r < 0)
                return r;
        if (found.limits.has_cpu_controller) {
                r = cgroup_burst_read(s->reader.dir_fd, &found.burst);
                if (r < 0 && r != -ENOENT)
                        return r;
                found.has_burst = r == 0;
        }
        s->burst.read_usec = found.has_burst ? found.burst.burst_usec : USEC_UNSET;
        *ret = found;
        return 0;
}

static void seen_as_ours(struct service *s, const struct found *found)
{
        s->burst.file = found->burst.inode;
        s->burst.cgroup = s->reader.inode;
}

static bool is_value_of_ours(struct daemon *d, const struct state_value *v, uint64_t burst_usec)
{
        if (burst_usec == v->applied || burst_usec == v->intended)
                return true;
        if (cgroup_burst_is_cut(burst_usec, v->applied) || cgroup_burst_is_cut(burst_usec, v->intended))
                d->has_cut_bursts = true;
        else if (burst_usec != 0)
                return false;
        /* Where the kernel does that, it may have done it more than once. */
        return d->has_cut_bursts;
}

/* A burst on record: is what there is now ours? A new file has a burst that nobody chose. */
static void judge(struct daemon *d, struct service *s, struct state_record *record, const struct found *found)
{
        struct state_value *v = &record->burst;

        if (s->burst.cgroup != 0 && s->burst.cgroup != s->reader.inode) {
                /* What it had before us went with the old cgroup. */
                v->prior = v->applied = v->intended = found->burst.burst_usec;
                d->state.is_dirty = true;
        } else if (found->burst.burst_usec == 0 && s->burst.file != found->burst.inode) {
                v->applied = 0;
                d->state.is_dirty = true;
        } else if (!is_value_of_ours(d, v, found->burst.burst_usec)) {
                s->burst.is_foreign = true;
                state_value_clear(v);
                d->state.is_dirty = true;
                log_unit(LOG_WARNING, MSG_UNIT_FOREIGN, s->unit,
                         "Someone else changed cpu.max.burst of %s to %" PRIu64 " us: it is theirs now and is left alone until \"coallocctl adopt %s\". Its quota is managed as before.",
                         s->unit, found->burst.burst_usec, s->unit);
                return;
        }
        seen_as_ours(s, found);
}

/* To be saved before the first write. Return: 0; negative errno: it cannot be written, nothing is noted. */
static int take_over(struct daemon *d, struct service *s, struct state_record *record,
                     const struct found *found)
{
        int r = cgroup_burst_probe(s->reader.dir_fd);

        if (r < 0)
                return r;
        record->burst = (struct state_value){
                .is_ours = true,
                .prior = found->burst.burst_usec,
                .applied = found->burst.burst_usec,
                .intended = found->burst.burst_usec,
        };
        d->state.is_dirty = true;
        seen_as_ours(s, found);
        return 0;
}

static void intend(struct daemon *d, struct state_value *v, uint64_t burst_usec)
{
        if (v->intended == burst_usec)
                return;
        v->intended = burst_usec;
        d->state.is_dirty = true;
}

/* Return: 0; negative errno, told. */
static int put(struct daemon *d, struct service *s, struct state_value *v, uint64_t burst_usec)
{
        int r = cgroup_burst_write(s->reader.dir_fd, burst_usec);

        if (r == 0) {
                s->burst.read_usec = burst_usec;
                if (v->applied != burst_usec) {
                        v->applied = burst_usec;
                        d->state.is_dirty = true;
                }
        }
        /* That the controller or the cgroup went just now is no news of the burst. */
        if (r != -ENOENT && r != -ENODEV)
                tell(d, s, r);
        return r;
}

/* ---- around a round of writes ------------------------------------------------------------------ */

static bool may_take_over(const struct daemon *d, const struct service *s)
{
        return d->config->burst && s->config && !s->burst.is_foreign;
}

static bool wants_burst(const struct daemon *d, const struct service *s, uint64_t quota)
{
        return may_take_over(d, s) && quota != USEC_UNSET;
}

void burst_prepare(struct daemon *d, struct service *s, const struct systemd_setting *setting)
{
        struct state_record *record = state_file_find(&d->state, s->unit);
        struct found found;
        uint64_t quota_usec;
        int r;

        if (!setting->set_quota || !record)
                return;
        if (!record->burst.is_ours && !may_take_over(d, s))
                return;
        if (look(s, &found) < 0 || !found.has_burst)
                return;         /* none in the way, and none to be had before the quota is there */
        if (record->burst.is_ours)
                judge(d, s, record, &found);

        quota_usec = of_period(setting->quota_usec_per_sec, found.limits.period_usec);
        /* Also one that is not in the way: an infinite quota may switch the controller off, and some
         * kernels change the burst with the quota. */
        if (!record->burst.is_ours && may_take_over(d, s) && found.burst.burst_usec > 0) {
                r = take_over(d, s, record, &found);
                if (r < 0)
                        tell(d, s, r);
        }
        if (record->burst.is_ours)
                intend(d, &record->burst,
                       wants_burst(d, s, setting->quota_usec_per_sec) ? quota_usec
                                                                      : min_of(record->burst.prior, quota_usec));
}

void burst_lower(struct daemon *d, struct service *const units[], size_t n)
{
        for (size_t i = 0; i < n; i++) {
                struct service *s = units[i];
                struct state_record *record = state_file_find(&d->state, s->unit);

                /* As read in this turn of the loop, by burst_prepare(). */
                if (record && record->burst.is_ours && s->burst.read_usec != USEC_UNSET &&
                    s->burst.read_usec > record->burst.intended)
                        (void)put(d, s, &record->burst, record->burst.intended);
        }
}

/* What the burst should be by now, on record as intended. Return: is there anything to write? */
static bool plan(struct daemon *d, struct service *s)
{
        struct state_record *record = state_file_find(&d->state, s->unit);
        bool is_wanted = wants_burst(d, s, s->quota.is_ours ? s->quota.applied : USEC_UNSET);
        struct found found;
        uint64_t burst_usec;
        int r;

        s->has_burst = false;
        if (!s->is_refused)
                s->burst.is_in_the_way = false;
        if (!record || (!is_wanted && !record->burst.is_ours)) {
                s->burst.read_usec = USEC_UNSET;
                s->burst.error = 0;
                return false;
        }
        if (look(s, &found) < 0)
                return false;
        if (!found.limits.has_cpu_controller) {
                /* An infinite quota switches the controller off, and what comes back with it is 0. */
                struct state_value *v = &record->burst;
                bool is_new_cgroup = s->burst.cgroup != 0 && s->burst.cgroup != s->reader.inode;

                if (v->is_ours && (is_new_cgroup || v->applied > 0 || v->intended > 0)) {
                        v->applied = v->intended = 0;
                        if (is_new_cgroup)
                                v->prior = 0;
                        d->state.is_dirty = true;
                        s->burst.cgroup = s->reader.inode;
                }
                return false;
        }
        if (!found.has_burst) {
                tell(d, s, -ENOENT);
                return false;
        }
        if (record->burst.is_ours)
                judge(d, s, record, &found);
        if (s->burst.is_foreign)
                return false;

        if (s->is_refused)
                /* Whatever the kernel minds, a burst of ours will not be the reason next time. */
                burst_usec = 0;
        else if (is_wanted && found.limits.quota_usec != UINT64_MAX)
                burst_usec = found.limits.quota_usec;
        else if (record->burst.is_ours)
                burst_usec = min_of(record->burst.prior, found.limits.quota_usec);
        else
                return false;
        if (!record->burst.is_ours) {
                if (s->is_refused)
                        return false;
                r = take_over(d, s, record, &found);
                if (r < 0) {
                        tell(d, s, r);
                        return false;
                }
        }
        intend(d, &record->burst, burst_usec);
        s->has_burst = is_wanted && burst_usec > 0 && burst_usec == found.burst.burst_usec;
        if (burst_usec != found.burst.burst_usec)
                return true;
        if (record->burst.applied != burst_usec) {
                record->burst.applied = burst_usec;
                d->state.is_dirty = true;
        }
        /* As it was before us, and no longer ours to set. */
        if (!d->config->burst && burst_usec == record->burst.prior) {
                state_value_clear(&record->burst);
                d->state.is_dirty = true;
        }
        return false;
}

static bool is_in_reach(const struct service *s)
{
        return s->systemd && s->systemd->is_active && !s->is_releasing && !s->is_unsure;
}

void burst_keep(struct daemon *d, uint64_t round_start_usec)
{
        _cleanup_free_ struct service **units = calloc(d->n_services + 1, sizeof *units);
        bool is_for_all = d->are_bursts_due;
        size_t n = 0;

        if (!units)
                return;
        d->are_bursts_due = false;
        if (!d->config->burst)
                d->burst_error = 0;
        for (size_t i = 0; i < d->n_services; i++) {
                struct service *s = d->services[i];

                if (!is_for_all && s->write_sent_usec < round_start_usec)
                        continue;
                if (is_in_reach(s) && plan(d, s))
                        units[n++] = s;
        }
        /* What cannot be recorded is not written; the round tells. */
        if (n == 0 || state_file_save(&d->state) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                struct service *s = units[i];
                struct state_value *v = &state_file_find(&d->state, s->unit)->burst;

                if (put(d, s, v, v->intended) < 0)
                        continue;
                s->has_burst = v->intended > 0 && wants_burst(d, s, s->quota.applied);
                if (!d->config->burst && v->intended == v->prior)
                        state_value_clear(v);
        }
}

/* ---- in the way -------------------------------------------------------------------------------- */

void burst_suspect(struct service *s)
{
        struct found found;

        s->burst.is_in_the_way = s->quota.is_ours && s->quota.applied != USEC_UNSET && look(s, &found) == 0 &&
                                 found.has_burst &&
                                 found.burst.burst_usec > of_period(s->quota.applied, found.limits.period_usec);
}

char *burst_remedy(const struct service *s)
{
        const struct state_record *record = state_file_find(&s->d->state, s->unit);
        char *text;
        int r;

        if (record && record->burst.is_ours && s->burst.error == 0)
                return strdup("it is lowered, and the quota tried again in the next epoch");
        if (record && record->burst.is_ours)
                r = asprintf(&text, "coallocd may not lower it any more (ProtectControlGroups=); \"echo 0 >%s%s/cpu.max.burst\"",
                             s->d->mount, s->systemd->control_group);
        else
                r = asprintf(&text, "someone else set it; \"echo 0 >%s%s/cpu.max.burst\"%s", s->d->mount,
                             s->systemd->control_group,
                             s->burst.is_foreign ? ", or \"coallocctl adopt\"" : s->d->config->burst ? "" : ", or Burst=yes");
        return r < 0 ? NULL : text;
}

bool burst_left_behind(const struct service *s)
{
        uint64_t theirs, kernels = s->quota.read;

        if (!s->quota.is_foreign || !s->systemd || !s->systemd->is_active)
                return false;
        theirs = s->systemd->quota_usec_per_sec;
        if (theirs == USEC_UNSET || kernels == USEC_UNSET)
                return false;
        /* Of a period the kernel has whole microseconds. */
        return (theirs > kernels ? theirs - kernels : kernels - theirs) >= USEC_PER_MILLI;
}

void burst_gave_way(struct service *s)
{
        struct found found;

        if (!s->quota.is_foreign || look(s, &found) < 0)
                return;
        s->quota.read = found.limits.quota_usec_per_sec;
        if (!burst_left_behind(s))
                return;
        log_unit(LOG_WARNING, MSG_UNIT_REFUSED, s->unit,
                 "The kernel did not take someone else's CPUQuota=%s of %s, because a burst of coallocd was above it, and it still has %s. The burst is gone; now \"systemctl set-property --runtime %s CPUQuota=%s\" puts it in force.",
                 FORMAT_CPU(s->systemd->quota_usec_per_sec), s->unit, FORMAT_CPU(s->quota.read), s->unit,
                 FORMAT_CPU(s->systemd->quota_usec_per_sec));
}

void burst_forget(struct service *s)
{
        s->has_burst = false;
        s->burst = (struct burst){ .read_usec = USEC_UNSET, .is_foreign = s->burst.is_foreign };
}
