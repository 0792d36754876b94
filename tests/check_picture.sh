#!/bin/sh
# Whether vae writes a whole PNG file of the size that it should have, and says why where it cannot:
# check_picture.sh PROGRAM. Status 77: it was built without libspng, and says so.
set -eu
program=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    printf 'check_picture: %s\n' "$*"
    failures=$((failures + 1))
}

# Bytes $2 to $3 of file $1, in hexadecimal.
bytes() { od -An -v -tx1 -j"$2" -N"$3" "$1" | tr -d ' \n'; }

status=0
"$program" --limit 200 --epochs 1 --hidden 8 --quiet --picture "$work/sheet.png" \
    >"$work/out" 2>"$work/err" || status=$?
if grep -q 'libspng' "$work/err"; then
    [ "$status" -eq 1 ] && [ "$(wc -l <"$work/err")" -eq 1 ] && exit 77
fi
[ "$status" -eq 0 ] || fail "status $status: $(cat "$work/err")"

# The signature; the header: 16 x 13 images of 28 + 2 pixels, 2 more on the left, 8 bits of grey; the end.
sheet=$work/sheet.png
[ "$(bytes "$sheet" 0 8)" = 89504e470d0a1a0a ] || fail "no PNG signature"
[ "$(bytes "$sheet" 12 13)" = 49484452000001e20000018808 ] || fail "not 482 x 392 pixels of 8 bits"
[ "$(bytes "$sheet" 25 1)" = 00 ] || fail "not grey"
[ "$(tail -c 8 "$sheet" | od -An -v -tx1 | tr -d ' \n')" = 49454e44ae426082 ] || fail "no end"
[ "$(wc -c <"$sheet")" -gt 10000 ] || fail "too little for pictures"

status=0
"$program" --picture "$work/none/sheet.png" >"$work/out" 2>"$work/err" || status=$?
[ "$status" -eq 1 ] || fail "a directory that is not there: status $status, not 1"
grep -q 'cannot write' "$work/err" || fail "a directory that is not there: $(cat "$work/err")"
[ ! -s "$work/out" ] || fail "work was done for a picture that cannot be written"
[ "$failures" -eq 0 ]
