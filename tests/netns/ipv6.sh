#!/bin/bash
# IPv6 and dual stack with real ends: services per family, NAT, node ports, UDP, rejects, errors, packet too big, the ingress, health checks.
#
#   client 2001:db8:99::7, 198.51.100.7 --- pgc
#   pod1 fd00:10:244:1::7, 10.244.1.7 ----- pgp     podglass: node1 2001:db8::11, 192.0.2.11
#   router ------------------------------- pgr                node2 2001:db8::12, 192.0.2.12
#     +-- veth, MTU 1300 -- pod2 fd00:10:244:2::9
#
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
need ping

C6=2001:db8:99::7 POD1_6=fd00:10:244:1::7 POD2_6=fd00:10:244:2::9
N1_6=2001:db8::11 GW1_6=fd00:10:244:1::1
ROUTER=$LAB-router

service() { # service NAME TYPE V4 V6 SELECTOR PORTS [MORE]
    cat <<END
---
apiVersion: v1
kind: Service
metadata: {name: $1, namespace: t}
spec:
  type: $2
  ipFamilyPolicy: RequireDualStack
  clusterIP: $3
  clusterIPs: [$3, "$4"]
  selector: {$5}
  ports: [$6]
END
    [ -z "${7:-}" ] || echo "  $7"
    [ -z "${8:-}" ] || echo "status: {loadBalancer: {ingress: [{ip: \"$8\"}]}}"
}

manifest() {
    cat <<END
apiVersion: podglass/v1alpha1
kind: Lab
metadata: {name: lab}
spec:
  podCIDRs: [10.244.0.0/16, "fd00:10:244::/56"]
  serviceCIDRs: [10.96.0.0/16, "fd00:10:96::/112"]
  nodes:
    - {name: node1, address: 192.0.2.11, address6: "$N1_6", podCIDR: 10.244.1.0/24, podCIDR6: "fd00:10:244:1::/64"}
    - {name: node2, address: 192.0.2.12, address6: "2001:db8::12", podCIDR: 10.244.2.0/24, podCIDR6: "fd00:10:244:2::/64"}
  ingress: {service: t/gateway}
---
apiVersion: v1
kind: Pod
metadata: {name: pod1, namespace: t, labels: {app: near}}
spec: {nodeName: node1, containers: [{name: c, image: i}]}
status: {phase: Running, podIPs: [{ip: 10.244.1.7}, {ip: "$POD1_6"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: pod2, namespace: t, labels: {app: far}}
spec: {nodeName: node2, containers: [{name: c, image: i}]}
status: {phase: Running, podIP: "$POD2_6", podIPs: [{ip: "$POD2_6"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: gateway, namespace: t, labels: {app: gateway}}
spec: {nodeName: node1, containers: [{name: c, image: i}]}
status: {phase: Running, podIPs: [{ip: 10.244.1.2}, {ip: "fd00:10:244:1::2"}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: t, namespace: t}
spec: {rules: [{host: shop.example.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: near, port: {number: 80}}}}]}}]}
END
    service near NodePort 10.96.1.1 fd00:10:96::1 "app: near" "{port: 80, targetPort: 8080, nodePort: 30001}"
    service near-local LoadBalancer 10.96.1.2 fd00:10:96::2 "app: near" "{port: 80, targetPort: 8080, nodePort: 30002}" \
        "externalTrafficPolicy: Local
  healthCheckNodePort: 30102" 2001:db8:1::2
    service far-local LoadBalancer 10.96.1.3 fd00:10:96::3 "app: far" "{port: 80, targetPort: 8080, nodePort: 30003}" \
        "externalTrafficPolicy: Local" 2001:db8:1::3
    service udp LoadBalancer 10.96.1.4 fd00:10:96::4 "app: near" "{protocol: UDP, port: 5353, targetPort: 5353, nodePort: 30004}" \
        "externalTrafficPolicy: Local" 2001:db8:1::4
    service udp-closed LoadBalancer 10.96.1.5 fd00:10:96::5 "app: near" "{protocol: UDP, port: 5354, targetPort: 5354}" "" 2001:db8:1::5
    service empty LoadBalancer 10.96.1.6 fd00:10:96::6 "app: nobody" "{port: 80}" "" 2001:db8:1::6
    service gateway LoadBalancer 10.96.1.9 fd00:10:96::9 "app: gateway" "{name: http, port: 80, targetPort: 8000}" \
        "externalTrafficPolicy: Local" 2001:db8:1::9
}

