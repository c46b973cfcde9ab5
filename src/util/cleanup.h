/* SPDX-License-Identifier: MIT */
#pragma once

/* Ownership that ends with the scope: _cleanup_free_ and friends, and the hand-over that ends it
 * earlier. A variable so marked must be initialised where it is declared. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Makes f_p(T *p) for a destructor f(T), to be named in _cleanup_(). */
#define DEFINE_CLEANUP(type, f)                                                                    \
        static inline void f##_p(type *p)                                                          \
        {                                                                                          \
                if (*p)                                                                            \
                        f(*p);                                                                     \
        }

static inline void cleanup_free(void *p)
{
        free(*(void **)p);
}

/* No caller looks at what close() says: what must not be lost is synced before. */
static inline void cleanup_close(int *fd)
{
        if (*fd >= 0)
                (void)close(*fd);
}

static inline void cleanup_fclose(FILE **f)
{
        if (*f)
                (void)fclose(*f);
}

#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)

/* Hands a pointer or descriptor over: the value, and nothing is left behind to clean up. */
#define TAKE_PTR(p)                                                                                \
        __extension__({                                                                            \
                __typeof__(p) *_take_p = &(p);                                                     \
                __typeof__(p) _taken = *_take_p;                                                   \
                *_take_p = NULL;                                                                   \
                _taken;                                                                            \
        })

#define TAKE_FD(fd)                                                                                \
        __extension__({                                                                            \
                int *_take_fd = &(fd);                                                             \
                int _taken = *_take_fd;                                                            \
                *_take_fd = -1;                                                                    \
                _taken;                                                                            \
        })
