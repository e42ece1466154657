//! Who is still in an old database that stays open, after the cutover: the application that was not restarted, or somebody
//! whom our role cannot end and for whom a person gives their word.

use std::collections::BTreeMap;

use infra::postgres::activity::SessionSeen;

use super::{SHOWN, look, of};
use crate::model::RunDir;
use crate::plan::action::Fence;
use crate::steps::{Failure, World};

/// State file: who was inside when the application was asked in vain, by database.
const NAMED: &str = "inside";
/// State file: those of them that are not the application, says a person.
const VOUCHED: &str = "inside-vouched";

type Inside = BTreeMap<String, Vec<SessionSeen>>;

/// Whether everybody has left a database that stays open, but for those whom a person vouched for.
pub(in crate::steps) fn nobody_inside(fence: &Fence, world: &World<'_>) -> Result<(), Failure> {
    let vouched: Inside = world.run.load(VOUCHED)?.unwrap_or_default();
    let vouched = vouched.get(&fence.database).map_or(&[][..], Vec::as_slice);
    let others = strangers(look(fence, of(fence)?, world)?.others, vouched);
    if others.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = others.iter().take(SHOWN).map(ToString::to_string).collect();
    Err(Failure::new(format!(
        "{} sessions of others are still in the old database {}, which stays open: {}",
        others.len(),
        fence.source_database,
        shown.join("; ")
    )))
}

/// Keeps who is inside now, as the failure names them. The answer: whether that is anybody.
pub(in crate::steps) fn name_inside(fences: &[Fence], world: &World<'_>) -> Result<bool, Failure> {
    let mut named = Inside::new();
    for fence in fences {
        named.insert(fence.database.clone(), look(fence, of(fence)?, world)?.others);
    }
    world.run.save(NAMED, &named)?;
    Ok(named.values().any(|inside| !inside.is_empty()))
}

/// A person says that nobody who was named is the application. The answer: whether somebody was.
///
/// # Errors
/// When the run's state cannot be read or written.
pub fn vouch_for_inside(run: &RunDir) -> anyhow::Result<bool> {
    let Some(named) = run.load::<Inside>(NAMED)? else {
        return Ok(false);
    };
    run.save(VOUCHED, &named)?;
    Ok(named.values().any(|inside| !inside.is_empty()))
}

/// All but the vouched, who may have connected anew meanwhile. Nobody vouches for a transaction.
fn strangers(mut inside: Vec<SessionSeen>, vouched: &[SessionSeen]) -> Vec<SessionSeen> {
    let who = |session: &SessionSeen| {
        (
            session.role.clone(),
            session.application.clone(),
            session.address.clone(),
        )
    };
    inside.retain(|session| {
        session.in_transaction == Some(true) || !vouched.iter().any(|known| who(known) == who(session))
    });
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(pid: i32, application: &str, in_transaction: bool) -> SessionSeen {
        SessionSeen {
            pid,
            role: Some("monitor".to_owned()),
            application: Some(application.to_owned()),
            address: None,
            may_end: false,
            in_transaction: Some(in_transaction),
        }
    }

    #[test]
    fn only_who_was_named_and_does_nothing_is_passed_over() {
        let named = [session(1, "exporter", false)];
        assert_eq!(strangers(vec![session(2, "exporter", false)], &named), []);
        for stranger in [session(3, "labeler", false), session(1, "exporter", true)] {
            assert_eq!(strangers(vec![stranger.clone()], &named), [stranger]);
        }
        assert_eq!(strangers(named.to_vec(), &[]), named);
    }

    #[test]
    fn a_word_counts_for_those_whom_a_failure_named() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::new(
            folder.path(),
            crate::model::RunId::parse("20261209_141502_3fa9").unwrap(),
        );
        run.create().unwrap();
        assert!(!vouch_for_inside(&run).unwrap());
        let named: Inside = [("labeler".to_owned(), vec![session(1, "exporter", false)])].into();
        run.save(NAMED, &named).unwrap();
        assert!(vouch_for_inside(&run).unwrap());
        assert_eq!(run.load::<Inside>(VOUCHED).unwrap(), Some(named));
    }
}
