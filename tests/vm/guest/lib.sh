# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What a test script inside the laboratory stands on; "." it first. tests/vm/README.md explains it.

n_points=0
n_bad=0
output=$(mktemp)
shop='shop.slice/shop-web.slice shop.slice/shop-app.slice shop.slice/shop-db.slice'

# ---- TAP -----------------------------------------------------------------------------------------

diag() { printf '%s\n' "$*" | sed 's/^/# /'; }

pass() { n_points=$((n_points + 1)); echo "ok $n_points - $1"; }
fail() { n_points=$((n_points + 1)); n_bad=$((n_bad + 1)); echo "not ok $n_points - $1"; }

# ok SENTENCE COMMAND...: the command succeeds. What it printed is shown when it does not.
ok() {
    sentence=$1
    shift
    if "$@" >"$output" 2>&1 </dev/null; then
        pass "$sentence"
    else
        status=$?
        fail "$sentence"
        diag "status $status of: $*"
        sed 's/^/# /' "$output"
    fi
}

# fails SENTENCE COMMAND...: the command fails, by a status of its own and not by a signal.
fails() {
    sentence=$1
    shift
    "$@" >"$output" 2>&1 </dev/null
    status=$?
    if [ $status -gt 0 ] && [ $status -lt 126 ]; then
        pass "$sentence"
    else
        fail "$sentence"
        diag "status $status of: $*"
        sed 's/^/# /' "$output"
    fi
}

# is SENTENCE GOT WANTED
is() {
    if [ "$2" = "$3" ]; then
        pass "$1"
    else
        fail "$1"
        diag "got:    $2"
        diag "wanted: $3"
    fi
}

# between SENTENCE LOW NUMBER HIGH: integers, both ends included; shows the number either way.
between() {
    if [ "$2" -le "$3" ] 2>/dev/null && [ "$3" -le "$4" ]; then
        pass "$1"
        diag "$3 is within $2..$4"
    else
        fail "$1"
        diag "$3 is not within $2..$4"
    fi
}

skip() { n_points=$((n_points + 1)); echo "ok $n_points - $1 # SKIP $2"; }

# The last line of every script.
done_testing() {
    echo "1..$n_points"
    rm -f "$output"
    exit $((n_bad > 0))
}

# wait_for SECONDS COMMAND...: polls until the command succeeds; fails when the time is over.
wait_for() {
    wait_until=$(($(date +%s) + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$wait_until" ] || return 1
        sleep 0.2
    done
}

# ---- reading units -------------------------------------------------------------------------------

cgroup_of() { systemctl show --property=ControlGroup --value "$1"; }

# read_cgroup UNIT FILE: "-" where there is no such file: no unit, no cgroup, or controller off. A unit
# without a cgroup must not read the root's.
read_cgroup() {
    cgroup=$(cgroup_of "$1")
    cat "/sys/fs/cgroup${cgroup:-/none}/$2" 2>/dev/null || echo -
}

cpu_max_of() { read_cgroup "$1" cpu.max; }
cpu_weight_of() { read_cgroup "$1" cpu.weight; }
cpu_usec_of() { read_cgroup "$1" cpu.stat | sed -n 's/^usage_usec //p'; }
pressure_usec_of() { read_cgroup "$1" cpu.pressure | sed -n 's/^some .*total=//p'; }
throttled_usec_of() { read_cgroup "$1" cpu.stat | sed -n 's/^throttled_usec //p'; }

# quota_percent_of UNIT: 150 for one and a half CPUs; "none" without a quota
quota_percent_of() {
    cpu_max_of "$1" | awk '{ if ($1 == "max" || $1 == "-") print "none"; else print int($1 * 100 / $2) }'
}

# cpu_percent_of UNIT SECONDS: what the unit uses, measured for that long; 100 is one CPU
cpu_percent_of() {
    unit=$1
    before_usec=$(cpu_usec_of "$unit")
    before_cs=$(uptime_cs)
    sleep "$2"
    after_usec=$(cpu_usec_of "$unit")
    after_cs=$(uptime_cs)
    echo $(((after_usec - before_usec) / 100 / (after_cs - before_cs)))
}

uptime_cs() { sed 's/ .*//; s/\.//' /proc/uptime; }

# Quota and weight of every cgroup of the host, to be compared before and after.
all_limits() {
    (cd /sys/fs/cgroup && find . '(' -name cpu.max -o -name cpu.weight ')' -exec grep -H . {} + | sort)
}

# Names of the runtime drop-ins that set-property leaves, ours and anybody's.
dropins_of() { ls "/run/systemd/system.control/$1.d" 2>/dev/null; }

# ---- services and load ---------------------------------------------------------------------------

# is_healthy: a request passes web server, application server and database
is_healthy() {
    python3 - <<'END'
import socket, sys
s = socket.create_connection(("127.0.0.1", 80), 5)
s.sendall(b"GET /shop?ms=1 HTTP/1.0\r\n\r\n")
answer = b""
while (part := s.recv(4096)):
    answer += part
sys.exit(not (answer.startswith(b"HTTP/1.1 200") and b"article-" in answer))
END
}

# load_start RATE [PATH]: customers arrive at RATE a second; more words: tests/vm/load.c
load_start() {
    mkdir -p /run/lab
    rate=$1
    shift
    echo "ARGUMENTS=--rate $rate $*" >/run/lab/load.env
    systemctl restart shop-load
}

# Ends the load and prints its line "total requests=... failed=... p99_ms=..."
load_stop() {
    systemctl stop shop-load
    sed -n '/^total /p' /run/lab/load.out | tail -n 1
}

# field NAME: the number behind NAME= in what is read from standard input
field() { tr ' ' '\n' | sed -n "s/^$1=//p"; }

# hog_start [WORKERS]: stress-ng in batch.slice
hog_start() {
    mkdir -p /run/lab
    echo "WORKERS=${1:-4}" >/run/lab/hog.env
    systemctl restart batch-hog
}

hog_stop() { systemctl stop batch-hog; }

# ---- coalloc -------------------------------------------------------------------------------------

# write_conf [FILE]: standard input becomes /etc/coalloc.conf, or another file
write_conf() { mkdir -p "$(dirname "${1:-/etc/coalloc.conf}")" && cat >"${1:-/etc/coalloc.conf}"; }

# watcher_start CGROUP...: see tests/vm/watcher.c; watcher_stop prints its line
watcher_start() {
    mkdir -p /run/lab
    # A pause, or else the watcher would be the host's greediest process and disturb what it sees.
    systemd-run --quiet --unit=lab-watcher --slice=load.slice \
        --property=StandardOutput=truncate:/run/lab/watcher.out \
        /lab/bin/watcher --pause-usec "${WATCHER_PAUSE_USEC:-500}" "$@"
}

watcher_stop() {
    systemctl stop lab-watcher
    cat /run/lab/watcher.out
}
