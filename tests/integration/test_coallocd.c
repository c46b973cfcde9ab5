/* SPDX-License-Identifier: MIT */

/* The real coallocd on a host that pretends: what it promises, seen from outside.
 *
 * Epochs take two seconds of real time, so the cases run side by side, each in a process and on a
 * host of its own. With arguments only the cases whose names contain one of them run, one after the
 * other. COALLOC_TEST_WRAPPER="valgrind ..." puts something before the program. */

#include "lib/daemon_host.h"

#include "platform/history_db.h"
#include "util/bus_names.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#define N_SIDE_BY_SIDE 10
#define CASE_TIMEOUT_SEC 600

#define FAST "EpochSec=2s\nSampleIntervalSec=200ms\n"
#define SHOP                                                            \
        "[Service web]\nUnit=shop-web.slice\nBaseline=20%\n"            \
        "[Service db]\nUnit=shop-db.slice\nBaseline=20%\n"              \
        "[Service job]\nUnit=shop-job.slice\nWeight=10\n"

/* Values as systemd has them; in a test of giving back the ones to come back to. */
struct values {
        uint64_t quota, weight;
};

static struct values values_of(struct daemon_host *h, const char *unit)
{
        struct fake_systemd_unit *u = fake_systemd_find(h->systemd, unit);

        REQUIRE(h, u);
        return (struct values){ u->quota, u->weight };
}

static bool is_as_it_was(struct daemon_host *h, const char *unit)
{
        struct fake_systemd_unit *u = fake_systemd_find(h->systemd, unit);
        char path[512];

        REQUIRE(h, u);
        snprintf(path, sizeof path, "run/systemd/system.control/%s.d", unit);
        return u->quota == u->own_quota && u->weight == u->own_weight && !fake_tree_exists(h->tree, path);
}

static bool units_are_as_they_were(struct daemon_host *h)
{
        for (struct fake_systemd_unit *u = h->systemd->units; u; u = u->next)
                if (!is_as_it_was(h, u->name))
                        return false;
        return true;
}

static bool all_are_as_they_were(struct daemon_host *h)
{
        return units_are_as_they_were(h) && !fake_tree_exists(h->tree, "run/coalloc/units");
}

static bool has_state(struct daemon_host *h, const char *unit, const char *state)
{
        return strcmp(daemon_host_text(h, unit, "State"), state) == 0;
}

/* Is it written that way in what a method answers? */
static bool says(struct daemon_host *h, const char *method, const char *argument, const char *part)
{
        char *text = daemon_host_answer(h, method, argument);
        bool found = strstr(text, part) != NULL;

        free(text);
        return found;
}

static bool explains(struct daemon_host *h, const char *unit, const char *part)
{
        return says(h, "Explain", unit, part);
}

static void call(struct daemon_host *h, const char *method, const char *argument)
{
        char name[128] = "";

        if (daemon_host_call(h, method, argument, strcmp(method, "Freeze") == 0, name) < 0)
                daemon_host_fail(h, __FILE__, __LINE__, "%s: %s", method, name);
}

/* shop.slice with a web that works, a database, and a job that takes all it can get. */
static struct daemon_host *shop(const char *manager)
{
        struct daemon_host *h = daemon_host_new(4);
        char text[2048];

        snprintf(text, sizeof text, "[Manager]\n" FAST "%s%s", manager, SHOP);
        daemon_host_configure(h, text);
        daemon_host_add(h, "system.slice", 0);
        daemon_host_add(h, "shop.slice", 0);
        daemon_host_add(h, "shop-web.slice", 0.8);
        daemon_host_add(h, "shop-db.slice", 0.4);
        daemon_host_add(h, "shop-job.slice", 8);
        return h;
}

static void stop(struct daemon_host *h)
{
        REQUIRE_NUMBER(h, (uint64_t)daemon_host_end(h, SIGTERM), 0);
        REQUIRE(h, h->n_stopping == 1);
        REQUIRE(h, all_are_as_they_were(h));
        daemon_host_free(h);
}

/* ---- start ------------------------------------------------------------------------------------- */

static void ready_comes_only_after_all_units_are_read(void)
{
        struct daemon_host *h = shop("Mode=observe\n");

        h->systemd->holds_replies = true;
        daemon_host_start(h, NULL);
        /* Reply by reply: it may not be ready while one of the units is not read. */
        while (h->systemd->n_get_all < 5) {
                REQUIRE(h, !h->is_ready);
                WAIT(h, h->systemd->n_held > 0 || h->systemd->n_get_all >= 5);
                REQUIRE(h, !h->is_ready);
                if (h->systemd->n_held > 0 && h->systemd->n_get_all < 5)
                        fake_systemd_release(h->systemd, 1);
        }
        REQUIRE(h, !h->is_ready);
        h->systemd->holds_replies = false;
        fake_systemd_release(h->systemd, 0);
        WAIT(h, h->is_ready);
        stop(h);
}

static void start_asks_for_more_time_as_soon_as_units_are_read(void)
{
        struct daemon_host *h = shop("Mode=observe\n");

        h->systemd->holds_replies = true;
        daemon_host_start(h, NULL);
        while (h->systemd->n_get_all == 0) {
                WAIT(h, h->systemd->n_held > 0 || h->systemd->n_get_all > 0);
                if (h->systemd->n_get_all == 0)
                        fake_systemd_release(h->systemd, 1);
        }
        /* Who gets no answer gets no time. */
        WAIT(h, h->systemd->n_held == 5);
        REQUIRE_NUMBER(h, h->n_extended, 0);
        fake_systemd_release(h->systemd, 1);
        WAIT(h, h->n_extended == 1);
        REQUIRE(h, !h->is_ready);
        h->systemd->holds_replies = false;
        fake_systemd_release(h->systemd, 0);
        WAIT(h, h->is_ready);
        /* Not with each of them. */
        REQUIRE_NUMBER(h, h->n_extended, 1);
        stop(h);
}

static void wrong_configuration_ends_with_78_and_touches_nothing(void)
{
        struct daemon_host *h = shop("Mode=perhaps\n");

        daemon_host_start(h, NULL);
        REQUIRE_NUMBER(h, (uint64_t)daemon_host_end(h, 0), 78);
        REQUIRE(h, daemon_host_logged(h, "etc/coalloc.conf:4: Mode=") == 1);
        REQUIRE_NUMBER(h, h->systemd->n_calls, 0);
        REQUIRE(h, all_are_as_they_were(h));
        daemon_host_free(h);
}

static void unit_that_comes_while_frozen_waits(void)
{
        struct daemon_host *h = shop("");

        daemon_host_configure(h, "[Manager]\n" FAST SHOP "[Service late]\nUnit=late-*.slice\n");
        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").weight != UNSET);
        call(h, "Freeze", "yes");
        daemon_host_add(h, "late.slice", 0);
        daemon_host_add(h, "late-1.slice", 0.5);
        daemon_host_epochs(h, 3);
        REQUIRE(h, is_as_it_was(h, "late-1.slice") && is_as_it_was(h, "late.slice"));
        REQUIRE(h, daemon_host_number(h, "late-1.slice", "AllocationUSecPerSec") == UNSET);
        call(h, "Freeze", "no");
        WAIT(h, values_of(h, "late-1.slice").weight != UNSET);
        stop(h);
}

static void damaged_record_is_put_aside_and_it_goes_on(void)
{
        struct daemon_host *h = shop("");

        fake_tree_write(h->tree, "run/coalloc/units", "coalloc-units 1\nunit shop-web.slice\nchecksum 0\n");
        daemon_host_run(h, NULL);
        REQUIRE(h, fake_tree_exists(h->tree, "run/coalloc/units.bad"));
        REQUIRE(h, daemon_host_logged(h, "units.bad") == 1);
        WAIT(h, values_of(h, "shop-web.slice").weight != UNSET);
        stop(h);
}

/* ---- modes ------------------------------------------------------------------------------------- */

static void observe_writes_nothing_and_shows_what_it_would_do(void)
{
        struct daemon_host *h = shop("Mode=observe\nEnforce=quota\n");

        daemon_host_run(h, NULL);
        daemon_host_epochs(h, 3);
        REQUIRE_NUMBER(h, h->systemd->n_set, 0);
        REQUIRE(h, !fake_tree_exists(h->tree, "run/coalloc/units"));
        WAIT(h, daemon_host_number(h, "shop-job.slice", "QuotaWantedUSecPerSec") != UNSET);
        REQUIRE_NUMBER(h, h->systemd->n_set, 0);
        REQUIRE(h, daemon_host_number(h, "shop-job.slice", "QuotaAppliedUSecPerSec") == UNSET);
        stop(h);
}

static void modes_are_switched_over_the_bus_and_observe_gives_back(void)
{
        struct daemon_host *h = shop("");

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").weight != UNSET);
        call(h, "SetMode", "observe");
        REQUIRE(h, all_are_as_they_were(h));
        REQUIRE_TEXT(h, daemon_host_text(h, NULL, "Mode"), "observe");
        call(h, "SetMode", "enforce");
        WAIT(h, values_of(h, "shop-web.slice").weight != UNSET);
        call(h, "Restore", NULL);
        REQUIRE(h, all_are_as_they_were(h));
        REQUIRE_TEXT(h, daemon_host_text(h, NULL, "Mode"), "observe");
        stop(h);
}

static void frozen_writes_nothing_until_thawed(void)
{
        struct daemon_host *h = shop("Enforce=quota\nReserve=0%\n");
        unsigned n_set;

        daemon_host_run(h, NULL);
        daemon_host_epochs(h, 3);
        call(h, "Freeze", "yes");
        /* What was decided before is still brought into force. */
        daemon_host_epochs(h, 2);
        n_set = h->systemd->n_set;
        fake_systemd_find(h->systemd, "shop-web.slice")->load_cpus = 2.5;
        daemon_host_epochs(h, 2);
        REQUIRE_NUMBER(h, h->systemd->n_set, n_set);
        REQUIRE_NUMBER(h, daemon_host_number(h, NULL, "Frozen"), 1);
        call(h, "Freeze", "no");
        WAIT(h, values_of(h, "shop-web.slice").quota > 2000000);
        stop(h);
}

/* ---- writing ----------------------------------------------------------------------------------- */

static void quotas_never_exceed_the_budget_while_loads_change(void)
{
        struct daemon_host *h = shop("Enforce=quota\nReserve=40%\n");

        h->budgeted = "shop-";
        daemon_host_run(h, NULL);
        for (unsigned i = 0; i < 5; i++) {
                fake_systemd_find(h->systemd, "shop-web.slice")->load_cpus = i % 2 ? 3 : 0.3;
                fake_systemd_find(h->systemd, "shop-db.slice")->load_cpus = i % 2 ? 0.2 : 2;
                daemon_host_epochs(h, 1);
        }
        REQUIRE(h, h->sum_usec_max > 0);
        REQUIRE(h, h->sum_usec_max <= 3600000);
        REQUIRE(h, h->n_sets_in_epoch_max == 1);
        REQUIRE(h, h->n_quota_changed > 0);
        stop(h);
}

static void capacity_that_shrinks_takes_quotas_along_also_when_frozen(void)
{
        struct daemon_host *h = shop("Enforce=quota\nReserve=0%\n");

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET && values_of(h, "shop-db.slice").quota != UNSET &&
                        values_of(h, "shop-job.slice").quota != UNSET);
        REQUIRE(h, values_of(h, "shop-web.slice").quota + values_of(h, "shop-db.slice").quota +
                                   values_of(h, "shop-job.slice").quota >
                           3000000);
        call(h, "Freeze", "yes");
        h->systemd->host.n_cpus = 2;
        WAIT(h, values_of(h, "shop-web.slice").quota + values_of(h, "shop-db.slice").quota +
                                values_of(h, "shop-job.slice").quota <=
                        2000000);
        REQUIRE(h, daemon_host_logged(h, "2 CPUs now") == 1);
        stop(h);
}

static void at_most_64_calls_are_under_way_in_a_storm(void)
{
        struct daemon_host *h = daemon_host_new(64);
        char unit[64];

        daemon_host_configure(h, "[Manager]\n" FAST "Enforce=quota\nReserve=0%\n[Service all]\nUnit=storm-*.slice\n");
        daemon_host_add(h, "storm.slice", 0);
        for (unsigned i = 0; i < 500; i++) {
                snprintf(unit, sizeof unit, "storm-%u.slice", i);
                daemon_host_add(h, unit, 0.05);
        }
        daemon_host_run(h, NULL);
        /* From now on every call takes a while, so that they pile up. */
        h->systemd->delay_usec = 1000;
        WAIT(h, values_of(h, "storm-499.slice").quota != UNSET);
        REQUIRE(h, h->systemd->n_held_max <= 64);
        /* Half of them stop, a part of these is forgotten, and some come back. */
        for (unsigned i = 0; i < 250; i++) {
                snprintf(unit, sizeof unit, "storm-%u.slice", i);
                if (i % 2)
                        fake_systemd_unload(h->systemd, unit);
                else
                        fake_systemd_set_state(h->systemd, unit, "inactive", "dead");
                if (i % 10 == 0)
                        fake_systemd_set_state(h->systemd, unit, "active", "running");
        }
        /* Of a unit that is not loaded there is nothing but the drop-in. */
        WAIT(h, !fake_tree_exists(h->tree, "run/systemd/system.control/storm-1.slice.d"));
        REQUIRE(h, h->systemd->n_held_max <= 64);
        /* However many units go: no daemon-reload is due before the end. */
        REQUIRE(h, h->systemd->n_reload == 0);
        WAIT(h, values_of(h, "storm-0.slice").quota != UNSET);
        stop(h);
}

