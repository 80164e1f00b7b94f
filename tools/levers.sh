#!/bin/sh
# Trains models that begin with what unlabelled texts know, beside the same models without, and prints them in one table.
#
# Each model has the settings of docs/results.md. What was trained already is kept: run it again to go on after an interruption,
# and give another folder for another number of seeds.
set -eu

models=rnn,lstm,attention,stacked,best
levers=nothing,vectors,pretrain,both
seeds=3
threads=1
out=runs/levers
folder=$(dirname "$0")

usage=$(
    cat <<END
usage: tools/levers.sh [-m MODELS] [-l LEVERS] [-s N] [-t N] [-o FOLDER] CORPUS TEXTS
  CORPUS     a labelled corpus, as of tools/debian_corpus.sh -o
  TEXTS      texts without labels, one a line, as of tools/debian_corpus.sh -u; those that CORPUS tests with left out
  -m MODELS  which models, commas between    ($models)
  -l LEVERS  what they begin with            ($levers)
  -s N       seeds of each                   ($seeds)
  -t N       threads                         ($threads)
  -o FOLDER  where the runs go               ($out)
END
)

usage_error() {
    echo "$usage" >&2
    exit 2
}

while getopts m:l:s:t:o:h option; do
    case $option in
    m) models=$OPTARG ;;
    l) levers=$OPTARG ;;
    s) seeds=$OPTARG ;;
    t) threads=$OPTARG ;;
    o) out=$OPTARG ;;
    h)
        echo "$usage"
        exit 0
        ;;
    *) usage_error ;;
    esac
done
shift $((OPTIND - 1))
[ $# -eq 2 ] || usage_error
corpus=$1
texts=$2
for file in "$corpus" "$texts"; do
    [ -r "$file" ] || {
        echo "tools/levers.sh: $file cannot be read" >&2
        exit 1
    }
done

# The settings of a model, how wide its embedding is, and what is added where it begins with vectors.
settings() {
    tuned="--keep-digits --valid 0.2 --refit --schedule cosine --clip 1"
    width=256
    scale=0.1
    with_vectors="--vectors-lr 2e-4"
    case $1 in
    rnn)
        scale=0.3
        tuned="$tuned --max-len 16 --epochs 16 --orthogonal --dropout 0.3 --lr 1e-3"
        ;;
    lstm) tuned="$tuned --max-len 24 --epochs 20 --forget-bias 1 --embed-dropout 0.3 --dropout 0.5 --lr 4e-3" ;;
    attention)
        tuned="$tuned --max-len 40 --epochs 14 --forget-bias 1 --embed-dropout 0.4 --dropout 0.5 --lr 3e-3"
        with_vectors="$with_vectors --epochs 20"
        ;;
    stacked)
        width=100
        tuned="$tuned --max-len 24 --epochs 40 --forget-bias 1 --embed-dropout 0.2 --dropout 0.3 --lr 4e-3"
        ;;
    best)
        scale=0.02
        tuned=--ensemble
        with_vectors=
        ;;
    *)
        echo "tools/levers.sh: no settings for the model '$1'; there are rnn, lstm, attention, stacked and best" >&2
        exit 2
        ;;
    esac
    tuned="$tuned --embed-scale $scale"
}

learn_vectors() {
    [ -e "$out/vectors-$width.npz" ] && return
    resume=
    [ -e "$out/vectors-$width.npz.state.npz" ] && resume=--resume
    "$folder/vectors" --data "$texts,$corpus" --dim "$width" --window 8 --negative 8 --epochs 8 --sample 1e-4 --keep-digits \
        --threads "$threads" --quiet --out "$out/vectors-$width.npz" $resume
}

train() { # MODEL LEVER
    settings "$1"
    lever=
    case $2 in
    nothing) ;;
    vectors | both)
        learn_vectors
        lever="--vectors $out/vectors-$width.npz $with_vectors"
        ;;
    pretrain) ;;
    *)
        echo "tools/levers.sh: no lever '$2'; there are nothing, vectors, pretrain and both" >&2
        exit 2
        ;;
    esac
    case $2 in
    pretrain | both)
        [ "$1" = best ] && return # nothing in it is recurrent
        lever="$lever --pretrain $texts"
        ;;
    esac
    run=$out/$1-$2
    runs="$runs $run"
    [ -e "$run/done" ] && return
    if [ -e "$run/settings.json" ]; then
        "$folder/train_zoo" --resume "$run" --threads "$threads" --quiet
    else
        # shellcheck disable=SC2086
        "$folder/train_zoo" --data "$corpus" --models "$1" $tuned $lever --seeds "$seeds" --threads "$threads" --quiet --out "$run"
    fi
    touch "$run/done"
}

mkdir -p "$out"
runs=
for model in $(echo "$models" | tr , ' '); do
    for lever in $(echo "$levers" | tr , ' '); do
        train "$model" "$lever"
    done
done
# shellcheck disable=SC2086
"$folder/train_zoo" --compare $runs --out "$out/compare"
