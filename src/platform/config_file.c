/* SPDX-License-Identifier: MIT */

#include "platform/config_file.h"
#include "platform/config_schema.h"
#include "platform/ini_file.h"
#include "util/nearest.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

/* One file being read. */
struct reader {
        struct config_loader *loader;
        unsigned line;
        enum config_section section;
        size_t i_object;                /* index of the service or path */
};

static void finding(struct reader *r, enum diagnostic_severity severity, const char *text)
{
        diagnostics_add(r->loader->diag, severity, r->loader->file, r->line, "%s", text);
}

/* ---- sections ----------------------------------------------------------------------------------- */

/* How a section is written, for messages. */
static const char *section_pattern(enum config_section section)
{
        switch (section) {
        case CONFIG_MANAGER:
                return "[Manager]";
        case CONFIG_SERVICE:
                return "[Service NAME]";
        default:
                return "[Path NAME]";
        }
}

/* A section that was opened before in the same file is probably a slip, across files it is how
 * drop-ins work. */
static void note_header(struct reader *r, const char *header, struct config_origin *last_header)
{
        if (last_header->line > 0 && last_header->i_file == r->loader->i_file)
                diagnostics_add(r->loader->diag, DIAGNOSTIC_WARNING, r->loader->file, r->line,
                                "[%s] was already opened on line %u; the two are merged", header,
                                last_header->line);
        *last_header = (struct config_origin){ .line = r->line, .i_file = r->loader->i_file };
}

/* Room for one more of what is n now; grows by doubling. Return: 0; -ENOMEM. */
static int grow(void **items, size_t n, size_t size)
{
        if (n > 0 && (n & (n - 1)) != 0)
                return 0;
        void *grown = reallocarray(*items, n > 0 ? 2 * n : 1, size);
        if (!grown)
                return -ENOMEM;
        *items = grown;
        return 0;
}

static int open_service(struct reader *r, const char *header, const char *name)
{
        struct config *c = r->loader->config;
        ssize_t found = config_index_find(c->service_by_name, name);

        if (found < 0) {
                if (c->n_services == CONFIG_SERVICES_MAX) {
                        finding(r, DIAGNOSTIC_ERROR, "too many services: at most 100000 are read");
                        return 1;
                }
                if (grow((void **)&c->services, c->n_services, sizeof *c->services) < 0)
                        return -ENOMEM;
                struct config_service *s = &c->services[c->n_services];
                *s = (struct config_service){
                        .name = strdup(name),
                        .origin = { .line = r->line, .i_file = r->loader->i_file },
                };
                if (!s->name)
                        return -ENOMEM;
                found = (ssize_t)c->n_services++; /* from here on config_free() knows it */
                if (config_set_defaults(CONFIG_SERVICE, s, r->loader->n_cpus) < 0 ||
                    config_index_add(&c->service_by_name, s->name, (size_t)found) < 0)
                        return -ENOMEM;
        }
        r->i_object = (size_t)found;
        note_header(r, header, &c->services[found].last_header);
        return 0;
}

static int open_path(struct reader *r, const char *header, const char *name)
{
        struct config *c = r->loader->config;
        ssize_t found = config_index_find(c->path_by_name, name);

        if (found < 0) {
                if (c->n_paths == CONFIG_PATHS_MAX) {
                        finding(r, DIAGNOSTIC_ERROR, "too many paths: at most 10000 are read");
                        return 1;
                }
                if (grow((void **)&c->paths, c->n_paths, sizeof *c->paths) < 0)
                        return -ENOMEM;
                struct config_path *p = &c->paths[c->n_paths];
                *p = (struct config_path){
                        .name = strdup(name),
                        .origin = { .line = r->line, .i_file = r->loader->i_file },
                };
                if (!p->name)
                        return -ENOMEM;
                found = (ssize_t)c->n_paths++;
                if (config_set_defaults(CONFIG_PATH, p, r->loader->n_cpus) < 0 ||
                    config_index_add(&c->path_by_name, p->name, (size_t)found) < 0)
                        return -ENOMEM;
        }
        r->i_object = (size_t)found;
        note_header(r, header, &c->paths[found].last_header);
        return 0;
}

