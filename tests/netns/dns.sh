#!/bin/bash
# Cluster DNS as dig sees it, row by row of the table of what a cluster's DNS answers (docs/manifests.md, "Names").
#
#   client -- veth -- node: podglass on pg0 -- veth -- pod1, pod2
#
# Cluster DNS is 10.96.0.10, inside podglass; questions are asked in pod1.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need dig
lab_up
in_node sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0

# endpoints SERVICE FAMILY PORTS: endpoint lines from standard input
endpoints() {
    SLICES=$((${SLICES:-0} + 1))
    cat <<END
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: shop, name: slice-$SLICES, labels: {kubernetes.io/service-name: $1}}
addressType: $2
ports: [$3]
endpoints:
END
    cat
}

service() { # service NAME SPEC
    printf -- '---\napiVersion: v1\nkind: Service\nmetadata: {namespace: shop, name: %s}\nspec: {%s}\n' "$1" "$2"
}

names() { # names POD-RECORDS [UPSTREAMS] [TTL]
    lab_manifest Cluster | sed -e "s/podCIDRs: .*/podCIDRs: [10.244.0.0\/16, 'fd60::\/48']/" \
        -e "s/serviceCIDRs: .*/serviceCIDRs: [10.96.0.0\/16, 'fd96::\/112']\n  dns: {address: 10.96.0.10, ttl: ${3:-30}, podRecords: $1, upstream: [${2:-}]}/"
    printf -- '---\napiVersion: v1\nkind: Namespace\nmetadata: {name: quiet}\n'
    printf -- '---\napiVersion: v1\nkind: Service\nmetadata: {namespace: kube-system, name: kube-dns}\n'
    printf 'spec: {clusterIP: 10.96.0.10, ports: [{name: dns, protocol: UDP, port: 53}, {name: dns-tcp, port: 53}]}\n'
    service dual "clusterIP: 10.96.13.1, clusterIPs: [10.96.13.1, 'fd96::1'], ipFamilyPolicy: RequireDualStack, ports: [{name: http, port: 80}, {name: b, port: 81}]"
    service unnamed 'clusterIP: 10.96.13.2, ports: [{port: 80}]'
    service db 'clusterIP: None, ports: [{name: sql, port: 3306}]'
    endpoints db IPv4 '{name: sql, port: 3306}' <<'END'
- {addresses: [10.244.1.60], hostname: db-0}
- {addresses: [10.244.2.60], hostname: db-1}
- {addresses: [10.244.1.44]}
- {addresses: [10.244.1.45], hostname: db-3, conditions: {ready: false}}
END
    endpoints db IPv6 '{name: sql, port: 3306}' <<'END'
- {addresses: ['fd60::60'], hostname: db-0}
- {addresses: ['fd60:1::30']}
- {addresses: ['fd60:0:0:2::']}
END
    service two 'clusterIP: None, ports: [{name: sql, port: 3306}]'
    endpoints two IPv4 '{name: sql, port: 3306}' <<<'- {addresses: [10.244.1.60], hostname: x}'
    endpoints two IPv4 '{name: sql, port: 3306}' <<<'- {addresses: [10.244.1.62], hostname: x}'
    service asleep 'clusterIP: None, ports: [{name: sql, port: 3306}]'
    endpoints asleep IPv4 '{name: sql, port: 3306}' <<<'- {addresses: [10.244.1.61], conditions: {ready: false}}'
    service many 'clusterIP: None, ports: [{name: http, port: 80}]'
    for n in $(seq 200); do echo "- {addresses: [10.244.3.$n]}"; done | endpoints many IPv4 '{name: http, port: 80}'
    service alias 'type: ExternalName, externalName: dual.shop.svc.cluster.local'
    service outside 'type: ExternalName, externalName: db.example.org'
    service circle 'type: ExternalName, externalName: circle.shop.svc.cluster.local'
    for n in $(seq 12); do
        service "step-$n" "type: ExternalName, externalName: step-$((n + 1)).shop.svc.cluster.local"
    done
    service step-13 'clusterIP: 10.96.13.3, ports: [{port: 80}]'
}
names insecure >"$WORK/lab.yaml"
start_podglass

ask_dns() { in_pod1 dig +time=3 +tries=1 @10.96.0.10 "$@"; }
ns=shop.svc.cluster.local

