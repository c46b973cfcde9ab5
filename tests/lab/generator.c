/* SPDX-License-Identifier: MIT */
/*
 * generator - customers of one or more chains of services, and the record of what they saw
 *
 * Requests arrive by a Poisson process whether or not earlier ones are answered, and a latency counts
 * from the moment a request was due. Arrivals follow from the repetition's number alone, so that
 * settings can be compared request by request. The load runs on between repetitions; each repetition
 * is a window of its own, about which one line of JSON is printed at the end. It runs with real-time
 * priority: a generator that waits for the CPU would measure itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lab.h"

#define PARTIES_MAX 8
#define PHASES_MAX 8
#define REPETITIONS_MAX 64
#define WATCHES_MAX 16
#define CONNECTIONS_MAX 900     /* below the default limit of 1024 descriptors */
#define NO_WINDOW UINT32_MAX

/* A request without an answer after this long is lost; the end waits as long for the last one. */
#define LOST_AFTER_USEC (20 * USEC_PER_SEC)

struct request {
        uint32_t arrival_usec;          /* within the window */
        int32_t latency_usec;           /* -1: no answer */
};

/* What one party saw in one repetition. */
struct record {
        struct request *requests;
        uint32_t n, n_allocated, n_answered;
        uint64_t cpu_usec;
};

struct phase {
        double rate_per_sec;
        uint64_t length_usec;
};

struct party {
        const char *name, *kind, *cgroup, *socket_path, *url_path;
        unsigned weight;
        struct phase phases[PHASES_MAX];
        unsigned n_phases;
        int fd;
        uint64_t random_state, due_usec, cpu_before_usec;
        struct record *records;
};

/* A part of the timetable: the warm-up, a repetition, a pause between two, the end. */
struct segment {
        uint64_t start_usec, end_usec;
        uint32_t i_window;              /* NO_WINDOW: nobody takes notes */
};

struct connection {
        struct party *party;
        uint64_t due_usec;
        uint32_t i_window, i_request;
        int fd;                         /* -1: free */
        bool is_sent, has_status, is_ok;
};

struct watch {
        const char *name, *cgroup;
        char quota[64], weight[32];
        double quota_cores;
        int direction;                  /* of the last change of the quota */
};

static struct {
        struct party parties[PARTIES_MAX];
        unsigned n_parties;
        unsigned repetitions[REPETITIONS_MAX], n_repetitions;
        double warm_sec, gap_sec, mark_sec;
        uint64_t window_usec;
        const char *mark_name, *mark_command, *header, *controller, *manager;
        uint64_t controller_before_usec, manager_before_usec;
        uint64_t controller_usec[REPETITIONS_MAX], manager_usec[REPETITIONS_MAX];
        struct connection connections[CONNECTIONS_MAX];
        int epoll_fd;
} lab = { .warm_sec = 5.0, .gap_sec = 1.0, .mark_sec = -1.0, .header = "" };

/* The watching thread's own; the lock is for what it shares with the printing at the end. */
static struct {
        struct watch watches[WATCHES_MAX];
        unsigned n_watches;
        uint32_t i_window;
        uint64_t window_start_usec;
        unsigned n_writes[REPETITIONS_MAX], n_flips[REPETITIONS_MAX];
        FILE *changes[REPETITIONS_MAX];
        char *changes_text[REPETITIONS_MAX];
        size_t changes_size[REPETITIONS_MAX];
        pthread_mutex_t lock;
} seen = { .i_window = NO_WINDOW, .lock = PTHREAD_MUTEX_INITIALIZER };

static void die(const char *what) {
        fprintf(stderr, "generator: %s: %s\n", what, strerror(errno));
        exit(1);
}

static uint64_t now_usec(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / NSEC_PER_USEC;
}

/* ---- reading cgroups --------------------------------------------------------------------------- */

