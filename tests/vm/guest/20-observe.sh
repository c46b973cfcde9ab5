#!/bin/sh
# SPDX-License-Identifier: MIT
# limit: 600 s
#
# Measuring changes nothing: not in observe mode, and not for units without a section of their own.
. /lab/guest/lib.sh
. /lab/guest/daemon.sh

ok "the host is fit, says the doctor" coallocctl doctor
write_conf <<'END'
[Manager]
Mode=observe
EpochSec=4s

[Service web]
Unit=shop-web.slice
Baseline=20%
Weight=100

[Service app]
Unit=shop-app.slice
Baseline=40%

[Service db]
Unit=shop-db.slice

[Service batch]
Unit=batch.slice
Weight=10
Max=150%
END
ok "the configuration is right, says verify" coallocctl verify
before=$(all_limits)
# The hog's slice first: a cgroup that appears would differ between before and after.
hog_start 4
load_start 20
before=$(all_limits)

ok "the unit is enabled and started in one command" systemctl enable --now coallocd
is "it is active" "$(systemctl is-active coallocd)" active
ok "systemd sees its status text" sh -c 'systemctl show -p StatusText --value coallocd | grep -q observe'
epoch=$(property Epoch)
ok "epochs pass" wait_for 30 epoch_is_past $((epoch + 2))
is "observing leaves every quota and weight as it was" "$(all_limits)" "$before"
is "it leaves no drop-in" "$(ls /run/systemd/system.control 2>/dev/null)" ""

ok "status names the mode" sh -c 'coallocctl status | grep -qi observ'
ok "status has a row for every service" sh -c \
    'coallocctl status >/run/lab/status; for s in shop-web shop-app shop-db batch; do grep -q "$s.slice" /run/lab/status || exit 1; done'
between "status sees what the hog uses, in percent of a CPU" 40 "$(look; seen_percent batch use_milli)" 205
ok "what it would do is shown all the same" test "$(look; seen app alloc_milli)" -ge 400
ok "units without a section are shown as observed" sh -c \
    'coallocctl status --json | jq -e ".services[] | select(.unit == \"system.slice\") | .state == \"observed\""'
ok "explain speaks in sentences" sh -c 'coallocctl explain batch.slice | grep -q "bargain"'
ok "the bus interface can be introspected" sh -c \
    'busctl introspect org.coalloc1 /org/coalloc1 | grep -q ListServices'
ok "each service is an object" sh -c \
    'busctl get-property org.coalloc1 /org/coalloc1/service/batch_2eslice org.coalloc1.Service Unit | grep -q batch.slice'
ok "anyone may look" runuser -u nobody -- coallocctl status
fails "only root may change" runuser -u nobody -- coallocctl freeze

ok "it stops" systemctl stop coallocd
is "after the stop every quota and weight is as it was" "$(all_limits)" "$before"

rm /etc/coalloc.conf
ok "it runs without a configuration" systemctl start coallocd
epoch=$(property Epoch)
is "with no sections nothing is managed" "$(coallocctl status --json | jq '[.services[] | select(.managed)] | length')" 0
is "units without a section are left as they were" "$(all_limits)" "$before"
systemctl stop coallocd

# The way of ./quickstart on a host: no privilege, nothing installed, a bus of its own.
cat >/run/lab/observe <<'END'
cd "$(mktemp -d)" && mkdir run && printf '[Manager]\nMode=observe\nEpochSec=2s\n' >conf
address=$(dbus-daemon --session --fork --print-address --print-pid=3 3>bus.pid)
RUNTIME_DIRECTORY=$PWD/run coallocd --observe --config=conf --publish="$address" 2>log &
daemon=$!
export DBUS_SYSTEM_BUS_ADDRESS="$address"
for i in $(seq 100); do
    coallocctl status --json 2>/dev/null | jq -e '.services[] | select(.unit == "batch.slice" and .use_milli > 100)' && break
    sleep 0.5
done
kill $daemon; wait $daemon; cat log
kill "$(cat bus.pid)"
[ $i -lt 100 ]
END
ok "anybody can observe, on a bus of their own" runuser -u nobody -- sh /run/lab/observe
hog_stop
load_stop >/dev/null

done_testing
