
# `cargo xtask ...`: the words behind `cargo` go to the completion above; cargo keeps its own for everything else.
function __xtask_behind_cargo
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test "$words[2]" = xtask
end
function __xtask_cargo
    set -l words (commandline -opc)
    complete -C (string join ' ' -- (string escape -- $words[2..-1]) (commandline -ct))
end
complete -c cargo -n __xtask_behind_cargo -f -a '(__xtask_cargo)'
