#!/bin/bash
# podglass request -f and trace -f, as a user has them: no instance, no privilege.
set -euo pipefail
cd "${PODGLASS_SOURCE:-$(dirname "$0")/../..}"
podglass=${PODGLASS:-build/release/podglass}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# shellcheck source=expect.bash
. tests/cli/expect.bash
request=("$podglass" request -f examples/lab)
shop=http://shop.example.test/cart

# ---- request

status 0 "${request[@]}" "$shop"
want "alice 198.51.100.7 sends  GET /cart HTTP/1.1" "${request[@]}" "$shop"
want "mallory 198.51.100.66 sends" "${request[@]}" --from 198.51.100.66 "$shop"
want "198.51.100.99 sends" "${request[@]}" --from 198.51.100.99 "$shop"
want "client 198.51.100.7  LOST" "${request[@]}" --from alice "$shop"
want "client 10.244.1.7  KEPT" "${request[@]}" --from pod:shop/web-0 http://web.shop/
want "shop/web-1 says: peer 10.244.1.2" "${request[@]}" "$shop"
want "PUT /cart HTTP/1.1" "${request[@]}" -X PUT -d hello "$shop"
want "POST /cart HTTP/1.1" "${request[@]}" -d hello "$shop"
want "remove  X-Forwarded-For: 10.0.0.1" "${request[@]}" -H 'X-Forwarded-For: 10.0.0.1' "$shop"
want "no-route 404" "${request[@]}" -H 'Host: nobody.test' "$shop"
want "status 503" "${request[@]}" http://shop.example.test/status/503
status 0 "${request[@]}" http://shop.example.test/status/503
balanced=("${request[@]}" --set 'lab.ingress.proxyProtocol={ports: all, allowedSources: [10.244.0.0/16, 192.0.2.0/24]}' --from 192.0.2.99)
for version in v1 v2; do
    want "X-Forwarded-For: 198.51.100.7" "${balanced[@]}" --proxy-protocol $version --proxy-from 198.51.100.7 "$shop"
    want "client 198.51.100.7  CARRIED" "${balanced[@]}" --proxy-protocol $version --proxy-from 198.51.100.7:5555 "$shop"
done
want "no response: " "${balanced[@]}" "$shop"
status 1 "${request[@]}" http://203.0.113.10:81/
want "no response: " "${request[@]}" http://203.0.113.10:81/
for url in 'http://a b/' 'http://' 'http://x@y/' 'http://shop.example.test:99999/' 'http://[::1/' 'http://nope.test/'; do
    status 2 "${request[@]}" "$url"
done
status 2 "${request[@]}" -H 'no colon' "$shop"
status 2 "${request[@]}" -H $'A: b\r\nC: d' "$shop"
status 2 "${request[@]}" -X 'GET /' "$shop"
status 2 "${request[@]}" --from nobody "$shop"
status 2 "${request[@]}" --from pod:shop/none "$shop"
status 2 "${request[@]}"
status 3 "$podglass" request -f /dev/null/nothing "$shop"
status 5 "$podglass" request --socket "$dir/none" "$shop"

json=$("${request[@]}" -o json --from mallory "$shop")
for field in .kind=RequestResult .client=198.51.100.66 .clientName=mallory .status=200 .verdict=lost .witness=pod .error=null; do
    if [ "$(jq -r "${field%%=*}" <<<"$json")" != "${field#*=}" ]; then
        printf 'FAILED: %s in\n%s\n' "$field" "$json"
        failed=1
    fi
done
# Credentials are not shown unless somebody says so.
secret=(-H 'Authorization: Bearer s3cret' -H 'Cookie: id=s3cret' -H 'Proxy-Authorization: Basic s3cret')
for form in text json; do
    if "${request[@]}" -o "$form" "${secret[@]}" "$shop" | grep -q s3cret; then
        echo "FAILED: request -o $form shows credentials"
        failed=1
    fi
done
want "Authorization: (hidden)" "${request[@]}" "${secret[@]}" "$shop"
want "Cookie: id=s3cret" "${request[@]}" --show-secrets "${secret[@]}" "$shop"
"${request[@]}" --show-secrets -o json "${secret[@]}" "$shop?q=s3cret" | jq -c '.records[]' >"$dir/secret.jsonl"
for form in text json jsonl markdown mermaid; do
    if "$podglass" trace -f "$dir/secret.jsonl" -o "$form" | grep -q 'Basic s3cret'; then
        echo "FAILED: trace -o $form shows credentials"
        failed=1
    fi
done
want "Basic s3cret" "$podglass" trace -f "$dir/secret.jsonl" --show-secrets
want "/cart?q=s3cret" "$podglass" trace -f "$dir/secret.jsonl"
want "/cart?(hidden)" "$podglass" trace -f "$dir/secret.jsonl" -o markdown
want "CARRIED" "${request[@]}" --set svc/edge/gateway.externalTrafficPolicy=Local "$shop"
status 3 "${request[@]}" --set svc/edge/gone.externalTrafficPolicy=Local "$shop"

# The same seed gives the same records.
if [ "$("${request[@]}" -o json "$shop")" != "$("${request[@]}" -o json "$shop")" ]; then
    echo "FAILED: two runs differ"
    failed=1
fi

# ---- trace from a file

trace=("$podglass" trace -f "$dir/records.jsonl")
jq -c '.records[]' <<<"$json" >"$dir/records.jsonl"
want "0001  GET shop.example.test/cart 200" "${trace[@]}"
want "client LOST at hop 1" "${trace[@]}"
want "-> shop/web-1" "${trace[@]}"
want "### 0001: GET shop.example.test/cart" "${trace[@]}" -o markdown
want "sequenceDiagram" "${trace[@]}" -o mermaid
matches() { # matches COUNT FLAG...
    local want=$1 got
    shift
    got=$("${trace[@]}" -o json "$@" | jq '.items | length')
    if [ "$got" != "$want" ]; then
        printf 'FAILED: trace %s: %s exchanges, want %s\n' "$*" "$got" "$want"
        failed=1
    fi
}
matches 1
matches 1 --from 198.51.100.66
matches 0 --from 198.51.100.7
matches 1 --pod shop/web-1 --service shop/web --host shop.example.test --path /ca --verdict lost
matches 1 --service edge/gateway
matches 0 --pod shop/web-0
matches 0 --verdict carried
matches 0 --host example.test
matches 1 tcp and host 198.51.100.66 and port 80
matches 1 'port 8080'
matches 0 udp
# What -o jsonl writes reads back to the same.
"${trace[@]}" -o jsonl >"$dir/again.jsonl"
if ! cmp -s <(jq -cS . "$dir/records.jsonl") <(jq -cS . "$dir/again.jsonl"); then
    echo "FAILED: records change on their way through trace"
    diff <(jq -cS . "$dir/records.jsonl") <(jq -cS . "$dir/again.jsonl") | head -5
    failed=1
fi
status 2 "${trace[@]}" 'hots 1.2.3.4'
status 2 "${trace[@]}" --from alice
status 2 "${trace[@]}" --verdict maybe
status 1 "$podglass" trace -f "$dir/none.jsonl"
status 5 "$podglass" trace --socket "$dir/none"
status 5 "$podglass" capture -w "$dir/x" --socket "$dir/none"
status 2 "$podglass" capture -w "$dir/x" -s 3
status 2 "$podglass" capture -w "$dir/x" 'hots 1'
printf 'garbage\n{"kind":"Else"}\n' >"$dir/records.jsonl"
status 0 "${trace[@]}"
want "a line is no JSON" "${trace[@]}"

exit "$failed"