static void refused_value_is_noticed_and_said_once(void)
{
        struct daemon_host *h = shop("Enforce=quota\n");

        h->systemd->is_lying = true;
        daemon_host_run(h, NULL);
        WAIT(h, has_state(h, "shop-web.slice", "refused"));
        daemon_host_epochs(h, 4);
        REQUIRE_TEXT(h, daemon_host_text(h, "shop-web.slice", "State"), "refused");
        REQUIRE_NUMBER(h, daemon_host_logged(h, "change of shop-web.slice, but the kernel"), 1);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "Someone else"), 0);
        h->systemd->is_lying = false;
        WAIT(h, has_state(h, "shop-web.slice", "managed"));
        stop(h);
}

#define CGROUP(unit) "sys/fs/cgroup/shop.slice/" unit "/"

static uint64_t burst_of(struct daemon_host *h, const char *unit)
{
        char path[512];

        snprintf(path, sizeof path, CGROUP("%s") "cpu.max.burst", unit);
        char *text = fake_tree_read(h->tree, path, NULL);
        uint64_t burst_usec = text ? strtoull(text, NULL, 10) : UNSET;
        free(text);
        return burst_usec;
}

static bool burst_is_in_step(struct daemon_host *h, const char *unit)
{
        uint64_t quota = values_of(h, unit).quota;

        return quota != UNSET && burst_of(h, unit) == quota / 10 &&
               daemon_host_number(h, unit, "BurstInStep") == 1;
}

static void bursts_follow_quotas_in_both_directions_and_go_back(void)
{
        struct daemon_host *h = shop("Enforce=quota\nBurst=yes\n");

        fake_tree_write(h->tree, CGROUP("shop-db.slice") "cpu.max.burst", "400000\n");
        daemon_host_run(h, NULL);
        WAIT(h, burst_is_in_step(h, "shop-web.slice") && burst_is_in_step(h, "shop-db.slice") &&
                        burst_is_in_step(h, "shop-job.slice"));
        for (unsigned i = 0; i < 3; i++) {
                h->systemd->host.n_cpus = i % 2 ? 2 : 4;
                WAIT(h, i % 2 ? values_of(h, "shop-job.slice").quota < 1500000
                              : values_of(h, "shop-job.slice").quota > 1500000);
                WAIT(h, burst_is_in_step(h, "shop-web.slice") && burst_is_in_step(h, "shop-db.slice") &&
                                burst_is_in_step(h, "shop-job.slice"));
        }
        REQUIRE_NUMBER(h, daemon_host_number(h, "shop-web.slice", "BurstUSec"),
                       values_of(h, "shop-web.slice").quota / 10);
        REQUIRE_NUMBER(h, h->systemd->n_refused, 0);
        REQUIRE_NUMBER(h, daemon_host_end(h, SIGTERM), 0);
        REQUIRE(h, all_are_as_they_were(h));
        REQUIRE_NUMBER(h, burst_of(h, "shop-web.slice"), 0);
        REQUIRE_NUMBER(h, burst_of(h, "shop-db.slice"), 400000);
        REQUIRE_NUMBER(h, h->systemd->n_refused, 0);
        daemon_host_free(h);
}

static void bursts_are_given_back_after_a_crash(void)
{
        struct daemon_host *h = shop("Enforce=quota\nBurst=yes\n");

        fake_tree_write(h->tree, CGROUP("shop-db.slice") "cpu.max.burst", "5000\n");
        daemon_host_run(h, NULL);
        WAIT(h, burst_is_in_step(h, "shop-web.slice") && burst_is_in_step(h, "shop-db.slice"));
        REQUIRE(h, daemon_host_end(h, SIGKILL) == -SIGKILL);
        daemon_host_start(h, "--restore");
        REQUIRE_NUMBER(h, daemon_host_end(h, 0), 0);
        REQUIRE(h, all_are_as_they_were(h));
        REQUIRE_NUMBER(h, burst_of(h, "shop-web.slice"), 0);
        REQUIRE_NUMBER(h, burst_of(h, "shop-db.slice"), 5000);
        daemon_host_free(h);
}

static void burst_that_someone_else_changes_is_theirs_and_quotas_go_on(void)
{
        struct daemon_host *h = shop("Enforce=quota\nBurst=yes\n");
        uint64_t quota;

        daemon_host_run(h, NULL);
        WAIT(h, burst_is_in_step(h, "shop-web.slice"));
        fake_tree_write(h->tree, CGROUP("shop-web.slice") "cpu.max.burst", "1234\n");
        WAIT(h, daemon_host_logged(h, "Someone else changed cpu.max.burst of shop-web.slice to 1234 us") == 1);
        quota = values_of(h, "shop-web.slice").quota;
        fake_systemd_find(h->systemd, "shop-web.slice")->load_cpus = 3;
        WAIT(h, values_of(h, "shop-web.slice").quota > quota);
        REQUIRE_NUMBER(h, burst_of(h, "shop-web.slice"), 1234);
        WAIT(h, has_state(h, "shop-web.slice", "managed"));
        call(h, "Adopt", "shop-web.slice");
        WAIT(h, burst_is_in_step(h, "shop-web.slice"));
        REQUIRE_NUMBER(h, daemon_host_end(h, SIGTERM), 0);
        REQUIRE_NUMBER(h, burst_of(h, "shop-web.slice"), 1234);
        daemon_host_free(h);
}

static void burst_that_the_kernel_reset_is_set_again(void)
{
        struct daemon_host *h = shop("Enforce=quota\nBurst=yes\n");

        daemon_host_run(h, NULL);
        WAIT(h, burst_is_in_step(h, "shop-web.slice"));
        /* The controller goes and comes back: another file. */
        fake_tree_put_away(h->tree, CGROUP("shop-web.slice") "cpu.max.burst");
        fake_tree_write(h->tree, CGROUP("shop-web.slice") "cpu.max.burst", "0\n");
        WAIT(h, burst_is_in_step(h, "shop-web.slice"));
        REQUIRE_NUMBER(h, daemon_host_logged(h, "Someone else"), 0);
        fake_systemd_restart(h->systemd, "shop-db.slice");
        WAIT(h, burst_is_in_step(h, "shop-db.slice"));
        REQUIRE_NUMBER(h, daemon_host_logged(h, "Someone else"), 0);
        stop(h);
}

static void burst_in_the_way_of_a_quota_is_named_with_what_to_do(void)
{
        struct daemon_host *h = shop("Enforce=quota\n");

        fake_tree_write(h->tree, CGROUP("shop-web.slice") "cpu.max.burst", "400000\n");
        daemon_host_run(h, NULL);
        WAIT(h, has_state(h, "shop-web.slice", "refused"));
        daemon_host_epochs(h, 3);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "because its cpu.max.burst (400000 us a period) is larger"), 1);
        REQUIRE_NUMBER(h, daemon_host_logged(h, CGROUP("shop-web.slice") "cpu.max.burst\", or Burst=yes"), 1);
        WAIT(h, strstr(daemon_host_text(h, "shop-web.slice", "Note"), "cpu.max.burst is larger"));
        WAIT(h, explains(h, "shop-web.slice", "refused that quota because cpu.max.burst was larger"));
        REQUIRE_NUMBER(h, burst_of(h, "shop-web.slice"), 400000);
        fake_tree_write(h->tree, CGROUP("shop-web.slice") "cpu.max.burst", "0\n");
        WAIT(h, has_state(h, "shop-web.slice", "managed"));
        stop(h);
}

/* The kernel refuses it, and PID 1 tells nobody but its journal. */
static void quota_that_is_lowered_by_hand_below_a_burst_is_theirs_and_told(void)
{
        struct daemon_host *h = shop("Enforce=quota\nBurst=yes\n");
        unsigned n_set;

        daemon_host_run(h, NULL);
        WAIT(h, burst_is_in_step(h, "shop-web.slice"));
        REQUIRE(h, values_of(h, "shop-web.slice").quota > 100000);
        fake_systemd_set_foreign(h->systemd, "shop-web.slice", 100000);
        REQUIRE_NUMBER(h, h->systemd->n_refused, 1);
        WAIT(h, daemon_host_logged(h, "Someone else changed CPUQuota= of shop-web.slice") == 1);
        WAIT(h, burst_of(h, "shop-web.slice") == 0);
        WAIT(h, daemon_host_logged(h, "systemctl set-property --runtime shop-web.slice CPUQuota=10%\" puts it in force") == 1);
        REQUIRE_TEXT(h, daemon_host_text(h, "shop-web.slice", "State"), "foreign");
        REQUIRE(h, strstr(daemon_host_text(h, "shop-web.slice", "Note"),
                          "systemctl set-property --runtime shop-web.slice CPUQuota=10%"));
        n_set = fake_systemd_find(h->systemd, "shop-web.slice")->n_set;
        fake_systemd_set_foreign(h->systemd, "shop-web.slice", 100000);
        REQUIRE_NUMBER(h, h->systemd->n_refused, 1);
        WAIT(h, strstr(daemon_host_text(h, "shop-web.slice", "Note"), "coallocctl adopt shop-web.slice") != NULL);
        daemon_host_epochs(h, 2);
        REQUIRE_NUMBER(h, fake_systemd_find(h->systemd, "shop-web.slice")->n_set, n_set);
        REQUIRE_NUMBER(h, values_of(h, "shop-web.slice").quota, 100000);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "puts it in force"), 1);
        REQUIRE_NUMBER(h, daemon_host_end(h, SIGTERM), 0);
        REQUIRE_NUMBER(h, values_of(h, "shop-web.slice").quota, 100000);
        daemon_host_free(h);
}

static void burst_switched_by_a_reload_comes_and_goes_with_it(void)
{
        struct daemon_host *h = shop("Enforce=quota\n");

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET);
        REQUIRE_NUMBER(h, burst_of(h, "shop-web.slice"), 0);
        daemon_host_configure(h, "[Manager]\n" FAST "Enforce=quota\nBurst=yes\n" SHOP);
        call(h, "Reload", NULL);
        WAIT(h, burst_is_in_step(h, "shop-web.slice"));
        daemon_host_configure(h, "[Manager]\n" FAST "Enforce=quota\n" SHOP);
        call(h, "Reload", NULL);
        WAIT(h, burst_of(h, "shop-web.slice") == 0);
        REQUIRE(h, values_of(h, "shop-web.slice").quota != UNSET);
        stop(h);
}

static void kernel_without_bursts_is_told_once_and_quotas_work(void)
{
        struct daemon_host *h = shop("Enforce=quota\nBurst=yes\n");

        for (struct fake_systemd_unit *u = h->systemd->units; u; u = u->next) {
                u->counters.has_no_burst = true;
                fake_systemd_show(h->systemd, u);
        }
        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET);
        daemon_host_epochs(h, 3);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "the kernel has no cpu.max.burst"), 1);
        WAIT(h, has_state(h, "shop-web.slice", "managed"));
        REQUIRE_NUMBER(h, daemon_host_number(h, "shop-web.slice", "BurstInStep"), 0);
        stop(h);
}

static void call_that_times_out_is_tried_again(void)
{
        struct daemon_host *h = shop("Enforce=quota\n");

        daemon_host_run(h, NULL);
        h->systemd->holds_replies = true;
        WAIT(h, daemon_host_logged(h, "Could not") > 0 || h->n_epochs >= 6);
        /* All that was asked is carried out, late; only nobody said so. */
        h->systemd->holds_replies = false;
        fake_systemd_release(h->systemd, 0);
        WAIT(h, daemon_host_number(h, "shop-web.slice", "QuotaAppliedUSecPerSec") != UNSET);
        daemon_host_epochs(h, 2);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "Someone else"), 0);
        stop(h);
}

static void failing_calls_are_said_once(void)
{
        struct daemon_host *h = shop("Enforce=quota\n");

        snprintf(h->systemd->fail_member, sizeof h->systemd->fail_member, "SetUnitProperties");
        snprintf(h->systemd->fail_error, sizeof h->systemd->fail_error, SD_BUS_ERROR_ACCESS_DENIED);
        daemon_host_run(h, NULL);
        daemon_host_epochs(h, 5);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "Could not change shop-web.slice"), 1);
        h->systemd->fail_error[0] = '\0';
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET);
        stop(h);
}

static void unit_that_vanishes_during_a_round_harms_nobody(void)
{
        struct daemon_host *h = shop("Enforce=quota\n");

        snprintf(h->systemd->vanishes, sizeof h->systemd->vanishes, "shop-web.slice");
        daemon_host_run(h, NULL);
        WAIT(h, h->systemd->vanishes[0] == '\0');
        WAIT(h, values_of(h, "shop-db.slice").quota != UNSET);
        daemon_host_epochs(h, 2);
        REQUIRE_TEXT(h, daemon_host_text(h, "shop-web.slice", "State"), "inactive");
        stop(h);
}

