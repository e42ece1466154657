//! Which checks to run.

use std::fmt;

use super::{CHECKS, Check, Scope};
use crate::model::nearest;

/// What a person asked for.
#[derive(Clone, Debug, Default)]
pub struct Selection<'a> {
    /// Only these; empty: all of the scope.
    pub only: &'a [String],
    /// Not these.
    pub skip: &'a [String],
}

/// A name that nothing has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// What it should have named.
    pub what: &'static str,
    /// The name.
    pub name: String,
    /// The name that is most like it.
    pub nearest: Option<String>,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no {} named {}", self.what, self.name)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; the nearest is {nearest}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UnknownName {}

/// The checks of a scope that a person wants. A name is a check's id, or a group's: `env` is every check of `env`.
///
/// # Errors
/// A name that no check and no group has.
pub fn select(scope: Scope, wanted: &Selection<'_>) -> Result<Vec<&'static Check>, UnknownName> {
    for name in wanted.only.iter().chain(wanted.skip) {
        if !CHECKS.iter().any(|check| names(check, name)) {
            let ids = CHECKS.iter().map(|check| check.id);
            return Err(UnknownName {
                what: "check",
                name: name.clone(),
                nearest: nearest(name, ids),
            });
        }
    }
    let named = |list: &[String], check: &Check| list.iter().any(|name| names(check, name));
    let in_scope = |check: &Check| scope == Scope::All || check.group.scope() == scope;
    Ok(CHECKS
        .iter()
        .filter(|check| in_scope(check))
        .filter(|check| wanted.only.is_empty() || named(wanted.only, check))
        .filter(|check| !named(wanted.skip, check))
        .collect())
}

fn names(check: &Check, name: &str) -> bool {
    check.id == name || check.group.name() == name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_check_is_answered_with_the_nearest_name() {
        let only = ["compose.one-instanse".to_owned()];
        let wanted = Selection {
            only: &only,
            skip: &[],
        };
        let error = select(Scope::Config, &wanted).err().unwrap();
        assert_eq!(error.nearest.as_deref(), Some("compose.one-instance"));
    }

    #[test]
    fn a_group_names_all_its_checks_and_skip_wins() {
        let (only, skip) = (["env".to_owned()], ["env.keys".to_owned()]);
        let wanted = Selection {
            only: &only,
            skip: &skip,
        };
        let checks = select(Scope::All, &wanted).unwrap();
        assert!(checks.iter().all(|check| check.group == super::super::Group::Env));
        assert!(checks.iter().all(|check| check.id != "env.keys"));
        assert!(checks.len() > 3);
    }
}
