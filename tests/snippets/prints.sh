#!/bin/sh
# Whether a program prints what a document says: prints.sh FILE PROGRAM [ARGUMENTS].
set -eu
expected=$1
shift
printed=$("$@")
printf '%s\n' "$printed" | diff "$expected" - >&2
