/* SPDX-License-Identifier: MIT */
#pragma once

/* Part of systemd_manager: what is said to systemd, and how its answers are read. Keeps nothing. The
 * same on a bus and on a connection to systemd itself, where it has no name. */

#include "platform/systemd_manager.h"

#define SYSTEMD_NAME "org.freedesktop.systemd1"
#define SYSTEMD_MANAGER_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_UNIT_PATH_PREFIX "/org/freedesktop/systemd1/unit"
#define SYSTEMD_MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"
#define SYSTEMD_UNIT_INTERFACE "org.freedesktop.systemd1.Unit"

/* A method of the manager that takes no arguments. */
int systemd_message_new(sd_bus *bus, sd_bus_message **ret, const char *member);

/* ListUnitsByPatterns: of @names, or with n_names == 0 of every slice, service and scope. */
int systemd_message_new_list(sd_bus *bus, sd_bus_message **ret, char *const names[], size_t n_names);

/* All properties of a unit, or just the slice of a service. */
int systemd_message_new_read(sd_bus *bus, sd_bus_message **ret, const char *unit, bool is_all);

int systemd_message_new_set(sd_bus *bus, sd_bus_message **ret, const struct systemd_setting *s);

/* What GetAll and PropertiesChanged say; strings live in the message. What is not mentioned stays. */
struct systemd_properties {
        const char *active_state;
        const char *sub_state;
        const char *control_group;
        const char *slice;
        sd_id128_t invocation_id;
        uint64_t quota_usec_per_sec;
        uint64_t cpu_weight;
        int is_transient;
        bool has_invocation_id;
};

/* Reads an a{sv}. Unknown keys are skipped; a wrong type is -ENXIO. */
int systemd_message_read_properties(sd_bus_message *m, struct systemd_properties *p);

/* 0 if @reply is no error. */
int systemd_message_errno(sd_bus_message *reply);
