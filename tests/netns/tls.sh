#!/bin/bash
# TLS with clients everybody has: curl, openssl s_client, wrk and Python's ssl, to nginx pods behind the ingress and, for one host, to an nginx
# that speaks TLS itself.
#
#   client (alice) -- veth -- node: podglass on pg0 -- veth -- pod1 web-0: nginx :8080, nginx with TLS :8443
#                                                  \-- veth -- pod2 web-1: nginx :8080
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need nginx wrk openssl
lab_up
sum=$(random_file big "$(slow 64 8)")

# ---- certificates

certificate() { # certificate NAME HOST...
    local name=$1 names
    shift
    names=$(printf ',DNS:%s' "$@")
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$WORK/$name.key" -out "$WORK/$name.crt" \
        -subj "/CN=$1" -addext "subjectAltName=${names:1}" -days 7 2>>"$WORK/openssl.log"
}
certificate shop shop.example.test tls.example.test
certificate other shop.example.test tls.example.test
certificate vault vault.example.test

manifest_secret() { # manifest_secret NAME FILE
    cat <<END
---
apiVersion: v1
kind: Secret
metadata: {name: $1, namespace: shop}
type: kubernetes.io/tls
data:
  tls.crt: $(base64 -w0 "$WORK/$2.crt")
  tls.key: $(base64 -w0 "$WORK/$2.key")
END
}
tls_manifest() { # tls_manifest CERTIFICATE
    lab_manifest Local | sed 's/{name: http, port: 80, targetPort: 8000, nodePort: 30000}/&, {name: https, port: 443, targetPort: 8443}/'
    cat <<END
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: secure, namespace: shop}
spec:
  tls:
    - {hosts: [shop.example.test, tls.example.test], secretName: shop-tls}
    - {hosts: [dev.example.test]}
  rules:
    - host: tls.example.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}},
          {path: /upload, pathType: Prefix, backend: {service: {name: upload, port: {number: 80}}}}]}
    - host: dev.example.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: vault, namespace: shop, annotations: {nginx.ingress.kubernetes.io/ssl-passthrough: "true"}}
spec:
  rules:
    - host: vault.example.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: vault, port: {number: 443}}}}]}
END
    manifest_service shop vault ClusterIP 10.96.12.70 "instance: zero" "{port: 443, targetPort: 8443}"
    manifest_secret shop-tls "$1"
}

# nginx that ends TLS itself, for the host that is passed through
nginx_tls_up() {
    mkdir -p "$WORK/vault/tmp"
    cat >"$WORK/vault/nginx.conf" <<END
daemon off; master_process on; worker_processes 1; user root; pid $WORK/vault/nginx.pid;
error_log $WORK/vault/error.log warn;
events {}
http {
    access_log off;
    client_body_temp_path $WORK/vault/tmp; proxy_temp_path $WORK/vault/tmp; fastcgi_temp_path $WORK/vault/tmp;
    uwsgi_temp_path $WORK/vault/tmp; scgi_temp_path $WORK/vault/tmp;
    server {
        listen 8443 ssl;
        ssl_certificate $WORK/vault.crt;
        ssl_certificate_key $WORK/vault.key;
        location / { return 200 "peer=\$remote_addr xff=\$http_x_forwarded_for name=\$ssl_server_name\n"; }
        location /files/ { alias $WORK/files/; }
    }
    server {
        listen 8444 ssl proxy_protocol;
        ssl_certificate $WORK/vault.crt;
        ssl_certificate_key $WORK/vault.key;
        location / { return 200 "peer=\$remote_addr pp=\$proxy_protocol_addr to=\$proxy_protocol_server_addr:\$proxy_protocol_server_port\n"; }
    }
}
END
    spawn "$POD1" nginx-vault nginx -e "$WORK/vault/error.log" -p "$WORK/vault" -c "$WORK/vault/nginx.conf"
    wait_for 5 ip netns exec "$POD1" curl -skf -m 1 -o /dev/null https://127.0.0.1:8443/
}

