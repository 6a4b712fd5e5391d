#!/bin/bash
# TUNs directly in the namespaces of the client and the pods: no routing node in between.
#
#   client 198.51.100.7, .66        podglass (node)             pod1 web-0 10.244.1.7  nginx
#      pgc ------------------------------ * ------------------------------ pgp
#                                         |                       pod2 web-1 10.244.2.9  nginx
#                                         +------------------------------ pgp
#
# podglass attaches to three interfaces in three namespaces that are not its own, with the addresses behind each.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
need nginx ping

for space in "$NODE" "$CLIENT" "$POD1" "$POD2"; do space_up "$space"; done
nginx_up "$POD1" web-0
nginx_up "$POD2" web-1
lab_manifest Local >"$WORK/lab.yaml"
PG_LOG=$WORK/podglass.log
spawn "$NODE" podglass "$PODGLASS" run -f "$WORK/lab.yaml" --configure --socket "$SOCK" \
    --tun "pgc@$CLIENT=$ALICE,$MALLORY" --tun "pgp@$POD1=$WEB0" --tun "pgp@$POD2=$WEB1"
PG_PID=$SPAWNED
wait_for 20 get_quietly nodes || not_ok "podglass attaches to three interfaces" "$(cat "$PG_LOG")"

is "the node's own namespace has no interface but lo" "$(ip -n "$NODE" -o link | wc -l)" 1
seen=$(in_client curl -sS -m 5 --interface "$ALICE" -H 'Host: shop.example.test' "http://$VIP/")
has "through the ingress" "$seen" "peer=10.244.1.2 .*xff=$ALICE xri=$ALICE"
seen=$(in_client curl -sS -m 5 --interface "$MALLORY" "http://203.0.113.21/")
has "LB Local keeps the client" "$seen" "peer=$MALLORY "
seen=$(in_client curl -sS -m 5 --interface "$ALICE" "http://203.0.113.20/")
has "LB Cluster shows a node" "$seen" "peer=(10\.244\.[12]\.1|192\.0\.2\.1[12]) "
seen=$(in_pod1 curl -sS -m 5 "http://10.96.12.40/")
has "a pod calls a cluster IP" "$seen" "peer=(10\.244\.1\.7|10\.244\.1\.1) "
runs "one pod pings another" in_pod1 ping -c 1 -W 2 "$WEB1"
runs "a client pings a node" in_client ping -c 1 -W 2 192.0.2.11

file_sum=$(random_file big "$(slow 50 10)")
is "a large file through the ingress" "$(in_client curl -sS -m 60 -H 'Host: shop.example.test' "http://$VIP/files/big" | sha256sum | cut -d' ' -f1)" "$file_sum"

# A source that is not behind the link it comes by.
spoofed() { "$PODGLASS" get counters -o json --socket "$SOCK" | jq '.drops.spoofed // 0'; }
before=$(spoofed)
ip -n "$CLIENT" addr add 203.0.113.200/32 dev lo
in_client ping -c 2 -i 0.2 -W 1 -I 203.0.113.200 192.0.2.11 >/dev/null || true
is "a source that is not behind its link is dropped and counted" "$(($(spoofed) - before))" 2

ip -n "$POD2" link del pgp
wait_for 5 grep -q vanished "$PG_LOG" || true
has "an interface that vanishes is named" "$(cat "$PG_LOG")" "interface pgp has vanished"
seen=$(in_client curl -sS -m 5 --interface "$MALLORY" "http://192.0.2.11:30081/")
has "the others go on" "$seen" "pod=web-0 peer=$MALLORY "
ip -n "$POD1" link del pgp
ip -n "$CLIENT" link del pgc
wait_podglass 5
is "without any interface podglass stops with" "$PG_STATUS" 1
PG_PID=
done_testing
