#!/bin/bash
# How podglass starts, reloads and ends: signals, a device that vanishes, manifests that are wrong, a second instance.
#
#   client: curl -- veth -- node: podglass on pg0 -- veth -- pod1, pod2: nginx (slow files)
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

lab_up
random_file two 2 >/dev/null
start_podglass

# start_slow: a download of 2 MiB at 512 KiB/s
start_slow() {
    rm -f "$WORK/slow.log"
    spawn "$CLIENT" slow curl -s -m 20 -o /dev/null -w '%{http_code} %{size_download}' -H 'Host: shop.example.test' \
        "http://$VIP/slow/two"
    CURL_PID=$SPAWNED
    wait_for 10 has_session || true
}
# shellcheck disable=SC2317 # wait_for calls it
has_session() { [ "$(pool sessions)" -gt 0 ]; }
end_slow() { wait "$CURL_PID" || true; }

# run_again [FLAG...]: another instance, which should end by itself; sets STATUS and ERR
run_again() {
    STATUS=0
    ERR=$(in_node timeout -k 5 20 "$PODGLASS" run "$@" 2>&1) || STATUS=$?
}

# ---- SIGHUP

before=$(get services | jq '.items | length')
cp "$WORK/lab.yaml" "$WORK/good.yaml"
line=$(($(wc -l <"$WORK/lab.yaml") + 7))
{
    cat "$WORK/good.yaml"
    printf -- '---\napiVersion: v1\nkind: Service\nmetadata: {name: wrong, namespace: shop}\nspec:\n  selector: {app: web}\n  ports: [{port: 123456}]\n'
} >"$WORK/lab.yaml"
kill -HUP "$PG_PID"
wait_for 5 grep -q 'lab.yaml:' "$PG_LOG" || true
has "a reload with a mistake says where" "$(cat "$PG_LOG")" "lab\\.yaml:$line:[0-9]+: error\\[PG400\\]: .*ports\\[0\\]\\.port"
is "and the manifests before stay" "$(get services | jq '.items | length')" "$before"
ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test'
is "and requests go on" "$STATUS" 200
printf 'this: [is not\n' >"$WORK/lab.yaml"
kill -HUP "$PG_PID"
sleep 0.5
ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test'
is "the same with a file that is no YAML" "$STATUS" 200
rm "$WORK/lab.yaml"
kill -HUP "$PG_PID"
sleep 0.5
ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test'
is "the same with a file that has vanished" "$STATUS" 200
lab_manifest Local >"$WORK/lab.yaml"
reload
ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test'
is "a good one takes effect" "$STATUS $XFF" "200 $ALICE"
cp "$WORK/good.yaml" "$WORK/lab.yaml"

# ---- a second instance

run_again -f "$WORK/good.yaml" --tun pg0 --socket "$WORK/second.sock"
is "a second instance on the same TUN: exit status" "$STATUS" 4
has "a second instance on the same TUN: why" "$ERR" 'TUN pg0: .*([Bb]usy|in use)'
run_again -f "$WORK/good.yaml" --tun pg1 --socket "$SOCK"
is "a second instance on the same socket: exit status" "$STATUS" 4
has "a second instance on the same socket: why" "$ERR" 'another instance answers'
runs "the first one still answers" get nodes

# ---- bad manifests at the start

printf 'apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec:\n  type: Wrong\n  ports: [{port: 80}]\n' >"$WORK/bad.yaml"
run_again -f "$WORK/bad.yaml" --tun pg2 --socket "$WORK/bad.sock"
is "a bad manifest: exit status" "$STATUS" 3
has "a bad manifest: file, line and field" "$ERR" 'bad\.yaml:5:[0-9]+: error\[PG400\]: Service/default/x: .*spec\.type'
run_again -f "$WORK/none.yaml" --tun pg2 --socket "$WORK/bad.sock"
is "no such file: exit status" "$STATUS" 3
has "no such file: it is named" "$ERR" 'none\.yaml'
is "and no device is left" "$(in_node ip -o link | grep -cE ' pg[12]:' || true)" 0

# ---- SIGTERM with a request in flight

start_slow
kill -TERM "$PG_PID"
sleep 0.5
runs "SIGTERM: podglass stays while a request is in flight" alive "$PG_PID"
end_slow
is "SIGTERM: the request in flight ends whole" "$(cat "$WORK/slow.log")" "200 $((2 * 1048576))"
wait_podglass 10
is "SIGTERM: exit status" "$PG_STATUS" 0
is "SIGTERM: the socket is gone" "$(find "$WORK" -name control.sock | wc -l)" 0

# ---- SIGTERM twice does not wait

start_podglass
start_slow
kill -TERM "$PG_PID"
sleep 0.2
kill -TERM "$PG_PID"
wait_podglass 3
is "SIGTERM twice: ends at once with" "$PG_STATUS" 0
end_slow
has "SIGTERM twice: the request is cut off" "$(cat "$WORK/slow.log")" '^(200|000) '

# ---- SIGTERM with idle connections only

start_podglass
hold 5 "http://$VIP/quiet" shop.example.test $ALICE
kill -TERM "$PG_PID"
wait_podglass 3
is "SIGTERM with idle connections: ends at once with" "$PG_STATUS" 0
hold_end

# ---- killed: what is left does not stand in the way

start_podglass
{
    kill -KILL "$PG_PID"
    wait_podglass 3
} 2>/dev/null # bash would say so
is "killed" "$PG_STATUS" 137
is "its socket file is left" "$(find "$WORK" -name control.sock | wc -l)" 1
start_podglass
runs "a stale socket is replaced" get nodes
ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test'
is "and requests pass" "$STATUS" 200

# ---- a file that is no socket is not touched

echo precious >"$WORK/precious"
run_again -f "$WORK/good.yaml" --tun pg3 --socket "$WORK/precious"
is "something else at the socket's path: exit status, and it stays" "$STATUS $(cat "$WORK/precious")" "4 precious"

# ---- the TUN vanishes

ip -n "$NODE" link del pg0
wait_podglass 5
is "the TUN is deleted: exit status" "$PG_STATUS" 1
has "the TUN is deleted: it is said" "$(tail -n 5 "$PG_LOG")" 'pg0 has vanished'
PG_PID=

# ---- interface down and up again

start_podglass
ip -n "$NODE" link set pg0 down
sleep 0.5
runs "interface down: podglass waits" alive "$PG_PID"
ip -n "$NODE" link set pg0 up
for address in 10.244.0.0/16 10.96.0.0/16 192.0.2.11 192.0.2.12 $VIP; do
    ip -n "$NODE" route replace "$address" dev pg0
done
ip -n "$NODE" route replace default dev pg0 table 100
ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test'
is "interface up again: requests pass" "$STATUS" 200
stop_podglass
done_testing
