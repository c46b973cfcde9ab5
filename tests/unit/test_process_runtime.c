/* SPDX-License-Identifier: MIT */
#include "platform/cgroup_tree.h"
#include "platform/process_runtime.h"
#include "lib/elf_fixture.h"
#include "lib/fake_tree.h"
#include "lib/testing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct fake_tree *tree;

static void set_up(void)
{
        tree = fake_tree_new();
}

static void tear_down(void)
{
        tree = fake_tree_free(tree);
}

/* What is said of a file with these bytes; *ret is as before where that is nothing. */
static int read_bytes(const void *bytes, size_t size, struct go_build *ret)
{
        int fd = memfd_create("program", MFD_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
        int r = go_build_read(fd, ret);
        ck_assert_int_eq(close(fd), 0);
        return r;
}

static struct go_build read_go(const struct elf_fixture *f)
{
        struct elf_image e = elf_fixture(f);
        struct go_build b;

        ck_assert_int_eq(read_bytes(e.bytes, e.size, &b), 1);
        return b;
}

START_TEST(a_go_program_tells_its_version_and_what_follows_from_it)
{
        static const struct {
                const char *said, *version;
                bool heeds_quota;
        } cases[] = {
                { "go1.19.8", "1.19.8", false },
                { "go1.24", "1.24", false },
                { "go1.25", "1.25", true },
                { "go1.25rc1", "1.25rc1", true },
                { "go1.26.4-1-microsoft", "1.26.4-1-microsoft", true },
                { "go1.100", "1.100", true },
                { "go2.0", "2.0", true },
                { "go1.26.1 X:nodwarf5", "1.26.1", true },
                { "devel go1.27-2d1a2c3 Mon Jun 1", "1.27-2d1a2c3", true },
                { "devel +2d1a2c3", "", false },
                { "", "", false },
                { "go", "", false },
                { "go\033[31m1.25", "", false },
                { "go1.25.0123456789012345678901234567890123456789", "1.25.01234567890123456789012345", true },
        };

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                for (unsigned is_32 = 0; is_32 < 2; is_32++) {
                        struct go_build b = read_go(&(struct elf_fixture) { .is_32 = is_32,
                                                                            .version = cases[i].said });
                        ck_assert_str_eq(b.version, cases[i].version);
                        ck_assert_int_eq(b.heeds_quota, cases[i].heeds_quota);
                        ck_assert_int_eq(b.follows_quota, cases[i].heeds_quota);
                }
}
END_TEST

START_TEST(a_module_of_an_earlier_go_keeps_its_ways)
{
        static const struct {
                const char *module;
                bool heeds_quota, follows_quota;
        } cases[] = {
                { "", true, true },
                { "path\tx\nbuild\tDefaultGODEBUG=containermaxprocs=0,updatemaxprocs=0\nbuild\t-x=y\n", false, false },
                { "path\tx\nbuild\tDefaultGODEBUG=updatemaxprocs=0", true, false },
                { "path\tx\nbuild\tDefaultGODEBUG=a=1,containermaxprocs=0,b=0\n", false, true },
                { "path\tx\nbuild\tDefaultGODEBUG=containermaxprocs=1\n", true, true },
                { "path\tx\nbuild\tDefaultGODEBUG=xcontainermaxprocs=0,updatemaxprocs=\n", true, true },
                { "path\tx\nbuild\tDefaultGODEBUG=\n", true, true },
                { "path\tx\nbuild\tOther=containermaxprocs=0\n", true, true },
        };

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct go_build b = read_go(&(struct elf_fixture) { .version = "go1.25.1",
                                                                    .module = cases[i].module });
                ck_assert_int_eq(b.heeds_quota, cases[i].heeds_quota);
                ck_assert_int_eq(b.follows_quota, cases[i].follows_quota);
                /* No setting makes an earlier Go look at quotas. */
                b = read_go(&(struct elf_fixture) { .version = "go1.24.9", .module = cases[i].module });
                ck_assert(!b.heeds_quota && !b.follows_quota);
        }
}
END_TEST

