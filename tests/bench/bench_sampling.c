/* SPDX-License-Identifier: MIT */

/* What a second of sampling costs, beside a loop that only calls pread() on the same descriptors.
 *
 * All are measured in turns, as CPU time of this thread, and the medians are shown: what the machine
 * does besides touches all alike. Real cgroups where we may make some; otherwise, or with --tmpfs,
 * files on a tmpfs, where the kernel's part is much cheaper and ours shows more. */

#include "platform/cgroup_burst.h"
#include "platform/cgroup_reader.h"
#include "platform/cgroup_tree.h"
#include "platform/host_cpu.h"
#include "platform/kernel_file.h"
#include "lib/fake_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define N_UNITS_MAX 3000
#define N_ROUNDS 101

#define RATIO_OF_UNIT_TARGET 1.5        /* units beside their two preads each */
#define RATIO_OF_SECOND_TARGET 2.0      /* a second, host included, beside the units' preads */

static struct cgroup_reader readers[N_UNITS_MAX];
static struct fake_tree *tree;
static char real_parent[4096];          /* "" = none made */

static _Noreturn void die(const char *what, int error)
{
        fprintf(stderr, "bench_sampling: could not %s: %s\n", what, strerror(error));
        exit(EXIT_FAILURE);
}

/* Takes away what was made, also when we die. */
static void clean_up(void)
{
        char path[sizeof real_parent + 16];

        if (real_parent[0]) {
                for (unsigned i = 0; i < N_UNITS_MAX; i++) {
                        snprintf(path, sizeof path, "%s/u%u", real_parent, i);
                        (void)rmdir(path);
                }
                (void)rmdir(real_parent);
                real_parent[0] = '\0';
        }
        tree = fake_tree_free(tree);
}

/* The prefix of the groups' names below the mount, or NULL if we may not make any. */
static const char *make_real_units(const char *mount)
{
        static char group[64];
        char path[sizeof real_parent + 16];

        snprintf(group, sizeof group, "coalloc-bench-%d", (int)getpid());
        snprintf(real_parent, sizeof real_parent, "%s/%s", mount, group);
        if (mkdir(real_parent, 0755) < 0) {
                real_parent[0] = '\0';
                return NULL;
        }
        for (unsigned i = 0; i < N_UNITS_MAX; i++) {
                snprintf(path, sizeof path, "%s/u%u", real_parent, i);
                if (mkdir(path, 0755) < 0)
                        die("make a cgroup", errno);
        }
        return group;
}

static const char *make_fake_units(void)
{
        char group[64];

        tree = fake_tree_new_in(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL);
        for (unsigned i = 0; i < N_UNITS_MAX; i++) {
                snprintf(group, sizeof group, "bench/u%u", i);
                fake_tree_unit(tree, group, &(struct fake_unit) {
                        .usage_usec = 81234567890 + i, .nr_periods = 123456, .nr_throttled = 345,
                        .throttled_usec = 56000000, .stalled_usec = 3327333 });
        }
        return "bench";
}

