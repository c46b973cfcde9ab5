/* SPDX-License-Identifier: MIT */
#pragma once

/* Drop-ins: the files in which systemd keeps what SetUnitProperties set at run time.
 *
 *      /run/systemd/system.control/X.d/50-CPUQuota.conf
 *      /run/systemd/transient/X.d/50-CPUWeight.conf            of a transient unit
 *
 * `systemctl set-property --runtime` uses the same names: what is ours must be told by the text. */

#include <stdbool.h>
#include <stdint.h>

/* Those that systemd writes have about 150 bytes. */
#define DROPIN_SIZE_MAX (64 * 1024)

/* The drop-in of one property ("CPUQuota", "CPUWeight") of a unit: its path below @root (malloc'd).
 * Return: 0; -EINVAL if @unit is no name of a slice, service or scope; -ENOMEM. */
int dropin_path(const char *root, const char *unit, bool is_transient, const char *property, char **ret);

/* Its text (malloc'd). Return: 0; -ENOENT; -EBADMSG if it is nothing that systemd writes: no plain
 * file, larger than DROPIN_SIZE_MAX, a NUL in it; negative errno. */
int dropin_read(const char *path, char **ret);

/* Would systemd have written exactly this text for this value? UINT64_MAX means unset. Up to 255 it
 * writes whole percents of a quota, cut off; from 256 on two decimals. */
bool dropin_is_ours(const char *text, const char *unit, const char *property, uint64_t value);

/* Makes the drop-in have this text, whatever the moment of a crash the old or the new one; NULL: no
 * drop-in, and no X.d either if it is empty then. Fine if there is none. Return: 0; negative errno. */
int dropin_replace(const char *path, const char *text);
