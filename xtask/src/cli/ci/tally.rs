//! What `cargo test` printed, as numbers and names.

use super::stages::Ignored;

/// Counts over all test programs of one stage.
#[derive(Debug, Default)]
pub(super) struct Tally {
    passed: u64,
    ignored: Vec<Test>,
    failed: Vec<String>,
    /// The suite that runs.
    suite: String,
}

/// An ignored test.
#[derive(Debug)]
pub(super) struct Test {
    /// Its name with its modules.
    pub(super) name: String,
    /// Why it is ignored.
    pub(super) reason: String,
}

/// The suite that a line of cargo begins: `Running tests/edits.rs (target/debug/deps/edits-c938634a)`, `Doc-tests infra`.
fn suite_of(line: &str) -> Option<&str> {
    if let Some(package) = line.strip_prefix("Doc-tests ") {
        return Some(package);
    }
    let (_, program) = line.strip_prefix("Running ")?.split_once(" (")?;
    let name = program.trim_end_matches(')').rsplit(['/', '\\']).next()?;
    Some(name.rsplit_once('-').map_or(name, |(name, _)| name))
}

/// How many failed tests the table names.
const NAMED: usize = 5;

impl Tally {
    /// Reads one line; a line that is not a test's counts for nothing. At the end of a suite with tests: what there is to say of it.
    pub(super) fn see(&mut self, line: &str) -> Option<String> {
        if let Some(suite) = suite_of(line.trim_start()) {
            self.suite = suite.to_owned();
        }
        if let Some((name, result)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.split_once(" ... "))
        {
            let name = name.to_owned();
            match (result, result.strip_prefix("ignored, ")) {
                ("FAILED", _) => self.failed.push(name),
                (_, Some(reason)) => self.ignored.push(Test {
                    name,
                    reason: reason.to_owned(),
                }),
                _ => {}
            }
        }
        let result = line.strip_prefix("test result: ")?;
        for part in result.split([';', '.']) {
            let mut words = part.split_whitespace();
            let count = words
                .next()
                .and_then(|word| word.parse::<u64>().ok())
                .unwrap_or(0);
            if words.next() == Some("passed") {
                self.passed += count;
            }
        }
        let said: Vec<&str> = result.split([';', '.']).map(str::trim).collect();
        let count = |word: &str| said.iter().find(|part| part.ends_with(word)).copied();
        let (passed, failed) = (count(" passed")?, count(" failed")?);
        let (_, seconds) = result.rsplit_once("finished in ")?;
        let ran = passed != "0 passed" || failed != "0 failed";
        ran.then(|| format!("{}: {passed}, {failed}, {seconds}", self.suite))
    }

    /// Ignored tests of one kind.
    pub(super) fn ignored(&self, kind: Ignored) -> Vec<&Test> {
        let of_kind = |test: &&Test| Ignored::of(&test.reason) == Some(kind);
        self.ignored.iter().filter(of_kind).collect()
    }

    /// Names of tests that failed.
    pub(super) fn failed(&self) -> &[String] {
        &self.failed
    }

    /// `212 passed, 1 failed: a::two`; empty for a stage without tests.
    pub(super) fn summary(&self) -> String {
        let mut parts = Vec::new();
        if self.passed > 0 {
            parts.push(format!("{} passed", self.passed));
        }
        if !self.failed.is_empty() {
            let more = if self.failed.len() > NAMED { ", ..." } else { "" };
            let named = &self.failed[..self.failed.len().min(NAMED)];
            parts.push(format!(
                "{} failed: {}{more}",
                self.failed.len(),
                named.join(", ")
            ));
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_programs_add_up_and_failures_are_named() {
        let mut tally = Tally::default();
        for line in [
            "running 4 tests",
            "test a::one ... ok",
            "test a::two ... FAILED",
            "test b ... ignored, needs Docker",
            "test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1.50s",
        ] {
            tally.see(line);
        }
        assert_eq!(tally.summary(), "7 passed, 1 failed: a::two");
        assert_eq!(tally.ignored(Ignored::Docker).len(), 1);
    }

    #[test]
    fn c13_a_suite_is_told_as_it_ends_with_counts_and_seconds() {
        let mut tally = Tally::default();
        let running = "     Running tests/edits.rs (target/debug/deps/edits-c938634a598af0a2)";
        assert_eq!(tally.see(running), None);
        let result =
            "test result: ok. 15 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out; finished in 1.25s";
        assert_eq!(tally.see(result).unwrap(), "edits: 15 passed, 0 failed, 1.25s");
        tally.see("   Doc-tests infra");
        let nothing =
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(tally.see(nothing), None);
    }

    #[test]
    fn other_output_counts_for_nothing() {
        let mut tally = Tally::default();
        tally.see("   Compiling xtask v0.1.0");
        assert_eq!(tally.summary(), "");
    }
}
