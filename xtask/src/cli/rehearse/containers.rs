//! The docker runtime: real Compose files, real containers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use infra::compose::{self, Project};
use infra::images::{self, BUILT_FROM};
use infra::postgres::{Clients, Reach, Server};
use infra::{Secret, docker, ports, wait};
use toml_edit::{Array, DocumentMut, value};

use super::kept::Kept;
use super::repositories::{self, OldInstance};
use super::{Situation, Stage, local};
use crate::cli::Ending;
use crate::config::Workspace;
use crate::model::Exit;

/// The images that the Compose files name.
const POSTGRES: &str = "postgres:16-alpine";
const REDIS: &str = "redis:7-alpine";

struct Old {
    database: &'static str,
    mark: &'static str,
    user: &'static str,
    container: &'static str,
    volume: &'static str,
    port_variable: &'static str,
    /// The default of the old Compose file.
    password: &'static str,
}

const OLD: [Old; 3] = [
    Old {
        database: "platform",
        mark: "PLATFORM",
        user: "admin",
        container: "labeler-postgres-platform",
        volume: "postgres_platform_data",
        port_variable: "LABELER_POSTGRES_PLATFORM_PORT",
        password: "devpass",
    },
    Old {
        database: "users",
        mark: "USERS",
        user: "admin",
        container: "labeler-postgres-user",
        volume: "postgres_user_data",
        port_variable: "LABELER_POSTGRES_USER_PORT",
        password: "devpass",
    },
    Old {
        database: "labeler",
        mark: "LABELER",
        user: "labeler_user",
        container: "labeler-postgres-labeler",
        volume: "postgres_labeler_data",
        port_variable: "LABELER_POSTGRES_LABELER_PORT",
        password: "labeler_devpass",
    },
];

/// Makes everything; the answer is the text of `.xtask/local.toml`.
pub(super) fn prepare(stage: &Stage<'_>, kept: &mut Kept, home: &Path) -> anyhow::Result<String> {
    let wanted = std::env::var("XTASK_DOCKER__COMPOSE").ok();
    let wanted = wanted
        .map(|text| serde_json::from_value(text.into()))
        .transpose()
        .context("XTASK_DOCKER__COMPOSE")?;
    let version = docker::engine_version(stage.runner).map_err(|error| {
        Ending::new(Exit::Preconditions, error.to_string()).hint("cargo xtask rehearse --runtime local")
    })?;
    let (program, compose) = compose::detect(stage.runner, wanted).ok_or_else(|| {
        Ending::new(
            Exit::Preconditions,
            "neither `docker compose` nor `docker-compose` is on this machine",
        )
        .hint("cargo xtask rehearse --runtime local")
    })?;
    stage.say(&format!("Docker {version}, {} {compose}", program.name()));
    let postgres = image(stage, POSTGRES)?;
    let redis = image(stage, REDIS)?;
    let free = ports::free(4).context("failed to find free ports")?;
    // As the guide has it: the new instance takes the port of the old platform instance.
    let (target_port, redis_port) = (free[0], free[3]);
    let prefix = format!("{}-", stage.name);
    let mut old_env = vec![
        ("REHEARSAL_PREFIX".to_owned(), prefix.clone()),
        ("LABELER_POSTGRES_IMAGE".to_owned(), postgres.clone()),
    ];
    old_env.extend(
        OLD.iter()
            .zip(&free)
            .map(|(old, port)| (old.port_variable.to_owned(), port.to_string())),
    );
    let old_instances: Vec<OldInstance> = OLD
        .iter()
        .zip(&free)
        .map(|(old, port)| OldInstance {
            mark: old.mark,
            port: *port,
            password: Secret::new(old.password),
        })
        .collect();
    repositories::make(stage, &old_instances, redis_port)?;
    let environment = repositories::environment(stage.runner, stage.cache, &|line| stage.note(line))?;
    let old_project = Project {
        program,
        file: stage.base.join("labeler-old").join("docker-compose.yml"),
        laid_over: None,
        name: Some(format!("{prefix}labeler")),
        env: old_env,
    };
    let new_env = vec![
        ("REHEARSAL_PREFIX".to_owned(), prefix.clone()),
        ("PLATFORM_POSTGRES_IMAGE".to_owned(), postgres.clone()),
        // The prefix comes before it; without this, our own file is told the whole name of the settings.
        (
            "PLATFORM_POSTGRES_CONTAINER".to_owned(),
            "platform-postgres".to_owned(),
        ),
        ("PLATFORM_REDIS_IMAGE".to_owned(), redis.clone()),
        ("PLATFORM_POSTGRES_PORT".to_owned(), target_port.to_string()),
        // The conflict that every developer has: both stacks publish the same port for Redis.
        ("PLATFORM_REDIS_PORT".to_owned(), redis_port.to_string()),
    ];
    let labeler_env = vec![
        ("REHEARSAL_PREFIX".to_owned(), prefix.clone()),
        ("LABELER_REDIS_IMAGE".to_owned(), redis),
        ("LABELER_REDIS_PORT".to_owned(), redis_port.to_string()),
    ];
    let platform_file = platform_file(stage)?;
    let platform_name = format!("{prefix}platform");
    kept.projects = vec![
        old_project.clone(),
        Project {
            program,
            file: platform_file,
            laid_over: None,
            name: Some(platform_name.clone()),
            env: new_env.clone(),
        },
        Project {
            program,
            file: repositories::labeler(stage).join("docker-compose.yml"),
            laid_over: None,
            name: Some(format!("{prefix}redis")),
            env: labeler_env.clone(),
        },
    ];
    kept.write(home)?;
    stage.runner.run(&old_project.up())?;
    for old in &OLD {
        fill(stage, old, &prefix, &postgres)?;
    }
    situate(stage, &prefix)?;
    let mut settings = DocumentMut::new();
    settings["docker"]["compose"] = value(program.name());
    for old in &OLD {
        let source = &mut settings["databases"][old.database]["source"];
        source["containers"] = list(&format!("{prefix}{}", old.container));
        source["volumes"] = list(&format!("{prefix}labeler_{}", old.volume));
        source["image"] = value(&postgres);
    }
    let target = &mut settings["target"];
    target["container"] = value(format!("{prefix}platform-postgres"));
    target["image"] = value(&postgres);
    target["port"] = value(i64::from(target_port));
    settings["redis"]["port"] = value(i64::from(redis_port));
    settings["redis"]["container"] = value(format!("{prefix}labeler-redis"));
    for (table, project, env) in [
        ("platform", platform_name, new_env),
        ("labeler", format!("{prefix}redis"), labeler_env),
    ] {
        settings[table]["compose-project"] = value(project);
        for (name, text) in env {
            settings[table]["compose-env"][name.as_str()] = value(text);
        }
    }
    local::repositories_settings(stage, &mut settings, &environment);
    kept.connect.push(format!(
        "docker exec -it {prefix}platform-postgres psql -U admin -d labeler"
    ));
    kept.connect.push(format!(
        "psql -h localhost -p {target_port} -U admin -d labeler   (password: devpass)"
    ));
    kept.connect
        .push(format!("old volumes, untouched: {prefix}labeler_postgres_*_data"));
    kept.write(home)?;
    Ok(settings.to_string())
}

