#!/bin/bash
# TLS to nginx pods: verified and not, under wrong names, by authorities nobody knows, with certificates of ours, HTTP/2 by ALPN, bodies both ways, loads.
#
#   client (alice) -- veth -- node: podglass on pg0 -- veth -- pod1 web-0, pod2 web-1: nginx :8080, and with TLS
#       :8443 good   :8444 expired   :8445 of an authority nobody knows   :8446 asks for a certificate   :8447 behind a PROXY preface
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need nginx openssl wrk h2load
lab_up
sum=$(random_file big "$(slow 64 8)")
size=$(stat -c %s "$WORK/files/big")

# ---- certificates

authority() { # authority NAME
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$WORK/$1.key" -out "$WORK/$1.crt" -subj "/CN=$1" \
        -days 7 2>>"$WORK/openssl.log"
}
signed() { # signed NAME AUTHORITY HOST DAYS
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$WORK/$1.key" -out "$WORK/$1.csr" -subj "/CN=$3" \
        2>>"$WORK/openssl.log"
    openssl x509 -req -in "$WORK/$1.csr" -CA "$WORK/$2.crt" -CAkey "$WORK/$2.key" -CAcreateserial -days "$4" -out "$WORK/$1.crt" \
        -extfile <(echo "subjectAltName=DNS:$3,URI:spiffe://lab.test/web") 2>>"$WORK/openssl.log"
}
authority pods
authority others
signed good pods web.internal.test 7
signed expired pods web.internal.test -1
signed unknown others web.internal.test 7
signed ingress others ingress.internal.test 7

# ---- pods

