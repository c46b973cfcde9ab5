#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The example that hands prices to nginx, with a coallocctl and an nginx that are not there.

: "${COALLOC_SRCDIR:=.}" "${COALLOC_BUILDDIR:=.}"
. "$COALLOC_SRCDIR/tests/lib/tap.sh"

dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/include"
cat >"$dir/coallocctl" <<'END'
#!/bin/sh
price=$(cat "${0%/*}/price-of-$3" 2>/dev/null) && [ -n "$price" ] || exit 1
echo "X-Price-CPU: $price; path=$3"
END
cat >"$dir/check" <<'END'
#!/bin/sh
[ ! -e "${0%/*}/refuses" ]
END
cat >"$dir/reload" <<'END'
#!/bin/sh
echo reload >>"${0%/*}/reloads"
END
chmod +x "$dir/coallocctl" "$dir/check" "$dir/reload"
COALLOCCTL=$dir/coallocctl CHECK=$dir/check RELOAD=$dir/reload
export COALLOCCTL CHECK RELOAD

look() { # [PATH...]
        : >"$dir/reloads"
        sh "$COALLOC_SRCDIR/doc/examples/nginx-price.sh" --once "$dir/include" "$@" 2>"$dir/err"
        status=$?
        reloads=$(grep -c . "$dir/reloads")
        line=$(cat "$dir/include/price-checkout.conf" 2>/dev/null)
}

price() { # PATH PRICE
        echo "$2" >"$dir/price-of-$1"
}

price checkout 0.0360125
look checkout browse
is "$status/$reloads/$line" "0/1/proxy_set_header X-Price-CPU '0.0360125; path=checkout';" "a price is written, nginx reloaded"
is "$(cat "$dir/include/price-browse.conf")" "" "a path without a price has an empty file to include"
look checkout browse
is "$status/$reloads" 0/0 "the same price reloads nothing"
price checkout 0.038
look checkout browse
is "$reloads/$line" "0/proxy_set_header X-Price-CPU '0.0360125; path=checkout';" "six percent are not noticeable"
price checkout 0.04
price browse 1.2e-05
look checkout browse
is "$reloads/$line" "1/proxy_set_header X-Price-CPU '0.04; path=checkout';" "eleven percent are; two paths, one reload"
price browse 1.25e-05
look checkout browse
is "$reloads" 0 "small numbers are numbers"
price checkout inf
look checkout browse
is "$reloads/$line" "1/proxy_set_header X-Price-CPU 'inf; path=checkout';" "infinite is noticeable"
price checkout 0
look checkout browse
is "$reloads/$line" "1/proxy_set_header X-Price-CPU '0; path=checkout';" "so is an end of scarcity"
price checkout 1e-06
look checkout browse
is "$reloads/$line" "1/proxy_set_header X-Price-CPU '1e-06; path=checkout';" "and its return"
: >"$dir/refuses"
price checkout 0.5
look checkout browse
is "$status/$reloads/$line" "1/0/proxy_set_header X-Price-CPU '1e-06; path=checkout';" "what nginx refuses is taken back"
contains "$(cat "$dir/err")" "nginx refuses" "and said"
rm "$dir/refuses"
look checkout browse
is "$reloads/$line" "1/proxy_set_header X-Price-CPU '0.5; path=checkout';" "and tried again"
price checkout "1'; evil '"
look checkout browse
is "$reloads/$line" 1/ "what would be more than text to nginx is no price"
sed -i 's/path=$3/path=\\"$3\\"/' "$dir/coallocctl"
price checkout 3
look checkout browse
is "$reloads/$line" "1/proxy_set_header X-Price-CPU '3; path=\"checkout\"';" "a name that coallocctl had to quote stays quoted"
rm "$dir/price-of-checkout" "$dir/price-of-browse"
look checkout browse
is "$status/$(cat "$dir"/include/*)" 0/ "without coallocd there is no price"
look checkout browse
is "$reloads" 0 "and that is nothing new the second time"
look
is "$status" 2 "without a path it says how"
look ../evil
is "$status" 2 "a path is no directory"
is "$(find "$dir/include" -name '*.old' -o -name '*.new')" "" "nothing is left lying about"

done_testing
