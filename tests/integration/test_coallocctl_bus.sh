#!/bin/sh
# SPDX-License-Identifier: MIT
#
# coallocctl against a fake org.coalloc1 on a private bus: what it shows, says and returns.

: "${COALLOC_SRCDIR:=.}" "${COALLOC_BUILDDIR:=.}"
. "$COALLOC_SRCDIR/tests/lib/tap.sh"

ctl=$COALLOC_BUILDDIR/coallocctl
command -v dbus-daemon >/dev/null 2>&1 || skip_all "dbus-daemon is not installed"
dir=$(mktemp -d) || exit 99
bus_pid='' fake_pid=''
trap 'kill $fake_pid $bus_pid 2>/dev/null; rm -rf "$dir"' EXIT
unset COLUMNS NO_COLOR
LC_ALL=C
export LC_ALL

cat >"$dir/bus.conf" <<END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=$dir/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
  </policy>
</busconfig>
END
DBUS_SYSTEM_BUS_ADDRESS=unix:path=$dir/bus
export DBUS_SYSTEM_BUS_ADDRESS

run() { # ARGUMENT...
        "$ctl" "$@" >"$dir/out" 2>"$dir/err"
        status=$?
        out=$(cat "$dir/out")
        err=$(cat "$dir/err")
}

fake() { # [MODE]: a new fake in place of the old; returns when it has its name
        [ -z "$fake_pid" ] || { kill "$fake_pid" && wait "$fake_pid" 2>/dev/null; }
        rm -f "$dir/ready"
        mkfifo "$dir/ready"
        "$COALLOC_BUILDDIR/tests/integration/fake_coallocd" "$@" >"$dir/ready" &
        fake_pid=$!
        read -r _ <"$dir/ready"
}

# ---- nobody there -----------------------------------------------------------------------------------

run status
is "$status" 3 "no bus: exit status 3"
contains "$err" "no system bus" "no bus: said so"
contains "$err" "coallocctl doctor" "no bus: the next step"

mkfifo "$dir/address"
dbus-daemon --config-file="$dir/bus.conf" --nofork --print-address=3 3>"$dir/address" \
        >"$dir/bus.out" 2>"$dir/bus.err" &
bus_pid=$!
read -r _ <"$dir/address" || { cat "$dir/bus.err" >&2; exit 99; }

for verb in status "explain web" plan mode "mode observe" freeze thaw "adopt x.slice" reload restore \
        coalitions credits prices "prices --header" "report-latency web 80ms" graph; do
        # shellcheck disable=SC2086
        run $verb
        is "$status/$out" 3/ "$verb without a daemon: exit status 3"
        contains "$err" "systemctl start coallocd" "$verb without a daemon: the next step"
done
run
is "$status" 3 "the default verb is status"

# ---- status -----------------------------------------------------------------------------------------

fake enforce
COLUMNS=160 run status
is "$status/$err" 0/ "status is fine"
is "$out" "* coallocd 0.1.0, enforcing with quotas and weights
    Tier: congested. Every baseline is kept, but not every need fits: the CPU above the baselines is bargained over.
     CPU: 400% in all; 360% to be shared out, 210% allocated; the rest is kept for what is not managed, which wants 12%
   Price: scarcity 0.5 (0 enough for all, 1 baselines only, 2 nothing); one more milli-CPU is worth infinite
    Gate: V 0.125 (0 is the bargaining solution), -0.5 since the last epoch; the plan was applied whole
   Epoch: 42, one every 15s

SERVICE     UNIT             USE  NEED  BASELINE  ALLOC     QUOTA    WEIGHT  THROTTLED  PRESSURE  NOTE
web         shop-web.slice   78%   90%       20%   120%         -      1500         0%       12%
batch       batch.slice     241%    0%        0%    40%      140%        17        31%       62%  elastic
db          shop-db.slice   4.2%   10%       10%    50%  50%!=90%  600!=500         0%        0%  refused: the kernel did not take it
mail        mail.slice        0%    0%      5.0%      -         -         -         0%        0%  inactive
user.slice  user.slice       12%     -         -      -         -         -         0%      5.0%
a!=b: as asked, as applied, as read back from the kernel" "status at 160 columns, golden"

