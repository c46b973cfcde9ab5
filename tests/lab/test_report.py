# SPDX-License-Identifier: MIT
"""report.py on runs that are made up, so that what it should say is known.

Prints TAP. Usage: test_report.py [SEED]; the seed is that of the test of coverage.
"""

import io
import itertools
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile
import traceback
from contextlib import redirect_stderr, redirect_stdout

sys.dont_write_bytecode = True  # the sources may be read-only
import report

SCRIPT = pathlib.Path(__file__).with_name("report.py")
SLOWER_BY_CHANCE = 3    # a seed with which that is so
COVERAGE_SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 20261122


# ---- runs ------------------------------------------------------------------------------------------

def chain(latency_usec, weight=100, spacing_usec=10000):
    return {"kind": "chain", "weight": weight, "cpu_sec": 5.0, "latency_usec": latency_usec,
            "arrival_usec": [i * spacing_usec for i in range(len(latency_usec))],
            "offered": len(latency_usec), "completed": sum(1 for x in latency_usec if x >= 0)}


def batch(cpu_sec):
    return {"kind": "batch", "weight": 10, "cpu_sec": cpu_sec}


def a_run(scenario, setting, repetition, parties, **more):
    return dict({"mode": "exact", "scenario": scenario, "setting": setting, "repetition": repetition,
                 "seed": repetition, "cpus": 1, "duration_sec": 10.0, "build": "0123abc", "parties": parties,
                 "controller": {"cpu_sec": 0.05, "writes": 3, "quota_flips": 1}}, **more)


def latencies(repetition, factor, n=500):
    """The same luck in every setting, so that ratios are known."""
    r = random.Random(repetition)
    return [int(1000 * factor * r.lognormvariate(2, 1)) for _ in range(n)]


def by_chance(scenario, setting, seed):
    """As good as factor 1, with luck of its own."""
    return [a_run(scenario, setting, i, {"a": chain(latencies("%d %d" % (seed, i), 1)),
                                         "hog": batch(4 + random.Random(i * seed).random())})
            for i in range(1, 6)]


def runs_of(scenario, setting, factor, hog_cpu_sec=4.0, repetitions=(1, 2, 3, 4, 5), n=500, **more):
    return [a_run(scenario, setting, i, {"a": chain(latencies(i, factor, n)),
                                         "hog": batch(hog_cpu_sec + i / 100)}, **more) for i in repetitions]


