//! Real Alembic on checkouts of every shape. What would run raises.

use std::path::Path;

use infra::alembic::{History, VersionTable, history};
use infra::python::in_environment;
use infra::{Cmd, Runner};
use tempfile::TempDir;

const INI: (&str, &str) = ("alembic.ini", "[alembic]\nscript_location = %(here)s/alembic\n");

/// What Alembic says of a folder with these files.
fn said(files: &[(&str, &str)]) -> History {
    asked(files, &[])
}

fn asked(files: &[(&str, &str)], standing: &[&str]) -> History {
    let runner = Runner::default();
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let environment = crate::cli::rehearse::sample_environment(project, &runner).unwrap();
    let backend = backend(files);
    let standing: Vec<String> = standing.iter().map(|one| (*one).to_owned()).collect();
    let answer = history(&runner, &in_environment(&environment), backend.path(), &standing);
    answer.unwrap().unwrap()
}

fn backend(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::Builder::new().prefix("a backend ").tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("alembic/versions")).unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        infra::files::write_shared(&path, text.as_bytes()).unwrap();
    }
    dir
}

/// The same for revision files in the usual place.
fn revisions(files: &[(&str, &str)]) -> History {
    let names: Vec<String> = files
        .iter()
        .map(|(name, _)| format!("alembic/versions/{name}"))
        .collect();
    let placed = names
        .iter()
        .zip(files)
        .map(|(name, (_, text))| (name.as_str(), *text));
    said(&[INI].into_iter().chain(placed).collect::<Vec<_>>())
}

/// Everything that is wrong: file, line, words.
fn faults(history: &History) -> Vec<String> {
    let faults = history.faults.iter();
    faults
        .map(|fault| {
            let file = fault.file.file_name().unwrap().to_string_lossy();
            format!("{file}:{}: {}", fault.line, fault.what)
        })
        .collect()
}

#[test]
fn revisions_are_read_and_not_run() {
    let history = revisions(&[
        ("a.py", "raise SystemExit\nrevision = 'a'\ndown_revision = None\n"),
        (
            "b.py",
            "from app import models\r\nrevision: str = \"b\"\r\ndown_revision: str = \"a\"\r\n",
        ),
        ("__init__.py", "raise SystemExit\n"),
    ]);
    assert_eq!(faults(&history), [] as [&str; 0]);
    assert_eq!(history.heads, ["b"]);
    assert_eq!(history.revisions["b"].line, 3);
}

#[test]
fn two_branches_are_two_heads_and_a_merge_is_one() {
    let long = "a_revision_id_that_is_longer_than_thirty_two_characters";
    let merged = format!("revision = '{long}'\ndown_revision = (\n    'b',  # one\n    'c',\n)\n");
    let branches = [
        ("a.py", "revision = 'a'\ndown_revision = None\n"),
        ("b.py", "revision = 'b'\ndown_revision = 'a'\n"),
        ("c.py", "BEFORE = 'a'\nrevision = 'c'\ndown_revision = BEFORE\n"),
    ];
    assert_eq!(revisions(&branches).heads, ["b", "c"]);
    let all: Vec<_> = branches.into_iter().chain([("d.py", merged.as_str())]).collect();
    assert_eq!(revisions(&all).heads, [long]);
}

#[test]
fn a_missing_or_computed_revision_is_an_error_not_a_guess() {
    let history = revisions(&[
        (
            "a.py",
            "revision = 'a'\ndown_revision = None\ndepends_on = 'gone'\n",
        ),
        ("b.py", "revision = 'b'\ndown_revision = ('a', 'lost')\n"),
        ("c.py", "revision = 'a'\ndown_revision = None\n"),
    ]);
    assert_eq!(
        faults(&history),
        [
            "c.py:1: c.py repeats revision a",
            "b.py:2: b.py follows revision lost, which no file defines",
        ],
        "a repeated revision takes the place of the first"
    );
    let history = revisions(&[
        ("a.py", "revision = 'a'\ndown_revision = make()\n"),
        ("b.py", "revision = 'b'\n"),
        ("c.py", "revision = 'c'\ndown_revision = 'missed'\n"),
        ("d.py", "revision = (\n"),
    ]);
    assert_eq!(
        faults(&history),
        [
            "a.py:2: a.py has no plain `down_revision`",
            "b.py:1: b.py has no plain `down_revision`",
            "d.py:1: d.py cannot be read: '(' was never closed (<unknown>, line 1)",
        ],
        "a file that cannot be read may be the one that is missed"
    );
}

