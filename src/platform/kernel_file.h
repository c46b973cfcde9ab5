/* SPDX-License-Identifier: MIT */
#pragma once

/* Small files that the kernel writes, read whole with one call; and directories opened without
 * leaving the tree they are in. */

#include <stddef.h>
#include <sys/stat.h>

/* What one read must hold: cpu.stat has about 300 bytes and a page is what the kernel prints into. */
#define KERNEL_FILE_SIZE 4096

/* The beginning of an open file, up to @size bytes. The kernel makes the text anew for every read
 * from 0. Return: 0; negative errno (-ENODEV: the cgroup is gone, the descriptor never revives). */
int kernel_file_read(int fd, char *buffer, size_t size, size_t *ret_length);

/* Opens, reads, closes: for what is read seldom. @dir_fd: as in openat(2). Return: 0; negative errno. */
int kernel_file_read_at(int dir_fd, const char *path, char *buffer, size_t size, size_t *ret_length);

/**
 * kernel_file_open_beneath() - open a directory without leaving @dir_fd
 * @path: relative; leading slashes do not count, empty means @dir_fd itself
 *
 * One openat2() that follows neither ".." out of the tree nor any symlink. Where that call is not
 * there (before 5.6) or forbidden (a sandbox), component by component with the same result, but that
 * ".." is refused everywhere.
 *
 * Return: 0 with an O_PATH descriptor and what fstat says of it; -EXDEV if the path would leave;
 * -ELOOP for a symlink; -ENOTDIR; other negative errno.
 */
int kernel_file_open_beneath(int dir_fd, const char *path, int *ret_fd, struct stat *ret_stat);
