/* SPDX-License-Identifier: MIT */

/* mode: shows it, or sets it until the daemon starts again. */

#include "client/bus.h"
#include "client/json.h"

#include <stdio.h>
#include <string.h>

static int print_json(struct json_object *properties)
{
        _cleanup_json_ struct json_object *top = json_object_new_object();

        if (!top || json_object_object_add(top, "mode", json_object_get(json_get(properties, "Mode"))) < 0)
                return out_of_memory();
        return json_print(top);
}

static int show(const struct client *c, sd_bus *bus)
{
        _cleanup_json_ struct json_object *properties = NULL;

        int status = bus_get_properties(bus, &properties);
        if (status != STATUS_FINE)
                return status;
        if (c->want_json)
                return print_json(properties);
        (void)printf("%s\n", json_get_text(properties, "Mode", "unknown"));
        return STATUS_FINE;
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
        if (n_args == 1)
                status = bus_call(bus, BUS_PATIENCE_RESTORE_USEC, "SetMode", NULL, "s", args[0]);
        /* Setting is quiet, but whoever wants JSON reads some. */
        return status != STATUS_FINE || (n_args == 1 && !c->want_json) ? status : show(c, bus);
}
