/* SPDX-License-Identifier: MIT */
#include "platform/give_back.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/cgroup_burst.h"
#include "platform/cgroup_reader.h"
#include "platform/cgroup_tree.h"
#include "platform/dropin.h"
#include "util/cleanup.h"

/* Units between two saves of the state file. Small, since the time between looking at a unit and
 * setting it is when somebody else's change would go unseen; as many as there are calls in flight. */
#define UNITS_PER_BATCH SYSTEMD_CALLS_IN_FLIGHT_MAX

enum property {
        CPU_QUOTA,
        CPU_WEIGHT,
        _PROPERTY_MAX,
};

static const char *const property_names[_PROPERTY_MAX] = {
        [CPU_QUOTA] = "CPUQuota",
        [CPU_WEIGHT] = "CPUWeight",
};

static struct state_value *value_of(struct state_record *record, enum property p)
{
        return p == CPU_QUOTA ? &record->quota : &record->weight;
}

static uint64_t live_value(const struct systemd_unit *unit, enum property p)
{
        return p == CPU_QUOTA ? unit->quota_usec_per_sec : unit->cpu_weight;
}

/* ---- before and after a change ----------------------------------------------------------------- */

static bool is_set(const struct systemd_setting *setting, enum property p)
{
        return p == CPU_QUOTA ? setting->set_quota : setting->set_weight;
}

static uint64_t new_value(const struct systemd_setting *setting, enum property p)
{
        return p == CPU_QUOTA ? setting->quota_usec_per_sec : setting->cpu_weight;
}

int give_back_prepare(struct state_file *state, const char *root, const struct systemd_unit *unit,
                      const struct systemd_setting *setting)
{
        struct state_record *record = state_file_find(state, unit->name);
        char *dropins[_PROPERTY_MAX] = { NULL };
        int r = 0;

        /* First all that can fail. */
        for (enum property p = 0; p < _PROPERTY_MAX && r == 0; p++) {
                _cleanup_free_ char *path = NULL;
                if (!is_set(setting, p) || (record && value_of(record, p)->is_ours))
                        continue;
                r = dropin_path(root, unit->name, unit->is_transient, property_names[p], &path);
                if (r == 0)
                        r = dropin_read(path, &dropins[p]);
                if (r == -ENOENT)
                        r = 0;
        }
        if (r == 0 && !record)
                r = state_file_add(state, unit->name, unit->is_transient, &record);
        if (r < 0) {
                for (enum property p = 0; p < _PROPERTY_MAX; p++)
                        free(dropins[p]);
                return r;
        }

        for (enum property p = 0; p < _PROPERTY_MAX; p++) {
                struct state_value *v = value_of(record, p);
                if (!is_set(setting, p))
                        continue;
                if (!v->is_ours)
                        /* Not the prior value as applied: a drop-in for it could be somebody's. */
                        *v = (struct state_value) {
                                .is_ours = true,
                                .prior = live_value(unit, p),
                                .applied = new_value(setting, p),
                                .prior_dropin = dropins[p],     /* handed over */
                        };
                else if (live_value(unit, p) == v->intended)
                        v->applied = v->intended;       /* the change that seemed to fail did not */
                v->intended = new_value(setting, p);
                state->is_dirty = true;
        }
        return 0;
}

void give_back_confirm(struct state_file *state, const struct systemd_setting *setting)
{
        struct state_record *record = state_file_find(state, setting->unit);

        for (enum property p = 0; record && p < _PROPERTY_MAX; p++) {
                struct state_value *v = value_of(record, p);
                if (!is_set(setting, p) || !v->is_ours || v->applied == new_value(setting, p))
                        continue;
                v->applied = new_value(setting, p);
                state->is_dirty = true;
        }
}

/* ---- whose is it? ------------------------------------------------------------------------------ */

enum live {
        LIVE_PRIOR,
        LIVE_OURS,
        LIVE_FOREIGN,
};

enum file {
        FILE_NONE,              /* none, or what was there before us */
        FILE_OURS,
        FILE_FOREIGN,
};

