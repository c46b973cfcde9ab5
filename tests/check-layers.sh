#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Holds the line between the layers: what each folder of src/ may include, and what the archive of
# the core may call. Speaks TAP; the last tests break a copy of the tree and expect to be told.

set -u
LC_ALL=C
export LC_ALL

src=${COALLOC_SRCDIR:-.}/src
build=${COALLOC_BUILDDIR:-.}
nm=${NM:-nm}
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
trap 'exit 99' HUP INT TERM

# Prints one line for each #include in the tree $1 that its folder may not have.
#
#   core      core; headers without effects
#   util      util, libc, the journal
#   platform  platform, util, core/model.h; one third-party library a file
#   daemon    all but client
#   client    all but daemon: what concerns a running daemon it asks over the bus
#   sim       all but daemon and client; the simulated host (plant, workload, histogram) sim and core
forbidden_includes()
{
        find "$1" -name '*.[ch]' | sort | xargs awk -v top="$1/" '
        function refuse() { printf "%s:%d: %s\n", file, FNR, $0 }
        function library_of(header) {
                if (header ~ /^(systemd|json-c|libsmartcols|libcgroup)\//) {
                        sub(/\/.*/, "", header)
                        return header
                }
                return header ~ /^(ini|libcgroup|libsmartcols|sqlite3)\.h$/ ? header : ""
        }
        FNR == 1 {
                file = substr(FILENAME, length(top) + 1)
                layer = file
                sub(/\/.*/, "", layer)
                library = ""
        }
        /^[ \t]*#[ \t]*include/ {
                header = $0
                sub(/^[ \t]*#[ \t]*include[ \t]*/, "", header)
                kind = substr(header, 1, 1)
                header = substr(header, 2)
                if (kind == "<")
                        sub(/>.*/, "", header)
                else if (kind == "\"")
                        sub(/".*/, "", header)
                else {
                        refuse()        # the name hides behind a macro
                        next
                }
                if (kind == "\"") {
                        if (header ~ /\.\.\//)
                                refuse()
                        else if (header == "config.h")
                                ok = layer != "core"
                        else if (layer == "core")
                                ok = header ~ /^core\//
                        else if (layer == "util")
                                ok = header ~ /^util\//
                        else if (layer == "platform")
                                ok = header ~ /^(platform|util)\// || header == "core/model.h"
                        else if (layer == "daemon")
                                ok = header ~ /^(core|daemon|platform|util)\//
                        else if (layer == "client")
                                ok = header ~ /^(client|core|platform|util)\//
                        else if (layer == "sim")
                                ok = header ~ /^(core|sim)\// ||
                                     (header ~ /^(platform|util)\// && file !~ /^sim\/(earliest|histogram|plant|workload)\./)
                        else
                                ok = 0  # a new folder has to be put into this table
                        if (header !~ /\.\.\// && !ok)
                                refuse()
                        next
                }
                found = library_of(header)
                if (layer == "core") {
                        if (header !~ /^(assert|errno|float|limits|math|stdbool|stddef|stdint|string)\.h$/)
                                refuse()
                } else if (layer == "util") {
                        if (found != "" && header != "systemd/sd-journal.h")
                                refuse()
                } else if (layer == "platform" && found != "") {
                        if (library != "" && library != found)
                                refuse()
                        library = found
                }
        }'
}

# Prints the names that the archive $1 takes from elsewhere and that are more than arithmetic on what
# the caller gave: no input or output, no clock, no memory, no chance, no environment. Names that match
# $2 are allowed besides.
forbidden_symbols()
{
        "$nm" -g "$1" 2>/dev/null | awk -v besides="^(${2:-})\$" '
        NF == 2 && $1 == "U" { wanted[$2] = 1 }
        NF == 3 { defined[$3] = 1 }
        END {
                for (name in wanted) {
                        plain = name
                        sub(/@.*/, "", plain)
                        if (!(name in defined) && plain !~ besides && plain !~ /^(mem(chr|cmp|cpy|move|set)|str(chr|cmp|cspn|len|ncmp|nlen|rchr|spn|str))$/ &&
                            plain !~ /^(cbrt|ceil|copysign|exp|exp2|expm1|fabs|floor|fma|fmax|fmin|fmod|frexp|hypot|ldexp|llrint|llround|log|log10|log1p|log2|lrint|lround|nearbyint|nextafter|pow|remainder|rint|round|scalbn|sqrt|tanh|trunc)$/ &&
                            plain !~ /^(_GLOBAL_OFFSET_TABLE_|__assert_fail|__stack_chk_fail|__mem(cpy|move|set)_chk)$/ &&
                            plain !~ /^(__asan_|__ubsan_|__sanitizer_|__sancov_|__gcov_|__llvm_profile_|__start___sancov|__stop___sancov)/)
                                print name
                }
        }' | sort
}

n=0
n_failed=0
# verdict TEXT-THAT-SHOULD-BE-EMPTY NAME
expect_none()
{
        n=$((n + 1))
        if [ -z "$1" ]; then
                echo "ok $n - $2"
        else
                echo "not ok $n - $2"
                echo "$1" | sed 's/^/# /'
                n_failed=$((n_failed + 1))
        fi
}

# expect_told OUTPUT PATTERN NAME
expect_told()
{
        n=$((n + 1))
        if echo "$1" | grep -q -e "$2"; then
                echo "ok $n - $3"
        else
                echo "not ok $n - $3"
                echo "# nothing like '$2' in: $1"
                n_failed=$((n_failed + 1))
        fi
}

# Plants the line $2 in a copy of the file $1; prints what is then reported.
planted()
{
        rm -rf "$scratch/src"
        cp -R "$src" "$scratch/src"
        chmod -R u+w "$scratch/src"
        mkdir -p "$(dirname "$scratch/src/$1")"
        echo "$2" >>"$scratch/src/$1"
        forbidden_includes "$scratch/src"
}

echo 1..17
expect_none "$(forbidden_includes "$src")" "every folder includes only what its layer may"
n_members=$("$nm" "$build/libcore.a" 2>/dev/null | grep -c '^[a-z_]*\.o:')
expect_none "$([ "$n_members" -ge 4 ] || echo "$n_members members in $build/libcore.a")" \
        "the archive of the core can be read"
expect_none "$(forbidden_symbols "$build/libcore.a")" "the core calls nothing but arithmetic"

# The host that is not there: like the core, but for memory at its construction.
expect_none "$(forbidden_symbols "$build/libsim.a" 'calloc|free|cos|random_.*|waterfill_solve')" \
        "the simulated host calls nothing but arithmetic and memory"

expect_told "$(planted core/model.c '#include <stdio.h>')" '^core/model.c:.*stdio' \
        "a core file that includes stdio.h is found"
expect_told "$(planted core/model.c '  #  include <time.h> /* why not */')" '^core/model.c:.*time.h' \
        "an include is found however it is spaced"
expect_told "$(planted core/model.c '#include "platform/host_cpu.h"')" '^core/model.c:.*host_cpu' \
        "a core file that reaches up to the platform is found"
expect_told "$(planted core/model.c '#include "../util/parse.h"')" '^core/model.c:.*parse' \
        "a path that climbs out of its folder is found"
expect_told "$(planted core/model.c '#include CLOCK_HEADER')" '^core/model.c:.*CLOCK_HEADER' \
        "an include behind a macro is found"
expect_told "$(planted util/parse.c '#include "core/model.h"')" '^util/parse.c:.*model' \
        "a leaf that knows the core is found"
expect_told "$(planted platform/host_cpu.h '#include "core/epoch.h"')" '^platform/host_cpu.h:.*epoch' \
        "an adapter that decides is found"
expect_told "$(planted platform/cgroup_tree.c '#include <json-c/json.h>')" '^platform/cgroup_tree.c:.*json' \
        "an adapter of two libraries is found"
expect_told "$(planted client/spy.c '#include "daemon/loop.h"')" '^client/spy.c:.*loop' \
        "a client that knows the daemon's inside is found"
expect_told "$(planted sim/plant.c '#include "util/parse.h"')" '^sim/plant.c:.*parse' \
        "a simulated host that knows how files look is found"
expect_told "$(planted sim/scenario.c '#include "daemon/sense.h"')" '^sim/scenario.c:.*sense' \
        "a simulator that knows the daemon's inside is found"
expect_told "$(planted shed/new.c '#include "core/model.h"')" '^shed/new.c:.*model' \
        "a folder outside the table is found"
# The adapters do what the core may not, so the same check must object to their archive.
expect_told "$(forbidden_symbols "$build/libplatform.a")" '^open' \
        "an archive that opens files is found"

[ "$n_failed" -eq 0 ]
