# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What coallocd costs with many units, and what it costs systemd; "." lib.sh, daemon.sh and this, then
# measure_scale N. Time is counted in instructions here (see "run"), a nanosecond each: it runs as on
# a machine of its own that does 10^9 of them a second, and does not where nothing happens.

n_loaded=24             # tenants with a service that does something
n_stormy=500            # units that stop or start at once
most_writes=100         # a second: 50 a round (actuate.c), and as many again that are urgent
epoch_sec=30
window_sec=20           # of sampling, between two epochs

tenants() { seq -f 'tenant-%05.0f.slice' "$1" "$2"; }
n_active() { find /sys/fs/cgroup/tenant.slice -mindepth 1 -maxdepth 1 -type d | wc -l; }

# Both print microseconds.
now_usec() { date +%s%6N; }
cpu_usec_of_process() { awk '{ print int($1 / 1000) }' "/proc/$1/schedstat"; }

daemon_pid() { systemctl show --property=MainPID --value coallocd; }
daemon_cpu_usec() { cpu_usec_of_process "$pid"; }
init_cpu_usec() { cpu_usec_of_process 1; }
bus_cpu_usec() { cpu_usec_of_process "$(systemctl show --property=MainPID --value dbus)"; }
journal_cpu_usec() { cpu_usec_of_process "$(systemctl show --property=MainPID --value systemd-journald)"; }

# ---- figures -------------------------------------------------------------------------------------

figures=
verdicts=

# figure NAME NUMBER UNIT WHAT: a line of the table, and a member of the JSON
figure() {
    figures="$figures, \"$1\": $2"
    diag "$(printf '%10s %-7s %s' "$2" "$3" "$4")"
}

# bounded NAME NUMBER MOST UNIT WHAT: a figure that has a target, which is told again in the end
bounded() {
    verdict=$(awk -v n="$2" -v most="$3" 'BEGIN { print (n <= most ? "met" : "MISSED") }')
    figure "$1" "$2" "$4" "$5 (target $3: $verdict)"
    verdicts="$verdicts$(printf '%-7s %10s of at most %-6s %-4s %s' "$verdict" "$2" "$3" "$4" "$5")
"
}

# ratio A B: with two decimals
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", (b > 0 ? a / b : 0) }'; }

# ---- what is seen on the bus ---------------------------------------------------------------------

bus_log=/run/lab/bus.log

monitor_start() {
    dbus-monitor --system --profile "type='signal',interface='org.coalloc1.Manager',member='EpochDone'" \
        "type='method_call',member='SetUnitProperties'" >$bus_log 2>&1 &
    monitor=$!
}

# Times of what was seen, one a line, in seconds since 1970.
times_of() { awk -F '\t' -v member="$1" '$NF == member { print $2 }' $bus_log; }

# wait_epoch: until the next one is over. By the monitor, for asking the daemon would cost it something;
# without polling, for that would cost more than all that is measured.
wait_epoch() { timeout $((4 * epoch_sec)) sh -c "tail -n 0 -f $bus_log | grep -q -m 1 EpochDone"; }

writes_since() { times_of SetUnitProperties | awk -v since="$1" '$1 >= since' | wc -l; }
# Most writes within a second.
writes_peak_since() {
    times_of SetUnitProperties | awk -v since="$1" '$1 >= since { n[int($1)]++ }
        END { for (s in n) if (n[s] > most) most = n[s]; print most + 0 }'
}
seconds_from_to_last_write() {
    times_of SetUnitProperties | awk -v since="$1" '$1 >= since { if (!first) first = $1; last = $1 }
        END { printf "%.1f", last - first }'
}
# Until nothing has been written for 5 s; at most so many times that.
wait_for_calm() {
    for _ in $(seq "$1"); do
        before=$(times_of SetUnitProperties | wc -l)
        sleep 5
        [ "$(times_of SetUnitProperties | wc -l)" != "$before" ] || return 0
    done
    return 1
}
# The largest distance of an epoch from its time, in percent of an epoch, of those since then.
lateness_since() {
    times_of EpochDone | awk -v since="$1" -v epoch=$epoch_sec '
        $1 >= since && last { d = $1 - last - epoch; if (d > most) most = d }
        { last = $1 }
        END { printf "%.1f", most * 100 / epoch }'
}

