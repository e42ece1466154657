//! Passwords of any characters show nowhere; names of any characters go through the whole migration.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backend_env::{Document, Reader};
use infra::postgres::{Script, Server, quote};
use infra::{Interrupt, Secret, wait};

use super::support::{Home, Ran, Rehearsal, Workspace, ask, read_env, runner};

/// In the middle of every password: whatever quoting does to the rest, this part stays as it is.
const CORES: [&str; 4] = ["Qz7platformK2", "Qz7usersK2", "Qz7labelerK2", "Qz7targetK2"];
/// What stands around it. The target's must be writable for every reader of `.env`.
const AROUND: [(&str, &str); 4] = [
    ("it's \"quoted\" $HOME ", " \\back `tick`"),
    ("first line\nsecond 비밀 ", " ünï\tcode"),
    ("'; DROP DATABASE labeler; --", " %s {0} \\1"),
    ("a b;c&d|", " 암호 #x!"),
];
/// A name as odd as PostgreSQL lets it be.
const ODD: &str = "La\"b 'el' ER 라벨 $x";
const ODD_ROLE: &str = "Role \"Ö\" 'x' $y";

fn password(index: usize) -> String {
    format!("{}{}{}", AROUND[index].0, CORES[index], AROUND[index].1)
}

/// Gives a role a password, as psql's variable: not even this test has it in an argument.
fn give_password(server: &Server, role: &str, password: &str) {
    let script = Script::new(format!("ALTER ROLE {} PASSWORD :'word';", quote::ident(role)))
        .secret_var("word", &Secret::new(password));
    server
        .execute(&runner(), "postgres", &script, "give a password")
        .unwrap();
}

/// The three old instances, the target and `.env` get odd passwords; the labeler's database, role and tables odd names.
fn make_odd(workspace: &mut Workspace) {
    let before = workspace.env_bytes();
    let mut document = Document::parse(before.as_slice());
    let mut set = |key: &str, value: &str| {
        document.set(key, value, &[Reader::PythonDotenv]).unwrap();
    };
    for (index, (database, prefix)) in [
        ("platform", "PLATFORM_DB"),
        ("users", "USER_DB"),
        ("labeler", "LABELER_DB"),
    ]
    .into_iter()
    .enumerate()
    {
        let server = workspace.source(database, &before);
        if database == "labeler" {
            // The session's own role cannot be renamed.
            let (old, new) = (server.user.as_str(), quote::ident(ODD_ROLE));
            let helper = "CREATE ROLE helper LOGIN SUPERUSER PASSWORD 'helper';";
            ask(&server, "postgres", helper);
            let helper = server.as_role("helper", Some(Secret::new("helper")));
            ask(
                &helper,
                "postgres",
                &format!(
                    "ALTER ROLE {old} RENAME TO {new}; ALTER DATABASE labeler RENAME TO {};",
                    quote::ident(ODD)
                ),
            );
            give_password(&helper, ODD_ROLE, &password(index));
            let named = server.as_role(ODD_ROLE, Some(Secret::new(password(index))));
            ask(&named, "postgres", "DROP ROLE helper;");
            let table = "CREATE SCHEMA \"Sch ema\"; CREATE TABLE \"Sch ema\".\"T\"\"a'ble 표\" \
                         (\"I D\" int PRIMARY KEY, \"값\" text); \
                         INSERT INTO \"Sch ema\".\"T\"\"a'ble 표\" VALUES (1, 'x'), (2, NULL);";
            ask(&named, ODD, table);
            set("LABELER_DB_USER", ODD_ROLE);
            set("LABELER_DB_NAME", ODD);
        } else {
            give_password(&server, &server.user, &password(index));
        }
        set(&format!("{prefix}_PASSWORD"), &password(index));
    }
    super::support::write(&workspace.env_file(), document.as_bytes());
    workspace.start("target");
    give_password(&workspace.target(), "admin", &password(3));
    workspace.stop("target");
    workspace.set("target.password", password(3));
    workspace.set("databases.labeler.name", ODD);
    workspace.set("databases.labeler.source.database", ODD);
    workspace.set("databases.labeler.source.user", ODD_ROLE);
}

