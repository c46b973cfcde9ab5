/* SPDX-License-Identifier: MIT */

/* What coallocd costs, and how that grows: from its start to READY, memory, the CPU time of a second of
 * sampling beside a process that only calls pread() on the same files, and that of an epoch.
 *
 * The real program on a host that pretends (tests/lib/daemon_host.h), measuring only (Mode=observe).
 * CPU times are the kernel's (schedstat); it samples ten times a second, so that the numbers need no
 * long wait, and the process beside it reads as often, in the same seconds. That one must not be us: we
 * write the files, so they lie in the caches of the CPU we are on, and are twice as expensive to read from
 * another. The files lie on a tmpfs or a disk, where the kernel's part is cheaper than with real cgroups:
 * the ratio is the worse for it.
 * --seconds=N also watches memory and descriptors over a run of N seconds that decides, writes and gives
 * back. */

#include "core/guard.h"
#include "lib/daemon_host.h"
#include "lib/testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_PER_SEC 10
#define MEASURED_SEC 3
#define N_EPOCHS 5

#define N_STORMY 500
#define STORM_USEC (UINT64_C(4) * 1000000)

#define GUARDED_SEC 10
#define RATIO_TARGET 2.0
#define RSS_TARGET_MIB 8

static uint64_t number_of(struct daemon_host *h, pid_t pid, const char *file, const char *key)
{
        char path[64], line[256];
        uint64_t number = UINT64_MAX;
        FILE *f;

        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
        f = fopen(path, "re");
        while (f && number == UINT64_MAX && fgets(line, sizeof line, f))
                if (strncmp(line, key, strlen(key)) == 0)
                        number = strtoull(line + strlen(key), NULL, 10);
        if (f)
                (void)fclose(f);
        REQUIRE(h, number != UINT64_MAX);
        return number;
}

static uint64_t number_in(struct daemon_host *h, const char *file, const char *key)
{
        return number_of(h, h->pid, file, key);
}

static unsigned n_descriptors(struct daemon_host *h)
{
        char path[64];
        unsigned n = 0;
        DIR *dir;

        snprintf(path, sizeof path, "/proc/%d/fd", (int)h->pid);
        dir = opendir(path);
        REQUIRE(h, dir);
        while (readdir(dir))
                n++;
        (void)closedir(dir);
        return n - 2;
}

static void run_for(struct daemon_host *h, uint64_t usec)
{
        uint64_t end_usec = testing_now_usec() + usec;

        while (testing_now_usec() < end_usec)
                daemon_host_turn(h);
}

/* ---- the least that reading can cost ----------------------------------------------------------------- */

struct reader {
        pid_t pid;
        unsigned n_files, n_looks;      /* a second: cpu.stat of every unit so often, the rest once ... */
        unsigned n_samples;             /* ... or both of them so often */
};

static void read_files(const int fds[], unsigned n_files, unsigned step)
{
        char text[4096];

        for (unsigned i = 0; i < n_files; i += step)
                if (pread(fds[i], text, sizeof text, 0) <= 0)
                        _exit(EXIT_FAILURE);
}

static _Noreturn void reader_main(const struct reader *r, const int fds[])
{
        unsigned n_turns = r->n_samples + r->n_looks;
        struct timespec next;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)clock_gettime(CLOCK_MONOTONIC, &next);
        for (unsigned i = 0;; i++) {
                next.tv_nsec += 1000000000 / n_turns;
                next.tv_sec += next.tv_nsec / 1000000000;
                next.tv_nsec %= 1000000000;
                while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
                        ;
                if (r->n_looks == 0 || i % n_turns == 0)
                        read_files(fds, r->n_files, 1);
                if (r->n_looks > 0)
                        read_files(fds, r->n_files, 2);
        }
}

/* A process that reads the files of all units, one pread() each, two files a unit. @n_samples: both, so
 * often a second. @n_looks: cpu.stat so often a second, and both once. One of the two is 0. */
static struct reader reader_start(struct daemon_host *h, unsigned n_units, unsigned n_samples, unsigned n_looks)
{
        static const char *const names[] = { "cpu.stat", "cpu.pressure" };
        struct reader r = { .n_files = 2 * n_units, .n_samples = n_samples, .n_looks = n_looks };
        int *fds = calloc(r.n_files, sizeof *fds);
        char path[PATH_MAX];

