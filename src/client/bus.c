/* SPDX-License-Identifier: MIT */

#include "client/bus.h"

#include "client/term.h"
#include "util/bus_names.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int not_running(void)
{
        complain("coallocd is not running.");
        (void)fprintf(stderr, "Start it:      systemctl start coallocd\n"
                              "What is wrong: coallocctl doctor\n");
        return STATUS_NOT_RUNNING;
}

int bus_open(const struct client *c, sd_bus **ret)
{
        int r;

        if (c->host) {
                r = sd_bus_open_system_remote(ret, c->host);
                if (r < 0) {
                        complain("Could not reach %s: %s", c->host, strerror(-r));
                        return STATUS_FAILED;
                }
                return STATUS_FINE;
        }
        if (c->machine) {
                r = sd_bus_open_system_machine(ret, c->machine);
                if (r < 0) {
                        complain("Could not reach the container %s: %s", c->machine, strerror(-r));
                        return STATUS_FAILED;
                }
                return STATUS_FINE;
        }

        r = sd_bus_open_system(ret);
        if (r == -ENOENT || r == -ECONNREFUSED || r == -ENOTDIR) {
                /* No bus at all: whatever else is wrong, no coallocd can be reached. */
                complain("There is no system bus on this host (%s), so coallocd cannot be running.",
                         strerror(-r));
                (void)fprintf(stderr, "What is wrong: coallocctl doctor\n");
                return STATUS_NOT_RUNNING;
        }
        if (r < 0) {
                complain("Could not connect to the system bus: %s", strerror(-r));
                (void)fprintf(stderr, "What is wrong: coallocctl doctor\n");
                return STATUS_FAILED;
        }
        return STATUS_FINE;
}

/* With -H the bus is there at once, and ssh may fail later: it has said why by then. */
static int connection_lost(sd_bus *bus, const char *text)
{
        const char *address;

        if (sd_bus_get_address(bus, &address) >= 0 && strncmp(address, "unixexec:", 9) == 0) {
                complain("There is no connection to the bus of that host: %s", text);
                (void)fprintf(stderr, "What ssh says stands above; over there systemd-stdio-bridge has to be "
                                      "installed.\n");
        } else {
                complain("The connection to the bus was lost: %s", text);
                (void)fprintf(stderr, "What is wrong: coallocctl doctor\n");
        }
        return STATUS_FAILED;
}

/* Says why a call failed. Return: the STATUS_ that it means. */
static int call_failed(sd_bus *bus, const char *method, const sd_bus_error *error, int r)
{
        const char *text = error->message ? error->message : strerror(-r);

        if (sd_bus_error_has_names(error, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                return not_running();
        if (r == -ENOTCONN || r == -ECONNRESET || r == -EPIPE)
                return connection_lost(bus, strerror(-r));
        if (sd_bus_error_has_names(error, SD_BUS_ERROR_ACCESS_DENIED,
                                   SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED) ||
            r == -EACCES || r == -EPERM) {
                complain("Not permitted: %s", text);
                (void)fprintf(stderr, "Run it as root. If you are, the D-Bus policy is missing: "
                                      "coallocctl doctor\n");
        } else if (sd_bus_error_has_name(error, COALLOC_ERROR_NO_SUCH_SERVICE)) {
                complain("%s", text);
                (void)fprintf(stderr, "`coallocctl status` lists the units and services that coallocd "
                                      "knows.\n");
        } else if (sd_bus_error_has_name(error, SD_BUS_ERROR_INVALID_ARGS)) {
                /* Whoever refuses an argument has said which, and why. */
                complain("%s", text);
        } else if (sd_bus_error_has_name(error, COALLOC_ERROR_CONFIG_INVALID)) {
                complain("The configuration was refused, the last good one stays in force: %s", text);
                (void)fprintf(stderr, "All findings: coallocctl verify\n");
        } else if (sd_bus_error_has_name(error, COALLOC_ERROR_NOT_GIVEN_BACK)) {
                complain("%s", text);
                (void)fprintf(stderr, "Which, and why: journalctl -u coallocd -n 50\n");
        } else if (sd_bus_error_has_name(error, COALLOC_ERROR_NO_PLAN_YET)) {
                complain("There is no decision yet: %s", text);
                (void)fprintf(stderr, "The first one comes with the first epoch (EpochSec=).\n");
        } else if (sd_bus_error_has_names(error, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_TIMEOUT,
                                          SD_BUS_ERROR_DISCONNECTED) || r == -ETIMEDOUT) {
                complain("coallocd did not answer %s() in time: %s", method, text);
                (void)fprintf(stderr, "What it does: journalctl -u coallocd -n 20\n");
        } else if (sd_bus_error_has_names(error, SD_BUS_ERROR_UNKNOWN_METHOD,
                                          SD_BUS_ERROR_UNKNOWN_INTERFACE,
                                          SD_BUS_ERROR_UNKNOWN_OBJECT)) {
                complain("The coallocd that is running has no %s(): it is of another version.", method);
                (void)fprintf(stderr, "Restart it: systemctl restart coallocd\n");
        } else
                complain("%s() failed: %s", method, text);
        return STATUS_FAILED;
}

int bus_bad_answer(const char *method, int error)
{
        complain("The answer of coallocd to %s() makes no sense: %s", method, strerror(-error));
        return STATUS_FAILED;
}

static int call(sd_bus *bus, uint64_t patience_usec, const char *interface, const char *method,
                sd_bus_message **ret_reply, const char *types, va_list ap)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_message_ sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, COALLOC_BUS_NAME, COALLOC_PATH, interface, method);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = sd_bus_message_set_allow_interactive_authorization(m, true);
        if (r >= 0 && *types)
                r = sd_bus_message_appendv(m, types, ap);
        if (r >= 0)
                r = sd_bus_call(bus, m, patience_usec, &error, ret_reply);
        return r < 0 ? call_failed(bus, method, &error, r) : STATUS_FINE;
}

