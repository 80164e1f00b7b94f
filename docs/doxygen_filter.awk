# Shows a header to Doxygen as its readers see it. In Reel's headers
# - the first comment is about the file, and about its first type if that has no other;
# - a comment above declarations is about all of them, up to the next empty line or comment;
# - a comment behind a declaration is about that one;
# - "---- Title ----" begins a section, whose title stands for declarations that need no other words;
# - members without a comment are told about by that of their struct;
# - a row of tensor/elementwise_table.h or autograd/op_list.h is the function that comes from it.
# A declaration with none of these stays bare, and make docs fails.

function escape(text) {
    gsub(/[\\@<>#%]/, "\\\\&", text)
    return text
}

# The words of a comment's line, without the marks.
function words(line) {
    sub(/^ *\/\*+ */, "", line)
    sub(/ *\*\/.*$/, "", line)
    sub(/^ *\* ?/, "", line)
    return line
}

function documented(line, text) {
    match(line, /^ */)
    return substr(line, 1, RLENGTH) "/** " escape(text) " */ " substr(line, RLENGTH + 1)
}

function count_of(line, mark) {
    return gsub(mark, "", line)
}

NR == 1 {
    print "/** @file */"
}

!seen_guard && /^\/\* clang-format o/ {
    print ""
    next
}

# Inside a comment that stands on lines of its own.
in_comment || /^ *\/\*/ {
    if (!in_comment)
        text = ""
    text = text (text == "" ? "" : " ") words($0)
    in_comment = $0 !~ /\*\//
    if (in_comment) {
        print ""
        next
    }
    if (text ~ /^---- /) {
        gsub(/ *----[ -]*/, " ", text)
        section = text
        above = ""
    } else if (seen_guard) {
        above = text
    } else {
        file_text = text
        print "/** @file\n * " escape(text) " */"
    }
    print ""
    next
}

/^$/ {
    if (depth == 0)
        above = ""
    print
    next
}

# A directive. Macros of a header's own are declarations; the guard is not.
/^#/ {
    seen_guard = 1
    if ($1 == "#define" && $2 !~ /_H$/ && (above section) != "" && !in_macro)
        print "/** " escape(above != "" ? above : section) " */"
    in_macro = /\\$/
    print
    next
}

in_macro {
    in_macro = /\\$/
    print
    next
}

# A row: OP_ROW(name, (arguments)), TENSOR_UNARY(NAME, name, ...), ..., perhaps over several lines.
in_row {
    in_row += count_of($0, "\\(") - count_of($0, "\\)")
    print ""
    next
}

/^(OP_ROW|TENSOR_(UNARY|BINARY)(_WITH|_OWN|_FLAT)?)\(/ {
    behind = match($0, / \/\*.*$/) ? substr($0, RSTART) : ""
    row = behind == "" ? $0 : substr($0, 1, RSTART - 1)
    in_row = count_of(row, "\\(") - count_of(row, "\\)")
    split(row, column, /[(,] */)
    if (column[1] == "OP_ROW") {
        name = column[2]
        sub(/^OP_ROW\([a-z0-9_]+, /, "", row)
        sub(/\)$/, "", row)
    } else {
        name = column[3]
        row = column[1] ~ /BINARY/ ? "(Var a, Var b)" : "(Var a)"
        if (column[4] ~ /^(ONE|TWO)$/)
            row = "(Var a, double " column[5] (column[4] == "TWO" ? ", double " column[7] : "") ")"
    }
    $0 = "Var var_" name row ";" behind
}

/^TENSOR_VECTOR\(/ {
    print ""
    next
}

{
    line = $0
    code = line
    sub(/\/\*.*$/, "", code)
    trailing = line ~ /[^ ].*\/\*/
    if (trailing)
        line = code "/**<" escape(substr(line, length(code) + 3))
    if (line ~ /\/\*/ && line !~ /\*\//)
        in_trailing = 1
    else if (line ~ /\*\//)
        in_trailing = 0
    starts = code ~ /^[A-Za-z_]/ && code !~ /^(REEL_|extern "C"|template|_Pragma|static inline T)/
    if (depth == 0 && starts) {
        type = code ~ /^(typedef )?(struct|enum|union)/
        owner = above != "" ? above : section
        if (owner == "" && type && code ~ /{/) {
            owner = file_text
            file_text = ""
        }
        if (!trailing && owner != "")
            line = documented(line, owner)
        else if (trailing && type && code ~ /{/ && owner != "")
            line = documented(line, owner)
    } else if (depth > 0 && type && !trailing && !in_trailing && code ~ /[;,]? *$/ && code ~ /^ +[A-Za-z_]/) {
        line = documented(line, above != "" && above != owner ? above : "See the whole: " owner)
    }
    depth += count_of(code, "{") - count_of(code, "}")
    if (depth == 0 && code ~ /^}/)
        above = ""
    print line
}
