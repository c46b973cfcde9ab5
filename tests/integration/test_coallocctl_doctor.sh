#!/bin/sh
# SPDX-License-Identifier: MIT
#
# coallocctl doctor on hosts that are directories: what it finds, says and returns.

: "${COALLOC_SRCDIR:=.}" "${COALLOC_BUILDDIR:=.}" "${COALLOC_SYSCONFDIR:=/etc}"
. "$COALLOC_SRCDIR/tests/lib/tap.sh"

ctl=$COALLOC_BUILDDIR/coallocctl
dir=$(mktemp -d) || exit 99
program_pid=''
trap 'kill $program_pid 2>/dev/null; rm -rf "$dir"' EXIT
unset NO_COLOR OMP_NUM_THREADS OMP_THREAD_LIMIT
LC_ALL=C COLUMNS=1000
DBUS_SYSTEM_BUS_ADDRESS=unix:path=$dir/no-bus
export LC_ALL COLUMNS DBUS_SYSTEM_BUS_ADDRESS

# ---- a host ------------------------------------------------------------------------------------------

root=$dir/root
tree=$root/sys/fs/cgroup

group() { # GROUP [CPU_MAX]
        mkdir -p "$tree/$1"
        printf 'usage_usec 1\nuser_usec 1\nsystem_usec 0\n' >"$tree/$1/cpu.stat"
        echo "${2:-max 100000}" >"$tree/$1/cpu.max"
        echo 100 >"$tree/$1/cpu.weight"
        echo cpu >"$tree/$1/cgroup.controllers"
        : >"$tree/$1/cgroup.procs"
}

# PID GROUP PROGRAM [MAPPED [ARGUMENT [VARIABLE]]]: a process that may run on four CPUs
process() {
        echo "$1" >>"$tree/$2/cgroup.procs"
        mkdir -p "$root/proc/$1"
        ln -sfn "$3" "$root/proc/$1/exe"
        printf '0-1 r-xp 0 08:01 1    %s\n' "${4-}" >"$root/proc/$1/maps"
        printf 'program\0%s\0' "${5-}" >"$root/proc/$1/cmdline"
        printf 'PATH=/bin\0%s\0' "${6-}" >"$root/proc/$1/environ"
        printf 'Name:\tx\nCpus_allowed_list:\t0-3\n' >"$root/proc/$1/status"
}

host() { # a fresh one, of four CPUs
        rm -rf "$root"
        mkdir -p "$tree" "$root/proc/pressure" "$root/sys/devices/system/cpu" "$root$COALLOC_SYSCONFDIR"
        printf 'some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n' >"$root/proc/pressure/cpu"
        echo 0-3 >"$root/sys/devices/system/cpu/online"
        echo cpuset cpu io memory >"$tree/cgroup.controllers"
        echo cpu >"$tree/cgroup.subtree_control"
}

conf() { cat >"$root$COALLOC_SYSCONFDIR/coalloc.conf"; }

doctor() { # [OPTION]
        out=$("$ctl" doctor --root="$root" "$@" 2>"$dir/err")
        status=$?
        err=$(cat "$dir/err")
}

# The lines of one check: its finding, then its advice.
lines_about() { printf '%s\n' "$out" | sed -n "/$1/{p;n;/->/p}"; }

# ---- a host without anything ---------------------------------------------------------------------------

host
doctor
is "$status/$err" 1/ "a host without a bus has failed, and nothing is complained of"
contains "$out" "ok  cgroup v2 at $tree" "the cgroup tree is found"
contains "$out" "ok  The cpu controller is on for all top units" "the controller is found"
contains "$out" "ok  The kernel shows CPU pressure (PSI)" "pressure is found"
contains "$out" "failed  The system bus cannot be reached" "no bus is found"
contains "$out" "-> Install and start dbus" "no bus: what to do"
contains "$out" "failed  coallocd.service is not installed" "no unit file is found"
contains "$out" "warning  The configuration is valid, but manages no unit" "an empty configuration is found"
is "$(lines_about threads)" "" "without managed units nobody's threads are looked at"
doctor --json
contains "$out" '{"ok":false,"checks":[{"check":"kernel","result":"ok"' "--json begins with the verdict"
contains "$out" '{"check":"bus","result":"failed","found":"The system bus cannot be reached: ' "--json has the findings"

rm -r "$tree"
doctor
contains "$out" "failed  No cgroup tree is mounted" "a host without cgroups is told so"

# ---- thread pools --------------------------------------------------------------------------------------

host
conf <<'END'
[Manager]
Enforce=quota

