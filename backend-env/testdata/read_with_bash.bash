# Sources every file of a directory in a bash of its own and prints what it set. (A subshell would not do: bash 5.2
# ends one when a sourced list fails in its last command.)
#
# usage: read_with_bash.bash DIRECTORY SCRATCH KEY...
# For each file, ended by NUL: its name, `syntax` or `ran`, `KEY=value` for every key that is a plain variable, `end`.
# Nothing is found on the path, and what a file writes goes to SCRATCH.

directory=$1 scratch=$2
shift 2
cd "$scratch" || exit 1
unset PATH OLDPWD

# shellcheck disable=SC2016
read_one='
    file=$1 errors=$2
    shift 2
    keys=("$@")
    set --
    PATH=/nonexistent
    set -a
    . "$file" </dev/null >/dev/null 2>"$errors"
    set +a
    text=$(<"$errors")
    outcome=ran
    if [[ $text == *"syntax error"* || $text == *"unexpected EOF"* ]]; then
        outcome=syntax
    fi
    printf "%s\0" "${file##*/}" "$outcome"
    for key in "${keys[@]}"; do
        if [[ -v $key && ${!key@a} != *[aA]* ]]; then
            printf "%s=%s\0" "$key" "${!key}"
        fi
    done
    printf "end\0"
'
for file in "$directory"/*; do
    "$BASH" --noprofile --norc -c "$read_one" bash "$file" "$directory.errors" "$@" 2>/dev/null
done
