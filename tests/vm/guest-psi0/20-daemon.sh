#!/bin/sh
# SPDX-License-Identifier: MIT
# limit: 300 s
#
# A kernel without pressure information: coallocd goes on by use and throttling alone, and says so.
. /lab/guest/lib.sh
. /lab/guest/daemon.sh

write_conf <<'END'
[Manager]
EpochSec=4s
Enforce=quota

[Service app]
Unit=shop-app.slice
Baseline=20%

[Service batch]
Unit=batch.slice
END
hog_start 4
before=$(all_limits)
ok "the daemon starts without PSI" systemctl enable --now coallocd
ok "it says so in the journal" sh -c 'journalctl -u coallocd | grep -q psi=1'
ok "the doctor finds it" sh -c 'coallocctl doctor | grep -q "warning .*(PSI)"'
ok "it still decides and writes" wait_for 60 has_quota batch.slice
ok "and keeps the baseline" quota_at_least shop-app.slice 20
is "status says that there is no pressure" "$(property PressureAvailable)" false
ok "it stops" systemctl stop coallocd
is "every quota is as it was" "$(all_limits)" "$before"
hog_stop

done_testing
