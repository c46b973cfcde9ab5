#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A shop and a batch job share a host: coalloc looks, decides, protects the shop, and gives everything
# back.
. /lab/guest/lib.sh
. /lab/guest/daemon.sh

title() { printf '\n\033[1m%s\033[0m\n' "$*"; }

# tail_latency SECONDS: what the shop's customers see meanwhile
tail_latency() {
    load_stop >/dev/null
    load_start 25 '/shop?ms=5'
    sleep "$1"
    load_stop | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^(requests|p50_ms|p99_ms)=/) printf "%s ", $i; print "" }'
    load_start 25 '/shop?ms=5'
}

title "A host: $(nproc) CPUs, Linux $(uname -r), $(systemctl --version | sed -n '1s/ (.*//p')"
wait_for 30 is_healthy || { echo "The shop did not start."; exit 1; }
write_conf <<'END'
[Manager]
Mode=observe
EpochSec=5s

[Service web]
Unit=shop-web.slice
Calls=app

[Service app]
Unit=shop-app.slice
Baseline=30%
Calls=db

[Service db]
Unit=shop-db.slice

[Service batch]
Unit=batch.slice
Weight=10
END
echo 'nginx, an application server and redis-server serve a shop; a batch job wants every CPU.'
sed 's/^/    /' /etc/coalloc.conf
load_start 25 '/shop?ms=5'
hog_start 4
before=$(all_limits)

title '$ systemctl enable --now coallocd'
systemctl enable --quiet --now coallocd
wait_epochs 2
title '$ coallocctl status     (it only looks so far)'
coallocctl status
title 'What the customers see now'
tail_latency 12

title '$ coallocctl mode enforce'
coallocctl mode enforce
wait_epochs 3
coallocctl status
title '$ coallocctl coalitions     (web calls app, app calls db: they pool what they hold)'
coallocctl coalitions
title '$ coallocctl explain app'
coallocctl explain app
title 'What the customers see now'
tail_latency 12

title '$ systemctl stop coallocd'
systemctl stop coallocd
if [ "$(all_limits)" = "$before" ]; then
    echo 'Every quota and weight of this host is as it was before.'
else
    echo 'Something was not given back!'
    exit 1
fi
hog_stop
load_stop >/dev/null
