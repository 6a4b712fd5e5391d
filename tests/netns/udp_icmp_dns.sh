#!/bin/bash
# What is not TCP through the ingress: datagrams to services, pings, refusals as clients see them, and names.
#
#   client -- veth -- node: podglass on pg0 -- veth -- pod1, pod2: UDP echo :5353
#
# Cluster DNS is 10.96.0.10, inside podglass.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need dig ping
lab_up
udp_up
start_podglass

# ---- ping

pings() { # pings WHAT SPACE ADDRESS
    local out
    out=$(ip netns exec "$2" ping -n -c 3 -i 0.2 -W 2 "$3" 2>&1 || true)
    has "$1" "$out" '3 packets transmitted, 3 received, 0% packet loss'
}
pings "client to a node" "$CLIENT" 192.0.2.11
pings "client to the other node" "$CLIENT" 192.0.2.12
pings "client to a pod" "$CLIENT" $WEB0
pings "pod to its gateway" "$POD1" 10.244.1.1
pings "pod to a pod of another node" "$POD1" $WEB1
has "a large ping passes whole" "$(in_client ping -n -c 1 -W 2 -s 1400 $WEB0 2>&1 || true)" '1 received'
has "a pod address that nobody has is unreachable" "$(in_client ping -n -c 1 -W 2 10.244.1.200 2>&1 || true)" 'Destination Host Unreachable'
has "time to live: the node answers" "$(in_client ping -n -c 1 -W 2 -t 2 $WEB0 2>&1 || true)" 'Time to live exceeded'
is "ping has its flow" "$(get conntrack | jq -r --arg a $ALICE --arg b $WEB0 \
    '[.items[] | select(.original.src == $a and .original.dst == $b and .original.icmpType == 8)][0] | "\(.reply.src) \(.reply.icmpType) \(.seenReply)"')" "$WEB0 0 true"

# ---- UDP through services

