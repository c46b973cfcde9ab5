#!/bin/sh
# SPDX-License-Identifier: MIT
# limit: 600 s
#
# Whatever happens, every unit gets back what it had before.
. /lab/guest/lib.sh
. /lab/guest/daemon.sh

write_conf <<'END'
[Manager]
EpochSec=2s
Enforce=quota

[Service web]
Unit=shop-web.slice

[Service app]
Unit=shop-app.slice

[Service db]
Unit=shop-db.slice

[Service batch]
Unit=batch.slice

[Service tenants]
Unit=tenant-*.slice
END
# Many slices, so that a change takes a while and the kill can fall into it.
for i in $(seq 1 12); do
    systemd-run --quiet --unit="tenant-$i" --slice="tenant-$i.slice" sleep 600
done
systemctl set-property --runtime tenant-3.slice CPUQuota=40%
systemctl set-property --runtime tenant-4.slice CPUWeight=70
hog_start 4
load_start 15
before=$(all_limits)
dropins=$(find /run/systemd/system.control -type f -exec md5sum {} + | sort)

# Restart=on-failure would bring it back before anything can be compared.
mkdir -p /run/systemd/system/coallocd.service.d
printf '[Service]\nRestart=no\n' >/run/systemd/system/coallocd.service.d/no-restart.conf
systemctl daemon-reload

n_during=0
for delay in 0.02 0.2; do
    systemctl start coallocd
    wait_for 60 has_quota batch.slice
    # The next round of writes is under way when drop-ins change.
    touch /run/lab/mark
    wait_for 20 sh -c 'test -n "$(find /run/systemd/system.control -newer /run/lab/mark -type f)"' && n_during=$((n_during + 1))
    sleep $delay
    systemctl kill --signal=KILL coallocd
    wait_for 30 sh -c '! systemctl is-active coallocd'
    wait_for 60 sh -c 'systemctl is-failed coallocd'
    is "after SIGKILL during a change (+$delay s) every quota and weight is as it was" "$(all_limits)" "$before"
    is "and so is every drop-in" "$(find /run/systemd/system.control -type f -exec md5sum {} + | sort)" "$dropins"
    systemctl reset-failed coallocd
done
ok "the kills fell into rounds of writes" test $n_during -ge 1

# Not even the restorer runs: the next start gives back first.
systemctl start coallocd
ok "quotas are there again" wait_for 60 has_quota batch.slice
printf '[Service]\nRestart=no\nExecStopPost=\n' >/run/systemd/system/coallocd.service.d/no-restart.conf
systemctl daemon-reload
systemctl kill --signal=KILL coallocd
wait_for 30 sh -c '! systemctl is-active coallocd'
ok "without ExecStopPost= the quotas stay" has_quota batch.slice
ok "the record of what was before is there" test -s /run/coalloc/units
systemctl reset-failed coallocd
ok "coallocd --restore gives everything back" coallocd --restore
is "every quota and weight is as it was" "$(all_limits)" "$before"
is "and the record is gone" "$(ls /run/coalloc 2>/dev/null)" ""

systemctl start coallocd
wait_for 60 has_quota batch.slice
systemctl kill --signal=KILL coallocd
wait_for 30 sh -c '! systemctl is-active coallocd'
# Somebody sets a value of their own meanwhile: it stays.
systemctl set-property --runtime shop-db.slice CPUQuota=33%
sed -i 's/^\[Manager\]/[Manager]\nMode=observe/' /etc/coalloc.conf
systemctl reset-failed coallocd
ok "the next start gives back what was left" systemctl start coallocd
is "what somebody else set meanwhile is theirs" "$(quota_percent_of shop-db.slice)" 33
systemctl set-property --runtime shop-db.slice CPUQuota=
rm -f /run/systemd/system.control/shop-db.slice.d/50-CPUQuota.conf
systemctl daemon-reload
is "everything else is as it was" "$(all_limits)" "$before"
ok "it stops" systemctl stop coallocd
is "and still is" "$(all_limits)" "$before"

rm -rf /run/systemd/system/coallocd.service.d
systemctl daemon-reload
for i in $(seq 1 12); do systemctl stop "tenant-$i" "tenant-$i.slice"; done
done_testing
