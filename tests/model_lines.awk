# Counts the lines of models in a C or Python file, those between one heading ("/* ---- name ---- */", "# ---- name ----") and the next,
# and prints "name lines". What is empty, a comment or brackets alone counts on neither side.
match($0, /---- [a-z0-9_]+ ----/) {
    name = substr($0, RSTART + 5, RLENGTH - 10)
    next
}
/---- / { name = "" }
name == "" || /^ *(#|\/\*|\*|$)/ || /^[][(){} ,;]*$/ || /^} [A-Z][A-Za-z0-9]*;$/ { next }
!(name in lines) { order[++count] = name }
{ lines[name]++ }
END {
    for (i = 1; i <= count; i++)
        print order[i], lines[order[i]]
}