# ask_dns' output as it was, in OUT; sections as sorted lines of "owner ttl type data" joined by "; "
section() { # section ANSWER|AUTHORITY|ADDITIONAL
    awk -v want=";; $1 SECTION:" '$0 == want { on = 1; next } /^$/ || /^;;/ { on = 0 } on && !/^;/ { $3 = ""; $1 = $1; print }' <<<"$OUT" |
        sort | sed 's/  */ /g' | paste -sd';' | sed 's/;/; /g'
}
look() { OUT=$(ask_dns "$@" 2>&1 || true); }
status() { sed -n 's/.*status: \([A-Z0-9]*\),.*/\1/p' <<<"$OUT"; }
soa='cluster.local. 30 SOA ns.dns.cluster.local. hostmaster.cluster.local. [0-9]+ 7200 1800 86400 30'

# says WHAT QUESTION... = ANSWER: NOERROR and these records
says() {
    local what=$1 question=()
    shift
    while [ "$1" != = ]; do question+=("$1"); shift; done
    look "${question[@]}"
    is "$what" "$(status): $(section ANSWER)" "NOERROR: $2"
}
# denies WHAT QUESTION...: NXDOMAIN; nodata: NOERROR without answer; both with the zone's SOA
denies() { negative NXDOMAIN "$@"; }
nodata() { negative NOERROR "$@"; }
negative() {
    local status=$1 what=$2
    shift 2
    look "$@"
    has "$what" "$(status), answers: $(section ANSWER), $(section AUTHORITY)" "^$status, answers: , ([a-z0-9.-]*\.arpa|cluster.local)\. 30 SOA ns.dns.cluster.local"
}

# ---- addresses

says "A svc.ns.svc.zone of a ClusterIP: the address of that family" dual.$ns A = "dual.$ns. 30 A 10.96.13.1"
says "AAAA svc.ns.svc.zone of a ClusterIP" dual.$ns AAAA = "dual.$ns. 30 AAAA fd96::1"
says "a ClusterIP without endpoints has its name" empty.$ns A = "empty.$ns. 30 A 10.96.12.60"
nodata "other family missing: NODATA with SOA" web.$ns AAAA
says "A headless: one record per ready endpoint of that family" db.$ns A = \
    "db.$ns. 30 A 10.244.1.44; db.$ns. 30 A 10.244.1.60; db.$ns. 30 A 10.244.2.60"
says "AAAA headless" db.$ns AAAA = "db.$ns. 30 AAAA fd60:0:0:2::; db.$ns. 30 AAAA fd60:1::30; db.$ns. 30 AAAA fd60::60"
firsts=$(for n in $(seq 24); do ask_dns db.$ns A +short | head -n 1; done | sort -u | wc -l)
at_least "headless: the order is shuffled; first records seen" "$firsts" 2
denies "headless, no ready endpoint: NXDOMAIN" asleep.$ns A

# ---- endpoint names

says "host.svc.ns.svc.zone" db-0.db.$ns A = "db-0.db.$ns. 30 A 10.244.1.60"
says "host, the other family" db-0.db.$ns AAAA = "db-0.db.$ns. 30 AAAA fd60::60"
denies "host of an endpoint that is not ready" db-3.db.$ns A
says "several endpoints may share a hostname" x.two.$ns A = "x.two.$ns. 30 A 10.244.1.60; x.two.$ns. 30 A 10.244.1.62"
says "without hostname the address with dashes" 10-244-1-44.db.$ns A = "10-244-1-44.db.$ns. 30 A 10.244.1.44"
says "IPv6 with dashes: --" fd60-1--30.db.$ns AAAA = "fd60-1--30.db.$ns. 30 AAAA fd60:1::30"
says "IPv6, trailing dash gets a 0" fd60-0-0-2--0.db.$ns AAAA = "fd60-0-0-2--0.db.$ns. 30 AAAA fd60:0:0:2::"
says "endpoint names of a ClusterIP service, too" 10-244-1-7.web.$ns A = "10-244-1-7.web.$ns. 30 A $WEB0"
nodata "a dashed name has one family" 10-244-1-44.db.$ns AAAA

# ---- SRV

