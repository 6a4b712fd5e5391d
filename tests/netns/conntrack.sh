#!/bin/bash
# Conntrack in the words of conntrack(8): lists, events while they happen, statistics; and settings by the kernel's names.
#
#   client (alice) -- veth -- node: podglass on pg0 -- veth -- pod1 web-0, pod2 web-1: nginx
#
# What the kernel can show is held against conntrack(8) itself: the node tracks the same packets.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need conntrack nft
lab_up
PG_FLAGS+=(--sysctl net.netfilter.nf_conntrack_tcp_timeout_time_wait=3 --sysctl nf_conntrack_udp_timeout=5)
start_podglass

podglass() { timeout 60 "$PODGLASS" "$@" --socket "$SOCK"; }
tuple='src=[0-9.]+ dst=[0-9.]+ sport=[0-9]+ dport=[0-9]+'
counters='packets=[0-9]+ bytes=[0-9]+'

# ---- events

begin_reader "$PODGLASS" get conntrack -w -o conntrack --socket "$SOCK" >"$WORK/events" 2>"$WORK/events.err"
WATCHER=$SPAWNED
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

# ---- the kernel's own table beside it
#
# The node routes what alice and pod1 send to podglass and tracks it on the way (what podglass sends it does not), so without a service in between both tables must
# say the same, but for the second in which they are asked and the kernel's numbers.

in_node sysctl -qw net.netfilter.nf_conntrack_acct=1 net.netfilter.nf_conntrack_tcp_timeout_established=86400 \
    net.netfilter.nf_conntrack_tcp_timeout_close_wait=3600 net.netfilter.nf_conntrack_tcp_timeout_time_wait=3 net.netfilter.nf_conntrack_udp_timeout=5
in_node nft -f - <<'END'
table ip beside {
    chain ours { type filter hook prerouting priority raw; iifname "pg0" notrack; }
    chain watch { type filter hook forward priority 0; ct state new counter; }
}
END
of_pair() { grep -E "src=$ALICE dst=$WEB0 |<src>$ALICE</src><dst>$WEB0</dst>" || true; }
# Seconds behind each line, where they can be compared apart: the kernel's are of its ticks.
seconds_last() { sed -E 's/^([^=]*[a-z]+ +[0-9]+) ([0-9]+) (.*)$/\1 \3@\2/; s|<timeout>([0-9]+)</timeout>(.*)$|\2@\1|; s|<id>[0-9]+</id>||'; }
same_lists() { # same_lists WHAT THINGS KERNEL PODGLASS: both with their seconds last
    local kernel=$WORK/list.kernel ours=$WORK/list.podglass
    echo "$3" >"$kernel"
    echo "$4" >"$ours"
    if ! diff <(sed 's/@.*//' "$kernel") <(sed 's/@.*//' "$ours") >"$WORK/list.diff"; then
        not_ok "$1" "$(cat "$WORK/list.diff")"
    elif paste -d@ <(sed 's/.*@//' "$kernel") <(sed 's/.*@//' "$ours") | awk -F@ '$1 > $2 + 1 || $2 > $1 + 1 { exit 1 }'; then
        ok "$1: $(wc -l <"$kernel") $2"
    else
        not_ok "$1: seconds left" "$(paste "$kernel" "$ours")"
    fi
}
compare_lists() { # compare_lists WHEN
    same_lists "conntrack -L, $1" flows "$(in_node conntrack -L 2>/dev/null | of_pair | seconds_last | sort)" \
        "$(podglass get conntrack -o conntrack 2>/dev/null | of_pair | seconds_last | sort)"
    same_lists "conntrack -L -o xml, $1" flows "$(in_node conntrack -L -o xml 2>/dev/null | of_pair | seconds_last | sort)" \
        "$(podglass get conntrack -o xml 2>/dev/null | of_pair | seconds_last | sort)"
}