/* After a daemon-reload systemd has what it wrote down: a quota cut off to percents or hundredths. */
static bool is_value_or_its_rounding(uint64_t live, uint64_t value, enum property p)
{
        if (live == value)
                return true;
        if (p != CPU_QUOTA || value == SYSTEMD_UNSET)
                return false;
        return live == value / 10000 * 10000 || live == value / 100 * 100;
}

static enum live judge_live(const struct state_value *v, enum property p, uint64_t live)
{
        if (live == v->prior)
                return LIVE_PRIOR;
        if (is_value_or_its_rounding(live, v->applied, p) || is_value_or_its_rounding(live, v->intended, p))
                return LIVE_OURS;
        return LIVE_FOREIGN;
}

/* Looks at the drop-in. @ret_text: malloc'd, NULL if there is none. Return: 0; negative errno. */
static int judge_file(const struct state_record *record, const struct state_value *v, enum property p,
                      const char *path, enum file *ret, char **ret_text)
{
        _cleanup_free_ char *text = NULL;
        const char *name = property_names[p];
        int r = dropin_read(path, &text);

        if (r < 0 && r != -ENOENT && r != -EBADMSG)
                return r;
        if (r == -EBADMSG)
                *ret = FILE_FOREIGN;
        else if (r == -ENOENT)
                *ret = FILE_NONE;
        else if (dropin_is_ours(text, record->unit, name, v->applied) ||
                 dropin_is_ours(text, record->unit, name, v->intended))
                *ret = FILE_OURS;       /* also where it looks as it did before us: undoing is nothing then */
        else if (v->prior_dropin && strcmp(text, v->prior_dropin) == 0)
                *ret = FILE_NONE;
        else
                *ret = FILE_FOREIGN;
        *ret_text = TAKE_PTR(text);
        return 0;
}

bool give_back_quota_is_overwritten(const char *root, const struct state_record *record)
{
        _cleanup_free_ char *path = NULL, *text = NULL, *persistent = NULL;
        const char *name = property_names[CPU_QUOTA];
        enum file file;

        if (dropin_path(root, record->unit, record->is_transient, name, &path) < 0 ||
            judge_file(record, &record->quota, CPU_QUOTA, path, &file, &text) < 0)
                return false;
        if (file == FILE_FOREIGN)
                return true;
        if (asprintf(&persistent, "%s/etc/systemd/system.control/%s.d/50-%s.conf", root, record->unit, name) < 0)
                return false;
        return access(persistent, F_OK) == 0;
}

/* ---- bursts ------------------------------------------------------------------------------------ */

/* What is to be done about the burst: down before the quota is set, up after it. */
struct burst_step {
        bool is_ours;
        bool is_above;          /* lower it first */
};

/* The cgroup of a unit that is active. Return: 0; -ENOENT: it has none; negative errno. */
static int open_cgroup(const char *mount, const struct systemd_unit *unit, struct cgroup_reader *ret)
{
        if (!mount || !unit || !unit->is_active || unit->control_group[0] == '\0')
                return -ENOENT;
        return cgroup_reader_open(mount, unit->control_group, ret);
}

/* Return: 0; -ENOENT: there is no burst to be seen; negative errno. */
static int look_at_burst(const struct cgroup_reader *reader, struct cgroup_limits *ret_limits,
                         uint64_t *ret_burst_usec)
{
        struct cgroup_burst burst;
        int r = cgroup_reader_limits(reader, ret_limits);

        if (r == 0)
                r = cgroup_burst_read(reader->dir_fd, &burst);
        if (r == 0)
                *ret_burst_usec = burst.burst_usec;
        return r == -ENODEV ? -ENOENT : r;
}

static bool is_burst_or_cut(uint64_t live_usec, uint64_t burst_usec)
{
        return live_usec == burst_usec || cgroup_burst_is_cut(live_usec, burst_usec);
}

/* Whose is the burst? 0 in place of ours is what a new cgroup has, or the controller that came back:
 * nobody's. Return: 0; negative errno. */
