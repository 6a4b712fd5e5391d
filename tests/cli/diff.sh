#!/bin/bash
# podglass diff: what is answered differently, by which line, and the exit status of diff(1).
set -euo pipefail
cd "${PODGLASS_SOURCE:-$(dirname "$0")/../..}"
podglass=${PODGLASS:-build/release/podglass}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# shellcheck source=expect.bash
. tests/cli/expect.bash

mkdir "$dir/new"
cp examples/lab/*.yaml "$dir/new/"
status 0 "$podglass" diff -f examples/lab -f "$dir/new"
sed -i 's/^  loadBalancerIP: .*/&\n  externalTrafficPolicy: Local/' "$dir/new/edge.yaml"
status 1 "$podglass" diff -f examples/lab -f "$dir/new"
want "- LOST, by shop/web:http, pods shop/web-0, shop/web-1" "$podglass" diff -f examples/lab -f "$dir/new"
want "because svc/edge/gateway externalTrafficPolicy: Cluster (default)  examples/lab/edge.yaml:7  PG101" \
    "$podglass" diff -f examples/lab -f "$dir/new"
want "+ CARRIED by X-Forwarded-For and X-Real-IP" "$podglass" diff -f examples/lab -f "$dir/new"
want "because svc/edge/gateway externalTrafficPolicy: Local  $dir/new/edge.yaml:18  PG106" \
    "$podglass" diff -f examples/lab -f "$dir/new"

# Against itself under --set; a service that is only on one side; rules that move.
want "tcp svc/shop/web:80 from outside" "$podglass" diff -f examples/lab --set svc/shop/web.type=NodePort
want "1 of 5 requests are answered differently" "$podglass" diff -f examples/lab --set svc/shop/web.type=NodePort
sed -i 's/path: \/$/path: \/api/' "$dir/new/shop.yaml"
want "REFUSED by the ingress: 404 no-route" "$podglass" diff -f examples/lab -f "$dir/new"

# Two dialects; one is the new side's.
table=tests/walk/manifests/truth-table.yaml
want "because Lab dialect: cilium-snat  --set:1  PG119" \
    "$podglass" diff -f "$table" --dialect kube-proxy-nftables --dialect cilium-snat
want "because svc/t/far externalTrafficPolicy: Cluster (default)" \
    "$podglass" diff -f "$table" --dialect cilium-snat --dialect cilium-dsr
want "PG126" "$podglass" diff -f "$table" --dialect cilium-snat --dialect cilium-dsr
status 1 "$podglass" diff -f "$table" --dialect cilium-dsr
status 0 "$podglass" diff -f "$table" --dialect kube-proxy-nftables
status 2 "$podglass" diff -f "$table" --dialect iptables

# Two profiles of the ingress: headers, readers, and the policies behind them.
profiles=("$podglass" diff --profile ingress-nginx --profile envoy-edge -f examples/lab)
status 1 "${profiles[@]}"
want "GET http://shop.example.test/ with forged headers" "${profiles[@]}"
want "because Lab ingress.headers.X-Forwarded-For: append-always, profile envoy-edge" "${profiles[@]}"
want "+ 192.0.2.66, forged" "${profiles[@]}"
want "passed on by a trusted proxy" "${profiles[@]}" --set lab.ingress.trustedProxies=192.0.2.0/24
status 0 "$podglass" diff --profile strict --profile strict -f examples/lab
status 0 "$podglass" diff --profile strict -f examples/lab
status 1 "$podglass" diff --profile haproxy -f examples/lab
want "X-Forwarded-For: " "${profiles[@]}" -o json
want "GET http://shop.example.test/a//b with a run of slashes" "$podglass" diff --profile ingress-nginx --profile haproxy -f examples/lab
want "    + /a//b" "$podglass" diff --profile ingress-nginx --profile haproxy -f examples/lab
status 2 "$podglass" diff --profile nginx -f examples/lab
status 2 "$podglass" diff --profile strict --profile strict --profile strict -f examples/lab

# A file of requests.
printf '# comment\n\nGET http://shop.example.test/x from mallory\ntcp:10.96.12.40:80 from pod:shop/web-0\n' >"$dir/requests"
status 0 "$podglass" diff -f examples/lab -f examples/lab --requests "$dir/requests"
want "0 of 2 requests" "$podglass" diff -f examples/lab -f examples/lab --requests "$dir/requests"
want "GET http://shop.example.test/x from mallory" \
    "$podglass" diff -f examples/lab -f "$dir/new" --requests "$dir/requests"
want "PG105" "$podglass" diff -f examples/lab --set lab.masqueradeAll=true --requests "$dir/requests"
"$podglass" diff -f examples/lab -f "$dir/new" -o json >"$dir/json" || true
python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
assert d["kind"] == "Diff" and d["different"] == len(d["differences"]) > 0, d' "$dir/json" ||
    { echo "FAILED: -o json"; failed=1; }

# Trouble.
status 2 "$podglass" diff -f examples/lab
status 2 "$podglass" diff -f a -f b -f c
printf 'GET\n' >"$dir/requests"
status 2 "$podglass" diff -f examples/lab -f examples/lab --requests "$dir/requests"
status 2 "$podglass" diff -f examples/lab -f examples/lab --requests "$dir/gone"
status 3 "$podglass" diff -f examples/lab -f /nonexistent
exit $failed
