/* SPDX-License-Identifier: MIT */

/* restore: every unit gets back what it had, and the daemon only observes from then on. */

#include "client/bus.h"

#include <stdio.h>

int verb_restore(const struct client *c, char *args[], int n_args)
{
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_bus_ sd_bus *bus = NULL;
        uint32_t n_failed;

        (void)args;
        (void)n_args;
        int status = bus_open(c, &bus);
        if (status == STATUS_FINE)
                status = bus_call(bus, BUS_PATIENCE_RESTORE_USEC, "Restore", &reply, "");
        if (status != STATUS_FINE)
                return status;
        int r = sd_bus_message_read(reply, "u", &n_failed);
        if (r < 0)
                return bus_bad_answer("Restore", r);
        if (n_failed > 0) {
                complain("%u unit%s could not be given back; coallocd tries again at its next start.",
                         n_failed, n_failed == 1 ? "" : "s");
                (void)fprintf(stderr, "Which, and why: journalctl -u coallocd -n 50\n");
                return STATUS_FAILED;
        }
        (void)printf("Every unit has what it had before coallocd. The mode is observe now;\n"
                     "`coallocctl mode enforce` begins anew.\n");
        return STATUS_FINE;
}