int bus_call(sd_bus *bus, uint64_t patience_usec, const char *method, sd_bus_message **ret_reply,
             const char *types, ...)
{
        va_list ap;

        va_start(ap, types);
        int status = call(bus, patience_usec, COALLOC_INTERFACE, method, ret_reply, types, ap);
        va_end(ap);
        return status;
}

/* One simple value; NULL for a type that has no place in a table. */
static int read_simple(sd_bus_message *m, char type, struct json_object **ret)
{
        union {
                const char *s;
                int b;
                uint8_t y;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
                double d;
        } v;
        int r = sd_bus_message_read_basic(m, type, &v);

        if (r < 0)
                return r;
        switch (type) {
        case 's':
        case 'o':
        case 'g':
                *ret = json_object_new_string(v.s);
                break;
        case 'b':
                *ret = json_object_new_boolean(v.b);
                break;
        case 'y':
                *ret = json_object_new_uint64(v.y);
                break;
        case 'n':
                *ret = json_object_new_int64(v.n);
                break;
        case 'q':
                *ret = json_object_new_uint64(v.q);
                break;
        case 'i':
                *ret = json_object_new_int64(v.i);
                break;
        case 'u':
                *ret = json_object_new_uint64(v.u);
                break;
        case 'x':
                *ret = json_object_new_int64(v.x);
                break;
        case 't':
                *ret = json_object_new_uint64(v.t);
                break;
        default:
                *ret = json_object_new_double(v.d);
        }
        return *ret ? 0 : -ENOMEM;
}

#define SIMPLE_TYPES "sogbynqiuxtd"