/// The published image where it can be had; a stand-in under a name of its own where it cannot, so that it never meets
/// the volume of a real one.
fn image(stage: &Stage<'_>, published: &str) -> anyhow::Result<String> {
    if docker::image_id(stage.runner, published)?.is_some() && !is_stand_in(stage, published)? {
        return Ok(published.to_owned());
    }
    let own = stand_in(published);
    if docker::image_id(stage.runner, &own)?.is_none()
        && stage
            .runner
            .run(&docker::pull(published, Duration::from_secs(300)))
            .is_ok()
    {
        return Ok(published.to_owned());
    }
    let ensured = images::ensure(stage.runner, &own, &stage.cache.join("images"), &mut |line| {
        stage.note(line)
    })
    .map_err(|error| {
        let ending = Ending::new(Exit::Preconditions, error.to_string());
        ending
            .hint("cargo xtask rehearse --runtime local")
            .hint(format!("docker pull {published}"))
    })?;
    if let Some(notice) = ensured.notice() {
        stage.say(&notice);
    }
    Ok(own)
}

/// The name of a stand-in.
fn stand_in(published: &str) -> String {
    format!("xtask-rehearsal/{published}")
}

/// The images that may be PostgreSQL in a rehearsal: the stand-in is used where it was built.
pub(super) fn postgres_images() -> [String; 2] {
    [stand_in(POSTGRES), POSTGRES.to_owned()]
}

fn is_stand_in(stage: &Stage<'_>, image: &str) -> anyhow::Result<bool> {
    let format = format!("{{{{index .Config.Labels {BUILT_FROM:?}}}}}");
    let cmd = infra::Cmd::new(docker::PROGRAM, format!("read the labels of {image}"))
        .args(["image", "inspect", "--format", &format, image]);
    Ok(stage.runner.run(&cmd)?.stdout_text().trim() == "packages")
}

fn platform_file(stage: &Stage<'_>) -> anyhow::Result<PathBuf> {
    if stage.situation == Situation::NoPlatform {
        // The workspace's own file, where `migrate` will look for it.
        let file = Workspace::at(stage.base.join("workspace")).unified_compose();
        std::fs::create_dir_all(file.parent().context("a file has a folder")?)?;
        for (name, bytes) in infra::compose::UNIFIED {
            let path = file.with_file_name(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            infra::files::write_shared(&path, bytes.as_bytes())?;
        }
        return Ok(file);
    }
    Ok(repositories::platform(stage)
        .join("platform")
        .join("infrastructure")
        .join("docker-compose.yml"))
}

fn fill(stage: &Stage<'_>, old: &Old, prefix: &str, image: &str) -> anyhow::Result<()> {
    let server = Server {
        label: format!("container {prefix}{}", old.container),
        reach: Reach::Container {
            name: format!("{prefix}{}", old.container),
            host: "127.0.0.1".to_owned(),
            port: None,
        },
        user: old.user.to_owned(),
        password: Some(Secret::new(old.password)),
        clients: Clients::Image {
            image: image.to_owned(),
            run: String::new(),
        },
        options: vec![("PGOPTIONS".to_owned(), "-c synchronous_commit=off".to_owned())],
    };
    let answers = || server.answers(stage.runner, old.database).is_ok().then_some(());
    wait::until(stage.runner.interrupt(), Duration::from_secs(120), answers).map_err(|_| {
        anyhow::anyhow!(
            "{} answers no query\n{}",
            server.label,
            docker::logs(stage.runner, old.container, 10)
        )
    })?;
    local::fill(stage, &server, old.database)
}

fn situate(stage: &Stage<'_>, prefix: &str) -> anyhow::Result<()> {
    if !matches!(stage.situation, Situation::Stopped | Situation::Volumes) {
        return Ok(());
    }
    for old in &OLD {
        let name = format!("{prefix}{}", old.container);
        stage.runner.run(&docker::stop(&name))?;
        if stage.situation == Situation::Volumes {
            let remove =
                infra::Cmd::new(docker::PROGRAM, format!("remove container {name}")).args(["rm", &name]);
            stage.runner.run(&remove)?;
        }
    }
    Ok(())
}

fn list(text: &str) -> toml_edit::Item {
    let mut array = Array::new();
    array.push(text);
    value(array)
}
