/* SPDX-License-Identifier: MIT */

#include "sim/workload.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "sim/earliest.h"

#define USEC_PER_SEC_DOUBLE 1e6
#define NOBODY UINT32_MAX
/* Separates the chances of a visit's work from those of its calls. */
#define SALT_CALLS UINT64_C(0xa24baed4963ee407)

struct call {
        uint32_t callee;                /* node */
        double probability;
        bool is_async;
};

/* A service as one path sees it. */
struct node {
        uint32_t service;
        uint32_t path;
        uint32_t i_call, n_calls;
        uint32_t depth;                 /* calls from the entry, at most */
};

enum visit_state {
        VISIT_FREE,
        VISIT_QUEUED,
        VISIT_WORKING,
        VISIT_WAITING,                  /* for answers; has its thread */
};

struct visit {
        enum visit_state state;
        uint32_t node;
        uint32_t next;                  /* in the queue, or among the free ones */
        uint32_t generation;            /* counts who had this place before */
        uint32_t caller, caller_generation; /* NOBODY: a request's first visit, or nobody waits */
        uint32_t n_answers_due;
        bool is_request;                /* its end is that of the request */
        bool has_failed;
        double arrived_usec;
        uint64_t identity;
};

struct service {
        struct workload_service spec;
        double log_mean, log_deviation; /* of WORK_LOGNORMAL */
        bool is_up;
        unsigned n_idle;
        uint32_t queue_first, queue_last;
        struct workload_service_result result;
};

struct path {
        struct workload_path spec;
        uint32_t entry;                 /* node */
        struct random random;
        struct workload_result result;
        uint64_t n_open;                /* requests under way */
        uint64_t second;                /* that is being judged */
        uint64_t n_second, n_late_second;
};

struct workload {
        struct plant *plant;
        double counted_from_usec;
        struct service *services;
        struct path *paths;
        size_t n_services, n_paths;
        struct node *nodes;
        struct call *calls;
        struct visit *visits;
        size_t n_visits;
        uint32_t free_first;
        struct earliest arrivals;
        double *arrival_usec;
        uint32_t *winner;
        struct workload_ramp *ramps;
        double *rates;
};

/* ---- chance ------------------------------------------------------------------------------------- */

/* Uniform in (0, 1). */
static double draw(struct random *r)
{
        return ((double)(random_next(r) >> 11) + 0.5) * 0x1p-53;
}

static double ramp_at(const struct workload_ramp ramps[], size_t n_ramps, double at_usec)
{
        double factor = 1;

        for (size_t i = 0; i < n_ramps; i++) {
                const struct workload_ramp *r = &ramps[i];

                if (at_usec < r->from_usec || at_usec >= r->until_usec)
                        continue;
                if (at_usec < r->from_usec + r->over_usec)
                        factor *= 1 + (r->factor - 1) * (at_usec - r->from_usec) / r->over_usec;
                else
                        factor *= r->factor;
        }
        return factor;
}

static double draw_work(const struct workload *w, const struct service *s, uint64_t identity)
{
        struct random r;
        double work_usec = s->spec.work_usec;

        random_init(&r, identity);
        switch (s->spec.shape) {
        case WORK_LOGNORMAL: {
                double radius = sqrt(-2 * log(draw(&r)));

                work_usec = exp(s->log_mean + s->log_deviation * radius * cos(2 * M_PI * draw(&r)));
                break;
        }
        case WORK_EXPONENTIAL:
                work_usec *= -log(draw(&r));
                break;
        default:
                break;
        }
        return work_usec * ramp_at(s->spec.ramps, s->spec.n_ramps, plant_now_usec(w->plant));
}

/* When the next request comes: the rate is summed up until it reaches an exponential draw. */
static double next_arrival(struct path *p, double from_usec)
{
        double wanted = -log(draw(&p->random)), at_usec = from_usec;

        if (p->spec.n_rates == 1 && p->spec.n_ramps == 0)
                return p->spec.rates_per_sec[0] > 0 ?
                               from_usec + wanted / p->spec.rates_per_sec[0] * USEC_PER_SEC_DOUBLE : INFINITY;
        /* Rates may be 0 for the rest of the time; no run is that long. */
        while (at_usec < from_usec + 1e12) {
                double second = floor(at_usec / USEC_PER_SEC_DOUBLE);
                double end_usec = (second + 1) * USEC_PER_SEC_DOUBLE;
                double rate = p->spec.rates_per_sec[(size_t)fmod(second, (double)p->spec.n_rates)] *
                              ramp_at(p->spec.ramps, p->spec.n_ramps, end_usec - USEC_PER_SEC_DOUBLE / 2);
                double expected = rate * (end_usec - at_usec) / USEC_PER_SEC_DOUBLE;

                if (wanted < expected)
                        return at_usec + wanted / rate * USEC_PER_SEC_DOUBLE;
                wanted -= expected;
                at_usec = end_usec;
        }
        return INFINITY;
}

