/* SPDX-License-Identifier: MIT */
#pragma once

/* What the daemon's words and numbers mean, for a person. */

#include "util/parse.h"

#include <stdbool.h>

/* CPU for a table: "135%", "4.2%", "0%". Below ten percent one decimal, above none. */
char *words_cpu(char buf[static FORMAT_MAX], double milli);

/* CPU given or got: "+15%", "-4.2%", "0%". */
char *words_cpu_change(char buf[static FORMAT_MAX], double milli);

/* A share of time or of periods: "12%", "0.3%". */
char *words_share(char buf[static FORMAT_MAX], double share);

/* A number without a unit, to three significant digits: "0.0123", "4.5", "infinite". */
char *words_number(char buf[static FORMAT_MAX], double number);

/* A latency, short enough for a table: "350us", "4.2ms", "80ms", "1.5s". */
char *words_latency(char buf[static FORMAT_MAX], double usec);

/* A credit with its sign: "+0.12", "-0.30", "0". */
char *words_credit(char buf[static FORMAT_MAX], double credit);

/* One sentence on what a tier means for the services; on an unknown tier, "". */
const char *words_tier(const char *tier);

/* What the gate did. */
const char *words_verdict(const char *verdict);

/* Why allocations are held, and how that ends; on "" and on an unknown reason, "". */
const char *words_hold(const char *hold);

/* How a mode and Enforce= act: "enforcing with quotas and weights", "observing only: ..." */
const char *words_mode(const char *mode, const char *enforce);

/* May more than ASCII be printed? */
bool words_has_utf8(void);
