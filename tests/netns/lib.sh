# shellcheck shell=bash disable=SC2034 # what the lab and ask() set is for the scripts
# The lab of the netns tests: real clients, real pods, the kernel's routing, and podglass on a TUN in the middle.
#
#   client 198.51.100.7          node                                     pod1 web-0 10.244.1.7   nginx :8080, sink :8081
#   (alice)    eth0 ---- veth ---- vc   rules by   vp1 ---- veth ---- eth0
#   client 198.51.100.66                interface
#   (mallory)  same                     |          vp2 ---- veth ---- eth0 pod2 web-1 10.244.2.9  the same
#                                      pg0
#                                       |
#                                    podglass: nodes 192.0.2.11 (pods 10.244.1.0/24) and 192.0.2.12 (10.244.2.0/24),
#                                    services 10.96.0.0/16, balancer 203.0.113.0/24, ingress pod 10.244.1.2
#
# What comes in by a veth goes to podglass whatever its destination is; what podglass sends is routed as usual. So nothing
# gets from one end to another without it, in either direction. The node's own programs are the client 198.51.100.1.
#
# A script sources this file, calls lab_up and start_podglass, then ok, is, has ..., and done_testing as its last line.
# Everything is in namespaces of its own, named by the process id, and goes at exit; only processes of these namespaces
# and those started here are ended. $PODGLASS is the command, $PODGLASS_SOURCE the tree.
#
# Cannot run here (no root, no /dev/net/tun, a tool missing): exit 77, or 1 if PODGLASS_CI=1.
set -Eeuo pipefail

NETNS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PODGLASS=$(realpath "${PODGLASS:-$NETNS/../../build/release/podglass}")
LAB=pg$$
CLIENT=$LAB-client NODE=$LAB-node POD1=$LAB-pod1 POD2=$LAB-pod2
ALICE=198.51.100.7 MALLORY=198.51.100.66
VIP=203.0.113.10 WEB0=10.244.1.7 WEB1=10.244.2.9
WORK=
SOCK=
PYTHON=/usr/bin/python3
PG_PID=
PG_LOG=
SLOW=0 # a build with sanitizers: several times slower, so counts and times are smaller
declare -a PIDS=()
declare -a SPACES=()
TESTS=0
FAILED=0
FINISHED=0

# ---- can it run here?

unable() {
    echo "1..0 # SKIP $*"
    [ "${PODGLASS_CI:-0}" != 1 ] || exit 1
    exit 77
}

# need TOOL...: may be called again for more tools
need() {
    local tool
    for tool in ip jq curl ss "$@"; do
        command -v "$tool" >/dev/null || unable "$tool is missing"
    done
    [ -z "$WORK" ] || return 0
    [ "$(id -u)" -eq 0 ] || unable "not root"
    [ -c /dev/net/tun ] || unable "no /dev/net/tun"
    [ -x "$PODGLASS" ] || unable "no podglass at $PODGLASS"
    [ -x "$PYTHON" ] || PYTHON=$(command -v python3) || unable "python3 is missing"
    ip netns add "$LAB-try" 2>/dev/null || unable "no network namespaces"
    ip netns del "$LAB-try"
    ! grep -q __asan_init "$PODGLASS" || SLOW=1
    WORK=$(mktemp -d /tmp/podglass-netns-XXXXXX)
    SOCK=$WORK/control.sock
    trap finish EXIT
    trap 'exit 130' INT TERM HUP PIPE
}

# slow A B: A, or B on a build with sanitizers
slow() { if [ "$SLOW" -eq 1 ]; then echo "$2"; else echo "$1"; fi; }

# ---- saying what was seen

ok() {
    TESTS=$((TESTS + 1))
    echo "ok $TESTS - $*"
}

# not_ok WHAT [LINE...]
not_ok() {
    TESTS=$((TESTS + 1))
    FAILED=$((FAILED + 1))
    echo "not ok $TESTS - $1"
    shift
    local line
    for line in "$@"; do
        echo "# ${line//$'\n'/$'\n'# }"
    done
}

# is WHAT SEEN EXPECTED
is() {
    if [ "$2" = "$3" ]; then ok "$1: $2"; else not_ok "$1" "expected $3" "seen     $2"; fi
}

# is_not WHAT SEEN UNWANTED
is_not() {
    if [ "$2" != "$3" ]; then ok "$1: $2"; else not_ok "$1" "seen $2"; fi
}

