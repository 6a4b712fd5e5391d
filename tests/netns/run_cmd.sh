#!/bin/bash
# `podglass run -- CMD`: a command as the client of a cluster that exists only around it.
#
#   CMD in namespaces of its own -- podglass0 (TUN) -- podglass: everything else is inside it, pods are built-in echoes
#
# The whole test runs in a network namespace without any way out.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need setpriv
space_up "$NODE"
mkdir "$WORK/shop" "$WORK/front"

cat >"$WORK/shop/shop.yaml" <<'END'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: "example.test/web:1", ports: [{name: http, containerPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: shop}
spec:
  rules:
    - host: shop.example.test
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}
END
# Shaped like a demo shop: a frontend in the default namespace, by balancer and by name.
cat >"$WORK/front/front.yaml" <<'END'
apiVersion: apps/v1
kind: Deployment
metadata: {name: frontend}
spec:
  selector: {matchLabels: {app: frontend}}
  template:
    metadata: {labels: {app: frontend}}
    spec:
      containers: [{name: server, image: "example.test/frontend:1", ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: frontend}
spec:
  selector: {app: frontend}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: frontend-external}
spec:
  type: LoadBalancer
  selector: {app: frontend}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: redis}
spec:
  clusterIP: None
  selector: {app: frontend}
  ports: [{port: 6379, targetPort: 6379}]
END

# run WHICH CMD...: sets OUT, ERR and STATUS
run() {
    local which=$1
    shift
    STATUS=0
    OUT=$(in_node timeout -k 5 40 "$PODGLASS" run -f "$WORK/$which" "$@" 2>"$WORK/run.err") || STATUS=$?
    ERR=$(cat "$WORK/run.err")
}

# ---- requests

run shop -- curl -s -m 10 http://shop.example.test/
is "shop.example.test: exit status" "$STATUS" 0
is "shop.example.test: the pod" "$(jq -r '.pod' <<<"$OUT" | sed 's/[01]$/N/')" "shop/web-N"
xff=$(jq -r '.headers[] | select((.[0] | ascii_downcase) == "x-forwarded-for") | .[1]' <<<"$OUT")
has "shop.example.test: policy Cluster hides the client" "$xff" '^(10\.244\.[0-9]+\.1|192\.0\.2\.1[12])$'
[ "$STATUS" -eq 0 ] || echo "# ${ERR//$'\n'/$'\n'# }"

run shop --pods echo -- curl -s -m 10 -H 'Host: shop.example.test' http://web.shop.svc.cluster.local/
is "straight to the service: the pod's peer is not the client" "$(jq -r '.pod | sub("[01]$"; "N")' <<<"$OUT")" "shop/web-N"
is "straight to the service: no header is added" "$(jq -r '[.headers[] | .[0] | ascii_downcase | select(startswith("x-"))] | length' <<<"$OUT")" 0

run front -- curl -s -m 10 http://frontend.default.svc.cluster.local/
is "frontend.default.svc.cluster.local" "$STATUS $(jq -r '.method + " " + .path' <<<"$OUT")" "0 GET /"
run front -- curl -s -m 10 http://frontend/cart
is "frontend, by the search path" "$STATUS $(jq -r '.method + " " + .path' <<<"$OUT")" "0 GET /cart"
run front -- sh -c 'head -c 3000000 /dev/zero | curl -s -m 20 -T - http://frontend/upload'
is "an upload of 3 MB arrives whole" "$STATUS $(jq -r .bodyBytes <<<"$OUT")" "0 3000000"
run front -- sh -c 'curl -s -m 20 http://frontend/bytes/20000000 | wc -c'
is "a download of 20 MB arrives whole" "$STATUS $OUT" "0 20000000"
run front -- sh -c 'for n in 1 2 3 4 5 6 7 8 9 10; do curl -s -m 10 -o /dev/null -w "%{http_code} " http://frontend/; done'
is "ten requests in one run" "$OUT" "200 200 200 200 200 200 200 200 200 200 "
run front -- ping -n -c 2 -i 0.2 -W 2 frontend
has "a cluster IP does not answer ping" "$OUT" '0 received'

# ---- what the command finds

run shop -n shop -- cat /etc/resolv.conf
is "resolv.conf" "$(grep -v '^#' <<<"$OUT" | xargs)" \
    "search shop.svc.cluster.local svc.cluster.local cluster.local nameserver 10.96.0.10 options ndots:5"
