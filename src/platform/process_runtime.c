/* SPDX-License-Identifier: MIT */
#include "platform/process_runtime.h"

#include "platform/kernel_file.h"
#include "platform/kernel_text.h"
#include "util/cleanup.h"
#include "util/read_all.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* What is read at most. Go programs have some 30 sections and 20 KiB of build information, a large
 * Java service 5,000 mappings of 100 bytes; the kernel bounds an environment by a quarter of the
 * stack's limit, of which nobody uses more than a few KiB. */
#define SECTIONS_MAX 512
#define NAMES_SIZE_MAX (64 * 1024)
#define BUILDINFO_SIZE_MAX (512 * 1024)
#define MAPS_SIZE_MAX (4 * 1024 * 1024)
#define STRINGS_SIZE_MAX (1024 * 1024)

const char *process_runtime_kind_to_string(enum process_runtime_kind kind)
{
        static const char *const names[] = {
                [PROCESS_RUNTIME_NONE] = "none",
                [PROCESS_RUNTIME_JAVA] = "java",
                [PROCESS_RUNTIME_GO] = "go",
                [PROCESS_RUNTIME_OPENMP] = "openmp",
        };
        return kind >= 0 && kind < _PROCESS_RUNTIME_MAX ? names[kind] : "none";
}

/* ---- ELF ------------------------------------------------------------------------------------------- */

/* Return: 1; 0 if the file is shorter; negative errno. */
static int read_exactly(int fd, uint64_t offset, void *buffer, size_t size)
{
        size_t n_read = 0;

        if (offset > INT64_MAX - size)
                return 0;
        while (n_read < size) {
                ssize_t n = pread(fd, (char *)buffer + n_read, size - n_read, (off_t)(offset + n_read));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return 0;
                n_read += (size_t)n;
        }
        return 1;
}

/* The same into memory of its own, for free(), with a NUL behind. */
static int read_piece(int fd, uint64_t offset, uint64_t size, uint64_t size_max, char **ret)
{
        if (size > size_max)
                return 0;
        _cleanup_free_ char *piece = malloc((size_t)size + 1);
        if (!piece)
                return -ENOMEM;
        int r = read_exactly(fd, offset, piece, (size_t)size);
        if (r <= 0)
                return r;
        piece[size] = '\0';
        *ret = TAKE_PTR(piece);
        return 1;
}

struct elf {
        int fd;
        bool is_64;
        uint64_t sections_at;
        size_t section_size;
        unsigned n_sections, i_names;
};

struct elf_section {
        uint32_t name, type;
        uint64_t at, size;
};

static int elf_open(int fd, struct elf *ret)
{
        static const unsigned char our_data = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB
                                                                                        : ELFDATA2MSB;
        union {
                unsigned char ident[EI_NIDENT];
                Elf32_Ehdr e32;
                Elf64_Ehdr e64;
        } h;

        int r = read_exactly(fd, 0, h.ident, sizeof h.ident);
        if (r <= 0)
                return r;
        if (memcmp(h.ident, ELFMAG, SELFMAG) != 0 || h.ident[EI_DATA] != our_data ||
            (h.ident[EI_CLASS] != ELFCLASS32 && h.ident[EI_CLASS] != ELFCLASS64))
                return 0;

        struct elf e = { .fd = fd, .is_64 = h.ident[EI_CLASS] == ELFCLASS64 };
        r = read_exactly(fd, 0, &h, e.is_64 ? sizeof h.e64 : sizeof h.e32);
        if (r <= 0)
                return r;
        e.sections_at = e.is_64 ? h.e64.e_shoff : h.e32.e_shoff;
        e.section_size = e.is_64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
        e.n_sections = e.is_64 ? h.e64.e_shnum : h.e32.e_shnum;
        e.i_names = e.is_64 ? h.e64.e_shstrndx : h.e32.e_shstrndx;
        if ((e.is_64 ? h.e64.e_shentsize : h.e32.e_shentsize) != e.section_size ||
            e.n_sections > SECTIONS_MAX || e.i_names >= e.n_sections || e.sections_at > INT64_MAX / 2)
                return 0;
        *ret = e;
        return 1;
}

static int elf_section(const struct elf *e, unsigned i, struct elf_section *ret)
{
        union {
                Elf32_Shdr s32;
                Elf64_Shdr s64;
        } s;

        int r = read_exactly(e->fd, e->sections_at + i * e->section_size, &s, e->section_size);
        if (r <= 0)
                return r;
        *ret = e->is_64 ? (struct elf_section) { s.s64.sh_name, s.s64.sh_type, s.s64.sh_offset,
                                                 s.s64.sh_size }
                        : (struct elf_section) { s.s32.sh_name, s.s32.sh_type, s.s32.sh_offset,
                                                 s.s32.sh_size };
        return 1;
}

