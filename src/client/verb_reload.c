/* SPDX-License-Identifier: MIT */

/* reload: the daemon reads its configuration again, all or nothing. */

#include "client/bus.h"

int verb_reload(const struct client *c, char *args[], int n_args)
{
        _cleanup_bus_ sd_bus *bus = NULL;

        (void)args;
        (void)n_args;
        int status = bus_open(c, &bus);
        if (status != STATUS_FINE)
                return status;
        return bus_call(bus, BUS_PATIENCE_USEC, "Reload", NULL, "");
}