# ---- the daemon ----------------------------------------------------------------------------------

configure() {
    write_conf <<END
[Manager]
Mode=$1
EpochSec=${epoch_sec}s

[Service tenants]
Unit=tenant-*.slice
END
}

start_daemon() {
    before_init=$(init_cpu_usec) before_usec=$(now_usec)
    ok "the daemon starts with $n units ($1)" systemctl start coallocd
    after_usec=$(now_usec)
    pid=$(daemon_pid)
    figure "$1_ready_sec" "$(ratio $((after_usec - before_usec)) 1000000)" s "to READY, mode $1"
    figure "$1_ready_cpu_ms" $(($(daemon_cpu_usec) / 1000)) ms "of CPU of the daemon for that"
    figure "$1_ready_init_cpu_ms" $((($(init_cpu_usec) - before_init) / 1000)) ms "of CPU of PID 1"
}

# Who is there and what is in force is what systemd and the kernel say.
is_consistent() {
    look
    jq -r '.services[] | select(.managed and .active) | .unit' /run/lab/status.json | sort >/run/lab/managed
    find /sys/fs/cgroup/tenant.slice -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort >/run/lab/there
    cmp /run/lab/managed /run/lab/there || return 1
    jq -e '[.services[] | select(.managed and .active and .quota_applied_milli != null and
            .quota_applied_milli != .quota_read_milli)] | length == 0' /run/lab/status.json
}

storm() {
    verb=$1
    since=$(date +%s)
    before_cpu=$(daemon_cpu_usec) before_init=$(init_cpu_usec) before_usec=$(now_usec)
    tenants $((n - n_stormy + 1)) "$n" | xargs systemctl "$verb"
    after_usec=$(now_usec)
    figure "storm_${verb}_sec" "$(ratio $((after_usec - before_usec)) 1000000)" s \
        "for $n_stormy units to $verb"
    figure "storm_${verb}_cpu_ms" $((($(daemon_cpu_usec) - before_cpu) / 1000)) ms "of CPU of the daemon then"
    figure "storm_${verb}_init_cpu_ms" $((($(init_cpu_usec) - before_init) / 1000)) ms "of CPU of PID 1"
    wait_epoch
    wait_epoch
    bounded "storm_${verb}_late_percent" "$(lateness_since "$since")" 10 % \
        "of an epoch the epochs of that storm came late"
    bounded "storm_${verb}_writes_peak" "$(writes_peak_since "$since")" $most_writes 1/s "writes of that storm"
}

# A target with 1000 units; with more it is told only.
resident() {
    kib=$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")
    if [ "$n" -le 1000 ]; then
        bounded "$1" "$kib" 8192 KiB resident
    else
        figure "$1" "$kib" KiB resident
    fi
}

# ---- all of it -----------------------------------------------------------------------------------