/* The first line of a file without its end; false where there is none, as without the controller. */
static bool read_line(const char *cgroup, const char *file, char *ret, size_t size) {
        char path[512];
        FILE *stream;
        bool is_read;

        (void) snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", cgroup, file);
        stream = fopen(path, "re");
        if (stream == NULL)
                return false;
        is_read = fgets(ret, (int) size, stream) != NULL;
        (void) fclose(stream);
        if (is_read)
                ret[strcspn(ret, "\n")] = '\0';
        return is_read;
}

/* 0 where there is no such cgroup: a unit that does not run uses nothing. */
static uint64_t cpu_usec_of(const char *cgroup) {
        char line[128];
        uint64_t usec = 0;

        if (cgroup != NULL && read_line(cgroup, "cpu.stat", line, sizeof line))
                (void) sscanf(line, "usage_usec %" SCNu64, &usec);
        return usec;
}

static double cores_of_quota(const char *text) {
        double quota_usec, period_usec;

        return sscanf(text, "%lf %lf", &quota_usec, &period_usec) == 2 && period_usec > 0.0 ?
                quota_usec / period_usec : 1e9;
}

static void note_change(struct watch *watch, const char *quota, const char *weight) {
        double cores = cores_of_quota(quota);
        int direction = (cores > watch->quota_cores) - (cores < watch->quota_cores);
        uint32_t i = seen.i_window;

        if (i != NO_WINDOW) {
                seen.n_writes[i] += strcmp(quota, watch->quota) != 0;
                seen.n_writes[i] += strcmp(weight, watch->weight) != 0;
                seen.n_flips[i] += direction != 0 && watch->direction != 0 && direction != watch->direction;
                fprintf(seen.changes[i], "%s[%.1f,\"%s\",\"%s\",\"%s\"]",
                        ftell(seen.changes[i]) > 0 ? "," : "",
                        (double) (now_usec() - seen.window_start_usec) / 1e6, watch->name, quota, weight);
        }
        if (direction != 0)
                watch->direction = direction;
        watch->quota_cores = cores;
        (void) snprintf(watch->quota, sizeof watch->quota, "%s", quota);
        (void) snprintf(watch->weight, sizeof watch->weight, "%s", weight);
}

/* Whatever the weights say: what is late here is no latency of theirs. Both threads, for they share a lock, and
 * one that is kept from the CPU with the lock in its hand keeps the other from asking. */
static void be_first(void) {
        const struct sched_param priority = { .sched_priority = 50 };

        if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority) < 0)
                die("real-time priority");
}

/* Once a second, as any controller here decides no more often: the changes of limits that took place.
 * At the start of a window everything counts as news of no importance, so that it is on record. */
static void *watch_limits(void *unused) {
        be_first();
        for (;;) {
                (void) pthread_mutex_lock(&seen.lock);
                for (unsigned i = 0; i < seen.n_watches; i++) {
                        struct watch *watch = &seen.watches[i];
                        char quota[64] = "none", weight[32] = "none";

                        (void) read_line(watch->cgroup, "cpu.max", quota, sizeof quota);
                        (void) read_line(watch->cgroup, "cpu.weight", weight, sizeof weight);
                        if (strcmp(quota, watch->quota) != 0 || strcmp(weight, watch->weight) != 0)
                                note_change(watch, quota, weight);
                }
                (void) pthread_mutex_unlock(&seen.lock);
                (void) usleep(USEC_PER_SEC);
        }
        return NULL;
}

/* ---- asking and hearing ------------------------------------------------------------------------ */

/* A function of repetition, party and number alone. */
static uint64_t seed_of(uint32_t i_window, const struct party *party) {
        uint64_t repetition = i_window == NO_WINDOW ? 0 : lab.repetitions[i_window];
        uint64_t state = repetition * 1000003 + (uint64_t) (party - lab.parties);

        return lab_random(&state);
}

