/* SPDX-License-Identifier: MIT */
/*
 * load - an open loop of HTTP requests
 *
 * Requests arrive by a Poisson process whether or not earlier ones are answered, and a latency
 * counts from the moment a request was due: a generator that waits for answers would stop asking
 * just when the service is slow, and would not see what customers see. The arrivals depend on the
 * seed alone, so that two settings can be compared under the same arrivals.
 *
 * It is in C because under emulation a generator in a scripting language costs more CPU than what
 * it measures.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define USEC_PER_SEC UINT64_C(1000000)
#define NSEC_PER_USEC UINT64_C(1000)
#define REPORT_EVERY_USEC USEC_PER_SEC

/* Requests in flight beyond which new ones fail at once: far above what a healthy service needs,
 * below the default limit of 1024 descriptors. */
#define IN_FLIGHT_MAX 900

struct request {
        uint64_t due_usec;
        int fd;                 /* -1: slot is free */
        bool is_sent;
        bool is_ok;             /* the first bytes said 200 */
        bool has_status;
};

struct latencies {
        uint32_t *usec;
        size_t n;
        size_t n_allocated;
};

struct options {
        double rate_per_sec;
        uint64_t duration_usec;         /* 0: until a signal */
        uint64_t timeout_usec;
        uint64_t seed;
        const char *path;
        const char *samples_path;
        uint16_t port;
};

static volatile sig_atomic_t is_stopping;

static void stop(int signal_number) {
        is_stopping = 1;
}

static uint64_t clock_usec(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / NSEC_PER_USEC;
}

/* splitmix64: small, and the same everywhere. */
static uint64_t random_bits(uint64_t *state) {
        uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return z ^ (z >> 31);
}

static uint64_t random_gap_usec(uint64_t *state, double rate_per_sec) {
        double uniform = ((double) (random_bits(state) >> 11) + 0.5) / 9007199254740992.0; /* 2^53 */

        return (uint64_t) (-log(uniform) / rate_per_sec * (double) USEC_PER_SEC);
}

static void keep(struct latencies *latencies, uint64_t latency_usec) {
        if (latencies->n == latencies->n_allocated) {
                size_t n = latencies->n_allocated == 0 ? 4096 : latencies->n_allocated * 2;
                uint32_t *usec = reallocarray(latencies->usec, n, sizeof *usec);

                if (usec == NULL) {
                        perror("load");
                        exit(1);
                }
                latencies->usec = usec;
                latencies->n_allocated = n;
        }
        latencies->usec[latencies->n++] =
                latency_usec > UINT32_MAX ? UINT32_MAX : (uint32_t) latency_usec;
}

static int compare_usec(const void *a, const void *b) {
        uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

        return (x > y) - (x < y);
}

/* The smallest latency that at least this share of the requests did not exceed; sorted input. */
static double percentile_ms(const uint32_t *usec, size_t n, double share) {
        size_t rank = (size_t) ceil(share * (double) n);

        return n == 0 ? 0.0 : usec[rank == 0 ? 0 : rank - 1] / 1000.0;
}

static void report(const char *what, const uint32_t *usec, size_t n, uint64_t n_failed,
                   uint64_t span_usec) {
        uint32_t *sorted = n == 0 ? NULL : reallocarray(NULL, n, sizeof *sorted);

        if (n > 0 && sorted == NULL) {
                perror("load");
                exit(1);
        }
        if (n > 0) {
                memcpy(sorted, usec, n * sizeof *sorted);
                qsort(sorted, n, sizeof *sorted, compare_usec);
        }
        printf("%s requests=%zu failed=%" PRIu64 " rate=%.1f p50_ms=%.1f p90_ms=%.1f p95_ms=%.1f "
               "p99_ms=%.1f max_ms=%.1f\n", what, n, n_failed,
               span_usec == 0 ? 0.0 : (double) n * (double) USEC_PER_SEC / (double) span_usec,
               percentile_ms(sorted, n, 0.50), percentile_ms(sorted, n, 0.90),
               percentile_ms(sorted, n, 0.95), percentile_ms(sorted, n, 0.99),
               percentile_ms(sorted, n, 1.00));
        (void) fflush(stdout);
        free(sorted);
}