udp_ask() { # udp_ask SPACE FROM TO PORT TEXT: sets ASK_PORT and ANSWER
    local out
    out=$(ip netns exec "$1" "$PYTHON" "$NETNS/peer.py" udp-ask "$2" "$3" "$4" "$5")
    ASK_PORT=${out%% *}
    ANSWER=${out#* }
}
udp_ask "$POD1" $WEB0 10.96.12.53 5353 one
has "pod to a UDP service" "$ANSWER" "^web-[01] (10.244.1.7 $ASK_PORT|10.244.1.1 [0-9]+) one$"
udp_ask "$CLIENT" $ALICE 203.0.113.22 5353 two
has "client to a UDP balancer, Local: source is kept" "$ANSWER" "^web-[01] $ALICE $ASK_PORT two$"
is "its flow" "$(flow_from $ALICE "$ASK_PORT" udp | jq -r '"\(.original.dst):\(.original.dstPort) \(.nat | join(",")) \(.service) \(.seenReply)"')" \
    "203.0.113.22:5353 dnat shop/udp-lb true"
udp_ask "$CLIENT" $ALICE 10.96.12.53 5353 three
has "client to a UDP cluster IP: masqueraded" "$ANSWER" '^web-[01] (10.244.[12].1|192.0.2.1[12]) [0-9]+ three$'
long=$(head -c 1400 /dev/zero | tr '\0' x)
udp_ask "$CLIENT" $ALICE 203.0.113.22 5353 "$long"
is "a datagram of 1400 bytes comes back whole" "${#ANSWER}" $((1400 + $(wc -c <<<"web-0 $ALICE $ASK_PORT ") - 1))
seen=
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
    udp_ask "$CLIENT" $ALICE 203.0.113.22 5353 "$n"
    seen+="${ANSWER%% *} "
done
has "both pods get datagrams" "$seen" 'web-0.*web-1|web-1.*web-0'

# ---- refusals

udp_ask "$CLIENT" $ALICE 203.0.113.23 5354 closed
is "UDP, the pod's port is closed: the client's connected socket" "$ANSWER" refused
udp_ask "$CLIENT" $ALICE $WEB0 5399 closed
is "UDP straight to a closed port of a pod" "$ANSWER" refused
udp_ask "$CLIENT" $ALICE 192.0.2.11 5399 closed
is "UDP to a node, no such port" "$ANSWER" refused
udp_ask "$CLIENT" $ALICE 10.96.12.53 5999 closed
is "UDP to a cluster IP, no such port" "$ANSWER" refused

tcp_ask() { ip netns exec "$1" "$PYTHON" "$NETNS/peer.py" tcp-ask "$2" "$3" "$4"; }
quick_refusal() { # quick_refusal WHAT ANSWER
    local ms=${2#* }
    if [ "${2% *}" = refused ] && [ "$ms" -lt 900 ]; then
        ok "$1: refused after $ms ms"
    else
        not_ok "$1: refused at once" "seen $2 ms"
    fi
}
quick_refusal "service without endpoints, by balancer" "$(tcp_ask "$CLIENT" $ALICE 203.0.113.24 80)"
quick_refusal "service without endpoints, by cluster IP, from a pod" "$(tcp_ask "$POD1" $WEB0 10.96.12.60 80)"
quick_refusal "cluster IP, no such port" "$(tcp_ask "$POD1" $WEB0 10.96.12.40 81)"
quick_refusal "node, nothing listens" "$(tcp_ask "$CLIENT" $ALICE 192.0.2.11 81)"
before=$(counter rx_packets)
has "ingress address, no such port: an answer at once" "$(tcp_ask "$CLIENT" $ALICE $VIP 81)" '^(refused|unreachable) [0-9]{1,2}$'
at_most "and the SYN does not go round between podglass and the node: packets read" $(($(counter rx_packets) - before)) 3
quick_refusal "the pod itself refuses: its reset arrives translated" "$(tcp_ask "$POD2" $WEB1 10.96.12.41 80)"
has "policy Local, no endpoint on this node: silence" "$(tcp_ask "$CLIENT" $ALICE 192.0.2.11 30082)" '^timeout'
has "the same at the node that has one" "$(tcp_ask "$CLIENT" $ALICE 192.0.2.12 30082)" '^open'
has "an address of the service range that nobody owns: silence" "$(tcp_ask "$POD1" $WEB0 10.96.77.77 80)" '^timeout'
at_least "these are drops with a name: no-local-endpoint" "$(dropped no-local-endpoint)" 1
at_least "these are drops with a name: unallocated-service-ip" "$(dropped unallocated-service-ip)" 1
at_least "these are drops with a name: rejected" "$(dropped rejected)" 3

# ---- DNS

dig_short() { in_pod1 dig +time=2 +tries=1 @10.96.0.10 "$@" +short; }
dig_full() { in_pod1 dig +time=2 +tries=1 @10.96.0.10 "$@"; }

is "A of a service" "$(dig_short web.shop.svc.cluster.local A)" 10.96.12.40
is "A over TCP" "$(dig_short +tcp web.shop.svc.cluster.local A)" 10.96.12.40
is "AAAA of an IPv4 service: nothing" "$(dig_short web.shop.svc.cluster.local AAAA)" ""
out=$(dig_full web.shop.svc.cluster.local AAAA)
has "AAAA: the name exists" "$out" 'status: NOERROR'
has "AAAA: with the zone's SOA" "$out" 'cluster.local\.[[:space:]].*SOA'
has "a name that does not exist" "$(dig_full nobody.shop.svc.cluster.local A)" 'status: NXDOMAIN'
is "headless service: its pods" "$(dig_short each.shop.svc.cluster.local A | sort | xargs)" "$WEB0 $WEB1"
has "SRV of a named port" "$(dig_short _http._tcp.each.shop.svc.cluster.local SRV)" '^0 [0-9]+ 8080 .*each\.shop\.svc\.cluster\.local\.$'
has "SRV of a UDP port" "$(dig_short _echo._udp.udp.shop.svc.cluster.local SRV)" '^0 100 5353 udp\.shop\.svc\.cluster\.local\.$'
is "PTR of a cluster IP" "$(dig_short -x 10.96.12.40)" web.shop.svc.cluster.local.
has "PTR of an address nobody has" "$(dig_full -x 10.96.12.200)" 'status: NXDOMAIN'
has "a name outside the zone is refused or unknown" "$(dig_full www.example.test A)" 'status: (REFUSED|NXDOMAIN|SERVFAIL)'
is "the client asks too" "$(in_client dig +time=2 +tries=1 @10.96.0.10 web.shop.svc.cluster.local A +short)" 10.96.12.40
is "names in capitals" "$(dig_short WEB.shop.SVC.cluster.LOCAL A)" 10.96.12.40
at_least "get counters counts them: dns_queries" "$(counter dns_queries)" 12

# The search path, as a pod's resolver walks it (ndots:5).
# `ip netns exec` has a mount namespace of its own, so the resolv.conf is nobody else's.
printf 'search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n' >"$WORK/resolv.conf"
# shellcheck disable=SC2016 # $0 is the inner shell's
as_pod() { in_pod1 sh -c 'mount --bind "$0" /etc/resolv.conf && exec "$@"' "$WORK/resolv.conf" "$@"; }
is "a short name by the search path" "$(as_pod getent ahostsv4 web | awk '{print $1}' | sort -u)" 10.96.12.40
is "a name with its namespace" "$(as_pod getent ahostsv4 web.shop | awk '{print $1}' | sort -u)" 10.96.12.40
has "and curl" "$(as_pod curl -s -m 5 http://web.shop.svc/quiet)" '^pod=web-'

check_balance
stop_podglass
done_testing
