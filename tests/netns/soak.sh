#!/bin/bash
# Everything at once for a minute, then silence: what was begun ends, pools empty, packets add up.
#
#   client: wrk, curl per request, resets, UDP, ping, DNS -- veth -- node: podglass on pg0 -- veth -- pod1, pod2
#
# PODGLASS_SOAK=SECONDS makes it longer (default 60, 20 on a build with sanitizers).
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need wrk dig ping
SOAK=${PODGLASS_SOAK:-$(slow 60 20)}
NGINX_KEEPALIVE=5s # so that pooled upstream connections end soon after the traffic
lab_up
udp_up
random_file bulk 4 >/dev/null
start_podglass

rss_kib() { awk '/VmRSS/ { print $2 }' "/proc/$PG_PID/status"; }
files_open() { find "/proc/$PG_PID/fd" -mindepth 1 | wc -l; }

# What is done again and again, each in a loop of its own.
KINDS=(close bulk port pod refused udp dns ping resets tables)
once() {
    local host=(-H 'Host: shop.example.test') get=(curl -sf -m 10 -o /dev/null)
    case $1 in
    close) in_client "${get[@]}" "${host[@]}" -H 'Connection: close' "http://$VIP/quiet" ;;
    bulk) in_client "${get[@]}" "${host[@]}" "http://$VIP/files/bulk" ;;
    port) in_client "${get[@]}" http://192.0.2.12:30080/quiet ;;
    pod) in_pod1 "${get[@]}" http://10.96.12.40/quiet ;;
    refused) ! in_client "${get[@]}" http://203.0.113.24/ ;;
    udp) in_client "$PYTHON" "$NETNS/peer.py" udp-ask "$ALICE" 203.0.113.22 5353 soak | grep -q web- ;;
    dns) in_pod1 dig +time=3 +tries=1 @10.96.0.10 web.shop.svc.cluster.local A +short | grep -q 10.96.12.40 ;;
    ping) in_client ping -n -c 5 -i 0.2 -W 3 "$WEB1" ;;
    resets) in_client "$PYTHON" "$NETNS/peer.py" resets 10 "$VIP" 80 shop.example.test ;;
    tables) get conntrack && get nat && get connections && get counters ;;
    esac
}
END=$(($(date +%s) + SOAK))
again_and_again() {
    local failed=0 n=0
    while [ "$(date +%s)" -lt "$END" ]; do
        n=$((n + 1))
        once "$1" >/dev/null 2>&1 || failed=$((failed + 1))
        sleep 0.02
    done
    echo "$n $failed" >"$WORK/each-$1"
}

WORKERS=()
for name in "${KINDS[@]}"; do
    again_and_again "$name" &
    WORKERS+=("$!")
done
PIDS+=("${WORKERS[@]}")
spawn "$CLIENT" wrk wrk -t1 -c64 -d"${SOAK}s" --timeout 8s -H 'Host: shop.example.test' "http://$VIP/quiet"
WRK_PID=$SPAWNED
spawn "$CLIENT" wrk-local wrk -t1 -c16 -d"${SOAK}s" --timeout 8s "http://203.0.113.21/quiet"
WRK_LOCAL_PID=$SPAWNED
sleep $((SOAK / 3))
rss_early=$(rss_kib) files_early=$(files_open)
kill -HUP "$PG_PID"
sleep $((SOAK / 3))
kill -HUP "$PG_PID"
wait "$WRK_PID" || true
wait "$WRK_LOCAL_PID" || true
rss_late=$(rss_kib) files_late=$(files_open)
for pid in "${WORKERS[@]}"; do wait "$pid" || true; done
get counters >"$WORK/busy.json"

is "wrk by the ingress: errors in $(wrk_requests "$WORK/wrk.log") requests" "$(wrk_errors "$WORK/wrk.log")" 0
is "wrk by a balancer: errors in $(wrk_requests "$WORK/wrk-local.log") requests" "$(wrk_errors "$WORK/wrk-local.log")" 0
for name in "${KINDS[@]}"; do
    read -r n failed <"$WORK/each-$name" || n=0 failed=all
    is "$name: failures in $n" "$failed" 0
done
runs "podglass lives" alive "$PG_PID"
if [ "$SLOW" -eq 1 ]; then
    ok "resident memory from $rss_early to $rss_late KiB (no limit on a build with sanitizers)"
else
    at_most "resident memory grew in the last two thirds, KiB (from $rss_early)" $((rss_late - rss_early)) 65536
fi
at_most "open files, from $files_early" "$files_late" $((files_early + 8))
is "two reloads" "$(grep -c 'loaded again' "$PG_LOG")" 2

# ---- silence

flows_busy=$(jq .pools.flows.used "$WORK/busy.json")
wait_pool 20 sessions 0
wait_pool 20 connections 0
sleep "${PODGLASS_SOAK_IDLE:-$(slow 12 12)}"
get counters >"$WORK/idle.json"
for name in sessions idleUpstreams connections unreadBytes heldPackets; do
    is "idle: $name" "$(jq --arg n "$name" '.pools[$n].used' "$WORK/idle.json")" 0
done
is "idle: rows of get connections" "$(get connections | jq '.items | length')" 0
flows_idle=$(jq .pools.flows.used "$WORK/idle.json")
at_most "idle: flows go down, from $flows_busy" "$flows_idle" $((flows_busy - 1))
states=$(get conntrack | jq -r '[.items[] | .state // .proto] | group_by(.) | map("\(.[0])=\(length)") | join(" ")')
is "idle: flows that are still open ($states)" \
    "$(get conntrack | jq '[.items[] | select(.state == "ESTABLISHED" or .state == "SYN_SENT" or .state == "SYN_RECV" or .state == "CLOSE")] | length')" 0
is "nothing was lost inside" \
    "$(jq -r '[.drops | to_entries[] | select(.value > 0) | select(.key | test("^(no-buffer|link-|table-full|insert-failed|connection-limit|bad-|short)")) | "\(.key)=\(.value)"] | join(" ")' "$WORK/idle.json")" ""
echo "# drops: $(jq -r '[.drops | to_entries[] | select(.value > 0) | "\(.key)=\(.value)"] | join(" ")' "$WORK/idle.json")"
echo "# counters: $(jq -r '[.counters | to_entries[] | select(.value > 0) | "\(.key)=\(.value)"] | join(" ")' "$WORK/idle.json")"
check_balance
is "idle: nothing moves" "$(get counters | jq .counters.tx_packets)" "$(jq .counters.tx_packets "$WORK/idle.json")"
stop_podglass
done_testing