static int write_samples(const char *path, const struct latencies *latencies) {
        FILE *file = fopen(path, "we");

        if (file == NULL)
                return -errno;
        for (size_t i = 0; i < latencies->n; i++)
                fprintf(file, "%" PRIu32 "\n", latencies->usec[i]);
        return fclose(file) == 0 ? 0 : -errno;
}

/* Returns a descriptor of a connection on its way, or a negative errno. */
static int begin(int epoll_fd, uint16_t port, size_t slot) {
        struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_port = htons(port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        struct epoll_event event = { .events = EPOLLOUT, .data.u64 = slot };
        int fd, r;

        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if ((connect(fd, (struct sockaddr *) &address, sizeof address) < 0 && errno != EINPROGRESS) ||
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
                r = -errno;
                (void) close(fd);
                return r;
        }
        return fd;
}

static bool send_request(int epoll_fd, struct request *request, size_t slot, const char *path) {
        struct epoll_event event = { .events = EPOLLIN, .data.u64 = slot };
        char text[512];
        int n;

        n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: shop\r\nAccept-Encoding: gzip\r\n"
                     "Connection: close\r\n\r\n", path);
        request->is_sent = true;
        return send(request->fd, text, (size_t) n, MSG_NOSIGNAL) == n &&
               epoll_ctl(epoll_fd, EPOLL_CTL_MOD, request->fd, &event) == 0;
}

enum answer { ANSWER_INCOMPLETE, ANSWER_OK, ANSWER_FAILED };

/* The server closes when it has answered; a status line that is torn in two counts as failed, which
 * servers that write it at once never show. */
static enum answer receive(struct request *request) {
        char text[16384];
        ssize_t n;

        for (;;) {
                n = recv(request->fd, text, sizeof text, 0);
                if (n < 0)
                        return errno == EAGAIN ? ANSWER_INCOMPLETE : ANSWER_FAILED;
                if (n == 0)
                        return request->is_ok ? ANSWER_OK : ANSWER_FAILED;
                if (!request->has_status) {
                        request->has_status = true;
                        request->is_ok = n >= 12 && memcmp(text + 8, " 200", 4) == 0;
                }
        }
}

