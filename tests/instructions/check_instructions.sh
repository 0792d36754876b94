#!/bin/sh
# How many instructions ten small training steps take: check_instructions.sh PROGRAM COMPILER [--record].
# Valgrind counts them, the same number on every run; as it knows no AVX-512, they are those of the AVX2
# kernels. The counts are compared with recorded.txt: more than 3 % above one of them fails, more than 3 %
# below asks for a new record (--record makes it). Skipped (77) where the compiler or the C library is not
# that of the record, for they decide on the counts.
set -eu
program=$1 compiler=$2
recorded=$(dirname "$0")/recorded.txt
command -v valgrind >/dev/null || { echo "check_instructions: no valgrind"; exit 77; }
grep -q '^flags.* avx2.* fma' /proc/cpuinfo 2>/dev/null || grep -q ' avx2' /proc/cpuinfo ||
    { echo "check_instructions: no AVX2"; exit 77; }

setting="$compiler, libc $(getconf GNU_LIBC_VERSION 2>/dev/null || echo unknown)"
if [ "${3:-}" != --record ] && [ "$(head -n 1 "$recorded")" != "# $setting" ]; then
    echo "check_instructions: this is $setting; recorded were $(head -n 1 "$recorded" | cut -c3-)"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# count NAME N: instructions of N steps, with what comes before and after them
count() {
    valgrind --tool=callgrind --callgrind-out-file="$work/out" "$program" "$1" "$2" >"$work/log" 2>&1 ||
        { cat "$work/log"; exit 1; }
    sed -n 's/^summary: //p; s/^totals: //p' "$work/out" | head -n 1
}

# The difference of two runs is that of steps alone, once memory is there.
for name in $("$program"); do
    few=$(count "$name" 3) more=$(count "$name" 7)
    echo "$name $(((more - few) / 4))"
done >"$work/counts"

if [ "${3:-}" = --record ]; then
    { echo "# $setting"; cat "$work/counts"; } >"$recorded"
    cat "$recorded"
    exit
fi
awk 'NR == FNR { if (FNR > 1) was[$1] = $2; next }
     !($1 in was) { printf "%s is not recorded\n", $1; bad = 1; next }
     { ratio = $2 / was[$1]
       printf "%-10s %9d instructions a step, recorded %9d (%+.1f %%)\n", $1, $2, was[$1], 100 * (ratio - 1)
       if (ratio > 1.03) { printf "%s takes more than before\n", $1; bad = 1 }
       if (ratio < 0.97) { printf "%s takes less than before: record it\n", $1; bad = 1 } }
     END { exit bad }' "$recorded" "$work/counts"