static void nothing_is_logged_or_written_on_every_epoch(void)
{
        struct daemon_host *h = shop("");
        unsigned n_lines;

        /* Loads that leave no doubt about the tier, whose changes are worth a line. */
        fake_systemd_find(h->systemd, "shop-web.slice")->load_cpus = 0.4;
        fake_systemd_find(h->systemd, "shop-db.slice")->load_cpus = 0.2;
        fake_systemd_find(h->systemd, "shop-job.slice")->load_cpus = 0.3;
        daemon_host_run(h, NULL);
        daemon_host_epochs(h, 5);
        /* The tier may change all the same: a machine that is busy samples as it can. */
        n_lines = daemon_host_logged(h, "\n") - daemon_host_logged(h, "The host is");
        daemon_host_epochs(h, 4);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "\n") - daemon_host_logged(h, "The host is"), n_lines);
        stop(h);
}

static void debug_logs_every_value_that_is_written(void)
{
        struct daemon_host *h = shop("Enforce=quota\n");

        daemon_host_run(h, "--debug");
        WAIT(h, daemon_host_logged(h, "CPUQuota= of shop-web.slice is ") > 0);
        WAIT(h, h->n_quota_changed >= 3);
        /* Log and signals come by different ways, neither of which waits for the other. */
        WAIT(h, daemon_host_logged(h, "CPUQuota= of ") == h->n_quota_changed);
        stop(h);
}

/* ---- many writes ------------------------------------------------------------------------------- */

static void writes_beyond_fifty_follow_in_later_rounds_within_the_budget(void)
{
        enum { N = 130 };
        struct daemon_host *h = daemon_host_new(16);
        char unit[64];

        daemon_host_configure(h, "[Manager]\n" FAST "Enforce=quota\nReserve=0%\n[Service all]\nUnit=app-*.slice\n");
        daemon_host_add(h, "app.slice", 0);
        for (unsigned i = 0; i < N; i++) {
                snprintf(unit, sizeof unit, "app-%u.slice", i);
                daemon_host_add(h, unit, 0.02 * (i % 7));
        }
        h->budgeted = "app-";
        daemon_host_run(h, NULL);
        /* While one answer of the first round is missing there is no second one. */
        h->systemd->holds_replies = true;
        while (h->systemd->n_set < 50) {
                daemon_host_turn(h);
                if (h->systemd->n_set < 50)
                        fake_systemd_release(h->systemd, 0);
        }
        for (unsigned i = 0; i < 50; i++)
                daemon_host_turn(h);
        REQUIRE_NUMBER(h, h->systemd->n_set, 50);
        h->systemd->holds_replies = false;
        fake_systemd_release(h->systemd, 0);
        WAIT(h, daemon_host_number(h, NULL, "PendingWrites") > 0);
        WAIT(h, values_of(h, "app-99.slice").quota != UNSET && values_of(h, "app-129.slice").quota != UNSET);

        /* Plans change while the last one is still on its way: what was not written yet is forgotten. */
        for (unsigned k = 0; k < 4; k++) {
                for (unsigned i = 0; i < N; i++) {
                        snprintf(unit, sizeof unit, "app-%u.slice", i);
                        fake_systemd_find(h->systemd, unit)->load_cpus = (i + k) % 3 ? 0.03 : 0.3;
                }
                daemon_host_epochs(h, 1);
        }
        WAIT(h, daemon_host_number(h, NULL, "PendingWrites") == 0);
        REQUIRE(h, h->sum_usec_max > 0 && h->sum_usec_max <= 16000000);
        /* Two seconds are the rule; without it there would be tenths of one. */
        REQUIRE(h, h->gap_usec_min + h->lag_usec_max > 1000000);
        stop(h);
}

/* ---- the guard --------------------------------------------------------------------------------- */

#define TWO                                                                     \
        "[Service web]\nUnit=shop-web.slice\nBaseline=20%\n"                    \
        "[Service db]\nUnit=shop-db.slice\nBaseline=20%\n"

static void configure_two(struct daemon_host *h, const char *epoch, const char *manager)
{
        char text[1024];

        snprintf(text, sizeof text, "[Manager]\nEpochSec=%s\nSampleIntervalSec=200ms\nEnforce=quota\n%s%s", epoch,
                 manager, TWO);
        daemon_host_configure(h, text);
}

/* Half a CPU is what either uses. A first quota is that of a service that starts, and a machine that was
 * busy measures too much now and then: neither would give room. */
static bool is_at_ease(struct daemon_host *h, const char *unit)
{
        return has_state(h, unit, "managed") && values_of(h, unit).quota != UNSET &&
               daemon_host_number(h, unit, "QuotaAppliedUSecPerSec") ==
                       daemon_host_number(h, unit, "QuotaWantedUSecPerSec") &&
               daemon_host_number(h, unit, "NeedUSecPerSec") < 900000;
}

static bool are_at_ease(struct daemon_host *h)
{
        return is_at_ease(h, "shop-web.slice") && is_at_ease(h, "shop-db.slice");
}

/* No round of writes is under way or left over. */
static void come_to_rest(struct daemon_host *h)
{
        unsigned n_calls;

        do {
                n_calls = h->systemd->n_calls;
                for (unsigned i = 0; i < 10; i++)
                        WAIT(h, daemon_host_number(h, NULL, "PendingWrites") == 0);
        } while (h->systemd->n_calls != n_calls);
}

/* Two services with quotas in force, in an epoch that does not end while somebody looks. */
static struct daemon_host *between_epochs(const char *manager)
{
        struct daemon_host *h = daemon_host_new(4);

        configure_two(h, "2s", manager);
        daemon_host_add(h, "shop.slice", 0);
        daemon_host_add(h, "shop-web.slice", 0.5);
        daemon_host_add(h, "shop-db.slice", 0.5);
        h->budgeted = "shop-";
        daemon_host_run(h, NULL);
        for (;;) {
                WAIT(h, are_at_ease(h));
                configure_two(h, "1h", manager);
                call(h, "Reload", NULL);
                come_to_rest(h);
                /* One more epoch may have come before the reload. */
                if (are_at_ease(h))
                        break;
                configure_two(h, "2s", manager);
                call(h, "Reload", NULL);
        }
        h->gap_usec_min = 0;
        return h;
}

static uint64_t n_throttled(struct daemon_host *h, const char *unit)
{
        return fake_systemd_find(h->systemd, unit)->counters.nr_throttled;
}

static void throttled_unit_is_given_room_long_before_the_epoch_ends(void)
{
        struct daemon_host *h = between_epochs("Spare=0%\n");
        uint64_t before = values_of(h, "shop-web.slice").quota, n_epochs = h->n_epochs;

        REQUIRE(h, before < 1000000 && h->n_raised == 0);
        fake_systemd_find(h->systemd, "shop-web.slice")->load_cpus = 2;
        WAIT(h, h->n_raised > 0);
        REQUIRE_NUMBER(h, h->n_epochs, n_epochs);
        REQUIRE(h, values_of(h, "shop-web.slice").quota > before);
        REQUIRE_TEXT(h, daemon_host_text(h, "shop-web.slice", "Note"), "raised by the guard");
        REQUIRE(h, explains(h, "shop-web.slice", "so the guard raised its CPUQuota= from"));
        /* Again and again, until it is no longer throttled; said once. */
        WAIT(h, values_of(h, "shop-web.slice").quota >= 2000000);
        REQUIRE(h, h->gap_usec_min + h->lag_usec_max > 1000000);
        WAIT(h, daemon_host_number(h, NULL, "GuardRaises") == h->n_raised && h->n_raised >= 2);
        REQUIRE_NUMBER(h, daemon_host_number(h, "shop-web.slice", "GuardRaises"), h->n_raised);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "shop-web.slice was throttled in"), 1);
        REQUIRE(h, daemon_host_logged(h, "Room was taken from nobody") == 1);
        REQUIRE_NUMBER(h, h->n_lowered, 0);
        REQUIRE(h, h->sum_usec_max <= 3600000);
        stop(h);
}

static void room_is_taken_from_who_is_quiet_and_the_sum_holds(void)
{
        struct daemon_host *h = between_epochs("");

        /* All is given out, spare included. */
        REQUIRE(h, values_of(h, "shop-web.slice").quota + values_of(h, "shop-db.slice").quota > 3500000);
        fake_systemd_find(h->systemd, "shop-web.slice")->load_cpus = 2.4;
        WAIT(h, values_of(h, "shop-web.slice").quota >= 2400000);
        WAIT(h, h->n_lowered > 0 && h->n_raised > 0);
        /* It keeps twice what it was seen to use, which on a busy machine is less than what it does. */
        REQUIRE(h, values_of(h, "shop-db.slice").quota >= 750000);
        REQUIRE(h, h->sum_usec_max <= 3600000);
        REQUIRE(h, daemon_host_logged(h, "Room was taken from shop-db.slice") >= 1);
        stop(h);
}

static void frozen_units_are_not_raised_until_thawed(void)
{
        struct daemon_host *h = between_epochs("Spare=0%\n");
        uint64_t before = values_of(h, "shop-web.slice").quota, periods;

        call(h, "Freeze", "yes");
        periods = n_throttled(h, "shop-web.slice");
        fake_systemd_find(h->systemd, "shop-web.slice")->load_cpus = 2;
        WAIT(h, n_throttled(h, "shop-web.slice") - periods >= 20);
        REQUIRE_NUMBER(h, values_of(h, "shop-web.slice").quota, before);
        call(h, "Freeze", "no");
        WAIT(h, h->n_raised > 0);
        /* Observing gives back, and that is all. */
        call(h, "SetMode", "observe");
        REQUIRE(h, all_are_as_they_were(h));
        fake_systemd_set_own(h->systemd, "shop-web.slice", 300000, UNSET);
        periods = n_throttled(h, "shop-web.slice");
        WAIT(h, n_throttled(h, "shop-web.slice") - periods >= 20);
        REQUIRE_NUMBER(h, values_of(h, "shop-web.slice").quota, 300000);
        stop(h);
}

static void quota_that_is_lowered_by_hand_is_not_raised_again(void)
{
        struct daemon_host *h = between_epochs("Spare=0%\n");

        fake_systemd_set_foreign(h->systemd, "shop-web.slice", 250000);
        /* Found when the guard is about to raise it, not at the end of the hour. */
        WAIT(h, has_state(h, "shop-web.slice", "foreign"));
        REQUIRE_NUMBER(h, values_of(h, "shop-web.slice").quota, 250000);
        REQUIRE_NUMBER(h, h->n_raised, 0);
        REQUIRE_NUMBER(h, (uint64_t)daemon_host_end(h, SIGTERM), 0);
        REQUIRE_NUMBER(h, values_of(h, "shop-web.slice").quota, 250000);
        daemon_host_free(h);
}

/* As if every period had been throttled. */
static void throttle_by_hand(struct daemon_host *h, const char *unit, unsigned n_periods)
{
        struct fake_systemd_unit *u = fake_systemd_find(h->systemd, unit);

        u->counters.nr_periods += n_periods;
        u->counters.nr_throttled += n_periods;
        u->counters.throttled_usec += n_periods * UINT64_C(100000);
        fake_systemd_show(h->systemd, u);
}

static void throttling_beside_a_write_of_ours_counts_for_nothing(void)
{
        struct daemon_host *h = daemon_host_new(4);
        unsigned n_set, n_reads = 0;

        daemon_host_configure(h, "[Manager]\n" FAST "Enforce=quota\nReserve=0%\n" TWO);
        daemon_host_add(h, "shop.slice", 0);
        daemon_host_add(h, "shop-web.slice", 0.3);
        daemon_host_add(h, "shop-db.slice", 0.3);
        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET && values_of(h, "shop-db.slice").quota != UNSET);
        /* The next plan takes from web; its write is carried out, and the answer does not come. */
        daemon_host_epochs(h, 3);
        h->systemd->holds_replies = true;
        n_set = fake_systemd_find(h->systemd, "shop-web.slice")->n_set;
        fake_systemd_find(h->systemd, "shop-db.slice")->load_cpus = 1.9;
        WAIT(h, fake_systemd_find(h->systemd, "shop-web.slice")->n_set > n_set);
        (void)daemon_host_reads(h, "shop-web.slice");
        throttle_by_hand(h, "shop-web.slice", 100);
        while (n_reads < 6) {
                daemon_host_turn(h);
                n_reads += daemon_host_reads(h, "shop-web.slice");
        }
        throttle_by_hand(h, "shop-web.slice", 100);
        h->systemd->holds_replies = false;
        fake_systemd_release(h->systemd, 0);
        daemon_host_epochs(h, 1);
        REQUIRE(h, daemon_host_real(h, "shop-web.slice", "ThrottledRatio") < 0.05);
        REQUIRE_NUMBER(h, daemon_host_number(h, "shop-web.slice", "GuardRaises"), 0);
        /* The same without a write counts: while it is frozen there is none. */
        call(h, "Freeze", "yes");
        do {
                throttle_by_hand(h, "shop-web.slice", 100);
                daemon_host_epochs(h, 1);
        } while (daemon_host_real(h, "shop-web.slice", "ThrottledRatio") <= 0.5);
        stop(h);
}

