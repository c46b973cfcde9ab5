/* SPDX-License-Identifier: MIT */

/* freeze, thaw: hold every allocation, and let go again. */

#include "client/bus.h"

static int set_frozen(const struct client *c, int is_frozen)
{
        _cleanup_bus_ sd_bus *bus = NULL;

        int status = bus_open(c, &bus);
        if (status != STATUS_FINE)
                return status;
        return bus_call(bus, BUS_PATIENCE_USEC, "Freeze", NULL, "b", is_frozen);
}

int verb_freeze(const struct client *c, char *args[], int n_args)
{
        (void)args;
        (void)n_args;
        return set_frozen(c, 1);
}

int verb_thaw(const struct client *c, char *args[], int n_args)
{
        (void)args;
        (void)n_args;
        return set_frozen(c, 0);
}
