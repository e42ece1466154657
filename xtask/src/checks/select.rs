//! Which checks to run.

use std::fmt;

use super::{CHECKS, Check, Scope};

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

/// The known name that needs the fewest changed letters, when it is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let best = known.map(|other| (distance(name, other), other)).min()?;
    (best.0 <= name.chars().count().max(best.1.chars().count()) / 2).then(|| best.1.to_owned())
}

/// Letters to change, add or remove.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_check_is_answered_with_the_nearest_name() {
        let only = ["env.one-instanse".to_owned()];
        let wanted = Selection {
            only: &only,
            skip: &[],
        };
        let error = select(Scope::Config, &wanted).err().unwrap();
        assert_eq!(error.nearest.as_deref(), Some("env.one-instance"));
        assert_eq!(
            nearest("jnit", ["text", "json", "junit"].into_iter()).as_deref(),
            Some("junit")
        );
        assert_eq!(nearest("zzzzzzzzz", ["text"].into_iter()), None);
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