says "SRV _port._proto of a ClusterIP" _echo._udp.udp.$ns SRV = "_echo._udp.udp.$ns. 30 SRV 0 100 5353 udp.$ns."
is "its address in additional" "$(section ADDITIONAL)" "udp.$ns. 30 A 10.96.12.53"
says "SRV of a dual-stack ClusterIP: half the weight, one record" _http._tcp.dual.$ns SRV = "_http._tcp.dual.$ns. 30 SRV 0 50 80 dual.$ns."
is "both addresses in additional" "$(section ADDITIONAL)" "dual.$ns. 30 A 10.96.13.1; dual.$ns. 30 AAAA fd96::1"
says "SRV headless: one per endpoint and named port, target is the endpoint's name, weight floor(100/n)" +tcp _sql._tcp.db.$ns SRV = \
    "_sql._tcp.db.$ns. 30 SRV 0 16 3306 10-244-1-44.db.$ns.; _sql._tcp.db.$ns. 30 SRV 0 16 3306 db-0.db.$ns.; _sql._tcp.db.$ns. 30 SRV 0 16 3306 db-1.db.$ns.; _sql._tcp.db.$ns. 30 SRV 0 16 3306 fd60-0-0-2--0.db.$ns.; _sql._tcp.db.$ns. 30 SRV 0 16 3306 fd60-1--30.db.$ns."
has "addresses of the targets in additional" "$(section ADDITIONAL)" "db-0.db.$ns. 30 A 10.244.1.60; db-0.db.$ns. 30 AAAA fd60::60"
look +tcp _http._tcp.many.$ns SRV
is "SRV headless of 200 endpoints: weight 1 at least" "$(grep -c 'SRV[[:space:]]*0 1 80 ' <<<"$OUT")" 200
denies "SRV of an unnamed port" _http._tcp.unnamed.$ns SRV
denies "SRV of a wrong port" _nope._tcp.web.$ns SRV
denies "SRV of a wrong protocol" _http._udp.dual.$ns SRV
says "SRV without _port._proto: all ports" dual.$ns SRV = "dual.$ns. 30 SRV 0 25 80 dual.$ns.; dual.$ns. 30 SRV 0 25 81 dual.$ns."

# ---- PTR

says "PTR of a ClusterIP: one name" -x 10.96.13.1 = "1.13.96.10.in-addr.arpa. 30 PTR dual.$ns."
look -x fd96::1
has "PTR of an IPv6 ClusterIP" "$(section ANSWER)" "ip6.arpa. 30 PTR dual.$ns.$"
says "PTR of a ready endpoint: one name per service that selects it" -x 10.244.1.60 = \
    "60.1.244.10.in-addr.arpa. 30 PTR db-0.db.$ns.; 60.1.244.10.in-addr.arpa. 30 PTR x.two.$ns."
denies "PTR of an endpoint that is not ready" -x 10.244.1.45
denies "PTR outside, nobody to ask: NXDOMAIN" -x 192.0.2.99

# ---- ExternalName

look alias.$ns A
is "ExternalName: CNAME precedes addresses, followed inside the zone at once" \
    "$(awk '/ANSWER SECTION/ { on = 1; next } /^$/ { on = 0 } on { print $4, $5 }' <<<"$OUT" | paste -sd' ')" "CNAME dual.$ns. A 10.96.13.1"
says "ExternalName to the outside, nobody to ask: the CNAME alone" outside.$ns A = "outside.$ns. 30 CNAME db.example.org."
look +tcp step-1.$ns A
is "at most 10 steps" "$(grep -c 'IN[[:space:]]*CNAME' <<<"$OUT")" 10
look +tcp step-4.$ns A
is "9 steps lead to the address" "$(section ANSWER | grep -o 'A 10.96.13.3')" "A 10.96.13.3"
says "a circle is said once" circle.$ns A = "circle.$ns. 30 CNAME circle.$ns."
denies "sub-names of an ExternalName" sub.outside.$ns A
nodata "SRV of an ExternalName" outside.$ns SRV

# ---- TXT, pods, what lies between, other types, apex

says "TXT dns-version.zone, TTL 28800" dns-version.cluster.local TXT = 'dns-version.cluster.local. 28800 TXT "1.1.0"'
says "pod record, insecure: always the address" 10-60-1-30.shop.pod.cluster.local A = "10-60-1-30.shop.pod.cluster.local. 30 A 10.60.1.30"
denies "pod record, insecure: not an address" web-0.shop.pod.cluster.local A
for name in cluster.local svc.cluster.local pod.cluster.local shop.svc.cluster.local quiet.svc.cluster.local; do
    nodata "empty non-terminal $name: NODATA" $name A
done
for name in web.nowhere.svc.cluster.local nobody.$ns a.b.c.web.$ns foo.cluster.local nowhere.svc.cluster.local; do
    denies "unknown name $name: NXDOMAIN" "$name" A
done
for type in HTTPS MX CAA SVCB TXT NS ANY TYPE999; do
    nodata "type $type of an existing name: NODATA" web.$ns $type
