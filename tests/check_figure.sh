#!/bin/sh
# Whether a program ends well and the figure that it prints is as it should be: check_figure.sh LOW HIGH
# COMMAND. The figure is the third word of the last line ("test accuracy 98.47 %"); NaN is in no range.
set -eu
low=$1 high=$2
shift 2
output=$("$@")
line=$(printf "%s\n" "$output" | tail -n 1)
echo "$line"
echo "$line" | awk -v low="$low" -v high="$high" '
    { exit !($3 ~ /^-?[0-9.]+$/ && $3 >= low + 0 && $3 <= high + 0) }' || {
    echo "check_figure: $low to $high was expected"
    exit 1
}