/* ---- Go ---------------------------------------------------------------------------------------------- */

/* debug/buildinfo: the header, then from byte 32 on the version and the module's description, each
 * with its length before it as a base-128 number. */
#define BUILDINFO_MAGIC "\xff Go buildinf:"
#define BUILDINFO_HEADER_SIZE 32
#define BUILDINFO_FLAGS_AT 15
#define BUILDINFO_FLAG_INLINE 2         /* since Go 1.18; before, there were pointers */

/* Takes one string off the front. Return: false if there is none. */
static bool take_string(const char **at, size_t *left, const char **ret, size_t *ret_length)
{
        uint64_t length = 0;

        for (unsigned shift = 0; shift < 35; shift += 7) {
                if (*left == 0)
                        return false;
                unsigned char byte = (unsigned char)**at;
                (*at)++;
                (*left)--;
                length |= (uint64_t)(byte & 0x7f) << shift;
                if (byte & 0x80)
                        continue;
                if (length > *left)
                        return false;
                *ret = *at;
                *ret_length = (size_t)length;
                *at += length;
                *left -= (size_t)length;
                return true;
        }
        return false;
}

/* Is @name switched off in a list as GODEBUG has it, "a=0,b=1"? The last one counts. */
static bool is_switched_off(const char *list, size_t length, const char *name, bool otherwise)
{
        size_t n = strlen(name);
        bool is_off = otherwise;

        for (size_t i = 0; i < length;) {
                const char *comma = memchr(list + i, ',', length - i);
                size_t end = comma ? (size_t)(comma - list) : length;

                if (end - i == n + 2 && memcmp(list + i, name, n) == 0 && list[i + n] == '=')
                        is_off = list[i + n + 1] == '0';
                i = end + 1;
        }
        return is_off;
}

static void apply_godebug(const char *list, size_t length, bool *heeds_quota, bool *follows_quota)
{
        *heeds_quota = !is_switched_off(list, length, "containermaxprocs", !*heeds_quota);
        *follows_quota = !is_switched_off(list, length, "updatemaxprocs", !*follows_quota);
}

/* Go 1.25 was the first to look at a quota. */
static bool knows_quota(const char *version)
{
        unsigned major, minor;

        return sscanf(version, "%3u.%4u", &major, &minor) == 2 && (major > 1 || minor >= 25);
}

/* "go1.22.3 X:...", "devel go1.26-1234 ...": the number of it, and what follows from it. */
static void judge_version(const char *text, size_t length, struct go_build *b)
{
        static const char prefix[] = "go";
        size_t n = 0;

        const char *go = memmem(text, length, prefix, sizeof prefix - 1);
        if (!go)
                return;
        go += sizeof prefix - 1;
        length -= (size_t)(go - text);
        /* Nothing but what a version has: it will be printed. */
        while (n < length && n + 1 < sizeof b->version &&
               (isalnum((unsigned char)go[n]) || strchr(".-+_", go[n])) && go[n] != '\0') {
                b->version[n] = go[n];
                n++;
        }
        b->version[n] = '\0';
        b->heeds_quota = b->follows_quota = knows_quota(b->version);
}

/* What a module built for an earlier Go keeps of its ways: a line "build\tDefaultGODEBUG=LIST". */
static void judge_module(const char *text, size_t length, struct go_build *b)
{
        static const char key[] = "\nbuild\tDefaultGODEBUG=";

        const char *list = memmem(text, length, key, sizeof key - 1);
        if (!list)
                return;
        list += sizeof key - 1;
        length -= (size_t)(list - text);
        const char *end = memchr(list, '\n', length);
        apply_godebug(list, end ? (size_t)(end - list) : length, &b->heeds_quota, &b->follows_quota);
}

static void judge_buildinfo(const char *text, size_t size, struct go_build *b)
{
        const char *piece;
        size_t length;

        if (size < BUILDINFO_HEADER_SIZE ||
            memcmp(text, BUILDINFO_MAGIC, sizeof BUILDINFO_MAGIC - 1) != 0 ||
            !(text[BUILDINFO_FLAGS_AT] & BUILDINFO_FLAG_INLINE))
                return; /* before 1.18: knows no quota */
        text += BUILDINFO_HEADER_SIZE;
        size -= BUILDINFO_HEADER_SIZE;
        if (!take_string(&text, &size, &piece, &length))
                return;
        judge_version(piece, length, b);
        if (b->heeds_quota && take_string(&text, &size, &piece, &length))
                judge_module(piece, length, b);
}

