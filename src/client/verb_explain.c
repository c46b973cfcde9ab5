/* SPDX-License-Identifier: MIT */

/* explain: the daemon's own account of its last decision for one unit. */

#include "client/bus.h"
#include "client/term.h"

#include <errno.h>
#include <stdio.h>

int verb_explain(const struct client *c, char *args[], int n_args)
{
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_bus_ sd_bus *bus = NULL;

        (void)n_args;
        int status = bus_open(c, &bus);
        if (status == STATUS_FINE)
                status = bus_call_json(bus, &answer, "Explain", "s", args[0]);
        if (status != STATUS_FINE)
                return status;
        if (c->want_json)
                return json_print(answer);

        const char *unit = json_get_text(answer, "unit", args[0]);
        const char *service = json_get_text(answer, "service", "");
        (void)printf("%s%s%s", term_on(stdout, TERM_BOLD), unit, term_off(stdout));
        if (*service)
                (void)printf(" (service %s)", service);
        double epoch = json_get_number(answer, "epoch");
        if (epoch > 0)
                (void)printf(", epoch %.0f", epoch);
        (void)printf("\n");

        struct json_object *sentences = json_get(answer, "sentences");
        if (!json_object_is_type(sentences, json_type_array))
                return bus_bad_answer("Explain", -EBADMSG);
        for (size_t i = 0; i < json_object_array_length(sentences); i++) {
                const char *sentence = json_object_get_string(json_object_array_get_idx(sentences, i));
                (void)printf("  - ");
                term_wrap(stdout, sentence ? sentence : "", term_width(), 4, 4);
        }
        return STATUS_FINE;
}