        REQUIRE(h, fds);
        for (unsigned i = 0; i < r.n_files; i++) {
                snprintf(path, sizeof path, "%s/app.slice/app-%u.slice/%s", fake_tree_mount(h->tree), i / 2,
                         names[i % 2]);
                fds[i] = open(path, O_RDONLY | O_CLOEXEC);
                REQUIRE(h, fds[i] >= 0);
        }
        r.pid = fork();
        REQUIRE(h, r.pid >= 0);
        if (r.pid == 0)
                reader_main(&r, fds);
        for (unsigned i = 0; i < r.n_files; i++)
                (void)close(fds[i]);
        free(fds);
        return r;
}

static uint64_t reader_cpu_nsec(struct daemon_host *h, const struct reader *r)
{
        return number_of(h, r->pid, "schedstat", "");
}

static void reader_end(struct daemon_host *h, const struct reader *r)
{
        REQUIRE(h, kill(r->pid, SIGKILL) == 0);
        REQUIRE(h, waitpid(r->pid, NULL, 0) == r->pid);
}

/* ------------------------------------------------------------------------------------------------------- */

static struct daemon_host *host_of(unsigned n_units, const char *manager)
{
        struct daemon_host *h = daemon_host_new(64);
        char unit[64], text[512];

        snprintf(text, sizeof text, "[Manager]\n%s[Service all]\nUnit=app-*.slice\n", manager);
        daemon_host_configure(h, text);
        daemon_host_add(h, "app.slice", 0);
        for (unsigned i = 0; i < n_units; i++) {
                snprintf(unit, sizeof unit, "app-%u.slice", i);
                daemon_host_add(h, unit, 0);
        }
        return h;
}

struct cost {
        double ready_ms, rss_mib, sampling_usec, reads_usec, epoch_usec;
};

/* CPU time of the daemon over so many epochs, without the sampling in between; and its memory after them. */
static double epoch_usec(unsigned n_units, double sampling_usec, double *ret_rss_mib)
{
        struct daemon_host *h = host_of(n_units, "Mode=observe\nEpochSec=2s\nSampleIntervalSec=1s\n");
        uint64_t cpu_nsec, start_usec;
        double spent_usec;

        daemon_host_run(h, NULL);
        daemon_host_epochs(h, 2);
        cpu_nsec = number_in(h, "schedstat", "");
        start_usec = testing_now_usec();
        daemon_host_epochs(h, N_EPOCHS);
        spent_usec = (double)(number_in(h, "schedstat", "") - cpu_nsec) / 1e3 -
                     (double)(testing_now_usec() - start_usec) / 1e6 * sampling_usec;
        *ret_rss_mib = (double)number_in(h, "status", "VmRSS:") / 1024;
        (void)daemon_host_end(h, SIGTERM);
        daemon_host_free(h);
        return spent_usec / N_EPOCHS;
}

static struct cost measure(unsigned n_units)
{
        uint64_t start_usec, cpu_nsec, reads_nsec;
        char manager[128];
        struct daemon_host *h;
        struct reader reader;
        struct cost cost;
        double n_samples;

        snprintf(manager, sizeof manager, "Mode=observe\nEpochSec=1h\nSampleIntervalSec=%dms\n",
                 1000 / SAMPLES_PER_SEC);
        h = host_of(n_units, manager);
        start_usec = testing_now_usec();
        daemon_host_run(h, NULL);
        cost.ready_ms = (double)(testing_now_usec() - start_usec) / 1e3;
        reader = reader_start(h, n_units, SAMPLES_PER_SEC, 0);
        run_for(h, 1000000);

        start_usec = testing_now_usec();
        cpu_nsec = number_in(h, "schedstat", "");
        reads_nsec = reader_cpu_nsec(h, &reader);
        run_for(h, MEASURED_SEC * UINT64_C(1000000));
        cpu_nsec = number_in(h, "schedstat", "") - cpu_nsec;
        reads_nsec = reader_cpu_nsec(h, &reader) - reads_nsec;
        n_samples = (double)(testing_now_usec() - start_usec) / 1e6 * SAMPLES_PER_SEC;
        reader_end(h, &reader);
        (void)daemon_host_end(h, SIGTERM);
        daemon_host_free(h);

        cost.sampling_usec = (double)cpu_nsec / 1e3 / n_samples;
        cost.reads_usec = (double)reads_nsec / 1e3 / n_samples;
        cost.epoch_usec = epoch_usec(n_units, cost.sampling_usec, &cost.rss_mib);
        printf("%8u %12.1f %10.1f %14.1f %12.1f %8.2f %12.1f\n", n_units, cost.ready_ms, cost.rss_mib,
               cost.sampling_usec, cost.reads_usec, cost.sampling_usec / cost.reads_usec, cost.epoch_usec);
        (void)fflush(stdout);
        return cost;
}

