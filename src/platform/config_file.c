/* SPDX-License-Identifier: MIT */

#include "platform/config_file.h"
#include "platform/config_schema.h"
#include "util/nearest.h"
#include "util/read_all.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <string.h>
#include <sys/stat.h>

/* inih's line buffer holds 200 bytes: a line of 198, a newline and the end. Of a longer line it would
 * parse the rest as a line of its own, which turns the tail of a long comment into a setting. */
#define LINE_MAX_BYTES 198
/* inih would cut longer section names silently. */
#define SECTION_MAX_BYTES 49
#define FILE_MAX_BYTES (16u << 20)

/* One file on its way through inih. */
struct reader {
        struct config_loader *loader;
        const char *data;
        size_t size;
        size_t position;
        unsigned line;
        bool is_waiting;                /* inih has a line of which the handler must hear */

        bool has_section;
        bool is_ignored;                /* inside a section that was refused */
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
                        r->is_ignored = true;
                        return 0;
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
                        r->is_ignored = true;
                        return 0;
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

/* A line that starts with '['; read here and not by inih, because only here it is whole. */
static int open_section(struct reader *r, const char *line, size_t length)
{
        const char *end = memchr(line, ']', length);
        char header[SECTION_MAX_BYTES + 1];

        r->has_section = true;
        r->is_ignored = true;
        if (!end) {
                finding(r, DIAGNOSTIC_ERROR, "the section header has no closing ]");
                return 0;
        }
        const char *rest = end + 1, *line_end = line + length;
        while (rest < line_end && (*rest == ' ' || *rest == '\t'))
                rest++;
        if (rest < line_end && *rest != ';' && *rest != '#') {
                finding(r, DIAGNOSTIC_ERROR,
                        "text after the ] of a section header would be lost: put it on the next line");
                return 0;
        }
        size_t n_header = (size_t)(end - line) - 1;
        if (n_header > SECTION_MAX_BYTES) {
                diagnostics_add(r->loader->diag, DIAGNOSTIC_ERROR, r->loader->file, r->line,
                                "the section name is %zu bytes long; at most %d are read", n_header,
                                SECTION_MAX_BYTES);
                return 0;
        }
        memcpy(header, line + 1, n_header);
        header[n_header] = '\0';

        char kind[SECTION_MAX_BYTES + 1], name[SECTION_MAX_BYTES + 1];
        size_t n_kind = strcspn(header, " \t");
        memcpy(kind, header, n_kind);
        kind[n_kind] = '\0';
        const char *name_start = header + n_kind + strspn(header + n_kind, " \t");
        size_t n_name = strlen(name_start);
        while (n_name > 0 && (name_start[n_name - 1] == ' ' || name_start[n_name - 1] == '\t'))
                n_name--;
        memcpy(name, name_start, n_name);
        name[n_name] = '\0';

        enum config_section section = CONFIG_MANAGER;
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
                return 0;
        }
        if (section == CONFIG_MANAGER) {
                if (n_name > 0) {
                        finding(r, DIAGNOSTIC_ERROR, "[Manager] takes no name");
                        return 0;
                }
        } else if (!config_name_is_valid(name)) {
                diagnostics_add(r->loader->diag, DIAGNOSTIC_ERROR, r->loader->file, r->line,
                                n_name > 0 ? "[%s]: a name has 1 to 41 letters, digits and _.@:-"
                                           : "[%s] needs a name",
                                header);
                return 0;
        }

