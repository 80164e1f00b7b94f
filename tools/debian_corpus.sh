#!/bin/sh
# Writes a labelled corpus of Debian's own package descriptions: a TSV with the columns text and labels.
#
# Needs apt, awk and gzip, which every Debian has; no root. apt keeps its lists in a folder of its own
# (the default is below build/) and the system's are not touched.
set -eu
export LC_ALL=C

out=build/debian.tsv
unlabelled=
facets=use::,works-with::
least=30
most=0
rows=0
language=
labels=tags
state=build/apt
update=yes

usage=$(
    cat <<END
usage: tools/debian_corpus.sh [-o FILE] [-u FILE] [-l LANGUAGE] [-t KIND] [-f FACETS] [-m N] [-k N] [-r N] [-s FOLDER] [-n]
  -o FILE    where to write the corpus             ($out)
  -u FILE    where to write all other descriptions, one a line  (nowhere)
  -l CODE    descriptions in this language (de, ja, ru, uk; en), as they are written
             (English in lower case without punctuation)
  -t KIND    what labels are: tags, or sections, of which a package has one  ($labels)
  -f FACETS  facets of debtags that become labels, or all  ($facets)
  -m N       labels that fewer packages bear go    ($least)
  -k N       only the N most frequent labels       (0: all)
  -r N       only N rows, drawn by the MD5 of the descriptions  (0: all)
  -s FOLDER  where apt keeps its lists             ($state)
  -n         do not download: use the lists that are there
END
)

usage_error() {
    echo "$usage" >&2
    exit 2
}

fail() {
    echo "tools/debian_corpus.sh: $*" >&2
    exit 1
}

no_corpus() {
    fail "$*; pass a file of your own: make zoo DATA=file.tsv"
}

while getopts o:u:l:t:f:m:k:r:s:nh option; do
    case $option in
    o) out=$OPTARG ;;
    u) unlabelled=$OPTARG ;;
    f) facets=$OPTARG ;;
    m) least=$OPTARG ;;
    k) most=$OPTARG ;;
    l) language=$OPTARG ;;
    t) labels=$OPTARG ;;
    r) rows=$OPTARG ;;
    s) state=$OPTARG ;;
    n) update=no ;;
    h) echo "$usage" && exit 0 ;;
    *) usage_error ;;
    esac