done
says "SOA at the apex" cluster.local SOA = "$(look cluster.local SOA; section ANSWER)"
has "SOA: names, serial, 7200 1800 86400 MIN, TTL = min(MIN, 300)" "$(section ANSWER)" "^$soa$"
says "NS at the apex: the names of the DNS service" cluster.local NS = "cluster.local. 30 NS kube-dns.kube-system.svc.cluster.local."
is "its address in additional" "$(section ADDITIONAL)" "kube-dns.kube-system.svc.cluster.local. 30 A 10.96.0.10"

# ---- messages

look cluster.local AXFR
has "AXFR: REFUSED" "$OUT" 'Transfer failed|REFUSED'
look +tcp cluster.local IXFR=1
has "IXFR: REFUSED" "$OUT" 'Transfer failed|REFUSED'
look version.bind TXT CH
is "class not IN: REFUSED" "$(status)" REFUSED
look +header-only
is "no question: SERVFAIL" "$(status)" SERVFAIL
look +edns=1 +noednsnegotiation web.$ns A
is "EDNS version not 0: BADVERS" "$(status)" BADVERS
look +ednsopt=65001:616263 +nsid +cookie=0011223344556677 web.$ns A
is "unknown EDNS options are let be" "$(status): $(section ANSWER)" "NOERROR: web.$ns. 30 A 10.96.12.40"
for opcode in notify update status iquery; do
    look +opcode=$opcode cluster.local SOA
    is "opcode $opcode: NOTIMP" "$(status)" NOTIMP
done
has "what it can take over UDP: 1232 bytes" "$(look web.$ns A; grep 'EDNS: version: 0' <<<"$OUT")" 'udp: 1232$'
look +noedns web.$ns A
is "no OPT, no OPT" "$(grep -c EDNS <<<"$OUT" || true)" 0
look web.$ns HS A
is "class Hesiod: REFUSED" "$(status)" REFUSED
look . NS
is "the root, nobody to ask: REFUSED" "$(status)" REFUSED
look web.$ns A
has "AA is set" "$OUT" 'flags: qr aa rd'
look www.example.org A
is "outside, nobody to ask: REFUSED" "$(status)" REFUSED

says "0x20: the owner keeps the question's spelling" wEb.ShOp.sVc.ClUsTeR.lOcAl A = "wEb.ShOp.sVc.ClUsTeR.lOcAl. 30 A 10.96.12.40"
look wEb.ShOp.sVc.ClUsTeR.lOcAl AAAA
has "0x20: so does the SOA's owner" "$(section AUTHORITY)" '^ClUsTeR.lOcAl. 30 SOA '

# ---- sizes

size() { sed -n 's/^;; MSG SIZE  rcvd: //p' <<<"$OUT"; }
truncated() { grep -q 'flags: [a-z ]*\btc\b' <<<"$OUT" && echo tc || echo whole; }
look +noedns +ignore many.$ns A
is "no OPT: cut at 512, TC" "$(truncated) $([ "$(size)" -le 512 ] && echo fits)" "tc fits"
at_least "and as many as fit" "$(grep -c 'IN[[:space:]]*A[[:space:]]' <<<"$OUT")" 28
look +bufsize=100 +ignore many.$ns A
is "OPT below 512: 512" "$(truncated) $([ "$(size)" -gt 450 ] && [ "$(size)" -le 512 ] && echo fits)" "tc fits"
look +bufsize=1232 +ignore many.$ns A
is "the advertised size is respected" "$(truncated) $([ "$(size)" -gt 1200 ] && [ "$(size)" -le 1232 ] && echo fits)" "tc fits"
look +bufsize=4096 +ignore many.$ns A
is "what fits is whole, also beyond one packet" "$(truncated) $(grep -c 'IN[[:space:]]*A[[:space:]]' <<<"$OUT")" "whole 200"
look +noedns many.$ns A
is "cut over UDP, whole over TCP" "$(truncated) $(grep -c 'IN[[:space:]]*A[[:space:]]' <<<"$OUT")" "whole 200"
look +tcp +noedns +keepopen web.$ns A dual.$ns A
is "two questions on one TCP connection" "$(grep -c 'status: NOERROR' <<<"$OUT")" 2
look +tcp many.$ns A
at_most "compressed: bytes a record" $(($(size) / 200)) 16

# ---- pod records by mode

