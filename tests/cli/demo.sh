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

# An endpoint leaves while it is at work: the flow that is there keeps it, the next one does not get it.
scene=$("$podglass" demo 6)
[[ $scene == *"shop/web-0 says:"*"the manifests were loaded again: pod shop/web-0 is not ready"*"shop/web-1 says:"* ]] ||
    { printf 'FAILED: demo 6\n%s\n' "$scene"; failed=1; }
[ "$("$podglass" demo 6 -o mermaid | grep -c sequenceDiagram)" = 2 ] || { echo "FAILED: demo 6 draws both requests"; failed=1; }
# What it says of the flow is so for any draw: nobody who comes later gets the pod that left.
for seed in 2 3 4 5 6 7; do
    [[ $("$podglass" demo 6 --seed $seed) == *"loaded again"*"shop/web-1 says:"* ]] || { echo "FAILED: demo 6 --seed $seed"; failed=1; }
done

want "sequenceDiagram" "$podglass" demo 3 -o mermaid
want "| 0.0" "$podglass" demo 3 -o markdown
want "Scene 6 of 6" script -qec "$podglass demo --auto" /dev/null
want "Enter for the next scene" script -qec "$podglass demo" /dev/null </dev/null

# What somebody else wrote has no meaning in a diagram or a table.
stranger=('--set' 'ing/shop/shop.metadata.annotations={"nginx.ingress.kubernetes.io/rewrite-target": "/<b>|;`[x](y)*&amp_@me"}')
want '=#62; /#60;b#62;#124;#59;#96;#91;x#93;(y)#42;#38;amp_#64;me' "$podglass" demo 2 -o mermaid "${stranger[@]}"
want '/&lt;b&gt;&#124;;\`\[x\](y)\*&amp;amp\_&#64;me' "$podglass" demo 2 -o markdown "${stranger[@]}"
for form in mermaid markdown; do
    ! "$podglass" demo 2 -o "$form" "${stranger[@]}" | grep -e '<b>' || { echo "FAILED: not escaped in $form"; failed=1; }
done

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
status 0 "$podglass" demo 6 --save "$dir"
want "or  10.244.2.9:8080     50%" "$podglass" explain -f "$dir/scene-6" http://shop.example.test/
cp "$dir/scene-6/shop.yaml.later" "$dir/scene-6/shop.yaml"
want "the only endpoint" "$podglass" explain -f "$dir/scene-6" --to 10.96.12.40:80
status 0 "$podglass" demo 2 --save "$dir"
want "CARRIED" "$podglass" explain -f "$dir/scene-2" http://shop.example.test/cart

# The README shows what is printed.
shown=$(sed -n '/^\$ podglass demo 1$/,/^```$/p' README.md | sed '1d;$d')
want "$shown" "$podglass" demo 1
exit $failed
