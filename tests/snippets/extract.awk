# Cuts the C blocks out of a Markdown document, so that the compiler reads what the reader reads.
#   awk -v name=README -v out=DIRECTORY -f extract.awk README.md
# A block is one of three things:
#   ```c            with a main: a program, written to NAME_N.program.c; it is run and must return 0,
#                   and print what a block ```text output behind it says, NAME_N.output.txt
#   ```c            without: functions and definitions, NAME_N.fragment.c, compiled after prelude.h
#   ```c fragment   statements, compiled as the body of a function after prelude.h
# Lines of other blocks (```sh, ```text, ...) are passed over. Messages name the document's lines.
function fail(message) {
    print FILENAME ": " message
    failed = 1
}

function finish(   path) {
    if (output) {
        if (kind == "program") printf "%s", text > (out "/" name "_" blocks ".output.txt")
        else fail("line " first ": the block before this output is not a program")
        return
    }
    kind = text ~ /(^|\n)int main\(/ ? "program" : "fragment"
    path = out "/" name "_" ++blocks "." kind ".c"
    if (kind == "fragment") print "#include \"prelude.h\"" > path
    if (statements) print "void snippet(void)\n{" > path
    printf "#line %d \"%s\"\n%s", first, FILENAME, text > path
    if (statements) print "}" > path
    close(path)
}

!fenced && /^```/ {
    fenced = 1
    output = /^```text output[ \t]*$/
    taken = /^```c( fragment)?[ \t]*$/ || output
    statements = /fragment/
    first = FNR + 1
    text = ""
    next
}
fenced && /^```[ \t]*$/ {
    if (taken) finish()
    fenced = 0
    next
}
taken { text = text $0 "\n" }

END {
    if (fenced) fail("the block before line " first " is never closed")
    exit failed || !blocks
}
