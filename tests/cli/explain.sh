#!/bin/bash
# podglass explain, as a user has it: what is printed, what is not, and how it ends.
set -euo pipefail
cd "${PODGLASS_SOURCE:-$(dirname "$0")/../..}"
podglass=${PODGLASS:-build/release/podglass}

# shellcheck source=expect.bash
. tests/cli/expect.bash
explain=("$podglass" explain -f examples/lab)
shop=http://shop.example.test/cart

# The mock of the documentation, piece by piece.
got=$("${explain[@]}" --from 198.51.100.7 "$shop")
for text in \
    "GET $shop  from 198.51.100.7 (alice)  to 203.0.113.10:80        dry run: nothing is sent" \
    " 1  nat      Service edge/gateway, LoadBalancer" \
    "dst     203.0.113.10:80        =>  10.244.1.2:80            svc/edge/gateway LoadBalancer  examples/lab/edge.yaml:15  PG112" \
    "   !  src     198.51.100.7:*         =>  10.244.1.1:*        50%" \
    "or  192.0.2.12:*        50%  node-2 itself" \
    "route   shop/web:http" \
    "resolve web.shop.svc.cluster.local.  =>  10.96.12.40" \
    "or  10.244.2.9:8080     50%  shop/web-1 on node-2" \
    "set     X-Forwarded-For: 10.244.1.1" \
    "sees peer 10.244.1.2 (pod edge/gateway-0), X-Forwarded-For 10.244.1.1" \
    "client 198.51.100.7  LOST at hop 1: replaced by the pod bridge of node-1" \
    "because svc/edge/gateway externalTrafficPolicy: Cluster (default)  examples/lab/edge.yaml:7  PG101" \
    "try   --set svc/edge/gateway.externalTrafficPolicy=Local" \
    "-> CARRIED by X-Forwarded-For and X-Real-IP" \
    "readers: peer 10.244.1.2 | xff-left 10.244.1.1 | xff-right=1 10.244.1.1 | x-real-ip 10.244.1.1"; do
    [[ $got == *"$text"* ]] || { printf 'FAILED: explain does not say\n  %s\n' "$text"; failed=1; }
done
[[ $got != *$'\e'* ]] || { echo "FAILED: colour without a terminal"; failed=1; }

# Who asks.
want "from 10.244.2.9 (pod shop/web-1)" "${explain[@]}" --from pod:shop/web-1 http://web.shop.svc/
want "from 10.244.2.9 (pod shop/web-1)" "${explain[@]}" --from pod shop/web-1 http://web.shop.svc/
want "from 192.0.2.11 (node node-1)" "${explain[@]}" --from node:node-1 http://web.shop.svc/
want "from 198.51.100.66 (mallory)" "${explain[@]}" --from mallory "$shop"

# How a pod's resolver finds the name.
want "search shop.svc.cluster.local svc.cluster.local cluster.local, ndots:5: 8 questions (A and AAAA), 6 NXDOMAIN" \
    "${explain[@]}" --from pod:shop/web-1 "$shop"
want "shop.example.test.shop.svc.cluster.local.  NXDOMAIN" "${explain[@]}" --from pod:shop/web-1 "$shop"
want "2 questions (A and AAAA), 0 NXDOMAIN" "${explain[@]}" --from pod:shop/web-1 http://web/

# What is asked.
want "PG121" "${explain[@]}" --to 10.96.12.40:81
want "answered by the cluster's DNS" "${explain[@]}" --to 10.96.0.10:53/udp
want "remove  X-Forwarded-For: 9.9.9.9" "${explain[@]}" -H 'X-Forwarded-For: 9.9.9.9' "$shop"
want "request POST /cart" "${explain[@]}" -X POST "$shop"
want "(forged)" "${explain[@]}" --from mallory -H 'X-Forwarded-For: 9.9.9.9' --reader xff-left \
    --set lab.ingress.trustedProxies=198.51.100.0/24 \
    --set svc/edge/gateway.externalTrafficPolicy=Local "$shop"

# What if.
want "CARRIED by X-Forwarded-For" "${explain[@]}" --set svc/edge/gateway.externalTrafficPolicy=Local "$shop"
want "not   --set svc/edge/gateway.externalTrafficPolicy=Cluster" \
    "${explain[@]}" --set svc/edge/gateway.externalTrafficPolicy=Local "$shop"
want "PG106" "${explain[@]}" --set svc/edge/gateway.externalTrafficPolicy=Local "$shop"
want "nothing reads that field" "${explain[@]}" --set svc/edge/gateway.externalTraficPolicy=Local "$shop"

# What the PROXY protocol between balancer and ingress would do is asked, too: the flags of the line give what it says.
line=$("${explain[@]}" "$shop" | grep -A1 -e '--proxy-protocol')
[[ $line == *"with a balancer that sends it"*"-> CARRIED by X-Forwarded-For and X-Real-IP" ]] || { echo "FAILED: $line"; failed=1; }
read -r -a flags <<<"$(sed -n 's/^ *try *//p' <<<"$line")"
want "client 198.51.100.7  CARRIED by X-Forwarded-For and X-Real-IP" "${explain[@]}" "${flags[@]}" "$shop"
for args in "--from pod:shop/web-1" "--set svc/edge/gateway.externalTrafficPolicy=Local" "--proxy-protocol v1" \
    "--set lab.ingress.proxyProtocol.ports=all --set lab.ingress.proxyProtocol.allowedSources=192.0.2.0/24"; do
    # shellcheck disable=SC2086 # several words
    ! "${explain[@]}" $args "$shop" | grep -e '--proxy-protocol v' || { echo "FAILED: a preface is advised with $args"; failed=1; }
