#!/bin/sh
# Writes the corpora of docs/results.md beside the default one: Debian's package descriptions in other languages, and English ones
# with few labels, many labels, and one label a text. Each is one call of debian_corpus.sh, which see.
set -eu

folder=build/corpora
again=

usage=$(
    cat <<END
usage: tools/debian_corpora.sh [-d FOLDER] [-s FOLDER] [-n]
  -d FOLDER  where to write them                   ($folder)
  -s FOLDER  where apt keeps its lists             (that of debian_corpus.sh)
  -n         do not download: use the lists that are there
END
)

state=
while getopts d:s:nh option; do
    case $option in
    d) folder=$OPTARG ;;
    s) state=$OPTARG ;;
    n) again=-n ;;
    h) echo "$usage" && exit 0 ;;
    *) echo "$usage" >&2 && exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -eq 0 ] || {
    echo "$usage" >&2
    exit 2
}
mkdir -p "$folder" || {
    echo "tools/debian_corpora.sh: cannot make $folder; choose another with -d" >&2
    exit 1
}
here=$(dirname "$0")

corpus() {
    name=$1
    shift
    sh "$here/debian_corpus.sh" ${state:+-s "$state"} $again -o "$folder/$name.tsv" "$@"
}

# The first of a language fetches its descriptions.
corpus k2 -k 2
fetched=$again
again=-n
for k in 5 8 14; do corpus "k$k" -k "$k"; done
corpus tags -f all -m 20 -r 12000
corpus sections20 -l en -t sections -k 20 -r 20000
for language in de ja ru uk; do
    again=$fetched
    corpus "$language" -l "$language" -t sections -m 1
    again=-n
    corpus "$language-tags" -l "$language"
done