static double cpu_usec_of(struct daemon_host *h, uint64_t usec)
{
        uint64_t cpu_nsec = number_in(h, "schedstat", "");

        run_for(h, usec);
        return (double)(number_in(h, "schedstat", "") - cpu_nsec) / 1e3;
}

/* Units that vanish at once, and come at once: CPU time of the daemon for each. No sample falls in between. */
static void storm(unsigned n_units)
{
        struct daemon_host *h = host_of(n_units, "Mode=observe\nEpochSec=1h\nSampleIntervalSec=10s\n");
        double gone_usec, back_usec;
        char unit[64];

        daemon_host_run(h, NULL);
        run_for(h, 1000000);
        for (unsigned i = 0; i < N_STORMY; i++) {
                snprintf(unit, sizeof unit, "app-%u.slice", i);
                fake_systemd_unload(h->systemd, unit);
        }
        gone_usec = cpu_usec_of(h, STORM_USEC);
        for (unsigned i = 0; i < N_STORMY; i++) {
                snprintf(unit, sizeof unit, "app-%u.slice", i);
                daemon_host_add(h, unit, 0);
        }
        back_usec = cpu_usec_of(h, STORM_USEC);
        /* The last of them is known again. */
        REQUIRE_TEXT(h, daemon_host_text(h, unit, "State"), "unknown");
        printf("%8u %12.1f %12.1f\n", n_units, gone_usec / N_STORMY, back_usec / N_STORMY);
        (void)fflush(stdout);
        (void)daemon_host_end(h, SIGTERM);
        daemon_host_free(h);
}

static bool has_all_quotas(struct daemon_host *h)
{
        for (struct fake_systemd_unit *u = h->systemd->units; u; u = u->next)
                if (strncmp(u->name, "app-", 4) == 0 && u->quota == UNSET)
                        return false;
        return true;
}

/* A second with the guard, every unit under a ceiling of ours, beside a process that reads the same files as
 * often: both once, and cpu.stat once more for each look. */
static bool guard(unsigned n_units)
{
        static const char both[] = "Enforce=quota\nReserve=0%\n";
        static const unsigned n_looks = 1000000 / GUARD_POLL_USEC;
        struct daemon_host *h;
        char text[256], error[128];
        uint64_t cpu_nsec, reads_nsec, start_usec;
        double daemon_usec, reads_usec, seconds;
        struct reader reader;

        snprintf(text, sizeof text, "%sEpochSec=5s\n", both);
        h = host_of(n_units, text);
        daemon_host_run(h, NULL);
        while (!has_all_quotas(h)) {
                uint64_t n_epochs = h->n_epochs;

                WAIT(h, h->n_epochs > n_epochs || has_all_quotas(h));
        }
        snprintf(text, sizeof text, "[Manager]\n%sEpochSec=1h\n[Service all]\nUnit=app-*.slice\n", both);
        daemon_host_configure(h, text);
        REQUIRE(h, daemon_host_call(h, "Reload", NULL, false, error) == 0);
        WAIT(h, daemon_host_number(h, NULL, "PendingWrites") == 0);
        reader = reader_start(h, n_units, 0, n_looks);
        run_for(h, 1000000);

        start_usec = testing_now_usec();
        cpu_nsec = number_in(h, "schedstat", "");
        reads_nsec = reader_cpu_nsec(h, &reader);
        run_for(h, GUARDED_SEC * UINT64_C(1000000));
        cpu_nsec = number_in(h, "schedstat", "") - cpu_nsec;
        reads_nsec = reader_cpu_nsec(h, &reader) - reads_nsec;
        seconds = (double)(testing_now_usec() - start_usec) / 1e6;
        daemon_usec = (double)cpu_nsec / 1e3 / seconds;
        reads_usec = (double)reads_nsec / 1e3 / seconds;
        reader_end(h, &reader);
        (void)daemon_host_end(h, SIGTERM);
        daemon_host_free(h);
        printf("%8u %12.1f %12.1f %8.2f\n", n_units, daemon_usec, reads_usec, daemon_usec / reads_usec);
        (void)fflush(stdout);
        return daemon_usec <= RATIO_TARGET * reads_usec;
}

static double exponent(double small, double large, double factor)
{
        return small > 0 && large > 0 ? log(large / small) / log(factor) : NAN;
}

