//! The checks of configuration on the sample repositories: clean, with one fault each, with all of them.

mod live;
mod planted;
mod tree;
mod xml;

use super::{CHECKS, Outcome, Scope};
use planted::{FAULTS, plant};
use tree::Tree;

#[test]
fn every_check_of_configuration_passes_on_the_clean_tree() {
    let tree = Tree::clean();
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
fn no_check_of_configuration_is_without_a_fault() {
    let config = CHECKS.iter().filter(|check| check.group.scope() == Scope::Config);
    for check in config {
        // Without any checkout there is no file to name: tested by itself below.
        let own = check.id == "settings.repositories";
        assert!(
            own || FAULTS.iter().any(|fault| fault.check == check.id),
            "{} has no fault",
            check.id
        );
    }
}

#[test]
fn without_checkouts_nothing_is_taken_for_passed() {
    let tree = Tree::clean();
    tree.remove("mvp-vision-ai-labeler");
    tree.remove("mvp-vision-ai-platform");
    let verdicts = tree.verdicts();
    assert_eq!(verdicts.exit(), crate::model::Exit::WarningsOnly);
    assert_eq!(verdicts.0[0].outcome.word(), "warning");
    assert!(verdicts.0[1..].iter().all(|v| v.outcome.word() == "skipped"));
}

#[test]
fn ten_planted_faults_are_found_with_file_and_line_in_every_form() {
    let tree = Tree::clean();
    let planted = plant(&tree);
    assert!(planted.len() >= 10);
    let verdicts = tree.verdicts();
    let json = crate::report::VerifyDocument::new(&verdicts, Scope::Config, "development", verdicts.exit());
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
    assert_eq!(verdicts.exit(), crate::model::Exit::Ok);
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
fn two_redis_on_one_port_are_a_warning() {
    let tree = Tree::clean();
    tree.edit(
        tree::PLATFORM_COMPOSE,
        "PLATFORM_REDIS_PORT:-6380",
        "PLATFORM_REDIS_PORT:-6379",
    );
    assert_eq!(tree.verdicts().exit(), crate::model::Exit::WarningsOnly);
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