[Service shop]
Unit=shop.slice

[Service batch]
Unit=batch.service

[Service tenants]
Unit=tenant-*.slice
END
group shop.slice "150000 100000"
group shop.slice/web.service
group shop.slice/web.service/workers
group system.slice
group system.slice/batch.service
group other.slice
group other.slice/java.service

doctor
contains "$out" "ok  No thread pool is sized past a ceiling (0 processes looked at)" "units without processes are fine"

process 101 shop.slice/web.service /usr/bin/java
process 102 shop.slice/web.service/workers "/usr/bin/java (deleted)"
process 103 shop.slice/web.service /usr/bin/cat
process 104 shop.slice/web.service /usr/bin/python3 /opt/numpy.libs/libgomp-a34b3233.so.1.0.0
process 105 system.slice/batch.service /usr/bin/java
process 106 other.slice/java.service /usr/bin/java
doctor
is "$(lines_about 'Java.*own cgroup')" \
        " warning  shop.slice has at most 150%: Java in 2 processes sizes its pools once, at its start, by the quota that its own cgroup has then, not the slice: up to 4 threads
          -> Start it with -XX:ActiveProcessorCount=N, or use Enforce=both, which caps no service that is satisfied: coalloc.conf(5), THREAD POOLS." \
        "Java in a capped slice, golden"
contains "$out" " warning  shop.slice has at most 150%: OpenMP in 1 process counts CPUs and ignores quotas: 4 threads" \
        "OpenMP in a capped slice"
contains "$out" " warning  batch.service may get a ceiling: Java in 1 process sizes its pools once, at its start, by the quota that holds then: up to 4 threads" \
        "Java in a service that may be capped"
is "$(printf '%s\n' "$out" | grep -c threads$)" 3 "what is not managed is not looked at"
doctor --json
contains "$out" '"check":"threads","result":"warning","found":"shop.slice has at most 150%: OpenMP in 1 process counts CPUs and ignores quotas: 4 threads","advice":"Set OMP_NUM_THREADS=N in its environment, or use Enforce=both, which caps no service that is satisfied: coalloc.conf(5), THREAD POOLS.","unit":"shop.slice","runtime":"openmp","version":null,"processes":1,"threads":4,"ceiling_milli":1500,"in_force":true}' \
        "the keys of a finding about threads"
contains "$out" '"unit":"batch.service","runtime":"java","version":null,"processes":1,"threads":4,"ceiling_milli":null,"in_force":false}' \
        "a ceiling that nobody knows yet is null"

# Who was told how many threads to have is not warned of.
host
conf <<'END'
[Manager]
Enforce=quota

[Service tenants]
Unit=tenant-*.slice
END
group tenant.slice
group tenant.slice/tenant-a.slice
group tenant.slice/tenant-a.slice/run.scope
process 1 tenant.slice/tenant-a.slice/run.scope /usr/bin/java "" -XX:ActiveProcessorCount=2
process 2 tenant.slice/tenant-a.slice/run.scope /usr/bin/x /lib/libgomp.so.1 "" OMP_NUM_THREADS=2
doctor
contains "$out" "ok  No thread pool is sized past a ceiling (2 processes looked at)" \
        "programs that were told their number are fine, also in a unit of a pattern"
process 3 tenant.slice/tenant-a.slice/run.scope /usr/bin/x /lib/libomp.so.5
doctor
contains "$out" "tenant-a.slice may get a ceiling: OpenMP in 1 process" "one that was not is found beside them"

# Which settings may bring a ceiling.
ceiling_of() { # MANAGER_LINE SERVICE_LINE CPU_MAX [PROGRAM]: what is said of OpenMP or Java under these
        host
        printf '[Manager]\n%s\n[Service a]\nUnit=a.slice\n%s\n' "$1" "$2" | conf
        group a.slice "$3"
        process 9 a.slice "${4-/usr/bin/x}" /lib/libgomp.so.1
        doctor
        lines_about 'in 1 process' | sed -n 's/.*a\.slice \(.*\): \(OpenMP\|Java\).*/\1/p'
}
is "$(ceiling_of '' '' 'max 100000')" "" "Enforce=both without Max= and without a quota: nothing to say"
is "$(ceiling_of '' Max=50% 'max 100000')" "may be held to 50%" "Max= may bring a ceiling"
is "$(ceiling_of Enforce=weight Max=50% 'max 100000')" "" "not with Enforce=weight"
is "$(ceiling_of Enforce=weight '' '50000 100000')" "has at most 50%" "a quota in force is one, whoever set it"
is "$(ceiling_of Enforce=weight '' '400000 100000')" "" "one of all CPUs is none"
is "$(ceiling_of Enforce=quota Max=200% '70000 100000')" "has at most 70%" "what is in force is less than what may come"

