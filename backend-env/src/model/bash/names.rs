//! Names that mean something to bash.

/// Readonly in every bash: an assignment fails.
const FIXED: &str = "\
    UID EUID PPID BASHOPTS SHELLOPTS BASH_VERSINFO";

/// Variables bash computes, or that change how it goes on.
const LIVE: &str = "\
    RANDOM SRANDOM SECONDS LINENO EPOCHSECONDS EPOCHREALTIME BASHPID BASH_COMMAND BASH_SUBSHELL \
    BASH_ARGV0 BASH_ARGC BASH_ARGV BASH_SOURCE BASH_LINENO BASH_CMDS BASH_ALIASES BASH_COMPAT \
    BASH_XTRACEFD HISTCMD FUNCNAME GROUPS DIRSTACK PIPESTATUS COMP_WORDBREAKS POSIXLY_CORRECT _ \
    SHLVL OPTIND";

/// Words that start a construct or a builtin which may change variables or where bash goes on.
const POWERFUL: &str = "\
    if then elif else fi case esac for select while until do done in function time { } ! [[ ]] \
    coproc . source alias bg bind break builtin caller cd command compgen complete compopt continue \
    declare dirs disown enable eval exec exit fc fg getopts hash help history jobs kill let local \
    logout mapfile popd printf pushd pwd read readarray readonly return set shift shopt suspend \
    times trap type typeset ulimit umask unalias unset wait";

/// Variables bash sets when it starts.
const OWN: &str = "\
    BASH BASH_VERSION BASH_ENV BASH_EXECUTION_STRING COLUMNS LINES DIRSTACK HOSTNAME HOME HOSTTYPE \
    IFS MACHTYPE OLDPWD OPTARG OPTERR OSTYPE PATH PS4 PWD SHELL TERM";

fn holds(list: &str, name: &[u8]) -> bool {
    list.split(' ').any(|known| known.as_bytes() == name)
}

pub(super) fn is_fixed(name: &[u8]) -> bool {
    holds(FIXED, name)
}

pub(super) fn is_live(name: &[u8]) -> bool {
    holds(LIVE, name)
}

pub(super) fn is_powerful(word: &[u8]) -> bool {
    holds(POWERFUL, word)
}

pub(super) fn is_set_by_bash(name: &[u8]) -> bool {
    is_fixed(name) || is_live(name) || holds(OWN, name)
}

/// A name that can be assigned.
pub(super) fn is_name(text: &[u8]) -> bool {
    !text.is_empty() && name_length(text) == text.len()
}

/// The length of the name that `text` starts with.
pub(super) fn name_length(text: &[u8]) -> usize {
    if text.first().is_some_and(u8::is_ascii_digit) {
        return 0;
    }
    text.iter()
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
        .count()
}
