#!/bin/sh
# Kills a training run at random moments, lets it go on, and asks whether it ends as one that was left alone.
#
#   sh tests/resume_kill.sh [DATA.tsv [KILLS]]       (tests/fixtures/debian_120.tsv, 100)
#
# `last` is written after every batch, so that many kills meet the writing, the syncing or the renaming of a
# checkpoint. Compared are the best weights byte for byte, all members of `last`, and results.json but for times
# and memory. Needs a build (make). tests/tools/resume.c is the same in small, with exact places to die at.
set -eu
data=${1:-tests/fixtures/debian_120.tsv}
kills=${2:-100}
tool=${TRAIN_ZOO:-tools/train_zoo}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
models=lstm,attention
options="--data $data --models $models --epochs 3 --batch 16 --embed 32 --hidden 32 --checkpoint-every 1"

same_but_times() {
    sed -E '/"(seconds|peak_rss_mb)":/d' "$1" >"$work/one"
    sed -E '/"(seconds|peak_rss_mb)":/d' "$2" >"$work/two"
    cmp -s "$work/one" "$work/two"
}

began=$(date +%s%N)
$tool $options --out "$work/whole" --quiet >/dev/null
took=$((($(date +%s%N) - began) / 1000000))
echo "uninterrupted: $took ms"

killed=0 runs=0
while [ "$killed" -lt "$kills" ]; do
    runs=$((runs + 1))
    rm -rf "$work/cut"
    command="$tool $options --out $work/cut --quiet"
    while :; do
        # From nothing to a third of the whole, so that a run is killed several times before it ends.
        wait=$(awk -v seed="$runs$killed$$" -v most="$took" 'BEGIN { srand(seed); printf "%.3f", rand() * most / 3000 }')
        if timeout -s KILL "$wait" $command >/dev/null 2>"$work/errors"; then
            break
        elif [ -s "$work/errors" ] && ! grep -q '^Killed' "$work/errors"; then
            cat "$work/errors"
            exit 1
        fi
        killed=$((killed + 1))
        [ "$killed" -ge "$kills" ] && { $tool --resume "$work/cut" --quiet >/dev/null 2>&1 || $command >/dev/null; break; }
        if [ -e "$work/cut/settings.json" ]; then command="$tool --resume $work/cut --quiet"; fi
    done
    same_but_times "$work/whole/results.json" "$work/cut/results.json" || { echo "results.json differs"; exit 1; }
    for model in $(echo $models | tr , ' '); do
        cmp "$work/whole/$model.best.npz" "$work/cut/$model.best.npz"
    done
    for file in "$work"/cut/*; do
        case $file in *.last.npz | *.best.npz | */results.json | */settings.json | */report.json | */report.html) ;; *) echo "left behind: $file"; exit 1 ;; esac
    done
    echo "run $runs: the same after $killed kills in all"
done