/* ---- results ------------------------------------------------------------------------------------ */

/* Closes the seconds that are over. */
static void judge_seconds(struct path *p, double now_usec)
{
        uint64_t second = (uint64_t)(now_usec / USEC_PER_SEC_DOUBLE);

        if (p->second >= second)
                return;
        if (isfinite(p->spec.target_usec)) {
                /* Nearest rank: the 99th percentile is late if more than a hundredth is. */
                if (p->n_second > 0)
                        p->result.n_seconds_violated += p->n_late_second > p->n_second / 100;
                else
                        p->result.n_seconds_violated += p->n_open > 0;
                if (p->n_open > 0)
                        p->result.n_seconds_violated += second - p->second - 1;
        }
        p->second = second;
        p->n_second = p->n_late_second = 0;
}

static void note_request(struct workload *w, struct path *p, double arrived_usec, bool has_failed)
{
        double now_usec = plant_now_usec(w->plant), took_usec = now_usec - arrived_usec;
        bool is_late = has_failed || took_usec > p->spec.target_usec;

        judge_seconds(p, now_usec);
        p->n_open--;
        if (arrived_usec < w->counted_from_usec)
                return;
        p->n_second++;
        p->n_late_second += is_late;
        if (has_failed) {
                p->result.n_rejected++;
                return;
        }
        p->result.n_done++;
        p->result.n_late += is_late;
        histogram_add(&p->result.latency, took_usec);
}

/* ---- visits ------------------------------------------------------------------------------------- */

static struct service *service_of(struct workload *w, const struct visit *v)
{
        return &w->services[w->nodes[v->node].service];
}

static void begin(struct workload *w, uint32_t i_visit)
{
        struct visit *v = &w->visits[i_visit];
        struct service *s = service_of(w, v);
        int r;

        s->n_idle--;
        v->state = VISIT_WORKING;
        /* Below a nanosecond there is nothing to simulate; 0 is no work. */
        r = plant_start(w->plant, s->spec.group, fmax(draw_work(w, s, v->identity), 1e-3), i_visit);
        assert(r == 0);
        (void)r;
}

/* Return: false if the service does not take it. @template: who it is; its state is set here. */
static bool arrive(struct workload *w, const struct visit *template)
{
        struct service *s = service_of(w, template);
        struct visit *v;
        uint32_t i, generation;

        if (!s->is_up || (s->n_idle == 0 && s->result.n_queued == s->spec.n_queued_max)) {
                s->result.n_rejected++;
                return false;
        }
        /* There are as many places as all services together have threads and room in queues. */
        i = w->free_first;
        v = &w->visits[i];
        w->free_first = v->next;
        generation = v->generation;
        *v = *template;
        v->generation = generation;
        if (s->n_idle > 0) {
                begin(w, i);
                return true;
        }
        v->state = VISIT_QUEUED;
        v->next = NOBODY;
        if (s->result.n_queued++ == 0)
                s->queue_first = i;
        else
                w->visits[s->queue_last].next = i;
        s->queue_last = i;
        return true;
}

static void release(struct workload *w, uint32_t i)
{
        struct visit *v = &w->visits[i];

        v->state = VISIT_FREE;
        v->generation++;
        v->next = w->free_first;
        w->free_first = i;
}

static void serve_next(struct workload *w, struct service *s)
{
        uint32_t i = s->queue_first;

        if (s->result.n_queued == 0 || s->n_idle == 0)
                return;
        s->queue_first = w->visits[i].next;
        s->result.n_queued--;
        begin(w, i);
}

/* A visit's end reaches whoever waits for it. Return: the caller, if that was the last answer due; NOBODY. */
static uint32_t answer(struct workload *w, uint32_t i)
{
        struct visit v = w->visits[i];
        struct visit *caller;

        release(w, i);
        if (v.is_request)
                note_request(w, &w->paths[w->nodes[v.node].path], v.arrived_usec, v.has_failed);
        if (v.caller == NOBODY || w->visits[v.caller].generation != v.caller_generation)
                return NOBODY;
        caller = &w->visits[v.caller];
        caller->has_failed |= v.has_failed;
        return --caller->n_answers_due == 0 ? v.caller : NOBODY;
}

