//! The checks of configuration on the sample repositories: clean, with one fault each, with all of them.

mod compose_files;
mod live;
mod pipelines;
mod planted;
mod tree;
mod xml;

use std::collections::BTreeSet;

use super::{CHECKS, Group, Outcome, Scope};
use planted::{FAULTS, plant};
use tree::{ENV, Tree};

#[test]
fn every_check_of_configuration_passes_on_the_clean_tree() {
    let tree = Tree::clean();
    tree.ask_alembic();
    for verdict in &tree.verdicts().0 {
        assert_eq!(verdict.outcome, Outcome::Passed, "{}", verdict.check.id);
    }
}

#[test]
fn every_check_of_configuration_fails_for_its_own_fault() {
    for fault in FAULTS {
        let tree = Tree::clean();
        (fault.plant)(&tree);
        let verdicts = tree.verdicts();
        let verdict = verdicts.0.iter().find(|v| v.check.id == fault.check).unwrap();
        let findings = verdict.outcome.findings();
        assert_eq!(findings.len(), 1, "{}: {findings:?}", fault.check);
        assert!(
            findings[0].found.contains(fault.found),
            "{}: {}",
            fault.check,
            findings[0]
        );
        let place = findings[0].place.as_ref().unwrap();
        assert!(
            place.file.ends_with(fault.file),
            "{}: {}",
            fault.check,
            findings[0]
        );
        assert_eq!(
            place.line,
            tree.line(fault.file, fault.line),
            "{}: {}",
            fault.check,
            findings[0]
        );
    }
}

#[test]
fn every_check_has_a_test_in_which_it_passes_and_one_in_which_it_fails() {
    let clean = Tree::clean().verdicts();
    let clean = clean
        .0
        .iter()
        .filter(|verdict| verdict.outcome == Outcome::Passed);
    let mut passing: BTreeSet<&str> = clean.map(|verdict| verdict.check.id).collect();
    passing.extend(live::passing());
    let mut failing: BTreeSet<&str> = FAULTS.iter().map(|fault| fault.check).collect();
    failing.extend(live::failing());
    // Without any checkout there is no file to name: `without_checkouts_nothing_is_taken_for_passed`.
    failing.insert("settings.repositories");
    let all: BTreeSet<&str> = CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(passing, all, "checks that pass nowhere are missing on the left");
    assert_eq!(failing, all, "checks without a fault are missing on the left");
}

#[test]
fn without_checkouts_nothing_is_taken_for_passed() {
    let tree = Tree::clean();
    tree.remove("mvp-vision-ai-labeler");
    tree.remove("mvp-vision-ai-platform");
    let verdicts = tree.verdicts();
    assert_eq!(verdicts.0[0].outcome.word(), "warning");
    assert!(verdicts.0[1..].iter().all(|v| v.outcome.word() == "skipped"));
    // Only warnings would let a pipeline go on.
    assert_eq!(verdicts.exit(false), crate::model::Exit::Preconditions);
    let only = super::Verdicts(
        verdicts
            .0
            .iter()
            .filter(|v| v.check.group == Group::Alembic)
            .cloned()
            .collect(),
    );
    assert_eq!(only.exit(false), crate::model::Exit::Preconditions);
    let why = only.undecided().unwrap();
    assert_eq!(
        why,
        "nothing could be checked: the labeler's checkout is not here"
    );
}

#[test]
fn a_login_of_its_own_is_the_role_that_env_must_name() {
    let tree = Tree::clean();
    tree.write(
        "workspace/.xtask/local.toml",
        "schema-version = 1\n[databases.users]\nlogin = \"users_readonly\"\n",
    );
    let roles = |tree: &Tree| {
        let verdicts = tree.verdicts();
        let found = verdicts.findings().filter(|finding| finding.id == "env.roles");
        found.map(|finding| finding.found.clone()).collect::<Vec<_>>()
    };
    let files = roles(&tree).len();
    assert!(files > 0, "the clean tree names the target's role for users");
    for file in [tree::ENV, planted::EXAMPLE] {
        tree.edit(file, "USER_DB_USER=admin", "USER_DB_USER=users_readonly");
    }
    assert_eq!(roles(&tree), Vec::<String>::new());
}

