#!/bin/bash
# What README.md, docs/ and the manual tell people to type, typed: docs.py finds the commands and looks at what becomes of them.
#
#   docs.py, as the client of the lab -- podglass0 (TUN) -- podglass run -f examples/lab; its control socket is the default one
#
# The whole test runs in a network namespace without any way out.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

need script
space_up "$NODE"
root=$(realpath "${PODGLASS_SOURCE:-$NETNS/../..}")
mkdir -p "$WORK/bin" "$WORK/run/podglass" "$WORK/there"
ln -s "$PODGLASS" "$WORK/bin/podglass"
cp -r "$root/examples" "$WORK/there/examples"
cp -r "$root/examples/lab" "$WORK/there/shop"
cp "$root/examples/checks.yaml" "$WORK/there/"
cp -r "$root/examples/lab" "$WORK/there/old"
cp -r "$root/examples/lab" "$WORK/there/new"

cat >"$WORK/inside" <<END
cd "$WORK/there"
curl -s -o /dev/null http://shop.example.test/cart
exec "$PYTHON" "$NETNS/docs.py"
END
status=0
ip netns exec "$NODE" env PATH="$WORK/bin:$PATH" XDG_RUNTIME_DIR="$WORK/run" PODGLASS_SOURCE="$root" DOCS_SECONDS="$(slow 1 2)" \
    "$PODGLASS" run -f "$root/examples/lab" --record --socket "$WORK/run/podglass/default.sock" -- bash "$WORK/inside" 9>&- || status=$?
FINISHED=1
exit "$status"
