//! What `cargo test` printed, as numbers and names.

/// Counts over all test programs of one stage.
#[derive(Debug, Default)]
pub(super) struct Tally {
    passed: u64,
    need_docker: u64,
    failed: Vec<String>,
}

/// How many failed tests the table names.
const NAMED: usize = 5;

impl Tally {
    /// Reads one line; a line that is not a test's counts for nothing.
    pub(super) fn see(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("test ")
            && let Some(name) = rest.strip_suffix(" ... FAILED")
        {
            self.failed.push(name.to_owned());
        }
        if line.starts_with("test ") && line.ends_with(" ... ignored, needs Docker") {
            self.need_docker += 1;
        }
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
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
    }

    /// `212 passed, 3 need Docker`; empty for a stage without tests.
    pub(super) fn summary(&self) -> String {
        let mut parts = Vec::new();
        if self.passed > 0 {
            parts.push(format!("{} passed", self.passed));
        }
        if self.need_docker > 0 {
            parts.push(format!("{} need Docker", self.need_docker));
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
            "test c ... ignored, run by another test",
            "test result: FAILED. 2 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1.50s",
        ] {
            tally.see(line);
        }
        assert_eq!(tally.summary(), "7 passed, 1 need Docker, 1 failed: a::two");
    }

    #[test]
    fn other_output_counts_for_nothing() {
        let mut tally = Tally::default();
        tally.see("   Compiling xtask v0.1.0");
        assert_eq!(tally.summary(), "");
    }
}
