# SPDX-License-Identifier: MIT
"""An oracle for `coallocctl plan`, written for obviousness and sharing nothing with the C code: the
market's definition in rational numbers on random markets, and the cooperative game of oracle_games.py
on random call graphs.

Levels 0 <= floor <= baseline <= need <= max; the first level that capacity cannot fill names the
tier; inside it x = lower + min(bound, weight * theta) with the theta that spends what there is.
Prints TAP. Usage: oracle_plan.py COALLOCCTL [SEED [MARKETS [GAMES]]]
"""

import json
import math
import random
import subprocess
import sys
from fractions import Fraction as F

sys.dont_write_bytecode = True  # the sources may be read-only
import oracle_games as games

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


def exact(q, weights=None):
    """Tier, scarcity, price, allocations and levels of a question."""
    capacity = F(q["capacity_milli"]) - F(q.get("reserve_milli", 0))
    levels = [[], [], [], [], []]
    weights = weights or [F(s.get("weight", 100)) for s in q["services"]]
    for s in q["services"]:
        baseline = F(s.get("baseline_milli", 0))
        top = max(F(q["capacity_milli"]), baseline)
        if "max_milli" in s:
            top = F(s["max_milli"])
        need = min(max(F(s.get("need_milli", baseline)), baseline), top)
        for level, amount in zip(levels, [F(0), F(s.get("floor_milli", 0)), baseline, need, top]):
            level.append(amount)
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


# ---- games -----------------------------------------------------------------------------------------

def random_game(r):
    """A question with paths, latencies and credits."""
    n = r.choice([2, 3, 3, 4, 4, 5, 5, 6])
    with_quota = r.choice(["none", "all", "some"])
    with_latency = r.random()
    services = []
    for i in range(n):
        load = round(r.choice([r.uniform(5, 60), r.uniform(50, 900)]), r.choice([0, 3]))
        s = {"name": "s%d" % i, "load_milli": load, "need_milli": round(load * r.uniform(0.8, 3), 3)}
        if r.random() < 0.7:
            s["baseline_milli"] = round(load * r.uniform(0.1, 1.3), r.choice([0, 2]))
            if r.random() < 0.5:
                s["floor_milli"] = round(s["baseline_milli"] * r.random(), 1)
        if r.random() < 0.2:
            s["max_milli"] = round(max(load, s.get("baseline_milli", 0)) * r.uniform(1, 2) + 1)
        if r.random() < 0.6:
            s["weight"] = r.choice([1, 2, 7, 100, 1000, 10000])
        if r.random() < 0.5:
            s["credit"] = r.choice([-1, 1, round(r.uniform(-1, 1), 4)])
        if with_quota == "all" or (with_quota == "some" and r.random() < 0.6):
            s["quota_milli"] = int(load * r.uniform(0.7, 1.8))
            if r.random() < with_latency:
                s["latency_ms"] = round(10 ** r.uniform(0, 3), 3)
        if r.random() < with_latency:
            s["latency_target_ms"] = round(10 ** r.uniform(0.3, 3), 3)
        services.append(s)
    paths = []
    for i in range(r.choice([1, 1, 2, 3])):
        p = {"name": "p%d" % i, "services": [r.choice(services)["name"] for _ in range(r.randint(2, n + 2))]}
        if r.random() < 0.6:
            p["weight"] = r.choice([0.5, 2, 7, round(r.uniform(0.1, 10), 2)])
        if r.random() < with_latency / 2:
            p["latency_target_ms"] = round(10 ** r.uniform(0.5, 3), 3)
        paths.append(p)
    q = {"capacity_milli": 1e6, "services": services, "paths": paths}
    if r.random() < 0.3:
        q["max_coalition_size"] = r.choice([1, 2, 3, 4])
    if r.random() < 0.3:
        q["sensitivity_per_ms"] = r.choice([0.001, 0.02, 1, 10])
    if r.random() < 0.2:
        q["epsilon"] = r.choice([0.001, 1])
    if r.random() < 0.3:
        q["overload_rule"] = "weighted"
    if r.random() < 0.3:
        q["spare"] = r.choice([0, 0.5])
    sums = [float(sum(level, F(0))) for level in exact(q)[4]]
    # Beside the border of two tiers, not on it: sums are rounded. random_question() has borders.
    border = r.choice(sums[1:4]) + r.choice([-0.002, 0.002])
    capacity = r.choice([r.uniform(sums[2], sums[3])] * 4 + [r.uniform(0, sums[2]), border,
                                                             r.uniform(sums[3], 1.5 * sums[3])])
    if any(abs(capacity - amount) < 1e-6 for amount in sums):
        capacity += 0.002
    q["capacity_milli"] = max(capacity, 1)
    return q


