# SPDX-License-Identifier: MIT
"""The cooperative half of the oracle for `coallocctl plan`: latency targets in the bargain, credits,
coalitions with their division, value, stability and Shapley values. Plain floats, everything found by
bisection or by enumeration; written from the definitions in doc/theory.md.
"""

import itertools
import math

SWING = 0.1                     # of a weight, by a credit of one under full contention
HALF_LIFE = 240                 # of a credit, in epochs
NOMINAL_WORK = 1000.0           # milli-CPU ms a request, where nobody measured any


class Latency:
    """T(x) = other + work / (x - load), and its tangent below load + margin."""

    def __init__(self, load, work, other=0.0):
        self.load, self.work, self.other = load, work, other
        self.margin = max(10.0, load / 50)

    @classmethod
    def measured(cls, load, other, latency, at):
        other = min(other, 0.9 * latency)
        m = cls(load, 1.0, other)
        m.work = (latency - other) * max(at - load, m.margin)
        return m

    def own(self, x):
        y = x - self.load
        if y >= self.margin:
            return self.work / y
        return self.work / self.margin * (2 - y / self.margin)

    def at(self, x):
        return self.other + self.own(x)

    def fall(self, x):
        """-T'(x)"""
        return self.work / max(x - self.load, self.margin) ** 2


# ---- who is who ------------------------------------------------------------------------------------

def paths_of(q):
    """Each path as (services, weight, target), everybody on it once."""
    number = {s["name"]: i for i, s in enumerate(q["services"])}
    return [(list(dict.fromkeys(number[name] for name in p["services"])), float(p.get("weight", 1)),
             p.get("latency_target_ms")) for p in q.get("paths", [])]


def calls_of(q):
    """Who calls whom, with the weight of it: on a path each service calls the next."""
    number = {s["name"]: i for i, s in enumerate(q["services"])}
    calls = {}
    for p in q.get("paths", []):
        services = [number[name] for name in p["services"]]
        for pair in zip(services, services[1:]):
            if pair[0] != pair[1]:
                calls[pair] = calls.get(pair, 0.0) + float(p.get("weight", 1))
    return calls


def components_of(calls, n):
    group = list(range(n))
    for a, b in calls:
        group = [group[a] if g == group[b] else g for g in group]
    return [[i for i in range(n) if group[i] == g] for g in dict.fromkeys(group)]


def is_connected(block, calls):
    reached, todo = {block[0]}, [block[0]]
    while todo:
        i = todo.pop()
        for a, b in calls:
            for j, k in ((a, b), (b, a)):
                if j == i and k in block and k not in reached:
                    reached.add(k)
                    todo.append(k)
    return len(reached) == len(block)


def least_cut(component, calls, size_max):
    """By looking at every way to cut a component."""
    best = [math.inf]

    def place(k, blocks):
        if k == len(component):
            block_of = {i: b for b, block in enumerate(blocks) for i in block}
            cut = sum(w for (i, j), w in calls.items() if i in block_of and block_of[i] != block_of[j])
            best[0] = min(best[0], cut)
            return
        for block in blocks:
            if len(block) < size_max:
                block.append(component[k])
                place(k + 1, blocks)
                block.pop()
        place(k + 1, blocks + [[component[k]]])

    place(0, [])
    return best[0]


def is_measured(s):
    return s.get("latency_ms") is not None and s.get("quota_milli") is not None


def load_of(s):
    return float(s.get("load_milli", s.get("need_milli", s.get("baseline_milli", 0)) / 1.15))


def waits_of(calls):
    """Callees of everybody whose answer is waited for: not those from whom calls lead back."""
    reaches = {}
    for a, b in calls:
        reaches.setdefault(a, set()).add(b)
    for _ in range(len(calls)):
        for i in reaches:
            reaches[i] |= set().union(*(reaches.get(j, set()) for j in reaches[i]))
    return {a: sorted(j for i, j in calls if i == a and a not in reaches.get(j, set())) for a, _ in calls}


