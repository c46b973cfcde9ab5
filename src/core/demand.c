/* SPDX-License-Identifier: MIT */

#include "core/demand.h"

#include <string.h>

#define USEC_PER_SEC 1e6

/* Fast up, slow down. Down with this half-life when the lower use is known to be free ... */
#define LOAD_HALF_LIFE_USEC (30 * USEC_PER_SEC)
/* ... and with this one while something holds the service back: a promise to forget eventually. */
#define LOAD_HALF_LIFE_HELD_USEC (600 * USEC_PER_SEC)

/* The stall baseline follows quiet epochs down in a minute, up in ten. It follows contended epochs
 * too, in half an hour, so that a service whose stall never ends (more threads than CPUs) stops
 * counting it as news. */
#define BASELINE_HALF_LIFE_DOWN_USEC (60 * USEC_PER_SEC)
#define BASELINE_HALF_LIFE_UP_USEC (600 * USEC_PER_SEC)
#define BASELINE_HALF_LIFE_CONTENDED_USEC (1800 * USEC_PER_SEC)
/* Stall is news only beyond this: baseline and a quarter, and five points of noise. */
#define STALL_NEWS_FACTOR 1.25
#define STALL_NEWS_OFFSET 0.05
/* Stall above news that gives the whole raise. */
#define STALL_FULL_RAISE 0.5

/* The raise of a throttled service outlives the throttling, or need would swing: raised, calm,
 * lowered, throttled again. It decays so slowly that it settles where the throttling just begins. */
#define THROTTLE_RAISE_HALF_LIFE_USEC (120 * USEC_PER_SEC)
/* A raise below this is not worth a word. */
#define THROTTLE_RAISE_NOTABLE 0.01

/* With less idle CPU than this share the host is full: use no longer shows what is wanted. Who is
 * elastic already is judged by the larger share, so that idleness near the border does not flap. */
#define HOST_FULL_IDLE_SHARE 0.05
#define HOST_FULL_IDLE_SHARE_ELASTIC 0.10
/* Use this little above the allocation is within what sampling can tell. */
#define USE_ABOVE_TOLERANCE 0.02
#define USE_ABOVE_OFFSET_MILLI 10.0
/* A throttled ratio says something from this many periods on. */
#define PERIODS_MIN 10.0

static double max_of(double a, double b)
{
        return a > b ? a : b;
}

static double min_of(double a, double b)
{
        return a < b ? a : b;
}

static double clamp_of(double v, double low, double high)
{
        return max_of(low, min_of(v, high));
}

static double decay(double elapsed_usec, double half_life_usec)
{
        return exp2(-elapsed_usec / half_life_usec);
}

static void window_reset(struct demand_state *s)
{
        s->n_samples = 0;
        s->wall_usec = s->used_usec = s->stalled_usec = 0;
        s->use_peak_milli = 0;
        s->throttled_usec = s->bandwidth_wall_usec = 0;
        s->n_periods = s->n_throttled = 0;
        s->has_pressure = false;
}

void demand_restart(struct demand_state *s)
{
        double load_milli = s->load_milli;

        memset(s, 0, sizeof *s);
        s->load_milli = load_milli;
}

/* Counters of a cgroup only ever grow, except when the cpu controller is switched off and on. The
 * bandwidth counters are printed as signed 32 bit by the kernel; the parser widens them. */
static bool went_backwards(const struct unit_counters *before, const struct unit_counters *now)
{
        return now->usage_usec < before->usage_usec || now->at_usec <= before->at_usec ||
               (now->has_pressure && before->has_pressure && now->stalled_usec < before->stalled_usec);
}

static void observe_bandwidth(struct demand_state *s, const struct unit_counters *before,
                              const struct unit_counters *c)
{
        if (!c->has_bandwidth || !before->has_bandwidth || c->nr_periods < before->nr_periods ||
            c->nr_throttled < before->nr_throttled || c->throttled_usec < before->throttled_usec)
                return;
        s->n_periods += (double)(c->nr_periods - before->nr_periods);
        s->n_throttled += (double)(c->nr_throttled - before->nr_throttled);
        s->throttled_usec += (double)(c->throttled_usec - before->throttled_usec);
        s->bandwidth_wall_usec += (double)(c->at_usec - before->at_usec);
}

void demand_observe_until_write(struct demand_state *s, const struct unit_counters *c)
{
        if (!s->has_last || went_backwards(&s->last, c))
                return;
        observe_bandwidth(s, &s->last, c);
}

