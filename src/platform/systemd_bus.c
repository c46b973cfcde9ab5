/* SPDX-License-Identifier: MIT */
#include "platform/systemd_bus.h"

#include "platform/systemd_internal.h"

#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

#define SYSTEM_BUS_ADDRESS "unix:path=/run/dbus/system_bus_socket"
#define PRIVATE_ADDRESS "unix:path=/run/systemd/private"

#define BACKOFF_MIN_USEC (100 * UINT64_C(1000))
#define BACKOFF_MAX_USEC (5000 * UINT64_C(1000))

int systemd_bus_init(struct systemd_bus *b, const char *address,
                     int (*open)(void *ctx, sd_bus **ret), void *open_ctx)
{
        *b = (struct systemd_bus) {
                .open = open,
                .open_ctx = open_ctx,
                .backoff_usec = BACKOFF_MIN_USEC,
                .reconnect_at_usec = UINT64_MAX,
                .subscribe_at_usec = UINT64_MAX,
                .reload_ends_at_usec = UINT64_MAX,
        };
        if (address != NULL && (b->address = strdup(address)) == NULL)
                return -ENOMEM;
        return 0;
}

void systemd_bus_free(struct systemd_bus *b)
{
        free(b->address);
}

/* When to try again; the time after that is further away. */
static uint64_t back_off(struct systemd_manager *m)
{
        uint64_t at_usec = systemd_now_usec(m) + m->link.backoff_usec;

        m->link.backoff_usec *= 2;
        if (m->link.backoff_usec > BACKOFF_MAX_USEC)
                m->link.backoff_usec = BACKOFF_MAX_USEC;
        systemd_request_turn(m);
        return at_usec;
}

static void forget_owner(struct systemd_bus *b)
{
        free(b->owner);
        b->owner = NULL;
        b->is_subscribed = false;
}

void systemd_bus_close(struct systemd_manager *m)
{
        struct systemd_bus *b = &m->link;

        for (unsigned i = 0; i < SYSTEMD_BUS_MATCHES; i++)
                b->matches[i] = sd_bus_slot_unref(b->matches[i]);
        if (m->bus != NULL) {
                sd_bus_detach_event(m->bus);
                m->bus = sd_bus_close_unref(m->bus);
        }
        forget_owner(b);
        b->is_connected = false;
        b->subscribe_at_usec = b->reload_ends_at_usec = UINT64_MAX;
}

/* ---- subscription and reload ------------------------------------------------------------------- */

static void request_subscribe(struct systemd_manager *m)
{
        m->link.is_subscribed = false;
        m->link.subscribe_at_usec = 0;
        systemd_request_turn(m);
}

static int make_subscribe(struct systemd_call *c, sd_bus *bus, sd_bus_message **ret)
{
        return systemd_message_new(bus, ret, "Subscribe");
}

static void end_subscribe(struct systemd_call *c, sd_bus_message *reply, int error)
{
        struct systemd_manager *m = c->manager;
        struct systemd_bus *b = &m->link;
        const char *sender;
        char *owner = NULL;

        b->subscribing = NULL;
        if (reply != NULL &&
            sd_bus_message_is_method_error(reply, "org.freedesktop.systemd1.AlreadySubscribed") > 0)
                error = 0;
        if (error == 0 && !b->is_peer && (sender = sd_bus_message_get_sender(reply)) != NULL &&
            (owner = strdup(sender)) == NULL)
                error = -ENOMEM;
        if (error < 0) {
                /* No systemd on this bus yet, or it is too busy to answer. */
                if (b->is_connected)
                        b->subscribe_at_usec = back_off(m);
                return;
        }
        free(b->owner);
        b->owner = owner;
        b->is_subscribed = true;
        b->backoff_usec = BACKOFF_MIN_USEC;
        systemd_listing_request(m, false);
}

static void begin_reload(struct systemd_manager *m)
{
        m->link.reload_ends_at_usec = systemd_now_usec(m) + SYSTEMD_RELOAD_TIMEOUT_USEC;
        systemd_calls_hold(m, m->link.reload_ends_at_usec);
        systemd_request_turn(m);
}

static void end_reload(struct systemd_manager *m)
{
        if (m->link.reload_ends_at_usec < UINT64_MAX)
                systemd_calls_resume(m);
        m->link.reload_ends_at_usec = UINT64_MAX;
        systemd_listing_note_reload(m);
        request_subscribe(m);
}

bool systemd_bus_turn(struct systemd_manager *m)
{
        static const struct systemd_call_type type = { .make = make_subscribe, .end = end_subscribe };
        struct systemd_bus *b = &m->link;

        if (b->subscribe_at_usec <= systemd_now_usec(m)) {
                b->subscribing = systemd_call_new(m, &type, sizeof *b->subscribing);
                if (b->subscribing != NULL) {
                        b->subscribe_at_usec = UINT64_MAX;
                        systemd_call_send(b->subscribing);
                } else
                        b->subscribe_at_usec = back_off(m);
        }
        return b->is_subscribed && b->reload_ends_at_usec == UINT64_MAX;
}