nginx_tls_up
sinks_up
tls_manifest shop >"$WORK/lab.yaml"
PG_FLAGS=(--dev-cert "$WORK/dev.crt" --record)
start_podglass

https() { # https HOST PATH CURL-FLAG...
    local host=$1 path=$2
    shift 2
    in_client curl -s -m 20 --resolve "$host:443:$VIP" "$@" "https://$host$path"
}
s_client() { # s_client FLAG...: the connection's words, and what came; asks for / of tls.example.test
    printf 'GET /quiet HTTP/1.1\r\nHost: tls.example.test\r\nConnection: close\r\n\r\n' |
        timeout 20 ip netns exec "$CLIENT" openssl s_client -connect $VIP:443 -ign_eof "$@" 2>&1 || true
}
trusted() { https "$1" "$2" --cacert "$WORK/shop.crt" "${@:3}"; }

# ---- curl

ASKED=$((ASKED + 1))
is "curl trusts the Secret's certificate" "$(trusted tls.example.test "/?ask=$ASKED" -o /dev/null -w '%{http_code} %{ssl_verify_result}')" "200 0"
wait_for 3 logged "$ASKED"
read_seen "$(logged "$ASKED")"
is "the pod sees the ingress, and the client in X-Forwarded-For" "$PEER $XFF $HOST" "10.244.1.2 $ALICE tls.example.test"
is "another host of the same certificate" "$(trusted shop.example.test / -o /dev/null -w '%{http_code}')" 200
is "TLS 1.2" "$(trusted tls.example.test /quiet --tls-max 1.2 -w '%{http_code}' -o /dev/null)" 200
is "TLS 1.3" "$(trusted tls.example.test /quiet --tlsv1.3 -w '%{http_code}' -o /dev/null)" 200
is "the authority of --dev-cert vouches for a host without a Secret" "$(https dev.example.test /quiet --cacert "$WORK/dev.crt" -w '%{http_code}' -o /dev/null)" 200
is "but nobody else does" "$(https dev.example.test /quiet --cacert "$WORK/shop.crt" -w '%{exitcode}' -o /dev/null || true)" 60
is "a host of another certificate on this connection" \
    "$(trusted tls.example.test / -H 'Host: dev.example.test' -o /dev/null -w '%{http_code}')" 421
is "many requests on one connection" \
    "$(in_client curl -s -m 20 --resolve "tls.example.test:443:$VIP" --cacert "$WORK/shop.crt" -o /dev/null -o /dev/null -o /dev/null \
        -w '%{num_connects}' "https://tls.example.test/quiet" "https://tls.example.test/quiet?2" "https://tls.example.test/quiet?3")" 100
is "a download is whole" "$(trusted tls.example.test /files/big -m 60 | sha256sum | cut -d' ' -f1)" "$sum"
is "an upload is whole" "$(trusted tls.example.test /upload -m 60 -T "$WORK/files/big" -o /dev/null -w '%{http_code} %{size_upload}')" \
    "200 $(stat -c %s "$WORK/files/big")"
is "HTTP without TLS on this port" "$(in_client curl -s -m 5 -o /dev/null -w '%{http_code}' http://$VIP:443/)" 400
is "the other port is still there" "$(in_client curl -s -m 5 -o /dev/null -w '%{http_code}' -H 'Host: tls.example.test' http://$VIP/)" 200

# ---- what is said of a connection

mkfifo "$WORK/open"
ip netns exec "$CLIENT" openssl s_client -connect $VIP:443 -servername tls.example.test -alpn http/1.1 -tls1_3 -quiet <"$WORK/open" >"$WORK/said.out" 2>/dev/null &
PIDS+=("$!")
exec 8>"$WORK/open"
printf 'GET /quiet HTTP/1.1\r\nHost: tls.example.test\r\n\r\n' >&8
wait_for 10 grep -q 'pod=web' "$WORK/said.out"
is "get connections -o json: version, protocol, server name" \
    "$(get connections | jq -r '[.items[].tls | select(.serverName == "tls.example.test" and .version == "TLSv1.3" and .protocol == "http/1.1") | .resumed] | unique[]')" false
