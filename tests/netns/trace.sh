#!/bin/bash
# What is seen of real traffic while it happens: trace, request and metrics against real pods, with nginx's log as the judge.
#
#   client (alice, mallory) -- veth -- node: podglass on pg0 -- veth -- pod1 web-0, nginx
#                                                           \-- veth -- pod2 web-1, nginx
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need dig

lab_up
PG_FLAGS+=(--access-log "$WORK/access.log")
start_podglass

podglass() { timeout 60 "$PODGLASS" "$@" --socket "$SOCK"; }
# watch NAME [FLAG...]: a trace in the background, its lines in $WORK/NAME
watch() {
    local name=$1
    shift
    begin_reader "$PODGLASS" trace --socket "$SOCK" "$@" >"$WORK/$name" 2>"$WORK/$name.err" 9>&- # 9 is the end of held connections
    WATCHER=$SPAWNED
}
unwatch() { # unwatch PID
    kill -INT "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}
records() { counter records; }
heads() { grep -v '^ ' "$WORK/$1" || true; }
lines() { wc -l <"$WORK/$1"; }
# shellcheck disable=SC2317 # wait_for calls it
has_line() { grep -qE "$2" "$WORK/$1"; }

# ---- nobody watches

for _ in 1 2 3; do ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test'; done
is "requests without a watcher leave no records" "$(records)" 0
has "trace --last says so" "$(podglass trace --last 3 2>&1)" 'nothing recorded'

# ---- everybody is watched

watch all
ALL=$WATCHER
watch json -o jsonl
JSON=$WATCHER
ask "$CLIENT" http://$VIP/cart -H 'Host: shop.example.test'
wait_for 5 has_line all '^[0-9a-f]+  GET shop.example.test/cart' || true
has "a request is one exchange" "$(heads all)" "GET shop.example.test/cart\?ask=$ASKED 200  .*$ALICE:$FROM_PORT -> shop/$POD     client LOST at hop 1"
has "its peer is what the pod's log has" "$(cat "$WORK/all")" "src +10.244.1.2:$PEER_PORT +unchanged"
has "its X-Forwarded-For is what the pod's log has" "$(cat "$WORK/all")" "set +X-Forwarded-For: $XFF "
has "and times pass" "$(cat "$WORK/all")" '^ +\+[0-9]+\.[0-9]*[1-9][0-9]*  ingress +response 200'
has "what the ends said in their first segments is there" "$(cat "$WORK/all")" 'nat +syn +mss [0-9]+.*SACK.*window scale [0-9]+, window [0-9]+ +#'
has "and in their answers" "$(cat "$WORK/all")" 'nat +reply syn-ack mss [0-9]+'
has "a body has its size" "$(cat "$WORK/all")" 'ingress +body +[0-9]+ bytes'
is "both legs are there" "$(grep -c ' nat .* dst .*=>.*PG11[0-2]' "$WORK/all")" 2
ask "$CLIENT" http://203.0.113.21/ --interface $MALLORY
wait_for 5 has_line all '^[0-9a-f]+  tcp 203.0.113.21:80' || true
has "a flow without ingress is one, too" "$(heads all)" "tcp 203.0.113.21:80 .*$MALLORY:$FROM_PORT -> shop/$POD     client KEPT"

in_client dig +short +time=2 +tries=1 @10.96.0.10 web.shop.svc.cluster.local >/dev/null 2>&1 || true
wait_for 5 has_line all '^[0-9a-f]+  udp 10.96.0.10:53' || true
has "a question to the DNS has its client" "$(heads all)" "udp 10.96.0.10:53  .*$ALICE:[0-9]+ -> .*client KEPT"

# A connection that was open before anybody watched, and one that another request reuses.
hold 1 http://$VIP/held shop.example.test
unwatch "$ALL"
watch late
ALL=$WATCHER
hold_again || true
wait_for 5 has_line late 'GET shop.example.test/held' || true
has "a connection opened before shows both legs" "$(heads late)" "GET shop.example.test/held.* $ALICE:[0-9]+ -> shop/web-[01]     client LOST"
hold_end
unwatch "$ALL"

# ---- who is watched

watch mallory --from $MALLORY
unwatch "$JSON"
before=$(records)
ask "$CLIENT" http://$VIP/alice -H 'Host: shop.example.test'
sleep 0.3
is "others leave no records" "$(records)" "$before"
ask "$CLIENT" http://$VIP/mallory --interface $MALLORY -H 'Host: shop.example.test'
wait_for 5 has_line mallory '/mallory' || true
is "only who was asked for is shown" "$(heads mallory | grep -c GET)" 1
unwatch "$WATCHER"
at_least "records are written for him" "$(records)" $((before + 10))
watch chosen --host shop.example.test --path /chosen --service shop/web
before=$(records)
ask "$CLIENT" http://$VIP/other -H 'Host: shop.example.test'
ask "$CLIENT" http://$VIP/ -H 'Host: empty.example.test' || true
ask "$CLIENT" http://203.0.113.21/
sleep 0.3
is "what has another path, host or service leaves no records" "$(records)" "$before"
ask "$CLIENT" http://$VIP/chosen -H 'Host: shop.example.test'
wait_for 5 has_line chosen '/chosen' || true
is "what was chosen is shown alone" "$(heads chosen | grep -c GET)" 1
has "with what came before its head" "$(cat "$WORK/chosen")" 'nat .* dst .*203.0.113.10:80'
unwatch "$WATCHER"
is "a verdict that is none is refused" "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$SOCK" 'http://podglass/v1/trace?follow=1&verdict=maybe')" 400
before=$(records)
ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test'
is "and none when he has gone" "$(records)" "$before"

