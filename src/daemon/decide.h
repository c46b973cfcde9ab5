/* SPDX-License-Identifier: MIT */
#pragma once

/* Every epoch: estimates become players, epoch_decide() decides, and every unit learns what is wanted
 * of it. Capacity, idle share and the load of what is unmanaged are measured here as well. */

#include "daemon/daemon.h"

/* Starts the clock (EpochSec=). Return: 0; negative errno. */
int decide_start(struct daemon *d);
/* After EpochSec= changed. */
void decide_restart_clock(struct daemon *d);
void decide_free(struct daemon *d);
