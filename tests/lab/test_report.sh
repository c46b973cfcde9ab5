#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the laboratory's report says of runs that are made up. COALLOC_SEED= asks for other ones.

: "${COALLOC_SRCDIR:=.}"
. "$COALLOC_SRCDIR/tests/lib/tap.sh"

command -v python3 >/dev/null 2>&1 && python3 -c 'import statistics' 2>/dev/null ||
        skip_all "python3 is not installed"
exec python3 "$COALLOC_SRCDIR/tests/lab/test_report.py" ${COALLOC_SEED:+"$COALLOC_SEED"}
