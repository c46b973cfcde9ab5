/* SPDX-License-Identifier: MIT */

#include "daemon/bus_append.h"

#include "core/model.h"

#include <stdarg.h>

#define USEC_PER_MS 1000

uint64_t bus_usec_from_milli(double milli)
{
        if (!isfinite(milli))
                return UINT64_MAX;
        return milli > 0 ? (uint64_t)llround(milli * USEC_PER_MILLI) : 0;
}

uint64_t bus_usec_from_ms(double ms)
{
        if (!isfinite(ms))
                return UINT64_MAX;
        return ms > 0 ? (uint64_t)llround(ms * USEC_PER_MS) : 0;
}

int bus_append_variant(sd_bus_message *m, const char *key, const char *type, ...)
{
        va_list ap;
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", key);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'v', type);
        if (r < 0)
                return r;
        va_start(ap, type);
        r = sd_bus_message_appendv(m, type, ap);
        va_end(ap);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(m);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(m);
}