def check_blocks(q, a, calls):
    """Who is with whom: the coalition of everybody (None: none), and what is wrong about it."""
    names = [s["name"] for s in q["services"]]
    n, size_max = len(names), q.get("max_coalition_size", 8)
    coalition_of = [None] * n
    wrong = []
    for c, k in enumerate(a["coalitions"]):
        members = [names.index(name) for name in k["members"]]
        if members != sorted(set(members)) or k["id"] != k["members"][0]:
            wrong.append("members %r of %r" % (k["members"], k["id"]))
        if not 2 <= len(members) <= size_max or not games.is_connected(members, calls):
            wrong.append("%r is no coalition" % k["members"])
        for i in members:
            if coalition_of[i] is not None:
                wrong.append("%s is in two coalitions" % names[i])
            coalition_of[i] = c
    said = [None if c is None else a["coalitions"][c]["id"] for c in coalition_of]
    if said != [s["coalition"] for s in a["services"]]:
        wrong.append("services say other coalitions than coalitions do")
    for component in games.components_of(calls, n):
        if len(component) <= size_max:
            together = {coalition_of[i] for i in component}
            if len(component) > 1 and (len(together) > 1 or None in together):
                wrong.append("%r are not together" % component)
            continue
        cut = sum(w for (i, j), w in calls.items() if i in component and
                  (coalition_of[i] is None or coalition_of[i] != coalition_of[j]))
        least = games.least_cut(component, calls, size_max)
        if cut > least * (1 + 1e-7):
            wrong.append("cut %r of %r, not %r" % (cut, component, least))
    return coalition_of, wrong


def check_value(q, a, k, game, members):
    """What is said of one coalition against the game that it plays."""
    services = [a["services"][i] for i in members]
    n, everybody = len(members), range(len(members))
    v = game.worths()
    small = 1e-8 * game.scale() + 1e-9
    wrong = []
    if k["value"] is None:
        return ["%s was not valued" % k["id"]]
    if abs(k["value"] - v[-1]) > small:
        wrong.append("%s: value %r, not %r" % (k["id"], k["value"], v[-1]))
    if not k["formed"] or not k["stable"] or k["blocking"]:
        wrong.append("%s: no market game lacks a core: %r" % (k["id"], k))
    wanted = games.shapley(v, n)
    if any(abs(x - y) > small for x, y in zip(k["shapley"], wanted)):
        wrong.append("%s: shapley %r, not %r" % (k["id"], k["shapley"], wanted))
    payoff = k["imputation"]
    if abs(sum(payoff) - v[-1]) > small:
        wrong.append("%s: imputation %r sums not to %r" % (k["id"], payoff, v[-1]))
    excess = games.max_excess(v, n, payoff)
    if excess > small or abs(excess - k["max_excess"]) > small:
        wrong.append("%s: excess %r, said %r" % (k["id"], excess, k["max_excess"]))
    # The price: that at which everybody's own choice makes the best division. It need not be unique.
    p = k["price"]
    choice = [game.wants(i, p)[0] for i in everybody]
    gain = [game.utility(i, x) - game.utility(i, game.held[i]) - p * (x - game.held[i])
            for i, x in zip(everybody, choice)]
    if p < 0 or abs(sum(gain) - v[-1]) > small:
        wrong.append("%s: %r is no competitive price" % (k["id"], p))
    if any(abs(x - y) > small for x, y in zip(payoff, gain)):
        wrong.append("%s: imputation %r, competitive %r" % (k["id"], payoff, gain))

    # Credits after settling what the whole allocations came to.
    alloc = [s["alloc_milli"] for s in services]
    realised = [game.utility(i, alloc[i]) - game.utility(i, game.held[i]) for i in everybody]
    before = [q["services"][i].get("credit", 0.0) for i in members]
    credit = [s["credit"] for s in services]
    # Worth less than a thousandth of the latency there is, it counts as rounding: on which side it is may
    # be hard to tell.
    noise = 1e-3 * game.weighted_latency()
    possible = [games.settle(wanted, realised, v[-1], part * noise, before) for part in (1 - 1e-6, 1 + 1e-6)]
    if all(any(abs(x - y) > 1e-7 for x, y in zip(credit, c)) for c in possible):
        wrong.append("%s: credits %r, not %r" % (k["id"], credit, possible[0]))
    return wrong


