/* SPDX-License-Identifier: MIT */

/* A process chooses its program, its mappings, its arguments and its environment; whoever is root looks
 * at them. Every file of a process gets every input: what is a program for one is garbage for another. */

#include "platform/process_runtime.h"
#include "util/cleanup.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): a build with NDEBUG must check too. */
#define CHECK(claim)             \
        do {                     \
                if (!(claim))    \
                        abort(); \
        } while (0)

static const char *const files[] = { "exe", "maps", "cmdline", "environ", "status" };
#define N_FILES (sizeof files / sizeof files[0])
#define DIRECTORIES "/proc/7"

static char root[] = "/tmp/coalloc-fuzz.XXXXXX";

static const char *below_root(const char *directory, const char *name)
{
        static char path[128];

        CHECK((size_t)snprintf(path, sizeof path, "%s%s/%s", root, directory, name) < sizeof path);
        return path;
}

static void remove_root(void)
{
        for (size_t i = 0; i < N_FILES; i++)
                (void)unlink(below_root(DIRECTORIES, files[i]));
        (void)unlink(below_root("", "bytes"));
        (void)rmdir(below_root("", "proc/7"));
        (void)rmdir(below_root("", "proc"));
        (void)rmdir(root);
}

/* A process whose files are all one. Return: a descriptor of that one. */
static int make_root(void)
{
        CHECK(mkdtemp(root));
        CHECK(atexit(remove_root) == 0);
        CHECK(mkdir(below_root("", "proc"), 0700) == 0);
        CHECK(mkdir(below_root("", "proc/7"), 0700) == 0);
        for (size_t i = 0; i < N_FILES; i++)
                CHECK(symlink("../../bytes", below_root(DIRECTORIES, files[i])) == 0);
        int fd = open(below_root("", "bytes"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        CHECK(fd >= 0);
        return fd;
}

/* It will be printed on a terminal. */
static void check_version(const char version[RUNTIME_VERSION_SIZE])
{
        size_t length = strnlen(version, RUNTIME_VERSION_SIZE);

        CHECK(length < RUNTIME_VERSION_SIZE);
        for (size_t i = 0; i < length; i++)
                CHECK(isalnum((unsigned char)version[i]) || strchr(".-+_", version[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static int fd = -1;
        struct go_build build, untouched;
        struct process_runtime p;

        if (fd < 0)
                fd = make_root();
        CHECK(ftruncate(fd, 0) == 0);
        CHECK(pwrite(fd, data, size, 0) == (ssize_t)size);

        memset(&untouched, 0x5a, sizeof untouched);
        build = untouched;
        int r = go_build_read(fd, &build);
        CHECK(r == 0 || r == 1);
        if (r == 0)
                CHECK(memcmp(&build, &untouched, sizeof build) == 0);
        else {
                check_version(build.version);
                CHECK(*build.version || !build.heeds_quota);
        }

        CHECK(process_runtime_read(root, 7, &p) == 0);
        CHECK((p.kind == PROCESS_RUNTIME_GO) == (r == 1));
        check_version(p.version);
        CHECK(p.kind == PROCESS_RUNTIME_GO || !*p.version);
        CHECK(process_runtime_count(&p, 1500000) <= p.n_cpus);
        CHECK(process_runtime_count(&p, UINT64_MAX) == p.n_cpus);
        return 0;
}