static int read_list(sd_bus_message *m, char type, struct json_object **ret)
{
        _cleanup_json_ struct json_object *list = json_object_new_array();
        int r;

        if (!list)
                return -ENOMEM;
        r = sd_bus_message_enter_container(m, 'a', (char[]) { type, '\0' });
        while (r >= 0 && (r = sd_bus_message_at_end(m, false)) == 0) {
                struct json_object *element = NULL;

                r = read_simple(m, type, &element);
                if (r >= 0 && json_object_array_add(list, element) < 0) {
                        json_object_put(element);
                        r = -ENOMEM;
                }
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                *ret = TAKE_PTR(list);
        return r;
}

/* Key and value. */
static int read_entry(sd_bus_message *m, char value_type, struct json_object *o)
{
        struct json_object *member = NULL;
        const char *key, *contents = NULL;
        int r;

        r = sd_bus_message_read_basic(m, 's', &key);
        if (r >= 0 && value_type == 'v')
                r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        if (contents) {
                bool is_list = contents[0] == 'a';
                char type = contents[is_list];

                if (strlen(contents) != (is_list ? 2 : 1) || !strchr(SIMPLE_TYPES, type))
                        return sd_bus_message_skip(m, "v");
                r = sd_bus_message_enter_container(m, 'v', contents);
                if (r >= 0)
                        r = is_list ? read_list(m, type, &member) : read_simple(m, type, &member);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        } else
                r = read_simple(m, value_type, &member);
        if (r >= 0 && json_object_object_add(o, key, member) >= 0)
                return 0;
        json_object_put(member);
        return r < 0 ? r : -ENOMEM;
}

/* a{sv} or a{sd}. */
static int read_dict(sd_bus_message *m, char value_type, struct json_object **ret)
{
        _cleanup_json_ struct json_object *o = json_object_new_object();
        const char entry[] = { 's', value_type, '\0' }, dict[] = { '{', 's', value_type, '}', '\0' };
        int r;

        if (!o)
                return -ENOMEM;
        r = sd_bus_message_enter_container(m, 'a', dict);
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', entry)) > 0) {
                r = read_entry(m, value_type, o);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                *ret = TAKE_PTR(o);
        return r < 0 ? r : 0;
}

static int get_all(sd_bus *bus, sd_bus_message **ret, const char *types, ...)
{
        va_list ap;

        va_start(ap, types);
        int status = call(bus, BUS_PATIENCE_USEC, "org.freedesktop.DBus.Properties", "GetAll", ret,
                          types, ap);
        va_end(ap);
        return status;
}

int bus_get_properties(sd_bus *bus, struct json_object **ret)
{
        _cleanup_message_ sd_bus_message *reply = NULL;

        int status = get_all(bus, &reply, "s", COALLOC_INTERFACE);
        if (status != STATUS_FINE)
                return status;
        int r = read_dict(reply, 'v', ret);
        return r < 0 ? bus_bad_answer("GetAll", r) : STATUS_FINE;
}

int bus_read_list(sd_bus_message *m, struct json_object **ret)
{
        _cleanup_json_ struct json_object *list = json_object_new_array();
        int r;

        if (!list)
                return -ENOMEM;
        r = sd_bus_message_enter_container(m, 'a', "a{sv}");
        while (r >= 0 && (r = sd_bus_message_at_end(m, false)) == 0) {
                struct json_object *o = NULL;

                r = read_dict(m, 'v', &o);
                if (r >= 0 && json_object_array_add(list, o) < 0) {
                        json_object_put(o);
                        r = -ENOMEM;
                }
        }
        if (r >= 0)
                *ret = TAKE_PTR(list);
        return r < 0 ? r : 0;
}

int bus_call_list(sd_bus *bus, struct json_object **ret, const char *method)
{
        _cleanup_message_ sd_bus_message *reply = NULL;

        int status = bus_call(bus, BUS_PATIENCE_USEC, method, &reply, "");
        if (status != STATUS_FINE)
                return status;
        int r = bus_read_list(reply, ret);
        return r < 0 ? bus_bad_answer(method, r) : STATUS_FINE;
}

int bus_call_numbers(sd_bus *bus, struct json_object **ret, const char *method)
{
        _cleanup_message_ sd_bus_message *reply = NULL;

        int status = bus_call(bus, BUS_PATIENCE_USEC, method, &reply, "");
        if (status != STATUS_FINE)
                return status;
        int r = read_dict(reply, 'd', ret);
        return r < 0 ? bus_bad_answer(method, r) : STATUS_FINE;
}

int bus_call_json(sd_bus *bus, struct json_object **ret, const char *method, const char *types, ...)
{
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *text;
        va_list ap;

        va_start(ap, types);
        int status = call(bus, BUS_PATIENCE_USEC, COALLOC_INTERFACE, method, &reply, types, ap);
        va_end(ap);
        if (status != STATUS_FINE)
                return status;
        int r = sd_bus_message_read(reply, "s", &text);
        if (r < 0)
                return bus_bad_answer(method, r);
        struct json_object *o = json_tokener_parse(text);
        if (!json_object_is_type(o, json_type_object)) {
                json_object_put(o);
                return bus_bad_answer(method, -EBADMSG);
        }
        *ret = o;
        return STATUS_FINE;
}
