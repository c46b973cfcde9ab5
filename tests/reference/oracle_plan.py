# SPDX-License-Identifier: MIT
"""An exact oracle for `coallocctl plan`: the market's definition in rational numbers, written for
obviousness and without a look at the C code, on random markets.

Levels 0 <= floor <= baseline <= need <= max; the first level that capacity cannot fill names the
tier; inside it x = lower + min(bound, weight * theta) with the theta that spends what there is.
Prints TAP. Usage: oracle_plan.py COALLOCCTL [SEED [N]]
"""

import json
import random
import subprocess
import sys
from fractions import Fraction as F

TIERS = ["starved", "overloaded", "congested", "uncongested"]


def water_fill(bound, weight, amount):
    """Shares, and the price 1/theta (None = infinite)."""
    active = [i for i in range(len(bound)) if weight[i] > 0 and bound[i] > 0]
    share = [F(0)] * len(bound)
    if sum(bound[i] for i in active) <= amount:
        for i in active:
            share[i] = bound[i]
        return share, F(0)
    if amount == 0:
        return share, None
    # The right theta is where the filled ones are exactly those with bound <= weight * theta.
    free = sorted(active, key=lambda i: bound[i] / weight[i])
    rest = amount
    while True:
        theta = rest / sum(weight[i] for i in free)
        i = free[0]
        if bound[i] <= weight[i] * theta:
            share[i] = bound[i]
            rest -= bound[i]
            free.pop(0)
            continue
        for i in free:
            share[i] = weight[i] * theta
        return share, 1 / theta


def exact(q):
    """Tier, scarcity, price, allocations of a question."""
    capacity = F(q["capacity_milli"]) - F(q.get("reserve_milli", 0))
    levels = [[], [], [], [], []]
    weights = []
    for s in q["services"]:
        baseline = F(s.get("baseline_milli", 0))
        top = max(F(q["capacity_milli"]), baseline)
        if "max_milli" in s:
            top = F(s["max_milli"])
        need = min(max(F(s.get("need_milli", baseline)), baseline), top)
        for level, amount in zip(levels, [F(0), F(s.get("floor_milli", 0)), baseline, need, top]):
            level.append(amount)
        weights.append(F(s.get("weight", 100)))
    sums = [sum(level, F(0)) for level in levels]
    tier = 3
    while tier > 0 and capacity < sums[tier]:
        tier -= 1
    lower, upper = levels[tier], levels[tier + 1]
    bound = [u - l for l, u in zip(lower, upper)]
    amount = capacity - sums[tier]
    if tier == 3:
        amount = min(F(q.get("spare", 1)) * amount, sums[4] - sums[3])
        if F(q.get("spare", 1)) == 0:
            bound = [F(0)] * len(bound)  # nothing above the needs is handed out
    if tier < 2 and q.get("overload_rule", "proportional") == "proportional":
        weights = bound
    share, price = water_fill(bound, weights, amount)
    if tier == 3:
        price = F(0)  # every need is met: what is spare has no price
    if capacity >= sums[3]:
        scarcity = F(0)
    elif capacity >= sums[2]:
        scarcity = (sums[3] - capacity) / (sums[3] - sums[2])
    else:
        scarcity = 1 + (sums[2] - capacity) / sums[2]
    return TIERS[tier], scarcity, price, [l + s for l, s in zip(lower, share)], levels


def random_question(r):
    n = r.choice([0, 1, 1, 2, 3, 4, 6, 10, 30])
    step = r.choice([1, 1, 10, 100, 0.5])

    def amount(low, high):
        return round(r.uniform(low, high) / step) * step

    services = []
    for i in range(n):
        s = {"name": "s%d" % i}
        levels = sorted(amount(0, 2000) for _ in range(4))
        if r.random() < 0.3:
            levels[0] = 0
        if r.random() < 0.2:
            levels[1] = levels[0]
        if r.random() < 0.2:
            levels[2] = levels[1]
        if r.random() < 0.8:
            s["baseline_milli"] = levels[1]
            if r.random() < 0.8:
                s["floor_milli"] = levels[0]
        if r.random() < 0.8:
            s["need_milli"] = levels[2]
        if r.random() < 0.5 and levels[3] > 0:
            s["max_milli"] = max(levels[3], 1)
        if r.random() < 0.6:
            s["weight"] = r.choice([1, 2, 7, 100, 1000, 10000])
        services.append(s)
    q = {"capacity_milli": 1, "services": services}
    if r.random() < 0.5:
        q["overload_rule"] = r.choice(["proportional", "weighted"])
    if r.random() < 0.5:
        q["spare"] = r.choice([0, 0.25, 0.5, 1])
    if r.random() < 0.5:
        q["enforce"] = r.choice(["both", "quota", "weight"])
    # Capacity anywhere, and often exactly on a border between two tiers.
    levels = exact(q)[4]
    sums = [sum(level, F(0)) for level in levels]
    capacity = r.choice([r.choice(sums[1:4]), F(amount(0, float(sums[3]) * 1.5 + 1000)),
                         F(amount(0, float(sums[2]) + 100))])
    q["capacity_milli"] = float(max(capacity, F(1)))
    if r.random() < 0.5:
        q["reserve_milli"] = amount(0, q["capacity_milli"] / 3)
    if r.random() < 0.5:
        for s in services:
            if r.random() < 0.8:
                s["quota_milli"] = int(amount(0, 1500))
    return q