static int plan_burst(struct state_record *record, const char *mount, const struct systemd_unit *unit,
                      struct burst_step *ret, bool *ret_is_foreign)
{
        struct state_value *v = &record->burst;
        struct cgroup_reader reader = CGROUP_READER_CLOSED;
        struct cgroup_limits limits;
        struct burst_step step = { 0 };
        bool is_foreign = false;
        uint64_t live_usec;

        if (!v->is_ours)
                return 0;
        int r = open_cgroup(mount, unit, &reader);
        if (r == 0)
                r = look_at_burst(&reader, &limits, &live_usec);
        if (r == -ENOENT && reader.dir_fd >= 0) {
                /* Without the controller there is no burst, and with it a 0 comes back that we caused:
                 * saved with the other plans, for whoever goes on after a crash. */
                v->applied = v->intended = 0;
                step.is_ours = true;
                r = 0;
        } else if (r == 0) {
                step.is_ours = is_burst_or_cut(live_usec, v->prior) || is_burst_or_cut(live_usec, v->applied) ||
                               is_burst_or_cut(live_usec, v->intended);
                step.is_above = step.is_ours && live_usec > v->prior;
                is_foreign = !step.is_ours && live_usec != 0;
        } else if (r == -ENOENT)
                r = 0;
        cgroup_reader_close(&reader);
        if (r == 0) {
                *ret = step;
                *ret_is_foreign |= is_foreign;
        }
        return r;
}

/* As near to what it was as the quota lets it. Return: 0, also when there is none; negative errno. */
static int restore_burst(const struct state_value *v, const char *mount, const struct systemd_unit *unit)
{
        struct cgroup_reader reader = CGROUP_READER_CLOSED;
        struct cgroup_limits limits;
        uint64_t live_usec;

        int r = open_cgroup(mount, unit, &reader);
        if (r == 0)
                r = look_at_burst(&reader, &limits, &live_usec);
        if (r == 0) {
                uint64_t burst_usec = v->prior < limits.quota_usec ? v->prior : limits.quota_usec;
                if (burst_usec != live_usec)
                        r = cgroup_burst_write(reader.dir_fd, burst_usec);
        }
        cgroup_reader_close(&reader);
        return r == -ENOENT || r == -ENODEV ? 0 : r;
}

/* ---- one unit ---------------------------------------------------------------------------------- */

/* What is to be done about one property. */
struct step {
        bool set_prior;
        bool undo_file;         /* it is ours: unlink it or write the old one back */
        bool is_foreign;
        bool awaits_reload;     /* what systemd has in memory is ours until then */
};

struct item {
        char *unit;             /* owned */
        struct step steps[_PROPERTY_MAX];
        struct burst_step burst;
        int burst_error;        /* it is to be tried again, the others are done */
        int error;
        bool is_foreign;
        bool awaits_reload;
        bool is_reported;
};

/* @unit: NULL if it is not loaded. Return: 0; negative errno. */
static int plan_property(const struct state_record *record, enum property p, const char *root,
                         const struct systemd_unit *unit, bool is_reload_owed, struct step *ret)
{
        const struct state_value *v = p == CPU_QUOTA ? &record->quota : &record->weight;
        _cleanup_free_ char *path = NULL, *text = NULL;
        enum file file;

        int r = dropin_path(root, record->unit, record->is_transient, property_names[p], &path);
        if (r == 0)
                r = judge_file(record, v, p, path, &file, &text);
        if (r < 0)
                return r;

        struct step step = { 0 };
        if (file == FILE_FOREIGN) {
                step.is_foreign = true;
        } else if (!unit || !unit->is_active) {
                /* Nobody can tell what systemd has in memory, if anything. With the file gone and a
                 * reload owed, a crash between the two is the likeliest story. */
                step.undo_file = file == FILE_OURS;
                step.awaits_reload = unit && (step.undo_file || is_reload_owed);
        } else if (file == FILE_OURS) {
                enum live live = judge_live(v, p, live_value(unit, p));
                step.set_prior = live == LIVE_OURS;
                step.is_foreign = live == LIVE_FOREIGN;
                step.undo_file = live != LIVE_FOREIGN ||
                                 !dropin_is_ours(text, record->unit, property_names[p], live_value(unit, p));
        } else {
                enum live live = judge_live(v, p, live_value(unit, p));
                /* A crash between unlink and reload, or systemd could not write the file. To read
                 * the files again overwrites nobody's value; to set one might. */
                step.awaits_reload = live == LIVE_OURS;
                step.is_foreign = live == LIVE_FOREIGN && !(record->is_transient && !text);
        }
        *ret = step;
        return 0;
}