spawn "$NODE" kernel-events conntrack -E -o timestamp
KERNEL_WATCHER=$SPAWNED
spawn "$NODE" our-events "$PODGLASS" get conntrack -w -o conntrack --socket "$SOCK"
WATCHER=$SPAWNED
# shellcheck disable=SC2317 # wait_for calls it
both_tell() { grep -q "$1" "$WORK/kernel-events.log" && grep -q "$1" "$WORK/our-events.log"; }
# shellcheck disable=SC2317 # wait_for calls it
both_watch() {
    in_client bash -c "echo x >/dev/udp/$WEB1/5399" # not of the pair
    both_tell "dst=$WEB1 "
}
wait_for 10 both_watch || not_ok "both watch"
# Other transports, and questions of ICMP: the pod answers what it knows.
cat >"$WORK/raw.py" <<'END'
import socket, struct, sys, time
def raw(proto, data):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, proto) as s:
        s.bind((sys.argv[1], 0))
        s.sendto(data, (sys.argv[2], 0))
    time.sleep(0.1)
def icmp(kind, rest):
    message = struct.pack("!BBHHH", kind, 0, 0, 4711, 1) + rest
    total = sum(struct.unpack("!%dH" % (len(message) // 2), message))
    total = (total >> 16) + (total & 0xffff)
    total = ~(total + (total >> 16)) & 0xffff
    raw(1, message[:2] + struct.pack("!H", total) + message[4:])
for proto in (50, 47, 4, 89):
    raw(proto, b"\0\0\x08\0podglass")
icmp(8, b"podglass")
icmp(13, bytes(12))
icmp(15, b"")
icmp(17, bytes(4))
END
in_client "$PYTHON" "$WORK/raw.py" $ALICE $WEB0
in_client bash -c "echo x >/dev/udp/$WEB0/5399"
# an open connection, a moment for both to look at it, and its end
in_client bash -c "exec 5<>/dev/tcp/$WEB0/8080; touch '$WORK/open'; while [ ! -e '$WORK/close' ]; do sleep 0.05; done; exec 5>&-" &
PIDS+=("$!")
wait_for 5 test -e "$WORK/open"
sleep 0.2
compare_lists "everything open"
has "other transports" "$(podglass get conntrack -o conntrack 2>/dev/null)" "^unknown  50 [0-9]+ src=$ALICE dst=$WEB0 "
touch "$WORK/close"
wait_for 10 both_tell "TIME_WAIT src=$ALICE dst=$WEB0 " || true
compare_lists "the connection at its end"
kill -TERM "$WATCHER" "$KERNEL_WATCHER"
# What happened to each flow; between two flows the order of the processors is not the same for both.
lines_of() {
    of_pair <"$1" | grep -v DESTROY | sed -E 's/^\[[0-9.]+\]//' |
        awk 'match($0, /src=[^ ]+ dst=[^ ]+( sport=[0-9]+ dport=[0-9]+| type=[0-9]+ code=[0-9]+ id=[0-9]+)?/) { print substr($0, RSTART, RLENGTH) "@" $0 }' |
        sort -s -t@ -k1,1 | cut -d@ -f2-
}
same_lists "conntrack -E" events "$(lines_of "$WORK/kernel-events.log" | seconds_last)" "$(lines_of "$WORK/our-events.log" | seconds_last)"
# shellcheck disable=SC2317 # wait_for calls it
counts_all() { [ "$(podglass get conntrack -o count)" = "$(podglass get conntrack -o conntrack 2>/dev/null | wc -l)" ]; }
runs "conntrack -C" wait_for 10 counts_all # a flow may end between the two

# ---- what is refused


has "events of one flow only" "$(podglass get conntrack 5 -w -o conntrack 2>&1)" 'all flows'
has "lines of something else" "$(podglass get services -o id 2>&1)" 'for conntrack only'
has "XML of what will come" "$(podglass get conntrack -w -o xml 2>&1)" 'without -w'
has "a count of one flow" "$(podglass get conntrack 5 -o count 2>&1)" 'counts all flows'
has "a setting that is none" "$("$PODGLASS" run --sysctl nf_conntrack_nothing=1 --tun none0 -f "$WORK/lab.yaml" 2>&1)" 'no such setting: nf_conntrack_nothing'
has "a value that is none" "$("$PODGLASS" run --sysctl nf_conntrack_max=0 --tun none0 -f "$WORK/lab.yaml" 2>&1)" 'no such value: nf_conntrack_max=0'
has "a setting without a value" "$("$PODGLASS" run --sysctl nf_conntrack_max --tun none0 -f "$WORK/lab.yaml" 2>&1)" 'NAME=VALUE'
done_testing