/// Programs that write their arguments down before they become the real ones.
fn record_arguments(workspace: &mut Workspace) -> PathBuf {
    let real = PathBuf::from(workspace.text("target.bin"));
    // Beside the workspace, which is private: servers run as another account under root.
    let bin = workspace.root.with_file_name("recording");
    let log = bin.join("arguments");
    std::fs::create_dir_all(&bin).unwrap();
    for entry in std::fs::read_dir(&real).unwrap().flatten() {
        let program = entry.path();
        let text = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$0\" \"$@\" >> '{}' 2>/dev/null\nexec '{}' \"$@\"\n",
            log.display(),
            program.display()
        );
        let path = bin.join(entry.file_name());
        super::support::write(&path, text);
        executable(&path);
    }
    super::support::write(&log, "");
    std::fs::set_permissions(&log, open_to_all()).unwrap();
    let text = bin.to_string_lossy().into_owned();
    for key in [
        "target",
        "databases.platform.source",
        "databases.users.source",
        "databases.labeler.source",
    ] {
        workspace.set(&format!("{key}.bin"), text.clone());
    }
    log
}

#[cfg(unix)]
fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(unix)]
fn open_to_all() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}

/// Says that it is over when it goes.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Every process of this machine whose arguments hold a password, while `work` runs. Only Linux tells.
fn watch_arguments<T>(work: impl FnOnce() -> T) -> (T, BTreeSet<String>) {
    let (over, found) = (AtomicBool::new(false), Mutex::new(BTreeSet::new()));
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            let look = || {
                for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
                    let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                    let line = String::from_utf8_lossy(&line).into_owned();
                    if CORES.iter().any(|core| line.contains(core)) {
                        found.lock().unwrap().insert(line);
                    }
                }
                over.load(Ordering::SeqCst).then_some(())
            };
            // The recording programs miss nothing; this is for all others.
            let (hour, every) = (Duration::from_secs(3600), Duration::from_millis(20));
            wait::watch(&Interrupt::default(), hour, every, look).unwrap();
        });
        // Also when `work` panics: the scope waits for the other thread.
        let _over = Over(&over);
        work()
    });
    (result, found.into_inner().unwrap())
}

/// Files that may hold a password: they are where it belongs.
fn is_its_place(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.ends_with("/.xtask/local.toml") || text.contains("/env/")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => open.push(path),
                false => found.push(path),
            }
        }
    }
    found
}

#[track_caller]
fn holds_none(what: &str, bytes: &[u8]) {
    holds_none_of(&CORES, what, bytes);
}

#[track_caller]
fn holds_none_of(words: &[&str], what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for core in words {
        if let Some(line) = text.lines().find(|line| line.contains(*core)) {
            panic!("{what} holds a password: {line}");
        }
    }
}