static struct request *note_request(struct record *record, uint64_t arrival_usec) {
        if (record->n == record->n_allocated) {
                record->n_allocated = record->n_allocated == 0 ? 1024 : record->n_allocated * 2;
                record->requests = reallocarray(record->requests, record->n_allocated,
                                                sizeof *record->requests);
                if (record->requests == NULL)
                        die("memory");
        }
        record->requests[record->n] = (struct request) {
                .arrival_usec = (uint32_t) arrival_usec, .latency_usec = -1,
        };
        return &record->requests[record->n++];
}

static void note_answer(struct party *party, uint32_t i_window, uint32_t i_request, uint64_t due_usec,
                        uint64_t answered_usec) {
        struct record *record;

        if (i_window >= lab.n_repetitions || answered_usec - due_usec > LOST_AFTER_USEC)
                return;
        record = &party->records[i_window];
        if (i_request < record->n && record->requests[i_request].latency_usec < 0) {
                record->requests[i_request].latency_usec = (int32_t) (answered_usec - due_usec);
                record->n_answered++;
        }
}

static void open_socket(struct party *party) {
        struct sockaddr_un address;
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = party };
        int bytes = 8 << 20;

        party->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        /* Unread requests count against the sender's buffer: the service's queue is to be the limit. */
        if (party->fd < 0 || setsockopt(party->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0 ||
            bind(party->fd, (struct sockaddr *) &(struct sockaddr_un) { .sun_family = AF_UNIX },
                 sizeof(sa_family_t)) < 0)
                die("socket");
        lab_address(party->socket_path, &address);
        if (connect(party->fd, (struct sockaddr *) &address, sizeof address) < 0 ||
            epoll_ctl(lab.epoll_fd, EPOLL_CTL_ADD, party->fd, &event) < 0)
                die(party->socket_path);
}

static void open_connection(struct party *party, uint64_t due_usec, uint32_t i_window,
                            uint32_t i_request) {
        struct sockaddr_in address = {
                .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        struct connection *connection = NULL;
        struct epoll_event event = { .events = EPOLLOUT };

        for (unsigned i = 0; i < CONNECTIONS_MAX && connection == NULL; i++)
                if (lab.connections[i].fd < 0)
                        connection = &lab.connections[i];
        if (connection == NULL)
                return;
        *connection = (struct connection) {
                .party = party, .due_usec = due_usec, .i_window = i_window, .i_request = i_request,
                .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
        };
        event.data.ptr = connection;
        if (connection->fd < 0)
                die("socket");
        if ((connect(connection->fd, (struct sockaddr *) &address, sizeof address) < 0 &&
             errno != EINPROGRESS) ||
            epoll_ctl(lab.epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0)
                die("connect");
}

static void close_connection(struct connection *connection) {
        (void) close(connection->fd);
        connection->fd = -1;
}

/* The server closes when it has answered. */
static void go_on(struct connection *connection) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
        char text[16384];
        ssize_t n;

        if (!connection->is_sent) {
                n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: shop\r\n"
                             "Accept-Encoding: gzip\r\nConnection: close\r\n\r\n",
                             connection->party->url_path);
                connection->is_sent = true;
                if (send(connection->fd, text, (size_t) n, MSG_NOSIGNAL) != n ||
                    epoll_ctl(lab.epoll_fd, EPOLL_CTL_MOD, connection->fd, &event) < 0)
                        close_connection(connection);
                return;
        }
        while ((n = recv(connection->fd, text, sizeof text, 0)) > 0)
                if (!connection->has_status) {
                        connection->has_status = true;
                        connection->is_ok = n >= 12 && memcmp(text + 8, " 200", 4) == 0;
                }
        if (n < 0 && errno == EAGAIN)
                return;
        if (n == 0 && connection->is_ok)
                note_answer(connection->party, connection->i_window, connection->i_request,
                            connection->due_usec, now_usec());
        close_connection(connection);
}