static void counters_are_polled_only_while_a_ceiling_is_in_force(void)
{
        struct daemon_host *h = daemon_host_new(2);
        unsigned n_web = 0, n_other = 0;

        daemon_host_configure(h, "[Manager]\nEpochSec=3s\nSampleIntervalSec=1s\n" TWO);
        daemon_host_add(h, "shop.slice", 0);
        daemon_host_add(h, "other.slice", 0.01);
        daemon_host_add(h, "shop-web.slice", 4);
        daemon_host_add(h, "shop-db.slice", 0.3);
        daemon_host_run(h, NULL);
        /* Short, so it has one. Others are sampled as often, but not guarded. */
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET);
        (void)daemon_host_reads(h, "shop-web.slice");
        (void)daemon_host_reads(h, "other.slice");
        /* However seldom a busy machine polls: without polls the two would never part. */
        while (n_web < n_other + 10) {
                daemon_host_turn(h);
                n_web += daemon_host_reads(h, "shop-web.slice");
                n_other += daemon_host_reads(h, "other.slice");
        }

        /* Nobody is short any more: no ceiling, and nothing to look at. */
        fake_systemd_find(h->systemd, "shop-web.slice")->load_cpus = 0.2;
        WAIT(h, values_of(h, "shop-web.slice").quota == UNSET && values_of(h, "shop-db.slice").quota == UNSET);
        daemon_host_epochs(h, 1);
        (void)daemon_host_reads(h, "shop-web.slice");
        (void)daemon_host_reads(h, "other.slice");
        for (n_web = n_other = 0; n_other < 3;) {
                daemon_host_turn(h);
                n_web += daemon_host_reads(h, "shop-web.slice");
                n_other += daemon_host_reads(h, "other.slice");
        }
        REQUIRE(h, n_web <= n_other + 1);
        stop(h);
}

/* ---- others ------------------------------------------------------------------------------------ */

static void foreign_change_is_left_alone_until_adopted(void)
{
        struct daemon_host *h = shop("Enforce=quota\n");
        unsigned n_set;

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET);
        /* Said again if a write of ours was just under way. */
        do {
                fake_systemd_set_foreign(h->systemd, "shop-web.slice", 3210000);
                WAIT(h, has_state(h, "shop-web.slice", "foreign") ||
                                values_of(h, "shop-web.slice").quota != 3210000);
        } while (!has_state(h, "shop-web.slice", "foreign"));
        n_set = fake_systemd_find(h->systemd, "shop-web.slice")->n_set;
        daemon_host_epochs(h, 2);
        REQUIRE_NUMBER(h, values_of(h, "shop-web.slice").quota, 3210000);
        REQUIRE(h, fake_systemd_find(h->systemd, "shop-web.slice")->n_set <= n_set);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "Someone else changed CPUQuota= of shop-web.slice"), 1);
        call(h, "Adopt", "shop-web.slice");
        WAIT(h, values_of(h, "shop-web.slice").quota != 3210000);
        WAIT(h, has_state(h, "shop-web.slice", "managed"));
        /* What it had before us is now what the other one set. */
        REQUIRE_NUMBER(h, (uint64_t)daemon_host_end(h, SIGTERM), 0);
        REQUIRE_NUMBER(h, values_of(h, "shop-web.slice").quota, 3210000);
        REQUIRE(h, is_as_it_was(h, "shop-db.slice"));
        daemon_host_free(h);
}

static void foreign_weight_of_a_slice_is_left_alone_until_adopted(void)
{
        struct daemon_host *h = shop("");
        struct fake_systemd_unit *slice = fake_systemd_find(h->systemd, "shop.slice");

        daemon_host_run(h, NULL);
        WAIT(h, slice->weight != UNSET);
        daemon_host_epochs(h, 2);
        /* It says so in its unit file, and nothing of ours is left; said again if a round of writes was
         * just under way. */
        while (daemon_host_logged(h, "Someone else changed CPUWeight= of shop.slice") == 0) {
                fake_tree_remove(h->tree, "run/systemd/system.control/shop.slice.d");
                fake_systemd_set_own(h->systemd, "shop.slice", UNSET, 333);
                daemon_host_epochs(h, 1);
        }
        daemon_host_epochs(h, 2);
        REQUIRE_NUMBER(h, slice->weight, 333);
        call(h, "Adopt", "shop.slice");
        daemon_host_epochs(h, 2);
        /* Never lowered below what it was: an administrator's weight is a floor. */
        REQUIRE(h, slice->weight >= 333);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "Someone else"), 1);
        stop(h);
}

static void daemon_reload_that_undoes_us_is_put_right(void)
{
        struct daemon_host *h = shop("Enforce=quota\n");

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET);
        daemon_host_epochs(h, 1);
        fake_tree_remove(h->tree, "run/systemd/system.control/shop-web.slice.d");
        fake_systemd_reload_begin(h->systemd);
        fake_systemd_reload_end(h->systemd);
        REQUIRE_NUMBER(h, values_of(h, "shop-web.slice").quota, UNSET);
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "Someone else"), 0);
        stop(h);
}

static void lost_bus_is_found_again(void)
{
        struct daemon_host *h = shop("Enforce=quota\n");
        uint64_t quota;

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET);
        quota = values_of(h, "shop-web.slice").quota;
        daemon_host_restart_bus(h);
        REQUIRE_NUMBER(h, values_of(h, "shop-web.slice").quota, quota);
        WAIT(h, daemon_host_logged(h, "The system bus is back") == 1);
        daemon_host_epochs(h, 1);
        fake_systemd_find(h->systemd, "shop-web.slice")->load_cpus = 2.5;
        WAIT(h, values_of(h, "shop-web.slice").quota > 2000000);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "Someone else"), 0);
        stop(h);
}

static void name_that_is_taken_does_not_keep_it_from_managing(void)
{
        struct daemon_host *h = shop("");

        REQUIRE(h, sd_bus_request_name(h->client, COALLOC_BUS_NAME, 0) >= 0);
        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").weight != UNSET);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "Could not publish org.coalloc1"), 1);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "Lost the system bus"), 0);
        stop(h);
}

static void restarted_unit_is_a_new_player(void)
{
        struct daemon_host *h = shop("Enforce=quota\n");

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET);
        daemon_host_epochs(h, 2);
        WAIT(h, daemon_host_number(h, "shop-web.slice", "AllocationUSecPerSec") != UNSET);
        fake_systemd_restart(h->systemd, "shop-web.slice");
        WAIT(h, daemon_host_number(h, "shop-web.slice", "AllocationUSecPerSec") == UNSET);
        WAIT(h, daemon_host_number(h, "shop-web.slice", "AllocationUSecPerSec") != UNSET);
        daemon_host_epochs(h, 1);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "Someone else"), 0);
        stop(h);
}

static void unit_that_restarts_with_a_value_of_its_own_is_not_foreign(void)
{
        struct daemon_host *h = shop("Enforce=quota\n");

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET);
        daemon_host_epochs(h, 1);
        WAIT(h, daemon_host_number(h, "shop-web.slice", "QuotaAppliedUSecPerSec") ==
                        daemon_host_number(h, "shop-web.slice", "QuotaWantedUSecPerSec"));
        fake_systemd_set_own(h->systemd, "shop-web.slice", 2220000, 55);
        fake_tree_remove(h->tree, "run/systemd/system.control/shop-web.slice.d");
        fake_systemd_restart(h->systemd, "shop-web.slice");
        WAIT(h, values_of(h, "shop-web.slice").quota != 2220000);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "Someone else"), 0);
        stop(h);
}

static void unit_without_data_is_given_back_after_four_epochs(void)
{
        struct daemon_host *h = shop("Enforce=quota\n");
        struct values before;
        struct fake_systemd_unit *web = fake_systemd_find(h->systemd, "shop-web.slice");

        daemon_host_run(h, NULL);
        /* Nobody who is throttled and borrows, and no plan that waits for quiet. */
        fake_systemd_find(h->systemd, "shop-job.slice")->load_cpus = 0.3;
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET);
        daemon_host_epochs(h, 2);
        WAIT(h, daemon_host_number(h, "shop-web.slice", "QuotaAppliedUSecPerSec") ==
                        daemon_host_number(h, "shop-web.slice", "QuotaWantedUSecPerSec"));
        web->counters.is_garbled = true;
        daemon_host_epochs(h, 1);
        /* Of this epoch a part was measured still. */
        WAIT(h, has_state(h, "shop-web.slice", "stale"));
        WAIT(h, daemon_host_number(h, "shop-web.slice", "QuotaAppliedUSecPerSec") ==
                        daemon_host_number(h, "shop-web.slice", "QuotaWantedUSecPerSec"));
        come_to_rest(h);
        before = values_of(h, "shop-web.slice");
        daemon_host_epochs(h, 2);
        /* A constant for the others, until then; but for a shrink of less than MinChange= that was decided
         * before and is made when somebody needs the room. */
        REQUIRE(h, values_of(h, "shop-web.slice").quota <= before.quota);
        REQUIRE(h, values_of(h, "shop-web.slice").quota >= before.quota / 100 * 98);
        REQUIRE_TEXT(h, daemon_host_text(h, "shop-web.slice", "State"), "stale");
        WAIT(h, is_as_it_was(h, "shop-web.slice"));
        daemon_host_epochs(h, 3);
        REQUIRE(h, is_as_it_was(h, "shop-web.slice"));
        REQUIRE_NUMBER(h, daemon_host_logged(h, "No measurements of shop-web.slice"), 1);
        /* Data again: a player again. */
        web->counters.is_garbled = false;
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET);
        stop(h);
}

/* ---- configuration ----------------------------------------------------------------------------- */

static void wrong_reload_keeps_what_is_in_force(void)
{
        struct daemon_host *h = shop("");
        char name[128] = "";

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").weight != UNSET);
        daemon_host_configure(h, "[Manager]\nEpochSec=never\n");
        REQUIRE(h, daemon_host_call(h, "Reload", NULL, false, name) < 0);
        REQUIRE_TEXT(h, name, COALLOC_ERROR_CONFIG_INVALID);
        REQUIRE(h, strstr(daemon_host_text(h, NULL, "ConfigError"), "EpochSec="));
        REQUIRE(h, kill(h->pid, SIGHUP) == 0);
        WAIT(h, h->n_reloading == 2 && h->n_ready == 3);
        daemon_host_epochs(h, 1);
        REQUIRE_NUMBER(h, daemon_host_number(h, "shop-web.slice", "Managed"), 1);
        REQUIRE(h, values_of(h, "shop-web.slice").weight != UNSET);
        daemon_host_configure(h, "[Manager]\n" FAST SHOP);
        call(h, "Reload", NULL);
        REQUIRE_TEXT(h, daemon_host_text(h, NULL, "ConfigError"), "");
        stop(h);
}

static void reload_gives_back_what_left_the_configuration(void)
{
        struct daemon_host *h = shop("");

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").weight != UNSET &&
                        values_of(h, "shop.slice").weight != UNSET);
        daemon_host_configure(h, "[Manager]\n" FAST "[Service db]\nUnit=shop-db.slice\n");
        REQUIRE(h, kill(h->pid, SIGHUP) == 0);
        WAIT(h, is_as_it_was(h, "shop-web.slice") && is_as_it_was(h, "shop-job.slice"));
        daemon_host_epochs(h, 1);
        REQUIRE(h, values_of(h, "shop-db.slice").weight != UNSET);
        REQUIRE(h, is_as_it_was(h, "shop-web.slice"));
        /* And with the last one goes the slice that held it. */
        daemon_host_configure(h, "[Manager]\n" FAST);
        call(h, "Reload", NULL);
        WAIT(h, units_are_as_they_were(h));
        stop(h);
}

static void slice_is_given_back_when_the_last_managed_unit_in_it_stops(void)
{
        struct daemon_host *h = shop("");

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop.slice").weight != UNSET);
        fake_systemd_set_state(h->systemd, "shop-web.slice", "inactive", "dead");
        fake_systemd_set_state(h->systemd, "shop-db.slice", "inactive", "dead");
        fake_systemd_set_state(h->systemd, "shop-job.slice", "inactive", "dead");
        WAIT(h, is_as_it_was(h, "shop.slice"));
        /* Not worth a daemon-reload: what is stopped is given back when it starts. */
        REQUIRE_NUMBER(h, h->systemd->n_reload, 0);
        fake_systemd_set_state(h->systemd, "shop-web.slice", "active", "running");
        WAIT(h, is_as_it_was(h, "shop-web.slice"));
        WAIT(h, values_of(h, "shop.slice").weight != UNSET);
        stop(h);
}

static void raised_reserve_takes_quotas_along_at_once(void)
{
        struct daemon_host *h = shop("Enforce=quota\nReserve=0%\n");

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET && values_of(h, "shop-db.slice").quota != UNSET &&
                        values_of(h, "shop-job.slice").quota != UNSET);
        daemon_host_configure(h, "[Manager]\n" FAST "Enforce=quota\nReserve=250%\nMinChange=90%\n" SHOP);
        call(h, "Reload", NULL);
        /* However small the single change: the sum is the promise. */
        daemon_host_epochs(h, 2);
        WAIT(h, values_of(h, "shop-web.slice").quota + values_of(h, "shop-db.slice").quota +
                                values_of(h, "shop-job.slice").quota <=
                        1500000);
        h->budgeted = "shop-";
        daemon_host_epochs(h, 2);
        REQUIRE(h, h->sum_usec_max <= 1500000);
        stop(h);
}

static void changed_epoch_counts_from_the_reload_on(void)
{
        struct daemon_host *h = shop("Mode=observe\n");
        char text[1024];
        uint64_t now_usec;

        snprintf(text, sizeof text, "[Manager]\nMode=observe\nEpochSec=1h\n%s", SHOP);
        daemon_host_configure(h, text);
        daemon_host_run(h, NULL);
        snprintf(text, sizeof text, "[Manager]\nMode=observe\n" FAST "%s", SHOP);
        daemon_host_configure(h, text);
        call(h, "Reload", NULL);
        now_usec = testing_now_usec();
        REQUIRE_NUMBER(h, daemon_host_number(h, NULL, "EpochUSec"), 2000000);
        REQUIRE(h, daemon_host_number(h, NULL, "NextEpochUSec") <= now_usec + 2000000);
        daemon_host_epochs(h, 2);
        stop(h);
}