/// Runs every command once, some also into a failure. What each must end with is not the point here, but for the
/// migration itself.
fn every_command(workspace: &Workspace) -> Vec<(String, Ran)> {
    let mut said = Vec::new();
    let mut xtask = |args: &[&str], ends: Option<i32>| {
        let ran = workspace.xtask(args);
        if let Some(code) = ends {
            ran.ends(code);
        }
        said.push((args.join(" "), ran));
    };
    let env = workspace.env_file().to_string_lossy().into_owned();
    xtask(&["migrate", "--dry-run"], Some(0));
    xtask(&["backup", "create"], Some(0));
    // A failure in the middle, with the error's last lines.
    xtask(
        &[
            "migrate",
            "--yes",
            "--set",
            "limits.maintenance-work-mem=nonsense",
        ],
        Some(21),
    );
    xtask(&["rollback", "--yes"], Some(22));
    xtask(&["migrate", "--yes", "--json"], Some(0));
    let run = workspace.runs().pop().unwrap();
    let id = run.file_name().unwrap().to_string_lossy().into_owned();
    let kept = run.join("env").join("0.before").to_string_lossy().into_owned();
    // A login that the doctor repairs: the password of `.env` is not the server's.
    let right = workspace.env("USER_DB_PASSWORD");
    workspace.set_env("users", "PASSWORD", &format!("not {}", CORES[1]));
    xtask(&["doctor"], Some(3));
    xtask(&["doctor", "--fix", "--yes", "--json"], None);
    xtask(&["doctor", "--undo", "--yes"], None);
    workspace.set_env("users", "PASSWORD", &right);
    let sql = workspace.root.join("handover.sql").to_string_lossy().into_owned();
    let pages = workspace.root.join("man").to_string_lossy().into_owned();
    for args in [
        &["status"][..],
        &["status", "--settings"],
        &["status", "--json"],
        &["doctor", "--json"],
        &["doctor", "--list", "--json"],
        &[
            "doctor",
            "--error",
            "password authentication failed for user \"admin\"",
        ],
        &["onboard", "--yes"],
        &["production", "check"],
        &["production", "check", "--sql", &sql],
        &["completions", "bash"],
        &["man", &pages],
        &["env", "get", &env, "LABELER_DB_NAME"],
        &["status", &id],
        &["verify", "--scope", "config", "--format", "text"],
        &["verify", "--format", "json"],
        &["verify", "--format", "junit"],
        &["verify", "--format", "github"],
        &["verify", "--format", "markdown"],
        &["backup", "list", "--json"],
        &["backup", "verify", &id, "--against", "labeler", "--json"],
        &[
            "restore",
            &id,
            "--database",
            "labeler",
            "--into",
            "Cop\"y",
            "--yes",
        ],
        &["restore", &id, "--database", "users", "--yes"],
        &["env", "block"],
        &["env", "diff", &kept, &env],
        &["env", "check", &env],
        &["env", "set", &env, "NEW_KEY=x", "--dry-run"],
        &["migrate", "--yes"],
        &["rollback", "--yes"],
        &["cleanup", "--yes"],
        &["migrate", "--yes", "--set", "target.password=wrong"],
    ] {
        xtask(args, None);
    }
    // Secrets of the application that no setting names; its own programs quote them.
    let mut with_others = workspace.env_bytes();
    with_others.extend_from_slice(
        format!(
            "STRIPE_TOKEN=x{0}x\r\nDATABASE_URL=postgresql://u:y{0}y@host/db\r\n",
            CORES[3]
        )
        .as_bytes(),
    );
    let before = workspace.env_bytes();
    super::support::write(&workspace.env_file(), with_others);
    workspace.replace("backend/app/config.py", "extra=\"ignore\"", "extra=\"forbid\"");
    for format in ["text", "json", "junit"] {
        let ran = workspace.xtask(&["verify", "--format", format]);
        said.push((format!("verify --format {format} with other secrets"), ran));
    }
    workspace.xtask(&["rollback", "--yes"]).ends(22);
    let stopped = workspace.xtask(&["migrate", "--yes"]);
    let complained = stopped.all().contains("Extra inputs are not permitted");
    said.push(("migrate with other secrets".to_owned(), stopped));
    said.push((
        "doctor with other secrets".to_owned(),
        workspace.xtask(&["doctor", "--json"]),
    ));
    assert!(
        complained,
        "the application did not quote them: {}",
        said[said.len() - 2].1.all()
    );
    super::support::write(&workspace.env_file(), before);
    said
}

/// Fails when a command is added and forgotten here.
#[track_caller]
fn every_command_is_among(said: &[(String, Ran)], workspace: &Workspace) {
    // These make worlds of their own, with passwords of their own: see below. `ci` runs this test.
    let elsewhere = ["rehearse", "faults", "ci", "help"];
    let help = workspace.xtask(&["--help"]).stdout;
    let list = help
        .split("\nCommands:\n")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    let names = list
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    assert!(names.contains(&"migrate") && names.len() > 10, "{names:?}");
    for name in names.iter().filter(|name| !elsewhere.contains(name)) {
        let ran = |(command, _): &(String, Ran)| command.split(' ').next() == Some(name);
        assert!(said.iter().any(ran), "nothing ran `{name}`");
    }
}

