/* SPDX-License-Identifier: MIT */
#pragma once

/* A decision for people: each number with where it came from, in plain sentences, and as JSON. */

#include "daemon/daemon.h"

/* JSON text (malloc'd) as documented in org.coalloc1(5). Return: 0; -ENOMEM. */
int explain_service(struct daemon *d, const struct service *s, char **ret_json);
int explain_plan(struct daemon *d, char **ret_json);