        r->section = section;
        r->is_ignored = false;
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

/* inih calls this for every `name = value`; which section that is in is known better here. */
static int on_setting(void *user, const char *section, const char *name, const char *value)
{
        struct reader *r = user;
        struct config *c = r->loader->config;
        void *object = c;
        struct config_origin *key_origins = c->key_origins;
        const struct config_key *key;
        size_t i_in_section;

        if (!value)
                return 1; /* an inih built to allow names alone: still waiting, see next_line() */
        r->is_waiting = false;
        if (!r->has_section) {
                finding(r, DIAGNOSTIC_ERROR, "a setting before the first section header");
                return 1;
        }
        if (r->is_ignored || r->loader->is_out_of_memory)
                return 1;
        if (name[0] == '\0') {
                finding(r, DIAGNOSTIC_ERROR, "a setting without a name");
                return 1;
        }
        key = config_key_find(r->section, name, &i_in_section);
        if (!key) {
                unknown_key(r, name);
                return 1;
        }
        if (r->section == CONFIG_SERVICE) {
                object = &c->services[r->i_object];
                key_origins = c->services[r->i_object].key_origins;
        } else if (r->section == CONFIG_PATH) {
                object = &c->paths[r->i_object];
                key_origins = c->paths[r->i_object].key_origins;
        }
        if (config_assign(r->loader, key, object, &key_origins[i_in_section], r->line,
                          value) < 0)
                r->loader->is_out_of_memory = true;
        return 1;
}

/* ---- lines -------------------------------------------------------------------------------------- */

static void settle_line(struct reader *r)
{
        if (r->is_waiting && !r->is_ignored)
                finding(r, DIAGNOSTIC_ERROR, "not a setting: there is no =");
        r->is_waiting = false;
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* inih's fgets(): one physical line a call, so that the count is right on every build of inih.
 * Comments, section headers and refused lines become empty lines; inih never sees what it would
 * misread. Indentation is dropped, because inih takes an indented line for a continuation of the
 * value above. */
static char *next_line(char *buffer, int buffer_size, void *stream)
{
        struct reader *r = stream;

        settle_line(r);
        if (r->position >= r->size || r->loader->is_out_of_memory)
                return NULL;

        const char *line = r->data + r->position;
        const char *newline = memchr(line, '\n', r->size - r->position);
        size_t length = newline ? (size_t)(newline - line) : r->size - r->position;
        r->position += length + (newline ? 1 : 0);
        r->line++;

        if (r->line == 1 && length >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
                line += 3;
                length -= 3;
        }
        bool has_nul = memchr(line, '\0', length) != NULL;
        while (length > 0 && is_blank(*line)) {
                line++;
                length--;
        }
        while (length > 0 && is_blank(line[length - 1]))
                length--;

        strcpy(buffer, "\n");
        if (length == 0 || *line == ';' || *line == '#')
                return buffer;
        if (has_nul) {
                finding(r, DIAGNOSTIC_ERROR, "the line has a NUL byte");
                return buffer;
        }
        if (*line == '[') {
                if (open_section(r, line, length) < 0)
                        r->loader->is_out_of_memory = true;
                return buffer;
        }
        size_t limit = LINE_MAX_BYTES < buffer_size - 2 ? LINE_MAX_BYTES : (size_t)buffer_size - 2;
        if (length > limit) {
                diagnostics_add(r->loader->diag, DIAGNOSTIC_ERROR, r->loader->file, r->line,
                                "the line is %zu bytes long, at most %zu are read; list keys may "
                                "repeat: split it",
                                length, limit);
                return buffer;
        }
        memcpy(buffer, line, length);
        strcpy(buffer + length, "\n");
        r->is_waiting = true;
        return buffer;
}

/* ---- files -------------------------------------------------------------------------------------- */

/* Reads the whole file. Return: 0; 1 if it cannot be used (said in diag) ; 2 if it is not there. */
static int read_whole(struct config_loader *l, char **ret_data, size_t *ret_size)
{
        _cleanup_close_ int fd = -1;
        struct stat st;
        int r;

        /* O_NONBLOCK: a FIFO in the drop-in directory must not hang the daemon. */
        fd = open(l->file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0 && errno == ENOENT)
                return 2;
        if (fd < 0 || fstat(fd, &st) < 0) {
                diagnostics_add(l->diag, DIAGNOSTIC_ERROR, l->file, 0, "cannot be read: %s",
                                strerror(errno));
                return 1;
        }
        if (!S_ISREG(st.st_mode)) {
                diagnostics_add(l->diag, DIAGNOSTIC_ERROR, l->file, 0,
                                S_ISDIR(st.st_mode) ? "is a directory, not a file"
                                                    : "is not a regular file");
                return 1;
        }
        r = read_all(fd, FILE_MAX_BYTES, ret_data, ret_size);
        if (r == -ENOMEM || r == 0)
                return r;
        if (r == -EFBIG)
                diagnostics_add(l->diag, DIAGNOSTIC_ERROR, l->file, 0,
                                "is larger than %u MiB, which is no configuration",
                                FILE_MAX_BYTES >> 20);
        else
                diagnostics_add(l->diag, DIAGNOSTIC_ERROR, l->file, 0, "cannot be read: %s",
                                strerror(-r));
        return 1;
}

/* Reads one file into the configuration. Return: 0 (findings included); -ENOMEM. */
static int load_file(struct config_loader *l, const char *path, bool must_exist)
{
        struct config *c = l->config;
        _cleanup_free_ char *data = NULL;
        struct reader reader = { .loader = l };
        int r;

        l->file = path;
        r = read_whole(l, &data, &reader.size);
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

        reader.data = data;
        r = ini_parse_stream(next_line, &reader, on_setting, &reader);
        settle_line(&reader);
        if (r == -2 || l->is_out_of_memory)
                return -ENOMEM;
        /* Its own view of which lines are wrong is not needed, but that it read all of them is: some
         * builds stop at the first error. */
        if (reader.position < reader.size)
                diagnostics_add(l->diag, DIAGNOSTIC_ERROR, path, reader.line,
                                "the rest of the file was not read");
        return 0;
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
