# Completion for bash of reel-train, reel-predict, reel-bpe, reel-gradcheck, reel-lm, reel-vectors and reel-bench: the options that the
# program's own --help lists, and what their arguments name there.

_reel_options()
{
    "$@" --help 2>/dev/null | sed -n 's/^  \(--[a-z]\)/\1/p'
}

_reel()
{
    local program=$1 word=$2 previous=$3 command=() kind=
    if [[ ${program##*/} == *bpe ]]; then
        local commands
        commands=$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')
        if ((COMP_CWORD == 1)); then
            mapfile -t COMPREPLY < <(compgen -W "$commands --help" -- "$word")
            return
        fi
        command=("${COMP_WORDS[1]}")
    fi
    if [[ $previous == --* ]]; then # its argument, as --help names it
        kind=$(_reel_options "$program" "${command[@]}" | awk -v name="$previous" '$1 == name { print substr($0, length(name) + 2, 5) }')
    fi
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_reel_options "$program" "${command[@]}" | cut -d ' ' -f 1)" -- "$word")
    elif [[ $previous == --models ]]; then
        mapfile -t COMPREPLY < <(compgen -W "all best $("$program" --list 2>/dev/null | cut -d ' ' -f 1)" -- "$word")
    elif [[ $kind == DIR* ]]; then
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
    elif [[ $kind == FILE* || $kind == ' '* || -z $kind ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}

complete -o filenames -F _reel reel-train reel-predict reel-bpe reel-gradcheck reel-lm reel-vectors reel-bench
