#!/bin/bash
# What a request costs: podglass against nginx with nftables, side by side, in one run.
#
#   tests/bench/compare.sh [LAB...]         labs: kernel routed direct (default: all that can be built)
#   tests/bench/compare.sh report FILE      the table of an earlier run
#
# kernel: nginx as ingress, kube-proxy's rules in nftables (kernel.sh). routed: podglass on one TUN behind a routing node. direct: podglass
# with TUNs in the client's and the pods' namespaces (both podglass.sh). All labs stand at the same time and take turns, load by load,
# so that what the machine does meanwhile meets all of them.
#
# What counts is CPU: of client, middle and pods together, since a kernel does the receiver's work in the sender's time. Ratios are
# taken within a round, to lab kernel, and the table has their median and range; below 1 podglass costs less.
#
# settings (environment):
#   ROUNDS=5 DURATION=4         seconds per measurement; a run takes about ROUNDS * labs * loads * (DURATION + 1)
#   LOADS="keepalive one close 1m 100m nat open64 open10k"
#      keepalive  small requests on 64 connections          one     the same on one connection: latency
#      close      a new connection on both legs each time   1m 100m bodies, 8 and 2 connections
#      nat        64 connections to a service, no ingress   open64 open10k   64 requests on their way on 64 or 10,000 connections
#   PIN=one|split|none          all on cpu 1; middle on cpu 1 and the rest on cpu 0; anywhere. Judge by one: it measures work, the
#                               others also what it costs to wake a cpu
#   NICE=0 CC=reno              priority; congestion control (nobody loses packets here; bbr paces and would be measured instead)
#   OUT=FILE                    measurements, one per line; default: none are kept
#   PODGLASS=build/release/podglass   KEEP_LOGS=DIR
#
# needs root, nginx, nftables, conntrack, wrk, curl, a C compiler. Everything is in namespaces of its own with addresses of 198.18.0.0/15
# and goes at the end, whatever happens.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
ROUNDS=${ROUNDS:-5} DURATION=${DURATION:-4} LOADS=${LOADS:-keepalive one close 1m 100m nat open64 open10k}
PIN=${PIN:-one} NICE=${NICE:-0} CC=${CC:-reno} OUT=${OUT:-}
PODGLASS=$(realpath "${PODGLASS:-$HERE/../../build/release/podglass}")

# shellcheck source=tests/bench/lab.sh
. "$HERE/lab.sh"
# shellcheck source=tests/bench/kernel.sh
. "$HERE/kernel.sh"
# shellcheck source=tests/bench/podglass.sh
. "$HERE/podglass.sh"

# ---- loads

# A load prints "OPERATIONS ERRORS P50-US P99-US": operations are requests, or MiB of bodies.
wrk_run() { # wrk_run LAB CONNECTIONS SECONDS URL [FLAG...]
    local lab=$1 conns=$2 seconds=$3 url=$4
    shift 4
    (inside "$lab" client "$RUN-$lab-client" timeout $((seconds + 20)) \
        wrk -t1 -c"$conns" -d"${seconds}s" --timeout 5s --latency "$@" "$url") | awk '
        function us(s) { return s ~ /us$/ ? s + 0 : s ~ /ms$/ ? s * 1000 : s * 1000000 }
        $1 == "50%" { p50 = us($2) } $1 == "99%" { p99 = us($2) } / requests in / { n = $1 }
        /Socket errors/ { gsub(",", ""); e += $4 + $6 + $8 + $10 } /Non-2xx/ { e += $NF }
        END { print n + 0, e + 0, p50 + 0, p99 + 0 }'
}

get_run() { # get_run LAB PATH CONNECTIONS
    (inside "$1" client "$RUN-$1-client" timeout $((DURATION + 20)) "$WORK/load" get "$INGRESS_IP" 80 "$2" "$3" "$DURATION") |
        awk -F'[= ]' '{ printf "%.1f %d 0 0\n", $4 / 1048576, $6 }'
}

