//! How each instance is reached, built from settings, what was seen, and the vault.

use infra::Secret;
use infra::docker::Container;
use infra::postgres::cluster::Cluster;
use infra::postgres::{Clients, Reach, Server};
use std::path::PathBuf;

use super::MappingSeen;
use super::env::KeySeen;
use crate::config::{Control, SecretName, Settings, Source, Target, Vault};

/// The address clients use inside a container. TCP on purpose: a first-run bootstrap server listens on its socket only.
pub const INSIDE: &str = "127.0.0.1";

/// The target, as its administrator.
pub fn target(settings: &Settings, vault: &Vault, run: &str) -> Server {
    let target = &settings.target;
    let reach = match target.control {
        Control::Compose | Control::Container => Reach::Container {
            name: target.container.clone(),
            host: INSIDE.to_owned(),
            port: None,
        },
        _ => Reach::Tcp {
            host: target.host.clone(),
            port: target.port,
        },
    };
    Server {
        label: "the target".to_owned(),
        reach,
        user: target.user.clone(),
        password: vault.get(&SecretName::Target).cloned(),
        clients: clients(target, run),
        options: options(target),
    }
}

/// What reaching the target needs beside host and port.
pub fn options(target: &Target) -> Vec<(String, String)> {
    match target.control {
        Control::External => target.connection.options(),
        _ => Vec::new(),
    }
}

/// An external source: what the settings say, and where they are empty, what `.env` says. `None`: neither says it.
pub fn external_source(
    settings: &Settings,
    name: &str,
    mapping: Option<&MappingSeen>,
    vault: &Vault,
) -> Option<Server> {
    let source = &settings.databases.get(name)?.source;
    let from_env = |key: fn(&MappingSeen) -> &KeySeen| mapping.and_then(|mapping| key(mapping).value.clone());
    let text = |own: &String, key| {
        Some(own.clone())
            .filter(|own| !own.is_empty())
            .or_else(|| from_env(key))
    };
    let port = match source.port {
        0 => from_env(|mapping| &mapping.port)?.parse().ok()?,
        port => port,
    };
    let server = over_tcp(
        format!("source {name}"),
        &text(&source.host, |mapping| &mapping.host)?,
        port,
        &text(&source.user, |mapping| &mapping.user)?,
        vault.get(&SecretName::Source(name.to_owned())).cloned(),
        &settings.target,
    );
    Some(Server {
        options: source.connection.options(),
        ..server
    })
}

/// The database of an external source to connect to while the other one is closed.
pub fn maintenance_database(source: &Source) -> &str {
    match source.maintenance_database.as_str() {
        "" => "postgres",
        name => name,
    }
}

/// The client programs: the target's, because pg_dump must not be older than any server it reads.
pub fn clients(target: &Target, run: &str) -> Clients {
    match target.control {
        Control::Compose | Control::Container => Clients::Image {
            image: target.image.clone(),
            run: run.to_owned(),
        },
        _ => Clients::Machine {
            bin: bin(&target.bin),
        },
    }
}

/// The cluster behind a `pg-ctl` source.
pub fn source_cluster(source: &Source) -> Cluster {
    Cluster {
        bin: source.bin.clone(),
        data: source.data.clone(),
        account: source.account,
    }
}

/// The cluster behind a `pg-ctl` target.
pub fn target_cluster(target: &Target) -> Cluster {
    Cluster {
        bin: target.bin.clone(),
        data: target.data.clone(),
        account: target.account,
    }
}

/// A running source container, asked from inside over loopback as its bootstrap superuser.
pub fn in_container(
    label: String,
    container: &Container,
    port: u16,
    user: &str,
    password: Option<Secret>,
    target: &Target,
) -> Server {
    Server {
        label,
        reach: Reach::Container {
            name: container.name.clone(),
            host: INSIDE.to_owned(),
            port: Some(port),
        },
        user: user.to_owned(),
        password,
        clients: Clients::Image {
            image: target.image.clone(),
            run: String::new(),
        },
        options: Vec::new(),
    }
}

/// A server at an address as an application on this machine reaches it. Without psql on this machine, the client comes from
/// `container`'s image and uses this machine's network.
pub fn as_application(
    label: String,
    (host, port): (&str, u16),
    user: &str,
    password: Option<Secret>,
    target: &Target,
    container: Option<&Container>,
) -> Server {
    let server = over_tcp(label, host, port, user, password, target);
    let ours = !target.bin.as_os_str().is_empty() || infra::command::find_program("psql").is_some();
    match container {
        Some(container) if !ours => Server {
            clients: Clients::Image {
                image: container.image_id.clone(),
                run: String::new(),
            },
            ..server
        },
        _ => server,
    }
}

/// A server over TCP with this machine's programs.
pub fn over_tcp(
    label: String,
    host: &str,
    port: u16,
    user: &str,
    password: Option<Secret>,
    target: &Target,
) -> Server {
    Server {
        label,
        reach: Reach::Tcp {
            host: host.to_owned(),
            port,
        },
        user: user.to_owned(),
        password,
        clients: Clients::Machine {
            bin: bin(&target.bin),
        },
        options: Vec::new(),
    }
}

fn bin(path: &std::path::Path) -> Option<PathBuf> {
    (!path.as_os_str().is_empty()).then(|| path.to_owned())
}
