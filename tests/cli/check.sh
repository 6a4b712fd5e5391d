#!/bin/bash
# `podglass check` as a user has it: exit status, the forms of output, mistakes with their places, and that it is quick enough.
set -euo pipefail
cd "${PODGLASS_SOURCE:?}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAIL: $*" >&2
    exit 1
}
# Runs check with what is given; status in $status, output in $work/out and $work/err.
check() {
    status=0
    "${PODGLASS:?}" check "$@" >"$work/out" 2>"$work/err" || status=$?
}
says() { grep -qF -- "$2" "$work/$1" || { cat "$work/$1" >&2; fail "$1 lacks: $2"; }; }
ends() { [ "$status" -eq "$1" ] || { cat "$work/out" "$work/err" >&2; fail "status $status, not $1"; }; }

lab=(-f examples/lab -f examples/checks.yaml)

# ---- the example: one promise is broken, and the line that breaks it is named
check "${lab[@]}"
ends 1
[ "$(head -n 1 "$work/out")" = "TAP version 13" ] || fail "without a terminal it is not TAP"
says out 'not ok 1 - browser address reaches the pod'
says out 'code: PG101'
says out 'source: "examples/lab/edge.yaml:'
says out 'ok 5 - '

check "${lab[@]}" -o text
ends 1
says out 'want carried   got lost   at hop 1: svc/edge/gateway externalTrafficPolicy: Cluster (default)'
says out '5 cases: 4 passed, 1 failed'

# ---- with the line changed all is well; the same bytes every time
sed 's/^  type: LoadBalancer/&\n  externalTrafficPolicy: Local/' examples/lab/edge.yaml >"$work/edge.yaml"
good=(-f "$work/edge.yaml" -f examples/lab/shop.yaml -f examples/lab/lab.yaml -f examples/checks.yaml)
check "${good[@]}" --records "$work/records"
ends 0
cp "$work/out" "$work/first"
check "${good[@]}" --records "$work/again"
cmp "$work/out" "$work/first" || fail "two runs print different things"
cmp "$work/records" "$work/again" || fail "two runs record different things"
grep -q '"kind":"Rewrite"' "$work/records" || fail "no records"
cat examples/checks.yaml "$work/edge.yaml" examples/lab/shop.yaml examples/lab/lab.yaml >"$work/all.yaml"
sed -i 's/^apiVersion:/---\n&/' "$work/all.yaml"
check -f - -o json <"$work/all.yaml"
ends 0
python3 - "$work/out" <<'PY'
import json, sys
result = json.load(open(sys.argv[1]))
assert result["kind"] == "CheckResult" and result["passed"] == 5, result
assert result["items"][0]["verdict"] == "carried", result["items"][0]
PY

check "${lab[@]}" --set svc/edge/gateway.externalTrafficPolicy=Local
ends 0

# ---- reports
check "${lab[@]}" --junit "$work/report.xml" --github
ends 1
says err '::error file=examples/lab/edge.yaml,line='
python3 - "$work/report.xml" <<'PY'
import sys, xml.etree.ElementTree as xml
suite = xml.parse(sys.argv[1]).find("testsuite")
assert suite.get("tests") == "5" and suite.get("failures") == "1", suite.attrib
failed = [c for c in suite if c.find("failure") is not None]
assert len(failed) == 1 and "PG101" in failed[0].find("failure").text
PY
check "${good[@]}" --junit "$work/no/such/report.xml"
ends 1

# ---- every kind of end
cat >"$work/ends.yaml" <<'YAML'
apiVersion: podglass/v1alpha1
kind: Check
cases:
- name: nobody is there
  request: {from: alice, url: http://203.0.113.10:81/, timeout: 5}
  expect: {error: unreachable, drops: [no-route]}
- name: a name that does not exist
  request: {from: alice, url: http://nowhere.shop.svc.cluster.local/}
  expect: {status: 200}
- name: a short name is found from its own namespace
  request: {fromPod: shop/web-0, url: "http://web/echo?x=1"}
  expect: {status: 200, service: shop/web}
- name: a short name is not found from outside
  request: {from: alice, url: http://web/}
  expect: {status: 200}
- name: a node is a client, too
  request: {fromNode: node-1, url: http://10.96.12.40/}
  expect: {status: 200, service: shop/web}
- name: a body goes along
  request: {from: alice, url: http://shop.example.test/, method: POST, body: "hello"}
  expect: {status: 200, header: {Content-Length: 5}}
- name: what the pod says passes
  request: {from: alice, url: http://shop.example.test/status/404}
  expect: {status: 404, service: shop/web}
- name: readers
  request: {from: mallory, url: http://shop.example.test/, headers: {X-Forwarded-For: 10.0.0.1}}
  expect: {reader: {xff-left: 10.0.0.1}}
YAML
check -f examples/lab -f "$work/ends.yaml" -o text
ends 1
says out 'FAIL  a name that does not exist'
says out 'nowhere.shop.svc.cluster.local: NXDOMAIN'
says out 'FAIL  a short name is not found from outside'
says out 'reader.xff-left   want 10.0.0.1   got 10.244.1.1'
grep -c '^ok' "$work/out" | grep -qx 5 || { cat "$work/out" >&2; fail "not five pass"; }

# ---- mistakes
check
ends 2
check -f examples/lab
ends 2
says err 'none of the inputs has a document of kind Check'
check "${lab[@]}" surplus
ends 2
check "${lab[@]}" -o yaml
ends 2
cat >"$work/bad.yaml" <<'YAML'
apiVersion: podglass/v1alpha1
kind: Check
cases:
- name: one
  request: {from: nobody, url: http://shop.example.test/}
  expect: {stauts: 200}
- name: two
  request: {fromPod: shop/web-7, url: gopher://x/}
  expect: {service: shop/wbe}
YAML
check -f examples/lab -f "$work/bad.yaml" --github
ends 3
[ ! -s "$work/out" ] || fail "something was run although the checks are wrong"
for place in bad.yaml:5: bad.yaml:6: bad.yaml:8: bad.yaml:9:; do
    says err "$place"
done
says err 'did you mean status?'
says err '::error file='

# ---- a hundred cases in less than a second (ten with sanitizers)
{
    printf 'apiVersion: podglass/v1alpha1\nkind: Check\ncases:\n'
    for i in {1..100}; do
        printf -- '- name: case %d\n  request: {from: 198.51.100.%d, url: http://shop.example.test/}\n' "$i" "$i"
        printf '  expect: {status: 200, client: {verdict: lost}, drops: none}\n'
    done
} >"$work/many.yaml"
start=$(date +%s%N)
check -f examples/lab -f "$work/many.yaml"
took_ms=$((($(date +%s%N) - start) / 1000000))
ends 0
echo "100 cases in $took_ms ms"
limit_ms=1000
[ -z "${ASAN_OPTIONS:-}" ] || limit_ms=10000
[ "$took_ms" -lt "$limit_ms" ] || fail "100 cases took $took_ms ms"