for space in "$NODE" "$CLIENT" "$POD1" "$POD2" "$ROUTER"; do
    space_up "$space"
    ip netns exec "$space" sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 \
        net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.lo.disable_ipv6=0
done
ip netns exec "$ROUTER" sysctl -qw net.ipv6.conf.all.forwarding=1
ip -n "$ROUTER" link add down0 type veth peer name eth0 netns "$POD2"
ip -n "$ROUTER" addr add fd00:198:18::1/64 dev down0 nodad
ip -n "$ROUTER" link set down0 mtu 1300 up
ip -n "$ROUTER" route add $POD2_6/128 dev down0
ip -n "$POD2" addr add $POD2_6/128 dev eth0 nodad
ip -n "$POD2" addr add fd00:198:18::2/64 dev eth0 nodad
ip -n "$POD2" link set eth0 up # its own MTU is 1500: it does not warn its peers by its MSS
ip -n "$POD2" route add default via fd00:198:18::1 src $POD2_6

spawn "$POD1" http-pod1 "$PYTHON" "$NETNS/peer.py" http-say pod1 8080
spawn "$POD2" http-pod2 "$PYTHON" "$NETNS/peer.py" http-say pod2 8080
spawn "$POD1" udp-pod1 "$PYTHON" "$NETNS/peer.py" udp-echo pod1 5353
for name in http-pod1 http-pod2 udp-pod1; do wait_for 10 grep -q ready "$WORK/$name.log"; done

manifest >"$WORK/lab.yaml"
PG_LOG=$WORK/podglass.log
spawn "$NODE" podglass "$PODGLASS" run -f "$WORK/lab.yaml" --configure --socket "$SOCK" \
    --tun "pgc@$CLIENT=$C6,$ALICE" --tun "pgp@$POD1=$POD1_6,10.244.1.7" --tun "pgr@$ROUTER=fd00:10:244:2::/64"
PG_PID=$SPAWNED
wait_for 20 get_quietly nodes || { not_ok "podglass attaches" "$(cat "$PG_LOG")"; done_testing; }
ip -n "$ROUTER" addr add fd00:10:244:2::fe/128 dev pgr nodad # errors of the router come from here
ip -n "$ROUTER" -6 route add default dev pgr

fetch() { # fetch SPACE URL [CURL-FLAG...]
    local space=$1 url=$2
    shift 2
    ip netns exec "$space" curl -sS -g -m 5 --noproxy '*' "$@" "$url" 2>&1 || true
}

# ---- services

