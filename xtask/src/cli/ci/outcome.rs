//! How stages ended, and the table that tells it.

use crate::model::time;

/// How a stage ended.
pub(super) enum Ended {
    /// Well; how many tests passed.
    Passed(String),
    /// Not well.
    Failed {
        /// How many tests passed and which failed.
        detail: String,
        /// The line that runs what failed again.
        again: String,
    },
    /// Not at all.
    NotRun(&'static str),
    /// By Ctrl-C.
    Interrupted,
}

/// A stage that is over.
pub(super) struct Done {
    /// Its name.
    pub(super) name: &'static str,
    /// How long it took.
    pub(super) seconds: f64,
    /// How it ended.
    pub(super) ended: Ended,
}

/// The table at the end.
pub(super) fn table(done: &[Done]) -> String {
    let mut out = format!("{:<14} {:>12}  result\n", "stage", "duration");
    for stage in done {
        let took = time::seconds(stage.seconds);
        let (duration, result) = match &stage.ended {
            Ended::Passed(detail) => (took, join("ok", detail)),
            Ended::Failed { detail, .. } => (took, join("FAILED", detail)),
            Ended::Interrupted => (took, "interrupted".to_owned()),
            Ended::NotRun(why) => ("-".to_owned(), (*why).to_owned()),
        };
        out.push_str(&format!("{:<14} {duration:>12}  {result}\n", stage.name));
    }
    let total: f64 = done.iter().map(|stage| stage.seconds).sum();
    out.push_str(&format!("{:<14} {:>12}\n", "total", time::seconds(total)));
    out
}

fn join(word: &str, detail: &str) -> String {
    if detail.is_empty() {
        word.to_owned()
    } else {
        format!("{word}: {detail}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_every_stage_whether_it_ran_or_not() {
        let failed = Ended::Failed {
            detail: "3 passed, 1 failed: a".to_owned(),
            again: "cargo test".to_owned(),
        };
        let done = [
            ("format", Ended::Passed(String::new())),
            ("tests", failed),
            ("Docker tests", Ended::NotRun("left out")),
        ];
        let done = done.map(|(name, ended)| Done {
            name,
            seconds: 1.0,
            ended,
        });
        assert_eq!(
            table(&done),
            "stage              duration  result\n\
             format                1.0 s  ok\n\
             tests                 1.0 s  FAILED: 3 passed, 1 failed: a\n\
             Docker tests              -  left out\n\
             total                 3.0 s\n"
        );
    }
}
