/* SPDX-License-Identifier: MIT */

/* main() for fuzz targets where there is no fuzzer: runs every file of the target's corpus, then
 * mutations of them from a printed seed (COALLOC_SEED= repeats one). With arguments it runs these
 * files only: how to look at what a fuzzer found. Speaks TAP.
 *
 * fuzz_NAME finds its corpus in tests/fuzz/corpus/NAME. */

#include "lib/testing.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#define N_MUTATIONS 4000
#define INPUT_SIZE_MAX (64 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
        uint8_t *data;
        size_t size;
};

static _Noreturn void bail_out(const char *what, const char *path)
{
        printf("Bail out! Could not %s %s: %s\n", what, path, strerror(errno));
        exit(EXIT_FAILURE);
}

static void *xrealloc(void *old, size_t size)
{
        void *p = realloc(old, size > 0 ? size : 1);
        if (!p)
                bail_out("allocate", "memory");
        return p;
}

static struct input read_input(const char *path)
{
        struct input in = { .data = xrealloc(NULL, INPUT_SIZE_MAX) };
        FILE *f = fopen(path, "rbe");

        if (!f)
                bail_out("open", path);
        in.size = fread(in.data, 1, INPUT_SIZE_MAX, f);
        if (ferror(f))
                bail_out("read", path);
        fclose(f);
        return in;
}

/* In a block of exactly its size, so that a sanitizer sees one byte too far. */
static void run(const struct input *in)
{
        uint8_t *exact = xrealloc(NULL, in->size);
        if (in->size > 0)
                memcpy(exact, in->data, in->size);
        (void)LLVMFuzzerTestOneInput(exact, in->size);
        free(exact);
}

static size_t below(struct testing_random *random, size_t n)
{
        return n == 0 ? 0 : (size_t)(testing_random_u64(random) % n);
}

/* Replaces @n_old bytes at @at by @n_new others; leaves an input that would grow too long alone. */
static void splice(struct input *in, size_t at, size_t n_old, const void *bytes, size_t n_new)
{
        if (in->size - n_old + n_new > INPUT_SIZE_MAX)
                return;
        memmove(in->data + at + n_new, in->data + at + n_old, in->size - at - n_old);
        memcpy(in->data + at, bytes, n_new);
        in->size = in->size - n_old + n_new;
}

/* One change; in->data has room for INPUT_SIZE_MAX bytes. */
static void mutate(struct input *in, const struct input *other, struct testing_random *random)
{
        static const char *const words[] = {
                "", "0", "-1", "1", " ", "\n", "\r\n", "\t", "=", ",", "-", ":", "\"", "{", "}", "[", "]",
                ";", "#", "%", "\\", "max", "null", "1e308", "NaN", "inf", "0x10", "\xff\xfe", "\xc3\x28",
                "2147483648", "4294967296", "9223372036854775808", "18446744073709551615",
                "18446744073709551616", "99999999999999999999999999999999",
        };
        size_t at = below(random, in->size + 1);
        size_t n = below(random, in->size - at + 1);

        switch (below(random, 8)) {
        case 0: /* one bit */
                if (at < in->size)
                        in->data[at] ^= (uint8_t)(1u << below(random, 8));
                break;
        case 1: /* one byte */
                if (at < in->size)
                        in->data[at] = (uint8_t)testing_random_u64(random);
                break;
        case 2: /* cut the end off */
                in->size = at;
                break;
        case 3: /* take a piece out */
                splice(in, at, n, "", 0);
                break;
        case 4: { /* repeat a piece */
                uint8_t *piece = xrealloc(NULL, n);
                memcpy(piece, in->data + at, n);
                splice(in, at, 0, piece, n);
                free(piece);
                break;
        }
        case 5: { /* a piece of another input */
                size_t from = below(random, other->size + 1);
                splice(in, at, 0, other->data + from, below(random, other->size - from + 1));
                break;
        }
        default: { /* a word that often matters, in place of a few bytes or between two */
                const char *word = words[below(random, sizeof words / sizeof words[0])];
                size_t n_old = below(random, 2) ? 0 : n < 8 ? n : below(random, 8);
                splice(in, at, n_old, word, strlen(word));
                break;
        }
        }
}

static int compare_inputs(const void *a, const void *b)
{
        const struct input *x = a, *y = b;
        size_t n = x->size < y->size ? x->size : y->size;
        int r = memcmp(x->data, y->data, n);
        return r != 0 ? r : (x->size > y->size) - (x->size < y->size);
}

/* Reads every file of a directory; returns how many. */
static size_t read_corpus(const char *directory, struct input **ret_inputs)
{
        struct input *inputs = NULL;
        size_t n_inputs = 0;

        DIR *d = opendir(directory);
        if (!d)
                bail_out("open", directory);
        for (struct dirent *entry; (entry = readdir(d));) {
                char file[8192];

                if (entry->d_name[0] == '.')
                        continue;
                snprintf(file, sizeof file, "%s/%s", directory, entry->d_name);
                inputs = xrealloc(inputs, (n_inputs + 1) * sizeof *inputs);
                inputs[n_inputs++] = read_input(file);
        }
        closedir(d);
        /* The same seed shall give the same mutations whatever the directory's order. */
        if (n_inputs > 0)
                qsort(inputs, n_inputs, sizeof *inputs, compare_inputs);
        *ret_inputs = inputs;
        return n_inputs;
}

static int run_files(int n, char *paths[])
{
        printf("1..%d\n", n);
        for (int i = 0; i < n; i++) {
                struct input in = read_input(paths[i]);
                run(&in);
                free(in.data);
                printf("ok %d - %s\n", i + 1, paths[i]);
        }
        return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
        const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
        char relative[256], directory[4096];
        struct input *inputs, changed;

        if (argc > 1)
                return run_files(argc - 1, argv + 1);

        if (strncmp(name, "fuzz_", 5) == 0)
                name += 5;
        snprintf(relative, sizeof relative, "tests/fuzz/corpus/%s", name);
        snprintf(directory, sizeof directory, "%s", testing_source_path(relative));

        printf("1..2\n");
        size_t n_inputs = read_corpus(directory, &inputs);
        if (n_inputs == 0) {
                printf("not ok 1 - the corpus of %s has files\n", name);
                return EXIT_FAILURE;
        }
        fflush(stdout); /* what was said so far, in case we crash */
        for (size_t i = 0; i < n_inputs; i++)
                run(&inputs[i]);
        printf("ok 1 - every file of the corpus is survived (%zu)\n", n_inputs);
        fflush(stdout);

        struct testing_random random = { .state = testing_seed() };
        changed.data = xrealloc(NULL, INPUT_SIZE_MAX);
        for (unsigned i = 0; i < N_MUTATIONS; i++) {
                const struct input *from = &inputs[below(&random, n_inputs)];
                memcpy(changed.data, from->data, from->size);
                changed.size = from->size;
                for (size_t n = 1 + below(&random, 6); n > 0; n--)
                        mutate(&changed, &inputs[below(&random, n_inputs)], &random);
                run(&changed);
        }
        printf("ok 2 - %d mutations of them are survived\n", N_MUTATIONS);

        free(changed.data);
        for (size_t i = 0; i < n_inputs; i++)
                free(inputs[i].data);
        free(inputs);
        return EXIT_SUCCESS;
}
