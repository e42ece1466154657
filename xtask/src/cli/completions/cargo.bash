
# `cargo xtask ...`: the words behind `cargo` go to the completion above, everything else to the one that cargo had.
_xtask_cargo() {
    if [[ ${COMP_WORDS[1]} == xtask && $COMP_CWORD -gt 1 ]]; then
        COMP_WORDS=("${COMP_WORDS[@]:1}")
        ((COMP_CWORD--))
        _xtask xtask "$2" "$3"
    elif [[ -n $_xtask_cargo_before ]]; then
        "$_xtask_cargo_before" "$@"
    fi
}
if [[ $(complete -p cargo 2>/dev/null) != *_xtask_cargo* ]]; then
    # bash-completion loads cargo's completion when it is first needed.
    if ! complete -p cargo &>/dev/null && declare -F _completion_loader &>/dev/null; then
        _completion_loader cargo &>/dev/null || true
    fi
    _xtask_cargo_before=
    if [[ $(complete -p cargo 2>/dev/null) =~ -F\ ([^\ ]+) ]]; then
        _xtask_cargo_before=${BASH_REMATCH[1]}
    fi
    complete -F _xtask_cargo -o bashdefault -o default cargo
fi