def at_needs_of(q, calls, models):
    """What everybody's callees take, had all of them what they need, by recursion."""
    waits = waits_of(calls)

    def callees(i):
        return sum(whole(j) for j in waits.get(i, []))

    def whole(i):
        if not is_measured(q["services"][i]):
            return 0.0
        target, load = q["services"][i].get("latency_target_ms") or 0, models[i].load
        need = 1.15 * load
        if target:
            planned = Latency(load, models[i].work, callees(i))
            most = float(q["services"][i].get("max_milli", q["capacity_milli"]))
            if planned.other < 0.9 * target:
                low, high = 0.0, 1e15
                for _ in range(200):
                    middle = (low + high) / 2
                    low, high = (low, middle) if planned.at(middle) <= 0.9 * target else (middle, high)
                need = max(need, min(high, most))
        return callees(i) + models[i].own(need)

    return [callees(i) for i in range(len(models))]


def planned_of(models, at_needs):
    """Those by which targets are judged."""
    return [Latency(m.load, m.work, other) for m, other in zip(models, at_needs)]


def models_of(q, calls, coalition_of):
    """A latency model for everybody. Who has no report of its own works as much as those of its coalition
    who have one do in the mean."""
    services = q["services"]
    models = []
    for i, s in enumerate(services):
        if is_measured(s):
            callees = [j for j in waits_of(calls).get(i, []) if is_measured(services[j])]
            models.append(Latency.measured(load_of(s), sum(services[j]["latency_ms"] for j in callees),
                                           s["latency_ms"], int(s["quota_milli"])))
        else:
            models.append(None)
    for i, s in enumerate(services):
        if models[i] is None:
            works = [models[j].work for j in range(len(services)) if is_measured(services[j]) and
                     coalition_of[i] is not None and coalition_of[j] == coalition_of[i]]
            models[i] = Latency(load_of(s), sum(works) / len(works) if works else NOMINAL_WORK)
    return models


def target_milli(s, model):
    """The least CPU at which a measured service meets its own target, by bisection; 0 if it never does."""
    target = s.get("latency_target_ms") or 0
    if not target or not is_measured(s) or model.at(1e15) > target:
        return 0
    low, high = 0.0, 1e15
    if model.at(low) <= target:
        return 0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (low, middle) if model.at(middle) <= target else (middle, high)
    return high


def targets_of(q, paths, models):
    """The target that everybody bargains with, None without: its own, or its part of a path's. Only a
    latency that is measured can be held against one."""
    services = q["services"]
    targets = [s.get("latency_target_ms") if is_measured(s) else None for s in services]
    for on_path, _, target in paths:
        if target is None:
            continue
        own = {i: models[i].own(1.15 * models[i].load) for i in on_path}
        for i in on_path:
            if is_measured(services[i]):
                part = models[i].other + target * own[i] / sum(own.values())
                targets[i] = part if targets[i] is None else min(targets[i], part)
    return targets


# ---- bargaining with targets -----------------------------------------------------------------------

def softplus(z):
    """log(1 + e^z), without overflow."""
    return z + math.log1p(math.exp(-z)) if z > 0 else math.log1p(math.exp(z))


def log_urge(share, lower, model, target, steepness):
    """Log of the slope of log(env(g) - g(d)): that of the score, but never more than a plain player's.

    With z = steepness (T - target) and g = 1 / (1 + e^z) the score's is
    steepness |T'| (1 + e^z(d)) / (1 + e^z) / (e^(z(d) - z) - 1)."""
    if target is None:
        return -math.log(share)
    z_lower, z = (steepness * (model.at(x) - target) for x in (lower, lower + share))
    fall = z_lower - z
    if fall <= 0:
        return -math.log(share) # too small a share to see a difference
    log_rise = fall + math.log1p(-math.exp(-fall)) if fall > 1 else math.log(math.expm1(fall))
    of_score = math.log(steepness * model.fall(lower + share)) + softplus(z_lower) - softplus(z) - log_rise
    return min(-math.log(share), of_score)


def bargain(lower, upper, weight, amount, models, targets, steepness):
    """Shares of an amount that does not do for all, and the log of the price. Bisection in bisection."""
    n = len(lower)
    box = [u - l for l, u in zip(lower, upper)]
    log_weight = [math.log(w) for w in weight]

    def demand(i, log_price):
        wanted = log_price - log_weight[i]
        if box[i] <= 0 or log_urge(box[i], lower[i], models[i], targets[i], steepness) >= wanted:
            return max(box[i], 0.0)
        if targets[i] is None:
            return math.exp(-wanted)
        low, high = 0.0, box[i]
        for _ in range(70):
            middle = (low + high) / 2
            if middle in (low, high):
                break
            if log_urge(middle, lower[i], models[i], targets[i], steepness) >= wanted:
                low = middle
            else:
                high = middle
        return low

    low, high = -1e7, 60.0
    for _ in range(80):
        middle = (low + high) / 2
        if sum(demand(i, middle) for i in range(n)) >= amount:
            low = middle
        else:
            high = middle
    return [demand(i, low) for i in range(n)], low


