#!/bin/bash
# A WebSocket through the ingress, with the library of others at both ends: opened, used, over a reload, and into the drain.
#
#   client: ws.py ask -- veth -- node: podglass on pg0 -- veth -- pod1, pod2: ws.py serve :8082
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need
"$PYTHON" -c 'import websockets' 2>/dev/null || unable "python3-websockets is missing"
lab_up
lab_manifest Local >"$WORK/lab.yaml"
{
    manifest_service shop ws ClusterIP 10.96.12.70 "app: web" "{port: 80, targetPort: 8082}"
    cat <<END
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ws, namespace: shop}
spec:
  rules:
    - host: ws.example.test
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: ws, port: {number: 80}}}}
END
} >"$WORK/ws.yaml"
cat "$WORK/ws.yaml" >>"$WORK/lab.yaml"
PG_FLAGS=(--access-log "$WORK/log" --record)
spawn "$POD1" ws-0 "$PYTHON" "$NETNS/ws.py" serve 8082
spawn "$POD2" ws-1 "$PYTHON" "$NETNS/ws.py" serve 8082
wait_for 10 grep -q ready "$WORK/ws-0.log"
wait_for 10 grep -q ready "$WORK/ws-1.log"
start_podglass

open_socket() {
    rm -f "$WORK/ask.in" "$WORK/ask.out"
    mkfifo "$WORK/ask.in"
    in_client "$PYTHON" "$NETNS/ws.py" ask ws://ws.example.test/chat "$VIP" "$ALICE" <"$WORK/ask.in" >"$WORK/ask.out" 2>&1 &
    ASK_PID=$!
    PIDS+=("$ASK_PID")
    exec 8>"$WORK/ask.in"
    wait_for 10 grep -q '^opened' "$WORK/ask.out" || not_ok "a socket opens" "$(cat "$WORK/ask.out")"
}
# said LINE EXPECTED: sends a line, waits for this answer
# shellcheck disable=SC2317 # called by runs
said() {
    echo "$1" >&8
    wait_for "$(slow 10 40)" grep -qx "$2" "$WORK/ask.out"
}
tunnels() { get connections | jq '[.items[] | select(.state == "tunnel")] | length'; }

open_socket
opened=$(sed -n 's/^opened //p' "$WORK/ask.out")
is "the pod sees whom the ingress saw, and no forged one" "$(jq -r .xff <<<"$opened")" "$ALICE"
is "its Host and path" "$(jq -r '.host + .path' <<<"$opened")" ws.example.test/chat
is "and that the connection is to be upgraded" "$(jq -r .connection <<<"$opened")" Upgrade
is "its peer is the ingress pod" "$(jq -r .peer <<<"$opened")" 10.244.1.2
runs "a message comes back" said "text hello" "text hello"
runs "and eight megabytes" said "big 8388608" "big 8388608 same"
is "the connection is shown as a tunnel" "$(tunnels)" 1
is "and counted" "$(counter http_tunnels)" 1

for _ in 1 2 3; do reload; done
runs "it lives through reloads" said "text again" "text again"
sed -i '/host: ws.example.test/s/ws/other/' "$WORK/lab.yaml"
reload
ask "$CLIENT" http://$VIP/ -H 'Host: ws.example.test'
is "when its route is gone, new requests find none" "$STATUS" 404
runs "but the open one goes on" said "text on" "text on"

ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test' -H 'Connection: Upgrade, HTTP2-Settings' -H 'Upgrade: h2c' \
    -H 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'
is "an upgrade to h2c is an ordinary request" "$STATUS" 200

runs "the client closes in good order" said close "closed 1000"
exec 8>&-
runs "the pod heard so" wait_for 5 grep -q 'closed 1000' "$WORK"/ws-0.log "$WORK"/ws-1.log
# shellcheck disable=SC2317 # wait_for calls it
no_tunnel() { [ "$(tunnels)" = 0 ]; }
runs "nothing of it is left" wait_for 5 no_tunnel
has "the access log has it with 101 and its bytes" "$(wait_for 5 grep -h 'GET /chat' "$WORK/log"; cat "$WORK/log")" \
    '"GET /chat HTTP/1.1" 101 838[0-9]+ '

cp "$WORK/ws.yaml" "$WORK/again.yaml"
lab_manifest Local >"$WORK/lab.yaml"
cat "$WORK/again.yaml" >>"$WORK/lab.yaml"
reload
open_socket
kill -TERM "$PG_PID"
sleep 0.5
runs "an open socket still works while podglass drains" said "text late" "text late"
echo close >&8
exec 8>&-
wait_podglass 15
is "and when it closes, podglass ends with" "$PG_STATUS" 0
PG_PID=
done_testing
