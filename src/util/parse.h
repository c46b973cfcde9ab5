/* SPDX-License-Identifier: MIT */
#pragma once

/* What people write, read strictly; and the same written back.
 *
 * Shared by the configuration, the command line and the tables of coallocctl, so that a CPU amount
 * means the same everywhere. Nothing here looks at the locale: "1.5" is one and a half in every
 * country. Leading and trailing white space is an error (the caller knows what to strip), and so is
 * anything after the value.
 *
 * Every parser returns 0, -EINVAL for text that is not such a value at all, or -ERANGE for a value
 * that is one but lies outside the range; its output is then untouched. Cost: O(length), no
 * allocation. */

#include <stdbool.h>
#include <stdint.h>

#define USEC_PER_SEC UINT64_C(1000000)

/* No host has a million CPUs; up to there every product and sum in use stays far below 2^63. */
#define CPU_AMOUNT_MAX_USEC_PER_SEC (UINT64_C(1000000) * USEC_PER_SEC)
/* A hundred years: far above any sensible span, far below the end of 64-bit microseconds. */
#define SPAN_MAX_USEC (UINT64_C(100) * 31557600 * USEC_PER_SEC)

/* An amount of CPU as it was written. "25%host" changes its meaning when CPUs come and go, hence it
 * stays symbolic until cpu_amount_resolve(). */
struct cpu_amount {
        uint64_t micro;                 /* millionths: of one CPU (= usec per sec), or of the host */
        bool is_of_host;
};

/**
 * parse_cpu_amount() - `150%`, `1.5` (CPUs), `1500m` (millicores), `25%host`
 *
 * Anything finer than a millionth is rounded to the nearest one. -ERANGE: negative, more than a
 * million CPUs, or more than 100%host.
 */
int parse_cpu_amount(const char *s, struct cpu_amount *ret);

/* The amount in microseconds of CPU per second on a host of @n_cpus; exact. */
uint64_t cpu_amount_resolve(struct cpu_amount amount, unsigned n_cpus);

/**
 * parse_span() - a time span as systemd reads it: `15s`, `250ms`, `1min 30s`, `1.5h`; a bare number
 * counts seconds
 *
 * -ERANGE: negative, more than a hundred years, or `infinity` (no setting here can mean that).
 */
int parse_span(const char *s, uint64_t *ret_usec);

/* `12.5%` -> 0.125. The sign is required: a bare 1 could mean both 1% and everything. No upper bound;
 * -ERANGE if negative. */
int parse_percent(const char *s, double *ret_fraction);

/**
 * parse_size() - bytes: `64M`, `1.5G`, `4096`; K, M, G and T are powers of 1024, as in systemd
 *
 * -ERANGE: negative, or 2^63 or more.
 */
int parse_size(const char *s, uint64_t *ret_bytes);

/* 1 yes y true t on, 0 no n false f off, in any case, as systemd. */
int parse_boolean(const char *s, bool *ret);

/* Decimal digits only: no sign, no space, no hexadecimal. */
int parse_unsigned(const char *s, uint64_t min, uint64_t max, uint64_t *ret);

/* Digits with at most one point, an optional minus sign; no exponent, no "nan", no "inf". Up to 15
 * significant digits are read exactly; digits behind them are dropped. */
int parse_double(const char *s, double min, double max, double *ret);

/* Writing back. Each fills @buf and returns it. */
#define FORMAT_MAX 64

/* 1500000 -> "150%", 125000 -> "12.5%"; UINT64_MAX -> "infinity". */
char *format_cpu(char buf[static FORMAT_MAX], uint64_t usec_per_sec);
/* 90000000 -> "1min 30s", 250000 -> "250ms", 0 -> "0"; UINT64_MAX -> "infinity". */
char *format_span(char buf[static FORMAT_MAX], uint64_t usec);

/* The same with a buffer that lives until the end of the enclosing block. */
#define FORMAT_CPU(usec_per_sec) format_cpu((char[FORMAT_MAX]){ 0 }, (usec_per_sec))
#define FORMAT_SPAN(usec) format_span((char[FORMAT_MAX]){ 0 }, (usec))
