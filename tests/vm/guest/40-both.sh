#!/bin/sh
# SPDX-License-Identifier: MIT
# limit: 360 s
#
# Enforce=both, the default: weights protect the request services, the hog yields, nobody who is
# satisfied is throttled.
. /lab/guest/lib.sh
. /lab/guest/daemon.sh

write_conf <<'END'
[Manager]
EpochSec=4s

[Service web]
Unit=shop-web.slice

[Service app]
Unit=shop-app.slice

[Service db]
Unit=shop-db.slice

[Service batch]
Unit=batch.slice
Weight=10
END
before=$(all_limits)
load_start 25 '/shop?ms=5'
hog_start 4
sleep 12
alone=$(load_stop)
hog_stop
diag "nothing:  $alone"

load_start 25 '/shop?ms=5'
hog_start 4
before=$(all_limits)
ok "the daemon starts" systemctl enable --now coallocd
ok "four epochs pass" wait_epochs 4
load_stop >/dev/null
throttled_before=0
for u in shop-web shop-app shop-db; do
    throttled_before=$((throttled_before + $(throttled_usec_of $u.slice || echo 0)))
done
load_start 25 '/shop?ms=5'
sleep 12
ok "status says what the cgroup files say" status_is_true
for u in web app db; do
    is "$u is satisfied" "$(milli_of $u satisfied)" true
    is "so it has no quota" "$(quota_percent_of shop-$u.slice)" none
done
ok "the shop outweighs the hog, by slice" test "$(cpu_weight_of shop.slice)" -ge $((5 * $(cpu_weight_of batch.slice)))
is "the hog takes what is spare, and that congests nobody" "$(property Tier)" uncongested
ok "the hog still runs" test "$(cpu_percent_of batch.slice 4)" -ge 20
managed=$(load_stop)
diag "coallocd: $managed"
p99_alone=$(echo "$alone" | field p99_ms)
p99_managed=$(echo "$managed" | field p99_ms)
ok "the tail is not worse than without coallocd ($p99_alone ms before, $p99_managed ms now)" \
    awk "BEGIN { exit !($p99_managed <= 1.1 * $p99_alone) }"
throttled_after=0
for u in shop-web shop-app shop-db; do
    throttled_after=$((throttled_after + $(throttled_usec_of $u.slice || echo 0)))
done
is "nobody satisfied was throttled, in microseconds" $((throttled_after - throttled_before)) 0

load_stop >/dev/null
ok "without the shop's load the hog has the whole host" wait_for 60 sh -c \
    '. /lab/guest/lib.sh; test "$(cpu_percent_of batch.slice 3)" -ge 150'
ok "it stops" systemctl stop coallocd
is "every quota and weight is as it was" "$(all_limits)" "$before"

sed -i 's/EpochSec=4s/EpochSec=4s\nEnforce=weight/' /etc/coalloc.conf
ok "it starts with Enforce=weight" systemctl start coallocd
ok "two epochs pass" wait_epochs 2
is "then no quota is written" "$(find /run/systemd/system.control -name '50-CPUQuota.conf')" ""
ok "but weights are" test "$(cpu_weight_of batch.slice)" != 100
ok "it stops again" systemctl stop coallocd
is "and every weight is as it was" "$(all_limits)" "$before"

done_testing
