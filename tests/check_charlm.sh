#!/bin/sh
# What the charlm example makes of texts: check_charlm.sh PROGRAM. Both nets train on a small one, with the
# same result for every number of threads and either kind of line ends; what is wrong with a text or with
# options that do not fit it gives one line on stderr, nothing on stdout, and the promised status.
set -eu
program=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    printf 'check_charlm: %s\n' "$*"
    failures=$((failures + 1))
}

# refused STATUS TEXT ARGUMENTS: TEXT is a part of the one line on stderr.
refused() {
    expected=$1 text=$2
    shift 2
    status=0
    "$program" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
    [ "$status" -eq "$expected" ] || fail "$*: status $status, not $expected"
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail "$*: not one line on stderr: $(cat "$work/err")"
    grep -qF -- "$text" "$work/err" || fail "$*: '$text' is not in: $(cat "$work/err")"
    [ ! -s "$work/out" ] || fail "$*: something on stdout"
}

small() { "$program" --width 8 --epochs 2 --batch-size 4 --length 16 --prompt ab "$@"; }

# 2,000 characters of 3 kinds, in lines that end in $1.
lines() { awk -v end="$1" 'BEGIN { for (i = 0; i < 200; i++) printf "%s%s", "aababbaba", end }'; }
lines '\n' >"$work/text"
lines '\r\n' >"$work/dos"

for model in lstm transformer; do
    small --model $model --text "$work/text" --threads 1 >"$work/one" || fail "$model: status $?"
    small --model $model --text "$work/text" --threads 3 --quiet >"$work/three"
    small --model $model --text "$work/dos" --quiet >"$work/out"
    grep -qx 'test bits [0-9.]* per character' "$work/three" || fail "$model: the last line"
    tail -n 1 "$work/one" | cmp -s - "$work/three" || fail "$model: the threads make a difference"
    cmp -s "$work/out" "$work/three" || fail "$model: the kind of line ends makes a difference"
    grep -q '^text .* 2,000 characters of 3 kinds, the last 200 held out$' "$work/one" ||
        fail "$model: the text's line"
    grep -q '^ab' "$work/one" || fail "$model: nothing is written after the prompt"
done
small --text "$work/dos" | grep -q '200 of them' || fail "left out without a word: carriage returns"
small --text "$work/text" --sample 0 --temperature 0.01 >"$work/out" || fail "no sample: status $?"

printf 'short' >"$work/short"
refused 1 "$work/none" --text "$work/none"
refused 1 "$work" --text "$work"
refused 1 'has 5 characters' --text "$work/short"
refused 1 '1800 characters' --text "$work/text" --batch-size 4 --length 1000 --prompt ab
refused 2 "--prompt: 'z'" --text "$work/text" --prompt az
refused 2 '--heads 3' --model transformer --heads 3
[ "$failures" -eq 0 ]