# has WHAT TEXT PATTERN: an extended regular expression
has() {
    if grep -qE -- "$3" <<<"$2"; then
        ok "$1: $(grep -m1 -E -- "$3" <<<"$2" | cut -c1-160)"
    else
        not_ok "$1" "no /$3/ in:" "$2"
    fi
}

# at_most WHAT NUMBER LIMIT, at_least WHAT NUMBER LIMIT
at_most() {
    if [ "$2" -le "$3" ]; then ok "$1: $2 (at most $3)"; else not_ok "$1" "expected at most $3" "seen $2"; fi
}
at_least() {
    if [ "$2" -ge "$3" ]; then ok "$1: $2 (at least $3)"; else not_ok "$1" "expected at least $3" "seen $2"; fi
}

# runs WHAT CMD...: its exit status is 0
runs() {
    local what=$1
    shift
    if "$@" >"$WORK/runs.out" 2>&1; then ok "$what"; else not_ok "$what" "$* failed:" "$(tail -n 20 "$WORK/runs.out")"; fi
}

# wait_for SECONDS CMD...: until it succeeds
wait_for() {
    local end=$(($(date +%s%N) + $1 * 1000000000))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s%N)" -lt "$end" ] || return 1
        sleep 0.05
    done
}

done_testing() {
    echo "1..$TESTS"
    echo "# $((TESTS - FAILED)) of $TESTS passed in $SECONDS s"
    FINISHED=1
    exit $((FAILED > 0))
}

# ---- the end

alive() { kill -0 "$1" 2>/dev/null; }

show_state() {
    local type
    echo "# ---- what podglass said"
    [ -z "$PG_LOG" ] || [ ! -f "$PG_LOG" ] || tail -n 60 "$PG_LOG" | sed 's/^/# /'
    [ -n "$PG_PID" ] && alive "$PG_PID" || return 0
    for type in conntrack nat connections counters; do
        echo "# ---- $type, what was used"
        # the last column but three of `nat` is its hits; counters end with their value
        timeout 10 "$PODGLASS" get "$type" --socket "$SOCK" 2>&1 | grep -vE '^(counter|drop|pool) .* 0$' |
            head -n 40 | sed 's/^/# /' || true
    done
}

