
# `cargo xtask ...`: cargo's own completion asks a function of this name.
_cargo-xtask() {
    _xtask "$@"
}
# Without cargo's own completion, the words behind `cargo` go to the one above.
_xtask_cargo() {
    if (( CURRENT > 2 )) && [[ $words[2] == xtask ]]; then
        shift words
        (( CURRENT-- ))
        _xtask "$@"
    else
        _default
    fi
}
if (( ! $+_comps[cargo] )); then
    compdef _xtask_cargo cargo
fi
