/* SPDX-License-Identifier: MIT */
#pragma once

/* Giving back: every unit gets the value that it had before us. One way for all occasions: stop,
 * --restore after a crash, the next start, a unit dropped from the configuration, observe mode.
 *
 * Before a change give_back_prepare() notes what is there; the state file is saved; then comes the
 * change; then give_back_confirm(). Whatever the moment of a crash, the file knows the value that is
 * in force, and the value that was.
 *
 * A value is restored only where it is still ours: the live value is the one last applied or the one
 * intended, and the drop-in is byte for byte what systemd writes for one of the two. Anything else
 * belongs to somebody else by now: it is left alone and reported. Quota and weight are judged apart:
 * one may be ours while the other is not. Restored means: the prior value is set, a drop-in that did
 * not exist before is unlinked, one that did exist has its old content; at the end one daemon-reload
 * if something was unlinked or rewritten.
 *
 *      drop-in \ live    prior            ours                        somebody's
 *      none, or prior    nothing to do    daemon-reload forgets it    left alone
 *      ours              unlink           set prior, unlink           unlink ours, value left alone
 *      somebody's        left alone       left alone                  left alone
 *
 * "ours / somebody's" is what `systemctl set-property X` without --runtime leaves; there the drop-in
 * stays if it could be systemd's text for the live value, since that one may be somebody's --runtime.
 * A transient unit without a drop-in is a new one under an old name: nothing of it is ours.
 *
 * A burst (cpu.max.burst) is no property of systemd: it is written to the cgroup, down before the quota
 * is set and up after it, and is ours where it is the one last applied or intended. One of 0 is what a
 * new cgroup has and stays; one that cannot be written keeps its record, and the unit has failed.
 *
 * A unit that is not active is neither read nor set, since systemd would create a cgroup for it that
 * stays: there the drop-in alone decides, and the daemon-reload makes systemd read the value from the
 * files again, as it does for everything loaded. */

#include "platform/state_file.h"
#include "platform/systemd_manager.h"

enum give_back_outcome {
        GIVE_BACK_RESTORED,             /* nothing of ours is left; record dropped */
        GIVE_BACK_FOREIGN,              /* somebody else's now, in part at least: left alone, record dropped */
        GIVE_BACK_FAILED,               /* record kept: the next start tries again */
};

/**
 * give_back_prepare() - note what a unit has, before a change
 * @root:    directory that stands for / ("" in production)
 * @unit:    as last read: its quota and weight become the prior values of what is not ours yet
 * @setting: the change; its values become the intended ones
 *
 * After a change that failed, systemd_manager_refresh() first: the failed one may have come about.
 * The caller saves @state once for all changes of a round, and sends none of them if that fails.
 *
 * Return: 0; -EBADMSG if the drop-in that is there cannot be kept for later (no plain file, larger
 * than DROPIN_SIZE_MAX, a NUL in it): do not change this unit; negative errno. @state is unchanged
 * on failure.
 */
int give_back_prepare(struct state_file *state, const char *root, const struct systemd_unit *unit,
                      const struct systemd_setting *setting);

/* systemd said yes. To be saved at leisure: until then the file names this value as intended. */
void give_back_confirm(struct state_file *state, const struct systemd_setting *setting);

/* Has somebody's `systemctl set-property` of the quota come after ours? Either kind of it leaves a drop-in:
 * --runtime in place of ours, the other in /etc beside it. Where the kernel refused their value (a burst above it)
 * nothing else shows that but systemd's property. Cost: five system calls; false where nothing can be read. */
bool give_back_quota_is_overwritten(const char *root, const struct state_record *record);

struct give_back;

/* each() once a unit, then done(); both from the event loop. @error: negative errno for FAILED, such
 * as -EAGAIN: what is in memory of an inactive unit needs a daemon-reload, which was not allowed. */
typedef void (*give_back_each_fn)(void *ctx, const char *unit, enum give_back_outcome outcome, int error);
typedef void (*give_back_done_fn)(void *ctx, unsigned n_failed);

/**
 * give_back_start() - give back units
 * @manager: connected, after SYSTEMD_LISTED; follows (wants()) every unit that has a record
 * @state:   saved as records go, 64 units at a time; nothing is called restored before it is saved.
 *           Not to be changed by others for these units until done()
 * @root:    directory that stands for / ("" in production)
 * @units:   names, or NULL for every record in @state; copied. A unit without a record counts as restored
 *
 * Keeps @manager and @state. Ends by calling done(), where the object may be freed. Repeatable: after a
 * crash at any point it goes on where it was. A daemon-reload that an earlier run owes (reload_pending) is done as well.
 *
 * Return: 0; -ENOTCONN without a bus; -ENOMEM; negative errno.
 */
int give_back_start(struct give_back **ret, struct systemd_manager *manager, struct state_file *state,
                    const char *root, const char *const units[], size_t n_units, bool may_reload,
                    give_back_each_fn each, give_back_done_fn done, void *ctx);

/* Takes NULL; returns NULL. After done(); before it only where @manager was freed just now, since that
 * one calls back as long as it lives. */
struct give_back *give_back_free(struct give_back *g);