end_processes() {
    local pid space end=$((SECONDS + 3))
    local all=("${PIDS[@]}")
    for space in "${SPACES[@]}"; do
        mapfile -t -O ${#all[@]} all < <(ip netns pids "$space" 2>/dev/null)
    done
    for pid in "${all[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "${all[@]}"; do
        while alive "$pid" && [ $SECONDS -lt $end ]; do sleep 0.02; done
    done
    for pid in "${all[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
}

finish() {
    local status=$? space
    trap - EXIT INT TERM HUP ERR
    trap '' PIPE
    set +e
    if [ "$FINISHED" -eq 0 ] && [ "$status" -lt 128 ]; then
        echo "not ok $((TESTS + 1)) - the script went to its end (stopped with status $status)"
        [ "$status" -ne 0 ] || status=1
    fi
    if [ "$FAILED" -ne 0 ] || [ "$FINISHED" -eq 0 ]; then show_state; fi
    end_processes 2>/dev/null
    wait 2>/dev/null
    for space in "${SPACES[@]}"; do ip netns del "$space"; done
    rm -rf "${WORK:?}"
    exit "$status"
}
trap 'echo "# ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND: status $?"' ERR

# ---- namespaces

in_client() { ip netns exec "$CLIENT" "$@"; }
in_node() { ip netns exec "$NODE" "$@"; }
in_pod1() { ip netns exec "$POD1" "$@"; }
in_pod2() { ip netns exec "$POD2" "$@"; }

space_up() {
    ip netns add "$1"
    SPACES+=("$1")
    ip netns exec "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 \
        net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
        net.ipv4.ip_local_port_range="10000 65000" net.core.somaxconn=4096
    ip -n "$1" link set lo up
}

# spawn SPACE NAME CMD...: in the background, output in $WORK/NAME.log, its process id in SPAWNED
spawn() {
    local space=$1 name=$2
    shift 2
    ip netns exec "$space" "$@" </dev/null >>"$WORK/$name.log" 2>&1 &
    SPAWNED=$!
    PIDS+=("$SPAWNED")
}

# The pod's default gateway is a benchmark address, so that the pod gateways of the virtual nodes stay podglass' own.
pod_up() { # pod_up SPACE VETH ADDRESS
    space_up "$1"
    ip -n "$NODE" link add "$2" type veth peer name eth0 netns "$1"
    ip -n "$NODE" addr add 198.18.0.1/32 dev "$2"
    ip -n "$NODE" link set "$2" up
    ip -n "$NODE" route add "$3/32" dev "$2"
    ip -n "$1" addr add "$3/32" dev eth0
    ip -n "$1" link set eth0 up
    ip -n "$1" route add 198.18.0.1 dev eth0
    ip -n "$1" route add default via 198.18.0.1
}

lab_up() {
    local veth
    need nginx
    space_up "$NODE"
    in_node sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
    space_up "$CLIENT"
    ip -n "$NODE" link add vc type veth peer name eth0 netns "$CLIENT"
    ip -n "$NODE" addr add 198.51.100.1/24 dev vc
    ip -n "$NODE" link set vc up
    ip -n "$CLIENT" addr add "$ALICE/24" dev eth0
    ip -n "$CLIENT" addr add "$MALLORY/24" dev eth0
    ip -n "$CLIENT" link set eth0 up
    ip -n "$CLIENT" route add default via 198.51.100.1
    pod_up "$POD1" vp1 "$WEB0"
    pod_up "$POD2" vp2 "$WEB1"
    for veth in vc vp1 vp2; do
        ip -n "$NODE" rule add pref 100 iif "$veth" lookup 100
    done
    nginx_up "$POD1" web-0
    nginx_up "$POD2" web-1
    lab_manifest Cluster >"$WORK/lab.yaml"
}

# ---- pods

# One line of JSON per request in $WORK/POD/access.log; the body of / says the same.
nginx_up() { # nginx_up SPACE POD
    local dir=$WORK/$2
    mkdir -p "$dir/tmp" "$WORK/files"
    cat >"$dir/nginx.conf" <<END
daemon off; master_process on; worker_processes 1; user root; pid $dir/nginx.pid;
error_log $dir/error.log warn;
worker_rlimit_nofile 16384;
events { worker_connections 8192; }
http {
    log_format seen escape=json '{"pod":"$2","peer":"\$remote_addr","port":\$remote_port,"xff":"\$http_x_forwarded_for",'
        '"xri":"\$http_x_real_ip","host":"\$host","uri":"\$request_uri","status":\$status,"bytes":\$body_bytes_sent}';
    access_log $dir/access.log seen;
    client_body_temp_path $dir/tmp; proxy_temp_path $dir/tmp; fastcgi_temp_path $dir/tmp;
    uwsgi_temp_path $dir/tmp; scgi_temp_path $dir/tmp;
    sendfile on; tcp_nopush on; keepalive_requests 10000000; client_max_body_size 0;
    keepalive_timeout ${NGINX_KEEPALIVE:-75s};
    default_type text/plain;
    server {
        listen 8080 backlog=4096 reuseport;
        location / {
            return 200 "pod=$2 peer=\$remote_addr port=\$remote_port xff=\$http_x_forwarded_for xri=\$http_x_real_ip host=\$host\n";
        }
        location /files/ { alias $WORK/files/; }
        location /slow/ { alias $WORK/files/; limit_rate 512k; }
        location /quiet { access_log off; return 200 "pod=$2\n"; }
    }
}
END
    spawn "$1" "nginx-$2" nginx -e "$dir/error.log" -p "$dir" -c "$dir/nginx.conf"
    declare -g "NGINX_${2//-/_}=$SPAWNED"
    wait_for 5 ip netns exec "$1" curl -sf -m 1 -o /dev/null http://127.0.0.1:8080/quiet || {
        cat "$WORK/nginx-$2.log" "$dir/error.log"
        return 1
    }
}

sinks_up() {
    spawn "$POD1" sink-web-0 "$PYTHON" "$NETNS/peer.py" sink 8081
    spawn "$POD2" sink-web-1 "$PYTHON" "$NETNS/peer.py" sink 8081
    wait_for 10 in_pod1 curl -s -m 1 http://127.0.0.1:8081/
    wait_for 10 in_pod2 curl -s -m 1 http://127.0.0.1:8081/
}