def near(got, wanted, scale=F(0)):
    return abs(F(got) - wanted) <= F(1, 10**9) * max(abs(wanted), scale)


def judge(q, a):
    """What is wrong with an answer; an empty list if nothing is."""
    tier, scarcity, price, x, levels = exact(q)
    wrong = []
    capacity = F(q["capacity_milli"]) - F(q.get("reserve_milli", 0))
    if a["tier"] != tier:
        wrong.append("tier %s, not %s" % (a["tier"], tier))
    if not near(a["scarcity"], scarcity, F(1)):
        wrong.append("scarcity %r, not %r" % (a["scarcity"], float(scarcity)))
    if (a["shadow_price"] is None) != (price is None) or (
            price is not None and not near(a["shadow_price"], price)):
        wrong.append("price %r, not %r" % (a["shadow_price"], price and float(price)))
    if [s["name"] for s in a["services"]] != [s["name"] for s in q["services"]]:
        return wrong + ["names or their order"]
    for s, wanted in zip(a["services"], x):
        # Against the whole host: a share that is a difference of large sums has no better precision.
        if not near(s["market_milli"], wanted, max(F(1), capacity)):
            wrong.append("%s: market %r, not %r" % (s["name"], s["market_milli"], float(wanted)))
    alloc = [s["alloc_milli"] for s in a["services"]]
    if sum(alloc) > capacity:
        wrong.append("%d allocated of %s" % (sum(alloc), float(capacity)))
    protected = {"starved": levels[0], "overloaded": levels[1]}.get(tier, levels[2])
    # Whole milli: what the tier starts from rounds up where that fits, else down.
    fits = sum(-(-level // 1) for level in levels[TIERS.index(tier)]) <= sum(x, F(0)) // 1
    previous = any("quota_milli" in s for s in q["services"])
    gate = a["gate"]
    if not previous:
        if gate["v_before"] is not None or gate["step"] != 1 or gate["verdict"] != "apply":
            wrong.append("the gate judged a first allocation: %r" % gate)
        if sum(alloc) != sum(x, F(0)) // 1:
            wrong.append("sum of allocations %d, not %s" % (sum(alloc), float(sum(x))))
        if tier != "starved":
            for s, level in zip(a["services"], protected):
                if s["alloc_milli"] < (level if fits else level // 1):
                    wrong.append("%s: %d is below the promise" % (s["name"], s["alloc_milli"]))
        # The monotone rounding may leave the unit; promises of half a unit round up, and the others
        # pay for it.
        room = 3 + len(x) // 5 + sum(1 for level in levels[TIERS.index(tier)] if level % 1)
        for s, wanted in zip(a["services"], x):
            if abs(s["alloc_milli"] - wanted) >= room:
                wrong.append("%s: %d is far from %r" % (s["name"], s["alloc_milli"], float(wanted)))
    elif gate["v_after"] > gate["v_before"] * (1 + 1e-9) + 1e-9:
        wrong.append("V rose: %r" % gate)
    quotas = [s["quota_milli"] for s in a["services"] if s["quota_milli"] is not None]
    if q.get("enforce") == "quota" and (sum(quotas) > capacity or any(v % 10 for v in quotas)):
        wrong.append("quotas %r of %s" % (quotas, float(capacity)))
    if q.get("enforce") == "weight" and quotas:
        wrong.append("quotas, although only weights are wanted")
    return wrong


def main():
    client = sys.argv[1]
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20261121
    n_cases = int(sys.argv[3]) if len(sys.argv) > 3 else 400
    r = random.Random(seed)
    seen = dict.fromkeys(TIERS, 0)
    n_failed = n_refused = 0
    for i in range(n_cases):
        q = random_question(r)
        run = subprocess.run([client, "plan", "--json", "--samples", "-"], input=json.dumps(q),
                             capture_output=True, text=True)
        if run.returncode == 1 and q.get("enforce") == "quota" and "whole percents" in run.stderr:
            # Right only where there really are more services than percents.
            tier, _, _, x, _ = exact(q)
            n_refused += 1
            wrong = [] if sum(x) // 10 < len(x) or any("quota_milli" in s for s in q["services"]) \
                else ["refused: " + run.stderr]
        elif run.returncode != 0:
            wrong = ["exit status %d: %s" % (run.returncode, run.stderr)]
        else:
            a = json.loads(run.stdout)
            seen[a["tier"]] += 1
            wrong = judge(q, a)
        if wrong:
            n_failed += 1
            if n_failed <= 5:
                print("# market %d of seed %d: %s" % (i, seed, json.dumps(q)))
                for w in wrong[:5]:
                    print("#   " + w)
    print("# seed %d, tiers %r, %d refused for want of percents" % (seed, seen, n_refused))
    print("%s 1 - plan agrees with exact arithmetic on %d random markets"
          % ("ok" if n_failed == 0 else "not ok", n_cases))
    print("%s 2 - every tier was met" % ("ok" if min(seen.values()) > 0 else "not ok"))
    print("1..2")
    return 0 if n_failed == 0 and min(seen.values()) > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
