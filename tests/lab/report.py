#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tables, bars and losses from the runs of the latency laboratory.

usage: report.py RESULTS_DIR [--markdown FILE] [--json FILE]

Reads RESULTS_DIR/MODE/SCENARIO/SETTING/REPETITION.json; without a FILE the Markdown goes to standard
output. What a name means: scenarios called hog*, two-chains* and idle* have bars of their own, and one with
marks (a step of the load) is told again for the requests after each. Settings are nothing, solo,
weights-static, quotas-static, handmade, captain*, coallocd* (of which coallocd-both is what everybody
gets), and others that are only shown. The same input gives the same bytes. Exit status: 0; 1 if a file
is not what it should be; 2 for a wrong command line.

Percentiles are nearest ranks. A lost request took infinitely long.

The interval of a ratio of p99s is that of a bootstrap over pairs: the same seed makes the same arrivals
in every setting, so request i of one run is compared with request i of another, and luck in the
arrivals cancels. Pairs are drawn in blocks of consecutive ones, because whoever waits behind a slow
request is slow too: drawn one at a time, neighbours would count as that many independent observations,
and intervals would be too narrow by the root of the length of a busy period. Blocks run round the end of
their run into its beginning, so that the first requests, where a controller still knows nothing, count
no less than others. (Kuensch 1989; Politis and Romano 1992.) Runs are kept, not drawn: how far they
differ is seen in the range over repetitions.
"""

import argparse
import functools
import itertools
import json
import math
import pathlib
import random
import statistics
import sys

BLOCK = 20              # requests; longer than most busy periods, short enough for 25 blocks a run
RESAMPLES = 2000
SEED = 20261122
FEW = 2000              # a p99 of fewer requests rests on fewer than 20 of them
FEW_SIGN = "(?)"

BASE = "nothing"
OURS = "coallocd-both"
STATIC = ("weights-static", "quotas-static", "handmade")
IMPORTANT_WEIGHT = 100

HOG_P99_MAX = 0.6       # of what it is with nothing
HOG_CPU_MIN = 0.85
SOLO_P99_MAX = 1.5      # of what it is alone

# Student's t, two-sided 95 %, for 1.. degrees of freedom; more than ten are taken for ten, which widens.
T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)

WHOLE = "whole run"     # a window of time; others are called by the mark that they begin at


class BadInput(Exception):
    """A file that is not what it should be; the message names it."""


# ---- reading ---------------------------------------------------------------------------------------

def number(record, key, least=0, default=None):
    value = record.get(key, default)
    if not is_number(value) or value < least:
        raise ValueError("%s is %s, not a number of at least %s" % (key, json.dumps(value), least))
    return value


def numbers(record, key, and_also=()):
    values = record.get(key)
    if not isinstance(values, list):
        raise ValueError("%s is not a list" % key)
    for i, value in enumerate(values):
        if value not in and_also and not (is_number(value) and value >= 0):
            raise ValueError("%s[%d] is %s" % (key, i, json.dumps(value)))
    return values


def is_number(value):
    return type(value) in (int, float) and math.isfinite(value)


def mapping(record, key, default=None):
    value = record.get(key, default)
    if not isinstance(value, dict):
        raise ValueError("%s is not an object" % key)
    return value


def read_party(party):
    ret = {"kind": party.get("kind"), "weight": number(party, "weight"),
           "cpu_sec": number(party, "cpu_sec")}
    if ret["kind"] == "batch":
        return ret
    if ret["kind"] != "chain":
        raise ValueError('kind is %s, not "chain" or "batch"' % json.dumps(ret["kind"]))
    ret["latency"] = [math.inf if v < 0 else v / 1e3 for v in numbers(party, "latency_usec", (-1,))]
    ret["arrival_usec"] = numbers(party, "arrival_usec")
    n, n_done = len(ret["latency"]), sum(1 for x in ret["latency"] if not math.isinf(x))
    if [len(ret["arrival_usec"]), number(party, "offered"), number(party, "completed")] != [n, n, n_done]:
        raise ValueError("%d latencies, %d of them known, but %d arrivals, %s offered, %s completed" % (
            n, n_done, len(ret["arrival_usec"]), party["offered"], party["completed"]))
    if ret["arrival_usec"] != sorted(ret["arrival_usec"]):
        raise ValueError("arrival_usec is not in order")
    return ret


def read_run(path):
    """One run, checked; latencies in milliseconds."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict):
            raise ValueError("not an object")
        where = path.parts[-4:-1] + (path.stem,)
        for key, wanted in zip(("mode", "scenario", "setting", "repetition"), where):
            if str(record.get(key)) != wanted:
                raise ValueError("%s is %s, not %s as the path says" % (
                    key, json.dumps(record.get(key)), wanted))
        if not isinstance(record.get("build"), str):
            raise ValueError("build is %s, not a string" % json.dumps(record.get("build")))
        controller, marks = mapping(record, "controller", {}), mapping(record, "marks_sec", {})
        run = {
            "repetition": int(path.stem),
            "seed": number(record, "seed"),
            "cpus": number(record, "cpus", 1),
            "build": record["build"],
            "duration_sec": number(record, "duration_sec", 1e-3),
            "controller": {key: number(controller, key, default=0)
                           for key in ("cpu_sec", "writes", "quota_flips")},
            "marks_sec": {mark: number(marks, mark) for mark in marks},
            "parties": {},
        }
        for name in sorted(mapping(record, "parties")):
            try:
                run["parties"][name] = read_party(mapping(record["parties"], name))
            except ValueError as e:
                raise ValueError("party %s: %s" % (name, e)) from None
        return run
    except (OSError, ValueError, OverflowError, RecursionError) as e:
        raise BadInput("%s: %s" % (path, e)) from None


