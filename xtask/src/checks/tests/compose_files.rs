//! Compose files that refer to each other, or lie beside each other.

use super::planted;
use super::tree::{self, Tree};

const LABELER: &str = "mvp-vision-ai-labeler";
const PLATFORM: &str = "mvp-vision-ai-platform/platform/infrastructure";

#[test]
fn what_a_compose_file_takes_from_another_is_checked_as_well() {
    let tree = Tree::clean();
    tree.write(
        &format!("{PLATFORM}/more.yml"),
        "services:\n  spare:\n    image: postgres:16\n    ports: [\"5499:5432\"]\n",
    );
    tree.edit(
        tree::PLATFORM_COMPOSE,
        "services:\n",
        "include: [more.yml]\nservices:\n",
    );
    let verdicts = tree.verdicts();
    let finding = verdicts
        .findings()
        .find(|f| f.id == "compose.one-instance")
        .unwrap();
    let place = finding.place.as_ref().unwrap();
    // Both publish one; the settings name the other.
    assert!(
        finding.found.contains("publishes a second PostgreSQL"),
        "{finding}"
    );
    assert!(place.file.ends_with("docker-compose.yml") || place.file.ends_with("more.yml"));

    let tree = Tree::clean();
    tree.edit(
        planted::LABELER_COMPOSE,
        "services:\n",
        "services:\n  old:\n    extends:\n      file: gone.yml\n      service: postgres\n\n",
    );
    let verdicts = tree.verdicts();
    let finding = verdicts.findings().find(|f| f.id == "compose.readable").unwrap();
    assert!(finding.found.contains("gone.yml"), "{finding}");
    assert_eq!(
        finding.place.as_ref().unwrap().line,
        tree.line(planted::LABELER_COMPOSE, "file: gone.yml")
    );
}

#[test]
fn two_redis_on_one_port_are_a_warning() {
    let tree = Tree::clean();
    tree.edit(
        tree::PLATFORM_COMPOSE,
        "PLATFORM_REDIS_PORT:-6380",
        "PLATFORM_REDIS_PORT:-6379",
    );
    assert_eq!(tree.verdicts().exit(true), crate::model::Exit::WarningsOnly);
}

#[test]
fn an_override_file_counts_in_both_repositories() {
    let tree = Tree::clean();
    tree.write(
        &format!("{LABELER}/docker-compose.override.yml"),
        "services:\n  old:\n    image: postgres:16\n",
    );
    tree.write(
        &format!("{PLATFORM}/compose.override.yaml"),
        "services:\n  postgres:\n    image: postgres\n    ports: [\"6379:5432\"]\n",
    );
    let verdicts = tree.verdicts();
    let place = |check: &str| {
        let finding = verdicts.findings().find(|finding| finding.id == check).unwrap();
        let place = finding.place.as_ref().unwrap();
        let name = place.file.rsplit(['/', '\\']).next().unwrap().to_owned();
        (name, place.line)
    };
    assert_eq!(
        place("compose.no-old-instances"),
        ("docker-compose.override.yml".to_owned(), 2)
    );
    assert_eq!(
        place("compose.pinned-image"),
        ("compose.override.yaml".to_owned(), 3)
    );
    assert_eq!(place("compose.ports"), ("compose.override.yaml".to_owned(), 4));
}

#[test]
fn a_server_in_another_compose_file_of_the_folder_is_told() {
    let tree = Tree::clean();
    tree.write(
        &format!("{LABELER}/compose.yaml"),
        "services:\n  old:\n    image: postgres:16\n",
    );
    tree.write(
        &format!("{PLATFORM}/compose.yml"),
        "services:\n  one:\n    image: postgres:17\n",
    );
    assert_eq!(tree.verdicts().exit(true), crate::model::Exit::WarningsOnly);
    assert_eq!(
        tree.found("compose.no-old-instances"),
        ["compose.yaml has PostgreSQL service old as well"]
    );
    assert_eq!(
        tree.found("compose.one-instance"),
        ["compose.yml has PostgreSQL service one as well"]
    );
    tree.write(
        &format!("{LABELER}/compose.yaml"),
        "services:\n  cache:\n    image: redis:7\n",
    );
    assert_eq!(tree.found("compose.no-old-instances"), Vec::<String>::new());
}

#[test]
fn services_of_different_profiles_are_alternatives_within_one_file() {
    let tree = Tree::clean();
    let service = |name: &str, profile: &str| {
        format!("  {name}:\n    image: api:1\n    profiles: [{profile}]\n    ports: [\"8080:80\"]\n")
    };
    let text = format!("services:\n{}{}", service("a", "one"), service("b", "two"));
    tree.edit(planted::LABELER_COMPOSE, "services:\n", &text);
    assert_eq!(tree.found("compose.ports"), Vec::<String>::new());
    tree.edit(
        planted::LABELER_COMPOSE,
        "profiles: [two]",
        "profiles: [two, one]",
    );
    assert_eq!(tree.found("compose.ports").len(), 1);
    // Another repository is started by itself.
    tree.edit(
        planted::LABELER_COMPOSE,
        "profiles: [two, one]",
        "profiles: [two]",
    );
    tree.edit(
        tree::PLATFORM_COMPOSE,
        "services:\n",
        &format!("services:\n{}", service("c", "three")),
    );
    assert_eq!(tree.found("compose.ports").len(), 1);
}

#[test]
fn what_an_env_file_sets_is_known_and_what_is_missing_is_not_guessed() {
    let tree = Tree::clean();
    tree.edit(
        tree::PLATFORM_COMPOSE,
        "      POSTGRES_DB: platform\n",
        "    env_file:\n      - path: db.env\n      - path: none.env\n        required: false\n",
    );
    let word = |tree: &Tree| {
        let verdicts = tree.verdicts();
        let verdict = verdicts
            .0
            .iter()
            .find(|v| v.check.id == "compose.databases")
            .unwrap();
        verdict.outcome.word()
    };
    assert_eq!(word(&tree), "skipped");
    tree.write(
        &format!("{PLATFORM}/db.env"),
        "POSTGRES_USER=wrong\nPOSTGRES_DB=platform\n",
    );
    assert_eq!(word(&tree), "passed");
    assert_eq!(
        tree.found("settings.target"),
        Vec::<String>::new(),
        "environment wins"
    );
    tree.write(&format!("{PLATFORM}/db.env"), "POSTGRES_DB=other\n");
    assert_eq!(
        tree.found("compose.databases"),
        ["nothing creates database platform on a new volume"]
    );
}

#[test]
fn scripts_that_the_image_passes_over_create_nothing() {
    let tree = Tree::clean();
    let scripts = format!("{PLATFORM}/init-scripts");
    let text = tree.read(&format!("{scripts}/01-create-databases.sql"));
    tree.remove(&format!("{scripts}/01-create-databases.sql"));
    tree.write(&format!("{scripts}/01-create-databases.sql.bak"), &text);
    assert_eq!(tree.found("compose.databases").len(), 2);
    tree.write(&format!("{scripts}/02.sql"), &format!("/*\n{text}\n*/\n"));
    assert_eq!(tree.found("compose.databases").len(), 2);
}
