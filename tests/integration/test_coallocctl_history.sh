#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `coallocctl history` from the outside: a record that is there, one that is not, and one that is damaged.

: "${COALLOC_SRCDIR:=.}" "${COALLOC_BUILDDIR:=.}"
. "$COALLOC_SRCDIR/tests/lib/tap.sh"

ctl=$COALLOC_BUILDDIR/coallocctl
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
unset COLUMNS NO_COLOR
TZ=UTC
export TZ
db=$dir/var/lib/coalloc/history.db

# run ARGUMENT...: sets out, err, status.
run() {
        "$ctl" history --root "$dir" "$@" >"$dir/out" 2>"$dir/err"
        status=$?
        out=$(cat "$dir/out")
        err=$(cat "$dir/err")
}

run
is "$status/$out" 1/ "without a record it fails"
contains "$err" "Nothing is recorded" "without a record it says so"

mkdir -p "$dir/var/lib/coalloc"
"$COALLOC_BUILDDIR/tests/integration/make_history" "$db"
is $? 0 "a record is made"

run
is "$status/$err" 0/ "the record is read"
contains "$out" "2026-01-31 12:00:15  enforce  congested" "an epoch has its time, mode and tier"
contains "$out" "web +10%" "it names who changed most"
contains "$out" "not solved" "an epoch without a decision says why"
is "$(printf '%s\n' "$out" | grep -c 2026-01-31)" 3 "there are three epochs"

run -n 1 --no-legend
is "$(printf '%s\n' "$out" | grep -c 2026-01-31)" 1 "--lines bounds them"
contains "$out" "12:00:30" "the newest ones are shown"
run --since "2026-01-31 12:00:10" --until "2026-01-31 12:00:20" --no-legend
is "$(printf '%s\n' "$out" | grep -o '12:00:..')" "12:00:15" "--since and --until choose a span"
run --until 2020-01-01
is "$status/$out" 0/ "a span without epochs is no failure"
contains "$err" "No epochs" "a span without epochs is told"

run web --no-legend
is "$status" 0 "a service is found by its name"
contains "$out" "2026-01-31 12:00:00  shop-web.slice  200%  230%   200%   200%     100        10%       20%" \
        "its use, need, allocation, quota, weight, throttling and pressure are shown"
run shop-web.slice --no-legend
is "$(printf '%s\n' "$out" | grep -c shop-web)" 3 "and by its unit"
run nobody
is "$status/$out" 1/ "an unknown unit fails"
contains "$err" '"nobody"' "an unknown unit is named"

run --json -n 1 --since @0
is "$status/$err" 0/ "JSON is printed"
contains "$out" '"schema":"coalloc-history/1"' "JSON names its schema"
contains "$out" '"time_usec":1769860830000000,"mode":"enforce","error":1,"tier":null' "JSON tells what failed"
run --json web -n 2
contains "$out" '"unit":"shop-web.slice","name":"web","use_milli":2000,"need_milli":2300,"load_milli":2000,"alloc_milli":2100,"quota_milli":2000,"cpu_weight":100,"throttled_ratio":0.1,"pressure":0.2,"credit":0.25,"satisfied":true' \
        "JSON has what the record has of a service"
if command -v jq >/dev/null 2>&1; then
        is "$(printf '%s' "$out" | jq -r '[.epochs[].services | length] | join(",")')" "1,1" "JSON of a unit has that unit alone"
fi

for wrong in "--since soon" "--until 99:99" "--lines 0" "-n many"; do
        # shellcheck disable=SC2086
        run $wrong
        is "$status/$out" 2/ "$wrong is wrong usage"
done
run -H elsewhere
is "$status/$out" 2/ "another host's record is not read"
contains "$err" "ssh HOST coallocctl history" "it says how to"

# By somebody who may not write there, and without the log: a copy.
rm -f "$db-wal" "$db-shm"
chmod a-w "$dir/var/lib/coalloc"
run -n 1
is "$status/$err" 0/ "a copy is read where nothing can be written"
chmod u+w "$dir/var/lib/coalloc"

printf 'no database' >"$db"
run
is "$status/$out" 1/ "a damaged record fails"
contains "$err" "is damaged" "a damaged record is told"

done_testing
