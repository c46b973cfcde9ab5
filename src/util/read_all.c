/* SPDX-License-Identifier: MIT */
#include "util/read_all.h"

#include "util/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Drop-ins and most configurations fit; a file of the largest size costs sixteen copies. */
#define FIRST_SIZE 4096

int read_all(int fd, size_t size_max, char **ret, size_t *ret_size)
{
        _cleanup_free_ char *text = NULL;
        size_t size = 0, room = 0;

        for (;;) {
                if (size == room) {
                        room = room > 0 ? 2 * room : FIRST_SIZE;
                        char *larger = realloc(text, room + 1);
                        if (!larger)
                                return -ENOMEM;
                        text = larger;
                }
                ssize_t n = read(fd, text + size, room - size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t)n;
                if (size > size_max)
                        return -EFBIG;
        }
        text[size] = '\0';

        /* What is kept for long is kept in what it needs. */
        char *exact = realloc(text, size + 1);
        if (exact)
                text = exact;
        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}