START_TEST(a_go_program_that_does_not_tell_its_version_is_still_go)
{
        struct go_build b = read_go(&(struct elf_fixture) { .has_pclntab = true });
        ck_assert_str_eq(b.version, "");
        ck_assert(!b.heeds_quota);

        b = read_go(&(struct elf_fixture) { .version = "go1.25", .has_pointers = true });
        ck_assert_str_eq(b.version, "");
        ck_assert(!b.heeds_quota);
}
END_TEST

START_TEST(what_is_no_go_program_is_not_taken_for_one)
{
        struct go_build b, before;

        memset(&before, 0x5a, sizeof before);
        b = before;
        struct elf_image e = elf_fixture(&(struct elf_fixture) { 0 });
        ck_assert_int_eq(read_bytes(e.bytes, e.size, &b), 0);
        ck_assert_int_eq(read_bytes("#!/bin/sh\n", 10, &b), 0);
        ck_assert_int_eq(read_bytes("", 0, &b), 0);
        ck_assert_mem_eq(&b, &before, sizeof b);

        ck_assert_int_eq(go_build_read(-1, &b), -EBADF);
}
END_TEST

/* The end of the file is where the section headers are: no shorter file has them all. */
START_TEST(a_file_that_was_cut_is_no_go_program_and_harms_nobody)
{
        struct elf_image e = elf_fixture(&(struct elf_fixture) { .version = "go1.25.1" });
        struct go_build b;

        for (size_t size = 0; size < e.size; size++)
                ck_assert_int_eq(read_bytes(e.bytes, size, &b), 0);
        ck_assert_int_eq(read_bytes(e.bytes, e.size, &b), 1);
}
END_TEST

START_TEST(numbers_of_a_broken_file_lead_nowhere)
{
        static const struct elf_fixture good = { .version = "go1.25.1", .has_pclntab = true };
        const struct elf_image whole = elf_fixture(&good);
        static const uint64_t numbers[] = {
                UINT64_MAX, INT64_MAX, UINT32_MAX, INT32_MAX, 1u << 20, 0xffff, ELF_FIXTURE_SIZE_MAX
        };

        /* Any eight bytes of header and section headers, replaced by numbers too large. */
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
                for (size_t at = 0; at + 8 <= whole.size; at++) {
                        struct elf_image e = whole;
                        struct go_build b;

                        memcpy(e.bytes + at, &numbers[i], 8);
                        int r = read_bytes(e.bytes, e.size, &b);
                        ck_assert(r == 0 || r == 1);
                        if (r == 1)
                                ck_assert_ptr_nonnull(memchr(b.version, 0, sizeof b.version));
                }

        /* Those that would lead far outside, one by one. */
        struct elf_image e = whole;
        struct go_build b;
        Elf64_Ehdr *h = (Elf64_Ehdr *)(void *)e.bytes;
        h->e_shoff = UINT64_MAX - 100;
        ck_assert_int_eq(read_bytes(e.bytes, e.size, &b), 0);
        h->e_shoff = whole.sections_at;
        h->e_shnum = 60000;
        ck_assert_int_eq(read_bytes(e.bytes, e.size, &b), 0);
        h->e_shnum = 3;
        h->e_shstrndx = 3;
        ck_assert_int_eq(read_bytes(e.bytes, e.size, &b), 0);
        h->e_shstrndx = 0;
        h->e_shentsize = 1;
        ck_assert_int_eq(read_bytes(e.bytes, e.size, &b), 0);
        h->e_shentsize = sizeof(Elf64_Shdr);
        h->e_ident[EI_DATA] ^= 3;
        ck_assert_int_eq(read_bytes(e.bytes, e.size, &b), 0);
        h->e_ident[EI_DATA] ^= 3;
        ck_assert_int_eq(read_bytes(e.bytes, e.size, &b), 1);
}
END_TEST

/* ---- processes --------------------------------------------------------------------------------------- */

static void write_strings(const char *path, const char *const strings[])
{
        char text[512];
        size_t n = 0;

        for (size_t i = 0; strings && strings[i]; i++) {
                size_t size = strlen(strings[i]) + 1;
                memcpy(text + n, strings[i], size);
                n += size;
        }
        fake_tree_write_bytes(tree, path, text, n);
}

