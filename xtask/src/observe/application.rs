//! The application, where it runs already.

use serde::{Deserialize, Serialize};

use super::Eyes;

/// An application that answers on one of the usual ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningApplication {
    /// Its port.
    pub port: u16,
    /// What it said of its health.
    pub body: String,
}

pub(super) fn look(eyes: &Eyes<'_>) -> Vec<RunningApplication> {
    let application = &eyes.settings.application;
    let Some(probe) = application.probes.first() else {
        return Vec::new();
    };
    let ask = |port: &u16| {
        if infra::ports::is_free(*port) {
            return None;
        }
        let answer = infra::http::get(&format!("http://127.0.0.1:{port}{}", probe.path), 2).ok()?;
        // Anything may listen here; only a body like ours is our application.
        let ours = answer.status == 200 && answer.body.contains("\"status\"");
        ours.then(|| RunningApplication {
            port: *port,
            body: answer.body.chars().take(200).collect(),
        })
    };
    application.ports.iter().filter_map(ask).collect()
}
