# Turns a header as people read it into one that Doxygen reads; the Doxyfile runs it on every header.
#   the first comment                      is about the file
#   /* ---- title ---- */                  begins a section, which the next one ends
#   a comment with a blank line behind it  is about its section (the file, before the first)
#   any other comment                      is about each declaration from there to the next blank line
#   a comment behind a declaration         is about that one; of a function it comes first
# Lines of a comment that are indented keep their layout. Every mn_ name in a comment becomes a
# link, so one that does not exist is a warning.

# Text as a comment that begins with `head` and in which nothing else means anything to Doxygen.
function marked(head, text,   lines, n, i, line, kept, out) {
    gsub(/[\\@<>&#%"]/, "\\\\&", text)
    gsub(/mn_[a-z0-9_]+/, "@ref & \"&\"", text)
    n = split(text, lines, "\n")
    for (i = 1; i <= n; i++) {
        line = lines[i]
        if (kept ? line ~ /^[^ ]/ : line ~ /^ /) {
            out = out (kept ? " * </pre>\n" : " * <pre>\n")
            kept = !kept
        }
        while (match(line, /`[^`]*`/))
            line = substr(line, 1, RSTART - 1) "<code>" substr(line, RSTART + 1, RLENGTH - 2) \
                   "</code>" substr(line, RSTART + RLENGTH)
        out = out " * " line "\n"
    }
    return "/**" head "\n" out (kept ? " * </pre>\n" : "") " */\n"
}

# The text of the comment that begins in $0 at position `from`; what is around it stays in $0.
function comment(from,   line, text) {
    line = substr($0, from)
    $0 = substr($0, 1, from - 1)
    sub(/ *$/, "")
    sub(/^\/\* ?/, "", line)
    while (line !~ /\*\//) {
        text = text line "\n"
        if ((getline line) <= 0) break
        if (!sub(/^ *\*( |$)/, "", line)) sub(/^ */, "", line)
    }
    if (match(line, / *\*\//)) $0 = $0 substr(line, RSTART + RLENGTH)
    text = text substr(line, 1, RSTART - 1)
    gsub(/^\n|\n$/, "", text)
    return text
}

# Only functions stand in sections: Doxygen would sort sections by what kinds of things are in them.
function end_section() {
    if (title == "" || functions == "") file = file (about == "" ? "" : "\n\n" about)
    else functions = marked(" @name " title, about) "/** @{ */\n" functions "/** @} */\n"
    body = body others functions
    title = about = functions = others = ""
}

function declare(doc) {
    code = (doc == "" ? "" : marked("", doc)) code
    if (!depth && code ~ /\n(MN_API|extern) [^=]*\(/) functions = functions code
    else others = others code
    code = behind = ""
}

function end_declaration() {
    if (behind == "") declare(depth ? inner : outer)
    else declare(depth || outer == "" ? behind : behind ".\n\n" outer)
}

/^ *\/\*/ {
    text = comment(index($0, "/*"))
    if (file == "") file = text
    else if (text ~ /^---- .* ----$/) {
        end_section()
        title = substr(text, 6, length(text) - 10)
    } else if (depth) inner = text
    else {
        outer = text
        loose = 1
    }
    next
}
/^$/ {
    if (loose) about = about (about == "" ? "" : "\n\n") outer
    loose = 0
    outer = inner = ""
}
/^#ifdef __cplusplus/ { while ($0 !~ /^#endif/ && (getline) > 0); next }
/^$/ || (/^#/ && !/^#define/) || /^#define MINNOW_/ {
    others = others $0 "\n"
    next
}
{
    loose = 0
    at = index($0, "/*")
    if (at) behind = comment(at)
    code = code $0 "\n"
    if (/^}/) {
        depth = 0
        declare("")
    } else if (/[{] *$/) {
        declare(outer)
        depth = 1
        inner = ""
    } else if (/; *$/ || (depth && /^ *MN_[A-Z0-9_]+[^(]*$/) || (code ~ /^#/ && !/\\$/)) end_declaration()
}

END {
    end_section()
    head = sub(/^minnow\/minnow.h: /, "", file) ? " @mainpage minnow, call by call\n *" : " @file\n *"
    sub(/^minnow[^:]*: /, "", file)
    printf "%s%s", marked(head, toupper(substr(file, 1, 1)) substr(file, 2)), body
}
