/* SPDX-License-Identifier: MIT */
#pragma once

/* A host for the real coallocd: a bus, a systemd and a tree of files that pretend, and the program
 * itself as a child on `--root=`. Time is real, and load runs with it; nothing else does.
 *
 * Whatever goes wrong ends the process with a message and the log of the daemon: one host, one
 * process. Waiting is running the loop until a condition holds or patience ends. */

#include "lib/fake_systemd.h"
#include "lib/fake_tree.h"
#include "lib/private_bus.h"
#include "lib/testing_loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#define UNSET UINT64_MAX

struct daemon_host {
        sd_event *event;
        struct private_bus *bus;
        struct fake_tree *tree;
        struct fake_systemd *systemd;
        sd_bus *client;                 /* ours, for calls to the daemon and signals of it */
        sd_event_source *clock;
        uint64_t clock_usec;            /* load has run so far */
        double unmanaged_cpus;          /* what the host does besides the units */

        /* the program */
        pid_t pid;                      /* 0 = not running */
        int notify_fd;
        int log_fd;
        bool is_ready;                  /* READY=1 has come */
        unsigned n_ready, n_reloading, n_stopping;
        unsigned n_extended;            /* more time was asked for */
        int watch_fd;                   /* inotify: who reads what; -1: nobody asked */
        struct daemon_host_reads {
                const char *unit;       /* NULL: no more */
                int watch;
                unsigned n;
        } reads[4];
        char *log;                      /* all it said */
        size_t log_length;
        int status;                     /* of waitpid(), once it has ended */

        /* what was seen of it on the bus */
        uint64_t n_epochs;
        unsigned n_quota_changed, n_weight_changed, n_prices_changed;
        const char *budgeted;           /* units whose names begin so share the budget */
        double budget_usec;             /* what quotas of these may sum to from the first plan on */
        double sum_usec_max;            /* what they did sum to at most after that */
        unsigned n_sets_in_epoch_max;   /* most changes of one unit between two epochs */
        uint64_t gap_usec_min;          /* shortest time between two changes of one unit; 0: there were none */
        uint64_t turn_usec, lag_usec_max; /* last turn of the loop, longest time between two: gaps may seem
                                         * shorter by that */
        unsigned n_raised, n_lowered;   /* changes of quotas for the reason "guard" */
};

/* With load running, and the daemon's object watched; the daemon is not started. */
struct daemon_host *daemon_host_new(unsigned n_cpus);
/* With load running, and the daemon's object watched; the daemon is not started. */
struct daemon_host *daemon_host_new(unsigned n_cpus);
/* Whatever a case is about: the epochs that its daemon recorded are run again here, and have to come out the same. */
struct daemon_host *daemon_host_free(struct daemon_host *h);

/* Writes coalloc.conf. */
void daemon_host_configure(struct daemon_host *h, const char *text);

/* A unit that is running, with a load. Slices stand where their names say. */
struct fake_systemd_unit *daemon_host_add(struct daemon_host *h, const char *unit, double load_cpus);

/* @option may be NULL. Does not wait. */
void daemon_host_start(struct daemon_host *h, const char *option);
/* The same, then waits for READY=1. */
void daemon_host_run(struct daemon_host *h, const char *option);
/* Sends a signal (0 = none) and waits for the end. Return: exit status, or minus the signal. */
int daemon_host_end(struct daemon_host *h, int signal);
/* All connections are lost; systemd and we are back on the new bus at once. */
void daemon_host_restart_bus(struct daemon_host *h);
/* Waits for so many epochs to end. */
void daemon_host_epochs(struct daemon_host *h, unsigned n);

/* Reruns all that the record has so far (lib/replay.h); whatever is not as it was recorded fails. Return: how many
 * epochs there were. */
size_t daemon_host_rerun(struct daemon_host *h);
/* The same, where that is what is asked: does it come out the same? */
bool daemon_host_reruns(struct daemon_host *h);