static void hear(struct party *party, const struct segment segments[]) {
        struct lab_request answer;

        while (recv(party->fd, &answer, sizeof answer, 0) == sizeof answer)
                if (answer.i_window < lab.n_repetitions) {
                        /* The timetable alternates: warm-up, window, pause, window, ... */
                        uint64_t start_usec = segments[1 + 2 * answer.i_window].start_usec;

                        note_answer(party, answer.i_window, answer.i_request, start_usec +
                                    party->records[answer.i_window].requests[answer.i_request].arrival_usec,
                                    now_usec());
                }
}

/* What cannot be sent, because a queue is full, is lost: its latency stays -1. */
static void ask(struct party *party, const struct segment *segment) {
        struct lab_request request = {
                .identity = lab_random(&party->random_state), .i_window = segment->i_window,
        };

        if (segment->i_window != NO_WINDOW) {
                struct record *record = &party->records[segment->i_window];

                request.i_request = record->n;
                (void) note_request(record, party->due_usec - segment->start_usec);
        }
        if (party->url_path != NULL)
                open_connection(party, party->due_usec, request.i_window, request.i_request);
        else
                (void) send(party->fd, &request, sizeof request, 0);
}

/* ---- the timetable ----------------------------------------------------------------------------- */

/* The next arrival after due_usec; UINT64_MAX: none before the segment ends. Outside of windows the
 * first phase goes on. Waiting times have no memory, so a new phase begins afresh. */
static uint64_t next_due_usec(struct party *party, const struct segment *segment, uint64_t due_usec) {
        uint64_t phase_end_usec = segment->start_usec;

        for (unsigned i = 0; i < party->n_phases; i++) {
                const struct phase *phase = &party->phases[i];

                phase_end_usec += phase->length_usec;
                if (segment->i_window == NO_WINDOW || i + 1 == party->n_phases)
                        phase_end_usec = segment->end_usec;
                if (due_usec >= phase_end_usec)
                        continue;
                if (phase->rate_per_sec > 0.0)
                        due_usec += (uint64_t) lab_exponential(&party->random_state,
                                                               1e6 / phase->rate_per_sec);
                else
                        due_usec = phase_end_usec;
                if (due_usec < phase_end_usec)
                        return due_usec;
                due_usec = phase_end_usec;
        }
        return UINT64_MAX;
}

static void begin_segment(const struct segment *segment) {
        (void) pthread_mutex_lock(&seen.lock);
        seen.i_window = segment->i_window;
        seen.window_start_usec = segment->start_usec;
        if (segment->i_window != NO_WINDOW)
                for (unsigned i = 0; i < seen.n_watches; i++)
                        fprintf(seen.changes[segment->i_window], "%s[0.0,\"%s\",\"%s\",\"%s\"]",
                                i > 0 ? "," : "", seen.watches[i].name, seen.watches[i].quota,
                                seen.watches[i].weight);
        (void) pthread_mutex_unlock(&seen.lock);
        for (unsigned i = 0; i < lab.n_parties; i++) {
                struct party *party = &lab.parties[i];

                party->random_state = seed_of(segment->i_window, party);
                party->due_usec = next_due_usec(party, segment, segment->start_usec);
                party->cpu_before_usec = cpu_usec_of(party->cgroup);
        }
        lab.controller_before_usec = cpu_usec_of(lab.controller);
        lab.manager_before_usec = cpu_usec_of(lab.manager);
}

static void end_segment(const struct segment *segment) {
        if (segment->i_window == NO_WINDOW)
                return;
        for (unsigned i = 0; i < lab.n_parties; i++) {
                struct party *party = &lab.parties[i];

                party->records[segment->i_window].cpu_usec =
                        cpu_usec_of(party->cgroup) - party->cpu_before_usec;
        }
        lab.controller_usec[segment->i_window] = cpu_usec_of(lab.controller) - lab.controller_before_usec;
        lab.manager_usec[segment->i_window] = cpu_usec_of(lab.manager) - lab.manager_before_usec;
}

