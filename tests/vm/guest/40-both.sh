#!/bin/sh
# SPDX-License-Identifier: MIT
# limit: 600 s
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

# customers_see SECONDS: the line of the load generator; nothing else is done meanwhile
customers_see() {
    load_start 20 '/shop?ms=5'
    sleep "$1"
    load_stop
}

throttled_usec() {
    sum=0
    for u in shop-web shop-app shop-db; do
        usec=$(throttled_usec_of $u.slice)
        sum=$((sum + ${usec:-0}))
    done
    echo $sum
}

hog_start 4
before=$(all_limits)
alone=$(customers_see 10)
diag "nothing:  $alone"

load_start 20 '/shop?ms=5'
ok "the daemon starts" systemctl enable --now coallocd
ok "four epochs pass" wait_epochs 4
load_stop >/dev/null
throttled_before=$(throttled_usec)
managed=$(customers_see 10)
diag "coallocd: $managed"
is "nobody satisfied was throttled, in microseconds" $(($(throttled_usec) - throttled_before)) 0
# The bar for p99 belongs to benchmarks of thousands of requests; this catches harm.
ok "the customers are not worse off than without coallocd, at the 95th percentile" sh -c \
    "awk 'BEGIN { exit !($(echo "$managed" | field p95_ms) <= 1.25 * $(echo "$alone" | field p95_ms)) }'"

load_start 20 '/shop?ms=5'
wait_epochs 2
ok "status says what the cgroup files say" wait_for 60 status_is_true
for u in web app db; do
    is "$u is satisfied" "$(seen $u satisfied)" true
    is "so it has no quota" "$(quota_percent_of shop-$u.slice)" none
done
ok "the shop outweighs the hog" test "$(cpu_weight_of shop.slice)" -ge $((4 * $(cpu_weight_of batch.slice)))
ok "the hog still runs" test "$(cpu_percent_of batch.slice 4)" -ge 15

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
