#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `coallocctl plan` against exact rational arithmetic, and its games against enumeration. COALLOC_SEED=,
# COALLOC_CASES= and COALLOC_GAMES= ask for others.

: "${COALLOC_SRCDIR:=.}" "${COALLOC_BUILDDIR:=.}"
. "$COALLOC_SRCDIR/tests/lib/tap.sh"

command -v python3 >/dev/null 2>&1 && python3 -c 'import fractions' 2>/dev/null ||
        skip_all "python3 is not installed"
exec python3 "$COALLOC_SRCDIR/tests/reference/oracle_plan.py" "$COALLOC_BUILDDIR/coallocctl" \
        "${COALLOC_SEED:-20261121}" "${COALLOC_CASES:-400}" "${COALLOC_GAMES:-200}"
