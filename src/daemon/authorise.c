/* SPDX-License-Identifier: MIT */

#include "daemon/authorise.h"

#include "util/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* A person may have to type a password. */
#define POLKIT_TIMEOUT_USEC (UINT64_C(120) * 1000000)

struct question {
        sd_bus_message *call;
        const char *action;
        sd_bus_message_handler_t handler;
        void *userdata;
};

/* When the answer was handled, or the bus is gone and there will be none. */
static void question_free(void *userdata)
{
        struct question *q = userdata;

        (void)sd_bus_message_unref(q->call);
        free(q);
}

static int deny(const char *action, sd_bus_error *error)
{
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                 "Only root may do this here (or whom polkit allows %s).", action);
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        struct question *q = userdata;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int is_authorised = 0, is_challenge = 0, r;

        if (sd_bus_message_is_method_error(reply, NULL) ||
            sd_bus_message_enter_container(reply, 'r', "bba{ss}") < 0 ||
            sd_bus_message_read(reply, "bb", &is_authorised, &is_challenge) < 0)
                is_authorised = 0;

        r = is_authorised ? q->handler(q->call, q->userdata, &error) : deny(q->action, &error);
        if (r < 0 || sd_bus_error_is_set(&error))
                (void)sd_bus_reply_method_errno(q->call, r < 0 ? r : -EIO, &error);
        return 0;
}

int authorise(sd_bus_message *m, const char *action, sd_bus_message_handler_t handler, void *userdata,
              sd_bus_error *error)
{
        _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *query = NULL;
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        sd_bus *bus = sd_bus_message_get_bus(m);
        const char *sender = sd_bus_message_get_sender(m);
        struct question *q;
        uid_t uid;
        int r;

        /* The one call that waits, for dbus-daemon, which has just brought us this message: no answer of
         * ours may depend on whom else it asks meanwhile. */
        r = sd_bus_query_sender_creds(m, SD_BUS_CREDS_EUID, &creds);
        if (r < 0)
                return r;
        r = sd_bus_creds_get_euid(creds, &uid);
        if (r < 0)
                return r;
        if (uid == 0 || uid == geteuid())
                return handler(m, userdata, error);
        if (!sender)
                return deny(action, error);

        r = sd_bus_message_new_method_call(bus, &query, "org.freedesktop.PolicyKit1",
                                           "/org/freedesktop/PolicyKit1/Authority",
                                           "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization");
        if (r < 0)
                return r;
        r = sd_bus_message_append(query, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s", sender,
                                  action, 0,
                                  (uint32_t)(sd_bus_message_get_allow_interactive_authorization(m) > 0), "");
        if (r < 0)
                return r;
        q = malloc(sizeof *q);
        if (!q)
                return -ENOMEM;
        *q = (struct question){ .call = sd_bus_message_ref(m), .action = action, .handler = handler, .userdata = userdata };
        r = sd_bus_call_async(bus, &slot, query, on_answer, q, POLKIT_TIMEOUT_USEC);
        if (r < 0) {
                question_free(q);
                return r;
        }
        (void)sd_bus_slot_set_destroy_callback(slot, question_free);
        (void)sd_bus_slot_set_floating(slot, true);
        return 1;
}