/* Return: 1 if the file was changed; 0 if there was nothing to do; -EPERM if it is not ours (any
 * more); negative errno. */
static int undo_file(const struct state_record *record, enum property p, const char *root)
{
        const struct state_value *v = p == CPU_QUOTA ? &record->quota : &record->weight;
        _cleanup_free_ char *path = NULL, *text = NULL;
        enum file file;

        int r = dropin_path(root, record->unit, record->is_transient, property_names[p], &path);
        if (r == 0)
                r = judge_file(record, v, p, path, &file, &text);
        if (r < 0)
                return r;
        if (file == FILE_FOREIGN)
                return -EPERM;
        if (v->prior_dropin && (!text || strcmp(text, v->prior_dropin) == 0))
                return 0;       /* as it was; or somebody took away what was there before us */
        r = dropin_replace(path, v->prior_dropin);
        /* Without a file this was for the directory: a crash may have left it. */
        return r < 0 ? r : text ? 1 : 0;
}

/* ---- all of them ------------------------------------------------------------------------------- */

enum phase {
        PHASE_LOOK,             /* read the units of the batch again */
        PHASE_SET,              /* decide; set prior values */
        PHASE_UNDO,             /* drop-ins; records; report */
        PHASE_RELOAD,
        PHASE_DONE,
};

struct give_back {
        struct systemd_manager *manager;
        struct state_file *state;
        char *root;
        char *mount;                    /* of cgroup2, if there are bursts; or NULL */
        bool may_reload;
        give_back_each_fn each;
        give_back_done_fn done;
        void *ctx;

        sd_event_source *advance;       /* runs the next phase, from the event loop */
        enum phase phase;
        struct item *items;             /* sorted by unit */
        size_t n_items;
        size_t i_batch;
        size_t n_batch;
        size_t n_waiting;               /* calls of this phase without an answer */
        bool owed_reload;               /* by an earlier run */
        bool has_touched_files;
        unsigned n_failed;
};

struct give_back *give_back_free(struct give_back *g)
{
        if (!g)
                return NULL;
        sd_event_source_disable_unref(g->advance);
        for (size_t i = 0; i < g->n_items; i++)
                free(g->items[i].unit);
        free(g->items);
        free(g->root);
        free(g->mount);
        free(g);
        return NULL;
}

static int go_on(struct give_back *g, enum phase phase)
{
        g->phase = phase;
        return sd_event_source_set_enabled(g->advance, SD_EVENT_ONESHOT);
}

static int compare_items(const void *a, const void *b)
{
        return strcmp(((const struct item *)a)->unit, ((const struct item *)b)->unit);
}

static struct item *find_item(struct give_back *g, const char *unit)
{
        struct item key = { .unit = (char *)unit };     /* only read */
        return bsearch(&key, g->items, g->n_items, sizeof key, compare_items);
}

static void report(struct give_back *g, struct item *item)
{
        if (item->error == 0)
                item->error = item->burst_error;
        enum give_back_outcome outcome = item->error < 0 ? GIVE_BACK_FAILED
                                         : item->is_foreign ? GIVE_BACK_FOREIGN : GIVE_BACK_RESTORED;
        item->is_reported = true;
        if (outcome == GIVE_BACK_FAILED)
                g->n_failed++;
        g->each(g->ctx, item->unit, outcome, item->error);
}

