//! A team that keeps `.env` somewhere else.

use std::net::TcpListener;
use std::time::Duration;

use infra::wait;

use super::{DATASETS, MIGRATE, PROFILE, Production};
use crate::support::{ask, read_env, runner, write};

const SCRIPT: &str = "backend/scripts/init_database.py";

#[test]
#[ignore = "needs PostgreSQL with TLS"]
fn who_keeps_env_elsewhere_gets_its_block_and_the_last_look_before_the_cutover_is_taken_all_the_same() {
    let mut production = Production::prepare("block");
    let env = production.workspace().env_bytes();
    let (old, new) = (production.service("old"), production.service("new"));
    let of_old = |end: &str| read_env(&env, &format!("LABELER_DB_{end}"));
    let workspace = &mut production.rehearsal.workspace;
    workspace.set("labeler.env-files", toml_edit::Array::new());
    // The application runs elsewhere as well: here it would read the old file.
    workspace.set("profiles.production.application.command", toml_edit::Array::new());
    let source = "profiles.production.databases.labeler.source";
    workspace.set(&format!("{source}.host"), of_old("HOST"));
    workspace.set(&format!("{source}.port"), of_old("PORT").parse::<i64>().unwrap());
    workspace.set(&format!("{source}.user"), of_old("USER"));
    let password = ("XTASK_SOURCE_LABELER_PASSWORD".to_owned(), of_old("PASSWORD"));
    workspace.env.push(password);
    let rows = ask(&old, "labeler", DATASETS);

    // The passwords only for whoever asks for them, and the block reads as the application will read it.
    let secrets = std::fs::read_to_string(production.workspace().root.join(".xtask/secrets.env")).unwrap();
    let secret = |name: &str| {
        let mut lines = secrets.lines().filter_map(|line| line.split_once('='));
        lines.find(|(known, _)| *known == name).unwrap().1.to_owned()
    };
    let masked = production.xtask(&["env", "block"]);
    let open = production.xtask(&["env", "block", "--passwords"]);
    let port = production
        .workspace()
        .port("profiles.production.target.port")
        .to_string();
    for (prefix, name, user, variable) in [
        ("LABELER_DB", "labeler", "labeler_user", "XTASK_TARGET_PASSWORD"),
        (
            "PLATFORM_DB",
            "platform",
            "platform_readonly",
            "XTASK_LOGIN_PLATFORM_PASSWORD",
        ),
        ("USER_DB", "users", "users_readonly", "XTASK_LOGIN_USERS_PASSWORD"),
    ] {
        masked.ends(0).never_says(&secret(variable));
        let placeholder = format!("<{variable}>");
        for (ran, password) in [(&masked, placeholder), (&open, secret(variable))] {
            let read = |end: &str| read_env(ran.stdout.as_bytes(), &format!("{prefix}_{end}"));
            let seen = ["HOST", "PORT", "NAME", "USER", "PASSWORD"].map(read);
            assert_eq!(seen, ["localhost", &port, name, user, &password]);
        }
    }
    open.ends(0);
    assert!(
        masked.stdout.contains("\nUSER_DB_HOST=localhost\n"),
        "{}",
        masked.stdout
    );
    let pasted = production.workspace().root.join("pasted.env");
    write(&pasted, &masked.stdout);
    let checked = production.xtask(&["env", "check", pasted.to_str().unwrap()]);
    assert!(checked.stdout.contains("env.placeholder"), "{}", checked.all());
    let weak = production
        .workspace()
        .cmd(&["--profile", "production", "env", "block", "--passwords"]);
    crate::support::run(weak.env("XTASK_LOGIN_USERS_PASSWORD", "change_me"))
        .ends(20)
        .says("template's placeholder");
    production
        .xtask(&["env", "block", "--set", "target.host="])
        .ends(20)
        .says("no setting says which server");

    // Sealed, looked at, restored; then opened by somebody, written to, closed again. The schema's script waits for that.
    let workspace = production.workspace();
    let script = workspace.labeler.join(SCRIPT);
    let kept = std::fs::read_to_string(&script).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let before = format!("import socket\nsocket.create_connection((\"127.0.0.1\", {port})).recv(1)\n");
    write(&script, format!("{before}{kept}"));
    let log = workspace.root.join("late.log");
    let cmd = workspace.cmd(&[&PROFILE[..], &MIGRATE].concat());
    let child = runner().spawn_server(&cmd, &log).unwrap();
    let limit = Duration::from_secs(300);
    let waiting = wait::until(runner().interrupt(), limit, || {
        let waiting = listener.accept().ok();
        (waiting.is_some() || child.ended().is_some()).then_some(waiting)
    });
    let said = || std::fs::read_to_string(&log).unwrap();
    let waiting = waiting
        .unwrap()
        .unwrap_or_else(|| panic!("it ended before its schema:\n{}", said()));
    ask(&old, "postgres", "ALTER DATABASE labeler ALLOW_CONNECTIONS true");
    ask(
        &old,
        "labeler",
        "UPDATE datasets SET name = name || '!' WHERE id = 1",
    );
    ask(&old, "postgres", "ALTER DATABASE labeler ALLOW_CONNECTIONS false");
    drop(waiting);
    let ended = wait::until(runner().interrupt(), limit, || child.ended());
    assert_eq!(ended, Ok(Some(21)), "{}", said());
    assert!(
        said().contains("table public.datasets: 1 rows updated"),
        "{}",
        said()
    );
    write(&script, kept);
    production.xtask(&["rollback", "--yes"]).ends(22);

    production
        .migrate()
        .ends(0)
        .says("no .env file is named here: give the application what `cargo xtask env block --profile production` prints")
        .says("restart the application wherever it runs: it reads the new .env");
    assert_eq!(ask(&new, "labeler", DATASETS), rows);
    assert_eq!(
        production.workspace().env_bytes(),
        env,
        "a file that is not named is left alone"
    );
}
