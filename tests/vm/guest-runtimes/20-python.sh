#!/bin/sh
# SPDX-License-Identifier: MIT
# limit: 240 s
#
# Python counts CPUs and no quota; its executors are sized from that.
. /lab/guest-runtimes/lib.sh

cat >/run/lab/threads.py <<'END'
import os, time
while True:
    now = getattr(os, "process_cpu_count", os.cpu_count)()
    print(f"now={now} pool={len(os.sched_getaffinity(0))}", flush=True)
    time.sleep(0.5)
END

diag "$(python3 --version)"
measure python3 /run/lab/threads.py
is "Python does not see the quota of its service" "$service_first" "$cpus"
is "nor that of its slice" "$slice_first" "$cpus"
is "nor a weight" "$with_weight" "$cpus"

program_stop
done_testing
