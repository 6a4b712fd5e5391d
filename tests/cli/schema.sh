#!/bin/bash
# Real outputs of every kind against the schemas: lists and records of all walks, and what the verbs print with -o json.
set -euo pipefail
cd "${PODGLASS_SOURCE:?}"
python=/usr/bin/python3 # the distribution's, which has the package
"$python" -c 'import jsonschema' 2>/dev/null || { echo "python3-jsonschema is missing: scripts/deps --tests"; exit 77; }
walk=$(dirname "${PODGLASS:?}")/tests/walk
[ -x "$walk" ] || { echo "no $walk"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Some statuses are not 0, and that is not the question here.
podglass() { "$PODGLASS" "$@" 2>/dev/null || true; }

shop=(-f tests/walk/manifests/shop.yaml)
lab=(-f examples/lab)
{
    for file in tests/walk/*.walk; do
        WALK_LISTS=1 WALK_RECORDS=1 "$walk" "$file" >"$work/one" || { echo "$file fails" >&2; exit 1; }
        grep '^{' "$work/one" || true
    done
    for from in alice pod:shop/web-0 node:node-1; do
        for url in http://shop.example.test/ http://shop.example.test/empty http://shop.example.test/missing \
            http://10.96.12.40/ http://203.0.113.51/ http://10.96.12.50/ http://192.0.2.11:30044/ http://10.96.99.1/; do
            podglass explain "${shop[@]}" --from "$from" -o json "$url"
            podglass explain "${shop[@]}" --from "$from" -H 'X-Forwarded-For: 192.0.2.7' -o json "$url"
            podglass request "${shop[@]}" --from "$from" -o json "$url"
        done
    done
    podglass explain "${shop[@]}" --from alice --to 192.0.2.11:30060/udp -o json
    podglass lint "${shop[@]}" -o json
    podglass lint "${lab[@]}" -o json
    echo 'apiVersion: v1' | podglass lint -f - -o json
    podglass diff "${lab[@]}" --set svc/edge/gateway.externalTrafficPolicy=Local -o json
    podglass diff "${lab[@]}" "${shop[@]}" -o json
    podglass check "${lab[@]}" -f examples/checks.yaml -o json --records "$work/records"
    podglass trace -f "$work/records" -o json
    podglass trace -f "$work/records" -o jsonl
    podglass demo -o jsonl
    WALK_LISTS=1 "$walk" tests/walk/a-connection-shows-both-legs.walk | grep '"kind":"ConntrackList"' >"$work/flows"
    podglass get ct -f "$work/flows" --summary service -o json
    podglass get ct 1 2 -f "$work/flows" -o json
    podglass version -o json
} >"$work/all"
# About, Clock, Error and Missed need a running instance (tests/netns/trace.sh); Exchange is inside of ExchangeList.
"$python" tests/cli/schema.py Clock Error Missed Exchange About <"$work/all"