/* A process 7 of a program that is not there, which may run on CPUs 0 to 3. */
static void make_process(const char *program)
{
        char path[512];

        fake_tree_remove(tree, "proc/7");
        fake_tree_mkdir(tree, "proc/7");
        (void)snprintf(path, sizeof path, "%s/proc/7/exe", fake_tree_root(tree));
        ck_assert_int_eq(symlink(program, path), 0);
        fake_tree_write(tree, "proc/7/status", "Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t0-3\n");
        fake_tree_write(tree, "proc/7/maps", "%s", "");
        write_strings("proc/7/cmdline", NULL);
        write_strings("proc/7/environ", NULL);
}

static struct process_runtime read_process(void)
{
        struct process_runtime p;

        ck_assert_int_eq(process_runtime_read(fake_tree_root(tree), 7, &p), 0);
        return p;
}

/* The same of a Go program. */
static void make_go(const char *version, const char *module)
{
        struct elf_image e = elf_fixture(&(struct elf_fixture) { .version = version, .module = module });
        char program[512];

        (void)snprintf(program, sizeof program, "%s/program", fake_tree_root(tree));
        fake_tree_write_bytes(tree, "program", e.bytes, e.size);
        make_process(program);
}

START_TEST(java_is_known_by_its_program_or_its_library)
{
        static const char *const programs[] = {
                "/usr/lib/jvm/java-17-openjdk-amd64/bin/java", "/opt/java (deleted)"
        };

        for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
                make_process(programs[i]);
                struct process_runtime p = read_process();
                ck_assert_int_eq(p.kind, PROCESS_RUNTIME_JAVA);
                ck_assert(p.heeds_quota && !p.follows_quota && !p.is_fixed);
                ck_assert_uint_eq(p.n_cpus, 4);
        }
        make_process("/usr/bin/jsvc");
        fake_tree_write(tree, "proc/7/maps",
                        "7f0-7f1 r-xp 0 08:01 1  /usr/lib/x86_64-linux-gnu/libgomp.so.1.0.0\n"
                        "7f2-7f3 r-xp 0 08:01 2  /usr/lib/jvm/lib/server/libjvm.so\n");
        ck_assert_int_eq(read_process().kind, PROCESS_RUNTIME_JAVA);
}
END_TEST

START_TEST(openmp_is_known_by_its_library)
{
        static const struct {
                const char *mapped;
                enum process_runtime_kind kind;
        } cases[] = {
                { "/usr/lib/x86_64-linux-gnu/libgomp.so.1.0.0", PROCESS_RUNTIME_OPENMP },
                { "/usr/lib/libgomp.so.1 (deleted)", PROCESS_RUNTIME_OPENMP },
                { "/srv/my env/numpy.libs/libgomp-a34b3233.so.1.0.0", PROCESS_RUNTIME_OPENMP },
                { "/usr/lib/llvm-14/lib/libomp.so.5", PROCESS_RUNTIME_OPENMP },
                { "/opt/intel/libiomp5.so", PROCESS_RUNTIME_OPENMP },
                { "/usr/lib/libgomp.so/other", PROCESS_RUNTIME_NONE },
                { "/usr/lib/mylibgomp.so", PROCESS_RUNTIME_NONE },
                { "[heap]", PROCESS_RUNTIME_NONE },
                { "", PROCESS_RUNTIME_NONE },
        };

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                make_process("/usr/bin/python3.11");
                fake_tree_write(tree, "proc/7/maps", "00-01 rw-p 00 00:00 0\n02-03 r-xp 00 08:01 9    %s\n",
                                cases[i].mapped);
                struct process_runtime p = read_process();
                ck_assert_int_eq(p.kind, cases[i].kind);
                ck_assert(!p.heeds_quota);
        }
}
END_TEST

START_TEST(go_is_known_by_its_program)
{
        make_go("go1.19.8", NULL);
        struct process_runtime p = read_process();
        ck_assert_int_eq(p.kind, PROCESS_RUNTIME_GO);
        ck_assert_str_eq(p.version, "1.19.8");
        ck_assert(!p.heeds_quota && !p.follows_quota);
        make_go("go1.26.0", NULL);
        p = read_process();
        ck_assert(p.heeds_quota && p.follows_quota);
}
END_TEST

