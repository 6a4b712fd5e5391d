#!/bin/bash
# Gateway API with clients everybody has (curl, openssl) and nginx pods that say what they saw: listeners, matches, weights, filters, timeouts,
# certificates, connections passed through, references to other namespaces, and the conditions that a controller would write.
#
#   client (alice) -- veth -- node: podglass on pg0 -- veth -- pod1 web-0 is v1: nginx :8090, nginx with TLS :8443, nobody answers at :8092
#                                                  \-- veth -- pod2 web-1 is v2: nginx :8090
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need nginx openssl
lab_up

# ---- pods

# Says method, target and the headers that the rules below have to do with.
nginx_echo_up() { # nginx_echo_up SPACE NAME
    local dir=$WORK/echo-$2
    mkdir -p "$dir/tmp"
    cat >"$dir/nginx.conf" <<END
daemon off; master_process on; worker_processes 1; user root; pid $dir/nginx.pid;
error_log $dir/error.log warn;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path $dir/tmp; proxy_temp_path $dir/tmp; fastcgi_temp_path $dir/tmp; uwsgi_temp_path $dir/tmp; scgi_temp_path $dir/tmp;
    keepalive_requests 10000000; default_type text/plain;
    server {
        listen 8090;
        add_header X-Pod-Secret hidden;
        location / {
            return 200 "pod=$2 method=\$request_method uri=\$request_uri host=\$host set=\$http_x_set add=\$http_x_add gone=\$http_x_gone xff=\$http_x_forwarded_for xfp=\$http_x_forwarded_proto port=\$http_x_forwarded_port\n";
        }
    }
    server {
        listen 8443 ssl;
        ssl_certificate $WORK/vault.crt;
        ssl_certificate_key $WORK/vault.key;
        location / { return 200 "pod=$2 name=\$ssl_server_name peer=\$remote_addr\n"; }
    }
}
END
    spawn "$1" "echo-$2" nginx -e "$dir/error.log" -p "$dir" -c "$dir/nginx.conf"
    wait_for 5 ip netns exec "$1" curl -sf -m 1 -o /dev/null http://127.0.0.1:8090/
}

certificate() { # certificate NAME HOST
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$WORK/$1.key" -out "$WORK/$1.crt" \
        -subj "/CN=$2" -addext "subjectAltName=DNS:$2" -days 7 2>>"$WORK/openssl.log"
}
certificate shop shop.example.test
certificate wild '*.example.test'
certificate vault vault.example.test
certificate many-a a.many.test
certificate many-b b.many.test
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$WORK/many-rsa.key" -out "$WORK/many-rsa.crt" -subj "/CN=b.many.test" \
    -addext "subjectAltName=DNS:b.many.test" -days 7 2>>"$WORK/openssl.log"
nginx_echo_up "$POD1" v1
nginx_echo_up "$POD2" v2
spawn "$POD1" silent "$PYTHON" -c "
import socket, time
s = socket.create_server(('', 8092)); held = []
while True: held.append(s.accept())"

# ---- manifests

secret() { # secret NAMESPACE NAME
    cat <<END
---
apiVersion: v1
kind: Secret
metadata: {name: $2, namespace: $1}
type: kubernetes.io/tls
data:
  tls.crt: $(base64 -w0 "$WORK/$2.crt")
  tls.key: $(base64 -w0 "$WORK/$2.key")
END
}
grant() { # grant NAMESPACE FROM-KIND FROM-NAMESPACE TO-KIND
    cat <<END
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: from-$3, namespace: $1}
spec:
  from: [{group: gateway.networking.k8s.io, kind: $2, namespace: $3}]
  to: [{group: "", kind: $4}]
END
}
route() { # route NAME HOST, rules on standard input
    cat <<END
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: $1, namespace: shop}
spec:
  parentRefs: [{name: main, namespace: edge}]
  hostnames: [$2]
  rules:
