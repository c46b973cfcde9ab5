#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `coallocctl plan` and `verify` from the outside: answers, hostile input, exit statuses.

: "${COALLOC_SRCDIR:=.}" "${COALLOC_BUILDDIR:=.}"
. "$COALLOC_SRCDIR/tests/lib/tap.sh"

ctl=$COALLOC_BUILDDIR/coallocctl
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
unset COLUMNS NO_COLOR

# run ARGUMENT...: sets out, err, status; standard input is passed on.
run() {
        "$ctl" "$@" >"$dir/out" 2>"$dir/err"
        status=$?
        out=$(cat "$dir/out")
        err=$(cat "$dir/err")
}

plan() { # TEXT [ARGUMENT...]
        printf '%s' "$1" >"$dir/q.json"
        shift
        run plan --samples "$dir/q.json" "$@"
}

# refuses TEXT NAME WORD...: exit status 1, nothing on standard output, every word in the message.
refuses() {
        plan "$1" --json
        refuses_name=$2
        shift 2
        is "$status/$out" "1/" "$refuses_name: refused"
        for word in "q.json" "$@"; do
                contains "$err" "$word" "$refuses_name: the message says $word"
        done
}

# ---- answers --------------------------------------------------------------------------------------

plan '{"capacity_milli":1000,"services":[]}' --json
is "$status/$err" 0/ "an empty list is answered"
is "$out" '{"tier":"uncongested","scarcity":0,"shadow_price":0,"services":[],"coalitions":[],"gate":{"v_before":null,"v_after":0,"step":1,"verdict":"apply"}}' \
        "the answer to an empty list"

plan '{"capacity_milli":1000,"services":[{"name":"a","need_milli":900},{"name":"b","need_milli":900,"weight":300}]}' --json
contains "$out" '"tier":"congested","scarcity":0.4444444444444444,"shadow_price":0.4,' "two services share by weight: prices"
contains "$out" '{"name":"a","market_milli":250,"alloc_milli":250,' "two services share by weight: the light one"
contains "$out" '{"name":"b","market_milli":750,"alloc_milli":750,' "two services share by weight: the heavy one"

printf '%s' '{"capacity_milli":1000,"services":[]}' >"$dir/q.json"
run plan --json --samples - <"$dir/q.json"
is "$status" 0 "- is standard input"

plan '{"capacity_milli":1000,"services":[{"name":"a","quota_milli":100},{"name":"b"}]}' --json
case $out in
*'"v_before":null'*) ok 1 "a quota is a previous allocation" ;;
*) ok 0 "a quota is a previous allocation" ;;
esac

plan '{"capacity_milli":1000,"services":[{"name":"web","baseline_milli":200,"need_milli":700},{"name":"batch","need_milli":900,"weight":10}]}'
is "$status" 0 "the table is printed"
is "$out" " Tier: congested; scarcity 0.429, price 0.0333 per milli-CPU
       Every baseline is kept, but not every need fits: the CPU above the baselines is bargained over.
 Gate: apply: the plan was applied whole

SERVICE  MARKET  ALLOCATION  QUOTA  WEIGHT  SATISFIED
web         70%         70%   none    1400  yes
batch       30%         30%    40%      60  no" "the table, golden"
COLUMNS=40 run plan --samples "$dir/q.json" --no-legend
is "$(printf '%s\n' "$out" | awk 'length > 40')" "" "the table fits 40 columns"

plan '{"capacity_milli":1000,"colour":3,"services":[{"name":"a","ned_milli":3,"latency_ms":4}]}' --json
is "$status" 0 "unknown keys are no failure"
contains "$err" "colour: unknown key" "an unknown key is named"
contains "$err" "did you mean need_milli?" "the nearest key is named"
contains "$err" "latency_ms (of 1 service): without quota_milli" "a latency that cannot be used is named"

# ---- coalitions, credits, latency -----------------------------------------------------------------