run shop -- ip -4 -brief addr show dev podglass0
has "its address is the first client's" "$OUT" ' 198\.51\.100\.7/32'
run shop --client mallory -- ip -4 -brief addr show dev podglass0
has "or that of the one chosen" "$OUT" ' 198\.51\.100\.66/32'
run shop --client 198.51.100.99 -- ip -4 -brief addr show dev podglass0
has "or any other" "$OUT" ' 198\.51\.100\.99/32'
run shop -- cat <<<"from standard input"
is "standard input is the command's" "$OUT" "from standard input"
before=$(in_node ip -o link | wc -l)
run shop -- true
is "nothing is left behind: links" "$(in_node ip -o link | wc -l)" "$before"
is "standard error says nothing when all is well" "$(grep -v ': note\[' <<<"$ERR" || true)" ""
has "real names do not resolve" "$(run front -- getent ahostsv4 www.example.test; echo "status $STATUS")" 'status [1-9]'

# ---- its end

run shop -- true
is "true" "$STATUS" 0
run shop -- false
is "false" "$STATUS" 1
run shop -- sh -c 'exit 7'
is "exit 7" "$STATUS" 7
# shellcheck disable=SC2016 # the inner shell's own id
run shop -- sh -c 'kill -9 $$'
is "killed by SIGKILL" "$STATUS" 137
# shellcheck disable=SC2016
run shop -- sh -c 'kill -TERM $$'
is "killed by SIGTERM" "$STATUS" 143
run shop -- no-such-command-of-any-kind
is "no such command" "$STATUS" 127
has "no such command: it is named" "$ERR" 'no-such-command-of-any-kind: No such file'
run shop -- /etc/passwd
is "not executable" "$STATUS" 126
run shop -- curl -s -m 3 --connect-timeout 2 http://10.96.200.200/
is "curl's own failure is passed on" "$STATUS" 28

spawn "$NODE" run-term "$PODGLASS" run -f "$WORK/shop" -- sh -c 'trap "exit 9" TERM; echo started; while :; do sleep 0.1; done'
RUN_PID=$SPAWNED
wait_for 10 grep -q started "$WORK/run-term.log" || true
kill -TERM "$RUN_PID"
STATUS=0
wait_for 10 not alive "$RUN_PID" || true
wait "$RUN_PID" || STATUS=$?
is "SIGTERM goes to the command, whose end is passed on" "$STATUS" 9

# ---- wrong use

run shop
is "neither --tun nor a command" "$STATUS" 2
run nowhere -- true
is "no such manifests" "$STATUS" 3
run shop --client nobody -- true
is "no such client" "$STATUS" 2

# ---- without root

install -m 755 "$PODGLASS" "$WORK/podglass"
chmod 755 "$WORK" "$WORK/shop"
chmod 644 "$WORK"/shop/*
as_nobody() { in_node setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "$@"; }
if as_nobody sh -c 'exec 3<>/dev/net/tun' 2>/dev/null; then
    STATUS=0
    OUT=$(as_nobody "$WORK/podglass" run -f "$WORK/shop" -- curl -s -m 10 http://shop.example.test/ 2>"$WORK/run.err") || STATUS=$?
    if [ "$STATUS" -eq 4 ] && grep -q 'user namespace' "$WORK/run.err"; then
        ok "nobody: user namespaces are not allowed here, and it is said: $(head -n 1 "$WORK/run.err")"
    else
        is "nobody, /dev/net/tun is open to all" "$STATUS $(jq -r '.pod | sub("[01]$"; "N")' <<<"$OUT")" "0 shop/web-N"
    fi
else
    STATUS=0
    ERR=$(as_nobody "$WORK/podglass" run -f "$WORK/shop" -- true 2>&1 >/dev/null) || STATUS=$?
    is "nobody, /dev/net/tun is closed: exit status" "$STATUS" 4
    has "nobody: it says what to do" "$ERR" '(/dev/net/tun|user namespace|network namespace)'
    is "nobody: one line" "$(grep -c 'podglass run:' <<<"$ERR")" 1
    STATUS=0
    ERR=$(as_nobody "$WORK/podglass" run -f "$WORK/shop" --tun pg0 --socket "$WORK/nobody.sock" 2>&1) || STATUS=$?
    is "nobody, --tun: exit status" "$STATUS" 4
    has "nobody, --tun: the device and why" "$ERR" 'TUN pg0: .*(denied|permitted)'
fi
done_testing
