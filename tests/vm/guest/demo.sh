#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Shows a shop and a batch job that share a host.
. /lab/guest/lib.sh

slices='shop-web.slice shop-app.slice shop-db.slice batch.slice'

title() { printf '\n\033[1m%s\033[0m\n' "$*"; }

# What a slice used and how long somebody in it waited, in percent of a CPU and of the time. Each
# slice has its own clock: under load, asking takes a while.
counters_of() {
    usec=$(cpu_usec_of "$1") pressure_usec=$(pressure_usec_of "$1")
    echo "$1 $(uptime_cs) ${usec:-0} ${pressure_usec:-0}"
}

show_slices() {
    for slice in $slices; do counters_of "$slice"; done >/run/lab/before
    sleep 5
    for slice in $slices; do counters_of "$slice"; done >/run/lab/after
    printf '%-16s %6s %11s %7s %7s\n' SLICE 'USE %' 'PRESSURE %' QUOTA WEIGHT
    paste -d ' ' /run/lab/before /run/lab/after |
        while read -r slice cs usec pressure_usec _ cs_now usec_now pressure_usec_now; do
            printf '%-16s %6s %11s %7s %7s\n' "$slice" \
                $(((usec_now - usec) / 100 / (cs_now - cs))) \
                $(((pressure_usec_now - pressure_usec) / 100 / (cs_now - cs))) \
                "$(quota_percent_of "$slice")" "$(cpu_weight_of "$slice")"
        done
}

last_second() { grep '^second ' /run/lab/load.out | tail -n 1; }

title "A host: $(nproc) CPUs, Linux $(uname -r), $(systemctl --version | sed -n '1s/ (.*//p')"
wait_for 30 is_healthy || { echo "The shop did not start."; exit 1; }
load_start 30
wait_for 20 test -s /run/lab/load.out
title "The shop serves 30 customers a second"
show_slices
last_second

hog_start 4
title "A batch job starts beside it"
show_slices
last_second
hog_stop
load_stop >/dev/null
