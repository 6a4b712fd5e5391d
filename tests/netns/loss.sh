#!/bin/bash
# Downloads over a wire that loses one packet in a hundred: podglass' TCP beside the kernel's.
#
#   client eth0 -- relay: 5 ms each way, 1 % lost each way -- eth0 node: nginx (kernel TCP), reno
#                                                                  pg0: an echo pod (podglass' TCP)
#
# Both servers are asked in turn for as many bytes; the client's kernel, the wire and its losses' frequency are the same.
# Printed are the goodputs and the ratio of their medians. The aim is 0.8; the test is that it is 0.5, for few losses of
# a short download vary much. PODGLASS_LOSS_ROUNDS and PODGLASS_LOSS_KIB make it longer.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need nginx ethtool cc
KIB=${PODGLASS_LOSS_KIB:-4096}
ROUNDS=${PODGLASS_LOSS_ROUNDS:-$(slow 7 3)}
DELAY_US=5000
LOSS=100 # of 10,000
RELAY=$LAB-relay
ECHO=203.0.113.30

cc -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -o "$WORK/relay" "$NETNS/relay.c"

for space in "$CLIENT" "$NODE" "$RELAY"; do space_up "$space"; done
in_node sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.tcp_congestion_control=reno \
    net.ipv4.tcp_no_metrics_save=1
ip -n "$RELAY" link add r0 type veth peer name eth0 netns "$CLIENT"
ip -n "$RELAY" link add r1 type veth peer name eth0 netns "$NODE"
for end in "$CLIENT eth0" "$NODE eth0" "$RELAY r0" "$RELAY r1"; do
    read -r space device <<<"$end"
    # each wire packet is a frame of its own, with its sum in it
    ip netns exec "$space" ethtool -K "$device" tx off tso off gso off gro off >/dev/null
    ip -n "$space" link set "$device" txqueuelen 10000 up
done
ip -n "$CLIENT" addr add "$ALICE/24" dev eth0
ip -n "$CLIENT" route add default via 198.51.100.1
ip -n "$NODE" addr add 198.51.100.1/24 dev eth0

relay_up() { # relay_up LOSS SEED
    rm -f "$WORK/relay.log"
    spawn "$RELAY" relay "$WORK/relay" r0 r1 "$DELAY_US" "$1" "$2"
    RELAY_PID=$SPAWNED
    wait_for 5 grep -q ready "$WORK/relay.log"
}
relay_down() {
    kill -TERM "$RELAY_PID"
    wait "$RELAY_PID" || true
    RELAYED=$(tail -n +2 "$WORK/relay.log")
}

{
    cat <<END
apiVersion: podglass/v1alpha1
kind: Lab
metadata: {name: lab}
spec:
  podCIDRs: [10.244.0.0/16]
  serviceCIDRs: [10.96.0.0/16]
  clients: [{name: node, address: 198.51.100.1}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: example.test/web, ports: [{containerPort: 8080}]}]}
END
    manifest_service shop web LoadBalancer 10.96.12.40 "app: web" "{port: 80, targetPort: 8080}" "" $ECHO
} >"$WORK/lab.yaml"
nginx_up "$NODE" kernel
head -c $((KIB * 1024)) /dev/zero >"$WORK/files/part"
start_podglass

# Goodput in kbit/s, or 0 if not all came.
goodput() { # goodput URL
    { in_client curl -s -m 60 -o /dev/null -w '%{size_download} %{time_total} %{time_starttransfer}' "$1" || true; } |
        awk -v want=$((KIB * 1024)) '{ printf "%d\n", $1 == want ? $1 * 8 / ($2 - $3) / 1000 : 0 }'
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

compare() { # compare ROUNDS: medians in KERNEL and OURS
    local n
    rm -f "$WORK"/goodput.*
    for ((n = 0; n < $1; n++)); do
        goodput http://198.51.100.1:8080/files/part >>"$WORK/goodput.kernel"
        goodput "http://$ECHO/bytes/$((KIB * 1024))" >>"$WORK/goodput.ours"
    done
    KERNEL=$(median <"$WORK/goodput.kernel")
    OURS=$(median <"$WORK/goodput.ours")
    echo "# kernel   kbit/s: $(paste -sd' ' "$WORK/goodput.kernel")"
    echo "# podglass kbit/s: $(paste -sd' ' "$WORK/goodput.ours")"
}

relay_up 0 1
compare 1
relay_down
at_least "the wire without loss carries kbit/s" "$KERNEL" "$(slow 50000 20000)"
at_least "podglass on it" "$OURS" $((KERNEL / 4))
is "no frame was lost for want of room" "$(grep -c 'overflowed 0$' <<<"$RELAYED")" 2

before=$(counter tcp_rto)
relay_up "$LOSS" 7
compare "$ROUNDS"
relay_down
echo "# relay: ${RELAYED//$'\n'/; }"
echo "# podglass: $(counter tcp_retransmits) segments sent again, $(($(counter tcp_rto) - before)) timeouts"
is "no frame was lost for want of room" "$(grep -c 'overflowed 0$' <<<"$RELAYED")" 2
at_least "goodput at 1 % loss, per cent of the kernel's ($OURS of $KERNEL kbit/s; aim 80)" $((OURS * 100 / KERNEL)) 50
stop_podglass
done_testing
