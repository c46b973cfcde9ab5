#!/bin/sh
# SPDX-License-Identifier: MIT
# limit: 400 s
#
# Java counts by the quota of its own cgroup, and sizes its pools once.
. /lab/guest-runtimes/lib.sh

if ! command -v java >/dev/null; then
    skip "Java" "no java in the image (COALLOC_VM_PACKAGES)"
    done_testing
fi
diag "$(java -version 2>&1 | head -n 1)"
major=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
# The runtime of Debian has the compiler in it, only not its command.
java -m jdk.compiler/com.sun.tools.javac.Main -d /run/lab /lab/guest-runtimes/Threads.java || {
    skip "Java" "this java cannot compile"
    done_testing
}

measure java -cp /run/lab Threads
is "Java sees all CPUs without a quota" "$without" "$cpus"
is "Java sees the quota of its service" "$service_first" 2
is "and sizes its pool by it" "$service_first_pool" 2
is "it sees a quota that comes later" "$service_later" 2
is "but its pool stays as it was" "$service_later_pool" "$cpus"
is "a weight is not counted as CPUs" "$with_weight" "$cpus"
if [ "$major" -lt 24 ]; then
    is "Java before 24 does not see the quota of its slice" "$slice_first" "$cpus"
else
    is "Java since 24 sees the quota of its slice at the start" "$slice_first" 2
fi
is "no Java sees a quota of its slice that comes later" "$slice_later" "$cpus"

program_stop
capped_by_conf lab-capped.slice
program_start '' CPUWeight=100 java -cp /run/lab Threads
is "doctor finds Java in the slice" "$(doctor_says lab-capped.slice java result)" warning
is "and counts as Java does" "$(doctor_says lab-capped.slice java threads)" "$cpus"
diag "$(coallocctl doctor | grep -A 3 Java)"
capped_by_conf lab-runtime.service
is "doctor finds Java in the service" "$(doctor_says lab-runtime.service java result)" warning
program_start '' CPUWeight=100 java -XX:ActiveProcessorCount=2 -cp /run/lab Threads
is "-XX:ActiveProcessorCount is heeded" "$(next_field now)" 2
is "and doctor is content with it" "$(doctor_says lab-runtime.service java result)" ""

program_stop
done_testing