#[test]
fn ten_planted_faults_are_found_with_file_and_line_in_every_form() {
    let tree = Tree::clean();
    let planted = plant(&tree);
    assert!(planted.len() >= 10);
    let verdicts = tree.verdicts();
    let json =
        crate::report::VerifyDocument::new(&verdicts, Scope::Config, "development", verdicts.exit(false));
    let json: serde_json::Value = serde_json::from_str(&serde_json::to_string(&json).unwrap()).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["exit"], 3);
    let junit = xml::parse(&crate::report::junit(&verdicts));
    let github = crate::report::annotations(&verdicts, Some(tree.root()));
    assert_eq!(github.lines().count(), planted.len(), "{github}");
    let cases: Vec<_> = junit.all("testcase");
    assert_eq!(cases.len(), verdicts.0.len());
    for fault in &planted {
        let line = tree.line(fault.file, fault.line);
        let checks = json["checks"].as_array().unwrap();
        let found = &checks.iter().find(|check| check["id"] == fault.check).unwrap()["findings"];
        assert_eq!(found.as_array().unwrap().len(), 1, "{}: {found}", fault.check);
        assert!(
            found[0]["place"]["file"].as_str().unwrap().ends_with(fault.file),
            "{found}"
        );
        assert_eq!(found[0]["place"]["line"], line, "{found}");
        let case = cases
            .iter()
            .find(|case| case.attribute("name") == fault.check)
            .unwrap();
        assert!(case.attribute("file").ends_with(fault.file));
        assert_eq!(case.attribute("line"), line.to_string());
        let failure = case.all("failure");
        assert!(
            failure[0].attribute("message").contains(fault.found),
            "{}",
            fault.check
        );
        let annotation = format!("::error title={},file={},line={line}::", fault.check, fault.file);
        assert!(github.contains(&annotation), "{annotation}\n{github}");
    }
}

#[test]
fn the_clean_tree_makes_no_annotation_and_no_failure() {
    let verdicts = Tree::clean().verdicts();
    assert_eq!(crate::report::annotations(&verdicts, None), "");
    assert!(
        xml::parse(&crate::report::junit(&verdicts))
            .all("failure")
            .is_empty()
    );
    assert_eq!(verdicts.exit(false), crate::model::Exit::Ok);
}

/// The shell reads a hint as it stands, and a folder's blanks are part of its name.
#[cfg(unix)]
#[test]
fn every_hint_can_be_pasted() {
    let runner = infra::Runner::new(infra::Interrupt::default());
    for (fault, moved) in FAULTS.iter().flat_map(|fault| [(fault, true), (fault, false)]) {
        let mut tree = Tree::clean();
        tree.moved = moved;
        (fault.plant)(&tree);
        let root = tree.root().display().to_string();
        for hint in tree.verdicts().findings().flat_map(|finding| &finding.hints) {
            let check = infra::Cmd::new("bash", "read a hint").args(["-n", "-c", hint]);
            assert!(runner.run(&check).is_ok(), "{}: {hint}", fault.check);
            let quoted = hint.matches(&format!("'{root}")).count();
            assert_eq!(hint.matches(&root).count(), quoted, "{}: {hint}", fault.check);
        }
    }
}

#[test]
fn a_url_as_a_host_is_named_and_its_password_shows_in_no_form() {
    let tree = Tree::clean();
    let url = "postgresql://adm:Sup3r&Secret%25Pw@db";
    tree.edit(
        ENV,
        "PLATFORM_DB_HOST=localhost",
        &format!("PLATFORM_DB_HOST='{url}'"),
    );
    let (verdicts, redactor) = tree.looked();
    let finding = verdicts.findings().find(|f| f.id == "env.target").unwrap();
    assert!(
        finding.found.starts_with("PLATFORM_DB_HOST is a URL"),
        "{finding}"
    );
    assert!(!format!("{:?}", verdicts.0.iter().map(|v| &v.outcome).collect::<Vec<_>>()).contains("Sup3r"));
    // Whoever repeats it, in whatever form: it is known.
    let said = format!("cannot resolve {url}");
    assert_eq!(redactor.redact(&said), "cannot resolve ***");
    assert_eq!(redactor.redact("Sup3r&Secret%25Pw"), "***");
}

#[test]
fn the_masks_of_a_runner_hold_what_is_secret_of_a_file() {
    let tree = Tree::clean();
    tree.edit(
        ENV,
        "PLATFORM_DB_HOST",
        "STRIPE_TOKEN=of-nobody-else\r\nPLATFORM_DB_HOST",
    );
    let masks = crate::report::masks(&tree.looked().1.known());
    for secret in [tree::PASSWORD, tree::SECRET, "of-nobody-else"] {
        assert!(masks.contains(&format!("::add-mask::{secret}\n")), "{masks}");
    }
}