# Three services of one path and one beside it; who is asked for less latency gets CPU from the others.
chain='{"name":"web","need_milli":900,"load_milli":400,"latency_ms":80,"quota_milli":500,"latency_target_ms":50},
{"name":"cart","need_milli":700,"load_milli":300,"quota_milli":400},
{"name":"db","need_milli":800,"load_milli":300,"quota_milli":500},
{"name":"other","need_milli":800,"load_milli":300,"quota_milli":500,"credit":0.5}'
plan '{"capacity_milli":2000,"services":['"$chain"'],"paths":[{"name":"checkout","services":["web","cart","db"]}]}' --json
is "$status/$err" 0/ "a question with a path is answered"
contains "$out" '"coalition":"web","credit":-0.002883946665410808,"satisfied":true,"latency_target_ms":50,"latency_model_ms":' \
        "who got more than its share has a debt, and a latency that meets its target"
contains "$out" '"coalition":null,"credit":0.49855802666729' "who is on no path is in no coalition, and its credit fades"
contains "$out" '"coalitions":[{"id":"web","members":["web","cart","db"],"value":' "the path is a coalition"
contains "$out" '"stable":true,"max_excess":-' "the coalition is stable"
contains "$out" '"blocking":[],"shapley":[' "nobody blocks it"
contains "$out" '],"formed":true,"price":0.' "it was formed, at a price"

run plan --samples "$dir/q.json"
is "$status" 0 "the table with coalitions is printed"
is "$(printf '%s\n' "$out" | sed -n '/^SERVICE/,$p')" "SERVICE  COALITION  MARKET  ALLOCATION  QUOTA  WEIGHT       LATENCY    CREDIT  SATISFIED
web      web           50%         56%   none    1130  48ms of 50ms  -0.00288  yes
cart     web           50%         46%   none     928             -   0.00144  yes
db       web           50%         46%   none     928             -   0.00144  yes
other    -             51%         51%   none    1014             -     0.499  yes

Coalitions
 web, cart and db divide their CPU among each other: that saves 17ms, weighted and summed over their paths. Stable: no part of them could save more by itself." "the table with coalitions, golden"
COLUMNS=40 run plan --samples "$dir/q.json"
is "$(printf '%s\n' "$out" | sed -n '/^Coalitions/,$p' | awk 'length > 40')" "" "the sentences fit 40 columns"
run plan --samples "$dir/q.json" --no-legend
is "$(printf '%s\n' "$out" | wc -l | tr -d ' ')" 4 "without legend there are only the rows"

plan '{"capacity_milli":2000,"max_coalition_size":2,"services":['"$chain"'],"paths":[{"name":"p","services":["web","cart"],"weight":9},{"name":"q","services":["cart","db"]}]}' --json
contains "$out" '"members":["web","cart"]' "a coalition that would be too large is cut where least is called"
plan '{"capacity_milli":2000,"services":['"$chain"'],"paths":[{"name":"p","services":["web","web"]},{"name":"q","services":["db"]}]}' --json
contains "$out" '"coalitions":[],' "nobody is a coalition alone"

plan '{"capacity_milli":1000,"max_iterations":1,"services":[
{"name":"a","need_milli":900,"load_milli":300,"latency_ms":80,"quota_milli":500,"latency_target_ms":30},
{"name":"b","need_milli":700,"load_milli":300,"latency_ms":20,"quota_milli":400,"latency_target_ms":60}]}' --json
is "$status/$out" 1/ "too few iterations are a failure"
contains "$err" "no bargain was found within max_iterations (1)" "too few iterations: said so"

# ---- configuration --------------------------------------------------------------------------------

cat >"$dir/coalloc.conf" <<'END'
[Manager]
Reserve=10%host
Spare=0%
[Service web]
Unit=web.slice
Baseline=30%
Weight=300
[Service absent]
Unit=absent.slice
END
plan '{"capacity_milli":1000,"services":[{"name":"web","need_milli":900},{"name":"b","need_milli":900}]}' --json --config "$dir/coalloc.conf"
is "$status" 0 "a configuration gives defaults"
contains "$out" '{"name":"web","market_milli":750,' "baseline, weight and reserve come from the configuration"
plan '{"capacity_milli":1000,"reserve_milli":0,"services":[{"name":"web","need_milli":900,"weight":100,"baseline_milli":0},{"name":"b","need_milli":900}]}' --json --config "$dir/coalloc.conf"
contains "$out" '{"name":"web","market_milli":500,' "the samples override the configuration"

