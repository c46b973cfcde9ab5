/* SPDX-License-Identifier: MIT */
#pragma once

/* Which language runtime a process has that sizes thread pools by the CPUs it counts, and how it
 * counts: what each of them looks at was measured, see doc/runtimes.md.
 *
 * Read from /proc and from the program's file. Nothing there is trusted: a process chooses its file,
 * its mappings and its environment. The worst that it can do is to be taken for something else. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum process_runtime_kind {
        PROCESS_RUNTIME_NONE,           /* none of those that we know */
        PROCESS_RUNTIME_JAVA,
        PROCESS_RUNTIME_GO,
        PROCESS_RUNTIME_OPENMP,
        _PROCESS_RUNTIME_MAX,
};

/* "java", "go", "openmp"; "none". */
const char *process_runtime_kind_to_string(enum process_runtime_kind kind);

#define RUNTIME_VERSION_SIZE 32

struct process_runtime {
        enum process_runtime_kind kind;
        char version[RUNTIME_VERSION_SIZE]; /* of Go, "1.22.3"; "" = not known */
        bool heeds_quota;               /* counts by cpu.max of its own cgroup, and of no other */
        bool follows_quota;             /* goes on doing so while it runs */
        bool is_fixed;                  /* was told its number of threads at its start */
        unsigned n_cpus;                /* it may run on; 0 = not known */
};

/**
 * process_runtime_read() - what a running process is
 * @root: stands for / ("" in production)
 *
 * Java is known by the name of its program or by libjvm.so, Go by what its linker writes into every
 * program, OpenMP by its library. What a program does about its threads by itself (a call of
 * GOMAXPROCS(), automaxprocs, an argument file of java) cannot be seen.
 *
 * Cost: some 30 system calls; at most 4 MiB of /proc/PID/maps and 1 MiB of the program's file are read.
 *
 * Return: 0; -ESRCH if it is gone, or is a thread of the kernel; -EACCES or -EPERM: only root may look
 * at it; other negative errno.
 */
int process_runtime_read(const char *root, pid_t pid, struct process_runtime *ret);

/**
 * process_runtime_count() - how many CPUs it would count, were it started now
 * @quota_usec_per_sec: cpu.max of its own cgroup, UINT64_MAX = none
 *
 * Quotas are rounded up; Go counts two at least where it may run on two.
 *
 * Return: their number; 0 = not known.
 */
unsigned process_runtime_count(const struct process_runtime *p, uint64_t quota_usec_per_sec);

/* What the Go linker says of a program. */
struct go_build {
        char version[RUNTIME_VERSION_SIZE]; /* "1.22.3"; "" = not known */
        bool heeds_quota;               /* Go 1.25, unless built for a module of an earlier one */
        bool follows_quota;
};

/**
 * go_build_read() - was this file made by Go, and by which?
 * @fd: open for reading; its offset is neither used nor changed
 *
 * Looks for the sections of an ELF file that only Go writes. Format: debug/buildinfo of Go. A program
 * without section headers is not recognised.
 *
 * Return: 1 yes; 0 no, or no ELF file of this machine's byte order, or a broken one (@ret is
 * untouched); negative errno of read.
 */
int go_build_read(int fd, struct go_build *ret);
