#!/bin/sh
# SPDX-License-Identifier: MIT
# limit: 420 s
#
# A path of real services beside a hog, with baselines that somebody guessed wrong: the database holds
# what the application server lacks. A period with coalitions after one with none, the customers'
# end-to-end latency as measured; prices reach requests through nginx.
. /lab/guest/lib.sh
. /lab/guest/daemon.sh

# conf SIZE: the largest coalition that may be formed
conf() {
    write_conf <<END
[Manager]
Enforce=quota
EpochSec=3s
Reserve=20%
MaxCoalitionSize=$1

[Service web]
Unit=shop-web.slice
Calls=app
Baseline=15%

[Service app]
Unit=shop-app.slice
Calls=db
Baseline=20%

[Service db]
Unit=shop-db.slice
Baseline=50%

[Service batch]
Unit=batch.slice
Weight=100
END
}

# get PATH: what nginx answers, without its header
get() {
    python3 - "$1" <<'END'
import socket, sys
s = socket.create_connection(("127.0.0.1", 80), 5)
s.sendall(f"GET {sys.argv[1]} HTTP/1.0\r\n\r\n".encode())
answer = b""
while (part := s.recv(4096)):
    answer += part
print(answer.partition(b"\r\n\r\n")[2].decode())
END
}
is_told_a_price() { get /price | grep -Eq "^[0-9.e+-]+; path=$path\$"; }

coalitions() { coallocctl coalitions --json | jq -c "$1"; }
formed_is() { [ "$(coalitions '[.coalitions[] | select(.formed)] | length')" = "$1" ]; }

hog_start 4
before=$(all_limits)
load_start 10 '/shop?ms=5'
conf 8
ok "the daemon starts" systemctl enable --now coallocd
ok "the three services of the path form a coalition" wait_for 60 formed_is 1
is "that has these members" "$(coalitions '[.coalitions[0].members[]] | sort')" '["app","db","web"]'
wait_epochs 2
is "it is stable" "$(coalitions '.coalitions[0].stable')" true
look
diag "$(jq -c '[.services[] | select(.managed) | {name, coalition, alloc_milli, credit}]' /run/lab/status.json)"
ok "explain tells what the coalition moved" sh -c 'coallocctl explain app | grep -qi coalition'

# A period of each; the same arrivals (seed) in both. Latencies are reported, not judged: of two hundred
# requests on an emulated machine none is a proof.
for size in 1 8; do
    conf $size
    ok "MaxCoalitionSize=$size is accepted" systemctl reload coallocd
    load_start 10 '/shop?ms=5'
    wait_epochs 2
    load_stop >/dev/null
    load_start 10 '/shop?ms=5'
    sleep 8
    line=$(load_stop)
    sum=$(sum_of_quotas shop-web.slice shop-app.slice shop-db.slice batch.slice)
    diag "MaxCoalitionSize=$size: web $(quota_percent_of shop-web.slice)%, app $(quota_percent_of shop-app.slice)%," \
        "db $(quota_percent_of shop-db.slice)%, batch $(quota_percent_of batch.slice)%; $line"
    between "the quotas stay within the CPU, in percent" 50 "$sum" 180
    ok "customers are served" test "$(echo "$line" | field requests)" -ge 50
done

load_start 10 '/shop?ms=5'
ok "a service's latency can be reported" coallocctl report-latency app 40ms --requests 300
fails "a latency that is none is refused" coallocctl report-latency app -- -40ms
ok "and shown" wait_for 30 sh -c 'coallocctl status --json | jq -e "any(.services[]; .name == \"app\" and .latency_ms == 40)"'
ok "three epochs later it is stale" wait_for 60 sh -c \
    'coallocctl status --json | jq -e "any(.services[]; .name == \"app\" and .latency_stale)"'

# The price of a request reaches the service behind a proxy, by the example of the documentation.
script=$(find /usr/share/doc -name nginx-price.sh | head -n 1)
mkdir -p /etc/nginx/coalloc
cp /etc/nginx/nginx.conf /run/lab/nginx.conf
diag "$(coallocctl prices --header)"
path=$(coallocctl prices --json | jq -r '.paths[0].name')
ok "the example script writes the header of a path" sh "$script" --once /etc/nginx/coalloc "$path"
awk -v path="$path" '
    /^    server/ { print "    server { listen 127.0.0.1:8001; return 200 \"$http_x_price_cpu\"; }" }
    /location .health/ { print "        location /price {"
                         print "            include /etc/nginx/coalloc/price-" path ".conf;"
                         print "            proxy_pass http://127.0.0.1:8001;\n        }" }
    { print }' /run/lab/nginx.conf >/etc/nginx/nginx.conf
ok "nginx takes the include" systemctl reload nginx
ok "and the service behind it is told the price" wait_for 20 is_told_a_price
diag "$(get /price)"
cp /run/lab/nginx.conf /etc/nginx/nginx.conf
systemctl reload nginx

load_stop >/dev/null
ok "it stops" systemctl stop coallocd
is "every quota and weight is as it was" "$(all_limits)" "$before"
ok "credits are kept" test -s /var/lib/coalloc/credits

done_testing
