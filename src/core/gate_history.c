/* SPDX-License-Identifier: MIT */

#include "core/gate.h"

void gate_history_push(struct gate_history *h, const struct gate_record *r)
{
        if (h->size == 0)
                return;
        h->records[h->next] = *r;
        h->next = (h->next + 1) % h->size;
        if (h->n_used < h->size)
                h->n_used++;
}

const struct gate_record *gate_history_at(const struct gate_history *h, size_t age)
{
        return age < h->n_used ? &h->records[(h->next + h->size - 1 - age) % h->size] : NULL;
}

/* Less than a fiftieth of the time is noise of a one-minute measurement. */
#define HARM_MIN 0.02
/* Smaller actions promise nothing that could be disappointed. */
#define ACTION_MIN 1e-3
#define STEP_MAX_MIN (1.0 / 64)
#define STEP_RECOVERY 1.1
/* More hardship with this much more load is the world's doing. */
#define LOAD_RISE_MAX 1.05

void gate_monitor_init(struct gate_monitor *m)
{
        *m = (struct gate_monitor){
                .step_max = 1,
                .hardship_previous = NAN,
                .load_previous_milli = NAN,
        };
}

/* Comparisons with NAN, which stands for "not known", are false: what is not known is no harm. */
static bool was_harmed(const struct gate_monitor *m, const struct gate_record *last, double hardship,
                       double load_milli)
{
        return last && hardship - m->hardship_previous > HARM_MIN &&
               last->action < -ACTION_MIN * (1 + fabs(last->v_before)) &&
               load_milli <= m->load_previous_milli * LOAD_RISE_MAX;
}

enum gate_advice gate_monitor_observe(struct gate_monitor *m, const struct gate_record *last,
                                      double hardship, double load_milli)
{
        bool is_harmed = was_harmed(m, last, hardship, load_milli);

        m->hardship_previous = hardship;
        m->load_previous_milli = load_milli;

        if (m->n_frozen_left > 0) {
                m->n_frozen_left--;
                return GATE_FROZEN;
        }
        if (!is_harmed) {
                m->n_wrong = 0;
                m->step_max = fmin(m->step_max * STEP_RECOVERY, 1);
                return GATE_GO;
        }
        if (++m->n_wrong < GATE_WRONG_EPOCHS_MAX)
                return GATE_GO;

        m->n_wrong = 0;
        m->step_max = fmax(m->step_max / 2, STEP_MAX_MIN);
        m->n_frozen_left = GATE_FREEZE_EPOCHS;
        return GATE_ROLL_BACK;
}
