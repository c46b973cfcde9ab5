#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The laboratory without pressure stall information.
. /lab/guest/lib.sh

is "systemd is PID 1" "$(cat /proc/1/comm)" systemd
fails "the kernel does not measure pressure" cat /proc/pressure/cpu
ok "a request passes all three services all the same" wait_for 20 is_healthy

done_testing
