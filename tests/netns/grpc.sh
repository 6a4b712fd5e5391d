#!/bin/bash
# HTTP/2 to pods without TLS: gRPC-shaped calls with trailers, streams in both directions, pods that refuse, reset and leave; h2load to nginx.
#
#   client (alice) -- veth -- node: podglass on pg0 -- veth -- pod1 web-0, pod2 web-1: nginx :8080, h2c :8082, grpc.py :50051
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need nginx h2load
"$PYTHON" -c 'import h2' 2>/dev/null || unable "python3-h2 is missing"
lab_up

# nginx again, on a port where it speaks HTTP/2 without TLS
h2c_up() { # h2c_up SPACE POD
    local dir=$WORK/$2-h2c
    mkdir -p "$dir"
    sed -e "s|$WORK/$2/|$dir/|g; s|listen 8080 [^;]*|listen 8082 http2|" "$WORK/$2/nginx.conf" >"$dir/nginx.conf"
    mkdir -p "$dir/tmp"
    spawn "$1" "nginx-h2c-$2" nginx -e "$dir/error.log" -p "$dir" -c "$dir/nginx.conf"
    wait_for 5 ip netns exec "$1" curl -sf -m 1 --http2-prior-knowledge -o /dev/null http://127.0.0.1:8082/quiet
}
h2c_up "$POD1" web-0
h2c_up "$POD2" web-1
sum=$(random_file big "$(slow 32 4)")
for pod in "$POD1" "$POD2"; do
    spawn "$pod" "grpc-$pod" "$PYTHON" "$NETNS/grpc.py" serve 50051
    wait_for 10 grep -q ready "$WORK/grpc-$pod.log"
done

{
    lab_manifest Local | sed -e 's/{name: http, port: 80, targetPort: 8000, nodePort: 30000}/&, {name: https, port: 443, targetPort: 8443}/' \
        -e 's/ingress: {service: edge\/gateway,/ingress: {service: edge\/gateway, h2c: true,/'
    manifest_service shop h2c ClusterIP 10.96.12.70 "app: web" "{port: 80, targetPort: 8082, appProtocol: kubernetes.io/h2c}"
    manifest_service shop grpc ClusterIP 10.96.12.71 "app: web" "{port: 50051, targetPort: 50051, appProtocol: kubernetes.io/h2c}"
    cat <<END
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: grpc, namespace: shop}
spec:
  tls: [{hosts: [h2c.example.test, grpc.example.test]}]
  rules:
    - host: h2c.example.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: h2c, port: {number: 80}}}}]}
    - host: grpc.example.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: grpc, port: {number: 50051}}}}]}
END
} >"$WORK/lab.yaml"
PG_FLAGS=(--dev-cert "$WORK/dev.crt" --record)
start_podglass

# ---- curl to nginx

curl_h2c() { # curl_h2c PATH CURL-FLAG...
    local path=$1
    shift
    in_client curl -s -m 30 --resolve "h2c.example.test:443:$VIP" --resolve "h2c.example.test:80:$VIP" --cacert "$WORK/dev.crt" "$@" \
        "https://h2c.example.test$path"
}
h2c_log() { cat "$WORK"/web-?-h2c/access.log; }

is "HTTP/1.1 in TLS to a pod that speaks h2c" "$(curl_h2c /one --http1.1 -o /dev/null -w '%{http_version} %{http_code}')" "1.1 200"
is "HTTP/2 to it" "$(curl_h2c /two --http2 -o /dev/null -w '%{http_version} %{http_code}')" "2 200"
wait_for 3 grep -q /two "$WORK"/web-0-h2c/access.log "$WORK"/web-1-h2c/access.log || true
read_seen "$(h2c_log | grep '"uri":"/two"')"
is "the pod sees the ingress, the client in X-Forwarded-For, and the host" "$PEER $XFF $HOST" "10.244.1.2 $ALICE h2c.example.test"
is "a download is whole" "$(curl_h2c /files/big --http2 | sha256sum | cut -d' ' -f1)" "$sum"
is "over HTTP/1.1, too" "$(curl_h2c /files/big --http1.1 | sha256sum | cut -d' ' -f1)" "$sum"
is "HEAD" "$(curl_h2c /files/big --head -o /dev/null -w '%{http_code} %{size_download}')" "200 0"
is "no such file" "$(curl_h2c /files/none -o /dev/null -w '%{http_code}')" 404
is "by prior knowledge, on the plain port" \
    "$(in_client curl -s -m 10 --http2-prior-knowledge --resolve "h2c.example.test:80:$VIP" -o /dev/null -w '%{http_version} %{http_code}' http://h2c.example.test/)" "2 200"
is "an upgrade to h2c is none" \
    "$(in_client curl -s -m 10 --http2 --resolve "h2c.example.test:80:$VIP" -o /dev/null -w '%{http_version} %{http_code}' http://h2c.example.test/)" "1.1 200"