done

# Help on codes and fields.
want "PG101" "$podglass" explain PG101
want "Cluster (default) | Local" "$podglass" explain service.spec.externalTrafficPolicy
want "service.type" "$podglass" explain service

# JSON reads back, and says the same.
"${explain[@]}" -o json "$shop" | python3 -c '
import json, sys
e = json.load(sys.stdin)
assert e["kind"] == "Explanation" and e["client"]["verdict"] == "lost", e["client"]
assert e["client"]["lostAt"]["hop"] == 1 and e["client"]["lostAt"]["code"] == "PG101"
assert e["seen"]["peer"] == "10.244.1.2"
assert any("svc/edge/gateway.externalTrafficPolicy=Local" in t["set"] and t["better"] for t in e["try"])
preface = [t for t in e["try"] if t["proxyProtocol"] == "v2"]
assert len(preface) == 1 and len(preface[0]["set"]) == 2 and preface[0]["better"], e["try"]
assert sorted(c["oddsPercent"] for c in e["choices"][1]["destinations"]) == [50, 50]
' || { echo "FAILED: -o json"; failed=1; }

# Strangers' bytes never reach the terminal as they are.
got=$("${explain[@]}" -H $'X-Real-IP: \xc2\x9b31m' "http://shop.example.test/"$'\xe2\x80\xae' 2>&1 || true)
[[ $got != *$'\xc2\x9b'* && $got != *$'\xe2\x80\xae'* ]] || { echo "FAILED: not escaped"; failed=1; }

# Credentials are for the pod.
got=$("${explain[@]}" -o json -H 'Authorization: Bearer s3cret' -H 'Proxy-Authorization: Basic s3cret' "$shop"
    "${explain[@]}" -H 'Proxy-Authorization: Basic s3cret' "$shop")
[[ $got == *'Authorization: (hidden)'* && $got != *s3cret* ]] || { echo "FAILED: credentials are shown"; failed=1; }

# A PROXY preface, as a balancer sends it, demanded and not, and what can not be asked.
proxied=("${explain[@]}" --set 'lab.ingress.proxyProtocol={ports: all, allowedSources: [10.244.0.0/16, 192.0.2.0/24]}')
for version in v1 v2; do
    want "preface 10.244.1.1:*           =>  $version TCP4 198.51.100.7:40000 > 203.0.113.10:80" "${proxied[@]}" --from 192.0.2.99 --proxy-protocol $version --proxy-from 198.51.100.7 "$shop"
done
want "client 198.51.100.7  CARRIED by X-Forwarded-For" "${proxied[@]}" --from 192.0.2.99 --proxy-protocol v2 --proxy-from 198.51.100.7:5555 "$shop"
want "PROXY header: demanded" "${proxied[@]}" --proxy-protocol v2 "$shop"
want "RESET" "${proxied[@]}" "$shop"
want "REFUSED by the ingress: 400" "${explain[@]}" --proxy-protocol v1 "$shop"
status 2 "${proxied[@]}" --proxy-from 198.51.100.7 "$shop"
status 2 "${proxied[@]}" --proxy-protocol v3 "$shop"
status 2 "${proxied[@]}" --proxy-protocol v2 --proxy-from nobody "$shop"
status 2 "${proxied[@]}" --proxy-protocol v2 https://shop.example.test/
status 2 "${proxied[@]}" --proxy-protocol v2 --to 203.0.113.10:80

# Exit status.
status 0 "${explain[@]}" "$shop"
status 2 "$podglass" explain
status 2 "$podglass" explain "$shop"
status 2 "${explain[@]}" ftp://shop.example.test/
status 2 "${explain[@]}" --reader nobody "$shop"
status 2 "${explain[@]}" --from gone "$shop"
status 2 "$podglass" explain PG9999
status 2 "$podglass" explain service.nothing
status 3 "${explain[@]}" --set svc/shop/gone.type=NodePort "$shop"
status 3 "$podglass" explain -f /nonexistent "$shop"
# A node port on 127.0.0.1: refused by kube-proxy in nftables mode, translated in connect() by Cilium.
table=tests/walk/manifests/truth-table.yaml
want "REJECTED" "$podglass" explain -f "$table" --from node:node1 --to 127.0.0.1:30001
want "t/p1 on node1" "$podglass" explain -f "$table" --dialect cilium-snat --from node:node1 --to 127.0.0.1:30001
# What has a before only is printed without an arrow into the void.
tls=tests/walk/manifests/gateway-tls.yaml
want " 2  ingress  pod edge/gateway-0 on node-1; peer 198.51.100.7" "$podglass" explain -f "$tls" https://shop.example.test/
want "handshake shop.example.test  " "$podglass" explain -f "$tls" https://shop.example.test/
got=$("$podglass" explain -f "$tls" https://shop.example.test/ 2>/dev/null | grep handshake)
[[ $got != *"=>"* ]] || { echo "FAILED: $got"; failed=1; }
exit $failed
