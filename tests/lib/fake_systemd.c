/* SPDX-License-Identifier: MIT */
#include "lib/fake_systemd.h"

#include "util/unit_name.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME "org.freedesktop.systemd1"
#define PATH "/org/freedesktop/systemd1"
#define UNIT_PREFIX PATH "/unit"
#define MANAGER NAME ".Manager"
#define PROPERTIES "org.freedesktop.DBus.Properties"

/* What systemd 252 writes above a property, to the letter. */
#define DROPIN_HEAD                                                                               \
        "# This is a drop-in unit file extension, created via \"systemctl set-property\"\n"       \
        "# or an equivalent operation. Do not edit.\n"

/* A message that waits: a reply to be sent, or a call that came during a reload. */
struct fake_systemd_held {
        struct fake_systemd_held *next;
        sd_bus_message *message;
        uint64_t due_usec;
};

static _Noreturn void die(const char *what, int r)
{
        fprintf(stderr, "fake_systemd: %s: %s\n", what, strerror(r < 0 ? -r : r));
        abort();
}

#define MUST(expression)                                \
        do {                                            \
                int must_r = (expression);              \
                if (must_r < 0)                         \
                        die(#expression, must_r);       \
        } while (0)

static char *must_strdup(const char *s)
{
        char *copy = strdup(s);
        if (copy == NULL)
                die("strdup", ENOMEM);
        return copy;
}

/* ---- signals ----------------------------------------------------------------------------------- */

static void broadcast(struct fake_systemd *f, sd_bus_message *(*make)(sd_bus *bus, const void *arg),
                      const void *arg)
{
        for (unsigned i = 0; i < f->n_buses; i++) {
                /* A bus hears us only after somebody subscribed; a peer always. */
                if (sd_bus_is_bus_client(f->buses[i]) > 0 && f->subscribers == NULL)
                        continue;
                if (sd_bus_is_open(f->buses[i]) <= 0)
                        continue;
                sd_bus_message *signal = make(f->buses[i], arg);
                (void)sd_bus_send(f->buses[i], signal, NULL);
                sd_bus_message_unref(signal);
        }
}

static char *unit_path(const char *name)
{
        char *path = NULL;
        MUST(sd_bus_path_encode(UNIT_PREFIX, name, &path));
        return path;
}

static sd_bus_message *make_unit_signal(sd_bus *bus, const char *member, const char *name)
{
        sd_bus_message *signal = NULL;
        char *path = unit_path(name);

        MUST(sd_bus_message_new_signal(bus, &signal, PATH, MANAGER, member));
        MUST(sd_bus_message_append(signal, "so", name, path));
        free(path);
        return signal;
}

static sd_bus_message *make_unit_new(sd_bus *bus, const void *name)
{
        return make_unit_signal(bus, "UnitNew", name);
}

static sd_bus_message *make_unit_removed(sd_bus *bus, const void *name)
{
        return make_unit_signal(bus, "UnitRemoved", name);
}

static sd_bus_message *make_reloading(sd_bus *bus, const void *is_begin)
{
        sd_bus_message *signal = NULL;

        MUST(sd_bus_message_new_signal(bus, &signal, PATH, MANAGER, "Reloading"));
        MUST(sd_bus_message_append(signal, "b", (int)*(const bool *)is_begin));
        return signal;
}

static void append_unit_interface(sd_bus_message *message, const struct fake_systemd_unit *u)
{
        MUST(sd_bus_message_append(message, "{sv}", "ActiveState", "s", u->active_state));
        MUST(sd_bus_message_append(message, "{sv}", "SubState", "s", u->sub_state));
        MUST(sd_bus_message_open_container(message, 'e', "sv"));
        MUST(sd_bus_message_append(message, "s", "InvocationID"));
        MUST(sd_bus_message_open_container(message, 'v', "ay"));
        bool has_id = !sd_id128_is_null(u->invocation_id);
        MUST(sd_bus_message_append_array(message, 'y', &u->invocation_id, has_id ? 16 : 0));
        MUST(sd_bus_message_close_container(message));
        MUST(sd_bus_message_close_container(message));
}

static sd_bus_message *make_changed(sd_bus *bus, const void *arg)
{
        const struct fake_systemd_unit *u = arg;
        sd_bus_message *signal = NULL;
        char *path = unit_path(u->name);

        MUST(sd_bus_message_new_signal(bus, &signal, path, PROPERTIES, "PropertiesChanged"));
        MUST(sd_bus_message_append(signal, "s", NAME ".Unit"));
        MUST(sd_bus_message_open_container(signal, 'a', "{sv}"));
        append_unit_interface(signal, u);
        MUST(sd_bus_message_close_container(signal));
        MUST(sd_bus_message_append(signal, "as", 1, "Job"));
        free(path);
        return signal;
}

/* ---- units ------------------------------------------------------------------------------------- */

static bool is_down(const struct fake_systemd_unit *u)
{
        return strcmp(u->active_state, "inactive") == 0 || strcmp(u->active_state, "failed") == 0;
}

static void new_invocation(struct fake_systemd *f, struct fake_systemd_unit *u)
{
        u->invocation_id = (sd_id128_t) { .qwords = { ++f->next_invocation, 1 } };
}

static const char *group_below_mount(const struct fake_systemd_unit *u)
{
        return u->control_group + (u->control_group[0] == '/');
}

void fake_systemd_show(struct fake_systemd *f, struct fake_systemd_unit *u)
{
        if (f->tree != NULL && !is_down(u) && u->control_group[0] != 0)
                fake_tree_unit(f->tree, group_below_mount(u), &u->counters);
}

/* As the kernel: a quota below the burst is refused. */
static bool is_refused(struct fake_systemd *f, const struct fake_systemd_unit *u)
{
        char path[PATH_MAX];
        char *text = NULL;
        bool is_larger;

        if (f->tree == NULL || u->control_group[0] == 0 || u->quota == FAKE_SYSTEMD_UNSET)
                return false;
        snprintf(path, sizeof path, "sys/fs/cgroup/%s/cpu.max.burst", group_below_mount(u));
        text = fake_tree_read(f->tree, path, NULL);
        is_larger = text != NULL && strtoull(text, NULL, 10) > u->quota / 10;
        free(text);
        return is_larger;
}

static void write_limits(struct fake_systemd *f, struct fake_systemd_unit *u)
{
        if (f->is_lying)
                return;
        if (is_refused(f, u)) {
                f->n_refused++;
                return;
        }
        u->counters.quota_usec_per_sec = u->quota == FAKE_SYSTEMD_UNSET ? 0 : u->quota;
        u->counters.cpu_weight = u->weight == FAKE_SYSTEMD_UNSET ? 0 : u->weight;
        fake_systemd_show(f, u);
}

static void remove_group(struct fake_systemd *f, struct fake_systemd_unit *u)
{
        char path[PATH_MAX];

        if (f->tree == NULL || u->control_group[0] == 0)
                return;
        snprintf(path, sizeof path, "sys/fs/cgroup/%s", group_below_mount(u));
        fake_tree_put_away(f->tree, path);
}

/* A new cgroup counts from zero. */
static void make_group(struct fake_systemd *f, struct fake_systemd_unit *u)
{
        u->counters = (struct fake_unit) {};
        u->counters.quota_usec_per_sec = u->quota == FAKE_SYSTEMD_UNSET ? 0 : u->quota;
        u->counters.cpu_weight = u->weight == FAKE_SYSTEMD_UNSET ? 0 : u->weight;
        fake_systemd_show(f, u);
}

struct fake_systemd_unit *fake_systemd_find(struct fake_systemd *f, const char *name)
{
        for (struct fake_systemd_unit *u = f->units; u != NULL; u = u->next)
                if (strcmp(u->name, name) == 0)
                        return u;
        return NULL;
}

static struct fake_systemd_unit *unit_new(struct fake_systemd *f, const char *name)
{
        struct fake_systemd_unit *u = calloc(1, sizeof *u);

        if (u == NULL)
                die("calloc", ENOMEM);
        snprintf(u->name, sizeof u->name, "%s", name);
        u->active_state = "inactive";
        u->sub_state = "dead";
        u->own_quota = u->own_weight = u->quota = u->weight = FAKE_SYSTEMD_UNSET;

        /* a-b.slice is in a.slice; everything else is where its cgroup says, or in system.slice. */
        const char *dash = strrchr(name, '-');
        bool is_slice = strcmp(unit_name_section(name), "Slice") == 0;
        if (is_slice && dash != NULL && dash != name)
                snprintf(u->slice, sizeof u->slice, "%.*s.slice", (int)(dash - name), name);
        else if (is_slice)
                snprintf(u->slice, sizeof u->slice, "%s", strcmp(name, "-.slice") == 0 ? "" : "-.slice");
        else
                snprintf(u->slice, sizeof u->slice, "system.slice");
        u->next = f->units;
        f->units = u;
        return u;
}

static void set_group(struct fake_systemd_unit *u, const char *control_group)
{
        char parent[sizeof u->control_group];

        snprintf(u->control_group, sizeof u->control_group, "%s", control_group);
        if (strcmp(unit_name_section(u->name), "Slice") == 0)
                return;
        snprintf(parent, sizeof parent, "%s", control_group);
        char *end = strrchr(parent, '/');
        if (end == NULL)
                return;
        *end = 0;
        const char *name = strrchr(parent, '/');
        if (name != NULL)
                snprintf(u->slice, sizeof u->slice, "%s", name + 1);
}

struct fake_systemd_unit *fake_systemd_add(struct fake_systemd *f, const char *name,
                                           const char *control_group)
{
        struct fake_systemd_unit *u = fake_systemd_find(f, name);

        if (u == NULL)
                u = unit_new(f, name);
        u->is_loaded = true;
        broadcast(f, make_unit_new, u->name);
        if (control_group != NULL) {
                set_group(u, control_group);
                u->active_state = "active";
                u->sub_state = "running";
                new_invocation(f, u);
                make_group(f, u);
                broadcast(f, make_changed, u);
        }
        return u;
}

static struct fake_systemd_unit *must_find(struct fake_systemd *f, const char *name)
{
        struct fake_systemd_unit *u = fake_systemd_find(f, name);
        if (u == NULL)
                die(name, ENOENT);
        return u;
}

void fake_systemd_set_state(struct fake_systemd *f, const char *name, const char *active, const char *sub)
{
        static const char *const states[] = {
                "active", "reloading", "inactive", "failed", "activating", "deactivating", "maintenance",
                "refreshing",
        };
        static const char *const subs[] = { "running", "dead", "start", "auto-restart", "stop", "failed" };
        struct fake_systemd_unit *u = must_find(f, name);
        bool was_down = is_down(u);

        u->is_loaded = true;
        for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
                if (strcmp(states[i], active) == 0)
                        u->active_state = states[i];
        for (size_t i = 0; i < sizeof subs / sizeof subs[0]; i++)
                if (strcmp(subs[i], sub) == 0)
                        u->sub_state = subs[i];
        if (was_down && !is_down(u)) {
                new_invocation(f, u);
                make_group(f, u);
        } else if (!was_down && is_down(u))
                remove_group(f, u);
        broadcast(f, make_changed, u);
}

void fake_systemd_restart(struct fake_systemd *f, const char *name)
{
        struct fake_systemd_unit *u = must_find(f, name);

        remove_group(f, u);
        new_invocation(f, u);
        make_group(f, u);
        broadcast(f, make_changed, u);
}

void fake_systemd_unload(struct fake_systemd *f, const char *name)
{
        struct fake_systemd_unit *u = must_find(f, name);

        if (!is_down(u))
                remove_group(f, u);
        u->active_state = "inactive";
        u->sub_state = "dead";
        u->is_loaded = false;
        broadcast(f, make_unit_removed, u->name);
}

void fake_systemd_flash(struct fake_systemd *f, const char *name)
{
        broadcast(f, make_unit_new, name);
        broadcast(f, make_unit_removed, name);
}

/* ---- drop-ins ---------------------------------------------------------------------------------- */

static void write_dropin(struct fake_systemd *f, struct fake_systemd_unit *u, const char *key,
                         const char *text)
{
        char path[PATH_MAX];

        if (f->tree == NULL)
                return;
        snprintf(path, sizeof path, "run/systemd/%s/%s.d/50-%s.conf",
                 u->is_transient ? "transient" : "system.control", u->name, key);
        fake_tree_write(f->tree, path, DROPIN_HEAD "[%s]\n%s=%s\n", unit_name_section(u->name), key,
                        text);
}

static void apply_quota(struct fake_systemd *f, struct fake_systemd_unit *u, uint64_t quota)
{
        char text[32] = "";

        /* Whole percents, cut: what 249 to 255 write. */
        if (quota != FAKE_SYSTEMD_UNSET)
                snprintf(text, sizeof text, "%" PRIu64 "%%", quota / 10000);
        u->quota = quota;
        free(u->quota_text);
        u->quota_text = must_strdup(text);
        write_dropin(f, u, "CPUQuota", text);
}

static void apply_weight(struct fake_systemd *f, struct fake_systemd_unit *u, uint64_t weight)
{
        char text[32] = "";

        if (weight != FAKE_SYSTEMD_UNSET)
                snprintf(text, sizeof text, "%" PRIu64, weight);
        u->weight = weight;
        free(u->weight_text);
        u->weight_text = must_strdup(text);
        write_dropin(f, u, "CPUWeight", text);
}

void fake_systemd_set_foreign(struct fake_systemd *f, const char *name, uint64_t quota_usec_per_sec)
{
        struct fake_systemd_unit *u = must_find(f, name);

        apply_quota(f, u, quota_usec_per_sec);
        write_limits(f, u);
}

void fake_systemd_set_own(struct fake_systemd *f, const char *name, uint64_t quota_usec_per_sec,
                          uint64_t weight)
{
        struct fake_systemd_unit *u = must_find(f, name);

        u->own_quota = u->quota = quota_usec_per_sec;
        u->own_weight = u->weight = weight;
        write_limits(f, u);
}

/* The value that a file gives to a key: malloc'd; NULL if it says nothing. The last one wins. */
static char *dropin_value(struct fake_systemd *f, const char *path, const char *key)
{
        char *text = fake_tree_read(f->tree, path, NULL), *value = NULL, *rest = NULL;
        size_t n = strlen(key);

        if (text == NULL)
                return NULL;
        for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
                if (strncmp(line, key, n) == 0 && line[n] == '=') {
                        free(value);
                        value = must_strdup(line + n + 1);
                }
        free(text);
        return value;
}

/* Our drop-in first, then the administrator's 90-own.conf, which therefore wins. */
static void reload_key(struct fake_systemd *f, struct fake_systemd_unit *u, const char *key,
                       char **text, uint64_t own, uint64_t factor, uint64_t *ret)
{
        char path[PATH_MAX];
        uint64_t value = own;

        if (f->tree != NULL) {
                snprintf(path, sizeof path, "run/systemd/%s/%s.d/50-%s.conf",
                         u->is_transient ? "transient" : "system.control", u->name, key);
                free(*text);
                *text = dropin_value(f, path, key);
                snprintf(path, sizeof path, "etc/systemd/system/%s.d/90-own.conf", u->name);
                char *admin = dropin_value(f, path, key);
                if (admin != NULL) {
                        uint64_t n = strtoull(admin, NULL, 10) * factor;
                        *ret = n > 0 ? n : FAKE_SYSTEMD_UNSET;
                        free(admin);
                        return;
                }
        }
        if (*text != NULL) {
                uint64_t n = strtoull(*text, NULL, 10) * factor;
                /* "0%" is ignored with a warning, an empty value resets. */
                if (**text == 0)
                        value = FAKE_SYSTEMD_UNSET;
                else if (n > 0)
                        value = n;
        }
        *ret = value;
}

static void reload_unit(struct fake_systemd *f, struct fake_systemd_unit *u)
{
        reload_key(f, u, "CPUQuota", &u->quota_text, u->own_quota, 10000, &u->quota);
        reload_key(f, u, "CPUWeight", &u->weight_text, u->own_weight, 1, &u->weight);
        if (!is_down(u))
                write_limits(f, u);
}

/* ---- replies ----------------------------------------------------------------------------------- */

static void send_held(struct fake_systemd *f)
{
        struct fake_systemd_held *h = f->held;

        f->held = h->next;
        f->n_held--;
        (void)sd_bus_send(sd_bus_message_get_bus(h->message), h->message, NULL);
        sd_bus_message_unref(h->message);
        free(h);
}

static void arm_delay(struct fake_systemd *f)
{
        if (f->held == NULL || f->held->due_usec == UINT64_MAX)
                return;
        MUST(sd_event_source_set_time(f->delay_timer, f->held->due_usec));
        MUST(sd_event_source_set_enabled(f->delay_timer, SD_EVENT_ONESHOT));
}

static int on_delay(sd_event_source *s, uint64_t usec, void *userdata)
{
        struct fake_systemd *f = userdata;
        uint64_t now;

        MUST(sd_event_now(f->event, CLOCK_MONOTONIC, &now));
        while (f->held != NULL && f->held->due_usec <= now)
                send_held(f);
        arm_delay(f);
        return 0;
}

static struct fake_systemd_held *append_held(struct fake_systemd_held **end, sd_bus_message *message)
{
        struct fake_systemd_held *h = calloc(1, sizeof *h);

        if (h == NULL)
                die("calloc", ENOMEM);
        h->message = message;
        h->due_usec = UINT64_MAX;
        while (*end != NULL)
                end = &(*end)->next;
        *end = h;
        return h;
}

static void send_reply(struct fake_systemd *f, sd_bus_message *reply)
{
        if (!f->holds_replies && f->delay_usec == 0 && f->held == NULL) {
                (void)sd_bus_send(sd_bus_message_get_bus(reply), reply, NULL);
                sd_bus_message_unref(reply);
                return;
        }

        struct fake_systemd_held *h = append_held(&f->held, reply);
        if (!f->holds_replies) {
                MUST(sd_event_now(f->event, CLOCK_MONOTONIC, &h->due_usec));
                h->due_usec += f->delay_usec;
        }
        if (++f->n_held > f->n_held_max)
                f->n_held_max = f->n_held;
        arm_delay(f);
}

void fake_systemd_release(struct fake_systemd *f, unsigned n)
{
        for (unsigned i = 0; f->held != NULL && (n == 0 || i < n); i++)
                send_held(f);
}

static void reply_error(struct fake_systemd *f, sd_bus_message *call, const char *name, const char *text)
{
        sd_bus_message *reply = NULL;

        MUST(sd_bus_message_new_method_errorf(call, &reply, name, "%s", text));
        send_reply(f, reply);
}

static void reply_empty(struct fake_systemd *f, sd_bus_message *call)
{
        sd_bus_message *reply = NULL;

        MUST(sd_bus_message_new_method_return(call, &reply));
        send_reply(f, reply);
}

/* ---- methods ----------------------------------------------------------------------------------- */

static void method_subscribe(struct fake_systemd *f, sd_bus_message *call)
{
        const char *sender = sd_bus_message_get_sender(call);

        f->n_subscribe++;
        if (sender != NULL) {
                char *word = NULL, *all = NULL;
                if (asprintf(&word, "%s ", sender) < 0)
                        die("asprintf", ENOMEM);
                if (f->subscribers != NULL && strstr(f->subscribers, word) != NULL) {
                        free(word);
                        reply_error(f, call, NAME ".AlreadySubscribed", "Client is already subscribed.");
                        return;
                }
                if (asprintf(&all, "%s%s", f->subscribers != NULL ? f->subscribers : "", word) < 0)
                        die("asprintf", ENOMEM);
                free(f->subscribers);
                free(word);
                f->subscribers = all;
        }
        reply_empty(f, call);
}

static bool is_listed(const struct fake_systemd_unit *u, char *const patterns[])
{
        if (!u->is_loaded)
                return false;
        if (patterns == NULL || patterns[0] == NULL)
                return true;
        for (; *patterns != NULL; patterns++)
                if (fnmatch(*patterns, u->name, FNM_NOESCAPE) == 0)
                        return true;
        return false;
}

static void method_list(struct fake_systemd *f, sd_bus_message *call, bool has_patterns)
{
        sd_bus_message *reply = NULL;
        char **patterns = NULL;

        f->n_list++;
        if (has_patterns) {
                MUST(sd_bus_message_skip(call, "as"));
                MUST(sd_bus_message_read_strv(call, &patterns));
        }
        MUST(sd_bus_message_new_method_return(call, &reply));
        MUST(sd_bus_message_open_container(reply, 'a', "(ssssssouso)"));
        for (struct fake_systemd_unit *u = f->units; u != NULL; u = u->next) {
                if (!is_listed(u, patterns))
                        continue;
                char *path = unit_path(u->name);
                MUST(sd_bus_message_append(reply, "(ssssssouso)", u->name, "A unit", "loaded",
                                           u->active_state, u->sub_state, "", path, 0, "", "/"));
                free(path);
        }
        MUST(sd_bus_message_close_container(reply));
        for (char **p = patterns; p != NULL && *p != NULL; p++)
                free(*p);
        free(patterns);
        send_reply(f, reply);
}

static void method_get_unit(struct fake_systemd *f, sd_bus_message *call)
{
        const char *name;

        MUST(sd_bus_message_read(call, "s", &name));
        struct fake_systemd_unit *u = fake_systemd_find(f, name);
        if (u == NULL || !u->is_loaded) {
                reply_error(f, call, NAME ".NoSuchUnit", "Unit not loaded.");
                return;
        }
        sd_bus_message *reply = NULL;
        char *path = unit_path(name);
        MUST(sd_bus_message_new_method_return(call, &reply));
        MUST(sd_bus_message_append(reply, "o", path));
        free(path);
        send_reply(f, reply);
}

static void append_all(sd_bus_message *reply, const struct fake_systemd_unit *u)
{
        MUST(sd_bus_message_open_container(reply, 'a', "{sv}"));
        MUST(sd_bus_message_append(reply, "{sv}", "Id", "s", u->name));
        MUST(sd_bus_message_append(reply, "{sv}", "Names", "as", 1, u->name));
        MUST(sd_bus_message_append(reply, "{sv}", "LoadState", "s", u->is_loaded ? "loaded" : "not-found"));
        append_unit_interface(reply, u);
        MUST(sd_bus_message_append(reply, "{sv}", "Job", "(uo)", 0, "/"));
        MUST(sd_bus_message_append(reply, "{sv}", "Transient", "b", (int)u->is_transient));
        MUST(sd_bus_message_append(reply, "{sv}", "Slice", "s", u->slice));
        MUST(sd_bus_message_append(reply, "{sv}", "ControlGroup", "s", is_down(u) ? "" : u->control_group));
        MUST(sd_bus_message_append(reply, "{sv}", "CPUQuotaPerSecUSec", "t", u->quota));
        MUST(sd_bus_message_append(reply, "{sv}", "CPUQuotaPeriodUSec", "t", FAKE_SYSTEMD_UNSET));
        MUST(sd_bus_message_append(reply, "{sv}", "CPUWeight", "t", u->weight));
        MUST(sd_bus_message_append(reply, "{sv}", "BPFProgram", "a(ss)", 1, "egress", "/sys/fs/bpf/x"));
        MUST(sd_bus_message_close_container(reply));
}

static void method_properties(struct fake_systemd *f, sd_bus_message *call, bool is_all)
{
        const char *interface, *property = NULL;
        sd_bus_message *reply = NULL;
        char *name = NULL;

        if (is_all)
                f->n_get_all++;
        else
                f->n_get++;
        MUST(sd_bus_message_read(call, "s", &interface));
        if (!is_all)
                MUST(sd_bus_message_read(call, "s", &property));
        if (!is_all && strcmp(property, "SystemState") == 0 && f->system_state[0] != 0) {
                MUST(sd_bus_message_new_method_return(call, &reply));
                MUST(sd_bus_message_append(reply, "v", "s", f->system_state));
                send_reply(f, reply);
                return;
        }
        MUST(sd_bus_path_decode(sd_bus_message_get_path(call), UNIT_PREFIX, &name));
        if (name == NULL) {
                reply_error(f, call, SD_BUS_ERROR_UNKNOWN_OBJECT, "No such object.");
                return;
        }

        struct fake_systemd_unit unloaded = { .active_state = "inactive", .sub_state = "dead" };
        struct fake_systemd_unit *u = fake_systemd_find(f, name);
        bool is_loaded = u != NULL && u->is_loaded;
        if (u == NULL) {
                snprintf(unloaded.name, sizeof unloaded.name, "%s", name);
                u = &unloaded;
        }
        /* Looking at a unit loads it, and as nobody needs it, it goes again. */
        if (!is_loaded)
                broadcast(f, make_unit_new, name);
        MUST(sd_bus_message_new_method_return(call, &reply));
        if (is_all)
                append_all(reply, u);
        else if (strcmp(property, "Slice") == 0)
                MUST(sd_bus_message_append(reply, "v", "s", u->slice));
        else
                die(property, ENOTSUP);
        send_reply(f, reply);
        if (!is_loaded)
                broadcast(f, make_unit_removed, name);
        free(name);
}

static void method_set(struct fake_systemd *f, sd_bus_message *call)
{
        uint64_t quota = 0, weight = 0;
        bool has_quota = false, has_weight = false, is_gone = false;
        const char *name, *key;
        int is_runtime, r;

        f->n_set++;
        MUST(sd_bus_message_read(call, "sb", &name, &is_runtime));
        if (strcmp(f->vanishes, name) == 0) {
                f->vanishes[0] = 0;
                fake_systemd_unload(f, name);
                is_gone = true;
        }

        MUST(sd_bus_message_enter_container(call, 'a', "(sv)"));
        while ((r = sd_bus_message_enter_container(call, 'r', "sv")) > 0) {
                MUST(sd_bus_message_read(call, "s", &key));
                if (strcmp(key, "CPUQuotaPerSecUSec") == 0) {
                        MUST(sd_bus_message_read(call, "v", "t", &quota));
                        has_quota = true;
                } else if (strcmp(key, "CPUWeight") == 0) {
                        MUST(sd_bus_message_read(call, "v", "t", &weight));
                        has_weight = true;
                } else {
                        reply_error(f, call, SD_BUS_ERROR_PROPERTY_READ_ONLY,
                                    "Cannot set property, or unknown property.");
                        return;
                }
                MUST(sd_bus_message_exit_container(call));
        }
        MUST(r);
        if ((has_quota && quota == 0) ||
            (has_weight && weight > 10000 && weight != FAKE_SYSTEMD_UNSET)) {
                reply_error(f, call, SD_BUS_ERROR_INVALID_ARGS, "Value out of range.");
                return;
        }

        struct fake_systemd_unit *u = fake_systemd_find(f, name);
        const char *section = unit_name_section(name);
        if (section == NULL || ((u == NULL || is_gone) && strcmp(section, "Slice") != 0)) {
                reply_error(f, call, NAME ".NoSuchUnit", "Unit not found.");
                return;
        }
        /* No file is needed for a slice: the caller gets a ghost. */
        if (u == NULL)
                u = unit_new(f, name);
        if (is_down(u)) {
                broadcast(f, make_unit_new, u->name);
                for (unsigned i = 0; i < 3; i++)
                        broadcast(f, make_changed, u);
                if (f->tree != NULL) {
                        char path[PATH_MAX];
                        snprintf(path, sizeof path, "sys/fs/cgroup/%s", u->name);
                        fake_tree_mkdir(f->tree, path);
                }
        }
        if (has_quota)
                apply_quota(f, u, quota);
        if (has_weight)
                apply_weight(f, u, weight);
        if (!is_down(u))
                write_limits(f, u);
        u->n_set++;
        if (f->on_set)
                f->on_set(f->on_set_ctx, u, has_quota, has_weight);
        reply_empty(f, call);
        if (is_down(u) && !u->is_loaded)
                broadcast(f, make_unit_removed, u->name);
}

void fake_systemd_reload_begin(struct fake_systemd *f)
{
        bool is_begin = true;

        f->is_reloading = true;
        broadcast(f, make_reloading, &is_begin);
}

static void answer(struct fake_systemd *f, sd_bus_message *call);

void fake_systemd_reload_end(struct fake_systemd *f)
{
        bool is_begin = false;
        struct fake_systemd_held *waiting = f->waiting;

        /* As PID 1 does: every unit is freed and made anew, and both are told. */
        for (struct fake_systemd_unit *u = f->units; u != NULL; u = u->next) {
                reload_unit(f, u);
                broadcast(f, make_unit_removed, u->name);
                broadcast(f, make_unit_new, u->name);
        }
        f->is_reloading = false;
        broadcast(f, make_reloading, &is_begin);
        if (f->reload_call != NULL) {
                reply_empty(f, f->reload_call);
                f->reload_call = sd_bus_message_unref(f->reload_call);
        }
        f->waiting = NULL;
        while (waiting != NULL) {
                struct fake_systemd_held *h = waiting;
                waiting = h->next;
                answer(f, h->message);
                sd_bus_message_unref(h->message);
                free(h);
        }
}

static void method_reload(struct fake_systemd *f, sd_bus_message *call)
{
        f->n_reload++;
        f->reload_call = sd_bus_message_ref(call);
        fake_systemd_reload_begin(f);
        if (!f->reload_is_manual)
                fake_systemd_reload_end(f);
}

static bool is_to_fail(struct fake_systemd *f, sd_bus_message *call, const char *member)
{
        const char *unit = "";

        if (f->fail_error[0] == 0 || strcmp(f->fail_member, member) != 0)
                return false;
        if (f->fail_unit[0] == 0)
                return true;
        MUST(sd_bus_message_read(call, "s", &unit));
        MUST(sd_bus_message_rewind(call, true));
        return strcmp(unit, f->fail_unit) == 0;
}

static void answer(struct fake_systemd *f, sd_bus_message *call)
{
        const char *interface = sd_bus_message_get_interface(call);
        const char *member = sd_bus_message_get_member(call);

        if (is_to_fail(f, call, member))
                reply_error(f, call, f->fail_error, "As the test wished.");
        else if (strcmp(interface, PROPERTIES) == 0 && strcmp(member, "GetAll") == 0)
                method_properties(f, call, true);
        else if (strcmp(interface, PROPERTIES) == 0 && strcmp(member, "Get") == 0)
                method_properties(f, call, false);
        else if (strcmp(interface, MANAGER) != 0)
                reply_error(f, call, SD_BUS_ERROR_UNKNOWN_INTERFACE, interface);
        else if (strcmp(member, "Subscribe") == 0)
                method_subscribe(f, call);
        else if (strcmp(member, "ListUnits") == 0)
                method_list(f, call, false);
        else if (strcmp(member, "ListUnitsByPatterns") == 0)
                method_list(f, call, true);
        else if (strcmp(member, "GetUnit") == 0)
                method_get_unit(f, call);
        else if (strcmp(member, "SetUnitProperties") == 0)
                method_set(f, call);
        else if (strcmp(member, "Reload") == 0)
                method_reload(f, call);
        else
                reply_error(f, call, SD_BUS_ERROR_UNKNOWN_METHOD, member);
}

static int on_call(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
        struct fake_systemd *f = userdata;
        const char *path = sd_bus_message_get_path(call);
        uint8_t type;

        MUST(sd_bus_message_get_type(call, &type));
        if (type != SD_BUS_MESSAGE_METHOD_CALL || path == NULL ||
            sd_bus_message_get_interface(call) == NULL || strncmp(path, PATH, strlen(PATH)) != 0)
                return 0;
        f->n_calls++;
        /* PID 1 does one thing at a time. */
        if (f->is_reloading)
                (void)append_held(&f->waiting, sd_bus_message_ref(call));
        else
                answer(f, call);
        return 1;
}

/* ---- connections ------------------------------------------------------------------------------- */

static void add_bus(struct fake_systemd *f, sd_bus *bus)
{
        if (f->n_buses == sizeof f->buses / sizeof f->buses[0])
                die("add_bus", ENOSPC);
        MUST(sd_bus_add_filter(bus, NULL, on_call, f));
        f->buses[f->n_buses++] = bus;
}

int fake_systemd_open(void *userdata, sd_bus **ret)
{
        struct fake_systemd *f = userdata;
        sd_bus *server = NULL, *client = NULL;
        sd_id128_t id;
        int fds[2];

        if (f->refuses_connections)
                return -ECONNREFUSED;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                die("socketpair", errno);
        MUST(sd_id128_randomize(&id));
        MUST(sd_bus_new(&server));
        MUST(sd_bus_set_fd(server, fds[0], fds[0]));
        MUST(sd_bus_set_server(server, 1, id));
        MUST(sd_bus_start(server));
        MUST(sd_bus_attach_event(server, f->event, SD_EVENT_PRIORITY_NORMAL));
        add_bus(f, server);

        MUST(sd_bus_new(&client));
        MUST(sd_bus_set_fd(client, fds[1], fds[1]));
        *ret = client;
        return 0;
}

void fake_systemd_join(struct fake_systemd *f, sd_bus *bus)
{
        MUST(sd_bus_attach_event(bus, f->event, SD_EVENT_PRIORITY_NORMAL));
        add_bus(f, bus);
        MUST(sd_bus_request_name(bus, NAME, 0));
}

void fake_systemd_reexec(struct fake_systemd *f)
{
        free(f->subscribers);
        f->subscribers = NULL;
        for (unsigned i = 0; i < f->n_buses; i++)
                if (sd_bus_is_bus_client(f->buses[i]) > 0) {
                        MUST(sd_bus_release_name(f->buses[i], NAME));
                        MUST(sd_bus_request_name(f->buses[i], NAME, 0));
                }
}

static struct fake_systemd_held *held_free(struct fake_systemd_held *h)
{
        while (h != NULL) {
                struct fake_systemd_held *next = h->next;
                sd_bus_message_unref(h->message);
                free(h);
                h = next;
        }
        return NULL;
}

static void drop_held(struct fake_systemd *f)
{
        f->held = held_free(f->held);
        f->waiting = held_free(f->waiting);
        f->n_held = 0;
        f->reload_call = sd_bus_message_unref(f->reload_call);
}

void fake_systemd_drop(struct fake_systemd *f)
{
        drop_held(f);
        for (unsigned i = 0; i < f->n_buses; i++) {
                sd_bus_detach_event(f->buses[i]);
                sd_bus_flush_close_unref(f->buses[i]);
        }
        f->n_buses = 0;
        free(f->subscribers);
        f->subscribers = NULL;
}

/* ---- load -------------------------------------------------------------------------------------- */

#define PERIOD_USEC 100000 /* of CFS bandwidth control */

static double bound_of(const struct fake_systemd_unit *u)
{
        double wish = is_down(u) ? 0 : u->load_cpus;
        double quota = (double)u->counters.quota_usec_per_sec / 1e6;

        return u->counters.quota_usec_per_sec != 0 && quota < wish ? quota : wish;
}

static double weight_of(const struct fake_systemd_unit *u)
{
        return u->counters.cpu_weight != 0 ? (double)u->counters.cpu_weight : 100;
}

static double use_at(const struct fake_systemd_unit *u, double level)
{
        double bound = bound_of(u), share = level * weight_of(u);
        return share < bound ? share : bound;
}

/* The level of use per weight at which the CPUs are full, by halving: exact enough for anything. */
static double level_of(const struct fake_systemd *f)
{
        double low = 0, high = 1e6;

        if (f->host.n_cpus == 0)
                return high;
        for (unsigned i = 0; i < 100; i++) {
                double level = (low + high) / 2, sum = 0;
                for (const struct fake_systemd_unit *u = f->units; u != NULL; u = u->next)
                        sum += use_at(u, level);
                if (sum > f->host.n_cpus)
                        high = level;
                else
                        low = level;
        }
        return low;
}

void fake_systemd_run_load(struct fake_systemd *f, uint64_t usec)
{
        double level = level_of(f), sum = 0, time = (double)usec;

        for (struct fake_systemd_unit *u = f->units; u != NULL; u = u->next) {
                struct fake_unit *c = &u->counters;
                double wish = u->load_cpus, bound = bound_of(u), use = use_at(u, level);

                if (is_down(u) || wish <= 0)
                        continue;
                if (c->quota_usec_per_sec != 0) {
                        c->nr_periods += usec / PERIOD_USEC;
                        if (wish > bound) {
                                c->nr_throttled += usec / PERIOD_USEC;
                                c->throttled_usec += (uint64_t)((wish - bound) * time);
                        }
                }
                c->usage_usec += (uint64_t)(use * time);
                c->stalled_usec += (uint64_t)((1 - use / wish) * time);
                sum += use;
                if (f->tree != NULL && u->control_group[0] != 0)
                        fake_tree_counters(f->tree, group_below_mount(u), c);
        }
        f->host.busy_usec += (uint64_t)(sum * time);
        if (f->host.n_cpus != 0 && sum > 0.999 * f->host.n_cpus)
                f->host.stalled_usec += usec;
        if (f->tree != NULL && f->host.n_cpus != 0) {
                fake_tree_host(f->tree, &f->host);
                fake_tree_write(f->tree, "sys/fs/cgroup/cpu.stat",
                                "usage_usec %" PRIu64 "\nuser_usec %" PRIu64 "\nsystem_usec 0\n"
                                "core_sched.force_idle_usec 0\n",
                                f->host.busy_usec, f->host.busy_usec);
        }
}

/* ---- lifetime ---------------------------------------------------------------------------------- */

struct fake_systemd *fake_systemd_new(sd_event *event, struct fake_tree *tree)
{
        struct fake_systemd *f = calloc(1, sizeof *f);

        if (f == NULL)
                die("calloc", ENOMEM);
        f->event = sd_event_ref(event);
        f->tree = tree;
        MUST(sd_event_add_time(event, &f->delay_timer, CLOCK_MONOTONIC, UINT64_MAX, 1000, on_delay, f));
        MUST(sd_event_source_set_enabled(f->delay_timer, SD_EVENT_OFF));
        return f;
}

struct fake_systemd *fake_systemd_free(struct fake_systemd *f)
{
        if (f == NULL)
                return NULL;
        fake_systemd_drop(f);
        while (f->units != NULL) {
                struct fake_systemd_unit *u = f->units;
                f->units = u->next;
                free(u->quota_text);
                free(u->weight_text);
                free(u);
        }
        sd_event_source_unref(f->delay_timer);
        sd_event_unref(f->event);
        free(f);
        return NULL;
}
