//! The production rehearsal: two servers with TLS on loopback, as a managed service gives them. The old one holds everything,
//! the new one the other team's databases; on the new one nobody but the service is a superuser.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use infra::postgres::cluster::{Cluster, give};
use infra::postgres::{Script, Server};
use infra::s3::server as s3;
use infra::{Cmd, Runner, Secret, ports};
use toml_edit::{DocumentMut, value};

use super::kept::{Kept, StorageServer};
use super::local;
use super::repositories::{self, OldInstance};
use super::{Situation, Stage};
use crate::cli::{Context, Ending, Global, restore};
use crate::config::Workspace;
use crate::model::Exit;
use crate::report::documents::RunDocument;
use crate::steps::Failure;
use crate::steps::storage::{self, Storage, Trouble};

/// The name that both certificates carry.
const HOST: &str = "localhost";
/// Only TLS, and only with a password.
const HBA: &str = "local all all reject\nhostnossl all all all reject\nhostssl all all 127.0.0.1/32 scram-sha-256\n\
                   hostssl all all ::1/128 scram-sha-256\n";
/// An extension that no role without superuser can create and that nothing depends on.
const RESTRICTED: &str = "pg_buffercache";

/// The bucket for backups.
const BUCKET: &str = "vision-backups";

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
    let authority = certificates(stage, &instances)?;
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
    let environment = repositories::environment(stage)?;
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
    profile["target"]["host"] = value(HOST);
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
        *running = Some(object_storage(stage, kept, home, &mut settings)?);
    }
    kept.connect.push(format!(
        "{}   (PGSSLROOTCERT={trusted}; password: XTASK_TARGET_PASSWORD in {})",
        new.as_role("labeler_user", None).connect_hint("labeler"),
        private.join("secrets.env").display()
    ));
    kept.write(home)?;
    Ok(settings.to_string())
}

struct Servers<'a> {
    stage: &'a Stage<'a>,
    authority: &'a Path,
    instances: &'a Path,
}