# ---- coalitions ------------------------------------------------------------------------------------

class Game:
    """Members divide the sum of what they hold so that their weighted latency is least."""

    def __init__(self, models, importance, held, least, most):
        self.models, self.importance, self.held = models, importance, held
        self.least, self.most = least, most
        self.n = len(models)

    def utility(self, i, x):
        return -self.importance[i] * self.models[i].own(x)

    def wants(self, i, price):
        """Least and most CPU that are best at a price."""
        m, w = self.models[i], self.importance[i]
        steepest = w * m.work / m.margin ** 2
        if price > steepest:
            low = high = -math.inf
        elif price == steepest:
            low, high = -math.inf, m.load + m.margin
        elif price == 0:
            low = high = math.inf
        else:
            low = high = m.load + math.sqrt(w * m.work / price)
        return (min(max(low, self.least[i]), self.most[i]), min(max(high, self.least[i]), self.most[i]))

    def divide(self, members, pool):
        """The best division of a pool."""
        low, high = -60.0, 60.0         # log of the price
        for _ in range(70):
            middle = (low + high) / 2
            price = math.exp(middle)
            if sum(self.wants(i, price)[0] for i in members) >= pool:
                low = middle
            else:
                high = middle
        cheap = [self.wants(i, math.exp(low))[1] for i in members]
        dear = [self.wants(i, math.exp(high))[0] for i in members]
        gap = sum(cheap) - sum(dear)
        part = min(max((pool - sum(dear)) / gap, 0.0), 1.0) if gap > 0 else 0.0
        return [d + part * (c - d) for c, d in zip(cheap, dear)]

    def worth(self, members):
        if len(members) < 2:
            return 0.0
        x = self.divide(members, sum(self.held[i] for i in members))
        return sum(self.utility(i, v) - self.utility(i, self.held[i]) for i, v in zip(members, x))

    def worths(self):
        """v of every subset, by bit mask."""
        return [self.worth([i for i in range(self.n) if mask >> i & 1]) for mask in range(1 << self.n)]

    def scale(self):
        return sum(abs(self.utility(i, self.held[i])) for i in range(self.n))

    def weighted_latency(self):
        """All of it, what others take included."""
        return sum(w * m.at(e) for w, m, e in zip(self.importance, self.models, self.held))


def shapley(v, n):
    """By all orders of arrival."""
    value = [0.0] * n
    for order in itertools.permutations(range(n)):
        mask = 0
        for i in order:
            value[i] += v[mask | 1 << i] - v[mask]
            mask |= 1 << i
    return [x / math.factorial(n) for x in value]


def max_excess(v, n, payoff):
    return max(v[mask] - sum(payoff[i] for i in range(n) if mask >> i & 1)
               for mask in range(1, (1 << n) - 1))


def settle(due, gain, worth, noise, credit):
    """Credits after an epoch: they fade, and what changed hands is added as a share of what the coalition
    moved, so that they are a moving average."""
    decay = 2 ** (-1 / HALF_LIFE)
    faded = [c * decay for c in credit]
    if worth <= noise or sum(due) <= 0 or sum(gain) <= 0:
        return faded            # nothing to be had: what gains there are is rounding
    owed = [d * sum(gain) / sum(due) - g for d, g in zip(due, gain)]
    moved = max(worth, sum(abs(o) for o in owed) / 2)
    new = [c + o * (1 - decay) / moved for c, o in zip(faded, owed)]
    low, high = -4.0, 4.0               # the nearest within [-1, 1] with the sum they had
    for _ in range(200):
        nu = (low + high) / 2
        if sum(min(max(c - nu, -1), 1) for c in new) > sum(faded):
            low = nu
        else:
            high = nu
    return [min(max(c - low, -1), 1) for c in new]
