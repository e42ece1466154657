//! `verify` on what really runs: the instance, the application that is started on it, Redis, and what it writes.

use std::time::Duration;

use infra::command::Child;
use infra::{Cmd, Interrupt, http, ports, python, wait};
use serde_json::Value;

use super::support::{Rehearsal, Workspace, ask, docker, folder, run, runner, write, xtask};

/// The application of the checkout, stopped with its test.
struct Application {
    port: u16,
    child: Option<Child>,
}

impl Application {
    fn start(workspace: &Workspace) -> Self {
        let port = ports::free(1).unwrap()[0];
        let environment = workspace.text("labeler.virtual-environments.0");
        let cmd = Cmd::new(
            python::in_environment(environment.as_ref()),
            "start the application",
        )
        .cwd(workspace.labeler.join("backend"))
        .args(["-m", "uvicorn", "app.main:app", "--host", "127.0.0.1", "--port"])
        .arg(port.to_string());
        let log = workspace.labeler.join("backend").join("app.log");
        let child = runner().spawn_server(&cmd, &log).unwrap();
        let started = Self {
            port,
            child: Some(child),
        };
        let url = format!("http://127.0.0.1:{port}/health");
        let answers = || http::get(&url, 2).is_ok().then_some(());
        wait::until(&Interrupt::default(), Duration::from_secs(120), answers).unwrap();
        started
    }

    /// `verify --scope application` with these arguments, as a document.
    fn verify(&self, workspace: &Workspace, code: i32, args: &[&str]) -> Value {
        let ports = format!("application.ports=[{}]", self.port);
        let all = [
            &[
                "verify",
                "--scope",
                "application",
                "--format",
                "json",
                "--set",
                &ports,
            ],
            args,
        ]
        .concat();
        workspace.xtask(&all).ends(code).json()
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            child.stop(Duration::from_secs(10));
        }
    }
}

/// What a check said.
#[track_caller]
fn result<'a>(document: &'a Value, check: &str) -> &'a str {
    let checks = document["checks"].as_array().unwrap();
    let found = checks.iter().find(|one| one["id"] == check);
    found.unwrap_or_else(|| panic!("no {check} in {document:#}"))["result"]
        .as_str()
        .unwrap()
}

/// Its one finding.
#[track_caller]
fn finding(document: &Value, check: &str) -> String {
    let checks = document["checks"].as_array().unwrap();
    let found = checks.iter().find(|one| one["id"] == check).unwrap();
    found["findings"][0]["found"].as_str().unwrap().to_owned()
}

/// Scopes `databases` and `application` after a migration: what passes, and what each notices.
fn look(workspace: &Workspace, count: impl Fn(&str) -> String, redis: &str) {
    let ran = workspace.xtask(&["verify", "--scope", "databases", "--format", "json"]);
    // The sample holds what is worth a warning.
    let document = ran.ends(0).json();
    assert_eq!(document["counts"]["failed"], 0, "{document:#}");
    for check in [
        "databases.exist",
        "databases.locale",
        "databases.collation",
        "data.matches-backup",
        "privileges.application",
        "postgres.port",
    ] {
        assert_eq!(result(&document, check), "passed", "{check}");
    }

    let application = Application::start(workspace);
    let document = application.verify(workspace, 0, &[]);
    assert_eq!(result(&document, "app.health"), "passed");
    assert_eq!(result(&document, "redis.pong"), redis);
    assert_eq!(result(&document, "app.log"), "passed", "{document:#}");
    assert_eq!(result(&document, "app.write-probe"), "skipped");

    // It writes through the API, and what it wrote is gone.
    let before = [count("datasets"), count("annotations")];
    let document = application.verify(workspace, 0, &["--write-probe"]);
    assert_eq!(result(&document, "app.write-probe"), "passed", "{document:#}");
    assert_eq!([count("datasets"), count("annotations")], before);
    let wrong = "application.write-probes=[{path=\"/api/v1/datasets\",id=\"id\",body={slug=\"NOT A SLUG\",name=\"x\"}}]";
    let document = application.verify(workspace, 3, &["--write-probe", "--set", wrong]);
    let found = finding(&document, "app.write-probe");
    assert!(found.contains("POST /api/v1/datasets: status 500"), "{found}");
    assert_eq!([count("datasets"), count("annotations")], before);
    // Which the application wrote into its log.
    assert_eq!(result(&document, "app.log"), "passed", "it was looked at before");
    let document = application.verify(workspace, 3, &["--only", "app.log"]);
    assert!(
        finding(&document, "app.log").contains("tell of an error"),
        "{document:#}"
    );
}

