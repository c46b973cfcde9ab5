/* SPDX-License-Identifier: MIT */

/* adopt: a unit whose quota somebody else changed is managed again. */

#include "client/bus.h"

int verb_adopt(const struct client *c, char *args[], int n_args)
{
        _cleanup_bus_ sd_bus *bus = NULL;

        (void)n_args;
        int status = bus_open(c, &bus);
        if (status != STATUS_FINE)
                return status;
        return bus_call(bus, BUS_PATIENCE_USEC, "Adopt", NULL, "s", args[0]);
}
