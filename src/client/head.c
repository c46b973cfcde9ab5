/* SPDX-License-Identifier: MIT */

#include "client/head.h"

#include "client/words.h"

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
