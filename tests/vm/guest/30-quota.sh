#!/bin/sh
# SPDX-License-Identifier: MIT
# limit: 600 s
#
# Enforce=quota: the quotas are the partition. They follow demand, and their sum holds at every instant.
. /lab/guest/lib.sh
. /lab/guest/daemon.sh

conf() {
    write_conf <<END
[Manager]
Mode=enforce
Enforce=quota
EpochSec=4s
Reserve=20%
$1

[Service web]
Unit=shop-web.slice
Baseline=${2:-20%}
Floor=${3:-5%}

[Service app]
Unit=shop-app.slice
Baseline=${2:-20%}
Floor=${3:-5%}

[Service db]
Unit=shop-db.slice
Baseline=${2:-20%}
Floor=${3:-5%}

[Service batch]
Unit=batch.slice
Floor=${3:-5%}
Baseline=${2:-5%}
Weight=10
END
}

conf
hog_start 4
load_start 10
before=$(all_limits)
WATCHER_PAUSE_USEC=3000
watcher_start $shop batch.slice
ok "the daemon starts" systemctl enable --now coallocd
ok "after the first epochs every service has a quota" wait_for 60 sh -c '. /lab/guest/lib.sh; . /lab/guest/daemon.sh
    for u in shop-web shop-app shop-db batch; do has_quota $u.slice || exit 1; done'
ok "two more epochs pass" wait_epochs 2
# What the laboratory itself uses (load generator, watcher, emulated devices) is unmanaged load.
sum=$(sum_of_quotas shop-web.slice shop-app.slice shop-db.slice batch.slice)
bargained=$(($(property BargainedUSecPerSec) / 10000))
between "the quotas share out the CPU that is bargained over, in percent" $((bargained - 20)) "$sum" 180
# The guard lends to the hog, and epochs take that back: no comparison of two readings would last.
coallocctl freeze
ok "status says what the cgroup files say" wait_for 60 status_is_true
coallocctl thaw
ok "nobody is below its baseline" sh -c '. /lab/guest/lib.sh; . /lab/guest/daemon.sh
    for u in shop-web shop-app shop-db; do quota_at_least $u.slice 20 || exit 1; done; quota_at_least batch.slice 5'
is "the hog makes the host congested" "$(property Tier)" congested

# Demand moves from the hog to the shop; two epochs later so have the quotas. (The first of the three
# that pass had begun before.) Allocations, since a quota may be one with a loan in it.
look
app_before=$(seen_percent app alloc_milli)
batch_before=$(seen_percent batch alloc_milli)
load_stop >/dev/null
load_start 25 '/shop?ms=6'
wait_epochs 3
look
app_after=$(seen_percent app alloc_milli)
batch_after=$(seen_percent batch alloc_milli)
diag "app $app_before -> $app_after, batch $batch_before -> $batch_after"
ok "when demand of the shop grows, so does its allocation" test "$app_after" -gt "$app_before"
ok "and the hog's makes room" test "$batch_after" -lt "$batch_before"
load_stop >/dev/null
hog_stop
ok "without demand the host is uncongested" wait_for 90 tier_is uncongested

hog_start 4
conf "" 60% 10%
ok "baselines above the CPU are accepted with a reload" systemctl reload coallocd
ok "and the host is overloaded" wait_for 30 tier_is overloaded
between "in overload nobody is below its floor" 10 "$(quota_percent_of shop-db.slice)" 60
conf "" 60% 50%
ok "floors above the CPU are accepted with a reload" systemctl reload coallocd
ok "and the host is starved" wait_for 30 tier_is starved
ok "status shows the tier" sh -c 'coallocctl status | grep -qi starved'
conf
ok "back to modest baselines" systemctl reload coallocd
ok "the host leaves starvation" wait_for 30 sh -c '. /lab/guest/lib.sh; . /lab/guest/daemon.sh; ! tier_is starved'

seen=$(watcher_stop)
diag "$seen"
between "at no instant did the quotas sum to more than capacity minus reserve" 1 \
    "$(echo "$seen" | field max_limited_usec)" 1800000
between "the watcher read many rounds" 1000 "$(echo "$seen" | field rounds)" 1000000000

hog_start 4
ok "it stops" systemctl stop coallocd
is "and every quota and weight is as it was" "$(all_limits)" "$before"
is "no drop-in is left" "$(find /run/systemd/system.control -type f 2>/dev/null)" ""

done_testing
