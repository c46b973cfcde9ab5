/* SPDX-License-Identifier: MIT */
#include "lib/model_systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/unit_name.h"

/* ---- the end of the world ---------------------------------------------------------------------- */

static unsigned n_effects_left = UINT_MAX;

static bool has_effect(void)
{
        if (n_effects_left == UINT_MAX)
                return true;
        if (n_effects_left == 0)
                return false;
        n_effects_left--;
        return n_effects_left > 0;
}

void model_world_ends_in(unsigned n_effects)
{
        n_effects_left = n_effects;
}

bool model_new_world(void)
{
        bool has_ended = n_effects_left == 0;
        n_effects_left = UINT_MAX;
        return has_ended;
}

/* The linker sends the code under test here (-Wl,--wrap=). */
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __wrap_unlink(const char *path)
{
        return has_effect() ? __real_unlink(path) : (errno = EIO, -1);
}

int __real_unlinkat(int fd, const char *path, int flags);
int __wrap_unlinkat(int fd, const char *path, int flags);
int __wrap_unlinkat(int fd, const char *path, int flags)
{
        return has_effect() ? __real_unlinkat(fd, path, flags) : (errno = EIO, -1);
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
        return has_effect() ? __real_rename(from, to) : (errno = EIO, -1);
}

int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
        return has_effect() ? __real_renameat(from_fd, from, to_fd, to) : (errno = EIO, -1);
}

int __real_rmdir(const char *path);
int __wrap_rmdir(const char *path);
int __wrap_rmdir(const char *path)
{
        return has_effect() ? __real_rmdir(path) : (errno = EIO, -1);
}

/* ---- the kernel -------------------------------------------------------------------------------- */

static struct model *kernel_of;         /* the model whose kernel there is; one at a time */

static uint64_t number_in(const struct model *m, const struct model_unit *u, const char *file)
{
        char path[200];

        snprintf(path, sizeof path, "sys/fs/cgroup%s/%s", u->control_group, file);
        char *text = fake_tree_read(m->tree, path, NULL);
        uint64_t number = !text || text[0] == 'm' ? UINT64_MAX : strtoull(text, NULL, 10);
        free(text);
        return number;
}

uint64_t model_cpu_max(const struct model *m, const struct model_unit *u)
{
        return number_in(m, u, "cpu.max");
}

uint64_t model_burst(const struct model *m, const struct model_unit *u)
{
        return number_in(m, u, "cpu.max.burst");
}

void model_set_burst(struct model *m, const struct model_unit *u, uint64_t burst_usec)
{
        char path[200];

        snprintf(path, sizeof path, "sys/fs/cgroup%s/cpu.max.burst", u->control_group);
        fake_tree_write(m->tree, path, "%" PRIu64 "\n", burst_usec);
}

/* systemd writes what it has in memory; of a refusal it tells its journal. */
static void realize(struct model *m, struct model_unit *u)
{
        uint64_t quota_usec = u->live[MODEL_QUOTA] == SYSTEMD_UNSET ? UINT64_MAX : u->live[MODEL_QUOTA] / 10;
        char path[200];

        if (!m->has_kernel)
                return;
        uint64_t burst_usec = model_burst(m, u);
        snprintf(path, sizeof path, "sys/fs/cgroup%s", u->control_group);
        if (!u->is_active) {
                fake_tree_put_away(m->tree, path);
                return;
        }
        struct fake_unit files = {
                .quota_usec_per_sec = quota_usec == UINT64_MAX ? 0 : 10 * quota_usec,
                .has_no_controller = quota_usec == UINT64_MAX && u->live[MODEL_WEIGHT] == SYSTEMD_UNSET,
        };
        if (!files.has_no_controller && burst_usec != UINT64_MAX && burst_usec > quota_usec) {
                m->n_refused++;
                return;
        }
        if (files.has_no_controller) {
                strcat(path, "/cpu.max.burst");
                fake_tree_put_away(m->tree, path);
        }
        fake_tree_unit(m->tree, u->control_group + 1, &files);
        if (m->cuts_bursts && !files.has_no_controller && burst_usec != UINT64_MAX)
                model_set_burst(m, u, burst_usec / 1000);
}