row=$("$PODGLASS" get connections -o wide --socket "$SOCK")
has "get connections -o wide" "$row" "TLSv1.3 TLS_[A-Z0-9_]+ http/1.1"
flow=$(get connections | jq -r '[.items[] | select(.tls != null)][0].flow')
has "describe flow" "$("$PODGLASS" describe flow "$flow" --socket "$SOCK")" "Cipher: +TLS_"
exec 8>&-

# ---- openssl s_client

has "s_client, TLS 1.3" "$(s_client -servername tls.example.test -tls1_3 -CAfile "$WORK/shop.crt")" "Verify return code: 0 "
has "ALPN" "$(s_client -servername tls.example.test -alpn http/1.1)" "ALPN protocol: http/1.1"
has "no protocol in common" "$(s_client -servername tls.example.test -alpn smtp)" "no application protocol"
has "TLS 1.1 is too old" "$(s_client -servername tls.example.test -tls1_1 -cipher ALL:@SECLEVEL=0)" "alert protocol version"
has "a name nobody knows" "$(s_client -servername nobody.example.test)" "CN = ingress.podglass.invalid"
has "no name at all" "$(s_client -noservername)" "CN = ingress.podglass.invalid"
for version in tls1_2 tls1_3; do
    before=$(counter tls_resumed)
    s_client -servername tls.example.test -$version -sess_out "$WORK/session" >/dev/null
    has "$version: a ticket is taken" "$(s_client -servername tls.example.test -$version -sess_in "$WORK/session")" "Reused, TLS"
    is "$version: and counted" "$(counter tls_resumed)" $((before + 1))
    is "$version: but not for another certificate" \
        "$(s_client -servername dev.example.test -$version -sess_in "$WORK/session" | grep -c 'Reused, TLS' || true)" 0
done

# ---- Python: a hello byte by byte, half a hello, an end inside

cat >"$WORK/slow.py" <<'END'
import socket, ssl, sys, time
vip, ca = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = context.wrap_bio(incoming, outgoing, server_hostname='tls.example.test')
plain = socket.create_connection((vip, 443), timeout=10)
plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

def run(call):
    while True:
        try:
            result = call()
        except ssl.SSLWantReadError:
            result = None
        data = outgoing.read()
        for i in range(len(data)):  # every byte a segment
            plain.sendall(data[i:i + 1])
        if result is not None:
            return result
        got = plain.recv(65536)
        incoming.write(got) if got else incoming.write_eof()

run(lambda: tls.do_handshake() or True)
request = b'GET /quiet HTTP/1.1\r\nHost: tls.example.test\r\nConnection: close\r\n\r\n'
run(lambda: tls.write(request))
print(run(lambda: tls.read(65536)).split(b'\r\n')[0].decode())
END
is "a client that sends byte by byte" "$(in_client "$PYTHON" "$WORK/slow.py" $VIP "$WORK/shop.crt")" "HTTP/1.1 200 OK"
before=$(counter tls_failed_alert)
in_client "$PYTHON" -c "
import socket
s = socket.create_connection(('$VIP', 443)); s.sendall(b'\x16\x03\x01\x02\x00\x01'); s.close()"
# shellcheck disable=SC2317 # wait_for calls it
failed_more() { [ "$(counter tls_failed_alert)" -gt "$1" ]; }
wait_for 5 failed_more "$before" || true
at_least "half a hello is counted" "$(counter tls_failed_alert)" $((before + 1))

# ---- passed through

is "ssl-passthrough: the pod's own certificate, the ingress pod as peer, no header" \
    "$(https vault.example.test / --cacert "$WORK/vault.crt")" "peer=10.244.1.2 xff= name=vault.example.test"
