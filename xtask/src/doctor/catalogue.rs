//! Every problem, and the page that explains them.

use std::fmt::Write;

use super::{Problem, problems};

/// Every problem, causes before what follows from them: `--fix` goes through them in this order.
pub static PROBLEMS: &[Problem] = &[
    problems::run::UNFINISHED,
    problems::ports::CONFLICT,
    problems::instance::REFUSED,
    problems::env_file::UNUSABLE,
    problems::env::OLD_PORT,
    problems::env::OLD_STOPPED,
    problems::databases::MISSING,
    problems::databases::EMPTIED,
    problems::logins::ROLE_MISSING,
    problems::logins::WRONG_PASSWORD,
    problems::connections::TOO_MANY,
    problems::privileges::DENIED,
    problems::privileges::OWNER,
    problems::alembic::VERSION_MISSING,
    problems::collation::MISMATCH,
    problems::versions::SKEW,
    problems::compose::STALE,
    problems::redis::CONFLICT,
    problems::disk::FULL,
];

/// Whether a problem can be told while a run is open. Every other asks servers that the run has stopped, or may follow from that.
pub(super) fn is_apart_from_a_run(problem: &Problem) -> bool {
    [problems::env_file::UNUSABLE.id, problems::disk::FULL.id].contains(&problem.id)
}

/// `docs/troubleshooting.md`.
pub fn page() -> String {
    let mut out = String::from(
        "# Troubleshooting\n\nMade from the problems themselves by `cargo xtask doctor --list --markdown`; a test keeps it fresh.\n\n\
         `cargo xtask doctor` looks for every problem of this page, says what is behind it, and shows the exact commands of its repair. \
         It changes nothing. `--fix` repairs, one problem after the other: it asks first (a script says `--yes`), looks again \
         afterwards, and writes down how to go back; `cargo xtask doctor --undo` goes back. With an error message at hand, \
         `cargo xtask doctor --error 'TEXT'` looks only for the problems that speak like it.\n",
    );
    // Writing to a String cannot fail.
    for problem in PROBLEMS {
        let _ = write!(
            out,
            "\n## Problem: {}\n\n<a id=\"{}\"></a>`{}`: {}.\n\nYou see, for example:\n\n",
            problem.title, problem.id, problem.id, problem.meaning
        );
        for symptom in problem.symptoms {
            let _ = writeln!(out, "    {symptom}");
        }
        let _ = write!(
            out,
            "\n**Behind it.** {}\n\n**The repair.** {}\n\n    cargo xtask doctor --fix --only {}\n",
            problem.causes, problem.repair, problem.id
        );
    }
    out.push_str(
        "\n## How we know\n\nEach line was created on a real server or container by a test, recognised, repaired with `--fix --yes`, \
         and looked at again. The names are those of the tests.\n\n\
         | Problem | Created | Recognised | Repaired, and gone afterwards | Test |\n|---|---|---|---|---|\n",
    );
    for problem in PROBLEMS {
        for proof in problem.proof {
            let _ = writeln!(
                out,
                "| `{}` | {} | {} | {} | `{}` |",
                problem.id, proof.created, proof.recognised, proof.repaired, proof.test
            );
        }
    }
    out
}