server() { # server PORT CERTIFICATE LINE...
    echo "server { listen $1; ssl_certificate $WORK/$2.crt; ssl_certificate_key $WORK/$2.key;"
    shift 2
    printf '%s\n' "$@"
    cat <<END
    location / { return 200 "pod=\$hostname peer=\$remote_addr xff=\$http_x_forwarded_for xfp=\$http_x_forwarded_proto name=\$ssl_server_name tls=\$ssl_protocol resumed=\$ssl_session_reused client=\$ssl_client_s_dn pp=\$proxy_protocol_addr\n"; }
    location /files/ { alias $WORK/files/; }
    location /slow/ { alias $WORK/files/; limit_rate 2m; }
    location /upload { proxy_pass http://127.0.0.1:8081/; proxy_request_buffering off; client_max_body_size 0; }
    location /quiet { return 200 "ok\n"; }
    location /leaves { keepalive_timeout 0; return 200 "ok\n"; }
}
END
}
nginx_tls_up() { # nginx_tls_up SPACE POD
    local dir=$WORK/$2-tls
    mkdir -p "$dir/tmp"
    {
        cat <<END
daemon off; master_process on; worker_processes 1; user root; pid $dir/nginx.pid;
error_log $dir/error.log warn;
events { worker_connections 4096; }
http {
    access_log off; default_type text/plain; keepalive_requests 10000000;
    client_body_temp_path $dir/tmp; proxy_temp_path $dir/tmp; fastcgi_temp_path $dir/tmp;
    uwsgi_temp_path $dir/tmp; scgi_temp_path $dir/tmp;
    ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:1m; ssl_session_tickets on;
END
        server "8443 ssl http2" good
        server "8444 ssl" expired
        server "8445 ssl" unknown
        server "8446 ssl" good "ssl_client_certificate $WORK/others.crt; ssl_verify_client on;"
        server "8447 ssl proxy_protocol" good
        echo "}"
    } >"$dir/nginx.conf"
    spawn "$1" "nginx-tls-$2" nginx -e "$dir/error.log" -p "$dir" -c "$dir/nginx.conf"
    wait_for 5 ip netns exec "$1" curl -skf -m 1 -o /dev/null https://127.0.0.1:8443/
}
nginx_tls_up "$POD1" web-0
nginx_tls_up "$POD2" web-1
sinks_up

# ---- manifests

secret() { # secret NAME CA [CERTIFICATE]
    cat <<END
---
apiVersion: v1
kind: Secret
metadata: {name: $1, namespace: shop}
data:
  ca.crt: $(base64 -w0 "$WORK/$2.crt")
END
    [ -z "${3:-}" ] || printf '  tls.crt: %s\n  tls.key: %s\n' "$(base64 -w0 "$WORK/$3.crt")" "$(base64 -w0 "$WORK/$3.key")"
}
ingress() { # ingress NAME SERVICE ANNOTATION... (without their prefix): host NAME.example.test
    echo "---"
    echo "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: $1, namespace: shop, annotations: {"
    printf 'nginx.ingress.kubernetes.io/%s,\n' "${@:3}"
    echo "}}, spec: {rules: [{host: $1.example.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: $2, port: {number: 443}}}}]}}]}}"
}
https='backend-protocol: "HTTPS"'
verify='proxy-ssl-secret: "shop/pods", nginx.ingress.kubernetes.io/proxy-ssl-verify: "on"'
name='proxy-ssl-name: "web.internal.test", nginx.ingress.kubernetes.io/proxy-ssl-server-name: "on"'
manifest() { # manifest [LAB-SETTING]
    lab_manifest Local | sed -e 's/{name: http, port: 80, targetPort: 8000, nodePort: 30000}/&, {name: gateway, port: 8100, targetPort: 8100}/' \
        -e "s/ingress: {service: edge\/gateway,/&${1:-}/"
    local port=0
    for port in 3 4 5 6 7; do
        manifest_service shop "tls-$port" ClusterIP "10.96.12.7$port" "app: web" "{name: https, port: 443, targetPort: 844$port}"
    done
    manifest_service shop plain ClusterIP 10.96.12.78 "app: web" "{name: https, port: 443, targetPort: 8080}"
    manifest_service shop policed ClusterIP 10.96.12.79 "app: web" "{name: https, port: 443, targetPort: 8443}"
    secret pods pods
    secret mutual pods ingress
    ingress open tls-3 "$https"
    ingress verified tls-3 "$https" "$verify" "$name" 'proxy-ssl-protocols: "TLSv1.2 TLSv1.3"'
    ingress older tls-3 "$https" "$verify" "$name"
    ingress wrong tls-3 "$https" "$verify" 'proxy-ssl-name: "other.internal.test"'
    ingress nameless tls-3 "$https" "$verify"
    ingress grpcs tls-3 'backend-protocol: "GRPCS"' "$verify" "$name"
    ingress expired tls-4 "$https" "$verify" "$name"
    ingress unknown tls-5 "$https" "$verify" "$name"
    ingress believed tls-5 "$https"
    ingress mutual tls-6 "$https" 'proxy-ssl-secret: "shop/mutual"' 'proxy-ssl-verify: "on"' "$name" 'proxy-ssl-protocols: "TLSv1.3"'
    ingress shy tls-6 "$https"
    ingress preface tls-7 "$https" "$verify" "$name"
    ingress plain plain "$https"
    cat <<END
---
{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: lab}, spec: {controllerName: podglass.io/gateway}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: main, namespace: shop}
spec: {gatewayClassName: lab, listeners: [{name: http, port: 8100, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: policed, namespace: shop}
spec: {parentRefs: [{name: main}], rules: [{backendRefs: [{name: policed, port: 443}]}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: pods, namespace: shop}
data:
  ca.crt: |
$(sed 's/^/    /' "$WORK/pods.crt")
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: policed, namespace: shop}
spec:
  targetRefs: [{group: "", kind: Service, name: policed}]
  validation:
    hostname: policed.internal.test
    ${TRUST:-caCertificateRefs: [{group: "", kind: ConfigMap, name: pods\}]}
    subjectAltNames: [{type: URI, uri: ${URI:-spiffe://lab.test/web}}]
END
}
manifest >"$WORK/lab.yaml"
PG_FLAGS=(--record --access-log "$WORK/access.jsonl" --access-log-format json)
start_podglass

to() { # to HOST PATH CURL-FLAG...
    in_client curl -s -m 60 --connect-to "::$VIP:80" "${@:3}" "http://$1.example.test$2"
}
code() { to "$1" / -o /dev/null -w '%{http_code}'; }

# ---- what is asked of pods

got=$(to verified /)
has "verified: the pod answers" "$got" "peer=10.244.1.2 xff=$ALICE xfp=http name=web.internal.test tls=TLSv1.3"
has "not verified, and no name asked for" "$(to open /)" "xff=$ALICE xfp=http name= tls=TLSv1.3"
has "TLS 1.2 is what ingress-nginx offers beside proxy-ssl-secret" "$(to older /)" "tls=TLSv1.2"
is "whoever is believed unseen may be anybody" "$(code believed)" 200
is "a certificate for another name" "$(code wrong)" 502
is "no name to verify, as with ingress-nginx" "$(code nameless)" 502
is "a certificate out of its time" "$(code expired)" 502
is "an authority nobody knows" "$(code unknown)" 502
is "a pod without TLS" "$(code plain)" 502
has "a certificate of ours, shown to a pod that asks" "$(to mutual /)" "client=CN=ingress.internal.test"
is "nothing to show: nginx says so itself" "$(code shy)" 400
has "a BackendTLSPolicy, by an URI" "$(in_client curl -s -m 20 http://$VIP:8100/)" "name=policed.internal.test"
failed() { failed_of "Ingress/shop/$1"; }
failed_of() { # failed_of OBJECT: in the record
    jq -r --arg host "$1" 'select(.name == "tls-failed" and .reason.object == $host) | .after' "$WORK/records.jsonl" | sort -u
}
get_records() { timeout 20 "$PODGLASS" trace --socket "$SOCK" --last 5000 -o jsonl >"$WORK/records.jsonl" 2>/dev/null; }
get_records || true
has "the record has the reason: name" "$(failed wrong)" "hostname mismatch"
has "the record has the reason: time" "$(failed expired)" "certificate has expired"
has "the record has the reason: authority" "$(failed unknown)" "unable to get local issuer certificate"
has "the record has the reason: no TLS" "$(failed plain)" "wrong version number"
in_log() { jq -r 'select(.host == "expired.example.test") | "\(.error) \(.reason)"' "$WORK/access.jsonl"; }
# shellcheck disable=SC2317 # wait_for calls it
logged_as() { in_log | grep -q "upstream-tls .*certificate has expired"; }
wait_for 5 logged_as || true
has "the access log has it" "$(in_log)" "^upstream-tls ing/shop/expired .*certificate has expired"
has "the body, too" "$(to wrong /)" "502 upstream-tls"
at_least "failures are counted" "$(counter upstream_tls_failed)" 5

# ---- what is said of connections and policies

spawn "$CLIENT" slow-reader curl -s -o /dev/null --connect-to "::$VIP:80" http://verified.example.test/slow/big
READER=$SPAWNED
# shellcheck disable=SC2317 # wait_for calls it
upstream_shown() { get connections | jq -e '.items[] | select(.upstreamTls != null)' >"$WORK/connection.json"; }
wait_for 10 upstream_shown || true
is "get connections has the upstream leg's TLS" "$(jq -r '.upstreamTls | "\(.version) \(.serverName) \(.verified) \(.reason.code)"' "$WORK/connection.json")" \
    "TLSv1.3 web.internal.test true PG216"
kill "$READER" 2>/dev/null || true
page=$("$PODGLASS" describe service shop/policed --socket "$SOCK")
has "describe service has the policy" "$page" "policed.internal.test"
has "and whose authorities are believed" "$page" "ConfigMap/shop/pods"

# ---- bodies, reuse, resumption

for host in verified open grpcs; do
    is "$host: a download is whole" "$(to $host /files/big | sha256sum | cut -d' ' -f1)" "$sum"
    is "$host: an upload is whole" "$(to $host /upload -T "$WORK/files/big" -o /dev/null -w '%{http_code} %{size_upload}')" "200 $size"
done
is "a client that reads slowly gets all of it" "$(to verified /files/big --limit-rate 20m | sha256sum | cut -d' ' -f1)" "$sum"
has "HTTP/2 was agreed on by ALPN" "$(jq -r 'select(.name == "handshake" and .reason.object == "Ingress/shop/grpcs") | .after' "$WORK/records.jsonl"; get_records
    jq -r 'select(.name == "handshake" and .reason.object == "Ingress/shop/grpcs") | .after' "$WORK/records.jsonl")" "TLSv1.2 h2 verified"
before=$(counter upstream_tls_handshakes)
for _ in 1 2 3 4 5; do to verified /quiet -o /dev/null; done
is "an idle connection is used again" "$(counter upstream_tls_handshakes)" "$before"
for _ in 1 2 3 4 5 6; do to verified /leaves -o /dev/null; done
at_least "and where it is gone, a ticket saves the next handshake some work" "$(counter upstream_tls_resumed)" 1

# ---- loads

wrk_at() { # wrk_at HOST
    in_client wrk -t 1 -c 20 -d "$(slow 4s 2s)" --timeout 10s -H "Host: $1.example.test" "http://$VIP/quiet" >"$WORK/wrk.out" 2>&1 || true
    is "wrk to $1: no error" "$(wrk_errors "$WORK/wrk.out")" 0
    at_least "wrk to $1: requests" "$(wrk_requests "$WORK/wrk.out")" 50
    echo "# $1: $(grep 'Requests/sec' "$WORK/wrk.out")"
}
wrk_at verified
wrk_at open
wrk_at grpcs

# ---- PROXY preface in front of TLS; where the ingress chooses pods

manifest " proxyProtocol: {toPods: v2}," >"$WORK/lab.yaml"
reload
has "a PROXY preface goes in front of TLS" "$(to preface /)" "tls=TLSv1.2 resumed=. client= pp=$ALICE"
URI=spiffe://lab.test/other manifest " upstream: endpoints," >"$WORK/lab.yaml"
reload
has "endpoints: verified" "$(to verified /)" "name=web.internal.test tls=TLSv1.3"
is "endpoints: a certificate for another name" "$(code wrong)" 502
is "endpoints: a download is whole" "$(to grpcs /files/big | sha256sum | cut -d' ' -f1)" "$sum"
is "a BackendTLSPolicy, by an URI that is not there" "$(in_client curl -s -m 20 -o /dev/null -w '%{http_code}' http://$VIP:8100/)" 502
TRUST="wellKnownCACertificates: System" manifest >"$WORK/lab.yaml"
reload
is "a BackendTLSPolicy, by the authorities of the machine" "$(in_client curl -s -m 20 -o /dev/null -w '%{http_code}' http://$VIP:8100/)" 502
get_records || true
has "who do not know the lab's" "$(failed_of BackendTLSPolicy/shop/policed)" "unable to get local issuer certificate"
has "explain says it before a packet is sent" "$(timeout 20 "$PODGLASS" explain -f "$WORK/lab.yaml" --from $ALICE "http://verified.example.test/" 2>&1)" \
    "TLS, verified by Secret/shop/pods as web.internal.test"

# shellcheck disable=SC2317 # wait_for calls it
nobody_left() { [ "$(get connections | jq '.items | length')" = 0 ]; }
wait_for 10 nobody_left || true
is "no connection of a client is left" "$(get connections | jq '.items | length')" 0
check_balance
stop_podglass
done_testing
