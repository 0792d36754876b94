#!/bin/sh
# Whether the documents are whole: check_docs.sh SOURCE_DIRECTORY. In docs/pytorch.md every mn_ name
# stands in a header, and every op and layer has its place; minnow.h lists every header; a link
# between documents leads to a file.
set -eu
cd "$1"
page=docs/pytorch.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# report TITLE: fails, printing the lines of standard input, when there are any.
status=0
report() {
    lines=$(cat)
    [ -z "$lines" ] && return
    printf '%s\n%s\n' "$1" "$lines"
    status=1
}

names() { grep -oh 'mn_[a-z0-9_*]*' "$@" | grep -v '\*' | sort -u; }

names $page >"$work/page"
names -r include >"$work/headers"
grep -h '^MN_API\|^#define mn_nn' include/minnow/ops/*.h include/minnow/nn/*.h include/minnow/optim/methods.h |
    grep -v '_tensors(' |
    grep -oh 'mn_[a-z0-9_]*(' | tr -d '(' | grep -v '^mn_module\|^mn_visit\|^mn_init' |
    sort -u >"$work/ops"
[ -s "$work/ops" ] || { echo "check_docs: the headers show no ops"; exit 1; }

report "$page names what is in no header:" <<END
$(comm -23 "$work/page" "$work/headers")
END
report "$page has no line for:" <<END
$(comm -23 "$work/ops" "$work/page")
END
report "include/minnow/minnow.h does not list:" <<END
$(cd include && for header in minnow/*.h minnow/*/*.h; do
    grep -q "^ \*.* $header" minnow/minnow.h || echo "$header"
done)
END
report "links that lead nowhere:" <<END
$(for document in *.md docs/*.md docs/*/*.md; do
    grep -o '](\([^)#:]*\)[#)]' "$document" | sed 's/^](//; s/.$//' | while read -r target; do
        [ -z "$target" ] || [ -e "$(dirname "$document")/$target" ] || echo "$document: $target"
    done
done)
END
exit $status