static void changed_enforce_gives_back_what_is_no_longer_set(void)
{
        struct daemon_host *h = shop("Enforce=quota\n");

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET);
        daemon_host_configure(h, "[Manager]\n" FAST "Enforce=weight\n" SHOP);
        call(h, "Reload", NULL);
        WAIT(h, values_of(h, "shop-web.slice").weight != UNSET);
        REQUIRE_NUMBER(h, values_of(h, "shop-web.slice").quota, UNSET);
        REQUIRE_TEXT(h, daemon_host_text(h, NULL, "Enforce"), "weight");
        stop(h);
}

static void release_that_fails_is_tried_again(void)
{
        struct daemon_host *h = shop("");

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").weight != UNSET);
        daemon_host_epochs(h, 1);
        snprintf(h->systemd->fail_member, sizeof h->systemd->fail_member, "SetUnitProperties");
        snprintf(h->systemd->fail_error, sizeof h->systemd->fail_error, SD_BUS_ERROR_ACCESS_DENIED);
        daemon_host_configure(h, "[Manager]\n" FAST "[Service db]\nUnit=shop-db.slice\n");
        call(h, "Reload", NULL);
        daemon_host_epochs(h, 3);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "Could not give back shop-web.slice"), 1);
        REQUIRE(h, values_of(h, "shop-web.slice").weight != UNSET);
        h->systemd->fail_error[0] = '\0';
        WAIT(h, is_as_it_was(h, "shop-web.slice"));
        stop(h);
}

/* More than fit into one batch, and all of them one request. */
static void units_dropped_together_are_given_back_with_one_reload(void)
{
        enum { N = 100 };
        struct daemon_host *h = daemon_host_new(16);
        unsigned n_set;
        char unit[64];

        daemon_host_configure(h, "[Manager]\n" FAST "Enforce=weight\n[Service all]\nUnit=app-*.slice\n"
                                 "[Service other]\nUnit=other.slice\n");
        daemon_host_add(h, "app.slice", 0);
        daemon_host_add(h, "other.slice", 0.5);
        for (unsigned i = 0; i < N; i++) {
                snprintf(unit, sizeof unit, "app-%u.slice", i);
                daemon_host_add(h, unit, 0.05);
        }
        daemon_host_run(h, NULL);
        for (unsigned i = 0; i < N; i++) {
                snprintf(unit, sizeof unit, "app-%u.slice", i);
                WAIT(h, values_of(h, unit).weight != UNSET);
        }
        WAIT(h, daemon_host_number(h, NULL, "PendingWrites") == 0);
        REQUIRE_NUMBER(h, h->systemd->n_reload, 0);
        daemon_host_configure(h, "[Manager]\n" FAST "Enforce=weight\n[Service other]\nUnit=other.slice\n");
        n_set = h->systemd->n_set;
        call(h, "Reload", NULL);
        for (unsigned i = 0; i < N; i++) {
                snprintf(unit, sizeof unit, "app-%u.slice", i);
                WAIT(h, is_as_it_was(h, unit));
        }
        /* Each once, app.slice and what other.slice gets meanwhile aside. */
        REQUIRE(h, h->systemd->n_set - n_set >= N && h->systemd->n_set - n_set < N + 20);
        REQUIRE(h, h->systemd->n_held_max <= 64);
        WAIT(h, daemon_host_logged(h, "Gave back app-99.slice") == 1);
        WAIT(h, h->systemd->n_reload > 0);
        daemon_host_epochs(h, 2);
        REQUIRE_NUMBER(h, h->systemd->n_reload, 1);
        stop(h);
}

static void unit_that_cannot_be_given_back_keeps_nobody_from_their_share(void)
{
        struct daemon_host *h = shop("Enforce=quota\nReserve=0%\n");

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET && values_of(h, "shop-db.slice").quota != UNSET);
        daemon_host_epochs(h, 1);
        snprintf(h->systemd->fail_member, sizeof h->systemd->fail_member, "SetUnitProperties");
        snprintf(h->systemd->fail_error, sizeof h->systemd->fail_error, SD_BUS_ERROR_ACCESS_DENIED);
        snprintf(h->systemd->fail_unit, sizeof h->systemd->fail_unit, "shop-web.slice");
        daemon_host_configure(h, "[Manager]\n" FAST "Enforce=quota\nReserve=0%\n"
                                 "[Service db]\nUnit=shop-db.slice\n"
                                 "[Service job]\nUnit=shop-job.slice\nWeight=10\n");
        call(h, "Reload", NULL);
        fake_systemd_find(h->systemd, "shop-db.slice")->load_cpus = 2.5;
        WAIT(h, values_of(h, "shop-db.slice").quota > 2000000);
        REQUIRE(h, !is_as_it_was(h, "shop-web.slice"));
        h->systemd->fail_error[0] = '\0';
        WAIT(h, is_as_it_was(h, "shop-web.slice"));
        stop(h);
}

/* ---- telling why ------------------------------------------------------------------------------- */

static void explain_tells_what_was_measured_decided_and_set(void)
{
        struct daemon_host *h = shop("Enforce=quota\n");

        daemon_host_run(h, NULL);
        REQUIRE(h, says(h, "Explain", "shop-web.slice", "Nothing is decided"));
        WAIT(h, values_of(h, "shop-web.slice").quota != UNSET);
        daemon_host_epochs(h, 1);
        REQUIRE(h, says(h, "Explain", "shop-web.slice", "is bargained over."));
        REQUIRE(h, says(h, "Explain", "shop-web.slice", "The gate says"));
        REQUIRE(h, says(h, "Explain", "shop-web.slice", "With Enforce=quota its CPUQuota= is that allocation"));
        /* By the name of its section, too; and a slice that is only measured is never changed. */
        REQUIRE(h, says(h, "Explain", "web", "\"unit\":\"shop-web.slice\""));
        REQUIRE(h, says(h, "Explain", "shop.slice", "measured and shown, never changed"));
        REQUIRE(h, says(h, "Plan", NULL, "\"gate\":{\"v_before\":"));
        REQUIRE(h, says(h, "Plan", NULL, "\"name\":\"web\",\"market_milli\":"));
        fake_systemd_set_state(h->systemd, "shop-web.slice", "inactive", "dead");
        WAIT(h, says(h, "Explain", "shop-web.slice", "is not running"));
        stop(h);
}

/* ---- coalitions -------------------------------------------------------------------------------- */

#define CALLERS                                                         \
        "[Service web]\nUnit=path-web.slice\nBaseline=20%\nCalls=cart\n" \
        "[Service cart]\nUnit=path-cart.slice\nBaseline=80%\nCalls=db\n" \
        "[Service db]\nUnit=path-db.slice\nBaseline=80%\n"              \
        "[Service other]\nUnit=path-other.slice\nBaseline=50%\n"

/* Three services on one path and one beside it, whose needs do not fit the host: the bargain leaves web
 * far below its load, while cart and db hold baselines that are far above theirs. */
static struct daemon_host *callers(const char *manager)
{
        struct daemon_host *h = daemon_host_new(4);
        char text[2048];

        snprintf(text, sizeof text, "[Manager]\n" FAST "%s%s", manager, CALLERS);
        daemon_host_configure(h, text);
        daemon_host_add(h, "system.slice", 0);
        daemon_host_add(h, "path.slice", 0);
        daemon_host_add(h, "path-web.slice", 1.4);
        daemon_host_add(h, "path-cart.slice", 0.3);
        daemon_host_add(h, "path-db.slice", 0.3);
        daemon_host_add(h, "path-other.slice", 1);
        return h;
}

static bool has_allocations(struct daemon_host *h)
{
        return daemon_host_number(h, "path-web.slice", "AllocationUSecPerSec") != UNSET &&
               daemon_host_number(h, "path-other.slice", "AllocationUSecPerSec") != UNSET;
}

static double path_latency(struct daemon_host *h, const char *key)
{
        return daemon_host_listed(h, "ListPaths", "web", key);
}

/* All of it in one epoch, of whatever length; one in which loads are not settled yet may be without effect. */
static bool is_coalition_at_work(struct daemon_host *h)
{
        return path_latency(h, "LatencyUSec") < 0.5 * path_latency(h, "LatencyMarketUSec") &&
               strcmp(daemon_host_text(h, NULL, "Tier"), "congested") == 0 &&
               strcmp(daemon_host_text(h, "path-db.slice", "CoalitionId"), "cart") == 0 &&
               daemon_host_listed(h, "ListCoalitions", "cart", "Formed") == 1 &&
               daemon_host_listed(h, "ListCoalitions", "cart", "Stable") == 1 &&
               daemon_host_price(h, "shadow_price") > 0 &&
               says(h, "Explain", "web", "It is in a coalition with those it shares requests with: cart, db and web.") &&
               says(h, "Explain", "cart", ": it gave ") &&
               says(h, "Explain", "web", "\"coalition\":{\"id\":\"cart\"") &&
               says(h, "Plan", NULL, "\"coalitions\":[{\"id\":\"cart\",\"members\":[\"cart\",\"db\",\"web\"],\"value\":");
}

static void coalition_makes_its_path_faster_and_takes_from_nobody_else(void)
{
        struct daemon_host *h = callers("");
        double latency;

        daemon_host_run(h, NULL);
        WAIT(h, has_allocations(h));
        WAIT(h, is_coalition_at_work(h));
        latency = path_latency(h, "LatencyUSec");
        REQUIRE_TEXT(h, daemon_host_text(h, "path-other.slice", "CoalitionId"), "");
        REQUIRE(h, daemon_host_calls(h, "path-web.slice", "cart"));
        REQUIRE(h, daemon_host_calls(h, "path-cart.slice", "db"));
        REQUIRE(h, daemon_host_calls(h, "path-db.slice", NULL));
        REQUIRE(h, daemon_host_calls(h, "path-other.slice", NULL));
        /* A millisecond of CPU on each of three services, as long as nobody counts requests. */
        WAIT(h, h->n_prices_changed > 0);
        WAIT(h, fabs(daemon_host_price(h, "path/web") / daemon_host_price(h, "shadow_price") - 3) < 1e-9);
        REQUIRE(h, isnan(daemon_host_price(h, "path/cart")));
        /* Who gave is credited for it by who got, and the outsider has what it was promised. */
        WAIT(h, daemon_host_real(h, "path-cart.slice", "Credit") > 0);
        WAIT(h, daemon_host_real(h, "path-db.slice", "Credit") > 0);
        REQUIRE(h, daemon_host_real(h, "path-web.slice", "Credit") < 0);
        REQUIRE(h, daemon_host_real(h, "path-other.slice", "Credit") == 0);
        REQUIRE(h, daemon_host_number(h, "path-other.slice", "AllocationUSecPerSec") >= 500000);
        REQUIRE(h, says(h, "Explain", "other", "it bargains alone"));
        stop(h);

        h = callers("MaxCoalitionSize=1\n");
        daemon_host_run(h, NULL);
        WAIT(h, has_allocations(h));
        daemon_host_epochs(h, 4);
        WAIT(h, path_latency(h, "LatencyUSec") > 2 * latency);
        /* Up to whole milli. */
        WAIT(h, fabs(path_latency(h, "LatencyUSec") / path_latency(h, "LatencyMarketUSec") - 1) < 0.05);
        REQUIRE_TEXT(h, daemon_host_text(h, "path-web.slice", "CoalitionId"), "");
        REQUIRE(h, says(h, "Explain", "web", "MaxCoalitionSize=1 lets nobody pool CPU: it bargains alone."));
        REQUIRE(h, says(h, "Explain", "web", "It is on path web, whose modelled latency is "));
        call(h, "Freeze", "yes");
        daemon_host_epochs(h, 1);
        REQUIRE(h, says(h, "Explain", "web", "Allocations are frozen by an administrator"));
        REQUIRE(h, !says(h, "Explain", "web", "The gate says"));
        stop(h);
}

/* Two that would take any amount of CPU; nobody says who waits, so use above the allocation is no proof. */
static void overload_of_a_called_service_is_not_taken_for_a_batch_job(void)
{
        struct daemon_host *h = callers("Enforce=weight\n");

        for (struct fake_systemd_unit *u = h->systemd->units; u; u = u->next)
                u->counters.has_no_pressure = true;
        h->systemd->host.has_no_pressure = true;
        fake_systemd_find(h->systemd, "path-db.slice")->load_cpus = 4;
        fake_systemd_find(h->systemd, "path-other.slice")->load_cpus = 4;
        daemon_host_run(h, NULL);
        WAIT(h, daemon_host_number(h, "path-other.slice", "Elastic") == 1);
        daemon_host_epochs(h, 4);
        REQUIRE_NUMBER(h, daemon_host_number(h, "path-db.slice", "Elastic"), 0);
        WAIT(h, daemon_host_number(h, "path-db.slice", "AllocationUSecPerSec") != UNSET);
        REQUIRE(h, daemon_host_number(h, "path-db.slice", "AllocationUSecPerSec") > 1000000);
        /* The others of its path are covered, and go no further ahead than it does. */
        WAIT(h, daemon_host_number(h, "path-cart.slice", "Satisfied") == 1 &&
                        says(h, "Explain", "cart", "its own load is covered, but not that of its path"));
        stop(h);
}

