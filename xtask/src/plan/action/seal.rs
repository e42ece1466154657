//! The second half of an external fence: closed to everybody, with proof that nothing was written since the backup.

use std::path::PathBuf;

use infra::Cmd;
use infra::postgres::activity;
use serde::{Deserialize, Serialize};

use super::{Fence, Fenced};
use crate::config::Vault;

/// Close external sources.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seal {
    /// Their fences.
    pub fences: Vec<Fence>,
    /// The backup's folder: it holds what the counters said when its snapshots were taken.
    pub folder: PathBuf,
}

impl Seal {
    /// What is done, for people.
    pub fn title(&self) -> &'static str {
        let closable = self.fences.iter().filter(|fence| fence.is_closable()).count();
        match closable {
            0 => "check that nothing was written to the external sources, which stay open",
            n if n == self.fences.len() => "close the external sources",
            _ => {
                "close the external sources that may be closed, and check that nothing was written to the others"
            }
        }
    }

    pub(super) fn commands(&self, vault: &Vault) -> Vec<Cmd> {
        let close = |fence: &Fence| match &fence.fenced {
            Fenced::External(external) if external.closable => Some(external.instance.server(vault).psql(
                &external.maintenance_database,
                &activity::allow(&fence.source_database, false),
                format!("close database {} of the source", fence.source_database),
            )),
            _ => None,
        };
        self.fences.iter().filter_map(close).collect()
    }
}
