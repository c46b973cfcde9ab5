/* SPDX-License-Identifier: MIT */
#pragma once

/* What the daemon's words and numbers mean, for a person. */

#include "util/parse.h"

/* CPU for a table: "135%", "4.2%", "0%". Below ten percent one decimal, above none. */
char *words_cpu(char buf[static FORMAT_MAX], double milli);

/* A share of time or of periods: "12%", "0.3%". */
char *words_share(char buf[static FORMAT_MAX], double share);

/* A number without a unit, to three significant digits: "0.0123", "4.5", "infinite". */
char *words_number(char buf[static FORMAT_MAX], double number);

/* One sentence on what a tier means for the services; on an unknown tier, "". */
const char *words_tier(const char *tier);

/* What the gate did. */
const char *words_verdict(const char *verdict);

/* Why allocations are held, and how that ends; on "" and on an unknown reason, "". */
const char *words_hold(const char *hold);

/* How a mode and Enforce= act: "enforcing with quotas and weights", "observing only: ..." */
const char *words_mode(const char *mode, const char *enforce);