static void coalitions_follow_services_that_come_and_go(void)
{
        struct daemon_host *h = callers("Enforce=quota\nReserve=40%\n");

        h->budgeted = "path-";
        daemon_host_run(h, NULL);
        WAIT(h, has_allocations(h));
        WAIT(h, says(h, "Plan", NULL, "\"members\":[\"cart\",\"db\",\"web\"]"));
        daemon_host_epochs(h, 2);
        REQUIRE(h, h->sum_usec_max > 0);
        REQUIRE(h, h->sum_usec_max <= 3600000);
        h->budgeted = NULL;
        fake_systemd_set_state(h->systemd, "path-web.slice", "inactive", "dead");
        WAIT(h, says(h, "Plan", NULL, "\"members\":[\"cart\",\"db\"]"));
        fake_systemd_set_state(h->systemd, "path-cart.slice", "inactive", "dead");
        WAIT(h, says(h, "Plan", NULL, "\"coalitions\":[]"));
        fake_systemd_set_state(h->systemd, "path-web.slice", "active", "running");
        fake_systemd_set_state(h->systemd, "path-cart.slice", "active", "running");
        WAIT(h, says(h, "Plan", NULL, "\"members\":[\"cart\",\"db\",\"web\"]"));
        stop(h);
}

/* What the file says of a unit; 0 if it does not. */
static double saved_credit(struct daemon_host *h, const char *unit)
{
        char *text = fake_tree_read(h->tree, "var/lib/coalloc/credits", NULL), *at;
        double credit = 0;

        REQUIRE(h, text);
        at = strstr(text, unit);
        if (at)
                credit = strtod(at + strlen(unit), NULL);
        free(text);
        return credit;
}

static void credits_survive_a_restart_and_edited_ones_are_put_aside(void)
{
        struct daemon_host *h = callers("");
        char *text;
        double credit;

        daemon_host_run(h, NULL);
        WAIT(h, daemon_host_real(h, "path-cart.slice", "Credit") > 0);
        REQUIRE_NUMBER(h, (uint64_t)daemon_host_end(h, SIGTERM), 0);
        credit = saved_credit(h, "path-cart.slice");
        REQUIRE(h, credit > 0);

        /* With the first epoch far away. */
        daemon_host_configure(h, "[Manager]\nEpochSec=1h\n" CALLERS);
        daemon_host_run(h, NULL);
        REQUIRE(h, daemon_host_real(h, "path-cart.slice", "Credit") == credit);
        REQUIRE_NUMBER(h, (uint64_t)daemon_host_end(h, SIGTERM), 0);
        REQUIRE(h, saved_credit(h, "path-cart.slice") == credit);

        text = fake_tree_read(h->tree, "var/lib/coalloc/credits", NULL);
        strchr(strstr(text, "path-cart.slice"), '.')[8] ^= 1;
        fake_tree_write(h->tree, "var/lib/coalloc/credits", "%s", text);
        free(text);
        daemon_host_run(h, NULL);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "credits is damaged or was edited: it is kept as credits.bad"), 1);
        REQUIRE(h, daemon_host_real(h, "path-cart.slice", "Credit") == 0);
        REQUIRE(h, fake_tree_exists(h->tree, "var/lib/coalloc/credits.bad"));
        REQUIRE(h, !fake_tree_exists(h->tree, "var/lib/coalloc/credits"));
        REQUIRE_NUMBER(h, (uint64_t)daemon_host_end(h, SIGTERM), 0);
        daemon_host_free(h);
}

static void credit_of_a_service_that_stopped_decays_at_nobody_elses_cost(void)
{
        struct daemon_host *h = callers("");
        double credit;

        daemon_host_run(h, NULL);
        WAIT(h, daemon_host_real(h, "path-cart.slice", "Credit") > 0);
        fake_systemd_set_state(h->systemd, "path-cart.slice", "inactive", "dead");
        daemon_host_epochs(h, 1);
        credit = daemon_host_real(h, "path-cart.slice", "Credit");
        REQUIRE(h, credit > 0);
        daemon_host_epochs(h, 2);
        REQUIRE(h, daemon_host_real(h, "path-cart.slice", "Credit") < credit);
        REQUIRE(h, daemon_host_real(h, "path-cart.slice", "Credit") > 0.99 * credit);
        REQUIRE(h, daemon_host_real(h, "path-other.slice", "Credit") == 0);
        stop(h);
}

static bool is_report_used(struct daemon_host *h)
{
        /* What cart takes is no latency of web's own. */
        return daemon_host_number(h, "path-web.slice", "LatencyStale") == 0 &&
               daemon_host_number(h, "path-web.slice", "LatencyUSec") == 120000 &&
               daemon_host_number(h, "path-web.slice", "LatencyAgeUSec") != UNSET &&
               says(h, "Explain", "web", "\"latency_ms\":120.0,") &&
               says(h, "Explain", "web", "Of that, 50.0ms are spent in the services that it calls") &&
               !says(h, "Explain", "web", "\"cpu_ms\":null");
}

static void latency_reports_are_checked_used_and_go_stale(void)
{
        static const double wrong[] = { 0, -0.05, 1e-320, 0.99e-6, 3600.5, 1e300, -INFINITY, INFINITY, NAN };
        struct daemon_host *h = callers("");
        char name[128] = "";

        daemon_host_run(h, NULL);
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
                REQUIRE(h, daemon_host_report(h, "web", wrong[i], 10, name) < 0);
                REQUIRE_TEXT(h, name, SD_BUS_ERROR_INVALID_ARGS);
        }
        REQUIRE(h, daemon_host_report(h, "wbe", 0.08, 10, name) < 0);
        REQUIRE_TEXT(h, name, COALLOC_ERROR_NO_SUCH_SERVICE);
        REQUIRE(h, daemon_host_report(h, "path.slice", 0.08, 10, name) < 0);
        REQUIRE_TEXT(h, name, COALLOC_ERROR_NO_SUCH_SERVICE);
        REQUIRE_NUMBER(h, daemon_host_number(h, "path-web.slice", "LatencyUSec"), UNSET);
        REQUIRE_NUMBER(h, daemon_host_number(h, "path-web.slice", "LatencyAgeUSec"), UNSET);

        WAIT(h, has_allocations(h));
        /* Requests are counted between two reports; an epoch without measurements uses neither. */
        do {
                REQUIRE(h, daemon_host_report(h, "path-web.slice", 0.08, 0, name) == 0);
                daemon_host_epochs(h, 1);
                REQUIRE(h, daemon_host_report(h, "web", 0.12, 280, name) == 0);
                REQUIRE(h, daemon_host_report(h, "cart", 0.05, 0, name) == 0);
                daemon_host_epochs(h, 1);
        } while (!is_report_used(h));
        /* Of one that is measured and two that are not: what is shown is what is priced. */
        WAIT(h, fabs(path_latency(h, "CPUMilliseconds") * daemon_host_price(h, "shadow_price") -
                     path_latency(h, "Price")) < 1e-9);
        WAIT(h, daemon_host_number(h, "path-web.slice", "LatencyStale") == 1);
        daemon_host_epochs(h, 1);
        REQUIRE_NUMBER(h, daemon_host_number(h, "path-web.slice", "LatencyUSec"), 120000);
        REQUIRE(h, says(h, "Explain", "web", "more than three epochs old, stale, and ignored"));
        REQUIRE(h, says(h, "Explain", "web", "\"cpu_ms\":null"));
        fake_systemd_set_state(h->systemd, "path-web.slice", "inactive", "dead");
        WAIT(h, daemon_host_number(h, "path-web.slice", "Active") == 0);
        REQUIRE(h, daemon_host_report(h, "web", 0.08, 10, name) < 0);
        REQUIRE_TEXT(h, name, COALLOC_ERROR_NOT_RUNNING);
        stop(h);
}

/* A path's target is for its services what one of their own is: with less they would only give CPU away for
 * it. */
static void path_target_raises_what_its_services_need(void)
{
        struct daemon_host *h = callers("");
        char name[128] = "";

        daemon_host_configure(h, "[Manager]\n" FAST CALLERS
                                 "[Path buy]\nServices=web cart db\nLatencyTargetSec=20ms\n");
        daemon_host_run(h, NULL);
        WAIT(h, has_allocations(h));
        do {
                REQUIRE(h, daemon_host_report(h, "web", 0.08, 0, name) == 0);
                daemon_host_epochs(h, 1);
        } while (strcmp(daemon_host_text(h, "path-web.slice", "NeedReason"), "latency-target") != 0 ||
                 !says(h, "Explain", "web", "and its target is"));
        stop(h);
}

/* Where prices are all 0 nothing but the names tells them apart. */
static void listeners_are_told_of_prices_of_other_paths(void)
{
        struct daemon_host *h = callers("");
        unsigned n_told;

        daemon_host_configure(h, "[Manager]\n" FAST CALLERS "[Path buy]\nServices=web cart\n");
        /* Loads that leave no doubt about that, however a busy machine measures. */
        for (struct fake_systemd_unit *u = h->systemd->units; u; u = u->next)
                u->load_cpus = fmin(u->load_cpus, 0.05);
        daemon_host_run(h, NULL);
        WAIT(h, daemon_host_price(h, "path/buy") == 0);
        do {
                n_told = h->n_prices_changed;
                daemon_host_epochs(h, 1);
        } while (h->n_prices_changed != n_told);
        daemon_host_configure(h, "[Manager]\n" FAST CALLERS "[Path sell]\nServices=web cart\n");
        call(h, "Reload", NULL);
        WAIT(h, daemon_host_price(h, "path/sell") == 0);
        WAIT(h, h->n_prices_changed > n_told);
        stop(h);
}

static bool is_path_explained(struct daemon_host *h)
{
        return says(h, "Explain", "web", "Path buy is to answer in 60.0ms, shared out") &&
               says(h, "Explain", "web", "that the services that it calls take at their own needs that makes a target of ") &&
               says(h, "Explain", "web", "Of that, 10.0ms are spent in the services that it calls, as they report.") &&
               /* Of its 10 ms no more than nine are another's, though db reports 50. */
               says(h, "Explain", "cart", "\"other_ms\":9.0,") &&
               says(h, "Explain", "cart", "Of that, 9.0ms are spent");
}

static void explain_tells_what_a_target_of_a_path_makes_of_a_service(void)
{
        struct daemon_host *h = callers("");
        char name[128] = "";

        daemon_host_configure(h, "[Manager]\n" FAST CALLERS
                                 "[Path buy]\nServices=web cart db\nLatencyTargetSec=60ms\n");
        daemon_host_run(h, NULL);
        WAIT(h, has_allocations(h));
        do {
                REQUIRE(h, daemon_host_report(h, "web", 0.08, 0, name) == 0);
                REQUIRE(h, daemon_host_report(h, "cart", 0.01, 0, name) == 0);
                REQUIRE(h, daemon_host_report(h, "db", 0.05, 0, name) == 0);
                daemon_host_epochs(h, 1);
        } while (!is_path_explained(h));
        /* In a cycle whose time is in whose cannot be said. */
        daemon_host_configure(h, "[Manager]\n" FAST CALLERS
                                 "[Path buy]\nServices=web cart db\nLatencyTargetSec=60ms\n"
                                 "[Path sell]\nServices=db cart\n");
        call(h, "Reload", NULL);
        REQUIRE(h, daemon_host_report(h, "cart", 0.01, 0, name) == 0);
        WAIT(h, !says(h, "Explain", "cart", "are spent in the services that it calls"));
        stop(h);
}

static void bargain_that_is_not_solved_in_time_changes_nothing_and_says_so(void)
{
        struct daemon_host *h = callers("");
        char name[128] = "";
        uint64_t allocation = UNSET;

        daemon_host_configure(h, "[Manager]\n" FAST "MaxIterations=1\n" CALLERS
                                 "[Service other]\nLatencyTargetSec=50ms\n");
        daemon_host_run(h, NULL);
        WAIT(h, has_allocations(h));
        /* Well below its target: it could do with less, and how much less takes a search. */
        while (daemon_host_logged(h, "was not solved within 1 iterations") == 0) {
                allocation = daemon_host_number(h, "path-web.slice", "AllocationUSecPerSec");
                REQUIRE(h, daemon_host_report(h, "other", 0.02, 0, name) == 0);
                daemon_host_turn(h);
        }
        REQUIRE(h, strstr(daemon_host_text(h, NULL, "EpochError"), "(MaxIterations=)"));
        REQUIRE_NUMBER(h, daemon_host_number(h, "path-web.slice", "AllocationUSecPerSec"), allocation);
        REQUIRE(h, values_of(h, "path-web.slice").weight != UNSET);
        stop(h);
}