static void run(const struct options *options) {
        static struct request requests[IN_FLIGHT_MAX];
        struct latencies latencies = { 0 };
        size_t free_slots[IN_FLIGHT_MAX], n_free = IN_FLIGHT_MAX, n_reported = 0;
        uint64_t random_state = options->seed, n_failed = 0, n_failed_reported = 0;
        uint64_t start_usec = clock_usec(), now_usec = start_usec, due_usec, report_usec, end_usec;
        int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

        if (epoll_fd < 0) {
                perror("load: epoll");
                exit(1);
        }
        for (size_t i = 0; i < IN_FLIGHT_MAX; i++) {
                requests[i].fd = -1;
                free_slots[i] = IN_FLIGHT_MAX - 1 - i;
        }
        due_usec = start_usec + random_gap_usec(&random_state, options->rate_per_sec);
        report_usec = start_usec + REPORT_EVERY_USEC;
        end_usec = options->duration_usec == 0 ? UINT64_MAX : start_usec + options->duration_usec;

        while (!is_stopping && (now_usec < end_usec || n_free < IN_FLIGHT_MAX)) {
                struct epoll_event events[64];
                uint64_t next_usec = due_usec < end_usec && due_usec < report_usec ? due_usec : report_usec;
                struct timespec wait = { 0 };
                int n_events;

                if (next_usec > now_usec)
                        wait = (struct timespec) {
                                .tv_sec = (time_t) ((next_usec - now_usec) / USEC_PER_SEC),
                                .tv_nsec = (long) ((next_usec - now_usec) % USEC_PER_SEC * NSEC_PER_USEC),
                        };
                n_events = epoll_pwait2(epoll_fd, events, 64, &wait, NULL);
                now_usec = clock_usec();

                for (int i = 0; i < n_events; i++) {
                        size_t slot = (size_t) events[i].data.u64;
                        struct request *request = &requests[slot];
                        enum answer answer;

                        if (request->is_sent)
                                answer = receive(request);
                        else
                                answer = send_request(epoll_fd, request, slot, options->path) ?
                                        ANSWER_INCOMPLETE : ANSWER_FAILED;
                        if (answer == ANSWER_INCOMPLETE)
                                continue;
                        if (answer == ANSWER_OK)
                                keep(&latencies, now_usec - request->due_usec);
                        else
                                n_failed++;
                        (void) close(request->fd);
                        request->fd = -1;
                        free_slots[n_free++] = slot;
                }

                for (; due_usec <= now_usec && due_usec < end_usec;
                     due_usec += random_gap_usec(&random_state, options->rate_per_sec)) {
                        size_t slot;
                        int fd;

                        if (n_free == 0) {
                                n_failed++;
                                continue;
                        }
                        slot = free_slots[n_free - 1];
                        fd = begin(epoll_fd, options->port, slot);
                        if (fd < 0) {
                                n_failed++;
                                continue;
                        }
                        n_free--;
                        requests[slot] = (struct request) { .due_usec = due_usec, .fd = fd };
                }

                if (now_usec >= report_usec) {
                        /* Late answers are looked for once a second: a timeout needs no more. */
                        for (size_t i = 0; i < IN_FLIGHT_MAX; i++)
                                if (requests[i].fd >= 0 &&
                                    now_usec - requests[i].due_usec > options->timeout_usec) {
                                        (void) close(requests[i].fd);
                                        requests[i].fd = -1;
                                        free_slots[n_free++] = i;
                                        n_failed++;
                                }
                        report("second", latencies.usec + n_reported, latencies.n - n_reported,
                               n_failed - n_failed_reported, REPORT_EVERY_USEC);
                        n_reported = latencies.n;
                        n_failed_reported = n_failed;
                        while (report_usec <= now_usec)
                                report_usec += REPORT_EVERY_USEC;
                }
        }

        report("total", latencies.usec, latencies.n, n_failed, now_usec - start_usec);
        if (options->samples_path != NULL) {
                int r = write_samples(options->samples_path, &latencies);

                if (r < 0) {
                        fprintf(stderr, "load: %s: %s\n", options->samples_path, strerror(-r));
                        exit(1);
                }
        }
        free(latencies.usec);
        (void) close(epoll_fd);
}

static void usage(FILE *file) {
        fputs("usage: load [--rate PER_SEC] [--seconds N] [--timeout SEC] [--seed N] [--port N]\n"
              "            [--samples FILE] [PATH]\n"
              "\n"
              "Asks http://127.0.0.1:PORT/PATH (80, /shop) until the time is over or a SIGTERM comes. Prints a\n"
              "line \"second ...\" every second and \"total ...\" at the end; --samples writes each latency in\n"
              "microseconds, in order of completion.\n", file);
}

int main(int argc, char *argv[]) {
        static const struct option long_options[] = {
                { "rate", required_argument, NULL, 'r' },
                { "seconds", required_argument, NULL, 's' },
                { "timeout", required_argument, NULL, 't' },
                { "seed", required_argument, NULL, 'S' },
                { "port", required_argument, NULL, 'p' },
                { "samples", required_argument, NULL, 'o' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        struct options options = {
                .rate_per_sec = 20.0, .timeout_usec = 30 * USEC_PER_SEC, .seed = 1, .path = "/shop",
                .port = 80,
        };
        int option;

        while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
                switch (option) {
                case 'r': options.rate_per_sec = strtod(optarg, NULL); break;
                case 's': options.duration_usec = strtoull(optarg, NULL, 10) * USEC_PER_SEC; break;
                case 't': options.timeout_usec = strtoull(optarg, NULL, 10) * USEC_PER_SEC; break;
                case 'S': options.seed = strtoull(optarg, NULL, 10); break;
                case 'p': options.port = (uint16_t) strtoul(optarg, NULL, 10); break;
                case 'o': options.samples_path = optarg; break;
                case 'h': usage(stdout); return 0;
                default: usage(stderr); return 2;
                }
        if (optind < argc)
                options.path = argv[optind++];
        if (optind < argc || !(options.rate_per_sec > 0.0) || strlen(options.path) > 256) {
                usage(stderr);
                return 2;
        }
        (void) signal(SIGTERM, stop);
        (void) signal(SIGINT, stop);
        run(&options);
        return 0;
}