static int on_section(void *user, unsigned line, const char *kind, const char *name, const char *header)
{
        struct reader *r = user;
        enum config_section section = CONFIG_MANAGER;

        r->line = line;
        while (section < _CONFIG_SECTION_MAX && strcmp(kind, config_section_to_string(section)) != 0)
                section++;
        if (section == _CONFIG_SECTION_MAX) {
                const char *names[_CONFIG_SECTION_MAX];
                for (int i = 0; i < _CONFIG_SECTION_MAX; i++)
                        names[i] = config_section_to_string((enum config_section)i);
                const char *near = nearest_name(kind, names, _CONFIG_SECTION_MAX);
                diagnostics_add(r->loader->diag, DIAGNOSTIC_WARNING, r->loader->file, r->line,
                                "unknown section [%s] is ignored%s%s%s", header,
                                near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
                return 1;
        }
        if (section == CONFIG_MANAGER) {
                if (name[0] != '\0') {
                        finding(r, DIAGNOSTIC_ERROR, "[Manager] takes no name");
                        return 1;
                }
        } else if (!ini_name_is_valid(name)) {
                diagnostics_add(r->loader->diag, DIAGNOSTIC_ERROR, r->loader->file, r->line,
                                name[0] != '\0' ? "[%s]: a name has 1 to 41 letters, digits and _.@:-"
                                                : "[%s] needs a name",
                                header);
                return 1;
        }

        r->section = section;
        switch (section) {
        case CONFIG_SERVICE:
                return open_service(r, header, name);
        case CONFIG_PATH:
                return open_path(r, header, name);
        default:
                note_header(r, header, &r->loader->config->last_header);
                return 0;
        }
}

/* ---- settings ----------------------------------------------------------------------------------- */

static void unknown_key(struct reader *r, const char *name)
{
        const char *names[CONFIG_MANAGER_KEYS]; /* the longest section */
        size_t n_names = 0;
        const struct config_key *elsewhere = NULL;

        for (size_t i = 0; i < n_config_keys; i++) {
                if (config_keys[i].section == r->section)
                        names[n_names++] = config_keys[i].name;
                else if (!elsewhere && strcmp(config_keys[i].name, name) == 0)
                        elsewhere = &config_keys[i];
        }
        const char *near = elsewhere ? NULL : nearest_name(name, names, n_names);
        if (elsewhere)
                diagnostics_add(r->loader->diag, DIAGNOSTIC_WARNING, r->loader->file, r->line,
                                "%s= is ignored: it belongs in %s", name,
                                section_pattern(elsewhere->section));
        else
                diagnostics_add(r->loader->diag, DIAGNOSTIC_WARNING, r->loader->file, r->line,
                                "unknown setting %s= is ignored%s%s%s", name,
                                near ? "; did you mean " : "", near ? near : "", near ? "=?" : "");
}

static int on_setting(void *user, unsigned line, const char *name, const char *value)
{
        struct reader *r = user;
        struct config *c = r->loader->config;
        void *object = c;
        struct config_origin *key_origins = c->key_origins;
        const struct config_key *key;
        size_t i_in_section;

        r->line = line;
        key = config_key_find(r->section, name, &i_in_section);
        if (!key) {
                unknown_key(r, name);
                return 0;
        }
        if (r->section == CONFIG_SERVICE) {
                object = &c->services[r->i_object];
                key_origins = c->services[r->i_object].key_origins;
        } else if (r->section == CONFIG_PATH) {
                object = &c->paths[r->i_object];
                key_origins = c->paths[r->i_object].key_origins;
        }
        return config_assign(r->loader, key, object, &key_origins[i_in_section], line, value);
}

/* ---- files -------------------------------------------------------------------------------------- */

/* Reads one file into the configuration. Return: 0 (findings included); -ENOMEM. */
static int load_file(struct config_loader *l, const char *path, bool must_exist)
{
        struct config *c = l->config;
        static const struct ini_handler handler = { .on_section = on_section, .on_setting = on_setting };
        _cleanup_free_ char *data = NULL;
        struct reader reader = { .loader = l };
        size_t size;
        int r;

        l->file = path;
        r = ini_file_load(path, &data, &size, l->diag);
        if (r < 0)
                return r;
        if (r == 2)
                diagnostics_add(l->diag, must_exist ? DIAGNOSTIC_ERROR : DIAGNOSTIC_NOTICE, path, 0,
                                must_exist ? "does not exist"
                                           : "does not exist; the defaults hold");
        if (r > 0)
                return 0;

        char **files = reallocarray(c->files, c->n_files + 2, sizeof *files);
        if (!files)
                return -ENOMEM;
        c->files = files;
        files[c->n_files + 1] = NULL;
        files[c->n_files] = strdup(path);
        if (!files[c->n_files])
                return -ENOMEM;
        l->i_file = (unsigned)c->n_files++;

        return ini_file_parse(path, data, size, &handler, &reader, l->diag);
}

static int is_dropin(const struct dirent *entry)
{
        size_t length = strlen(entry->d_name);

        return entry->d_name[0] != '.' && length > 5 &&
               strcmp(entry->d_name + length - 5, ".conf") == 0;
}

/* Byte order, not the locale's: the order decides which setting wins. */
static int compare_entries(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int load_dropins(struct config_loader *l, const char *directory)
{
        struct dirent **entries = NULL;
        int r = 0;

        int n = scandir(directory, &entries, is_dropin, compare_entries);
        if (n < 0) {
                if (errno == ENOMEM)
                        return -ENOMEM;
                if (errno != ENOENT)
                        diagnostics_add(l->diag, DIAGNOSTIC_ERROR, directory, 0,
                                        "cannot be read: %s", strerror(errno));
                return 0;
        }
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *path = NULL;

                if (r == 0 && asprintf(&path, "%s/%s", directory, entries[i]->d_name) < 0) {
                        path = NULL;
                        r = -ENOMEM;
                }
                /* A name that is listed but leads nowhere is a broken link: say so. */
                if (r == 0)
                        r = load_file(l, path, true);
                free(entries[i]);
        }
        free(entries);
        return r;
}

static int start(struct config_loader *l, unsigned n_cpus, struct diagnostics *diag)
{
        struct config *c = calloc(1, sizeof *c);

        if (!c)
                return -ENOMEM;
        *l = (struct config_loader){ .config = c, .diag = diag, .n_cpus = n_cpus };
        c->n_cpus = n_cpus;
        return config_set_defaults(CONFIG_MANAGER, c, n_cpus);
}

/* Checks what was read and hands it out, or frees it. */
static int finish(struct config_loader *l, size_t n_errors_before, int r, struct config **ret)
{
        if (r >= 0)
                r = config_check(l);
        if (r >= 0 && l->diag->n_found[DIAGNOSTIC_ERROR] > n_errors_before)
                r = -EINVAL;
        if (r < 0) {
                l->config = config_free(l->config);
                return r;
        }
        *ret = TAKE_PTR(l->config);
        return 0;
}

int config_load(const char *main_path, const char *dropin_dir, unsigned n_cpus, struct config **ret,
                struct diagnostics *diag)
{
        struct config_loader l = { 0 };
        size_t n_errors_before = diag->n_found[DIAGNOSTIC_ERROR];
        int r;

        r = start(&l, n_cpus, diag);
        if (r >= 0)
                r = load_file(&l, main_path, false);
        if (r >= 0 && dropin_dir)
                r = load_dropins(&l, dropin_dir);
        return finish(&l, n_errors_before, r, ret);
}

int config_load_files(const char *const files[], unsigned n_cpus, struct config **ret,
                      struct diagnostics *diag)
{
        struct config_loader l = { 0 };
        size_t n_errors_before = diag->n_found[DIAGNOSTIC_ERROR];
        int r;

        r = start(&l, n_cpus, diag);
        for (size_t i = 0; r >= 0 && files[i]; i++)
                r = load_file(&l, files[i], true);
        return finish(&l, n_errors_before, r, ret);
}

struct config *config_free(struct config *c)
{
        if (!c)
                return NULL;
        for (size_t i = 0; i < c->n_services; i++) {
                free(c->services[i].name);
                free(c->services[i].unit);
                config_list_free(c->services[i].calls);
        }
        for (size_t i = 0; i < c->n_paths; i++) {
                free(c->paths[i].name);
                config_list_free(c->paths[i].services);
        }
        free(c->services);
        free(c->paths);
        config_list_free(c->discover);
        config_list_free(c->exclude);
        config_list_free(c->files);
        config_index_free(c->service_by_name);
        config_index_free(c->service_by_unit);
        config_index_free(c->path_by_name);
        free(c->patterns);
        free(c);
        return NULL;
}
