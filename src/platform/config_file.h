/* SPDX-License-Identifier: MIT */
#pragma once

/* The configuration: /etc/coalloc.conf, then /etc/coalloc.conf.d/ in the order of the file names.
 *
 * One table, config_keys[], says of every setting where it stands, what it looks like, its default
 * and its range. Defaults, parsing, messages and the checks of coalloc.conf(5) and conf/coalloc.conf
 * all come from it.
 *
 * Loading is all or nothing: every finding is collected with its file and line, and one error means
 * no configuration at all, so that a daemon keeps the last good one. ini_file.h says what a line is. */

#include "core/model.h"
#include "util/cleanup.h"
#include "util/diagnostic.h"
#include "util/parse.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef COALLOC_SYSCONFDIR
#define COALLOC_SYSCONFDIR "/etc"
#endif
#define CONFIG_MAIN_PATH COALLOC_SYSCONFDIR "/coalloc.conf"
#define CONFIG_DROPIN_DIR COALLOC_SYSCONFDIR "/coalloc.conf.d"

/* ---- the schema --------------------------------------------------------------------------------- */

enum config_section {
        CONFIG_MANAGER,                 /* [Manager] */
        CONFIG_SERVICE,                 /* [Service NAME] */
        CONFIG_PATH,                    /* [Path NAME] */
        _CONFIG_SECTION_MAX,
};

enum config_type {
        CONFIG_TYPE_MODE,               /* enforce | observe -> enum config_mode */
        CONFIG_TYPE_ENFORCE,            /* both | quota | weight -> enum enforce */
        CONFIG_TYPE_OVERLOAD,           /* proportional | weighted -> enum overload_rule */
        CONFIG_TYPE_BOOLEAN,            /* -> bool */
        CONFIG_TYPE_UNSIGNED,           /* -> unsigned */
        CONFIG_TYPE_DOUBLE,             /* -> double */
        CONFIG_TYPE_PERCENT,            /* -> double, 1.0 is 100 % */
        CONFIG_TYPE_CPU,                /* -> struct config_cpu */
        CONFIG_TYPE_SPAN,               /* -> uint64_t, usec; 0 is "none" where the default is empty */
        CONFIG_TYPE_SIZE,               /* -> uint64_t, bytes */
        CONFIG_TYPE_UNIT,               /* unit name or pattern -> char *, owned */
        CONFIG_TYPE_PATTERNS,           /* list of unit names and patterns -> char **, owned */
        CONFIG_TYPE_NAMES,              /* list of service names -> char **, owned */
};

enum {
        CONFIG_KEY_REQUIRED = 1 << 0,
};

/* One setting. Default and range are text as people write them and are read by the same parsers. */
struct config_key {
        enum config_section section;
        const char *name;
        enum config_type type;
        unsigned flags;
        size_t offset;                  /* in struct config, config_service or config_path */
        const char *default_text;       /* "" = none, an empty list */
        const char *min_text;           /* NULL: words, lists, names */
        const char *max_text;
        const char *word;               /* CONFIG_TYPE_CPU: what may stand in place of an amount */
        const char *doc;                /* one line */
};

extern const struct config_key config_keys[];
extern const size_t n_config_keys;

/* `Manager`, `Service`, `Path`. */
const char *config_section_to_string(enum config_section s);

/* ---- the configuration -------------------------------------------------------------------------- */

enum config_mode {
        CONFIG_MODE_ENFORCE,
        CONFIG_MODE_OBSERVE,            /* writes nothing to any unit */
        _CONFIG_MODE_MAX,
};

const char *config_mode_to_string(enum config_mode m);
/* Return: the enum value, or -EINVAL. */
int config_mode_from_string(const char *s);

/* Where something was said. */
struct config_origin {
        unsigned line;                  /* 0: nowhere, it is the default */
        unsigned i_file;                /* index into config.files */
        bool is_refused;                /* what was said is wrong: only seen while loading */
};

struct config_cpu {
        uint64_t usec_per_sec;          /* resolved: see config_resolve() */
        struct cpu_amount amount;       /* as written */
        bool is_set;                    /* false: `auto` (Capacity=), `infinity` (Max=) */
};

#define CONFIG_SERVICE_KEYS 8
#define CONFIG_PATH_KEYS 3
#define CONFIG_MANAGER_KEYS 20

