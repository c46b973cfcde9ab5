/* SPDX-License-Identifier: MIT */
#pragma once

/* Numbers as text for machines: the shortest decimal that reads back as the same double. */

#define NUMBER_TEXT_MAX 32

/**
 * format_shortest() - a finite double, e.g. 0.1, 1200, 1e+300
 *
 * Neither program ever sets LC_NUMERIC, so the decimal sign is a point; if a library did, the sign
 * is put right here all the same.
 *
 * Return: @buf.
 */
char *format_shortest(char buf[static NUMBER_TEXT_MAX], double number);
