#!/bin/bash
# Conntrack in the words of conntrack(8): lists, events while they happen, statistics; and settings by the kernel's names.
#
#   client (alice) -- veth -- node: podglass on pg0 -- veth -- pod1 web-0, pod2 web-1: nginx
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

lab_up
PG_FLAGS+=(--sysctl net.netfilter.nf_conntrack_tcp_timeout_time_wait=3 --sysctl nf_conntrack_udp_timeout=5)
start_podglass

podglass() { timeout 60 "$PODGLASS" "$@" --socket "$SOCK"; }
tuple='src=[0-9.]+ dst=[0-9.]+ sport=[0-9]+ dport=[0-9]+'
counters='packets=[0-9]+ bytes=[0-9]+'

# ---- events

"$PODGLASS" get conntrack -w -o conntrack --socket "$SOCK" >"$WORK/events" 2>"$WORK/events.err" &
WATCHER=$!
PIDS+=("$WATCHER")
sleep 0.3
in_client curl -s -m 5 -o /dev/null http://203.0.113.21/
# shellcheck disable=SC2317 # wait_for calls it
has_event() { grep -qE "$1" "$WORK/events"; }
wait_for 10 has_event '\[DESTROY\] .* dst=203.0.113.21 ' || true
kill -INT "$WATCHER"
wait "$WATCHER" || true
events=$(cat "$WORK/events")
has "a flow that begins" "$events" "^\[[0-9]{10}\.[0-9]{6}\]	    \[NEW\] tcp      6 120 SYN_SENT src=$ALICE dst=203.0.113.21 sport=[0-9]+ dport=80 \[UNREPLIED\] $tuple\$"
has "is answered" "$events" "^\[[0-9.]+\]	 \[UPDATE\] tcp      6 60 SYN_RECV $tuple $tuple\$"
has "is established" "$events" "^\[[0-9.]+\]	 \[UPDATE\] tcp      6 86400 ESTABLISHED $tuple $tuple \[ASSURED\]\$"
has "ends, by the time that was set" "$events" "^\[[0-9.]+\]	 \[UPDATE\] tcp      6 3 TIME_WAIT $tuple $tuple \[ASSURED\]\$"
has "and is gone, with what it counted" "$events" "^\[[0-9.]+\]	\[DESTROY\] tcp      6 TIME_WAIT $tuple $counters $tuple $counters \[ASSURED\]\$"
is "no line is anything else" "$(grep -cvE "^\[[0-9.]+\]	( *\[(NEW|UPDATE|DESTROY)\]) (tcp      6|udp      17|icmp     1) " "$WORK/events" || true)" 0

# ---- lists

in_client bash -c 'echo x >/dev/udp/203.0.113.22/5353'
has "a list" "$(podglass get conntrack -o conntrack 2>/dev/null)" "^udp      17 [0-5] src=$ALICE .* mark=0 use=1\$"
has "extended" "$(podglass get conntrack -o extended 2>/dev/null)" "^ipv4     2 udp      17 [0-5] src=$ALICE .* mark=0 use=1\$"
has "with numbers" "$(podglass get conntrack -o id 2>/dev/null)" "^udp      17 [0-5] src=$ALICE .* mark=0 use=1 id=[0-9]+\$"

# ---- statistics

has "statistics" "$(podglass get counters -o conntrack)" \
    '^cpu=0   	found=[0-9]+ invalid=[0-9]+ insert=[0-9]+ insert_failed=0 drop=0 early_drop=0 error=[0-9]+ search_restart=0 clash_resolve=[0-9]+ chaintoolong=0 $'

# ---- what is refused

has "events of one flow only" "$(podglass get conntrack 5 -w -o conntrack 2>&1)" 'all flows'
has "lines of something else" "$(podglass get services -o id 2>&1)" 'for conntrack only'
has "a setting that is none" "$("$PODGLASS" run --sysctl nf_conntrack_nothing=1 --tun none0 -f "$WORK/lab.yaml" 2>&1)" 'no such setting: nf_conntrack_nothing'
has "a value that is none" "$("$PODGLASS" run --sysctl nf_conntrack_max=0 --tun none0 -f "$WORK/lab.yaml" 2>&1)" 'no such value: nf_conntrack_max=0'
has "a setting without a value" "$("$PODGLASS" run --sysctl nf_conntrack_max --tun none0 -f "$WORK/lab.yaml" 2>&1)" 'NAME=VALUE'
done_testing
