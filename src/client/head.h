/* SPDX-License-Identifier: MIT */
#pragma once

/* The lines about the host that stand above tables: a label, and text wrapped behind it. */

#include "client/bus.h"
#include "client/json.h"
#include "client/term.h"

__attribute__((format(printf, 3, 4))) void head_line(const char *label, enum term_style style,
                                                     const char *format, ...);

/* What the properties of the daemon say of the tier and the price. Where nothing is decided yet:
 * head_tier() says so and returns false. */
bool head_tier(struct json_object *host);
void head_price(struct json_object *host);

/* Says why there are no coalitions, and what to do about it. Return: a STATUS_. */
int head_no_coalitions(sd_bus *bus);