#[test]
fn what_runs_on_local_clusters_is_verified_and_a_probe_leaves_no_row() {
    let rehearsal = Rehearsal::local("verify");
    let workspace = &rehearsal.workspace;
    before_the_migration(workspace);
    workspace.xtask(&["migrate", "--yes"]).ends(0);
    let count = |table: &str| {
        ask(
            &workspace.target(),
            "labeler",
            &format!("SELECT count(*) FROM {table}"),
        )
    };
    let redis = match workspace.text("redis.control").as_str() {
        "none" => "skipped",
        _ => "passed",
    };
    look(workspace, count, redis);

    // The page for people: whole, and without a secret.
    let page = workspace.root.join("verify.html");
    let format = format!("text,html={}", page.display());
    workspace
        .xtask(&["verify", "--scope", "databases", "--format", &format])
        .ends(0);
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(text.contains("<h1>") && text.trim_end().ends_with("</html>"));
    assert!(!text.contains(&workspace.text("target.password")));

    what_leads_the_application_astray(workspace);

    // Nobody answers: that is no pass. And no pass either is whoever took the port.
    workspace.stop("target");
    let silent = workspace.xtask(&["verify", "--scope", "databases"]);
    silent.ends(20).says("no service is reachable");
    let _foreign = std::net::TcpListener::bind(("127.0.0.1", workspace.port("target.port"))).unwrap();
    let document = workspace
        .xtask(&["verify", "--scope", "databases", "--format", "json"])
        .ends(20)
        .json();
    assert_eq!(result(&document, "postgres.port"), "failed", "{document:#}");
    let found = finding(&document, "postgres.port");
    assert!(found.contains("the target does not run"), "{found}");
}

/// Nobody is told to point `.env` at a target that does not hold the data yet.
fn before_the_migration(workspace: &Workspace) {
    let ran = workspace.xtask(&["verify", "--scope", "config"]);
    let advice = ran.ends(3).stdout.find("hint: cargo xtask env set").unwrap();
    assert!(
        ran.stdout[..advice].contains("hint: cargo xtask migrate"),
        "{}",
        ran.all()
    );
    workspace.start("target");
    let document = workspace
        .xtask(&["verify", "--scope", "databases", "--format", "json"])
        .json();
    assert_eq!(
        result(&document, "privileges.application"),
        "skipped",
        "{document:#}"
    );
    workspace.stop("target");
}

/// A `.env` that is gone, or names another database, is told by a look at the databases.
fn what_leads_the_application_astray(workspace: &Workspace) {
    let says = |words: &str| {
        let verify = [
            "verify",
            "--scope",
            "databases",
            "--only",
            "privileges",
            "--format",
            "json",
        ];
        let document = workspace.xtask(&verify).ends(3).json();
        let found = finding(&document, "privileges.application");
        assert!(found.contains(words), "{found}");
    };
    let env = workspace.env_bytes();
    workspace.set_env("labeler", "NAME", "labeller");
    says("LABELER_DB_NAME is labeller");
    std::fs::remove_file(workspace.env_file()).unwrap();
    says("the application has no login");
    write(&workspace.env_file(), env);
}