def check_division(a, k, game, floors, members, is_first):
    """Allocations in a coalition."""
    alloc = [a["services"][i]["alloc_milli"] for i in members]
    wrong = []
    if not is_first:
        return wrong            # the gate may have gone a part of the way
    # Rounding may have left a total that the boxes cannot hold: what is above the floors gives way, in
    # proportion.
    total, floors = sum(alloc), [min(f, l) for f, l in zip(floors, game.least)]
    of_floors, of_rest = 1.0, 1.0
    if total < sum(floors):
        of_floors, of_rest = total / sum(floors), 0.0
    elif total < sum(game.least):
        of_rest = (total - sum(floors)) / (sum(game.least) - sum(floors))
    for i, x in enumerate(alloc):
        least = floors[i] * of_floors + (game.least[i] - floors[i]) * of_rest
        if x < math.floor(least + 1e-6) or x > math.ceil(game.most[i] - 1e-6):
            wrong.append("%s: %d is not within %r .. %r" % (k["members"][i], x, least, game.most[i]))
    best = game.divide(range(game.n), min(max(sum(alloc), sum(game.least)), sum(game.most)))
    lost = sum(game.utility(i, b) - game.utility(i, x) for i, (b, x) in enumerate(zip(best, alloc)))
    allowed = sum(game.utility(i, b) - game.utility(i, b - 2) for i, b in enumerate(best))
    if lost > allowed:
        wrong.append("%s: %r loses %r against %r" % (k["id"], alloc, lost, best))
    return wrong