$(cat)
END
}
listener() { # listener NAME PORT PROTOCOL MORE
    echo "    - {name: $1, port: $2, protocol: $3, allowedRoutes: {namespaces: {from: All}}$4}"
}
gateway_manifest() { # gateway_manifest [GRANTED]
    # everything of the lab but its Ingress; three more ports
    lab_manifest Local | "$PYTHON" -c "
import re, sys
documents = sys.stdin.read().split('---\n')
print('---\n'.join(d for d in documents if 'kind: Ingress' not in d).replace(
    '{name: http, port: 80, targetPort: 8000, nodePort: 30000}',
    '{name: http, port: 80, targetPort: 8000}, {name: alt, port: 8080, targetPort: 8001}, {name: tls, port: 443, targetPort: 8443}'), end='')"
    manifest_service shop v1 ClusterIP 10.96.12.71 "instance: zero" "{port: 80, targetPort: 8090}"
    manifest_service shop v2 ClusterIP 10.96.12.72 "instance: one" "{port: 80, targetPort: 8090}"
    manifest_service shop silent ClusterIP 10.96.12.73 "instance: zero" "{port: 80, targetPort: 8092}"
    manifest_service shop vault ClusterIP 10.96.12.74 "instance: zero" "{port: 443, targetPort: 8443}"
    manifest_service far far ClusterIP 10.96.12.75 "app: nobody" "{port: 80, targetPort: 8090}"
    secret edge shop
    secret shop wild
    secret edge many-a
    secret edge many-b
    secret edge many-rsa
    cat <<END
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: glass}
spec: {controllerName: example.test/glass}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: main, namespace: edge}
spec:
  gatewayClassName: glass
  listeners:
$(listener http 80 HTTP '')
$(listener wild 80 HTTP ', hostname: "*.wild.example.test"')
$(listener alt 8080 HTTP '')
$(listener shop 443 HTTPS ', hostname: shop.example.test, tls: {certificateRefs: [{name: shop}]}')
$(listener other 443 HTTPS ', hostname: "*.example.test", tls: {certificateRefs: [{name: wild, namespace: shop}]}')
$(listener many 443 HTTPS ', hostname: "*.many.test", tls: {certificateRefs: [{name: many-a}, {name: many-b}, {name: many-rsa}]}')
$(listener pass 443 TLS ', hostname: vault.example.test, tls: {mode: Passthrough}')
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: vault, namespace: shop}
spec:
  parentRefs: [{name: main, namespace: edge}]
  hostnames: [vault.example.test]
  rules: [{backendRefs: [{name: vault, port: 443}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: wild, namespace: shop}
spec:
  parentRefs: [{name: main, namespace: edge, sectionName: wild}, {name: main, namespace: edge, sectionName: alt}]
  rules: [{backendRefs: [{name: v2, port: 80}]}]
END
    route shop shop.example.test <<END
    - backendRefs: [{name: v1, port: 80}]
    - matches: [{path: {type: Exact, value: /exact}}, {path: {value: /m}, method: PUT}, {path: {value: /m}, headers: [{name: Version, value: two}]},
        {path: {value: /m}, queryParams: [{name: v, value: "2"}]}, {path: {type: RegularExpression, value: "/item/[0-9]+"}}]
      backendRefs: [{name: v2, port: 80}]
    - matches: [{path: {value: /far}}]
      backendRefs: [{name: far, namespace: far, port: 80}]
END
    route weights weights.example.test <<END
    - backendRefs: [{name: v1, port: 80, weight: 9}, {name: v2, port: 80, weight: 1}]
END
    route filters filters.example.test <<END
    - matches: [{path: {value: /headers}}]
      filters:
      - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Set, value: ours}], add: [{name: X-Add, value: more}], remove: [X-Gone]}}
      - {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: X-Answer, value: "42"}], remove: [X-Pod-Secret]}}
      backendRefs: [{name: v1, port: 80}]
    - matches: [{path: {value: /old}}]
      filters: [{type: URLRewrite, urlRewrite: {hostname: inner.example.test, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]
      backendRefs: [{name: v1, port: 80}]
    - matches: [{path: {value: /secure}}]
      filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 301}}]
    - matches: [{path: {value: /slow}}]
      timeouts: {request: 700ms}
      backendRefs: [{name: silent, port: 80}]
    - matches: [{path: {value: /slower}}]
      timeouts: {request: 10s, backendRequest: 300ms}
      backendRefs: [{name: silent, port: 80}]
END
    [ -z "${1:-}" ] || { grant far HTTPRoute shop Service && grant shop Gateway edge Secret; }
}

gateway_manifest >"$WORK/lab.yaml"
start_podglass

