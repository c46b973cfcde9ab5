# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034,SC2154 # "main", this and its neighbour share variables
#
# The scenarios: who shares the host, and how much each asks for. A scenario is a function that names
# its parties with the words below; loads are in percent of the whole host, PERCENTxSECONDS, several
# joined by "+", and all chains of a scenario take equally long: that is the length of a repetition.
#
#   chain NAME WEIGHT LOAD     web -> app -> db, 8 threads each, in chain-NAME.slice
#   hog                        four processes that never wait, in batch.slice, Weight=10
#   greedy UNIT                what an administrator would hold down
#   mark NAME SECOND [COMMAND] something happens there

scenario_hog40() { chain a 100 40x15; hog; }
scenario_hog55() { chain a 100 55x12; hog; }
scenario_hog70() { chain a 100 70x10; hog; }

# More than there is: one chain matters, the other takes what is left.
scenario_two_chains() { chain a 100 50x12; chain b 10 73x12; greedy chain-b.slice; }

# A rise that every controller meets at another moment of its epoch: the pause sees to that.
scenario_load_step() { chain a 100 25x5+55x15; hog; mark step 5; gap_sec=14; }

# Two paths that share a database; one of them becomes popular for a while.
scenario_flash_crowd() {
    chain a 100 30x20
    search 100 10x5+45x8+10x7
    hog
    mark crowd 5
    gap_sec=14
}

# A service that computes for two CPU seconds before it serves.
scenario_start() { chain a 100 40x15; starter; mark start 3 'systemctl --no-block restart starter'; gap_sec=4; }

# Nobody else: whoever manages CPU must not be felt.
scenario_idle() { chain a 100 30x18; }

# nginx, an application server and redis beside the hog.
scenario_shop() { shop 100 40x30; hog; }

# ---- words ---------------------------------------------------------------------------------------

chain() {
    is_invited "$1" || return 0
    slice=chain-$1
    service "$1-web" "$slice-web" "$2" "$1-app" "$(percent_at_most "$3")" 28
    service "$1-app" "$slice-app" "$2" "$1-db" "$(percent_at_most "$3")" 47
    service "$1-db" "$slice-db" "$2" "" "$(percent_at_most "$3")" 25
    start="$start lab-$1-db lab-$1-app lab-$1-web"
    party "name=$1,kind=chain,weight=$2,cgroup=/chain.slice/$slice.slice,socket=/run/lab/$1-web" \
        "$3" "$chain_cost_usec"
    slices="$slices $slice.slice:$2"
}

search() {
    is_invited b || return 0
    service b-web chain-b-web "$1" b-app "$(percent_at_most "$2")" 28
    service b-app chain-b-app "$1" a-db "$(percent_at_most "$2")" 47
    start="$start lab-b-search lab-b-web"
    party "name=b,kind=chain,weight=$1,cgroup=/chain.slice/chain-b.slice,socket=/run/lab/b-web" \
        "$2" "$chain_cost_usec"
    slices="$slices chain-b.slice:$1"
}

hog() {
    is_invited hog || return 0
    service hog batch 10 "" 100 100
    start="$start batch-hog"
    parties="$parties --party name=hog,kind=batch,weight=10,cgroup=/batch.slice"
    slices="$slices batch.slice:10"
    greedy batch.slice
}

starter() {
    is_invited starter || return 0
    service starter starter 100 "" 20 100
    parties="$parties --party name=starter,kind=batch,weight=100,cgroup=/starter.slice"
    slices="$slices starter.slice:100"
}

shop() {
    service web shop-web "$1" app "$(percent_at_most "$2")" 15
    service app shop-app "$1" db "$(percent_at_most "$2")" 75
    service db shop-db "$1" "" "$(percent_at_most "$2")" 10
    start="$start redis-server shop-app nginx"
    party "name=a,kind=chain,weight=$1,cgroup=/shop.slice,url=/shop?ms=5" "$2" "$shop_cost_usec"
    slices="$slices shop.slice:$1"
}

greedy() { greedy=$1; }
mark() { mark="$1:$2${3:+:$3}"; }

# ---- how it is kept ------------------------------------------------------------------------------

# read_scenario NAME SETTING: sets
#   parties    what the generator is told of them
#   services   a line each: NAME UNIT WEIGHT CALLS PERCENT, what it uses at most in percent of a CPU
#   slices     UNIT:WEIGHT of what competes with each other
#   important  percent of a CPU that the first party uses at most
read_scenario() {
    setting=$2 parties='' services='' slices='' start='' greedy='' mark='' gap_sec=2 window_sec=0 important=0
    "scenario_$(echo "$1" | tr - _)"
}

# The setting "solo" is the first party alone.
is_invited() { [ "$setting" != solo ] || [ "$1" = a ]; }

# service NAME SLICE WEIGHT CALLS PERCENT SHARE: SHARE percent of PERCENT percent of the host
service() {
    services="$services$1 $2.slice $3 ${4:--} $(($5 * $6 * n_cpus / 100))
"
}

percent_at_most() {
    echo "$1" | tr + '\n' | sed 's/x.*//' | sort -n | tail -n 1
}

# party WORDS LOAD COST_USEC
party() {
    load=$(echo "$2" | tr + '\n' | awk -F x -v cost="$3" -v cpus="$n_cpus" '
        { printf "%s%.2fx%s", (NR > 1 ? "+" : ""), $1 / 100 * cpus * 1e6 / cost, $2 }')
    [ "$window_sec" != 0 ] || window_sec=$(echo "$2" | tr + '\n' | awk -F x '{ s += $2 } END { print s }')
    [ "$important" != 0 ] || important=$(($(percent_at_most "$2") * n_cpus))
    parties="$parties --party $1,load=$load"
}

# What systemd is told of the chains' services; the cost of each follows from its salt.
install_services() {
    for name in a b; do
        service_unit "$name-web" "chain-$name-web" "--mean-usec 1200 --salt 1 --next /run/lab/$name-app"
        service_unit "$name-app" "chain-$name-app" "--mean-usec 2400 --salt 2 --next /run/lab/$name-db"
        service_unit "$name-db" "chain-$name-db" "--mean-usec 1200 --salt 3"
    done
    service_unit b-search chain-b-app "--mean-usec 2400 --salt 2 --next /run/lab/a-db" b-app
    cat >/etc/systemd/system/starter.service <<'END'
[Unit]
Description=A service that computes before it serves

[Service]
Slice=starter.slice
ExecStart=/lab/bin/service --listen /run/lab/starter --threads 4 --start-cpu-usec 500000
END
    systemctl daemon-reload
}

# service_unit NAME SLICE ARGUMENTS [SOCKET]
service_unit() {
    cat >"/etc/systemd/system/lab-$1.service" <<END
[Unit]
Description=$1, a service of known cost

[Service]
Slice=$2.slice
ExecStart=/lab/bin/service --threads 8 --listen /run/lab/${4:-$1} $3
END
}