names verified >"$WORK/lab.yaml"
reload
says "pod record, verified: such a pod exists" 10-244-1-7.shop.pod.cluster.local A = "10-244-1-7.shop.pod.cluster.local. 30 A $WEB0"
denies "pod record, verified: no such pod" 10-60-1-30.shop.pod.cluster.local A
denies "pod record, verified: of another namespace" 10-244-1-7.edge.pod.cluster.local A
names disabled >"$WORK/lab.yaml"
reload
denies "pod record, disabled" 10-244-1-7.shop.pod.cluster.local A

# ---- times to live, after a reload

names disabled '' 3600 >"$WORK/lab.yaml"
reload
says "the Lab's time to live" web.$ns A = "web.$ns. 3600 A 10.96.12.40"
look nobody.$ns A
has "a denial's: the SOA's TTL is min(MIN, 300), MIN is the Lab's" "$(section AUTHORITY)" '^cluster.local. 300 SOA .* 3600$'
names disabled '' 0 >"$WORK/lab.yaml"
reload
says "0 is allowed" web.$ns A = "web.$ns. 0 A 10.96.12.40"

# ---- somebody to ask: a server in the client's namespace that sends forged answers before the right one

ip -n "$CLIENT" addr add 198.51.100.53/24 dev eth0
ip -n "$CLIENT" addr add 198.51.100.54/24 dev eth0
spawn "$CLIENT" upstream "$PYTHON" "$NETNS/peer.py" dns 198.51.100.53 198.51.100.54
wait_for 10 grep -q ready "$WORK/upstream.log"
names disabled 198.51.100.53 >"$WORK/lab.yaml"
reload
asked() { grep -c "^asked $1 " "$WORK/upstream.log" || true; }
says "a name outside is asked of the upstream server; forged answers do not get through" www.example.org A = "www.example.org. 60 A 192.0.2.80"
has "no AA, but RA" "$OUT" 'flags: qr rd ra;'
at_least "what was forged is counted: dns_replies_dropped" "$(counter dns_replies_dropped)" 40
is "the server is asked by the DNS address, and once" "$(grep -c '^asked www.example.org 10.96.0.10 ' "$WORK/upstream.log")" 1
says "a second time it comes out of the cache, spelled as asked" wWw.eXample.ORG A = "wWw.eXample.ORG. $(look www.example.org A; section ANSWER | awk '{ print $2 }') A 192.0.2.80"
is "and the server is not asked again" "$(asked www.example.org)" 1
look none.example.org A
is "NXDOMAIN is passed on" "$(status): $(section AUTHORITY | cut -d' ' -f1)" "NXDOMAIN: none.example.org."
look none.example.org A
is "and kept" "$(status) $(asked none.example.org)" "NXDOMAIN 1"
look www.example.net A
is "SERVFAIL is passed on" "$(status)" SERVFAIL
look +ignore big.example.org A
is "an answer that was cut is passed on as it is" "$(truncated)" tc
look big.example.org A
is "dig comes back by TCP, podglass asks by TCP: all 400 addresses" "$(truncated) $(grep -c 'IN[[:space:]]*A[[:space:]]' <<<"$OUT")" "whole 400"
is "asked by the DNS address" "$(awk '/^tcp big/ { print $3 }' "$WORK/upstream.log")" 10.96.0.10
is "it is counted: dns_forwarded_tcp" "$(counter dns_forwarded_tcp)" 1
OUT=$(in_pod1 dig +tcp +time=7 +tries=1 @10.96.0.10 deaf.example.org A)
is "a server that is deaf by TCP: SERVFAIL" "$(status)" SERVFAIL
has "after five seconds" "$OUT" 'Query time: (4[5-9]|5[0-9])[0-9][0-9] msec'
look -x 192.0.2.99
is "PTR outside goes to the upstream server" "$(asked 99.2.0.192.in-addr.arpa)" 1
look outside.$ns A
is "ExternalName to the outside: CNAME, then their address" \
    "$(awk '/ANSWER SECTION/ { on = 1; next } /^$/ { on = 0 } on { print $4, $5 }' <<<"$OUT" | paste -sd' ')" "CNAME db.example.org. A 192.0.2.80"