udp_up() {
    spawn "$POD1" udp-web-0 "$PYTHON" "$NETNS/peer.py" udp-echo web-0 5353
    spawn "$POD2" udp-web-1 "$PYTHON" "$NETNS/peer.py" udp-echo web-1 5353
    wait_for 10 grep -q ready "$WORK/udp-web-0.log"
    wait_for 10 grep -q ready "$WORK/udp-web-1.log"
}

# random_file NAME MIB: served as /files/NAME; its sha256 on standard output
random_file() {
    head -c $(($2 * 1048576)) /dev/urandom >"$WORK/files/$1"
    sha256sum <"$WORK/files/$1" | cut -d' ' -f1
}

# ---- manifests

# A pod's manifest: pod NAMESPACE NAME NODE ADDRESS LABELS
manifest_pod() {
    cat <<END
---
apiVersion: v1
kind: Pod
metadata: {name: $2, namespace: $1, labels: {$5}}
spec:
  nodeName: $3
  containers:
    - name: main
      image: example.test/main
      ports: [{name: http, containerPort: 8080}]
status: {phase: Running, podIP: $4, hostIP: ${6:-192.0.2.11}}
END
}

# A service's manifest: NAMESPACE NAME TYPE CLUSTER-IP SELECTOR PORTS [MORE-SPEC] [LB-ADDRESS]
manifest_service() {
    cat <<END
---
apiVersion: v1
kind: Service
metadata: {name: $2, namespace: $1}
spec:
  type: $3
  clusterIP: $4
  selector: {$5}
  ports: [$6]
END
    [ -z "${7:-}" ] || echo "  $7"
    [ -z "${8:-}" ] || echo "status: {loadBalancer: {ingress: [{ip: $8}]}}"
}

# lab_manifest [POLICY]: externalTrafficPolicy of the gateway. WEB_LABELS_0 and _1 say whether a pod is one of web.
lab_manifest() {
    cat <<END
apiVersion: podglass/v1alpha1
kind: Lab
metadata: {name: lab}
spec:
  podCIDRs: [10.244.0.0/16]
  serviceCIDRs: [10.96.0.0/16]
  nodes:
    - {name: node-1, address: 192.0.2.11, podCIDR: 10.244.1.0/24}
    - {name: node-2, address: 192.0.2.12, podCIDR: 10.244.2.0/24}
  clients:
    - {name: node, address: 198.51.100.1}
  ingress: {service: edge/gateway, limits: {requestsPerConnection: 1000000}} # sockets that stay, for comparisons
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: edge}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: shop}
spec:
  rules:
    - host: shop.example.test
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
          - {path: /upload, pathType: Prefix, backend: {service: {name: upload, port: {number: 80}}}}
          - {path: /only-1, pathType: Prefix, backend: {service: {name: only-1, port: {number: 80}}}}
    - host: empty.example.test
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: empty, port: {number: 80}}}}
END
    manifest_pod shop web-0 node-1 $WEB0 "${WEB_LABELS_0:-app: web, instance: zero}" 192.0.2.11
    manifest_pod shop web-1 node-2 $WEB1 "${WEB_LABELS_1:-app: web, instance: one}" 192.0.2.12
    manifest_pod edge gateway-0 node-1 10.244.1.2 "app: gateway" 192.0.2.11
    manifest_service edge gateway LoadBalancer 10.96.1.1 "app: gateway" "{name: http, port: 80, targetPort: 8000, nodePort: 30000}" \
        "externalTrafficPolicy: ${1:-Cluster}" $VIP
    manifest_service shop web ClusterIP 10.96.12.40 "app: web" "{port: 80, targetPort: 8080}"
    manifest_service shop upload ClusterIP 10.96.12.41 "app: web" "{port: 80, targetPort: 8081}"
    manifest_service shop web-np NodePort 10.96.12.42 "app: web" "{port: 80, targetPort: 8080, nodePort: 30080}"
    manifest_service shop web-local NodePort 10.96.12.43 "app: web" "{port: 80, targetPort: 8080, nodePort: 30081}" \
        "externalTrafficPolicy: Local"
    manifest_service shop lb-cluster LoadBalancer 10.96.12.44 "app: web" "{port: 80, targetPort: http}" "" 203.0.113.20
    manifest_service shop lb-local LoadBalancer 10.96.12.45 "app: web" "{port: 80, targetPort: 8080}" \
        "externalTrafficPolicy: Local" 203.0.113.21
    manifest_service shop only-1 NodePort 10.96.12.46 "instance: one" "{port: 80, targetPort: 8080, nodePort: 30082}" \
        "externalTrafficPolicy: Local"
    manifest_service shop udp ClusterIP 10.96.12.53 "app: web" "{name: echo, protocol: UDP, port: 5353, targetPort: 5353}"
    manifest_service shop udp-lb LoadBalancer 10.96.12.54 "app: web" "{protocol: UDP, port: 5353, targetPort: 5353}" \
        "externalTrafficPolicy: Local" 203.0.113.22
    manifest_service shop udp-closed LoadBalancer 10.96.12.55 "app: web" "{protocol: UDP, port: 5354, targetPort: 5354}" \
        "" 203.0.113.23
    manifest_service shop empty LoadBalancer 10.96.12.60 "app: nobody" "{port: 80, targetPort: 8080}" "" 203.0.113.24
    manifest_service shop each ClusterIP None "app: web" "{name: http, port: 80, targetPort: 8080}"
}