COLUMNS=80 run status
is "$(printf '%s\n' "$out" | awk 'length > 80')" "" "status fits 80 columns"
is "$(printf '%s\n' "$out" | sed -n '/^SERVICE/,$p')" "SERVICE      USE  NEED  ALLOC     QUOTA    WEIGHT  THROTTLED  NOTE
web          78%   90%   120%         -      1500         0%
batch       241%    0%    40%      140%        17        31%  elastic
db          4.2%   10%    50%  50%!=90%  600!=500         0%  refused: the ke...
mail          0%    0%      -         -         -         0%  inactive
user.slice   12%     -      -         -         -         0%
3 columns did not fit: UNIT, BASELINE, PRESSURE
a!=b: as asked, as applied, as read back from the kernel" "the table at 80 columns, golden"
run status --no-legend
is "$(printf '%s\n' "$out" | wc -l | tr -d ' ')" 5 "--no-legend prints the rows alone"

run status --json
is "$status/$err" 0/ "status --json is fine"
contains "$out" '{"version":"0.1.0","mode":"enforce","enforce":"both","tier":"congested","capacity_milli":4000,"bargained_milli":3600,"allocated_milli":2100,"unmanaged_milli":120,"scarcity":0.5,"shadow_price":null,"potential":0.125,"potential_trend":-0.5,"step_size":1,"verdict":"apply","hold":"","epoch":42,"epoch_sec":15,"frozen":false,"config_error":"","epoch_error":"","pending_writes":0,"guard_raises":7,"pressure_available":true,"next_epoch_sec":null,"services":[' "the keys of the host"
contains "$out" '{"name":"db","unit":"shop-db.slice","managed":true,"active":true,"state":"refused","note":"the kernel did not take it","coalition":"","use_milli":42,"load_milli":42,"need_milli":100,"need_reason":"load","floor_milli":0,"baseline_milli":100,"max_milli":null,"weight":100,"alloc_milli":500,"quota_wanted_milli":500,"quota_applied_milli":500,"quota_read_milli":900,"burst_ms":null,"burst_in_step":null,"cpu_weight_wanted":600,"cpu_weight_applied":500,"cpu_weight_read":500,"throttled_ratio":0,"guard_raises":null,"pressure":0,"contention":null,"confidence":null,"satisfied":null,"elastic":null,"calls":null,"credit":null,"importance":null,"entitlement_milli":null,"bargain_weight":null,"latency_target_ms":null,"latency_target_used_ms":null,"latency_ms":null,"latency_stale":null,"latency_age_sec":null,"latency_model_ms":null,"elasticity":null}' "the keys of a service"

# ---- explain, plan ----------------------------------------------------------------------------------

run explain web
is "$status/$err" 0/ "explain is fine"
is "$out" "shop-web.slice (service web), epoch 42
  - It used 78% and needs 90%: 1.15 times its load.
  - It got 120%, because the host is uncongested." "explain prints the sentences"
run explain --json shop-web.slice
contains "$out" '"inputs":{"load_milli":783}' "explain --json prints the object"
run explain wbe
is "$status/$out" 1/ "explain of an unknown unit fails"
contains "$err" 'no unit or service "wbe"' "explain of an unknown unit says so"
contains "$err" 'coallocctl status' "explain of an unknown unit: the next step"

run plan --json
is "$out" '{"tier":"congested","scarcity":0.5,"shadow_price":null,"services":[{"name":"web","market_milli":1200.5,"alloc_milli":1200,"quota_milli":null,"cpu_weight":1500,"coalition":null,"credit":0,"satisfied":true}],"coalitions":[],"gate":{"v_before":2,"v_after":1,"step":0.5,"verdict":"reduced"}}' \
        "plan --json passes the daemon's answer on"
