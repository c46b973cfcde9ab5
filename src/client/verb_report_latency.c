/* SPDX-License-Identifier: MIT */

/* report-latency: a script or a proxy tells how long a service's requests take. */

#include "client/bus.h"
#include "util/parse.h"

#include <stdio.h>

int verb_report_latency(const struct client *c, char *args[], int n_args)
{
        _cleanup_bus_ sd_bus *bus = NULL;
        uint64_t latency_usec, n_requests = 0;

        (void)n_args;
        if (parse_span(args[1], &latency_usec) < 0 || latency_usec == 0) {
                complain("\"%s\" is no latency.", args[1]);
                (void)fprintf(stderr, "It is a time span from 1us to 1h as systemd writes it: 80ms, 1.5s, 250us.\n");
                return STATUS_USAGE;
        }
        if (c->requests && parse_unsigned(c->requests, 1, UINT32_MAX, &n_requests) < 0) {
                complain("--requests=: \"%s\" is no number of requests.", c->requests);
                (void)fprintf(stderr, "It counts those since the report before: a whole number from 1 to %u.\n", UINT32_MAX);
                return STATUS_USAGE;
        }
        int status = bus_open(c, &bus);
        if (status != STATUS_FINE)
                return status;
        return bus_call(bus, BUS_PATIENCE_USEC, "ReportLatency", NULL, "sdu", args[0],
                        (double)latency_usec / (double)USEC_PER_SEC, (uint32_t)n_requests);
}
