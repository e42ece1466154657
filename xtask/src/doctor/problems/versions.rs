//! Client programs older than the server, or than the dump.

use infra::postgres::{major, plain, version_text};

use crate::checks::NotLooked;
use crate::config::Control;
use crate::doctor::act::{Act, ChangeSetting, Value};
use crate::doctor::{Case, Diagnosis, Examined, Fix, Problem, Proof};

const SYMPTOMS: &[&str] = &[
    "invalid command \\restrict",
    "invalid command \\unrestrict",
    "backslash commands are restricted",
    "aborting because of server version mismatch",
    "unrecognized configuration parameter \"transaction_timeout\"",
    "unsupported version (*) in file header",
];

pub(in crate::doctor) const SKEW: Problem = Problem {
    id: "version-skew",
    title: "\"invalid command \\restrict\", \"server version mismatch\"",
    meaning: "psql, pg_dump or pg_restore are older than the server or the dump",
    symptoms: SYMPTOMS,
    causes: "Plain dumps from August 2025 on start with `\\restrict`, which an older psql takes for a mistake. pg_dump refuses a server \
             that is newer than itself. A dump by a newer pg_dump names settings that an older server does not have. The doctor \
             asks the client programs that the settings name for their version and compares it with the server's.",
    repair: "Where the target's container has another image than the settings say, the settings follow the container: the programs come from \
             that image. Elsewhere the programs are yours to install; the doctor names the version. A dump is loaded by `cargo xtask restore`, \
             which looks first.",
    proof: &[Proof {
        created: "client programs of PostgreSQL 16 for a server of 18",
        recognised: "both versions",
        repaired: "target.bin names the newer programs of this machine; going back brings the file's bytes back",
        test: "client_programs_older_than_the_server_are_replaced_by_newer_ones",
    }],
    examine: skew,
};

fn skew(case: &Case<'_>) -> Examined {
    let Some(server) = case.server()? else {
        return Ok(Vec::new());
    };
    let Some(client) = &case.seen.client else {
        return Ok(Vec::new());
    };
    let (client_major, client_minor) = *client.as_ref().map_err(NotLooked::because)?;
    let settings = case.settings();
    let wanted = major(server.version_num);
    let mut found = Vec::new();
    if client_major < wanted {
        let what = format!(
            "the client programs are {client_major}.{client_minor}, and the server is {}",
            version_text(server.version_num)
        );
        found.push(
            Diagnosis::error("client", what)
                .wanted(format!("psql and pg_dump of PostgreSQL {wanted} or later"))
                .fix(newer(case, wanted))
                .hint(install(wanted)),
        );
    } else if !plain::knows_restrict((client_major, client_minor)) {
        let what =
            format!("psql {client_major}.{client_minor} does not know \\restrict, which dumps start with");
        let diagnosis =
            Diagnosis::warning("restrict", what).wanted("psql 13.22, 14.19, 15.14, 16.10, 17.6, 18 or later");
        found.push(if case.target_is_container() {
            diagnosis.hint(format!("docker pull {}", settings.target.image))
        } else {
            diagnosis.hint(install(client_major))
        });
    }
    Ok(found)
}

/// Settings that name newer programs which are here already.
fn newer(case: &Case<'_>, wanted: u32) -> Option<Fix> {
    let settings = &case.settings().target;
    let change = if case.target_is_container() {
        let image = &case.seen.seen.target.container.as_ref()?.image;
        if *image == settings.image {
            return None;
        }
        ("target.image".to_owned(), Value::Text(image.clone()))
    } else {
        let (found, bin) = case.seen.newer_clients.as_ref()?;
        // The programs that also serve the data directory must be exactly its version's.
        if settings.control == Control::PgCtl && *found != wanted {
            return None;
        }
        ("target.bin".to_owned(), Value::Text(bin.display().to_string()))
    };
    let title = format!("take the client programs of PostgreSQL {wanted} that are here");
    let act = ChangeSetting {
        file: case.workspace.private().join("local.toml"),
        changes: vec![change],
    };
    Some(Fix::new(title, vec![Act::ChangeSetting(act)]))
}

fn install(major: u32) -> String {
    if cfg!(target_os = "macos") {
        format!("brew install postgresql@{major}")
    } else if cfg!(windows) {
        format!("winget install PostgreSQL.PostgreSQL.{major}")
    } else {
        format!("sudo apt-get install postgresql-client-{major}")
    }
}
