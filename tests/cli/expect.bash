# What a run of the command must print, and how it must end; a script ends with "exit $failed". Sourced.
failed=0

# want "text" COMMAND...: its output, errors included, holds the text.
want() {
    local text=$1 got
    shift
    got=$("$@" 2>&1) || true
    if [[ $got != *"$text"* ]]; then
        printf 'FAILED: %s\n  want: %s\n%s\n' "$*" "$text" "$got"
        failed=1
    fi
}

# status N COMMAND...: its exit status is N.
status() {
    local want=$1 got=0
    shift
    "$@" >/dev/null 2>&1 || got=$?
    if [ "$got" != "$want" ]; then
        printf 'FAILED: %s\n  exit status %s, want %s\n' "$*" "$got" "$want"
        failed=1
    fi
}