# Opening ten thousand connections is not what is measured: the CPU is read when they stand.
open_run() { # open_run LAB CONNECTIONS
    local dir=$WORK/open-$1
    rm -rf "$dir"
    mkdir "$dir"
    mkfifo "$dir/go"
    (inside "$1" client "$RUN-$1-client" timeout $((DURATION + 60)) \
        "$WORK/load" open "$INGRESS_IP" 80 / "$2" 64 "$DURATION") <"$dir/go" >"$dir/out" &
    local pid=$!
    exec 7>"$dir/go"
    wait_for 30 grep -q ready "$dir/out" || say "lab $1: $2 connections do not open"
    sleep 0.5
    cpu_read "$1" >"$WORK/cpu-before"
    echo go >&7
    wait "$pid" || true
    exec 7>&-
    awk -F'[= ]' '/^requests/ { print $2, $6, 0, 0; any = 1 } END { if (!any) print 0, 1, 0, 0 }' "$dir/out"
}

load_run() { # load_run LOAD LAB
    case $1 in
    keepalive) wrk_run "$2" 64 "$DURATION" "http://$INGRESS_IP/" ;;
    one) wrk_run "$2" 1 "$DURATION" "http://$INGRESS_IP/" ;;
    close) wrk_run "$2" 64 "$DURATION" "http://$INGRESS_IP/close" -H 'Connection: close' ;;
    1m) get_run "$2" /files/1m 8 ;;
    100m) get_run "$2" /files/100m 2 ;;
    nat) wrk_run "$2" 64 "$DURATION" "http://$WEB_IP/" ;;
    open64) open_run "$2" 64 ;;
    open10k) open_run "$2" 10000 ;;
    *) die "no load $1" ;;
    esac
}

# ---- measuring

cpu_read() { # cpu_read LAB
    echo "$(group_ns "$1" client) $(group_ns "$1" middle) $(group_ns "$1" pods)"
}

measure() { # measure ROUND LOAD LAB
    local result before after start end
    "$3_rest"
    start=$(date +%s%N)
    cpu_read "$3" >"$WORK/cpu-before"
    result=$(load_run "$2" "$3")
    after=$(cpu_read "$3")
    end=$(date +%s%N)
    before=$(<"$WORK/cpu-before")
    # shellcheck disable=SC2086 # words
    printf '%s\t' "$1" "$2" "$3" $result >>"$WORK/results"
    awk -v a="$before" -v b="$after" -v w="$((end - start))" 'BEGIN { split(a, x, " "); split(b, y, " ")
        printf "%.6f\t%.6f\t%.6f\t%.3f\n", (y[1] - x[1]) / 1e9, (y[2] - x[2]) / 1e9, (y[3] - x[3]) / 1e9, w / 1e9 }' >>"$WORK/results"
    tail -n 1 "$WORK/results" | awk -F'\t' '{ printf "round %d %-9s %-6s %10.0f done, %d errors, %6.2f us CPU each\n",
        $1, $2, $3, $4, $5, $4 ? ($8 + $9 + $10) * 1e6 / $4 : 0 }' >&2
}

report() { # report FILE
    awk -F'\t' -f "$HERE/report.awk" "$1"
}

main() {
    local round load lab labs=()
    if [ "${1:-}" = report ]; then
        report "${2:?report FILE}"
        return
    fi
    [ -x "$PODGLASS" ] || die "no podglass at $PODGLASS"
    for lab in "${@:-kernel routed direct}"; do
        # shellcheck disable=SC2206 # words
        labs+=($lab)
    done
    lab_begin
    local standing=()
    for lab in "${labs[@]}"; do
        case $lab in
        kernel | routed) ;;
        direct) direct_possible || {
            say "lab direct is left out: this podglass has no --tun NAME@NETNS"
            continue
        } ;;
        *) die "no lab $lab" ;;
        esac
        "${lab}_up"
        standing+=("$lab")
    done
    : >"$WORK/results"
    for lab in "${standing[@]}"; do wrk_run "$lab" 64 1 "http://$INGRESS_IP/" >/dev/null; done
    for ((round = 1; round <= ROUNDS; round++)); do
        for load in $LOADS; do
            for lab in "${standing[@]}"; do measure "$round" "$load" "$lab"; done
        done
    done
    [ -z "$OUT" ] || cat "$WORK/results" >"$OUT"
    report "$WORK/results"
}
main "$@"