run plan
contains "$out" "Gate: reduced: the plan was applied in part: a smaller step was safe; V 2 -> 1" "plan prints the gate's verdict"

# ---- coalitions, credits, prices: nothing there ------------------------------------------------------

for verb in coalitions credits prices graph; do
        run $verb
        is "$status/$err" 0/ "$verb of a host without coalitions is fine"
        contains "$out" "No service that runs works with another. Which does is said in" "$verb without coalitions: the next step"
done
run coalitions --json
is "$status/$out" '0/{"coalitions":[]}' "no coalitions are an empty list"
run prices --header
is "$status/$out" 0/ "no path, no header line"
contains "$err" "There is no path" "no path: said so"

# ---- control ----------------------------------------------------------------------------------------

run mode
is "$status/$out" 0/enforce "mode shows the mode"
run mode --json
is "$status/$err/$out" '0//{"mode":"enforce"}' "mode --json shows the mode"
run mode --json observe
is "$status/$err/$out" '0//{"mode":"observe"}' "mode --json says what was set"
run mode --json enforce
is "$status/$err/$out" '0//{"mode":"enforce"}' "mode --json asks the daemon what was set"
run restore
is "$status/$out" 1/ "restore that failed for two units fails"
contains "$err" "2 units could not be given back" "restore says how many failed"
run restore
is "$status" 0 "restore that worked is fine"
run mode
is "$out" observe "restore also sets observe"
run mode enforce
is "$status/$out/$err" 0// "mode enforce is quiet"
run mode
is "$out" enforce "mode enforce sets it"
run freeze
is "$status" 0 "freeze is fine"
run status
contains "$out" "Frozen: No allocation changes until \`coallocctl thaw\`." "status says that it is frozen"
contains "$out" "since the last epoch; frozen by an administrator: the allocations stay until \`coallocctl thaw\`" \
        "frozen: the gate's line says what ends it"
run thaw
run status --json
contains "$out" '"frozen":false' "thaw ends the freeze"
run adopt x.slice
is "$status/$out" 1/ "what is not permitted fails"
contains "$err" "Not permitted: Only root may do that." "what is not permitted is said"
contains "$err" "Run it as root." "what is not permitted: the next step"
run reload
is "$status/$out" 1/ "reload of a wrong configuration fails"
contains "$err" "/etc/coalloc.conf:12: Baseline=" "reload says what is wrong"
contains "$err" "coallocctl verify" "reload: the next step"
run status
contains "$out" "Config: /etc/coalloc.conf:12: Baseline=: 900% is more than the host's 400%" "status shows the error"
contains "$out" "last good configuration stays in force" "status says what holds meanwhile"

# ---- why nothing changes -------------------------------------------------------------------------------

fake veto
run status
contains "$out" "V 0.125 (0 is the bargaining solution), +0.25 since the last epoch; the plan was vetoed, as V would not have fallen: the allocations before it stay" \
        "a veto is told, and a V that rose without a word of blame"
run status --json
contains "$out" '"verdict":"hold","hold":"veto",' "a veto has a key"
fake writing
run status
contains "$out" "Writes: 850 still to come, 50 a second; until then units have what they had" "a plan that is still being written is told"
fake rolled-back
run status
contains "$out" "V 0.125 (0 is the bargaining solution), unchanged since the last epoch; rolled back after epochs that made things worse: earlier allocations hold for a few epochs, then it goes on by itself" \
        "a roll-back is told, and that it ends by itself"
fake failing
run status
is "$status" 0 "an epoch that failed is no failure of status"
is "$(printf '%s\n' "$out" | sed -n 2,4p)" "   Error: 4 services, but fewer whole percents of CPU to give.
          What follows is the last decision that was made.
    Tier: congested. Every baseline is kept, but not every need fits: the CPU above the baselines is bargained over." \
        "why an epoch ended without a decision comes first, golden"