static void path_of_an_unknown_service_is_refused_at_start_and_reload(void)
{
        struct daemon_host *h = callers("");
        char name[128] = "";

        daemon_host_configure(h, "[Manager]\n" FAST CALLERS "[Path buy]\nServices=web crat db\n");
        daemon_host_start(h, NULL);
        REQUIRE_NUMBER(h, (uint64_t)daemon_host_end(h, 0), 78);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "etc/coalloc.conf:19: Services=: there is no [Service crat]"), 1);
        /* A cycle is none of the kind: it is said, and the call that closes it is left out. */
        daemon_host_configure(h, "[Manager]\n" FAST CALLERS "[Service db]\nCalls=web\n");
        daemon_host_run(h, NULL);
        REQUIRE_NUMBER(h, daemon_host_logged(h, "closes a cycle"), 1);
        daemon_host_configure(h, "[Manager]\n" FAST CALLERS "[Path buy]\nServices=web crat db\n");
        REQUIRE(h, daemon_host_call(h, "Reload", NULL, false, name) < 0);
        REQUIRE_TEXT(h, name, COALLOC_ERROR_CONFIG_INVALID);
        REQUIRE(h, strstr(daemon_host_text(h, NULL, "ConfigError"), "there is no [Service crat]"));
        stop(h);
}

/* ---- the end ----------------------------------------------------------------------------------- */

static void stop_brings_back_values_and_drop_ins_of_others(void)
{
        struct daemon_host *h = shop("Enforce=both\n");
        char *text, *text_after;

        /* Loads that leave much less to the job than what somebody allowed it. */
        fake_systemd_find(h->systemd, "shop-web.slice")->load_cpus = 1.5;
        fake_systemd_find(h->systemd, "shop-db.slice")->load_cpus = 1.2;
        fake_systemd_set_own(h->systemd, "shop-db.slice", 3000000, 77);
        /* An administrator's set-property --runtime lies where ours would. */
        fake_systemd_set_foreign(h->systemd, "shop-job.slice", 3500000);
        text = fake_tree_read(h->tree, "run/systemd/system.control/shop-job.slice.d/50-CPUQuota.conf", NULL);
        REQUIRE(h, text);
        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-job.slice").quota != 3500000 &&
                        values_of(h, "shop-db.slice").weight != 77);
        REQUIRE_NUMBER(h, (uint64_t)daemon_host_end(h, SIGTERM), 0);
        REQUIRE_NUMBER(h, values_of(h, "shop-job.slice").quota, 3500000);
        text_after = fake_tree_read(h->tree,
                                    "run/systemd/system.control/shop-job.slice.d/50-CPUQuota.conf", NULL);
        REQUIRE_TEXT(h, text_after, text);
        free(text);
        free(text_after);
        REQUIRE_NUMBER(h, values_of(h, "shop-db.slice").weight, 77);
        REQUIRE(h, is_as_it_was(h, "shop-db.slice") && is_as_it_was(h, "shop-web.slice"));
        REQUIRE(h, !fake_tree_exists(h->tree, "run/coalloc/units"));
        daemon_host_free(h);
}

static void kill_is_repaired_by_restore_and_by_the_next_start(void)
{
        struct daemon_host *h = shop("");

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").weight != UNSET);
        REQUIRE(h, daemon_host_end(h, SIGKILL) == -SIGKILL);
        REQUIRE(h, values_of(h, "shop-web.slice").weight != UNSET);
        daemon_host_start(h, "--restore");
        REQUIRE_NUMBER(h, (uint64_t)daemon_host_end(h, 0), 0);
        REQUIRE(h, all_are_as_they_were(h));

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").weight != UNSET);
        REQUIRE(h, daemon_host_end(h, SIGKILL) == -SIGKILL);
        /* Nothing is managed before everything is given back. */
        daemon_host_run(h, "--observe");
        REQUIRE(h, all_are_as_they_were(h));
        stop(h);
}

static void second_one_is_turned_away(void)
{
        struct daemon_host *h = shop("");
        const char *build = getenv("COALLOC_BUILDDIR");
        char command[1024];

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").weight != UNSET);
        for (unsigned i = 0; i < 2; i++) {
                int status;

                snprintf(command, sizeof command, "%s/coallocd --root=%s %s", build ? build : ".",
                         fake_tree_root(h->tree), i == 0 ? "" : "--restore");
                status = system(command);
                REQUIRE(h, WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE);
        }
        daemon_host_epochs(h, 1);
        REQUIRE(h, values_of(h, "shop-web.slice").weight != UNSET);
        REQUIRE_NUMBER(h, h->systemd->n_reload, 0);
        stop(h);
}

