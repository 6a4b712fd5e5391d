#!/bin/bash
# The same request on the in-process wire and on a TUN: the same rewrites, the same reasons.
#
#   tier 1   podglass demo N        one process, lwIP endpoints on both ends, virtual time
#   tier 2   podglass run -- curl   the kernel's TCP in a namespace of its own, a TUN, real time
#
# Ports, request ids, curl's look-up of the name, which of two pods answers and what curl adds to a request differ by nature; everything else of each
# record must not.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
need

# Records of a request, in order, without what differs by nature.
normal() {
    jq -r 'select(.kind == "Rewrite" or .kind == "Keep") | select(.stage != "dns" and .proto != "udp")
        | [.kind, .stage, .direction, .field, (.name // ""), (.before // ""), (.after // ""), .reason.code,
           .reason.object // "", .reason.path // "", .reason.value // "", .reason.source // ""] | join(" ")' |
        grep -v X-Request-ID |
        sed -E 's/(198\.51\.100\.[0-9]+|10\.244\.1\.2):[0-9]{4,5}/\1:PORT/g; s/10\.244\.(1\.7|2\.9):8080/POD/g; s#[^ ]*/(edge|shop|lab)\.yaml#\1.yaml#'
}

# scene N CURL-ARGUMENT...
scene() {
    local n=$1
    shift
    "$PODGLASS" demo "$n" -o jsonl --save "$WORK" | normal >"$WORK/wire-$n"
    "$PODGLASS" run -f "$WORK/scene-$n" --trace --socket "$WORK/s$n.sock" "${CLIENT_FLAGS[@]}" -- sh -c "
        curl -sS -o $WORK/body-$n $(printf '%q ' "$@") &&
        curl -sS --unix-socket $WORK/s$n.sock 'http://podglass/v1/trace?since=1&limit=1000' >$WORK/records-$n" 2>"$WORK/log-$n" ||
        not_ok "scene $n runs on a TUN" "$(cat "$WORK/log-$n")"
    normal <"$WORK/records-$n" >"$WORK/tun-$n"
    if [ -s "$WORK/wire-$n" ] && diff "$WORK/wire-$n" "$WORK/tun-$n" >"$WORK/diff-$n"; then
        ok "scene $n: $(wc -l <"$WORK/wire-$n") records are the same on the wire and on a TUN"
    else
        not_ok "scene $n: the same records on the wire and on a TUN" "$(cat "$WORK/diff-$n")"
    fi
}

CLIENT_FLAGS=(--client alice)
scene 2 -H 'User-Agent: demo' -H 'Accept:' http://shop.example.test/cart
CLIENT_FLAGS=(--client mallory)
scene 3 -H 'User-Agent: demo' -H 'Accept:' -H 'X-Forwarded-For: 10.0.0.1' -H 'X-Real-IP: 10.0.0.1' http://shop.example.test/admin
scene 4 -H 'User-Agent: demo' -H 'Accept:' -H 'X-Forwarded-For: 10.0.0.1' http://shop.example.test/admin
done_testing