impl Servers<'_> {
    /// A server that speaks TLS only.
    fn make(&self, cluster: &Cluster, port: u16, kept: &mut Kept, home: &Path) -> anyhow::Result<Server> {
        let password = Secret::random();
        self.stage.runner.learn(&password);
        let server = local::make(self.stage, cluster, "service", &password, port, kept, home)?;
        // For whoever plays the service in a kept rehearsal.
        let file = cluster.data.with_extension("service");
        infra::files::write_private(&file, password.expose().as_bytes())
            .context("failed to keep the service's password")?;
        let certificate = |file: &str| self.instances.join(file).to_string_lossy().replace('\'', "''");
        let encrypted = format!(
            "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\n",
            certificate("server.crt"),
            certificate("server.key")
        );
        let mut conf = std::fs::OpenOptions::new()
            .append(true)
            .open(cluster.data.join("postgresql.conf"))
            .context("failed to open postgresql.conf")?;
        std::io::Write::write_all(&mut conf, encrypted.as_bytes())
            .context("failed to write postgresql.conf")?;
        infra::files::write_shared(&cluster.data.join("pg_hba.conf"), HBA.as_bytes())
            .context("failed to write pg_hba.conf")?;
        self.stage.runner.run(&cluster.stop())?;
        let log = cluster.data.with_extension("log");
        self.stage.runner.run(&cluster.start(&[], &log))?;
        let server = Server {
            reach: infra::postgres::Reach::Tcp {
                host: HOST.to_owned(),
                port,
            },
            ..server
        };
        Ok(server
            .with_option("PGSSLMODE", "verify-full")
            .with_option("PGSSLROOTCERT", self.authority.display().to_string()))
    }

    /// The old world: three databases, the labeler's with an extension that does not come over. The answers are the
    /// passwords of the three logins.
    fn fill_old(&self, server: &Server) -> anyhow::Result<[Secret; 3]> {
        let (admin, labeler) = (Secret::random(), Secret::random());
        for (role, password) in [("admin", &admin), ("labeler_user", &labeler)] {
            self.stage.runner.learn(password);
            // Superuser only while it fills its databases, so that it owns everything in them.
            self.execute(
                server,
                "CREATE ROLE :\"role\" LOGIN SUPERUSER PASSWORD :'password';",
                role,
                Some(password),
            )?;
        }
        for (database, role, password) in [
            ("platform", "admin", &admin),
            ("users", "admin", &admin),
            ("labeler", "labeler_user", &labeler),
        ] {
            self.database(server, database, role, password)?;
        }
        let script = Script::new(format!("CREATE EXTENSION {RESTRICTED};"));
        server.execute(
            self.stage.runner,
            "labeler",
            &script,
            "create a restricted extension",
        )?;
        for role in ["admin", "labeler_user"] {
            // Some sample tables hide rows from their owner.
            self.execute(server, "ALTER ROLE :\"role\" NOSUPERUSER BYPASSRLS;", role, None)?;
        }
        Ok([admin.clone(), admin, labeler])
    }

    /// The new server, as the platform team hands it over. The answers are the passwords by variable.
    fn fill_new(&self, server: &Server) -> anyhow::Result<Vec<(&'static str, Secret)>> {
        let master = Secret::random();
        self.stage.runner.learn(&master);
        infra::files::write_private(&self.instances.join("new.master"), master.expose().as_bytes())
            .context("failed to keep the administrator's password")?;
        self.execute(
            server,
            "CREATE ROLE :\"role\" LOGIN SUPERUSER PASSWORD :'password';",
            "master",
            Some(&master),
        )?;
        for database in ["platform", "users"] {
            self.database(server, database, "master", &master)?;
        }
        self.execute(
            server,
            "ALTER ROLE :\"role\" NOSUPERUSER CREATEROLE CREATEDB;",
            "master",
            None,
        )?;
        let by_master = server.as_role("master", Some(master.clone()));
        let sql = Script::new(handover(self.stage, server)?);
        by_master.execute(
            self.stage.runner,
            "postgres",
            &sql,
            "run what `production check --sql` writes",
        )?;
        let mut logins = Vec::new();
        for (role, variable) in [
            ("labeler_user", "XTASK_TARGET_PASSWORD"),
            ("platform_readonly", "XTASK_LOGIN_PLATFORM_PASSWORD"),
            ("users_readonly", "XTASK_LOGIN_USERS_PASSWORD"),
        ] {
            let password = Secret::random();
            self.stage.runner.learn(&password);
            self.execute(
                &by_master,
                "ALTER ROLE :\"role\" PASSWORD :'password';",
                role,
                Some(&password),
            )?;
            logins.push((variable, password));
        }
        // A service's own superuser has to do this; the sample hides rows from their owner.
        self.execute(server, "ALTER ROLE :\"role\" BYPASSRLS;", "labeler_user", None)?;
        Ok(logins)
    }

    /// A database with sample rows, owned by a role that is a superuser now.
    fn database(&self, server: &Server, database: &str, role: &str, password: &Secret) -> anyhow::Result<()> {
        let create = Script::new("CREATE DATABASE :\"name\" OWNER :\"role\";")
            .var("name", database)
            .var("role", role);
        let what = format!("create database {database}");
        server.execute(self.stage.runner, "postgres", &create, what)?;
        local::fill(
            self.stage,
            &server.as_role(role, Some(password.clone())),
            database,
        )
    }

    fn execute(
        &self,
        server: &Server,
        sql: &str,
        role: &str,
        password: Option<&Secret>,
    ) -> anyhow::Result<()> {
        let script = Script::new(sql).var("role", role);
        let script = match password {
            Some(password) => script.secret_var("password", password),
            None => script,
        };
        server.execute(
            self.stage.runner,
            "postgres",
            &script,
            format!("set up role {role}"),
        )?;
        Ok(())
    }
}

/// The SQL that the other team is given, before anything of ours is there.
fn handover(stage: &Stage<'_>, server: &Server) -> anyhow::Result<String> {
    let infra::postgres::Reach::Tcp { host, port } = &server.reach else {
        anyhow::bail!("the new server is reached over TCP");
    };
    let workspace = Workspace::at(stage.base.join("workspace"));
    let sets = [format!("target.host={host}"), format!("target.port={port}")];
    let loaded = crate::config::load(&workspace, "production", &[], &sets)?;
    Ok(crate::plan::handover::sql(&loaded.settings, &[]))
}

/// An S3 server with an empty bucket, and settings that name it.
fn object_storage(
    stage: &Stage<'_>,
    kept: &mut Kept,
    home: &Path,
    settings: &mut DocumentMut,
) -> anyhow::Result<s3::Server> {
    let python = repositories::machine_python(stage)?;
    let programs = s3::Programs::ensure(stage.runner, &python, stage.cache)?;
    let port = ports::free(1).context("failed to find a free port")?[0];
    let server = programs.start(stage.runner, port, &stage.base.join("storage.log"))?;
    kept.storage = server.pid().map(|pid| StorageServer { pid, port });
    kept.write(home)?;
    let credentials = stage.base.join("credentials");
    let text = format!(
        "[default]\naws_access_key_id = rehearsal\naws_secret_access_key = {}\n",
        Secret::random().expose()
    );
    infra::files::write_private(&credentials, text.as_bytes())
        .context("failed to write the storage's credentials")?;
    let create = Cmd::new(programs.aws(), "make a bucket")
        .args(["--endpoint-url", &server.url, "--region", "us-east-1"])
        .args(["s3api", "create-bucket", "--bucket", BUCKET])
        .env("AWS_SHARED_CREDENTIALS_FILE", &credentials)
        .env_remove("AWS_PROFILE");
    stage.runner.run(&create)?;
    let storage = &mut settings["storage"];
    storage["bucket"] = value(BUCKET);
    storage["endpoint-url"] = value(&server.url);
    storage["region"] = value("us-east-1");
    storage["checksum"] = value("sha256");
    storage["program"] = value(programs.aws().to_string_lossy().into_owned());
    storage["credentials-file"] = value(credentials.to_string_lossy().into_owned());
    kept.connect.push(format!(
        "aws --endpoint-url {} s3 ls --recursive s3://{BUCKET}   (AWS_SHARED_CREDENTIALS_FILE={})",
        server.url,
        credentials.display()
    ));
    Ok(server)
}

