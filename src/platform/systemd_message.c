/* SPDX-License-Identifier: MIT */
#include "platform/systemd_message.h"

#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

#define _cleanup_message_ _cleanup_(sd_bus_message_unrefp)

static int message_new(sd_bus *bus, sd_bus_message **ret, const char *path, const char *interface,
                       const char *member)
{
        _cleanup_message_ sd_bus_message *call = NULL;
        bool is_bus = sd_bus_is_bus_client(bus) > 0;
        int r;

        r = sd_bus_message_new_method_call(bus, &call, is_bus ? SYSTEMD_NAME : NULL, path, interface,
                                           member);
        if (r < 0)
                return r;
        /* Where systemd is absent the bus must not look for something to start in its place. */
        r = sd_bus_message_set_auto_start(call, 0);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(call);
        return 0;
}

int systemd_message_new(sd_bus *bus, sd_bus_message **ret, const char *member)
{
        return message_new(bus, ret, SYSTEMD_MANAGER_PATH, SYSTEMD_MANAGER_INTERFACE, member);
}

int systemd_message_new_list(sd_bus *bus, sd_bus_message **ret, char *const names[], size_t n_names)
{
        _cleanup_message_ sd_bus_message *call = NULL;
        int r;

        /* Patterns find loaded units only; ListUnitsByNames would load what it is asked for. Unit
         * names contain nothing that fnmatch() takes for special. */
        r = systemd_message_new(bus, &call, "ListUnitsByPatterns");
        if (r >= 0)
                r = sd_bus_message_append(call, "as", 0);
        if (r >= 0)
                r = sd_bus_message_open_container(call, 'a', "s");
        if (r >= 0 && n_names == 0)
                r = sd_bus_message_append(call, "sss", "*.slice", "*.service", "*.scope");
        for (size_t i = 0; r >= 0 && i < n_names; i++)
                r = sd_bus_message_append_basic(call, 's', names[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(call);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(call);
        return 0;
}

int systemd_message_new_read(sd_bus *bus, sd_bus_message **ret, const char *unit, bool is_all)
{
        _cleanup_message_ sd_bus_message *call = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(SYSTEMD_UNIT_PATH_PREFIX, unit, &path);
        if (r >= 0)
                r = message_new(bus, &call, path, "org.freedesktop.DBus.Properties",
                                is_all ? "GetAll" : "Get");
        /* "": every interface in one answer. */
        if (r >= 0)
                r = is_all ? sd_bus_message_append(call, "s", "")
                           : sd_bus_message_append(call, "ss", "org.freedesktop.systemd1.Service",
                                                   "Slice");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(call);
        return 0;
}

int systemd_message_new_set(sd_bus *bus, sd_bus_message **ret, const struct systemd_setting *s)
{
        _cleanup_message_ sd_bus_message *call = NULL;
        int r;

        r = systemd_message_new(bus, &call, "SetUnitProperties");
        if (r >= 0)
                r = sd_bus_message_append(call, "sb", s->unit, 1);
        if (r >= 0)
                r = sd_bus_message_open_container(call, 'a', "(sv)");
        if (r >= 0 && s->set_quota)
                r = sd_bus_message_append(call, "(sv)", "CPUQuotaPerSecUSec", "t",
                                          s->quota_usec_per_sec);
        if (r >= 0 && s->set_weight)
                r = sd_bus_message_append(call, "(sv)", "CPUWeight", "t", s->cpu_weight);
        if (r >= 0)
                r = sd_bus_message_close_container(call);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(call);
        return 0;
}

static int read_invocation_id(sd_bus_message *m, struct systemd_properties *p)
{
        const void *bytes;
        size_t n;
        int r;

        r = sd_bus_message_enter_container(m, 'v', "ay");
        if (r < 0)
                return r;
        r = sd_bus_message_read_array(m, 'y', &bytes, &n);
        if (r < 0)
                return r;
        if (n == sizeof p->invocation_id) {
                memcpy(&p->invocation_id, bytes, n);
                p->has_invocation_id = true;
        }
        return sd_bus_message_exit_container(m);
}

int systemd_message_read_properties(sd_bus_message *m, struct systemd_properties *p)
{
        const struct {
                const char *key;
                const char *type;
                void *ret;
        } wanted[] = {
                { "ActiveState", "s", &p->active_state },
                { "SubState", "s", &p->sub_state },
                { "ControlGroup", "s", &p->control_group },
                { "Slice", "s", &p->slice },
                { "CPUQuotaPerSecUSec", "t", &p->quota_usec_per_sec },
                { "CPUWeight", "t", &p->cpu_weight },
                { "Transient", "b", &p->is_transient },
        };
        const size_t n_wanted = sizeof wanted / sizeof wanted[0];
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *key;
                size_t i = 0;

                r = sd_bus_message_read_basic(m, 's', &key);
                if (r < 0)
                        return r;
                while (i < n_wanted && strcmp(wanted[i].key, key) != 0)
                        i++;
                if (i < n_wanted)
                        r = sd_bus_message_read(m, "v", wanted[i].type, wanted[i].ret);
                else if (strcmp(key, "InvocationID") == 0)
                        r = read_invocation_id(m, p);
                else
                        r = sd_bus_message_skip(m, "v");
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

int systemd_message_errno(sd_bus_message *reply)
{
        /* Of systemd's own error names libsystemd knows nothing (they would all be EIO). */
        static const struct {
                const char *name;
                int error;
        } names[] = {
                { "org.freedesktop.systemd1.NoSuchUnit", -ESRCH },
                { "org.freedesktop.systemd1.UnitMasked", -ERFKILL },
                { "org.freedesktop.systemd1.BadUnitSetting", -ENOEXEC },
                { "org.freedesktop.DBus.Error.UnknownObject", -ESRCH },
                { "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", -EACCES },
                { "org.freedesktop.DBus.Error.AccessDenied", -EACCES },
                { "org.freedesktop.DBus.Error.AuthFailed", -EACCES },
                { "org.freedesktop.DBus.Error.NoReply", -ETIMEDOUT },
                { "org.freedesktop.DBus.Error.Timeout", -ETIMEDOUT },
        };
        const sd_bus_error *e = sd_bus_message_get_error(reply);

        if (e == NULL)
                return 0;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
                if (sd_bus_error_has_name(e, names[i].name))
                        return names[i].error;
        int error = sd_bus_message_get_errno(reply);
        return error > 0 ? -error : -EIO;
}
