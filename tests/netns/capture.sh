#!/bin/bash
# Captures of real traffic, read by tshark and tcpdump, compared with what the kernel saw on the wire.
#
#   client (alice, mallory) -- veth -- node: podglass on pg0 -- veth -- pod1 web-0, nginx
#                                                           \-- veth -- pod2 web-1, nginx
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need tshark tcpdump
lab_up
start_podglass

FILE=$WORK/podglass.pcapng
# capture [FLAG...]: in the background until capture_end
capture() {
    begin_reader "$PODGLASS" capture --socket "$SOCK" -w "$FILE" "$@" 2>"$WORK/capture.err"
    CAPTURE=$SPAWNED
}
capture_end() {
    sleep 0.3
    kill -INT "$CAPTURE" 2>/dev/null || true
    wait "$CAPTURE" 2>/dev/null || true
}
fields() { # fields DISPLAY-FILTER FIELD...
    local filter=$1 flags=() f
    shift
    for f in "$@"; do flags+=(-e "$f"); done
    tshark -r "$FILE" -Y "$filter" -T fields "${flags[@]}" 2>/dev/null
}

capture
ask "$CLIENT" http://$VIP/cart -H 'Host: shop.example.test'
ask "$CLIENT" http://203.0.113.21/ --interface $MALLORY
in_client ping -c 1 -W 1 10.96.0.99 >/dev/null 2>&1 || true
in_client curl -s -m 1 http://10.96.12.99/ >/dev/null 2>&1 || true
capture_end
has "it says how many" "$(cat "$WORK/capture.err")" '^[1-9][0-9]* packets written, 0 dropped'
is "tshark reads all of them" "$(fields '' frame.number | wc -l)" "$(awk '/packets written/ { print $1 }' "$WORK/capture.err")"
is "and finds nothing malformed" "$(fields '_ws.malformed || _ws.expert.severity == error' frame.number | wc -l)" 0
is "tcpdump reads all of them" "$(tcpdump -nr "$FILE" 2>/dev/null | wc -l)" "$(fields '' frame.number | wc -l)"
is "points of the path" "$(fields '' frame.interface_name | sort -u | tr '\n' ' ')" "client front pod service "

# ---- one request, four points

syn='tcp.flags.syn == 1 && tcp.flags.ack == 0'
is "the client's SYN, before and behind NAT" \
    "$(fields "$syn && (ip.dst == $VIP || frame.interface_name == \"front\")" frame.interface_name ip.dst | tr '\t\n' '  ')" \
    "client $VIP front 10.244.1.2 "
is "has one number" "$(fields "$syn && (ip.src == $ALICE && ip.dst == $VIP || frame.interface_name == \"front\")" frame.packet_id | sort -u | wc -l)" 1
has "says what changed" "$(fields 'frame.comment contains "PG101"' frame.comment)" "dst $VIP:80 => 10.244.1.2:8000, src $ALICE:[0-9]+ => "
has "and why" "$(fields 'frame.comment contains "PG101"' frame.comment)" 'externalTrafficPolicy: Cluster .*lab.yaml:[0-9]+  PG101'
is "only what was changed for that reason" "$(fields 'frame.comment contains "PG101"' frame.interface_name | sort -u)" front
is "the upstream SYN goes to the service, then to the pod" \
    "$(fields "$syn && ip.src == 10.244.1.2" frame.interface_name ip.dst | sed 's/10.244.*/POD/' | tr '\t\n' '  ')" "service 10.96.12.40 pod POD "
is "directions are told" "$(fields "$syn && ip.dst == $VIP" frame.packet_flags_direction | sort -u)" "$(printf '%s' 0x00000001)"
has "a drop is there, with its name" "$(fields "ip.dst == 10.96.12.99" frame.comment)" 'dropped: '
has "and its code" "$(fields "ip.dst == 10.96.12.99" frame.comment)" 'why: .*  PG12[0-9]'
is "the hop is in the MAC address" "$(fields "$syn && ip.dst == $VIP" eth.src eth.dst | sort -u | tr '\t' ' ')" "02:70:67:00:00:01 02:70:67:00:00:02"
has "names come along" "$(tshark -N n -r "$FILE" 2>/dev/null)" ' pod/gateway-0\.edge . web\.shop\.svc '
is "the payload is what was sent" "$(fields "http.request && ip.dst == $VIP" http.request.uri)" "/cart?ask=1"
has "X-Forwarded-For is in the pod's request only" "$(fields 'http.x_forwarded_for' frame.interface_name | sort -u | tr '\n' ' ')" '^pod service $'

# ---- the same packets as the kernel has