run status --json
contains "$out" '"epoch_error":"4 services, but fewer whole percents of CPU to give.","pending_writes"' "so it is in JSON"
fake undecided
run status
is "$(printf '%s\n' "$out" | sed -n 2,4p)" "   Error: 4 services, but fewer whole percents of CPU to give.
    Tier: none yet: no epoch has ended with a decision
   Epoch: 42, one every 15s" "no decision ever: none is announced, golden"
fake old
run status
contains "$out" "since the last epoch; the plan was vetoed: the allocations before it stay" \
        "a daemon that does not know why it holds still says that it does"
run status --json
contains "$out" '"verdict":"hold","hold":null,' "what an older daemon does not say is null"
contains "$out" '"epoch_error":null,' "what an older daemon does not say is null, too"

# ---- why there are no coalitions ----------------------------------------------------------------------

fake starting
for verb in coalitions credits prices graph; do
        run $verb
        contains "$out" "Nothing is decided yet: the first epoch is still being measured." "$verb before the first epoch"
done
fake undecided
run coalitions
contains "$out" "The last epoch ended without a decision" "coalitions of a daemon that could not decide"
fake unpooled
run coalitions
is "$status/$err" 0/ "coalitions of paths without any is fine"
contains "$out" "MaxCoalitionSize=1 in" "coalitions that are switched off are no missing paths"

# ---- a game ----------------------------------------------------------------------------------------

fake game 2>"$dir/reports"
COLUMNS=80 run coalitions
is "$status/$err" 0/ "coalitions is fine"
is "$out" "COALITION  MEMBERS          STATE       WORTH              CPU  WORST SUBSET
web        web cart db      stable      saves 12ms        180%
mail       mail spam av     not formed  could save 3.1ms   24%  mail av: 800u...
api        api cache queue  not formed  not valued yet    5.0%

web: 3 services, 180% of CPU together
  Requests on its paths take 12ms less than if every member kept what it is
  entitled to: modelled, summed over its paths and their Weight=. Of that, 3.1ms
  are still to come: the gate goes in steps.
  cart gave 10% and db 10%; web got 20%.
  MEMBER  ENTITLED  HOLDS  MOVED  FAIR SHARE
  web          70%    90%   +20%       6.1ms
  cart         60%    50%   -10%       3.9ms
  db           50%    40%   -10%       2.4ms
  Another 1% of a CPU for all of them would save 120us more.
  Every subset was compared in epoch 42: none could save more by itself.

mail: 3 services, 24% of CPU together
  Not formed: each of its members is on its own. These services, swapping what
  they hold among themselves, could save more than the coalition gives them:
  mail and av, by 800us.

api: 3 services, 5.0% of CPU together
  Not formed: fewer than two of its members run, so there is nobody to share
  with." "coalitions at 80 columns, golden"
run coalitions --no-legend
is "$(printf '%s\n' "$out" | wc -l | tr -d ' ')" 3 "coalitions --no-legend prints the rows alone"
contains "$out" "mail av: 800us more" "the worst subset is named"
run coalitions --json
contains "$out" '{"coalitions":[{"id":"web","members":["web","cart","db"],"units":["a.slice","b.slice","c.slice"],"active":[true,true,true],"formed":true,"stable":true,"exact":true,"repaired":false,"value":12.4,"max_excess":-0.8,"certificate":-1e-12,"blocking":[],"shapley":[6.1,3.9,2.4],"imputation":[5,4.5,2.9],"half_width":0,"seed":18446744073709551557,"valued_epoch":42,"total_milli":1800,"entitlement_milli":[700,600,500],"allocation_milli":[900,500,400],"price":0.012,"division_before":12.4,"division_after":3.1},' "the keys of a coalition"
contains "$out" '"max_excess":0.8,"certificate":-1e-12,"blocking":["mail","av"]' "the blocking subset in JSON"
contains "$out" '"entitlement_milli":[50,null,null]' "no CPU is null in a list, too"

