//! The stages: which commands, in which order, and which tests.

use super::tally::Tally;

/// One cargo command of a run.
pub(super) struct Stage {
    /// Its name, also that of its log.
    pub(super) name: &'static str,
    /// Arguments for cargo, separated by blanks.
    args: &'static str,
    /// Variables.
    pub(super) env: &'static [(&'static str, &'static str)],
    /// Set for a stage of ignored tests: which. It waits for everything before it to pass, because it is slow and its
    /// failures would mostly repeat theirs.
    pub(super) ignored: Option<Ignored>,
}

/// Why a test does not run with the others. Its `#[ignore]` says so, and `cargo test` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ignored {
    /// `needs Docker`.
    Docker,
    /// `needs PostgreSQL with TLS`: the machine's own; the embedded builds have none.
    Tls,
    /// `needs Chromium`.
    Browser,
    /// `takes minutes: ...`
    Minutes,
}

impl Ignored {
    /// What a reason means; `None` for a part of another test, which only that test can run.
    pub(super) fn of(reason: &str) -> Option<Self> {
        match reason {
            "needs Docker" => Some(Self::Docker),
            "needs PostgreSQL with TLS" => Some(Self::Tls),
            "needs Chromium" => Some(Self::Browser),
            other => other.starts_with("takes ").then_some(Self::Minutes),
        }
    }
}

/// The stages in order. `--locked`: a lock file that does not fit is a failure here, not a silent change.
///
/// Freshness of the generated documentation, the dependency budget and the short form of slow suites are tests, not
/// stages: `cargo test` finds them, and a new suite needs no change here.
pub(super) const STAGES: [Stage; 8] = [
    Stage {
        name: "format",
        args: "fmt --all --check",
        env: &[],
        ignored: None,
    },
    Stage {
        name: "lints",
        args: "clippy --locked --workspace --all-targets -- -D warnings",
        env: &[],
        ignored: None,
    },
    Stage {
        name: "documentation",
        args: "doc --locked --workspace --no-deps --document-private-items",
        env: &[("RUSTDOCFLAGS", "-D warnings")],
        ignored: None,
    },
    Stage {
        name: TESTS,
        args: "test --locked --workspace --no-fail-fast",
        env: &[],
        ignored: None,
    },
    Stage {
        name: "TLS tests",
        args: IGNORED,
        env: &[],
        ignored: Some(Ignored::Tls),
    },
    Stage {
        name: "Docker tests",
        args: IGNORED,
        env: &[],
        ignored: Some(Ignored::Docker),
    },
    Stage {
        name: "slow tests",
        args: IGNORED,
        env: &[],
        ignored: Some(Ignored::Minutes),
    },
    Stage {
        name: "browser tests",
        args: IGNORED,
        env: &[],
        ignored: Some(Ignored::Browser),
    },
];

/// The stage that tells which tests are ignored, and why.
pub(super) const TESTS: &str = "tests";

/// The names follow: a reason cannot be asked for.
const IGNORED: &str = "test --locked --workspace --no-fail-fast -- --ignored --exact";

impl Stage {
    /// The arguments; `tests` is what the stage of all tests has seen.
    pub(super) fn args(&self, tests: &Tally) -> Vec<String> {
        let names = self.ignored.map(|kind| tests.ignored(kind)).unwrap_or_default();
        let args = self.args.split(' ').map(str::to_owned);
        args.chain(names.into_iter().map(|test| test.name.clone()))
            .collect()
    }

    /// The stage as one would type it, with these names of tests.
    pub(super) fn shown(&self, names: &[String]) -> String {
        let env = self.env.iter();
        let env: String = env
            .map(|(name, value)| format!("{name}={} ", infra::command::shell_word(value)))
            .collect();
        let names: String = names.iter().map(|name| format!(" {name}")).collect();
        format!("{env}cargo {}{names}", self.args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_prints_as_a_line_to_paste() {
        assert_eq!(STAGES[0].shown(&[]), "cargo fmt --all --check");
        assert!(
            STAGES[2]
                .shown(&[])
                .starts_with("RUSTDOCFLAGS='-D warnings' cargo doc ")
        );
        assert!(
            STAGES[5]
                .shown(&["a::b".to_owned()])
                .ends_with(" --ignored --exact a::b")
        );
    }

    #[test]
    fn a_stage_of_ignored_tests_names_those_of_its_kind() {
        let mut tally = Tally::default();
        tally.see("test a::one ... ignored, needs Docker");
        tally.see("test two ... ignored, takes minutes: many rounds");
        tally.see("test three ... ignored, run by another test");
        tally.see("test four ... ignored, needs PostgreSQL with TLS");
        tally.see("test five ... ignored, needs Chromium");
        let names = |kind: Ignored| {
            let stage = STAGES.iter().find(|stage| stage.ignored == Some(kind)).unwrap();
            stage.args(&tally).pop()
        };
        assert_eq!(names(Ignored::Tls).as_deref(), Some("four"));
        assert_eq!(names(Ignored::Docker).as_deref(), Some("a::one"));
        assert_eq!(names(Ignored::Minutes).as_deref(), Some("two"));
        assert_eq!(names(Ignored::Browser).as_deref(), Some("five"));
        assert_eq!(STAGES[3].args(&tally).pop().as_deref(), Some("--no-fail-fast"));
    }
}
