#!/bin/sh
# Makes the table of corpora in docs/results.md again: of each corpus the settings that are best on the validation part, a fifth of
# the training texts, then --models best with them from several seeds, and the linear references where there is a Python with
# scikit-learn (and fastText).
set -eu

folder=build/corpora
seeds=5
python=
candidates='--lr 30 --epochs 16;--lr 20 --epochs 24'
train=tools/train_zoo
out=runs/corpora

usage=$(
    cat <<END
usage: tools/corpora_table.sh [-d FOLDER] [-s N] [-c OPTIONS] [-p PYTHON] [-o FOLDER] [CORPUS...]
  -d FOLDER   where tools/debian_corpora.sh has written them   ($folder)
  -s N        seeds                                            ($seeds)
  -c OPTIONS  options to choose from, ; between them; '' takes those of --models best as they are
              ($candidates)
  -p PYTHON   for the references: one that has scikit-learn    (none: they are left out)
  -o FOLDER   for the runs                                     ($out)
  CORPUS      names in FOLDER, or files                        (all in FOLDER)
END
)

while getopts d:s:c:p:o:h option; do
    case $option in
    d) folder=$OPTARG ;;
    s) seeds=$OPTARG ;;
    c) candidates=$OPTARG ;;
    p) python=$OPTARG ;;
    o) out=$OPTARG ;;
    h) echo "$usage" && exit 0 ;;
    *) echo "$usage" >&2 && exit 2 ;;
    esac
done
shift $((OPTIND - 1))
case $seeds in
'' | *[!0-9]* | 0)
    echo "$usage" >&2
    exit 2
    ;;
esac
[ $# -gt 0 ] || set -- "$folder"/*.tsv

# One number of results.json, the first of its name: of the first seed, or a mean over all.
number() {
    sed -n "s/^ *\"$2\": \([-0-9.e]*\),*\$/\1/p" "$1/results.json" | head -n 1
}

# A number of each seed, their mean and standard deviation. The first in the file is the model's own, of its first seed.
spread() {
    sed -n "s/^ *\"$2\": \([-0-9.e]*\),*\$/\1/p" "$1/results.json" | awk '
        NR == 1 { only = $1; next }
        { sum += $1; squares += $1 * $1; n++ }
        END { if (n < 2) printf "%.3f", only
              else { mean = sum / n; v = (squares - n * mean * mean) / (n - 1)
                     printf "%.3f ± %.3f", mean, sqrt(v > 0 ? v : 0) } }'
}

run() {
    run_out=$1
    shift
    # shellcheck disable=SC2086 # options are words
    "$train" --data "$file" --models best --threads 1 --quiet --out "$run_out" "$@" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        exit 1
    }
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

echo "| corpus | rows | labels | hash | settings | valid | macro F1 | micro F1 | CPU s |"
echo "|---|---|---|---|---|---|---|---|---|"
for name; do
    file=$name
    [ -f "$file" ] || file=$folder/$name.tsv
    name=$(basename "$file" .tsv)
    best=""
    best_valid=-1
    rest=$candidates
    while [ -n "$rest" ]; do
        options=${rest%%;*}
        case $rest in *\;*) rest=${rest#*;} ;; *) rest= ;; esac
        # shellcheck disable=SC2086
        run "$out/$name-choice" --no-refit $options
        valid=$(number "$out/$name-choice" valid_f1)
        if awk "BEGIN { exit !($valid > $best_valid) }"; then
            best=$options
            best_valid=$valid
        fi
    done
    times >"$work/before"
    # shellcheck disable=SC2086
    run "$out/$name" --seeds "$seeds" $best
    times >"$work/after"
    cpu=$(cat "$work/before" "$work/after" | awk '
        function seconds(t,    p) { split(t, p, /[ms]/); return 60 * p[1] + p[2] }
        NR % 2 == 0 { s[NR] = seconds($1) + seconds($2) }
        END { print s[4] - s[2] }')
    hash=$(sed -n 's/^ *"data_hash": "\(.*\)",*$/\1/p' "$out/$name/results.json")
    printf '| %s | %s | %s | `%s` | %s | %.3f | %s | %s | %.0f |\n' "$name" "$(number "$out/$name" rows)" \
        "$(number "$out/$name" labels)" "$hash" "${best:-of best}" "$(number "$out/$name" valid_f1)" \
        "$(spread "$out/$name" tuned_f1)" "$(spread "$out/$name" tuned_micro_f1)" \
        "$(awk "BEGIN { print $cpu / $seeds }")"
    [ -n "$python" ] || continue
    for reference in '--features words' '--features characters' '--model fasttext'; do
        # shellcheck disable=SC2086
        said=$("$python" tools/linear_reference.py --written $reference "$file" 2>/dev/null | tail -n 1) ||
            said="not to be had"
        echo "| | | | | $reference | | ${said#test part: } | | |"
    done
done