int demand_observe(struct demand_state *s, const struct unit_counters *c, bool had_own_write)
{
        struct unit_counters before = s->last;
        bool had_last = s->has_last;
        double wall_usec, used_usec, recent_usec = 0, recent_wall_usec = 0;
        unsigned slot;

        s->last = *c;
        s->has_last = true;
        if (!had_last)
                return 0;
        if (went_backwards(&before, c)) {
                s->n_recent = 0;
                return 1;
        }

        wall_usec = (double)(c->at_usec - before.at_usec);
        used_usec = (double)(c->usage_usec - before.usage_usec);

        s->n_samples++;
        s->wall_usec += wall_usec;
        s->used_usec += used_usec;

        slot = s->n_recent % DEMAND_PEAK_SAMPLES;
        s->recent_usec[slot] = used_usec;
        s->recent_wall_usec[slot] = wall_usec;
        s->n_recent++;
        for (unsigned i = 0; i < DEMAND_PEAK_SAMPLES && i < s->n_recent; i++) {
                recent_usec += s->recent_usec[i];
                recent_wall_usec += s->recent_wall_usec[i];
        }
        /* A peak over fewer samples would be the noise that averaging is there to remove. */
        if (s->n_recent >= DEMAND_PEAK_SAMPLES)
                s->use_peak_milli = max_of(s->use_peak_milli,
                                           recent_usec / recent_wall_usec * MILLI_PER_CPU);

        if (c->has_pressure && before.has_pressure) {
                s->has_pressure = true;
                s->stalled_usec += (double)(c->stalled_usec - before.stalled_usec);
        }
        if (!had_own_write)
                observe_bandwidth(s, &before, c);
        return 0;
}

void demand_skip(struct demand_state *s, const struct unit_counters *c)
{
        s->last = *c;
        s->has_last = true;
        s->n_recent = 0;
}

double demand_recent_use_milli(const struct demand_state *s)
{
        double most_milli = -1;

        for (unsigned i = 0; i < DEMAND_PEAK_SAMPLES && i < s->n_recent; i++)
                most_milli = max_of(most_milli, s->recent_usec[i] / s->recent_wall_usec[i] * MILLI_PER_CPU);
        return most_milli;
}

/* What the ratio of throttled periods adds to need: nothing up to 5 %, half as much again at 20 %, as
 * much again when every period is throttled. Continuous, so that noise does not jump. */
static double throttle_raise(double ratio)
{
        if (ratio <= DEMAND_THROTTLED_FINE)
                return 0;
        if (ratio <= DEMAND_THROTTLED_BAD)
                return 0.5 * (ratio - DEMAND_THROTTLED_FINE) /
                       (DEMAND_THROTTLED_BAD - DEMAND_THROTTLED_FINE);
        return 0.5 + 0.5 * (ratio - DEMAND_THROTTLED_BAD) / (1 - DEMAND_THROTTLED_BAD);
}

static double stall_news(const struct demand_state *s, double contention)
{
        if (!s->has_stall_baseline)
                return 0;
        return max_of(0, contention - (STALL_NEWS_FACTOR * s->stall_baseline + STALL_NEWS_OFFSET));
}

static void learn_stall_baseline(struct demand_state *s, double contention, bool is_quiet,
                                 double elapsed_usec)
{
        double half_life_usec;

        if (!s->has_stall_baseline) {
                s->stall_baseline = contention;
                s->has_stall_baseline = true;
                return;
        }
        if (contention < s->stall_baseline)
                half_life_usec = BASELINE_HALF_LIFE_DOWN_USEC;
        else
                half_life_usec = is_quiet ? BASELINE_HALF_LIFE_UP_USEC
                                          : BASELINE_HALF_LIFE_CONTENDED_USEC;
        s->stall_baseline += (contention - s->stall_baseline) *
                             (1 - decay(elapsed_usec, half_life_usec));
}

double demand_track_peak(double peak, double observed, bool held, double elapsed_usec)
{
        return max_of(observed, peak * decay(elapsed_usec, held ? LOAD_HALF_LIFE_HELD_USEC
                                                                : LOAD_HALF_LIFE_USEC));
}

void demand_track_unmanaged(struct demand_unmanaged *u, double use_mean_milli, double host_idle_share,
                            double elapsed_usec)
{
        double lasting_milli = u->n_epochs > 0 ? min_of(use_mean_milli, u->last_milli) : 0;

        u->load_milli = demand_track_peak(u->load_milli, lasting_milli,
                                          host_idle_share < HOST_FULL_IDLE_SHARE, elapsed_usec);
        u->last_milli = use_mean_milli;
        u->n_epochs++;
}

