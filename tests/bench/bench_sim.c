/* SPDX-License-Identifier: MIT */

/* How fast a host is simulated, and how that grows with the number of services. A table, no verdict:
 * times belong to the machine that measured them. Run on one core.
 *
 *      make bench */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sim/workload.h"

#define N_MAX 512
#define CHAIN 4                         /* services that a request passes, one calling the next */
#define CPUS_PER_SERVICE 0.16           /* what each works */
#define WORK_USEC 2000.0

static struct {
        struct plant_group groups[N_MAX];
        struct workload_service services[N_MAX];
        struct workload_call calls[N_MAX];
        struct workload_path paths[N_MAX];
        double rate_per_sec;
} b;

/* Chains of services with thread pools; every second one under a ceiling of twice what it works. */
static void prepare(size_t n, struct workload_spec *ret)
{
        size_t n_paths = 0;

        b.rate_per_sec = CPUS_PER_SERVICE / WORK_USEC * 1e6;
        for (size_t i = 0; i < n; i++) {
                b.services[i] = (struct workload_service){ .group = i, .n_threads = 16, .n_queued_max = 256,
                                                           .work_usec = WORK_USEC, .shape = WORK_LOGNORMAL,
                                                           .work_variation = 1.5 };
                b.groups[i] = (struct plant_group){
                        .parent = PLANT_ROOT,
                        .n_threads_max = 16,
                        .weight = 100,
                        .quota_usec = i % 2 ? 2 * CPUS_PER_SERVICE * PLANT_PERIOD_USEC : INFINITY,
                        .phase_usec = (double)(i * 7919 % 100000),
                };
                if (i % CHAIN == 0)
                        b.paths[n_paths++] = (struct workload_path){ .entry = i, .calls = &b.calls[i],
                                                                     .rates_per_sec = &b.rate_per_sec, .n_rates = 1,
                                                                     .target_usec = 100e3 };
                else
                        b.paths[n_paths - 1].n_calls++;
                if (i + 1 < n)
                        b.calls[i] = (struct workload_call){ i, i + 1, 1, false };
        }
        *ret = (struct workload_spec){ b.services, n, b.paths, n_paths };
}

static double now_sec(void)
{
        struct timespec t;

        if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) < 0)
                exit(EXIT_FAILURE);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* @busy: of the CPUs, if all is served. */
static void measure(size_t n, double busy, double slowdown)
{
        struct plant_host host = { .slowdown = slowdown, .slowdown_from = 0.7 };
        double simulated_sec = 20, start_sec, took_sec, n_visits = 0;
        struct workload_spec spec;
        struct workload *w;
        struct plant *p;

        host.n_cpus = (unsigned)ceil((double)n * CPUS_PER_SERVICE / busy);
        prepare(n, &spec);
        if (plant_new(&host, b.groups, n, &p) < 0 || workload_new(&spec, p, 1, &w) < 0)
                exit(EXIT_FAILURE);
        workload_run(w, 10e6);
        workload_forget(w);
        start_sec = now_sec();
        do {
                for (double end_usec = plant_now_usec(p) + simulated_sec * 1e6; plant_now_usec(p) < end_usec;) {
                        struct plant_counters c;

                        workload_run(w, plant_now_usec(p) + 1e6);
                        for (size_t i = 0; i < n; i++)
                                plant_read(p, i, &c);
                }
                took_sec = now_sec() - start_sec;
        } while (took_sec < 0.5);
        simulated_sec = plant_now_usec(p) / 1e6 - 10;
        for (size_t i = 0; i < n; i++) {
                struct workload_service_result r;

                workload_service_result(w, i, &r);
                n_visits += (double)r.n_served;
        }
        printf("%8zu %5u %5.0f%% %5g %10.0f %14.0f %12.2f\n", n, host.n_cpus, busy * 100, slowdown,
               n_visits / simulated_sec, simulated_sec / took_sec, took_sec / n_visits * 1e6);
        workload_free(w);
        plant_free(p);
}

int main(void)
{
        static const size_t sizes[] = { 1, 25, 64, 512 };
        static const struct {
                double busy, slowdown;
        } loads[] = { { 0.6, 0 }, { 0.6, 0.5 }, { 0.95, 0 }, { 1.2, 0 } };

        printf("%8s %5s %6s %5s %10s %14s %12s\n", "services", "CPUs", "load", "beta", "visits/s", "simulated s/s",
               "us a visit");
        for (size_t k = 0; k < sizeof loads / sizeof *loads; k++)
                for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
                        measure(sizes[i], loads[k].busy, loads[k].slowdown);
        return EXIT_SUCCESS;
}
