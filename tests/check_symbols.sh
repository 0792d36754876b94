#!/bin/sh
# What the built libraries export and call: check_symbols.sh NM SHARED_LIBRARY STATIC_LIBRARY.
# The shared one exports mn_ (and the constant MN_NONE) and nothing else; every global symbol of the
# static one begins with mn_ or mni_; nothing in it can end the process, print, or touch state that
# belongs to the program.
set -eu
nm=$1 shared=$2 static=$3

forbidden='abort|exit|_exit|_Exit|quick_exit|__assert_fail|__assert|raise|kill|longjmp|siglongjmp'
forbidden="$forbidden|(__)?v?f?printf(_chk)?|v?dprintf|puts|fputs|putc|fputc|putchar|perror|psignal"
forbidden="$forbidden|stdin|stdout|stderr|signal|sigaction|atexit|getenv|secure_getenv|setenv|putenv"
forbidden="$forbidden|setlocale|rand|srand|random|srandom|drand48|srand48|strtok|system|popen"

# report TITLE: fails, printing the lines of standard input, when there are any.
status=0
report() {
    lines=$(cat)
    [ -z "$lines" ] && return
    printf '%s\n%s\n' "$1" "$lines"
    status=1
}

exported=$("$nm" -D --defined-only "$shared" | awk '{ print $3 }')
defined=$("$nm" -g --defined-only "$static" | awk 'NF == 3 { print $3 }' | sort -u)
called=$("$nm" -u "$static" | awk 'NF == 2 && $1 == "U" { print $2 }' | sort -u)
for list in "$exported" "$defined" "$called"; do
    [ -n "$list" ] || { echo "check_symbols: $nm shows no symbols"; exit 1; }
done

report "the shared library exports:" <<END
$(printf '%s\n' "$exported" | grep -Ev '^(mn_|MN_NONE$)' || true)
END
report "the static library defines global symbols outside mn_ and mni_:" <<END
$(printf '%s\n' "$defined" | grep -Ev '^(mni?_|MN_NONE$)' || true)
END
report "the library calls or reads:" <<END
$(printf '%s\n' "$called" | grep -Ex "$forbidden" || true)
END
exit $status