int go_build_read(int fd, struct go_build *ret)
{
        static const char buildinfo[] = ".go.buildinfo", pclntab[] = ".gopclntab";
        _cleanup_free_ char *names = NULL;
        struct elf_section s;
        struct go_build b = { 0 };
        bool is_go = false;
        struct elf e;

        int r = elf_open(fd, &e);
        if (r > 0)
                r = elf_section(&e, e.i_names, &s);
        if (r > 0)
                r = s.type == SHT_STRTAB ? read_piece(fd, s.at, s.size, NAMES_SIZE_MAX, &names) : 0;
        if (r <= 0)
                return r;
        size_t names_size = (size_t)s.size;

        for (unsigned i = 0; i < e.n_sections; i++) {
                r = elf_section(&e, i, &s);
                if (r < 0)
                        return r;
                if (r == 0)
                        break;
                if (s.name >= names_size)
                        continue;
                /* A NUL stands behind the last name. */
                if (strcmp(names + s.name, buildinfo) == 0) {
                        _cleanup_free_ char *text = NULL;

                        is_go = true;
                        r = s.type == SHT_NOBITS
                                  ? 0 : read_piece(fd, s.at, s.size, BUILDINFO_SIZE_MAX, &text);
                        if (r < 0)
                                return r;
                        if (r > 0)
                                judge_buildinfo(text, (size_t)s.size, &b);
                        break;
                }
                /* Some strip the one and nobody can strip the other: Go needs it to run. */
                is_go |= strcmp(names + s.name, pclntab) == 0;
        }
        if (!is_go)
                return 0;
        *ret = b;
        return 1;
}

/* ---- processes --------------------------------------------------------------------------------------- */

/* Is this the last component of a path, whatever follows it in the line: " (deleted)", ".so.1.2.3"? */
static bool has_name(const char *path, const char *name, bool whole)
{
        const char *slash = strrchr(path, '/');
        size_t n = strlen(name);

        path = slash ? slash + 1 : path;
        return strncmp(path, name, n) == 0 && (!whole || path[n] == '\0' || path[n] == ' ');
}

static FILE *open_text(const char *directory, const char *name)
{
        char path[PATH_MAX];

        if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) >= sizeof path) {
                errno = ENAMETOOLONG;
                return NULL;
        }
        return fopen(path, "re");
}

/* A library of a runtime among what is mapped: /proc/PID/maps has one line for each piece. */
static int find_library(const char *directory, enum process_runtime_kind *ret)
{
        _cleanup_fclose_ FILE *f = open_text(directory, "maps");
        enum process_runtime_kind kind = PROCESS_RUNTIME_NONE;
        char line[PATH_MAX + 128];
        size_t n_read = 0;

        if (!f)
                return -errno;
        while (n_read < MAPS_SIZE_MAX && kind != PROCESS_RUNTIME_JAVA && fgets(line, sizeof line, f)) {
                n_read += strlen(line);
                const char *path = strchr(line, '/');
                if (!path)
                        continue;
                if (has_name(path, "libjvm.so", false))
                        kind = PROCESS_RUNTIME_JAVA;
                /* GCC's, also under the names that Python's packages give it; LLVM's; Intel's. */
                else if (has_name(path, "libgomp", false) || has_name(path, "libomp.so", false) ||
                         has_name(path, "libiomp", false))
                        kind = PROCESS_RUNTIME_OPENMP;
        }
        *ret = kind;
        return 0;
}

/* Calls @each with every string of a file of strings that end in NUL, such as environ. */
static int each_string(const char *directory, const char *name,
                       void (*each)(struct process_runtime *p, const char *string),
                       struct process_runtime *p)
{
        _cleanup_fclose_ FILE *f = open_text(directory, name);
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (!f)
                return -errno;
        int r = read_all(fileno(f), STRINGS_SIZE_MAX, &text, &size);
        if (r < 0)
                return r == -EFBIG ? 0 : r;
        for (size_t i = 0; i < size; i += strlen(text + i) + 1)
                each(p, text + i);
        return 0;
}

static const char *value_of(const char *string, const char *name)
{
        size_t n = strlen(name);

        return strncmp(string, name, n) == 0 && string[n] == '=' ? string + n + 1 : NULL;
}

#define JAVA_OPTION "-XX:ActiveProcessorCount="

static void look_at_argument(struct process_runtime *p, const char *string)
{
        if (p->kind == PROCESS_RUNTIME_JAVA && strncmp(string, JAVA_OPTION, strlen(JAVA_OPTION)) == 0)
                p->is_fixed = true;
}

static void look_at_variable(struct process_runtime *p, const char *string)
{
        static const char *const java[] = { "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS" };
        const char *value;

        switch (p->kind) {
        case PROCESS_RUNTIME_JAVA:
                for (size_t i = 0; i < sizeof java / sizeof java[0]; i++)
                        if ((value = value_of(string, java[i])) && strstr(value, JAVA_OPTION))
                                p->is_fixed = true;
                break;
        case PROCESS_RUNTIME_GO:
                if ((value = value_of(string, "GOMAXPROCS")) && isdigit((unsigned char)*value))
                        p->is_fixed = true;
                else if (knows_quota(p->version) && (value = value_of(string, "GODEBUG")))
                        apply_godebug(value, strlen(value), &p->heeds_quota, &p->follows_quota);
                break;
        case PROCESS_RUNTIME_OPENMP:
                if ((value = value_of(string, "OMP_NUM_THREADS")) ||
                    (value = value_of(string, "OMP_THREAD_LIMIT")))
                        p->is_fixed |= isdigit((unsigned char)*value) != 0;
                break;
        case PROCESS_RUNTIME_NONE:
        case _PROCESS_RUNTIME_MAX:
                break;
        }
}