#[test]
#[ignore = "needs Docker"]
fn what_runs_in_containers_is_verified_and_what_stops_is_noticed() {
    let rehearsal = super::containers::prepared("verify-docker", "docker-compose", "running");
    let workspace = &rehearsal.workspace;
    workspace.xtask(&["migrate", "--yes"]).ends(0);
    let target = workspace.text("target.container");
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        let words = [
            "exec",
            &target,
            "psql",
            "-h",
            "127.0.0.1",
            "-U",
            "admin",
            "-d",
            "labeler",
            "-XAtc",
            &sql,
        ];
        docker(&words).ends(0).stdout.trim().to_owned()
    };
    look(workspace, count, "passed");

    // The application goes on without its databases; its status says 200, and its body tells.
    let application = Application::start(workspace);
    docker(&["stop", &target]).ends(0);
    let document = application.verify(workspace, 3, &[]);
    assert!(
        finding(&document, "app.health").contains("/health/db"),
        "{document:#}"
    );
    let document = workspace
        .xtask(&["verify", "--scope", "databases", "--format", "json"])
        .ends(20)
        .json();
    assert_eq!(result(&document, "postgres.container"), "failed");
    docker(&["start", &target]).ends(0);
    let redis = docker(&[
        "ps",
        "-q",
        "--filter",
        &format!("publish={}", workspace.port("redis.port")),
    ]);
    docker(&["stop", redis.ends(0).stdout.trim()]).ends(0);
    let document = application.verify(workspace, 3, &["--only", "redis.pong"]);
    assert!(finding(&document, "redis.pong").contains("no Redis answers"));
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_and_exit_code_2() {
    let folder = folder("verify-names");
    let says = |args: &[&str], words: &str| {
        let ran = run(xtask(&folder).arg("verify").args(args));
        ran.ends(2).says(words);
    };
    says(
        &["--only", "compose.one-instanse"],
        "the nearest is compose.one-instance",
    );
    says(&["--skip", "labler.revision"], "the nearest is labeler.revision");
    says(&["--format", "jnuit"], "the nearest is junit");
    says(&["--format", "text,htm=page.html"], "the nearest is html");
    says(
        &["--only", "zzzzzzzzzzzzzzzz"],
        "there is no check named zzzzzzzzzzzzzzzz",
    );
    says(&["--format", "json,junit"], "cannot share standard output");
    says(&["--scope", "databses"], "databases");
    // Nothing that is left to check is no pass either.
    says(&["--only", "env.keys", "--skip", "env.keys"], "no check is left");
    says(&["--scope", "config", "--only", "redis.pong"], "no check is left");
    says(
        &["--scope", "application", "--skip", "application"],
        "cargo xtask verify --list",
    );
    assert!(!folder.join("page.html").exists());
    // Where the settings cannot be read nothing is checked, whatever was asked for.
    write(&folder.join("infra/migration.toml"), "target = 1\n");
    says(&["--scope", "config"], "infra/migration.toml");
    // And what they say stays theirs: any value may be a password.
    for broken in [
        "[target]\npassword = \"hunter2\nport = 1\n",
        "[target]\npassword = \"\"\"\nhunter2\n",
        "[target]\nuser = \"x\" password = \"hunter2\"\n",
    ] {
        for file in ["infra/migration.toml", ".xtask/local.toml"] {
            write(&folder.join(file), broken);
            let ran = run(xtask(&folder).args(["verify", "--scope", "config"]));
            ran.ends(2).says(file).says("at line ").never_says("hunter2");
            std::fs::remove_file(folder.join(file)).unwrap();
        }
    }
    let secrets = folder.join(".xtask/secrets.env");
    infra::files::write_private(&secrets, b"# mine\nXTASK_TARGET_PASSWORD=hunter2 3\n").unwrap();
    let ran = run(xtask(&folder).args(["verify", "--scope", "config"]));
    ran.ends(2).says(".xtask/secrets.env:2: ").never_says("hunter2");
    std::fs::remove_file(folder.join(".xtask/secrets.env")).unwrap();
    let variable = xtask(&folder).env("XTASK_TARGET__PORT", "hunter2");
    let ran = run(variable.args(["verify", "--scope", "config"]));
    ran.ends(2).says("XTASK_TARGET__PORT").never_says("hunter2");
    std::fs::remove_dir_all(folder).unwrap();
}
