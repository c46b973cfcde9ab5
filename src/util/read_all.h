/* SPDX-License-Identifier: MIT */
#pragma once

/* A file, or what comes through a pipe, as one piece of memory. */

#include <stddef.h>

/**
 * read_all() - read from a descriptor to its end
 * @size_max: more than this is not wanted
 * @ret:      for free(); a NUL stands behind the last byte
 *
 * Return: 0; -EFBIG: there is more than @size_max; -ENOMEM; negative errno of read().
 */
int read_all(int fd, size_t size_max, char **ret, size_t *ret_size);