# ---- read back

at_least "lines of JSON" "$(lines json)" 20
is "all are JSON" "$(jq -c .kind "$WORK/json" | sort -u | tr '\n' ' ')" '"Clock" "Event" "Keep" "Rewrite" '
has "and read back to the same" "$("$PODGLASS" trace -f "$WORK/json")" 'GET shop.example.test/cart.* 200 .*client LOST at hop 1'
has "saved records have their day" "$("$PODGLASS" trace -f "$WORK/json" --time abs)" "^$(date -u +%Y-%m-)[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z  [0-9a-f]+  GET shop"
has "or no time at all" "$("$PODGLASS" trace -f "$WORK/json" --time none)" '^            nat +dst'
grep -v '"kind":"Clock"' "$WORK/json" >"$WORK/timeless"
has "records of no day say so" "$("$PODGLASS" trace -f "$WORK/timeless" --time abs 2>&1)" 'do not say what time it was'
is "filters apply" "$("$PODGLASS" trace -f "$WORK/json" -o json "host $MALLORY and port 80" | jq '.items | length')" 1

# ---- a reader that takes nothing does not hold anybody up

"$PODGLASS" trace --socket "$SOCK" -o jsonl | { sleep 5; tail -n 1 >/dev/null; } &
PIDS+=($!)
begin_reader curl -sN -m 6 --limit-rate 1000 --unix-socket "$SOCK" 'http://podglass/v1/trace?follow=1' >"$WORK/slow"
took=$(date +%s%N)
count=$(slow 400 100)
in_client curl -s -m 60 -o /dev/null -H 'Host: shop.example.test' "http://$VIP/[1-$count]"
took=$((($(date +%s%N) - took) / 1000000))
at_most "milliseconds for $count requests beside a stuck reader" "$took" "$(slow 4000 15000)"

# ---- request

