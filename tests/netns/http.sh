#!/bin/bash
# Whom does the pod see, and is that what podglass says? Each way into the cluster once, with nginx's own log as the judge.
#
#   client (alice, mallory) -- veth -- node: podglass on pg0 -- veth -- pod1 web-0, nginx
#                                                           \-- veth -- pod2 web-1, nginx
#
# Rows are those of kube-proxy's truth table: client or pod, by ingress, node port, balancer or cluster IP, with both policies.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

lab_up
random_file one 1 >/dev/null
start_podglass

# The address a node masquerades with: its pod gateway for a pod of its own, else its own.
exit_of() { # exit_of NODE POD
    case $1/$2 in
    node-1/web-0) echo 10.244.1.1 ;;
    node-2/web-1) echo 10.244.2.1 ;;
    node-1/web-1) echo 192.0.2.11 ;;
    node-2/web-0) echo 192.0.2.12 ;;
    *) echo "no-node-$1" ;;
    esac
}

# Uses of a translation: hits dnat ADDRESS PORT POD-ADDRESS, or hits snat SERVICE ADDRESS
dnat_hits() {
    get nat | jq --arg a "$1" --argjson p "$2" --arg pod "$3" \
        '[.items[] | select(.kind == "dnat" and (.before.address // "") == $a and (.before.port // $p) == $p and .after.address == $pod) | .hits] | add // 0'
}
snat_hits() {
    get nat | jq --arg s "Service/$1" --arg a "$2" \
        '[.items[] | select(.kind == "snat" and .reason.object == $s and .after.address == $a) | .hits] | add // 0'
}

# What nginx has seen against what podglass holds: the flow that the pod's log names must be the one that curl began.
agrees() { # agrees WHAT NAT-WORDS
    local flow
    flow=$(flow_seen_as "$(pod_addr "$POD")" "$PEER" "$PEER_PORT")
    is "$1: conntrack has one flow from curl's socket to the pod's peer" \
        "$(jq -r '"\(.original.src):\(.original.srcPort) \(.original.dst) \(.nat | sort | join(","))"' <<<"$flow")" \
        "$FROM:$FROM_PORT $TO $2"
}

# ---- through the ingress

