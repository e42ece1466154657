//! The application, where it runs already.

use infra::command::find_program;
use infra::ports::Listener;
use infra::process;
use infra::programs::{Manager, Program};
use infra::site::{self, Site};
use serde::{Deserialize, Serialize};

use super::{DockerSeen, Eyes, LabelerSeen};
use crate::model::Finding;

/// An application that answers on one of the usual ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningApplication {
    /// Its port.
    pub port: u16,
    /// What it said of its health.
    pub body: String,
    /// Its process, when it was surely started from the labeler's checkout: only such a one is ours to stop.
    pub process: Option<Listener>,
}

pub(super) fn look(
    eyes: &Eyes<'_>,
    docker: &DockerSeen,
    labeler: Option<&LabelerSeen>,
) -> Vec<RunningApplication> {
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
            process: docker
                .publisher(*port)
                .is_none()
                .then(|| started_from(eyes, labeler?, *port))
                .flatten(),
        })
    };
    application.ports.iter().filter_map(ask).collect()
}

/// What asks the application at its address, and is not on this machine.
pub(super) fn missing_program(eyes: &Eyes<'_>) -> Option<Finding> {
    let url = eyes
        .settings
        .application
        .address()
        .filter(|url| Site::needs_curl(url))?;
    if find_program(site::PROGRAM).is_some() {
        return None;
    }
    let found = format!(
        "nothing asks {url}: program `{}` is not on this machine",
        site::PROGRAM
    );
    let finding = Finding::error("application.curl", found).wanted("curl, for the question whether it works");
    Some(finding.hint(Program::Curl.hint(Manager::detect())))
}

/// The listener on a port, if its command line names the application and it works in the labeler's checkout (where
/// this machine tells the folder).
fn started_from(eyes: &Eyes<'_>, labeler: &LabelerSeen, port: u16) -> Option<Listener> {
    let listener = infra::ports::listener(eyes.runner, port)?;
    let line = process::command_line(eyes.runner, listener.pid)?;
    // `app.main:app`: the word of the command that names the application, as ASGI servers take it.
    let module = eyes
        .settings
        .application
        .command
        .iter()
        .find(|word| word.contains(':'))?;
    let folder = process::working_folder(listener.pid);
    let here = folder.is_none_or(|folder| folder.starts_with(real(&labeler.root)));
    (line.contains(module.as_str()) && here).then_some(listener)
}

fn real(path: &std::path::Path) -> std::path::PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
