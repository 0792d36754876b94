#!/bin/sh
# What the mnist example does with other data and with bad input: check_mnist.sh PROGRAM.
# Another image size and class count must train; each bad input must give one line on stderr that
# names what was wrong, nothing on stdout, and the promised status.
set -eu
program=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    printf 'check_mnist: %s\n' "$*"
    failures=$((failures + 1))
}

# Prints, for printf, $1 bytes: 0, 1, 2, 0, 1, 2, ...
bytes() { awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) printf "\\%04o", i % 3 }'; }

# Makes the data set $work/NAME: 24 training and 12 test images of 3 by 2, labels 0 to 2.
make_data() {
    mkdir -p "$work/$1"
    (
        cd "$work/$1"
        size='\0\0\0\003\0\0\0\002'
        printf '\0\0\010\003\0\0\0\030%b' "$size$(bytes 144)" >train-images-idx3-ubyte
        printf '\0\0\010\001\0\0\0\030%b' "$(bytes 24)" >train-labels-idx1-ubyte
        printf '\0\0\010\003\0\0\0\014%b' "$size$(bytes 72)" >t10k-images-idx3-ubyte
        printf '\0\0\010\001\0\0\0\014%b' "$(bytes 12)" >t10k-labels-idx1-ubyte
    )
}

# poke FILE OFFSET BYTES: overwrites some bytes, given as printf takes them.
poke() {
    printf "$3" | dd of="$work/$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
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

make_data good
"$program" --data "$work/good" --epochs 2 --hidden 4 --csv "$work/good.csv" --quiet >"$work/out"
tail -n 1 "$work/out" | grep -qx 'test accuracy [0-9.]* %' || fail "the last line of a small run"
[ "$(wc -l <"$work/good.csv")" -eq 3 ] || fail "the CSV of two epochs has not three lines"

for option in --model --epochs --batch-size --lr --shift --hidden --activation --lower --upper --seed \
    --threads --limit; do
    refused 2 "$option" "$option" nonsense
    refused 2 "$option" "$option" -1x
done
refused 2 --epochs --epochs 0
refused 2 --lr --lr nan
refused 2 --lower --lower 0.5 --upper 0.1
refused 2 --upper --upper inf
refused 2 --hidden --hidden 3,,4
refused 2 'weights between' --hidden 65536,65536
refused 2 "--hidden is mlp's" --model cnn --hidden 5
refused 2 'activation is relu' --activation relu --lower 0.1
refused 2 --seed --seed 18446744073709551616
refused 2 curves.txt --plot curves.txt
refused 2 --bogus --bogus
refused 2 stray stray
refused 2 --epochs --epochs

refused 1 "$work/none" --data "$work/none"
refused 1 '--shift 2 leaves nothing of some images, these are 3 x 2' --shift 2 --data "$work/good"
refused 1 'at least 8 x 8, these are 3 x 2' --model cnn --data "$work/good"
refused 1 "$work/none" --data "$work/good" --csv "$work/none/file.csv"

for file in train-images-idx3-ubyte train-labels-idx1-ubyte \
    t10k-images-idx3-ubyte t10k-labels-idx1-ubyte; do
    # Missing, empty, wrong magic, a count beyond the file, no images, a byte too many, a cut gzip.
    make_data bad && rm "$work/bad/$file"
    refused 1 "$file" --data "$work/bad"
    make_data bad && : >"$work/bad/$file"
    refused 1 "$file" --data "$work/bad"
    make_data bad && poke "bad/$file" 2 '\015'
    refused 1 "$file" --data "$work/bad"
    make_data bad && poke "bad/$file" 4 '\177\377\377\377'
    refused 1 "$file" --data "$work/bad"
    make_data bad && poke "bad/$file" 7 '\0'
    refused 1 "$file" --data "$work/bad"
    make_data bad && printf x >>"$work/bad/$file"
    refused 1 "$file" --data "$work/bad"
    make_data bad && gzip "$work/bad/$file" && head -c 30 "$work/bad/$file.gz" >"$work/cut" &&
        mv "$work/cut" "$work/bad/$file.gz"
    refused 1 "$file.gz" --data "$work/bad"
    rm -r "$work/bad"
done

make_data bad && poke bad/t10k-images-idx3-ubyte 11 '\002\0\0\0\003'
refused 1 t10k-images --data "$work/bad"
make_data bad && poke bad/t10k-labels-idx1-ubyte 9 '\011'
refused 1 t10k-labels --data "$work/bad"
make_data bad && poke bad/train-labels-idx1-ubyte 9 '\003'
refused 1 'train-labels-idx1-ubyte: label 3 is out of range' --data "$work/bad"
make_data bad && poke bad/train-labels-idx1-ubyte 9 '\011' && gzip "$work/bad/"train-labels*
refused 1 'train-labels-idx1-ubyte.gz: label 9' --data "$work/bad"
rm -r "$work/bad"
make_data bad && poke bad/train-images-idx3-ubyte 7 '\027' &&
    head -c 154 "$work/bad/train-images-idx3-ubyte" >"$work/cut" &&
    mv "$work/cut" "$work/bad/train-images-idx3-ubyte"
refused 1 '23 images' --data "$work/bad"

# Ctrl-C, once training runs: a summary, its last line, status 130. (A shell starts background jobs with
# SIGINT ignored; env can undo that.)
if env --default-signal=INT true 2>/dev/null; then
    env --default-signal=INT "$program" --data "$work/good" --epochs 100000 >"$work/out" 2>&1 &
    job=$! tries=0
    until grep -q '^epoch' "$work/out" || [ "$tries" -ge 300 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -INT "$job"
    status=0
    wait "$job" || status=$?
    [ "$status" -eq 130 ] || fail "Ctrl-C: status $status, not 130"
    tail -n 1 "$work/out" | grep -qx 'test accuracy [0-9.]* %' || fail "Ctrl-C: the last line"
fi

if command -v gnuplot >/dev/null; then
    "$program" --data "$work/good" --epochs 2 --quiet --plot "$work/curves.svg" >"$work/out"
    grep -q '<svg' "$work/curves.svg" || fail "--plot drew no SVG"
fi

[ "$failures" -eq 0 ]