/* Decides every two seconds, with loads that change and units that restart all the time. */
static bool watch(unsigned seconds)
{
        struct daemon_host *h = host_of(40, "Enforce=quota\nReserve=0%\nEpochSec=2s\nSampleIntervalSec=100ms\n");
        struct testing_random random = { 1 };
        uint64_t end_usec, first_kib, last_kib;
        unsigned first_n, last_n;
        char unit[64];

        daemon_host_run(h, NULL);
        end_usec = testing_now_usec() + seconds * UINT64_C(1000000);
        daemon_host_epochs(h, 10);
        first_kib = number_in(h, "status", "VmRSS:");
        first_n = n_descriptors(h);
        while (testing_now_usec() < end_usec) {
                uint64_t epoch = h->n_epochs;

                for (unsigned i = 0; i < 5; i++) {
                        snprintf(unit, sizeof unit, "app-%u.slice", (unsigned)testing_random_int(&random, 0, 39));
                        if (i == 0)
                                fake_systemd_restart(h->systemd, unit);
                        else
                                fake_systemd_find(h->systemd, unit)->load_cpus =
                                        testing_random_double(&random, 0, 3);
                }
                WAIT(h, h->n_epochs > epoch);
        }
        last_kib = number_in(h, "status", "VmRSS:");
        last_n = n_descriptors(h);
        printf("%u epochs, %u writes: RSS %" PRIu64 " -> %" PRIu64 " KiB, descriptors %u -> %u\n",
               (unsigned)h->n_epochs, h->systemd->n_set, first_kib, last_kib, first_n, last_n);
        (void)daemon_host_end(h, SIGTERM);
        daemon_host_free(h);
        return last_n == first_n && last_kib <= first_kib + 256;
}

int main(int argc, char *argv[])
{
        static const unsigned sizes[] = { 10, 100, 1000, 3000 };
        enum { THOUSAND = 2, THREE_THOUSAND };
        struct cost costs[sizeof sizes / sizeof *sizes];
        double factor = (double)sizes[THREE_THOUSAND] / sizes[THOUSAND];
        const struct cost *small = &costs[THOUSAND], *large = &costs[THREE_THOUSAND];
        struct rlimit files;
        bool is_fine;

        if (argc > 2 || (argc == 2 && strncmp(argv[1], "--seconds=", 10) != 0)) {
                fprintf(stderr, "usage: bench_daemon [--seconds=N]\n");
                return 2;
        }
        if (!private_bus_is_possible()) {
                printf("there is no dbus-daemon here\n");
                return EXIT_SUCCESS;
        }
        /* Three descriptors a unit: what the unit file of coallocd allows it, too. */
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
                files.rlim_cur = files.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &files);
        }
        if (argc == 2)
                return watch((unsigned)strtoul(argv[1] + 10, NULL, 10)) ? EXIT_SUCCESS : EXIT_FAILURE;

        printf("%8s %12s %10s %14s %12s %8s %12s\n", "services", "to READY ms", "RSS MiB", "sampling us",
               "reads us", "ratio", "epoch us");
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
                costs[i] = measure(sizes[i]);
        printf("%8s %12.2f %10.2f %14.2f %12.2f %8s %12.2f\n", "growth", exponent(small->ready_ms, large->ready_ms, factor),
               exponent(small->rss_mib, large->rss_mib, factor),
               exponent(small->sampling_usec, large->sampling_usec, factor),
               exponent(small->reads_usec, large->reads_usec, factor), "",
               exponent(small->epoch_usec, large->epoch_usec, factor));
        is_fine = small->sampling_usec <= RATIO_TARGET * small->reads_usec &&
                  large->sampling_usec <= RATIO_TARGET * large->reads_usec && small->rss_mib <= RSS_TARGET_MIB;
        printf("Growth is the exponent from 1000 to 3000 services. Targets: sampling at most %.1f x the reads from\n"
               "1000 services on, RSS at most %d MiB at 1000: %s.\n", RATIO_TARGET, RSS_TARGET_MIB,
               is_fine ? "met" : "MISSED");

        printf("\n%d units at once: CPU time of the daemon for each\n%8s %12s %12s\n", N_STORMY, "services",
               "vanish us", "come us");
        storm(sizes[THOUSAND]);
        storm(sizes[THREE_THOUSAND]);

        printf("\nA second with the guard, every unit under a ceiling\n%8s %12s %12s %8s\n", "services",
               "daemon us", "reads us", "ratio");
        is_fine = guard(sizes[THOUSAND]);
        printf("Target: at most %.1f x the reads at 1000 services: %s.\n", RATIO_TARGET, is_fine ? "met" : "MISSED");
        return EXIT_SUCCESS;
}
