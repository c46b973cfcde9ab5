# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034,SC2154 # "main", this and its neighbour share variables
#
# The settings of the host that are compared. "apply_SETTING" is called when the services run and the
# load has begun; it finds what "read_scenario" left. Sets "controller" to the cgroup of whatever keeps
# deciding.

apply_nothing() { :; }
apply_solo() { :; }

# What a user who is logged in or a container brings about: the cpu controller is on for all slices of
# the first level, at equal weights. Without it, as after a boot, every service weighs the same.
apply_weights_equal() {
    set_property user.slice CPUWeight=100
}

# What the configuration says, told to systemd once.
apply_weights_static() {
    for slice in $slices; do
        set_property "${slice%:*}" "CPUWeight=${slice#*:}"
    done
    echo "$services" | while read -r name unit weight calls percent; do
        [ -z "$name" ] || set_property "$unit" "CPUWeight=$weight"
    done
}

# 1.3 times what each uses, as long as it lasts; who comes last shares the rest.
apply_quotas_static() {
    echo "$services" | awk -v cpus="$n_cpus" '
        NF { n++; unit[n] = $2; weight[n] = $3; use[n] = $5; least = n == 1 || $3 < least ? $3 : least }
        END {
            rest = 100 * cpus
            for (i = 1; i <= n; i++)
                if (weight[i] > least || least == 100) { quota[i] = use[i] * 1.3; rest -= quota[i] }
                else greed += use[i]
            for (i = 1; i <= n; i++) {
                if (!quota[i]) quota[i] = rest * use[i] / greed
                printf "%s %d\n", unit[i], quota[i] < 1 ? 1 : quota[i]
            }
        }' | while read -r unit percent; do
        set_property "$unit" "CPUQuota=$percent%"
    done
}

# What a competent administrator would do who knows all of the above: who comes last weighs 1 to 100. With
# a ceiling on it, 10 % below what the others leave, it loses a fourth of its CPU and nobody gains.
apply_handmade() {
    for slice in $slices; do
        case $slice in
        "$greedy":*) set_property "${slice%:*}" CPUWeight=1 ;;
        *) set_property "${slice%:*}" CPUWeight=100 ;;
        esac
    done
}

apply_handmade_ceiling() {
    apply_handmade
    [ -z "$greedy" ] || set_property "$greedy" "CPUQuota=$(((100 - 10) * n_cpus - important))%"
}

apply_coallocd_both() { coallocd both; }
apply_coallocd_quota() { coallocd quota; }
apply_coallocd_quota_burst() { coallocd quota Burst=yes; }
apply_coallocd_weight() { coallocd weight; }

# coallocd ENFORCE [LINE]
coallocd() {
    {
        printf '[Manager]\nEnforce=%s\n%s\n' "$1" "${2-}"
        echo "$services" | while read -r name unit weight calls percent; do
            [ -n "$name" ] || continue
            printf '\n[Service %s]\nUnit=%s\nWeight=%s\n' "$name" "$unit" "$weight"
            [ "$calls" = - ] || printf 'Calls=%s\n' "$calls"
        done
    } >/etc/coalloc.conf
    systemctl start coallocd || complain "coallocd did not start"
    controller=/system.slice/coallocd.service
}

# Autothrottle's controller, a throttle target of 0.1. systemd turns the controller on, no more.
apply_captain() {
    cgroups=$(echo "$services" | while read -r name unit weight calls percent; do
        [ -n "$name" ] || continue
        set_property "$unit" "CPUQuota=$((100 * n_cpus))%"
        echo "/sys/fs/cgroup$(cgroup_of "$unit")"
    done)
    # shellcheck disable=SC2086 # folders without spaces
    systemd-run --quiet --unit=captain /lab/bin/captain --target 0.1 $cgroups
    controller=/system.slice/captain.service
}

# By itself it knows nothing of others, and beside a greedy one ends where weights-equal does.
apply_captain_weights() {
    apply_weights_static
    apply_captain
}

# How long a setting needs until it is what it will be: coallocd three epochs and more.
warm_sec_of() {
    case $1 in
    coallocd-*) echo 60 ;;
    captain*) echo 20 ;;
    *) echo 6 ;;
    esac
}

set_property() {
    systemctl set-property --runtime "$1" "$2" || complain "could not set $2 of $1"
}
