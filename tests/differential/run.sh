#!/bin/bash
# The kernel and podglass get the same packets, and must do the same with them: tests/differential/run.sh [--seed N] [--steps N]
# 100,000 steps take some ten seconds. A million: --steps 1000000
#
#        outside (TUN)  192.0.2.11/24                    10.244.1.1/24  pods (TUN)
#   everybody ------------------- node1: kube-proxy.nft ------------------- p1, q
#
# The namespace is node1; what both TUNs send is read by the program differential, which has a path of podglass' own beside it. $DIFFERENTIAL is the program, $PODGLASS the
# command.
# Cannot run here (no root, no /dev/net/tun, no nft): exit 77, or 1 if PODGLASS_CI=1.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DIFFERENTIAL=$(realpath "${DIFFERENTIAL:-$HERE/../../build/release/tests/differential}")
PODGLASS=$(realpath "${PODGLASS:-$HERE/../../build/release/podglass}")
NODE=pgd$$

unable() {
    echo "1..0 # SKIP $*"
    [ "${PODGLASS_CI:-0}" != 1 ] || exit 1
    exit 77
}

[ "$(id -u)" -eq 0 ] || unable "not root"
[ -c /dev/net/tun ] || unable "no /dev/net/tun"
for tool in ip nft perl; do
    command -v "$tool" >/dev/null || unable "$tool is missing"
done
ip netns add "$NODE" 2>/dev/null || unable "no network namespaces"
WORK=$(mktemp -d /tmp/podglass-differential-XXXXXX)
PODGLASS_PID=
trap '[ -z "$PODGLASS_PID" ] || kill "$PODGLASS_PID" 2>/dev/null || true; ip netns del "$NODE"; rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM HUP

in_node() { ip netns exec "$NODE" "$@"; }

# The same in IPv6: an address is the IPv4 one behind 2001:db8::/96, as packet.c has it.
in_ipv6() {
    perl -pe 'next if /address6/; s{\b(\d+)\.(\d+)\.(\d+)\.(\d+)(?:/(\d+))?}{sprintf("2001:db8::%x:%x", $1 << 8 | $2, $3 << 8 | $4) . (defined $5 ? "/" . ($5 + 96) : "")}ge;
        s/table ip kube/table ip6 kube/; s/ipv4_addr/ipv6_addr/g; s/\bip ([sd]addr)/ip6 $1/g; s/dnat to (\S+):(\d+)$/dnat to [$1]:$2/; s/addressType: IPv4/addressType: IPv6/'
}

in_node sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 \
    net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
    net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0 \
    net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_ratemask=0 \
    net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0 net.ipv6.icmp.ratelimit=0 net.ipv6.icmp.ratemask=255 net.ipv6.auto_flowlabels=0
ip -n "$NODE" link set lo up
for tun in outside pods; do
    ip -n "$NODE" tuntap add dev "$tun" mode tun
    ip -n "$NODE" link set "$tun" addrgenmode none # no link-local address, so nothing is said to everybody
    ip -n "$NODE" link set "$tun" up txqueuelen 1000
done
ip -n "$NODE" addr add 192.0.2.11/24 dev outside
ip -n "$NODE" addr add 10.244.1.1/24 dev pods
ip -n "$NODE" route add default dev outside
ip -n "$NODE" addr add "$(in_ipv6 <<<192.0.2.11/24)" dev outside nodad
ip -n "$NODE" addr add "$(in_ipv6 <<<10.244.1.1/24)" dev pods nodad
ip -n "$NODE" -6 route add default dev outside
in_node nft -f "$HERE/kube-proxy.nft"
in_node nft -f <(in_ipv6 <"$HERE/kube-proxy.nft")
in_ipv6 <"$HERE/cluster.yaml" >"$WORK/cluster.yaml"

# An instance of its own, on a TUN from which nothing gets into the kernel's side.
start_podglass() { # start_podglass MANIFEST
    ip -n "$NODE" tuntap add dev pg0 mode tun vnet_hdr
    in_node sysctl -qw net.ipv6.conf.pg0.disable_ipv6=1
    ip -n "$NODE" link set pg0 up txqueuelen 1000
    in_node nft 'table inet beside { chain ours { type filter hook prerouting priority -500; iifname "pg0" drop; }; }'
    ip netns exec "$NODE" "$PODGLASS" run -f "$1" --tun pg0 --pods wire --socket "$WORK/control.sock" >"$WORK/podglass.log" 2>&1 &
    PODGLASS_PID=$!
    for _ in $(seq 100); do
        "$PODGLASS" get nodes --socket "$WORK/control.sock" >/dev/null 2>&1 && return
        sleep 0.1
    done
    cat "$WORK/podglass.log"
    exit 1
}

differential() { in_node "$DIFFERENTIAL" --tun outside --tun-pods pods "$@"; }
differential --podglass "$HERE/cluster.yaml" --steps 100000 "$@"
differential --podglass "$WORK/cluster.yaml" --ipv6 --steps 100000 "$@"
# timeouts of seconds, and pauses in which flows end
differential --podglass "$HERE/cluster.yaml" "$@" --steps 15000 --short
# and the same against an instance that reads a TUN and answers on its control socket
start_podglass "$HERE/cluster.yaml"
in_node "$DIFFERENTIAL-run" --tun outside --tun-pods pods --podglass "$WORK/control.sock" "$@" --steps 2000
kill -TERM "$PODGLASS_PID"
wait "$PODGLASS_PID"
