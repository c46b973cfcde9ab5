/* SPDX-License-Identifier: MIT */

#include "client/head.h"

#include "client/client.h"
#include "client/words.h"
#include "platform/config_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LABEL_WIDTH 10

void head_line(const char *label, enum term_style style, const char *format, ...)
{
        va_list ap;

        (void)printf("%*s%s", LABEL_WIDTH - 2, label, *label ? ": " : "  ");
        va_start(ap, format);
        term_vsay(stdout, style, LABEL_WIDTH, LABEL_WIDTH, format, ap);
        va_end(ap);
}

bool head_tier(struct json_object *host)
{
        const char *tier = json_get_text(host, "Tier", "");

        if (!*tier) {
                head_line("Tier", TERM_DIM, "none yet: %s", *json_get_text(host, "EpochError", "") ?
                          "no epoch has ended with a decision" : "the first epoch is still being measured");
                return false;
        }
        head_line("Tier", strcmp(tier, "uncongested") == 0 ? TERM_PLAIN : TERM_WARN, "%s. %s", tier,
                  words_tier(tier));
        return true;
}

void head_price(struct json_object *host)
{
        char scarcity[FORMAT_MAX], price[FORMAT_MAX];

        head_line("Price", TERM_PLAIN, "scarcity %s (0 enough for all, 1 baselines only, 2 nothing); one "
                  "more milli-CPU is worth %s",
                  words_number(scarcity, json_get_number(host, "Scarcity")),
                  words_number(price, json_get_number(host, "ShadowPrice")));
}

static bool is_any_shared(struct json_object *paths)
{
        for (size_t i = 0; i < json_length(paths); i++)
                if (json_length(json_get_list(json_at(paths, i), "Services")) > 1)
                        return true;
        return false;
}

int head_no_coalitions(sd_bus *bus)
{
        _cleanup_json_ struct json_object *host = NULL, *paths = NULL;

        int status = bus_get_properties(bus, &host);
        if (status == STATUS_FINE)
                status = bus_call_list(bus, &paths, "ListPaths");
        if (status != STATUS_FINE)
                return status;
        if (*json_get_text(host, "EpochError", ""))
                term_say(stdout, TERM_WARN, 0, "The last epoch ended without a decision, so there is nothing to "
                         "show: `coallocctl status` says why.");
        else if (!*json_get_text(host, "Tier", ""))
                term_say(stdout, TERM_PLAIN, 0, "Nothing is decided yet: the first epoch is still being measured.");
        else if (is_any_shared(paths))
                term_say(stdout, TERM_PLAIN, 0, "Services share request paths, but MaxCoalitionSize=1 in %s lets "
                         "none of them pool CPU.", CONFIG_MAIN_PATH);
        else if (json_length(paths) > 0)
                term_say(stdout, TERM_PLAIN, 0, "Of no request path does more than one service run, so there is "
                         "nobody to pool CPU with.");
        else
                term_say(stdout, TERM_PLAIN, 0, "No service that runs works with another. Which does is said in "
                         "%s, by Calls= in its [Service] section or by a [Path]: coalloc.conf(5).", CONFIG_MAIN_PATH);
        return STATUS_FINE;
}