COLUMNS=80 run credits
is "$status/$err" 0/ "credits is fine"
is "$out" "SERVICE  ENTITLED  HOLDS  CREDIT  GOT - | + GAVE     WEIGHT    NOW  CONTENDED
web           70%    90%   -0.31  --------|             100   97.5       96.9
cart          60%    50%   +0.20          |+++++        100  101.6      102.0
db            50%    40%   +0.11          |+++          100  100.9      101.1
mail          12%    12%       0          |             100  100.0      100.0
spam         6.0%   6.0%       0          |             100  100.0      100.0
av           6.0%   6.0%       0          |             100  100.0      100.0
1 column did not fit: COALITION

Credit +0.10: over the last hour, on average, a tenth of what its coalition
moved came from this service beyond its fair share; minus: went to it.
CONTENDED: its weight at scarcity 1 and above, at most 10% up or down; NOW: in
the last decision." "credits at 80 columns, golden"
run credits --json
contains "$out" '{"services":[{"name":"web","unit":"shop-web.slice","coalition":"web","entitlement_milli":700,"alloc_milli":900,"credit":-0.31,"weight":100,"bargain_weight":97.5},' "the keys of a credit"

COLUMNS=80 run prices
is "$status/$err" 0/ "prices is fine"
is "$(printf '%s\n' "$out" | sed -n '/^PATH/,$p')" "PATH      SERVICES      WEIGHT   PRICE    CPU/REQUEST       LATENCY  UNPOOLED
checkout  web cart db        2   0.036           15ms  72ms of 60ms      84ms
browse    web db             1  0.0123          5.2ms          63ms      71ms
inbound   mail spam av       1  0.0071  3.0ms assumed         192ms     192ms

PRICE: of one request more a second. LATENCY: modelled, of all services of the
path; UNPOOLED: the same if every service kept what it is entitled to.
\"assumed\": not every service of it has reports that count requests (coallocctl
report-latency --requests=): 1ms for each that has none." "prices at 80 columns, golden"
contains "$out" "Price: scarcity 0.5 (0 enough for all" "prices begins with the price"
run prices --json
contains "$out" '{"epoch":42,"tier":"congested","scarcity":0.5,"shadow_price":0.00237,"paths":[{"name":"checkout","services":["web","cart","db"],"weight":2,"price":0.0360125,"measured":true,"cpu_ms":15.2,"latency_ms":71.8,"latency_market_ms":84.2,"latency_target_ms":60},' "the keys of a path"
run prices --header
is "$status/$err" 0/ "prices --header is fine"
is "$out" "X-Price-CPU: 0.0360125; path=checkout
X-Price-CPU: 0.0123457; path=browse
X-Price-CPU: inf; path=inbound" "header lines have six digits, golden"
run prices --header inbound checkout
is "$status/$out" "0/X-Price-CPU: inf; path=inbound
X-Price-CPU: 0.0360125; path=checkout" "the paths that are named, in their order"
run prices --header checkout brwse
is "$status/$out" 1/ "an unknown path fails, and nothing is printed"
contains "$err" 'There is no path "brwse"; did you mean "browse"?' "an unknown path: the nearest name"
run prices checkout
is "$status/$out" 2/ "a path without --header is wrong usage"
run prices --header --json
is "$status/$out" 2/ "header lines are no JSON"

