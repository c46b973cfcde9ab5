# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What the scripts about runtimes share; "." it in place of /lab/guest/lib.sh. A program under test
# writes lines "now=N pool=N": the CPUs it counts at this moment, and those its pool was sized for.

. /lab/guest/lib.sh

out=/run/lab/runtime.out
cpus=$(nproc)

# program_start SLICE_QUOTA SERVICE_PROPERTY COMMAND...: in lab-capped.slice, which has that quota
program_start() {
    program_stop
    systemctl set-property --runtime lab-capped.slice "CPUQuota=$1"
    service_property=$2
    shift 2
    systemd-run --quiet --unit=lab-runtime --slice=lab-capped.slice --property="$service_property" \
        --setenv=GODEBUG=schedtrace=500 --property="StandardOutput=truncate:$out" \
        --property=StandardError=inherit "$@"
    wait_for 60 grep -q now= "$out" || { diag "nothing from: $*"; sed 's/^/# /' "$out"; }
}

program_stop() {
    systemctl stop lab-runtime 2>/dev/null
    systemctl reset-failed lab-runtime 2>/dev/null
    rm -f "$out"
}

has_lines() { [ "$(grep -c now= "$out")" -ge "$1" ]; }

# next_field NAME: from a line that was begun after this was called
next_field() {
    lines=$(grep -c now= "$out")
    wait_for 20 has_lines $((lines + 2))
    tail -n 1 "$out" | field "$1"
}

# measure COMMAND...: sets the numbers below, and shows them as a row
measure() {
    program_start '' CPUWeight=10 "$@"
    with_weight=$(next_field now)
    program_start '' CPUWeight=100 "$@"
    without=$(next_field now)
    systemctl set-property --runtime lab-runtime.service CPUQuota=200%
    service_later=$(next_field now)
    service_later_pool=$(next_field pool)
    systemctl set-property --runtime lab-runtime.service CPUQuota=
    systemctl set-property --runtime lab-capped.slice CPUQuota=200%
    slice_later=$(next_field now)
    program_start '' CPUQuota=200% "$@"
    service_first=$(next_field now)
    service_first_pool=$(next_field pool)
    program_start 200% CPUWeight=100 "$@"
    slice_first=$(next_field now)
    diag "CPUs counted, of $cpus: $without; weight 10: $with_weight; at most 2 for the service from" \
        "the start: $service_first, later: $service_later (pool $service_later_pool); for the slice" \
        "from the start: $slice_first, later: $slice_later"
}

# doctor_says UNIT RUNTIME KEY: of the thread pools of the unit
doctor_says() {
    coallocctl doctor --json |
        jq -r --arg unit "$1" --arg runtime "$2" --arg key "$3" \
            '.checks[] | select(.check == "threads" and .unit == $unit and .runtime == $runtime) | .[$key]'
}

capped_by_conf() {
    write_conf <<-END
	[Manager]
	Enforce=quota

	[Service capped]
	Unit=$1
	END
}
