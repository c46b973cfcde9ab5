/* SPDX-License-Identifier: MIT */
#pragma once

/* Small text files of our own that must never be half a file: units in /run/coalloc, credits in
 * /var/lib/coalloc.
 *
 * Written whole to NAME.new, synced and renamed, so that a crash at any byte leaves the old or the new
 * file. The last line is a seal, `checksum 0123456789abcdef`: FNV-1a (64 bit) of all that stands
 * before it. It guards against accidents (a file system that lost a block, an editor), not against
 * root, in whose directory the file lies; each of its steps is a bijection of the state, so no single
 * changed byte goes unseen, and it needs no table. What does not fit is put aside as NAME.bad by
 * whoever reads it, never guessed at. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/unit_name.h"

/* ---- text ------------------------------------------------------------------------------------- */

/**
 * sealed_text_finish() - append the seal and close
 * @f: of open_memstream(@text, @length); closed in any case
 *
 * Return: 0; -ENOMEM: @text is freed and NULL.
 */
int sealed_text_finish(FILE *f, char **text, size_t *length);

/* What is left to read. Bytes, not a string: a NUL is just another wrong byte. */
struct cursor {
        const char *at;
        const char *end;
};

/* The text before its seal. Return: 0; -EBADMSG if the seal does not fit. */
int sealed_text_open(const char *text, size_t length, struct cursor *ret);

/* Steps over a literal, if it stands here. */
bool cursor_take(struct cursor *c, const char *literal);
/* Steps over the name of a slice, service or scope, which a space or the end of the line ends. */
bool cursor_take_unit(struct cursor *c, char ret[static UNIT_NAME_LENGTH_MAX + 1]);

/* ---- files ------------------------------------------------------------------------------------ */

/* Opens the directory, making it 0755 if it is missing. Return: its descriptor; negative errno. */
int sealed_file_open_directory(const char *directory);

/**
 * sealed_file_read() - all of a file, its seal not looked at yet
 * @ret_text: for free()
 *
 * Return: 0; -ENOENT; -EBADMSG for something that cannot be our file (a link, a FIFO, more than
 * @size_max bytes); negative errno.
 */
int sealed_file_read(int directory_fd, const char *name, size_t size_max, char **ret_text,
                     size_t *ret_length);

/* NAME becomes NAME.bad, for whoever wants to know; only the latest, so that they cannot pile up. */
int sealed_file_put_aside(int directory_fd, const char *name);

/* Replaces the file, or removes it where @text is NULL. When it returns 0, what is on the disk is this
 * text; otherwise the file that was there is there still. */
int sealed_file_replace(const char *directory, const char *name, const char *text, size_t length);