/* ---- signals ----------------------------------------------------------------------------------- */

/* On a bus anybody may send us a signal under any interface's name; the library takes it for
 * systemd's because it does not know who owns that name. */
static bool is_from_systemd(struct systemd_manager *m, sd_bus_message *message)
{
        if (m->link.is_peer)
                return true;
        const char *sender = sd_bus_message_get_sender(message);
        return sender != NULL && m->link.owner != NULL && strcmp(sender, m->link.owner) == 0;
}

static int on_connected(sd_bus_message *message, void *userdata, sd_bus_error *reterr)
{
        struct systemd_manager *m = userdata;

        systemd_ref(m);
        m->link.is_connected = true;
        request_subscribe(m);
        systemd_emit(m, SYSTEMD_CONNECTED, NULL);
        systemd_unref(m);
        return 0;
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *reterr)
{
        struct systemd_manager *m = userdata;
        bool was_connected = m->link.is_connected;

        systemd_ref(m);
        systemd_bus_close(m);
        systemd_listing_lose(m);
        systemd_calls_lose(m);
        m->link.reconnect_at_usec = back_off(m);
        systemd_calls_end_answered(m);
        if (was_connected)
                systemd_emit(m, SYSTEMD_DISCONNECTED, NULL);
        systemd_unref(m);
        return 0;
}

static int on_owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *reterr)
{
        struct systemd_manager *m = userdata;
        const char *name, *owner, *sender = sd_bus_message_get_sender(message);

        if (sender == NULL || strcmp(sender, "org.freedesktop.DBus") != 0)
                return 0;
        if (sd_bus_message_read(message, "sss", &name, NULL, &owner) < 0 ||
            strcmp(name, SYSTEMD_NAME) != 0)
                return 0;

        forget_owner(&m->link);
        if (*owner == 0)
                return 0;
        /* Whatever was asked of the old one: the bus answers for it with NoReply. */
        if (m->link.subscribing != NULL)
                systemd_call_drop(TAKE_PTR(m->link.subscribing));
        m->link.backoff_usec = BACKOFF_MIN_USEC;
        end_reload(m);
        return 0;
}

/* While it reloads, PID 1 frees every unit and makes it anew, and tells of both, and of states that are
 * not theirs: none of it counts. What became of them is read when it is done. */
static bool is_news_of_units(struct systemd_manager *m, sd_bus_message *message)
{
        return is_from_systemd(m, message) && m->link.reload_ends_at_usec == UINT64_MAX;
}

static int on_manager_signal(sd_bus_message *message, void *userdata, sd_bus_error *reterr)
{
        struct systemd_manager *m = userdata;
        const char *name;
        int is_begin;

        if (!is_from_systemd(m, message))
                return 0;
        systemd_ref(m);
        if (sd_bus_message_is_signal(message, NULL, "Reloading") > 0) {
                if (sd_bus_message_read(message, "b", &is_begin) > 0) {
                        if (is_begin)
                                begin_reload(m);
                        else
                                end_reload(m);
                }
        } else if (is_news_of_units(m, message)) {
                if (sd_bus_message_is_signal(message, NULL, "UnitNew") > 0 &&
                    sd_bus_message_read(message, "so", &name, NULL) > 0)
                        systemd_listing_note_new(m, name);
                else if (sd_bus_message_is_signal(message, NULL, "UnitRemoved") > 0 &&
                         sd_bus_message_read(message, "so", &name, NULL) > 0)
                        systemd_listing_note_removed(m, name);
        }
        systemd_unref(m);
        return 0;
}

static int on_properties_changed(sd_bus_message *message, void *userdata, sd_bus_error *reterr)
{
        struct systemd_manager *m = userdata;
        struct systemd_properties p = {};
        _cleanup_free_ char *name = NULL;
        enum systemd_unit_type type;
        const char *interface;

        if (!is_news_of_units(m, message) ||
            sd_bus_path_decode(sd_bus_message_get_path(message), SYSTEMD_UNIT_PATH_PREFIX, &name) <= 0 ||
            !systemd_type_of(name, &type))
                return 0;
        if (sd_bus_message_read(message, "s", &interface) <= 0 ||
            strcmp(interface, SYSTEMD_UNIT_INTERFACE) != 0 ||
            systemd_message_read_properties(message, &p) < 0 || p.active_state == NULL)
                return 0;
        systemd_ref(m);
        systemd_units_take_change(m, name, &p);
        systemd_unref(m);
        return 0;
}

/* ---- connecting -------------------------------------------------------------------------------- */

#define SENDER "sender='" SYSTEMD_NAME "',"