/// Downloads the run's backup into an empty folder and restores from there, under another name; the restore compares.
pub(super) fn from_storage(
    stage: &Stage<'_>,
    context: &Context,
    global: &Global,
    document: &RunDocument,
) -> anyhow::Result<()> {
    let settings = &context.loaded.settings;
    let trouble = |trouble: Trouble| anyhow::Error::msg(Failure::from(trouble).message);
    let at = storage::place(&settings.storage, &document.backup).map_err(trouble)?;
    let folder = stage.base.join("downloaded");
    let client = Storage::new(&settings.storage, stage.runner, stage.terminal).map_err(trouble)?;
    client.download(&at, &folder).map_err(trouble)?;
    stage.say(&format!("downloaded {at} into an empty folder"));
    let again = restore::RestoreArgs {
        backup: folder,
        database: "labeler".to_owned(),
        into: Some("labeler_from_storage".to_owned()),
        set_aside_existing: false,
        confirm_target: Some(context.loaded.settings.target.host.clone()),
        yes: true,
    };
    let global = Global {
        workspace: Some(context.workspace.root().to_owned()),
        ..global.clone()
    };
    restore::cmd_restore(&global, &again)?;
    stage.say("restored from the download under another name: every table compared equal");
    Ok(())
}

/// PostgreSQL with TLS: the embedded build has none.
pub(super) fn binaries(runner: &Runner) -> anyhow::Result<PathBuf> {
    let missing = |what: &str| {
        Ending::new(
            Exit::Preconditions,
            format!("the production rehearsal needs a PostgreSQL server with TLS, and openssl; {what}"),
        )
        .hint("sudo apt-get install postgresql openssl")
    };
    let bin = local::machine_binaries().ok_or_else(|| missing("no PostgreSQL server is installed"))?;
    if infra::command::find_program("openssl").is_none() {
        return Err(missing("openssl is not installed").into());
    }
    let described = Cmd::new(bin.join("pg_config"), "ask PostgreSQL for TLS").arg("--configure");
    match runner.run(&described) {
        Ok(output)
            if !["with-openssl", "with-ssl"]
                .iter()
                .any(|word| output.stdout_text().contains(word)) =>
        {
            Err(missing(&format!("the one in {} was built without TLS", bin.display())).into())
        }
        // Without pg_config, starting it with TLS will tell.
        _ => Ok(bin),
    }
}

/// A private authority, and one certificate for both servers: `server.crt`, `server.key`. The answer is the authority's.
fn certificates(stage: &Stage<'_>, folder: &Path) -> anyhow::Result<PathBuf> {
    let openssl = |what: &str, args: &[&str]| {
        let cmd = Cmd::new("openssl", what).args(args).cwd(folder);
        stage.runner.run(&cmd).map(|_| ())
    };
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ];
    let authority = [
        "req",
        "-x509",
        "-days",
        "2",
        "-subj",
        "/CN=xtask rehearsal authority",
    ];
    let files = ["-keyout", "authority.key", "-out", "authority.crt"];
    openssl(
        "make a private authority",
        &[&authority[..], &key, &files].concat(),
    )?;
    let request = ["req", "-subj", "/CN=localhost"];
    let files = ["-keyout", "server.key", "-out", "server.csr"];
    openssl("ask for a certificate", &[&request[..], &key, &files].concat())?;
    let names = folder.join("names");
    infra::files::write_shared(&names, b"subjectAltName=DNS:localhost\n")
        .context("failed to write the certificate's names")?;
    let sign = [
        "x509",
        "-req",
        "-days",
        "2",
        "-in",
        "server.csr",
        "-CA",
        "authority.crt",
    ];
    let files = [
        "-CAkey",
        "authority.key",
        "-CAcreateserial",
        "-extfile",
        "names",
        "-out",
        "server.crt",
    ];
    openssl("sign the certificate", &[&sign[..], &files].concat())?;
    for file in ["server.crt", "server.key"] {
        give(&folder.join(file), local::account())
            .context("failed to give a certificate to PostgreSQL's account")?;
    }
    Ok(folder.join("authority.crt"))
}
