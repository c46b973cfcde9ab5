/* SPDX-License-Identifier: MIT */
#pragma once

/* A systemd that is a few arrays, behind the interface of platform/systemd_manager.h: link it in place
 * of the real adapter. It keeps drop-ins as real files below a fake_tree and follows the rules that
 * were observed on a real one: set-property changes the live value and the file, a daemon-reload makes
 * everything loaded say what the files say, an inactive unit is not set.
 *
 * With has_kernel every active unit has a cgroup in the tree, with the cpu controller where a quota or a
 * weight asks for it, and cpu.max and cpu.max.burst refuse each other as in the real one; bursts that the
 * code under test writes come by here too (-Wl,--wrap=cgroup_burst_write). A period is 100 ms.
 *
 * And a world that can end: after model_world_ends_in(n) the n-th effect, be it a call of systemd or
 * a rename() or unlink() of the code under test, and every later one, does not happen. To the disk and
 * to systemd that looks like a SIGKILL; to the test it is a run that fails and can be cleaned up. */

#include "lib/fake_tree.h"
#include "platform/systemd_manager.h"

enum { MODEL_QUOTA, MODEL_WEIGHT, MODEL_N_PROPERTIES };

struct model_unit {
        char name[64];
        bool is_transient;
        bool is_loaded;
        bool is_active;
        uint64_t own[MODEL_N_PROPERTIES];         /* by its unit file; of a transient one: as started */
        uint64_t persistent[MODEL_N_PROPERTIES];  /* below /etc/systemd/system.control, if has_ */
        bool has_persistent[MODEL_N_PROPERTIES];
        uint64_t live[MODEL_N_PROPERTIES];        /* in systemd's memory */
        struct systemd_unit shown;                /* what the manager shows of it */
        char control_group[80];
};

struct model {
        struct fake_tree *tree;
        sd_event *event;
        bool writes_hundredths;         /* systemd 256 and later */
        bool is_followed_by_nobody;     /* the manager shows no unit */
        bool has_kernel;
        bool cuts_bursts;               /* a kernel before 6.10: cpu.max divides the burst by 1000 */
        struct model_unit units[200];
        size_t n_units;
        /* Faults: */
        int set_error;                  /* what SetUnitProperties answers instead */
        bool set_happens_all_the_same;  /* ... though it was done: a lost answer */
        int refresh_error;
        int reload_error;
        int burst_error;                /* of every burst that is written */
        const char *stops_before_set;   /* this unit stops between looking and setting */
        const char *changed_after_set;  /* somebody sets a quota of 99 % just after us, --runtime */
        bool loses_bus_after_look;
        /* Counts: */
        unsigned n_sets;
        unsigned n_reloads;
        unsigned n_in_flight_max;
        unsigned n_refused;             /* values that the kernel did not take */
};

struct model *model_new(struct systemd_manager **ret_manager);
/* Both; takes NULL. */
void model_free(struct model *m, struct systemd_manager *manager);

struct model_unit *model_add(struct model *m, const char *name, uint64_t quota, uint64_t weight);
void model_start(struct model *m, struct model_unit *u);
void model_stop(struct model *m, struct model_unit *u, bool is_unloaded);
/* systemctl set-property [--runtime]. */
void model_set_property(struct model *m, struct model_unit *u, int property, uint64_t value, bool is_runtime);
void model_reload(struct model *m);

/* What the kernel has, of a period; UINT64_MAX: no quota, or no such file. */
uint64_t model_cpu_max(const struct model *m, const struct model_unit *u);
uint64_t model_burst(const struct model *m, const struct model_unit *u);
/* echo >cpu.max.burst by somebody. */
void model_set_burst(struct model *m, const struct model_unit *u, uint64_t burst_usec);

/* The drop-in, relative to the tree; static buffer. */
const char *model_dropin(const struct model_unit *u, int property);
/* What systemd writes for a value; static buffer. */
const char *model_text(const struct model *m, const struct model_unit *u, int property, uint64_t value);
/* What the files say. */
uint64_t model_value_of_files(const struct model *m, const struct model_unit *u, int property);

void model_world_ends_in(unsigned n_effects);
/* Did the world end? Starts a new one. */
bool model_new_world(void);