static void on_looked(void *ctx, const char *unit, int error)
{
        struct give_back *g = ctx;
        struct item *item = find_item(g, unit);
        /* One that stopped or vanished meanwhile is judged as what it is now. */
        if (error < 0 && error != -ESRCH && item)
                item->error = error;
        if (--g->n_waiting == 0)
                go_on(g, PHASE_SET);
}

static void look(struct give_back *g)
{
        size_t n_left = g->n_items - g->i_batch;
        g->n_batch = n_left < UNITS_PER_BATCH ? n_left : UNITS_PER_BATCH;
        g->n_waiting = 1;       /* this function itself */

        for (size_t i = g->i_batch; i < g->i_batch + g->n_batch; i++) {
                struct item *item = &g->items[i];
                if (!systemd_manager_bus(g->manager)) {
                        item->error = -ENOTCONN;
                        continue;
                }
                if (!state_file_find(g->state, item->unit) || !systemd_manager_find(g->manager, item->unit))
                        continue;
                int r = systemd_manager_refresh(g->manager, item->unit, on_looked, g);
                if (r < 0)
                        item->error = r;
                else
                        g->n_waiting++;
        }
        if (--g->n_waiting == 0)
                go_on(g, PHASE_SET);
}

/* Nothing of this batch can be done. */
static void fail_batch(struct give_back *g, int error)
{
        for (size_t i = g->i_batch; i < g->i_batch + g->n_batch; i++)
                if (g->items[i].error == 0 && state_file_find(g->state, g->items[i].unit))
                        g->items[i].error = error;
}

static void plan_item(struct give_back *g, struct item *item, struct systemd_setting *ret_setting)
{
        struct state_record *record = state_file_find(g->state, item->unit);
        const struct systemd_unit *unit = systemd_manager_find(g->manager, item->unit);
        struct systemd_setting setting = { .unit = item->unit };

        for (enum property p = 0; record && p < _PROPERTY_MAX; p++) {
                if (!value_of(record, p)->is_ours)
                        continue;
                int r = plan_property(record, p, g->root, unit, g->owed_reload, &item->steps[p]);
                if (r < 0) {
                        item->error = r;
                        return;
                }
        }
        if (record) {
                g->state->is_dirty |= record->burst.is_ours;
                int r = plan_burst(record, g->mount, unit, &item->burst, &item->is_foreign);
                if (r < 0) {
                        item->error = r;
                        return;
                }
        }

        for (enum property p = 0; record && p < _PROPERTY_MAX; p++) {
                const struct step *step = &item->steps[p];
                struct state_value *v = value_of(record, p);
                if (step->set_prior) {
                        /* The same as before any change: what is in force, and what will be. */
                        v->applied = live_value(unit, p);
                        v->intended = v->prior;
                        g->state->is_dirty = true;
                        if (p == CPU_QUOTA) {
                                setting.set_quota = true;
                                setting.quota_usec_per_sec = v->prior;
                        } else {
                                setting.set_weight = true;
                                setting.cpu_weight = v->prior;
                        }
                }
                if ((step->undo_file || step->awaits_reload) && !g->state->reload_pending)
                        g->state->reload_pending = g->state->is_dirty = true;
        }
        *ret_setting = setting;
}

static void on_set(void *ctx, const struct systemd_setting *setting, int error)
{
        struct give_back *g = ctx;
        struct item *item;
        if (error == 0 || !(item = find_item(g, setting->unit)))
                return;

        if (error != -ESRCH) {
                item->error = error;
                return;
        }
        /* It stopped since we looked: then the files say what it will have. */
        for (enum property p = 0; p < _PROPERTY_MAX; p++)
                if (item->steps[p].set_prior)
                        item->steps[p].awaits_reload = true;
}

static void on_all_set(void *ctx, unsigned n_failed)
{
        struct give_back *g = ctx;
        go_on(g, PHASE_UNDO);
}

/* The kernel takes no quota below the burst, and systemd would not tell. */
static void lower_burst(struct give_back *g, struct item *item, const struct systemd_setting *setting)
{
        const struct state_record *record = state_file_find(g->state, item->unit);

        if (!item->burst.is_above)
                return;
        int r = restore_burst(&record->burst, g->mount, systemd_manager_find(g->manager, item->unit));
        if (r == 0)
                return;
        if (setting->set_quota && setting->quota_usec_per_sec != SYSTEMD_UNSET)
                item->error = r;
        else
                item->burst_error = r;
}

