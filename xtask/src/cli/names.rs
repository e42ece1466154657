//! Names that an argument takes and a shell can complete. Whoever reads them says which is the nearest to a wrong one.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Command, Error};

use crate::checks::{CHECKS, Group};
use crate::doctor::PROBLEMS;

/// Takes every text, and offers these.
#[derive(Clone)]
pub(super) struct Names(fn() -> Vec<&'static str>);

impl Names {
    /// Checks and their groups.
    pub(super) fn checks() -> Self {
        Self(|| {
            let groups = Group::ALL.into_iter().map(Group::name);
            CHECKS.iter().map(|check| check.id).chain(groups).collect()
        })
    }

    /// The doctor's problems.
    pub(super) fn problems() -> Self {
        Self(|| PROBLEMS.iter().map(|problem| problem.id).collect())
    }
}

impl TypedValueParser for Names {
    type Value = String;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.0)().into_iter().map(PossibleValue::new)))
    }
}
