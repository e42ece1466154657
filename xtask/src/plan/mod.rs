//! Decides what will be done. Pure: what was seen and the settings go in, a [`Plan`] or findings come out. The plan
//! leaves no choice to execution and holds no secret.

mod access;
pub mod action;
mod build;
pub mod carried;
pub mod charge;
pub mod clients;
pub mod handover;
mod preflight;
mod render;
mod rest;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::RunId;

pub use action::Action;
pub use build::{Onboarding, Parts, Request, build, env_block, inputs, onboarding, shown, socket_dir};
pub use preflight::{
    another_place, nothing_to_do, onboarding as preflight_onboarding, onto_itself, preflight,
};
pub use render::render;
pub use rest::Rest;

#[cfg(test)]
pub(crate) use preflight::tests as worlds;

/// Id of the step that pulls the platform's checkout.
pub const PULL: &str = "pull";
/// Id of the step that fetches images.
pub const IMAGES: &str = "images";
/// Steps before something stops.
pub const BEFORE_ANYTHING_STOPS: [&str; 2] = [PULL, IMAGES];
/// Id of the step that asks the application.
pub const APPLICATION: &str = "application";
/// Id of the step that stops the application.
pub const STOP_APPLICATION: &str = "stop-application";

/// Id of the step that starts the rest of the platform's stack.
pub const STACK: &str = "stack";

/// How roles come over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Roles {
    /// Everything belongs to the target's role, and `.env` follows: what the guide does.
    #[default]
    Unify,
    /// The old role is made again with its stored password verifier and owns its database.
    Preserve,
}

/// A migration, ready to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this document.
    pub schema_version: u32,
    /// The run.
    pub run: RunId,
    /// The run's folder, when the plan was made: a workspace may be moved.
    #[serde(default)]
    pub folder: PathBuf,
    /// The profile.
    pub profile: String,
    /// How roles come over.
    pub roles: Roles,
    /// The databases that take part.
    pub databases: Vec<String>,
    /// What the plan was decided on, as name and fingerprint: resume refuses when one changed, and names it.
    pub inputs: BTreeMap<String, String>,
    /// The steps in order.
    pub steps: Vec<PlannedStep>,
}

/// One step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Its name in the journal, unique in the plan.
    pub id: String,
    /// What it does, in a few words.
    pub title: String,
    /// Why it is there, and why here.
    pub reason: String,
    /// The commands that change something, exactly as they will run, secrets masked.
    pub commands: Vec<String>,
    /// What to do.
    pub action: Action,
}
