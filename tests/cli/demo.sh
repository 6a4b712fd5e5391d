#!/bin/bash
# podglass demo, as a user has it: the scenes, one of them with a setting changed, and their manifests to take home.
set -euo pipefail
cd "${PODGLASS_SOURCE:-$(dirname "$0")/../..}"
podglass=${PODGLASS:-build/release/podglass}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# shellcheck source=expect.bash
. tests/cli/expect.bash

status 0 "$podglass" demo
want "client 198.51.100.7  LOST" "$podglass" demo 1
want "client 198.51.100.7  CARRIED" "$podglass" demo 2

want "client 198.51.100.7  CARRIED" "$podglass" demo 5
want "v1 TCP4 198.51.100.7:40000 > 203.0.113.10:80" "$podglass" demo 5
want "sequenceDiagram" "$podglass" demo 3 -o mermaid
want "| 0.0" "$podglass" demo 3 -o markdown
want "Scene 5 of 5" script -qec "$podglass demo --auto" /dev/null
want "Enter for the next scene" script -qec "$podglass demo" /dev/null </dev/null

# What is changed by hand is said, and the moral of the scene, which need not be true any more, is not.
local=svc/edge/gateway.externalTrafficPolicy=Local
want "client 198.51.100.7  CARRIED" "$podglass" demo 1 --set "$local"
want "but with $local" "$podglass" demo 1 --set "$local"
if "$podglass" demo 1 --set "$local" | grep -q 'in good faith'; then
    echo "FAILED: a moral of another story"
    failed=1
fi
status 3 "$podglass" demo --set svc/edge/gone.externalTrafficPolicy=Local
status 2 "$podglass" demo 99

# The manifests of a scene give the same answer.
status 0 "$podglass" demo 2 --save "$dir"
want "CARRIED" "$podglass" explain -f "$dir/scene-2" http://shop.example.test/cart
exit $failed