static void set_prior_values(struct give_back *g)
{
        struct systemd_setting settings[UNITS_PER_BATCH], planned[UNITS_PER_BATCH] = { 0 };
        size_t n = 0;

        for (size_t i = g->i_batch; i < g->i_batch + g->n_batch; i++) {
                if (g->items[i].error == 0)
                        plan_item(g, &g->items[i], &planned[i - g->i_batch]);
        }

        /* Saved before anything is changed: whatever happens next, the file knows both values, and
         * that a reload is owed. */
        int r = state_file_save(g->state);
        for (size_t i = 0; r == 0 && i < g->n_batch; i++) {
                struct item *item = &g->items[g->i_batch + i];
                if (item->error == 0)
                        lower_burst(g, item, &planned[i]);
                if (item->error == 0 && (planned[i].set_quota || planned[i].set_weight))
                        settings[n++] = planned[i];
        }
        if (r == 0 && n > 0) {
                r = systemd_manager_set(g->manager, settings, n, on_set, on_all_set, g);
                if (r == 0)
                        return;
        }
        if (r < 0)
                fail_batch(g, r);
        go_on(g, PHASE_UNDO);
}

/* After the quota. Keeps the record of a burst that cannot be written. */
static void give_burst_back(struct give_back *g, struct item *item, struct state_record *record)
{
        if (!record->burst.is_ours)
                return;
        if (item->burst.is_ours) {
                int r = restore_burst(&record->burst, g->mount, systemd_manager_find(g->manager, item->unit));
                if (r < 0) {
                        item->burst_error = r;
                        return;
                }
        }
        item->burst_error = 0;
        state_value_clear(&record->burst);
        g->state->is_dirty = true;
}

static void undo_item(struct give_back *g, struct item *item)
{
        struct state_record *record = state_file_find(g->state, item->unit);

        for (enum property p = 0; record && p < _PROPERTY_MAX; p++) {
                struct step *step = &item->steps[p];
                struct state_value *v = value_of(record, p);
                if (!v->is_ours)
                        continue;
                if (step->undo_file || !step->is_foreign) {
                        int r = undo_file(record, p, g->root);
                        if (r == -EPERM) {
                                step->is_foreign = true;        /* somebody came between */
                        } else if (r < 0) {
                                item->error = r;
                                continue;
                        }
                        g->has_touched_files |= r > 0;
                }
                item->is_foreign |= step->is_foreign;
                if (step->awaits_reload) {
                        item->awaits_reload = true;
                } else {
                        state_value_clear(v);
                        g->state->is_dirty = true;
                }
        }
        /* What awaits the reload may have a quota that the burst does not fit yet. */
        if (record && !item->awaits_reload)
                give_burst_back(g, item, record);
        if (record && !record->quota.is_ours && !record->weight.is_ours && !record->burst.is_ours)
                state_file_remove(g->state, item->unit);
}

static void undo(struct give_back *g)
{
        for (size_t i = g->i_batch; i < g->i_batch + g->n_batch; i++)
                if (g->items[i].error == 0)
                        undo_item(g, &g->items[i]);

        /* Restored is what the disk says, not what we did. */
        int r = state_file_save(g->state);
        for (size_t i = g->i_batch; i < g->i_batch + g->n_batch; i++) {
                struct item *item = &g->items[i];
                if (r < 0 && item->error == 0)
                        item->error = r;
                if (item->error < 0 || !item->awaits_reload)
                        report(g, item);
        }
        g->i_batch += g->n_batch;
        go_on(g, g->i_batch < g->n_items ? PHASE_LOOK : PHASE_RELOAD);
}