#[test]
fn a_rehearsal_and_a_fault_show_no_password_of_theirs() {
    let home = Home::new("secrets-rehearsal");
    let rehearsed = home.xtask(&[
        "rehearse",
        "--keep",
        "--runtime",
        "local",
        "--rows",
        "50",
        "--json",
    ]);
    assert_eq!(rehearsed.ends(0).json()["verified"], true);
    let faults = home.xtask(&["faults", "--only", "kill-moment", "--seed", "5"]);
    faults.ends(0);
    let settings = files(&home.path);
    let settings: Vec<&PathBuf> = settings
        .iter()
        .filter(|path| path.ends_with(".xtask/local.toml"))
        .collect();
    assert_eq!(settings.len(), 1, "{settings:?}");
    let workspace = Workspace::open(settings[0].parent().unwrap().parent().unwrap());
    let run = workspace.runs().pop().unwrap();
    let old = std::fs::read(run.join("env/0.before")).unwrap();
    let mut words = ["PLATFORM_DB", "USER_DB", "LABELER_DB"]
        .map(|prefix| read_env(&old, &format!("{prefix}_PASSWORD")))
        .to_vec();
    words.push(workspace.text("target.password"));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert!(
        words.iter().all(|word| word.len() > 8),
        "too short to be searched for"
    );
    holds_none_of(&words, "the rehearsal", rehearsed.all().as_bytes());
    holds_none_of(&words, "the faults", faults.all().as_bytes());
    for path in files(&workspace.root.join(".xtask")) {
        if !is_its_place(&path) {
            holds_none_of(
                &words,
                &path.display().to_string(),
                &std::fs::read(&path).unwrap(),
            );
        }
    }
}

#[cfg(unix)]
#[test]
fn odd_passwords_show_nowhere_and_odd_names_go_through_everything() {
    let mut rehearsal = Rehearsal::local("secrets");
    let workspace = &mut rehearsal.workspace;
    make_odd(workspace);
    let arguments = record_arguments(workspace);
    let before = workspace.env_bytes();
    let (said, seen) = watch_arguments(|| every_command(workspace));
    every_command_is_among(&said, workspace);
    assert!(seen.is_empty(), "arguments of a process: {seen:?}");
    let recorded = std::fs::read(&arguments).unwrap();
    assert!(recorded.len() > 1000, "the programs were not recorded");
    holds_none("an argument", &recorded);
    for (command, ran) in &said {
        holds_none(&format!("what `{command}` says"), ran.all().as_bytes());
    }
    let mut looked_at = 0;
    for path in files(&workspace.root.join(".xtask"))
        .into_iter()
        .filter(|path| !is_its_place(path))
    {
        holds_none(&path.display().to_string(), &std::fs::read(&path).unwrap());
        looked_at += 1;
    }
    assert!(looked_at > 50, "only {looked_at} files were looked at");

    let listed = said
        .iter()
        .find(|(command, _)| command == "doctor --list --json")
        .unwrap();
    let ids = listed.1.json()["problems"].as_array().unwrap().len();
    assert!(ids > 10, "{}", listed.1.stdout);

    // The whole way there and back left every byte of `.env`, and the odd table came along.
    assert!(workspace.env_bytes() == before);
    assert_eq!(read_env(&before, "LABELER_DB_NAME"), ODD);
    let there = said
        .iter()
        .find(|(command, _)| command == "migrate --yes --json")
        .unwrap();
    let document = there.1.json();
    assert_eq!(document["verified"], true);
    let shown = "\"Sch ema\".\"T\"\"a'ble 표\"";
    assert!(
        there.1.stdout.contains(&serde_json::to_string(shown).unwrap()),
        "{}",
        there.1.stdout
    );
    let verified = said
        .iter()
        .find(|(command, _)| command.starts_with("backup verify"))
        .unwrap();
    verified.1.ends(3).says("difference");
}
