/* SPDX-License-Identifier: MIT */
/*
 * watcher - the largest sum of CPU quotas that ever held at one instant
 *
 * Usage: watcher [--pause-usec N] CGROUP...     (paths below /sys/fs/cgroup)
 *
 * Reads cpu.max of all given cgroups round after round until SIGTERM or SIGINT, then prints one line
 * of key=value pairs:
 *
 *   rounds             rounds read
 *   settled            rounds that equalled the one before them
 *   limited            settled rounds in which every cgroup had a quota
 *   max_sum_usec       largest sum of quotas in a settled round, in microseconds of CPU per second
 *   max_limited_usec   the same, of rounds in which every cgroup had a quota
 *   max_unlimited      most cgroups that had no quota in one settled round
 *   missing            reads that found no file (the unit is stopped or its controller off)
 *
 * A round is not atomic: a reader that meets one quota before it shrinks and the next after it grew
 * would report a sum that never was. Where two rounds in a row read the same, all those values held
 * together in the moment between the two; only such rounds are judged.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CGROUPS_MAX 256
#define USEC_PER_SEC UINT64_C(1000000)

/* Values beside quotas; neither counts in a sum. */
#define UNLIMITED UINT64_MAX
#define MISSING (UINT64_MAX - 1)

struct cgroup {
        char path[PATH_MAX];
        int fd;
};

static volatile sig_atomic_t is_stopping;

static void stop(int signal_number) {
        is_stopping = 1;
}

/* In microseconds per second, rounded up: a quota may not look smaller than it is. */
static uint64_t parse_quota(const char *text) {
        uint64_t quota_usec, period_usec;

        if (strncmp(text, "max", 3) == 0)
                return UNLIMITED;
        if (sscanf(text, "%" SCNu64 " %" SCNu64, &quota_usec, &period_usec) != 2 || period_usec == 0)
                return MISSING;
        return (quota_usec * USEC_PER_SEC + period_usec - 1) / period_usec;
}

/* A descriptor outlives neither its cgroup nor a switch of the controller: it is opened anew then. */
static uint64_t read_quota(struct cgroup *cgroup) {
        char text[64];
        ssize_t n;

        for (int attempt = 0; attempt < 2; attempt++) {
                if (cgroup->fd < 0)
                        cgroup->fd = open(cgroup->path, O_RDONLY | O_CLOEXEC);
                if (cgroup->fd < 0)
                        return MISSING;
                n = pread(cgroup->fd, text, sizeof text - 1, 0);
                if (n > 0) {
                        text[n] = '\0';
                        return parse_quota(text);
                }
                (void) close(cgroup->fd);
                cgroup->fd = -1;
        }
        return MISSING;
}

int main(int argc, char *argv[]) {
        static struct cgroup cgroups[CGROUPS_MAX];
        static uint64_t now[CGROUPS_MAX], before[CGROUPS_MAX];
        uint64_t rounds = 0, settled = 0, limited = 0, missing = 0;
        uint64_t max_sum = 0, max_limited = 0, max_unlimited = 0;
        unsigned long pause_usec = 0;
        size_t n_cgroups = 0;
        int i_arg = 1;

        if (argc > 2 && strcmp(argv[1], "--pause-usec") == 0) {
                pause_usec = strtoul(argv[2], NULL, 10);
                i_arg = 3;
        }
        if (i_arg >= argc || argc - i_arg > CGROUPS_MAX) {
                fprintf(stderr, "usage: watcher [--pause-usec N] CGROUP... (1 to %d)\n", CGROUPS_MAX);
                return 2;
        }
        for (; i_arg < argc; i_arg++, n_cgroups++) {
                cgroups[n_cgroups].fd = -1;
                if (snprintf(cgroups[n_cgroups].path, PATH_MAX, "/sys/fs/cgroup/%s/cpu.max",
                             argv[i_arg]) >= PATH_MAX) {
                        fprintf(stderr, "watcher: %s: %s\n", argv[i_arg], strerror(ENAMETOOLONG));
                        return 1;
                }
        }
        (void) signal(SIGTERM, stop);
        (void) signal(SIGINT, stop);

        for (; !is_stopping; rounds++) {
                uint64_t sum = 0, n_unlimited = 0, n_missing = 0;

                for (size_t i = 0; i < n_cgroups; i++) {
                        now[i] = read_quota(&cgroups[i]);
                        if (now[i] == UNLIMITED)
                                n_unlimited++;
                        else if (now[i] == MISSING)
                                n_missing++;
                        else
                                sum += now[i];
                }
                missing += n_missing;
                if (rounds > 0 && memcmp(now, before, n_cgroups * sizeof now[0]) == 0) {
                        settled++;
                        if (sum > max_sum)
                                max_sum = sum;
                        if (n_unlimited > max_unlimited)
                                max_unlimited = n_unlimited;
                        if (n_unlimited == 0 && n_missing == 0) {
                                limited++;
                                if (sum > max_limited)
                                        max_limited = sum;
                        }
                }
                memcpy(before, now, n_cgroups * sizeof now[0]);
                if (pause_usec > 0)
                        (void) usleep((useconds_t) pause_usec);
        }

        printf("rounds=%" PRIu64 " settled=%" PRIu64 " limited=%" PRIu64 " max_sum_usec=%" PRIu64
               " max_limited_usec=%" PRIu64 " max_unlimited=%" PRIu64 " missing=%" PRIu64 "\n",
               rounds, settled, limited, max_sum, max_limited, max_unlimited, missing);
        return 0;
}
