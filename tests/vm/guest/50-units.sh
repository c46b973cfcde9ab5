#!/bin/sh
# SPDX-License-Identifier: MIT
# limit: 600 s
#
# Units that stop, restart, appear, are masked or do not exist; other people's hands; configuration.
. /lab/guest/lib.sh
. /lab/guest/daemon.sh

conf() {
    write_conf <<END
[Manager]
EpochSec=4s
Enforce=quota
$1

[Service web]
Unit=shop-web.slice
Baseline=20%

[Service app]
Unit=shop-app.slice

[Service batch]
Unit=batch-hog.service

[Service tenants]
Unit=tenant-*.slice

[Service ghost]
Unit=nowhere.service

[Service mask]
Unit=masked.service
END
}
conf
ln -sf /dev/null /run/systemd/system/masked.service
systemctl daemon-reload
systemctl set-property --runtime shop-app.slice CPUQuota=70%
own=$(cat /run/systemd/system.control/shop-app.slice.d/50-CPUQuota.conf)
hog_start 2
load_start 10

ok "the daemon starts" systemctl enable --now coallocd
ok "the services get quotas" wait_for 60 has_quota batch-hog.service
is "a unit that does not exist is shown, not made" "$(look; seen ghost state)" inactive
is "no cgroup was made for it" "$(find /sys/fs/cgroup -name 'nowhere*')" ""
is "a masked unit is shown as inactive" "$(look; seen mask state)" inactive
ok "an administrator's own quota bounds what the unit gets" test "$(quota_percent_of shop-app.slice)" -le 70

# stop, restart, new
systemctl stop batch-hog
ok "a stopped unit is shown as inactive" wait_for 20 state_is batch inactive
wait_epochs 3
is "its drop-in is taken back while it is stopped" "$(dropins_of batch-hog.service)" ""
hog_start 2
ok "a unit that starts again is managed again" wait_for 40 has_quota batch-hog.service
inode_before=$(stat -c %i /sys/fs/cgroup"$(cgroup_of batch-hog)")
systemctl restart batch-hog
ok "a restart makes a new cgroup" test "$(stat -c %i /sys/fs/cgroup"$(cgroup_of batch-hog)")" != "$inode_before"
ok "and it is managed again" wait_for 40 sh -c '. /lab/guest/lib.sh; . /lab/guest/daemon.sh; state_is batch managed && has_quota batch-hog.service'
systemd-run --quiet --unit=new-work --slice=tenant-a.slice sleep 300
ok "a new unit that fits a pattern becomes a service of its own" wait_for 40 has_quota tenant-a.slice
systemctl stop new-work tenant-a.slice

# daemon-reload
quota=$(quota_percent_of shop-web.slice)
systemctl daemon-reload
wait_epochs 2
ok "after daemon-reload the quotas are still in force" has_quota shop-web.slice
is "and nothing became foreign" "$(look; seen web state)" managed
systemctl daemon-reexec
ok "it survives the re-execution of PID 1" wait_for 60 wait_epochs 1
is "and still manages" "$(look; seen web state)" managed

# a foreign hand
systemctl set-property --runtime shop-web.slice CPUQuota=55%
ok "a foreign change makes the unit foreign" wait_for 30 state_is web foreign
wait_epochs 2
is "and it is left alone" "$(quota_percent_of shop-web.slice)" 55
ok "status tells what to do" sh -c 'coallocctl status | grep -q "coallocctl adopt"'
ok "adopt takes it back" coallocctl adopt shop-web.slice
ok "then it is managed again" wait_for 30 sh -c '. /lab/guest/lib.sh; . /lab/guest/daemon.sh; state_is web managed && ! quota_is shop-web.slice 55'

# configuration
good=$(cat /etc/coalloc.conf)
before_reload=$(quota_percent_of shop-web.slice)
conf "Spare=250%"
fails "a wrong configuration is refused on reload" systemctl reload coallocd
ok "the message names file, line and key" sh -c 'coallocctl reload 2>&1 | grep -q "coalloc.conf:[0-9]*: Spare=:"'
ok "the daemon runs on" systemctl is-active coallocd
ok "status shows the error" sh -c 'coallocctl status | grep -q "Spare="'
ok "verify finds it as well" sh -c '! coallocctl verify'
ok "and what was in force still is" has_quota shop-web.slice
conf
ok "a right configuration is accepted" systemctl reload coallocd
is "the error is gone" "$(property ConfigError)" ""
sed -i '/^\[Service web\]/,/^$/d' /etc/coalloc.conf
ok "a service leaves the configuration" systemctl reload coallocd
ok "its unit is given back what it had: what a foreign hand gave it" wait_for 20 quota_is shop-web.slice 55
sed -i 's/Enforce=quota/Enforce=weight/' /etc/coalloc.conf
ok "another Enforce= is accepted" systemctl reload coallocd
ok "quotas are given back, an administrator's own included" wait_for 30 quota_is shop-app.slice 70

# freeze, mode
ok "freeze" coallocctl freeze
is "is shown" "$(property Frozen)" true
ok "thaw" coallocctl thaw
ok "mode observe gives everything back" coallocctl mode observe
is "weights too" "$(systemctl show -p CPUWeight --value batch-hog)" "[not set]"
ok "mode enforce" coallocctl mode enforce
wait_epochs 2

ok "it stops" systemctl stop coallocd
is "the administrator's own drop-in is byte for byte what it was" \
    "$(cat /run/systemd/system.control/shop-app.slice.d/50-CPUQuota.conf)" "$own"
is "and its quota" "$(quota_percent_of shop-app.slice)" 70
is "nothing else of ours is left" "$(find /run/systemd/system.control -name '50-CPUWeight.conf')" ""
write_conf <<'END'
[Manager]
EpochSec=nonsense
END
fails "with a wrong configuration it does not start" systemctl start coallocd
is "and says so by its exit status" "$(systemctl show -p ExecMainStatus --value coallocd)" 78
rm -f /run/systemd/system/masked.service

done_testing