COLUMNS=80 run graph
is "$status/$err" 0/ "graph is fine"
is "$out" "PATH                  COALITION  ALLOC       LATENCY
checkout                                72ms of 60ms
\`- web                web          90%          38ms
   |- cart            web          50%         9.1ms
   |  \`- db           web          40%          24ms
   \`- db (see above)  web          40%          24ms
browse                                          63ms
\`- web                web          90%          38ms
   \`- db              web          40%          24ms
inbound                                        192ms
\`- mail               mail         12%          33ms
   \`- spam            mail        6.0%         125ms
      \`- av           mail        6.0%          33ms
(no path)
batch                 -            16%             -" "graph as a tree, golden"
run graph --json
contains "$out" '"calls":[{"from":"web","to":"cart"},{"from":"web","to":"db"},{"from":"cart","to":"db"},{"from":"mail","to":"spam"},{"from":"spam","to":"av"}],"paths":[{"name":"checkout","services":["web","cart","db"],"latency_ms":71.8,"latency_target_ms":60,"price":0.0360125},' "the calls in JSON"
contains "$out" '"coalitions":[{"id":"web","members":["web","cart","db"],"formed":true},' "the coalitions of the graph in JSON"
run graph --dot
is "$status/$err" 0/ "graph --dot is fine"
contains "$out" '"web" [label="web\n90%, 38ms"];' "a service for graphviz"
contains "$out" '"cart" -> "db";' "a call for graphviz"
contains "$out" 'label="coalition mail (not formed)";' "a coalition for graphviz"
if command -v dot >/dev/null 2>&1; then
        dot -Tplain "$dir/out" >/dev/null 2>"$dir/err"
        is "$?/$(cat "$dir/err")" 0/ "graphviz reads it"
fi
run graph --svg
is "$status/$err" 0/ "graph --svg is fine"
is "$(printf '%s\n' "$out" | grep -c 'class="box"')" 7 "the picture has a box for each service"
is "$(printf '%s\n' "$out" | grep -c 'stroke-dasharray="6 5"')" 1 "the coalition that is not formed has a dashed frame"
if command -v xmllint >/dev/null 2>&1; then
        xmllint --noout "$dir/out" 2>"$dir/err"
        is "$?/$(cat "$dir/err")" 0/ "the picture is XML"
fi
run graph --svg --dot
is "$status/$out" 2/ "one drawing at a time"

run report-latency web 80ms
is "$status/$out/$err" 0// "report-latency is quiet"
run report-latency web 1.5s --requests=500
is "$(cat "$dir/reports")" "ReportLatency web 0.08 0
ReportLatency web 1.5 500" "seconds and requests arrive"
for span in 0 nan -1 inf 80miles '' 1e3 0.4us 100ns; do
        run report-latency -- web "$span"
        is "$status/$out" 2/ "report-latency: \"$span\" is wrong usage"
        contains "$err" "It is a time span from 1us to 1h as systemd writes it: 80ms" "report-latency: \"$span\": the remedy"
done
run report-latency web -80ms
is "$status/$out" 2/ "a negative latency is wrong usage even where it looks like an option"
for n in 0 -1 x 4294967296; do
        run report-latency web 80ms --requests="$n"
        is "$status/$out" 2/ "--requests=$n is wrong usage"
done
run report-latency web
is "$status/$out" 2/ "a latency is not optional"
contains "$err" "takes two arguments: coallocctl report-latency SERVICE SPAN" "both arguments are named"
run report-latency nobody 80ms
is "$status/$out" 1/ "a latency of an unknown service fails"
contains "$err" 'no service "nobody"' "an unknown service: said so"
run report-latency web 20min
is "$status/$err" "1/coallocctl: A latency of 1200 s is beyond belief." "what the daemon refuses is passed on"
run report-latency locked 80ms
is "$status/$out" 1/ "who may not report fails"
contains "$err" "Run it as root." "who may not report: the next step"

COLUMNS=80 run status
is "$(printf '%s\n' "$out" | sed -n '/^SERVICE/,$p')" "SERVICE   USE  NEED  ALLOC  QUOTA  WEIGHT       LATENCY  THROTTLED  NOTE
web       48%   56%    90%      -    1500  42ms of 80ms         0%
cart      31%   36%    50%      -     900    80ms stale         0%
db        20%   24%    40%      -     600  24ms of 20ms         0%
mail     9.0%   10%    12%      -     200             -         0%
spam     5.2%  6.0%   6.0%      -     100             -         0%
av       3.0%  3.5%   6.0%      -     100             -         0%
batch    141%    0%    16%   140%      17             -        31%  elastic
5 columns did not fit: UNIT, COALITION, BASELINE, CREDIT, PRESSURE" "status with latencies at 80 columns, golden"
COLUMNS=160 run status
contains "$out" "web      shop-web.slice   web         48%   56%       20%    90%      -    1500  42ms of 80ms   -0.31" \
        "status shows coalition and credit where there is room"
run status --json
contains "$out" '"calls":["cart","db"],"credit":-0.31,"importance":3,"entitlement_milli":700,"bargain_weight":97.5,"latency_target_ms":80,"latency_target_used_ms":80,"latency_ms":42,"latency_stale":false,"latency_age_sec":3,"latency_model_ms":38.2,"elasticity":0.5}' "what services say of the game"
contains "$out" '"latency_ms":null,"latency_stale":false,"latency_age_sec":null' "no report is null"

# ---- an answer that cannot be written ------------------------------------------------------------------

if [ -w /dev/full ]; then
        fake enforce
        for verb in status "status --json" "explain web" plan mode "mode --json" coalitions credits prices graph "graph --svg"; do
                # shellcheck disable=SC2086
                "$ctl" $verb >/dev/full 2>"$dir/err"
                is "$?" 1 "$verb into a full disk fails"
                contains "$(cat "$dir/err")" "Could not write" "$verb into a full disk says so"
        done
fi

# ---- observe, and a daemon that says little ------------------------------------------------------------

fake observe
COLUMNS=160 run status
contains "$out" "observing only: no unit is changed" "observe mode is said"
contains "$out" "90%->50%" "observe mode shows what would be"
contains "$out" "a->b: as it is, and as it would be" "observe mode explains the arrow"

fake hostile
run status --no-legend
is "$status" 0 "unknown keys are skipped and missing ones are no failure"
contains "$out" "shop-web.slice" "what was said is shown"
run explain web
is "$status/$out" 1/ "broken JSON from the daemon is a failure"
contains "$err" "makes no sense" "broken JSON from the daemon is said"
for verb in coalitions credits prices graph status; do
        COLUMNS=80 run $verb
        is "$status/$err" 0/ "$verb: missing keys, wrong types and odd numbers are shown as far as they go"
        run $verb --json
        is "$status/$err" 0/ "$verb --json: the same"
        is "$(printf '%s' "$out" | grep -ciE '[:,[](nan|-?inf)')" 0 "$verb --json stays JSON"
done
run prices --header 'a b"'
is "$status/$out" '0/X-Price-CPU: 1.5; path="a b\""' "what is no token is quoted"
run prices --header
is "$status" 1 "a name that would be a header of its own is no answer"
is "$(printf '%s\n' "$out" | grep -c Evil)" 0 "and none is printed"
run graph --dot
is "$status/$err" 0/ "odd names for graphviz"
contains "$out" '"<b>&\"'"'"'\\" ->' "they are quoted"
run graph --svg
is "$status/$err" 0/ "odd names in a picture"
contains "$out" '&lt;b&gt;&amp;&quot;' "they are escaped"
if command -v xmllint >/dev/null 2>&1; then
        xmllint --noout "$dir/out" 2>"$dir/err"
        is "$?/$(cat "$dir/err")" 0/ "it is XML all the same"
fi
fake huge
run graph --svg
is "$status/$out" 1/ "a picture of twenty thousand services is refused"
contains "$err" "coallocctl graph --dot" "too large a picture: the next step"
for verb in coalitions credits prices graph "graph --dot" status; do
        COLUMNS=80 run $verb
        is "$status/$err" 0/ "$verb: twenty thousand of everything are not too many"
done

done_testing