struct config_service {
        char *name;
        char *unit;                     /* a unit name, or a pattern */
        bool is_pattern;
        struct config_cpu floor;        /* resolved: floor <= baseline <= max <= host */
        struct config_cpu baseline;
        struct config_cpu max;          /* is_set = false: no ceiling; resolves to the whole host */
        unsigned weight;
        uint64_t latency_target_usec;   /* 0: none */
        char **calls;                   /* names of services; ends with NULL; NULL if empty */
        double elasticity;
        struct config_origin origin;    /* its first section header */
        struct config_origin last_header;
        struct config_origin key_origins[CONFIG_SERVICE_KEYS]; /* in the order of config_keys[] */
};

struct config_path {
        char *name;
        char **services;                /* names; ends with NULL */
        uint64_t latency_target_usec;   /* 0: none */
        unsigned weight;
        struct config_origin origin;    /* its first section header */
        struct config_origin last_header;
        struct config_origin key_origins[CONFIG_PATH_KEYS];
};

struct config {
        enum config_mode mode;
        enum enforce enforce;
        double spare;                   /* 0..1 */
        struct config_cpu headroom;
        bool burst;
        uint64_t sample_interval_usec;
        uint64_t epoch_usec;
        struct config_cpu capacity;     /* is_set = false: what the host has */
        struct config_cpu reserve;
        double min_change;              /* fraction of the value in force */
        unsigned max_coalition_size;
        double sensitivity_per_ms;
        unsigned history_size;
        uint64_t history_max_age_usec;
        uint64_t history_max_bytes;     /* 0: epochs are not recorded */
        unsigned max_iterations;
        double epsilon;
        enum overload_rule overload;
        char **discover;                /* ends with NULL; NULL if empty */
        char **exclude;

        struct config_service *services; /* in the order declared */
        size_t n_services;
        struct config_path *paths;
        size_t n_paths;

        unsigned n_cpus;                /* that amounts were resolved against */
        char **files;                   /* that were read, in order; ends with NULL */
        size_t n_files;
        struct config_origin last_header; /* of [Manager] */
        struct config_origin key_origins[CONFIG_MANAGER_KEYS];

        /* How names are found quickly; for the functions below only. */
        struct config_index *service_by_name;
        struct config_index *service_by_unit;
        struct config_index *path_by_name;
        size_t *patterns;               /* the services that are patterns, in order */
        size_t n_patterns;
};

/**
 * config_load() - read the configuration of this host
 * @main_path:  a missing file means defaults, with a notice
 * @dropin_dir: every *.conf in it, sorted by name; may be NULL or missing
 * @n_cpus:     CPUs of the host, >= 1: what `%host` means and what nothing may exceed
 * @ret:        the new configuration, for config_free(); untouched on failure
 * @diag:       findings are appended; for diagnostics_done()
 *
 * Later settings win, key by key. List keys append, over lines and files; the first one replaces the
 * default and an empty one empties the list.
 *
 * Return: 0; -EINVAL if there was any error (all of them are in @diag); -ENOMEM.
 */
int config_load(const char *main_path, const char *dropin_dir, unsigned n_cpus, struct config **ret,
                struct diagnostics *diag);

/* The same from an explicit list of files (ends with NULL), read in that order; a missing one is an
 * error. This is `coallocctl verify FILE...`. */
int config_load_files(const char *const files[], unsigned n_cpus, struct config **ret,
                      struct diagnostics *diag);

/* Frees all of it. Takes NULL; returns NULL. */
struct config *config_free(struct config *c);
DEFINE_CLEANUP(struct config *, config_free)
#define _cleanup_config_ _cleanup_(config_free_p)

/**
 * config_resolve() - compute every amount anew for a host of @n_cpus, after hotplug
 *
 * Where an amount no longer fits (a baseline of 400% on what are now two CPUs) it is cut to what
 * does, so that floor <= baseline <= max <= host always holds, and a warning says so.
 *
 * Cost: O(services + paths). Return: 0; 1 if something was cut.
 */
int config_resolve(struct config *c, unsigned n_cpus, struct diagnostics *diag);

/**
 * config_match_service() - the service that a unit belongs to
 *
 * Exact names win over patterns, earlier patterns over later ones. What Exclude= names and what is
 * never touched (-.slice, init.scope, coallocd.service) belongs to none.
 *
 * Return: index into services, or -1.
 */
ssize_t config_match_service(const struct config *c, const char *unit);

/* Should this unit be measured: it is a service, or Discover= names it and Exclude= does not. */
bool config_wants(const struct config *c, const char *unit);

/* The service of that name, or -1. */
ssize_t config_find_service(const struct config *c, const char *name);
