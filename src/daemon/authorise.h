/* SPDX-License-Identifier: MIT */
#pragma once

/* Who may change something: root, and whomever polkit lets (conf/org.coalloc1.policy). */

#include <systemd/sd-bus.h>

/**
 * authorise() - run a method handler once its sender is known to be allowed
 * @m:       the call; kept while polkit is asked
 * @action:  polkit action
 * @handler: sends the reply itself, or sets @error
 *
 * uid 0 passes at once. Anybody else is polkit's to judge, asynchronously; without polkit, or on a
 * private bus that has none, the answer is AccessDenied.
 *
 * Return: as an sd-bus method handler.
 */
int authorise(sd_bus_message *m, const char *action, sd_bus_message_handler_t handler, void *userdata,
              sd_bus_error *error);
