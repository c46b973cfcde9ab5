/* SPDX-License-Identifier: MIT */
/*
 * captain - the per-service controller of Autothrottle, to be compared with
 *
 * Wang et al., NSDI 2024, and worker-daemon.py of their repository (microsoft/autothrottle at
 * d237d7f): every tick of 100 ms it notes whether the service was throttled and what it used; every
 * second it raises the quota where throttling exceeded three times the target, and otherwise lowers it
 * to what was used lately plus a margin that grows with the throttling it caused; a quota that was
 * lowered too far is taken back, and more, at the next tick. The original read cgroup v1; the names of
 * the files are the only difference. It writes cpu.max itself and knows nothing of other services.
 *
 *   captain --target 0.1 CGROUP...      folders below /sys/fs/cgroup with a cpu.max
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"

#define TICK_NSEC (NSEC_PER_SEC / 10)
#define PERIOD_USEC 100000.0

/* Their constants: N, M, alpha, beta_max, beta_min, initial margin, floor and dead band in cores. */
#define DECISION_TICKS 10
#define USAGE_TICKS 50
#define ALPHA 3.0
#define BETA_MAX 0.9
#define BETA_MIN 0.5
#define MARGIN_START 3.0
#define QUOTA_MIN_CORES 0.01
#define CHANGE_MIN_CORES 1e-5
#define QUOTA_MAX_CORES 1024.0  /* only so that cpu.max takes it */

struct service {
        char path[512];
        double quota_cores, quota_before_cores, quota_written_cores;
        double margin;
        bool was_throttled[DECISION_TICKS];
        double used_cores[USAGE_TICKS];
        bool was_lowered;
        uint64_t used_usec, n_throttled;
};

static void die(const char *path, const char *file) {
        fprintf(stderr, "captain: %s/%s: %s\n", path, file, strerror(errno));
        exit(1);
}

static void write_quota(struct service *service) {
        char path[600], text[64];
        int fd, n;

        if (fabs(service->quota_cores - service->quota_written_cores) < CHANGE_MIN_CORES)
                return;
        (void) snprintf(path, sizeof path, "%s/cpu.max", service->path);
        n = snprintf(text, sizeof text, "%.0f %.0f", service->quota_cores * PERIOD_USEC, PERIOD_USEC);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, text, (size_t) n) != n)
                die(service->path, "cpu.max");
        (void) close(fd);
        service->quota_written_cores = service->quota_cores;
}

static void read_counters(const struct service *service, uint64_t *ret_used_usec,
                          uint64_t *ret_n_throttled) {
        char path[600], line[128];
        FILE *file;

        (void) snprintf(path, sizeof path, "%s/cpu.stat", service->path);
        file = fopen(path, "re");
        if (file == NULL)
                die(service->path, "cpu.stat");
        while (fgets(line, sizeof line, file) != NULL) {
                (void) sscanf(line, "usage_usec %" SCNu64, ret_used_usec);
                (void) sscanf(line, "nr_throttled %" SCNu64, ret_n_throttled);
        }
        (void) fclose(file);
}

static double throttled_share(const struct service *service) {
        unsigned n = 0;

        for (unsigned i = 0; i < DECISION_TICKS; i++)
                n += service->was_throttled[i];
        return (double) n / DECISION_TICKS;
}

static void forget_throttling(struct service *service) {
        memset(service->was_throttled, 0, sizeof service->was_throttled);
}

/* The most that was used in the last five seconds, plus the margin in standard deviations. */
static double proposal_cores(const struct service *service) {
        double most = 0.0, sum = 0.0, squares = 0.0, mean;

        for (unsigned i = 0; i < USAGE_TICKS; i++) {
                most = fmax(most, service->used_cores[i]);
                sum += service->used_cores[i];
        }
        mean = sum / USAGE_TICKS;
        for (unsigned i = 0; i < USAGE_TICKS; i++)
                squares += (service->used_cores[i] - mean) * (service->used_cores[i] - mean);
        return most + sqrt(squares / (USAGE_TICKS - 1)) * service->margin;
}

static void tick(struct service *service, uint64_t i_tick, double elapsed_sec, double target) {
        uint64_t used_usec = service->used_usec, n_throttled = service->n_throttled;
        double share;

        read_counters(service, &used_usec, &n_throttled);
        service->was_throttled[i_tick % DECISION_TICKS] = n_throttled > service->n_throttled;
        service->used_cores[i_tick % USAGE_TICKS] =
                (double) (used_usec - service->used_usec) / 1e6 / elapsed_sec;
        service->used_usec = used_usec;
        service->n_throttled = n_throttled;

        share = throttled_share(service);
        if (share > ALPHA * target && service->was_lowered) {
                service->quota_cores = 2.0 * service->quota_before_cores - service->quota_cores;
                service->margin += share - target;
                service->was_lowered = false;
                forget_throttling(service);
        }
        if ((i_tick + 1) % DECISION_TICKS == 0) {
                service->quota_before_cores = service->quota_cores;
                share = throttled_share(service);
                service->margin = fmax(0.0, service->margin + share - target);
                service->was_lowered = false;
                if (share > ALPHA * target)
                        service->quota_cores *= 1.0 + (share - ALPHA * target);
                else {
                        double cores = proposal_cores(service);

                        if (cores <= BETA_MAX * service->quota_cores) {
                                service->quota_cores = fmax(BETA_MIN * service->quota_cores, cores);
                                service->was_lowered = true;
                        }
                }
                forget_throttling(service);
        }
        service->quota_cores = fmin(fmax(service->quota_cores, QUOTA_MIN_CORES), QUOTA_MAX_CORES);
        write_quota(service);
}

int main(int argc, char *argv[]) {
        static const struct option long_options[] = {
                { "target", required_argument, NULL, 't' },
                { 0 },
        };
        double target = 0.1;
        struct timespec next;
        struct service *services;
        int n_services, option;

        while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
                switch (option) {
                case 't': target = strtod(optarg, NULL); break;
                default: return 2;
                }
        n_services = argc - optind;
        if (n_services == 0) {
                fputs("usage: captain [--target SHARE] CGROUP...\n", stderr);
                return 2;
        }
        services = calloc((size_t) n_services, sizeof *services);
        if (services == NULL)
                die("captain", "memory");
        for (int i = 0; i < n_services; i++) {
                struct service *service = &services[i];

                (void) snprintf(service->path, sizeof service->path, "%s", argv[optind + i]);
                service->margin = MARGIN_START;
                service->quota_cores = (double) sysconf(_SC_NPROCESSORS_ONLN);
                write_quota(service);
                read_counters(service, &service->used_usec, &service->n_throttled);
        }
        (void) clock_gettime(CLOCK_MONOTONIC, &next);
        for (uint64_t i_tick = 0;; i_tick++) {
                uint64_t nsec = (uint64_t) next.tv_nsec + TICK_NSEC;

                next.tv_sec += (time_t) (nsec / NSEC_PER_SEC);
                next.tv_nsec = (long) (nsec % NSEC_PER_SEC);
                (void) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
                for (int i = 0; i < n_services; i++)
                        tick(&services[i], i_tick, (double) TICK_NSEC / 1e9, target);
        }
}