/* Everything is done that a visit has to do, and so it may be with its caller. */
static void complete(struct workload *w, uint32_t i)
{
        while (i != NOBODY) {
                struct service *s = service_of(w, &w->visits[i]);

                s->n_idle++;
                s->result.n_served++;
                i = answer(w, i);
                serve_next(w, s);
        }
}

/* The CPU work of a visit is done: its calls go out. */
static void call_others(struct workload *w, uint32_t i)
{
        struct visit *v = &w->visits[i];
        const struct node *node = &w->nodes[v->node];
        struct random r;

        v->state = VISIT_WAITING;
        v->n_answers_due = 1;           /* ours, so that it cannot be over before all calls are out */
        if (node->n_calls > 0)
                random_init(&r, v->identity ^ SALT_CALLS);
        for (uint32_t k = 0; k < node->n_calls; k++) {
                const struct call *c = &w->calls[node->i_call + k];
                bool is_made = draw(&r) < c->probability;
                struct visit callee = {
                        .node = c->callee,
                        .caller = c->is_async ? NOBODY : i,
                        .caller_generation = v->generation,
                        .identity = random_next(&r),
                };

                if (!is_made)
                        continue;
                if (!arrive(w, &callee))
                        v->has_failed |= !c->is_async;
                else
                        v->n_answers_due += !c->is_async;
        }
        if (--v->n_answers_due == 0)
                complete(w, i);
}

/* ---- services ----------------------------------------------------------------------------------- */

static void open_service(struct workload *w, size_t i)
{
        struct service *s = &w->services[i];

        s->is_up = true;
        s->n_idle = s->spec.n_threads;
}

static void start_threads(struct workload *w, size_t i)
{
        struct service *s = &w->services[i];

        for (unsigned k = 0; k < s->spec.n_hogs; k++)
                (void)plant_start(w->plant, s->spec.group, INFINITY, (uint32_t)(w->n_visits + i));
}

void workload_start(struct workload *w, size_t service)
{
        struct service *s = &w->services[service];

        if (s->is_up)
                return;
        start_threads(w, service);
        if (s->spec.start_work_usec > 0)
                (void)plant_start(w->plant, s->spec.group, s->spec.start_work_usec,
                                  (uint32_t)(w->n_visits + service));
        else
                open_service(w, service);
}

void workload_stop(struct workload *w, size_t service)
{
        struct service *s = &w->services[service];

        s->is_up = false;
        s->n_idle = 0;
        s->result.n_queued = 0;
        plant_restart(w->plant, s->spec.group);
        /* Callers are other services: no path comes by the same one twice. */
        for (size_t i = 0; i < w->n_visits; i++) {
                struct visit *v = &w->visits[i];

                if (v->state == VISIT_FREE || service_of(w, v) != s)
                        continue;
                v->has_failed = true;
                s->result.n_rejected++;
                complete(w, answer(w, (uint32_t)i));
        }
}

/* ---- the clock ---------------------------------------------------------------------------------- */

static void end_work(struct workload *w, uint32_t tag)
{
        if (tag < w->n_visits)
                call_others(w, tag);
        else
                open_service(w, tag - w->n_visits);
}

static void request(struct workload *w, size_t i_path)
{
        struct path *p = &w->paths[i_path];
        double now_usec = plant_now_usec(w->plant);
        struct visit first = {
                .node = p->entry,
                .caller = NOBODY,
                .is_request = true,
                .arrived_usec = now_usec,
                .identity = random_next(&p->random),
        };

        judge_seconds(p, now_usec);
        p->n_open++;
        p->result.n_arrived++;
        if (!arrive(w, &first))
                note_request(w, p, now_usec, true);
        earliest_set(&w->arrivals, i_path, next_arrival(p, now_usec));
}

void workload_run(struct workload *w, double until_usec)
{
        for (;;) {
                size_t i = earliest_first(&w->arrivals);
                double at_usec = w->arrivals.at_usec[i];
                uint32_t tag;

                if (plant_advance(w->plant, fmin(at_usec, until_usec), &tag))
                        end_work(w, tag);
                else if (at_usec <= until_usec)
                        request(w, i);
                else
                        return;
        }
}

void workload_forget(struct workload *w)
{
        w->counted_from_usec = plant_now_usec(w->plant);
        for (size_t i = 0; i < w->n_paths; i++) {
                struct path *p = &w->paths[i];

                judge_seconds(p, w->counted_from_usec);
                memset(&p->result, 0, sizeof p->result);
                p->n_second = p->n_late_second = 0;
        }
        for (size_t i = 0; i < w->n_services; i++)
                w->services[i].result.n_served = w->services[i].result.n_rejected = 0;
}

