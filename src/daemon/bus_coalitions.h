/* SPDX-License-Identifier: MIT */
#pragma once

/* Coalitions, paths and prices on D-Bus: methods of the manager, and PricesChanged(). */

#include "daemon/daemon.h"

int bus_list_coalitions(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_list_paths(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_get_prices(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* What listeners were last told. */
struct bus_prices {
        bool was_told;
        double scarcity, shadow_price;
        double *paths;                  /* owned */
        size_t n_paths;
};

/* Tells whoever listens, if a price changed since the last time. */
void bus_tell_prices(sd_bus *bus, struct daemon *d, struct bus_prices *told);
void bus_prices_done(struct bus_prices *told);