/* How often has the unit's cpu.stat been read since the call before? The first one begins to count. */
unsigned daemon_host_reads(struct daemon_host *h, const char *unit);

/* How often the log has this. */
unsigned daemon_host_logged(const struct daemon_host *h, const char *text);

/* Calls a method of org.coalloc1.Manager with string arguments at most ("", "s", "b"); runs the loop
 * meanwhile. Return: 0, or the name of the error in @reterr_name. */
int daemon_host_call(struct daemon_host *h, const char *method, const char *argument, bool is_flag,
                     char reterr_name[static 128]);

/* What a method of the manager answers as one text (Explain, Plan), malloc'd; argument may be NULL. */
char *daemon_host_answer(struct daemon_host *h, const char *method, const char *argument);
/* The XML of an object of the daemon, malloc'd. */
char *daemon_host_introspect(struct daemon_host *h, const char *path);
/* A property of the manager (unit NULL) or of a service, as text; static buffer. */
const char *daemon_host_text(struct daemon_host *h, const char *unit, const char *property);
/* The same for numbers. */
uint64_t daemon_host_number(struct daemon_host *h, const char *unit, const char *property);

double daemon_host_real(struct daemon_host *h, const char *unit, const char *property);
/* A number of the entry that ListPaths() or ListCoalitions() has under a name; NAN if it has none. */
double daemon_host_listed(struct daemon_host *h, const char *method, const char *name, const char *key);
/* Does a unit's service call that one and no other (NULL: nobody)? */
bool daemon_host_calls(struct daemon_host *h, const char *unit, const char *callee);
/* One of GetPrices(); NAN if there is none of that name. */
double daemon_host_price(struct daemon_host *h, const char *name);
/* ReportLatency(). Return: 0, or the name of the error in @reterr_name. */
int daemon_host_report(struct daemon_host *h, const char *service, double seconds_p99, uint32_t requests,
                       char reterr_name[static 128]);

_Noreturn void daemon_host_fail(struct daemon_host *h, const char *file, int line, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

#define REQUIRE(h, condition)                                                                   \
        do {                                                                                    \
                if (!(condition))                                                               \
                        daemon_host_fail(h, __FILE__, __LINE__, "not so: %s", #condition);      \
        } while (0)

#define REQUIRE_NUMBER(h, got, wanted)                                                          \
        do {                                                                                    \
                uint64_t got_ = (got), wanted_ = (wanted);                                      \
                if (got_ != wanted_)                                                            \
                        daemon_host_fail(h, __FILE__, __LINE__, "%s is %llu, not %llu", #got,   \
                                         (unsigned long long)got_, (unsigned long long)wanted_); \
        } while (0)

#define REQUIRE_TEXT(h, got, wanted)                                                            \
        do {                                                                                    \
                const char *got_ = (got);                                                       \
                if (strcmp(got_, wanted) != 0)                                                  \
                        daemon_host_fail(h, __FILE__, __LINE__, "%s is \"%s\", not \"%s\"",     \
                                         #got, got_, wanted);                                   \
        } while (0)

/* The machine may be busy with other things: patience costs nothing where all is well. */
#define DAEMON_HOST_PATIENCE_USEC (120 * UINT64_C(1000000))

#define WAIT(h, condition)                                                                      \
        do {                                                                                    \
                uint64_t give_up_usec_ = testing_now_usec() + DAEMON_HOST_PATIENCE_USEC;        \
                while (!(condition)) {                                                          \
                        if (testing_now_usec() > give_up_usec_)                                 \
                                daemon_host_fail(h, __FILE__, __LINE__, "waited in vain for %s", \
                                                 #condition);                                   \
                        daemon_host_turn(h);                                                    \
                }                                                                               \
        } while (0)

/* One turn of the loop, at most 20 ms. */
void daemon_host_turn(struct daemon_host *h);
