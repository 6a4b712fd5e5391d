#!/bin/bash
# Large bodies in both directions, whole and unchanged, however the kernel hands segments over; and a slow reader costs no memory.
#
#   client: curl -- veth -- node: podglass on pg0 -- veth -- pod1, pod2: nginx (downloads), a small server (uploads)
#
# Segmentation offload on the veths gives podglass segments of 64 KiB with partial checksums; off, small ones with full
# checksums; --no-offload takes it from the TUN.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need ethtool sha256sum nft
lab_up
sinks_up
MIB=$(slow 100 100)
SUM=$(random_file bulk "$MIB")
start_podglass

megabits() { awk -v b="$1" -v s="$2" 'BEGIN { printf "%d Mbit/s", b * 8 / s / 1e6 }'; }

uploaded() { head -n 1 <<<"$1" | jq -r '"\(.bytes) \(.sha256)"' 2>/dev/null || head -n 1 <<<"$1"; }

transfers() { # transfers WHAT [FILE SUM MIB]
    local out sum status bytes seconds file=${2:-bulk} expected
    expected="200 $((${4:-$MIB} * 1048576)) ${3:-$SUM}"
    out=$(in_client curl -s -m 60 -o "$WORK/got" -w '%{http_code} %{size_download} %{time_total}' \
        -H 'Host: shop.example.test' "http://$VIP/files/$file" || true)
    sum=$(sha256sum <"$WORK/got" | cut -d' ' -f1)
    rm -f "$WORK/got"
    read -r status bytes seconds <<<"$out"
    is "$1: download, $(megabits "$bytes" "$seconds")" "$status $bytes $sum" "$expected"

    out=$(in_client curl -s -m 60 -T "$WORK/files/$file" -w '\n%{http_code} %{size_upload} %{time_total}' \
        -H 'Host: shop.example.test' "http://$VIP/upload" || true)
    read -r status bytes seconds <<<"$(tail -n 1 <<<"$out")"
    is "$1: upload, $(megabits "$bytes" "$seconds")" "$status $(uploaded "$out")" "$expected"

    # A body of unknown length: its chunks are read and written anew, and segments end anywhere in their lines.
    out=$(in_client curl -s -m 60 -T - -w '\n%{http_code} %{size_upload} %{time_total}' \
        -H 'Host: shop.example.test' "http://$VIP/upload" <"$WORK/files/$file" || true)
    read -r status bytes seconds <<<"$(tail -n 1 <<<"$out")"
    is "$1: chunked upload, $(megabits "$bytes" "$seconds")" "$status $(uploaded "$out")" "$expected"
}

transfers "offloads on"
has "podglass says which offloads it has" "$(cat "$PG_LOG")" 'offloads: .*tso4'

# Without the ingress: NAT only, in both directions, with masquerade.
sum=$(in_client curl -s -m 60 http://203.0.113.20/files/bulk | sha256sum | cut -d' ' -f1)
is "download by a balancer without ingress" "$sum" "$SUM"

# Four at once share the buffers.
for n in 1 2 3 4; do
    spawn "$CLIENT" curl curl -s -m 60 -o "$WORK/got$n" -H 'Host: shop.example.test' "http://$VIP/files/bulk"
    CURLS[n]=$SPAWNED
done
for n in 1 2 3 4; do wait "${CURLS[n]}" || true; done
is "four downloads at once" "$(sha256sum "$WORK"/got[1-4] | cut -d' ' -f1 | sort | uniq -c | awk '{print $1, $2}')" "4 $SUM"
rm -f "$WORK"/got*

# ---- slow readers

rss_kib() { awk '/VmRSS/ { print $2 }' "/proc/$PG_PID/status"; }
before=$(rss_kib)
for n in 1 2 3 4 5 6 7 8; do
    spawn "$CLIENT" curl curl -s -m 5 --limit-rate 200k -o /dev/null -H 'Host: shop.example.test' "http://$VIP/files/bulk"
    CURLS[n]=$SPAWNED
done
sleep 3
grown=$(($(rss_kib) - before))
held_bytes=$(pool unreadBytes)
for n in 1 2 3 4 5 6 7 8; do wait "${CURLS[n]}" || true; done
if [ "$SLOW" -eq 1 ]; then
    ok "eight slow readers: resident memory grew by $grown KiB (no limit on a build with sanitizers)"
else
    at_most "eight slow readers of $MIB MiB each: resident memory grew by KiB" "$grown" 102400
fi
at_most "eight slow readers: bytes received and not passed on" "$held_bytes" $((64 * 1048576))
wait_pool 10 sessions 0
is "slow readers gone: sessions" "$(pool sessions)" 0
is "slow readers gone: bytes held" "$(pool unreadBytes)" 0

# ---- no offload at the ends: every segment small, every checksum complete

for space in "$CLIENT" "$POD1" "$POD2"; do
    ip netns exec "$space" ethtool -K eth0 tx off tso off gso off >/dev/null
done
transfers "veths without tx offload"
for space in "$CLIENT" "$POD1" "$POD2"; do
    ip netns exec "$space" ethtool -K eth0 tx on tso on gso on >/dev/null
done
is "no packet had a wrong checksum" "$(dropped bad-l4-checksum) $(dropped bad-ip-checksum) $(dropped bad-gso)" "0 0 0"
check_balance
stop_podglass

# ---- no offload on the TUN

PG_FLAGS=(--no-offload)
start_podglass
transfers "--no-offload"
is "no packet had a wrong checksum" "$(dropped bad-l4-checksum) $(dropped bad-ip-checksum) $(dropped bad-gso)" "0 0 0"
check_balance
stop_podglass

# ---- a wire that loses one packet in a hundred, in both directions, large ones as a whole

PG_FLAGS=()
start_podglass
part_sum=$(random_file part 20)
if in_node nft -f - <<<'table inet lab { chain lossy { type filter hook forward priority 0; numgen random mod 100 < 1 counter drop; }; }'; then
    transfers "one packet in a hundred is lost" part "$part_sum" 20
    for space in "$CLIENT" "$POD1" "$POD2"; do
        ip netns exec "$space" ethtool -K eth0 tx off tso off gso off >/dev/null
    done
    transfers "the same with small segments from the ends" part "$part_sum" 20
    at_least "packets that were lost" "$(in_node nft -j list ruleset | jq '[.. | .counter? // empty | .packets? // empty] | add')" 1
    at_least "get counters knows of retransmissions" "$(counter tcp_retransmits)" 1
else
    ok "loss # SKIP nftables can not draw random numbers here"
fi
check_balance
stop_podglass
done_testing
