//! After the cutover the application's own python-dotenv reads `.env` back.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::support::{Ran, Rehearsal, Workspace, folder, read_env, run, runner, with_env, write};

/// What is said of a file that was put back.
#[cfg(unix)]
const RESTORED: &str = "the file has its previous bytes again";

/// The labeler's virtual environment.
fn environment(workspace: &Workspace) -> PathBuf {
    let path = workspace.text("labeler.virtual-environments.0");
    workspace.labeler.join(path)
}

#[test]
fn the_applications_own_reader_decides_whether_env_is_written() {
    let mut rehearsal = Rehearsal::local("read-back");
    let workspace = &mut rehearsal.workspace;
    let python = infra::python::in_environment(&environment(workspace));

    // What it really reads: of two spellings the last one counts, and no value is printed.
    let file = folder("read-back-file").join(".env");
    write(&file, "A='x y'\nPORT=5432\nport=5435\n");
    let wanted = [("A", "x y"), ("PORT", "5432"), ("MISSING", "")];
    let wanted = wanted.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let misread = infra::python::misread_keys(&runner(), &python, &file, &BTreeMap::from(wanted)).unwrap();
    assert_eq!(misread.unwrap(), ["MISSING", "PORT"]);

    #[cfg(unix)]
    disagrees(workspace, &python);
}

/// A migration whose application reads another port than the one that was written.
#[cfg(unix)]
fn disagrees(workspace: &mut Workspace, python: &std::path::Path) {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let real = environment(workspace);
    let own = workspace.labeler.join("own-environment");
    std::fs::create_dir_all(own.join("bin")).unwrap();
    symlink(real.join("lib"), own.join("lib")).unwrap();
    let stand_in = own.join("bin/python");
    let python = python.display();
    let answers = |statement: &str| {
        write(
            &stand_in,
            format!(
                "#!{python}\nimport os, sys\nif any('dotenv_values' in word for word in sys.argv):\n    {statement}\n\
                 else:\n    os.execv('{python}', ['{python}'] + sys.argv[1:])\n"
            ),
        );
        std::fs::set_permissions(&stand_in, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let mut list = toml_edit::Array::new();
    list.push(own.display().to_string());
    workspace.set("labeler.virtual-environments", list);
    let before = workspace.env_bytes();

    answers("sys.exit('the reader is broken')");
    let broken = workspace.xtask(&["migrate", "--yes"]);
    broken.ends(21).says("the reader is broken").says(RESTORED);
    assert!(workspace.env_bytes() == before);

    answers("print('[\"LABELER_DB_PORT\"]')");
    workspace
        .xtask(&["migrate", "--resume"])
        .ends(21)
        .says("the application would not read the new values of LABELER_DB_PORT")
        .says(RESTORED);
    assert!(workspace.env_bytes() == before);
    workspace.xtask(&["rollback", "--yes"]).ends(22);
}

#[test]
fn c1_what_still_names_an_old_place_is_told_before_the_plan_and_after_the_cutover() {
    let rehearsal = Rehearsal::local("old-names");
    let workspace = &rehearsal.workspace;
    let port = read_env(&workspace.env_bytes(), "LABELER_DB_PORT");
    let beside = workspace.env_file().with_file_name(".env.local");
    let url = format!("LABELER_DATABASE_URL=postgresql://u:s3cret@localhost:{port}/labeler\n");
    write(&beside, url);
    let exported = [("LABELER_DB_PORT".to_owned(), port)];
    let migrate = |args: &[&str]| run(with_env(workspace.cmd(args), &exported));
    let told = |ran: &Ran| {
        ran.says("LABELER_DATABASE_URL names the old place of labeler")
            .says(".env.local:1")
            .says("the exported variable LABELER_DB_PORT names the old place of labeler")
            .never_says("s3cret");
    };
    let dry = migrate(&["migrate", "--dry-run"]);
    told(dry.ends(0));
    let done = migrate(&["migrate", "--yes"]);
    told(done.ends(0));
    let (_, after) = done.stderr.split_once("done and checked").unwrap();
    assert!(after.contains("LABELER_DATABASE_URL"), "{after}");
}
