//! The network is cut, a server or the tool is killed while it restores: bounded, nothing half-visible, resumed to the same end.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use infra::postgres::Server;

use super::{DATASETS, MIGRATE, PROFILE, Production};
use crate::support::{Ran, ask, runner};

/// Between a client and the new server. Frozen, it swallows everything and closes nothing.
struct Proxy {
    port: u16,
    frozen: Arc<AtomicBool>,
}

impl Proxy {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            frozen: Arc::default(),
        };
        let frozen = Arc::clone(&proxy.frozen);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                let pairs = [
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server, client),
                ];
                for (from, to) in pairs {
                    let frozen = Arc::clone(&frozen);
                    std::thread::spawn(move || pump(from, to, &frozen));
                }
            }
        });
        proxy
    }

    fn freeze(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::SeqCst);
    }
}

/// Moves bytes; what comes while frozen is lost, as on a cut wire.
fn pump(mut from: TcpStream, mut to: TcpStream, frozen: &AtomicBool) {
    let mut buffer = [0; 16384];
    let mut lost = false;
    while let Ok(n) = from.read(&mut buffer) {
        lost |= frozen.load(Ordering::SeqCst);
        if lost && n > 0 {
            continue;
        }
        if n == 0 || to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    if !lost {
        let _ = to.shutdown(std::net::Shutdown::Both);
    }
}

/// Waits until the new database arrives, then does this; the answer is how the run ended.
fn at_restore(production: &Production, new: &Server, args: &[&str], act: impl FnOnce(u32)) -> Ran {
    let workspace = production.workspace();
    let cmd = workspace.cmd(&[&PROFILE[..], args].concat());
    let log = workspace.root.join("at-restore.log");
    let child = runner().spawn_server(&cmd, &log).unwrap();
    let incoming = "SELECT count(*) FROM pg_database WHERE datname = 'labeler__incoming'";
    let here = infra::wait::until(runner().interrupt(), Duration::from_secs(120), || {
        (child.ended().is_some() || ask(new, "postgres", incoming) == "1").then_some(())
    });
    here.unwrap();
    act(child.pid().unwrap());
    let code = infra::wait::until(runner().interrupt(), Duration::from_secs(180), || child.ended());
    Ran {
        code: code.unwrap().unwrap_or(-1),
        stdout: String::new(),
        stderr: std::fs::read_to_string(log).unwrap(),
    }
}

#[track_caller]
fn nothing_shows(production: &Production, new: &Server, env: &[u8]) {
    let tables = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
                  WHERE relkind = 'r' AND nspname !~ '^pg_' AND nspname <> 'information_schema'";
    assert_eq!(
        ask(new, "labeler", tables),
        "0",
        "the real name shows nothing of it"
    );
    assert_eq!(production.workspace().env_bytes(), env, ".env is as it was");
}

#[test]
#[ignore = "needs PostgreSQL with TLS"]
fn a_network_that_swallows_everything_ends_a_restore_in_time_and_the_run_goes_on_later() {
    let production = Production::prepare("cut");
    let new = production.service("new");
    let env = production.workspace().env_bytes();
    let rows = ask(&production.service("old"), "labeler", DATASETS);
    let real = production.workspace().port("profiles.production.target.port");
    let proxy = Proxy::to(real);
    let port = format!("target.port={}", proxy.port);
    let through = ["--set", &port, "--set", "target.connection.unreachable-seconds=4"];

    let mut frozen_at = Instant::now();
    let ran = at_restore(&production, &new, &[&MIGRATE[..], &through].concat(), |_| {
        proxy.freeze(true);
        frozen_at = Instant::now();
    });
    assert!(
        frozen_at.elapsed() < Duration::from_secs(90),
        "{:?}",
        frozen_at.elapsed()
    );
    ran.ends(21);
    assert!(ran.stderr.contains("no answer for 4s"), "{}", ran.all());
    nothing_shows(&production, &new, &env);
    proxy.freeze(false);
    production
        .xtask(&[&["migrate", "--resume"], &through[..]].concat())
        .ends(0);
    assert_eq!(ask(&new, "labeler", DATASETS), rows);
}

/// Programs that stand before those of `real`. A psql that is called for the database that was just restored waits: nobody but
/// the comparison, and the statistics beside it, is called for that one. The answer is the folder; `here` in it is made by
/// the one that waits, and `go` lets it on.
#[cfg(unix)]
fn stand_ins(folder: &std::path::Path, real: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    let word = |path: &std::path::Path| infra::command::shell_word(&path.to_string_lossy());
    let home = word(folder);
    let wait = format!(
        "case \"$*\" in *labeler__incoming*)\n  : > {home}/here\n  \
         while [ ! -e {home}/go ]; do sleep 0.02; done ;;\nesac\n"
    );
    for entry in std::fs::read_dir(real).unwrap() {
        let program = entry.unwrap().path();
        let file = folder.join(program.file_name().unwrap());
        let wait = if program.ends_with("psql") { &wait } else { "" };
        crate::support::write(
            &file,
            format!("#!/bin/sh\n{wait}exec {} \"$@\"\n", word(&program)),
        );
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[cfg(unix)]
#[test]
#[ignore = "needs PostgreSQL with TLS"]
fn a_network_that_is_cut_while_comparing_ends_in_time_and_what_was_not_compared_never_shows() {
    let production = Production::prepare("cut-compare");
    let workspace = production.workspace();
    let new = production.service("new");
    let env = workspace.env_bytes();
    let rows = ask(&production.service("old"), "labeler", DATASETS);
    let proxy = Proxy::to(workspace.port("profiles.production.target.port"));
    let folder = workspace.root.join("stand-ins");
    stand_ins(&folder, workspace.text("profiles.production.target.bin").as_ref());
    let port = format!("target.port={}", proxy.port);
    let bin = format!("target.bin={}", folder.display());
    let through = [
        "--set",
        &port,
        "--set",
        &bin,
        "--set",
        "target.connection.unreachable-seconds=4",
    ];

    let cmd = workspace.cmd(&[&PROFILE[..], &MIGRATE, &through].concat());
    let log = workspace.root.join("at-compare.log");
    let child = runner().spawn_server(&cmd, &log).unwrap();
    let limit = Duration::from_secs(300);
    let reached = infra::wait::until(runner().interrupt(), limit, || {
        (child.ended().is_some() || folder.join("here").exists()).then_some(())
    });
    reached.unwrap();
    proxy.freeze(true);
    crate::support::write(&folder.join("go"), "");
    // Bounded by the settings; without that, by this limit.
    let code = infra::wait::until(runner().interrupt(), limit, || child.ended());
    let ran = Ran {
        code: code.unwrap().unwrap_or(-1),
        stdout: String::new(),
        stderr: std::fs::read_to_string(log).unwrap(),
    };
    ran.ends(21)
        .says("failed to restore and compare labeler")
        .says("no answer for 4s");
    let restored = "SELECT count(*) FROM datasets";
    assert_eq!(
        ask(&new, "labeler__incoming", restored),
        rows,
        "it was restored before the wire was cut"
    );
    nothing_shows(&production, &new, &env);

    proxy.freeze(false);
    production
        .xtask(&[&["migrate", "--resume"], &through[..]].concat())
        .ends(0);
    assert_eq!(ask(&new, "labeler", DATASETS), rows);
}

#[test]
#[ignore = "needs PostgreSQL with TLS"]
fn a_killed_tool_and_a_server_that_goes_down_while_restoring_resume_to_the_same_end() {
    let production = Production::prepare("kill");
    let (old, new) = (production.service("old"), production.service("new"));
    let env = production.workspace().env_bytes();
    let rows = ask(&old, "labeler", DATASETS);

    at_restore(&production, &new, &MIGRATE, |pid| {
        assert!(infra::command::send(pid, infra::command::Signal::Kill));
    });
    nothing_shows(&production, &new, &env);

    let cluster = production.cluster("new");
    let ran = at_restore(&production, &new, &["migrate", "--resume"], |_| {
        runner().run(&cluster.stop()).unwrap();
    });
    ran.ends(21);
    let log = cluster.data.with_extension("test.log");
    runner().run(&cluster.start(&[], &log)).unwrap();
    nothing_shows(&production, &new, &env);

    production.xtask(&["migrate", "--resume"]).ends(0);
    assert_eq!(ask(&new, "labeler", DATASETS), rows);
    let run = production.workspace().runs().pop().unwrap();
    let audit = std::fs::read_to_string(run.join("audit.jsonl")).unwrap();
    assert!(
        audit.contains("manifest_sha256") && audit.contains("finished"),
        "{audit}"
    );
    let secrets = std::fs::read_to_string(production.workspace().root.join(".xtask/secrets.env")).unwrap();
    for secret in secrets.lines().filter_map(|line| line.split_once('=')) {
        assert!(!audit.contains(secret.1), "a secret is in the audit");
    }
}