has "node port, Cluster: the pod sees its gateway" "$(fetch "$CLIENT" "http://[$N1_6]:30001/")" "pod=pod1 peer=$GW1_6 "
has "node port, Cluster, by the other node: that node" "$(fetch "$CLIENT" "http://[2001:db8::12]:30001/")" "pod=pod1 peer=2001:db8::12 "
has "node port, Local: the client" "$(fetch "$CLIENT" "http://[$N1_6]:30002/")" "pod=pod1 peer=$C6 "
has "node port, Local, no endpoint there: silence" "$(fetch "$CLIENT" "http://[$N1_6]:30003/" -m 2)" "timed out"
has "balancer address, Local: the client" "$(fetch "$CLIENT" "http://[2001:db8:1::2]/")" "pod=pod1 peer=$C6 "
has "cluster IP from a pod: the pod keeps its address" "$(fetch "$POD2" "http://[fd00:10:96::1]/" --interface $POD2_6)" "pod=pod1 peer=$POD2_6 "
has "a pod that reaches itself sees its gateway" "$(fetch "$POD1" "http://[fd00:10:96::1]/")" "pod=pod1 peer=$GW1_6 "
has "cluster IP from outside is masqueraded" "$(fetch "$CLIENT" "http://[fd00:10:96::1]/")" "pod=pod1 peer=($GW1_6|2001:db8::12) "
has "the other family of the same service" "$(fetch "$CLIENT" "http://192.0.2.11:30001/")" "pod=pod1 peer=10.244.1.1 "
has "a family without endpoints rejects" "$(fetch "$CLIENT" "http://192.0.2.12:30003/")" "refused|Could not connect|Couldn't connect"
has "while the other works" "$(fetch "$CLIENT" "http://[2001:db8::12]:30003/")" "pod=pod2 peer=$C6 "
has "conntrack has it in one line" "$("$PODGLASS" get conntrack -o conntrack --socket "$SOCK")" \
    "tcp +6 .* src=$C6 dst=2001:db8:1::2 sport=[0-9]+ dport=80 .* src=$POD1_6 dst=$C6 sport=8080 "

# ---- the ingress and health checks

has "through the ingress: the client is in the header" "$(fetch "$CLIENT" "http://[2001:db8:1::9]/" -H 'Host: shop.example.test')" \
    "pod=pod1 peer=(fd00:10:244:1::2|10\.244\.1\.2) .*xff=$C6 "
has "health-check node port of a node with an endpoint" "$(fetch "$CLIENT" "http://[$N1_6]:30102/")" '"localEndpoints": ?1'
has "and of one without" "$(fetch "$CLIENT" "http://[2001:db8::12]:30102/" -o /dev/null -w '%{http_code}')" 503

# ---- refusals

begin=$(date +%s%N)
has "no endpoint: refused (ICMPv6 port unreachable)" "$(fetch "$CLIENT" "http://[2001:db8:1::6]/")" "refused|Could not connect|Couldn't connect"
at_most "at once, in ms" $((($(date +%s%N) - begin) / 1000000)) "$(slow 500 1500)"
has "a cluster IP without such a port" "$(in_pod1 "$PYTHON" "$NETNS/peer.py" tcp-ask $POD1_6 fd00:10:96::1 81)" "^refused "
runs "ping of a node" in_client ping -6 -c 1 -W 2 $N1_6
runs "ping of one pod by another" in_pod1 ping -6 -c 1 -W 2 $POD2_6
has "ping of a cluster IP" "$(in_pod1 ping -6 -c 1 -W 2 fd00:10:96::1 2>&1 || true)" "[Uu]nreachable"

# ---- UDP

ask_udp() { in_client "$PYTHON" "$NETNS/peer.py" udp-ask $C6 "$@"; }
answer=$(ask_udp 2001:db8:1::4 5353 hello)
has "UDP by the balancer address: the client's address and port" "$answer" "^(\S+) pod1 $C6 \1 hello$"
has "UDP by a node port" "$(ask_udp $N1_6 30004 there)" "^(\S+) pod1 $C6 \1 there$"
has "UDP, closed in the pod: the error is the service's" "$(ask_udp 2001:db8:1::5 5354 hello)" "refused"
has "UDP, 4000 bytes in fragments, both ways" "$(ask_udp 2001:db8:1::4 5353 "$(head -c 4000 /dev/zero | tr '\0' x)" | wc -c)" "^40[0-9][0-9]$"

# ---- packet too big: a router behind podglass has a smaller link

head -c 300000 /dev/urandom >"$WORK/upload"
has "an upload through a link of 1300 bytes" \
    "$(fetch "$CLIENT" "http://[2001:db8:1::3]/" -T "$WORK/upload" -m 20)" "pod=pod2 peer=$C6 .*bytes=300000"
has "the client has learned it for the service's address" "$(ip -n "$CLIENT" -6 route get 2001:db8:1::3)" "mtu 1300"

check_balance
stop_podglass
done_testing
