/* SPDX-License-Identifier: MIT */
#pragma once

/* Services on D-Bus: ListServices() and one object a service. */

#include "daemon/daemon.h"

/* Guardians and holders that nobody asked to see stay behind the scenes. */
bool bus_shows(const struct daemon *d, const struct service *s);

/* ListServices() of the manager. */
int bus_list_services(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* The objects below COALLOC_SERVICE_PATH_PREFIX. */
extern const sd_bus_vtable bus_service_vtable[];
int bus_find_service(sd_bus *bus, const char *path, const char *interface, void *userdata,
                     void **ret_found, sd_bus_error *error);
int bus_enumerate_services(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                           sd_bus_error *error);
