/* SPDX-License-Identifier: MIT */

/* Not coallocd: the same face on the bus with answers that never change, so that what coallocctl
 * makes of them can be compared byte for byte.
 *
 *      fake_coallocd [observe|hostile|old|undecided|failing|veto|rolled-back]
 *
 * Prints "ready" when the name is taken, ends with the bus. */

#include "util/cleanup.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>

#define NONE UINT64_MAX

static struct {
        const char *mode;
        bool is_hostile;                /* odd answers */
        bool is_frozen;
        const char *config_error;
        const char *epoch_error;
        const char *hold;
        const char *tier;
        double trend;
} fake = { .mode = "enforce", .config_error = "", .epoch_error = "", .hold = "", .tier = "congested",
           .trend = -0.5 };

struct fake_service {
        const char *name, *unit, *state, *note;
        int is_managed;
        uint64_t use, need, baseline, alloc;
        uint64_t quota[3], weight[3];
        double throttled, pressure;
};

static const struct fake_service services[] = {
        { "web", "shop-web.slice", "managed", "", 1, 783000, 900000, 200000, 1200000,
          { NONE, NONE, NONE }, { 1500, 1500, 1500 }, 0.0, 0.12 },
        { "batch", "batch.slice", "managed", "elastic", 1, 2410000, 0, 0, 400000,
          { 1400000, 1400000, 1400000 }, { 17, 17, 17 }, 0.31, 0.62 },
        { "db", "shop-db.slice", "refused", "the kernel did not take it", 1, 42000, 100000, 100000, 500000,
          { 500000, 500000, 900000 }, { 600, 500, 500 }, 0.0, 0.0 },
        { "mail", "mail.slice", "inactive", "", 1, 0, 0, 50000, NONE,
          { NONE, NONE, NONE }, { NONE, NONE, NONE }, 0.0, 0.0 },
        { "", "user.slice", "observed", "", 0, 120000, 0, 0, NONE,
          { NONE, NONE, NONE }, { NONE, NONE, NONE }, 0.0, 0.05 },
};

