# Takes the C programs out of the pages of docs/, for the Makefile to compile and tests/tools/docs.c to run.
#
#   ```c          whole declarations; the blocks of a page are joined up to the one with main(), which makes
#                 a program of them. What is left at the end of a page is compiled all the same.
#   ```c body     statements, run with `tape` and `arena` at hand. An error on the tape fails.
#   ```c error    the same, but an error is what is expected, and its message is printed.
#   ```output     what the program above prints, to the letter.
#
# -v list=1 prints the names of the programs (PAGE-N); -v out=FOLDER writes PAGE-N.c and PAGE-N.expected.

function finish_page() {
    if (text != "")
        program(text "int main(void)\n{\n    return 0;\n}\n")
    text = ""
}

function program(source) {
    name = page "-" ++programs
    if (list) {
        print name
        return
    }
    printf "%s", source > (out "/" name ".c")
    close(out "/" name ".c")
}

function body(source, end) {
    return "#include <reel/reel.h>\n#include <math.h>\n#include <stdio.h>\n#include <string.h>\n" \
           "int main(void)\n{\n    Tape *tape = tape_new();\n    tape_begin(tape);\n" \
           "    TensorArena *arena = tape_arena(tape);\n    (void)arena;\n    {\n" source "    }\n" \
           end "    tape_free(tape);\n    return 0;\n}\n"
}

FNR == 1 {
    finish_page()
    page = FILENAME
    sub(/.*\//, "", page)
    sub(/\.md$/, "", page)
    programs = 0
}

/^```/ && kind == "" {
    kind = substr($0, 4)
    if (kind == "")
        kind = "text"
    block = "#line " FNR + 1 " \"" FILENAME "\"\n"
    has_main = 0
    if (kind == "c error") # messages name the line: of the block, which stays when the page changes
        block = "#line 1 \"example.c\"\n"
    if (kind == "output")
        block = ""
    next
}

/^```/ {
    if (kind == "c") {
        text = text block
        if (has_main) {
            program(text)
            text = ""
        }
    } else if (kind == "c body") {
        program(body(block, "    if (!tape_ok(tape)) {\n        fprintf(stderr, \"%s\\n\", tape_status(tape)->message);\n" \
                            "        return 1;\n    }\n"))
    } else if (kind == "c error") {
        program(body(block, "    printf(\"%s\\n\", tape_status(tape)->message);\n" \
                            "    if (tape_ok(tape))\n        return 1;\n"))
    } else if (kind == "output" && !list) {
        printf "%s", block > (out "/" name ".expected")
        close(out "/" name ".expected")
    }
    kind = ""
    next
}

kind != "" {
    block = block $0 "\n"
    if ($0 ~ /^int main\(/)
        has_main = 1
}

END {
    finish_page()
}
