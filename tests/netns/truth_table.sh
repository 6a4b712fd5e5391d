#!/bin/bash
# What does the pod see? The rows of kube-proxy's truth table that a kernel can show, with real pods and their sockets as the judges; then the
# same under Cilium's dialects.
#
#   client 203.0.113.10, balancer .200 -- pgc
#   pod p1 10.244.1.2 (node1) ----------- pgp      podglass: node1 192.0.2.11, node2 192.0.2.12
#   pod q  10.244.1.3 (node1) ----------- pgp
#   pod p2 10.244.2.2 (node2) ----------- pgp
#   node1 itself 192.0.2.11 ------------- pgp      hostNetwork pods h1 and h2: processes of the nodes
#   node2 itself 192.0.2.12 ------------- pgp
#
# A node's process is let in because its source is an endpoint of the service callers (ports from 9990 on, each used once: a port that meets
# the same endpoint again is changed); any other source port of a node is podglass' own. Node ports of its own node never leave it.
# Rows 19 to 29 are not for a kernel alone: walks have them.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
need

CLIENT_IP=203.0.113.10 BALANCER=203.0.113.200
P1=10.244.1.2 Q=10.244.1.3 P2=10.244.2.2 N1=192.0.2.11 N2=192.0.2.12
GATEWAY=10.244.1.1
SPACE_Q=$LAB-q SPACE_H1=$LAB-h1 SPACE_H2=$LAB-h2

host_pod() { # host_pod NAME NODE ADDRESS
    cat <<END
---
apiVersion: v1
kind: Pod
metadata: {name: $1, namespace: t, labels: {app: $1, caller: "yes"}}
spec: {nodeName: $2, hostNetwork: true, containers: [{name: c, image: i}]}
status: {phase: Running, podIP: $3, hostIP: $3}
END
}

manifest() {
    cat <<END
apiVersion: podglass/v1alpha1
kind: Lab
metadata: {name: lab}
spec:
  nodes:
    - {name: node1, address: $N1, podCIDR: 10.244.1.0/24}
    - {name: node2, address: $N2, podCIDR: 10.244.2.0/24}
END
    manifest_pod t p1 node1 $P1 "app: near"
    manifest_pod t q node1 $Q "app: q"
    manifest_pod t p2 node2 $P2 "app: far"
    host_pod h1 node1 $N1
    host_pod h2 node2 $N2
    local ports="" n
    for n in 9990 9991 9992 9993 9994 9995; do ports="$ports{name: p$n, port: $n}, "; done
    manifest_service t callers ClusterIP 10.96.1.99 'caller: "yes"' "$ports"
    local port="port: 80, targetPort: 8080, nodePort"
    manifest_service t near LoadBalancer 10.96.1.1 "app: near" "{$port: 30001}" "" 198.51.100.1
    manifest_service t far LoadBalancer 10.96.1.2 "app: far" "{$port: 30002}" "" 198.51.100.2
    manifest_service t near-local LoadBalancer 10.96.1.3 "app: near" "{$port: 30003}" "externalTrafficPolicy: Local" 198.51.100.3
    manifest_service t far-local LoadBalancer 10.96.1.4 "app: far" "{$port: 30004}" "externalTrafficPolicy: Local" 198.51.100.4
    manifest_service t host-near NodePort 10.96.1.5 "app: h1" "{$port: 30005}"
    manifest_service t host-far NodePort 10.96.1.6 "app: h2" "{$port: 30006}"
    manifest_service t empty NodePort 10.96.1.7 "app: nobody" "{$port: 30007}"
}

for space in "$NODE" "$CLIENT" "$POD1" "$POD2" "$SPACE_Q" "$SPACE_H1" "$SPACE_H2"; do space_up "$space"; done
manifest >"$WORK/lab.yaml"
PG_LOG=$WORK/podglass.log

start() { # start DIALECT
    spawn "$NODE" podglass "$PODGLASS" run -f "$WORK/lab.yaml" --configure --socket "$SOCK" --dialect "$1" \
        --tun "pgc@$CLIENT=$CLIENT_IP,$BALANCER" --tun "pgp@$POD1=$P1" --tun "pgp@$SPACE_Q=$Q" --tun "pgp@$POD2=$P2" \
        --tun "pgp@$SPACE_H1=$N1" --tun "pgp@$SPACE_H2=$N2"
    PG_PID=$SPAWNED
    NODE_PORT_NEXT=9990
    wait_for 20 get_quietly nodes || { not_ok "podglass attaches to six interfaces" "$(cat "$PG_LOG")"; done_testing; }
}

spawn "$POD1" say-p1 "$PYTHON" "$NETNS/peer.py" tcp-say p1 8080
spawn "$POD2" say-p2 "$PYTHON" "$NETNS/peer.py" tcp-say p2 8080
spawn "$SPACE_H1" say-h1 "$PYTHON" "$NETNS/peer.py" tcp-say h1 8080
spawn "$SPACE_H2" say-h2 "$PYTHON" "$NETNS/peer.py" tcp-say h2 8080
for name in p1 p2 h1 h2; do wait_for 10 grep -q ready "$WORK/say-$name.log"; done