tls_manifest shop | sed 's/ingress: {service: edge\/gateway/&, upstream: endpoints, proxyProtocol: {toPods: v2}/; s/{port: 443, targetPort: 8443}/{port: 443, targetPort: 8444}/' \
    >"$WORK/lab.yaml"
reload
has "to a pod of the ingress' choice, with a preface in front of the ClientHello" "$(https vault.example.test / --cacert "$WORK/vault.crt")" \
    "^peer=10.244.1.2 pp=$ALICE to=$VIP:443$"
tls_manifest shop >"$WORK/lab.yaml"
reload
is "and bytes as they were" "$(https vault.example.test /files/big --cacert "$WORK/vault.crt" -m 60 | sha256sum | cut -d' ' -f1)" "$sum"
at_least "counted" "$(counter tls_passed_through)" 2

# ---- load

in_client wrk -t2 -c20 -d3s --timeout 10s -H 'Host: tls.example.test' "https://$VIP/quiet" >"$WORK/wrk.out" 2>&1 || true
# wrk sends its Host as server name
at_least "wrk: requests" "$(wrk_requests "$WORK/wrk.out")" "$(slow 3000 300)"
echo "# $(grep -E 'Requests/sec|requests in' "$WORK/wrk.out" | tr '\n' ' ')"

# ---- a new certificate while connections are open

ASKED=$((ASKED + 1))
mkfifo "$WORK/asked"
ip netns exec "$CLIENT" openssl s_client -connect $VIP:443 -servername tls.example.test -quiet <"$WORK/asked" >"$WORK/open.out" 2>"$WORK/open.err" &
open_pid=$!
PIDS+=("$open_pid")
exec 8>"$WORK/asked"
printf 'GET /quiet HTTP/1.1\r\nHost: tls.example.test\r\n\r\n' >&8
wait_for 10 grep -q 'pod=web' "$WORK/open.out"
tls_manifest other >"$WORK/lab.yaml"
reload
printf 'GET /quiet?again HTTP/1.1\r\nHost: tls.example.test\r\nConnection: close\r\n\r\n' >&8
# shellcheck disable=SC2317 # wait_for calls it
answered_twice() { [ "$(grep -c 'pod=web' "$WORK/open.out")" -ge 2 ]; }
wait_for 10 answered_twice || true
is "an open connection goes on after a reload" "$(grep -c 'pod=web' "$WORK/open.out")" 2
exec 8>&-
is "new ones get the new certificate" "$(https tls.example.test /quiet --cacert "$WORK/other.crt" -o /dev/null -w '%{http_code}')" 200

# ---- keys

for list in connections services endpoints nodes counters conntrack nat; do get $list; done >"$WORK/said" 2>&1
for what in "service shop/web" "service edge/gateway" "node node-1"; do
    # shellcheck disable=SC2086 # two words
    "$PODGLASS" describe $what --socket "$SOCK" >>"$WORK/said" 2>&1 || true
done
"$PODGLASS" report --socket "$SOCK" >>"$WORK/said" 2>&1 || true
"$PODGLASS" trace --last 4000 --socket "$SOCK" -o jsonl >>"$WORK/said" 2>&1 || true
"$PODGLASS" lint -f "$WORK/lab.yaml" >>"$WORK/said" 2>&1 || true
"$PODGLASS" explain -f "$WORK/lab.yaml" https://tls.example.test/ >>"$WORK/said" 2>&1 || true
cat "$PG_LOG" >>"$WORK/said"
has "the handshakes are in the trace" "$(cat "$WORK/said")" '"name":"handshake"'
for key in shop other; do
    middle=$(sed -n 3p "$WORK/$key.key")
    coded=$(base64 -w0 "$WORK/$key.key" | cut -c 100-140)
    is "no output has the key $key" "$(grep -cF -e "$middle" -e "$coded" "$WORK/said" || true)" 0
done

check_balance
stop_podglass
done_testing