asks() { # asks HOST PATH CURL-FLAG...: the answer's text
    local host=$1 path=$2
    shift 2
    in_client curl -s -m 20 -H "Host: $host" "$@" "http://$VIP$path"
}
status_of() { asks "$@" -o /dev/null -w '%{http_code}'; }
https() { # https HOST PATH CURL-FLAG...
    local host=$1 path=$2
    shift 2
    in_client curl -s -m 20 --resolve "$host:443:$VIP" "$@" "https://$host$path"
}
pod_of() { sed -n 's/^pod=\([^ ]*\).*/\1/p'; }
condition() { # condition LIST NAME JQ-OF-THE-HOLDER TYPE: status and reason
    get "$1" | jq -r --arg n "$2" --arg t "$4" ".items[] | select(.name == \$n) | $3 | .conditions[] | select(.type == \$t) | \"\(.status) \(.reason)\""
}
of_listener() { condition gateways main ".listeners[] | select(.name == \"$1\")" "$2"; }
of_route() { condition httproutes "$1" '.parents[0]' "$2"; }

# ---- listeners, hostnames, matches

is "a route's own hostname" "$(asks shop.example.test / | pod_of)" v1
is "another one is nobody's" "$(status_of nobody.invalid /)" 404
is "the listener with the better hostname" "$(asks a.b.wild.example.test / | pod_of)" v2
is "another port, another listener" "$(in_client curl -s -m 5 "http://$VIP:8080/" | pod_of)" v2
is "Exact" "$(asks shop.example.test /exact | pod_of) $(asks shop.example.test /exact/more | pod_of)" "v2 v1"
is "method" "$(asks shop.example.test /m -X PUT | pod_of) $(asks shop.example.test /m -X POST | pod_of)" "v2 v1"
is "header" "$(asks shop.example.test /m -H 'version: two' | pod_of) $(asks shop.example.test /m -H 'version: three' | pod_of)" "v2 v1"
is "query" "$(asks shop.example.test '/m?a=b&v=2' | pod_of) $(asks shop.example.test '/m?v=22' | pod_of)" "v2 v1"
is "expression" "$(asks shop.example.test /item/42 | pod_of) $(asks shop.example.test /item/x | pod_of)" "v2 v1"
has "the pod has the client in a header" "$(asks shop.example.test /)" "xff=$ALICE xfp=http port=80"
has "and the port the client asked at" "$(in_client curl -s -m 5 "http://$VIP:8080/")" "port=8080"

# ---- weights: five standard deviations either way

count=$(slow 2000 400)
asks weights.example.test "/?[1-$count]" | pod_of >"$WORK/drawn"
seen=$(grep -c v2 "$WORK/drawn" || true)
bound=$(awk -v n="$count" 'BEGIN { printf "%d", 5 * sqrt(n * 0.1 * 0.9) + 1 }')
is "each of $count requests was answered" "$(wc -l <"$WORK/drawn")" "$count"
at_least "weight 1 of 10" "$seen" $((count / 10 - bound))
at_most "weight 1 of 10" "$seen" $((count / 10 + bound))

# ---- filters

has "request headers" "$(asks filters.example.test /headers -H "X-Set: theirs" -H "x-gone: 1")" " set=ours add=more gone= "
head=$(asks filters.example.test /headers -o /dev/null -D -)
has "response headers: added" "$head" '^X-Answer: 42'
is "response headers: removed" "$(grep -ci x-pod-secret <<<"$head" || true)" 0
has "rewritten path and host" "$(asks filters.example.test '/old/a?b=c')" "uri=/new/a\?b=c host=inner.example.test"
is "redirected" "$(asks filters.example.test /secure/x?y -o /dev/null -w '%{http_code} %{redirect_url}')" "301 https://filters.example.test/secure/x?y"

# ---- timeouts

