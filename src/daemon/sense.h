/* SPDX-License-Identifier: MIT */
#pragma once

/* Every second: the counters of every followed unit and of the host, into the demand estimators.
 *
 * The sampling path: kept descriptors and plain structs, no allocation, no formatting, no bus. It runs
 * before everything else that is due, at absolute times, so that delays do not add up. */

#include "daemon/daemon.h"

/* Starts the clock (SampleIntervalSec=). Return: 0; negative errno. */
int sense_start(struct daemon *d);
/* One sample of everybody and of the host. Cost: two system calls a unit and at most six more; allocates
 * nothing. */
void sense_sample(struct daemon *d);
/* Opens the files of a unit that became active; another cgroup of the same name is a new player. */
void sense_open(struct daemon *d, struct service *s);
/* Just before a write to it is sent: what its throttle counters say until then. Cost: two system calls. */
void sense_until_write(struct service *s);
