//! The exit codes. `docs/reference/cli.md` is generated from [`Exit::ALL`].

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done and checked.
    Ok,
    /// A fault of this tool.
    Unexpected,
    /// The command line or a settings file is wrong.
    Usage,
    /// `verify` or a comparison found faults.
    Findings,
    /// There was nothing to do, and nothing was changed.
    NothingToDo,
    /// Only warnings were found.
    WarningsOnly,
    /// Something needed is missing; nothing was changed.
    Preconditions,
    /// A step failed; `migrate --resume` goes on, `rollback` goes back.
    Resumable,
    /// The old world is back.
    RolledBack,
    /// Going back stopped halfway: a person is needed, and the list says for what.
    RollbackIncomplete,
    /// Ctrl-C; the run can be resumed.
    Interrupted,
}

impl Exit {
    /// Every code, its number and its meaning.
    pub const ALL: [(Self, u8, &'static str); 11] = [
        (Self::Ok, 0, "done, and checked"),
        (Self::Unexpected, 1, "a fault of this tool"),
        (Self::Usage, 2, "the command line or a settings file is wrong"),
        (Self::Findings, 3, "a check found faults, or compared data differ"),
        (Self::NothingToDo, 4, "nothing to do, nothing changed"),
        (
            Self::WarningsOnly,
            10,
            "only warnings; `verify` needs --deny-warnings for it",
        ),
        (
            Self::Preconditions,
            20,
            "a precondition is not met, nothing changed",
        ),
        (
            Self::Resumable,
            21,
            "a step failed; the run can be resumed or rolled back",
        ),
        (
            Self::RolledBack,
            22,
            "rolled back: every old database answers and holds all that it held",
        ),
        (
            Self::RollbackIncomplete,
            23,
            "rollback incomplete: a person is needed",
        ),
        (Self::Interrupted, 130, "interrupted; the run can be resumed"),
    ];

    /// The number the operating system sees.
    pub fn code(self) -> u8 {
        Self::ALL
            .iter()
            .find(|(exit, ..)| *exit == self)
            .map_or(1, |(_, code, _)| *code)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_has_its_own_code() {
        let codes: std::collections::BTreeSet<u8> = Exit::ALL.iter().map(|(_, code, _)| *code).collect();
        assert_eq!(codes.len(), Exit::ALL.len());
        assert_eq!(Exit::Preconditions.code(), 20);
    }
}
