#!/bin/sh
# SPDX-License-Identifier: MIT
# limit: 3600 s
#
# 1000 units.
. /lab/guest/lib.sh
. /lab/guest/daemon.sh
. /lab/guest-scale/scale.sh

measure_scale 1000
done_testing