#[test]
fn dependencies_are_revisions_or_labels_that_are_there() {
    let labelled = "revision = 'a'\ndown_revision = None\nbranch_labels = ('base',)\n";
    let history = revisions(&[
        ("a.py", labelled),
        (
            "b.py",
            "revision = 'b'\ndown_revision = None\ndepends_on = 'base'\n",
        ),
    ]);
    assert_eq!(faults(&history), [] as [&str; 0]);
    let history = revisions(&[(
        "b.py",
        "revision = 'b'\ndown_revision = None\ndepends_on = 'base'\n",
    )]);
    assert_eq!(
        faults(&history),
        ["b.py:3: b.py depends on base, which no file defines"]
    );
}

#[test]
fn cycles_are_told_in_alembics_words_where_they_begin() {
    let history = revisions(&[
        ("a.py", "revision = 'a'\ndown_revision = None\n"),
        ("b.py", "revision = 'b'\ndown_revision = 'c'\n"),
        ("c.py", "revision = 'c'\ndown_revision = 'b'\n"),
    ]);
    assert_eq!(
        faults(&history),
        ["b.py:2: Cycle is detected in revisions (b, c)"]
    );
    let history = revisions(&[("b.py", "revision = 'b'\ndown_revision = 'b'\n")]);
    assert_eq!(
        faults(&history),
        ["b.py:2: Self-loop is detected in revisions (b)"]
    );
}

#[test]
fn files_are_looked_for_where_alembic_looks() {
    let one = (
        "alembic/versions/one.py",
        "revision = 'one'\ndown_revision = None\n",
    );
    let two = ("more/old/two.py", "revision = 'two'\ndown_revision = None\n");
    let three = (
        "app/migrations/versions/three.py",
        "revision = 'three'\ndown_revision = None\n",
    );
    let app = (
        "app/__init__.py",
        "raise SystemExit('the application was imported')\n",
    );
    let script = "script_location = %(here)s/alembic\n";
    let located = format!(
        "[alembic]\n{script}path_separator = newline\nversion_locations =\n  alembic/versions\n  more/old\n  gone\n"
    );
    let recursive =
        format!("[alembic]\n{script}recursive_version_locations = true\nversion_locations = more\n");
    for (name, text, heads) in [
        ("alembic.ini", INI.1, &["one"][..]),
        ("alembic.ini", &located, &["one", "two"]),
        ("alembic.ini", &recursive, &["two"]),
        (
            "alembic.ini",
            "[alembic]\nscript_location = app:migrations\nprepend_sys_path = .\n",
            &["three"],
        ),
        (
            "pyproject.toml",
            "[tool.alembic]\nscript_location = \"%(here)s/alembic\"\n",
            &["one"],
        ),
        (
            "pyproject.toml",
            "[tool.alembic]\nscript_location = \"alembic\"\nversion_locations = [\"more/old\", \"%(here)s/alembic/versions\"]\n",
            &["one", "two"],
        ),
    ] {
        let history = said(&[(name, text), one, two, three, app]);
        assert_eq!(history.heads, heads, "{text}");
        assert_eq!(faults(&history), [] as [&str; 0], "{text}");
    }
}

