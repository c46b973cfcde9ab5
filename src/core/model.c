/* SPDX-License-Identifier: MIT */

#include "core/model.h"

#include <errno.h>
#include <string.h>

/* One table an enum: configuration, bus, command line and journal all speak these words. */
static const char *const tier_names[_TIER_MAX] = {
        [TIER_STARVED] = "starved",
        [TIER_OVERLOADED] = "overloaded",
        [TIER_CONGESTED] = "congested",
        [TIER_UNCONGESTED] = "uncongested",
};

static const char *const overload_rule_names[_OVERLOAD_RULE_MAX] = {
        [OVERLOAD_PROPORTIONAL] = "proportional",
        [OVERLOAD_WEIGHTED] = "weighted",
};

static const char *const enforce_names[_ENFORCE_MAX] = {
        [ENFORCE_BOTH] = "both",
        [ENFORCE_QUOTA] = "quota",
        [ENFORCE_WEIGHT] = "weight",
};

static const char *const verdict_names[_VERDICT_MAX] = {
        [VERDICT_APPLY] = "apply",
        [VERDICT_REDUCED] = "reduced",
        [VERDICT_HOLD] = "hold",
};

static const char *name_of(const char *const names[], size_t n_names, unsigned value)
{
        return value < n_names ? names[value] : "unknown";
}

static int value_of(const char *const names[], size_t n_names, const char *s)
{
        for (size_t i = 0; i < n_names; i++)
                if (strcmp(names[i], s) == 0)
                        return (int)i;
        return -EINVAL;
}

const char *tier_to_string(enum tier t)
{
        return name_of(tier_names, _TIER_MAX, t);
}

const char *enforce_to_string(enum enforce e)
{
        return name_of(enforce_names, _ENFORCE_MAX, e);
}

const char *overload_rule_to_string(enum overload_rule r)
{
        return name_of(overload_rule_names, _OVERLOAD_RULE_MAX, r);
}

const char *verdict_to_string(enum verdict v)
{
        return name_of(verdict_names, _VERDICT_MAX, v);
}

int enforce_from_string(const char *s)
{
        return value_of(enforce_names, _ENFORCE_MAX, s);
}

int overload_rule_from_string(const char *s)
{
        return value_of(overload_rule_names, _OVERLOAD_RULE_MAX, s);
}