/* The child shall not have our priority: SCHED_RESET_ON_FORK sees to it. */
static void run_command(const char *command) {
        char *const arguments[] = { (char *) "sh", (char *) "-c", (char *) command, NULL };
        char *const environment[] = { (char *) "PATH=/usr/bin:/bin", NULL };
        pid_t pid;

        errno = posix_spawn(&pid, "/bin/sh", NULL, NULL, arguments, environment);
        if (errno != 0)
                die(command);
}

static bool is_all_answered(void) {
        for (unsigned i = 0; i < lab.n_parties; i++)
                if (lab.parties[i].n_phases > 0 &&
                    lab.parties[i].records[lab.n_repetitions - 1].n_answered <
                    lab.parties[i].records[lab.n_repetitions - 1].n)
                        return false;
        return true;
}

static void wait_and_hear(uint64_t until_usec, const struct segment segments[]) {
        struct epoll_event events[64];
        uint64_t now = now_usec(), wait_usec = until_usec > now ? until_usec - now : 0;
        struct timespec wait = {
                .tv_sec = (time_t) (wait_usec / USEC_PER_SEC),
                .tv_nsec = (long) (wait_usec % USEC_PER_SEC * NSEC_PER_USEC),
        };
        int n_events = epoll_pwait2(lab.epoll_fd, events, 64, &wait, NULL);

        for (int i = 0; i < n_events; i++) {
                char *what = events[i].data.ptr;

                if (what >= (char *) lab.connections && what < (char *) (lab.connections + CONNECTIONS_MAX))
                        go_on(events[i].data.ptr);
                else
                        hear(events[i].data.ptr, segments);
        }
}

static void run_segment(const struct segment *segment, const struct segment segments[]) {
        uint64_t mark_usec = UINT64_MAX;

        if (segment->i_window != NO_WINDOW && lab.mark_command != NULL)
                mark_usec = segment->start_usec + (uint64_t) (lab.mark_sec * 1e6);
        begin_segment(segment);
        for (;;) {
                uint64_t until_usec = mark_usec < segment->end_usec ? mark_usec : segment->end_usec, now;

                for (unsigned i = 0; i < lab.n_parties; i++)
                        if (lab.parties[i].due_usec < until_usec)
                                until_usec = lab.parties[i].due_usec;
                wait_and_hear(until_usec, segments);
                now = now_usec();
                for (unsigned i = 0; i < lab.n_parties; i++) {
                        struct party *party = &lab.parties[i];

                        while (party->due_usec <= now) {
                                ask(party, segment);
                                party->due_usec = next_due_usec(party, segment, party->due_usec);
                        }
                }
                if (now >= mark_usec) {
                        run_command(lab.mark_command);
                        mark_usec = UINT64_MAX;
                }
                if (now >= segment->end_usec)
                        break;
                if (segment == &segments[2 * lab.n_repetitions] && is_all_answered())
                        break;
        }
        end_segment(segment);
}

static void run(void) {
        struct segment segments[2 * REPETITIONS_MAX + 1];
        uint64_t start_usec = now_usec();
        unsigned n = 0;

        for (unsigned i = 0; i <= lab.n_repetitions; i++) {
                uint64_t length_usec = (uint64_t) ((i == 0 ? lab.warm_sec : lab.gap_sec) * 1e6);

                if (i == lab.n_repetitions)
                        length_usec = LOST_AFTER_USEC;
                segments[n++] = (struct segment) { start_usec, start_usec + length_usec, NO_WINDOW };
                start_usec += length_usec;
                if (i < lab.n_repetitions)
                        segments[n++] = (struct segment) { start_usec, start_usec + lab.window_usec, i };
                start_usec += lab.window_usec;
        }
        for (unsigned i = 0; i < n; i++)
                run_segment(&segments[i], segments);
}

/* ---- the record -------------------------------------------------------------------------------- */