out=$(podglass request --from $ALICE "http://shop.example.test/asked?ask=asked-1")
wait_for 3 logged asked-1 || true
read_seen "$(logged asked-1)"
has "request reaches a real pod" "$out" 'HTTP/1.1 200 OK'
is "whose log has whom podglass says" "$PEER" 10.244.1.2
has "and the verdict is of the records" "$out" 'client 198.51.100.7  LOST'
has "the readers are what the log has" "$out" "xff-left $XFF "
json=$(podglass request --from pod:shop/web-0 -o json http://10.96.12.40/ || true)
is "JSON has the status" "$(jq -r '"\(.status) \(.verdict) \(.witness)"' <<<"$json" | sed 's/kept\|lost/V/')" "200 V records"
out=$(podglass request --from 198.51.100.77 --timeout 5 http://10.96.12.40:81/ || true)
has "a refusal is told" "$out" 'no response: connection refused'
has "and why" "$out" 'PG121'
is "nobody may send by GET" "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$SOCK" http://podglass/v1/requests)" 405
is "nonsense is refused" "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$SOCK" http://podglass/v1/requests -d '[1]')" 400

# ---- top

has "top has the services" "$(podglass top)" '^shop/web +shop.example.test +[0-9.]+ +[1-9]'
has "and conntrack" "$(podglass top)" '^podglass top .*flows/s .*conntrack .* of [0-9]+ '
is "on a terminal q ends it" "$(printf 's?/webq\rq' | timeout 20 script -qec "$PODGLASS top --socket $SOCK" /dev/null >"$WORK/top"; echo $?)" 0
has "which it leaves as it was" "$(tail -c 20 "$WORK/top" | tr -d '\033')" '\[[?]1049l'
{
    printf '\r'
    wait_for 20 has_line one '10.244.1.7:[0-9]+ +shop/web-0' >/dev/null
    printf '\033'
    wait_for 20 has_line one '> .*shop/web' >/dev/null # the table is drawn again, with its cursor
    printf q
} | timeout 60 script -qec "$PODGLASS top --socket $SOCK" /dev/null >"$WORK/one" || true
has "Enter looks at one service" "$(tr '\033' '\n' <"$WORK/one")" '^\[[0-9]+;1H[0-9]+ requests: .*200'
has "with its endpoints" "$(tr '\033' '\n' <"$WORK/one")" '^\[[0-9]+;1H10.244.1.7:[0-9]+ +shop/web-0'
has "traffic by service" "$(podglass get traffic shop/web --no-headers)" '^shop/web +shop.example.test +[1-9]'

# ---- several kinds, and forms of one's own

has "several kinds, each row with its own" "$(podglass get svc,no)" '^nodes/node-1 +Ready'
has "one of each" "$(podglass get svc/web no/node-2 --no-headers)" '^shop +services/web '
is "as one list" "$(podglass get svc/web no/node-2 -o jsonpath='{range .items[*]}{.kind} {.name},{end}')" "Service web,Node node-2,"
is "who is not there does not hide who is" "$(podglass get svc web nobody -o name 2>"$WORK/err" || echo "status $?")" $'services/shop/web\nstatus 1'
has "and is named" "$(cat "$WORK/err")" 'services "nobody" not found'
has "YAML" "$(podglass get svc shop/web -o yaml)" '^- 10.96.12.40$'
has "a column of one's own" "$(podglass get no -o custom-columns=WHO:.name,NOT:.there)" '^node-1 +<none>$'
has "a member chooses" "$(podglass get ep --field-selector metadata.name=web --no-headers)" '^shop +web '
has "describe takes TYPE/NAME, and several" "$(podglass describe svc/shop/web no/node-1)" '^Name: +node-1$'

# ---- metrics

metrics=$(curl -s --unix-socket "$SOCK" http://podglass/metrics)
if command -v promtool >/dev/null; then
    is "promtool has nothing to say" "$(promtool check metrics <<<"$metrics" 2>&1)" ""
fi
has "requests are counted by service" "$metrics" '^podglass_requests_total\{host="shop.example.test",service="shop/web",code="200"\} [1-9]'
is "as often as the ingress had them" "$(awk '/^podglass_requests_total/ { n += $NF } END { print n }' <<<"$metrics")" "$(counter http_requests)"
has "verdicts too" "$metrics" '^podglass_client_identity_total\{service="shop/web",verdict="lost"\} [1-9]'
lab_manifest Local >"$WORK/lab.yaml"
reload
ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test'
has "and carried ones, with policy Local" "$(curl -s --unix-socket "$SOCK" http://podglass/metrics)" \
    '^podglass_client_identity_total\{service="shop/web",verdict="carried"\} 1$'

# ---- describe and report

watch secrets
ask "$CLIENT" "http://$VIP/cart?token=s3cret&x" -H 'Host: shop.example.test' -H 'Proxy-Authorization: Basic c2VjcmV0'
wait_for 5 has_line secrets 'GET shop.example.test/cart.token' || true
unwatch "$WATCHER"
label=$(grep -o '^[0-9a-f]*  GET shop.example.test/cart.token' "$WORK/secrets" | cut -d' ' -f1)
has "a flow is described with what was recorded" "$(podglass describe flow "$label")" "^$label  GET shop.example.test/cart\?token"
has "a service with its endpoints" "$(podglass describe svc shop/web)" '^    Pod: +shop/web-0$'
has "and its line" "$(podglass describe svc edge/gateway)" '^External Traffic Policy: +Local  .*lab.yaml:[0-9]+$'
has "an endpoint by its pod" "$(podglass describe endpoint shop/web-0)" '^  Address: +10.244.1.7$'
has "a node with its endpoints" "$(podglass describe node node-1)" '  shop/web  10.244.1.7:8080  shop/web-0'
has "an ingress with its routes" "$(podglass describe ingress shop/shop)" '^ +Backend: +shop/web:80$'
has "and the settings in force" "$(podglass describe ing shop/shop)" '^  spec.ingress.timeouts.headSeconds +10  .default.$'
has "what is not there is not found" "$(podglass describe node nobody 2>&1 || true)" 'not found'
is "a trace hides credentials" "$(grep -c c2VjcmV0 "$WORK/secrets" || true)" 0
report=$(podglass report --last 3)
has "a report has the request" "$(grep '^###' <<<"$report")" '### '"$label"': GET shop.example.test/cart\?\(hidden\)'
is "and no secrets" "$(grep -c 's3cret\|c2VjcmV0' <<<"$report" || true)" 0
has "but says that there was one" "$report" 'remove  Proxy-Authorization: \(hidden\)'
has "and how it was started" "$report" 'started as: podglass run'

# ---- what only a running instance says, against its schema

if /usr/bin/python3 -c 'import jsonschema' 2>/dev/null; then
    root=$(dirname "$0")/../..
    {
        curl -s --unix-socket "$SOCK" http://podglass/v1/about
        curl -s --unix-socket "$SOCK" http://podglass/v1/nothing
        podglass trace --last 3 -o json
        podglass trace --last 1 -o jsonl | sed -n 1p
    } >"$WORK/said"
    is "About, Error, Exchange and Clock are what their schemas say" \
        "$(PODGLASS=$PODGLASS /usr/bin/python3 "$root/tests/cli/schema.py" any <"$WORK/said")" '4 documents of 4 kinds, 0 wrong'
fi

# ---- a watcher and an asker that vanish

watch gone
kill -KILL "$WATCHER"
wait "$WATCHER" 2>/dev/null || true
( timeout -s KILL 0.3 curl -s -o /dev/null --unix-socket "$SOCK" http://podglass/v1/requests -d '{"from":"198.51.100.7","url":"http://10.96.12.99/"}' ) 2>/dev/null || true
ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test'
is "the path goes on" "$STATUS" 200

# ---- the access log

ask "$CLIENT" "http://$VIP/logged" -H 'Host: shop.example.test' -A 'a"b'
seen=$(counter http_requests)
pod=$(pod_addr "$POD")
stop_podglass
is "a line for each request" "$(grep -c . "$WORK/access.log")" "$seen"
has "with the pod that nginx' own log names" "$(cat "$WORK/access.log")" \
    "^$ALICE - - \[.*\] \"GET /logged\?ask=$ASKED HTTP/1.1\" 200 [0-9]+ \"-\" \"a.x22b\" flow=[0-9a-f]+ .*upstream=$pod:8080 rt=0\.[0-9]+ .*client=carried$"
is "every line reads as combined" \
    "$(grep -cvE '^[^ ]+ - - \[[^]]+\] "[^"]*" [0-9]{3} [0-9]+ "[^"]*" "[^"]*" ' "$WORK/access.log" || true)" 0
done_testing
