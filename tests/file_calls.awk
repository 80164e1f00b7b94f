# Which object file calls which, from `nm -A`: lines "caller called", as tsort takes them. A program's own file, which
# may stand in for malloc() to count what is asked for, is called by none.
{ file = $1; sub(/:.*/, "", file) }
$2 ~ /^[TDRB]$/ { where[$3] = file; is_program[file] = is_program[file] || $3 == "main" }
$2 == "U" { uses[file " " $3] }
END {
    for (use in uses) {
        split(use, part, " ")
        called = where[part[2]]
        if (called != "" && !is_program[called])
            print part[1], called
    }
}