measure_scale() {
    n=$1
    figures="\"units\": $n, \"loaded\": $n_loaded, \"epoch_sec\": $epoch_sec"
    diag "$n slices, $n_loaded with a service that does something; $(uname -r), systemd $(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')"

    before_usec=$(now_usec)
    tenants 1 "$n" | xargs -n 1000 systemctl start
    seq -f 'tenant-load@%05.0f' 1 $n_loaded | xargs systemctl start
    is "all slices are there" "$(n_active)" "$n"
    figure make_sec "$(ratio $(($(now_usec) - before_usec)) 1000000)" s "to start the slices"
    limits=$(all_limits | cksum)    # too much to be shown
    monitor_start

    # Measuring only: what sampling costs, and what an epoch does.
    configure observe
    start_daemon observe
    sleep 5
    before_cpu=$(daemon_cpu_usec)
    reads=$(/lab/bin/reads $window_sec /sys/fs/cgroup/tenant.slice)
    second_usec=$((($(daemon_cpu_usec) - before_cpu) / window_sec))
    reads_usec=$(($(echo "$reads" | field cpu_nsec) / 1000 / window_sec))
    of_reads=$(ratio $second_usec $reads_usec)
    figure second_usec $second_usec us "of CPU of the daemon for a second of sampling"
    figure reads_usec $reads_usec us "of CPU of a loop that only reads the same files"
    bounded ratio "$of_reads" 1.5 "" "a second of sampling beside the reads alone"
    resident rss_kib
    wait_epoch
    sleep 3
    before_cpu=$(daemon_cpu_usec) since=$(date +%s)
    wait_epoch
    wait_epoch
    sleep 3
    seconds=$(($(date +%s) - since))
    epoch_usec=$((($(daemon_cpu_usec) - before_cpu - seconds * second_usec) / 2))
    figure epoch_cpu_ms $((epoch_usec / 1000)) ms "of CPU of an epoch that decides and writes nothing"
    figure epoch_in_seconds "$(ratio $epoch_usec $second_usec)" "" "the same in seconds of sampling"
    bounded epoch_late_percent "$(lateness_since "$since")" 10 % "of an epoch calm epochs came late"
    ok "everybody is followed" is_consistent
    systemctl stop coallocd

    # Enforcing: what that costs systemd.
    configure enforce
    start_daemon enforce
    since=$(date +%s)
    wait_epoch
    before_cpu=$(daemon_cpu_usec) before_init=$(init_cpu_usec) before_bus=$(bus_cpu_usec)
    before_journal=$(journal_cpu_usec)
    ok "the first writes end" wait_for_calm 60
    first_init_usec=$(($(init_cpu_usec) - before_init))
    n_first=$(writes_since "$since")
    first_sec=$(seconds_from_to_last_write "$since")
    figure first_writes "$n_first" "" "SetUnitProperties after the first decision"
    bounded first_writes_peak "$(writes_peak_since "$since")" $most_writes 1/s "writes after the first decision"
    figure first_writes_sec "$first_sec" s "from the first to the last"
    figure first_init_cpu_ms $((first_init_usec / 1000)) ms "of CPU of PID 1 for that"
    figure first_write_usec "$(ratio $first_init_usec "$n_first")" us "of it for a write, with the reading before"
    figure first_init_percent "$(ratio $((first_init_usec / 10000)) "$first_sec")" % "of a CPU in PID 1 meanwhile"
    figure first_bus_cpu_ms $((($(bus_cpu_usec) - before_bus) / 1000)) ms "of CPU of the bus"
    figure first_journal_cpu_ms $((($(journal_cpu_usec) - before_journal) / 1000)) ms "of CPU of the journal"
    figure first_cpu_ms $((($(daemon_cpu_usec) - before_cpu) / 1000)) ms "of CPU of the daemon"
    wait_epoch
    since=$(date +%s) before_init=$(init_cpu_usec)
    wait_epoch
    wait_epoch
    figure calm_writes "$(writes_since "$since")" "" "SetUnitProperties in two calm epochs"
    figure calm_init_cpu_ms $((($(init_cpu_usec) - before_init) / 1000)) ms "of CPU of PID 1 meanwhile"

    storm stop
    ok "after that everybody is followed, and quotas are in force" is_consistent
    storm start
    ok "after that as well" is_consistent
    resident rss_end_kib

    is "nobody ended the daemon meanwhile" "$(systemctl show --property=NRestarts --value coallocd)" 0
    before_init=$(init_cpu_usec) before_usec=$(now_usec) n_changed=$(find /run/systemd/system.control -type f | wc -l)
    ok "the daemon stops" systemctl stop coallocd
    figure stop_sec "$(ratio $(($(now_usec) - before_usec)) 1000000)" s "to give everything back ($n_changed drop-ins)"
    figure stop_init_cpu_ms $((($(init_cpu_usec) - before_init) / 1000)) ms "of CPU of PID 1 for that"
    is "no drop-in is left" "$(find /run/systemd/system.control -type f 2>/dev/null | wc -l)" 0
    is "every quota and weight is as it was" "$(all_limits | cksum)" "$limits"
    kill $monitor
    diag "Targets with $n units:
$verdicts"
    diag "{$figures}"
}
