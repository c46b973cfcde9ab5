/* SPDX-License-Identifier: MIT */
#pragma once

/* Demand: from what a service was seen to use to what it needs.
 *
 * Use is censored: a service that is throttled, or that others keep off the CPU, would use more. The
 * estimator therefore keeps two numbers apart. *Load* is the recent peak of use, taken at face value
 * only where nothing held the service back, and held with slow decay where something did. *Need* is
 * what it should be given: load with a margin, raised where throttling or queueing proves that load
 * is too low. Use above the allocation on a host without idle CPU proves nothing by itself: a batch
 * job soaks up whatever is spare. Such a service is *elastic*: it needs its baseline and takes more.
 *
 * Throttling by a quota counts as pressure in the kernel (a throttled task stays runnable), so time
 * throttled is subtracted before stall is called contention, and stall is only ever compared with the
 * service's own learned baseline: a busy healthy service shows 15 to 45 % (doc/theory.md). */

#include "core/model.h"

/* What counts of use above the allocation, on a host without idle CPU:
 *
 *      throttled by a quota that is the allocation     all of it: the quota proves that it is short
 *      throttled by a ceiling parked above it          nothing: spare CPU ran out, that is all
 *      on a quota above it where quotas are shares     all of it: the guard lent that because it was
 *                                                      throttled (guard.h), and takes it back
 *      stalled beyond its own baseline                 all of it, for an hour at most
 *      called by others                                all of it: it works for who waits, and no longer
 *      neither                                         for one epoch, in which the market may answer;
 *                                                      who takes more even then is elastic
 *
 * Elastic is a latch: it ends when the load fits the allocation, when a tenth of the host idles, or
 * when the service starts to stall beyond its baseline. The hour is as long as it takes the stall
 * baseline to follow. It must not be short: of two equal services that overload a host, the one whose
 * belief ended first would fall to its baseline while the other is served in full. */

/* Margin of need over load. */
#define DEMAND_MARGIN 1.15
/* Share of throttled periods that is harmless, and that is bad: p99 x1 and x2.5 to x6. */
#define DEMAND_THROTTLED_FINE 0.05
#define DEMAND_THROTTLED_BAD 0.20
/* What stall above the baseline may add at most. */
#define DEMAND_STALL_RAISE_MAX 0.15
/* How long queueing alone is believed, in one stretch of full host and too small an allocation. */
#define DEMAND_BELIEVED_USEC_MAX 3600e6
/* Epochs in which use above the allocation needs no proof: a load step must be followed at once. */
#define DEMAND_UNPROVEN_EPOCHS_MAX 1
/* Samples that a peak is averaged over: one second alone is too short to be an offered load. */
#define DEMAND_PEAK_SAMPLES 3

/* Everything known of one service; all zero means nothing is known. */
struct demand_state {
        struct unit_counters last;
        bool has_last;

        /* since the last estimate */
        double recent_usec[DEMAND_PEAK_SAMPLES];        /* CPU used in the last few samples */
        double recent_wall_usec[DEMAND_PEAK_SAMPLES];
        unsigned n_recent;
        unsigned n_samples;
        double wall_usec, used_usec, stalled_usec;
        double use_peak_milli;
        double throttled_usec, bandwidth_wall_usec;
        double n_periods, n_throttled;
        bool has_pressure;

        /* learned */
        double load_milli;
        double stall_baseline;
        unsigned n_estimates;           /* epochs with data, since the cgroup is the same */
        unsigned n_missing;             /* epochs without data in a row */
        double throttle_raise;          /* of need over load, at once up, slowly down */
        double believed_usec;           /* queueing has counted as proof for so long */
        unsigned n_unproven;            /* epochs in a row of use above the allocation without proof */
        bool has_stall_baseline;
        bool is_elastic;
};

/* The cgroup is a new one (restart): counters start again, what was learned of load is kept as a
 * starting point but no longer counts as known. */
void demand_restart(struct demand_state *s);

