//! Who answers at the address that `.env` names: asked as the application asks, and known by its `system_identifier`.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use infra::postgres::facts::ServerFacts;
use infra::postgres::{Reach, Script, Server};
use serde::{Deserialize, Serialize};

use super::{Eyes, MappingSeen, SourceState, named::Place, servers};
use crate::config::{Database, SecretName, Vault};

/// How long an address may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(3);

/// What was found at the address that `.env` names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// Identity of each server that answers, with the address; several where a host has several addresses.
    pub servers: Vec<(String, Identity)>,
    /// Why the role of `.env` is refused there, in the server's words.
    pub refused: Option<String>,
    /// Why nobody answers.
    pub silent: Option<String>,
}

/// What no other server has: the number of the cluster, and when this server was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `system_identifier`, where the role may ask.
    pub system_identifier: Option<String>,
    /// Start of the server, in seconds since 1970; a physical copy has another one.
    pub started: String,
}

const QUERY: &str = "SELECT json_build_object(\
    'system_identifier', CASE WHEN has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') \
        THEN (SELECT system_identifier::text FROM pg_control_system()) END, \
    'started', extract(epoch FROM pg_postmaster_start_time())::text);";

/// Asks at every address of the host that `.env` names. `None`: `.env` names no place or no role.
pub(super) fn ask(
    eyes: &Eyes<'_>,
    state: &SourceState,
    name: &str,
    database: &Database,
    mapping: &MappingSeen,
    vault: &Vault,
) -> Option<Answers> {
    let place = Place::of(mapping)?;
    let user = mapping.user.value.as_deref()?;
    let dbname = mapping.name.value.clone().unwrap_or_default();
    let password = vault.get(&SecretName::Source(name.to_owned())).cloned();
    let container = match state {
        SourceState::Container(container) => Some(&**container),
        _ => None,
    };
    let server = |host: &str, port| {
        let label = format!("{host}:{port} as {user}");
        let target = &eyes.settings.target;
        servers::as_application(label, (host, port), user, password.clone(), target, container)
    };
    let mut answers = Answers::default();
    let Some(port) = place.port() else {
        answers.silent = Some(format!("{} is no port", place.port));
        return Some(answers);
    };
    let resolved = resolve(&place, port, database);
    if resolved.is_empty() {
        // A name that only containers know: it is asked from inside the network of the old instance.
        match container {
            Some(container) => {
                let inside = Server {
                    reach: Reach::Container {
                        name: container.name.clone(),
                        host: place.host.to_owned(),
                        port: Some(port),
                    },
                    ..server(place.host, port)
                };
                answers.add(eyes, &inside, place.host, &dbname);
            }
            None => answers.silent = Some(format!("this machine does not know the host {}", place.host)),
        }
        return Some(answers);
    }
    let mut closed = None;
    for address in resolved {
        match infra::ports::knock(&address.ip().to_string(), address.port(), PATIENCE) {
            Err(error) => closed = Some(format!("{address}: {error}")),
            Ok(()) => answers.add(
                eyes,
                &server(&address.ip().to_string(), port),
                &address.to_string(),
                &dbname,
            ),
        }
    }
    if answers.servers.is_empty() && answers.refused.is_none() {
        answers.silent = answers.silent.or(closed);
    }
    Some(answers)
}

/// The addresses of a host, as the application would try them.
fn resolve(place: &Place<'_>, port: u16, database: &Database) -> Vec<SocketAddr> {
    let host = place.host.trim_matches(['[', ']']);
    let known: Vec<SocketAddr> = (host, port).to_socket_addrs().into_iter().flatten().collect();
    if !known.is_empty() || !place.is_here(database) {
        return known;
    }
    // A name that containers or a person have for this machine.
    vec![SocketAddr::from(([127, 0, 0, 1], port))]
}

impl Identity {
    /// Whether it is this server.
    pub fn is(&self, server: &ServerFacts) -> bool {
        let numbers = (&self.system_identifier, &server.system_identifier);
        let same_cluster = !matches!(numbers, (Some(a), Some(b)) if a != b);
        same_cluster && server.started.as_ref() == Some(&self.started)
    }
}

impl Answers {
    fn add(&mut self, eyes: &Eyes<'_>, server: &Server, address: &str, dbname: &str) {
        let what = format!("ask who answers at {address}");
        let cmd = server
            .psql(dbname, &Script::new(QUERY), what)
            .limit(Duration::from_secs(30));
        match eyes.runner.run(&cmd) {
            Ok(output) => match serde_json::from_str(output.stdout_text().trim()) {
                Ok(identity) => self.servers.push((address.to_owned(), identity)),
                Err(error) => self.silent = Some(format!("{address}: {error}")),
            },
            Err(error) => {
                let tail = error.tail();
                let last = tail.lines().last().unwrap_or_default();
                let said = if last.is_empty() {
                    error.to_string()
                } else {
                    last.to_owned()
                };
                // Only a server says FATAL.
                match said.contains("FATAL:") {
                    true => self.refused = Some(said),
                    false => self.silent = Some(said),
                }
            }
        }
    }
}