#[test]
fn no_secret_of_a_file_reaches_a_finding() {
    let tree = Tree::clean();
    plant(&tree);
    let verdicts = tree.verdicts();
    let all: String = verdicts.findings().map(ToString::to_string).collect();
    for secret in [tree::PASSWORD, tree::SECRET] {
        assert!(!all.contains(secret), "{all}");
    }
}

#[test]
fn before_the_data_moved_a_wrong_env_is_answered_with_the_migration() {
    let hints = |moved: bool| {
        let mut tree = Tree::clean();
        tree.moved = moved;
        tree.edit(tree::ENV, "USER_DB_PORT=5432", "USER_DB_PORT=5433");
        let verdicts = tree.verdicts();
        let finding = verdicts.findings().find(|f| f.id == "env.target").unwrap();
        finding.hints.clone()
    };
    assert!(hints(true)[0].starts_with("cargo xtask env set "));
    let before = hints(false);
    assert!(before[0].starts_with("cargo xtask migrate"), "{before:?}");
    assert!(
        before[1].contains("only when the target holds the data"),
        "{before:?}"
    );
}

#[test]
fn nobody_is_advised_to_set_the_port_of_an_old_instance() {
    let hints = |edits: &[(&str, &str)]| {
        let mut tree = Tree::clean();
        tree.moved = false;
        for (key, port) in edits {
            tree.edit(tree::ENV, &format!("{key}=5432"), &format!("{key}={port}"));
        }
        let verdicts = tree.verdicts();
        let places = verdicts.findings().filter(|f| f.id == "env.target");
        let hints: Vec<String> = places.flat_map(|finding| finding.hints.clone()).collect();
        hints
    };
    let (platform, users, labeler) = ("PLATFORM_DB_PORT", "USER_DB_PORT", "LABELER_DB_PORT");
    for edits in [
        // Three old instances; two of them on one; all but one on it.
        vec![(platform, "5440"), (users, "5441"), (labeler, "5442")],
        vec![(platform, "5440"), (users, "5440"), (labeler, "5442")],
        vec![(platform, "5440"), (users, "5440")],
    ] {
        let hints = hints(&edits);
        let set: Vec<&String> = hints.iter().filter(|hint| hint.contains(" env set ")).collect();
        assert!(!set.is_empty(), "{edits:?}: {hints:?}");
        for hint in set {
            assert!(hint.contains("_PORT=5432 "), "{edits:?}: {hint}");
            assert!(!hint.contains("=544"), "{edits:?}: {hint}");
            assert!(hint.contains("only when the target holds the data"), "{hint}");
        }
        assert!(
            hints.iter().any(|hint| hint.starts_with("cargo xtask migrate")),
            "{hints:?}"
        );
    }
}

#[test]
fn one_host_and_one_port_have_many_spellings() {
    let tree = Tree::clean();
    tree.edit(tree::ENV, "USER_DB_HOST=localhost", "USER_DB_HOST=LOCALHOST");
    tree.edit(tree::ENV, "USER_DB_PORT=5432", "USER_DB_PORT=05432");
    assert_eq!(tree.found("env.target"), Vec::<String>::new());
}

#[test]
fn a_secret_in_the_template_of_the_settings_is_found_and_published_passwords_are_none() {
    let tree = Tree::clean();
    let other = "mvp-vision-ai-labeler/frontend/.env.example";
    tree.write(other, "DB_PASS=hunter2\n");
    tree.track("frontend/.env.example");
    let check = "env.example-secrets";
    assert_eq!(tree.found(check), Vec::<String>::new(), "no setting names it");
    tree.edit(
        tree::PLATFORM_COMPOSE,
        "services:\n",
        "# PASSWORD: published-pw\nservices:\n",
    );
    tree.edit(
        planted::EXAMPLE,
        "S3_ACCESS_KEY=change_me",
        "DATABASE_URL=postgresql://u:hunter2@db/x\nDB_PASS=hunter2\nJWT_KEY=0f3a\nSENTRY_DSN=https://abc@o1.example/4\n\
         ADMIN_PASSWORD=20240117\nSAFE_URL=postgresql://u:change_me@db/x\nDEV_URL=postgresql://u:devpass@db/x\nMAX=1\n\
         PLAIN_PASSWORD=postgres\nOTHER_PASSWORD=changethis\nPUBLISHED_PASSWORD=published-pw\nTOKEN_TYPE=bearer",
    );
    let found = tree.found(check);
    let keys: Vec<&str> = found.iter().map(|one| one.split(' ').next().unwrap()).collect();
    assert_eq!(
        keys,
        [
            "DATABASE_URL",
            "DB_PASS",
            "JWT_KEY",
            "SENTRY_DSN",
            "ADMIN_PASSWORD"
        ]
    );
}

