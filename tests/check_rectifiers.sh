#!/bin/sh
# Whether the rectifiers example runs on files in CIFAR-10's layout and says what is wrong with bad ones:
# check_rectifiers.sh PROGRAM.
set -eu
program=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    printf 'check_rectifiers: %s\n' "$*"
    exit 1
}

# Six files of five records: labels 0 to 4, and images that are as bright as the label says.
records=$(awk 'BEGIN {
    for (i = 0; i < 5; i++) {
        printf "\\%03o", i
        for (p = 0; p < 3072; p++) printf "\\%03o", 50 * i + p % 7
    }
}')
for file in data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5 test_batch; do
    printf "$records" >"$work/$file.bin"
done

set -- --data cifar10 --dir "$work" --width 0.02 --epochs 2 --batch-size 5 --seeds 2
"$program" "$@" >"$work/out" || fail "status $?: $(cat "$work/out")"
grep -q '25 training and 5 test images' "$work/out" || fail "other images: $(cat "$work/out")"
[ "$(grep -c '^seed [0-9]' "$work/out")" -eq 10 ] || fail "not five activations for two seeds each"
[ "$(grep -c '±' "$work/out")" -eq 6 ] || fail "the table is not whole: $(cat "$work/out")"
tail -n 1 "$work/out" | grep -qx 'test error [0-9.]* % with RReLU, [0-9.]* % with ReLU' ||
    fail "the last line: $(tail -n 1 "$work/out")"

if command -v gnuplot >/dev/null; then
    "$program" "$@" --quiet --plot "$work/curves.svg" >"$work/out"
    grep -q '<svg' "$work/curves.svg" || fail "--plot drew no SVG"
fi

printf '\012' | dd of="$work/data_batch_4.bin" bs=1 seek=6146 conv=notrunc 2>/dev/null
! "$program" "$@" >"$work/out" 2>"$work/err" || fail "a label of 10 is taken"
grep -q 'data_batch_4.bin: record 2 has the label 10' "$work/err" || fail "$(cat "$work/err")"
[ ! -s "$work/out" ] || fail "something on stdout"