/* After the reload, or without it: the units that waited for it. */
static void settle(struct give_back *g, int error)
{
        if (error == 0) {
                for (size_t i = 0; i < g->n_items; i++) {
                        struct item *item = &g->items[i];
                        struct state_record *record = state_file_find(g->state, item->unit);
                        if (item->is_reported || !record)
                                continue;
                        state_value_clear(&record->quota);
                        state_value_clear(&record->weight);
                        give_burst_back(g, item, record);
                        if (!record->burst.is_ours)
                                state_file_remove(g->state, item->unit);
                }
                g->state->reload_pending = false;
                g->state->is_dirty = true;
                error = state_file_save(g->state);
        }
        for (size_t i = 0; i < g->n_items; i++)
                if (!g->items[i].is_reported) {
                        g->items[i].error = error;
                        report(g, &g->items[i]);
                }
        go_on(g, PHASE_DONE);
}

static void on_reloaded(void *ctx, int error)
{
        struct give_back *g = ctx;
        settle(g, error);
}

static void reload(struct give_back *g)
{
        bool is_needed = g->owed_reload || g->has_touched_files;
        for (size_t i = 0; i < g->n_items; i++)
                is_needed |= !g->items[i].is_reported;

        if (!is_needed) {
                settle(g, 0);
        } else if (!g->may_reload) {
                settle(g, -EAGAIN);
        } else {
                int r = systemd_manager_daemon_reload(g->manager, on_reloaded, g);
                if (r < 0)
                        settle(g, r);
        }
}

static int on_advance(sd_event_source *source, void *userdata)
{
        struct give_back *g = userdata;

        switch (g->phase) {
        case PHASE_LOOK:
                look(g);
                break;
        case PHASE_SET:
                set_prior_values(g);
                break;
        case PHASE_UNDO:
                undo(g);
                break;
        case PHASE_RELOAD:
                reload(g);
                break;
        case PHASE_DONE:
                g->done(g->ctx, g->n_failed);   /* may free us */
                break;
        }
        return 0;
}

int give_back_start(struct give_back **ret, struct systemd_manager *manager, struct state_file *state,
                    const char *root, const char *const units[], size_t n_units, bool may_reload,
                    give_back_each_fn each, give_back_done_fn done, void *ctx)
{
        sd_bus *bus = systemd_manager_bus(manager);
        if (!bus)
                return -ENOTCONN;

        struct give_back *g = calloc(1, sizeof *g);
        if (!g)
                return -ENOMEM;
        *g = (struct give_back) {
                .manager = manager,
                .state = state,
                .root = strdup(root),
                .may_reload = may_reload,
                .each = each,
                .done = done,
                .ctx = ctx,
                .owed_reload = state->reload_pending,
        };
        if (!units)
                n_units = state->n_records;
        g->items = calloc(n_units ? n_units : 1, sizeof *g->items);

        int r = g->root && g->items ? 0 : -ENOMEM;
        for (size_t i = 0; i < state->n_records && r == 0 && !g->mount; i++) {
                enum cgroup_mode mode;
                if (state->records[i].burst.is_ours)
                        r = cgroup_find_mount(root, &mode, &g->mount);
        }
        for (size_t i = 0; i < n_units && r == 0; i++) {
                g->items[i].unit = strdup(units ? units[i] : state->records[i].unit);
                if (!g->items[i].unit)
                        r = -ENOMEM;
                else
                        g->n_items++;
        }
        if (r == 0)
                r = sd_event_add_defer(sd_bus_get_event(bus), &g->advance, on_advance, g);
        if (r < 0) {
                give_back_free(g);
                return r;
        }

        /* A unit named twice is one unit. */
        qsort(g->items, g->n_items, sizeof *g->items, compare_items);
        size_t n_distinct = 0;
        for (size_t i = 0; i < g->n_items; i++) {
                if (n_distinct > 0 && compare_items(&g->items[n_distinct - 1], &g->items[i]) == 0)
                        free(g->items[i].unit);
                else
                        g->items[n_distinct++] = g->items[i];
        }
        g->n_items = n_distinct;

        g->phase = g->n_items > 0 ? PHASE_LOOK : PHASE_RELOAD;
        *ret = g;
        return 0;
}