static void print_requests(const struct record *record) {
        printf(",\"offered\":%" PRIu32 ",\"completed\":%" PRIu32 ",\"latency_usec\":[", record->n,
               record->n_answered);
        for (uint32_t i = 0; i < record->n; i++)
                printf("%s%" PRId32, i > 0 ? "," : "", record->requests[i].latency_usec);
        printf("],\"arrival_usec\":[");
        for (uint32_t i = 0; i < record->n; i++)
                printf("%s%" PRIu32, i > 0 ? "," : "", record->requests[i].arrival_usec);
        printf("]");
}

static void print_window(uint32_t i_window) {
        printf("@run %u {%s\"repetition\":%u,\"seed\":%u,\"cpus\":%ld,\"duration_sec\":%.3f,\"parties\":{",
               lab.repetitions[i_window], lab.header, lab.repetitions[i_window],
               lab.repetitions[i_window], sysconf(_SC_NPROCESSORS_ONLN), (double) lab.window_usec / 1e6);
        for (unsigned i = 0; i < lab.n_parties; i++) {
                const struct party *party = &lab.parties[i];

                printf("%s\"%s\":{\"kind\":\"%s\",\"weight\":%u,\"cpu_sec\":%.6f", i > 0 ? "," : "",
                       party->name, party->kind, party->weight,
                       (double) party->records[i_window].cpu_usec / 1e6);
                if (party->n_phases > 0)
                        print_requests(&party->records[i_window]);
                printf("}");
        }
        printf("}");
        if (lab.mark_name != NULL)
                printf(",\"marks_sec\":{\"%s\":%.3f}", lab.mark_name, lab.mark_sec);
        printf(",\"controller\":{\"cpu_sec\":%.6f,\"systemd_cpu_sec\":%.6f,\"writes\":%u,\"quota_flips\":%u,"
               "\"limits\":[%s]}}\n",
               (double) lab.controller_usec[i_window] / 1e6, (double) lab.manager_usec[i_window] / 1e6,
               seen.n_writes[i_window], seen.n_flips[i_window],
               seen.changes_text[i_window] == NULL ? "" : seen.changes_text[i_window]);
}

/* ---- options ----------------------------------------------------------------------------------- */

static void usage(void) {
        fputs("usage: generator --repetitions N[,N...] --party KEY=VALUE[,...]... [--warm SEC] [--gap SEC]\n"
              "                 [--mark NAME:SEC[:COMMAND]] [--controller CGROUP] [--manager CGROUP]\n"
              "                 [--watch NAME=CGROUP]... [--header JSON]\n"
              "\n"
              "A party has name=, kind=, weight=, cgroup=, and if it is asked socket= (a service's) or url=\n"
              "(a path of http://127.0.0.1) and load=RATExSECONDS[+RATExSECONDS...].\n", stderr);
        exit(2);
}

static void parse_phases(struct party *party, const char *text) {
        uint64_t length_usec = 0;

        while (*text != '\0') {
                double rate_per_sec, length_sec;
                int n;

                if (party->n_phases == PHASES_MAX ||
                    sscanf(text, "%lfx%lf%n", &rate_per_sec, &length_sec, &n) != 2)
                        usage();
                party->phases[party->n_phases++] = (struct phase) {
                        rate_per_sec, (uint64_t) (length_sec * 1e6),
                };
                length_usec += (uint64_t) (length_sec * 1e6);
                text += n;
                text += *text == '+';
        }
        if (lab.window_usec != 0 && lab.window_usec != length_usec)
                usage();
        lab.window_usec = length_usec;
}

static void parse_party(char *text) {
        static char *const keys[] = {
                (char *) "name", (char *) "kind", (char *) "weight", (char *) "cgroup",
                (char *) "socket", (char *) "url", (char *) "load", NULL,
        };
        struct party *party = &lab.parties[lab.n_parties++];

        if (lab.n_parties > PARTIES_MAX)
                usage();
        party->fd = -1;
        while (*text != '\0') {
                char *value = NULL;
                int key = getsubopt(&text, keys, &value);

                if (key < 0 || value == NULL)
                        usage();
                switch (key) {
                case 0: party->name = value; break;
                case 1: party->kind = value; break;
                case 2: party->weight = (unsigned) strtoul(value, NULL, 10); break;
                case 3: party->cgroup = value; break;
                case 4: party->socket_path = value; break;
                case 5: party->url_path = value; break;
                case 6: parse_phases(party, value); break;
                }
        }
        if (party->name == NULL || party->kind == NULL ||
            (party->n_phases > 0) != (party->socket_path != NULL || party->url_path != NULL))
                usage();
}