const struct workload_result *workload_result(struct workload *w, size_t path)
{
        judge_seconds(&w->paths[path], plant_now_usec(w->plant));
        return &w->paths[path].result;
}

void workload_service_result(const struct workload *w, size_t service, struct workload_service_result *ret)
{
        *ret = w->services[service].result;
}

/* ---- construction --------------------------------------------------------------------------------- */

unsigned workload_threads(const struct workload_service *s)
{
        return s->n_threads + s->n_hogs + (s->start_work_usec > 0);
}

static bool ramps_are_valid(const struct workload_ramp ramps[], size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!(ramps[i].factor >= 0) || isinf(ramps[i].factor) || !(ramps[i].over_usec >= 0) ||
                    isnan(ramps[i].from_usec) || isnan(ramps[i].until_usec))
                        return false;
        return true;
}

static bool spec_is_valid(const struct workload_spec *spec)
{
        for (size_t i = 0; i < spec->n_services; i++) {
                const struct workload_service *s = &spec->services[i];

                if (!(s->work_usec > 0) || isinf(s->work_usec) || (unsigned)s->shape >= _WORK_SHAPE_MAX ||
                    !(s->work_variation >= 0) || isinf(s->work_variation) || !(s->start_work_usec >= 0) ||
                    isinf(s->start_work_usec) || s->n_threads == 0 || !ramps_are_valid(s->ramps, s->n_ramps))
                        return false;
        }
        for (size_t i = 0; i < spec->n_paths; i++) {
                const struct workload_path *p = &spec->paths[i];

                if (p->entry >= spec->n_services || p->n_rates == 0 || !(p->target_usec > 0) ||
                    !ramps_are_valid(p->ramps, p->n_ramps))
                        return false;
                for (size_t k = 0; k < p->n_rates; k++)
                        if (!(p->rates_per_sec[k] >= 0) || isinf(p->rates_per_sec[k]))
                                return false;
                for (size_t k = 0; k < p->n_calls; k++)
                        if (p->calls[k].caller >= spec->n_services || p->calls[k].callee >= spec->n_services ||
                            !(p->calls[k].probability >= 0) || p->calls[k].probability > 1)
                                return false;
        }
        return true;
}

static int allocate(struct workload *w, const struct workload_spec *spec)
{
        size_t n_calls = 0, n_ramps = 0, n_rates = 0, n_leaves = earliest_leaves(spec->n_paths);

        w->n_services = spec->n_services;
        w->n_paths = spec->n_paths;
        for (size_t i = 0; i < spec->n_services; i++) {
                w->n_visits += (size_t)spec->services[i].n_threads + spec->services[i].n_queued_max;
                n_ramps += spec->services[i].n_ramps;
        }
        for (size_t i = 0; i < spec->n_paths; i++) {
                n_calls += spec->paths[i].n_calls;
                n_ramps += spec->paths[i].n_ramps;
                n_rates += spec->paths[i].n_rates;
        }
        if (w->n_visits + w->n_services >= NOBODY)
                return -EINVAL;
        w->services = calloc(w->n_services + 1, sizeof *w->services);
        w->paths = calloc(w->n_paths + 1, sizeof *w->paths);
        w->nodes = calloc(n_calls + w->n_paths + 1, sizeof *w->nodes);
        w->calls = calloc(n_calls + 1, sizeof *w->calls);
        w->visits = calloc(w->n_visits + 1, sizeof *w->visits);
        w->arrival_usec = calloc(n_leaves, sizeof *w->arrival_usec);
        w->winner = calloc(2 * n_leaves, sizeof *w->winner);
        w->ramps = calloc(n_ramps + 1, sizeof *w->ramps);
        w->rates = calloc(n_rates + 1, sizeof *w->rates);
        if (!w->services || !w->paths || !w->nodes || !w->calls || !w->visits || !w->arrival_usec || !w->winner ||
            !w->ramps || !w->rates)
                return -ENOMEM;
        earliest_init(&w->arrivals, w->arrival_usec, w->winner, w->n_paths);
        for (size_t i = 0; i < w->n_visits; i++)
                w->visits[i].next = i + 1 < w->n_visits ? (uint32_t)(i + 1) : NOBODY;
        return 0;
}