def write(root, runs):
    for run in runs:
        path = pathlib.Path(root, run["mode"], run["scenario"], run["setting"], "%d.json" % run["repetition"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(run))


def report_on(runs):
    with tempfile.TemporaryDirectory() as root:
        write(root, runs)
        return report.report_of(report.read_results(root))


def told(runs):
    return "\n".join(report.markdown_of(report_on(runs)))


def verdicts(r, part_of_name):
    """{(party, setting): verdict} of the bars whose name has these words."""
    return {(b["party"], b["setting"]): b["verdict"] for b in r["bars"] if part_of_name in b["bar"]}


def ratio_of(r, setting, window=report.WHOLE, scenario="hog55", party="a"):
    return r["modes"]["exact"][scenario]["latency"][window][party][setting]["p99_vs_nothing"]


def expect(got, wanted):
    assert got == wanted, "got %r, wanted %r" % (got, wanted)


# ---- percentiles and intervals ---------------------------------------------------------------------

def percentiles_are_nearest_ranks():
    values = list(range(1, 101))
    random.Random(1).shuffle(values)
    expect([report.percentile(values, p) for p in (50, 95, 99)], [50, 95, 99])
    expect([report.percentile(list(range(1, 501)), p) for p in (50, 95, 99)], [250, 475, 495])
    expect([report.percentile([3, 1, 2], p) for p in (50, 95, 99)], [2, 3, 3])
    expect(report.percentile([7], 50), 7)
    expect(report.percentile([], 99), None)


def rows_show_median_range_and_pool():
    row = report_on([a_run("idle", "nothing", i, {"a": chain([1000 * i * k for k in range(1, 101)])})
                     for i in (1, 2, 4)])["modes"]["exact"]["idle"]["latency"][report.WHOLE]["a"]["nothing"]
    expect(row["p50_ms"], {"median": 100, "min": 50, "max": 200})
    expect(row["p95_ms"], {"median": 190, "min": 95, "max": 380})
    expect(row["p99_ms"], {"median": 198, "min": 99, "max": 396})
    # Of 300 the 297th: above it are 400, 396 and 392.
    expect((row["pooled_p99_ms"], row["requests"], row["lost"]), (388, 300, 0))
    expect(row["completed_per_sec"], {"median": 10, "min": 10, "max": 10})


def a_resample_is_what_its_blocks_say():
    """The short way through the worst requests against doing just what a resample is."""
    r = random.Random(3)
    for lengths in ((500, 500), (97, 3, 210), (1,), (19, 20, 21, 500)):
        runs = tuple(tuple(math.inf if r.random() < 0.01 else r.choice([1, 10, 100]) * r.random() for _ in range(n))
                     for n in lengths)
        fast = report.resampled_p99(runs, 50, 7)
        n = sum(lengths)
        where = [(run, i) for run in runs for i in range(len(run))]
        for blocks, got in zip(report.draw_blocks(lengths, 50, 7), fast):
            drawn = []
            for place in blocks:
                run, i = where[place % n]
                block = report.block_length(len(run))
                drawn += [run[(i + k) % len(run)] for k in range(block if place < n else len(run) % block)]
            expect(len(drawn), n)
            expect(got, report.percentile(drawn, 99))


def whatever_is_proportional_has_a_sure_ratio():
    base = [latencies(i, 1) for i in range(3)]
    c = report.compare_p99([[2 * x for x in run] for run in base], base)
    expect((c["ratio"], c["low"], c["high"]), (2, 2, 2))


def dependent_series(r, n, memory):
    """Gauss, each remembering the one before."""
    z, rest = r.gauss(0, 1), math.sqrt(1 - memory * memory)
    for _ in range(n):
        yield z
        z = memory * z + rest * r.gauss(0, 1)


def synthetic_pairs(r, ratio, n_runs=5, n=400):
    """Pairs that share half of their luck, and depend on their neighbours as in a queue."""
    ours, theirs = [], []
    for _ in range(n_runs):
        shared, mine, other = (list(dependent_series(r, n, 0.8)) for _ in range(3))
        ours.append([ratio * math.exp(s + 0.6 * x) for s, x in zip(shared, mine)])
        theirs.append([math.exp(s + 0.6 * x) for s, x in zip(shared, other)])
    return ours, theirs


def the_interval_covers_the_true_ratio_in_19_of_20_draws():
    print("# seed %d" % COVERAGE_SEED)
    r, n_draws = random.Random(COVERAGE_SEED), 200
    n_covered = 0
    for _ in range(n_draws):
        c = report.compare_p99(*synthetic_pairs(r, 0.8), n_resamples=300)
        n_covered += c["low"] <= 0.8 <= c["high"]
    print("# covered %d of %d" % (n_covered, n_draws))
    # Binomial noise is 3 of 200; the quantile of so few blocks is itself a little off.
    assert 0.87 <= n_covered / n_draws <= 0.995, "%d of %d" % (n_covered, n_draws)


def an_interval_tells_less_than_and_more_than_from_chance():
    r = random.Random(5)
    for ratio in (0.4, 2.5):
        c = report.compare_p99(*synthetic_pairs(r, ratio), n_resamples=300)
        assert c["high"] < 1 if ratio < 1 else c["low"] > 1, c
    c = report.compare_p99(*synthetic_pairs(r, 1), n_resamples=300)
    assert c["low"] < 1 < c["high"], c


def students_interval_is_that_of_the_tables():
    c = report.mean_ratio([(10, 10), (22, 20), (12, 10)])
    assert math.isclose(c["ratio"], 1.1) and math.isclose(c["high"] - 1.1, 4.303 * 0.1 / math.sqrt(3)), c
    assert math.isclose(1.1 - c["low"], c["high"] - 1.1), c
    expect(report.mean_ratio([(1, 2)]), {"ratio": 0.5, "low": None, "high": None})
    expect(report.mean_ratio([(1, 0)]), None)


# ---- lost requests ---------------------------------------------------------------------------------

def a_lost_request_took_forever():
    lat = [1000] * 100
    one, two = lat[:99] + [-1], lat[:98] + [-1, -1]
    r = report_on([a_run("hog55", setting, 1, {"a": chain(values), "hog": batch(4)})
                   for setting, values in (("nothing", lat), ("weights-static", one), ("coallocd-both", two))])
    rows = r["modes"]["exact"]["hog55"]["latency"][report.WHOLE]["a"]
    expect([rows[s]["lost"] for s in ("nothing", "weights-static", "coallocd-both")], [0, 1, 2])
    expect([rows[s]["pooled_p99_ms"] for s in ("nothing", "weights-static", "coallocd-both")], [1, 1, math.inf])
    expect(rows["coallocd-both"]["completed_per_sec"]["median"], 9.8)
    expect(ratio_of(r, "coallocd-both")["ratio"], math.inf)
    expect(verdicts(r, "hog >=")["a", "coallocd-both"], "missed")


def where_both_lose_nothing_is_known_and_nothing_is_met():
    lost = [-1] * 10 + [1000] * 90
    r = report_on([a_run("hog55", setting, 1, {"a": chain(lost), "hog": batch(4)})
                   for setting in ("nothing", "coallocd-both")])
    expect(ratio_of(r, "coallocd-both"), None)
    expect(verdicts(r, "hog >=")["a", "coallocd-both"], "missed")
    expect(verdicts(r, "no chain"), {("", "coallocd*"): "not measured"})


# ---- bars and losses -------------------------------------------------------------------------------

def a_hog_bar_wants_latency_and_the_hogs_cpu():
    for factor, hog, wanted in ((0.5, 4.0, "met"), (0.7, 4.0, "missed"), (0.5, 3.0, "missed")):
        r = report_on(runs_of("hog55", "nothing", 1) + runs_of("hog55", "coallocd-both", factor, hog))
        expect(verdicts(r, "hog >="), {("a", "coallocd-both"): wanted})


def a_setting_of_coallocd_that_was_run_is_judged():
    r = report_on(runs_of("hog55", "nothing", 1) + runs_of("hog55", "coallocd-quota", 0.5))
    expect(verdicts(r, "hog >="), {("a", "coallocd-both"): "not measured", ("a", "coallocd-quota"): "met"})


def two_chains_are_held_against_one_alone():
    solo = [a_run("two-chains", "solo", 1, {"a": chain(latencies(1, 1))})]
    for factor, wanted in ((1.4, "met"), (1.6, "missed")):
        both = [a_run("two-chains", "coallocd-both", 1, {"a": chain(latencies(1, factor)),
                                                         "b": chain(latencies(1, 5), weight=10)})]
        expect(verdicts(report_on(solo + both), "alone"), {("a", "coallocd-both"): wanted})
    expect(verdicts(report_on(solo), "alone"), {("a", "coallocd-both"): "not measured"})


def idle_is_missed_only_beyond_chance():
    for factor, wanted in ((1.0, "met"), (1.2, "missed")):
        r = report_on(runs_of("idle", "nothing", 1) + runs_of("idle", "coallocd-both", factor))
        expect(verdicts(r, "not above"), {("a", "coallocd-both"): wanted})
        expect("missed" in verdicts(r, "no chain").values(), wanted == "missed")
    r = report_on(runs_of("idle", "nothing", 1) + by_chance("idle", "coallocd-both", SLOWER_BY_CHANCE))
    assert ratio_of(r, "coallocd-both", scenario="idle")["ratio"] > 1, r
    expect(verdicts(r, "not above"), {("a", "coallocd-both"): "met"})
    expect(verdicts(r, "no chain"), {("", "coallocd*"): "met"})


def a_chain_of_little_weight_may_be_harmed():
    runs = [a_run("two-chains", setting, i, {"b": chain(latencies(i, factor), weight=10)})
            for i in (1, 2, 3, 4) for setting, factor in (("nothing", 1), ("coallocd-both", 3))]
    assert ratio_of(report_on(runs), "coallocd-both", scenario="two-chains", party="b")["low"] > 1
    expect(verdicts(report_on(runs), "no chain"), {("", "coallocd*"): "not measured"})


def the_best_static_setting_is_the_one_to_match():
    statics = list(itertools.chain(*(runs_of("hog55", s, f) for s, f in (
        ("nothing", 1), ("weights-static", 0.5), ("quotas-static", 0.45), ("handmade", 0.9)))))
    for factor, wanted in ((0.45, "met"), (0.48, "missed")):
        r = report_on(statics + runs_of("hog55", "coallocd-both", factor))
        expect(verdicts(r, "best static"), {("a", "coallocd-both"): wanted})
        assert any("quotas-static" in b["figures"] for b in r["bars"]), r["bars"]


def losses_are_whoever_is_better_beyond_chance():
    r = report_on(runs_of("hog55", "nothing", 0.1, 9) + runs_of("hog55", "coallocd-both", 0.5, 3.5) +
                  runs_of("hog55", "handmade", 0.4, 3.5) + runs_of("hog55", "captain", 0.5, 3.8) +
                  runs_of("hog55", "quotas-static", 0.6, 3.4) + runs_of("hog55", "coallocd-quota", 0.1, 9))
    expect([(x["scenario"], x["party"], x["setting"], x["what"]) for x in r["losses"]],
           [("hog55", "a", "handmade", "p99"), ("hog55", "hog", "captain", "CPU")])
    # Slower by chance one way round is faster by chance the other.
    r = report_on(runs_of("idle", "handmade", 1) + by_chance("idle", "coallocd-both", SLOWER_BY_CHANCE))
    expect((r["losses"], r["has_rival"]), ([], True))


def nothing_lost_is_told_from_nothing_compared():
    base = runs_of("hog55", "nothing", 1) + runs_of("hog55", "coallocd-both", 0.5)
    assert "Nowhere that chance" in told(base + runs_of("hog55", "handmade", 0.5))
    assert "Not measured: there is no scenario with both" in told(base)


def after_a_mark_only_later_requests_count():
    early, late = [9000] * 250, [1000] * 250
    runs = [a_run("load-step", setting, i, {"a": chain(values, spacing_usec=20000)}, marks_sec={"step": 5.0})
            for i in range(1, 5) for setting, values in (("nothing", early + late),
                                                        ("coallocd-both", early + [3 * x for x in late]))]
    r = report_on(runs)
    expect(ratio_of(r, "coallocd-both", scenario="load-step")["ratio"], 1)
    expect(ratio_of(r, "coallocd-both", "step", "load-step")["ratio"], 3)
    row = r["modes"]["exact"]["load-step"]["latency"]["step"]["a"]["coallocd-both"]
    expect((row["requests"], row["pooled_p99_ms"], row["completed_per_sec"]["median"]), (1000, 3, 50))
    assert any(b["verdict"] == "missed" and "after the step" in b["figures"] for b in r["bars"]), r["bars"]
    assert "Chain a, weight 100, after the step:" in told(runs)


# ---- what is missing or wrong ----------------------------------------------------------------------

def what_was_not_run_is_not_measured():
    r = report_on(runs_of("hog55", "coallocd-both", 1))
    expect(ratio_of(r, "coallocd-both"), None)
    expect({b["verdict"] for b in r["bars"]}, {"not measured"})
    expect({b["bar"] for b in r["bars"] if b["scenario"] == "none"}, {"two-chains scenarios", "idle scenarios"})
    told(runs_of("hog55", "coallocd-both", 1))


def other_arrivals_are_no_pair():
    ours = runs_of("hog55", "coallocd-both", 0.5)
    for run in ours[1:]:
        run["seed"] += 100
    r = report_on(runs_of("hog55", "nothing", 1) + ours)
    expect(ratio_of(r, "coallocd-both")["requests"], 500)


def few_requests_bear_a_sign():
    for n, is_marked in ((399, True), (400, False)):
        text = told(runs_of("hog55", "nothing", 1, n=n) + runs_of("hog55", "coallocd-both", 0.5, n=n))
        row = next(line for line in text.splitlines() if line.startswith("| coallocd-both | 5"))
        expect(report.FEW_SIGN in row, is_marked)


def only_builds_of_one_kind_are_mixed():
    base = runs_of("idle", "nothing", 1) + runs_of("idle", "coallocd-both", 1, build="other")
    assert "Mixed" not in told(base)
    assert "Builds: coallocd other; nothing 0123abc." in told(base)
    text = told(base + runs_of("idle", "coallocd-quota", 1, build="third"))
    assert "Mixed: what is told of coallocd comes" in text, text


def run_script(*arguments, **options):
    return subprocess.run([sys.executable, "-B", str(SCRIPT)] + list(map(str, arguments)), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **options)


def refuses(change, *words):
    """What change() makes of a good record, or its text, is refused by a message with these words."""
    with tempfile.TemporaryDirectory() as root:
        write(root, runs_of("hog55", "nothing", 1, repetitions=(1, 2), n=3))
        path = pathlib.Path(root, "exact/hog55/nothing/2.json")
        record = json.loads(path.read_text())
        text = change(record)
        path.write_text(text if isinstance(text, str) else json.dumps(record))
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = report.main([root])
        expect((status, out.getvalue()), (1, ""))
        for word in ("exact/hog55/nothing/2.json",) + words:
            assert word in err.getvalue(), "%r is not in %r" % (word, err.getvalue())
        expect(err.getvalue().count("\n"), 1)


def a_bad_file_is_named_and_so_is_what_is_wrong_in_it():
    refuses(lambda r: '{"mode": "exact", ', "line 1")
    refuses(lambda r: "")
    refuses(lambda r: "[]", "not an object")
    refuses(lambda r: "[" * 100000)
    refuses(lambda r: r.update(setting="handmade"), "setting", "handmade", "path")
    refuses(lambda r: r.update(build=None), "build")
    refuses(lambda r: r.pop("parties"), "parties")
    refuses(lambda r: r.update(seed=[]), "seed")
    refuses(lambda r: r["controller"].update(writes=10**400))
    refuses(lambda r: r.update(duration_sec=0), "duration_sec")
    refuses(lambda r: r.update(cpus="two"), "cpus", '"two"')
    refuses(lambda r: r.update(marks_sec={"step": None}), "step")
    refuses(lambda r: r["parties"].update(a=3), "a is not an object")
    refuses(lambda r: r["parties"]["hog"].update(kind="hog"), "party hog", "kind")
    refuses(lambda r: r["parties"]["hog"].update(cpu_sec=-1), "party hog", "cpu_sec")
    refuses(lambda r: r["parties"]["a"].update(cpu_sec=True), "party a", "cpu_sec")
    refuses(lambda r: r["parties"]["a"].update(latency_usec=[1, -2, 3]), "latency_usec[1]")
    refuses(lambda r: r["parties"]["a"].update(latency_usec=[1, 2, math.nan]), "latency_usec[2]")
    refuses(lambda r: r["parties"]["a"].update(latency_usec=7), "latency_usec")
    refuses(lambda r: r["parties"]["a"].update(arrival_usec=[1, 3, 2]), "arrival_usec", "order")
    refuses(lambda r: r["parties"]["a"].update(arrival_usec=[1, 3]), "2 arrivals")
    refuses(lambda r: r["parties"]["a"].update(completed=2), "2 completed")


def a_folder_without_runs_is_refused():
    with tempfile.TemporaryDirectory() as root:
        done = run_script(root)
    expect((done.returncode, done.stdout), (1, ""))
    assert root in done.stderr, done.stderr


def the_same_runs_give_the_same_bytes():
    runs = runs_of("hog55", "nothing", 1) + runs_of("hog55", "coallocd-both", 0.5)
    runs += by_chance("hog55", "handmade", 1) + runs_of("idle", "nothing", 1)
    runs[3]["parties"]["a"] = chain([-1] * 500)
    written = []
    with tempfile.TemporaryDirectory() as root:
        write(root, runs)
        for hash_seed in ("1", "2"):
            done = run_script(root, "--markdown", root + "/m", "--json", root + "/j",
                              env={"PYTHONHASHSEED": hash_seed, "LC_ALL": "C"})
            expect((done.returncode, done.stdout, done.stderr), (0, "", ""))
            written.append((pathlib.Path(root, "m").read_bytes(), pathlib.Path(root, "j").read_bytes()))
        expect(run_script(root).stdout.encode(), written[0][0])
    expect(written[0], written[1])
    assert written[0][0].isascii()

    def refuse(constant):
        raise AssertionError("%s is no JSON" % constant)
    figures = json.loads(written[0][1], parse_constant=refuse)
    expect(figures["modes"]["exact"]["hog55"]["latency"][report.WHOLE]["a"]["nothing"]["p99_ms"]["max"], "inf")


def what_else_was_run_changes_no_interval():
    runs = runs_of("hog55", "nothing", 1) + by_chance("hog55", "coallocd-both", 1)
    more = runs + runs_of("hog55", "handmade", 1, n=300) + runs_of("aaa", "nothing", 1, n=77)
    c = ratio_of(report_on(runs), "coallocd-both")
    assert c["low"] < c["high"], c
    expect(ratio_of(report_on(more), "coallocd-both"), c)


TESTS = [
    percentiles_are_nearest_ranks,
    rows_show_median_range_and_pool,
    a_resample_is_what_its_blocks_say,
    whatever_is_proportional_has_a_sure_ratio,
    the_interval_covers_the_true_ratio_in_19_of_20_draws,
    an_interval_tells_less_than_and_more_than_from_chance,
    students_interval_is_that_of_the_tables,
    a_lost_request_took_forever,
    where_both_lose_nothing_is_known_and_nothing_is_met,
    a_hog_bar_wants_latency_and_the_hogs_cpu,
    a_setting_of_coallocd_that_was_run_is_judged,
    two_chains_are_held_against_one_alone,
    idle_is_missed_only_beyond_chance,
    a_chain_of_little_weight_may_be_harmed,
    the_best_static_setting_is_the_one_to_match,
    losses_are_whoever_is_better_beyond_chance,
    nothing_lost_is_told_from_nothing_compared,
    after_a_mark_only_later_requests_count,
    what_was_not_run_is_not_measured,
    other_arrivals_are_no_pair,
    few_requests_bear_a_sign,
    only_builds_of_one_kind_are_mixed,
    a_bad_file_is_named_and_so_is_what_is_wrong_in_it,
    a_folder_without_runs_is_refused,
    the_same_runs_give_the_same_bytes,
    what_else_was_run_changes_no_interval,
]


def main():
    n_failed = 0
    print("1..%d" % len(TESTS))
    for i, test in enumerate(TESTS, 1):
        try:
            test()
            print("ok %d - %s" % (i, test.__name__), flush=True)
        except Exception:  # pylint: disable=broad-except
            n_failed += 1
            print("not ok %d - %s" % (i, test.__name__))
            print("".join("# %s\n" % line for line in traceback.format_exc().splitlines()), end="", flush=True)
    return 1 if n_failed else 0


sys.exit(main())