/* ---- use above the allocation -------------------------------------------------------------------- */

/* What can be said of the epoch before load is judged. */
struct situation {
        bool is_throttled;
        bool ceiling_is_parked;         /* throttled by a ceiling of ours above the allocation */
        bool is_on_loan;                /* its share was too small, so it was given more for a while */
        bool host_is_full;
        bool takes_more;                /* than the allocation, beyond what sampling can tell */
        bool is_short_of_breath;        /* takes all of the allocation, or stalls more than usual */
};

static double noticeably_above(double allocation_milli)
{
        return allocation_milli * (1 + USE_ABOVE_TOLERANCE) + USE_ABOVE_OFFSET_MILLI;
}

static struct situation situation_of(const struct demand_state *s, const struct demand_context *c,
                                     double use_mean_milli, double use_peak_milli, bool is_throttled,
                                     bool has_stall_news)
{
        double x_milli = c->allocation_milli;
        double full_share = s->is_elastic ? HOST_FULL_IDLE_SHARE_ELASTIC : HOST_FULL_IDLE_SHARE;
        struct situation now = {
                .is_throttled = is_throttled,
                .host_is_full = c->host_idle_share < full_share,
        };

        if (x_milli < 0)
                return now;
        /* A quota that is the allocation is a partition's; one at Max= is the administrator's. */
        now.ceiling_is_parked = is_throttled && !c->quota_is_share &&
                                c->quota_milli > noticeably_above(x_milli) &&
                                c->quota_milli + QUOTA_STEP_MILLI <= c->max_milli;
        now.is_on_loan = c->quota_is_share && isfinite(c->quota_milli) &&
                         c->quota_milli > noticeably_above(x_milli);
        /* CPU that our own ceiling keeps idle was not there for the taking. */
        now.host_is_full = now.host_is_full || now.ceiling_is_parked;
        now.takes_more = use_mean_milli > noticeably_above(x_milli);
        now.is_short_of_breath = has_stall_news ||
                                 use_peak_milli >= x_milli * (1 - USE_ABOVE_TOLERANCE) -
                                                           USE_ABOVE_OFFSET_MILLI;
        return now;
}

/* Is load above the allocation real demand? The table in demand.h; sets is_elastic. */
static void judge_load(struct demand_state *s, const struct demand_context *c,
                       const struct situation *now, bool has_stall_news)
{
        bool is_proven;

        if (c->allocation_milli < 0 || !now->host_is_full || s->load_milli <= c->allocation_milli ||
            (now->is_throttled && !now->ceiling_is_parked) || now->is_on_loan || c->is_called) {
                /* Idle CPU was there for the taking, or the quota itself is the proof. What it could use
                 * unthrottled of a loan is proven as well: by the throttling that the loan ended; and who is
                 * called works for somebody who waits. */
                s->is_elastic = false;
                s->believed_usec = 0;
                s->n_unproven = 0;
                return;
        }
        if (!now->takes_more)
                return;
        /* Under a ceiling stall says nothing: a belief that stands is kept, none is begun. */
        is_proven = has_stall_news || (now->is_throttled && s->believed_usec > 0 && !s->is_elastic);
        if (is_proven && s->believed_usec < DEMAND_BELIEVED_USEC_MAX) {
                s->is_elastic = false;
                s->believed_usec += s->wall_usec;
                s->n_unproven = 0;
                return;
        }
        if (s->n_unproven < DEMAND_UNPROVEN_EPOCHS_MAX)
                s->n_unproven++;
        else
                s->is_elastic = true;
}

/* ---- the estimate -------------------------------------------------------------------------------- */

static bool is_known(const struct demand_state *s, double expected)
{
        return s->n_samples >= 2 && s->n_samples * 3 >= expected;
}

