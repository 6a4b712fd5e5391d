#!/bin/bash
# Instructions per operation of the micro-benchmarks: each part runs twice under callgrind, and what it takes more for more
# turns is what a turn takes; setting up drops out. Unlike times, they are the same on a busy machine.
#
#   tests/bench/instructions.sh [PART...]      default: all parts of bench-proxy-http, bench-nat-nat, bench-app-path
#
# settings: BUILD=build/release (with debug information) TURNS=2000. Parts with a million flows are left out unless named.
set -euo pipefail
cd "$(dirname "$0")/../.."

BUILD=${BUILD:-build/release} TURNS=${TURNS:-2000}
command -v valgrind >/dev/null || { echo "instructions: valgrind is missing" >&2; exit 1; }

instructions() { # instructions PROGRAM PART TURNS
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$1" "$2" "$3" 2>&1 >/dev/null |
        awk '/Collected/ { print $NF }'
}

printf '%-44s %12s\n' part "instructions"
for program in bench-proxy-http bench-nat-nat bench-app-path; do
    for part in $("$BUILD/tests/$program" --list); do
        if [ $# -gt 0 ]; then
            [[ " $* " == *" $part "* ]] || continue
        elif [[ $part == *-1000000* ]]; then
            continue
        fi
        few=$(instructions "$BUILD/tests/$program" "$part" "$TURNS")
        many=$(instructions "$BUILD/tests/$program" "$part" $((3 * TURNS)))
        printf '%-44s %12d\n' "$part" $(((many - few) / (2 * TURNS)))
    done
done
