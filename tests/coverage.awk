# Makes a table of what gcov prints: one line a source file, the least covered first, and the sum.
/^File / {
    file = $2
    gsub(/'/, "", file)
}
/^Lines executed:/ && file ~ /^(tensor|autograd|nn|models|tools)\/.*\.c$/ {
    split($2, part, ":")
    lines[file] = $4
    reached[file] = int($4 * part[2] / 100 + 0.5)
    file = ""
}
/^$/ {
    file = ""
}
END {
    for (file in lines) {
        printf "%7.1f %% of %5d lines  %s\n", 100 * reached[file] / lines[file], lines[file], file | "sort -n"
        all += lines[file]
        all_reached += reached[file]
    }
    close("sort -n")
    if (all == 0) {
        print "no coverage data" > "/dev/stderr"
        exit 1
    }
    printf "%7.1f %% of %5d lines  in all\n", 100 * all_reached / all, all
}