START_TEST(who_was_told_its_number_of_threads_is_known)
{
        static const struct {
                enum process_runtime_kind kind;
                const char *argument, *variable;
                bool is_fixed;
        } cases[] = {
                { PROCESS_RUNTIME_JAVA, "-XX:ActiveProcessorCount=2", "A=b", true },
                { PROCESS_RUNTIME_JAVA, "-Dx=-XX:ActiveProcessorCount=2", "A=b", false },
                { PROCESS_RUNTIME_JAVA, "-Xmx1g", "JAVA_TOOL_OPTIONS=-Xint -XX:ActiveProcessorCount=2", true },
                { PROCESS_RUNTIME_JAVA, "-Xmx1g", "JDK_JAVA_OPTIONS=-XX:ActiveProcessorCount=2", true },
                { PROCESS_RUNTIME_JAVA, "-Xmx1g", "GOMAXPROCS=2", false },
                { PROCESS_RUNTIME_GO, "-XX:ActiveProcessorCount=2", "GOMAXPROCS=2", true },
                { PROCESS_RUNTIME_GO, "x", "GOMAXPROCS=", false },
                { PROCESS_RUNTIME_GO, "x", "XGOMAXPROCS=2", false },
                { PROCESS_RUNTIME_GO, "GOMAXPROCS=2", "OMP_NUM_THREADS=2", false },
                { PROCESS_RUNTIME_OPENMP, "x", "OMP_NUM_THREADS=2,1", true },
                { PROCESS_RUNTIME_OPENMP, "x", "OMP_THREAD_LIMIT=2", true },
                { PROCESS_RUNTIME_OPENMP, "x", "OMP_NUM_THREADS=", false },
                { PROCESS_RUNTIME_OPENMP, "x", "GOMAXPROCS=2", false },
        };

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                if (cases[i].kind == PROCESS_RUNTIME_GO)
                        make_go("go1.25", NULL);
                else
                        make_process(cases[i].kind == PROCESS_RUNTIME_JAVA ? "/bin/java" : "/bin/x");
                if (cases[i].kind == PROCESS_RUNTIME_OPENMP)
                        fake_tree_write(tree, "proc/7/maps", "0-1 r-xp 0 0:1 1 /lib/libgomp.so.1\n");
                write_strings("proc/7/cmdline", (const char *[]) { "x", cases[i].argument, NULL });
                write_strings("proc/7/environ", (const char *[]) { "PATH=/bin", cases[i].variable, NULL });
                struct process_runtime p = read_process();
                ck_assert_int_eq(p.kind, cases[i].kind);
                ck_assert_msg(p.is_fixed == cases[i].is_fixed, "case %zu", i);
        }
}
END_TEST

START_TEST(godebug_switches_what_a_later_go_looks_at)
{
        static const char old_module[] = "path\tx\nbuild\tDefaultGODEBUG=containermaxprocs=0,updatemaxprocs=0\n";

        make_go("go1.25", NULL);
        write_strings("proc/7/environ", (const char *[]) { "GODEBUG=updatemaxprocs=0,x=1", NULL });
        struct process_runtime p = read_process();
        ck_assert(p.heeds_quota && !p.follows_quota);
        make_go("go1.25", old_module);
        ck_assert(!read_process().heeds_quota);
        write_strings("proc/7/environ", (const char *[]) { "GODEBUG=containermaxprocs=1", NULL });
        ck_assert(read_process().heeds_quota);
        make_go("go1.24", NULL);
        write_strings("proc/7/environ", (const char *[]) { "GODEBUG=containermaxprocs=1", NULL });
        ck_assert(!read_process().heeds_quota);
}
END_TEST

