#!/bin/bash
# podglass lint: findings, predictions, formats, exit status.
set -euo pipefail
cd "${PODGLASS_SOURCE:-$(dirname "$0")/../..}"
podglass=${PODGLASS:-build/release/podglass}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# shellcheck source=expect.bash
. tests/cli/expect.bash

want "examples/lab/edge.yaml:7: note[PG101]: Service/edge/gateway: spec.externalTrafficPolicy: pods of edge/gateway (the ingress) will see 10.244.1.1 or 192.0.2.12 as their client by LoadBalancer 203.0.113.10:80" \
    "$podglass" lint -f examples/lab
want "a client outside is CARRIED by X-Forwarded-For" \
    "$podglass" lint -f examples/lab --set svc/edge/gateway.externalTrafficPolicy=Local
want "::notice file=examples/lab/edge.yaml,line=7,title=PG101::Service/edge/gateway: pods of" \
    "$podglass" lint -f examples/lab -o github
want "by NodePort 30080 of node-2" "$podglass" lint -f examples/lab --set svc/shop/web.type=NodePort \
    --set 'svc/shop/web.ports[0].nodePort=30080'
status 0 "$podglass" lint -f examples/lab

# Rules of listeners: at their port, over TLS, by what they match.
cat >"$dir/routes.yaml" <<'Y'
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: asks, namespace: shop}
spec:
  parentRefs: [{name: main, namespace: edge, sectionName: granted}]
  hostnames: [asks.example.test]
  rules:
  - matches: [{path: {value: /cart}, method: PUT, headers: [{name: version, value: two}], queryParams: [{name: v, value: "1&2"}]}]
    backendRefs: [{name: web, port: 80}]
Y
routes=("$podglass" lint -f tests/walk/manifests/gateway-tls.yaml -f "$dir/routes.yaml")
want "PUT asks.example.test:9443/cart to shop/web:80: a client outside is CARRIED" "${routes[@]}"
want "a.vault.example.test to shop/vault:443: a client outside is LOST" "${routes[@]}"

# A warning: 1, under --strict 3. An error: 3, and as an annotation.
cat >"$dir/warn.yaml" <<'Y'
apiVersion: v1
kind: Service
metadata: {name: lonely, namespace: shop}
spec:
  type: NodePort
  selectors: {app: lonely}
  ports: [{port: 80, nodePort: 30080}]
Y
status 1 "$podglass" lint -f "$dir/warn.yaml"
status 3 "$podglass" lint -f "$dir/warn.yaml" --strict
want "warning[PG120]: Service/shop/lonely: nobody outside reaches shop/lonely by NodePort 30080" \
    "$podglass" lint -f "$dir/warn.yaml"
printf 'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: "80"}]}\n' >"$dir/error.yaml"
status 3 "$podglass" lint -f "$dir/error.yaml"
want "::error file=$dir/error.yaml,line=4,col=" "$podglass" lint -f "$dir/error.yaml" -o github
"$podglass" lint -f "$dir/error.yaml" -o json >"$dir/json" || true
python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))
assert r["errors"] == 1 and r["findings"][0]["code"] == "PG400", r' "$dir/json" || { echo "FAILED: -o json"; failed=1; }
status 2 "$podglass" lint
exit $failed
