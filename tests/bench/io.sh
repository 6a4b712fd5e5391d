#!/bin/bash
# CPU time per request, plain writes against io_uring, in interleaved rounds: tests/bench/io.sh
#
#   client: wrk -- pgc -- podglass -- pgp -- pod1, pod2: nginx     (as in tests/netns/links.sh)
#
# PEER_CPU (1) and PG_CPU (1) say where what runs, a list as taskset takes it: the same CPU for all, podglass alone on
# another, or 0-1 for both. ROUNDS (4), CONNECTIONS ("1 16 64 256"), SECONDS_EACH (1). CPU time is that of two cpuacct
# groups, so all that is not ours counts only as noise; what is compared is the median of ratios within a round. Root.
# shellcheck source-path=SCRIPTDIR/../netns
. "$(dirname "$0")/../netns/lib.sh"
need nginx wrk taskset

PEER_CPU=${PEER_CPU:-1} PG_CPU=${PG_CPU:-1}
GROUP=/sys/fs/cgroup/cpuacct/pgio$$
SEEN=$WORK/seen.txt
[ -d /sys/fs/cgroup/cpuacct ] || unable "no cpuacct groups"
mkdir -p "$GROUP/podglass" "$GROUP/peers"
# shellcheck disable=SC2317 # called by the trap
leave() {
    trap - ERR
    end_processes 2>/dev/null
    echo $$ >/sys/fs/cgroup/cpuacct/cgroup.procs
    sleep 0.3
    rmdir "$GROUP/podglass" "$GROUP/peers" "$GROUP"
    finish
}
trap leave EXIT
taskset -cp "$PEER_CPU" $$ >/dev/null
echo $$ >"$GROUP/peers/cgroup.procs"

for space in "$NODE" "$CLIENT" "$POD1" "$POD2"; do space_up "$space"; done
nginx_up "$POD1" web-0
nginx_up "$POD2" web-1
lab_manifest Local >"$WORK/lab.yaml"

start() { # start IO
    PG_LOG=$WORK/podglass.log
    echo $$ >"$GROUP/podglass/cgroup.procs"
    spawn "$NODE" podglass taskset -c "$PG_CPU" "$PODGLASS" run -f "$WORK/lab.yaml" --configure --socket "$SOCK" \
        --io "$1" --tun "pgc@$CLIENT=$ALICE,$MALLORY" --tun "pgp@$POD1=$WEB0" --tun "pgp@$POD2=$WEB1"
    PG_PID=$SPAWNED
    echo $$ >"$GROUP/peers/cgroup.procs"
    wait_for 20 get_quietly nodes || unable "podglass does not start: $(tail -n 3 "$PG_LOG")"
}

load() { in_client wrk -t1 "-c$1" "-d$2s" -H 'Host: shop.example.test' "http://$VIP/quiet"; }

# measure IO CONNECTIONS: one line "connections io requests podglass-ns peers-ns" per run
measure() {
    local ours peers n
    load "$2" 1 >/dev/null
    ours=$(<"$GROUP/podglass/cpuacct.usage") peers=$(<"$GROUP/peers/cpuacct.usage")
    load "$2" "${SECONDS_EACH:-1}" >"$WORK/wrk.out"
    ours=$(($(<"$GROUP/podglass/cpuacct.usage") - ours)) peers=$(($(<"$GROUP/peers/cpuacct.usage") - peers))
    n=$(wrk_requests "$WORK/wrk.out")
    [ "$(wrk_errors "$WORK/wrk.out")" = 0 ] || echo "# errors: $(wrk_errors "$WORK/wrk.out")"
    echo "$2 $1 $n $((ours / n)) $((peers / n))" | tee -a "$SEEN"
}

echo "# connections io requests podglass-ns peers-ns"
for ((round = 0; round < ${ROUNDS:-4}; round++)); do
    for io in plain uring; do
        start $io
        for connections in ${CONNECTIONS:-1 16 64 256}; do measure $io "$connections"; done
        kill -TERM "$PG_PID"
        wait_podglass 15
    done
done

"$PYTHON" - "$SEEN" <<'END'
import statistics, sys
runs = {}
for line in open(sys.argv[1]):
    connections, io, _, ours, peers = line.split()
    runs.setdefault(int(connections), {}).setdefault(io, []).append((int(ours), int(ours) + int(peers)))
for connections, by_io in sorted(runs.items()):
    for what, at in (("podglass", 0), ("all", 1)):
        pairs = [(p[at], u[at]) for p, u in zip(by_io["plain"], by_io["uring"])]
        print("%4d connections, %-8s  plain %6.2f us  uring %6.2f us  ratio %.2f" % (
            connections, what, statistics.median(p for p, u in pairs) / 1000,
            statistics.median(u for p, u in pairs) / 1000, statistics.median(u / p for p, u in pairs)))
END
FINISHED=1
exit 0
