# SPDX-License-Identifier: MIT
#
# TAP for shell tests: source it, call is/like/..., end with done_testing.

tap_count=0
tap_failed=0

ok() { # RESULT NAME: RESULT is 0 for a pass
        tap_count=$((tap_count + 1))
        if [ "$1" -eq 0 ]; then
                printf 'ok %d - %s\n' "$tap_count" "$2"
        else
                tap_failed=$((tap_failed + 1))
                printf 'not ok %d - %s\n' "$tap_count" "$2"
        fi
}

is() { # GOT WANTED NAME
        [ "$1" = "$2" ]
        tap_result=$?
        ok "$tap_result" "$3"
        [ "$tap_result" -eq 0 ] || printf '%s\n' "got:" "$1" "wanted:" "$2" | sed 's/^/# /'
}

contains() { # TEXT PART NAME
        case $1 in
        *"$2"*) ok 0 "$3" ;;
        *)
                ok 1 "$3"
                printf '%s\n' "\"$2\" is not in:" "$1" | sed 's/^/# /'
                ;;
        esac
}

skip_all() { # REASON
        printf '1..0 # SKIP %s\n' "$1"
        exit 0
}

done_testing() {
        printf '1..%d\n' "$tap_count"
        [ "$tap_failed" -eq 0 ]
        exit
}
