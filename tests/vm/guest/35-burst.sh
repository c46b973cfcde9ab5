#!/bin/sh
# SPDX-License-Identifier: MIT
# limit: 600 s
#
# Burst=yes: cpu.max.burst follows the quotas in the order that the kernel wants, and goes back with them.
. /lab/guest/lib.sh
. /lab/guest/daemon.sh

conf() {
    write_conf <<END
[Manager]
EpochSec=2s
Enforce=quota
Burst=yes
Reserve=$1

[Service app]
Unit=shop-app.slice
Baseline=10%

[Service batch]
Unit=batch.slice
END
}

quota_usec_of() { cpu_max_of "$1" | sed 's/ .*//'; }
burst_of() { read_cgroup "$1" cpu.max.burst; }
in_step() { [ "$(burst_of "$1")" = "$(quota_usec_of "$1")" ]; }
said() { journalctl -b --since "$since" -u coallocd -o cat | grep -c "$1"; }
refused() { journalctl -b --since "$since" _PID=1 -o cat | grep "Failed to set 'cpu.max'" || true; }
drop_in() { write_conf "/run/systemd/system/coallocd.service.d/$1.conf"; systemctl daemon-reload; }
since=$(date '+%F %T')

# What somebody had before: a quota that is more than there is to share, with a burst.
hog_start 4
systemctl start load.slice
systemctl set-property --runtime batch.slice CPUQuota=190%
echo 20000 >"/sys/fs/cgroup$(cgroup_of batch.slice)/cpu.max.burst"
before=$(all_limits)
bursts=$(burst_of batch.slice)

# ---- as it is installed --------------------------------------------------------------------------
conf 20%
ok "the daemon starts" systemctl start coallocd
ok "quotas are set" wait_for 60 has_quota shop-app.slice
ok "that bursts are not is said" wait_for 20 sh -c 'journalctl -b -u coallocd -o cat | grep -q "read-only for coallocd.*ProtectControlGroups=no"'
ok "doctor says what to do" sh -c 'coallocctl doctor | tr -s "\n " " " | grep "ProtectControlGroups=no"'
wait_epochs 1
is "it is said once" "$(said 'read-only for coallocd')" 1
is "no burst was changed" "$(burst_of batch.slice)" "$bursts"

# ---- allowed to ----------------------------------------------------------------------------------
printf '[Service]\nProtectControlGroups=no\nRestart=no\n' | drop_in burst
ok "it restarts without that protection" systemctl restart coallocd
ok "bursts come into step" wait_for 60 sh -c '. /lab/guest/lib.sh
    for u in shop-app batch; do
        [ "$(read_cgroup $u.slice cpu.max.burst)" = "$(cpu_max_of $u.slice | sed "s/ .*//")" ] || exit 1; done'
is "without a capability" "$(sed -n 's/^CapEff:[^0-9]*//p' "/proc/$(systemctl show -P MainPID coallocd)/status")" 0000000000000000

cat >/run/lab/watch.py <<'END'
import signal, sys, time
at = "/sys/fs/cgroup" + sys.argv[1]
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
seen = None
def read():
    return (int(open(at + "/cpu.max").read().split()[0]), int(open(at + "/cpu.max.burst").read()))
while True:
    now = read()
    if now != seen and now == read():   # twice the same: they held together
        print(*now, flush=True)
        seen = now
    time.sleep(0.002)
END
systemd-run --quiet --unit=lab-watcher --slice=load.slice --property=StandardOutput=truncate:/run/lab/watch.out \
    python3 /run/lab/watch.py "$(cgroup_of batch.slice)"
wait_for 20 test -s /run/lab/watch.out
quota_moved() { test "$(quota_usec_of batch.slice)" "$1" "$quota" && in_step batch.slice; }
for step in '140% -lt' '20% -gt' '140% -lt'; do
    quota=$(quota_usec_of batch.slice)
    conf "${step% *}"
    systemctl reload coallocd
    case $step in *-lt) way=down ;; *) way=up ;; esac
    ok "the quota moves $way from $quota us with its burst" wait_for 30 quota_moved "${step#* }"
done
systemctl stop lab-watcher
diag "$(tr '\n' ';' </run/lab/watch.out)"
# Lines "quota burst". The watcher may miss what stands between two values, but not always.
is "downwards the burst goes first, upwards the quota" "$(awk '
    NR > 1 && $1 < max && burst <= $1 { falls++ }
    NR > 1 && $1 > max && $2 <= max { rises++ }
    { max = $1; burst = $2 }
    END { print (falls > 0) ? "down" : "-", (rises > 0) ? "up" : "-" }' /run/lab/watch.out)" "down up"
is "the kernel refused nothing to PID 1" "$(refused)" ""

systemctl daemon-reload
wait_epochs 1
ok "a daemon-reload leaves the burst" in_step batch.slice
is "and nobody takes it for somebody's change" "$(said 'Someone else')" 0

# ---- somebody else's -----------------------------------------------------------------------------
conf 20%
systemctl reload coallocd
quota=$(quota_usec_of batch.slice)
wait_for 30 quota_moved -gt
theirs=$(($(quota_usec_of batch.slice) - 1000))
echo $theirs >"/sys/fs/cgroup$(cgroup_of batch.slice)/cpu.max.burst"
ok "somebody's burst is theirs" wait_for 20 sh -c 'journalctl -b -u coallocd -o cat | grep "Someone else changed cpu.max.burst of batch.slice"'
conf 140%
systemctl reload coallocd
ok "the quota that it keeps the kernel from is noticed" wait_for 30 state_is batch refused
diag "$(seen batch note)"
ok "with the reason and what to do" sh -c 'journalctl -b -u coallocd -o cat | grep "did not take CPUQuota=.*cpu.max.burst ('$theirs' us a period) is larger.*coallocctl adopt"'
is "the burst is left alone" "$(burst_of batch.slice)" "$theirs"
quota=$(quota_usec_of batch.slice)
ok "it is adopted" coallocctl adopt batch.slice
ok "and the quota comes through" wait_for 30 quota_moved -lt

# ---- given back ----------------------------------------------------------------------------------
systemctl stop coallocd
is "after a stop every quota and weight is as it was" "$(all_limits)" "$before"
is "and the burst is what it was when coalloc took it over last" "$(burst_of batch.slice)" "$theirs"
echo 20000 >"/sys/fs/cgroup$(cgroup_of batch.slice)/cpu.max.burst"
systemctl start coallocd
ok "bursts are in step again" wait_for 60 sh -c '. /lab/guest/lib.sh
    [ "$(read_cgroup shop-app.slice cpu.max.burst)" = "$(cpu_max_of shop-app.slice | sed "s/ .*//")" ] && [ "$(read_cgroup batch.slice cpu.max.burst)" != 20000 ]'
systemctl kill --signal=KILL coallocd
ok "it is killed" wait_for 60 systemctl is-failed coallocd
is "after SIGKILL every quota and weight is as it was" "$(all_limits)" "$before"
is "and so is the burst" "$(burst_of batch.slice)" "$bursts"
rm -rf /run/systemd/system/coallocd.service.d
systemctl daemon-reload

done_testing