says "over TCP, too" +tcp tcp.example.org A = "tcp.example.org. 60 A 192.0.2.80"
says "names of the cluster are never asked of others" web.$ns A = "web.$ns. 30 A 10.96.12.40"
denies "nor their denials" nobody.$ns A
is "the server has not heard of them" "$(grep -c 'cluster.local' "$WORK/upstream.log" || true)" 0
for n in $(seq 40); do ask_dns "n$n.example.org" A +short; done >"$WORK/many" 2>&1
is "forty names more" "$(sort "$WORK/many" | uniq -c | xargs)" "40 192.0.2.80"
at_least "each from a port of its own" "$(awk '/^asked n[0-9]+/ { print $4 }' "$WORK/upstream.log" | sort -u | wc -l)" 38
at_least "each with an id of its own" "$(awk '/^asked n[0-9]+/ { print $5 }' "$WORK/upstream.log" | sort -u | wc -l)" 38
OUT=$(in_pod1 dig +time=7 +tries=1 @10.96.0.10 silent.example.org A)
is "silence: SERVFAIL after five seconds" "$(status)" SERVFAIL
has "which dig waited for" "$OUT" 'Query time: (4[5-9]|5[0-9])[0-9][0-9] msec'
names disabled 198.51.100.1,198.51.100.53 >"$WORK/lab.yaml"
reload
for n in $(seq 8); do ask_dns "m$n.example.org" A +short; done >"$WORK/many" 2>&1
is "with a server where nothing listens: the other one is asked" "$(sort "$WORK/many" | uniq -c | xargs)" "8 192.0.2.80"
names disabled 198.51.100.1 >"$WORK/lab.yaml"
reload
before=$(counter dns_forwarded)
look refused.example.org A
is "with that one alone: SERVFAIL" "$(status)" SERVFAIL
at_most "at once, and not after asking it for five seconds: questions sent" $(($(counter dns_forwarded) - before)) 3
names disabled 198.51.100.53 >"$WORK/lab.yaml"
reload

# ---- what get dns says of all this

get_dns() { (timeout 20 "$PODGLASS" get dns "$@" --socket "$SOCK" --no-headers 2>&1 || true) | sed 's/  */ /g'; }
is "get dns of a service: all its types" "$(get_dns shop/web | paste -sd';')" "web.$ns. A 30 10.96.12.40 zone -;web.$ns. SRV 30 0 100 80 web.$ns. zone -"
is "of a name in any spelling" "$(get_dns WEB.$ns. | head -n 1)" "WEB.$ns. A 30 10.96.12.40 zone -"
has "from which object and line" "$(get_dns shop/dual -o wide | grep ' A ')" "A 30 10.96.13.1 zone - Service/shop/dual .*lab.yaml:[0-9]+$"
is "of an address" "$(get_dns 10.96.13.1)" "1.13.96.10.in-addr.arpa. PTR 30 dual.$ns. zone -"
has "of an alias" "$(get_dns shop/alias | paste -sd';')" "^alias.$ns. CNAME 30 dual.$ns. zone -;dual.$ns. A 30 10.96.13.1 zone -;dual.$ns. AAAA 30 fd96::1 zone -$"
look kept.example.org A
has "of a kept answer: what is left, and its age" "$(get_dns kept.example.org)" '^kept.example.org. A (60|59) 192.0.2.80 cache [0-9]s$'
look none.example.org A
has "of a kept denial" "$(get_dns none.example.org)" '^none.example.org. A (30|29|28) NXDOMAIN cache [0-9]s$'
is "of a name that nobody has" "$(get_dns nobody.$ns)" "podglass get: dns \"nobody.$ns\" not found"
has "without a name: services" "$(get_dns)" "^udp.$ns. A 30 10.96.12.53 zone -$"
has "and what is kept" "$(get_dns)" '^none.example.org. A '
has "and the domain" "$(get_dns)" '^cluster.local. SOA 30 ns.dns.cluster.local. hostmaster.cluster.local. '

# the walk of a resolver with ndots:5
printf 'search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n' >"$WORK/resolv.conf"
# shellcheck disable=SC2016 # $0 is the inner shell's
as_pod() { in_pod1 sh -c 'mount --bind "$0" /etc/resolv.conf && exec "$@"' "$WORK/resolv.conf" "$@"; }
# both families are asked for only where there is an address of both
ip netns exec "$POD1" sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0
ip -n "$POD1" addr add fd60::7/64 dev eth0 nodad
before=$(counter dns_queries)
is "getent of an outside name" "$(as_pod getent ahosts a.example.org | awk '{ print $1 }' | sort -u)" 192.0.2.80
is "an outside name costs 4 names x (A + AAAA)" $(($(counter dns_queries) - before)) 8
before=$(counter dns_queries)
is "getent with a final dot" "$(as_pod getent ahosts b.example.org. | awk '{ print $1 }' | sort -u)" 192.0.2.80
is "a final dot: one name" $(($(counter dns_queries) - before)) 2

check_balance
stop_podglass
done_testing
