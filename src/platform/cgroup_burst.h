/* SPDX-License-Identifier: MIT */
#pragma once

/* cpu.max.burst: quota that a cgroup did not use and may use in a later period on top of its quota,
 * up to this much. The one file that coalloc writes itself: no release of systemd has a property for
 * it (a CPUBurst= was proposed in 2026, and not merged).
 *
 * The kernel refuses (EINVAL) a burst above the quota, and just so a quota below the burst; a cgroup
 * without quota takes any. So whoever lowers a quota lowers the burst first, and whoever raises it
 * raises the burst last. Kernels from 5.14 to about 6.9 divide the burst by 1000 whenever cpu.max is
 * written (mended by "Fix incorrect initialization of the 'burst' parameter in cpu_max_write()"):
 * what was written may have to be written again. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup_burst {
        uint64_t burst_usec;            /* a period */
        ino_t inode;                    /* of the file: another one after the controller was off */
};

/* @dir_fd: of the cgroup, as kept by cgroup_reader; it may be O_PATH. Return: 0; -ENOENT: no cpu
 * controller here, a kernel before 5.14, or no such cgroup any more; -EBADMSG; other negative errno. */
int cgroup_burst_read(int dir_fd, struct cgroup_burst *ret);

/**
 * cgroup_burst_probe() - could it be written?
 *
 * Opens the file for writing and changes nothing.
 *
 * Return: 0; -ENOENT as above; -EROFS: the hierarchy is read-only here (ProtectControlGroups=);
 * -EACCES; other negative errno.
 */
int cgroup_burst_probe(int dir_fd);

/* Return: 0; -EINVAL: above the quota; -ENODEV: the cgroup went just now; others as above. */
int cgroup_burst_write(int dir_fd, uint64_t burst_usec);

/* Is @now_usec what the kernels named above make of @written_usec? */
bool cgroup_burst_is_cut(uint64_t now_usec, uint64_t written_usec);
