//! The two servers, and what they hold before a run.

use std::path::Path;

use anyhow::Context as _;
use infra::Secret;
use infra::postgres::cluster::Cluster;
use infra::postgres::{Script, Server};

use super::super::kept::Kept;
use super::super::{Stage, local};
use crate::config::Workspace;

/// The name that both certificates carry.
pub const HOST: &str = "localhost";
/// Only TLS, and only with a password.
const HBA: &str = "local all all reject\nhostnossl all all all reject\nhostssl all all 127.0.0.1/32 scram-sha-256\n\
                   hostssl all all ::1/128 scram-sha-256\n";
/// An extension that no role without superuser can create and that nothing depends on.
const RESTRICTED: &str = "pg_buffercache";

/// What making a server needs.
pub struct Servers<'a> {
    pub stage: &'a Stage<'a>,
    pub authority: &'a Path,
    pub instances: &'a Path,
}

impl Servers<'_> {
    /// A server that speaks TLS only.
    pub fn make(&self, cluster: &Cluster, port: u16, kept: &mut Kept, home: &Path) -> anyhow::Result<Server> {
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
    pub fn fill_old(&self, server: &Server) -> anyhow::Result<[Secret; 3]> {
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
    pub fn fill_new(&self, server: &Server) -> anyhow::Result<Vec<(&'static str, Secret)>> {
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