timed() { # timed PATH LEAST MOST: 504, within milliseconds
    local answer
    answer=$(asks filters.example.test "$1" -o /dev/null -w '%{http_code} %{time_total}')
    is "$1: given up" "${answer% *}" 504
    at_least "$1: milliseconds" "$(awk -v t="${answer#* }" 'BEGIN { printf "%d", t * 1000 }')" "$2"
    at_most "$1: milliseconds" "$(awk -v t="${answer#* }" 'BEGIN { printf "%d", t * 1000 }')" "$3"
}
timed /slow 690 "$(slow 1500 5000)"
timed /slower 290 "$(slow 1100 5000)"

# ---- TLS

is "the certificate of certificateRefs" "$(https shop.example.test / --cacert "$WORK/shop.crt" | pod_of)" v1
has "X-Forwarded-Proto and -Port" "$(https shop.example.test / --cacert "$WORK/shop.crt")" "xfp=https port=443"
has "openssl sees it, too" "$(timeout 20 ip netns exec "$CLIENT" openssl s_client -connect $VIP:443 -servername shop.example.test </dev/null 2>/dev/null)" \
    "subject=CN = shop.example.test"
shown() { # shown NAME FLAG...: whose certificate, and its key
    timeout 20 ip netns exec "$CLIENT" openssl s_client -connect $VIP:443 -servername "$@" </dev/null 2>/dev/null |
        openssl x509 -noout -text 2>/dev/null | grep -oE 'Subject: CN = .*|Public Key Algorithm: .*' | paste -sd' '
}
is "several certificates: the name chooses" "$(shown a.many.test)" "Subject: CN = a.many.test Public Key Algorithm: id-ecPublicKey"
is "another name" "$(shown b.many.test)" "Subject: CN = b.many.test Public Key Algorithm: id-ecPublicKey"
is "a name that none is for: the first" "$(shown c.many.test)" "Subject: CN = a.many.test Public Key Algorithm: id-ecPublicKey"
is "a client that takes RSA alone" "$(shown b.many.test -sigalgs RSA-PSS+SHA256)" "Subject: CN = b.many.test Public Key Algorithm: rsaEncryption"
is "a host of another certificate of the listener" "$(https a.many.test / -k -H 'Host: b.many.test' -o /dev/null -w '%{http_code}')" 421
is "a listener without its certificate: a stranger's" "$(https weights.example.test / --cacert "$WORK/wild.crt" -o /dev/null -w '%{exitcode}' || true)" 60
is "and nothing is served there" "$(https weights.example.test / -k -o /dev/null -w '%{http_code}')" 404
is "passed through: the pod's own certificate" "$(https vault.example.test / --cacert "$WORK/vault.crt")" "pod=v1 name=vault.example.test peer=10.244.1.2"
is "another listener's host on this connection" "$(https shop.example.test / --cacert "$WORK/shop.crt" -H 'Host: vault.example.test' -o /dev/null -w '%{http_code}')" 421

# ---- references to other namespaces, and conditions

is "no grant: 500" "$(status_of shop.example.test /far)" 500
is "listener shop" "$(of_listener shop Programmed), $(of_listener shop ResolvedRefs)" "true Programmed, true ResolvedRefs"
is "listener other" "$(of_listener other Programmed), $(of_listener other ResolvedRefs)" "false Invalid, false RefNotPermitted"
is "route shop" "$(of_route shop Accepted), $(of_route shop ResolvedRefs)" "true Accepted, false RefNotPermitted"
is "route weights" "$(of_route weights Accepted), $(of_route weights ResolvedRefs)" "true Accepted, true ResolvedRefs"
is "route vault" "$(get httproutes | jq -r '.items[] | select(.name == "vault") | .kind') $(of_route vault Accepted)" "TLSRoute true Accepted"
page=$("$PODGLASS" describe gateway edge/main --socket "$SOCK")
has "describe gateway" "$page" "no ReferenceGrant in shop lets Gateways of edge name Secret wild"
has "describe httproute" "$("$PODGLASS" describe httproute shop/shop --socket "$SOCK")" "no ReferenceGrant in far lets HTTPRoutes of shop name Service far"

gateway_manifest granted >"$WORK/lab.yaml"
reload
is "granted: no endpoints, so 503" "$(status_of shop.example.test /far)" 503
is "granted: the certificate" "$(https weights.example.test / --cacert "$WORK/wild.crt" -o /dev/null -w '%{http_code}')" 200
is "listener other" "$(of_listener other Programmed), $(of_listener other ResolvedRefs)" "true Programmed, true ResolvedRefs"
is "route shop" "$(of_route shop ResolvedRefs)" "true ResolvedRefs"

# ---- keys

for list in gateways httproutes connections services; do get $list; done >"$WORK/said" 2>&1
"$PODGLASS" describe gateway edge/main --socket "$SOCK" >>"$WORK/said" 2>&1
"$PODGLASS" lint -f "$WORK/lab.yaml" >>"$WORK/said" 2>&1 || true
"$PODGLASS" explain -f "$WORK/lab.yaml" https://shop.example.test/ >>"$WORK/said" 2>&1 || true
cat "$PG_LOG" >>"$WORK/said"
for key in shop wild; do
    is "no output has the key $key" "$(grep -cF -e "$(sed -n 3p "$WORK/$key.key")" -e "$(base64 -w0 "$WORK/$key.key" | cut -c 100-140)" "$WORK/said" || true)" 0
done

check_balance
stop_podglass
done_testing
