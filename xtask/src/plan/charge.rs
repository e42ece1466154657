//! Which instance of a database is in use: the one that `.env` names.

use infra::postgres::Reach;

use super::action::Instance;
use super::clients;
use crate::config::{Access, Control, Database, SecretName, Settings, Vault};
use crate::model::Finding;
use crate::observe::{Named, Observed, SourceSeen, SourceState, servers};

/// A database on the instance that serves it.
#[derive(Clone, Debug)]
pub struct Charged {
    /// The instance.
    pub instance: Instance,
    /// The database's name there.
    pub database: String,
    /// Whether that is the target.
    pub target: bool,
}

/// Whether every `.env` file names the target for this database; `None` when no file says anything.
///
/// The old platform instance and the target share one place, localhost:5432: while the old one runs there, it is the one.
pub fn names_target(seen: &Observed, settings: &Settings, name: &str) -> Option<bool> {
    let target = &settings.target;
    let files = seen.env_files.iter().filter(|file| file.problem.is_none());
    let mut mappings = files.filter_map(|file| file.mappings.get(name)).peekable();
    mappings.peek()?;
    let old_runs_there = |source: &SourceSeen| {
        source.running
            && source
                .named
                .as_ref()
                .is_some_and(|named| named.what == Named::Found)
    };
    if seen.sources.get(name).is_some_and(old_runs_there) {
        return Some(false);
    }
    Some(mappings.all(|mapping| {
        mapping.port.value.as_deref() == Some(target.port.to_string().as_str())
            && mapping.host.value.as_deref() == Some(target.host.as_str())
            && mapping.name.value.as_deref() == settings.databases.get(name).map(|d| d.name.as_str())
    }))
}

/// The target as an instance of a plan. `run` marks its client containers.
pub fn target(settings: &Settings, run: &str) -> Instance {
    Instance::of(
        servers::target(settings, &Vault::default(), run),
        SecretName::Target,
    )
}

/// The instance that serves a database now.
///
/// # Errors
/// A finding when that cannot be told, or when the instance does not answer.
pub fn in_charge(
    seen: &Observed,
    settings: &Settings,
    name: &str,
    run: &str,
) -> Result<Charged, Box<Finding>> {
    let id = format!("charge.{name}");
    let Some(database) = settings.databases.get(name) else {
        let known: Vec<&str> = settings.databases.keys().map(String::as_str).collect();
        return Err(Box::new(
            Finding::error(id, format!("there is no database {name}"))
                .wanted(format!("one of {}", known.join(", "))),
        ));
    };
    let Some(on_target) = names_target(seen, settings, name) else {
        let finding = Finding::error(id, format!("no .env file says which instance serves {name}"))
            .wanted("a .env file of the labeler that can be read")
            .hint("cargo xtask status --settings");
        return Err(Box::new(finding));
    };
    if on_target {
        if seen.target.server.is_none() {
            return Err(Box::new(target_is_silent(seen, id)));
        }
        let mut instance = target(settings, run);
        instance.clients = clients::for_backup(seen, settings, name, true, run)?;
        return Ok(Charged {
            instance,
            database: database.name.clone(),
            target: true,
        });
    }
    let source = seen.sources.get(name);
    if let Some(external) = source.and_then(|source| source.external.as_ref()) {
        let mut server = servers::over_tcp(
            format!("source {name}"),
            &external.host,
            external.port,
            &external.user,
            None,
            &settings.target,
        );
        server.options = database.source.connection.options();
        server.clients = clients::for_backup(seen, settings, name, false, run)?;
        return Ok(Charged {
            instance: Instance::of(server, SecretName::Source(name.to_owned())),
            database: database.source.database.clone(),
            target: false,
        });
    }
    let (reach, user) = match source.map(|source| &source.state) {
        Some(SourceState::Container(container)) if container.status == "running" => (
            Reach::Container {
                name: container.name.clone(),
                host: servers::INSIDE.to_owned(),
                port: Some(settings.source_port(name, container)),
            },
            settings.source_user(name, Some(container)),
        ),
        Some(SourceState::Cluster { port: Some(port), .. }) => (
            Reach::Tcp {
                host: "127.0.0.1".to_owned(),
                port: *port,
            },
            database.source.user.clone(),
        ),
        state => {
            let found = format!(".env names the old instance of {name}, and that one does not run");
            let finding = Finding::error(id, found).wanted("the instance that serves it, running");
            let start = match state {
                Some(SourceState::Container(container)) => Some(infra::docker::start(&container.name)),
                Some(SourceState::Cluster { .. }) => {
                    let cluster = servers::source_cluster(&database.source);
                    let log = cluster.data.with_extension("log");
                    Some(cluster.start(&[], &log))
                }
                _ => None,
            };
            let hint = start.map_or_else(
                || "cargo xtask status --settings".to_owned(),
                |cmd| cmd.to_string(),
            );
            return Err(Box::new(finding.hint(hint)));
        }
    };
    Ok(Charged {
        instance: Instance {
            label: format!("source {name}"),
            reach,
            user,
            password: SecretName::Source(name.to_owned()),
            clients: clients::for_backup(seen, settings, name, false, run)?,
            options: Vec::new(),
        },
        database: database.source.database.clone(),
        target: false,
    })
}

/// The target does not answer, and what to do about it.
pub fn target_is_silent(seen: &Observed, id: String) -> Finding {
    let why = match &seen.target.problem {
        Some(problem) => format!("the target does not answer: {problem}"),
        None => "the target does not run".to_owned(),
    };
    let finding = Finding::error(id, why).wanted("a target that answers");
    match &seen.target.container {
        Some(container) => finding.hint(format!("docker start {}", container.name)),
        None => finding.hint("cargo xtask status --settings"),
    }
}

/// What a person can type when an old instance was started again in the target's place after the migration: the two may
/// both hold rows that the other lacks.
pub fn old_or_target(settings: &Settings, old: &str) -> [String; 3] {
    [
        format!("docker stop {old}  # it keeps its rows; afterwards one of the two:"),
        "cargo xtask rollback  # the old instances stay in use, with what they hold now".to_owned(),
        format!(
            "docker start {}  # the target goes on, without what was written to {old} since",
            settings.target.container
        ),
    ]
}

/// Whether a source of this kind is reached through Docker.
pub fn uses_docker(settings: &Settings) -> bool {
    let container = |control: Control| matches!(control, Control::Compose | Control::Container);
    let ours = |database: &Database| database.access == Access::Owner;
    container(settings.target.control)
        || settings
            .databases
            .values()
            .any(|database| ours(database) && container(database.source.control))
}
