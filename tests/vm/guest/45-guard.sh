#!/bin/sh
# SPDX-License-Identifier: MIT
# limit: 240 s
#
# The guard: a service whose load steps while the spare CPU lies elsewhere is given room long before the
# epoch ends, and the quotas still sum to what they may.
. /lab/guest/lib.sh
. /lab/guest/daemon.sh

conf() {
    write_conf <<END
[Manager]
Mode=enforce
Enforce=quota
EpochSec=$1
Reserve=20%
[Service web]
Unit=shop-web.slice
[Service app]
Unit=shop-app.slice
[Service db]
Unit=shop-db.slice
[Service batch]
Unit=batch.slice
END
}

# Says when the kernel first shows a throttled period of a cgroup, and when a larger quota; milliseconds.
cat >/run/lab-reaction.py <<'END'
import os, sys, time

def read(name):
    return os.pread(fds[name], 4096, 0).decode()

def throttled():
    return int(read("cpu.stat").split("nr_throttled ")[1].split()[0])

def quota():
    text = read("cpu.max").split()
    return float("inf") if text[0] == "max" else int(text[0]) / int(text[1])

fds = {name: os.open(f"/sys/fs/cgroup/{sys.argv[1]}/{name}", os.O_RDONLY) for name in ("cpu.stat", "cpu.max")}
throttled_before, quota_before = throttled(), quota()
print("watching", flush=True)
first = None
end = time.monotonic() + 60
while time.monotonic() < end:
    if first is None and throttled() > throttled_before:
        first = time.monotonic()
    if quota() > quota_before:
        now = time.monotonic()
        print(f"reaction_ms={round(1000 * (now - (first or now)))} periods={throttled() - throttled_before}", flush=True)
        break
    time.sleep(0.01)
END

before=$(all_limits)
conf 4s
# Nothing but a sleeper, so that the slice runs and has a quota before there is load.
systemd-run --quiet --unit=lab-sleeper --slice=batch.slice sleep infinity
WATCHER_PAUSE_USEC=3000
watcher_start $shop batch.slice
ok "the daemon starts" systemctl start coallocd
ok "every service has a quota" wait_for 60 sh -c '. /lab/guest/lib.sh; . /lab/guest/daemon.sh
    for u in shop-web shop-app shop-db batch; do has_quota $u.slice || exit 1; done'
# In its first epoch a unit is taken to be starting and to need its fair share, which it does not lend.
ok "their first epochs are over" wait_for 60 sh -c '. /lab/guest/lib.sh; . /lab/guest/daemon.sh
    test "$(property Epoch)" -ge 3'
conf 10min
ok "from now on an epoch does not end" systemctl reload coallocd
# The others have to be quiet for some seconds before they lend.
sleep 8
epoch=$(property Epoch)
quota_before=$(quota_percent_of batch.slice)

mkdir -p /run/lab
systemd-run --quiet --unit=lab-reaction --slice=load.slice \
    --property=StandardOutput=truncate:/run/lab/reaction.out python3 /run/lab-reaction.py batch.slice
ok "somebody looks when it happens" wait_for 20 grep -q watching /run/lab/reaction.out
hog_start 1
ok "the quota of who is throttled is raised" wait_for 20 grep -q reaction_ms /run/lab/reaction.out
is "in the same epoch" "$(property Epoch)" "$epoch"
# Until it is in force: the second throttled period, the next look, and the write; under emulation.
between "within a few periods of the first that was throttled (ms)" 0 "$(field reaction_ms </run/lab/reaction.out)" 3000
diag "batch: $quota_before % before; $(sed -n '/reaction/p' /run/lab/reaction.out)"
ok "once more, until it is no longer throttled" wait_for 20 quota_at_least batch.slice 90
diag "batch: $(quota_percent_of batch.slice) % now; web, app, db: $(quota_percent_of shop-web.slice) \
$(quota_percent_of shop-app.slice) $(quota_percent_of shop-db.slice) %"
ok "the journal says so" sh -c 'journalctl -b -q -o cat MESSAGE_ID=5bd157996ea64c2e8d6d8e310a73257c \
    COALLOC_UNIT=batch.slice COALLOC_REASON=guard | grep -q "batch.slice was throttled in"'
ok "and so does the property" test "$(property GuardRaises)" -ge 1
ok "status says what the cgroup files say" wait_for 30 status_is_true
is "and who was raised" "$(seen batch note)" "raised by the guard"

seen_sum=$(watcher_stop)
diag "$seen_sum"
between "at no instant did the quotas sum to more than capacity minus reserve" 1 \
    "$(echo "$seen_sum" | field max_limited_usec)" 1800000

hog_stop
ok "it stops" systemctl stop coallocd
systemctl stop lab-sleeper
is "and every quota and weight is as it was" "$(all_limits)" "$before"

done_testing
