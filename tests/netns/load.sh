#!/bin/bash
# Many connections at once: nothing fails, and every table of podglass agrees with the others and with ss at both ends.
#
#   client: wrk, 64 connections, and 200 more that stay open -- veth -- node: podglass on pg0 -- veth -- pod1, pod2: nginx
#
# Then manifests change under load, and a pod dies under load.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need wrk
lab_up
start_podglass

URL=http://$VIP/quiet

# wrk_start NAME SECONDS CONNECTIONS, then wrk_wait
wrk_start() {
    WRK_LOG=$WORK/$1.log
    spawn "$CLIENT" "$1" wrk -t1 -c"$3" -d"$2s" --timeout 8s -H 'Host: shop.example.test' "$URL"
    WRK_PID=$SPAWNED
}
wrk_wait() { wait "$WRK_PID" || true; }
wrk_end() { # it then says what it has counted
    kill -INT "$WRK_PID"
    wrk_wait
}

# Our clients' sockets to the VIP, and the pods' sockets to the ingress pod, as "address:port" lines.
client_sockets() { in_client ss -tnH state established "dst $VIP" | awk '{print $3}' | sort; }
pod_sockets() {
    in_pod1 ss -tnH state established 'dst 10.244.1.2' | awk '{print $3, $4}'
    in_pod2 ss -tnH state established 'dst 10.244.1.2' | awk '{print $3, $4}'
}
count() { grep -c . <<<"$1" || true; }
missing_in() { comm -23 <(sort -u <<<"$1") <(sort -u <<<"$2"); } # lines of the first that the second lacks
none_missing() {                                                 # none_missing WHAT LINES WHERE
    local missing
    missing=$(missing_in "$2" "$3")
    if [ -z "$missing" ]; then
        ok "$1: $(count "$2") of $(count "$2")"
    else
        not_ok "$1" "missing $(count "$missing") of $(count "$2"):" "$(head -n 5 <<<"$missing")"
    fi
}

# ---- 200 connections that stay: nothing moves, so everything must be equal

settled() { # everybody has the same number of upstream connections
    local pools
    pools=$(get counters | jq -c .pools)
    [ "$(jq '.connections.used - .sessions.used' <<<"$pools")" = "$(count "$(pod_sockets)")" ]
}

hold 200 "$URL" shop.example.test $ALICE
is "200 connections, each answered" "$(held | jq -r .status | sort | uniq -c | awk '{print $1, $2}')" "200 200"
for ((n = 0; n < 50; n++)); do
    ! settled || break
    sleep 0.1
done
get connections >"$WORK/connections.json"
get conntrack >"$WORK/conntrack.json"
get nat >"$WORK/nat.json"
get counters >"$WORK/counters.json"
sockets=$(client_sockets)
upstream=$(pod_sockets)
rows=$(jq -r '.items[].client.source | "\(.address):\(.port)"' "$WORK/connections.json")
is "client sockets in ss" "$(count "$sockets")" 200
is "rows of get connections" "$(count "$rows")" 200
is "sessions in use" "$(jq .pools.sessions.used "$WORK/counters.json")" 200
none_missing "each client socket has its row" "$sockets" "$rows"
none_missing "each row has its client socket" "$rows" "$sockets"
none_missing "each row's flow is in conntrack, established" \
    "$(jq -r '.items[].conntrackClient' "$WORK/connections.json")" \
    "$(jq -r '.items[] | select(.state == "ESTABLISHED") | .id' "$WORK/conntrack.json")"
is "TCP connections of podglass = client's sockets + pods' sockets" \
    "$(jq .pools.connections.used "$WORK/counters.json")" $((200 + $(count "$upstream")))
none_missing "each pod socket has its flow in conntrack" "$upstream" \
    "$(jq -r '.items[] | select(.state == "ESTABLISHED") | "\(.reply.src):\(.reply.srcPort) \(.reply.dst):\(.reply.dstPort)"' "$WORK/conntrack.json")"
for address in $VIP 10.96.12.40; do
    is "active uses of $address in get nat = its flows in conntrack" \
        "$(jq --arg a "$address" '[.items[] | select(.kind == "dnat" and .before.address == $a) | .activeFlows] | add' "$WORK/nat.json")" \
        "$(jq --arg a "$address" '[.items[] | select(.original.dst == $a)] | length' "$WORK/conntrack.json")"
