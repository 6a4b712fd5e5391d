#!/bin/bash
# Every code has a text, is shown by the walk that its text names or by the piece of a manifest in it, and docs/codes.md is what
# scripts/make-pages writes. Every verdict and every verb's manual page are looked at, too.
set -euo pipefail
cd "${PODGLASS_SOURCE:?}"
walk=$(dirname "${PODGLASS:?}")/tests/walk
[ -x "$walk" ] || { echo "no $walk"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
finding() {
    echo "$*"
    bad=1
}

"$PODGLASS" help --page codes.md >"$work/codes.md"
cmp -s "$work/codes.md" docs/codes.md || finding "docs/codes.md is not what scripts/make-pages writes"

mapfile -t codes < <(sed -nE 's/^PG_CODE\([A-Z_0-9]+, ([1-9][0-9]*),.*/PG\1/p' include/podglass/codes.def)
[ ${#codes[@]} -gt 40 ] || finding "only ${#codes[@]} codes"
for code in "${codes[@]}"; do
    "$PODGLASS" explain "$code" >"$work/text" || finding "$code: explain does not know it"
    grep -q '^What to do:$' "$work/text" || finding "$code: what to do?"
    name=$(sed -nE 's|^Shown by (tests/walk/.*\.walk)$|\1|p' "$work/text")
    if [ -n "$name" ]; then
        WALK_RECORDS=1 "$walk" "$name" >"$work/records" || finding "$code: $name fails"
        grep -q "\"code\":\"$code\"" "$work/records" || finding "$code: $name does not show it"
    else
        # the piece of a manifest behind "For example:", which ends the text
        sed -n '/^For example:$/,$ { /^For example:$/d; s/^  //; p }' "$work/text" >"$work/piece.yaml"
        "$PODGLASS" lint -f "$work/piece.yaml" >"$work/lint" 2>&1 || true
        grep -q "\[$code\]" "$work/lint" || { cat "$work/lint"; finding "$code: lint does not find it in its piece"; }
    fi
done
! "$PODGLASS" explain PG999 2>/dev/null || finding "PG999 is explained"

# codes of findings about manifests are in the source by number
while read -r code; do
    [[ " ${codes[*]} " == *" $code "* ]] || finding "$code is in cluster/ and not in codes.def"
done < <(grep -ohE '"PG[0-9]{3}"' cluster/*.[ch] | tr -d '"' | sort -u)

for verdict in kept carried lost forged ambiguous; do
    grep -qE "^then +verdict $verdict\$" tests/walk/*.walk || finding "no walk shows the verdict $verdict"
done

# a page for each verb, with each of its flags
if command -v scdoc >/dev/null; then
    "$PODGLASS" help --page podglass-codes.7 | scdoc >/dev/null || finding "podglass-codes.7 is no scdoc"
    while IFS= read -r verb; do
        "$PODGLASS" help --page "podglass-$verb.1" >"$work/page" || finding "$verb has no page"
        [ ! -f "docs/man/podglass-$verb.1.scd" ] || cp "docs/man/podglass-$verb.1.scd" "$work/page"
        scdoc <"$work/page" >"$work/man" || finding "podglass-$verb.1 is no scdoc"
        while read -r flag letter; do
            grep -qF -e "*--$flag*" -e "*-$letter*" "$work/page" || finding "podglass-$verb.1 lacks --$flag"
        done < <(sed -nE "s/^PG_FLAG\(${verb^^}, [A-Z_0-9]+, \"([^\"]+)\", '?(.).*/\1 \2/p" include/podglass/verbs.def)
    done < <(sed -nE 's/^PG_VERB\([A-Z_0-9]+, "([^"]+)".*/\1/p' include/podglass/verbs.def)
fi
exit $bad
