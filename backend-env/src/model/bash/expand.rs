//! What the parts of a word come to.

use super::super::{Scope, Val};
use super::names;
use super::word::{Part, Test};

const NO_HOME: &str = "`~` is the home directory of whoever runs bash";

/// The value of a word that is assigned: no splitting, no file names.
pub(super) fn expand(parts: &[Part], scope: &mut Scope<'_>) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::new();
    expand_into(parts, scope, &mut out)?;
    Ok(out)
}

fn expand_into(parts: &[Part], scope: &mut Scope<'_>, out: &mut Vec<u8>) -> Result<(), &'static str> {
    for part in parts {
        match part {
            Part::Literal { text, .. } => out.extend_from_slice(text),
            Part::Nothing => {}
            Part::Unknown(why) => return Err(why),
            Part::Home => {
                let home = look_up(b"HOME", scope).ok().flatten().ok_or(NO_HOME)?;
                append(&home, scope, out)?;
            }
            Part::Variable { name, test, word } => variable(name, *test, word, scope, out)?,
        }
    }
    Ok(())
}

fn append(text: &[u8], scope: &mut Scope<'_>, out: &mut Vec<u8>) -> Result<(), &'static str> {
    scope.spend(text.len())?;
    out.extend_from_slice(text);
    Ok(())
}

fn look_up(name: &[u8], scope: &Scope<'_>) -> Result<Option<Vec<u8>>, &'static str> {
    match scope.file_first(name).as_deref() {
        Some(Val::Known(value)) => Ok(Some(value.clone())),
        Some(Val::Unknown(why)) => Err(why),
        Some(Val::Unset) => Ok(None),
        None if names::is_set_by_bash(name) => Err(super::OWN),
        None => Ok(None),
    }
}

fn variable(
    name: &[u8],
    test: Test,
    word: &[Part],
    scope: &mut Scope<'_>,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let value = look_up(name, scope)?;
    let there = match test {
        Test::None => return append(&value.unwrap_or_default(), scope, out),
        Test::Unset { .. } => value.is_some(),
        Test::Empty { .. } => value.as_ref().is_some_and(|value| !value.is_empty()),
    };
    let (Test::Unset { instead } | Test::Empty { instead }) = test else {
        return Ok(());
    };
    match (instead, there) {
        (true, true) => append(&value.unwrap_or_default(), scope, out),
        (true, false) | (false, true) => {
            let start = out.len();
            expand_into(word, scope, out)?;
            scope.spend(out.len() - start)
        }
        (false, false) => Ok(()),
    }
}
