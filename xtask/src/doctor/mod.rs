//! What `doctor` knows: a catalogue of problems. Each is recognised by what programs say, its cause is established by
//! looking, and where a repair is safe it is data: the exact acts, with their way back.
//!
//! Examining is pure, over what was seen. Only an [`act`] changes anything, and only after consent.

mod act;
mod case;
mod catalogue;
mod fix;
mod past;
mod problems;
mod symptom;

#[cfg(test)]
mod tests;

use crate::checks::NotLooked;
use crate::model::Finding;

pub use case::Case;
pub use catalogue::{PROBLEMS, page};
pub use fix::{Fix, FixStep, Kept};
pub use past::Past;
pub use symptom::recognise;

/// One problem that people meet.
#[derive(Clone, Copy)]
pub struct Problem {
    /// Its name, for programs and for the page's links.
    pub id: &'static str,
    /// How people call it: the heading of its section.
    pub title: &'static str,
    /// What it is, in one line.
    pub meaning: &'static str,
    /// What programs say; `*` stands for anything on the same line.
    pub symptoms: &'static [&'static str],
    /// What may be behind it.
    pub causes: &'static str,
    /// What the repair does, and what it leaves to a person.
    pub repair: &'static str,
    /// How it was created, recognised, repaired and looked at again, and by which test.
    pub proof: &'static [Proof],
    /// Looks at what was seen.
    pub examine: fn(&Case<'_>) -> Examined,
}

/// One line of the table of proofs.
#[derive(Clone, Copy)]
pub struct Proof {
    /// How a test creates the problem.
    pub created: &'static str,
    /// What the doctor says.
    pub recognised: &'static str,
    /// What it does.
    pub repaired: &'static str,
    /// The test.
    pub test: &'static str,
}

/// What examining a problem answers: nothing when it is not there.
pub type Examined = Result<Vec<Diagnosis>, NotLooked>;

/// A problem that is there, with its cause.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// What it is about: a database, a container, a port. With the problem's id it says whether it is gone.
    pub subject: String,
    /// What was found; the id is the problem's.
    pub finding: Finding,
    /// What a program said.
    pub said: Option<String>,
    /// What was looked at, line by line.
    pub evidence: Vec<String>,
    /// The repair; `None` where it is a person's decision.
    pub fix: Option<Fix>,
}

impl Diagnosis {
    /// Something that does not work.
    fn error(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self::of(subject.into(), Finding::error("", found))
    }

    /// Something that will not work for long.
    fn warning(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self::of(subject.into(), Finding::warning("", found))
    }

    fn of(subject: String, finding: Finding) -> Self {
        Self {
            subject,
            finding,
            said: None,
            evidence: Vec::new(),
            fix: None,
        }
    }

    fn said(mut self, said: Option<&str>) -> Self {
        self.said = said.map(str::to_owned);
        self
    }

    fn evidence(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(lines);
        self
    }

    fn wanted(mut self, wanted: impl Into<String>) -> Self {
        self.finding = self.finding.wanted(wanted);
        self
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.finding = self.finding.hint(hint);
        self
    }

    fn fix(mut self, fix: Option<Fix>) -> Self {
        self.fix = fix;
        self
    }
}

/// A problem with what examining it said.
pub struct Examination {
    /// The problem.
    pub problem: &'static Problem,
    /// The diagnoses, or why it could not look.
    pub result: Examined,
}

/// A run that is neither finished nor rolled back.
#[derive(Clone, Debug)]
pub struct OpenRun {
    /// The run.
    pub run: String,
    /// Whether it is on its way back.
    pub going_back: bool,
    /// The process that works on it, in its own words.
    pub held_by: Option<String>,
    /// What decides, as lines to type.
    pub lines: Vec<String>,
}

/// Examines problems, in the order of the catalogue. While a run is open, the run is the diagnosis, whatever was asked for.
pub fn examine(problems: &[&'static Problem], case: &Case<'_>) -> Vec<Examination> {
    let mut problems = problems.to_vec();
    if case.open.is_some() {
        problems.retain(|problem| catalogue::is_apart_from_a_run(problem));
        problems.insert(0, &PROBLEMS[0]);
    }
    let one = |problem: &&'static Problem| {
        let mut result = (problem.examine)(case);
        for diagnosis in result.iter_mut().flatten() {
            diagnosis.finding.id = problem.id.to_owned();
        }
        Examination { problem, result }
    };
    problems.iter().map(one).collect()
}