/**
 * demand_observe() - take in one sample
 * @c:              counters of the same cgroup, a second or so after the previous
 * @had_own_write:  our own quota write fell into this interval: its throttle counters say nothing,
 *                  because a write refills the budget. What they said before the write is taken in
 *                  by demand_observe_until_write()
 *
 * Constant time, no allocation: this is the sampling path.
 *
 * Return: 0; 1 if counters went backwards (a controller was switched off and on): the interval is
 * dropped and counting starts anew.
 */
int demand_observe(struct demand_state *s, const struct unit_counters *c, bool had_own_write);

/* Just before the first write of ours into an interval: of it the throttle counters count until now, the rest
 * is dropped by the sample that follows, which must be told of the write. A raise is the answer to throttling:
 * were the interval dropped as a whole, the ratio of who is raised would lack just those periods that it was
 * raised for, and come out low. */
void demand_observe_until_write(struct demand_state *s, const struct unit_counters *c);

/* The interval that ends with @c says nothing: counting goes on from there. */
void demand_skip(struct demand_state *s, const struct unit_counters *c);

/* The most that one of the last DEMAND_PEAK_SAMPLES samples used; negative if there is none. */
double demand_recent_use_milli(const struct demand_state *s);

/* What the estimate depends on besides the samples. */
struct demand_context {
        double epoch_usec;
        double sample_interval_usec;
        double allocation_milli;        /* x in force, or < 0 if none */
        double quota_milli;             /* in force, or INFINITY */
        bool quota_is_share;            /* Enforce=quota: it is the allocation, and above that a loan */
        double baseline_milli;
        double max_milli;               /* INFINITY if none */
        double grace_milli;             /* need of a service that is starting up */
        double host_idle_share;         /* of capacity, over the epoch, 0..1 */
        bool is_starting;
        bool is_called;                 /* others wait for its answers (Calls=) */
};

/* Why need is what it is: one word for explain. */
enum demand_reason {
        DEMAND_UNKNOWN,                 /* not enough data */
        DEMAND_STARTING,
        DEMAND_BASELINE,                /* load is below what is promised anyway */
        DEMAND_LOAD,
        DEMAND_THROTTLED,
        DEMAND_STALLED,
        DEMAND_ELASTIC,
        DEMAND_AT_MAX,
        DEMAND_LATENCY_TARGET,          /* raised by the caller: what the load needs misses LatencyTargetSec= */
        _DEMAND_REASON_MAX,
};

struct demand_estimate {
        enum demand_reason reason;
        bool is_known;
        bool is_elastic;
        double confidence;              /* 0..1 */
        double use_mean_milli;
        double use_peak_milli;
        double load_milli;
        double need_milli;              /* within [baseline, max] */
        double throttled_ratio;         /* of periods, 0..1 */
        double throttled_share;         /* of time, 0..1 */
        double stall_share;             /* of time, PSI some, 0..1 */
        double contention;              /* stall without own throttling, 0..1 */
        double stall_baseline;          /* learned */
        double hardship;                /* throttled ratio or stall above baseline, the worse, 0..1;
                                         * none for the elastic, who are meant to yield */
};

/**
 * demand_estimate() - close the window of an epoch
 *
 * Not known means: fewer than a third of the expected samples arrived, or a single one; need is then
 * the baseline, load the last one known, and the caller keeps the allocation as it is. The window starts again in either case.
 */
void demand_estimate(struct demand_state *s, const struct demand_context *c,
                     struct demand_estimate *ret);

const char *demand_reason_to_string(enum demand_reason r);

/* A peak that rises at once and falls with a half-life.
 * @held: something keeps the observed value down, so it decays with the slow half-life. */
double demand_track_peak(double peak, double observed, bool held, double elapsed_usec);

/* Load of everything unmanaged; all zero at first. */
struct demand_unmanaged {
        double load_milli;
        double last_milli;              /* mean use in the epoch before */
        unsigned n_epochs;              /* that were measured */
};

/* By the same rule: on a full host use is not load. Full is said of idle CPU; pressure has no value that
 * means it. Bursts do not count, they are what Reserve= is for: only what two epochs in a row have in common
 * does. A daemon-reload, or our own start, held as a peak on a host that a batch job keeps full, would take
 * CPU from everybody for half an hour. */
void demand_track_unmanaged(struct demand_unmanaged *u, double use_mean_milli, double host_idle_share,
                            double elapsed_usec);
