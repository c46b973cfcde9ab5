# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# Words for tests of the daemon; "." lib.sh first.

property() { busctl get-property org.coalloc1 /org/coalloc1 org.coalloc1.Manager "$1" | sed 's/^[a-z]* //; s/"//g'; }

epoch_is_past() { [ "$(property Epoch)" -ge "$1" ]; }

# wait_epochs N: until N whole epochs are over
wait_epochs() {
    wait_for $((20 * $1)) epoch_is_past $(($(property Epoch) + $1))
}

# Asking costs seconds in an emulated machine: look once, then read as often as you like.
look() { coallocctl status --json >/run/lab/status.json; }
seen() { jq -r ".services[] | select(.name == \"$1\") | .$2 | if type == \"number\" then round else . end" /run/lab/status.json; }
seen_percent() { seen "$1" "$2" | awk '{ print ($1 == "null") ? "none" : int($1 / 10) }'; }

tier_is() { [ "$(property Tier)" = "$1" ]; }
state_is() { look && [ "$(seen "$1" state)" = "$2" ]; }
quota_is() { [ "$(quota_percent_of "$1")" = "$2" ]; }
weight_is() { [ "$(cpu_weight_of "$1")" = "$2" ]; }
has_quota() { [ "$(quota_percent_of "$1")" != none ]; }
quota_at_least() { [ "$(quota_percent_of "$1")" -ge "$2" ] 2>/dev/null; }

# What status says is in force is what the cgroup files say, for every managed service.
status_is_true() {
    look
    jq -r '.services[] | select(.managed and .active) |
            [.unit, (.quota_read_milli // "none"), (.quota_applied_milli // "none")] | @tsv' /run/lab/status.json |
        while read -r unit read_milli applied_milli; do
            percent=$(quota_percent_of "$unit")
            [ "$percent" = none ] || percent=$((percent * 10))
            [ "$read_milli" = "$percent" ] || { echo "$unit: status reads $read_milli, file $percent"; exit 1; }
            [ "$applied_milli" = "$percent" ] || { echo "$unit: applied $applied_milli, file $percent"; exit 1; }
        done
}

# Sum of the quotas of the managed slices, in percent.
sum_of_quotas() {
    sum=0
    for unit in "$@"; do
        percent=$(quota_percent_of "$unit")
        [ "$percent" = none ] || sum=$((sum + percent))
    done
    echo $sum
}
