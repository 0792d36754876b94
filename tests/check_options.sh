#!/bin/sh
# What an example does with its command line: check_options.sh PROGRAM. --help must tell of every option
# that is tried here; a mistake must give status 2 and one line on stderr that names it, nothing on stdout;
# Ctrl-C ends the work, not the program.
set -eu
program=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    printf 'check_options: %s\n' "$*"
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

"$program" --help >"$work/help" 2>"$work/err" || fail "--help: status $?"
[ ! -s "$work/err" ] || fail "--help: something on stderr"
grep -q "^usage: $(basename "$program") " "$work/help" || fail "--help does not begin with the usage"

sed -n 's/^ *\(--[a-z-]*\) \([A-Z][A-Z]*\) .*/\1 \2/p' "$work/help" >"$work/options"
for option in --seed --threads; do
    grep -qx -- "$option N" "$work/options" || fail "--help does not tell of $option"
done
while read -r option value; do
    refused 2 "$option" "$option"
    case $value in
    N | X | NAME)
        refused 2 "$option 'nonsense'" "$option" nonsense
        refused 2 "$option '-1x'" "$option" -1x
        refused 2 "$option ''" "$option" ''
        ;;
    FILE | DIR | TEXT) refused 2 "$option" "$option" '' ;;
    *) fail "--help gives $option the value $value" ;;
    esac
done <"$work/options"
refused 2 '--threads' --threads 0
refused 2 '--seed' --seed 18446744073709551616
refused 2 --quiet=1 --quiet=1
refused 2 --bogus --bogus
refused 2 stray stray
if grep -q '^--plot' "$work/options"; then
    refused 2 curve.txt --plot curve.txt
    ! command -v gnuplot >/dev/null || refused 1 "$work/none" --plot "$work/none/curve.svg"
fi

if [ -c /dev/full ]; then
    status=0
    "$program" --help >/dev/full 2>&1 || status=$?
    [ "$status" -eq 1 ] || fail "--help to a full disk: status $status, not 1"
fi

# Ctrl-C, once work is under way: the last line, status 130. (A shell starts background jobs with SIGINT
# ignored; env can undo that.)
if env --default-signal=INT true 2>/dev/null; then
    env --default-signal=INT "$program" >"$work/out" 2>"$work/err" &
    job=$! tries=0
    until [ -s "$work/out" ] || [ "$tries" -ge 600 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -INT "$job" || fail "Ctrl-C: it had ended: $(cat "$work/out" "$work/err")"
    status=0
    wait "$job" || status=$?
    [ "$status" -eq 130 ] || fail "Ctrl-C: status $status, not 130"
    tail -n 1 "$work/out" | grep -q '^test ' || fail "Ctrl-C: the last line is no figure"
    [ ! -s "$work/err" ] || fail "Ctrl-C: $(cat "$work/err")"
fi
[ "$failures" -eq 0 ]
