/* SPDX-License-Identifier: MIT */
#pragma once

/* Inside of the configuration: what config_file.c (files and lines), config_schema.c (settings and
 * values) and config_check.c (what must hold between settings) share. */

#include "platform/config_file.h"

/* Bounds on hostile input; each is far above what a host can have. */
#define CONFIG_SERVICES_MAX 100000
#define CONFIG_PATHS_MAX 10000
#define CONFIG_PATTERNS_MAX 1000        /* every unit that appears is compared with each of them */
#define CONFIG_LIST_MAX 10000

struct config_loader {
        struct config *config;
        struct diagnostics *diag;
        unsigned n_cpus;
        const char *file;               /* being read */
        unsigned i_file;
};

/* Defaults of every key of a section. Return: 0; -ENOMEM. */
int config_set_defaults(enum config_section section, void *object, unsigned n_cpus);

/* Reads one value into its field; says what is wrong with it. An empty value means the default, and
 * for a list the empty one. @origin: where the key was set before; becomes this line. Return: 0 (findings included); -ENOMEM. */
int config_assign(struct config_loader *l, const struct config_key *key, void *object,
                  struct config_origin *origin, unsigned line, const char *value);

/* The key, or NULL; *ret_i_in_section is its place among the keys of its section. */
const struct config_key *config_key_find(enum config_section section, const char *name,
                                         size_t *ret_i_in_section);

bool config_unit_is_pattern(const char *text);

/* What must hold between settings. Return: 0 (findings included); -ENOMEM. */
int config_check(struct config_loader *l);

/* A map from names to indices: open addressing, at most half full. The names stay their owner's. */
struct config_index {
        struct {
                const char *name;       /* NULL: free */
                size_t i;
        } *slots;
        size_t n_slots;                 /* a power of two */
        size_t n_used;
};

/* Adds a name that is not in it yet. *index may be NULL at first. Return: 0; -ENOMEM. */
int config_index_add(struct config_index **index, const char *name, size_t i);
ssize_t config_index_find(const struct config_index *index, const char *name);
struct config_index *config_index_free(struct config_index *index);

/* A list of strings that ends with NULL. */
char **config_list_free(char **list);