done
is "flows in the table = rows of get conntrack" "$(jq .pools.flows.used "$WORK/counters.json")" "$(jq '.items | length' "$WORK/conntrack.json")"
check_balance

# ---- wrk beside them: what is compared may move, so the kernel is asked before and after

# shellcheck disable=SC2317 # wait_for calls it
all_are_connected() { [ "$(count "$(client_sockets)")" = 264 ]; }
wrk_start wrk 60 64
wait_for 10 all_are_connected || true
for n in 1 2 3; do
    before=$(pod_sockets)
    get connections >"$WORK/connections.json"
    after=$(pod_sockets)
    get conntrack >"$WORK/conntrack.json"
    sockets=$(client_sockets)
    is "under load $n: client sockets in ss" "$(count "$sockets")" 264
    none_missing "under load $n: each client socket has its row" "$sockets" \
        "$(jq -r '.items[].client.source | "\(.address):\(.port)"' "$WORK/connections.json")"
    upstream=$(jq -r '.items[] | select(.upstream.seen) | .upstream | "\(.endpoint.address):\(.endpoint.port) \(.seen.address):\(.seen.port)"' "$WORK/connections.json")
    none_missing "under load $n: each upstream leg is a socket of its pod" "$upstream" "$before"$'\n'"$after"
    none_missing "under load $n: each leg's flow is in conntrack" \
        "$(jq -r '.items[] | .conntrackClient, .conntrackUpstream | select(. != null)' "$WORK/connections.json")" \
        "$(jq -r '.items[].id' "$WORK/conntrack.json")"
    sleep 1
done
wrk_end
is "wrk, 64 connections: errors in $(wrk_requests "$WRK_LOG") requests" "$(wrk_errors "$WRK_LOG")" 0
at_least "wrk: requests" "$(wrk_requests "$WRK_LOG")" 1000
hold_again || true
is "the 200 connections still answer" "$(held | tail -n 200 | jq -r .status | sort | uniq -c | awk '{print $1, $2}')" "200 200"
hold_end
check_balance

# ---- manifests change under load

wrk_start wrk-reload "$(slow 4 4)" 32
sleep 1
{
    lab_manifest Cluster
    manifest_service shop added ClusterIP 10.96.12.99 "app: web" "{port: 80, targetPort: 8080}"
} >"$WORK/lab.yaml"
reload
sleep 0.5
ask "$POD1" http://10.96.12.99/
is "a service added under load answers" "$STATUS" 200
reload
wrk_wait
is "two reloads under load: errors in $(wrk_requests "$WRK_LOG") requests" "$(wrk_errors "$WRK_LOG")" 0
is "get services has the new one" "$(get services | jq -r '.items[] | select(.name == "added") | .clusterIPs[0]')" 10.96.12.99

# ---- a pod dies under load

statuses() { # statuses COUNT: of that many requests, each on a connection of its own
    local n
    for ((n = 0; n < $1; n++)); do
        in_client curl -s -m 8 -o /dev/null -w '%{http_code}\n' -H 'Host: shop.example.test' "$URL"
    done | sort | uniq -c | awk '{printf "%s%s x %s", s, $2, $1; s = ", "}'
}
wrk_start wrk-kill 4 32
sleep 1
# shellcheck disable=SC2154 # set by nginx_up
kill -TERM "$NGINX_web_1"
has "a pod is dead: what clients see" "$(statuses 20)" '^(200 x [0-9]+)?(, )?(502 x [0-9]+)?$'
wrk_wait
is "a pod died: wrk's broken connections" "$(awk '/Socket errors/ { gsub(",", ""); n = $4 + $6 + $8 + $10 } END { print n + 0 }' "$WRK_LOG")" 0
echo "# wrk meanwhile: $(wrk_requests "$WRK_LOG") requests, $(wrk_errors "$WRK_LOG") of them 502"
WEB_LABELS_1="app: gone, instance: one" lab_manifest Cluster >"$WORK/lab.yaml"
reload
is "the dead pod is out of the service" "$(get endpoints | jq '.items[] | select(.name == "web") | .endpoints | length')" 1
is "later requests go to the other" "$(statuses 30)" "200 x 30"
wrk_start wrk-after 2 32
wrk_wait
is "and so does wrk: errors in $(wrk_requests "$WRK_LOG") requests" "$(wrk_errors "$WRK_LOG")" 0
runs "podglass lives" alive "$PG_PID"
check_balance
stop_podglass
done_testing