# ---- gRPC

call() { in_client timeout 60 "$PYTHON" "$NETNS/grpc.py" call "$1" "$VIP" "$2" grpc.example.test "${@:3}"; }
PGFINE="grpc-message=fine grpc-status=0"

got=$(call tls 443 Unary Stream Missing Reset Cancel Unary Big Peer)
has "a unary call has its status in a trailer" "$got" "^Unary 200 HELLO 5 $PGFINE$"
has "a stream in both directions" "$got" "^Stream 200 ONE\|TWO\|THREE 11 $PGFINE$"
has "trailers only" "$got" "^Missing 200  0 grpc-message=not found grpc-status=5$"
has "a pod that resets is a reset" "$got" "^Reset reset 2$"
has "with the code that the pod gave" "$got" "^Cancel reset 8$"
has "and the connection lives" "$(tail -3 <<<"$got")" "^Unary 200 HELLO"
has "a megabyte" "$got" "^Big 200 big 1048576 $PGFINE$"
has "the pod sees the client, TE: trailers, the host and no Connection" "$got" "^Peer 200 x-forwarded-for=$ALICE te=trailers authority=grpc.example.test connection=- "
has "a trailer that tells who is asking does not pass" "x$(grep -c "x-forwarded-for=1.2.3.4" <<<"$got" || true)" "^x0$"
got=$(call h2c 80 Unary Refused Refused Leave Unary)
has "by prior knowledge" "$got" "^Unary 200 HELLO"
is "a stream that the pod refused is sent again" "$(grep -c '^Refused 200' <<<"$got")" 2
is "a pod that leaves has answered, and another connection is opened" "$(grep -c '^Leave 200\|^Unary 200' <<<"$got")" 3

trailers=$(printf '\0\0\0\0\5hello' | in_client curl -s -m 10 --http1.1 --resolve "grpc.example.test:80:$VIP" -H 'TE: trailers' -H 'Connection: TE' \
    -H 'Content-Type: application/grpc' --data-binary @- -D - -o /dev/null http://grpc.example.test/test/Unary | tr -d '\r')
has "a client of HTTP/1.1 that says TE: trailers gets them" "$trailers" "^grpc-status: 0"
trailers=$(printf '\0\0\0\0\5hello' | in_client curl -s -m 10 --http1.1 --resolve "grpc.example.test:80:$VIP" \
    -H 'Content-Type: application/grpc' --data-binary @- -D - -o /dev/null http://grpc.example.test/test/Unary | tr -d '\r')
is "one that does not, does not" "$(grep -c grpc-status <<<"$trailers" || true)" 0
calls() { call tls 443 Unary Stream Unary Stream Unary; }
for i in {1..8}; do calls >"$WORK/calls-$i" & done
wait "${!}" || true
wait_for 30 test "$(jobs -r | grep -c calls)" = 0 || true
is "eight clients at once" "$(cat "$WORK"/calls-? | grep -c "$PGFINE")" 40
"$PODGLASS" trace --socket "$SOCK" --last 100 -o jsonl >"$WORK/records.jsonl"
has "the records say why it was HTTP/2" "$(jq -r 'select(.name == "protocol") | .reason.code + " " + .reason.value' "$WORK/records.jsonl" | sort -u)" "^PG215 kubernetes.io/h2c"
has "and which trailers passed" "$(jq -r 'select(.field == "trailer" and .kind == "Keep") | .name' "$WORK/records.jsonl" | sort -u)" "grpc-status"
has "and which did not" "$(jq -r 'select(.field == "trailer" and .kind == "Rewrite") | .name + " " + .reason.code' "$WORK/records.jsonl" | sort -u)" "x-forwarded-for PG208"

# ---- h2load

load() { # load WHAT FLAG...
    local what=$1 n
    n=$(slow 20000 2000)
    shift
    in_client h2load -n "$n" -c 10 -m 20 "$@" >"$WORK/h2load.out" 2>&1 || true
    has "h2load $what: every request was answered" "$(cat "$WORK/h2load.out")" "$n succeeded, 0 failed, 0 errored, 0 timeout"
    has "h2load $what: with 200" "$(cat "$WORK/h2load.out")" "status codes: $n 2xx"
    echo "# $(grep finished "$WORK/h2load.out")"
}
load "in TLS" --connect-to="$VIP:443" https://h2c.example.test/quiet
load "by prior knowledge" --connect-to="$VIP:80" http://h2c.example.test/quiet
load "HTTP/1.1 to h2c" --h1 --connect-to="$VIP:443" https://h2c.example.test/quiet

# shellcheck disable=SC2317 # wait_for calls it
nobody_left() { [ "$(get connections | jq '.items | length')" = 0 ]; }
wait_for 10 nobody_left || true
is "no stream is left" "$(get connections | jq '.items | length')" 0
check_balance
stop_podglass
done_testing