/* The node of a service on a path; made if there is none yet. */
static size_t node_for(struct workload *w, size_t first, size_t *n_nodes, uint32_t path, size_t service)
{
        for (size_t i = first; i < *n_nodes; i++)
                if (w->nodes[i].service == service)
                        return i;
        w->nodes[*n_nodes] = (struct node){ .service = (uint32_t)service, .path = path };
        return (*n_nodes)++;
}

/* Each callee is one deeper than its callers; that ends only if nobody calls itself over others. */
static bool has_circle(struct workload *w, size_t first, size_t n_nodes)
{
        bool is_deeper = true;

        for (size_t round = first; is_deeper && round <= n_nodes; round++) {
                is_deeper = false;
                for (size_t i = first; i < n_nodes; i++)
                        for (uint32_t c = 0; c < w->nodes[i].n_calls; c++) {
                                struct node *callee = &w->nodes[w->calls[w->nodes[i].i_call + c].callee];

                                if (callee->depth > w->nodes[i].depth)
                                        continue;
                                callee->depth = w->nodes[i].depth + 1;
                                is_deeper = true;
                        }
        }
        return is_deeper;
}

/* What the entry of a path reaches. Return: 0; -ELOOP. */
static int lay_path(struct workload *w, uint32_t path, const struct workload_path *spec, size_t *n_nodes,
                    size_t *n_calls)
{
        size_t first = *n_nodes;

        w->paths[path].entry = (uint32_t)node_for(w, first, n_nodes, path, spec->entry);
        for (size_t i = first; i < *n_nodes; i++) {
                w->nodes[i].i_call = (uint32_t)*n_calls;
                for (size_t k = 0; k < spec->n_calls; k++) {
                        const struct workload_call *c = &spec->calls[k];

                        if (c->caller != w->nodes[i].service)
                                continue;
                        w->calls[(*n_calls)++] = (struct call){
                                (uint32_t)node_for(w, first, n_nodes, path, c->callee), c->probability, c->is_async
                        };
                        w->nodes[i].n_calls++;
                }
        }
        return has_circle(w, first, *n_nodes) ? -ELOOP : 0;
}

static void copy_ramps(struct workload_ramp **to, const struct workload_ramp **ramps, size_t n)
{
        if (n > 0)
                memcpy(*to, *ramps, n * sizeof **ramps);
        *ramps = *to;
        *to += n;
}

static int set_up(struct workload *w, const struct workload_spec *spec, uint64_t seed)
{
        struct workload_ramp *ramps = w->ramps;
        double *rates = w->rates;
        size_t n_nodes = 0, n_calls = 0;
        struct random seeds;

        random_init(&seeds, seed);
        for (size_t i = 0; i < w->n_services; i++) {
                struct service *s = &w->services[i];
                double spread = log1p(spec->services[i].work_variation * spec->services[i].work_variation);

                s->spec = spec->services[i];
                s->log_mean = log(s->spec.work_usec) - spread / 2;
                s->log_deviation = sqrt(spread);
                copy_ramps(&ramps, &s->spec.ramps, s->spec.n_ramps);
                start_threads(w, i);
                open_service(w, i);
        }
        for (size_t i = 0; i < w->n_paths; i++) {
                struct path *p = &w->paths[i];
                int r;

                p->spec = spec->paths[i];
                r = lay_path(w, (uint32_t)i, &spec->paths[i], &n_nodes, &n_calls);
                if (r < 0)
                        return r;
                memcpy(rates, p->spec.rates_per_sec, p->spec.n_rates * sizeof *rates);
                p->spec.rates_per_sec = rates;
                rates += p->spec.n_rates;
                copy_ramps(&ramps, &p->spec.ramps, p->spec.n_ramps);
                random_init(&p->random, random_next(&seeds));
                earliest_set(&w->arrivals, i, next_arrival(p, plant_now_usec(w->plant)));
        }
        return 0;
}

int workload_new(const struct workload_spec *spec, struct plant *plant, uint64_t seed, struct workload **ret)
{
        int r;

        if (!spec_is_valid(spec))
                return -EINVAL;
        struct workload *w = calloc(1, sizeof *w);
        if (!w)
                return -ENOMEM;
        w->plant = plant;
        r = allocate(w, spec);
        if (r >= 0)
                r = set_up(w, spec, seed);
        if (r < 0) {
                workload_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

struct workload *workload_free(struct workload *w)
{
        if (!w)
                return NULL;
        free(w->services);
        free(w->paths);
        free(w->nodes);
        free(w->calls);
        free(w->visits);
        free(w->arrival_usec);
        free(w->winner);
        free(w->ramps);
        free(w->rates);
        free(w);
        return NULL;
}
