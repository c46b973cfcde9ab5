/* SPDX-License-Identifier: MIT */
/*
 * reads - the least that following the units of a slice can cost
 *
 * Usage: reads SECONDS DIRECTORY
 *
 * Opens cpu.stat and cpu.pressure of every cgroup directly below DIRECTORY, then reads all of them once
 * a second, for so many seconds, and does nothing with what it read. Prints one line of key=value pairs:
 *
 *   groups     cgroups that were read
 *   cpu_nsec   CPU time of all seconds together, as the kernel counts it for any process (schedstat):
 *              waking up and going to sleep are in it, opening is not
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX 20000

static int fds[FILES_MAX];
static unsigned n_files;

static _Noreturn void die(const char *what, const char *name) {
        fprintf(stderr, "reads: could not %s %s: %s\n", what, name, strerror(errno));
        exit(EXIT_FAILURE);
}

static void open_file(int dir_fd, const char *group, const char *file) {
        char path[512];

        snprintf(path, sizeof path, "%s/%s", group, file);
        if (n_files == FILES_MAX) {
                errno = ENFILE;
                die("open", path);
        }
        fds[n_files] = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
        if (fds[n_files] < 0)
                die("open", path);
        n_files++;
}

/* Two descriptors a group: as many as we may have, which is more than we get unasked. */
static void allow_descriptors(void) {
        struct rlimit files;

        if (getrlimit(RLIMIT_NOFILE, &files) < 0)
                die("read the limit of", "descriptors");
        files.rlim_cur = files.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &files) < 0)
                die("raise the limit of", "descriptors");
}

static void open_all(const char *directory) {
        DIR *d = opendir(directory);

        if (!d)
                die("open", directory);
        for (struct dirent *entry; (entry = readdir(d));) {
                if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
                        continue;
                open_file(dirfd(d), entry->d_name, "cpu.stat");
                open_file(dirfd(d), entry->d_name, "cpu.pressure");
        }
        (void)closedir(d);
}

static uint64_t own_cpu_nsec(void) {
        FILE *f = fopen("/proc/self/schedstat", "re");
        uint64_t nsec;

        if (!f || fscanf(f, "%" SCNu64, &nsec) != 1)
                die("read", "/proc/self/schedstat");
        (void)fclose(f);
        return nsec;
}

static void read_all(void) {
        char text[4096];

        for (unsigned i = 0; i < n_files; i++)
                if (pread(fds[i], text, sizeof text, 0) <= 0)
                        die("read", "a file");
}

int main(int argc, char *argv[]) {
        struct timespec next;
        uint64_t start_nsec;
        unsigned seconds;

        if (argc != 3 || (seconds = (unsigned)strtoul(argv[1], NULL, 10)) == 0) {
                fprintf(stderr, "usage: reads SECONDS DIRECTORY\n");
                return 2;
        }
        allow_descriptors();
        open_all(argv[2]);
        (void)clock_gettime(CLOCK_MONOTONIC, &next);
        start_nsec = own_cpu_nsec();
        for (unsigned i = 0; i < seconds; i++) {
                next.tv_sec++;
                while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
                        ;
                read_all();
        }
        printf("groups=%u cpu_nsec=%" PRIu64 "\n", n_files / 2, own_cpu_nsec() - start_nsec);
        return EXIT_SUCCESS;
}
