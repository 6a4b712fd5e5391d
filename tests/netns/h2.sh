#!/bin/bash
# HTTP/2 on the client leg with curl and h2load, to nginx pods that speak HTTP/1.1; and a client that means no good.
#
#   client (alice) -- veth -- node: podglass on pg0 -- veth -- pod1 web-0, pod2 web-1: nginx :8080
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need nginx h2load
lab_up
sum=$(random_file big "$(slow 64 8)")
sinks_up
{
    lab_manifest Local | sed 's/{name: http, port: 80, targetPort: 8000, nodePort: 30000}/&, {name: https, port: 443, targetPort: 8443}/'
    cat <<END
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: secure, namespace: shop}
spec:
  tls: [{hosts: [h2.example.test, other.example.test]}]
  rules:
    - host: h2.example.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}},
          {path: /upload, pathType: Prefix, backend: {service: {name: upload, port: {number: 80}}}}]}
    - host: other.example.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
END
} >"$WORK/lab.yaml"
PG_FLAGS=(--dev-cert "$WORK/dev.crt" --record)
start_podglass

h2() { # h2 PATH CURL-FLAG...
    local path=$1
    shift
    in_client curl -s -m 30 --http2 --resolve "h2.example.test:443:$VIP" --cacert "$WORK/dev.crt" "$@" "https://h2.example.test$path"
}

# ---- curl

ASKED=$((ASKED + 1))
is "curl chooses h2" "$(h2 "/?ask=$ASKED" -o /dev/null -w '%{http_version} %{http_code}')" "2 200"
wait_for 3 logged "$ASKED"
read_seen "$(logged "$ASKED")"
is "the pod sees the ingress, the client in X-Forwarded-For, and the host" "$PEER $XFF $HOST" "10.244.1.2 $ALICE h2.example.test"
is "HTTP/1.1 is still there" "$(h2 / --http1.1 -o /dev/null -w '%{http_version} %{http_code}')" "1.1 200"
is "HEAD" "$(h2 /files/big --head -o /dev/null -w '%{http_code} %{size_download}')" "200 0"
is "no such file" "$(h2 /files/none -o /dev/null -w '%{http_code}')" 404
is "another host on this connection" "$(h2 / -H 'Host: other.example.test' -o /dev/null -w '%{http_code}')" 421
is "a download is whole" "$(h2 /files/big | sha256sum | cut -d' ' -f1)" "$sum"
is "an upload with a length" "$(h2 /upload -T "$WORK/files/big" -o /dev/null -w '%{http_code} %{size_upload}')" "200 $(stat -c %s "$WORK/files/big")"
is "an upload without" "$(h2 /upload -T - -o /dev/null -w '%{http_code}' <"$WORK/files/big")" 200
is "many at once on one connection" \
    "$(h2 '/files/big?[1-6]' --parallel --parallel-immediate -o /dev/null -w '%{http_code} %{num_connects}\n' | sort | uniq -c | awk '{print $2, $1 * 1}' | awk '{n += $2} END {print n}')" 6
is "a path that breaks HTTP/1.1's grammar" "$(h2 '/%zz' -o /dev/null -w '%{http_code}')" 400
many=()
for n in {1..130}; do many+=(-H "X-Field-$n: 1"); done
is "a head with too many fields" "$(h2 / "${many[@]}" -o /dev/null -w '%{http_code}')" 431

# ---- h2load

in_client h2load -n "$(slow 20000 2000)" -c 10 -m 20 -H 'host: h2.example.test' --connect-to="$VIP:443" https://h2.example.test/quiet \
    >"$WORK/h2load.out" 2>&1 || true
has "h2load: every request was answered" "$(cat "$WORK/h2load.out")" "0 failed, 0 errored, 0 timeout"
has "h2load: with 200" "$(cat "$WORK/h2load.out")" "status codes: $(slow 20000 2000) 2xx"
echo "# $(grep finished "$WORK/h2load.out")"

# ---- rapid reset: asks and takes back at once, without end

cat >"$WORK/reset.py" <<'END'
import socket, ssl, struct, sys
vip, = sys.argv[1:]
context = ssl._create_unverified_context()
context.set_alpn_protocols(['h2'])
s = context.wrap_socket(socket.create_connection((vip, 443), timeout=10), server_hostname='h2.example.test')
frame = lambda kind, flags, stream, body: struct.pack('>I', len(body))[1:] + bytes([kind, flags]) + struct.pack('>I', stream) + body
name = b'h2.example.test'
head = bytes([0x82, 0x87, 0x84, 0x01, len(name)]) + name  # GET https / and :authority
s.sendall(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + frame(4, 0, 0, b''))
sent, got = 0, b''
try:
    for i in range(2000):
        s.sendall(frame(1, 5, 2 * i + 1, head) + frame(3, 0, 2 * i + 1, struct.pack('>I', 8)))
        sent += 1
    while True:
        more = s.recv(65536)
        if not more:
            break
        got += more
except OSError:
    pass
codes = []
while len(got) >= 9:
    n = int.from_bytes(got[:3], 'big')
    if got[3] == 7:
        codes.append(int.from_bytes(got[13:17], 'big'))
    got = got[9 + n:]
print('goaway', *codes)
END
has "a client that takes every request back is sent away" "$(in_client "$PYTHON" "$WORK/reset.py" $VIP)" "goaway 11|goaway$"
at_least "and counted" "$(counter h2_floods)" 1
is "others are served" "$(h2 /quiet -o /dev/null -w '%{http_code}')" 200

# shellcheck disable=SC2317 # wait_for calls it
nobody_left() { [ "$(get connections | jq '.items | length')" = 0 ]; }
wait_for 10 nobody_left || true
is "no stream is left" "$(get connections | jq '.items | length')" 0
check_balance
stop_podglass
done_testing
