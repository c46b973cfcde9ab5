#!/bin/sh
# SPDX-License-Identifier: MIT
#
# coalloc-sim from the outside: answers, repeatability, mistakes, exit statuses.

: "${COALLOC_SRCDIR:=.}" "${COALLOC_BUILDDIR:=.}"
. "$COALLOC_SRCDIR/tests/lib/tap.sh"

sim=$COALLOC_BUILDDIR/coalloc-sim
scenarios=$COALLOC_SRCDIR/tests/scenario
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT

# run ARGUMENT...: sets out, err, status.
run() {
        "$sim" "$@" >"$dir/out" 2>"$dir/err"
        status=$?
        out=$(cat "$dir/out")
        err=$(cat "$dir/err")
}

cat >"$dir/short.ini" <<END
[Host]
Cpus=1
Duration=20s
Warmup=5s
[Service web]
Quota=50%
[Path p]
Entry=web
Rate=300
LatencyTargetSec=10ms
[Event lie]
Service=web
At=5s
Reads=200%
END

run run "$dir/short.ini"
is "$status/$err" "0/" "a scenario is played"
contains "$out" "beta = 0:" "with a host that does not slow down"
contains "$out" "beta = 0.5:" "and with one that does"
for word in p50 p99.9 THROTTLED SOME VIOLATED QUOTA; do
        contains "$out" "$word" "the answer has $word"
done

run run --json "$dir/short.ini"
cp "$dir/out" "$dir/first"
is "$status/$(wc -l <"$dir/out")" "0/1" "JSON comes on one line into a pipe"
contains "$out" '"p99_ms":' "JSON has percentiles"
contains "$out" '"quota_cpus":0.5' "JSON has what is in force"
run run --json --seed=1 "$dir/short.ini"
cmp -s "$dir/out" "$dir/first"
ok $? "the same seed gives the same bytes"
run run --json --seed=2 "$dir/short.ini"
cmp -s "$dir/out" "$dir/first"
[ $? -eq 1 ]
ok $? "another seed gives others"

# A lie is read, and not used.
use=$(sed 's/.*"use_cpus":\([0-9.]*\).*/\1/' "$dir/first")
read_=$(sed 's/.*"read_cpus":\([0-9.]*\).*/\1/' "$dir/first")
awk -v use="$use" -v read="$read_" 'BEGIN { exit !(read > 1.98 * use && read < 2.02 * use) }'
ok $? "what is read of a service may be a lie ($use, $read_)"

printf '[Host]\nCpus=2\n[Service web]\nThread=3\n' >"$dir/wrong.ini"
run run "$dir/wrong.ini"
is "$status/$out" "1/" "a mistake is refused"
contains "$err" "wrong.ini:4: [Service] has no setting Thread=; did you mean Threads=?" "with file, line and remedy"
run run "$dir/nowhere.ini"
is "$status/$err" "1/$dir/nowhere.ini: does not exist" "a scenario that is not there is told"

run
is "$status" 2 "no verb is wrong usage"
run rnu "$dir/short.ini"
is "$status" 2 "an unknown verb is wrong usage"
contains "$err" 'did you mean "run"?' "and the nearest is named"
run run
is "$status" 2 "no scenario is wrong usage"
run run --seed=x "$dir/short.ini"
is "$status" 2 "a seed that is none is wrong usage"
"$sim" run "$dir/short.ini" >/dev/full 2>"$dir/err"
is "$?" 1 "an answer that does not arrive is a failure"

# What is shown in the documentation works.
awk '/^```ini/ { on = 1; next } /^```/ { on = 0 } on' "$COALLOC_SRCDIR/doc/scenarios.md" >"$dir/shown.ini"
run run "$dir/shown.ini"
is "$status/$err" "0/" "the example of doc/scenarios.md is played"
for name in services-8 restart missing-sensor cpu-unplug; do
        run run "$scenarios/$name.ini"
        is "$status/$err" "0/" "$name is played"
done

if command -v python3 >/dev/null 2>&1; then
        out=$("$scenarios/validate" 2>&1 | grep -c quota-30)
        is "$out" "$(grep -c quota-30 "$scenarios/validation/points.tsv")" "every point is put beside what was measured"
fi

done_testing
