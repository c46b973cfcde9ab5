/* SPDX-License-Identifier: MIT */

/* mode: shows it, or sets it until the daemon starts again. */

#include "client/bus.h"

#include <stdio.h>
#include <string.h>

static int show(sd_bus *bus)
{
        _cleanup_json_ struct json_object *properties = NULL;

        int status = bus_get_properties(bus, &properties);
        if (status == STATUS_FINE)
                (void)printf("%s\n", json_get_text(properties, "Mode", "unknown"));
        return status;
}

int verb_mode(const struct client *c, char *args[], int n_args)
{
        _cleanup_bus_ sd_bus *bus = NULL;

        if (n_args == 1 && strcmp(args[0], "enforce") != 0 && strcmp(args[0], "observe") != 0) {
                complain("The mode is \"enforce\" or \"observe\", not \"%s\".", args[0]);
                return STATUS_USAGE;
        }
        int status = bus_open(c, &bus);
        if (status != STATUS_FINE)
                return status;
        return n_args == 0 ? show(bus) :
                             bus_call(bus, BUS_PATIENCE_RESTORE_USEC, "SetMode", NULL, "s", args[0]);
}
