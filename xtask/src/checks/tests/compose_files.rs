//! Compose files that lie beside each other, or that Compose does not read.

use super::planted;
use super::tree::{self, Tree};
use crate::checks::Outcome;

const LABELER: &str = "mvp-vision-ai-labeler";
const PLATFORM: &str = "mvp-vision-ai-platform/platform/infrastructure";

#[test]
fn two_redis_on_one_port_are_a_note() {
    let tree = Tree::clean();
    tree.edit(
        tree::PLATFORM_COMPOSE,
        "PLATFORM_REDIS_PORT:-6380",
        "PLATFORM_REDIS_PORT:-6379",
    );
    assert_eq!(tree.found("compose.ports").len(), 1);
    assert_eq!(tree.verdicts().exit(true), crate::model::Exit::Ok);
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

#[test]
fn what_compose_refuses_for_this_machine_s_sake_is_not_looked_at_and_told_once() {
    let tree = Tree::clean();
    tree.edit(
        tree::PLATFORM_COMPOSE,
        "PLATFORM_REDIS_IMAGE:-redis:7-alpine",
        "PLATFORM_REDIS_IMAGE:?which",
    );
    let verdicts = tree.verdicts();
    let why = "not looked at: variable PLATFORM_REDIS_IMAGE:?which is missing a value";
    let needs = |id: &str| {
        id.starts_with("compose.") && id != "compose.no-old-instances"
            || ["settings.target", "env.address", "env.overridden"].contains(&id)
    };
    for verdict in &verdicts.0 {
        let wanted = match needs(verdict.check.id) {
            true => Outcome::Skipped(why.to_owned()),
            false => Outcome::Passed,
        };
        assert_eq!(verdict.outcome, wanted, "{}", verdict.check.id);
    }
    let text = crate::report::text(&verdicts, &crate::report::Terminal::new(Some(false)));
    assert_eq!(text.matches(why).count(), 1, "{text}");
}

#[test]
fn a_job_of_client_programs_and_an_application_are_no_old_instance() {
    let tree = Tree::clean();
    let text = "services:\n  dump:\n    image: postgres:16\n    command: sh -c 'pg_dump -h db'\n  \
                web:\n    build: .\n    environment:\n      POSTGRES_DB: labeler\n";
    tree.edit(planted::LABELER_COMPOSE, "services:\n", text);
    assert_eq!(tree.found("compose.no-old-instances"), Vec::<String>::new());
}

#[test]
fn a_mount_of_18_around_the_data_folder_or_at_a_folder_of_its_own_is_right() {
    for (from, to) in [
        (":/var/lib/postgresql/data", ":/var/lib/postgresql"),
        (
            "POSTGRES_DB: platform",
            "POSTGRES_DB: platform\n      PGDATA: /var/lib/postgresql/data/pg",
        ),
    ] {
        let tree = Tree::clean();
        tree.edit(tree::PLATFORM_COMPOSE, "postgres:16-alpine", "postgres:18-alpine");
        tree.edit(tree::PLATFORM_COMPOSE, from, to);
        assert_eq!(tree.found("compose.data-mount"), Vec::<String>::new(), "{to}");
    }
}