def judge_game(q, a):
    services = q["services"]
    paths = games.paths_of(q)
    calls = games.calls_of(q)
    tier, scarcity, _, _, levels = exact(q)
    contention = min(F(1), scarcity)
    weights = [F(s.get("weight", 100)) * (1 + F(1, 10) * contention * F(s.get("credit", 0)))
               for s in services]
    _, _, price, x, _ = exact(q, weights)
    coalition_of, wrong = check_blocks(q, a, calls)
    models = games.models_of(q, calls, coalition_of)
    planned = games.planned_of(models, games.at_needs_of(q, calls, models))
    targets = games.targets_of(q, paths, planned)
    x = [float(v) for v in x]
    price = None if price is None else float(price)
    capacity = q["capacity_milli"] - q.get("reserve_milli", 0)
    if tier == "congested" and any(t is not None for t in targets) and price is not None:
        lower, upper = ([float(v) for v in level] for level in levels[2:4])
        share, log_price = games.bargain(lower, upper, [float(w) for w in weights], capacity - sum(lower), planned,
                                     targets, q.get("sensitivity_per_ms", 0.1))
        x = [l + s for l, s in zip(lower, share)]
        price = math.exp(log_price)

    if a["tier"] != tier or abs(a["scarcity"] - float(scarcity)) > 1e-9:
        wrong.append("tier %s, scarcity %r, not %s, %r" % (a["tier"], a["scarcity"], tier, float(scarcity)))
    if (a["shadow_price"] is None) != (price is None) or (
            price is not None and abs(a["shadow_price"] - price) > 1e-6 * price + 1e-300):
        if (price or 1e12) < 1e12:      # above, rounding decides whether anything is left to bargain over
            wrong.append("price %r, not %r" % (a["shadow_price"], price))
    for i, s in enumerate(a["services"]):
        if abs(s["market_milli"] - x[i]) > 1e-5 + 1e-8 * capacity:
            wrong.append("%s: market %r, not %r" % (s["name"], s["market_milli"], x[i]))
        if (s["latency_target_ms"] or 0) != 0 and abs(s["latency_target_ms"] - targets[i]) > 1e-9 * targets[i]:
            wrong.append("%s: target %r, not %r" % (s["name"], s["latency_target_ms"], targets[i]))
        if coalition_of[i] is None and abs(s["credit"] - services[i].get("credit", 0) * 2 ** (-1 / 240)) > 1e-12:
            wrong.append("%s: credit %r of a single player" % (s["name"], s["credit"]))
    if wrong:
        return wrong

    alloc = [s["alloc_milli"] for s in a["services"]]
    is_first = not any("quota_milli" in s for s in services)
    if sum(alloc) > capacity:
        wrong.append("%d allocated of %r" % (sum(alloc), capacity))
    if is_first:
        # Totals are rounded as the market rounds; singles keep what they are promised.
        totals = [([i], None) for i in range(len(x)) if coalition_of[i] is None] + [
            ([i for i in range(len(x)) if coalition_of[i] == c], c) for c in range(len(a["coalitions"]))]
        # Promises round up and the others pay for it, as in judge().
        room = 3 + len(x) // 5 + sum(1 for level in levels[TIERS.index(tier)] if level % 1)
        for members, c in totals:
            if abs(sum(alloc[i] - x[i] for i in members)) > room + len(members):
                wrong.append("%r got %d, not %r" % (members, sum(alloc[i] for i in members),
                                                    sum(x[i] for i in members)))
    gate = a["gate"]
    if is_first and (gate["v_before"] is not None or gate["verdict"] != "apply"):
        wrong.append("the gate judged a first allocation: %r" % gate)
    if not is_first and gate["v_after"] > gate["v_before"] * (1 + 1e-9) + 1e-9:
        wrong.append("V rose: %r" % gate)
    for c, k in enumerate(a["coalitions"]):
        members = [i for i in range(len(x)) if coalition_of[i] == c]
        held = [a["services"][i]["market_milli"] for i in members]
        importance = [sum(w for on_path, w, _ in paths if i in on_path) for i in members]
        # Nobody gives what its own load, or its own target, needs.
        least = [min(e, max(float(levels[1][i]), models[i].load,
                            games.target_milli(services[i], planned[i]))) for e, i in zip(held, members)]
        most = [max(e, float(levels[4][i])) for e, i in zip(held, members)]
        game = games.Game([models[i] for i in members], importance, held, least, most)
        wrong += check_value(q, a, k, game, members)
        wrong += check_division(a, k, game, [float(levels[1][i]) for i in members], members, is_first)
    return wrong


def shuffled(q, r):
    """The same question, told in another order."""
    services, paths = list(q["services"]), list(q["paths"])
    r.shuffle(services)
    r.shuffle(paths)
    return dict(q, services=services, paths=paths)


