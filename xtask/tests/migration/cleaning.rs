//! Old data go last: only when somebody says so, and only when all of them are in the backup.

use super::support::{DATABASES, Rehearsal, Workspace, ask, write};

const REMOVE: [&str; 3] = ["cleanup", "--yes", "--remove-volumes"];

#[track_caller]
fn all_stay(workspace: &Workspace) {
    for database in DATABASES {
        assert!(
            workspace.cluster(database).data.is_dir(),
            "the old data of {database} are gone"
        );
    }
}

#[test]
fn old_data_go_only_when_the_backup_holds_them_as_they_are_now() {
    let rehearsal = Rehearsal::local("old-data");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    workspace
        .xtask(&REMOVE)
        .ends(20)
        .says("no finished run replaced the old volumes");
    let labeler = workspace.source("labeler", &env);
    ask(&labeler, "labeler", "CREATE DATABASE labeler_archive");
    ask(
        &labeler,
        "labeler_archive",
        "CREATE TABLE old AS SELECT generate_series(1, 1000)",
    );
    // Nobody can be asked who is stopped: then the reader tells.
    let beside = "also holds database labeler_archive with 1 relation";
    workspace
        .xtask(&["migrate", "--dry-run"])
        .ends(0)
        .says("warning[source.labeler.beside]")
        .says(beside);
    workspace.stop("labeler");
    workspace
        .xtask(&["migrate", "--yes"])
        .ends(0)
        .says(beside)
        .never_says("source.labeler.beside");
    let backup = workspace.runs()[0].join("backup");

    // A backup that no longer holds one of them.
    let manifest = backup.join("manifest.json");
    let whole = std::fs::read_to_string(&manifest).unwrap();
    let mut document: serde_json::Value = serde_json::from_str(&whole).unwrap();
    document["databases"].as_object_mut().unwrap().remove("users");
    write(&manifest, document.to_string());
    for part in ["users", "users.json"] {
        std::fs::rename(backup.join(part), backup.with_file_name(format!("away-{part}"))).unwrap();
    }
    workspace
        .xtask(&REMOVE)
        .ends(3)
        .says("manifest.json does not name users")
        .says("nothing was removed");
    all_stay(workspace);
    for part in ["users", "users.json"] {
        std::fs::rename(backup.with_file_name(format!("away-{part}")), backup.join(part)).unwrap();
    }
    write(&manifest, whole);

    // A database that was never moved.
    workspace
        .xtask(&REMOVE)
        .ends(3)
        .says("database labeler_archive with 1 relation was not moved and is in no backup")
        .says("nothing was removed");
    all_stay(workspace);
    workspace.start("labeler");
    ask(&labeler, "labeler", "DROP DATABASE labeler_archive");
    workspace.stop("labeler");

    // Somebody starts an old instance, writes to it, and stops it again. Its backup does not know.
    workspace.start("platform");
    workspace
        .xtask(&REMOVE)
        .ends(20)
        .says("an old instance that runs may be in use");
    let source = workspace.source("platform", &env);
    ask(
        &source,
        "platform",
        "CREATE TABLE since (id int); INSERT INTO since VALUES (1)",
    );
    workspace.stop("platform");
    workspace
        .xtask(&REMOVE)
        .ends(3)
        .says("the old instance of platform holds what the backup")
        .says("public.since")
        .says("nothing was removed")
        .says("hint: ");
    all_stay(workspace);
    assert!(
        !workspace.runs_now("platform"),
        "the last look left a server behind"
    );

    workspace.start("platform");
    ask(&source, "platform", "DROP TABLE since");
    workspace.stop("platform");
    workspace
        .xtask(&REMOVE)
        .ends(0)
        .says("comparing the old data of platform with the backup")
        .says("removed data directory");
    for database in DATABASES {
        assert!(!workspace.cluster(database).data.exists(), "{database}");
    }
    workspace.xtask(&["rollback", "--yes"]).ends(20);
    // What is left on a server that does not answer is not known, which is not nothing.
    workspace.stop("target");
    workspace
        .xtask(&["cleanup", "--yes"])
        .ends(20)
        .says("what runs left on it is not known");
    workspace.start("target");
    workspace.xtask(&["cleanup", "--yes"]).ends(4);
    let count = "SELECT count(*) > 0 FROM annotations";
    assert_eq!(ask(&workspace.target(), "labeler", count), "t");
}