static double thread_cpu_usec(void)
{
        struct timespec t;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static double read_only(unsigned n_units)
{
        char text[KERNEL_FILE_SIZE];
        double start_usec = thread_cpu_usec();

        for (unsigned i = 0; i < n_units; i++) {
                const struct cgroup_reader *r = &readers[i];
                if (pread(r->stat_fd, text, sizeof text, 0) <= 0)
                        die("read cpu.stat", errno);
                if (r->pressure_fd >= 0 && pread(r->pressure_fd, text, sizeof text, 0) <= 0)
                        die("read cpu.pressure", errno);
        }
        return thread_cpu_usec() - start_usec;
}

/* @host: NULL = units only */
static double sample(unsigned n_units, const struct host_cpu *host)
{
        static struct unit_counters counters[N_UNITS_MAX];
        struct host_counters host_counters;
        double start_usec = thread_cpu_usec();
        int r;

        for (unsigned i = 0; i < n_units; i++)
                if ((r = cgroup_reader_sample(&readers[i], 1, &counters[i])) < 0)
                        die("sample a unit", -r);
        if (host && (r = host_cpu_sample(host, 1, &host_counters)) < 0)
                die("sample the host", -r);
        return thread_cpu_usec() - start_usec;
}

/* What Burst=yes reads of every unit once an epoch (src/daemon/burst.c). Return: microseconds; negative where
 * there is no cpu controller, and so nothing to be read. */
static double read_bursts(unsigned n_units)
{
        double start_usec = thread_cpu_usec();

        for (unsigned i = 0; i < n_units; i++) {
                struct cgroup_limits limits;
                struct cgroup_burst burst;

                if (cgroup_reader_limits(&readers[i], &limits) < 0 || !limits.has_cpu_controller ||
                    cgroup_burst_read(readers[i].dir_fd, &burst) < 0)
                        return -1;
        }
        return thread_cpu_usec() - start_usec;
}

static int compare_doubles(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;
        return (x > y) - (x < y);
}

static double median(double v[N_ROUNDS])
{
        qsort(v, N_ROUNDS, sizeof v[0], compare_doubles);
        return v[N_ROUNDS / 2];
}

static const char *verdict(double ratio, double target)
{
        return ratio <= target ? "met" : "MISSED";
}

static void measure(unsigned n_units, const struct host_cpu *host)
{
        static double bare[N_ROUNDS], units[N_ROUNDS], second[N_ROUNDS], bursts[N_ROUNDS];

        for (unsigned i = 0; i < 5; i++) { /* the first reads after a pause are dearer */
                (void)read_only(n_units);
                (void)sample(n_units, host);
        }
        for (unsigned i = 0; i < N_ROUNDS; i++) {
                bare[i] = read_only(n_units);
                units[i] = sample(n_units, NULL);
                second[i] = sample(n_units, host);
                bursts[i] = read_bursts(n_units);
        }
        double bare_usec = median(bare), units_usec = median(units), second_usec = median(second);
        double of_unit = units_usec / bare_usec, of_second = second_usec / bare_usec;

        printf("%5u units: one unit %7.3f us, bare pread %7.3f us, ratio %.2f (target %.1f: %s)\n",
               n_units, units_usec / n_units, bare_usec / n_units, of_unit, RATIO_OF_UNIT_TARGET,
               verdict(of_unit, RATIO_OF_UNIT_TARGET));
        printf("             a second %7.3f ms, only reading %6.3f ms, ratio %.2f (target %.1f: %s)\n",
               second_usec / 1000, bare_usec / 1000, of_second, RATIO_OF_SECOND_TARGET,
               verdict(of_second, RATIO_OF_SECOND_TARGET));
        if (bursts[0] >= 0)
                printf("             what Burst=yes reads in an epoch %7.3f ms, %.2f us a unit\n",
                       median(bursts) / 1000, median(bursts) / n_units);
        else
                printf("             no cpu controller, so no bursts to be read\n");
}

int main(int argc, char *argv[])
{
        bool wants_tmpfs = argc == 2 && strcmp(argv[1], "--tmpfs") == 0;
        const char *prefix = NULL;
        enum cgroup_mode mode;
        struct utsname machine;
        struct host_cpu host;
        struct rlimit files;
        char *mount = NULL;
        int r;

        if (argc > 1 && !wants_tmpfs) {
                fprintf(stderr, "Usage: bench_sampling [--tmpfs]\n");
                return 2;
        }
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* three descriptors a unit */
                files.rlim_cur = files.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &files);
        }
        (void)uname(&machine);
        atexit(clean_up);

        r = cgroup_find_mount("", &mode, &mount);
        if (r < 0)
                die("look for the cgroup2 mount", -r);
        r = host_cpu_open("", mount, &host);
        if (r < 0)
                die("open the host's files", -r);
        if (!wants_tmpfs && mount)
                prefix = make_real_units(mount);
        if (prefix) {
                printf("real cgroups in %s (%s), Linux %s\n", mount, cgroup_mode_to_string(mode),
                       machine.release);
        } else {
                prefix = make_fake_units();
                free(mount);
                mount = strdup(fake_tree_mount(tree));
                if (!mount)
                        die("allocate memory", ENOMEM);
                printf("plain files in %s, Linux %s\n", fake_tree_root(tree), machine.release);
        }

        for (unsigned i = 0; i < N_UNITS_MAX; i++) {
                char group[128];
                snprintf(group, sizeof group, "%s/u%u", prefix, i);
                r = cgroup_reader_open(mount, group, &readers[i]);
                if (r < 0)
                        die("open a unit", -r);
        }
        measure(100, &host);
        measure(1000, &host);
        measure(3000, &host);

        for (unsigned i = 0; i < N_UNITS_MAX; i++)
                cgroup_reader_close(&readers[i]);
        host_cpu_close(&host);
        free(mount);
        return EXIT_SUCCESS;
}
