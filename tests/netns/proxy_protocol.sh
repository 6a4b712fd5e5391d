#!/bin/bash
# The PROXY protocol with real peers: curl and HAProxy send prefaces to the ingress, nginx reads those that it sends to pods.
#
#   mallory --> HAProxy at alice's address (send-proxy, send-proxy-v2, with checksum) --> balancer address --> ingress --> nginx
#   alice   --> curl --haproxy-protocol ------------------------------------------------^
#
# HAProxy stands for a proxying balancer: the TCP peer of the ingress is alice, the client is whom the preface names.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need haproxy
lab_up
lab_manifest Local >"$WORK/lab.yaml"
PG_FLAGS=(--set 'lab.ingress.proxyProtocol.ports=[80]' --set "lab.ingress.proxyProtocol.allowedSources=$ALICE/32" --set lab.ingress.h2c=true)
start_podglass

cat >"$WORK/haproxy.cfg" <<END
global
    maxconn 200
defaults
    mode tcp
    timeout connect 5s
    timeout client 20s
    timeout server 20s
listen v1
    bind $ALICE:9001
    server vip $VIP:80 source $ALICE send-proxy
listen v2
    bind $ALICE:9002
    server vip $VIP:80 source $ALICE send-proxy-v2
listen crc
    bind $ALICE:9003
    server vip $VIP:80 source $ALICE send-proxy-v2 proxy-v2-options crc32c,unique-id
END
spawn "$CLIENT" haproxy haproxy -db -f "$WORK/haproxy.cfg"
wait_for 5 in_client sh -c "ss -Htln 'sport = :9003' | grep -q ." || not_ok "HAProxy listens" "$(cat "$WORK/haproxy.log")"

# ---- in

shop=(-H 'Host: shop.example.test')

ask "$CLIENT" "http://$VIP/" --interface "$ALICE" --haproxy-protocol "${shop[@]}"
is "curl's preface is taken" "$STATUS" 200
is "and names curl itself" "$XFF $XRI" "$ALICE $ALICE"

for how in "9001 version 1" "9002 version 2" "9003 version 2 with checksum and id"; do
    port=${how%% *}
    ask "$CLIENT" "http://$ALICE:$port/" --interface "$MALLORY" "${shop[@]}" -H 'X-Forwarded-For: 192.0.2.66'
    is "HAProxy, ${how#* }: status" "$STATUS" 200
    is "HAProxy, ${how#* }: the client is whom the preface names" "$XFF $XRI" "$MALLORY $MALLORY"
done

ask "$CLIENT" "http://$VIP/" --interface "$ALICE" "${shop[@]}"
is "without a preface the connection is reset" "$STATUS" 000
ask "$CLIENT" "http://$VIP/" --interface "$MALLORY" --haproxy-protocol "${shop[@]}"
is "and so is that of somebody who may not send one" "$STATUS" 000
is "each is counted: prefaces" "$(counter proxy_prefaces)" 4
is "no preface" "$(counter pp_invalid)" 1
is "not allowed" "$(counter pp_denied)" 1
has "and told to the operator" "$(cat "$PG_LOG")" "PROXY preface from $ALICE:[0-9]+: no-preface, first bytes"

# One preface, two streams of HTTP/2 behind it: the client is the same for both.
runs "two streams of one connection" in_client "$PYTHON" - "$MALLORY" "$ALICE" <<'END'
import socket, sys
import h2.connection, h2.events
s = socket.create_connection((sys.argv[2], 9001), 10, (sys.argv[1], 0))
c = h2.connection.H2Connection()
c.initiate_connection()
for stream in 1, 3:
    c.send_headers(stream, [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "shop.example.test")], end_stream=True)
    ended = False
    body = b""
    while not ended:
        s.sendall(c.data_to_send())
        for event in c.receive_data(s.recv(65536)):
            if isinstance(event, h2.events.DataReceived):
                body += event.data
            ended = ended or isinstance(event, (h2.events.StreamEnded, h2.events.ConnectionTerminated))
    assert f"xff={sys.argv[1]} ".encode() in body, body
END

# A preface that comes a byte at a time, and one that never ends.
runs "bytes one by one" in_client "$PYTHON" - "$ALICE" "$VIP" <<'END'
import socket, sys, time
def connect():
    s = socket.socket()
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.bind((sys.argv[1], 0))
    s.settimeout(15)
    s.connect((sys.argv[2], 80))
    return s
s = connect()
for b in b"PROXY TCP4 203.0.113.77 203.0.113.10 4711 443\r\nGET / HTTP/1.1\r\nHost: shop.example.test\r\nConnection: close\r\n\r\n":
    s.sendall(bytes([b]))
    time.sleep(0.002)
answer = b""
while True:
    got = s.recv(65536)
    if not got:
        break
    answer += got
assert b"xff=203.0.113.77 " in answer, answer
s = connect()
s.sendall(b"PROXY TCP4 203")
began = time.time()
try:
    assert s.recv(10) == b"", "bytes of HTTP"
    assert False, "closed politely"
except ConnectionResetError:
    pass
assert 4 < time.time() - began < 8, time.time() - began
END
is "which counts, too" "$(counter pp_invalid)" 2
wait_pool 10 sessions 0
check_balance
stop_podglass

# ---- out

# shellcheck disable=SC2016 # nginx' variables
for pod in web-0 web-1; do
    sed -i 's/listen 8080/listen 8080 proxy_protocol/; s/ host=\$host/ pp=$proxy_protocol_addr:$proxy_protocol_port to=$proxy_protocol_server_addr:$proxy_protocol_server_port&/' \
        "$WORK/$pod/nginx.conf"
done
# shellcheck disable=SC2154 # set by nginx_up
kill -HUP "$NGINX_web_0" "$NGINX_web_1"
# shellcheck disable=SC2317 # wait_for calls it
wants_preface() { ip netns exec "$1" curl -s -m 1 --haproxy-protocol http://127.0.0.1:8080/ | grep -q 'pp=127'; }
wait_for 10 wants_preface "$POD1"
wait_for 10 wants_preface "$POD2"
for version in v1 v2; do
    PG_FLAGS=(--set "lab.ingress.proxyProtocol={toPods: $version}")
    start_podglass
    for who in "$ALICE" "$MALLORY" "$ALICE"; do
        ask "$CLIENT" "http://$VIP/" --interface "$who" "${shop[@]}"
        is "$version: nginx takes the preface" "$STATUS" 200
        has "$version: and its client is the connection's" "$BODY" "xff=$who .*pp=$who:$FROM_PORT to=203.0.113.10:80"
    done
    is "$version: each client's connection has its own" "$(counter proxy_prefaces_sent) $(counter upstream_reused)" "3 0"
    wait_pool 10 sessions 0
    check_balance
    stop_podglass
done
PG_FLAGS=(--set 'lab.ingress.proxyProtocol={ports: [80], allowedSources: [198.51.100.0/24], toPods: v2, tlvs: [crc32c, unique-id]}')
start_podglass
ask "$CLIENT" "http://$ALICE:9002/" --interface "$MALLORY" "${shop[@]}"
has "in and out: the pod is told the client, and the address he asked the balancer for" "$BODY" "pp=$MALLORY:$FROM_PORT to=$ALICE:9002"
stop_podglass
done_testing
