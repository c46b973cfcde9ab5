/* SPDX-License-Identifier: MIT */
/*
 * service - a request service of known cost
 *
 * Requests are datagrams on a unix socket, served first come first served by a pool of threads. Each
 * costs CPU time drawn from an exponential distribution by the request's own number, so that every
 * setting of the host serves the same work; the cost is measured by the thread's CPU clock, so that it
 * does not shrink when the host is busy. With --next the thread then asks the next service and waits
 * for it, as threads of real services do.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lab.h"

struct service {
        const char *next_path;          /* NULL: the last of its chain */
        double mean_usec;
        uint64_t salt;                  /* the same request costs differently at different services */
        uint64_t start_cpu_usec;        /* burnt by each thread before it serves */
        int fd;
};

static void die(const char *what) {
        fprintf(stderr, "service: %s: %s\n", what, strerror(errno));
        exit(1);
}

static uint64_t thread_cpu_nsec(void) {
        struct timespec used;

        (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
        return (uint64_t) used.tv_sec * NSEC_PER_SEC + (uint64_t) used.tv_nsec;
}

static void burn(uint64_t cost_nsec) {
        uint64_t end_nsec = thread_cpu_nsec() + cost_nsec;

        /* Reading the clock is a system call; some hundred steps between two readings keep the work
         * in user space and overshoot by microseconds. */
        do
                for (volatile unsigned i = 0; i < 300; i++)
                        ;
        while (thread_cpu_nsec() < end_nsec);
}

static uint64_t cost_nsec_of(const struct service *service, const struct lab_request *request) {
        uint64_t state = request->identity ^ service->salt;

        return (uint64_t) (lab_exponential(&state, service->mean_usec) * 1000.0);
}

static int connect_to(const char *path) {
        struct sockaddr_un address;
        int fd;

        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                die("socket");
        /* A name of its own, or the answer would find nobody. */
        if (bind(fd, (struct sockaddr *) &(struct sockaddr_un) { .sun_family = AF_UNIX },
                 sizeof(sa_family_t)) < 0)
                die("bind");
        lab_address(path, &address);
        while (connect(fd, (struct sockaddr *) &address, sizeof address) < 0)
                if (errno == ENOENT || errno == ECONNREFUSED)
                        (void) usleep(10000);
                else
                        die(path);
        return fd;
}

/* Answers a request of which nobody knows any more are skipped: that customer has gone. */
static void ask(int fd, const struct lab_request *request) {
        struct lab_request answer;

        if (send(fd, request, sizeof *request, 0) < 0)
                die("send");
        do
                if (recv(fd, &answer, sizeof answer, 0) < 0)
                        die("recv");
        while (answer.identity != request->identity);
}

static void *serve(void *argument) {
        const struct service *service = argument;
        int next_fd;

        if (service->start_cpu_usec > 0)
                burn(service->start_cpu_usec * 1000);
        next_fd = service->next_path == NULL ? -1 : connect_to(service->next_path);
        for (;;) {
                struct sockaddr_un customer;
                socklen_t length = sizeof customer;
                struct lab_request request;

                if (recvfrom(service->fd, &request, sizeof request, 0,
                             (struct sockaddr *) &customer, &length) != sizeof request)
                        continue;
                burn(cost_nsec_of(service, &request));
                if (next_fd >= 0)
                        ask(next_fd, &request);
                /* A customer that has gone is no fault of the service. */
                (void) sendto(service->fd, &request, sizeof request, 0,
                              (struct sockaddr *) &customer, length);
        }
        return NULL;
}

int main(int argc, char *argv[]) {
        static const struct option long_options[] = {
                { "listen", required_argument, NULL, 'l' },
                { "next", required_argument, NULL, 'n' },
                { "threads", required_argument, NULL, 't' },
                { "mean-usec", required_argument, NULL, 'm' },
                { "salt", required_argument, NULL, 's' },
                { "start-cpu-usec", required_argument, NULL, 'u' },
                { 0 },
        };
        struct service service = { .mean_usec = 1000.0 };
        const char *listen_path = NULL;
        unsigned long n_threads = 8;
        struct sockaddr_un address;
        int option;

        while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
                switch (option) {
                case 'l': listen_path = optarg; break;
                case 'n': service.next_path = optarg; break;
                case 't': n_threads = strtoul(optarg, NULL, 10); break;
                case 'm': service.mean_usec = strtod(optarg, NULL); break;
                case 's': service.salt = strtoull(optarg, NULL, 10); break;
                case 'u': service.start_cpu_usec = strtoull(optarg, NULL, 10); break;
                default: return 2;
                }
        if (listen_path == NULL || optind < argc || n_threads == 0) {
                fputs("usage: service --listen PATH [--next PATH] [--threads N] [--mean-usec N]\n"
                      "               [--salt N] [--start-cpu-usec N]\n", stderr);
                return 2;
        }
        service.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (service.fd < 0)
                die("socket");
        (void) unlink(listen_path);
        lab_address(listen_path, &address);
        if (bind(service.fd, (struct sockaddr *) &address, sizeof address) < 0)
                die(listen_path);
        for (unsigned long i = 0; i < n_threads; i++) {
                pthread_t thread;

                errno = pthread_create(&thread, NULL, serve, &service);
                if (errno != 0)
                        die("thread");
        }
        for (;;)
                (void) pause();
}
