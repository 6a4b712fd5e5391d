#!/bin/bash
# HTTP/2 on the client leg with curl and h2load, to nginx pods that speak HTTP/1.1; and clients that mean no good (h2_bad.py).
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

# ---- clients that mean no good (h2_bad.py says what each does). GOAWAY codes: 1 protocol error, 3 flow control, 11 enhance your calm

pods() { # pods SIGNAL
    ip netns pids "$POD1" | xargs kill -s "$1"
    ip netns pids "$POD2" | xargs kill -s "$1"
}
bad() { # bad WHAT PATTERN [FLOODS]
    local before floods=${3:-0} seen
    before=$(counter h2_floods)
    [ "$1" != data-beyond-window ] || pods STOP # an answer before its time would end the stream
    seen=$(in_client timeout 60 "$PYTHON" "$NETNS/h2_bad.py" "$VIP" h2.example.test "$1" || true)
    [ "$1" != data-beyond-window ] || pods CONT
    has "$1" "$seen" "$2"
    is "$1: floods counted" "$(($(counter h2_floods) - before))" "$floods"
    is "$1: others are served" "$(h2 /quiet -o /dev/null -w '%{http_code}')" 200
}
before=$(awk '/VmRSS/ {print $2}' /proc/"$PG_PID"/status)
bad rapid-reset '^closed goaway (11|-)' 1
bad continuation-flood '^closed' 1
bad empty-continuation '^closed' 1
bad settings-flood '^closed' 1
bad ping-flood '^closed' 1
bad priority-flood '^closed' 1
bad window-flood '^closed' 1
bad empty-data '^closed' 1
bad head-bomb 'answers 1$' # 431
bad big-head 'answers 1$'  # likewise
bad window-overflow '^closed goaway 3'
bad stream-zero '^closed goaway 1 '
bad even-stream '^closed goaway 1 '
bad too-many-streams 'resets 7 answers'
bad data-beyond-window 'resets 3|goaway 3'
bad half-frame 'answers [01]$'
bad upper-case 'resets 1 answers 0'
bad connection-field 'resets 1 answers 0'
bad length-lies 'resets 1 answers 0'
bad no-path 'resets 1 answers 0'
bad crlf-in-value 'resets 1 answers 0'
bad websocket 'resets 1 answers 0'
after=$(awk '/VmRSS/ {print $2}' /proc/"$PG_PID"/status)
at_most "all of them together left KiB" $((after - before)) 65536
is "TRACE" "$(h2 / -X TRACE -o /dev/null -w '%{http_code}')" 405
# curl does not wait for it in HTTP/2; this client does.
runs "Expect: 100-continue is answered here" in_client "$PYTHON" - "$VIP" <<'END'
import socket, ssl, sys
import h2.connection, h2.events
context = ssl._create_unverified_context()
context.set_alpn_protocols(["h2"])
s = context.wrap_socket(socket.create_connection((sys.argv[1], 443), 20), server_hostname="h2.example.test")
c = h2.connection.H2Connection()
c.initiate_connection()
c.send_headers(1, [(":method", "PUT"), (":path", "/upload"), (":scheme", "https"), (":authority", "h2.example.test"), ("expect", "100-continue")])
seen = []
while "ended" not in seen:
    s.sendall(c.data_to_send())
    for event in c.receive_data(s.recv(65536)):
        if isinstance(event, h2.events.InformationalResponseReceived):
            seen += [dict(event.headers)[b":status"]]
            c.send_data(1, b"x" * 1000, end_stream=True)
        elif isinstance(event, h2.events.ResponseReceived):
            seen += [dict(event.headers)[b":status"]]
        elif isinstance(event, h2.events.DataReceived):
            assert b'"bytes": 1000' in event.data, event.data
        elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated)):
            seen += ["ended"]
assert seen == [b"100", b"200", "ended"], seen
END

# shellcheck disable=SC2317 # wait_for calls it
nobody_left() { [ "$(get connections | jq '.items | length')" = 0 ]; }
wait_for 10 nobody_left || true
is "no stream is left" "$(get connections | jq '.items | length')" 0
check_balance
stop_podglass
done_testing