/* The first two are about the connection itself, the others are installed by a bus. */
#define N_LOCAL_MATCHES 2
static const struct {
        const char *rule;
        sd_bus_message_handler_t handler;
} matches[SYSTEMD_BUS_MATCHES] = {
        { "type='signal',interface='org.freedesktop.DBus.Local',member='Connected'", on_connected },
        { "type='signal',interface='org.freedesktop.DBus.Local',member='Disconnected'",
          on_disconnected },
        { SENDER "type='signal',path='" SYSTEMD_MANAGER_PATH "',"
                 "interface='" SYSTEMD_MANAGER_INTERFACE "'",
          on_manager_signal },
        { SENDER "type='signal',path_namespace='" SYSTEMD_UNIT_PATH_PREFIX "',"
                 "interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',"
                 "arg0='" SYSTEMD_UNIT_INTERFACE "'",
          on_properties_changed },
        { "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
          "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" SYSTEMD_NAME "'",
          on_owner_changed },
};

static int add_match(struct systemd_manager *m, unsigned i)
{
        const char *rule = matches[i].rule;

        /* A peer sends all it has to say, without a name; and nobody there changes his. */
        if (m->link.is_peer && matches[i].handler == on_owner_changed)
                return 0;
        if (m->link.is_peer && strncmp(rule, SENDER, strlen(SENDER)) == 0)
                rule += strlen(SENDER);
        /* Without a handler of our own for the answer, the library drops the connection when the
         * bus refuses a match: we then try again, better than to be deaf. */
        return sd_bus_add_match_async(m->bus, &m->link.matches[i], rule, matches[i].handler, NULL, m);
}

static int prepare(struct systemd_manager *m)
{
        unsigned i = 0;
        int r;

        r = sd_bus_set_connected_signal(m->bus, 1);
        for (; r >= 0 && i < N_LOCAL_MATCHES; i++)
                r = add_match(m, i);
        if (r >= 0)
                r = sd_bus_start(m->bus);
        if (r >= 0)
                r = sd_bus_attach_event(m->bus, m->event, SD_EVENT_PRIORITY_NORMAL);
        /* Now, so that the bus installs them before it hears of Subscribe. */
        for (; r >= 0 && i < SYSTEMD_BUS_MATCHES; i++)
                r = add_match(m, i);
        return r;
}

/* Takes over @bus. */
static int use(struct systemd_manager *m, sd_bus *bus)
{
        int r;

        m->bus = bus;
        m->link.is_peer = sd_bus_is_bus_client(bus) <= 0;
        r = prepare(m);
        if (r < 0) {
                systemd_bus_close(m);
                return r;
        }
        systemd_request_turn(m);
        return 0;
}

static int connect_address(struct systemd_manager *m, const char *address, bool is_bus)
{
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, is_bus);
        /* As sd_bus_open_system() has it. */
        if (r >= 0)
                r = sd_bus_negotiate_creds(bus, 1, SD_BUS_CREDS_UID | SD_BUS_CREDS_EUID |
                                                           SD_BUS_CREDS_EFFECTIVE_CAPS);
        if (r < 0)
                return r;
        return use(m, TAKE_PTR(bus));
}

static int connect_somewhere(struct systemd_manager *m)
{
        struct systemd_bus *b = &m->link;
        const char *address = b->address;
        sd_bus *bus = NULL;
        int r;

        if (b->open != NULL) {
                r = b->open(b->open_ctx, &bus);
                return r < 0 ? r : use(m, bus);
        }

        if (address == NULL)
                address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
        if (address == NULL)
                address = SYSTEM_BUS_ADDRESS;
        r = connect_address(m, address, true);
        /* Who began on the bus waits for the bus to come back: it has a name there. */
        if (r < 0 && b->address == NULL && b->is_private &&
            connect_address(m, PRIVATE_ADDRESS, false) >= 0)
                return 0;
        return r;
}

int systemd_bus_start(struct systemd_manager *m)
{
        int r;

        if (m->bus != NULL || m->link.reconnect_at_usec < UINT64_MAX)
                return -EALREADY;

        /* Which of the two it is is decided here. */
        m->link.is_private = true;
        r = connect_somewhere(m);
        m->link.is_private = r >= 0 && m->link.is_peer;
        return r;
}

/* ---- time -------------------------------------------------------------------------------------- */

uint64_t systemd_bus_next_usec(struct systemd_manager *m)
{
        uint64_t next = m->link.reconnect_at_usec;

        if (m->link.subscribe_at_usec < next)
                next = m->link.subscribe_at_usec;
        return m->link.reload_ends_at_usec < next ? m->link.reload_ends_at_usec : next;
}

void systemd_bus_expire(struct systemd_manager *m, uint64_t now_usec)
{
        if (now_usec >= m->link.reconnect_at_usec) {
                m->link.reconnect_at_usec = UINT64_MAX;
                if (connect_somewhere(m) < 0)
                        m->link.reconnect_at_usec = back_off(m);
        }
        if (now_usec >= m->link.reload_ends_at_usec)
                end_reload(m);
}