cat >"$dir/graph.conf" <<'END'
[Manager]
Reserve=0%
[Service web]
Unit=web.slice
Calls=cart absent
LatencyTargetSec=50ms
[Service cart]
Unit=cart.slice
Calls=db
[Service db]
Unit=db.slice
[Service absent]
Unit=absent.slice
Calls=other
[Service other]
Unit=other.slice
END
plan '{"capacity_milli":2000,"services":['"$chain"']}' --json --config "$dir/graph.conf"
contains "$out" '"members":["web","cart","db"]' "without paths those that follow from Calls= count"
plan '{"capacity_milli":2000,"services":['"$chain"'],"paths":[]}' --json --config "$dir/graph.conf"
contains "$out" '"coalitions":[],' "an empty list of paths overrides the configuration"
plan '{"capacity_milli":2000,"services":[{"name":"web","need_milli":900,"latency_ms":80,"quota_milli":500},{"name":"b","need_milli":1800}]}' --json --config "$dir/graph.conf"
contains "$out" '"latency_target_ms":50,' "a latency target comes from the configuration"
printf '[Path p]\nServices=other absent db\nWeight=3\nLatencyTargetSec=20ms\n[Manager]\nMaxCoalitionSize=1\n' >>"$dir/graph.conf"
plan '{"capacity_milli":2000,"services":['"$chain"']}' --json --config "$dir/graph.conf"
contains "$out" '"coalitions":[],' "the largest coalition comes from the configuration"
plan '{"capacity_milli":2000,"max_coalition_size":8,"services":['"$chain"']}' --json --config "$dir/graph.conf"
contains "$out" '"members":["db","other"]' "without paths those of the configuration count, and before Calls="
plan '{"services":[]}' --json --config "$dir/coalloc.conf"
is "$status" 0 "without capacity_milli the configuration says it"
printf '[Service x]\nUnit=x.slice\nBaseline=no\n' >"$dir/bad.conf"
plan '{"capacity_milli":1000,"services":[]}' --json --config "$dir/bad.conf"
is "$status/$out" 1/ "a wrong configuration is refused"
contains "$err" "bad.conf:3" "a wrong configuration is refused with its line"
run plan --config "$dir/coalloc.conf"
is "$status" 2 "--config without --samples is wrong usage"

run verify "$dir/coalloc.conf"
is "$status" 0 "verify accepts a right file"
contains "$out" "valid: 2 services" "verify says what it found"
run verify "$dir/bad.conf"
is "$status/$out" 1/ "verify refuses a wrong file"
contains "$err" "bad.conf:3: Baseline=" "verify names line and key"
run verify --json "$dir/bad.conf"
is "$status" 1 "verify --json refuses a wrong file"
contains "$out" '{"valid":false,"findings":[{"severity":"error","file":"'"$dir"'/bad.conf","line":3,"text":' "verify --json has stable keys"

# ---- hostile input ----------------------------------------------------------------------------------

refuses '' "empty file" "line 1"
refuses '{"capacity_milli":1000,
"services":[{"name":"a",}]}' "malformed JSON" "line 2, column 2" "not valid JSON"
refuses '{"capacity_milli":1000,"services":[{"need_milli":1}]}' "no name" "services[0].name" missing
refuses '{"capacity_milli":1000,"services":[{"name":"a"},{"name":"b"},{"name":"a"}]}' "duplicate" "services[0]" "services[2]" '"a"'
refuses '{"capacity_milli":1000,"services":[{"name":"a","need_milli":-1}]}' "negative" 'services[0] ("a").need_milli' -1
refuses '{"capacity_milli":1000,"services":[{"name":"a","need_milli":1e400}]}' "infinite" 'need_milli' 1e400
refuses '{"capacity_milli":1000,"services":[{"name":"a","need_milli":NaN}]}' "NaN" 'need_milli' NaN
refuses '{"capacity_milli":1000,"services":[{"name":"a","floor_milli":3,"baseline_milli":2}]}' "floor above baseline" floor_milli 3 2 '"a"'
refuses '{"capacity_milli":1000,"services":[{"name":"a","baseline_milli":3,"max_milli":2}]}' "baseline above max" baseline_milli max_milli
refuses '{"services":[]}' "no capacity" capacity_milli
refuses '{"capacity_milli":20,"enforce":"quota","services":[{"name":"a"},{"name":"b"},{"name":"c"}]}' "too few percents" enforce "3 services are more"
refuses '{"capacity_milli":5,"enforce":"quota","services":[{"name":"a"}]}' "not one percent" enforce "1 service is more"