done
shift $((OPTIND - 1))
case $#/$least/$most/$rows in
0/*[!0-9/]* | 0/*//* | 0//* | 0/*/ | [1-9]*) usage_error ;;
esac
case $labels/$language in
tags/*[!a-zA-Z_]* | sections/*[!a-zA-Z_]*) usage_error ;;
tags/* | sections/*) ;;
*) usage_error ;;
esac

command -v apt-get >/dev/null || no_corpus "there is no apt-get here"
helper=/usr/lib/apt/apt-helper
[ -x "$helper" ] || no_corpus "there is no $helper here"
mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$(dirname "$out")" ||
    fail "cannot make the folders for $state and $out; choose others with -s and -o"
state=$(cd "$state" && pwd)

# apt with a state of its own. Only the lists of packages and of descriptions are wanted.
own_apt() {
    apt-get -q -o Dir::State="$state" -o Dir::State::lists="$state/lists" -o Dir::Cache="$state/cache" \
        -o Acquire::Languages="${language:-en}" -o APT::Get::List-Cleanup=false -o APT::Sandbox::User=root \
        -o Acquire::IndexTargets::deb-src::Sources::DefaultEnabled=false \
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
        -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false "$@"
}

# The lists of one kind, whatever they are compressed with. Other archives than Debian's have no tags.
list_files() {
    own_apt indextargets --format "\$(FILENAME)" "Created-By: $1" "Component: main" 2>/dev/null
}

# Each list ends with an empty line, whatever its last package does.
print_files() {
    while IFS= read -r file; do
        "$helper" cat-file "$file" || echo "$file" >>"$work/unreadable"
        echo
    done
}

# One archive of several that cannot be reached need not be Debian's; what there is decides below.
if [ "$update" = yes ]; then
    own_apt update >&2 || echo "tools/debian_corpus.sh: apt-get update failed; trying the lists there are" >&2
fi

work=$(mktemp -d "$out.XXXXXX") || fail "cannot write beside $out; choose another place with -o"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

for kind in Packages Translations; do
    list_files "$kind" >"$work/$kind" || true
    [ -s "$work/$kind" ] || no_corpus "apt has no lists with descriptions of packages (no network, or no sources?)"
done

# 1. Every package once: the MD5 of its description and its section or its tags in the facets, in the order of the lists.
# "TODO" is debtags' placeholder for a tag that nobody has chosen yet.
print_files <"$work/Packages" | awk -v facets="$facets" -v labels="$labels" '
    BEGIN { FS = ": "; number = split(facets, wanted, ",") }
    function end_of_package(    i, j, count, list, chosen) {
        if (md5 != "" && !(package in seen)) {
            seen[package] = 1
            count = split(tags, list, /[ ,\t]+/)
            for (i = 1; i <= count; i++)
                for (j = 1; j <= number; j++)
                    if ((facets == "all" || index(list[i], wanted[j]) == 1) && list[i] ~ /::/ && list[i] !~ /::TODO$/) {
                        chosen = chosen " " list[i]
                        break
                    }
            if (labels == "sections" && section != "")
                chosen = " " section
            else if (labels == "sections")
                chosen = ""
            if (chosen != "")
                print md5 chosen
        }
        package = md5 = tags = section = ""
    }
    /^$/               { end_of_package(); field = ""; next }
    /^[ \t]/           { if (field == "Tag") tags = tags $0; next }
                       { field = $1; sub(/:$/, "", field) }
    field == "Package" { package = $2 }
    field == "Description-md5" { md5 = $2 }
    field == "Section" { section = $2 }
    field == "Tag"     { tags = substr($0, 5) }
    END                { end_of_package() }
' >"$work/tags"

# 2. The descriptions of these packages (with -u of all): MD5, a tab, and the text as it is written, or else lower-case words
# and numbers (the homework's file has them too; what reads it drops them).
print_files <"$work/Translations" | awk -v tags="$work/tags" -v all="$unlabelled" -v language="$language" '
    BEGIN {
        FS = ": "
        name = "Description-" (language == "" ? "en" : language)
        while ((getline line < tags) > 0) { split(line, part, " "); wanted[part[1]] = 1 }
    }
    function end_of_package() {
        if (md5 in wanted || (all != "" && md5 != "" && !(md5 in printed))) {
            delete wanted[md5]
            printed[md5] = 1
            if (language == "") {
                text = tolower(text)
                gsub(/[^a-z0-9]+/, " ", text)
            }
            gsub(/[ \t]+/, " ", text)
            sub(/^ /, "", text); sub(/ $/, "", text)
            print md5 "\t" text
        }
        md5 = text = ""
    }
    /^$/     { end_of_package(); field = ""; next }
    /^[ \t]/ { if (field == name && $0 != " .") text = text " " $0; next }
             { field = $1; sub(/:$/, "", field) }
    field == "Description-md5" { md5 = $2 }
    field == name              { text = substr($0, length(name) + 3) }
    END      { end_of_package() }
' >"$work/texts"

[ ! -e "$work/unreadable" ] || fail "cannot read $(head -n 1 "$work/unreadable"); remove $state and try again"

# 3. The rows, each behind its MD5. Labels are sorted; a row whose labels are all rare goes, and so does a text seen before.
awk -v least="$least" -v most="$most" -v texts="$work/texts" \
    -v unlabelled="${unlabelled:+$work/unlabelled}" '
    BEGIN {
        while ((getline line < texts) > 0) {
            tab = index(line, "\t")
            text[order[++descriptions] = substr(line, 1, tab - 1)] = substr(line, tab + 1)
        }
    }
    $1 in text {
        row[++rows] = $0
        for (i = 2; i <= NF; i++)
            if (!((rows, $i) in has)) { has[rows, $i] = 1; bearers[$i]++ }
    }
    # The labels that the most packages bear; of equals the first by name.
    function keep_most(    i, name, best) {
        for (i = 0; i < most; i++) {
            best = ""
            for (name in bearers)
                if (!(name in kept_name) && (best == "" || bearers[name] > bearers[best] ||
                                             (bearers[name] == bearers[best] && name < best)))
                    best = name
            kept_name[best] = 1
        }
        for (name in bearers) if (!(name in kept_name)) bearers[name] = -1
    }
    END {
        if (most > 0) keep_most()
        for (r = 1; r <= rows; r++) {
            count = split(row[r], part, " ")
            kept = 0
            for (i = 2; i <= count; i++) {
                if (bearers[part[i]] < least || !((r, part[i]) in has)) continue
                delete has[r, part[i]]
                for (j = ++kept; j > 1 && label[j - 1] > part[i]; j--) label[j] = label[j - 1]
                label[j] = part[i]
            }
            body = text[part[1]]
            if (kept == 0 || body == "" || body in seen) continue
            seen[body] = 1
            if (body ~ /^"/) { gsub(/"/, "\"\"", body); body = "\"" body "\"" }
            line = part[1] "\t" body "\t" label[1]
            for (i = 2; i <= kept; i++) line = line ", " label[i]
            print line
        }
        # The descriptions that no row has: whatever is held out of the corpus is not among them.
        for (i = 1; unlabelled != "" && i <= descriptions; i++) {
            body = text[order[i]]
            if (body == "" || body in seen) continue
            seen[body] = 1
            print body > unlabelled
        }
    }
' "$work/tags" >"$work/rows"
[ "$rows" -eq 0 ] || {
    sort "$work/rows" >"$work/drawn"
    head -n "$rows" "$work/drawn" >"$work/rows"
}
{ printf 'text\tlabels\n'; cut -f 2- "$work/rows"; } >"$work/corpus"
awk -F '\t' 'NR > 1 { total += split($2, label, ", "); for (i in label) if (!used[label[i]]++) labels++ }
    END { printf "%d rows, %d labels, %.2f labels a row\n", NR - 1, labels, total / (NR > 1 ? NR - 1 : 1)
          exit NR < 2 || labels < 2 }' "$work/corpus" >"$work/counts" ||
    no_corpus "no package of apt's sources has enough tags in the facets $facets (are they Debian's?)"

if [ -n "$unlabelled" ]; then
    chmod a+r "$work/unlabelled"
    if ! sync "$work/unlabelled" || ! mv "$work/unlabelled" "$unlabelled"; then
        fail "cannot write $unlabelled; choose another place with -u"
    fi
    echo "$unlabelled: $(wc -l <"$unlabelled") descriptions without labels"
fi
chmod a+r "$work/corpus"
if ! sync "$work/corpus" || ! mv "$work/corpus" "$out"; then
    fail "cannot write $out; choose another place with -o"
fi
# The CRC-32 that gzip ends with (little-endian, then the length): the hash of results.json.
crc=$(gzip -c "$out" | tail -c 8 | od -An -tx1 -N4 | awk '{ print $4 $3 $2 $1 }')
echo "$out: $(cat "$work/counts"), hash $crc"
