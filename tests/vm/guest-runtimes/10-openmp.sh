#!/bin/sh
# SPDX-License-Identifier: MIT
# limit: 240 s
#
# OpenMP counts CPUs and no quota.
. /lab/guest-runtimes/lib.sh

if ! ldd /lab/bin/openmp_threads | grep -q 'libgomp.* => /'; then
    skip "OpenMP" "the compiler has no OpenMP, or libgomp1 is not in the image"
    done_testing
fi

measure /lab/bin/openmp_threads
is "OpenMP does not see the quota of its service" "$service_first" "$cpus"
is "its pool has a thread for every CPU" "$service_first_pool" "$cpus"
is "nor that of its slice" "$slice_first" "$cpus"
is "nor one that is set later" "$service_later" "$cpus"
is "nor a weight" "$with_weight" "$cpus"

program_stop
capped_by_conf lab-capped.slice
program_start '' CPUWeight=100 /lab/bin/openmp_threads
is "doctor counts as OpenMP does" "$(doctor_says lab-capped.slice openmp threads)" "$cpus"
is "and warns" "$(doctor_says lab-capped.slice openmp result)" warning
program_start '' Environment=OMP_NUM_THREADS=2 /lab/bin/openmp_threads
is "OMP_NUM_THREADS is heeded" "$(next_field now)" 2
is "and doctor is content with it" "$(doctor_says lab-capped.slice openmp result)" ""

program_stop
done_testing