START_TEST(a_process_that_went_or_is_the_kernels_is_no_failure)
{
        struct process_runtime p;

        ck_assert_int_eq(process_runtime_read(fake_tree_root(tree), 7, &p), -ESRCH);
        fake_tree_write(tree, "proc/7/status", "Name:\tkthreadd\n");
        ck_assert_int_eq(process_runtime_read(fake_tree_root(tree), 7, &p), -ESRCH);
}
END_TEST

START_TEST(cpus_that_are_not_online_do_not_count)
{
        make_process("/bin/java");
        fake_tree_write(tree, "proc/7/status", "Cpus_allowed_list:\t0-127\n");
        ck_assert_uint_eq(read_process().n_cpus, 4);
        fake_tree_write(tree, "proc/7/status", "Cpus_allowed_list:\t0,2\n");
        ck_assert_uint_eq(read_process().n_cpus, 2);
        fake_tree_write(tree, "proc/7/status", "Cpus_allowed_list:\tall\n");
        ck_assert_uint_eq(read_process().n_cpus, 0);
        fake_tree_remove(tree, "proc/7/status");
        ck_assert_uint_eq(read_process().n_cpus, 0);
}
END_TEST

START_TEST(quotas_count_as_each_runtime_counts_them)
{
        static const struct {
                enum process_runtime_kind kind;
                bool heeds_quota;
                unsigned n_cpus;
                uint64_t quota_usec_per_sec;
                unsigned n_counted;
        } cases[] = {
                { PROCESS_RUNTIME_JAVA, true, 4, UINT64_MAX, 4 },
                { PROCESS_RUNTIME_JAVA, true, 4, 2000000, 2 },
                { PROCESS_RUNTIME_JAVA, true, 4, 2000001, 3 },
                { PROCESS_RUNTIME_JAVA, true, 4, 500000, 1 },
                { PROCESS_RUNTIME_JAVA, true, 4, 9000000, 4 },
                { PROCESS_RUNTIME_JAVA, true, 4, UINT64_MAX - 1, 4 },
                { PROCESS_RUNTIME_JAVA, true, 0, 500000, 0 },
                { PROCESS_RUNTIME_GO, true, 4, 500000, 2 },
                { PROCESS_RUNTIME_GO, true, 1, 500000, 1 },
                { PROCESS_RUNTIME_GO, true, 4, 2500000, 3 },
                { PROCESS_RUNTIME_GO, false, 4, 500000, 4 },
                { PROCESS_RUNTIME_OPENMP, false, 4, 500000, 4 },
        };

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct process_runtime p = { .kind = cases[i].kind, .heeds_quota = cases[i].heeds_quota,
                                             .n_cpus = cases[i].n_cpus };
                ck_assert_uint_eq(process_runtime_count(&p, cases[i].quota_usec_per_sec), cases[i].n_counted);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("process_runtime");
        TCase *programs = tcase_create("programs");
        TCase *processes = tcase_create("processes");

        tcase_add_test(programs, a_go_program_tells_its_version_and_what_follows_from_it);
        tcase_add_test(programs, a_module_of_an_earlier_go_keeps_its_ways);
        tcase_add_test(programs, a_go_program_that_does_not_tell_its_version_is_still_go);
        tcase_add_test(programs, what_is_no_go_program_is_not_taken_for_one);
        tcase_add_test(programs, a_file_that_was_cut_is_no_go_program_and_harms_nobody);
        tcase_add_test(programs, numbers_of_a_broken_file_lead_nowhere);
        suite_add_tcase(suite, programs);

        tcase_add_checked_fixture(processes, set_up, tear_down);
        tcase_add_test(processes, java_is_known_by_its_program_or_its_library);
        tcase_add_test(processes, openmp_is_known_by_its_library);
        tcase_add_test(processes, go_is_known_by_its_program);
        tcase_add_test(processes, who_was_told_its_number_of_threads_is_known);
        tcase_add_test(processes, godebug_switches_what_a_later_go_looks_at);
        tcase_add_test(processes, a_process_that_went_or_is_the_kernels_is_no_failure);
        tcase_add_test(processes, cpus_that_are_not_online_do_not_count);
        tcase_add_test(processes, quotas_count_as_each_runtime_counts_them);
        suite_add_tcase(suite, processes);
        return testing_run(suite);
}