#[test]
fn an_accepted_finding_is_a_note_with_its_reason_and_fails_nothing() {
    let tree = Tree::clean();
    tree.edit(ENV, "USER_DB_NAME=users", "USER_DB_NAME=people");
    assert_eq!(tree.verdicts().exit(false), crate::model::Exit::Findings);
    let settings = "workspace/infra/migration.toml";
    let accept =
        |id: &str| format!("accept = [{{ id = \"{id}\", file = \"backend/.env\", reason = \"as agreed\" }}]");
    tree.edit(settings, "accept = []", &accept("env.names"));
    let verdicts = tree.verdicts();
    assert_eq!(verdicts.exit(true), crate::model::Exit::Ok);
    let note = verdicts.findings().next().unwrap();
    assert!(note.to_string().contains("as agreed"), "{note}");

    tree.edit(settings, &accept("env.names"), &accept("env.name"));
    assert_eq!(
        tree.found("settings.accept"),
        ["verify.accept names the check env.name, which there is not"]
    );
}

/// Opening it would wait for a writer for ever.
#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_env_is_a_fault() {
    let tree = Tree::clean();
    tree.remove(ENV);
    let make = infra::Cmd::new("mkfifo", "make a pipe").arg(tree.path(ENV));
    infra::Runner::new(infra::Interrupt::default())
        .run(&make)
        .unwrap();
    let found = tree.found("env.readable");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("cannot read the file"), "{found:?}");
}

#[test]
fn c7_warnings_fail_nothing_unless_that_is_asked_for() {
    let tree = Tree::clean();
    tree.edit(ENV, "LABELER_DB_USER=admin", "LABELER_DB_USER=labeler_user");
    assert_eq!(tree.verdicts().exit(false), crate::model::Exit::Ok);
    assert_eq!(tree.verdicts().exit(true), crate::model::Exit::WarningsOnly);
}

#[test]
fn c6_an_env_that_names_the_old_places_is_one_finding() {
    let mut tree = Tree::clean();
    tree.moved = false;
    for (key, port) in [
        ("PLATFORM_DB", "5440"),
        ("USER_DB", "5433"),
        ("LABELER_DB", "5435"),
    ] {
        tree.edit(ENV, &format!("{key}_PORT=5432"), &format!("{key}_PORT={port}"));
        tree.edit(ENV, &format!("{key}_USER=admin"), &format!("{key}_USER=old"));
    }
    let verdicts = tree.verdicts();
    let found: Vec<&str> = verdicts
        .findings()
        .map(|finding| finding.found.as_str())
        .collect();
    assert_eq!(
        found,
        ["LABELER_DB_PORT is 5435, PLATFORM_DB_PORT is 5440, USER_DB_PORT is 5433"]
    );
}

#[test]
fn alembic_s_own_places_and_every_fault_are_looked_at() {
    let tree = Tree::clean();
    let ini = "mvp-vision-ai-labeler/backend/alembic.ini";
    tree.edit(ini, "path_separator = os", "path_separator = space");
    tree.edit(
        ini,
        "[alembic]\n",
        "[alembic]\nversion_locations = alembic/versions more\n",
    );
    tree.write(
        "mvp-vision-ai-labeler/backend/more/f1.py",
        "\"\"\"Another.\n\nrevision: my = nope\n\"\"\"\nrevision = \\\n    'f1'\ndown_revision = None\n",
    );
    assert_eq!(tree.found("alembic.history"), Vec::<String>::new());
    assert_eq!(
        tree.found("alembic.one-head"),
        ["the history has the heads e5b1946c3f25, f1"]
    );
    tree.edit(
        "mvp-vision-ai-labeler/backend/more/f1.py",
        "= None",
        "= 'gone'\ndepends_on = 'lost'",
    );
    assert_eq!(
        tree.found("alembic.history"),
        [
            "f1.py follows revision gone, which no file defines",
            "f1.py depends on lost, which no file defines",
        ]
    );
    tree.edit(
        "mvp-vision-ai-labeler/backend/more/f1.py",
        "= 'gone'\ndepends_on = 'lost'",
        "= 'f1'",
    );
    assert_eq!(
        tree.found("alembic.history"),
        ["Self-loop is detected in revisions (f1)"]
    );
}

#[test]
fn the_page_of_checks_is_fresh() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/checks.md");
    let text = std::fs::read_to_string(file).unwrap().replace("\r\n", "\n");
    assert!(
        text == super::page(),
        "run: cargo xtask verify --list --markdown > docs/checks.md"
    );
}