# see WHO TO PORT: what the pod says, in SEEN; the caller's port in FROM_PORT. Ports are above the node ports, so Cilium may keep them.
NEXT_PORT=40000
see() {
    local space=$CLIENT from=$CLIENT_IP
    NEXT_PORT=$((NEXT_PORT + 1))
    FROM_PORT=$NEXT_PORT
    case $1 in
    balancer) from=$BALANCER ;;
    q) space=$SPACE_Q from=$Q ;;
    p1) space=$POD1 from=$P1 ;;
    node1)
        space=$SPACE_H1 from=$N1 FROM_PORT=$NODE_PORT_NEXT
        NODE_PORT_NEXT=$((NODE_PORT_NEXT + 1))
        ;;
    esac
    SEEN=$(ip netns exec "$space" "$PYTHON" "$NETNS/peer.py" tcp-see "$from" "$FROM_PORT" "$2" "$3")
}

# row NUMBER WHO TO PORT POD SOURCE kept|drawn: exactly that
row() {
    local port
    see "$2" "$3" "$4"
    if [ "$7" = kept ]; then
        is "row $1: $2 to $3:$4" "$SEEN" "$5 $6 $FROM_PORT"
        return
    fi
    read -r _ _ port <<<"$SEEN"
    is "row $1: $2 to $3:$4, another port than $FROM_PORT" "$SEEN" "$5 $6 $port"
    is_not "row $1: the port" "$port" "$FROM_PORT"
}
silence() { # silence NUMBER WHO TO PORT
    see "$2" "$3" "$4"
    is "row $1: $2 to $3:$4" "$SEEN" timeout
}
# Through a node that the balancer picks, or that a router picked: one of two.
either() { # either NUMBER WHO TO PORT PATTERN
    see "$2" "$3" "$4"
    has "row $1: $2 to $3:$4" "$SEEN" "$5"
}

# What all dialects do alike.
common() {
    row 1 q 10.96.1.1 80 p1 $Q kept
    row 1 q 10.96.1.2 80 p2 $Q kept
    row 8 client $N1 30005 h1 $CLIENT_IP kept
    row 10 client $N1 30003 p1 $CLIENT_IP kept
    silence 11 client $N1 30004
    row 13 client 198.51.100.3 80 p1 $CLIENT_IP kept
    row 13 client 198.51.100.4 80 p2 $CLIENT_IP kept
    row 15 q $N1 30003 p1 $Q kept
    row 15 q $N1 30004 p2 $Q kept
    row 15 q 198.51.100.4 80 p2 $Q kept
    row 18 balancer $N1 30003 p1 $BALANCER kept
    row 19 q $P1 8080 p1 $Q kept
    see client $N1 30007
    is "no endpoint anywhere" "$SEEN" refused
    see q 10.96.1.1 81
    is "a cluster IP without such a port" "$SEEN" refused
}

echo "# ---- kube-proxy-nftables"
start kube-proxy-nftables
common
row 2 p1 10.96.1.1 80 p1 $GATEWAY drawn
row 3 node1 10.96.1.1 80 p1 $GATEWAY drawn
row 4 node1 10.96.1.2 80 p2 $N1 drawn
either 5 client 10.96.1.1 80 "^p1 ($GATEWAY|$N2) "
either 5 client 10.96.1.2 80 "^p2 (10\.244\.2\.1|$N1) "
row 6 client $N1 30001 p1 $GATEWAY drawn
row 7 client $N1 30002 p2 $N1 drawn
row 9 client $N1 30006 h2 $N1 drawn
either 12 client 198.51.100.1 80 "^p1 ($GATEWAY|$N2) "
either 12 client 198.51.100.2 80 "^p2 (10\.244\.2\.1|$N1) "
row 14 q $N1 30001 p1 $GATEWAY drawn
row 14 q $N1 30002 p2 $N1 drawn
row 14 q 198.51.100.1 80 p1 $GATEWAY drawn
row 14 q 198.51.100.2 80 p2 $N1 drawn
row 16 node1 198.51.100.3 80 p1 $GATEWAY drawn
row 16 node1 198.51.100.4 80 p2 $N1 drawn
row 17 balancer $N1 30001 p1 $GATEWAY drawn
row 17 balancer $N1 30002 p2 $N1 drawn
check_balance
stop_podglass

for dialect in cilium-snat cilium-dsr; do
    echo "# ---- $dialect"
    start $dialect
    common
    row 2 p1 10.96.1.1 80 p1 169.254.42.1 kept
    row 3 node1 10.96.1.1 80 p1 $GATEWAY kept
    row 4 node1 10.96.1.2 80 p2 $N1 kept
    silence 5 client 10.96.1.1 80
    row 6 client $N1 30001 p1 $CLIENT_IP kept
    far=$CLIENT_IP far_balancer=$BALANCER
    [ $dialect = cilium-dsr ] || far=$N1 far_balancer=$N1
    row 7 client $N1 30002 p2 $far kept
    row 9 client $N1 30006 h2 $far kept
    either 12 client 198.51.100.2 80 "^p2 ($CLIENT_IP|$far) $((NEXT_PORT + 1))\$"
    row 14 q $N1 30001 p1 $Q kept
    row 14 q 198.51.100.2 80 p2 $Q kept
    row 16 node1 198.51.100.3 80 p1 $GATEWAY kept
    row 16 node1 198.51.100.4 80 p2 $N1 kept
    row 17 balancer $N1 30001 p1 $BALANCER kept
    row 17 balancer $N1 30002 p2 $far_balancer kept
    check_balance
    stop_podglass
done
done_testing