def rank_of_setting(name):
    order = (BASE, "solo") + STATIC
    if name in order:
        return order.index(name), name
    return len(order) + (1 if name.startswith("captain") else 2 if is_ours(name) else 0), name


def is_ours(setting):
    return setting.startswith("coallocd")


def is_rival(setting):
    return setting in STATIC or setting.startswith("captain")


def read_results(root):
    """{(mode, scenario): {setting: [run in order of repetition]}}"""
    paths = sorted(pathlib.Path(root).glob("*/*/*/*.json"))
    if not paths:
        raise BadInput("%s: no MODE/SCENARIO/SETTING/REPETITION.json in it" % root)
    results = {}
    for path in paths:
        mode, scenario, setting = path.parts[-4:-1]
        results.setdefault((mode, scenario), {}).setdefault(setting, []).append(read_run(path))
    return {key: {setting: sorted(results[key][setting], key=lambda run: run["repetition"])
                  for setting in sorted(results[key], key=rank_of_setting)} for key in sorted(results)}


# ---- statistics ------------------------------------------------------------------------------------

def rank(n, permille):
    return max(-(-n * permille // 1000), 1)


def percentile(values, percent):
    """Nearest rank: the least value that so many percent do not exceed; None of nothing."""
    return sorted(values)[rank(len(values), 10 * percent) - 1] if values else None


def quotient(a, b):
    """a / b; None where it is not known."""
    if a is None or b is None or (math.isinf(a) and math.isinf(b)):
        return None
    if b == 0:
        return 1.0 if a == 0 else math.inf
    return a / b


def block_length(n):
    return max(min(BLOCK, n // 5), 1)


@functools.lru_cache(maxsize=8)
def draw_blocks(lengths, n_resamples, seed):
    """For each resample its blocks, by their first request. Every run is filled up to its own length by
    a shorter block; those are numbered from the number of requests on. The same for all series of these
    lengths: that is what pairs them."""
    n, r = sum(lengths), random.Random(seed)
    full, short, begin = [], [], 0
    numbered = list(range(2 * n))
    for length in lengths:
        block = block_length(length)
        full.append((numbered[begin:begin + length], length // block))
        short.append((numbered[n + begin:n + begin + length], 1 if length % block else 0))
        begin += length
    return [list(itertools.chain.from_iterable(r.choices(starts, k=k) for starts, k in full + short if k))
            for _ in range(n_resamples)]


def worst_by_block(lengths, worst):
    """For each block (as numbered above) the ranks of the worst requests in it."""
    n, begin = sum(lengths), 0
    inside = [[] for _ in range(2 * n)]
    rank_at = {position: k for k, position in enumerate(worst)}
    for length in lengths:
        block = block_length(length)
        for i in range(length):
            k = rank_at.get(begin + i)
            if k is None:
                continue
            for back in range(block):
                start = begin + (i - back) % length
                inside[start].append(k)
                if back < length % block:
                    inside[n + start].append(k)
        begin += length
    return inside


@functools.lru_cache(maxsize=64)
def resampled_p99(runs, n_resamples, seed):
    """The pooled p99 of each resample of some runs (tuples of latencies). Only the worst requests can be
    it: looking at eight times as many as are above it is nearly always enough."""
    flat = [latency for run in runs for latency in run]
    lengths = tuple(len(run) for run in runs)
    k = len(flat) - rank(len(flat), 990)
    order = sorted(range(len(flat)), key=flat.__getitem__, reverse=True)
    inside, all_inside, ret = worst_by_block(lengths, order[:8 * (k + 1)]), None, []
    for blocks in draw_blocks(lengths, n_resamples, seed):
        ranks = sorted(itertools.chain.from_iterable(map(inside.__getitem__, blocks)))
        if len(ranks) <= k:
            all_inside = all_inside or worst_by_block(lengths, order)
            ranks = sorted(itertools.chain.from_iterable(map(all_inside.__getitem__, blocks)))
        ret.append(flat[order[ranks[k]]])
    return ret


def compare_p99(runs, base_runs, n_resamples=RESAMPLES, seed=SEED):
    """Ratio of pooled p99s of paired runs, with its 95 % interval; None where it is not known."""
    runs, base_runs = tuple(map(tuple, runs)), tuple(map(tuple, base_runs))
    n = sum(map(len, runs))
    point = quotient(percentile([x for run in runs for x in run], 99),
                     percentile([x for run in base_runs for x in run], 99)) if n else None
    if point is None:
        return None
    ratios = sorted(1.0 if q is None else q for q in         # both lost: it shows no difference
                    map(quotient, resampled_p99(runs, n_resamples, seed),
                        resampled_p99(base_runs, n_resamples, seed)))
    low = rank(n_resamples, 25) - 1
    return {"ratio": point, "low": ratios[low], "high": ratios[n_resamples - 1 - low], "requests": n,
            "is_few": n < FEW}


def mean_ratio(pairs):
    """Mean over repetitions of a / b with Student's interval; None where there is no such mean."""
    if not pairs or any(b <= 0 for _, b in pairs):
        return None
    ratios = [a / b for a, b in pairs]
    mean, n = statistics.fmean(ratios), len(ratios)
    if n < 2:
        return {"ratio": mean, "low": None, "high": None}
    half = T_95[min(n - 1, len(T_95)) - 1] * statistics.stdev(ratios) / math.sqrt(n)
    return {"ratio": mean, "low": mean - half, "high": mean + half}


def over_runs(values):
    values = [v for v in values if v is not None]
    return {"median": statistics.median(values), "min": min(values), "max": max(values)} if values else None


# ---- a scenario ------------------------------------------------------------------------------------

def first_index(run, party, window):
    """Of the requests that belong to a window of time."""
    if window == WHOLE:
        return 0
    arrivals = run["parties"][party]["arrival_usec"]
    return sum(1 for arrival in arrivals if arrival < run["marks_sec"][window] * 1e6)


def has_window(run, party, window):
    return "latency" in run["parties"].get(party, {}) and (window == WHOLE or window in run["marks_sec"])


def pair_runs(runs, base_runs, party, window):
    """Latencies of the runs that have a partner with the same repetition and seed, and theirs."""
    partner = {(run["repetition"], run["seed"]): run for run in base_runs if has_window(run, party, window)}
    ours, theirs = [], []
    for run in runs:
        base = partner.get((run["repetition"], run["seed"]))
        if not base or not has_window(run, party, window):
            continue
        a, b = run["parties"][party]["latency"], base["parties"][party]["latency"]
        begin = max(first_index(run, party, window), first_index(base, party, window))
        end = min(len(a), len(b))
        ours.append(a[begin:end])
        theirs.append(b[begin:end])
    return ours, theirs


def latency_row(runs, party, window, base_runs):
    series, per_sec = [], []
    for run in runs:
        if not has_window(run, party, window):
            continue
        latency = run["parties"][party]["latency"][first_index(run, party, window):]
        left_sec = run["duration_sec"] - run["marks_sec"].get(window, 0)
        series.append(latency)
        if left_sec > 0:
            per_sec.append(sum(1 for x in latency if not math.isinf(x)) / left_sec)
    pooled = [x for latency in series for x in latency]
    return {
        "runs": len(series),
        "p50_ms": over_runs(percentile(s, 50) for s in series),
        "p95_ms": over_runs(percentile(s, 95) for s in series),
        "p99_ms": over_runs(percentile(s, 99) for s in series),
        "pooled_p99_ms": percentile(pooled, 99),
        "requests": len(pooled),
        "lost": sum(1 for x in pooled if math.isinf(x)),
        "completed_per_sec": over_runs(per_sec),
        "p99_vs_nothing": compare_p99(*pair_runs(runs, base_runs, party, window)),
    }


def pair_cpu(runs, base_runs, party):
    partner = {run["repetition"]: run for run in base_runs if party in run["parties"]}
    return [(cpu_percent(run, party), cpu_percent(partner[run["repetition"]], party)) for run in runs
            if party in run["parties"] and run["repetition"] in partner]


def cpu_percent(run, party):
    return 100 * run["parties"][party]["cpu_sec"] / run["duration_sec"]


def cpu_row(runs, parties, base_runs):
    minutes = sum(run["duration_sec"] for run in runs) / 60
    return {
        "runs": len(runs),
        "cpu_percent": {p: over_runs(cpu_percent(run, p) for run in runs if p in run["parties"])
                        for p in parties},
        "cpu_vs_nothing": {p: mean_ratio(pair_cpu(runs, base_runs, p))
                           for p in parties if parties[p]["kind"] == "batch"},
        "controller_cpu_percent": over_runs(100 * run["controller"]["cpu_sec"] / run["duration_sec"]
                                            for run in runs),
        "writes_per_minute": sum(run["controller"]["writes"] for run in runs) / minutes,
        "quota_flips": sum(run["controller"]["quota_flips"] for run in runs),
    }


def describe_scenario(settings):
    """Everything that is shown of one scenario in one mode."""
    every_run = [run for runs in settings.values() for run in runs]
    parties = {}
    for run in every_run:
        for name, party in run["parties"].items():
            parties.setdefault(name, {"kind": party["kind"], "weight": party["weight"]})
    parties = dict(sorted(parties.items()))
    marks = {mark: at_sec for run in every_run for mark, at_sec in run["marks_sec"].items()}
    base = settings.get(BASE, [])
    chains = [name for name in parties if parties[name]["kind"] == "chain"]
    return {
        "parties": parties,
        "cpus": sorted({run["cpus"] for run in every_run}),
        "duration_sec": sorted({run["duration_sec"] for run in every_run}),
        "builds": {setting: sorted({run["build"] for run in runs}) for setting, runs in settings.items()},
        "latency": {window: {chain: {setting: latency_row(runs, chain, window, base)
                                     for setting, runs in settings.items()
                                     if any(has_window(run, chain, window) for run in runs)}
                             for chain in chains} for window in [WHOLE] + sorted(marks, key=marks.get)},
        "cpu": {setting: cpu_row(runs, parties, base) for setting, runs in settings.items()},
    }


# ---- bars and losses -------------------------------------------------------------------------------

def bar(name, mode, scenario, party, setting, is_met, figures):
    """is_met: None stands for not measured."""
    return {"bar": name, "mode": mode, "scenario": scenario, "party": party, "setting": setting,
            "verdict": "not measured" if is_met is None else "met" if is_met else "missed", "figures": figures}


def ours_of(settings):
    """The settings that are judged: all of coallocd that were run, and what everybody gets in any case."""
    return sorted({s for s in settings if is_ours(s)} | {OURS})


def chains_of(shown):
    return list(shown["latency"][WHOLE])


def median_p99(shown, chain, setting):
    row = shown["latency"][WHOLE].get(chain, {}).get(setting)
    return row["p99_ms"]["median"] if row and row["p99_ms"] else None


def hog_bars(mode, scenario, shown):
    name = "p99 <= %g x nothing, hog >= %.0f %% of its CPU" % (HOG_P99_MAX, 100 * HOG_CPU_MIN)
    for chain, setting in itertools.product(chains_of(shown), ours_of(shown["cpu"])):
        p99, base = median_p99(shown, chain, setting), median_p99(shown, chain, BASE)
        shares = shown["cpu"][setting]["cpu_vs_nothing"] if setting in shown["cpu"] else {}
        if p99 is None or base is None or not shares or None in shares.values():
            yield bar(name, mode, scenario, chain, setting, None, "")
            continue
        share = min(s["ratio"] for s in shares.values())
        yield bar(name, mode, scenario, chain, setting,
                  math.isfinite(p99) and p99 <= HOG_P99_MAX * base and share >= HOG_CPU_MIN,
                  "%s of %s ms (%s x), hog %s" % (show(p99), show(base), show_factor(quotient(p99, base)),
                                                  show_share(share)))


def solo_bars(mode, scenario, shown):
    name = "p99 of a <= %g x alone" % SOLO_P99_MAX
    for setting in ours_of(shown["cpu"]):
        p99, solo = (median_p99(shown, "a", s) for s in (setting, "solo"))
        if p99 is None or solo is None:
            yield bar(name, mode, scenario, "a", setting, None, "")
            continue
        yield bar(name, mode, scenario, "a", setting, math.isfinite(p99) and p99 <= SOLO_P99_MAX * solo,
                  "%s of %s ms (%s x)" % (show(p99), show(solo), show_factor(quotient(p99, solo))))


def idle_bars(mode, scenario, shown):
    for chain, setting in itertools.product(chains_of(shown), ours_of(shown["cpu"])):
        row = shown["latency"][WHOLE][chain].get(setting)
        c = row and row["p99_vs_nothing"]
        yield bar("p99 not above that with nothing", mode, scenario, chain, setting,
                  c["low"] <= 1 if c else None, show_comparison(c) if c else "")


def best_static_bars(mode, scenario, settings, shown):
    name = "%s as good as the best static setting" % OURS
    for chain in chains_of(shown):
        rows = shown["latency"][WHOLE][chain]
        known = [s for s in STATIC if s in rows and rows[s]["pooled_p99_ms"] is not None]
        best = min(known, key=lambda s: rows[s]["pooled_p99_ms"], default=None)
        c = compare_p99(*pair_runs(settings.get(OURS, []), settings.get(best, []), chain, WHOLE))
        if c is None:
            yield bar(name, mode, scenario, chain, OURS, None, "")
            continue
        yield bar(name, mode, scenario, chain, OURS, c["low"] <= 1,
                  "%s x %s (%s ms)" % (show_comparison(c), best, show(rows[best]["pooled_p99_ms"])))


def harm_bars(mode, shown_by_scenario):
    """Satisfied services that are worse off than with nothing; one line if there is none."""
    name = "no chain of weight %d slower than with nothing" % IMPORTANT_WEIGHT
    n_judged, harmed = 0, []
    for scenario, shown in shown_by_scenario.items():
        for window, chains in shown["latency"].items():
            for chain, rows in chains.items():
                for setting, row in rows.items():
                    c = row["p99_vs_nothing"]
                    is_important = shown["parties"][chain]["weight"] == IMPORTANT_WEIGHT
                    if not is_ours(setting) or not is_important or c is None:
                        continue
                    n_judged += 1
                    if c["low"] > 1:
                        harmed.append(bar(name, mode, scenario, chain, setting, False,
                                          "%s, %s" % (show_comparison(c), show_window(window))))
    if harmed:
        return harmed
    return [bar(name, mode, "all", "", "coallocd*", True if n_judged else None, "%d comparisons" % n_judged)]


def bars_of_mode(mode, results, shown_by_scenario):
    kinds = (("hog", hog_bars), ("two-chains", solo_bars), ("idle", idle_bars))
    for prefix, judge in kinds:
        found = [s for s in shown_by_scenario if s.startswith(prefix)]
        for scenario in found:
            yield from judge(mode, scenario, shown_by_scenario[scenario])
        if not found:
            yield bar("%s scenarios" % prefix, mode, "none", "", "", None, "")
    for scenario, shown in shown_by_scenario.items():
        yield from best_static_bars(mode, scenario, results[mode, scenario], shown)
    yield from harm_bars(mode, shown_by_scenario)


def losses_of(mode, scenario, settings, shown):
    """Where a static setting or Captain is better than coallocd-both and chance does not explain it."""
    ours = settings.get(OURS, [])
    for rival in filter(is_rival, settings):
        for window, chains in shown["latency"].items():
            for chain in chains:
                c = compare_p99(*pair_runs(settings[rival], ours, chain, window))
                if c and c["high"] < 1:
                    yield {"mode": mode, "scenario": scenario, "party": chain, "setting": rival, "what": "p99",
                           "window": show_window(window), "figures": show_comparison(c), "comparison": c}
        for party in shown["parties"]:
            c = mean_ratio(pair_cpu(settings[rival], ours, party))
            if shown["parties"][party]["kind"] == "batch" and c and c["low"] is not None and c["low"] > 1:
                yield {"mode": mode, "scenario": scenario, "party": party, "setting": rival, "what": "CPU",
                       "window": WHOLE, "figures": show_comparison(c), "comparison": c}


def report_of(results):
    modes = {}
    for (mode, scenario), settings in results.items():
        modes.setdefault(mode, {})[scenario] = describe_scenario(settings)
    return {
        "modes": modes,
        "bars": [b for mode, shown in modes.items() for b in bars_of_mode(mode, results, shown)],
        "has_rival": any(OURS in settings and any(map(is_rival, settings)) for settings in results.values()),
        "losses": [loss for (mode, scenario), settings in results.items()
                   for loss in losses_of(mode, scenario, settings, modes[mode][scenario])],
    }


# ---- output ----------------------------------------------------------------------------------------

def show(x):
    """Three digits that mean something."""
    if x is None:
        return "-"
    if math.isinf(x):
        return "inf"
    return "%.*f" % (2 if abs(x) < 10 else 1 if abs(x) < 100 else 0, x)


def show_factor(x):
    return "-" if x is None else "inf" if math.isinf(x) else "%.2f" % x


def show_range(r):
    if r is None:
        return "-"
    return "%s [%s, %s]" % tuple(map(show, (r["median"], r["min"], r["max"])))


def show_share(x):
    return "%.1f %%" % (100 * x)


def show_window(window):
    return window if window == WHOLE else "after the " + window


def show_comparison(c):
    if c is None:
        return "-"
    text = show_factor(c["ratio"])
    if c["low"] is not None:
        text += " [%s, %s]" % (show_factor(c["low"]), show_factor(c["high"]))
    return text + (" " + FEW_SIGN if c.get("is_few") else "")


def show_cpu_share(c):
    if c is None:
        return "-"
    if c["low"] is None:
        return show_share(c["ratio"])
    return "%s [%.1f, %.1f]" % (show_share(c["ratio"]), 100 * c["low"], 100 * c["high"])


def table(heads, rows):
    yield "| " + " | ".join(heads) + " |"
    yield "|---" + "|---:" * (len(heads) - 1) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def latency_table(chain, party, window, rows):
    yield "Chain %s, weight %g, %s:" % (chain, party["weight"], show_window(window))
    yield ""
    yield from table(
        ["setting", "runs", "p50 ms", "p95 ms", "p99 ms", "pooled p99 ms", "requests", "lost",
         "completed/s", "p99 / nothing"],
        [[setting, str(r["runs"]), show_range(r["p50_ms"]), show_range(r["p95_ms"]), show_range(r["p99_ms"]),
          show(r["pooled_p99_ms"]), str(r["requests"]), str(r["lost"]), show_range(r["completed_per_sec"]),
          "1" if setting == BASE else show_comparison(r["p99_vs_nothing"])] for setting, r in rows.items()])


def cpu_table(shown):
    parties = shown["parties"]
    batch = [p for p in parties if parties[p]["kind"] == "batch"]
    yield "CPU, whole run:"
    yield ""
    yield from table(
        ["setting"] + ["%s CPU %%" % p for p in parties] + ["%s / nothing" % p for p in batch] +
        ["controller CPU %", "writes/min", "quota flips"],
        [[setting] + [show_range(r["cpu_percent"][p]) for p in parties] +
         ["100 %" if setting == BASE else show_cpu_share(r["cpu_vs_nothing"][p]) for p in batch] +
         [show_range(r["controller_cpu_percent"]), show(r["writes_per_minute"]), "%g" % r["quota_flips"]]
         for setting, r in shown["cpu"].items()])


NOTES = """\
- Percentiles are nearest ranks; a lost request took infinitely long. Figures are medians over repetitions with their
  range in brackets; pooled ones are over the requests of all repetitions.
- p99 / nothing is the ratio of pooled p99s over paired requests (same seed, same arrivals), in brackets its 95 %%
  interval: a bootstrap of %d resamples over blocks of %d consecutive pairs, because whoever waits behind a slow
  request is slow too. It tells chance among requests; how far whole runs differ is told by the ranges.
- CPU is in percent of one CPU. A batch party's share of its CPU with nothing is the mean over repetitions, in brackets
  Student's 95 %% interval. Quota flips are those of all runs.
- %s: fewer than %d requests, differences under 25 %% mean nothing."""


def builds_by_kind(modes):
    """Builds of the settings called alike: all of coallocd-* run the same programs, others need not."""
    builds = {}
    for shown in (shown for scenarios in modes.values() for shown in scenarios.values()):
        for setting, found in shown["builds"].items():
            builds.setdefault(setting.split("-")[0], set()).update(found)
    return {kind: sorted(builds[kind]) for kind in sorted(builds)}


def markdown_of(report):
    builds = builds_by_kind(report["modes"])
    yield "# Latency laboratory"
    yield ""
    yield "Builds: %s." % "; ".join("%s %s" % (kind, ", ".join(builds[kind])) for kind in builds)
    mixed = [kind for kind in builds if len(builds[kind]) > 1]
    if mixed:
        yield ""
        yield "Mixed: what is told of %s comes from more than one build." % ", ".join(mixed)
    yield ""
    yield NOTES % (RESAMPLES, BLOCK, FEW_SIGN, FEW)
    yield ""
    for mode, scenarios in report["modes"].items():
        for scenario, shown in scenarios.items():
            yield "## %s: %s" % (mode, scenario)
            yield ""
            yield "CPUs: %s; seconds a run: %s." % (", ".join("%g" % c for c in shown["cpus"]),
                                                    ", ".join("%g" % d for d in shown["duration_sec"]))
            yield ""
            for window, chains in shown["latency"].items():
                for chain, rows in chains.items():
                    yield from latency_table(chain, shown["parties"][chain], window, rows)
            yield from cpu_table(shown)
    yield "## Bars"
    yield ""
    keys = ("mode", "scenario", "bar", "party", "setting", "verdict", "figures")
    yield from text_table(keys, report["bars"])
    yield "## Where coallocd loses"
    yield ""
    if report["losses"]:
        yield "What the setting has over what %s has, with 95 %% intervals wholly on the better side:" % OURS
        yield ""
        yield from text_table(("mode", "scenario", "party", "setting", "what", "window", "figures"),
                              report["losses"])
    elif report["has_rival"]:
        yield "Nowhere that chance does not explain."
    else:
        yield "Not measured: there is no scenario with both %s and a static setting or Captain." % OURS


def text_table(keys, records):
    yield "| " + " | ".join(keys) + " |"
    yield "|---" * len(keys) + "|"
    for record in records:
        yield "| " + " | ".join(record[key] or "-" for key in keys) + " |"
    yield ""


def jsonable(x):
    """JSON has no infinity; a string does not pass for a number by accident."""
    if isinstance(x, dict):
        return {key: jsonable(value) for key, value in x.items()}
    if isinstance(x, list):
        return [jsonable(value) for value in x]
    return "inf" if isinstance(x, float) and math.isinf(x) else x


def main(arguments):
    parser = argparse.ArgumentParser(description="Tables, bars and losses from the runs of the latency laboratory.")
    parser.add_argument("results", metavar="RESULTS_DIR", help="MODE/SCENARIO/SETTING/REPETITION.json are in it")
    parser.add_argument("--markdown", metavar="FILE", help="write tables there")
    parser.add_argument("--json", metavar="FILE", help="write figures there")
    options = parser.parse_args(arguments)
    try:
        report = report_of(read_results(options.results))
        markdown = "\n".join(markdown_of(report)).rstrip("\n") + "\n"
        if options.markdown:
            pathlib.Path(options.markdown).write_text(markdown, encoding="utf-8")
        if options.json:
            text = json.dumps(jsonable(report), indent=1, allow_nan=False)
            pathlib.Path(options.json).write_text(text + "\n", encoding="utf-8")
        if not options.markdown and not options.json:
            sys.stdout.write(markdown)
    except (BadInput, OSError) as e:
        print("report.py: %s" % e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