static void parse_repetitions(const char *text) {
        for (;;) {
                char *end;

                if (lab.n_repetitions == REPETITIONS_MAX)
                        usage();
                lab.repetitions[lab.n_repetitions++] = (unsigned) strtoul(text, &end, 10);
                if (*end == '\0')
                        return;
                text = end + 1;
        }
}

static void parse_mark(char *text) {
        char *sec, *command;

        lab.mark_name = strsep(&text, ":");
        sec = strsep(&text, ":");
        command = text;
        if (sec == NULL)
                usage();
        lab.mark_sec = strtod(sec, NULL);
        lab.mark_command = command;
}

static void parse_watch(char *text) {
        struct watch *watch = &seen.watches[seen.n_watches++];

        if (seen.n_watches > WATCHES_MAX)
                usage();
        watch->name = strsep(&text, "=");
        watch->cgroup = text;
        if (watch->cgroup == NULL)
                usage();
}

int main(int argc, char *argv[]) {
        static const struct option long_options[] = {
                { "party", required_argument, NULL, 'p' },
                { "repetitions", required_argument, NULL, 'r' },
                { "warm", required_argument, NULL, 'w' },
                { "gap", required_argument, NULL, 'g' },
                { "mark", required_argument, NULL, 'm' },
                { "controller", required_argument, NULL, 'c' },
                { "manager", required_argument, NULL, 'M' },
                { "watch", required_argument, NULL, 'W' },
                { "header", required_argument, NULL, 'h' },
                { 0 },
        };
        pthread_t watcher;
        int option;

        while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
                switch (option) {
                case 'p': parse_party(optarg); break;
                case 'r': parse_repetitions(optarg); break;
                case 'w': lab.warm_sec = strtod(optarg, NULL); break;
                case 'g': lab.gap_sec = strtod(optarg, NULL); break;
                case 'm': parse_mark(optarg); break;
                case 'c': lab.controller = optarg; break;
                case 'M': lab.manager = optarg; break;
                case 'W': parse_watch(optarg); break;
                case 'h': lab.header = optarg; break;
                default: usage();
                }
        if (optind < argc || lab.n_repetitions == 0 || lab.window_usec == 0)
                usage();

        lab.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (lab.epoll_fd < 0)
                die("epoll");
        for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
                lab.connections[i].fd = -1;
        for (unsigned i = 0; i < lab.n_parties; i++) {
                lab.parties[i].records = calloc(lab.n_repetitions, sizeof(struct record));
                if (lab.parties[i].records == NULL)
                        die("memory");
                if (lab.parties[i].socket_path != NULL)
                        open_socket(&lab.parties[i]);
        }
        for (unsigned i = 0; i < lab.n_repetitions; i++) {
                seen.changes[i] = open_memstream(&seen.changes_text[i], &seen.changes_size[i]);
                if (seen.changes[i] == NULL)
                        die("memory");
        }
        (void) signal(SIGCHLD, SIG_IGN);
        errno = pthread_create(&watcher, NULL, watch_limits, NULL);
        if (errno != 0)
                die("thread");
        be_first();
        run();

        /* Nobody is measured any more. */
        (void) sched_setscheduler(0, SCHED_OTHER, &(struct sched_param) { 0 });
        (void) pthread_mutex_lock(&seen.lock);
        for (unsigned i = 0; i < lab.n_repetitions; i++) {
                (void) fclose(seen.changes[i]);
                print_window(i);
        }
        if (fflush(stdout) != 0)
                die("output");
        return 0;
}