int __real_cgroup_burst_write(int dir_fd, uint64_t burst_usec);
int __wrap_cgroup_burst_write(int dir_fd, uint64_t burst_usec);
int __wrap_cgroup_burst_write(int dir_fd, uint64_t burst_usec)
{
        char text[64] = "";
        int fd = openat(dir_fd, "cpu.max", O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        ssize_t n = read(fd, text, sizeof text - 1);
        (void)close(fd);
        if (n <= 0)
                abort();
        if (kernel_of->burst_error < 0)
                return kernel_of->burst_error;
        if (text[0] != 'm' && burst_usec > strtoull(text, NULL, 10)) {
                kernel_of->n_refused++;
                return -EINVAL;
        }
        return has_effect() ? __real_cgroup_burst_write(dir_fd, burst_usec) : -EIO;
}

/* ---- systemd ----------------------------------------------------------------------------------- */

static const char *const names[] = { "CPUQuota", "CPUWeight" };

const char *model_dropin(const struct model_unit *u, int property)
{
        static char path[256];
        snprintf(path, sizeof path, "run/systemd/%s/%s.d/50-%s.conf",
                 u->is_transient ? "transient" : "system.control", u->name, names[property]);
        return path;
}

const char *model_text(const struct model *m, const struct model_unit *u, int property, uint64_t value)
{
        static char text[512];
        char setting[64];

        if (value == SYSTEMD_UNSET)
                setting[0] = '\0';
        else if (property == MODEL_WEIGHT)
                snprintf(setting, sizeof setting, "%" PRIu64, value);
        else if (m->writes_hundredths)
                snprintf(setting, sizeof setting, "%" PRIu64 ".%02u%%", value / 10000, (unsigned)(value % 10000 / 100));
        else
                snprintf(setting, sizeof setting, "%" PRIu64 "%%", value / 10000);
        snprintf(text, sizeof text,
                 "# This is a drop-in unit file extension, created via \"systemctl set-property\"\n"
                 "# or an equivalent operation. Do not edit.\n"
                 "[%s]\n%s=%s\n",
                 unit_name_section(u->name), names[property], setting);
        return text;
}

uint64_t model_value_of_files(const struct model *m, const struct model_unit *u, int property)
{
        char key[32];
        unsigned whole = 0, hundredths = 0;
        uint64_t value = u->own[property];

        /* /etc hides the file of the same name below /run. */
        if (u->has_persistent[property])
                return u->persistent[property];

        char *text = fake_tree_read(m->tree, model_dropin(u, property), NULL);
        if (!text)
                return value;
        snprintf(key, sizeof key, "\n%s=", names[property]);
        const char *at = strstr(text, key);
        if (at) {
                at += strlen(key);
                if (*at == '\n')
                        value = SYSTEMD_UNSET;
                else if (property == MODEL_WEIGHT && sscanf(at, "%u", &whole) == 1)
                        value = whole;
                else if (property == MODEL_QUOTA && sscanf(at, "%u.%u%%", &whole, &hundredths) >= 1)
                        value = (uint64_t)whole * 10000 + hundredths * 100;
        }
        free(text);
        return value;
}

static void show(struct model_unit *u)
{
        u->shown.name = u->name;
        u->shown.is_active = u->is_active;
        u->shown.is_transient = u->is_transient;
        u->shown.control_group = u->is_active ? u->control_group : "";
        if (u->is_active) {     /* what is not active is not read */
                u->shown.quota_usec_per_sec = u->live[MODEL_QUOTA];
                u->shown.cpu_weight = u->live[MODEL_WEIGHT];
        }
}

static void read_files(struct model *m, struct model_unit *u)
{
        for (int p = 0; p < MODEL_N_PROPERTIES; p++)
                u->live[p] = model_value_of_files(m, u, p);
}

struct model_unit *model_add(struct model *m, const char *name, uint64_t quota, uint64_t weight)
{
        struct model_unit *u = &m->units[m->n_units++];
        snprintf(u->name, sizeof u->name, "%s", name);
        snprintf(u->control_group, sizeof u->control_group, "/%s", name);
        u->own[MODEL_QUOTA] = quota;
        u->own[MODEL_WEIGHT] = weight;
        model_start(m, u);
        return u;
}

void model_start(struct model *m, struct model_unit *u)
{
        if (!u->is_loaded)
                read_files(m, u);
        u->is_loaded = u->is_active = true;
        realize(m, u);
        show(u);
}

void model_stop(struct model *m, struct model_unit *u, bool is_unloaded)
{
        char directory[128];

        u->is_active = false;
        if (u->is_transient) {          /* goes, and its drop-ins with it */
                snprintf(directory, sizeof directory, "run/systemd/transient/%s.d", u->name);
                fake_tree_remove(m->tree, directory);
                is_unloaded = true;
        }
        if (is_unloaded)
                u->is_loaded = false;
        realize(m, u);
        show(u);
}

void model_set_property(struct model *m, struct model_unit *u, int property, uint64_t value, bool is_runtime)
{
        u->live[property] = value;
        if (is_runtime || u->is_transient) {
                char path[300];
                snprintf(path, sizeof path, "%s", model_dropin(u, property));
                fake_tree_remove(m->tree, path);        /* replaced, not rewritten in place */
                fake_tree_write(m->tree, path, "%s", model_text(m, u, property, value));
        } else {
                u->has_persistent[property] = true;
                u->persistent[property] = value;
        }
        realize(m, u);
        show(u);
}

void model_reload(struct model *m)
{
        for (size_t i = 0; i < m->n_units; i++)
                if (m->units[i].is_loaded) {
                        read_files(m, &m->units[i]);
                        realize(m, &m->units[i]);
                        show(&m->units[i]);
                }
}

/* ---- the manager ------------------------------------------------------------------------------- */

enum call_kind { CALL_REFRESH, CALL_SET, CALL_SET_END, CALL_RELOAD };

struct call {
        enum call_kind kind;
        struct systemd_setting setting;
        char unit[64];
        void (*refresh_done)(void *ctx, const char *unit, int error);
        systemd_setting_done_fn each;
        systemd_batch_done_fn batch_done;
        void (*reload_done)(void *ctx, int error);
        void *ctx;
};

struct systemd_manager {
        struct model *model;
        sd_bus *bus;
        sd_event_source *turn;
        struct call calls[512];
        size_t i_first, n_calls;
        bool has_no_bus;
        unsigned n_failed;
};

static struct call *add_call(struct systemd_manager *m, enum call_kind kind, void *ctx)
{
        if (m->n_calls == sizeof m->calls / sizeof m->calls[0])
                abort();
        struct call *c = &m->calls[(m->i_first + m->n_calls++) % (sizeof m->calls / sizeof m->calls[0])];
        *c = (struct call) { .kind = kind, .ctx = ctx };
        if (m->n_calls > m->model->n_in_flight_max)
                m->model->n_in_flight_max = (unsigned)m->n_calls;
        sd_event_source_set_enabled(m->turn, SD_EVENT_ON);
        return c;
}

static struct model_unit *find(struct model *m, const char *name)
{
        for (size_t i = 0; i < m->n_units; i++)
                if (strcmp(m->units[i].name, name) == 0)
                        return &m->units[i];
        return NULL;
}

static int set(struct systemd_manager *manager, const struct call *c)
{
        struct model *m = manager->model;
        struct model_unit *u = find(m, c->unit);

        if (m->stops_before_set && strcmp(m->stops_before_set, c->unit) == 0)
                model_stop(m, u, false);
        if (manager->has_no_bus || !has_effect())
                return -ECONNRESET;
        if (!u || !u->is_loaded || !u->is_active)
                return -ESRCH;
        if (m->set_error < 0 && !m->set_happens_all_the_same)
                return m->set_error;
        m->n_sets++;
        if (c->setting.set_quota)
                model_set_property(m, u, MODEL_QUOTA, c->setting.quota_usec_per_sec, true);
        if (c->setting.set_weight)
                model_set_property(m, u, MODEL_WEIGHT, c->setting.cpu_weight, true);
        if (m->changed_after_set && strcmp(m->changed_after_set, c->unit) == 0)
                model_set_property(m, u, MODEL_QUOTA, 990000, true);
        return m->set_error;
}

static int on_turn(sd_event_source *source, void *userdata)
{
        struct systemd_manager *manager = userdata;
        struct model *m = manager->model;

        if (manager->n_calls == 0) {
                sd_event_source_set_enabled(source, SD_EVENT_OFF);
                return 0;
        }
        struct call c = manager->calls[manager->i_first];
        manager->i_first = (manager->i_first + 1) % (sizeof manager->calls / sizeof manager->calls[0]);
        manager->n_calls--;

        int r;
        struct model_unit *u;
        switch (c.kind) {
        case CALL_REFRESH:
                u = find(m, c.unit);
                r = m->refresh_error ? m->refresh_error : u && u->is_active ? 0 : -ESRCH;
                if (m->loses_bus_after_look)
                        manager->has_no_bus = true;
                c.refresh_done(c.ctx, c.unit, r);
                break;
        case CALL_SET:
                r = set(manager, &c);
                if (r < 0)
                        manager->n_failed++;
                c.setting.unit = c.unit;
                c.each(c.ctx, &c.setting, r);
                break;
        case CALL_SET_END:
                c.batch_done(c.ctx, manager->n_failed);
                break;
        case CALL_RELOAD:
                r = m->reload_error;
                if (!has_effect()) {
                        r = -ECONNRESET;
                } else if (r == 0) {
                        m->n_reloads++;
                        model_reload(m);
                }
                c.reload_done(c.ctx, r);
                break;
        }
        return 0;
}

struct systemd_unit *systemd_manager_find(struct systemd_manager *manager, const char *unit)
{
        struct model_unit *u = find(manager->model, unit);
        if (!u || !u->is_loaded || manager->model->is_followed_by_nobody)
                return NULL;
        show(u);
        return &u->shown;
}

sd_bus *systemd_manager_bus(struct systemd_manager *m)
{
        return m->has_no_bus ? NULL : m->bus;
}

int systemd_manager_refresh(struct systemd_manager *m, const char *unit,
                            void (*done)(void *ctx, const char *unit, int error), void *ctx)
{
        if (m->has_no_bus)
                return -ENOTCONN;
        struct call *c = add_call(m, CALL_REFRESH, ctx);
        snprintf(c->unit, sizeof c->unit, "%s", unit);
        c->refresh_done = done;
        return 0;
}

int systemd_manager_set(struct systemd_manager *m, const struct systemd_setting settings[], size_t n,
                        systemd_setting_done_fn each, systemd_batch_done_fn done, void *ctx)
{
        if (m->has_no_bus)
                return -ENOTCONN;
        m->n_failed = 0;
        for (size_t i = 0; i < n; i++) {
                struct call *c = add_call(m, CALL_SET, ctx);
                c->setting = settings[i];
                snprintf(c->unit, sizeof c->unit, "%s", settings[i].unit);
                c->each = each;
        }
        add_call(m, CALL_SET_END, ctx)->batch_done = done;
        return 0;
}

int systemd_manager_daemon_reload(struct systemd_manager *m, void (*done)(void *ctx, int error), void *ctx)
{
        if (m->has_no_bus)
                return -ENOTCONN;
        add_call(m, CALL_RELOAD, ctx)->reload_done = done;
        return 0;
}

struct model *model_new(struct systemd_manager **ret_manager)
{
        struct model *m = calloc(1, sizeof *m);
        struct systemd_manager *manager = calloc(1, sizeof *manager);
        if (!m || !manager)
                abort();
        /* In memory where that can be had: every save of the code under test is synced. */
        m->tree = fake_tree_new_in(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL);
        manager->model = kernel_of = m;
        /* The bus is there to have an event loop, nothing is sent over it. */
        if (sd_event_new(&m->event) < 0 || sd_bus_new(&manager->bus) < 0 ||
            sd_bus_attach_event(manager->bus, m->event, 0) < 0 ||
            sd_event_add_defer(m->event, &manager->turn, on_turn, manager) < 0)
                abort();
        *ret_manager = manager;
        return m;
}

void model_free(struct model *m, struct systemd_manager *manager)
{
        if (!m)
                return;
        sd_event_source_disable_unref(manager->turn);
        sd_bus_detach_event(manager->bus);
        sd_bus_unref(manager->bus);
        free(manager);
        sd_event_unref(m->event);
        fake_tree_free(m->tree);
        free(m);
}