in_pod1_file=$WORK/kernel.pcap
ip netns exec "$CLIENT" tcpdump -U --immediate-mode -i eth0 -w "$in_pod1_file" tcp port 80 2>"$WORK/tcpdump.err" &
PIDS+=($!)
DUMP=$!
wait_for 10 grep -q 'listening on' "$WORK/tcpdump.err"
capture "host $ALICE"
ask "$CLIENT" http://$VIP/kernel -H 'Host: shop.example.test'
# sequence numbers of SYNs and FINs, which no offload merges
ends='tcp.flags.syn == 1 || tcp.flags.fin == 1'
# shellcheck disable=SC2317 # wait_for calls it
kernel_has_both_ends() { [ "$(tshark -r "$in_pod1_file" -Y "$ends" -T fields -e tcp.seq_raw 2>/dev/null | wc -l)" -ge 4 ]; }
wait_for 10 kernel_has_both_ends || true
capture_end
kill -INT "$DUMP"
wait "$DUMP" 2>/dev/null || true
is "packets of the client's side are those of its interface" \
    "$(fields "($ends) && frame.interface_name == \"client\"" tcp.seq_raw | sort)" \
    "$(tshark -r "$in_pod1_file" -Y "$ends" -T fields -e tcp.seq_raw 2>/dev/null | sort)"
is "a filter keeps others out" "$(fields "!(ip.addr == $ALICE) && frame.interface_name == \"client\"" frame.number | wc -l)" 0

# ---- how it ends

capture -c 5
ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test'
wait_for 5 not alive "$CAPTURE" || true
is "-c ends it" "$(fields '' frame.number | wc -l)" 5
capture -s 40
ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test'
capture_end
is "-s cuts" "$(fields '' frame.cap_len | sort -un | tail -n 1)" 40
# The next file, by size and by time; every one can be read alone.
ring=$WORK/ring.pcapng
begin_reader "$PODGLASS" capture --socket "$SOCK" -w "$ring" -C 1 -W 2 2>/dev/null
CAPTURE=$SPAWNED
in_client curl -s -m 60 -o /dev/null -H 'Host: shop.example.test' "http://$VIP/[1-400]"
capture_end
is "-C and -W: two files in turn" "$(cd "$WORK" && echo ring.pcapng*)" "ring.pcapng0 ring.pcapng1"
for FILE in "$ring"0 "$ring"1; do
    has "$(basename "$FILE") has packets of its own" "$(fields '' frame.number | wc -l)" '^[1-9]'
    is "which have their interfaces" "$(fields 'frame.interface_name' frame.interface_name | sort -u | tr '\n' ' ')" "client front pod service "
    has "and their names" "$(tshark -N n -r "$FILE" 2>/dev/null)" ' pod/gateway-0'
    has "and are not much more than the size" "$(stat -c %s "$FILE")" '^1?[0-9]{1,6}$'
done
begin_reader "$PODGLASS" capture --socket "$SOCK" -w "$WORK/at-%s.pcapng" -G 1 -W 2 2>/dev/null
CAPTURE=$SPAWNED
for _ in 1 2 3 4 5 6 7; do
    in_client curl -s -m 5 -o /dev/null -H 'Host: shop.example.test' "http://$VIP/"
    sleep 0.5
done
wait_for 5 not alive "$CAPTURE" || true
is "-G and -W: the end after two" "$(find "$WORK" -name 'at-1*.pcapng' | wc -l)" 2
FILE=$WORK/podglass.pcapng
# shellcheck disable=SC2317 # begin_reader calls it
piped() { timeout 20 "$PODGLASS" capture --socket "$SOCK" -c 4 2>/dev/null | tshark -r - 2>/dev/null | wc -l >"$WORK/piped"; }
begin_reader piped
PIPED=$SPAWNED
ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test'
wait "$PIPED" # the last of the pipeline, which ends when all of it has
is "to a pipe" "$(cat "$WORK/piped")" 4
is "a program that is none is refused" "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$SOCK" 'http://podglass/v1/capture?filter=0015000000000000')" 400

# A reader that stands still: packets are lost and counted, requests are not held up.
begin_reader curl -sN -m 4 --limit-rate 1000 --unix-socket "$SOCK" http://podglass/v1/capture >/dev/null
in_client curl -s -m 60 -o /dev/null -H 'Host: shop.example.test' "http://$VIP/[1-$(slow 200 50)]"
ok "requests go on beside a capture that nobody reads"
for _ in 1 2 3 4 5; do
    curl -s -m 2 -o /dev/null -w '%{http_code}\n' --unix-socket "$SOCK" http://podglass/v1/capture >>"$WORK/codes" &
    PIDS+=($!)
done
has "four capture at once, no more" "$(wait_for 10 grep 503 "$WORK/codes"; cat "$WORK/codes" 2>/dev/null)" '^503$'
check_balance
stop_podglass
done_testing