/* Whoever may open a file or directory may lock it: ours is one that only its owner may open. */
static void locks_of_other_users_do_not_keep_it_from_starting(void)
{
        struct daemon_host *h = shop("Mode=observe\n");
        char path[512];
        struct stat st;
        int fd;

        fake_tree_mkdir(h->tree, "run/coalloc");
        snprintf(path, sizeof path, "%s/run/coalloc", fake_tree_root(h->tree));
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        REQUIRE(h, fd >= 0 && flock(fd, LOCK_EX) == 0);
        daemon_host_run(h, NULL);
        snprintf(path, sizeof path, "%s/run/coalloc/.lock", fake_tree_root(h->tree));
        REQUIRE(h, stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
        (void)close(fd);
        stop(h);
}

static void system_that_shuts_down_is_left_as_it_is(void)
{
        struct daemon_host *h = shop("");

        daemon_host_run(h, NULL);
        WAIT(h, values_of(h, "shop-web.slice").weight != UNSET);
        snprintf(h->systemd->system_state, sizeof h->systemd->system_state, "stopping");
        REQUIRE_NUMBER(h, (uint64_t)daemon_host_end(h, SIGTERM), 0);
        REQUIRE(h, values_of(h, "shop-web.slice").weight != UNSET);
        REQUIRE_NUMBER(h, h->systemd->n_reload, 0);
        daemon_host_free(h);
}

/* ---- the bus ----------------------------------------------------------------------------------- */

static void anyone_may_look_and_only_root_may_change(void)
{
        struct daemon_host *h = shop("");
        char name[128] = "", directory[256];

        daemon_host_run(h, NULL);
        if (geteuid() == 0) {
                sd_bus *own = h->client;

                snprintf(directory, sizeof directory, "%s", private_bus_address(h->bus) + strlen("unix:path="));
                *strrchr(directory, '/') = '\0';
                REQUIRE(h, chmod(directory, 0755) == 0);
                REQUIRE(h, chmod(private_bus_address(h->bus) + strlen("unix:path="), 0777) == 0);
                REQUIRE(h, seteuid(65534) == 0);
                h->client = private_bus_connect(h->bus);
                REQUIRE(h, sd_bus_get_unique_name(h->client, &(const char *){ NULL }) >= 0);
                REQUIRE(h, seteuid(0) == 0);
                REQUIRE(h, sd_bus_attach_event(h->client, h->event, 0) >= 0);
                REQUIRE_TEXT(h, daemon_host_text(h, NULL, "Mode"), "enforce");
                REQUIRE(h, daemon_host_call(h, "SetMode", "observe", false, name) < 0);
                REQUIRE_TEXT(h, name, SD_BUS_ERROR_ACCESS_DENIED);
                REQUIRE(h, daemon_host_call(h, "Freeze", "yes", true, name) < 0);
                REQUIRE_TEXT(h, name, SD_BUS_ERROR_ACCESS_DENIED);
                REQUIRE_TEXT(h, daemon_host_text(h, NULL, "Mode"), "enforce");
                (void)sd_bus_detach_event(h->client);
                (void)sd_bus_flush_close_unref(h->client);
                h->client = own;
        }
        REQUIRE(h, daemon_host_call(h, "Adopt", "nobody.slice", false, name) < 0);
        REQUIRE_TEXT(h, name, COALLOC_ERROR_NO_SUCH_SERVICE);
        REQUIRE(h, daemon_host_call(h, "SetMode", "maybe", false, name) < 0);
        REQUIRE_TEXT(h, name, SD_BUS_ERROR_INVALID_ARGS);
        stop(h);
}

/* Counts the members of our interfaces in an introspection that the page does not have. */
static unsigned n_members_missing(const char *xml, const char *page)
{
        static const char *const kinds[] = { "<property name=\"", "<method name=\"", "<signal name=\"" };
        const char *ours = strstr(xml, "<interface name=\"org.coalloc1.");
        unsigned n_missing = 0, n_found = 0;

        for (size_t i = 0; i < 3; i++)
                for (const char *at = ours; at && (at = strstr(at, kinds[i])); at++) {
                        char name[128] = "";
                        bool is_found = false;

                        (void)sscanf(at + strlen(kinds[i]), "%127[^\"]", name);
                        for (const char *hit = page; (hit = strstr(hit, name)) && !is_found; hit++)
                                is_found = hit[-1] == ' ' && strchr(" ,", hit[strlen(name)]);
                        n_found += is_found;
                        if (is_found)
                                continue;
                        fprintf(stderr, "not in the manual page: %s\n", name);
                        n_missing++;
                }
        return n_found > 0 ? n_missing : 1;
}

static void members_on_the_bus_are_those_of_the_manual_page(void)
{
        static const char *const paths[] = { COALLOC_PATH, COALLOC_SERVICE_PATH_PREFIX "/shop_2dweb_2eslice" };
        struct daemon_host *h = shop("");
        static char page[65536] = "\n";
        const char *top = getenv("COALLOC_SRCDIR");
        char path[4096];
        FILE *f;

        snprintf(path, sizeof path, "%s/doc/org.coalloc1.5", top ? top : "..");
        f = fopen(path, "re");
        REQUIRE(h, f);
        REQUIRE(h, fread(page + 1, 1, sizeof page - 2, f) > 0);
        (void)fclose(f);
        daemon_host_run(h, NULL);
        for (size_t i = 0; i < 2; i++) {
                char *xml = daemon_host_introspect(h, paths[i]);

                REQUIRE_NUMBER(h, n_members_missing(xml, page), 0);
                free(xml);
        }
        stop(h);
}

/* ---- the record -------------------------------------------------------------------------------- */

#define HISTORY "var/lib/coalloc/" HISTORY_DB_NAME

static const char *history_path(struct daemon_host *h)
{
        static char path[4096];

        snprintf(path, sizeof path, "%s/" HISTORY, fake_tree_root(h->tree));
        return path;
}

/* How many epochs the record has; the newest one in @ret, if that is not NULL. */
static size_t n_recorded(struct daemon_host *h, struct history_epoch *ret)
{
        struct history_rows epochs = { 0 };
        struct history_db *db = NULL;
        size_t n = 0;

        if (history_db_open(history_path(h), &db) == 0 &&
            history_db_epochs(db, 0, UINT64_MAX, SIZE_MAX, &epochs) == 0)
                n = epochs.n;
        if (n > 0 && ret)
                *ret = ((struct history_epoch *)epochs.rows)[n - 1];
        history_rows_free(HISTORY_EPOCHS, &epochs);
        (void)history_db_close(db);
        return n;
}

/* Every case of this file reruns its record at the end: this one knows that there is something in it. */
static void every_epoch_is_recorded_and_can_be_rerun_bit_for_bit(void)
{
        struct daemon_host *h = callers("");
        struct history_epoch epoch;
        char name[128] = "";
        size_t n;

        daemon_host_configure(h, "[Manager]\n" FAST CALLERS
                                 "[Path buy]\nServices=web cart db\nLatencyTargetSec=60ms\n");
        daemon_host_run(h, NULL);
        WAIT(h, has_allocations(h));
        REQUIRE(h, daemon_host_report(h, "web", 0.08, 40, name) == 0);
        REQUIRE(h, daemon_host_report(h, "db", 0.05, 0, name) == 0);
        daemon_host_epochs(h, 2);
        /* A new player, a restart, another configuration, a change of the graph, another run: what is carried
         * from epoch to epoch breaks in all the ways that it can. */
        fake_systemd_find(h->systemd, "path-web.slice")->load_cpus = 0.1;
        daemon_host_configure(h, "[Manager]\n" FAST "Enforce=quota\n" CALLERS
                                 "[Path buy]\nServices=web cart db\n[Path sell]\nServices=other web\n");
        call(h, "Reload", NULL);
        call(h, "Freeze", "yes");
        daemon_host_epochs(h, 1);
        call(h, "Freeze", "no");
        daemon_host_epochs(h, 2);
        WAIT(h, n_recorded(h, &epoch) >= h->n_epochs);
        REQUIRE(h, strcmp(epoch.mode, "enforce") == 0 && strcmp(epoch.enforce, "quota") == 0);
        REQUIRE_NUMBER(h, epoch.n_services, 4);
        REQUIRE(h, epoch.graph > 1 && epoch.error == 0 && !epoch.is_key);
        REQUIRE_NUMBER(h, daemon_host_number(h, NULL, "HistoryDropped"), 0);
        REQUIRE_NUMBER(h, (uint64_t)daemon_host_end(h, SIGTERM), 0);
        n = n_recorded(h, NULL);
        REQUIRE_NUMBER(h, daemon_host_rerun(h), n);

        daemon_host_run(h, NULL);
        daemon_host_epochs(h, 2);
        WAIT(h, n_recorded(h, &epoch) >= n + 2);
        REQUIRE_NUMBER(h, epoch.run, 2);
        h->n_stopping = 0;
        stop(h);
}

static void rerun_finds_a_number_that_was_changed(void)
{
        /* In all epochs: one that got too few samples decides without them. */
        static const char change[] = "UPDATE services SET use_peak_milli = use_peak_milli * (1 + 1e-9)";
        struct daemon_host *h = shop("");
        sqlite3 *other;

        daemon_host_run(h, NULL);
        WAIT(h, daemon_host_number(h, "shop-web.slice", "LoadUSecPerSec") > 0);
        daemon_host_epochs(h, 1);
        WAIT(h, n_recorded(h, NULL) >= 3);
        REQUIRE_NUMBER(h, (uint64_t)daemon_host_end(h, SIGTERM), 0);
        REQUIRE(h, daemon_host_rerun(h) >= 3);
        REQUIRE(h, sqlite3_open(history_path(h), &other) == SQLITE_OK);
        REQUIRE(h, sqlite3_exec(other, change, NULL, NULL, NULL) == SQLITE_OK);
        REQUIRE(h, sqlite3_close(other) == SQLITE_OK);
        REQUIRE(h, !daemon_host_reruns(h));
        fake_tree_remove(h->tree, HISTORY);
        daemon_host_free(h);
}

static void observing_is_recorded_too(void)
{
        struct daemon_host *h = shop("Mode=observe\n");
        struct history_epoch epoch;

        daemon_host_run(h, NULL);
        WAIT(h, n_recorded(h, &epoch) >= 2);
        REQUIRE(h, strcmp(epoch.mode, "observe") == 0);
        REQUIRE_NUMBER(h, epoch.n_writes, 0);
        stop(h);
}

static void nothing_is_recorded_where_its_size_is_zero(void)
{
        struct daemon_host *h = shop("HistoryMaxSize=0\n");

        daemon_host_run(h, NULL);
        daemon_host_epochs(h, 2);
        REQUIRE(h, !fake_tree_exists(h->tree, HISTORY));
        REQUIRE_NUMBER(h, daemon_host_number(h, NULL, "HistoryDropped"), 0);
        stop(h);
}

/* Holds the file as a backup or a shell may, and longer than epochs can wait. */
static void record_that_somebody_holds_delays_neither_epochs_nor_samples(void)
{
        struct daemon_host *h = shop("");
        unsigned n_reads = 0;
        sqlite3 *other;
        uint64_t n;

        daemon_host_run(h, NULL);
        WAIT(h, n_recorded(h, NULL) >= 1);
        REQUIRE(h, sqlite3_open(history_path(h), &other) == SQLITE_OK);
        REQUIRE(h, sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK);
        n = h->n_epochs;
        (void)daemon_host_reads(h, "shop-web.slice");
        while (daemon_host_number(h, NULL, "HistoryDropped") < 2) {
                uint64_t before = h->n_epochs;

                daemon_host_epochs(h, 1);
                n_reads = daemon_host_reads(h, "shop-web.slice");
                /* Ten samples an epoch, if this machine is not late: the loop never stood still. */
                REQUIRE(h, n_reads >= 1);
                REQUIRE(h, h->n_epochs > before);
        }
        REQUIRE(h, h->n_epochs >= n + 2);
        WAIT(h, daemon_host_logged(h, "Another process holds") == 1);
        WAIT(h, daemon_host_logged(h, "The disk does not keep up") == 1);
        REQUIRE(h, sqlite3_exec(other, "COMMIT", NULL, NULL, NULL) == SQLITE_OK);
        REQUIRE(h, sqlite3_close(other) == SQLITE_OK);
        WAIT(h, daemon_host_logged(h, "is written again") == 1);
        n = n_recorded(h, NULL);
        WAIT(h, n_recorded(h, NULL) >= n + 2);
        stop(h);
}

static void damaged_history_is_put_aside_and_begun_anew(void)
{
        struct daemon_host *h = shop("");

        fake_tree_write(h->tree, HISTORY, "%s", "this is no database, however long it may go on: it is text, "
                                                "and more of it than a header of a hundred bytes would be");
        daemon_host_run(h, NULL);
        WAIT(h, n_recorded(h, NULL) >= 2);
        /* Told by the epoch after the one that it happened to. */
        WAIT(h, daemon_host_logged(h, "The record of epochs was damaged") == 1);
        REQUIRE(h, daemon_host_logged(h, "history.db.damaged-") == 1);
        stop(h);
}

static void history_of_a_newer_version_is_left_alone(void)
{
        struct daemon_host *h = shop("");
        struct stat before, after;
        sqlite3 *other;

        fake_tree_mkdir(h->tree, "var/lib/coalloc");
        REQUIRE(h, sqlite3_open(history_path(h), &other) == SQLITE_OK);
        REQUIRE(h, sqlite3_exec(other, "PRAGMA application_id = 0x636f616c; PRAGMA user_version = 99; CREATE TABLE epochs (id)",
                                NULL, NULL, NULL) == SQLITE_OK);
        REQUIRE(h, sqlite3_close(other) == SQLITE_OK);
        REQUIRE(h, stat(history_path(h), &before) == 0);
        daemon_host_run(h, NULL);
        WAIT(h, daemon_host_number(h, NULL, "HistoryDropped") >= 2);
        WAIT(h, daemon_host_logged(h, "was written by a newer version") == 1);
        REQUIRE(h, stat(history_path(h), &after) == 0);
        REQUIRE(h, before.st_ino == after.st_ino && before.st_size == after.st_size);
        fake_tree_remove(h->tree, HISTORY);
        stop(h);
}

static void history_that_is_removed_is_begun_anew(void)
{
        struct daemon_host *h = shop("");

        daemon_host_run(h, NULL);
        WAIT(h, n_recorded(h, NULL) >= 1);
        fake_tree_remove(h->tree, HISTORY);
        WAIT(h, n_recorded(h, NULL) >= 2);
        stop(h);
}

/* ---- all of them ------------------------------------------------------------------------------- */

#define CASE(name) { #name, name }

static const struct {
        const char *name;
        void (*run)(void);
} cases[] = {
        /* the long ones first */
        CASE(unit_without_data_is_given_back_after_four_epochs),
        CASE(writes_beyond_fifty_follow_in_later_rounds_within_the_budget),
        CASE(throttling_beside_a_write_of_ours_counts_for_nothing),
        CASE(counters_are_polled_only_while_a_ceiling_is_in_force),
        CASE(throttled_unit_is_given_room_long_before_the_epoch_ends),
        CASE(room_is_taken_from_who_is_quiet_and_the_sum_holds),
        CASE(frozen_units_are_not_raised_until_thawed),
        CASE(quota_that_is_lowered_by_hand_is_not_raised_again),
        CASE(coalition_makes_its_path_faster_and_takes_from_nobody_else),
        CASE(latency_reports_are_checked_used_and_go_stale),
        CASE(path_target_raises_what_its_services_need),
        CASE(listeners_are_told_of_prices_of_other_paths),
        CASE(explain_tells_what_a_target_of_a_path_makes_of_a_service),
        CASE(overload_of_a_called_service_is_not_taken_for_a_batch_job),
        CASE(every_epoch_is_recorded_and_can_be_rerun_bit_for_bit),
        CASE(record_that_somebody_holds_delays_neither_epochs_nor_samples),
        CASE(rerun_finds_a_number_that_was_changed),
        CASE(coalitions_follow_services_that_come_and_go),
        CASE(bargain_that_is_not_solved_in_time_changes_nothing_and_says_so),
        CASE(nothing_is_logged_or_written_on_every_epoch),
        CASE(explain_tells_what_was_measured_decided_and_set),
        CASE(at_most_64_calls_are_under_way_in_a_storm),
        CASE(call_that_times_out_is_tried_again),
        CASE(refused_value_is_noticed_and_said_once),
        CASE(bursts_follow_quotas_in_both_directions_and_go_back),
        CASE(bursts_are_given_back_after_a_crash),
        CASE(burst_that_someone_else_changes_is_theirs_and_quotas_go_on),
        CASE(burst_that_the_kernel_reset_is_set_again),
        CASE(burst_in_the_way_of_a_quota_is_named_with_what_to_do),
        CASE(quota_that_is_lowered_by_hand_below_a_burst_is_theirs_and_told),
        CASE(burst_switched_by_a_reload_comes_and_goes_with_it),
        CASE(kernel_without_bursts_is_told_once_and_quotas_work),
        CASE(debug_logs_every_value_that_is_written),
        CASE(failing_calls_are_said_once),
        CASE(quotas_never_exceed_the_budget_while_loads_change),
        CASE(frozen_writes_nothing_until_thawed),
        CASE(foreign_change_is_left_alone_until_adopted),
        CASE(capacity_that_shrinks_takes_quotas_along_also_when_frozen),
        CASE(restarted_unit_is_a_new_player),
        CASE(unit_that_vanishes_during_a_round_harms_nobody),
        CASE(slice_is_given_back_when_the_last_managed_unit_in_it_stops),
        CASE(unit_that_comes_while_frozen_waits),
        CASE(observe_writes_nothing_and_shows_what_it_would_do),
        CASE(modes_are_switched_over_the_bus_and_observe_gives_back),
        CASE(daemon_reload_that_undoes_us_is_put_right),
        CASE(lost_bus_is_found_again),
        CASE(name_that_is_taken_does_not_keep_it_from_managing),
        CASE(wrong_reload_keeps_what_is_in_force),
        CASE(reload_gives_back_what_left_the_configuration),
        CASE(raised_reserve_takes_quotas_along_at_once),
        CASE(unit_that_restarts_with_a_value_of_its_own_is_not_foreign),
        CASE(foreign_weight_of_a_slice_is_left_alone_until_adopted),
        CASE(release_that_fails_is_tried_again),
        CASE(units_dropped_together_are_given_back_with_one_reload),
        CASE(unit_that_cannot_be_given_back_keeps_nobody_from_their_share),
        CASE(members_on_the_bus_are_those_of_the_manual_page),
        CASE(changed_epoch_counts_from_the_reload_on),
        CASE(changed_enforce_gives_back_what_is_no_longer_set),
        CASE(stop_brings_back_values_and_drop_ins_of_others),
        CASE(kill_is_repaired_by_restore_and_by_the_next_start),
        CASE(second_one_is_turned_away),
        CASE(locks_of_other_users_do_not_keep_it_from_starting),
        CASE(system_that_shuts_down_is_left_as_it_is),
        CASE(observing_is_recorded_too),
        CASE(nothing_is_recorded_where_its_size_is_zero),
        CASE(damaged_history_is_put_aside_and_begun_anew),
        CASE(history_of_a_newer_version_is_left_alone),
        CASE(history_that_is_removed_is_begun_anew),
        CASE(ready_comes_only_after_all_units_are_read),
        CASE(start_asks_for_more_time_as_soon_as_units_are_read),
        CASE(wrong_configuration_ends_with_78_and_touches_nothing),
        CASE(damaged_record_is_put_aside_and_it_goes_on),
        CASE(credits_survive_a_restart_and_edited_ones_are_put_aside),
        CASE(credit_of_a_service_that_stopped_decays_at_nobody_elses_cost),
        CASE(path_of_an_unknown_service_is_refused_at_start_and_reload),
        CASE(anyone_may_look_and_only_root_may_change),
};

#define N_CASES (sizeof cases / sizeof *cases)

struct running {
        pid_t pid;
        FILE *output;
        bool is_wanted;
};

static void begin(struct running *r, size_t i)
{
        r->output = tmpfile();
        if (!r->output) {
                perror("tmpfile");
                exit(EXIT_FAILURE);
        }
        (void)fflush(stdout);
        r->pid = fork();
        if (r->pid < 0) {
                perror("fork");
                exit(EXIT_FAILURE);
        }
        if (r->pid > 0)
                return;
        (void)dup2(fileno(r->output), STDOUT_FILENO);
        (void)dup2(fileno(r->output), STDERR_FILENO);
        (void)alarm(CASE_TIMEOUT_SEC);
        cases[i].run();
        exit(EXIT_SUCCESS);
}

static void report(struct running *r, size_t i, int status)
{
        bool is_ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        char line[4096];

        printf("%s - %s\n", is_ok ? "ok" : "not ok", cases[i].name);
        if (!is_ok) {
                rewind(r->output);
                while (fgets(line, sizeof line, r->output))
                        printf("# %s%s", line, strchr(line, '\n') ? "" : "\n");
                if (WIFSIGNALED(status))
                        printf("# ended by signal %d\n", WTERMSIG(status));
        }
        (void)fclose(r->output);
        (void)fflush(stdout);
}

int main(int argc, char *argv[])
{
        static struct running running[N_CASES];
        size_t n_side_by_side = argc > 1 ? 1 : N_SIDE_BY_SIDE, n_running = 0, next = 0;
        bool all_ok = true;

        if (!private_bus_is_possible()) {
                printf("1..0 # SKIP there is no dbus-daemon here\n");
                return EXIT_SUCCESS;
        }
        printf("1..%zu\n", N_CASES);
        for (size_t i = 0; i < N_CASES; i++) {
                running[i].is_wanted = argc == 1;
                for (int k = 1; k < argc; k++)
                        running[i].is_wanted |= strstr(cases[i].name, argv[k]) != NULL;
                if (!running[i].is_wanted)
                        printf("ok - %s # SKIP not asked for\n", cases[i].name);
        }
        while (next < N_CASES || n_running > 0) {
                int status;
                pid_t pid;

                if (next < N_CASES && n_running < n_side_by_side) {
                        if (running[next].is_wanted) {
                                begin(&running[next], next);
                                n_running++;
                        }
                        next++;
                        continue;
                }
                pid = wait(&status);
                for (size_t i = 0; i < next; i++)
                        if (running[i].is_wanted && running[i].pid == pid) {
                                report(&running[i], i, status);
                                all_ok &= WIFEXITED(status) && WEXITSTATUS(status) == 0;
                                n_running--;
                        }
        }
        return all_ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
