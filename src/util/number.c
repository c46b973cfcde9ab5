/* SPDX-License-Identifier: MIT */

#include "util/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *format_shortest(char buf[static NUMBER_TEXT_MAX], double number)
{
        /* 15 digits survive text -> double -> text, 17 survive double -> text -> double: the
         * shortest faithful one is one of three. */
        for (int digits = 15; digits <= 17; digits++) {
                (void)snprintf(buf, NUMBER_TEXT_MAX, "%.*g", digits, number);
                if (strtod(buf, NULL) == number)
                        break;
        }
        char *foreign = strchr(buf, ',');
        if (foreign)
                *foreign = '.';
        return buf;
}