def compare(a, b):
    """What differs between answers to the same question, whole milli and the order apart."""
    if {frozenset(k["members"]) for k in a["coalitions"]} != {frozenset(k["members"]) for k in b["coalitions"]}:
        return []               # another cut of the same weight: other games
    by_name = {s["name"]: s for s in b["services"]}
    wrong = []
    for s in a["services"]:
        if abs(s["market_milli"] - by_name[s["name"]]["market_milli"]) > 1e-6 + 1e-9 * s["market_milli"]:
            wrong.append("market of %s: %r, then %r" % (s["name"], s["market_milli"],
                                                        by_name[s["name"]]["market_milli"]))
    by_members = {frozenset(k["members"]): k for k in b["coalitions"]}
    for k in a["coalitions"]:
        other = by_members[frozenset(k["members"])]
        if None in (k["value"], other["value"]):
            wrong.append("coalition %r, then %r" % (k, other))
            continue
        small = 1e-7 * (1 + abs(k["value"]))
        if abs(k["value"] - other["value"]) > small or abs(k["max_excess"] - other["max_excess"]) > small:
            wrong.append("coalition %r, then %r" % (k, other))
        for key in ("shapley", "imputation"):
            then = dict(zip(other["members"], other[key]))
            if any(abs(x - then[name]) > small for name, x in zip(k["members"], k[key])):
                wrong.append("%s %r, then %r" % (key, k, other))
    return wrong


# ---- all of it -------------------------------------------------------------------------------------

def ask(client, q):
    return subprocess.run([client, "plan", "--json", "--samples", "-"], input=json.dumps(q),
                          capture_output=True, text=True)


class Report:
    """Prints the first few failures whole."""

    def __init__(self, what, seed):
        self.what, self.seed, self.n_failed = what, seed, 0

    def add(self, i, q, wrong):
        if not wrong:
            return
        self.n_failed += 1
        if self.n_failed <= 5:
            print("# %s %d of seed %d: %s" % (self.what, i, self.seed, json.dumps(q)))
            for w in wrong[:5]:
                print("#   " + w)


def judge_markets(client, seed, n_cases):
    r = random.Random(seed)
    seen = dict.fromkeys(TIERS, 0)
    report = Report("market", seed)
    n_refused = 0
    for i in range(n_cases):
        q = random_question(r)
        run = ask(client, q)
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
        report.add(i, q, wrong)
    print("# seed %d, tiers %r, %d refused for want of percents" % (seed, seen, n_refused))
    return report.n_failed, seen


def judge_games(client, seed, n_cases):
    r = random.Random(seed + 1)
    report, orders = Report("game", seed), Report("order of game", seed)
    seen = dict.fromkeys(TIERS, 0)
    n_valuable = 0
    for i in range(n_cases):
        q = random_game(r)
        run = ask(client, q)
        if run.returncode != 0:
            report.add(i, q, ["exit status %d: %s" % (run.returncode, run.stderr)])
            continue
        a = json.loads(run.stdout)
        seen[a["tier"]] += 1
        n_valuable += any(k["value"] for k in a["coalitions"])
        report.add(i, q, judge_game(q, a))
        if i % 3 == 0:
            other = shuffled(q, r)
            run = ask(client, other)
            orders.add(i, other, compare(a, json.loads(run.stdout)) if run.returncode == 0 else [run.stderr])
    print("# seed %d, tiers %r, %d with a coalition that is worth something" % (seed, seen, n_valuable))
    return report.n_failed, orders.n_failed, n_valuable


def main():
    client = sys.argv[1]
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20261121
    n_markets = int(sys.argv[3]) if len(sys.argv) > 3 else 400
    n_games = int(sys.argv[4]) if len(sys.argv) > 4 else 200
    n_failed, seen = judge_markets(client, seed, n_markets)
    n_games_failed, n_orders_failed, n_valuable = judge_games(client, seed, n_games)
    results = [
        (n_failed == 0, "plan agrees with exact arithmetic on %d random markets" % n_markets),
        (n_markets == 0 or min(seen.values()) > 0, "every tier was met"),
        (n_games_failed == 0, "plan agrees with enumeration and bisection on %d random games" % n_games),
        (n_orders_failed == 0, "the order of services and paths decides nothing"),
        (n_games == 0 or n_valuable > n_games / 4, "many coalitions are worth something"),
    ]
    for i, (is_fine, what) in enumerate(results):
        print("%s %d - %s" % ("ok" if is_fine else "not ok", i + 1, what))
    print("1..%d" % len(results))
    return 0 if all(is_fine for is_fine, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