/* The CPUs that are online and that the first thread may run on; 0 = not known. The kernel's list for
 * a thread has CPUs in it that could be plugged in one day. */
static unsigned count_cpus(const char *root, const char *directory)
{
        char path[PATH_MAX], text[KERNEL_FILE_SIZE];
        static const char key[] = "Cpus_allowed_list:";
        _cleanup_fclose_ FILE *f = open_text(directory, "status");
        char line[KERNEL_FILE_SIZE];
        unsigned n = 0, n_online;
        size_t length;

        while (f && fgets(line, sizeof line, f)) {
                if (strncmp(line, key, sizeof key - 1) != 0)
                        continue;
                const char *list = line + sizeof key - 1;
                list += strspn(list, " \t");
                if (kernel_text_cpu_list(list, strlen(list), &n) < 0)
                        n = 0;
                break;
        }
        if ((size_t)snprintf(path, sizeof path, "%s/sys/devices/system/cpu/online", root) < sizeof path &&
            kernel_file_read_at(AT_FDCWD, path, text, sizeof text, &length) == 0 &&
            kernel_text_cpu_list(text, length, &n_online) == 0 && n_online < n)
                n = n_online;
        return n;
}

/* Return: 1 Go, 0 no, negative errno. */
static int look_at_program(const char *directory, struct process_runtime *p)
{
        char path[PATH_MAX];
        struct go_build b;
        struct stat st;

        if ((size_t)snprintf(path, sizeof path, "%s/exe", directory) >= sizeof path)
                return -ENAMETOOLONG;
        /* In /proc this is never but a regular file; should it be a pipe, we must not wait for it. */
        _cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return 0;
        int r = go_build_read(fd, &b);
        if (r <= 0)
                return r;
        p->kind = PROCESS_RUNTIME_GO;
        memcpy(p->version, b.version, sizeof p->version);
        p->heeds_quota = b.heeds_quota;
        p->follows_quota = b.follows_quota;
        return 1;
}

static int gone(int error)
{
        return error == -ENOENT ? -ESRCH : error;
}

int process_runtime_read(const char *root, pid_t pid, struct process_runtime *ret)
{
        struct process_runtime p = { .kind = PROCESS_RUNTIME_NONE };
        char directory[PATH_MAX], path[PATH_MAX + 4], program[PATH_MAX];
        int r;

        if ((size_t)snprintf(directory, sizeof directory, "%s/proc/%ld", root, (long)pid) >=
            sizeof directory)
                return -ENAMETOOLONG;
        (void)snprintf(path, sizeof path, "%s/exe", directory);
        ssize_t n = readlink(path, program, sizeof program - 1);
        if (n < 0)
                return gone(-errno);
        program[n] = '\0';

        if (has_name(program, "java", true))
                p.kind = PROCESS_RUNTIME_JAVA;
        else {
                /* A program that was removed while it runs, or sits on a file system that is away, can
                 * still have its libraries looked at. */
                r = look_at_program(directory, &p);
                if (r == -EACCES || r == -EPERM)
                        return r;
                if (r <= 0) {
                        r = find_library(directory, &p.kind);
                        if (r < 0)
                                return gone(r);
                }
        }
        if (p.kind == PROCESS_RUNTIME_JAVA)
                p.heeds_quota = true;
        if (p.kind != PROCESS_RUNTIME_NONE) {
                r = each_string(directory, "cmdline", look_at_argument, &p);
                if (r == 0)
                        r = each_string(directory, "environ", look_at_variable, &p);
                if (r < 0)
                        return gone(r);
                p.n_cpus = count_cpus(root, directory);
        }
        *ret = p;
        return 0;
}

unsigned process_runtime_count(const struct process_runtime *p, uint64_t quota_usec_per_sec)
{
        if (!p->heeds_quota || p->n_cpus == 0 || quota_usec_per_sec == UINT64_MAX)
                return p->n_cpus;

        uint64_t n = quota_usec_per_sec / 1000000 + (quota_usec_per_sec % 1000000 > 0);
        uint64_t n_least = p->kind == PROCESS_RUNTIME_GO ? 2 : 1;
        if (n < n_least)
                n = n_least;
        return n < p->n_cpus ? (unsigned)n : p->n_cpus;
}
