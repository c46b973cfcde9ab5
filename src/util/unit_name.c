/* SPDX-License-Identifier: MIT */
#include "util/unit_name.h"

#include <string.h>

static const struct {
        const char *suffix;
        const char *section;
} types[] = {
        { ".slice", "Slice" },
        { ".service", "Service" },
        { ".scope", "Scope" },
};

const char *unit_name_section(const char *name)
{
        const char *suffix = strrchr(name, '.');
        if (!suffix)
                return NULL;
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
                if (strcmp(suffix, types[i].suffix) == 0)
                        return types[i].section;
        return NULL;
}

bool unit_name_is_valid(const char *name)
{
        /* Not isalnum(): what a letter is must not depend on the locale. */
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789:-_.\\@";
        size_t length = strnlen(name, UNIT_NAME_LENGTH_MAX + 1);

        if (length > UNIT_NAME_LENGTH_MAX || strspn(name, allowed) != length)
                return false;
        /* A type alone is no name, and neither is an instance of nothing. */
        if (!unit_name_section(name) || name == strrchr(name, '.') || name[0] == '@')
                return false;
        return true;
}
