#!/bin/sh
# SPDX-License-Identifier: MIT
# limit: 300 s
#
# Go before 1.25 counts CPUs and no quota; later ones follow their own cgroup's. The runtime's own trace
# tells.
. /lab/guest-runtimes/lib.sh

# A small server that leaves its threads to Go.
if ! command -v webhook >/dev/null; then
    skip "Go" "no webhook in the image (COALLOC_VM_PACKAGES)"
    done_testing
fi
echo '[]' >/run/lab/hooks.json
program="webhook -verbose -ip 127.0.0.1 -port 9000 -hooks /run/lab/hooks.json"

cat >/run/lab/traced <<'END'
#!/bin/sh
"$@" 2>&1 </dev/null | sed -un 's/.* gomaxprocs=\([0-9]*\).*/now=\1 pool=\1/p'
END
chmod +x /run/lab/traced

capped_by_conf lab-capped.slice
# shellcheck disable=SC2086 # several words on purpose
{
    program_start '' CPUWeight=100 /run/lab/traced $program
    version=$(doctor_says lab-capped.slice go version)
    diag "doctor: Go $version"
    is "doctor counts as Go does" "$(doctor_says lab-capped.slice go threads)" "$(next_field now)"
    is "doctor warns of Go in a slice" "$(doctor_says lab-capped.slice go result)" warning
    program_start '' Environment=GOMAXPROCS=2 /run/lab/traced $program
    is "GOMAXPROCS is heeded" "$(next_field now)" 2
    is "and doctor is content with it" "$(doctor_says lab-capped.slice go result)" ""
    measure /run/lab/traced $program
}
is "Go does not see the quota of its slice" "$slice_first" "$cpus"
is "nor one that comes later" "$slice_later" "$cpus"
is "a weight is not counted as CPUs" "$with_weight" "$cpus"
case $version in
1.[0-9] | 1.[0-9].* | 1.1[0-9]* | 1.2[0-4]*)
    is "Go before 1.25 does not see the quota of its service" "$service_first" "$cpus"
    is "nor one that comes later" "$service_later" "$cpus"
    ;;
*)
    is "Go since 1.25 sees the quota of its service" "$service_first" 2
    is "and follows one that comes later" "$service_later" 2
    ;;
esac

program_stop
done_testing
