#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Lets nginx tell the services behind it what a request costs now: X-Price-CPU.
#
#     nginx-price.sh [--once] DIRECTORY PATH...
#
# For each PATH, as `coallocctl prices` names it, DIRECTORY/price-PATH.conf holds one line
#
#     proxy_set_header X-Price-CPU '0.0360125; path=checkout';
#
# to be included where requests of that path are passed on:
#
#     location /checkout/ {
#             include /etc/nginx/coalloc/price-checkout.conf;
#             proxy_set_header Host $host;
#             proxy_pass http://web;
#     }
#
# (Once a location sets one header of its own, nginx passes none from outside on to it: set all of
# them there.) nginx does not start without the file: run this with --once before writing the include.
#
# A price that changed by less than CHANGE percent is not written, and nginx is only reloaded when
# something was. Where there is no price, because coallocd does not run or does not know the path, the
# line goes: no price is better than an old one. What nginx refuses is taken back.
#
# To install: coalloc-nginx-price.service beside this file.

set -u
LC_ALL=C
export LC_ALL

: "${CHANGE:=10}"                               # percent
: "${INTERVAL:=15}"                             # seconds, an epoch
: "${COALLOCCTL:=coallocctl}"
: "${CHECK:=nginx -t -q}"
: "${RELOAD:=systemctl try-reload-or-restart nginx}"

usage()
{
        echo "usage: nginx-price.sh [--once] DIRECTORY PATH..." >&2
        exit 2
}

once=no
if [ "${1-}" = --once ]; then
        once=yes
        shift
fi
[ $# -ge 2 ] || usage
directory=$1
shift
for path; do
        case $path in */* | -*) usage ;; esac
done

# The price in a file, "" if there is none.
price_in()
{
        sed -n "s/^proxy_set_header X-Price-CPU '\([^;]*\);.*/\1/p" "$1"
}

# Is the second price noticeably another than the first?
differs()
{
        [ "$1" != "$2" ] || return 1
        case "$1 $2" in
        ' '* | *' ' | *inf*) return 0 ;;        # it came, it went, there is no CPU at any price
        esac
        awk -v old="$1" -v new="$2" -v change="$CHANGE" 'BEGIN {
                difference = new > old ? new - old : old - new
                exit !(difference * 100 >= change * old)
        }'
}

# Writes a line in place of what is there; a reader sees one or the other.
write()
{
        printf '%s\n' "$2" >"$1.new" && mv "$1.new" "$1"
}

# Brings the file of one path up to date. Return: was there anything to change?
update()
{
        file=$directory/price-$1.conf
        value=$("$COALLOCCTL" prices --header "$1" 2>/dev/null | sed -n '1s/^X-Price-CPU: //p')
        # Between its quotes nginx would read more than text. (Those around the name of a path that is no
        # token, checkout@acme, are double ones.)
        case $value in *[\'\\\$]*) value='' ;; esac
        if [ -e "$file" ]; then
                differs "$(price_in "$file")" "${value%%;*}" || return 1
                cp "$file" "$file.old"
        else
                : >"$file.old"
        fi
        write "$file" "${value:+proxy_set_header X-Price-CPU '$value';}"
}

# One look at all paths.
look()
{
        changed=''
        for path; do
                update "$path" && changed="$changed $path"
        done
        [ -n "$changed" ] || return 0
        if ! $CHECK; then
                echo "nginx-price.sh: nginx refuses its configuration; prices stay as they were." >&2
                for path in $changed; do
                        mv "$directory/price-$path.conf.old" "$directory/price-$path.conf"
                done
                return 1
        fi
        for path in $changed; do
                rm -f "$directory/price-$path.conf.old"
        done
        $RELOAD
}

look "$@"
status=$?
while [ "$once" = no ]; do
        sleep "$INTERVAL"
        look "$@"
done
exit "$status"