# ---- podglass

# On pg0 in the node's namespace, with $WORK/lab.yaml; PG_FLAGS are added.
declare -a PG_FLAGS=()
start_podglass() {
    PG_LOG=$WORK/podglass.log
    spawn "$NODE" podglass "$PODGLASS" run -f "$WORK/lab.yaml" --tun pg0 --configure --socket "$SOCK" "${PG_FLAGS[@]}"
    PG_PID=$SPAWNED
    if ! wait_for 20 get_quietly nodes; then
        not_ok "podglass starts" "$(tail -n 30 "$PG_LOG")"
        done_testing
    fi
    ip -n "$NODE" route replace default dev pg0 table 100
}

# Waits for its end; the exit status in PG_STATUS, 124 if it did not end in time.
wait_podglass() { # wait_podglass SECONDS
    PG_STATUS=124
    if wait_for "$1" not alive "$PG_PID"; then
        PG_STATUS=0
        wait "$PG_PID" 2>/dev/null || PG_STATUS=$?
    fi
}
not() { ! "$@"; }

# Every script ends with it: on a build with sanitizers the exit status tells of leaks.
stop_podglass() {
    local pid=$PG_PID
    kill -TERM "$pid" 2>/dev/null || true
    wait_podglass 15
    is "podglass ends with" "$PG_STATUS" 0
    [ "$PG_STATUS" -eq 0 ] || tail -n 60 "$PG_LOG" | sed 's/^/# /'
    is "no system call of its own was refused" "$(grep 'error: system call ' "$PG_LOG" || true)" ""
    PG_PID=
}

reload() {
    local before
    before=$(grep -c 'loaded again' "$PG_LOG" || true)
    kill -HUP "$PG_PID"
    wait_for 10 reloaded "$before" || not_ok "manifests are loaded again" "$(tail -n 5 "$PG_LOG")"
}
reloaded() { [ "$(grep -c 'loaded again' "$PG_LOG")" -gt "$1" ]; }

get() { timeout 20 "$PODGLASS" get "$1" -o json --socket "$SOCK"; }
get_quietly() { get "$1" >/dev/null 2>&1; }

# counter NAME, drop NAME, pool NAME: one number
counter() { get counters | jq --arg n "$1" '.counters[$n]'; }
dropped() { get counters | jq --arg n "$1" '.drops[$n]'; }
pool() { get counters | jq --arg n "$1" '.pools[$n].used'; }

# wait_pool SECONDS NAME VALUE
wait_pool() { wait_for "$1" pool_is "$2" "$3" || true; }
pool_is() { [ "$(pool "$1")" = "$2" ]; }

# begin_reader CMD...: in the background, once it has begun to read (a trace, a capture, events); its process id in SPAWNED.
# Before that it would miss what a test does next.
begin_reader() {
    local before
    before=$(counter readers)
    "$@" &
    SPAWNED=$!
    PIDS+=("$SPAWNED")
    wait_for 10 has_reader_beyond "$before" || true # what it should have read tells
}
has_reader_beyond() { [ "$(counter readers)" -gt "$1" ]; }

# The flow that began with this source and port, as JSON; empty if there is none.
flow_from() { # flow_from ADDRESS PORT [PROTO]
    # a client's port may have served before, for another destination: the newest is meant
    get conntrack | jq -c --arg a "$1" --argjson p "$2" --arg proto "${3:-tcp}" \
        '[.items[] | select((.proto | ascii_downcase) == $proto and .original.src == $a and .original.srcPort == $p)] | max_by(.id) // empty'
}

