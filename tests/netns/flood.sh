#!/bin/bash
# A flood of SYNs from addresses that nobody has, and clients who ask meanwhile: none is locked out.
#
#   client: flood from 198.18.0.0/15, 1000 a second, and curl -- veth -- node: podglass on pg0 -- veth -- pod1, pod2: nginx
#
# The flood and the clients use source ports 1 to 511, which are a class of their own: two nodes that masquerade have 1022 ports of it, gone after a second. A
# conntrack without a rule for it keeps each of them for a minute. docs/security.md has figures of larger floods.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

lab_up

# shellcheck disable=SC2317 # by wait_for
felt() { [ "$(counter "$WATCHED")" -gt 0 ]; }

# flood_and_ask WHAT PORT: a hundred clients, with source ports from there on, while the flood is on; sets SERVED, BEFORE and AFTER (of the counter in $WATCHED)
flood_and_ask() {
    local n
    SERVED=0
    spawn "$CLIENT" flood "$PYTHON" "$NETNS/peer.py" syns 200000 1000 $VIP 80
    FLOOD=$SPAWNED
    runs "$1: the flood is felt" wait_for 30 felt
    BEFORE=$(counter "$WATCHED")
    for n in $(seq 100); do
        # each from a port of its own, so that none has to wait for another's to be free again
        if in_client curl -sf -m 10 -o /dev/null --interface $ALICE --local-port "$((n + $2))" -H 'Host: shop.example.test' "http://$VIP/quiet"; then
            SERVED=$((SERVED + 1))
        fi
    done
    AFTER=$(counter "$WATCHED")
    runs "$1: it was on all the time" alive "$FLOOD"
    kill "$FLOOD"
    wait "$FLOOD" 2>/dev/null || true
}

# ---- ports

start_podglass
WATCHED=conntrack_port_taken_over
flood_and_ask "all ports" 100
is "all ports: clients served, of 100" "$SERVED" 100
at_least "all ports: flows of the flood gave way" "$((AFTER - BEFORE))" 100
at_most "all ports: flows" "$(pool flows)" $((1022 + 400))
stop_podglass

# ---- the table of flows

PG_FLAGS=(--flows 900)
start_podglass
WATCHED=conntrack_early_drop
flood_and_ask "a full table" 300
is "a full table: clients served, of 100" "$SERVED" 100
at_least "a full table: flows of the flood made room" "$((AFTER - BEFORE))" 100
is "a full table: flows at most" "$(get counters | jq .pools.flows.highWater)" 900
stop_podglass
done_testing
