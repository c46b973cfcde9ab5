/* SPDX-License-Identifier: MIT */
#pragma once

/* Points in time as people write them, as for journalctl. */

#include <stdint.h>

/**
 * moment_parse() - `2026-11-22 06:15:00`, `2026-11-22`, `06:15`, `now`, `today`, `yesterday`, `-1h`, `2h ago`,
 * `@1700000000`
 * @now_usec: CLOCK_REALTIME
 *
 * Dates are local time. Return: 0; -EINVAL if it is none of these.
 */
int moment_parse(const char *text, uint64_t now_usec, uint64_t *ret_usec);

#define MOMENT_TEXT_MAX 32
/* "2026-11-22 06:15:00", local time. */
char *moment_format(char buf[static MOMENT_TEXT_MAX], uint64_t usec);
