//! The production rehearsal: two servers with TLS on loopback, as a managed service gives them. The old one holds everything,
//! the new one the other team's databases; on the new one nobody but the service is a superuser.

mod servers;
mod storage;
mod tls;

use std::path::Path;

use anyhow::Context as _;
use infra::ports;
use infra::postgres::cluster::{Cluster, give};
use infra::s3::server as s3;
use toml_edit::{DocumentMut, value};

use super::kept::Kept;
use super::local;
use super::repositories::{self, OldInstance};
use super::{Situation, Stage};
use crate::cli::Ending;
use crate::model::Exit;
use servers::Servers;
pub(super) use storage::from_storage;
pub(super) use tls::binaries;

/// Makes everything; the answer is the text of `.xtask/local.toml`. `storage`: where an S3 server is started as well, which
/// lives as long as this value, unless it is detached.
pub(super) fn prepare(
    stage: &Stage<'_>,
    kept: &mut Kept,
    home: &Path,
    storage: Option<&mut Option<s3::Server>>,
) -> anyhow::Result<String> {
    if stage.situation != Situation::Running {
        return Err(Ending::new(
            Exit::Usage,
            "the production rehearsal knows only the situation `running`",
        )
        .into());
    }
    let bin = binaries(stage.runner)?;
    let account = local::account();
    give(stage.base, account).context("failed to give the folder to PostgreSQL's account")?;
    let instances = stage.base.join("instances");
    std::fs::create_dir_all(&instances).context("failed to make the instances' folder")?;
    give(&instances, account).context("failed to give the folder to PostgreSQL's account")?;
    let authority = tls::certificates(stage, &instances)?;
    let free = ports::free(2).context("failed to find free ports")?;
    let cluster = |name: &str| Cluster {
        bin: bin.clone(),
        data: instances.join(name),
        account,
    };
    let servers = Servers {
        stage,
        authority: &authority,
        instances: &instances,
    };

    let old = servers.make(&cluster("old"), free[0], kept, home)?;
    let old_passwords = servers.fill_old(&old)?;
    let new = servers.make(&cluster("new"), free[1], kept, home)?;
    let logins = servers.fill_new(&new)?;

    let marks = [
        ("platform", "PLATFORM"),
        ("users", "USERS"),
        ("labeler", "LABELER"),
    ];
    let old_instances: Vec<OldInstance> = marks
        .into_iter()
        .zip(old_passwords)
        .map(|((_, mark), password)| OldInstance {
            mark,
            port: free[0],
            password,
        })
        .collect();
    repositories::make(stage, &old_instances, 6379)?;
    let environment = repositories::environment(stage.runner, stage.cache, &|line| stage.note(line))?;
    let mut secrets = String::new();
    for (variable, password) in &logins {
        secrets.push_str(&format!("{variable}={}\n", password.expose()));
    }
    let private = stage.base.join("workspace").join(".xtask");
    infra::files::private_dir(&private)?;
    infra::files::write_private(&private.join("secrets.env"), secrets.as_bytes())
        .context("failed to write the rehearsal's secrets")?;

    let mut settings = DocumentMut::new();
    local::repositories_settings(stage, &mut settings, &environment);
    let profile = &mut settings["profiles"]["production"];
    profile["target"]["host"] = value(servers::HOST);
    profile["target"]["port"] = value(i64::from(free[1]));
    // Said, so that the variables of whoever rehearses do not fill them.
    profile["target"]["user"] = value("labeler_user");
    profile["target"]["connection"]["sslmode"] = value("verify-full");
    profile["target"]["bin"] = value(bin.to_string_lossy().into_owned());
    let trusted = authority.to_string_lossy().into_owned();
    profile["target"]["connection"]["sslrootcert"] = value(&trusted);
    let source = &mut profile["databases"]["labeler"]["source"];
    source["connection"]["sslrootcert"] = value(&trusted);
    // The application runs here, so that its answers prove something.
    let mut command = toml_edit::Array::new();
    command.extend([
        "-m",
        "uvicorn",
        "app.main:app",
        "--host",
        "127.0.0.1",
        "--port",
        "{port}",
    ]);
    profile["application"]["command"] = value(command);
    if let Some(running) = storage {
        *running = Some(storage::start(stage, kept, home, &mut settings)?);
    }
    kept.connect.push(format!(
        "{}   (PGSSLROOTCERT={trusted}; password: XTASK_TARGET_PASSWORD in {})",
        new.as_role("labeler_user", None).connect_hint("labeler"),
        private.join("secrets.env").display()
    ));
    kept.write(home)?;
    Ok(settings.to_string())
}
