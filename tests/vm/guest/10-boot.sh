#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The laboratory itself: is it the host that the other tests take it for?
. /lab/guest/lib.sh

is "systemd is PID 1" "$(cat /proc/1/comm)" systemd
is "cgroup v2 is the only hierarchy" "$(stat -f -c %T /sys/fs/cgroup)" cgroup2fs
ok "the cpu controller is there" grep -qw cpu /sys/fs/cgroup/cgroup.controllers
ok "the kernel measures pressure" grep -q '^some avg10=' /proc/pressure/cpu
is "the host has two CPUs" "$(nproc)" 2
ok "no unit failed to start" sh -c 'test -z "$(systemctl --failed --no-legend)"'

for slice in shop-web shop-app shop-db; do
    is "$slice.slice is active" "$(systemctl is-active $slice.slice)" active
    ok "$slice.slice reports its own pressure" test -r "/sys/fs/cgroup$(cgroup_of $slice.slice)/cpu.pressure"
done
is "nginx runs in shop-web.slice" "$(cgroup_of nginx)" /shop.slice/shop-web.slice/nginx.service
is "redis runs in shop-db.slice" "$(cgroup_of redis-server)" /shop.slice/shop-db.slice/redis-server.service
ok "a request passes all three services" wait_for 20 is_healthy

load_start 20
ok "customers are served" wait_for 20 grep -q '^second requests=[1-9]' /run/lab/load.out
for slice in shop-web shop-app shop-db; do
    before_usec=$(cpu_usec_of $slice.slice)
    ok "$slice.slice uses CPU for them" wait_for 10 sh -c \
        ". /lab/guest/lib.sh; test \$(cpu_usec_of $slice.slice) -gt $((before_usec + 1000))"
done
total=$(load_stop)
diag "$total"
is "no request failed" "$(echo "$total" | field failed)" 0

hog_start 4
between "a hog gets nearly all of an idle host, in percent of a CPU" 150 "$(cpu_percent_of batch.slice 3)" 205

is "a slice has no quota before anybody sets one" "$(quota_percent_of batch.slice)" none
systemctl set-property --runtime batch.slice CPUQuota=40%
is "a quota of 40 % arrives in cpu.max" "$(cpu_max_of batch.slice)" "40000 100000"
between "a quota of 40 % holds the hog" 30 "$(cpu_percent_of batch.slice 3)" 46
ok "the kernel counts that it throttles" test "$(throttled_usec_of batch.slice)" -gt 0

watcher_start batch.slice
ok "the watcher watches" wait_for 10 systemctl is-active lab-watcher
systemctl set-property --runtime batch.slice CPUQuota=70%
is "a quota of 70 % arrives in cpu.max" "$(cpu_max_of batch.slice)" "70000 100000"
systemctl set-property --runtime batch.slice CPUQuota=30%
seen=$(watcher_stop)
diag "$seen"
is "the watcher saw the largest quota, between two others" "$(echo "$seen" | field max_limited_usec)" 700000
between "the watcher read many rounds" 100 "$(echo "$seen" | field rounds)" 100000000

/lab/guest/reset
is "a reset takes quotas away" "$(quota_percent_of batch.slice)" none
is "a reset stops the hog" "$(systemctl is-active batch-hog)" inactive

done_testing
