/* SPDX-License-Identifier: MIT */
#pragma once

/* Files of sections and settings, as people write them, read by inih.
 *
 * inih sees them through a reader of our own that counts physical lines and refuses what inih would misread
 * in silence: lines over 198 bytes, NUL bytes, continuation lines, long section names, directories. Every
 * finding has its file and line. What sections and settings mean is the caller's business. */

#include "util/diagnostic.h"

#include <stdbool.h>

/* inih's 49 bytes of section name. */
#define INI_SECTION_MAX 49
/* "Service " and this fill them. */
#define INI_NAME_MAX 41

/* 1 to INI_NAME_MAX letters, digits and _.@:- */
bool ini_name_is_valid(const char *name);

/* What is told of a file, in the order of its lines. */
struct ini_handler {
        /* `[KIND NAME]`; @name is "" where there is none, @header all that stands between the brackets.
         * Return: 0; 1: what follows is skipped until the next section; -ENOMEM: reading ends. */
        int (*on_section)(void *user, unsigned line, const char *kind, const char *name, const char *header);
        /* `name = value` inside a section that was not skipped. Return: 0; -ENOMEM: reading ends. */
        int (*on_setting)(void *user, unsigned line, const char *name, const char *value);
};

/**
 * ini_file_load() - a whole file
 * @ret: for free()
 *
 * Return: 0; 1: it cannot be used (said in @diag); 2: there is none; -ENOMEM.
 */
int ini_file_load(const char *path, char **ret, size_t *ret_size, struct diagnostics *diag);

/**
 * ini_file_parse() - tell the handler what is in it
 * @path: for findings
 *
 * Return: 0 (findings included); -ENOMEM.
 */
int ini_file_parse(const char *path, const char *data, size_t size, const struct ini_handler *handler,
                   void *user, struct diagnostics *diag);