# Java counted at its start; whether by the quota that it has now is only known where quotas stay.
is "$(ceiling_of '' '' '50000 100000' /usr/bin/java)" "has at most 50%" "Java may be older than a quota that moves"
is "$(ceiling_of Enforce=weight '' '50000 100000' /usr/bin/java)" "" "Java knows a quota of its own that stays"
is "$(ceiling_of '' '' '400000 100000' /usr/bin/java)" "" "a quota of all CPUs is none for Java either"

# Go tells its version.
go=$COALLOC_SRCDIR/tests/fuzz/corpus/process_runtime
go=$(cd "$go" && pwd)
host
conf <<'END'
[Manager]
Enforce=quota

[Service a]
Unit=a.service

[Service b]
Unit=b.slice
END
group system.slice
group system.slice/a.service "250000 100000"
group b.slice "250000 100000"
group b.slice/b.service
for unit in system.slice/a.service b.slice/b.service; do
        process "${#unit}1" "$unit" "$go/go-1.19-32"
        process "${#unit}2" "$unit" "$go/go-devel"
done
doctor
contains "$out" "a.service has at most 250%: Go 1.19.8 in 1 process counts CPUs and ignores quotas: 4 threads" \
        "an old Go ignores the quota of its service"
contains "$out" "Set GOMAXPROCS=N in its environment" "an old Go: what to do"
is "$(lines_about 'a.service.*Go 1.27')" "" "a new Go follows it"
contains "$out" "b.slice has at most 250%: Go 1.27-2d1a2c3 in 1 process follows the quota of its own cgroup, but none above it: 4 threads" \
        "a new Go does not see that of its slice"
contains "$out" "Name its .service in Unit= in place of what holds it" "a new Go: what to do"

# A real program, found by what the real kernel says of it.
program=$COALLOC_BUILDDIR/tests/integration/openmp_threads
mkfifo "$dir/said"
"$program" >"$dir/said" 2>/dev/null &
program_pid=$!
exec 3<"$dir/said"
if read -r said <&3 && grep -q '/lib\(gomp\|omp\|iomp\)[^/]*$' "/proc/$program_pid/maps"; then
        host
        rm -r "$root/proc"
        ln -s /proc "$root/proc"
        conf <<-'END'
	[Manager]
	Enforce=quota

	[Service a]
	Unit=a.slice
	END
        group a.slice
        echo "$program_pid" >"$tree/a.slice/cgroup.procs"
        doctor --json
        n_threads=${said##*=}
        if [ "$n_threads" -gt 1 ]; then
                contains "$out" "\"unit\":\"a.slice\",\"runtime\":\"openmp\",\"version\":null,\"processes\":1,\"threads\":$n_threads," \
                        "a real program with OpenMP is found, and its threads are counted as it counts them"
        fi
else
        printf '# no real program: this compiler has no OpenMP\n'
fi

# What only root may look at is counted.
host
printf '[Manager]\nEnforce=quota\n[Service a]\nUnit=a.slice\n' | conf
group a.slice
process 5 a.slice /usr/bin/java
process 6 a.slice /usr/bin/java
chmod 0 "$root/proc/6"
chmod 755 "$dir"
as_nobody=
[ "$(id -u)" -ne 0 ] || as_nobody='setpriv --reuid=65534 --regid=65534 --clear-groups'
# shellcheck disable=SC2086 # several words on purpose
if $as_nobody "$ctl" --version >/dev/null 2>&1; then
        out=$($as_nobody "$ctl" doctor --root="$root" 2>&1)
        contains "$out" "unknown  1 process of units with a ceiling could not be looked at" "what only root may look at is said"
        contains "$out" "-> Run it as root." "what only root may look at: what to do"
        contains "$out" "Java in 1 process" "the others are looked at"
else
        printf '# nobody may not run the build\n'
fi
chmod 700 "$root/proc/6"

# Work is bounded.
host
printf '[Manager]\nEnforce=quota\n[Service a]\nUnit=a.slice\n' | conf
group a.slice
i=0
mkdir "$root/proc/1"
ln -s /bin/cat "$root/proc/1/exe"
: >"$root/proc/1/maps"
while [ $i -lt 1001 ]; do
        echo 1
        i=$((i + 1))
done >"$tree/a.slice/cgroup.procs"
doctor
contains "$out" "unknown  Only the first 1000 processes were looked at" "work is bounded"

done_testing
