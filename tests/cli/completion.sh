#!/bin/bash
# Completion scripts, as shells run them: bash completes here what a user would type; zsh and fish read theirs without complaint, where they are installed.
set -euo pipefail
podglass=${PODGLASS:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# shellcheck source=/dev/null
source <("$podglass" completion bash)

# completes WORD... : what the last word may become, in the order of the alphabet
completes() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    _podglass
    printf '%s\n' "${COMPREPLY[@]}" | sort -u | xargs
}
is() { # is WHAT GOT WANT
    [ "$2" = "$3" ] || { printf 'FAILED: %s\n   got: %s\n  want: %s\n' "$1" "$2" "$3"; failed=1; }
}
has() {
    [[ " $2 " == *" $3 "* ]] || { printf 'FAILED: %s\n   got: %s\n  want: %s\n' "$1" "$2" "$3"; failed=1; }
}

is "verbs" "$(completes podglass de)" "demo describe"
is "types of get" "$(completes podglass get se)" "services settings"
is "types of describe" "$(completes podglass describe ing)" "ingresses"
is "flags" "$(completes podglass trace --ti)" "--time"
is "choices of a flag" "$(completes podglass trace --time '')" "abs none rel"
is "choices that go on" "$(completes podglass get svc -o j)" "json jsonl jsonpath="
is "shells" "$(completes podglass completion z)" "zsh"
is "a command behind --" "$(completes podglass run -- tru | tr ' ' '\n' | grep -x true)" "true"
touch "$work/shop.yaml"
is "files" "$(completes podglass lint -f "$work/sh")" "$work/shop.yaml"
while read -r verb; do
    has "all verbs" "$(completes podglass '')" "$verb"
    has "each has help" "$(completes podglass "$verb" --)" "--help"
done < <(sed -nE 's/^PG_VERB\([A-Z]+, "([a-z]+)".*/\1/p' "${PODGLASS_SOURCE:?}/include/podglass/verbs.def")

for shell in bash zsh fish; do
    "$podglass" completion $shell >"$work/$shell"
    [ -s "$work/$shell" ] || { echo "FAILED: nothing for $shell"; failed=1; }
    ! command -v $shell >/dev/null || $shell -n "$work/$shell" || { echo "FAILED: $shell does not read its own"; failed=1; }
done
! "$podglass" completion tcsh 2>/dev/null || { echo "FAILED: a shell nobody wrote one for"; failed=1; }
exit $failed
