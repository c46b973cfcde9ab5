/* SPDX-License-Identifier: MIT */

#include "core/epoch.h"

#include <string.h>

/* FNV-1a, 64 bit. */
#define DIGEST_INIT UINT64_C(0xcbf29ce484222325)
#define DIGEST_PRIME UINT64_C(0x100000001b3)

static uint64_t add_whole(uint64_t h, uint64_t whole)
{
        for (unsigned shift = 0; shift < 64; shift += 8)
                h = (h ^ (whole >> shift & 0xff)) * DIGEST_PRIME;
        return h;
}

static uint64_t add_real(uint64_t h, double real)
{
        uint64_t bits;

        if (isnan(real))
                return add_whole(h, UINT64_MAX);
        if (real == 0)
                return add_whole(h, 0);
        memcpy(&bits, &real, sizeof bits);
        return add_whole(h, bits);
}

static uint64_t add_decision(uint64_t h, const struct epoch_decision *d)
{
        h = add_real(h, d->need_milli);
        h = add_real(h, d->weight);
        h = add_real(h, d->target_ms);
        h = add_real(h, d->part_ms);
        h = add_real(h, d->work_milli_ms);
        h = add_whole(h, d->is_work_told);
        h = add_real(h, d->market_milli);
        h = add_whole(h, d->coalition);
        h = add_whole(h, (uint64_t)d->entitlement_milli);
        h = add_real(h, d->importance);
        h = add_real(h, d->path_cover);
        h = add_real(h, d->latency.work_milli_ms);
        h = add_real(h, d->latency.load_milli);
        h = add_real(h, d->latency.margin_milli);
        h = add_real(h, d->latency.other_ms);
        h = add_real(h, d->gain);
        h = add_real(h, d->due);
        h = add_real(h, d->credit);
        h = add_whole(h, (uint64_t)d->alloc_milli);
        h = add_whole(h, (uint64_t)d->quota_milli);
        h = add_whole(h, d->cpu_weight);
        h = add_whole(h, d->is_satisfied);
        return add_whole(h, d->is_unbounded);
}

static uint64_t add_outcome(uint64_t h, const struct epoch_outcome *o)
{
        h = add_whole(h, (uint64_t)o->market.tier);
        h = add_real(h, o->market.scarcity);
        h = add_real(h, o->market.shadow_price);
        h = add_real(h, o->market.total_milli);
        h = add_real(h, o->market.spendable_milli);
        h = add_whole(h, (uint64_t)o->gate.verdict);
        h = add_real(h, o->gate.v_before);
        h = add_real(h, o->gate.v_after);
        h = add_real(h, o->gate.step);
        h = add_real(h, o->bargained_milli);
        h = add_real(h, o->hardship);
        h = add_whole(h, o->is_frozen);
        h = add_whole(h, o->is_rolled_back);
        h = add_real(h, o->v_market);
        h = add_real(h, o->v_division);
        h = add_whole(h, o->n_formed);
        return add_whole(h, o->n_valued);
}

uint64_t epoch_digest(const struct epoch_decision decisions[], size_t n, const unsigned group_weight[],
                      size_t n_groups, const struct epoch_outcome *outcome)
{
        uint64_t h = DIGEST_INIT;

        for (size_t i = 0; i < n; i++)
                h = add_decision(h, &decisions[i]);
        for (size_t g = 0; g < n_groups; g++)
                h = add_whole(h, group_weight[g]);
        return add_outcome(h, outcome);
}
