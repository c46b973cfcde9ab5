#!/bin/sh
# SPDX-License-Identifier: MIT
# limit: 10800 s
#
# 3000 units.
. /lab/guest/lib.sh
. /lab/guest/daemon.sh
. /lab/guest-scale/scale.sh

measure_scale 3000
done_testing
