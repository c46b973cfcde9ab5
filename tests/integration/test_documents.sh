#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Manual pages and completions say what the programs do: every verb, option, JSON key, D-Bus member
# and journal message is there.

: "${COALLOC_SRCDIR:=.}" "${COALLOC_BUILDDIR:=.}"
. "$COALLOC_SRCDIR/tests/lib/tap.sh"

ctl=$COALLOC_BUILDDIR/coallocctl
cd "$COALLOC_SRCDIR" || exit 99
case $ctl in /*) ;; *) ctl=$OLDPWD/$ctl ;; esac

page() { # FILE: as words, without the escapes of troff
        sed 's/\\-/-/g; s/\\(dq/"/g; s/\\fI//g; s/\\fR//g' "doc/$1"
}

has_words() { # TEXT NAME WORD...: one result for all, the missing ones named
        text=$1 name=$2
        shift 2
        missing=''
        [ $# -gt 0 ] || missing=" (nothing to look for)"
        for word; do
                printf '%s\n' "$text" | grep -qE -- "(^|[^A-Za-z0-9_-])$word([^A-Za-z0-9_-]|\$)" || missing="$missing $word"
        done
        is "$missing" "" "$name"
}

help=$("$ctl" --help)
verbs=$(printf '%s\n' "$help" | sed -n '/^Verbs:/,/^Options:/s/^  \([a-z-]*\) .*/\1/p')
options=$(printf '%s\n' "$help" | grep -oE -- '--[a-z-]+' | sort -u)
ctl_page=$(page coallocctl.1)
# shellcheck disable=SC2086
{
        has_words "$ctl_page" "coallocctl(1) has every verb" $verbs
        has_words "$ctl_page" "coallocctl(1) has every option" $options
        for shell in bash zsh; do
                has_words "$(cat conf/completions/$shell/*)" "$shell completes every verb" $verbs
                has_words "$(cat conf/completions/$shell/*)" "$shell completes every option" $options
        done
        has_words "$ctl_page" "coallocctl(1) has every key of what the daemon lists" \
                $(sed -n 's/^ *{ "[A-Za-z]*", "\([a-z_]*\)", FIELD_.*/\1/p' src/client/verb_*.c | sort -u)
        has_words "$ctl_page" "coallocctl(1) has every key of plan" \
                $(grep -oE 'add(_number|_null)?\([a-z]+, "[a-z_]+"' src/platform/plan_json.c | grep -oE '"[a-z_]+"' | tr -d '"')
        has_words "$(page coallocd.8)" "coallocd(8) has every option" \
                $(sed -n 's/^ *{ "\([a-z]*\)", [a-z]*_argument.*/--\1/p' src/daemon/main.c)
        has_words "$(page coallocd.8)" "coallocd(8) has every journal message" \
                $(sed -n 's/^#define MSG_[A-Z_]* *"\([0-9a-f]*\)"/\1/p' src/util/journal.h)
        has_words "$(cat conf/coalloc.catalog)" "the journal catalog explains every message" \
                $(sed -n 's/^#define MSG_[A-Z_]* *"\([0-9a-f]*\)"/\1/p' src/util/journal.h)
        has_words "$(page org.coalloc1.5)" "org.coalloc1(5) has every member and error" \
                $(sed -n 's/^ *\(SD_BUS_[A-Z_]*\|PROPERTY\|FACT\)("\([A-Za-z]*\)".*/\2/p' src/daemon/manager_bus.c src/daemon/bus_services.c) \
                $(sed -n 's/^#define COALLOC_ERROR_[A-Z_]* "\([^"]*\)"/\1/p' src/util/bus_names.h)
}

sim=$(dirname "$ctl")/coalloc-sim
sim_help=$("$sim" --help)
# shellcheck disable=SC2046
{
        has_words "$(page coalloc-sim.1)" "coalloc-sim(1) has every verb and option" \
                $(printf '%s\n' "$sim_help" | sed -n '/^Verbs:/,/^Options:/s/^  \([a-z-]*\) .*/\1/p') \
                $(printf '%s\n' "$sim_help" | grep -oE -- '--[a-z-]+' | sort -u)
        has_words "$(page coalloc-sim.1)" "coalloc-sim(1) has every key of its JSON" \
                $(grep -oE 'put\(o, "[a-z_0-9]+"' src/sim/report.c | grep -oE '"[a-z_0-9]+"' | tr -d '"' | sort -u)
        for shell in bash zsh; do
                has_words "$(cat conf/completions/$shell/*coalloc-sim)" "$shell completes all of coalloc-sim" \
                        run $(printf '%s\n' "$sim_help" | grep -oE -- '--[a-z-]+' | sort -u)
        done
        has_words "$(cat doc/scenarios.md)" "doc/scenarios.md has every setting" \
                $(sed -n 's/^ *\[[A-Z_]*\] = { [A-Z]*, [A-Z]*, "\([A-Za-z]*\)".*/\1=/p' src/sim/scenario.c | sort -u)
}

if command -v bash >/dev/null 2>&1; then
        bash -n conf/completions/bash/coalloc-sim
        ok $? "the bash completion of coalloc-sim parses"
        bash -n conf/completions/bash/coallocctl
        ok $? "the bash completion parses"
        is "$(bash -c '. conf/completions/bash/coallocctl
                COMP_WORDS=(coallocctl mo) COMP_CWORD=1; _coallocctl; echo "${COMPREPLY[*]}"
                COMP_WORDS=(coallocctl mode o) COMP_CWORD=2; _coallocctl; echo "${COMPREPLY[*]}"')" "mode
observe" "bash completes verbs and modes"
fi
if command -v groff >/dev/null 2>&1; then
        for file in doc/*.[158]; do
                is "$(groff -man -Tascii -ww -z "$file" 2>&1)" "" "$file has no mistake that groff sees"
        done
fi

done_testing