#[test]
fn a_configuration_that_alembic_cannot_use_is_told_in_its_words() {
    assert_eq!(
        faults(&said(&[("alembic.ini", "[alembic]\n")])),
        ["alembic.ini:0: No 'script_location' key found in configuration."]
    );
    let nowhere = faults(&said(&[(
        "alembic.ini",
        "[alembic]\nscript_location = nowhere\n",
    )]));
    assert!(
        nowhere[0].starts_with("alembic.ini:0: Path doesn't exist: "),
        "{nowhere:?}"
    );
}

#[test]
fn a_line_of_the_configuration_is_never_quoted() {
    for (line, wanted) in [
        ("PASSWORD hunter2", "alembic.ini:3: this line is no `key = value`"),
        (
            "version_locations = hunter2 %(nothing)s",
            "alembic.ini:0: `version_locations` has a reference that cannot be filled in",
        ),
    ] {
        let text = format!("[alembic]\nscript_location = %(here)s/alembic\n{line}\n");
        assert_eq!(faults(&said(&[("alembic.ini", &text)])), [wanted]);
    }
}

#[test]
fn the_version_table_is_that_of_env_py_where_it_can_be_read() {
    let table = |name: &str, schema: Option<&str>| {
        Some(VersionTable {
            name: name.to_owned(),
            schema: schema.map(str::to_owned),
        })
    };
    for (env, wanted) in [
        ("context.configure(connection=c)", table("alembic_version", None)),
        (
            "context.configure(connection=c, version_table='labeler_migrations')",
            table("labeler_migrations", None),
        ),
        (
            "NAME, S = 1, 2\nSCHEMA = 'service'\ncontext.configure(c, version_table_schema=SCHEMA)",
            table("alembic_version", Some("service")),
        ),
        // Without a connection SQL is only rendered.
        (
            "context.configure(url=u)\ncontext.configure(connection=c, version_table='t')",
            table("t", None),
        ),
        (
            "structlog.configure(version_table='t')\ncontext.configure(connection=c)",
            table("alembic_version", None),
        ),
        (
            "context.configure(connection=c, version_table=settings.table)",
            None,
        ),
        ("context.configure(connection=c, **options)", None),
        (
            "SCHEMA = 'a'\nif x:\n    SCHEMA = 'b'\ncontext.configure(connection=c, version_table_schema=SCHEMA)",
            None,
        ),
        (
            "context.configure(connection=a)\ncontext.configure(connection=b, version_table='t')",
            None,
        ),
        ("from app.migrations import run\nrun()", None),
        ("context.configure(", None),
    ] {
        let text = format!("from alembic import context\n{env}\n");
        let history = said(&[INI, ("alembic/env.py", &text)]);
        assert_eq!(history.version_table, wanted, "{env}");
    }
}

#[test]
fn alembic_says_whether_it_can_go_on_from_rows_of_a_version_table() {
    let files = [
        INI,
        ("alembic/versions/a.py", "revision = 'a'\ndown_revision = None\n"),
        ("alembic/versions/b.py", "revision = 'b'\ndown_revision = 'a'\n"),
        ("alembic/versions/c.py", "revision = 'c'\ndown_revision = 'a'\n"),
        (
            "alembic/versions/d.py",
            "revision = 'd'\ndown_revision = ('b', 'c')\n",
        ),
    ];
    assert_eq!(
        asked(&files, &["b", "c"]).stuck,
        None,
        "the merge is ahead of both"
    );
    let stuck = asked(&files, &["a", "b"]).stuck.unwrap();
    assert!(stuck.contains("overlaps"), "{stuck}");
}

#[test]
fn a_python_without_alembic_says_so() {
    let runner = Runner::default();
    let dir = tempfile::tempdir().unwrap();
    let python = infra::python::find(&runner).unwrap();
    let make = Cmd::new(python, "make an empty environment").args(["-m", "venv", "--without-pip"]);
    runner.run(&make.arg(dir.path())).unwrap();
    let answer = history(&runner, &in_environment(dir.path()), backend(&[INI]).path(), &[]);
    assert_eq!(answer.unwrap(), None);
}
