#!/bin/bash
# Lists that were saved read back in, as -o json and as -o jsonl printed them: the same table as from an instance.
set -euo pipefail
cd "${PODGLASS_SOURCE:?}"
walk=$(dirname "${PODGLASS:?}")/tests/walk
[ -x "$walk" ] || { echo "no $walk"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAIL: $*" >&2; exit 1; }
# As grep -q, but to the end: who writes is not cut off, which would be its failure.
found() { grep "$@" >/dev/null; }

WALK_LISTS=1 "$walk" tests/walk/a-connection-shows-both-legs.walk >"$work/lists"
for row in ConntrackList=conntrack TranslationList=nat ConnectionList=connections ServiceList=services \
    EndpointsList=endpoints NodeList=nodes PodList=pods IngressList=ingresses RouteList=routes SettingList=settings TrafficList=traffic Counters=counters; do
    kind=${row%=*} type=${row#*=}
    grep "^{\"apiVersion\":\"podglass/v1alpha1\",\"kind\":\"$kind\"" "$work/lists" >"$work/list" || fail "no $kind"
    "$PODGLASS" get "$type" -f "$work/list" -o wide >"$work/first"
    [ "$(wc -l <"$work/first")" -ge 2 ] || fail "$type is empty"
    "$PODGLASS" get "$type" -f "$work/list" -o json >"$work/json"
    "$PODGLASS" get "$type" -f "$work/list" -o jsonl >"$work/jsonl"
    "$PODGLASS" get "$type" --filename "$work/json" -o wide | cmp - "$work/first" || fail "$type from -o json"
    "$PODGLASS" get "$type" -f - -o wide <"$work/jsonl" | cmp - "$work/first" || fail "$type from -o jsonl"
done

# affinity, of a walk that has some
WALK_LISTS=1 "$walk" tests/walk/sticky-client-ip.walk | grep AffinityList >"$work/sticky"
"$PODGLASS" get affinity -f "$work/sticky" -o wide >"$work/out"
grep -qE '^10\.244\.1\.20 +shop/sticky +80/tcp +10\.244\.1\.7:8080 +[23]h[0-9m]* +shop/web-0' "$work/out" || fail "affinity: $(cat "$work/out")"
"$PODGLASS" get sticky shop/sticky -f "$work/sticky" --no-headers | found '^10.244.1.20' || fail "affinity of a service"

# what the ingress goes by: annotations in force, backends that are not there, certificates, whose word a setting is
WALK_LISTS=1 "$walk" tests/walk/annotations-rewrite.walk | grep '"kind":"RouteList"' | tail -1 >"$work/routes"
"$PODGLASS" get routes rewrite.example.test -f "$work/routes" -o wide --no-headers >"$work/out"
grep -qE '^rewrite\.example\.test +/something\(/\|.\)\(\.\*\) +regular expression .*Ingress/shop/rewriting +rewrite-target=/.2,x-forwarded-prefix=/something .*walk.yaml:14$' "$work/out" || fail "a route's filters: $(cat "$work/out")"
"$PODGLASS" get routes Ingress/shop/shop -f "$work/routes" --no-headers | found 'shop/nowhere:80 (not there)' || fail "a backend that is not there"
WALK_LISTS=1 "$walk" tests/walk/gateway-weights.walk | grep '"kind":"RouteList"' | tail -1 >"$work/routes"
"$PODGLASS" get routes shop/split -f "$work/routes" --no-headers | found -E 'shop/v2:80 +1/10 ' || fail "weights"
WALK_LISTS=1 "$walk" tests/walk/annotations-canary.walk | grep '"kind":"RouteList"' | tail -1 >"$work/routes"
"$PODGLASS" get routes -f "$work/routes" --no-headers | found -E ' Cookie [a-z-]+=always ' || fail "a canary by cookie"
WALK_LISTS=1 "$walk" tests/walk/tls-ends-at-the-ingress.walk | grep '"kind":"IngressList"' | tail -1 >"$work/ingresses"
"$PODGLASS" get ing shop/vault -f "$work/ingresses" --no-headers | found -E '^shop +vault +<none> +vault.example.test +203.0.113.10 +80,443$' || fail "an ingress with TLS"
"$PODGLASS" get ing shop/shop -f "$work/ingresses" -o json >"$work/out"
for whose in secret made-up; do
    grep -q "\"certificate\": \"$whose\"" "$work/out" || fail "certificate: $whose"
done
WALK_LISTS=1 "$walk" tests/walk/config-map-of-ingress-nginx.walk | grep '"kind":"SettingList"' | tail -1 >"$work/settings"
"$PODGLASS" get settings -f "$work/settings" | found -E '^spec.ingress.headers.X-Forwarded-For +append-always +ConfigMap/ingress-nginx/ingress-nginx-controller  walk.yaml:6$' || fail "whose word a setting is"
"$PODGLASS" get settings spec.ingress.timeouts.headSeconds -f "$work/settings" --no-headers | found -E ' 10 +default$' || fail "a timeout"

# a node port is one of any node
WALK_LISTS=1 "$walk" tests/walk/node-port-cluster-near.walk | grep '"kind":"TranslationList"' | tail -1 | "$PODGLASS" get nat -f - | found -E '^front +dnat +any node:[0-9]+ +=> ' || fail "a node port's translation"

# one of them by name, and what is not there
grep ConntrackList "$work/lists" >"$work/flows"
"$PODGLASS" get ct 2 -f "$work/flows" --no-headers | found '^2 .*10.96.12.40:80' || fail "a flow by its id"
! "$PODGLASS" get ct 77 -f "$work/flows" 2>/dev/null || fail "a flow that is not there"

# order, names, namespaces, and who fills the table
"$PODGLASS" get ct -f "$work/flows" -o name >"$work/out"
[ "$(cat "$work/out")" = "$(sort -t/ -k2n "$work/out")" ] || fail "flows are not in the order of their ids: $(cat "$work/out")"
grep -qx 'conntrack/2' "$work/out" || fail "a flow's name"
"$PODGLASS" get ct -f "$work/flows" --sort-by .original.src --no-headers | awk '{ print $4 }' >"$work/out"
[ "$(cat "$work/out")" = "$(LC_ALL=C sort "$work/out")" ] || fail "flows are not in the order asked for: $(cat "$work/out")"
"$PODGLASS" get ct -f "$work/flows" -n shop --no-headers | found 'shop/web' || fail "flows of a namespace"
! "$PODGLASS" get ct -f "$work/flows" -n shop --no-headers | found 'edge/gateway' || fail "flows of another namespace"
grep '"kind":"ServiceList"' "$work/lists" | "$PODGLASS" get svc -f - -n edge -o name | found -x 'services/edge/gateway' || fail "services of a namespace"
"$PODGLASS" get ct -f "$work/flows" --summary service >"$work/out"
head -1 "$work/out" | found -E '^SERVICE +ENTRIES +NEW/10S +TIME_WAIT +UNREPLIED +OLDEST +SHARE$' || fail "heads of a summary"
grep -qE '^shop/web +1 +1 +0 +0 +[0-9]+s +50.0%$' "$work/out" || fail "a summary: $(cat "$work/out")"
tail -1 "$work/out" | found -x 'total 2' || fail "the sum of a summary"
"$PODGLASS" get ct -f "$work/flows" --summary client -o jsonl | found '"group": *"198.51.100.7"' || fail "a summary by client"

# members that choose, YAML, templates, columns of one's own
"$PODGLASS" get ct -f "$work/flows" --field-selector service=shop/web,original.dstPort==80 -o name >"$work/out"
[ "$(cat "$work/out")" = conntrack/2 ] || fail "flows by their members: $(cat "$work/out")"
"$PODGLASS" get ct -f "$work/flows" --field-selector service!=shop/web -o name | found -x conntrack/1 || fail "flows by what they are not"
grep '"kind":"ServiceList"' "$work/lists" >"$work/services"
[ "$("$PODGLASS" get svc -f "$work/services" --field-selector metadata.name=web -o name)" = services/shop/web ] || fail "kubectl's name of a name"
[ "$("$PODGLASS" get svc gateway web -f "$work/services" -o jsonpath='{range .items[*]}{.namespace}/{.name} {end}')" = "edge/gateway shop/web " ] || fail "a template"
[ "$("$PODGLASS" get svc web -f "$work/services" -o jsonpath='{.ports[?(@.name=="http")].port}')" = 80 ] || fail "a template of one object"
"$PODGLASS" get svc gateway web -f "$work/services" -o 'custom-columns=NAME:.name,IP:.clusterIPs[0],NOT:.there' >"$work/out"
sed -n 1p "$work/out" | found -Ex 'NAME +IP +NOT' || fail "heads of columns"
sed -n 3p "$work/out" | found -Ex 'web +10.96.12.40 +<none>' || fail "columns: $(cat "$work/out")"
for row in flows=ct services=svc; do
    "$PODGLASS" get "${row#*=}" -f "$work/${row%=*}" -o yaml >"$work/yaml"
    "$PODGLASS" get "${row#*=}" -f "$work/${row%=*}" -o json >"$work/json"
    python3 - "$work" <<'PYTHON' || fail "YAML of $row says something else"
import json, sys
try:
    import yaml
except ImportError:
    sys.exit(0)  # tests/unit/tools/test_yaml_write.c reads it back in any case
work = sys.argv[1]
sys.exit(yaml.safe_load(open(work + "/yaml")) != json.load(open(work + "/json")))
PYTHON
done
"$PODGLASS" get svc web gateway -f "$work/services" --no-headers >"$work/out"
[ "$(awk '{ print $2 }' "$work/out" | xargs)" = "web gateway" ] || fail "two by their names"
"$PODGLASS" get svc/shop/web -f "$work/services" -o name | found -x services/shop/web || fail "TYPE/NAME"
[ "$("$PODGLASS" get svc/web svc/gateway -f "$work/services" -o jsonpath='{.kind} {.items[*].kind} {.items[*].name}')" = "List Service Service web gateway" ] || fail "a list of two"
[ "$("$PODGLASS" get svc -A -n nowhere -f "$work/services" -o name)" = "$("$PODGLASS" get svc -f "$work/services" -o name)" ] || fail "all namespaces"

# wrong ones
status() { "$PODGLASS" get "$@" >"$work/out" 2>"$work/err" && echo 0 || echo $?; }
[ "$(status nodes -f "$work/flows")" = 1 ] || fail "a list of another kind is taken"
grep -q 'is a ConntrackList, not a NodeList' "$work/err" || fail "which kind it is goes unsaid"
echo '{"apiVersion": "podglass/v1alpha1", ' >"$work/cut"
[ "$(status ct -f "$work/cut")" = 1 ] || fail "half a list is taken"
[ "$(status ct -f "$work/nothing")" = 1 ] || fail "a file that is not there is taken"
[ "$(status ct -f "$work/flows" --sort-by .nobody)" = 2 ] || fail "an order by what is not there"
[ "$(status nodes -f "$work/flows" --summary service)" = 2 ] || fail "a summary of nodes"
for wrong in '-o jsonpath={.items[*}' '-o jsonpath={.items' '-o jsonpath=' '-o custom-columns=NAME' '-o custom-columns=NAME:.a[' \
    '--field-selector nothing=1' '--field-selector state' '--field-selector a[=1' '--summary service -o name'; do
    # shellcheck disable=SC2086 # two words
    [ "$(status ct -f "$work/flows" $wrong)" = 2 ] || fail "taken: $wrong"
done
[ "$(status ct -f "$work/flows" -o 'jsonpath={.items[*}')" = 2 ]
grep -q 'at character 10: \] is expected' "$work/err" || fail "the place of a mistake goes unsaid: $(cat "$work/err")"
[ "$(status svc web nobody -f "$work/services")" = 1 ] || fail "one of two is not there"
grep -q 'web' "$work/out" || fail "and the other is not shown"
[ "$(status svc,ct -f "$work/services")" = 2 ] || fail "a file is two lists"
[ "$(status svc/web svc -f "$work/services")" = 2 ] || fail "a type among names"
[ "$(status svc,nothing)" = 2 ] || fail "a type that is none"
[ "$(status ct -f "$work/flows" -w)" = 2 ] || fail "a saved list can be watched"
[ "$(status ct -f "$work/flows" -o conntrack)" = 2 ] || fail "conntrack lines come from an instance only"
printf '\n' | "$PODGLASS" get ct -f - 2>&1 | found 'No resources found' || fail "no items are no list"