# The flow whose answers go to this address and port: the one that a pod sees as its peer.
flow_seen_as() { # flow_seen_as POD-ADDRESS PEER PORT
    get conntrack | jq -c --arg pod "$1" --arg a "$2" --argjson p "$3" \
        '[.items[] | select(.reply.src == $pod and .reply.dst == $a and .reply.dstPort == $p)] | max_by(.id) // empty'
}

# Every packet begins once and ends once.
check_balance() {
    local c
    c=$(get counters)
    is "packets in and made here = sent, delivered, dropped or held" \
        "$(jq '.counters.rx_packets - .counters.fragments_joined + .counters.local_out' <<<"$c")" \
        "$(jq '.counters.tx_packets - .counters.fragments_made + .counters.local_in + ([.drops[]] | add) + .pools.heldPackets.used' <<<"$c")"
    is "flows begun = ended and live" "$(jq '.counters.conntrack_insert' <<<"$c")" \
        "$(jq '.counters.conntrack_delete + .pools.flows.used' <<<"$c")"
}

# ---- asking

# ask SPACE URL [CURL-FLAG...]: one request with a number in its query, so that it is found in the pod's log.
# Sets STATUS, BODY, FROM, FROM_PORT, TO (as curl knows them) and POD, PEER, PEER_PORT, XFF, XRI, HOST (as nginx has them).
ASKED=0
ask() {
    local space=$1 url=$2 out
    shift 2
    ASKED=$((ASKED + 1))
    POD='' PEER='' PEER_PORT=0 XFF='' XRI='' HOST=''
    out=$(ip netns exec "$space" curl -s -m "${ASK_SECONDS:-10}" "$@" \
        -w '\n%{http_code} %{local_ip} %{local_port} %{remote_ip}\n' "$url?ask=$ASKED" || true)
    read -r STATUS FROM FROM_PORT TO <<<"$(tail -n 1 <<<"$out")"
    BODY=$(sed '$d' <<<"$out")
    [ "$STATUS" = 200 ] || return 0
    wait_for 3 logged "$ASKED" || return 0
    read_seen "$(logged "$ASKED")"
}
logged() { grep -h "ask=$1\"" "$WORK"/web-*/access.log; }
read_seen() {
    # an absent header is "" in the log, and would vanish between blanks
    IFS='|' read -r POD PEER PEER_PORT XFF XRI HOST < <(jq -r '[.pod, .peer, .port, .xff, .xri, .host] | join("|")' <<<"$1")
}
pod_addr() { if [ "$1" = web-0 ]; then echo $WEB0; else echo $WEB1; fi; }

# Connections that stay: hold COUNT URL [FLAG...] asks once on each; $WORK/hold.out gets a line of JSON per connection.
# hold_again asks once more on each; hold_end closes them.
# hold_head URL HOST FROM: one connection in the middle of its response, which hold_again reads to the end.
hold() { hold_by hold "$@"; }
hold_head() { hold_by head "$@"; }
hold_by() {
    rm -f "$WORK/hold.in" "$WORK/hold.out"
    mkfifo "$WORK/hold.in"
    ip netns exec "$CLIENT" "$PYTHON" "$NETNS/peer.py" "$@" <"$WORK/hold.in" >"$WORK/hold.out" 2>&1 &
    HOLD_PID=$!
    PIDS+=("$HOLD_PID")
    exec 9>"$WORK/hold.in"
    wait_for 30 grep -q '^ready' "$WORK/hold.out" || not_ok "connections are held" "$(tail -n 5 "$WORK/hold.out")"
}
hold_again() {
    local before
    before=$(grep -c '^ready' "$WORK/hold.out" || true)
    echo again >&9
    wait_for 30 held_again "$before"
}
held_again() { [ "$(grep -c '^ready' "$WORK/hold.out")" -gt "$1" ]; }
hold_end() {
    exec 9>&-
    wait "$HOLD_PID" || true
}
held() { grep '^{' "$WORK/hold.out"; }

# wrk_errors FILE: requests that failed, by wrk's own account
wrk_errors() {
    awk '/Socket errors/ { gsub(",", ""); n += $4 + $6 + $8 + $10 } /Non-2xx/ { n += $NF } END { print n + 0 }' "$1"
}
wrk_requests() { awk '/requests in/ { print $1 }' "$1"; }