void demand_estimate(struct demand_state *s, const struct demand_context *c, struct demand_estimate *ret)
{
        struct demand_estimate e = { 0 };
        double expected = c->epoch_usec / c->sample_interval_usec;
        double need_milli, stall_factor, news;
        struct situation now;
        bool is_throttled, is_held;

        if (!is_known(s, expected)) {
                s->n_missing++;
                e.reason = c->is_starting ? DEMAND_STARTING : DEMAND_UNKNOWN;
                e.is_elastic = s->is_elastic;
                e.load_milli = s->load_milli;
                e.need_milli = c->baseline_milli;
                if (c->is_starting)
                        e.need_milli = clamp_of(c->grace_milli, c->baseline_milli, c->max_milli);
                e.stall_baseline = s->stall_baseline;
                window_reset(s);
                *ret = e;
                return;
        }
        s->n_missing = 0;
        s->n_estimates++;

        e.is_known = true;
        e.confidence = min_of(1, s->n_samples / expected) * (1 - exp2(-(double)s->n_estimates));
        e.use_mean_milli = s->used_usec / s->wall_usec * MILLI_PER_CPU;
        e.use_peak_milli = max_of(s->use_peak_milli, e.use_mean_milli);
        if (s->n_periods >= PERIODS_MIN)
                e.throttled_ratio = min_of(1, s->n_throttled / s->n_periods);
        if (s->bandwidth_wall_usec > 0)
                e.throttled_share = min_of(1, s->throttled_usec / s->bandwidth_wall_usec);
        if (s->has_pressure)
                e.stall_share = min_of(1, s->stalled_usec / s->wall_usec);
        e.contention = max_of(0, e.stall_share - e.throttled_share);

        /* Stall of a throttled service is its own quota: neither judged nor learned from. */
        is_throttled = e.throttled_ratio > DEMAND_THROTTLED_FINE;
        news = s->has_pressure && !is_throttled ? stall_news(s, e.contention) : 0;

        now = situation_of(s, c, e.use_mean_milli, e.use_peak_milli, is_throttled, news > 0);
        /* Who takes less than it was given and does not stall is not held back by that: without this
         * a load once held would keep the service short, and being short would hold it. */
        is_held = is_throttled || (now.host_is_full && c->allocation_milli >= 0 &&
                                   s->load_milli > c->allocation_milli && now.is_short_of_breath);
        s->load_milli = demand_track_peak(s->load_milli, e.use_peak_milli, is_held, s->wall_usec);
        e.load_milli = s->load_milli;

        judge_load(s, c, &now, news > 0);
        e.is_elastic = s->is_elastic;

        s->throttle_raise *= decay(s->wall_usec, THROTTLE_RAISE_HALF_LIFE_USEC);
        if (!now.ceiling_is_parked)
                s->throttle_raise = max_of(s->throttle_raise, throttle_raise(e.throttled_ratio));
        stall_factor = 1 + DEMAND_STALL_RAISE_MAX * min_of(1, news / STALL_FULL_RAISE);
        if (s->is_elastic)
                need_milli = c->baseline_milli;
        else
                need_milli = DEMAND_MARGIN * s->load_milli * (1 + s->throttle_raise) * stall_factor;

        e.reason = s->is_elastic                                 ? DEMAND_ELASTIC
                   : s->throttle_raise >= THROTTLE_RAISE_NOTABLE ? DEMAND_THROTTLED
                   : news > 0                                    ? DEMAND_STALLED
                                                                 : DEMAND_LOAD;
        if (c->is_starting && need_milli < c->grace_milli) {
                need_milli = c->grace_milli;
                e.reason = DEMAND_STARTING;
        }
        if (need_milli < c->baseline_milli && !s->is_elastic) {
                need_milli = c->baseline_milli;
                e.reason = DEMAND_BASELINE;
        }
        if (need_milli > c->max_milli) {
                need_milli = c->max_milli;
                e.reason = DEMAND_AT_MAX;
        }
        e.need_milli = need_milli;

        e.hardship = s->is_elastic ? 0 : max_of(e.throttled_ratio, news);
        if (s->has_pressure && !is_throttled)
                learn_stall_baseline(s, e.contention, !is_held, s->wall_usec);
        e.stall_baseline = s->stall_baseline;

        window_reset(s);
        *ret = e;
}

const char *demand_reason_to_string(enum demand_reason r)
{
        static const char *const names[_DEMAND_REASON_MAX] = {
                [DEMAND_UNKNOWN] = "unknown",
                [DEMAND_STARTING] = "starting",
                [DEMAND_BASELINE] = "baseline",
                [DEMAND_LOAD] = "load",
                [DEMAND_THROTTLED] = "throttled",
                [DEMAND_STALLED] = "stalled",
                [DEMAND_ELASTIC] = "elastic",
                [DEMAND_AT_MAX] = "at-max",
                [DEMAND_LATENCY_TARGET] = "latency-target",
        };

        return r < _DEMAND_REASON_MAX ? names[r] : "unknown";
}