static int append(sd_bus_message *m, const char *key, const char *type, ...)
{
        va_list ap;

        int r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', key);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', type);
        va_start(ap, type);
        if (r >= 0)
                r = sd_bus_message_appendv(m, type, ap);
        va_end(ap);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_service(sd_bus_message *m, const struct fake_service *s)
{
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = append(m, "Unit", "s", s->unit);
        if (r >= 0)
                r = append(m, "FromTheFuture", "a{sv}", 1, "Deep", "t", UINT64_C(7));
        if (r >= 0)
                r = append(m, "Managed", "b", s->is_managed);
        /* A hostile daemon says no more than that: everything else is "-". */
        if (fake.is_hostile || r < 0)
                return r < 0 ? r : sd_bus_message_close_container(m);
        const struct {
                const char *key;
                uint64_t count;
        } counts[] = {
                { "UseUSecPerSec", s->use }, { "LoadUSecPerSec", s->use }, { "NeedUSecPerSec", s->need },
                { "FloorUSecPerSec", 0 }, { "BaselineUSecPerSec", s->baseline }, { "MaxUSecPerSec", NONE },
                { "AllocationUSecPerSec", s->alloc },
                { "QuotaWantedUSecPerSec", s->quota[0] }, { "QuotaAppliedUSecPerSec", s->quota[1] },
                { "QuotaReadUSecPerSec", s->quota[2] }, { "CPUWeightWanted", s->weight[0] },
                { "CPUWeightApplied", s->weight[1] }, { "CPUWeightRead", s->weight[2] },
        };
        for (size_t i = 0; i < sizeof counts / sizeof *counts && r >= 0; i++)
                r = append(m, counts[i].key, "t", counts[i].count);
        if (r >= 0)
                r = append(m, "Name", "s", s->name);
        if (r >= 0)
                r = append(m, "Active", "b", strcmp(s->state, "inactive") != 0);
        if (r >= 0)
                r = append(m, "State", "s", s->state);
        if (r >= 0)
                r = append(m, "Note", "s", s->note);
        if (r >= 0)
                r = append(m, "CoalitionId", "s", "");
        if (r >= 0)
                r = append(m, "Weight", "u", (uint32_t)100);
        if (r >= 0)
                r = append(m, "ThrottledRatio", "d", s->throttled);
        if (r >= 0)
                r = append(m, "Pressure", "d", s->pressure);
        if (r >= 0)
                r = append(m, "NeedReason", "s", "load");
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int list_services(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(call, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; i < sizeof services / sizeof *services && r >= 0; i++)
                r = append_service(reply, &services[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int explain(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const char *unit;
        int r = sd_bus_message_read(call, "s", &unit);

        if (r < 0)
                return r;
        if (fake.is_hostile)
                return sd_bus_reply_method_return(call, "s", "{\"sentences\":");
        if (strcmp(unit, "web") != 0 && strcmp(unit, "shop-web.slice") != 0)
                return sd_bus_error_setf(error, "org.coalloc1.NoSuchService",
                                         "There is no unit or service \"%s\".", unit);
        return sd_bus_reply_method_return(call, "s",
                "{\"unit\":\"shop-web.slice\",\"service\":\"web\",\"epoch\":42,\"sentences\":["
                "\"It used 78% and needs 90%: 1.15 times its load.\","
                "\"It got 120%, because the host is uncongested.\"],"
                "\"inputs\":{\"load_milli\":783},\"decision\":{\"alloc_milli\":1200}}");
}

static int plan(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        return sd_bus_reply_method_return(call, "s",
                "{\"tier\":\"congested\",\"scarcity\":0.5,\"shadow_price\":null,\"services\":["
                "{\"name\":\"web\",\"market_milli\":1200.5,\"alloc_milli\":1200,\"quota_milli\":null,"
                "\"cpu_weight\":1500,\"coalition\":null,\"credit\":0,\"satisfied\":true}],\"coalitions\":[],"
                "\"gate\":{\"v_before\":2,\"v_after\":1,\"step\":0.5,\"verdict\":\"reduced\"}}");
}

static int set_mode(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const char *mode;
        int r = sd_bus_message_read(call, "s", &mode);

        if (r < 0)
                return r;
        fake.mode = strcmp(mode, "observe") == 0 ? "observe" : "enforce";
        return sd_bus_reply_method_return(call, "");
}

static int freeze(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        int is_frozen;
        int r = sd_bus_message_read(call, "b", &is_frozen);

        if (r < 0)
                return r;
        fake.is_frozen = is_frozen;
        return sd_bus_reply_method_return(call, "");
}

static int reload(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        fake.config_error = "/etc/coalloc.conf:12: Baseline=: 900% is more than the host's 400%";
        return sd_bus_error_set(error, "org.coalloc1.ConfigInvalid", fake.config_error);
}

static int adopt(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "Only root may do that.");
}

static int restore(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        uint32_t n_failed = strcmp(fake.mode, "observe") == 0 ? 0 : 2;

        fake.mode = "observe";
        return sd_bus_reply_method_return(call, "u", n_failed);
}

static const char *hold(void)
{
        return fake.is_frozen ? "frozen" : fake.hold;
}

static const char *verdict(void)
{
        return *hold() ? "hold" : "apply";
}

static int get(sd_bus *bus, const char *path, const char *interface, const char *property,
               sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        static const struct {
                const char *name;
                uint64_t count;
        } counts[] = {
                { "CapacityUSecPerSec", 4000000 }, { "BargainedUSecPerSec", 3600000 },
                { "AllocatedUSecPerSec", 2100000 }, { "UnmanagedUSecPerSec", 120000 },
                { "Epoch", 42 }, { "EpochUSec", 15000000 }, { "NextEpochUSec", 0 },
        };
        const struct {
                const char *name;
                double number;
        } numbers[] = {
                { "Scarcity", 0.5 }, { "ShadowPrice", INFINITY }, { "Potential", 0.125 },
                { "PotentialTrend", fake.trend }, { "StepSize", 1 },
        };

        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
                if (strcmp(property, counts[i].name) == 0)
                        return sd_bus_message_append(reply, "t", counts[i].count);
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
                if (strcmp(property, numbers[i].name) == 0)
                        return sd_bus_message_append(reply, "d", numbers[i].number);
        if (strcmp(property, "Frozen") == 0)
                return sd_bus_message_append(reply, "b", (int)fake.is_frozen);
        if (strcmp(property, "PressureAvailable") == 0)
                return sd_bus_message_append(reply, "b", 1);
        return sd_bus_message_append(reply, "s", strcmp(property, "Version") == 0     ? "0.1.0" :
                                                 strcmp(property, "Mode") == 0        ? fake.mode :
                                                 strcmp(property, "Enforce") == 0     ? "both" :
                                                 strcmp(property, "Tier") == 0        ? fake.tier :
                                                 strcmp(property, "Verdict") == 0     ? verdict() :
                                                 strcmp(property, "EpochError") == 0  ? fake.epoch_error :
                                                 strcmp(property, "Hold") == 0        ? hold() :
                                                                                        fake.config_error);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", get, 0, 0),
        SD_BUS_PROPERTY("Mode", "s", get, 0, 0),
        SD_BUS_PROPERTY("Enforce", "s", get, 0, 0),
        SD_BUS_PROPERTY("Tier", "s", get, 0, 0),
        SD_BUS_PROPERTY("CapacityUSecPerSec", "t", get, 0, 0),
        SD_BUS_PROPERTY("BargainedUSecPerSec", "t", get, 0, 0),
        SD_BUS_PROPERTY("AllocatedUSecPerSec", "t", get, 0, 0),
        SD_BUS_PROPERTY("UnmanagedUSecPerSec", "t", get, 0, 0),
        SD_BUS_PROPERTY("Scarcity", "d", get, 0, 0),
        SD_BUS_PROPERTY("ShadowPrice", "d", get, 0, 0),
        SD_BUS_PROPERTY("Potential", "d", get, 0, 0),
        SD_BUS_PROPERTY("PotentialTrend", "d", get, 0, 0),
        SD_BUS_PROPERTY("StepSize", "d", get, 0, 0),
        SD_BUS_PROPERTY("Verdict", "s", get, 0, 0),
        SD_BUS_PROPERTY("Epoch", "t", get, 0, 0),
        SD_BUS_PROPERTY("EpochUSec", "t", get, 0, 0),
        SD_BUS_PROPERTY("NextEpochUSec", "t", get, 0, 0),
        SD_BUS_PROPERTY("Frozen", "b", get, 0, 0),
        SD_BUS_PROPERTY("ConfigError", "s", get, 0, 0),
        SD_BUS_PROPERTY("PressureAvailable", "b", get, 0, 0),
        SD_BUS_METHOD("ListServices", "", "aa{sv}", list_services, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Explain", "s", "s", explain, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Plan", "", "s", plan, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("SetMode", "s", "", set_mode, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Freeze", "b", "", freeze, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Reload", "", "", reload, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Adopt", "s", "", adopt, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Restore", "", "u", restore, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END
};

/* What a daemon of yesterday does not have. */
static const sd_bus_vtable newer_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Hold", "s", get, 0, 0),
        SD_BUS_PROPERTY("EpochError", "s", get, 0, 0),
        SD_BUS_VTABLE_END
};

int main(int argc, char *argv[])
{
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;

        const char *how = argc > 1 ? argv[1] : "enforce";
        bool is_old = strcmp(how, "old") == 0;

        fake.is_hostile = strcmp(how, "hostile") == 0;
        if (strcmp(how, "observe") == 0)
                fake.mode = "observe";
        if (strcmp(how, "undecided") == 0)
                fake.tier = "";
        if (strcmp(how, "undecided") == 0 || strcmp(how, "failing") == 0)
                fake.epoch_error = "4 services, but fewer whole percents of CPU to give.";
        if (is_old || strcmp(how, "veto") == 0)
                fake.hold = "veto";
        if (strcmp(how, "veto") == 0)
                fake.trend = 0.25;
        if (strcmp(how, "rolled-back") == 0) {
                fake.hold = "rolled-back";
                fake.trend = 0;
        }

        int r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = sd_bus_add_object_vtable(bus, NULL, "/org/coalloc1", "org.coalloc1.Manager", vtable, NULL);
        if (r >= 0 && !is_old)
                r = sd_bus_add_object_vtable(bus, NULL, "/org/coalloc1", "org.coalloc1.Manager",
                                             newer_vtable, NULL);
        if (r >= 0)
                r = sd_bus_request_name(bus, "org.coalloc1", 0);
        if (r < 0) {
                (void)fprintf(stderr, "fake_coallocd: %s\n", strerror(-r));
                return 1;
        }
        (void)puts("ready");
        (void)fflush(stdout);
        while ((r = sd_bus_process(bus, NULL)) >= 0)
                if (r == 0 && sd_bus_wait(bus, UINT64_MAX) < 0)
                        break;
        return 0;
}