run plan --json --samples "$dir/absent.json"
is "$status" 1 "a file that is not there"
contains "$err" "absent.json: could not be read: No such file" "a file that is not there is named"
run plan --json --samples "$dir"
is "$status" 1 "a directory is no file"
contains "$err" "Is a directory" "a directory is named as one"

awk 'BEGIN { for (i = 0; i < 1000000; i++) printf "[" }' >"$dir/deep.json"
run plan --json --samples "$dir/deep.json"
is "$status" 1 "a million brackets"
contains "$err" "nested more than 16 deep" "a million brackets are refused early"
awk 'BEGIN { for (i = 0; i < 200000; i++) printf "{\"a\":" }' >"$dir/deep.json"
run plan --json --samples "$dir/deep.json"
contains "$err" "nested more than 16 deep" "deep objects too"

many() { # N
        awk -v n="$1" 'BEGIN { printf "{\"capacity_milli\":64000,\"services\":["
                for (i = 0; i < n; i++) printf "%s{\"name\":\"s%d\",\"need_milli\":%d,\"weight\":%d}", i ? "," : "", i, i % 97, i % 13 + 1
                printf "]}" }'
}
many 100000 >"$dir/many.json"
run plan --json --samples "$dir/many.json"
is "$status" 0 "100,000 services are answered"
is "$(grep -o '"name"' "$dir/out" | wc -l | tr -d ' ')" 100000 "100,000 services are all there"
# Four times the services would take sixteen times as long if anything were quadratic. Processor time,
# the better of two runs, with room for noise.
cost() { # FILE: hundredths of a second
        best=999999
        for i in 1 2; do
                t=$( (LC_ALL=C; export LC_ALL; time -p "$ctl" plan --json --samples "$1" >/dev/null) 2>&1 |
                        awk '$1 == "user" || $1 == "sys" { t += $2 } END { printf "%d", t * 100 }')
                [ "$t" -lt "$best" ] && best=$t
        done
        echo "$best"
}
if (time -p true) >/dev/null 2>&1; then
        many 25000 >"$dir/few.json"
        few=$(cost "$dir/few.json")
        much=$(cost "$dir/many.json")
        printf '# 25,000 services: %s cs, 100,000: %s cs\n' "$few" "$much"
        [ "$much" -le $((8 * few + 20)) ]
        ok $? "four times the services cost at most eight times the time"
fi

# ---- the command line -------------------------------------------------------------------------------

run sttaus
is "$status" 2 "an unknown verb is wrong usage"
contains "$err" 'did you mean "status"?' "an unknown verb gets the nearest one"
run plan too many
is "$status" 2 "too many arguments are wrong usage"
run explain
is "$status" 2 "a missing argument is wrong usage"
run status --samples x
is "$status" 2 "an option of another verb is wrong usage"
run --no-such-option
is "$status" 2 "an unknown option is wrong usage"
run status -H a -M b
is "$status" 2 "-H and -M exclude each other"
run mode disable
is "$status" 2 "an unknown mode is wrong usage"
run --version
is "$status" 0 "--version is no failure"
contains "$out" "coallocctl " "--version says what it is"
run --help
is "$status" 0 "--help is no failure"
for verb in status explain plan verify doctor mode freeze thaw adopt reload restore; do
        contains "$out" "  $verb" "--help lists $verb"
done
if [ -w /dev/full ]; then
        "$ctl" plan --json --samples "$dir/many.json" >/dev/full 2>"$dir/err"
        is "$?" 1 "an answer that cannot be written is a failure"
        contains "$(cat "$dir/err")" "Could not write" "an answer that cannot be written: said so"
        printf '[Service x]\nUnit=x.slice\n' >"$dir/good.conf"
        printf '%s' '{"capacity_milli":1000,"services":[]}' >"$dir/q.json"
        for said in --help --version "verify $dir/good.conf" doctor "plan --samples $dir/q.json"; do
                # shellcheck disable=SC2086
                "$ctl" $said >/dev/full 2>"$dir/err"
                is "$?" 1 "${said%% *} into a full disk fails"
                contains "$(cat "$dir/err")" "Could not write" "${said%% *} into a full disk says so"
        done
fi

done_testing
