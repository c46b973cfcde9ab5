/* SPDX-License-Identifier: MIT */
#pragma once

/* Loading and reloading the configuration, and the mode that an administrator switched to. All or
 * nothing: a file with an error changes nothing but config_error. */

#include "daemon/daemon.h"
#include "daemon/release.h"

/* First load. Return: 0; -EINVAL with the findings logged; -ENOMEM. */
int configure_load(struct daemon *d);
/* Return: 0; on failure (as above) the old configuration stays and config_error tells why. */
int configure_reload(struct daemon *d);
/* Mode for the rest of this run; observe gives everything back and calls done() then.
 * Return: 0; -EPERM after --observe; negative errno, and done() is not called. */
int configure_set_mode(struct daemon *d, enum config_mode mode, release_done_fn done, void *ctx);
