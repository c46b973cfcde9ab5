/* SPDX-License-Identifier: MIT */

/* What coallocd costs: from its start to READY, memory, and the CPU time of a second of sampling
 * beside a loop that only calls pread() on the same files.
 *
 * The real program on a host that pretends (tests/lib/daemon_host.h), measuring only (Mode=observe).
 * Its CPU time is the kernel's (schedstat); it samples ten times a second, so that the numbers need no
 * long wait. The files lie on a tmpfs or a disk, where the kernel's part is cheaper than with real
 * cgroups: the ratio is the worse for it. --seconds=N also watches memory and descriptors over a run
 * of N seconds that decides, writes and gives back. */

#include "lib/daemon_host.h"
#include "lib/testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_PER_SEC 10
#define MEASURED_SEC 3
#define N_ROUNDS 101

#define RATIO_TARGET 2.0
#define RSS_TARGET_KIB (8 * 1024)

static uint64_t number_in(struct daemon_host *h, const char *file, const char *key)
{
        char path[64], line[256];
        uint64_t number = UINT64_MAX;
        FILE *f;

        snprintf(path, sizeof path, "/proc/%d/%s", (int)h->pid, file);
        f = fopen(path, "re");
        while (f && number == UINT64_MAX && fgets(line, sizeof line, f))
                if (strncmp(line, key, strlen(key)) == 0)
                        number = strtoull(line + strlen(key), NULL, 10);
        if (f)
                (void)fclose(f);
        REQUIRE(h, number != UINT64_MAX);
        return number;
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

static uint64_t own_cpu_nsec(void)
{
        struct timespec ts;

        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
        const uint64_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

/* One pread() a file, two files a unit: the least that a second of sampling can cost. */
static uint64_t bare_nsec(struct daemon_host *h, const char *const files[], size_t n_files)
{
        static uint64_t rounds[N_ROUNDS];
        int *fds = calloc(n_files, sizeof *fds);
        char path[PATH_MAX], text[4096];

        REQUIRE(h, fds);
        for (size_t i = 0; i < n_files; i++) {
                snprintf(path, sizeof path, "%s/%s", fake_tree_mount(h->tree), files[i]);
                fds[i] = open(path, O_RDONLY | O_CLOEXEC);
                REQUIRE(h, fds[i] >= 0);
        }
        for (size_t k = 0; k < N_ROUNDS; k++) {
                uint64_t start_nsec = own_cpu_nsec();

                for (size_t i = 0; i < n_files; i++)
                        REQUIRE(h, pread(fds[i], text, sizeof text, 0) > 0);
                rounds[k] = own_cpu_nsec() - start_nsec;
                /* At the daemon's pace: what the caches lose in between, both lose. */
                run_for(h, 5000);
        }
        for (size_t i = 0; i < n_files; i++)
                (void)close(fds[i]);
        free(fds);
        qsort(rounds, N_ROUNDS, sizeof *rounds, compare);
        return rounds[N_ROUNDS / 2];
}

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

static bool measure(unsigned n_units)
{
        char manager[128];
        struct daemon_host *h;
        uint64_t start_usec, ready_usec, cpu_nsec, bare, rss_kib, n_samples = SAMPLES_PER_SEC * MEASURED_SEC;
        char **files;
        double second_nsec, ratio;

        snprintf(manager, sizeof manager, "Mode=observe\nEpochSec=1h\nSampleIntervalSec=%dms\n",
                 1000 / SAMPLES_PER_SEC);
        h = host_of(n_units, manager);
        start_usec = testing_now_usec();
        daemon_host_run(h, NULL);
        ready_usec = testing_now_usec() - start_usec;
        run_for(h, 1000000);

        cpu_nsec = number_in(h, "schedstat", "");
        run_for(h, MEASURED_SEC * UINT64_C(1000000));
        cpu_nsec = number_in(h, "schedstat", "") - cpu_nsec;
        rss_kib = number_in(h, "status", "VmRSS:");

        files = calloc(2 * n_units, sizeof *files);
        REQUIRE(h, files);
        for (unsigned i = 0; i < n_units; i++) {
                REQUIRE(h, asprintf(&files[2 * i], "app.slice/app-%u.slice/cpu.stat", i) > 0);
                REQUIRE(h, asprintf(&files[2 * i + 1], "app.slice/app-%u.slice/cpu.pressure", i) > 0);
        }
        bare = bare_nsec(h, (const char *const *)files, 2 * n_units);
        for (unsigned i = 0; i < 2 * n_units; i++)
                free(files[i]);
        free(files);
        second_nsec = (double)cpu_nsec / (double)n_samples;
        ratio = second_nsec / (double)bare;
        printf("%8u %12.1f %10.1f %14.1f %12.1f %8.2f\n", n_units, (double)ready_usec / 1e3,
               (double)rss_kib / 1024, second_nsec / 1e3, (double)bare / 1e3, ratio);
        (void)fflush(stdout);
        (void)daemon_host_end(h, SIGTERM);
        daemon_host_free(h);
        return n_units < 100 || (ratio <= RATIO_TARGET && rss_kib <= RSS_TARGET_KIB);
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
        static const unsigned sizes[] = { 10, 100, 1000 };
        struct rlimit files;
        bool is_fine = true;

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

        printf("%8s %12s %10s %14s %12s %8s\n", "services", "to READY ms", "RSS MiB", "sampling us",
               "reads us", "ratio");
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
                is_fine &= measure(sizes[i]);
        printf("Targets: sampling at most %.1f x the reads; RSS at most %d MiB at 1000 services: %s.\n",
               RATIO_TARGET, RSS_TARGET_KIB / 1024, is_fine ? "met" : "MISSED");
        return EXIT_SUCCESS;
}