# One request through the balancer and the ingress, compared while its response is under way.
through_ingress() { # through_ingress WHAT SOURCE EXPECTED-CLIENT(or "masqueraded")
    local row node pod client_flow upstream_flow source_port socket
    ASKED=$((ASKED + 1))
    hold_head "http://$VIP/slow/one?ask=$ASKED" shop.example.test "$2"
    source_port=$(held | jq .port)
    row=$(get connections | jq -c --argjson p "$source_port" '.items[] | select(.client.source.port == $p)')
    client_flow=$(flow_from "$2" "$source_port")
    read -r PEER PEER_PORT <<<"$(jq -r '.upstream.seen | "\(.address) \(.port)"' <<<"$row")"
    pod=$(jq -r .pod <<<"$row")
    upstream_flow=$(flow_seen_as "$(pod_addr "${pod#shop/}")" "$PEER" "$PEER_PORT")
    socket=$(in_client ss -tnH state established "sport = :$source_port" | awk '{print $3, $4}')
    hold_again || true
    hold_end
    wait_for 3 logged "$ASKED" || { not_ok "$1: the pod has logged the request"; return; }
    read_seen "$(logged "$ASKED")"
    node=$(jq -r .node <<<"$client_flow")
    is "$1: the pod's peer is the ingress pod" "$PEER" 10.244.1.2
    if [ "$3" = masqueraded ]; then
        # the balancer chose $node; the ingress pod is on node-1
        is "$1 by $node: X-Forwarded-For is whom the ingress saw" "$XFF" "$(exit_of "$node" web-0)"
        is "$1: and X-Real-IP the same" "$XRI" "$(exit_of "$node" web-0)"
    else
        is "$1: X-Forwarded-For is the client" "$XFF" "$3"
        is "$1: X-Real-IP is the client" "$XRI" "$3"
        is "$1: the balancer chose the node of the ingress pod" "$node" node-1
    fi
    is "$1: Host is the client's" "$HOST" shop.example.test
    is "$1: the connection's client, VIP and pod" \
        "$(jq -r '"\(.client.source.address):\(.client.source.port) \(.client.vip.address):\(.client.vip.port) \(.pod)"' <<<"$row")" \
        "$2:$source_port $VIP:80 shop/$POD"
    is "$1: the connection's upstream leg is what nginx has" \
        "$(jq -r '"\(.upstream.endpoint.address):\(.upstream.endpoint.port) sees \(.upstream.seen.address):\(.upstream.seen.port)"' <<<"$row")" \
        "$(pod_addr "$POD"):8080 sees $PEER:$PEER_PORT"
    is "$1: the upstream flow goes to the service address" "$(jq -r '"\(.original.dst):\(.original.dstPort) \(.state) \(.service)"' <<<"$upstream_flow")" \
        "10.96.12.40:80 ESTABLISHED shop/web"
    is "$1: the connection names both flows" "$(jq -r '"\(.conntrackClient) \(.conntrackUpstream)"' <<<"$row")" \
        "$(jq .id <<<"$client_flow") $(jq .id <<<"$upstream_flow")"
    is "$1: the ingress pod's peer in conntrack is its peer in connections" \
        "$(jq -r '"\(.reply.dst):\(.reply.dstPort)"' <<<"$client_flow")" "$(jq -r '"\(.client.peer):\(.client.peerPort)"' <<<"$row")"
    is "$1: the client's socket is in ss" "$socket" "$2:$source_port $VIP:80"
}

# The balancer takes either node; which one it was is in conntrack, and decides what the ingress sees.
for n in 1 2 3; do
    through_ingress "ingress, policy Cluster, $n" $ALICE masqueraded
done
ask "$CLIENT" http://$VIP/ -H 'Host: nobody.example.test'
is "a host no rule names" "$STATUS" 404
ask "$CLIENT" http://$VIP/ -H 'Host: empty.example.test'
is "a service without endpoints" "$STATUS" 503

lab_manifest Local >"$WORK/lab.yaml"
reload
through_ingress "ingress, policy Local" $ALICE $ALICE
through_ingress "ingress, policy Local, mallory forges" $MALLORY $MALLORY
ask "$CLIENT" http://$VIP/ --interface $MALLORY -H 'Host: shop.example.test' \
    -H "X-Forwarded-For: $ALICE, 192.0.2.99" -H "X-Real-IP: $ALICE" -H "Forwarded: for=$ALICE" -H 'X_Forwarded_For: 192.0.2.98'
is "forged headers: the pod gets" "$XFF / $XRI" "$MALLORY / $MALLORY"
ask "$CLIENT" http://$VIP/only-1 -H 'Host: shop.example.test'
is "a path of its own goes to its service" "$STATUS $POD" "200 web-1"

# ---- without the ingress

# What the pod that answered should see, decided by the node: sets WANT_PEER and WANT_NAT.
expect() { # expect masqueraded|kept|kept-or-hairpin NODE
    local how=$1
    if [ "$how" = kept-or-hairpin ]; then
        # $FROM is the pod that asks: its own answer must come back by the node
        how=kept
        [ "$(pod_addr "$POD")" != "$FROM" ] || how=masqueraded
    fi
    if [ "$how" = kept ]; then
        WANT_PEER=$FROM WANT_NAT=dnat
    else
        WANT_PEER=$(exit_of "$2" "$POD") WANT_NAT=dnat,snat
    fi
}

# Asks until both pods have answered (or WANT_PODS); EXPECT is a word of expect().
both_pods() { # both_pods WHAT SPACE URL EXPECT ADDRESS-IN-NAT PORT-IN-NAT SERVICE [CURL-FLAG...]
    local what=$1 space=$2 url=$3 how=$4 address=$5 port=$6 service=$7 n before node row most=40 done_for=" "
    shift 7
    [ -z "${WANT_PODS:-}" ] || most=6
    for ((n = 0; n < most; n++)); do
        [[ $done_for == *web-0* && $done_for == *web-1* ]] && break
        before="$(dnat_hits "$address" "$port" $WEB0) $(dnat_hits "$address" "$port" $WEB1)"
        ask "$space" "$url" "$@"
        if [ "$STATUS" != 200 ] || [ -z "$POD" ]; then
            not_ok "$what: an answer" "status $STATUS, $BODY"
            return
        fi
        [[ $done_for != *$POD* ]] || continue
        done_for+="$POD "
        row=$(flow_from "$FROM" "$FROM_PORT")
        node=$(jq -r .node <<<"$row")
        expect "$how" "$node"
        is "$what, $POD by $node: the pod's peer" "$PEER" "$WANT_PEER"
        if [[ $WANT_NAT == *snat* ]]; then
            is_not "$what, $POD: source port is not the client's" "$PEER_PORT" "$FROM_PORT"
            at_least "$what, $POD: get nat counts the masquerade" "$(snat_hits "$service" "$WANT_PEER")" 1
        else
            is "$what, $POD: source port is the client's" "$PEER_PORT" "$FROM_PORT"
        fi
        is "$what, $POD: no header is added" "$XFF$XRI" ""
        agrees "$what, $POD" "$WANT_NAT"
        is "$what, $POD: get nat counts one more" "$(dnat_hits "$address" "$port" "$(pod_addr "$POD")")" \
            "$(($(cut -d' ' -f$((${POD#web-} + 1)) <<<"$before") + 1))"
    done
    has "$what: pods that answered in $n requests" "$done_for" "${WANT_PODS:-web-0.*web-1|web-1.*web-0}"
}
both_pods "row 6, 7: node port, Cluster" "$CLIENT" http://192.0.2.11:30080/ masqueraded "" 30080 shop/web-np
WANT_PODS=web-0 both_pods "row 10: node port, Local, node-1" "$CLIENT" http://192.0.2.11:30081/ kept "" 30081 shop/web-local
WANT_PODS=web-1 both_pods "row 10: node port, Local, node-2" "$CLIENT" http://192.0.2.12:30081/ kept "" 30081 shop/web-local
both_pods "row 12: balancer, Cluster" "$CLIENT" http://203.0.113.20/ masqueraded 203.0.113.20 80 shop/lb-cluster
both_pods "row 13: balancer, Local" "$CLIENT" http://203.0.113.21/ kept 203.0.113.21 80 shop/lb-local
both_pods "row 5: a host outside, cluster IP" "$CLIENT" http://10.96.12.40/ masqueraded 10.96.12.40 80 shop/web
both_pods "row 5: the node of the lab itself, cluster IP" "$NODE" http://10.96.12.40/ masqueraded 10.96.12.40 80 shop/web
both_pods "row 1, 2: web-0 to its own service" "$POD1" http://10.96.12.40/ kept-or-hairpin 10.96.12.40 80 shop/web
both_pods "row 1, 2: web-1 to its own service" "$POD2" http://10.96.12.40/ kept-or-hairpin 10.96.12.40 80 shop/web
both_pods "row 14: pod to a balancer, Cluster" "$POD2" http://203.0.113.20/ masqueraded 203.0.113.20 80 shop/lb-cluster
both_pods "row 15: pod to a balancer, Local" "$POD1" http://203.0.113.21/ kept-or-hairpin 203.0.113.21 80 shop/lb-local

# A client that is the other side of two flows from one source port: the port is free on one and clashes on none.
ask "$CLIENT" http://203.0.113.21/ --local-port 23456
is "a chosen source port arrives as it is" "$STATUS $PEER:$PEER_PORT" "200 $ALICE:23456"

# Pod to pod without a service is nobody's business, but it passes.
ask "$POD1" http://$WEB1:8080/
is "pod to pod: peer" "$STATUS $PEER:$PEER_PORT" "200 $WEB0:$FROM_PORT"

# ---- odds

ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test' --http1.0
is "HTTP/1.0 through the ingress" "$STATUS $XFF" "200 $ALICE"
is "HEAD has no body" "$(in_client curl -s -m 5 -I -o /dev/null -w '%{http_code} %{size_download}' -H 'Host: shop.example.test' http://$VIP/)" "200 0"
is "two requests on one connection" \
    "$(in_client curl -s -m 5 -o /dev/null -o /dev/null -w '%{http_code} %{num_connects} ' -H 'Host: shop.example.test' http://$VIP/ http://$VIP/)" \
    "200 1 200 0 "
is "conntrack(8)'s own words are spoken" \
    "$("$PODGLASS" get conntrack -o conntrack --socket "$SOCK" | grep -c "src=$ALICE dst=203.0.113.21 sport=23456 dport=80 .*dst=$ALICE sport=8080 dport=23456")" 1
check_balance
stop_podglass
done_testing
