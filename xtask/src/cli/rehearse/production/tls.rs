//! PostgreSQL that speaks TLS, and the certificates that both servers show.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use infra::postgres::cluster::give;
use infra::{Cmd, Runner};

use super::super::{Stage, local};
use crate::cli::Ending;
use crate::model::Exit;

/// PostgreSQL with TLS: the embedded build has none.
pub fn binaries(runner: &Runner) -> anyhow::Result<PathBuf> {
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
pub fn certificates(stage: &Stage<'_>, folder: &Path) -> anyhow::Result<PathBuf> {
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
